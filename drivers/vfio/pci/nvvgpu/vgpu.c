// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a vGPU: bound -> created -> open -> created -> bound, and error.
 */
#include <linux/module.h>
#include <linux/pci.h>

#include "nvvgpu.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* Passes on what an operation of the back-end has returned. */
static int nvvgpu_traced(struct nvvgpu *vgpu, const char *op, int ret)
{
	trace_nvvgpu_op(vgpu, op, ret);

	return ret;
}

static int nvvgpu_op_delete(struct nvvgpu *vgpu)
{
	struct nvvgpu_backend *backend = vgpu->backend;

	return nvvgpu_traced(vgpu, "delete",
			     backend->ops->delete(backend->priv, vgpu->vf));
}

static void nvvgpu_handle_reset(struct nvvgpu *vgpu);

const char *nvvgpu_state_name(enum nvvgpu_state state)
{
	static const char * const names[] = {
		[NVVGPU_BOUND] = "bound",
		[NVVGPU_CREATED] = "created",
		[NVVGPU_OPEN] = "open",
		[NVVGPU_ERROR] = "error",
	};

	return names[state];
}

/**
 * nvvgpu_fail() - remember and log why an action on a vGPU failed
 * @vgpu: the vGPU, state_mutex held
 * @err: a negative errno
 * @fmt: what failed, without a newline
 *
 * The line in the log and the one that nvvgpu/last_error shows are the same.
 *
 * Return: @err
 */
int nvvgpu_fail(struct nvvgpu *vgpu, int err, const char *fmt, ...)
{
	va_list args;

	lockdep_assert_held(&vgpu->state_mutex);

	va_start(args, fmt);
	vscnprintf(vgpu->last_error, sizeof(vgpu->last_error), fmt, args);
	va_end(args);

	dev_warn_ratelimited(nvvgpu_dev(vgpu), "%s: %pe\n", vgpu->last_error,
			     ERR_PTR(err));
	return err;
}

static void nvvgpu_set_state(struct nvvgpu *vgpu, enum nvvgpu_state state,
			     const char *event)
{
	lockdep_assert_held(&vgpu->state_mutex);

	trace_nvvgpu_state(vgpu, state);
	vgpu->state = state;
	if (state == NVVGPU_BOUND) {
		vgpu->backend = NULL;
		memset(&vgpu->type, 0, sizeof(vgpu->type));
	}
	nvvgpu_sysfs_changed(vgpu, event);
}

static void nvvgpu_set_error(struct nvvgpu *vgpu)
{
	nvvgpu_set_state(vgpu, NVVGPU_ERROR, NVVGPU_EVENT_NAME_CRASHED);
	nvvgpu_data_wake(vgpu);
	/* VFIO's way to tell the user that the device is not usable any more */
	vfio_pci_core_aer_err_detected(vgpu->core.pdev,
				       pci_channel_io_perm_failure);
}

/**
 * nvvgpu_crashed() - the back-end says that a vGPU is lost
 * @vgpu: the VF, locked
 */
void nvvgpu_crashed(struct nvvgpu *vgpu)
{
	if (vgpu->state == NVVGPU_ERROR)
		return;

	nvvgpu_set_error(vgpu);
	nvvgpu_fail(vgpu, -EIO, "the vGPU has crashed");
}

/*
 * Whoever lets go of state_mutex handles the reset that came meanwhile.  The
 * flag is tested and the mutex released under reset_lock, so that
 * nvvgpu_reset_done() either gets the mutex or leaves the flag to be seen.
 */
static void nvvgpu_state_unlock(struct nvvgpu *vgpu)
{
	for (;;) {
		spin_lock(&vgpu->reset_lock);
		if (!vgpu->reset_pending)
			break;
		vgpu->reset_pending = false;
		spin_unlock(&vgpu->reset_lock);
		nvvgpu_handle_reset(vgpu);
	}
	vgpu->reset_deferred = false;
	mutex_unlock(&vgpu->state_mutex);
	spin_unlock(&vgpu->reset_lock);
}

void nvvgpu_lock(struct nvvgpu *vgpu)
{
	down_read(&vgpu->pf->gate);
	mutex_lock(&vgpu->state_mutex);
}

void nvvgpu_unlock(struct nvvgpu *vgpu)
{
	nvvgpu_state_unlock(vgpu);
	up_read(&vgpu->pf->gate);
}

static bool nvvgpu_pin(struct nvvgpu *vgpu, struct nvvgpu_backend *backend)
{
	if (!try_module_get(backend->ops->owner))
		return false;

	module_put(vgpu->pinned);
	vgpu->pinned = backend->ops->owner;
	return true;
}

static void nvvgpu_unpin(struct nvvgpu *vgpu)
{
	module_put(vgpu->pinned);
	vgpu->pinned = NULL;
}

static int nvvgpu_create_on(struct nvvgpu *vgpu, struct nvvgpu_backend *backend,
			    u32 type, u32 placement)
{
	struct nvvgpu_type_info info;
	int ret;

	ret = nvvgpu_backend_type_info(backend, type, &info);
	if (ret)
		return ret;

	/* What waits is about the one before, whichever way that has gone. */
	nvvgpu_events_drop(vgpu);
	ret = nvvgpu_traced(vgpu, "create",
			    backend->ops->create(backend->priv, vgpu->vf, type,
						 &placement));
	if (ret)
		return ret;

	vgpu->backend = backend;
	vgpu->placement = placement;
	if (vgpu->opened) {
		/* Its user has mapped what the type was when it was opened. */
		ret = memcmp(&info, &vgpu->type, sizeof(info)) ? -ESTALE : 0;
	} else {
		vgpu->type = info;
		ret = nvvgpu_region_shape(vgpu);
	}
	if (ret) {
		nvvgpu_op_delete(vgpu);
		vgpu->backend = NULL;
	}

	return ret;
}

/**
 * nvvgpu_create() - put a vGPU on a VF that has none
 * @vgpu: the VF, locked
 * @type: id of the wanted type
 *
 * Return: 0; -EPERM when there is one already, -ENODEV without a back-end,
 * -EIO when the type is unknown or cannot be created, else the back-end's.
 */
int nvvgpu_create(struct nvvgpu *vgpu, u32 type)
{
	struct nvvgpu_backend *backend = vgpu->pf->backend;
	char reason[NVVGPU_REASON_LEN] = "";
	int ret;

	lockdep_assert_held(&vgpu->state_mutex);

	if (vgpu->state != NVVGPU_BOUND)
		return nvvgpu_fail(vgpu, -EPERM,
				   "cannot create type %u: the VF has a vGPU of type %u",
				   type, vgpu->type.id);
	if (!backend)
		return nvvgpu_fail(vgpu, -ENODEV,
				   "cannot create type %u: no back-end manages %s",
				   type, pci_name(vgpu->pf->pdev));

	ret = nvvgpu_create_on(vgpu, backend, type, vgpu->wanted_placement);
	if (ret)
		vgpu->type.id = 0;
	switch (ret) {
	case 0:
		break;
	case -ENOENT:
		return nvvgpu_fail(vgpu, -EIO, "cannot create type %u: unknown",
				   type);
	case -ENOSPC:
		backend->ops->get_available(backend->priv, type, reason,
					    sizeof(reason));
		return nvvgpu_fail(vgpu, -EIO, "cannot create type %u: %s",
				   type, reason[0] ? reason : "no room");
	case -EBUSY:
	case -EINVAL:
		return nvvgpu_fail(vgpu, -EIO,
				   "cannot create type %u at placement %d: %s",
				   type, (int)vgpu->wanted_placement,
				   ret == -EBUSY ? "taken" : "not possible");
	default:
		return nvvgpu_fail(vgpu, ret, "cannot create type %u", type);
	}

	vgpu->wanted_placement = NVVGPU_PLACEMENT_ANY;
	vgpu->last_error[0] = '\0';
	nvvgpu_set_state(vgpu, NVVGPU_CREATED, NVVGPU_EVENT_NAME_CREATED);

	return 0;
}

/**
 * nvvgpu_delete() - remove the vGPU of a VF whose device is closed
 * @vgpu: the VF, locked
 *
 * A failure leaves the vGPU in error; the delete can be tried again.
 *
 * Return: 0, also when there is none; -EPERM when the device is open, else
 * the back-end's.
 */
int nvvgpu_delete(struct nvvgpu *vgpu)
{
	int ret;

	lockdep_assert_held(&vgpu->state_mutex);

	if (vgpu->opened)
		return nvvgpu_fail(vgpu, -EPERM,
				   "cannot delete the vGPU: %s (%d) has it open",
				   vgpu->owner_comm, vgpu->owner);
	if (vgpu->state == NVVGPU_BOUND)
		return 0;

	/* A reset may have deleted it already and failed to make it anew. */
	ret = vgpu->backend ? nvvgpu_op_delete(vgpu) : 0;
	if (ret) {
		nvvgpu_set_state(vgpu, NVVGPU_ERROR, NVVGPU_EVENT_NAME_CRASHED);
		return nvvgpu_fail(vgpu, ret, "cannot delete the vGPU of type %u",
				   vgpu->type.id);
	}
	vgpu->last_error[0] = '\0';
	nvvgpu_set_state(vgpu, NVVGPU_BOUND, NVVGPU_EVENT_NAME_DELETED);

	return 0;
}

static int nvvgpu_check_open(struct nvvgpu *vgpu)
{
	switch (vgpu->state) {
	case NVVGPU_CREATED:
		return 0;
	case NVVGPU_ERROR:
		return nvvgpu_fail(vgpu, -EIO,
				   "cannot open: the vGPU is in error, reset or delete it");
	default:
		return nvvgpu_fail(vgpu, -ENODEV, "cannot open: %s",
				   vgpu->pf->backend ? "no vGPU type is set" :
						       "no back-end");
	}
}

/**
 * nvvgpu_may_open() - whether opening a VF's device makes sense
 * @vgpu: the VF
 *
 * Return: 0, -ENODEV without a vGPU, -EIO when it is in error
 */
int nvvgpu_may_open(struct nvvgpu *vgpu)
{
	guard(nvvgpu)(vgpu);

	return nvvgpu_check_open(vgpu);
}

static int nvvgpu_start_on(struct nvvgpu *vgpu, struct nvvgpu_backend *backend)
{
	struct nvvgpu_vm_context ctx = {
		.pid = vgpu->owner,
		.params = vgpu->params,
	};
	int ret;

	ret = nvvgpu_traced(vgpu, "start",
			    backend->ops->start(backend->priv, vgpu->vf, &ctx));
	vgpu->started = !ret;

	return ret;
}

static int nvvgpu_stop_started(struct nvvgpu *vgpu)
{
	struct nvvgpu_backend *backend = vgpu->backend;

	if (!vgpu->started)
		return 0;
	vgpu->started = false;

	return nvvgpu_traced(vgpu, "stop",
			     backend->ops->stop(backend->priv, vgpu->vf));
}

/* Before it is stopped: a vGPU is neither on its way nor logged any more. */
static void nvvgpu_end_migration(struct nvvgpu *vgpu)
{
	nvvgpu_migration_abort(vgpu);
	nvvgpu_dirty_end(vgpu);
}

/**
 * nvvgpu_start() - hand a vGPU to the process that opens its device
 * @vgpu: the VF, not locked; its device is enabled
 *
 * Return: 0, undone by nvvgpu_stop(); -EIO when the VF was not reset; else as
 * nvvgpu_may_open() and the back-end's start.
 */
int nvvgpu_start(struct nvvgpu *vgpu)
{
	int ret;

	guard(nvvgpu)(vgpu);

	ret = nvvgpu_check_open(vgpu);
	if (ret)
		return ret;
	/* With some back-ends it is all that parts one user from the next. */
	if (!vgpu->core.reset_works)
		return nvvgpu_fail(vgpu, -EIO,
				   "cannot open: the VF could not be reset");
	if (!nvvgpu_pin(vgpu, vgpu->backend))
		return nvvgpu_fail(vgpu, -ENODEV, "cannot open: the back-end leaves");

	vgpu->owner = task_tgid_nr(current);
	get_task_comm(vgpu->owner_comm, current->group_leader);

	ret = nvvgpu_start_on(vgpu, vgpu->backend);
	if (!ret) {
		ret = nvvgpu_region_shape(vgpu);
		if (ret)
			nvvgpu_stop_started(vgpu);
	}
	if (ret) {
		nvvgpu_unpin(vgpu);
		vgpu->owner = 0;
		return nvvgpu_fail(vgpu, ret, "cannot start the vGPU");
	}
	vgpu->opened = true;
	nvvgpu_migration_open(vgpu);
	nvvgpu_dirty_open(vgpu);
	vgpu->last_error[0] = '\0';
	nvvgpu_set_state(vgpu, NVVGPU_OPEN, NVVGPU_EVENT_NAME_OPENED);

	return 0;
}

/**
 * nvvgpu_stop() - take a vGPU back from its user
 * @vgpu: the VF, not locked; its device is being closed
 */
void nvvgpu_stop(struct nvvgpu *vgpu)
{
	int ret;

	guard(nvvgpu)(vgpu);

	nvvgpu_end_migration(vgpu);
	ret = nvvgpu_stop_started(vgpu);
	vgpu->opened = false;
	vgpu->owner = 0;
	nvvgpu_unpin(vgpu);

	if (!vgpu->backend) {
		nvvgpu_set_state(vgpu, NVVGPU_BOUND, NVVGPU_EVENT_NAME_CLOSED);
	} else if (ret && vgpu->state != NVVGPU_ERROR) {
		/* What the user left may still be there: nobody gets it. */
		nvvgpu_set_state(vgpu, NVVGPU_ERROR, NVVGPU_EVENT_NAME_CRASHED);
		nvvgpu_fail(vgpu, ret, "cannot stop the vGPU");
	} else if (vgpu->state == NVVGPU_OPEN) {
		nvvgpu_set_state(vgpu, NVVGPU_CREATED, NVVGPU_EVENT_NAME_CLOSED);
	} else {
		nvvgpu_sysfs_changed(vgpu, NVVGPU_EVENT_NAME_CLOSED);
	}
}

/**
 * nvvgpu_drop_backend() - a vGPU loses its back-end
 * @vgpu: the VF; the gate is held for write
 *
 * The back-end's operations are called for the last time.  A vGPU that is
 * open stays so, in error, until its user closes it or a reset finds a
 * back-end again.
 */
void nvvgpu_drop_backend(struct nvvgpu *vgpu)
{
	int ret;

	lockdep_assert_held_write(&vgpu->pf->gate);

	mutex_lock(&vgpu->state_mutex);
	if (vgpu->backend) {
		nvvgpu_end_migration(vgpu);
		nvvgpu_stop_started(vgpu);
		ret = nvvgpu_op_delete(vgpu);
		if (ret)
			nvvgpu_fail(vgpu, ret, "cannot delete the vGPU of a leaving back-end");
		vgpu->backend = NULL;
		nvvgpu_unpin(vgpu);
		if (vgpu->opened) {
			nvvgpu_set_error(vgpu);
			nvvgpu_fail(vgpu, -ENODEV, "the back-end has gone");
		} else {
			nvvgpu_set_state(vgpu, NVVGPU_BOUND, NVVGPU_EVENT_NAME_DELETED);
		}
	}
	nvvgpu_state_unlock(vgpu);
}

/* Its user goes by what was offered and mapped when it was opened. */
static int nvvgpu_restart(struct nvvgpu *vgpu)
{
	int ret;

	ret = nvvgpu_start_on(vgpu, vgpu->backend);
	if (ret)
		return ret;

	ret = nvvgpu_migration_same(vgpu) ? nvvgpu_region_same(vgpu) : -ESTALE;
	if (ret) {
		nvvgpu_stop_started(vgpu);
		nvvgpu_op_delete(vgpu);
		vgpu->backend = NULL;
	}

	return ret;
}

/* A reset is the way out of error: the same vGPU again, from nothing. */
static int nvvgpu_recreate(struct nvvgpu *vgpu)
{
	struct nvvgpu_backend *backend = vgpu->pf->backend;
	int ret;

	nvvgpu_end_migration(vgpu);
	if (!backend)
		return -ENODEV;
	if (vgpu->opened && !nvvgpu_pin(vgpu, backend))
		return -ENODEV;

	if (vgpu->backend) {
		nvvgpu_stop_started(vgpu);
		ret = nvvgpu_op_delete(vgpu);
		if (ret)
			return ret;
		vgpu->backend = NULL;
	}
	ret = nvvgpu_create_on(vgpu, backend, vgpu->type.id, vgpu->placement);
	if (!ret && vgpu->opened)
		ret = nvvgpu_restart(vgpu);
	if (!vgpu->backend)
		nvvgpu_unpin(vgpu);

	return ret;
}

static void nvvgpu_handle_reset(struct nvvgpu *vgpu)
{
	struct nvvgpu_backend *backend = vgpu->backend;
	bool crashed;
	int ret;

	lockdep_assert_held(&vgpu->state_mutex);

	if (vgpu->state == NVVGPU_BOUND)
		return;

	/* It may have crashed without event_work having seen it yet. */
	crashed = vgpu->state == NVVGPU_ERROR ||
		  nvvgpu_event_pending(vgpu, NVVGPU_EVENT_CRASHED);
	if (!crashed)
		crashed = nvvgpu_migration_reset(vgpu);
	if (!crashed && backend->ops->reset_done) {
		if (!vgpu->reset_prepared)
			backend->ops->reset_prepare(backend->priv, vgpu->vf);
		crashed = nvvgpu_traced(vgpu, "reset_done",
					backend->ops->reset_done(backend->priv,
								 vgpu->vf));
	}
	vgpu->reset_prepared = false;
	if (!crashed)
		return;

	if (vgpu->state != NVVGPU_ERROR)
		nvvgpu_set_state(vgpu, NVVGPU_ERROR, NVVGPU_EVENT_NAME_CRASHED);
	ret = nvvgpu_recreate(vgpu);
	if (ret) {
		/* VFIO_DEVICE_RESET has no errno for this. */
		nvvgpu_set_error(vgpu);
		nvvgpu_fail(vgpu, ret, "cannot bring the vGPU back by a reset");
		return;
	}
	vgpu->last_error[0] = '\0';
	nvvgpu_set_state(vgpu, vgpu->opened ? NVVGPU_OPEN : NVVGPU_CREATED,
			 NVVGPU_EVENT_NAME_RESET);
}

/**
 * nvvgpu_reset_prepare() - the VF is about to be reset
 * @vgpu: the VF
 *
 * VFIO may hold memory_lock here: whoever has state_mutex is not waited for,
 * the back-end then hears of the reset when it is over.
 */
void nvvgpu_reset_prepare(struct nvvgpu *vgpu)
{
	struct nvvgpu_backend *backend;

	guard(rwsem_read)(&vgpu->pf->gate);

	if (!mutex_trylock(&vgpu->state_mutex))
		return;

	backend = vgpu->backend;
	if (backend && backend->ops->reset_prepare &&
	    vgpu->state != NVVGPU_ERROR) {
		backend->ops->reset_prepare(backend->priv, vgpu->vf);
		vgpu->reset_prepared = true;
	}
	nvvgpu_state_unlock(vgpu);
}

/**
 * nvvgpu_reset_done() - the VF has been reset
 * @vgpu: the VF
 *
 * Handled here, or by the holder of state_mutex when it lets go.
 */
void nvvgpu_reset_done(struct nvvgpu *vgpu)
{
	guard(rwsem_read)(&vgpu->pf->gate);

	spin_lock(&vgpu->reset_lock);
	vgpu->reset_pending = true;
	if (!mutex_trylock(&vgpu->state_mutex)) {
		vgpu->reset_deferred = true;
		spin_unlock(&vgpu->reset_lock);
		return;
	}
	spin_unlock(&vgpu->reset_lock);
	nvvgpu_state_unlock(vgpu);
}

/**
 * nvvgpu_reset_settle() - wait for a reset that somebody else handles
 * @vgpu: the VF, not locked
 *
 * A user who is told that its device has been reset sets it up anew at once: the
 * back-end must not reset it after that.
 *
 * Context: may sleep; not with VFIO's memory_lock.
 */
void nvvgpu_reset_settle(struct nvvgpu *vgpu)
{
	bool deferred;

	spin_lock(&vgpu->reset_lock);
	deferred = vgpu->reset_deferred;
	spin_unlock(&vgpu->reset_lock);
	if (!deferred)
		return;

	nvvgpu_lock(vgpu);
	nvvgpu_unlock(vgpu);
}
