// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-generic: the operations of the back-end.
 */
#include <linux/cleanup.h>
#include <linux/module.h>
#include <linux/string.h>

#include "generic.h"

static struct generic_type *generic_find_offered(struct generic_pf *pf, u32 id)
{
	struct generic_type *type;

	lockdep_assert_held(&pf->lock);

	list_for_each_entry(type, &pf->types, node)
		if (type->offered && type->info.id == id)
			return type;

	return NULL;
}

static unsigned int generic_max_instances(const struct generic_type *type)
{
	/* The PF may have been replaced since the limit was set. */
	return min_not_zero(type->info.max_instances, type->pf->nr_vfs);
}

static int generic_get_types(void *priv, u32 *ids, size_t capacity)
{
	struct generic_pf *pf = priv;
	struct generic_type *type;
	size_t nr = 0;

	guard(mutex)(&pf->lock);

	list_for_each_entry(type, &pf->types, node) {
		if (!type->offered)
			continue;
		if (nr == capacity)
			return -EOVERFLOW;
		ids[nr++] = type->info.id;
	}

	return nr;
}

static int generic_get_type_info(void *priv, u32 id,
				 struct nvvgpu_type_info *info)
{
	struct generic_pf *pf = priv;
	struct nvvgpu_type_info known;
	struct generic_type *type;

	guard(mutex)(&pf->lock);

	type = generic_find_offered(pf, id);
	if (!type)
		return -ENOENT;
	known = type->info;
	known.max_instances = generic_max_instances(type);
	nvvgpu_type_info_set(info, &known);

	return 0;
}

/* The placement of a vGPU is the number of its VF. */
static int generic_available(struct generic_pf *pf, struct generic_type *type,
			     u32 placement, char *reason, size_t len)
{
	unsigned int vf, used = 0, most = generic_max_instances(type);
	/* The PF's driver may have raised its number of VFs since the enable. */
	unsigned int nr = min_t(unsigned int, pci_num_vf(pf->pdev), pf->nr_vfs);

	lockdep_assert_held(&pf->lock);

	for (vf = 0; vf < pf->nr_vfs; vf++)
		used += !!pf->vgpus[vf].type;
	if (used >= nr) {
		snprintf(reason, len, "all %u enabled VFs have vGPUs", nr);
		return 0;
	}
	if (type->instances >= most) {
		snprintf(reason, len, "limited to %u by max_instances", most);
		return 0;
	}
	if (placement != NVVGPU_PLACEMENT_ANY) {
		if (placement < nr && !pf->vgpus[placement].type)
			return 1;
		snprintf(reason, len, "VF %u has a vGPU or does not exist",
			 placement);
		return 0;
	}

	return min(nr - used, most - type->instances);
}

static int generic_get_available(void *priv, u32 id, u32 placement,
				 char *reason, size_t len)
{
	struct generic_pf *pf = priv;
	struct generic_type *type;

	guard(mutex)(&pf->lock);

	type = generic_find_offered(pf, id);
	if (!type)
		return -ENOENT;

	return generic_available(pf, type, placement, reason, len);
}

/* Check the requirements that depend on the VF. */
static int generic_check_vf(struct generic_type *type, struct pci_dev *pdev)
{
	unsigned int bar;
	u32 table;

	if (pcie_reset_flr(pdev, PCI_RESET_PROBE)) {
		pci_warn(pdev, "VF cannot be reset, which is required between two users\n");
		return -EOPNOTSUPP;
	}

	if (!pdev->msix_cap)
		return 0;
	pci_read_config_dword(pdev, pdev->msix_cap + PCI_MSIX_TABLE, &table);
	bar = table & PCI_MSIX_TABLE_BIR;
	if (bar < NVVGPU_MAX_BARS &&
	    (type->hidden & BIT(bar) || type->info.bar_bytes[bar])) {
		pci_warn(pdev,
			 "type %u: BAR %u has the MSI-X table and must be whole\n",
			 type->info.id, bar);
		return -EOPNOTSUPP;
	}

	return 0;
}

/* The placement of a vGPU is the number of its VF. */
static int generic_create(void *priv, unsigned int vf, u32 id, u32 *placement,
			  void **vgpu)
{
	struct generic_pf *pf = priv;
	struct generic_type *type;
	struct pci_dev *pdev;
	char reason[NVVGPU_REASON_LEN];
	int ret;

	guard(mutex)(&pf->lock);

	type = generic_find_offered(pf, id);
	if (!type)
		return -ENOENT;
	if (vf >= pf->nr_vfs || pf->vgpus[vf].type)
		return -EIO;
	if (*placement != NVVGPU_PLACEMENT_ANY && *placement != vf)
		return -EINVAL;
	if (!generic_available(pf, type, NVVGPU_PLACEMENT_ANY, reason,
			       sizeof(reason)))
		return -ENOSPC;

	pdev = nvvgpu_backend_get_vf(pf->pdev, vf);
	if (!pdev)
		return -ENODEV;
	ret = generic_check_vf(type, pdev);
	if (ret) {
		pci_dev_put(pdev);
		return ret;
	}

	config_item_get(&type->group.cg_item);
	type->instances++;
	pf->vgpus[vf].type = type;
	pf->vgpus[vf].pdev = pdev;
	pf->vgpus[vf].pf = pf;
	*placement = vf;
	*vgpu = &pf->vgpus[vf];

	return 0;
}

static int generic_delete(void *handle)
{
	struct generic_vgpu *vgpu = handle;
	struct generic_pf *pf = vgpu->pf;

	guard(mutex)(&pf->lock);

	vgpu->type->instances--;
	config_item_put(&vgpu->type->group.cg_item);
	vgpu->type = NULL;
	pci_dev_put(vgpu->pdev);
	vgpu->pdev = NULL;

	return 0;
}

/* The VF has just been reset; there is nothing else to do. */
static int generic_start(void *handle,
			 const struct nvvgpu_vm_context *ctx)
{
	return 0;
}

/* The reset at close, or else at unbind, clears the data of the user. */
static int generic_stop(void *handle)
{
	struct generic_vgpu *vgpu = handle;
	struct pci_dev *pdev = vgpu->pdev;

	pci_clear_master(pdev);

	return pci_wait_for_pending_transaction(pdev) ? 0 : -EIO;
}

/* The reset has recovered the VF, if it has no pending transactions. */
static int generic_recover(void *handle)
{
	return generic_stop(handle);
}

static int generic_get_bar_info(void *handle, unsigned int bar,
				struct nvvgpu_bar_info *info)
{
	struct generic_vgpu *vgpu = handle;
	struct generic_type *type = vgpu->type;

	if (type->hidden & BIT(bar))
		info->size = 0;
	else if (type->info.bar_bytes[bar])
		info->size = type->info.bar_bytes[bar];

	return 0;
}

const struct nvvgpu_backend_ops generic_ops = {
	.name = "generic",
	.owner = THIS_MODULE,
	.abi_major = NVVGPU_BACKEND_ABI_MAJOR,
	.abi_minor = NVVGPU_BACKEND_ABI_MINOR,
	.size = sizeof(struct nvvgpu_backend_ops),
	.get_types = generic_get_types,
	.get_type_info = generic_get_type_info,
	.get_available = generic_get_available,
	.create = generic_create,
	.delete = generic_delete,
	.start = generic_start,
	.stop = generic_stop,
	.get_bar_info = generic_get_bar_info,
	.recover = generic_recover,
};
