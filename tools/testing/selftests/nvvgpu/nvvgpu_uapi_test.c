// SPDX-License-Identifier: GPL-2.0
/*
 * What the VFIO device of a vGPU promises to its user, whatever its type and its
 * back-end: ioctls, regions, configuration space, interrupts, reset and power.
 */
#include <fcntl.h>
#include <stdint.h>

#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "subject.h"

#define CONFIG		VFIO_PCI_CONFIG_REGION_INDEX
#define CONFIG_SIZE	256
#define CONFIG_EXT_SIZE	4096

FIXTURE(uapi) {
	struct subject s;
	struct ioas ioas;
	struct vdev vdev;
};

FIXTURE_VARIANT(uapi) {
	enum subject_kind kind;
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(uapi, q) { .kind = SUBJECT_Q };
FIXTURE_VARIANT_ADD(uapi, c) { .kind = SUBJECT_C };
FIXTURE_VARIANT_ADD(uapi, b) { .kind = SUBJECT_B };
FIXTURE_VARIANT_ADD(uapi, a) { .kind = SUBJECT_A };
FIXTURE_VARIANT_ADD(uapi, bochs) { .kind = SUBJECT_BOCHS };
FIXTURE_VARIANT_ADD(uapi, generic) { .kind = SUBJECT_CUT };

FIXTURE_VARIANT_ADD(uapi, q_type1) {
	.kind = SUBJECT_Q, .mode = IOMMU_TYPE1,
};

FIXTURE_SETUP(uapi)
{
	int ret;

	vdev_init(&self->vdev, "", &self->ioas);
	ret = subject_prepare(&self->s, variant->kind, &self->ioas,
			      variant->mode);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "no such vGPU or address space here");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, vf_set_type(self->s.vf, self->s.type.id));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->s.vf, &self->ioas));
	ASSERT_EQ(0, vdev_enable(&self->vdev, false));
}

FIXTURE_TEARDOWN(uapi)
{
	vdev_close(&self->vdev);
	ioas_close(&self->ioas);
	subject_drop(&self->s);
}

/* Check that the vGPU has its ids, and that its BARs respond. */
static void check_alive(struct __test_metadata *_metadata,
			const struct subject *s, const struct vdev *vdev)
{
	__u32 magic = 0;

	EXPECT_EQ(s->ids, vdev_cfg_read32(vdev, PCI_VENDOR_ID));
	EXPECT_EQ(s->class, vdev_cfg_read32(vdev, PCI_CLASS_REVISION) >> 8);
	EXPECT_EQ(s->subsystem, vdev_cfg_read32(vdev,
						PCI_SUBSYSTEM_VENDOR_ID));
	ASSERT_EQ(0, vdev_enable(vdev, false));
	EXPECT_EQ(4, vdev_read(vdev, s->bar, 0, &magic, 4));
	if (!s->emulated)
		return;
	EXPECT_EQ(4, vdev_read(vdev, NVVGPU_EMU_VF_BAR_REGS,
			       NVVGPU_EMU_VF_REG_MAGIC, &magic, 4));
	EXPECT_EQ(NVVGPU_EMU_VF_MAGIC, magic);
}

/* ioctls */

/* All sizes below the minimum of an ioctl are refused, and the minimum is not. */
static void check_argsz(struct __test_metadata *_metadata,
			const struct vdev *vdev, unsigned long request,
			void *arg, __u32 min, int ok)
{
	__u32 *argsz = arg;

	for (*argsz = 0; *argsz < min; ++*argsz) {
		EXPECT_EQ(-EINVAL, vdev_ioctl(vdev, request, arg))
			TH_LOG("ioctl %#lx, argsz %u", request, *argsz);
	}
	EXPECT_EQ(ok, vdev_ioctl(vdev, request, arg))
		TH_LOG("ioctl %#lx, argsz %u", request, min);
}

TEST_F(uapi, argsz_of_every_ioctl_is_checked)
{
	struct vfio_pci_hot_reset_info reset_info = {};
	union {
		struct {
			__u32 argsz;
			__u32 flags;
			__u32 count;
			__s32 group;
		};
		struct vfio_pci_hot_reset reset;
	} hot_reset = { .count = 1, .group = -1 };
	struct vfio_device_feature feature = {
		.flags = VFIO_DEVICE_FEATURE_PROBE |
			 VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
	};
	struct vdev *vdev = &self->vdev;
	struct vfio_device_info info = {};
	struct vfio_region_info region = {};
	struct vfio_irq_info irq = {};
	struct vfio_irq_set set = {
		.flags = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_NONE,
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
	};

	check_argsz(_metadata, vdev, VFIO_DEVICE_GET_INFO, &info,
		    offsetof(struct vfio_device_info, cap_offset), 0);
	check_argsz(_metadata, vdev, VFIO_DEVICE_GET_REGION_INFO, &region,
		    sizeof(region), 0);
	check_argsz(_metadata, vdev, VFIO_DEVICE_GET_IRQ_INFO, &irq,
		    sizeof(irq), 0);
	/* Disabling interrupts that are not enabled is refused. */
	check_argsz(_metadata, vdev, VFIO_DEVICE_SET_IRQS, &set, sizeof(set),
		    -EINVAL);
	check_argsz(_metadata, vdev, VFIO_DEVICE_FEATURE, &feature,
		    sizeof(feature), 0);
	check_argsz(_metadata, vdev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
		    &reset_info, sizeof(reset_info), -ENOSPC);
	check_argsz(_metadata, vdev, VFIO_DEVICE_PCI_HOT_RESET, &hot_reset,
		    sizeof(hot_reset.reset),
		    variant->mode == IOMMU_IOMMUFD ? -EINVAL : -EBADF);
}

TEST_F(uapi, flags_and_indexes_of_every_ioctl_are_checked)
{
	struct vfio_pci_hot_reset hot_reset = {
		.argsz = sizeof(hot_reset),
		.flags = 1,
		.count = variant->mode != IOMMU_IOMMUFD,
	};
	static const __u32 beyond[] = { 1, 2, 1000, 0x7fffffff, ~0U };
	static const unsigned long unknown[] = {
		_IO(VFIO_TYPE, VFIO_BASE + 99), _IO(VFIO_TYPE, 0),
		_IO(VFIO_TYPE, VFIO_BASE + 0), _IO('x', VFIO_BASE + 7),
		_IOWR(VFIO_TYPE, VFIO_BASE + 7, int), 0, ~0U,
	};
	struct vfio_region_info region = { .argsz = sizeof(region) };
	struct vfio_irq_info irq = { .argsz = sizeof(irq) };
	struct vfio_device_info info;
	unsigned int i;

	ASSERT_EQ(0, vdev_info(&self->vdev, &info));
	EXPECT_TRUE(info.flags & VFIO_DEVICE_FLAGS_PCI);
	EXPECT_TRUE(info.flags & VFIO_DEVICE_FLAGS_RESET);
	EXPECT_LE(VFIO_PCI_NUM_REGIONS, info.num_regions);
	EXPECT_EQ(VFIO_PCI_NUM_IRQS, info.num_irqs);

	for (i = 0; i < ARRAY_SIZE(beyond); i++) {
		region.index = info.num_regions - 1 + beyond[i];
		/* Which wraps round with the last one */
		if (region.index < info.num_regions)
			region.index = ~0U;
		EXPECT_EQ(-EINVAL, vdev_ioctl(&self->vdev,
					      VFIO_DEVICE_GET_REGION_INFO,
					      &region))
			TH_LOG("region %u", region.index);
		irq.index = info.num_irqs - 1 + beyond[i];
		if (irq.index < info.num_irqs)
			irq.index = ~0U;
		EXPECT_EQ(-EINVAL, vdev_ioctl(&self->vdev,
					      VFIO_DEVICE_GET_IRQ_INFO, &irq))
			TH_LOG("interrupt %u", irq.index);
	}

	EXPECT_EQ(-EINVAL, vdev_ioctl(&self->vdev, VFIO_DEVICE_PCI_HOT_RESET,
				      &hot_reset));
	/* A cdev has no group ioctls. */
	hot_reset.flags = 0;
	hot_reset.count = !hot_reset.count;
	EXPECT_EQ(-EINVAL, vdev_ioctl(&self->vdev, VFIO_DEVICE_PCI_HOT_RESET,
				      &hot_reset));
	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		EXPECT_EQ(-ENOTTY, vdev_ioctl(&self->vdev, unknown[i], &info))
			TH_LOG("ioctl %#lx", unknown[i]);
	}
}

TEST_F(uapi, addresses_of_every_ioctl_are_checked)
{
	static const unsigned long requests[] = {
		VFIO_DEVICE_GET_INFO, VFIO_DEVICE_GET_REGION_INFO,
		VFIO_DEVICE_GET_IRQ_INFO, VFIO_DEVICE_SET_IRQS,
		VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, VFIO_DEVICE_PCI_HOT_RESET,
		VFIO_DEVICE_FEATURE,
	};
	char *page, buf[8];
	unsigned int i;

	page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, munmap(page + PAGE, PAGE));
	memset(page, 0xff, PAGE);
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		EXPECT_EQ(-EFAULT, vdev_ioctl(&self->vdev, requests[i], NULL));
		/* The first word is there. */
		EXPECT_EQ(-EFAULT, vdev_ioctl(&self->vdev, requests[i],
					      page + PAGE - 4))
			TH_LOG("ioctl %u", i);
	}
	EXPECT_EQ(-EFAULT, vdev_read(&self->vdev, CONFIG, 0, NULL, 4));
	EXPECT_EQ(-EFAULT, vdev_write(&self->vdev, CONFIG, PCI_COMMAND, NULL,
				      2));
	EXPECT_EQ(-EFAULT, vdev_read(&self->vdev, self->s.bar, 0, NULL, 4));
	EXPECT_EQ(-EFAULT, vdev_write(&self->vdev, self->s.bar, 0, NULL, 4));
	/* Config space over the end of the page: all, some or nothing */
	EXPECT_GE(4, vdev_read(&self->vdev, CONFIG, 0, page + PAGE - 4, 64));
	EXPECT_EQ(8, vdev_read(&self->vdev, CONFIG, 0, buf, 8));
	munmap(page, PAGE);
	check_alive(_metadata, &self->s, &self->vdev);
}

TEST_F(uapi, every_feature_answers_every_flag)
{
	const __u32 probe = VFIO_DEVICE_FEATURE_PROBE;
	const __u32 get = VFIO_DEVICE_FEATURE_GET;
	const __u32 set = VFIO_DEVICE_FEATURE_SET;
	struct vfio_device_feature feature = { .argsz = sizeof(feature) };
	__u32 i;

	for (i = 0; i < 32; i++) {
		int any = vdev_feature(&self->vdev, i | probe, NULL, 0);
		int can_get = vdev_feature(&self->vdev, i | probe | get, NULL,
					   0);
		int can_set = vdev_feature(&self->vdev, i | probe | set, NULL,
					   0);
		int both = vdev_feature(&self->vdev, i | probe | get | set,
					NULL, 0);

		/* A feature that the device lacks is refused for all flags. */
		if (any) {
			EXPECT_TRUE(any == -ENOTTY || any == -EOPNOTSUPP ||
				    any == -EINVAL)
				TH_LOG("feature %u: %d", i, any);
			EXPECT_EQ(any, can_get);
			EXPECT_EQ(any, can_set);
			EXPECT_EQ(any, both);
			EXPECT_EQ(any, vdev_feature(&self->vdev, i | get, NULL,
						    0));
			EXPECT_EQ(any, vdev_feature(&self->vdev, i | set, NULL,
						    0));
			continue;
		}
		EXPECT_TRUE(!can_get || !can_set)
			TH_LOG("feature %u", i);
		EXPECT_EQ(can_get && can_set ? -EINVAL : can_get ?: can_set,
			  both)
			TH_LOG("feature %u", i);
		EXPECT_TRUE(!can_get || can_get == -EINVAL);
		EXPECT_TRUE(!can_set || can_set == -EINVAL);
		if (can_get)
			EXPECT_EQ(-EINVAL, vdev_feature(&self->vdev, i | get,
							NULL, 0));
		if (can_set)
			EXPECT_EQ(-EINVAL, vdev_feature(&self->vdev, i | set,
							NULL, 0));
		/* Neither and both, and for real */
		EXPECT_EQ(-EINVAL, vdev_feature(&self->vdev, i, NULL, 0));
		EXPECT_EQ(-EINVAL, vdev_feature(&self->vdev, i | get | set,
						NULL, 0));
		/* A feature that returns data needs a buffer. */
		if (!can_get) {
			EXPECT_EQ(-EINVAL, vdev_feature(&self->vdev, i | get,
							NULL, 0))
				TH_LOG("feature %u", i);
		}
	}

	for (i = 19; i < 32; i++) {
		feature.flags = VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | probe |
				1U << i;
		EXPECT_EQ(-EINVAL, vdev_ioctl(&self->vdev, VFIO_DEVICE_FEATURE,
					      &feature))
			TH_LOG("flag %u", i);
	}
	check_alive(_metadata, &self->s, &self->vdev);
}

/* Regions */

TEST_F(uapi, info_read_write_and_mmap_agree_on_every_region)
{
	struct vdev *vdev = &self->vdev;
	struct vfio_region_info info;
	struct vfio_device_info dinfo;
	bool mapped = false;
	__u64 word = 0;
	__u32 i, first;

	ASSERT_EQ(0, vdev_info(vdev, &dinfo));
	/* nvvgpu_display_test has those of a display. */
	for (i = 0; i < VFIO_PCI_NUM_REGIONS; i++) {
		int ret = vdev_region_info(vdev, i, &info);

		if (i == VFIO_PCI_VGA_REGION_INDEX) {
			EXPECT_EQ(-EINVAL, ret);
			continue;
		}
		ASSERT_EQ(0, ret);
		EXPECT_EQ(i, info.index);
		EXPECT_EQ((__u64)i << 40, info.offset);
		if (!info.size) {
			EXPECT_EQ(0, info.flags);
			EXPECT_EQ(-EINVAL, vdev_read(vdev, i, 0, &word, 4));
			EXPECT_EQ(-EINVAL, vdev_write(vdev, i, 0, &word, 4));
			EXPECT_EQ(-EINVAL, vdev_try_mmap(vdev, i, 0, PAGE));
			continue;
		}
		EXPECT_TRUE(info.flags & VFIO_REGION_INFO_FLAG_READ);
		EXPECT_TRUE(info.flags & VFIO_REGION_INFO_FLAG_WRITE);
		if (i == CONFIG) {
			EXPECT_TRUE(info.size == CONFIG_SIZE ||
				    info.size == CONFIG_EXT_SIZE);
			EXPECT_FALSE(info.flags & VFIO_REGION_INFO_FLAG_MMAP);
			EXPECT_EQ(-EINVAL, vdev_try_mmap(vdev, i, 0, PAGE));
			EXPECT_EQ(1, vdev_read(vdev, i, info.size - 1, &word,
					       1));
			EXPECT_EQ(-EFAULT, vdev_read(vdev, i, info.size, &word,
						     1));
			EXPECT_EQ(-EFAULT, vdev_write(vdev, i, info.size, &word,
						      1));
			EXPECT_EQ(-EFAULT, vdev_read(vdev, i, info.size - 1,
						     &word, 2));
			continue;
		}

		EXPECT_EQ(0, info.size & (info.size - 1))
			TH_LOG("BAR %u: %llu bytes", i, info.size);
		EXPECT_TRUE(info.flags & VFIO_REGION_INFO_FLAG_MMAP);
		if (i == self->s.bar)
			EXPECT_EQ(self->s.bar_size, info.size);
		mapped |= i == self->s.bar;

		/* Both edges; an access across the end is truncated. */
		EXPECT_EQ(4, vdev_read(vdev, i, 0, &first, 4));
		EXPECT_EQ(4, vdev_read(vdev, i, info.size - 4, &word, 4));
		EXPECT_EQ(4, vdev_read(vdev, i, info.size - 4, &word, 8));
		EXPECT_EQ(1, vdev_read(vdev, i, info.size - 1, &word, 8));
		EXPECT_EQ(3, vdev_read(vdev, i, info.size - 3, &word, 8));
		EXPECT_EQ(-EINVAL, vdev_read(vdev, i, info.size, &word, 4));
		EXPECT_EQ(-EINVAL, vdev_write(vdev, i, info.size, &word, 4));
		EXPECT_EQ(-EINVAL, vdev_read(vdev, i, info.size + PAGE, &word,
					     1));
		EXPECT_EQ(-EINVAL, vdev_write(vdev, i, (1ULL << 40) - 1, &word,
					      1));

		EXPECT_EQ(0, vdev_try_mmap(vdev, i, 0, info.size));
		EXPECT_EQ(0, vdev_try_mmap(vdev, i, 0, PAGE));
		EXPECT_EQ(0, vdev_try_mmap(vdev, i, info.size - PAGE, PAGE));
		EXPECT_EQ(-EINVAL, vdev_try_mmap(vdev, i, 0,
						 info.size + PAGE));
		EXPECT_EQ(-EINVAL, vdev_try_mmap(vdev, i, info.size - PAGE,
						 2 * PAGE));
		EXPECT_EQ(-EINVAL, vdev_try_mmap(vdev, i, info.size, PAGE));
		EXPECT_EQ(-EINVAL, vdev_try_mmap(vdev, i, (1ULL << 40) - PAGE,
						 PAGE));
		/* Into the next region */
		EXPECT_EQ(-EINVAL, vdev_try_mmap(vdev, i, (1ULL << 40) - PAGE,
						 2 * PAGE));
		/* A private mapping would be memory, not the device. */
		EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE,
					   vdev->fd, info.offset));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_TRUE(mapped);

	/* Beyond the last region, and at the largest offset */
	for (i = dinfo.num_regions; i < 1U << 23; i = i * 2 + 1) {
		off_t pos = (off_t)i << 40;

		EXPECT_EQ(-1, pread(vdev->fd, &word, 4, pos));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-1, pwrite(vdev->fd, &word, 4, pos));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED,
					   vdev->fd, pos));
		EXPECT_EQ(EINVAL, errno);
	}
}

TEST_F(uapi, capabilities_of_a_region_need_room)
{
	struct {
		struct vfio_region_info info;
		__u8 caps[256];
	} r = { .info.argsz = sizeof(r.info) };
	const struct vfio_info_cap_header *cap = (void *)r.caps;
	struct vdev *vdev = &self->vdev;
	unsigned int msix = vdev_find_cap(vdev, PCI_CAP_ID_MSIX);
	__u32 room, i;

	/* The BAR with the MSI-X table can be mapped nevertheless. */
	ASSERT_NE(0, msix);
	r.info.index = vdev_cfg_read32(vdev, msix + PCI_MSIX_TABLE) &
		       PCI_MSIX_TABLE_BIR;
	ASSERT_EQ(0, vdev_ioctl(vdev, VFIO_DEVICE_GET_REGION_INFO, &r));
	EXPECT_TRUE(r.info.flags & VFIO_REGION_INFO_FLAG_CAPS);
	EXPECT_EQ(0, r.info.cap_offset);
	room = r.info.argsz;
	ASSERT_LT(sizeof(r.info), room);
	ASSERT_GT(sizeof(r), room);

	for (i = 0; i < 2; i++) {
		memset(r.caps, 0xee, sizeof(r.caps));
		r.info.argsz = room - 1 + i;
		ASSERT_EQ(0, vdev_ioctl(vdev, VFIO_DEVICE_GET_REGION_INFO,
					&r));
		EXPECT_EQ(room, r.info.argsz);
		EXPECT_EQ(i ? sizeof(r.info) : 0, r.info.cap_offset);
		EXPECT_TRUE(all_bytes(r.caps + (i ? room - sizeof(r.info) : 0),
				      64, 0xee));
	}
	EXPECT_EQ(VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, cap->id);
	EXPECT_EQ(0, cap->next);
}

TEST_F(uapi, odd_sizes_at_odd_offsets)
{
	struct vdev *vdev = &self->vdev;
	__u8 whole[64], piece[64], out[32];
	unsigned int at, len;
	const __u64 far = self->s.bar_size - 64;

	/* Configuration space reads the same with all access sizes. */
	ASSERT_EQ(64, vdev_read(vdev, CONFIG, 0, whole, 64));
	for (at = 0; at < 16; at++)
		for (len = 1; len < 48; len += 1 + len / 4) {
			EXPECT_EQ(len, vdev_read(vdev, CONFIG, at, piece, len));
			EXPECT_EQ(0, memcmp(piece, whole + at, len))
				TH_LOG("%u bytes at %u", len, at);
		}
	if (!self->s.emulated)
		return;

	/* Writes change the framebuffer only where they should. */
	for (at = 0; at < 9; at++)
		for (len = 1; len < 32; len += 1 + len / 4) {
			memset(whole, 0xee, 64);
			pattern(out, len, at * 32 + len);
			ASSERT_EQ(64, vdev_write(vdev, self->s.bar, far, whole,
						 64));
			ASSERT_EQ(len, vdev_write(vdev, self->s.bar, far + at,
						  out, len));
			ASSERT_EQ(64, vdev_read(vdev, self->s.bar, far, piece,
						64));
			memcpy(whole + at, out, len);
			EXPECT_EQ(0, memcmp(piece, whole, 64))
				TH_LOG("%u bytes at +%u", len, at);
			EXPECT_EQ(len, vdev_read(vdev, self->s.bar, far + at,
						 piece, len));
			EXPECT_EQ(0, memcmp(piece, out, len));
		}

	/* Registers have 32 bits: write whole ones, read any part. */
	pattern(out, 16, 1);
	ASSERT_EQ(16, vdev_write(vdev, NVVGPU_EMU_VF_BAR_REGS,
				 NVVGPU_EMU_VF_REG_SCRATCH, out, 16));
	for (at = 0; at < 16; at++)
		for (len = 1; at + len <= 16; len++) {
			EXPECT_EQ(len, vdev_read(vdev, NVVGPU_EMU_VF_BAR_REGS,
						 NVVGPU_EMU_VF_REG_SCRATCH + at,
						 piece, len));
			EXPECT_EQ(0, memcmp(piece, out + at, len))
				TH_LOG("%u bytes at +%u", len, at);
		}
}

/* vfio-pci-core would let them reach beyond the shape of a BAR. */
TEST_F(uapi, ioeventfds_are_not_offered)
{
	struct vfio_device_ioeventfd ioeventfd = {
		.argsz = sizeof(ioeventfd),
		.flags = VFIO_DEVICE_IOEVENTFD_32,
	};
	struct vfio_region_info info;
	int fd;

	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_LE(0, fd);
	ioeventfd.fd = fd;
	ASSERT_EQ(0, vdev_region_info(&self->vdev, self->s.bar, &info));
	ioeventfd.offset = info.offset + info.size - 4;
	EXPECT_EQ(-ENOTTY, vdev_ioctl(&self->vdev, VFIO_DEVICE_IOEVENTFD,
				      &ioeventfd));
	ioeventfd.offset = info.offset + info.size;
	EXPECT_EQ(-ENOTTY, vdev_ioctl(&self->vdev, VFIO_DEVICE_IOEVENTFD,
				      &ioeventfd));
	close(fd);
}

/* Configuration space */

/* Standard capabilities: where, and what */
static unsigned int caps(const struct vdev *vdev, __u16 *list)
{
	unsigned int n = 0, pos = vdev_cfg_read8(vdev, PCI_CAPABILITY_LIST);

	for (; pos >= 64 && n < 48; n++) {
		list[n] = pos << 8 | vdev_cfg_read8(vdev, pos);
		pos = vdev_cfg_read8(vdev, pos + PCI_CAP_LIST_NEXT);
	}

	return n;
}

TEST_F(uapi, identity_is_that_of_the_type_and_read_only)
{
	static const unsigned int regs[] = {
		PCI_VENDOR_ID, PCI_CLASS_REVISION, PCI_SUBSYSTEM_VENDOR_ID,
	};
	const __u32 want[] = {
		self->s.ids, self->s.class << 8, self->s.subsystem,
	};
	struct vdev *vdev = &self->vdev;
	unsigned int i, byte;

	for (i = 0; i < ARRAY_SIZE(regs); i++) {
		unsigned int reg = regs[i];
		__u32 now = vdev_cfg_read32(vdev, reg);

		EXPECT_EQ(want[i], reg == PCI_CLASS_REVISION ? now & ~0xffU :
							       now)
			TH_LOG("register %#x is %#x", reg, now);
		EXPECT_EQ(now & 0xffff, vdev_cfg_read16(vdev, reg));
		EXPECT_EQ(now >> 16, vdev_cfg_read16(vdev, reg + 2));
		for (byte = 0; byte < 4; byte++) {
			EXPECT_EQ((now >> 8 * byte) & 0xff,
				  vdev_cfg_read8(vdev, reg + byte));
			EXPECT_EQ(0, vdev_cfg_write8(vdev, reg + byte, 0x55));
		}
		EXPECT_EQ(0, vdev_cfg_write16(vdev, reg, 0xaaaa));
		EXPECT_EQ(0, vdev_cfg_write16(vdev, reg + 2, 0xaaaa));
		EXPECT_EQ(0, vdev_cfg_write32(vdev, reg, ~now));
		EXPECT_EQ(now, vdev_cfg_read32(vdev, reg));
	}
}

TEST_F(uapi, write_masks_of_the_header_and_the_capabilities)
{
	/* Bits that a VF's user may change, BARs apart */
	static const struct {
		unsigned int reg;
		__u32 mask;
	} header[] = {
		{ PCI_VENDOR_ID, 0 },
		{ PCI_COMMAND, 0x7ff },
		{ PCI_CLASS_REVISION, 0 },
		{ PCI_CARDBUS_CIS, 0 },
		{ PCI_SUBSYSTEM_VENDOR_ID, 0 },
		{ PCI_ROM_ADDRESS, 0 },
		{ PCI_CAPABILITY_LIST, 0 },
		{ 0x38, 0 },
		{ PCI_INTERRUPT_LINE, 0xff },
	};
	struct vdev *vdev = &self->vdev;
	unsigned int i, n, pos;
	__u16 list[48];
	__u32 old, now;

	for (i = 0; i < ARRAY_SIZE(header); i++) {
		old = vdev_cfg_read32(vdev, header[i].reg);
		EXPECT_EQ(0, vdev_cfg_write32(vdev, header[i].reg, ~0U));
		now = vdev_cfg_read32(vdev, header[i].reg);
		EXPECT_EQ(0, (old ^ now) & ~header[i].mask)
			TH_LOG("register %#x: %#x became %#x", header[i].reg,
			       old, now);
		EXPECT_EQ(0, vdev_cfg_write32(vdev, header[i].reg, old));
		EXPECT_EQ(old, vdev_cfg_read32(vdev, header[i].reg));
	}
	/* An interrupt pin would promise INTx, which no VF has. */
	EXPECT_EQ(0, vdev_cfg_read8(vdev, PCI_INTERRUPT_PIN));

	n = caps(vdev, list);
	ASSERT_LT(1, n);
	for (i = 0; i < n; i++) {
		pos = list[i] >> 8;
		old = vdev_cfg_read16(vdev, pos);
		EXPECT_EQ(0, vdev_cfg_write16(vdev, pos, ~old));
		EXPECT_EQ(old, vdev_cfg_read16(vdev, pos));
	}

	pos = vdev_find_cap(vdev, PCI_CAP_ID_MSIX);
	ASSERT_NE(0, pos);
	for (i = 0; i < 12; i += 4) {
		old = vdev_cfg_read32(vdev, pos + i);
		EXPECT_EQ(0, vdev_cfg_write32(vdev, pos + i, ~old));
		EXPECT_EQ(old, vdev_cfg_read32(vdev, pos + i))
			TH_LOG("MSI-X +%u", i);
	}
	pos = vdev_find_cap(vdev, PCI_CAP_ID_EXP);
	ASSERT_NE(0, pos);
	for (i = PCI_EXP_FLAGS; i < PCI_EXP_DEVCTL; i++) {
		old = vdev_cfg_read8(vdev, pos + i);
		EXPECT_EQ(0, vdev_cfg_write8(vdev, pos + i, ~old));
		EXPECT_EQ(old, vdev_cfg_read8(vdev, pos + i));
	}
}

TEST_F(uapi, bars_size_as_region_info_says)
{
	static const __u32 probes[] = { ~0U, 0xfffffff0, 0 };
	struct vdev *vdev = &self->vdev;
	struct vfio_region_info info;
	unsigned int bar, i, sized = 0;

	for (bar = 0; bar < VDEV_NR_BARS; bar++) {
		unsigned int reg = PCI_BASE_ADDRESS_0 + 4 * bar;
		__u32 old = vdev_cfg_read32(vdev, reg), low = 0, high = ~0U;
		__u64 mask;
		bool wide = old & PCI_BASE_ADDRESS_MEM_TYPE_64;

		ASSERT_EQ(0, vdev_region_info(vdev, bar, &info));
		for (i = 0; i < ARRAY_SIZE(probes); i++) {
			EXPECT_EQ(0, vdev_cfg_write32(vdev, reg, probes[i]));
			low = vdev_cfg_read32(vdev, reg);
			/* The type bits cannot be changed. */
			EXPECT_EQ(old & 0xf, low & 0xf);
		}
		EXPECT_EQ(0, low & ~0xfU);
		for (i = 0; i < 4; i++)
			EXPECT_EQ(0, vdev_cfg_write8(vdev, reg + i, 0xff));
		low = vdev_cfg_read32(vdev, reg);
		if (wide) {
			__u32 old_high = vdev_cfg_read32(vdev, reg + 4);

			vdev_cfg_write32(vdev, reg + 4, ~0U);
			high = vdev_cfg_read32(vdev, reg + 4);
			vdev_cfg_write32(vdev, reg + 4, old_high);
			EXPECT_EQ(old_high, vdev_cfg_read32(vdev, reg + 4));
		}
		mask = (__u64)high << 32 | (low & ~0xfU);
		if (info.size) {
			EXPECT_EQ(info.size, -mask)
				TH_LOG("BAR %u: mask %#llx", bar, mask);
			sized++;
		} else {
			EXPECT_EQ(0, low);
		}
		vdev_cfg_write32(vdev, reg, old);
		EXPECT_EQ(old, vdev_cfg_read32(vdev, reg));
		bar += wide;
	}
	EXPECT_LT(1, sized);

	/* The guest may set any address. */
	ASSERT_EQ(0, vdev_cfg_write32(vdev, PCI_BASE_ADDRESS_0 + 4 *
				      self->s.bar, 0));
	check_alive(_metadata, &self->s, vdev);
}

/* The registers of the hardware, as read by the host */
static int host_config(const char *bdf, __u8 *buf)
{
	int ret = pci_read(bdf, "config", (char *)buf, 65);

	/* What changes by itself */
	memset(buf + PCI_COMMAND, 0, 4);
	buf[PCI_INTERRUPT_LINE] = 0;

	return ret;
}

TEST_F(uapi, writes_to_all_of_config_space_do_no_harm)
{
	static const __u32 values[] = { ~0U, 0, 0x5a5a5a5a };
	__u8 pf[65], vf[65], vf2[65], now[65];
	struct vdev *vdev = &self->vdev;
	struct vfio_region_info info;
	__u16 list[48], list_now[48];
	unsigned int at, v, n, size;

	ASSERT_EQ(64, host_config(self->s.pf.bdf, pf));
	ASSERT_EQ(64, host_config(self->s.vf, vf));
	ASSERT_EQ(64, host_config(self->s.vf2, vf2));
	ASSERT_EQ(0, vdev_region_info(vdev, CONFIG, &info));
	n = caps(vdev, list);

	for (v = 0; v < ARRAY_SIZE(values); v++) {
		for (size = 1; size <= 4; size *= 2)
			for (at = 0; at < CONFIG_SIZE; at += size) {
				ASSERT_EQ(size, vdev_write(vdev, CONFIG, at,
							   &values[v], size));
			}
		for (at = CONFIG_SIZE; v < 2 && at < info.size; at += 4) {
			ASSERT_EQ(4, vdev_write(vdev, CONFIG, at, &values[v],
						4));
		}
		/* Across the borders of emulated registers */
		for (at = 1; at < CONFIG_SIZE; at += 7) {
			ASSERT_EQ(3, vdev_write(vdev, CONFIG, at, &values[v],
						3));
		}
	}
	ASSERT_EQ(0, vdev_cfg_write32(vdev, PCI_COMMAND, 0));
	EXPECT_NE(-EIO, vdev_set_power(vdev, VDEV_D0));
	EXPECT_EQ(0, vdev_reset(vdev));
	check_alive(_metadata, &self->s, vdev);
	EXPECT_EQ(n, caps(vdev, list_now));
	EXPECT_EQ(0, memcmp(list, list_now, n * sizeof(list[0])));

	EXPECT_EQ(64, host_config(self->s.pf.bdf, now));
	EXPECT_EQ(0, memcmp(pf, now, 64));
	EXPECT_EQ(64, host_config(self->s.vf2, now));
	EXPECT_EQ(0, memcmp(vf2, now, 64));

	/* The next user does not see these values. */
	vdev_close(vdev);
	EXPECT_EQ(64, host_config(self->s.vf, now));
	EXPECT_EQ(0, memcmp(vf, now, 64));
	ASSERT_EQ(0, vdev_open(vdev, self->s.vf, &self->ioas));
	EXPECT_EQ(0, vdev_cfg_read16(vdev, PCI_COMMAND) & PCI_COMMAND_MASTER);
	check_alive(_metadata, &self->s, vdev);
}

/* Neither the addresses of the host, nor those of the last user */
TEST_F(uapi, bar_registers_are_zero_when_opened)
{
	unsigned int reg = PCI_BASE_ADDRESS_0 + 4 * self->s.bar;
	struct vdev *vdev = &self->vdev;
	bool wide;
	int i;

	for (i = 0; i < 2; i++) {
		wide = vdev_cfg_read32(vdev, reg) & PCI_BASE_ADDRESS_MEM_TYPE_64;
		EXPECT_EQ(0, vdev_cfg_read32(vdev, reg) & ~0xfU);
		ASSERT_EQ(0, vdev_cfg_write32(vdev, reg, 0xc0000000));
		EXPECT_EQ(0xc0000000, vdev_cfg_read32(vdev, reg) & ~0xfU);
		if (wide) {
			EXPECT_EQ(0, vdev_cfg_read32(vdev, reg + 4));
			ASSERT_EQ(0, vdev_cfg_write32(vdev, reg + 4, 0x12));
			EXPECT_EQ(0x12, vdev_cfg_read32(vdev, reg + 4));
		}
		vdev_close(vdev);
		ASSERT_EQ(0, vdev_open(vdev, self->s.vf, &self->ioas));
	}
}

TEST_F(uapi, bus_mastering_is_off_when_opened)
{
	struct vdev *vdev = &self->vdev;
	int i;

	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, vdev_cfg_read16(vdev, PCI_COMMAND) &
			     PCI_COMMAND_MASTER);
		EXPECT_EQ(0, vdev_enable(vdev, true));
		EXPECT_NE(0, vdev_cfg_read16(vdev, PCI_COMMAND) &
			     PCI_COMMAND_MASTER);
		vdev_close(vdev);
		ASSERT_EQ(0, vdev_open(vdev, self->s.vf, &self->ioas));
	}
}

/* Interrupts */

#define IRQ_ROOM	(VDEV_MAX_IRQS * sizeof(__s32))

union irq_set {
	struct vfio_irq_set set;
	char room[sizeof(struct vfio_irq_set) + IRQ_ROOM];
};

static int irqs_set(const struct vdev *vdev, __u32 flags, __u32 index,
		    __u32 start, __u32 count, const void *data, size_t len)
{
	union irq_set u = {
		.set = {
			.argsz = sizeof(u.set) + len,
			.flags = flags,
			.index = index,
			.start = start,
			.count = count,
		},
	};

	if (len)
		memcpy(u.set.data, data, len);

	return vdev_ioctl(vdev, VFIO_DEVICE_SET_IRQS, &u);
}

#define TRIGGER		VFIO_IRQ_SET_ACTION_TRIGGER
#define MSIX		VFIO_PCI_MSIX_IRQ_INDEX

TEST_F(uapi, msix_vectors_are_eventfds)
{
	const __u8 bools[3] = { 0, 1, 0 };
	struct vdev *vdev = &self->vdev;
	struct vfio_irq_info info;
	int i, none = -1, fd, n;

	ASSERT_EQ(0, vdev_irq_info(vdev, MSIX, &info));
	EXPECT_TRUE(info.flags & VFIO_IRQ_INFO_EVENTFD);
	EXPECT_FALSE(info.flags & VFIO_IRQ_INFO_MASKABLE);
	ASSERT_LE(3, info.count);
	if (self->s.emulated)
		EXPECT_EQ(NVVGPU_EMU_VF_VECTORS, info.count);
	ASSERT_EQ(0, vdev_irq_info(vdev, VFIO_PCI_INTX_IRQ_INDEX, &info));
	EXPECT_EQ(0, info.count);

	/* Looped back by VFIO; those of the hardware are another fixture's. */
	n = 3;
	ASSERT_EQ(0, vdev_msix_enable(vdev, n));
	ASSERT_EQ(0, irqs_set(vdev, TRIGGER | VFIO_IRQ_SET_DATA_NONE, MSIX, 1,
			      1, NULL, 0));
	for (i = 0; i < n; i++)
		EXPECT_EQ(i == 1, irq_wait(vdev->irq[i], 0));
	ASSERT_EQ(0, irqs_set(vdev, TRIGGER | VFIO_IRQ_SET_DATA_BOOL, MSIX, 0,
			      n, bools, n));
	for (i = 0; i < n; i++)
		EXPECT_EQ(i == 1, irq_wait(vdev->irq[i], 0));

	/* Remove and restore one vector; the others are unchanged. */
	ASSERT_EQ(0, irqs_set(vdev, TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD, MSIX,
			      1, 1, &none, 4));
	ASSERT_EQ(0, irqs_set(vdev, TRIGGER | VFIO_IRQ_SET_DATA_NONE, MSIX, 0,
			      n, NULL, 0));
	for (i = 0; i < n; i++)
		EXPECT_EQ(i != 1, irq_wait(vdev->irq[i], 0));
	fd = vdev->irq[1];
	ASSERT_EQ(0, irqs_set(vdev, TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD, MSIX,
			      1, 1, &fd, 4));
	ASSERT_EQ(0, irqs_set(vdev, TRIGGER | VFIO_IRQ_SET_DATA_NONE, MSIX, 0,
			      n, NULL, 0));
	for (i = 0; i < n; i++)
		EXPECT_EQ(1, irq_wait(vdev->irq[i], 0));

	/* One kind of interrupt at a time */
	EXPECT_EQ(-EINVAL, vdev_set_irq(vdev, VFIO_PCI_MSI_IRQ_INDEX, fd));
	EXPECT_EQ(-EINVAL, vdev_set_irq(vdev, VFIO_PCI_INTX_IRQ_INDEX, fd));
	EXPECT_EQ(0, vdev_msix_disable(vdev));
	EXPECT_EQ(-EINVAL, irqs_set(vdev, TRIGGER | VFIO_IRQ_SET_DATA_NONE,
				    MSIX, 0, 1, NULL, 0));
	/* Interrupts that are still enabled are disabled at close. */
	ASSERT_EQ(0, vdev_msix_enable(vdev, n));
}

static unsigned int msix_count(const struct vdev *vdev)
{
	struct vfio_irq_info info;

	return vdev_irq_info(vdev, MSIX, &info) ? 0 : info.count;
}

TEST_F(uapi, bad_interrupts_are_refused_and_change_nothing)
{
	const __u32 none = VFIO_IRQ_SET_DATA_NONE;
	const __u32 eventfd_data = VFIO_IRQ_SET_DATA_EVENTFD;
	struct vdev *vdev = &self->vdev;
	const unsigned int nr = msix_count(&self->vdev);
	const struct {
		__u32 flags, index, start, count;
		size_t len;
		int err;
	} bad[] = {
		{ TRIGGER | none, MSIX, nr, 1, 0, -EINVAL },
		{ TRIGGER | none, MSIX, nr - 1, 2, 0, -EINVAL },
		{ TRIGGER | none, MSIX, 0, nr + 1, 0, -EINVAL },
		{ TRIGGER | none, MSIX, ~0U, 1, 0, -EINVAL },
		{ TRIGGER | none, MSIX, 1, ~0U, 0, -EINVAL },
		{ TRIGGER | none, MSIX, ~0U, ~0U, 0, -EINVAL },
		{ TRIGGER | none, VFIO_PCI_NUM_IRQS, 0, 1, 0, -EINVAL },
		{ TRIGGER | none, ~0U, 0, 1, 0, -EINVAL },
		{ TRIGGER | none, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, 0,
		  -EINVAL },
		/* Of each, exactly one */
		{ TRIGGER, MSIX, 0, 1, 0, -EINVAL },
		{ TRIGGER | none | eventfd_data, MSIX, 0, 1, 4,
		  -EINVAL },
		{ none, MSIX, 0, 1, 0, -ENOTTY },
		{ TRIGGER | VFIO_IRQ_SET_ACTION_MASK | none, MSIX, 0,
		  1, 0, -ENOTTY },
		{ TRIGGER | none | 1 << 6, MSIX, 0, 1, 0, -EINVAL },
		{ TRIGGER | none | 1U << 31, MSIX, 0, 1, 0, -EINVAL },
		/* Data that is not there */
		{ TRIGGER | eventfd_data, MSIX, 0, 2, 4, -EINVAL },
		{ TRIGGER | eventfd_data, MSIX, 0, 1, 0, -EINVAL },
		{ TRIGGER | VFIO_IRQ_SET_DATA_BOOL, MSIX, 0, 2, 1,
		  -EINVAL },
		/* MSI-X has its masks in the table. */
		{ VFIO_IRQ_SET_ACTION_MASK | none, MSIX, 0, 1, 0,
		  -ENOTTY },
		{ VFIO_IRQ_SET_ACTION_UNMASK | none, MSIX, 0, 1, 0,
		  -ENOTTY },
		{ VFIO_IRQ_SET_ACTION_MASK | none,
		  VFIO_PCI_REQ_IRQ_INDEX, 0, 1, 0, -ENOTTY },
		{ TRIGGER | none, VFIO_PCI_REQ_IRQ_INDEX, 1, 1, 0,
		  -EINVAL },
		{ TRIGGER | none, VFIO_PCI_ERR_IRQ_INDEX, 0, 2, 0,
		  -EINVAL },
	};
	int fds[2] = { -1, -1 };
	unsigned int i;

	ASSERT_LT(2, nr);
	ASSERT_EQ(0, vdev_msix_enable(vdev, 2));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(bad[i].err,
			  irqs_set(vdev, bad[i].flags, bad[i].index,
				   bad[i].start, bad[i].count, fds,
				   bad[i].len))
			TH_LOG("case %u", i);
	}
	/* No eventfd at all, and no such file */
	fds[0] = vdev->fd;
	EXPECT_EQ(-EINVAL, irqs_set(vdev, TRIGGER | eventfd_data, MSIX, 0, 1,
				    fds, 4));
	fds[0] = 9999;
	EXPECT_GT(0, irqs_set(vdev, TRIGGER | eventfd_data,
			      VFIO_PCI_REQ_IRQ_INDEX, 0, 1, fds, 4));

	ASSERT_EQ(0, irqs_set(vdev, TRIGGER | none, MSIX, 1, 1, NULL, 0));
	EXPECT_EQ(1, irq_wait(vdev->irq[1], 0));
}

TEST_F(uapi, error_and_request_interrupts_loop_back)
{
	static const unsigned int indexes[] = {
		VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_REQ_IRQ_INDEX,
	};
	const __u8 yes = 1, no = 0;
	struct vdev *vdev = &self->vdev;
	struct vfio_irq_info info;
	unsigned int i;
	int one, two;

	one = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	two = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (i = 0; i < ARRAY_SIZE(indexes); i++) {
		const unsigned int index = indexes[i];

		ASSERT_EQ(0, vdev_irq_info(vdev, index, &info));
		EXPECT_EQ(1, info.count);
		EXPECT_TRUE(info.flags & VFIO_IRQ_INFO_EVENTFD);
		EXPECT_EQ(-EINVAL, irqs_set(vdev, TRIGGER |
					    VFIO_IRQ_SET_DATA_NONE, index, 0,
					    1, NULL, 0));
		ASSERT_EQ(0, vdev_set_irq(vdev, index, one));
		EXPECT_EQ(0, irqs_set(vdev, TRIGGER | VFIO_IRQ_SET_DATA_NONE,
				      index, 0, 1, NULL, 0));
		EXPECT_EQ(1, irq_wait(one, 0));
		EXPECT_EQ(0, irqs_set(vdev, TRIGGER | VFIO_IRQ_SET_DATA_BOOL,
				      index, 0, 1, &no, 1));
		EXPECT_EQ(0, irq_wait(one, 0));

		/* Another takes its place. */
		ASSERT_EQ(0, vdev_set_irq(vdev, index, two));
		EXPECT_EQ(0, irqs_set(vdev, TRIGGER | VFIO_IRQ_SET_DATA_BOOL,
				      index, 0, 1, &yes, 1));
		EXPECT_EQ(0, irq_wait(one, 0));
		EXPECT_EQ(1, irq_wait(two, 0));
		ASSERT_EQ(0, vdev_set_irq(vdev, index, -1));
		EXPECT_EQ(-EINVAL, irqs_set(vdev, TRIGGER |
					    VFIO_IRQ_SET_DATA_NONE, index, 0,
					    1, NULL, 0));
		EXPECT_EQ(0, irq_wait(two, 0));
	}
	close(one);
	close(two);
}

/* Reset and power */

TEST_F(uapi, hot_reset_lists_affected_devices_and_is_refused)
{
	struct {
		struct vfio_pci_hot_reset_info info;
		struct vfio_pci_dependent_device devices[MAX_VFS + 8];
	} all = { .info.argsz = sizeof(all.info) };
	struct {
		struct vfio_pci_hot_reset reset;
		__s32 group;
	} reset = {
		.reset.argsz = sizeof(reset),
		.reset.count = variant->mode != IOMMU_IOMMUFD,
		.group = self->vdev.group,
	};
	struct vdev *vdev = &self->vdev;
	unsigned int i, count, seen = 0;

	ASSERT_EQ(-ENOSPC, vdev_ioctl(vdev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
				      &all));
	count = all.info.count;
	/* The VF, its PF and the other VFs */
	EXPECT_LE(2, count);
	ASSERT_GE(ARRAY_SIZE(all.devices), count);
	all.info.argsz = sizeof(all.info) +
			 (count - 1) * sizeof(all.devices[0]);
	EXPECT_EQ(-ENOSPC, vdev_ioctl(vdev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
				      &all));
	EXPECT_EQ(count, all.info.count);
	all.info.argsz = sizeof(all);
	ASSERT_EQ(0, vdev_ioctl(vdev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
				&all));
	EXPECT_EQ(count, all.info.count);
	EXPECT_EQ(variant->mode == IOMMU_IOMMUFD ?
		  VFIO_PCI_HOT_RESET_FLAG_DEV_ID : 0, all.info.flags);
	for (i = 0; i < count; i++) {
		const struct vfio_pci_dependent_device *d = &all.devices[i];
		char bdf[BDF_LEN];

		snprintf(bdf, sizeof(bdf), "%04x:%02x:%02x.%x", d->segment,
			 d->bus, d->devfn >> 3, d->devfn & 7);
		seen += !strcmp(bdf, self->s.vf);
		seen += !strcmp(bdf, self->s.pf.bdf);
		if (variant->mode == IOMMU_IOMMUFD && !strcmp(bdf, self->s.vf))
			EXPECT_EQ(vdev->id, d->devid);
	}
	EXPECT_EQ(2, seen);

	/* A user of the VF must not reset the PF. */
	EXPECT_EQ(-EINVAL, vdev_ioctl(vdev, VFIO_DEVICE_PCI_HOT_RESET,
				      &reset));
	check_alive(_metadata, &self->s, vdev);
}

TEST_F(uapi, flr_by_bytes_words_and_dwords)
{
	struct vdev *vdev = &self->vdev;
	const unsigned int exp = vdev_find_cap(vdev, PCI_CAP_ID_EXP);
	const __u32 mark = 0x600dcafe;
	unsigned int way;
	__u32 val, ctl;

	ASSERT_NE(0, exp);
	ctl = vdev_cfg_read32(vdev, exp + PCI_EXP_DEVCTL) & 0xffff;
	for (way = 0; way < 4; way++) {
		if (self->s.emulated)
			ASSERT_EQ(4, vdev_write(vdev, NVVGPU_EMU_VF_BAR_REGS,
						NVVGPU_EMU_VF_REG_SCRATCH,
						&mark, 4));
		val = ctl | PCI_EXP_DEVCTL_BCR_FLR;
		switch (way) {
		case 0:
			EXPECT_EQ(0, vdev_cfg_write8(vdev, exp + 1 +
						     PCI_EXP_DEVCTL, val >> 8));
			break;
		case 1:
			EXPECT_EQ(0, vdev_cfg_write16(vdev, exp +
						      PCI_EXP_DEVCTL, val));
			break;
		case 2:
			EXPECT_EQ(0, vdev_cfg_write32(vdev, exp +
						      PCI_EXP_DEVCTL, val));
			break;
		default:
			EXPECT_EQ(0, vdev_reset(vdev));
			break;
		}
		/* Done when it returns, and the bit reads as zero. */
		EXPECT_EQ(ctl, vdev_cfg_read16(vdev, exp + PCI_EXP_DEVCTL));
		check_alive(_metadata, &self->s, vdev);
		if (!self->s.emulated)
			continue;
		EXPECT_EQ(4, vdev_read(vdev, NVVGPU_EMU_VF_BAR_REGS,
				       NVVGPU_EMU_VF_REG_SCRATCH, &val, 4));
		EXPECT_EQ(0, val);
	}
	/* The low byte does not contain the bit. */
	val = mark;
	if (self->s.emulated) {
		ASSERT_EQ(4, vdev_write(vdev, NVVGPU_EMU_VF_BAR_REGS,
					NVVGPU_EMU_VF_REG_SCRATCH, &mark, 4));
		EXPECT_EQ(0, vdev_cfg_write8(vdev, exp + PCI_EXP_DEVCTL, ctl));
		EXPECT_EQ(4, vdev_read(vdev, NVVGPU_EMU_VF_BAR_REGS,
				       NVVGPU_EMU_VF_REG_SCRATCH, &val, 4));
	}
	EXPECT_EQ(mark, val);
}

TEST_F(uapi, low_power_is_entered_and_left)
{
	const __u32 set = VFIO_DEVICE_FEATURE_SET;
	struct vfio_device_low_power_entry_with_wakeup wakeup = {};
	struct vdev *vdev = &self->vdev;
	char status[32];
	__u32 val;
	int fd;

	/* Exit without entry succeeds, a second entry is refused. */
	EXPECT_EQ(0, vdev_feature(vdev, set | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
				  NULL, 0));
	ASSERT_EQ(0, vdev_feature(vdev, set |
				  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL, 0));
	EXPECT_EQ(-EINVAL, vdev_feature(vdev, set |
					VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
					NULL, 0));
	EXPECT_TRUE(vf_falls_asleep(self->s.vf));
	/* An access wakes the device temporarily. */
	EXPECT_EQ(4, vdev_read(vdev, self->s.bar, 0, &val, 4));
	EXPECT_EQ(self->s.ids, vdev_cfg_read32(vdev, PCI_VENDOR_ID));
	EXPECT_TRUE(vf_falls_asleep(self->s.vf));
	EXPECT_EQ(0, vdev_feature(vdev, set | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
				  NULL, 0));
	EXPECT_LT(0, pci_read(self->s.vf, "power/runtime_status", status,
			      sizeof(status)));
	EXPECT_STREQ("active\n", status);
	check_alive(_metadata, &self->s, vdev);

	/* With a wake-up by the host */
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	wakeup.wakeup_eventfd = vdev->fd;
	EXPECT_EQ(-EINVAL, vdev_feature(vdev, set |
		VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP, &wakeup,
		sizeof(wakeup)));
	wakeup.wakeup_eventfd = fd;
	EXPECT_EQ(-EINVAL, vdev_feature(vdev, set |
		VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP, &wakeup, 4));
	ASSERT_EQ(0, vdev_feature(vdev, set |
		VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP, &wakeup,
		sizeof(wakeup)));
	EXPECT_TRUE(vf_falls_asleep(self->s.vf));
	EXPECT_EQ(0, irq_wait(fd, 0));
	EXPECT_EQ(0, pci_write(self->s.vf, "power/control", "on"));
	EXPECT_EQ(1, irq_wait(fd, 1000));
	EXPECT_EQ(0, pci_write(self->s.vf, "power/control", "auto"));
	check_alive(_metadata, &self->s, vdev);

	/* Closed while it sleeps */
	ASSERT_EQ(0, vdev_feature(vdev, set |
				  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL, 0));
	vdev_close(vdev);
	ASSERT_EQ(0, vdev_open(vdev, self->s.vf, &self->ioas));
	check_alive(_metadata, &self->s, vdev);
	close(fd);
}

TEST_F(uapi, bars_are_inaccessible_in_d3hot)
{
	struct vdev *vdev = &self->vdev;
	__u32 val = 0;

	if (vdev_set_power(vdev, VDEV_D3HOT)) {
		/* Not all VFs have power states, but those of the emulated GPU do. */
		EXPECT_FALSE(self->s.emulated);
		return;
	}
	EXPECT_EQ(-EIO, vdev_read(vdev, self->s.bar, 0, &val, 4));
	EXPECT_EQ(-EIO, vdev_write(vdev, self->s.bar, 0, &val, 4));
	EXPECT_EQ(self->s.ids, vdev_cfg_read32(vdev, PCI_VENDOR_ID));
	ASSERT_EQ(0, vdev_set_power(vdev, VDEV_D0));
	check_alive(_metadata, &self->s, vdev);

	/* A reset and a close also leave low power mode. */
	ASSERT_EQ(0, vdev_set_power(vdev, VDEV_D3HOT));
	EXPECT_EQ(0, vdev_reset(vdev));
	check_alive(_metadata, &self->s, vdev);
	ASSERT_EQ(0, vdev_set_power(vdev, VDEV_D3HOT));
	vdev_close(vdev);
	ASSERT_EQ(0, vdev_open(vdev, self->s.vf, &self->ioas));
	check_alive(_metadata, &self->s, vdev);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv, gpu_missing());
}
