/*
 * nvvgpu-emu: dispi registers and EDID
 *
 * The page has the layout of QEMU's bochs-display, without the VGA ports.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "hw/display/edid.h"
#include "nvvgpu-emu.h"

#define NVVGPU_DISPI_SIZE       (2 * (VBE_DISPI_INDEX_VIDEO_MEMORY_64K + 1))
#define NVVGPU_QEXT_SIZE        8
#define NVVGPU_QEXT_LITTLE      0x1e1e1e1e
#define NVVGPU_DISPLAY_MIN      64

void nvvgpu_display_default_edid(NvvgpuVgpu *v)
{
    const NvvgpuType *type = v->type;

    memset(v->edid, 0, sizeof(v->edid));

    if (type->heads) {
        /* Depends on the type only: migration does not move the EDID */
        qemu_edid_info info = {
            .vendor = "NVE",
            /* without the "NVIDIA " prefix */
            .name = strchr((const char *)type->raw.name, ' ') + 1,
            .prefx = MIN(type->max_width, 1280),
            .prefy = MIN(type->max_height, 800),
            .maxx = type->max_width,
            .maxy = type->max_height,
        };

        qemu_edid_generate(v->edid, sizeof(v->edid), &info);
    }
}

void nvvgpu_display_init(NvvgpuVgpu *v)
{
    memset(v->dispi, 0, sizeof(v->dispi));
    memset(&v->plane, 0, sizeof(v->plane));
    nvvgpu_display_default_edid(v);
}

void nvvgpu_display_reset(NvvgpuVgpu *v)
{
    memset(v->dispi, 0, sizeof(v->dispi));
    nvvgpu_display_update(v);
}

static void nvvgpu_display_plane(NvvgpuVgpu *v, struct nvvgpu_emu_plane *p)
{
    const uint16_t *dispi = v->dispi;
    uint32_t bytes = dispi[VBE_DISPI_INDEX_BPP] / 8;
    uint64_t size;

    memset(p, 0, sizeof(*p));
    if (!(dispi[VBE_DISPI_INDEX_ENABLE] & VBE_DISPI_ENABLED)) {
        return;
    }
    if (dispi[VBE_DISPI_INDEX_BPP] != 16 && dispi[VBE_DISPI_INDEX_BPP] != 32) {
        return;
    }

    p->width = dispi[VBE_DISPI_INDEX_XRES];
    p->height = dispi[VBE_DISPI_INDEX_YRES];
    p->bpp = dispi[VBE_DISPI_INDEX_BPP];
    p->stride = MAX(dispi[VBE_DISPI_INDEX_VIRT_WIDTH], p->width) * bytes;
    p->offset = (uint64_t)dispi[VBE_DISPI_INDEX_X_OFFSET] * bytes +
                (uint64_t)dispi[VBE_DISPI_INDEX_Y_OFFSET] * p->stride;
    size = (uint64_t)p->stride * p->height;
    p->enabled = p->width >= NVVGPU_DISPLAY_MIN &&
                 p->width <= v->type->max_width &&
                 p->height >= NVVGPU_DISPLAY_MIN &&
                 p->height <= v->type->max_height &&
                 p->offset + size <= v->type->bar0_bytes;
    if (!p->enabled) {
        memset(p, 0, sizeof(*p));
    }
}

void nvvgpu_display_update(NvvgpuVgpu *v)
{
    struct nvvgpu_emu_plane old = v->plane;

    nvvgpu_display_plane(v, &v->plane);

    if (v->plane.enabled != old.enabled || v->plane.width != old.width ||
        v->plane.height != old.height || v->plane.stride != old.stride ||
        v->plane.bpp != old.bpp) {
        nvvgpu_fw_event(v, NVVGPU_PENDING_DISPLAY, NVVGPU_EMU_EVENT_DISPLAY,
                        0, 0);
    } else if (v->plane.offset != old.offset) {
        nvvgpu_fw_event(v, NVVGPU_PENDING_FLIP, NVVGPU_EMU_EVENT_FLIP, 0, 0);
    }
}

static uint16_t nvvgpu_dispi_read(NvvgpuVgpu *v, unsigned int index)
{
    switch (index) {
    case VBE_DISPI_INDEX_ID:
        return v->type->heads ? VBE_DISPI_ID5 : 0;
    case VBE_DISPI_INDEX_VIDEO_MEMORY_64K:
        return v->type->bar0_bytes / (64 * KiB);
    case VBE_DISPI_INDEX_XRES ... VBE_DISPI_INDEX_NB - 1:
        return v->dispi[index];
    default:
        return 0;
    }
}

static void nvvgpu_dispi_write(NvvgpuVgpu *v, unsigned int index, uint16_t val)
{
    if (v->type->heads && index > VBE_DISPI_INDEX_ID &&
        index < VBE_DISPI_INDEX_NB) {
        v->dispi[index] = val;
    }
}

static uint8_t nvvgpu_display_read_byte(NvvgpuVgpu *v, hwaddr addr)
{
    hwaddr off;

    switch (addr) {
    case NVVGPU_EMU_VF_REG_EDID ...
         NVVGPU_EMU_VF_REG_EDID + NVVGPU_EMU_EDID_SIZE - 1:
        return v->edid[addr - NVVGPU_EMU_VF_REG_EDID];
    case NVVGPU_EMU_VF_REG_DISPI ...
         NVVGPU_EMU_VF_REG_DISPI + NVVGPU_DISPI_SIZE - 1:
        off = addr - NVVGPU_EMU_VF_REG_DISPI;
        return nvvgpu_dispi_read(v, off / 2) >> (off % 2 * 8);
    case NVVGPU_EMU_VF_REG_QEXT_SIZE:
        return NVVGPU_QEXT_SIZE;
    case NVVGPU_EMU_VF_REG_QEXT_ENDIAN ... NVVGPU_EMU_VF_REG_QEXT_ENDIAN + 3:
        return (uint8_t)NVVGPU_QEXT_LITTLE;
    default:
        return 0;
    }
}

uint64_t nvvgpu_display_read(NvvgpuVgpu *v, hwaddr addr, unsigned int size)
{
    uint64_t val = 0;

    for (unsigned int i = 0; i < size; i++) {
        val |= (uint64_t)nvvgpu_display_read_byte(v, addr + i) << (i * 8);
    }

    return val;
}

void nvvgpu_display_write(NvvgpuVgpu *v, hwaddr addr, uint64_t val,
                          unsigned int size)
{
    hwaddr off;

    if (addr < NVVGPU_EMU_VF_REG_DISPI ||
        addr >= NVVGPU_EMU_VF_REG_DISPI + NVVGPU_DISPI_SIZE) {
        /* Ignore writes of bochs-drm to the VGA ports and QEXT_ENDIAN */
        return;
    }
    if (size == 1) {
        qemu_log_mask(LOG_GUEST_ERROR,
                      "nvvgpu-emu: VF %u: invalid 1-byte write to register 0x%"
                      HWADDR_PRIx "\n", v->index, addr);
        return;
    }

    off = addr - NVVGPU_EMU_VF_REG_DISPI;
    for (unsigned int i = 0; i < size; i += 2) {
        nvvgpu_dispi_write(v, (off + i) / 2, val >> (i * 8));
    }
    nvvgpu_display_update(v);
}
