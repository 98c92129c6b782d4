// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resets of a VF, and the recovery of a crashed vGPU by a reset.
 *
 * The process that requests a reset also calls the back-end before and after
 * it.  The PCI core's callbacks run with memory_lock held, and firmware may be
 * slow.  So where the front-end knows of a reset in advance, it calls
 * nvvgpu_reset_begin() and nvvgpu_reset_end() around it, and the callbacks in
 * between only count.
 */
#include <linux/pci.h>
#include <kunit/visibility.h>

#include "nvvgpu.h"

/**
 * nvvgpu_reset_begin() - quiesce a vGPU before its VF is reset
 * @vgpu: the VF, not locked
 *
 * Calls nest, only the outermost one has an effect.  A crashed vGPU is not
 * quiesced.
 */
void nvvgpu_reset_begin(struct nvvgpu *vgpu)
{
	/* Waits for other devices, so not under state_mutex. */
	nvvgpu_scanouts_hold(vgpu);

	guard(nvvgpu)(vgpu);

	if (vgpu->resets++)
		return;
	vgpu->reset_ran = false;
	nvvgpu_display_blank(vgpu);
	if (!(nvvgpu_can(vgpu->backend) & NVVGPU_CAN_RESET) ||
	    vgpu->state == NVVGPU_BOUND || vgpu->state == NVVGPU_ERROR)
		return;

	nvvgpu_op_reset_prepare(vgpu);
	vgpu->reset_prepared = true;
}

/**
 * nvvgpu_reset_ran() - note whether a VF was reset
 * @vgpu: the VF, not locked; a call of nvvgpu_reset_end() is due
 * @ran: whether the VF was reset
 */
void nvvgpu_reset_ran(struct nvvgpu *vgpu, bool ran)
{
	guard(nvvgpu)(vgpu);

	vgpu->reset_ran = ran;
}

/* Recover a crashed vGPU in place; it keeps its memory and its placement. */
static int nvvgpu_recover(struct nvvgpu *vgpu)
{
	int ret;

	nvvgpu_migration_abort(vgpu);
	nvvgpu_dirty_end(vgpu);
	/* Ignore errors: a crashed vGPU may be unable to stop. */
	nvvgpu_stop_started(vgpu);

	if (!(nvvgpu_can(vgpu->backend) & NVVGPU_CAN_RECOVER))
		return -EOPNOTSUPP;
	ret = nvvgpu_use_recover(vgpu);
	if (ret)
		return ret;

	return vgpu->opened && !vgpu->withdrawn ? nvvgpu_restart(vgpu) : 0;
}

/* Check for a crash, also for one that nvvgpu_event_work() has yet to handle. */
static bool nvvgpu_has_crashed(struct nvvgpu *vgpu)
{
	lockdep_assert_held(&vgpu->state_mutex);

	return vgpu->state == NVVGPU_ERROR ||
	       nvvgpu_event_pending(vgpu, NVVGPU_EVENT_CRASHED);
}

/* Call reset_done if it is due.  Return true if the vGPU has crashed. */
static bool nvvgpu_reset_failed(struct nvvgpu *vgpu)
{
	bool prepared = vgpu->reset_prepared;
	int ret;

	ret = nvvgpu_has_crashed(vgpu) ? -EIO : nvvgpu_migration_reset(vgpu);

	vgpu->reset_prepared = false;
	if (prepared)
		ret = nvvgpu_op_reset_done(vgpu) ?: ret;
	if (ret && vgpu->state != NVVGPU_ERROR)
		nvvgpu_report_crash(vgpu, ret,
				    "cannot resume the vGPU after a reset");

	return ret;
}

/*
 * The VF was not reset, for instance because the PCI core could not lock it.
 * Call reset_done for the reset_prepare before it.  State that reset_prepare has
 * discarded cannot be restored.
 */
static void nvvgpu_reset_cancelled(struct nvvgpu *vgpu)
{
	int ret;

	if (!vgpu->reset_prepared)
		return;

	vgpu->reset_prepared = false;
	nvvgpu_migration_fail(vgpu);
	ret = nvvgpu_op_reset_done(vgpu);
	if (!ret || vgpu->state == NVVGPU_ERROR)
		return;
	nvvgpu_set_error(vgpu, NULL);
	nvvgpu_report_crash(vgpu, ret, "cannot resume the vGPU after a reset");
}

/* End one reset.  Return true if it was the outermost one of a vGPU. */
static bool nvvgpu_reset_over(struct nvvgpu *vgpu)
{
	if (WARN_ON_ONCE(!vgpu->resets) || --vgpu->resets)
		return false;

	nvvgpu_display_update(vgpu);
	if (vgpu->state != NVVGPU_BOUND)
		return true;
	/* The PF driver may have provisioned a vGPU meanwhile. */
	nvvgpu_adopt(vgpu);

	return false;
}

static int nvvgpu_resume_or_recover(struct nvvgpu *vgpu)
{
	int ret;

	guard(nvvgpu)(vgpu);

	if (!nvvgpu_reset_over(vgpu))
		return nvvgpu_has_crashed(vgpu) ? -EAGAIN : 0;
	if (!vgpu->reset_ran) {
		nvvgpu_reset_cancelled(vgpu);
		return 0;
	}
	if (!nvvgpu_reset_failed(vgpu))
		return 0;

	WRITE_ONCE(vgpu->accessible, false);
	if (vgpu->state != NVVGPU_ERROR)
		nvvgpu_set_state(vgpu, NVVGPU_ERROR, NVVGPU_EVENT_NAME_CRASHED);
	ret = nvvgpu_recover(vgpu);
	if (ret) {
		nvvgpu_alert(vgpu);
		return nvvgpu_report_crash(vgpu, ret,
					   "cannot recover the vGPU by a reset");
	}
	vgpu->err_pending = false;
	/* nvvgpu_dmabuf_update() cannot be called here, under VFIO's locks. */
	mod_delayed_work(system_dfl_wq, &vgpu->event_work, 0);
	nvvgpu_succeed(vgpu);
	nvvgpu_set_state(vgpu, vgpu->opened ? NVVGPU_OPEN : NVVGPU_CREATED,
			 NVVGPU_EVENT_NAME_RESET);

	return 0;
}

/**
 * nvvgpu_reset_end() - resume or recover a vGPU after a reset
 * @vgpu: the VF, not locked
 *
 * Must be called once for each nvvgpu_reset_begin(), also if the reset failed.
 * Without a call of nvvgpu_reset_ran() in between, a crashed vGPU stays in error.
 *
 * Return: 0; -EAGAIN if another reset is in progress, which has yet to recover a
 * crashed vGPU; or the error if it could not be recovered
 */
int nvvgpu_reset_end(struct nvvgpu *vgpu)
{
	int ret = nvvgpu_resume_or_recover(vgpu);

	nvvgpu_scanouts_unhold(vgpu);

	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_reset_end);

static void nvvgpu_resume_closed(struct nvvgpu *vgpu)
{
	guard(nvvgpu)(vgpu);

	if (!nvvgpu_reset_over(vgpu) || !nvvgpu_reset_failed(vgpu) ||
	    vgpu->state == NVVGPU_ERROR)
		return;

	nvvgpu_set_error(vgpu, NULL);
	nvvgpu_report_crash(vgpu, -EIO, "cannot reset the vGPU after close");
}

/**
 * nvvgpu_reset_end_closed() - resume a vGPU after the reset at close
 * @vgpu: the VF, not locked
 *
 * Like nvvgpu_reset_end(), but does not recover: nobody requested this reset, so
 * a vGPU in error stays in error.
 */
void nvvgpu_reset_end_closed(struct nvvgpu *vgpu)
{
	nvvgpu_resume_closed(vgpu);
	nvvgpu_scanouts_unhold(vgpu);
}
