/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The migration of a VFIO device, and the stream that carries a vGPU.
 */
#ifndef _NVVGPU_SELFTEST_MIGRATION_H
#define _NVVGPU_SELFTEST_MIGRATION_H

#include <stddef.h>

#include <linux/nvvgpu.h>

#include "vfio.h"

/**
 * struct stream - a migration stream in memory
 * @data: the bytes
 * @len: number of bytes
 * @room: size of @data
 */
struct stream {
	char *data;
	size_t len;
	size_t room;
};

int mig_flags(const struct vdev *vdev, __u64 *flags);
int mig_set(const struct vdev *vdev, unsigned int state, int *data_fd);
int mig_get(const struct vdev *vdev);
int mig_data_size(const struct vdev *vdev, __u64 *bytes);
int mig_precopy_info(int data_fd, struct vfio_precopy_info *info);
const char *mig_name(unsigned int state);

int stream_add(struct stream *stream, const void *data, size_t len);
int stream_read(struct stream *stream, int data_fd);
int stream_write(int data_fd, const struct stream *stream, size_t step,
		 size_t *taken);
void stream_free(struct stream *stream);
struct nvvgpu_mig_record *stream_record(const struct stream *stream,
					unsigned int n);

int log_start(const struct vdev *vdev,
	      const struct vfio_device_feature_dma_logging_range *ranges,
	      unsigned int nr, __u64 *page_size);
int log_stop(const struct vdev *vdev);
int log_read(const struct vdev *vdev, __u64 iova, __u64 length,
	     __u64 page_size, __u64 *bitmap);

#endif /* _NVVGPU_SELFTEST_MIGRATION_H */
