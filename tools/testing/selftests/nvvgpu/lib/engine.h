/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The copy engine of an emulated GPU's virtual function, driven through VFIO.
 *
 * Used by the selftests on the host and by the programs that run in a guest.
 */
#ifndef _NVVGPU_SELFTEST_ENGINE_H
#define _NVVGPU_SELFTEST_ENGINE_H

#include <stddef.h>

#include <linux/nvvgpu_emu.h>

#include "vfio.h"

/* The vectors that engine_start() uses */
#define ENGINE_VECTOR_DONE	0
#define ENGINE_VECTOR_ERROR	1
#define ENGINE_VECTORS		2

/**
 * struct engine - an engine and its ring
 * @vdev: the device
 * @regs: BAR 2
 * @ring: the ring in the memory of the program
 * @size: descriptors in the ring
 * @tail: value last written to the doorbell
 * @irqs: completion interrupts seen by engine_wait()
 */
struct engine {
	struct vdev *vdev;
	__u32 *regs;
	struct nvvgpu_emu_desc *ring;
	__u32 size;
	__u32 tail;
	unsigned int irqs;
};

/**
 * struct engine_error - cause of a halted engine
 * @code: NVVGPU_EMU_VF_ERR_*
 * @index: index of the failed descriptor
 * @addr: first address that was refused, with ERR_DMA_*
 */
struct engine_error {
	__u32 code;
	__u32 index;
	__u64 addr;
};

__u32 engine_read(const struct engine *engine, unsigned int reg);
__u64 engine_read64(const struct engine *engine, unsigned int reg);
void engine_write(const struct engine *engine, unsigned int reg, __u32 val);
void engine_write64(const struct engine *engine, unsigned int reg, __u64 val);

int engine_init(struct engine *engine, struct vdev *vdev);
int engine_reset(struct engine *engine);
int engine_start(struct engine *engine, struct nvvgpu_emu_desc *ring,
		 __u64 iova, __u32 size);

struct nvvgpu_emu_desc engine_copy(__u32 flags, __u64 dst, __u64 src,
				   __u64 len);
struct nvvgpu_emu_desc engine_fill(__u32 flags, __u64 dst, __u64 len,
				   __u32 pattern);
struct nvvgpu_emu_desc engine_semaphore(__u32 flags, __u64 dst, __u64 value);

void engine_submit(struct engine *engine, const struct nvvgpu_emu_desc *desc,
		   unsigned int nr);
int engine_wait(struct engine *engine, int timeout_ms);
int engine_run(struct engine *engine, struct nvvgpu_emu_desc desc);
void engine_error(const struct engine *engine, struct engine_error *error);
const char *engine_error_name(__u32 code);

__u32 crc32c(__u32 crc, const void *data, size_t len);

#endif /* _NVVGPU_SELFTEST_ENGINE_H */
