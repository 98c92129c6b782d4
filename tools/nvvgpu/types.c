// SPDX-License-Identifier: GPL-2.0-only
/*
 * The types that a GPU offers, from nvvgpu/types/.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ctl.h"

#define TYPES_DIR	PCI_DEVICES "/%s/nvvgpu/types"

/* Read a file of a type, "" if there is none or it is for root only. */
static void type_text(const struct gpu *gpu, unsigned int id, const char *name,
		      char *buf, size_t size)
{
	if (file_read(buf, size, TYPES_DIR "/%u/%s", gpu->bdf, id, name) < 0)
		buf[0] = '\0';
}

static long long type_number(const struct gpu *gpu, unsigned int id,
			     const char *name, long long otherwise)
{
	return file_number(otherwise, TYPES_DIR "/%u/%s", gpu->bdf, id, name);
}

static void type_fill(const struct gpu *gpu, unsigned int id, struct type *type)
{
	char bar[] = "bar0";
	int i;

	memset(type, 0, sizeof(*type));
	type->id = id;
	type_text(gpu, id, "name", type->name, sizeof(type->name));
	type_text(gpu, id, "class", type->vgpu_class, sizeof(type->vgpu_class));
	type->framebuffer = type_number(gpu, id, "framebuffer", 0);
	for (i = 0; i < MAX_BARS; i++) {
		bar[3] = '0' + i;
		type->bar[i] = type_number(gpu, id, bar, 0);
	}
	type->heads = type_number(gpu, id, "heads", 0);
	type_text(gpu, id, "max_resolution", type->resolution,
		  sizeof(type->resolution));
	type->max_instances = type_number(gpu, id, "max_instances", 0);
	type->weight = type_number(gpu, id, "weight", 0);
	type->available = type_number(gpu, id, "available_instances", AVAILABLE_UNKNOWN);
	if (!type->available)
		type_text(gpu, id, "reason", type->reason, sizeof(type->reason));
}

static int is_type(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Anybody may read the types; only root sees how many are available. */
void types_read(struct gpu *gpu)
{
	struct dirent **entries;
	char path[PATH_LEN];
	int i, nr;

	free(gpu->types);
	gpu->types = NULL;
	gpu->nr_types = 0;
	path_make(path, TYPES_DIR, gpu->bdf);
	nr = scandir(path, &entries, is_type, versionsort);
	if (nr < 0)
		return;
	gpu->types = calloc(nr ?: 1, sizeof(*gpu->types));
	for (i = 0; i < nr; i++) {
		type_fill(gpu, strtoul(entries[i]->d_name, NULL, 10),
			  &gpu->types[gpu->nr_types++]);
		free(entries[i]);
	}
	free(entries);
}

const struct type *type_by_id(const struct gpu *gpu, unsigned int id)
{
	unsigned int i;

	for (i = 0; i < gpu->nr_types; i++)
		if (gpu->types[i].id == id)
			return &gpu->types[i];

	return NULL;
}

/* The last word of a name, which is how people call a type */
const char *type_short(const char *name)
{
	const char *blank = strrchr(name, ' ');

	return blank ? blank + 1 : name;
}

/* The first type whose name has this last word, after another one or NULL */
static const struct type *next_by_short(const struct gpu *gpu, const char *text,
					const struct type *after)
{
	unsigned int i = after ? after - gpu->types + 1 : 0;

	for (; i < gpu->nr_types; i++)
		if (!strcasecmp(type_short(gpu->types[i].name), text))
			return &gpu->types[i];

	return NULL;
}

/* By its id, its name or the last word of its name, if no other name has that */
const struct type *type_find(const struct gpu *gpu, const char *text)
{
	const struct type *type;
	unsigned int i;
	long long id;

	if (parse_number(text, 0, UINT32_MAX, &id))
		return type_by_id(gpu, id);
	for (i = 0; i < gpu->nr_types; i++)
		if (!strcasecmp(gpu->types[i].name, text))
			return &gpu->types[i];
	type = next_by_short(gpu, text, NULL);

	return type && next_by_short(gpu, text, type) ? NULL : type;
}

/* Why type_find() has found none; valid until the next call */
const char *type_missing(const struct gpu *gpu, const char *text)
{
	const struct type *type = next_by_short(gpu, text, NULL);
	static char why[TEXT_LEN];

	if (type)
		snprintf(why, sizeof(why), "several types %s: %s and %s", text, type->name,
			 next_by_short(gpu, text, type)->name);
	else
		snprintf(why, sizeof(why), "no type %s", text);

	return why;
}
