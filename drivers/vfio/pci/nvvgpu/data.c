// SPDX-License-Identifier: GPL-2.0-only
/*
 * The data file of a migration, through which the state of a vGPU is saved or
 * loaded.
 *
 * The file may outlive its session, and even the binding of the VF.  The
 * session's buffers do not.  They are accessed under state_mutex with page faults
 * disabled, so a session can end at any time, and no user can delay its end.
 *
 * Two records alternate.  While the user reads one, or writes it, the GPU may
 * fill or read the other.
 */
#include <kunit/visibility.h>
#include <linux/anon_inodes.h>
#include <linux/export.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/poll.h>
#include <linux/refcount.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vmalloc.h>

#include "nvvgpu.h"
#include "stream.h"

/**
 * struct nvvgpu_data - the data file of one session
 * @file: the file
 * @vgpu: the VF, its device is referenced until @users drops to 0
 * @loading: state is loaded, not saved
 * @users: the session, and each operation on the file that is in progress
 * @lock: one reader or writer at a time; protects everything down to @error
 * @own: header of this vGPU: sent when saving, expected when loading
 * @records: two records, which take turns; under state_mutex their buffers,
 *	which are freed when the session ends
 * @index: record of @records that the user reads or writes
 * @heading: the user is reading @own, not a record
 * @size: bytes of the header or record that is being read
 * @left: bytes of it that have not been read; read without @lock for estimates
 * @number: records saved so far
 * @early: records of the first round, 0 until that is over
 * @again: remaining bytes that count as initial after a change of the layout
 * @at_end: the end record has been built; read without @lock for estimates
 * @stream: the stream being received
 * @error: errno if saving or loading has failed, else 0; read without @lock
 * @changed: a change of the vGPU's layout has not been reported to the user
 *	yet; under state_mutex
 * @whole: the end of the stream has been received; under state_mutex
 * @empty: no data is left to be read, and nothing has changed since; under
 *	state_mutex, read without it by poll
 * @ended: the session is over; under state_mutex, read without it by poll
 * @wait: woken when @empty or @ended changes
 */
struct nvvgpu_data {
	struct file *file;
	struct nvvgpu *vgpu;
	bool loading;
	refcount_t users;

	struct mutex lock; /* see above */
	struct nvvgpu_mig_header own;
	struct nvvgpu_record records[2];
	unsigned int index;
	bool heading;
	size_t size;
	size_t left;
	u64 number;
	u64 early;
	u64 again;
	bool at_end;
	struct nvvgpu_stream stream;
	int error;

	bool changed;
	bool whole;
	bool empty;
	bool ended;
	wait_queue_head_t wait;
};

/* Bytes of a state record before the data of the back-end */
#define NVVGPU_RECORD_HEAD	offsetof(struct nvvgpu_record, data)

static_assert(sizeof(struct nvvgpu_mig_record) +
	      sizeof(struct nvvgpu_mig_state) == NVVGPU_RECORD_HEAD);

static void nvvgpu_data_free_records(struct nvvgpu_data *data)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(data->records); i++) {
		void *buf = data->records[i].data;

		if (is_vmalloc_addr(buf))
			vfree(buf);
		else if (buf)
			folio_put(virt_to_folio(buf));
		data->records[i].data = NULL;
	}
}

/*
 * Allocate folios if possible, so that the GPU can access them; see @save in
 * the contract.
 */
static int nvvgpu_data_alloc_records(struct nvvgpu_data *data)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(data->records); i++) {
		struct nvvgpu_record *record = &data->records[i];
		struct folio *folio;

		folio = folio_alloc(GFP_KERNEL_ACCOUNT | __GFP_ZERO |
				    __GFP_NORETRY | __GFP_NOWARN,
				    get_order(NVVGPU_MIG_DATA_MAX));
		record->data = folio ? folio_address(folio) :
			       __vmalloc(NVVGPU_MIG_DATA_MAX,
					 GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		if (!record->data)
			return -ENOMEM;
	}

	return 0;
}

static void nvvgpu_data_put(struct nvvgpu_data *data)
{
	if (refcount_dec_and_test(&data->users))
		put_device(&data->vgpu->core.vdev.device);
}

/* Begin an operation on the file, undone by nvvgpu_data_leave(). */
static int nvvgpu_data_enter(struct nvvgpu_data *data)
{
	if (!refcount_inc_not_zero(&data->users))
		return -ENODEV;
	if (mutex_lock_interruptible(&data->lock)) {
		nvvgpu_data_put(data);
		return -ERESTARTSYS;
	}

	return 0;
}

static void nvvgpu_data_leave(struct nvvgpu_data *data)
{
	mutex_unlock(&data->lock);
	nvvgpu_data_put(data);
}

/* Check whether the back-end of a session may be called. */
static int nvvgpu_data_check(struct nvvgpu_data *data)
{
	struct nvvgpu *vgpu = data->vgpu;

	lockdep_assert_held(&vgpu->state_mutex);

	if (data->ended)
		return -ENODEV;

	/* The end of a reset ends the session. */
	return vgpu->state == NVVGPU_OPEN && !vgpu->reset_prepared &&
	       !nvvgpu_event_pending(vgpu, NVVGPU_EVENT_CRASHED) ? 0 : -EIO;
}

/* Check whether the file can be used: the state of a crashed vGPU is useless. */
static int nvvgpu_data_refusal(struct nvvgpu_data *data)
{
	guard(nvvgpu)(data->vgpu);

	return nvvgpu_data_check(data) ?: data->error;
}

/*
 * Saving
 */

/* Save a chunk.  Return 1, 0 at the end, -ENOMSG if there is none for now. */
static int nvvgpu_data_fetch(struct nvvgpu_data *data,
			     struct nvvgpu_chunk *chunk, void *buf, void *ahead)
{
	struct nvvgpu *vgpu = data->vgpu;
	int ret;

	guard(nvvgpu)(vgpu);

	ret = nvvgpu_data_check(data);
	if (ret)
		return ret;

	ret = nvvgpu_op_save(vgpu, chunk, buf);
	if (ret < 0)
		return nvvgpu_refuse(vgpu, ret, "cannot save the vGPU's state");
	if (!ret && vgpu->mig_state != VFIO_DEVICE_STATE_STOP_COPY) {
		WRITE_ONCE(data->empty, true);
		return -ENOMSG;
	}
	if (ret && nvvgpu_can(vgpu->backend) & NVVGPU_CAN_SAVE_AHEAD)
		nvvgpu_op_save_ahead(vgpu, ahead);

	return ret;
}

/* Build the next record.  Return 0, or -ENOMSG if there is none for now. */
static int nvvgpu_data_save(struct nvvgpu_data *data)
{
	struct nvvgpu_record *record = &data->records[data->index];
	struct nvvgpu_record *next = &data->records[!data->index];
	u32 type = NVVGPU_MIG_END, length = 0;
	struct nvvgpu_chunk chunk = {};
	int ret;

	ret = nvvgpu_data_fetch(data, &chunk, record->data, next->data);
	if (ret < 0) {
		if (ret != -ENOMSG)
			data->error = ret;
		return ret;
	}

	if (ret) {
		type = NVVGPU_MIG_STATE;
		length = sizeof(record->state) + chunk.length;
		record->state.kind = cpu_to_le32(chunk.kind);
		record->state.flags = cpu_to_le32(chunk.flags);
		record->state.offset = cpu_to_le64(chunk.offset);
		record->state.span = cpu_to_le64(chunk.span);
	}
	nvvgpu_stream_head(record, type, data->number++, length);
	data->size = sizeof(record->head) + length;
	WRITE_ONCE(data->left, data->size);
	WRITE_ONCE(data->at_end, !ret);

	return 0;
}

/* Find the next data to be read, and the contiguous bytes there. */
static const void *nvvgpu_data_next(struct nvvgpu_data *data, size_t *n)
{
	const struct nvvgpu_record *record = &data->records[data->index];
	size_t pos = data->size - data->left;

	*n = data->left;
	if (data->heading)
		return (const void *)&data->own + pos;
	if (pos >= NVVGPU_RECORD_HEAD)
		return record->data + pos - NVVGPU_RECORD_HEAD;
	*n = min(*n, NVVGPU_RECORD_HEAD - pos);

	return (const void *)record + pos;
}

static void nvvgpu_data_consume(struct nvvgpu_data *data, size_t n)
{
	WRITE_ONCE(data->left, data->left - n);
	data->again -= min_t(u64, data->again, n);
	if (data->left)
		return;

	if (data->heading)
		data->heading = false;
	else
		data->index = !data->index;
}

/*
 * Copy some of the next data to the user.  Return how many bytes, or a negative
 * errno.  A page at a time, as the user's memory may be a slow BAR.
 */
static ssize_t nvvgpu_data_copy_out(struct nvvgpu_data *data, char __user *buf,
				    size_t len)
{
	const void *from;
	size_t n, left;
	int ret;

	for (;;) {
		scoped_guard(nvvgpu, data->vgpu) {
			ret = nvvgpu_data_check(data);
			if (ret)
				return ret;
			from = nvvgpu_data_next(data, &n);
			n = min3(n, len, (size_t)PAGE_SIZE);
			pagefault_disable();
			left = copy_to_user(buf, from, n);
			pagefault_enable();
		}
		if (left < n)
			return n - left;
		if (fault_in_safe_writeable(buf, n) == n)
			return -EFAULT;
		if (signal_pending(current))
			return -ERESTARTSYS;
	}
}

static ssize_t nvvgpu_data_read(struct file *file, char __user *buf, size_t len,
				loff_t *pos)
{
	struct nvvgpu_data *data = file->private_data;
	ssize_t done = 0;
	int ret;

	ret = nvvgpu_data_enter(data);
	if (ret)
		return ret;

	ret = nvvgpu_data_refusal(data);
	while (!ret && done < len) {
		ssize_t n;

		if (!data->left) {
			if (data->at_end)
				break;
			ret = nvvgpu_data_save(data);
			if (ret)
				break;
		}

		n = nvvgpu_data_copy_out(data, buf + done, len - done);
		if (n < 0) {
			ret = n;
			break;
		}
		nvvgpu_data_consume(data, n);
		done += n;
		if (signal_pending(current))
			break;
	}
	nvvgpu_data_leave(data);

	return done ?: ret;
}

static bool nvvgpu_data_precopy(struct nvvgpu_data *data)
{
	struct nvvgpu *vgpu = data->vgpu;

	lockdep_assert_held(&vgpu->state_mutex);

	return !data->ended &&
	       (vgpu->mig_state == VFIO_DEVICE_STATE_PRE_COPY ||
		vgpu->mig_state == VFIO_DEVICE_STATE_PRE_COPY_P2P);
}

/*
 * After a change of the layout, all remaining data counts as initial, until as
 * much has been read.
 */
static void nvvgpu_data_reinit(struct nvvgpu_data *data,
			       struct vfio_precopy_info *info)
{
	struct vfio_device *core_vdev = &data->vgpu->core.vdev;
	u64 left = info->initial_bytes + info->dirty_bytes;

	if (data->changed && left && core_vdev->precopy_info_v2) {
		data->changed = false;
		data->again = left;
		info->flags |= VFIO_PRECOPY_INFO_REINIT;
	}
	data->again = min(data->again, left);
	info->initial_bytes = max(info->initial_bytes, data->again);
	info->dirty_bytes = left - info->initial_bytes;
}

/**
 * nvvgpu_data_layout_changed() - handle a change of a vGPU's layout
 * @vgpu: the VF, locked
 *
 * Has no effect unless the back-end has NVVGPU_MIG_REINIT.
 */
void nvvgpu_data_layout_changed(struct nvvgpu *vgpu)
{
	lockdep_assert_held(&vgpu->state_mutex);

	if (vgpu->data && !vgpu->data->loading &&
	    nvvgpu_can(vgpu->backend) & NVVGPU_CAN_REINIT)
		vgpu->data->changed = true;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_data_layout_changed);

static int nvvgpu_data_precopy_info(struct nvvgpu_data *data,
				    struct vfio_precopy_info *info)
{
	struct nvvgpu *vgpu = data->vgpu;
	u64 initial, dirty;
	int ret;

	lockdep_assert_held(&data->lock);

	guard(nvvgpu)(vgpu);

	if (!nvvgpu_data_precopy(data))
		return -EINVAL;
	ret = nvvgpu_data_check(data);
	if (ret)
		return ret;

	ret = nvvgpu_op_precopy_estimate(vgpu, &initial, &dirty);
	if (ret)
		return ret;

	if (initial || dirty) {
		WRITE_ONCE(data->empty, false);
		wake_up_interruptible(&data->wait);
	}
	info->initial_bytes = initial;
	info->dirty_bytes = dirty;
	if (!initial && !data->early)
		data->early = data->number;
	if (initial || data->heading || data->number <= data->early)
		info->initial_bytes += data->left;
	else
		info->dirty_bytes += data->left;
	nvvgpu_data_reinit(data, info);

	return 0;
}

static long nvvgpu_data_ioctl(struct file *file, unsigned int cmd,
			      unsigned long arg)
{
	struct nvvgpu_data *data = file->private_data;
	struct vfio_precopy_info info = {};
	int ret;

	if (cmd != VFIO_MIG_GET_PRECOPY_INFO)
		return -ENOTTY;

	ret = nvvgpu_data_enter(data);
	if (ret)
		return ret == -ENODEV ? -EINVAL : ret;

	ret = vfio_check_precopy_ioctl(&data->vgpu->core.vdev, cmd, arg, &info);
	if (!ret)
		ret = nvvgpu_data_precopy_info(data, &info);
	nvvgpu_data_leave(data);
	if (ret)
		return ret;

	return copy_to_user((void __user *)arg, &info,
			    offsetofend(struct vfio_precopy_info, dirty_bytes)) ?
	       -EFAULT : 0;
}

/*
 * Loading
 */

/* Pass a state record to the back-end. */
static int nvvgpu_data_load(struct nvvgpu_data *data,
			    const struct nvvgpu_record *record)
{
	struct nvvgpu *vgpu = data->vgpu;
	struct nvvgpu_chunk chunk = {
		.kind = le32_to_cpu(record->state.kind),
		.flags = le32_to_cpu(record->state.flags),
		.offset = le64_to_cpu(record->state.offset),
		.span = le64_to_cpu(record->state.span),
		.length = nvvgpu_record_bytes(record),
	};
	int ret;

	guard(nvvgpu)(vgpu);

	ret = nvvgpu_data_check(data);
	if (ret)
		return ret;

	ret = nvvgpu_op_load(vgpu, &chunk, record->data);
	if (ret == -EINVAL)
		nvvgpu_refuse_stream(vgpu, ret,
				     "cannot load the vGPU's state: kind %u, offset %#llx, %#llx bytes",
				     chunk.kind, chunk.offset, chunk.span);
	else if (ret)
		nvvgpu_refuse_stream(vgpu, ret, "cannot load the vGPU's state");

	return ret;
}

static int nvvgpu_data_finish(struct nvvgpu_data *data)
{
	guard(nvvgpu)(data->vgpu);

	if (data->ended)
		return -ENODEV;
	data->whole = true;

	return 0;
}

static int nvvgpu_data_refuse(struct nvvgpu_data *data, int err)
{
	guard(nvvgpu)(data->vgpu);

	if (data->ended)
		return -ENODEV;
	data->whole = false;

	return nvvgpu_refuse_stream(data->vgpu, err,
				    "cannot load the migration stream: %s",
				    data->stream.why);
}

/* Consume @len more bytes, and handle the record if they complete it. */
static int nvvgpu_data_advance(struct nvvgpu_data *data, size_t len)
{
	struct nvvgpu_record *record = &data->records[data->index];
	int ret = nvvgpu_stream_advance(&data->stream, len);

	switch (ret) {
	case NVVGPU_STREAM_MORE:
		return 0;
	case NVVGPU_STREAM_STATE:
		ret = nvvgpu_data_load(data, record);
		/* The GPU may read the record until the next one is loaded. */
		data->index = !data->index;
		nvvgpu_stream_use(&data->stream, &data->records[data->index]);
		return ret;
	case NVVGPU_STREAM_END:
		return nvvgpu_data_finish(data);
	default:
		return nvvgpu_data_refuse(data, ret);
	}
}

/*
 * Copy bytes from the user, like nvvgpu_data_copy_out().  Return 0 if the stream
 * has no room for any.
 */
static ssize_t nvvgpu_data_copy_in(struct nvvgpu_data *data,
				   const char __user *buf, size_t len)
{
	size_t n, left;
	void *room;
	int ret;

	for (;;) {
		scoped_guard(nvvgpu, data->vgpu) {
			ret = nvvgpu_data_check(data);
			if (ret)
				return ret;
			room = nvvgpu_stream_room(&data->stream, &n);
			n = min3(n, len, (size_t)PAGE_SIZE);
			pagefault_disable();
			left = copy_from_user(room, buf, n);
			pagefault_enable();
		}
		if (!n || left < n)
			return n - left;
		if (fault_in_readable(buf, n) == n)
			return -EFAULT;
		if (signal_pending(current))
			return -ERESTARTSYS;
	}
}

static ssize_t nvvgpu_data_write(struct file *file, const char __user *buf,
				 size_t len, loff_t *pos)
{
	struct nvvgpu_data *data = file->private_data;
	ssize_t done = 0;
	int ret;

	ret = nvvgpu_data_enter(data);
	if (ret)
		return ret;

	ret = nvvgpu_data_refusal(data);
	while (!ret && done < len) {
		ssize_t n = nvvgpu_data_copy_in(data, buf + done, len - done);

		if (n < 0) {
			/* Bytes that were consumed before stay consumed. */
			ret = done ? 0 : n;
			break;
		}
		ret = nvvgpu_data_advance(data, n);
		if (ret) {
			WRITE_ONCE(data->error, ret);
			break;
		}
		done += n;
		if (signal_pending(current))
			break;
	}
	nvvgpu_data_leave(data);

	return ret ?: done;
}

/*
 * The file
 */

/* Takes no lock and calls no operation, so pollers cannot delay the vGPU. */
static __poll_t nvvgpu_data_poll(struct file *file, poll_table *wait)
{
	struct nvvgpu_data *data = file->private_data;

	poll_wait(file, &data->wait, wait);

	if (READ_ONCE(data->ended))
		return EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM | EPOLLHUP;
	if (data->loading)
		return EPOLLOUT | EPOLLWRNORM;

	return READ_ONCE(data->empty) ? 0 : EPOLLIN | EPOLLRDNORM;
}

/* The session holds a reference to the file, so it has ended already. */
static int nvvgpu_data_release(struct inode *inode, struct file *file)
{
	struct nvvgpu_data *data = file->private_data;

	mutex_destroy(&data->lock);
	kfree(data);

	return 0;
}

static const struct file_operations nvvgpu_save_fops = {
	.owner = THIS_MODULE,
	.read = nvvgpu_data_read,
	.poll = nvvgpu_data_poll,
	.unlocked_ioctl = nvvgpu_data_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = nvvgpu_data_release,
};

static const struct file_operations nvvgpu_load_fops = {
	.owner = THIS_MODULE,
	.write = nvvgpu_data_write,
	.poll = nvvgpu_data_poll,
	.release = nvvgpu_data_release,
};

static void nvvgpu_data_header(struct nvvgpu *vgpu,
			       struct nvvgpu_mig_header *header)
{
	const struct nvvgpu_backend_ops *table = &vgpu->backend->table;
	unsigned int i;

	header->type = cpu_to_le32(vgpu->type.id);
	strscpy(header->backend, table->name, sizeof(header->backend));
	header->fb_bytes = cpu_to_le64(vgpu->type.fb_bytes);
	for (i = 0; i < NVVGPU_MAX_BARS; i++)
		header->bar_bytes[i] = cpu_to_le64(vgpu->bars[i].info.size);
	header->backend_version = cpu_to_le32(table->state_version);
	nvvgpu_stream_header(header);
}

static void nvvgpu_data_free(struct nvvgpu_data *data)
{
	if (!data)
		return;

	nvvgpu_data_free_records(data);
	kfree(data);
}

DEFINE_FREE(nvvgpu_data, struct nvvgpu_data *, nvvgpu_data_free(_T))

/**
 * nvvgpu_data_open() - create the data file of a new session
 * @vgpu: the VF, locked; has no session
 * @loading: state is loaded, not saved
 *
 * Return: the file, with a reference for the user, and another one that
 * nvvgpu_data_close() drops; -ENOMEM; or the error of anon_inode_getfile()
 */
struct file *nvvgpu_data_open(struct nvvgpu *vgpu, bool loading)
{
	struct nvvgpu_data *data __free(nvvgpu_data) = NULL;
	struct file *file;

	lockdep_assert_held(&vgpu->state_mutex);

	data = kzalloc_obj(*data, GFP_KERNEL_ACCOUNT);
	if (!data || nvvgpu_data_alloc_records(data))
		return ERR_PTR(-ENOMEM);

	file = anon_inode_getfile("nvvgpu-migration",
				  loading ? &nvvgpu_load_fops :
					    &nvvgpu_save_fops, data,
				  loading ? O_WRONLY : O_RDONLY);
	if (IS_ERR(file))
		return file;
	stream_open(file->f_inode, file);

	get_device(&vgpu->core.vdev.device);
	data->file = get_file(file);
	data->vgpu = vgpu;
	data->loading = loading;
	refcount_set(&data->users, 1);
	mutex_init(&data->lock);
	init_waitqueue_head(&data->wait);
	nvvgpu_data_header(vgpu, &data->own);
	if (loading) {
		nvvgpu_stream_init(&data->stream, &data->own,
				   vgpu->backend->table.state_version_min,
				   &data->records[0]);
	} else {
		data->heading = true;
		data->size = sizeof(data->own);
		data->left = data->size;
	}
	vgpu->data = no_free_ptr(data);

	return file;
}

/**
 * nvvgpu_data_close() - end a session
 * @vgpu: the VF, locked; has a session, whose buffers the back-end has released
 *
 * From then on, reads and writes of the file fail; those in progress copy no
 * more.
 */
void nvvgpu_data_close(struct nvvgpu *vgpu)
{
	struct nvvgpu_data *data = vgpu->data;
	struct file *file = data->file;

	lockdep_assert_held(&vgpu->state_mutex);

	vgpu->data = NULL;
	WRITE_ONCE(data->ended, true);
	wake_up_interruptible(&data->wait);
	nvvgpu_data_free_records(data);
	nvvgpu_data_put(data);
	fput(file);
}

/**
 * nvvgpu_data_saved() - check that the whole state has been read
 * @vgpu: the VF, locked
 *
 * Return: whether a session that saves has been read to its end
 */
bool nvvgpu_data_saved(struct nvvgpu *vgpu)
{
	struct nvvgpu_data *data = vgpu->data;

	return data && READ_ONCE(data->at_end) && !READ_ONCE(data->left);
}

/**
 * nvvgpu_data_loaded() - check that the whole state was received
 * @vgpu: the VF, locked; has a session that loads
 *
 * Return: 0; -ENODATA if the end is missing; or the error that ended loading
 */
int nvvgpu_data_loaded(struct nvvgpu *vgpu)
{
	struct nvvgpu_data *data = vgpu->data;

	lockdep_assert_held(&vgpu->state_mutex);

	if (data->whole)
		return 0;

	return READ_ONCE(data->error) ?: -ENODATA;
}

/**
 * nvvgpu_data_wake() - wake pollers of the data file
 * @vgpu: the VF, locked; its state or its migration state has changed
 */
void nvvgpu_data_wake(struct nvvgpu *vgpu)
{
	struct nvvgpu_data *data = vgpu->data;

	lockdep_assert_held(&vgpu->state_mutex);

	if (!data)
		return;
	WRITE_ONCE(data->empty, false);
	wake_up_interruptible(&data->wait);
}

/**
 * nvvgpu_data_size() - estimate the remaining bytes of the stream
 * @vgpu: the VF, locked
 * @bytes: bytes of state that the back-end has not saved yet
 *
 * Return: bytes of the stream
 */
unsigned long nvvgpu_data_size(struct nvvgpu *vgpu, u64 bytes)
{
	struct nvvgpu_data *data = vgpu->data;
	u64 size = sizeof(struct nvvgpu_mig_header);

	lockdep_assert_held(&vgpu->state_mutex);

	if (data && !data->loading) {
		size = READ_ONCE(data->left);
		if (READ_ONCE(data->at_end))
			return size;
	}
	size += bytes + sizeof(struct nvvgpu_mig_record) +
		DIV_ROUND_UP_ULL(bytes, NVVGPU_MIG_DATA_MAX) *
		NVVGPU_RECORD_HEAD;

	return min_t(u64, size, ULONG_MAX);
}
