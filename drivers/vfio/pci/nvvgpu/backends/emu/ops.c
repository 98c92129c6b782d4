// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-emu: the operations of the back-end, as firmware commands.
 */
#include <linux/bitmap.h>
#include <linux/cleanup.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "emu.h"

/* When to ask again about a vGPU that nobody knows, if the firmware is silent */
#define EMU_REAP_AGAIN	(60 * HZ)

static int emu_vf_cmd(struct emu_dev *emu, unsigned int vf, u16 opcode)
{
	struct emu_cmd cmd = { .opcode = opcode, .vf = vf };

	return emu_fw_cmd(emu, &cmd);
}

static void emu_vgpu_crashed(struct emu_dev *emu, unsigned int vf,
			     const struct nvvgpu_event_info *info)
{
	lockdep_assert_held(&emu->lock);

	if (__test_and_clear_bit(vf, emu->alive) && emu->backend)
		nvvgpu_backend_event(emu->backend, vf, info);
}

/**
 * emu_vgpu_lost() - report a vGPU as crashed
 * @emu: the GPU
 * @vf: number of the VF
 *
 * Reports each crash once, and only if the VF has a vGPU.
 */
void emu_vgpu_lost(struct emu_dev *emu, unsigned int vf)
{
	struct nvvgpu_event_info info = {
		.argsz = sizeof(info),
		.event = NVVGPU_EVENT_CRASHED,
	};

	emu_vgpu_crashed(emu, vf, &info);
}

/**
 * emu_vgpus_lost() - report all vGPUs as crashed
 * @emu: the GPU
 */
void emu_vgpus_lost(struct emu_dev *emu)
{
	unsigned int vf;

	lockdep_assert_held(&emu->lock);

	for_each_set_bit(vf, emu->alive, NVVGPU_EMU_MAX_VFS)
		emu_vgpu_lost(emu, vf);
}

/**
 * emu_vgpu_event() - handle an event of the firmware
 * @emu: the GPU
 * @vf: number of the VF
 * @event: NVVGPU_EMU_EVENT_*; unknown ones are ignored
 * @code: code of the event, 0 for none
 * @address: address of the event
 */
void emu_vgpu_event(struct emu_dev *emu, unsigned int vf, u16 event, u32 code,
		    u64 address)
{
	struct nvvgpu_event_info info = {
		.argsz = sizeof(info),
		.flags = code ? NVVGPU_EVENT_HAS_CODE : 0,
		.code = code,
	};

	lockdep_assert_held(&emu->lock);

	switch (event) {
	case NVVGPU_EMU_EVENT_CRASHED:
		info.event = NVVGPU_EVENT_CRASHED;
		emu_vgpu_crashed(emu, vf, &info);
		return;
	case NVVGPU_EMU_EVENT_FAULT:
		info.event = NVVGPU_EVENT_FAULT;
		if (code == NVVGPU_EMU_VF_ERR_DMA_READ ||
		    code == NVVGPU_EMU_VF_ERR_DMA_WRITE) {
			info.flags |= NVVGPU_EVENT_HAS_ADDRESS;
			info.address = address;
		}
		break;
	case NVVGPU_EMU_EVENT_GUEST_UP:
		info.event = NVVGPU_EVENT_GUEST_UP;
		break;
	case NVVGPU_EMU_EVENT_GUEST_DOWN:
		info.event = NVVGPU_EVENT_GUEST_DOWN;
		break;
	case NVVGPU_EMU_EVENT_DISPLAY:
		info.event = NVVGPU_EVENT_DISPLAY;
		break;
	case NVVGPU_EMU_EVENT_FLIP:
		if (test_bit(vf, emu->alive) && emu->backend)
			nvvgpu_backend_flip(emu->backend, vf);
		return;
	default:
		return;
	}
	if (test_bit(vf, emu->alive) && emu->backend)
		nvvgpu_backend_event(emu->backend, vf, &info);
}

static int emu_get_types(void *priv, u32 *ids, size_t capacity)
{
	struct emu_dev *emu = priv;
	unsigned int i;

	if (emu->nr_types > capacity)
		return -EOVERFLOW;

	for (i = 0; i < emu->nr_types; i++)
		ids[i] = emu->types[i].id;

	return emu->nr_types;
}

static int emu_get_type_info(void *priv, u32 type,
			     struct nvvgpu_type_info *info)
{
	const struct nvvgpu_type_info *found = emu_type_find(priv, type);

	if (!found)
		return -ENOENT;

	nvvgpu_type_info_set(info, found);
	return 0;
}

/* How many of the VFs that are enabled have no vGPU? */
static unsigned int emu_vfs_free(struct emu_dev *emu)
{
	unsigned int vf, nr = 0;

	lockdep_assert_held(&emu->lock);

	for (vf = 0; vf < pci_num_vf(emu->pdev); vf++)
		nr += !emu->vgpus[vf].type;

	return nr;
}

static void emu_why_unavailable(struct emu_dev *emu,
				const struct nvvgpu_type_info *info,
				char *reason, size_t len)
{
	u64 sum, largest;

	lockdep_assert_held(&emu->lock);

	if (!emu_vfs_free(emu)) {
		snprintf(reason, len, "all %u enabled VFs have vGPUs",
			 pci_num_vf(emu->pdev));
		return;
	}

	sum = emu_vram_free(emu, &largest);
	snprintf(reason, len,
		 "no contiguous %llu MiB of framebuffer free: %llu MiB in all, at most %llu contiguous",
		 info->fb_bytes / SZ_1M, sum / SZ_1M, largest / SZ_1M);
}

static int emu_get_available(void *priv, u32 type, u32 placement, char *reason,
			     size_t len)
{
	const struct nvvgpu_type_info *info = emu_type_find(priv, type);
	struct emu_dev *emu = priv;
	int nr, err;

	if (!info)
		return -ENOENT;

	if (!emu_fw_is_up(emu)) {
		strscpy(reason, emu_fw_is_starting(emu) ?
			"the firmware is starting" :
			"the firmware is down, reset the GPU", len);
		return 0;
	}

	nr = emu_types_available(emu, info);
	if (nr < 0)
		return nr;

	guard(spinlock)(&emu->lock);

	nr = emu_places_free(emu, info, min(nr, emu_vfs_free(emu)));
	if (!nr)
		emu_why_unavailable(emu, info, reason, len);
	if (!nr || placement == NVVGPU_PLACEMENT_ANY)
		return nr;

	err = emu_place_check(emu, info, placement);
	if (err)
		snprintf(reason, len, "placement %u is %s", placement,
			 err == -EBUSY ? "taken" : "invalid");

	return !err;
}

static int emu_get_placements(void *priv, u32 type, u32 *placements,
			      size_t capacity)
{
	const struct nvvgpu_type_info *info = emu_type_find(priv, type);
	struct emu_dev *emu = priv;
	u64 size, at;
	size_t nr = 0;

	if (!info)
		return -ENOENT;

	size = emu_granules(emu, info);
	for (at = 0; at + size <= emu->granules;
	     at += roundup_pow_of_two(size)) {
		if (nr == capacity)
			return -EOVERFLOW;
		placements[nr++] = at;
	}

	return nr;
}

/* Delete a vGPU that the firmware may have on this VF. */
static int emu_vgpu_discard(struct emu_vgpu *vgpu)
{
	int err;

	lockdep_assert_held(&vgpu->lock);

	vgpu->unsure = true;
	err = emu_vf_cmd(vgpu->emu, vgpu->vf, NVVGPU_EMU_CMD_DELETE);
	/* The response may be lost, so that nothing else calls the reaper. */
	if (err == -ETIMEDOUT)
		queue_delayed_work(system_dfl_wq, &vgpu->reaper, EMU_REAP_AGAIN);
	if (err && err != -ENOENT)
		return err;

	vgpu->unsure = false;
	emu_place_release(vgpu);
	return 0;
}

static void emu_reap(struct work_struct *work)
{
	struct emu_vgpu *vgpu = container_of(to_delayed_work(work),
					     struct emu_vgpu, reaper);

	guard(mutex)(&vgpu->lock);

	if (vgpu->unsure && !vgpu->type)
		emu_vgpu_discard(vgpu);
}

/**
 * emu_vgpu_late() - handle a late response to a create or delete
 * @emu: the GPU
 * @vf: number of the VF
 *
 * The command has already failed with a time-out.  Now the firmware can say whether
 * it has a vGPU that nobody knows.
 */
void emu_vgpu_late(struct emu_dev *emu, unsigned int vf)
{
	mod_delayed_work(system_dfl_wq, &emu->vgpus[vf].reaper, 0);
}

/**
 * emu_vgpus_reap() - delete the vGPUs that nobody knows
 * @emu: the GPU, its firmware was just started
 */
void emu_vgpus_reap(struct emu_dev *emu)
{
	unsigned int vf;

	for (vf = 0; vf < NVVGPU_EMU_MAX_VFS; vf++)
		mod_delayed_work(system_dfl_wq, &emu->vgpus[vf].reaper, 0);
}

/* Accept a new vGPU if it is where it has been requested. */
static int emu_vgpu_adopt(struct emu_vgpu *vgpu, const struct emu_cmd *cmd)
{
	struct emu_dev *emu = vgpu->emu;

	lockdep_assert_held(&vgpu->lock);
	lockdep_assert_held(&emu->lock);

	/* The firmware has been restarted since it created the vGPU. */
	if (cmd->epoch != emu->epoch)
		return -EIO;

	if (cmd->res[0] != vgpu->placement ||
	    cmd->res[1] != vgpu->placement * emu->granule) {
		if (__ratelimit(&vgpu->log_limit))
			dev_err(&emu->pdev->dev,
				"firmware placed the vGPU of VF %u at %llu, offset %#llx, instead of %u\n",
				vgpu->vf, cmd->res[0], cmd->res[1],
				vgpu->placement);
		return -EPROTO;
	}

	vgpu->type = vgpu->reserved;
	vgpu->started = false;
	vgpu->stopped_len = 0;
	__set_bit(vgpu->vf, emu->alive);
	return 0;
}

/* Have the firmware create a vGPU at the placement that is reserved for it. */
static int emu_vgpu_make(struct emu_vgpu *vgpu)
{
	struct emu_dev *emu = vgpu->emu;
	struct emu_cmd cmd = {
		.opcode = NVVGPU_EMU_CMD_CREATE,
		.vf = vgpu->vf,
		.arg[0] = vgpu->reserved->id,
		.arg[1] = vgpu->placement,
	};
	int err;

	lockdep_assert_held(&vgpu->lock);

	vgpu->unsure = true;
	err = emu_fw_cmd(emu, &cmd);
	if (!err) {
		guard(spinlock)(&emu->lock);
		err = emu_vgpu_adopt(vgpu, &cmd);
	}

	/* The firmware may have created a vGPU nevertheless, or may still do so. */
	if (err == -ETIMEDOUT)
		mod_delayed_work(system_dfl_wq, &vgpu->reaper, 0);
	else if (err)
		emu_vgpu_discard(vgpu);
	else
		vgpu->unsure = false;

	return err;
}

static int emu_create(void *priv, unsigned int vf, u32 type, u32 *placement,
		      void **vgpu)
{
	const struct nvvgpu_type_info *info = emu_type_find(priv, type);
	struct emu_dev *emu = priv;
	struct emu_vgpu *new = &emu->vgpus[vf];
	int err;

	if (!info)
		return -ENOENT;

	guard(mutex)(&new->lock);

	err = new->unsure ? emu_vgpu_discard(new) : 0;
	err = err ?: emu_place_reserve(new, info, *placement);
	err = err ?: emu_vgpu_make(new);
	if (err)
		return err;

	*vgpu = new;
	*placement = new->placement;
	return 0;
}

/*
 * The firmware can only recover a crashed vGPU by DELETE and CREATE.  The placement
 * remains reserved in between.
 */
static int emu_recover(void *handle)
{
	struct emu_vgpu *vgpu = handle;

	guard(mutex)(&vgpu->lock);

	scoped_guard(spinlock, &vgpu->emu->lock)
		__clear_bit(vgpu->vf, vgpu->emu->alive);

	return emu_vgpu_discard(vgpu) ?: emu_vgpu_make(vgpu);
}

static int emu_delete(void *handle)
{
	struct emu_vgpu *vgpu = handle;
	struct emu_dev *emu = vgpu->emu;
	int err;

	guard(mutex)(&vgpu->lock);

	/* Report no more events of this vGPU. */
	scoped_guard(spinlock, &emu->lock)
		__clear_bit(vgpu->vf, emu->alive);
	vgpu->started = false;

	/* Firmware that was reset has no vGPU, so there is nothing to delete. */
	err = emu_vgpu_discard(vgpu);
	if (err)
		return err;

	/* The front-end announces the room that a delete makes. */
	guard(spinlock)(&emu->lock);
	vgpu->type = NULL;
	vgpu->reserved = NULL;
	return 0;
}

/* Remember the counters of a vGPU that has stopped; @len is 0 to forget them. */
static void emu_keep_stats(struct emu_vgpu *vgpu,
			   const struct nvvgpu_emu_stats *stats, u32 len)
{
	guard(spinlock)(&vgpu->emu->lock);

	vgpu->stopped_len = len;
	if (len)
		vgpu->stopped = *stats;
}

static int emu_start(void *handle,
		     const struct nvvgpu_vm_context *ctx)
{
	struct emu_vgpu *vgpu = handle;
	struct emu_dev *emu = vgpu->emu;
	unsigned int vf = vgpu->vf;
	struct emu_cmd cmd = {
		.opcode = NVVGPU_EMU_CMD_START,
		.vf = vf,
		.in = ctx->params,
		.in_len = strnlen(ctx->params, NVVGPU_PARAMS_LEN),
	};
	int err;

	emu_keep_stats(vgpu, NULL, 0);
	err = emu_fw_cmd(emu, &cmd);
	if (!err) {
		vgpu->started = true;
		vgpu->still = false;
	} else if (err == -EBADFD) {
		/* It crashed when it was just created, before it counted as alive. */
		guard(spinlock)(&emu->lock);
		emu_vgpu_lost(emu, vf);
	}
	return err;
}

static int emu_stop(void *handle)
{
	struct emu_vgpu *vgpu = handle;
	struct emu_dev *emu = vgpu->emu;
	unsigned int vf = vgpu->vf;
	struct nvvgpu_emu_stats stats = {};
	struct emu_cmd stop = {
		.opcode = NVVGPU_EMU_CMD_STOP,
		.vf = vf,
		.out = &stats,
		.out_len = sizeof(stats),
	};
	int stopped, scrubbed;

	vgpu->started = false;

	/* Ignore errors if the vGPU does not run or does not exist. */
	stopped = emu_fw_cmd(emu, &stop);
	if (stopped && stopped != -EBADFD && stopped != -ENOENT)
		return stopped;

	/* Firmware before 1.2 has not filled them in. */
	emu_keep_stats(vgpu, &stats, stopped ? 0 : stop.len);

	/* A reset of the GPU that has deleted the vGPU has also cleared its memory. */
	scrubbed = emu_vf_cmd(emu, vf, NVVGPU_EMU_CMD_SCRUB);

	return scrubbed == -ENOENT ? 0 : scrubbed;
}

/* Stop DMA before the function is reset. */
static void emu_reset_prepare(void *handle)
{
	struct emu_vgpu *vgpu = handle;
	struct emu_dev *emu = vgpu->emu;
	unsigned int vf = vgpu->vf;

	/* The reset is counted. */
	emu_keep_stats(vgpu, NULL, 0);
	vgpu->reset_err = vgpu->started ?
			  emu_vf_cmd(emu, vf, NVVGPU_EMU_CMD_RESET) : 0;
}

/* Let the vGPU run again after the function level reset. */
static int emu_reset_done(void *handle)
{
	struct emu_vgpu *vgpu = handle;

	return vgpu->reset_err;
}

static int emu_get_bar_info(void *handle, unsigned int bar,
			    struct nvvgpu_bar_info *info)
{
	struct emu_vgpu *vgpu = handle;
	const struct nvvgpu_type_info *type = vgpu->type;

	if (!type)
		return -ENOENT;
	if (bar >= NVVGPU_MAX_BARS || !type->bar_bytes[bar])
		return 0;
	if (type->bar_bytes[bar] > info->size)
		return -EPROTO;

	info->size = type->bar_bytes[bar];
	return 0;
}

/* Return the number of bytes of the counters, or a negative errno. */
static int emu_read_stats(struct emu_vgpu *vgpu, struct nvvgpu_emu_stats *stats)
{
	struct emu_cmd cmd = {
		.opcode = NVVGPU_EMU_CMD_STATS,
		.vf = vgpu->vf,
		.out = stats,
		.out_len = sizeof(*stats),
	};
	int err;

	scoped_guard(spinlock, &vgpu->emu->lock) {
		*stats = vgpu->stopped;
		if (vgpu->stopped_len)
			return vgpu->stopped_len;
	}
	err = emu_fw_cmd(vgpu->emu, &cmd);
	/* A reset or a failed recovery has deleted the vGPU with its counters. */
	if (err == -ENOENT)
		return -EIO;

	return err ?: cmd.len;
}

static int emu_get_stats(void *handle, struct nvvgpu_stat *stats,
			 size_t capacity)
{
	struct nvvgpu_emu_stats raw;
	const struct {
		const char *name;
		const __le64 *value;
	} all[] = {
		{ "descriptors", &raw.descriptors },
		{ "bytes", &raw.bytes },
		{ "dma_read_bytes", &raw.dma_read_bytes },
		{ "dma_write_bytes", &raw.dma_write_bytes },
		{ "interrupts", &raw.interrupts },
		{ "errors", &raw.errors },
		{ "dma_faults", &raw.dma_faults },
		{ "resets", &raw.resets },
		{ "busy_ns", &raw.busy_ns },
	};
	size_t nr = ARRAY_SIZE(all);
	size_t i;
	int len;

	len = emu_read_stats(handle, &raw);
	if (len < 0)
		return len;
	/* Firmware before 1.2 does not report the last counter. */
	if (len == NVVGPU_EMU_STATS_1_0)
		nr--;
	else if (len != sizeof(raw))
		return -EPROTO;

	for (i = 0; i < min(capacity, nr); i++) {
		stats[i].name = all[i].name;
		stats[i].value = le64_to_cpu(*all[i].value);
	}
	return i;
}

const struct nvvgpu_backend_ops emu_backend_ops = {
	.name = "emu",
	.owner = THIS_MODULE,
	.abi_major = NVVGPU_BACKEND_ABI_MAJOR,
	.abi_minor = NVVGPU_BACKEND_ABI_MINOR,
	.size = sizeof(struct nvvgpu_backend_ops),
	.get_types = emu_get_types,
	.get_type_info = emu_get_type_info,
	.get_available = emu_get_available,
	.get_placements = emu_get_placements,
	.create = emu_create,
	.delete = emu_delete,
	.start = emu_start,
	.stop = emu_stop,
	.reset_prepare = emu_reset_prepare,
	.reset_done = emu_reset_done,
	.recover = emu_recover,
	.get_bar_info = emu_get_bar_info,
	.get_stats = emu_get_stats,
	.mig_flags = NVVGPU_MIG_P2P | NVVGPU_MIG_PRE_COPY | NVVGPU_MIG_REINIT,
	.state_version = EMU_STATE_VERSION,
	.state_version_min = EMU_STATE_VERSION_MIN,
	.suspend = emu_vgpu_suspend,
	.resume = emu_vgpu_resume,
	.state_size = emu_state_size,
	.save_begin = emu_save_begin,
	.save = emu_save,
	.save_ahead = emu_save_ahead,
	.save_end = emu_save_end,
	.load_begin = emu_load_begin,
	.load = emu_load,
	.load_end = emu_load_end,
	.precopy_estimate = emu_precopy_estimate,
	.dma_log_start = emu_dma_log_start,
	.dma_log_stop = emu_dma_log_stop,
	.dma_log_read = emu_dma_log_read,
	.get_plane = emu_get_plane,
	.get_edid = emu_get_edid,
	.set_edid = emu_set_edid,
};

/**
 * emu_vgpus_init() - initialize the vGPUs of a GPU
 * @emu: the GPU
 */
void emu_vgpus_init(struct emu_dev *emu)
{
	unsigned int vf;

	for (vf = 0; vf < NVVGPU_EMU_MAX_VFS; vf++) {
		emu->vgpus[vf].emu = emu;
		emu->vgpus[vf].vf = vf;
		mutex_init(&emu->vgpus[vf].lock);
		INIT_DELAYED_WORK(&emu->vgpus[vf].reaper, emu_reap);
		ratelimit_state_init(&emu->vgpus[vf].log_limit,
				     DEFAULT_RATELIMIT_INTERVAL,
				     DEFAULT_RATELIMIT_BURST);
	}
}

/**
 * emu_vgpus_exit() - undo emu_vgpus_init()
 * @emu: the GPU, not registered with the front-end, its firmware stopped
 */
void emu_vgpus_exit(struct emu_dev *emu)
{
	unsigned int vf;

	for (vf = 0; vf < NVVGPU_EMU_MAX_VFS; vf++)
		cancel_delayed_work_sync(&emu->vgpus[vf].reaper);
}
