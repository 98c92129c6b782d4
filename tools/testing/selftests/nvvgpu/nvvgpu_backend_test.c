// SPDX-License-Identifier: GPL-2.0
/*
 * The contract between the front-end and its back-ends, and back-ends that register
 * and unregister at any time.  A mock back-end on the PF of an ordinary SR-IOV
 * device checks whether the front-end follows the rules of the contract.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "nvvgpu_test.h"
#include "lib/backend.h"
#include "lib/migration.h"

/* Driver of the PF for the mock; any SR-IOV device will do. */
#define PF_DRIVER	"igb"
#define OTHER_DRIVER	"nvme"

#define MOCK_TYPE	7
#define MOCK_INSTANCES	3

FIXTURE(backend) {
	struct pf pf;
	const char *bdf;
	const char *vf;
	const char *vf2;
	int uevents;
	int err;
	struct ioas ioas;
	struct vdev vdev;
	char buf[8192];
};

FIXTURE_SETUP(backend)
{
	self->vdev.fd = -1;
	self->vdev.group = -1;
	ASSERT_EQ(0, mod_add("nvvgpu-mock", ""));
	ASSERT_EQ(0, pf_prepare(&self->pf, PF_DRIVER, TEST_VFS));
	self->bdf = self->pf.bdf;
	self->vf = self->pf.vf[0];
	self->vf2 = self->pf.vf[1];
	self->uevents = uevent_open();
	ASSERT_LE(0, self->uevents);
	self->err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_LE(0, self->err);
	ASSERT_EQ(0, ioas_open(&self->ioas, IOMMU_IOMMUFD));
}

FIXTURE_TEARDOWN(backend)
{
	put(MOCK_DIR "/block", "none");
	put(MOCK_DIR "/fail", "none");
	put(MOCK_DIR "/bar", "none");
	vdev_close(&self->vdev);
	ioas_close(&self->ioas);
	if (self->bdf)
		mock_del(self->bdf);
	EXPECT_EQ(0, mock_calls("violations"));
	EXPECT_EQ(0, mod_del("nvvgpu-mock"));
	close(self->uevents);
	close(self->err);
}

/* Open the first VF, with its ERR interrupt connected. */
#define ASSERT_OPEN() do {						\
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));	\
	ASSERT_EQ(0, vdev_set_irq(&self->vdev, VFIO_PCI_ERR_IRQ_INDEX,	\
				  self->err));				\
} while (0)

#define ASSERT_CREATED(vf) do {						\
	const char *__name = (vf);					\
									\
	ASSERT_EQ(0, vf_set_type(__name, MOCK_TYPE));			\
	EXPECT_FILE(__name, "nvvgpu/state", "created\n");		\
} while (0)

/* The same, with a BAR whose second page is trapped */
#define ASSERT_OPEN_TRAPPED() do {					\
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));			\
	ASSERT_EQ(0, put(MOCK_DIR "/bar", "0 16384 4096 4096"));	\
	ASSERT_CREATED(self->vf);					\
	ASSERT_OPEN();							\
} while (0)

/* The signal that a read of mapped memory raises, 0 for none */
static int touch(const void *mem)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		signal(SIGBUS, SIG_DFL);
		__atomic_load_n((const __u32 *)mem, __ATOMIC_RELAXED);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -1;

	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static int post(const char *pf, unsigned int vf, const char *events)
{
	return put(MOCK_DIR "/event", "%s %u %s", pf, vf, events);
}

/* Counter in nvvgpu/events */
static long long count(const char *vf, const char *key)
{
	char path[128];

	snprintf(path, sizeof(path),
		 "/sys/bus/pci/devices/%s/nvvgpu/events", vf);

	return get_value(path, key);
}

/* Tables */

static const struct {
	const char *table;
	int err;
} unsound[] = {
	{ "major", -EPROTONOSUPPORT },
	{ "old", -EPROTONOSUPPORT },
	{ "short", -EINVAL },
	{ "empty", -EINVAL },
	{ "no-name", -EINVAL },
	{ "two-words", -EINVAL },
	{ "no-get_types", -EINVAL },
	{ "no-get_type_info", -EINVAL },
	{ "no-get_available", -EINVAL },
	{ "no-create", -EINVAL },
	{ "no-delete", -EINVAL },
	{ "no-start", -EINVAL },
	{ "no-stop", -EINVAL },
	{ "no-reset_prepare", -EINVAL },
	{ "no-reset_done", -EINVAL },
	{ "no-get_bar_info", -EINVAL },
	{ "no-bar_read", -EINVAL },
	{ "no-bar_write", -EINVAL },
	{ "half-migration", -EINVAL },
	{ "precopy-alone", -EINVAL },
	{ "precopy-untold", -EINVAL },
	{ "precopy-unable", -EINVAL },
	{ "reinit-alone", -EINVAL },
	{ "flags-alone", -EINVAL },
	{ "no-versions", -EINVAL },
	{ "half-dma-log", -EINVAL },
	{ "half-display", -EINVAL },
};

TEST_F(backend, invalid_tables_are_refused)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(unsound); i++) {
		EXPECT_EQ(unsound[i].err,
			  mock_add(self->bdf, unsound[i].table))
			TH_LOG("%s", unsound[i].table);
	}
	EXPECT_UNMANAGED(self->vf);
	EXPECT_EQ(0, mod_refs("nvvgpu-mock"));
}

TEST_F(backend, newer_minor_is_accepted)
{
	unsigned int minor, newer;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	EXPECT_STREQ("mock", vf_backend(self->vf, &minor));
	ASSERT_EQ(0, mock_del(self->bdf));
	ASSERT_EQ(0, mock_add(self->bdf, "new"));
	EXPECT_FILE(self->vf, "nvvgpu/types/7/placements", "0 63\n");
	EXPECT_STREQ("mock", vf_backend(self->vf, &newer));
	EXPECT_EQ(minor + 1, newer);
	EXPECT_FILE(self->vf, "nvvgpu/capabilities",
		    "create reset recover bar-shape bar-trap stats placement\n");
	ASSERT_CREATED(self->vf);
	ASSERT_OPEN();
	EXPECT_EQ(0, vdev_reset(&self->vdev));
}

TEST_F(backend, minimal_table_serves)
{
	ASSERT_EQ(0, mock_add(self->bdf, "minimal"));
	EXPECT_FILE(self->vf, "nvvgpu/capabilities", "create\n");
	ASSERT_CREATED(self->vf);
	EXPECT_EQ(-ENXIO, pci_read(self->vf, "nvvgpu/stats", self->buf, 64));
	EXPECT_TRUE(pci_exists(self->vf, "nvvgpu/types/7/name"));
	EXPECT_FALSE(pci_exists(self->vf, "nvvgpu/types/7/placements"));
	ASSERT_OPEN();
	EXPECT_EQ(0, vdev_reset(&self->vdev));
	vdev_close(&self->vdev);
	EXPECT_EQ(0, vf_set_type(self->vf, 0));
	EXPECT_EQ(0, mock_calls("reset_done"));
	EXPECT_EQ(0, mock_calls("get_stats"));
}

TEST_F(backend, provisioned_vfs_need_no_create)
{
	ASSERT_EQ(0, mock_add(self->bdf, "provisioned"));
	EXPECT_FILE(self->vf, "nvvgpu/capabilities",
		    "reset recover bar-shape bar-trap stats placement\n");
	EXPECT_FILE(self->vf, "nvvgpu/state", "bound\n");
	EXPECT_TRUE(pci_exists(self->vf, "nvvgpu/types"));
	EXPECT_FALSE(pci_exists(self->vf, "nvvgpu/types/7"));
	EXPECT_EQ(0, vf_creatable(self->vf, 0));
	EXPECT_EQ(-EOPNOTSUPP, vf_set_type(self->vf, MOCK_TYPE));
	EXPECT_EQ(-ENODEV, vdev_open(&self->vdev, self->vf, &self->ioas));

	ASSERT_EQ(0, put(MOCK_DIR "/ready", "%s 0", self->bdf));
	EXPECT_EQ(0, uevent_wait(self->uevents, self->vf,
				 NVVGPU_EVENT_NAME_CREATED, WAIT_MS));
	EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");
	EXPECT_EQ(MOCK_TYPE, vf_type(self->vf));
	EXPECT_EQ(-EBUSY, put(MOCK_DIR "/ready", "%s 0", self->bdf));
	EXPECT_EQ(-EOPNOTSUPP, vf_set_type(self->vf, 0));
	EXPECT_FILE(self->vf2, "nvvgpu/state", "bound\n");

	ASSERT_OPEN();
	EXPECT_EQ(0, vdev_reset(&self->vdev));
	EXPECT_LT(0, mock_calls("reset_done"));
	EXPECT_EQ(-EBUSY, put(MOCK_DIR "/unready", "%s 0", self->bdf));
	EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");
	ASSERT_EQ(0, post(self->bdf, 0, "crashed"));
	EXPECT_LT(0, irq_wait(self->err, WAIT_MS));
	EXPECT_EQ(0, vdev_reset(&self->vdev));
	EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");
	vdev_close(&self->vdev);
	EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");

	ASSERT_EQ(0, put(MOCK_DIR "/unready", "%s 0", self->bdf));
	EXPECT_EQ(0, uevent_wait(self->uevents, self->vf,
				 NVVGPU_EVENT_NAME_DELETED, WAIT_MS));
	EXPECT_FILE(self->vf, "nvvgpu/state", "bound\n");
	EXPECT_EQ(-ENODEV, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_EQ(0, mock_calls("create"));
	EXPECT_EQ(0, mock_calls("delete"));
}

TEST_F(backend, provisioned_vfs_are_bound_earlier_or_later)
{
	ASSERT_EQ(0, pci_unbind(self->vf));
	ASSERT_EQ(0, mock_add(self->bdf, "provisioned"));
	ASSERT_EQ(0, put(MOCK_DIR "/ready", "%s 0", self->bdf));
	ASSERT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
	EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");
	ASSERT_OPEN();
	vdev_close(&self->vdev);

	/* It stays with the VF over an unbind, and goes while it is unbound. */
	ASSERT_EQ(0, pci_unbind(self->vf));
	ASSERT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
	EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");
	ASSERT_EQ(0, pci_unbind(self->vf));
	ASSERT_EQ(0, put(MOCK_DIR "/unready", "%s 0", self->bdf));
	ASSERT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
	EXPECT_FILE(self->vf, "nvvgpu/state", "bound\n");

	/* The back-end leaves with a vGPU of its own. */
	ASSERT_EQ(0, put(MOCK_DIR "/ready", "%s 0", self->bdf));
	ASSERT_EQ(0, mock_del(self->bdf));
	EXPECT_UNMANAGED(self->vf);

	/* One that creates vGPUs reports none. */
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	EXPECT_EQ(-EINVAL, put(MOCK_DIR "/ready", "%s 0", self->bdf));
	EXPECT_EQ(-EINVAL, put(MOCK_DIR "/unready", "%s 0", self->bdf));
}

/* The next user of the VF must not get a vGPU that may still run. */
TEST_F(backend, provisioned_vgpu_is_in_error_until_it_is_recovered)
{
	ASSERT_EQ(0, mock_add(self->bdf, "provisioned"));
	ASSERT_EQ(0, put(MOCK_DIR "/ready", "%s 0", self->bdf));
	ASSERT_OPEN();
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "stop 110"));
	vdev_close(&self->vdev);
	EXPECT_FILE(self->vf, "nvvgpu/state", "error\n");
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "none"));
	ASSERT_EQ(0, pci_unbind(self->vf));
	ASSERT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
	EXPECT_FILE(self->vf, "nvvgpu/state", "error\n");
	EXPECT_LAST_ERROR(self->vf, EIO, "the vGPU has crashed");
	/* Open, it would not let the unbind below end. */
	ASSERT_EQ(-EIO, vdev_open(&self->vdev, self->vf, &self->ioas));
	ASSERT_EQ(0, pci_write(self->vf, "reset", "1"));
	EXPECT_EQ(1, mock_calls("recover"));
	EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");

	/* Recovered once and for all */
	ASSERT_EQ(0, pci_unbind(self->vf));
	ASSERT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
	EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");

	/* It crashes while the VF is not bound. */
	ASSERT_EQ(0, pci_unbind(self->vf));
	ASSERT_EQ(0, post(self->bdf, 0, "crashed"));
	ASSERT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
	EXPECT_FILE(self->vf, "nvvgpu/state", "error\n");

	/* Another vGPU knows nothing of that. */
	ASSERT_EQ(0, put(MOCK_DIR "/unready", "%s 0", self->bdf));
	ASSERT_EQ(0, put(MOCK_DIR "/ready", "%s 0", self->bdf));
	EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");
	ASSERT_OPEN();
	vdev_close(&self->vdev);
}

/* Bind and unbind a VF until killed.  It may be open, so this may wait. */
static void bind_and_unbind(const char *vf)
{
	for (;;) {
		pci_unbind(vf);
		pci_bind(vf, FRONT_END_DRIVER);
	}
}

TEST_F(backend, withdrawn_vgpu_is_not_adopted_by_a_vf_that_is_bound_meanwhile)
{
	char state[16];
	pid_t pid;
	int i;

	ASSERT_EQ(0, mock_add(self->bdf, "provisioned"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		bind_and_unbind(self->vf);
	for (i = 0; i < 300; i++) {
		ASSERT_EQ(0, put(MOCK_DIR "/ready", "%s 0", self->bdf));
		ASSERT_EQ(0, put(MOCK_DIR "/unready", "%s 0", self->bdf));
		memset(state, 0, sizeof(state));
		if (pci_read(self->vf, "nvvgpu/state", state, sizeof(state)) > 0)
			EXPECT_STREQ("bound\n", state);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	pci_bind(self->vf, FRONT_END_DRIVER);
}

/* Replace the vGPU of a VF that @pid resets.  Return whether it was in time. */
static bool replaced_in_reset(const char *pf, const char *vf, pid_t pid)
{
	bool replaced = !put(MOCK_DIR "/unready", "%s 0", pf) &&
			!put(MOCK_DIR "/ready", "%s 0", pf);
	char state[16] = "";

	pci_read(vf, "nvvgpu/state", state, sizeof(state));

	return child_status(pid) == 0 && replaced && !strncmp(state, "bound", 5);
}

TEST_F(backend, vgpu_provisioned_during_a_reset_is_adopted_after_it)
{
	bool within = false;
	long long prepared;
	int i, status;
	pid_t pid;

	ASSERT_EQ(0, mock_add(self->bdf, "provisioned"));
	ASSERT_EQ(0, put(MOCK_DIR "/ready", "%s 0", self->bdf));
	for (i = 0; !within && i < 40; i++) {
		prepared = mock_calls("reset_prepare");
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(-pci_write(self->vf, "reset", "1"));
		while (mock_calls("reset_prepare") == prepared &&
		       !waitpid(pid, &status, WNOHANG))
			;
		within = replaced_in_reset(self->bdf, self->vf, pid);
		EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");
	}
	EXPECT_TRUE(within)
		TH_LOG("every reset was over too early, or the vGPU was adopted in it");
	ASSERT_OPEN();
	EXPECT_EQ(0, vdev_reset(&self->vdev));
	vdev_close(&self->vdev);
}

TEST_F(backend, totals_of_a_provisioned_vgpu_begin_with_the_use)
{
	int i;

	ASSERT_EQ(0, mock_add(self->bdf, "provisioned"));
	ASSERT_EQ(0, put(MOCK_DIR "/ready", "%s 0", self->bdf));
	for (i = 0; i < 3; i++) {
		ASSERT_OPEN();
		vdev_close(&self->vdev);
		ASSERT_LT(0, pci_read(self->vf, "nvvgpu/use", self->buf,
				      sizeof(self->buf)));
		EXPECT_NE(NULL, strstr(self->buf, "\nstarts 1\n"))
			TH_LOG("use %d: %s", i, self->buf);
		ASSERT_EQ(0, pci_unbind(self->vf));
		ASSERT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
	}
}

TEST_F(backend, without_a_backend_there_is_no_vfio_device)
{
	EXPECT_UNMANAGED(self->vf);
	EXPECT_EQ(-ENOENT, vf_set_type(self->vf, MOCK_TYPE));
	EXPECT_GT(0, vdev_open(&self->vdev, self->vf, &self->ioas));
}

TEST_F(backend, device_that_is_not_a_pf_is_refused)
{
	EXPECT_EQ(-EINVAL, mock_add(self->vf, "sound"));
	/* The host bridge */
	EXPECT_EQ(-EINVAL, mock_add("0000:00:00.0", "sound"));
}

TEST_F(backend, two_claims_of_one_pf)
{
	char dir[128];

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	EXPECT_EQ(-EBUSY, mock_add(self->bdf, "sound"));

	/* Another back-end is refused as well, and the first one remains. */
	if (!mod_add("nvvgpu-generic", "")) {
		snprintf(dir, sizeof(dir), GENERIC_DIR "/%s", self->bdf);
		ASSERT_EQ(0, mkdir(dir, 0755));
		snprintf(self->buf, sizeof(self->buf), "%s/enable", dir);
		EXPECT_EQ(-EBUSY, put(self->buf, "1"));
		EXPECT_EQ(0, rmdir(dir));
	}
	EXPECT_STREQ("mock", vf_backend(self->vf, NULL));
	ASSERT_OPEN();
}

TEST_F(backend, one_backend_on_several_pfs)
{
	struct pf other;

	ASSERT_EQ(0, pf_prepare(&other, OTHER_DRIVER, 2));
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_EQ(0, mock_add(other.bdf, "minimal"));
	ASSERT_CREATED(self->vf);
	ASSERT_CREATED(other.vf[0]);
	EXPECT_FILE(self->vf, "nvvgpu/capabilities",
		    "create reset recover bar-shape bar-trap stats placement\n");
	EXPECT_FILE(other.vf[0], "nvvgpu/capabilities", "create\n");

	/* Unregistering one does not affect the other. */
	ASSERT_EQ(0, mock_del(other.bdf));
	EXPECT_UNMANAGED(other.vf[0]);
	EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");
	ASSERT_OPEN();
}

/* Coming and going */

TEST_F(backend, arrives_after_the_vf)
{
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	EXPECT_EQ(0, uevent_wait(self->uevents, self->vf,
				 NVVGPU_EVENT_NAME_BACKEND, WAIT_MS));
	EXPECT_EQ(1, vf_creatable(self->vf, MOCK_TYPE));
	ASSERT_CREATED(self->vf);
	ASSERT_OPEN();
	EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");
}

TEST_F(backend, leaving_is_announced_and_ends_the_files)
{
	char path[128];
	int fd;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_EQ(0, uevent_wait(self->uevents, self->vf,
				 NVVGPU_EVENT_NAME_BACKEND, WAIT_MS));
	snprintf(path, sizeof(path),
		 "/sys/bus/pci/devices/%s/nvidia/creatable_vgpu_types",
		 self->vf);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_LT(0, read(fd, self->buf, sizeof(self->buf)));

	ASSERT_EQ(0, mock_del(self->bdf));
	EXPECT_EQ(0, uevent_wait(self->uevents, self->vf,
				 NVVGPU_EVENT_NAME_BACKEND, WAIT_MS));
	EXPECT_EQ(-1, pread(fd, self->buf, sizeof(self->buf), 0));
	EXPECT_EQ(ENODEV, errno);
	close(fd);
}

TEST_F(backend, arrives_before_the_vf)
{
	ASSERT_EQ(0, pci_unbind(self->vf));
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
	ASSERT_CREATED(self->vf);
	ASSERT_OPEN();
}

TEST_F(backend, departs_and_returns_with_vfs_bound)
{
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, mock_add(self->bdf, "sound"));
		EXPECT_EQ(1, vf_creatable(self->vf, MOCK_TYPE));
		ASSERT_EQ(0, mock_del(self->bdf));
		EXPECT_UNMANAGED(self->vf);
	}
}

TEST_F(backend, departs_and_returns_with_vgpus_created)
{
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, mock_add(self->bdf, "sound"));
		ASSERT_CREATED(self->vf);
		ASSERT_CREATED(self->vf2);
		ASSERT_EQ(0, mock_del(self->bdf));
		EXPECT_EQ(0, uevent_wait(self->uevents, self->vf,
					 NVVGPU_EVENT_NAME_DELETED, WAIT_MS));
		EXPECT_UNMANAGED(self->vf);
		EXPECT_UNMANAGED(self->vf2);
	}
	EXPECT_EQ(6, mock_calls("create"));
	EXPECT_EQ(6, mock_calls("delete"));
}

TEST_F(backend, departure_asks_the_user_and_waits)
{
	__u32 val = 0;
	pid_t pid;
	int req;

	req = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_LE(0, req);
	ASSERT_OPEN_TRAPPED();
	ASSERT_EQ(0, vdev_set_irq(&self->vdev, VFIO_PCI_REQ_IRQ_INDEX, req));
	pid = put_begin(MOCK_DIR "/unregister", self->bdf);
	ASSERT_LE(0, pid);
	EXPECT_LE(1, irq_wait(req, WAIT_MS));

	/* Until it closes the device, the user can use it, and owner shows it. */
	EXPECT_EQ(4, vdev_read(&self->vdev, 0, 4096, &val, 4));
	EXPECT_EQ(0, irq_wait(self->err, 0));
	EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");
	EXPECT_LT(1, pci_read(self->vf, "nvvgpu/owner", self->buf, 64));
	EXPECT_EQ(0, mock_calls("stop"));
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));

	vdev_close(&self->vdev);
	EXPECT_EQ(0, child_status(pid));
	EXPECT_EQ(1, mock_calls("stop"));
	EXPECT_EQ(1, mock_calls("delete"));
	EXPECT_UNMANAGED(self->vf);
	EXPECT_EQ(0, mod_refs("nvvgpu-mock"));
	close(req);
}

TEST_F(backend, pf_is_busy_until_unregister_returns)
{
	pid_t pid;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf2);
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf2, &self->ioas));
	pid = put_begin(MOCK_DIR "/unregister", self->bdf);
	ASSERT_LE(0, pid);
	while (pci_exists(self->vf, "nvvgpu"))
		usleep(10000);

	EXPECT_EQ(0, pci_unbind(self->vf));
	EXPECT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
	EXPECT_UNMANAGED(self->vf);
	EXPECT_FILE(self->vf2, "nvvgpu/state", "open\n");

	vdev_close(&self->vdev);
	EXPECT_EQ(0, child_status(pid));
	ASSERT_EQ(0, mock_add(self->bdf, "minimal"));
	EXPECT_FILE(self->vf, "nvvgpu/capabilities", "create\n");
	EXPECT_FILE(self->vf2, "nvvgpu/capabilities", "create\n");
}

TEST_F(backend, successor_offers_what_it_can)
{
	struct vfio_device_feature_migration mig;
	unsigned int i;
	static const struct {
		const char *table;
		int migration;
		__u64 flags;
	} order[] = {
		{ "migration", 0,
		  VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P },
		{ "sound", -ENOTTY, 0 },
		{ "without-p2p", 0, VFIO_MIGRATION_STOP_COPY },
	};

	for (i = 0; i < ARRAY_SIZE(order); i++) {
		ASSERT_EQ(0, mock_add(self->bdf, order[i].table));
		ASSERT_CREATED(self->vf);
		ASSERT_OPEN();
		memset(&mig, 0, sizeof(mig));
		EXPECT_EQ(order[i].migration,
			  vdev_feature(&self->vdev, VFIO_DEVICE_FEATURE_GET |
				       VFIO_DEVICE_FEATURE_MIGRATION, &mig,
				       sizeof(mig)));
		if (!order[i].migration) {
			EXPECT_EQ(order[i].flags, mig.flags);
			EXPECT_FILE(self->vf, "nvvgpu/state_versions", "2-3\n");
		} else {
			EXPECT_EQ(-ENXIO,
				  pci_read(self->vf, "nvvgpu/state_versions",
					   self->buf, 64));
		}
		vdev_close(&self->vdev);
		ASSERT_EQ(0, mock_del(self->bdf));
	}
}

TEST_F(backend, settings_survive_a_departure)
{
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_EQ(0, pci_write(self->vf, "nvidia/vgpu_params", "a=1"));
	ASSERT_EQ(0, pci_write(self->vf, "nvidia/placement_id", "5"));
	ASSERT_EQ(0, mock_del(self->bdf));
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	EXPECT_FILE(self->vf, "nvidia/vgpu_params", "a=1\n");
	ASSERT_CREATED(self->vf);
	EXPECT_FILE(self->vf, "nvidia/placement_id", "5\n");
}

TEST_F(backend, departure_waits_for_an_operation_at_work)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	ASSERT_EQ(0, put(MOCK_DIR "/block", "get_stats"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		char buf[64];

		_exit(pci_read(self->vf, "nvvgpu/stats", buf, sizeof(buf)) < 0);
	}
	while (!mock_calls("get_stats"))
		usleep(10000);

	/* A second unregister has to wait for the first. */
	if (!fork()) {
		usleep(500000);
		put(MOCK_DIR "/block", "none");
		_exit(0);
	}
	EXPECT_EQ(0, mock_del(self->bdf));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	wait(NULL);
	EXPECT_UNMANAGED(self->vf);
}

TEST_F(backend, departs_while_a_start_is_slow)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	ASSERT_EQ(0, put(MOCK_DIR "/block", "start"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct ioas ioas;
		struct vdev vdev;

		if (ioas_open(&ioas, IOMMU_IOMMUFD))
			_exit(1);
		if (vdev_open(&vdev, self->vf, &ioas))
			_exit(2);
		vdev_close(&vdev);
		_exit(0);
	}
	while (!mock_calls("start"))
		usleep(10000);
	if (!fork()) {
		usleep(500000);
		put(MOCK_DIR "/block", "none");
		_exit(0);
	}
	EXPECT_EQ(0, mock_del(self->bdf));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	wait(NULL);
	EXPECT_UNMANAGED(self->vf);
	EXPECT_EQ(0, mod_refs("nvvgpu-mock"));
}

TEST_F(backend, vf_is_unbound_with_a_vgpu)
{
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	ASSERT_EQ(0, pci_unbind(self->vf));
	EXPECT_EQ(1, mock_calls("delete"));
	ASSERT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
	EXPECT_FILE(self->vf, "nvvgpu/state", "bound\n");
}

TEST_F(backend, vfs_are_disabled_with_vgpus)
{
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	ASSERT_CREATED(self->vf2);
	ASSERT_EQ(0, pf_set_vfs(&self->pf, 0));
	EXPECT_EQ(2, mock_calls("delete"));
	ASSERT_EQ(0, pf_prepare(&self->pf, PF_DRIVER, TEST_VFS));
	ASSERT_CREATED(self->vf);
}

TEST_F(backend, module_references_are_exact)
{
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	EXPECT_EQ(0, mod_refs("nvvgpu-mock"));
	ASSERT_CREATED(self->vf);
	EXPECT_EQ(0, mod_refs("nvvgpu-mock"));

	/* One reference per open vGPU, which prevents unloading. */
	ASSERT_OPEN();
	EXPECT_EQ(1, mod_refs("nvvgpu-mock"));
	EXPECT_EQ(-EWOULDBLOCK, mod_del("nvvgpu-mock"));
	EXPECT_EQ(0, vdev_reset(&self->vdev));
	EXPECT_EQ(1, mod_refs("nvvgpu-mock"));
	vdev_close(&self->vdev);
	EXPECT_EQ(0, mod_refs("nvvgpu-mock"));

	/* A failed start leaves no reference. */
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "start 12"));
	EXPECT_EQ(-ENOMEM, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_EQ(0, mod_refs("nvvgpu-mock"));
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "none"));
}

TEST_F(backend, unloading_is_a_departure)
{
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	ASSERT_EQ(0, mod_del("nvvgpu-mock"));
	EXPECT_UNMANAGED(self->vf);
	ASSERT_EQ(0, mod_add("nvvgpu-mock", ""));
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
}

TEST_F(backend, built_in_has_no_module_to_pin)
{
	ASSERT_EQ(0, mock_add(self->bdf, "built-in"));
	ASSERT_CREATED(self->vf);
	ASSERT_OPEN();
	EXPECT_EQ(0, mod_refs("nvvgpu-mock"));
	EXPECT_EQ(0, vdev_reset(&self->vdev));
}

/* Operations that fail */

TEST_F(backend, errors_of_operations_reach_the_user)
{
	long long deletes;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "create 28"));
	EXPECT_EQ(-EIO, vf_set_type(self->vf, MOCK_TYPE));
	EXPECT_LAST_ERROR(self->vf, EIO,
			  "cannot create type 7: no room");
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "create 121"));
	EXPECT_EQ(-EREMOTEIO, vf_set_type(self->vf, MOCK_TYPE));
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "get_types 121"));
	EXPECT_EQ(-EREMOTEIO, pci_read(self->vf, "nvidia/creatable_vgpu_types",
				       self->buf, sizeof(self->buf)));
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "get_available 121"));
	EXPECT_EQ(-EREMOTEIO, pci_read(self->vf, "nvidia/creatable_vgpu_types",
				       self->buf, sizeof(self->buf)));
	EXPECT_EQ(-EREMOTEIO,
		  pci_read(self->vf, "nvvgpu/types/7/available_instances",
			   self->buf, sizeof(self->buf)));
	EXPECT_EQ(-EREMOTEIO, pci_read(self->vf, "nvvgpu/types/7/reason",
				       self->buf, sizeof(self->buf)));
	/* Not the error of an invalid placement */
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "get_bar_info 22"));
	EXPECT_EQ(-EINVAL, vf_set_type(self->vf, MOCK_TYPE));
	EXPECT_LAST_ERROR(self->vf, EINVAL,
			  "cannot create type 7: its BARs are unknown or malformed");
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "get_bar_info 16"));
	EXPECT_EQ(-EIO, vf_set_type(self->vf, MOCK_TYPE));
	EXPECT_FILE(self->vf, "nvvgpu/state", "bound\n");
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "start 110"));
	ASSERT_CREATED(self->vf);
	EXPECT_EQ(-ETIMEDOUT, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_LAST_ERROR(self->vf, ETIMEDOUT,
			  "cannot start the vGPU");
	EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "get_bar_info 110"));
	EXPECT_EQ(-ETIMEDOUT, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_EQ(mock_calls("start"), mock_calls("stop") + 1);
	EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "none"));
	ASSERT_OPEN();
	EXPECT_FILE(self->vf, "nvvgpu/last_error", "\n");
	vdev_close(&self->vdev);

	/* A failed operation does not keep a back-end registered. */
	deletes = mock_calls("delete");
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "delete 110"));
	ASSERT_EQ(0, mock_del(self->bdf));
	EXPECT_UNMANAGED(self->vf);
	/* delete was called twice: when the VF was removed, and at the end. */
	EXPECT_EQ(deletes + 2, mock_calls("delete"));
}

/* An injected negative number makes an operation return a positive one. */
TEST_F(backend, answers_that_violate_the_contract_are_errors)
{
	static const char * const wrong[] = { "-1", "512", "5000" };
	unsigned int i;
	__u32 val = 0;

	ASSERT_EQ(0, mock_add(self->bdf, "migration"));
	ASSERT_EQ(0, put(MOCK_DIR "/bar", "0 16384 4096 4096"));
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		ASSERT_EQ(0, put(MOCK_DIR "/fail", "get_type_info %s", wrong[i]));
		EXPECT_EQ(-EPROTO, vf_set_type(self->vf, MOCK_TYPE));
		ASSERT_EQ(0, put(MOCK_DIR "/fail", "create %s", wrong[i]));
		EXPECT_EQ(-EPROTO, vf_set_type(self->vf, MOCK_TYPE));
		ASSERT_EQ(0, put(MOCK_DIR "/fail", "get_bar_info %s", wrong[i]));
		EXPECT_EQ(-EPROTO, vf_set_type(self->vf, MOCK_TYPE));
		EXPECT_FILE(self->vf, "nvvgpu/state", "bound\n");
		ASSERT_EQ(0, put(MOCK_DIR "/fail", "start %s", wrong[i]));
		ASSERT_CREATED(self->vf);
		EXPECT_EQ(-EPROTO, vdev_open(&self->vdev, self->vf, &self->ioas));
		EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");
		ASSERT_EQ(0, put(MOCK_DIR "/fail", "none"));
		ASSERT_OPEN();
		ASSERT_EQ(0, put(MOCK_DIR "/fail", "bar_read %s", wrong[i]));
		EXPECT_EQ(-EPROTO, vdev_read(&self->vdev, 0, 4096, &val, 4));
		ASSERT_EQ(0, put(MOCK_DIR "/fail", "suspend %s", wrong[i]));
		EXPECT_EQ(-EPROTO, mig_set(&self->vdev,
					   VFIO_DEVICE_STATE_STOP, NULL));
		ASSERT_EQ(0, put(MOCK_DIR "/fail", "reset_done %s", wrong[i]));
		EXPECT_EQ(0, vdev_reset(&self->vdev));
		EXPECT_EQ(i + 1, mock_calls("recover"));
		EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");
		ASSERT_EQ(0, put(MOCK_DIR "/fail", "none"));
		vdev_close(&self->vdev);
		ASSERT_EQ(0, put(MOCK_DIR "/fail", "delete %s", wrong[i]));
		EXPECT_EQ(-EPROTO, vf_set_type(self->vf, 0));
		ASSERT_EQ(0, put(MOCK_DIR "/fail", "none"));
		ASSERT_EQ(0, vf_set_type(self->vf, 0));
	}
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "get_types 512"));
	EXPECT_EQ(-EPROTO, pci_read(self->vf, "nvidia/creatable_vgpu_types",
				    self->buf, sizeof(self->buf)));
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "get_available 512"));
	EXPECT_EQ(-EPROTO, pci_read(self->vf, "nvidia/creatable_vgpu_types",
				    self->buf, sizeof(self->buf)));
}

TEST_F(backend, chunks_that_violate_the_contract_are_not_sent)
{
	static const struct {
		const char *chunk;
		int err;
	} chunks[] = {
		{ "1 16 10 0", 0 },
		{ "1 262144 40000 0", 0 },
		{ "1 0 1000 fffffffffffff000", 0 },
		{ "1 262145 40001 0", -EPROTO },
		{ "1 4294967295 ffffffff 0", -EPROTO },
		{ "1 0 0 0", -EPROTO },
		{ "1 16 f 0", -EPROTO },
		{ "1 16 1000 fffffffffffff001", -EPROTO },
		{ "2 16 10 0", -EPROTO },
		{ "-42 16 10 0", -EPROTO },
		{ "-512 16 10 0", -EPROTO },
		{ "-5 16 10 0", -EIO },
	};
	unsigned int i;
	__u64 bytes;
	ssize_t len;
	int fd;

	ASSERT_EQ(0, mock_add(self->bdf, "migration"));
	ASSERT_CREATED(self->vf);
	ASSERT_OPEN();
	for (i = 0; i < ARRAY_SIZE(chunks); i++) {
		ASSERT_EQ(0, put(MOCK_DIR "/chunk", "%s", chunks[i].chunk));
		ASSERT_EQ(0, mig_set(&self->vdev, VFIO_DEVICE_STATE_STOP_COPY,
				     &fd));
		/* The head of the stream, then the chunk or the error */
		EXPECT_LT(0, read(fd, self->buf, sizeof(self->buf)));
		len = read(fd, self->buf, sizeof(self->buf));
		EXPECT_EQ(chunks[i].err, len < 0 ? -errno : 0)
			TH_LOG("%s", chunks[i].chunk);
		EXPECT_EQ(0, vdev_reset(&self->vdev));
		close(fd);
	}

	ASSERT_EQ(0, put(MOCK_DIR "/state_bytes", "18446744073709551615"));
	ASSERT_EQ(0, mig_data_size(&self->vdev, &bytes));
	/* The largest state, and what the stream adds */
	EXPECT_LE(1ULL << 60, bytes);
	EXPECT_GE(1ULL << 61, bytes);
}

TEST_F(backend, error_of_a_description_is_not_about_the_placement)
{
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "get_type_info 16"));
	EXPECT_EQ(-EIO, vf_set_type(self->vf, MOCK_TYPE));
	EXPECT_LAST_ERROR(self->vf, EIO,
			  "cannot create type 7: the back-end failed");
}

TEST_F(backend, vgpu_at_an_impossible_placement_is_refused)
{
	long long deletes;

	ASSERT_EQ(0, mock_add(self->bdf, "nowhere"));
	deletes = mock_calls("delete");
	EXPECT_EQ(-EPROTO, vf_set_type(self->vf, MOCK_TYPE));
	EXPECT_LAST_ERROR(self->vf, EPROTO,
			  "cannot create type 7: the back-end returned placement -1");
	EXPECT_FILE(self->vf, "nvvgpu/state", "bound\n");
	EXPECT_EQ(deletes + 1, mock_calls("delete"));
}

TEST_F(backend, counters_with_malformed_names_are_refused)
{
	ASSERT_EQ(0, mock_add(self->bdf, "spaced-stats"));
	ASSERT_CREATED(self->vf);
	EXPECT_EQ(-EPROTO, pci_read(self->vf, "nvvgpu/stats", self->buf,
				    sizeof(self->buf)));
	ASSERT_OPEN();
	vdev_close(&self->vdev);
	ASSERT_LT(0, pci_read(self->vf, "nvvgpu/use", self->buf,
			      sizeof(self->buf)));
	EXPECT_EQ(NULL, strstr(self->buf, "two words"));
}

TEST_F(backend, delete_that_failed_at_unbind_is_repeated)
{
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "delete 16"));
	ASSERT_EQ(0, pci_unbind(self->vf));
	ASSERT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
	EXPECT_FILE(self->vf, "nvvgpu/state", "bound\n");
	EXPECT_FILE(self->vf, "nvvgpu/last_error",
		    "the previous vGPU is not deleted yet\n");
	EXPECT_EQ(-EBUSY, vf_set_type(self->vf, 0));
	EXPECT_LAST_ERROR(self->vf, EBUSY, "cannot delete the previous vGPU");
	/* EBUSY would mean that the VF is being reset. */
	EXPECT_EQ(-EIO, vf_set_type(self->vf, MOCK_TYPE));
	EXPECT_LAST_ERROR(self->vf, EIO,
			  "cannot create type 7: cannot delete the previous vGPU");
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "none"));
	EXPECT_EQ(0, vf_set_type(self->vf, 0));
	EXPECT_EQ(4, mock_calls("delete"));
	ASSERT_CREATED(self->vf);
	EXPECT_EQ(2, mock_calls("create"));
	EXPECT_EQ(4, mock_calls("delete"));
}

TEST_F(backend, vgpu_that_a_failed_create_leaves_is_deleted_later)
{
	long long deletes;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	deletes = mock_calls("delete");
	ASSERT_EQ(0, put(MOCK_DIR "/bar", "0 12345 0 0"));
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "delete 110"));
	EXPECT_EQ(-EPROTO, vf_set_type(self->vf, MOCK_TYPE));
	EXPECT_LAST_ERROR(self->vf, EPROTO,
			  "cannot create type 7: its BARs are unknown or malformed");
	EXPECT_FILE(self->vf, "nvvgpu/state", "bound\n");
	ASSERT_EQ(0, put(MOCK_DIR "/bar", "none"));
	EXPECT_EQ(-ETIMEDOUT, vf_set_type(self->vf, MOCK_TYPE));
	EXPECT_LAST_ERROR(self->vf, ETIMEDOUT,
			  "cannot create type 7: cannot delete the previous vGPU");
	EXPECT_EQ(1, mock_calls("create"));
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "none"));
	ASSERT_CREATED(self->vf);
	EXPECT_EQ(deletes + 3, mock_calls("delete"));
}

TEST_F(backend, vgpu_that_a_failed_open_leaves_running_is_in_error)
{
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	ASSERT_EQ(0, put(MOCK_DIR "/bar", "0 12345 0 0"));
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "stop 110"));
	EXPECT_GT(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_FILE(self->vf, "nvvgpu/state", "error\n");
	ASSERT_EQ(0, put(MOCK_DIR "/bar", "none"));
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "none"));
	EXPECT_EQ(-EIO, vdev_open(&self->vdev, self->vf, &self->ioas));
	ASSERT_EQ(0, vf_set_type(self->vf, 0));
	ASSERT_CREATED(self->vf);
	ASSERT_OPEN();
	vdev_close(&self->vdev);
}

/* For instance while the firmware restarts */
TEST_F(backend, type_that_cannot_be_described_for_now_stays)
{
	long long before;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	EXPECT_TRUE(pci_exists(self->vf, "nvvgpu/types/7"));
	before = mock_calls("get_type_info");
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "get_type_info 5"));
	ASSERT_EQ(0, post(self->bdf, 0, "types"));
	ASSERT_EQ(0, uevent_wait(self->uevents, self->vf,
				 NVVGPU_EVENT_NAME_TYPES, WAIT_MS));
	EXPECT_LT(before, mock_calls("get_type_info"));
	EXPECT_TRUE(pci_exists(self->vf, "nvvgpu/types/7"));
}

TEST_F(backend, type_that_could_not_be_described_is_asked_for_again)
{
	long long before;

	ASSERT_EQ(0, put(MOCK_DIR "/fail", "get_type_info 5"));
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	EXPECT_FALSE(pci_exists(self->vf, "nvvgpu/types/7"));
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "none"));
	ASSERT_EQ(0, pci_unbind(self->vf));
	ASSERT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
	EXPECT_TRUE(pci_exists(self->vf, "nvvgpu/types/7"));
	/* The worker that announces it asks for the types, too. */
	ASSERT_EQ(0, uevent_wait(self->uevents, self->vf,
				 NVVGPU_EVENT_NAME_TYPES, WAIT_MS));

	/* A back-end that has described all its types reports changes. */
	before = mock_calls("get_types");
	ASSERT_EQ(0, pci_unbind(self->vf));
	ASSERT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
	EXPECT_EQ(before, mock_calls("get_types"));
}

TEST_F(backend, malformed_types_are_refused)
{
	ASSERT_EQ(0, mock_add(self->bdf, "nameless"));
	EXPECT_EQ(-EPROTO, vf_set_type(self->vf, MOCK_TYPE));
	EXPECT_EQ(-EPROTO, pci_read(self->vf, "nvidia/creatable_vgpu_types",
				    self->buf, sizeof(self->buf)));
	EXPECT_FALSE(pci_exists(self->vf, "nvvgpu/types/7"));
	EXPECT_FILE(self->vf, "nvvgpu/state", "bound\n");
}

TEST_F(backend, failed_stop_is_an_error_until_deleted)
{
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	ASSERT_OPEN();
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "stop 5"));
	vdev_close(&self->vdev);
	EXPECT_FILE(self->vf, "nvvgpu/state", "error\n");
	EXPECT_EQ(-EIO, vdev_open(&self->vdev, self->vf, &self->ioas));
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "none"));
	EXPECT_EQ(0, vf_set_type(self->vf, 0));
	ASSERT_CREATED(self->vf);
}

TEST_F(backend, failed_delete_can_be_retried)
{
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "delete 16"));
	EXPECT_EQ(-EBUSY, vf_set_type(self->vf, 0));
	EXPECT_FILE(self->vf, "nvvgpu/state", "error\n");
	EXPECT_EQ(-EBUSY, vf_set_type(self->vf, 0));
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "none"));
	EXPECT_EQ(0, vf_set_type(self->vf, 0));
	EXPECT_FILE(self->vf, "nvvgpu/state", "bound\n");
}

TEST_F(backend, reset_that_fails_recovers_the_vgpu)
{
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	ASSERT_OPEN();
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "reset_done 5"));
	EXPECT_EQ(0, vdev_reset(&self->vdev));
	EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");
	EXPECT_EQ(1, mock_calls("create"));
	EXPECT_EQ(0, mock_calls("delete"));
	EXPECT_EQ(1, mock_calls("recover"));
	EXPECT_EQ(2, mock_calls("start"));
}

/* The user must not run on with part of a state. */
TEST_F(backend, loaded_state_that_cannot_be_discarded_is_an_error)
{
	int fd = -1;

	ASSERT_EQ(0, mock_add(self->bdf, "migration"));
	ASSERT_CREATED(self->vf);
	ASSERT_OPEN();
	ASSERT_EQ(0, mig_set(&self->vdev, VFIO_DEVICE_STATE_RESUMING, &fd));
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "load_end 5"));
	EXPECT_EQ(-ENODATA, mig_set(&self->vdev, VFIO_DEVICE_STATE_STOP, NULL));
	close(fd);
	EXPECT_FILE(self->vf, "nvvgpu/state", "error\n");
	EXPECT_LAST_ERROR(self->vf, EIO,
			  "cannot discard the state that was loaded");
	EXPECT_LT(0, irq_wait(self->err, WAIT_MS));

	/* The reset that ends a session recovers the vGPU. */
	EXPECT_EQ(0, vdev_reset(&self->vdev));
	EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");
	ASSERT_EQ(0, mig_set(&self->vdev, VFIO_DEVICE_STATE_RESUMING, &fd));
	EXPECT_EQ(0, vdev_reset(&self->vdev));
	close(fd);
	EXPECT_EQ(2, mock_calls("recover"));
	EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");

	/* The close does, too, but leaves the recovery to somebody else. */
	ASSERT_EQ(0, mig_set(&self->vdev, VFIO_DEVICE_STATE_RESUMING, &fd));
	vdev_close(&self->vdev);
	close(fd);
	EXPECT_FILE(self->vf, "nvvgpu/state", "error\n");
	EXPECT_EQ(2, mock_calls("recover"));
}

/* Even a back-end that gives away this memory must not expose it to the user. */
TEST_F(backend, crashed_vgpu_is_inaccessible_until_it_is_recovered)
{
	static const struct {
		const char *table;
		int err;
	} backends[] = {
		{ "sound", EIO },
		{ "minimal", EOPNOTSUPP },
	};
	unsigned int i;
	__u32 val = 0;

	for (i = 0; i < ARRAY_SIZE(backends); i++) {
		ASSERT_EQ(0, mock_add(self->bdf, backends[i].table));
		ASSERT_CREATED(self->vf);
		ASSERT_OPEN();
		ASSERT_EQ(0, vdev_map_bar(&self->vdev, 0));
		EXPECT_EQ(0, touch(self->vdev.bar[0]));
		EXPECT_EQ(4, vdev_read(&self->vdev, 0, 0, &val, 4));

		ASSERT_EQ(0, post(self->bdf, 0, "crashed"));
		EXPECT_EQ(1, irq_wait(self->err, WAIT_MS));
		EXPECT_EQ(SIGBUS, touch(self->vdev.bar[0]));
		EXPECT_EQ(-EIO, vdev_read(&self->vdev, 0, 0, &val, 4));
		if (!i) {
			EXPECT_EQ(0, vdev_reset(&self->vdev));
			EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");
			EXPECT_EQ(0, touch(self->vdev.bar[0]));
			EXPECT_EQ(4, vdev_read(&self->vdev, 0, 0, &val, 4));
			ASSERT_EQ(0, post(self->bdf, 0, "crashed"));
			EXPECT_EQ(1, irq_wait(self->err, WAIT_MS));
		}

		ASSERT_EQ(0, put(MOCK_DIR "/fail", "recover 5"));
		EXPECT_EQ(-backends[i].err, vdev_reset(&self->vdev));
		EXPECT_FILE(self->vf, "nvvgpu/state", "error\n");
		EXPECT_LAST_ERROR(self->vf, backends[i].err,
				  "cannot recover the vGPU by a reset");
		EXPECT_EQ(1, irq_wait(self->err, WAIT_MS));
		EXPECT_EQ(SIGBUS, touch(self->vdev.bar[0]));
		EXPECT_EQ(-EIO, vdev_read(&self->vdev, 0, 0, &val, 4));
		EXPECT_EQ(-EIO, vdev_write(&self->vdev, 0, 0, &val, 4));

		/* The memory belongs to the vGPU until the device is closed. */
		EXPECT_EQ(-EPERM, vf_set_type(self->vf, 0));
		EXPECT_EQ(i, mock_calls("delete"));
		vdev_close(&self->vdev);
		EXPECT_FILE(self->vf, "nvvgpu/state", "error\n");
		ASSERT_EQ(0, put(MOCK_DIR "/fail", "none"));
		ASSERT_EQ(0, mock_del(self->bdf));
	}
}

/* The vGPU's recovery relies on the reset of its VF. */
TEST_F(backend, failed_reset_does_not_recover_a_crashed_vgpu)
{
	char methods[64];

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	ASSERT_OPEN();
	ASSERT_LT(0, pci_read(self->vf, "reset_method", methods,
			      sizeof(methods)));
	ASSERT_EQ(0, post(self->bdf, 0, "crashed"));
	EXPECT_STREQ("error", vf_wait_state(self->vf, "error"));

	ASSERT_EQ(0, pci_write(self->vf, "reset_method", "\n"));
	EXPECT_GT(0, vdev_reset(&self->vdev));
	EXPECT_FILE(self->vf, "nvvgpu/state", "error\n");
	vdev_flr(&self->vdev);
	EXPECT_FILE(self->vf, "nvvgpu/state", "error\n");
	EXPECT_EQ(0, mock_calls("recover"));

	ASSERT_EQ(0, pci_write(self->vf, "reset_method", methods));
	EXPECT_EQ(0, vdev_reset(&self->vdev));
	EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");
	EXPECT_EQ(1, mock_calls("recover"));
}

/*
 * Reset a VF in each of three ways.  The mock detects by the bus mastering whether
 * the hardware was reset before.
 */
static int reset_three_times(struct vdev *vdev)
{
	return vdev_enable(vdev, true) ?: vdev_reset(vdev) ?:
	       vdev_enable(vdev, true) ?: vdev_flr(vdev) ?:
	       vdev_enable(vdev, true) ?: pci_write(vdev->bdf, "reset", "1");
}

TEST_F(backend, every_reset_is_prepared_before_and_done_after)
{
	long long resets;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	ASSERT_OPEN();
	ASSERT_EQ(0, vdev_enable(&self->vdev, true));
	ASSERT_EQ(0, put(MOCK_DIR "/master", "0"));
	resets = mock_calls("reset_done");

	EXPECT_EQ(0, reset_three_times(&self->vdev));
	EXPECT_EQ(resets + 3, mock_calls("reset_prepare"));
	EXPECT_EQ(resets + 3, mock_calls("reset_done"));
	ASSERT_EQ(0, put(MOCK_DIR "/master", "4294967295"));

	/* This includes the resets at close and at open. */
	vdev_close(&self->vdev);
	EXPECT_EQ(resets + 4, mock_calls("reset_prepare"));
	EXPECT_EQ(resets + 4, mock_calls("reset_done"));
	ASSERT_OPEN();
	EXPECT_EQ(resets + 5, mock_calls("reset_prepare"));
	EXPECT_EQ(resets + 5, mock_calls("reset_done"));
}

/* VFIO cannot reset a VF at close while an unbind holds device_lock. */
TEST_F(backend, vf_that_is_unbound_while_open_is_reset)
{
	long long resets;
	pid_t pid;
	int req;

	req = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_LE(0, req);
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	ASSERT_OPEN();
	ASSERT_EQ(0, vdev_set_irq(&self->vdev, VFIO_PCI_REQ_IRQ_INDEX, req));
	resets = mock_calls("reset_done");
	pid = pci_unbind_begin(self->vf);
	ASSERT_LE(0, pid);
	EXPECT_LE(1, irq_wait(req, WAIT_MS));
	vdev_close(&self->vdev);
	EXPECT_EQ(0, child_status(pid));

	/* The one at close, without a reset, and the one at unbind */
	EXPECT_EQ(resets + 2, mock_calls("reset_prepare"));
	EXPECT_EQ(resets + 2, mock_calls("reset_done"));
	EXPECT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
	close(req);
}

#define NR_READERS	2

/**
 * struct readers - processes that read a file of a VF, until killed
 * @pid: pid of each process
 * @reads: reads of each process, in memory shared with it
 */
struct readers {
	pid_t pid[NR_READERS];
	atomic_uint *reads;
};

/* The file stays open, to spend the time in the driver. */
static void reader(const char *vf, const struct vf_file *file,
		   atomic_uint *reads)
{
	char buf[4096];
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if ((file->mode & 0004) && child_drop_privileges())
		_exit(1);
	fd = poll_open(vf, file->name);
	/* The mock cannot migrate, and places vGPUs where it likes. */
	while (pread(fd, buf, sizeof(buf), 0) >= 0 || errno == ENXIO)
		++*reads;
	_exit(1);
}

/* Let processes read a file, without privileges if these are not needed. */
static int readers_begin(struct readers *readers, const char *vf,
			 const struct vf_file *file)
{
	unsigned int i;

	for (i = 0; i < NR_READERS; i++) {
		readers->pid[i] = child_begin();
		if (!readers->pid[i])
			reader(vf, file, &readers->reads[i]);
		if (readers->pid[i] < 0)
			return readers->pid[i];
	}

	return 0;
}

/* Wait until each has read again.  Return false if one has ended. */
static bool readers_go_on(struct readers *readers)
{
	unsigned int i, before;

	for (i = 0; i < NR_READERS; i++) {
		before = readers->reads[i];
		while (readers->reads[i] == before) {
			if (waitpid(readers->pid[i], NULL, WNOHANG)) {
				readers->pid[i] = 0;
				return false;
			}
		}
	}

	return true;
}

static void readers_end(struct readers *readers)
{
	unsigned int i;

	for (i = 0; i < NR_READERS; i++) {
		if (!readers->pid[i])
			continue;
		kill(readers->pid[i], SIGKILL);
		waitpid(readers->pid[i], NULL, 0);
	}
}

TEST_F(backend, every_reset_is_prepared_before_it_while_files_are_read)
{
	struct readers readers = {};
	long long resets;
	unsigned int i;

	readers.reads = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, readers.reads);
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	ASSERT_OPEN();
	ASSERT_EQ(0, vdev_enable(&self->vdev, true));
	ASSERT_EQ(0, put(MOCK_DIR "/master", "0"));
	resets = mock_calls("reset_done");

	for (i = 0; i < NR_VF_FILES; i++) {
		if (!(vf_files[i].mode & 0400))
			continue;
		ASSERT_EQ(0, readers_begin(&readers, self->vf, &vf_files[i]));
		EXPECT_TRUE(readers_go_on(&readers));
		EXPECT_EQ(0, reset_three_times(&self->vdev));
		EXPECT_TRUE(readers_go_on(&readers));
		readers_end(&readers);
		resets += 3;
		EXPECT_EQ(resets, mock_calls("reset_prepare"))
			TH_LOG("%s", vf_files[i].name);
		EXPECT_EQ(resets, mock_calls("reset_done"));
	}
	EXPECT_EQ(0, mock_calls("violations"));
	ASSERT_EQ(0, put(MOCK_DIR "/master", "4294967295"));
}

/* Run an operation of the first VF in a child, and let the mock block it. */
static pid_t block_in(const char *op, struct vdev *vdev)
{
	long long before = mock_calls(op);
	pid_t pid;

	if (put(MOCK_DIR "/block", "%s", op))
		return -1;
	pid = strcmp(op, "get_stats") ? fork() : child_begin();
	if (!pid) {
		char buf[64];

		if (!strcmp(op, "get_stats"))
			_exit(pci_read(vdev->bdf, "nvvgpu/stats", buf,
				       sizeof(buf)) < 0);
		_exit(vdev_read(vdev, 0, 4096, buf, 4) != 4);
	}
	while (mock_calls(op) == before)
		usleep(10000);

	return pid;
}

TEST_F(backend, reader_of_sysfs_delays_nobody)
{
	unsigned int i;
	__u32 val = 0;
	pid_t pid;
	int ret;

	ASSERT_OPEN_TRAPPED();
	pid = block_in("get_stats", &self->vdev);
	ASSERT_LT(0, pid);
	EXPECT_EQ(0, vdev_reset(&self->vdev));
	EXPECT_EQ(4, vdev_read(&self->vdev, 0, 4096, &val, 4));
	vdev_close(&self->vdev);
	ASSERT_OPEN();
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	ASSERT_EQ(0, put(MOCK_DIR "/block", "none"));
	EXPECT_EQ(0, child_status(pid));

	/* An operation does not delay a reader either. */
	pid = block_in("bar_read", &self->vdev);
	ASSERT_LT(0, pid);
	for (i = 0; i < NR_VF_FILES; i++) {
		if (!(vf_files[i].mode & 0400))
			continue;
		ret = pci_read(self->vf, vf_files[i].name, self->buf,
			       sizeof(self->buf));
		/* The mock cannot migrate. */
		EXPECT_EQ(strcmp(vf_files[i].name, "nvvgpu/state_versions") ?
			  0 : -ENXIO, ret < 0 ? ret : 0)
			TH_LOG("%s: %d", vf_files[i].name, ret);
	}
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	ASSERT_EQ(0, put(MOCK_DIR "/block", "none"));
	EXPECT_EQ(0, child_status(pid));
}

TEST_F(backend, readers_of_stats_are_limited)
{
	__u64 begin = now_ms();
	int i;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	for (i = 0; i < 500; i++)
		ASSERT_LT(0, pci_read(self->vf, "nvvgpu/stats", self->buf, 64));
	EXPECT_GE(10 * ((now_ms() - begin) / 1000 + 2), mock_calls("get_stats"));

	/* Also while they fail, once the limit lets the first failure through */
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "get_stats 5"));
	while (pci_read(self->vf, "nvvgpu/stats", self->buf, 64) > 0)
		usleep(10000);
	for (i = 0; i < 500; i++)
		pci_read(self->vf, "nvvgpu/stats", self->buf, 64);
	EXPECT_GE(10 * ((now_ms() - begin) / 1000 + 3), mock_calls("get_stats"));
}

TEST_F(backend, readers_of_types_are_limited)
{
	static const struct {
		const char *file;
		const char *op;
	} readers[] = {
		{ "nvidia/creatable_vgpu_types", "get_types" },
		{ "nvvgpu/types/7/available_instances", "get_available" },
		{ "nvvgpu/types/7/reason", "get_available" },
	};
	long long calls;
	unsigned int i;
	__u64 begin;
	int n;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	for (i = 0; i < ARRAY_SIZE(readers); i++) {
		begin = now_ms();
		calls = mock_calls(readers[i].op);
		for (n = 0; n < 40; n++)
			ASSERT_LE(0, pci_read(self->vf, readers[i].file,
					      self->buf, sizeof(self->buf)));
		calls = mock_calls(readers[i].op) - calls;
		EXPECT_LE(40, calls);
		EXPECT_GE(10 * ((now_ms() - begin) / 1000 + 2), calls)
			TH_LOG("%s", readers[i].file);
	}
}

/* The limit lets ten of them call the back-end each second. */
#define NR_WAITING 50

TEST_F(backend, waiting_readers_do_not_delay_an_unbind)
{
	static const char file[] = "nvidia/creatable_vgpu_types";
	pid_t pids[NR_WAITING], unbind;
	long long before, calls;
	unsigned int i;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	before = mock_calls("get_types");
	for (i = 0; i < NR_WAITING; i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (pids[i])
			continue;
		while (pci_read(self->vf, file, self->buf,
				sizeof(self->buf)) >= 0)
			;
		_exit(0);
	}
	/* By the second ten, all of them have opened the file. */
	while (mock_calls("get_types") < before + 11)
		usleep(10000);
	unbind = fork();
	ASSERT_LE(0, unbind);
	if (!unbind)
		_exit(-pci_unbind(self->vf));

	/* It can no longer be opened, and its removal waits for those who read it. */
	while (pci_exists(self->vf, file))
		usleep(1000);
	calls = mock_calls("get_types");
	EXPECT_EQ(0, child_status(unbind));
	/* Each of them would have its turn if the removal waited for that. */
	EXPECT_GT(NR_WAITING / 2, mock_calls("get_types") - calls);
	for (i = 0; i < NR_WAITING; i++)
		EXPECT_EQ(pids[i], waitpid(pids[i], NULL, 0));
}

TEST_F(backend, types_that_have_not_changed_keep_their_directories)
{
	struct stat before, after;
	char path[128];

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/nvvgpu/types/7/",
		 self->vf);
	ASSERT_EQ(0, stat(path, &before));
	ASSERT_EQ(0, post(self->bdf, 0, "types"));
	ASSERT_EQ(0, uevent_wait(self->uevents, self->vf,
				 NVVGPU_EVENT_NAME_TYPES, WAIT_MS));
	ASSERT_EQ(0, stat(path, &after));
	EXPECT_EQ(before.st_ino, after.st_ino);
}

/*
 * Bind a VF in a child, which the mock blocks in its first get_types.  A bind
 * only asks for types until all are known.
 */
static pid_t bind_blocked(const char *vf)
{
	long long before = mock_calls("get_types");
	pid_t pid;

	if (put(MOCK_DIR "/types", "1") || put(MOCK_DIR "/block", "get_types 1"))
		return -1;
	pid = fork();
	if (!pid)
		_exit(pci_bind(vf, FRONT_END_DRIVER) != 0);
	while (mock_calls("get_types") == before) {
		if (pid < 0 || waitpid(pid, NULL, WNOHANG))
			return -1;
		usleep(10000);
	}

	return pid;
}

/* Bind a VF, use its types, and unbind it, in a child that may be stuck. */
static bool bind_ends_soon(const char *vf)
{
	pid_t pid = fork();

	if (!pid)
		_exit(pci_bind(vf, FRONT_END_DRIVER) ||
		      vf_set_type(vf, MOCK_TYPE) ||
		      !pci_exists(vf, "nvvgpu/types/7") ||
		      pci_unbind(vf));

	return pid > 0 && child_ends_soon(pid);
}

TEST_F(backend, slow_answer_about_the_types_delays_no_other_vf)
{
	pid_t pid;

	ASSERT_EQ(0, put(MOCK_DIR "/types", "0"));
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_EQ(0, pci_unbind(self->vf));
	ASSERT_EQ(0, pci_unbind(self->vf2));
	pid = bind_blocked(self->vf);
	ASSERT_LT(0, pid);
	EXPECT_TRUE(bind_ends_soon(self->vf2));

	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	ASSERT_EQ(0, put(MOCK_DIR "/block", "none"));
	EXPECT_EQ(0, child_status(pid));
	EXPECT_TRUE(pci_exists(self->vf, "nvvgpu/types/7"));
}

TEST_F(backend, late_answer_about_the_types_replaces_no_newer_one)
{
	pid_t pid;

	ASSERT_EQ(0, put(MOCK_DIR "/types", "0"));
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_EQ(0, pci_unbind(self->vf));
	ASSERT_EQ(0, pci_unbind(self->vf2));
	pid = bind_blocked(self->vf);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, put(MOCK_DIR "/types", "2"));
	ASSERT_EQ(0, pci_bind(self->vf2, FRONT_END_DRIVER));
	EXPECT_TRUE(pci_exists(self->vf2, "nvvgpu/types/8"));

	ASSERT_EQ(0, put(MOCK_DIR "/block", "none"));
	EXPECT_EQ(0, child_status(pid));
	EXPECT_TRUE(pci_exists(self->vf2, "nvvgpu/types/8"));
}

/* A directory that is removed waits for its readers; a bind does not. */
TEST_F(backend, reader_of_a_type_delays_no_bind)
{
	long long before;
	pid_t pid;

	ASSERT_EQ(0, put(MOCK_DIR "/types", "2"));
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_EQ(0, pci_unbind(self->vf2));
	before = mock_calls("get_available");
	ASSERT_EQ(0, put(MOCK_DIR "/block", "get_available"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* Fails at the end of the file, which is gone then. */
		_exit(pci_read(self->vf, "nvvgpu/types/8/available_instances",
			       self->buf, sizeof(self->buf)) != -ENODEV);
	}
	while (mock_calls("get_available") == before)
		usleep(10000);

	/* The file disappears before its reader is waited for. */
	ASSERT_EQ(0, put(MOCK_DIR "/types", "1"));
	ASSERT_EQ(0, post(self->bdf, 0, "types"));
	while (pci_exists(self->vf, "nvvgpu/types/8/available_instances"))
		usleep(10000);
	EXPECT_TRUE(bind_ends_soon(self->vf2));

	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	ASSERT_EQ(0, put(MOCK_DIR "/block", "none"));
	EXPECT_EQ(0, child_status(pid));
}

/* The worker that announces a change asks for the types. */
TEST_F(backend, departure_waits_for_an_answer_about_the_types)
{
	long long before;
	unsigned int i;
	pid_t pid;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	before = mock_calls("get_types");
	ASSERT_EQ(0, put(MOCK_DIR "/block", "get_types"));
	ASSERT_EQ(0, post(self->bdf, 0, "types"));
	while (mock_calls("get_types") == before)
		usleep(10000);

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(mock_del(self->bdf) != 0);
	for (i = 0; i < self->pf.nr_vfs; i++)
		while (pci_exists(self->pf.vf[i], "nvvgpu"))
			usleep(10000);
	usleep(200000);
	EXPECT_EQ(0, waitpid(pid, NULL, WNOHANG));
	ASSERT_EQ(0, put(MOCK_DIR "/block", "none"));
	EXPECT_EQ(0, child_status(pid));
	EXPECT_FALSE(pci_exists(self->bdf, "nvvgpu"));
}

/* The mock calls it with interrupts disabled. */
TEST_F(backend, change_of_the_types_is_announced_on_every_vf)
{
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	ASSERT_EQ(0, post(self->bdf, 0, "types"));
	EXPECT_EQ(0, uevent_wait(self->uevents, self->vf,
				 NVVGPU_EVENT_NAME_TYPES, WAIT_MS));
	ASSERT_EQ(0, post(self->bdf, 0, "types"));
	EXPECT_EQ(0, uevent_wait(self->uevents, self->vf2,
				 NVVGPU_EVENT_NAME_TYPES, WAIT_MS));
}

/* A back-end that reports a change whenever it is asked for its types */
TEST_F(backend, types_that_never_settle_are_announced_at_a_limited_rate)
{
	__u64 begin = now_ms();
	int i;

	ASSERT_EQ(0, mock_add(self->bdf, "restless"));
	ASSERT_EQ(0, post(self->bdf, 0, "types"));
	for (i = 0; i < 20; i++)
		ASSERT_EQ(0, uevent_wait(self->uevents, self->vf,
					 NVVGPU_EVENT_NAME_TYPES, WAIT_MS));
	EXPECT_LE(20 * 90, now_ms() - begin);
}

/* A use whose end a reader has delayed is settled by the next reader. */
TEST_F(backend, totals_of_a_use_are_not_lost_to_a_reader)
{
	__u64 number = 0, now = 1;
	pid_t pid;

	ASSERT_OPEN_TRAPPED();
	ASSERT_LT(0, pci_read(self->vf, "nvvgpu/use", self->buf,
			      sizeof(self->buf)));
	ASSERT_TRUE(sscanf(self->buf, "use %llu", &number) == 1);
	EXPECT_NE(0, number);
	EXPECT_NE(NULL, strstr(self->buf, "\nopen 1\n"));
	pid = block_in("get_stats", &self->vdev);
	ASSERT_LT(0, pid);
	vdev_close(&self->vdev);
	ASSERT_EQ(0, put(MOCK_DIR "/block", "none"));
	EXPECT_EQ(0, child_status(pid));
	ASSERT_LT(0, pci_read(self->vf, "nvvgpu/use", self->buf,
			      sizeof(self->buf)));
	ASSERT_TRUE(sscanf(self->buf, "use %llu", &now) == 1);
	EXPECT_EQ(number, now);
	EXPECT_NE(NULL, strstr(self->buf, "\nopen 0\n"));
	EXPECT_NE(NULL, strstr(self->buf, "\nstarts 1\n"));
}

/* The counters of the mock begin again at 0 when the vGPU is recovered. */
TEST_F(backend, totals_do_not_wrap_after_a_recovery)
{
	pid_t pid;

	ASSERT_OPEN_TRAPPED();
	vdev_close(&self->vdev);
	ASSERT_OPEN();
	pid = block_in("get_stats", &self->vdev);
	ASSERT_LT(0, pid);
	vdev_close(&self->vdev);
	ASSERT_EQ(0, post(self->bdf, 0, "crashed"));
	EXPECT_STREQ("error", vf_wait_state(self->vf, "error"));
	ASSERT_EQ(0, pci_write(self->vf, "reset", "1"));
	EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");
	ASSERT_EQ(0, put(MOCK_DIR "/block", "none"));
	EXPECT_EQ(0, child_status(pid));

	ASSERT_LT(0, pci_read(self->vf, "nvvgpu/use", self->buf,
			      sizeof(self->buf)));
	EXPECT_NE(NULL, strstr(self->buf, "\nopen 0\n"));
	EXPECT_EQ(NULL, strstr(self->buf, "\nstarts "))
		TH_LOG("%s", self->buf);

	/* The next use is counted again. */
	ASSERT_OPEN();
	vdev_close(&self->vdev);
	ASSERT_LT(0, pci_read(self->vf, "nvvgpu/use", self->buf,
			      sizeof(self->buf)));
	EXPECT_NE(NULL, strstr(self->buf, "\nopen 0\n"));
	ASSERT_OPEN();
	vdev_close(&self->vdev);
	ASSERT_LT(0, pci_read(self->vf, "nvvgpu/use", self->buf,
			      sizeof(self->buf)));
	EXPECT_NE(NULL, strstr(self->buf, "\nstarts 1\n"))
		TH_LOG("%s", self->buf);
}

TEST_F(backend, totals_do_not_wrap_after_a_failed_recovery)
{
	ASSERT_OPEN_TRAPPED();
	vdev_close(&self->vdev);
	ASSERT_OPEN();
	vdev_close(&self->vdev);
	ASSERT_EQ(0, post(self->bdf, 0, "crashed"));
	EXPECT_STREQ("error", vf_wait_state(self->vf, "error"));
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "recover 5"));
	ASSERT_EQ(0, pci_write(self->vf, "reset", "1"));
	EXPECT_FILE(self->vf, "nvvgpu/state", "error\n");
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "none"));
	ASSERT_EQ(0, pci_write(self->vf, "reset", "1"));
	ASSERT_OPEN();
	vdev_close(&self->vdev);
	ASSERT_LT(0, pci_read(self->vf, "nvvgpu/use", self->buf,
			      sizeof(self->buf)));
	EXPECT_NE(NULL, strstr(self->buf, "\nstarts 1\n"))
		TH_LOG("%s", self->buf);
}

/* One operation in the life of a vGPU, called by a thread */
struct step {
	const char *op;
	struct vdev *vdev;
	struct ioas *ioas;
	const char *vf;
	int ret;
};

static void *step_run(void *arg)
{
	struct step *step = arg;
	__u32 val;

	step->ret = 0;
	if (!strcmp(step->op, "create"))
		step->ret = vf_set_type(step->vf, MOCK_TYPE);
	else if (!strcmp(step->op, "start"))
		step->ret = vdev_open(step->vdev, step->vf, step->ioas);
	else if (!strcmp(step->op, "bar_read"))
		step->ret = vdev_read(step->vdev, 0, 4096, &val, 4) != 4;
	else if (!strncmp(step->op, "reset_", 6))
		step->ret = vdev_reset(step->vdev);
	else if (!strcmp(step->op, "stop"))
		vdev_close(step->vdev);
	else if (!strcmp(step->op, "delete"))
		step->ret = vf_set_type(step->vf, 0);

	return NULL;
}

/* Use a VF, and bind and unbind another one. */
static int others_work(const char *vf, const char *bound, struct ioas *ioas)
{
	struct vdev other;
	int ret;

	ret = vf_set_type(vf, MOCK_TYPE) ?: vdev_open(&other, vf, ioas);
	if (ret)
		return ret;
	ret = pci_unbind(bound) ?: vdev_reset(&other) ?:
	      pci_bind(bound, FRONT_END_DRIVER);
	vdev_close(&other);

	return ret ?: vf_set_type(vf, 0);
}

TEST_F(backend, slow_vf_delays_no_other)
{
	static const char * const ops[] = {
		"create", "start", "bar_read", "reset_prepare", "reset_done",
		"stop", "delete",
	};
	static struct step step;
	long long before;
	pthread_t thread;
	unsigned int i;
	pid_t pid;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_EQ(0, put(MOCK_DIR "/bar", "0 16384 4096 4096"));
	step.vdev = &self->vdev;
	step.ioas = &self->ioas;
	step.vf = self->vf;
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		step.op = ops[i];
		before = mock_calls(ops[i]);
		ASSERT_EQ(0, put(MOCK_DIR "/block", "%s 1", ops[i]));
		ASSERT_EQ(0, pthread_create(&thread, NULL, step_run, &step));
		while (mock_calls(ops[i]) == before) {
			ASSERT_EQ(EBUSY, pthread_tryjoin_np(thread, NULL))
				TH_LOG("%s: %d", ops[i], step.ret);
			usleep(10000);
		}

		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			struct ioas ioas;

			_exit(ioas_open(&ioas, IOMMU_IOMMUFD) ||
			      others_work(self->vf2, self->pf.vf[2], &ioas));
		}
		ASSERT_TRUE(child_ends_soon(pid))
			TH_LOG("during %s", ops[i]);
		ASSERT_EQ(EBUSY, pthread_tryjoin_np(thread, NULL))
			TH_LOG("during %s", ops[i]);
		ASSERT_EQ(0, put(MOCK_DIR "/block", "none"));
		ASSERT_EQ(0, pthread_join(thread, NULL));
		EXPECT_EQ(0, step.ret) TH_LOG("%s", ops[i]);
	}
}

TEST_F(backend, messages_of_a_vf_hide_none_of_another)
{
	int i, kmsg = kmsg_open();

	ASSERT_LE(0, kmsg);
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	ASSERT_CREATED(self->vf2);

	/* Failures: fill the limit of the first VF. */
	i = 0;
	do {
		ASSERT_GT(1000, i++);
		ASSERT_EQ(-EPERM, vf_set_type(self->vf, 999));
	} while (vf_logged(kmsg, self->vf, "cannot"));
	ASSERT_EQ(-EPERM, vf_set_type(self->vf2, 999));
	EXPECT_TRUE(vf_logged(kmsg, self->vf2, "cannot"));

	/* Answers that violate the contract */
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "delete 512"));
	i = 0;
	do {
		ASSERT_GT(1000, i++);
		ASSERT_EQ(-EPROTO, vf_set_type(self->vf, 0));
	} while (vf_logged(kmsg, self->vf, "back-end mock: delete returned -512"));
	ASSERT_EQ(-EPROTO, vf_set_type(self->vf2, 0));
	EXPECT_TRUE(vf_logged(kmsg, self->vf2,
			      "back-end mock: delete returned -512"));
	close(kmsg);
}

TEST_F(backend, failures_of_a_vf_do_not_hide_its_crash)
{
	__u64 end = now_ms() + WAIT_MS;
	int i, kmsg = kmsg_open();
	bool found = false;

	ASSERT_LE(0, kmsg);
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	for (i = 0; i < 20; i++)
		ASSERT_EQ(-ENODEV, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_FALSE(vf_logged(kmsg, self->vf, "cannot"));
	EXPECT_LAST_ERROR(self->vf, ENODEV, "cannot open: no vGPU type is set");

	ASSERT_CREATED(self->vf);
	i = 0;
	do {
		ASSERT_GT(1000, i++);
		ASSERT_EQ(-EPERM, vf_set_type(self->vf, 999));
	} while (vf_logged(kmsg, self->vf, "cannot"));
	ASSERT_EQ(0, post(self->bdf, 0, "crashed"));
	while (!found && now_ms() < end) {
		found = vf_logged(kmsg, self->vf, "the vGPU has crashed");
		usleep(10000);
	}
	EXPECT_TRUE(found);
	close(kmsg);
}

TEST_F(backend, crash_is_reported_and_a_reset_recovers)
{
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	ASSERT_OPEN();
	ASSERT_EQ(0, post(self->bdf, 0, "crashed"));
	EXPECT_EQ(1, irq_wait(self->err, WAIT_MS));
	EXPECT_EQ(0, uevent_wait(self->uevents, self->vf,
				 NVVGPU_EVENT_NAME_CRASHED, WAIT_MS));
	EXPECT_FILE(self->vf, "nvvgpu/state", "error\n");
	EXPECT_FILE(self->vf2, "nvvgpu/state", "bound\n");
	EXPECT_LT(1, pci_read(self->vf, "nvvgpu/last_error", self->buf,
			      sizeof(self->buf)));
	EXPECT_EQ(0, vdev_reset(&self->vdev));
	EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");
	EXPECT_FILE(self->vf, "nvvgpu/last_error", "\n");
	EXPECT_EQ(1, count(self->vf, NVVGPU_EVENT_NAME_CRASHED));
}

TEST_F(backend, recovery_drops_the_pending_crash_and_no_other_event)
{
	long long queries;
	pid_t resetter;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	ASSERT_OPEN();
	ASSERT_EQ(0, post(self->bdf, 0, "crashed"));
	EXPECT_STREQ("error", vf_wait_state(self->vf, "error"));

	/* The counters are read before the vGPU is recovered. */
	queries = mock_calls("get_stats");
	ASSERT_EQ(0, put(MOCK_DIR "/block", "get_stats"));
	resetter = fork();
	ASSERT_LE(0, resetter);
	if (!resetter)
		_exit(vdev_reset(&self->vdev) != 0);
	while (mock_calls("get_stats") == queries)
		usleep(10000);
	ASSERT_EQ(0, put(MOCK_DIR "/placement", "11"));
	ASSERT_EQ(0, post(self->bdf, 0, "crashed placement"));
	EXPECT_EQ(0, mock_calls("recover"));
	ASSERT_EQ(0, put(MOCK_DIR "/block", "none"));
	EXPECT_EQ(0, child_status(resetter));
	EXPECT_EQ(1, mock_calls("recover"));

	/* The crash, which is first in the queue, would put it in error. */
	EXPECT_EQ(0, uevent_wait(self->uevents, self->vf,
				 NVVGPU_EVENT_NAME_PLACEMENT, WAIT_MS));
	EXPECT_FILE(self->vf, "nvidia/placement_id", "11\n");
	EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");
}

TEST_F(backend, reset_of_a_busy_vgpu_waits_for_the_operation)
{
	pid_t pid, resetter;
	long long resets;
	int status;

	ASSERT_OPEN_TRAPPED();
	pid = block_in("bar_read", &self->vdev);
	ASSERT_LT(0, pid);
	resets = mock_calls("reset_prepare");
	resetter = fork();
	ASSERT_LE(0, resetter);
	if (!resetter)
		_exit(vdev_reset(&self->vdev) ||
		      mock_calls("reset_done") != resets + 1);
	usleep(300000);
	EXPECT_EQ(0, waitpid(resetter, &status, WNOHANG));
	EXPECT_EQ(resets, mock_calls("reset_prepare"));
	ASSERT_EQ(0, put(MOCK_DIR "/block", "none"));
	EXPECT_EQ(0, child_status(pid));
	EXPECT_EQ(0, child_status(resetter));
	EXPECT_EQ(resets + 1, mock_calls("reset_prepare"));
	EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");
}

TEST_F(backend, absurd_page_size_of_the_dma_log_is_refused)
{
	static const struct {
		__u64 size;
		int err;
	} pages[] = {
		{ 2048, -EPROTO },
		{ 3 * PAGE, -EPROTO },
		{ 1ULL << 31, -EPROTO },
		{ 1ULL << 49, -EPROTO },
		{ 1ULL << 30, 0 },
		{ PAGE, 0 },
	};
	struct vfio_device_feature_dma_logging_range range = { 0, PAGE };
	int kmsg = kmsg_open();
	__u64 page_size;
	unsigned int i;
	char text[100];

	ASSERT_LE(0, kmsg);
	ASSERT_EQ(0, mock_add(self->bdf, "dma-log"));
	ASSERT_CREATED(self->vf);
	ASSERT_OPEN();
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		ASSERT_EQ(0, put(MOCK_DIR "/log_page", "%llu", pages[i].size));
		page_size = PAGE;
		EXPECT_EQ(pages[i].err,
			  log_start(&self->vdev, &range, 1, &page_size))
			TH_LOG("page size %llu", pages[i].size);
		EXPECT_EQ(pages[i].err ? PAGE : pages[i].size, page_size);
		snprintf(text, sizeof(text),
			 "back-end mock: dma_log_start returned pages of %#llx bytes",
			 pages[i].size);
		EXPECT_EQ(!!pages[i].err, vf_logged(kmsg, self->vf, text));
		if (!pages[i].err)
			EXPECT_EQ(0, log_stop(&self->vdev));
	}
	close(kmsg);
}

/* BARs */

TEST_F(backend, malformed_bars_are_refused)
{
	static const char * const shapes[] = {
		"0 12288 0 0",			/* no power of two */
		"0 1073741824 0 0",		/* larger than the VF's */
		"0 2048 0 0",			/* less than a page */
		"3 4096 0 0",			/* cuts the MSI-X table's BAR */
		"0 16384 4 8",			/* trapped, not aligned */
		"0 16384 12288 8192",		/* trapped beyond the end */
		"0 16384 18446744073709547520 8192",
		"0 16384 0 0 1",		/* mapped, but not to be read */
		"0 16384 0 0 2",		/* mapped, but not to be written */
	};
	unsigned int i;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		ASSERT_EQ(0, put(MOCK_DIR "/bar", "%s", shapes[i]));
		EXPECT_EQ(-EPROTO, vf_set_type(self->vf, MOCK_TYPE))
			TH_LOG("%s", shapes[i]);
	}
	EXPECT_FILE(self->vf, "nvvgpu/state", "bound\n");
}

TEST_F(backend, bar_is_used_as_its_flags_allow)
{
	static const struct {
		const char *shape;
		__u32 flags;
	} bars[] = {
		{ "0 16384 0 0 6", VFIO_REGION_INFO_FLAG_READ },
		{ "0 16384 0 0 5", VFIO_REGION_INFO_FLAG_WRITE },
		{ "0 16384 0 0 7", 0 },
	};
	struct vfio_region_info info;
	unsigned int i;
	__u32 val = 0;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	for (i = 0; i < ARRAY_SIZE(bars); i++) {
		ASSERT_EQ(0, put(MOCK_DIR "/bar", "%s", bars[i].shape));
		ASSERT_CREATED(self->vf);
		ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
		ASSERT_EQ(0, vdev_region_info(&self->vdev, 0, &info));
		EXPECT_EQ(bars[i].flags,
			  info.flags & (VFIO_REGION_INFO_FLAG_READ |
					VFIO_REGION_INFO_FLAG_WRITE |
					VFIO_REGION_INFO_FLAG_MMAP));
		EXPECT_EQ(bars[i].flags & VFIO_REGION_INFO_FLAG_READ ?
			  4 : -EINVAL,
			  vdev_read(&self->vdev, 0, 0, &val, 4));
		EXPECT_EQ(bars[i].flags & VFIO_REGION_INFO_FLAG_WRITE ?
			  4 : -EINVAL,
			  vdev_write(&self->vdev, 0, 0, &val, 4));
		EXPECT_GT(0, vdev_map_bar(&self->vdev, 0));
		vdev_close(&self->vdev);
		ASSERT_EQ(0, vf_set_type(self->vf, 0));
	}
}

TEST_F(backend, trapped_area_calls_the_backend)
{
	__u64 val = 0x1122334455667788ULL, got = 0;
	struct vfio_region_info info;
	__u8 bytes[16];

	ASSERT_OPEN_TRAPPED();
	ASSERT_EQ(0, vdev_region_info(&self->vdev, 0, &info));
	EXPECT_EQ(16384, info.size);
	EXPECT_FALSE(info.flags & VFIO_REGION_INFO_FLAG_MMAP);

	EXPECT_EQ(8, vdev_write(&self->vdev, 0, 4096 + 8, &val, 8));
	EXPECT_EQ(8, vdev_read(&self->vdev, 0, 4096 + 8, &got, 8));
	EXPECT_EQ(val, got);
	/* Split into aligned accesses, and at the end of the area */
	EXPECT_EQ(11, vdev_read(&self->vdev, 0, 4096 + 7, bytes, 11));
	EXPECT_EQ(0, memcmp(bytes + 1, &val, 8));
	EXPECT_EQ(4, vdev_read(&self->vdev, 0, 8192 - 4, bytes, 16));
	EXPECT_LT(4, mock_calls("bar_read"));
}

TEST_F(backend, trapped_access_to_a_crashed_vgpu_returns_eio)
{
	__u32 val = 0;

	ASSERT_OPEN_TRAPPED();
	ASSERT_EQ(0, post(self->bdf, 0, "crashed"));
	EXPECT_EQ(1, irq_wait(self->err, WAIT_MS));
	EXPECT_EQ(-EIO, vdev_read(&self->vdev, 0, 4096, &val, 4));
	EXPECT_EQ(-EIO, vdev_write(&self->vdev, 0, 4096, &val, 4));
	EXPECT_EQ(0, mock_calls("bar_read"));
	EXPECT_EQ(0, mock_calls("bar_write"));
	EXPECT_EQ(0, vdev_reset(&self->vdev));
	EXPECT_EQ(4, vdev_read(&self->vdev, 0, 4096, &val, 4));
}

TEST_F(backend, read_of_a_trapped_area_stops_when_its_process_is_killed)
{
	__u8 bytes[4096];
	int status;
	pid_t pid;

	ASSERT_OPEN_TRAPPED();
	ASSERT_EQ(0, put(MOCK_DIR "/block", "bar_read"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(vdev_read(&self->vdev, 0, 4096, bytes, sizeof(bytes)) !=
		      sizeof(bytes));
	while (!mock_calls("bar_read"))
		usleep(1000);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(0, put(MOCK_DIR "/block", "none"));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(1, mock_calls("bar_read"));
}

/* igb's VFs have no power states, nvme's do. */
TEST_F(backend, trapped_area_is_inaccessible_in_d3hot)
{
	struct pf nvme;
	__u32 val = 0;

	ASSERT_EQ(0, pf_prepare(&nvme, OTHER_DRIVER, 2));
	ASSERT_EQ(0, mock_add(nvme.bdf, "sound"));
	ASSERT_EQ(0, put(MOCK_DIR "/bar", "0 16384 8192 4096"));
	ASSERT_CREATED(nvme.vf[0]);
	ASSERT_EQ(0, vdev_open(&self->vdev, nvme.vf[0], &self->ioas));

	ASSERT_EQ(0, vdev_set_power(&self->vdev, VDEV_D3HOT));
	EXPECT_EQ(-EIO, vdev_read(&self->vdev, 0, 0, &val, 4));
	EXPECT_EQ(-EIO, vdev_read(&self->vdev, 0, 8192, &val, 4));
	EXPECT_EQ(-EIO, vdev_write(&self->vdev, 0, 8192, &val, 4));
	ASSERT_EQ(0, vdev_set_power(&self->vdev, VDEV_D0));
	EXPECT_EQ(4, vdev_read(&self->vdev, 0, 0, &val, 4));
	EXPECT_EQ(4, vdev_read(&self->vdev, 0, 8192, &val, 4));
	EXPECT_EQ(4, vdev_write(&self->vdev, 0, 8192, &val, 4));

	/* In low power mode an access wakes the device. */
	ASSERT_EQ(0, vdev_feature(&self->vdev, VFIO_DEVICE_FEATURE_SET |
				  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL, 0));
	EXPECT_EQ(4, vdev_read(&self->vdev, 0, 8192, &val, 4));
	EXPECT_EQ(4, vdev_read(&self->vdev, 0, 0, &val, 4));
	vdev_close(&self->vdev);
	EXPECT_EQ(0, mock_del(nvme.bdf));
}

/* Events */

TEST_F(backend, events_are_delivered_in_order)
{
	static const char * const want[] = {
		NVVGPU_EVENT_NAME_DISPLAY, NVVGPU_EVENT_NAME_GUEST_UP,
		NVVGPU_EVENT_NAME_FAULT, NVVGPU_EVENT_NAME_GUEST_DOWN,
	};
	struct uevent uevent;
	unsigned int i;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	EXPECT_EQ(0, uevent_wait(self->uevents, self->vf,
				 NVVGPU_EVENT_NAME_CREATED, WAIT_MS));
	ASSERT_EQ(0, post(self->bdf, 0, "display guest-up fault guest-down"));
	for (i = 0; i < ARRAY_SIZE(want); i++) {
		ASSERT_EQ(0, uevent_next(self->uevents, self->vf, &uevent,
					 WAIT_MS));
		EXPECT_STREQ(want[i], uevent.event);
		EXPECT_EQ(MOCK_TYPE, uevent.type);
		EXPECT_EQ(1, uevent.count);
		EXPECT_EQ(1, count(self->vf, want[i]));
	}
	EXPECT_EQ(0, count(self->vf, "coalesced"));
}

TEST_F(backend, events_that_repeat_are_counted)
{
	struct uevent uevent;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	EXPECT_EQ(0, uevent_wait(self->uevents, self->vf,
				 NVVGPU_EVENT_NAME_CREATED, WAIT_MS));

	/* While an operation is in progress events are queued. */
	ASSERT_EQ(0, put(MOCK_DIR "/block", "get_placement"));
	ASSERT_EQ(0, post(self->bdf, 0, "placement"));
	while (!mock_calls("get_placement"))
		usleep(10000);
	/* up, down, up, two faults, down, fault, up */
	ASSERT_EQ(0, post(self->bdf, 0,
			  "guest-up guest-down guest-up fault fault"));
	ASSERT_EQ(0, post(self->bdf, 0, "guest-down fault guest-up"));
	EXPECT_EQ(3, count(self->vf, NVVGPU_EVENT_NAME_GUEST_UP));
	EXPECT_EQ(5, count(self->vf, "coalesced"));
	ASSERT_EQ(0, put(MOCK_DIR "/block", "none"));
	ASSERT_EQ(0, uevent_wait(self->uevents, self->vf,
				 NVVGPU_EVENT_NAME_PLACEMENT, WAIT_MS));

	/* Each event once, in the order of the last reports */
	ASSERT_EQ(0, uevent_next(self->uevents, self->vf, &uevent, WAIT_MS));
	EXPECT_STREQ(NVVGPU_EVENT_NAME_GUEST_DOWN, uevent.event);
	EXPECT_EQ(2, uevent.count);
	ASSERT_EQ(0, uevent_next(self->uevents, self->vf, &uevent, WAIT_MS));
	EXPECT_STREQ(NVVGPU_EVENT_NAME_FAULT, uevent.event);
	EXPECT_EQ(3, uevent.count);
	ASSERT_EQ(0, uevent_next(self->uevents, self->vf, &uevent, WAIT_MS));
	EXPECT_STREQ(NVVGPU_EVENT_NAME_GUEST_UP, uevent.event);
	EXPECT_EQ(3, uevent.count);
	EXPECT_EQ(-ETIMEDOUT, uevent_next(self->uevents, self->vf, &uevent, 200));
}

TEST_F(backend, events_carry_their_code_and_address)
{
	struct uevent uevent;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	EXPECT_EQ(0, uevent_wait(self->uevents, self->vf,
				 NVVGPU_EVENT_NAME_CREATED, WAIT_MS));
	EXPECT_EQ(-ENOENT, count(self->vf, "fault-code"));

	/* The last of two reports, one without, and a crash */
	ASSERT_EQ(0, post(self->bdf, 0,
			  "fault,3,1000 fault,4,3f00000000 guest-up crashed,79"));
	ASSERT_EQ(0, uevent_next(self->uevents, self->vf, &uevent, WAIT_MS));
	EXPECT_STREQ(NVVGPU_EVENT_NAME_FAULT, uevent.event);
	EXPECT_EQ(2, uevent.count);
	EXPECT_EQ(4, uevent.code);
	EXPECT_EQ(0x3f00000000, uevent.address);
	ASSERT_EQ(0, uevent_next(self->uevents, self->vf, &uevent, WAIT_MS));
	EXPECT_STREQ(NVVGPU_EVENT_NAME_GUEST_UP, uevent.event);
	EXPECT_EQ(-1, uevent.code);
	EXPECT_EQ(-1, uevent.address);
	ASSERT_EQ(0, uevent_next(self->uevents, self->vf, &uevent, WAIT_MS));
	EXPECT_STREQ(NVVGPU_EVENT_NAME_CRASHED, uevent.event);
	EXPECT_EQ(79, uevent.code);
	EXPECT_EQ(-1, uevent.address);

	EXPECT_EQ(4, count(self->vf, "fault-code"));
	EXPECT_EQ(79, count(self->vf, "crashed-code"));
	/* Any process can read the file. */
	EXPECT_EQ(-ENOENT, count(self->vf, "fault-address"));
	EXPECT_EQ(-ENOENT, count(self->vf, "guest-up-code"));
}

TEST_F(backend, storm_of_events_loses_none)
{
	unsigned long long told = 0;
	struct uevent uevent;
	const int rounds = 500;
	int i;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	EXPECT_EQ(0, uevent_wait(self->uevents, self->vf,
				 NVVGPU_EVENT_NAME_CREATED, WAIT_MS));
	for (i = 0; i < rounds; i++)
		ASSERT_EQ(0, post(self->bdf, 0,
				  "fault display fault display fault display fault display"));
	while (told < rounds * 8ULL) {
		ASSERT_EQ(0, uevent_next(self->uevents, self->vf, &uevent,
					 WAIT_MS));
		told += uevent.count;
	}
	EXPECT_EQ(rounds * 8, told);
	EXPECT_EQ(rounds * 4, count(self->vf, NVVGPU_EVENT_NAME_FAULT));
	EXPECT_EQ(rounds * 4, count(self->vf, NVVGPU_EVENT_NAME_DISPLAY));
	EXPECT_EQ(0, count(self->vf, "dropped"));
}

/* Events of a guest driver that starts and stops as fast as it can */
TEST_F(backend, flood_of_events_is_rate_limited)
{
	unsigned long long begin, reported = 0, told = 0, uevents = 0;
	struct uevent uevent;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	EXPECT_EQ(0, uevent_wait(self->uevents, self->vf,
				 NVVGPU_EVENT_NAME_CREATED, WAIT_MS));
	for (begin = now_ms(); now_ms() < begin + 1000; reported += 2)
		ASSERT_EQ(0, post(self->bdf, 0, "guest-up guest-down"));
	for (; told < reported; uevents++) {
		ASSERT_EQ(0, uevent_next(self->uevents, self->vf, &uevent,
					 WAIT_MS));
		told += uevent.count;
	}
	TH_LOG("%llu reports, %llu uevents", reported, uevents);
	EXPECT_EQ(reported, told);
	/* Both events, ten times a second, with jiffies of 10 ms */
	EXPECT_GE(2 * ((now_ms() - begin) / 90 + 1), uevents);
}

static void *close_it(void *vdev)
{
	vdev_close(vdev);

	return NULL;
}

/* A program that is notified may replace the vGPU, which must not be reset then. */
TEST_F(backend, close_is_announced_after_the_reset)
{
	pthread_t thread;
	long long done;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	done = mock_calls("reset_done");
	ASSERT_EQ(0, pthread_create(&thread, NULL, close_it, &self->vdev));
	EXPECT_EQ(0, uevent_wait(self->uevents, self->vf,
				 NVVGPU_EVENT_NAME_CLOSED, WAIT_MS));
	EXPECT_LT(done, mock_calls("reset_done"));
	pthread_join(thread, NULL);
}

TEST_F(backend, crash_is_reported_immediately_after_earlier_events)
{
	static const char * const order[] = {
		NVVGPU_EVENT_NAME_FAULT,
		NVVGPU_EVENT_NAME_CRASHED,
		NVVGPU_EVENT_NAME_GUEST_UP,
	};
	int i, j, told, overtook = 0;
	struct uevent uevent;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf2);
	for (i = 0; i < 5; i++) {
		ASSERT_CREATED(self->vf);
		EXPECT_EQ(0, uevent_wait(self->uevents, self->vf,
					 NVVGPU_EVENT_NAME_CREATED, WAIT_MS));
		/* An event of another VF, which is reported after the delay */
		ASSERT_EQ(0, post(self->bdf, 1, "guest-up"));
		ASSERT_EQ(0, post(self->bdf, 0, "fault crashed"));
		for (j = 0, told = 0; j < 3; j++) {
			ASSERT_EQ(0, uevent_next(self->uevents, "/", &uevent,
						 WAIT_MS));
			if (told == 2 || strcmp(order[2], uevent.event))
				EXPECT_STREQ(order[told++], uevent.event);
		}
		overtook += told == 3;
		EXPECT_FILE(self->vf, "nvvgpu/state", "error\n");
		ASSERT_EQ(0, vf_set_type(self->vf, 0));
	}
	/* On a busy machine it may be late, but not every time. */
	EXPECT_LT(0, overtook);
}

TEST_F(backend, events_without_a_vgpu_are_dropped_and_counted)
{
	struct uevent uevent;
	int tries = 500;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	while (!uevent_next(self->uevents, self->vf, &uevent, 200))
		;
	ASSERT_EQ(0, post(self->bdf, 0, "crashed fault"));
	while (count(self->vf, "dropped") < 2 && tries--)
		usleep(10000);
	EXPECT_EQ(2, count(self->vf, "dropped"));
	EXPECT_EQ(-ETIMEDOUT, uevent_next(self->uevents, self->vf, &uevent, 200));
	EXPECT_FILE(self->vf, "nvvgpu/state", "bound\n");
	/* For a VF that does not exist */
	EXPECT_EQ(0, post(self->bdf, 60, "crashed"));
}

TEST_F(backend, events_of_a_vgpu_are_not_reported_for_the_next)
{
	unsigned int lives = 0, told = 0;
	struct uevent uevent;

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	ASSERT_EQ(0, post(self->bdf, 0, "fault"));
	ASSERT_EQ(0, vf_set_type(self->vf, 0));
	ASSERT_CREATED(self->vf);

	/* Nor for a vGPU that its back-end has deleted */
	ASSERT_EQ(0, post(self->bdf, 0, "guest-up"));
	ASSERT_EQ(0, mock_del(self->bdf));
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);

	while (!uevent_next(self->uevents, self->vf, &uevent, 500)) {
		if (!strcmp(uevent.event, NVVGPU_EVENT_NAME_CREATED)) {
			lives++;
		} else if (!strcmp(uevent.event, NVVGPU_EVENT_NAME_FAULT)) {
			told++;
			EXPECT_EQ(1, lives);
		} else if (!strcmp(uevent.event, NVVGPU_EVENT_NAME_GUEST_UP)) {
			told++;
			EXPECT_EQ(2, lives);
		}
	}
	EXPECT_EQ(3, lives);
	EXPECT_GE(2, told);
}

TEST_F(backend, events_wake_pollers)
{
	struct pollfd pfd = { .events = POLLPRI };
	char path[128];

	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	snprintf(path, sizeof(path),
		 "/sys/bus/pci/devices/%s/nvvgpu/events", self->vf);
	pfd.fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, pfd.fd);
	/* The events of the create itself */
	do {
		lseek(pfd.fd, 0, SEEK_SET);
		ASSERT_LT(0, read(pfd.fd, self->buf, sizeof(self->buf)));
	} while (poll(&pfd, 1, 200) == 1);

	ASSERT_EQ(0, post(self->bdf, 0, "display"));
	EXPECT_EQ(1, poll(&pfd, 1, WAIT_MS));
	close(pfd.fd);
}

TEST_F(backend, moved_vgpu_shows_its_new_placement)
{
	ASSERT_EQ(0, mock_add(self->bdf, "sound"));
	ASSERT_CREATED(self->vf);
	EXPECT_FILE(self->vf, "nvidia/placement_id", "0\n");
	ASSERT_EQ(0, put(MOCK_DIR "/placement", "11"));
	ASSERT_EQ(0, post(self->bdf, 0, "placement"));
	EXPECT_EQ(0, uevent_wait(self->uevents, self->vf,
				 NVVGPU_EVENT_NAME_PLACEMENT, WAIT_MS));
	EXPECT_FILE(self->vf, "nvidia/placement_id", "11\n");

	/* Without get_placement the previous placement is kept. */
	ASSERT_EQ(0, put(MOCK_DIR "/fail", "get_placement 5"));
	ASSERT_EQ(0, post(self->bdf, 0, "placement"));
	EXPECT_EQ(0, uevent_wait(self->uevents, self->vf, "placement",
				 WAIT_MS));
	EXPECT_FILE(self->vf, "nvidia/placement_id", "11\n");
	EXPECT_LAST_ERROR(self->vf, EIO,
			  "cannot get the new placement of the vGPU");
}

/* All at once */

struct load {
	pthread_t thread;
	const char *vf;
	atomic_bool *over;
	unsigned int rounds;
	atomic_uint *opened;
	int unexpected;
};

/* Errors that are allowed while the back-end is not registered */
static bool expected(int ret)
{
	return ret >= 0 || ret == -ENODEV || ret == -ENOENT || ret == -ENXIO ||
	       ret == -EPERM || ret == -EIO || ret == -EAGAIN;
}

/* Create, open, use, reset, close and delete, ignoring errors. */
static void *load_vf(void *arg)
{
	struct load *load = arg;
	struct ioas ioas;
	struct vdev vdev;
	char buf[64];
	int ret;

	if (ioas_open(&ioas, IOMMU_IOMMUFD))
		return NULL;
	while (!*load->over) {
		ret = vf_set_type(load->vf, MOCK_TYPE);
		if (!expected(ret))
			load->unexpected = ret;
		ret = vdev_open(&vdev, load->vf, &ioas);
		if (!expected(ret))
			load->unexpected = ret;
		if (!ret) {
			++*load->opened;
			vdev_read(&vdev, 0, 4096, buf, sizeof(buf));
			pci_read(load->vf, "nvvgpu/stats", buf, sizeof(buf));
			if (load->rounds & 1)
				vdev_reset(&vdev);
			vdev_read(&vdev, 0, 4096, buf, sizeof(buf));
			vdev_close(&vdev);
		}
		ret = vf_set_type(load->vf, 0);
		if (!expected(ret))
			load->unexpected = ret;
		load->rounds++;
	}
	ioas_close(&ioas);

	return NULL;
}

TEST_F(backend, comes_and_goes_under_load)
{
	struct load load[TEST_VFS] = {};
	atomic_bool over = false;
	atomic_uint opened = 0;
	unsigned int i;
	time_t end;
	int flips = 0;

	ASSERT_EQ(0, put(MOCK_DIR "/bar", "0 16384 4096 4096"));
	for (i = 0; i < TEST_VFS; i++) {
		load[i].vf = self->pf.vf[i];
		load[i].over = &over;
		load[i].opened = &opened;
		ASSERT_EQ(0, pthread_create(&load[i].thread, NULL, load_vf,
					    &load[i]));
	}
	for (end = time(NULL) + 9; time(NULL) < end || !opened; flips++) {
		ASSERT_EQ(0, mock_add(self->bdf, "sound"));
		usleep(flips % 7 * 60000);
		post(self->bdf, flips % TEST_VFS,
		     "fault guest-up guest-down display placement");
		if (flips % 3 == 0)
			post(self->bdf, flips % TEST_VFS, "crashed");
		ASSERT_EQ(0, mock_del(self->bdf));
		usleep(flips % 3 * 10000);
	}
	over = true;
	for (i = 0; i < TEST_VFS; i++) {
		pthread_join(load[i].thread, NULL);
		EXPECT_EQ(0, load[i].unexpected);
	}
	TH_LOG("%d times there and away, opened %u times", flips, opened);
	EXPECT_EQ(0, mod_refs("nvvgpu-mock"));
	for (i = 0; i < TEST_VFS; i++)
		EXPECT_UNMANAGED(self->pf.vf[i]);
}

/*
 * The emulated GPU is removed and plugged in again while its engine copies.  It is
 * unplugged, as Linux 7.3 warns of any driver that is unbound from a PF and removes
 * its VFs.
 */
FIXTURE(departure) {
	struct pf pf;
	char vf[BDF_LEN];
	struct user user;
	const struct vgpu_type *type;
	struct vgpu_type types[MAX_TYPES];
};

FIXTURE_SETUP(departure)
{
	int nr;

	ASSERT_GPU(&self->pf, TEST_VFS);
	snprintf(self->vf, sizeof(self->vf), "%s", self->pf.vf[0]);
	nr = vf_types(self->vf, self->types, MAX_TYPES);
	ASSERT_LT(0, nr);
	self->type = type_smallest(self->types, nr);
	ASSERT_EQ(0, vf_set_type(self->vf, self->type->id));
	ASSERT_EQ(0, user_open(&self->user, self->vf, IOMMU_IOMMUFD));
}

FIXTURE_TEARDOWN(departure)
{
	user_close(&self->user);
	put("/sys/bus/pci/rescan", "1");
	ASSERT_GPU(&self->pf, TEST_VFS);
	gpu_clean(&self->pf);
}

static void *unplug_soon(void *bdf)
{
	usleep(300000);

	return (void *)(long)pci_write(bdf, "remove", "1");
}

TEST_F(departure, emu_departs_and_returns_while_its_engine_copies)
{
	struct engine *engine = &self->user.engine;
	struct nvvgpu_emu_desc desc;
	int req, rounds = 0;
	pthread_t thread;
	void *ret;

	req = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ASSERT_LE(0, req);
	ASSERT_EQ(0, vdev_set_irq(&self->user.vdev, VFIO_PCI_REQ_IRQ_INDEX, req));
	ASSERT_EQ(0, pthread_create(&thread, NULL, unplug_soon, self->pf.bdf));

	/* The engine copies until the user has been asked and closes the device. */
	desc = engine_copy(NVVGPU_EMU_DESC_DST_VRAM, 0,
			   user_addr(&self->user, user_buf(&self->user, 0)),
			   MIB);
	while (irq_wait(req, 0) <= 0) {
		ASSERT_EQ(0, engine_run(engine, desc));
		rounds++;
	}
	TH_LOG("%d rounds", rounds);
	EXPECT_LT(0, rounds);
	EXPECT_EQ(0, engine_run(engine, desc));
	user_close(&self->user);
	pthread_join(thread, &ret);
	EXPECT_EQ(NULL, ret);

	/* When the back-end has registered again, everything works. */
	ASSERT_EQ(0, put("/sys/bus/pci/rescan", "1"));
	ASSERT_GPU(&self->pf, TEST_VFS);
	ASSERT_EQ(0, vf_set_type(self->vf, self->type->id));
	ASSERT_EQ(0, user_open(&self->user, self->vf, IOMMU_IOMMUFD));
	EXPECT_EQ(0, engine_run(&self->user.engine, desc));
	close(req);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv, backend_missing("nvvgpu-mock", PF_DRIVER));
}
