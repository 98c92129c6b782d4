// SPDX-License-Identifier: GPL-2.0-only
/*
 * dma-bufs of the planes of a vGPU, for viewers that pass them to a GPU.
 *
 * A dma-buf is a part of a BAR that the user may map and export anyway.  Unlike
 * the dma-bufs of vfio-pci-core it can also be mapped by a process, which then
 * sees a blank page where the device's memory is inaccessible.
 *
 * vfio-pci-core does not know these dma-bufs, so the driver has to revoke them
 * itself while the device's memory is inaccessible: during resets, in low power
 * states, and when the device is closed.
 */
#include <linux/dma-buf.h>
#include <linux/dma-buf-mapping.h>
#include <linux/dma-resv.h>
#include <linux/mm.h>
#include <linux/pci-p2pdma.h>
#include <linux/vfio_pci_core.h>

#include "nvvgpu.h"

/**
 * struct nvvgpu_scanout - dma-buf of a plane
 * @vgpu: holds a reference to its VFIO device
 * @node: entry in nvvgpu_dmabufs::scanouts until the device is closed
 * @dmabuf: the dma-buf
 * @provider: P2PDMA provider of the BAR
 * @phys: location of the plane
 * @blank: page that processes see while the memory is inaccessible
 * @closed: the device has been closed, protected by memory_lock
 * @revoked: importers must not map it, protected by the dma-buf's reservation
 * @kref: held by each mapping, and by the device
 * @unmapped: completed when @kref drops to 0
 */
struct nvvgpu_scanout {
	struct nvvgpu *vgpu;
	struct list_head node;
	struct dma_buf *dmabuf;
	struct p2pdma_provider *provider;
	struct phys_vec phys;
	struct page *blank;
	bool closed;
	bool revoked;
	struct kref kref;
	struct completion unmapped;
};

static int nvvgpu_scanout_attach(struct dma_buf *dmabuf,
				 struct dma_buf_attachment *attachment)
{
	struct nvvgpu_scanout *scanout = dmabuf->priv;

	if (!attachment->peer2peer || !dma_buf_attach_revocable(attachment))
		return -EOPNOTSUPP;

	return READ_ONCE(scanout->revoked) ? -ENODEV : 0;
}

static struct sg_table *
nvvgpu_scanout_map(struct dma_buf_attachment *attachment,
		   enum dma_data_direction dir)
{
	struct nvvgpu_scanout *scanout = attachment->dmabuf->priv;
	struct sg_table *sgt;

	dma_resv_assert_held(attachment->dmabuf->resv);

	if (scanout->revoked)
		return ERR_PTR(-ENODEV);

	sgt = dma_buf_phys_vec_to_sgt(attachment, scanout->provider,
				      &scanout->phys, 1, scanout->phys.len,
				      dir);
	if (!IS_ERR(sgt))
		kref_get(&scanout->kref);

	return sgt;
}

static void nvvgpu_scanout_unmapped(struct kref *kref)
{
	complete(&container_of(kref, struct nvvgpu_scanout, kref)->unmapped);
}

static void nvvgpu_scanout_unmap(struct dma_buf_attachment *attachment,
				 struct sg_table *sgt,
				 enum dma_data_direction dir)
{
	struct nvvgpu_scanout *scanout = attachment->dmabuf->priv;

	dma_resv_assert_held(attachment->dmabuf->resv);

	dma_buf_free_sgt(attachment, sgt, dir);
	kref_put(&scanout->kref, nvvgpu_scanout_unmapped);
}

static vm_fault_t nvvgpu_scanout_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct nvvgpu_scanout *scanout = vma->vm_private_data;
	struct vfio_pci_core_device *core = &scanout->vgpu->core;
	unsigned long page = vmf->pgoff - NVVGPU_DISPLAY_PGOFF;
	vm_fault_t ret;

	guard(rwsem_read)(&core->memory_lock);

	if (!scanout->closed && READ_ONCE(scanout->vgpu->accessible)) {
		ret = vfio_pci_vmf_insert_pfn(core, vmf,
					      PHYS_PFN(scanout->phys.paddr) +
					      page, 0);
		if (ret != VM_FAULT_SIGBUS)
			return ret;
	}
	/* The device's memory is inaccessible: try again at a query. */
	if (!scanout->closed)
		nvvgpu_display_retry(scanout->vgpu);

	return vmf_insert_pfn_prot(vma, vmf->address,
				   page_to_pfn(scanout->blank),
				   vm_get_page_prot(vma->vm_flags));
}

static const struct vm_operations_struct nvvgpu_scanout_vm_ops = {
	.fault = nvvgpu_scanout_fault,
};

/* The dma-buf framework has checked the range. */
static int nvvgpu_scanout_mmap(struct dma_buf *dmabuf,
			       struct vm_area_struct *vma)
{
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;

	/* f_mapping is that of the VFIO device, see NVVGPU_DISPLAY_PGOFF. */
	vma->vm_pgoff += NVVGPU_DISPLAY_PGOFF;
	vma->vm_private_data = dmabuf->priv;
	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	vma->vm_page_prot = pgprot_decrypted(vma->vm_page_prot);
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = &nvvgpu_scanout_vm_ops;

	return 0;
}

static void nvvgpu_scanout_free(struct nvvgpu_scanout *scanout)
{
	__free_page(scanout->blank);
	put_device(&scanout->vgpu->core.vdev.device);
	kfree(scanout);
}

static void nvvgpu_scanout_release(struct dma_buf *dmabuf)
{
	struct nvvgpu_scanout *scanout = dmabuf->priv;

	scoped_guard(mutex, &scanout->vgpu->dmabufs.scanouts_lock)
		list_del_init(&scanout->node);
	nvvgpu_scanout_free(scanout);
}

static const struct dma_buf_ops nvvgpu_scanout_ops = {
	.attach = nvvgpu_scanout_attach,
	.map_dma_buf = nvvgpu_scanout_map,
	.unmap_dma_buf = nvvgpu_scanout_unmap,
	.mmap = nvvgpu_scanout_mmap,
	.release = nvvgpu_scanout_release,
};

static void nvvgpu_scanout_revoke(struct nvvgpu_scanout *scanout)
{
	struct dma_resv *resv = scanout->dmabuf->resv;

	dma_resv_lock(resv, NULL);
	if (scanout->revoked) {
		dma_resv_unlock(resv);
		return;
	}
	WRITE_ONCE(scanout->revoked, true);
	dma_buf_invalidate_mappings(scanout->dmabuf);
	dma_resv_wait_timeout(resv, DMA_RESV_USAGE_BOOKKEEP, false,
			      MAX_SCHEDULE_TIMEOUT);
	dma_resv_unlock(resv);

	kref_put(&scanout->kref, nvvgpu_scanout_unmapped);
	wait_for_completion(&scanout->unmapped);
	kref_init(&scanout->kref);
	reinit_completion(&scanout->unmapped);
}

static void nvvgpu_scanout_allow(struct nvvgpu_scanout *scanout)
{
	struct dma_resv *resv = scanout->dmabuf->resv;

	dma_resv_lock(resv, NULL);
	if (scanout->revoked) {
		WRITE_ONCE(scanout->revoked, false);
		dma_buf_invalidate_mappings(scanout->dmabuf);
	}
	dma_resv_unlock(resv);
}

/* Whether importers may map the memory of the device */
static bool nvvgpu_scanouts_allowed(struct nvvgpu *vgpu)
{
	lockdep_assert_held(&vgpu->dmabufs.scanouts_lock);

	return !vgpu->dmabufs.held && READ_ONCE(vgpu->accessible) &&
	       !vgpu->core.pm_runtime_engaged &&
	       vgpu->core.pdev->current_state < PCI_D3hot;
}

static void nvvgpu_scanouts_update_locked(struct nvvgpu *vgpu)
{
	struct nvvgpu_scanout *scanout;
	bool allowed = nvvgpu_scanouts_allowed(vgpu);

	list_for_each_entry(scanout, &vgpu->dmabufs.scanouts, node) {
		if (allowed)
			nvvgpu_scanout_allow(scanout);
		else
			nvvgpu_scanout_revoke(scanout);
	}
}

/**
 * nvvgpu_scanouts_update() - revoke the dma-bufs of planes, or allow their use
 * @vgpu: the VF
 *
 * Context: may sleep.
 */
void nvvgpu_scanouts_update(struct nvvgpu *vgpu)
{
	guard(mutex)(&vgpu->dmabufs.scanouts_lock);

	nvvgpu_scanouts_update_locked(vgpu);
}

/**
 * nvvgpu_scanouts_hold() - revoke the dma-bufs of planes temporarily
 * @vgpu: the VF
 *
 * Calls nest.  Undone by nvvgpu_scanouts_unhold().
 *
 * Context: may sleep, also for other devices; memory_lock may be held.
 */
void nvvgpu_scanouts_hold(struct nvvgpu *vgpu)
{
	guard(mutex)(&vgpu->dmabufs.scanouts_lock);

	vgpu->dmabufs.held++;
	nvvgpu_scanouts_update_locked(vgpu);
}

/**
 * nvvgpu_scanouts_unhold() - undo nvvgpu_scanouts_hold()
 * @vgpu: the VF
 *
 * Context: may sleep, also for other devices; memory_lock may be held.
 */
void nvvgpu_scanouts_unhold(struct nvvgpu *vgpu)
{
	guard(mutex)(&vgpu->dmabufs.scanouts_lock);

	vgpu->dmabufs.held--;
	nvvgpu_scanouts_update_locked(vgpu);
}

/**
 * nvvgpu_scanouts_close() - revoke the dma-bufs of planes for good
 * @vgpu: the VF, not locked; its device is being closed
 */
void nvvgpu_scanouts_close(struct nvvgpu *vgpu)
{
	struct nvvgpu_scanout *scanout, *next;

	guard(rwsem_write)(&vgpu->core.memory_lock);
	guard(mutex)(&vgpu->dmabufs.scanouts_lock);

	list_for_each_entry_safe(scanout, next, &vgpu->dmabufs.scanouts, node) {
		nvvgpu_scanout_revoke(scanout);
		scanout->closed = true;
		list_del_init(&scanout->node);
	}
	nvvgpu_display_unmap(vgpu);
}

static struct nvvgpu_scanout *
nvvgpu_scanout_alloc(struct nvvgpu *vgpu, const struct nvvgpu_plane *plane)
{
	struct vfio_region_dma_range range = {
		.offset = plane->offset,
		.length = nvvgpu_plane_bytes(plane),
	};
	struct nvvgpu_scanout *scanout;
	int ret;

	scanout = kzalloc_obj(*scanout, GFP_KERNEL_ACCOUNT);
	if (!scanout)
		return ERR_PTR(-ENOMEM);

	ret = vfio_pci_core_get_dmabuf_phys(&vgpu->core, &scanout->provider,
					    plane->bar, &scanout->phys, &range,
					    1);
	if (ret)
		goto err_free;
	scanout->blank = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!scanout->blank) {
		ret = -ENOMEM;
		goto err_free;
	}
	get_device(&vgpu->core.vdev.device);
	scanout->vgpu = vgpu;
	INIT_LIST_HEAD(&scanout->node);
	kref_init(&scanout->kref);
	init_completion(&scanout->unmapped);

	return scanout;

err_free:
	kfree(scanout);
	return ERR_PTR(ret);
}

/**
 * nvvgpu_scanout_export() - export a plane as a dma-buf
 * @vgpu: the VF, its device open
 * @plane: the plane, valid
 *
 * Return: a file descriptor; -ENOMEM; -EMFILE if the process has too many files
 * open; -EINVAL if other devices cannot access the BAR
 */
int nvvgpu_scanout_export(struct nvvgpu *vgpu, const struct nvvgpu_plane *plane)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct nvvgpu_scanout *scanout;
	struct dma_buf *dmabuf;
	int fd;

	scanout = nvvgpu_scanout_alloc(vgpu, plane);
	if (IS_ERR(scanout))
		return PTR_ERR(scanout);

	info.ops = &nvvgpu_scanout_ops;
	info.size = scanout->phys.len;
	info.flags = O_RDWR | O_CLOEXEC;
	info.priv = scanout;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf)) {
		nvvgpu_scanout_free(scanout);
		return PTR_ERR(dmabuf);
	}
	scanout->dmabuf = dmabuf;
	/* vfio-pci-core unmaps it together with the BARs. */
	dmabuf->file->f_mapping = vgpu->core.vdev.inode->i_mapping;

	scoped_guard(mutex, &vgpu->dmabufs.scanouts_lock) {
		scanout->revoked = !nvvgpu_scanouts_allowed(vgpu);
		list_add_tail(&scanout->node, &vgpu->dmabufs.scanouts);
	}

	fd = dma_buf_fd(dmabuf, info.flags);
	if (fd < 0)
		dma_buf_put(dmabuf);

	return fd;
}

/**
 * nvvgpu_scanouts_init() - prepare the dma-bufs of planes
 * @vgpu: the VF, not registered with VFIO yet
 */
void nvvgpu_scanouts_init(struct nvvgpu *vgpu)
{
	mutex_init(&vgpu->dmabufs.scanouts_lock);
	INIT_LIST_HEAD(&vgpu->dmabufs.scanouts);
}

/**
 * nvvgpu_scanouts_destroy() - undo nvvgpu_scanouts_init()
 * @vgpu: the VF, released
 */
void nvvgpu_scanouts_destroy(struct nvvgpu *vgpu)
{
	mutex_destroy(&vgpu->dmabufs.scanouts_lock);
}

MODULE_IMPORT_NS("DMA_BUF");
