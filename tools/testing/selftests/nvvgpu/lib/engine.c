// SPDX-License-Identifier: GPL-2.0
/*
 * The copy engine of an emulated GPU's virtual function, driven through VFIO.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "engine.h"

/**
 * engine_read() - read a 32-bit register
 * @engine: initialised
 * @reg: NVVGPU_EMU_VF_REG_*
 *
 * Return: its value.
 */
__u32 engine_read(const struct engine *engine, unsigned int reg)
{
	return le32toh(__atomic_load_n(&engine->regs[reg / 4],
				       __ATOMIC_RELAXED));
}

/**
 * engine_read64() - read a pair of registers
 * @engine: initialised
 * @reg: the lower one
 *
 * Return: their value.
 */
__u64 engine_read64(const struct engine *engine, unsigned int reg)
{
	__u64 low = engine_read(engine, reg);

	return low | (__u64)engine_read(engine, reg + 4) << 32;
}

/**
 * engine_write() - write a 32-bit register after all earlier memory writes
 * @engine: initialised
 * @reg: NVVGPU_EMU_VF_REG_*
 * @val: the new value
 */
void engine_write(const struct engine *engine, unsigned int reg, __u32 val)
{
	__atomic_store_n(&engine->regs[reg / 4], htole32(val),
			 __ATOMIC_SEQ_CST);
}

/**
 * engine_write64() - write a pair of registers
 * @engine: initialised
 * @reg: the lower one
 * @val: the new value
 */
void engine_write64(const struct engine *engine, unsigned int reg, __u64 val)
{
	engine_write(engine, reg, val);
	engine_write(engine, reg + 4, val >> 32);
}

/**
 * engine_init() - find the engine of an open device
 * @engine: filled in
 * @vdev: an open device; memory is enabled and the registers are mapped
 *
 * Return: 0 or a negative errno; -ENODEV if it is not such an engine.
 */
int engine_init(struct engine *engine, struct vdev *vdev)
{
	int ret;

	memset(engine, 0, sizeof(*engine));
	engine->vdev = vdev;
	ret = vdev_enable(vdev, true);
	if (ret)
		return ret;
	ret = vdev_map_bar(vdev, NVVGPU_EMU_VF_BAR_REGS);
	if (ret)
		return ret;
	engine->regs = vdev->bar[NVVGPU_EMU_VF_BAR_REGS];

	if (engine_read(engine, NVVGPU_EMU_VF_REG_MAGIC) !=
	    NVVGPU_EMU_VF_MAGIC)
		return -ENODEV;

	return 0;
}

/**
 * engine_reset() - abort all work and stop
 * @engine: initialised
 *
 * Return: 0, or -EBUSY if it does not stop.
 */
int engine_reset(struct engine *engine)
{
	engine_write(engine, NVVGPU_EMU_VF_REG_CTRL,
		     NVVGPU_EMU_VF_CTRL_RESET);
	engine->tail = 0;

	return engine_read(engine, NVVGPU_EMU_VF_REG_STATUS) ? -EBUSY : 0;
}

/**
 * engine_start() - reset the engine and set up its ring
 * @engine: initialised
 * @ring: address of the ring in the program
 * @iova: DMA address of the ring
 * @size: descriptors, a power of two
 *
 * Return: 0, or -EIO if the engine refuses the ring.
 */
int engine_start(struct engine *engine, struct nvvgpu_emu_desc *ring,
		 __u64 iova, __u32 size)
{
	unsigned int i;
	int ret;

	ret = engine_reset(engine);
	if (ret)
		return ret;
	for (i = 0; i < engine->vdev->nr_irqs; i++)
		irq_wait(engine->vdev->irq[i], 0);

	engine->ring = ring;
	engine->size = size;
	engine_write64(engine, NVVGPU_EMU_VF_REG_RING_BASE, iova);
	engine_write(engine, NVVGPU_EMU_VF_REG_RING_SIZE, size);
	engine_write(engine, NVVGPU_EMU_VF_REG_ERROR_VECTOR,
		     ENGINE_VECTOR_ERROR);
	engine_write(engine, NVVGPU_EMU_VF_REG_CTRL, NVVGPU_EMU_VF_CTRL_RUN);

	if (engine_read(engine, NVVGPU_EMU_VF_REG_STATUS) &
	    NVVGPU_EMU_VF_STATUS_ERROR)
		return -EIO;

	return 0;
}

/**
 * engine_copy() - make a descriptor that copies
 * @flags: NVVGPU_EMU_DESC_*
 * @dst: VRAM offset or DMA address
 * @src: VRAM offset or DMA address
 * @len: bytes
 *
 * Return: the descriptor.
 */
struct nvvgpu_emu_desc engine_copy(__u32 flags, __u64 dst, __u64 src,
				   __u64 len)
{
	struct nvvgpu_emu_desc desc = {
		.op = htole32(NVVGPU_EMU_OP_COPY),
		.flags = htole32(flags),
		.src = htole64(src),
		.dst = htole64(dst),
		.len = htole64(len),
	};

	return desc;
}

/**
 * engine_fill() - make a descriptor that fills
 * @flags: NVVGPU_EMU_DESC_*
 * @dst: VRAM offset or DMA address
 * @len: bytes
 * @pattern: repeated, low byte first
 *
 * Return: the descriptor.
 */
struct nvvgpu_emu_desc engine_fill(__u32 flags, __u64 dst, __u64 len,
				   __u32 pattern)
{
	struct nvvgpu_emu_desc desc = {
		.op = htole32(NVVGPU_EMU_OP_FILL),
		.flags = htole32(flags),
		.dst = htole64(dst),
		.len = htole64(len),
		.data = htole64(pattern),
	};

	return desc;
}

/**
 * engine_semaphore() - make a descriptor that stores 8 bytes
 * @flags: NVVGPU_EMU_DESC_*
 * @dst: VRAM offset or DMA address, 8 byte aligned
 * @value: value to store
 *
 * Return: the descriptor.
 */
struct nvvgpu_emu_desc engine_semaphore(__u32 flags, __u64 dst, __u64 value)
{
	struct nvvgpu_emu_desc desc = {
		.op = htole32(NVVGPU_EMU_OP_SEMAPHORE),
		.flags = htole32(flags),
		.dst = htole64(dst),
		.data = htole64(value),
	};

	return desc;
}

/**
 * engine_submit() - put descriptors in the ring and ring the doorbell
 * @engine: started
 * @desc: descriptors
 * @nr: number of descriptors, for which the ring must have room
 */
void engine_submit(struct engine *engine, const struct nvvgpu_emu_desc *desc,
		   unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		engine->ring[engine->tail++ & (engine->size - 1)] = desc[i];
	engine_write(engine, NVVGPU_EMU_VF_REG_DOORBELL, engine->tail);
}

/* Sleep until an interrupt arrives, or for a short time. */
static int engine_sleep(struct engine *engine)
{
	struct vdev *vdev = engine->vdev;
	int irqs;

	if (vdev->nr_irqs < ENGINE_VECTORS) {
		usleep(200);
		return 0;
	}
	irq_wait_any(vdev->irq, ENGINE_VECTORS, 200);
	irqs = irq_wait(vdev->irq[ENGINE_VECTOR_DONE], 0);
	engine->irqs += irqs;

	return irqs;
}

/**
 * engine_wait() - wait until all submitted work is done
 * @engine: started
 * @timeout_ms: time-out
 *
 * After vdev_msix_enable(), the last descriptor must request
 * ENGINE_VECTOR_DONE, whose interrupt completes the wait; else this polls.
 *
 * Return: 0, -EIO if the engine has halted with an error, -ETIMEDOUT, -ENODEV
 * without a vGPU.
 */
int engine_wait(struct engine *engine, int timeout_ms)
{
	bool done = engine->vdev->nr_irqs < ENGINE_VECTORS;
	__u64 end = now_ms() + timeout_ms;

	for (;;) {
		__u32 status;

		if (engine_sleep(engine))
			done = true;
		status = engine_read(engine, NVVGPU_EMU_VF_REG_STATUS);
		if (status == ~0U)
			return -ENODEV;
		if (status & NVVGPU_EMU_VF_STATUS_ERROR)
			return -EIO;
		if (done && engine_read(engine, NVVGPU_EMU_VF_REG_RING_HEAD) ==
			    engine->tail)
			return 0;
		if (now_ms() >= end)
			return -ETIMEDOUT;
	}
}

/**
 * engine_run() - run one descriptor and wait for it
 * @engine: started
 * @desc: a descriptor
 *
 * Return: as engine_wait().
 */
int engine_run(struct engine *engine, struct nvvgpu_emu_desc desc)
{
	if (engine->vdev->nr_irqs) {
		desc.flags |= htole32(NVVGPU_EMU_DESC_IRQ);
		desc.vector = htole32(ENGINE_VECTOR_DONE);
	}
	engine_submit(engine, &desc, 1);

	return engine_wait(engine, WAIT_MS);
}

/**
 * engine_error() - get the cause of a halted engine
 * @engine: initialised
 * @error: filled in
 */
void engine_error(const struct engine *engine, struct engine_error *error)
{
	error->code = engine_read(engine, NVVGPU_EMU_VF_REG_ERROR);
	error->index = engine_read(engine, NVVGPU_EMU_VF_REG_ERROR_INDEX);
	error->addr = engine_read64(engine, NVVGPU_EMU_VF_REG_FAULT_ADDR);
}

/**
 * engine_error_name() - get the name of an error in the hardware manual
 * @code: NVVGPU_EMU_VF_ERR_*
 *
 * Return: the name.
 */
const char *engine_error_name(__u32 code)
{
	static const char * const names[] = {
		[NVVGPU_EMU_VF_ERR_NONE] = "NONE",
		[NVVGPU_EMU_VF_ERR_RING] = "RING",
		[NVVGPU_EMU_VF_ERR_DESC] = "DESC",
		[NVVGPU_EMU_VF_ERR_VRAM] = "VRAM",
		[NVVGPU_EMU_VF_ERR_DMA_READ] = "DMA_READ",
		[NVVGPU_EMU_VF_ERR_DMA_WRITE] = "DMA_WRITE",
		[NVVGPU_EMU_VF_ERR_VECTOR] = "VECTOR",
		[NVVGPU_EMU_VF_ERR_CRASHED] = "CRASHED",
	};

	if (code > NVVGPU_EMU_VF_ERR_CRASHED)
		return "UNKNOWN";

	return names[code];
}

/**
 * crc32c() - Castagnoli's CRC
 * @crc: CRC of the preceding data, 0 at first
 * @data: the data
 * @len: number of bytes
 *
 * Return: the CRC.
 */
__u32 crc32c(__u32 crc, const void *data, size_t len)
{
	static __u32 table[256];
	const __u8 *p = data;
	unsigned int i, bit;

	if (!table[1]) {
		for (i = 0; i < 256; i++) {
			__u32 c = i;

			for (bit = 0; bit < 8; bit++)
				c = c & 1 ? c >> 1 ^ 0x82f63b78 : c >> 1;
			table[i] = c;
		}
	}

	crc = ~crc;
	while (len--)
		crc = crc >> 8 ^ table[(crc ^ *p++) & 0xff];

	return ~crc;
}
