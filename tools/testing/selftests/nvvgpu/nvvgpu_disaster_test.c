// SPDX-License-Identifier: GPL-2.0
/*
 * The GPU, its drivers and its firmware are removed while a vGPU is idle, open,
 * mapped, in DMA and in reset: the machine survives, the user is notified and gets
 * meaningful errors, other vGPUs are not affected, and afterwards everything can be
 * set up again without a leak.
 *
 * A user is a separate process that acts on request, so that it can also be killed
 * during its activity.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "nvvgpu_test.h"
#include "lib/backend.h"
#include "lib/picture.h"

#define PATIENCE_MS	90000
/* Time-out of commands while the firmware does not respond */
#define SILENCE_MS	150

/* Activities of a vGPU when the disaster happens */
enum state {
	IDLE,
	OPEN,
	MMAPPED,
	DMA,
	RESET,
};

/*
 * Users
 */
enum question {
	ASK_ERR,	/* number of ERR interrupts, after waiting for one */
	ASK_NO_ERR,	/* number of ERR interrupts, without waiting */
	ASK_REQ,	/* the same of REQ */
	ASK_NO_REQ,
	ASK_WORK,	/* its activity ends; check its device */
	ASK_UAPI,	/* check accesses that need no vGPU */
	ASK_LOOK,	/* enum content */
	ASK_QUIET,	/* check that its memory is not written */
	ASK_RESET,	/* VFIO_DEVICE_RESET */
	ASK_BACK,	/* after a reset: set up again, and work */
	ASK_CLOSE_FILE,	/* but not the mappings */
	ASK_CLOSE,
};

/* What a mapping of the framebuffer shows, where there was MARK */
enum content {
	SEEN_MARK,
	SEEN_ONES,
	SEEN_ELSE,
};

#define MARK		0x6b72616d20646c6fULL

/**
 * struct user_process - a user, as its own process knows itself
 * @state: activity that the test has requested
 * @down: a reset may be unable to recover the vGPU
 * @user: its device
 * @err_fd: eventfd of ERR
 * @req_fd: eventfd of REQ
 * @busy: @thread is running
 * @stop: @thread must end
 * @thread: thread of a user in DMA or in reset
 * @failure: errno of a reset that failed unexpectedly
 */
struct user_process {
	enum state state;
	bool down;
	struct user user;
	int err_fd;
	int req_fd;
	bool busy;
	atomic_bool stop;
	pthread_t thread;
	int failure;
};

#define CHUNK		(256 * 1024UL)

/* Copy in both directions until the test ends. */
static void *do_dma(void *arg)
{
	struct user_process *self = arg;
	struct engine *engine = &self->user.engine;
	const __u64 mem = self->user.iova + MIB;
	struct nvvgpu_emu_desc desc;
	unsigned int n;
	__u32 head;

	for (n = 0; !self->stop; n++) {
		head = engine_read(engine, NVVGPU_EMU_VF_REG_RING_HEAD);
		if (head == ~0U || engine->tail - head >= 8) {
			usleep(1000);
			continue;
		}
		if (n & 1)
			desc = engine_copy(NVVGPU_EMU_DESC_SRC_VRAM, mem, MIB,
					   CHUNK);
		else
			desc = engine_copy(NVVGPU_EMU_DESC_DST_VRAM, MIB, mem,
					   CHUNK);
		engine_submit(engine, &desc, 1);
	}

	return NULL;
}

/* Reset the device in both ways until the test ends. */
static void *do_resets(void *arg)
{
	struct user_process *self = arg;
	unsigned int n;
	int ret;

	for (n = 0; !self->stop; n++) {
		ret = n & 1 ? vdev_flr(&self->user.vdev) :
			      vdev_reset(&self->user.vdev);
		/* The process that removes the device may hold its lock. */
		if (ret && ret != -EAGAIN && !(ret == -EIO && self->down))
			self->failure = ret;
	}

	return NULL;
}

static int become_busy(struct user_process *self)
{
	self->stop = false;
	self->busy = true;

	return -pthread_create(&self->thread, NULL,
			       self->state == DMA ? do_dma : do_resets, self);
}

static void become_calm(struct user_process *self)
{
	if (!self->busy)
		return;
	self->stop = true;
	pthread_join(self->thread, NULL);
	self->busy = false;
}

static int user_begin(struct user_process *self, const char *vf)
{
	struct user *user = &self->user;
	int ret;

	self->err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	self->req_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (self->state == OPEN) {
		user->ioas = &user->own;
		ret = ioas_open(&user->own, IOMMU_IOMMUFD);
		if (!ret)
			ret = vdev_open(&user->vdev, vf, &user->own);
		if (!ret)
			ret = vdev_enable(&user->vdev, true);
	} else {
		ret = user_open(user, vf, IOMMU_IOMMUFD);
		if (!ret)
			ret = user_work(user);
	}
	if (!ret)
		ret = vdev_set_irq(&user->vdev, VFIO_PCI_ERR_IRQ_INDEX,
				   self->err_fd);
	if (!ret)
		ret = vdev_set_irq(&user->vdev, VFIO_PCI_REQ_IRQ_INDEX,
				   self->req_fd);
	if (ret)
		return ret;

	switch (self->state) {
	case MMAPPED:
		ret = vdev_map_bar(&user->vdev, NVVGPU_EMU_VF_BAR_FB);
		if (!ret)
			__atomic_store_n((__u64 *)user->vdev.bar[NVVGPU_EMU_VF_BAR_FB],
					 MARK, __ATOMIC_SEQ_CST);
		return ret;
	case DMA:
	case RESET:
		return become_busy(self);
	default:
		return 0;
	}
}

/* Read the registers of the vGPU, without a mapping. */
static int probe(const struct vdev *vdev)
{
	__u32 magic = 0, error = 0;
	int ret;

	ret = vdev_read(vdev, NVVGPU_EMU_VF_BAR_REGS, NVVGPU_EMU_VF_REG_MAGIC,
			&magic, 4);
	if (ret == 4)
		ret = vdev_read(vdev, NVVGPU_EMU_VF_BAR_REGS,
				NVVGPU_EMU_VF_REG_ERROR, &error, 4);
	/* The BARs of a vGPU that has crashed are inaccessible. */
	if (ret == -EIO)
		return -ENODEV;
	if (ret != 4)
		return ret < 0 ? ret : -EILSEQ;
	if (magic == ~0U)
		return -ENODEV;
	if (error)
		return -EIO;

	return magic == NVVGPU_EMU_VF_MAGIC ? 0 : -EILSEQ;
}

static int drain(struct user *user)
{
	int tries = 20000;
	__u32 status;

	while (tries--) {
		status = engine_read(&user->engine, NVVGPU_EMU_VF_REG_STATUS);
		if (status == ~0U)
			return -ENODEV;
		if (status & NVVGPU_EMU_VF_STATUS_ERROR)
			return -EIO;
		if (!(status & NVVGPU_EMU_VF_STATUS_BUSY))
			return user_work(user);
		usleep(1000);
	}

	return -ETIMEDOUT;
}

static int do_work(struct user_process *self)
{
	int ret;

	become_calm(self);
	switch (self->state) {
	case OPEN:
		return probe(&self->user.vdev);
	case DMA:
		return drain(&self->user);
	case RESET:
		if (self->failure)
			return self->failure;
		/* While the GPU is lost, only its registers show the state. */
		ret = probe(&self->user.vdev);
		return ret ?: user_back(&self->user);
	default:
		return user_work(&self->user);
	}
}

static int do_back(struct user_process *self)
{
	int ret;

	if (self->state != OPEN)
		return user_back(&self->user);
	ret = vdev_enable(&self->user.vdev, true);

	return ret ?: probe(&self->user.vdev);
}

/* Accesses that a user may perform at any time */
static int do_uapi(const struct vdev *vdev)
{
	struct vfio_device_info info;
	struct vfio_region_info region;
	struct vfio_irq_info irq;
	unsigned int i;
	__u32 word;
	void *map;
	int ret;

	ret = vdev_info(vdev, &info);
	for (i = 0; !ret && i < VFIO_PCI_NUM_REGIONS; i++) {
		ret = vdev_region_info(vdev, i, &region);
		if (ret == -EINVAL && i == VFIO_PCI_VGA_REGION_INDEX)
			ret = 0;
	}
	for (i = 0; !ret && i <= VFIO_PCI_MSIX_IRQ_INDEX; i++)
		ret = vdev_irq_info(vdev, i, &irq);
	if (ret)
		return ret;

	ret = vdev_read(vdev, VFIO_PCI_CONFIG_REGION_INDEX, 0, &word, 4);
	if (ret != 4)
		return ret < 0 ? ret : -EILSEQ;
	ret = vdev_read(vdev, NVVGPU_EMU_VF_BAR_FB, 0, &word, 4);
	if (ret == 4)
		ret = vdev_write(vdev, NVVGPU_EMU_VF_BAR_FB, 0, &word, 4);
	if (ret != 4 && ret != -EIO)
		return ret < 0 ? ret : -EILSEQ;

	ret = vdev_region_info(vdev, NVVGPU_EMU_VF_BAR_REGS, &region);
	if (ret)
		return ret;
	map = mmap(NULL, region.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   vdev->fd, region.offset);
	if (map == MAP_FAILED)
		return -errno;
	munmap(map, region.size);

	return 0;
}

static int do_look(const struct vdev *vdev)
{
	__u64 *fb = vdev->bar[NVVGPU_EMU_VF_BAR_FB];
	__u64 val;

	if (!fb)
		return -ENOENT;
	val = __atomic_load_n(fb, __ATOMIC_SEQ_CST);
	__atomic_store_n(fb, val, __ATOMIC_SEQ_CST);

	return val == MARK ? SEEN_MARK : val == ~0ULL ? SEEN_ONES : SEEN_ELSE;
}

static int do_quiet(const struct user *user)
{
	__u32 crc;

	if (!user->mem)
		return 0;
	crc = crc32c(0, user->mem, user->len);
	usleep(50000);

	return crc == crc32c(0, user->mem, user->len) ? 0 : -EILSEQ;
}

static int do_answer(struct user_process *self, int question)
{
	struct vdev *vdev = &self->user.vdev;

	switch (question) {
	case ASK_ERR:
		return irq_wait(self->err_fd, PATIENCE_MS);
	case ASK_NO_ERR:
		return irq_wait(self->err_fd, 0);
	case ASK_REQ:
		return irq_wait(self->req_fd, PATIENCE_MS);
	case ASK_NO_REQ:
		return irq_wait(self->req_fd, 0);
	case ASK_WORK:
		return do_work(self);
	case ASK_UAPI:
		return do_uapi(vdev);
	case ASK_LOOK:
		return do_look(vdev);
	case ASK_QUIET:
		return do_quiet(&self->user);
	case ASK_RESET:
		become_calm(self);
		return vdev_reset(vdev);
	case ASK_BACK:
		return do_back(self);
	case ASK_CLOSE_FILE:
		become_calm(self);
		close(vdev->fd);
		vdev->fd = -1;
		return 0;
	case ASK_CLOSE:
		become_calm(self);
		user_close(&self->user);
		return 0;
	}

	return -EINVAL;
}

/**
 * struct agent - a user, as the test knows it
 * @pid: pid of its process, 0 without a process
 * @fd: socket for questions and answers
 */
struct agent {
	pid_t pid;
	int fd;
};

static int agent_answer(const struct agent *agent)
{
	struct pollfd pfd = { .fd = agent->fd, .events = POLLIN };
	int answer;

	/* A request may take that long itself. */
	if (poll(&pfd, 1, 2 * PATIENCE_MS) != 1)
		return -ETIME;
	if (read(agent->fd, &answer, sizeof(answer)) != sizeof(answer))
		return -EPIPE;

	return answer;
}

static int ask(const struct agent *agent, int question)
{
	if (write(agent->fd, &question, sizeof(question)) != sizeof(question))
		return -EPIPE;

	return agent_answer(agent);
}

static void agent_main(const char *vf, enum state state, bool down, int fd)
{
	static struct user_process self;
	int word;

	self.state = state;
	self.down = down;
	word = user_begin(&self, vf);
	do {
		if (write(fd, &word, sizeof(word)) != sizeof(word) ||
		    read(fd, &word, sizeof(word)) != sizeof(word))
			break;
		word = do_answer(&self, word);
	} while (1);
	_exit(0);
}

/* Open a vGPU in a new process.  @down: the firmware will be down for a time. */
static int agent_start(struct agent *agent, const char *vf, enum state state,
		       bool down)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd))
		return -errno;
	agent->fd = fd[0];
	agent->pid = fork();
	if (agent->pid < 0)
		return -errno;
	if (!agent->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fd[0]);
		agent_main(vf, state, down, fd[1]);
	}
	close(fd[1]);

	return agent_answer(agent);
}

static void agent_kill(struct agent *agent)
{
	if (agent->pid <= 0)
		return;
	kill(agent->pid, SIGKILL);
	waitpid(agent->pid, NULL, 0);
	close(agent->fd);
	agent->pid = 0;
}

/*
 * Disasters
 */
enum disaster {
	PF_UNBOUND,
	SRIOV_DISABLED,
	VF_UNBOUND,
	BACKEND_REMOVED,
	FIRMWARE_CRASHED,
	FIRMWARE_WEDGED,
	/* Relatives of those above */
	PF_REMOVED,
	VGPU_CRASHED,
	PF_RESET,
	BUS_ERROR,
};

static int remove_backend(const struct pf *pf)
{
	return mod_del("nvvgpu-emu");
}

static int add_backend(const struct pf *pf)
{
	return mod_add("nvvgpu-emu", "");
}

static int unbind_pf(const struct pf *pf)
{
	return pci_unbind(pf->bdf);
}

static int bind_pf(const struct pf *pf)
{
	return driver_bind("nvvgpu-emu", pf->bdf);
}

static int remove_pf(const struct pf *pf)
{
	return pci_write(pf->bdf, "remove", "1");
}

static int find_pf(const struct pf *pf)
{
	return put("/sys/bus/pci/rescan", "1");
}

static bool is_there(const struct pf *pf)
{
	return pci_exists(pf->bdf, "driver");
}

static int disable_sriov(const struct pf *pf)
{
	return pci_write(pf->bdf, "sriov_numvfs", "0");
}

static int unbind_vf(const struct pf *pf)
{
	return pci_unbind(pf->vf[0]);
}

static int crash_firmware(const struct pf *pf)
{
	return fw_faults("now:crash");
}

static int wedge_firmware(const struct pf *pf)
{
	return fw_set_timeout(SILENCE_MS) ?: fw_faults("now:wedge");
}

static int crash_vgpu(const struct pf *pf)
{
	return fw_faults("now:vcrash=0");
}

/*
 * The PCI core wakes all functions up under pci_bus_sem before it tells them of an
 * error, and vfio-pci-core takes memory_lock then, which it also holds around a
 * change of power that takes pci_bus_sem.  Functions that are awake keep this from
 * lockdep, which would say it once, and then nothing more about anybody.
 */
static void vfs_stay_awake(const struct pf *pf, bool awake)
{
	unsigned int i;

	for (i = 0; i < pf->nr_vfs; i++)
		pci_write(pf->vf[i], "power/control", awake ? "on" : "auto");
}

/* The PF reports an error, which has this name in QEMU. */
static int report_error(const struct pf *pf, const char *name)
{
	char line[128], reply[512];
	int ret;

	snprintf(line, sizeof(line),
		 "{\"command-line\": \"pcie_aer_inject_error gpu %s\"}", name);
	vfs_stay_awake(pf, true);
	ret = qmp_execute("human-monitor-command", line, reply, sizeof(reply));
	if (!ret && !strstr(reply, "OK id: gpu"))
		ret = -EIO;

	return ret;
}

static long long crashes(const char *vf)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/nvvgpu/events",
		 vf);

	return get_value(path, "crashed");
}

/* The port above resets its link, and the GPU recovers automatically. */
static int break_link(const struct pf *pf)
{
	long long before = crashes(pf->vf[0]);
	int ret, tries;

	ret = report_error(pf, "DLP");
	if (ret)
		return ret;
	for (tries = 0; tries < PATIENCE_MS / 50; tries++) {
		/* First the GPU is lost, then new vGPUs can be created. */
		if (crashes(pf->vf[0]) != before &&
		    vf_creatable(pf->vf[2], 0) > 0) {
			vfs_stay_awake(pf, false);
			return 0;
		}
		usleep(50000);
	}

	return -ETIMEDOUT;
}

/**
 * struct plan - a disaster and its expected effects
 * @trigger: causes the disaster
 * @recover: undoes it, may be NULL
 * @refused: errno of @trigger while the vGPU is open
 * @waits: @trigger waits until the users of the removed devices have closed them
 * @all: affects all vGPUs of the GPU, not only one
 * @monitor: needs the monitor of the machine
 * @down: the firmware cannot recover a vGPU for a time
 * @err: users get the ERR interrupt
 * @event: uevent of an open vGPU
 * @idle_event: uevent of an idle vGPU
 * @state: state of an open vGPU before its user closes it
 * @idle_state: state of an idle vGPU, if its VF remains
 * @work: result of the work of a user, 0 if it continues
 * @content: expected mapping content
 */
struct plan {
	int (*trigger)(const struct pf *pf);
	int (*recover)(const struct pf *pf);
	int refused;
	bool waits;
	bool all;
	bool monitor;
	bool down;
	bool err;
	const char *event;
	const char *idle_event;
	const char *state;
	const char *idle_state;
	int work;
	enum content content;
};

static const struct plan plans[] = {
	[PF_UNBOUND] = {
		.trigger = unbind_pf, .recover = bind_pf,
		.waits = true, .all = true,
		.idle_event = "deleted",
		.content = SEEN_MARK,
	},
	[PF_REMOVED] = {
		.trigger = remove_pf, .recover = find_pf,
		.waits = true, .all = true,
		.idle_event = "deleted",
		.content = SEEN_MARK,
	},
	[SRIOV_DISABLED] = {
		.trigger = disable_sriov,
		.waits = true, .all = true,
		.idle_event = "deleted",
		.content = SEEN_MARK,
	},
	[VF_UNBOUND] = {
		.trigger = unbind_vf,
		.waits = true,
		.idle_event = "deleted",
		.content = SEEN_MARK,
	},
	[BACKEND_REMOVED] = {
		.trigger = remove_backend, .recover = add_backend,
		.refused = -EWOULDBLOCK,
		.all = true,
		.idle_event = "deleted",
		.state = "open",
		.content = SEEN_MARK,
	},
	[FIRMWARE_CRASHED] = {
		.trigger = crash_firmware, .recover = gpu_reset, .monitor = true,
		.down = true,
		.all = true, .err = true,
		.event = "crashed", .idle_event = "crashed",
		.state = "error", .idle_state = "error",
		.work = -ENODEV, .content = SEEN_ONES,
	},
	[FIRMWARE_WEDGED] = {
		.trigger = wedge_firmware, .recover = gpu_reset, .monitor = true,
		.down = true,
		.state = "open", .idle_state = "created",
		.content = SEEN_MARK,
	},
	[VGPU_CRASHED] = {
		.trigger = crash_vgpu, .monitor = true,
		.err = true,
		.event = "crashed", .idle_event = "crashed",
		.state = "error", .idle_state = "error",
		.work = -ENODEV, .content = SEEN_ONES,
	},
	[PF_RESET] = {
		.trigger = gpu_reset, .down = true,
		.all = true, .err = true,
		.event = "crashed", .idle_event = "crashed",
		.state = "error", .idle_state = "error",
		.work = -ENODEV, .content = SEEN_ONES,
	},
	[BUS_ERROR] = {
		.trigger = break_link, .monitor = true, .down = true,
		.all = true, .err = true,
		.event = "crashed", .idle_event = "crashed",
		.state = "error", .idle_state = "error",
		.work = -ENODEV, .content = SEEN_ONES,
	},
};

/**
 * struct scene - state of a test case
 * @pf: the GPU
 * @vf: the VF that the disaster affects
 * @types: types of the GPU
 * @type: type of the vGPUs
 * @plan: the disaster
 * @state: state of the vGPU before the disaster
 * @uevents: socket that receives uevents
 * @victim: user of the vGPU, unless it is idle
 * @other: user of another vGPU
 * @trigger_pid: process that causes the disaster
 * @picture: picture_take() before the first vGPU was created
 */
struct scene {
	struct pf pf;
	const char *vf;
	struct vgpu_type types[MAX_TYPES];
	const struct vgpu_type *type;
	const struct plan *plan;
	enum state state;
	int uevents;
	struct agent victim;
	struct agent other;
	pid_t trigger_pid;
	char *picture;
};

static void scene_set(struct __test_metadata *_metadata, struct scene *scene,
		      enum disaster disaster, enum state state)
{
	int nr;

	scene->plan = &plans[disaster];
	scene->state = state;
	ASSERT_GPU(&scene->pf, TEST_VFS);
	scene->vf = scene->pf.vf[0];
	nr = vf_types(scene->vf, scene->types, MAX_TYPES);
	ASSERT_LT(0, nr);
	scene->type = type_smallest(scene->types, nr);
	scene->uevents = uevent_open();
	ASSERT_LE(0, scene->uevents);
	scene->picture = picture_take(&scene->pf);

	/* Bound last, an idle VF still must not wait for one that is open. */
	if (state == IDLE) {
		ASSERT_EQ(0, pci_unbind(scene->vf));
		ASSERT_EQ(0, pci_bind(scene->vf, FRONT_END_DRIVER));
	}
	ASSERT_EQ(0, vf_set_type(scene->vf, scene->type->id));
	if (state != IDLE)
		ASSERT_EQ(0, agent_start(&scene->victim, scene->vf, state,
					 scene->plan->down));

	/* An open vGPU would hold the module. */
	if (state == IDLE && scene->plan->refused)
		return;
	ASSERT_EQ(0, vf_set_type(scene->pf.vf[1], scene->type->id));
	ASSERT_EQ(0, agent_start(&scene->other, scene->pf.vf[1], MMAPPED,
				 scene->plan->down));
	ASSERT_EQ(0, ask(&scene->other, ASK_WORK));
}

static void scene_clear(struct scene *scene)
{
	agent_kill(&scene->victim);
	agent_kill(&scene->other);
	if (scene->trigger_pid > 0)
		waitpid(scene->trigger_pid, NULL, 0);
	if (qmp_available())
		fw_faults("");
	/* Only a failed test leaves this state. */
	if (!is_there(&scene->pf) && scene->plan->recover)
		scene->plan->recover(&scene->pf);
	fw_set_timeout(FW_TIMEOUT_MS);
	if (gpu_prepare(&scene->pf, TEST_VFS))
		gpu_reset(&scene->pf);
	gpu_clean(&scene->pf);
	close(scene->uevents);
	free(scene->picture);
}

/* Cause the disaster in a process that has no file of the GPU. */
static int trigger(struct scene *scene)
{
	scene->trigger_pid = fork();
	if (!scene->trigger_pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(-scene->plan->trigger(&scene->pf));
	}

	return scene->trigger_pid < 0 ? -errno : 0;
}

/* The result, or -ETIMEDOUT */
static int trigger_wait(struct scene *scene, int timeout_ms)
{
	int status, tries;

	for (tries = 0;; tries++) {
		if (waitpid(scene->trigger_pid, &status, WNOHANG) ==
		    scene->trigger_pid) {
			scene->trigger_pid = 0;
			return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
		}
		if (tries >= timeout_ms / 10)
			return -ETIMEDOUT;
		usleep(10000);
	}
}

/* The user is notified, and its activity ends as promised. */
static void expect_told(struct __test_metadata *_metadata, struct scene *scene)
{
	const struct plan *plan = scene->plan;
	const struct agent *victim = &scene->victim;

	if (plan->err)
		EXPECT_LT(0, ask(victim, ASK_ERR));
	EXPECT_EQ(plan->waits, ask(victim, plan->waits ? ASK_REQ : ASK_NO_REQ) > 0);
	/* Resets by the user detect that the firmware does not respond. */
	if (!plan->err && !(plan->trigger == wedge_firmware &&
			    scene->state == RESET))
		EXPECT_EQ(0, ask(victim, ASK_NO_ERR));
	if (plan->event)
		EXPECT_EQ(0, uevent_wait(scene->uevents, scene->vf, plan->event,
					 PATIENCE_MS));
}

static void expect_errors(struct __test_metadata *_metadata,
			  struct scene *scene)
{
	const struct plan *plan = scene->plan;
	const struct agent *victim = &scene->victim;

	EXPECT_EQ(plan->work, ask(victim, ASK_WORK));
	EXPECT_EQ(0, ask(victim, ASK_UAPI));
	if (plan->work)
		EXPECT_EQ(0, ask(victim, ASK_QUIET));
	if (scene->state == MMAPPED)
		EXPECT_EQ(plan->content, ask(victim, ASK_LOOK));
}

/* Other users are not affected. */
static void expect_other_goes_on(struct __test_metadata *_metadata,
				 struct scene *scene)
{
	const struct agent *other = &scene->other;

	EXPECT_EQ(0, ask(other, ASK_WORK));
	EXPECT_EQ(SEEN_MARK, ask(other, ASK_LOOK));
	EXPECT_EQ(0, ask(other, ASK_NO_ERR));
	EXPECT_EQ(0, ask(other, ASK_NO_REQ));
}

/* Restore the initial state; check that it works and nothing has leaked. */
static void expect_as_before(struct __test_metadata *_metadata,
			     struct scene *scene)
{
	const char *change;
	char *picture;

	agent_kill(&scene->victim);
	agent_kill(&scene->other);
	ASSERT_GPU(&scene->pf, TEST_VFS);
	EXPECT_EQ(0, vgpu_life(scene->pf.vf[0], scene->type));
	EXPECT_EQ(0, vgpu_life(scene->pf.vf[1], scene->type));
	picture = picture_take(&scene->pf);
	change = picture_change(scene->picture, picture);
	EXPECT_EQ(NULL, change)
		TH_LOG("%s", change ?: "");
	free(picture);
}

/*
 * A device that is removed belongs to its user until it is closed, or the user is
 * killed.
 */
static void taken_away(struct __test_metadata *_metadata, struct scene *scene,
		       bool killed)
{
	const struct plan *plan = scene->plan;
	struct agent *victim = &scene->victim;
	struct agent *other = &scene->other;

	ASSERT_EQ(0, trigger(scene));
	if (scene->state == IDLE) {
		EXPECT_EQ(0, uevent_wait(scene->uevents, scene->vf,
					 plan->idle_event, PATIENCE_MS));
	} else {
		expect_told(_metadata, scene);
		/* A user is killed during its activity. */
		if (!killed)
			expect_errors(_metadata, scene);
		if (!plan->all)
			expect_other_goes_on(_metadata, scene);
		EXPECT_EQ(-ETIMEDOUT, trigger_wait(scene, 100));

		/* A mapping keeps the device open like a file. */
		if (!killed && scene->state == MMAPPED) {
			EXPECT_EQ(0, ask(victim, ASK_CLOSE_FILE));
			EXPECT_EQ(-ETIMEDOUT, trigger_wait(scene, 300));
			EXPECT_EQ(plan->content, ask(victim, ASK_LOOK));
		}
		if (killed)
			agent_kill(victim);
		else
			EXPECT_EQ(0, ask(victim, ASK_CLOSE));
	}

	if (plan->all) {
		if (plan->err)
			EXPECT_LT(0, ask(other, ASK_ERR));
		EXPECT_LT(0, ask(other, ASK_REQ));
		EXPECT_EQ(plan->work, ask(other, ASK_WORK));
		EXPECT_EQ(plan->content, ask(other, ASK_LOOK));
		EXPECT_EQ(-ETIMEDOUT, trigger_wait(scene, 100));
		EXPECT_EQ(0, ask(other, ASK_CLOSE));
	}
	EXPECT_EQ(0, trigger_wait(scene, PATIENCE_MS));
	EXPECT_FALSE(pci_exists(scene->vf, "vfio-dev"));
	EXPECT_EQ(!plan->all, pci_exists(scene->pf.bdf, "virtfn0"));
	if (!plan->all)
		expect_other_goes_on(_metadata, scene);
	if (plan->recover)
		ASSERT_EQ(0, plan->recover(&scene->pf));
}

static void expect_back(struct __test_metadata *_metadata,
			const struct agent *agent, const char *vf)
{
	EXPECT_EQ(0, ask(agent, ASK_RESET));
	EXPECT_STREQ("open", vf_wait_state(vf, "open"));
	EXPECT_EQ(0, ask(agent, ASK_BACK));
}

/* The vGPU is lost until it is recovered. */
static void lost(struct __test_metadata *_metadata, struct scene *scene)
{
	const struct plan *plan = scene->plan;
	const struct agent *victim = &scene->victim;
	const struct agent *other = &scene->other;
	bool silent = plan->trigger == wedge_firmware;
	/* A vGPU that is being reset is recovered by that reset. */
	bool healed = scene->state == RESET && plan->work && !plan->recover;

	ASSERT_EQ(0, trigger(scene));
	EXPECT_EQ(0, trigger_wait(scene, PATIENCE_MS));
	if (scene->state != IDLE && !healed)
		expect_told(_metadata, scene);
	else if (plan->event)
		EXPECT_EQ(0, uevent_wait(scene->uevents, scene->vf,
					 plan->event, PATIENCE_MS));

	/* Nobody has detected yet that the firmware does not respond. */
	if (silent && scene->state == IDLE) {
		EXPECT_STREQ("created", vf_wait_state(scene->vf, "created"));
		EXPECT_EQ(-ETIMEDOUT, vf_set_type(scene->vf, 0));
	} else if (silent) {
		if (scene->state != RESET) {
			expect_errors(_metadata, scene);
			EXPECT_STREQ("open", vf_wait_state(scene->vf, "open"));
		}
		EXPECT_EQ(-EIO, ask(victim, ASK_RESET));
		EXPECT_LT(0, ask(victim, ASK_ERR));
	} else if (scene->state != IDLE && !healed) {
		expect_errors(_metadata, scene);
	}
	if (!healed)
		EXPECT_STREQ("error", vf_wait_state(scene->vf, "error"));

	if (!plan->all) {
		expect_other_goes_on(_metadata, scene);
	} else {
		EXPECT_LT(0, ask(other, ASK_ERR));
		EXPECT_EQ(plan->work, ask(other, ASK_WORK));
	}

	if (plan->recover) {
		/* Before that, neither a reset nor another VF helps. */
		if (scene->state != IDLE) {
			EXPECT_EQ(-EIO, ask(victim, ASK_RESET));
			EXPECT_LT(0, ask(victim, ASK_ERR));
			EXPECT_STREQ("error", vf_wait_state(scene->vf,
							    "error"));
		}
		EXPECT_GT(0, vf_set_type(scene->pf.vf[2], scene->type->id));
		ASSERT_EQ(0, fw_faults(""));
		ASSERT_EQ(0, fw_set_timeout(FW_TIMEOUT_MS));
		ASSERT_EQ(0, plan->recover(&scene->pf));
	}
	if (scene->state == IDLE) {
		EXPECT_EQ(0, pci_write(scene->vf, "reset", "1"));
		EXPECT_STREQ("created", vf_wait_state(scene->vf, "created"));
	} else {
		expect_back(_metadata, victim, scene->vf);
	}
	if (plan->all || plan->recover)
		expect_back(_metadata, other, scene->pf.vf[1]);
	else
		expect_other_goes_on(_metadata, scene);
}

/* A device in use is not removed, and the attempt has no effect. */
static void refused(struct __test_metadata *_metadata, struct scene *scene)
{
	const struct plan *plan = scene->plan;

	ASSERT_EQ(0, trigger(scene));
	if (scene->state == IDLE) {
		EXPECT_EQ(0, trigger_wait(scene, PATIENCE_MS));
		EXPECT_EQ(0, uevent_wait(scene->uevents, scene->vf,
					 plan->idle_event, PATIENCE_MS));
		EXPECT_FALSE(pci_exists(scene->pf.bdf, "virtfn0"));
		ASSERT_EQ(0, plan->recover(&scene->pf));
		return;
	}
	EXPECT_EQ(plan->refused, trigger_wait(scene, PATIENCE_MS));
	expect_told(_metadata, scene);
	EXPECT_STREQ(plan->state, vf_wait_state(scene->vf, plan->state));
	expect_errors(_metadata, scene);
	expect_other_goes_on(_metadata, scene);
}

/* Check whether to skip this combination in short runs. */
static bool left_out(enum disaster disaster, enum state state)
{
	bool busy = state == DMA || state == RESET;

	if (test_long())
		return false;
	if (test_slow() && !test_all())
		return disaster >= PF_REMOVED || !busy;

	return disaster >= PF_REMOVED && state != DMA;
}

/*
 * Each disaster with each state
 */
FIXTURE(disaster) {
	struct scene scene;
};

FIXTURE_VARIANT(disaster) {
	enum disaster disaster;
	enum state state;
};

FIXTURE_VARIANT_ADD(disaster, pf_unbound_while_idle) { PF_UNBOUND, IDLE };
FIXTURE_VARIANT_ADD(disaster, pf_unbound_while_open) { PF_UNBOUND, OPEN };
FIXTURE_VARIANT_ADD(disaster, pf_unbound_while_mmapped) { PF_UNBOUND, MMAPPED };
FIXTURE_VARIANT_ADD(disaster, pf_unbound_in_dma) { PF_UNBOUND, DMA };
FIXTURE_VARIANT_ADD(disaster, pf_unbound_in_reset) { PF_UNBOUND, RESET };

FIXTURE_VARIANT_ADD(disaster, pf_removed_while_idle) { PF_REMOVED, IDLE };
FIXTURE_VARIANT_ADD(disaster, pf_removed_while_open) { PF_REMOVED, OPEN };
FIXTURE_VARIANT_ADD(disaster, pf_removed_while_mmapped) { PF_REMOVED, MMAPPED };
FIXTURE_VARIANT_ADD(disaster, pf_removed_in_dma) { PF_REMOVED, DMA };
FIXTURE_VARIANT_ADD(disaster, pf_removed_in_reset) { PF_REMOVED, RESET };

FIXTURE_VARIANT_ADD(disaster, sriov_disabled_while_idle) { SRIOV_DISABLED, IDLE };
FIXTURE_VARIANT_ADD(disaster, sriov_disabled_while_open) { SRIOV_DISABLED, OPEN };
FIXTURE_VARIANT_ADD(disaster, sriov_disabled_while_mmapped) { SRIOV_DISABLED, MMAPPED };
FIXTURE_VARIANT_ADD(disaster, sriov_disabled_in_dma) { SRIOV_DISABLED, DMA };
FIXTURE_VARIANT_ADD(disaster, sriov_disabled_in_reset) { SRIOV_DISABLED, RESET };

FIXTURE_VARIANT_ADD(disaster, vf_unbound_while_idle) { VF_UNBOUND, IDLE };
FIXTURE_VARIANT_ADD(disaster, vf_unbound_while_open) { VF_UNBOUND, OPEN };
FIXTURE_VARIANT_ADD(disaster, vf_unbound_while_mmapped) { VF_UNBOUND, MMAPPED };
FIXTURE_VARIANT_ADD(disaster, vf_unbound_in_dma) { VF_UNBOUND, DMA };
FIXTURE_VARIANT_ADD(disaster, vf_unbound_in_reset) { VF_UNBOUND, RESET };

FIXTURE_VARIANT_ADD(disaster, backend_removed_while_idle) { BACKEND_REMOVED, IDLE };
FIXTURE_VARIANT_ADD(disaster, backend_removed_while_open) { BACKEND_REMOVED, OPEN };
FIXTURE_VARIANT_ADD(disaster, backend_removed_while_mmapped) { BACKEND_REMOVED, MMAPPED };
FIXTURE_VARIANT_ADD(disaster, backend_removed_in_dma) { BACKEND_REMOVED, DMA };
FIXTURE_VARIANT_ADD(disaster, backend_removed_in_reset) { BACKEND_REMOVED, RESET };

FIXTURE_VARIANT_ADD(disaster, firmware_crashed_while_idle) { FIRMWARE_CRASHED, IDLE };
FIXTURE_VARIANT_ADD(disaster, firmware_crashed_while_open) { FIRMWARE_CRASHED, OPEN };
FIXTURE_VARIANT_ADD(disaster, firmware_crashed_while_mmapped) { FIRMWARE_CRASHED, MMAPPED };
FIXTURE_VARIANT_ADD(disaster, firmware_crashed_in_dma) { FIRMWARE_CRASHED, DMA };
FIXTURE_VARIANT_ADD(disaster, firmware_crashed_in_reset) { FIRMWARE_CRASHED, RESET };

FIXTURE_VARIANT_ADD(disaster, firmware_wedged_while_idle) { FIRMWARE_WEDGED, IDLE };
FIXTURE_VARIANT_ADD(disaster, firmware_wedged_while_open) { FIRMWARE_WEDGED, OPEN };
FIXTURE_VARIANT_ADD(disaster, firmware_wedged_while_mmapped) { FIRMWARE_WEDGED, MMAPPED };
FIXTURE_VARIANT_ADD(disaster, firmware_wedged_in_dma) { FIRMWARE_WEDGED, DMA };
FIXTURE_VARIANT_ADD(disaster, firmware_wedged_in_reset) { FIRMWARE_WEDGED, RESET };

FIXTURE_VARIANT_ADD(disaster, vgpu_crashed_while_idle) { VGPU_CRASHED, IDLE };
FIXTURE_VARIANT_ADD(disaster, vgpu_crashed_while_open) { VGPU_CRASHED, OPEN };
FIXTURE_VARIANT_ADD(disaster, vgpu_crashed_while_mmapped) { VGPU_CRASHED, MMAPPED };
FIXTURE_VARIANT_ADD(disaster, vgpu_crashed_in_dma) { VGPU_CRASHED, DMA };
FIXTURE_VARIANT_ADD(disaster, vgpu_crashed_in_reset) { VGPU_CRASHED, RESET };

FIXTURE_VARIANT_ADD(disaster, pf_reset_while_idle) { PF_RESET, IDLE };
FIXTURE_VARIANT_ADD(disaster, pf_reset_while_open) { PF_RESET, OPEN };
FIXTURE_VARIANT_ADD(disaster, pf_reset_while_mmapped) { PF_RESET, MMAPPED };
FIXTURE_VARIANT_ADD(disaster, pf_reset_in_dma) { PF_RESET, DMA };
FIXTURE_VARIANT_ADD(disaster, pf_reset_in_reset) { PF_RESET, RESET };

FIXTURE_VARIANT_ADD(disaster, bus_error_while_idle) { BUS_ERROR, IDLE };
FIXTURE_VARIANT_ADD(disaster, bus_error_while_open) { BUS_ERROR, OPEN };
FIXTURE_VARIANT_ADD(disaster, bus_error_while_mmapped) { BUS_ERROR, MMAPPED };
FIXTURE_VARIANT_ADD(disaster, bus_error_in_dma) { BUS_ERROR, DMA };
FIXTURE_VARIANT_ADD(disaster, bus_error_in_reset) { BUS_ERROR, RESET };

FIXTURE_SETUP(disaster)
{
	if (plans[variant->disaster].monitor && !qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to make it happen");
	if (left_out(variant->disaster, variant->state))
		SKIP(return, "only with NVVGPU_TEST_ALL");
	scene_set(_metadata, &self->scene, variant->disaster, variant->state);
}

FIXTURE_TEARDOWN(disaster)
{
	if (self->scene.plan)
		scene_clear(&self->scene);
}

TEST_F(disaster, is_reported_and_survived)
{
	struct scene *scene = &self->scene;

	if (scene->plan->refused)
		refused(_metadata, scene);
	else if (scene->plan->waits)
		taken_away(_metadata, scene, false);
	else
		lost(_metadata, scene);
	expect_as_before(_metadata, scene);
}

/*
 * Smaller things
 */
FIXTURE(mishap) {
	struct pf pf;
	const char *vf;
	struct vgpu_type types[MAX_TYPES];
	const struct vgpu_type *type;
	struct agent agent;
};

FIXTURE_SETUP(mishap)
{
	int nr;

	ASSERT_GPU(&self->pf, TEST_VFS);
	self->vf = self->pf.vf[0];
	nr = vf_types(self->vf, self->types, MAX_TYPES);
	ASSERT_LT(0, nr);
	self->type = type_smallest(self->types, nr);
	ASSERT_EQ(0, vf_set_type(self->vf, self->type->id));
}

FIXTURE_TEARDOWN(mishap)
{
	agent_kill(&self->agent);
	gpu_clean(&self->pf);
}

TEST_F(mishap, nonfatal_error_is_reported_and_changes_nothing)
{
	if (!qmp_available())
		SKIP(return, "no machine that can report errors");
	ASSERT_EQ(0, agent_start(&self->agent, self->vf, MMAPPED, false));
	ASSERT_EQ(0, report_error(&self->pf, "COMP_ABORT"));
	EXPECT_LT(0, ask(&self->agent, ASK_ERR));
	EXPECT_EQ(0, ask(&self->agent, ASK_WORK));
	EXPECT_EQ(SEEN_MARK, ask(&self->agent, ASK_LOOK));
	EXPECT_STREQ("open", vf_wait_state(self->vf, "open"));
	vfs_stay_awake(&self->pf, false);
}

TEST_F(mishap, vf_is_never_reset_with_the_gpu)
{
	char methods[64];

	ASSERT_LT(0, pci_read(self->vf, "reset_method", methods,
			      sizeof(methods)));
	EXPECT_NE(NULL, strstr(methods, "flr"));
	EXPECT_EQ(NULL, strstr(methods, "bus"));
}

/* Methods that do not reset the GPU stay as they were set, also after an unbind. */
TEST_F(mishap, reset_methods_of_the_administrator_are_kept)
{
	char before[64], now[64];

	ASSERT_EQ(0, pci_unbind(self->vf));
	ASSERT_EQ(0, pci_write(self->vf, "reset_method", "default"));
	ASSERT_LT(0, pci_read(self->vf, "reset_method", before,
			      sizeof(before)));
	if (!strstr(before, "bus")) {
		ASSERT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
		SKIP(return, "the kernel resets no slot for a VF");
	}
	ASSERT_EQ(0, pci_write(self->vf, "reset_method", "bus flr"));
	ASSERT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
	ASSERT_LT(0, pci_read(self->vf, "reset_method", now, sizeof(now)));
	EXPECT_STREQ("flr\n", now);
	ASSERT_EQ(0, pci_unbind(self->vf));
	ASSERT_LT(0, pci_read(self->vf, "reset_method", now, sizeof(now)));
	EXPECT_STREQ("bus flr\n", now);

	/* What is written while it is bound stays. */
	ASSERT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
	ASSERT_EQ(0, pci_write(self->vf, "reset_method", "\n"));
	ASSERT_EQ(0, pci_unbind(self->vf));
	EXPECT_EQ(0, pci_read(self->vf, "reset_method", now, sizeof(now)));
	ASSERT_EQ(0, pci_write(self->vf, "reset_method", "default"));
	ASSERT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
}

TEST_F(mishap, front_end_in_use_stays)
{
	int refs = mod_refs("nvvgpu-vfio-pci");

	/* The back-end has references of its own. */
	ASSERT_LE(0, refs);
	ASSERT_EQ(0, agent_start(&self->agent, self->vf, DMA, false));
	EXPECT_LT(refs, mod_refs("nvvgpu-vfio-pci"));
	EXPECT_EQ(-EWOULDBLOCK, mod_del("nvvgpu-vfio-pci"));
	EXPECT_EQ(0, ask(&self->agent, ASK_WORK));
	EXPECT_EQ(0, ask(&self->agent, ASK_CLOSE));
	EXPECT_EQ(refs, mod_refs("nvvgpu-vfio-pci"));
}

static int wait_for_pf(const struct pf *pf, bool there)
{
	int tries;

	for (tries = 0; is_there(pf) != there; tries++) {
		if (tries == PATIENCE_MS / 50)
			return -ETIMEDOUT;
		usleep(50000);
	}

	return 0;
}

TEST_F(mishap, gpu_unplugged_while_open)
{
	const char *add = "{\"driver\": \"nvvgpu-emu\", \"id\": \"gpu\", \"bus\": \"port-gpu\"}";
	int ret = 0, tries;

	if (!test_all())
		SKIP(return, "takes long, only with NVVGPU_TEST_ALL");
	/*
	 * Whatever its driver is, pciehp removes VFs before their PF, whose
	 * references for them are then never put, and takes reset_lock and
	 * pci_rescan_remove_lock in another order than error recovery.
	 */
	if (!access("/proc/lockdep", F_OK) &&
	    !getenv("NVVGPU_TEST_PATCHED_KERNEL"))
		SKIP(return, "the kernel's hotplug leaks PFs and trips lockdep");
	if (!qmp_available() || access("/sys/bus/pci/slots/1/power", F_OK))
		SKIP(return, "no machine whose GPU can be unplugged");
	ASSERT_EQ(0, agent_start(&self->agent, self->vf, DMA, false));
	ASSERT_EQ(0, qmp_execute("device_del", "{\"id\": \"gpu\"}", NULL, 0));

	/* The VFs are removed first, and the vGPU works until it is closed. */
	EXPECT_LT(0, ask(&self->agent, ASK_REQ));
	EXPECT_EQ(0, ask(&self->agent, ASK_WORK));
	EXPECT_EQ(0, ask(&self->agent, ASK_CLOSE));
	EXPECT_EQ(0, wait_for_pf(&self->pf, false));

	/* QEMU may still be busy with the old one. */
	for (tries = 0; tries < PATIENCE_MS / 500; tries++) {
		ret = qmp_execute("device_add", add, NULL, 0);
		if (!ret)
			break;
		usleep(500000);
	}
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, wait_for_pf(&self->pf, true));
	ASSERT_GPU(&self->pf, TEST_VFS);
	EXPECT_EQ(0, vgpu_life(self->vf, self->type));
}

/*
 * A user that ignores REQ
 */
FIXTURE(deaf_user) {
	struct scene scene;
};

FIXTURE_VARIANT(deaf_user) {
	enum disaster disaster;
	enum state state;
};

FIXTURE_VARIANT_ADD(deaf_user, pf_unbound_while_open) { PF_UNBOUND, OPEN };
FIXTURE_VARIANT_ADD(deaf_user, pf_unbound_while_mmapped) { PF_UNBOUND, MMAPPED };
FIXTURE_VARIANT_ADD(deaf_user, pf_unbound_in_dma) { PF_UNBOUND, DMA };
FIXTURE_VARIANT_ADD(deaf_user, pf_unbound_in_reset) { PF_UNBOUND, RESET };

FIXTURE_VARIANT_ADD(deaf_user, sriov_disabled_while_open) { SRIOV_DISABLED, OPEN };
FIXTURE_VARIANT_ADD(deaf_user, sriov_disabled_while_mmapped) { SRIOV_DISABLED, MMAPPED };
FIXTURE_VARIANT_ADD(deaf_user, sriov_disabled_in_dma) { SRIOV_DISABLED, DMA };
FIXTURE_VARIANT_ADD(deaf_user, sriov_disabled_in_reset) { SRIOV_DISABLED, RESET };

FIXTURE_VARIANT_ADD(deaf_user, vf_unbound_while_open) { VF_UNBOUND, OPEN };
FIXTURE_VARIANT_ADD(deaf_user, vf_unbound_while_mmapped) { VF_UNBOUND, MMAPPED };
FIXTURE_VARIANT_ADD(deaf_user, vf_unbound_in_dma) { VF_UNBOUND, DMA };
FIXTURE_VARIANT_ADD(deaf_user, vf_unbound_in_reset) { VF_UNBOUND, RESET };

FIXTURE_SETUP(deaf_user)
{
	if (left_out(variant->disaster, variant->state) ||
	    (!test_long() && variant->state != DMA))
		SKIP(return, "only with NVVGPU_TEST_ALL");
	scene_set(_metadata, &self->scene, variant->disaster, variant->state);
}

FIXTURE_TEARDOWN(deaf_user)
{
	if (self->scene.plan)
		scene_clear(&self->scene);
}

TEST_F(deaf_user, is_waited_for_until_it_is_killed)
{
	taken_away(_metadata, &self->scene, true);
	expect_as_before(_metadata, &self->scene);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv, gpu_missing());
}
