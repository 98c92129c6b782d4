// SPDX-License-Identifier: GPL-2.0-only
/*
 * Choice of a placement that leaves room for large vGPUs.
 *
 * The unit of placements is known to the back-end only.  Two vGPUs of one type
 * never overlap, so a vGPU does not extend beyond the next placement of its type.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

/* A file of sysfs has at most a page, and each placement has a digit and a blank. */
#define PLACEMENTS_LEN	4096
#define PLACEMENTS_MAX	(PLACEMENTS_LEN / 2)

/**
 * struct slots - where the vGPUs of a type can be
 * @at: placements, in ascending order
 * @nr: number of entries; 0 if they are not known
 * @extent: a vGPU is smaller than this or has this size
 */
struct slots {
	unsigned int at[PLACEMENTS_MAX];
	unsigned int nr;
	unsigned int extent;
};

static void slots_read(struct slots *slots, const struct gpu *gpu, unsigned int type)
{
	char buf[PLACEMENTS_LEN + 1], *text = buf, *end;
	unsigned int i;

	slots->nr = 0;
	slots->extent = UINT_MAX;
	if (file_read(buf, sizeof(buf), PCI_DEVICES "/%s/nvvgpu/types/%u/placements",
		      gpu->bdf, type) <= 0)
		return;
	while (slots->nr < PLACEMENTS_MAX) {
		slots->at[slots->nr] = strtoul(text, &end, 10);
		if (end == text)
			break;
		slots->nr++;
		text = end;
	}
	for (i = 1; i < slots->nr; i++)
		if (slots->at[i] - slots->at[i - 1] < slots->extent)
			slots->extent = slots->at[i] - slots->at[i - 1];
}

static bool overlap(unsigned int a, unsigned int len_a, unsigned int b, unsigned int len_b)
{
	return a < b ? b - a < len_a : a - b < len_b;
}

/* Return whether no vGPU is at a placement; @slots are those of the GPU's types. */
static bool is_free(const struct gpu *gpu, const struct slots *slots, unsigned int at,
		    unsigned int extent)
{
	unsigned int i, type;

	for (i = 0; i < gpu->nr_vfs; i++) {
		const struct vf *vf = &gpu->vfs[i];

		if (!vf->type || vf->placement < 0)
			continue;
		for (type = 0; type < gpu->nr_types; type++)
			if (gpu->types[type].id == vf->type &&
			    overlap(at, extent, vf->placement, slots[type].extent))
				return false;
	}

	return true;
}

/* Count the free placements of larger types that a vGPU would take away. */
static unsigned int places_lost(const struct gpu *gpu, const struct slots *slots,
				const struct type *type, unsigned int at)
{
	const unsigned int extent = slots[type - gpu->types].extent;
	unsigned int i, n, lost = 0;

	for (i = 0; i < gpu->nr_types; i++) {
		if (gpu->types[i].framebuffer <= type->framebuffer)
			continue;
		for (n = 0; n < slots[i].nr; n++)
			lost += overlap(at, extent, slots[i].at[n], slots[i].extent) &&
				is_free(gpu, slots, slots[i].at[n], slots[i].extent);
	}

	return lost;
}

/**
 * placement_pick() - choose where a vGPU takes away the least from larger types
 * @gpu: the GPU, with its VFs and types as they are now
 * @id: type of the new vGPU
 *
 * Return: a placement; PLACEMENT_ANY if the back-end does not list them, or none
 * is free
 */
int placement_pick(const struct gpu *gpu, unsigned int id)
{
	const struct type *type = type_by_id(gpu, id);
	unsigned int i, lost, least = UINT_MAX;
	const struct slots *own;
	int best = PLACEMENT_ANY;
	struct slots *slots;

	if (!type)
		return PLACEMENT_ANY;
	slots = calloc(gpu->nr_types, sizeof(*slots));
	for (i = 0; i < gpu->nr_types; i++)
		slots_read(&slots[i], gpu, gpu->types[i].id);
	own = &slots[type - gpu->types];
	for (i = 0; i < own->nr && least; i++) {
		if (!is_free(gpu, slots, own->at[i], own->extent))
			continue;
		lost = places_lost(gpu, slots, type, own->at[i]);
		if (lost < least) {
			least = lost;
			best = own->at[i];
		}
	}
	free(slots);

	return best;
}
