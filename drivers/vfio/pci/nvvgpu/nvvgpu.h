/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the front-end share.  Back-ends see nothing of this.
 */
#ifndef NVVGPU_H
#define NVVGPU_H

#include <linux/cleanup.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/nvvgpu_backend.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/vfio_pci_core.h>
#include <linux/workqueue.h>

/*
 * Lock order
 *
 *   vfio_device_set::lock, vfio_pci_core_device::memory_lock, device_lock
 *     nvvgpu_pf::gate
 *       nvvgpu::state_mutex
 *         nvvgpu::reset_lock
 *
 *   nvvgpu_pfs_mutex
 *     nvvgpu_pf::lock (leaf, also taken in interrupts)
 *
 *   nvvgpu_data::lock
 *     mmap_lock, and with it memory_lock
 *     nvvgpu_pf::gate
 *
 * User memory is never touched under the gate or state_mutex: VFIO resets the
 * device with memory_lock held, which nests inside mmap_lock.
 */

/**
 * struct nvvgpu_pf - a physical function that has VFs bound or a back-end
 * @node: entry in nvvgpu_pfs
 * @kref: held by each VF and by the back-end
 * @pdev: the physical function, holds a reference
 * @gate: protects @backend; held for read around every operation of it, for
 *	  write to let it in or out, and for write to change @vgpus
 * @backend: NULL while there is none
 * @lock: protects @vgpus for those who cannot sleep
 * @vgpus: head of nvvgpu::node
 */
struct nvvgpu_pf {
	struct list_head node;
	struct kref kref;
	struct pci_dev *pdev;
	struct rw_semaphore gate;
	struct nvvgpu_backend *backend;
	spinlock_t lock; /* see above */
	struct list_head vgpus;
};

/**
 * struct nvvgpu_backend - one registration of a back-end
 * @pf: that it manages, holds a reference
 * @ops: &@table
 * @table: what both sides know of its table, the rest is NULL
 * @priv: its own pointer, first argument of every operation
 */
struct nvvgpu_backend {
	struct nvvgpu_pf *pf;
	const struct nvvgpu_backend_ops *ops;
	struct nvvgpu_backend_ops table;
	void *priv;
};

/**
 * enum nvvgpu_state - where in its life a VF's vGPU is
 * @NVVGPU_BOUND: there is none
 * @NVVGPU_CREATED: there is one, its device is closed
 * @NVVGPU_OPEN: its device is open and it is started
 * @NVVGPU_ERROR: it is lost; a reset makes it anew, a delete removes it
 */
enum nvvgpu_state {
	NVVGPU_BOUND,
	NVVGPU_CREATED,
	NVVGPU_OPEN,
	NVVGPU_ERROR,
};

/**
 * struct nvvgpu_bar - a BAR as the user of the vGPU sees it
 * @info: its shape, checked
 * @shaped: differs in size from the VF's own
 * @reg: what the user has written to the BAR's register, when @shaped; like
 *	vfio-pci-core's own for a VF it is 0 when the device is opened
 */
struct nvvgpu_bar {
	struct nvvgpu_bar_info info;
	bool shaped;
	__le64 reg;
};

/**
 * struct nvvgpu_events - what a back-end has reported about a VF
 * @queue: kinds that have not been handled yet, in their order
 * @nr: entries in @queue
 * @waiting: how often each kind has come since it was handled last
 * @total: how often each kind has come
 * @coalesced: how many were not told of each for itself
 * @dropped: how many were about no vGPU, or one that is no more
 */
struct nvvgpu_events {
	enum nvvgpu_event queue[NVVGPU_NR_EVENTS];
	unsigned int nr;
	u64 waiting[NVVGPU_NR_EVENTS];
	u64 total[NVVGPU_NR_EVENTS];
	u64 coalesced;
	u64 dropped;
};

/**
 * struct nvvgpu - a VF bound to the front-end, and the vGPU on it
 * @core: must be first, vfio-pci-core finds it by drvdata
 * @pf: the VF's PF, holds a reference as long as the memory of this is there
 * @node: entry in nvvgpu_pf::vgpus
 * @vf: number of the VF, from 0
 * @state_mutex: protects everything down to @last_error
 * @state: see there; changed by nvvgpu_set_state() only
 * @opened: the VFIO device is open
 * @started: the back-end has started the vGPU
 * @reset_prepared: the back-end expects reset_done
 * @backend: that holds the vGPU, NULL when there is none any more
 * @pinned: the module of @backend while @opened
 * @type: of the vGPU, .id is 0 when there is none
 * @placement: of the vGPU
 * @wanted_placement: for the next vGPU, or NVVGPU_PLACEMENT_ANY
 * @bars: written when the vGPU is created and when it is started, stable
 *	  while @opened
 * @params: for the next start
 * @mig_state: as VFIO's uAPI has it, RUNNING while the device is closed
 * @data: the data file of a migration session, else NULL
 * @data_allocated: the memory of a session has not been freed yet; set under
 *	state_mutex, cleared without it
 * @log: of the vGPU's DMA writes, NULL while there is none
 * @owner: process that opened the device, 0 when closed
 * @owner_comm: and its name
 * @last_error: in words, empty when the last action succeeded
 * @reset_lock: protects @reset_pending and @reset_deferred
 * @reset_pending: a reset is over that state_mutex's holder has to handle
 * @reset_deferred: and one that it has not done with yet
 * @event_work: handles @events
 * @events: protected by nvvgpu_pf::lock
 */
struct nvvgpu {
	struct vfio_pci_core_device core;
	struct nvvgpu_pf *pf;
	struct list_head node;
	unsigned int vf;

	struct mutex state_mutex; /* see above */
	enum nvvgpu_state state;
	bool opened;
	bool started;
	bool reset_prepared;
	struct nvvgpu_backend *backend;
	struct module *pinned;
	struct nvvgpu_type_info type;
	u32 placement;
	u32 wanted_placement;
	struct nvvgpu_bar bars[NVVGPU_MAX_BARS];
	char params[NVVGPU_PARAMS_LEN];
	enum vfio_device_mig_state mig_state;
	struct nvvgpu_data *data;
	bool data_allocated;
	struct nvvgpu_log *log;
	pid_t owner;
	char owner_comm[TASK_COMM_LEN];
	char last_error[128];

	spinlock_t reset_lock; /* see above */
	bool reset_pending;
	bool reset_deferred;

	struct delayed_work event_work;
	struct nvvgpu_events events;
};

static inline struct nvvgpu *nvvgpu_from_vdev(struct vfio_device *core_vdev)
{
	return container_of(core_vdev, struct nvvgpu, core.vdev);
}

static inline struct device *nvvgpu_dev(struct nvvgpu *vgpu)
{
	return &vgpu->core.pdev->dev;
}

/* backend.c */
int nvvgpu_backend_attach_vf(struct nvvgpu *vgpu);
void nvvgpu_backend_detach_vf(struct nvvgpu *vgpu);
void nvvgpu_backend_put_pf(struct nvvgpu *vgpu);
int nvvgpu_backend_types(struct nvvgpu_backend *backend, u32 *ids);
int nvvgpu_backend_type_info(struct nvvgpu_backend *backend, u32 type,
			     struct nvvgpu_type_info *info);

/* vgpu.c: the gate for read and the state, together */
void nvvgpu_lock(struct nvvgpu *vgpu);
void nvvgpu_unlock(struct nvvgpu *vgpu);
DEFINE_GUARD(nvvgpu, struct nvvgpu *, nvvgpu_lock(_T), nvvgpu_unlock(_T))

const char *nvvgpu_state_name(enum nvvgpu_state state);
int nvvgpu_create(struct nvvgpu *vgpu, u32 type);
int nvvgpu_delete(struct nvvgpu *vgpu);
int nvvgpu_may_open(struct nvvgpu *vgpu);
int nvvgpu_start(struct nvvgpu *vgpu);
void nvvgpu_stop(struct nvvgpu *vgpu);
void nvvgpu_drop_backend(struct nvvgpu *vgpu);
void nvvgpu_reset_prepare(struct nvvgpu *vgpu);
void nvvgpu_reset_done(struct nvvgpu *vgpu);
void nvvgpu_reset_settle(struct nvvgpu *vgpu);
void nvvgpu_crashed(struct nvvgpu *vgpu);
__printf(3, 4)
int nvvgpu_fail(struct nvvgpu *vgpu, int err, const char *fmt, ...);

/* event.c */
void nvvgpu_event_add(struct nvvgpu *vgpu, enum nvvgpu_event event);
bool nvvgpu_event_pending(struct nvvgpu *vgpu, enum nvvgpu_event event);
void nvvgpu_events_drop(struct nvvgpu *vgpu);
int nvvgpu_events_emit(struct nvvgpu *vgpu, char *buf);
void nvvgpu_event_work(struct work_struct *work);

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

/* config.c */
ssize_t nvvgpu_config_read(struct nvvgpu *vgpu, char __user *buf, size_t count,
			   loff_t *ppos);
ssize_t nvvgpu_config_write(struct nvvgpu *vgpu, const char __user *buf,
			    size_t count, loff_t *ppos);

/* migration.c: the states */
void nvvgpu_migration_open(struct nvvgpu *vgpu);
bool nvvgpu_migration_same(struct nvvgpu *vgpu);
void nvvgpu_migration_abort(struct nvvgpu *vgpu);
int nvvgpu_migration_reset(struct nvvgpu *vgpu);

/* data.c: the file that the state goes through */
struct file *nvvgpu_data_open(struct nvvgpu *vgpu, bool loading);
void nvvgpu_data_close(struct nvvgpu *vgpu);
int nvvgpu_data_loaded(struct nvvgpu *vgpu);
void nvvgpu_data_wake(struct nvvgpu *vgpu);
unsigned long nvvgpu_data_size(struct nvvgpu *vgpu, u64 bytes);

/* dirty.c: the log of DMA writes */
void nvvgpu_dirty_open(struct nvvgpu *vgpu);
int nvvgpu_dirty_end(struct nvvgpu *vgpu);

/* sysfs.c */
extern const struct attribute_group *nvvgpu_groups[];
void nvvgpu_sysfs_changed(struct nvvgpu *vgpu, const char *event);
void nvvgpu_sysfs_event(struct nvvgpu *vgpu, const char *event, u64 count);

/* vfio.c */
extern const struct vfio_device_ops nvvgpu_vfio_ops;

#if IS_ENABLED(CONFIG_KUNIT)
/* What the KUnit tests use, else static in the files above */
bool nvvgpu_name_valid(const char *name);
int nvvgpu_take_ops(struct pci_dev *pf, struct nvvgpu_backend *backend,
		    const struct nvvgpu_backend_ops *ops);
bool nvvgpu_event_next(struct nvvgpu *vgpu, enum nvvgpu_event *event,
		       u64 *count);
bool nvvgpu_areas_valid(const struct nvvgpu_range *areas, u32 nr,
			u64 size, u64 align);
bool nvvgpu_overlaps(const struct nvvgpu_range *areas, u32 nr,
		     u64 offset, u64 length);
bool nvvgpu_bar_mappable(const struct nvvgpu_bar_info *info, u64 offset,
			 u64 length);
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
bool nvvgpu_params_valid(const char *params, size_t len);
#endif

#endif /* NVVGPU_H */
