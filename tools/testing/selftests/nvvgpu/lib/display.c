// SPDX-License-Identifier: GPL-2.0
/*
 * The display of a vGPU, from both sides.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include "clock.h"
#include "display.h"
#include "engine.h"

/* Indices of the display registers */
#define DISPI_XRES		1
#define DISPI_YRES		2
#define DISPI_BPP		3
#define DISPI_ENABLE		4
#define   DISPI_ENABLED		0x41
#define DISPI_VIRT_WIDTH	6
#define DISPI_X_OFFSET		8
#define DISPI_Y_OFFSET		9

/**
 * gfx_query() - VFIO_DEVICE_QUERY_GFX_PLANE
 * @vdev: an open device
 * @flags: VFIO_GFX_PLANE_TYPE_*
 * @plane_type: DRM_PLANE_TYPE_*
 * @info: filled in
 *
 * Return: 0 or a negative errno.
 */
int gfx_query(const struct vdev *vdev, __u32 flags, __u32 plane_type,
	      struct vfio_device_gfx_plane_info *info)
{
	memset(info, 0xff, sizeof(*info));
	info->argsz = sizeof(*info);
	info->flags = flags;
	info->drm_plane_type = plane_type;

	return vdev_ioctl(vdev, VFIO_DEVICE_QUERY_GFX_PLANE, info);
}

/**
 * gfx_plane() - ask for the plane as QEMU does
 * @vdev: an open device
 * @info: filled in
 *
 * Return: 0 or a negative errno.
 */
int gfx_plane(const struct vdev *vdev, struct vfio_device_gfx_plane_info *info)
{
	return gfx_query(vdev, VFIO_GFX_PLANE_TYPE_REGION, 0, info);
}

/**
 * gfx_wait() - wait until the plane has a certain width
 * @vdev: an open device
 * @width: width of the plane, 0 for none
 * @info: filled in
 *
 * Return: 0 or a negative errno; -ETIMEDOUT if it stays different.
 */
int gfx_wait(const struct vdev *vdev, __u32 width,
	     struct vfio_device_gfx_plane_info *info)
{
	__u64 end = now_ms() + WAIT_MS;
	int ret;

	do {
		ret = gfx_plane(vdev, info);
		if (ret || info->width == width)
			return ret;
		usleep(2000);
	} while (now_ms() < end);

	return -ETIMEDOUT;
}

/**
 * gfx_dmabuf_plane() - ask for the plane as QEMU does of a display with dma-bufs
 * @vdev: an open device
 * @info: filled in
 *
 * Return: 0 or a negative errno.
 */
int gfx_dmabuf_plane(const struct vdev *vdev,
		     struct vfio_device_gfx_plane_info *info)
{
	return gfx_query(vdev, VFIO_GFX_PLANE_TYPE_DMABUF, 1, info);
}

/**
 * gfx_dmabuf_wait() - wait until another plane is displayed
 * @vdev: an open device
 * @id: id of the last plane
 * @info: filled in
 *
 * Return: 0 or a negative errno; -ETIMEDOUT if it stays the same.
 */
int gfx_dmabuf_wait(const struct vdev *vdev, __u32 id,
		    struct vfio_device_gfx_plane_info *info)
{
	__u64 end = now_ms() + WAIT_MS;
	int ret;

	do {
		ret = gfx_dmabuf_plane(vdev, info);
		if (ret || info->dmabuf_id != id)
			return ret;
		usleep(2000);
	} while (now_ms() < end);

	return -ETIMEDOUT;
}

/**
 * gfx_dmabuf() - VFIO_DEVICE_GET_GFX_DMABUF
 * @vdev: an open device
 * @id: id of a plane
 *
 * Return: a file descriptor or a negative errno.
 */
int gfx_dmabuf(const struct vdev *vdev, __u32 id)
{
	return vdev_ioctl(vdev, VFIO_DEVICE_GET_GFX_DMABUF, &id);
}

/**
 * gfx_region() - find a region of VFIO_REGION_TYPE_GFX
 * @vdev: an open device
 * @subtype: subtype of the region
 *
 * Return: its index; -ENOENT if there is none; or another negative errno.
 */
int gfx_region(const struct vdev *vdev, __u32 subtype)
{
	union {
		struct vfio_region_info info;
		char room[256];
	} u;
	struct vfio_region_info_cap_type type;
	struct vfio_info_cap_header header;
	struct vfio_device_info device;
	unsigned int i;
	__u32 at;
	int ret;

	ret = vdev_info(vdev, &device);
	if (ret)
		return ret;

	for (i = VFIO_PCI_NUM_REGIONS; i < device.num_regions; i++) {
		memset(&u, 0, sizeof(u));
		u.info.argsz = sizeof(u);
		u.info.index = i;
		ret = vdev_ioctl(vdev, VFIO_DEVICE_GET_REGION_INFO, &u);
		if (ret)
			return ret;
		if (!(u.info.flags & VFIO_REGION_INFO_FLAG_CAPS))
			continue;
		for (at = u.info.cap_offset; at; at = header.next) {
			memcpy(&header, u.room + at, sizeof(header));
			if (header.id != VFIO_REGION_INFO_CAP_TYPE)
				continue;
			memcpy(&type, u.room + at, sizeof(type));
			if (type.type == VFIO_REGION_TYPE_GFX &&
			    type.subtype == subtype)
				return i;
		}
	}

	return -ENOENT;
}

/**
 * gfx_map() - map a part of a region
 * @vdev: an open device
 * @region: index
 * @offset: offset in the region
 * @len: bytes
 * @prot: PROT_*
 * @map: filled in
 *
 * Return: 0 or a negative errno.
 */
int gfx_map(const struct vdev *vdev, unsigned int region, __u64 offset,
	    size_t len, int prot, void **map)
{
	struct vfio_region_info info;
	int ret;

	ret = vdev_region_info(vdev, region, &info);
	if (ret)
		return ret;
	*map = mmap(NULL, len, prot, MAP_SHARED, vdev->fd,
		    info.offset + offset);
	if (*map != MAP_FAILED)
		return 0;
	*map = NULL;

	return -errno;
}

/**
 * edid_region() - find the EDID region
 * @vdev: an open device
 *
 * Return: its index or a negative errno.
 */
int edid_region(const struct vdev *vdev)
{
	return gfx_region(vdev, VFIO_REGION_SUBTYPE_GFX_EDID);
}

/**
 * edid_info() - read the fields of the EDID region
 * @vdev: an open device
 * @info: filled in
 *
 * Return: 0 or a negative errno.
 */
int edid_info(const struct vdev *vdev, struct vfio_region_gfx_edid *info)
{
	int ret = vdev_read(vdev, edid_region(vdev), 0, info, sizeof(*info));

	return ret < 0 ? ret : ret == sizeof(*info) ? 0 : -EIO;
}

/**
 * edid_put() - write a field of the EDID region
 * @vdev: an open device
 * @field: its offset
 * @val: the value
 *
 * Return: 0 or a negative errno.
 */
int edid_put(const struct vdev *vdev, size_t field, __u32 val)
{
	int ret = vdev_write(vdev, edid_region(vdev), field, &val, sizeof(val));

	return ret < 0 ? ret : ret == sizeof(val) ? 0 : -EIO;
}

/**
 * edid_link() - plug or unplug the monitor
 * @vdev: an open device
 * @up: link state
 *
 * Return: 0 or a negative errno.
 */
int edid_link(const struct vdev *vdev, bool up)
{
	return edid_put(vdev, offsetof(struct vfio_region_gfx_edid, link_state),
			up ? VFIO_DEVICE_GFX_LINK_STATE_UP :
			     VFIO_DEVICE_GFX_LINK_STATE_DOWN);
}

/**
 * edid_plug() - replace the monitor, as VFIO's header describes it
 * @vdev: an open device
 * @edid: EDID of the monitor
 * @len: bytes
 *
 * Return: 0 or a negative errno.
 */
int edid_plug(const struct vdev *vdev, const __u8 *edid, size_t len)
{
	struct vfio_region_gfx_edid info;
	int ret;

	ret = edid_link(vdev, false);
	if (!ret)
		ret = edid_info(vdev, &info);
	if (!ret)
		ret = edid_put(vdev, offsetof(struct vfio_region_gfx_edid,
					      edid_size), len);
	if (ret)
		return ret;
	ret = vdev_write(vdev, edid_region(vdev), info.edid_offset, edid, len);
	if (ret != (int)len)
		return ret < 0 ? ret : -EIO;

	return edid_link(vdev, true);
}

/**
 * edid_seal() - make the sums of an EDID's blocks right
 * @edid: EDID to change
 * @len: bytes
 */
void edid_seal(__u8 *edid, size_t len)
{
	unsigned int i;
	__u8 sum;

	for (; len; len -= EDID_BLOCK, edid += EDID_BLOCK) {
		for (i = 0, sum = 0; i < EDID_BLOCK - 1; i++)
			sum += edid[i];
		edid[EDID_BLOCK - 1] = -sum;
	}
}

/**
 * edid_make() - describe a monitor
 * @edid: filled in, EDID_BLOCK bytes
 * @width: width of its preferred mode
 * @height: height of it
 */
void edid_make(__u8 *edid, unsigned int width, unsigned int height)
{
	static const __u8 magic[] = { 0, 255, 255, 255, 255, 255, 255, 0 };
	__u8 *timing = edid + EDID_TIMING;

	memset(edid, 0, EDID_BLOCK);
	memcpy(edid, magic, sizeof(magic));
	edid[18] = 1;
	edid[19] = 4;
	timing[0] = 1;
	timing[2] = width;
	timing[4] = width >> 8 << 4;
	timing[5] = height;
	timing[7] = height >> 8 << 4;
	edid_seal(edid, EDID_BLOCK);
}

/**
 * guest_write() - write a register of the display
 * @vdev: an open device
 * @index: index of the register
 * @val: the value
 *
 * Return: 0 or a negative errno.
 */
int guest_write(const struct vdev *vdev, unsigned int index, __u16 val)
{
	int ret = vdev_write(vdev, NVVGPU_EMU_VF_BAR_REGS,
			     NVVGPU_EMU_VF_REG_DISPI + 2 * index, &val,
			     sizeof(val));

	return ret < 0 ? ret : ret == sizeof(val) ? 0 : -EIO;
}

/**
 * guest_mode() - set a mode
 * @vdev: an open device
 * @mode: the mode
 *
 * Return: 0 or a negative errno.
 */
int guest_mode(const struct vdev *vdev, const struct mode *mode)
{
	return guest_write(vdev, DISPI_ENABLE, 0) ?:
	       guest_write(vdev, DISPI_XRES, mode->width) ?:
	       guest_write(vdev, DISPI_YRES, mode->height) ?:
	       guest_write(vdev, DISPI_BPP, mode->bpp) ?:
	       guest_write(vdev, DISPI_VIRT_WIDTH, mode->virt_width) ?:
	       guest_write(vdev, DISPI_X_OFFSET, mode->x) ?:
	       guest_write(vdev, DISPI_Y_OFFSET, mode->y) ?:
	       guest_write(vdev, DISPI_ENABLE, DISPI_ENABLED);
}

/**
 * guest_flip() - display other lines of the framebuffer
 * @vdev: an open device
 * @y: the first line
 *
 * Return: 0 or a negative errno.
 */
int guest_flip(const struct vdev *vdev, __u16 y)
{
	return guest_write(vdev, DISPI_Y_OFFSET, y);
}

/**
 * guest_off() - switch the display off
 * @vdev: an open device
 *
 * Return: 0 or a negative errno.
 */
int guest_off(const struct vdev *vdev)
{
	return guest_write(vdev, DISPI_ENABLE, 0);
}

/**
 * guest_edid() - read the EDID of the monitor
 * @vdev: an open device
 * @edid: room for NVVGPU_EMU_EDID_SIZE bytes
 *
 * Return: 0 or a negative errno.
 */
int guest_edid(const struct vdev *vdev, __u8 *edid)
{
	int ret = vdev_read(vdev, NVVGPU_EMU_VF_BAR_REGS,
			    NVVGPU_EMU_VF_REG_EDID, edid, NVVGPU_EMU_EDID_SIZE);

	return ret < 0 ? ret : ret == NVVGPU_EMU_EDID_SIZE ? 0 : -EIO;
}
