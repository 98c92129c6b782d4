/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract between the nvvgpu front-end and its back-ends.
 *
 * The front-end, nvvgpu-vfio-pci, deals with VFIO, iommufd and sysfs.  A back-end
 * deals with one kind of GPU.  This header is the only interface between them.
 */
#ifndef _LINUX_NVVGPU_BACKEND_H
#define _LINUX_NVVGPU_BACKEND_H

#include <linux/minmax.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/types.h>
#include <uapi/linux/nvvgpu.h>

struct module;
struct pci_dev;

/**
 * DOC: Overview
 *
 * A back-end calls nvvgpu_backend_register() for each physical function (PF) that
 * it manages, with a constant table of operations.  The front-end calls these
 * operations for the virtual functions (VFs) of that PF.  VFs are numbered from 0,
 * as by pci_iov_vf_id().  A VF has at most one vGPU.
 *
 * Calling rules, for every operation unless it says otherwise:
 *
 * - It is called in process context, may sleep, and should take a bounded time.
 * - Calls for one VF are serialized by the front-end.  Calls for different VFs run
 *   concurrently, and so do calls of operations that have no VF, such as
 *   @get_types.
 * - It returns 0 or a negative errno that user space knows.  Any other value, such
 *   as -ERESTARTSYS, becomes -EPROTO.  A wait must not be interruptible.  It may be
 *   killable; return -EINTR if it is killed.  The front-end returns the errno to
 *   the user, and logs failures to create, delete, start, stop, reset or recover a
 *   vGPU with the name of the VF.  The back-end should only log details that the
 *   errno does not express.
 * - No operation is called before nvvgpu_backend_register() has filled in the
 *   handle, or once nvvgpu_backend_unregister() has returned.
 * - @priv is the pointer passed to nvvgpu_backend_register(), @vgpu the handle
 *   that @create returned.
 * - Strings and arrays are passed with their capacity; strings are NUL
 *   terminated.  Sizes are in bytes.  For the bits of @dma_log_read, @length and
 *   the page size imply the capacity.
 * - @stop, and the operations that end a session before it, such as @save_end, are
 *   called from the release of the VFIO device's file, where a fatal signal may
 *   be pending: a killable wait ends immediately there.  No operation is called
 *   from the release of a data file or of a dma-buf.
 * - An operation must not call nvvgpu_backend_unregister(), and must not access
 *   memory of user space: @bar_read and @bar_write are called with locks of VFIO.
 *
 * Life of a vGPU: create, then any number of (start, stop), then delete.
 * Between start and stop the VF belongs to a user of its VFIO device.
 *
 * A PF driver that provisions its VFs by its own means leaves out the group of
 * provisioning operations, and calls nvvgpu_backend_ready() in place of create
 * and nvvgpu_backend_unready() in place of delete.
 */

/*
 * A table with another major version is refused.  A new minor version only appends
 * optional operations: they are absent from an older back-end, and an older
 * front-end does not call them.
 */
#define NVVGPU_BACKEND_ABI_MAJOR	2
#define NVVGPU_BACKEND_ABI_MINOR	0

/* The uAPI header has NVVGPU_NAME_LEN and other limits that user space needs. */
#define NVVGPU_REASON_LEN		96
#define NVVGPU_MAX_AREAS		16
#define NVVGPU_MAX_STATS		32
#define NVVGPU_MAX_PLACEMENTS		512

/* The coarsest granularity of a DMA log */
#define NVVGPU_LOG_PAGE_MAX		SZ_1G

/* Requested placement: the back-end uses the first one that is free. */
#define NVVGPU_PLACEMENT_ANY		U32_MAX

/**
 * enum nvvgpu_type_class - purpose of a vGPU type
 * @NVVGPU_CLASS_ANY: any purpose
 * @NVVGPU_CLASS_COMPUTE: programs without a display
 * @NVVGPU_CLASS_WORKSTATION: a desktop with demanding graphics
 * @NVVGPU_CLASS_DESKTOP: a desktop
 * @NVVGPU_CLASS_APPLICATIONS: applications that are displayed remotely
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

/* Names of the classes in nvvgpu/types */
extern const char * const nvvgpu_class_names[NVVGPU_NR_CLASSES];

/**
 * struct nvvgpu_type_info - attributes of a vGPU type
 * @argsz: bytes that the front-end knows; set by it, see nvvgpu_type_info_set().
 *	For nvvgpu_backend_ready(), bytes that the back-end knows, set by it
 * @id: number that users write to current_vgpu_type, from 1 to INT_MAX
 * @name: name for users, unique on the GPU; see nvvgpu_type_name_valid()
 * @class: purpose of the type
 * @fb_bytes: size of the framebuffer
 * @bar_bytes: BAR sizes shown in nvvgpu/types, 0 for the size of the VF's BAR;
 *	@get_bar_info determines the sizes that a guest sees
 * @heads: number of displays
 * @max_width: maximum width of a mode, in pixels
 * @max_height: maximum height of a mode, in pixels
 * @max_instances: maximum number of vGPUs of this type on an empty GPU
 * @weight: relative share of engine time, 0 without such a scheduler
 * @vendor: PCI vendor id that a guest sees, 0 to keep the VF's own
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
 * nvvgpu_type_info_set() - copy the attributes of a type
 * @to: structure of the front-end, which may know more or fewer members
 * @from: attributes that the back-end sets
 */
static inline void nvvgpu_type_info_set(struct nvvgpu_type_info *to,
					const struct nvvgpu_type_info *from)
{
	u32 argsz = to->argsz;

	memcpy(to, from, min_t(size_t, argsz, sizeof(*from)));
	to->argsz = argsz;
}

/**
 * struct nvvgpu_range - a range of a BAR or of an address space
 * @offset: start of the range
 * @length: bytes, not 0
 *
 * The structure is fixed: a change needs a new NVVGPU_BACKEND_ABI_MAJOR.
 */
struct nvvgpu_range {
	u64 offset;
	u64 length;
};

#define NVVGPU_BAR_READ			0x1
#define NVVGPU_BAR_WRITE		0x2
#define NVVGPU_BAR_MMAP			0x4

/**
 * struct nvvgpu_bar_info - shape of a BAR as the user sees it
 * @argsz: bytes that the front-end knows; set by it
 * @size: a power of two, at most the size of the VF's own BAR, which the
 *        front-end fills in before the call; 0 hides the BAR
 * @flags: NVVGPU_BAR_*; the front-end fills in those that the VF's BAR supports,
 *         and the back-end may clear some.  NVVGPU_BAR_MMAP requires the others
 * @nr_sparse: number of areas in @sparse; 0 if the whole BAR can be mapped
 * @sparse: the page-aligned areas that can be mapped
 * @nr_trapped: number of areas in @trapped
 * @trapped: areas whose accesses call bar_read and bar_write instead of reaching
 *           the hardware; aligned to 8 bytes.  They must not overlap @sparse,
 *           which must be set if NVVGPU_BAR_MMAP is
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
 * struct nvvgpu_vm_context - the user of a vGPU
 * @argsz: bytes that the front-end knows; set by it
 * @pid: process that opens the device, in the initial PID namespace
 * @params: "key=value,key=value" as written to vgpu_params, or ""
 * @vm_name: buffer for the name of the VM; a back-end that knows it may fill it
 *	in, for nvvgpu/owner
 * @vm_name_len: size of @vm_name
 */
struct nvvgpu_vm_context {
	u32 argsz;
	pid_t pid;
	const char *params;
	char *vm_name;
	size_t vm_name_len;
};

/**
 * struct nvvgpu_chunk - a chunk of the state of a vGPU
 * @kind: defined by the back-end, opaque to the front-end
 * @flags: defined by the back-end, opaque to the front-end
 * @offset: offset of the chunk within its @kind
 * @span: bytes of state that the chunk covers; where it exceeds @length, the rest
 *        is zeroes
 * @length: bytes of data in the buffer of the chunk
 *
 * The structure is fixed: a change needs a new NVVGPU_BACKEND_ABI_MAJOR.
 */
struct nvvgpu_chunk {
	u32 kind;
	u32 flags;
	u64 offset;
	u64 span;
	u32 length;
};

/**
 * enum nvvgpu_suspend_level - levels of a suspended vGPU
 * @NVVGPU_SUSPEND_P2P: the vGPU starts no DMA, and earlier DMA has completed
 * @NVVGPU_SUSPEND_ALL: also, it raises no interrupts and its state is frozen
 */
enum nvvgpu_suspend_level {
	NVVGPU_SUSPEND_P2P,
	NVVGPU_SUSPEND_ALL,
};

/* mig_flags of a table: @suspend supports NVVGPU_SUSPEND_P2P */
#define NVVGPU_MIG_P2P			0x1
/* There is state that can be saved while the vGPU runs */
#define NVVGPU_MIG_PRE_COPY		0x2
/*
 * After NVVGPU_EVENT_DISPLAY and NVVGPU_EVENT_PLACEMENT, the state that is left to
 * be saved in pre-copy is initial state again; needs NVVGPU_MIG_PRE_COPY
 */
#define NVVGPU_MIG_REINIT		0x4

/**
 * struct nvvgpu_stat - a counter
 * @name: one word, lower case, shorter than NVVGPU_NAME_LEN; must remain until
 *	nvvgpu_backend_unregister() has returned
 * @value: 0 after @create, and never decreases while the vGPU exists, except that
 *	it may begin again at @recover
 *
 * The structure is fixed: a change needs a new NVVGPU_BACKEND_ABI_MAJOR.
 */
struct nvvgpu_stat {
	const char *name;
	u64 value;
};

/**
 * struct nvvgpu_plane - the picture that a vGPU displays
 * @argsz: bytes that the front-end knows; set by it
 * @drm_format: DRM_FORMAT_* of <drm/drm_fourcc.h>, linear
 * @width: visible pixels of a line, at most the type's; 0 while the display is
 *	   off, and then nothing else matters
 * @height: visible lines, at most the type's
 * @stride: bytes from one line to the next
 * @bar: number of the BAR that holds the picture
 * @offset: offset of the first pixel in the BAR, page aligned.  All lines lie
 *	    in a part of the BAR that the user may map
 */
struct nvvgpu_plane {
	u32 argsz;
	u32 drm_format;
	u32 width;
	u32 height;
	u32 stride;
	u32 bar;
	u64 offset;
};

/* The longest EDID: a base block and one extension */
#define NVVGPU_EDID_LEN			256

/**
 * struct nvvgpu_backend_ops - operations of a back-end
 *
 * The table is constant and is checked when it is registered.  Operations marked
 * optional may be NULL; implement all operations of a group or none.
 */
struct nvvgpu_backend_ops {
	/** @name: name of the back-end, one word */
	const char *name;
	/**
	 * @owner: THIS_MODULE, which is NULL for built-in code; referenced while
	 * a vGPU of the back-end is open
	 */
	struct module *owner;
	/** @abi_major: NVVGPU_BACKEND_ABI_MAJOR */
	u16 abi_major;
	/** @abi_minor: NVVGPU_BACKEND_ABI_MINOR */
	u16 abi_minor;
	/** @size: sizeof(struct nvvgpu_backend_ops) */
	u32 size;

	/**
	 * @get_types: optional; begins the provisioning group (get_types,
	 * get_type_info, get_available, create and delete).  Fill in at most
	 * @capacity type ids and return their number, or -EOVERFLOW if there
	 * are more.  The front-end asks for the types to show at the
	 * registration, and at each bind of a VF until there are types and all
	 * are described; then only after nvvgpu_backend_types_changed().
	 */
	int (*get_types)(void *priv, u32 *ids, size_t capacity);
	/** @get_type_info: fill in the zeroed @info; -ENOENT for an unknown type */
	int (*get_type_info)(void *priv, u32 type,
			     struct nvvgpu_type_info *info);
	/**
	 * @get_available: return the number of vGPUs of this type that could be
	 * created now; if it is 0, fill in a short reason.  With a @placement
	 * other than NVVGPU_PLACEMENT_ANY, only count those that could be
	 * created there, if that is known.  -ENOENT for an unknown type.
	 */
	int (*get_available)(void *priv, u32 type, u32 placement, char *reason,
			     size_t len);
	/**
	 * @get_placements: optional; fill in at most @capacity of the placements
	 * that a vGPU of this type can have on an empty GPU, in ascending order;
	 * returns how many there are.  More than @capacity is -EOVERFLOW;
	 * -ENOENT for an unknown type.
	 */
	int (*get_placements)(void *priv, u32 type, u32 *placements,
			      size_t capacity);

	/**
	 * @create: create a vGPU on this VF and reserve its framebuffer, which
	 * reads as zero.  *@placement is the requested one or
	 * NVVGPU_PLACEMENT_ANY; set the latter to the actual one, at most
	 * INT_MAX.  Set *@vgpu to a handle, not NULL, which is passed to all other
	 * operations of the vGPU.
	 * -ENOENT: unknown type; -ENOSPC: no room; -EBUSY: placement is taken;
	 * -EINVAL: invalid placement.  Undone by @delete.
	 */
	int (*create)(void *priv, unsigned int vf, u32 type, u32 *placement,
		      void **vgpu);
	/**
	 * @delete: delete the vGPU; scrub its framebuffer before another vGPU
	 * can get it.  The VFIO device of the VF is always closed, so its BARs
	 * are not mapped.  After a failure the vGPU is in error, and @delete may
	 * be called again, even after the VF itself was removed.
	 */
	int (*delete)(void *vgpu);
	/**
	 * @start: prepare the vGPU for a user that opens the VF's device.  The VF
	 * has been reset.  No data of an earlier user may be visible.  Undone by
	 * @stop.
	 */
	int (*start)(void *vgpu,
		     const struct nvvgpu_vm_context *ctx);
	/**
	 * @stop: stop the vGPU when its device is closed.  On return it performs
	 * no DMA and raises no interrupts.  Data of the user that the reset of
	 * the VF does not clear must be cleared here or by the next @start.
	 */
	int (*stop)(void *vgpu);
	/**
	 * @reset_prepare: optional, with @reset_done; quiesce the vGPU before the
	 * VF is reset by its user or by the host, started or not.  Not called
	 * for a vGPU in error, but a crash may just have been reported.  Until
	 * @reset_done, the front-end does not call @create, @recover, @start,
	 * @save, @load or @get_plane.  It may call any other operation, for
	 * instance because the device is closed.  An operation that resets its
	 * own VF must use pcie_flr(), which does not call this.
	 */
	void (*reset_prepare)(void *vgpu);
	/**
	 * @reset_done: optional, with @reset_prepare; called once for each
	 * @reset_prepare: after the reset, or before a @delete during it.  On
	 * return the vGPU is in the state that it had after @create or @start,
	 * except that an active DMA log and the monitor of @set_edid remain, and
	 * that the framebuffer may remain.  A failure means that it has crashed.
	 */
	int (*reset_done)(void *vgpu);

	/**
	 * @get_bar_info: optional; describe the shape of a BAR.  Called after
	 * @create, and again after each @start, when the back-end may know more.
	 * While the device is open, the shape must not change, even by @recover.
	 * The BAR with the MSI-X table must keep its own shape.  Without this
	 * operation a vGPU has the VF's own BARs.
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
	 * vGPU to this level, which may be higher or lower than the current one.
	 * A failure leaves it at the current level.  Without NVVGPU_MIG_P2P the
	 * level is always NVVGPU_SUSPEND_ALL.
	 */
	int (*suspend)(void *vgpu,
		       enum nvvgpu_suspend_level level);
	/**
	 * @resume: migration group; undo @suspend from any level.  Also called
	 * after a reset that failed, when the vGPU might not be suspended.
	 */
	int (*resume)(void *vgpu);
	/**
	 * @state_size: migration group; estimate the bytes of data that @save
	 * will still return, without runs of zeroes.  Without a session, estimate
	 * those of a session that starts now.
	 */
	int (*state_size)(void *vgpu, u64 *bytes);
	/** @save_begin: migration group; start a session and track changes */
	int (*save_begin)(void *vgpu);
	/**
	 * @save: migration group; save the next chunk, in at most @capacity
	 * bytes, which is NVVGPU_MIG_DATA_MAX.  The buffer consists of whole
	 * pages.  Unless is_vmalloc_addr(), it is a folio, and the GPU may write
	 * to it directly, by dma_map_single().  A back-end that does not know
	 * whether the GPU has finished must keep a reference to the folio, and
	 * fail.  Called in the context of the user.
	 * Returns 1 with a chunk, or 0 if there is none for now.  While the vGPU
	 * runs, only return state that can be sent early; at NVVGPU_SUSPEND_ALL,
	 * all remaining state, and 0 means the end.  Without
	 * NVVGPU_MIG_PRE_COPY it is only called at NVVGPU_SUSPEND_ALL.
	 */
	int (*save)(void *vgpu, struct nvvgpu_chunk *chunk,
		    void *buf, size_t capacity);
	/** @save_end: migration group; undo @save_begin, even before the end */
	void (*save_end)(void *vgpu);
	/**
	 * @load_begin: migration group; start to load.  The vGPU is at
	 * NVVGPU_SUSPEND_ALL.  The chunks claim to be from a @save of the same
	 * back-end and type, with a state version from @state_version_min to
	 * @state_version, but their content is not trusted.  The version is not
	 * passed: use another kind for a chunk whose format changes.
	 */
	int (*load_begin)(void *vgpu);
	/**
	 * @load: migration group; load a chunk, -EINVAL if it is invalid.  The
	 * buffer is like that of @save, and remains unchanged until the next
	 * @load or @load_end.  If the GPU checks chunks asynchronously, a later
	 * @load or the commit may return the error.
	 */
	int (*load)(void *vgpu,
		    const struct nvvgpu_chunk *chunk, const void *buf);
	/**
	 * @load_end: migration group; with @commit, check that the state is
	 * complete and apply it; otherwise, discard it: the vGPU is in the state
	 * that it had after @start, but still at NVVGPU_SUSPEND_ALL.  A failed
	 * commit is followed by a @load_end without @commit, and a failure of
	 * that means that the vGPU has crashed.
	 */
	int (*load_end)(void *vgpu, bool commit);
	/**
	 * @precopy_estimate: required with NVVGPU_MIG_PRE_COPY, else NULL; estimate
	 * the bytes of data that @save will return of state that was never sent
	 * and of state that has changed since, without runs of zeroes
	 */
	int (*precopy_estimate)(void *vgpu, u64 *initial,
				u64 *dirty);

	/**
	 * @dma_log_start: optional, the DMA log group begins here.  Log the
	 * vGPU's DMA writes in these IOVA ranges; *@page_size, a power of
	 * two up to NVVGPU_LOG_PAGE_MAX, is the requested granularity; set it
	 * to the actual one, from 4 KiB to NVVGPU_LOG_PAGE_MAX.
	 */
	int (*dma_log_start)(void *vgpu,
			     const struct nvvgpu_range *ranges, u32 nr_ranges,
			     u64 *page_size);
	/** @dma_log_stop: DMA log group; may be called without an active log */
	int (*dma_log_stop)(void *vgpu);
	/**
	 * @dma_log_read: DMA log group; set the bits of the pages that were
	 * written, and clear them in the log.  The range consists of whole pages
	 * of the granularity of @dma_log_start, and may span gaps between the
	 * logged ranges; bit n % 8 of byte n / 8 of @bits, which is zeroed and
	 * has a bit for each page, is its page n.
	 */
	int (*dma_log_read)(void *vgpu, u64 iova, u64 length,
			    u8 *bits);

	/**
	 * @get_stats: optional; fill in at most @capacity counters of the vGPU
	 * and return their number, always the same ones in the same order.
	 * Called concurrently with other operations of the vGPU except @create
	 * and @delete, at most ten times a second if it succeeds, and once more
	 * when a vGPU of the PF driver is adopted, after @start if the counters
	 * are unknown, after @stop, and before and after @recover.
	 */
	int (*get_stats)(void *vgpu, struct nvvgpu_stat *stats,
			 size_t capacity);

	/**
	 * @get_placement: optional; get the placement of the vGPU.  Called after
	 * NVVGPU_EVENT_PLACEMENT and after nvvgpu_backend_ready().
	 */
	int (*get_placement)(void *vgpu, u32 *placement);

	/**
	 * @save_ahead: optional, requires the migration group; start to fill the
	 * buffer of the next @save, while the front-end handles the chunk that
	 * the previous one returned.  @save_end may be called instead.
	 */
	void (*save_ahead)(void *vgpu, void *buf,
			   size_t capacity);

	/**
	 * @recover: optional; recover a vGPU that has crashed, or that could not
	 * be stopped or deleted, to the state that it had after @create, with the
	 * same placement and framebuffer.  The framebuffer reads as zero.  A user
	 * may have the VF's device open and its BARs mapped, so no other vGPU may
	 * get this memory at any time.  A crash reported before the call is
	 * dropped.  Without this operation, the vGPU stays in error until it is
	 * deleted; after a failure, the next reset calls it again.
	 */
	int (*recover)(void *vgpu);

	/**
	 * @get_plane: optional, the display group begins here.  Fill in the
	 * zeroed @plane with the picture on the first display of a started
	 * vGPU.  Called by a worker, at most about sixty times a second, after
	 * NVVGPU_EVENT_DISPLAY, nvvgpu_backend_flip(), the first query, a reset
	 * or a change of the migration state.
	 */
	int (*get_plane)(void *vgpu, struct nvvgpu_plane *plane);
	/**
	 * @get_edid: display group; copy the EDID of the monitor that a vGPU
	 * has when it is started, at most @capacity bytes, which are
	 * NVVGPU_EDID_LEN.  Returns its length.
	 */
	int (*get_edid)(void *vgpu, u8 *edid, size_t capacity);
	/**
	 * @set_edid: display group; replace the monitor of a started vGPU with
	 * one that has this EDID, which is well-formed and has no detailed timing
	 * beyond the type's, or unplug it if @length is 0.  Lasts until @stop.
	 */
	int (*set_edid)(void *vgpu, const u8 *edid, size_t length);
};

/**
 * enum nvvgpu_event - events of a VF
 * @NVVGPU_EVENT_CRASHED: the vGPU has crashed.  Its user is notified by the ERR
 *	interrupt.  A reset of the VF calls @recover; without that operation, the
 *	vGPU must be deleted.
 * @NVVGPU_EVENT_FAULT: a DMA of the vGPU was refused, or other work has failed
 * @NVVGPU_EVENT_GUEST_UP: the driver in the guest has started
 * @NVVGPU_EVENT_GUEST_DOWN: the driver in the guest has stopped
 * @NVVGPU_EVENT_DISPLAY: the mode of a display has changed; @get_plane is called
 * @NVVGPU_EVENT_PLACEMENT: the placement of the vGPU has changed
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

/* Names of the events in uevents and in nvvgpu/events */
extern const char * const nvvgpu_event_names[NVVGPU_NR_EVENTS];

#define NVVGPU_EVENT_HAS_CODE		0x1
#define NVVGPU_EVENT_HAS_ADDRESS	0x2

/**
 * struct nvvgpu_event_info - report of an event
 * @argsz: bytes that the back-end knows; set by it
 * @event: the event
 * @flags: NVVGPU_EVENT_HAS_* for each valid member below
 * @code: cause, as a number of the hardware or the firmware
 * @address: accessed address, for instance of a refused DMA
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
int nvvgpu_backend_ready(struct nvvgpu_backend *backend, unsigned int vf,
			 const struct nvvgpu_type_info *info, void *handle);
int nvvgpu_backend_unready(struct nvvgpu_backend *backend, unsigned int vf);
void nvvgpu_backend_event(struct nvvgpu_backend *backend, unsigned int vf,
			  const struct nvvgpu_event_info *info);
void nvvgpu_backend_flip(struct nvvgpu_backend *backend, unsigned int vf);
void nvvgpu_backend_types_changed(struct nvvgpu_backend *backend);
struct pci_dev *nvvgpu_backend_get_vf(struct pci_dev *pf, unsigned int vf);

#endif /* _LINUX_NVVGPU_BACKEND_H */
