// SPDX-License-Identifier: GPL-2.0
/*
 * The firmware of the GPU fails, is late, hangs or crashes during each command: the
 * errno and the state are right, other vGPUs are not affected, and everything can be
 * set up again.
 */
#include <sys/eventfd.h>
#include <sys/prctl.h>

#include <linux/pci_regs.h>

#include "nvvgpu_test.h"
#include "lib/backend.h"
#include "lib/migration.h"

/* Short enough to wait for, long enough for a slow machine */
#define TIMEOUT_MS	500
/* Long enough for all that a test does meanwhile */
#define LONG_TIMEOUT_MS	WAIT_MS
/* Long before the driver asks again without a response, after a minute */
#define SOON_MS		30000

/* The action while the firmware misbehaves; each needs one command. */
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
	enum action action;
	/* state of the vGPU after the command has failed or timed out */
	const char *failed;
	const char *silent;
	/* expected return value of the action */
	int err;
};

FIXTURE_VARIANT_ADD(fault, create) {
	.command = "create",
	.action = ACT_CREATE,
	.failed = "bound", .silent = "bound", .err = -EIO,
};

FIXTURE_VARIANT_ADD(fault, delete) {
	.command = "delete",
	.action = ACT_DELETE,
	.failed = "error", .silent = "error", .err = -EIO,
};

FIXTURE_VARIANT_ADD(fault, start) {
	.command = "start",
	.action = ACT_OPEN,
	.failed = "created", .silent = "error", .err = -EIO,
};

FIXTURE_VARIANT_ADD(fault, reset) {
	.command = "reset",
	.action = ACT_RESET,
	.failed = "open", .silent = "open", .err = 0,
};

FIXTURE_VARIANT_ADD(fault, stop) {
	.command = "stop",
	.action = ACT_CLOSE,
	.failed = "error", .silent = "error", .err = 0,
};

FIXTURE_VARIANT_ADD(fault, scrub) {
	.command = "scrub",
	.action = ACT_CLOSE,
	.failed = "error", .silent = "error", .err = 0,
};

FIXTURE_VARIANT_ADD(fault, types) {
	.command = "types",
	.action = ACT_LIST,
	.failed = "bound", .silent = "bound", .err = -EIO,
};

FIXTURE_VARIANT_ADD(fault, stats) {
	.command = "stats",
	.action = ACT_STATS,
	.failed = "created", .silent = "created", .err = -EIO,
};

FIXTURE_SETUP(fault)
{
	int nr;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware fail");
	ASSERT_EQ(0, fw_faults(""));
	ASSERT_EQ(0, pf_find(&self->pf));
	if (gpu_prepare(&self->pf, TEST_VFS))
		ASSERT_EQ(0, gpu_reset(&self->pf));
	ASSERT_GPU(&self->pf, TEST_VFS);
	self->vf = self->pf.vf[0];
	nr = vf_types(self->vf, self->types, MAX_TYPES);
	ASSERT_LT(0, nr);
	self->type = type_smallest(self->types, nr);
	self->err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_LE(0, self->err_fd);

	/* Another user, who must not be affected */
	ASSERT_EQ(0, vf_set_type(self->pf.vf[1], self->type->id));
	ASSERT_EQ(0, user_open(&self->other, self->pf.vf[1], IOMMU_IOMMUFD));
	ASSERT_EQ(0, user_work(&self->other));

	/* Prepare the action. */
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
	fw_set_timeout(FW_TIMEOUT_MS);
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
		/* The counts that the driver has read hold until then. */
		ret = vf_set_type(vf, type) ?: vf_set_type(vf, 0);
		if (ret)
			return ret;
		ret = pci_read(vf, "nvidia/creatable_vgpu_types", buf,
			       sizeof(buf));
		return ret < 0 ? ret : 0;
	case ACT_STATS:
		ret = pci_read(vf, "nvvgpu/stats", buf, sizeof(buf));
		return ret < 0 ? ret : 0;
	}

	return -EINVAL;
}

static int arm(const char *command, const char *fault)
{
	char rule[64];

	snprintf(rule, sizeof(rule), "%s:1:%s", command, fault);

	return fw_set_timeout(TIMEOUT_MS) ?: fw_faults(rule);
}

/* Only the action has to end soon; a busy host is slow to answer the rest. */
static int disarm(void)
{
	return fw_faults("") ?: fw_set_timeout(FW_TIMEOUT_MS);
}

#define ARM(fault)	ASSERT_EQ(0, arm(variant->command, fault))

#define ACT()	act(variant->action, self->vf, self->type->id, &self->a)

static void expect_state(struct __test_metadata *_metadata, const char *vf,
			 const char *want)
{
	EXPECT_STREQ(want, vf_wait_state(vf, want));
}

#define EXPECT_STATE(want)	expect_state(_metadata, self->vf, want)

/* After close and delete, the VF works as before. */
#define EXPECT_RECOVERS() do {						\
	ASSERT_EQ(0, disarm());						\
	user_close(&self->a);						\
	EXPECT_EQ(0, vf_set_type(self->vf, 0));				\
	EXPECT_STATE("bound");						\
	EXPECT_EQ(0, vgpu_life(self->vf, self->type));			\
} while (0)

TEST_F(fault, failure_is_clean)
{
	ARM("fail");
	EXPECT_EQ(variant->err, ACT());
	EXPECT_STATE(variant->failed);
	/* A vGPU that cannot be reset is re-created. */
	if (variant->action == ACT_RESET) {
		EXPECT_EQ(0, user_back(&self->a));
		EXPECT_EQ(0, irq_wait(self->err_fd, 0));
	}
	EXPECT_EQ(0, user_work(&self->other));
	EXPECT_RECOVERS();
	EXPECT_EQ(0, user_work(&self->other));
}

TEST_F(fault, late_response_is_dropped)
{
	ARM("late=3600000");
	EXPECT_EQ(variant->err ? -ETIMEDOUT : 0, ACT());
	EXPECT_STATE(variant->silent);
	EXPECT_EQ(0, user_work(&self->other));
	ASSERT_EQ(0, fw_faults("now:answer"));
	EXPECT_RECOVERS();
	EXPECT_EQ(0, user_work(&self->other));
}

TEST_F(fault, missing_response_is_survived)
{
	ARM("hang");
	EXPECT_EQ(variant->err ? -ETIMEDOUT : 0, ACT());
	EXPECT_STATE(variant->silent);
	EXPECT_EQ(0, user_work(&self->other));
	EXPECT_RECOVERS();
	EXPECT_EQ(0, user_work(&self->other));
}

TEST_F(fault, hang_of_the_firmware_leaves_the_engines_alone)
{
	ARM("wedge");
	if (variant->action == ACT_RESET) {
		EXPECT_EQ(-EIO, ACT());
		EXPECT_STATE("error");
	} else {
		EXPECT_EQ(variant->err ? -ETIMEDOUT : 0, ACT());
		EXPECT_STATE(variant->silent);
	}

	/* The engines run without the firmware. */
	EXPECT_EQ(0, user_work(&self->other));
	user_close(&self->other);

	ASSERT_EQ(0, disarm());
	ASSERT_EQ(0, gpu_reset(&self->pf));
	EXPECT_RECOVERS();
	EXPECT_EQ(0, vf_set_type(self->pf.vf[1], 0));
	EXPECT_EQ(0, vgpu_life(self->pf.vf[1], self->type));
}

TEST_F(fault, crash_is_reported_and_a_pf_reset_recovers)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, vdev_set_irq(&self->other.vdev, VFIO_PCI_ERR_IRQ_INDEX,
				  fd));
	ARM("crash");
	EXPECT_EQ(variant->action == ACT_RESET ? -EIO : variant->err, ACT());

	/* All vGPUs are lost, and their users are notified. */
	EXPECT_LT(0, irq_wait(fd, WAIT_MS));
	EXPECT_STREQ("error", vf_wait_state(self->pf.vf[1], "error"));
	EXPECT_EQ(-ENODEV, user_work(&self->other));
	if (variant->action != ACT_CREATE && variant->action != ACT_LIST)
		EXPECT_STATE("error");

	/* No vGPU can be created until then. */
	EXPECT_NE(0, vf_set_type(self->pf.vf[2], self->type->id));
	EXPECT_EQ(0, vf_creatable(self->pf.vf[2], 0));

	ASSERT_EQ(0, disarm());
	ASSERT_EQ(0, gpu_reset(&self->pf));
	EXPECT_RECOVERS();

	/* A vGPU that is open is recovered by a reset of its VF. */
	EXPECT_EQ(0, vdev_reset(&self->other.vdev));
	EXPECT_STREQ("open", vf_wait_state(self->pf.vf[1], "open"));
	EXPECT_EQ(0, user_back(&self->other));
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

/* Types cannot be created without firmware, which clients wait for to change. */
TEST_F(vgpu_error, crash_announces_the_types_on_every_vf)
{
	char file[64], buf[128];
	unsigned int i;
	int fd;

	fd = uevent_open();
	ASSERT_LE(0, fd);
	snprintf(file, sizeof(file), "nvvgpu/types/%u/reason", self->type.id);
	ASSERT_EQ(0, fw_faults("now:crash"));
	EXPECT_EQ(0, uevent_wait(fd, self->pf.vf[2], NVVGPU_EVENT_NAME_TYPES,
				 WAIT_MS));
	EXPECT_FILE(self->pf.vf[2], file, "the firmware is down, reset the GPU\n");
	EXPECT_EQ(0, vf_creatable(self->pf.vf[2], 0));
	close(fd);

	for (i = 0; i < 2; i++) {
		fd = uevent_open();
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, fw_faults(""));
		ASSERT_EQ(0, gpu_reset(&self->pf));
		EXPECT_EQ(0, uevent_wait(fd, self->pf.vf[2 * i],
					 NVVGPU_EVENT_NAME_TYPES, WAIT_MS));
		close(fd);
	}
	ASSERT_LT(0, pci_read(self->pf.vf[2], file, buf, sizeof(buf)));
	EXPECT_STREQ("\n", buf);
	EXPECT_LT(0, vf_creatable(self->pf.vf[2], 0));
}

TEST_F(vgpu_error, crash_affects_only_its_vgpu)
{
	char events[128];

	ASSERT_EQ(0, fw_faults("now:vcrash=0"));
	EXPECT_LT(0, irq_wait(self->err_fd, WAIT_MS));
	EXPECT_STATE("error");
	snprintf(events, sizeof(events),
		 "/sys/bus/pci/devices/%s/nvvgpu/events", self->vf);
	EXPECT_EQ(NVVGPU_EMU_VF_ERR_CRASHED, get_value(events, "crashed-code"));
	/* Its BARs are inaccessible until it is recovered. */
	EXPECT_EQ(-ENODEV, user_work(&self->a));
	EXPECT_EQ(0, user_work(&self->other));
	EXPECT_STREQ("open", vf_wait_state(self->pf.vf[1], "open"));

	EXPECT_EQ(0, vdev_reset(&self->a.vdev));
	EXPECT_STATE("open");
	EXPECT_EQ(0, user_back(&self->a));
	EXPECT_EQ(0, user_work(&self->other));
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
	EXPECT_EQ(0, vgpu_life(self->vf, &self->type));
	EXPECT_EQ(0, user_work(&self->other));
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
	EXPECT_EQ(0, user_work(&self->a));
}

TEST_F(vgpu_error, failed_recovery_by_reset_is_reported)
{
	ASSERT_EQ(0, fw_faults("reset:*:fail,delete:*:fail,create:*:fail"));
	EXPECT_EQ(-EIO, vdev_reset(&self->a.vdev));
	EXPECT_STATE("error");
	EXPECT_LT(0, irq_wait(self->err_fd, WAIT_MS));
	EXPECT_EQ(0, user_work(&self->other));

	ASSERT_EQ(0, fw_faults(""));
	EXPECT_EQ(0, vdev_reset(&self->a.vdev));
	EXPECT_STATE("open");
	EXPECT_EQ(0, user_back(&self->a));
}

/* No other vGPU gets the framebuffer, as the user may have it mapped. */
TEST_F(vgpu_error, placement_of_a_crashed_vgpu_stays_its_own)
{
	char mine[16], other[16];
	__u32 count = 0;
	pid_t pid;

	ASSERT_LT(0, pci_read(self->vf, "nvidia/placement_id", mine,
			      sizeof(mine)));
	ASSERT_EQ(0, fw_faults("now:crash"));
	EXPECT_LT(0, irq_wait(self->err_fd, WAIT_MS));
	ASSERT_EQ(0, fw_faults(""));
	ASSERT_EQ(0, gpu_reset(&self->pf));
	EXPECT_STATE("error");

	/* Before the recovery, another vGPU must not get the placement. */
	ASSERT_EQ(0, vf_set_type(self->pf.vf[2], self->type.id));
	ASSERT_LT(0, pci_read(self->pf.vf[2], "nvidia/placement_id", other,
			      sizeof(other)));
	EXPECT_STRNE(mine, other);

	/* Nor during the recovery. */
	ASSERT_EQ(0, fw_faults("delete:1:slow=500"));
	ASSERT_EQ(0, gpu_commands(&self->pf, &count));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(-vdev_reset(&self->a.vdev));
	ASSERT_EQ(0, gpu_wait_command(&self->pf, count));
	ASSERT_EQ(0, vf_set_type(self->pf.vf[3], self->type.id));
	ASSERT_LT(0, pci_read(self->pf.vf[3], "nvidia/placement_id", other,
			      sizeof(other)));
	EXPECT_STRNE(mine, other);
	EXPECT_EQ(0, child_status(pid));
	EXPECT_STATE("open");
	EXPECT_FILE(self->vf, "nvidia/placement_id", mine);
	EXPECT_EQ(0, user_back(&self->a));
}

/* Its framebuffer is free for the firmware, but not for the driver. */
TEST_F(vgpu_error, failed_recovery_leaves_room_for_others)
{
	char mine[16], other[16];

	ASSERT_LT(0, pci_read(self->vf, "nvidia/placement_id", mine,
			      sizeof(mine)));
	ASSERT_EQ(0, fw_faults("now:vcrash=0"));
	EXPECT_STATE("error");
	ASSERT_EQ(0, fw_faults("create:1:fail"));
	vdev_reset(&self->a.vdev);
	EXPECT_STATE("error");

	EXPECT_EQ(0, vf_set_type(self->pf.vf[2], self->type.id));
	ASSERT_LT(0, pci_read(self->pf.vf[2], "nvidia/placement_id", other,
			      sizeof(other)));
	EXPECT_STRNE(mine, other);
	EXPECT_EQ(0, vdev_reset(&self->a.vdev));
	EXPECT_STATE("open");
	EXPECT_FILE(self->vf, "nvidia/placement_id", mine);
	EXPECT_EQ(0, user_back(&self->a));
}

/*
 * The GPU as a whole
 */
FIXTURE(removal) {
	struct pf pf;
	char driver[32];
	struct vgpu_type type;
};

FIXTURE_SETUP(removal)
{
	ASSERT_GPU(&self->pf, TEST_VFS);
	ASSERT_EQ(0, pci_driver(self->pf.bdf, self->driver,
				sizeof(self->driver)));
	ASSERT_EQ(1, vf_types(self->pf.vf[0], &self->type, 1));
	ASSERT_EQ(0, vf_set_type(self->pf.vf[0], self->type.id));
}

FIXTURE_TEARDOWN(removal)
{
	if (qmp_available())
		fw_faults("");
	gpu_clean(&self->pf);
	fw_set_timeout(FW_TIMEOUT_MS);
}

/* Set up everything again, and check that it works. */
#define EXPECT_ALL_AGAIN() do {						\
	ASSERT_GPU(&self->pf, TEST_VFS);				\
	EXPECT_EQ(0, vgpu_life(self->pf.vf[0], &self->type));		\
	EXPECT_EQ(0, vgpu_life(self->pf.vf[1], &self->type));		\
} while (0)

TEST_F(removal, vf_reset_by_the_host)
{
	struct user user = {};

	ASSERT_EQ(0, pci_write(self->pf.vf[0], "reset", "1"));
	EXPECT_STREQ("created", vf_wait_state(self->pf.vf[0], "created"));
	ASSERT_EQ(0, user_open(&user, self->pf.vf[0], IOMMU_IOMMUFD));
	EXPECT_EQ(0, user_work(&user));
	user_close(&user);
}

TEST_F(removal, failed_firmware_start_is_reported)
{
	static const char * const faults[] = {
		"hello:1:fail",
		"hello:1:fail=7",	/* NVVGPU_EMU_ERR_VERSION */
		"info:1:fail",
		"types:1:fail",
		/* The size of VRAM, and the number of types */
		"info:1:lie=4",
		"types:1:lie=4",
	};
	unsigned int i;
	int ret = 0;
	__u64 end;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware fail");
	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		ASSERT_EQ(0, fw_faults(faults[i]));
		ASSERT_EQ(0, gpu_reset(&self->pf));
		ASSERT_EQ(0, fw_faults(""));
		EXPECT_STREQ("error", vf_wait_state(self->pf.vf[0], "error"));
		EXPECT_EQ(-EIO, vf_set_type(self->pf.vf[1], self->type.id))
			TH_LOG("%s", faults[i]);
		ASSERT_EQ(0, gpu_reset(&self->pf));
		EXPECT_ALL_AGAIN();
		ASSERT_EQ(0, vf_set_type(self->pf.vf[0], self->type.id));
	}

	/* Without firmware the driver does not bind, and there are no VFs. */
	ASSERT_EQ(0, pci_unbind(self->pf.bdf));
	ASSERT_EQ(0, fw_faults("hello:1:fail"));
	EXPECT_GT(0, driver_bind(self->driver, self->pf.bdf));
	ASSERT_EQ(0, fw_faults(""));
	ASSERT_EQ(0, driver_bind(self->driver, self->pf.bdf));
	/* The driver is notified by an interrupt, which may be late. */
	ASSERT_EQ(0, fw_faults("now:crash"));
	end = now_ms() + WAIT_MS;
	while (now_ms() < end) {
		ret = pci_write(self->pf.bdf, "sriov_numvfs", "1");
		if (ret)
			break;
		ASSERT_EQ(0, pci_write(self->pf.bdf, "sriov_numvfs", "0"));
		usleep(10000);
	}
	EXPECT_EQ(-EIO, ret);
	ASSERT_EQ(0, gpu_reset(&self->pf));
	EXPECT_ALL_AGAIN();
}

TEST_F(removal, malformed_responses_take_the_firmware_down)
{
	static const char * const faults[] = {
		/* Wrong sequence number, wrong command, too much data */
		"create:1:lie=0", "create:1:lie=1", "create:1:lie=3",
	};
	unsigned int i;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware lie");

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		ASSERT_EQ(0, fw_faults(faults[i]));
		EXPECT_EQ(-EIO, vf_set_type(self->pf.vf[1], self->type.id))
			TH_LOG("%s", faults[i]);
		EXPECT_STREQ("error", vf_wait_state(self->pf.vf[0], "error"));
		ASSERT_EQ(0, fw_faults(""));
		ASSERT_EQ(0, gpu_reset(&self->pf));
		EXPECT_ALL_AGAIN();
		ASSERT_EQ(0, vf_set_type(self->pf.vf[0], self->type.id));
	}
}

TEST_F(removal, misplaced_vgpu_is_refused)
{
	static const struct {
		const char *fault;
		const char *placement;
	} wrong[] = {
		{ "create:1:lie=4", "3" },	/* elsewhere than asked for */
		{ "create:1:lie=2", "-1" },	/* created, but with an unknown status */
		{ "create:1:lie=5", "-1" },	/* nowhere */
		{ "create:1:lie=7", "-1" },	/* outside of VRAM */
		{ "create:1:lie=6", "0" },	/* at another offset */
	};
	const char *vf = self->pf.vf[1];
	struct vgpu_type types[MAX_TYPES];
	const struct vgpu_type *type;
	unsigned int i;
	int nr;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware lie");

	nr = vf_types(vf, types, MAX_TYPES);
	ASSERT_LT(0, nr);
	type = type_smallest(types, nr);
	ASSERT_EQ(0, vf_set_type(self->pf.vf[0], 0));

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		ASSERT_EQ(0, pci_write(vf, "nvidia/placement_id",
				       wrong[i].placement));
		ASSERT_EQ(0, fw_faults(wrong[i].fault));
		EXPECT_EQ(-EPROTO, vf_set_type(vf, type->id))
			TH_LOG("%s", wrong[i].fault);
		ASSERT_EQ(0, fw_faults(""));
		EXPECT_STREQ("bound", vf_wait_state(vf, "bound"));
		EXPECT_EQ(0, vf_set_type(vf, type->id));
		EXPECT_EQ(0, vf_set_type(vf, 0));
	}
}

/* Set the type of a VF in a child, and wait for the first command of that. */
static pid_t begin_set_type(const struct pf *pf, const char *vf,
			    unsigned int type)
{
	__u32 count = 0;
	pid_t pid;

	if (gpu_commands(pf, &count))
		return -1;
	pid = fork();
	if (!pid)
		_exit(-vf_set_type(vf, type));

	return pid > 0 && !gpu_wait_command(pf, count) ? pid : -1;
}

TEST_F(removal, create_that_timed_out_can_be_retried)
{
	const char *vf = self->pf.vf[1];
	struct user user = {};
	char stats[PAGE];

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware late");

	ASSERT_EQ(0, fw_set_timeout(TIMEOUT_MS));
	ASSERT_EQ(0, fw_faults("create:1:late=3600000"));
	EXPECT_EQ(-ETIMEDOUT, vf_set_type(vf, self->type.id));
	ASSERT_EQ(0, fw_set_timeout(FW_TIMEOUT_MS));
	EXPECT_EQ(0, vf_set_type(vf, self->type.id));
	ASSERT_EQ(0, user_open(&user, vf, IOMMU_IOMMUFD));
	EXPECT_EQ(0, user_work(&user));

	/* The response to the first create arrives before that to a later command. */
	ASSERT_EQ(0, fw_faults("now:answer"));
	EXPECT_LT(0, pci_read(vf, "nvvgpu/stats", stats, sizeof(stats)));
	EXPECT_EQ(0, user_work(&user));
	EXPECT_STREQ("open", vf_wait_state(vf, "open"));
	user_close(&user);
}

TEST_F(removal, command_behind_a_slow_one_is_waited_for)
{
	char stats[PAGE];
	pid_t pid;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware slow");

	ASSERT_EQ(0, vf_set_type(self->pf.vf[1], self->type.id));
	ASSERT_EQ(0, fw_set_timeout(TIMEOUT_MS));
	/* Slower than two other commands may be, but a deletion may be */
	ASSERT_EQ(0, fw_faults("delete:1:slow=1500"));
	pid = begin_set_type(&self->pf, self->pf.vf[0], 0);
	ASSERT_LE(0, pid);
	EXPECT_LT(0, pci_read(self->pf.vf[1], "nvvgpu/stats", stats,
			      sizeof(stats)));
	EXPECT_EQ(0, child_status(pid));
	EXPECT_STREQ("created", vf_wait_state(self->pf.vf[1], "created"));
	EXPECT_EQ(0, vf_set_type(self->pf.vf[0], self->type.id));
}

/* The driver then sends another command, to see whether the firmware responds. */
TEST_F(removal, lost_response_beside_a_slow_command_leaves_the_gpu_up)
{
	__u32 count = 0;
	char stats[PAGE];
	pid_t pid[2];

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware slow");

	ASSERT_EQ(0, vf_set_type(self->pf.vf[1], self->type.id));
	ASSERT_EQ(0, fw_set_timeout(2 * TIMEOUT_MS));
	ASSERT_EQ(0, fw_faults("stats:1:hang,delete:1:slow=3000"));
	ASSERT_EQ(0, gpu_commands(&self->pf, &count));
	pid[0] = fork();
	ASSERT_LE(0, pid[0]);
	if (!pid[0])
		_exit(pci_read(self->pf.vf[1], "nvvgpu/stats", stats,
			       sizeof(stats)) != -ETIMEDOUT);
	ASSERT_EQ(0, gpu_wait_command(&self->pf, count));
	pid[1] = fork();
	ASSERT_LE(0, pid[1]);
	if (!pid[1])
		_exit(-vf_set_type(self->pf.vf[0], 0));
	EXPECT_EQ(0, child_status(pid[0]));
	EXPECT_EQ(0, child_status(pid[1]));
	EXPECT_STREQ("created", vf_wait_state(self->pf.vf[1], "created"));
	EXPECT_EQ(0, vf_set_type(self->pf.vf[0], self->type.id));
}

TEST_F(removal, late_create_delays_no_other_vf)
{
	struct user user = {};
	pid_t pid;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware late");

	ASSERT_EQ(0, fw_set_timeout(LONG_TIMEOUT_MS));
	ASSERT_EQ(0, vf_set_type(self->pf.vf[2], self->type.id));
	ASSERT_EQ(0, user_open(&user, self->pf.vf[0], IOMMU_IOMMUFD));
	ASSERT_EQ(0, fw_faults("create:1:late=3600000"));
	pid = begin_set_type(&self->pf, self->pf.vf[1], self->type.id);
	ASSERT_LE(0, pid);

	ASSERT_EQ(0, fw_faults("now:vcrash=0"));
	EXPECT_STREQ("error", vf_wait_state(self->pf.vf[0], "error"));
	EXPECT_EQ(0, vdev_reset(&user.vdev));
	EXPECT_EQ(0, vf_set_type(self->pf.vf[3], self->type.id));
	EXPECT_EQ(0, vf_set_type(self->pf.vf[2], 0));
	/* The create is still waiting for its response. */
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));

	ASSERT_EQ(0, fw_faults("now:answer"));
	EXPECT_EQ(0, child_status(pid));
	EXPECT_STREQ("created", vf_wait_state(self->pf.vf[1], "created"));
	EXPECT_EQ(0, user_back(&user));
	user_close(&user);
}

TEST_F(removal, late_recovery_delays_no_other_vf)
{
	char mine[16], other[16];
	__u32 count = 0;
	pid_t pid;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware late");

	ASSERT_LT(0, pci_read(self->pf.vf[0], "nvidia/placement_id", mine,
			      sizeof(mine)));
	ASSERT_EQ(0, fw_set_timeout(LONG_TIMEOUT_MS));
	ASSERT_EQ(0, vf_set_type(self->pf.vf[2], self->type.id));
	ASSERT_EQ(0, fw_faults("delete:1:late=3600000"));
	ASSERT_EQ(0, fw_faults("now:vcrash=0"));
	EXPECT_STREQ("error", vf_wait_state(self->pf.vf[0], "error"));
	ASSERT_EQ(0, gpu_commands(&self->pf, &count));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(-pci_write(self->pf.vf[0], "reset", "1"));
	/* The front-end first reads the counters. */
	ASSERT_EQ(0, gpu_wait_command(&self->pf, count + 1));

	EXPECT_EQ(0, vf_set_type(self->pf.vf[1], self->type.id));
	ASSERT_LT(0, pci_read(self->pf.vf[1], "nvidia/placement_id", other,
			      sizeof(other)));
	EXPECT_STRNE(mine, other);
	EXPECT_EQ(0, vf_set_type(self->pf.vf[2], 0));
	/* The recovery is still waiting for the response to its delete. */
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));

	ASSERT_EQ(0, fw_faults("now:answer"));
	EXPECT_EQ(0, child_status(pid));
	EXPECT_STREQ("created", vf_wait_state(self->pf.vf[0], "created"));
	EXPECT_FILE(self->pf.vf[0], "nvidia/placement_id", mine);
}

/* Its framebuffer is free for the firmware, but not for the driver. */
TEST_F(removal, delete_that_timed_out_leaves_room_for_others)
{
	char mine[16], other[16];

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware late");

	ASSERT_LT(0, pci_read(self->pf.vf[0], "nvidia/placement_id", mine,
			      sizeof(mine)));
	ASSERT_EQ(0, fw_set_timeout(TIMEOUT_MS));
	ASSERT_EQ(0, fw_faults("delete:1:late=3600000"));
	EXPECT_EQ(-ETIMEDOUT, vf_set_type(self->pf.vf[0], 0));
	EXPECT_STREQ("error", vf_wait_state(self->pf.vf[0], "error"));
	ASSERT_EQ(0, fw_set_timeout(FW_TIMEOUT_MS));

	EXPECT_EQ(0, vf_set_type(self->pf.vf[1], self->type.id));
	ASSERT_LT(0, pci_read(self->pf.vf[1], "nvidia/placement_id", other,
			      sizeof(other)));
	EXPECT_STRNE(mine, other);
	EXPECT_EQ(0, vf_set_type(self->pf.vf[0], 0));
	EXPECT_EQ(0, vf_set_type(self->pf.vf[0], self->type.id));
}

TEST_F(removal, vgpu_that_crashes_at_its_creation_can_be_recovered)
{
	struct user user = {};
	pid_t pid;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the vGPU crash");

	/* It crashes before the driver knows that it exists. */
	ASSERT_EQ(0, fw_faults("create:1:late=3600000"));
	pid = begin_set_type(&self->pf, self->pf.vf[1], self->type.id);
	ASSERT_LE(0, pid);
	ASSERT_EQ(0, fw_faults("now:vcrash=1"));
	ASSERT_EQ(0, fw_faults("now:answer"));
	ASSERT_EQ(0, child_status(pid));
	/* The crash is known then at the latest. */
	EXPECT_GT(0, user_open(&user, self->pf.vf[1], IOMMU_IOMMUFD));
	user_close(&user);
	EXPECT_STREQ("error", vf_wait_state(self->pf.vf[1], "error"));
	ASSERT_EQ(0, pci_write(self->pf.vf[1], "reset", "1"));
	EXPECT_STREQ("created", vf_wait_state(self->pf.vf[1], "created"));
	ASSERT_EQ(0, user_open(&user, self->pf.vf[1], IOMMU_IOMMUFD));
	EXPECT_EQ(0, user_work(&user));
	user_close(&user);
}

/* The firmware has begun to count again. */
TEST_F(removal, counters_of_a_use_do_not_wrap_after_a_pf_reset)
{
	struct user user = {};
	char buf[PAGE], *at;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, user_open(&user, self->pf.vf[0], IOMMU_IOMMUFD));
		ASSERT_EQ(0, user_work(&user));
		if (!i)
			user_close(&user);
	}
	ASSERT_EQ(0, gpu_reset(&self->pf));
	EXPECT_STREQ("error", vf_wait_state(self->pf.vf[0], "error"));
	EXPECT_EQ(-EIO, pci_read(self->pf.vf[0], "nvvgpu/stats", buf,
				 sizeof(buf)));
	ASSERT_EQ(0, vdev_reset(&user.vdev));
	EXPECT_EQ(0, user_back(&user));
	user_close(&user);

	ASSERT_LT(0, pci_read(self->pf.vf[0], "nvvgpu/use", buf, sizeof(buf)));
	ASSERT_NE(NULL, strstr(buf, "milliseconds "));
	for (at = strchr(buf, ' '); at; at = strchr(at + 1, ' '))
		EXPECT_GT(1ULL << 62, strtoull(at + 1, NULL, 10))
			TH_LOG("%s", buf);
}

/* Counters of before the recovery may be cached, for readers that ask often. */
TEST_F(removal, counters_of_a_use_are_not_doubled_by_a_recovery)
{
	const char *vf = self->pf.vf[0];
	struct user user = {};
	char before[PAGE], after[PAGE], *at;
	unsigned int i;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the vGPU crash");

	ASSERT_EQ(0, user_open(&user, vf, IOMMU_IOMMUFD));
	ASSERT_EQ(0, user_work(&user));
	for (i = 0; i < 40; i++)
		ASSERT_LT(0, pci_read(vf, "nvvgpu/use", before, sizeof(before)));
	ASSERT_EQ(0, fw_faults("now:vcrash=0"));
	EXPECT_STREQ("error", vf_wait_state(vf, "error"));
	ASSERT_EQ(0, vdev_reset(&user.vdev));
	ASSERT_LT(0, pci_read(vf, "nvvgpu/use", after, sizeof(after)));
	user_close(&user);

	at = strstr(before, "\nbytes ");
	ASSERT_NE(NULL, at);
	at[strcspn(at + 1, "\n") + 2] = '\0';
	EXPECT_NE(NULL, strstr(after, at))
		TH_LOG("expected%sin %s", at, after);
}

/* Create a vGPU at a placement as soon as that is free, and delete it. */
static int place_becomes_free(const char *vf, unsigned int type,
			      const char *placement)
{
	__u64 end = now_ms() + SOON_MS;
	int err;

	do {
		err = pci_write(vf, "nvidia/placement_id", placement) ?:
		      vf_set_type(vf, type);
	} while (err == -EIO && now_ms() < end);

	return err ?: vf_set_type(vf, 0);
}

/*
 * A create at this placement times out, and so does the delete that follows: the
 * placement is not free for another vGPU.
 */
#define SILENT_PLACEMENT	"9"

static int create_in_silence(struct pf *pf, unsigned int type,
			     const char *faults)
{
	struct vgpu_type types[MAX_TYPES];
	__u32 count = 0;
	int ret;

	/* The driver remembers how many can be created. */
	ret = vf_types(pf->vf[1], types, MAX_TYPES);
	if (ret < 0)
		return ret;
	ret = pci_write(pf->vf[1], "nvidia/placement_id", SILENT_PLACEMENT) ?:
	      fw_set_timeout(TIMEOUT_MS) ?: fw_faults(faults) ?:
	      gpu_commands(pf, &count);
	if (ret)
		return ret;
	if (vf_set_type(pf->vf[1], type) != -ETIMEDOUT)
		return -EPROTO;

	/* The create, a ping after its time-out, the delete, a ping after its own */
	ret = gpu_wait_command(pf, count + 3) ?:
	      fw_set_timeout(FW_TIMEOUT_MS) ?:
	      pci_write(pf->vf[2], "nvidia/placement_id", SILENT_PLACEMENT);
	if (ret)
		return ret;

	return vf_set_type(pf->vf[2], type) == -EIO ? 0 : -EEXIST;
}

TEST_F(removal, reset_releases_the_placement_of_a_create_that_timed_out)
{
	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware hang");

	ASSERT_EQ(0, create_in_silence(&self->pf, self->type.id,
				       "create:1:hang,delete:1:hang"));
	ASSERT_EQ(0, gpu_reset(&self->pf));
	EXPECT_EQ(0, place_becomes_free(self->pf.vf[2], self->type.id,
					SILENT_PLACEMENT));
}

TEST_F(removal, late_delete_releases_the_placement_of_a_create_that_timed_out)
{
	int fd;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware late");

	ASSERT_EQ(0, create_in_silence(&self->pf, self->type.id,
				       "create:1:hang,delete:1:late=3600000"));
	fd = poll_open(self->pf.vf[3], "nvidia/creatable_vgpu_types");
	ASSERT_LE(0, fd);
	poll_settle(fd);
	ASSERT_EQ(0, fw_faults("now:answer"));
	EXPECT_TRUE(poll_changed(fd, SOON_MS));
	close(fd);
	EXPECT_EQ(0, place_becomes_free(self->pf.vf[2], self->type.id,
					SILENT_PLACEMENT));
}

TEST_F(removal, create_that_timed_out_keeps_no_placement)
{
	static const char * const faults[] = {
		"create:1:hang",
		/* The firmware has created the vGPU. */
		"create:1:late=3600000",
	};
	unsigned int i;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware hang");

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		ASSERT_EQ(0, pci_write(self->pf.vf[1], "nvidia/placement_id",
				       SILENT_PLACEMENT));
		ASSERT_EQ(0, fw_set_timeout(TIMEOUT_MS));
		ASSERT_EQ(0, fw_faults(faults[i]));
		EXPECT_EQ(-ETIMEDOUT, vf_set_type(self->pf.vf[1],
						  self->type.id));
		ASSERT_EQ(0, fw_set_timeout(FW_TIMEOUT_MS));
		EXPECT_EQ(0, place_becomes_free(self->pf.vf[2], self->type.id,
						SILENT_PLACEMENT))
			TH_LOG("%s", faults[i]);
	}
}

/*
 * Begin to save a vGPU with more data than fits into one record.  When the user has
 * read a part of the first one, the driver has asked for the second.  The firmware
 * looks at the whole framebuffer before, so do not shorten its time-out yet.
 */
static int save_one_record(struct user *user, int *fd)
{
	__u32 *fb;
	char buf[PAGE];
	size_t i;
	int ret;

	ret = vdev_map_bar(&user->vdev, NVVGPU_EMU_VF_BAR_FB);
	if (ret)
		return ret;
	fb = user->vdev.bar[NVVGPU_EMU_VF_BAR_FB];
	for (i = 0; i < 4 << 20; i += NVVGPU_EMU_VRAM_PAGE)
		__atomic_store_n(&fb[i / sizeof(*fb)], 1, __ATOMIC_SEQ_CST);

	ret = mig_set(&user->vdev, VFIO_DEVICE_STATE_PRE_COPY, fd);
	for (i = 0; !ret && i < 16; i++)
		if (read(*fd, buf, sizeof(buf)) <= 0)
			ret = -EIO;

	return ret;
}

TEST_F(removal, command_behind_a_silent_one_is_given_up)
{
	struct user user = {};
	int fd = -1;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware fail");

	ASSERT_EQ(0, user_open(&user, self->pf.vf[0], IOMMU_IOMMUFD));
	EXPECT_EQ(0, user_work(&user));
	EXPECT_EQ(0, fw_faults("save:2:wedge"));
	EXPECT_EQ(0, save_one_record(&user, &fd));
	ASSERT_EQ(0, fw_set_timeout(TIMEOUT_MS));
	EXPECT_EQ(0, mig_set(&user.vdev, VFIO_DEVICE_STATE_RUNNING, NULL));
	close(fd);
	/* The engines run without the firmware, which is given up. */
	EXPECT_EQ(0, user_work(&user));
	EXPECT_EQ(-EIO, vf_set_type(self->pf.vf[1], self->type.id));

	EXPECT_EQ(0, fw_faults(""));
	EXPECT_EQ(0, gpu_reset(&self->pf));
	EXPECT_EQ(0, vdev_reset(&user.vdev));
	EXPECT_EQ(0, user_back(&user));
	user_close(&user);
}

/* Create and delete vGPUs in a child, until it is killed. */
static pid_t answered_commands(const char *vf, unsigned int type)
{
	pid_t pid = fork();
	__u64 end;

	if (pid)
		return pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	end = now_ms() + WAIT_MS;
	while (now_ms() < end && !vf_set_type(vf, type) && !vf_set_type(vf, 0))
		;
	_exit(1);
}

TEST_F(removal, lost_response_that_nobody_waits_for_delays_no_other)
{
	char stats[PAGE];
	struct user user = {};
	int fd = -1;
	pid_t pid;

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware fail");

	ASSERT_EQ(0, vf_set_type(self->pf.vf[1], self->type.id));
	ASSERT_EQ(0, user_open(&user, self->pf.vf[0], IOMMU_IOMMUFD));
	EXPECT_EQ(0, user_work(&user));
	EXPECT_EQ(0, fw_faults("save:2:hang,stats:1:hang"));
	EXPECT_EQ(0, save_one_record(&user, &fd));
	ASSERT_EQ(0, fw_set_timeout(TIMEOUT_MS));

	pid = answered_commands(self->pf.vf[2], self->type.id);
	ASSERT_LE(0, pid);
	EXPECT_GT(0, pci_read(self->pf.vf[1], "nvvgpu/stats", stats,
			      sizeof(stats)));
	/* The read has ended while other commands are being answered. */
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	EXPECT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(pid, waitpid(pid, NULL, 0));

	EXPECT_EQ(0, mig_set(&user.vdev, VFIO_DEVICE_STATE_RUNNING, NULL));
	EXPECT_EQ(0, user_work(&user));
	close(fd);
	user_close(&user);
}

/* Mask all interrupts of a device, without its driver. */
static int mask_interrupts(const char *bdf, bool mask)
{
	char path[128];
	__u8 at, id, pos;
	__u16 flags;
	int fd, ret = -EIO;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", bdf);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (pos = PCI_CAPABILITY_LIST; pread(fd, &at, 1, pos) == 1 && at;
	     pos = at + PCI_CAP_LIST_NEXT) {
		if (pread(fd, &id, 1, at + PCI_CAP_LIST_ID) != 1)
			break;
		if (id != PCI_CAP_ID_MSIX)
			continue;
		if (pread(fd, &flags, 2, at + PCI_MSIX_FLAGS) != 2)
			break;
		flags &= ~PCI_MSIX_FLAGS_MASKALL;
		flags |= mask ? PCI_MSIX_FLAGS_MASKALL : 0;
		ret = pwrite(fd, &flags, 2, at + PCI_MSIX_FLAGS) == 2 ? 0 :
		      -errno;
		break;
	}
	close(fd);

	return ret;
}

TEST_F(removal, lost_interrupt_does_not_crash_a_vgpu)
{
	const char *vf = self->pf.vf[1];
	int ret;

	ASSERT_EQ(0, fw_set_timeout(TIMEOUT_MS));
	ASSERT_EQ(0, mask_interrupts(self->pf.bdf, true));
	ret = vf_set_type(vf, self->type.id);
	ASSERT_EQ(0, mask_interrupts(self->pf.bdf, false));
	EXPECT_EQ(0, ret);
	EXPECT_STREQ("created", vf_wait_state(vf, "created"));
}

TEST_F(removal, pf_is_not_a_vgpu)
{
	ASSERT_EQ(0, pf_set_vfs(&self->pf, 0));
	EXPECT_EQ(-ENODEV, pci_bind(self->pf.bdf, FRONT_END_DRIVER));
	EXPECT_FALSE(pci_exists(self->pf.bdf, "nvidia"));
	ASSERT_EQ(0, pci_write(self->pf.bdf, "driver_override", "\n"));
	ASSERT_EQ(0, driver_bind(self->driver, self->pf.bdf));
	EXPECT_ALL_AGAIN();
}

TEST_F(removal, modules_unloaded_and_loaded)
{
	/* Unloading the front-end requires that all back-ends are unloaded. */
	ASSERT_EQ(0, mod_del_users("nvvgpu-vfio-pci"));
	ASSERT_EQ(0, mod_del("nvvgpu-vfio-pci"));
	EXPECT_TRUE(pci_exists(self->pf.bdf, "sriov_numvfs"));
	ASSERT_EQ(0, mod_add("nvvgpu-vfio-pci", ""));
	ASSERT_EQ(0, mod_add("nvvgpu-emu", ""));
	EXPECT_ALL_AGAIN();
}

TEST_F(removal, create_without_firmware_says_so)
{
	const char *vf = self->pf.vf[1];
	char why[128];

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware fail");

	ASSERT_EQ(0, fw_faults("create:1:hang"));
	ASSERT_EQ(0, fw_set_timeout(TIMEOUT_MS));
	EXPECT_EQ(-ETIMEDOUT, vf_set_type(vf, self->type.id));
	snprintf(why, sizeof(why),
		 "cannot create type %u: the GPU does not respond",
		 self->type.id);
	EXPECT_LAST_ERROR(vf, ETIMEDOUT, why);
	ASSERT_EQ(0, fw_faults("now:crash"));
	/* An interrupt reports the crash, and may come late. */
	EXPECT_STREQ("error", vf_wait_state(self->pf.vf[0], "error"));
	EXPECT_GT(0, vf_set_type(vf, self->type.id));
	snprintf(why, sizeof(why),
		 "cannot create type %u: the firmware is down, reset the GPU",
		 self->type.id);
	EXPECT_LAST_ERROR(vf, EIO, why);
	ASSERT_EQ(0, gpu_reset(&self->pf));
	EXPECT_ALL_AGAIN();
}

TEST_F(removal, drivers_go_by_the_name_that_a_client_expects)
{
	char driver[64];

	/* The front-end's */
	ASSERT_EQ(0, mod_del_users("nvvgpu-vfio-pci"));
	ASSERT_EQ(0, mod_del("nvvgpu-vfio-pci"));
	ASSERT_EQ(0, mod_add("nvvgpu-vfio-pci", "driver_name=nvidia"));
	ASSERT_EQ(0, mod_add("nvvgpu-emu", ""));
	ASSERT_EQ(0, pf_set_vfs(&self->pf, TEST_VFS));
	EXPECT_EQ(0, pci_bind(self->pf.vf[0], "nvidia"));
	EXPECT_EQ(0, vf_set_type(self->pf.vf[0], self->type.id));
	EXPECT_EQ(0, pci_unbind(self->pf.vf[0]));

	/* The back-end's */
	ASSERT_EQ(0, mod_del("nvvgpu-emu"));
	ASSERT_EQ(0, mod_del("nvvgpu-vfio-pci"));
	ASSERT_EQ(0, mod_add("nvvgpu-vfio-pci", ""));
	ASSERT_EQ(0, mod_add("nvvgpu-emu", "driver_name=nvidia"));
	EXPECT_EQ(0, pci_driver(self->pf.bdf, driver, sizeof(driver)));
	EXPECT_STREQ("nvidia", driver);

	ASSERT_EQ(0, mod_del("nvvgpu-emu"));
	ASSERT_EQ(0, mod_add("nvvgpu-emu", ""));
	EXPECT_ALL_AGAIN();
}

/*
 * A reset while another process keeps the vGPU busy
 */
FIXTURE(busy_reset) {
	struct pf pf;
	struct vgpu_type type;
	struct user user;
	pid_t reader;
};

FIXTURE_VARIANT(busy_reset) {
	int (*reset)(const struct vdev *vdev);
};

FIXTURE_VARIANT_ADD(busy_reset, ioctl) { .reset = vdev_reset };
FIXTURE_VARIANT_ADD(busy_reset, flr) { .reset = vdev_flr };

FIXTURE_SETUP(busy_reset)
{
	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware slow");
	ASSERT_EQ(0, fw_faults(""));
	ASSERT_GPU(&self->pf, TEST_VFS);
	ASSERT_EQ(1, vf_types(self->pf.vf[0], &self->type, 1));
	ASSERT_EQ(0, vf_set_type(self->pf.vf[0], self->type.id));
	ASSERT_EQ(0, user_open(&self->user, self->pf.vf[0], IOMMU_IOMMUFD));
}

FIXTURE_TEARDOWN(busy_reset)
{
	if (!qmp_available())
		return;
	fw_faults("");
	user_close(&self->user);
	gpu_clean(&self->pf);
}

TEST_F(busy_reset, is_over_when_it_returns)
{
	struct engine *engine = &self->user.engine;
	__u32 count = 0;
	char buf[4096];
	int status;

	/* A reader of the statistics waits for the firmware, */
	ASSERT_EQ(0, fw_faults("stats:1:slow=1500"));
	ASSERT_EQ(0, gpu_commands(&self->pf, &count));
	self->reader = fork();
	ASSERT_LE(0, self->reader);
	if (!self->reader)
		_exit(pci_read(self->pf.vf[0], "nvvgpu/stats", buf,
			       sizeof(buf)) < 0);
	ASSERT_EQ(0, gpu_wait_command(&self->pf, count));

	/* and settings made after a reset meanwhile are kept. */
	ASSERT_EQ(0, variant->reset(&self->user.vdev));
	EXPECT_EQ(0, user_back(&self->user));
	engine_write(engine, NVVGPU_EMU_VF_REG_SCRATCH, 42);
	ASSERT_EQ(self->reader, waitpid(self->reader, &status, 0));
	EXPECT_EQ(0, status);
	usleep(100000);
	EXPECT_EQ(42, engine_read(engine, NVVGPU_EMU_VF_REG_SCRATCH));
	EXPECT_EQ(0, user_work(&self->user));
}

/*
 * Each command in the life of a vGPU fails, one after the other
 */
FIXTURE(sweep) {
	struct pf pf;
	const char *vf;
	struct vgpu_type type;
	struct user a;
	struct user other;
};

FIXTURE_VARIANT(sweep) {
	const char *action;
	/* which takes all vGPUs with it, until the GPU is reset */
	bool all;
	/* takes time, because each command times out */
	bool slow;
};

FIXTURE_VARIANT_ADD(sweep, fail) { .action = "fail" };
FIXTURE_VARIANT_ADD(sweep, vcrash) { .action = "vcrash" };
FIXTURE_VARIANT_ADD(sweep, hang) { .action = "hang", .slow = true };
FIXTURE_VARIANT_ADD(sweep, late) { .action = "late=2500", .slow = true };
FIXTURE_VARIANT_ADD(sweep, crash) { .action = "crash", .all = true };
FIXTURE_VARIANT_ADD(sweep, wedge) {
	.action = "wedge", .all = true, .slow = true,
};

FIXTURE_SETUP(sweep)
{
	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make the firmware fail");
	if (variant->slow && !test_all())
		SKIP(return, "only with NVVGPU_TEST_ALL");
	ASSERT_EQ(0, fw_faults(""));
	ASSERT_GPU(&self->pf, TEST_VFS);
	self->vf = self->pf.vf[0];
	ASSERT_EQ(1, vf_types(self->vf, &self->type, 1));
	ASSERT_EQ(0, fw_set_timeout(TIMEOUT_MS));
	ASSERT_EQ(0, vf_set_type(self->pf.vf[1], self->type.id));
	ASSERT_EQ(0, user_open(&self->other, self->pf.vf[1], IOMMU_IOMMUFD));
}

FIXTURE_TEARDOWN(sweep)
{
	if (!qmp_available())
		return;
	fw_faults("");
	user_close(&self->a);
	user_close(&self->other);
	gpu_clean(&self->pf);
	fw_set_timeout(FW_TIMEOUT_MS);
}

/* Run all steps that send commands, until one fails. */
static int all_steps(struct user *user, const char *vf, unsigned int type)
{
	char buf[4096];
	int ret;

	ret = vf_set_type(vf, type);
	if (!ret)
		ret = user_open(user, vf, IOMMU_IOMMUFD);
	if (!ret)
		ret = user_work(user);
	if (!ret && pci_read(vf, "nvvgpu/stats", buf, sizeof(buf)) < 0)
		ret = -EIO;
	if (!ret)
		ret = vdev_reset(&user->vdev);
	if (!ret)
		ret = user_back(user);
	user_close(user);
	if (!ret)
		ret = vf_set_type(vf, 0);

	return ret;
}

TEST_F_TIMEOUT(sweep, each_command_in_turn, 600)
{
	__u32 begin = 0, commands = 0;
	unsigned int n;
	char rule[64];
	int ret;

	/* How many there are */
	ASSERT_EQ(0, gpu_commands(&self->pf, &begin));
	ASSERT_EQ(0, all_steps(&self->a, self->vf, self->type.id));
	ASSERT_EQ(0, gpu_commands(&self->pf, &commands));
	commands -= begin;
	ASSERT_LE(7, commands);

	for (n = 1; n <= commands; n++) {
		snprintf(rule, sizeof(rule), "any:%u:%s", n, variant->action);
		ASSERT_EQ(0, fw_faults(rule));
		ret = all_steps(&self->a, self->vf, self->type.id);
		/* START and the engine report that a vGPU has crashed. */
		EXPECT_TRUE(!ret || ret == -EIO || ret == -ETIMEDOUT ||
			    ret == -EBADFD || ret == -EBUSY)
			TH_LOG("command %u: errno %d", n, -ret);
		ASSERT_EQ(0, fw_faults(""));

		if (variant->all) {
			ASSERT_EQ(0, gpu_reset(&self->pf));
			EXPECT_EQ(0, vdev_reset(&self->other.vdev));
			EXPECT_EQ(0, user_back(&self->other));
		} else {
			EXPECT_EQ(0, user_work(&self->other));
		}
		/* At most one more attempt may be needed. */
		EXPECT_EQ(0, vf_set_type(self->vf, 0))
			TH_LOG("after command %u", n);
		EXPECT_STREQ("bound", vf_wait_state(self->vf, "bound"));
		EXPECT_EQ(0, vgpu_life(self->vf, &self->type))
			TH_LOG("after command %u", n);
	}
}

int main(int argc, char **argv)
{
	return test_main(argc, argv, gpu_missing());
}
