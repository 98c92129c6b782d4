/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VFIO and IOMMU set-up for the nvvgpu selftests and guest programs.
 *
 * Every function returns 0, a count or a file descriptor, or a negative errno,
 * so that a test can name the errno it expects.  Nothing here exits or prints.
 */
#ifndef _NVVGPU_SELFTEST_VFIO_H
#define _NVVGPU_SELFTEST_VFIO_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>
#include <linux/vfio.h>

#define VDEV_NR_BARS		6
#define VDEV_MAX_IRQS		16
#define VDEV_FEATURE_MAX	64
#define VDEV_D0			0
#define VDEV_D3HOT		3

/**
 * enum iommu_mode - ways to open a device and to map its DMA
 * @IOMMU_IOMMUFD: the device's cdev, and an IOAS of /dev/iommu
 * @IOMMU_COMPAT: the group, with /dev/iommu standing in for the container
 * @IOMMU_TYPE1: the group and the type 1 container of /dev/vfio/vfio
 * @IOMMU_NONE: the group, and no IOMMU: DMA addresses are physical ones
 */
enum iommu_mode {
	IOMMU_IOMMUFD,
	IOMMU_COMPAT,
	IOMMU_TYPE1,
	IOMMU_NONE,
};

/**
 * struct ioas - an I/O address space
 * @mode: kind of address space
 * @fd: file descriptor of /dev/iommu or of the container
 * @id: id of the IOAS, with IOMMU_IOMMUFD
 * @sibling: the file belongs to another struct ioas
 * @groups: number of groups in the container, which gets its type with the first one
 */
struct ioas {
	enum iommu_mode mode;
	int fd;
	__u32 id;
	bool sibling;
	unsigned int groups;
};

int ioas_open(struct ioas *ioas, enum iommu_mode mode);
int ioas_open_sibling(struct ioas *ioas, const struct ioas *other);
void ioas_close(struct ioas *ioas);
int ioas_map(struct ioas *ioas, void *vaddr, __u64 iova, __u64 len, int prot);
int ioas_map_file(struct ioas *ioas, int fd, __u64 start, __u64 iova, __u64 len,
		  int prot);
int ioas_unmap(struct ioas *ioas, __u64 iova, __u64 len);

/**
 * struct vdev - an opened VFIO PCI device
 * @bdf: PCI name
 * @ioas: address space used to open it
 * @fd: file descriptor of the device, -1 while closed
 * @group: file descriptor of its group, -1 with a cdev
 * @id: id of the device in iommufd
 * @bar: BARs mapped by vdev_map_bar(), else NULL
 * @bar_len: bytes mapped
 * @irq: eventfds of the enabled MSI-X vectors
 * @nr_irqs: number of interrupts
 */
struct vdev {
	char bdf[16];
	struct ioas *ioas;
	int fd;
	int group;
	__u32 id;
	void *bar[VDEV_NR_BARS];
	size_t bar_len[VDEV_NR_BARS];
	int irq[VDEV_MAX_IRQS];
	unsigned int nr_irqs;
};

/* Life: open is init, bind and attach in one; each may be used alone. */
void vdev_init(struct vdev *vdev, const char *bdf, struct ioas *ioas);
int vdev_cdev_open(const char *bdf);
int vdev_group_open(const char *bdf);
int vdev_bind(struct vdev *vdev);
int vdev_attach(struct vdev *vdev, __u32 pt_id);
int vdev_detach(struct vdev *vdev);
int vdev_open(struct vdev *vdev, const char *bdf, struct ioas *ioas);
void vdev_close(struct vdev *vdev);

int vdev_ioctl(const struct vdev *vdev, unsigned long request, void *arg);
int vdev_feature(const struct vdev *vdev, __u32 flags, void *data, size_t len);
int vdev_info(const struct vdev *vdev, struct vfio_device_info *info);
int vdev_reset(const struct vdev *vdev);

/* Regions */
int vdev_region_info(const struct vdev *vdev, unsigned int index,
		     struct vfio_region_info *info);
int vdev_read(const struct vdev *vdev, unsigned int region, __u64 offset,
	      void *buf, size_t len);
int vdev_write(const struct vdev *vdev, unsigned int region, __u64 offset,
	       const void *buf, size_t len);
int vdev_try_mmap(const struct vdev *vdev, unsigned int region, __u64 offset,
		  size_t len);
int vdev_map_bar(struct vdev *vdev, unsigned int bar);
int vdev_remap_bars(struct vdev *vdev);
void vdev_unmap_bar(struct vdev *vdev, unsigned int bar);

/* dma-bufs of regions */

/**
 * struct vdev_range - a range of a region
 * @offset: offset in the region
 * @length: bytes
 */
struct vdev_range {
	__u64 offset;
	__u64 length;
};

int vdev_export(const struct vdev *vdev, unsigned int region,
		const struct vdev_range *ranges, unsigned int nr);

/* Configuration space; a failed read is all ones, as on the bus */
__u8 vdev_cfg_read8(const struct vdev *vdev, unsigned int offset);
__u16 vdev_cfg_read16(const struct vdev *vdev, unsigned int offset);
__u32 vdev_cfg_read32(const struct vdev *vdev, unsigned int offset);
int vdev_cfg_write8(const struct vdev *vdev, unsigned int offset, __u8 val);
int vdev_cfg_write16(const struct vdev *vdev, unsigned int offset, __u16 val);
int vdev_cfg_write32(const struct vdev *vdev, unsigned int offset, __u32 val);
unsigned int vdev_find_cap(const struct vdev *vdev, __u8 id);
int vdev_enable(const struct vdev *vdev, bool master);
int vdev_set_power(const struct vdev *vdev, unsigned int state);
int vdev_flr(const struct vdev *vdev);

/* Interrupts */
int vdev_irq_info(const struct vdev *vdev, unsigned int index,
		  struct vfio_irq_info *info);
int vdev_set_irq(const struct vdev *vdev, unsigned int index, int eventfd);
int vdev_msix_enable(struct vdev *vdev, unsigned int nr);
int vdev_msix_disable(struct vdev *vdev);
bool irq_wait_any(const int *eventfds, unsigned int nr, int timeout_ms);
int irq_wait(int eventfd, int timeout_ms);

#endif /* _NVVGPU_SELFTEST_VFIO_H */
