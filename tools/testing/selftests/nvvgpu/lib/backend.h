/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Control of back-ends: modules, debugfs and configfs files, uevents, and
 * the PFs of other drivers.
 *
 * Every function returns 0, a length or a count, or a negative errno.
 */
#ifndef _NVVGPU_SELFTEST_BACKEND_H
#define _NVVGPU_SELFTEST_BACKEND_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>
#include <sys/types.h>

#include "sysfs.h"

#define MOCK_DIR	"/sys/kernel/debug/nvvgpu-mock"
#define IMPORTER_DIR	"/sys/kernel/debug/nvvgpu-importer"
#define STANDIN_DIR	"/sys/kernel/debug/nvvgpu-rm-standin"
#define GENERIC_DIR	"/sys/kernel/config/nvvgpu-generic"

/* Any files */
int put(const char *path, const char *fmt, ...);
int get(const char *path, char *buf, size_t size);
long long get_value(const char *path, const char *key);

/* The kernel's log */
int kmsg_open(void);
int kmsg_count(int kmsg, const char *words);
bool vf_logged(int kmsg, const char *vf, const char *text);

/* Children, for calls that wait for another process */
pid_t child_begin(void);
int child_drop_privileges(void);
pid_t put_begin(const char *path, const char *text);
pid_t pci_unbind_begin(const char *bdf);
int child_status(pid_t pid);
bool child_ends_soon(pid_t pid);

/* Modules; names with dashes */
int mod_add(const char *name, const char *params);
int mod_del(const char *name);
int mod_del_users(const char *name);
int mod_refs(const char *name);
bool kernel_exports_bars(void);

/* Physical functions */
int pf_find_driver(struct pf *pf, const char *driver);
int pf_prepare(struct pf *pf, const char *driver, unsigned int nr);
const char *backend_missing(const char *module, const char *driver);

/* The generic back-end, and its default type, the whole VF */
#define GENERIC_WHOLE	1
#define GENERIC_DIR_LEN	128

int generic_claim(const char *pf, char *dir);
void generic_drop(const char *dir);
int generic_enable(const char *dir, const char *val);
bool generic_enabled(const char *dir);
int generic_type_add(const char *dir, int id);
int generic_type_del(const char *dir, int id);
int generic_type_put(const char *dir, int id, const char *attr,
		     const char *val);

/* The mock back-end */
int mock_add(const char *pf, const char *table);
int mock_del(const char *pf);
long long mock_calls(const char *op);

/**
 * struct uevent - a uevent of the front-end
 * @event: NVVGPU_EVENT
 * @type: NVVGPU_TYPE
 * @count: NVVGPU_COUNT
 * @code: NVVGPU_CODE, -1 if absent
 * @address: NVVGPU_ADDRESS, -1 if absent
 * @generation: NVVGPU_GENERATION, -1 if absent
 * @use: NVVGPU_USE, -1 if absent
 * @milliseconds: NVVGPU_MILLISECONDS, -1 if absent
 * @totals: NVVGPU_TOTALS, "" if absent
 */
struct uevent {
	char event[32];
	unsigned int type;
	unsigned long long count;
	long long code;
	long long address;
	long long generation;
	long long use;
	long long milliseconds;
	char totals[1024];
};

int uevent_open(void);
int uevent_next(int fd, const char *vf, struct uevent *uevent, int timeout_ms);
int uevent_wait(int fd, const char *vf, const char *event, int timeout_ms);

bool last_error_is(const char *last, int err, const char *text);

/* Expect the whole content of a file of a VF, in a test of the harness. */
#define EXPECT_FILE(vf, file, text) do {				\
	const char *__vf = (vf), *__file = (file), *__text = (text);	\
	char __buf[8192];						\
									\
	EXPECT_LE(0, pci_read(__vf, __file, __buf, sizeof(__buf)));	\
	EXPECT_STREQ(__text, __buf)					\
		TH_LOG("%s/%s", __vf, __file);				\
} while (0)

/* Expect the reason why the last action failed, with the name or number of the errno. */
#define EXPECT_LAST_ERROR(vf, err, text) do {				\
	char __last[256];						\
									\
	EXPECT_LE(0, pci_read(vf, "nvvgpu/last_error", __last,		\
			      sizeof(__last)));				\
	EXPECT_TRUE(last_error_is(__last, err, text))			\
		TH_LOG("%s", __last);					\
} while (0)

/* Expect a VF without a back-end, which has no VFIO device and no files. */
#define EXPECT_UNMANAGED(vf) do {					\
	const char *__name = (vf);					\
									\
	EXPECT_FALSE(pci_exists(__name, "nvidia"));			\
	EXPECT_FALSE(pci_exists(__name, "nvvgpu"));			\
	EXPECT_FALSE(pci_exists(__name, "vfio-dev"));			\
} while (0)

#endif /* _NVVGPU_SELFTEST_BACKEND_H */
