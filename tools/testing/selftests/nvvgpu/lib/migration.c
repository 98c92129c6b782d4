// SPDX-License-Identifier: GPL-2.0
#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>

#include "engine.h"
#include "migration.h"

#define CHUNK	0x100000

/**
 * mig_flags() - get the migration features of a device
 * @vdev: the device
 * @flags: VFIO_MIGRATION_*
 *
 * Return: 0 or a negative errno
 */
int mig_flags(const struct vdev *vdev, __u64 *flags)
{
	struct vfio_device_feature_migration mig = {};
	int ret;

	ret = vdev_feature(vdev, VFIO_DEVICE_FEATURE_GET |
			   VFIO_DEVICE_FEATURE_MIGRATION, &mig, sizeof(mig));
	*flags = mig.flags;

	return ret;
}

/**
 * mig_set() - set the migration state
 * @vdev: the device
 * @state: enum vfio_device_mig_state
 * @data_fd: set to the file of a new session, else -1; may be NULL
 *
 * Return: 0 or a negative errno
 */
int mig_set(const struct vdev *vdev, unsigned int state, int *data_fd)
{
	struct vfio_device_feature_mig_state mig = {
		.device_state = state,
		.data_fd = -1,
	};
	int ret;

	ret = vdev_feature(vdev, VFIO_DEVICE_FEATURE_SET |
			   VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &mig,
			   sizeof(mig));
	if (data_fd)
		*data_fd = ret ? -1 : mig.data_fd;

	return ret;
}

/**
 * mig_get() - get the migration state
 * @vdev: the device
 *
 * Return: enum vfio_device_mig_state or a negative errno
 */
int mig_get(const struct vdev *vdev)
{
	struct vfio_device_feature_mig_state mig = {};
	int ret;

	ret = vdev_feature(vdev, VFIO_DEVICE_FEATURE_GET |
			   VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &mig,
			   sizeof(mig));

	return ret ?: (int)mig.device_state;
}

/**
 * mig_data_size() - get the estimated size of the remaining data
 * @vdev: the device
 * @bytes: filled in
 *
 * Return: 0 or a negative errno
 */
int mig_data_size(const struct vdev *vdev, __u64 *bytes)
{
	struct vfio_device_feature_mig_data_size size = {};
	int ret;

	ret = vdev_feature(vdev, VFIO_DEVICE_FEATURE_GET |
			   VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, &size,
			   sizeof(size));
	*bytes = size.stop_copy_length;

	return ret;
}

/**
 * mig_precopy_info() - get the estimated data before the device stops
 * @data_fd: data file of the session
 * @info: filled in
 *
 * Return: 0 or a negative errno
 */
int mig_precopy_info(int data_fd, struct vfio_precopy_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);

	return ioctl(data_fd, VFIO_MIG_GET_PRECOPY_INFO, info) ? -errno : 0;
}

/**
 * mig_name() - get the name of a state
 * @state: enum vfio_device_mig_state
 *
 * Return: its name
 */
const char *mig_name(unsigned int state)
{
	static const char * const names[VFIO_DEVICE_STATE_NR] = {
		"ERROR", "STOP", "RUNNING", "STOP_COPY", "RESUMING",
		"RUNNING_P2P", "PRE_COPY", "PRE_COPY_P2P",
	};

	return state < VFIO_DEVICE_STATE_NR ? names[state] : "?";
}

/**
 * stream_add() - append bytes to a stream
 * @stream: the stream
 * @data: the bytes
 * @len: number of bytes
 *
 * Return: 0 or -ENOMEM
 */
int stream_add(struct stream *stream, const void *data, size_t len)
{
	if (stream->len + len > stream->room) {
		size_t room = 2 * (stream->len + len);
		char *more = realloc(stream->data, room);

		if (!more)
			return -ENOMEM;
		stream->data = more;
		stream->room = room;
	}
	memcpy(stream->data + stream->len, data, len);
	stream->len += len;

	return 0;
}

/**
 * stream_read() - read all available data
 * @stream: receives the data
 * @data_fd: data file of the session
 *
 * Return: 0 at the end, -ENOMSG without more data for now, or another
 * negative errno
 */
int stream_read(struct stream *stream, int data_fd)
{
	static char chunk[CHUNK];
	ssize_t n;
	int ret;

	for (;;) {
		n = read(data_fd, chunk, sizeof(chunk));
		if (n <= 0)
			return n ? -errno : 0;
		ret = stream_add(stream, chunk, n);
		if (ret)
			return ret;
	}
}

/**
 * stream_write() - write a whole stream
 * @data_fd: data file of the session
 * @stream: the stream
 * @step: maximum bytes of a write
 * @taken: bytes that were accepted, may be NULL
 *
 * Return: 0, or the errno of the refusal
 */
int stream_write(int data_fd, const struct stream *stream, size_t step,
		 size_t *taken)
{
	size_t done = 0;
	ssize_t n = 0;

	while (done < stream->len) {
		size_t len = stream->len - done;

		n = write(data_fd, stream->data + done, len < step ? len : step);
		if (n < 0)
			n = -errno;
		if (n <= 0)
			break;
		done += n;
	}
	if (taken)
		*taken = done;

	return n < 0 ? n : 0;
}

/**
 * stream_free() - free a stream
 * @stream: empty afterwards
 */
void stream_free(struct stream *stream)
{
	free(stream->data);
	memset(stream, 0, sizeof(*stream));
}

/**
 * stream_record() - find a record
 * @stream: a complete stream
 * @n: number of the record
 *
 * Return: the record, or NULL
 */
struct nvvgpu_mig_record *stream_record(const struct stream *stream,
					unsigned int n)
{
	size_t at = sizeof(struct nvvgpu_mig_header);

	for (;;) {
		struct nvvgpu_mig_record *record = (void *)(stream->data + at);

		if (at + sizeof(*record) > stream->len)
			return NULL;
		if (!n--)
			return record;
		at += sizeof(*record) + le32toh(record->length);
	}
}

/**
 * log_start() - start the DMA log of a device
 * @vdev: the device
 * @ranges: ranges of IOVAs
 * @nr: number of entries
 * @page_size: requested granularity, set to the actual one
 *
 * Return: 0 or a negative errno
 */
int log_start(const struct vdev *vdev,
	      const struct vfio_device_feature_dma_logging_range *ranges,
	      unsigned int nr, __u64 *page_size)
{
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = *page_size,
		.num_ranges = nr,
		.ranges = (uintptr_t)ranges,
	};
	int ret;

	ret = vdev_feature(vdev, VFIO_DEVICE_FEATURE_SET |
			   VFIO_DEVICE_FEATURE_DMA_LOGGING_START, &control,
			   sizeof(control));
	*page_size = control.page_size;

	return ret;
}

/**
 * log_stop() - stop the DMA log of a device
 * @vdev: the device
 *
 * Return: 0 or a negative errno
 */
int log_stop(const struct vdev *vdev)
{
	return vdev_feature(vdev, VFIO_DEVICE_FEATURE_SET |
			    VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, NULL, 0);
}

/**
 * log_read() - read the log and clear it
 * @vdev: the device
 * @iova: start of the range
 * @length: bytes in the range
 * @page_size: granularity of the bits
 * @bitmap: receives the bits
 *
 * Return: 0 or a negative errno
 */
int log_read(const struct vdev *vdev, __u64 iova, __u64 length,
	     __u64 page_size, __u64 *bitmap)
{
	struct vfio_device_feature_dma_logging_report report = {
		.iova = iova,
		.length = length,
		.page_size = page_size,
		.bitmap = (uintptr_t)bitmap,
	};

	return vdev_feature(vdev, VFIO_DEVICE_FEATURE_GET |
			    VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, &report,
			    sizeof(report));
}
