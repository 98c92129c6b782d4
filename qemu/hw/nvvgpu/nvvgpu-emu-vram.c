/*
 * nvvgpu-emu: framebuffer slots, scrubbing, dirty pages
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "qemu/cutils.h"
#include "exec/cpu-common.h"
#include "exec/memory.h"

#include "nvvgpu-emu.h"
#include "trace.h"

/*
 * A snapshot of QEMU's own dirty bits is taken, and they are cleared, in units
 * of so many bytes: 64 target pages
 */
#define NVVGPU_SNAPSHOT         (256 * KiB)

/*
 * Slots
 *
 * A framebuffer takes whole granules.  It begins at a multiple of its size,
 * rounded up to a power of two, so that the places where one type can be never
 * overlap in part and VRAM cannot be cut into useless pieces by one type.
 */

static unsigned int nvvgpu_type_granules(const NvvgpuType *type)
{
    return type->fb_bytes / NVVGPU_GRANULE;
}

static unsigned int nvvgpu_type_align(const NvvgpuType *type)
{
    return pow2ceil(nvvgpu_type_granules(type));
}

static bool nvvgpu_slot_free(NvvgpuState *s, const NvvgpuType *type,
                             unsigned int placement)
{
    for (unsigned int i = 0; i < nvvgpu_type_granules(type); i++) {
        if (s->granule_owner[placement + i]) {
            return false;
        }
    }

    return true;
}

static bool nvvgpu_slot_fits(NvvgpuState *s, const NvvgpuType *type,
                             unsigned int placement)
{
    return placement + nvvgpu_type_granules(type) <= s->num_granules;
}

uint64_t nvvgpu_vram_available(NvvgpuState *s, const NvvgpuType *type)
{
    unsigned int slots = 0;
    unsigned int vfs = 0;

    for (unsigned int i = 0; nvvgpu_slot_fits(s, type, i);
         i += nvvgpu_type_align(type)) {
        slots += nvvgpu_slot_free(s, type, i);
    }
    for (unsigned int i = 0; i < s->num_vfs; i++) {
        vfs += !nvvgpu_vgpu_exists(&s->vgpu[i]);
    }

    return MIN(slots, vfs);
}

uint64_t nvvgpu_vram_instances(NvvgpuState *s, const NvvgpuType *type)
{
    unsigned int slots = 0;

    for (unsigned int i = 0; nvvgpu_slot_fits(s, type, i);
         i += nvvgpu_type_align(type)) {
        slots++;
    }

    return MIN(slots, s->num_vfs);
}

uint32_t nvvgpu_vram_alloc(NvvgpuVgpu *v, uint64_t placement)
{
    NvvgpuState *s = v->gpu;
    const NvvgpuType *type = v->type;
    unsigned int align = nvvgpu_type_align(type);

    if (!nvvgpu_slot_fits(s, type, 0)) {
        return NVVGPU_EMU_ERR_NO_SPACE;
    }
    if (placement == NVVGPU_EMU_PLACEMENT_ANY) {
        for (placement = 0; nvvgpu_slot_fits(s, type, placement);
             placement += align) {
            if (nvvgpu_slot_free(s, type, placement)) {
                break;
            }
        }
        if (!nvvgpu_slot_fits(s, type, placement)) {
            return NVVGPU_EMU_ERR_NO_SPACE;
        }
    } else if (placement >= s->num_granules || placement % align ||
               !nvvgpu_slot_fits(s, type, placement)) {
        return NVVGPU_EMU_ERR_INVALID;
    } else if (!nvvgpu_slot_free(s, type, placement)) {
        return NVVGPU_EMU_ERR_BUSY;
    }

    memset(s->granule_owner + placement, v->index + 1,
           nvvgpu_type_granules(type));
    v->placement = placement;
    v->fb_offset = placement * NVVGPU_GRANULE;

    /* Free VRAM may have been written through the PF's aperture */
    nvvgpu_vram_scrub(s, v->fb_offset, type->fb_bytes);
    return NVVGPU_EMU_OK;
}

void nvvgpu_vram_free(NvvgpuVgpu *v)
{
    NvvgpuState *s = v->gpu;

    nvvgpu_vram_scrub(s, v->fb_offset, v->type->fb_bytes);
    memset(s->granule_owner + v->placement, 0, nvvgpu_type_granules(v->type));
}

/*
 * Give the pages back to the host, after which they read as zero.  Where that
 * is not possible, because something holds on to guest memory, write to those
 * that are not zero.
 */
void nvvgpu_vram_scrub(NvvgpuState *s, uint64_t offset, uint64_t len)
{
    trace_nvvgpu_vram_scrub(offset, len);
    if (ram_block_discard_is_disabled() ||
        ram_block_discard_range(s->vram.ram_block, offset, len)) {
        for (uint64_t i = 0; i < len; i += NVVGPU_SLICE) {
            uint8_t *p = s->vram_ptr + offset + i;

            if (!buffer_is_zero(p, NVVGPU_SLICE)) {
                memset(p, 0, NVVGPU_SLICE);
            }
        }
    }
    memory_region_set_dirty(&s->vram, offset, len);
}

/*
 * Access by the engines and the firmware
 */

bool nvvgpu_vram_check(NvvgpuVgpu *v, uint64_t off, uint64_t len)
{
    return off <= v->type->fb_bytes && len <= v->type->fb_bytes - off;
}

uint8_t *nvvgpu_vram_at(NvvgpuVgpu *v, uint64_t off)
{
    return v->gpu->vram_ptr + v->fb_offset + off;
}

void nvvgpu_vram_written(NvvgpuVgpu *v, uint64_t off, uint64_t len)
{
    memory_region_set_dirty(&v->gpu->vram, v->fb_offset + off, len);
}

/*
 * The dirty log
 *
 * QEMU's own dirty bits, one per page of the target, take note of the CPUs'
 * and the engines' writes.  They are collected in the vGPU's bitmap when the
 * host reads a piece of the log.
 */

void nvvgpu_vram_log_start(NvvgpuVgpu *v)
{
    uint64_t pages = v->type->fb_bytes / NVVGPU_EMU_VRAM_PAGE;

    v->vram_log.on = true;
    v->vram_log.bitmap = bitmap_new(pages);
    bitmap_set(v->vram_log.bitmap, 0, pages);
    memory_region_set_log(&v->gpu->vram, true, DIRTY_MEMORY_VGA);
}

void nvvgpu_vram_log_stop(NvvgpuVgpu *v)
{
    if (v->vram_log.on) {
        v->vram_log.on = false;
        g_clear_pointer(&v->vram_log.bitmap, g_free);
        memory_region_set_log(&v->gpu->vram, false, DIRTY_MEMORY_VGA);
    }
}

/*
 * QEMU lets the CPUs run while it waits for them to see the cleared bits: the
 * doors that nvvgpu_fw_guarded() has shut must be open, or their accesses to
 * the registers would be refused.  They may even take the vGPU away.
 */
static void nvvgpu_vram_log_collect(NvvgpuVgpu *v, uint64_t off, uint64_t end)
{
    MemReentrancyGuard *guard = &DEVICE(v->gpu)->mem_reentrancy_guard;
    MemoryRegion *vram = &v->gpu->vram;
    bool shut = guard->engaged_in_io;
    DirtyBitmapSnapshot *snap;

    off = QEMU_ALIGN_DOWN(off, NVVGPU_SNAPSHOT);
    end = QEMU_ALIGN_UP(end, NVVGPU_SNAPSHOT);
    guard->engaged_in_io = false;
    snap = memory_region_snapshot_and_clear_dirty(vram, v->fb_offset + off,
                                                  end - off, DIRTY_MEMORY_VGA);
    guard->engaged_in_io = shut;
    if (!v->vram_log.on) {
        g_free(snap);
        return;
    }
    for (; off < end; off += NVVGPU_EMU_VRAM_PAGE) {
        if (memory_region_snapshot_get_dirty(vram, snap, v->fb_offset + off,
                                             NVVGPU_EMU_VRAM_PAGE)) {
            set_bit(off / NVVGPU_EMU_VRAM_PAGE, v->vram_log.bitmap);
        }
    }
    g_free(snap);
}

uint64_t nvvgpu_vram_log_read(NvvgpuVgpu *v, uint64_t first, uint64_t pages,
                              uint8_t *bits)
{
    uint64_t dirty = 0;

    memset(bits, 0, DIV_ROUND_UP(pages, 8));
    nvvgpu_vram_log_collect(v, first * NVVGPU_EMU_VRAM_PAGE,
                            (first + pages) * NVVGPU_EMU_VRAM_PAGE);
    if (!v->vram_log.on) {
        return 0;
    }
    for (uint64_t i = 0; i < pages; i++) {
        if (test_and_clear_bit(first + i, v->vram_log.bitmap)) {
            bits[i / 8] |= 1 << (i % 8);
            dirty++;
        }
    }

    return dirty;
}
