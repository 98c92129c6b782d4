/*
 * nvvgpu-emu: framebuffer slots, scrubbing, VRAM dirty log
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "qemu/cutils.h"

#include "nvvgpu-emu.h"
#include "qemu-compat.h"
#include "trace.h"

/*
 * QEMU takes snapshots of its dirty bitmap, and clears it, in units of 64
 * target pages
 */
#define NVVGPU_SNAPSHOT         (256 * KiB)

/*
 * Slots
 *
 * A framebuffer consists of whole granules.  Its offset is a multiple of its
 * size rounded up to a power of two, so the slots of one type never overlap
 * and vGPUs of one type cannot fragment VRAM.
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

uint32_t nvvgpu_vram_find(NvvgpuState *s, const NvvgpuType *type,
                          uint64_t placement, unsigned int *found)
{
    unsigned int align = nvvgpu_type_align(type);

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

    *found = placement;
    return NVVGPU_EMU_OK;
}

void nvvgpu_vram_take(NvvgpuVgpu *v, const NvvgpuType *type,
                      unsigned int placement)
{
    v->type = type;
    v->placement = placement;
    v->fb_offset = placement * NVVGPU_GRANULE;
    memset(v->gpu->granule_owner + placement, v->index + 1,
           nvvgpu_type_granules(type));
}

void nvvgpu_vram_free(NvvgpuVgpu *v)
{
    if (v->type) {
        memset(v->gpu->granule_owner + v->placement, 0,
               nvvgpu_type_granules(v->type));
        v->type = NULL;
    }
}

bool nvvgpu_vram_can_discard(NvvgpuState *s)
{
    return s->discard && !ram_block_discard_is_disabled();
}

/*
 * Discard the pages, after which they read as zero.  Returns false if the host
 * cannot, for example because VFIO has pinned guest memory.
 */
static bool nvvgpu_vram_discard(NvvgpuState *s, uint64_t offset, uint64_t len)
{
    if (!nvvgpu_vram_can_discard(s)) {
        return false;
    }

    /* After a failure, for example if memory is locked, do not try again */
    s->discard = !ram_block_discard_range(s->vram.ram_block, offset, len);
    return s->discard;
}

void nvvgpu_vram_scrub(NvvgpuState *s, uint64_t offset, uint64_t len)
{
    trace_nvvgpu_vram_scrub(offset, len);
    if (!nvvgpu_vram_discard(s, offset, len)) {
        for (uint64_t i = 0; i < len; i += NVVGPU_SLICE) {
            uint8_t *p = s->vram_ptr + offset + i;

            if (!buffer_is_zero(p, NVVGPU_SLICE)) {
                memset(p, 0, NVVGPU_SLICE);
            }
        }
    }
    memory_region_set_dirty(&s->vram, offset, len);
}

void nvvgpu_vram_reset(NvvgpuState *s)
{
    /* Without discards, clear only framebuffers; CREATE scrubs free VRAM */
    bool all = nvvgpu_vram_discard(s, 0, s->vram_size);

    for (unsigned int i = 0; i < NVVGPU_EMU_MAX_VFS; i++) {
        NvvgpuVgpu *v = &s->vgpu[i];

        if (v->type && !all) {
            nvvgpu_vram_scrub(s, v->fb_offset, v->type->fb_bytes);
        }
        nvvgpu_vram_free(v);
    }
    if (all) {
        memory_region_set_dirty(&s->vram, 0, s->vram_size);
    }
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
 * VRAM dirty log
 *
 * QEMU's dirty bitmap, with one bit per target page, tracks the writes of vCPUs
 * and engines.  When the host reads a range of the log, the bits of that range
 * are moved to the bitmap of the vGPU first.
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
 * Taking the snapshot drops the big lock until all vCPUs have seen the cleared
 * bits.  Release the re-entrancy guard taken in nvvgpu_fw_guarded() meanwhile,
 * or register accesses of the vCPUs would be refused.  The vGPU may be gone
 * afterwards.
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
