// SPDX-License-Identifier: GPL-2.0-only
/*
 * The monitor of a vGPU: VFIO's EDID region, by which the user of the device
 * replaces it.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>
#include <linux/vfio_pci_core.h>

#include "nvvgpu.h"

#define EDID_BLOCK		128
#define EDID_TIMINGS		54	/* of the base block */
#define EDID_EXTENSIONS		126
#define EDID_TIMING_LEN		18
#define EDID_CTA		0x02	/* first byte of a CTA-861 extension */

/* The blob follows struct vfio_region_gfx_edid. */
#define NVVGPU_EDID_OFFSET	64
#define NVVGPU_EDID_REGION	(NVVGPU_EDID_OFFSET + NVVGPU_EDID_LEN)

static_assert(sizeof(struct vfio_region_gfx_edid) <= NVVGPU_EDID_OFFSET);
static_assert(NVVGPU_EDID_LEN % EDID_BLOCK == 0);

static bool nvvgpu_edid_sum_valid(const u8 *block)
{
	u8 sum = 0;
	int i;

	for (i = 0; i < EDID_BLOCK; i++)
		sum += block[i];

	return !sum;
}

/* Skip the descriptors of other kinds between the detailed timings. */
static bool nvvgpu_edid_timings_fit(const u8 *timing, const u8 *end,
				    u32 max_width, u32 max_height)
{
	for (; timing + EDID_TIMING_LEN <= end; timing += EDID_TIMING_LEN) {
		if (!get_unaligned_le16(timing))
			continue;
		if ((timing[2] | (timing[4] & 0xf0) << 4) > max_width ||
		    (timing[5] | (timing[7] & 0xf0) << 4) > max_height)
			return false;
	}

	return true;
}

/**
 * nvvgpu_edid_valid() - check an EDID
 * @edid: EDID to check
 * @length: bytes of @edid
 * @max_width: the most pixels of a detailed timing
 * @max_height: the most lines of a detailed timing
 *
 * Return: true if the blocks are complete and no detailed timing is too large
 */
VISIBLE_IF_KUNIT
bool nvvgpu_edid_valid(const u8 *edid, size_t length, u32 max_width,
		       u32 max_height)
{
	static const u8 magic[] = { 0, 255, 255, 255, 255, 255, 255, 0 };
	const u8 *block;

	if (length < EDID_BLOCK || length > NVVGPU_EDID_LEN ||
	    length != (edid[EDID_EXTENSIONS] + 1) * EDID_BLOCK ||
	    memcmp(edid, magic, sizeof(magic)))
		return false;

	for (block = edid; block < edid + length; block += EDID_BLOCK)
		if (!nvvgpu_edid_sum_valid(block))
			return false;
	if (!nvvgpu_edid_timings_fit(edid + EDID_TIMINGS,
				     edid + EDID_EXTENSIONS, max_width,
				     max_height))
		return false;

	block = edid + EDID_BLOCK;
	if (length == EDID_BLOCK || block[0] != EDID_CTA)
		return true;

	/* Its third byte says where the timings begin, 0 for none. */
	return block[2] < EDID_BLOCK &&
	       (!block[2] ||
		nvvgpu_edid_timings_fit(block + block[2],
					block + EDID_BLOCK - 1, max_width,
					max_height));
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_edid_valid);

/* Begin with the EDID that the back-end has. */
static int nvvgpu_edid_load(struct nvvgpu *vgpu)
{
	struct nvvgpu_display *display = &vgpu->display;
	int ret;

	lockdep_assert_held(&vgpu->state_mutex);

	if (vgpu->state != NVVGPU_OPEN)
		return -EIO;
	if (display->edid_known)
		return 0;

	memset(display->edid, 0, sizeof(display->edid));
	ret = nvvgpu_op_get_edid(vgpu, display->edid);
	if (ret > 0 &&
	    !nvvgpu_edid_valid(display->edid, ret, vgpu->type.max_width,
			       vgpu->type.max_height))
		ret = -EPROTO;
	if (ret < 0)
		return nvvgpu_refuse(vgpu, ret, "cannot get the EDID");
	display->edid_len = ret;
	display->link_up = ret;
	display->edid_known = true;

	return 0;
}

static int nvvgpu_edid_plug(struct nvvgpu *vgpu)
{
	struct nvvgpu_display *display = &vgpu->display;
	int ret;

	if (display->link_up)
		return 0;
	if (!nvvgpu_edid_valid(display->edid, display->edid_len,
			       vgpu->type.max_width, vgpu->type.max_height))
		return nvvgpu_refuse(vgpu, -EINVAL,
				     "cannot plug in the monitor: invalid EDID");

	ret = nvvgpu_op_set_edid(vgpu, display->edid, display->edid_len);
	if (ret)
		return nvvgpu_refuse(vgpu, ret, "cannot plug in the monitor");
	display->link_up = true;
	display->edid_changed = true;

	return 0;
}

static int nvvgpu_edid_unplug(struct nvvgpu *vgpu)
{
	struct nvvgpu_display *display = &vgpu->display;
	int ret;

	if (!display->link_up)
		return 0;

	ret = nvvgpu_op_set_edid(vgpu, NULL, 0);
	if (ret)
		return nvvgpu_refuse(vgpu, ret, "cannot unplug the monitor");
	display->link_up = false;
	display->edid_changed = true;

	return 0;
}

static int nvvgpu_edid_set_link(struct nvvgpu *vgpu, u32 link_state)
{
	switch (link_state) {
	case VFIO_DEVICE_GFX_LINK_STATE_UP:
		return nvvgpu_edid_plug(vgpu);
	case VFIO_DEVICE_GFX_LINK_STATE_DOWN:
		return nvvgpu_edid_unplug(vgpu);
	default:
		return -EINVAL;
	}
}

static int nvvgpu_edid_set_size(struct nvvgpu *vgpu, u32 size)
{
	if (vgpu->display.link_up)
		return -EBUSY;
	if (size > NVVGPU_EDID_LEN)
		return -EINVAL;
	vgpu->display.edid_len = size;

	return 0;
}

static ssize_t nvvgpu_edid_write(struct nvvgpu *vgpu, const char __user *buf,
				 size_t count, u64 offset)
{
	u8 data[NVVGPU_EDID_LEN];
	int ret;

	if (offset < NVVGPU_EDID_OFFSET && count != sizeof(u32))
		return -EINVAL;
	if (count > sizeof(data) || copy_from_user(data, buf, count))
		return -EFAULT;

	guard(nvvgpu)(vgpu);

	ret = nvvgpu_edid_load(vgpu);
	if (ret)
		return ret;

	if (offset == offsetof(struct vfio_region_gfx_edid, link_state)) {
		ret = nvvgpu_edid_set_link(vgpu, get_unaligned((u32 *)data));
	} else if (offset == offsetof(struct vfio_region_gfx_edid, edid_size)) {
		ret = nvvgpu_edid_set_size(vgpu, get_unaligned((u32 *)data));
	} else if (offset < NVVGPU_EDID_OFFSET) {
		ret = -EINVAL;
	} else if (vgpu->display.link_up) {
		ret = -EBUSY;
	} else {
		memcpy(vgpu->display.edid + offset - NVVGPU_EDID_OFFSET, data,
		       count);
		ret = 0;
	}

	return ret ?: count;
}

static ssize_t nvvgpu_edid_read(struct nvvgpu *vgpu, char __user *buf,
				size_t count, u64 offset)
{
	struct vfio_region_gfx_edid info = {
		.edid_offset = NVVGPU_EDID_OFFSET,
		.edid_max_size = NVVGPU_EDID_LEN,
		.max_xres = vgpu->type.max_width,
		.max_yres = vgpu->type.max_height,
	};
	u8 data[NVVGPU_EDID_REGION] = {};
	int ret;

	scoped_guard(nvvgpu, vgpu) {
		ret = nvvgpu_edid_load(vgpu);
		if (ret)
			return ret;
		info.edid_size = vgpu->display.edid_len;
		info.link_state = vgpu->display.link_up ?
				  VFIO_DEVICE_GFX_LINK_STATE_UP :
				  VFIO_DEVICE_GFX_LINK_STATE_DOWN;
		memcpy(data + NVVGPU_EDID_OFFSET, vgpu->display.edid,
		       sizeof(vgpu->display.edid));
	}
	memcpy(data, &info, sizeof(info));

	return copy_to_user(buf, data + offset, count) ? -EFAULT : count;
}

static ssize_t nvvgpu_edid_rw(struct vfio_pci_core_device *core,
			      char __user *buf, size_t count, loff_t *ppos,
			      bool iswrite)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(&core->vdev);
	u64 offset = *ppos & VFIO_PCI_OFFSET_MASK;
	ssize_t done;

	if (offset >= NVVGPU_EDID_REGION)
		return -EINVAL;
	count = min_t(u64, count, NVVGPU_EDID_REGION - offset);

	done = iswrite ? nvvgpu_edid_write(vgpu, buf, count, offset) :
			 nvvgpu_edid_read(vgpu, buf, count, offset);
	if (done > 0)
		*ppos += done;

	return done;
}

static void nvvgpu_edid_release(struct vfio_pci_core_device *core,
				struct vfio_pci_region *region)
{
}

static const struct vfio_pci_regops nvvgpu_edid_regops = {
	.rw = nvvgpu_edid_rw,
	.release = nvvgpu_edid_release,
};

/**
 * nvvgpu_edid_open() - offer the EDID region
 * @vgpu: the VF, locked; its device is being opened
 *
 * Return: 0; -ENOMEM
 */
int nvvgpu_edid_open(struct nvvgpu *vgpu)
{
	lockdep_assert_held(&vgpu->state_mutex);

	vgpu->display.edid_known = false;
	vgpu->display.edid_changed = false;

	return vfio_pci_core_register_dev_region(&vgpu->core,
						 VFIO_REGION_TYPE_GFX,
						 VFIO_REGION_SUBTYPE_GFX_EDID,
						 &nvvgpu_edid_regops,
						 NVVGPU_EDID_REGION,
						 VFIO_REGION_INFO_FLAG_READ |
						 VFIO_REGION_INFO_FLAG_WRITE,
						 NULL);
}

/**
 * nvvgpu_edid_restart() - plug the user's monitor into a recovered vGPU
 * @vgpu: the VF, locked
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_edid_restart(struct nvvgpu *vgpu)
{
	struct nvvgpu_display *display = &vgpu->display;

	if (!display->offered || !display->edid_changed)
		return 0;
	if (!display->link_up)
		return nvvgpu_op_set_edid(vgpu, NULL, 0);

	return nvvgpu_op_set_edid(vgpu, display->edid, display->edid_len);
}
