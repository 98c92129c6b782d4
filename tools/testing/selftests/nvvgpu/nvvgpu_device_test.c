// SPDX-License-Identifier: GPL-2.0
/*
 * The VFIO device of a vGPU: opening and closing, regions, configuration space,
 * interrupts and reset.
 */
#include <fcntl.h>
#include <poll.h>

#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include <linux/pci_regs.h>

#include "nvvgpu_test.h"

#define BOCHS_DEVICE_ID	0x1111

FIXTURE(device) {
	struct pf pf;
	const char *vf;
	struct vgpu_type types[MAX_TYPES];
	int nr_types;
	const struct vgpu_type *type;
	struct ioas ioas;
	struct vdev vdev;
	char state[32];
};

FIXTURE_VARIANT(device) {
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(device, iommufd) { .mode = IOMMU_IOMMUFD };
FIXTURE_VARIANT_ADD(device, compat) { .mode = IOMMU_COMPAT };
FIXTURE_VARIANT_ADD(device, type1) { .mode = IOMMU_TYPE1 };

FIXTURE_SETUP(device)
{
	ASSERT_GPU(&self->pf, TEST_VFS);
	self->vf = self->pf.vf[0];
	self->nr_types = vf_types(self->vf, self->types, MAX_TYPES);
	ASSERT_LT(0, self->nr_types);
	self->type = type_smallest(self->types, self->nr_types);
	vdev_init(&self->vdev, self->vf, &self->ioas);
	ASSERT_EQ(0, ioas_open(&self->ioas, variant->mode));
}

FIXTURE_TEARDOWN(device)
{
	vdev_close(&self->vdev);
	ioas_close(&self->ioas);
	gpu_clean(&self->pf);
}

#define EXPECT_STATE(want) do {						\
	EXPECT_LT(0, vf_state(self->vf, self->state,			\
			      sizeof(self->state)));			\
	EXPECT_STREQ(want, self->state);				\
} while (0)

#define ASSERT_OPEN(_type) do {						\
	ASSERT_EQ(0, vf_set_type(self->vf, (_type)->id));		\
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));	\
} while (0)

/* Open a vGPU of another type on the same VF. */
static int reopen(struct vdev *vdev, const struct vgpu_type *type)
{
	int ret;

	vdev_close(vdev);
	ret = vf_set_type(vdev->bdf, 0);
	if (!ret)
		ret = vf_set_type(vdev->bdf, type->id);

	return ret ?: vdev_open(vdev, vdev->bdf, vdev->ioas);
}

TEST_F(device, open_without_a_type_is_enodev)
{
	EXPECT_EQ(-ENODEV, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_STATE("bound");

	/* Also where there was one before */
	ASSERT_EQ(0, vf_set_type(self->vf, self->type->id));
	ASSERT_EQ(0, vf_set_type(self->vf, 0));
	EXPECT_EQ(-ENODEV, vdev_open(&self->vdev, self->vf, &self->ioas));
}

TEST_F(device, opens_and_closes_again_and_again)
{
	int i;

	ASSERT_EQ(0, vf_set_type(self->vf, self->type->id));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
		EXPECT_STATE("open");
		vdev_close(&self->vdev);
		EXPECT_STATE("created");
	}
}

TEST_F(device, second_open_is_refused)
{
	struct ioas ioas2;
	struct vdev vdev2;

	ASSERT_OPEN(self->type);
	ASSERT_EQ(0, ioas_open(&ioas2, variant->mode));
	EXPECT_EQ(variant->mode == IOMMU_IOMMUFD ? -EINVAL : -EBUSY,
		  vdev_open(&vdev2, self->vf, &ioas2));
	ioas_close(&ioas2);
	EXPECT_STATE("open");

	/* The first user has not noticed. */
	EXPECT_EQ(0, vdev_reset(&self->vdev));
}

TEST_F(device, exit_without_close_lets_go)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, vf_set_type(self->vf, self->type->id));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct ioas ioas;
		struct vdev vdev;

		if (ioas_open(&ioas, variant->mode) ||
		    vdev_open(&vdev, self->vf, &ioas) ||
		    engine_init(&(struct engine){}, &vdev))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_STATE("created");
	EXPECT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
}

TEST_F(device, stays_open_while_another_process_has_it)
{
	int pipefd[2], status;
	pid_t pid;
	char c;

	ASSERT_OPEN(self->type);
	ASSERT_EQ(0, pipe(pipefd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct vfio_region_info info;

		close(pipefd[1]);
		(void)!read(pipefd[0], &c, 1);
		_exit(vdev_region_info(&self->vdev, 0, &info) ? 1 : 0);
	}
	close(pipefd[0]);
	vdev_close(&self->vdev);
	EXPECT_STATE("open");
	EXPECT_EQ(-EPERM, vf_set_type(self->vf, 0));
	close(pipefd[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status) && !WEXITSTATUS(status));
	EXPECT_STATE("created");
}

TEST_F(device, mapping_keeps_it_open)
{
	void *map;
	size_t len;

	ASSERT_OPEN(self->type);
	ASSERT_EQ(0, vdev_enable(&self->vdev, false));
	ASSERT_EQ(0, vdev_map_bar(&self->vdev, NVVGPU_EMU_VF_BAR_REGS));
	map = self->vdev.bar[NVVGPU_EMU_VF_BAR_REGS];
	len = self->vdev.bar_len[NVVGPU_EMU_VF_BAR_REGS];
	self->vdev.bar[NVVGPU_EMU_VF_BAR_REGS] = NULL;
	vdev_close(&self->vdev);

	EXPECT_STATE("open");
	EXPECT_EQ(-EPERM, vf_set_type(self->vf, 0));
	munmap(map, len);
	EXPECT_STATE("created");
}

TEST_F(device, info)
{
	struct vfio_device_info info;

	ASSERT_OPEN(self->type);
	ASSERT_EQ(0, vdev_info(&self->vdev, &info));
	EXPECT_TRUE(info.flags & VFIO_DEVICE_FLAGS_PCI);
	EXPECT_TRUE(info.flags & VFIO_DEVICE_FLAGS_RESET);
	EXPECT_LE(VFIO_PCI_CONFIG_REGION_INDEX + 1, info.num_regions);
	EXPECT_LE(VFIO_PCI_REQ_IRQ_INDEX + 1, info.num_irqs);
}

TEST_F(device, bad_arguments_are_einval)
{
	struct vfio_device_info info = { .argsz = 4 };
	struct vfio_region_info region = { .argsz = sizeof(region) };
	struct vfio_irq_info irq = { .argsz = sizeof(irq) };
	struct vfio_irq_set set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_NONE,
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
		.start = NVVGPU_EMU_VF_VECTORS,
		.count = 1,
	};

	ASSERT_OPEN(self->type);
	EXPECT_EQ(-1, ioctl(self->vdev.fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(EINVAL, errno);

	region.index = 1000;
	EXPECT_EQ(-1, ioctl(self->vdev.fd, VFIO_DEVICE_GET_REGION_INFO,
			    &region));
	EXPECT_EQ(EINVAL, errno);
	region.index = 0;
	region.argsz = 4;
	EXPECT_EQ(-1, ioctl(self->vdev.fd, VFIO_DEVICE_GET_REGION_INFO,
			    &region));
	EXPECT_EQ(EINVAL, errno);

	irq.index = 1000;
	EXPECT_EQ(-1, ioctl(self->vdev.fd, VFIO_DEVICE_GET_IRQ_INFO, &irq));
	EXPECT_EQ(EINVAL, errno);

	EXPECT_EQ(-1, ioctl(self->vdev.fd, VFIO_DEVICE_SET_IRQS, &set));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->vdev.fd, _IO(VFIO_TYPE, VFIO_BASE + 99)));
	EXPECT_EQ(ENOTTY, errno);
}

/* Try one mapping of a BAR. */
static int try_mmap(const struct vdev *vdev,
		    const struct vfio_region_info *info, __u64 offset,
		    size_t len)
{
	void *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED,
			 vdev->fd, info->offset + offset);

	if (map == MAP_FAILED)
		return -errno;
	munmap(map, len);

	return 0;
}

TEST_F(device, info_read_write_and_mmap_agree_on_every_bar)
{
	struct vfio_region_info info;
	int t, bar, ret;
	__u64 word;

	for (t = 0; t < self->nr_types; t++) {
		ASSERT_EQ(0, reopen(&self->vdev, &self->types[t]));
		ASSERT_EQ(0, vdev_enable(&self->vdev, false));

		for (bar = 0; bar < VDEV_NR_BARS; bar++) {
			ASSERT_EQ(0, vdev_region_info(&self->vdev, bar, &info));
			if (!info.size) {
				EXPECT_EQ(0, info.flags);
				EXPECT_EQ(-EINVAL, vdev_read(&self->vdev, bar,
							     0, &word, 4));
				EXPECT_EQ(-EINVAL, vdev_write(&self->vdev, bar,
							      0, &word, 4));
				EXPECT_EQ(-EINVAL, try_mmap(&self->vdev, &info,
							    0, PAGE));
				continue;
			}
			EXPECT_EQ(0, info.size & (info.size - 1))
				TH_LOG("%s BAR %d: %llu bytes",
				       self->types[t].name, bar, info.size);
			EXPECT_TRUE(info.flags & VFIO_REGION_INFO_FLAG_READ);
			EXPECT_TRUE(info.flags & VFIO_REGION_INFO_FLAG_WRITE);
			EXPECT_TRUE(info.flags & VFIO_REGION_INFO_FLAG_MMAP);

			/* At both edges, and past the end */
			EXPECT_EQ(4, vdev_read(&self->vdev, bar, 0, &word, 4));
			EXPECT_EQ(4, vdev_read(&self->vdev, bar, info.size - 4,
					       &word, 4));
			ret = vdev_read(&self->vdev, bar, info.size - 4, &word,
					8);
			EXPECT_TRUE(ret == 4 || ret == -EINVAL);
			EXPECT_EQ(-EINVAL, vdev_read(&self->vdev, bar,
						     info.size, &word, 4));
			EXPECT_EQ(-EINVAL, vdev_write(&self->vdev, bar,
						      info.size, &word, 4));
			EXPECT_EQ(-EINVAL, vdev_read(&self->vdev, bar,
						     info.size + PAGE, &word,
						     4));

			EXPECT_EQ(0, try_mmap(&self->vdev, &info, 0,
					      info.size));
			EXPECT_EQ(0, try_mmap(&self->vdev, &info,
					      info.size - PAGE, PAGE));
			EXPECT_EQ(-EINVAL, try_mmap(&self->vdev, &info, 0,
						    info.size + PAGE));
			EXPECT_EQ(-EINVAL, try_mmap(&self->vdev, &info,
						    info.size - PAGE,
						    2 * PAGE));
			EXPECT_EQ(-EINVAL, try_mmap(&self->vdev, &info,
						    info.size, PAGE));
		}
	}
}

TEST_F(device, aperture_is_that_of_the_type)
{
	struct vfio_region_info info;
	int t;

	for (t = 0; t < self->nr_types; t++) {
		ASSERT_EQ(0, reopen(&self->vdev, &self->types[t]));
		ASSERT_EQ(0, vdev_region_info(&self->vdev,
					      NVVGPU_EMU_VF_BAR_FB, &info));
		EXPECT_EQ(self->types[t].bar0, info.size)
			TH_LOG("%s", self->types[t].name);
	}
}

TEST_F(device, ioeventfds_stay_inside_the_aperture)
{
	struct vfio_device_ioeventfd ioeventfd = {
		.argsz = sizeof(ioeventfd),
		.flags = VFIO_DEVICE_IOEVENTFD_32,
		.fd = eventfd(0, EFD_CLOEXEC),
	};
	struct vfio_region_info info;

	ASSERT_LE(0, ioeventfd.fd);
	ASSERT_EQ(0, reopen(&self->vdev, self->type));
	ASSERT_EQ(0, vdev_region_info(&self->vdev, NVVGPU_EMU_VF_BAR_FB,
				      &info));

	ioeventfd.offset = info.offset + info.size;
	EXPECT_EQ(-1, ioctl(self->vdev.fd, VFIO_DEVICE_IOEVENTFD, &ioeventfd));
	EXPECT_EQ(EINVAL, errno);
	ioeventfd.offset -= 4;
	EXPECT_EQ(0, ioctl(self->vdev.fd, VFIO_DEVICE_IOEVENTFD, &ioeventfd));
	close(ioeventfd.fd);
}

TEST_F(device, framebuffer_is_the_same_by_read_write_and_mmap)
{
	const unsigned int bar = NVVGPU_EMU_VF_BAR_FB;
	const __u64 last = self->type->bar0 - 8;
	__u64 *map;
	__u64 word = 0x1122334455667788ULL;

	ASSERT_OPEN(self->type);
	ASSERT_EQ(0, vdev_enable(&self->vdev, false));
	ASSERT_EQ(0, vdev_map_bar(&self->vdev, bar));
	map = self->vdev.bar[bar];

	EXPECT_EQ(8, vdev_write(&self->vdev, bar, 0, &word, 8));
	EXPECT_EQ(8, vdev_write(&self->vdev, bar, last, &word, 8));
	EXPECT_EQ(word, __atomic_load_n(&map[0], __ATOMIC_RELAXED));
	EXPECT_EQ(word, __atomic_load_n(&map[last / 8], __ATOMIC_RELAXED));
	EXPECT_EQ(0, __atomic_load_n(&map[1], __ATOMIC_RELAXED));
	__atomic_store_n(&map[1], 42, __ATOMIC_SEQ_CST);
	EXPECT_EQ(8, vdev_read(&self->vdev, bar, 8, &word, 8));
	EXPECT_EQ(42, word);
}

TEST_F(device, registers_take_any_aligned_piece)
{
	const unsigned int bar = NVVGPU_EMU_VF_BAR_REGS;
	__u8 in[16], out[16];
	__u32 magic = 0;

	ASSERT_OPEN(self->type);
	ASSERT_EQ(0, vdev_enable(&self->vdev, false));
	EXPECT_EQ(4, vdev_read(&self->vdev, bar, NVVGPU_EMU_VF_REG_MAGIC,
			       &magic, 4));
	EXPECT_EQ(NVVGPU_EMU_VF_MAGIC, magic);

	pattern(out, sizeof(out), 1);
	EXPECT_EQ(16, vdev_write(&self->vdev, bar, NVVGPU_EMU_VF_REG_SCRATCH,
				 out, sizeof(out)));
	EXPECT_EQ(16, vdev_read(&self->vdev, bar, NVVGPU_EMU_VF_REG_SCRATCH,
				in, sizeof(in)));
	EXPECT_EQ(0, memcmp(in, out, sizeof(in)));
	EXPECT_EQ(8, vdev_read(&self->vdev, bar, NVVGPU_EMU_VF_REG_SCRATCH + 4,
			       in, 8));
	EXPECT_EQ(0, memcmp(in, out + 4, 8));
}

TEST_F(device, type_and_framebuffer_registers_tell_the_type)
{
	struct engine engine;
	int t;

	for (t = 0; t < self->nr_types; t++) {
		ASSERT_EQ(0, reopen(&self->vdev, &self->types[t]));
		ASSERT_EQ(0, engine_init(&engine, &self->vdev));
		EXPECT_EQ(self->types[t].id,
			  engine_read(&engine, NVVGPU_EMU_VF_REG_TYPE));
		EXPECT_EQ(self->types[t].framebuffer,
			  engine_read64(&engine, NVVGPU_EMU_VF_REG_FB_SIZE));
		EXPECT_EQ(NVVGPU_EMU_REVISION,
			  engine_read(&engine, NVVGPU_EMU_VF_REG_REVISION));
	}
}

TEST_F(device, registers_are_clean_for_the_next_user)
{
	const unsigned int bar = NVVGPU_EMU_VF_BAR_REGS;
	__u32 word = 0x12345678;

	ASSERT_OPEN(self->type);
	ASSERT_EQ(0, vdev_enable(&self->vdev, false));
	ASSERT_EQ(4, vdev_write(&self->vdev, bar, NVVGPU_EMU_VF_REG_SCRATCH,
				&word, 4));
	vdev_close(&self->vdev);
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	ASSERT_EQ(0, vdev_enable(&self->vdev, false));
	ASSERT_EQ(4, vdev_read(&self->vdev, bar, NVVGPU_EMU_VF_REG_SCRATCH,
			       &word, 4));
	EXPECT_EQ(0, word);
}

TEST_F(device, config_space_has_the_ids_of_the_type)
{
	int t, bochs = 0;

	for (t = 0; t < self->nr_types; t++) {
		__u16 device;

		ASSERT_EQ(0, reopen(&self->vdev, &self->types[t]));
		device = vdev_cfg_read16(&self->vdev, PCI_DEVICE_ID);
		EXPECT_EQ(NVVGPU_EMU_VENDOR_ID,
			  vdev_cfg_read16(&self->vdev, PCI_VENDOR_ID));
		EXPECT_TRUE(device == NVVGPU_EMU_VF_DEVICE_ID ||
			    device == BOCHS_DEVICE_ID)
			TH_LOG("%s: %04x", self->types[t].name, device);
		/* The same in pieces, as a guest's firmware may read it */
		EXPECT_EQ(device, vdev_cfg_read32(&self->vdev,
						  PCI_VENDOR_ID) >> 16);
		EXPECT_EQ(device >> 8, vdev_cfg_read8(&self->vdev,
						      PCI_DEVICE_ID + 1));
		/* Display controller, VGA, 3D or other */
		EXPECT_EQ(3, vdev_cfg_read8(&self->vdev,
					    PCI_CLASS_DEVICE + 1));

		/* Read only */
		EXPECT_EQ(0, vdev_cfg_write16(&self->vdev, PCI_DEVICE_ID, 1));
		EXPECT_EQ(device, vdev_cfg_read16(&self->vdev, PCI_DEVICE_ID));
		bochs += device == BOCHS_DEVICE_ID;
	}
	EXPECT_LT(0, bochs);
	EXPECT_GT(self->nr_types, bochs);
}

TEST_F(device, bars_size_as_the_type_says)
{
	static const unsigned int bars[] = {
		NVVGPU_EMU_VF_BAR_FB,
		NVVGPU_EMU_VF_BAR_REGS,
		NVVGPU_EMU_VF_BAR_MSIX,
	};
	struct vfio_region_info info;
	unsigned int i;
	int t;

	for (t = 0; t < self->nr_types; t++) {
		ASSERT_EQ(0, reopen(&self->vdev, &self->types[t]));
		for (i = 0; i < ARRAY_SIZE(bars); i++) {
			unsigned int reg = PCI_BASE_ADDRESS_0 + 4 * bars[i];
			__u32 old, old_hi = 0;
			__u64 mask;

			ASSERT_EQ(0, vdev_region_info(&self->vdev, bars[i],
						      &info));
			old = vdev_cfg_read32(&self->vdev, reg);
			vdev_cfg_write32(&self->vdev, reg, ~0U);
			mask = vdev_cfg_read32(&self->vdev, reg);
			vdev_cfg_write32(&self->vdev, reg, old);
			EXPECT_EQ(0, mask & PCI_BASE_ADDRESS_SPACE_IO);
			if (mask & PCI_BASE_ADDRESS_MEM_TYPE_64) {
				old_hi = vdev_cfg_read32(&self->vdev, reg + 4);
				vdev_cfg_write32(&self->vdev, reg + 4, ~0U);
				mask |= (__u64)vdev_cfg_read32(&self->vdev,
							       reg + 4) << 32;
				vdev_cfg_write32(&self->vdev, reg + 4, old_hi);
			} else {
				mask |= ~0ULL << 32;
			}
			EXPECT_EQ(bars[i] == NVVGPU_EMU_VF_BAR_FB,
				  !!(mask & PCI_BASE_ADDRESS_MEM_PREFETCH));
			EXPECT_EQ(info.size, -(mask & ~0xfULL))
				TH_LOG("%s BAR %u: mask %#llx",
				       self->types[t].name, bars[i], mask);
			EXPECT_EQ(old, vdev_cfg_read32(&self->vdev, reg));
		}
	}
}

TEST_F(device, bus_mastering_is_off_when_opened)
{
	ASSERT_OPEN(self->type);
	EXPECT_EQ(0, vdev_cfg_read16(&self->vdev, PCI_COMMAND) &
		     PCI_COMMAND_MASTER);
	EXPECT_EQ(0, vdev_enable(&self->vdev, true));
	EXPECT_NE(0, vdev_cfg_read16(&self->vdev, PCI_COMMAND) &
		     PCI_COMMAND_MASTER);
	vdev_close(&self->vdev);
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_EQ(0, vdev_cfg_read16(&self->vdev, PCI_COMMAND) &
		     PCI_COMMAND_MASTER);
}

TEST_F(device, msix_vectors_are_eventfds)
{
	struct vfio_irq_set set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_NONE,
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
		.start = 1,
		.count = 1,
	};
	struct vfio_irq_info info;

	ASSERT_OPEN(self->type);
	ASSERT_EQ(0, vdev_irq_info(&self->vdev, VFIO_PCI_MSIX_IRQ_INDEX,
				   &info));
	EXPECT_EQ(NVVGPU_EMU_VF_VECTORS, info.count);
	EXPECT_TRUE(info.flags & VFIO_IRQ_INFO_EVENTFD);

	/* Looped back by VFIO; those of the hardware are the next fixture's. */
	ASSERT_EQ(0, vdev_msix_enable(&self->vdev, 3));
	EXPECT_EQ(0, irq_wait(self->vdev.irq[1], 0));
	EXPECT_EQ(0, ioctl(self->vdev.fd, VFIO_DEVICE_SET_IRQS, &set));
	EXPECT_EQ(1, irq_wait(self->vdev.irq[1], 1000));
	EXPECT_EQ(0, irq_wait(self->vdev.irq[0], 0));
	EXPECT_EQ(0, irq_wait(self->vdev.irq[2], 0));
	EXPECT_EQ(0, vdev_msix_disable(&self->vdev));
}

TEST_F(device, unbinding_asks_for_the_device_back)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int status;
	pid_t pid;

	ASSERT_LE(0, fd);
	ASSERT_OPEN(self->type);
	ASSERT_EQ(0, vdev_set_irq(&self->vdev, VFIO_PCI_REQ_IRQ_INDEX, fd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* Only the parent is to hold the device. */
		vdev_close(&self->vdev);
		_exit(-pci_unbind(self->vf));
	}

	EXPECT_LT(0, irq_wait(fd, 15000));
	/* It is ours until we let go. */
	EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
	EXPECT_EQ(0, vdev_enable(&self->vdev, false));
	vdev_close(&self->vdev);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
	EXPECT_FALSE(pci_exists(self->vf, "vfio-dev"));
	close(fd);
}

/*
 * With the engine running
 */
FIXTURE(device_engine) {
	struct pf pf;
	struct vgpu_type types[MAX_TYPES];
	struct user user;
};

FIXTURE_VARIANT(device_engine) {
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(device_engine, iommufd) { .mode = IOMMU_IOMMUFD };
FIXTURE_VARIANT_ADD(device_engine, compat) { .mode = IOMMU_COMPAT };
FIXTURE_VARIANT_ADD(device_engine, type1) { .mode = IOMMU_TYPE1 };

FIXTURE_SETUP(device_engine)
{
	int nr;

	ASSERT_GPU(&self->pf, TEST_VFS);
	nr = vf_types(self->pf.vf[0], self->types, MAX_TYPES);
	ASSERT_LT(0, nr);
	ASSERT_EQ(0, vf_set_type(self->pf.vf[0],
				 type_smallest(self->types, nr)->id));
	ASSERT_EQ(0, user_open(&self->user, self->pf.vf[0], variant->mode));
}

FIXTURE_TEARDOWN(device_engine)
{
	user_close(&self->user);
	gpu_clean(&self->pf);
}

TEST_F(device_engine, each_vector_signals_its_own_eventfd)
{
	struct vdev *vdev = &self->user.vdev;
	unsigned int v, i, others;

	ASSERT_EQ(0, vdev_msix_disable(vdev));
	ASSERT_EQ(0, vdev_msix_enable(vdev, NVVGPU_EMU_VF_VECTORS));

	for (v = 0; v < NVVGPU_EMU_VF_VECTORS; v++) {
		struct nvvgpu_emu_desc nop = {
			.op = NVVGPU_EMU_OP_NOP,
			.flags = NVVGPU_EMU_DESC_IRQ,
			.vector = v,
		};

		engine_submit(&self->user.engine, &nop, 1);
		EXPECT_EQ(1, irq_wait(vdev->irq[v], ENGINE_TIMEOUT_MS));
		for (others = 0, i = 0; i < NVVGPU_EMU_VF_VECTORS; i++)
			others += irq_wait(vdev->irq[i], 0);
		EXPECT_EQ(0, others);
	}
}

/* The BAR with the table may be mapped: remapping keeps its entries harmless. */
TEST_F(device_engine, masked_vector_is_pending_until_unmasked)
{
	struct nvvgpu_emu_desc nop = {
		.op = NVVGPU_EMU_OP_NOP,
		.flags = NVVGPU_EMU_DESC_IRQ,
		.vector = 1,
	};
	const unsigned int bar = NVVGPU_EMU_VF_BAR_MSIX;
	struct vdev *vdev = &self->user.vdev;
	unsigned int cap = vdev_find_cap(vdev, PCI_CAP_ID_MSIX);
	__u32 table, pba, pending = 0;
	__u32 *ctrl;
	int tries;

	ASSERT_NE(0, cap);
	table = vdev_cfg_read32(vdev, cap + PCI_MSIX_TABLE);
	pba = vdev_cfg_read32(vdev, cap + PCI_MSIX_PBA);
	ASSERT_EQ(bar, table & PCI_MSIX_TABLE_BIR);
	ASSERT_EQ(bar, pba & PCI_MSIX_PBA_BIR);
	pba &= PCI_MSIX_PBA_OFFSET;
	ASSERT_EQ(0, vdev_map_bar(vdev, bar));
	ctrl = vdev->bar[bar] + (table & PCI_MSIX_TABLE_OFFSET) +
	       PCI_MSIX_ENTRY_SIZE + PCI_MSIX_ENTRY_VECTOR_CTRL;

	__atomic_store_n(ctrl, PCI_MSIX_ENTRY_CTRL_MASKBIT, __ATOMIC_SEQ_CST);
	engine_submit(&self->user.engine, &nop, 1);
	for (tries = 0; tries < 100 && !pending; tries++) {
		usleep(10000);
		ASSERT_EQ(4, vdev_read(vdev, bar, pba, &pending, 4));
	}
	EXPECT_EQ(1 << 1, pending);
	EXPECT_EQ(0, irq_wait(vdev->irq[1], 100));

	__atomic_store_n(ctrl, 0, __ATOMIC_SEQ_CST);
	EXPECT_EQ(1, irq_wait(vdev->irq[1], ENGINE_TIMEOUT_MS));
	ASSERT_EQ(4, vdev_read(vdev, bar, pba, &pending, 4));
	EXPECT_EQ(0, pending);
	engine_submit(&self->user.engine, &nop, 1);
	EXPECT_EQ(1, irq_wait(vdev->irq[1], ENGINE_TIMEOUT_MS));
}

TEST_F(device_engine, interrupts_stop_and_start_again)
{
	struct nvvgpu_emu_desc nop = {
		.op = NVVGPU_EMU_OP_NOP,
		.flags = NVVGPU_EMU_DESC_IRQ,
		.vector = 0,
	};
	struct vdev *vdev = &self->user.vdev;
	int i;

	for (i = 0; i < 3; i++) {
		engine_submit(&self->user.engine, &nop, 1);
		EXPECT_EQ(1, irq_wait(vdev->irq[0], ENGINE_TIMEOUT_MS));
		ASSERT_EQ(0, vdev_msix_disable(vdev));

		/* It works without them, too. */
		engine_submit(&self->user.engine, &nop, 1);
		EXPECT_EQ(0, engine_wait(&self->user.engine,
					 ENGINE_TIMEOUT_MS));
		ASSERT_EQ(0, vdev_msix_enable(vdev, ENGINE_VECTORS));
		irq_wait(vdev->irq[0], 100);
	}
}

/* Both kinds of reset leave a device as it was when it was opened. */
static void check_reset(struct __test_metadata *_metadata, struct user *user,
			bool flr)
{
	struct engine *engine = &user->engine;

	engine_write(engine, NVVGPU_EMU_VF_REG_SCRATCH, 42);
	ASSERT_EQ(0, engine_run(engine, engine_copy(NVVGPU_EMU_DESC_DST_VRAM, 0,
						    user->iova, PAGE)));
	ASSERT_EQ(1, engine_read(engine, NVVGPU_EMU_VF_REG_RING_HEAD));

	ASSERT_EQ(0, flr ? vdev_flr(&user->vdev) : vdev_reset(&user->vdev));

	ASSERT_EQ(0, vdev_enable(&user->vdev, true));
	EXPECT_EQ(NVVGPU_EMU_VF_MAGIC,
		  engine_read(engine, NVVGPU_EMU_VF_REG_MAGIC));
	EXPECT_EQ(0, engine_read(engine, NVVGPU_EMU_VF_REG_SCRATCH));
	EXPECT_EQ(0, engine_read(engine, NVVGPU_EMU_VF_REG_RING_HEAD));
	EXPECT_EQ(0, engine_read(engine, NVVGPU_EMU_VF_REG_RING_SIZE));
	EXPECT_EQ(0, engine_read(engine, NVVGPU_EMU_VF_REG_STATUS));

	/* It works again, with its interrupts, too. */
	if (user->vdev.nr_irqs)
		vdev_msix_disable(&user->vdev);
	ASSERT_EQ(0, vdev_msix_enable(&user->vdev, ENGINE_VECTORS));
	ASSERT_EQ(0, user_restart(user));
	EXPECT_EQ(0, engine_run(engine, engine_copy(NVVGPU_EMU_DESC_DST_VRAM, 0,
						    user->iova, PAGE)));
	EXPECT_EQ(2, engine->irqs);
}

TEST_F(device_engine, reset_leaves_nothing_behind)
{
	check_reset(_metadata, &self->user, false);
}

TEST_F(device_engine, flr_by_config_space_leaves_nothing_behind)
{
	check_reset(_metadata, &self->user, true);
}

TEST_F(device_engine, reset_leaves_an_engine_error)
{
	struct engine *engine = &self->user.engine;
	struct nvvgpu_emu_desc bad = { .op = 0xdead };

	EXPECT_EQ(-EIO, engine_run(engine, bad));
	ASSERT_EQ(0, vdev_reset(&self->user.vdev));
	ASSERT_EQ(0, vdev_enable(&self->user.vdev, true));
	EXPECT_EQ(0, engine_read(engine, NVVGPU_EMU_VF_REG_STATUS));
	EXPECT_EQ(0, engine_read(engine, NVVGPU_EMU_VF_REG_ERROR));
	ASSERT_EQ(0, user_restart(&self->user));
	EXPECT_EQ(0, engine_run(engine, engine_copy(NVVGPU_EMU_DESC_DST_VRAM, 0,
						    self->user.iova, PAGE)));
}

int main(int argc, char **argv)
{
	return test_main(argc, argv, gpu_missing());
}
