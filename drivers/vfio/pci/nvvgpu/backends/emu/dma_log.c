// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-emu: the firmware's log of a vGPU's DMA writes.
 */
#include <linux/bits.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/slab.h>

#include "emu.h"

static int emu_dma_log_cmd(struct emu_dev *emu, struct emu_cmd *cmd,
			   unsigned int vf, u16 opcode)
{
	cmd->opcode = opcode;
	cmd->vf = vf;
	cmd->arg[0] = NVVGPU_EMU_DIRTY_DMA;

	return emu_fw_cmd(emu, cmd);
}

int emu_dma_log_stop(void *handle)
{
	struct emu_vgpu *vgpu = handle;
	struct emu_dev *emu = vgpu->emu;
	unsigned int vf = vgpu->vf;
	struct emu_cmd cmd = {};
	int err;

	err = emu_dma_log_cmd(emu, &cmd, vf, NVVGPU_EMU_CMD_DIRTY_STOP);

	/* No log is active, or a reset of the GPU has ended it with the vGPU. */
	return err == -EBADFD || err == -ENOENT ? 0 : err;
}

int emu_dma_log_start(void *handle,
		      const struct nvvgpu_range *ranges, u32 nr_ranges,
		      u64 *page_size)
{
	struct emu_vgpu *vgpu = handle;
	struct emu_dev *emu = vgpu->emu;
	unsigned int vf = vgpu->vf;
	struct nvvgpu_emu_range *raw __free(kfree) = NULL;
	struct emu_cmd cmd = { .arg[1] = *page_size };
	u32 i;
	int err;

	if (nr_ranges > NVVGPU_EMU_DIRTY_RANGES_MAX)
		return -E2BIG;

	raw = kcalloc(nr_ranges, sizeof(*raw), GFP_KERNEL);
	if (!raw)
		return -ENOMEM;
	for (i = 0; i < nr_ranges; i++) {
		raw[i].iova = cpu_to_le64(ranges[i].offset);
		raw[i].length = cpu_to_le64(ranges[i].length);
	}
	cmd.in = raw;
	cmd.in_len = nr_ranges * sizeof(*raw);

	/* The command that ended an earlier log may have failed. */
	err = emu_dma_log_stop(handle) ?:
	      emu_dma_log_cmd(emu, &cmd, vf, NVVGPU_EMU_CMD_DIRTY_START);
	if (err)
		return err;
	if (!is_power_of_2(cmd.res[0])) {
		emu_dma_log_stop(handle);
		return -EPROTO;
	}
	*page_size = cmd.res[0];
	vgpu->log_page_size = cmd.res[0];

	return 0;
}

int emu_dma_log_read(void *handle, u64 iova, u64 length,
		     u8 *bits)
{
	struct emu_vgpu *vgpu = handle;
	struct emu_dev *emu = vgpu->emu;
	unsigned int vf = vgpu->vf;
	u64 page_size = vgpu->log_page_size;
	struct emu_cmd cmd = {
		.arg[1] = iova,
		.arg[2] = length,
		.out = bits,
		.out_len = DIV_ROUND_UP(length >> ilog2(page_size),
					BITS_PER_BYTE),
	};
	int err;

	err = emu_dma_log_cmd(emu, &cmd, vf, NVVGPU_EMU_CMD_DIRTY_READ);

	return err ?: cmd.len == cmd.out_len ? 0 : -EPROTO;
}
