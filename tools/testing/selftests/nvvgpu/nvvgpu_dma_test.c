// SPDX-License-Identifier: GPL-2.0
/*
 * Isolation, proven with real DMA by the engines: in system memory by the IOMMU,
 * in VRAM by the GPU.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include <sys/ioctl.h>
#include <sys/wait.h>

#include <linux/iommufd.h>

#include "subject.h"

#define TO_VRAM		NVVGPU_EMU_DESC_DST_VRAM
#define FROM_VRAM	NVVGPU_EMU_DESC_SRC_VRAM
#define IN_VRAM		(TO_VRAM | FROM_VRAM)
#define IN_MEMORY	0

/* An address where nothing is mapped */
#define NOWHERE		0x700000000ULL

FIXTURE(dma) {
	struct pf pf;
	struct vgpu_type types[MAX_TYPES];
	int nr_types;
	const struct vgpu_type *type;
	struct user a;
	struct user b;
};

FIXTURE_VARIANT(dma) {
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(dma, iommufd) { .mode = IOMMU_IOMMUFD };
FIXTURE_VARIANT_ADD(dma, compat) { .mode = IOMMU_COMPAT };
FIXTURE_VARIANT_ADD(dma, type1) { .mode = IOMMU_TYPE1 };

FIXTURE_SETUP(dma)
{
	int ret;

	ASSERT_GPU(&self->pf, TEST_VFS);
	self->nr_types = vf_types(self->pf.vf[0], self->types, MAX_TYPES);
	ASSERT_LT(0, self->nr_types);
	self->type = type_smallest(self->types, self->nr_types);
	ASSERT_EQ(0, vf_set_type(self->pf.vf[0], self->type->id));
	ret = user_open(&self->a, self->pf.vf[0], variant->mode);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "iommufd serves as the container");
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(dma)
{
	user_close(&self->a);
	user_close(&self->b);
	gpu_clean(&self->pf);
}

/* Create and open a second vGPU. */
#define ASSERT_OPEN_B() do {						\
	ASSERT_EQ(0, vf_set_type(self->pf.vf[1], self->type->id));	\
	ASSERT_EQ(0, user_open(&self->b, self->pf.vf[1],		\
			       variant->mode));				\
} while (0)

/* Copy @len bytes to VRAM and back and compare them. */
static void check_copy(struct __test_metadata *_metadata, struct user *user,
		       size_t src, size_t dst, __u64 vram, size_t len)
{
	__u8 *from = user_buf(user, src), *to = user_buf(user, dst);
	__u32 crc;

	pattern(from, len, len);
	memset(to - 16, 0xa5, len + 32);
	crc = crc32c(0, from, len);
	ASSERT_EQ(0, engine_run(&user->engine,
				engine_copy(TO_VRAM, vram,
					    user_addr(user, from), len)));
	memset(from, 0, len);
	ASSERT_EQ(0, engine_run(&user->engine,
				engine_copy(FROM_VRAM, user_addr(user, to),
					    vram, len)));
	EXPECT_EQ(crc, crc32c(0, to, len))
		TH_LOG("%zu bytes from +%#zx to +%#zx", len, src, dst);
	EXPECT_TRUE(all_bytes(to - 16, 16, 0xa5));
	EXPECT_TRUE(all_bytes(to + len, 16, 0xa5));
}

/* Windows across the framebuffer, including the first and the last */
#define WINDOWS	33
#define WINDOW	(16 * PAGE)

static __u64 window_pos(__u64 size, unsigned int i)
{
	return (size - WINDOW) / (WINDOWS - 1) * i;
}

/* Fill the windows only, as the whole framebuffer is too large. */
static int windows_fill(struct user *user, __u64 size, __u32 val)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < WINDOWS && !ret; i++)
		ret = engine_run(&user->engine,
				 engine_fill(TO_VRAM, window_pos(size, i),
					     WINDOW, val));

	return ret;
}

/* Count the windows that do not contain @val. */
static int windows_differ(struct user *user, __u64 size, __u8 val)
{
	__u8 *to = user_buf(user, 0);
	unsigned int i;
	int bad = 0;

	for (i = 0; i < WINDOWS; i++) {
		memset(to, ~val, WINDOW);
		if (engine_run(&user->engine,
			       engine_copy(FROM_VRAM, user_addr(user, to),
					   window_pos(size, i), WINDOW)) ||
		    !all_bytes(to, WINDOW, val))
			bad++;
	}

	return bad;
}

TEST_F(dma, copies_in_and_out_of_vram_with_interrupts)
{
	static const size_t lens[] = {
		1, 2, 3, 7, 8, 64, 4095, 4096, 4097, 65535, 65537, MIB,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lens); i++)
		check_copy(_metadata, &self->a, 0, MIB + PAGE, 0, lens[i]);
	EXPECT_EQ(2 * ARRAY_SIZE(lens), self->a.engine.irqs);
}

TEST_F(dma, copies_are_exact_at_any_alignment)
{
	unsigned int i;

	for (i = 1; i < 16; i += 3) {
		check_copy(_metadata, &self->a, i, MIB + 3 * i, 5 * i, 5000);
		check_copy(_metadata, &self->a, PAGE - i, MIB + PAGE - i,
			   65536 - i, 2 * PAGE);
	}
}

TEST_F(dma, copies_by_polling)
{
	ASSERT_EQ(0, vdev_msix_disable(&self->a.vdev));
	check_copy(_metadata, &self->a, 0, MIB + PAGE, PAGE, 100000);
	EXPECT_EQ(0, self->a.engine.irqs);
}

TEST_F(dma, copies_within_vram_and_within_memory)
{
	struct user *a = &self->a;
	__u8 *from = user_buf(a, 0), *to = user_buf(a, MIB);

	pattern(from, 10000, 7);
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_copy(TO_VRAM, 100, user_addr(a, from),
					    10000)));
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_copy(IN_VRAM, 3 * MIB + 1, 100,
					    10000)));
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_copy(FROM_VRAM, user_addr(a, to),
					    3 * MIB + 1, 10000)));
	EXPECT_EQ(0, memcmp(from, to, 10000));

	memset(to, 0, 10000);
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_copy(IN_MEMORY, user_addr(a, to),
					    user_addr(a, from), 10000)));
	EXPECT_EQ(0, memcmp(from, to, 10000));
}

TEST_F(dma, fills_and_releases_semaphores)
{
	struct user *a = &self->a;
	__u8 *to = user_buf(a, 0);
	__u64 *sem = user_buf(a, MIB);

	memset(to, 0, 2 * PAGE);
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_fill(IN_MEMORY, user_addr(a, to), PAGE,
					    0x44332211)));
	EXPECT_EQ(0x11, to[0]);
	EXPECT_EQ(0x22, to[1]);
	EXPECT_EQ(0x44, to[PAGE - 1]);
	EXPECT_EQ(0, to[PAGE]);

	ASSERT_EQ(0, engine_run(&a->engine,
				engine_fill(TO_VRAM, 16, 6, 0xddccbbaa)));
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_copy(FROM_VRAM, user_addr(a, to), 12,
					    16)));
	EXPECT_EQ(0, memcmp(to, "\0\0\0\0\xaa\xbb\xcc\xdd\xaa\xbb\0\0\0\0\0\0",
			    16));

	*sem = 0;
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_semaphore(IN_MEMORY, user_addr(a, sem),
						 0x0123456789abcdefULL)));
	EXPECT_EQ(0x0123456789abcdefULL, *sem);
}

TEST_F(dma, ring_wraps_around)
{
	struct nvvgpu_emu_desc batch[USER_RING / 2];
	struct user *a = &self->a;
	__u64 *sem = user_buf(a, 0);
	unsigned int i, round, bad, value = 0;

	for (round = 0; round < 7; round++) {
		for (i = 0; i < ARRAY_SIZE(batch); i++)
			batch[i] = engine_semaphore(IN_MEMORY,
						    user_addr(a, &sem[i]),
						    ++value);
		batch[i - 1].flags |= NVVGPU_EMU_DESC_IRQ;
		engine_submit(&a->engine, batch, ARRAY_SIZE(batch));
		ASSERT_EQ(0, engine_wait(&a->engine, WAIT_MS));
		for (bad = 0, i = 0; i < ARRAY_SIZE(batch); i++)
			bad += sem[i] != value - ARRAY_SIZE(batch) + i + 1;
		EXPECT_EQ(0, bad);
	}
}

TEST_F(dma, unmapped_read_is_refused_and_named)
{
	struct user *a = &self->a;

	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_copy(TO_VRAM, 0, NOWHERE + 0x40,
					       PAGE)));
	EXPECT_ENGINE_ERROR(&a->engine, NVVGPU_EMU_VF_ERR_DMA_READ,
			    NOWHERE + 0x40);
	EXPECT_EQ(1, irq_wait(a->vdev.irq[ENGINE_VECTOR_ERROR], WAIT_MS));

	/* A reset of the engine clears the error. */
	ASSERT_EQ(0, user_restart(a));
	check_copy(_metadata, a, 0, MIB, 0, PAGE);
}

TEST_F(dma, unmapped_write_is_refused_and_named)
{
	struct user *a = &self->a;

	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_fill(IN_MEMORY, NOWHERE, 8, 1)));
	EXPECT_ENGINE_ERROR(&a->engine, NVVGPU_EMU_VF_ERR_DMA_WRITE, NOWHERE);
	ASSERT_EQ(0, user_restart(a));
	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_semaphore(IN_MEMORY, NOWHERE + 8,
						    1)));
	EXPECT_ENGINE_ERROR(&a->engine, NVVGPU_EMU_VF_ERR_DMA_WRITE,
			    NOWHERE + 8);
}

TEST_F(dma, access_ends_where_the_mapping_ends)
{
	struct user *a = &self->a;
	__u64 end = a->iova + a->len;

	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_copy(TO_VRAM, 0, end - 2 * PAGE,
					       3 * PAGE)));
	EXPECT_ENGINE_ERROR(&a->engine, NVVGPU_EMU_VF_ERR_DMA_READ, end);
	ASSERT_EQ(0, user_restart(a));
	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_fill(IN_MEMORY, end - 8, 16, 1)));
	EXPECT_ENGINE_ERROR(&a->engine, NVVGPU_EMU_VF_ERR_DMA_WRITE, end);
	ASSERT_EQ(0, user_restart(a));
	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_copy(TO_VRAM, 0, a->iova - 1, 8)));
	EXPECT_ENGINE_ERROR(&a->engine, NVVGPU_EMU_VF_ERR_DMA_READ,
			    a->iova - 1);
}

TEST_F(dma, mapping_at_the_top_of_a_hole_stays_alone)
{
	struct user *a = &self->a;
	__u8 *page = user_buf(a, 0);

	/* The same memory once more, with unmapped pages on both sides */
	ASSERT_EQ(0, ioas_map(&a->own, page, NOWHERE + PAGE, PAGE,
			      PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, engine_run(&a->engine,
				engine_fill(IN_MEMORY, NOWHERE + PAGE, PAGE,
					    0x01010101)));
	EXPECT_TRUE(all_bytes(page, PAGE, 1));
	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_fill(IN_MEMORY, NOWHERE + PAGE - 4, 4,
					       2)));
	ASSERT_EQ(0, user_restart(a));
	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_fill(IN_MEMORY, NOWHERE + 2 * PAGE, 4,
					       2)));
	EXPECT_TRUE(all_bytes(page, PAGE, 1));
}

TEST_F(dma, read_only_mapping_is_not_written)
{
	struct user *a = &self->a;
	__u8 *page = user_buf(a, 0), *copy = user_buf(a, MIB);

	pattern(page, PAGE, 3);
	memcpy(copy, page, PAGE);
	ASSERT_EQ(0, ioas_map(&a->own, page, NOWHERE, PAGE, PROT_READ));

	EXPECT_EQ(0, engine_run(&a->engine,
				engine_copy(TO_VRAM, 0, NOWHERE, PAGE)));
	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_fill(IN_MEMORY, NOWHERE + 16, 4,
					       0xffffffff)));
	EXPECT_ENGINE_ERROR(&a->engine, NVVGPU_EMU_VF_ERR_DMA_WRITE,
			    NOWHERE + 16);
	EXPECT_EQ(0, memcmp(page, copy, PAGE));
}

/* Pages of memory at addresses in another order, each mapped for itself */
TEST_F(dma, scattered_pages_are_one_buffer)
{
	const unsigned int nr = 128, step = 77;
	struct user *a = &self->a;
	__u8 *from = user_buf(a, MIB), *mem = user_buf(a, 2 * MIB);
	__u8 *back = user_buf(a, 0);
	const size_t at = 5, len = nr * PAGE - 11;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		ASSERT_EQ(0, ioas_map(&a->own, mem + i * step % nr * PAGE,
				      NOWHERE + i * PAGE, PAGE,
				      PROT_READ | PROT_WRITE));
	}
	pattern(from, len, 5);
	memset(mem, 0, nr * PAGE);
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_copy(IN_MEMORY, NOWHERE + at,
					    user_addr(a, from), len)));
	/* Each page is at the address of its mapping. */
	for (i = 1; i < nr - 1; i++) {
		EXPECT_EQ(0, memcmp(mem + i * step % nr * PAGE,
				    from + i * PAGE - at, PAGE))
			TH_LOG("page %u", i);
	}
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_copy(IN_MEMORY, user_addr(a, back),
					    NOWHERE + at, len)));
	EXPECT_EQ(0, memcmp(back, from, len));

	/* The error names the address of a hole in the middle. */
	ASSERT_EQ(0, ioas_unmap(&a->own, NOWHERE + 50 * PAGE, PAGE));
	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_copy(TO_VRAM, 0, NOWHERE + at, len)));
	EXPECT_ENGINE_ERROR(&a->engine, NVVGPU_EMU_VF_ERR_DMA_READ,
			    NOWHERE + 50 * PAGE);
}

static int set_hugepages(unsigned int nr)
{
	return put("/proc/sys/vm/nr_hugepages", "%u", nr);
}

TEST_F(dma, huge_pages_are_reached_to_their_ends)
{
	const size_t huge = 2 * MIB;
	struct user *a = &self->a;
	__u8 *mem, *from = user_buf(a, 0);

	ASSERT_EQ(0, set_hugepages(2));
	mem = mmap(NULL, 2 * huge, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (mem == MAP_FAILED) {
		set_hugepages(0);
		SKIP(return, "no huge pages");
	}
	memset(mem, 0, 2 * huge);
	pattern(from, 3 * PAGE, 9);
	ASSERT_EQ(0, ioas_map(&a->own, mem, NOWHERE, 2 * huge,
			      PROT_READ | PROT_WRITE));
	/* Across the border of the two */
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_copy(IN_MEMORY, NOWHERE + huge - 5001,
					    user_addr(a, from), 3 * PAGE)));
	EXPECT_EQ(0, memcmp(mem + huge - 5001, from, 3 * PAGE));
	EXPECT_EQ(0, mem[huge - 5002]);
	EXPECT_EQ(0, mem[huge - 5001 + 3 * PAGE]);
	/* The last byte, and the one behind it */
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_fill(IN_MEMORY, NOWHERE + 2 * huge - 1,
					    1, 0x33)));
	EXPECT_EQ(0x33, mem[2 * huge - 1]);
	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_fill(IN_MEMORY, NOWHERE + 2 * huge -
					       4, 8, 1)));
	EXPECT_ENGINE_ERROR(&a->engine, NVVGPU_EMU_VF_ERR_DMA_WRITE,
			    NOWHERE + 2 * huge);
	ASSERT_EQ(0, user_restart(a));

	/* An adjacent page of the usual size is not mapped with them. */
	ASSERT_EQ(0, ioas_map(&a->own, from, NOWHERE - PAGE, PAGE,
			      PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, ioas_unmap(&a->own, NOWHERE, 2 * huge));
	EXPECT_EQ(0, engine_run(&a->engine,
				engine_copy(TO_VRAM, 0, NOWHERE - PAGE, PAGE)));
	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_copy(TO_VRAM, 0, NOWHERE, PAGE)));
	EXPECT_ENGINE_ERROR(&a->engine, NVVGPU_EMU_VF_ERR_DMA_READ, NOWHERE);
	munmap(mem, 2 * huge);
	set_hugepages(0);
}

TEST_F(dma, fault_names_the_vf_that_it_is_about)
{
	struct user *a = &self->a, *b = &self->b;
	struct uevent uevent;
	int fd;

	ASSERT_OPEN_B();
	fd = uevent_open();
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EIO, engine_run(&b->engine,
				   engine_copy(TO_VRAM, 0, NOWHERE, PAGE)));
	EXPECT_EQ(0, uevent_next(fd, b->vf, &uevent, WAIT_MS));
	EXPECT_STREQ(NVVGPU_EVENT_NAME_FAULT, uevent.event);
	EXPECT_EQ(NVVGPU_EMU_VF_ERR_DMA_READ, uevent.code);
	EXPECT_EQ(NOWHERE, uevent.address);
	EXPECT_EQ(-ETIMEDOUT, uevent_next(fd, a->vf, &uevent, 100));
	close(fd);

	fd = uevent_open();
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_copy(TO_VRAM, 0, NOWHERE, PAGE)));
	EXPECT_EQ(0, uevent_wait(fd, a->vf, NVVGPU_EVENT_NAME_FAULT, WAIT_MS));
	EXPECT_EQ(-ETIMEDOUT, uevent_next(fd, b->vf, &uevent, 100));
	close(fd);
}

TEST_F(dma, access_is_gone_after_unmap)
{
	struct user *a = &self->a;
	__u8 *page = user_buf(a, 0);

	ASSERT_EQ(0, ioas_map(&a->own, page, NOWHERE, PAGE,
			      PROT_READ | PROT_WRITE));
	/* All caches have the translation now. */
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_fill(IN_MEMORY, NOWHERE, PAGE, 0)));
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_copy(TO_VRAM, 0, NOWHERE, PAGE)));

	ASSERT_EQ(0, ioas_unmap(&a->own, NOWHERE, PAGE));
	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_fill(IN_MEMORY, NOWHERE, PAGE,
					       0xffffffff)));
	EXPECT_ENGINE_ERROR(&a->engine, NVVGPU_EMU_VF_ERR_DMA_WRITE, NOWHERE);
	EXPECT_TRUE(all_bytes(page, PAGE, 0));
	ASSERT_EQ(0, user_restart(a));
	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_copy(TO_VRAM, 0, NOWHERE, PAGE)));
	EXPECT_ENGINE_ERROR(&a->engine, NVVGPU_EMU_VF_ERR_DMA_READ, NOWHERE);
}

TEST_F(dma, remapped_address_leads_to_the_new_memory)
{
	struct user *a = &self->a;
	__u8 *one = user_buf(a, 0), *two = user_buf(a, MIB);

	memset(one, 0, PAGE);
	memset(two, 0, PAGE);
	ASSERT_EQ(0, ioas_map(&a->own, one, NOWHERE, PAGE,
			      PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_fill(IN_MEMORY, NOWHERE, PAGE,
					    0x01010101)));
	ASSERT_EQ(0, ioas_unmap(&a->own, NOWHERE, PAGE));
	ASSERT_EQ(0, ioas_map(&a->own, two, NOWHERE, PAGE,
			      PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_fill(IN_MEMORY, NOWHERE, PAGE,
					    0x02020202)));
	EXPECT_TRUE(all_bytes(one, PAGE, 1));
	EXPECT_TRUE(all_bytes(two, PAGE, 2));
}

TEST_F(dma, no_access_without_bus_mastering)
{
	struct user *a = &self->a;
	__u64 *sem = user_buf(a, 0);

	*sem = 0;
	ASSERT_EQ(0, vdev_enable(&a->vdev, false));
	EXPECT_NE(0, engine_run(&a->engine,
				engine_semaphore(IN_MEMORY, user_addr(a, sem),
						 1)));
	EXPECT_EQ(0, *sem);
	ASSERT_EQ(0, vdev_enable(&a->vdev, true));
	ASSERT_EQ(0, user_restart(a));
	EXPECT_EQ(0, engine_run(&a->engine,
				engine_semaphore(IN_MEMORY, user_addr(a, sem),
						 1)));
	EXPECT_EQ(1, *sem);
}

TEST_F(dma, same_addresses_of_two_vgpus_are_different_memory)
{
	struct user *a = &self->a, *b = &self->b;
	__u8 *pa, *pb;
	__u32 crc;

	ASSERT_OPEN_B();
	ASSERT_EQ(a->iova, b->iova);
	pa = user_buf(a, 0);
	pb = user_buf(b, 0);
	memset(pa, 0, MIB);
	memset(pb, 0, MIB);

	ASSERT_EQ(0, engine_run(&a->engine,
				engine_fill(IN_MEMORY, user_addr(a, pa), MIB,
					    0xaaaaaaaa)));
	EXPECT_TRUE(all_bytes(pa, MIB, 0xaa));
	EXPECT_TRUE(all_bytes(pb, MIB, 0));
	ASSERT_EQ(0, engine_run(&b->engine,
				engine_fill(IN_MEMORY, user_addr(b, pb), MIB,
					    0xbbbbbbbb)));
	EXPECT_TRUE(all_bytes(pa, MIB, 0xaa));
	EXPECT_TRUE(all_bytes(pb, MIB, 0xbb));

	/* Reads, too */
	pattern(pa, PAGE, 1);
	pattern(pb, PAGE, 2);
	crc = crc32c(0, pb, PAGE);
	ASSERT_EQ(0, engine_run(&b->engine,
				engine_copy(IN_MEMORY,
					    user_addr(b, pb + PAGE),
					    user_addr(b, pb), PAGE)));
	EXPECT_EQ(crc, crc32c(0, pb + PAGE, PAGE));
	EXPECT_TRUE(all_bytes(pa + PAGE, PAGE, 0xaa));
}

TEST_F(dma, vgpus_in_one_address_space_share)
{
	struct user *a = &self->a, *b = &self->b;
	__u8 *pa = user_buf(a, 0);

	ASSERT_EQ(0, vf_set_type(self->pf.vf[1], self->type->id));
	ASSERT_EQ(0, user_open_in(b, self->pf.vf[1], &a->own,
				  a->iova + 64 * MIB));
	memset(pa, 0, PAGE);
	ASSERT_EQ(0, engine_run(&b->engine,
				engine_fill(IN_MEMORY, user_addr(a, pa), PAGE,
					    0x0b0b0b0b)));
	EXPECT_TRUE(all_bytes(pa, PAGE, 0x0b));
}

TEST_F(dma, refused_access_does_not_disturb_the_other)
{
	struct user *a = &self->a, *b = &self->b;
	__u64 errors[2], faults[2];
	char buf[4096];
	int i;

	ASSERT_OPEN_B();
	for (i = 0; i < 8; i++) {
		/* Both engines are busy when one accesses an invalid address. */
		struct nvvgpu_emu_desc work =
			engine_copy(TO_VRAM, 0, user_addr(b, user_buf(b, 0)),
				    MIB);
		struct nvvgpu_emu_desc bad =
			engine_copy(TO_VRAM, 0, NOWHERE + i * PAGE, PAGE);

		work.flags |= NVVGPU_EMU_DESC_IRQ;
		engine_submit(&b->engine, &work, 1);
		engine_submit(&a->engine, &bad, 1);
		EXPECT_EQ(-EIO, engine_wait(&a->engine, WAIT_MS));
		EXPECT_ENGINE_ERROR(&a->engine, NVVGPU_EMU_VF_ERR_DMA_READ,
				    NOWHERE + i * PAGE);
		EXPECT_EQ(0, engine_wait(&b->engine, WAIT_MS));
		ASSERT_EQ(0, user_restart(a));
	}
	check_copy(_metadata, b, 0, MIB, PAGE, 100000);

	/* The counters show which vGPU caused it. */
	for (i = 0; i < 2; i++) {
		const char *p;

		ASSERT_LT(0, pci_read(self->pf.vf[i], "nvvgpu/stats", buf,
				      sizeof(buf)));
		p = strstr(buf, "dma_faults ");
		ASSERT_NE(NULL, p);
		faults[i] = strtoull(p + strlen("dma_faults "), NULL, 0);
		p = strstr(buf, "errors ");
		ASSERT_NE(NULL, p);
		errors[i] = strtoull(p + strlen("errors "), NULL, 0);
	}
	EXPECT_EQ(8, faults[0]);
	EXPECT_EQ(8, errors[0]);
	EXPECT_EQ(0, faults[1]);
	EXPECT_EQ(0, errors[1]);
}

static long long stat_of(const char *vf, const char *name)
{
	char path[80];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/nvvgpu/stats",
		 vf);

	return get_value(path, name);
}

static long long use_of(const char *vf, const char *name)
{
	char path[80];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/nvvgpu/use", vf);

	return get_value(path, name);
}

static long long total_of(const struct uevent *uevent, const char *name)
{
	const char *p = strstr(uevent->totals, name);

	return p ? strtoll(p + strlen(name), NULL, 10) : -1;
}

TEST_F(dma, each_use_has_its_own_number_and_counters)
{
	const char *vf = self->pf.vf[0];
	struct user *a = &self->a;
	long long last = 0, use;
	struct uevent uevent;
	int round, fd;
	__u64 addr;

	fd = uevent_open();
	ASSERT_LE(0, fd);
	for (round = 1; round <= 3; round++) {
		use = use_of(vf, "use");
		EXPECT_LT(last, use);
		last = use;
		EXPECT_EQ(1, use_of(vf, "open"));
		EXPECT_EQ(self->type->id, use_of(vf, "type"));
		EXPECT_EQ(0, use_of(vf, "bytes"));
		addr = user_addr(a, user_buf(a, 0));
		ASSERT_EQ(0, engine_run(&a->engine,
					engine_copy(TO_VRAM, 0, addr,
						    round * PAGE)));
		/* The counters are read ten times a second at most. */
		while (use_of(vf, "bytes") != round * PAGE)
			;
		user_close(a);

		do {
			ASSERT_EQ(0, uevent_next(fd, vf, &uevent, WAIT_MS));
		} while (strcmp(uevent.event, NVVGPU_EVENT_NAME_CLOSED));
		EXPECT_EQ(use, uevent.use);
		EXPECT_LE(0, uevent.milliseconds);
		EXPECT_EQ(round * PAGE, total_of(&uevent, "bytes="));
		EXPECT_EQ(1, total_of(&uevent, "descriptors="));
		EXPECT_EQ(use, use_of(vf, "use"));
		EXPECT_EQ(0, use_of(vf, "open"));
		EXPECT_EQ(round * PAGE, use_of(vf, "bytes"));
		EXPECT_EQ(uevent.milliseconds, use_of(vf, "milliseconds"));
		ASSERT_EQ(0, user_open(a, vf, variant->mode));
	}
	/* Those of the vGPU run on. */
	EXPECT_EQ((1 + 2 + 3) * PAGE, stat_of(vf, "bytes"));
	close(fd);
}

TEST_F(dma, statistics_are_of_the_vgpus_own_work)
{
	static const char * const names[] = {
		"descriptors", "bytes", "dma_read_bytes", "dma_write_bytes",
		"interrupts", "errors", "dma_faults", "resets", "busy_ns",
	};
	const char *vf = self->pf.vf[0], *other = self->pf.vf[1];
	struct user *a = &self->a;
	__u64 addr = user_addr(a, user_buf(a, 0));
	unsigned int i;

	ASSERT_OPEN_B();
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_copy(TO_VRAM, 0, addr, 3 * PAGE)));
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_copy(FROM_VRAM, addr, 0, PAGE)));
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_fill(TO_VRAM, 0, 5 * PAGE, 0)));
	EXPECT_EQ(3, stat_of(vf, "descriptors"));
	EXPECT_EQ(9 * PAGE, stat_of(vf, "bytes"));
	EXPECT_EQ(3 * PAGE, stat_of(vf, "dma_read_bytes"));
	EXPECT_EQ(PAGE, stat_of(vf, "dma_write_bytes"));
	EXPECT_EQ(3, stat_of(vf, "interrupts"));
	EXPECT_EQ(0, stat_of(vf, "errors"));
	EXPECT_LT(0, stat_of(vf, "busy_ns"));
	EXPECT_EQ(0, stat_of(other, "descriptors"));
	EXPECT_EQ(0, stat_of(other, "busy_ns"));

	/* They are removed together with it. */
	user_close(a);
	ASSERT_EQ(0, vf_set_type(vf, 0));
	ASSERT_EQ(0, vf_set_type(vf, self->type->id));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_EQ(0, stat_of(vf, names[i]))
			TH_LOG("%s", names[i]);
	}
}

TEST_F(dma, bad_descriptors_are_refused_by_number)
{
	struct user *a = &self->a;
	const __u64 addr = user_addr(a, user_buf(a, 0));
	struct {
		struct nvvgpu_emu_desc desc;
		__u32 code;
	} bad[] = {
		{ { .op = 99 }, NVVGPU_EMU_VF_ERR_DESC },
		{ { .op = ~0U }, NVVGPU_EMU_VF_ERR_DESC },
		{ { .op = NVVGPU_EMU_OP_NOP, .flags = 0x80 },
		  NVVGPU_EMU_VF_ERR_DESC },
		{ engine_fill(IN_MEMORY, addr, 0, 0), NVVGPU_EMU_VF_ERR_DESC },
		{ engine_copy(TO_VRAM, 0, addr, 0), NVVGPU_EMU_VF_ERR_DESC },
		{ engine_semaphore(IN_MEMORY, addr + 4, 1),
		  NVVGPU_EMU_VF_ERR_DESC },
		{ { .op = NVVGPU_EMU_OP_NOP, .reserved = { 0, 0, 0, 0, 1 } },
		  NVVGPU_EMU_VF_ERR_DESC },
		{ { .op = NVVGPU_EMU_OP_NOP, .flags = NVVGPU_EMU_DESC_IRQ,
		    .vector = NVVGPU_EMU_VF_VECTORS },
		  NVVGPU_EMU_VF_ERR_VECTOR },
	};
	__u64 *sem = user_buf(a, MIB);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct nvvgpu_emu_desc batch[3] = {
			engine_semaphore(IN_MEMORY, user_addr(a, sem), 1),
			bad[i].desc,
			engine_semaphore(IN_MEMORY, user_addr(a, sem), 2),
		};
		struct engine_error error;

		*sem = 0;
		engine_submit(&a->engine, batch, 3);
		EXPECT_EQ(-EIO, engine_wait(&a->engine, WAIT_MS));
		engine_error(&a->engine, &error);
		EXPECT_EQ(bad[i].code, error.code)
			TH_LOG("descriptor %u", i);
		EXPECT_EQ(1, error.index);
		EXPECT_EQ(1, *sem);
		ASSERT_EQ(0, user_restart(a));
	}
}

TEST_F(dma, ring_registers_are_read_only_while_it_runs)
{
	struct engine *engine = &self->a.engine;

	engine_write(engine, NVVGPU_EMU_VF_REG_RING_SIZE, USER_RING / 2);
	EXPECT_EQ(USER_RING,
		  engine_read(engine, NVVGPU_EMU_VF_REG_RING_SIZE));
	engine_write64(engine, NVVGPU_EMU_VF_REG_RING_BASE, NOWHERE);
	EXPECT_EQ(self->a.iova,
		  engine_read64(engine, NVVGPU_EMU_VF_REG_RING_BASE));
	EXPECT_EQ(0, user_work(&self->a));
}

TEST_F(dma, bad_rings_are_refused)
{
	struct user *a = &self->a;
	struct nvvgpu_emu_desc nop = { .op = NVVGPU_EMU_OP_NOP };
	struct {
		__u64 base;
		__u32 size;
		__u32 tail;
	} bad[] = {
		{ a->iova + 8, USER_RING, 1 },
		{ a->iova, 0, 1 },
		{ a->iova, 3, 1 },
		{ a->iova, USER_RING, USER_RING + 1 },
		{ a->iova, USER_RING, ~0U },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		engine_start(&a->engine, a->mem, bad[i].base, bad[i].size);
		a->engine.ring[0] = nop;
		a->engine.tail = bad[i].tail;
		engine_write(&a->engine, NVVGPU_EMU_VF_REG_DOORBELL,
			     bad[i].tail);
		EXPECT_EQ(-EIO, engine_wait(&a->engine, WAIT_MS))
			TH_LOG("ring %u", i);
		EXPECT_EQ(NVVGPU_EMU_VF_ERR_RING,
			  engine_read(&a->engine, NVVGPU_EMU_VF_REG_ERROR));
	}

	/* A ring at an unmapped address */
	engine_start(&a->engine, a->mem, NOWHERE, USER_RING);
	engine_submit(&a->engine, &nop, 1);
	EXPECT_EQ(-EIO, engine_wait(&a->engine, WAIT_MS));
	EXPECT_ENGINE_ERROR(&a->engine, NVVGPU_EMU_VF_ERR_DMA_READ, NOWHERE);
}

/* The new tail excludes the descriptor in flight. */
TEST_F(dma, doorbell_rung_backwards_halts_the_engine)
{
	struct engine *engine = &self->a.engine;
	struct engine_error error;
	unsigned int tries = 5;
	__u64 end;
	__u32 *fb;

	ASSERT_EQ(0, vdev_map_bar(&self->a.vdev, NVVGPU_EMU_VF_BAR_FB));
	fb = self->a.vdev.bar[NVVGPU_EMU_VF_BAR_FB];
	do {
		struct nvvgpu_emu_desc fill =
			engine_fill(TO_VRAM, 0, 256 * MIB, tries);

		ASSERT_EQ(0, user_restart(&self->a));
		engine_submit(engine, &fill, 1);
		end = now_ms() + WAIT_MS;
		while (__atomic_load_n(fb, __ATOMIC_RELAXED) != tries)
			ASSERT_GT(end, now_ms());
		engine_write(engine, NVVGPU_EMU_VF_REG_DOORBELL, 0);
		engine_error(engine, &error);
		ASSERT_EQ(NVVGPU_EMU_VF_ERR_RING, error.code);
		EXPECT_EQ(NVVGPU_EMU_VF_STATUS_ERROR,
			  engine_read(engine, NVVGPU_EMU_VF_REG_STATUS));
	} while (error.index && --tries);
	EXPECT_EQ(0, error.index)
		TH_LOG("the engine was faster than the doorbell");

	ASSERT_EQ(0, user_restart(&self->a));
	EXPECT_EQ(0, user_work(&self->a));
}

/* On a busy host the engine may finish before it is stopped. */
#define TRIES	40

/* Patterns of submit_much(): all descriptors but the last, and the last */
#define UNFINISHED	0x11111111
#define FINISHED	0x22222222

/*
 * Submit 4 GiB of writes to the second MiB, in a ring of their own: far more
 * than the engine does until a process is killed.
 */
static void submit_much(struct user *user)
{
	struct engine *engine = &user->engine;
	void *ring = user_buf(user, 2 * MIB);
	__u64 to = user_addr(user, user_buf(user, MIB));
	unsigned int i, last = NVVGPU_EMU_RING_MAX - 1;

	engine_start(engine, ring, user_addr(user, ring), NVVGPU_EMU_RING_MAX);
	for (i = 0; i < last; i++)
		engine->ring[i] = engine_fill(IN_MEMORY, to, MIB, UNFINISHED);
	engine->ring[last] = engine_fill(IN_MEMORY, to, MIB, FINISHED);
	engine->tail = NVVGPU_EMU_RING_MAX;
	engine_write(engine, NVVGPU_EMU_VF_REG_DOORBELL, engine->tail);
}

/* Whether the work was stopped before its end */
static bool stopped(const __u8 *to)
{
	return to[MIB - 1] != (FINISHED & 0xff);
}

/* Clear the second MiB: whether nothing is written to it any more. */
static bool stays_clear(__u8 *to)
{
	memset(to, 0, MIB);
	usleep(20000);

	return all_bytes(to, MIB, 0);
}

TEST_F(dma, nothing_is_written_after_a_reset)
{
	bool by_host = false, by_user = false;
	struct user *a = &self->a;
	__u8 *to = user_buf(a, MIB);
	int i;

	for (i = 0; !(by_host && by_user) && i < TRIES; i++) {
		submit_much(a);
		if (i & 1) {
			ASSERT_EQ(0, vdev_reset(&a->vdev));
			by_host |= stopped(to);
		} else {
			ASSERT_EQ(0, engine_reset(&a->engine));
			by_user |= stopped(to);
		}
		EXPECT_TRUE(stays_clear(to));
		ASSERT_EQ(0, vdev_enable(&a->vdev, true));
		ASSERT_EQ(0, user_restart(a));
	}
	EXPECT_TRUE(by_host && by_user)
		TH_LOG("the engine was always faster");
	ASSERT_EQ(0, vdev_msix_disable(&a->vdev));
	check_copy(_metadata, a, 0, MIB, 0, PAGE);
}

TEST_F(dma, nothing_is_written_after_close)
{
	struct user *a = &self->a;
	bool left = false;
	int i;

	for (i = 0; !left && i < TRIES; i++) {
		void *mem = a->mem;
		__u8 *to = user_buf(a, MIB);

		submit_much(a);
		a->mem = NULL;
		user_close(a);
		left = stopped(to);
		EXPECT_TRUE(stays_clear(to));
		munmap(mem, USER_LEN);
		ASSERT_EQ(0, user_open(a, self->pf.vf[0], variant->mode));
	}
	EXPECT_TRUE(left);
	check_copy(_metadata, a, 0, MIB, 0, PAGE);
}

TEST_F(dma, nothing_is_written_after_unmap)
{
	struct user *a = &self->a;
	__u8 *to = user_buf(a, MIB);
	bool left = false;
	int i;

	for (i = 0; !left && i < TRIES; i++) {
		submit_much(a);
		ASSERT_EQ(0, ioas_unmap(&a->own, a->iova, a->len));
		left = stopped(to);
		EXPECT_TRUE(stays_clear(to));
		ASSERT_EQ(0, ioas_map(&a->own, a->mem, a->iova, a->len,
				      PROT_READ | PROT_WRITE));
		ASSERT_EQ(0, user_restart(a));
	}
	EXPECT_TRUE(left);
	check_copy(_metadata, a, 0, MIB, 0, PAGE);
}

TEST_F(dma, killed_user_leaves_nothing_running)
{
	struct user *a = &self->a;
	__u8 *to = user_buf(a, MIB);
	bool left = false;
	int i, status;
	pid_t pid;

	/* The memory is shared with the child, which opens the device itself. */
	vdev_close(&a->vdev);
	ioas_close(&a->own);
	for (i = 0; !left && i < TRIES; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			if (user_open(a, self->pf.vf[0], variant->mode))
				_exit(1);
			submit_much(a);
			kill(getpid(), SIGKILL);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFSIGNALED(status));
		left = stopped(to);
		EXPECT_TRUE(stays_clear(to));
	}
	EXPECT_TRUE(left);

	a->ioas = NULL;
	ASSERT_EQ(0, user_open(a, self->pf.vf[0], variant->mode));
	EXPECT_EQ(0, windows_differ(a, self->type->framebuffer, 0));
	check_copy(_metadata, a, 0, MIB, 0, PAGE);
}

/*
 * The framebuffers, of every class of type
 */
FIXTURE(vram) {
	struct subject s;
	struct ioas ioas;
	struct user a;
	struct user b;
};

FIXTURE_VARIANT(vram) {
	enum subject_kind kind;
};

FIXTURE_VARIANT_ADD(vram, q) { .kind = SUBJECT_Q };
FIXTURE_VARIANT_ADD(vram, c) { .kind = SUBJECT_C };
FIXTURE_VARIANT_ADD(vram, b) { .kind = SUBJECT_B };
FIXTURE_VARIANT_ADD(vram, a) { .kind = SUBJECT_A };
FIXTURE_VARIANT_ADD(vram, bochs) { .kind = SUBJECT_BOCHS };

FIXTURE_SETUP(vram)
{
	int ret;

	ret = subject_prepare(&self->s, variant->kind, &self->ioas,
			      IOMMU_IOMMUFD);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "no such vGPU or address space here");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, vf_set_type(self->s.vf, self->s.type.id));
	ASSERT_EQ(0, user_open(&self->a, self->s.vf, IOMMU_IOMMUFD));
}

FIXTURE_TEARDOWN(vram)
{
	user_close(&self->a);
	user_close(&self->b);
	ioas_close(&self->ioas);
	subject_drop(&self->s);
}

#define ASSERT_VRAM_B() do {						\
	ASSERT_EQ(0, vf_set_type(self->s.vf2, self->s.type.id));	\
	ASSERT_EQ(0, user_open(&self->b, self->s.vf2, IOMMU_IOMMUFD));	\
} while (0)

/* Dirty the framebuffer: all of a small one; a large one would be too much. */
#define SMALL	(512 * MIB)

static int vram_fill(struct user *user, __u64 size, __u32 val)
{
	if (size > SMALL)
		return windows_fill(user, size, val);

	return engine_run(&user->engine, engine_fill(TO_VRAM, 0, size, val));
}

/* How much of the framebuffer, up to its very end, is not zero. */
static unsigned int vram_dirt(struct user *user, __u64 size)
{
	__u8 *to = user_buf(user, 0);
	unsigned int bad = 0;
	__u64 at;

	if (size > SMALL)
		return windows_differ(user, size, 0);

	for (at = 0; at < size; at += 2 * MIB) {
		to[0] = 0xff;
		to[2 * MIB - 1] = 0xff;
		bad += engine_run(&user->engine,
				  engine_copy(FROM_VRAM, user_addr(user, to),
					      at, 2 * MIB)) ||
		       !all_bytes(to, 2 * MIB, 0);
	}

	return bad;
}

/* The same through the aperture */
static int aperture_dirt(struct user *user)
{
	const unsigned int bar = NVVGPU_EMU_VF_BAR_FB;

	if (vdev_map_bar(&user->vdev, bar))
		return -1;

	return !all_bytes(user->vdev.bar[bar], user->vdev.bar_len[bar], 0);
}

TEST_F(vram, framebuffer_of_a_new_vgpu_reads_zero)
{
	const __u64 size = self->s.type.framebuffer;
	struct user *a = &self->a, *b = &self->b;
	char place[32];

	EXPECT_EQ(0, vram_dirt(a, size));
	EXPECT_EQ(0, aperture_dirt(a));
	ASSERT_EQ(0, vram_fill(a, size, 0x5a5a5a5a));
	EXPECT_EQ(0, windows_differ(a, size, 0x5a));
	/* By BAR, too, and with odd sizes at odd places */
	memset(a->vdev.bar[NVVGPU_EMU_VF_BAR_FB], 0x5a, 3 * MIB + 7);
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_fill(TO_VRAM, size - 12345, 12345,
					    0x5a5a5a5a)));
	ASSERT_LT(0, pci_read(a->vf, "nvidia/placement_id", place,
			      sizeof(place)));
	user_close(a);
	ASSERT_EQ(0, vf_set_type(self->s.vf, 0));

	/* Another VF gets the same part of VRAM. */
	ASSERT_EQ(0, pci_write(self->s.vf2, "nvidia/placement_id", place));
	ASSERT_VRAM_B();
	EXPECT_EQ(0, vram_dirt(b, size));
	EXPECT_EQ(0, aperture_dirt(b));
	EXPECT_EQ(0, engine_run(&b->engine,
				engine_copy(FROM_VRAM,
					    user_addr(b, user_buf(b, 0)),
					    size - 12345, 12345)));
	EXPECT_TRUE(all_bytes(user_buf(b, 0), 12345, 0));
}

TEST_F(vram, framebuffer_of_a_new_owner_reads_zero)
{
	const __u64 size = self->s.type.framebuffer;
	struct user *a = &self->a;

	ASSERT_EQ(0, vram_fill(a, size, 0x5a5a5a5a));
	user_close(a);
	ASSERT_EQ(0, user_open(a, self->s.vf, IOMMU_IOMMUFD));
	EXPECT_EQ(0, vram_dirt(a, size));
	EXPECT_EQ(0, aperture_dirt(a));
}

static void same_memory(struct __test_metadata *_metadata, struct user *user,
			__u64 bar0)
{
	const __u64 last = bar0 - PAGE;
	__u8 *to = user_buf(user, 0);
	__u8 *map;

	ASSERT_EQ(0, vdev_map_bar(&user->vdev, NVVGPU_EMU_VF_BAR_FB));
	map = user->vdev.bar[NVVGPU_EMU_VF_BAR_FB];

	ASSERT_EQ(0, engine_run(&user->engine,
				engine_fill(TO_VRAM, last, PAGE, 0x07070707)));
	EXPECT_TRUE(all_bytes(map + last, PAGE, 7));
	memset(map, 9, PAGE);
	ASSERT_EQ(0, engine_run(&user->engine,
				engine_copy(FROM_VRAM, user_addr(user, to), 0,
					    2 * PAGE)));
	EXPECT_TRUE(all_bytes(to, PAGE, 9));
	EXPECT_TRUE(all_bytes(to + PAGE, PAGE, 0));
}

TEST_F(vram, framebuffer_and_aperture_are_the_same_memory)
{
	same_memory(_metadata, &self->a, self->s.type.bar0);
	if (vf_creatable(self->s.vf2, self->s.type.id) <= 0)
		return;
	/* The first framebuffer is at offset 0 of VRAM, the next at another offset. */
	ASSERT_VRAM_B();
	same_memory(_metadata, &self->b, self->s.type.bar0);
}

TEST_F(vram, framebuffer_is_the_same_by_read_write_and_mmap)
{
	const unsigned int bar = NVVGPU_EMU_VF_BAR_FB;
	const __u64 last = self->s.type.bar0 - 8;
	struct vdev *vdev = &self->a.vdev;
	__u64 word = 0x1122334455667788ULL;
	__u64 *map;

	ASSERT_EQ(0, vdev_map_bar(vdev, bar));
	map = vdev->bar[bar];
	EXPECT_EQ(8, vdev_write(vdev, bar, 0, &word, 8));
	EXPECT_EQ(8, vdev_write(vdev, bar, last, &word, 8));
	EXPECT_EQ(word, __atomic_load_n(&map[0], __ATOMIC_RELAXED));
	EXPECT_EQ(word, __atomic_load_n(&map[last / 8], __ATOMIC_RELAXED));
	EXPECT_EQ(0, __atomic_load_n(&map[1], __ATOMIC_RELAXED));
	__atomic_store_n(&map[1], 42, __ATOMIC_SEQ_CST);
	EXPECT_EQ(8, vdev_read(vdev, bar, 8, &word, 8));
	EXPECT_EQ(42, word);
}

TEST_F(vram, vram_ends_at_the_framebuffer)
{
	const __u64 size = self->s.type.framebuffer;
	struct user *a = &self->a, *b = &self->b;
	struct {
		__u64 offset;
		__u64 len;
	} bad[] = {
		{ size, 1 },
		{ size - 1, 2 },
		{ size - PAGE, PAGE + 1 },
		{ 0, size + 1 },
		{ size * 2, PAGE },
		{ 1ULL << 63, PAGE },
		{ ~0ULL, 1 },
		{ ~0ULL, 2 },
		{ -PAGE, 2 * PAGE },
		{ PAGE, -PAGE },
		{ PAGE, ~0ULL },
		{ 0, ~0ULL },
		{ 0, 1ULL << 63 },
	};
	__u8 *to = user_buf(a, 0);
	unsigned int i;

	/* Another vGPU, whose framebuffer may be adjacent */
	ASSERT_VRAM_B();
	ASSERT_EQ(0, windows_fill(b, size, 0xbbbbbbbb));

	EXPECT_EQ(0, engine_run(&a->engine,
				engine_fill(TO_VRAM, size - PAGE, PAGE, 1)));
	EXPECT_EQ(0, engine_run(&a->engine,
				engine_fill(TO_VRAM, size - 1, 1, 1)));

	memset(to, 0xee, PAGE);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EIO, engine_run(&a->engine,
					   engine_fill(TO_VRAM, bad[i].offset,
						       bad[i].len, 0)))
			TH_LOG("%#llx bytes at %#llx", bad[i].len,
			       bad[i].offset);
		EXPECT_EQ(NVVGPU_EMU_VF_ERR_VRAM,
			  engine_read(&a->engine, NVVGPU_EMU_VF_REG_ERROR));
		ASSERT_EQ(0, user_restart(a));
		EXPECT_EQ(-EIO, engine_run(&a->engine,
					   engine_copy(FROM_VRAM,
						       user_addr(a, to),
						       bad[i].offset,
						       bad[i].len)));
		/* A length that wraps around is refused, too. */
		EXPECT_TRUE(engine_read(&a->engine, NVVGPU_EMU_VF_REG_ERROR) ==
			    NVVGPU_EMU_VF_ERR_VRAM ||
			    -bad[i].len <= user_addr(a, to));
		ASSERT_EQ(0, user_restart(a));
		EXPECT_EQ(-EIO, engine_run(&a->engine,
					   engine_copy(TO_VRAM, bad[i].offset,
						       user_addr(a, to),
						       bad[i].len)));
		ASSERT_EQ(0, user_restart(a));
	}
	EXPECT_TRUE(all_bytes(to, PAGE, 0xee));

	/* Within VRAM either end counts, and 8 bytes are 8. */
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EIO, engine_run(&a->engine,
					   engine_copy(IN_VRAM, 0,
						       bad[i].offset,
						       bad[i].len)));
		EXPECT_EQ(NVVGPU_EMU_VF_ERR_VRAM,
			  engine_read(&a->engine, NVVGPU_EMU_VF_REG_ERROR));
		ASSERT_EQ(0, user_restart(a));
		EXPECT_EQ(-EIO, engine_run(&a->engine,
					   engine_copy(IN_VRAM, bad[i].offset,
						       0, bad[i].len)));
		EXPECT_EQ(NVVGPU_EMU_VF_ERR_VRAM,
			  engine_read(&a->engine, NVVGPU_EMU_VF_REG_ERROR));
		ASSERT_EQ(0, user_restart(a));
	}
	EXPECT_EQ(0, engine_run(&a->engine,
				engine_semaphore(TO_VRAM, size - 8, 1)));
	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_semaphore(TO_VRAM, size, 1)));
	ASSERT_EQ(0, user_restart(a));
	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_semaphore(TO_VRAM, -8, 1)));
	ASSERT_EQ(0, user_restart(a));

	/* The whole aperture is accessible as well. */
	ASSERT_EQ(0, vdev_map_bar(&a->vdev, NVVGPU_EMU_VF_BAR_FB));
	memset(a->vdev.bar[NVVGPU_EMU_VF_BAR_FB], 0xa5,
	       a->vdev.bar_len[NVVGPU_EMU_VF_BAR_FB]);
	EXPECT_EQ(0, windows_differ(b, size, 0xbb));
}

/*
 * Reuse of a VF, a vGPU or memory by another user
 */
FIXTURE(reuse) {
	struct subject s;
	struct ioas ioas;
};

FIXTURE_VARIANT(reuse) {
	enum subject_kind kind;
};

FIXTURE_VARIANT_ADD(reuse, q) { .kind = SUBJECT_Q };
FIXTURE_VARIANT_ADD(reuse, bochs) { .kind = SUBJECT_BOCHS };

FIXTURE_SETUP(reuse)
{
	int ret;

	ret = subject_prepare(&self->s, variant->kind, &self->ioas,
			      IOMMU_IOMMUFD);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "no such vGPU or address space here");
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(reuse)
{
	ioas_close(&self->ioas);
	subject_drop(&self->s);
}

/* What a user can read of the engine and of the display, but for the EDID */
#define NR_REGS	24

static void read_regs(const struct engine *engine, __u32 *regs)
{
	unsigned int i;

	for (i = 0; i < NR_REGS; i++)
		regs[i] = engine_read(engine, NVVGPU_EMU_VF_REG_MAGIC + 4 * i);
	regs[i] = engine_read(engine, NVVGPU_EMU_VF_REG_QEXT_ENDIAN);
	for (i = 0; i < 8; i++)
		regs[NR_REGS + 1 + i] =
			engine_read(engine, NVVGPU_EMU_VF_REG_DISPI + 4 * i);
}

/* Change all state, and do not clean up. */
static void leave_a_mess(struct __test_metadata *_metadata, struct user *user)
{
	struct engine *engine = &user->engine;
	/* 640x480 of 32 bits, enabled, and scrolled */
	static const __u16 mode[] = { 0, 640, 480, 32, 0x41, 0, 0, 0, 0, 1 };
	struct nvvgpu_emu_desc nop = {
		.op = NVVGPU_EMU_OP_NOP,
		.flags = NVVGPU_EMU_DESC_IRQ,
		.vector = NVVGPU_EMU_VF_VECTORS - 1,
	};
	unsigned int i;

	ASSERT_EQ(0, engine_run(engine, engine_fill(TO_VRAM, 0, PAGE, 1)));
	for (i = 0; i < NVVGPU_EMU_VF_SCRATCH_WORDS; i++)
		engine_write(engine, NVVGPU_EMU_VF_REG_SCRATCH + 4 * i,
			     0xdead0000 + i);
	engine_write(engine, NVVGPU_EMU_VF_REG_GUEST, 1);
	engine_write(engine, NVVGPU_EMU_VF_REG_ERROR_VECTOR, 5);
	for (i = 1; i < ARRAY_SIZE(mode); i++)
		ASSERT_EQ(2, vdev_write(&user->vdev, NVVGPU_EMU_VF_BAR_REGS,
					NVVGPU_EMU_VF_REG_DISPI + 2 * i,
					&mode[i], 2));
	/* An interrupt that is not enabled stays pending. */
	engine_submit(engine, &nop, 1);
	EXPECT_EQ(-EIO, engine_run(engine,
				   engine_copy(TO_VRAM, ~0ULL, 0, 1)));
}

TEST_F(reuse, registers_interrupts_and_rings_are_clean_after_reuse)
{
	__u32 before[NR_REGS + 9], after[NR_REGS + 9];
	struct user user = {};
	struct ioas *ioas = &self->ioas;
	struct vdev vdev;
	struct engine engine;
	char place[32];
	unsigned int way, i;

	ASSERT_EQ(0, vf_set_type(self->s.vf, self->s.type.id));
	ASSERT_LT(0, pci_read(self->s.vf, "nvidia/placement_id", place,
			      sizeof(place)));
	ASSERT_EQ(0, vdev_open(&vdev, self->s.vf, ioas));
	ASSERT_EQ(0, engine_init(&engine, &vdev));
	read_regs(&engine, before);
	vdev_close(&vdev);

	/*
	 * Check the next user, the next vGPU of the VF, and a vGPU of another VF at
	 * this placement.
	 */
	for (way = 0; way < 3; way++) {
		const char *vf = self->s.vf;

		ASSERT_EQ(0, user_open(&user, vf, IOMMU_IOMMUFD));
		leave_a_mess(_metadata, &user);
		user_close(&user);
		if (way) {
			ASSERT_EQ(0, vf_set_type(vf, 0));
			vf = way == 1 ? self->s.vf : self->s.vf2;
			ASSERT_EQ(0, pci_write(vf, "nvidia/placement_id",
					       place));
			ASSERT_EQ(0, vf_set_type(vf, self->s.type.id));
		}
		ASSERT_EQ(0, vdev_open(&vdev, vf, ioas));
		ASSERT_EQ(0, engine_init(&engine, &vdev));
		ASSERT_EQ(0, vdev_msix_enable(&vdev, NVVGPU_EMU_VF_VECTORS));
		read_regs(&engine, after);
		for (i = 0; i < ARRAY_SIZE(before); i++) {
			EXPECT_EQ(before[i], after[i])
				TH_LOG("register %u, way %u", i, way);
		}
		usleep(5000);
		for (i = 0; i < NVVGPU_EMU_VF_VECTORS; i++) {
			EXPECT_EQ(0, irq_wait(vdev.irq[i], 0))
				TH_LOG("vector %u, way %u", i, way);
		}
		vdev_close(&vdev);
	}
}

TEST_F(reuse, framebuffers_of_mixed_sizes_do_not_overlap)
{
	struct user users[TEST_VFS] = {};
	struct vgpu_type types[MAX_TYPES];
	const struct vgpu_type *large;
	__u64 size[TEST_VFS];
	int i, nr;

	nr = vf_types(self->s.vf, types, MAX_TYPES);
	ASSERT_LT(0, nr);
	large = type_largest(types, nr);

	/* This one, large, this one, large, each beside the other */
	for (i = 0; i < TEST_VFS; i++) {
		const char *vf = self->s.pf.vf[i];
		const struct vgpu_type *t = &self->s.type;

		if (i & 1 && vf_creatable(vf, large->id) == 1)
			t = large;
		size[i] = t->framebuffer;
		ASSERT_EQ(0, vf_set_type(vf, t->id));
	}
	for (i = 0; i < TEST_VFS; i++) {
		ASSERT_EQ(0, user_open(&users[i], self->s.pf.vf[i],
				       IOMMU_IOMMUFD));
		ASSERT_EQ(0, windows_fill(&users[i], size[i],
					  0x11111111 * (i + 1)));
	}
	for (i = 0; i < TEST_VFS; i++) {
		EXPECT_EQ(0, windows_differ(&users[i], size[i],
					    0x11 * (i + 1)))
			TH_LOG("VF %d", i);
	}
	for (i = 0; i < TEST_VFS; i++)
		user_close(&users[i]);
}

/* The headers may be older than the kernel. */
#define ATTACH_PASID		1
#define VIOMMU_ALLOC		_IO(IOMMUFD_TYPE, 0x90)

struct attach_pasid {
	__u32 argsz;
	__u32 flags;
	__u32 pt_id;
	__u32 pasid;
};

struct viommu_alloc {
	__u32 size;
	__u32 flags;
	__u32 type;
	__u32 dev_id;
	__u32 hwpt_id;
	__u32 out_viommu_id;
	__u32 data_len;
	__u32 reserved;
	__u64 data_uptr;
};

/*
 * A cdev is attached and detached while it is open.
 */
FIXTURE(dma_cdev) {
	struct pf pf;
	struct user user;
};

FIXTURE_SETUP(dma_cdev)
{
	struct vgpu_type type;

	ASSERT_GPU(&self->pf, TEST_VFS);
	ASSERT_EQ(1, vf_types(self->pf.vf[0], &type, 1));
	ASSERT_EQ(0, vf_set_type(self->pf.vf[0], type.id));
	ASSERT_EQ(0, user_open(&self->user, self->pf.vf[0], IOMMU_IOMMUFD));
}

FIXTURE_TEARDOWN(dma_cdev)
{
	user_close(&self->user);
	gpu_clean(&self->pf);
}

TEST_F(dma_cdev, no_access_before_attach_and_after_detach)
{
	struct user *a = &self->user;
	__u64 *sem = user_buf(a, 0);

	*sem = 0;
	ASSERT_EQ(0, engine_run(&a->engine,
				engine_semaphore(IN_MEMORY, user_addr(a, sem),
						 1)));
	ASSERT_EQ(0, vdev_detach(&a->vdev));
	/* Not even the ring can be read. */
	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_semaphore(IN_MEMORY,
						    user_addr(a, sem), 2)));
	EXPECT_EQ(1, *sem);
	ASSERT_EQ(0, vdev_attach(&a->vdev, a->own.id));
	ASSERT_EQ(0, user_restart(a));
	EXPECT_EQ(0, engine_run(&a->engine,
				engine_semaphore(IN_MEMORY, user_addr(a, sem),
						 3)));
	EXPECT_EQ(3, *sem);

	/* The same for one that has never been attached */
	vdev_close(&a->vdev);
	vdev_init(&a->vdev, a->vf, &a->own);
	ASSERT_EQ(0, vdev_bind(&a->vdev));
	ASSERT_EQ(0, engine_init(&a->engine, &a->vdev));
	ASSERT_EQ(0, user_restart(a));
	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_semaphore(IN_MEMORY,
						    user_addr(a, sem), 4)));
	EXPECT_EQ(3, *sem);
}

TEST_F(dma_cdev, attaching_to_another_ioas_changes_visible_memory)
{
	struct user *a = &self->user;
	__u8 *page = user_buf(a, MIB);
	struct ioas other;

	ASSERT_EQ(0, ioas_open_sibling(&other, &a->own));
	/* There only the ring and one page, at another place, can be reached. */
	ASSERT_EQ(0, ioas_map(&other, a->mem, a->iova, PAGE,
			      PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, ioas_map(&other, page, NOWHERE, PAGE,
			      PROT_READ | PROT_WRITE));
	memset(page, 0, PAGE);
	ASSERT_EQ(0, vdev_attach(&a->vdev, other.id));
	EXPECT_EQ(0, engine_run(&a->engine,
				engine_fill(IN_MEMORY, NOWHERE, PAGE,
					    0x01010101)));
	EXPECT_TRUE(all_bytes(page, PAGE, 1));
	EXPECT_EQ(-EIO, engine_run(&a->engine,
				   engine_fill(IN_MEMORY, user_addr(a, page), 4,
					       2)));
	EXPECT_TRUE(all_bytes(page, PAGE, 1));
	ASSERT_EQ(0, vdev_attach(&a->vdev, a->own.id));
	ioas_close(&other);
}

/* A HWPT of its own in an address space, for a device */
static int hwpt_alloc(const struct ioas *ioas, __u32 dev, __u32 *id)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.dev_id = dev,
		.pt_id = ioas->id,
	};
	int ret = ioctl(ioas->fd, IOMMU_HWPT_ALLOC, &alloc);

	*id = alloc.out_hwpt_id;

	return ret ? -errno : 0;
}

static int hwpt_free(const struct ioas *ioas, __u32 id)
{
	struct iommu_destroy destroy = { .size = sizeof(destroy), .id = id };

	return ioctl(ioas->fd, IOMMU_DESTROY, &destroy) ? -errno : 0;
}

TEST_F(dma_cdev, pasid_attach_is_refused_without_the_capability)
{
	static const __u32 pasids[] = { 0, 1, 1U << 20, ~0U };
	struct user *a = &self->user;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pasids); i++) {
		struct attach_pasid arg = {
			.argsz = sizeof(arg),
			.flags = ATTACH_PASID,
			.pt_id = a->own.id,
			.pasid = pasids[i],
		};

		EXPECT_GT(0, vdev_ioctl(&a->vdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
					&arg))
			TH_LOG("PASID %#x", pasids[i]);
		arg.argsz = offsetof(struct attach_pasid, pasid);
		EXPECT_GT(0, vdev_ioctl(&a->vdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
					&arg));
	}
	EXPECT_EQ(0, user_work(a));
}

TEST_F(dma_cdev, viommu_of_an_unsupported_type_is_refused)
{
	struct user *a = &self->user;
	__u32 type;

	for (type = 0; type < 4; type++) {
		struct viommu_alloc alloc = {
			.size = sizeof(alloc),
			.type = type,
			.dev_id = a->vdev.id,
			.hwpt_id = a->own.id,
		};

		EXPECT_EQ(-1, ioctl(a->own.fd, VIOMMU_ALLOC, &alloc))
			TH_LOG("type %u", type);
	}
	EXPECT_EQ(0, user_work(a));
}

TEST_F(dma_cdev, nothing_is_written_after_detach)
{
	struct user *a = &self->user;
	__u8 *to = user_buf(a, MIB);
	bool left = false;
	int i;

	for (i = 0; !left && i < TRIES; i++) {
		submit_much(a);
		ASSERT_EQ(0, vdev_detach(&a->vdev));
		left = stopped(to);
		EXPECT_TRUE(stays_clear(to));
		ASSERT_EQ(0, vdev_attach(&a->vdev, a->own.id));
		ASSERT_EQ(0, user_restart(a));
	}
	EXPECT_TRUE(left);
	check_copy(_metadata, a, 0, MIB, 0, PAGE);
}

struct attacher {
	struct vdev *vdev;
	__u32 pt[3];
	atomic_bool over;
	atomic_int changes;
	int failed;
};

static void *attach_in_turn(void *arg)
{
	struct attacher *at = arg;

	while (!at->over) {
		if (vdev_attach(at->vdev, at->pt[at->changes % 3]))
			at->failed++;
		at->changes++;
		usleep(500);
	}

	return NULL;
}

TEST_F(dma_cdev, hwpt_changes_under_load)
{
	struct user *a = &self->user;
	struct attacher at = { .vdev = &a->vdev };
	__u8 *page[3], *guard;
	struct ioas other[2];
	pthread_t thread;
	int i, j, done = 0;

	/* One address in three address spaces: three different pages */
	guard = user_buf(a, MIB - PAGE);
	memset(guard, 0, MIB);
	for (i = 0; i < 3; i++) {
		struct ioas *ioas = i ? &other[i - 1] : &a->own;

		page[i] = guard + (2 * i + 1) * PAGE;
		if (i) {
			ASSERT_EQ(0, ioas_open_sibling(ioas, &a->own));
			ASSERT_EQ(0, ioas_map(ioas, a->mem, a->iova, PAGE,
					      PROT_READ | PROT_WRITE));
		}
		ASSERT_EQ(0, ioas_map(ioas, page[i], NOWHERE, PAGE,
				      PROT_READ | PROT_WRITE));
		ASSERT_EQ(0, hwpt_alloc(ioas, a->vdev.id, &at.pt[i]));
	}
	ASSERT_EQ(0, pthread_create(&thread, NULL, attach_in_turn, &at));
	/* On a busy machine, the thread may need longer to begin. */
	for (i = 0; i < 200 || !at.changes; i++) {
		__u32 val = 0x01010101U * (i % 255 + 1);
		int ret = engine_run(&a->engine,
				     engine_fill(IN_MEMORY, NOWHERE, PAGE,
						 val));

		/* The engine may run while no IOAS is attached. */
		if (ret) {
			EXPECT_EQ(-EIO, ret);
			ASSERT_EQ(0, user_restart(a));
			continue;
		}
		done++;
	}
	at.over = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, at.failed);
	EXPECT_LT(0, done);
	/* Beside the three pages nothing has been touched. */
	for (i = 0; i < 4; i++)
		EXPECT_TRUE(all_bytes(guard + 2 * i * PAGE, PAGE, 0));

	/* Then each of them is attached alone. */
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, vdev_attach(&a->vdev, at.pt[i]));
		ASSERT_EQ(0, user_restart(a));
		for (j = 0; j < 3; j++)
			memset(page[j], 0, PAGE);
		ASSERT_EQ(0, engine_run(&a->engine,
					engine_fill(IN_MEMORY, NOWHERE, PAGE,
						    ~0U)));
		for (j = 0; j < 3; j++)
			EXPECT_TRUE(all_bytes(page[j], PAGE,
					      i == j ? 0xff : 0));
	}
	ASSERT_EQ(0, vdev_attach(&a->vdev, a->own.id));
	EXPECT_EQ(0, hwpt_free(&a->own, at.pt[0]));
	for (i = 1; i < 3; i++) {
		EXPECT_EQ(0, hwpt_free(&a->own, at.pt[i]));
		ioas_close(&other[i - 1]);
	}
	TH_LOG("%d fills, %d changes", done, at.changes);
}

TEST_F(dma_cdev, hwpt_of_another_vgpu_shares_what_that_sees)
{
	struct user *a = &self->user;
	struct user b = {};
	__u8 *page = user_buf(a, MIB);
	struct ioas ioas_b;
	__u32 pt;

	ASSERT_EQ(0, vf_set_type(self->pf.vf[1], vf_type(a->vf)));
	ASSERT_EQ(0, ioas_open_sibling(&ioas_b, &a->own));
	ASSERT_EQ(0, user_open_in(&b, self->pf.vf[1], &ioas_b, USER_IOVA));
	ASSERT_EQ(0, hwpt_alloc(&a->own, a->vdev.id, &pt));
	ASSERT_EQ(0, ioas_map(&a->own, page, NOWHERE, PAGE,
			      PROT_READ | PROT_WRITE));
	memset(page, 0, PAGE);

	/* Before the device is attached, it cannot access the memory. */
	EXPECT_EQ(-EIO, engine_run(&b.engine, engine_fill(IN_MEMORY, NOWHERE,
							  PAGE, ~0U)));
	EXPECT_TRUE(all_bytes(page, PAGE, 0));
	ASSERT_EQ(0, vdev_attach(&b.vdev, pt));
	/* b's ring is at a's address, and in a's memory now. */
	ASSERT_EQ(0, engine_start(&b.engine, a->mem, a->iova, USER_RING));
	EXPECT_EQ(0, engine_run(&b.engine, engine_fill(IN_MEMORY, NOWHERE,
						       PAGE, 0x0b0b0b0b)));
	EXPECT_TRUE(all_bytes(page, PAGE, 0x0b));
	ASSERT_EQ(0, vdev_attach(&b.vdev, ioas_b.id));
	ASSERT_EQ(0, user_restart(&b));
	EXPECT_EQ(-EIO, engine_run(&b.engine, engine_fill(IN_MEMORY, NOWHERE,
							  PAGE, ~0U)));
	EXPECT_TRUE(all_bytes(page, PAGE, 0x0b));
	user_close(&b);
	EXPECT_EQ(0, hwpt_free(&a->own, pt));
	ioas_close(&ioas_b);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv, gpu_missing());
}
