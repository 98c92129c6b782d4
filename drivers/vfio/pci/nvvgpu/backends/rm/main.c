// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-rm: adapter between the front-end and the Resource Manager (RM) in
 * NVIDIA's vGPU host driver, in place of that driver's own VFIO module.
 */
#include <linux/cleanup.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include "rm.h"

static char version[64];
module_param_string(version, version, sizeof(version), 0444);
MODULE_PARM_DESC(version,
		 "version to present to nvidia.ko (default: that of the loaded nvidia.ko)");

/* Functions of the RM, constant after the handshake */
struct nvidia_vgpu_rm_ops rm_ops;

static LIST_HEAD(rm_gpus);
/* protects rm_gpus and adding types; held for short updates only */
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

	gpu = kvzalloc(struct_size(gpu, vgpus, nr_vfs), GFP_KERNEL);
	if (!gpu)
		return NULL;

	gpu->nr_vfs = nr_vfs;
	gpu->pf = pci_dev_get(pf);
	init_completion(&gpu->settled);
	mutex_init(&gpu->types_mutex);
	rm_limits_init(gpu->limits);
	lockdep_register_key(&gpu->wait_key);
	strscpy(gpu->wait_name, "rm_vgpu.wait");
	for (vf = 0; vf < nr_vfs; vf++) {
		gpu->vgpus[vf].gpu = gpu;
		gpu->vgpus[vf].vf = vf;
		rm_limits_init(gpu->vgpus[vf].limits);
		__init_waitqueue_head(&gpu->vgpus[vf].wait, gpu->wait_name,
				      &gpu->wait_key);
	}

	return gpu;
}

/* The RM has pointers to a vGPU until it has deleted it. */
static void rm_gpu_free(struct rm_gpu *gpu)
{
	unsigned int vf;

	for (vf = 0; vf < gpu->nr_vfs; vf++) {
		if (!gpu->vgpus[vf].made)
			continue;
		pci_err(gpu->pf,
			"the RM failed to delete the vGPU of VF %u, keeping its memory\n",
			vf);
		return;
	}

	lockdep_unregister_key(&gpu->wait_key);
	pci_dev_put(gpu->pf);
	kvfree(gpu);
}

/* The caller that removes a GPU from the list frees it. */
static bool rm_gpu_unlist(struct rm_gpu *gpu)
{
	lockdep_assert_held(&rm_mutex);

	if (list_empty(&gpu->node))
		return false;
	list_del_init(&gpu->node);

	return true;
}

/*
 * Called without rm_mutex: the front-end takes the device_lock of VFs, and the
 * RM reports a VF with that lock held.
 */
static u32 rm_gpu_register(struct rm_gpu *gpu)
{
	bool listed;
	int err;

	/* The front-end logs the reason of a failure. */
	err = nvvgpu_backend_register(gpu->pf, &rm_backend_ops, gpu,
				      &gpu->backend);
	if (!err) {
		complete(&gpu->settled);
		return NV_OK;
	}

	scoped_guard(mutex, &rm_mutex)
		listed = rm_gpu_unlist(gpu);
	if (listed)
		rm_gpu_free(gpu);
	else
		complete(&gpu->settled);

	return NV_ERR_INVALID_STATE;
}

static u32 rm_probe(struct pci_dev *pdev, u32 nr_types, u32 *types)
{
	struct pci_dev *pf = pci_physfn(pdev);
	struct rm_gpu *gpu;

	if (!pf->is_physfn) {
		pci_warn(pdev, "ignoring GPU without SR-IOV\n");
		return NV_ERR_NOT_SUPPORTED;
	}
	if (nr_types > NVIDIA_VGPU_MAX_TYPES)
		return NV_ERR_INVALID_ARGUMENT;

	scoped_guard(mutex, &rm_mutex) {
		gpu = rm_gpu_find(pf);
		if (gpu) {
			if (rm_types_add(gpu, nr_types, types) &&
			    READ_ONCE(gpu->backend))
				nvvgpu_backend_types_changed(gpu->backend);
			return NV_OK;
		}
		gpu = rm_gpu_alloc(pf);
		if (!gpu)
			return NV_ERR_NO_MEMORY;
		gpu->by_vf = pdev != pf;
		rm_types_add(gpu, nr_types, types);
		list_add_tail(&gpu->node, &rm_gpus);
	}

	return rm_gpu_register(gpu);
}

static void rm_gpu_remove(struct rm_gpu *gpu)
{
	unsigned int vf;

	WRITE_ONCE(gpu->going, true);
	for (vf = 0; vf < gpu->nr_vfs; vf++)
		wake_up(&gpu->vgpus[vf].wait);

	/* Without a handle, the registration has failed. */
	wait_for_completion(&gpu->settled);
	if (gpu->backend)
		nvvgpu_backend_unregister(gpu->backend);
	nvvgpu_backend_free(gpu->backend);
	rm_gpu_free(gpu);
}

/*
 * VFs are unbound from nvidia.ko before they are bound to the front-end, so only
 * the removal of the GPU matters.
 */
static void rm_remove(struct pci_dev *pdev)
{
	struct rm_gpu *gpu;

	scoped_guard(mutex, &rm_mutex) {
		gpu = rm_gpu_find(pdev);
		if (gpu)
			rm_gpu_unlist(gpu);
	}
	if (gpu)
		rm_gpu_remove(gpu);
}

/*
 * VFIO does not let a driver signal an interrupt of its user, and VFs raise
 * their own.
 */
static u32 rm_inject_interrupt(void *cookie)
{
	struct rm_vgpu *vgpu = cookie;

	if (!vgpu)
		return NV_ERR_INVALID_ARGUMENT;
	atomic64_inc(&vgpu->interrupts);

	return NV_ERR_NOT_SUPPORTED;
}

static struct nvidia_vgpu_callbacks rm_callbacks = {
	.probe = rm_probe,
	.remove = rm_remove,
	.inject_interrupt = rm_inject_interrupt,
};

/* protects the three below */
static DEFINE_MUTEX(rm_pin_mutex);
static bool rm_pinned = true;
static bool rm_attached;
static bool rm_holds_itself;

static void rm_pin(void)
{
	lockdep_assert_held(&rm_pin_mutex);

	if (!rm_attached || rm_pinned == rm_holds_itself)
		return;

	rm_holds_itself = rm_pinned;
	if (rm_pinned) {
		__module_get(THIS_MODULE);
		pr_info(KBUILD_MODNAME ": cannot be unloaded: nvidia.ko does not wait for running callbacks\n");
	} else {
		pr_warn(KBUILD_MODNAME ": unloading allowed; safe only while nvidia.ko makes no callbacks\n");
		module_put(THIS_MODULE);
	}
}

static int rm_pinned_set(const char *val, const struct kernel_param *kp)
{
	int ret;

	guard(mutex)(&rm_pin_mutex);

	ret = param_set_bool(val, kp);
	if (!ret)
		rm_pin();

	return ret;
}

static const struct kernel_param_ops rm_pinned_ops = {
	.set = rm_pinned_set,
	.get = param_get_bool,
};
module_param_cb(pinned, &rm_pinned_ops, &rm_pinned, 0644);
__MODULE_PARM_TYPE(pinned, "bool");
MODULE_PARM_DESC(pinned,
		 "prevent unloading, as nvidia.ko does not wait for callbacks (default Y)");

static bool rm_version_known(void)
{
	unsigned int major;

	return sscanf(version, "%u.", &major) == 1 &&
	       major >= NVIDIA_VGPU_FIRST && major <= NVIDIA_VGPU_LAST;
}

/*
 * Without a version to ask with, let the RM refuse: it then reports its own,
 * that of /sys/module/nvidia/version.
 */
static int rm_find_version(void)
{
	struct nvidia_vgpu_rm_ops ops = { .version_string = "" };

	if (!version[0]) {
		nvidia_vgpu_vfio_get_ops(&ops);
		strscpy(version, ops.version_string ?: "");
	}
	if (rm_version_known())
		return 0;

	pr_err(KBUILD_MODNAME ": unsupported nvidia.ko version \"%s\": only %u to %u are supported\n",
	       version, NVIDIA_VGPU_FIRST, NVIDIA_VGPU_LAST);

	return -EPROTONOSUPPORT;
}

static int rm_handshake(void)
{
	u32 status;
	int ret;

	ret = rm_find_version();
	if (ret)
		return ret;

	rm_ops.version_string = version;
	status = nvidia_vgpu_vfio_get_ops(&rm_ops);
	if (status != NV_OK && rm_ops.version_string &&
	    strcmp(rm_ops.version_string, version)) {
		pr_err(KBUILD_MODNAME ": nvidia.ko is version \"%s\", the parameter version is \"%s\"\n",
		       rm_ops.version_string, version);
		return -EPROTONOSUPPORT;
	}
	if (status != NV_OK) {
		pr_err(KBUILD_MODNAME ": get_ops failed: NV_STATUS %#x\n",
		       status);
		return rm_errno(status);
	}
	if (!rm_ops.vgpu_create || !rm_ops.vgpu_delete ||
	    !rm_ops.vgpu_bar_info || !rm_ops.vgpu_start || !rm_ops.get_types ||
	    !rm_ops.get_name || !rm_ops.get_description ||
	    !rm_ops.get_instances || !rm_ops.get_sparse_mmap ||
	    !rm_ops.update_request) {
		pr_err(KBUILD_MODNAME ": get_ops returned an incomplete table\n");
		return -EINVAL;
	}

	return 0;
}

static int __init rm_init(void)
{
	u32 status;
	int ret;

	if (!nvidia_vgpu_vfio_get_ops || !nvidia_vgpu_vfio_set_ops) {
		pr_err(KBUILD_MODNAME ": no vGPU host driver: load an nvidia.ko that is licensed under the GPL\n");
		return -ENODEV;
	}

	ret = rm_handshake();
	if (ret)
		return ret;

	status = nvidia_vgpu_vfio_set_ops(&rm_callbacks);
	if (status != NV_OK) {
		pr_err(KBUILD_MODNAME ": set_ops failed: NV_STATUS %#x\n",
		       status);
		return rm_errno(status);
	}

	guard(mutex)(&rm_pin_mutex);
	rm_attached = true;
	rm_pin();

	return 0;
}

static struct rm_gpu *rm_gpu_first(void)
{
	struct rm_gpu *gpu;

	guard(mutex)(&rm_mutex);

	gpu = list_first_entry_or_null(&rm_gpus, struct rm_gpu, node);
	if (gpu)
		rm_gpu_unlist(gpu);

	return gpu;
}

static void __exit rm_exit(void)
{
	struct rm_gpu *gpu;

	nvidia_vgpu_vfio_set_ops(NULL);
	while ((gpu = rm_gpu_first()))
		rm_gpu_remove(gpu);
}

module_init(rm_init);
module_exit(rm_exit);

MODULE_IMPORT_NS("NVVGPU");
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("nvvgpu back-end for NVIDIA's Resource Manager");
