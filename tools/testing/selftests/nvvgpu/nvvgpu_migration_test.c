// SPDX-License-Identifier: GPL-2.0
/*
 * The migration of a vGPU: its states, its stream, and the log of its DMA.
 */
#include <endian.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/backend.h"
#include "lib/display.h"
#include "lib/fail_nth.h"
#include "lib/migration.h"
#include "nvvgpu_test.h"

#define TO_VRAM		NVVGPU_EMU_DESC_DST_VRAM
#define FROM_VRAM	NVVGPU_EMU_DESC_SRC_VRAM
#define VRAM_PAGE	NVVGPU_EMU_VRAM_PAGE

/*
 * VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 and VFIO_PRECOPY_INFO_REINIT, which
 * headers of 6.12 do not have
 */
#define PRECOPY_INFO_V2	12
#define PRECOPY_INFO_REINIT	1

#define S(name)		VFIO_DEVICE_STATE_##name
#define NR_STATES	8

/* The source (a), and the destination (b) of the same type on another VF */
FIXTURE(migration) {
	struct pf pf;
	struct vgpu_type types[MAX_TYPES];
	const struct vgpu_type *type;
	struct user a;
	struct ioas to;
	struct vdev b;
	struct engine engine;
	struct stream stream;
	int fd;
};

FIXTURE_SETUP(migration)
{
	int nr;

	ASSERT_GPU(&self->pf, TEST_VFS);
	nr = vf_types(self->pf.vf[0], self->types, MAX_TYPES);
	ASSERT_LT(0, nr);
	self->fd = -1;
	self->b.fd = -1;
	self->b.group = -1;
	self->type = type_smallest(self->types, nr);
	ASSERT_EQ(0, vf_set_type(self->pf.vf[0], self->type->id));
	ASSERT_EQ(0, vf_set_type(self->pf.vf[1], self->type->id));
	ASSERT_EQ(0, user_open(&self->a, self->pf.vf[0], IOMMU_IOMMUFD));
	ASSERT_EQ(0, ioas_open(&self->to, IOMMU_IOMMUFD));
	ASSERT_EQ(0, vdev_open(&self->b, self->pf.vf[1], &self->to));
}

FIXTURE_TEARDOWN(migration)
{
	fw_faults("");
	if (self->fd >= 0)
		close(self->fd);
	user_close(&self->a);
	vdev_close(&self->b);
	ioas_close(&self->to);
	stream_free(&self->stream);
	gpu_clean(&self->pf);
}

/* Stop @a and save its complete state to the stream. */
#define ASSERT_SAVED() do {						\
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(STOP_COPY), &self->fd));	\
	ASSERT_EQ(0, stream_read(&self->stream, self->fd));		\
	close(self->fd);						\
	self->fd = -1;							\
} while (0)

/* Load the stream to @b. */
#define ASSERT_LOADED(step) do {					\
	size_t __taken;							\
									\
	ASSERT_EQ(0, mig_set(&self->b, S(RESUMING), &self->fd));	\
	ASSERT_EQ(0, stream_write(self->fd, &self->stream, step, &__taken)) \
		TH_LOG("at byte %zu of %zu", __taken, self->stream.len); \
	ASSERT_EQ(0, mig_set(&self->b, S(STOP), NULL));			\
	close(self->fd);						\
	self->fd = -1;							\
} while (0)

/* Continue at @b, with the memory at the same address and the engine of @b. */
#define ASSERT_ARRIVED(step) do {					\
	ASSERT_LOADED(step);						\
	ASSERT_EQ(0, ioas_map(&self->to, self->a.mem, USER_IOVA,	\
			      USER_LEN, PROT_READ | PROT_WRITE));	\
	self->engine = self->a.engine;					\
	self->engine.vdev = &self->b;					\
	ASSERT_EQ(0, vdev_map_bar(&self->b, NVVGPU_EMU_VF_BAR_REGS));	\
	self->engine.regs = self->b.bar[NVVGPU_EMU_VF_BAR_REGS];	\
	ASSERT_EQ(0, vdev_enable(&self->b, true));			\
	ASSERT_EQ(0, vdev_msix_enable(&self->b, ENGINE_VECTORS));	\
	ASSERT_EQ(0, mig_set(&self->b, S(RUNNING), NULL));		\
} while (0)

static int to_vram(struct user *a, __u64 vram, size_t len, __u32 seed)
{
	pattern(user_buf(a, 0), len, seed);

	return engine_run(&a->engine, engine_copy(TO_VRAM, vram,
			  user_addr(a, user_buf(a, 0)), len));
}

/* CRC of a part of VRAM, copied to the second half of the memory */
static __u32 vram_crc(struct user *a, struct engine *engine, __u64 vram,
		      size_t len)
{
	__u8 *buf = user_buf(a, 2 * MIB);

	memset(buf, 0x77, len);
	if (engine_run(engine, engine_copy(FROM_VRAM, user_addr(a, buf), vram,
					   len)))
		return 0;

	return crc32c(0, buf, len);
}

/* What one can see of the first MiB of VRAM without an engine, here and there */
static bool vram_is_zero(struct vdev *vdev)
{
	__u32 word, at;

	for (at = 0; at < MIB; at += 4 * PAGE)
		if (vdev_read(vdev, NVVGPU_EMU_VF_BAR_FB, at, &word,
			      sizeof(word)) != sizeof(word) || word)
			return false;

	return true;
}

static __u32 pattern_crc(struct user *a, size_t len, __u32 seed)
{
	pattern(user_buf(a, 2 * MIB), len, seed);

	return crc32c(0, user_buf(a, 2 * MIB), len);
}

TEST_F(migration, all_of_it_is_offered)
{
	__u64 flags;

	ASSERT_EQ(0, mig_flags(&self->a.vdev, &flags));
	EXPECT_EQ(VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P |
		  VFIO_MIGRATION_PRE_COPY, flags);
	EXPECT_EQ(S(RUNNING), mig_get(&self->a.vdev));
	EXPECT_EQ(0, vdev_feature(&self->a.vdev, VFIO_DEVICE_FEATURE_PROBE |
				  VFIO_DEVICE_FEATURE_SET |
				  VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
				  NULL, 0));
}

TEST_F(migration, moves_memory_registers_and_the_ring_to_another_vf)
{
	__u32 crc = pattern_crc(&self->a, 300000, 1);
	unsigned int i;

	ASSERT_EQ(0, to_vram(&self->a, 0, 300000, 1));
	ASSERT_EQ(0, to_vram(&self->a, self->type->framebuffer - MIB, MIB, 2));
	for (i = 0; i < NVVGPU_EMU_VF_SCRATCH_WORDS; i++)
		engine_write(&self->a.engine, NVVGPU_EMU_VF_REG_SCRATCH + 4 * i,
			     0x1000 + i);

	ASSERT_SAVED();
	ASSERT_ARRIVED(MIB);

	for (i = 0; i < NVVGPU_EMU_VF_SCRATCH_WORDS; i++)
		EXPECT_EQ(0x1000 + i,
			  engine_read(&self->engine,
				      NVVGPU_EMU_VF_REG_SCRATCH + 4 * i));
	EXPECT_EQ(crc, vram_crc(&self->a, &self->engine, 0, 300000));
	crc = pattern_crc(&self->a, MIB, 2);
	EXPECT_EQ(crc, vram_crc(&self->a, &self->engine,
				self->type->framebuffer - MIB, MIB));
	pattern(user_buf(&self->a, 0), 1000, 3);
	memset(user_buf(&self->a, 0), 0, VRAM_PAGE);
	EXPECT_EQ(crc32c(0, user_buf(&self->a, 0), VRAM_PAGE),
		  vram_crc(&self->a, &self->engine, 64 * MIB, VRAM_PAGE));
}

TEST_F(migration, every_type_migrates)
{
	const char *from = self->pf.vf[0], *to = self->pf.vf[1];
	unsigned int moved = 0;
	int i, nr;

	user_close(&self->a);
	vdev_close(&self->b);
	ASSERT_EQ(0, vf_set_type(from, 0));
	ASSERT_EQ(0, vf_set_type(to, 0));
	nr = vf_types(from, self->types, MAX_TYPES);
	for (i = 0; i < nr; i++) {
		const struct vgpu_type *type = &self->types[i];
		__u64 last = type->framebuffer - MIB;
		__u32 crc;

		/* The GPU holds no two of the largest. */
		if (type->max_instances < 2)
			continue;
		TH_LOG("%s", type->name);
		ASSERT_EQ(0, vf_set_type(from, type->id));
		ASSERT_EQ(0, vf_set_type(to, type->id));
		ASSERT_EQ(0, user_open(&self->a, from, IOMMU_IOMMUFD));
		ioas_close(&self->to);
		ASSERT_EQ(0, ioas_open(&self->to, IOMMU_IOMMUFD));
		ASSERT_EQ(0, vdev_open(&self->b, to, &self->to));

		crc = pattern_crc(&self->a, MIB, i);
		ASSERT_EQ(0, to_vram(&self->a, last, MIB, i));
		stream_free(&self->stream);
		ASSERT_SAVED();
		ASSERT_ARRIVED(MIB);
		EXPECT_EQ(type->id, engine_read(&self->engine,
						NVVGPU_EMU_VF_REG_TYPE));
		EXPECT_EQ(crc, vram_crc(&self->a, &self->engine, last, MIB));
		moved++;

		user_close(&self->a);
		vdev_close(&self->b);
		ASSERT_EQ(0, vf_set_type(from, 0));
		ASSERT_EQ(0, vf_set_type(to, 0));
	}
	EXPECT_LT(1, moved);
}

TEST_F(migration, halted_engine_is_halted_at_the_destination)
{
	static const __u32 regs[] = {
		NVVGPU_EMU_VF_REG_STATUS, NVVGPU_EMU_VF_REG_ERROR,
		NVVGPU_EMU_VF_REG_ERROR_INDEX, NVVGPU_EMU_VF_REG_FAULT_ADDR,
		NVVGPU_EMU_VF_REG_RING_HEAD, NVVGPU_EMU_VF_REG_RING_TAIL,
		NVVGPU_EMU_VF_REG_ERROR_VECTOR, NVVGPU_EMU_VF_REG_GUEST,
	};
	__u32 was[ARRAY_SIZE(regs)];
	unsigned int i;

	engine_write(&self->a.engine, NVVGPU_EMU_VF_REG_GUEST, 1);
	ASSERT_EQ(-EIO, engine_run(&self->a.engine,
				   engine_fill(TO_VRAM, self->type->framebuffer,
					       VRAM_PAGE, 1)));
	for (i = 0; i < ARRAY_SIZE(regs); i++)
		was[i] = engine_read(&self->a.engine, regs[i]);
	EXPECT_EQ(NVVGPU_EMU_VF_ERR_VRAM, was[1]);

	ASSERT_SAVED();
	ASSERT_ARRIVED(MIB);
	for (i = 0; i < ARRAY_SIZE(regs); i++)
		EXPECT_EQ(was[i], engine_read(&self->engine, regs[i]))
			TH_LOG("register %#x", regs[i]);
	EXPECT_LT(0, irq_wait(self->b.irq[ENGINE_VECTOR_ERROR],
			      WAIT_MS));
}

static long long migrations_of(const char *vf, const char *name)
{
	char path[80];

	snprintf(path, sizeof(path),
		 "/sys/bus/pci/devices/%s/nvvgpu/migrations", vf);

	return get_value(path, name);
}

TEST_F(migration, sessions_are_counted_and_announced)
{
	const char *from = self->pf.vf[0], *to = self->pf.vf[1];
	long long saved = migrations_of(from, "saved");
	long long aborted = migrations_of(from, "save-aborted");
	long long loaded = migrations_of(to, "loaded");
	long long refused = migrations_of(to, "load-aborted");
	struct uevent uevent;
	int fd = uevent_open();

	ASSERT_LE(0, fd);
	/* Cancelled: nothing is announced. */
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(STOP_COPY), &self->fd));
	close(self->fd);
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(RUNNING), NULL));
	EXPECT_EQ(aborted + 1, migrations_of(from, "save-aborted"));
	EXPECT_EQ(saved, migrations_of(from, "saved"));

	ASSERT_SAVED();
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(STOP), NULL));
	EXPECT_EQ(saved + 1, migrations_of(from, "saved"));
	ASSERT_EQ(0, uevent_next(fd, from, &uevent, WAIT_MS));
	EXPECT_STREQ(NVVGPU_EVENT_NAME_SAVED, uevent.event);
	EXPECT_LT(0, uevent.use);

	/* A stream without its end is refused. */
	self->stream.len -= sizeof(struct nvvgpu_mig_record);
	ASSERT_EQ(0, mig_set(&self->b, S(RESUMING), &self->fd));
	ASSERT_EQ(0, stream_write(self->fd, &self->stream, MIB, NULL));
	EXPECT_EQ(-ENODATA, mig_set(&self->b, S(STOP), NULL));
	close(self->fd);
	EXPECT_EQ(refused + 1, migrations_of(to, "load-aborted"));
	ASSERT_EQ(0, vdev_reset(&self->b));

	self->stream.len += sizeof(struct nvvgpu_mig_record);
	ASSERT_LOADED(MIB);
	EXPECT_EQ(loaded + 1, migrations_of(to, "loaded"));
	EXPECT_EQ(refused + 1, migrations_of(to, "load-aborted"));
	ASSERT_EQ(0, uevent_wait(fd, to, NVVGPU_EVENT_NAME_LOADED, WAIT_MS));
	EXPECT_EQ(saved + 1, migrations_of(from, "saved"));
	close(fd);
}

TEST_F(migration, source_continues_after_cancellation)
{
	__u32 crc = pattern_crc(&self->a, MIB, 4);

	ASSERT_EQ(0, to_vram(&self->a, 0, MIB, 4));
	ASSERT_SAVED();
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(RUNNING), NULL));
	EXPECT_EQ(crc, vram_crc(&self->a, &self->a.engine, 0, MIB));

	/* The migration can be repeated. */
	stream_free(&self->stream);
	ASSERT_SAVED();
	ASSERT_ARRIVED(4096);
	EXPECT_EQ(crc, vram_crc(&self->a, &self->engine, 0, MIB));
}

TEST_F(migration, source_continues_after_cancellation_midway)
{
	__u32 crc = pattern_crc(&self->a, MIB, 4);
	char head[sizeof(struct nvvgpu_mig_header) + 1];
	unsigned int i;

	ASSERT_EQ(0, to_vram(&self->a, 0, MIB, 4));
	/* After the first chunk was read, the next one is in flight. */
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, mig_set(&self->a.vdev, i % 2 ? S(STOP_COPY) :
						    S(PRE_COPY), &self->fd));
		ASSERT_EQ(sizeof(head), read(self->fd, head, sizeof(head)));
		ASSERT_EQ(0, mig_set(&self->a.vdev, S(RUNNING), NULL));
		close(self->fd);
		self->fd = -1;
	}
	EXPECT_EQ(crc, vram_crc(&self->a, &self->a.engine, 0, MIB));

	ASSERT_SAVED();
	ASSERT_ARRIVED(4096);
	EXPECT_EQ(crc, vram_crc(&self->a, &self->engine, 0, MIB));
}

/* The last descriptor raises an interrupt. */
static void submit(struct user *a, struct nvvgpu_emu_desc *desc,
		   unsigned int nr)
{
	desc[nr - 1].flags |= htole32(NVVGPU_EMU_DESC_IRQ);
	desc[nr - 1].vector = htole32(ENGINE_VECTOR_DONE);
	engine_submit(&a->engine, desc, nr);
}

/* Enough work that the engine is still busy when it is suspended */
#define WORK	60

TEST_F(migration, work_in_flight_is_finished_at_the_destination)
{
	struct nvvgpu_emu_desc desc[WORK];
	size_t len = 2 * MIB - PAGE;
	bool left = false;
	unsigned int i;
	__u32 crc;

	crc = pattern_crc(&self->a, len, 5);
	pattern(user_buf(&self->a, 0), len, 5);
	for (i = 0; i < WORK; i++)
		desc[i] = engine_copy(TO_VRAM, i * 2 * MIB,
				      user_addr(&self->a, user_buf(&self->a, 0)),
				      len);
	/* On a busy host the engine may finish before it is stopped. */
	for (i = 0; !left && i < 40; i++) {
		ASSERT_EQ(0, mig_set(&self->a.vdev, S(RUNNING), NULL));
		submit(&self->a, desc, WORK);
		ASSERT_EQ(0, mig_set(&self->a.vdev, S(STOP), NULL));
		left = engine_read(&self->a.engine,
				   NVVGPU_EMU_VF_REG_RING_HEAD) !=
		       self->a.engine.tail;
	}
	ASSERT_TRUE(left);
	ASSERT_SAVED();
	ASSERT_ARRIVED(MIB);

	/* The destination raises the interrupt, even if the source did so. */
	ASSERT_EQ(0, engine_wait(&self->engine, WAIT_MS));
	EXPECT_EQ(0, irq_wait(self->b.irq[ENGINE_VECTOR_DONE], 500));
	for (i = 0; i < WORK; i++)
		EXPECT_EQ(crc, vram_crc(&self->a, &self->engine, i * 2 * MIB,
					len));
}

/* A VMM may have received the interrupt when it stops the guest, and lose it. */
TEST_F(migration, possibly_lost_interrupt_is_raised_again)
{
	struct nvvgpu_emu_desc desc = engine_fill(TO_VRAM, 0, VRAM_PAGE, 6);

	submit(&self->a, &desc, 1);
	ASSERT_LT(0, irq_wait(self->a.vdev.irq[ENGINE_VECTOR_DONE],
			      WAIT_MS));
	ASSERT_SAVED();
	ASSERT_ARRIVED(MIB);
	ASSERT_EQ(0, engine_wait(&self->engine, WAIT_MS));
	EXPECT_EQ(0, irq_wait(self->b.irq[ENGINE_VECTOR_DONE], 500));
}

TEST_F(migration, pages_of_zeroes_are_not_sent)
{
	ASSERT_SAVED();
	EXPECT_GT(VRAM_PAGE, self->stream.len)
		TH_LOG("%zu bytes for an empty framebuffer", self->stream.len);
}

TEST_F(migration, unused_framebuffer_is_sent_without_commands)
{
	__u32 before = 0, after = 0;

	ASSERT_EQ(0, mig_set(&self->a.vdev, S(PRE_COPY), &self->fd));
	ASSERT_EQ(0, gpu_commands(&self->pf, &before));
	ASSERT_EQ(-ENOMSG, stream_read(&self->stream, self->fd));
	ASSERT_EQ(0, gpu_commands(&self->pf, &after));
	/* The end of the first read and the second read look for changes. */
	EXPECT_EQ(2, after - before);
}

TEST_F(migration, pre_copy_sends_only_changed_pages)
{
	struct vfio_precopy_info info;
	size_t before;
	__u32 crc;

	ASSERT_EQ(0, to_vram(&self->a, 0, MIB, 6));
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(PRE_COPY), &self->fd));
	ASSERT_EQ(0, mig_precopy_info(self->fd, &info));
	EXPECT_LE(MIB, info.initial_bytes);
	EXPECT_EQ(0, info.dirty_bytes);

	ASSERT_EQ(-ENOMSG, stream_read(&self->stream, self->fd));
	EXPECT_LE(MIB, self->stream.len);
	EXPECT_GT(MIB + MIB / 10, self->stream.len);
	ASSERT_EQ(0, mig_precopy_info(self->fd, &info));
	EXPECT_EQ(0, info.initial_bytes);
	EXPECT_EQ(0, info.dirty_bytes);
	before = self->stream.len;
	EXPECT_EQ(-ENOMSG, stream_read(&self->stream, self->fd));
	EXPECT_EQ(before, self->stream.len);

	/* By the engine, and by the CPU through the BAR */
	ASSERT_EQ(0, to_vram(&self->a, 10 * MIB, 3 * VRAM_PAGE, 7));
	ASSERT_EQ(0, vdev_map_bar(&self->a.vdev, NVVGPU_EMU_VF_BAR_FB));
	__atomic_store_n((__u32 *)self->a.vdev.bar[NVVGPU_EMU_VF_BAR_FB], 7,
			 __ATOMIC_SEQ_CST);
	ASSERT_EQ(0, mig_precopy_info(self->fd, &info));
	EXPECT_EQ(0, info.initial_bytes);
	EXPECT_EQ(4 * VRAM_PAGE, info.dirty_bytes);
	EXPECT_EQ(-ENOMSG, stream_read(&self->stream, self->fd));
	EXPECT_LE(4 * VRAM_PAGE, self->stream.len - before);
	EXPECT_GT(4 * VRAM_PAGE * 11 / 10, self->stream.len - before);

	/* Writes in the last moment are migrated, too. */
	ASSERT_EQ(0, to_vram(&self->a, 20 * MIB, MIB, 8));
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(STOP_COPY), NULL));
	EXPECT_EQ(0, stream_read(&self->stream, self->fd));
	EXPECT_EQ(-EINVAL, mig_precopy_info(self->fd, &info));
	close(self->fd);

	ASSERT_ARRIVED(123457);
	crc = pattern_crc(&self->a, 3 * VRAM_PAGE, 7);
	EXPECT_EQ(crc, vram_crc(&self->a, &self->engine, 10 * MIB,
				3 * VRAM_PAGE));
	crc = pattern_crc(&self->a, MIB, 8);
	EXPECT_EQ(crc, vram_crc(&self->a, &self->engine, 20 * MIB, MIB));
}

/* Ask for information whose flags the kernel has to set. */
static int precopy_info_flags(int fd, struct vfio_precopy_info *info)
{
	memset(info, 0xff, sizeof(*info));
	info->argsz = sizeof(*info);

	return ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, info) ? -errno : 0;
}

TEST_F(migration, writes_do_not_set_reinit)
{
	struct vfio_precopy_info info;
	int ret;

	ret = vdev_feature(&self->a.vdev, VFIO_DEVICE_FEATURE_SET |
			   PRECOPY_INFO_V2, NULL, 0);
	if (ret == -ENOTTY)
		SKIP(return, "this kernel has no second version");
	ASSERT_EQ(0, ret);

	ASSERT_EQ(0, mig_set(&self->a.vdev, S(PRE_COPY), &self->fd));
	ASSERT_EQ(0, precopy_info_flags(self->fd, &info));
	EXPECT_EQ(0, info.flags);
	EXPECT_LT(0, info.initial_bytes);
	ASSERT_EQ(-ENOMSG, stream_read(&self->stream, self->fd));
	ASSERT_EQ(0, to_vram(&self->a, 0, MIB, 6));
	ASSERT_EQ(0, precopy_info_flags(self->fd, &info));
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(0, info.initial_bytes);
	EXPECT_EQ(MIB, info.dirty_bytes);
}

/* Set a mode, and wait until its report has been handled. */
static int set_mode(const struct vdev *vdev, const char *vf, __u16 width)
{
	const struct mode mode = { .width = width, .height = 64, .bpp = 32 };
	int uevents = uevent_open();
	int ret;

	if (uevents < 0)
		return uevents;
	ret = guest_mode(vdev, &mode) ?:
	      uevent_wait(uevents, vf, NVVGPU_EVENT_NAME_DISPLAY, WAIT_MS);
	close(uevents);

	return ret;
}

TEST_F(migration, new_mode_in_pre_copy_sets_reinit_once)
{
	struct vfio_precopy_info info;
	const size_t part = 64 << 10;
	char buf[64 << 10];
	int ret;

	ret = vdev_feature(&self->a.vdev, VFIO_DEVICE_FEATURE_SET |
			   PRECOPY_INFO_V2, NULL, 0);
	if (ret == -ENOTTY)
		SKIP(return, "this kernel has no second version");
	ASSERT_EQ(0, ret);

	ASSERT_EQ(0, mig_set(&self->a.vdev, S(PRE_COPY), &self->fd));
	ASSERT_EQ(-ENOMSG, stream_read(&self->stream, self->fd));

	/* Without new data there is no new initial data. */
	ASSERT_EQ(0, set_mode(&self->a.vdev, self->pf.vf[0], 256));
	ASSERT_EQ(0, precopy_info_flags(self->fd, &info));
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(0, info.initial_bytes);
	EXPECT_EQ(0, info.dirty_bytes);

	ASSERT_EQ(0, to_vram(&self->a, 0, MIB, 6));
	ASSERT_EQ(0, precopy_info_flags(self->fd, &info));
	EXPECT_EQ(PRECOPY_INFO_REINIT, info.flags);
	EXPECT_EQ(MIB, info.initial_bytes);
	EXPECT_EQ(0, info.dirty_bytes);

	/* Later changes are dirty, and what is read was initial. */
	ASSERT_EQ(0, to_vram(&self->a, 2 * MIB, MIB, 7));
	ASSERT_EQ(0, precopy_info_flags(self->fd, &info));
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(MIB, info.initial_bytes);
	EXPECT_EQ(MIB, info.dirty_bytes);
	ASSERT_EQ(part, read(self->fd, buf, part));
	ASSERT_EQ(0, stream_add(&self->stream, buf, part));
	ASSERT_EQ(0, precopy_info_flags(self->fd, &info));
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(MIB - part, info.initial_bytes);
	EXPECT_LE(MIB, info.dirty_bytes);
	ASSERT_EQ(-ENOMSG, stream_read(&self->stream, self->fd));
	ASSERT_EQ(0, precopy_info_flags(self->fd, &info));
	EXPECT_EQ(0, info.initial_bytes);
	EXPECT_EQ(0, info.dirty_bytes);
}

/* Flags are an output of the second version only. */
TEST_F(migration, new_mode_in_pre_copy_is_dirty_without_the_second_version)
{
	struct vfio_precopy_info info;

	ASSERT_EQ(0, mig_set(&self->a.vdev, S(PRE_COPY), &self->fd));
	ASSERT_EQ(-ENOMSG, stream_read(&self->stream, self->fd));
	ASSERT_EQ(0, set_mode(&self->a.vdev, self->pf.vf[0], 256));
	ASSERT_EQ(0, to_vram(&self->a, 0, MIB, 6));
	ASSERT_EQ(0, precopy_info_flags(self->fd, &info));
	EXPECT_EQ(~0U, info.flags);
	EXPECT_EQ(0, info.initial_bytes);
	EXPECT_EQ(MIB, info.dirty_bytes);
}

TEST_F(migration, page_changed_after_read_ahead_is_sent_again)
{
	char head[sizeof(struct nvvgpu_mig_header) + 1];
	struct vfio_precopy_info info;
	__u64 vram;

	/* After the first byte of a chunk was read, the next chunk is in flight... */
	ASSERT_EQ(0, to_vram(&self->a, 0, MIB, 9));
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(PRE_COPY), &self->fd));
	ASSERT_EQ(sizeof(head), read(self->fd, head, sizeof(head)));
	ASSERT_EQ(0, stream_add(&self->stream, head, sizeof(head)));
	/* ...and has arrived once the firmware has completed a later command. */
	ASSERT_EQ(0, mig_precopy_info(self->fd, &info));
	for (vram = 0; vram < MIB; vram += VRAM_PAGE)
		ASSERT_EQ(0, to_vram(&self->a, vram, 4096, 10));
	ASSERT_EQ(0, mig_precopy_info(self->fd, &info));

	ASSERT_EQ(-ENOMSG, stream_read(&self->stream, self->fd));
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(STOP_COPY), NULL));
	ASSERT_EQ(0, stream_read(&self->stream, self->fd));
	close(self->fd);
	ASSERT_ARRIVED(MIB);
	for (vram = 0; vram < MIB; vram += VRAM_PAGE)
		EXPECT_EQ(pattern_crc(&self->a, 4096, 10),
			  vram_crc(&self->a, &self->engine, vram, 4096))
			TH_LOG("at %#llx", vram);
}

/* Time-out of plain commands in these tests */
#define SILENCE_MS	200

TEST_F(migration, changed_pages_are_sent_if_the_log_fails)
{
	struct vfio_precopy_info info;
	__u32 crc;
	int ret;

	ASSERT_EQ(0, to_vram(&self->a, 0, MIB, 14));
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(PRE_COPY), &self->fd));
	ASSERT_EQ(-ENOMSG, stream_read(&self->stream, self->fd));
	ASSERT_EQ(0, to_vram(&self->a, MIB / 2, MIB, 15));

	/* The log was cleared, but the response came after the time-out. */
	ASSERT_EQ(0, fw_set_timeout(SILENCE_MS));
	ASSERT_EQ(0, fw_faults("dirty-read:1:late=20000"));
	ret = mig_precopy_info(self->fd, &info);
	fw_set_timeout(FW_TIMEOUT_MS);
	EXPECT_EQ(-ETIMEDOUT, ret);

	ASSERT_EQ(0, mig_set(&self->a.vdev, S(STOP_COPY), NULL));
	ASSERT_EQ(0, stream_read(&self->stream, self->fd));
	close(self->fd);
	ASSERT_ARRIVED(MIB);
	crc = pattern_crc(&self->a, MIB, 15);
	EXPECT_EQ(crc, vram_crc(&self->a, &self->engine, MIB / 2, MIB));
}

/* Memory that ends after @len bytes */
static char *memory_end(struct __test_metadata *_metadata, size_t len)
{
	char *mem = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, munmap(mem + PAGE, PAGE));

	return mem + PAGE - len;
}

TEST_F(migration, memory_that_ends_midway_loses_nothing)
{
	size_t head = sizeof(struct nvvgpu_mig_header);
	char *end = memory_end(_metadata, head);
	struct stream rest = {};

	ASSERT_EQ(0, to_vram(&self->a, 0, MIB, 21));
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(STOP_COPY), &self->fd));
	EXPECT_EQ(head, read(self->fd, end, 4 * head));
	EXPECT_EQ(-1, read(self->fd, end + head, head));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(0, stream_add(&self->stream, end, head));
	ASSERT_EQ(0, stream_read(&self->stream, self->fd));
	close(self->fd);

	ASSERT_EQ(0, mig_set(&self->b, S(RESUMING), &self->fd));
	memcpy(end, self->stream.data, head);
	EXPECT_EQ(head, write(self->fd, end, 4 * head));
	EXPECT_EQ(-1, write(self->fd, end + head, head));
	EXPECT_EQ(EFAULT, errno);
	rest.data = self->stream.data + head;
	rest.len = self->stream.len - head;
	ASSERT_EQ(0, stream_write(self->fd, &rest, MIB, NULL));
	ASSERT_EQ(0, mig_set(&self->b, S(STOP), NULL));
	munmap(end + head - PAGE, PAGE);
}

TEST_F(migration, poll_reports_available_data)
{
	struct pollfd p = { .events = POLLIN };
	struct vfio_precopy_info info;
	__u32 val = 9;

	ASSERT_EQ(0, mig_set(&self->a.vdev, S(PRE_COPY), &self->fd));
	p.fd = self->fd;
	EXPECT_EQ(1, poll(&p, 1, 0));
	ASSERT_EQ(-ENOMSG, stream_read(&self->stream, self->fd));
	EXPECT_EQ(0, poll(&p, 1, 0));

	/* The estimate includes the changes. */
	ASSERT_EQ(0, mig_precopy_info(self->fd, &info));
	EXPECT_EQ(0, poll(&p, 1, 0));
	ASSERT_EQ(sizeof(val), vdev_write(&self->a.vdev, NVVGPU_EMU_VF_BAR_FB,
					  0, &val, sizeof(val)));
	ASSERT_EQ(0, mig_precopy_info(self->fd, &info));
	EXPECT_EQ(VRAM_PAGE, info.dirty_bytes);
	EXPECT_EQ(1, poll(&p, 1, 0));
	EXPECT_EQ(POLLIN, p.revents);
	/* The GPU has no more data, but the rest is still buffered. */
	ASSERT_EQ(1, read(self->fd, &val, 1));
	EXPECT_EQ(1, poll(&p, 1, 0));
	ASSERT_EQ(-ENOMSG, stream_read(&self->stream, self->fd));

	ASSERT_EQ(0, mig_set(&self->a.vdev, S(STOP_COPY), NULL));
	EXPECT_EQ(1, poll(&p, 1, 0));
	EXPECT_EQ(0, stream_read(&self->stream, self->fd));
	EXPECT_EQ(1, poll(&p, 1, 0));
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(RUNNING), NULL));
	EXPECT_EQ(1, poll(&p, 1, 0));
	EXPECT_TRUE(p.revents & POLLHUP);
}

TEST_F(migration, poll_sends_no_firmware_command)
{
	struct pollfd p = { .events = POLLIN };
	__u32 before = 0, after = 1;
	unsigned int i;

	ASSERT_EQ(0, mig_set(&self->a.vdev, S(PRE_COPY), &self->fd));
	p.fd = self->fd;
	ASSERT_EQ(-ENOMSG, stream_read(&self->stream, self->fd));
	ASSERT_EQ(0, gpu_commands(&self->pf, &before));
	for (i = 0; i < 100; i++)
		EXPECT_EQ(0, poll(&p, 1, 1));
	ASSERT_EQ(0, gpu_commands(&self->pf, &after));
	EXPECT_EQ(before, after);
}

TEST_F(migration, data_files_refuse_what_they_are_not_for)
{
	struct vfio_precopy_info info = { .argsz = 4 };
	char c = 0;
	int load;

	ASSERT_EQ(0, mig_set(&self->a.vdev, S(PRE_COPY), &self->fd));
	EXPECT_EQ(-1, write(self->fd, &c, 1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, pread(self->fd, &c, 1, 0));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, ioctl(self->fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->fd, VFIO_MIG_GET_PRECOPY_INFO, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->fd, VFIO_DEVICE_RESET));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(-1, read(self->fd, (void *)PAGE, 1));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(1, read(self->fd, &c, 1));
	EXPECT_EQ('N', c);

	ASSERT_EQ(0, mig_set(&self->b, S(RESUMING), &load));
	EXPECT_EQ(-1, read(load, &c, 1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, write(load, (void *)PAGE, 1));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(load, VFIO_MIG_GET_PRECOPY_INFO, &info));
	EXPECT_EQ(ENOTTY, errno);
	close(load);
}

/* Check whether the session of a file has ended. */
static bool ended(int fd)
{
	struct vfio_precopy_info info;
	char c;

	return read(fd, &c, 1) == -1 && errno == ENODEV &&
	       mig_precopy_info(fd, &info) == -EINVAL;
}

TEST_F(migration, reset_ends_a_saving_session)
{
	__u32 crc;

	ASSERT_EQ(0, mig_set(&self->a.vdev, S(PRE_COPY), &self->fd));
	ASSERT_EQ(0, vdev_reset(&self->a.vdev));
	EXPECT_EQ(S(RUNNING), mig_get(&self->a.vdev));
	EXPECT_TRUE(ended(self->fd));
	close(self->fd);

	ASSERT_EQ(0, mig_set(&self->a.vdev, S(STOP_COPY), &self->fd));
	ASSERT_EQ(0, vdev_reset(&self->a.vdev));
	EXPECT_EQ(S(RUNNING), mig_get(&self->a.vdev));
	EXPECT_TRUE(ended(self->fd));

	ASSERT_EQ(0, vdev_enable(&self->a.vdev, true));
	ASSERT_EQ(0, user_restart(&self->a));
	ASSERT_EQ(0, to_vram(&self->a, 0, MIB, 9));
	crc = pattern_crc(&self->a, MIB, 9);
	EXPECT_EQ(crc, vram_crc(&self->a, &self->a.engine, 0, MIB));
}

/* The emulated GPU loses the state of the vGPU when a reset is prepared. */
TEST_F(migration, reset_that_fails_leaves_error)
{
	int (* const resets[])(const struct vdev *) = { vdev_reset, vdev_flr };
	const char *vf = self->pf.vf[0];
	char methods[64];
	unsigned int i;

	ASSERT_LT(0, pci_read(vf, "reset_method", methods, sizeof(methods)));
	ASSERT_EQ(0, pci_write(vf, "reset_method", "\n"));
	EXPECT_GT(0, vdev_reset(&self->a.vdev));
	EXPECT_EQ(S(RUNNING), mig_get(&self->a.vdev));
	for (i = 0; i < ARRAY_SIZE(resets); i++) {
		ASSERT_EQ(0, mig_set(&self->a.vdev, S(STOP_COPY), &self->fd));
		ASSERT_EQ(0, pci_write(vf, "reset_method", "\n"));
		resets[i](&self->a.vdev);
		EXPECT_EQ(S(ERROR), mig_get(&self->a.vdev));
		EXPECT_TRUE(ended(self->fd));
		EXPECT_EQ(-EINVAL, mig_set(&self->a.vdev, S(RUNNING), NULL));
		EXPECT_FILE(vf, "nvvgpu/state", "open\n");
		close(self->fd);
		self->fd = -1;

		ASSERT_EQ(0, pci_write(vf, "reset_method", methods));
		ASSERT_EQ(0, vdev_reset(&self->a.vdev));
		EXPECT_EQ(S(RUNNING), mig_get(&self->a.vdev));
		ASSERT_EQ(0, user_back(&self->a));
	}
}

TEST_F(migration, reset_ends_a_loading_session_and_discards_its_state)
{
	__u32 word = 0;

	ASSERT_EQ(0, to_vram(&self->a, 0, MIB, 10));
	ASSERT_SAVED();
	ASSERT_EQ(0, mig_set(&self->b, S(RESUMING), &self->fd));
	self->stream.len -= 10;
	ASSERT_EQ(0, stream_write(self->fd, &self->stream, MIB, NULL));
	ASSERT_EQ(0, vdev_reset(&self->b));
	EXPECT_EQ(S(RUNNING), mig_get(&self->b));
	EXPECT_EQ(-1, write(self->fd, &word, 1));
	EXPECT_EQ(ENODEV, errno);

	ASSERT_EQ(0, vdev_enable(&self->b, true));
	EXPECT_TRUE(vram_is_zero(&self->b));
}

TEST_F(migration, killed_receiver_leaves_no_session)
{
	__u32 crc = pattern_crc(&self->a, MIB, 11);
	struct stream half;
	int status;
	pid_t pid;

	ASSERT_EQ(0, to_vram(&self->a, 0, MIB, 11));
	ASSERT_SAVED();
	half = self->stream;
	half.len /= 2;
	vdev_close(&self->b);
	ioas_close(&self->to);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (ioas_open(&self->to, IOMMU_IOMMUFD) ||
		    vdev_open(&self->b, self->pf.vf[1], &self->to) ||
		    mig_set(&self->b, S(RESUMING), &self->fd) ||
		    stream_write(self->fd, &half, MIB, NULL))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));

	ASSERT_EQ(0, ioas_open(&self->to, IOMMU_IOMMUFD));
	ASSERT_EQ(0, vdev_open(&self->b, self->pf.vf[1], &self->to));
	EXPECT_EQ(S(RUNNING), mig_get(&self->b));
	ASSERT_EQ(0, vdev_enable(&self->b, true));
	EXPECT_TRUE(vram_is_zero(&self->b));

	/* It can be sent again. */
	ASSERT_ARRIVED(MIB);
	EXPECT_EQ(crc, vram_crc(&self->a, &self->engine, 0, MIB));
}

TEST_F(migration, data_file_outlives_the_device)
{
	int fds[2];
	char c;

	ASSERT_EQ(0, mig_set(&self->a.vdev, S(PRE_COPY), &fds[0]));
	ASSERT_EQ(0, mig_set(&self->b, S(RESUMING), &fds[1]));
	user_close(&self->a);
	vdev_close(&self->b);
	ASSERT_EQ(0, pci_unbind(self->pf.vf[0]));
	ASSERT_EQ(0, pci_unbind(self->pf.vf[1]));
	EXPECT_TRUE(ended(fds[0]));
	EXPECT_EQ(-1, write(fds[1], &c, 1));
	EXPECT_EQ(ENODEV, errno);
	close(fds[0]);
	close(fds[1]);
}

/* Reads a data file into memory whose page faults nobody serves. */
struct stuck_reader {
	pthread_t thread;
	int data_fd;
	int uffd;
	void *page;
};

static void *stuck_read(void *arg)
{
	struct stuck_reader *reader = arg;
	ssize_t ret = read(reader->data_fd, reader->page, PAGE);

	return (void *)(ret < 0 ? -errno : ret);
}

/* Returns when the thread waits for its page. */
static int stuck_start(struct stuck_reader *reader, int data_fd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range.len = PAGE,
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct pollfd pollfd = { .events = POLLIN };

	reader->data_fd = data_fd;
	reader->uffd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (reader->uffd < 0)
		return -errno;
	reader->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	range.range.start = (unsigned long)reader->page;
	if (reader->page == MAP_FAILED ||
	    ioctl(reader->uffd, UFFDIO_API, &api) ||
	    ioctl(reader->uffd, UFFDIO_REGISTER, &range))
		return -errno;
	if (pthread_create(&reader->thread, NULL, stuck_read, reader))
		return -EAGAIN;
	pollfd.fd = reader->uffd;

	return poll(&pollfd, 1, WAIT_MS) == 1 ? 0 : -ETIMEDOUT;
}

/* Serve the page, and return what the read has returned. */
static ssize_t stuck_end(struct stuck_reader *reader)
{
	void *ret;

	close(reader->uffd);
	pthread_join(reader->thread, &ret);
	munmap(reader->page, PAGE);
	close(reader->data_fd);

	return (ssize_t)ret;
}

TEST_F(migration, data_file_has_no_memory_after_its_session)
{
	struct stuck_reader readers[100];
	long long before, after;
	unsigned int i;
	int fd;

	if (access("/proc/sys/vm/unprivileged_userfaultfd", F_OK))
		SKIP(return, "the kernel has no userfaultfd");

	before = get_value("/proc/meminfo", "MemFree:");
	ASSERT_LT(0, before);
	for (i = 0; i < ARRAY_SIZE(readers); i++) {
		ASSERT_EQ(0, mig_set(&self->a.vdev, S(PRE_COPY), &fd));
		ASSERT_EQ(0, stuck_start(&readers[i], fd));
		ASSERT_EQ(0, mig_set(&self->a.vdev, S(RUNNING), NULL));
	}
	after = get_value("/proc/meminfo", "MemFree:");
	/* In KiB; a session has two buffers of 256 KiB. */
	EXPECT_GT(100 * 512 / 2, before - after);
	for (i = 0; i < ARRAY_SIZE(readers); i++)
		EXPECT_EQ(-ENODEV, stuck_end(&readers[i]));
}

TEST_F(migration, blocked_read_of_an_ended_session_blocks_no_migration)
{
	struct stuck_reader reader, next;
	int fd;

	if (access("/proc/sys/vm/unprivileged_userfaultfd", F_OK))
		SKIP(return, "the kernel has no userfaultfd");

	ASSERT_EQ(0, mig_set(&self->a.vdev, S(STOP_COPY), &fd));
	ASSERT_EQ(0, stuck_start(&reader, fd));
	ASSERT_EQ(0, vdev_reset(&self->a.vdev));
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(STOP_COPY), &fd));
	ASSERT_EQ(0, stuck_start(&next, fd));

	user_close(&self->a);
	ASSERT_EQ(0, vf_set_type(self->pf.vf[0], 0));
	ASSERT_EQ(0, vf_set_type(self->pf.vf[0], self->type->id));
	ASSERT_EQ(0, user_open(&self->a, self->pf.vf[0], IOMMU_IOMMUFD));
	ASSERT_SAVED();

	EXPECT_EQ(-ENODEV, stuck_end(&reader));
	EXPECT_EQ(-ENODEV, stuck_end(&next));
}

TEST_F(migration, nothing_moves_in_p2p_and_stop)
{
	static const unsigned int still[] = { S(RUNNING_P2P), S(STOP), };
	__u64 from = user_addr(&self->a, user_buf(&self->a, 0));
	__u64 to = user_addr(&self->a, user_buf(&self->a, 2 * MIB));
	struct nvvgpu_emu_desc desc[WORK];
	size_t len = 2 * MIB - PAGE;
	unsigned int i, j, busy = 0;
	__u32 head;

	/* On a busy host the engine may finish before it is stopped. */
	for (i = 0; i < ARRAY_SIZE(still) || (!busy && i < 40); i++) {
		for (j = 0; j < WORK; j++)
			desc[j] = engine_copy(0, to, from, len);
		pattern(user_buf(&self->a, 0), len, i);
		submit(&self->a, desc, WORK);
		ASSERT_EQ(0, mig_set(&self->a.vdev, still[i % 2], NULL));
		head = engine_read(&self->a.engine, NVVGPU_EMU_VF_REG_RING_HEAD);
		busy += head != self->a.engine.tail;
		memset(user_buf(&self->a, 2 * MIB), 0x11, len);
		usleep(200000);
		EXPECT_TRUE(all_bytes(user_buf(&self->a, 2 * MIB), len, 0x11));
		EXPECT_EQ(head, engine_read(&self->a.engine,
					    NVVGPU_EMU_VF_REG_RING_HEAD));
		/* The rest of the function responds. */
		EXPECT_NE(0xffff, vdev_cfg_read16(&self->a.vdev, 0));
		ASSERT_EQ(0, mig_set(&self->a.vdev, S(RUNNING), NULL));
		ASSERT_EQ(0, engine_wait(&self->a.engine, WAIT_MS));

		/* And it works again. */
		ASSERT_EQ(0, engine_run(&self->a.engine,
					engine_copy(0, to, from, len)));
		EXPECT_EQ(0, memcmp(user_buf(&self->a, 0),
				    user_buf(&self->a, 2 * MIB), len));
	}
	EXPECT_LT(0, busy)
		TH_LOG("the engine was faster than its being stopped");
}

TEST_F(migration, doorbell_in_stop_takes_effect_in_running)
{
	__u64 *value = user_buf(&self->a, 0);
	struct nvvgpu_emu_desc desc =
		engine_semaphore(0, user_addr(&self->a, value), 77);

	*value = 0;
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(STOP), NULL));
	submit(&self->a, &desc, 1);
	usleep(50000);
	EXPECT_EQ(0, *value);
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(RUNNING), NULL));
	EXPECT_EQ(0, engine_wait(&self->a.engine, WAIT_MS));
	EXPECT_EQ(77, *value);
}

TEST_F(migration, guest_up_is_reported_at_the_destination)
{
	int uevents = uevent_open();

	ASSERT_LE(0, uevents);
	engine_write(&self->a.engine, NVVGPU_EMU_VF_REG_GUEST, 1);
	ASSERT_SAVED();
	ASSERT_ARRIVED(MIB);
	EXPECT_EQ(0, uevent_wait(uevents, self->pf.vf[1],
				 NVVGPU_EVENT_NAME_GUEST_UP, WAIT_MS));
	ASSERT_EQ(0, vdev_reset(&self->b));
	EXPECT_EQ(0, uevent_wait(uevents, self->pf.vf[1],
				 NVVGPU_EVENT_NAME_GUEST_DOWN, WAIT_MS));
	close(uevents);
}

static __u16 dispi_read(const struct vdev *vdev, unsigned int index)
{
	__u16 word = 0xffff;

	vdev_read(vdev, NVVGPU_EMU_VF_BAR_REGS,
		  NVVGPU_EMU_VF_REG_DISPI + 2 * index, &word, sizeof(word));

	return word;
}

TEST_F(migration, display_mode_migrates)
{
	/* By index: 640x480 of 32 bits, enabled, and scrolled */
	static const __u16 mode[] = { 0, 640, 480, 32, 0x41, 0, 0, 0, 0, 1 };
	unsigned int i;

	for (i = 1; i < ARRAY_SIZE(mode); i++)
		ASSERT_EQ(2, vdev_write(&self->a.vdev, NVVGPU_EMU_VF_BAR_REGS,
					NVVGPU_EMU_VF_REG_DISPI + 2 * i,
					&mode[i], 2));
	EXPECT_EQ(640, dispi_read(&self->a.vdev, 1));
	ASSERT_SAVED();
	ASSERT_ARRIVED(MIB);
	for (i = 1; i < ARRAY_SIZE(mode); i++)
		EXPECT_EQ(dispi_read(&self->a.vdev, i), dispi_read(&self->b, i))
			TH_LOG("register %u", i);
}

/* Check an estimate, which does not include the heads of records. */
#define EXPECT_ESTIMATE(is, want) do {					\
	unsigned long long __is = (is), __want = (want);		\
									\
	EXPECT_TRUE(__is <= __want + PAGE && __want <= __is + PAGE)	\
		TH_LOG("%llu bytes for %llu", __is, __want);		\
} while (0)

TEST_F(migration, size_is_reported_in_every_state)
{
	static const unsigned int states[] = {
		S(RUNNING), S(RUNNING_P2P), S(STOP), S(STOP_COPY), S(PRE_COPY),
		S(PRE_COPY_P2P), S(RESUMING),
	};
	unsigned int i;
	__u64 bytes;
	int fd;

	/* Far apart, so that zeroes are before, between and behind them */
	ASSERT_EQ(0, to_vram(&self->a, 10 * MIB, MIB, 17));
	ASSERT_EQ(0, to_vram(&self->a, self->type->framebuffer - 20 * MIB, MIB,
			     18));
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		ASSERT_EQ(0, mig_set(&self->a.vdev, S(RUNNING), NULL));
		ASSERT_EQ(0, mig_set(&self->a.vdev, states[i], &fd));
		EXPECT_EQ(0, mig_data_size(&self->a.vdev, &bytes));
		TH_LOG("%s", mig_name(states[i]));
		EXPECT_ESTIMATE(bytes, 2 * MIB);
		if (fd >= 0)
			close(fd);
	}
	/* No state can be reached from ERROR. */
	EXPECT_EQ(-ENODATA, mig_set(&self->a.vdev, S(STOP), NULL));
	EXPECT_EQ(S(ERROR), mig_get(&self->a.vdev));
	EXPECT_EQ(0, mig_data_size(&self->a.vdev, &bytes));
	EXPECT_GT(PAGE, bytes);
}

/* Without pre-copy, as for a paused VM, the VMM has to rely on this. */
TEST_F(migration, size_of_a_stopped_vgpu_equals_the_bytes_read)
{
	static char some[300000];
	__u64 bytes;

	ASSERT_EQ(0, to_vram(&self->a, 10 * MIB, 2 * MIB, 17));
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(STOP), NULL));
	ASSERT_EQ(0, mig_data_size(&self->a.vdev, &bytes));
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(STOP_COPY), &self->fd));
	ASSERT_EQ(sizeof(some), read(self->fd, some, sizeof(some)));
	ASSERT_EQ(0, stream_read(&self->stream, self->fd));
	EXPECT_ESTIMATE(bytes, sizeof(some) + self->stream.len);

	/* All has been read. */
	ASSERT_EQ(0, mig_data_size(&self->a.vdev, &bytes));
	EXPECT_EQ(0, bytes);
}

/* QEMU sizes its buffer by the size that is reported before the migration. */
TEST_F(migration, size_of_a_running_vgpu_is_at_least_one_record)
{
	__u64 bytes;

	ASSERT_EQ(0, mig_data_size(&self->b, &bytes));
	EXPECT_LE(NVVGPU_MIG_DATA_MAX, bytes);
	EXPECT_GT(NVVGPU_MIG_DATA_MAX + PAGE, bytes);
	ASSERT_EQ(0, mig_set(&self->b, S(STOP), NULL));
	ASSERT_EQ(0, mig_data_size(&self->b, &bytes));
	EXPECT_GT(PAGE, bytes);
}

TEST_F(migration, size_includes_buffered_data)
{
	char head[sizeof(struct nvvgpu_mig_header) + 1];
	__u64 bytes;

	ASSERT_EQ(0, to_vram(&self->a, 0, 2 * MIB, 17));
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(STOP_COPY), &self->fd));
	ASSERT_EQ(sizeof(head), read(self->fd, head, sizeof(head)));
	ASSERT_EQ(0, mig_data_size(&self->a.vdev, &bytes));
	ASSERT_EQ(0, stream_read(&self->stream, self->fd));
	EXPECT_ESTIMATE(bytes, self->stream.len);
}

TEST_F(migration, initial_bytes_are_bytes_to_be_read)
{
	static char some[300000];
	struct vfio_precopy_info info;
	__u64 before;

	ASSERT_EQ(0, to_vram(&self->a, 10 * MIB, 2 * MIB, 17));
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(PRE_COPY), &self->fd));
	ASSERT_EQ(0, mig_precopy_info(self->fd, &info));
	EXPECT_ESTIMATE(info.initial_bytes, 2 * MIB);
	EXPECT_EQ(0, info.dirty_bytes);
	before = info.initial_bytes;

	ASSERT_EQ(sizeof(some), read(self->fd, some, sizeof(some)));
	ASSERT_EQ(0, mig_precopy_info(self->fd, &info));
	EXPECT_ESTIMATE(info.initial_bytes, before - sizeof(some));
	EXPECT_EQ(0, info.dirty_bytes);
	ASSERT_EQ(-ENOMSG, stream_read(&self->stream, self->fd));
	EXPECT_ESTIMATE(before, sizeof(some) + self->stream.len);
}

TEST_F(migration, only_a_reset_leaves_error)
{
	unsigned int state;

	ASSERT_EQ(0, mig_set(&self->b, S(RESUMING), &self->fd));
	EXPECT_EQ(-ENODATA, mig_set(&self->b, S(RUNNING), NULL));
	for (state = 0; state < NR_STATES; state++) {
		EXPECT_EQ(-EINVAL, mig_set(&self->b, state, NULL));
		EXPECT_EQ(S(ERROR), mig_get(&self->b));
	}
	ASSERT_EQ(0, vdev_reset(&self->b));
	EXPECT_EQ(S(RUNNING), mig_get(&self->b));
}

/*
 * Every arc from every state
 */

FIXTURE(arc) {
	struct pf pf;
	struct ioas ioas;
	struct vdev vdev;
};

FIXTURE_VARIANT(arc) {
	unsigned int from;
};

FIXTURE_VARIANT_ADD(arc, from_stop) { .from = S(STOP) };
FIXTURE_VARIANT_ADD(arc, from_running) { .from = S(RUNNING) };
FIXTURE_VARIANT_ADD(arc, from_stop_copy) { .from = S(STOP_COPY) };
FIXTURE_VARIANT_ADD(arc, from_resuming) { .from = S(RESUMING) };
FIXTURE_VARIANT_ADD(arc, from_running_p2p) { .from = S(RUNNING_P2P) };
FIXTURE_VARIANT_ADD(arc, from_pre_copy) { .from = S(PRE_COPY) };
FIXTURE_VARIANT_ADD(arc, from_pre_copy_p2p) { .from = S(PRE_COPY_P2P) };

FIXTURE_SETUP(arc)
{
	struct vgpu_type types[MAX_TYPES];
	int nr;

	self->vdev.fd = -1;
	ASSERT_GPU(&self->pf, 1);
	nr = vf_types(self->pf.vf[0], types, MAX_TYPES);
	ASSERT_LT(0, nr);
	ASSERT_EQ(0, vf_set_type(self->pf.vf[0],
				 type_smallest(types, nr)->id));
	ASSERT_EQ(0, ioas_open(&self->ioas, IOMMU_IOMMUFD));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->pf.vf[0], &self->ioas));
}

FIXTURE_TEARDOWN(arc)
{
	vdev_close(&self->vdev);
	ioas_close(&self->ioas);
	gpu_clean(&self->pf);
}

static bool in_session(unsigned int state)
{
	return state == S(PRE_COPY) || state == S(PRE_COPY_P2P) ||
	       state == S(STOP_COPY) || state == S(RESUMING);
}

/* The arcs between two states according to the uAPI, and their end */
static int arc_wants(unsigned int from, unsigned int to, unsigned int *end,
		     bool *begins)
{
	bool saving = in_session(from) && from != S(RESUMING);

	*end = from;
	*begins = false;
	if (to == S(ERROR) || to >= NR_STATES)
		return -EINVAL;
	if (to == from)
		return 0;
	if (from == S(STOP_COPY) && (to == S(PRE_COPY) || to == S(PRE_COPY_P2P)))
		return -EINVAL;
	if (from == S(RESUMING)) {
		/* Nothing has been written. */
		*end = S(ERROR);
		return -ENODATA;
	}
	*end = to;
	*begins = to == S(RESUMING) || (in_session(to) && !saving);

	return 0;
}

TEST_F(arc, goes_where_the_uapi_says)
{
	unsigned int to, end;
	int fd, first;
	bool begins;
	int want;

	for (to = 0; to <= NR_STATES; to++) {
		ASSERT_EQ(0, mig_set(&self->vdev, variant->from, &first));
		EXPECT_EQ(in_session(variant->from), first >= 0);
		want = arc_wants(variant->from, to, &end, &begins);
		EXPECT_EQ(want, mig_set(&self->vdev, to, &fd))
			TH_LOG("to %s", mig_name(to));
		EXPECT_EQ(end, mig_get(&self->vdev))
			TH_LOG("to %s", mig_name(to));
		EXPECT_EQ(begins, fd >= 0)
			TH_LOG("to %s", mig_name(to));
		if (first >= 0)
			close(first);
		if (fd >= 0)
			close(fd);
		if (mig_set(&self->vdev, S(RUNNING), NULL))
			ASSERT_EQ(0, vdev_reset(&self->vdev));
		ASSERT_EQ(S(RUNNING), mig_get(&self->vdev));
	}
}

static bool file_ended(int fd, unsigned int state)
{
	return state == S(RESUMING) ? write(fd, "", 1) == -1 && errno == ENODEV :
				      ended(fd);
}

TEST_F(arc, reset_of_the_vf_by_the_host_ends_it)
{
	int fd;

	ASSERT_EQ(0, mig_set(&self->vdev, variant->from, &fd));
	ASSERT_EQ(0, pci_write(self->pf.vf[0], "reset", "1"));
	EXPECT_EQ(S(RUNNING), mig_get(&self->vdev));
	if (fd >= 0) {
		EXPECT_TRUE(file_ended(fd, variant->from));
		close(fd);
	}
	/* It can be stopped and started as before. */
	EXPECT_EQ(0, mig_set(&self->vdev, S(STOP), NULL));
	EXPECT_EQ(0, mig_set(&self->vdev, S(RUNNING), NULL));
}

TEST_F(arc, reset_of_the_gpu_ends_it)
{
	int fd;

	ASSERT_EQ(0, mig_set(&self->vdev, variant->from, &fd));
	ASSERT_EQ(0, gpu_reset(&self->pf));
	EXPECT_STREQ("error", vf_wait_state(self->pf.vf[0], "error"));
	ASSERT_EQ(0, vdev_reset(&self->vdev));
	EXPECT_EQ(S(RUNNING), mig_get(&self->vdev));
	if (fd >= 0) {
		EXPECT_TRUE(file_ended(fd, variant->from));
		close(fd);
	}
	EXPECT_EQ(0, mig_set(&self->vdev, S(STOP), NULL));
	EXPECT_EQ(0, mig_set(&self->vdev, S(RUNNING), NULL));
}

/*
 * Streams that must be refused
 */

/* Write a stream to @b: return the error and the refused byte. */
static int refused(struct vdev *b, const struct stream *stream, size_t step,
		   size_t *taken)
{
	int fd, ret, end;

	ret = mig_set(b, S(RESUMING), &fd);
	if (ret)
		return ret;
	ret = stream_write(fd, stream, step, taken);
	/* A refused session remains refused. */
	if (ret && write(fd, stream->data, 1) != -1)
		ret = 0;
	end = mig_set(b, S(STOP), NULL);
	close(fd);
	if (!ret)
		ret = end;
	else if (!end)
		ret = 0;
	if (ret && mig_get(b) != S(ERROR))
		ret = 0;
	if (vdev_reset(b))
		ret = 0;

	return ret;
}

/* Written at once, and byte by byte: then the first wrong byte is refused. */
static void expect_refused(struct __test_metadata *_metadata, struct vdev *b,
			   const struct stream *stream, int err, size_t at)
{
	size_t taken;

	EXPECT_EQ(err, refused(b, stream, 1 << 20, &taken))
		TH_LOG("that shows at byte %zu", at);
	EXPECT_EQ(err, refused(b, stream, 1, &taken))
		TH_LOG("that shows at byte %zu", at);
	EXPECT_EQ(at, taken);
}

/* A small stream: two records of state, the registers and the end */
#define ASSERT_SMALL_STREAM() do {					\
	ASSERT_EQ(0, to_vram(&self->a, 0, 4096, 11));			\
	ASSERT_SAVED();							\
	ASSERT_NE(NULL, stream_record(&self->stream, 3));		\
	ASSERT_EQ(NULL, stream_record(&self->stream, 4));		\
} while (0)

static struct nvvgpu_mig_header *head_of(struct stream *stream)
{
	return (struct nvvgpu_mig_header *)stream->data;
}

static size_t offset_of(const struct stream *stream, const void *p)
{
	return (const char *)p - stream->data;
}

TEST_F(migration, mismatched_header_is_refused_at_the_first_wrong_byte)
{
	static const struct {
		size_t at;
		int err;
	} other[] = {
#define AT(field) offsetof(struct nvvgpu_mig_header, field)
		{ AT(magic), -EINVAL },
		{ AT(magic) + NVVGPU_MIG_MAGIC_LEN - 1, -EINVAL },
		{ AT(major), -EPROTONOSUPPORT },
		{ AT(type), -EINVAL },
		{ AT(type) + 3, -EINVAL },
		{ AT(backend), -EINVAL },
		{ AT(backend) + NVVGPU_NAME_LEN - 1, -EINVAL },
		{ AT(fb_bytes), -EINVAL },
		{ AT(bar_bytes) + 2 * sizeof(__u64), -EINVAL },
		{ AT(reserved), -EINVAL },
#undef AT
	};
	struct nvvgpu_mig_header *header, good;
	unsigned int i, oldest, newest;
	char versions[32], *rest;

	ASSERT_SMALL_STREAM();
	header = head_of(&self->stream);
	good = *header;

	for (i = 0; i < ARRAY_SIZE(other); i++) {
		self->stream.data[other[i].at] ^= 1;
		expect_refused(_metadata, &self->b, &self->stream,
			       other[i].err, other[i].at);
		*header = good;
	}

	/* The state versions that can be loaded are readable in advance. */
	ASSERT_LT(0, pci_read(self->pf.vf[1], "nvvgpu/state_versions",
			      versions, sizeof(versions)));
	oldest = strtoul(versions, &rest, 10);
	ASSERT_EQ('-', *rest);
	newest = strtoul(rest + 1, NULL, 10);
	EXPECT_EQ(newest, header->backend_version);
	header->backend_version = newest + 1;
	expect_refused(_metadata, &self->b, &self->stream, -EPROTONOSUPPORT,
		       sizeof(*header) - 1);
	header->backend_version = oldest - 1;
	expect_refused(_metadata, &self->b, &self->stream, -EPROTONOSUPPORT,
		       sizeof(*header) - 1);
	*header = good;

	/* A newer minor version only adds optional records. */
	header->minor++;
	ASSERT_LOADED(MIB);
}

TEST_F(migration, invalid_record_is_refused_before_it_is_used)
{
#define SAME 7
	/* The format is checked with the head, the rest by the device. */
#define FORMAT	3
	const struct nvvgpu_mig_state no[] = {
		{ .span = 0 },
		{ .span = 1 },
		{ .span = 0xffffffffffffffffULL, .offset = VRAM_PAGE },
		{ .span = SAME, .offset = 0xffffffffffff0000ULL },
		{ .span = SAME, .offset = self->type->framebuffer },
		{ .span = SAME, .offset = 1 },
		{ .span = SAME, .kind = 8 },
		{ .span = SAME, .flags = 1 },
	};
	struct nvvgpu_mig_record *record, good;
	struct nvvgpu_mig_state *state, was;
	unsigned int i;
	size_t at;

	ASSERT_SMALL_STREAM();
	record = stream_record(&self->stream, 1);
	at = offset_of(&self->stream, record);
	good = *record;

	record->type = 77;
	expect_refused(_metadata, &self->b, &self->stream, -EOPNOTSUPP, at + 3);
	*record = good;
	record->length = NVVGPU_MIG_LENGTH_MAX + 1;
	expect_refused(_metadata, &self->b, &self->stream, -EMSGSIZE, at + 7);
	*record = good;
	record->length = 0xffffffff;
	expect_refused(_metadata, &self->b, &self->stream, -EMSGSIZE, at + 7);
	*record = good;
	record->length = 1;
	expect_refused(_metadata, &self->b, &self->stream, -EINVAL, at + 7);
	*record = good;
	record->number = 2;
	expect_refused(_metadata, &self->b, &self->stream, -EBADMSG, at + 15);
	*record = good;

	state = (void *)(stream_record(&self->stream, 0) + 1);
	was = *state;
	for (i = 0; i < ARRAY_SIZE(no); i++) {
		*state = was;
		state->kind ^= no[i].kind;
		state->flags = no[i].flags;
		state->offset += no[i].offset;
		state->span = no[i].span == SAME ? was.span : no[i].span;
		at = offset_of(&self->stream, state) - 1 +
		     (i < FORMAT ? sizeof(*state) :
		      le32toh(stream_record(&self->stream, 0)->length));
		expect_refused(_metadata, &self->b, &self->stream, -EINVAL, at);
	}
	*state = was;
	ASSERT_LOADED(MIB);
}

/* Its payload is protected by the transport, or by the back-end itself. */
TEST_F(migration, changed_record_head_is_refused)
{
	struct nvvgpu_mig_record *record;
	size_t i, step, heads, taken;
	unsigned int n;

	ASSERT_SMALL_STREAM();
	/* All of the bytes would take minutes; a prime walks over all fields. */
	step = getenv("NVVGPU_TEST_ALL") ? 1 : 7;
	for (n = 0; n < 4; n++) {
		record = stream_record(&self->stream, n);
		heads = sizeof(*record);
		if (record->length)
			heads += sizeof(struct nvvgpu_mig_state);
		for (i = n; i < heads; i += step) {
			char *byte = (char *)record + i;

			*byte ^= 1 << i % 8;
			EXPECT_GT(0, refused(&self->b, &self->stream, MIB,
					     &taken))
				TH_LOG("record %u, byte %zu", n, i);
			*byte ^= 1 << i % 8;
		}
	}
	ASSERT_LOADED(MIB);
}

TEST_F(migration, first_error_of_a_stream_is_reported)
{
	struct nvvgpu_mig_record *record;
	size_t taken;

	ASSERT_SMALL_STREAM();
	record = stream_record(&self->stream, 0);
	((struct nvvgpu_mig_state *)(record + 1))->kind ^= 8;
	stream_record(&self->stream, 1)->type = htole32(77);
	EXPECT_EQ(-EINVAL, refused(&self->b, &self->stream, MIB, &taken));
}

TEST_F(migration, truncated_or_extended_stream_is_refused)
{
	struct stream cut = self->stream;
	struct nvvgpu_mig_record *end;
	size_t taken;

	ASSERT_SMALL_STREAM();
	end = stream_record(&self->stream, 3);
	EXPECT_EQ(NVVGPU_MIG_END, le32toh(end->type));

	cut = self->stream;
	for (cut.len = 0; cut.len < self->stream.len;
	     cut.len += cut.len < 400 ? 57 : 17001)
		EXPECT_EQ(-ENODATA, refused(&self->b, &cut, MIB, &taken))
			TH_LOG("after %zu bytes", cut.len);
	cut.len = self->stream.len - 1;
	EXPECT_EQ(-ENODATA, refused(&self->b, &cut, MIB, &taken));

	taken = self->stream.len;
	ASSERT_EQ(0, stream_add(&self->stream, "x", 1));
	expect_refused(_metadata, &self->b, &self->stream, -EINVAL, taken);
}

TEST_F(migration, state_with_a_missing_chunk_is_refused)
{
	struct stream some = {};
	struct nvvgpu_mig_record *record;
	unsigned int left, i, n;
	size_t taken;

	ASSERT_SMALL_STREAM();
	for (left = 0; left < 3; left++) {
		some.len = 0;
		ASSERT_EQ(0, stream_add(&some, self->stream.data,
					sizeof(struct nvvgpu_mig_header)));
		for (i = 0, n = 0; i < 4; i++) {
			if (i == left)
				continue;
			record = stream_record(&self->stream, i);
			ASSERT_EQ(0, stream_add(&some, record, sizeof(*record) +
						le32toh(record->length)));
			stream_record(&some, n)->number = n;
			n++;
		}
		EXPECT_EQ(-ENODATA, refused(&self->b, &some, MIB, &taken))
			TH_LOG("without record %u", left);
	}
	stream_free(&some);
}

TEST_F(migration, optional_record_is_skipped_but_not_a_mandatory_one)
{
	struct nvvgpu_mig_record extra = {
		.type = htole32(NVVGPU_MIG_OPTIONAL | 77),
		.length = htole32(5),
	};
	struct stream with = {};
	unsigned int i;
	size_t taken;

	ASSERT_SMALL_STREAM();
	ASSERT_EQ(0, stream_add(&with, self->stream.data,
				sizeof(struct nvvgpu_mig_header)));
	ASSERT_EQ(0, stream_add(&with, &extra, sizeof(extra)));
	ASSERT_EQ(0, stream_add(&with, "abcde", 5));
	ASSERT_EQ(0, stream_add(&with, stream_record(&self->stream, 0),
				self->stream.len -
				sizeof(struct nvvgpu_mig_header)));
	for (i = 0; i < 5; i++)
		stream_record(&with, i)->number = i;
	stream_free(&self->stream);
	self->stream = with;
	ASSERT_LOADED(7);
	ASSERT_EQ(0, mig_set(&self->b, S(RUNNING), NULL));

	stream_record(&self->stream, 0)->type = htole32(77);
	EXPECT_EQ(-EOPNOTSUPP, refused(&self->b, &self->stream, MIB, &taken));
}

TEST_F(migration, another_type_is_refused_and_the_source_unharmed)
{
	int i, nr = vf_types(self->pf.vf[1], self->types, MAX_TYPES);
	const struct vgpu_type *other = NULL;
	size_t taken;
	__u32 crc;

	for (i = 0; i < nr; i++)
		if (self->types[i].id != self->type->id)
			other = &self->types[i];
	ASSERT_NE(NULL, other);
	ASSERT_EQ(0, to_vram(&self->a, 0, MIB, 12));
	ASSERT_SAVED();

	vdev_close(&self->b);
	ASSERT_EQ(0, vf_set_type(self->pf.vf[1], 0));
	ASSERT_EQ(0, vf_set_type(self->pf.vf[1], other->id));
	ASSERT_EQ(0, vdev_open(&self->b, self->pf.vf[1], &self->to));
	EXPECT_EQ(-EINVAL, refused(&self->b, &self->stream, MIB, &taken));

	ASSERT_EQ(0, mig_set(&self->a.vdev, S(RUNNING), NULL));
	crc = pattern_crc(&self->a, MIB, 12);
	EXPECT_EQ(crc, vram_crc(&self->a, &self->a.engine, 0, MIB));
}

TEST_F(migration, refused_streams_are_logged_but_do_not_fill_the_log)
{
	const char *vf = self->pf.vf[1];
	int i, nr, kmsg = kmsg_open();
	__u64 begin = now_ms();
	size_t taken;

	ASSERT_LE(0, kmsg);
	ASSERT_SMALL_STREAM();
	head_of(&self->stream)->type++;
	/* Earlier tests count for the limit of the VF as long as it is bound. */
	vdev_close(&self->b);
	ASSERT_EQ(0, pci_unbind(vf));
	ASSERT_EQ(0, pci_bind(vf, FRONT_END_DRIVER));
	ASSERT_EQ(0, vf_set_type(vf, self->type->id));
	ASSERT_EQ(0, vdev_open(&self->b, vf, &self->to));

	EXPECT_EQ(-EINVAL, refused(&self->b, &self->stream, MIB, &taken));
	EXPECT_TRUE(vf_logged(kmsg, vf, "cannot load the migration stream: vGPU type mismatch"));
	for (i = 0; i < 50; i++)
		EXPECT_EQ(-EINVAL, refused(&self->b, &self->stream, MIB,
					   &taken));
	nr = kmsg_count(kmsg, "cannot load the migration stream");
	/* Three a minute */
	EXPECT_GE(3 * ((now_ms() - begin) / 60000 + 2), nr);
	close(kmsg);
}

/*
 * Failures of the firmware
 */

TEST_F(migration, failed_command_leaves_the_reported_state)
{
	if (!qmp_available())
		SKIP(return, "no NVVGPU_QMP: faults cannot be injected");

	ASSERT_EQ(0, fw_faults("suspend:1:fail"));
	EXPECT_EQ(-EIO, mig_set(&self->a.vdev, S(STOP), NULL));
	EXPECT_EQ(S(RUNNING), mig_get(&self->a.vdev));
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(RUNNING_P2P), NULL));
	ASSERT_EQ(0, fw_faults("suspend:1:fail"));
	EXPECT_EQ(-EIO, mig_set(&self->a.vdev, S(STOP), NULL));
	EXPECT_EQ(S(RUNNING_P2P), mig_get(&self->a.vdev));
	ASSERT_EQ(0, fw_faults("resume:1:fail"));
	EXPECT_EQ(-EIO, mig_set(&self->a.vdev, S(RUNNING), NULL));
	EXPECT_EQ(S(RUNNING_P2P), mig_get(&self->a.vdev));
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(RUNNING), NULL));

	ASSERT_EQ(0, fw_faults("dirty-start:1:fail"));
	EXPECT_EQ(-EIO, mig_set(&self->a.vdev, S(PRE_COPY), &self->fd));
	EXPECT_EQ(S(RUNNING), mig_get(&self->a.vdev));
	ASSERT_EQ(0, fw_faults("dirty-read:1:fail"));
	EXPECT_EQ(-EIO, mig_set(&self->a.vdev, S(PRE_COPY), &self->fd));
	EXPECT_EQ(S(RUNNING), mig_get(&self->a.vdev));
	ASSERT_EQ(0, fw_faults("used:1:fail"));
	EXPECT_EQ(-EIO, mig_set(&self->a.vdev, S(PRE_COPY), &self->fd));
	EXPECT_EQ(S(RUNNING), mig_get(&self->a.vdev));
	ASSERT_EQ(0, fw_faults("state-size:1:fail"));
	EXPECT_EQ(-EIO, mig_set(&self->a.vdev, S(RESUMING), &self->fd));
	EXPECT_EQ(S(STOP), mig_get(&self->a.vdev));
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(RUNNING), NULL));

	/* A failed end of a log is repeated. */
	ASSERT_EQ(0, fw_faults("dirty-stop:1:fail"));
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(PRE_COPY), &self->fd));
	close(self->fd);
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(RUNNING), NULL));
	ASSERT_EQ(0, to_vram(&self->a, 0, MIB, 13));
	ASSERT_SAVED();
	ASSERT_LOADED(MIB);
}

TEST_F(migration, firmware_that_miscounts_used_pages_is_refused)
{
	__u64 bytes;

	if (!qmp_available())
		SKIP(return, "no NVVGPU_QMP: faults cannot be injected");

	/* More pages than the framebuffer has */
	ASSERT_EQ(0, fw_faults("used:1:lie=4"));
	EXPECT_EQ(-EPROTO, mig_data_size(&self->a.vdev, &bytes));
	ASSERT_EQ(0, fw_faults(""));
	EXPECT_EQ(0, mig_data_size(&self->a.vdev, &bytes));
}

TEST_F(migration, failed_save_ends_the_stream)
{
	char c[512];

	if (!qmp_available())
		SKIP(return, "no NVVGPU_QMP: faults cannot be injected");

	ASSERT_EQ(0, mig_set(&self->a.vdev, S(STOP_COPY), &self->fd));
	ASSERT_EQ(0, fw_faults("save:1:fail"));
	EXPECT_EQ(-EIO, stream_read(&self->stream, self->fd));
	EXPECT_EQ(-1, read(self->fd, c, sizeof(c)));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(0, mig_set(&self->a.vdev, S(RUNNING), NULL));
	close(self->fd);
	self->fd = -1;

	stream_free(&self->stream);
	ASSERT_SAVED();
	ASSERT_LOADED(MIB);
}

TEST_F(migration, failed_load_is_not_committed)
{
	size_t taken;

	if (!qmp_available())
		SKIP(return, "no NVVGPU_QMP: faults cannot be injected");

	ASSERT_SMALL_STREAM();
	ASSERT_EQ(0, fw_faults("load:1:fail"));
	EXPECT_EQ(-EIO, refused(&self->b, &self->stream, MIB, &taken));
	ASSERT_EQ(0, fw_faults("load:3:fail"));
	EXPECT_EQ(-EIO, refused(&self->b, &self->stream, MIB, &taken));
	ASSERT_EQ(0, fw_faults(""));
	ASSERT_LOADED(MIB);
}

TEST_F(migration, crashed_vgpu_is_in_error_until_recovered)
{
	struct vfio_precopy_info info;
	char c;

	if (!qmp_available())
		SKIP(return, "no NVVGPU_QMP: faults cannot be injected");

	ASSERT_EQ(0, mig_set(&self->a.vdev, S(PRE_COPY), &self->fd));
	EXPECT_EQ(1, read(self->fd, &c, 1));
	ASSERT_EQ(0, fw_faults("now:vcrash=0"));
	while (stream_read(&self->stream, self->fd) == -ENOMSG)
		usleep(10000);
	/* A read may fail before the crash is reported. */
	ASSERT_STREQ("error", vf_wait_state(self->pf.vf[0], "error"));
	EXPECT_EQ(-EIO, mig_precopy_info(self->fd, &info));
	EXPECT_EQ(-1, read(self->fd, &c, 1));
	EXPECT_EQ(EIO, errno);
	EXPECT_GT(0, mig_set(&self->a.vdev, S(STOP_COPY), NULL));
	EXPECT_EQ(S(ERROR), mig_get(&self->a.vdev));
	ASSERT_EQ(0, vdev_reset(&self->a.vdev));
	EXPECT_EQ(S(RUNNING), mig_get(&self->a.vdev));
	EXPECT_TRUE(ended(self->fd));
	close(self->fd);
	self->fd = -1;

	ASSERT_EQ(0, vdev_enable(&self->a.vdev, true));
	ASSERT_EQ(0, user_restart(&self->a));
	ASSERT_EQ(0, to_vram(&self->a, 0, MIB, 14));
	stream_free(&self->stream);
	ASSERT_SAVED();
	ASSERT_LOADED(MIB);
}

TEST_F(migration, crashed_vgpu_returns_no_buffered_data)
{
	struct pollfd p = { .events = POLLIN };
	char head[sizeof(struct nvvgpu_mig_header) + 1];

	if (!qmp_available())
		SKIP(return, "no NVVGPU_QMP: faults cannot be injected");

	ASSERT_EQ(0, to_vram(&self->a, 0, MIB, 16));
	ASSERT_EQ(0, mig_set(&self->a.vdev, S(PRE_COPY), &self->fd));
	ASSERT_EQ(sizeof(head), read(self->fd, head, sizeof(head)));
	ASSERT_EQ(0, fw_faults("now:vcrash=0"));
	ASSERT_STREQ("error", vf_wait_state(self->pf.vf[0], "error"));
	p.fd = self->fd;
	EXPECT_EQ(1, poll(&p, 1, 0));
	EXPECT_EQ(-1, read(self->fd, head, 1));
	EXPECT_EQ(EIO, errno);
	ASSERT_EQ(0, vdev_reset(&self->a.vdev));
	EXPECT_TRUE(ended(self->fd));
}

TEST_F(migration, crashed_vgpu_loads_no_more_state)
{
	size_t taken;

	if (!qmp_available())
		SKIP(return, "no NVVGPU_QMP: faults cannot be injected");

	ASSERT_EQ(0, to_vram(&self->a, 0, MIB, 15));
	ASSERT_SAVED();
	ASSERT_EQ(0, mig_set(&self->b, S(RESUMING), &self->fd));
	ASSERT_EQ(0, fw_faults("now:vcrash=1"));
	ASSERT_STREQ("error", vf_wait_state(self->pf.vf[1], "error"));
	EXPECT_EQ(-EIO, stream_write(self->fd, &self->stream, MIB, &taken));
	EXPECT_GT(0, mig_set(&self->b, S(STOP), NULL));
	close(self->fd);
	self->fd = -1;
	ASSERT_EQ(0, vdev_reset(&self->b));
	ASSERT_LOADED(MIB);
}

/*
 * The DMA log
 */

#define LOG_PAGES	(USER_LEN / PAGE)

static unsigned int count(const __u64 *bits, unsigned int nr)
{
	unsigned int i, n = 0;

	for (i = 0; i < nr; i++)
		n += bits[i / 64] >> (i % 64) & 1;

	return n;
}

static bool is_set(const __u64 *bits, unsigned int n)
{
	return bits[n / 64] >> (n % 64) & 1;
}

FIXTURE(dmalog) {
	struct pf pf;
	struct user a;
	__u64 bits[LOG_PAGES / 64];
	struct vfio_device_feature_dma_logging_range range;
};

FIXTURE_SETUP(dmalog)
{
	struct vgpu_type types[MAX_TYPES];
	int nr;

	ASSERT_GPU(&self->pf, TEST_VFS);
	nr = vf_types(self->pf.vf[0], types, MAX_TYPES);
	ASSERT_LT(0, nr);
	ASSERT_EQ(0, vf_set_type(self->pf.vf[0],
				 type_smallest(types, nr)->id));
	ASSERT_EQ(0, user_open(&self->a, self->pf.vf[0], IOMMU_IOMMUFD));
	self->range.iova = USER_IOVA;
	self->range.length = USER_LEN;
}

FIXTURE_TEARDOWN(dmalog)
{
	fw_faults("");
	user_close(&self->a);
	gpu_clean(&self->pf);
}

static int write_to(struct user *a, size_t offset, size_t len)
{
	return engine_run(&a->engine,
			  engine_fill(0, user_addr(a, user_buf(a, offset)),
				      len, 0x1234));
}

TEST_F(dmalog, reports_exactly_the_written_pages)
{
	struct vdev *vdev = &self->a.vdev;
	__u64 page_size = PAGE;

	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
	EXPECT_EQ(PAGE, page_size);
	/* One page, two that a byte joins, and one that is only read */
	ASSERT_EQ(0, write_to(&self->a, 10 * PAGE, 4));
	ASSERT_EQ(0, write_to(&self->a, 21 * PAGE - 4, 8));
	ASSERT_EQ(0, engine_run(&self->a.engine,
				engine_copy(TO_VRAM, 0,
					    user_addr(&self->a,
						      user_buf(&self->a,
							       30 * PAGE)),
					    PAGE)));
	ASSERT_EQ(0, log_read(vdev, USER_IOVA, USER_LEN, PAGE, self->bits));
	EXPECT_EQ(3, count(self->bits, LOG_PAGES));
	EXPECT_TRUE(is_set(self->bits, 11));
	EXPECT_TRUE(is_set(self->bits, 21));
	EXPECT_TRUE(is_set(self->bits, 22));

	/* A read clears the log; bits are set but never cleared. */
	self->bits[0] |= 1;
	ASSERT_EQ(0, log_read(vdev, USER_IOVA, USER_LEN, PAGE, self->bits));
	EXPECT_EQ(4, count(self->bits, LOG_PAGES));
	memset(self->bits, 0, sizeof(self->bits));
	ASSERT_EQ(0, log_read(vdev, USER_IOVA, USER_LEN, PAGE, self->bits));
	EXPECT_EQ(0, count(self->bits, LOG_PAGES));
	ASSERT_EQ(0, log_stop(vdev));
}

TEST_F(dmalog, reports_the_first_and_last_page_of_a_request)
{
	struct vdev *vdev = &self->a.vdev;
	__u64 page_size = PAGE;
	__u64 bits;

	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
	/* Pages 39 to 44 */
	ASSERT_EQ(0, write_to(&self->a, 38 * PAGE, 6 * PAGE));
	bits = 0;
	ASSERT_EQ(0, log_read(vdev, USER_IOVA + 40 * PAGE, 4 * PAGE, PAGE,
			      &bits));
	EXPECT_EQ(0xf, bits);
	/* Adjacent pages are kept for a later request. */
	bits = 0;
	ASSERT_EQ(0, log_read(vdev, USER_IOVA + 39 * PAGE, PAGE, PAGE, &bits));
	EXPECT_EQ(1, bits);
	bits = 0;
	ASSERT_EQ(0, log_read(vdev, USER_IOVA + 44 * PAGE, PAGE, PAGE, &bits));
	EXPECT_EQ(1, bits);
	ASSERT_EQ(0, log_read(vdev, USER_IOVA, USER_LEN, PAGE, self->bits));
	EXPECT_EQ(0, count(self->bits, LOG_PAGES));
	ASSERT_EQ(0, log_stop(vdev));
}

TEST_F(dmalog, reports_pages_written_before_a_refused_access)
{
	struct vdev *vdev = &self->a.vdev;
	__u64 page_size = PAGE;

	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
	EXPECT_EQ(-EIO, write_to(&self->a, USER_LEN - 3 * PAGE, 3 * PAGE));
	ASSERT_EQ(0, log_read(vdev, USER_IOVA, USER_LEN, PAGE, self->bits));
	EXPECT_EQ(2, count(self->bits, LOG_PAGES));
	EXPECT_TRUE(is_set(self->bits, LOG_PAGES - 1));
	EXPECT_TRUE(is_set(self->bits, LOG_PAGES - 2));
}

TEST_F(dmalog, reports_in_the_page_size_that_is_asked_for)
{
	struct vdev *vdev = &self->a.vdev;
	__u64 page_size = 16 * PAGE;

	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
	EXPECT_EQ(16 * PAGE, page_size);
	ASSERT_EQ(0, write_to(&self->a, 100 * PAGE, 4));
	ASSERT_EQ(0, log_read(vdev, USER_IOVA, USER_LEN, PAGE, self->bits));
	EXPECT_EQ(16, count(self->bits, LOG_PAGES));
	EXPECT_TRUE(is_set(self->bits, 101));

	memset(self->bits, 0, sizeof(self->bits));
	ASSERT_EQ(0, write_to(&self->a, 100 * PAGE, 4));
	ASSERT_EQ(0, log_read(vdev, USER_IOVA, USER_LEN, 64 * PAGE, self->bits));
	EXPECT_EQ(1, count(self->bits, LOG_PAGES / 64));
	EXPECT_TRUE(is_set(self->bits, 1));

	ASSERT_EQ(0, log_stop(vdev));
}

TEST_F(dmalog, page_requested_in_parts_is_reported_in_each)
{
	struct vdev *vdev = &self->a.vdev;
	__u64 page_size = 16 * PAGE;
	__u64 bits;
	unsigned int i;

	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
	ASSERT_EQ(0, write_to(&self->a, 18 * PAGE, 4));
	for (i = 16; i < 32; i++) {
		bits = 0;
		ASSERT_EQ(0, log_read(vdev, USER_IOVA + i * PAGE, PAGE, PAGE,
				      &bits));
		EXPECT_EQ(1, bits)
			TH_LOG("page %u", i);
	}
	/* QEMU requests the rest of a page with a table in a BAR. */
	bits = 0;
	ASSERT_EQ(0, log_read(vdev, USER_IOVA + 16 * PAGE, 0xf80, PAGE, &bits));
	EXPECT_EQ(1, bits);

	bits = 0;
	ASSERT_EQ(0, log_read(vdev, USER_IOVA + 16 * PAGE, 16 * PAGE, PAGE,
			      &bits));
	EXPECT_EQ(0xffff, bits);
	bits = 0;
	ASSERT_EQ(0, log_read(vdev, USER_IOVA + 16 * PAGE, 16 * PAGE, PAGE,
			      &bits));
	EXPECT_EQ(0, bits);
}

/*
 * Request a part of a page that was written, so that the rest has to be kept for a
 * later request.
 */
static int ask_in_part(struct vdev *vdev)
{
	__u64 bits = 0;
	int ret;

	ret = log_read(vdev, USER_IOVA + 16 * PAGE, PAGE, PAGE, &bits);

	return ret ?: bits == 1 ? 0 : -EILSEQ;
}

/* Whether it failed or not, all pages are reported, or an error is. */
#define EXPECT_NONE_LOST(failed) do {					\
	__u64 __bits = 0;						\
	int __err = (failed), __ret;					\
									\
	EXPECT_TRUE(!__err || __err == -ENOMEM || __err == -EFAULT)	\
		TH_LOG("errno %d", -__err);				\
	__ret = log_read(&self->a.vdev, USER_IOVA + 16 * PAGE,		\
			 16 * PAGE, PAGE, &__bits);			\
	EXPECT_TRUE((__err && __ret == -EIO) ||				\
		    (!__ret && __bits == 0xffff))			\
		TH_LOG("errno %d, then %d with %#llx", -__err, -__ret,	\
		       __bits);						\
	ASSERT_EQ(0, log_stop(&self->a.vdev));				\
} while (0)

TEST_F(dmalog, no_page_is_lost_when_memory_runs_out)
{
	/* The slab cache of the pages that are kept */
	static const char cache[] = "radix_tree_node";
	struct vdev *vdev = &self->a.vdev;
	__u64 page_size = 16 * PAGE;
	unsigned int nth;
	bool hit = true;
	int fd, ret;

	fd = nth_open();
	if (fd < 0)
		SKIP(return, "this kernel has no fault injection");

	for (nth = 1; hit; nth++) {
		ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
		ASSERT_EQ(0, write_to(&self->a, 18 * PAGE, 4));
		ASSERT_EQ(0, nth_write(fd, nth));
		ret = ask_in_part(vdev);
		hit = nth_end(fd);
		EXPECT_NONE_LOST(ret);
	}
	close(fd);

	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
	ASSERT_EQ(0, write_to(&self->a, 18 * PAGE, 4));
	fd = cache_fail(cache);
	ASSERT_LE(0, fd);
	ret = ask_in_part(vdev);
	ASSERT_EQ(0, cache_end(fd));
	EXPECT_EQ(-ENOMEM, ret);
	EXPECT_NONE_LOST(ret);
}

TEST_F(dmalog, partly_reported_pages_end_with_the_log)
{
	struct vdev *vdev = &self->a.vdev;
	__u64 page_size = 16 * PAGE;

	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
	ASSERT_EQ(0, write_to(&self->a, 18 * PAGE, 4));
	ASSERT_EQ(0, ask_in_part(vdev));
	ASSERT_EQ(0, log_stop(vdev));

	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
	ASSERT_EQ(0, log_read(vdev, USER_IOVA, USER_LEN, PAGE, self->bits));
	EXPECT_EQ(0, count(self->bits, LOG_PAGES));
	ASSERT_EQ(0, log_stop(vdev));
}

TEST_F(dmalog, takes_arbitrary_requests)
{
	struct vfio_device_feature_dma_logging_range many[256];
	struct vdev *vdev = &self->a.vdev;
	__u64 page_size = PAGE;
	unsigned int i;

	EXPECT_EQ(-EINVAL, log_read(vdev, USER_IOVA, USER_LEN, PAGE,
				    self->bits));
	EXPECT_EQ(0, log_stop(vdev));
	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
	EXPECT_EQ(-EINVAL, log_start(vdev, &self->range, 1, &page_size));
	EXPECT_EQ(0, log_read(vdev, 0, USER_LEN, PAGE, self->bits));
	EXPECT_EQ(0, count(self->bits, LOG_PAGES));
	EXPECT_EQ(0, log_stop(vdev));
	EXPECT_EQ(0, log_stop(vdev));

	/* As many ranges as fit into a page, which VFIO promises */
	for (i = 0; i < ARRAY_SIZE(many); i++) {
		many[i].iova = USER_IOVA + 2 * i * PAGE;
		many[i].length = PAGE;
	}
	ASSERT_EQ(0, log_start(vdev, many, ARRAY_SIZE(many), &page_size));
	ASSERT_EQ(0, write_to(&self->a, 0, 8 * PAGE));
	ASSERT_EQ(0, log_read(vdev, USER_IOVA, USER_LEN, PAGE, self->bits));
	EXPECT_EQ(4, count(self->bits, LOG_PAGES));
	EXPECT_TRUE(is_set(self->bits, 2));
	EXPECT_FALSE(is_set(self->bits, 1));
}

TEST_F(dmalog, report_is_clipped_to_the_logged_ranges)
{
	struct vdev *vdev = &self->a.vdev;
	__u32 before = 0, after = 0;
	__u64 page_size = PAGE;

	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
	ASSERT_EQ(0, write_to(&self->a, 10 * PAGE, 4));
	ASSERT_EQ(0, gpu_commands(&self->pf, &before));
	ASSERT_EQ(0, log_read(vdev, USER_IOVA, 1ULL << 62, PAGE, self->bits));
	ASSERT_EQ(0, gpu_commands(&self->pf, &after));
	EXPECT_EQ(1, count(self->bits, LOG_PAGES));
	EXPECT_EQ(1, after - before);

	/* There is nothing to read outside of the ranges. */
	ASSERT_EQ(0, log_read(vdev, USER_IOVA + USER_LEN, 1ULL << 62, PAGE,
			      self->bits));
	ASSERT_EQ(0, log_read(vdev, 0, USER_IOVA, PAGE, self->bits));
	ASSERT_EQ(0, gpu_commands(&self->pf, &before));
	EXPECT_EQ(before, after);
}

/* So large that a report takes thousands of commands */
#define HUGE_RANGE	0x4000000000000ULL
#define HUGE_WINDOWS	8192

TEST_F(dmalog, report_stops_when_its_process_is_killed)
{
	struct vfio_device_feature_dma_logging_range range = {
		.length = HUGE_RANGE,
	};
	struct vdev *vdev = &self->a.vdev;
	__u32 before = 0, after = 0;
	__u64 page_size = PAGE;
	int status;
	pid_t pid;

	ASSERT_EQ(0, log_start(vdev, &range, 1, &page_size));
	ASSERT_EQ(0, gpu_commands(&self->pf, &before));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(log_read(vdev, 0, HUGE_RANGE, 1ULL << 40, self->bits));
	do {
		ASSERT_EQ(0, gpu_commands(&self->pf, &after));
	} while (after == before && !waitpid(pid, &status, WNOHANG));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	ASSERT_EQ(0, gpu_commands(&self->pf, &after));
	EXPECT_GT(HUGE_WINDOWS, after - before);
}

TEST_F(dmalog, refuses_invalid_ranges_and_page_sizes)
{
	static const struct {
		struct vfio_device_feature_dma_logging_range range;
		__u64 page_size;
		int err;
	} bad[] = {
		{ { USER_IOVA, 0 }, PAGE, -EINVAL },
		{ { 0, 0 }, PAGE, -EINVAL },
		{ { 0, 0 }, 0, -EINVAL },
		{ { USER_IOVA, PAGE }, 0, -EINVAL },
		/* Aligned to that, as far as VFIO's mask can tell */
		{ { 4 * PAGE, 4 * PAGE }, 3 * PAGE, -EINVAL },
		{ { -PAGE, PAGE }, PAGE, -EOVERFLOW },
		{ { -PAGE, 2 * PAGE }, PAGE, -EOVERFLOW },
	};
	struct vfio_device_feature_dma_logging_range two[] = {
		self->range, { USER_IOVA + USER_LEN, 0 },
	};
	struct vdev *vdev = &self->a.vdev;
	__u64 page_size = PAGE;
	__u32 before = 0, after = 1;
	unsigned int i;

	ASSERT_EQ(0, gpu_commands(&self->pf, &before));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		page_size = bad[i].page_size;
		EXPECT_EQ(bad[i].err,
			  log_start(vdev, &bad[i].range, 1, &page_size))
			TH_LOG("range %u", i);
	}
	page_size = PAGE;
	EXPECT_EQ(-EINVAL, log_start(vdev, two, ARRAY_SIZE(two), &page_size));
	/* The back-end was not called for them. */
	ASSERT_EQ(0, gpu_commands(&self->pf, &after));
	EXPECT_EQ(before, after);

	EXPECT_EQ(-EINVAL, log_read(vdev, USER_IOVA, USER_LEN, PAGE,
				    self->bits));
	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
}

TEST_F(dmalog, log_that_the_firmware_refuses_does_not_fill_the_kernels_log)
{
	struct vfio_device_feature_dma_logging_range huge = { 0, 1ULL << 59 };
	struct vdev *vdev = &self->a.vdev;
	int i, kmsg = kmsg_open();
	__u64 page_size = PAGE;

	ASSERT_LE(0, kmsg);
	for (i = 0; i < 20; i++)
		ASSERT_EQ(-ENOSPC, log_start(vdev, &huge, 1, &page_size));
	EXPECT_LAST_ERROR(vdev->bdf, ENOSPC, "cannot log DMA");
	EXPECT_FALSE(vf_logged(kmsg, vdev->bdf, "cannot"));
	close(kmsg);
	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
}

TEST_F(dmalog, invalid_log_page_size_of_firmware_is_refused)
{
	struct vdev *vdev = &self->a.vdev;
	__u64 page_size = PAGE;

	if (!qmp_available())
		SKIP(return, "no NVVGPU_QMP: faults cannot be injected");

	ASSERT_EQ(0, fw_faults("dirty-start:1:lie=4"));
	EXPECT_EQ(-EPROTO, log_start(vdev, &self->range, 1, &page_size));
	EXPECT_EQ(PAGE, page_size);
	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
	ASSERT_EQ(0, write_to(&self->a, 10 * PAGE, 4));
	ASSERT_EQ(0, log_read(vdev, USER_IOVA, USER_LEN, PAGE, self->bits));
	EXPECT_EQ(1, count(self->bits, LOG_PAGES));
}

TEST_F(dmalog, continues_after_a_reset)
{
	struct vdev *vdev = &self->a.vdev;
	__u64 page_size = PAGE;

	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
	ASSERT_EQ(0, write_to(&self->a, 10 * PAGE, 4));
	ASSERT_EQ(0, vdev_reset(vdev));
	ASSERT_EQ(0, user_back(&self->a));
	ASSERT_EQ(0, write_to(&self->a, 20 * PAGE, 4));
	ASSERT_EQ(0, log_read(vdev, USER_IOVA, USER_LEN, PAGE, self->bits));
	EXPECT_TRUE(is_set(self->bits, 11));
	EXPECT_TRUE(is_set(self->bits, 21));
}

TEST_F(dmalog, reset_of_the_gpu_ends_it)
{
	struct vdev *vdev = &self->a.vdev;
	__u64 page_size = PAGE;

	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
	ASSERT_EQ(0, gpu_reset(&self->pf));
	EXPECT_STREQ("error", vf_wait_state(self->pf.vf[0], "error"));
	EXPECT_EQ(0, log_stop(vdev));
}

TEST_F(dmalog, ends_with_the_device_and_with_a_crash)
{
	struct vdev *vdev = &self->a.vdev;
	__u64 page_size = PAGE;

	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
	user_close(&self->a);
	ASSERT_EQ(0, user_open(&self->a, self->pf.vf[0], IOMMU_IOMMUFD));
	EXPECT_EQ(-EINVAL, log_read(vdev, USER_IOVA, USER_LEN, PAGE,
				    self->bits));

	if (!qmp_available())
		SKIP(return, "no NVVGPU_QMP: faults cannot be injected");
	/* After a failed stop, the next start ends the earlier log. */
	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
	ASSERT_EQ(0, fw_faults("dirty-stop:1:fail"));
	EXPECT_EQ(-EIO, log_stop(vdev));
	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
	ASSERT_EQ(0, fw_faults("dirty-stop:1:fail"));
	user_close(&self->a);
	ASSERT_EQ(0, user_open(&self->a, self->pf.vf[0], IOMMU_IOMMUFD));
	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
	EXPECT_EQ(0, log_stop(vdev));

	ASSERT_EQ(0, fw_faults("dirty-start:1:fail"));
	EXPECT_EQ(-EIO, log_start(vdev, &self->range, 1, &page_size));
	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
	ASSERT_EQ(0, fw_faults("dirty-read:1:fail"));
	EXPECT_EQ(-EIO, log_read(vdev, USER_IOVA, USER_LEN, PAGE, self->bits));
	/* The GPU may have cleared its log, so later reports fail, too. */
	EXPECT_EQ(-EIO, log_read(vdev, USER_IOVA, USER_LEN, PAGE, self->bits));
	EXPECT_EQ(0, log_stop(vdev));
	ASSERT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
	EXPECT_EQ(0, log_read(vdev, USER_IOVA, USER_LEN, PAGE, self->bits));

	/* Pages written before the vGPU was re-created are unknown. */
	ASSERT_EQ(0, fw_faults("now:vcrash=0"));
	ASSERT_STREQ("error", vf_wait_state(self->pf.vf[0], "error"));
	EXPECT_EQ(-EIO, log_read(vdev, USER_IOVA, USER_LEN, PAGE, self->bits));
	ASSERT_EQ(0, vdev_reset(vdev));
	EXPECT_EQ(-EINVAL, log_read(vdev, USER_IOVA, USER_LEN, PAGE,
				    self->bits));
	EXPECT_EQ(0, log_start(vdev, &self->range, 1, &page_size));
	EXPECT_EQ(0, log_stop(vdev));
	ASSERT_EQ(0, fw_faults("now:vcrash=0"));
	ASSERT_STREQ("error", vf_wait_state(self->pf.vf[0], "error"));
	EXPECT_EQ(-EIO, log_start(vdev, &self->range, 1, &page_size));
}

int main(int argc, char **argv)
{
	return test_main(argc, argv, gpu_missing());
}
