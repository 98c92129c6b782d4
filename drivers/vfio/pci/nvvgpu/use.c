// SPDX-License-Identifier: GPL-2.0-only
/*
 * The uses of a vGPU.
 *
 * The counters of a back-end run from the create to the delete of a vGPU.  This
 * file divides them among the uses of the vGPU, each of which lasts from an
 * open of the VFIO device to its close.  Counters are read at close, when the
 * vGPU is stopped.
 *
 * A process that only reads sysfs must not delay a close.  So if one holds
 * query_mutex at close, the next reader reads the counters.
 */
#include <linux/kobject.h>
#include <linux/ktime.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/timekeeping.h>

#include "nvvgpu.h"

/* Limit of NVVGPU_TOTALS; a uevent has 2048 bytes for all variables. */
#define NVVGPU_TOTALS_LEN	1024

/**
 * nvvgpu_next_number() - number a vGPU or a use of it
 *
 * A program may keep a number over a reboot, so numbers of an earlier boot must
 * not be used again.  They stay below 2^53 for readers of JSON.
 *
 * Return: the number
 */
u64 nvvgpu_next_number(void)
{
	static DEFINE_SPINLOCK(lock);
	static u64 last;

	guard(spinlock)(&lock);
	last = max(last + 1, (u64)ktime_get_real_seconds() << 20);

	return last;
}

/* Return the number of counters, or -EBUSY if a reader of sysfs reads them. */
static int nvvgpu_use_read(struct nvvgpu *vgpu, struct nvvgpu_stat *stats)
{
	int nr = -ENXIO;

	if (!(nvvgpu_can(vgpu->backend) & NVVGPU_CAN_STATS))
		return 0;
	if (!mutex_trylock(&vgpu->query_mutex))
		return -EBUSY;
	if (vgpu->queryable)
		nr = nvvgpu_op_get_stats(vgpu, stats);
	/* The base will change; do not subtract it from older counters. */
	nvvgpu_forget_stats(vgpu);
	mutex_unlock(&vgpu->query_mutex);

	return nr;
}

/* Set the counters of a use, and the base of those of the next one. */
static void nvvgpu_use_settle(struct nvvgpu_use *use,
			      const struct nvvgpu_stat *stats, int nr)
{
	int i;

	use->nr = use->known && nr >= 0 ? nr : 0;
	use->due = use->known && nr == -EBUSY;
	for (i = 0; i < nr; i++) {
		use->total[i].name = stats[i].name;
		use->total[i].value = stats[i].value - use->base[i];
		use->base[i] = stats[i].value;
	}
	use->known = nr >= 0;
}

/**
 * nvvgpu_use_created() - begin to count for a new vGPU
 * @vgpu: the VF, locked
 * @zeroed: the counters of the vGPU begin at 0
 */
void nvvgpu_use_created(struct nvvgpu *vgpu, bool zeroed)
{
	struct nvvgpu_stat stats[NVVGPU_MAX_STATS];
	struct nvvgpu_use *use = &vgpu->use;
	int nr = 0, i;

	if (!zeroed)
		nr = nvvgpu_use_read(vgpu, stats);

	guard(spinlock)(&vgpu->text_lock);

	memset(use->base, 0, sizeof(use->base));
	for (i = 0; i < nr; i++)
		use->base[i] = stats[i].value;
	use->known = nr >= 0;
	use->due = false;
}

/**
 * nvvgpu_use_begin() - begin a use
 * @vgpu: the VF, locked; its device is being opened
 */
void nvvgpu_use_begin(struct nvvgpu *vgpu)
{
	struct nvvgpu_stat stats[NVVGPU_MAX_STATS];
	struct nvvgpu_use *use = &vgpu->use;
	int nr = -ENXIO;

	if (!use->known)
		nr = nvvgpu_use_read(vgpu, stats);

	guard(spinlock)(&vgpu->text_lock);

	if (!use->known)
		nvvgpu_use_settle(use, stats, nr);
	use->number = nvvgpu_next_number();
	use->open = true;
	use->generation = vgpu->generation;
	use->type = vgpu->type.id;
	use->since = ktime_get();
	use->nr = 0;
	use->due = false;
}

/**
 * nvvgpu_use_end() - end a use
 * @vgpu: the VF, locked; its device is being closed
 * @stopped: the back-end has stopped the vGPU
 */
void nvvgpu_use_end(struct nvvgpu *vgpu, bool stopped)
{
	struct nvvgpu_stat stats[NVVGPU_MAX_STATS];
	struct nvvgpu_use *use = &vgpu->use;
	int nr = -EIO;

	if (stopped)
		nr = nvvgpu_use_read(vgpu, stats);

	guard(spinlock)(&vgpu->text_lock);

	nvvgpu_use_settle(use, stats, nr);
	use->milliseconds = ktime_ms_delta(ktime_get(), use->since);
	use->open = false;
}

/*
 * Before a recovery clears the counters, finish a use for which they could not be
 * read when it ended.  They stay unknown if a reader of sysfs is reading them.
 */
static void nvvgpu_use_settle_due(struct nvvgpu *vgpu,
				  const struct nvvgpu_stat *stats, int nr)
{
	struct nvvgpu_use *use = &vgpu->use;

	guard(spinlock)(&vgpu->text_lock);

	if (!use->due)
		return;
	use->known = true;
	nvvgpu_use_settle(use, stats, nr == -EBUSY ? -EIO : nr);
}

/**
 * nvvgpu_use_recover() - recover a vGPU, which may clear its counters
 * @vgpu: the VF, locked
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_use_recover(struct nvvgpu *vgpu)
{
	struct nvvgpu_stat before[NVVGPU_MAX_STATS], after[NVVGPU_MAX_STATS];
	struct nvvgpu_use *use = &vgpu->use;
	int ret, nr, i;

	nr = nvvgpu_use_read(vgpu, before);
	nvvgpu_use_settle_due(vgpu, before, nr);
	/* Another report of this crash may have come meanwhile. */
	nvvgpu_event_drop(vgpu, NVVGPU_EVENT_CRASHED);
	ret = nvvgpu_op_recover(vgpu);
	if (nvvgpu_use_read(vgpu, after) != nr)
		nr = -EIO;

	guard(spinlock)(&vgpu->text_lock);

	use->known &= nr >= 0;
	/* May wrap: only the difference from the counter matters. */
	for (i = 0; i < nr; i++)
		use->base[i] += after[i].value - before[i].value;

	return ret;
}

/**
 * nvvgpu_use_catch_up() - read the counters that could not be read at close
 * @vgpu: the VF, its query_mutex held
 */
void nvvgpu_use_catch_up(struct nvvgpu *vgpu)
{
	struct nvvgpu_stat stats[NVVGPU_MAX_STATS];
	struct nvvgpu_use *use = &vgpu->use;
	int nr = -ENXIO;

	lockdep_assert_held(&vgpu->query_mutex);

	if (!READ_ONCE(use->due))
		return;
	if (vgpu->queryable)
		nr = nvvgpu_op_get_stats(vgpu, stats);

	guard(spinlock)(&vgpu->text_lock);

	/* The next use may have begun, or the vGPU may have been replaced. */
	if (!use->due)
		return;
	use->known = true;
	nvvgpu_use_settle(use, stats, nr);
}

/* Set the counters of a use that has not ended, as of the last get_stats. */
static void nvvgpu_use_so_far(struct nvvgpu *vgpu, struct nvvgpu_use *use)
{
	int i;

	if (!use->known)
		return;

	use->nr = max(vgpu->nr_stats, 0);
	for (i = 0; i < use->nr; i++) {
		u64 value = vgpu->stats[i].value - use->base[i];

		use->total[i].name = vgpu->stats[i].name;
		use->total[i].value = (s64)value > 0 ? value : 0;
	}
}

/**
 * nvvgpu_use_emit() - print the last use of a vGPU
 * @vgpu: the VF, its query_mutex held and its counters up to date
 * @buf: buffer of the sysfs file
 *
 * Return: number of bytes or a negative errno
 */
int nvvgpu_use_emit(struct nvvgpu *vgpu, char *buf)
{
	struct nvvgpu_use *use __free(kfree) = NULL;
	int i, len;

	lockdep_assert_held(&vgpu->query_mutex);

	use = kzalloc_obj(*use, GFP_KERNEL);
	if (!use)
		return -ENOMEM;
	spin_lock(&vgpu->text_lock);
	*use = vgpu->use;
	spin_unlock(&vgpu->text_lock);

	len = sysfs_emit(buf, "use %llu\n", use->number);
	if (!use->number)
		return len;
	if (use->open) {
		use->milliseconds = ktime_ms_delta(ktime_get(), use->since);
		nvvgpu_use_so_far(vgpu, use);
	}
	len += sysfs_emit_at(buf, len, "open %u\ngeneration %llu\ntype %u\nmilliseconds %llu\n",
			     use->open, use->generation, use->type,
			     use->milliseconds);
	for (i = 0; i < use->nr; i++)
		len += sysfs_emit_at(buf, len, "%s %llu\n", use->total[i].name,
				     use->total[i].value);

	return len;
}

/* Print "name=value name=value"; " ..." stands for those that do not fit. */
static void nvvgpu_use_totals(const struct nvvgpu_use *use, char *text)
{
	const int size = NVVGPU_TOTALS_LEN - sizeof(" ...");
	int i, n, len = 0;

	for (i = 0; i < use->nr; i++) {
		n = snprintf(text + len, size - len, "%s%s=%llu",
			     len ? " " : "", use->total[i].name,
			     use->total[i].value);
		if (len + n >= size) {
			memcpy(text + len, " ...", sizeof(" ..."));
			return;
		}
		len += n;
	}
}

/**
 * nvvgpu_use_env() - add the use of a vGPU to a uevent
 * @vgpu: the VF
 * @env: environment of the uevent
 * @closed: the use has just ended
 */
void nvvgpu_use_env(struct nvvgpu *vgpu, struct kobj_uevent_env *env,
		    bool closed)
{
	char totals[NVVGPU_TOTALS_LEN] = "";
	struct nvvgpu_use *use = &vgpu->use;
	u64 number, milliseconds;
	bool open;

	scoped_guard(spinlock, &vgpu->text_lock) {
		number = use->number;
		milliseconds = use->milliseconds;
		open = use->open;
		if (closed)
			nvvgpu_use_totals(use, totals);
	}
	if (!open && !closed)
		return;

	add_uevent_var(env, NVVGPU_UEVENT_USE "=%llu", number);
	if (!closed)
		return;
	add_uevent_var(env, NVVGPU_UEVENT_MILLISECONDS "=%llu", milliseconds);
	if (totals[0])
		add_uevent_var(env, NVVGPU_UEVENT_TOTALS "=%s", totals);
}
