/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nvvgpu-emu: PF driver of the emulated SR-IOV GPU, declarations.
 */
#ifndef NVVGPU_EMU_PRIVATE_H
#define NVVGPU_EMU_PRIVATE_H

#include <linux/bits.h>
#include <linux/mutex.h>
#include <linux/nvvgpu_backend.h>
#include <linux/pci.h>
#include <linux/ratelimit.h>
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

/* Size of the largest buffer of a command, and of those of most commands */
#define EMU_BUF_BYTES		NVVGPU_MIG_DATA_MAX
#define EMU_SMALL_BUF_BYTES	1024

/* The dirty log of a larger framebuffer would exceed such a buffer */
#define EMU_MAX_FB_BYTES	((u64)EMU_BUF_BYTES * BITS_PER_BYTE * \
				 NVVGPU_EMU_VRAM_PAGE)

struct dma_pool;
struct emu_req;

/**
 * enum emu_fw_state - state of the firmware
 * @EMU_FW_DOWN: commands fail immediately with &emu_dev.down_err
 * @EMU_FW_BOOTING: only the commands of emu_fw_start() can be sent
 * @EMU_FW_UP: all commands can be sent
 */
enum emu_fw_state {
	EMU_FW_DOWN,
	EMU_FW_BOOTING,
	EMU_FW_UP,
};

/**
 * struct emu_cmd - a firmware command and its results
 * @opcode: NVVGPU_EMU_CMD_*
 * @vf: number of the VF, for commands about a VF
 * @arg: arguments
 * @in: data for the firmware, copied to the buffer of the command
 * @in_len: bytes at @in
 * @out: receives the data that the firmware has written to the buffer
 * @out_len: bytes at @out
 * @direct: @in or @out is a folio, which the firmware may access directly
 * @res: results, valid after a response, even if that is an error
 * @len: bytes that the firmware has written to the buffer
 * @epoch: &emu_dev.epoch when the command was submitted
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
 * @type: NULL without a vGPU; changed under @lock and &emu_dev.lock
 * @reserved: type of the framebuffer at @placement, which no other vGPU gets: @type,
 *	or that of a create that is in progress or left @unsure; changed under @lock
 *	and &emu_dev.lock
 * @placement: index of the first granule, valid with @reserved; changed likewise
 * @unsure: the firmware may have a vGPU that the driver does not know, or not have
 *	the one that it knows; under @lock
 * @reaper: deletes a vGPU that the driver does not know: after a create that timed
 *	out, a late response to a create or delete, and a reset; again if its own
 *	delete times out
 * @started: the vGPU is started; the front-end serializes start and stop
 * @stopped: counters when the vGPU was stopped; under &emu_dev.lock
 * @stopped_len: bytes of them, 0 if they are unknown or may have changed
 * @reset_err: result of reset_prepare
 * @still: the vGPU is at NVVGPU_SUSPEND_ALL
 * @log_page_size: granularity of the DMA log, valid while it is active
 * @save: state being saved, else NULL
 * @load: state being loaded, else NULL
 * @log_limit: limits the messages about invalid answers, which the user of the vGPU
 *	can cause by resets
 */
struct emu_vgpu {
	struct emu_dev *emu;
	unsigned int vf;
	struct mutex lock;	/* one CREATE or DELETE at a time */
	const struct nvvgpu_type_info *type;
	const struct nvvgpu_type_info *reserved;
	u32 placement;
	bool unsure;
	struct delayed_work reaper;
	bool started;
	struct nvvgpu_emu_stats stopped;
	u32 stopped_len;
	int reset_err;
	bool still;
	u64 log_page_size;
	struct emu_save *save;
	struct emu_load *load;
	struct ratelimit_state log_limit;
};

/**
 * struct emu_dev - one emulated GPU
 * @pdev: the physical function
 * @regs: registers of the physical function
 * @cmd_ring: commands to the firmware, written under @lock
 * @cmd_dma: DMA address of @cmd_ring
 * @msg_ring: responses and events, read under @msg_mutex
 * @msg_dma: DMA address of @msg_ring
 * @bufs: buffers of EMU_BUF_BYTES, for commands that do not use a folio
 * @small_bufs: buffers of EMU_SMALL_BUF_BYTES; the kernel may clear a buffer at
 *	each allocation, which takes its time for one of @bufs
 *
 * @vram_bytes: size of VRAM; constant after probe, as all down to @types
 * @granule: unit of VRAM allocation in bytes
 * @granules: number of such units
 * @nr_vfs: VFs that the firmware supports
 * @nr_types: entries of @types
 * @types: types of the firmware, already checked
 *
 * @msg_mutex: serializes the handling of messages, so that no message from
 *	before a reset is handled after it
 * @msg_head: messages consumed; under @msg_mutex
 *
 * @lock: protects everything down to @room; only taken in process context.
 *	Held around nvvgpu_backend_event(), so that events are reported in order
 *	and only while the back-end is registered.
 * @backend: NULL unless registered with the front-end, which sets it without
 *	@lock
 * @state: state of the firmware
 * @resetting: the GPU is being reset; the firmware boots afterwards
 * @down_err: error of commands while @state is EMU_FW_DOWN
 * @epoch: incremented each time the firmware goes down
 * @cmd_tail: commands written
 * @seq: counts sequence numbers
 * @answers: incremented with each response
 * @answered: &emu_req.order of the latest command with a response
 * @reqs: requests whose buffers the firmware may still write to, indexed by the
 *	low part of the sequence number
 * @alive: VFs with a vGPU that has not crashed
 * @room_changes: incremented with each response to CREATE and DELETE, and each
 *	time the firmware goes down
 * @room_read: @room_changes when @room was read; @room is valid while they are
 *	equal
 * @room: number of vGPUs that the firmware can create of each entry of @types; the
 *	placements that the driver has reserved may leave room for less
 *
 * @slot_wait: woken when an entry of @reqs becomes free
 * @vgpus: indexed by number of the VF
 *
 * Lock order: the front-end's lock of one VF, &emu_vgpu.lock, @msg_mutex, @lock.
 * emu_fw_start() and emu_fw_stop() need the device lock of @pdev, which is outside
 * of all these.  No lock but &emu_vgpu.lock is held while a command about a VF waits
 * for its response, so that no VF waits for another.
 */
struct emu_dev {
	struct pci_dev *pdev;
	void __iomem *regs;
	struct nvvgpu_emu_cmd *cmd_ring;
	dma_addr_t cmd_dma;
	struct nvvgpu_emu_msg *msg_ring;
	dma_addr_t msg_dma;
	struct dma_pool *bufs;
	struct dma_pool *small_bufs;

	u64 vram_bytes;
	u64 granule;
	u64 granules;
	unsigned int nr_vfs;
	unsigned int nr_types;
	struct nvvgpu_type_info *types;

	struct mutex msg_mutex;	/* one listener to the firmware */
	u32 msg_head;

	spinlock_t lock;	/* see above */
	struct nvvgpu_backend *backend;
	enum emu_fw_state state;
	bool resetting;
	int down_err;
	unsigned int epoch;
	u32 cmd_tail;
	u32 seq;
	u32 answers;
	u32 answered;
	struct emu_req *reqs[EMU_CMD_SLOTS];
	DECLARE_BITMAP(alive, NVVGPU_EMU_MAX_VFS);
	u32 room_changes;
	u32 room_read;
	u32 room[NVVGPU_MAX_TYPES];

	wait_queue_head_t slot_wait;
	struct emu_vgpu vgpus[NVVGPU_EMU_MAX_VFS];
};

/* fw.c: communication with the firmware */
const char *emu_fw_name(u16 opcode);
int emu_fw_init(struct emu_dev *emu);
int emu_fw_start(struct emu_dev *emu);
void emu_fw_stop(struct emu_dev *emu);
void emu_fw_down(struct emu_dev *emu, int err, const char *why);
void emu_room_changed(struct emu_dev *emu);
bool emu_fw_is_up(struct emu_dev *emu);
bool emu_fw_is_starting(struct emu_dev *emu);
int emu_fw_cmd(struct emu_dev *emu, struct emu_cmd *cmd);
struct emu_req *emu_fw_begin(struct emu_dev *emu, const struct emu_cmd *cmd);
int emu_fw_end(struct emu_dev *emu, struct emu_cmd *cmd, struct emu_req *req);
void emu_fw_forget(struct emu_req *req);

/* types.c: types of the firmware */
int emu_types_load(struct emu_dev *emu);
const struct nvvgpu_type_info *emu_type_find(struct emu_dev *emu, u32 id);
int emu_types_available(struct emu_dev *emu,
			const struct nvvgpu_type_info *type);
const char *emu_type_parse(const struct nvvgpu_emu_type *raw, u64 vram_bytes,
			   u64 granule, struct nvvgpu_type_info *info);

/* place.c: placements of the framebuffers in VRAM */
u64 emu_granules(struct emu_dev *emu, const struct nvvgpu_type_info *info);
u64 emu_vram_free(struct emu_dev *emu, u64 *largest);
int emu_places_free(struct emu_dev *emu, const struct nvvgpu_type_info *info,
		    int max);
int emu_place_check(struct emu_dev *emu, const struct nvvgpu_type_info *info,
		    u32 placement);
int emu_place_reserve(struct emu_vgpu *vgpu,
		      const struct nvvgpu_type_info *info, u32 wanted);
void emu_place_release(struct emu_vgpu *vgpu);

/* ops.c: operations of the back-end */
extern const struct nvvgpu_backend_ops emu_backend_ops;

void emu_vgpus_init(struct emu_dev *emu);
void emu_vgpus_exit(struct emu_dev *emu);
void emu_vgpus_reap(struct emu_dev *emu);
void emu_vgpus_lost(struct emu_dev *emu);
void emu_vgpu_lost(struct emu_dev *emu, unsigned int vf);
void emu_vgpu_event(struct emu_dev *emu, unsigned int vf, u16 event, u32 code,
		    u64 address);
void emu_vgpu_late(struct emu_dev *emu, unsigned int vf);

/* migration.c: save and load the state of a vGPU */
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

/* dma_log.c: log of DMA writes */
int emu_dma_log_start(void *handle,
		      const struct nvvgpu_range *ranges, u32 nr_ranges,
		      u64 *page_size);
int emu_dma_log_stop(void *handle);
int emu_dma_log_read(void *handle, u64 iova, u64 length,
		     u8 *bits);

/* display.c: plane and monitor of a vGPU */
int emu_get_plane(void *handle, struct nvvgpu_plane *plane);
int emu_get_edid(void *handle, u8 *edid, size_t capacity);
int emu_set_edid(void *handle, const u8 *edid, size_t length);

#endif /* NVVGPU_EMU_PRIVATE_H */
