// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VFIO device of a vGPU: vfio-pci-core's, with the BARs and the identity
 * of the vGPU's type laid over it.
 */
#include <linux/vfio_pci_core.h>

#include "nvvgpu.h"

static int nvvgpu_init_dev(struct vfio_device *core_vdev)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);

	mutex_init(&vgpu->state_mutex);
	spin_lock_init(&vgpu->reset_lock);
	INIT_DELAYED_WORK(&vgpu->event_work, nvvgpu_event_work);
	vgpu->wanted_placement = NVVGPU_PLACEMENT_ANY;
	vgpu->mig_state = VFIO_DEVICE_STATE_RUNNING;

	return vfio_pci_core_init_dev(core_vdev);
}

static void nvvgpu_release_dev(struct vfio_device *core_vdev)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);

	nvvgpu_backend_put_pf(vgpu);
	mutex_destroy(&vgpu->state_mutex);
	vfio_pci_core_release_dev(core_vdev);
}

static int nvvgpu_open_device(struct vfio_device *core_vdev)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);
	int ret;

	/* A refusal need not reset the hardware first. */
	ret = nvvgpu_may_open(vgpu);
	if (ret)
		return ret;

	ret = vfio_pci_core_enable(&vgpu->core);
	if (ret)
		return ret;

	ret = nvvgpu_start(vgpu);
	if (ret) {
		vfio_pci_core_disable(&vgpu->core);
		return ret;
	}
	vfio_pci_core_finish_enable(&vgpu->core);

	return 0;
}

static void nvvgpu_close_device(struct vfio_device *core_vdev)
{
	nvvgpu_stop(nvvgpu_from_vdev(core_vdev));
	vfio_pci_core_close_device(core_vdev);
}

static ssize_t nvvgpu_read(struct vfio_device *core_vdev, char __user *buf,
			   size_t count, loff_t *ppos)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);
	unsigned int index = VFIO_PCI_OFFSET_TO_INDEX((u64)*ppos);

	switch (index) {
	case VFIO_PCI_CONFIG_REGION_INDEX:
		return nvvgpu_config_read(vgpu, buf, count, ppos);
	case VFIO_PCI_BAR0_REGION_INDEX ... VFIO_PCI_BAR5_REGION_INDEX:
		return nvvgpu_region_rw(vgpu, index, buf, count, ppos, false);
	default:
		return vfio_pci_core_read(core_vdev, buf, count, ppos);
	}
}

static ssize_t nvvgpu_write(struct vfio_device *core_vdev,
			    const char __user *buf, size_t count, loff_t *ppos)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);
	unsigned int index = VFIO_PCI_OFFSET_TO_INDEX((u64)*ppos);

	switch (index) {
	case VFIO_PCI_CONFIG_REGION_INDEX:
		return nvvgpu_config_write(vgpu, buf, count, ppos);
	case VFIO_PCI_BAR0_REGION_INDEX ... VFIO_PCI_BAR5_REGION_INDEX:
		return nvvgpu_region_rw(vgpu, index, (char __user *)buf, count,
					ppos, true);
	default:
		return vfio_pci_core_write(core_vdev, buf, count, ppos);
	}
}

static long nvvgpu_ioctl(struct vfio_device *core_vdev, unsigned int cmd,
			 unsigned long arg)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);
	long ret;

	/* Of a BAR's shape vfio-pci-core knows nothing, and it reads @arg itself. */
	if (cmd == VFIO_DEVICE_IOEVENTFD)
		return -ENOTTY;

	ret = vfio_pci_core_ioctl(core_vdev, cmd, arg);
	if (cmd == VFIO_DEVICE_RESET || cmd == VFIO_DEVICE_PCI_HOT_RESET)
		nvvgpu_reset_settle(vgpu);

	return ret;
}

/*
 * core.pci_ops stays NULL: an exported dma-buf would hand out the VF's own
 * BAR, whatever the shape that the vGPU's type gives it.
 */
const struct vfio_device_ops nvvgpu_vfio_ops = {
	.name = "nvvgpu-vfio-pci",
	.init = nvvgpu_init_dev,
	.release = nvvgpu_release_dev,
	.open_device = nvvgpu_open_device,
	.close_device = nvvgpu_close_device,
	.ioctl = nvvgpu_ioctl,
	.get_region_info_caps = nvvgpu_region_info,
	.device_feature = vfio_pci_core_ioctl_feature,
	.read = nvvgpu_read,
	.write = nvvgpu_write,
	.mmap = nvvgpu_region_mmap,
	.request = vfio_pci_core_request,
	.match = vfio_pci_core_match,
	.match_token_uuid = vfio_pci_core_match_token_uuid,
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
	.pasid_attach_ioas = vfio_iommufd_physical_pasid_attach_ioas,
	.pasid_detach_ioas = vfio_iommufd_physical_pasid_detach_ioas,
};
