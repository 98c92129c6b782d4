// SPDX-License-Identifier: GPL-2.0
/*
 * Failed allocations: in each step of a vGPU's life the first allocation fails, then
 * the second and so on, until the step has no more allocations.  Each failure returns
 * the right errno and changes nothing, and the step succeeds when it is repeated.
 *
 * Needs a kernel with fault injection.  Without NVVGPU_TEST_ALL some allocations are
 * left out.
 */
#include <fcntl.h>

#include <sys/ioctl.h>

#include <linux/pci_regs.h>

#include "nvvgpu_test.h"
#include "lib/backend.h"
#include "lib/fail_nth.h"
#include "lib/migration.h"
#include "lib/picture.h"

/* More than the allocations of any step */
#define NTH_MAX		3000

/*
 * The steps
 */
enum step {
	CREATE,
	DELETE,
	OPEN,
	CLOSE,
	IOCTL_RESET,
	FLR,
	MMAP,
	IRQS,
	INFO,
	READ_WRITE,
	SYSFS_READ,
	HOST_RESET,
	BIND,
	SAVE,
	LOAD,
};

/**
 * struct stage - what the steps are done with
 * @vf: PCI name
 * @type: type of the vGPU
 * @user: its device and its IOAS
 * @type_fd: nvidia/current_vgpu_type, as opening it is none of the steps
 * @reset_fd: the VF's reset
 * @bind_fd: the driver's bind
 * @flr_reg: offset in configuration space
 * @file_fd: @vf_files
 * @stream: the vGPU's state
 */
struct stage {
	const char *vf;
	struct vgpu_type type;
	struct user user;
	int type_fd;
	int reset_fd;
	int bind_fd;
	unsigned int flr_reg;
	int file_fd[NR_VF_FILES];
	struct stream stream;
};

FIXTURE(nth) {
	struct pf pf;
	struct stage stage;
	int nth_fd;
	char *picture;
};

FIXTURE_VARIANT(nth) {
	enum step step;
	/* state of the vGPU that is also valid after a failure */
	const char *or_state;
	/* allocations are too many to let each fail every time */
	unsigned int stride;
};

FIXTURE_VARIANT_ADD(nth, create) { CREATE, NULL, 1 };
/* If the firmware was not reached, the vGPU may or may not exist. */
FIXTURE_VARIANT_ADD(nth, delete) { DELETE, "error", 1 };
FIXTURE_VARIANT_ADD(nth, open) { OPEN, NULL, 9 };
/* A vGPU that was not scrubbed must not be used. */
FIXTURE_VARIANT_ADD(nth, close) { CLOSE, "error", 3 };
FIXTURE_VARIANT_ADD(nth, reset) { IOCTL_RESET, NULL, 2 };
FIXTURE_VARIANT_ADD(nth, flr) { FLR, NULL, 2 };
FIXTURE_VARIANT_ADD(nth, mmap) { MMAP, NULL, 1 };
FIXTURE_VARIANT_ADD(nth, irqs) { IRQS, NULL, 5 };
FIXTURE_VARIANT_ADD(nth, info) { INFO, NULL, 1 };
FIXTURE_VARIANT_ADD(nth, read_write) { READ_WRITE, NULL, 1 };
FIXTURE_VARIANT_ADD(nth, sysfs_read) { SYSFS_READ, NULL, 1 };
FIXTURE_VARIANT_ADD(nth, host_reset) { HOST_RESET, NULL, 2 };
FIXTURE_VARIANT_ADD(nth, bind) { BIND, NULL, 13 };
FIXTURE_VARIANT_ADD(nth, save) { SAVE, NULL, 1 };
FIXTURE_VARIANT_ADD(nth, load) { LOAD, NULL, 1 };

static int vf_file(const char *vf, const char *file, int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", vf, file);
	fd = open(path, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

FIXTURE_SETUP(nth)
{
	struct stage *stage = &self->stage;
	unsigned int i;

	self->nth_fd = nth_open();
	if (self->nth_fd < 0)
		SKIP(return, "this kernel has no fault injection");
	ASSERT_GPU(&self->pf, TEST_VFS);
	self->picture = picture_take(&self->pf);

	stage->vf = self->pf.vf[0];
	ASSERT_EQ(1, vf_types(stage->vf, &stage->type, 1));
	ASSERT_EQ(0, ioas_open(&stage->user.own, IOMMU_IOMMUFD));
	vdev_init(&stage->user.vdev, stage->vf, &stage->user.own);
	stage->type_fd = vf_file(stage->vf, "nvidia/current_vgpu_type",
				 O_WRONLY);
	ASSERT_LE(0, stage->type_fd);
	stage->reset_fd = vf_file(stage->vf, "reset", O_WRONLY);
	ASSERT_LE(0, stage->reset_fd);
	stage->bind_fd = open("/sys/bus/pci/drivers/" FRONT_END_DRIVER "/bind",
			      O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, stage->bind_fd);
	for (i = 0; i < NR_VF_FILES; i++) {
		stage->file_fd[i] = -1;
		if (!(vf_files[i].mode & 0400))
			continue;
		stage->file_fd[i] = vf_file(stage->vf, vf_files[i].name, O_RDONLY);
		ASSERT_LE(0, stage->file_fd[i]);
	}
}

static void stage_close(struct stage *stage)
{
	unsigned int i;

	vdev_close(&stage->user.vdev);
	ioas_close(&stage->user.own);
	stream_free(&stage->stream);
	close(stage->type_fd);
	close(stage->reset_fd);
	close(stage->bind_fd);
	for (i = 0; i < NR_VF_FILES; i++)
		close(stage->file_fd[i]);
}

FIXTURE_TEARDOWN(nth)
{
	if (!self->picture)
		return;
	nth_end(self->nth_fd);
	vdev_close(&self->stage.user.vdev);
	gpu_clean(&self->pf);
	free(self->picture);
}

static int write_text(int fd, const char *text)
{
	return pwrite(fd, text, strlen(text), 0) < 0 ? -errno : 0;
}

static int set_type(int fd, unsigned int type)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", type);

	return write_text(fd, text);
}

/* All readable files of the front-end, each by one read */
static int read_files(const struct stage *stage)
{
	static char buf[8192];
	unsigned int i;

	for (i = 0; i < NR_VF_FILES; i++)
		if (stage->file_fd[i] >= 0 &&
		    pread(stage->file_fd[i], buf, sizeof(buf), 0) < 0)
			return -errno;

	return 0;
}

static int get_info(const struct vdev *vdev)
{
	struct {
		struct vfio_region_info info;
		char caps[256];
	} region = {
		.info.argsz = sizeof(region),
	};
	struct vfio_device_info info;
	struct vfio_irq_info irq;
	unsigned int i;
	int ret;

	ret = vdev_info(vdev, &info);
	for (i = 0; !ret && i <= VFIO_PCI_CONFIG_REGION_INDEX; i++) {
		region.info.index = i;
		if (ioctl(vdev->fd, VFIO_DEVICE_GET_REGION_INFO, &region))
			ret = -errno;
	}
	for (i = 0; !ret && i <= VFIO_PCI_MSIX_IRQ_INDEX; i++)
		ret = vdev_irq_info(vdev, i, &irq);

	return ret;
}

static int read_write(const struct vdev *vdev)
{
	__u32 word = 0;
	int ret;

	ret = vdev_write(vdev, NVVGPU_EMU_VF_BAR_FB, 0, &word, 4);
	if (ret == 4)
		ret = vdev_read(vdev, NVVGPU_EMU_VF_BAR_FB, 0, &word, 4);
	if (ret == 4)
		ret = vdev_read(vdev, VFIO_PCI_CONFIG_REGION_INDEX, 0, &word,
				4);

	return ret == 4 ? 0 : ret < 0 ? ret : -EIO;
}

static int map_bars(struct vdev *vdev)
{
	int ret;

	vdev_unmap_bar(vdev, NVVGPU_EMU_VF_BAR_FB);
	ret = vdev_map_bar(vdev, NVVGPU_EMU_VF_BAR_FB);
	vdev_unmap_bar(vdev, NVVGPU_EMU_VF_BAR_FB);

	return ret;
}

/* Words in VRAM, far enough apart to be in several chunks of state */
#define MARKS		8
#define MARK_STRIDE	MIB

static int put_marks(const struct vdev *vdev, __u32 mark)
{
	__u32 i;
	int ret;

	for (i = 0; i < MARKS; i++) {
		ret = vdev_write(vdev, NVVGPU_EMU_VF_BAR_FB, i * MARK_STRIDE,
				 &mark, sizeof(mark));
		if (ret != sizeof(mark))
			return ret < 0 ? ret : -EIO;
	}

	return 0;
}

static int check_marks(const struct vdev *vdev, __u32 mark)
{
	__u32 i, word;
	int ret;

	for (i = 0; i < MARKS; i++) {
		ret = vdev_read(vdev, NVVGPU_EMU_VF_BAR_FB, i * MARK_STRIDE,
				&word, sizeof(word));
		if (ret != sizeof(word))
			return ret < 0 ? ret : -EIO;
		if (word != mark)
			return -EILSEQ;
	}

	return 0;
}

/* A failed migration is cancelled; incomplete state can only be discarded. */
static int mig_home(struct vdev *vdev)
{
	int state = mig_get(vdev);

	switch (state) {
	case VFIO_DEVICE_STATE_RUNNING:
		return 0;
	case VFIO_DEVICE_STATE_RESUMING:
	case VFIO_DEVICE_STATE_ERROR:
		return vdev_reset(vdev);
	default:
		return state < 0 ? state :
		       mig_set(vdev, VFIO_DEVICE_STATE_RUNNING, NULL);
	}
}

static int save(struct vdev *vdev, struct stream *stream)
{
	int fd, ret;

	ret = mig_home(vdev) ?:
	      mig_set(vdev, VFIO_DEVICE_STATE_STOP_COPY, &fd);
	if (ret)
		return ret;
	ret = stream_read(stream, fd);
	close(fd);

	return ret ?: mig_set(vdev, VFIO_DEVICE_STATE_RUNNING, NULL);
}

/* The state that is saved must be the same each time. */
static int save_again(struct stage *stage)
{
	struct stream stream = {};
	int ret = save(&stage->user.vdev, &stream);

	if (!ret && (stream.len != stage->stream.len ||
		     memcmp(stream.data, stage->stream.data, stream.len)))
		ret = -EILSEQ;
	stream_free(&stream);

	return ret;
}

static int load(struct stage *stage)
{
	struct vdev *vdev = &stage->user.vdev;
	int fd, ret;

	ret = mig_home(vdev) ?: put_marks(vdev, 0) ?:
	      mig_set(vdev, VFIO_DEVICE_STATE_RESUMING, &fd);
	if (ret)
		return ret;
	ret = stream_write(fd, &stage->stream, MIB, NULL);
	close(fd);

	return ret ?: mig_set(vdev, VFIO_DEVICE_STATE_RUNNING, NULL) ?:
	       check_marks(vdev, MARKS);
}

static int do_step(struct stage *stage, enum step step)
{
	struct vdev *vdev = &stage->user.vdev;

	switch (step) {
	case CREATE:
		return set_type(stage->type_fd, stage->type.id);
	case DELETE:
		return set_type(stage->type_fd, 0);
	case OPEN:
		return vdev_open(vdev, stage->vf, &stage->user.own);
	case CLOSE:
		vdev_close(vdev);
		return 0;
	case IOCTL_RESET:
		return vdev_reset(vdev);
	case FLR:
		return vdev_cfg_write16(vdev, stage->flr_reg,
					PCI_EXP_DEVCTL_BCR_FLR);
	case MMAP:
		return map_bars(vdev);
	case IRQS:
		return vdev_msix_enable(vdev, ENGINE_VECTORS);
	case INFO:
		return get_info(vdev);
	case READ_WRITE:
		return read_write(vdev);
	case SYSFS_READ:
		return read_files(stage);
	case HOST_RESET:
		return write_text(stage->reset_fd, "1");
	case BIND:
		return write_text(stage->bind_fd, stage->vf);
	case SAVE:
		return save_again(stage);
	case LOAD:
		return load(stage);
	}

	return -EINVAL;
}

/* Check whether the device is open at the start of the step. */
static bool needs_open(enum step step)
{
	switch (step) {
	case CREATE:
	case DELETE:
	case OPEN:
	case SYSFS_READ:
	case HOST_RESET:
	case BIND:
		return false;
	default:
		return true;
	}
}

/* Set up the initial state of a step. */
static int prepare(struct stage *stage, enum step step)
{
	struct vdev *vdev = &stage->user.vdev;
	int ret;

	if (step == BIND)
		return pci_unbind(stage->vf);
	if (step == IRQS && vdev->nr_irqs)
		vdev_msix_disable(vdev);
	if (!needs_open(step))
		vdev_close(vdev);
	if (step == CREATE)
		return set_type(stage->type_fd, 0);
	if (!vf_type(stage->vf)) {
		ret = set_type(stage->type_fd, stage->type.id);
		if (ret)
			return ret;
	}
	if (needs_open(step) && vdev->fd < 0) {
		ret = vdev_open(vdev, stage->vf, &stage->user.own);
		if (ret)
			return ret;
		vdev_enable(vdev, true);
		stage->flr_reg = vdev_find_cap(vdev, PCI_CAP_ID_EXP) +
				 PCI_EXP_DEVCTL;
	}
	if ((step == SAVE || step == LOAD) && !stage->stream.len)
		return put_marks(vdev, MARKS) ?: save(vdev, &stage->stream);

	return 0;
}

static const char *state_before(enum step step)
{
	if (step == BIND)
		return "";
	if (step == CREATE)
		return "bound";

	return needs_open(step) ? "open" : "created";
}

static const char *state_after(enum step step)
{
	switch (step) {
	case CREATE:
	case CLOSE:
		return "created";
	case DELETE:
	case BIND:
		return "bound";
	case OPEN:
		return "open";
	default:
		return state_before(step);
	}
}

TEST_F_TIMEOUT(nth, failure_is_clean, 600)
{
	unsigned int stride = test_all() ? 1 : variant->stride;
	struct stage *stage = &self->stage;
	enum step step = variant->step;
	unsigned int nth, hits = 0, failures = 0;
	char state[32];
	const char *change, *want;
	char *picture;
	int ret;
	bool hit;

	/* Run it once without failures, for allocations that happen only once. */
	ASSERT_EQ(0, prepare(stage, step));
	ASSERT_EQ(0, do_step(stage, step));

	for (nth = 1;; nth += stride) {
		ASSERT_GT(NTH_MAX, nth);
		ASSERT_EQ(0, prepare(stage, step))
			TH_LOG("before allocation %u", nth);
		ASSERT_EQ(0, nth_write(self->nth_fd, nth));
		ret = do_step(stage, step);
		hit = nth_end(self->nth_fd);
		if (!hit)
			break;
		hits++;
		failures += ret < 0;

		/* Some failures are of no consequence. */
		EXPECT_TRUE(!ret || ret == -ENOMEM || ret == -EFAULT ||
			    ret == -ENOSPC)
			TH_LOG("allocation %u: errno %d", nth, -ret);
		state[0] = '\0';
		vf_state(stage->vf, state, sizeof(state));
		want = ret ? state_before(step) : state_after(step);
		if (variant->or_state && !strcmp(variant->or_state, state))
			want = variant->or_state;
		EXPECT_STREQ(want, state)
			TH_LOG("allocation %u: errno %d", nth, -ret);

		/* Again, without failures */
		if (ret) {
			EXPECT_EQ(0, do_step(stage, step))
				TH_LOG("after allocation %u", nth);
			vf_state(stage->vf, state, sizeof(state));
			EXPECT_STREQ(state_after(step), state);
		}
		/* A vGPU in error can always be deleted. */
		if (!strcmp(state, "error") && step != DELETE)
			EXPECT_EQ(0, set_type(stage->type_fd, 0));
		/* One result is sufficient. */
		if (_metadata->exit_code != KSFT_PASS)
			break;
	}
	EXPECT_EQ(0, ret);
	EXPECT_LT(0, hits);
	TH_LOG("%u of %u allocations failed, %u of these failures were reported", hits,
	       nth - 1, failures);

	/* Nothing has leaked, and the vGPU works. */
	if (step == BIND)
		ASSERT_EQ(0, pci_bind(stage->vf, FRONT_END_DRIVER));
	stage_close(stage);
	EXPECT_EQ(0, vf_set_type(stage->vf, 0));
	picture = picture_take(&self->pf);
	change = picture_change(self->picture, picture);
	EXPECT_EQ(NULL, change)
		TH_LOG("%s", change ?: "");
	free(picture);
	EXPECT_EQ(0, vgpu_life(stage->vf, &stage->type));
}

int main(int argc, char **argv)
{
	return test_main(argc, argv, gpu_missing());
}
