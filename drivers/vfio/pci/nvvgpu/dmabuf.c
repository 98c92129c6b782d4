// SPDX-License-Identifier: GPL-2.0-only
/*
 * dma-bufs of the BARs of a vGPU, which let other devices access them.  Ranges
 * that can be mapped can also be exported.
 *
 * vfio-pci-core revokes them with the reset, the power state and the close of
 * the device, but exports no function to do so.  A vGPU that has crashed is put
 * into low power mode for that.  A runtime PM reference keeps the VF powered,
 * because its config space must still respond.
 */
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "nvvgpu.h"

static int nvvgpu_get_dmabuf_phys(struct vfio_pci_core_device *core,
				  struct p2pdma_provider **provider,
				  unsigned int bar, struct phys_vec *phys_vec,
				  struct vfio_region_dma_range *ranges,
				  size_t nr_ranges)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(&core->vdev);
	size_t i;

	for (i = 0; i < nr_ranges; i++)
		if (!nvvgpu_bar_mappable(&vgpu->bars[bar].info,
					 ranges[i].offset, ranges[i].length))
			return -EINVAL;

	/* After a later crash, nvvgpu_device_feature() revokes the dma-buf. */
	scoped_guard(mutex, &vgpu->dmabufs.lock) {
		if (!READ_ONCE(vgpu->accessible))
			return -EIO;
		vgpu->dmabufs.exported = true;
	}

	return vfio_pci_core_get_dmabuf_phys(core, provider, bar, phys_vec,
					     ranges, nr_ranges);
}

static const struct vfio_pci_device_ops nvvgpu_pci_ops = {
	.get_dmabuf_phys = nvvgpu_get_dmabuf_phys,
};

/**
 * nvvgpu_dmabuf_init() - offer dma-bufs of a VF's BARs
 * @vgpu: the VF, not registered yet
 */
void nvvgpu_dmabuf_init(struct nvvgpu *vgpu)
{
	vgpu->core.pci_ops = &nvvgpu_pci_ops;
}

static int nvvgpu_low_power(struct nvvgpu *vgpu, u32 feature)
{
	return vfio_pci_core_ioctl_feature(&vgpu->core.vdev,
					   feature | VFIO_DEVICE_FEATURE_SET,
					   NULL, 0);
}

static void nvvgpu_dmabuf_update_locked(struct nvvgpu *vgpu)
{
	struct nvvgpu_dmabufs *dmabufs = &vgpu->dmabufs;
	struct device *dev = nvvgpu_dev(vgpu);

	lockdep_assert_held(&dmabufs->lock);

	if (!dmabufs->exported)
		return;

	if (!READ_ONCE(vgpu->accessible)) {
		/* This revokes them.  It fails in low power mode. */
		pm_runtime_get_noresume(dev);
		if (nvvgpu_low_power(vgpu, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY))
			pm_runtime_put_noidle(dev);
		else
			dmabufs->revoked = true;
	} else if (dmabufs->revoked) {
		nvvgpu_low_power(vgpu, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
		pm_runtime_put_noidle(dev);
		dmabufs->revoked = false;
	}
}

/**
 * nvvgpu_dmabuf_update() - revoke the dma-bufs of a crashed vGPU
 * @vgpu: the VF, not locked
 *
 * Allows new mappings of them when the vGPU has recovered.  vfio-pci-core
 * allows new mappings after a reset and after writes to config space, even in
 * low power mode, so this has to be called after those, too.
 *
 * Context: may sleep; without memory_lock.
 */
void nvvgpu_dmabuf_update(struct nvvgpu *vgpu)
{
	scoped_guard(mutex, &vgpu->dmabufs.lock)
		nvvgpu_dmabuf_update_locked(vgpu);
	nvvgpu_scanouts_update(vgpu);
}

/**
 * nvvgpu_dmabuf_close() - forget the dma-bufs of a device that is being closed
 * @vgpu: the VF, not locked
 *
 * vfio-pci-core revokes them and leaves low power mode.
 */
void nvvgpu_dmabuf_close(struct nvvgpu *vgpu)
{
	struct nvvgpu_dmabufs *dmabufs = &vgpu->dmabufs;

	guard(mutex)(&dmabufs->lock);

	if (dmabufs->revoked)
		pm_runtime_put_noidle(nvvgpu_dev(vgpu));
	dmabufs->revoked = false;
	dmabufs->exported = false;
}

/**
 * nvvgpu_dmabuf_leave_low_power() - handle VFIO_DEVICE_FEATURE_LOW_POWER_EXIT
 * @vgpu: the VF, its device open
 * @flags: flags of the feature
 * @arg: argument of the feature
 * @argsz: size of @arg
 *
 * Keeps the dma-bufs of a crashed vGPU revoked.
 *
 * Return: 0 or a negative errno, as vfio_pci_core_ioctl_feature()
 */
int nvvgpu_dmabuf_leave_low_power(struct nvvgpu *vgpu, u32 flags,
				  void __user *arg, size_t argsz)
{
	int ret;

	guard(mutex)(&vgpu->dmabufs.lock);

	/* The driver has entered low power mode, not the user. */
	if (vgpu->dmabufs.revoked) {
		ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_SET,
					 0);
		return min(ret, 0);
	}

	ret = vfio_pci_core_ioctl_feature(&vgpu->core.vdev, flags, arg, argsz);
	nvvgpu_dmabuf_update_locked(vgpu);

	return ret;
}
