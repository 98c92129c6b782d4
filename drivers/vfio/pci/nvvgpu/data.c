// SPDX-License-Identifier: GPL-2.0-only
/*
 * The data file of a migration: the vGPU's state on its way out or in.
 *
 * The file may outlive the session it was opened for, and even the VF's being
 * bound.  It keeps the memory of struct nvvgpu; whether it may do anything with
 * it is told by @ended, under state_mutex.
 *
 * Checksums and the back-end take as long as copying from and to the user does,
 * so a work goes ahead of the reader and behind the writer, with a ring of
 * pieces between.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include "nvvgpu.h"
#include "stream.h"
#include "trace.h"

/* How often somebody who waits for more to be saved is told to look again */
#define NVVGPU_DATA_POLL_MS	50

/* One for the user, one for the work, one that the GPU uses, one to spare */
#define NVVGPU_DATA_PIECES	4

/**
 * struct nvvgpu_data - the data file of one session
 * @file: the file
 * @vgpu: the VF, holds a reference to its device
 * @loading: whether the state comes in
 * @own: the header that this side sends
 * @lock: one reader or writer at a time; protects everything down to @stream
 * @heading: the user still reads @own
 * @at_end: the user has read the end
 * @size: bytes of what the user reads, 0 between pieces
 * @pos: how many of those have been read
 * @stream: that comes in
 * @pieces: the ring
 * @early: how many pieces count as the first round, once that is over
 * @work: saves pieces to the ring, or loads them from it
 * @ring_lock: protects everything down to @ret
 * @made: pieces that have been put into the ring
 * @taken: pieces that have been taken out of it
 * @busy: @work is under way, or will be; only the holder of @lock has it begin
 * @ret: why it has ended: 0 when it was the user's turn; while it is not busy
 *	also written by the holder of @lock
 * @turn: for @made, @taken or @busy to be changed by the work
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
	bool heading;
	bool at_end;
	size_t size;
	size_t pos;
	struct nvvgpu_stream stream;

	struct nvvgpu_piece pieces[NVVGPU_DATA_PIECES];
	u64 early;
	struct work_struct work;

	spinlock_t ring_lock; /* see above */
	u64 made;
	u64 taken;
	bool busy;
	int ret;
	wait_queue_head_t turn;

	bool whole;
	bool ended;
	wait_queue_head_t wait;
	struct delayed_work again;
};

/* What a piece begins with; its data lies elsewhere */
#define NVVGPU_PIECE_HEAD	offsetof(struct nvvgpu_piece, data)

static_assert(sizeof(struct nvvgpu_mig_record) +
	      sizeof(struct nvvgpu_mig_state) == NVVGPU_PIECE_HEAD);

static struct nvvgpu_piece *nvvgpu_data_piece(struct nvvgpu_data *data, u64 i)
{
	return &data->pieces[i % NVVGPU_DATA_PIECES];
}

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

/*
 * Have the next piece: 1, 0 at the end, -ENOMSG when there is none yet.  Its
 * checksum takes time too, in which the back-end may begin with the next.
 */
static int nvvgpu_data_fetch(struct nvvgpu_data *data,
			     struct nvvgpu_chunk *chunk, void *buf, void *ahead)
{
	struct nvvgpu *vgpu = data->vgpu;
	struct nvvgpu_backend *backend;
	int ret;

	guard(nvvgpu)(vgpu);

	backend = nvvgpu_data_backend(data);
	if (IS_ERR(backend))
		return PTR_ERR(backend);

	ret = backend->ops->save(backend->priv, vgpu->vf, chunk, buf,
				 NVVGPU_MIG_DATA_MAX);
	trace_nvvgpu_op(vgpu, "save", ret);
	if (ret == -ENOMSG ||
	    (ret > 0 && (chunk->length > NVVGPU_MIG_DATA_MAX || !chunk->span ||
			 chunk->span < chunk->length)))
		ret = -EPROTO;
	if (ret < 0)
		return nvvgpu_fail(vgpu, ret, "cannot save the vGPU's state");
	if (!ret && vgpu->mig_state != VFIO_DEVICE_STATE_STOP_COPY)
		return -ENOMSG;
	if (ret && ahead && backend->ops->save_ahead)
		backend->ops->save_ahead(backend->priv, vgpu->vf, ahead,
					 NVVGPU_MIG_DATA_MAX);

	return ret;
}

/* Make the next record: 0, or -ENOMSG when there is none yet. */
static int nvvgpu_data_save(struct nvvgpu_data *data)
{
	u64 made = data->made, taken = READ_ONCE(data->taken);
	struct nvvgpu_piece *piece = nvvgpu_data_piece(data, made);
	struct nvvgpu_chunk chunk = {};
	void *ahead = NULL;
	int ret;

	if (made + 1 - taken < NVVGPU_DATA_PIECES)
		ahead = nvvgpu_data_piece(data, made + 1)->data;
	ret = nvvgpu_data_fetch(data, &chunk, piece->data, ahead);
	if (ret < 0)
		return ret;

	piece->state.kind = cpu_to_le32(chunk.kind);
	piece->state.flags = cpu_to_le32(chunk.flags);
	piece->state.offset = cpu_to_le64(chunk.offset);
	piece->state.span = cpu_to_le64(chunk.span);
	if (ret)
		nvvgpu_stream_record(piece, NVVGPU_MIG_STATE, made,
				     sizeof(piece->state) + chunk.length);
	else
		nvvgpu_stream_record(piece, NVVGPU_MIG_END, made, 0);

	return 0;
}

/* Give a piece that has come in to the back-end. */
static int nvvgpu_data_give(struct nvvgpu_data *data,
			    const struct nvvgpu_piece *piece)
{
	struct nvvgpu *vgpu = data->vgpu;
	struct nvvgpu_backend *backend;
	struct nvvgpu_chunk chunk = {
		.kind = le32_to_cpu(piece->state.kind),
		.flags = le32_to_cpu(piece->state.flags),
		.offset = le64_to_cpu(piece->state.offset),
		.span = le64_to_cpu(piece->state.span),
		.length = nvvgpu_piece_bytes(piece),
	};
	int ret;

	guard(nvvgpu)(vgpu);

	backend = nvvgpu_data_backend(data);
	if (IS_ERR(backend))
		return PTR_ERR(backend);

	ret = backend->ops->load(backend->priv, vgpu->vf, &chunk, piece->data);
	trace_nvvgpu_op(vgpu, "load", ret);
	if (ret)
		nvvgpu_fail(vgpu, ret,
			    "cannot load the vGPU's state: kind %u, offset %#llx, %#llx bytes",
			    chunk.kind, chunk.offset, chunk.span);

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

static int nvvgpu_data_refuse(struct nvvgpu_data *data, int err,
			      const char *why)
{
	guard(nvvgpu)(data->vgpu);

	if (data->ended)
		return -ENODEV;
	data->whole = false;

	return nvvgpu_fail(data->vgpu, err,
			   "cannot take the migration stream: %s", why);
}

/* Act on a record that has come in: 0, or a negative errno. */
static int nvvgpu_data_load(struct nvvgpu_data *data,
			    const struct nvvgpu_piece *piece)
{
	const char *why;
	int ret = nvvgpu_stream_check(piece, &why);

	switch (ret) {
	case NVVGPU_STREAM_MORE:
		return 0;
	case NVVGPU_STREAM_STATE:
		return nvvgpu_data_give(data, piece);
	case NVVGPU_STREAM_END:
		return nvvgpu_data_whole(data);
	default:
		return nvvgpu_data_refuse(data, ret, why);
	}
}

static bool nvvgpu_data_is_end(const struct nvvgpu_piece *piece)
{
	return piece->record.type == cpu_to_le32(NVVGPU_MIG_END);
}

/* The user's turn: is there a piece to be read, or room for one to be written? */
static bool nvvgpu_data_for_user(struct nvvgpu_data *data)
{
	u64 ready;

	spin_lock(&data->ring_lock);
	ready = data->made - data->taken;
	spin_unlock(&data->ring_lock);

	/* Of those that were loaded the GPU may still be reading the last. */
	return data->loading ? ready <= NVVGPU_DATA_PIECES - 2 : ready;
}

/* The work's turn: the other way round */
static bool nvvgpu_data_for_work(struct nvvgpu_data *data)
{
	lockdep_assert_held(&data->ring_lock);

	if (data->ret)
		return false;
	if (data->loading)
		return data->made != data->taken;

	return data->made - data->taken < NVVGPU_DATA_PIECES &&
	       !nvvgpu_data_is_end(nvvgpu_data_piece(data, data->made - 1));
}

/* Do one piece of the work: is it still the work's turn? */
static bool nvvgpu_data_step(struct nvvgpu_data *data)
{
	bool on;
	int ret;

	ret = data->loading ?
	      nvvgpu_data_load(data, nvvgpu_data_piece(data, data->taken)) :
	      nvvgpu_data_save(data);

	scoped_guard(spinlock, &data->ring_lock) {
		WRITE_ONCE(data->ret, ret);
		if (!ret && data->loading)
			data->taken++;
		else if (!ret)
			data->made++;
		on = nvvgpu_data_for_work(data);
		WRITE_ONCE(data->busy, on);
	}
	wake_up(&data->turn);

	return on;
}

static void nvvgpu_data_work(struct work_struct *work)
{
	struct nvvgpu_data *data = container_of(work, struct nvvgpu_data, work);

	while (nvvgpu_data_step(data))
		;
}

/* The user is through with a piece: it is the work's. */
static void nvvgpu_data_pass(struct nvvgpu_data *data)
{
	lockdep_assert_held(&data->lock);

	spin_lock(&data->ring_lock);
	if (data->loading)
		data->made++;
	else
		data->taken++;
	if (!data->busy && nvvgpu_data_for_work(data)) {
		WRITE_ONCE(data->busy, true);
		queue_work(system_dfl_wq, &data->work);
	}
	spin_unlock(&data->ring_lock);
}

/* Have it be the user's turn: 0, or why it is not. */
static int nvvgpu_data_turn(struct nvvgpu_data *data)
{
	lockdep_assert_held(&data->lock);

	if (nvvgpu_data_for_user(data))
		return 0;

	if (!cancel_work(&data->work)) {
		wait_event(data->turn,
			   nvvgpu_data_for_user(data) || !READ_ONCE(data->busy));
		if (nvvgpu_data_for_user(data))
			return 0;
		if (data->ret && (data->loading || data->ret != -ENOMSG))
			return data->ret;
	}

	/* No other CPU has begun with it; or there may be something by now. */
	if (nvvgpu_data_step(data))
		queue_work(system_dfl_wq, &data->work);

	return nvvgpu_data_for_user(data) ? 0 : data->ret;
}

/* Have the work end: 0, or why it has. */
static int nvvgpu_data_settle(struct nvvgpu_data *data)
{
	int ret;

	lockdep_assert_held(&data->lock);

	if (cancel_work(&data->work))
		nvvgpu_data_work(&data->work);
	else
		wait_event(data->turn, !READ_ONCE(data->busy));

	spin_lock(&data->ring_lock);
	ret = data->ret;
	spin_unlock(&data->ring_lock);

	return ret;
}

/* Bytes of a piece that goes out */
static size_t nvvgpu_data_bytes(const struct nvvgpu_piece *piece)
{
	return sizeof(piece->record) + le32_to_cpu(piece->record.length);
}

/* Have something to be read: 1, or 0 at the end of the stream */
static int nvvgpu_data_fill(struct nvvgpu_data *data)
{
	int ret;

	lockdep_assert_held(&data->lock);

	if (READ_ONCE(data->ended))
		return -ENODEV;
	if (data->size)
		return 1;
	if (data->at_end)
		return 0;

	ret = nvvgpu_data_turn(data);
	if (ret)
		return ret;
	WRITE_ONCE(data->size,
		   nvvgpu_data_bytes(nvvgpu_data_piece(data, data->taken)));

	return 1;
}

/* What is to be read next, and how much of it lies together */
static const void *nvvgpu_data_next(struct nvvgpu_data *data, size_t *n)
{
	const struct nvvgpu_piece *piece;
	size_t pos = data->pos;

	*n = data->size - pos;
	if (data->heading)
		return (const void *)&data->own + pos;
	piece = nvvgpu_data_piece(data, data->taken);
	if (pos >= NVVGPU_PIECE_HEAD)
		return piece->data + pos - NVVGPU_PIECE_HEAD;
	*n = min(*n, NVVGPU_PIECE_HEAD - pos);

	return (const void *)piece + pos;
}

/* So much has been read. */
static void nvvgpu_data_went(struct nvvgpu_data *data, size_t n)
{
	data->pos += n;
	if (data->pos < data->size)
		return;

	data->pos = 0;
	if (data->heading) {
		data->heading = false;
	} else {
		data->at_end = nvvgpu_data_is_end(nvvgpu_data_piece(data,
								    data->taken));
		nvvgpu_data_pass(data);
	}
	WRITE_ONCE(data->size, 0);
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
		const void *from;
		size_t n;

		ret = nvvgpu_data_fill(data);
		if (ret <= 0)
			break;

		from = nvvgpu_data_next(data, &n);
		n = min(len, n);
		if (copy_to_user(buf + done, from, n)) {
			ret = -EFAULT;
			break;
		}
		nvvgpu_data_went(data, n);
		done += n;
		len -= n;
		if (signal_pending(current))
			break;
	}
	mutex_unlock(&data->lock);

	return done ?: ret;
}

/* Some bytes have come in: have what they complete acted on. */
static int nvvgpu_data_came(struct nvvgpu_data *data, size_t len)
{
	struct nvvgpu_piece *piece = nvvgpu_data_piece(data, data->made);
	int ret = nvvgpu_stream_came(&data->stream, len);
	int err;

	if (ret == NVVGPU_STREAM_MORE)
		return 0;

	if (ret == NVVGPU_STREAM_RECORD &&
	    piece->record.type == cpu_to_le32(NVVGPU_MIG_STATE)) {
		nvvgpu_data_pass(data);
		err = nvvgpu_data_turn(data);
		nvvgpu_stream_go_on(&data->stream,
				    nvvgpu_data_piece(data, data->made));
		return err;
	}

	/* What came before this is refused before it. */
	err = nvvgpu_data_settle(data);
	if (err)
		return err;
	err = ret < 0 ? nvvgpu_data_refuse(data, ret, data->stream.why) :
			nvvgpu_data_load(data, piece);
	WRITE_ONCE(data->ret, err);

	return err;
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
		void *room;
		size_t n;

		ret = READ_ONCE(data->ended) ? -ENODEV : READ_ONCE(data->ret);
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
		if (signal_pending(current))
			break;
	}
	ret = nvvgpu_data_settle(data) ?: ret;
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
	u64 initial, dirty, waiting, i;
	int ret;

	guard(mutex)(&data->lock);

	nvvgpu_data_settle(data);
	waiting = data->heading ? sizeof(data->own) : 0;
	for (i = data->taken; i < data->made; i++)
		waiting += nvvgpu_data_bytes(nvvgpu_data_piece(data, i));
	waiting -= data->pos;

	guard(nvvgpu)(data->vgpu);

	if (!nvvgpu_data_precopy(data))
		return -EINVAL;

	ret = nvvgpu_data_estimate(data, &initial, &dirty);
	if (ret)
		return ret;

	info->initial_bytes = initial;
	info->dirty_bytes = dirty;
	/* What waits to be read is of the kind that is being sent. */
	if (!initial && !data->early)
		data->early = data->made;
	if (initial || data->heading || data->taken < data->early)
		info->initial_bytes += waiting;
	else
		info->dirty_bytes += waiting;

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
	int ret;

	poll_wait(file, &data->wait, wait);

	guard(nvvgpu)(data->vgpu);

	if (data->ended)
		return EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM | EPOLLHUP;
	if (data->loading)
		return EPOLLOUT | EPOLLWRNORM;
	ret = READ_ONCE(data->ret);
	if (!nvvgpu_data_precopy(data) || (ret && ret != -ENOMSG) ||
	    READ_ONCE(data->size) || READ_ONCE(data->busy) ||
	    nvvgpu_data_for_user(data) ||
	    nvvgpu_data_estimate(data, &initial, &dirty) || initial || dirty)
		return EPOLLIN | EPOLLRDNORM;

	schedule_delayed_work(&data->again,
			      msecs_to_jiffies(NVVGPU_DATA_POLL_MS));

	return 0;
}

/*
 * A folio where there is one, so that the GPU can read and write it; see @save
 * in the contract.
 */
static void *nvvgpu_data_alloc(void)
{
	struct folio *folio;

	folio = folio_alloc(GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NORETRY |
			    __GFP_NOWARN, get_order(NVVGPU_MIG_DATA_MAX));
	if (folio)
		return folio_address(folio);

	return __vmalloc(NVVGPU_MIG_DATA_MAX, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
}

static void nvvgpu_data_free(struct nvvgpu_data *data)
{
	unsigned int i;

	if (!data)
		return;

	for (i = 0; i < ARRAY_SIZE(data->pieces); i++) {
		void *buf = data->pieces[i].data;

		if (is_vmalloc_addr(buf))
			vfree(buf);
		else if (buf)
			folio_put(virt_to_folio(buf));
	}
	kfree(data);
}

DEFINE_FREE(nvvgpu_data, struct nvvgpu_data *, nvvgpu_data_free(_T))

/* Calls no operation: the back-end may be gone for long. */
static int nvvgpu_data_release(struct inode *inode, struct file *file)
{
	struct nvvgpu_data *data = file->private_data;

	cancel_delayed_work_sync(&data->again);
	cancel_work_sync(&data->work);
	put_device(&data->vgpu->core.vdev.device);
	mutex_destroy(&data->lock);
	nvvgpu_data_free(data);

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
	struct nvvgpu_data *data __free(nvvgpu_data) = NULL;
	struct file *file;
	unsigned int i;

	lockdep_assert_held(&vgpu->state_mutex);

	data = kzalloc_obj(*data, GFP_KERNEL_ACCOUNT);
	if (!data)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < ARRAY_SIZE(data->pieces); i++) {
		data->pieces[i].data = nvvgpu_data_alloc();
		if (!data->pieces[i].data)
			return ERR_PTR(-ENOMEM);
	}

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
	mutex_init(&data->lock);
	spin_lock_init(&data->ring_lock);
	init_waitqueue_head(&data->turn);
	init_waitqueue_head(&data->wait);
	INIT_DELAYED_WORK(&data->again, nvvgpu_data_again);
	INIT_WORK(&data->work, nvvgpu_data_work);
	nvvgpu_data_header(vgpu, &data->own);
	if (loading) {
		nvvgpu_stream_begin(&data->stream, &data->own,
				    nvvgpu_data_piece(data, 0));
	} else {
		data->heading = true;
		data->size = sizeof(data->own);
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

	return READ_ONCE(data->ret) ?: -ENODATA;
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

	bytes += records * NVVGPU_PIECE_HEAD +
		 sizeof(struct nvvgpu_mig_header);

	return min_t(u64, bytes, ULONG_MAX);
}
