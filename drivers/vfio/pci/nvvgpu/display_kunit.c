// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of what the front-end checks of a display: the plane that a back-end
 * reports, the EDID that a user writes, and the parameter.
 */
#include <drm/drm_fourcc.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "nvvgpu_kunit.h"

#define TEST_BAR_SIZE	SZ_64K
#define TEST_WIDTH	256
#define TEST_HEIGHT	64

static struct nvvgpu *test_display(struct kunit *test)
{
	struct nvvgpu *vgpu = nvvgpu_test_vgpu(test);
	struct nvvgpu_bar_info *info = &vgpu->bars[0].info;

	info->size = TEST_BAR_SIZE;
	info->flags = NVVGPU_BAR_READ | NVVGPU_BAR_WRITE | NVVGPU_BAR_MMAP;
	vgpu->bars[2].info.size = SZ_16K;
	vgpu->bars[2].info.flags = NVVGPU_BAR_READ | NVVGPU_BAR_WRITE;
	vgpu->type.max_width = TEST_WIDTH;
	vgpu->type.max_height = TEST_HEIGHT;
	vgpu->display.region_bytes = TEST_BAR_SIZE;

	return vgpu;
}

static const struct nvvgpu_plane test_plane = {
	.argsz = sizeof(test_plane),
	.drm_format = DRM_FORMAT_XRGB8888,
	.width = 64,
	.height = 16,
	.stride = 256,
};

static const struct {
	u32 width;
	u32 height;
	u32 stride;
	u32 bar;
	u64 offset;
	bool valid;
} test_planes[] = {
	{ 64, 16, 256, 0, 0, true },
	{ TEST_WIDTH, TEST_HEIGHT, 1024, 0, 0, true },
	{ TEST_WIDTH + 1, TEST_HEIGHT, 2048, 0, 0, false },
	{ TEST_WIDTH, TEST_HEIGHT + 1, 512, 0, 0, false },
	{ 64, 0, 256, 0, 0, false },
	{ 0, 16, 256, 0, 0, false },
	/* The last page, the one behind it, within a page, and far off */
	{ 64, 16, 256, 0, TEST_BAR_SIZE - SZ_4K, true },
	{ 64, 16, 256, 0, TEST_BAR_SIZE, false },
	{ 64, 17, 256, 0, TEST_BAR_SIZE - SZ_4K, false },
	{ 64, 16, 256, 0, 256, false },
	{ 64, 16, 256, 0, ~0ULL - SZ_4K + 1, false },
	{ 64, 16, 256, 0, ~0ULL, false },
	/* Lines that overlap, and lines that are too far apart */
	{ 64, 16, 255, 0, 0, false },
	{ 64, 16, 0, 0, 0, false },
	{ 64, 16, 4096, 0, 0, true },
	{ 64, 16, 4097, 0, 0, false },
	{ 64, 16, ~0U, 0, 0, false },
	{ 64, 1, ~0U, 0, 0, false },
	/* Unmappable, hidden and invalid BARs */
	{ 64, 16, 256, 1, 0, false },
	{ 64, 16, 256, 2, 0, false },
	{ 64, 16, 256, NVVGPU_MAX_BARS, 0, false },
	{ 64, 16, 256, ~0U, 0, false },
};

static void plane_within_bar(struct kunit *test)
{
	struct nvvgpu *vgpu = test_display(test);
	struct nvvgpu_plane plane = test_plane;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(test_planes); i++) {
		plane.width = test_planes[i].width;
		plane.height = test_planes[i].height;
		plane.stride = test_planes[i].stride;
		plane.bar = test_planes[i].bar;
		plane.offset = test_planes[i].offset;
		KUNIT_EXPECT_EQ_MSG(test, nvvgpu_plane_valid(vgpu, &plane),
				    test_planes[i].valid, "plane %u", i);
	}
}

static void plane_within_sparse_area(struct kunit *test)
{
	struct nvvgpu *vgpu = test_display(test);
	struct nvvgpu_bar_info *info = &vgpu->bars[0].info;
	struct nvvgpu_plane plane = test_plane;

	info->nr_sparse = 1;
	info->sparse[0] = (struct nvvgpu_range){ SZ_16K, SZ_4K };
	KUNIT_EXPECT_FALSE(test, nvvgpu_plane_valid(vgpu, &plane));
	plane.offset = SZ_16K;
	KUNIT_EXPECT_TRUE(test, nvvgpu_plane_valid(vgpu, &plane));
	plane.height++;
	KUNIT_EXPECT_FALSE(test, nvvgpu_plane_valid(vgpu, &plane));
}

static void plane_formats(struct kunit *test)
{
	struct nvvgpu *vgpu = test_display(test);
	struct nvvgpu_plane plane = test_plane;

	plane.stride = 128;
	KUNIT_EXPECT_FALSE(test, nvvgpu_plane_valid(vgpu, &plane));
	plane.drm_format = DRM_FORMAT_RGB565;
	KUNIT_EXPECT_TRUE(test, nvvgpu_plane_valid(vgpu, &plane));
	plane.stride = 256;
	KUNIT_EXPECT_TRUE(test, nvvgpu_plane_valid(vgpu, &plane));
	plane.drm_format = DRM_FORMAT_NV12;
	KUNIT_EXPECT_FALSE(test, nvvgpu_plane_valid(vgpu, &plane));
	plane.drm_format = DRM_FORMAT_INVALID;
	KUNIT_EXPECT_FALSE(test, nvvgpu_plane_valid(vgpu, &plane));
}

static void query_waits_for_the_mappings(struct kunit *test)
{
	struct nvvgpu *vgpu = test_display(test);
	struct nvvgpu_display *display = &vgpu->display;
	const struct nvvgpu_plane blank = {};
	struct nvvgpu_plane first = test_plane, second = test_plane;

	spin_lock_init(&display->lock);
	second.height /= 2;

	nvvgpu_display_set(vgpu, &first);
	KUNIT_EXPECT_NE(test, display->changes, display->revoked);
	KUNIT_EXPECT_EQ(test, display->seen.height, 0);
	nvvgpu_display_revoked(vgpu, &first, display->changes);
	KUNIT_EXPECT_EQ(test, display->changes, display->revoked);
	KUNIT_EXPECT_EQ(test, display->seen.height, first.height);

	/* A change while mappings are being revoked */
	nvvgpu_display_set(vgpu, &second);
	KUNIT_EXPECT_EQ(test, display->seen.height, first.height);
	nvvgpu_display_revoked(vgpu, &first, display->changes - 1);
	KUNIT_EXPECT_NE(test, display->changes, display->revoked);
	KUNIT_EXPECT_EQ(test, display->seen.height, first.height);
	nvvgpu_display_revoked(vgpu, &second, display->changes);
	KUNIT_EXPECT_EQ(test, display->seen.height, second.height);

	/* Blank at once, and not undone by mappings that were being revoked */
	nvvgpu_display_set(vgpu, &blank);
	KUNIT_EXPECT_EQ(test, display->seen.height, 0);
	nvvgpu_display_revoked(vgpu, &second, display->changes - 1);
	KUNIT_EXPECT_EQ(test, display->seen.height, 0);
	KUNIT_EXPECT_NE(test, display->changes, display->revoked);
}

#define TEST_OFF	NVVGPU_DISPLAY_OFF
#define TEST_REGION	NVVGPU_DISPLAY_REGION
#define TEST_DMABUF	NVVGPU_DISPLAY_DMABUF
#define TEST_CAN	(IS_ENABLED(CONFIG_VFIO_PCI_DMABUF) ? 0 : -EOPNOTSUPP)

static void param_decides(struct kunit *test)
{
	static const struct {
		const char *params;
		int ret;
		enum nvvgpu_display_mode mode;
	} cases[] = {
		{ "", 0, TEST_REGION },
		{ "a=b", 0, TEST_REGION },
		{ "display=off", 0, TEST_OFF },
		{ "display=region", 0, TEST_REGION },
		{ "display=dmabuf", TEST_CAN, TEST_DMABUF },
		{ "display=off\n", 0, TEST_OFF },
		{ "a=b,display=off,c=d", 0, TEST_OFF },
		{ "display=off,display=region", 0, TEST_REGION },
		{ "display=dmabuf,display=off", 0, TEST_OFF },
		{ "a=display=off", 0, TEST_REGION },
		{ "display=", -EINVAL, TEST_REGION },
		{ "display=,a=b", -EINVAL, TEST_REGION },
		{ "display=o", -EINVAL, TEST_REGION },
		{ "display=offf", -EINVAL, TEST_REGION },
		{ "display=dmabufs", -EINVAL, TEST_REGION },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		enum nvvgpu_display_mode mode;

		KUNIT_EXPECT_EQ_MSG(test, nvvgpu_display_param(cases[i].params,
							       &mode),
				    cases[i].ret, "%s", cases[i].params);
		KUNIT_EXPECT_EQ_MSG(test, mode, cases[i].mode, "%s",
				    cases[i].params);
	}
}

static void plane_ids(struct kunit *test)
{
	struct nvvgpu *vgpu = test_display(test);
	struct nvvgpu_plane plane = test_plane, found;
	u32 first, id;
	unsigned int i;

	spin_lock_init(&vgpu->display.lock);
	first = nvvgpu_plane_id(vgpu, &plane);
	KUNIT_EXPECT_NE(test, first, 0);
	for (i = 1; i < NVVGPU_PLANE_IDS; i++) {
		plane.offset = i * SZ_4K;
		id = nvvgpu_plane_id(vgpu, &plane);
		KUNIT_EXPECT_EQ(test, id, first + i);
		KUNIT_EXPECT_EQ(test, id, nvvgpu_plane_id(vgpu, &plane));
	}

	/* The oldest is still there, and becomes the newest. */
	KUNIT_EXPECT_EQ(test, first, nvvgpu_plane_id(vgpu, &test_plane));
	plane.offset += SZ_4K;
	id = nvvgpu_plane_id(vgpu, &plane);
	KUNIT_EXPECT_TRUE(test, nvvgpu_plane_find(vgpu, first, &found));
	KUNIT_EXPECT_EQ(test, found.offset, 0);
	KUNIT_EXPECT_TRUE(test, nvvgpu_plane_find(vgpu, id, &found));
	KUNIT_EXPECT_EQ(test, found.offset, plane.offset);
	KUNIT_EXPECT_FALSE(test, nvvgpu_plane_find(vgpu, first + 1, &found));
	KUNIT_EXPECT_FALSE(test, nvvgpu_plane_find(vgpu, 0, &found));

	/* None is used twice, and none is 0. */
	vgpu->display.last_id = U32_MAX;
	plane.offset += SZ_4K;
	KUNIT_EXPECT_EQ(test, nvvgpu_plane_id(vgpu, &plane), 1);
	plane.width = 0;
	KUNIT_EXPECT_EQ(test, nvvgpu_plane_id(vgpu, &plane), 0);
}

#define TEST_BLOCK	128
#define TEST_TIMING	54

static void test_seal(u8 *block)
{
	u8 sum = 0;
	int i;

	for (i = 0; i < TEST_BLOCK - 1; i++)
		sum += block[i];
	block[TEST_BLOCK - 1] = -sum;
}

/* One block that prefers this mode */
static void test_edid(u8 *edid, u32 width, u32 height)
{
	memset(edid, 0, NVVGPU_EDID_LEN);
	memset(edid + 1, 0xff, 6);
	edid[TEST_TIMING] = 1;
	edid[TEST_TIMING + 2] = width;
	edid[TEST_TIMING + 4] = width >> 8 << 4;
	edid[TEST_TIMING + 5] = height;
	edid[TEST_TIMING + 7] = height >> 8 << 4;
	test_seal(edid);
}

static bool test_edid_valid(const u8 *edid, size_t length)
{
	return nvvgpu_edid_valid(edid, length, TEST_WIDTH, TEST_HEIGHT);
}

static void edid_lengths(struct kunit *test)
{
	u8 edid[NVVGPU_EDID_LEN];
	unsigned int blocks;
	size_t len;

	for (blocks = 1; blocks <= 3; blocks++) {
		test_edid(edid, 64, 64);
		edid[TEST_BLOCK - 2] = blocks - 1;
		test_seal(edid);
		for (len = 0; len <= sizeof(edid); len++)
			KUNIT_EXPECT_EQ_MSG(test, test_edid_valid(edid, len),
					    len == blocks * TEST_BLOCK,
					    "%u blocks in %zu bytes", blocks,
					    len);
	}
}

static void edid_bytes(struct kunit *test)
{
	u8 edid[NVVGPU_EDID_LEN];
	unsigned int i;

	test_edid(edid, 64, 64);
	for (i = 0; i < TEST_BLOCK; i++) {
		edid[i]++;
		KUNIT_EXPECT_FALSE_MSG(test, test_edid_valid(edid, TEST_BLOCK),
				       "byte %u", i);
		/* With a right sum only the magic and the length matter here. */
		test_seal(edid);
		if (i < 8 || i == TEST_BLOCK - 2)
			KUNIT_EXPECT_FALSE_MSG(test,
					       test_edid_valid(edid,
							       TEST_BLOCK),
					       "sealed byte %u", i);
		edid[i]--;
		test_seal(edid);
	}
	KUNIT_EXPECT_TRUE(test, test_edid_valid(edid, TEST_BLOCK));
}

static void edid_modes(struct kunit *test)
{
	u8 edid[NVVGPU_EDID_LEN];

	test_edid(edid, TEST_WIDTH, TEST_HEIGHT);
	KUNIT_EXPECT_TRUE(test, test_edid_valid(edid, TEST_BLOCK));
	test_edid(edid, TEST_WIDTH + 1, TEST_HEIGHT);
	KUNIT_EXPECT_FALSE(test, test_edid_valid(edid, TEST_BLOCK));
	test_edid(edid, TEST_WIDTH, TEST_HEIGHT + 1);
	KUNIT_EXPECT_FALSE(test, test_edid_valid(edid, TEST_BLOCK));
	/* A descriptor without a pixel clock is not a timing. */
	edid[TEST_TIMING] = 0;
	test_seal(edid);
	KUNIT_EXPECT_TRUE(test, test_edid_valid(edid, TEST_BLOCK));
}

static void edid_extension(struct kunit *test)
{
	u8 edid[NVVGPU_EDID_LEN];
	u8 *block = edid + TEST_BLOCK;
	unsigned int begin;

	/* The timing of the extension is too large wherever it begins. */
	for (begin = 0; begin < 256; begin++) {
		bool valid = !begin || (begin < TEST_BLOCK &&
					begin + 18 > TEST_BLOCK - 1);

		test_edid(edid, 64, 64);
		edid[TEST_BLOCK - 2] = 1;
		test_seal(edid);
		block[0] = 2;
		block[2] = begin;
		if (begin && begin + 18 < TEST_BLOCK) {
			block[begin + 1] = 1;
			block[begin + 4] = 0xf0;
		}
		test_seal(block);
		KUNIT_EXPECT_EQ_MSG(test, test_edid_valid(edid, sizeof(edid)),
				    valid, "timings at %u", begin);
	}
	/* Extensions of other kinds are ignored. */
	test_edid(edid, 64, 64);
	edid[TEST_BLOCK - 2] = 1;
	test_seal(edid);
	memset(block, 0xff, TEST_BLOCK);
	test_seal(block);
	KUNIT_EXPECT_TRUE(test, test_edid_valid(edid, sizeof(edid)));
}

static struct kunit_case display_cases[] = {
	KUNIT_CASE(plane_within_bar),
	KUNIT_CASE(plane_within_sparse_area),
	KUNIT_CASE(plane_formats),
	KUNIT_CASE(query_waits_for_the_mappings),
	KUNIT_CASE(param_decides),
	KUNIT_CASE(plane_ids),
	KUNIT_CASE(edid_lengths),
	KUNIT_CASE(edid_bytes),
	KUNIT_CASE(edid_modes),
	KUNIT_CASE(edid_extension),
	{ }
};

static struct kunit_suite display_suite = {
	.name = "nvvgpu-display",
	.test_cases = display_cases,
};

kunit_test_suites(&display_suite);
