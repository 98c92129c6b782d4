// SPDX-License-Identifier: GPL-2.0-only
/*
 * The queue of events that a back-end has reported for a VF.
 *
 * A back-end may report events from interrupts, and faster than user space can
 * handle them.  So the queue holds each event at most once.  If an event is
 * reported again while it is pending, it moves to the end of the queue and the
 * repetition is counted.  If a guest driver starts and stops repeatedly, the last
 * event that user space receives therefore shows its current state.
 *
 * A guest may control the rate of reports.  Pending events are therefore
 * delivered together, at most ten times a second.  Only a crash is delivered
 * immediately.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/pci.h>

#include "nvvgpu.h"

#define NVVGPU_EVENT_DELAY	(HZ / 10)

const char * const nvvgpu_event_names[NVVGPU_NR_EVENTS] = {
	[NVVGPU_EVENT_CRASHED] = NVVGPU_EVENT_NAME_CRASHED,
	[NVVGPU_EVENT_FAULT] = NVVGPU_EVENT_NAME_FAULT,
	[NVVGPU_EVENT_GUEST_UP] = NVVGPU_EVENT_NAME_GUEST_UP,
	[NVVGPU_EVENT_GUEST_DOWN] = NVVGPU_EVENT_NAME_GUEST_DOWN,
	[NVVGPU_EVENT_DISPLAY] = NVVGPU_EVENT_NAME_DISPLAY,
	[NVVGPU_EVENT_PLACEMENT] = NVVGPU_EVENT_NAME_PLACEMENT,
};
EXPORT_SYMBOL_NS_GPL(nvvgpu_event_names, "NVVGPU");

/* Remove an event from the queue, which holds it. */
static void nvvgpu_event_take(struct nvvgpu_events *events,
			      enum nvvgpu_event event)
{
	unsigned int i;

	for (i = 0; events->queue[i] != event; i++)
		;
	events->nr--;
	memmove(&events->queue[i], &events->queue[i + 1],
		(events->nr - i) * sizeof(events->queue[0]));
}

/**
 * nvvgpu_event_add() - queue an event
 * @vgpu: the VF, nvvgpu_pf::lock held
 * @info: the event
 */
void nvvgpu_event_add(struct nvvgpu *vgpu, const struct nvvgpu_event_info *info)
{
	struct nvvgpu_events *events = &vgpu->events;
	enum nvvgpu_event event = info->event;

	lockdep_assert_held(&vgpu->pf->lock);

	events->total[event]++;
	if (events->waiting[event]++) {
		nvvgpu_event_take(events, event);
		events->coalesced++;
	}
	events->queue[events->nr++] = event;
	events->last[event] = *info;

	if (event == NVVGPU_EVENT_CRASHED)
		mod_delayed_work(system_dfl_wq, &vgpu->event_work, 0);
	else
		queue_delayed_work(system_dfl_wq, &vgpu->event_work,
				   NVVGPU_EVENT_DELAY);
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_event_add);

/**
 * nvvgpu_event_next() - remove the next event from the queue
 * @vgpu: the VF
 * @info: set to the last report
 * @count: set to the number of reports merged into it
 *
 * Return: false if the queue is empty
 */
bool nvvgpu_event_next(struct nvvgpu *vgpu, struct nvvgpu_event_info *info,
		       u64 *count)
{
	struct nvvgpu_events *events = &vgpu->events;
	enum nvvgpu_event event;
	bool found;

	spin_lock_irq(&vgpu->pf->lock);
	found = events->nr;
	if (found) {
		event = events->queue[0];
		nvvgpu_event_take(events, event);
		*info = events->last[event];
		*count = events->waiting[event];
		events->waiting[event] = 0;
		if (vgpu->state == NVVGPU_BOUND)
			events->dropped += *count;
	}
	spin_unlock_irq(&vgpu->pf->lock);

	return found;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_event_next);

/**
 * nvvgpu_event_pending() - check whether an event is pending
 * @vgpu: the VF
 * @event: the event
 *
 * Return: true if it was reported and has not been handled yet
 */
bool nvvgpu_event_pending(struct nvvgpu *vgpu, enum nvvgpu_event event)
{
	bool pending;

	spin_lock_irq(&vgpu->pf->lock);
	pending = vgpu->events.waiting[event];
	spin_unlock_irq(&vgpu->pf->lock);

	return pending;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_event_pending);

static void nvvgpu_event_discard(struct nvvgpu_events *events,
				 enum nvvgpu_event event)
{
	nvvgpu_event_take(events, event);
	events->dropped += events->waiting[event];
	events->waiting[event] = 0;
}

/**
 * nvvgpu_event_drop() - drop an event if it is pending
 * @vgpu: the VF
 * @event: the event
 */
void nvvgpu_event_drop(struct nvvgpu *vgpu, enum nvvgpu_event event)
{
	struct nvvgpu_events *events = &vgpu->events;

	guard(spinlock_irq)(&vgpu->pf->lock);

	if (events->waiting[event])
		nvvgpu_event_discard(events, event);
}

/**
 * nvvgpu_events_drop() - drop all pending events
 * @vgpu: the VF
 */
void nvvgpu_events_drop(struct nvvgpu *vgpu)
{
	struct nvvgpu_events *events = &vgpu->events;

	guard(spinlock_irq)(&vgpu->pf->lock);

	while (events->nr)
		nvvgpu_event_discard(events, events->queue[0]);
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_events_drop);

/**
 * nvvgpu_events_queued() - count the events in the queue
 * @vgpu: the VF
 *
 * Return: their number
 */
unsigned int nvvgpu_events_queued(struct nvvgpu *vgpu)
{
	guard(spinlock_irq)(&vgpu->pf->lock);

	return vgpu->events.nr;
}

/* Any process can read this, so the address, which is a tenant's, is left out. */
static int nvvgpu_event_emit_last(const struct nvvgpu_event_info *last,
				  char *buf, int len)
{
	if (!(last->flags & NVVGPU_EVENT_HAS_CODE))
		return 0;

	return sysfs_emit_at(buf, len, "%s-code %u\n",
			     nvvgpu_event_names[last->event], last->code);
}

/**
 * nvvgpu_events_emit() - print the event counters
 * @vgpu: the VF
 * @buf: buffer of the sysfs file
 *
 * Return: number of bytes
 */
int nvvgpu_events_emit(struct nvvgpu *vgpu, char *buf)
{
	struct nvvgpu_events events;
	int i, len = 0;

	spin_lock_irq(&vgpu->pf->lock);
	events = vgpu->events;
	spin_unlock_irq(&vgpu->pf->lock);

	for (i = 0; i < NVVGPU_NR_EVENTS; i++)
		len += sysfs_emit_at(buf, len, "%s %llu\n",
				     nvvgpu_event_names[i], events.total[i]);
	len += sysfs_emit_at(buf, len, "coalesced %llu\n", events.coalesced);
	len += sysfs_emit_at(buf, len, "dropped %llu\n", events.dropped);
	for (i = 0; i < NVVGPU_NR_EVENTS; i++)
		len += nvvgpu_event_emit_last(&events.last[i], buf, len);

	return len;
}
