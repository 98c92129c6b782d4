// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reporting of failures and state changes to the log and to user space.
 */
#include <linux/kobject.h>
#include <linux/pci.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "nvvgpu.h"

/* Room for ": " and the longest name of an errno */
#define NVVGPU_ERRNO_LEN	24

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

/* Format @text, with the errno if there is one, for nvvgpu/last_error. */
__printf(4, 0)
static void nvvgpu_remember(struct nvvgpu *vgpu, char *text, int err,
			    const char *fmt, va_list args)
{
	const size_t size = sizeof(vgpu->last_error);
	size_t len;

	len = vscnprintf(text, size - NVVGPU_ERRNO_LEN, fmt, args);
	if (err)
		scnprintf(text + len, size - len, ": %pe", ERR_PTR(err));

	guard(spinlock)(&vgpu->text_lock);
	strscpy(vgpu->last_error, text);
}

/* Record and log a failure, within @limit or as a debug message without one. */
__printf(4, 0)
static void nvvgpu_record(struct nvvgpu *vgpu, struct ratelimit_state *limit,
			  int err, const char *fmt, va_list args)
{
	char text[sizeof(vgpu->last_error)];

	lockdep_assert_held(&vgpu->state_mutex);

	nvvgpu_remember(vgpu, text, err, fmt, args);
	if (!limit)
		dev_dbg(nvvgpu_dev(vgpu), "%s\n", text);
	else if (__ratelimit(limit))
		dev_warn(nvvgpu_dev(vgpu), "%s\n", text);
}

/**
 * nvvgpu_report_crash() - record and log that a vGPU is in error
 * @vgpu: the vGPU, state_mutex held
 * @err: a negative errno
 * @fmt: format of the message, without a newline
 *
 * Like nvvgpu_fail(), but with a limit of its own: no other failure of the VF can
 * suppress the message.
 *
 * Return: @err
 */
int nvvgpu_report_crash(struct nvvgpu *vgpu, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	nvvgpu_record(vgpu, &vgpu->crash_limit, err, fmt, args);
	va_end(args);

	return err;
}

/**
 * nvvgpu_fail() - record and log the failure of an action
 * @vgpu: the vGPU, state_mutex held
 * @err: a negative errno
 * @fmt: format of the message, without a newline
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
	nvvgpu_record(vgpu, &vgpu->log_limit, err, fmt, args);
	va_end(args);

	return err;
}

/**
 * nvvgpu_refuse() - record why a request of a user was refused
 * @vgpu: the vGPU, state_mutex held
 * @err: a negative errno
 * @fmt: format of the message, without a newline
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
	nvvgpu_record(vgpu, NULL, err, fmt, args);
	va_end(args);

	return err;
}

/**
 * nvvgpu_refuse_stream() - record why a migration stream was refused
 * @vgpu: the vGPU, state_mutex held
 * @err: a negative errno
 * @fmt: format of the message, without a newline
 *
 * Like nvvgpu_refuse(), but the log has up to three messages a minute: after a
 * migration by libvirt, its hook deletes the vGPU together with last_error.
 *
 * Return: @err
 */
int nvvgpu_refuse_stream(struct nvvgpu *vgpu, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	nvvgpu_record(vgpu, &vgpu->stream_limit, err, fmt, args);
	va_end(args);

	return err;
}

/**
 * nvvgpu_warn() - record and log a warning
 * @vgpu: the vGPU; no lock is needed
 * @fmt: format of the message, without a newline
 *
 * Without a limit, so only for what a user of the device cannot repeat.
 */
void nvvgpu_warn(struct nvvgpu *vgpu, const char *fmt, ...)
{
	char text[sizeof(vgpu->last_error)];
	va_list args;

	va_start(args, fmt);
	nvvgpu_remember(vgpu, text, 0, fmt, args);
	va_end(args);

	dev_warn(nvvgpu_dev(vgpu), "%s\n", text);
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

/* Add the variables of an event to a uevent. */
static void nvvgpu_event_env(struct nvvgpu *vgpu, struct kobj_uevent_env *env,
			     const struct nvvgpu_notice *notice)
{
	const struct nvvgpu_event_info *info = notice->info;
	u32 flags = info ? info->flags : 0;

	add_uevent_var(env, NVVGPU_UEVENT_EVENT "=%s", notice->event);
	add_uevent_var(env, NVVGPU_UEVENT_TYPE "=%u", notice->type);
	add_uevent_var(env, NVVGPU_UEVENT_GENERATION "=%llu",
		       notice->generation);
	add_uevent_var(env, NVVGPU_UEVENT_COUNT "=%llu", notice->count ?: 1);
	if (flags & NVVGPU_EVENT_HAS_CODE)
		add_uevent_var(env, NVVGPU_UEVENT_CODE "=%u", info->code);
	if (flags & NVVGPU_EVENT_HAS_ADDRESS)
		add_uevent_var(env, NVVGPU_UEVENT_ADDRESS "=%#llx",
			       info->address);
	if (notice->milliseconds)
		add_uevent_var(env, NVVGPU_UEVENT_MILLISECONDS "=%llu",
			       notice->milliseconds);
	nvvgpu_use_env(vgpu, env, notice->closed);
}

/**
 * nvvgpu_notify() - announce an event to user space
 * @vgpu: the VF
 * @notice: the event
 *
 * Sends a change uevent, and wakes processes that poll nvvgpu/events.
 */
void nvvgpu_notify(struct nvvgpu *vgpu, const struct nvvgpu_notice *notice)
{
	struct kobj_uevent_env *env __free(kfree) = NULL;
	struct kobject *kobj = &nvvgpu_dev(vgpu)->kobj;

	env = kzalloc_obj(*env, GFP_KERNEL);
	if (env) {
		nvvgpu_event_env(vgpu, env, notice);
		kobject_uevent_env(kobj, KOBJ_CHANGE, env->envp);
	}
	sysfs_notify(kobj, "nvvgpu", "events");
}

/**
 * nvvgpu_notify_creatable() - announce that other types can be created
 * @vgpu: the VF
 *
 * Wakes processes that poll nvidia/creatable_vgpu_types of this VF.
 */
void nvvgpu_notify_creatable(struct nvvgpu *vgpu)
{
	sysfs_notify(&nvvgpu_dev(vgpu)->kobj, "nvidia", "creatable_vgpu_types");
}

/**
 * nvvgpu_notify_event() - announce an event of a VF that keeps its state
 * @vgpu: the VF
 * @event: name of the event
 */
void nvvgpu_notify_event(struct nvvgpu *vgpu, const char *event)
{
	struct nvvgpu_notice notice = {
		.event = event,
		.type = READ_ONCE(vgpu->type.id),
		.generation = READ_ONCE(vgpu->generation),
	};

	nvvgpu_notify(vgpu, &notice);
}

/**
 * nvvgpu_notify_state() - announce that the state of a vGPU has changed
 * @vgpu: the VF
 * @notice: the event
 *
 * Like nvvgpu_notify(), but also wakes processes that poll nvvgpu/state or
 * nvidia/current_vgpu_type.
 */
void nvvgpu_notify_state(struct nvvgpu *vgpu,
			 const struct nvvgpu_notice *notice)
{
	struct kobject *kobj = &nvvgpu_dev(vgpu)->kobj;

	nvvgpu_notify(vgpu, notice);
	sysfs_notify(kobj, "nvidia", "current_vgpu_type");
	sysfs_notify(kobj, "nvvgpu", "state");
}
