/*
 * nvvgpu-emu: DMA dirty log
 *
 * One bit per page of the IOVA ranges that the host requested.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "nvvgpu-emu.h"

#define NVVGPU_DMA_LOG_SHIFT_MIN    12
#define NVVGPU_DMA_LOG_SHIFT_MAX    30

/* Limit on the pages tracked per vGPU; beyond it the page size grows */
#define NVVGPU_DMA_LOG_PAGES_MAX    (256 * MiB)

void nvvgpu_dma_log_stop(NvvgpuVgpu *v)
{
    NvvgpuDmaLog *log = &v->dma_log;

    for (unsigned int i = 0; i < log->num; i++) {
        g_free(log->range[i].bitmap);
    }
    memset(log, 0, sizeof(*log));
}

uint32_t nvvgpu_dma_log_start(NvvgpuVgpu *v,
                              const struct nvvgpu_emu_range *ranges,
                              unsigned int num, uint64_t page_size)
{
    NvvgpuDmaLog *log = &v->dma_log;
    unsigned int shift;
    uint64_t pages;

    if (!num || num > NVVGPU_EMU_DIRTY_RANGES_MAX ||
        !is_power_of_2(page_size)) {
        return NVVGPU_EMU_ERR_INVALID;
    }
    for (unsigned int i = 0; i < num; i++) {
        uint64_t iova = le64_to_cpu(ranges[i].iova);
        uint64_t len = le64_to_cpu(ranges[i].length);

        if (!len || len - 1 > UINT64_MAX - iova) {
            return NVVGPU_EMU_ERR_INVALID;
        }
    }

    shift = MIN(MAX(ctz64(page_size), NVVGPU_DMA_LOG_SHIFT_MIN),
                NVVGPU_DMA_LOG_SHIFT_MAX);
    for (;; shift++) {
        pages = 0;
        for (unsigned int i = 0; i < num; i++) {
            uint64_t iova = le64_to_cpu(ranges[i].iova);
            uint64_t last = iova + le64_to_cpu(ranges[i].length) - 1;

            pages += (last >> shift) - (iova >> shift) + 1;
        }
        if (pages <= NVVGPU_DMA_LOG_PAGES_MAX) {
            break;
        }
        if (shift == NVVGPU_DMA_LOG_SHIFT_MAX) {
            return NVVGPU_EMU_ERR_NO_SPACE;
        }
    }

    log->shift = shift;
    for (unsigned int i = 0; i < num; i++) {
        NvvgpuDmaRange *r = &log->range[i];
        uint64_t iova = le64_to_cpu(ranges[i].iova);
        uint64_t last = iova + le64_to_cpu(ranges[i].length) - 1;

        r->first = iova >> shift;
        r->pages = (last >> shift) - r->first + 1;
        r->bitmap = bitmap_try_new(r->pages);
        log->num = i + 1;
        if (!r->bitmap) {
            nvvgpu_dma_log_stop(v);
            return NVVGPU_EMU_ERR_NO_SPACE;
        }
    }
    log->on = true;

    return NVVGPU_EMU_OK;
}

/* Clip [*first, *last] to the range; returns false if they are disjoint */
static bool nvvgpu_dma_range_clip(const NvvgpuDmaRange *r, uint64_t *first,
                                  uint64_t *last)
{
    *first = MAX(*first, r->first);
    *last = MIN(*last, r->first + r->pages - 1);

    return *first <= *last;
}

void nvvgpu_dma_log_mark(NvvgpuVgpu *v, uint64_t addr, uint64_t len)
{
    NvvgpuDmaLog *log = &v->dma_log;

    if (!log->on || !len) {
        return;
    }

    for (unsigned int i = 0; i < log->num; i++) {
        NvvgpuDmaRange *r = &log->range[i];
        uint64_t first = addr >> log->shift;
        uint64_t last = (addr + len - 1) >> log->shift;

        if (nvvgpu_dma_range_clip(r, &first, &last)) {
            bitmap_set(r->bitmap, first - r->first, last - first + 1);
        }
    }
}

uint64_t nvvgpu_dma_log_read(NvvgpuVgpu *v, uint64_t first, uint64_t pages,
                             uint8_t *bits)
{
    NvvgpuDmaLog *log = &v->dma_log;
    uint64_t dirty = 0;

    memset(bits, 0, DIV_ROUND_UP(pages, 8));
    for (unsigned int i = 0; i < log->num; i++) {
        NvvgpuDmaRange *r = &log->range[i];
        uint64_t from = first;
        uint64_t last = first + pages - 1;
        unsigned long end;

        if (!nvvgpu_dma_range_clip(r, &from, &last)) {
            continue;
        }

        end = last - r->first + 1;
        for (unsigned long n = find_next_bit(r->bitmap, end, from - r->first);
             n < end; n = find_next_bit(r->bitmap, end, n + 1)) {
            uint64_t bit = r->first + n - first;

            clear_bit(n, r->bitmap);
            if (!(bits[bit / 8] & (1 << (bit % 8)))) {
                bits[bit / 8] |= 1 << (bit % 8);
                dirty++;
            }
        }
    }

    return dirty;
}
