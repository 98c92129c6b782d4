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
#include "lib/backend.h"

#define TO_VRAM		NVVGPU_EMU_DESC_DST_VRAM
#define FROM_VRAM	NVVGPU_EMU_DESC_SRC_VRAM

/* Quick enough to wait for, long enough for a slow machine that is well */
#define TIMEOUT_MS	500
#define TIMEOUT_DEFAULT	5000

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
	int err_fd;
};

FIXTURE_VARIANT(fault) {
	const char *command;
	/* how long the driver waits for it, in units of its time-out */
	unsigned int units;
	enum action action;
	/* state of the vGPU after the command has failed, or was not answered */
	const char *failed;
	const char *silent;
	/* what the action returns then */
	int err;
};

FIXTURE_VARIANT_ADD(fault, create) {
	.command = "create", .units = 4,
	.action = ACT_CREATE,
	.failed = "bound", .silent = "bound", .err = -EIO,
};

FIXTURE_VARIANT_ADD(fault, delete) {
	.command = "delete", .units = 4,
	.action = ACT_DELETE,
	.failed = "error", .silent = "error", .err = -EIO,
};

FIXTURE_VARIANT_ADD(fault, start) {
	.command = "start", .units = 1,
	.action = ACT_OPEN,
	.failed = "created", .silent = "error", .err = -EIO,
};

FIXTURE_VARIANT_ADD(fault, reset) {
	.command = "reset", .units = 2,
	.action = ACT_RESET,
	.failed = "open", .silent = "open", .err = 0,
};

FIXTURE_VARIANT_ADD(fault, stop) {
	.command = "stop", .units = 2,
	.action = ACT_CLOSE,
	.failed = "error", .silent = "error", .err = 0,
};

FIXTURE_VARIANT_ADD(fault, scrub) {
	.command = "scrub", .units = 4,
	.action = ACT_CLOSE,
	.failed = "error", .silent = "error", .err = 0,
};

FIXTURE_VARIANT_ADD(fault, available) {
	.command = "available", .units = 1,
	.action = ACT_LIST,
	.failed = "bound", .silent = "bound", .err = -EIO,
};

FIXTURE_VARIANT_ADD(fault, stats) {
	.command = "stats", .units = 1,
	.action = ACT_STATS,
	.failed = "created", .silent = "created", .err = -EIO,
};

static int set_timeout(unsigned int ms)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", ms);

	return module_param_set("nvvgpu_emu", "fw_timeout_ms", text);
}

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
	ASSERT_EQ(0, set_timeout(TIMEOUT_MS));
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
	set_timeout(TIMEOUT_DEFAULT);
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

/* The first RESET comes before the reset, where a failure does not matter. */
static int arm(const char *command, const char *fault)
{
	char rule[64];

	snprintf(rule, sizeof(rule), "%s:%s:%s", command,
		 strcmp(command, "reset") ? "1" : "*", fault);

	return fw_faults(rule);
}

#define ARM(fault)	ASSERT_EQ(0, arm(variant->command, fault))

#define ACT()	act(variant->action, self->vf, self->type->id, &self->a)

/* What the GPU reports may take a moment to get there. */
static const char *state_of(const char *vf, const char *want)
{
	static char state[32];
	int tries;

	for (tries = 0; tries < 50; tries++) {
		if (vf_state(vf, state, sizeof(state)) < 0)
			return "unreadable";
		if (!strcmp(state, want))
			break;
		usleep(100000);
	}

	return state;
}

static void expect_state(struct __test_metadata *_metadata, const char *vf,
			 const char *want)
{
	EXPECT_STREQ(want, state_of(vf, want));
}

#define EXPECT_STATE(want)	expect_state(_metadata, self->vf, want)

/* What a user does when its device has been reset */
static int back_to_work(struct user *user)
{
	int ret;

	vdev_msix_disable(&user->vdev);
	ret = vdev_enable(&user->vdev, true);
	if (!ret)
		ret = user_restart(user);

	return ret ?: work(user);
}

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
	/* A vGPU that cannot be reset is made anew. */
	if (variant->action == ACT_RESET) {
		EXPECT_EQ(0, back_to_work(&self->a));
		EXPECT_EQ(0, irq_wait(self->err_fd, 0));
	}
	EXPECT_EQ(0, work(&self->other));
	EXPECT_RECOVERS();
	EXPECT_EQ(0, work(&self->other));
}

TEST_F(fault, late_answer_is_dropped)
{
	const unsigned int late = 700;
	char rule[32];

	snprintf(rule, sizeof(rule), "late=%u",
		 variant->units * TIMEOUT_MS + late);
	ARM(rule);
	EXPECT_EQ(variant->err ? -ETIMEDOUT : 0, ACT());
	EXPECT_STATE(variant->silent);
	EXPECT_EQ(0, work(&self->other));
	usleep(2 * late * 1000);
	EXPECT_RECOVERS();
	EXPECT_EQ(0, work(&self->other));
}

TEST_F(fault, answer_that_never_comes_is_survived)
{
	ARM("hang");
	EXPECT_EQ(variant->err ? -ETIMEDOUT : 0, ACT());
	EXPECT_STATE(variant->silent);
	EXPECT_EQ(0, work(&self->other));
	EXPECT_RECOVERS();
	EXPECT_EQ(0, work(&self->other));
}

TEST_F(fault, hang_of_the_firmware_leaves_the_engines_alone)
{
	ARM("wedge");
	EXPECT_EQ(variant->err ? -ETIMEDOUT : 0, ACT());
	EXPECT_STATE(variant->action == ACT_RESET ? "error" : variant->silent);

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
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, vdev_set_irq(&self->other.vdev, VFIO_PCI_ERR_IRQ_INDEX,
				  fd));
	ARM("crash");
	ACT();

	/* All vGPUs went with it, and their users are told. */
	EXPECT_LT(0, irq_wait(fd, 10000));
	EXPECT_STREQ("error", state_of(self->pf.vf[1], "error"));
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
	EXPECT_STREQ("open", state_of(self->pf.vf[1], "open"));
	EXPECT_EQ(0, back_to_work(&self->other));
	close(fd);
}

/*
 * A vGPU in error
 */
FIXTURE(vgpu_error) {
	struct pf pf;
	const char *vf;
	struct vgpu_type type;
	struct user a;
	struct user other;
	int err_fd;
};

FIXTURE_SETUP(vgpu_error)
{
	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware fail");
	ASSERT_EQ(0, fw_faults(""));
	ASSERT_GPU(&self->pf, TEST_VFS);
	self->vf = self->pf.vf[0];
	ASSERT_EQ(1, vf_types(self->vf, &self->type, 1));
	self->err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_LE(0, self->err_fd);
	ASSERT_EQ(0, vf_set_type(self->vf, self->type.id));
	ASSERT_EQ(0, vf_set_type(self->pf.vf[1], self->type.id));
	ASSERT_EQ(0, user_open(&self->a, self->vf, IOMMU_IOMMUFD));
	ASSERT_EQ(0, user_open(&self->other, self->pf.vf[1], IOMMU_IOMMUFD));
	ASSERT_EQ(0, vdev_set_irq(&self->a.vdev, VFIO_PCI_ERR_IRQ_INDEX,
				  self->err_fd));
}

FIXTURE_TEARDOWN(vgpu_error)
{
	if (!qmp_available())
		return;
	fw_faults("");
	user_close(&self->a);
	user_close(&self->other);
	gpu_clean(&self->pf);
}

TEST_F(vgpu_error, crash_of_one_vgpu_is_its_own)
{
	struct engine_error error;

	ASSERT_EQ(0, fw_faults("now:vcrash=0"));
	EXPECT_LT(0, irq_wait(self->err_fd, 10000));
	EXPECT_STATE("error");
	EXPECT_EQ(-EIO, work(&self->a));
	engine_error(&self->a.engine, &error);
	EXPECT_EQ(NVVGPU_EMU_VF_ERR_CRASHED, error.code);
	EXPECT_EQ(0, work(&self->other));

	EXPECT_EQ(0, vdev_reset(&self->a.vdev));
	EXPECT_STATE("open");
	EXPECT_EQ(0, back_to_work(&self->a));
	EXPECT_EQ(0, work(&self->other));
}

TEST_F(vgpu_error, closing_and_deleting_leave_it)
{
	ASSERT_EQ(0, fw_faults("now:vcrash=0"));
	EXPECT_STATE("error");
	EXPECT_EQ(-EPERM, vf_set_type(self->vf, 0));
	user_close(&self->a);
	EXPECT_STATE("error");
	EXPECT_EQ(0, vf_set_type(self->vf, 0));
	EXPECT_STATE("bound");
	EXPECT_EQ(0, life(self->vf, &self->type));
	EXPECT_EQ(0, work(&self->other));
}

TEST_F(vgpu_error, open_is_eio)
{
	struct user user = {};

	ASSERT_EQ(0, fw_faults("now:vcrash=0"));
	EXPECT_STATE("error");
	user_close(&self->a);
	EXPECT_EQ(-EIO, user_open(&user, self->vf, IOMMU_IOMMUFD));
	user_close(&user);
	EXPECT_EQ(-EPERM, vf_set_type(self->vf, self->type.id));

	/* The host can reset the VF, too. */
	EXPECT_EQ(0, pci_write(self->vf, "reset", "1"));
	EXPECT_STATE("created");
	ASSERT_EQ(0, user_open(&self->a, self->vf, IOMMU_IOMMUFD));
	EXPECT_EQ(0, work(&self->a));
}

TEST_F(vgpu_error, reset_that_cannot_bring_it_back_is_told)
{
	ASSERT_EQ(0, fw_faults("reset:*:fail,delete:*:fail,create:*:fail"));
	vdev_reset(&self->a.vdev);
	EXPECT_STATE("error");
	EXPECT_LT(0, irq_wait(self->err_fd, 10000));
	EXPECT_EQ(0, work(&self->other));

	ASSERT_EQ(0, fw_faults(""));
	EXPECT_EQ(0, vdev_reset(&self->a.vdev));
	EXPECT_STATE("open");
	EXPECT_EQ(0, back_to_work(&self->a));
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
	EXPECT_STREQ("error", state_of(self->pf.vf[0], "error"));
	user_close(&self->user);
	EXPECT_ALL_AGAIN();
}

TEST_F(removal, vf_reset_by_the_host)
{
	ASSERT_EQ(0, pci_write(self->pf.vf[0], "reset", "1"));
	EXPECT_STREQ("created", state_of(self->pf.vf[0], "created"));
	ASSERT_OPEN_TOLD();
	EXPECT_EQ(0, work(&self->user));
}

TEST_F(removal, firmware_that_does_not_start_is_told)
{
	static const char * const faults[] = {
		"hello:1:fail",
		"hello:1:fail=7",	/* NVVGPU_EMU_ERR_VERSION */
		"info:1:fail",
		"types:1:fail",
	};
	unsigned int i;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware fail");
	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		ASSERT_EQ(0, fw_faults(faults[i]));
		ASSERT_EQ(0, pf_reset(&self->pf));
		ASSERT_EQ(0, fw_faults(""));
		EXPECT_STREQ("error", state_of(self->pf.vf[0], "error"));
		EXPECT_EQ(-EIO, vf_set_type(self->pf.vf[1], self->type->id))
			TH_LOG("%s", faults[i]);
		ASSERT_EQ(0, pf_reset(&self->pf));
		EXPECT_ALL_AGAIN();
		ASSERT_EQ(0, vf_set_type(self->pf.vf[0], self->type->id));
	}

	/* Without it the driver does not bind, and there are no VFs. */
	ASSERT_EQ(0, pci_unbind(self->pf.bdf));
	ASSERT_EQ(0, fw_faults("hello:1:fail"));
	EXPECT_GT(0, driver_bind(self->driver, self->pf.bdf));
	ASSERT_EQ(0, fw_faults(""));
	ASSERT_EQ(0, driver_bind(self->driver, self->pf.bdf));
	ASSERT_EQ(0, fw_faults("now:crash"));
	EXPECT_EQ(-EIO, pci_write(self->pf.bdf, "sriov_numvfs", "1"));
	ASSERT_EQ(0, pf_reset(&self->pf));
	EXPECT_ALL_AGAIN();
}

TEST_F(removal, pf_itself_is_no_vgpu)
{
	ASSERT_EQ(0, pf_set_vfs(&self->pf, 0));
	EXPECT_EQ(-ENODEV, pci_bind(self->pf.bdf, FRONT_END_DRIVER));
	EXPECT_FALSE(pci_exists(self->pf.bdf, "nvidia"));
	ASSERT_EQ(0, pci_write(self->pf.bdf, "driver_override", "\n"));
	ASSERT_EQ(0, driver_bind(self->driver, self->pf.bdf));
	EXPECT_ALL_AGAIN();
}

TEST_F(removal, backend_module_in_use_stays)
{
	ASSERT_OPEN_TOLD();
	EXPECT_GT(0, mod_del("nvvgpu-emu"));
	EXPECT_EQ(0, work(&self->user));
}

TEST_F(removal, modules_unloaded_and_loaded)
{
	/* With the front-end goes every back-end, whoever has loaded it. */
	ASSERT_EQ(0, mod_del_users("nvvgpu-vfio-pci"));
	ASSERT_EQ(0, mod_del("nvvgpu-vfio-pci"));
	EXPECT_TRUE(pci_exists(self->pf.bdf, "sriov_numvfs"));
	ASSERT_EQ(0, mod_add("nvvgpu-vfio-pci", ""));
	ASSERT_EQ(0, mod_add("nvvgpu-emu", ""));
	EXPECT_ALL_AGAIN();
}

int main(int argc, char **argv)
{
	return test_main(argc, argv, gpu_missing());
}
