// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-rm: adapter between the front-end and a GPU driver that provides its
 * vGPUs in the way of NVIDIA's Resource Manager.
 */
#include <linux/cleanup.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "rm.h"

/* The provider's functions, filled in by the handshake and constant then */
struct nvvgpu_rm_ops rm_ops;

static LIST_HEAD(rm_gpus);
/* protects rm_gpus, and lets one GPU come or go at a time */
static DEFINE_MUTEX(rm_mutex);

static struct rm_gpu *rm_gpu_find(struct pci_dev *pf)
{
	struct rm_gpu *gpu;

	lockdep_assert_held(&rm_mutex);

	list_for_each_entry(gpu, &rm_gpus, node)
		if (gpu->pf == pf)
			return gpu;

	return NULL;
}

static struct rm_gpu *rm_gpu_alloc(struct pci_dev *pf)
{
	unsigned int vf, nr_vfs = pci_sriov_get_totalvfs(pf);
	struct rm_gpu *gpu;

	gpu = kzalloc(struct_size(gpu, vgpus, nr_vfs), GFP_KERNEL);
	if (!gpu)
		return NULL;

	gpu->nr_vfs = nr_vfs;
	gpu->pf = pci_dev_get(pf);
	for (vf = 0; vf < nr_vfs; vf++) {
		gpu->vgpus[vf].gpu = gpu;
		gpu->vgpus[vf].vf = vf;
		init_waitqueue_head(&gpu->vgpus[vf].wait);
	}

	return gpu;
}

/* The provider has pointers to a vGPU until it has deleted it. */
static void rm_gpu_free(struct rm_gpu *gpu)
{
	unsigned int vf;

	for (vf = 0; vf < gpu->nr_vfs; vf++) {
		if (!gpu->vgpus[vf].made)
			continue;
		pci_err(gpu->pf,
			"the provider has not deleted the vGPU of VF %u, its memory is kept\n",
			vf);
		return;
	}

	pci_dev_put(gpu->pf);
	kfree(gpu->types);
	kfree(gpu);
}

static u32 rm_probe(struct pci_dev *pf, u32 nr_types, const u32 *types)
{
	struct rm_gpu *gpu;

	if (!pf->is_physfn || nr_types > NVVGPU_RM_MAX_TYPES)
		return NV_ERR_INVALID_ARGUMENT;

	guard(mutex)(&rm_mutex);

	if (rm_gpu_find(pf))
		return NV_ERR_INVALID_STATE;

	gpu = rm_gpu_alloc(pf);
	if (!gpu)
		return NV_ERR_NO_MEMORY;
	if (rm_types_load(gpu, nr_types, types)) {
		rm_gpu_free(gpu);
		return NV_ERR_NO_MEMORY;
	}

	/* When it refuses, it says why. */
	if (nvvgpu_backend_register(pf, &rm_backend_ops, gpu, &gpu->backend)) {
		rm_gpu_free(gpu);
		return NV_ERR_INVALID_STATE;
	}
	list_add_tail(&gpu->node, &rm_gpus);

	return NV_OK;
}

static void rm_gpu_remove(struct rm_gpu *gpu)
{
	unsigned int vf;

	lockdep_assert_held(&rm_mutex);

	list_del(&gpu->node);

	/* Nobody waits for a start from now on. */
	WRITE_ONCE(gpu->going, true);
	for (vf = 0; vf < gpu->nr_vfs; vf++)
		wake_up(&gpu->vgpus[vf].wait);

	nvvgpu_backend_unregister(gpu->backend);
	nvvgpu_backend_free(gpu->backend);
	rm_gpu_free(gpu);
}

static void rm_remove(struct pci_dev *pf)
{
	struct rm_gpu *gpu;

	guard(mutex)(&rm_mutex);

	gpu = rm_gpu_find(pf);
	if (gpu)
		rm_gpu_remove(gpu);
}

/*
 * VFIO lets no driver signal a user's interrupt on its own, and the VF raises
 * those of its hardware itself: interrupts that the provider's software injects
 * are only counted.
 */
static void rm_inject_interrupt(void *cookie)
{
	struct rm_vgpu *vgpu = cookie;

	atomic64_inc(&vgpu->interrupts);
}

static const struct nvvgpu_rm_callbacks rm_callbacks = {
	.probe = rm_probe,
	.remove = rm_remove,
	.inject_interrupt = rm_inject_interrupt,
};

static int rm_handshake(void)
{
	u32 status;

	strscpy(rm_ops.version, NVVGPU_RM_VERSION);
	status = nvvgpu_rm_get_ops(&rm_ops);
	rm_ops.version[NVVGPU_RM_VERSION_LEN - 1] = '\0';
	if (strcmp(rm_ops.version, NVVGPU_RM_VERSION)) {
		pr_err(KBUILD_MODNAME ": the provider is \"%s\", this is \"%s\"\n",
		       rm_ops.version, NVVGPU_RM_VERSION);
		return -EPROTONOSUPPORT;
	}
	if (status != NV_OK) {
		pr_err(KBUILD_MODNAME ": get_ops: NV_STATUS %#x\n", status);
		return rm_errno(status);
	}
	if (!rm_ops.vgpu_create || !rm_ops.vgpu_delete ||
	    !rm_ops.vgpu_bar_info || !rm_ops.vgpu_start || !rm_ops.get_types ||
	    !rm_ops.get_name || !rm_ops.get_description ||
	    !rm_ops.get_instances || !rm_ops.get_sparse_mmap ||
	    !rm_ops.update_request) {
		pr_err(KBUILD_MODNAME ": the provider's table has gaps\n");
		return -EINVAL;
	}

	return 0;
}

static int __init rm_init(void)
{
	u32 status;
	int ret;

	ret = rm_handshake();
	if (ret)
		return ret;

	status = nvvgpu_rm_set_ops(&rm_callbacks);
	if (status != NV_OK) {
		pr_err(KBUILD_MODNAME ": set_ops: NV_STATUS %#x\n", status);
		return rm_errno(status);
	}

	return 0;
}

static void __exit rm_exit(void)
{
	struct rm_gpu *gpu, *next;

	nvvgpu_rm_set_ops(NULL);

	guard(mutex)(&rm_mutex);
	list_for_each_entry_safe(gpu, next, &rm_gpus, node)
		rm_gpu_remove(gpu);
}

module_init(rm_init);
module_exit(rm_exit);

MODULE_IMPORT_NS("NVVGPU");
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("nvvgpu back-end for a Resource Manager");
