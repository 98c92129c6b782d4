// SPDX-License-Identifier: GPL-2.0-only
/*
 * The log of the vGPU's DMA writes, which its back-end keeps.
 *
 * iova_bitmap_set() may touch user memory, which is not allowed under
 * state_mutex.  So a report reads the log one window at a time under the lock,
 * and sets the bits of the window without it.
 */
#include <linux/bitops.h>
#include <linux/interval_tree.h>
#include <linux/iova_bitmap.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include <linux/xarray.h>

#include "nvvgpu.h"

#define NVVGPU_DIRTY_BYTES	SZ_4K
#define NVVGPU_DIRTY_PAGES	(NVVGPU_DIRTY_BYTES * BITS_PER_BYTE)

/**
 * struct nvvgpu_log - a log that is active, protected by state_mutex
 * @page_size: granularity of the log, a power of two
 * @lost: a part of the log was cleared before it was reported
 * @parts: pages that were written and have been reported in part
 * @nr_ranges: entries in @ranges, at least one
 * @ranges: logged ranges, sorted, without overlap
 */
struct nvvgpu_log {
	u64 page_size;
	bool lost;
	struct xarray parts;
	u32 nr_ranges;
	struct nvvgpu_range ranges[] __counted_by(nr_ranges);
};

/**
 * struct nvvgpu_dirty_window - consecutive pages of a log
 * @start: IOVA of the first page
 * @pages: number of pages, at most NVVGPU_DIRTY_PAGES
 * @shift: log2 of the page size
 * @bits: bit n % 8 of byte n / 8 is set when page n was written
 */
struct nvvgpu_dirty_window {
	u64 start;
	u64 pages;
	unsigned int shift;
	u8 *bits;
};

static bool nvvgpu_dirty_test(const struct nvvgpu_dirty_window *window, u64 n)
{
	return window->bits[n / BITS_PER_BYTE] & BIT(n % BITS_PER_BYTE);
}

static void nvvgpu_log_free(struct nvvgpu_log *log)
{
	if (IS_ERR_OR_NULL(log))
		return;

	xa_destroy(&log->parts);
	kfree(log);
}

DEFINE_FREE(nvvgpu_log, struct nvvgpu_log *, nvvgpu_log_free(_T))

/* VFIO has checked that no range wraps or overlaps another. */
static struct nvvgpu_log *nvvgpu_log_alloc(struct rb_root_cached *root,
					   u32 nr_ranges)
{
	struct nvvgpu_log *log __free(nvvgpu_log) = NULL;
	struct interval_tree_node *node;
	u32 i = 0;

	log = kzalloc(struct_size(log, ranges, nr_ranges), GFP_KERNEL_ACCOUNT);
	if (!log)
		return ERR_PTR(-ENOMEM);

	xa_init_flags(&log->parts, XA_FLAGS_ACCOUNT);
	log->nr_ranges = nr_ranges;
	for (node = interval_tree_iter_first(root, 0, ULONG_MAX); node;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX)) {
		log->ranges[i].offset = node->start;
		log->ranges[i].length = node->last - node->start + 1;
		if (!log->ranges[i].length)
			return ERR_PTR(-EINVAL);
		i++;
	}

	return no_free_ptr(log);
}

static int nvvgpu_dirty_start(struct vfio_device *core_vdev,
			      struct rb_root_cached *root, u32 nnodes,
			      u64 *page_size)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);
	struct nvvgpu_log *log __free(nvvgpu_log) = NULL;
	u64 size = min_t(u64, *page_size, NVVGPU_LOG_PAGE_MAX);
	int ret;

	if (!is_power_of_2(*page_size))
		return -EINVAL;

	log = nvvgpu_log_alloc(root, nnodes);
	if (IS_ERR(log))
		return PTR_ERR(log);

	guard(nvvgpu)(vgpu);

	if (vgpu->log)
		return nvvgpu_refuse(vgpu, -EINVAL,
				     "cannot log DMA: DMA logging is already active");
	if (vgpu->state != NVVGPU_OPEN)
		return nvvgpu_refuse(vgpu, -EIO,
				     "cannot log DMA: the vGPU is in error");

	ret = nvvgpu_op_dma_log_start(vgpu, log->ranges, log->nr_ranges, &size);
	if (ret)
		return nvvgpu_refuse(vgpu, ret, "cannot log DMA");

	log->page_size = size;
	vgpu->log = no_free_ptr(log);
	*page_size = size;

	return 0;
}

/**
 * nvvgpu_dirty_end() - end the log, if there is one
 * @vgpu: the VF, locked
 *
 * Return: 0, or the error of the back-end; the log has ended in either case
 */
int nvvgpu_dirty_end(struct nvvgpu *vgpu)
{
	lockdep_assert_held(&vgpu->state_mutex);

	if (!vgpu->log)
		return 0;
	nvvgpu_log_free(vgpu->log);
	vgpu->log = NULL;

	return nvvgpu_op_dma_log_stop(vgpu);
}

static int nvvgpu_dirty_stop(struct vfio_device *core_vdev)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);

	guard(nvvgpu)(vgpu);

	return nvvgpu_dirty_end(vgpu);
}

/*
 * Clip @iova to @last to whole logged pages, beginning at the first of them.
 * Return false if there are none.
 */
static bool nvvgpu_dirty_clip(const struct nvvgpu_log *log, u64 *iova,
			      u64 *last)
{
	u64 mask = log->page_size - 1, end = 0;
	u32 i;

	for (i = 0; i < log->nr_ranges; i++) {
		const struct nvvgpu_range *range = &log->ranges[i];

		end = (range->offset + range->length - 1) | mask;
		if (*iova <= end) {
			*iova = max(*iova, range->offset) & ~mask;
			break;
		}
	}
	if (i == log->nr_ranges || *iova > *last)
		return false;

	/* The window may span gaps, but does not go beyond the last range. */
	for (; i < log->nr_ranges; i++)
		end = (log->ranges[i].offset + log->ranges[i].length - 1) | mask;
	*last = min(*last | mask, end);

	return true;
}

/*
 * The back-end has cleared the pages of the window.  Keep those that the
 * request from @iova to @last covers only in part, at most its first and its
 * last one, and report them until a request covers all of the page.
 */
static int nvvgpu_dirty_keep(struct nvvgpu_log *log,
			     struct nvvgpu_dirty_window *window, u64 iova,
			     u64 last)
{
	unsigned long first = window->start >> window->shift, index;
	unsigned long end = first + window->pages - 1;
	const unsigned long edges[] = { first, end };
	u64 mask = log->page_size - 1;
	unsigned int i;
	void *entry;
	int ret;

	xa_for_each_range(&log->parts, index, entry, first, end) {
		window->bits[(index - first) / BITS_PER_BYTE] |=
			BIT((index - first) % BITS_PER_BYTE);
		xa_erase(&log->parts, index);
	}

	for (i = 0; i < ARRAY_SIZE(edges); i++) {
		u64 page = (u64)edges[i] << window->shift;

		if (!nvvgpu_dirty_test(window, edges[i] - first) ||
		    (page >= iova && (page | mask) <= last))
			continue;
		ret = xa_err(xa_store(&log->parts, edges[i], xa_mk_value(0),
				      GFP_KERNEL_ACCOUNT));
		if (ret)
			return ret;
	}

	return 0;
}

/*
 * Read and clear the log from page @at, for a request from @iova to @last.  Return
 * 1 if @window is filled in, 0 if nothing more is logged, or a negative errno.
 */
static int nvvgpu_dirty_fetch(struct nvvgpu *vgpu, u64 at, u64 iova, u64 last,
			      struct nvvgpu_dirty_window *window)
{
	u64 end = last, length;
	struct nvvgpu_log *log;
	int ret;

	guard(nvvgpu)(vgpu);

	log = vgpu->log;
	if (!log)
		return -EINVAL;
	if (vgpu->state != NVVGPU_OPEN || log->lost)
		return -EIO;
	if (!nvvgpu_dirty_clip(log, &at, &end))
		return 0;

	length = min(end - at, log->page_size * NVVGPU_DIRTY_PAGES - 1) + 1;
	window->start = at;
	window->shift = ilog2(log->page_size);
	window->pages = length >> window->shift;
	memset(window->bits, 0, NVVGPU_DIRTY_BYTES);
	ret = nvvgpu_op_dma_log_read(vgpu, at, length, window->bits);
	if (!ret)
		ret = nvvgpu_dirty_keep(log, window, iova, last);
	if (ret) {
		/* The back-end may have cleared it, so later reports are wrong. */
		log->lost = true;
		return nvvgpu_refuse(vgpu, ret, "cannot read the DMA log");
	}

	return 1;
}

static void nvvgpu_dirty_report(const struct nvvgpu_dirty_window *window,
				u64 iova, u64 last, struct iova_bitmap *dirty)
{
	u64 size = 1ULL << window->shift;
	u64 page = window->start;
	u64 i, from;

	for (i = 0; i < window->pages; i++, page += size) {
		if (!nvvgpu_dirty_test(window, i))
			continue;
		from = max(page, iova);
		iova_bitmap_set(dirty, from,
				min(page + size - 1, last) - from + 1);
	}
}

static int nvvgpu_dirty_read(struct vfio_device *core_vdev, unsigned long iova,
			     unsigned long length, struct iova_bitmap *dirty)
{
	struct nvvgpu *vgpu = nvvgpu_from_vdev(core_vdev);
	u64 last = iova + length - 1, at = iova;
	struct nvvgpu_dirty_window window;
	int ret;

	u8 *bits __free(kfree) = kmalloc(NVVGPU_DIRTY_BYTES,
					 GFP_KERNEL_ACCOUNT);
	if (!bits)
		return -ENOMEM;
	if (!length)
		return 0;

	window.bits = bits;
	for (;;) {
		/* Each window is a firmware command, and there may be many. */
		if (fatal_signal_pending(current))
			return -EINTR;
		ret = nvvgpu_dirty_fetch(vgpu, at, iova, last, &window);
		if (ret <= 0)
			return ret;

		nvvgpu_dirty_report(&window, iova, last, dirty);
		at = window.start + (window.pages << window.shift) - 1;
		if (at >= last)
			return 0;
		at++;
		cond_resched();
	}
}

static const struct vfio_log_ops nvvgpu_log_ops = {
	.log_start = nvvgpu_dirty_start,
	.log_stop = nvvgpu_dirty_stop,
	.log_read_and_clear = nvvgpu_dirty_read,
};

/**
 * nvvgpu_dirty_init() - offer DMA logging if the back-end can log
 * @vgpu: the VF, not registered with VFIO yet
 */
void nvvgpu_dirty_init(struct nvvgpu *vgpu)
{
	bool can = nvvgpu_can(vgpu->backend) & NVVGPU_CAN_LOG_DMA;

	vgpu->core.vdev.log_ops = can ? &nvvgpu_log_ops : NULL;
}
