// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-emu: placements of the framebuffers in VRAM.
 *
 * The driver chooses them and not the firmware, which may have lost vGPUs whose
 * framebuffers are still mapped.
 */
#include <kunit/visibility.h>
#include <linux/cleanup.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/minmax.h>

#include "emu.h"

/**
 * emu_granules() - size of a framebuffer in granules
 * @emu: the GPU
 * @info: its type
 *
 * Return: the size, at least 1
 */
u64 emu_granules(struct emu_dev *emu, const struct nvvgpu_type_info *info)
{
	return div64_u64(info->fb_bytes, emu->granule);
}

/**
 * emu_vram_free() - count the free VRAM
 * @emu: the GPU, its lock held
 * @largest: set to the largest contiguous part, in bytes
 *
 * Return: bytes that are free
 */
u64 emu_vram_free(struct emu_dev *emu, u64 *largest)
{
	const struct emu_vgpu *vgpu, *end = emu->vgpus + ARRAY_SIZE(emu->vgpus);
	u64 from = 0, to, at, length, next, sum = 0;

	lockdep_assert_held(&emu->lock);

	for (*largest = 0; from < emu->vram_bytes; from = next) {
		to = emu->vram_bytes;
		next = emu->vram_bytes;
		for (vgpu = emu->vgpus; vgpu < end; vgpu++) {
			at = vgpu->placement * emu->granule;
			if (!vgpu->reserved || at < from || at > to)
				continue;
			to = at;
			next = to + vgpu->reserved->fb_bytes;
		}
		length = to - from;
		sum += length;
		*largest = max(*largest, length);
	}

	return sum;
}

/* Find a vGPU whose framebuffer overlaps these granules. */
static const struct emu_vgpu *emu_place_owner(struct emu_dev *emu, u64 at,
					      u64 size)
{
	const struct emu_vgpu *vgpu, *end = emu->vgpus + ARRAY_SIZE(emu->vgpus);

	lockdep_assert_held(&emu->lock);

	for (vgpu = emu->vgpus; vgpu < end; vgpu++)
		if (vgpu->reserved && vgpu->placement < at + size &&
		    at < vgpu->placement + emu_granules(emu, vgpu->reserved))
			return vgpu;

	return NULL;
}

/*
 * Find the first free placement of a type from @at on.  A framebuffer begins at a
 * multiple of its size, rounded up to a power of two.
 */
static bool emu_place_next(struct emu_dev *emu,
			   const struct nvvgpu_type_info *info, u64 *at)
{
	u64 size = emu_granules(emu, info);
	u64 align = roundup_pow_of_two(size);
	const struct emu_vgpu *owner;

	for (;;) {
		*at = round_up(*at, align);
		if (*at + size > emu->granules)
			return false;
		owner = emu_place_owner(emu, *at, size);
		if (!owner)
			return true;
		*at = owner->placement + emu_granules(emu, owner->reserved);
	}
}

/**
 * emu_places_free() - count the vGPUs of a type that have room
 * @emu: the GPU, its lock held
 * @info: the type
 * @max: where to stop
 *
 * Return: how many would get a placement one after the other, at most @max
 */
int emu_places_free(struct emu_dev *emu, const struct nvvgpu_type_info *info,
		    int max)
{
	u64 at = 0;
	int nr;

	for (nr = 0; nr < max && emu_place_next(emu, info, &at); nr++)
		at++;

	return nr;
}
EXPORT_SYMBOL_IF_KUNIT(emu_places_free);

/**
 * emu_place_check() - check whether a vGPU of a type can be at a placement
 * @emu: the GPU, its lock held
 * @info: the type
 * @placement: the placement
 *
 * Return: 0; -EINVAL for an invalid placement; -EBUSY if it is taken
 */
int emu_place_check(struct emu_dev *emu, const struct nvvgpu_type_info *info,
		    u32 placement)
{
	u64 size = emu_granules(emu, info);

	if (placement + size > emu->granules ||
	    placement % roundup_pow_of_two(size))
		return -EINVAL;

	return emu_place_owner(emu, placement, size) ? -EBUSY : 0;
}
EXPORT_SYMBOL_IF_KUNIT(emu_place_check);

/**
 * emu_place_reserve() - reserve a placement for a new vGPU
 * @vgpu: the VF, locked
 * @info: type of the vGPU
 * @wanted: the placement, or NVVGPU_PLACEMENT_ANY for the first that is free
 *
 * Return: 0; -ENOSPC if there is no room; or as emu_place_check()
 */
int emu_place_reserve(struct emu_vgpu *vgpu,
		      const struct nvvgpu_type_info *info, u32 wanted)
{
	struct emu_dev *emu = vgpu->emu;
	u64 at = 0;
	int err;

	lockdep_assert_held(&vgpu->lock);

	guard(spinlock)(&emu->lock);

	if (wanted != NVVGPU_PLACEMENT_ANY) {
		err = emu_place_check(emu, info, wanted);
		if (err)
			return err;
		at = wanted;
	} else if (!emu_place_next(emu, info, &at)) {
		return -ENOSPC;
	}
	vgpu->reserved = info;
	vgpu->placement = at;

	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(emu_place_reserve);

/**
 * emu_place_release() - release the placement unless the driver has a vGPU there
 * @vgpu: the VF, locked; the firmware has no vGPU on it
 */
void emu_place_release(struct emu_vgpu *vgpu)
{
	struct emu_dev *emu = vgpu->emu;

	lockdep_assert_held(&vgpu->lock);

	guard(spinlock)(&emu->lock);

	/* A vGPU that is being recovered keeps it. */
	if (vgpu->reserved == vgpu->type)
		return;
	vgpu->reserved = vgpu->type;
	emu_room_changed(emu);
}
EXPORT_SYMBOL_IF_KUNIT(emu_place_release);
