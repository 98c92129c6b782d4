// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VFIO device of a vGPU: that of vfio-pci-core, with the BARs and PCI ids
 * of the vGPU's type.
 */
#include <linux/device.h>
#include <linux/pci.h>
#include <linux/sysfs.h>
#include <linux/vfio_pci_core.h>

#include "nvvgpu.h"

static int nvvgpu_init_dev(struct vfio_device *core_vdev)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);

	mutex_init(&vgpu->state_mutex);
	mutex_init(&vgpu->query_mutex);
	mutex_init(&vgpu->dmabufs.lock);
	nvvgpu_scanouts_init(vgpu);
	spin_lock_init(&vgpu->text_lock);
	ratelimit_state_init(&vgpu->log_limit, DEFAULT_RATELIMIT_INTERVAL,
			     DEFAULT_RATELIMIT_BURST);
	ratelimit_state_init(&vgpu->complaint_limit, DEFAULT_RATELIMIT_INTERVAL,
			     DEFAULT_RATELIMIT_BURST);
	ratelimit_state_init(&vgpu->crash_limit, DEFAULT_RATELIMIT_INTERVAL,
			     DEFAULT_RATELIMIT_BURST);
	ratelimit_state_init(&vgpu->stream_limit, 60 * HZ, 3);
	nvvgpu_query_limit_init(&vgpu->query_limit);
	nvvgpu_query_limit_init(&vgpu->types_limit);
	INIT_DELAYED_WORK(&vgpu->event_work, nvvgpu_event_work);
	vgpu->mig_state = VFIO_DEVICE_STATE_RUNNING;
	nvvgpu_display_init(vgpu);

	return vfio_pci_core_init_dev(core_vdev);
}

static void nvvgpu_release_dev(struct vfio_device *core_vdev)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);

	nvvgpu_scanouts_destroy(vgpu);
	mutex_destroy(&vgpu->dmabufs.lock);
	mutex_destroy(&vgpu->query_mutex);
	mutex_destroy(&vgpu->state_mutex);
	vfio_pci_core_release_dev(core_vdev);
}

static int nvvgpu_open_device(struct vfio_device *core_vdev)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);
	int ret;

	/* Check before vfio_pci_core_enable(), which resets the VF. */
	ret = nvvgpu_may_open(vgpu);
	if (ret)
		return ret;

	ret = vfio_pci_core_enable(&vgpu->core);
	if (ret)
		return ret;

	ret = nvvgpu_start(vgpu);
	if (ret) {
		nvvgpu_reset_begin(vgpu);
		vfio_pci_core_disable(&vgpu->core);
		nvvgpu_reset_end_closed(vgpu);
		return ret;
	}
	vfio_pci_core_finish_enable(&vgpu->core);

	return 0;
}

static void nvvgpu_close_device(struct vfio_device *core_vdev)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);

	/* First, so that nobody writes to a framebuffer while it is scrubbed. */
	nvvgpu_withdraw(vgpu);
	nvvgpu_stop(vgpu);
	nvvgpu_dmabuf_close(vgpu);
	/* The PCI core calls no error handlers for the reset at close. */
	nvvgpu_reset_begin(vgpu);
	vfio_pci_core_close_device(core_vdev);
	nvvgpu_reset_end_closed(vgpu);
	/* It may be about to notify this user of a crash, and must not notify the next. */
	flush_work(&vgpu->event_work.work);
	nvvgpu_closed(vgpu);
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

static long nvvgpu_ioctl_reset(struct nvvgpu *vgpu, unsigned long arg)
{
	long ret;
	int err;

	nvvgpu_reset_begin(vgpu);
	ret = vfio_pci_core_ioctl(&vgpu->core.vdev, VFIO_DEVICE_RESET, arg);
	/* -EAGAIN: the host is resetting the VF, which must not be cancelled. */
	if (ret && ret != -EAGAIN)
		nvvgpu_reset_ran(vgpu, false);
	/* Before a crashed vGPU is recovered, which takes long */
	nvvgpu_dmabuf_update(vgpu);
	err = nvvgpu_reset_end(vgpu);
	nvvgpu_dmabuf_update(vgpu);

	return ret ?: err;
}

static long nvvgpu_ioctl(struct vfio_device *core_vdev, unsigned int cmd,
			 unsigned long arg)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);

	switch (cmd) {
	case VFIO_DEVICE_IOEVENTFD:
		/* vfio-pci-core does not know the shape of the BARs. */
		return -ENOTTY;
	case VFIO_DEVICE_QUERY_GFX_PLANE:
		return nvvgpu_display_query(vgpu, arg);
	case VFIO_DEVICE_GET_GFX_DMABUF:
		return nvvgpu_display_get_dmabuf(vgpu, arg);
	case VFIO_DEVICE_RESET:
		return nvvgpu_ioctl_reset(vgpu, arg);
	default:
		return vfio_pci_core_ioctl(core_vdev, cmd, arg);
	}
}

static int nvvgpu_device_feature(struct vfio_device *core_vdev, u32 flags,
				 void __user *arg, size_t argsz)
{
	u32 feature = flags & VFIO_DEVICE_FEATURE_MASK;
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);
	int ret;

	if (flags & VFIO_DEVICE_FEATURE_PROBE)
		return vfio_pci_core_ioctl_feature(core_vdev, flags, arg, argsz);

	switch (feature) {
	case VFIO_DEVICE_FEATURE_LOW_POWER_EXIT:
		ret = nvvgpu_dmabuf_leave_low_power(vgpu, flags, arg, argsz);
		nvvgpu_scanouts_update(vgpu);
		return ret;
	case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY:
	case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP:
		nvvgpu_scanouts_hold(vgpu);
		ret = vfio_pci_core_ioctl_feature(core_vdev, flags, arg, argsz);
		nvvgpu_scanouts_unhold(vgpu);
		break;
	default:
		ret = vfio_pci_core_ioctl_feature(core_vdev, flags, arg, argsz);
	}
	/* The vGPU may have crashed while a dma-buf was exported. */
	nvvgpu_dmabuf_update(vgpu);

	return ret;
}

static const struct vfio_device_ops nvvgpu_vfio_ops = {
	.name = "nvvgpu-vfio-pci",
	.init = nvvgpu_init_dev,
	.release = nvvgpu_release_dev,
	.open_device = nvvgpu_open_device,
	.close_device = nvvgpu_close_device,
	.ioctl = nvvgpu_ioctl,
	.get_region_info_caps = nvvgpu_region_info,
	.device_feature = nvvgpu_device_feature,
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

static struct nvvgpu *nvvgpu_alloc(struct pci_dev *pdev, struct nvvgpu_pf *pf,
				   struct nvvgpu_backend *backend,
				   struct nvvgpu_settings *settings)
{
	unsigned int vf = pci_iov_vf_id(pdev);
	struct nvvgpu *vgpu;

	/* The PF driver may have raised the limit since the back-end came. */
	if (vf >= backend->total_vfs)
		return ERR_PTR(-ERANGE);

	vgpu = vfio_alloc_device(nvvgpu, core.vdev, &pdev->dev,
				 &nvvgpu_vfio_ops);
	if (IS_ERR(vgpu))
		return vgpu;

	vgpu->pf = pf;
	vgpu->vf = vf;
	vgpu->backend = backend;
	vgpu->settings = settings;
	nvvgpu_dmabuf_init(vgpu);
	nvvgpu_migration_init(vgpu);
	nvvgpu_dirty_init(vgpu);

	return vgpu;
}

/* Take over the vGPU that the VF already has, or warn that there is an old one. */
static void nvvgpu_inherit(struct nvvgpu *vgpu)
{
	guard(nvvgpu)(vgpu);

	/* A failure is in the log, and leaves the VF without a vGPU. */
	nvvgpu_adopt(vgpu);
	if (vgpu->backend->stale[vgpu->vf])
		nvvgpu_warn(vgpu, "the previous vGPU is not deleted yet");
}

/**
 * nvvgpu_register() - register the VFIO device of a VF
 * @pdev: the VF, its device_lock held
 * @pf: PF of the VF
 * @backend: back-end of the VF
 * @settings: settings of the VF
 *
 * Undone by nvvgpu_unregister().
 *
 * Return: the vGPU of the VF, or an ERR_PTR()
 */
struct nvvgpu *nvvgpu_register(struct pci_dev *pdev, struct nvvgpu_pf *pf,
			       struct nvvgpu_backend *backend,
			       struct nvvgpu_settings *settings)
{
	struct nvvgpu *vgpu;
	int ret;

	device_lock_assert(&pdev->dev);

	vgpu = nvvgpu_alloc(pdev, pf, backend, settings);
	if (IS_ERR(vgpu))
		return vgpu;
	dev_set_drvdata(&pdev->dev, &vgpu->core);
	nvvgpu_pf_add(pf, vgpu);

	ret = vfio_pci_core_register_device(&vgpu->core);
	if (ret && !device_iommu_mapped(&pdev->dev))
		dev_err(&pdev->dev, "no IOMMU group: enable the IOMMU in the firmware setup and on the kernel command line\n");
	if (ret)
		goto out_del;
	ret = sysfs_create_groups(&pdev->dev.kobj, nvvgpu_groups);
	if (ret)
		goto out_unregister;
	nvvgpu_types_link(vgpu);
	nvvgpu_notify_event(vgpu, NVVGPU_EVENT_NAME_BACKEND);
	nvvgpu_inherit(vgpu);

	return vgpu;

out_unregister:
	vfio_pci_core_unregister_device(&vgpu->core);
out_del:
	/* The VF may have adopted a vGPU meanwhile. */
	scoped_guard(nvvgpu, vgpu)
		nvvgpu_retire(vgpu);
	nvvgpu_pf_del(pf, vgpu);
	cancel_delayed_work_sync(&vgpu->event_work);
	cancel_delayed_work_sync(&vgpu->display.work);
	dev_set_drvdata(&pdev->dev, NULL);
	vfio_put_device(&vgpu->core.vdev);
	return ERR_PTR(ret);
}

/*
 * VFIO does not reset a VF whose device is closed while somebody else holds
 * device_lock, as the caller of nvvgpu_unregister() does.  Leave no state of the
 * user to the next driver of the VF.
 */
static void nvvgpu_reset_left(struct nvvgpu *vgpu)
{
	int ret;

	if (!vgpu->core.needs_reset)
		return;
	ret = pci_reset_function_locked(vgpu->core.pdev);
	if (ret)
		nvvgpu_warn(vgpu, "cannot reset the VF: %pe", ERR_PTR(ret));
}

/**
 * nvvgpu_unregister() - undo nvvgpu_register()
 * @vgpu: the VF's vGPU; device_lock of the VF is held
 *
 * Asks the user to close the device, waits, and then deletes the vGPU.
 */
void nvvgpu_unregister(struct nvvgpu *vgpu)
{
	struct device *dev = nvvgpu_dev(vgpu);

	device_lock_assert(dev);

	vfio_pci_core_unregister_device(&vgpu->core);
	WRITE_ONCE(vgpu->leaving, true);
	sysfs_remove_groups(&dev->kobj, nvvgpu_groups);
	nvvgpu_reset_left(vgpu);
	scoped_guard(nvvgpu, vgpu)
		nvvgpu_retire(vgpu);
	nvvgpu_pf_del(vgpu->pf, vgpu);
	cancel_delayed_work_sync(&vgpu->event_work);
	cancel_delayed_work_sync(&vgpu->display.work);
	nvvgpu_notify_event(vgpu, NVVGPU_EVENT_NAME_BACKEND);
	dev_set_drvdata(dev, NULL);
	vfio_put_device(&vgpu->core.vdev);
}
