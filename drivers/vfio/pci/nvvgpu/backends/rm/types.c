// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-rm: what the provider's types offer, read from the texts that it has
 * for people.
 */
#include <linux/cleanup.h>
#include <linux/ctype.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "rm.h"

static_assert(NVVGPU_RM_NAME_LEN <= NVVGPU_NAME_LEN);

/**
 * rm_type_find() - look a type up
 * @gpu: whose
 * @id: of the type
 *
 * Return: the type, or NULL where there is none with that id
 */
const struct nvvgpu_type_info *rm_type_find(struct rm_gpu *gpu, u32 id)
{
	unsigned int i;

	for (i = 0; i < gpu->nr_types; i++)
		if (gpu->types[i].id == id)
			return &gpu->types[i];

	return NULL;
}

/* "<words>-<GB><class>"; a colon or two spaces would lead tools astray */
static bool rm_name_valid(const char *name, size_t len)
{
	size_t i;

	if (len < 4 || !isupper(name[len - 1]) || !isdigit(name[len - 2]) ||
	    name[0] == ' ')
		return false;
	for (i = 0; i < len; i++)
		if (!isascii(name[i]) || !isprint(name[i]) ||
		    strchr(":\"", name[i]) ||
		    (name[i] == ' ' && name[i + 1] == ' '))
			return false;

	return true;
}

/* Of NVIDIA's names; there are more letters than these. */
static enum nvvgpu_type_class rm_class(char letter)
{
	switch (letter) {
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

/* What the description does not tell remains 0. */
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

static int rm_type_load(struct rm_gpu *gpu, u32 id,
			struct nvvgpu_type_info *info)
{
	char *text __free(kfree) = NULL;
	size_t len;
	int ret;

	text = kzalloc(NVVGPU_RM_DESCRIPTION_LEN, GFP_KERNEL);
	if (!text)
		return -ENOMEM;

	memset(info, 0, sizeof(*info));
	info->id = id;
	ret = rm_get_text(gpu->pf, "get_name", rm_ops.get_name, id, info->name,
			  NVVGPU_RM_NAME_LEN);
	if (ret)
		return ret;

	len = strlen(info->name);
	if (!id || id > INT_MAX || !rm_name_valid(info->name, len)) {
		pci_warn(gpu->pf, "type %u is left out, its name is not sound\n",
			 id);
		return -EPROTO;
	}
	info->class = rm_class(info->name[len - 1]);

	ret = rm_get_text(gpu->pf, "get_description", rm_ops.get_description,
			  id, text, NVVGPU_RM_DESCRIPTION_LEN);
	if (ret)
		return ret;
	rm_parse_description(text, info);

	return 0;
}

/**
 * rm_types_load() - ask the provider what the types of a GPU offer
 * @gpu: the GPU
 * @nr: how many
 * @ids: of the types
 *
 * A type that cannot be used is left out, with a line in the log.
 *
 * Return: 0 or -ENOMEM
 */
int rm_types_load(struct rm_gpu *gpu, u32 nr, const u32 *ids)
{
	u32 i;

	gpu->types = kzalloc_objs(*gpu->types, nr, GFP_KERNEL);
	if (!gpu->types)
		return -ENOMEM;

	for (i = 0; i < nr; i++)
		if (!rm_type_find(gpu, ids[i]) &&
		    !rm_type_load(gpu, ids[i], &gpu->types[gpu->nr_types]))
			gpu->nr_types++;

	return 0;
}
