// SPDX-License-Identifier: GPL-2.0
/*
 * VFIO and IOMMU set-up for the nvvgpu selftests and guest programs.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/iommufd.h>

#include "vfio.h"

static int do_ioctl(int fd, unsigned long req, void *arg)
{
	int ret = ioctl(fd, req, arg);

	return ret < 0 ? -errno : ret;
}

static int do_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Check whether a file is one of iommufd, whatever its name. */
static bool is_iommufd(int fd)
{
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_VFIO_IOAS_GET,
	};

	return !ioctl(fd, IOMMU_VFIO_IOAS, &cmd) || errno == ENODEV;
}

/**
 * ioas_open() - create an I/O address space
 * @ioas: filled in
 * @mode: kind of address space
 *
 * Return: 0 or a negative errno; -EOPNOTSUPP if iommufd serves as the
 * container of this kernel, so that there is no type 1.
 */
int ioas_open(struct ioas *ioas, enum iommu_mode mode)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	bool native = mode == IOMMU_IOMMUFD || mode == IOMMU_COMPAT;
	int ret;

	memset(ioas, 0, sizeof(*ioas));
	ioas->mode = mode;
	ioas->fd = do_open(native ? "/dev/iommu" : "/dev/vfio/vfio");
	if (ioas->fd < 0)
		return ioas->fd;

	ret = native == is_iommufd(ioas->fd) ? 0 : -EOPNOTSUPP;
	if (!ret && mode == IOMMU_IOMMUFD) {
		ret = do_ioctl(ioas->fd, IOMMU_IOAS_ALLOC, &alloc);
		ioas->id = alloc.out_ioas_id;
	}
	if (ret < 0) {
		close(ioas->fd);
		ioas->fd = -1;
	}

	return ret;
}

/**
 * ioas_open_sibling() - create another IOAS in the same iommufd context
 * @ioas: filled in
 * @other: an open one with IOMMU_IOMMUFD, which must be closed last
 *
 * Return: 0 or a negative errno.
 */
int ioas_open_sibling(struct ioas *ioas, const struct ioas *other)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	int ret;

	memset(ioas, 0, sizeof(*ioas));
	ioas->fd = -1;
	if (other->mode != IOMMU_IOMMUFD)
		return -EINVAL;

	ret = do_ioctl(other->fd, IOMMU_IOAS_ALLOC, &alloc);
	if (ret < 0)
		return ret;

	*ioas = *other;
	ioas->id = alloc.out_ioas_id;
	ioas->sibling = true;

	return 0;
}

/**
 * ioas_close() - free an I/O address space
 * @ioas: may have failed to open
 */
void ioas_close(struct ioas *ioas)
{
	struct iommu_destroy destroy = {
		.size = sizeof(destroy),
		.id = ioas->id,
	};

	if (ioas->fd <= 0)
		return;
	if (ioas->sibling)
		do_ioctl(ioas->fd, IOMMU_DESTROY, &destroy);
	else
		close(ioas->fd);
	ioas->fd = -1;
}

/**
 * ioas_map() - map memory for DMA
 * @ioas: the address space
 * @vaddr: the memory, page aligned
 * @iova: DMA address
 * @len: bytes
 * @prot: PROT_READ and PROT_WRITE, from the device's point of view
 *
 * Return: 0 or a negative errno.
 */
int ioas_map(struct ioas *ioas, void *vaddr, __u64 iova, __u64 len, int prot)
{
	struct vfio_iommu_type1_dma_map dma_map = {
		.argsz = sizeof(dma_map),
		.vaddr = (uintptr_t)vaddr,
		.iova = iova,
		.size = len,
	};
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA,
		.ioas_id = ioas->id,
		.user_va = (uintptr_t)vaddr,
		.iova = iova,
		.length = len,
	};

	if (ioas->mode == IOMMU_NONE)
		return -EOPNOTSUPP;
	if (ioas->mode != IOMMU_IOMMUFD) {
		if (prot & PROT_READ)
			dma_map.flags |= VFIO_DMA_MAP_FLAG_READ;
		if (prot & PROT_WRITE)
			dma_map.flags |= VFIO_DMA_MAP_FLAG_WRITE;
		return do_ioctl(ioas->fd, VFIO_IOMMU_MAP_DMA, &dma_map);
	}

	if (prot & PROT_READ)
		map.flags |= IOMMU_IOAS_MAP_READABLE;
	if (prot & PROT_WRITE)
		map.flags |= IOMMU_IOAS_MAP_WRITEABLE;

	return do_ioctl(ioas->fd, IOMMU_IOAS_MAP, &map);
}

/* The headers may be older than the kernel. */
struct map_file {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__s32 fd;
	__u64 start;
	__u64 length;
	__u64 iova;
};

#define MAP_FILE_IOCTL	_IO(IOMMUFD_TYPE, 0x8f)

/**
 * ioas_map_file() - map a dma-buf or a memfd for DMA
 * @ioas: the address space, with IOMMU_IOMMUFD
 * @fd: the file
 * @start: offset in the file
 * @iova: DMA address
 * @len: bytes
 * @prot: PROT_READ and PROT_WRITE, from the device's point of view
 *
 * Return: 0 or a negative errno.
 */
int ioas_map_file(struct ioas *ioas, int fd, __u64 start, __u64 iova, __u64 len,
		  int prot)
{
	struct map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA,
		.ioas_id = ioas->id,
		.fd = fd,
		.start = start,
		.length = len,
		.iova = iova,
	};

	if (prot & PROT_READ)
		map.flags |= IOMMU_IOAS_MAP_READABLE;
	if (prot & PROT_WRITE)
		map.flags |= IOMMU_IOAS_MAP_WRITEABLE;

	return do_ioctl(ioas->fd, MAP_FILE_IOCTL, &map);
}

/**
 * ioas_unmap() - unmap memory
 * @ioas: the address space
 * @iova: first address of a mapping
 * @len: bytes
 *
 * Return: 0 or a negative errno.
 */
int ioas_unmap(struct ioas *ioas, __u64 iova, __u64 len)
{
	struct vfio_iommu_type1_dma_unmap dma_unmap = {
		.argsz = sizeof(dma_unmap),
		.iova = iova,
		.size = len,
	};
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = ioas->id,
		.iova = iova,
		.length = len,
	};

	if (ioas->mode == IOMMU_NONE)
		return -EOPNOTSUPP;
	if (ioas->mode != IOMMU_IOMMUFD)
		return do_ioctl(ioas->fd, VFIO_IOMMU_UNMAP_DMA, &dma_unmap);

	return do_ioctl(ioas->fd, IOMMU_IOAS_UNMAP, &unmap);
}

/**
 * vdev_init() - prepare for vdev_bind()
 * @vdev: filled in
 * @bdf: PCI name, such as 0000:01:00.2
 * @ioas: address space of the device
 */
void vdev_init(struct vdev *vdev, const char *bdf, struct ioas *ioas)
{
	char name[sizeof(vdev->bdf)];

	/* @bdf may point to @vdev->bdf. */
	snprintf(name, sizeof(name), "%s", bdf);
	memset(vdev, 0, sizeof(*vdev));
	memcpy(vdev->bdf, name, sizeof(name));
	vdev->ioas = ioas;
	vdev->fd = -1;
	vdev->group = -1;
}

/**
 * vdev_cdev_open() - open only the character device of a device
 * @bdf: PCI name
 *
 * Return: a file descriptor or a negative errno; -ENOENT if the device is
 * not bound to a VFIO driver.
 */
int vdev_cdev_open(const char *bdf)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;
	int fd = -ENOENT;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	dir = opendir(path);
	if (!dir)
		return -errno;

	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "vfio", 4))
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%s",
			 entry->d_name);
		fd = do_open(path);
		break;
	}
	closedir(dir);

	return fd;
}

static int group_open(const char *bdf, bool noiommu)
{
	char path[PATH_MAX], link[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group",
		 bdf);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		return -errno;
	link[len] = '\0';

	snprintf(path, sizeof(path), "/dev/vfio/%s%.32s",
		 noiommu ? "noiommu-" : "", basename(link));

	return do_open(path);
}

/**
 * vdev_group_open() - open only the group of a device
 * @bdf: PCI name
 *
 * Return: a file descriptor or a negative errno.
 */
int vdev_group_open(const char *bdf)
{
	return group_open(bdf, false);
}

static int group_bind(struct vdev *vdev)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	struct ioas *ioas = vdev->ioas;
	bool noiommu = ioas->mode == IOMMU_NONE;
	int ret;

	vdev->group = group_open(vdev->bdf, noiommu);
	if (vdev->group < 0)
		return vdev->group;

	ret = do_ioctl(vdev->group, VFIO_GROUP_GET_STATUS, &status);
	if (ret < 0)
		return ret;
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return -EPERM;

	ret = do_ioctl(vdev->group, VFIO_GROUP_SET_CONTAINER, &ioas->fd);
	if (ret < 0)
		return ret;

	if (!ioas->groups++) {
		unsigned long type = noiommu ? VFIO_NOIOMMU_IOMMU :
					       VFIO_TYPE1v2_IOMMU;

		if (ioctl(ioas->fd, VFIO_SET_IOMMU, type))
			return -errno;
	}

	ret = do_ioctl(vdev->group, VFIO_GROUP_GET_DEVICE_FD, vdev->bdf);
	if (ret < 0)
		return ret;
	vdev->fd = ret;

	return 0;
}

/**
 * vdev_bind() - open a device without an address space
 * @vdev: device from vdev_init()
 *
 * With a group this includes the container, which is attached from then on.
 * Call vdev_close() even after a failure.
 *
 * Return: 0 or a negative errno.
 */
int vdev_bind(struct vdev *vdev)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = vdev->ioas->fd,
	};
	int ret;

	if (vdev->ioas->mode != IOMMU_IOMMUFD)
		return group_bind(vdev);

	vdev->fd = vdev_cdev_open(vdev->bdf);
	if (vdev->fd < 0)
		return vdev->fd;

	ret = do_ioctl(vdev->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind);
	if (ret < 0)
		return ret;
	vdev->id = bind.out_devid;

	return 0;
}

/**
 * vdev_attach() - attach a device to an IOAS, or replace the current one
 * @vdev: bound, with IOMMU_IOMMUFD
 * @pt_id: id of an IOAS or a HWPT
 *
 * Return: 0 or a negative errno.
 */
int vdev_attach(struct vdev *vdev, __u32 pt_id)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = pt_id,
	};

	return do_ioctl(vdev->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

/**
 * vdev_detach() - detach a device from its IOAS
 * @vdev: attached, with IOMMU_IOMMUFD
 *
 * Return: 0 or a negative errno.
 */
int vdev_detach(struct vdev *vdev)
{
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = sizeof(detach),
	};

	return do_ioctl(vdev->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

/**
 * vdev_open() - open a device and attach it to an address space
 * @vdev: filled in
 * @bdf: PCI name
 * @ioas: address space of the device
 *
 * Return: 0 or a negative errno; everything is closed again after a failure.
 */
int vdev_open(struct vdev *vdev, const char *bdf, struct ioas *ioas)
{
	int ret;

	vdev_init(vdev, bdf, ioas);
	ret = vdev_bind(vdev);
	if (!ret && ioas->mode == IOMMU_IOMMUFD)
		ret = vdev_attach(vdev, ioas->id);
	if (ret)
		vdev_close(vdev);

	return ret;
}

/**
 * vdev_close() - undo vdev_open() or vdev_bind()
 * @vdev: may have failed to open
 */
void vdev_close(struct vdev *vdev)
{
	unsigned int i;

	for (i = 0; i < VDEV_NR_BARS; i++)
		vdev_unmap_bar(vdev, i);
	for (i = 0; i < vdev->nr_irqs; i++)
		close(vdev->irq[i]);
	vdev->nr_irqs = 0;

	if (vdev->fd >= 0)
		close(vdev->fd);
	vdev->fd = -1;
	if (vdev->group >= 0) {
		if (!ioctl(vdev->group, VFIO_GROUP_UNSET_CONTAINER))
			vdev->ioas->groups--;
		close(vdev->group);
	}
	vdev->group = -1;
}

/**
 * vdev_ioctl() - call an ioctl of a device
 * @vdev: a bound device
 * @request: VFIO_DEVICE_*
 * @arg: argument of the request
 *
 * Return: the result of the ioctl, or a negative errno.
 */
int vdev_ioctl(const struct vdev *vdev, unsigned long request, void *arg)
{
	return do_ioctl(vdev->fd, request, arg);
}

/**
 * vdev_feature() - VFIO_DEVICE_FEATURE
 * @vdev: an open device
 * @flags: VFIO_DEVICE_FEATURE_*, the feature and the operation
 * @data: data of the feature, in and out
 * @len: bytes of @data
 *
 * Return: 0 or a negative errno.
 */
int vdev_feature(const struct vdev *vdev, __u32 flags, void *data, size_t len)
{
	union {
		struct vfio_device_feature feature;
		char room[sizeof(struct vfio_device_feature) +
			  VDEV_FEATURE_MAX];
	} u = {
		.feature = {
			.argsz = sizeof(u.feature) + len,
			.flags = flags,
		},
	};
	int ret;

	if (len > VDEV_FEATURE_MAX)
		return -E2BIG;
	if (len)
		memcpy(u.feature.data, data, len);
	ret = do_ioctl(vdev->fd, VFIO_DEVICE_FEATURE, &u.feature);
	if (len)
		memcpy(data, u.feature.data, len);

	return ret;
}

/**
 * vdev_info() - VFIO_DEVICE_GET_INFO
 * @vdev: an open device
 * @info: filled in
 *
 * Return: 0 or a negative errno.
 */
int vdev_info(const struct vdev *vdev, struct vfio_device_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);

	return do_ioctl(vdev->fd, VFIO_DEVICE_GET_INFO, info);
}

/**
 * vdev_reset() - VFIO_DEVICE_RESET
 * @vdev: an open device
 *
 * Return: 0 or a negative errno.
 */
int vdev_reset(const struct vdev *vdev)
{
	return do_ioctl(vdev->fd, VFIO_DEVICE_RESET, NULL);
}

/**
 * vdev_region_info() - VFIO_DEVICE_GET_REGION_INFO without capabilities
 * @vdev: an open device
 * @index: index of the region
 * @info: filled in
 *
 * Return: 0 or a negative errno.
 */
int vdev_region_info(const struct vdev *vdev, unsigned int index,
		     struct vfio_region_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;

	return do_ioctl(vdev->fd, VFIO_DEVICE_GET_REGION_INFO, info);
}

static int region_pos(const struct vdev *vdev, unsigned int region,
		      __u64 offset, off_t *pos)
{
	struct vfio_region_info info;
	int ret = vdev_region_info(vdev, region, &info);

	*pos = info.offset + offset;

	return ret;
}

/**
 * vdev_read() - read from a region
 * @vdev: an open device
 * @region: index
 * @offset: offset in the region, not checked here
 * @buf: destination
 * @len: bytes
 *
 * Return: bytes read or a negative errno.
 */
int vdev_read(const struct vdev *vdev, unsigned int region, __u64 offset,
	      void *buf, size_t len)
{
	ssize_t n;
	off_t pos;
	int ret;

	ret = region_pos(vdev, region, offset, &pos);
	if (ret < 0)
		return ret;
	n = pread(vdev->fd, buf, len, pos);

	return n < 0 ? -errno : (int)n;
}

/**
 * vdev_write() - write to a region
 * @vdev: an open device
 * @region: index
 * @offset: offset in the region, not checked here
 * @buf: source
 * @len: bytes
 *
 * Return: bytes written or a negative errno.
 */
int vdev_write(const struct vdev *vdev, unsigned int region, __u64 offset,
	       const void *buf, size_t len)
{
	ssize_t n;
	off_t pos;
	int ret;

	ret = region_pos(vdev, region, offset, &pos);
	if (ret < 0)
		return ret;
	n = pwrite(vdev->fd, buf, len, pos);

	return n < 0 ? -errno : (int)n;
}

/*
 * A BAR of a vGPU that could not be recovered is inaccessible.  Like the bus,
 * answer with ones from then on, until vdev_remap_bars().
 */
static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	const size_t size = sysconf(_SC_PAGESIZE);
	void *page = (void *)((uintptr_t)info->si_addr & ~(size - 1));

	if (mmap(page, size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != page)
		_exit(SIGBUS);
	memset(page, 0xff, size);
}

/**
 * vdev_remap_bars() - map BARs again after a vGPU has been recovered
 * @vdev: an open device
 *
 * Return: 0 or a negative errno.
 */
int vdev_remap_bars(struct vdev *vdev)
{
	struct vfio_region_info info;
	unsigned int bar;
	int ret;

	for (bar = 0; bar < VDEV_NR_BARS; bar++) {
		if (!vdev->bar[bar])
			continue;
		ret = vdev_region_info(vdev, bar, &info);
		if (ret < 0)
			return ret;
		if (mmap(vdev->bar[bar], vdev->bar_len[bar],
			 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			 vdev->fd, info.offset) == MAP_FAILED)
			return -errno;
	}

	return 0;
}

/**
 * vdev_map_bar() - map a whole BAR, until vdev_close()
 * @vdev: an open device
 * @bar: 0 to 5
 *
 * Return: 0 or a negative errno.
 */
int vdev_map_bar(struct vdev *vdev, unsigned int bar)
{
	struct sigaction action = {
		.sa_sigaction = on_sigbus,
		.sa_flags = SA_SIGINFO,
	};
	struct vfio_region_info info;
	void *map;
	int ret;

	if (vdev->bar[bar])
		return 0;
	ret = vdev_region_info(vdev, bar, &info);
	if (ret < 0)
		return ret;
	if (!info.size || !(info.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return -ENODEV;

	map = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   vdev->fd, info.offset);
	if (map == MAP_FAILED)
		return -errno;
	sigaction(SIGBUS, &action, NULL);
	vdev->bar[bar] = map;
	vdev->bar_len[bar] = info.size;

	return 0;
}

/**
 * vdev_try_mmap() - map a range of a region and unmap it again
 * @vdev: an open device
 * @region: index
 * @offset: offset in the region, not checked here
 * @len: bytes
 *
 * Return: 0 or a negative errno.
 */
int vdev_try_mmap(const struct vdev *vdev, unsigned int region, __u64 offset,
		  size_t len)
{
	void *map;
	off_t pos;
	int ret;

	ret = region_pos(vdev, region, offset, &pos);
	if (ret < 0)
		return ret;
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, vdev->fd,
		   pos);
	if (map == MAP_FAILED)
		return -errno;
	munmap(map, len);

	return 0;
}

/* The headers may be older than the kernel. */
#define FEATURE_DMA_BUF	11

struct feature_dma_buf {
	struct vfio_device_feature feature;
	__u32 region_index;
	__u32 open_flags;
	__u32 flags;
	__u32 nr_ranges;
	struct vdev_range ranges[];
};

/**
 * vdev_export() - VFIO_DEVICE_FEATURE_DMA_BUF
 * @vdev: an open device
 * @region: index
 * @ranges: ranges of the region, not checked here
 * @nr: number of entries
 *
 * Return: a file descriptor or a negative errno.
 */
int vdev_export(const struct vdev *vdev, unsigned int region,
		const struct vdev_range *ranges, unsigned int nr)
{
	size_t len = sizeof(struct feature_dma_buf) + nr * sizeof(*ranges);
	struct feature_dma_buf *arg = calloc(1, len);
	int ret;

	if (!arg)
		return -ENOMEM;
	arg->feature.argsz = len;
	arg->feature.flags = FEATURE_DMA_BUF | VFIO_DEVICE_FEATURE_GET;
	arg->region_index = region;
	arg->open_flags = O_RDWR | O_CLOEXEC;
	arg->nr_ranges = nr;
	memcpy(arg->ranges, ranges, nr * sizeof(*ranges));
	ret = do_ioctl(vdev->fd, VFIO_DEVICE_FEATURE, arg);
	free(arg);

	return ret;
}

/**
 * vdev_unmap_bar() - undo vdev_map_bar()
 * @vdev: an open device
 * @bar: 0 to 5, mapped or not
 */
void vdev_unmap_bar(struct vdev *vdev, unsigned int bar)
{
	if (vdev->bar[bar])
		munmap(vdev->bar[bar], vdev->bar_len[bar]);
	vdev->bar[bar] = NULL;
}

/**
 * vdev_irq_info() - VFIO_DEVICE_GET_IRQ_INFO
 * @vdev: an open device
 * @index: VFIO_PCI_*_IRQ_INDEX
 * @info: filled in
 *
 * Return: 0 or a negative errno.
 */
int vdev_irq_info(const struct vdev *vdev, unsigned int index,
		  struct vfio_irq_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;

	return do_ioctl(vdev->fd, VFIO_DEVICE_GET_IRQ_INFO, info);
}

static int set_irqs(const struct vdev *vdev, unsigned int index,
		    const int *fds, unsigned int nr)
{
	union {
		struct vfio_irq_set set;
		char room[sizeof(struct vfio_irq_set) +
			  VDEV_MAX_IRQS * sizeof(int)];
	} u = {
		.set = {
			.argsz = sizeof(u.set) + nr * sizeof(int),
			.index = index,
			.count = nr,
			.flags = VFIO_IRQ_SET_ACTION_TRIGGER |
				 (nr ? VFIO_IRQ_SET_DATA_EVENTFD :
				       VFIO_IRQ_SET_DATA_NONE),
		},
	};

	if (nr)
		memcpy(u.set.data, fds, nr * sizeof(int));

	return do_ioctl(vdev->fd, VFIO_DEVICE_SET_IRQS, &u.set);
}

/**
 * vdev_set_irq() - connect an eventfd to the first interrupt of an index
 * @vdev: an open device
 * @index: VFIO_PCI_REQ_IRQ_INDEX, VFIO_PCI_ERR_IRQ_INDEX, ...
 * @eventfd: or -1 to disconnect
 *
 * Return: 0 or a negative errno.
 */
int vdev_set_irq(const struct vdev *vdev, unsigned int index, int eventfd)
{
	return set_irqs(vdev, index, &eventfd, 1);
}

/**
 * vdev_msix_enable() - connect eventfds to the first MSI-X vectors
 * @vdev: an open device
 * @nr: number of vectors, at most VDEV_MAX_IRQS
 *
 * Return: 0 or a negative errno.
 */
int vdev_msix_enable(struct vdev *vdev, unsigned int nr)
{
	unsigned int i;
	int ret;

	if (nr > VDEV_MAX_IRQS || vdev->nr_irqs)
		return -EINVAL;

	for (i = 0; i < nr; i++) {
		vdev->irq[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (vdev->irq[i] < 0) {
			ret = -errno;
			goto err_close;
		}
	}

	ret = set_irqs(vdev, VFIO_PCI_MSIX_IRQ_INDEX, vdev->irq, nr);
	if (ret < 0)
		goto err_close;
	vdev->nr_irqs = nr;

	return 0;

err_close:
	while (i--)
		close(vdev->irq[i]);

	return ret;
}

/**
 * vdev_msix_disable() - undo vdev_msix_enable()
 * @vdev: an open device
 *
 * Return: 0 or a negative errno.
 */
int vdev_msix_disable(struct vdev *vdev)
{
	int ret = set_irqs(vdev, VFIO_PCI_MSIX_IRQ_INDEX, NULL, 0);
	unsigned int i;

	for (i = 0; i < vdev->nr_irqs; i++)
		close(vdev->irq[i]);
	vdev->nr_irqs = 0;

	return ret;
}

/**
 * irq_wait_any() - wait for one of several eventfds, without clearing it
 * @eventfds: non-blocking eventfds
 * @nr: number of @eventfds, at most VDEV_MAX_IRQS
 * @timeout_ms: 0 does not wait, negative waits forever
 *
 * Return: true if one of them is signalled.
 */
bool irq_wait_any(const int *eventfds, unsigned int nr, int timeout_ms)
{
	struct pollfd pfd[VDEV_MAX_IRQS];
	unsigned int i;

	for (i = 0; i < nr; i++) {
		pfd[i].fd = eventfds[i];
		pfd[i].events = POLLIN;
	}

	return poll(pfd, nr, timeout_ms) > 0;
}

/**
 * irq_wait() - wait for an eventfd and clear it
 * @eventfd: non-blocking eventfd
 * @timeout_ms: 0 does not wait, negative waits forever
 *
 * Return: the number of signals, 0 after the time-out.
 */
int irq_wait(int eventfd, int timeout_ms)
{
	__u64 count;

	if (!irq_wait_any(&eventfd, 1, timeout_ms))
		return 0;
	if (read(eventfd, &count, sizeof(count)) != sizeof(count))
		return 0;

	return count > INT_MAX ? INT_MAX : (int)count;
}
