// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-vfio-pci: the PCI driver of virtual functions that carry vGPUs.
 */
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/vfio_pci_core.h>
#include <uapi/linux/nvvgpu_emu.h>

#include "nvvgpu.h"

static void nvvgpu_pci_reset_prepare(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = pci_get_drvdata(pdev);

	nvvgpu_reset_prepare(container_of(core, struct nvvgpu, core));
}

static void nvvgpu_pci_reset_done(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = pci_get_drvdata(pdev);

	nvvgpu_reset_done(container_of(core, struct nvvgpu, core));
}

static const struct pci_error_handlers nvvgpu_err_handlers = {
	.error_detected = vfio_pci_core_aer_err_detected,
	.reset_prepare = nvvgpu_pci_reset_prepare,
	.reset_done = nvvgpu_pci_reset_done,
};

/*
 * A VF is reset by itself or not at all.  While the PF is being reset its FLR
 * fails, and the methods after that are a reset of the slot, and of the whole
 * GPU with it.
 */
static void nvvgpu_limit_resets(struct pci_dev *pdev)
{
	unsigned int i;

	if (pcie_reset_flr(pdev, PCI_RESET_PROBE))
		return;

	for (i = 1; i < ARRAY_SIZE(pdev->reset_methods); i++)
		pdev->reset_methods[i] = 0;
}

static int nvvgpu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct nvvgpu *vgpu;
	int ret;

	if (!pdev->is_virtfn) {
		dev_err(&pdev->dev, "not an SR-IOV virtual function\n");
		return -ENODEV;
	}
	nvvgpu_limit_resets(pdev);

	vgpu = vfio_alloc_device(nvvgpu, core.vdev, &pdev->dev,
				 &nvvgpu_vfio_ops);
	if (IS_ERR(vgpu))
		return PTR_ERR(vgpu);

	dev_set_drvdata(&pdev->dev, &vgpu->core);

	ret = nvvgpu_backend_attach_vf(vgpu);
	if (ret)
		goto out_put_vdev;

	ret = vfio_pci_core_register_device(&vgpu->core);
	if (ret)
		goto out_detach;

	return 0;

out_detach:
	nvvgpu_backend_detach_vf(vgpu);
out_put_vdev:
	vfio_put_device(&vgpu->core.vdev);
	return ret;
}

static void nvvgpu_remove(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = pci_get_drvdata(pdev);
	struct nvvgpu *vgpu = container_of(core, struct nvvgpu, core);

	/* Returns once the last user has closed the device. */
	vfio_pci_core_unregister_device(core);
	nvvgpu_backend_detach_vf(vgpu);
	vfio_put_device(&core->vdev);
}

static const struct pci_device_id nvvgpu_table[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(NVVGPU_EMU_VENDOR_ID,
					  NVVGPU_EMU_VF_DEVICE_ID) },
	{}
};
MODULE_DEVICE_TABLE(pci, nvvgpu_table);

static struct pci_driver nvvgpu_driver = {
	.name = "nvvgpu-vfio-pci",
	.id_table = nvvgpu_table,
	.probe = nvvgpu_probe,
	.remove = nvvgpu_remove,
	.dev_groups = nvvgpu_groups,
	.err_handler = &nvvgpu_err_handlers,
	.driver_managed_dma = true,
};
module_pci_driver(nvvgpu_driver);

MODULE_IMPORT_NS("IOMMUFD");
MODULE_LICENSE("GPL");
MODULE_AUTHOR("The nvvgpu developers");
MODULE_DESCRIPTION("VFIO PCI driver for vGPUs on SR-IOV virtual functions");
