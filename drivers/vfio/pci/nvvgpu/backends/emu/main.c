// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-emu: PCI driver for the physical function of the emulated SR-IOV GPU.
 */
#include <linux/cleanup.h>
#include <linux/dma-mapping.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/module.h>

#include "emu.h"

/* Check the registers, as the device may have the PCI ids of another vendor. */
static int emu_identify(struct emu_dev *emu)
{
	struct pci_dev *pdev = emu->pdev;
	u32 magic, revision;

	if (!pdev->is_physfn)
		return dev_err_probe(&pdev->dev, -ENODEV,
				     "not a physical function with SR-IOV\n");
	if (pci_sriov_get_totalvfs(pdev) > NVVGPU_EMU_MAX_VFS)
		return dev_err_probe(&pdev->dev, -ENODEV,
				     "device supports more than %u VFs\n", NVVGPU_EMU_MAX_VFS);
	if (pci_resource_len(pdev, NVVGPU_EMU_PF_BAR_REGS) <
	    NVVGPU_EMU_PF_REGS_SIZE)
		return dev_err_probe(&pdev->dev, -ENODEV,
				     "no registers in BAR %u\n",
				     NVVGPU_EMU_PF_BAR_REGS);

	emu->regs = pcim_iomap_region(pdev, NVVGPU_EMU_PF_BAR_REGS,
				      KBUILD_MODNAME);
	if (IS_ERR(emu->regs))
		return dev_err_probe(&pdev->dev, PTR_ERR(emu->regs),
				     "cannot map the registers\n");

	magic = readl(emu->regs + NVVGPU_EMU_PF_REG_MAGIC);
	if (magic != NVVGPU_EMU_PF_MAGIC)
		return dev_err_probe(&pdev->dev, -ENODEV,
				     "not an nvvgpu-emu GPU: magic %#x, not %#x\n",
				     magic, NVVGPU_EMU_PF_MAGIC);
	revision = readl(emu->regs + NVVGPU_EMU_PF_REG_REVISION);
	if (revision != NVVGPU_EMU_REVISION)
		return dev_err_probe(&pdev->dev, -ENODEV,
				     "hardware revision %u, this driver supports %u\n",
				     revision, NVVGPU_EMU_REVISION);

	emu->vram_bytes = lo_hi_readq(emu->regs + NVVGPU_EMU_PF_REG_VRAM_SIZE);
	return 0;
}

static void emu_unregister(struct emu_dev *emu)
{
	struct nvvgpu_backend *backend = emu->backend;

	/* Report crashes until all users have closed their vGPUs. */
	nvvgpu_backend_unregister(backend);

	spin_lock(&emu->lock);
	emu->backend = NULL;
	spin_unlock(&emu->lock);
	nvvgpu_backend_free(backend);
}

static int emu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct device *dev = &pdev->dev;
	struct emu_dev *emu;
	int err;

	emu = devm_kzalloc(dev, sizeof(*emu), GFP_KERNEL);
	if (!emu)
		return -ENOMEM;
	emu->pdev = pdev;
	emu_vgpus_init(emu);

	err = pcim_enable_device(pdev);
	if (err)
		return dev_err_probe(dev, err, "cannot enable the device\n");

	err = emu_identify(emu);
	if (err)
		return err;

	err = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));
	if (err)
		return dev_err_probe(dev, err, "no 64-bit DMA\n");

	err = emu_fw_init(emu);
	if (err)
		return dev_err_probe(dev, err,
				     "failed to set up rings and interrupts of the firmware\n");

	err = emu_fw_start(emu);
	if (err)
		return err;

	/* For emu_slot_reset() */
	pci_save_state(pdev);
	pci_set_drvdata(pdev, emu);

	err = nvvgpu_backend_register(pdev, &emu_backend_ops, emu,
				      &emu->backend);
	if (err) {
		emu_fw_stop(emu);
		return dev_err_probe(dev, err, "failed to register with the front-end\n");
	}

	dev_dbg(dev, "%llu MiB of VRAM, %u VFs, %u types\n",
		emu->vram_bytes >> 20, emu->nr_vfs, emu->nr_types);
	return 0;
}

static void emu_remove(struct pci_dev *pdev)
{
	struct emu_dev *emu = pci_get_drvdata(pdev);

	/* Waits until users have closed the VFs, as the REQ interrupt asks. */
	emu_unregister(emu);
	emu_fw_stop(emu);
	emu_vgpus_exit(emu);
	pci_disable_sriov(pdev);
}

/*
 * Disabling waits for the users of the VFs, like emu_remove().  The front-end
 * calls the operations of this back-end to delete the vGPUs.
 */
static int emu_sriov_configure(struct pci_dev *pdev, int nr_vfs)
{
	struct emu_dev *emu = pci_get_drvdata(pdev);
	int err;

	if (!nr_vfs) {
		pci_disable_sriov(pdev);
		return 0;
	}

	if (nr_vfs > emu->nr_vfs) {
		dev_err(&pdev->dev, "%d VFs requested, the firmware supports %u\n",
			nr_vfs, emu->nr_vfs);
		return -ERANGE;
	}
	if (!emu_fw_is_up(emu)) {
		dev_err(&pdev->dev,
			"cannot enable VFs: the firmware is down, reset this device first\n");
		return -EIO;
	}

	err = pci_enable_sriov(pdev, nr_vfs);
	return err ?: nr_vfs;
}

/*
 * A reset of the PF, for instance by "echo 1 > reset" in sysfs, recovers firmware
 * that has crashed.  All vGPUs are in error afterwards.  The PCI core restores the
 * SR-IOV capability, and thus the VFs.
 */
static void emu_restart(struct emu_dev *emu)
{
	/* Release the placements of creates that timed out before the reset. */
	if (!emu_fw_start(emu))
		emu_vgpus_reap(emu);
}

static void emu_set_resetting(struct emu_dev *emu, bool resetting)
{
	guard(spinlock)(&emu->lock);
	emu->resetting = resetting;
}

static void emu_pf_reset_prepare(struct pci_dev *pdev)
{
	struct emu_dev *emu = pci_get_drvdata(pdev);

	emu_set_resetting(emu, true);
	emu_fw_stop(emu);
}

static void emu_pf_reset_done(struct pci_dev *pdev)
{
	struct emu_dev *emu = pci_get_drvdata(pdev);

	emu_restart(emu);
	emu_set_resetting(emu, false);
}

static pci_ers_result_t emu_error_detected(struct pci_dev *pdev,
					   pci_channel_state_t state)
{
	struct emu_dev *emu = pci_get_drvdata(pdev);

	switch (state) {
	case pci_channel_io_normal:
		return PCI_ERS_RESULT_CAN_RECOVER;
	case pci_channel_io_frozen:
		emu_fw_down(emu, -EIO, "is unreachable after a bus error");
		return PCI_ERS_RESULT_NEED_RESET;
	default:
		emu_fw_down(emu, -ENODEV, "is unreachable after a fatal bus error");
		return PCI_ERS_RESULT_DISCONNECT;
	}
}

static pci_ers_result_t emu_slot_reset(struct pci_dev *pdev)
{
	struct emu_dev *emu = pci_get_drvdata(pdev);

	/* Another device may have caused the reset while the firmware was up. */
	emu_fw_down(emu, -EIO, "was reset with its bus");

	pci_restore_state(pdev);
	pci_save_state(pdev);
	return PCI_ERS_RESULT_RECOVERED;
}

static void emu_resume(struct pci_dev *pdev)
{
	struct emu_dev *emu = pci_get_drvdata(pdev);

	if (emu_fw_is_up(emu))
		return;

	emu_fw_stop(emu);
	emu_restart(emu);
}

static const struct pci_error_handlers emu_err_handler = {
	.error_detected = emu_error_detected,
	.slot_reset = emu_slot_reset,
	.resume = emu_resume,
	.reset_prepare = emu_pf_reset_prepare,
	.reset_done = emu_pf_reset_done,
};

static const struct pci_device_id emu_pci_ids[] = {
	{ PCI_DEVICE(NVVGPU_EMU_VENDOR_ID, NVVGPU_EMU_PF_DEVICE_ID) },
	{ }
};
MODULE_DEVICE_TABLE(pci, emu_pci_ids);

/* Some programs look for a GPU whose driver has the name that they know. */
static char *driver_name = "nvvgpu-emu";
module_param(driver_name, charp, 0444);
MODULE_PARM_DESC(driver_name, "name of the PCI driver; some programs require \"nvidia\"");

static struct pci_driver emu_pci_driver = {
	.id_table = emu_pci_ids,
	.probe = emu_probe,
	.remove = emu_remove,
	.sriov_configure = emu_sriov_configure,
	.err_handler = &emu_err_handler,
};

static int __init emu_init(void)
{
	emu_pci_driver.name = driver_name;

	return pci_register_driver(&emu_pci_driver);
}
module_init(emu_init);

static void __exit emu_exit(void)
{
	pci_unregister_driver(&emu_pci_driver);
}
module_exit(emu_exit);

MODULE_IMPORT_NS("NVVGPU");
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("nvvgpu back-end for the emulated SR-IOV GPU");
