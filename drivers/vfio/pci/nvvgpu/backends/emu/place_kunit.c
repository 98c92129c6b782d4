// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-emu: KUnit tests of the placements of framebuffers.
 */
#include <kunit/test.h>
#include <linux/cleanup.h>
#include <linux/sizes.h>

#include "emu.h"

#define TEST_GRANULES	16

/* Their framebuffers have 1, 3 and 4 granules, and all of them. */
static const struct nvvgpu_type_info one = { .fb_bytes = SZ_16M };
static const struct nvvgpu_type_info three = { .fb_bytes = 3 * SZ_16M };
static const struct nvvgpu_type_info four = { .fb_bytes = 4 * SZ_16M };
static const struct nvvgpu_type_info all = {
	.fb_bytes = TEST_GRANULES * SZ_16M,
};

static int place_init(struct kunit *test)
{
	struct emu_dev *emu;
	unsigned int vf;

	emu = kunit_kzalloc(test, sizeof(*emu), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, emu);
	spin_lock_init(&emu->lock);
	emu->granule = SZ_16M;
	emu->granules = TEST_GRANULES;
	for (vf = 0; vf < NVVGPU_EMU_MAX_VFS; vf++) {
		emu->vgpus[vf].emu = emu;
		mutex_init(&emu->vgpus[vf].lock);
	}
	test->priv = emu;

	return 0;
}

static int reserve(struct kunit *test, unsigned int vf,
		   const struct nvvgpu_type_info *type, u32 placement)
{
	struct emu_dev *emu = test->priv;

	guard(mutex)(&emu->vgpus[vf].lock);

	return emu_place_reserve(&emu->vgpus[vf], type, placement);
}

static void release(struct kunit *test, unsigned int vf)
{
	struct emu_dev *emu = test->priv;

	guard(mutex)(&emu->vgpus[vf].lock);
	emu_place_release(&emu->vgpus[vf]);
}

static u32 place_of(struct kunit *test, unsigned int vf)
{
	struct emu_dev *emu = test->priv;

	return emu->vgpus[vf].placement;
}

static int count(struct kunit *test, const struct nvvgpu_type_info *type)
{
	struct emu_dev *emu = test->priv;

	guard(spinlock)(&emu->lock);

	return emu_places_free(emu, type, INT_MAX);
}

static int check(struct kunit *test, const struct nvvgpu_type_info *type,
		 u32 placement)
{
	struct emu_dev *emu = test->priv;

	guard(spinlock)(&emu->lock);

	return emu_place_check(emu, type, placement);
}

static void place_begins_at_a_multiple_of_its_size(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, count(test, &one), TEST_GRANULES);
	KUNIT_EXPECT_EQ(test, count(test, &three), 4);
	KUNIT_EXPECT_EQ(test, count(test, &four), 4);
	KUNIT_EXPECT_EQ(test, count(test, &all), 1);

	KUNIT_EXPECT_EQ(test, check(test, &three, 4), 0);
	KUNIT_EXPECT_EQ(test, check(test, &three, 3), -EINVAL);
	KUNIT_EXPECT_EQ(test, check(test, &four, TEST_GRANULES), -EINVAL);
	KUNIT_EXPECT_EQ(test, check(test, &one, INT_MAX), -EINVAL);
	KUNIT_EXPECT_EQ(test, check(test, &all, 1), -EINVAL);
}

static void place_is_the_first_that_is_free(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, reserve(test, 0, &three, NVVGPU_PLACEMENT_ANY), 0);
	KUNIT_EXPECT_EQ(test, place_of(test, 0), 0);
	/* The granule that a size leaves over is used. */
	KUNIT_ASSERT_EQ(test, reserve(test, 1, &one, NVVGPU_PLACEMENT_ANY), 0);
	KUNIT_EXPECT_EQ(test, place_of(test, 1), 3);
	KUNIT_ASSERT_EQ(test, reserve(test, 2, &one, NVVGPU_PLACEMENT_ANY), 0);
	KUNIT_EXPECT_EQ(test, place_of(test, 2), 4);
	KUNIT_ASSERT_EQ(test, reserve(test, 3, &four, NVVGPU_PLACEMENT_ANY), 0);
	KUNIT_EXPECT_EQ(test, place_of(test, 3), 8);

	KUNIT_EXPECT_EQ(test, count(test, &four), 1);
	KUNIT_EXPECT_EQ(test, count(test, &one), 7);
	release(test, 2);
	KUNIT_EXPECT_EQ(test, count(test, &four), 2);
}

static void place_that_is_taken_is_refused(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, reserve(test, 0, &four, 4), 0);
	KUNIT_EXPECT_EQ(test, reserve(test, 1, &four, 4), -EBUSY);
	/* In the middle of it, at its end, and around it */
	KUNIT_EXPECT_EQ(test, reserve(test, 1, &one, 5), -EBUSY);
	KUNIT_EXPECT_EQ(test, reserve(test, 1, &one, 7), -EBUSY);
	KUNIT_EXPECT_EQ(test, reserve(test, 1, &all, 0), -EBUSY);
	KUNIT_EXPECT_EQ(test, reserve(test, 1, &one, 3), 0);
	KUNIT_EXPECT_EQ(test, reserve(test, 2, &one, 8), 0);
	KUNIT_EXPECT_EQ(test, reserve(test, 3, &all, NVVGPU_PLACEMENT_ANY),
			-ENOSPC);
}

static void place_of_a_vgpu_survives_its_recovery(struct kunit *test)
{
	struct emu_dev *emu = test->priv;

	KUNIT_ASSERT_EQ(test, reserve(test, 0, &four, 8), 0);
	emu->vgpus[0].type = &four;
	release(test, 0);
	KUNIT_EXPECT_EQ(test, reserve(test, 1, &four, 8), -EBUSY);

	emu->vgpus[0].type = NULL;
	release(test, 0);
	KUNIT_EXPECT_EQ(test, reserve(test, 1, &four, 8), 0);
}

static struct kunit_case place_cases[] = {
	KUNIT_CASE(place_begins_at_a_multiple_of_its_size),
	KUNIT_CASE(place_is_the_first_that_is_free),
	KUNIT_CASE(place_that_is_taken_is_refused),
	KUNIT_CASE(place_of_a_vgpu_survives_its_recovery),
	{ }
};

static struct kunit_suite place_suite = {
	.name = "nvvgpu-emu-place",
	.init = place_init,
	.test_cases = place_cases,
};

kunit_test_suite(place_suite);
