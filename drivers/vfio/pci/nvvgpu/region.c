// SPDX-License-Identifier: GPL-2.0-only
/*
 * The BARs of a vGPU.  Region info, read, write, mmap and dma-buf all use the
 * shape in nvvgpu::bars, so that they agree.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio_pci_core.h>

#include "nvvgpu.h"

VISIBLE_IF_KUNIT
bool nvvgpu_areas_valid(const struct nvvgpu_range *areas, u32 nr,
			u64 size, u64 align)
{
	u64 end;
	u32 i;

	if (nr > NVVGPU_MAX_AREAS)
		return false;

	for (i = 0; i < nr; i++) {
		if (!areas[i].length ||
		    !IS_ALIGNED(areas[i].offset | areas[i].length, align) ||
		    check_add_overflow(areas[i].offset, areas[i].length, &end) ||
		    end > size)
			return false;
	}

	return true;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_areas_valid);

VISIBLE_IF_KUNIT
bool nvvgpu_overlaps(const struct nvvgpu_range *areas, u32 nr,
		     u64 offset, u64 length)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (offset < areas[i].offset + areas[i].length &&
		    areas[i].offset < offset + length)
			return true;

	return false;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_overlaps);

/**
 * nvvgpu_bar_mappable() - check a range that is to be mapped or exported
 * @info: shape of the BAR
 * @offset: offset in the BAR
 * @length: bytes in the range
 *
 * Return: true if the user may reach all of it directly
 */
bool nvvgpu_bar_mappable(const struct nvvgpu_bar_info *info, u64 offset,
			 u64 length)
{
	/* A BAR smaller than a page cannot be shaped; all of it is mapped. */
	u64 size = PAGE_ALIGN(info->size);
	u32 i;

	if (!(info->flags & NVVGPU_BAR_MMAP))
		return false;
	if (!info->nr_sparse)
		return offset <= size && length <= size - offset;

	for (i = 0; i < info->nr_sparse; i++)
		if (offset >= info->sparse[i].offset &&
		    length <= info->sparse[i].length &&
		    offset - info->sparse[i].offset <=
		    info->sparse[i].length - length)
			return true;

	return false;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_bar_mappable);

static bool nvvgpu_bar_areas_valid(struct nvvgpu *vgpu,
				   const struct nvvgpu_bar_info *info)
{
	u32 i;

	if (!nvvgpu_areas_valid(info->sparse, info->nr_sparse, info->size,
				PAGE_SIZE) ||
	    !nvvgpu_areas_valid(info->trapped, info->nr_trapped, info->size,
				sizeof(u64)))
		return false;
	if (info->nr_trapped &&
	    !(nvvgpu_can(vgpu->backend) & NVVGPU_CAN_TRAP))
		return false;
	if (info->nr_trapped && info->flags & NVVGPU_BAR_MMAP &&
	    !info->nr_sparse)
		return false;
	for (i = 0; i < info->nr_sparse; i++)
		if (nvvgpu_overlaps(info->trapped, info->nr_trapped,
				    info->sparse[i].offset,
				    info->sparse[i].length))
			return false;

	return true;
}

VISIBLE_IF_KUNIT
bool nvvgpu_bar_valid(struct nvvgpu *vgpu, unsigned int bar,
		      const struct nvvgpu_bar_info *info,
		      u32 allowed)
{
	struct pci_dev *pdev = vgpu->core.pdev;
	u64 whole = pci_resource_len(pdev, bar);

	if (info->flags & ~allowed || info->size > whole)
		return false;
	if (info->size && !is_power_of_2(info->size))
		return false;
	/* A mapping cannot be limited to reads or writes, so require both. */
	if (info->flags & NVVGPU_BAR_MMAP &&
	    ~info->flags & (NVVGPU_BAR_READ | NVVGPU_BAR_WRITE))
		return false;
	/* A shaped BAR must end at a page boundary, or it shares its last page. */
	if (info->size != whole && !IS_ALIGNED(info->size, PAGE_SIZE))
		return false;
	/* vfio-pci-core emulates the MSI-X table in the VF's own BAR. */
	if (info->size != whole && pdev->msix_cap) {
		u32 table;

		pci_read_config_dword(pdev, pdev->msix_cap + PCI_MSIX_TABLE,
				      &table);
		if ((table & PCI_MSIX_TABLE_BIR) == bar)
			return false;
	}

	return nvvgpu_bar_areas_valid(vgpu, info);
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_bar_valid);

/* Ask the back-end for the shape of one BAR, and check it. */
static int nvvgpu_region_ask(struct nvvgpu *vgpu, unsigned int bar,
			     struct nvvgpu_bar_info *info)
{
	struct pci_dev *pdev = vgpu->core.pdev;
	u32 allowed = NVVGPU_BAR_READ | NVVGPU_BAR_WRITE;
	int ret;

	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->size = pci_resource_len(pdev, bar);
	if (!info->size)
		return 0;

	if (pci_resource_flags(pdev, bar) & IORESOURCE_MEM)
		allowed |= NVVGPU_BAR_MMAP;
	info->flags = allowed;
	if (!(nvvgpu_can(vgpu->backend) & NVVGPU_CAN_SHAPE))
		return 0;

	ret = nvvgpu_op_get_bar_info(vgpu, bar, info);
	if (ret)
		return ret;
	if (!nvvgpu_bar_valid(vgpu, bar, info, allowed)) {
		nvvgpu_complain(vgpu->backend, vgpu,
				"the shape of BAR %u is malformed", bar);
		return -EPROTO;
	}
	if (!info->size)
		info->flags = 0;

	return 0;
}

/**
 * nvvgpu_region_shape() - get the shape of all BARs from the back-end
 * @vgpu: the VF, its vGPU just created or started, state_mutex held
 *
 * Return: 0; -EPROTO if a shape violates the contract; or the error of the
 * back-end
 */
int nvvgpu_region_shape(struct nvvgpu *vgpu)
{
	unsigned int bar;
	int ret;

	lockdep_assert_held(&vgpu->state_mutex);

	for (bar = 0; bar < NVVGPU_MAX_BARS; bar++) {
		struct nvvgpu_bar *b = &vgpu->bars[bar];

		memset(b, 0, sizeof(*b));
		ret = nvvgpu_region_ask(vgpu, bar, &b->info);
		if (ret)
			return ret;
		b->shaped = b->info.size !=
			    pci_resource_len(vgpu->core.pdev, bar);
	}

	return 0;
}

static bool nvvgpu_areas_equal(const struct nvvgpu_range *a,
			       const struct nvvgpu_range *b, u32 nr)
{
	for (; nr; nr--, a++, b++)
		if (a->offset != b->offset || a->length != b->length)
			return false;

	return true;
}

/* Compare the members, as padding and unused areas may have any content. */
VISIBLE_IF_KUNIT
bool nvvgpu_bar_equal(const struct nvvgpu_bar_info *a,
		      const struct nvvgpu_bar_info *b)
{
	return a->size == b->size && a->flags == b->flags &&
	       a->nr_sparse == b->nr_sparse &&
	       nvvgpu_areas_equal(a->sparse, b->sparse, a->nr_sparse) &&
	       a->nr_trapped == b->nr_trapped &&
	       nvvgpu_areas_equal(a->trapped, b->trapped, a->nr_trapped);
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_bar_equal);

/**
 * nvvgpu_region_same() - check that a recovered vGPU has the same BARs
 * @vgpu: the VF, its vGPU just started, state_mutex held
 *
 * Return: 0; -ESTALE if a BAR differs; or as nvvgpu_region_shape()
 */
int nvvgpu_region_same(struct nvvgpu *vgpu)
{
	unsigned int bar;
	int ret;

	lockdep_assert_held(&vgpu->state_mutex);

	struct nvvgpu_bar_info *info __free(kfree) =
		kmalloc_obj(*info, GFP_KERNEL);
	if (!info)
		return -ENOMEM;

	for (bar = 0; bar < NVVGPU_MAX_BARS; bar++) {
		ret = nvvgpu_region_ask(vgpu, bar, info);
		if (ret)
			return ret;
		if (!nvvgpu_bar_equal(info, &vgpu->bars[bar].info))
			return -ESTALE;
	}

	return 0;
}

static int nvvgpu_sparse_cap(const struct nvvgpu_bar_info *info,
			     struct vfio_info_cap *caps)
{
	struct vfio_region_info_cap_sparse_mmap *sparse __free(kfree) = NULL;
	size_t size = struct_size(sparse, areas, info->nr_sparse);
	u32 i;

	sparse = kzalloc(size, GFP_KERNEL);
	if (!sparse)
		return -ENOMEM;

	sparse->header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
	sparse->header.version = 1;
	sparse->nr_areas = info->nr_sparse;
	for (i = 0; i < info->nr_sparse; i++) {
		sparse->areas[i].offset = info->sparse[i].offset;
		sparse->areas[i].size = info->sparse[i].length;
	}

	return vfio_info_add_capability(caps, &sparse->header, size);
}

#define NVVGPU_BAR_FLAGS	(NVVGPU_BAR_READ | NVVGPU_BAR_WRITE | \
				 NVVGPU_BAR_MMAP)

static_assert(NVVGPU_BAR_READ == VFIO_REGION_INFO_FLAG_READ);
static_assert(NVVGPU_BAR_WRITE == VFIO_REGION_INFO_FLAG_WRITE);
static_assert(NVVGPU_BAR_MMAP == VFIO_REGION_INFO_FLAG_MMAP);

int nvvgpu_region_info(struct vfio_device *core_vdev,
		       struct vfio_region_info *info,
		       struct vfio_info_cap *caps)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);
	const struct nvvgpu_bar_info *bar;
	int ret;

	ret = vfio_pci_ioctl_get_region_info(core_vdev, info, caps);
	if (ret || info->index > VFIO_PCI_BAR5_REGION_INDEX)
		return ret;

	bar = &vgpu->bars[info->index].info;
	info->size = bar->size;
	info->flags &= bar->flags | ~NVVGPU_BAR_FLAGS;
	if (info->flags & VFIO_REGION_INFO_FLAG_MMAP && bar->nr_sparse)
		return nvvgpu_sparse_cap(bar, caps);

	return 0;
}

/* One naturally aligned access of 1, 2, 4 or 8 bytes to a trapped area */
static int nvvgpu_trapped_access(struct nvvgpu *vgpu, unsigned int bar,
				 u64 offset, void *val, size_t len,
				 bool iswrite)
{
	struct pci_dev *pdev = vgpu->core.pdev;

	/* In D3 the rest of the BAR does not respond either. */
	guard(rwsem_read)(&vgpu->core.memory_lock);
	if (pdev->current_state == PCI_D3hot ||
	    pdev->current_state == PCI_D3cold)
		return -EIO;

	guard(nvvgpu)(vgpu);

	/* Back-ends need not handle accesses to a crashed vGPU. */
	if (vgpu->state != NVVGPU_OPEN ||
	    nvvgpu_event_pending(vgpu, NVVGPU_EVENT_CRASHED))
		return -EIO;

	return nvvgpu_op_bar_rw(vgpu, bar, offset, val, len, iswrite);
}

static ssize_t nvvgpu_trapped_rw(struct nvvgpu *vgpu, unsigned int bar,
				 u64 offset, char __user *buf, size_t count,
				 bool iswrite)
{
	size_t done = 0;
	int ret;

	while (done < count) {
		size_t len = sizeof(u64);
		u64 val = 0;

		/* Each access may take as long as a firmware command. */
		if (fatal_signal_pending(current))
			return done ?: -EINTR;

		while (len > count - done || !IS_ALIGNED(offset + done, len))
			len /= 2;

		if (iswrite && copy_from_user(&val, buf + done, len))
			return -EFAULT;
		ret = nvvgpu_trapped_access(vgpu, bar, offset + done, &val, len,
					    iswrite);
		if (ret)
			return ret;
		if (!iswrite && copy_to_user(buf + done, &val, len))
			return -EFAULT;
		done += len;
	}

	return done;
}

/* Limit @count to bytes from @offset on that are all trapped, or all direct. */
VISIBLE_IF_KUNIT
size_t nvvgpu_same_kind(const struct nvvgpu_bar_info *info, u64 offset,
			size_t count, bool *trapped)
{
	u32 i;

	*trapped = false;
	for (i = 0; i < info->nr_trapped; i++) {
		const struct nvvgpu_range *area = &info->trapped[i];

		if (offset >= area->offset &&
		    offset - area->offset < area->length) {
			*trapped = true;
			return min_t(u64, count,
				     area->offset + area->length - offset);
		}
		if (area->offset > offset)
			count = min_t(u64, count, area->offset - offset);
	}

	return count;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_same_kind);

static ssize_t nvvgpu_hw_rw(struct nvvgpu *vgpu, char __user *buf, size_t count,
			    loff_t *ppos, bool iswrite)
{
	if (iswrite)
		return vfio_pci_core_write(&vgpu->core.vdev, buf, count, ppos);

	return vfio_pci_core_read(&vgpu->core.vdev, buf, count, ppos);
}

/*
 * Access a BAR of which some areas are trapped, up to the end of one kind.  Not
 * inlined, as all other accesses would set up its stack frame, too.
 */
static noinline ssize_t nvvgpu_mixed_rw(struct nvvgpu *vgpu, unsigned int bar,
					char __user *buf, size_t count,
					loff_t *ppos, bool iswrite)
{
	u64 offset = *ppos & VFIO_PCI_OFFSET_MASK;
	struct device *dev = nvvgpu_dev(vgpu);
	bool trapped;
	ssize_t ret;

	count = nvvgpu_same_kind(&vgpu->bars[bar].info, offset, count,
				 &trapped);
	if (!trapped)
		return nvvgpu_hw_rw(vgpu, buf, count, ppos, iswrite);

	if (pm_runtime_resume_and_get(dev))
		return -EIO;
	ret = nvvgpu_trapped_rw(vgpu, bar, offset, buf, count, iswrite);
	if (ret > 0)
		*ppos += ret;
	pm_runtime_put(dev);

	return ret;
}

/**
 * nvvgpu_region_rw() - read or write a BAR
 * @vgpu: the VF, its device open
 * @bar: number of the BAR
 * @buf: buffer of the user
 * @count: bytes to transfer
 * @ppos: offset in the VFIO device, advanced by the bytes transferred
 * @iswrite: direction
 *
 * Return: bytes transferred, which may be less than @count; -EINVAL if the
 * offset is beyond the end, or the BAR is hidden or does not allow this
 * direction; -EIO if the vGPU has crashed
 */
ssize_t nvvgpu_region_rw(struct nvvgpu *vgpu, unsigned int bar,
			 char __user *buf, size_t count, loff_t *ppos,
			 bool iswrite)
{
	const struct nvvgpu_bar_info *info = &vgpu->bars[bar].info;
	u64 offset = *ppos & VFIO_PCI_OFFSET_MASK;
	u32 flag = iswrite ? NVVGPU_BAR_WRITE : NVVGPU_BAR_READ;

	if (offset >= info->size || !(info->flags & flag))
		return -EINVAL;
	/* The device is open, so the VF cannot get another vGPU meanwhile. */
	if (!READ_ONCE(vgpu->accessible))
		return -EIO;

	count = min_t(u64, count, info->size - offset);
	if (info->nr_trapped)
		return nvvgpu_mixed_rw(vgpu, bar, buf, count, ppos, iswrite);

	return nvvgpu_hw_rw(vgpu, buf, count, ppos, iswrite);
}

static vm_fault_t nvvgpu_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	struct vfio_pci_core_device *core = vma->vm_private_data;
	struct nvvgpu *vgpu = nvvgpu_from_vdev(&core->vdev);
	unsigned int shift = VFIO_PCI_OFFSET_SHIFT - PAGE_SHIFT;
	unsigned int bar = vma->vm_pgoff >> shift;
	unsigned long addr = ALIGN_DOWN(vmf->address, PAGE_SIZE << order);
	unsigned long pfn;

	pfn = PHYS_PFN(pci_resource_start(core->pdev, bar)) +
	      (vma->vm_pgoff & ((1UL << shift) - 1)) +
	      ((addr - vma->vm_start) >> PAGE_SHIFT);
	if (order && (addr < vma->vm_start ||
		      addr + (PAGE_SIZE << order) > vma->vm_end ||
		      !IS_ALIGNED(pfn, 1UL << order)))
		return VM_FAULT_FALLBACK;

	guard(rwsem_read)(&core->memory_lock);
	if (!READ_ONCE(vgpu->accessible))
		return VM_FAULT_SIGBUS;

	return vfio_pci_vmf_insert_pfn(core, vmf, pfn, order);
}

static vm_fault_t nvvgpu_page_fault(struct vm_fault *vmf)
{
	return nvvgpu_huge_fault(vmf, 0);
}

static const struct vm_operations_struct nvvgpu_mmap_ops = {
	.fault = nvvgpu_page_fault,
#ifdef CONFIG_ARCH_SUPPORTS_HUGE_PFNMAP
	.huge_fault = nvvgpu_huge_fault,
#endif
};

/**
 * nvvgpu_region_zap() - unmap the BARs of a vGPU that is not accessible any more
 * @vgpu: the VF, not locked
 *
 * Context: may sleep; without memory_lock.
 */
void nvvgpu_region_zap(struct nvvgpu *vgpu)
{
	loff_t start = VFIO_PCI_INDEX_TO_OFFSET(VFIO_PCI_BAR0_REGION_INDEX);
	loff_t end = VFIO_PCI_INDEX_TO_OFFSET(VFIO_PCI_ROM_REGION_INDEX);

	/* Let faults finish that have seen the vGPU accessible. */
	guard(rwsem_write)(&vgpu->core.memory_lock);
	unmap_mapping_range(vgpu->core.vdev.inode->i_mapping, start,
			    end - start, true);
}

int nvvgpu_region_mmap(struct vfio_device *core_vdev,
		       struct vm_area_struct *vma)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);
	unsigned int shift = VFIO_PCI_OFFSET_SHIFT - PAGE_SHIFT;
	unsigned int index = vma->vm_pgoff >> shift;
	u64 offset = (u64)(vma->vm_pgoff & ((1UL << shift) - 1)) << PAGE_SHIFT;
	int ret;

	if (index <= VFIO_PCI_BAR5_REGION_INDEX &&
	    !nvvgpu_bar_mappable(&vgpu->bars[index].info, offset,
				 vma->vm_end - vma->vm_start))
		return -EINVAL;

	ret = vfio_pci_core_mmap(core_vdev, vma);
	if (!ret && index <= VFIO_PCI_BAR5_REGION_INDEX)
		vma->vm_ops = &nvvgpu_mmap_ops;

	return ret;
}

/**
 * nvvgpu_display_unmap() - unmap the memory of the display from all processes
 * @vgpu: the VF
 */
void nvvgpu_display_unmap(struct nvvgpu *vgpu)
{
	unmap_mapping_range(vgpu->core.vdev.inode->i_mapping,
			    (loff_t)NVVGPU_DISPLAY_PGOFF << PAGE_SHIFT,
			    vgpu->display.region_bytes, true);
}

/**
 * nvvgpu_display_retry() - unmap blank pages at the next query
 * @vgpu: the VF
 */
void nvvgpu_display_retry(struct nvvgpu *vgpu)
{
	guard(spinlock)(&vgpu->display.lock);

	vgpu->display.changes++;
}
