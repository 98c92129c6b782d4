// SPDX-License-Identifier: GPL-2.0-only
/*
 * The types that a GPU offers, from nvvgpu/supported_types of one of its VFs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ctl.h"

/* Copy the value of key=value or key="value", "" if there is none. */
static void value_of(const char *line, const char *key, char *buf, size_t size)
{
	size_t len = strlen(key), n;
	const char *p = line;

	buf[0] = '\0';
	while ((p = strstr(p, key))) {
		if ((p == line || p[-1] == ' ') && p[len] == '=')
			break;
		p += len;
	}
	if (!p)
		return;
	p += len + 1;
	if (*p == '"') {
		p++;
		n = strcspn(p, "\"");
	} else {
		n = strcspn(p, " ");
	}
	snprintf(buf, size, "%.*s", (int)n, p);
}

static __u64 number_of(const char *line, const char *key)
{
	char buf[32];

	value_of(line, key, buf, sizeof(buf));

	return strtoull(buf, NULL, 10);
}

static void type_parse(struct type *type, const char *line)
{
	char bar[] = "bar0";
	int i;

	type->id = number_of(line, "id");
	value_of(line, "name", type->name, sizeof(type->name));
	value_of(line, "class", type->vgpu_class, sizeof(type->vgpu_class));
	type->framebuffer = number_of(line, "framebuffer");
	for (i = 0; i < MAX_BARS; i++) {
		bar[3] = '0' + i;
		type->bar[i] = number_of(line, bar);
	}
	type->heads = number_of(line, "heads");
	value_of(line, "max_resolution", type->resolution,
		 sizeof(type->resolution));
	type->max_instances = number_of(line, "max_instances");
	type->weight = number_of(line, "weight");
	type->available = number_of(line, "available");
	value_of(line, "reason", type->reason, sizeof(type->reason));
}

/* Only root may read the list; without it there are no types. */
void types_read(struct gpu *gpu)
{
	char buf[FILE_LEN], *line, *save = NULL;
	unsigned int i;

	free(gpu->types);
	gpu->types = NULL;
	gpu->nr_types = 0;
	for (i = 0; i < gpu->nr_vfs; i++)
		if (gpu->vfs[i].managed &&
		    file_read(buf, sizeof(buf), PCI_DEVICES
			      "/%s/nvvgpu/supported_types", gpu->vfs[i].bdf) > 0)
			break;
	if (i == gpu->nr_vfs)
		return;

	for (line = strtok_r(buf, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		gpu->types = realloc(gpu->types,
				     (gpu->nr_types + 1) * sizeof(*gpu->types));
		type_parse(&gpu->types[gpu->nr_types++], line);
	}
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

/* By its id, its name or the last word of its name */
const struct type *type_find(const struct gpu *gpu, const char *text)
{
	unsigned int i;
	char *end;
	unsigned long id = strtoul(text, &end, 10);

	if (*text && !*end)
		return type_by_id(gpu, id);
	for (i = 0; i < gpu->nr_types; i++)
		if (!strcasecmp(gpu->types[i].name, text) ||
		    !strcasecmp(type_short(gpu->types[i].name), text))
			return &gpu->types[i];

	return NULL;
}
