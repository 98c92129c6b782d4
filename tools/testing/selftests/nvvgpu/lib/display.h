/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The display of a vGPU: what a viewer does with VFIO, and what a guest does with
 * the registers of the emulated GPU.
 *
 * Every function returns 0 or a length, or a negative errno.
 */
#ifndef _NVVGPU_SELFTEST_DISPLAY_H
#define _NVVGPU_SELFTEST_DISPLAY_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/nvvgpu_emu.h>

#include "vfio.h"

/* DRM_FORMAT_* */
#define FORMAT_XRGB8888		0x34325258
#define FORMAT_RGB565		0x36314752

/* What an EDID consists of */
#define EDID_BLOCK		128
#define EDID_TIMING		54

/* The viewer */
int gfx_query(const struct vdev *vdev, __u32 flags, __u32 plane_type,
	      struct vfio_device_gfx_plane_info *info);
int gfx_plane(const struct vdev *vdev, struct vfio_device_gfx_plane_info *info);
int gfx_wait(const struct vdev *vdev, __u32 width,
	     struct vfio_device_gfx_plane_info *info);
int gfx_dmabuf_plane(const struct vdev *vdev,
		     struct vfio_device_gfx_plane_info *info);
int gfx_dmabuf_wait(const struct vdev *vdev, __u32 id,
		    struct vfio_device_gfx_plane_info *info);
int gfx_dmabuf(const struct vdev *vdev, __u32 id);
int gfx_region(const struct vdev *vdev, __u32 subtype);
int gfx_map(const struct vdev *vdev, unsigned int region, __u64 offset,
	    size_t len, int prot, void **map);

/* The monitor */
int edid_region(const struct vdev *vdev);
int edid_info(const struct vdev *vdev, struct vfio_region_gfx_edid *info);
int edid_put(const struct vdev *vdev, size_t field, __u32 val);
int edid_link(const struct vdev *vdev, bool up);
int edid_plug(const struct vdev *vdev, const __u8 *edid, size_t len);
void edid_seal(__u8 *edid, size_t len);
void edid_make(__u8 *edid, unsigned int width, unsigned int height);

/**
 * struct mode - what a guest writes to the registers
 * @width: pixels
 * @height: lines
 * @bpp: bits of a pixel
 * @virt_width: pixels from one line to the next, 0 for @width
 * @x: first visible pixel of a line
 * @y: first visible line
 */
struct mode {
	__u16 width;
	__u16 height;
	__u16 bpp;
	__u16 virt_width;
	__u16 x;
	__u16 y;
};

/* The guest; it has registers from 0 up to this number. */
#define GUEST_LAST_REGISTER	9

int guest_write(const struct vdev *vdev, unsigned int index, __u16 val);
int guest_mode(const struct vdev *vdev, const struct mode *mode);
int guest_flip(const struct vdev *vdev, __u16 y);
int guest_off(const struct vdev *vdev);
int guest_edid(const struct vdev *vdev, __u8 *edid);

#endif /* _NVVGPU_SELFTEST_DISPLAY_H */
