// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes of a vGPU's state, and what goes with each of them.
 */
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "nvvgpu.h"
#include "trace.h"

/**
 * nvvgpu_free_memory() - undo nvvgpu_alloc_memory()
 * @vgpu: the VF, locked
 */
void nvvgpu_free_memory(struct nvvgpu *vgpu)
{
	kfree(vgpu->bars);
	vgpu->bars = NULL;
	kfree(vgpu->start_params);
	vgpu->start_params = NULL;
}

/**
 * nvvgpu_alloc_memory() - allocate what a VF needs only while it has a vGPU
 * @vgpu: the VF, locked
 *
 * Return: 0 or -ENOMEM
 */
int nvvgpu_alloc_memory(struct nvvgpu *vgpu)
{
	vgpu->bars = kzalloc_objs(*vgpu->bars, NVVGPU_MAX_BARS, GFP_KERNEL);
	vgpu->start_params = kzalloc(NVVGPU_PARAMS_LEN, GFP_KERNEL);
	if (vgpu->bars && vgpu->start_params)
		return 0;

	nvvgpu_free_memory(vgpu);

	return -ENOMEM;
}

static void nvvgpu_change_state(struct nvvgpu *vgpu, enum nvvgpu_state state,
				const char *event,
				const struct nvvgpu_event_info *info)
{
	struct nvvgpu_notice notice = {
		.event = event,
		.type = vgpu->type.id,
		.generation = vgpu->generation,
		.info = info,
		.closed = vgpu->closing,
	};
	bool types_changed;

	lockdep_assert_held(&vgpu->state_mutex);

	trace_nvvgpu_state(vgpu, state);
	types_changed = (vgpu->state == NVVGPU_BOUND) != (state == NVVGPU_BOUND);
	WRITE_ONCE(vgpu->state, state);
	if (state == NVVGPU_BOUND) {
		memset(&vgpu->type, 0, sizeof(vgpu->type));
		nvvgpu_free_memory(vgpu);
		WRITE_ONCE(vgpu->generation, 0);
		vgpu->reset_prepared = false;
	}
	if (event)
		nvvgpu_notify_state(vgpu, &notice);
	if (types_changed)
		nvvgpu_notify_types(vgpu->pf);
}

/**
 * nvvgpu_set_state() - change the state of a vGPU and announce it
 * @vgpu: the VF, locked
 * @state: the new state
 * @event: name of the event, or NULL to announce none
 */
void nvvgpu_set_state(struct nvvgpu *vgpu, enum nvvgpu_state state,
		      const char *event)
{
	nvvgpu_change_state(vgpu, state, event, NULL);
}

/**
 * nvvgpu_set_created() - announce that a VF has a vGPU
 * @vgpu: the VF, locked; the vGPU is created
 * @zeroed: the counters of the vGPU begin at 0
 */
void nvvgpu_set_created(struct nvvgpu *vgpu, bool zeroed)
{
	scoped_guard(mutex, &vgpu->query_mutex)
		vgpu->queryable = true;
	WRITE_ONCE(vgpu->generation, nvvgpu_next_number());
	nvvgpu_use_created(vgpu, zeroed);
	nvvgpu_succeed(vgpu);
	nvvgpu_set_state(vgpu, NVVGPU_CREATED, NVVGPU_EVENT_NAME_CREATED);
}

/**
 * nvvgpu_alert() - notify the user of a vGPU in error
 * @vgpu: the VF, locked
 *
 * The user loses access to the BARs and is notified by the ERR interrupt, both
 * by nvvgpu_event_work(): VFIO's locks nest outside of state_mutex.
 */
void nvvgpu_alert(struct nvvgpu *vgpu)
{
	WRITE_ONCE(vgpu->accessible, false);
	vgpu->err_pending = true;
	mod_delayed_work(system_dfl_wq, &vgpu->event_work, 0);
}

/**
 * nvvgpu_set_error() - mark a vGPU as crashed
 * @vgpu: the VF, locked
 * @info: report of the crash, NULL if the front-end has detected it
 */
void nvvgpu_set_error(struct nvvgpu *vgpu, const struct nvvgpu_event_info *info)
{
	nvvgpu_alert(vgpu);
	nvvgpu_display_blank(vgpu);
	nvvgpu_change_state(vgpu, NVVGPU_ERROR, NVVGPU_EVENT_NAME_CRASHED,
			    info);
	nvvgpu_data_wake(vgpu);
}

/**
 * nvvgpu_end_reset() - call reset_done before the vGPU is removed
 * @vgpu: the VF, locked; a reset by the host may be in progress
 */
void nvvgpu_end_reset(struct nvvgpu *vgpu)
{
	if (vgpu->reset_prepared)
		nvvgpu_op_reset_done(vgpu);
	vgpu->reset_prepared = false;
}
