// SPDX-License-Identifier: GPL-2.0-only
/*
 * The migration states of a vGPU, as VFIO's uAPI defines them.
 *
 * P2P and PRE_COPY are offered if the back-end has the flag; VFIO skips states that
 * are not supported.  Each arc is one operation of the back-end; some arcs
 * begin or end a session.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/file.h>
#include <linux/vfio.h>

#include "nvvgpu.h"

static const char *nvvgpu_mig_name(enum vfio_device_mig_state state)
{
	static const char * const names[] = {
		[VFIO_DEVICE_STATE_ERROR] = "ERROR",
		[VFIO_DEVICE_STATE_STOP] = "STOP",
		[VFIO_DEVICE_STATE_RUNNING] = "RUNNING",
		[VFIO_DEVICE_STATE_STOP_COPY] = "STOP_COPY",
		[VFIO_DEVICE_STATE_RESUMING] = "RESUMING",
		[VFIO_DEVICE_STATE_RUNNING_P2P] = "RUNNING_P2P",
		[VFIO_DEVICE_STATE_PRE_COPY] = "PRE_COPY",
		[VFIO_DEVICE_STATE_PRE_COPY_P2P] = "PRE_COPY_P2P",
	};

	return state < ARRAY_SIZE(names) ? names[state] : "?";
}

static struct file *nvvgpu_mig_begin(struct nvvgpu *vgpu, bool loading)
{
	struct file *file;
	int ret;

	file = nvvgpu_data_open(vgpu, loading);
	if (IS_ERR(file))
		return file;

	ret = loading ? nvvgpu_op_load_begin(vgpu) : nvvgpu_op_save_begin(vgpu);
	if (ret) {
		nvvgpu_data_close(vgpu);
		fput(file);
		return ERR_PTR(ret);
	}
	vgpu->migrations.since = ktime_get();

	return file;
}

/* Count a session that has ended, and announce it if it was completed. */
static void nvvgpu_mig_count(struct nvvgpu *vgpu, bool loading, bool whole)
{
	struct nvvgpu_migrations *all = &vgpu->migrations;
	struct nvvgpu_notice notice = {
		.event = loading ? NVVGPU_EVENT_NAME_LOADED :
				   NVVGPU_EVENT_NAME_SAVED,
		.type = vgpu->type.id,
		.generation = vgpu->generation,
		.milliseconds = ktime_ms_delta(ktime_get(), all->since),
	};

	scoped_guard(spinlock, &vgpu->text_lock) {
		if (loading) {
			all->loaded += whole;
			all->load_aborted += !whole;
			all->load_ms += notice.milliseconds;
		} else {
			all->saved += whole;
			all->save_aborted += !whole;
			all->save_ms += notice.milliseconds;
		}
	}
	if (whole)
		nvvgpu_notify(vgpu, &notice);
}

static void nvvgpu_mig_save_end(struct nvvgpu *vgpu)
{
	bool whole = nvvgpu_data_saved(vgpu);

	nvvgpu_op_save_end(vgpu);
	/* The GPU may use the buffers until save_end() has returned. */
	nvvgpu_data_close(vgpu);
	nvvgpu_mig_count(vgpu, false, whole);
}

/* Discard what was loaded.  A vGPU that may keep some of it has crashed. */
static void nvvgpu_mig_discard(struct nvvgpu *vgpu)
{
	int ret = nvvgpu_op_load_end(vgpu, false);

	if (!ret || vgpu->state == NVVGPU_ERROR)
		return;

	nvvgpu_set_error(vgpu, NULL);
	nvvgpu_report_crash(vgpu, ret, "cannot discard the state that was loaded");
}

/* Apply the whole new state, or nothing of it. */
static int nvvgpu_mig_commit(struct nvvgpu *vgpu)
{
	int ret = nvvgpu_data_loaded(vgpu);

	if (!ret)
		ret = nvvgpu_op_load_end(vgpu, true);
	if (ret) {
		nvvgpu_mig_discard(vgpu);
		vgpu->mig_state = VFIO_DEVICE_STATE_ERROR;
	}
	nvvgpu_data_close(vgpu);
	nvvgpu_mig_count(vgpu, true, !ret);

	return ret;
}

#define ARC(from, to) \
	(VFIO_DEVICE_STATE_##from << 8 | VFIO_DEVICE_STATE_##to)

/* Take one arc of the state machine: returns the file of a session it begins. */
static struct file *nvvgpu_mig_arc(struct nvvgpu *vgpu,
				   enum vfio_device_mig_state next)
{
	int ret;

	switch (vgpu->mig_state << 8 | next) {
	case ARC(RUNNING, RUNNING_P2P):
	case ARC(PRE_COPY, PRE_COPY_P2P):
	case ARC(STOP, RUNNING_P2P):
		ret = nvvgpu_op_suspend(vgpu, NVVGPU_SUSPEND_P2P);
		break;
	case ARC(RUNNING_P2P, RUNNING):
	case ARC(PRE_COPY_P2P, PRE_COPY):
	case ARC(STOP, RUNNING):
		ret = nvvgpu_op_resume(vgpu);
		break;
	case ARC(RUNNING_P2P, STOP):
	case ARC(PRE_COPY_P2P, STOP_COPY):
	case ARC(RUNNING, STOP):
	case ARC(PRE_COPY, STOP_COPY):
		ret = nvvgpu_op_suspend(vgpu, NVVGPU_SUSPEND_ALL);
		break;
	case ARC(RUNNING, PRE_COPY):
	case ARC(RUNNING_P2P, PRE_COPY_P2P):
	case ARC(STOP, STOP_COPY):
		return nvvgpu_mig_begin(vgpu, false);
	case ARC(PRE_COPY, RUNNING):
	case ARC(PRE_COPY_P2P, RUNNING_P2P):
	case ARC(STOP_COPY, STOP):
		nvvgpu_mig_save_end(vgpu);
		return NULL;
	case ARC(STOP, RESUMING):
		return nvvgpu_mig_begin(vgpu, true);
	case ARC(RESUMING, STOP):
		ret = nvvgpu_mig_commit(vgpu);
		break;
	default:
		WARN_ONCE(true, "no arc from %u to %u\n", vgpu->mig_state, next);
		ret = -EINVAL;
	}

	return ERR_PTR(ret);
}

/* End the session, if there is one: its file only returns errors from now on. */
static void nvvgpu_mig_end_session(struct nvvgpu *vgpu)
{
	switch (vgpu->mig_state) {
	case VFIO_DEVICE_STATE_PRE_COPY:
	case VFIO_DEVICE_STATE_PRE_COPY_P2P:
	case VFIO_DEVICE_STATE_STOP_COPY:
		nvvgpu_mig_save_end(vgpu);
		break;
	case VFIO_DEVICE_STATE_RESUMING:
		nvvgpu_mig_discard(vgpu);
		nvvgpu_data_close(vgpu);
		nvvgpu_mig_count(vgpu, true, false);
		break;
	default:
		break;
	}
}

/* The state of a crashed vGPU is useless.  Only a reset leaves ERROR. */
static int nvvgpu_mig_lost(struct nvvgpu *vgpu)
{
	nvvgpu_mig_end_session(vgpu);
	vgpu->mig_state = VFIO_DEVICE_STATE_ERROR;

	return nvvgpu_refuse(vgpu, -EIO, "cannot migrate: the vGPU is in error");
}

static bool nvvgpu_mig_is_p2p(enum vfio_device_mig_state state)
{
	return state == VFIO_DEVICE_STATE_RUNNING_P2P ||
	       state == VFIO_DEVICE_STATE_PRE_COPY_P2P;
}

/*
 * Find the next state on the way to @state.  Skip a P2P state that is only passed
 * through, so that the vGPU stops or starts in one step.
 */
static int nvvgpu_mig_next(struct nvvgpu *vgpu,
			   enum vfio_device_mig_state state,
			   enum vfio_device_mig_state *next)
{
	struct vfio_device *core_vdev = &vgpu->core.vdev;
	enum vfio_device_mig_state beyond;
	int ret;

	ret = vfio_mig_get_next_state(core_vdev, vgpu->mig_state, state, next);
	if (ret || *next == state || !nvvgpu_mig_is_p2p(*next) ||
	    nvvgpu_mig_is_p2p(vgpu->mig_state))
		return ret;

	ret = vfio_mig_get_next_state(core_vdev, *next, state, &beyond);
	if (!ret && !nvvgpu_mig_is_p2p(beyond))
		*next = beyond;

	return ret;
}

static struct file *nvvgpu_mig_step(struct nvvgpu *vgpu,
				    enum vfio_device_mig_state state)
{
	enum vfio_device_mig_state from = vgpu->mig_state, next;
	struct file *file;
	int ret;

	if (vgpu->state != NVVGPU_OPEN)
		return ERR_PTR(nvvgpu_mig_lost(vgpu));
	if (from == VFIO_DEVICE_STATE_ERROR)
		return ERR_PTR(-EINVAL);

	ret = nvvgpu_mig_next(vgpu, state, &next);
	if (ret)
		return ERR_PTR(ret);

	file = nvvgpu_mig_arc(vgpu, next);
	if (IS_ERR(file)) {
		/* nvvgpu_mig_discard() has a better reason. */
		if (vgpu->state == NVVGPU_OPEN)
			nvvgpu_refuse(vgpu, PTR_ERR(file),
				      "cannot go from migration state %s to %s",
				      nvvgpu_mig_name(from),
				      nvvgpu_mig_name(next));
		return file;
	}
	dev_dbg(nvvgpu_dev(vgpu), "migration: %s -> %s\n",
		nvvgpu_mig_name(from), nvvgpu_mig_name(next));
	vgpu->mig_state = next;
	nvvgpu_data_wake(vgpu);

	return file;
}

static struct file *nvvgpu_mig_set_state(struct vfio_device *core_vdev,
					 enum vfio_device_mig_state state)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);
	struct file *file = NULL;

	if (state == VFIO_DEVICE_STATE_ERROR)
		return ERR_PTR(-EINVAL);

	guard(nvvgpu)(vgpu);

	while (vgpu->mig_state != state) {
		file = nvvgpu_mig_step(vgpu, state);
		if (IS_ERR(file))
			break;
		/* No path passes through a state that has a session. */
		if (WARN_ON(file && vgpu->mig_state != state)) {
			fput(file);
			return ERR_PTR(-EINVAL);
		}
	}
	nvvgpu_display_update(vgpu);

	return file;
}

static int nvvgpu_mig_get_state(struct vfio_device *core_vdev,
				enum vfio_device_mig_state *state)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);

	guard(nvvgpu)(vgpu);

	*state = vgpu->mig_state;

	return 0;
}

static int nvvgpu_mig_get_data_size(struct vfio_device *core_vdev,
				    unsigned long *stop_copy_length)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);
	u64 bytes = 0;
	int ret;

	guard(nvvgpu)(vgpu);

	/* A crashed vGPU has no state to save. */
	if (vgpu->state == NVVGPU_OPEN &&
	    vgpu->mig_state != VFIO_DEVICE_STATE_ERROR) {
		ret = nvvgpu_op_state_size(vgpu, &bytes);
		if (ret)
			return ret;
	}
	/*
	 * A running vGPU will write more before it is stopped, and VMMs size
	 * their buffers by this value, so report at least one record.
	 */
	if (vgpu->mig_state == VFIO_DEVICE_STATE_RUNNING ||
	    vgpu->mig_state == VFIO_DEVICE_STATE_RUNNING_P2P)
		bytes = max_t(u64, bytes, NVVGPU_MIG_DATA_MAX);
	*stop_copy_length = nvvgpu_data_size(vgpu, bytes);

	return 0;
}

static const struct vfio_migration_ops nvvgpu_mig_ops = {
	.migration_set_state = nvvgpu_mig_set_state,
	.migration_get_state = nvvgpu_mig_get_state,
	.migration_get_data_size = nvvgpu_mig_get_data_size,
};

static u64 nvvgpu_mig_flags(const struct nvvgpu_backend *backend)
{
	u32 can = nvvgpu_can(backend);

	if (!(can & NVVGPU_CAN_MIGRATE))
		return 0;

	return VFIO_MIGRATION_STOP_COPY |
	       (can & NVVGPU_CAN_P2P ? VFIO_MIGRATION_P2P : 0) |
	       (can & NVVGPU_CAN_PRECOPY ? VFIO_MIGRATION_PRE_COPY : 0);
}

/**
 * nvvgpu_migration_init() - offer the migration features of the back-end
 * @vgpu: the VF, not registered with VFIO yet
 */
void nvvgpu_migration_init(struct nvvgpu *vgpu)
{
	struct vfio_device *core_vdev = &vgpu->core.vdev;

	core_vdev->migration_flags = nvvgpu_mig_flags(vgpu->backend);
	core_vdev->mig_ops = core_vdev->migration_flags ? &nvvgpu_mig_ops : NULL;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_migration_init);

/**
 * nvvgpu_migration_open() - begin in RUNNING
 * @vgpu: the VF, locked; its device is being opened
 */
void nvvgpu_migration_open(struct nvvgpu *vgpu)
{
	lockdep_assert_held(&vgpu->state_mutex);

	vgpu->mig_state = VFIO_DEVICE_STATE_RUNNING;
}

/**
 * nvvgpu_migration_abort() - abort a session and go to RUNNING
 * @vgpu: the VF, locked; closed or reset
 *
 * Only the state changes; the caller makes the vGPU run.
 */
void nvvgpu_migration_abort(struct nvvgpu *vgpu)
{
	lockdep_assert_held(&vgpu->state_mutex);

	nvvgpu_mig_end_session(vgpu);
	vgpu->mig_state = VFIO_DEVICE_STATE_RUNNING;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_migration_abort);

/**
 * nvvgpu_migration_fail() - abort a session and go to ERROR, unless RUNNING
 * @vgpu: the VF, locked; the back-end has prepared a reset that did not run
 */
void nvvgpu_migration_fail(struct nvvgpu *vgpu)
{
	lockdep_assert_held(&vgpu->state_mutex);

	if (vgpu->mig_state == VFIO_DEVICE_STATE_RUNNING)
		return;

	nvvgpu_mig_end_session(vgpu);
	vgpu->mig_state = VFIO_DEVICE_STATE_ERROR;
}

/**
 * nvvgpu_migration_reset() - abort a session and make the vGPU run
 * @vgpu: the VF, locked; it has been reset and has not crashed
 *
 * Return: 0; -EIO if the vGPU may keep loaded state; or the error of the back-end
 * if it cannot be resumed
 */
int nvvgpu_migration_reset(struct nvvgpu *vgpu)
{
	bool still = vgpu->mig_state != VFIO_DEVICE_STATE_RUNNING &&
		     vgpu->mig_state != VFIO_DEVICE_STATE_PRE_COPY;

	nvvgpu_migration_abort(vgpu);
	if (vgpu->state == NVVGPU_ERROR)
		return -EIO;

	return still ? nvvgpu_op_resume(vgpu) : 0;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_migration_reset);
