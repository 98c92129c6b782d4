/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nvvgpu-emu: PF driver of the emulated SR-IOV GPU, what its files share.
 */
#ifndef NVVGPU_EMU_PRIVATE_H
#define NVVGPU_EMU_PRIVATE_H

#include <linux/bits.h>
#include <linux/mutex.h>
#include <linux/nvvgpu_backend.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <uapi/linux/nvvgpu_emu.h>

/*
 * Entries of the rings, powers of two.  There are never more commands without
 * an answer than the command ring has entries; the message ring also has room
 * for events.
 */
#define EMU_CMD_SLOTS		128
#define EMU_MSG_SLOTS		256

/* Room for the largest thing that goes along with a command */
#define EMU_BUF_BYTES		NVVGPU_MIG_DATA_MAX

/* More of a framebuffer would have a log that is larger than that */
#define EMU_MAX_FB_BYTES	((u64)EMU_BUF_BYTES * BITS_PER_BYTE * \
				 NVVGPU_EMU_VRAM_PAGE)

struct dma_pool;
struct emu_req;

/**
 * enum emu_fw_state - whether the firmware can be talked to
 * @EMU_FW_DOWN: no; commands fail at once with &emu_dev.down_err
 * @EMU_FW_BOOTING: only emu_fw_start() itself talks to it
 * @EMU_FW_UP: everybody may
 */
enum emu_fw_state {
	EMU_FW_DOWN,
	EMU_FW_BOOTING,
	EMU_FW_UP,
};

/**
 * struct emu_cmd - a command as the rest of the driver sees it
 * @opcode: NVVGPU_EMU_CMD_*
 * @vf: for a command about a virtual function
 * @arg: arguments
 * @in: goes to the firmware in the command's buffer
 * @in_len: bytes at @in
 * @out: receives what the firmware has put into the command's buffer
 * @out_len: bytes at @out
 * @direct: @in or @out is a folio, which the firmware itself may read or write
 * @res: results, valid once the firmware has answered, even with an error
 * @len: bytes that the firmware has put into the buffer
 * @epoch: of the firmware that it was given to, see &emu_dev.epoch
 */
struct emu_cmd {
	u16 opcode;
	u16 vf;
	u64 arg[5];
	const void *in;
	size_t in_len;
	void *out;
	size_t out_len;
	bool direct;
	u64 res[6];
	u32 len;
	unsigned int epoch;
};

/**
 * struct emu_vgpu - the vGPU of one virtual function
 * @emu: the GPU
 * @vf: number of the virtual function
 * @lock: serializes CREATE and DELETE of the front-end and of the reaper
 * @type: NULL where there is no vGPU; changed under @lock and &emu_dev.lock
 * @fb_offset: of the framebuffer in VRAM, under &emu_dev.lock
 * @placement: likewise
 * @deleting: likewise; the firmware may have given the framebuffer to another
 * @started: between start and stop; the front-end serializes those
 * @reset_err: what came of it when the vGPU was got ready for a reset
 * @still: at NVVGPU_SUSPEND_ALL
 * @log_page_size: of the log of its DMA, valid while there is one
 * @save: while its state goes out, else NULL
 * @load: while its state comes in, else NULL
 */
struct emu_vgpu {
	struct emu_dev *emu;
	unsigned int vf;
	struct mutex lock;	/* one CREATE or DELETE at a time */
	const struct nvvgpu_type_info *type;
	u64 fb_offset;
	u32 placement;
	bool deleting;
	bool started;
	int reset_err;
	bool still;
	u64 log_page_size;
	struct emu_save *save;
	struct emu_load *load;
};

/**
 * struct emu_dev - one emulated GPU
 * @pdev: the physical function
 * @regs: its registers
 * @cmd_ring: commands to the firmware, written under @lock
 * @cmd_dma: where the device finds @cmd_ring
 * @msg_ring: responses and events, read under @msg_mutex
 * @msg_dma: where the device finds @msg_ring
 * @bufs: of EMU_BUF_BYTES, for the commands that do not use a folio
 *
 * @vram_bytes: all of VRAM; this and the following are fixed once probed
 * @granule: in which VRAM is handed out
 * @nr_vfs: virtual functions the firmware can serve
 * @nr_types: entries of @types
 * @types: what the firmware offers, checked
 *
 * @msg_mutex: one listener to the firmware at a time, so that none can act on
 *	what was true before a reset
 * @msg_head: under @msg_mutex, messages consumed
 *
 * @lock: protects what follows; only taken in process context.  It is held
 *	around nvvgpu_backend_event(), so that an event can neither overtake
 *	what it is about nor come after the back-end is gone.
 * @backend: NULL unless registered with the front-end
 * @state: of the firmware
 * @down_err: why commands fail while @state is EMU_FW_DOWN
 * @epoch: counts how often the firmware has gone down
 * @cmd_tail: commands written
 * @seq: counts sequence numbers
 * @reqs: requests whose buffer the firmware may still write to.  Index is the
 *	low part of the sequence number.
 * @alive: VFs with a vGPU that is believed to be well
 * @room_changes: counts responses to CREATE and DELETE, and how often the
 *	firmware has gone down
 * @room_read: @room_changes when @room was read; @room is valid while they are
 *	equal
 * @room: by index in @types, how many vGPUs can be created
 *
 * @place_lock: held for read to create a vGPU, and for write while vGPUs that
 *	exist may be missing in the firmware, whose placements must stay free
 * @slot_wait: for an entry in @reqs
 * @unsure: VFs on which the firmware may have a vGPU that nobody knows of;
 *	atomic bits
 * @reaper: deletes those when a late answer has told of them
 * @vgpus: by number of the VF
 *
 * Lock order: the front-end's lock of one VF, &emu_vgpu.lock, @place_lock,
 * @msg_mutex, @lock.  emu_fw_start() and emu_fw_stop() need the device lock
 * of @pdev, which is outside of all these.
 */
struct emu_dev {
	struct pci_dev *pdev;
	void __iomem *regs;
	struct nvvgpu_emu_cmd *cmd_ring;
	dma_addr_t cmd_dma;
	struct nvvgpu_emu_msg *msg_ring;
	dma_addr_t msg_dma;
	struct dma_pool *bufs;

	u64 vram_bytes;
	u64 granule;
	unsigned int nr_vfs;
	unsigned int nr_types;
	struct nvvgpu_type_info *types;

	struct mutex msg_mutex;	/* one listener to the firmware */
	u32 msg_head;

	spinlock_t lock;	/* see above */
	struct nvvgpu_backend *backend;
	enum emu_fw_state state;
	int down_err;
	unsigned int epoch;
	u32 cmd_tail;
	u32 seq;
	struct emu_req *reqs[EMU_CMD_SLOTS];
	DECLARE_BITMAP(alive, NVVGPU_EMU_MAX_VFS);
	u32 room_changes;
	u32 room_read;
	u32 room[NVVGPU_MAX_TYPES];

	struct rw_semaphore place_lock; /* see above */
	wait_queue_head_t slot_wait;
	DECLARE_BITMAP(unsure, NVVGPU_EMU_MAX_VFS);
	struct work_struct reaper;
	struct emu_vgpu vgpus[NVVGPU_EMU_MAX_VFS];
};

/* fw.c: the firmware and the way to it */
const char *emu_fw_name(u16 opcode);
int emu_fw_init(struct emu_dev *emu);
int emu_fw_start(struct emu_dev *emu);
void emu_fw_stop(struct emu_dev *emu);
void emu_fw_down(struct emu_dev *emu, int err, const char *why);
bool emu_fw_is_up(struct emu_dev *emu);
int emu_fw_cmd(struct emu_dev *emu, struct emu_cmd *cmd);
struct emu_req *emu_fw_begin(struct emu_dev *emu, const struct emu_cmd *cmd);
int emu_fw_end(struct emu_dev *emu, struct emu_cmd *cmd, struct emu_req *req);
void emu_fw_forget(struct emu_req *req);

/* types.c: what the firmware offers */
int emu_types_load(struct emu_dev *emu);
const struct nvvgpu_type_info *emu_type_find(struct emu_dev *emu, u32 id);
int emu_types_available(struct emu_dev *emu,
			const struct nvvgpu_type_info *type);
const char *emu_type_parse(const struct nvvgpu_emu_type *raw, u64 vram_bytes,
			   u64 granule, struct nvvgpu_type_info *info);

/* ops.c: the contract with the front-end */
extern const struct nvvgpu_backend_ops emu_backend_ops;

void emu_vgpus_init(struct emu_dev *emu);
void emu_vgpus_reserve(struct emu_dev *emu);
void emu_vgpus_lost(struct emu_dev *emu);
void emu_vgpu_lost(struct emu_dev *emu, unsigned int vf);
void emu_vgpu_event(struct emu_dev *emu, unsigned int vf, u16 event, u32 code,
		    u64 address);
void emu_vgpu_late_create(struct emu_dev *emu, unsigned int vf);

/* migration.c: the state of a vGPU on its way */
/*
 * To be raised when a chunk, whose kinds are NVVGPU_EMU_STATE_*, changes.  The
 * minimum follows when chunks of an old kind are no longer understood.
 */
#define EMU_STATE_VERSION	1
#define EMU_STATE_VERSION_MIN	1

int emu_vgpu_suspend(void *handle,
		     enum nvvgpu_suspend_level level);
int emu_vgpu_resume(void *handle);
int emu_state_size(void *handle, u64 *bytes);
int emu_save_begin(void *handle);
int emu_save(void *handle, struct nvvgpu_chunk *chunk,
	     void *buf, size_t capacity);
void emu_save_ahead(void *handle, void *buf, size_t capacity);
void emu_save_end(void *handle);
int emu_load_begin(void *handle);
int emu_load(void *handle, const struct nvvgpu_chunk *chunk,
	     const void *buf);
int emu_load_end(void *handle, bool commit);
int emu_precopy_estimate(void *handle, u64 *initial, u64 *dirty);

/* dma_log.c: what a vGPU has written to system memory */
int emu_dma_log_start(void *handle,
		      const struct nvvgpu_range *ranges, u32 nr_ranges,
		      u64 *page_size);
int emu_dma_log_stop(void *handle);
int emu_dma_log_read(void *handle, u64 iova, u64 length,
		     u8 *bits);

#endif /* NVVGPU_EMU_PRIVATE_H */
