// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-rm: vGPU types, as the RM describes them in text.
 */
#include <linux/cleanup.h>
#include <linux/ctype.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "rm.h"

static_assert(NVIDIA_VGPU_NAME_LEN <= NVVGPU_NAME_LEN);
static_assert(NVIDIA_VGPU_MAX_TYPES <= NVVGPU_MAX_TYPES);

/**
 * rm_type_find() - find a type by its id
 * @gpu: the GPU
 * @id: id of the type
 *
 * Return: the type, or NULL
 */
struct rm_type *rm_type_find(struct rm_gpu *gpu, u32 id)
{
	/* Pairs with rm_types_add(). */
	unsigned int i, nr = smp_load_acquire(&gpu->nr_types);

	for (i = 0; i < nr; i++)
		if (gpu->types[i].info.id == id)
			return &gpu->types[i];

	return NULL;
}

/**
 * rm_types_add() - add the types that the RM has reported
 * @gpu: the GPU, in a callback that excludes others that add types
 * @nr: number of @ids
 * @ids: ids of the types
 *
 * Return: true if there are new ones among them
 */
bool rm_types_add(struct rm_gpu *gpu, u32 nr, const u32 *ids)
{
	unsigned int before = gpu->nr_types;
	u32 i;

	for (i = 0; i < nr; i++) {
		if (!ids[i] || ids[i] > INT_MAX) {
			pci_warn(gpu->pf, "type %u ignored: invalid id\n",
				 ids[i]);
			continue;
		}
		if (rm_type_find(gpu, ids[i]))
			continue;
		if (gpu->nr_types == NVIDIA_VGPU_MAX_TYPES) {
			pci_warn(gpu->pf, "type %u ignored: more than %u types\n",
				 ids[i], NVIDIA_VGPU_MAX_TYPES);
			continue;
		}
		gpu->types[gpu->nr_types].info.id = ids[i];
		/* Pairs with rm_type_find(). */
		smp_store_release(&gpu->nr_types, gpu->nr_types + 1);
	}

	return gpu->nr_types != before;
}

/*
 * The letter after the last number: 'Q' in "NVIDIA A40-4Q", 'C' in "NVIDIA
 * A100-1-5CME".
 */
static char rm_class_letter(const char *name)
{
	const char *p = strrchr(name, '-');

	if (!p || !isdigit(p[1]))
		return 0;
	for (p++; isdigit(*p); p++)
		;

	return *p;
}

static enum nvvgpu_type_class rm_class(const char *name)
{
	switch (rm_class_letter(name)) {
	case 'Q':
		return NVVGPU_CLASS_WORKSTATION;
	case 'C':
		return NVVGPU_CLASS_COMPUTE;
	case 'B':
		return NVVGPU_CLASS_DESKTOP;
	case 'A':
		return NVVGPU_CLASS_APPLICATIONS;
	default:
		return NVVGPU_CLASS_ANY;
	}
}

/* Attributes that the description lacks remain 0. */
static void rm_parse_description(char *text, struct nvvgpu_type_info *info)
{
	unsigned int width, height, number;
	char *item;

	while ((item = strsep(&text, ","))) {
		item = skip_spaces(item);
		if (sscanf(item, "num_heads=%u", &number) == 1) {
			info->heads = number;
		} else if (sscanf(item, "framebuffer=%uM", &number) == 1) {
			info->fb_bytes = (u64)number * SZ_1M;
		} else if (sscanf(item, "max_instance=%u", &number) == 1) {
			info->max_instances = number;
		} else if (sscanf(item, "max_resolution=%ux%u", &width,
				&height) == 2) {
			info->max_width = width;
			info->max_height = height;
		}
	}
}

/* The RM describes the types of a function that it has reported. */
static struct pci_dev *rm_types_device(struct rm_gpu *gpu)
{
	struct pci_dev *vf = gpu->by_vf ? rm_unused_vf(gpu) : NULL;

	return vf ?: pci_dev_get(gpu->pf);
}

/* Return 0, or 1 if the type has a name but no description. */
static int rm_type_load(struct rm_gpu *gpu, struct nvvgpu_type_info *info)
{
	char *text __free(kfree) = NULL;
	int ret;

	text = kzalloc(NVIDIA_VGPU_DESCRIPTION_LEN, GFP_KERNEL);
	if (!text)
		return -ENOMEM;

	struct pci_dev *pdev __free(pci_dev_put) = rm_types_device(gpu);
	ret = rm_get_text(gpu, pdev, RM_GET_NAME, rm_ops.get_name, info->id,
			  info->name, NVIDIA_VGPU_NAME_LEN);
	if (ret)
		return ret == -ENOMEM ? ret : -ENOENT;

	if (!nvvgpu_type_name_valid(info->name)) {
		if (__ratelimit(&gpu->limits[RM_GET_NAME]))
			pci_warn(gpu->pf, "type %u ignored: invalid name\n",
				 info->id);
		return -ENOENT;
	}
	info->class = rm_class(info->name);

	ret = rm_get_text(gpu, pdev, RM_GET_DESCRIPTION,
			  rm_ops.get_description, info->id, text,
			  NVIDIA_VGPU_DESCRIPTION_LEN);
	if (!ret)
		rm_parse_description(text, info);

	return ret == -ENOMEM ? ret : !!ret;
}

/**
 * rm_type_info() - describe a type
 * @gpu: the GPU
 * @id: id of the type
 * @to: filled in
 *
 * A type without a description is listed, as in NVIDIA's own driver.
 *
 * Return: 0; -ENOENT if the RM has no such type or no valid name for it; -ENOMEM
 */
int rm_type_info(struct rm_gpu *gpu, u32 id, struct nvvgpu_type_info *to)
{
	struct rm_type *type = rm_type_find(gpu, id);
	struct nvvgpu_type_info info = { .id = id };
	int ret;

	if (!type)
		return -ENOENT;

	scoped_guard(mutex, &gpu->types_mutex) {
		if (type->known) {
			nvvgpu_type_info_set(to, &type->info);
			return 0;
		}
	}

	/* Callers that need a known type must not wait for the RM. */
	ret = rm_type_load(gpu, &info);

	guard(mutex)(&gpu->types_mutex);

	/* Another caller may have loaded it meanwhile. */
	if (!type->known) {
		bool late = type->asked;

		type->asked = true;
		if (ret < 0)
			return ret;
		/* The RM had less information earlier. */
		if (late && (!ret || !type->info.name[0]))
			nvvgpu_backend_types_changed(gpu->backend);
		type->info = info;
		type->known = !ret;
	}
	nvvgpu_type_info_set(to, &type->info);

	return 0;
}
