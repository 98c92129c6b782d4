// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-emu: save and load the state of a vGPU.
 *
 * The state is the framebuffer, in pages of NVVGPU_EMU_VRAM_PAGE, and the
 * registers, which are opaque bytes of the firmware.  The framebuffer is sent
 * first, while the vGPU runs; a page that is written after it was sent is sent
 * again.
 */
#include <linux/bitmap.h>
#include <linux/cleanup.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "emu.h"

/* The firmware reports the size of the registers, up to this limit. */
#define EMU_REGS_MAX		SZ_64K

/* Bytes of a framebuffer that one USED reads, so that it ends before its time-out */
#define EMU_SCAN_BYTES		((u64)SZ_1G)

/**
 * struct emu_save - a vGPU whose state is being saved
 * @pages: number of pages of the framebuffer
 * @used: pages that were not all zeroes when the save began, or have been written
 *	since; the firmware is not asked for the others
 * @todo: pages to be sent in this round
 * @again: pages that have been sent and have changed since
 * @next: page from which @todo is searched
 * @cmd: SAVE command that is in flight while there is @req
 * @req: the request of @cmd, else NULL
 * @asked: pages from @next on that @cmd covers; not in @todo, so that a page
 *	that is written from then on is sent again
 * @first: the first round is in progress
 * @regs: the registers have been sent
 */
struct emu_save {
	unsigned long pages;
	unsigned long *used;
	unsigned long *todo;
	unsigned long *again;
	unsigned long next;
	struct emu_cmd cmd;
	struct emu_req *req;
	unsigned long asked;
	bool first;
	bool regs;
};

/**
 * struct emu_load - a vGPU whose state is being loaded
 * @pages: number of pages of the framebuffer
 * @seen: pages that have been received
 * @regs: registers, loaded by the commit
 * @regs_len: bytes at @regs
 * @regs_have: bytes at @regs that have been received
 * @cmd: LOAD command that is in flight while there is @req
 * @req: the request of @cmd, else NULL
 */
struct emu_load {
	unsigned long pages;
	unsigned long *seen;
	void *regs;
	u32 regs_len;
	u32 regs_have;
	struct emu_cmd cmd;
	struct emu_req *req;
};

static unsigned long emu_vgpu_pages(const struct emu_vgpu *vgpu)
{
	return vgpu->type->fb_bytes / NVVGPU_EMU_VRAM_PAGE;
}

int emu_vgpu_suspend(void *handle,
		     enum nvvgpu_suspend_level level)
{
	struct emu_vgpu *vgpu = handle;
	struct emu_dev *emu = vgpu->emu;
	unsigned int vf = vgpu->vf;
	struct emu_cmd cmd = {
		.opcode = NVVGPU_EMU_CMD_SUSPEND,
		.vf = vf,
		.arg[0] = level == NVVGPU_SUSPEND_ALL ?
			  NVVGPU_EMU_SUSPEND_ALL : NVVGPU_EMU_SUSPEND_P2P,
	};
	int err;

	err = emu_fw_cmd(emu, &cmd);
	if (!err)
		vgpu->still = level == NVVGPU_SUSPEND_ALL;

	return err;
}

int emu_vgpu_resume(void *handle)
{
	struct emu_vgpu *vgpu = handle;
	struct emu_dev *emu = vgpu->emu;
	unsigned int vf = vgpu->vf;
	struct emu_cmd cmd = { .opcode = NVVGPU_EMU_CMD_RESUME, .vf = vf };
	int err;

	err = emu_fw_cmd(emu, &cmd);
	if (!err)
		vgpu->still = false;

	return err;
}

static int emu_regs_len(struct emu_dev *emu, unsigned int vf)
{
	struct emu_cmd cmd = { .opcode = NVVGPU_EMU_CMD_STATE_SIZE, .vf = vf };
	int err;

	err = emu_fw_cmd(emu, &cmd);
	if (err)
		return err;
	if (!cmd.res[0] || cmd.res[0] > EMU_REGS_MAX ||
	    cmd.res[1] != emu->vgpus[vf].type->fb_bytes)
		return -EPROTO;

	return cmd.res[0];
}

/* Run a command that returns a bit for each page of a part of the framebuffer. */
static int emu_vram_bits_of(struct emu_dev *emu, unsigned int vf, u16 opcode,
			    u64 at, u64 len, u64 *bits)
{
	unsigned long nr = DIV_ROUND_UP(len, NVVGPU_EMU_VRAM_PAGE);
	struct emu_cmd cmd = {
		.opcode = opcode,
		.vf = vf,
		.arg[0] = NVVGPU_EMU_DIRTY_VRAM,
		.arg[1] = at,
		.arg[2] = len,
		.out = bits + at / NVVGPU_EMU_VRAM_PAGE / BITS_PER_TYPE(u64),
		.out_len = BITS_TO_U64(nr) * sizeof(u64),
	};
	int err;

	err = emu_fw_cmd(emu, &cmd);
	if (!err && cmd.len != DIV_ROUND_UP(nr, BITS_PER_BYTE))
		return -EPROTO;

	return err;
}

/* Get a bit for each page of the framebuffer, by a command for each part. */
static int emu_vram_bits(struct emu_dev *emu, unsigned int vf, u16 opcode,
			 u64 part, unsigned long *pages)
{
	unsigned long nr = emu_vgpu_pages(&emu->vgpus[vf]);
	u64 at, fb = emu->vgpus[vf].type->fb_bytes;
	size_t i, words = BITS_TO_U64(nr);
	int err;

	u64 *bits __free(kvfree) = kvcalloc(words, sizeof(*bits), GFP_KERNEL);
	if (!bits)
		return -ENOMEM;

	for (at = 0; at < fb; at += part) {
		err = emu_vram_bits_of(emu, vf, opcode, at,
				       min(part, fb - at), bits);
		if (err)
			return err;
	}

	for (i = 0; i < words; i++)
		bits[i] = le64_to_cpu((__force __le64)bits[i]);
	bitmap_from_arr64(pages, bits, nr);

	return 0;
}

/* Collect the pages that have been written since the last call. */
static int emu_save_refresh(struct emu_dev *emu, unsigned int vf)
{
	struct emu_save *save = emu->vgpus[vf].save;
	int err;

	unsigned long *dirty __free(bitmap) =
		bitmap_alloc(save->pages, GFP_KERNEL);
	if (!dirty)
		return -ENOMEM;

	err = emu_vram_bits(emu, vf, NVVGPU_EMU_CMD_DIRTY_READ,
			    emu->vgpus[vf].type->fb_bytes, dirty);
	if (err) {
		/* The log may have been cleared: any page may have been written. */
		bitmap_complement(save->again, save->todo, save->pages);
		bitmap_fill(save->used, save->pages);
		return err;
	}

	bitmap_or(save->used, save->used, dirty, save->pages);
	/* A page that is still to be sent need not be sent again. */
	bitmap_andnot(dirty, dirty, save->todo, save->pages);
	bitmap_or(save->again, save->again, dirty, save->pages);

	return 0;
}

/* Begin a new round if this one is over: 1 if there are pages to send. */
static int emu_save_round(struct emu_dev *emu, unsigned int vf)
{
	struct emu_save *save = emu->vgpus[vf].save;
	int err;

	if (save->req)
		return 1;

	save->next = find_next_bit(save->todo, save->pages, save->next);
	if (save->next < save->pages)
		return 1;

	err = emu_save_refresh(emu, vf);
	if (err)
		return err;
	swap(save->todo, save->again);
	save->first = false;
	save->next = find_first_bit(save->todo, save->pages);

	return save->next < save->pages;
}

/* Ask for the chunk that begins at @next, a page in @todo and @used. */
static int emu_save_ask(struct emu_dev *emu, unsigned int vf, void *buf,
			size_t capacity)
{
	struct emu_save *save = emu->vgpus[vf].save;
	unsigned long end = min(find_next_zero_bit(save->todo, save->pages,
						   save->next),
				find_next_zero_bit(save->used, save->pages,
						   save->next));
	u64 most = (u64)(end - save->next) * NVVGPU_EMU_VRAM_PAGE;
	struct emu_req *req;

	save->cmd = (struct emu_cmd) {
		.opcode = NVVGPU_EMU_CMD_SAVE,
		.vf = vf,
		.arg[0] = NVVGPU_EMU_STATE_VRAM,
		.arg[1] = (u64)save->next * NVVGPU_EMU_VRAM_PAGE,
		.arg[2] = most,
		.out = buf,
		.direct = !is_vmalloc_addr(buf),
		.out_len = min(most, round_down(capacity, NVVGPU_EMU_VRAM_PAGE)),
	};
	req = emu_fw_begin(emu, &save->cmd);
	if (IS_ERR(req))
		return PTR_ERR(req);

	save->req = req;
	save->asked = end - save->next;
	bitmap_clear(save->todo, save->next, save->asked);

	return 0;
}

/* Wait for the chunk in flight: 0 or a negative errno. */
static int emu_save_answer(struct emu_dev *emu, struct emu_save *save,
			   struct nvvgpu_chunk *chunk)
{
	struct emu_cmd *cmd = &save->cmd;
	unsigned long done = 0;
	int err;

	err = emu_fw_end(emu, cmd, save->req);
	save->req = NULL;
	if (!err) {
		chunk->kind = NVVGPU_EMU_STATE_VRAM;
		chunk->offset = cmd->arg[1];
		chunk->span = cmd->res[0];
		chunk->length = cmd->len;
		if (!chunk->span || chunk->span % NVVGPU_EMU_VRAM_PAGE ||
		    chunk->span > cmd->arg[2] ||
		    (chunk->length && chunk->length != chunk->span))
			err = -EPROTO;
		else
			done = chunk->span / NVVGPU_EMU_VRAM_PAGE;
	}
	bitmap_set(save->todo, save->next + done, save->asked - done);
	save->next += done;
	save->asked = 0;

	return err;
}

/*
 * Make a chunk of the unused pages from @next on, without asking for them.  A
 * page that has been written by now is found by the next refresh, and is sent
 * again.
 */
static void emu_save_unused(struct emu_save *save, struct nvvgpu_chunk *chunk)
{
	unsigned long end = min(find_next_zero_bit(save->todo, save->pages,
						   save->next),
				find_next_bit(save->used, save->pages,
					      save->next));

	chunk->kind = NVVGPU_EMU_STATE_VRAM;
	chunk->offset = (u64)save->next * NVVGPU_EMU_VRAM_PAGE;
	chunk->span = (u64)(end - save->next) * NVVGPU_EMU_VRAM_PAGE;
	bitmap_clear(save->todo, save->next, end - save->next);
	save->next = end;
}

static int emu_save_vram(struct emu_dev *emu, unsigned int vf,
			 struct nvvgpu_chunk *chunk, void *buf, size_t capacity)
{
	struct emu_save *save = emu->vgpus[vf].save;
	int err;

	if (!save->req && !test_bit(save->next, save->used)) {
		emu_save_unused(save, chunk);
		return 1;
	}

	err = save->req ? 0 : emu_save_ask(emu, vf, buf, capacity);
	if (err)
		return err;

	return emu_save_answer(emu, save, chunk) ?: 1;
}

static int emu_save_regs(struct emu_dev *emu, unsigned int vf,
			 struct nvvgpu_chunk *chunk, void *buf, size_t capacity)
{
	int len = emu_regs_len(emu, vf);
	struct emu_cmd cmd = {
		.opcode = NVVGPU_EMU_CMD_SAVE,
		.vf = vf,
		.arg[0] = NVVGPU_EMU_STATE_REGS,
		.out = buf,
		.out_len = len,
	};
	int err;

	if (len < 0)
		return len;
	if (len > capacity)
		return -EPROTO;
	err = emu_fw_cmd(emu, &cmd);
	if (err)
		return err;
	if (cmd.len != len)
		return -EPROTO;

	chunk->kind = NVVGPU_EMU_STATE_REGS;
	chunk->span = len;
	chunk->length = len;
	emu->vgpus[vf].save->regs = true;

	return 1;
}

int emu_save(void *handle, struct nvvgpu_chunk *chunk,
	     void *buf, size_t capacity)
{
	struct emu_vgpu *vgpu = handle;
	struct emu_dev *emu = vgpu->emu;
	unsigned int vf = vgpu->vf;
	int ret;

	memset(chunk, 0, sizeof(*chunk));
	ret = emu_save_round(emu, vf);
	if (ret > 0)
		return emu_save_vram(emu, vf, chunk, buf, capacity);
	if (ret < 0 || !vgpu->still || vgpu->save->regs)
		return ret;

	return emu_save_regs(emu, vf, chunk, buf, capacity);
}

/* Only ask for a chunk of this round; the next round begins with a refresh. */
void emu_save_ahead(void *handle, void *buf, size_t capacity)
{
	struct emu_vgpu *vgpu = handle;
	struct emu_dev *emu = vgpu->emu;
	unsigned int vf = vgpu->vf;
	struct emu_save *save = vgpu->save;

	save->next = find_next_bit(save->todo, save->pages, save->next);
	/* An error is found by the next emu_save(). */
	if (save->next < save->pages && test_bit(save->next, save->used))
		emu_save_ask(emu, vf, buf, capacity);
}

static void emu_save_free(struct emu_save *save)
{
	if (!save)
		return;

	if (save->req)
		emu_fw_forget(save->req);
	bitmap_free(save->used);
	bitmap_free(save->todo);
	bitmap_free(save->again);
	kfree(save);
}

DEFINE_FREE(emu_save, struct emu_save *, emu_save_free(_T))

static int emu_vram_log(struct emu_dev *emu, unsigned int vf, u16 opcode)
{
	struct emu_cmd cmd = {
		.opcode = opcode,
		.vf = vf,
		.arg[0] = NVVGPU_EMU_DIRTY_VRAM,
	};

	return emu_fw_cmd(emu, &cmd);
}

int emu_save_begin(void *handle)
{
	struct emu_vgpu *vgpu = handle;
	struct emu_dev *emu = vgpu->emu;
	unsigned int vf = vgpu->vf;
	struct emu_save *save __free(emu_save) = NULL;
	int err;

	save = kzalloc_obj(*save, GFP_KERNEL_ACCOUNT);
	if (!save)
		return -ENOMEM;
	save->pages = emu_vgpu_pages(vgpu);
	save->used = bitmap_alloc(save->pages, GFP_KERNEL_ACCOUNT);
	save->todo = bitmap_alloc(save->pages, GFP_KERNEL_ACCOUNT);
	save->again = bitmap_zalloc(save->pages, GFP_KERNEL_ACCOUNT);
	if (!save->used || !save->todo || !save->again)
		return -ENOMEM;

	err = emu_vram_log(emu, vf, NVVGPU_EMU_CMD_DIRTY_START);
	if (err == -EBADFD) {
		/* The command that ended an earlier log may have failed. */
		err = emu_vram_log(emu, vf, NVVGPU_EMU_CMD_DIRTY_STOP) ?:
		      emu_vram_log(emu, vf, NVVGPU_EMU_CMD_DIRTY_START);
	}
	if (err)
		return err;

	bitmap_fill(save->todo, save->pages);
	save->first = true;
	vgpu->save = no_free_ptr(save);

	/*
	 * All pages count as written at first, and all of them are to be sent.
	 * Look for the used ones after that, so that none is missed.
	 */
	err = emu_save_refresh(emu, vf) ?:
	      emu_vram_bits(emu, vf, NVVGPU_EMU_CMD_USED, EMU_SCAN_BYTES,
			    vgpu->save->used);
	if (err) {
		emu_vram_log(emu, vf, NVVGPU_EMU_CMD_DIRTY_STOP);
		emu_save_free(vgpu->save);
		vgpu->save = NULL;
	}

	return err;
}

void emu_save_end(void *handle)
{
	struct emu_vgpu *vgpu = handle;
	struct emu_dev *emu = vgpu->emu;
	unsigned int vf = vgpu->vf;

	/* If this fails, the next emu_save_begin() ends the log. */
	emu_vram_log(emu, vf, NVVGPU_EMU_CMD_DIRTY_STOP);
	emu_save_free(vgpu->save);
	vgpu->save = NULL;
}

int emu_precopy_estimate(void *handle, u64 *initial, u64 *dirty)
{
	struct emu_vgpu *vgpu = handle;
	struct emu_dev *emu = vgpu->emu;
	unsigned int vf = vgpu->vf;
	struct emu_save *save = vgpu->save;
	u64 todo, again;
	int err;

	err = emu_save_refresh(emu, vf);
	if (err)
		return err;

	todo = bitmap_weight_and(save->todo, save->used, save->pages) +
	       save->asked;
	again = bitmap_weight(save->again, save->pages);
	*initial = (save->first ? todo : 0) * NVVGPU_EMU_VRAM_PAGE;
	*dirty = (save->first ? again : todo + again) * NVVGPU_EMU_VRAM_PAGE;

	return 0;
}

/* Count the bytes of VRAM that a save would send if it began now. */
static int emu_vram_used(struct emu_dev *emu, unsigned int vf, u64 *bytes)
{
	u64 at, fb = emu->vgpus[vf].type->fb_bytes;
	struct emu_cmd cmd;
	int err;

	*bytes = 0;
	for (at = 0; at < fb; at += EMU_SCAN_BYTES) {
		cmd = (struct emu_cmd) {
			.opcode = NVVGPU_EMU_CMD_USED,
			.vf = vf,
			.arg[1] = at,
			.arg[2] = min(EMU_SCAN_BYTES, fb - at),
		};
		err = emu_fw_cmd(emu, &cmd);
		if (err)
			return err;
		if (cmd.res[0] > cmd.arg[2] / NVVGPU_EMU_VRAM_PAGE)
			return -EPROTO;
		*bytes += cmd.res[0] * NVVGPU_EMU_VRAM_PAGE;
	}

	return 0;
}

int emu_state_size(void *handle, u64 *bytes)
{
	struct emu_vgpu *vgpu = handle;
	struct emu_dev *emu = vgpu->emu;
	unsigned int vf = vgpu->vf;
	struct emu_save *save = vgpu->save;
	u64 vram, dirty = 0;
	int len, err;

	len = save && save->regs ? 0 : emu_regs_len(emu, vf);
	if (len < 0)
		return len;
	err = save ? emu_precopy_estimate(handle, &vram, &dirty) :
		     emu_vram_used(emu, vf, &vram);
	if (err)
		return err;
	*bytes = vram + dirty + len;

	return 0;
}

static void emu_load_free(struct emu_load *load)
{
	if (!load)
		return;

	bitmap_free(load->seen);
	kfree(load->regs);
	kfree(load);
}

DEFINE_FREE(emu_load, struct emu_load *, emu_load_free(_T))

int emu_load_begin(void *handle)
{
	struct emu_vgpu *vgpu = handle;
	struct emu_dev *emu = vgpu->emu;
	unsigned int vf = vgpu->vf;
	struct emu_load *load __free(emu_load) = NULL;
	int len;

	len = emu_regs_len(emu, vf);
	if (len < 0)
		return len;

	load = kzalloc_obj(*load, GFP_KERNEL_ACCOUNT);
	if (!load)
		return -ENOMEM;
	load->pages = emu_vgpu_pages(vgpu);
	load->seen = bitmap_zalloc(load->pages, GFP_KERNEL_ACCOUNT);
	load->regs_len = len;
	load->regs = kmalloc(len, GFP_KERNEL_ACCOUNT);
	if (!load->seen || !load->regs)
		return -ENOMEM;

	vgpu->load = no_free_ptr(load);

	return 0;
}

/* Wait for the LOAD command in flight, if there is one. */
static int emu_load_wait(struct emu_dev *emu, struct emu_load *load)
{
	struct emu_req *req = load->req;

	load->req = NULL;

	return req ? emu_fw_end(emu, &load->cmd, req) : 0;
}

/*
 * Begin a LOAD command; without data the range is zeroed.  The next command
 * waits for this one.
 */
static int emu_load_cmd(struct emu_dev *emu, unsigned int vf, u64 what,
			u64 offset, u64 span, const void *buf, size_t len,
			bool direct)
{
	struct emu_load *load = emu->vgpus[vf].load;
	struct emu_req *req;
	int err;

	err = emu_load_wait(emu, load);
	if (err)
		return err;

	load->cmd = (struct emu_cmd) {
		.opcode = NVVGPU_EMU_CMD_LOAD,
		.vf = vf,
		.arg[0] = what,
		.arg[1] = offset,
		.arg[2] = span,
		.in = buf,
		.in_len = len,
		.direct = direct,
	};
	req = emu_fw_begin(emu, &load->cmd);
	if (IS_ERR(req))
		return PTR_ERR(req);
	load->req = req;

	return 0;
}

static int emu_load_vram(struct emu_dev *emu, unsigned int vf,
			 const struct nvvgpu_chunk *chunk, const void *buf)
{
	struct emu_vgpu *vgpu = &emu->vgpus[vf];
	u64 fb = vgpu->type->fb_bytes;
	int err;

	if ((chunk->length && chunk->length != chunk->span) ||
	    chunk->offset % NVVGPU_EMU_VRAM_PAGE ||
	    chunk->span % NVVGPU_EMU_VRAM_PAGE ||
	    chunk->offset > fb || chunk->span > fb - chunk->offset)
		return -EINVAL;

	err = emu_load_cmd(emu, vf, NVVGPU_EMU_STATE_VRAM, chunk->offset,
			   chunk->span, buf, chunk->length,
			   !is_vmalloc_addr(buf));
	if (!err)
		bitmap_set(vgpu->load->seen,
			   chunk->offset / NVVGPU_EMU_VRAM_PAGE,
			   chunk->span / NVVGPU_EMU_VRAM_PAGE);

	return err;
}

int emu_load(void *handle, const struct nvvgpu_chunk *chunk,
	     const void *buf)
{
	struct emu_vgpu *vgpu = handle;
	struct emu_dev *emu = vgpu->emu;
	unsigned int vf = vgpu->vf;
	struct emu_load *load = vgpu->load;
	int err;

	if (chunk->flags)
		return -EINVAL;
	if (chunk->kind == NVVGPU_EMU_STATE_VRAM)
		return emu_load_vram(emu, vf, chunk, buf);

	if (chunk->kind != NVVGPU_EMU_STATE_REGS ||
	    chunk->length != chunk->span ||
	    chunk->offset != load->regs_have ||
	    chunk->length > load->regs_len - load->regs_have)
		return -EINVAL;

	/* The previous buffer must not be in use when this returns. */
	err = emu_load_wait(emu, load);
	if (err)
		return err;
	memcpy(load->regs + chunk->offset, buf, chunk->length);
	load->regs_have += chunk->length;

	return 0;
}

static int emu_load_commit(struct emu_dev *emu, unsigned int vf)
{
	struct emu_load *load = emu->vgpus[vf].load;
	int err;

	if (!bitmap_full(load->seen, load->pages) ||
	    load->regs_have != load->regs_len)
		return -ENODATA;

	err = emu_load_cmd(emu, vf, NVVGPU_EMU_STATE_REGS, 0, 0, load->regs,
			   load->regs_len, false);

	return err ?: emu_load_wait(emu, load);
}

int emu_load_end(void *handle, bool commit)
{
	struct emu_vgpu *vgpu = handle;
	struct emu_dev *emu = vgpu->emu;
	unsigned int vf = vgpu->vf;
	int err;

	if (commit) {
		err = emu_load_commit(emu, vf);
		if (err)
			return err;
	} else {
		/* The last chunk is zeroed with the others. */
		emu_load_wait(emu, vgpu->load);
		err = emu_load_cmd(emu, vf, NVVGPU_EMU_STATE_VRAM, 0,
				   vgpu->type->fb_bytes, NULL, 0, false) ?:
		      emu_load_wait(emu, vgpu->load);
	}
	emu_load_free(vgpu->load);
	vgpu->load = NULL;

	return err;
}
