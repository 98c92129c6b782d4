// SPDX-License-Identifier: GPL-2.0
/*
 * The display of a vGPU: queries of the plane, the region that shows it, and the
 * monitor.
 */
#include <signal.h>

#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "lib/backend.h"
#include "lib/display.h"
#include "lib/migration.h"
#include "subject.h"

#define BAR_FB		NVVGPU_EMU_VF_BAR_FB

#define PROBE		VFIO_GFX_PLANE_TYPE_PROBE
#define DMABUF		VFIO_GFX_PLANE_TYPE_DMABUF
#define REGION		VFIO_GFX_PLANE_TYPE_REGION

/* DRM_PLANE_TYPE_* */
#define OVERLAY		0
#define PRIMARY		1
#define CURSOR		2

/* A mode of 16 pages; frames are as many lines apart as one has. */
static const struct mode small = { .width = 256, .height = 64, .bpp = 32 };

#define LINES		64
#define FRAME		(256 * 4 * LINES)

/* Each type of the emulated GPU, and VFs of another device */
FIXTURE(classes) {
	struct subject subject;
	struct ioas ioas;
	struct vdev vdev;
};

FIXTURE_VARIANT(classes) {
	enum subject_kind kind;
	bool display;
};

FIXTURE_VARIANT_ADD(classes, q) { SUBJECT_Q, true };
FIXTURE_VARIANT_ADD(classes, c) { SUBJECT_C, false };
FIXTURE_VARIANT_ADD(classes, b) { SUBJECT_B, true };
FIXTURE_VARIANT_ADD(classes, a) { SUBJECT_A, true };
FIXTURE_VARIANT_ADD(classes, bochs) { SUBJECT_BOCHS, true };
FIXTURE_VARIANT_ADD(classes, whole) { SUBJECT_WHOLE, false };

FIXTURE_SETUP(classes)
{
	int ret;

	self->vdev.fd = -1;
	self->vdev.group = -1;
	ret = subject_prepare(&self->subject, variant->kind, &self->ioas,
			      IOMMU_IOMMUFD);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "no such vGPU here");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, vf_set_type(self->subject.vf, self->subject.type.id));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->subject.vf, &self->ioas));
}

FIXTURE_TEARDOWN(classes)
{
	vdev_close(&self->vdev);
	subject_drop(&self->subject);
	if (self->ioas.fd > 0)
		ioas_close(&self->ioas);
}

TEST_F(classes, display_is_offered_if_the_type_has_one)
{
	struct vfio_device_gfx_plane_info info;
	struct vfio_region_gfx_edid edid;
	struct vfio_device_info device;
	char text[16];

	ASSERT_EQ(0, vdev_info(&self->vdev, &device));
	if (!variant->display) {
		EXPECT_EQ(VFIO_PCI_NUM_REGIONS, device.num_regions);
		EXPECT_EQ(-ENOTTY, gfx_query(&self->vdev, PROBE | REGION,
					     PRIMARY, &info));
		EXPECT_EQ(-ENOTTY, gfx_plane(&self->vdev, &info));
		return;
	}

	EXPECT_EQ(VFIO_PCI_NUM_REGIONS + 2, device.num_regions);
	EXPECT_EQ(0, gfx_query(&self->vdev, PROBE | REGION, PRIMARY, &info));
	ASSERT_EQ(0, gfx_plane(&self->vdev, &info));
	EXPECT_EQ(gfx_region(&self->vdev, NVVGPU_REGION_SUBTYPE_GFX_PLANE),
		  info.region_index);
	ASSERT_EQ(0, edid_info(&self->vdev, &edid));
	snprintf(text, sizeof(text), "%ux%u", edid.max_xres, edid.max_yres);
	EXPECT_STREQ(self->subject.type.max_resolution, text);
}

TEST_F(classes, largest_mode_of_the_type_is_shown)
{
	struct vfio_device_gfx_plane_info info;
	unsigned int width, height;
	struct mode mode = {};
	char *end;

	if (!variant->display)
		return;
	width = strtoul(self->subject.type.max_resolution, &end, 10);
	ASSERT_EQ('x', *end);
	height = strtoul(end + 1, &end, 10);
	ASSERT_EQ('\0', *end);
	mode.width = width;
	mode.height = height;
	mode.bpp = 32;
	ASSERT_EQ(0, guest_mode(&self->vdev, &mode));
	if ((__u64)width * height * 4 > self->subject.bar_size) {
		usleep(100000);
		width = 0;
	}
	EXPECT_EQ(0, gfx_wait(&self->vdev, width, &info))
		TH_LOG("%s: width %u", self->subject.type.max_resolution,
		       info.width);
	mode.width += 8;
	ASSERT_EQ(0, guest_mode(&self->vdev, &mode));
	EXPECT_EQ(0, gfx_wait(&self->vdev, 0, &info));
}

/* One vGPU, with BAR0 and the region of the display mapped */
FIXTURE(display) {
	struct pf pf;
	const char *vf;
	struct vgpu_type types[MAX_TYPES];
	const struct vgpu_type *type;
	struct ioas ioas;
	struct vdev vdev;
	__u32 *fb;
	int region;
	__u32 *shown;
	size_t shown_len;
	struct vfio_device_gfx_plane_info info;
};

static int display_open(struct _test_data_display *self)
{
	void *map;
	int ret;

	ret = vdev_open(&self->vdev, self->vf, &self->ioas);
	if (!ret)
		ret = vdev_map_bar(&self->vdev, BAR_FB);
	if (ret)
		return ret;
	self->fb = self->vdev.bar[BAR_FB];
	self->region = gfx_region(&self->vdev, NVVGPU_REGION_SUBTYPE_GFX_PLANE);
	if (self->region < 0)
		return self->region;
	self->shown_len = 4 * FRAME;
	ret = gfx_map(&self->vdev, self->region, 0, self->shown_len, PROT_READ,
		      &map);
	self->shown = map;

	return ret;
}

static void display_close(struct _test_data_display *self)
{
	if (self->shown)
		munmap(self->shown, self->shown_len);
	self->shown = NULL;
	vdev_close(&self->vdev);
}

FIXTURE_SETUP(display)
{
	int i, nr;

	ASSERT_GPU(&self->pf, TEST_VFS);
	self->vf = self->pf.vf[0];
	self->vdev.fd = -1;
	self->vdev.group = -1;
	nr = vf_types(self->vf, self->types, MAX_TYPES);
	for (i = 0; i < nr; i++)
		if (!strcmp(self->types[i].name, BOCHS_TYPE))
			self->type = &self->types[i];
	ASSERT_NE(NULL, self->type);
	ASSERT_EQ(0, pci_write(self->vf, "nvidia/vgpu_params", "\n"));
	ASSERT_EQ(0, vf_set_type(self->vf, self->type->id));
	ASSERT_EQ(0, ioas_open(&self->ioas, IOMMU_IOMMUFD));
	ASSERT_EQ(0, display_open(self));
}

FIXTURE_TEARDOWN(display)
{
	if (qmp_available())
		fw_faults("");
	display_close(self);
	ioas_close(&self->ioas);
	pci_write(self->vf, "nvidia/vgpu_params", "\n");
	gpu_clean(&self->pf);
}

/* Accesses that happen, and in this order */
static __u32 peek(const void *p)
{
	return __atomic_load_n((const __u32 *)p, __ATOMIC_SEQ_CST);
}

static void poke(void *p, __u32 val)
{
	__atomic_store_n((__u32 *)p, val, __ATOMIC_SEQ_CST);
}

/* Something else for each frame, and nowhere zero */
static __u32 pixel(unsigned int frame, unsigned int i)
{
	return 0x01000000 * (frame + 1) + i;
}

static void draw(struct _test_data_display *self, unsigned int frame)
{
	__u32 *fb = self->fb + frame * FRAME / 4;
	unsigned int i;

	for (i = 0; i < FRAME / 4; i++)
		poke(&fb[i], pixel(frame, i));
}

/* Whether the region shows this frame, or nothing with -1 */
static bool shows(struct _test_data_display *self, int frame)
{
	unsigned int i;

	for (i = 0; i < FRAME / 4; i++)
		if (peek(&self->shown[i]) != (frame < 0 ? 0 : pixel(frame, i)))
			return false;

	return true;
}

static bool shows_soon(struct _test_data_display *self, int frame)
{
	__u64 end = now_ms() + WAIT_MS;

	while (!shows(self, frame)) {
		if (now_ms() > end)
			return false;
		usleep(2000);
	}

	return true;
}

/* The first frame is displayed. */
#define ASSERT_SHOWN() do {						\
	draw(self, 0);							\
	ASSERT_EQ(0, guest_mode(&self->vdev, &small));			\
	ASSERT_EQ(0, gfx_wait(&self->vdev, small.width, &self->info));	\
	ASSERT_TRUE(shows(self, 0));					\
} while (0)

TEST_F(display, queries_that_are_invalid_are_refused)
{
	static const struct {
		__u32 flags;
		__u32 plane_type;
		int ret;
	} queries[] = {
		{ PROBE | REGION, OVERLAY, 0 },
		{ PROBE | REGION, PRIMARY, 0 },
		{ REGION, OVERLAY, 0 },
		{ REGION, PRIMARY, 0 },
		{ REGION, CURSOR, 0 },
		{ REGION, CURSOR + 1, -EINVAL },
		{ REGION, ~0U, -EINVAL },
		{ 0, PRIMARY, -EINVAL },
		{ PROBE, PRIMARY, -EINVAL },
		{ DMABUF, PRIMARY, -EINVAL },
		{ PROBE | DMABUF, PRIMARY, -EINVAL },
		{ DMABUF | REGION, PRIMARY, -EINVAL },
		{ PROBE | DMABUF | REGION, PRIMARY, -EINVAL },
		{ REGION | 8, PRIMARY, -EINVAL },
		{ ~0U, PRIMARY, -EINVAL },
	};
	__u32 argsz, id = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(queries); i++)
		EXPECT_EQ(queries[i].ret,
			  gfx_query(&self->vdev, queries[i].flags,
				    queries[i].plane_type, &self->info))
			TH_LOG("flags %x, plane type %u", queries[i].flags,
			       queries[i].plane_type);

	for (argsz = 0; argsz < sizeof(self->info) + 8; argsz += 4) {
		struct {
			struct vfio_device_gfx_plane_info info;
			__u64 more;
		} query = {
			.info.argsz = argsz,
			.info.flags = REGION,
		};
		/* Fields after region_index are optional. */
		int ret = argsz < offsetof(struct vfio_device_gfx_plane_info,
					   region_index) + sizeof(__u32) ?
			  -EINVAL : 0;

		EXPECT_EQ(ret, vdev_ioctl(&self->vdev,
					  VFIO_DEVICE_QUERY_GFX_PLANE, &query))
			TH_LOG("argsz %u", argsz);
	}
	EXPECT_EQ(-EFAULT, vdev_ioctl(&self->vdev, VFIO_DEVICE_QUERY_GFX_PLANE,
				      NULL));
	EXPECT_EQ(-ENOTTY, vdev_ioctl(&self->vdev, VFIO_DEVICE_GET_GFX_DMABUF,
				      &id));
}

#define EXPECT_BLANK() do {						\
	EXPECT_EQ(0, gfx_plane(&self->vdev, &self->info));		\
	EXPECT_EQ(0, self->info.drm_format);				\
	EXPECT_EQ(0, self->info.width);					\
	EXPECT_EQ(0, self->info.height);				\
	EXPECT_EQ(0, self->info.stride);				\
	EXPECT_EQ(0, self->info.size);					\
	EXPECT_EQ(self->region, self->info.region_index);		\
	EXPECT_TRUE(shows(self, -1));					\
} while (0)

TEST_F(display, is_blank_until_a_mode_is_set)
{
	static __u8 buf[FRAME];

	draw(self, 0);
	usleep(100000);
	EXPECT_BLANK();
	memset(buf, 1, sizeof(buf));
	EXPECT_EQ(FRAME, vdev_read(&self->vdev, self->region, 0, buf, FRAME));
	EXPECT_TRUE(all_bytes(buf, FRAME, 0));
	ASSERT_SHOWN();
	ASSERT_EQ(0, guest_off(&self->vdev));
	ASSERT_EQ(0, gfx_wait(&self->vdev, 0, &self->info));
	EXPECT_BLANK();
}

TEST_F(display, query_describes_the_plane)
{
	ASSERT_SHOWN();
	EXPECT_EQ(FORMAT_XRGB8888, self->info.drm_format);
	EXPECT_EQ(0, self->info.drm_format_mod);
	EXPECT_EQ(256, self->info.width);
	EXPECT_EQ(64, self->info.height);
	EXPECT_EQ(1024, self->info.stride);
	EXPECT_EQ(FRAME, self->info.size);
	EXPECT_EQ(0, self->info.x_pos);
	EXPECT_EQ(0, self->info.y_pos);
	EXPECT_EQ(~0U, self->info.x_hot);
	EXPECT_EQ(~0U, self->info.y_hot);
	EXPECT_EQ(self->region, self->info.region_index);

	/* There is no cursor. */
	EXPECT_EQ(0, gfx_query(&self->vdev, REGION, CURSOR, &self->info));
	EXPECT_EQ(0, self->info.drm_format);
	EXPECT_EQ(0, self->info.size);
}

TEST_F(display, modes_beyond_the_type_or_the_memory_are_not_shown)
{
	/* The aperture of this type has 64 MiB, which is 65536 lines of 1024. */
	static const struct {
		struct mode mode;
		bool shown;
	} modes[] = {
		{ { .width = 64, .height = 64, .bpp = 32 }, true },
		{ { .width = 64, .height = 64, .bpp = 16 }, true },
		{ { .width = 63, .height = 64, .bpp = 32 }, false },
		{ { .width = 64, .height = 63, .bpp = 32 }, false },
		{ { .width = 3840, .height = 2160, .bpp = 32 }, true },
		{ { .width = 3841, .height = 2160, .bpp = 32 }, false },
		{ { .width = 3840, .height = 2161, .bpp = 32 }, false },
		{ { .width = 64, .height = 64, .bpp = 8 }, false },
		{ { .width = 64, .height = 64, .bpp = 24 }, false },
		{ { .width = 64, .height = 64, .bpp = 0 }, false },
		{ { .width = 65535, .height = 65535, .bpp = 32 }, false },
		{ { .width = 256, .height = 64, .bpp = 32, .virt_width = 65535 }, true },
		{ { .width = 256, .height = 256, .bpp = 32, .virt_width = 65535 }, true },
		{ { .width = 256, .height = 257, .bpp = 32, .virt_width = 65535 }, false },
		{ { .width = 256, .height = 64, .bpp = 32, .virt_width = 65535,
		    .y = 65535 }, false },
		{ { .width = 256, .height = 64, .bpp = 32, .y = 65535 }, false },
		{ { .width = 256, .height = 64, .bpp = 32, .y = 65472 }, true },
		{ { .width = 256, .height = 64, .bpp = 32, .y = 65476 }, false },
		{ { .width = 256, .height = 64, .bpp = 32, .x = 1 }, false },
		{ { .width = 256, .height = 64, .bpp = 32, .x = 1024 }, true },
		{ { .width = 256, .height = 64, .bpp = 32, .y = 1 }, false },
		{ { .width = 256, .height = 64, .bpp = 32, .y = 4 }, true },
	};
	__u8 last;
	unsigned int i;

	ASSERT_EQ(64 * MIB, self->type->bar0);
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		const struct mode *mode = &modes[i].mode;

		ASSERT_EQ(0, guest_mode(&self->vdev, mode));
		/* Those that are shown are waited for; so are those that are not. */
		if (!modes[i].shown)
			usleep(60000);
		EXPECT_EQ(0, gfx_wait(&self->vdev,
				      modes[i].shown ? mode->width : 0,
				      &self->info))
			TH_LOG("%ux%ux%u of %u at %u, %u: %u", mode->width,
			       mode->height, mode->bpp, mode->virt_width,
			       mode->x, mode->y, self->info.width);
		if (modes[i].shown)
			EXPECT_EQ(1, vdev_read(&self->vdev, self->region,
					       self->info.size - 1, &last, 1));
		ASSERT_EQ(0, guest_off(&self->vdev));
		ASSERT_EQ(0, gfx_wait(&self->vdev, 0, &self->info));
	}
}

static void write_random_registers(const struct vdev *vdev)
{
	static const __u16 vals[] = {
		0, 1, 4, 16, 32, 0x41, 64, 256, 1024, 3840, 32768, 65535,
	};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!guest_write(vdev, rand() % (GUEST_LAST_REGISTER + 1),
			    vals[rand() % ARRAY_SIZE(vals)]))
		;
	_exit(1);
}

/* What is described, can be read, however the guest changes its registers. */
TEST_F(display, random_registers_show_a_plane_or_nothing)
{
	static const struct mode other = { .width = 128, .height = 64, .bpp = 32 };
	const struct vfio_device_gfx_plane_info *info = &self->info;
	unsigned int wanted = test_slow() ? 20 : 500, shown = 0;
	__u32 bytes;
	pid_t guest;
	__u8 last;

	guest = fork();
	ASSERT_LE(0, guest);
	if (!guest)
		write_random_registers(&self->vdev);
	while (shown < wanted) {
		ASSERT_EQ(0, gfx_plane(&self->vdev, &self->info));
		peek(self->shown);
		peek((void *)self->shown + self->shown_len - PAGE);
		if (!info->width)
			continue;
		bytes = info->drm_format == FORMAT_RGB565 ? 2 : 4;
		ASSERT_TRUE(bytes == 2 || info->drm_format == FORMAT_XRGB8888);
		ASSERT_GE(3840, info->width);
		ASSERT_GE(2160, info->height);
		ASSERT_LE((__u64)info->width * bytes, info->stride);
		ASSERT_LE((__u64)info->stride * info->height, info->size);
		ASSERT_GE(self->type->bar0, info->size);
		ASSERT_EQ(1, vdev_read(&self->vdev, self->region,
				       info->size - 1, &last, 1));
		shown++;
	}
	kill(guest, SIGKILL);
	waitpid(guest, NULL, 0);

	/* Queries may still return a random plane, but none of this width. */
	ASSERT_EQ(0, guest_mode(&self->vdev, &other));
	ASSERT_EQ(0, gfx_wait(&self->vdev, other.width, &self->info));
	ASSERT_SHOWN();
}

TEST_F(display, every_type_with_heads_offers_it)
{
	struct vfio_region_gfx_edid edid;
	int i, nr;
	char text[16];

	display_close(self);
	ASSERT_EQ(0, vf_set_type(self->vf, 0));
	nr = vf_types(self->vf, self->types, MAX_TYPES);
	ASSERT_LT(0, nr);
	for (i = 0; i < nr; i++) {
		const struct vgpu_type *type = &self->types[i];

		ASSERT_EQ(0, vf_set_type(self->vf, type->id));
		ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
		EXPECT_EQ(type->heads ? 0 : -ENOTTY,
			  gfx_plane(&self->vdev, &self->info))
			TH_LOG("%s, %u heads", type->name, type->heads);
		if (type->heads) {
			EXPECT_EQ(0, edid_info(&self->vdev, &edid));
			snprintf(text, sizeof(text), "%ux%u", edid.max_xres,
				 edid.max_yres);
			EXPECT_STREQ(type->max_resolution, text);
		} else {
			EXPECT_EQ(-ENOENT, edid_region(&self->vdev));
		}
		vdev_close(&self->vdev);
		ASSERT_EQ(0, vf_set_type(self->vf, 0));
	}
}

TEST_F(display, format_follows_the_depth)
{
	struct mode mode = small;

	mode.bpp = 16;
	ASSERT_EQ(0, guest_mode(&self->vdev, &mode));
	ASSERT_EQ(0, gfx_wait(&self->vdev, mode.width, &self->info));
	EXPECT_EQ(FORMAT_RGB565, self->info.drm_format);
	EXPECT_EQ(512, self->info.stride);
	EXPECT_EQ(FRAME / 2, self->info.size);
}

TEST_F(display, mapping_and_reads_follow_a_flip)
{
	static __u32 buf[FRAME / 4];
	unsigned int frame;

	for (frame = 1; frame < 4; frame++)
		draw(self, frame);
	ASSERT_SHOWN();
	for (frame = 4; frame--;) {
		ASSERT_EQ(0, guest_flip(&self->vdev, frame * LINES));
		EXPECT_TRUE(shows_soon(self, frame))
			TH_LOG("frame %u: pixel %x", frame,
			       peek(self->shown));
		ASSERT_EQ(FRAME, vdev_read(&self->vdev, self->region, 0, buf,
					   FRAME));
		EXPECT_EQ(pixel(frame, 0), buf[0]);
		EXPECT_EQ(pixel(frame, FRAME / 4 - 1), buf[FRAME / 4 - 1]);
	}
}

TEST_F(display, memory_behind_the_plane_is_not_shown)
{
	__u8 buf[16];

	draw(self, 1);
	ASSERT_SHOWN();
	EXPECT_TRUE(all_bytes((__u8 *)self->shown + FRAME, FRAME, 0));
	ASSERT_EQ(16, vdev_read(&self->vdev, self->region, FRAME, buf, 16));
	EXPECT_TRUE(all_bytes(buf, 16, 0));
	/* A read ends where the plane does. */
	EXPECT_EQ(8, vdev_read(&self->vdev, self->region, FRAME - 8, buf, 16));
}

TEST_F(display, drawing_shows_at_once)
{
	ASSERT_SHOWN();
	poke(&self->fb[5], 0x123456);
	EXPECT_EQ(0x123456, peek(&self->shown[5]));
}

TEST_F(display, region_cannot_be_written_to)
{
	struct vfio_region_info info;
	__u32 word = 1;
	void *map;

	ASSERT_EQ(0, vdev_region_info(&self->vdev, self->region, &info));
	EXPECT_EQ(self->type->bar0, info.size);
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_MMAP |
		  VFIO_REGION_INFO_FLAG_CAPS, info.flags);

	EXPECT_EQ(-EINVAL, gfx_map(&self->vdev, self->region, 0, PAGE,
				   PROT_READ | PROT_WRITE, &map));
	EXPECT_EQ(-1, mprotect(self->shown, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-EINVAL, vdev_write(&self->vdev, self->region, 0, &word, 4));
	ASSERT_SHOWN();
	EXPECT_EQ(-EINVAL, vdev_write(&self->vdev, self->region, 0, &word, 4));
	EXPECT_TRUE(shows(self, 0));
}

TEST_F(display, region_ends_where_it_says)
{
	__u64 size = self->type->bar0;
	__u32 word;
	void *map;

	ASSERT_EQ(0, gfx_map(&self->vdev, self->region, 0, size, PROT_READ,
			     &map));
	EXPECT_EQ(0, peek(map + size - 4));
	munmap(map, size);
	ASSERT_EQ(0, gfx_map(&self->vdev, self->region, size - PAGE, PAGE,
			     PROT_READ, &map));
	EXPECT_EQ(0, peek(map));
	munmap(map, PAGE);
	EXPECT_EQ(-EINVAL, gfx_map(&self->vdev, self->region, size, PAGE,
				   PROT_READ, &map));
	EXPECT_EQ(-EINVAL, gfx_map(&self->vdev, self->region, size - PAGE,
				   2 * PAGE, PROT_READ, &map));
	EXPECT_EQ(4, vdev_read(&self->vdev, self->region, size - 4, &word, 4));
	EXPECT_EQ(4, vdev_read(&self->vdev, self->region, size - 4, &word, 8));
	EXPECT_EQ(-EINVAL, vdev_read(&self->vdev, self->region, size, &word, 4));
}

/* A part that is mapped alone shows the same as in the whole region. */
TEST_F(display, part_of_the_region_shows_that_part)
{
	void *map;

	ASSERT_SHOWN();
	ASSERT_EQ(0, gfx_map(&self->vdev, self->region, 3 * PAGE, 2 * PAGE,
			     PROT_READ, &map));
	EXPECT_EQ(pixel(0, 3 * PAGE / 4), peek(map));
	EXPECT_EQ(pixel(0, 4 * PAGE / 4), peek(map + PAGE));
	munmap(map, 2 * PAGE);
}

TEST_F(display, reset_blanks_it)
{
	ASSERT_SHOWN();
	ASSERT_EQ(0, vdev_reset(&self->vdev));
	EXPECT_BLANK();
	usleep(100000);
	EXPECT_BLANK();
	ASSERT_SHOWN();
	ASSERT_EQ(0, vdev_flr(&self->vdev));
	EXPECT_BLANK();
	ASSERT_SHOWN();
}

TEST_F(display, host_reset_blanks_it)
{
	ASSERT_SHOWN();
	ASSERT_EQ(0, pci_write(self->vf, "reset", "1"));
	EXPECT_EQ(0, gfx_wait(&self->vdev, 0, &self->info));
	EXPECT_BLANK();
	ASSERT_SHOWN();
}

TEST_F(display, is_blank_while_the_device_sleeps)
{
	static __u8 buf[FRAME];

	ASSERT_SHOWN();
	ASSERT_EQ(0, vdev_set_power(&self->vdev, VDEV_D3HOT));
	EXPECT_TRUE(shows(self, -1));
	memset(buf, 1, sizeof(buf));
	EXPECT_EQ(FRAME, vdev_read(&self->vdev, self->region, 0, buf, FRAME));
	EXPECT_TRUE(all_bytes(buf, FRAME, 0));
	ASSERT_EQ(0, vdev_set_power(&self->vdev, VDEV_D0));
	ASSERT_EQ(0, gfx_plane(&self->vdev, &self->info));
	EXPECT_EQ(small.width, self->info.width);
	EXPECT_TRUE(shows(self, 0));
}

TEST_F(display, crash_blanks_it_and_a_reset_brings_it_back)
{
	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the vGPU crash");
	ASSERT_SHOWN();
	ASSERT_EQ(0, fw_faults("now:vcrash=0"));
	EXPECT_STREQ("error", vf_wait_state(self->vf, "error"));
	EXPECT_BLANK();
	EXPECT_EQ(-EIO, edid_link(&self->vdev, false));

	ASSERT_EQ(0, vdev_reset(&self->vdev));
	EXPECT_STREQ("open", vf_wait_state(self->vf, "open"));
	EXPECT_BLANK();
	ASSERT_EQ(0, vdev_remap_bars(&self->vdev));
	ASSERT_SHOWN();
}

TEST_F(display, next_user_does_not_see_the_picture_of_the_last)
{
	ASSERT_SHOWN();
	display_close(self);
	ASSERT_EQ(0, display_open(self));
	EXPECT_BLANK();
	usleep(100000);
	EXPECT_BLANK();
	ASSERT_EQ(0, guest_mode(&self->vdev, &small));
	ASSERT_EQ(0, gfx_wait(&self->vdev, small.width, &self->info));
	EXPECT_TRUE(shows(self, -1));
}

/* A mapping keeps the device open, so no other user can be behind it. */
TEST_F(display, mapping_outlives_its_file)
{
	struct _test_data_display other = *self;

	ASSERT_SHOWN();
	vdev_unmap_bar(&self->vdev, BAR_FB);
	close(self->vdev.fd);
	EXPECT_TRUE(shows(self, 0));
	EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");
	EXPECT_NE(0, vdev_open(&other.vdev, self->vf, &other.ioas));
	EXPECT_EQ(-EPERM, vf_set_type(self->vf, 0));
	munmap(self->shown, self->shown_len);
	self->shown = NULL;
	self->vdev.fd = -1;
	EXPECT_STREQ("created", vf_wait_state(self->vf, "created"));
}

TEST_F(display, vgpus_do_not_show_each_other)
{
	struct _test_data_display other = { .type = self->type };

	other.vf = self->pf.vf[1];
	ASSERT_EQ(0, vf_set_type(other.vf, self->type->id));
	ASSERT_EQ(0, ioas_open(&other.ioas, IOMMU_IOMMUFD));
	ASSERT_EQ(0, display_open(&other));
	draw(self, 1);
	draw(&other, 2);
	ASSERT_SHOWN();
	ASSERT_EQ(0, guest_mode(&other.vdev, &small));
	ASSERT_EQ(0, guest_flip(&other.vdev, 2 * LINES));
	EXPECT_TRUE(shows_soon(&other, 2));
	EXPECT_TRUE(shows(self, 0));
	ASSERT_EQ(0, guest_flip(&self->vdev, LINES));
	EXPECT_TRUE(shows_soon(self, 1));
	EXPECT_TRUE(shows(&other, 2));
	ASSERT_EQ(0, vdev_reset(&other.vdev));
	EXPECT_TRUE(shows(&other, -1));
	EXPECT_TRUE(shows(self, 1));
	display_close(&other);
	ioas_close(&other.ioas);
}

/* It goes when the last user has let go; until then the picture stays. */
TEST_F(display, unbinding_waits_for_the_viewer)
{
	int req = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pid_t child;

	ASSERT_LE(0, req);
	ASSERT_SHOWN();
	ASSERT_EQ(0, vdev_set_irq(&self->vdev, VFIO_PCI_REQ_IRQ_INDEX, req));
	/* A child that has the mappings, too, would wait for itself. */
	ASSERT_EQ(0, madvise(self->fb, self->type->bar0, MADV_DONTFORK));
	ASSERT_EQ(0, madvise(self->shown, self->shown_len, MADV_DONTFORK));
	child = pci_unbind_begin(self->vf);
	ASSERT_LT(0, child);
	EXPECT_LE(1, irq_wait(req, WAIT_MS));
	EXPECT_TRUE(shows(self, 0));
	display_close(self);
	EXPECT_EQ(0, child_status(child));
	close(req);
	ASSERT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
}

TEST_F(display, dmabufs_need_a_kernel_that_exports_them)
{
	ASSERT_EQ(kernel_exports_bars() ? 0 : -EOPNOTSUPP,
		  pci_write(self->vf, "nvidia/vgpu_params", "display=dmabuf"));
}

TEST_F(display, parameter_decides_whether_there_is_one)
{
	static const struct {
		const char *params;
		int ret;
		bool display;
	} settings[] = {
		{ "display=off\n", 0, false },
		{ "display=region\n", 0, true },
		{ "display=region", 0, true },
		{ "a=b,display=off", 0, false },
		{ "display=off,a=b", 0, false },
		{ "display=off,display=region", 0, true },
		{ "xdisplay=off", 0, true },
		{ "display_mode=off", 0, true },
		{ "display=", -EINVAL, false },
		{ "display=offf", -EINVAL, false },
		{ "display=of", -EINVAL, false },
		{ "display=dmabufs", -EINVAL, false },
		{ "a=b,display=on\n", -EINVAL, false },
	};
	char params[64];
	unsigned int i;
	int ret;

	display_close(self);
	for (i = 0; i < ARRAY_SIZE(settings); i++) {
		ASSERT_EQ(0, pci_write(self->vf, "nvidia/vgpu_params", "k=v"));
		ret = pci_write(self->vf, "nvidia/vgpu_params",
				settings[i].params);
		EXPECT_EQ(settings[i].ret, ret)
			TH_LOG("%s", settings[i].params);
		if (settings[i].ret) {
			ASSERT_LT(0, pci_read(self->vf, "nvidia/vgpu_params",
					      params, sizeof(params)));
			EXPECT_STREQ("k=v\n", params);
			continue;
		}
		ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
		ret = settings[i].display ? 0 : -ENOTTY;
		EXPECT_EQ(ret, gfx_plane(&self->vdev, &self->info))
			TH_LOG("%s", settings[i].params);
		EXPECT_EQ(settings[i].display,
			  gfx_region(&self->vdev,
				     NVVGPU_REGION_SUBTYPE_GFX_PLANE) >= 0);
		EXPECT_EQ(settings[i].display, edid_region(&self->vdev) >= 0);
		vdev_close(&self->vdev);
	}
}

static long long display_events(const char *vf)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/nvvgpu/events", vf);

	return get_value(path, NVVGPU_EVENT_NAME_DISPLAY);
}

TEST_F(display, modes_are_announced_and_flips_are_not)
{
	int uevents = uevent_open();
	long long before;
	unsigned int i;

	ASSERT_LE(0, uevents);
	ASSERT_SHOWN();
	EXPECT_EQ(0, uevent_wait(uevents, self->vf, NVVGPU_EVENT_NAME_DISPLAY,
				 WAIT_MS));
	before = display_events(self->vf);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, guest_flip(&self->vdev, LINES * (i % 2)));
		usleep(5000);
	}
	EXPECT_TRUE(shows_soon(self, -1));
	EXPECT_EQ(before, display_events(self->vf));
	close(uevents);
}

TEST_F(display, flips_do_not_flood_the_firmware)
{
	__u32 before, after;
	__u64 begin, ms;
	unsigned int i;

	ASSERT_SHOWN();
	ASSERT_EQ(0, gpu_commands(&self->pf, &before));
	begin = now_ms();
	for (i = 0; i < 2000; i++)
		ASSERT_EQ(0, guest_flip(&self->vdev, LINES * (i % 4)));
	ms = now_ms() - begin;
	ASSERT_EQ(0, gpu_commands(&self->pf, &after));
	EXPECT_GE(ms * 110 / 1000 + 5, after - before)
		TH_LOG("%u commands in %llu ms", after - before, ms);
}

/* A viewer lives in the main loop of its virtual machine. */
TEST_F(display, query_does_not_wait_for_the_firmware)
{
	__u64 begin, longest = 0;
	unsigned int i;
	__u32 count;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware hang");
	draw(self, 1);
	ASSERT_SHOWN();
	ASSERT_EQ(0, fw_faults("display:1:slow=2000"));
	ASSERT_EQ(0, gpu_commands(&self->pf, &count));
	ASSERT_EQ(0, guest_flip(&self->vdev, LINES));
	ASSERT_EQ(0, gpu_wait_command(&self->pf, count));
	for (i = 0; i < 20; i++) {
		begin = now_ms();
		ASSERT_EQ(0, gfx_plane(&self->vdev, &self->info));
		longest = now_ms() - begin > longest ? now_ms() - begin :
						       longest;
	}
	EXPECT_GT(1000, longest);
	EXPECT_EQ(small.width, self->info.width);
	EXPECT_TRUE(shows(self, 0));
	EXPECT_TRUE(shows_soon(self, 1));
}

TEST_F(display, moves_with_the_vgpu)
{
	struct _test_data_display to = { .type = self->type };
	struct stream stream = {};
	size_t taken;
	int fd;

	to.vf = self->pf.vf[1];
	ASSERT_EQ(0, vf_set_type(to.vf, self->type->id));
	ASSERT_EQ(0, ioas_open(&to.ioas, IOMMU_IOMMUFD));
	ASSERT_EQ(0, display_open(&to));
	draw(self, 1);
	ASSERT_SHOWN();
	ASSERT_EQ(0, guest_flip(&self->vdev, LINES));
	ASSERT_TRUE(shows_soon(self, 1));

	ASSERT_EQ(0, mig_set(&self->vdev, VFIO_DEVICE_STATE_STOP_COPY, &fd));
	ASSERT_EQ(0, stream_read(&stream, fd));
	close(fd);
	/* The picture stays where it was until the source is closed. */
	EXPECT_TRUE(shows(self, 1));
	ASSERT_EQ(0, mig_set(&to.vdev, VFIO_DEVICE_STATE_RESUMING, &fd));
	ASSERT_EQ(0, stream_write(fd, &stream, MIB, &taken));
	close(fd);
	EXPECT_TRUE(shows(&to, -1));
	ASSERT_EQ(0, mig_set(&to.vdev, VFIO_DEVICE_STATE_RUNNING, NULL));
	EXPECT_EQ(0, gfx_wait(&to.vdev, small.width, &to.info));
	EXPECT_TRUE(shows_soon(&to, 1));
	EXPECT_TRUE(shows(self, 1));

	stream_free(&stream);
	display_close(&to);
	ioas_close(&to.ioas);
}

/* The monitor */

TEST_F(display, edid_is_the_same_for_user_and_guest)
{
	__u8 guest[NVVGPU_EMU_EDID_SIZE], user[NVVGPU_EMU_EDID_SIZE];
	struct vfio_region_gfx_edid info;
	struct vfio_region_info region;

	ASSERT_EQ(0, vdev_region_info(&self->vdev, edid_region(&self->vdev),
				      &region));
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
		  VFIO_REGION_INFO_FLAG_CAPS, region.flags);
	ASSERT_EQ(0, edid_info(&self->vdev, &info));
	EXPECT_EQ(VFIO_DEVICE_GFX_LINK_STATE_UP, info.link_state);
	EXPECT_EQ(NVVGPU_EMU_EDID_SIZE, info.edid_max_size);
	EXPECT_EQ(NVVGPU_EMU_EDID_SIZE, info.edid_size);
	EXPECT_EQ(region.size, info.edid_offset + info.edid_max_size);
	EXPECT_EQ(3840, info.max_xres);
	EXPECT_EQ(2160, info.max_yres);
	ASSERT_EQ(sizeof(user), vdev_read(&self->vdev, edid_region(&self->vdev),
					  info.edid_offset, user, sizeof(user)));
	ASSERT_EQ(0, guest_edid(&self->vdev, guest));
	EXPECT_EQ(0, memcmp(guest, user, sizeof(user)));
	EXPECT_EQ(-EINVAL, gfx_map(&self->vdev, edid_region(&self->vdev), 0,
				   PAGE, PROT_READ, (void **)&self->info));
}

TEST_F(display, new_monitor_reaches_the_guest)
{
	__u8 edid[NVVGPU_EMU_EDID_SIZE] = {}, guest[NVVGPU_EMU_EDID_SIZE];

	edid_make(edid, 1024, 768);
	ASSERT_EQ(0, edid_plug(&self->vdev, edid, EDID_BLOCK));
	ASSERT_EQ(0, guest_edid(&self->vdev, guest));
	EXPECT_EQ(0, memcmp(edid, guest, sizeof(guest)));

	/* Twice is as good as once. */
	ASSERT_EQ(0, edid_link(&self->vdev, true));
	ASSERT_EQ(0, edid_link(&self->vdev, false));
	ASSERT_EQ(0, edid_link(&self->vdev, false));
	ASSERT_EQ(0, guest_edid(&self->vdev, guest));
	EXPECT_TRUE(all_bytes(guest, sizeof(guest), 0));
	ASSERT_EQ(0, edid_link(&self->vdev, true));
	ASSERT_EQ(0, guest_edid(&self->vdev, guest));
	EXPECT_EQ(0, memcmp(edid, guest, sizeof(guest)));
}

TEST_F(display, monitor_stays_over_a_reset_and_goes_with_the_user)
{
	__u8 first[NVVGPU_EMU_EDID_SIZE], edid[NVVGPU_EMU_EDID_SIZE] = {};
	__u8 guest[NVVGPU_EMU_EDID_SIZE];
	struct vfio_region_gfx_edid info;

	ASSERT_EQ(0, guest_edid(&self->vdev, first));
	edid_make(edid, 800, 600);
	ASSERT_EQ(0, edid_plug(&self->vdev, edid, EDID_BLOCK));
	ASSERT_EQ(0, vdev_reset(&self->vdev));
	ASSERT_EQ(0, guest_edid(&self->vdev, guest));
	EXPECT_EQ(0, memcmp(edid, guest, sizeof(guest)));

	if (qmp_available()) {
		ASSERT_EQ(0, fw_faults("now:vcrash=0"));
		EXPECT_STREQ("error", vf_wait_state(self->vf, "error"));
		ASSERT_EQ(0, vdev_reset(&self->vdev));
		ASSERT_EQ(0, guest_edid(&self->vdev, guest));
		EXPECT_EQ(0, memcmp(edid, guest, sizeof(guest)));
		ASSERT_EQ(0, edid_link(&self->vdev, false));
		ASSERT_EQ(0, fw_faults("now:vcrash=0"));
		EXPECT_STREQ("error", vf_wait_state(self->vf, "error"));
		ASSERT_EQ(0, vdev_reset(&self->vdev));
		ASSERT_EQ(0, guest_edid(&self->vdev, guest));
		EXPECT_TRUE(all_bytes(guest, sizeof(guest), 0));
	}

	display_close(self);
	ASSERT_EQ(0, display_open(self));
	ASSERT_EQ(0, edid_info(&self->vdev, &info));
	EXPECT_EQ(VFIO_DEVICE_GFX_LINK_STATE_UP, info.link_state);
	ASSERT_EQ(0, guest_edid(&self->vdev, guest));
	EXPECT_EQ(0, memcmp(first, guest, sizeof(guest)));
}

#define FIELD(name)	offsetof(struct vfio_region_gfx_edid, name)

TEST_F(display, edid_region_is_changed_by_the_rules_only)
{
	int region = edid_region(&self->vdev);
	__u8 buf[NVVGPU_EMU_EDID_SIZE] = {};
	struct vfio_region_gfx_edid info;
	unsigned int offset, len;

	ASSERT_EQ(0, edid_info(&self->vdev, &info));
	/* While the monitor is plugged in */
	EXPECT_EQ(-EBUSY, edid_put(&self->vdev, FIELD(edid_size), 128));
	EXPECT_EQ(-EBUSY, vdev_write(&self->vdev, region, info.edid_offset, buf,
				     1));

	ASSERT_EQ(0, edid_link(&self->vdev, false));
	EXPECT_EQ(-EINVAL, edid_put(&self->vdev, FIELD(edid_offset), 0));
	EXPECT_EQ(-EINVAL, edid_put(&self->vdev, FIELD(edid_max_size), 4096));
	EXPECT_EQ(-EINVAL, edid_put(&self->vdev, FIELD(max_xres), 9999));
	EXPECT_EQ(-EINVAL, edid_put(&self->vdev, FIELD(max_yres), 9999));
	EXPECT_EQ(-EINVAL, edid_put(&self->vdev, sizeof(info), 0));
	EXPECT_EQ(-EINVAL, edid_put(&self->vdev, FIELD(edid_size),
				    NVVGPU_EMU_EDID_SIZE + 1));
	EXPECT_EQ(-EINVAL, edid_put(&self->vdev, FIELD(edid_size), ~0U));
	EXPECT_EQ(-EINVAL, edid_put(&self->vdev, FIELD(link_state), 0));
	EXPECT_EQ(-EINVAL, edid_put(&self->vdev, FIELD(link_state), 3));
	for (len = 1; len < 16; len++)
		EXPECT_EQ(len == 4 ? 4 : -EINVAL,
			  vdev_write(&self->vdev, region, FIELD(edid_size),
				     buf, len));
	for (offset = 0; offset < info.edid_offset; offset++)
		if (offset % 4)
			EXPECT_EQ(-EINVAL, vdev_write(&self->vdev, region,
						      offset, buf, 4));
	EXPECT_EQ(2, vdev_write(&self->vdev, region, info.edid_offset +
				NVVGPU_EMU_EDID_SIZE - 2, buf, 10));
	EXPECT_EQ(-EINVAL, vdev_write(&self->vdev, region, info.edid_offset +
				      NVVGPU_EMU_EDID_SIZE, buf, 1));
	EXPECT_EQ(-EINVAL, vdev_read(&self->vdev, region, info.edid_offset +
				     NVVGPU_EMU_EDID_SIZE, buf, 1));
	EXPECT_EQ(2, vdev_read(&self->vdev, region, info.edid_offset +
			       NVVGPU_EMU_EDID_SIZE - 2, buf, 10));
}

TEST_F(display, invalid_edid_is_refused)
{
	__u8 edid[NVVGPU_EMU_EDID_SIZE] = {}, guest[NVVGPU_EMU_EDID_SIZE];
	__u8 *timing;
	unsigned int i, len;

	/* As large as the type, and larger */
	edid_make(edid, 3840, 2160);
	EXPECT_EQ(0, edid_plug(&self->vdev, edid, EDID_BLOCK));
	edid_make(edid, 3841, 2160);
	EXPECT_EQ(-EINVAL, edid_plug(&self->vdev, edid, EDID_BLOCK));
	EXPECT_LAST_ERROR(self->vf, EINVAL,
			  "cannot plug in the monitor: invalid EDID");
	edid_make(edid, 3840, 2161);
	EXPECT_EQ(-EINVAL, edid_plug(&self->vdev, edid, EDID_BLOCK));

	/* In each place where there may be a timing */
	for (i = 0; i < 4; i++) {
		edid_make(edid, 640, 480);
		timing = edid + EDID_TIMING + 18 * i;
		timing[0] = 1;
		timing[7] = 0xf0;
		edid_seal(edid, EDID_BLOCK);
		EXPECT_EQ(-EINVAL, edid_plug(&self->vdev, edid, EDID_BLOCK));
	}
	edid_make(edid, 640, 480);
	edid[EDID_BLOCK - 2] = 1;
	edid[EDID_BLOCK] = 2;
	edid[EDID_BLOCK + 2] = 4;
	edid_seal(edid, 2 * EDID_BLOCK);
	EXPECT_EQ(0, edid_plug(&self->vdev, edid, 2 * EDID_BLOCK));
	edid[EDID_BLOCK + 2] = 128;
	edid_seal(edid, 2 * EDID_BLOCK);
	EXPECT_EQ(-EINVAL, edid_plug(&self->vdev, edid, 2 * EDID_BLOCK));
	edid[EDID_BLOCK + 2] = 4;
	timing = edid + EDID_BLOCK + 4 + 18 * 5;
	timing[0] = 1;
	timing[7] = 0xf0;
	edid_seal(edid, 2 * EDID_BLOCK);
	EXPECT_EQ(-EINVAL, edid_plug(&self->vdev, edid, 2 * EDID_BLOCK));

	/* With another length than it says */
	edid_make(edid, 640, 480);
	for (len = 0; len <= NVVGPU_EMU_EDID_SIZE; len += 32)
		EXPECT_EQ(len == EDID_BLOCK ? 0 : -EINVAL,
			  edid_plug(&self->vdev, edid, len))
			TH_LOG("%u bytes", len);

	/* With one byte wrong */
	for (i = 0; i < EDID_BLOCK; i++) {
		edid[i] ^= 1 << i % 8;
		EXPECT_EQ(-EINVAL, edid_plug(&self->vdev, edid, EDID_BLOCK))
			TH_LOG("byte %u", i);
		edid[i] ^= 1 << i % 8;
	}
	/* Refused is unplugged. */
	ASSERT_EQ(0, guest_edid(&self->vdev, guest));
	EXPECT_TRUE(all_bytes(guest, sizeof(guest), 0));
}

/* Whatever is written, the guest sees a sound EDID or none. */
TEST_F(display, random_edid_is_sound_or_refused)
{
	__u8 edid[NVVGPU_EMU_EDID_SIZE], guest[NVVGPU_EMU_EDID_SIZE];
	unsigned int i, j, taken = 0;
	__u8 sum;
	int ret;

	srandom(17);
	for (i = 0; i < 2000; i++) {
		edid_make(edid, 640, 480);
		for (j = random() % 6; j--;)
			edid[8 + random() % (EDID_BLOCK - 8)] = random();
		edid[EDID_BLOCK - 2] = random() % 3;
		for (j = EDID_BLOCK; j < 2 * EDID_BLOCK; j++)
			edid[j] = random() % 4 ? 0 : random();
		edid[EDID_BLOCK] = random() % 3;
		if (random() % 8)
			edid_seal(edid, sizeof(edid));

		ret = edid_plug(&self->vdev, edid,
				EDID_BLOCK * (1 + random() % 2));
		ASSERT_TRUE(!ret || ret == -EINVAL);
		ASSERT_EQ(0, guest_edid(&self->vdev, guest));
		if (ret) {
			ASSERT_TRUE(all_bytes(guest, sizeof(guest), 0));
			continue;
		}
		taken++;
		for (j = 0, sum = 0; j < sizeof(guest); j++)
			sum += guest[j];
		ASSERT_EQ(0, sum);
		ASSERT_EQ(0, memcmp(guest, edid, EDID_BLOCK));
	}
	EXPECT_LT(0, taken);
	EXPECT_GT(2000, taken);
}

TEST_F(display, firmware_that_refuses_a_monitor_leaves_it_unplugged)
{
	__u8 edid[NVVGPU_EMU_EDID_SIZE] = {};
	struct vfio_region_gfx_edid info;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware fail");
	edid_make(edid, 640, 480);
	ASSERT_EQ(0, edid_link(&self->vdev, false));
	ASSERT_EQ(0, fw_faults("set-edid:*:fail"));
	EXPECT_EQ(-EIO, edid_plug(&self->vdev, edid, EDID_BLOCK));
	EXPECT_LAST_ERROR(self->vf, EIO,
			  "cannot plug in the monitor");
	ASSERT_EQ(0, edid_info(&self->vdev, &info));
	EXPECT_EQ(VFIO_DEVICE_GFX_LINK_STATE_DOWN, info.link_state);
	ASSERT_EQ(0, fw_faults(""));
	EXPECT_EQ(0, edid_plug(&self->vdev, edid, EDID_BLOCK));
	ASSERT_EQ(0, fw_faults("set-edid:*:fail"));
	EXPECT_EQ(-EIO, edid_link(&self->vdev, false));
	ASSERT_EQ(0, edid_info(&self->vdev, &info));
	EXPECT_EQ(VFIO_DEVICE_GFX_LINK_STATE_UP, info.link_state);
}

TEST_F(display, edid_that_the_firmware_refuses_is_asked_for_again)
{
	struct vfio_region_gfx_edid info;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware fail");
	ASSERT_EQ(0, fw_faults("display:*:fail"));
	EXPECT_EQ(-EIO, edid_info(&self->vdev, &info));
	EXPECT_EQ(-EIO, edid_link(&self->vdev, false));
	ASSERT_EQ(0, fw_faults(""));
	EXPECT_EQ(0, edid_info(&self->vdev, &info));
}

/* Neither opening nor resetting the device asks for what nobody looks at. */
TEST_F(display, unwatched_display_sends_no_command)
{
	__u32 before, after;

	display_close(self);
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	ASSERT_EQ(0, gpu_commands(&self->pf, &before));
	ASSERT_EQ(0, guest_mode(&self->vdev, &small));
	ASSERT_EQ(0, guest_flip(&self->vdev, LINES));
	usleep(200000);
	ASSERT_EQ(0, gpu_commands(&self->pf, &after));
	EXPECT_EQ(before, after);
	ASSERT_EQ(0, gfx_wait(&self->vdev, small.width, &self->info));
	ASSERT_EQ(0, gpu_commands(&self->pf, &after));
	EXPECT_LT(before, after);
}

/* A display that is offered as dma-bufs */
FIXTURE(dmabuf) {
	struct _test_data_display display;
	void *map;
	int fd;
};

static int dmabuf_open(struct _test_data_dmabuf *self)
{
	struct _test_data_display *display = &self->display;

	return vdev_open(&display->vdev, display->vf, &display->ioas) ?:
	       vdev_map_bar(&display->vdev, BAR_FB);
}

static void dmabuf_drop(struct _test_data_dmabuf *self)
{
	if (self->map)
		munmap(self->map, FRAME);
	self->map = NULL;
	if (self->fd >= 0)
		close(self->fd);
	self->fd = -1;
	self->display.shown = NULL;
}

/* Map the dma-buf of a plane. */
static int dmabuf_map(struct _test_data_dmabuf *self, __u32 id)
{
	void *map;

	dmabuf_drop(self);
	self->fd = gfx_dmabuf(&self->display.vdev, id);
	if (self->fd < 0)
		return self->fd;
	map = mmap(NULL, FRAME, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd,
		   0);
	if (map == MAP_FAILED)
		return -errno;
	self->map = map;
	self->display.shown = map;

	return 0;
}

FIXTURE_SETUP(dmabuf)
{
	struct _test_data_display *display = &self->display;
	int i, nr;

	self->fd = -1;
	if (!kernel_exports_bars())
		SKIP(return, "the kernel does not export BARs as dma-bufs");
	ASSERT_GPU(&display->pf, TEST_VFS);
	display->vf = display->pf.vf[0];
	display->vdev.fd = -1;
	display->vdev.group = -1;
	nr = vf_types(display->vf, display->types, MAX_TYPES);
	for (i = 0; i < nr; i++)
		if (!strcmp(display->types[i].name, BOCHS_TYPE))
			display->type = &display->types[i];
	ASSERT_NE(NULL, display->type);
	ASSERT_EQ(0, pci_write(display->vf, "nvidia/vgpu_params",
			       "display=dmabuf"));
	ASSERT_EQ(0, vf_set_type(display->vf, display->type->id));
	ASSERT_EQ(0, ioas_open(&display->ioas, IOMMU_IOMMUFD));
	ASSERT_EQ(0, dmabuf_open(self));
	display->fb = display->vdev.bar[BAR_FB];
}

FIXTURE_TEARDOWN(dmabuf)
{
	if (!self->display.type)
		return;
	if (qmp_available())
		fw_faults("");
	dmabuf_drop(self);
	mod_del("nvvgpu-importer");
	vdev_close(&self->display.vdev);
	ioas_close(&self->display.ioas);
	pci_write(self->display.vf, "nvidia/vgpu_params", "\n");
	gpu_clean(&self->display.pf);
}

/* The first frame is displayed, and mapped. */
#define ASSERT_EXPORTED() do {						\
	draw(&self->display, 0);					\
	ASSERT_EQ(0, guest_mode(&self->display.vdev, &small));		\
	ASSERT_EQ(0, gfx_dmabuf_wait(&self->display.vdev, 0,		\
				     &self->display.info));		\
	ASSERT_EQ(0, dmabuf_map(self, self->display.info.dmabuf_id));	\
	ASSERT_TRUE(shows(&self->display, 0));				\
} while (0)

TEST_F(dmabuf, replaces_the_region)
{
	struct vdev *vdev = &self->display.vdev;
	struct vfio_device_gfx_plane_info *info = &self->display.info;
	struct vfio_device_info device;
	struct vfio_region_gfx_edid edid;

	ASSERT_EQ(0, vdev_info(vdev, &device));
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS + 1, device.num_regions);
	EXPECT_EQ(-ENOENT, gfx_region(vdev, NVVGPU_REGION_SUBTYPE_GFX_PLANE));
	EXPECT_EQ(0, edid_info(vdev, &edid));
	EXPECT_EQ(0, gfx_query(vdev, PROBE | DMABUF, PRIMARY, info));
	EXPECT_EQ(-EINVAL, gfx_query(vdev, PROBE | REGION, PRIMARY, info));
	EXPECT_EQ(-EINVAL, gfx_query(vdev, REGION, PRIMARY, info));
	EXPECT_EQ(-EINVAL, gfx_query(vdev, DMABUF | REGION, PRIMARY, info));
	EXPECT_EQ(-EINVAL, gfx_query(vdev, DMABUF, CURSOR + 1, info));
}

TEST_F(dmabuf, query_describes_the_plane)
{
	struct vfio_device_gfx_plane_info *info = &self->display.info;

	ASSERT_EQ(0, gfx_dmabuf_plane(&self->display.vdev, info));
	EXPECT_EQ(0, info->size);
	EXPECT_EQ(0, info->dmabuf_id);
	ASSERT_EXPORTED();
	EXPECT_EQ(FORMAT_XRGB8888, info->drm_format);
	EXPECT_EQ(256, info->width);
	EXPECT_EQ(64, info->height);
	EXPECT_EQ(1024, info->stride);
	EXPECT_EQ(FRAME, info->size);
	EXPECT_EQ(FRAME, lseek(self->fd, 0, SEEK_END));

	/* There is no cursor. */
	ASSERT_EQ(0, gfx_query(&self->display.vdev, DMABUF, CURSOR, info));
	EXPECT_EQ(0, info->size);
	EXPECT_EQ(0, info->dmabuf_id);
}

TEST_F(dmabuf, planes_have_stable_ids)
{
	struct vdev *vdev = &self->display.vdev;
	struct vfio_device_gfx_plane_info *info = &self->display.info;
	__u32 first, second, id;
	unsigned int frame;

	ASSERT_EXPORTED();
	first = info->dmabuf_id;
	ASSERT_EQ(0, guest_flip(vdev, LINES));
	ASSERT_EQ(0, gfx_dmabuf_wait(vdev, first, info));
	second = info->dmabuf_id;
	ASSERT_EQ(0, guest_flip(vdev, 0));
	ASSERT_EQ(0, gfx_dmabuf_wait(vdev, second, info));
	EXPECT_EQ(first, info->dmabuf_id);
	ASSERT_EQ(0, guest_off(vdev));
	ASSERT_EQ(0, gfx_dmabuf_wait(vdev, first, info));
	EXPECT_EQ(0, info->dmabuf_id);
	ASSERT_EQ(0, guest_mode(vdev, &small));
	ASSERT_EQ(0, gfx_dmabuf_wait(vdev, 0, info));
	EXPECT_EQ(first, info->dmabuf_id);

	/* QEMU keeps five; many later ones make it a new plane. */
	for (frame = 1; frame <= 6; frame++) {
		id = info->dmabuf_id;
		ASSERT_EQ(0, guest_flip(vdev, frame * LINES));
		ASSERT_EQ(0, gfx_dmabuf_wait(vdev, id, info));
	}
	EXPECT_EQ(0, dmabuf_map(self, first));
	for (; frame <= 32; frame++) {
		id = info->dmabuf_id;
		ASSERT_EQ(0, guest_flip(vdev, frame * LINES));
		ASSERT_EQ(0, gfx_dmabuf_wait(vdev, id, info));
		EXPECT_LT(second, info->dmabuf_id);
	}
	EXPECT_EQ(-EINVAL, dmabuf_map(self, first));
	id = info->dmabuf_id;
	ASSERT_EQ(0, guest_flip(vdev, 0));
	ASSERT_EQ(0, gfx_dmabuf_wait(vdev, id, info));
	EXPECT_LT(id, info->dmabuf_id);
}

TEST_F(dmabuf, unknown_ids_are_refused)
{
	struct vdev *vdev = &self->display.vdev;
	__u32 id;

	EXPECT_EQ(-EINVAL, gfx_dmabuf(vdev, 0));
	EXPECT_EQ(-EINVAL, gfx_dmabuf(vdev, 1));
	ASSERT_EXPORTED();
	id = self->display.info.dmabuf_id;
	EXPECT_EQ(-EINVAL, gfx_dmabuf(vdev, 0));
	EXPECT_EQ(-EINVAL, gfx_dmabuf(vdev, id + 1));
	EXPECT_EQ(-EINVAL, gfx_dmabuf(vdev, ~0U));
	EXPECT_EQ(-EFAULT, vdev_ioctl(vdev, VFIO_DEVICE_GET_GFX_DMABUF, NULL));

	/* Ids of the last user are gone. */
	dmabuf_drop(self);
	vdev_close(vdev);
	ASSERT_EQ(0, dmabuf_open(self));
	EXPECT_EQ(-EINVAL, gfx_dmabuf(vdev, id));
}

TEST_F(dmabuf, keeps_to_its_plane)
{
	struct vdev *vdev = &self->display.vdev;
	__u32 id;

	draw(&self->display, 1);
	ASSERT_EXPORTED();
	id = self->display.info.dmabuf_id;
	ASSERT_EQ(0, guest_flip(vdev, LINES));
	ASSERT_EQ(0, gfx_dmabuf_wait(vdev, id, &self->display.info));
	EXPECT_TRUE(shows(&self->display, 0));
	poke(&self->display.fb[5], 0x123456);
	EXPECT_EQ(0x123456, peek(&self->display.shown[5]));
	poke(&self->display.shown[5], pixel(0, 5));
	EXPECT_EQ(pixel(0, 5), peek(&self->display.fb[5]));
	ASSERT_EQ(0, dmabuf_map(self, self->display.info.dmabuf_id));
	EXPECT_TRUE(shows(&self->display, 1));
}

TEST_F(dmabuf, mapping_ends_with_the_plane)
{
	ASSERT_EXPORTED();
	EXPECT_EQ(MAP_FAILED, mmap(NULL, FRAME + PAGE, PROT_READ, MAP_SHARED,
				   self->fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd,
				   FRAME));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE,
				   self->fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mremap(self->map, FRAME, FRAME + PAGE,
				     MREMAP_MAYMOVE));
}

TEST_F(dmabuf, is_blank_while_the_device_sleeps)
{
	struct vdev *vdev = &self->display.vdev;

	ASSERT_EXPORTED();
	ASSERT_EQ(0, vdev_set_power(vdev, VDEV_D3HOT));
	EXPECT_TRUE(shows(&self->display, -1));
	ASSERT_EQ(0, vdev_set_power(vdev, VDEV_D0));
	ASSERT_EQ(0, gfx_dmabuf_plane(vdev, &self->display.info));
	EXPECT_TRUE(shows(&self->display, 0));
}

TEST_F(dmabuf, crash_blanks_it_and_a_reset_brings_it_back)
{
	struct vdev *vdev = &self->display.vdev;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the vGPU crash");
	ASSERT_EXPORTED();
	ASSERT_EQ(0, fw_faults("now:vcrash=0"));
	EXPECT_STREQ("error", vf_wait_state(self->display.vf, "error"));
	EXPECT_TRUE(shows(&self->display, -1));
	ASSERT_EQ(0, gfx_dmabuf_plane(vdev, &self->display.info));
	EXPECT_EQ(0, self->display.info.dmabuf_id);

	ASSERT_EQ(0, vdev_reset(vdev));
	EXPECT_STREQ("open", vf_wait_state(self->display.vf, "open"));
	ASSERT_EQ(0, vdev_remap_bars(vdev));
	self->display.fb = vdev->bar[BAR_FB];
	draw(&self->display, 0);
	ASSERT_EQ(0, gfx_dmabuf_plane(vdev, &self->display.info));
	EXPECT_TRUE(shows(&self->display, 0));
}

/* It neither keeps the device open nor shows the next vGPU. */
TEST_F(dmabuf, outlives_the_device)
{
	struct vdev *vdev = &self->display.vdev;
	const char *vf = self->display.vf;

	ASSERT_EXPORTED();
	vdev_close(vdev);
	EXPECT_FILE(vf, "nvvgpu/state", "created\n");
	EXPECT_TRUE(shows(&self->display, -1));
	ASSERT_EQ(0, vf_set_type(vf, 0));
	ASSERT_EQ(0, vf_set_type(vf, self->display.type->id));
	ASSERT_EQ(0, dmabuf_open(self));
	self->display.fb = vdev->bar[BAR_FB];
	draw(&self->display, 2);
	ASSERT_EQ(0, guest_mode(vdev, &small));
	ASSERT_EQ(0, gfx_dmabuf_wait(vdev, 0, &self->display.info));
	EXPECT_TRUE(shows(&self->display, -1));

	/* Unbinding does not wait for it either. */
	vdev_close(vdev);
	ASSERT_EQ(0, pci_unbind(vf));
	EXPECT_TRUE(shows(&self->display, -1));
	dmabuf_drop(self);
	ASSERT_EQ(0, pci_bind(vf, FRONT_END_DRIVER));
}

/* A viewer that goes on writing leaves nothing to the next user. */
TEST_F(dmabuf, is_revoked_before_the_framebuffer_is_scrubbed)
{
	struct vdev *vdev = &self->display.vdev;
	unsigned int i, left = 0;
	pid_t viewer;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to delay the response");
	ASSERT_EXPORTED();
	viewer = fork();
	ASSERT_LE(0, viewer);
	if (!viewer) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		munmap(vdev->bar[BAR_FB], vdev->bar_len[BAR_FB]);
		close(vdev->fd);
		for (;;)
			poke(&self->display.shown[5], 0x123456);
	}
	while (peek(&self->display.fb[5]) != 0x123456)
		usleep(1000);
	ASSERT_EQ(0, fw_faults("scrub:*:late=300"));
	vdev_close(vdev);
	ASSERT_EQ(0, fw_faults(""));
	kill(viewer, SIGKILL);
	waitpid(viewer, NULL, 0);

	ASSERT_EQ(0, dmabuf_open(self));
	self->display.fb = vdev->bar[BAR_FB];
	for (i = 0; i < FRAME / sizeof(*self->display.fb); i++)
		left += peek(&self->display.fb[i]) != 0;
	EXPECT_EQ(0, left);
}

static int importer_put(const char *file, const char *fmt, int fd,
			const char *bdf)
{
	char path[128];

	snprintf(path, sizeof(path), IMPORTER_DIR "/%s", file);

	return put(path, fmt, fd, bdf);
}

static long long importer_state(const char *key)
{
	return get_value(IMPORTER_DIR "/state", key);
}

/* The VF is its own peer: not every machine lets other devices reach it. */
TEST_F(dmabuf, importers_lose_it_when_the_device_is_inaccessible)
{
	struct vdev *vdev = &self->display.vdev;
	const char *peer = self->display.vf;
	int ret;

	ret = mod_add("nvvgpu-importer", "");
	if (ret == -ENOENT)
		SKIP(return, "no module nvvgpu-importer");
	ASSERT_EQ(0, ret);
	ASSERT_EXPORTED();
	EXPECT_EQ(-EOPNOTSUPP, importer_put("attach", "%d %s plain", self->fd,
					    peer));
	ASSERT_EQ(0, importer_put("attach", "%d %s", self->fd, peer));
	EXPECT_EQ(0, importer_put("map", "\n", 0, ""));
	EXPECT_EQ(1, importer_state("mapped"));

	ASSERT_EQ(0, vdev_set_power(vdev, VDEV_D3HOT));
	EXPECT_EQ(0, importer_state("mapped"));
	EXPECT_EQ(1, importer_state("invalidated"));
	EXPECT_EQ(-ENODEV, importer_put("map", "\n", 0, ""));
	ASSERT_EQ(0, vdev_set_power(vdev, VDEV_D0));
	EXPECT_EQ(2, importer_state("invalidated"));
	EXPECT_EQ(0, importer_put("map", "\n", 0, ""));

	/* A question about low power mode does not revoke it. */
	EXPECT_EQ(0, vdev_feature(vdev, VFIO_DEVICE_FEATURE_PROBE |
				  VFIO_DEVICE_FEATURE_SET |
				  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL, 0));
	EXPECT_EQ(1, importer_state("mapped"));
	EXPECT_EQ(2, importer_state("invalidated"));

	ASSERT_EQ(0, vdev_reset(vdev));
	EXPECT_EQ(0, importer_state("mapped"));
	EXPECT_EQ(4, importer_state("invalidated"));
	EXPECT_EQ(0, importer_put("map", "\n", 0, ""));
	ASSERT_EQ(0, vdev_flr(vdev));
	EXPECT_EQ(0, importer_state("mapped"));
	EXPECT_EQ(0, importer_put("map", "\n", 0, ""));
	ASSERT_EQ(0, pci_write(self->display.vf, "reset", "1"));
	EXPECT_EQ(0, importer_state("mapped"));
	EXPECT_EQ(0, importer_put("map", "\n", 0, ""));

	if (qmp_available()) {
		ASSERT_EQ(0, fw_faults("now:vcrash=0"));
		EXPECT_STREQ("error", vf_wait_state(self->display.vf, "error"));
		while (!importer_put("map", "\n", 0, ""))
			usleep(2000);
		EXPECT_EQ(-ENODEV, importer_put("map", "\n", 0, ""));
		EXPECT_EQ(0, importer_state("mapped"));
		ASSERT_EQ(0, vdev_reset(vdev));
		while (importer_put("map", "\n", 0, "") == -ENODEV)
			usleep(2000);
		EXPECT_EQ(0, importer_put("map", "\n", 0, ""));
	}

	vdev_close(vdev);
	EXPECT_EQ(0, importer_state("mapped"));
	EXPECT_EQ(-ENODEV, importer_put("map", "\n", 0, ""));
	EXPECT_EQ(-ENODEV, importer_put("attach", "%d %s", self->fd, peer));
	EXPECT_EQ(0, importer_state("attached"));
}

/* Any access leaves low power mode then, and the user need not ask for it. */
TEST_F(dmabuf, query_allows_it_after_a_wakeup)
{
	struct vfio_device_low_power_entry_with_wakeup entry = {};
	struct vdev *vdev = &self->display.vdev;
	const char *peer = self->display.vf;
	char status[32] = "";
	int i, ret;

	ret = mod_add("nvvgpu-importer", "");
	if (ret == -ENOENT)
		SKIP(return, "no module nvvgpu-importer");
	ASSERT_EQ(0, ret);
	ASSERT_EXPORTED();
	ASSERT_EQ(0, importer_put("attach", "%d %s", self->fd, peer));
	entry.wakeup_eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_LE(0, entry.wakeup_eventfd);
	ASSERT_EQ(0, vdev_feature(vdev, VFIO_DEVICE_FEATURE_SET |
				  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
				  &entry, sizeof(entry)));
	EXPECT_EQ(-ENODEV, importer_put("map", "\n", 0, ""));
	for (i = 0; i < 500 && strcmp(status, "suspended\n"); i++) {
		usleep(10000);
		ASSERT_LT(0, pci_read(self->display.vf, "power/runtime_status",
				      status, sizeof(status)));
	}
	EXPECT_STREQ("suspended\n", status);

	EXPECT_EQ(0, gfx_query(vdev, DMABUF, PRIMARY, &self->display.info));
	EXPECT_EQ(1, irq_wait(entry.wakeup_eventfd, WAIT_MS));
	EXPECT_EQ(0, gfx_query(vdev, DMABUF, PRIMARY, &self->display.info));
	EXPECT_EQ(0, importer_put("map", "\n", 0, ""));
	close(entry.wakeup_eventfd);
}

/* iommufd maps the dma-bufs of vfio-pci-core only. */
TEST_F(dmabuf, iommufd_refuses_it)
{
	ASSERT_EXPORTED();
	EXPECT_GT(0, ioas_map_file(&self->display.ioas, self->fd, 0,
				   0x700000000ULL, FRAME,
				   PROT_READ | PROT_WRITE));
}

/* A back-end that reports invalid planes */
#define MOCK_PF		"igb"
#define MOCK_TYPE	7
#define MOCK_BAR	16384

FIXTURE(untrue) {
	struct pf pf;
	const char *vf;
	struct ioas ioas;
	struct vdev vdev;
};

FIXTURE_SETUP(untrue)
{
	self->vdev.fd = -1;
	self->vdev.group = -1;
	if (backend_missing("nvvgpu-mock", MOCK_PF))
		SKIP(return, "%s", backend_missing("nvvgpu-mock", MOCK_PF));
	ASSERT_EQ(0, mod_add("nvvgpu-mock", ""));
	ASSERT_EQ(0, pf_prepare(&self->pf, MOCK_PF, TEST_VFS));
	self->vf = self->pf.vf[0];
	ASSERT_EQ(0, ioas_open(&self->ioas, IOMMU_IOMMUFD));
	ASSERT_EQ(0, mock_add(self->pf.bdf, "display"));
	ASSERT_EQ(0, vf_set_type(self->vf, MOCK_TYPE));
}

FIXTURE_TEARDOWN(untrue)
{
	if (!self->vf)
		return;
	put(MOCK_DIR "/block", "none");
	put(MOCK_DIR "/fail", "none");
	vdev_close(&self->vdev);
	ioas_close(&self->ioas);
	mock_del(self->pf.bdf);
	EXPECT_EQ(0, mock_calls("violations"));
	EXPECT_EQ(0, mod_del("nvvgpu-mock"));
}

TEST_F(untrue, impossible_planes_are_not_shown)
{
	static const struct {
		struct {
			__u32 format, width, height, stride, bar;
			__u64 offset;
		} plane;
		bool shown;
	} planes[] = {
		{ { FORMAT_XRGB8888, 64, 16, 256, 0, 0 }, true },
		{ { FORMAT_XRGB8888, 64, 16, 256, 0, MOCK_BAR - 4096 }, true },
		{ { FORMAT_XRGB8888, 64, 17, 256, 0, MOCK_BAR - 4096 }, false },
		{ { FORMAT_XRGB8888, 64, 16, 256, 0, MOCK_BAR }, false },
		{ { FORMAT_XRGB8888, 64, 16, 256, 0, ~0ULL - 4095 }, false },
		{ { FORMAT_XRGB8888, 64, 16, 256, 0, 64 }, false },
		{ { FORMAT_XRGB8888, 64, 16, 255, 0, 0 }, false },
		{ { FORMAT_XRGB8888, 64, 16, ~0U, 0, 0 }, false },
		{ { FORMAT_XRGB8888, 257, 1, 2048, 0, 0 }, false },
		{ { FORMAT_XRGB8888, 4, 257, 16, 0, 0 }, false },
		{ { FORMAT_XRGB8888, 64, 0, 256, 0, 0 }, false },
		{ { FORMAT_XRGB8888, 64, 16, 256, 1, 0 }, false },
		{ { FORMAT_XRGB8888, 64, 16, 256, 6, 0 }, false },
		{ { FORMAT_XRGB8888, 64, 16, 256, ~0U, 0 }, false },
		{ { 0, 64, 16, 256, 0, 0 }, false },
		{ { 0x3231564e, 64, 16, 256, 0, 0 }, false },
		{ { FORMAT_RGB565, 64, 16, 256, 0, 0 }, true },
	};
	struct vfio_device_gfx_plane_info info;
	unsigned int i;
	long long calls;

	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	/* From now on flips are followed. */
	ASSERT_EQ(0, gfx_plane(&self->vdev, &info));
	for (i = 0; i < ARRAY_SIZE(planes); i++) {
		calls = mock_calls("get_plane");
		ASSERT_EQ(0, put(MOCK_DIR "/plane", "%u %u %u %u %u %llu",
				 planes[i].plane.format, planes[i].plane.width,
				 planes[i].plane.height, planes[i].plane.stride,
				 planes[i].plane.bar, planes[i].plane.offset));
		ASSERT_EQ(0, put(MOCK_DIR "/flip", "%s 0", self->pf.bdf));
		while (mock_calls("get_plane") == calls)
			usleep(5000);
		/* The next call shows that the answer of this one was used. */
		ASSERT_EQ(0, put(MOCK_DIR "/flip", "%s 0", self->pf.bdf));
		while (mock_calls("get_plane") == calls + 1)
			usleep(5000);
		ASSERT_EQ(0, gfx_plane(&self->vdev, &info));
		EXPECT_EQ(planes[i].shown ? planes[i].plane.width : 0,
			  info.width)
			TH_LOG("plane %u", i);
		if (!planes[i].shown)
			EXPECT_LAST_ERROR(self->vf, EINVAL,
					  "cannot show the display: its plane is invalid");
	}
}

/* It goes when the last user has let go; until then the picture stays. */
TEST_F(untrue, back_end_waits_for_the_viewer)
{
	int req = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct vfio_device_gfx_plane_info info;
	__u32 before;
	void *shown;
	pid_t child;

	ASSERT_LE(0, req);
	ASSERT_EQ(0, put(MOCK_DIR "/plane", "%u 64 16 256 0 0",
			 FORMAT_XRGB8888));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	ASSERT_EQ(0, vdev_set_irq(&self->vdev, VFIO_PCI_REQ_IRQ_INDEX, req));
	ASSERT_EQ(0, gfx_wait(&self->vdev, 64, &info));
	ASSERT_EQ(0, gfx_map(&self->vdev, info.region_index, 0, PAGE, PROT_READ,
			     &shown));
	before = peek(shown);
	/* A child that has the mapping, too, would wait for itself. */
	ASSERT_EQ(0, madvise(shown, PAGE, MADV_DONTFORK));
	child = put_begin(MOCK_DIR "/unregister", self->pf.bdf);
	ASSERT_LT(0, child);
	EXPECT_LE(1, irq_wait(req, WAIT_MS));
	EXPECT_EQ(before, peek(shown));
	munmap(shown, PAGE);
	vdev_close(&self->vdev);
	EXPECT_EQ(0, child_status(child));
	close(req);
}

TEST_F(untrue, monitor_may_be_missing)
{
	struct vfio_region_gfx_edid edid;
	__u8 blob[EDID_BLOCK];

	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	ASSERT_EQ(0, edid_info(&self->vdev, &edid));
	EXPECT_EQ(VFIO_DEVICE_GFX_LINK_STATE_DOWN, edid.link_state);
	EXPECT_EQ(0, edid.edid_size);
	edid_make(blob, 256, 256);
	EXPECT_EQ(0, edid_plug(&self->vdev, blob, sizeof(blob)));
	EXPECT_EQ(1, mock_calls("set_edid"));
	EXPECT_EQ(0, edid_link(&self->vdev, false));
	EXPECT_EQ(2, mock_calls("set_edid"));
}

TEST_F(untrue, edid_of_invalid_length_is_an_error)
{
	struct vfio_region_gfx_edid edid;

	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	/* A failure with a negative errno is a length. */
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "get_edid -257"));
	EXPECT_EQ(-EPROTO, edid_info(&self->vdev, &edid));
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "get_edid -128"));
	EXPECT_EQ(-EPROTO, edid_info(&self->vdev, &edid));
	EXPECT_LAST_ERROR(self->vf, EPROTO,
			  "cannot get the EDID");
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "none"));
	EXPECT_EQ(0, edid_info(&self->vdev, &edid));
}

/* A plane that cannot be fetched is blank, and does not stop the rest. */
TEST_F(untrue, plane_that_fails_is_blank)
{
	struct vfio_device_gfx_plane_info info;

	ASSERT_EQ(0, put(MOCK_DIR "/plane", "%u 64 16 256 0 0",
			 FORMAT_XRGB8888));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	ASSERT_EQ(0, gfx_wait(&self->vdev, 64, &info));
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "get_plane 5"));
	ASSERT_EQ(0, put(MOCK_DIR "/flip", "%s 0", self->pf.bdf));
	EXPECT_EQ(0, gfx_wait(&self->vdev, 0, &info));
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "none"));
	ASSERT_EQ(0, put(MOCK_DIR "/flip", "%s 0", self->pf.bdf));
	EXPECT_EQ(0, gfx_wait(&self->vdev, 64, &info));
}

int main(int argc, char **argv)
{
	return test_main(argc, argv, gpu_missing());
}
