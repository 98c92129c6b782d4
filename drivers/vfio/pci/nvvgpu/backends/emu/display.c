// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-emu: the display of a vGPU, and its monitor.
 */
#include <drm/drm_fourcc.h>
#include <linux/string.h>

#include "emu.h"

/* Buffer of the DISPLAY command */
struct emu_display {
	struct nvvgpu_emu_plane plane;
	u8 edid[NVVGPU_EMU_EDID_SIZE];
};

static_assert(sizeof(struct emu_display) ==
	      sizeof(struct nvvgpu_emu_plane) + NVVGPU_EMU_EDID_SIZE);
static_assert(NVVGPU_EDID_LEN == NVVGPU_EMU_EDID_SIZE);

static int emu_display_read(struct emu_vgpu *vgpu, struct emu_display *display)
{
	struct emu_cmd cmd = {
		.opcode = NVVGPU_EMU_CMD_DISPLAY,
		.vf = vgpu->vf,
		.out = display,
		.out_len = sizeof(*display),
	};
	int err;

	err = emu_fw_cmd(vgpu->emu, &cmd);
	if (err)
		return err;

	return cmd.len == sizeof(*display) ? 0 : -EPROTO;
}

static u32 emu_drm_format(u32 bpp)
{
	switch (bpp) {
	case 16:
		return DRM_FORMAT_RGB565;
	case 32:
		return DRM_FORMAT_XRGB8888;
	default:
		return DRM_FORMAT_INVALID;
	}
}

/**
 * emu_get_plane() - fill in the scan-out buffer of a vGPU
 * @handle: struct emu_vgpu of the vGPU
 * @plane: filled in
 *
 * Return: 0; -EPROTO if the firmware's answer is too short; or the error of the
 * firmware
 */
int emu_get_plane(void *handle, struct nvvgpu_plane *plane)
{
	struct emu_display display;
	int err;

	err = emu_display_read(handle, &display);
	if (err || !le32_to_cpu(display.plane.enabled))
		return err;

	plane->drm_format = emu_drm_format(le32_to_cpu(display.plane.bpp));
	plane->width = le32_to_cpu(display.plane.width);
	plane->height = le32_to_cpu(display.plane.height);
	plane->stride = le32_to_cpu(display.plane.stride);
	plane->bar = NVVGPU_EMU_VF_BAR_FB;
	plane->offset = le64_to_cpu(display.plane.offset);

	return 0;
}

/**
 * emu_get_edid() - copy the EDID of a vGPU's first display
 * @handle: struct emu_vgpu of the vGPU
 * @edid: filled in
 * @capacity: room in @edid
 *
 * Return: length of the EDID; -EPROTO if the firmware's answer is too short; or
 * the error of the firmware
 */
int emu_get_edid(void *handle, u8 *edid, size_t capacity)
{
	struct emu_display display;
	int err;

	err = emu_display_read(handle, &display);
	if (err)
		return err;

	capacity = min(capacity, sizeof(display.edid));
	memcpy(edid, display.edid, capacity);

	return capacity;
}

/**
 * emu_set_edid() - replace the monitor on a vGPU's first display
 * @handle: struct emu_vgpu of the vGPU
 * @edid: EDID of the new monitor
 * @length: bytes of @edid, 0 to unplug the monitor
 *
 * Return: 0 or the error of the firmware
 */
int emu_set_edid(void *handle, const u8 *edid, size_t length)
{
	struct emu_vgpu *vgpu = handle;
	struct emu_cmd cmd = {
		.opcode = NVVGPU_EMU_CMD_SET_EDID,
		.vf = vgpu->vf,
		.in = edid,
		.in_len = length,
	};

	return emu_fw_cmd(vgpu->emu, &cmd);
}
