// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-emu: KUnit tests of the checks of the firmware's types.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "emu.h"

#define TEST_VRAM	(4ULL * SZ_1G)
#define TEST_GRANULE	SZ_16M

static const struct nvvgpu_emu_type good = {
	.id = cpu_to_le32(258),
	.max_instances = cpu_to_le32(2),
	.fb_bytes = cpu_to_le64(SZ_2G),
	.bar0_bytes = cpu_to_le64(SZ_64M),
	.heads = cpu_to_le32(1),
	.max_width = cpu_to_le32(5120),
	.max_height = cpu_to_le32(2880),
	.weight = cpu_to_le32(2),
	.vendor = cpu_to_le16(0x1234),
	.device = cpu_to_le16(0x1111),
	.class_code = cpu_to_le32(0x030200),
	.name = "NVIDIA EMU-2Q",
	.vgpu_class = "Q",
};

static const char *parse(const struct nvvgpu_emu_type *raw)
{
	struct nvvgpu_type_info info = {};

	return emu_type_parse(raw, TEST_VRAM, TEST_GRANULE, &info);
}

static void types_good(struct kunit *test)
{
	struct nvvgpu_type_info info = {};

	KUNIT_ASSERT_NULL(test, emu_type_parse(&good, TEST_VRAM, TEST_GRANULE,
					       &info));
	KUNIT_EXPECT_EQ(test, info.id, 258);
	KUNIT_EXPECT_STREQ(test, info.name, "NVIDIA EMU-2Q");
	KUNIT_EXPECT_EQ(test, info.class, NVVGPU_CLASS_WORKSTATION);
	KUNIT_EXPECT_EQ(test, info.fb_bytes, SZ_2G);
	KUNIT_EXPECT_EQ(test, info.bar_bytes[0], SZ_64M);
	KUNIT_EXPECT_EQ(test, info.bar_bytes[2], 0);
	KUNIT_EXPECT_EQ(test, info.max_instances, 2);
	KUNIT_EXPECT_EQ(test, info.max_width, 5120);
	KUNIT_EXPECT_EQ(test, info.max_height, 2880);
	KUNIT_EXPECT_EQ(test, info.vendor, 0x1234);
	KUNIT_EXPECT_EQ(test, info.device, 0x1111);
	KUNIT_EXPECT_EQ(test, info.subsystem_vendor, 0);
	KUNIT_EXPECT_EQ(test, info.class_code, 0x030200);
}

static void types_names(struct kunit *test)
{
	static const char * const bad[] = {
		"", "EMU-2Q ", " EMU-2Q", "NVIDIA  EMU-2Q", "NVIDIA:EMU-2Q",
		"NVIDIA\tEMU-2Q", "NVIDIA\nEMU-2Q", "NVIDI\xc4 EMU-2Q",
	};
	struct nvvgpu_emu_type raw = good;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		memset(raw.name, 0, sizeof(raw.name));
		strscpy(raw.name, bad[i], sizeof(raw.name));
		KUNIT_EXPECT_STREQ_MSG(test, parse(&raw), "invalid name", "'%s'",
				       bad[i]);
	}

	memset(raw.name, 'x', sizeof(raw.name));
	KUNIT_EXPECT_STREQ(test, parse(&raw), "invalid name");
	raw.name[sizeof(raw.name) - 1] = '\0';
	KUNIT_EXPECT_NULL(test, parse(&raw));
}

/* The types of two boots are compared as memory. */
static void types_name_is_padded(struct kunit *test)
{
	struct nvvgpu_emu_type raw = good;
	struct nvvgpu_type_info info, other;

	memset(&info, 0, sizeof(info));
	memset(&other, 0, sizeof(other));
	raw.name[sizeof(raw.name) - 1] = 'x';
	KUNIT_ASSERT_NULL(test, emu_type_parse(&good, TEST_VRAM, TEST_GRANULE,
					       &info));
	KUNIT_ASSERT_NULL(test, emu_type_parse(&raw, TEST_VRAM, TEST_GRANULE,
					       &other));
	KUNIT_EXPECT_MEMEQ(test, &info, &other, sizeof(info));
}

#define expect_refused(test, why, field, value) do {	\
	struct nvvgpu_emu_type raw = good;		\
							\
	raw.field = (value);				\
	KUNIT_EXPECT_STREQ(test, parse(&raw), why);	\
} while (0)

/* A multiple of the granule, but not of a page of the dirty log */
static void types_of_partial_pages(struct kunit *test)
{
	struct nvvgpu_emu_type raw = good;
	struct nvvgpu_type_info info = {};

	raw.fb_bytes = cpu_to_le64(SZ_1G + SZ_4K);
	KUNIT_EXPECT_STREQ(test, emu_type_parse(&raw, TEST_VRAM, SZ_4K, &info),
			   "invalid framebuffer");
}

static void types_refused(struct kunit *test)
{
	expect_refused(test, "id 0", id, 0);

	expect_refused(test, "invalid class", vgpu_class[0], 'X');
	expect_refused(test, "invalid class", vgpu_class[0], 0);
	expect_refused(test, "invalid class", vgpu_class[1], 'Q');

	expect_refused(test, "invalid framebuffer", fb_bytes, 0);
	expect_refused(test, "invalid framebuffer", fb_bytes,
		       cpu_to_le64(SZ_2G + 1));
	expect_refused(test, "invalid framebuffer", fb_bytes,
		       cpu_to_le64(SZ_2G + TEST_GRANULE));
	expect_refused(test, "invalid framebuffer", fb_bytes,
		       cpu_to_le64(1ULL << 63));
	expect_refused(test, "invalid framebuffer", max_instances, 0);
	expect_refused(test, "invalid framebuffer", max_instances,
		       cpu_to_le32(3));

	expect_refused(test, "invalid aperture", bar0_bytes, 0);
	expect_refused(test, "invalid aperture", bar0_bytes,
		       cpu_to_le64(SZ_64M + PAGE_SIZE));
	expect_refused(test, "invalid aperture", bar0_bytes,
		       cpu_to_le64(PAGE_SIZE / 2));
	expect_refused(test, "invalid aperture", bar0_bytes,
		       cpu_to_le64(2ULL * NVVGPU_EMU_VF_FB_SIZE));
	expect_refused(test, "invalid aperture", fb_bytes,
		       cpu_to_le64(TEST_GRANULE));

	expect_refused(test, "invalid display", heads, cpu_to_le32(~0));
	expect_refused(test, "invalid display", max_width, cpu_to_le32(~0));
	expect_refused(test, "invalid display", max_height, cpu_to_le32(~0));
	expect_refused(test, "invalid PCI class", class_code,
		       cpu_to_le32(0x1000000));
}

static void types_largest(struct kunit *test)
{
	struct nvvgpu_type_info info = {};
	struct nvvgpu_emu_type raw = good;

	raw.max_instances = cpu_to_le32(1);
	raw.fb_bytes = cpu_to_le64(EMU_MAX_FB_BYTES);
	KUNIT_EXPECT_NULL(test, emu_type_parse(&raw, 2 * EMU_MAX_FB_BYTES,
					       TEST_GRANULE, &info));
	/* Its dirty bitmap fits one buffer. */
	KUNIT_EXPECT_EQ(test, info.fb_bytes / NVVGPU_EMU_VRAM_PAGE,
			EMU_BUF_BYTES * BITS_PER_BYTE);

	raw.fb_bytes = cpu_to_le64(EMU_MAX_FB_BYTES + TEST_GRANULE);
	KUNIT_EXPECT_STREQ(test, emu_type_parse(&raw, 2 * EMU_MAX_FB_BYTES,
						TEST_GRANULE, &info),
			   "framebuffer too large");
}

static struct kunit_case types_cases[] = {
	KUNIT_CASE(types_good),
	KUNIT_CASE(types_names),
	KUNIT_CASE(types_name_is_padded),
	KUNIT_CASE(types_of_partial_pages),
	KUNIT_CASE(types_refused),
	KUNIT_CASE(types_largest),
	{ }
};

static struct kunit_suite types_suite = {
	.name = "nvvgpu-emu-types",
	.test_cases = types_cases,
};

kunit_test_suite(types_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit tests for the nvvgpu back-end for the emulated SR-IOV GPU");
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
