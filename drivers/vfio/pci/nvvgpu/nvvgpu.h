/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Declarations shared by the files of the front-end, but not with back-ends
 */
#ifndef NVVGPU_H
#define NVVGPU_H

#include <linux/cleanup.h>
#include <linux/kref.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/nvvgpu_backend.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/vfio_pci_core.h>
#include <linux/workqueue.h>

/*
 * Lock order
 *
 *   device_lock of the PF, when its driver registers or unregisters a back-end
 *     device_lock of the VF
 *       nvvgpu_pf::types_mutex
 *         nvvgpu_pf::dir_mutex
 *       nvvgpu_pfs_mutex, outside of leaf locks only
 *       vfio_device_set::lock
 *         nvvgpu_dmabufs::lock
 *         nvvgpu_data::lock
 *           mmap_lock
 *             vfio_pci_core_device::memory_lock
 *               nvvgpu_dmabufs::scanouts_lock
 *                 reservation of a dma-buf
 *               nvvgpu::state_mutex
 *                 nvvgpu::query_mutex
 *                 nvvgpu_pf::lock (leaf, also taken in interrupts)
 *                 nvvgpu::text_lock (leaf)
 *               nvvgpu_display::lock (leaf)
 *
 * No page fault is taken under state_mutex: VFIO resets the device with
 * memory_lock held, which nests inside mmap_lock.
 *
 * A process that only reads sysfs takes query_mutex or text_lock, but never
 * state_mutex: it must not delay a reset, a close or a migration.
 */

/**
 * struct nvvgpu_pf - a physical function that has VFs bound or a back-end
 * @node: entry in nvvgpu_pfs
 * @kref: held by each VF and by the back-end
 * @pdev: the physical function, holds a reference
 * @backend: NULL while there is none
 * @vfs: head of nvvgpu_vf::node
 * @lock: protects @vgpus together with nvvgpu_pfs_mutex: hold both to write it,
 *	one of them to read it
 * @vgpus: head of nvvgpu::node
 * @types_work: wakes the readers of nvidia/creatable_vgpu_types
 * @catalogue_work: announces that the back-end offers other types
 * @types_mutex: protects @types and @types_answered; held while directories of
 *	types are removed, which waits for their readers
 * @types: head of nvvgpu_type::node
 * @types_answered: number of the request whose answer is in sysfs, 0 for none
 * @dir_mutex: protects everything below
 * @shown: back-end whose types are in sysfs, NULL if there is none
 * @types_known: the back-end has described all its types, and reports changes
 * @dir: nvvgpu/ in sysfs
 * @types_dir: nvvgpu/types/ in sysfs, cleared under both mutexes
 * @types_asked: number of the last request for the types of the back-end
 *
 * nvvgpu_pfs_mutex protects everything down to @vgpus but @lock.
 */
struct nvvgpu_pf {
	struct list_head node;
	struct kref kref;
	struct pci_dev *pdev;
	struct nvvgpu_backend *backend;
	struct list_head vfs;
	spinlock_t lock; /* see above */
	struct list_head vgpus;
	struct delayed_work types_work;
	struct delayed_work catalogue_work;

	struct mutex types_mutex; /* see above */
	struct list_head types;
	u64 types_answered;

	struct mutex dir_mutex; /* see above */
	struct nvvgpu_backend *shown;
	bool types_known;
	struct kobject *dir;
	struct kobject *types_dir;
	u64 types_asked;
};

/**
 * struct nvvgpu_ready - a vGPU that the PF driver has provisioned
 * @handle: handle of the back-end, NULL if there is none
 * @info: type of the vGPU
 * @adopted: the VF is bound, and its device has the vGPU
 * @crashed: unless @adopted, the vGPU has crashed or could not be stopped
 */
struct nvvgpu_ready {
	void *handle;
	struct nvvgpu_type_info info;
	bool adopted;
	bool crashed;
};

/**
 * struct nvvgpu_backend - one registration of a back-end
 * @pf: managed PF, holds a reference
 * @ops: &@table
 * @table: copy of the operations that both sides know, the rest is NULL
 * @priv: pointer of the back-end, passed to operations that have no handle
 * @complaint_limit: limits nvvgpu_complain() without a VF
 * @leaving: the back-end is being unregistered and gets no further VFs
 * @total_vfs: number of entries of @stale and @ready
 * @stale: handles of vGPUs that could not be deleted, indexed by VF
 * @ready: vGPUs that the PF driver has provisioned, indexed by VF; NULL if the
 *	back-end creates vGPUs; entries are protected by nvvgpu_pf::lock
 */
struct nvvgpu_backend {
	struct nvvgpu_pf *pf;
	const struct nvvgpu_backend_ops *ops;
	struct nvvgpu_backend_ops table;
	void *priv;
	struct ratelimit_state complaint_limit;
	bool leaving;
	unsigned int total_vfs;
	void **stale;
	struct nvvgpu_ready *ready;
};

/**
 * struct nvvgpu_settings - settings of the administrator for the next vGPU
 * @params: parameters for the next start, NULL for none; protected by
 *	nvvgpu::text_lock
 * @placement: placement of the next vGPU, or NVVGPU_PLACEMENT_ANY; protected by
 *	nvvgpu::state_mutex
 *
 * Kept when the back-end is replaced, as long as the VF is bound.
 */
struct nvvgpu_settings {
	char *params;
	u32 placement;
};

/**
 * enum nvvgpu_state - state of a VF
 * @NVVGPU_BOUND: the VF has no vGPU
 * @NVVGPU_CREATED: the VF has a vGPU, the VFIO device is closed
 * @NVVGPU_OPEN: the VFIO device is open and the vGPU is started
 * @NVVGPU_ERROR: the vGPU has crashed; a reset recovers it, a delete removes it
 */
enum nvvgpu_state {
	NVVGPU_BOUND,
	NVVGPU_CREATED,
	NVVGPU_OPEN,
	NVVGPU_ERROR,
};

/**
 * struct nvvgpu_bar - a BAR as the user of the vGPU sees it
 * @info: shape of the BAR, already checked
 * @shaped: the size differs from that of the VF's own BAR
 * @reg: last value that the user wrote to the BAR register, if @shaped; 0 when
 *	the device is opened, as the one that vfio-pci-core emulates
 */
struct nvvgpu_bar {
	struct nvvgpu_bar_info info;
	bool shaped;
	__le64 reg;
};

/**
 * struct nvvgpu_events - events of a VF that its back-end has reported
 * @queue: pending events, in the order of their last reports
 * @nr: entries in @queue
 * @waiting: pending reports of each event
 * @total: all reports of each event
 * @last: last report of each event
 * @coalesced: reports that were merged into a later one
 * @dropped: reports for a VF without a vGPU, for a vGPU that is gone, or of a crash
 *	from which it has been recovered
 */
struct nvvgpu_events {
	enum nvvgpu_event queue[NVVGPU_NR_EVENTS];
	unsigned int nr;
	u64 waiting[NVVGPU_NR_EVENTS];
	u64 total[NVVGPU_NR_EVENTS];
	struct nvvgpu_event_info last[NVVGPU_NR_EVENTS];
	u64 coalesced;
	u64 dropped;
};

/**
 * struct nvvgpu_dmabufs - dma-bufs of the BARs of a vGPU
 * @lock: protects the following
 * @exported: a dma-buf may have been exported since the device was opened
 * @revoked: low power mode keeps them revoked, because the vGPU has crashed
 * @scanouts_lock: protects the following
 * @scanouts: head of nvvgpu_scanout::node
 * @held: nesting depth of nvvgpu_scanouts_hold()
 */
struct nvvgpu_dmabufs {
	struct mutex lock; /* see above */
	bool exported;
	bool revoked;

	struct mutex scanouts_lock; /* see above */
	struct list_head scanouts;
	unsigned int held;
};

/**
 * enum nvvgpu_display_mode - how a display is offered to the user
 * @NVVGPU_DISPLAY_OFF: not at all
 * @NVVGPU_DISPLAY_REGION: by a region
 * @NVVGPU_DISPLAY_DMABUF: by dma-bufs
 */
enum nvvgpu_display_mode {
	NVVGPU_DISPLAY_OFF,
	NVVGPU_DISPLAY_REGION,
	NVVGPU_DISPLAY_DMABUF,
};

/* A viewer keeps some dma-bufs by their ids; QEMU keeps five. */
#define NVVGPU_PLANE_IDS	16

/*
 * vfio-pci-core revokes the mappings of the BARs whenever the device's memory
 * must not be accessed.  Mappings of the display use page offsets after the last
 * BAR, which is a 32-bit one, to be revoked together with them.
 */
#define NVVGPU_DISPLAY_PGOFF						\
	((VFIO_PCI_INDEX_TO_OFFSET(VFIO_PCI_BAR5_REGION_INDEX) + SZ_4G) >> \
	 PAGE_SHIFT)

/**
 * struct nvvgpu_plane_id - id of a plane that is offered as a dma-buf
 * @id: its id, 0 if unused; no id is used twice
 * @plane: the plane
 */
struct nvvgpu_plane_id {
	u32 id;
	struct nvvgpu_plane plane;
};

/**
 * struct nvvgpu_display - the first display of a vGPU, as its user sees it
 * @offered: the device has a display, stable while it is open
 * @mode: way in which it is offered, stable while the device is open
 * @plane_region: index of the region that shows the plane
 * @region_bytes: size of that region, which also bounds a dma-buf
 * @watched: the user has queried or accessed the display since opening the
 *	device; until then the back-end is not asked for the plane
 * @edid_known: the following are valid, protected by nvvgpu::state_mutex like
 *	them
 * @link_up: a monitor is plugged in
 * @edid_len: bytes of @edid, as the user has set them
 * @edid: EDID of the monitor
 * @edid_changed: the user has replaced the monitor that the back-end had
 * @lock: protects the following
 * @plane: checked plane that is shown to the user; zeroed while the display is
 *	blank
 * @changes: counts the reasons why mappings may show something other than @plane
 * @seen: plane that queries report; mappings show it or a newer one
 * @revoked: value of @changes when mappings were last revoked
 * @ids: ids of the last planes, the newest first
 * @last_id: the last id that was given to a plane
 * @work: asks the back-end for the plane
 */
struct nvvgpu_display {
	bool offered;
	enum nvvgpu_display_mode mode;
	u32 plane_region;
	u64 region_bytes;
	bool watched;

	bool edid_known;
	bool link_up;
	u32 edid_len;
	u8 edid[NVVGPU_EDID_LEN];
	bool edid_changed;

	spinlock_t lock; /* see above */
	struct nvvgpu_plane plane;
	u64 changes;
	struct nvvgpu_plane seen;
	u64 revoked;
	struct nvvgpu_plane_id ids[NVVGPU_PLANE_IDS];
	u32 last_id;

	struct delayed_work work;
};

/**
 * struct nvvgpu_use - a use of a vGPU, from an open of its device to the close
 * @number: number of the last use, 0 before the first one
 * @open: the use has not ended
 * @generation: number of the vGPU
 * @type: id of its type
 * @since: start of the use
 * @milliseconds: duration of a use that has ended
 * @known: @base is valid
 * @due: @total could not be read at the end
 * @base: counters of the vGPU at the start of the use, or at its end once @open is false
 * @nr: entries in @total, 0 if they are unknown
 * @total: counters of a use that has ended
 */
struct nvvgpu_use {
	u64 number;
	bool open;
	u64 generation;
	u32 type;
	ktime_t since;
	u64 milliseconds;
	bool known;
	bool due;
	u64 base[NVVGPU_MAX_STATS];
	int nr;
	struct nvvgpu_stat total[NVVGPU_MAX_STATS];
};

/**
 * struct nvvgpu_migrations - sessions of a VF since its back-end manages it
 * @saved: the state was saved completely
 * @save_aborted: saving ended before the whole state was saved
 * @save_ms: total duration of @saved and @save_aborted sessions
 * @loaded: a state was loaded completely
 * @load_aborted: loading ended before the whole state was loaded, or it was refused
 * @load_ms: total duration of @loaded and @load_aborted sessions
 * @since: start of the session in progress
 */
struct nvvgpu_migrations {
	u64 saved;
	u64 save_aborted;
	u64 save_ms;
	u64 loaded;
	u64 load_aborted;
	u64 load_ms;
	ktime_t since;
};

/**
 * struct nvvgpu - the VFIO device of a VF that a back-end manages
 * @core: must be first, vfio-pci-core finds it through drvdata
 * @pf: PF of the VF, valid while the device is registered
 * @node: entry in nvvgpu_pf::vgpus
 * @vf: number of the VF, counted from 0
 * @backend: back-end of the VF, valid while the device is registered
 * @settings: settings of the VF
 * @state_mutex: protects everything down to @log; @state, @type.id,
 *	@generation and @placement are also read without it
 * @state: changed only by nvvgpu_change_state()
 * @opened: the VFIO device is open, until the reset at close is over; also read
 *	without state_mutex
 * @closing: the event of the close has not been sent yet
 * @started: the back-end has started the vGPU
 * @accessible: the user may access the BARs; cleared by a crash, also read
 *	without state_mutex
 * @withdrawn: the device is being closed, so @accessible stays cleared
 * @resets: resets in progress, which may nest
 * @reset_ran: the PCI core has reset the VF since @resets was 0
 * @reset_prepared: reset_prepare was called and reset_done is due
 * @err_pending: the user has not been notified of a crash yet
 * @handle: handle of the back-end, valid while there is a vGPU
 * @retired: the device is being unregistered, and gets no vGPU any more
 * @type: type of the vGPU; its id is 0 if there is no vGPU
 * @generation: number of the vGPU, 0 if there is no vGPU
 * @placement: placement of the vGPU
 * @bars: NVVGPU_MAX_BARS entries, NULL if there is no vGPU; set when the vGPU is
 *	created and when it is started, constant while @opened
 * @start_params: copy of nvvgpu_settings::params, passed to the back-end; NULL
 *	if there is no vGPU
 * @mig_state: migration state, RUNNING while the device is closed
 * @data: data file of the migration session, NULL without a session
 * @log: DMA log of the vGPU, NULL while logging is inactive
 * @dmabufs: see struct nvvgpu_dmabufs
 * @display: display of the vGPU
 * @event_work: handles @events
 * @events: protected by nvvgpu_pf::lock
 * @log_limit: limits the messages about failures
 * @complaint_limit: limits those about answers that violate the contract
 * @crash_limit: limits those about crashes
 * @stream_limit: limits those about refused migration streams
 * @types_limit: limits the readers of creatable_vgpu_types
 * @leaving: these readers no longer wait, set when the VF is unbound
 * @query_mutex: protects everything down to @query_limit; serializes get_stats
 *	with itself and with delete
 * @queryable: the VF has a vGPU whose counters can be read
 * @queried: @stats is up to date, but for the limit of the rate
 * @stats: counters as last read from the back-end
 * @nr_stats: entries in @stats, or the error of the last read
 * @query_limit: limits the rate of get_stats
 * @types_left_out: creatable types that were left out of
 *	nvidia/creatable_vgpu_types when it was last read
 * @text_lock: protects everything below
 * @owner: process that opened the device, NULL while it is closed
 * @owner_comm: name of the process
 * @owner_vm: name of its VM, "" if the back-end does not know it
 * @last_error: text of the last error, empty if the last action succeeded
 * @use: last use of a vGPU
 * @migrations: migration sessions of the VF
 */
struct nvvgpu {
	struct vfio_pci_core_device core;
	struct nvvgpu_pf *pf;
	struct list_head node;
	unsigned int vf;
	struct nvvgpu_backend *backend;
	struct nvvgpu_settings *settings;

	struct mutex state_mutex; /* see above */
	enum nvvgpu_state state;
	bool opened;
	bool closing;
	bool started;
	bool accessible;
	bool withdrawn;
	unsigned int resets;
	bool reset_ran;
	bool reset_prepared;
	bool err_pending;
	void *handle;
	bool retired;
	struct nvvgpu_type_info type;
	u64 generation;
	u32 placement;
	struct nvvgpu_bar *bars;
	char *start_params;
	enum vfio_device_mig_state mig_state;
	struct nvvgpu_data *data;
	struct nvvgpu_log *log;

	struct nvvgpu_dmabufs dmabufs;
	struct nvvgpu_display display;

	struct delayed_work event_work;
	struct nvvgpu_events events;
	struct ratelimit_state log_limit;
	struct ratelimit_state complaint_limit;
	struct ratelimit_state crash_limit;
	struct ratelimit_state stream_limit;
	struct ratelimit_state types_limit;
	bool leaving;

	struct mutex query_mutex; /* see above */
	bool queryable;
	bool queried;
	struct nvvgpu_stat stats[NVVGPU_MAX_STATS];
	int nr_stats;
	struct ratelimit_state query_limit;

	unsigned int types_left_out;

	spinlock_t text_lock; /* see above */
	struct pid *owner;
	char owner_comm[TASK_COMM_LEN];
	char owner_vm[NVVGPU_VM_NAME_LEN];
	char last_error[128];
	struct nvvgpu_use use;
	struct nvvgpu_migrations migrations;
};

static inline struct nvvgpu *nvvgpu_from_vdev(struct vfio_device *core_vdev)
{
	return container_of(core_vdev, struct nvvgpu, core.vdev);
}

static inline struct device *nvvgpu_dev(struct nvvgpu *vgpu)
{
	return &vgpu->core.pdev->dev;
}

/* Make the next reader ask the back-end for the counters. */
static inline void nvvgpu_forget_stats(struct nvvgpu *vgpu)
{
	lockdep_assert_held(&vgpu->query_mutex);

	vgpu->queried = false;
	vgpu->nr_stats = 0;
}

/* backend.c: the registry of back-ends and of the VFs that they manage */
int nvvgpu_vf_add(struct pci_dev *pdev);
void nvvgpu_vf_remove(struct pci_dev *pdev);

/* pf.c: the VFs of a PF that have a VFIO device */
extern struct mutex nvvgpu_pfs_mutex;

void nvvgpu_pf_add(struct nvvgpu_pf *pf, struct nvvgpu *vgpu);
void nvvgpu_pf_del(struct nvvgpu_pf *pf, struct nvvgpu *vgpu);
struct nvvgpu *nvvgpu_pf_find(struct nvvgpu_backend *backend, unsigned int vf);
void nvvgpu_types_work(struct work_struct *work);
void nvvgpu_notify_types(struct nvvgpu_pf *pf);
void nvvgpu_announce_types(struct nvvgpu_pf *pf);

/* Changes of the types within this time are announced once. */
#define NVVGPU_TYPES_DELAY	(HZ / 10)

/* types.c: the types of a PF in sysfs */
void nvvgpu_types_show(struct nvvgpu_backend *backend);
void nvvgpu_types_hide(struct nvvgpu_backend *backend);
void nvvgpu_types_link(struct nvvgpu *vgpu);
void nvvgpu_catalogue_work(struct work_struct *work);

/* ops.c: all calls into back-ends */
__printf(3, 4)
void nvvgpu_complain(struct nvvgpu_backend *backend, struct nvvgpu *vgpu,
		     const char *fmt, ...);

#define NVVGPU_CAN_RESET	BIT(0)
#define NVVGPU_CAN_SHAPE	BIT(1)
#define NVVGPU_CAN_TRAP		BIT(2)
#define NVVGPU_CAN_MIGRATE	BIT(3)
#define NVVGPU_CAN_PRECOPY	BIT(4)
#define NVVGPU_CAN_SAVE_AHEAD	BIT(5)
#define NVVGPU_CAN_LOG_DMA	BIT(6)
#define NVVGPU_CAN_STATS	BIT(7)
#define NVVGPU_CAN_PLACEMENT	BIT(8)
#define NVVGPU_CAN_RECOVER	BIT(9)
#define NVVGPU_CAN_P2P		BIT(10)
#define NVVGPU_CAN_DISPLAY	BIT(11)
#define NVVGPU_CAN_LIST_PLACES	BIT(12)
#define NVVGPU_CAN_CREATE	BIT(13)
#define NVVGPU_CAN_REINIT	BIT(14)
u32 nvvgpu_can(const struct nvvgpu_backend *backend);
void nvvgpu_query_limit_init(struct ratelimit_state *limit);
int nvvgpu_query_wait(struct ratelimit_state *limit, const bool *leaving);

bool nvvgpu_word_valid(const char *name);
bool nvvgpu_type_valid(const struct nvvgpu_type_info *info);
int nvvgpu_op_get_types(struct nvvgpu_backend *backend, u32 *ids);
int nvvgpu_op_get_type_info(struct nvvgpu_backend *backend, u32 type,
			    struct nvvgpu_type_info *info);
int nvvgpu_op_get_available(struct nvvgpu_backend *backend, u32 type,
			    u32 placement, char *reason);
int nvvgpu_op_get_placements(struct nvvgpu_backend *backend, u32 type,
			     u32 *placements);
int nvvgpu_op_create(struct nvvgpu *vgpu, u32 type, u32 *placement);
int nvvgpu_op_delete(struct nvvgpu *vgpu);
int nvvgpu_op_delete_stale(struct nvvgpu_backend *backend, void *handle);
int nvvgpu_op_start(struct nvvgpu *vgpu, const struct nvvgpu_vm_context *ctx);
int nvvgpu_op_stop(struct nvvgpu *vgpu);
void nvvgpu_op_reset_prepare(struct nvvgpu *vgpu);
int nvvgpu_op_reset_done(struct nvvgpu *vgpu);
int nvvgpu_op_recover(struct nvvgpu *vgpu);
int nvvgpu_op_get_bar_info(struct nvvgpu *vgpu, unsigned int bar,
			   struct nvvgpu_bar_info *info);
int nvvgpu_op_bar_rw(struct nvvgpu *vgpu, unsigned int bar, u64 offset,
		     void *val, size_t len, bool iswrite);
int nvvgpu_op_suspend(struct nvvgpu *vgpu, enum nvvgpu_suspend_level level);
int nvvgpu_op_resume(struct nvvgpu *vgpu);
int nvvgpu_op_state_size(struct nvvgpu *vgpu, u64 *bytes);
int nvvgpu_op_save_begin(struct nvvgpu *vgpu);
int nvvgpu_op_save(struct nvvgpu *vgpu, struct nvvgpu_chunk *chunk, void *buf);
void nvvgpu_op_save_ahead(struct nvvgpu *vgpu, void *buf);
void nvvgpu_op_save_end(struct nvvgpu *vgpu);
int nvvgpu_op_load_begin(struct nvvgpu *vgpu);
int nvvgpu_op_load(struct nvvgpu *vgpu, const struct nvvgpu_chunk *chunk,
		   const void *buf);
int nvvgpu_op_load_end(struct nvvgpu *vgpu, bool commit);
int nvvgpu_op_precopy_estimate(struct nvvgpu *vgpu, u64 *initial, u64 *dirty);
int nvvgpu_op_dma_log_start(struct nvvgpu *vgpu,
			    const struct nvvgpu_range *ranges, u32 nr,
			    u64 *page_size);
int nvvgpu_op_dma_log_stop(struct nvvgpu *vgpu);
int nvvgpu_op_dma_log_read(struct nvvgpu *vgpu, u64 iova, u64 length, u8 *bits);
int nvvgpu_op_get_stats(struct nvvgpu *vgpu, struct nvvgpu_stat *stats);
int nvvgpu_op_get_placement(struct nvvgpu *vgpu, u32 *placement);
int nvvgpu_op_get_plane(struct nvvgpu *vgpu, struct nvvgpu_plane *plane);
int nvvgpu_op_get_edid(struct nvvgpu *vgpu, u8 *edid);
int nvvgpu_op_set_edid(struct nvvgpu *vgpu, const u8 *edid, size_t length);

DEFINE_GUARD(nvvgpu, struct nvvgpu *, mutex_lock(&_T->state_mutex),
	     mutex_unlock(&_T->state_mutex))

/* state.c: changes of a vGPU's state */
int nvvgpu_alloc_memory(struct nvvgpu *vgpu);
void nvvgpu_free_memory(struct nvvgpu *vgpu);
void nvvgpu_set_state(struct nvvgpu *vgpu, enum nvvgpu_state state,
		      const char *event);
void nvvgpu_set_created(struct nvvgpu *vgpu, bool zeroed);
void nvvgpu_alert(struct nvvgpu *vgpu);
void nvvgpu_set_error(struct nvvgpu *vgpu,
		      const struct nvvgpu_event_info *info);
void nvvgpu_end_reset(struct nvvgpu *vgpu);

/* vgpu.c: the life of a vGPU */
int nvvgpu_create(struct nvvgpu *vgpu, u32 type);
int nvvgpu_delete(struct nvvgpu *vgpu);
int nvvgpu_delete_generation(struct nvvgpu *vgpu, u64 generation);
int nvvgpu_may_open(struct nvvgpu *vgpu);
int nvvgpu_start(struct nvvgpu *vgpu);
int nvvgpu_restart(struct nvvgpu *vgpu);
int nvvgpu_stop_started(struct nvvgpu *vgpu);
void nvvgpu_withdraw(struct nvvgpu *vgpu);
void nvvgpu_stop(struct nvvgpu *vgpu);
void nvvgpu_closed(struct nvvgpu *vgpu);
void nvvgpu_retire(struct nvvgpu *vgpu);
void nvvgpu_event_work(struct work_struct *work);

/* ready.c: vGPUs that are provisioned by the PF driver */
int nvvgpu_adopt(struct nvvgpu *vgpu);
void nvvgpu_disown(struct nvvgpu *vgpu);
void nvvgpu_ready_crashed(struct nvvgpu_backend *backend, unsigned int vf);

/* reset.c */
void nvvgpu_reset_begin(struct nvvgpu *vgpu);
void nvvgpu_reset_ran(struct nvvgpu *vgpu, bool ran);
int nvvgpu_reset_end(struct nvvgpu *vgpu);
void nvvgpu_reset_end_closed(struct nvvgpu *vgpu);

/**
 * struct nvvgpu_notice - contents of a uevent
 * @event: name of the event
 * @type: id of the vGPU's type, 0 for none
 * @generation: number of the vGPU, 0 for none
 * @count: number of reports merged into this event, 0 means one
 * @milliseconds: duration of a migration, else 0
 * @info: last report of the back-end, NULL if it has reported none
 * @closed: a use of the vGPU has ended
 */
struct nvvgpu_notice {
	const char *event;
	u32 type;
	u64 generation;
	u64 count;
	u64 milliseconds;
	const struct nvvgpu_event_info *info;
	bool closed;
};

/* notify.c: the log, uevents and sysfs notifications */
const char *nvvgpu_state_name(enum nvvgpu_state state);
__printf(3, 4)
int nvvgpu_report_crash(struct nvvgpu *vgpu, int err, const char *fmt, ...);
__printf(3, 4)
int nvvgpu_fail(struct nvvgpu *vgpu, int err, const char *fmt, ...);
__printf(3, 4)
int nvvgpu_refuse(struct nvvgpu *vgpu, int err, const char *fmt, ...);
__printf(3, 4)
int nvvgpu_refuse_stream(struct nvvgpu *vgpu, int err, const char *fmt, ...);
__printf(2, 3)
void nvvgpu_warn(struct nvvgpu *vgpu, const char *fmt, ...);
void nvvgpu_succeed(struct nvvgpu *vgpu);
void nvvgpu_notify(struct nvvgpu *vgpu, const struct nvvgpu_notice *notice);
void nvvgpu_notify_creatable(struct nvvgpu *vgpu);
void nvvgpu_notify_event(struct nvvgpu *vgpu, const char *event);
void nvvgpu_notify_state(struct nvvgpu *vgpu,
			 const struct nvvgpu_notice *notice);

/* use.c: the counters of each use of a vGPU */
u64 nvvgpu_next_number(void);
void nvvgpu_use_created(struct nvvgpu *vgpu, bool zeroed);
void nvvgpu_use_begin(struct nvvgpu *vgpu);
void nvvgpu_use_end(struct nvvgpu *vgpu, bool stopped);
int nvvgpu_use_recover(struct nvvgpu *vgpu);
void nvvgpu_use_catch_up(struct nvvgpu *vgpu);
int nvvgpu_use_emit(struct nvvgpu *vgpu, char *buf);
void nvvgpu_use_env(struct nvvgpu *vgpu, struct kobj_uevent_env *env,
		    bool closed);

/* event.c: the queue of reported events */
void nvvgpu_event_add(struct nvvgpu *vgpu,
		      const struct nvvgpu_event_info *info);
bool nvvgpu_event_pending(struct nvvgpu *vgpu, enum nvvgpu_event event);
void nvvgpu_event_drop(struct nvvgpu *vgpu, enum nvvgpu_event event);
void nvvgpu_events_drop(struct nvvgpu *vgpu);
bool nvvgpu_event_next(struct nvvgpu *vgpu, struct nvvgpu_event_info *info,
		       u64 *count);
unsigned int nvvgpu_events_queued(struct nvvgpu *vgpu);
int nvvgpu_events_emit(struct nvvgpu *vgpu, char *buf);

/* region.c */
int nvvgpu_region_shape(struct nvvgpu *vgpu);
int nvvgpu_region_same(struct nvvgpu *vgpu);
int nvvgpu_region_info(struct vfio_device *core_vdev,
		       struct vfio_region_info *info,
		       struct vfio_info_cap *caps);
ssize_t nvvgpu_region_rw(struct nvvgpu *vgpu, unsigned int bar,
			 char __user *buf, size_t count, loff_t *ppos,
			 bool iswrite);
int nvvgpu_region_mmap(struct vfio_device *core_vdev,
		       struct vm_area_struct *vma);
void nvvgpu_region_zap(struct nvvgpu *vgpu);
bool nvvgpu_bar_mappable(const struct nvvgpu_bar_info *info, u64 offset,
			 u64 length);
void nvvgpu_display_unmap(struct nvvgpu *vgpu);
void nvvgpu_display_retry(struct nvvgpu *vgpu);

/**
 * nvvgpu_plane_bytes() - count the bytes of a plane
 * @plane: the plane
 *
 * Return: a multiple of the page size
 */
static inline u64 nvvgpu_plane_bytes(const struct nvvgpu_plane *plane)
{
	return PAGE_ALIGN((u64)plane->stride * plane->height);
}

/* dmabuf.c */
#if IS_ENABLED(CONFIG_VFIO_PCI_DMABUF)
void nvvgpu_dmabuf_init(struct nvvgpu *vgpu);
void nvvgpu_dmabuf_update(struct nvvgpu *vgpu);
void nvvgpu_dmabuf_close(struct nvvgpu *vgpu);
int nvvgpu_dmabuf_leave_low_power(struct nvvgpu *vgpu, u32 flags,
				  void __user *arg, size_t argsz);
#else
static inline void nvvgpu_dmabuf_init(struct nvvgpu *vgpu) { }
static inline void nvvgpu_dmabuf_update(struct nvvgpu *vgpu) { }
static inline void nvvgpu_dmabuf_close(struct nvvgpu *vgpu) { }
static inline int
nvvgpu_dmabuf_leave_low_power(struct nvvgpu *vgpu, u32 flags,
			      void __user *arg, size_t argsz)
{
	return vfio_pci_core_ioctl_feature(&vgpu->core.vdev, flags, arg, argsz);
}
#endif

/* scanout.c: dma-bufs of planes */
#if IS_ENABLED(CONFIG_VFIO_PCI_DMABUF)
void nvvgpu_scanouts_init(struct nvvgpu *vgpu);
void nvvgpu_scanouts_destroy(struct nvvgpu *vgpu);
void nvvgpu_scanouts_update(struct nvvgpu *vgpu);
void nvvgpu_scanouts_hold(struct nvvgpu *vgpu);
void nvvgpu_scanouts_unhold(struct nvvgpu *vgpu);
void nvvgpu_scanouts_close(struct nvvgpu *vgpu);
int nvvgpu_scanout_export(struct nvvgpu *vgpu,
			  const struct nvvgpu_plane *plane);
#else
static inline void nvvgpu_scanouts_init(struct nvvgpu *vgpu) { }
static inline void nvvgpu_scanouts_destroy(struct nvvgpu *vgpu) { }
static inline void nvvgpu_scanouts_update(struct nvvgpu *vgpu) { }
static inline void nvvgpu_scanouts_hold(struct nvvgpu *vgpu) { }
static inline void nvvgpu_scanouts_unhold(struct nvvgpu *vgpu) { }
static inline void nvvgpu_scanouts_close(struct nvvgpu *vgpu) { }
static inline int nvvgpu_scanout_export(struct nvvgpu *vgpu,
					const struct nvvgpu_plane *plane)
{
	return -EOPNOTSUPP;
}
#endif

/* config.c */
ssize_t nvvgpu_config_read(struct nvvgpu *vgpu, char __user *buf, size_t count,
			   loff_t *ppos);
ssize_t nvvgpu_config_write(struct nvvgpu *vgpu, const char __user *buf,
			    size_t count, loff_t *ppos);

/* migration.c: the states */
void nvvgpu_migration_init(struct nvvgpu *vgpu);
void nvvgpu_migration_open(struct nvvgpu *vgpu);
void nvvgpu_migration_abort(struct nvvgpu *vgpu);
void nvvgpu_migration_fail(struct nvvgpu *vgpu);
int nvvgpu_migration_reset(struct nvvgpu *vgpu);

/* data.c: the data file of a migration */
struct file *nvvgpu_data_open(struct nvvgpu *vgpu, bool loading);
void nvvgpu_data_close(struct nvvgpu *vgpu);
bool nvvgpu_data_saved(struct nvvgpu *vgpu);
int nvvgpu_data_loaded(struct nvvgpu *vgpu);
void nvvgpu_data_wake(struct nvvgpu *vgpu);
void nvvgpu_data_layout_changed(struct nvvgpu *vgpu);
unsigned long nvvgpu_data_size(struct nvvgpu *vgpu, u64 bytes);

/* display.c: the display for viewers */
void nvvgpu_display_init(struct nvvgpu *vgpu);
int nvvgpu_display_param(const char *params, enum nvvgpu_display_mode *mode);
int nvvgpu_display_open(struct nvvgpu *vgpu);
void nvvgpu_display_close(struct nvvgpu *vgpu);
void nvvgpu_display_update(struct nvvgpu *vgpu);
void nvvgpu_display_blank(struct nvvgpu *vgpu);
long nvvgpu_display_query(struct nvvgpu *vgpu, unsigned long arg);
long nvvgpu_display_get_dmabuf(struct nvvgpu *vgpu, unsigned long arg);

/* edid.c: the monitor of a vGPU */
int nvvgpu_edid_open(struct nvvgpu *vgpu);
int nvvgpu_edid_restart(struct nvvgpu *vgpu);

/* dirty.c: the log of DMA writes */
void nvvgpu_dirty_init(struct nvvgpu *vgpu);
int nvvgpu_dirty_end(struct nvvgpu *vgpu);

/* sysfs.c */
/* A name, a dash, a number and a letter */
#define NVVGPU_NVIDIA_NAME_LEN	(NVVGPU_NAME_LEN + 24)

extern const struct attribute_group *nvvgpu_groups[];

/* vfio.c */
struct nvvgpu *nvvgpu_register(struct pci_dev *pdev, struct nvvgpu_pf *pf,
			       struct nvvgpu_backend *backend,
			       struct nvvgpu_settings *settings);
void nvvgpu_unregister(struct nvvgpu *vgpu);

#if IS_ENABLED(CONFIG_KUNIT)
/* Static in the files above unless KUnit tests need them */
int nvvgpu_take_ops(struct pci_dev *pf, struct nvvgpu_backend *backend,
		    const struct nvvgpu_backend_ops *ops);
bool nvvgpu_areas_valid(const struct nvvgpu_range *areas, u32 nr,
			u64 size, u64 align);
bool nvvgpu_overlaps(const struct nvvgpu_range *areas, u32 nr,
		     u64 offset, u64 length);
bool nvvgpu_bar_valid(struct nvvgpu *vgpu, unsigned int bar,
		      const struct nvvgpu_bar_info *info,
		      u32 allowed);
bool nvvgpu_bar_equal(const struct nvvgpu_bar_info *a,
		      const struct nvvgpu_bar_info *b);
size_t nvvgpu_same_kind(const struct nvvgpu_bar_info *info, u64 offset,
			size_t count, bool *trapped);
int nvvgpu_config_overlay_ids(const struct nvvgpu_type_info *type,
			      char __user *buf, loff_t pos, size_t count);
int nvvgpu_config_overlay_bar(struct nvvgpu *vgpu, unsigned int bar,
			      char __user *buf, loff_t pos, size_t count);
void nvvgpu_nvidia_name(const struct nvvgpu_type_info *info, char *buf);
bool nvvgpu_params_valid(const char *params, size_t len);
bool nvvgpu_plane_valid(struct nvvgpu *vgpu, const struct nvvgpu_plane *plane);
void nvvgpu_display_set(struct nvvgpu *vgpu, const struct nvvgpu_plane *plane);
void nvvgpu_display_revoked(struct nvvgpu *vgpu,
			    const struct nvvgpu_plane *plane, u64 changes);
u32 nvvgpu_plane_id(struct nvvgpu *vgpu, const struct nvvgpu_plane *plane);
bool nvvgpu_plane_find(struct nvvgpu *vgpu, u32 id, struct nvvgpu_plane *plane);
bool nvvgpu_edid_valid(const u8 *edid, size_t length, u32 max_width,
		       u32 max_height);
bool nvvgpu_type_same(const struct nvvgpu_type_info *a,
		      const struct nvvgpu_type_info *b);
#endif

#endif /* NVVGPU_H */
