// SPDX-License-Identifier: GPL-2.0
/*
 * Many vGPUs: all VFs are created, opened, used and closed in parallel, and several
 * processes perform random actions.
 *
 * NVVGPU_TEST_SEED repeats a random run; each run prints its seed.
 * NVVGPU_TEST_ALL makes all runs longer, except on a debug kernel.
 */
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>

#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "nvvgpu_test.h"
#include "lib/backend.h"
#include "lib/migration.h"
#include "lib/picture.h"

/* 64 VFs take long with an emulated debug kernel, and long runs on a busy host. */
#define LOAD_TIMEOUT	1800
#define CHUNK		PAGE
/* VFs of a race; each has two workers */
#define RACE_VFS	8

/* The lower a bit of the seed, the shorter its period, so mix them. */
static __u32 chance(__u32 *seed)
{
	__u32 x;

	*seed = *seed * 1664525 + 1013904223;
	x = (*seed ^ *seed >> 16) * 0x85ebca6b;
	x = (x ^ x >> 13) * 0xc2b2ae35;

	return x ^ x >> 16;
}

/**
 * enum request - kinds of random requests
 * @REQUEST_READ: pread() of a region
 * @REQUEST_WRITE: pwrite() to a region
 * @REQUEST_MAP: mmap() of a region
 * @REQUEST_IOCTL: an ioctl of the device
 * @NR_REQUEST_KINDS: their number
 */
enum request {
	REQUEST_READ,
	REQUEST_WRITE,
	REQUEST_MAP,
	REQUEST_IOCTL,
	NR_REQUEST_KINDS,
};

/**
 * struct report - result of a worker
 * @turns: turns completed
 * @succeeded: random requests of each kind that succeeded
 * @err: error that ended it, 0 if it succeeded
 * @what: action that failed
 */
struct report {
	unsigned int turns;
	unsigned int succeeded[NR_REQUEST_KINDS];
	int err;
	char what[96];
};

static void fail(struct report *report, int err, const char *fmt, ...)
{
	va_list args;

	report->err = err;
	va_start(args, fmt);
	vsnprintf(report->what, sizeof(report->what), fmt, args);
	va_end(args);
}

/**
 * struct shared - memory shared by the workers and the test
 * @ready: workers that are waiting for the others
 * @start: workers may begin
 * @stop: workers must end
 * @report: report of each worker
 */
struct shared {
	atomic_uint ready;
	atomic_bool start;
	atomic_bool stop;
	struct report report[2 * MAX_VFS];
};

/**
 * struct crowd - all the workers and their vGPUs
 * @pf: the GPU
 * @types: types of the GPU
 * @type: type of the vGPUs
 * @shared: memory shared with the workers
 * @worker: pids of the workers, 0 once ended
 * @nr_workers: number of workers started
 * @seed: seed of all random numbers
 * @picture: state of the GPU before the workers began
 */
struct crowd {
	struct pf pf;
	struct vgpu_type types[MAX_TYPES];
	const struct vgpu_type *type;
	struct shared *shared;
	pid_t worker[2 * MAX_VFS];
	unsigned int nr_workers;
	__u32 seed;
	char *picture;
};

static void crowd_set(struct __test_metadata *_metadata, struct crowd *crowd,
		      unsigned int vfs)
{
	const char *env = getenv("NVVGPU_TEST_SEED");
	int nr;

	ASSERT_EQ(0, pf_find(&crowd->pf));
	if (!vfs)
		vfs = crowd->pf.total;
	ASSERT_EQ(0, pf_set_vfs(&crowd->pf, vfs));
	ASSERT_GPU(&crowd->pf, vfs);
	ASSERT_EQ(vfs, crowd->pf.nr_vfs);
	nr = vf_types(crowd->pf.vf[0], crowd->types, MAX_TYPES);
	ASSERT_LT(0, nr);
	crowd->type = type_smallest(crowd->types, nr);
	ASSERT_LE(vfs, crowd->type->max_instances);
	crowd->shared = mmap(NULL, sizeof(*crowd->shared),
			     PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, crowd->shared);
	crowd->seed = env ? strtoul(env, NULL, 0) : now_ms();
	crowd->picture = picture_take(&crowd->pf);
}

static void crowd_clear(struct crowd *crowd)
{
	unsigned int i;

	for (i = 0; i < crowd->nr_workers; i++) {
		if (crowd->worker[i] <= 0)
			continue;
		kill(crowd->worker[i], SIGKILL);
		waitpid(crowd->worker[i], NULL, 0);
	}
	gpu_clean(&crowd->pf);
	pf_set_vfs(&crowd->pf, TEST_VFS);
	free(crowd->picture);
}

typedef void (*worker_fn)(struct shared *shared, struct report *report,
			  const char *vf, const struct vgpu_type *type,
			  __u32 seed);

static int worker_add(struct crowd *crowd, worker_fn fn, unsigned int vf)
{
	unsigned int n = crowd->nr_workers++;
	pid_t pid = fork();

	crowd->worker[n] = pid;
	if (pid)
		return pid < 0 ? -errno : 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	atomic_fetch_add(&crowd->shared->ready, 1);
	while (!crowd->shared->start)
		usleep(1000);
	fn(crowd->shared, &crowd->shared->report[n], crowd->pf.vf[vf], crowd->type,
	   crowd->seed + 7919 * n);
	_exit(0);
}

/* Start all workers together, and let them run for some time. */
static void workers_run(struct crowd *crowd, unsigned int ms)
{
	__u64 end;

	while (crowd->shared->ready < crowd->nr_workers)
		usleep(1000);
	crowd->shared->start = true;
	for (end = now_ms() + ms; now_ms() < end;)
		usleep(10000);
	crowd->shared->stop = true;
}

static void expect_well(struct __test_metadata *_metadata, struct crowd *crowd)
{
	unsigned int i, turns = 0;
	int status;

	for (i = 0; i < crowd->nr_workers; i++) {
		const struct report *report = &crowd->shared->report[i];

		EXPECT_EQ(crowd->worker[i],
			  waitpid(crowd->worker[i], &status, 0));
		crowd->worker[i] = 0;
		EXPECT_EQ(0, status);
		EXPECT_EQ(0, report->err)
			TH_LOG("worker %u in turn %u: %s", i, report->turns,
			       report->what);
		EXPECT_LT(0, report->turns)
			TH_LOG("worker %u has done nothing", i);
		turns += report->turns;
	}
	TH_LOG("%u workers, %u turns, seed %u", crowd->nr_workers, turns,
	       crowd->seed);
}

static void expect_as_before(struct __test_metadata *_metadata,
			     struct crowd *crowd)
{
	char *now = picture_take(&crowd->pf);
	const char *change = picture_change(crowd->picture, now);

	EXPECT_EQ(NULL, change)
		TH_LOG("%s", change ?: "");
	free(now);
}

/* Return 0 if a part of the framebuffer is zero, -EUCLEAN if it is not. */
static int vram_is_clear(struct user *user, __u64 vram)
{
	__u8 *to = user_buf(user, MIB);
	int ret;

	memset(to, 0xaa, CHUNK);
	ret = engine_run(&user->engine,
			 engine_copy(NVVGPU_EMU_DESC_SRC_VRAM,
				     user_addr(user, to), vram, CHUNK));

	return ret ?: all_bytes(to, CHUNK, 0) ? 0 : -EUCLEAN;
}

/* Create, use and delete a vGPU, with unique data. */
static int load_turn(struct report *report, const char *vf,
		     const struct vgpu_type *type, __u32 seed)
{
	const __u64 vram[] = { 0, type->framebuffer - CHUNK };
	struct user user = {};
	__u8 *from, *to;
	unsigned int i;
	int ret;

	ret = vf_set_type(vf, type->id);
	if (ret) {
		fail(report, ret, "create on %s", vf);
		return ret;
	}
	ret = user_open(&user, vf, IOMMU_IOMMUFD);
	if (ret) {
		fail(report, ret, "open of %s", vf);
		goto out_close;
	}
	from = user_buf(&user, 0);
	to = user_buf(&user, MIB);

	/* The framebuffer is zero at both ends, then filled with own data. */
	for (i = 0; !ret && i < ARRAY_SIZE(vram); i++) {
		ret = vram_is_clear(&user, vram[i]);
		pattern(from, CHUNK, seed + i);
		if (!ret)
			ret = engine_run(&user.engine,
					 engine_copy(NVVGPU_EMU_DESC_DST_VRAM,
						     vram[i],
						     user_addr(&user, from),
						     CHUNK));
	}
	for (i = 0; !ret && i < ARRAY_SIZE(vram); i++) {
		pattern(from, CHUNK, seed + i);
		ret = engine_run(&user.engine,
				 engine_copy(NVVGPU_EMU_DESC_SRC_VRAM,
					     user_addr(&user, to), vram[i],
					     CHUNK));
		if (!ret && memcmp(from, to, CHUNK))
			ret = -EILSEQ;
	}
	if (ret) {
		fail(report, ret, "work of %s", vf);
		goto out_close;
	}
	if (seed & 1) {
		ret = vdev_reset(&user.vdev);
		if (!ret)
			ret = user_back(&user);
		if (ret)
			fail(report, ret, "reset of %s", vf);
	}
out_close:
	user_close(&user);
	if (ret)
		return ret;
	ret = vf_set_type(vf, 0);
	if (ret)
		fail(report, ret, "delete on %s", vf);

	return ret;
}

static void load_worker(struct shared *shared, struct report *report,
			const char *vf, const struct vgpu_type *type,
			__u32 seed)
{
	do {
		if (load_turn(report, vf, type, chance(&seed)))
			return;
		report->turns++;
	} while (!shared->stop);
}

FIXTURE(load) {
	struct crowd crowd;
};

FIXTURE_VARIANT(load) {
	/* number of VFs, 0 for the maximum */
	unsigned int vfs;
};

FIXTURE_VARIANT_ADD(load, few) { .vfs = TEST_VFS };
FIXTURE_VARIANT_ADD(load, all_vfs) { .vfs = 0 };

FIXTURE_SETUP(load)
{
	crowd_set(_metadata, &self->crowd, variant->vfs);
}

FIXTURE_TEARDOWN(load)
{
	crowd_clear(&self->crowd);
}

TEST_F_TIMEOUT(load, all_live_in_parallel_and_go_at_once, LOAD_TIMEOUT)
{
	struct crowd *crowd = &self->crowd;
	unsigned int i, want, nr = crowd->pf.nr_vfs;
	struct vgpu_type now[MAX_TYPES];
	int types;

	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, worker_add(crowd, load_worker, i));
	workers_run(crowd, test_long() ? 60000 : 2000);
	expect_well(_metadata, crowd);
	expect_as_before(_metadata, crowd);

	/* Disable SR-IOV while each VF has a vGPU. */
	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, vf_set_type(crowd->pf.vf[i], crowd->type->id));
	ASSERT_EQ(0, pf_set_vfs(&crowd->pf, 0));
	ASSERT_GPU(&crowd->pf, TEST_VFS);
	types = vf_types(crowd->pf.vf[0], now, MAX_TYPES);
	ASSERT_LT(0, types);
	for (i = 0; i < types; i++) {
		want = crowd->types[i].available;
		if (want > crowd->pf.nr_vfs)
			want = crowd->pf.nr_vfs;
		EXPECT_EQ(want, now[i].available);
	}
	EXPECT_EQ(0, vgpu_life(crowd->pf.vf[0], crowd->type));
}

/*
 * Random actions in random order.  An action may conflict with those of other
 * processes, but then it must fail with the errno for that conflict.
 */

/* Performs the actions of an administrator, and reads all files. */
static void admin_worker(struct shared *shared, struct report *report,
			 const char *vf, const struct vgpu_type *type,
			 __u32 seed)
{
	char buf[8192];
	int ret;

	while (!shared->stop) {
		unsigned int n = chance(&seed);
		const char *file = vf_files[n % NR_VF_FILES].name;

		switch (chance(&seed) % 5) {
		case 0:
			ret = vf_set_type(vf, type->id);
			/* The VF has a vGPU or is being reset, or the GPU is full. */
			if (ret && ret != -EPERM && ret != -EBUSY &&
			    ret != -EIO)
				fail(report, ret, "create on %s", vf);
			break;
		case 1:
			ret = vf_set_type(vf, 0);
			if (ret && ret != -EPERM)
				fail(report, ret, "delete on %s", vf);
			break;
		case 2:
			snprintf(buf, sizeof(buf), "key=%u", n);
			ret = pci_write(vf, "nvidia/vgpu_params", buf);
			if (ret)
				fail(report, ret, "parameters of %s", vf);
			break;
		case 3:
			ret = pci_write(vf, "nvidia/placement_id", "-1");
			if (ret && ret != -EPERM)
				fail(report, ret, "placement of %s", vf);
			break;
		default:
			ret = pci_read(vf, file, buf, sizeof(buf));
			/* The VF has no vGPU, or the file is write-only. */
			if (ret < 0 && ret != -ENXIO && ret != -EACCES)
				fail(report, ret, "%s of %s", file, vf);
			break;
		}
		if (report->err)
			return;
		report->turns++;
	}
}

#define NR_USER_TURNS	4

/* Perform one of NR_USER_TURNS actions of a user; return false to end. */
static bool user_turn(struct report *report, struct user *user,
		      unsigned int what)
{
	struct nvvgpu_emu_desc desc;
	int ret;

	switch (what) {
	case 0:
		ret = user_work(user);
		if (ret)
			fail(report, ret, "work of %s", user->vf);
		return !ret;
	case 1:
		ret = vdev_reset(&user->vdev);
		if (!ret)
			ret = user_back(user);
		if (ret)
			fail(report, ret, "reset of %s", user->vf);
		return !ret;
	case 2:
		ret = vdev_flr(&user->vdev);
		if (!ret)
			ret = user_back(user);
		if (ret)
			fail(report, ret, "FLR of %s", user->vf);
		return !ret;
	default:
		/* Leave a job running. */
		desc = engine_copy(NVVGPU_EMU_DESC_DST_VRAM, 0,
				   user_addr(user, user_buf(user, 0)), MIB);
		engine_submit(&user->engine, &desc, 1);
		return false;
	}
}

/* Opens the device when there is one, and closes it or exits at any time. */
static void user_worker(struct shared *shared, struct report *report,
			const char *vf, const struct vgpu_type *type,
			__u32 seed)
{
	while (!shared->stop && !report->err) {
		struct user user = {};
		int ret, n = 0;
		pid_t pid;

		chance(&seed);
		pid = fork();
		if (pid < 0) {
			fail(report, -errno, "fork");
			return;
		}
		if (pid) {
			waitpid(pid, NULL, 0);
			report->turns++;
			continue;
		}

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ret = user_open(&user, vf, IOMMU_IOMMUFD);
		/* Without a vGPU, these errors are allowed. */
		if (ret && ret != -ENODEV)
			fail(report, ret, "open of %s", vf);
		while (!ret && n++ < 4 &&
		       user_turn(report, &user, chance(&seed) % NR_USER_TURNS))
			;
		if (chance(&seed) & 1)
			kill(getpid(), SIGKILL);
		user_close(&user);
		_exit(0);
	}
}

FIXTURE(race) {
	struct crowd crowd;
};

FIXTURE_SETUP(race)
{
	crowd_set(_metadata, &self->crowd, RACE_VFS);
}

FIXTURE_TEARDOWN(race)
{
	crowd_clear(&self->crowd);
}

TEST_F_TIMEOUT(race, random_actions_in_random_order, LOAD_TIMEOUT)
{
	struct crowd *crowd = &self->crowd;
	unsigned int i;

	for (i = 0; i < crowd->pf.nr_vfs; i++) {
		ASSERT_EQ(0, worker_add(crowd, admin_worker, i));
		ASSERT_EQ(0, worker_add(crowd, user_worker, i));
	}
	workers_run(crowd, test_long() ? 60000 : 4000);
	expect_well(_metadata, crowd);
	/* These are the last values that were written. */
	for (i = 0; i < crowd->pf.nr_vfs; i++) {
		EXPECT_EQ(0, vf_set_type(crowd->pf.vf[i], 0));
		EXPECT_EQ(0, pci_write(crowd->pf.vf[i], "nvidia/vgpu_params",
				       "\n"));
	}
	expect_as_before(_metadata, crowd);
	EXPECT_EQ(0, vgpu_life(crowd->pf.vf[0], crowd->type));
}

/*
 * Events and readers against unbinding
 */

/* Causes events as fast as possible: guest-up, guest-down and faults. */
static void event_worker(struct shared *shared, struct report *report,
			 const char *vf, const struct vgpu_type *type,
			 __u32 seed)
{
	struct nvvgpu_emu_desc bad = { .op = 0xdead };
	unsigned int n;

	while (!shared->stop) {
		struct user user = {};
		int req, ret;

		req = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ret = user_open(&user, vf, IOMMU_IOMMUFD);
		/* The VF is unbound, or has no vGPU yet. */
		if (ret == -ENODEV || ret == -ENOENT || ret == -ENXIO) {
			user_close(&user);
			close(req);
			usleep(2000);
			continue;
		}
		if (!ret)
			ret = vdev_set_irq(&user.vdev, VFIO_PCI_REQ_IRQ_INDEX,
					   req);
		for (n = 0; !ret && !shared->stop; n++) {
			engine_write(&user.engine, NVVGPU_EMU_VF_REG_GUEST,
				     n & 1);
			if (n % 16 == 0) {
				engine_submit(&user.engine, &bad, 1);
				ret = user_restart(&user);
			}
			if (irq_wait(req, 0))
				break;
			report->turns++;
		}
		if (ret)
			fail(report, ret, "making events on %s", vf);
		user_close(&user);
		close(req);
		if (ret)
			return;
	}
}

/* Reads all files, also while they are being removed. */
static void read_worker(struct shared *shared, struct report *report,
			const char *vf, const struct vgpu_type *type,
			__u32 seed)
{
	char buf[8192];
	unsigned int n;
	int ret;

	for (n = 0; !shared->stop; n++) {
		const char *file = vf_files[n % NR_VF_FILES].name;

		ret = pci_read(vf, file, buf, sizeof(buf));
		if (ret < 0 && ret != -ENXIO && ret != -ENOENT &&
		    ret != -ENODEV && ret != -EACCES) {
			fail(report, ret, "%s of %s", file, vf);
			return;
		}
		report->turns++;
		usleep(1000);
	}
}

TEST_F_TIMEOUT(race, events_and_readers_against_unbinding, LOAD_TIMEOUT)
{
	struct crowd *crowd = &self->crowd;
	const struct report *user = &crowd->shared->report[0];
	unsigned int turn, turns = test_long() ? 20 : 4, n, before;
	const char *vf = crowd->pf.vf[0];

	ASSERT_EQ(0, worker_add(crowd, event_worker, 0));
	ASSERT_EQ(0, worker_add(crowd, read_worker, 0));
	while (crowd->shared->ready < crowd->nr_workers)
		usleep(1000);
	crowd->shared->start = true;

	for (turn = 0; turn < turns; turn++) {
		before = user->turns;
		ASSERT_EQ(0, pci_bind(vf, FRONT_END_DRIVER));
		ASSERT_EQ(0, vf_set_type(vf, crowd->type->id));
		/* VFIO repeats a request that no user listens for after ten seconds. */
		for (n = 0; n < 4000 && user->turns == before; n++)
			usleep(5000);
		EXPECT_GT(4000, n);
		usleep(chance(&crowd->seed) % 50000);
		ASSERT_EQ(0, pci_unbind(vf));
	}
	crowd->shared->stop = true;
	expect_well(_metadata, crowd);
	ASSERT_GPU(&crowd->pf, TEST_VFS);
	expect_as_before(_metadata, crowd);
	EXPECT_EQ(0, vgpu_life(vf, crowd->type));
}

/*
 * VFs that are disabled while their files are polled
 */

static void poll_worker(struct shared *shared, struct report *report,
			const char *vf, const struct vgpu_type *type,
			__u32 seed)
{
	static const char * const files[] = {
		"nvvgpu/state", "nvvgpu/events", "nvidia/current_vgpu_type",
		"nvidia/creatable_vgpu_types",
	};
	struct pollfd fds[ARRAY_SIZE(files)];
	char path[128], buf[4096];
	unsigned int i;

	for (; !shared->stop; report->turns++) {
		for (i = 0; i < ARRAY_SIZE(files); i++) {
			snprintf(path, sizeof(path),
				 "/sys/bus/pci/devices/%s/%s", vf, files[i]);
			fds[i].fd = open(path, O_RDONLY | O_CLOEXEC);
			fds[i].events = POLLPRI;
			if (read(fds[i].fd, buf, sizeof(buf)) < 0 &&
			    errno != ENODEV && errno != EBADF)
				fail(report, -errno, "%s of %s", files[i], vf);
		}
		poll(fds, ARRAY_SIZE(files), chance(&seed) % 20);
		for (i = 0; i < ARRAY_SIZE(files); i++)
			close(fds[i].fd);
	}
}

TEST_F_TIMEOUT(race, vfs_are_disabled_while_their_files_are_polled, LOAD_TIMEOUT)
{
	unsigned int turn, turns = test_long() ? 20 : 3, i;
	struct crowd *crowd = &self->crowd;

	for (i = 0; i < TEST_VFS; i++)
		ASSERT_EQ(0, worker_add(crowd, poll_worker, i));
	while (crowd->shared->ready < crowd->nr_workers)
		usleep(1000);
	crowd->shared->start = true;
	for (turn = 0; turn < turns; turn++) {
		ASSERT_GPU(&crowd->pf, TEST_VFS);
		for (i = 0; i < TEST_VFS; i++)
			ASSERT_EQ(0, vf_set_type(crowd->pf.vf[i],
						 crowd->type->id));
		ASSERT_EQ(0, pf_set_vfs(&crowd->pf, 0));
	}
	crowd->shared->stop = true;
	expect_well(_metadata, crowd);
	ASSERT_EQ(0, pf_set_vfs(&crowd->pf, RACE_VFS));
	ASSERT_GPU(&crowd->pf, RACE_VFS);
	expect_as_before(_metadata, crowd);
	EXPECT_EQ(0, vgpu_life(crowd->pf.vf[0], crowd->type));
}

/*
 * A vGPU that works beside one that is reset again and again
 */

static void work_worker(struct shared *shared, struct report *report,
			const char *vf, const struct vgpu_type *type,
			__u32 seed)
{
	struct user user = {};
	int ret;

	ret = user_open(&user, vf, IOMMU_IOMMUFD);
	while (!ret && !shared->stop) {
		ret = user_work(&user);
		report->turns++;
	}
	if (ret)
		fail(report, ret, "work of %s", vf);
	user_close(&user);
}

TEST_F_TIMEOUT(race, resets_amid_a_job_do_not_disturb_a_neighbour, LOAD_TIMEOUT)
{
	unsigned int turn, turns = test_long() ? 200 : 8, i;
	struct crowd *crowd = &self->crowd;
	struct report *neighbour = &crowd->shared->report[0];
	struct nvvgpu_emu_desc desc;
	struct user user = {};
	unsigned int before;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, vf_set_type(crowd->pf.vf[i], crowd->type->id));
	ASSERT_EQ(0, worker_add(crowd, work_worker, 1));
	crowd->shared->start = true;
	EXPECT_EQ(0, user_open(&user, crowd->pf.vf[0], IOMMU_IOMMUFD));
	while (!neighbour->turns && !neighbour->err)
		usleep(1000);
	before = neighbour->turns;
	for (turn = 0; turn < turns; turn++) {
		desc = engine_copy(NVVGPU_EMU_DESC_DST_VRAM, 0,
				   user_addr(&user, user_buf(&user, 0)), MIB);
		engine_submit(&user.engine, &desc, 1);
		EXPECT_EQ(0, vdev_reset(&user.vdev));
		EXPECT_EQ(0, user_back(&user));
	}
	EXPECT_LT(before, neighbour->turns);
	crowd->shared->stop = true;
	expect_well(_metadata, crowd);
	user_close(&user);
}

/*
 * Users that are killed at random points
 */

/* A user is killed after fewer steps: in its open, or by the end of any action. */
#define KILL_STEPS	10
#define KILL_US		20000

/* Read a part of a BAR by a system call, and write it back. */
static int access_bar(struct user *user, struct report *report,
		      unsigned int bar, __u64 offset, int len)
{
	void *buf = user_buf(user, 0);
	int n;

	report->turns++;
	n = vdev_read(&user->vdev, bar, offset, buf, len);
	report->turns++;
	if (n == len)
		n = vdev_write(&user->vdev, bar, offset, buf, len);

	return n == len ? 0 : n < 0 ? n : -EIO;
}

static int access_bars(struct user *user, struct report *report)
{
	return access_bar(user, report, NVVGPU_EMU_VF_BAR_FB, 0, CHUNK) ?:
	       access_bar(user, report, NVVGPU_EMU_VF_BAR_REGS,
			  NVVGPU_EMU_VF_REG_SCRATCH, 4);
}

/* Log the DMA of a user to all of its memory. */
static int user_log_start(struct user *user)
{
	struct vfio_device_feature_dma_logging_range range = {
		.iova = user->iova,
		.length = user->len,
	};
	__u64 page_size = PAGE;

	return log_start(&user->vdev, &range, 1, &page_size);
}

static int user_log_read(struct user *user)
{
	__u64 bits[USER_LEN / PAGE / 64] = {};

	return log_read(&user->vdev, user->iova, user->len, PAGE, bits);
}

static int log_dma(struct user *user, struct report *report)
{
	int ret;

	report->turns++;
	ret = user_log_start(user);
	report->turns++;
	if (!ret)
		ret = user_work(user);
	report->turns++;
	if (!ret)
		ret = user_log_read(user);
	report->turns++;

	return ret ?: log_stop(&user->vdev);
}

/* Save the vGPU while it runs, and the rest when it is stopped. */
static int save_vgpu(struct user *user, struct report *report,
		     struct stream *stream)
{
	int fd, ret;

	report->turns++;
	ret = mig_set(&user->vdev, VFIO_DEVICE_STATE_PRE_COPY, &fd);
	if (ret)
		return ret;
	ret = stream_read(stream, fd);
	report->turns++;
	if (ret == -ENOMSG)
		ret = mig_set(&user->vdev, VFIO_DEVICE_STATE_STOP_COPY, NULL);
	report->turns++;
	if (!ret)
		ret = stream_read(stream, fd);
	close(fd);

	return ret;
}

static int load_vgpu(struct user *user, struct report *report,
		     const struct stream *stream)
{
	int fd, ret;

	report->turns++;
	ret = mig_set(&user->vdev, VFIO_DEVICE_STATE_RESUMING, &fd);
	if (ret)
		return ret;
	report->turns++;
	ret = stream_write(fd, stream, CHUNK, NULL);
	report->turns++;
	if (!ret)
		ret = mig_set(&user->vdev, VFIO_DEVICE_STATE_STOP, NULL);
	close(fd);

	return ret;
}

/* Like a VMM, which logs DMA meanwhile, but to the same vGPU */
static int migrate(struct user *user, struct report *report)
{
	struct stream stream = {};
	int ret;

	report->turns++;
	ret = user_log_start(user) ?:
	      save_vgpu(user, report, &stream) ?:
	      load_vgpu(user, report, &stream);
	stream_free(&stream);
	report->turns++;

	return ret ?: mig_set(&user->vdev, VFIO_DEVICE_STATE_RUNNING, NULL) ?:
	       log_stop(&user->vdev) ?: user_work(user);
}

static int (*const killed_in[])(struct user *user, struct report *report) = {
	access_bars, log_dma, migrate,
};

#define NR_KILLED_TURNS	(NR_USER_TURNS + ARRAY_SIZE(killed_in))

/* Like user_turn(), with NR_KILLED_TURNS actions */
static bool killed_turn(struct report *report, struct user *user,
			unsigned int what)
{
	int ret;

	if (what < NR_USER_TURNS)
		return user_turn(report, user, what);

	ret = killed_in[what - NR_USER_TURNS](user, report);
	if (ret)
		fail(report, ret, "action %u on %s", what, user->vf);

	return !ret;
}

/*
 * Uses the device until killed.  Workers begin with each action in turn.  A
 * migration takes long, so it is only a first action.
 */
static void killed_worker(struct shared *shared, struct report *report,
			  const char *vf, const struct vgpu_type *type,
			  __u32 seed)
{
	unsigned int what = (report - shared->report) % NR_KILLED_TURNS;
	const unsigned int later = NR_KILLED_TURNS - 1;

	while (!report->err) {
		struct user user = {};
		int ret = user_open(&user, vf, IOMMU_IOMMUFD);

		if (ret)
			fail(report, ret, "open of %s", vf);
		while (!ret) {
			report->turns++;
			if (!killed_turn(report, &user, what))
				break;
			what = chance(&seed) % later;
		}
		what = chance(&seed) % later;
		user_close(&user);
	}
}

static void kill_user(struct __test_metadata *_metadata, struct crowd *crowd,
		      __u32 *seed)
{
	unsigned int steps = chance(seed) % KILL_STEPS, n = crowd->nr_workers;
	const struct report *report = &crowd->shared->report[n];
	pid_t pid, ended = 0;
	int status = 0;

	ASSERT_EQ(0, worker_add(crowd, killed_worker, 0));
	pid = crowd->worker[n];
	while (!ended && report->turns < steps) {
		ended = waitpid(pid, &status, WNOHANG);
		usleep(100);
	}
	if (!ended) {
		usleep(chance(seed) % KILL_US);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	crowd->worker[n] = 0;
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		TH_LOG("user %u in step %u: %s (%s)", n, report->turns,
		       report->what, strerror(-report->err));
}

/* A new user finds nothing that a killed one has left. */
static void expect_clean(struct __test_metadata *_metadata, const char *vf)
{
	struct user user = {};

	EXPECT_FILE(vf, "nvvgpu/state", "created\n");
	ASSERT_EQ(0, user_open(&user, vf, IOMMU_IOMMUFD));
	EXPECT_EQ(VFIO_DEVICE_STATE_RUNNING, mig_get(&user.vdev));
	EXPECT_EQ(-EINVAL, user_log_read(&user));
	EXPECT_EQ(0, user_log_start(&user));
	EXPECT_EQ(0, log_stop(&user.vdev));
	EXPECT_EQ(0, vram_is_clear(&user, 0));
	EXPECT_EQ(0, user_work(&user));
	user_close(&user);
}

TEST_F_TIMEOUT(race, killed_user_leaves_the_vgpu_to_the_next, LOAD_TIMEOUT)
{
	unsigned int turn, turns = test_long() ? 320 : 42;
	struct crowd *crowd = &self->crowd;
	const char *vf = crowd->pf.vf[0];
	__u32 seed = crowd->seed;

	ASSERT_EQ(0, vf_set_type(vf, crowd->type->id));
	crowd->shared->start = true;
	TH_LOG("seed %u", seed);
	for (turn = 0; turn < turns; turn++) {
		kill_user(_metadata, crowd, &seed);
		expect_clean(_metadata, vf);
		if (_metadata->exit_code != KSFT_PASS)
			break;
	}
	EXPECT_EQ(0, vf_set_type(vf, 0));
	expect_as_before(_metadata, crowd);
}

/*
 * Random requests of several processes that have the device open together
 */

/* As many as the numbers of VFIO's device ioctls cover, and some more */
#define NR_REQUESTS	24
#define REQUEST(n)	_IO(VFIO_TYPE, VFIO_BASE + (n))
#define REQUEST_ROOM	(16 * PAGE)
/* Two of three requests are ioctls. */
#define IOCTL_SHARE	9
/* By each worker, however slow the machine is */
#define MIN_REQUESTS	600
/* Of each kind, by all workers together; some 24 mappings, the fewest, are expected. */
#define MIN_SUCCEEDED	5

/* A structure that may be valid: its size, small numbers, and addresses. */
static void random_struct(__u64 *data, unsigned int words, __u32 *seed)
{
	unsigned int i;

	for (i = 0; i < words; i++) {
		switch (chance(seed) % 4) {
		case 0:
			data[i] = 0;
			break;
		case 1:
			data[i] = (uintptr_t)data;
			break;
		case 2:
			data[i] = chance(seed) % 16 |
				  (__u64)(chance(seed) % 64) << 32;
			break;
		default:
			data[i] = (__u64)chance(seed) << 40 ^ chance(seed);
			break;
		}
	}
	/* argsz, and flags as those of VFIO_DEVICE_FEATURE */
	data[0] = chance(seed) % (words * sizeof(*data)) |
		  (__u64)(chance(seed) % 16 |
			  (chance(seed) % 8) << 16) << 32;
}

/* Make a request of a kind of enum request.  Return true if it succeeded. */
static bool random_request(int fd, unsigned int kind, __u64 *data, __u32 *seed)
{
	__u64 pos = (__u64)(chance(seed) % 12) << 40 |
		    (chance(seed) % MIB) >> (chance(seed) % 16);
	size_t len = chance(seed) % 64;
	void *map;

	switch (kind) {
	case REQUEST_READ:
		return pread(fd, data, len, pos) > 0;
	case REQUEST_WRITE:
		return pwrite(fd, data, len, pos) > 0;
	case REQUEST_MAP:
		map = mmap(NULL, len * PAGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED, fd, pos & -PAGE);
		return map != MAP_FAILED && !munmap(map, len * PAGE);
	default:
		return !ioctl(fd, REQUEST(chance(seed) % NR_REQUESTS), data);
	}
}

/* Has the device's file as its standard input. */
static void request_worker(struct shared *shared, struct report *report,
			   const char *vf, const struct vgpu_type *type,
			   __u32 seed)
{
	__u64 *data = mmap(NULL, 2 * REQUEST_ROOM, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int kind;

	/* A request that returns more than there is room for gets EFAULT. */
	if (data == MAP_FAILED ||
	    mprotect((char *)data + REQUEST_ROOM, REQUEST_ROOM, PROT_NONE)) {
		fail(report, -errno, "memory for requests");
		return;
	}
	while (!shared->stop || report->turns < MIN_REQUESTS) {
		kind = chance(&seed) % IOCTL_SHARE;
		if (kind >= REQUEST_IOCTL)
			kind = REQUEST_IOCTL;
		random_struct(data, 16, &seed);
		if (random_request(STDIN_FILENO, kind, data, &seed))
			report->succeeded[kind]++;
		report->turns++;
		/* Files that a request has returned */
		syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
	}
}

/* The device must not refuse all requests: then the others would test nothing. */
static void expect_requests(struct __test_metadata *_metadata,
			    const struct crowd *crowd)
{
	static const char * const names[NR_REQUEST_KINDS] = {
		[REQUEST_READ] = "reads",
		[REQUEST_WRITE] = "writes",
		[REQUEST_MAP] = "mappings",
		[REQUEST_IOCTL] = "ioctls",
	};
	unsigned int i, kind, succeeded, turns = 0;

	for (i = 0; i < crowd->nr_workers; i++)
		turns += crowd->shared->report[i].turns;
	EXPECT_LE(crowd->nr_workers * MIN_REQUESTS, turns);
	for (kind = 0; kind < NR_REQUEST_KINDS; kind++) {
		succeeded = 0;
		for (i = 0; i < crowd->nr_workers; i++)
			succeeded += crowd->shared->report[i].succeeded[kind];
		EXPECT_LE(MIN_SUCCEEDED, succeeded)
			TH_LOG("%s of %u requests", names[kind], turns);
	}
}

TEST_F_TIMEOUT(race, random_requests_leave_the_device_usable, LOAD_TIMEOUT)
{
	struct crowd *crowd = &self->crowd;
	struct user user = {};
	unsigned int i;
	int input;

	ASSERT_EQ(0, vf_set_type(crowd->pf.vf[0], crowd->type->id));
	ASSERT_EQ(0, user_open(&user, crowd->pf.vf[0], IOMMU_IOMMUFD));
	input = dup(STDIN_FILENO);
	ASSERT_EQ(STDIN_FILENO, dup2(user.vdev.fd, STDIN_FILENO));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, worker_add(crowd, request_worker, 0));
	dup2(input, STDIN_FILENO);
	close(input);
	workers_run(crowd, test_long() ? 60000 : 2000);
	expect_well(_metadata, crowd);
	expect_requests(_metadata, crowd);
	user_close(&user);
	EXPECT_EQ(0, vf_set_type(crowd->pf.vf[0], 0));
	expect_as_before(_metadata, crowd);
	EXPECT_EQ(0, vgpu_life(crowd->pf.vf[0], crowd->type));
}

int main(int argc, char **argv)
{
	return test_main(argc, argv, gpu_missing());
}
