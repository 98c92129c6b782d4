// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every call into a back-end.
 *
 * Each operation has one function here, which asserts the lock that the
 * contract promises, traces the call and checks the answer.
 */
#include <kunit/visibility.h>
#include <linux/ctype.h>
#include <linux/delay.h>
#include <linux/export.h>
#include <linux/log2.h>
#include <linux/pci.h>
#include <linux/sizes.h>

#include "nvvgpu.h"

/* No state is larger, and a sum of two such sizes does not overflow. */
#define NVVGPU_STATE_MAX	BIT_ULL(60)

#define CREATE_TRACE_POINTS
#include "trace.h"

/* The operations, for a caller that may call those of a VF */
static const struct nvvgpu_backend_ops *nvvgpu_ops(struct nvvgpu *vgpu)
{
	lockdep_assert_held(&vgpu->state_mutex);

	return vgpu->backend->ops;
}

/**
 * nvvgpu_complain() - log that an answer violates the contract
 * @backend: the back-end
 * @vgpu: the VF, NULL for an operation that has none
 * @fmt: format of the message, without a newline
 *
 * The rate is limited per VF, or per back-end without @vgpu, and apart from that of
 * nvvgpu_fail(): a user who can provoke complaints must not hide failures.
 */
void nvvgpu_complain(struct nvvgpu_backend *backend, struct nvvgpu *vgpu,
		     const char *fmt, ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	if (!__ratelimit(vgpu ? &vgpu->complaint_limit : &backend->complaint_limit))
		return;

	va_start(args, fmt);
	vaf.va = &args;
	dev_err(vgpu ? nvvgpu_dev(vgpu) : &backend->pf->pdev->dev,
		"back-end %s: %pV\n", backend->table.name, &vaf);
	va_end(args);
}

/*
 * Pass on a number up to @most or an errno that user space knows.  Callers take
 * anything else for a result, an open file or a system call to be restarted.
 */
static int nvvgpu_answer(struct nvvgpu_backend *backend, struct nvvgpu *vgpu,
			 const char *op, int most, int ret)
{
	if (ret <= most && ret > -ERESTARTSYS)
		return ret;

	nvvgpu_complain(backend, vgpu, "%s returned %d", op, ret);

	return -EPROTO;
}

/* Trace and check the answer of an operation that returns a number. */
static int nvvgpu_counted(struct nvvgpu *vgpu, const char *op, int ret)
{
	trace_nvvgpu_op(vgpu, op, ret);

	return nvvgpu_answer(vgpu->backend, vgpu, op, INT_MAX, ret);
}

/* Trace and check the answer of an operation that returns 0 or an errno. */
static int nvvgpu_traced(struct nvvgpu *vgpu, const char *op, int ret)
{
	trace_nvvgpu_op(vgpu, op, ret);

	return nvvgpu_answer(vgpu->backend, vgpu, op, 0, ret);
}

/* Likewise, for an operation that has no VF */
static int nvvgpu_pf_traced(struct nvvgpu_backend *backend, const char *op,
			    int most, int ret)
{
	trace_nvvgpu_pf_op(backend->pf, op, ret);

	return nvvgpu_answer(backend, NULL, op, most, ret);
}

/**
 * nvvgpu_can() - report the optional operations of a back-end
 * @backend: the back-end
 *
 * Return: NVVGPU_CAN_* flags
 */
u32 nvvgpu_can(const struct nvvgpu_backend *backend)
{
	const struct nvvgpu_backend_ops *ops = backend->ops;

	return (ops->reset_prepare ? NVVGPU_CAN_RESET : 0) |
	       (ops->get_bar_info ? NVVGPU_CAN_SHAPE : 0) |
	       (ops->bar_read ? NVVGPU_CAN_TRAP : 0) |
	       (ops->suspend ? NVVGPU_CAN_MIGRATE : 0) |
	       (ops->mig_flags & NVVGPU_MIG_P2P ? NVVGPU_CAN_P2P : 0) |
	       (ops->mig_flags & NVVGPU_MIG_PRE_COPY ? NVVGPU_CAN_PRECOPY : 0) |
	       (ops->mig_flags & NVVGPU_MIG_REINIT ? NVVGPU_CAN_REINIT : 0) |
	       (ops->save_ahead ? NVVGPU_CAN_SAVE_AHEAD : 0) |
	       (ops->dma_log_start ? NVVGPU_CAN_LOG_DMA : 0) |
	       (ops->get_stats ? NVVGPU_CAN_STATS : 0) |
	       (ops->get_placement ? NVVGPU_CAN_PLACEMENT : 0) |
	       (ops->recover ? NVVGPU_CAN_RECOVER : 0) |
	       (ops->get_plane ? NVVGPU_CAN_DISPLAY : 0) |
	       (ops->get_placements ? NVVGPU_CAN_LIST_PLACES : 0) |
	       (ops->create ? NVVGPU_CAN_CREATE : 0);
}

/**
 * nvvgpu_query_limit_init() - limit how often readers ask a back-end
 * @limit: limit shared by one or more files: ten reads a second in total
 */
void nvvgpu_query_limit_init(struct ratelimit_state *limit)
{
	ratelimit_state_init(limit, HZ, 10);
	/* Nothing is logged about readers who wait. */
	ratelimit_set_flags(limit, RATELIMIT_MSG_ON_RELEASE);
}

/**
 * nvvgpu_query_wait() - wait until a reader may call the back-end
 * @limit: limit set up by nvvgpu_query_limit_init()
 * @leaving: set before the file is removed, which waits for its readers
 *
 * Return: 0; -ENODEV if the file is being removed; -ERESTARTSYS on a signal
 */
int nvvgpu_query_wait(struct ratelimit_state *limit, const bool *leaving)
{
	while (!__ratelimit(limit)) {
		if (READ_ONCE(*leaving))
			return -ENODEV;
		if (msleep_interruptible(20))
			return -ERESTARTSYS;
	}

	return 0;
}

/**
 * nvvgpu_op_get_types() - list the types of a back-end
 * @backend: the back-end
 * @ids: room for NVVGPU_MAX_TYPES ids
 *
 * Return: their number; -EOVERFLOW when the back-end reports too many, or the
 * error of the back-end
 */
int nvvgpu_op_get_types(struct nvvgpu_backend *backend, u32 *ids)
{
	int nr;

	nr = nvvgpu_pf_traced(backend, "get_types", INT_MAX,
			      backend->ops->get_types(backend->priv, ids,
						      NVVGPU_MAX_TYPES));

	return nr > NVVGPU_MAX_TYPES ? -EOVERFLOW : nr;
}

const char * const nvvgpu_class_names[NVVGPU_NR_CLASSES] = {
	[NVVGPU_CLASS_ANY] = "any",
	[NVVGPU_CLASS_COMPUTE] = "compute",
	[NVVGPU_CLASS_WORKSTATION] = "workstation",
	[NVVGPU_CLASS_DESKTOP] = "desktop",
	[NVVGPU_CLASS_APPLICATIONS] = "applications",
};
EXPORT_SYMBOL_NS_GPL(nvvgpu_class_names, "NVVGPU");

/**
 * nvvgpu_word_valid() - check the name of a back-end or of a counter
 * @name: name from the back-end, may be NULL
 *
 * Return: false unless files in sysfs can show it as one word
 */
bool nvvgpu_word_valid(const char *name)
{
	size_t i;

	if (!name || !name[0])
		return false;
	for (i = 0; name[i]; i++)
		if (i == NVVGPU_NAME_LEN - 1 || !isascii(name[i]) ||
		    !isgraph(name[i]))
			return false;

	return true;
}

/**
 * nvvgpu_type_name_valid() - check the name of a type
 * @name: NVVGPU_NAME_LEN bytes
 *
 * Tools split the lines that show a name at colons, double quotes and single
 * spaces.
 *
 * Context: any.
 *
 * Return: true if it consists of printable ASCII without colons and double
 * quotes, and of words with single spaces between them
 */
bool nvvgpu_type_name_valid(const char *name)
{
	size_t i, len = strnlen(name, NVVGPU_NAME_LEN);

	if (!len || len == NVVGPU_NAME_LEN || name[0] == ' ' ||
	    name[len - 1] == ' ')
		return false;

	for (i = 0; i < len; i++) {
		/* isprint() accepts the upper half of Latin-1, too. */
		if (!isascii(name[i]) || !isprint(name[i]) ||
		    strchr(":\"", name[i]))
			return false;
		if (name[i] == ' ' && name[i + 1] == ' ')
			return false;
	}

	return true;
}
EXPORT_SYMBOL_NS_GPL(nvvgpu_type_name_valid, "NVVGPU");

/**
 * nvvgpu_type_valid() - check the description of a type
 * @info: description from the back-end
 *
 * Return: false if it violates the contract
 */
bool nvvgpu_type_valid(const struct nvvgpu_type_info *info)
{
	return info->id && info->id <= INT_MAX &&
	       nvvgpu_type_name_valid(info->name) &&
	       info->class < NVVGPU_NR_CLASSES;
}

/**
 * nvvgpu_op_get_type_info() - describe a type
 * @backend: the back-end
 * @type: id of the type
 * @info: filled in
 *
 * Return: 0; -ENOENT for an unknown type; -EPROTO when the answer violates the
 * contract; or the error of the back-end
 */
int nvvgpu_op_get_type_info(struct nvvgpu_backend *backend, u32 type,
			    struct nvvgpu_type_info *info)
{
	int ret;

	if (!type)
		return -ENOENT;

	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	ret = nvvgpu_pf_traced(backend, "get_type_info", 0,
			       backend->ops->get_type_info(backend->priv, type,
							   info));
	if (ret)
		return ret;

	if (info->id != type || !nvvgpu_type_valid(info)) {
		nvvgpu_complain(backend, NULL, "type %u is malformed", type);
		return -EPROTO;
	}

	return 0;
}

/**
 * nvvgpu_op_get_available() - count the vGPUs of a type that can be created
 * @backend: the back-end
 * @type: id of the type
 * @placement: requested placement, or NVVGPU_PLACEMENT_ANY
 * @reason: NVVGPU_REASON_LEN bytes, filled in when there are none
 *
 * Return: how many; -ENOENT for an unknown type, or the error of the back-end
 */
int nvvgpu_op_get_available(struct nvvgpu_backend *backend, u32 type,
			    u32 placement, char *reason)
{
	int nr;

	reason[0] = '\0';
	nr = nvvgpu_pf_traced(backend, "get_available", INT_MAX,
			      backend->ops->get_available(backend->priv, type,
							  placement, reason,
							  NVVGPU_REASON_LEN));
	reason[NVVGPU_REASON_LEN - 1] = '\0';

	return nr;
}

/**
 * nvvgpu_op_get_placements() - list the placements that a type can have
 * @backend: the back-end
 * @type: id of the type
 * @placements: room for NVVGPU_MAX_PLACEMENTS
 *
 * Return: how many; -ENOENT for an unknown type; -EOVERFLOW when the back-end
 * reports too many, or the error of the back-end
 */
int nvvgpu_op_get_placements(struct nvvgpu_backend *backend, u32 type,
			     u32 *placements)
{
	int nr;

	nr = nvvgpu_pf_traced(backend, "get_placements", INT_MAX,
			      backend->ops->get_placements(backend->priv, type,
							   placements,
							   NVVGPU_MAX_PLACEMENTS));

	return nr > NVVGPU_MAX_PLACEMENTS ? -EOVERFLOW : nr;
}

/**
 * nvvgpu_op_create() - create a vGPU
 * @vgpu: the VF
 * @type: id of the type
 * @placement: requested placement, replaced by the actual one
 *
 * Return: 0; -EPROTO when the back-end gives no handle; or the error of the
 * back-end
 */
int nvvgpu_op_create(struct nvvgpu *vgpu, u32 type, u32 *placement)
{
	int ret;

	vgpu->handle = NULL;
	ret = nvvgpu_traced(vgpu, "create",
			    nvvgpu_ops(vgpu)->create(vgpu->backend->priv,
						     vgpu->vf, type, placement,
						     &vgpu->handle));
	if (ret)
		return ret;
	if (!vgpu->handle) {
		nvvgpu_complain(vgpu->backend, vgpu,
				"create returned no handle");
		return -EPROTO;
	}

	return 0;
}

/**
 * nvvgpu_op_delete() - delete a vGPU
 * @vgpu: the VF
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_op_delete(struct nvvgpu *vgpu)
{
	int ret;

	guard(mutex)(&vgpu->query_mutex);

	ret = nvvgpu_traced(vgpu, "delete",
			    nvvgpu_ops(vgpu)->delete(vgpu->handle));
	if (!ret)
		vgpu->queryable = false;
	nvvgpu_forget_stats(vgpu);

	return ret;
}

/**
 * nvvgpu_op_delete_stale() - try again to delete a vGPU whose VF is gone
 * @backend: the back-end
 * @handle: handle of the vGPU
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_op_delete_stale(struct nvvgpu_backend *backend, void *handle)
{
	return nvvgpu_pf_traced(backend, "delete", 0,
				backend->ops->delete(handle));
}

/**
 * nvvgpu_op_start() - start a vGPU
 * @vgpu: the VF
 * @ctx: user of the vGPU
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_op_start(struct nvvgpu *vgpu, const struct nvvgpu_vm_context *ctx)
{
	return nvvgpu_traced(vgpu, "start",
			     nvvgpu_ops(vgpu)->start(vgpu->handle, ctx));
}

/**
 * nvvgpu_op_stop() - stop a vGPU
 * @vgpu: the VF
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_op_stop(struct nvvgpu *vgpu)
{
	return nvvgpu_traced(vgpu, "stop",
			     nvvgpu_ops(vgpu)->stop(vgpu->handle));
}

/**
 * nvvgpu_op_reset_prepare() - quiesce a vGPU before a reset
 * @vgpu: the VF
 */
void nvvgpu_op_reset_prepare(struct nvvgpu *vgpu)
{
	nvvgpu_ops(vgpu)->reset_prepare(vgpu->handle);
	nvvgpu_traced(vgpu, "reset_prepare", 0);
}

/**
 * nvvgpu_op_reset_done() - bring a vGPU back after a reset
 * @vgpu: the VF
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_op_reset_done(struct nvvgpu *vgpu)
{
	return nvvgpu_traced(vgpu, "reset_done",
			     nvvgpu_ops(vgpu)->reset_done(vgpu->handle));
}

/**
 * nvvgpu_op_recover() - bring a crashed vGPU back in place
 * @vgpu: the VF, its vGPU stopped
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_op_recover(struct nvvgpu *vgpu)
{
	return nvvgpu_traced(vgpu, "recover",
			     nvvgpu_ops(vgpu)->recover(vgpu->handle));
}

/**
 * nvvgpu_op_get_bar_info() - ask for the shape of a BAR
 * @vgpu: the VF
 * @bar: number of the BAR
 * @info: the shape of the VF's own BAR, modified
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_op_get_bar_info(struct nvvgpu *vgpu, unsigned int bar,
			   struct nvvgpu_bar_info *info)
{
	return nvvgpu_traced(vgpu, "get_bar_info",
			     nvvgpu_ops(vgpu)->get_bar_info(vgpu->handle, bar,
							    info));
}

/**
 * nvvgpu_op_bar_rw() - access a trapped area
 * @vgpu: the VF
 * @bar: number of the BAR
 * @offset: offset in the BAR
 * @val: buffer of the value
 * @len: 1, 2, 4 or 8 bytes
 * @iswrite: direction
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_op_bar_rw(struct nvvgpu *vgpu, unsigned int bar, u64 offset,
		     void *val, size_t len, bool iswrite)
{
	const struct nvvgpu_backend_ops *ops = nvvgpu_ops(vgpu);

	if (iswrite)
		return nvvgpu_traced(vgpu, "bar_write",
				     ops->bar_write(vgpu->handle, bar, offset,
						    val, len));

	return nvvgpu_traced(vgpu, "bar_read",
			     ops->bar_read(vgpu->handle, bar, offset, val,
					   len));
}

/**
 * nvvgpu_op_suspend() - quiesce a vGPU for migration
 * @vgpu: the VF
 * @level: suspend level
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_op_suspend(struct nvvgpu *vgpu, enum nvvgpu_suspend_level level)
{
	return nvvgpu_traced(vgpu, "suspend",
			     nvvgpu_ops(vgpu)->suspend(vgpu->handle, level));
}

/**
 * nvvgpu_op_resume() - let a suspended vGPU run
 * @vgpu: the VF
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_op_resume(struct nvvgpu *vgpu)
{
	return nvvgpu_traced(vgpu, "resume",
			     nvvgpu_ops(vgpu)->resume(vgpu->handle));
}

/**
 * nvvgpu_op_state_size() - estimate how much state is left to be saved
 * @vgpu: the VF
 * @bytes: filled in
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_op_state_size(struct nvvgpu *vgpu, u64 *bytes)
{
	int ret;

	*bytes = 0;
	ret = nvvgpu_traced(vgpu, "state_size",
			    nvvgpu_ops(vgpu)->state_size(vgpu->handle, bytes));
	*bytes = min(*bytes, NVVGPU_STATE_MAX);

	return ret;
}

/**
 * nvvgpu_op_save_begin() - begin to save
 * @vgpu: the VF
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_op_save_begin(struct nvvgpu *vgpu)
{
	return nvvgpu_traced(vgpu, "save_begin",
			     nvvgpu_ops(vgpu)->save_begin(vgpu->handle));
}

/* The destination refuses any other. */
static bool nvvgpu_chunk_valid(const struct nvvgpu_chunk *chunk)
{
	return chunk->length <= NVVGPU_MIG_DATA_MAX && chunk->span &&
	       chunk->span >= chunk->length &&
	       chunk->span - 1 <= U64_MAX - chunk->offset;
}

/**
 * nvvgpu_op_save() - save the next chunk
 * @vgpu: the VF
 * @chunk: filled in
 * @buf: NVVGPU_MIG_DATA_MAX bytes
 *
 * Return: 1 with a chunk, 0 without; -EPROTO when the answer violates the
 * contract; or the error of the back-end
 */
int nvvgpu_op_save(struct nvvgpu *vgpu, struct nvvgpu_chunk *chunk, void *buf)
{
	int ret = nvvgpu_counted(vgpu, "save",
				 nvvgpu_ops(vgpu)->save(vgpu->handle, chunk, buf,
							NVVGPU_MIG_DATA_MAX));

	if (!ret || (ret == 1 && nvvgpu_chunk_valid(chunk)))
		return ret;
	/* The data file uses -ENOMSG for itself. */
	if (ret < 0 && ret != -ENOMSG)
		return ret;

	nvvgpu_complain(vgpu->backend, vgpu,
			"save returned %d, chunk of %#x bytes for %#llx at %#llx",
			ret, chunk->length, chunk->span, chunk->offset);

	return -EPROTO;
}

/**
 * nvvgpu_op_save_ahead() - let the back-end fill the buffer of the next chunk
 * @vgpu: the VF
 * @buf: NVVGPU_MIG_DATA_MAX bytes
 */
void nvvgpu_op_save_ahead(struct nvvgpu *vgpu, void *buf)
{
	nvvgpu_ops(vgpu)->save_ahead(vgpu->handle, buf, NVVGPU_MIG_DATA_MAX);
	nvvgpu_traced(vgpu, "save_ahead", 0);
}

/**
 * nvvgpu_op_save_end() - end saving
 * @vgpu: the VF
 */
void nvvgpu_op_save_end(struct nvvgpu *vgpu)
{
	nvvgpu_ops(vgpu)->save_end(vgpu->handle);
	nvvgpu_traced(vgpu, "save_end", 0);
}

/**
 * nvvgpu_op_load_begin() - begin to load
 * @vgpu: the VF
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_op_load_begin(struct nvvgpu *vgpu)
{
	return nvvgpu_traced(vgpu, "load_begin",
			     nvvgpu_ops(vgpu)->load_begin(vgpu->handle));
}

/**
 * nvvgpu_op_load() - load a chunk
 * @vgpu: the VF
 * @chunk: the chunk
 * @buf: data of the chunk
 *
 * Return: 0; -EINVAL for an invalid chunk, or the error of the back-end
 */
int nvvgpu_op_load(struct nvvgpu *vgpu, const struct nvvgpu_chunk *chunk,
		   const void *buf)
{
	return nvvgpu_traced(vgpu, "load",
			     nvvgpu_ops(vgpu)->load(vgpu->handle, chunk, buf));
}

/**
 * nvvgpu_op_load_end() - commit or discard the loaded state
 * @vgpu: the VF
 * @commit: true to commit, false to discard
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_op_load_end(struct nvvgpu *vgpu, bool commit)
{
	return nvvgpu_traced(vgpu, commit ? "load_end" : "load_abort",
			     nvvgpu_ops(vgpu)->load_end(vgpu->handle, commit));
}

/**
 * nvvgpu_op_precopy_estimate() - estimate how much pre-copy has left to do
 * @vgpu: the VF
 * @initial: filled in, bytes never sent
 * @dirty: filled in, bytes changed since they were sent
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_op_precopy_estimate(struct nvvgpu *vgpu, u64 *initial, u64 *dirty)
{
	int ret;

	*initial = 0;
	*dirty = 0;
	ret = nvvgpu_traced(vgpu, "precopy_estimate",
			    nvvgpu_ops(vgpu)->precopy_estimate(vgpu->handle,
							       initial, dirty));
	*initial = min(*initial, NVVGPU_STATE_MAX);
	*dirty = min(*dirty, NVVGPU_STATE_MAX);

	return ret;
}

/**
 * nvvgpu_op_dma_log_start() - begin to log DMA writes
 * @vgpu: the VF
 * @ranges: the IOVA ranges
 * @nr: their number
 * @page_size: requested page size, replaced by the actual one
 *
 * Return: 0; -EPROTO when the page size violates the contract, or the error of
 * the back-end
 */
int nvvgpu_op_dma_log_start(struct nvvgpu *vgpu,
			    const struct nvvgpu_range *ranges, u32 nr,
			    u64 *page_size)
{
	int ret = nvvgpu_traced(vgpu, "dma_log_start",
				nvvgpu_ops(vgpu)->dma_log_start(vgpu->handle,
								ranges, nr,
								page_size));

	if (!ret && (*page_size < SZ_4K || *page_size > NVVGPU_LOG_PAGE_MAX ||
		     !is_power_of_2(*page_size))) {
		nvvgpu_complain(vgpu->backend, vgpu,
				"dma_log_start returned pages of %#llx bytes",
				*page_size);
		nvvgpu_op_dma_log_stop(vgpu);
		return -EPROTO;
	}

	return ret;
}

/**
 * nvvgpu_op_dma_log_stop() - end the log of DMA writes
 * @vgpu: the VF
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_op_dma_log_stop(struct nvvgpu *vgpu)
{
	return nvvgpu_traced(vgpu, "dma_log_stop",
			     nvvgpu_ops(vgpu)->dma_log_stop(vgpu->handle));
}

/**
 * nvvgpu_op_dma_log_read() - read and clear the log of DMA writes
 * @vgpu: the VF
 * @iova: start of the range
 * @length: bytes in the range
 * @bits: zeroed bitmap, one bit for each page
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_op_dma_log_read(struct nvvgpu *vgpu, u64 iova, u64 length, u8 *bits)
{
	return nvvgpu_traced(vgpu, "dma_log_read",
			     nvvgpu_ops(vgpu)->dma_log_read(vgpu->handle, iova,
							    length, bits));
}

/**
 * nvvgpu_op_get_stats() - read the counters of a vGPU
 * @vgpu: the VF, query_mutex held instead of state_mutex
 * @stats: room for NVVGPU_MAX_STATS counters
 *
 * Return: how many there are; -EPROTO when the answer violates the contract; or the
 * error of the back-end
 */
int nvvgpu_op_get_stats(struct nvvgpu *vgpu, struct nvvgpu_stat *stats)
{
	struct nvvgpu_backend *backend = vgpu->backend;
	int nr, i;

	lockdep_assert_held(&vgpu->query_mutex);

	nr = nvvgpu_counted(vgpu, "get_stats",
			    backend->ops->get_stats(vgpu->handle, stats,
						    NVVGPU_MAX_STATS));
	if (nr > NVVGPU_MAX_STATS) {
		nvvgpu_complain(backend, vgpu, "get_stats returned %d counters",
				nr);
		return -EPROTO;
	}
	for (i = 0; i < nr; i++) {
		if (nvvgpu_word_valid(stats[i].name))
			continue;
		nvvgpu_complain(backend, vgpu,
				"get_stats returned an invalid name for counter %d",
				i);
		return -EPROTO;
	}

	return nr;
}

/**
 * nvvgpu_op_get_placement() - ask where a vGPU is
 * @vgpu: the VF
 * @placement: filled in
 *
 * Return: 0; -EPROTO when the answer violates the contract; or the error of the
 * back-end
 */
int nvvgpu_op_get_placement(struct nvvgpu *vgpu, u32 *placement)
{
	int ret;

	*placement = NVVGPU_PLACEMENT_ANY;
	ret = nvvgpu_traced(vgpu, "get_placement",
			    nvvgpu_ops(vgpu)->get_placement(vgpu->handle,
							    placement));

	if (!ret && *placement > INT_MAX) {
		nvvgpu_complain(vgpu->backend, vgpu,
				"get_placement returned placement %#x",
				*placement);
		return -EPROTO;
	}

	return ret;
}

/**
 * nvvgpu_op_get_plane() - ask for the picture on the first display
 * @vgpu: the VF
 * @plane: filled in, not checked
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_op_get_plane(struct nvvgpu *vgpu, struct nvvgpu_plane *plane)
{
	memset(plane, 0, sizeof(*plane));
	plane->argsz = sizeof(*plane);

	return nvvgpu_traced(vgpu, "get_plane",
			     nvvgpu_ops(vgpu)->get_plane(vgpu->handle, plane));
}

/**
 * nvvgpu_op_get_edid() - ask for the EDID of the first display
 * @vgpu: the VF
 * @edid: room for NVVGPU_EDID_LEN bytes, not checked
 *
 * Return: its length; -EPROTO if that violates the contract; or the error of
 * the back-end
 */
int nvvgpu_op_get_edid(struct nvvgpu *vgpu, u8 *edid)
{
	int ret = nvvgpu_counted(vgpu, "get_edid",
				 nvvgpu_ops(vgpu)->get_edid(vgpu->handle, edid,
							    NVVGPU_EDID_LEN));

	if (ret > NVVGPU_EDID_LEN) {
		nvvgpu_complain(vgpu->backend, vgpu,
				"get_edid returned %d bytes", ret);
		return -EPROTO;
	}

	return ret;
}

/**
 * nvvgpu_op_set_edid() - replace the monitor of the first display
 * @vgpu: the VF
 * @edid: EDID of the monitor, already checked
 * @length: bytes of @edid, 0 to unplug the monitor
 *
 * Return: 0 or the error of the back-end
 */
int nvvgpu_op_set_edid(struct nvvgpu *vgpu, const u8 *edid, size_t length)
{
	return nvvgpu_traced(vgpu, "set_edid",
			     nvvgpu_ops(vgpu)->set_edid(vgpu->handle, edid,
							length));
}
