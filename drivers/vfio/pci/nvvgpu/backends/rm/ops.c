// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-rm: the contract with the front-end, in terms of the RM's functions.
 */
#include <linux/cleanup.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "rm.h"

static int rm_get_types(void *priv, u32 *ids, size_t capacity)
{
	struct rm_gpu *gpu = priv;
	/* Pairs with rm_types_add(). */
	unsigned int i, nr = smp_load_acquire(&gpu->nr_types);

	if (nr > capacity)
		return -EOVERFLOW;

	for (i = 0; i < nr; i++)
		ids[i] = gpu->types[i].info.id;

	return nr;
}

static int rm_get_type_info(void *priv, u32 type, struct nvvgpu_type_info *info)
{
	return rm_type_info(priv, type, info);
}

/**
 * rm_unused_vf() - find a VF without a vGPU
 * @gpu: the GPU
 *
 * Return: the VF, to be put by pci_dev_put(), or NULL
 */
struct pci_dev *rm_unused_vf(struct rm_gpu *gpu)
{
	struct pci_dev *pdev;
	unsigned int vf;

	for (vf = 0; vf < gpu->nr_vfs; vf++) {
		if (READ_ONCE(gpu->vgpus[vf].made))
			continue;
		pdev = nvvgpu_backend_get_vf(gpu->pf, vf);
		if (pdev)
			return pdev;
	}

	return NULL;
}

static int rm_count_unused_vfs(struct rm_gpu *gpu)
{
	int nr = min_t(int, gpu->nr_vfs, pci_num_vf(gpu->pf));
	int vf, unused = 0;

	for (vf = 0; vf < nr; vf++)
		unused += !READ_ONCE(gpu->vgpus[vf].made);

	return unused;
}

/* Return 1 if a type can be created on a VF, 0 if not, or a negative errno. */
static int rm_creatable(struct rm_gpu *gpu, struct pci_dev *vf, u32 type)
{
	int nr, i;

	u32 *ids __free(kfree) =
		kmalloc_array(NVIDIA_VGPU_MAX_TYPES, sizeof(*ids), GFP_KERNEL);
	if (!ids)
		return -ENOMEM;

	nr = rm_get_creatable(gpu, vf, ids);
	for (i = 0; i < nr; i++)
		if (ids[i] == type)
			return 1;

	return min(nr, 0);
}

static int rm_get_available(void *priv, u32 type, u32 placement, char *reason,
			    size_t len)
{
	char text[NVIDIA_VGPU_INSTANCES_LEN];
	struct rm_gpu *gpu = priv;
	u16 nr;
	int ret;

	if (!rm_type_find(gpu, type))
		return -ENOENT;

	if (placement != NVVGPU_PLACEMENT_ANY && placement) {
		strscpy(reason, "the resource manager has no placements", len);
		return 0;
	}

	struct pci_dev *vf __free(pci_dev_put) = rm_unused_vf(gpu);
	if (!vf) {
		strscpy(reason, "all enabled VFs have vGPUs", len);
		return 0;
	}

	ret = rm_creatable(gpu, vf, type);
	if (ret < 0)
		return ret;
	if (!ret) {
		strscpy(reason, "the resource manager has no instance left",
			len);
		return 0;
	}

	ret = rm_get_text(gpu, gpu->by_vf ? vf : gpu->pf, RM_GET_INSTANCES,
			  rm_ops.get_instances, type, text, sizeof(text));
	if (ret)
		return ret;
	if (kstrtou16(text, 10, &nr))
		return -EPROTO;

	/* The list of creatable types decides, as in NVIDIA's own driver. */
	return clamp(nr, 1, max(rm_count_unused_vfs(gpu), 1));
}

/*
 * NVIDIA's driver passes neither areas nor, with most states, parameters.
 */
static void rm_update(struct rm_vgpu *vgpu, enum nvidia_vgpu_state state,
		      const char *params)
{
	rm_ops.update_request(vgpu->id, NULL, NULL, state, params);
}

/* The front-end takes these errors of a create for errors of the placement. */
static int rm_unplaced(int err)
{
	return err == -EBUSY || err == -EINVAL ? -EIO : err;
}

static int rm_make(struct rm_vgpu *vgpu)
{
	struct pci_dev *pdev = vgpu->pdev;
	u32 status, gpu_id, bdf;
	u8 is_driver_vm;
	int ret;

	vgpu->vm_name = rm_vm_name_alloc();
	if (!vgpu->vm_name)
		return -ENOMEM;

	bdf = (u32)pci_domain_nr(pdev->bus) << 16 | pci_dev_id(pdev);
	status = rm_ops.vgpu_create(vgpu->gpu->pf, vgpu->id, vgpu->type,
				    &vgpu->vgpu_id, &gpu_id, bdf,
				    &is_driver_vm);
	ret = rm_vgpu_check(vgpu, RM_CREATE, status);
	if (ret) {
		kfree(vgpu->vm_name);
		vgpu->vm_name = NULL;
		return rm_unplaced(ret);
	}
	WRITE_ONCE(vgpu->made, true);
	vgpu->unanswered = false;
	rm_update(vgpu, NVIDIA_VGPU_UNUSED, NULL);

	return 0;
}

/* The RM may use the memory that it was given until this has succeeded. */
static int rm_unmake(struct rm_vgpu *vgpu)
{
	u32 status;

	if (!vgpu->made)
		return 0;

	status = rm_ops.vgpu_delete(vgpu->id, vgpu->vgpu_id);
	if (status != NV_ERR_OBJECT_NOT_FOUND && status != NV_OK)
		return rm_vgpu_check(vgpu, RM_DELETE, status);
	WRITE_ONCE(vgpu->made, false);
	kfree(vgpu->vm_name);
	vgpu->vm_name = NULL;

	return 0;
}

/* The RM does not report placements: there is one, and it has number 0. */
static int rm_create(void *priv, unsigned int vf, u32 type, u32 *placement,
		     void **handle)
{
	struct rm_gpu *gpu = priv;
	struct rm_vgpu *vgpu;
	int ret;

	if (!rm_type_find(gpu, type))
		return -ENOENT;
	if (*placement != NVVGPU_PLACEMENT_ANY && *placement)
		return -EINVAL;
	if (vf >= gpu->nr_vfs)
		return -ENODEV;

	vgpu = &gpu->vgpus[vf];
	vgpu->pdev = nvvgpu_backend_get_vf(gpu->pf, vf);
	if (!vgpu->pdev)
		return -ENODEV;
	strscpy_pad((char *)vgpu->id, pci_name(vgpu->pdev), sizeof(vgpu->id));
	vgpu->type = type;

	ret = rm_creatable(gpu, vgpu->pdev, type);
	if (ret >= 0)
		ret = ret ? rm_make(vgpu) : -ENOSPC;
	if (ret) {
		pci_dev_put(vgpu->pdev);
		vgpu->pdev = NULL;
		return rm_unplaced(ret);
	}
	vgpu->starts = 0;
	vgpu->timeouts = 0;
	atomic64_set(&vgpu->interrupts, 0);
	*placement = 0;
	*handle = vgpu;

	return 0;
}

static int rm_delete(void *handle)
{
	struct rm_vgpu *vgpu = handle;
	int ret;

	ret = rm_unmake(vgpu);
	if (ret)
		return ret;
	pci_dev_put(vgpu->pdev);
	vgpu->pdev = NULL;

	return 0;
}

/*
 * The answer to a start that has timed out could be taken for the answer to the
 * next one.  Deleting the vGPU prevents that.
 */
static int rm_renew(struct rm_vgpu *vgpu)
{
	int ret;

	if (vgpu->made && !vgpu->unanswered)
		return 0;

	ret = rm_unmake(vgpu);
	if (ret)
		return ret;

	return rm_make(vgpu);
}

static char *rm_params(struct rm_vgpu *vgpu, const char *params)
{
	char *text = kasprintf(GFP_KERNEL, "vgpu_type_id=%u%s%s", vgpu->type,
			       params[0] ? "," : "", params);

	if (!text)
		return ERR_PTR(-ENOMEM);
	if (strlen(text) >= NVIDIA_VGPU_PARAMS_LEN) {
		kfree(text);
		return ERR_PTR(-E2BIG);
	}

	return text;
}

static void rm_unuse(struct rm_vgpu *vgpu)
{
	vgpu->fb_bar_size = 0;
	vgpu->nr_areas = 0;
	rm_update(vgpu, NVIDIA_VGPU_UNUSED, NULL);
}

static int rm_op_start(void *handle,
		       const struct nvvgpu_vm_context *ctx)
{
	struct rm_vgpu *vgpu = handle;
	int ret;

	char *params __free(kfree) = rm_params(vgpu, ctx->params);
	if (IS_ERR(params))
		return PTR_ERR(params);

	ret = rm_renew(vgpu);
	if (ret)
		return ret;

	rm_update(vgpu, NVIDIA_VGPU_OPENED, params);
	ret = rm_start(vgpu, ctx->pid);
	if (!ret)
		ret = rm_get_fb_bar(vgpu);
	if (!ret)
		ret = rm_get_areas(vgpu);
	if (ret) {
		rm_unuse(vgpu);
		return ret;
	}
	rm_update(vgpu, NVIDIA_VGPU_IN_USE, NULL);
	if (ctx->argsz >= offsetofend(typeof(*ctx), vm_name_len))
		scnprintf(ctx->vm_name, ctx->vm_name_len, "%.*s",
			  NVIDIA_VGPU_VM_NAME_LEN, vgpu->vm_name);

	return 0;
}

static int rm_op_stop(void *handle)
{
	rm_unuse(handle);

	return 0;
}

static int rm_get_bar_info(void *handle, unsigned int bar,
			   struct nvvgpu_bar_info *info)
{
	struct rm_vgpu *vgpu = handle;
	u32 i;

	if (bar == NVIDIA_VGPU_BAR_FB && vgpu->fb_bar_size)
		info->size = vgpu->fb_bar_size;
	if (bar)
		return 0;

	/* No area means that nothing of BAR 0 may be mapped. */
	if (!vgpu->nr_areas)
		info->flags &= ~NVVGPU_BAR_MMAP;
	info->nr_sparse = vgpu->nr_areas;
	for (i = 0; i < vgpu->nr_areas; i++) {
		info->sparse[i].offset = vgpu->offsets[i];
		info->sparse[i].length = vgpu->sizes[i];
	}

	return 0;
}

static int rm_get_stats(void *handle, struct nvvgpu_stat *stats,
			size_t capacity)
{
	struct rm_vgpu *vgpu = handle;
	/* May be called at the same time as any other operation but create and delete. */
	const struct nvvgpu_stat all[] = {
		{ "starts", READ_ONCE(vgpu->starts) },
		{ "start_timeouts", READ_ONCE(vgpu->timeouts) },
		{ "interrupts", atomic64_read(&vgpu->interrupts) },
	};
	size_t nr = min(capacity, ARRAY_SIZE(all));

	memcpy(stats, all, nr * sizeof(*stats));

	return nr;
}

const struct nvvgpu_backend_ops rm_backend_ops = {
	.name = "rm",
	.owner = THIS_MODULE,
	.abi_major = NVVGPU_BACKEND_ABI_MAJOR,
	.abi_minor = NVVGPU_BACKEND_ABI_MINOR,
	.size = sizeof(struct nvvgpu_backend_ops),
	.get_types = rm_get_types,
	.get_type_info = rm_get_type_info,
	.get_available = rm_get_available,
	.create = rm_create,
	.delete = rm_delete,
	.start = rm_op_start,
	.stop = rm_op_stop,
	.get_bar_info = rm_get_bar_info,
	.get_stats = rm_get_stats,
};
