/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Build the driver, which targets the newest kernel, out of tree on older
 * kernels.  Kbuild includes this header before every source file; the sources
 * do not include it, so the newest kernel can take them unchanged.
 *
 * compat/Makefile probes the kernel headers for missing features instead of
 * comparing versions, because distributions carry backports.
 */
#ifndef NVVGPU_COMPAT_H
#define NVVGPU_COMPAT_H

#include <linux/cleanup.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#ifndef kzalloc_obj
#define kzalloc_obj(var, gfp)		kzalloc(sizeof(var), gfp)
#define kzalloc_objs(var, nr, gfp)	kcalloc(nr, sizeof(var), gfp)
#endif

/* Kernels before 6.13 expect the namespace without quotation marks. */
#undef MODULE_IMPORT_NS
#define MODULE_IMPORT_NS(ns)		MODULE_INFO(import_ns, ns)
#undef EXPORT_SYMBOL_NS_GPL
#define EXPORT_SYMBOL_NS_GPL(sym, ns)	__EXPORT_SYMBOL(sym, "GPL", ns)

#ifndef NVVGPU_HAVE_DFL_WQ
#define system_dfl_wq			system_unbound_wq
#endif

/*
 * Without "PCI: Never reset a slot to reset a VF", a VF whose FLR fails while the
 * PF is being reset is reset by its slot, and the whole GPU with it.  Take such
 * methods away from a VF until it is unbound, and leave the others, in the order
 * that the administrator wants.  Those that are written later are kept.
 */
#define NVVGPU_COMPAT_RESET_BUS		6	/* in pci_reset_fn_methods */

static_assert(NVVGPU_COMPAT_RESET_BUS + 2 == PCI_NUM_RESET_METHODS);

struct nvvgpu_compat_resets {
	struct pci_dev *pdev;
	u8 before[PCI_NUM_RESET_METHODS];
	u8 after[PCI_NUM_RESET_METHODS];
};

static inline void nvvgpu_compat_restore_resets(void *data)
{
	struct nvvgpu_compat_resets *resets = data;
	u8 *methods = resets->pdev->reset_methods;

	if (!memcmp(methods, resets->after, sizeof(resets->after)))
		memcpy(methods, resets->before, sizeof(resets->before));
	kfree(resets);
}

static inline int nvvgpu_compat_limit_resets(struct pci_dev *pdev)
{
	struct nvvgpu_compat_resets *resets;
	int i, nr = 0;

	resets = kzalloc_obj(*resets, GFP_KERNEL);
	if (!resets)
		return -ENOMEM;

	resets->pdev = pdev;
	memcpy(resets->before, pdev->reset_methods, sizeof(resets->before));
	for (i = 0; i < PCI_NUM_RESET_METHODS; i++)
		if (resets->before[i] < NVVGPU_COMPAT_RESET_BUS)
			resets->after[nr++] = resets->before[i];
	if (!memcmp(resets->before, resets->after, sizeof(resets->after))) {
		kfree(resets);
		return 0;
	}
	memcpy(pdev->reset_methods, resets->after, sizeof(resets->after));

	return devm_add_action_or_reset(&pdev->dev,
					nvvgpu_compat_restore_resets, resets);
}

static inline int
nvvgpu_compat_register_device(struct vfio_pci_core_device *core)
{
	int ret = nvvgpu_compat_limit_resets(core->pdev);

	return ret ?: vfio_pci_core_register_device(core);
}

#define vfio_pci_core_register_device	nvvgpu_compat_register_device

#ifndef NVVGPU_HAVE_CHECK_PRECOPY
static inline int
vfio_check_precopy_ioctl(struct vfio_device *vdev, unsigned int cmd,
			 unsigned long arg, struct vfio_precopy_info *info)
{
	unsigned long minsz = offsetofend(struct vfio_precopy_info, dirty_bytes);

	if (cmd != VFIO_MIG_GET_PRECOPY_INFO)
		return -ENOTTY;
	if (copy_from_user(info, (void __user *)arg, minsz))
		return -EFAULT;

	return info->argsz < minsz ? -EINVAL : 0;
}

/* A member that is never set */
#define precopy_info_v2			device.offline
#define VFIO_PRECOPY_INFO_REINIT	0
#endif

#ifndef NVVGPU_HAVE_VMF_INSERT_PFN
#include <linux/huge_mm.h>
#include <linux/mm.h>
#include <linux/pfn_t.h>

static inline vm_fault_t
vfio_pci_vmf_insert_pfn(struct vfio_pci_core_device *vdev, struct vm_fault *vmf,
			unsigned long pfn, unsigned int order)
{
	/* The memory of a VF is enabled by its PF. */
	if (vdev->pm_runtime_engaged ||
	    (__force int)vdev->pdev->current_state >= (__force int)PCI_D3hot)
		return VM_FAULT_SIGBUS;

	switch (order) {
	case 0:
		return vmf_insert_pfn(vmf->vma, vmf->address, pfn);
#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
	case PMD_ORDER:
		return vmf_insert_pfn_pmd(vmf, __pfn_to_pfn_t(pfn, PFN_DEV),
					  false);
#endif
#ifdef CONFIG_ARCH_SUPPORTS_PUD_PFNMAP
	case PUD_ORDER:
		return vmf_insert_pfn_pud(vmf, __pfn_to_pfn_t(pfn, PFN_DEV),
					  false);
#endif
	default:
		return VM_FAULT_FALLBACK;
	}
}
#endif

#ifndef NVVGPU_HAVE_REGION_INFO_CAPS

/* The members of the newest struct vfio_device_ops that the driver sets */
struct nvvgpu_compat_vfio_ops {
	char *name;
	int (*init)(struct vfio_device *vdev);
	void (*release)(struct vfio_device *vdev);
	int (*bind_iommufd)(struct vfio_device *vdev, struct iommufd_ctx *ictx,
			    u32 *out_device_id);
	void (*unbind_iommufd)(struct vfio_device *vdev);
	int (*attach_ioas)(struct vfio_device *vdev, u32 *pt_id);
	void (*detach_ioas)(struct vfio_device *vdev);
	int (*pasid_attach_ioas)(struct vfio_device *vdev, u32 pasid,
				 u32 *pt_id);
	void (*pasid_detach_ioas)(struct vfio_device *vdev, u32 pasid);
	int (*open_device)(struct vfio_device *vdev);
	void (*close_device)(struct vfio_device *vdev);
	ssize_t (*read)(struct vfio_device *vdev, char __user *buf,
			size_t count, loff_t *ppos);
	ssize_t (*write)(struct vfio_device *vdev, const char __user *buf,
			 size_t count, loff_t *size);
	long (*ioctl)(struct vfio_device *vdev, unsigned int cmd,
		      unsigned long arg);
	int (*get_region_info_caps)(struct vfio_device *vdev,
				    struct vfio_region_info *info,
				    struct vfio_info_cap *caps);
	int (*mmap)(struct vfio_device *vdev, struct vm_area_struct *vma);
	void (*request)(struct vfio_device *vdev, unsigned int count);
	int (*match)(struct vfio_device *vdev, char *buf);
	int (*match_token_uuid)(struct vfio_device *vdev, const uuid_t *uuid);
	int (*device_feature)(struct vfio_device *device, u32 flags,
			      void __user *arg, size_t argsz);
};

/* The operations of this module, which has only one table */
static const struct nvvgpu_compat_vfio_ops *nvvgpu_compat_ops;

/* The newest kernel's implementation, for BARs only */
static inline int
vfio_pci_ioctl_get_region_info(struct vfio_device *core_vdev,
			       struct vfio_region_info *info,
			       struct vfio_info_cap *caps)
{
	struct vfio_pci_core_device *vdev =
		container_of(core_vdev, struct vfio_pci_core_device, vdev);
	struct vfio_info_cap_header header = {
		.id = VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
		.version = 1,
	};

	info->offset = VFIO_PCI_INDEX_TO_OFFSET(info->index);
	info->size = pci_resource_len(vdev->pdev, info->index);
	info->flags = 0;
	if (!info->size)
		return 0;

	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (!vdev->bar_mmap_supported[info->index])
		return 0;
	info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
	if (info->index != vdev->msix_bar)
		return 0;

	return vfio_info_add_capability(caps, &header, sizeof(header));
}

static inline long nvvgpu_compat_region_info(struct vfio_device *vdev,
					     struct vfio_region_info __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_region_info, offset);
	struct vfio_region_info info = {};
	struct vfio_info_cap caps = {};
	int ret;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	if (info.index > VFIO_PCI_BAR5_REGION_INDEX)
		return vfio_pci_core_ioctl(vdev, VFIO_DEVICE_GET_REGION_INFO,
					   (unsigned long)arg);

	ret = nvvgpu_compat_ops->get_region_info_caps(vdev, &info, &caps);
	if (ret)
		goto out_free;

	if (caps.size) {
		info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
		if (info.argsz < sizeof(info) + caps.size) {
			info.argsz = sizeof(info) + caps.size;
			info.cap_offset = 0;
		} else {
			vfio_info_cap_shift(&caps, sizeof(info));
			if (copy_to_user(arg + 1, caps.buf, caps.size)) {
				ret = -EFAULT;
				goto out_free;
			}
			info.cap_offset = sizeof(info);
		}
	}
	if (copy_to_user(arg, &info, minsz))
		ret = -EFAULT;

out_free:
	kfree(caps.buf);
	return ret;
}

static inline long nvvgpu_compat_ioctl(struct vfio_device *vdev,
				       unsigned int cmd, unsigned long arg)
{
	if (cmd == VFIO_DEVICE_GET_REGION_INFO)
		return nvvgpu_compat_region_info(vdev, (void __user *)arg);

	return nvvgpu_compat_ops->ioctl(vdev, cmd, arg);
}

static inline struct vfio_device *
nvvgpu_compat_alloc_device(size_t size, struct device *dev,
			   const struct nvvgpu_compat_vfio_ops *ops)
{
	static struct vfio_device_ops old;
	static DEFINE_MUTEX(once);

	guard(mutex)(&once);
	if (nvvgpu_compat_ops)
		return _vfio_alloc_device(size, dev, &old);

	nvvgpu_compat_ops = ops;
	old = (struct vfio_device_ops) {
		.name = ops->name,
		.init = ops->init,
		.release = ops->release,
		.bind_iommufd = ops->bind_iommufd,
		.unbind_iommufd = ops->unbind_iommufd,
		.attach_ioas = ops->attach_ioas,
		.detach_ioas = ops->detach_ioas,
		.open_device = ops->open_device,
		.close_device = ops->close_device,
		.read = ops->read,
		.write = ops->write,
		.ioctl = nvvgpu_compat_ioctl,
		.mmap = ops->mmap,
		.request = ops->request,
		.match = ops->match,
#ifdef NVVGPU_HAVE_MATCH_TOKEN_UUID
		.match_token_uuid = ops->match_token_uuid,
#endif
		.device_feature = ops->device_feature,
	};

	return _vfio_alloc_device(size, dev, &old);
}

#define vfio_device_ops			nvvgpu_compat_vfio_ops
#define _vfio_alloc_device		nvvgpu_compat_alloc_device
#ifndef NVVGPU_HAVE_MATCH_TOKEN_UUID
#define vfio_pci_core_match_token_uuid	NULL
#endif
#define vfio_iommufd_physical_pasid_attach_ioas	NULL
#define vfio_iommufd_physical_pasid_detach_ioas	NULL

#endif /* !NVVGPU_HAVE_REGION_INFO_CAPS */

#endif /* NVVGPU_COMPAT_H */
