// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-rm: the contract with the front-end, in terms of the provider's
 * functions.
 */
#include <linux/cleanup.h>
#include <linux/module.h>
#include <linux/string.h>

#include "rm.h"

static int rm_get_types(void *priv, u32 *ids, size_t capacity)
{
	struct rm_gpu *gpu = priv;
	unsigned int i;

	if (gpu->nr_types > capacity)
		return -EOVERFLOW;

	for (i = 0; i < gpu->nr_types; i++)
		ids[i] = gpu->types[i].id;

	return gpu->nr_types;
}

static int rm_get_type_info(void *priv, u32 type, struct nvvgpu_type_info *info)
{
	const struct nvvgpu_type_info *found = rm_type_find(priv, type);

	if (!found)
		return -ENOENT;
	nvvgpu_type_info_set(info, found);

	return 0;
}

static int rm_get_available(void *priv, u32 type, char *reason, size_t len)
{
	char text[NVVGPU_RM_INSTANCES_LEN];
	struct rm_gpu *gpu = priv;
	u16 nr;
	int ret;

	if (!rm_type_find(gpu, type))
		return -ENOENT;

	ret = rm_get_text(gpu->pf, "get_instances", rm_ops.get_instances, type,
			  text, sizeof(text));
	if (ret)
		return ret;
	if (kstrtou16(strim(text), 10, &nr))
		return -EPROTO;
	if (!nr)
		strscpy(reason, "the resource manager has no instance left",
			len);

	return nr;
}

/* Whether the provider would create this type on this VF now */
static int rm_check_creatable(struct rm_vgpu *vgpu)
{
	u32 ids[NVVGPU_RM_MAX_TYPES];
	int nr, i;

	nr = rm_get_creatable(vgpu->pdev, ids);
	for (i = 0; i < nr; i++)
		if (ids[i] == vgpu->type)
			return 0;

	return nr < 0 ? nr : -ENOSPC;
}

static int rm_make(struct rm_vgpu *vgpu)
{
	struct pci_dev *pf = vgpu->gpu->pf;
	u32 status;
	int ret;

	status = rm_ops.vgpu_create(pf, vgpu->id, vgpu->type,
				    pci_dev_id(vgpu->pdev), &vgpu->vgpu_id,
				    &vgpu->gpu_id, &vgpu->is_driver_vm);
	ret = rm_check(vgpu->pdev, "vgpu_create", status);
	vgpu->made = !ret;
	vgpu->unanswered = false;

	return ret;
}

static int rm_unmake(struct rm_vgpu *vgpu)
{
	u32 status;

	if (!vgpu->made)
		return 0;

	status = rm_ops.vgpu_delete(vgpu->id, vgpu->vgpu_id);
	/* What is not there need not be deleted. */
	if (status != NV_ERR_OBJECT_NOT_FOUND && status != NV_OK)
		return rm_check(vgpu->pdev, "vgpu_delete", status);
	vgpu->made = false;

	return 0;
}

static void rm_update(struct rm_vgpu *vgpu, enum nvvgpu_rm_state state,
		      const char *params)
{
	if (state == NVVGPU_RM_UNUSED) {
		vgpu->nr_areas = 0;
		memset(vgpu->offsets, 0, sizeof(vgpu->offsets));
		memset(vgpu->sizes, 0, sizeof(vgpu->sizes));
	}
	rm_ops.update_request(vgpu->id, vgpu->offsets, vgpu->sizes, state,
			      params);
}

/* The provider tells of no placements: there is one, and it has number 0. */
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
	strscpy((char *)vgpu->id, pci_name(vgpu->pdev), sizeof(vgpu->id));
	vgpu->type = type;

	ret = rm_check_creatable(vgpu);
	if (!ret)
		ret = rm_make(vgpu);
	if (ret) {
		pci_dev_put(vgpu->pdev);
		vgpu->pdev = NULL;
		return ret;
	}
	*placement = 0;
	*handle = vgpu;
	rm_update(vgpu, NVVGPU_RM_UNUSED, "");

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
 * The answer to an earlier start that was given up could be taken for the
 * answer to this one.  It cannot come any more once the vGPU has been deleted.
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

static int rm_op_start(void *handle,
		       const struct nvvgpu_vm_context *ctx)
{
	struct rm_vgpu *vgpu = handle;
	int ret;

	ret = rm_renew(vgpu);
	if (ret)
		return ret;

	rm_update(vgpu, NVVGPU_RM_OPENED, ctx->params);
	ret = rm_start(vgpu, ctx->pid);
	if (!ret)
		ret = rm_get_areas(vgpu);
	if (ret) {
		rm_update(vgpu, NVVGPU_RM_UNUSED, "");
		return ret;
	}
	rm_update(vgpu, NVVGPU_RM_IN_USE, ctx->params);

	return 0;
}

static int rm_op_stop(void *handle)
{
	struct rm_vgpu *vgpu = handle;

	rm_update(vgpu, NVVGPU_RM_UNUSED, "");

	return 0;
}

static int rm_get_bar_info(void *handle, unsigned int bar,
			   struct nvvgpu_bar_info *info)
{
	struct rm_vgpu *vgpu = handle;
	struct rm_gpu *gpu = vgpu->gpu;
	u64 size = info->size;
	u32 status, i;
	int ret;

	if (bar >= NVVGPU_RM_MAX_BARS)
		return 0;

	status = rm_ops.vgpu_bar_info(gpu->pf, vgpu->id, &size, bar, vgpu);
	ret = rm_check(vgpu->pdev, "vgpu_bar_info", status);
	if (ret)
		return ret;
	info->size = size;

	if (bar)
		return 0;
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
	const struct nvvgpu_stat all[] = {
		{ "starts", vgpu->starts },
		{ "start_timeouts", vgpu->timeouts },
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
