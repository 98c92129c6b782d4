/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The sysfs files of an SR-IOV GPU and its vGPUs.
 *
 * Every function returns 0, a length or a count, or a negative errno.
 */
#ifndef _NVVGPU_SELFTEST_SYSFS_H
#define _NVVGPU_SELFTEST_SYSFS_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/nvvgpu.h>
#include <linux/types.h>

#define FRONT_END_DRIVER	"nvvgpu-vfio-pci"

#define BDF_LEN			16
#define MAX_VFS			256
#define MAX_TYPES		NVVGPU_MAX_TYPES

/* Files of any PCI device; @file is relative to its directory */
int pci_read(const char *bdf, const char *file, char *buf, size_t size);
int pci_write(const char *bdf, const char *file, const char *text);
int pci_write_len(const char *bdf, const char *file, const void *data,
		  size_t len);
int pci_read_u64(const char *bdf, const char *file, __u64 *val);
int pci_mode(const char *bdf, const char *file);
bool pci_exists(const char *bdf, const char *file);
int pci_driver(const char *bdf, char *buf, size_t size);
int pci_bind(const char *bdf, const char *driver);
int pci_unbind(const char *bdf);

/**
 * struct vf_file - a file that the front-end adds to a VF
 * @name: relative to the VF's directory
 * @mode: permissions
 */
struct vf_file {
	const char *name;
	int mode;
};

#define NR_VF_FILES	18
extern const struct vf_file vf_files[NR_VF_FILES];

/* Drivers and modules */
int driver_bind(const char *driver, const char *bdf);
int driver_unbind(const char *driver, const char *bdf);
int module_param_set(const char *module, const char *param, const char *val);

/**
 * struct pf - a physical function and its VFs
 * @bdf: PCI name
 * @total: maximum number of VFs
 * @nr_vfs: number of enabled VFs
 * @vf: PCI names of the VFs
 */
struct pf {
	char bdf[BDF_LEN];
	unsigned int total;
	unsigned int nr_vfs;
	char vf[MAX_VFS][BDF_LEN];
};

int pf_find(struct pf *pf);
int pf_scan(struct pf *pf);
int pf_set_vfs(struct pf *pf, unsigned int nr);

/**
 * struct vgpu_type - a directory in nvvgpu/types
 * @id: number for current_vgpu_type
 * @name: name for users
 * @vgpu_class: a word, as "workstation"
 * @framebuffer: bytes
 * @bar0: bytes
 * @heads: displays
 * @max_resolution: "<width>x<height>"
 * @max_instances: maximum number on an empty GPU
 * @available: instances that could be created now
 * @reason: reason if @available is 0
 * @vf: VF where it was read, for type_number()
 */
struct vgpu_type {
	unsigned int id;
	char name[NVVGPU_NAME_LEN];
	char vgpu_class[16];
	__u64 framebuffer;
	__u64 bar0;
	unsigned int heads;
	char max_resolution[16];
	unsigned int max_instances;
	unsigned int available;
	char reason[96];
	char vf[BDF_LEN];
};

__u64 type_number(const struct vgpu_type *type, const char *name);
int vf_types(const char *vf, struct vgpu_type *types, unsigned int capacity);
int vf_set_type(const char *vf, unsigned int id);
int vf_type(const char *vf);
int vf_creatable(const char *vf, unsigned int id);
int vf_state(const char *vf, char *buf, size_t size);
const char *vf_backend(const char *vf, unsigned int *minor);
const char *vf_wait_state(const char *vf, const char *want);
int poll_open(const char *vf, const char *file);
bool poll_changed(int fd, int timeout_ms);
void poll_settle(int fd);

#endif /* _NVVGPU_SELFTEST_SYSFS_H */
