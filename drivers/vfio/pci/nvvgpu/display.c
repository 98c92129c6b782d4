// SPDX-License-Identifier: GPL-2.0-only
/*
 * The display of a vGPU for viewers, which shows the plane on its first head.
 *
 * VFIO_DEVICE_QUERY_GFX_PLANE describes the plane, and a region of the type GFX
 * shows it from offset 0 on.  The pages of this region are pages of a BAR that
 * the user may map anyway, so it gives access to nothing new.  When the guest
 * flips to another part of the framebuffer, the mapping is revoked, and the
 * next access maps the new pages.  If there is nothing to show, it maps a page
 * of zeroes: a viewer must not die when the guest switches its display off.
 *
 * Instead of the region, the administrator may choose dma-bufs, see scanout.c.
 * Each plane then has an id, which the query returns.
 *
 * A query does not wait for the back-end.  It reads a copy of the plane, which a
 * work item updates when the back-end reports a change.
 */
#include <drm/drm_fourcc.h>
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vfio_pci_core.h>

#include "nvvgpu.h"

/* No viewer looks at the display more often than this. */
#define NVVGPU_DISPLAY_DELAY	max(1, HZ / 60)

/* DRM_PLANE_TYPE_CURSOR, which no uAPI header has */
#define NVVGPU_PLANE_CURSOR	2

static const struct {
	u32 drm_format;
	u32 bytes;
} nvvgpu_formats[] = {
	{ DRM_FORMAT_XRGB8888, 4 },
	{ DRM_FORMAT_ARGB8888, 4 },
	{ DRM_FORMAT_XBGR8888, 4 },
	{ DRM_FORMAT_ABGR8888, 4 },
	{ DRM_FORMAT_RGB888, 3 },
	{ DRM_FORMAT_RGB565, 2 },
};

static u32 nvvgpu_pixel_bytes(u32 drm_format)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(nvvgpu_formats); i++)
		if (nvvgpu_formats[i].drm_format == drm_format)
			return nvvgpu_formats[i].bytes;

	return 0;
}

VISIBLE_IF_KUNIT
bool nvvgpu_plane_valid(struct nvvgpu *vgpu, const struct nvvgpu_plane *plane)
{
	u32 pixel = nvvgpu_pixel_bytes(plane->drm_format);
	u64 bytes = nvvgpu_plane_bytes(plane);

	return pixel && plane->width && plane->height &&
	       plane->width <= vgpu->type.max_width &&
	       plane->height <= vgpu->type.max_height &&
	       (u64)plane->width * pixel <= plane->stride &&
	       bytes <= vgpu->display.region_bytes && bytes <= U32_MAX &&
	       PAGE_ALIGNED(plane->offset) && plane->bar < NVVGPU_MAX_BARS &&
	       nvvgpu_bar_mappable(&vgpu->bars[plane->bar].info, plane->offset,
				   bytes);
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_plane_valid);

static bool nvvgpu_param_is(const char *param, size_t len, const char *text)
{
	return len == strlen(text) && !memcmp(param, text, len);
}

/**
 * nvvgpu_display_param() - read the value of "display" in vgpu_params
 * @params: "key=value,key=value", NUL-terminated
 * @mode: receives the way to offer a display
 *
 * Return: 0; -EINVAL if the value is unknown; -EOPNOTSUPP if the kernel cannot
 * export dma-bufs of VFIO devices
 */
int nvvgpu_display_param(const char *params, enum nvvgpu_display_mode *mode)
{
	size_t len;

	*mode = NVVGPU_DISPLAY_REGION;
	for (; *params; params += len + !!params[len]) {
		len = strcspn(params, ",\n");
		if (!str_has_prefix(params, "display="))
			continue;
		if (nvvgpu_param_is(params, len, "display=off"))
			*mode = NVVGPU_DISPLAY_OFF;
		else if (nvvgpu_param_is(params, len, "display=region"))
			*mode = NVVGPU_DISPLAY_REGION;
		else if (nvvgpu_param_is(params, len, "display=dmabuf"))
			*mode = NVVGPU_DISPLAY_DMABUF;
		else
			return -EINVAL;
	}
	if (*mode == NVVGPU_DISPLAY_DMABUF &&
	    !IS_ENABLED(CONFIG_VFIO_PCI_DMABUF))
		return -EOPNOTSUPP;

	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_display_param);

static struct nvvgpu_plane nvvgpu_display_get(struct nvvgpu *vgpu)
{
	guard(spinlock)(&vgpu->display.lock);

	return vgpu->display.plane;
}

static struct nvvgpu_plane nvvgpu_display_seen(struct nvvgpu *vgpu)
{
	guard(spinlock)(&vgpu->display.lock);

	return vgpu->display.seen;
}

/*
 * Mappings of the previous plane are revoked later, and until then a query must
 * not describe the new one.  A query reports a blank display immediately, and
 * also a new plane if there are dma-bufs: each shows its own plane only.
 */
VISIBLE_IF_KUNIT
void nvvgpu_display_set(struct nvvgpu *vgpu, const struct nvvgpu_plane *plane)
{
	struct nvvgpu_display *display = &vgpu->display;

	guard(spinlock)(&display->lock);

	if (!memcmp(&display->plane, plane, sizeof(*plane)))
		return;
	display->plane = *plane;
	if (!plane->width || display->mode == NVVGPU_DISPLAY_DMABUF)
		display->seen = *plane;
	if (display->mode != NVVGPU_DISPLAY_DMABUF)
		display->changes++;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_display_set);

static bool nvvgpu_display_is_stale(struct nvvgpu *vgpu)
{
	struct nvvgpu_display *display = &vgpu->display;

	guard(spinlock)(&display->lock);

	return display->revoked != display->changes;
}

/* Mappings now show @plane, the plane as of @changes, or a newer one. */
VISIBLE_IF_KUNIT
void nvvgpu_display_revoked(struct nvvgpu *vgpu,
			    const struct nvvgpu_plane *plane, u64 changes)
{
	struct nvvgpu_display *display = &vgpu->display;

	guard(spinlock)(&display->lock);

	display->revoked = changes;
	if (display->plane.width && display->mode != NVVGPU_DISPLAY_DMABUF)
		display->seen = *plane;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_display_revoked);

/* Revoke mappings that may show something other than the plane. */
static void nvvgpu_display_revoke_locked(struct nvvgpu *vgpu)
{
	struct nvvgpu_display *display = &vgpu->display;
	struct nvvgpu_plane plane;
	u64 changes;

	/* Faults that have seen the old plane have finished. */
	lockdep_assert_held_write(&vgpu->core.memory_lock);

	scoped_guard(spinlock, &display->lock) {
		if (display->revoked == display->changes)
			return;
		plane = display->plane;
		changes = display->changes;
	}
	nvvgpu_display_unmap(vgpu);
	nvvgpu_display_revoked(vgpu, &plane, changes);
}

static void nvvgpu_display_revoke(struct nvvgpu *vgpu)
{
	if (!nvvgpu_display_is_stale(vgpu))
		return;

	guard(rwsem_write)(&vgpu->core.memory_lock);
	nvvgpu_display_revoke_locked(vgpu);
}

/* Like nvvgpu_display_revoke(), but leave it to the worker during a reset. */
static void nvvgpu_display_try_revoke(struct nvvgpu *vgpu)
{
	if (!nvvgpu_display_is_stale(vgpu) ||
	    !down_write_trylock(&vgpu->core.memory_lock))
		return;

	nvvgpu_display_revoke_locked(vgpu);
	up_write(&vgpu->core.memory_lock);
}

/* Return whether the display shows the plane of the back-end, not a blank. */
static bool nvvgpu_display_is_lit(struct nvvgpu *vgpu)
{
	return vgpu->display.offered && vgpu->state == NVVGPU_OPEN &&
	       vgpu->started && !vgpu->resets &&
	       vgpu->mig_state != VFIO_DEVICE_STATE_RESUMING &&
	       vgpu->mig_state != VFIO_DEVICE_STATE_ERROR;
}

static void nvvgpu_display_fetch(struct nvvgpu *vgpu,
				 struct nvvgpu_plane *plane)
{
	lockdep_assert_held(&vgpu->state_mutex);

	memset(plane, 0, sizeof(*plane));
	if (!nvvgpu_display_is_lit(vgpu))
		return;

	if (nvvgpu_op_get_plane(vgpu, plane)) {
		plane->width = 0;
	} else if (plane->width && !nvvgpu_plane_valid(vgpu, plane)) {
		nvvgpu_refuse(vgpu, -EINVAL, "cannot show the display: its plane is invalid");
		plane->width = 0;
	}
	if (!plane->width)
		memset(plane, 0, sizeof(*plane));
}

static void nvvgpu_display_work(struct work_struct *work)
{
	struct nvvgpu *vgpu = container_of(to_delayed_work(work), struct nvvgpu,
					   display.work);
	struct nvvgpu_plane plane;

	/* The user who watched the display may have closed the device. */
	scoped_guard(nvvgpu, vgpu) {
		if (vgpu->display.watched) {
			nvvgpu_display_fetch(vgpu, &plane);
			nvvgpu_display_set(vgpu, &plane);
		}
	}
	nvvgpu_display_revoke(vgpu);
}

/**
 * nvvgpu_display_update() - fetch the plane from the back-end soon
 * @vgpu: the VF
 *
 * Context: any.
 */
void nvvgpu_display_update(struct nvvgpu *vgpu)
{
	if (READ_ONCE(vgpu->display.offered) &&
	    READ_ONCE(vgpu->display.watched))
		queue_delayed_work(system_dfl_wq, &vgpu->display.work,
				   NVVGPU_DISPLAY_DELAY);
}

/* The user looks at the display, so the plane must be known from now on. */
static void nvvgpu_display_watch(struct nvvgpu *vgpu)
{
	if (READ_ONCE(vgpu->display.watched))
		return;

	WRITE_ONCE(vgpu->display.watched, true);
	nvvgpu_display_update(vgpu);
}

/**
 * nvvgpu_display_blank() - show nothing, until the plane is fetched again
 * @vgpu: the VF, locked
 */
void nvvgpu_display_blank(struct nvvgpu *vgpu)
{
	static const struct nvvgpu_plane blank;

	lockdep_assert_held(&vgpu->state_mutex);

	if (!vgpu->display.offered)
		return;
	nvvgpu_display_set(vgpu, &blank);
	nvvgpu_display_update(vgpu);
}

/* A change of the format, the size or the location makes it another plane. */
static bool nvvgpu_plane_equal(const struct nvvgpu_plane *a,
			       const struct nvvgpu_plane *b)
{
	return a->drm_format == b->drm_format && a->width == b->width &&
	       a->height == b->height && a->stride == b->stride &&
	       a->bar == b->bar && a->offset == b->offset;
}

/*
 * Get the id of a plane.  It stays the same as long as the plane is among the
 * last ones that were shown.
 */
VISIBLE_IF_KUNIT
u32 nvvgpu_plane_id(struct nvvgpu *vgpu, const struct nvvgpu_plane *plane)
{
	struct nvvgpu_display *display = &vgpu->display;
	struct nvvgpu_plane_id found;
	size_t i;

	if (!plane->width)
		return 0;

	guard(spinlock)(&display->lock);

	for (i = 0; i < ARRAY_SIZE(display->ids) - 1; i++)
		if (!display->ids[i].id ||
		    nvvgpu_plane_equal(&display->ids[i].plane, plane))
			break;
	found = display->ids[i];
	if (!found.id || !nvvgpu_plane_equal(&found.plane, plane)) {
		found.plane = *plane;
		found.id = ++display->last_id ?: ++display->last_id;
	}
	memmove(display->ids + 1, display->ids, i * sizeof(*display->ids));
	display->ids[0] = found;

	return found.id;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_plane_id);

VISIBLE_IF_KUNIT
bool nvvgpu_plane_find(struct nvvgpu *vgpu, u32 id, struct nvvgpu_plane *plane)
{
	struct nvvgpu_display *display = &vgpu->display;
	size_t i;

	guard(spinlock)(&display->lock);

	for (i = 0; id && i < ARRAY_SIZE(display->ids); i++) {
		if (display->ids[i].id != id)
			continue;
		*plane = display->ids[i].plane;
		return true;
	}

	return false;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_plane_find);

static int nvvgpu_display_answer(struct nvvgpu *vgpu, unsigned long arg,
				 size_t size,
				 const struct vfio_device_gfx_plane_info *query,
				 struct nvvgpu_plane plane)
{
	struct vfio_device_gfx_plane_info info;

	/* No back-end has a cursor. */
	if (query->drm_plane_type == NVVGPU_PLANE_CURSOR)
		memset(&plane, 0, sizeof(plane));

	info = (struct vfio_device_gfx_plane_info) {
		.argsz = query->argsz,
		.flags = query->flags,
		.drm_plane_type = query->drm_plane_type,
		.drm_format = plane.drm_format,
		.drm_format_mod = DRM_FORMAT_MOD_LINEAR,
		.width = plane.width,
		.height = plane.height,
		.stride = plane.stride,
		.size = nvvgpu_plane_bytes(&plane),
		.x_hot = U32_MAX,
		.y_hot = U32_MAX,
	};
	if (vgpu->display.mode == NVVGPU_DISPLAY_DMABUF)
		info.dmabuf_id = nvvgpu_plane_id(vgpu, &plane);
	else
		info.region_index = vgpu->display.plane_region;

	return copy_to_user((void __user *)arg, &info, size) ? -EFAULT : 0;
}

/**
 * nvvgpu_display_query() - answer VFIO_DEVICE_QUERY_GFX_PLANE
 * @vgpu: the VF, its device open
 * @arg: user's struct vfio_device_gfx_plane_info
 *
 * A mapping of the region shows the plane that the last query has described, or
 * a newer one.
 *
 * Return: 0; -ENOTTY if the vGPU has no display; -EINVAL if the query is
 * invalid, or is for a region when there are dma-bufs, or vice versa; -EFAULT
 */
long nvvgpu_display_query(struct nvvgpu *vgpu, unsigned long arg)
{
	const size_t minsz = offsetofend(struct vfio_device_gfx_plane_info,
					 dmabuf_id);
	struct vfio_device_gfx_plane_info info = {};
	u32 type;

	if (!vgpu->display.offered)
		return -ENOTTY;
	if (copy_from_user(&info, (void __user *)arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	type = vgpu->display.mode == NVVGPU_DISPLAY_DMABUF ?
	       VFIO_GFX_PLANE_TYPE_DMABUF : VFIO_GFX_PLANE_TYPE_REGION;
	if (info.flags == (VFIO_GFX_PLANE_TYPE_PROBE | type)) {
		/* Fetch the plane now, so that the first query finds it. */
		nvvgpu_display_watch(vgpu);
		return 0;
	}
	if (info.flags != type || info.drm_plane_type > NVVGPU_PLANE_CURSOR)
		return -EINVAL;

	nvvgpu_display_watch(vgpu);
	nvvgpu_display_try_revoke(vgpu);
	/* A runtime resume may have ended low power mode. */
	nvvgpu_scanouts_update(vgpu);

	return nvvgpu_display_answer(vgpu, arg, minsz, &info,
				     nvvgpu_display_seen(vgpu));
}

/**
 * nvvgpu_display_get_dmabuf() - answer VFIO_DEVICE_GET_GFX_DMABUF
 * @vgpu: the VF, its device open
 * @arg: user's id of a plane
 *
 * Return: a file descriptor; -ENOTTY if the display has no dma-bufs; -EFAULT;
 * -EINVAL if no recent plane has this id; or the error of
 * nvvgpu_scanout_export()
 */
long nvvgpu_display_get_dmabuf(struct nvvgpu *vgpu, unsigned long arg)
{
	struct nvvgpu_plane plane;
	u32 id;

	if (!vgpu->display.offered ||
	    vgpu->display.mode != NVVGPU_DISPLAY_DMABUF)
		return -ENOTTY;
	if (get_user(id, (u32 __user *)arg))
		return -EFAULT;
	if (!nvvgpu_plane_find(vgpu, id, &plane))
		return -EINVAL;

	return nvvgpu_scanout_export(vgpu, &plane);
}

static ssize_t nvvgpu_plane_rw(struct vfio_pci_core_device *core,
			       char __user *buf, size_t count, loff_t *ppos,
			       bool iswrite)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(&core->vdev);
	u64 offset = *ppos & VFIO_PCI_OFFSET_MASK;
	struct nvvgpu_plane plane;
	u64 bytes;

	if (iswrite || offset >= vgpu->display.region_bytes)
		return -EINVAL;
	count = min_t(u64, count, vgpu->display.region_bytes - offset);

	nvvgpu_display_watch(vgpu);
	plane = nvvgpu_display_get(vgpu);
	bytes = nvvgpu_plane_bytes(&plane);
	if (offset < bytes) {
		loff_t pos = VFIO_PCI_INDEX_TO_OFFSET(plane.bar) +
			     plane.offset + offset;
		ssize_t done;

		count = min_t(u64, count, bytes - offset);
		done = vfio_pci_core_read(&core->vdev, buf, count, &pos);
		if (done > 0)
			*ppos += done;
		/* Blank while the device's memory is inaccessible */
		if (done != -EIO)
			return done;
	}

	if (clear_user(buf, count))
		return -EFAULT;
	*ppos += count;

	return count;
}

static vm_fault_t nvvgpu_plane_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct vfio_pci_core_device *core = vma->vm_private_data;
	struct nvvgpu *vgpu = nvvgpu_from_vdev(&core->vdev);
	u64 offset = (u64)(vmf->pgoff - NVVGPU_DISPLAY_PGOFF) << PAGE_SHIFT;
	struct nvvgpu_plane plane;
	vm_fault_t ret;

	guard(rwsem_read)(&core->memory_lock);

	plane = nvvgpu_display_get(vgpu);
	if (READ_ONCE(vgpu->accessible) &&
	    offset < nvvgpu_plane_bytes(&plane)) {
		phys_addr_t bar = pci_resource_start(core->pdev, plane.bar);

		ret = vfio_pci_vmf_insert_pfn(core, vmf,
					      PHYS_PFN(bar + plane.offset +
						       offset), 0);
		if (ret != VM_FAULT_SIGBUS)
			return ret;

		/* The device's memory is inaccessible: try again at a query. */
		nvvgpu_display_retry(vgpu);
	}

	return vmf_insert_pfn_prot(vma, vmf->address,
				   page_to_pfn(ZERO_PAGE(vmf->address)),
				   vm_get_page_prot(vma->vm_flags));
}

static const struct vm_operations_struct nvvgpu_plane_vm_ops = {
	.fault = nvvgpu_plane_fault,
};

static int nvvgpu_plane_mmap(struct vfio_pci_core_device *core,
			     struct vfio_pci_region *region,
			     struct vm_area_struct *vma)
{
	unsigned int shift = VFIO_PCI_OFFSET_SHIFT - PAGE_SHIFT;
	unsigned long pgoff = vma->vm_pgoff & ((1UL << shift) - 1);
	unsigned long pages = region->size >> PAGE_SHIFT;

	/* All processes share the blank page, so it must not be written to. */
	if (vma->vm_flags & VM_WRITE || pgoff > pages ||
	    vma_pages(vma) > pages - pgoff)
		return -EINVAL;

	nvvgpu_display_watch(nvvgpu_from_vdev(&core->vdev));
	vma->vm_pgoff = NVVGPU_DISPLAY_PGOFF + pgoff;
	vma->vm_private_data = core;
	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	vma->vm_page_prot = pgprot_decrypted(vma->vm_page_prot);
	vm_flags_mod(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP,
		     VM_MAYWRITE);
	vma->vm_ops = &nvvgpu_plane_vm_ops;

	return 0;
}

static void nvvgpu_plane_release(struct vfio_pci_core_device *core,
				 struct vfio_pci_region *region)
{
}

static const struct vfio_pci_regops nvvgpu_plane_regops = {
	.rw = nvvgpu_plane_rw,
	.mmap = nvvgpu_plane_mmap,
	.release = nvvgpu_plane_release,
};

/* A plane lies in one BAR, so the largest mappable BAR bounds its size. */
static u64 nvvgpu_display_room(struct nvvgpu *vgpu)
{
	unsigned int bar;
	u64 room = 0;

	for (bar = 0; bar < NVVGPU_MAX_BARS; bar++)
		if (vgpu->bars[bar].info.flags & NVVGPU_BAR_MMAP)
			room = max(room, vgpu->bars[bar].info.size);

	return PAGE_ALIGN(room);
}

/**
 * nvvgpu_display_init() - prepare the display of a VF
 * @vgpu: the VF, not registered with VFIO yet
 */
void nvvgpu_display_init(struct nvvgpu *vgpu)
{
	spin_lock_init(&vgpu->display.lock);
	INIT_DELAYED_WORK(&vgpu->display.work, nvvgpu_display_work);
}

static int nvvgpu_display_add_region(struct nvvgpu *vgpu)
{
	struct nvvgpu_display *display = &vgpu->display;

	display->plane_region = VFIO_PCI_NUM_REGIONS + vgpu->core.num_regions;

	return vfio_pci_core_register_dev_region(&vgpu->core,
						 VFIO_REGION_TYPE_GFX,
						 NVVGPU_REGION_SUBTYPE_GFX_PLANE,
						 &nvvgpu_plane_regops,
						 display->region_bytes,
						 VFIO_REGION_INFO_FLAG_READ |
						 VFIO_REGION_INFO_FLAG_MMAP,
						 NULL);
}

/**
 * nvvgpu_display_open() - offer a display, if the vGPU has one
 * @vgpu: the VF, locked; its device is being opened, its vGPU started
 *
 * vfio-pci-core removes the regions when the device is disabled.
 *
 * Return: 0, also without a display; -EINVAL if vgpu_params is invalid;
 * -EOPNOTSUPP if the kernel exports no dma-bufs; -ENOMEM
 */
int nvvgpu_display_open(struct nvvgpu *vgpu)
{
	struct nvvgpu_display *display = &vgpu->display;
	int ret;

	lockdep_assert_held(&vgpu->state_mutex);

	ret = nvvgpu_display_param(vgpu->start_params, &display->mode);
	if (ret)
		return ret;
	display->region_bytes = nvvgpu_display_room(vgpu);
	if (display->mode == NVVGPU_DISPLAY_OFF || !vgpu->type.heads ||
	    !display->region_bytes ||
	    !(nvvgpu_can(vgpu->backend) & NVVGPU_CAN_DISPLAY))
		return 0;

	display->watched = false;
	if (display->mode == NVVGPU_DISPLAY_REGION)
		ret = nvvgpu_display_add_region(vgpu);
	ret = ret ?: nvvgpu_edid_open(vgpu);
	if (ret)
		return ret;

	WRITE_ONCE(display->offered, true);

	return 0;
}

/**
 * nvvgpu_display_close() - withdraw the display from its user
 * @vgpu: the VF, locked; its device is being closed
 */
void nvvgpu_display_close(struct nvvgpu *vgpu)
{
	struct nvvgpu_display *display = &vgpu->display;

	nvvgpu_display_blank(vgpu);
	WRITE_ONCE(display->offered, false);

	guard(spinlock)(&display->lock);

	memset(display->ids, 0, sizeof(display->ids));
}
