// SPDX-License-Identifier: GPL-2.0
/*
 * A module called nvidia, with as much of the interface of NVIDIA's vGPU host driver as
 * one vGPU needs. It knows nothing of nvvgpu: lab/gates/vendor-driver builds it on its own
 * and then links nvvgpu-rm to it.
 *
 * Writing the PCI name of an SR-IOV PF to the parameter gpu reports its VFs, writing
 * "none" reports that the GPU goes. A start is answered after answer_ms, or never if that
 * is 0. With keep, vGPUs cannot be deleted.
 */
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/string.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "nv-vgpu-vfio-interface.h"

#define NVIDIA_VERSION "570.0.1"
#define NVIDIA_TYPE 1145

static vgpu_vfio_ops_t *front_end;
static struct pci_dev *gpu;

static unsigned int answer_ms = 1000;
module_param(answer_ms, uint, 0644);

static bool keep;
module_param(keep, bool, 0644);

static char vgpu_name[32];
static wait_queue_head_t *vgpu_wait;
static NvS32 *vgpu_status;
static NvU8 *vgpu_vm_name;

static void vgpu_started(struct work_struct *work)
{
	strcpy(vgpu_vm_name, "provider's VM");
	*vgpu_status = 0;
	wake_up_interruptible(vgpu_wait);
	pr_info("nvidia: answered\n");
}
static DECLARE_DELAYED_WORK(vgpu_start_work, vgpu_started);

static NV_STATUS create(struct pci_dev *pf, const NvU8 *name, NvU32 type, NvU16 *vgpu_id,
			NvU32 *gpu_id, NvU32 bdf, NvBool *is_driver_vm)
{
	if (pf != gpu || type != NVIDIA_TYPE || vgpu_name[0])
		return 0x38;
	strscpy(vgpu_name, name);
	*vgpu_id = 7;
	*gpu_id = 1;
	*is_driver_vm = 0;
	pr_info("nvidia: created %s, BDF %#x\n", vgpu_name, bdf);

	return 0;
}

static NV_STATUS delete(const NvU8 *name, NvU16 vgpu_id)
{
	if (strcmp(name, vgpu_name) || vgpu_id != 7)
		return 0x57;
	if (keep)
		return 0x40;
	cancel_delayed_work_sync(&vgpu_start_work);
	vgpu_name[0] = 0;
	pr_info("nvidia: deleted\n");

	return 0;
}

static NV_STATUS bar_info(struct pci_dev *pf, const NvU8 *name, NvU64 *size, NvU32 bar, void *cookie)
{
	*size = 1 << 20;

	return pf == gpu && !strcmp(name, vgpu_name) && cookie ? 0 : 0x57;
}

static NV_STATUS start(const NvU8 *name, void *wait, NvS32 *status, NvU8 *vm_name, NvU32 pid)
{
	if (strcmp(name, vgpu_name) || *status != -1)
		return 0x40;
	vgpu_wait = wait;
	vgpu_status = status;
	vgpu_vm_name = vm_name;
	if (answer_ms)
		schedule_delayed_work(&vgpu_start_work, msecs_to_jiffies(answer_ms));
	pr_info("nvidia: start for process %u\n", pid);

	return 0;
}

static NV_STATUS get_name(struct pci_dev *pdev, NvU32 type, char *text)
{
	strcpy(text, "NVIDIA L40S-1B\n");

	return type == NVIDIA_TYPE ? 0 : 0x57;
}

static NV_STATUS get_description(struct pci_dev *pdev, NvU32 type, char *text)
{
	strcpy(text, "num_heads=1, frl_config=45, framebuffer=1024M, max_resolution=5120x2880, max_instance=32\n");

	return type == NVIDIA_TYPE ? 0 : 0x57;
}

static NV_STATUS get_instances(struct pci_dev *pdev, NvU32 type, char *text)
{
	strcpy(text, vgpu_name[0] ? "0\n" : "1\n");

	return type == NVIDIA_TYPE ? 0 : 0x57;
}

static NV_STATUS get_types(struct pci_dev *pdev, NvU32 *types, NvU32 *count)
{
	types[0] = NVIDIA_TYPE;
	*count = !vgpu_name[0];

	return pdev->is_virtfn ? 0 : 0x56;
}

static NV_STATUS get_sparse_mmap(struct pci_dev *pf, const NvU8 *name, NvU64 **offsets, NvU64 **sizes,
				 NvU32 *count)
{
	static NvU64 offset[] = { 0 }, size[] = { 4096 };

	*offsets = offset;
	*sizes = size;
	*count = 1;

	return 0;
}

static void update_request(const NvU8 *name, NvU64 *offsets, NvU64 *sizes, VGPU_DEVICE_STATE state,
			   const char *params)
{
	pr_info("nvidia: %s is in state %d, parameters \"%s\"\n", name, state, params ?: "");
}

NV_STATUS nvidia_vgpu_vfio_get_ops(rm_vgpu_vfio_ops_t *ops)
{
	if (strcmp(ops->version_string, NVIDIA_VERSION)) {
		ops->version_string = NVIDIA_VERSION;
		return 0xffff;
	}
	ops->vgpu_create = create;
	ops->vgpu_delete = delete;
	ops->vgpu_bar_info = bar_info;
	ops->vgpu_start = start;
	ops->get_description = get_description;
	ops->get_instances = get_instances;
	ops->get_name = get_name;
	ops->get_types = get_types;
	ops->get_sparse_mmap = get_sparse_mmap;
	ops->update_request = update_request;

	return 0;
}
EXPORT_SYMBOL(nvidia_vgpu_vfio_get_ops);

NV_STATUS nvidia_vgpu_vfio_set_ops(vgpu_vfio_ops_t *ops)
{
	front_end = ops;

	return 0;
}
EXPORT_SYMBOL(nvidia_vgpu_vfio_set_ops);

static int gpu_set(const char *val, const struct kernel_param *kp)
{
	NvU32 types[] = { NVIDIA_TYPE };
	unsigned int domain, bus, slot, func;
	struct pci_dev *pdev = NULL;

	if (gpu && front_end)
		front_end->remove(gpu);
	pci_dev_put(gpu);
	gpu = NULL;
	if (sscanf(val, "%x:%x:%x.%x", &domain, &bus, &slot, &func) != 4)
		return 0;
	gpu = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, func));
	for_each_pci_dev(pdev)
		if (front_end && pdev->is_virtfn && pci_physfn(pdev) == gpu)
			front_end->probe(pdev, 1, types);

	return 0;
}

static const struct kernel_param_ops gpu_ops = { .set = gpu_set };
module_param_cb(gpu, &gpu_ops, NULL, 0200);

static void __exit nvidia_exit(void)
{
	pci_dev_put(gpu);
}
module_exit(nvidia_exit);

static int __init nvidia_init(void)
{
	return 0;
}
module_init(nvidia_init);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_VERSION(NVIDIA_VERSION);
MODULE_DESCRIPTION("Stand-in for NVIDIA's vGPU host driver, built apart from nvvgpu");
