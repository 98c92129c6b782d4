/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the nvvgpu test programs share: the harness, and the state of the GPU that
 * every test begins with.
 */
#ifndef _NVVGPU_TEST_H
#define _NVVGPU_TEST_H

#include <fcntl.h>

#include <linux/nvvgpu.h>

#include "kselftest_harness.h"

#include "lib/clock.h"
#include "lib/engine.h"
#include "lib/qmp.h"
#include "lib/sysfs.h"
#include "lib/vfio.h"

/* Long enough for an emulated machine with a debug kernel */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	900

#define TEST_VFS	4

#define PAGE		4096UL
#define MIB		1048576UL

/**
 * gpu_prepare() - enable VFs and bind them to the front-end
 * @pf: filled in
 * @nr: minimum number of VFs
 *
 * Deletes vGPUs that an earlier test has left.
 *
 * Return: NULL, or a description of the failure.
 */
static inline const char *gpu_prepare(struct pf *pf, unsigned int nr)
{
	unsigned int i;

	if (pf_find(pf))
		return "no PF bound to nvvgpu-emu, and none in NVVGPU_PF";
	if (pf->nr_vfs < nr && pf_set_vfs(pf, nr))
		return "SR-IOV cannot be enabled";
	for (i = 0; i < pf->nr_vfs; i++) {
		if (pci_bind(pf->vf[i], FRONT_END_DRIVER))
			return "a VF cannot be bound to nvvgpu-vfio-pci";
		if (vf_type(pf->vf[i]) && vf_set_type(pf->vf[i], 0))
			return "a vGPU cannot be removed";
	}

	return NULL;
}

/**
 * gpu_missing() - check whether there is an emulated GPU to test
 *
 * Return: NULL, or a description of the missing part.
 */
static inline const char *gpu_missing(void)
{
	struct pf pf;

	return pf_find(&pf) ? "no PF bound to nvvgpu-emu, and none in NVVGPU_PF" :
			      NULL;
}

/**
 * test_main() - run the tests of a program, or skip all of them
 * @argc: argument of main()
 * @argv: argument of main()
 * @missing: NULL, or a description of a missing requirement
 *
 * A program all of whose tests skip would pass, so skip the program.
 *
 * Return: exit status.
 */
static inline int test_main(int argc, char **argv, const char *missing)
{
	if (geteuid())
		missing = "must be run as root";
	if (missing)
		ksft_exit_skip("%s\n", missing);

	return test_harness_run(argc, argv);
}

#define ASSERT_GPU(pf, nr) do {						\
	const char *__why = gpu_prepare(pf, nr);			\
									\
	ASSERT_EQ(NULL, __why)						\
		TH_LOG("%s", __why ?: "");					\
} while (0)

/**
 * gpu_reset() - reset the GPU and restart its firmware
 * @pf: PF from pf_find()
 *
 * Return: 0 or a negative errno.
 */
static inline int gpu_reset(const struct pf *pf)
{
	return pci_write(pf->bdf, "reset", "1");
}

/**
 * gpu_commands() - get the number of commands that the firmware has received
 * @pf: PF from pf_find()
 * @count: filled in
 *
 * Return: 0 or a negative errno.
 */
static inline int gpu_commands(const struct pf *pf, __u32 *count)
{
	__u32 *regs;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource%u",
		 pf->bdf, NVVGPU_EMU_PF_BAR_REGS);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	regs = mmap(NULL, NVVGPU_EMU_PF_REGS_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (regs == MAP_FAILED)
		return -errno;
	*count = __atomic_load_n(&regs[NVVGPU_EMU_PF_REG_CMD_HEAD / sizeof(*regs)],
				 __ATOMIC_RELAXED);
	munmap(regs, NVVGPU_EMU_PF_REGS_SIZE);

	return 0;
}

/**
 * gpu_wait_command() - wait until the firmware has received a command
 * @pf: PF from pf_find()
 * @count: result of gpu_commands() before the command, plus the number of commands
 *	that come before it
 *
 * Return: 0 or a negative errno.
 */
static inline int gpu_wait_command(const struct pf *pf, __u32 count)
{
	__u32 now = count;
	int ret;

	do {
		ret = gpu_commands(pf, &now);
	} while (!ret && (__s32)(now - count) <= 0);

	return ret;
}

/**
 * vf_falls_asleep() - wait until a VF is in a low power state
 * @vf: address of the VF
 *
 * Return: true if it is, false after a time-out.
 */
static inline bool vf_falls_asleep(const char *vf)
{
	__u64 end = now_ms() + WAIT_MS;
	char buf[32];

	do {
		if (pci_read(vf, "power/runtime_status", buf,
			     sizeof(buf)) > 0 && !strcmp(buf, "suspended\n"))
			return true;
		usleep(10000);
	} while (now_ms() < end);

	return false;
}

/**
 * test_all() - check whether to run complete sweeps
 *
 * Return: true if NVVGPU_TEST_ALL is set.
 */
static inline bool test_all(void)
{
	const char *env = getenv("NVVGPU_TEST_ALL");

	return env && *env && strcmp(env, "0");
}

/**
 * test_slow() - check whether this is a debug kernel, which is slow
 *
 * Return: true if so.
 */
static inline bool test_slow(void)
{
	return !access("/sys/kernel/debug/kmemleak", F_OK);
}

/**
 * test_long() - check whether to run long forms of tests
 *
 * They would exceed their timeouts on a debug kernel, which is ten times slower.
 *
 * Return: true if NVVGPU_TEST_ALL is set and this is not a debug kernel.
 */
static inline bool test_long(void)
{
	return test_all() && !test_slow();
}

/* Default of the driver */
#define FW_TIMEOUT_MS	5000

/**
 * fw_set_timeout() - set the time-out of plain firmware commands
 * @ms: time-out; restore FW_TIMEOUT_MS afterwards
 *
 * Return: 0 or a negative errno.
 */
static inline int fw_set_timeout(unsigned int ms)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", ms);

	return module_param_set("nvvgpu_emu", "fw_timeout_ms", text);
}

/**
 * gpu_clean() - delete all vGPUs
 * @pf: PF from gpu_prepare()
 */
static inline void gpu_clean(struct pf *pf)
{
	unsigned int i;

	for (i = 0; i < pf->nr_vfs; i++)
		vf_set_type(pf->vf[i], 0);
}

/**
 * type_smallest() - find the type with the smallest framebuffer
 * @types: types from vf_types()
 * @nr: number of types
 *
 * Return: the type.
 */
static inline const struct vgpu_type *type_smallest(const struct vgpu_type *types,
						    int nr)
{
	const struct vgpu_type *best = types;
	int i;

	for (i = 1; i < nr; i++)
		if (types[i].framebuffer < best->framebuffer)
			best = &types[i];

	return best;
}

/**
 * type_largest() - find the type with the largest framebuffer
 * @types: types from vf_types()
 * @nr: number of types
 *
 * Return: the type.
 */
static inline const struct vgpu_type *type_largest(const struct vgpu_type *types,
						   int nr)
{
	const struct vgpu_type *best = types;
	int i;

	for (i = 1; i < nr; i++)
		if (types[i].framebuffer > best->framebuffer)
			best = &types[i];

	return best;
}

/**
 * struct user - a user of a vGPU: its device, its memory and its engine
 * @vf: PCI name
 * @own: IOAS of the user, unless it is shared
 * @ioas: IOAS in use
 * @vdev: the device
 * @engine: engine of the device
 * @mem: memory that is mapped for DMA, starting with the ring
 * @iova: DMA address of @mem
 * @len: size of @mem
 */
struct user {
	const char *vf;
	struct ioas own;
	struct ioas *ioas;
	struct vdev vdev;
	struct engine engine;
	void *mem;
	__u64 iova;
	size_t len;
};

/* Above 4 GiB, to find addresses that are truncated to 32 bits */
#define USER_IOVA	0x123400000ULL
#define USER_LEN	(4 * MIB)
/* The first page of the memory is the ring; tests use the rest. */
#define USER_RING	(PAGE / sizeof(struct nvvgpu_emu_desc))

/**
 * user_open_in() - open a vGPU, map memory and start the engine
 * @user: filled in; memory of an earlier call is reused
 * @vf: PCI name of a VF that has a vGPU
 * @ioas: open IOAS to use
 * @iova: DMA address for the memory
 *
 * Return: 0 or a negative errno; call user_close() in any case.
 */
static inline int user_open_in(struct user *user, const char *vf,
			       struct ioas *ioas, __u64 iova)
{
	int ret;

	user->vf = vf;
	user->ioas = ioas;
	user->iova = iova;
	user->len = USER_LEN;
	ret = vdev_open(&user->vdev, vf, ioas);
	if (ret)
		return ret;

	if (!user->mem) {
		user->mem = mmap(NULL, user->len, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (user->mem == MAP_FAILED) {
			user->mem = NULL;
			return -errno;
		}
	}
	ret = ioas_map(ioas, user->mem, iova, user->len,
		       PROT_READ | PROT_WRITE);
	if (!ret)
		ret = engine_init(&user->engine, &user->vdev);
	if (!ret)
		ret = vdev_msix_enable(&user->vdev, ENGINE_VECTORS);
	if (!ret)
		ret = engine_start(&user->engine, user->mem, iova, USER_RING);

	return ret;
}

/**
 * user_open() - call user_open_in() with a new address space
 * @user: zeroed
 * @vf: PCI name of a VF that has a vGPU
 * @mode: kind of address space
 *
 * Return: 0 or a negative errno; call user_close() in any case.
 */
static inline int user_open(struct user *user, const char *vf,
			    enum iommu_mode mode)
{
	int ret;

	user->vdev.fd = -1;
	user->vdev.group = -1;
	ret = ioas_open(&user->own, mode);
	if (ret)
		return ret;

	return user_open_in(user, vf, &user->own, USER_IOVA);
}

/**
 * user_close() - close the device and free all memory
 * @user: zeroed, or completely or partly opened
 */
static inline void user_close(struct user *user)
{
	if (user->ioas)
		vdev_close(&user->vdev);
	if (user->own.fd > 0)
		ioas_close(&user->own);
	if (user->mem)
		munmap(user->mem, user->len);
	memset(user, 0, sizeof(*user));
}

/**
 * user_restart() - restart an engine after an error
 * @user: open
 *
 * Return: 0 or a negative errno.
 */
static inline int user_restart(struct user *user)
{
	return engine_start(&user->engine, user->mem, user->iova, USER_RING);
}

/**
 * user_addr() - get a DMA address in the memory of a user
 * @user: open
 * @p: pointer into user->mem
 *
 * Return: the address.
 */
static inline __u64 user_addr(const struct user *user, const void *p)
{
	return user->iova + ((const char *)p - (const char *)user->mem);
}

/**
 * user_buf() - get a buffer in the memory of a user
 * @user: open
 * @offset: offset from the end of the ring
 *
 * Return: the buffer.
 */
static inline void *user_buf(const struct user *user, size_t offset)
{
	return (char *)user->mem + PAGE + offset;
}

/**
 * pattern() - fill memory with bytes that depend on a seed and their offset
 * @buf: memory
 * @len: bytes
 * @seed: any number
 */
static inline void pattern(void *buf, size_t len, __u32 seed)
{
	__u8 *p = buf;
	__u32 x = seed * 2654435761U + 1;

	while (len--) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		*p++ = x;
	}
}

/**
 * user_work() - copy memory to VRAM and back, and compare
 * @user: open
 *
 * Return: 0 or a negative errno; -EILSEQ if the data differs.
 */
static inline int user_work(struct user *user)
{
	__u8 *from = user_buf(user, 0), *to = user_buf(user, MIB);
	const size_t len = 10000;
	int ret;

	pattern(from, len, 11);
	memset(to, 0, len);
	ret = engine_run(&user->engine,
			 engine_copy(NVVGPU_EMU_DESC_DST_VRAM, 64,
				     user_addr(user, from), len));
	if (!ret)
		ret = engine_run(&user->engine,
				 engine_copy(NVVGPU_EMU_DESC_SRC_VRAM,
					     user_addr(user, to), 64, len));

	return ret ?: memcmp(from, to, len) ? -EILSEQ : 0;
}

/**
 * user_back() - set up a device after a reset, and do some work
 * @user: open
 *
 * Return: 0 or a negative errno, as user_work().
 */
static inline int user_back(struct user *user)
{
	int ret;

	if (user->vdev.nr_irqs)
		vdev_msix_disable(&user->vdev);
	ret = vdev_remap_bars(&user->vdev);
	if (!ret)
		ret = vdev_enable(&user->vdev, true);
	if (!ret)
		ret = vdev_msix_enable(&user->vdev, ENGINE_VECTORS);
	if (!ret)
		ret = user_restart(user);

	return ret ?: user_work(user);
}

/**
 * vgpu_life() - create, use and delete a vGPU
 * @vf: PCI name of a VF without a vGPU
 * @type: type of the vGPU
 *
 * Return: 0 or a negative errno.
 */
static inline int vgpu_life(const char *vf, const struct vgpu_type *type)
{
	struct user user = {};
	int ret;

	ret = vf_set_type(vf, type->id);
	if (ret)
		return ret;
	ret = user_open(&user, vf, IOMMU_IOMMUFD);
	if (!ret)
		ret = user_work(&user);
	if (!ret)
		ret = vdev_reset(&user.vdev);
	user_close(&user);

	return ret ?: vf_set_type(vf, 0);
}

/**
 * all_bytes() - check whether all bytes of memory have the same value
 * @buf: memory
 * @len: bytes
 * @val: the value
 *
 * Return: true if so.
 */
static inline bool all_bytes(const void *buf, size_t len, __u8 val)
{
	const __u8 *p = buf;

	return !len || (*p == val && !memcmp(p, p + 1, len - 1));
}

#define EXPECT_ENGINE_ERROR(engine, _code, _addr) do {			\
	struct engine_error __e;					\
									\
	engine_error(engine, &__e);					\
	EXPECT_EQ(_code, __e.code)					\
		TH_LOG("engine says %s at %#llx",			\
		       engine_error_name(__e.code), __e.addr);		\
	EXPECT_EQ(_addr, __e.addr);					\
} while (0)

#endif /* _NVVGPU_TEST_H */
