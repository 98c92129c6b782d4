// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-emu: communication with the firmware.
 *
 * Each command is a request with a sequence number.  The request owns the DMA
 * buffer of the command, or holds a reference to its folio.  Once submitted, it
 * is referenced by the table of requests and by its caller.  It leaves the table
 * only when the firmware has responded or has been stopped.  If the caller times
 * out, the request and its buffer stay in the table: the firmware may still
 * write to the buffer, and a late response can be recognized as such.
 */
#include <linux/bitmap.h>
#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/dma-mapping.h>
#include <linux/dmapool.h>
#include <linux/interrupt.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/iopoll.h>
#include <linux/kref.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/stringify.h>

#include "emu.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

#define EMU_FW_POLL_US		1000
#define EMU_FW_VERSION(major, minor)	((major) << 16 | (minor))
#define EMU_FW_VERSION_MAJOR(version)	((u32)(version) >> 16)
#define EMU_FW_VERSION_MINOR(version)	((u32)(version) & 0xffff)

#define EMU_FW_TIMEOUT_MIN_MS	10
#define EMU_FW_TIMEOUT_MAX_MS	600000

#define EMU_GONE		"is unreachable, its device is gone"

static unsigned int fw_timeout_ms = 5000;

static int emu_fw_timeout_set(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, EMU_FW_TIMEOUT_MIN_MS,
				     EMU_FW_TIMEOUT_MAX_MS);
}

static const struct kernel_param_ops emu_fw_timeout_ops = {
	.set = emu_fw_timeout_set,
	.get = param_get_uint,
};

module_param_cb(fw_timeout_ms, &emu_fw_timeout_ops, &fw_timeout_ms, 0644);
MODULE_PARM_DESC(fw_timeout_ms,
		 "time-out of plain firmware commands in milliseconds, 10 to 600000 (default 5000)");

/* Properties of the commands */
#define EMU_CMD_BOOT	0x1	/* part of the handshake */
#define EMU_CMD_VF	0x2	/* changes the vGPU of a VF */
#define EMU_CMD_ROOM	0x4	/* changes the number of vGPUs that can be created */

/* Time-outs, in units of fw_timeout_ms */
#define EMU_TIME_PLAIN	1	/* completes immediately */
#define EMU_TIME_ENGINE	2	/* waits until engines finish a descriptor */
#define EMU_TIME_SCRUB	4	/* clears or scans a framebuffer */
#define EMU_TIME_BOOT	4	/* start and stop of the firmware itself */

#define EMU_CMD(name, ...) \
	[NVVGPU_EMU_CMD_##name] = { #name, __VA_ARGS__ }

static const struct {
	const char *name;
	unsigned int time;
	unsigned int flags;
} emu_cmds[NVVGPU_EMU_CMD_LAST + 1] = {
	EMU_CMD(HELLO, EMU_TIME_PLAIN, EMU_CMD_BOOT),
	EMU_CMD(INFO, EMU_TIME_PLAIN, EMU_CMD_BOOT),
	EMU_CMD(TYPES, EMU_TIME_PLAIN, EMU_CMD_BOOT),
	EMU_CMD(CREATE, EMU_TIME_SCRUB, EMU_CMD_VF | EMU_CMD_ROOM),
	EMU_CMD(DELETE, EMU_TIME_SCRUB, EMU_CMD_VF | EMU_CMD_ROOM),
	EMU_CMD(START, EMU_TIME_PLAIN, EMU_CMD_VF),
	EMU_CMD(STOP, EMU_TIME_ENGINE, EMU_CMD_VF),
	EMU_CMD(RESET, EMU_TIME_ENGINE, EMU_CMD_VF),
	EMU_CMD(SUSPEND, EMU_TIME_ENGINE, EMU_CMD_VF),
	EMU_CMD(RESUME, EMU_TIME_PLAIN, EMU_CMD_VF),
	EMU_CMD(STATE_SIZE, EMU_TIME_PLAIN),
	EMU_CMD(SAVE, EMU_TIME_SCRUB),
	EMU_CMD(LOAD, EMU_TIME_SCRUB, EMU_CMD_VF),
	EMU_CMD(DIRTY_START, EMU_TIME_PLAIN),
	EMU_CMD(DIRTY_STOP, EMU_TIME_PLAIN),
	EMU_CMD(DIRTY_READ, EMU_TIME_PLAIN),
	EMU_CMD(SCRUB, EMU_TIME_SCRUB, EMU_CMD_VF),
	EMU_CMD(STATS, EMU_TIME_PLAIN),
	EMU_CMD(USED, EMU_TIME_SCRUB),
	EMU_CMD(DISPLAY, EMU_TIME_PLAIN),
	EMU_CMD(SET_EDID, EMU_TIME_PLAIN),
};

#define EMU_EVENT(name) \
	[NVVGPU_EMU_EVENT_##name - NVVGPU_EMU_EVENT_CRASHED] = #name

/**
 * emu_fw_name() - name a command or an event of the firmware
 * @opcode: NVVGPU_EMU_CMD_* or NVVGPU_EMU_EVENT_*
 *
 * Return: the name, "?" if it is unknown
 */
const char *emu_fw_name(u16 opcode)
{
	static const char * const events[] = {
		EMU_EVENT(CRASHED),
		EMU_EVENT(FAULT),
		EMU_EVENT(GUEST_UP),
		EMU_EVENT(GUEST_DOWN),
		EMU_EVENT(DISPLAY),
		EMU_EVENT(FLIP),
	};
	const char *name = NULL;
	unsigned int event;

	if (opcode < ARRAY_SIZE(emu_cmds)) {
		name = emu_cmds[opcode].name;
	} else if (opcode >= NVVGPU_EMU_EVENT_CRASHED) {
		event = opcode - NVVGPU_EMU_EVENT_CRASHED;
		if (event < ARRAY_SIZE(events))
			name = events[event];
	}

	return name ?: "?";
}

static const int emu_fw_errno[] = {
	[NVVGPU_EMU_OK] = 0,
	[NVVGPU_EMU_ERR_INVALID] = -EINVAL,
	[NVVGPU_EMU_ERR_NO_SPACE] = -ENOSPC,
	[NVVGPU_EMU_ERR_BUSY] = -EBUSY,
	[NVVGPU_EMU_ERR_NOT_FOUND] = -ENOENT,
	[NVVGPU_EMU_ERR_UNSUPPORTED] = -EOPNOTSUPP,
	[NVVGPU_EMU_ERR_STATE] = -EBADFD,
	[NVVGPU_EMU_ERR_VERSION] = -EPROTONOSUPPORT,
	[NVVGPU_EMU_ERR_DMA] = -EFAULT,
	[NVVGPU_EMU_ERR_INTERNAL] = -EIO,
	[NVVGPU_EMU_ERR_DATA] = -EBADMSG,
};

/**
 * struct emu_req - a command in flight
 * @ref: one for the caller, one for &emu_dev.reqs
 * @emu: the GPU
 * @buf: DMA buffer of the request, or NULL
 * @folio: folio of the caller in place of @buf, holds a reference
 * @dir: DMA direction of @folio
 * @dma: DMA address of @buf or @folio
 * @buf_len: size of @buf or @folio
 * @opcode: NVVGPU_EMU_CMD_*
 * @vf: number of the VF, as in the command
 * @seq: sequence number
 * @order: &emu_dev.cmd_tail when the request was submitted
 * @done: completed once @finished
 * @finished: the request was answered, has failed or has timed out; protected by
 *	&emu_dev.lock
 * @err: valid when @finished
 * @res: results of the response
 * @len: bytes that the firmware has written to @buf
 * @epoch: &emu_dev.epoch when the request was submitted
 */
struct emu_req {
	struct kref ref;
	struct emu_dev *emu;
	void *buf;
	struct folio *folio;
	enum dma_data_direction dir;
	dma_addr_t dma;
	size_t buf_len;
	u16 opcode;
	u16 vf;
	u32 seq;
	u32 order;
	struct completion done;
	bool finished;
	int err;
	u64 res[6];
	u32 len;
	unsigned int epoch;
};

/* The pool for the buffer of a request */
static struct dma_pool *emu_req_pool(struct emu_req *req)
{
	return req->buf_len > EMU_SMALL_BUF_BYTES ? req->emu->bufs :
						    req->emu->small_bufs;
}

static void emu_req_release(struct kref *ref)
{
	struct emu_req *req = container_of(ref, struct emu_req, ref);

	if (req->buf)
		dma_pool_free(emu_req_pool(req), req->buf, req->dma);
	if (req->folio) {
		/* The waiter has synchronized the data already. */
		dma_unmap_single_attrs(&req->emu->pdev->dev, req->dma,
				       req->buf_len, req->dir,
				       DMA_ATTR_SKIP_CPU_SYNC);
		folio_put(req->folio);
	}
	kfree(req);
}

static void emu_req_put(struct emu_req *req)
{
	kref_put(&req->ref, emu_req_release);
}

/* Map the folio of the caller until the request has finished. */
static bool emu_req_map(struct emu_req *req, const struct emu_cmd *cmd)
{
	struct device *dev = &req->emu->pdev->dev;
	void *addr = cmd->out ?: (void *)cmd->in;

	req->dir = cmd->out ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
	req->dma = dma_map_single(dev, addr, req->buf_len, req->dir);
	if (dma_mapping_error(dev, req->dma))
		return false;

	req->folio = virt_to_folio(addr);
	folio_get(req->folio);

	return true;
}

static bool emu_req_fill(struct emu_req *req, const struct emu_cmd *cmd)
{
	if (WARN_ON_ONCE(req->buf_len > EMU_BUF_BYTES))
		return false;

	/* A firmware that writes less than it reports must not show old data. */
	req->buf = dma_pool_zalloc(emu_req_pool(req), GFP_KERNEL, &req->dma);
	if (!req->buf)
		return false;
	if (cmd->in_len)
		memcpy(req->buf, cmd->in, cmd->in_len);

	return true;
}

static struct emu_req *emu_req_alloc(struct emu_dev *emu,
				     const struct emu_cmd *cmd)
{
	struct emu_req *req;

	req = kzalloc_obj(*req, GFP_KERNEL);
	if (!req)
		return NULL;

	kref_init(&req->ref);
	init_completion(&req->done);
	req->emu = emu;
	req->opcode = cmd->opcode;
	req->vf = cmd->vf;

	req->buf_len = max(cmd->in_len, cmd->out_len);
	if (!req->buf_len || (cmd->direct && emu_req_map(req, cmd)))
		return req;

	if (!emu_req_fill(req, cmd)) {
		kfree(req);
		return NULL;
	}

	return req;
}

static void emu_req_finish(struct emu_req *req, int err)
{
	lockdep_assert_held(&req->emu->lock);

	req->err = err;
	req->finished = true;
	complete(&req->done);
}

static unsigned long emu_fw_timeout(unsigned int units)
{
	return msecs_to_jiffies(READ_ONCE(fw_timeout_ms) * units);
}

static unsigned long emu_cmd_timeout(const struct emu_cmd *cmd)
{
	return emu_fw_timeout(emu_cmds[cmd->opcode].time);
}

/* If the device is gone, or after a bus error, all reads return ones. */
static bool emu_is_gone(struct emu_dev *emu)
{
	return readl(emu->regs + NVVGPU_EMU_PF_REG_MAGIC) !=
	       NVVGPU_EMU_PF_MAGIC;
}

/**
 * emu_room_changed() - report a change of the types that can be created
 * @emu: the GPU
 */
void emu_room_changed(struct emu_dev *emu)
{
	struct nvvgpu_backend *backend = READ_ONCE(emu->backend);

	lockdep_assert_held(&emu->lock);

	if (backend)
		nvvgpu_backend_types_changed(backend);
}

static void emu_fw_cut_off(struct emu_dev *emu, int err, const char *why)
{
	unsigned int i;

	lockdep_assert_held(&emu->lock);

	if (emu->state == EMU_FW_DOWN)
		return;

	emu->state = EMU_FW_DOWN;
	emu->down_err = err;
	emu->epoch++;
	emu->room_changes++;
	emu_room_changed(emu);

	/* The buffers stay in the table: the firmware may still write to them */
	for (i = 0; i < EMU_CMD_SLOTS; i++)
		if (emu->reqs[i] && !emu->reqs[i]->finished)
			emu_req_finish(emu->reqs[i], err);

	wake_up_all(&emu->slot_wait);

	if (why)
		dev_err(&emu->pdev->dev, "firmware %s%s\n", why,
			err == -ENODEV ? "" : ", reset this device to recover");
}

static void emu_fw_down_locked(struct emu_dev *emu, int err, const char *why)
{
	emu_fw_cut_off(emu, err, why);
	emu_vgpus_lost(emu);
}

/**
 * emu_fw_down() - mark the firmware as down
 * @emu: the GPU
 * @err: errno for commands in flight and new ones
 * @why: reason for the log, after "firmware "; NULL for no message
 *
 * Reports all vGPUs as crashed.  Does not access the device.  The memory shared
 * with the firmware remains until emu_fw_stop().
 */
void emu_fw_down(struct emu_dev *emu, int err, const char *why)
{
	spin_lock(&emu->lock);
	emu_fw_down_locked(emu, err, why);
	spin_unlock(&emu->lock);
}

/**
 * emu_fw_is_up() - check whether commands can be sent
 * @emu: the GPU
 *
 * Return: true if so.
 */
bool emu_fw_is_up(struct emu_dev *emu)
{
	bool up;

	spin_lock(&emu->lock);
	up = emu->state == EMU_FW_UP;
	spin_unlock(&emu->lock);

	return up;
}

/**
 * emu_fw_is_starting() - will the firmware soon be up
 * @emu: the GPU
 *
 * Return: true during a reset of the GPU and while the firmware boots.
 */
bool emu_fw_is_starting(struct emu_dev *emu)
{
	guard(spinlock)(&emu->lock);

	return emu->state == EMU_FW_BOOTING || emu->resetting;
}

/*
 * Mark the firmware of that epoch as not responding.  Commands fail immediately,
 * but vGPUs that run are not reported as crashed.
 */
static void emu_fw_deaf(struct emu_dev *emu, unsigned int epoch,
			const char *why)
{
	bool gone = emu_is_gone(emu);

	spin_lock(&emu->lock);
	if (epoch != emu->epoch)
		; /* it has been reset meanwhile */
	else if (gone)
		emu_fw_down_locked(emu, -ENODEV, EMU_GONE);
	else
		emu_fw_cut_off(emu, -EIO, why);
	spin_unlock(&emu->lock);
}

static void emu_fw_event(struct emu_dev *emu, const struct nvvgpu_emu_msg *msg)
{
	u16 opcode = le16_to_cpu(msg->opcode);
	u16 vf = le16_to_cpu(msg->vf);

	trace_nvvgpu_emu_event(&emu->pdev->dev, 0, opcode, vf,
			       le32_to_cpu(msg->status),
			       le64_to_cpu(msg->res[0]), le32_to_cpu(msg->len));

	spin_lock(&emu->lock);
	if (emu->state == EMU_FW_UP && vf < NVVGPU_EMU_MAX_VFS)
		emu_vgpu_event(emu, vf, opcode, le64_to_cpu(msg->res[0]),
			       le64_to_cpu(msg->res[1]));
	spin_unlock(&emu->lock);
}

static void emu_fw_answer(struct emu_dev *emu, const struct nvvgpu_emu_msg *msg)
{
	u32 seq = le32_to_cpu(msg->seq);
	u16 opcode = le16_to_cpu(msg->opcode);
	u16 vf = le16_to_cpu(msg->vf);
	u32 status = le32_to_cpu(msg->status);
	u32 len = le32_to_cpu(msg->len);
	struct emu_req *req;
	bool late;
	int i;

	scoped_guard(spinlock, &emu->lock) {
		if (emu->state == EMU_FW_DOWN)
			return;

		req = emu->reqs[seq % EMU_CMD_SLOTS];
		if (!req || req->seq != seq) {
			emu_fw_down_locked(emu, -EIO,
					   "sent an unexpected response");
			return;
		}
		if (req->opcode != opcode || req->vf != vf ||
		    len > req->buf_len) {
			emu_fw_down_locked(emu, -EIO,
					   "sent a malformed response");
			return;
		}

		emu->reqs[seq % EMU_CMD_SLOTS] = NULL;
		emu->answers++;
		if ((s32)(req->order - emu->answered) > 0)
			emu->answered = req->order;
		if (emu_cmds[opcode].flags & EMU_CMD_ROOM)
			emu->room_changes++;
		late = req->finished;
		if (!late) {
			for (i = 0; i < ARRAY_SIZE(req->res); i++)
				req->res[i] = le64_to_cpu(msg->res[i]);
			req->len = len;
			emu_req_finish(req, status < ARRAY_SIZE(emu_fw_errno) ?
					    emu_fw_errno[status] : -EPROTO);
		}
	}
	wake_up(&emu->slot_wait);

	if (late) {
		trace_nvvgpu_emu_late_response(&emu->pdev->dev, seq, opcode, vf,
					       status, le64_to_cpu(msg->res[0]),
					       len);
		if (emu_cmds[opcode].flags & EMU_CMD_ROOM)
			emu_vgpu_late(emu, vf);
	} else {
		trace_nvvgpu_emu_response(&emu->pdev->dev, seq, opcode, vf,
					  status, le64_to_cpu(msg->res[0]),
					  len);
	}
	emu_req_put(req);
}

static void emu_fw_lost_track(struct emu_dev *emu, const char *why)
{
	lockdep_assert_held(&emu->msg_mutex);

	if (emu_is_gone(emu))
		emu_fw_down(emu, -ENODEV, EMU_GONE);
	else
		emu_fw_down(emu, -EIO, why);
}

static void emu_fw_read_messages(struct emu_dev *emu)
{
	struct nvvgpu_emu_msg msg;
	u32 tail;

	lockdep_assert_held(&emu->msg_mutex);

	tail = readl(emu->regs + NVVGPU_EMU_PF_REG_MSG_TAIL);
	if (tail - emu->msg_head > EMU_MSG_SLOTS) {
		emu_fw_lost_track(emu, "corrupted the message ring");
		return;
	}

	while (emu->msg_head != tail) {
		/* Copy the message, so that it cannot change after the checks. */
		msg = emu->msg_ring[emu->msg_head++ % EMU_MSG_SLOTS];
		if (msg.seq)
			emu_fw_answer(emu, &msg);
		else
			emu_fw_event(emu, &msg);
	}
	writel(emu->msg_head, emu->regs + NVVGPU_EMU_PF_REG_MSG_HEAD);
}

/* Handle messages of the firmware, and check its status. */
static void emu_fw_listen(struct emu_dev *emu)
{
	enum emu_fw_state state;
	u32 status;

	guard(mutex)(&emu->msg_mutex);

	scoped_guard(spinlock, &emu->lock)
		state = emu->state;

	if (state != EMU_FW_DOWN)
		emu_fw_read_messages(emu);

	status = readl(emu->regs + NVVGPU_EMU_PF_REG_FW_STATUS);
	if (status == NVVGPU_EMU_FW_CRASHED)
		emu_fw_down(emu, -EIO, "has crashed");
	else if (status != NVVGPU_EMU_FW_READY && state == EMU_FW_UP)
		emu_fw_lost_track(emu, "was reset unexpectedly");
}

static irqreturn_t emu_fw_irq(int irq, void *data)
{
	emu_fw_listen(data);
	return IRQ_HANDLED;
}

/* Return false if the rings are full, else the request is in flight or has failed. */
static bool emu_fw_submit_locked(struct emu_dev *emu, const struct emu_cmd *cmd,
				 struct emu_req *req)
{
	struct nvvgpu_emu_cmd entry = {};
	unsigned int slot;
	u32 head;
	int i;

	lockdep_assert_held(&emu->lock);

	if (emu->state == EMU_FW_DOWN) {
		emu_req_finish(req, emu->down_err);
		return true;
	}
	if (emu->state == EMU_FW_BOOTING &&
	    !(emu_cmds[req->opcode].flags & EMU_CMD_BOOT)) {
		emu_req_finish(req, -EIO);
		return true;
	}

	for (slot = 0; slot < EMU_CMD_SLOTS; slot++)
		if (!emu->reqs[slot])
			break;
	req->epoch = emu->epoch;
	head = readl(emu->regs + NVVGPU_EMU_PF_REG_CMD_HEAD);
	if (PCI_POSSIBLE_ERROR(head) && emu_is_gone(emu)) {
		emu_fw_down_locked(emu, -ENODEV, EMU_GONE);
		emu_req_finish(req, -ENODEV);
		return true;
	}
	if (slot == EMU_CMD_SLOTS || emu->cmd_tail - head >= EMU_CMD_SLOTS)
		return false;

	/* The number of an event is 0. */
	do {
		req->seq = emu->seq++ * EMU_CMD_SLOTS + slot;
	} while (!req->seq);

	entry.seq = cpu_to_le32(req->seq);
	entry.opcode = cpu_to_le16(req->opcode);
	entry.vf = cpu_to_le16(req->vf);
	entry.addr = cpu_to_le64(req->dma);
	entry.len = cpu_to_le32(req->buf_len);
	for (i = 0; i < ARRAY_SIZE(entry.arg); i++)
		entry.arg[i] = cpu_to_le64(cmd->arg[i]);

	kref_get(&req->ref);
	emu->reqs[slot] = req;
	trace_nvvgpu_emu_cmd(&emu->pdev->dev, req->seq, req->opcode, req->vf,
			     cmd->arg[0], req->buf_len);

	req->order = emu->cmd_tail;
	emu->cmd_ring[emu->cmd_tail++ % EMU_CMD_SLOTS] = entry;
	writel(emu->cmd_tail, emu->regs + NVVGPU_EMU_PF_REG_CMD_TAIL);
	return true;
}

static bool emu_fw_submit(struct emu_dev *emu, const struct emu_cmd *cmd,
			  struct emu_req *req)
{
	bool done;

	spin_lock(&emu->lock);
	done = emu_fw_submit_locked(emu, cmd, req);
	spin_unlock(&emu->lock);

	return done;
}

/* Time out a request, unless the response has just arrived. */
static bool emu_fw_give_up(struct emu_dev *emu, struct emu_req *req)
{
	scoped_guard(spinlock, &emu->lock) {
		if (req->finished)
			return false;

		emu_req_finish(req, -ETIMEDOUT);
		if (emu_cmds[req->opcode].flags & EMU_CMD_VF)
			emu_vgpu_lost(emu, req->vf);
	}

	dev_warn(&emu->pdev->dev, "firmware did not respond to %s in time\n",
		 emu_cmds[req->opcode].name);
	return true;
}

/*
 * A command has timed out.  Check whether the firmware responds at all: if not,
 * fail all commands, or each of many would have to time out in turn.
 */
static void emu_fw_ping(struct emu_dev *emu)
{
	struct emu_cmd cmd = { .opcode = NVVGPU_EMU_CMD_INFO };
	u32 answers = READ_ONCE(emu->answers);

	if (emu_fw_cmd(emu, &cmd) == -ETIMEDOUT &&
	    answers == READ_ONCE(emu->answers))
		emu_fw_deaf(emu, cmd.epoch, "does not respond");
}

/*
 * Check whether the firmware may still be executing a command that was sent before
 * this one.  It executes them in order, so a response to one means that all earlier
 * ones have ended.
 */
static bool emu_fw_is_behind(struct emu_dev *emu, const struct emu_req *req)
{
	const struct emu_req *other;
	unsigned int i;

	guard(spinlock)(&emu->lock);

	for (i = 0; i < EMU_CMD_SLOTS; i++) {
		other = emu->reqs[i];
		if (other && (s32)(other->order - emu->answered) > 0 &&
		    (s32)(other->order - req->order) < 0)
			return true;
	}

	return false;
}

/*
 * Wait for the response as long as the command may take once the firmware begins.
 * A firmware that has answered nothing in the time of the longest command is silent.
 */
static bool emu_fw_wait(struct emu_dev *emu, const struct emu_cmd *cmd,
			struct emu_req *req)
{
	unsigned long timeout;
	bool behind;
	u32 answers;

	do {
		answers = READ_ONCE(emu->answers);
		behind = emu_fw_is_behind(emu, req);
		timeout = behind ? emu_fw_timeout(EMU_TIME_SCRUB) :
				   emu_cmd_timeout(cmd);
		if (wait_for_completion_timeout(&req->done, timeout))
			return true;
		/* The interrupt may have been lost. */
		emu_fw_listen(emu);
	} while (behind && answers != READ_ONCE(emu->answers));

	return false;
}

/**
 * emu_fw_begin() - submit a command
 * @emu: the GPU
 * @cmd: the command; @cmd->in is not used after return, unless @cmd->direct
 *
 * Any number of commands may be in flight.
 *
 * Return: the request, for emu_fw_end() or emu_fw_forget(); or an ERR_PTR():
 * -ENOMEM, or -EIO if the firmware accepts no commands.
 */
struct emu_req *emu_fw_begin(struct emu_dev *emu, const struct emu_cmd *cmd)
{
	struct emu_req *req;
	u32 answers;

	req = emu_req_alloc(emu, cmd);
	if (!req)
		return ERR_PTR(-ENOMEM);

	/*
	 * Commands that timed out occupy their slots, so this fails only if the
	 * firmware has not responded to a whole ring of commands.
	 */
	do {
		answers = READ_ONCE(emu->answers);
		if (wait_event_timeout(emu->slot_wait,
				       emu_fw_submit(emu, cmd, req),
				       emu_cmd_timeout(cmd)))
			return req;
	} while (answers != READ_ONCE(emu->answers));

	emu_fw_deaf(emu, req->epoch,
		    "does not respond to " __stringify(EMU_CMD_SLOTS) " commands");
	emu_req_put(req);

	return ERR_PTR(-EIO);
}

/**
 * emu_fw_forget() - ignore the response to a command
 * @req: request from emu_fw_begin()
 */
void emu_fw_forget(struct emu_req *req)
{
	emu_req_put(req);
}

/* Copy the data that the firmware has written to the buffer of a command. */
static void emu_req_out(struct emu_req *req, struct emu_cmd *cmd)
{
	if (req->folio)
		dma_sync_single_for_cpu(&req->emu->pdev->dev, req->dma,
					req->buf_len, DMA_FROM_DEVICE);
	else
		memcpy(cmd->out, req->buf, min_t(size_t, req->len, cmd->out_len));
}

/**
 * emu_fw_end() - wait for the response to a command
 * @emu: the GPU
 * @cmd: the command, receives the results
 * @req: request from emu_fw_begin(), released on return
 *
 * Sleeps for a bounded time.  If a command that changes a vGPU times out, the
 * state of that vGPU is unknown, and it is reported as crashed.  A command that
 * timed out may still access its folio.
 *
 * Return: 0; the error of the firmware; -ETIMEDOUT without a response; -EIO or
 * -ENODEV if the firmware is down or goes down.
 */
int emu_fw_end(struct emu_dev *emu, struct emu_cmd *cmd, struct emu_req *req)
{
	int err;

	if (!emu_fw_wait(emu, cmd, req) && emu_fw_give_up(emu, req) &&
	    !(emu_cmds[cmd->opcode].flags & EMU_CMD_BOOT))
		emu_fw_ping(emu);

	err = req->err;
	memcpy(cmd->res, req->res, sizeof(cmd->res));
	cmd->len = req->len;
	cmd->epoch = req->epoch;
	if (!err && cmd->out_len)
		emu_req_out(req, cmd);
	emu_req_put(req);

	return err;
}

/**
 * emu_fw_cmd() - send a command and wait for the response
 * @emu: the GPU
 * @cmd: the command, receives the results
 *
 * Return: as emu_fw_begin() and emu_fw_end().
 */
int emu_fw_cmd(struct emu_dev *emu, struct emu_cmd *cmd)
{
	struct emu_req *req = emu_fw_begin(emu, cmd);

	return IS_ERR(req) ? PTR_ERR(req) : emu_fw_end(emu, cmd, req);
}

static int emu_fw_hello(struct emu_dev *emu)
{
	u32 ours = EMU_FW_VERSION(NVVGPU_EMU_FW_MAJOR, NVVGPU_EMU_FW_MINOR);
	struct emu_cmd cmd = {
		.opcode = NVVGPU_EMU_CMD_HELLO,
		.arg[0] = ours,
	};
	int err;

	err = emu_fw_cmd(emu, &cmd);
	if (err && err != -EPROTONOSUPPORT)
		return err;

	if (err || EMU_FW_VERSION_MAJOR(cmd.res[0]) != NVVGPU_EMU_FW_MAJOR) {
		dev_err(&emu->pdev->dev,
			"firmware has version %u.%u, this driver supports %u.%u\n",
			EMU_FW_VERSION_MAJOR(cmd.res[0]),
			EMU_FW_VERSION_MINOR(cmd.res[0]),
			NVVGPU_EMU_FW_MAJOR, NVVGPU_EMU_FW_MINOR);
		return -EPROTONOSUPPORT;
	}

	dev_dbg(&emu->pdev->dev, "firmware has version %u.%u\n",
		EMU_FW_VERSION_MAJOR(cmd.res[0]),
		EMU_FW_VERSION_MINOR(cmd.res[0]));
	return 0;
}

/* Turn the firmware off, in whatever state it is. */
static int emu_fw_off(struct emu_dev *emu)
{
	u32 status;

	writel(NVVGPU_EMU_FW_CTRL_RESET, emu->regs + NVVGPU_EMU_PF_REG_FW_CTRL);

	return readl_poll_timeout(emu->regs + NVVGPU_EMU_PF_REG_FW_STATUS,
				  status,
				  status == NVVGPU_EMU_FW_OFF ||
				  PCI_POSSIBLE_ERROR(status), EMU_FW_POLL_US,
				  jiffies_to_usecs(emu_fw_timeout(EMU_TIME_BOOT)));
}

static int emu_fw_boot(struct emu_dev *emu)
{
	void __iomem *regs = emu->regs;
	u32 status;
	int err;

	/* A previous driver may have left it in any state. */
	err = emu_fw_off(emu);
	if (err)
		return err;
	if (emu_is_gone(emu))
		return -ENODEV;

	lo_hi_writeq(emu->cmd_dma, regs + NVVGPU_EMU_PF_REG_CMD_BASE);
	writel(EMU_CMD_SLOTS, regs + NVVGPU_EMU_PF_REG_CMD_SIZE);
	lo_hi_writeq(emu->msg_dma, regs + NVVGPU_EMU_PF_REG_MSG_BASE);
	writel(EMU_MSG_SLOTS, regs + NVVGPU_EMU_PF_REG_MSG_SIZE);

	scoped_guard(mutex, &emu->msg_mutex) {
		spin_lock(&emu->lock);
		emu->msg_head = 0;
		emu->cmd_tail = 0;
		emu->answered = -1;
		emu->state = EMU_FW_BOOTING;
		spin_unlock(&emu->lock);
	}

	pci_set_master(emu->pdev);
	writel(NVVGPU_EMU_FW_CTRL_BOOT, regs + NVVGPU_EMU_PF_REG_FW_CTRL);
	err = readl_poll_timeout(regs + NVVGPU_EMU_PF_REG_FW_STATUS, status,
				 status != NVVGPU_EMU_FW_OFF &&
				 status != NVVGPU_EMU_FW_BOOTING,
				 EMU_FW_POLL_US,
				 jiffies_to_usecs(emu_fw_timeout(EMU_TIME_BOOT)));
	if (err)
		return err;
	if (status != NVVGPU_EMU_FW_READY)
		return -EIO;

	err = emu_fw_hello(emu);
	if (err)
		return err;

	err = emu_types_load(emu);
	if (err)
		return err;

	spin_lock(&emu->lock);
	if (emu->state == EMU_FW_BOOTING)
		emu->state = EMU_FW_UP;
	else
		err = emu->down_err;
	emu_room_changed(emu);
	spin_unlock(&emu->lock);

	return err;
}

/**
 * emu_fw_start() - boot the firmware and exchange versions
 * @emu: the GPU, its firmware is down
 *
 * Undone by emu_fw_stop().
 *
 * Return: 0 or a negative errno, with the firmware down and a message logged.
 */
int emu_fw_start(struct emu_dev *emu)
{
	int err;

	device_lock_assert(&emu->pdev->dev);

	err = emu_fw_boot(emu);
	if (err) {
		dev_err(&emu->pdev->dev, "failed to start the firmware: %pe\n",
			ERR_PTR(err));
		emu_fw_stop(emu);
	}
	return err;
}

/**
 * emu_fw_stop() - stop the firmware and release its memory
 * @emu: the GPU, its firmware may be in any state
 *
 * Reports all vGPUs as crashed.  On return the device performs no DMA to memory
 * of this driver.
 */
void emu_fw_stop(struct emu_dev *emu)
{
	struct emu_req *req;
	unsigned int i;
	int err;

	device_lock_assert(&emu->pdev->dev);

	/* Wait for handlers in progress; new ones see the state and return. */
	scoped_guard(mutex, &emu->msg_mutex)
		emu_fw_down(emu, -EIO, NULL);

	err = emu_fw_off(emu);
	if (err)
		dev_err(&emu->pdev->dev, "failed to stop the firmware: %pe\n",
			ERR_PTR(err));
	/* Even if it did not stop, this prevents DMA. */
	pci_clear_master(emu->pdev);

	for (i = 0; i < EMU_CMD_SLOTS; i++) {
		scoped_guard(spinlock, &emu->lock) {
			req = emu->reqs[i];
			emu->reqs[i] = NULL;
		}
		if (req)
			emu_req_put(req);
	}
}

/**
 * emu_fw_init() - allocate rings and interrupts for the firmware
 * @emu: the GPU, its registers mapped
 *
 * All of it is released with the device.
 *
 * Return: 0 or a negative errno.
 */
int emu_fw_init(struct emu_dev *emu)
{
	struct device *dev = &emu->pdev->dev;
	int err;

	mutex_init(&emu->msg_mutex);
	spin_lock_init(&emu->lock);
	init_waitqueue_head(&emu->slot_wait);
	emu->state = EMU_FW_DOWN;
	emu->down_err = -EIO;
	emu->room_changes = 1;

	emu->cmd_ring = dmam_alloc_coherent(dev, EMU_CMD_SLOTS *
					    sizeof(*emu->cmd_ring),
					    &emu->cmd_dma, GFP_KERNEL);
	emu->msg_ring = dmam_alloc_coherent(dev, EMU_MSG_SLOTS *
					    sizeof(*emu->msg_ring),
					    &emu->msg_dma, GFP_KERNEL);
	emu->bufs = dmam_pool_create("nvvgpu-emu", dev, EMU_BUF_BYTES,
				     PAGE_SIZE, 0);
	emu->small_bufs = dmam_pool_create("nvvgpu-emu-small", dev,
					   EMU_SMALL_BUF_BYTES,
					   EMU_SMALL_BUF_BYTES, 0);
	if (!emu->cmd_ring || !emu->msg_ring || !emu->bufs || !emu->small_bufs)
		return -ENOMEM;

	err = pci_alloc_irq_vectors(emu->pdev, NVVGPU_EMU_PF_VECTORS,
				    NVVGPU_EMU_PF_VECTORS, PCI_IRQ_MSIX);
	if (err < 0)
		return err;

	err = devm_request_threaded_irq(dev,
					pci_irq_vector(emu->pdev,
						       NVVGPU_EMU_PF_VECTOR_MSG),
					NULL, emu_fw_irq, IRQF_ONESHOT,
					"nvvgpu-emu-msg", emu);
	if (err)
		return err;

	return devm_request_threaded_irq(dev,
					 pci_irq_vector(emu->pdev,
							NVVGPU_EMU_PF_VECTOR_STATUS),
					 NULL, emu_fw_irq, IRQF_ONESHOT,
					 "nvvgpu-emu-status", emu);
}
