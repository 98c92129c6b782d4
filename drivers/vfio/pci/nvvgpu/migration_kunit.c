// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the migration states, with a back-end that records the
 * operations that are called.
 */
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "nvvgpu_kunit.h"

#define TEST_BYTES	12345	/* that the back-end says there are */

static const char test_state[] = "the state of a vGPU";

struct test_mig {
	struct nvvgpu *vgpu;
	struct file *file;	/* of the latest session */
	char __user *page;
	size_t len;		/* of the stream in @page */

	/* The back-end */
	char done[128];		/* words for operations, in their order */
	const char *fail;	/* the one that fails */
	bool saved;
	bool loaded;
};

static int test_done(struct test_mig *tm, const char *word)
{
	size_t len = strlen(tm->done);

	scnprintf(tm->done + len, sizeof(tm->done) - len, "%s%s",
		  len ? " " : "", word);

	return tm->fail && !strcmp(tm->fail, word) ? -ENXIO : 0;
}

static int test_suspend(void *handle,
			enum nvvgpu_suspend_level level)
{
	return test_done(handle, level == NVVGPU_SUSPEND_ALL ? "stop" : "p2p");
}

static int test_resume(void *handle)
{
	return test_done(handle, "run");
}

static int test_state_size(void *handle, u64 *bytes)
{
	struct test_mig *tm = handle;

	*bytes = TEST_BYTES;

	return tm->fail && !strcmp(tm->fail, "size") ? -ENXIO : 0;
}

static int test_save_begin(void *handle)
{
	struct test_mig *tm = handle;

	tm->saved = false;

	return test_done(tm, "save");
}

static int test_save(void *handle, struct nvvgpu_chunk *chunk,
		     void *buf, size_t capacity)
{
	struct test_mig *tm = handle;

	if (tm->saved)
		return 0;
	tm->saved = true;
	memcpy(buf, test_state, sizeof(test_state));
	chunk->length = sizeof(test_state);
	chunk->span = sizeof(test_state);

	return 1;
}

static void test_save_end(void *handle)
{
	test_done(handle, "saved");
}

static int test_load_begin(void *handle)
{
	return test_done(handle, "load");
}

static int test_load(void *handle,
		     const struct nvvgpu_chunk *chunk, const void *buf)
{
	struct test_mig *tm = handle;

	tm->loaded = chunk->length == sizeof(test_state) &&
		     !memcmp(buf, test_state, sizeof(test_state));

	return 0;
}

static int test_load_end(void *handle, bool commit)
{
	return test_done(handle, commit ? "commit" : "abort");
}

static int test_estimate(void *handle, u64 *initial, u64 *dirty)
{
	*initial = 0;
	*dirty = PAGE_SIZE;

	return 0;
}

static const struct nvvgpu_backend_ops test_mig_ops = {
	.name = "kunit",
	.mig_flags = NVVGPU_MIG_P2P | NVVGPU_MIG_PRE_COPY,
	.suspend = test_suspend,
	.resume = test_resume,
	.state_size = test_state_size,
	.save_begin = test_save_begin,
	.save = test_save,
	.save_end = test_save_end,
	.load_begin = test_load_begin,
	.load = test_load,
	.load_end = test_load_end,
	.precopy_estimate = test_estimate,
};

static void test_release(struct device *dev)
{
}

/* An open vGPU that can migrate, with pre-copy */
static int test_init(struct kunit *test)
{
	struct nvvgpu *vgpu = nvvgpu_test_vgpu(test);
	struct test_mig *tm;

	tm = kunit_kzalloc(test, sizeof(*tm), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, tm);
	tm->page = nvvgpu_test_user_page(test);
	tm->vgpu = vgpu;
	test->priv = tm;

	mutex_init(&vgpu->state_mutex);
	spin_lock_init(&vgpu->text_lock);
	ratelimit_state_init(&vgpu->log_limit, 0, 0);
	ratelimit_state_init(&vgpu->crash_limit, 0, 0);
	ratelimit_state_init(&vgpu->stream_limit, 0, 0);
	device_initialize(&vgpu->core.vdev.device);
	vgpu->core.vdev.device.release = test_release;
	vgpu->state = NVVGPU_OPEN;
	vgpu->backend->table = test_mig_ops;
	vgpu->handle = tm;
	vgpu->mig_state = VFIO_DEVICE_STATE_RUNNING;
	nvvgpu_migration_init(vgpu);

	return 0;
}

/* The last reference of a file may be dropped a moment later. */
static void test_exit(struct kunit *test)
{
	struct test_mig *tm = test->priv;
	struct kref *kref = &tm->vgpu->core.vdev.device.kobj.kref;
	unsigned int i;

	mutex_lock(&tm->vgpu->state_mutex);
	nvvgpu_migration_abort(tm->vgpu);
	mutex_unlock(&tm->vgpu->state_mutex);
	if (tm->file)
		fput(tm->file);
	for (i = 0; kref_read(kref) > 1 && i < 500; i++)
		msleep(20);
	KUNIT_EXPECT_EQ(test, kref_read(kref), 1);
	put_device(&tm->vgpu->core.vdev.device);
}

/* Change the state like a user: 1 with a data file, 0 without, or an errno */
static int test_go(struct test_mig *tm, enum vfio_device_mig_state state)
{
	struct vfio_device *vdev = &tm->vgpu->core.vdev;
	struct file *file;

	tm->done[0] = '\0';
	file = vdev->mig_ops->migration_set_state(vdev, state);
	if (IS_ERR_OR_NULL(file))
		return PTR_ERR_OR_ZERO(file);
	if (tm->file)
		fput(tm->file);
	tm->file = file;

	return 1;
}

static enum vfio_device_mig_state test_now(struct test_mig *tm)
{
	struct vfio_device *vdev = &tm->vgpu->core.vdev;
	enum vfio_device_mig_state state = VFIO_DEVICE_STATE_ERROR;

	return vdev->mig_ops->migration_get_state(vdev, &state) ?
	       VFIO_DEVICE_STATE_ERROR : state;
}

/* Save the complete stream of a vGPU to the page. */
static void test_take_stream(struct kunit *test)
{
	struct test_mig *tm = test->priv;
	loff_t pos = 0;
	ssize_t ret;

	KUNIT_ASSERT_EQ(test, test_go(tm, VFIO_DEVICE_STATE_STOP_COPY), 1);
	do {
		ret = tm->file->f_op->read(tm->file, tm->page + tm->len,
					   PAGE_SIZE - tm->len, &pos);
		KUNIT_ASSERT_GE(test, ret, 0);
		tm->len += ret;
	} while (ret);
	KUNIT_ASSERT_EQ(test, test_go(tm, VFIO_DEVICE_STATE_RUNNING), 0);
}

/* Enter a state, and load the stream if it is a loading state. */
static void test_enter(struct kunit *test, enum vfio_device_mig_state state)
{
	struct test_mig *tm = test->priv;
	loff_t pos = 0;

	KUNIT_ASSERT_GE_MSG(test, test_go(tm, state), 0, "state %u", state);
	KUNIT_ASSERT_EQ(test, test_now(tm), state);
	if (state == VFIO_DEVICE_STATE_RESUMING)
		KUNIT_ASSERT_EQ(test,
				tm->file->f_op->write(tm->file, tm->page,
						      tm->len, &pos),
				tm->len);
}

static void test_reset(struct kunit *test, int ret)
{
	struct test_mig *tm = test->priv;

	tm->done[0] = '\0';
	mutex_lock(&tm->vgpu->state_mutex);
	KUNIT_EXPECT_EQ(test, nvvgpu_migration_reset(tm->vgpu), ret);
	mutex_unlock(&tm->vgpu->state_mutex);
}

static void migration_flags(struct kunit *test)
{
	struct test_mig *tm = test->priv;
	struct vfio_device *vdev = &tm->vgpu->core.vdev;

	KUNIT_EXPECT_NOT_NULL(test, vdev->mig_ops);
	KUNIT_EXPECT_EQ(test, vdev->migration_flags, VFIO_MIGRATION_STOP_COPY |
			VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY);

	tm->vgpu->backend->table.mig_flags = NVVGPU_MIG_P2P;
	nvvgpu_migration_init(tm->vgpu);
	KUNIT_EXPECT_NOT_NULL(test, vdev->mig_ops);
	KUNIT_EXPECT_EQ(test, vdev->migration_flags, VFIO_MIGRATION_STOP_COPY |
			VFIO_MIGRATION_P2P);

	/* A flag of a newer minor */
	tm->vgpu->backend->table.mig_flags = BIT(31);
	nvvgpu_migration_init(tm->vgpu);
	KUNIT_EXPECT_EQ(test, vdev->migration_flags, VFIO_MIGRATION_STOP_COPY);

	tm->vgpu->backend->table.suspend = NULL;
	nvvgpu_migration_init(tm->vgpu);
	KUNIT_EXPECT_NULL(test, vdev->mig_ops);
	KUNIT_EXPECT_EQ(test, vdev->migration_flags, 0);
}

#define STOP		VFIO_DEVICE_STATE_STOP
#define RUNNING		VFIO_DEVICE_STATE_RUNNING
#define STOP_COPY	VFIO_DEVICE_STATE_STOP_COPY
#define RESUMING	VFIO_DEVICE_STATE_RESUMING
#define RUNNING_P2P	VFIO_DEVICE_STATE_RUNNING_P2P
#define PRE_COPY	VFIO_DEVICE_STATE_PRE_COPY
#define PRE_COPY_P2P	VFIO_DEVICE_STATE_PRE_COPY_P2P

/* Operations on the path between two states of the uAPI; NULL without a path */
static const char * const
test_ways[VFIO_DEVICE_STATE_NR][VFIO_DEVICE_STATE_NR] = {
	[STOP] = {
		[STOP] = "",
		[RUNNING] = "run",
		[STOP_COPY] = "save",
		[RESUMING] = "load",
		[RUNNING_P2P] = "p2p",
		[PRE_COPY] = "run save",
		[PRE_COPY_P2P] = "p2p save",
	},
	[RUNNING] = {
		[STOP] = "stop",
		[RUNNING] = "",
		[STOP_COPY] = "stop save",
		[RESUMING] = "stop load",
		[RUNNING_P2P] = "p2p",
		[PRE_COPY] = "save",
		[PRE_COPY_P2P] = "p2p save",
	},
	[STOP_COPY] = {
		[STOP] = "saved",
		[RUNNING] = "saved run",
		[STOP_COPY] = "",
		[RESUMING] = "saved load",
		[RUNNING_P2P] = "saved p2p",
	},
	[RESUMING] = {
		[STOP] = "commit",
		[RUNNING] = "commit run",
		[STOP_COPY] = "commit save",
		[RESUMING] = "",
		[RUNNING_P2P] = "commit p2p",
		[PRE_COPY] = "commit run save",
		[PRE_COPY_P2P] = "commit p2p save",
	},
	[RUNNING_P2P] = {
		[STOP] = "stop",
		[RUNNING] = "run",
		[STOP_COPY] = "stop save",
		[RESUMING] = "stop load",
		[RUNNING_P2P] = "",
		[PRE_COPY] = "run save",
		[PRE_COPY_P2P] = "save",
	},
	[PRE_COPY] = {
		[STOP] = "saved stop",
		[RUNNING] = "saved",
		[STOP_COPY] = "stop",
		[RESUMING] = "saved stop load",
		[RUNNING_P2P] = "saved p2p",
		[PRE_COPY] = "",
		[PRE_COPY_P2P] = "p2p",
	},
	[PRE_COPY_P2P] = {
		[STOP] = "saved stop",
		[RUNNING] = "saved run",
		[STOP_COPY] = "stop",
		[RESUMING] = "saved stop load",
		[RUNNING_P2P] = "saved",
		[PRE_COPY] = "run",
		[PRE_COPY_P2P] = "",
	},
};

static bool test_is_precopy(enum vfio_device_mig_state state)
{
	return state == PRE_COPY || state == PRE_COPY_P2P;
}

/* A path returns a file if its last operation begins a session. */
static bool test_begins_session(const char *way)
{
	size_t len = strlen(way);

	return len >= 4 && (!strcmp(way + len - 4, "save") ||
			    !strcmp(way + len - 4, "load"));
}

static void test_way(struct kunit *test, enum vfio_device_mig_state from,
		     enum vfio_device_mig_state to, const char *way)
{
	struct test_mig *tm = test->priv;
	int ret;

	test_enter(test, from);
	ret = test_go(tm, to);
	if (way) {
		KUNIT_EXPECT_EQ_MSG(test, ret, test_begins_session(way),
				    "%u to %u", from, to);
		KUNIT_EXPECT_STREQ_MSG(test, tm->done, way, "%u to %u", from,
				       to);
	} else {
		KUNIT_EXPECT_EQ_MSG(test, ret, -EINVAL, "%u to %u", from, to);
		KUNIT_EXPECT_STREQ(test, tm->done, "");
	}
	KUNIT_EXPECT_EQ_MSG(test, test_now(tm), way ? to : from, "%u to %u",
			    from, to);
	test_reset(test, 0);
}

static void migration_ways(struct kunit *test)
{
	enum vfio_device_mig_state from, to;

	test_take_stream(test);
	for (from = STOP; from < VFIO_DEVICE_STATE_NR; from++)
		for (to = STOP; to < VFIO_DEVICE_STATE_NR; to++)
			test_way(test, from, to, test_ways[from][to]);
}

static void migration_ways_without_precopy(struct kunit *test)
{
	struct test_mig *tm = test->priv;
	enum vfio_device_mig_state from, to;

	tm->vgpu->backend->table.mig_flags = NVVGPU_MIG_P2P;
	nvvgpu_migration_init(tm->vgpu);
	test_take_stream(test);
	for (from = STOP; from < VFIO_DEVICE_STATE_NR; from++) {
		if (test_is_precopy(from))
			continue;
		for (to = STOP; to < VFIO_DEVICE_STATE_NR; to++) {
			if (!test_is_precopy(to)) {
				test_way(test, from, to, test_ways[from][to]);
				continue;
			}
			test_enter(test, from);
			KUNIT_EXPECT_EQ(test, test_go(tm, to), -EINVAL);
			KUNIT_EXPECT_STREQ(test, tm->done, "");
			KUNIT_EXPECT_EQ(test, test_now(tm), from);
			test_reset(test, 0);
		}
	}
}

static bool test_is_p2p(enum vfio_device_mig_state state)
{
	return state == RUNNING_P2P || state == PRE_COPY_P2P;
}

/* The paths of the uAPI avoid states that are not supported. */
static void migration_ways_without_p2p(struct kunit *test)
{
	struct test_mig *tm = test->priv;
	enum vfio_device_mig_state from, to;

	tm->vgpu->backend->table.mig_flags = NVVGPU_MIG_PRE_COPY;
	nvvgpu_migration_init(tm->vgpu);
	test_take_stream(test);
	for (from = STOP; from < VFIO_DEVICE_STATE_NR; from++) {
		if (test_is_p2p(from))
			continue;
		for (to = STOP; to < VFIO_DEVICE_STATE_NR; to++)
			test_way(test, from, to, test_is_p2p(to) ? NULL :
				 test_ways[from][to]);
	}
}

static void migration_no_such_state(struct kunit *test)
{
	struct test_mig *tm = test->priv;
	enum vfio_device_mig_state from;

	test_take_stream(test);
	for (from = STOP; from < VFIO_DEVICE_STATE_NR; from++) {
		test_enter(test, from);
		KUNIT_EXPECT_EQ(test, test_go(tm, VFIO_DEVICE_STATE_ERROR),
				-EINVAL);
		KUNIT_EXPECT_EQ(test, test_now(tm), from);
		test_reset(test, 0);
	}
}

static void migration_state_comes_through(struct kunit *test)
{
	struct test_mig *tm = test->priv;

	test_take_stream(test);
	test_enter(test, RESUMING);
	KUNIT_EXPECT_TRUE(test, tm->loaded);
	KUNIT_EXPECT_EQ(test, test_go(tm, RUNNING), 0);
}

/* A failed operation leaves the last state reached, and no partial session. */
static void migration_operation_fails(struct kunit *test)
{
	static const struct {
		enum vfio_device_mig_state from, to, left;
		const char *fail, *done;
	} arcs[] = {
		{ RUNNING, RUNNING_P2P, RUNNING, "p2p", "p2p" },
		{ RUNNING, STOP, RUNNING, "stop", "stop" },
		{ RUNNING_P2P, STOP, RUNNING_P2P, "stop", "stop" },
		{ RUNNING, PRE_COPY, RUNNING, "save", "save" },
		{ PRE_COPY, PRE_COPY_P2P, PRE_COPY, "p2p", "p2p" },
		{ PRE_COPY, STOP_COPY, PRE_COPY, "stop", "stop" },
		{ PRE_COPY_P2P, PRE_COPY, PRE_COPY_P2P, "run", "run" },
		{ STOP, STOP_COPY, STOP, "save", "save" },
		{ STOP, RESUMING, STOP, "load", "load" },
		{ STOP, RUNNING, STOP, "run", "run" },
		{ RESUMING, RUNNING, VFIO_DEVICE_STATE_ERROR, "commit",
		  "commit abort" },
	};
	struct test_mig *tm = test->priv;
	unsigned int i;

	test_take_stream(test);
	for (i = 0; i < ARRAY_SIZE(arcs); i++) {
		test_enter(test, arcs[i].from);
		tm->fail = arcs[i].fail;
		KUNIT_EXPECT_EQ_MSG(test, test_go(tm, arcs[i].to), -ENXIO,
				    "arc %u", i);
		tm->fail = NULL;
		KUNIT_EXPECT_STREQ_MSG(test, tm->done, arcs[i].done, "arc %u",
				       i);
		KUNIT_EXPECT_EQ_MSG(test, test_now(tm), arcs[i].left, "arc %u",
				    i);
		KUNIT_EXPECT_EQ_MSG(test, !tm->vgpu->data,
				    !test_is_precopy(arcs[i].left), "arc %u",
				    i);
		test_reset(test, 0);
	}
}

/* Get the dirty bytes in pre-copy after a change of the layout. */
static u64 test_dirty(struct kunit *test, u32 mig_flags)
{
	struct test_mig *tm = test->priv;
	struct vfio_precopy_info info = { .argsz = sizeof(info) };

	tm->vgpu->backend->table.mig_flags = mig_flags;
	test_enter(test, PRE_COPY);
	scoped_guard(mutex, &tm->vgpu->state_mutex)
		nvvgpu_data_layout_changed(tm->vgpu);

	KUNIT_ASSERT_EQ(test, copy_to_user(tm->page, &info, sizeof(info)), 0);
	KUNIT_ASSERT_EQ(test, tm->file->f_op->unlocked_ioctl(tm->file,
							     VFIO_MIG_GET_PRECOPY_INFO,
							     (unsigned long)tm->page), 0);
	KUNIT_ASSERT_EQ(test, copy_from_user(&info, tm->page, sizeof(info)), 0);
	test_enter(test, RUNNING);

	return info.dirty_bytes;
}

static void migration_reinit_needs_its_flag(struct kunit *test)
{
	struct test_mig *tm = test->priv;

	tm->vgpu->core.vdev.precopy_info_v2 = true;
	KUNIT_EXPECT_EQ(test, test_dirty(test, NVVGPU_MIG_PRE_COPY), PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, test_dirty(test, NVVGPU_MIG_PRE_COPY |
					 NVVGPU_MIG_REINIT), 0);
}

static void migration_without_the_end(struct kunit *test)
{
	struct test_mig *tm = test->priv;
	loff_t pos = 0;

	/* nothing has come */
	KUNIT_ASSERT_EQ(test, test_go(tm, RESUMING), 1);
	KUNIT_EXPECT_EQ(test, test_go(tm, STOP), -ENODATA);
	KUNIT_EXPECT_STREQ(test, tm->done, "abort");
	KUNIT_EXPECT_EQ(test, test_now(tm), VFIO_DEVICE_STATE_ERROR);
	test_reset(test, 0);

	/* all but a byte has */
	test_take_stream(test);
	KUNIT_ASSERT_EQ(test, test_go(tm, RESUMING), 1);
	KUNIT_ASSERT_EQ(test, tm->file->f_op->write(tm->file, tm->page,
						    tm->len - 1, &pos),
			tm->len - 1);
	KUNIT_EXPECT_EQ(test, test_go(tm, RUNNING), -ENODATA);
	KUNIT_EXPECT_STREQ(test, tm->done, "abort");
	KUNIT_EXPECT_EQ(test, test_now(tm), VFIO_DEVICE_STATE_ERROR);
}

static void migration_error_stays(struct kunit *test)
{
	struct test_mig *tm = test->priv;
	enum vfio_device_mig_state to;

	KUNIT_ASSERT_EQ(test, test_go(tm, RESUMING), 1);
	KUNIT_ASSERT_EQ(test, test_go(tm, STOP), -ENODATA);
	for (to = STOP; to < VFIO_DEVICE_STATE_NR; to++) {
		KUNIT_EXPECT_EQ(test, test_go(tm, to), -EINVAL);
		KUNIT_EXPECT_STREQ(test, tm->done, "");
		KUNIT_EXPECT_EQ(test, test_now(tm), VFIO_DEVICE_STATE_ERROR);
	}

	test_reset(test, 0);
	KUNIT_EXPECT_STREQ(test, tm->done, "run");
	KUNIT_EXPECT_EQ(test, test_now(tm), RUNNING);
}

static void migration_reset_from_each_state(struct kunit *test)
{
	static const char * const done[VFIO_DEVICE_STATE_NR] = {
		[STOP] = "run",
		[RUNNING] = "",
		[STOP_COPY] = "saved run",
		[RESUMING] = "abort run",
		[RUNNING_P2P] = "run",
		[PRE_COPY] = "saved",
		[PRE_COPY_P2P] = "saved run",
	};
	struct test_mig *tm = test->priv;
	enum vfio_device_mig_state from;

	test_take_stream(test);
	for (from = STOP; from < VFIO_DEVICE_STATE_NR; from++) {
		test_enter(test, from);
		test_reset(test, 0);
		KUNIT_EXPECT_STREQ_MSG(test, tm->done, done[from], "state %u",
				       from);
		KUNIT_EXPECT_EQ(test, test_now(tm), RUNNING);
		KUNIT_EXPECT_NULL(test, tm->vgpu->data);
	}

	/* A vGPU that cannot be resumed is reported. */
	test_enter(test, STOP);
	tm->fail = "run";
	test_reset(test, -ENXIO);
}

static void migration_of_a_lost_vgpu(struct kunit *test)
{
	struct test_mig *tm = test->priv;
	struct vfio_device *vdev = &tm->vgpu->core.vdev;
	unsigned long bytes = 0;

	test_enter(test, PRE_COPY);
	tm->vgpu->state = NVVGPU_ERROR;
	KUNIT_EXPECT_EQ(test, test_go(tm, STOP_COPY), -EIO);
	KUNIT_EXPECT_STREQ(test, tm->done, "saved");
	KUNIT_EXPECT_EQ(test, test_now(tm), VFIO_DEVICE_STATE_ERROR);
	KUNIT_EXPECT_NULL(test, tm->vgpu->data);

	KUNIT_EXPECT_EQ(test, test_go(tm, STOP), -EIO);
	KUNIT_EXPECT_EQ(test, test_now(tm), VFIO_DEVICE_STATE_ERROR);
	KUNIT_EXPECT_EQ(test,
			vdev->mig_ops->migration_get_data_size(vdev, &bytes),
			0);
	KUNIT_EXPECT_LT(test, bytes, TEST_BYTES);
}

static void migration_data_size(struct kunit *test)
{
	struct test_mig *tm = test->priv;
	struct vfio_device *vdev = &tm->vgpu->core.vdev;
	const struct vfio_migration_ops *ops = vdev->mig_ops;
	enum vfio_device_mig_state state;
	unsigned long bytes;

	test_take_stream(test);
	for (state = STOP; state < VFIO_DEVICE_STATE_NR; state++) {
		test_enter(test, state);
		bytes = 0;
		KUNIT_EXPECT_EQ(test, ops->migration_get_data_size(vdev, &bytes),
				0);
		KUNIT_EXPECT_GT(test, bytes, TEST_BYTES);

		tm->fail = "size";
		bytes = 0;
		KUNIT_EXPECT_EQ(test, ops->migration_get_data_size(vdev, &bytes),
				-ENXIO);
		KUNIT_EXPECT_EQ(test, bytes, 0);
		tm->fail = NULL;
		test_reset(test, 0);
	}
}

static struct kunit_case migration_cases[] = {
	KUNIT_CASE(migration_flags),
	KUNIT_CASE(migration_ways),
	KUNIT_CASE(migration_ways_without_precopy),
	KUNIT_CASE(migration_reinit_needs_its_flag),
	KUNIT_CASE(migration_ways_without_p2p),
	KUNIT_CASE(migration_no_such_state),
	KUNIT_CASE(migration_state_comes_through),
	KUNIT_CASE(migration_operation_fails),
	KUNIT_CASE(migration_without_the_end),
	KUNIT_CASE(migration_error_stays),
	KUNIT_CASE(migration_reset_from_each_state),
	KUNIT_CASE(migration_of_a_lost_vgpu),
	KUNIT_CASE(migration_data_size),
	{ }
};

static struct kunit_suite migration_suite = {
	.name = "nvvgpu-migration",
	.init = test_init,
	.exit = test_exit,
	.test_cases = migration_cases,
};

kunit_test_suites(&migration_suite);
