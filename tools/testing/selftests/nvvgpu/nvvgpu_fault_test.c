// SPDX-License-Identifier: GPL-2.0
/*
 * What happens when the GPU's firmware fails, is late, hangs or crashes, and when
 * drivers and VFs are taken away: the right errno, the right state, other vGPUs go
 * on, and everything can be set up again.
 */
#include <fcntl.h>
#include <signal.h>

#include <sys/eventfd.h>

#include "nvvgpu_test.h"

#define TO_VRAM		NVVGPU_EMU_DESC_DST_VRAM
#define FROM_VRAM	NVVGPU_EMU_DESC_SRC_VRAM

/* Quick enough to wait for, long enough for a slow machine that is well */
#define TIMEOUT_MS	"1000"
#define TIMEOUT_DEFAULT	"5000"

/* What is done when the firmware misbehaves; each needs the one command. */
enum action {
	ACT_CREATE,
	ACT_DELETE,
	ACT_OPEN,
	ACT_RESET,
	ACT_CLOSE,
	ACT_LIST,
	ACT_STATS,
};

FIXTURE(fault) {
	struct pf pf;
	const char *vf;
	const struct vgpu_type *type;
	struct vgpu_type types[MAX_TYPES];
	struct user a;
	struct user other;
	char state[32];
	int err_fd;
};

FIXTURE_VARIANT(fault) {
	const char *command;
	enum action action;
	/* state of the vGPU after the command has failed */
	const char *failed;
	/* what the action returns then */
	int err;
};

FIXTURE_VARIANT_ADD(fault, create) {
	.command = "create", .action = ACT_CREATE,
	.failed = "bound", .err = -EIO,
};

FIXTURE_VARIANT_ADD(fault, delete) {
	.command = "delete", .action = ACT_DELETE,
	.failed = "error", .err = -EIO,
};

FIXTURE_VARIANT_ADD(fault, start) {
	.command = "start", .action = ACT_OPEN,
	.failed = "created", .err = -EIO,
};

FIXTURE_VARIANT_ADD(fault, reset) {
	.command = "reset", .action = ACT_RESET,
	.failed = "error", .err = 0,
};

FIXTURE_VARIANT_ADD(fault, stop) {
	.command = "stop", .action = ACT_CLOSE,
	.failed = "error", .err = 0,
};

FIXTURE_VARIANT_ADD(fault, scrub) {
	.command = "scrub", .action = ACT_CLOSE,
	.failed = "error", .err = 0,
};

FIXTURE_VARIANT_ADD(fault, available) {
	.command = "available", .action = ACT_LIST,
	.failed = "bound", .err = -EIO,
};

FIXTURE_VARIANT_ADD(fault, stats) {
	.command = "stats", .action = ACT_STATS,
	.failed = "created", .err = -EIO,
};

/* Bring a firmware that has gone back, whatever it did. */
static int pf_reset(const struct pf *pf)
{
	return pci_write(pf->bdf, "reset", "1");
}

/* One turn of work, compared at its end. */
static int work(struct user *user)
{
	__u8 *from = user_buf(user, 0), *to = user_buf(user, MIB);
	int ret;

	pattern(from, 10000, 11);
	memset(to, 0, 10000);
	ret = engine_run(&user->engine,
			 engine_copy(TO_VRAM, 64, user_addr(user, from),
				     10000));
	if (!ret)
		ret = engine_run(&user->engine,
				 engine_copy(FROM_VRAM, user_addr(user, to), 64,
					     10000));

	return ret ?: memcmp(from, to, 10000) ? -EILSEQ : 0;
}

/* A whole life of a vGPU. */
static int life(const char *vf, const struct vgpu_type *type)
{
	struct user user = {};
	int ret;

	ret = vf_set_type(vf, type->id);
	if (ret)
		return ret;
	ret = user_open(&user, vf, IOMMU_IOMMUFD);
	if (!ret)
		ret = work(&user);
	if (!ret)
		ret = vdev_reset(&user.vdev);
	user_close(&user);

	return ret ?: vf_set_type(vf, 0);
}

FIXTURE_SETUP(fault)
{
	int nr;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware fail");
	ASSERT_EQ(0, fw_faults(""));
	ASSERT_EQ(0, module_param_set("nvvgpu_emu", "fw_timeout_ms",
				      TIMEOUT_MS));
	ASSERT_EQ(0, pf_find(&self->pf));
	if (gpu_prepare(&self->pf, TEST_VFS))
		ASSERT_EQ(0, pf_reset(&self->pf));
	ASSERT_GPU(&self->pf, TEST_VFS);
	self->vf = self->pf.vf[0];
	nr = vf_types(self->vf, self->types, MAX_TYPES);
	ASSERT_LT(0, nr);
	self->type = type_smallest(self->types, nr);
	self->err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_LE(0, self->err_fd);

	/* Somebody else, who is to go on */
	ASSERT_EQ(0, vf_set_type(self->pf.vf[1], self->type->id));
	ASSERT_EQ(0, user_open(&self->other, self->pf.vf[1], IOMMU_IOMMUFD));
	ASSERT_EQ(0, work(&self->other));

	/* What the action needs to begin with */
	if (variant->action == ACT_CREATE || variant->action == ACT_LIST)
		return;
	ASSERT_EQ(0, vf_set_type(self->vf, self->type->id));
	if (variant->action != ACT_RESET && variant->action != ACT_CLOSE)
		return;
	ASSERT_EQ(0, user_open(&self->a, self->vf, IOMMU_IOMMUFD));
	ASSERT_EQ(0, vdev_set_irq(&self->a.vdev, VFIO_PCI_ERR_IRQ_INDEX,
				  self->err_fd));
}

FIXTURE_TEARDOWN(fault)
{
	if (!qmp_available())
		return;
	fw_faults("");
	user_close(&self->a);
	user_close(&self->other);
	gpu_clean(&self->pf);
	module_param_set("nvvgpu_emu", "fw_timeout_ms", TIMEOUT_DEFAULT);
}

static int act(enum action action, const char *vf, unsigned int type,
	       struct user *user)
{
	char buf[4096];
	int ret;

	switch (action) {
	case ACT_CREATE:
		return vf_set_type(vf, type);
	case ACT_DELETE:
		return vf_set_type(vf, 0);
	case ACT_OPEN:
		return user_open(user, vf, IOMMU_IOMMUFD);
	case ACT_RESET:
		return vdev_reset(&user->vdev);
	case ACT_CLOSE:
		user_close(user);
		return 0;
	case ACT_LIST:
		ret = pci_read(vf, "nvidia/creatable_vgpu_types", buf,
			       sizeof(buf));
		return ret < 0 ? ret : 0;
	case ACT_STATS:
		ret = pci_read(vf, "nvvgpu/stats", buf, sizeof(buf));
		return ret < 0 ? ret : 0;
	}

	return -EINVAL;
}

#define ARM(action) do {						\
	char __rule[64];						\
									\
	snprintf(__rule, sizeof(__rule), "%s:1:%s", variant->command,	\
		 action);						\
	ASSERT_EQ(0, fw_faults(__rule));				\
} while (0)

#define ACT()	act(variant->action, self->vf, self->type->id, &self->a)

#define EXPECT_STATE(want) do {						\
	EXPECT_LT(0, vf_state(self->vf, self->state,			\
			      sizeof(self->state)));			\
	EXPECT_STREQ(want, self->state);				\
} while (0)

/* Whatever has happened, letting go and deleting make the VF as new. */
#define EXPECT_RECOVERS() do {						\
	ASSERT_EQ(0, fw_faults(""));					\
	user_close(&self->a);						\
	EXPECT_EQ(0, vf_set_type(self->vf, 0));				\
	EXPECT_STATE("bound");						\
	EXPECT_EQ(0, life(self->vf, self->type));			\
} while (0)

TEST_F(fault, failure_is_clean)
{
	ARM("fail");
	EXPECT_EQ(variant->err, ACT());
	EXPECT_STATE(variant->failed);
	if (variant->action == ACT_RESET) {
		/* The user is told, and another reset brings the vGPU back. */
		EXPECT_LT(0, irq_wait(self->err_fd, 5000));
		EXPECT_EQ(0, vdev_reset(&self->a.vdev));
		EXPECT_STATE("open");
		EXPECT_EQ(0, vdev_enable(&self->a.vdev, true));
		EXPECT_EQ(0, user_restart(&self->a));
		vdev_msix_disable(&self->a.vdev);
		EXPECT_EQ(0, work(&self->a));
	}
	EXPECT_EQ(0, work(&self->other));
	EXPECT_RECOVERS();
	EXPECT_EQ(0, work(&self->other));
}

TEST_F(fault, late_answer_is_dropped)
{
	ARM("late");
	EXPECT_EQ(variant->err ? -ETIMEDOUT : 0, ACT());
	EXPECT_STATE(variant->failed);
	EXPECT_EQ(0, work(&self->other));
	EXPECT_RECOVERS();
	EXPECT_EQ(0, work(&self->other));
}

TEST_F(fault, hang_is_survived)
{
	ARM("hang");
	EXPECT_EQ(variant->err ? -ETIMEDOUT : 0, ACT());
	EXPECT_STATE(variant->failed);

	/* The engines need no firmware to go on. */
	EXPECT_EQ(0, work(&self->other));
	user_close(&self->other);

	ASSERT_EQ(0, fw_faults(""));
	ASSERT_EQ(0, pf_reset(&self->pf));
	EXPECT_RECOVERS();
	EXPECT_EQ(0, vf_set_type(self->pf.vf[1], 0));
	EXPECT_EQ(0, life(self->pf.vf[1], self->type));
}

TEST_F(fault, crash_is_told_and_a_reset_of_the_pf_recovers)
{
	char state[32];
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, vdev_set_irq(&self->other.vdev, VFIO_PCI_ERR_IRQ_INDEX,
				  fd));
	ARM("crash");
	ACT();

	/* All vGPUs went with it, and their users are told. */
	EXPECT_LT(0, irq_wait(fd, 10000));
	EXPECT_LT(0, vf_state(self->pf.vf[1], state, sizeof(state)));
	EXPECT_STREQ("error", state);
	EXPECT_EQ(-EIO, work(&self->other));
	if (variant->action != ACT_CREATE && variant->action != ACT_LIST)
		EXPECT_STATE("error");

	/* Nothing new comes to be until then. */
	EXPECT_NE(0, vf_set_type(self->pf.vf[2], self->type->id));
	EXPECT_EQ(0, vf_creatable(self->pf.vf[2], 0));

	ASSERT_EQ(0, fw_faults(""));
	ASSERT_EQ(0, pf_reset(&self->pf));
	EXPECT_RECOVERS();

	/* One that is open comes back with a reset of its own. */
	EXPECT_EQ(0, vdev_reset(&self->other.vdev));
	EXPECT_LT(0, vf_state(self->pf.vf[1], state, sizeof(state)));
	EXPECT_STREQ("open", state);
	EXPECT_EQ(0, vdev_enable(&self->other.vdev, true));
	EXPECT_EQ(0, user_restart(&self->other));
	vdev_msix_disable(&self->other.vdev);
	EXPECT_EQ(0, work(&self->other));
	close(fd);
}

TEST_F(fault, open_of_a_vgpu_in_error_is_eio)
{
	struct user user = {};

	if (variant->action != ACT_DELETE)
		SKIP(return, "one way into error is enough");
	ARM("fail");
	EXPECT_EQ(-EIO, ACT());
	EXPECT_STATE("error");
	EXPECT_EQ(-EIO, user_open(&user, self->vf, IOMMU_IOMMUFD));
	user_close(&user);
	EXPECT_EQ(-EPERM, vf_set_type(self->vf, self->type->id));
	EXPECT_RECOVERS();
}

/*
 * Drivers and VFs that are taken away
 */
FIXTURE(removal) {
	struct pf pf;
	char driver[32];
	struct vgpu_type types[MAX_TYPES];
	const struct vgpu_type *type;
	struct user user;
	int req_fd;
	int err_fd;
	pid_t pid;
	char state[32];
};

FIXTURE_SETUP(removal)
{
	int nr;

	ASSERT_GPU(&self->pf, TEST_VFS);
	ASSERT_EQ(0, pci_driver(self->pf.bdf, self->driver,
				sizeof(self->driver)));
	nr = vf_types(self->pf.vf[0], self->types, MAX_TYPES);
	ASSERT_LT(0, nr);
	self->type = type_smallest(self->types, nr);
	self->req_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	self->err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_LE(0, self->req_fd);
	ASSERT_LE(0, self->err_fd);
	ASSERT_EQ(0, vf_set_type(self->pf.vf[0], self->type->id));
}

FIXTURE_TEARDOWN(removal)
{
	user_close(&self->user);
	gpu_clean(&self->pf);
}

/* Give the first VF's vGPU a user who can be told things. */
#define ASSERT_OPEN_TOLD() do {						\
	struct vdev *__vdev = &self->user.vdev;				\
									\
	ASSERT_EQ(0, user_open(&self->user, self->pf.vf[0],		\
			       IOMMU_IOMMUFD));				\
	ASSERT_EQ(0, work(&self->user));				\
	ASSERT_EQ(0, vdev_set_irq(__vdev, VFIO_PCI_REQ_IRQ_INDEX,	\
				  self->req_fd));			\
	ASSERT_EQ(0, vdev_set_irq(__vdev, VFIO_PCI_ERR_IRQ_INDEX,	\
				  self->err_fd));			\
} while (0)

/* Do @what in a child that does not hold the device itself. */
#define IN_CHILD(what) do {						\
	self->pid = fork();						\
	ASSERT_LE(0, self->pid);					\
	if (!self->pid) {						\
		user_close(&self->user);				\
		_exit(-(what));						\
	}								\
} while (0)

#define EXPECT_CHILD_ENDS_WELL() do {					\
	int __status;							\
									\
	ASSERT_EQ(self->pid, waitpid(self->pid, &__status, 0));		\
	EXPECT_TRUE(WIFEXITED(__status));				\
	EXPECT_EQ(0, WEXITSTATUS(__status));				\
} while (0)

/* Set up everything again, and see it work. */
#define EXPECT_ALL_AGAIN() do {						\
	ASSERT_GPU(&self->pf, TEST_VFS);				\
	EXPECT_EQ(0, life(self->pf.vf[0], self->type));			\
	EXPECT_EQ(0, life(self->pf.vf[1], self->type));			\
} while (0)

TEST_F(removal, sriov_disabled_while_created)
{
	ASSERT_EQ(0, pf_set_vfs(&self->pf, 0));
	EXPECT_EQ(0, self->pf.nr_vfs);
	EXPECT_ALL_AGAIN();
}

TEST_F(removal, sriov_disabled_while_open)
{
	ASSERT_OPEN_TOLD();
	IN_CHILD(pf_set_vfs(&self->pf, 0));
	EXPECT_LT(0, irq_wait(self->req_fd, 15000));
	/* It works until its user lets go. */
	EXPECT_EQ(0, work(&self->user));
	user_close(&self->user);
	EXPECT_CHILD_ENDS_WELL();
	ASSERT_EQ(0, pf_scan(&self->pf));
	EXPECT_EQ(0, self->pf.nr_vfs);
	EXPECT_ALL_AGAIN();
}

TEST_F(removal, pf_driver_unbound_while_created)
{
	ASSERT_EQ(0, pci_unbind(self->pf.bdf));
	ASSERT_EQ(0, driver_bind(self->driver, self->pf.bdf));
	EXPECT_ALL_AGAIN();
}

TEST_F(removal, pf_driver_unbound_while_open)
{
	ASSERT_OPEN_TOLD();
	IN_CHILD(pci_unbind(self->pf.bdf));
	/* The vGPU is lost, and the device is wanted back. */
	EXPECT_LT(0, irq_wait(self->err_fd, 15000));
	EXPECT_LT(0, irq_wait(self->req_fd, 15000));
	EXPECT_NE(0, work(&self->user));
	user_close(&self->user);
	EXPECT_CHILD_ENDS_WELL();
	ASSERT_EQ(0, driver_bind(self->driver, self->pf.bdf));
	EXPECT_ALL_AGAIN();
}

TEST_F(removal, pf_reset_while_created_and_open)
{
	ASSERT_OPEN_TOLD();
	ASSERT_EQ(0, vf_set_type(self->pf.vf[1], self->type->id));
	ASSERT_EQ(0, pf_reset(&self->pf));
	EXPECT_LT(0, irq_wait(self->err_fd, 15000));
	EXPECT_LT(0, vf_state(self->pf.vf[0], self->state,
			      sizeof(self->state)));
	EXPECT_STREQ("error", self->state);
	user_close(&self->user);
	EXPECT_ALL_AGAIN();
}

TEST_F(removal, vf_reset_by_the_host)
{
	ASSERT_EQ(0, pci_write(self->pf.vf[0], "reset", "1"));
	EXPECT_LT(0, vf_state(self->pf.vf[0], self->state,
			      sizeof(self->state)));
	EXPECT_STREQ("created", self->state);
	ASSERT_OPEN_TOLD();
	EXPECT_EQ(0, work(&self->user));
}

TEST_F(removal, backend_module_in_use_stays)
{
	ASSERT_OPEN_TOLD();
	EXPECT_GT(0, module_remove("nvvgpu_emu"));
	EXPECT_EQ(0, work(&self->user));
}

TEST_F(removal, modules_unloaded_and_loaded)
{
	if (!getenv("NVVGPU_MODULES"))
		SKIP(return, "NVVGPU_MODULES does not say where they are");

	ASSERT_EQ(0, module_remove("nvvgpu_emu"));
	ASSERT_EQ(0, module_remove("nvvgpu_vfio_pci"));
	EXPECT_TRUE(pci_exists(self->pf.bdf, "sriov_numvfs"));
	ASSERT_EQ(0, module_load("nvvgpu-vfio-pci.ko"));
	ASSERT_EQ(0, module_load("nvvgpu-emu.ko"));
	EXPECT_ALL_AGAIN();
}

TEST_HARNESS_MAIN
