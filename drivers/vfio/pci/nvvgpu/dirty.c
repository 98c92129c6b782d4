// SPDX-License-Identifier: GPL-2.0-only
/*
 * The log of the vGPU's DMA writes, kept by its back-end.
 *
 * iova_bitmap_set() may touch user memory, which is not allowed with the gate
 * or state_mutex held: the log is fetched in pieces, and passed on without them.
 */
#include <linux/bitmap.h>
#include <linux/interval_tree.h>
#include <linux/iova_bitmap.h>
#include <linux/log2.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include <linux/xarray.h>

#include "nvvgpu.h"
#include "trace.h"

#define NVVGPU_DIRTY_BYTES	SZ_4K
#define NVVGPU_DIRTY_PAGES	(NVVGPU_DIRTY_BYTES * BITS_PER_BYTE)

static int nvvgpu_dirty_start(struct vfio_device *core_vdev,
			      struct rb_root_cached *root, u32 nnodes,
			      u64 *page_size)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);
	struct nvvgpu_range *ranges __free(kvfree) = NULL;
	struct interval_tree_node *node;
	struct nvvgpu_backend *backend;
	u64 size = *page_size;
	u32 nr = 0;
	int ret;

	/* VFIO has seen to it that no range wraps or overlaps with another. */
	if (!is_power_of_2(size))
		return -EINVAL;

	ranges = kvcalloc(nnodes, sizeof(*ranges), GFP_KERNEL_ACCOUNT);
	if (!ranges)
		return -ENOMEM;
	for (node = interval_tree_iter_first(root, 0, ULONG_MAX); node;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX)) {
		ranges[nr].offset = node->start;
		ranges[nr].length = node->last - node->start + 1;
		if (!ranges[nr].length)
			return -EINVAL;
		nr++;
	}

	guard(nvvgpu)(vgpu);

	if (vgpu->log_page_size)
		return nvvgpu_fail(vgpu, -EINVAL,
				   "cannot log DMA: it is being logged");
	if (vgpu->state != NVVGPU_OPEN)
		return nvvgpu_fail(vgpu, -EIO,
				   "cannot log DMA: the vGPU is in error");
	backend = vgpu->backend;
	if (!backend->ops->dma_log_start)
		return -EOPNOTSUPP;

	ret = backend->ops->dma_log_start(backend->priv, vgpu->vf, ranges, nr,
					  &size);
	trace_nvvgpu_op(vgpu, "dma_log_start", ret);
	if (!ret && (size < SZ_4K || !is_power_of_2(size))) {
		backend->ops->dma_log_stop(backend->priv, vgpu->vf);
		ret = -EPROTO;
	}
	if (ret)
		return nvvgpu_fail(vgpu, ret, "cannot log DMA");

	vgpu->log_page_size = size;
	vgpu->log_lost = false;
	*page_size = size;

	return 0;
}

/**
 * nvvgpu_dirty_end() - the log ends, if there is one
 * @vgpu: the VF, locked; closed, or about to lose its back-end
 *
 * Return: 0 or the back-end's errno; there is no log any more in any case
 */
int nvvgpu_dirty_end(struct nvvgpu *vgpu)
{
	struct nvvgpu_backend *backend = vgpu->backend;
	int ret;

	lockdep_assert_held(&vgpu->state_mutex);

	if (!vgpu->log_page_size)
		return 0;
	vgpu->log_page_size = 0;
	xa_destroy(&vgpu->log_parts);
	if (!backend)
		return 0;

	ret = backend->ops->dma_log_stop(backend->priv, vgpu->vf);
	trace_nvvgpu_op(vgpu, "dma_log_stop", ret);

	return ret;
}

static int nvvgpu_dirty_stop(struct vfio_device *core_vdev)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);

	guard(nvvgpu)(vgpu);

	return nvvgpu_dirty_end(vgpu);
}

/* Fetch the log of at most NVVGPU_DIRTY_PAGES whole pages from @iova to @last. */
static int nvvgpu_dirty_fetch(struct nvvgpu *vgpu, u64 iova, u64 last,
			      u8 *bits, u64 *page_size, u64 *length)
{
	struct nvvgpu_backend *backend;
	int ret;

	guard(nvvgpu)(vgpu);

	if (!vgpu->log_page_size)
		return -EINVAL;
	if (vgpu->state != NVVGPU_OPEN || vgpu->log_lost)
		return -EIO;

	*page_size = vgpu->log_page_size;
	iova = round_down(iova, *page_size);
	last |= *page_size - 1;
	*length = min(last - iova, *page_size * NVVGPU_DIRTY_PAGES - 1) + 1;
	memset(bits, 0, NVVGPU_DIRTY_BYTES);
	backend = vgpu->backend;
	ret = backend->ops->dma_log_read(backend->priv, vgpu->vf, iova, *length,
					 bits);
	trace_nvvgpu_op(vgpu, "dma_log_read", ret);
	if (ret) {
		/* It may be forgotten by now, so no later answer is true. */
		vgpu->log_lost = true;
		return nvvgpu_fail(vgpu, ret, "cannot read the log of DMA");
	}

	return 0;
}

/*
 * Pass a page on that has been written.  The back-end has forgotten it: when it
 * was asked for in part only, it is kept for who asks for the rest.
 */
static int nvvgpu_dirty_page(struct nvvgpu *vgpu, u64 page, u64 page_size,
			     u64 iova, u64 last, struct iova_bitmap *dirty)
{
	u64 from = max(page, iova);
	u64 to = min(page + page_size - 1, last);
	unsigned long index = page >> ilog2(page_size);

	iova_bitmap_set(dirty, from, to - from + 1);
	if (to - from + 1 < page_size)
		return xa_err(xa_store(&vgpu->log_parts, index, xa_mk_value(0),
				       GFP_KERNEL_ACCOUNT));

	xa_erase(&vgpu->log_parts, index);

	return 0;
}

static int nvvgpu_dirty_read(struct vfio_device *core_vdev, unsigned long iova,
			     unsigned long length, struct iova_bitmap *dirty)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);
	u64 last = iova + length - 1, at = iova;
	u64 page_size, page, n, i;
	unsigned int shift;
	int ret;

	u8 *bits __free(kfree) = kmalloc(NVVGPU_DIRTY_BYTES,
					 GFP_KERNEL_ACCOUNT);
	if (!bits)
		return -ENOMEM;
	if (!length)
		return 0;

	for (;;) {
		ret = nvvgpu_dirty_fetch(vgpu, at, last, bits, &page_size, &n);
		if (ret)
			return ret;

		shift = ilog2(page_size);
		page = round_down(at, page_size);
		for (i = 0; i < n >> shift; i++, page += page_size) {
			if (!(bits[i / BITS_PER_BYTE] & BIT(i % BITS_PER_BYTE)) &&
			    !xa_load(&vgpu->log_parts, page >> shift))
				continue;
			ret = nvvgpu_dirty_page(vgpu, page, page_size, iova,
						last, dirty);
			if (ret) {
				guard(nvvgpu)(vgpu);
				vgpu->log_lost = true;
				return ret;
			}
		}
		if (page - 1 >= last)
			return 0;
		at = page;
		cond_resched();
	}
}

static const struct vfio_log_ops nvvgpu_log_ops = {
	.log_start = nvvgpu_dirty_start,
	.log_stop = nvvgpu_dirty_stop,
	.log_read_and_clear = nvvgpu_dirty_read,
};

/**
 * nvvgpu_dirty_open() - offer a log of DMA when the back-end can keep one
 * @vgpu: the VF, locked; its device is being opened, nobody can ask it yet
 */
void nvvgpu_dirty_open(struct nvvgpu *vgpu)
{
	vgpu->core.vdev.log_ops = vgpu->backend->ops->dma_log_start ?
				  &nvvgpu_log_ops : NULL;
}
