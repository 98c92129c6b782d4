/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract between the nvvgpu front-end and its back-ends.
 *
 * The front-end, nvvgpu-vfio-pci, knows VFIO, iommufd and sysfs.  A back-end
 * knows one kind of GPU.  This header is the only bridge between them.
 */
#ifndef _LINUX_NVVGPU_BACKEND_H
#define _LINUX_NVVGPU_BACKEND_H

#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/types.h>
#include <uapi/linux/nvvgpu.h>

struct module;
struct pci_dev;

/**
 * DOC: Overview
 *
 * A back-end registers once for each physical function (PF) it manages with
 * nvvgpu_backend_register() and hands over a constant table of operations.
 * The virtual functions (VFs) of that PF that are bound to the front-end pull
 * their vGPUs from it.  A VF is named by its number, counted from 0 as
 * pci_iov_vf_id() does.  There is at most one vGPU on a VF.
 *
 * Calling rules, for every operation unless it says otherwise:
 *
 * - It is called in process context, may sleep, and should bound its time.
 * - Calls for one VF are serialized by the front-end; calls for different VFs
 *   run at the same time.
 * - It returns 0 or a negative errno.  The front-end passes the errno on and
 *   logs it once with the VF's name, so the back-end needs no message of its
 *   own unless it knows more than the errno tells.
 * - No operation is called before nvvgpu_backend_register() has filled in the
 *   handle, or once nvvgpu_backend_unregister() has returned.
 * - @priv is the pointer given to nvvgpu_backend_register(), @vgpu the one that
 *   @create has filled in.
 * - Strings and arrays travel with their capacity; strings are NUL terminated.
 *   Sizes are in bytes.
 * - Nothing is called from a file's release or from atomic context.
 * - An operation must not call nvvgpu_backend_unregister().
 *
 * Life of a vGPU: create, then any number of (start, stop), then delete.
 * Between start and stop the VF belongs to a user of its VFIO device.
 */

/*
 * A table whose major differs is refused.  A minor only appends operations, all
 * of them optional: those that an older back-end does not know are features
 * that are absent, those that are newer than the front-end are not called.
 */
#define NVVGPU_BACKEND_ABI_MAJOR	2
#define NVVGPU_BACKEND_ABI_MINOR	0

/* NVVGPU_NAME_LEN and the like, which user space knows, are in the uAPI header. */
#define NVVGPU_REASON_LEN		96
#define NVVGPU_MAX_AREAS		16
#define NVVGPU_MAX_STATS		32

/* As a wanted placement: the back-end takes the first one that is free. */
#define NVVGPU_PLACEMENT_ANY		U32_MAX

/**
 * enum nvvgpu_type_class - what a vGPU type is meant for
 * @NVVGPU_CLASS_ANY: nothing in particular
 * @NVVGPU_CLASS_COMPUTE: programs without a display
 * @NVVGPU_CLASS_WORKSTATION: a desktop with demanding graphics
 * @NVVGPU_CLASS_DESKTOP: a desktop
 * @NVVGPU_CLASS_APPLICATIONS: applications whose display goes elsewhere
 * @NVVGPU_NR_CLASSES: number of classes, not one itself
 */
enum nvvgpu_type_class {
	NVVGPU_CLASS_ANY,
	NVVGPU_CLASS_COMPUTE,
	NVVGPU_CLASS_WORKSTATION,
	NVVGPU_CLASS_DESKTOP,
	NVVGPU_CLASS_APPLICATIONS,
	NVVGPU_NR_CLASSES,
};

/* The words for them in nvvgpu/supported_types */
extern const char * const nvvgpu_class_names[NVVGPU_NR_CLASSES];

/**
 * struct nvvgpu_type_info - what a vGPU type offers
 * @argsz: bytes that the front-end knows; set by it, see nvvgpu_type_info_set()
 * @id: number that users write to current_vgpu_type, not 0
 * @name: for people, see nvvgpu_type_name_valid(); names of one GPU differ
 * @class: what it is meant for
 * @fb_bytes: framebuffer
 * @bar_bytes: BAR sizes a guest will see, 0 where the VF's own size is kept
 * @heads: displays
 * @max_width: widest mode of a display, in pixels
 * @max_height: highest mode of a display, in pixels
 * @max_instances: the most that an empty GPU holds
 * @weight: share of engine time against other vGPUs, 0 where not scheduled so
 * @vendor: PCI vendor id the guest shall see, 0 to keep the VF's own
 * @device: PCI device id, valid with @vendor
 * @subsystem_vendor: PCI subsystem vendor id, 0 to keep the VF's own
 * @subsystem_device: PCI subsystem id, valid with @subsystem_vendor
 * @class_code: 24-bit PCI class code, 0 to keep the VF's own
 */
struct nvvgpu_type_info {
	u32 argsz;
	u32 id;
	char name[NVVGPU_NAME_LEN];
	enum nvvgpu_type_class class;
	u64 fb_bytes;
	u64 bar_bytes[NVVGPU_MAX_BARS];
	u32 heads;
	u32 max_width;
	u32 max_height;
	u32 max_instances;
	u32 weight;
	u16 vendor;
	u16 device;
	u16 subsystem_vendor;
	u16 subsystem_device;
	u32 class_code;
};

/**
 * nvvgpu_type_info_set() - fill in what a type offers
 * @to: from the front-end, which may know more or less than the back-end
 * @from: the back-end's
 */
static inline void nvvgpu_type_info_set(struct nvvgpu_type_info *to,
					const struct nvvgpu_type_info *from)
{
	u32 argsz = to->argsz;

	memcpy(to, from, min_t(size_t, argsz, sizeof(*from)));
	to->argsz = argsz;
}

/**
 * struct nvvgpu_range - a piece of a BAR or of an address space
 * @offset: where it begins
 * @length: bytes, not 0
 */
struct nvvgpu_range {
	u64 offset;
	u64 length;
};

#define NVVGPU_BAR_READ			0x1
#define NVVGPU_BAR_WRITE		0x2
#define NVVGPU_BAR_MMAP			0x4

/**
 * struct nvvgpu_bar_info - how one BAR of a vGPU looks to its user
 * @argsz: bytes that the front-end knows; set by it
 * @size: a power of two, at most the VF's own BAR; 0 hides the BAR.  The
 *        front-end fills in the VF's own size before it asks
 * @flags: NVVGPU_BAR_*; the front-end fills in all that the VF's BAR allows,
 *         the back-end may only take away.  What may be mapped may also be
 *         read and written
 * @nr_sparse: number of areas in @sparse; 0 means that all may be mapped
 * @sparse: the page-aligned areas that may be mapped, when only some may
 * @nr_trapped: number of areas in @trapped
 * @trapped: areas that are read and written by bar_read and bar_write instead
 *           of the hardware; never mapped
 */
struct nvvgpu_bar_info {
	u32 argsz;
	u32 flags;
	u64 size;
	u32 nr_sparse;
	struct nvvgpu_range sparse[NVVGPU_MAX_AREAS];
	u32 nr_trapped;
	struct nvvgpu_range trapped[NVVGPU_MAX_AREAS];
};

/**
 * struct nvvgpu_vm_context - who starts a vGPU
 * @argsz: bytes that the front-end knows; set by it
 * @pid: process that opens the device, as the initial PID namespace numbers it
 * @params: "key=value,key=value" as written to vgpu_params, "" when none
 */
struct nvvgpu_vm_context {
	u32 argsz;
	pid_t pid;
	const char *params;
};

/**
 * struct nvvgpu_chunk - a piece of a vGPU's state on its way out or in
 * @kind: chosen by the back-end, opaque to the front-end
 * @flags: chosen by the back-end, opaque to the front-end
 * @offset: of this piece within its @kind
 * @span: bytes of the vGPU's state that the piece stands for; may exceed
 *        @length, as for a run of zeroes
 * @length: bytes in the buffer that goes with it
 */
struct nvvgpu_chunk {
	u32 kind;
	u32 flags;
	u64 offset;
	u64 span;
	u32 length;
};

/**
 * enum nvvgpu_suspend_level - how still a vGPU stands
 * @NVVGPU_SUSPEND_P2P: begins no DMA and has drained what it began
 * @NVVGPU_SUSPEND_ALL: and raises no interrupt and changes nothing inside
 */
enum nvvgpu_suspend_level {
	NVVGPU_SUSPEND_P2P,
	NVVGPU_SUSPEND_ALL,
};

/* As mig_flags of a table: the vGPU can be brought to NVVGPU_SUSPEND_P2P */
#define NVVGPU_MIG_P2P			0x1
/* There is state that can be saved while the vGPU runs */
#define NVVGPU_MIG_PRE_COPY		0x2

/**
 * struct nvvgpu_stat - one counter
 * @name: a word for it, lower case
 * @value: only ever grows while the vGPU exists
 */
struct nvvgpu_stat {
	const char *name;
	u64 value;
};

/**
 * struct nvvgpu_backend_ops - what a back-end can do
 *
 * The table is constant and is checked as a whole when it is registered.
 * Operations marked optional may be NULL; those of a group come together.
 */
struct nvvgpu_backend_ops {
	/** @name: of the back-end, a word */
	const char *name;
	/**
	 * @owner: THIS_MODULE, which is NULL for what is built in; pinned while
	 * a vGPU of a registered back-end is open
	 */
	struct module *owner;
	/** @abi_major: NVVGPU_BACKEND_ABI_MAJOR */
	u16 abi_major;
	/** @abi_minor: NVVGPU_BACKEND_ABI_MINOR */
	u16 abi_minor;
	/** @size: sizeof(struct nvvgpu_backend_ops) */
	u32 size;

	/**
	 * @get_types: fill in at most @capacity type ids; returns how many there
	 * are.  More than @capacity is -EOVERFLOW.
	 */
	int (*get_types)(void *priv, u32 *ids, size_t capacity);
	/** @get_type_info: fill in the zeroed @info; -ENOENT for an unknown type */
	int (*get_type_info)(void *priv, u32 type,
			     struct nvvgpu_type_info *info);
	/**
	 * @get_available: number of vGPUs of this type that could be created
	 * now; when that is 0, says why in a few words in @reason.  -ENOENT for
	 * an unknown type.
	 */
	int (*get_available)(void *priv, u32 type, char *reason, size_t len);

	/**
	 * @create: create a vGPU on this VF and reserve its framebuffer, which
	 * reads as zero.  *@placement is the wanted one or NVVGPU_PLACEMENT_ANY
	 * and becomes the actual one.  *@vgpu is set to a handle, not NULL,
	 * which every other operation of the vGPU is given.  -ENOENT: no such
	 * type; -ENOSPC: no room; -EBUSY: that placement is taken; -EINVAL: no
	 * such placement.  Undone by @delete.
	 */
	int (*create)(void *priv, unsigned int vf, u32 type, u32 *placement,
		      void **vgpu);
	/**
	 * @delete: remove the vGPU; its framebuffer is scrubbed before anybody
	 * else can see it.  The VF's VFIO device is closed, always: nobody has
	 * its BARs mapped.  After a failure the vGPU is in error and @delete may
	 * be called again, also when the VF itself is gone.
	 */
	int (*delete)(void *vgpu);
	/**
	 * @start: a user has opened the VF's device; work may begin.  The VF has
	 * been reset, and nothing of an earlier user may be visible.  Undone by
	 * @stop.
	 */
	int (*start)(void *vgpu,
		     const struct nvvgpu_vm_context *ctx);
	/**
	 * @stop: the user has gone; on return the vGPU does no DMA, raises no
	 * interrupt, and nothing of the user's is left for the next one.
	 */
	int (*stop)(void *vgpu);
	/**
	 * @reset_prepare: optional, with @reset_done; the VF is about to be
	 * reset, by its user or by the host, started or not.  Not called for a
	 * vGPU that has crashed.  An operation that resets its own VF uses
	 * pcie_flr(), which does not call back.
	 */
	void (*reset_prepare)(void *vgpu);
	/**
	 * @reset_done: optional, with @reset_prepare; called once for each
	 * @reset_prepare, when the reset is over; on return the vGPU is as it
	 * was after @create or @start.  A failure means that it has crashed.
	 */
	int (*reset_done)(void *vgpu);

	/**
	 * @get_bar_info: optional; shape the BAR of a created vGPU.  Asked after
	 * @create, and once more after each @start, when that may tell more.
	 * Without it a vGPU has the VF's own BARs.
	 */
	int (*get_bar_info)(void *vgpu, unsigned int bar,
			    struct nvvgpu_bar_info *info);
	/**
	 * @bar_read: optional, with @bar_write; read @len bytes (1, 2, 4 or 8,
	 * naturally aligned) of a trapped area.
	 */
	int (*bar_read)(void *vgpu, unsigned int bar,
			u64 offset, void *buf, size_t len);
	/** @bar_write: optional, with @bar_read; likewise */
	int (*bar_write)(void *vgpu, unsigned int bar,
			 u64 offset, const void *buf, size_t len);

	/** @mig_flags: NVVGPU_MIG_*, what the migration group can do */
	u32 mig_flags;
	/** @state_version: version of the state that @save returns */
	u32 state_version;
	/**
	 * @state_version_min: oldest version of the state that @load accepts;
	 * at most @state_version
	 */
	u32 state_version_min;
	/**
	 * @suspend: optional, the migration group begins here.  Bring a started
	 * vGPU to the level, be it higher or lower than the one it is at.  A
	 * failure leaves it at the level where it was.  Without NVVGPU_MIG_P2P
	 * the level is always NVVGPU_SUSPEND_ALL.
	 */
	int (*suspend)(void *vgpu,
		       enum nvvgpu_suspend_level level);
	/** @resume: migration group; undo @suspend from any level */
	int (*resume)(void *vgpu);
	/**
	 * @state_size: migration group; estimate the bytes of data that @save
	 * will return until the end, without runs of zeroes.  Without a session,
	 * estimate those of one that begins now.
	 */
	int (*state_size)(void *vgpu, u64 *bytes);
	/** @save_begin: migration group; from here on changes are tracked */
	int (*save_begin)(void *vgpu);
	/**
	 * @save: migration group; the next piece, in at most @capacity bytes,
	 * which are NVVGPU_MIG_DATA_MAX.  The buffer is whole pages of its
	 * own: is_vmalloc_addr(), or a folio.  That is what a GPU may write to
	 * directly, by dma_map_single(); a back-end that cannot be sure that
	 * the GPU has finished keeps a reference to the folio, and fails.
	 * Called by the user's process.
	 * Returns 1 with a piece, 0 when there is none for now.  While the vGPU
	 * runs only what can be sent early is offered; at NVVGPU_SUSPEND_ALL
	 * everything that is left, and 0 is then the end.  Without
	 * NVVGPU_MIG_PRE_COPY it is only called at NVVGPU_SUSPEND_ALL.
	 */
	int (*save)(void *vgpu, struct nvvgpu_chunk *chunk,
		    void *buf, size_t capacity);
	/** @save_end: migration group; undo @save_begin, whether all was read or not */
	void (*save_end)(void *vgpu);
	/**
	 * @load_begin: migration group; the vGPU is at NVVGPU_SUSPEND_ALL.  What
	 * follows comes from a @save of the same back-end and type, of a state
	 * version from @state_version_min to @state_version, but need not be
	 * what that has given.  Nobody tells which version: a piece that changes
	 * gets another kind.
	 */
	int (*load_begin)(void *vgpu);
	/**
	 * @load: migration group; take one piece; -EINVAL for one that cannot
	 * be.  The data is in a buffer as that of @save, and stays there until
	 * the next @load or @load_end.  What only the GPU can find wrong with a
	 * piece may be told by a later @load or by the commit.
	 */
	int (*load)(void *vgpu,
		    const struct nvvgpu_chunk *chunk, const void *buf);
	/**
	 * @load_end: migration group; with @commit check that the state is whole
	 * and make it effective, else forget it: the vGPU is as after @start.  A
	 * commit that fails is followed by a @load_end without.
	 */
	int (*load_end)(void *vgpu, bool commit);
	/**
	 * @precopy_estimate: with NVVGPU_MIG_PRE_COPY, and only then; estimate
	 * the bytes of data that @save will return of state that was never sent
	 * and of state that has changed since, without runs of zeroes
	 */
	int (*precopy_estimate)(void *vgpu, u64 *initial,
				u64 *dirty);

	/**
	 * @dma_log_start: optional, the DMA log group begins here.  Log the
	 * vGPU's DMA writes in these IOVA ranges; *@page_size, a power of
	 * two, is the wanted granularity and becomes the one used.
	 */
	int (*dma_log_start)(void *vgpu,
			     const struct nvvgpu_range *ranges, u32 nr_ranges,
			     u64 *page_size);
	/** @dma_log_stop: DMA log group; may be called when none is running */
	int (*dma_log_stop)(void *vgpu);
	/**
	 * @dma_log_read: DMA log group; set the bits of the pages that were
	 * written and forget it.  The range consists of whole pages of the
	 * size that @dma_log_start has told; bit n % 8 of byte n / 8 of @bits,
	 * which is zeroed, is its page n.
	 */
	int (*dma_log_read)(void *vgpu, u64 iova, u64 length,
			    u8 *bits);

	/**
	 * @get_stats: optional; fill in at most @capacity counters of the vGPU,
	 * returns how many.  Called while other operations of the vGPU are in
	 * progress, except @create and @delete, and at most ten times a second.
	 */
	int (*get_stats)(void *vgpu, struct nvvgpu_stat *stats,
			 size_t capacity);

	/**
	 * @get_placement: optional; where the vGPU is now, asked when
	 * NVVGPU_EVENT_PLACEMENT has been reported
	 */
	int (*get_placement)(void *vgpu, u32 *placement);

	/**
	 * @save_ahead: optional beside the migration group; @save has just
	 * given a piece, and the next call of it will have this buffer.  Have
	 * the GPU begin to fill it, while the front-end is busy with the piece.
	 * @save_end may come instead.
	 */
	void (*save_ahead)(void *vgpu, void *buf,
			   size_t capacity);

	/**
	 * @recover: optional; the vGPU has crashed and is stopped: bring it back
	 * as it was after @create, with the same placement and framebuffer,
	 * which reads as zero.  A user may have the VF's device open and its
	 * BARs mapped, so no other vGPU may get that memory at any time.
	 * Without it, or after a failure, the vGPU stays in error until it is
	 * deleted.
	 */
	int (*recover)(void *vgpu);
};

/**
 * enum nvvgpu_event - what a back-end reports about one VF
 * @NVVGPU_EVENT_CRASHED: the vGPU is lost: its user is notified by the ERR
 *	interrupt.  A reset of the VF calls @recover; without that, only a
 *	delete brings the VF back.
 * @NVVGPU_EVENT_FAULT: the vGPU did a DMA that was refused, or its work failed
 *	otherwise
 * @NVVGPU_EVENT_GUEST_UP: the guest's driver has come
 * @NVVGPU_EVENT_GUEST_DOWN: the guest's driver has gone
 * @NVVGPU_EVENT_DISPLAY: the mode of a display has changed
 * @NVVGPU_EVENT_PLACEMENT: the vGPU has been moved to another placement
 * @NVVGPU_NR_EVENTS: number of events, not one itself
 */
enum nvvgpu_event {
	NVVGPU_EVENT_CRASHED,
	NVVGPU_EVENT_FAULT,
	NVVGPU_EVENT_GUEST_UP,
	NVVGPU_EVENT_GUEST_DOWN,
	NVVGPU_EVENT_DISPLAY,
	NVVGPU_EVENT_PLACEMENT,
	NVVGPU_NR_EVENTS,
};

#define NVVGPU_EVENT_HAS_CODE		0x1
#define NVVGPU_EVENT_HAS_ADDRESS	0x2

/**
 * struct nvvgpu_event_info - a report about one VF
 * @argsz: bytes that the back-end knows; set by it
 * @event: what has happened
 * @flags: NVVGPU_EVENT_HAS_*, for each of the following that is valid
 * @code: cause, as the hardware or its firmware numbers it
 * @address: that the vGPU accessed, as for a DMA that was refused
 */
struct nvvgpu_event_info {
	u32 argsz;
	enum nvvgpu_event event;
	u32 flags;
	u32 code;
	u64 address;
};

struct nvvgpu_backend;

bool nvvgpu_type_name_valid(const char *name);
int nvvgpu_backend_register(struct pci_dev *pf,
			    const struct nvvgpu_backend_ops *ops, void *priv,
			    struct nvvgpu_backend **backend);
int nvvgpu_backend_unregister(struct nvvgpu_backend *backend);
void nvvgpu_backend_free(struct nvvgpu_backend *backend);
void nvvgpu_backend_event(struct nvvgpu_backend *backend, unsigned int vf,
			  const struct nvvgpu_event_info *info);
struct pci_dev *nvvgpu_backend_get_vf(struct pci_dev *pf, unsigned int vf);

#endif /* _LINUX_NVVGPU_BACKEND_H */
