// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resets of a VF, and the recovery of a crashed vGPU by a reset.
 *
 * A reset is handled by the process that has asked for it, before and after the
 * hardware is reset.  VFIO holds memory_lock while it resets a device, and
 * firmware may be slow: where the front-end knows of a reset in advance, it
 * brackets VFIO's call by nvvgpu_reset_begin() and nvvgpu_reset_end(), so that
 * what the PCI core calls in between has nothing to do.
 */
#include <linux/pci.h>

#include "nvvgpu.h"

/**
 * nvvgpu_reset_begin() - quiesce a vGPU before its VF is reset
 * @vgpu: the VF, not locked
 *
 * Nests; only the outermost call has an effect.  A vGPU that has crashed has
 * nothing to prepare.
 */
void nvvgpu_reset_begin(struct nvvgpu *vgpu)
{
	guard(nvvgpu)(vgpu);

	if (vgpu->resets++)
		return;
	if (!(nvvgpu_can(vgpu->backend) & NVVGPU_CAN_RESET) ||
	    vgpu->state == NVVGPU_BOUND || vgpu->state == NVVGPU_ERROR)
		return;

	nvvgpu_op_reset_prepare(vgpu);
	vgpu->reset_prepared = true;
}

/* Bring a crashed vGPU back with the memory and the placement that it has. */
static int nvvgpu_recover(struct nvvgpu *vgpu)
{
	int ret;

	nvvgpu_migration_abort(vgpu);
	nvvgpu_dirty_end(vgpu);
	/* It has crashed, so stopping may well fail. */
	nvvgpu_stop_started(vgpu);

	if (!(nvvgpu_can(vgpu->backend) & NVVGPU_CAN_RECOVER))
		return -EOPNOTSUPP;
	/* Drop the report of this crash, if nobody has acted on it yet. */
	nvvgpu_events_drop(vgpu);
	ret = nvvgpu_op_recover(vgpu);
	if (ret)
		return ret;

	return vgpu->opened ? nvvgpu_restart(vgpu) : 0;
}

/* Call reset_done if it is due; true when the vGPU is not well. */
static bool nvvgpu_reset_failed(struct nvvgpu *vgpu)
{
	bool prepared = vgpu->reset_prepared;
	int ret;

	/* nvvgpu_event_work() may not have seen the crash yet. */
	if (vgpu->state == NVVGPU_ERROR ||
	    nvvgpu_event_pending(vgpu, NVVGPU_EVENT_CRASHED))
		ret = -EIO;
	else
		ret = nvvgpu_migration_reset(vgpu);

	vgpu->reset_prepared = false;
	if (prepared)
		ret = nvvgpu_op_reset_done(vgpu) ?: ret;

	return ret;
}

/* Whether the outermost reset is over, and the vGPU is not well after it */
static bool nvvgpu_reset_over(struct nvvgpu *vgpu)
{
	if (WARN_ON_ONCE(!vgpu->resets) || --vgpu->resets)
		return false;

	return vgpu->state != NVVGPU_BOUND && nvvgpu_reset_failed(vgpu);
}

/**
 * nvvgpu_reset_end() - bring a vGPU back after its VF has been reset
 * @vgpu: the VF, not locked
 *
 * To be called for each nvvgpu_reset_begin(), also when the reset has failed.
 */
void nvvgpu_reset_end(struct nvvgpu *vgpu)
{
	int ret;

	guard(nvvgpu)(vgpu);

	if (!nvvgpu_reset_over(vgpu))
		return;

	WRITE_ONCE(vgpu->accessible, false);
	if (vgpu->state != NVVGPU_ERROR)
		nvvgpu_set_state(vgpu, NVVGPU_ERROR, NVVGPU_EVENT_NAME_CRASHED);
	ret = nvvgpu_recover(vgpu);
	if (ret) {
		/* VFIO_DEVICE_RESET has no errno for this. */
		nvvgpu_set_error(vgpu, NULL);
		nvvgpu_fail(vgpu, ret, "cannot recover the vGPU by a reset");
		return;
	}
	/* nvvgpu_dmabuf_update() cannot be called here, under VFIO's locks. */
	mod_delayed_work(system_dfl_wq, &vgpu->event_work, 0);
	nvvgpu_succeed(vgpu);
	nvvgpu_set_state(vgpu, vgpu->opened ? NVVGPU_OPEN : NVVGPU_CREATED,
			 NVVGPU_EVENT_NAME_RESET);
}

/**
 * nvvgpu_reset_end_closed() - as nvvgpu_reset_end(), when the device is closed
 * @vgpu: the VF, not locked
 *
 * Nobody has asked for this reset: a vGPU that is in error stays so.
 */
void nvvgpu_reset_end_closed(struct nvvgpu *vgpu)
{
	guard(nvvgpu)(vgpu);

	if (!nvvgpu_reset_over(vgpu) || vgpu->state == NVVGPU_ERROR)
		return;

	nvvgpu_set_error(vgpu, NULL);
	nvvgpu_fail(vgpu, -EIO, "cannot reset the vGPU after close");
}
