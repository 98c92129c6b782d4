// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a vGPU: bound -> created -> open -> created -> bound, and error.
 */
#include <linux/ctype.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pid.h>
#include <linux/slab.h>

#include "nvvgpu.h"
#include "trace.h"

static void nvvgpu_crashed(struct nvvgpu *vgpu,
			   const struct nvvgpu_event_info *info)
{
	if (vgpu->state == NVVGPU_ERROR)
		return;

	nvvgpu_set_error(vgpu, info);
	nvvgpu_report_crash(vgpu, -EIO, "the vGPU has crashed");
}

/* Without get_placement the vGPU keeps its old placement. */
static void nvvgpu_event_placement(struct nvvgpu *vgpu)
{
	u32 placement;
	int ret;

	if (!(nvvgpu_can(vgpu->backend) & NVVGPU_CAN_PLACEMENT))
		return;

	ret = nvvgpu_op_get_placement(vgpu, &placement);
	if (ret)
		nvvgpu_fail(vgpu, ret, "cannot get the new placement of the vGPU");
	else
		WRITE_ONCE(vgpu->placement, placement);
}

static void nvvgpu_handle_event(struct nvvgpu *vgpu,
				const struct nvvgpu_event_info *info, u64 count)
{
	struct nvvgpu_notice notice = {
		.event = nvvgpu_event_names[info->event],
		.type = vgpu->type.id,
		.generation = vgpu->generation,
		.count = count,
		.info = info,
	};

	trace_nvvgpu_event(vgpu, notice.event, info);
	if (info->event == NVVGPU_EVENT_CRASHED) {
		nvvgpu_crashed(vgpu, info);
		return;
	}
	if (info->event == NVVGPU_EVENT_PLACEMENT)
		nvvgpu_event_placement(vgpu);
	if (info->event == NVVGPU_EVENT_PLACEMENT ||
	    info->event == NVVGPU_EVENT_DISPLAY)
		nvvgpu_data_layout_changed(vgpu);
	nvvgpu_notify(vgpu, &notice);
}

static void nvvgpu_handle_events(struct nvvgpu *vgpu)
{
	struct nvvgpu_event_info info;
	unsigned int left;
	u64 count;

	lockdep_assert_held(&vgpu->state_mutex);

	/* A later report has scheduled this work again. */
	left = nvvgpu_events_queued(vgpu);

	while (left-- && nvvgpu_event_next(vgpu, &info, &count))
		if (vgpu->state != NVVGPU_BOUND)
			nvvgpu_handle_event(vgpu, &info, count);
}

/**
 * nvvgpu_event_work() - handle pending events
 * @work: nvvgpu::event_work
 */
void nvvgpu_event_work(struct work_struct *work)
{
	struct nvvgpu *vgpu = container_of(to_delayed_work(work), struct nvvgpu,
					   event_work);
	bool crashed, err;

	/* Nobody sees a vGPU in error whose BARs can still be reached. */
	scoped_guard(nvvgpu, vgpu) {
		crashed = nvvgpu_event_pending(vgpu, NVVGPU_EVENT_CRASHED);
		if (crashed) {
			WRITE_ONCE(vgpu->accessible, false);
			nvvgpu_display_blank(vgpu);
		}
	}
	if (crashed)
		nvvgpu_region_zap(vgpu);
	nvvgpu_dmabuf_update(vgpu);

	scoped_guard(nvvgpu, vgpu) {
		nvvgpu_handle_events(vgpu);
		err = vgpu->err_pending;
		vgpu->err_pending = false;
	}
	if (!err)
		return;

	nvvgpu_region_zap(vgpu);
	nvvgpu_dmabuf_update(vgpu);
	vfio_pci_core_aer_err_detected(vgpu->core.pdev,
				       pci_channel_io_perm_failure);
}

/* Delete a vGPU that could not be deleted when the VF was last unbound. */
static int nvvgpu_delete_left(struct nvvgpu *vgpu)
{
	void **stale = &vgpu->backend->stale[vgpu->vf];
	int ret;

	if (!*stale)
		return 0;

	ret = nvvgpu_op_delete_stale(vgpu->backend, *stale);
	if (ret)
		return ret;
	*stale = NULL;
	nvvgpu_notify_types(vgpu->pf);

	return 0;
}

static int nvvgpu_fail_create(struct nvvgpu *vgpu, u32 type, u32 placement,
			      int err)
{
	const char *cause = "the back-end failed";
	char reason[NVVGPU_REASON_LEN];

	switch (err) {
	case -ENOENT:
		return nvvgpu_fail(vgpu, -EIO, "cannot create type %u: no such type",
				   type);
	case -EBUSY:
	case -EINVAL:
		if (placement != NVVGPU_PLACEMENT_ANY)
			return nvvgpu_fail(vgpu, -EIO,
					   "cannot create type %u at placement %d: %s",
					   type, (int)placement,
					   err == -EBUSY ? "placement taken" :
					   "invalid placement");
		err = -EIO;
		break;
	case -ETIMEDOUT:
		return nvvgpu_fail(vgpu, err,
				   "cannot create type %u: the GPU does not respond",
				   type);
	case -ENOSPC:
		err = -EIO;
		cause = "no room";
		break;
	}

	nvvgpu_op_get_available(vgpu->backend, type, NVVGPU_PLACEMENT_ANY,
				reason);

	return nvvgpu_fail(vgpu, err, "cannot create type %u: %s", type,
			   reason[0] ? reason : cause);
}

/* Check what the back-end has created. */
static int nvvgpu_check_created(struct nvvgpu *vgpu, u32 placement)
{
	u32 actual = vgpu->placement;
	int ret;

	if (actual > INT_MAX ||
	    (placement != NVVGPU_PLACEMENT_ANY && placement != actual))
		return nvvgpu_fail(vgpu, -EPROTO,
				   "cannot create type %u: the back-end returned placement %d",
				   vgpu->type.id, (int)actual);

	ret = nvvgpu_region_shape(vgpu);
	if (!ret)
		return 0;

	return nvvgpu_fail(vgpu, ret == -EBUSY ? -EIO : ret,
			   "cannot create type %u: its BARs are unknown or malformed",
			   vgpu->type.id);
}

static int nvvgpu_do_create(struct nvvgpu *vgpu, u32 type, u32 placement)
{
	struct nvvgpu_type_info info;
	u32 actual = placement;
	int ret;

	ret = nvvgpu_op_get_type_info(vgpu->backend, type, &info);
	/* nvvgpu_fail_create() takes these two for errors of the placement. */
	if (ret == -EBUSY || ret == -EINVAL)
		ret = -EIO;
	ret = ret ?: nvvgpu_alloc_memory(vgpu);
	if (ret)
		return nvvgpu_fail_create(vgpu, type, placement, ret);

	/* Drop events queued for the previous vGPU. */
	nvvgpu_events_drop(vgpu);
	ret = nvvgpu_op_create(vgpu, type, &actual);
	if (ret) {
		ret = nvvgpu_fail_create(vgpu, type, placement, ret);
		goto out_free;
	}

	vgpu->type = info;
	WRITE_ONCE(vgpu->placement, actual);
	ret = nvvgpu_check_created(vgpu, placement);
	if (!ret)
		return 0;

	if (nvvgpu_op_delete(vgpu))
		vgpu->backend->stale[vgpu->vf] = vgpu->handle;
	vgpu->type.id = 0;
out_free:
	nvvgpu_free_memory(vgpu);

	return ret;
}

/**
 * nvvgpu_create() - create the vGPU of a VF
 * @vgpu: the VF, locked
 * @type: id of the requested type
 *
 * Return: 0; -EOPNOTSUPP if the PF driver provisions the VFs; -EPERM if the VF
 * has a vGPU; -EBUSY while the VF is reset; -EIO if the type is unknown or cannot
 * be created; or the error of the back-end
 */
int nvvgpu_create(struct nvvgpu *vgpu, u32 type)
{
	u32 placement = vgpu->settings->placement;
	int ret;

	lockdep_assert_held(&vgpu->state_mutex);

	if (!(nvvgpu_can(vgpu->backend) & NVVGPU_CAN_CREATE))
		return nvvgpu_fail(vgpu, -EOPNOTSUPP,
				   "cannot create type %u: the PF driver provisions the VFs",
				   type);
	if (vgpu->state != NVVGPU_BOUND)
		return nvvgpu_fail(vgpu, -EPERM,
				   "cannot create type %u: the VF has a vGPU of type %u",
				   type, vgpu->type.id);
	/* The new vGPU would miss reset_prepare. */
	if (vgpu->resets)
		return nvvgpu_fail(vgpu, -EBUSY,
				   "cannot create type %u: the VF is being reset",
				   type);

	/* Drop the request now, so that it does not apply to the next create. */
	WRITE_ONCE(vgpu->settings->placement, NVVGPU_PLACEMENT_ANY);
	/* EBUSY is reserved for a VF that is being reset. */
	ret = nvvgpu_delete_left(vgpu);
	if (ret)
		return nvvgpu_fail(vgpu, ret == -EBUSY ? -EIO : ret,
				   "cannot create type %u: cannot delete the previous vGPU",
				   type);

	ret = nvvgpu_do_create(vgpu, type, placement);
	if (ret)
		return ret;

	nvvgpu_set_created(vgpu, true);

	return 0;
}

/**
 * nvvgpu_delete() - delete the vGPU of a VF
 * @vgpu: the VF, locked
 *
 * A failure leaves the vGPU in error; the delete can be tried again.  Without a
 * vGPU, deletes the one that nvvgpu_retire() has recorded.
 *
 * Return: 0, also if there is none; -EPERM if the device is open; -EOPNOTSUPP
 * if the PF driver provisions the VFs; or the error of the back-end
 */
int nvvgpu_delete(struct nvvgpu *vgpu)
{
	int ret;

	lockdep_assert_held(&vgpu->state_mutex);

	if (vgpu->opened)
		return nvvgpu_fail(vgpu, -EPERM,
				   "cannot delete the vGPU: %s (%d) has it open",
				   vgpu->owner_comm, pid_nr(vgpu->owner));
	if (vgpu->state == NVVGPU_BOUND) {
		ret = nvvgpu_delete_left(vgpu);
		return ret ? nvvgpu_fail(vgpu, ret,
					 "cannot delete the previous vGPU") : 0;
	}
	if (!(nvvgpu_can(vgpu->backend) & NVVGPU_CAN_CREATE))
		return nvvgpu_fail(vgpu, -EOPNOTSUPP,
				   "cannot delete the vGPU: the PF driver provisions the VFs");
	nvvgpu_end_reset(vgpu);

	ret = nvvgpu_op_delete(vgpu);
	if (ret) {
		nvvgpu_set_state(vgpu, NVVGPU_ERROR, NVVGPU_EVENT_NAME_CRASHED);
		return nvvgpu_report_crash(vgpu, ret,
					   "cannot delete the vGPU of type %u",
					   vgpu->type.id);
	}
	nvvgpu_succeed(vgpu);
	nvvgpu_set_state(vgpu, NVVGPU_BOUND, NVVGPU_EVENT_NAME_DELETED);

	return 0;
}

/**
 * nvvgpu_delete_generation() - remove a vGPU unless another one has replaced it
 * @vgpu: the VF, locked
 * @generation: number of the vGPU to remove
 *
 * Return: as nvvgpu_delete(); -ESTALE when the VF has another vGPU or none
 */
int nvvgpu_delete_generation(struct nvvgpu *vgpu, u64 generation)
{
	lockdep_assert_held(&vgpu->state_mutex);

	if (vgpu->generation != generation)
		return nvvgpu_fail(vgpu, -ESTALE,
				   "cannot delete vGPU %llu: the VF has vGPU %llu",
				   generation, vgpu->generation);

	return nvvgpu_delete(vgpu);
}

/**
 * nvvgpu_retire() - delete the vGPU when the VF or its back-end is removed
 * @vgpu: the VF, locked; its device is closed
 *
 * A vGPU that cannot be deleted is recorded, and the delete is repeated before
 * the VF gets another vGPU.
 */
void nvvgpu_retire(struct nvvgpu *vgpu)
{
	lockdep_assert_held(&vgpu->state_mutex);

	vgpu->retired = true;
	if (!(nvvgpu_can(vgpu->backend) & NVVGPU_CAN_CREATE)) {
		nvvgpu_disown(vgpu);
		return;
	}
	if (!nvvgpu_delete(vgpu))
		return;

	vgpu->backend->stale[vgpu->vf] = vgpu->handle;
	nvvgpu_set_state(vgpu, NVVGPU_BOUND, NULL);
}

static int nvvgpu_check_open(struct nvvgpu *vgpu)
{
	switch (vgpu->state) {
	case NVVGPU_CREATED:
		return 0;
	case NVVGPU_ERROR:
		return nvvgpu_refuse(vgpu, -EIO,
				     "cannot open: the vGPU is in error, reset or delete it");
	default:
		return nvvgpu_refuse(vgpu, -ENODEV,
				     "cannot open: no vGPU type is set");
	}
}

/**
 * nvvgpu_may_open() - check whether a VF's device can be opened
 * @vgpu: the VF
 *
 * Return: 0; -ENODEV without a vGPU; -EIO when it is in error
 */
int nvvgpu_may_open(struct nvvgpu *vgpu)
{
	guard(nvvgpu)(vgpu);

	return nvvgpu_check_open(vgpu);
}

/* Keep a name in one line, and in the quotes that may surround it. */
static void nvvgpu_clean_name(char *name)
{
	for (; *name; name++)
		if (!isascii(*name) || !isprint(*name) || *name == '"')
			*name = '?';
}

static void nvvgpu_set_vm_name(struct nvvgpu *vgpu, const char *name)
{
	guard(spinlock)(&vgpu->text_lock);

	strscpy_pad(vgpu->owner_vm, name);
	nvvgpu_clean_name(vgpu->owner_vm);
}

static int nvvgpu_do_start(struct nvvgpu *vgpu)
{
	char vm_name[NVVGPU_VM_NAME_LEN] = "";
	struct nvvgpu_vm_context ctx = {
		.argsz = sizeof(ctx),
		.pid = pid_nr(vgpu->owner),
		.params = vgpu->start_params,
		.vm_name = vm_name,
		.vm_name_len = sizeof(vm_name),
	};
	int ret;

	ret = nvvgpu_op_start(vgpu, &ctx);
	vgpu->started = !ret;
	if (!ret)
		nvvgpu_set_vm_name(vgpu, vm_name);

	return ret;
}

/* Start a vGPU with the current parameters, which are kept for its recovery. */
static int nvvgpu_start_new(struct nvvgpu *vgpu)
{
	scoped_guard(spinlock, &vgpu->text_lock)
		strscpy(vgpu->start_params, vgpu->settings->params ?: "",
			NVVGPU_PARAMS_LEN);

	return nvvgpu_do_start(vgpu);
}

/**
 * nvvgpu_stop_started() - stop a vGPU if it is started
 * @vgpu: the VF, locked
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_stop_started(struct nvvgpu *vgpu)
{
	if (!vgpu->started)
		return 0;
	vgpu->started = false;

	return nvvgpu_op_stop(vgpu);
}

/**
 * nvvgpu_restart() - start a recovered vGPU whose device is open
 * @vgpu: the VF, locked
 *
 * Return: 0; -ESTALE if its BARs differ from those that the user has seen; or
 * the error of the back-end
 */
int nvvgpu_restart(struct nvvgpu *vgpu)
{
	int ret;

	ret = nvvgpu_do_start(vgpu);
	if (ret)
		return ret;

	ret = nvvgpu_region_same(vgpu) ?: nvvgpu_edid_restart(vgpu);
	if (ret) {
		nvvgpu_stop_started(vgpu);
		return ret;
	}
	WRITE_ONCE(vgpu->accessible, !vgpu->withdrawn);

	return 0;
}

static void nvvgpu_set_owner(struct nvvgpu *vgpu, struct pid *owner)
{
	struct pid *last;

	scoped_guard(spinlock, &vgpu->text_lock) {
		last = vgpu->owner;
		vgpu->owner = owner;
		vgpu->owner_vm[0] = '\0';
		if (owner) {
			strscpy(vgpu->owner_comm, current->group_leader->comm);
			nvvgpu_clean_name(vgpu->owner_comm);
			/* nvvgpu/owner appends " (ended)". */
			strreplace(vgpu->owner_comm, '(', '?');
		}
	}
	put_pid(last);
}

/* Start a vGPU, and find out what its user will see. */
static int nvvgpu_start_shaped(struct nvvgpu *vgpu)
{
	int ret;

	ret = nvvgpu_start_new(vgpu);
	if (ret)
		return ret;

	ret = nvvgpu_region_shape(vgpu) ?: nvvgpu_display_open(vgpu);
	/* The next user must not get a vGPU that may still run. */
	if (ret && nvvgpu_stop_started(vgpu))
		nvvgpu_set_state(vgpu, NVVGPU_ERROR, NVVGPU_EVENT_NAME_CRASHED);

	return ret;
}

/**
 * nvvgpu_start() - start a vGPU for the process that opens its device
 * @vgpu: the VF, not locked; its device is enabled
 *
 * Return: 0, undone by nvvgpu_stop(); -EIO when the VF was not reset; -EAGAIN while
 * the host resets it; as nvvgpu_may_open(); or the error of the back-end
 */
int nvvgpu_start(struct nvvgpu *vgpu)
{
	int ret;

	guard(nvvgpu)(vgpu);

	ret = nvvgpu_check_open(vgpu);
	if (ret)
		return ret;
	/* The vGPU would be started in the middle of it. */
	if (vgpu->resets)
		return nvvgpu_refuse(vgpu, -EAGAIN,
				     "cannot open: the VF is being reset");
	/* Some back-ends rely on this reset to isolate successive users. */
	if (!vgpu->core.reset_works)
		return nvvgpu_refuse(vgpu, -EIO,
				     "cannot open: the VF could not be reset");
	if (!try_module_get(vgpu->backend->table.owner))
		return nvvgpu_refuse(vgpu, -ENODEV,
				     "cannot open: the back-end is unregistering");

	nvvgpu_set_owner(vgpu, get_pid(task_tgid(current)));
	ret = nvvgpu_start_shaped(vgpu);
	if (ret) {
		nvvgpu_set_owner(vgpu, NULL);
		module_put(vgpu->backend->table.owner);
		return nvvgpu_fail(vgpu, ret, "cannot start the vGPU");
	}

	WRITE_ONCE(vgpu->opened, true);
	vgpu->withdrawn = false;
	WRITE_ONCE(vgpu->accessible, true);
	vgpu->err_pending = false;
	nvvgpu_migration_open(vgpu);
	nvvgpu_use_begin(vgpu);
	nvvgpu_succeed(vgpu);
	nvvgpu_set_state(vgpu, NVVGPU_OPEN, NVVGPU_EVENT_NAME_OPENED);

	return 0;
}

/**
 * nvvgpu_withdraw() - make the memory of a vGPU inaccessible for good
 * @vgpu: the VF, not locked; its device is being closed
 *
 * The user has no mapping of the BARs any more, but other devices and processes
 * may have dma-bufs.
 */
void nvvgpu_withdraw(struct nvvgpu *vgpu)
{
	scoped_guard(nvvgpu, vgpu) {
		vgpu->withdrawn = true;
		WRITE_ONCE(vgpu->accessible, false);
	}
	nvvgpu_dmabuf_update(vgpu);
	nvvgpu_scanouts_close(vgpu);
}

/**
 * nvvgpu_stop() - stop a vGPU whose device is being closed
 * @vgpu: the VF, not locked; nvvgpu_withdraw() has been called
 *
 * The vGPU is in use until nvvgpu_closed(): it must not be replaced while the VF
 * is reset.
 */
void nvvgpu_stop(struct nvvgpu *vgpu)
{
	int ret;

	guard(nvvgpu)(vgpu);

	nvvgpu_migration_abort(vgpu);
	nvvgpu_dirty_end(vgpu);
	nvvgpu_display_close(vgpu);
	ret = nvvgpu_stop_started(vgpu);
	nvvgpu_use_end(vgpu, !ret);
	if (ret && vgpu->state != NVVGPU_ERROR) {
		/* The next user must not see data that may be left. */
		nvvgpu_set_state(vgpu, NVVGPU_ERROR, NVVGPU_EVENT_NAME_CRASHED);
		nvvgpu_report_crash(vgpu, ret, "cannot stop the vGPU");
	}
}

/**
 * nvvgpu_closed() - announce that the device of a vGPU was closed
 * @vgpu: the VF, not locked; nvvgpu_stop() has been called, and the VF was reset
 */
void nvvgpu_closed(struct nvvgpu *vgpu)
{
	guard(nvvgpu)(vgpu);

	vgpu->closing = true;
	WRITE_ONCE(vgpu->opened, false);
	nvvgpu_set_owner(vgpu, NULL);
	module_put(vgpu->backend->table.owner);
	nvvgpu_set_state(vgpu, vgpu->state == NVVGPU_OPEN ? NVVGPU_CREATED :
						 vgpu->state,
			 NVVGPU_EVENT_NAME_CLOSED);
	vgpu->closing = false;
}
