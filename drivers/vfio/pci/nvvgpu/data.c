// SPDX-License-Identifier: GPL-2.0-only
/*
 * The data file of a migration: the vGPU's state on its way out or in.
 *
 * The file may outlive the session it was opened for, and even the VF's being
 * bound.  It keeps the memory of struct nvvgpu; whether it may do anything with
 * it is told by @ended, under state_mutex.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vmalloc.h>

#include "nvvgpu.h"
#include "stream.h"
#include "trace.h"

/* How often somebody who waits for more to be saved is told to look again */
#define NVVGPU_DATA_POLL_MS	50

/**
 * struct nvvgpu_data - the data file of one session
 * @file: the file
 * @vgpu: the VF, holds a reference to its device
 * @loading: whether the state comes in
 * @own: the header that this side sends
 * @lock: one reader or writer at a time; protects everything down to @failed
 * @buf: what is on its way: a record that goes out, or the payload of one that
 *	comes in
 * @have: bytes in @buf that go out
 * @pos: how many of those have been read
 * @number: of the next record that goes out
 * @at_end: the end has been put into @buf
 * @stream: that comes in
 * @failed: errno of what cannot be mended
 * @whole: under state_mutex: the end of the stream has come in
 * @ended: under state_mutex: the session is over
 * @wait: for more to read, or the end
 * @again: wakes @wait now and then, as no back-end tells of changed state
 */
struct nvvgpu_data {
	struct file *file;
	struct nvvgpu *vgpu;
	bool loading;
	struct nvvgpu_mig_header own;

	struct mutex lock; /* see above */
	void *buf;
	size_t have;
	size_t pos;
	u64 number;
	bool at_end;
	struct nvvgpu_stream stream;
	int failed;

	bool whole;
	bool ended;
	wait_queue_head_t wait;
	struct delayed_work again;
};

/* A record of state as it lies in nvvgpu_data::buf */
struct nvvgpu_data_piece {
	struct nvvgpu_mig_record record;
	struct nvvgpu_mig_state state;
	u8 data[];
};

#define NVVGPU_DATA_BUF	(sizeof(struct nvvgpu_mig_record) + \
			 NVVGPU_MIG_LENGTH_MAX)

static_assert(sizeof(struct nvvgpu_data_piece) + NVVGPU_MIG_DATA_MAX <=
	      NVVGPU_DATA_BUF);

/* The session's back-end, or why there is none any more */
static struct nvvgpu_backend *nvvgpu_data_backend(struct nvvgpu_data *data)
{
	struct nvvgpu *vgpu = data->vgpu;

	lockdep_assert_held(&vgpu->state_mutex);

	if (data->ended)
		return ERR_PTR(-ENODEV);
	if (vgpu->state != NVVGPU_OPEN)
		return ERR_PTR(-EIO);

	return vgpu->backend;
}

/* Fetch the next piece: 1 and @chunk, 0 at the end, -ENOMSG when there is none yet. */
static int nvvgpu_data_save(struct nvvgpu_data *data,
			    struct nvvgpu_chunk *chunk)
{
	struct nvvgpu_data_piece *piece = data->buf;
	struct nvvgpu *vgpu = data->vgpu;
	struct nvvgpu_backend *backend;
	int ret;

	guard(nvvgpu)(vgpu);

	backend = nvvgpu_data_backend(data);
	if (IS_ERR(backend))
		return PTR_ERR(backend);

	ret = backend->ops->save(backend->priv, vgpu->vf, chunk, piece->data,
				 NVVGPU_MIG_DATA_MAX);
	trace_nvvgpu_op(vgpu, "save", ret);
	if (ret > 0 && (chunk->length > NVVGPU_MIG_DATA_MAX || !chunk->span ||
			chunk->span < chunk->length))
		ret = -EPROTO;
	if (ret < 0) {
		data->failed = ret;
		return nvvgpu_fail(vgpu, ret, "cannot save the vGPU's state");
	}
	if (!ret && vgpu->mig_state != VFIO_DEVICE_STATE_STOP_COPY)
		return -ENOMSG;

	return ret;
}

/* Have something in the buffer: 1, or 0 at the end of the stream */
static int nvvgpu_data_fill(struct nvvgpu_data *data)
{
	struct nvvgpu_data_piece *piece = data->buf;
	struct nvvgpu_chunk chunk = {};
	int ret;

	lockdep_assert_held(&data->lock);

	if (READ_ONCE(data->ended))
		return -ENODEV;
	if (data->pos < data->have)
		return 1;
	if (data->failed)
		return data->failed;
	if (data->at_end)
		return 0;

	data->pos = 0;
	data->have = 0;
	ret = nvvgpu_data_save(data, &chunk);
	if (ret < 0)
		return ret;

	if (ret) {
		piece->state.kind = cpu_to_le32(chunk.kind);
		piece->state.flags = cpu_to_le32(chunk.flags);
		piece->state.offset = cpu_to_le64(chunk.offset);
		piece->state.span = cpu_to_le64(chunk.span);
		nvvgpu_stream_record(&piece->record, NVVGPU_MIG_STATE,
				     data->number++, &piece->state,
				     sizeof(piece->state) + chunk.length);
		data->have = sizeof(*piece) + chunk.length;
	} else {
		nvvgpu_stream_record(&piece->record, NVVGPU_MIG_END,
				     data->number++, NULL, 0);
		data->have = sizeof(piece->record);
		data->at_end = true;
	}

	return 1;
}

static ssize_t nvvgpu_data_read(struct file *file, char __user *buf, size_t len,
				loff_t *pos)
{
	struct nvvgpu_data *data = file->private_data;
	ssize_t done = 0;
	int ret = 0;

	if (mutex_lock_interruptible(&data->lock))
		return -ERESTARTSYS;

	while (len) {
		size_t n;

		ret = nvvgpu_data_fill(data);
		if (ret <= 0)
			break;

		n = min(len, data->have - data->pos);
		if (copy_to_user(buf + done, data->buf + data->pos, n)) {
			ret = -EFAULT;
			break;
		}
		data->pos += n;
		done += n;
		len -= n;
	}
	mutex_unlock(&data->lock);

	return done ?: ret;
}

/* Give a piece that has come in to the back-end. */
static int nvvgpu_data_load(struct nvvgpu_data *data)
{
	const struct nvvgpu_mig_state *state = nvvgpu_stream_state(&data->stream);
	struct nvvgpu *vgpu = data->vgpu;
	struct nvvgpu_backend *backend;
	struct nvvgpu_chunk chunk = {
		.kind = le32_to_cpu(state->kind),
		.flags = le32_to_cpu(state->flags),
		.offset = le64_to_cpu(state->offset),
		.span = le64_to_cpu(state->span),
	};
	const void *bytes = nvvgpu_stream_data(&data->stream, &chunk.length);
	int ret;

	guard(nvvgpu)(vgpu);

	backend = nvvgpu_data_backend(data);
	if (IS_ERR(backend))
		return PTR_ERR(backend);

	ret = backend->ops->load(backend->priv, vgpu->vf, &chunk, bytes);
	trace_nvvgpu_op(vgpu, "load", ret);
	if (ret) {
		data->failed = ret;
		nvvgpu_fail(vgpu, ret,
			    "cannot load the vGPU's state: kind %u, offset %#llx, %#llx bytes",
			    chunk.kind, chunk.offset, chunk.span);
	}

	return ret;
}

static int nvvgpu_data_whole(struct nvvgpu_data *data)
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
	data->failed = err;

	return nvvgpu_fail(data->vgpu, err,
			   "cannot take the migration stream: %s",
			   data->stream.why);
}

/* Some bytes have come in: act on what they complete. */
static int nvvgpu_data_came(struct nvvgpu_data *data, size_t len)
{
	int ret = nvvgpu_stream_came(&data->stream, len);

	switch (ret) {
	case NVVGPU_STREAM_MORE:
		return 0;
	case NVVGPU_STREAM_STATE:
		return nvvgpu_data_load(data);
	case NVVGPU_STREAM_END:
		return nvvgpu_data_whole(data);
	default:
		return nvvgpu_data_refuse(data, ret);
	}
}

static ssize_t nvvgpu_data_write(struct file *file, const char __user *buf,
				 size_t len, loff_t *pos)
{
	struct nvvgpu_data *data = file->private_data;
	ssize_t done = 0;
	int ret = 0;

	if (mutex_lock_interruptible(&data->lock))
		return -ERESTARTSYS;

	while (done < len) {
		size_t n;
		void *room;

		ret = READ_ONCE(data->ended) ? -ENODEV : data->failed;
		if (ret)
			break;

		room = nvvgpu_stream_room(&data->stream, &n);
		n = min(n, len - done);
		if (copy_from_user(room, buf + done, n)) {
			/* What was taken before cannot be taken again. */
			ret = done ? 0 : -EFAULT;
			break;
		}
		ret = nvvgpu_data_came(data, n);
		if (ret)
			break;
		done += n;
	}
	mutex_unlock(&data->lock);

	return ret ?: done;
}

static bool nvvgpu_data_precopy(struct nvvgpu_data *data)
{
	struct nvvgpu *vgpu = data->vgpu;

	lockdep_assert_held(&vgpu->state_mutex);

	return !data->ended && !data->loading &&
	       (vgpu->mig_state == VFIO_DEVICE_STATE_PRE_COPY ||
		vgpu->mig_state == VFIO_DEVICE_STATE_PRE_COPY_P2P);
}

static int nvvgpu_data_estimate(struct nvvgpu_data *data, u64 *initial,
				u64 *dirty)
{
	struct nvvgpu_backend *backend = nvvgpu_data_backend(data);
	int ret;

	if (IS_ERR(backend))
		return PTR_ERR(backend);

	ret = backend->ops->precopy_estimate(backend->priv, data->vgpu->vf,
					     initial, dirty);
	trace_nvvgpu_op(data->vgpu, "precopy_estimate", ret);

	return ret;
}

static int nvvgpu_data_precopy_info(struct nvvgpu_data *data,
				    struct vfio_precopy_info *info)
{
	u64 initial, dirty;
	int ret;

	guard(mutex)(&data->lock);
	guard(nvvgpu)(data->vgpu);

	if (!nvvgpu_data_precopy(data))
		return -EINVAL;

	ret = nvvgpu_data_estimate(data, &initial, &dirty);
	if (ret)
		return ret;

	info->initial_bytes = initial;
	info->dirty_bytes = dirty;
	/* What waits to be read is of the kind that is being sent. */
	if (initial || !data->number)
		info->initial_bytes += data->have - data->pos;
	else
		info->dirty_bytes += data->have - data->pos;

	return 0;
}

static long nvvgpu_data_ioctl(struct file *file, unsigned int cmd,
			      unsigned long arg)
{
	struct nvvgpu_data *data = file->private_data;
	struct vfio_precopy_info info = {};
	int ret;

	ret = vfio_check_precopy_ioctl(&data->vgpu->core.vdev, cmd, arg, &info);
	if (ret)
		return ret;

	ret = nvvgpu_data_precopy_info(data, &info);
	if (ret)
		return ret;

	return copy_to_user((void __user *)arg, &info,
			    offsetofend(struct vfio_precopy_info, dirty_bytes)) ?
	       -EFAULT : 0;
}

static void nvvgpu_data_again(struct work_struct *work)
{
	struct nvvgpu_data *data = container_of(to_delayed_work(work),
						struct nvvgpu_data, again);

	wake_up_interruptible(&data->wait);
}

static __poll_t nvvgpu_data_poll(struct file *file, poll_table *wait)
{
	struct nvvgpu_data *data = file->private_data;
	u64 initial, dirty;

	poll_wait(file, &data->wait, wait);

	guard(nvvgpu)(data->vgpu);

	if (data->ended)
		return EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM | EPOLLHUP;
	if (data->loading)
		return EPOLLOUT | EPOLLWRNORM;
	if (!nvvgpu_data_precopy(data) || READ_ONCE(data->failed) ||
	    READ_ONCE(data->pos) < READ_ONCE(data->have) ||
	    nvvgpu_data_estimate(data, &initial, &dirty) || initial || dirty)
		return EPOLLIN | EPOLLRDNORM;

	schedule_delayed_work(&data->again,
			      msecs_to_jiffies(NVVGPU_DATA_POLL_MS));

	return 0;
}

/* Calls no operation: the back-end may be gone for long. */
static int nvvgpu_data_release(struct inode *inode, struct file *file)
{
	struct nvvgpu_data *data = file->private_data;

	cancel_delayed_work_sync(&data->again);
	put_device(&data->vgpu->core.vdev.device);
	mutex_destroy(&data->lock);
	kvfree(data->buf);
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
	const struct nvvgpu_backend_ops *ops = vgpu->backend->ops;
	unsigned int i;

	header->type = cpu_to_le32(vgpu->type.id);
	strscpy(header->backend, ops->name, sizeof(header->backend));
	header->fb_bytes = cpu_to_le64(vgpu->type.fb_bytes);
	for (i = 0; i < NVVGPU_MAX_BARS; i++)
		header->bar_bytes[i] = cpu_to_le64(vgpu->bars[i].info.size);
	header->backend_version = cpu_to_le32(ops->state_version);
	nvvgpu_stream_header(header);
}

/**
 * nvvgpu_data_open() - make the data file of a session that begins
 * @vgpu: the VF, locked; has no session
 * @loading: whether the state comes in
 *
 * Return: the file with a reference for the user, beside one that
 * nvvgpu_data_close() drops; or an ERR_PTR().
 */
struct file *nvvgpu_data_open(struct nvvgpu *vgpu, bool loading)
{
	struct nvvgpu_data *data __free(kfree) = NULL;
	void *buf __free(kvfree) = NULL;
	struct file *file;

	lockdep_assert_held(&vgpu->state_mutex);

	data = kzalloc_obj(*data, GFP_KERNEL_ACCOUNT);
	buf = __vmalloc(NVVGPU_DATA_BUF, GFP_KERNEL_ACCOUNT);
	if (!data || !buf)
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
	data->buf = no_free_ptr(buf);
	mutex_init(&data->lock);
	init_waitqueue_head(&data->wait);
	INIT_DELAYED_WORK(&data->again, nvvgpu_data_again);
	nvvgpu_data_header(vgpu, &data->own);
	if (loading) {
		nvvgpu_stream_begin(&data->stream, &data->own, data->buf);
	} else {
		memcpy(data->buf, &data->own, sizeof(data->own));
		data->have = sizeof(data->own);
	}
	vgpu->data = no_free_ptr(data);

	return file;
}

/**
 * nvvgpu_data_close() - a session is over: its file only gives an error
 * @vgpu: the VF, locked; has a session
 */
void nvvgpu_data_close(struct nvvgpu *vgpu)
{
	struct nvvgpu_data *data = vgpu->data;

	lockdep_assert_held(&vgpu->state_mutex);

	vgpu->data = NULL;
	WRITE_ONCE(data->ended, true);
	wake_up_interruptible(&data->wait);
	fput(data->file);
}

/**
 * nvvgpu_data_loaded() - whether the state that was to come in is whole
 * @vgpu: the VF, locked; has a session that loads
 *
 * Return: 0; -ENODATA when some is missing; why the stream was refused
 */
int nvvgpu_data_loaded(struct nvvgpu *vgpu)
{
	struct nvvgpu_data *data = vgpu->data;

	lockdep_assert_held(&vgpu->state_mutex);

	if (data->whole)
		return 0;

	return READ_ONCE(data->failed) ?: -ENODATA;
}

/**
 * nvvgpu_data_wake() - the migration state has changed
 * @vgpu: the VF, locked
 */
void nvvgpu_data_wake(struct nvvgpu *vgpu)
{
	lockdep_assert_held(&vgpu->state_mutex);

	if (vgpu->data)
		wake_up_interruptible(&vgpu->data->wait);
}

/**
 * nvvgpu_data_size() - how long a stream is
 * @bytes: of state in it
 *
 * Return: bytes of the stream
 */
unsigned long nvvgpu_data_size(u64 bytes)
{
	u64 records = div_u64(bytes, NVVGPU_MIG_DATA_MAX) + 2;

	bytes += records * sizeof(struct nvvgpu_data_piece) +
		 sizeof(struct nvvgpu_mig_header);

	return min_t(u64, bytes, ULONG_MAX);
}
