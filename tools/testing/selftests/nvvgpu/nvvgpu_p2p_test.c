// SPDX-License-Identifier: GPL-2.0
/*
 * Peer-to-peer DMA: the BARs of a vGPU as dma-bufs, and engines that reach them
 * through the IOMMU.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "lib/migration.h"
#include "subject.h"

#define TO_VRAM		NVVGPU_EMU_DESC_DST_VRAM
#define FROM_VRAM	NVVGPU_EMU_DESC_SRC_VRAM
#define IN_MEMORY	0

#define FB		NVVGPU_EMU_VF_BAR_FB
#define REGS		NVVGPU_EMU_VF_BAR_REGS

/* Where the peer's framebuffer is mapped, and its registers */
#define PEER_FB		0x700000000ULL
#define PEER_REGS	0x800000000ULL

static int export_range(const struct vdev *vdev, unsigned int bar, __u64 offset,
			__u64 length)
{
	struct vdev_range range = { .offset = offset, .length = length };

	return vdev_export(vdev, bar, &range, 1);
}

/* Like export_range(), but close the dma-buf. */
static int try_export(const struct vdev *vdev, unsigned int bar, __u64 offset,
		      __u64 length)
{
	int fd = export_range(vdev, bar, offset, length);

	if (fd < 0)
		return fd;
	close(fd);

	return 0;
}

/**
 * struct scene - two vGPUs of one VM, which share an address space, and a stranger
 * @pf: the GPU
 * @type: type of the vGPUs; their framebuffer BAR is smaller than the VF's own
 * @ioas: the address space
 * @a: whose engine is the peer
 * @b: whose framebuffer is exported
 * @stranger: vGPU in another VM
 * @fb: dma-buf of the framebuffer BAR
 */
struct scene {
	struct pf pf;
	struct vgpu_type type;
	struct ioas ioas;
	struct user a;
	struct user b;
	struct user stranger;
	int fb;
};

static void scene_open(struct __test_metadata *_metadata, struct scene *s)
{
	struct vgpu_type types[MAX_TYPES];
	int nr, i;

	ASSERT_GPU(&s->pf, TEST_VFS);
	nr = vf_types(s->pf.vf[0], types, MAX_TYPES);
	for (i = 0; i < nr; i++)
		if (!s->type.id || types[i].bar0 < s->type.bar0)
			s->type = types[i];
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, vf_set_type(s->pf.vf[i], s->type.id));
	ASSERT_EQ(0, ioas_open(&s->ioas, IOMMU_IOMMUFD));
	ASSERT_EQ(0, user_open_in(&s->a, s->pf.vf[0], &s->ioas, USER_IOVA));
	ASSERT_EQ(0, user_open_in(&s->b, s->pf.vf[1], &s->ioas,
				  USER_IOVA + 64 * MIB));
	ASSERT_EQ(0, user_open(&s->stranger, s->pf.vf[2], IOMMU_IOMMUFD));
	s->fb = export_range(&s->b.vdev, FB, 0, s->type.bar0);
	ASSERT_LE(0, s->fb);
}

static void scene_close(struct scene *s)
{
	if (!s->type.id)
		return;
	if (qmp_available())
		fw_faults("");
	user_close(&s->a);
	user_close(&s->b);
	user_close(&s->stranger);
	ioas_close(&s->ioas);
	if (s->fb > 0)
		close(s->fb);
	gpu_clean(&s->pf);
}

/* Map the framebuffer of b for a and b. */
static int scene_map(struct scene *s)
{
	return ioas_map_file(&s->ioas, s->fb, 0, PEER_FB, s->type.bar0,
			     PROT_READ | PROT_WRITE);
}

/* A write by the engine to the framebuffer of b, which the IOMMU refuses */
static void check_refused(struct __test_metadata *_metadata, struct user *user)
{
	EXPECT_EQ(-EIO, engine_run(&user->engine,
				   engine_fill(IN_MEMORY, PEER_FB, PAGE, 1)));
	EXPECT_ENGINE_ERROR(&user->engine, NVVGPU_EMU_VF_ERR_DMA_WRITE,
			    PEER_FB);
	ASSERT_EQ(0, user_restart(user));
}

/* Copies from VRAM of a to VRAM of b and from there to memory */
static void check_copy(struct __test_metadata *_metadata, struct user *a,
		       struct user *b, __u64 offset, size_t len)
{
	__u8 *from = user_buf(a, 0), *to = user_buf(a, MIB);
	__u8 *local = user_buf(b, 0);

	pattern(from, len, offset + len);
	memset(to, 0, len);
	memset(local, 0, len);
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_copy(TO_VRAM, 0, user_addr(a, from),
					    len)));
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_copy(FROM_VRAM, PEER_FB + offset, 0,
					    len)));
	/* b sees it in its VRAM, and a can read it back. */
	ASSERT_EQ(0, engine_run(&b->engine,
				engine_copy(FROM_VRAM, user_addr(b, local),
					    offset, len)));
	EXPECT_EQ(0, memcmp(from, local, len))
		TH_LOG("%zu bytes at %#llx", len, offset);
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_copy(IN_MEMORY, user_addr(a, to),
					    PEER_FB + offset, len)));
	EXPECT_EQ(0, memcmp(from, to, len));
}

FIXTURE(p2p) {
	struct scene s;
};

FIXTURE_SETUP(p2p)
{
	if (!kernel_exports_bars())
		SKIP(return, "the kernel does not export BARs as dma-bufs");
	scene_open(_metadata, &self->s);
}

FIXTURE_TEARDOWN(p2p)
{
	scene_close(&self->s);
}

TEST_F(p2p, engines_copy_between_the_framebuffers_of_two_vgpus)
{
	struct scene *s = &self->s;
	static const size_t lens[] = { 1, 7, 64, 4095, 4097, 100000 };
	unsigned int i;

	ASSERT_EQ(0, scene_map(s));
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		check_copy(_metadata, &s->a, &s->b, 0, lens[i]);
		check_copy(_metadata, &s->a, &s->b, 12345, lens[i]);
		check_copy(_metadata, &s->a, &s->b,
			   s->type.bar0 - lens[i], lens[i]);
	}
	/* The mapping ends with the BAR. */
	EXPECT_EQ(-EIO, engine_run(&s->a.engine,
				   engine_fill(IN_MEMORY,
					       PEER_FB + s->type.bar0 - 8,
					       16, 1)));
	EXPECT_ENGINE_ERROR(&s->a.engine, NVVGPU_EMU_VF_ERR_DMA_WRITE,
			    PEER_FB + s->type.bar0);
}

TEST_F(p2p, part_of_a_bar_is_only_that_part)
{
	struct scene *s = &self->s;
	struct user *a = &s->a, *b = &s->b;
	__u8 *local = user_buf(b, 0);
	int fd;

	ASSERT_EQ(0, engine_run(&b->engine, engine_fill(TO_VRAM, 0, 4 * PAGE,
							0)));
	fd = export_range(&b->vdev, FB, PAGE, 2 * PAGE);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, ioas_map_file(&s->ioas, fd, 0, PEER_FB, 3 * PAGE,
					 PROT_READ | PROT_WRITE));
	EXPECT_EQ(-EINVAL, ioas_map_file(&s->ioas, fd, 2 * PAGE, PEER_FB,
					 PAGE, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, ioas_map_file(&s->ioas, fd, PAGE, PEER_FB, PAGE,
				   PROT_READ | PROT_WRITE));
	close(fd);
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_fill(IN_MEMORY, PEER_FB, PAGE,
					    0x5a5a5a5a)));
	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_fill(IN_MEMORY, PEER_FB + PAGE, 4,
					       1)));
	ASSERT_EQ(0, engine_run(&b->engine,
				engine_copy(FROM_VRAM, user_addr(b, local), 0,
					    4 * PAGE)));
	EXPECT_TRUE(all_bytes(local, 2 * PAGE, 0));
	EXPECT_TRUE(all_bytes(local + 2 * PAGE, PAGE, 0x5a));
	EXPECT_TRUE(all_bytes(local + 3 * PAGE, PAGE, 0));
}

TEST_F(p2p, read_only_mapping_is_not_written)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, ioas_map_file(&s->ioas, s->fb, 0, PEER_FB,
				   s->type.bar0, PROT_READ));
	ASSERT_EQ(0, engine_run(&s->a.engine,
				engine_copy(TO_VRAM, 0, PEER_FB, PAGE)));
	check_refused(_metadata, &s->a);
}

TEST_F(p2p, peer_rings_the_doorbell)
{
	struct scene *s = &self->s;
	struct user *a = &s->a, *b = &s->b;
	__u64 *sem = user_buf(b, 0);
	struct nvvgpu_emu_desc desc = engine_semaphore(IN_MEMORY,
						       user_addr(b, sem), 77);
	int fd, tries;

	fd = export_range(&b->vdev, REGS, 0, NVVGPU_EMU_VF_REGS_SIZE);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioas_map_file(&s->ioas, fd, 0, PEER_REGS,
				   NVVGPU_EMU_VF_REGS_SIZE,
				   PROT_READ | PROT_WRITE));
	close(fd);
	*sem = 0;
	b->engine.ring[b->engine.tail % b->engine.size] = desc;
	b->engine.tail++;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_fill(IN_MEMORY,
					    PEER_REGS +
					    NVVGPU_EMU_VF_REG_DOORBELL, 4,
					    b->engine.tail)));
	for (tries = 0; tries < 1000; tries++) {
		if (__atomic_load_n(sem, __ATOMIC_SEQ_CST) == 77)
			break;
		usleep(10000);
	}
	EXPECT_EQ(77, *sem);
	EXPECT_EQ(0, user_work(b));
}

TEST_F(p2p, writes_by_a_peer_are_migrated)
{
	struct scene *s = &self->s;
	struct vfio_precopy_info info;
	struct stream stream = {};
	int fd = -1;

	ASSERT_EQ(0, scene_map(s));
	ASSERT_EQ(0, mig_set(&s->b.vdev, VFIO_DEVICE_STATE_PRE_COPY, &fd));
	ASSERT_EQ(-ENOMSG, stream_read(&stream, fd));
	ASSERT_EQ(0, mig_precopy_info(fd, &info));
	EXPECT_EQ(0, info.dirty_bytes);
	ASSERT_EQ(0, engine_run(&s->a.engine,
				engine_fill(IN_MEMORY, PEER_FB + 8 * MIB,
					    2 * NVVGPU_EMU_VRAM_PAGE, 1)));
	ASSERT_EQ(0, mig_precopy_info(fd, &info));
	EXPECT_EQ(2 * NVVGPU_EMU_VRAM_PAGE, info.dirty_bytes);
	ASSERT_EQ(0, mig_set(&s->b.vdev, VFIO_DEVICE_STATE_RUNNING, NULL));
	close(fd);
	stream_free(&stream);
}

TEST_F(p2p, ranges_that_cannot_be_mapped_are_not_exported)
{
	struct scene *s = &self->s;
	const __u64 top = 1ULL << 40;
	unsigned int i, bar;

	for (bar = 0; bar < VFIO_PCI_NUM_REGIONS; bar++) {
		struct vfio_region_info info;
		__u64 size;

		if (vdev_region_info(&s->b.vdev, bar, &info))
			continue;
		size = info.size;
		const struct {
			__u64 offset;
			__u64 length;
		} ranges[] = {
			{ 0, size }, { 0, PAGE }, { size - PAGE, PAGE },
			{ size, PAGE }, { size - PAGE, 2 * PAGE },
			{ 0, size + PAGE }, { 0, 2 * size }, { size, size },
			{ PAGE, size }, { top - PAGE, PAGE },
			{ top - PAGE, 2 * PAGE }, { PAGE, top - PAGE },
		};

		for (i = 0; i < ARRAY_SIZE(ranges); i++) {
			int can = vdev_try_mmap(&s->b.vdev, bar,
						ranges[i].offset,
						ranges[i].length);
			int ret = try_export(&s->b.vdev, bar,
					     ranges[i].offset,
					     ranges[i].length);

			EXPECT_TRUE(can ? ret == -EINVAL || ret == -ENODEV : !ret)
				TH_LOG("BAR %u, %#llx at %#llx: mmap %d, export %d",
				       bar, ranges[i].length, ranges[i].offset,
				       can, ret);
		}
	}
}

TEST_F(p2p, malformed_exports_are_refused)
{
	struct scene *s = &self->s;
	const __u64 whole = s->type.bar0;
	const struct vdev *vdev = &s->b.vdev;
	struct vdev_range ranges[64];
	unsigned int i;
	int fd;

	EXPECT_EQ(-EINVAL, vdev_export(vdev, FB, ranges, 0));
	EXPECT_EQ(-EINVAL, try_export(vdev, FB, 0, 0));
	EXPECT_EQ(-EINVAL, try_export(vdev, FB, 1, PAGE));
	EXPECT_EQ(-EINVAL, try_export(vdev, FB, 0, PAGE - 1));
	EXPECT_EQ(-EINVAL, try_export(vdev, FB, PAGE, -PAGE));
	EXPECT_EQ(-EINVAL, try_export(vdev, FB, -PAGE, PAGE));
	EXPECT_EQ(-EINVAL, try_export(vdev, FB, -PAGE, 2 * PAGE));
	EXPECT_EQ(-EINVAL, try_export(vdev, FB, 1ULL << 63, 1ULL << 63));
	EXPECT_EQ(-ENODEV, try_export(vdev, VFIO_PCI_CONFIG_REGION_INDEX, 0,
				      PAGE));
	EXPECT_EQ(-ENODEV, try_export(vdev, VFIO_PCI_ROM_REGION_INDEX, 0,
				      PAGE));
	EXPECT_EQ(-ENODEV, try_export(vdev, ~0U, 0, PAGE));

	/* One range of many is enough. */
	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		ranges[i].offset = (ARRAY_SIZE(ranges) - i) * PAGE;
		ranges[i].length = PAGE;
	}
	fd = vdev_export(vdev, FB, ranges, ARRAY_SIZE(ranges));
	EXPECT_LE(0, fd);
	close(fd);
	ranges[i - 1].offset = whole;
	EXPECT_EQ(-EINVAL, vdev_export(vdev, FB, ranges, ARRAY_SIZE(ranges)));
	ranges[i - 1].offset = whole - PAGE;
	ranges[i - 1].length = 2 * PAGE;
	EXPECT_EQ(-EINVAL, vdev_export(vdev, FB, ranges, ARRAY_SIZE(ranges)));
	ranges[i - 1].length = PAGE;
	ranges[0].offset = whole;
	EXPECT_EQ(-EINVAL, vdev_export(vdev, FB, ranges, ARRAY_SIZE(ranges)));
}

TEST_F(p2p, another_vm_cannot_reach_it)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, scene_map(s));
	check_copy(_metadata, &s->a, &s->b, 0, PAGE);
	ASSERT_EQ(0, engine_run(&s->b.engine,
				engine_fill(TO_VRAM, 0, PAGE, 0x11111111)));
	check_refused(_metadata, &s->stranger);
	EXPECT_EQ(-EIO, engine_run(&s->stranger.engine,
				   engine_copy(TO_VRAM, 0, PEER_FB, PAGE)));
	EXPECT_ENGINE_ERROR(&s->stranger.engine, NVVGPU_EMU_VF_ERR_DMA_READ,
			    PEER_FB);
	EXPECT_EQ(0, user_work(&s->a));
	ASSERT_EQ(0, engine_run(&s->b.engine,
				engine_copy(FROM_VRAM,
					    user_addr(&s->b,
						      user_buf(&s->b, 0)),
					    0, PAGE)));
	EXPECT_TRUE(all_bytes(user_buf(&s->b, 0), PAGE, 0x11));
}

TEST_F(p2p, bus_addresses_of_bars_are_not_reachable)
{
	struct scene *s = &self->s;
	char text[1024];
	__u64 start;

	ASSERT_EQ(0, scene_map(s));
	ASSERT_LT(0, pci_read(s->pf.vf[1], "resource", text, sizeof(text)));
	start = strtoull(text, NULL, 16);
	ASSERT_NE(0, start);
	EXPECT_EQ(-EIO, engine_run(&s->a.engine,
				   engine_fill(IN_MEMORY, start, PAGE, 1)));
	EXPECT_ENGINE_ERROR(&s->a.engine, NVVGPU_EMU_VF_ERR_DMA_WRITE,
			    start);
	ASSERT_EQ(0, user_restart(&s->a));
	EXPECT_EQ(-EIO, engine_run(&s->stranger.engine,
				   engine_fill(IN_MEMORY, start, PAGE, 1)));
	EXPECT_ENGINE_ERROR(&s->stranger.engine, NVVGPU_EMU_VF_ERR_DMA_WRITE,
			    start);
}

TEST_F(p2p, next_vgpu_of_the_vf_is_not_reachable)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, scene_map(s));
	user_close(&s->b);
	ASSERT_EQ(0, vf_set_type(s->pf.vf[1], 0));
	ASSERT_EQ(0, vf_set_type(s->pf.vf[1], s->type.id));
	ASSERT_EQ(0, user_open(&s->b, s->pf.vf[1], IOMMU_IOMMUFD));
	check_refused(_metadata, &s->a);
	ASSERT_EQ(0, ioas_unmap(&s->ioas, PEER_FB, s->type.bar0));
	EXPECT_EQ(-ENODEV, ioas_map_file(&s->ioas, s->fb, 0, PEER_FB,
					 s->type.bar0,
					 PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, user_work(&s->b));
}

TEST_F(p2p, dma_buf_does_not_keep_the_vf_bound)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, scene_map(s));
	user_close(&s->b);
	ASSERT_EQ(0, pci_unbind(s->pf.vf[1]));
	check_refused(_metadata, &s->a);
	EXPECT_EQ(0, user_work(&s->a));
}

TEST_F(p2p, crashed_vgpu_is_not_exported_until_it_is_recovered)
{
	struct scene *s = &self->s;
	const __u32 set = VFIO_DEVICE_FEATURE_SET;
	struct vdev *vdev = &s->b.vdev;
	int ret = -ENODEV, tries;
	char status[32];

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware fail");
	ASSERT_EQ(0, fw_faults("now:vcrash=1"));
	EXPECT_STREQ("error", vf_wait_state(s->pf.vf[1], "error"));
	EXPECT_EQ(-EIO, try_export(vdev, FB, 0, PAGE));
	EXPECT_EQ(-ENODEV, ioas_map_file(&s->ioas, s->fb, 0, PEER_FB,
					 s->type.bar0, PROT_READ));
	/* The user cannot undo this, and the config space still responds. */
	EXPECT_EQ(0, vdev_feature(vdev, set | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
				  NULL, 0));
	EXPECT_EQ(-EINVAL, vdev_feature(vdev, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
					NULL, 0));
	EXPECT_EQ(0, vdev_enable(vdev, false));
	EXPECT_NE(~0U, vdev_cfg_read32(vdev, PCI_VENDOR_ID));
	EXPECT_EQ(-ENODEV, ioas_map_file(&s->ioas, s->fb, 0, PEER_FB,
					 s->type.bar0, PROT_READ));
	EXPECT_LT(0, pci_read(s->pf.vf[1], "power/runtime_status", status,
			      sizeof(status)));
	EXPECT_STREQ("active\n", status);

	/* After a reset by the host, mappings are allowed a little later. */
	ASSERT_EQ(0, pci_write(s->pf.vf[1], "reset", "1"));
	EXPECT_STREQ("open", vf_wait_state(s->pf.vf[1], "open"));
	EXPECT_EQ(0, user_back(&s->b));
	for (tries = 0; ret == -ENODEV && tries < 200; tries++) {
		ret = scene_map(s);
		usleep(50000);
	}
	ASSERT_EQ(0, ret);
	check_copy(_metadata, &s->a, &s->b, 0, PAGE);

	/* The user can enter low power mode again. */
	EXPECT_EQ(0, vdev_feature(vdev, set |
				  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL,
				  0));
	check_refused(_metadata, &s->a);
	EXPECT_EQ(0, vdev_feature(vdev, set | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
				  NULL, 0));
}

TEST_F(p2p, crash_in_low_power_mode_revokes)
{
	struct scene *s = &self->s;
	const __u32 set = VFIO_DEVICE_FEATURE_SET;
	struct vdev *vdev = &s->b.vdev;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware fail");
	ASSERT_EQ(0, vdev_feature(vdev, set |
				  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL,
				  0));
	ASSERT_EQ(0, fw_faults("now:vcrash=1"));
	EXPECT_STREQ("error", vf_wait_state(s->pf.vf[1], "error"));
	EXPECT_EQ(0, vdev_feature(vdev, set | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
				  NULL, 0));
	EXPECT_EQ(-ENODEV, ioas_map_file(&s->ioas, s->fb, 0, PEER_FB,
					 s->type.bar0, PROT_READ));

	/* All of this ends at close. */
	user_close(&s->b);
	ASSERT_EQ(0, pci_write(s->pf.vf[1], "reset", "1"));
	EXPECT_STREQ("created", vf_wait_state(s->pf.vf[1], "created"));
	ASSERT_EQ(0, user_open_in(&s->b, s->pf.vf[1], &s->ioas,
				  USER_IOVA + 128 * MIB));
	EXPECT_EQ(0, user_work(&s->b));
}

/* Minimum rounds of each thread of the race */
#define RACE_ROUNDS	40

struct race {
	struct user *a;
	struct user *b;
	struct ioas *ioas;
	__u64 size;
	atomic_bool stop;
	atomic_uint maps;
	atomic_uint copies;
};

static void *race_copies(void *arg)
{
	struct race *race = arg;

	while (!atomic_load(&race->stop)) {
		if (engine_run(&race->a->engine,
			       engine_fill(IN_MEMORY, PEER_FB, 64 * PAGE, 7)) &&
		    user_restart(race->a))
			break;
		atomic_fetch_add(&race->copies, 1);
	}

	return NULL;
}

static void *race_maps(void *arg)
{
	struct race *race = arg;

	while (!atomic_load(&race->stop)) {
		int fd = export_range(&race->b->vdev, FB, 0, race->size);

		if (fd < 0)
			continue;
		if (!ioas_map_file(race->ioas, fd, 0, PEER_FB, race->size,
				   PROT_READ | PROT_WRITE)) {
			atomic_fetch_add(&race->maps, 1);
			usleep(2000);
			ioas_unmap(race->ioas, PEER_FB, race->size);
		}
		close(fd);
	}

	return NULL;
}

TEST_F(p2p, exports_mappings_copies_and_resets_at_the_same_time)
{
	struct scene *s = &self->s;
	struct race race = {
		.a = &s->a,
		.b = &s->b,
		.ioas = &s->ioas,
		.size = s->type.bar0,
	};
	pthread_t copies, maps;
	unsigned int i;

	ASSERT_EQ(0, pthread_create(&copies, NULL, race_copies, &race));
	ASSERT_EQ(0, pthread_create(&maps, NULL, race_maps, &race));
	for (i = 0; i < RACE_ROUNDS || (atomic_load(&race.maps) < RACE_ROUNDS &&
					i < 50 * RACE_ROUNDS); i++) {
		EXPECT_EQ(0, vdev_reset(&s->b.vdev));
		usleep(5000);
	}
	atomic_store(&race.stop, true);
	pthread_join(copies, NULL);
	pthread_join(maps, NULL);
	EXPECT_LE(RACE_ROUNDS, race.maps);
	EXPECT_LT(0, race.copies);
	ASSERT_EQ(0, user_restart(&s->a));
	EXPECT_EQ(0, user_back(&s->b));
	ASSERT_EQ(0, scene_map(s));
	check_copy(_metadata, &s->a, &s->b, 0, PAGE);
}

/*
 * Events that revoke the dma-bufs of b
 */
enum revocation {
	REVOKE_RESET,
	REVOKE_FLR,
	REVOKE_D3HOT,
	REVOKE_LOW_POWER,
	REVOKE_MEMORY_OFF,
	REVOKE_CRASH,
};

FIXTURE(revoke) {
	struct scene s;
};

FIXTURE_VARIANT(revoke) {
	enum revocation by;
};

FIXTURE_VARIANT_ADD(revoke, reset) { .by = REVOKE_RESET };
FIXTURE_VARIANT_ADD(revoke, flr) { .by = REVOKE_FLR };
FIXTURE_VARIANT_ADD(revoke, d3hot) { .by = REVOKE_D3HOT };
FIXTURE_VARIANT_ADD(revoke, low_power) { .by = REVOKE_LOW_POWER };
FIXTURE_VARIANT_ADD(revoke, memory_off) { .by = REVOKE_MEMORY_OFF };
FIXTURE_VARIANT_ADD(revoke, crash) { .by = REVOKE_CRASH };

FIXTURE_SETUP(revoke)
{
	if (!kernel_exports_bars())
		SKIP(return, "the kernel does not export BARs as dma-bufs");
	if (!qmp_available() && variant->by == REVOKE_CRASH)
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware fail");
	scene_open(_metadata, &self->s);
}

FIXTURE_TEARDOWN(revoke)
{
	scene_close(&self->s);
}

static int take_away(struct scene *s, enum revocation by)
{
	struct vdev *vdev = &s->b.vdev;

	switch (by) {
	case REVOKE_RESET:
		return vdev_reset(vdev);
	case REVOKE_FLR:
		return vdev_flr(vdev);
	case REVOKE_D3HOT:
		return vdev_set_power(vdev, VDEV_D3HOT);
	case REVOKE_LOW_POWER:
		return vdev_feature(vdev, VFIO_DEVICE_FEATURE_SET |
				    VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL,
				    0);
	case REVOKE_MEMORY_OFF:
		return vdev_cfg_write16(vdev, PCI_COMMAND, PCI_COMMAND_MASTER);
	case REVOKE_CRASH:
		return fw_faults("now:vcrash=1") ?:
		       strcmp(vf_wait_state(s->pf.vf[1], "error"), "error");
	}

	return -EINVAL;
}

/* Undo take_away() */
static int bring_back(struct scene *s, enum revocation by)
{
	struct vdev *vdev = &s->b.vdev;

	switch (by) {
	case REVOKE_D3HOT:
		return vdev_set_power(vdev, VDEV_D0);
	case REVOKE_LOW_POWER:
		return vdev_feature(vdev, VFIO_DEVICE_FEATURE_SET |
				    VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, NULL,
				    0);
	case REVOKE_CRASH:
		return vdev_reset(vdev);
	default:
		return 0;
	}
}

TEST_F(revoke, peer_reaches_the_framebuffer_until_it_is_revoked)
{
	struct scene *s = &self->s;
	bool stays = variant->by == REVOKE_D3HOT ||
		     variant->by == REVOKE_LOW_POWER ||
		     variant->by == REVOKE_CRASH;

	ASSERT_EQ(0, scene_map(s));
	check_copy(_metadata, &s->a, &s->b, 0, PAGE);
	ASSERT_EQ(0, take_away(s, variant->by));
	check_refused(_metadata, &s->a);
	EXPECT_EQ(0, user_work(&s->a));
	ASSERT_EQ(0, ioas_unmap(&s->ioas, PEER_FB, s->type.bar0));
	if (stays)
		EXPECT_EQ(-ENODEV, scene_map(s));
	ASSERT_EQ(0, bring_back(s, variant->by));

	/* The same dma-buf can be mapped again. */
	ASSERT_EQ(0, scene_map(s));
	EXPECT_EQ(0, user_back(&s->b));
	check_copy(_metadata, &s->a, &s->b, 0, PAGE);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv, gpu_missing());
}
