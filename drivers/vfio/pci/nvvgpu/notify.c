// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reporting of failures and state changes to the log and to user space.
 */
#include <linux/kobject.h>
#include <linux/pci.h>
#include <linux/ratelimit.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "nvvgpu.h"

/**
 * nvvgpu_state_name() - name a state as nvvgpu/state shows it
 * @state: the state
 *
 * Return: the name
 */
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

__printf(2, 0)
static void nvvgpu_remember(struct nvvgpu *vgpu, const char *fmt, va_list args)
{
	lockdep_assert_held(&vgpu->state_mutex);

	guard(spinlock)(&vgpu->text_lock);
	vscnprintf(vgpu->last_error, sizeof(vgpu->last_error), fmt, args);
}

/**
 * nvvgpu_fail() - record and log the failure of an action
 * @vgpu: the vGPU, state_mutex held
 * @err: a negative errno
 * @fmt: what failed, without a newline
 *
 * The log and nvvgpu/last_error show the same text.  The rate is limited per
 * VF, so that the failures of one VF cannot suppress those of another.
 *
 * Return: @err
 */
int nvvgpu_fail(struct nvvgpu *vgpu, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	nvvgpu_remember(vgpu, fmt, args);
	va_end(args);

	if (__ratelimit(&vgpu->log_limit))
		dev_warn(nvvgpu_dev(vgpu), "%s: %pe\n", vgpu->last_error,
			 ERR_PTR(err));

	return err;
}

/**
 * nvvgpu_refuse() - record why a request of a user was refused
 * @vgpu: the vGPU, state_mutex held
 * @err: a negative errno
 * @fmt: what was refused, without a newline
 *
 * Like nvvgpu_fail(), but the log has a debug message only: a user of the device
 * must not be able to fill the log.
 *
 * Return: @err
 */
int nvvgpu_refuse(struct nvvgpu *vgpu, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	nvvgpu_remember(vgpu, fmt, args);
	va_end(args);

	dev_dbg(nvvgpu_dev(vgpu), "%s: %pe\n", vgpu->last_error, ERR_PTR(err));

	return err;
}

/**
 * nvvgpu_succeed() - clear the last error
 * @vgpu: the vGPU, state_mutex held
 */
void nvvgpu_succeed(struct nvvgpu *vgpu)
{
	lockdep_assert_held(&vgpu->state_mutex);

	guard(spinlock)(&vgpu->text_lock);
	vgpu->last_error[0] = '\0';
}

/**
 * nvvgpu_notify_event() - announce an event of a back-end to user space
 * @vgpu: the VF
 * @event: name of the event
 * @count: number of reports merged into this event
 * @info: last of these reports, NULL if the back-end has reported none
 *
 * Sends a change uevent with NVVGPU_EVENT, NVVGPU_TYPE and NVVGPU_COUNT, and
 * with NVVGPU_CODE and NVVGPU_ADDRESS if @info has them.  Wakes processes that
 * poll nvvgpu/events.
 */
void nvvgpu_notify_event(struct nvvgpu *vgpu, const char *event, u64 count,
			 const struct nvvgpu_event_info *info)
{
	char event_env[32], type_env[32], count_env[40];
	char code_env[32], address_env[40];
	char *env[6] = { event_env, type_env, count_env };
	struct kobject *kobj = &nvvgpu_dev(vgpu)->kobj;
	u32 flags = info ? info->flags : 0;
	int nr = 3;

	snprintf(event_env, sizeof(event_env), NVVGPU_UEVENT_EVENT "=%s",
		 event);
	snprintf(type_env, sizeof(type_env), NVVGPU_UEVENT_TYPE "=%u",
		 vgpu->type.id);
	snprintf(count_env, sizeof(count_env), NVVGPU_UEVENT_COUNT "=%llu",
		 count);
	if (flags & NVVGPU_EVENT_HAS_CODE) {
		snprintf(code_env, sizeof(code_env), NVVGPU_UEVENT_CODE "=%u",
			 info->code);
		env[nr++] = code_env;
	}
	if (flags & NVVGPU_EVENT_HAS_ADDRESS) {
		snprintf(address_env, sizeof(address_env),
			 NVVGPU_UEVENT_ADDRESS "=%#llx", info->address);
		env[nr++] = address_env;
	}
	kobject_uevent_env(kobj, KOBJ_CHANGE, env);
	sysfs_notify(kobj, "nvvgpu", "events");
}

/**
 * nvvgpu_notify_state() - announce that the state of a vGPU has changed
 * @vgpu: the VF
 * @event: name of the event
 * @info: report of the back-end that has caused it, or NULL
 *
 * Like nvvgpu_notify_event(), but also wakes processes that poll nvvgpu/state
 * or nvidia/current_vgpu_type.
 */
void nvvgpu_notify_state(struct nvvgpu *vgpu, const char *event,
			 const struct nvvgpu_event_info *info)
{
	struct kobject *kobj = &nvvgpu_dev(vgpu)->kobj;

	nvvgpu_notify_event(vgpu, event, 1, info);
	sysfs_notify(kobj, "nvidia", "current_vgpu_type");
	sysfs_notify(kobj, "nvvgpu", "state");
}
