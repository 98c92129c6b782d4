// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-mock: a back-end without hardware for the selftests.
 *
 * It registers for any SR-IOV PF, with valid and invalid tables, and checks
 * whether the front-end follows the rules of the contract.  A rule that is broken
 * is counted as a violation.  Tests control it through debugfs, in nvvgpu-mock/:
 *
 *   register	"<PF> <table>", see mock_tables
 *   unregister	"<PF>"
 *   event	"<PF> <VF> <event>...", reported together; an event is
 *		"<name>[,<code>[,<hexadecimal address>]]"
 *   ready	"<PF> <VF>", the VF has a vGPU of the table "provisioned"
 *   unready	"<PF> <VF>", removes that vGPU
 *   fail	"<operation> <errno>" makes an operation fail, "none" ends that
 *   block	"<operation> [<calls>]" blocks the next calls of an operation, all of
 *		them without a number, until "none" is written
 *   bar	"<BAR> <size> <trapped from> <trapped bytes> [<flags>]", "none" ends that
 *   placement	placement that get_placement returns
 *   plane	"<format> <width> <height> <stride> <BAR> <offset>" that get_plane
 *		returns, with the table "display"
 *   flip	"<PF> <VF>", reports that the plane has moved
 *   types	number of types that get_types returns, as of the time of the call
 *   chunk	"<return value> <length> <hexadecimal span> <hexadecimal offset>": what
 *		the first save of a session returns, with the table "migration"
 *   state_bytes	what state_size returns, with the table "migration"
 *   log_page	page size of the DMA log that dma_log_start returns, with the table
 *		"dma-log"
 *   master	number of a VF that is a bus master at every reset_prepare
 *   calls	number of calls of each operation, and of violations
 */
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/nvvgpu_backend.h>
#include <linux/pci.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#define MOCK_MAX_VFS	64
#define MOCK_TYPE	7
#define MOCK_INSTANCES	3
#define MOCK_TRAPPED	4096
#define MOCK_WIDTH	256
#define MOCK_HEIGHT	256

enum mock_op {
	OP_GET_TYPES,
	OP_GET_TYPE_INFO,
	OP_GET_AVAILABLE,
	OP_GET_PLACEMENTS,
	OP_CREATE,
	OP_DELETE,
	OP_START,
	OP_STOP,
	OP_RESET_PREPARE,
	OP_RESET_DONE,
	OP_GET_BAR_INFO,
	OP_BAR_READ,
	OP_BAR_WRITE,
	OP_GET_STATS,
	OP_GET_PLACEMENT,
	OP_RECOVER,
	OP_GET_PLANE,
	OP_GET_EDID,
	OP_SET_EDID,
	OP_SUSPEND,
	OP_RESUME,
	OP_STATE_SIZE,
	OP_SAVE_BEGIN,
	OP_SAVE,
	OP_LOAD_BEGIN,
	OP_LOAD_END,
	NR_OPS,
};

static const char * const mock_op_names[NR_OPS] = {
	[OP_GET_TYPES] = "get_types",
	[OP_GET_TYPE_INFO] = "get_type_info",
	[OP_GET_AVAILABLE] = "get_available",
	[OP_GET_PLACEMENTS] = "get_placements",
	[OP_CREATE] = "create",
	[OP_DELETE] = "delete",
	[OP_START] = "start",
	[OP_STOP] = "stop",
	[OP_RESET_PREPARE] = "reset_prepare",
	[OP_RESET_DONE] = "reset_done",
	[OP_GET_BAR_INFO] = "get_bar_info",
	[OP_BAR_READ] = "bar_read",
	[OP_BAR_WRITE] = "bar_write",
	[OP_GET_STATS] = "get_stats",
	[OP_GET_PLACEMENT] = "get_placement",
	[OP_RECOVER] = "recover",
	[OP_GET_PLANE] = "get_plane",
	[OP_GET_EDID] = "get_edid",
	[OP_SET_EDID] = "set_edid",
	[OP_SUSPEND] = "suspend",
	[OP_RESUME] = "resume",
	[OP_STATE_SIZE] = "state_size",
	[OP_SAVE_BEGIN] = "save_begin",
	[OP_SAVE] = "save",
	[OP_LOAD_BEGIN] = "load_begin",
	[OP_LOAD_END] = "load_end",
};

struct mock;

/**
 * struct mock_vgpu - one VF
 * @mock: registration of the vGPU's back-end
 * @vf: number of the VF
 * @busy: an operation for the VF is in progress
 * @created: create was called, and delete was not
 * @started: start was called, and stop was not
 * @prepared: reset_prepare was called, and reset_done was not
 * @saved: the chunk has been returned
 * @starts: calls of start since the create or the last recover
 * @trapped: content of the trapped area
 */
struct mock_vgpu {
	struct mock *mock;
	unsigned int vf;
	unsigned long busy;
	bool created;
	bool started;
	bool prepared;
	bool saved;
	u64 starts;
	u8 trapped[MOCK_TRAPPED];
};

/**
 * struct mock - one registration
 * @node: entry in mocks
 * @pf: the PF, holds a reference
 * @backend: handle from the front-end
 * @gone: nvvgpu_backend_unregister() has returned
 * @provisioned: has reported VFs as ready instead of creating vGPUs
 * @ops: the table
 * @after: operations of a newer contract, not NULL
 * @vgpus: indexed by number of the VF
 */
struct mock {
	struct list_head node;
	struct pci_dev *pf;
	struct nvvgpu_backend *backend;
	bool gone;
	bool provisioned;
	struct nvvgpu_backend_ops ops;
	u8 after[64];
	struct mock_vgpu vgpus[MOCK_MAX_VFS];
};

/* protects mocks */
static DEFINE_MUTEX(mock_mutex);
static LIST_HEAD(mocks);

static atomic64_t mock_calls[NR_OPS];
static atomic64_t mock_violations;
static int mock_fail_op = -1;
static int mock_fail_errno;
static int mock_block_op = -1;
static atomic_t mock_block_calls;
static DECLARE_WAIT_QUEUE_HEAD(mock_wait);
static u32 mock_placement;
static u32 mock_types = 1;
static u64 mock_log_page;
static u32 mock_master = U32_MAX;
static struct dentry *mock_dir;

/* Shape of one BAR for get_bar_info */
static int mock_bar = -1;
static u64 mock_bar_size;
static u32 mock_bar_denied;
static struct nvvgpu_range mock_bar_trapped;

/* Plane that get_plane returns */
static struct nvvgpu_plane mock_plane;

/* Results of the first save of a session and of state_size */
static int mock_chunk_ret;
static struct nvvgpu_chunk mock_chunk;
static u64 mock_state_bytes;

static void mock_expect(bool kept, const char *rule)
{
	if (kept)
		return;

	atomic64_inc(&mock_violations);
	pr_err(KBUILD_MODNAME ": violation: %s\n", rule);
}

/* Called by every operation: count it, and block or fail on request. */
static int mock_enter(struct mock *mock, enum mock_op op)
{
	bool blocked = READ_ONCE(mock_block_op) == op &&
		       atomic_dec_if_positive(&mock_block_calls) >= 0;

	atomic64_inc(&mock_calls[op]);
	mock_expect(!mock->gone, "operation after nvvgpu_backend_unregister()");
	if (blocked)
		wait_event(mock_wait, READ_ONCE(mock_block_op) != op);

	return READ_ONCE(mock_fail_op) == op ? -READ_ONCE(mock_fail_errno) : 0;
}

/* Like mock_enter(), for operations of a VF, which must be serialized */
static struct mock_vgpu *mock_enter_vf(void *handle, enum mock_op op, int *ret)
{
	struct mock_vgpu *vgpu = handle;

	mock_expect(!test_and_set_bit(0, &vgpu->busy),
		    "two operations for one VF at a time");
	*ret = mock_enter(vgpu->mock, op);

	return vgpu;
}

static int mock_leave_vf(struct mock_vgpu *vgpu, int ret)
{
	clear_bit(0, &vgpu->busy);

	return ret;
}

static int mock_get_types(void *priv, u32 *ids, size_t capacity)
{
	int i, nr = min_t(u32, READ_ONCE(mock_types), capacity);
	int ret = mock_enter(priv, OP_GET_TYPES);

	for (i = 0; i < nr; i++)
		ids[i] = MOCK_TYPE + i;

	return ret ?: nr;
}

/* The types change whenever they are asked for. */
static int mock_get_restless_types(void *priv, u32 *ids, size_t capacity)
{
	struct mock *mock = priv;

	nvvgpu_backend_types_changed(mock->backend);

	return mock_get_types(priv, ids, capacity);
}

static int mock_get_type_info(void *priv, u32 type,
			      struct nvvgpu_type_info *info)
{
	int ret = mock_enter(priv, OP_GET_TYPE_INFO);

	if (ret)
		return ret;
	if (type < MOCK_TYPE || type - MOCK_TYPE >= READ_ONCE(mock_types))
		return -ENOENT;
	info->id = type;
	strscpy(info->name, "nvvgpu mock");
	/* Garbage after the NUL, which the front-end must ignore */
	info->name[sizeof(info->name) - 1] = atomic64_read(&mock_calls[OP_GET_TYPE_INFO]);
	info->max_instances = MOCK_INSTANCES;

	return 0;
}

/* Describe another type with the same id. */
static int mock_get_larger_type_info(void *priv, u32 type,
				     struct nvvgpu_type_info *info)
{
	int ret = mock_get_type_info(priv, type, info);

	info->fb_bytes = SZ_1G;

	return ret;
}

static int mock_get_nameless_type_info(void *priv, u32 type,
				       struct nvvgpu_type_info *info)
{
	int ret = mock_get_type_info(priv, type, info);

	info->name[0] = '\0';

	return ret;
}

static int mock_get_available(void *priv, u32 type, u32 placement, char *reason,
			      size_t len)
{
	struct mock *mock = priv;
	int vf, used = 0;
	int ret;

	ret = mock_enter(mock, OP_GET_AVAILABLE);
	if (ret)
		return ret;
	for (vf = 0; vf < MOCK_MAX_VFS; vf++)
		used += mock->vgpus[vf].created;
	if (used >= MOCK_INSTANCES)
		strscpy(reason, "no room on the mock", len);

	return max(MOCK_INSTANCES - used, 0);
}

static int mock_get_placements(void *priv, u32 type, u32 *placements,
			       size_t capacity)
{
	int ret = mock_enter(priv, OP_GET_PLACEMENTS);

	placements[0] = 0;
	placements[1] = MOCK_MAX_VFS - 1;

	return ret ?: 2;
}

static int mock_create(void *priv, unsigned int vf, u32 type, u32 *placement,
		       void **handle)
{
	struct mock *mock = priv;
	struct mock_vgpu *vgpu = &mock->vgpus[vf];
	int ret;

	vgpu->mock = mock;
	vgpu->vf = vf;
	mock_enter_vf(vgpu, OP_CREATE, &ret);
	mock_expect(!vgpu->created, "create: vGPU already exists");
	if (!ret) {
		vgpu->created = true;
		vgpu->starts = 0;
		memset(vgpu->trapped, 0, sizeof(vgpu->trapped));
		if (*placement == NVVGPU_PLACEMENT_ANY)
			*placement = vf;
		*handle = vgpu;
	}

	return mock_leave_vf(vgpu, ret);
}

static int mock_create_nowhere(void *priv, unsigned int vf, u32 type,
			       u32 *placement, void **handle)
{
	int ret = mock_create(priv, vf, type, placement, handle);

	*placement = NVVGPU_PLACEMENT_ANY;

	return ret;
}

static int mock_delete(void *handle)
{
	struct mock_vgpu *vgpu;
	int ret;

	vgpu = mock_enter_vf(handle, OP_DELETE, &ret);
	mock_expect(vgpu->created, "delete: no vGPU");
	mock_expect(!vgpu->started, "delete: vGPU is started");
	mock_expect(!vgpu->prepared, "delete before reset_done");
	if (!ret)
		vgpu->created = false;

	return mock_leave_vf(vgpu, ret);
}

static int mock_start(void *handle,
		      const struct nvvgpu_vm_context *ctx)
{
	struct mock_vgpu *vgpu;
	int ret;

	vgpu = mock_enter_vf(handle, OP_START, &ret);
	mock_expect(vgpu->created && !vgpu->started,
		    "start: no vGPU, or already started");
	if (!ret)
		vgpu->started = true;
	vgpu->starts += !ret;

	return mock_leave_vf(vgpu, ret);
}

static int mock_stop(void *handle)
{
	struct mock_vgpu *vgpu;
	int ret;

	vgpu = mock_enter_vf(handle, OP_STOP, &ret);
	mock_expect(vgpu->started, "stop: vGPU is not started");
	vgpu->started = false;

	return mock_leave_vf(vgpu, ret);
}

/* A user has enabled bus mastering of the VF, which only a reset disables. */
static bool mock_was_reset(struct mock_vgpu *vgpu)
{
	struct pci_dev *pdev;
	u16 command = PCI_COMMAND_MASTER;

	if (vgpu->vf != READ_ONCE(mock_master))
		return false;
	pdev = nvvgpu_backend_get_vf(vgpu->mock->pf, vgpu->vf);
	if (pdev)
		pci_read_config_word(pdev, PCI_COMMAND, &command);
	pci_dev_put(pdev);

	return !(command & PCI_COMMAND_MASTER);
}

static void mock_reset_prepare(void *handle)
{
	struct mock_vgpu *vgpu;
	int ret;

	vgpu = mock_enter_vf(handle, OP_RESET_PREPARE, &ret);
	mock_expect(vgpu->created && !vgpu->prepared,
		    "reset_prepare: no vGPU, or already prepared");
	mock_expect(!mock_was_reset(vgpu), "reset_prepare after the reset");
	vgpu->prepared = true;
	mock_leave_vf(vgpu, 0);
}

static int mock_reset_done(void *handle)
{
	struct mock_vgpu *vgpu;
	int ret;

	vgpu = mock_enter_vf(handle, OP_RESET_DONE, &ret);
	mock_expect(vgpu->created && vgpu->prepared,
		    "reset_done: no vGPU, or not prepared");
	vgpu->prepared = false;

	return mock_leave_vf(vgpu, ret);
}

static int mock_recover(void *handle)
{
	struct mock_vgpu *vgpu;
	int ret;

	vgpu = mock_enter_vf(handle, OP_RECOVER, &ret);
	mock_expect(vgpu->created && !vgpu->started && !vgpu->prepared,
		    "recover: no vGPU, or started, or prepared");
	WRITE_ONCE(vgpu->starts, 0);

	return mock_leave_vf(vgpu, ret);
}

static int mock_get_bar_info(void *handle, unsigned int bar,
			     struct nvvgpu_bar_info *info)
{
	struct mock_vgpu *vgpu;
	int ret;

	vgpu = mock_enter_vf(handle, OP_GET_BAR_INFO, &ret);
	mock_expect(vgpu->created, "get_bar_info: no vGPU");
	if (!ret && bar == READ_ONCE(mock_bar)) {
		info->size = mock_bar_size;
		info->flags &= ~mock_bar_denied;
		if (mock_bar_trapped.length) {
			info->flags &= ~NVVGPU_BAR_MMAP;
			info->trapped[0] = mock_bar_trapped;
			info->nr_trapped = 1;
		}
	}

	return mock_leave_vf(vgpu, ret);
}

static bool mock_access_sound(u64 offset, size_t len)
{
	return (len == 1 || len == 2 || len == 4 || len == 8) &&
	       IS_ALIGNED(offset, len) && offset >= mock_bar_trapped.offset &&
	       offset + len <= mock_bar_trapped.offset + mock_bar_trapped.length;
}

static int mock_bar_read(void *handle, unsigned int bar,
			 u64 offset, void *buf, size_t len)
{
	struct mock_vgpu *vgpu;
	int ret;

	vgpu = mock_enter_vf(handle, OP_BAR_READ, &ret);
	mock_expect(vgpu->started && mock_access_sound(offset, len),
		    "bar_read: not started, or invalid access");
	memcpy(buf, &vgpu->trapped[offset % MOCK_TRAPPED], len);

	return mock_leave_vf(vgpu, ret);
}

static int mock_bar_write(void *handle, unsigned int bar,
			  u64 offset, const void *buf, size_t len)
{
	struct mock_vgpu *vgpu;
	int ret;

	vgpu = mock_enter_vf(handle, OP_BAR_WRITE, &ret);
	mock_expect(vgpu->started && mock_access_sound(offset, len),
		    "bar_write: not started, or invalid access");
	memcpy(&vgpu->trapped[offset % MOCK_TRAPPED], buf, len);

	return mock_leave_vf(vgpu, ret);
}

static int mock_get_stats(void *handle, struct nvvgpu_stat *stats,
			  size_t capacity)
{
	struct mock_vgpu *vgpu = handle;
	int ret = mock_enter(vgpu->mock, OP_GET_STATS);

	mock_expect(READ_ONCE(vgpu->created),
		    "get_stats: no vGPU");
	stats[0].name = "starts";
	stats[0].value = READ_ONCE(vgpu->starts);

	return ret ?: 1;
}

static int mock_get_spaced_stats(void *handle, struct nvvgpu_stat *stats,
				 size_t capacity)
{
	int ret = mock_get_stats(handle, stats, capacity);

	stats[0].name = "two words";

	return ret;
}

static int mock_get_placement(void *handle, u32 *placement)
{
	struct mock_vgpu *vgpu;
	int ret;

	vgpu = mock_enter_vf(handle, OP_GET_PLACEMENT, &ret);
	*placement = mock_placement;

	return mock_leave_vf(vgpu, ret);
}

static int mock_get_plane(void *handle, struct nvvgpu_plane *plane)
{
	struct mock_vgpu *vgpu;
	u32 argsz = plane->argsz;
	int ret;

	vgpu = mock_enter_vf(handle, OP_GET_PLANE, &ret);
	mock_expect(vgpu->started && !vgpu->prepared,
		    "get_plane: vGPU is not started, or in reset");
	*plane = mock_plane;
	plane->argsz = argsz;

	return mock_leave_vf(vgpu, ret);
}

/* Reports no monitor; an injected negative errno makes the EDID too long. */
static int mock_get_edid(void *handle, u8 *edid, size_t capacity)
{
	struct mock_vgpu *vgpu;
	int ret;

	vgpu = mock_enter_vf(handle, OP_GET_EDID, &ret);
	mock_expect(vgpu->started, "get_edid: vGPU is not started");

	return mock_leave_vf(vgpu, ret);
}

static int mock_set_edid(void *handle, const u8 *edid, size_t length)
{
	struct mock_vgpu *vgpu;
	int ret;

	vgpu = mock_enter_vf(handle, OP_SET_EDID, &ret);
	mock_expect(vgpu->started, "set_edid: vGPU is not started");

	return mock_leave_vf(vgpu, ret);
}

static int mock_get_type_with_display(void *priv, u32 type,
				      struct nvvgpu_type_info *info)
{
	int ret = mock_get_type_info(priv, type, info);

	info->heads = 1;
	info->max_width = MOCK_WIDTH;
	info->max_height = MOCK_HEIGHT;

	return ret;
}

static int mock_dma_log_start(void *handle, const struct nvvgpu_range *ranges,
			      u32 nr_ranges, u64 *page_size)
{
	*page_size = mock_log_page;

	return 0;
}

static int mock_dma_log_stop(void *handle)
{
	return 0;
}

static int mock_dma_log_read(void *handle, u64 iova, u64 length, u8 *bits)
{
	return 0;
}

static int mock_suspend(void *handle, enum nvvgpu_suspend_level level)
{
	struct mock_vgpu *vgpu;
	int ret;

	vgpu = mock_enter_vf(handle, OP_SUSPEND, &ret);
	mock_expect(vgpu->started, "suspend: vGPU is not started");

	return mock_leave_vf(vgpu, ret);
}

static int mock_resume(void *handle)
{
	struct mock_vgpu *vgpu;
	int ret;

	vgpu = mock_enter_vf(handle, OP_RESUME, &ret);
	mock_expect(vgpu->started, "resume: vGPU is not started");

	return mock_leave_vf(vgpu, ret);
}

static int mock_state_size(void *handle, u64 *bytes)
{
	struct mock_vgpu *vgpu;
	int ret;

	vgpu = mock_enter_vf(handle, OP_STATE_SIZE, &ret);
	*bytes = mock_state_bytes;

	return mock_leave_vf(vgpu, ret);
}

static int mock_save_begin(void *handle)
{
	struct mock_vgpu *vgpu;
	int ret;

	vgpu = mock_enter_vf(handle, OP_SAVE_BEGIN, &ret);
	vgpu->saved = false;

	return mock_leave_vf(vgpu, ret);
}

static int mock_save(void *handle, struct nvvgpu_chunk *chunk, void *buf,
		     size_t capacity)
{
	struct mock_vgpu *vgpu;
	int ret;

	vgpu = mock_enter_vf(handle, OP_SAVE, &ret);
	if (!ret && !vgpu->saved) {
		vgpu->saved = true;
		*chunk = mock_chunk;
		ret = mock_chunk_ret;
	}

	return mock_leave_vf(vgpu, ret);
}

static void mock_save_end(void *handle)
{
}

static int mock_load_begin(void *handle)
{
	struct mock_vgpu *vgpu;
	int ret;

	vgpu = mock_enter_vf(handle, OP_LOAD_BEGIN, &ret);

	return mock_leave_vf(vgpu, ret);
}

static int mock_load_end(void *handle, bool commit)
{
	struct mock_vgpu *vgpu;
	int ret;

	vgpu = mock_enter_vf(handle, OP_LOAD_END, &ret);

	return mock_leave_vf(vgpu, ret);
}

/* Never called: they complete groups of operations, or leave them incomplete. */
static int mock_vf_op(void *handle)
{
	return -EOPNOTSUPP;
}

static int mock_load(void *handle,
		     const struct nvvgpu_chunk *chunk, const void *buf)
{
	return -EOPNOTSUPP;
}

static int mock_precopy_estimate(void *handle, u64 *initial,
				 u64 *dirty)
{
	return -EOPNOTSUPP;
}

static const struct nvvgpu_backend_ops mock_sound = {
	.name = "mock",
	.owner = THIS_MODULE,
	.abi_major = NVVGPU_BACKEND_ABI_MAJOR,
	.abi_minor = NVVGPU_BACKEND_ABI_MINOR,
	.size = sizeof(struct nvvgpu_backend_ops),
	.get_types = mock_get_types,
	.get_type_info = mock_get_type_info,
	.get_available = mock_get_available,
	.get_placements = mock_get_placements,
	.create = mock_create,
	.delete = mock_delete,
	.start = mock_start,
	.stop = mock_stop,
	.reset_prepare = mock_reset_prepare,
	.reset_done = mock_reset_done,
	.get_bar_info = mock_get_bar_info,
	.bar_read = mock_bar_read,
	.bar_write = mock_bar_write,
	.get_stats = mock_get_stats,
	.get_placement = mock_get_placement,
	.recover = mock_recover,
};

static void mock_minimal(struct nvvgpu_backend_ops *ops)
{
	ops->reset_prepare = NULL;
	ops->reset_done = NULL;
	ops->get_placements = NULL;
	ops->get_bar_info = NULL;
	ops->bar_read = NULL;
	ops->bar_write = NULL;
	ops->get_stats = NULL;
	ops->get_placement = NULL;
	ops->recover = NULL;
}

static void mock_built_in(struct nvvgpu_backend_ops *ops)
{
	ops->owner = NULL;
}

static void mock_larger(struct nvvgpu_backend_ops *ops)
{
	ops->get_type_info = mock_get_larger_type_info;
}

static void mock_nameless(struct nvvgpu_backend_ops *ops)
{
	ops->get_type_info = mock_get_nameless_type_info;
}

static void mock_restless(struct nvvgpu_backend_ops *ops)
{
	ops->get_types = mock_get_restless_types;
}

static void mock_nowhere(struct nvvgpu_backend_ops *ops)
{
	ops->create = mock_create_nowhere;
}

static void mock_spaced_stats(struct nvvgpu_backend_ops *ops)
{
	ops->get_stats = mock_get_spaced_stats;
}

/* A table of an older major version */
static void mock_old(struct nvvgpu_backend_ops *ops)
{
	ops->abi_major = 1;
	ops->abi_minor = 4;
}

/* A table of a newer minor version, with operations that the front-end lacks */
static void mock_new(struct nvvgpu_backend_ops *ops)
{
	ops->abi_minor = NVVGPU_BACKEND_ABI_MINOR + 1;
	ops->size += sizeof_field(struct mock, after);
}

static void mock_major(struct nvvgpu_backend_ops *ops)
{
	ops->abi_major++;
}

static void mock_short(struct nvvgpu_backend_ops *ops)
{
	ops->size = offsetof(struct nvvgpu_backend_ops, recover);
}

static void mock_empty(struct nvvgpu_backend_ops *ops)
{
	ops->size = 0;
}

static void mock_no_name(struct nvvgpu_backend_ops *ops)
{
	ops->name = NULL;
}

static void mock_two_words(struct nvvgpu_backend_ops *ops)
{
	ops->name = "two words";
}

static void mock_migration(struct nvvgpu_backend_ops *ops)
{
	ops->mig_flags = NVVGPU_MIG_P2P;
	ops->state_version = 3;
	ops->state_version_min = 2;
	ops->suspend = mock_suspend;
	ops->resume = mock_resume;
	ops->state_size = mock_state_size;
	ops->save_begin = mock_save_begin;
	ops->save = mock_save;
	ops->save_end = mock_save_end;
	ops->load_begin = mock_load_begin;
	ops->load = mock_load;
	ops->load_end = mock_load_end;
}

static void mock_half_migration(struct nvvgpu_backend_ops *ops)
{
	ops->resume = mock_vf_op;
	ops->save_begin = mock_vf_op;
}

static void mock_precopy_alone(struct nvvgpu_backend_ops *ops)
{
	ops->precopy_estimate = mock_precopy_estimate;
}

static void mock_precopy_untold(struct nvvgpu_backend_ops *ops)
{
	mock_migration(ops);
	ops->precopy_estimate = mock_precopy_estimate;
}

static void mock_precopy_unable(struct nvvgpu_backend_ops *ops)
{
	mock_migration(ops);
	ops->mig_flags |= NVVGPU_MIG_PRE_COPY;
}

static void mock_reinit_alone(struct nvvgpu_backend_ops *ops)
{
	mock_migration(ops);
	ops->mig_flags |= NVVGPU_MIG_REINIT;
}

static void mock_without_p2p(struct nvvgpu_backend_ops *ops)
{
	mock_migration(ops);
	ops->mig_flags = 0;
}

static void mock_flags_alone(struct nvvgpu_backend_ops *ops)
{
	ops->mig_flags = NVVGPU_MIG_P2P;
}

static void mock_no_versions(struct nvvgpu_backend_ops *ops)
{
	mock_migration(ops);
	ops->state_version_min = ops->state_version + 1;
}

/* A PF driver that provisions its VFs by its own means */
static void mock_provisioned(struct nvvgpu_backend_ops *ops)
{
	ops->get_types = NULL;
	ops->get_type_info = NULL;
	ops->get_available = NULL;
	ops->get_placements = NULL;
	ops->create = NULL;
	ops->delete = NULL;
}

static void mock_dma_log(struct nvvgpu_backend_ops *ops)
{
	ops->dma_log_start = mock_dma_log_start;
	ops->dma_log_stop = mock_dma_log_stop;
	ops->dma_log_read = mock_dma_log_read;
}

static void mock_half_dma_log(struct nvvgpu_backend_ops *ops)
{
	ops->dma_log_stop = mock_vf_op;
}

static void mock_display(struct nvvgpu_backend_ops *ops)
{
	ops->get_type_info = mock_get_type_with_display;
	ops->get_plane = mock_get_plane;
	ops->get_edid = mock_get_edid;
	ops->set_edid = mock_set_edid;
}

static void mock_half_display(struct nvvgpu_backend_ops *ops)
{
	mock_display(ops);
	ops->set_edid = NULL;
}

#define MOCK_TABLE(_name, _change)	{ _name, .change = mock_##_change }
#define MOCK_WITHOUT(_op) \
	{ "no-" #_op, .hole = offsetof(struct nvvgpu_backend_ops, _op) }

static const struct {
	const char *name;
	void (*change)(struct nvvgpu_backend_ops *ops);
	size_t hole;
} mock_tables[] = {
	{ "sound" },
	MOCK_TABLE("minimal", minimal),
	MOCK_TABLE("built-in", built_in),
	MOCK_TABLE("provisioned", provisioned),
	MOCK_TABLE("larger", larger),
	MOCK_TABLE("nameless", nameless),
	MOCK_TABLE("restless", restless),
	MOCK_TABLE("nowhere", nowhere),
	MOCK_TABLE("spaced-stats", spaced_stats),
	MOCK_TABLE("old", old),
	MOCK_TABLE("new", new),
	MOCK_TABLE("major", major),
	MOCK_TABLE("short", short),
	MOCK_TABLE("empty", empty),
	MOCK_TABLE("no-name", no_name),
	MOCK_TABLE("two-words", two_words),
	MOCK_WITHOUT(get_types),
	MOCK_WITHOUT(get_type_info),
	MOCK_WITHOUT(get_available),
	MOCK_WITHOUT(create),
	MOCK_WITHOUT(delete),
	MOCK_WITHOUT(start),
	MOCK_WITHOUT(stop),
	MOCK_WITHOUT(reset_prepare),
	MOCK_WITHOUT(reset_done),
	MOCK_WITHOUT(get_bar_info),
	MOCK_WITHOUT(bar_read),
	MOCK_WITHOUT(bar_write),
	MOCK_TABLE("migration", migration),
	MOCK_TABLE("half-migration", half_migration),
	MOCK_TABLE("precopy-alone", precopy_alone),
	MOCK_TABLE("precopy-untold", precopy_untold),
	MOCK_TABLE("precopy-unable", precopy_unable),
	MOCK_TABLE("reinit-alone", reinit_alone),
	MOCK_TABLE("without-p2p", without_p2p),
	MOCK_TABLE("flags-alone", flags_alone),
	MOCK_TABLE("no-versions", no_versions),
	MOCK_TABLE("dma-log", dma_log),
	MOCK_TABLE("half-dma-log", half_dma_log),
	MOCK_TABLE("display", display),
	MOCK_TABLE("half-display", half_display),
};

static int mock_fill_table(struct mock *mock, const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(mock_tables); i++) {
		if (strcmp(mock_tables[i].name, name))
			continue;
		mock->ops = mock_sound;
		memset(mock->after, 0xff, sizeof(mock->after));
		if (mock_tables[i].change)
			mock_tables[i].change(&mock->ops);
		if (mock_tables[i].hole)
			memset((u8 *)&mock->ops + mock_tables[i].hole, 0,
			       sizeof(void *));
		return 0;
	}

	return -EINVAL;
}

static struct pci_dev *mock_find_pf(const char *name)
{
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev)
		if (!strcmp(pci_name(pdev), name))
			return pdev;

	return NULL;
}

static struct mock *mock_find(const char *name)
{
	struct mock *mock;

	lockdep_assert_held(&mock_mutex);

	list_for_each_entry(mock, &mocks, node)
		if (!strcmp(pci_name(mock->pf), name))
			return mock;

	return NULL;
}

static void mock_free(struct mock *mock)
{
	pci_dev_put(mock->pf);
	kfree(mock);
}

static int mock_register(const char *name, const char *table)
{
	struct mock *mock;
	int ret;

	lockdep_assert_held(&mock_mutex);

	mock = kzalloc_obj(*mock, GFP_KERNEL);
	if (!mock)
		return -ENOMEM;
	ret = mock_fill_table(mock, table);
	if (ret)
		goto out_free;
	mock->pf = mock_find_pf(name);
	if (!mock->pf) {
		ret = -ENXIO;
		goto out_free;
	}

	if (pci_sriov_get_totalvfs(mock->pf) > MOCK_MAX_VFS) {
		ret = -ERANGE;
		goto out_free;
	}

	ret = nvvgpu_backend_register(mock->pf, &mock->ops, mock,
				      &mock->backend);
	if (ret)
		goto out_free;
	/* Only the copy that the front-end has made may be used from now on. */
	memset(&mock->ops, 0xff, sizeof(mock->ops));
	list_add_tail(&mock->node, &mocks);

	return 0;

out_free:
	mock_free(mock);
	return ret;
}

static void mock_unregister(struct mock *mock)
{
	unsigned int vf;
	int left;

	lockdep_assert_held(&mock_mutex);

	list_del(&mock->node);
	left = nvvgpu_backend_unregister(mock->backend);
	nvvgpu_backend_free(mock->backend);
	mock->gone = true;
	for (vf = 0; vf < MOCK_MAX_VFS; vf++) {
		mock_expect(!mock->vgpus[vf].started,
			    "a vGPU is still started when the back-end has gone");
		if (!mock->provisioned)
			left -= mock->vgpus[vf].created;
	}
	mock_expect(!left,
		    "vGPUs that are left when the back-end has gone, and are not reported");
	mock_free(mock);
}

/* Copy one line from user space, without the newline. */
static int mock_line(const char __user *buf, size_t count, char *line,
		     size_t len)
{
	if (count >= len)
		return -E2BIG;
	if (copy_from_user(line, buf, count))
		return -EFAULT;
	line[count] = '\0';
	strim(line);

	return 0;
}

static ssize_t register_write(struct file *file, const char __user *buf,
			      size_t count, loff_t *ppos)
{
	char line[64], pf[32], table[32];
	int ret;

	ret = mock_line(buf, count, line, sizeof(line));
	if (ret)
		return ret;
	if (sscanf(line, "%31s %31s", pf, table) != 2)
		return -EINVAL;

	guard(mutex)(&mock_mutex);

	return mock_register(pf, table) ?: count;
}

static ssize_t unregister_write(struct file *file, const char __user *buf,
				size_t count, loff_t *ppos)
{
	struct mock *mock;
	char line[64];
	int ret;

	ret = mock_line(buf, count, line, sizeof(line));
	if (ret)
		return ret;

	guard(mutex)(&mock_mutex);

	mock = mock_find(line);
	if (!mock)
		return -ENOENT;
	mock_unregister(mock);

	return count;
}

static int mock_event(struct mock *mock, unsigned int vf, char *word)
{
	struct nvvgpu_event_info info = { .argsz = sizeof(info) };
	int event, nr = 0;

	if (!strcmp(word, NVVGPU_EVENT_NAME_TYPES)) {
		nvvgpu_backend_types_changed(mock->backend);
		return 0;
	}
	event = match_string(nvvgpu_event_names, NVVGPU_NR_EVENTS,
			     strsep(&word, ","));
	if (event < 0)
		return event;
	if (word) {
		nr = sscanf(word, "%u,%llx", &info.code, &info.address);
		if (nr < 1)
			return -EINVAL;
	}
	info.event = event;
	info.flags = (nr > 0 ? NVVGPU_EVENT_HAS_CODE : 0) |
		     (nr > 1 ? NVVGPU_EVENT_HAS_ADDRESS : 0);
	nvvgpu_backend_event(mock->backend, vf, &info);

	return 0;
}

static ssize_t event_write(struct file *file, const char __user *buf,
			   size_t count, loff_t *ppos)
{
	char line[1024], *text = line, *word;
	unsigned long flags;
	struct mock *mock;
	unsigned int vf;
	int ret;

	ret = mock_line(buf, count, line, sizeof(line));
	if (ret)
		return ret;

	guard(mutex)(&mock_mutex);

	mock = mock_find(strsep(&text, " ") ?: "");
	if (!mock)
		return -ENOENT;
	ret = kstrtouint(strsep(&text, " ") ?: "", 10, &vf);
	if (ret)
		return ret;

	/* Report the events like an interrupt handler. */
	local_irq_save(flags);
	while ((word = strsep(&text, " "))) {
		ret = mock_event(mock, vf, word);
		if (ret)
			break;
	}
	local_irq_restore(flags);

	return ret ?: count;
}

static struct mock *mock_find_vf(const char __user *buf, size_t count,
				 unsigned int *vf)
{
	struct mock *mock;
	char line[64], pf[32];
	int ret;

	ret = mock_line(buf, count, line, sizeof(line));
	if (ret)
		return ERR_PTR(ret);
	if (sscanf(line, "%31s %u", pf, vf) != 2 || *vf >= MOCK_MAX_VFS)
		return ERR_PTR(-EINVAL);
	mock = mock_find(pf);

	return mock ?: ERR_PTR(-ENOENT);
}

static ssize_t ready_write(struct file *file, const char __user *buf,
			   size_t count, loff_t *ppos)
{
	struct nvvgpu_type_info info = {
		.argsz = sizeof(info),
		.id = MOCK_TYPE,
		.name = "nvvgpu mock",
	};
	struct mock *mock;
	unsigned int vf;
	int ret;

	guard(mutex)(&mock_mutex);

	mock = mock_find_vf(buf, count, &vf);
	if (IS_ERR(mock))
		return PTR_ERR(mock);
	if (mock->vgpus[vf].created)
		return nvvgpu_backend_ready(mock->backend, vf, &info,
					    &mock->vgpus[vf]) ?: -EPROTO;

	mock->vgpus[vf].mock = mock;
	mock->vgpus[vf].vf = vf;
	mock->vgpus[vf].created = true;
	ret = nvvgpu_backend_ready(mock->backend, vf, &info, &mock->vgpus[vf]);
	if (ret)
		mock->vgpus[vf].created = false;
	else
		mock->provisioned = true;

	return ret ?: count;
}

static ssize_t unready_write(struct file *file, const char __user *buf,
			     size_t count, loff_t *ppos)
{
	struct mock *mock;
	unsigned int vf;
	int ret;

	guard(mutex)(&mock_mutex);

	mock = mock_find_vf(buf, count, &vf);
	if (IS_ERR(mock))
		return PTR_ERR(mock);
	ret = nvvgpu_backend_unready(mock->backend, vf);
	if (!ret)
		mock->vgpus[vf].created = false;

	return ret ?: count;
}

static int mock_op_number(const char *name)
{
	if (!strcmp(name, "none"))
		return -1;

	return match_string(mock_op_names, NR_OPS, name);
}

static ssize_t fail_write(struct file *file, const char __user *buf,
			  size_t count, loff_t *ppos)
{
	char line[64], name[32];
	int err = 0, ret;

	ret = mock_line(buf, count, line, sizeof(line));
	if (ret)
		return ret;
	ret = sscanf(line, "%31s %d", name, &err);
	if (ret < 1 || mock_op_number(name) < -1)
		return -EINVAL;
	WRITE_ONCE(mock_fail_errno, err);
	WRITE_ONCE(mock_fail_op, mock_op_number(name));

	return count;
}

static ssize_t block_write(struct file *file, const char __user *buf,
			   size_t count, loff_t *ppos)
{
	char line[64], name[32];
	int calls = INT_MAX, ret;

	ret = mock_line(buf, count, line, sizeof(line));
	if (ret)
		return ret;
	ret = sscanf(line, "%31s %d", name, &calls);
	if (ret < 1 || mock_op_number(name) < -1)
		return -EINVAL;
	atomic_set(&mock_block_calls, calls);
	WRITE_ONCE(mock_block_op, mock_op_number(name));
	wake_up_all(&mock_wait);

	return count;
}

static ssize_t chunk_write(struct file *file, const char __user *buf,
			   size_t count, loff_t *ppos)
{
	struct nvvgpu_chunk chunk = {};
	char line[96];
	int ret, answer;

	ret = mock_line(buf, count, line, sizeof(line));
	if (ret)
		return ret;
	if (sscanf(line, "%d %u %llx %llx", &answer, &chunk.length, &chunk.span,
		   &chunk.offset) != 4)
		return -EINVAL;
	mock_chunk = chunk;
	mock_chunk_ret = answer;

	return count;
}

static ssize_t bar_write(struct file *file, const char __user *buf,
			 size_t count, loff_t *ppos)
{
	u64 size = 0, from = 0, bytes = 0;
	u32 denied = 0;
	char line[64];
	int bar = -1;
	int ret;

	ret = mock_line(buf, count, line, sizeof(line));
	if (ret)
		return ret;
	if (strcmp(line, "none") &&
	    sscanf(line, "%d %llu %llu %llu %u", &bar, &size, &from, &bytes,
		   &denied) < 4)
		return -EINVAL;
	mock_bar_size = size;
	mock_bar_denied = denied;
	mock_bar_trapped.offset = from;
	mock_bar_trapped.length = bytes;
	WRITE_ONCE(mock_bar, bar);

	return count;
}

static ssize_t plane_write(struct file *file, const char __user *buf,
			   size_t count, loff_t *ppos)
{
	struct nvvgpu_plane plane = {};
	char line[96];
	int ret;

	ret = mock_line(buf, count, line, sizeof(line));
	if (ret)
		return ret;
	if (sscanf(line, "%u %u %u %u %u %llu", &plane.drm_format, &plane.width,
		   &plane.height, &plane.stride, &plane.bar,
		   &plane.offset) != 6)
		return -EINVAL;
	mock_plane = plane;

	return count;
}

static ssize_t flip_write(struct file *file, const char __user *buf,
			  size_t count, loff_t *ppos)
{
	unsigned int vf;
	struct mock *mock;
	char line[64], pf[32];
	int ret;

	ret = mock_line(buf, count, line, sizeof(line));
	if (ret)
		return ret;
	if (sscanf(line, "%31s %u", pf, &vf) != 2)
		return -EINVAL;

	guard(mutex)(&mock_mutex);

	mock = mock_find(pf);
	if (!mock)
		return -ENOENT;
	nvvgpu_backend_flip(mock->backend, vf);

	return count;
}

static int calls_show(struct seq_file *m, void *unused)
{
	int op;

	for (op = 0; op < NR_OPS; op++)
		seq_printf(m, "%s %lld\n", mock_op_names[op],
			   atomic64_read(&mock_calls[op]));
	seq_printf(m, "violations %lld\n", atomic64_read(&mock_violations));

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(calls);

#define MOCK_WRITE_FOPS(_name)					\
static const struct file_operations _name##_fops = {		\
	.owner = THIS_MODULE,					\
	.open = simple_open,					\
	.write = _name##_write,					\
}

MOCK_WRITE_FOPS(register);
MOCK_WRITE_FOPS(unregister);
MOCK_WRITE_FOPS(event);
MOCK_WRITE_FOPS(fail);
MOCK_WRITE_FOPS(ready);
MOCK_WRITE_FOPS(unready);
MOCK_WRITE_FOPS(block);
MOCK_WRITE_FOPS(chunk);
MOCK_WRITE_FOPS(bar);
MOCK_WRITE_FOPS(plane);
MOCK_WRITE_FOPS(flip);

static int __init mock_init(void)
{
	struct dentry *dir = debugfs_create_dir("nvvgpu-mock", NULL);

	mock_dir = dir;
	debugfs_create_file("register", 0200, dir, NULL, &register_fops);
	debugfs_create_file("unregister", 0200, dir, NULL, &unregister_fops);
	debugfs_create_file("event", 0200, dir, NULL, &event_fops);
	debugfs_create_file("ready", 0200, dir, NULL, &ready_fops);
	debugfs_create_file("unready", 0200, dir, NULL, &unready_fops);
	debugfs_create_file("fail", 0200, dir, NULL, &fail_fops);
	debugfs_create_file("block", 0200, dir, NULL, &block_fops);
	debugfs_create_file("chunk", 0200, dir, NULL, &chunk_fops);
	debugfs_create_u64("state_bytes", 0600, dir, &mock_state_bytes);
	debugfs_create_file("bar", 0200, dir, NULL, &bar_fops);
	debugfs_create_file("plane", 0200, dir, NULL, &plane_fops);
	debugfs_create_file("flip", 0200, dir, NULL, &flip_fops);
	debugfs_create_u32("placement", 0600, dir, &mock_placement);
	debugfs_create_u32("types", 0600, dir, &mock_types);
	debugfs_create_u64("log_page", 0600, dir, &mock_log_page);
	debugfs_create_u32("master", 0600, dir, &mock_master);
	debugfs_create_file("calls", 0400, dir, NULL, &calls_fops);

	return 0;
}

static void __exit mock_exit(void)
{
	struct mock *mock, *next;

	debugfs_remove(mock_dir);

	guard(mutex)(&mock_mutex);
	list_for_each_entry_safe(mock, next, &mocks, node)
		mock_unregister(mock);
}

module_init(mock_init);
module_exit(mock_exit);

MODULE_IMPORT_NS("NVVGPU");
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("nvvgpu back-end without hardware, for selftests");
