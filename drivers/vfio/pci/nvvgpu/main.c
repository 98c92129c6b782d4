// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-vfio-pci: the PCI driver of virtual functions with vGPUs
 */
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/vfio_pci_core.h>
#include <uapi/linux/nvvgpu_emu.h>

#include "nvvgpu.h"

/* The PCI core holds device_lock, so the VFIO device cannot go away. */
static void nvvgpu_pci_reset_prepare(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = pci_get_drvdata(pdev);

	if (core)
		nvvgpu_reset_begin(nvvgpu_from_vdev(&core->vdev));
}

static void nvvgpu_pci_reset_done(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = pci_get_drvdata(pdev);
	u32 command;

	if (!core)
		return;

	/* The PCI core also calls this for a VF that does not respond after its reset. */
	pci_read_config_dword(pdev, PCI_COMMAND, &command);
	nvvgpu_reset_ran(nvvgpu_from_vdev(&core->vdev),
			 !PCI_POSSIBLE_ERROR(command));
	nvvgpu_reset_end(nvvgpu_from_vdev(&core->vdev));
}

static pci_ers_result_t nvvgpu_pci_error_detected(struct pci_dev *pdev,
						  pci_channel_state_t state)
{
	if (!pci_get_drvdata(pdev))
		return PCI_ERS_RESULT_CAN_RECOVER;

	return vfio_pci_core_aer_err_detected(pdev, state);
}

static const struct pci_error_handlers nvvgpu_err_handlers = {
	.error_detected = nvvgpu_pci_error_detected,
	.reset_prepare = nvvgpu_pci_reset_prepare,
	.reset_done = nvvgpu_pci_reset_done,
};

static int nvvgpu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	if (!pdev->is_virtfn) {
		dev_err(&pdev->dev, "not an SR-IOV virtual function\n");
		return -ENODEV;
	}

	return nvvgpu_vf_add(pdev);
}

static void nvvgpu_remove(struct pci_dev *pdev)
{
	nvvgpu_vf_remove(pdev);
}

static const struct pci_device_id nvvgpu_table[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(NVVGPU_EMU_VENDOR_ID,
					  NVVGPU_EMU_VF_DEVICE_ID) },
	{}
};
MODULE_DEVICE_TABLE(pci, nvvgpu_table);

/* Some programs take only a VF whose driver has the name that they know. */
static char *driver_name = "nvvgpu-vfio-pci";
module_param(driver_name, charp, 0444);
MODULE_PARM_DESC(driver_name, "name of the PCI driver; some programs require \"nvidia\"");

static struct pci_driver nvvgpu_driver = {
	.id_table = nvvgpu_table,
	.probe = nvvgpu_probe,
	.remove = nvvgpu_remove,
	.err_handler = &nvvgpu_err_handlers,
	.driver_managed_dma = true,
};

static int __init nvvgpu_init(void)
{
	nvvgpu_driver.name = driver_name;

	return pci_register_driver(&nvvgpu_driver);
}
module_init(nvvgpu_init);

static void __exit nvvgpu_exit(void)
{
	pci_unregister_driver(&nvvgpu_driver);
}
module_exit(nvvgpu_exit);

MODULE_IMPORT_NS("IOMMUFD");
MODULE_LICENSE("GPL");
MODULE_AUTHOR("The nvvgpu developers");
MODULE_DESCRIPTION("VFIO PCI driver for vGPUs on SR-IOV virtual functions");
