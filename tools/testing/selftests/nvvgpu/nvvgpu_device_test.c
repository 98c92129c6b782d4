// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a vGPU's VFIO device: how it is opened, shared, closed and reset,
 * and its engine with it.
 */
#include <fcntl.h>
#include <poll.h>

#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/iommufd.h>

#include "lib/backend.h"
#include "subject.h"

FIXTURE(device) {
	struct subject s;
	const char *vf;
	struct ioas ioas;
	struct vdev vdev;
	char state[32];
};

FIXTURE_VARIANT(device) {
	enum iommu_mode mode;
	enum subject_kind kind;
};

FIXTURE_VARIANT_ADD(device, iommufd) { .mode = IOMMU_IOMMUFD };
FIXTURE_VARIANT_ADD(device, compat) { .mode = IOMMU_COMPAT };
FIXTURE_VARIANT_ADD(device, type1) { .mode = IOMMU_TYPE1 };

FIXTURE_VARIANT_ADD(device, iommufd_generic) {
	.mode = IOMMU_IOMMUFD, .kind = SUBJECT_WHOLE,
};

FIXTURE_VARIANT_ADD(device, type1_generic) {
	.mode = IOMMU_TYPE1, .kind = SUBJECT_WHOLE,
};

FIXTURE_SETUP(device)
{
	int ret;

	vdev_init(&self->vdev, "", &self->ioas);
	ret = subject_prepare(&self->s, variant->kind, &self->ioas,
			      variant->mode);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "no such vGPU or address space here");
	ASSERT_EQ(0, ret);
	self->vf = self->s.vf;
}

FIXTURE_TEARDOWN(device)
{
	vdev_close(&self->vdev);
	ioas_close(&self->ioas);
	subject_drop(&self->s);
}

#define EXPECT_STATE(want) do {						\
	EXPECT_LT(0, vf_state(self->vf, self->state,			\
			      sizeof(self->state)));			\
	EXPECT_STREQ(want, self->state);				\
} while (0)

#define ASSERT_CREATED() \
	ASSERT_EQ(0, vf_set_type(self->vf, self->s.type.id))

#define ASSERT_OPEN() do {						\
	ASSERT_CREATED();						\
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));	\
} while (0)

TEST_F(device, open_without_a_type_is_enodev)
{
	EXPECT_EQ(-ENODEV, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_STATE("bound");

	/* Even if there was one before */
	ASSERT_CREATED();
	ASSERT_EQ(0, vf_set_type(self->vf, 0));
	EXPECT_EQ(-ENODEV, vdev_open(&self->vdev, self->vf, &self->ioas));
}

TEST_F(device, opens_and_closes_again_and_again)
{
	int i;

	ASSERT_CREATED();
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
		EXPECT_STATE("open");
		vdev_close(&self->vdev);
		EXPECT_STATE("created");
	}
}

TEST_F(device, open_without_a_reset_is_refused)
{
	char methods[64];

	ASSERT_CREATED();
	ASSERT_LT(0, pci_read(self->vf, "reset_method", methods,
			      sizeof(methods)));
	/* No method is left. */
	ASSERT_EQ(0, pci_write(self->vf, "reset_method", "\n"));
	EXPECT_EQ(-EIO, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_LAST_ERROR(self->vf, EIO,
			  "cannot open: the VF could not be reset");
	EXPECT_STATE("created");

	/* The refused open has leaked nothing. */
	ASSERT_EQ(0, pci_write(self->vf, "reset_method", methods));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_STATE("open");
	EXPECT_FILE(self->vf, "nvvgpu/last_error", "\n");
}

TEST_F(device, second_open_is_refused)
{
	struct ioas ioas2;
	struct vdev vdev2;

	ASSERT_OPEN();
	ASSERT_EQ(0, ioas_open(&ioas2, variant->mode));
	EXPECT_EQ(variant->mode == IOMMU_IOMMUFD ? -EINVAL : -EBUSY,
		  vdev_open(&vdev2, self->vf, &ioas2));
	ioas_close(&ioas2);
	EXPECT_STATE("open");

	/* The first user is not affected. */
	EXPECT_EQ(0, vdev_reset(&self->vdev));
}

TEST_F(device, exit_without_close_releases_the_device)
{
	int status;
	pid_t pid;

	ASSERT_CREATED();
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct ioas ioas;
		struct vdev vdev;

		if (ioas_open(&ioas, variant->mode) ||
		    vdev_open(&vdev, self->vf, &ioas) ||
		    vdev_enable(&vdev, true) ||
		    vdev_map_bar(&vdev, self->s.bar) ||
		    vdev_msix_enable(&vdev, 2))
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

	ASSERT_OPEN();
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

	ASSERT_OPEN();
	ASSERT_EQ(0, vdev_enable(&self->vdev, false));
	ASSERT_EQ(0, vdev_map_bar(&self->vdev, self->s.bar));
	map = self->vdev.bar[self->s.bar];
	len = self->vdev.bar_len[self->s.bar];
	self->vdev.bar[self->s.bar] = NULL;
	vdev_close(&self->vdev);

	EXPECT_STATE("open");
	EXPECT_EQ(-EPERM, vf_set_type(self->vf, 0));
	munmap(map, len);
	EXPECT_STATE("created");
}

TEST_F(device, unbinding_asks_the_user_to_close)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int status;
	pid_t pid;

	ASSERT_LE(0, fd);
	ASSERT_OPEN();
	ASSERT_EQ(0, vdev_set_irq(&self->vdev, VFIO_PCI_REQ_IRQ_INDEX, fd));
	pid = pci_unbind_begin(self->vf);
	ASSERT_LE(0, pid);

	EXPECT_LT(0, irq_wait(fd, WAIT_MS));
	/* It is in use until it is closed. */
	EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
	EXPECT_EQ(0, vdev_enable(&self->vdev, false));
	vdev_close(&self->vdev);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
	EXPECT_FALSE(pci_exists(self->vf, "vfio-dev"));
	close(fd);
}

/* Send a file descriptor, or receive one with @fd -1. */
static int pass_fd(int sock, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {};
	char c = 0;
	struct iovec iov = { .iov_base = &c, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	if (fd < 0) {
		if (recvmsg(sock, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
			return -1;
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
		return fd;
	}
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));

	return sendmsg(sock, &msg, 0) == 1 ? 0 : -1;
}

TEST_F(device, serves_the_process_that_it_is_passed_to)
{
	int sock[2], status;
	pid_t pid;
	char c;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct vdev vdev;
		__u32 val;
		bool ok;

		/* The process has only received the file of the device. */
		close(sock[0]);
		vdev_init(&vdev, self->vf, NULL);
		vdev.fd = pass_fd(sock[1], -1);
		ok = vdev.fd >= 0 && read(sock[1], &c, 1) == 1 &&
		     !vdev_reset(&vdev) && !vdev_enable(&vdev, true) &&
		     vdev_read(&vdev, self->s.bar, 0, &val, 4) == 4 &&
		     !vdev_map_bar(&vdev, self->s.bar) &&
		     !vdev_msix_enable(&vdev, 2);
		ok = ok && write(sock[1], &c, 1) == 1 &&
		     read(sock[1], &c, 1) == 1;
		_exit(!ok);
	}
	close(sock[1]);
	ASSERT_OPEN();
	ASSERT_EQ(0, pass_fd(sock[0], self->vdev.fd));
	vdev_close(&self->vdev);
	ioas_close(&self->ioas);
	EXPECT_STATE("open");
	EXPECT_EQ(-EPERM, vf_set_type(self->vf, 0));
	EXPECT_EQ(1, write(sock[0], "", 1));
	EXPECT_EQ(1, read(sock[0], &c, 1));
	EXPECT_STATE("open");
	EXPECT_EQ(1, write(sock[0], "", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status) && !WEXITSTATUS(status));
	EXPECT_STATE("created");

	ASSERT_EQ(0, ioas_open(&self->ioas, variant->mode));
	EXPECT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	close(sock[0]);
}

TEST_F(device, open_succeeds_or_returns_eagain_while_the_host_resets)
{
	int i, status, opened = 0, ret;
	pid_t pid;

	ASSERT_CREATED();
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		for (i = 0; i < 8; i++)
			pci_write(self->vf, "reset", "1");
		_exit(0);
	}
	do {
		ret = vdev_open(&self->vdev, self->vf, &self->ioas);
		if (ret) {
			/* The device is locked for the reset. */
			EXPECT_EQ(-EAGAIN, ret);
			usleep(1000);
			continue;
		}
		opened++;
		EXPECT_STATE("open");
		EXPECT_EQ(self->s.ids, vdev_cfg_read32(&self->vdev,
						       PCI_VENDOR_ID));
		vdev_close(&self->vdev);
		EXPECT_STATE("created");
	} while (!waitpid(pid, &status, WNOHANG));
	EXPECT_TRUE(WIFEXITED(status));

	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_EQ(0, vdev_reset(&self->vdev));
	TH_LOG("opened %d times", opened);
}

TEST_F(device, resets_by_host_and_user_at_once_end_well)
{
	int i, status, ret;
	pid_t pid;

	ASSERT_OPEN();
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		for (i = 0; i < 5; i++)
			pci_write(self->vf, "reset", "1");
		_exit(0);
	}
	do {
		ret = vdev_reset(&self->vdev);
		EXPECT_TRUE(!ret || ret == -EAGAIN);
	} while (!waitpid(pid, &status, WNOHANG));
	EXPECT_STATE("open");
	ASSERT_EQ(0, vdev_enable(&self->vdev, false));
	EXPECT_EQ(4, vdev_read(&self->vdev, self->s.bar, 0, &i, 4));
}

/*
 * The two ways to open a device, and what each of them refuses
 */
static int ioctl_err(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

FIXTURE(cdev) {
	struct subject s;
	struct ioas ioas;
	struct vdev vdev;
	struct vdev vdev2;
};

FIXTURE_SETUP(cdev)
{
	int ret;

	vdev_init(&self->vdev, "", &self->ioas);
	vdev_init(&self->vdev2, "", &self->ioas);
	ret = subject_prepare(&self->s, SUBJECT_Q, &self->ioas,
			      IOMMU_IOMMUFD);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "no such vGPU or address space here");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, vf_set_type(self->s.vf, self->s.type.id));
	vdev_init(&self->vdev, self->s.vf, &self->ioas);
	vdev_init(&self->vdev2, self->s.vf2, &self->ioas);
}

FIXTURE_TEARDOWN(cdev)
{
	vdev_close(&self->vdev);
	vdev_close(&self->vdev2);
	ioas_close(&self->ioas);
	subject_drop(&self->s);
}

TEST_F(cdev, does_nothing_until_it_is_bound)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = self->ioas.id,
	};
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = sizeof(detach),
	};
	struct vfio_region_info region = { .argsz = sizeof(region) };
	struct vfio_device_info info = { .argsz = sizeof(info) };
	char state[32];
	int fd;

	fd = vdev_cdev_open(self->s.vf);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, ioctl_err(fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(-EINVAL, ioctl_err(fd, VFIO_DEVICE_GET_REGION_INFO,
				     &region));
	EXPECT_EQ(-EINVAL, ioctl_err(fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(-EINVAL, ioctl_err(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				     &attach));
	EXPECT_EQ(-EINVAL, ioctl_err(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT,
				     &detach));
	EXPECT_EQ(-1, pread(fd, &info, 4, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, pwrite(fd, &info, 4, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_EQ(EINVAL, errno);

	/* The device is not in use either. */
	EXPECT_LT(0, vf_state(self->s.vf, state, sizeof(state)));
	EXPECT_STREQ("created", state);
	EXPECT_EQ(0, vf_set_type(self->s.vf, 0));
	EXPECT_EQ(0, vf_set_type(self->s.vf, self->s.type.id));
	close(fd);
}

TEST_F(cdev, is_bound_once_and_to_an_iommufd)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = self->ioas.fd,
	};
	struct ioas group_ioas;
	struct vdev group;
	int fd, bad;

	fd = vdev_cdev_open(self->s.vf);
	ASSERT_LE(0, fd);
	bind.argsz = 4;
	EXPECT_EQ(-EINVAL, ioctl_err(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	bind.argsz = sizeof(bind);
	bind.flags = 1U << 31;
	EXPECT_EQ(-EINVAL, ioctl_err(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	bind.flags = 0;
	bind.iommufd = -1;
	EXPECT_EQ(-EINVAL, ioctl_err(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	bad = eventfd(0, EFD_CLOEXEC);
	bind.iommufd = bad;
	EXPECT_EQ(-EBADFD, ioctl_err(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	close(bad);
	EXPECT_EQ(-EBADF, ioctl_err(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));

	bind.iommufd = self->ioas.fd;
	ASSERT_EQ(0, ioctl_err(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	EXPECT_NE(0, bind.out_devid);
	EXPECT_EQ(-EINVAL, ioctl_err(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	/* Nor by another file of the same device */
	bad = vdev_cdev_open(self->s.vf);
	ASSERT_LE(0, bad);
	EXPECT_EQ(-EINVAL, ioctl_err(bad, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	close(bad);
	/* Nor through its group now; nor the cdev while the group is open. */
	ASSERT_EQ(0, ioas_open(&group_ioas, IOMMU_COMPAT));
	EXPECT_EQ(-EBUSY, vdev_open(&group, self->s.vf, &group_ioas));
	close(fd);
	ASSERT_EQ(0, vdev_open(&group, self->s.vf, &group_ioas));
	fd = vdev_cdev_open(self->s.vf);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, ioctl_err(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	vdev_close(&group);
	ioas_close(&group_ioas);
	EXPECT_EQ(0, ioctl_err(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	close(fd);
}

TEST_F(cdev, without_a_type_is_not_bound_and_can_be_later)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = self->ioas.fd,
	};
	int fd;

	ASSERT_EQ(0, vf_set_type(self->s.vf, 0));
	fd = vdev_cdev_open(self->s.vf);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENODEV, ioctl_err(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	ASSERT_EQ(0, vf_set_type(self->s.vf, self->s.type.id));
	EXPECT_EQ(0, ioctl_err(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	close(fd);
}

TEST_F(cdev, is_attached_to_what_can_be_attached_to)
{
	struct iommu_destroy destroy = { .size = sizeof(destroy) };
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = 4,
		.pt_id = self->ioas.id,
	};
	struct vfio_device_detach_iommufd_pt detach = { .argsz = 4 };
	struct vdev *vdev = &self->vdev;
	struct ioas other;

	ASSERT_EQ(0, vf_set_type(self->s.vf2, self->s.type.id));
	ASSERT_EQ(0, vdev_bind(vdev));
	ASSERT_EQ(0, vdev_bind(&self->vdev2));
	EXPECT_NE(vdev->id, self->vdev2.id);

	EXPECT_EQ(-EINVAL, vdev_ioctl(vdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				      &attach));
	EXPECT_EQ(-EINVAL, vdev_ioctl(vdev, VFIO_DEVICE_DETACH_IOMMUFD_PT,
				      &detach));
	attach.argsz = sizeof(attach);
	detach.argsz = sizeof(detach);
	attach.flags = 1U << 31;
	detach.flags = 1U << 31;
	EXPECT_EQ(-EINVAL, vdev_ioctl(vdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				      &attach));
	EXPECT_EQ(-EINVAL, vdev_ioctl(vdev, VFIO_DEVICE_DETACH_IOMMUFD_PT,
				      &detach));
	/* Refuse an id that does not exist, and that of a device. */
	EXPECT_EQ(-ENOENT, vdev_attach(vdev, 0));
	EXPECT_EQ(-ENOENT, vdev_attach(vdev, ~0U));
	EXPECT_EQ(-EINVAL, vdev_attach(vdev, vdev->id));
	EXPECT_EQ(-EINVAL, vdev_attach(vdev, self->vdev2.id));

	/* Attach again, attach another one, and detach twice. */
	EXPECT_EQ(0, vdev_attach(vdev, self->ioas.id));
	EXPECT_EQ(0, vdev_attach(vdev, self->ioas.id));
	EXPECT_EQ(-ENOENT, vdev_attach(vdev, ~0U));
	ASSERT_EQ(0, ioas_open_sibling(&other, &self->ioas));
	EXPECT_EQ(0, vdev_attach(vdev, other.id));
	destroy.id = other.id;
	EXPECT_EQ(-EBUSY, ioctl_err(other.fd, IOMMU_DESTROY, &destroy));
	EXPECT_EQ(0, vdev_attach(&self->vdev2, other.id));
	EXPECT_EQ(0, vdev_detach(vdev));
	EXPECT_EQ(0, vdev_detach(vdev));
	EXPECT_EQ(0, vdev_detach(&self->vdev2));
	EXPECT_EQ(0, ioctl_err(other.fd, IOMMU_DESTROY, &destroy));
	EXPECT_EQ(-ENOENT, vdev_attach(vdev, other.id));
	EXPECT_EQ(0, vdev_attach(vdev, self->ioas.id));
	EXPECT_EQ(0, vdev_reset(vdev));
}

/*
 * Every type there is
 */
TEST_F(cdev, registers_show_the_id_and_sizes_of_the_type)
{
	struct vgpu_type types[MAX_TYPES];
	struct vfio_region_info info;
	struct engine engine;
	int t, nr;

	nr = vf_types(self->s.vf, types, MAX_TYPES);
	ASSERT_LT(0, nr);
	for (t = 0; t < nr; t++) {
		vdev_close(&self->vdev);
		ASSERT_EQ(0, vf_set_type(self->s.vf, 0));
		ASSERT_EQ(0, vf_set_type(self->s.vf, types[t].id));
		ASSERT_EQ(0, vdev_open(&self->vdev, self->s.vf, &self->ioas));
		ASSERT_EQ(0, vdev_region_info(&self->vdev,
					      NVVGPU_EMU_VF_BAR_FB, &info));
		EXPECT_EQ(types[t].bar0, info.size)
			TH_LOG("%s", types[t].name);
		ASSERT_EQ(0, engine_init(&engine, &self->vdev));
		EXPECT_EQ(types[t].id,
			  engine_read(&engine, NVVGPU_EMU_VF_REG_TYPE));
		EXPECT_EQ(types[t].framebuffer,
			  engine_read64(&engine, NVVGPU_EMU_VF_REG_FB_SIZE));
		EXPECT_EQ(NVVGPU_EMU_REVISION,
			  engine_read(&engine, NVVGPU_EMU_VF_REG_REVISION));
	}
}

FIXTURE(group) {
	struct subject s;
	struct ioas ioas;
	struct vdev vdev;
};

FIXTURE_VARIANT(group) {
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(group, compat) { .mode = IOMMU_COMPAT };
FIXTURE_VARIANT_ADD(group, type1) { .mode = IOMMU_TYPE1 };

FIXTURE_SETUP(group)
{
	int ret;

	vdev_init(&self->vdev, "", &self->ioas);
	ret = subject_prepare(&self->s, SUBJECT_Q, &self->ioas,
			      variant->mode);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "no such vGPU or address space here");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, vf_set_type(self->s.vf, self->s.type.id));
}

FIXTURE_TEARDOWN(group)
{
	vdev_close(&self->vdev);
	ioas_close(&self->ioas);
	subject_drop(&self->s);
}

TEST_F(group, gives_its_device_to_one_user_with_a_container)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = self->ioas.fd,
	};
	int group, again = eventfd(0, EFD_CLOEXEC);
	char name[BDF_LEN] = "0000:ff:1f.7";

	group = vdev_group_open(self->s.vf);
	ASSERT_LE(0, group);
	EXPECT_EQ(-EBUSY, vdev_group_open(self->s.vf));
	/* Without a container, and with a file that is not a container */
	EXPECT_EQ(-EINVAL, ioctl_err(group, VFIO_GROUP_GET_DEVICE_FD,
				     (void *)self->s.vf));
	EXPECT_GT(0, ioctl_err(group, VFIO_GROUP_SET_CONTAINER, &again));
	close(again);
	EXPECT_GT(0, ioctl_err(group, VFIO_GROUP_SET_CONTAINER, &again));

	ASSERT_EQ(0, ioctl_err(group, VFIO_GROUP_SET_CONTAINER,
			       &self->ioas.fd));
	EXPECT_EQ(-EINVAL, ioctl_err(group, VFIO_GROUP_SET_CONTAINER,
				     &self->ioas.fd));
	ASSERT_EQ(0, ioctl_err(self->ioas.fd, VFIO_SET_IOMMU,
			       (void *)VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-ENODEV, ioctl_err(group, VFIO_GROUP_GET_DEVICE_FD, name));
	self->vdev.fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, self->s.vf);
	ASSERT_LE(0, self->vdev.fd);
	/* An iommufd is the device's own, a container is the group's. */
	EXPECT_EQ(variant->mode == IOMMU_COMPAT ? 0 : -EBUSY,
		  ioctl_err(group, VFIO_GROUP_UNSET_CONTAINER, NULL));

	/* An operation of a cdev fails for a device opened through its group. */
	EXPECT_EQ(-EINVAL, vdev_ioctl(&self->vdev, VFIO_DEVICE_BIND_IOMMUFD,
				      &bind));
	EXPECT_EQ(-ENOTTY, vdev_attach(&self->vdev, 1));
	EXPECT_EQ(-ENOTTY, vdev_detach(&self->vdev));

	/* The device outlives both files. */
	close(group);
	ioas_close(&self->ioas);
	EXPECT_EQ(0, vdev_reset(&self->vdev));
}

TEST_F(group, maps_whole_pages_once_and_nothing_else)
{
	struct ioas *ioas = &self->ioas;
	char *mem;

	mem = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, vdev_open(&self->vdev, self->s.vf, ioas));
	EXPECT_EQ(0, ioas_map(ioas, mem, MIB, 2 * PAGE, PROT_READ));
	EXPECT_EQ(-EEXIST, ioas_map(ioas, mem, MIB + PAGE, PAGE, PROT_READ));
	EXPECT_EQ(-EINVAL, ioas_map(ioas, mem, 2 * MIB, PAGE + 1, PROT_READ));
	EXPECT_EQ(-EINVAL, ioas_map(ioas, mem, 2 * MIB + 1, PAGE, PROT_READ));
	EXPECT_EQ(-EINVAL, ioas_map(ioas, mem + 1, 2 * MIB, PAGE, PROT_READ));
	EXPECT_EQ(-EINVAL, ioas_map(ioas, mem, 2 * MIB, 0, PROT_READ));
	EXPECT_GT(0, ioas_map(ioas, mem, -PAGE, 2 * PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, ioas_map(ioas, NULL, 2 * MIB, PAGE, PROT_READ));
	/* A part of a mapping cannot be unmapped. */
	EXPECT_GT(0, ioas_unmap(ioas, MIB, PAGE));
	EXPECT_EQ(0, ioas_unmap(ioas, MIB, 2 * PAGE));
	munmap(mem, 4 * PAGE);
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
	int nr, ret;

	ASSERT_GPU(&self->pf, TEST_VFS);
	nr = vf_types(self->pf.vf[0], self->types, MAX_TYPES);
	ASSERT_LT(0, nr);
	ASSERT_EQ(0, vf_set_type(self->pf.vf[0],
				 type_smallest(self->types, nr)->id));
	ret = user_open(&self->user, self->pf.vf[0], variant->mode);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "iommufd serves as the container");
	ASSERT_EQ(0, ret);
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
		EXPECT_EQ(1, irq_wait(vdev->irq[v], WAIT_MS));
		for (others = 0, i = 0; i < NVVGPU_EMU_VF_VECTORS; i++)
			others += irq_wait(vdev->irq[i], 0);
		EXPECT_EQ(0, others);
	}
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
		EXPECT_EQ(1, irq_wait(vdev->irq[0], WAIT_MS));
		ASSERT_EQ(0, vdev_msix_disable(vdev));

		/* It also works without interrupts. */
		engine_submit(&self->user.engine, &nop, 1);
		EXPECT_EQ(0, engine_wait(&self->user.engine,
					 WAIT_MS));
		ASSERT_EQ(0, vdev_msix_enable(vdev, ENGINE_VECTORS));
		irq_wait(vdev->irq[0], 100);
	}
}

/* The MSI-X table's mask of a vector, which VFIO leaves to the user's mapping */
static __u32 *vector_mask(struct vdev *vdev, unsigned int v)
{
	char *table = vdev->bar[NVVGPU_EMU_VF_BAR_MSIX];

	return (__u32 *)(table + v * PCI_MSIX_ENTRY_SIZE +
			 PCI_MSIX_ENTRY_VECTOR_CTRL);
}

/* The device has an interrupt to deliver. */
static bool vector_pending(struct vdev *vdev, unsigned int v)
{
	unsigned int cap = vdev_find_cap(vdev, PCI_CAP_ID_MSIX);
	char *bar = vdev->bar[NVVGPU_EMU_VF_BAR_MSIX];
	__u32 pba = vdev_cfg_read32(vdev, cap + PCI_MSIX_PBA);

	return __atomic_load_n((__u32 *)(bar + (pba & PCI_MSIX_PBA_OFFSET)),
			       __ATOMIC_RELAXED) & 1U << v;
}

TEST_F(device_engine, masked_vector_is_pending_until_unmasked)
{
	struct nvvgpu_emu_desc nop = {
		.op = NVVGPU_EMU_OP_NOP,
		.flags = NVVGPU_EMU_DESC_IRQ,
		.vector = 2,
	};
	struct vdev *vdev = &self->user.vdev;
	struct engine *engine = &self->user.engine;
	__u32 *mask;
	int i, j;

	ASSERT_EQ(0, vdev_msix_disable(vdev));
	ASSERT_EQ(0, vdev_msix_enable(vdev, 3));
	ASSERT_EQ(0, vdev_map_bar(vdev, NVVGPU_EMU_VF_BAR_MSIX));
	mask = vector_mask(vdev, 2);
	for (i = 0; i < 3; i++) {
		__atomic_store_n(mask, PCI_MSIX_ENTRY_CTRL_MASKBIT,
				 __ATOMIC_SEQ_CST);
		for (j = 0; j < 3; j++)
			engine_submit(engine, &nop, 1);
		for (j = 0; j < 1000 && !vector_pending(vdev, 2); j++)
			usleep(1000);
		EXPECT_TRUE(vector_pending(vdev, 2));
		EXPECT_EQ(0, irq_wait(vdev->irq[2], 20));
		/* The other vectors are unchanged. */
		EXPECT_EQ(0, engine_run(engine, (struct nvvgpu_emu_desc){}));
		__atomic_store_n(mask, 0, __ATOMIC_SEQ_CST);
		EXPECT_EQ(1, irq_wait(vdev->irq[2], WAIT_MS));
		EXPECT_FALSE(vector_pending(vdev, 2));
		engine_submit(engine, &nop, 1);
		EXPECT_EQ(1, irq_wait(vdev->irq[2], WAIT_MS));
	}
}

TEST_F(device_engine, vector_can_be_removed_and_restored)
{
	struct nvvgpu_emu_desc nop = {
		.op = NVVGPU_EMU_OP_NOP,
		.flags = NVVGPU_EMU_DESC_IRQ,
		.vector = 1,
	};
	struct {
		struct vfio_irq_set set;
		__s32 fd;
	} one = {
		.set = {
			.argsz = sizeof(one),
			.flags = VFIO_IRQ_SET_ACTION_TRIGGER |
				 VFIO_IRQ_SET_DATA_EVENTFD,
			.index = VFIO_PCI_MSIX_IRQ_INDEX,
			.start = 1,
			.count = 1,
		},
	};
	struct vdev *vdev = &self->user.vdev;
	struct engine *engine = &self->user.engine;
	int i;

	for (i = 0; i < 3; i++) {
		one.fd = -1;
		ASSERT_EQ(0, vdev_ioctl(vdev, VFIO_DEVICE_SET_IRQS, &one));
		/* An interrupt of the previous round */
		irq_wait(vdev->irq[1], 0);
		engine_submit(engine, &nop, 1);
		/* Done, with the interrupt of another vector */
		EXPECT_EQ(0, engine_run(engine, (struct nvvgpu_emu_desc){}));
		EXPECT_EQ(0, irq_wait(vdev->irq[1], 0));
		one.fd = vdev->irq[1];
		ASSERT_EQ(0, vdev_ioctl(vdev, VFIO_DEVICE_SET_IRQS, &one));
		engine_submit(engine, &nop, 1);
		/* Also counts one that has been pending since. */
		EXPECT_LE(1, irq_wait(vdev->irq[1], WAIT_MS));
	}
}

TEST_F(device_engine, framebuffer_outlives_low_power_and_d3hot)
{
	struct user *user = &self->user;
	struct engine *engine = &user->engine;
	__u32 *to = user_buf(user, 0);

	ASSERT_EQ(0, engine_run(engine, engine_fill(NVVGPU_EMU_DESC_DST_VRAM, 0,
						    PAGE, 0x01020304)));
	ASSERT_EQ(0, vdev_set_power(&user->vdev, VDEV_D3HOT));
	ASSERT_EQ(0, vdev_set_power(&user->vdev, VDEV_D0));
	ASSERT_EQ(0, vdev_feature(&user->vdev, VFIO_DEVICE_FEATURE_SET |
				  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL,
				  0));
	EXPECT_TRUE(vf_falls_asleep(user->vdev.bdf));
	ASSERT_EQ(0, vdev_feature(&user->vdev, VFIO_DEVICE_FEATURE_SET |
				  VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, NULL, 0));
	ASSERT_EQ(0, vdev_enable(&user->vdev, true));
	EXPECT_EQ(0, engine_run(engine,
				engine_copy(NVVGPU_EMU_DESC_SRC_VRAM,
					    user_addr(user, to), 0, PAGE)));
	EXPECT_EQ(0x01020304, to[0]);
	EXPECT_EQ(0x01020304, to[PAGE / 4 - 1]);
}

TEST_F(device_engine, engine_stands_still_in_d3hot)
{
	struct user *user = &self->user;
	__u64 *value = user_buf(user, MIB);
	struct nvvgpu_emu_desc work[33];
	unsigned int i, tries = 5;
	__u64 begin, took;
	bool stood = false;

	for (i = 0; i < ARRAY_SIZE(work) - 1; i++)
		work[i] = engine_fill(NVVGPU_EMU_DESC_DST_VRAM, 0, 64 * MIB, i);
	work[i] = engine_semaphore(0, user_addr(user, value), 42);
	work[i].flags |= NVVGPU_EMU_DESC_IRQ;

	/* First without resets, to measure the time */
	begin = now_ms();
	engine_submit(&user->engine, work, ARRAY_SIZE(work));
	ASSERT_EQ(0, engine_wait(&user->engine, WAIT_MS));
	took = now_ms() - begin;

	while (!stood && tries--) {
		*value = 0;
		engine_submit(&user->engine, work, ARRAY_SIZE(work));
		ASSERT_EQ(0, vdev_set_power(&user->vdev, VDEV_D3HOT));
		stood = !__atomic_load_n(value, __ATOMIC_SEQ_CST);
		if (stood) {
			usleep(2000 * took);
			EXPECT_EQ(0, __atomic_load_n(value, __ATOMIC_SEQ_CST));
		}
		ASSERT_EQ(0, vdev_set_power(&user->vdev, VDEV_D0));
		ASSERT_EQ(0, vdev_enable(&user->vdev, true));
		EXPECT_EQ(0, engine_wait(&user->engine, WAIT_MS));
		EXPECT_EQ(42, *value);
	}
	EXPECT_TRUE(stood)
		TH_LOG("the engine was faster than its power went");
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

	/* It works again, including its interrupts. */
	if (user->vdev.nr_irqs)
		vdev_msix_disable(&user->vdev);
	ASSERT_EQ(0, vdev_msix_enable(&user->vdev, ENGINE_VECTORS));
	ASSERT_EQ(0, user_restart(user));
	EXPECT_EQ(0, engine_run(engine, engine_copy(NVVGPU_EMU_DESC_DST_VRAM, 0,
						    user->iova, PAGE)));
	EXPECT_EQ(2, engine->irqs);
}

TEST_F(device_engine, reset_clears_all_state)
{
	check_reset(_metadata, &self->user, false);
}

TEST_F(device_engine, flr_by_config_space_clears_all_state)
{
	check_reset(_metadata, &self->user, true);
}

TEST_F(device_engine, reset_clears_an_engine_error)
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
