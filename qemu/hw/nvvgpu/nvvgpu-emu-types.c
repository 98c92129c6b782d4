/*
 * nvvgpu-emu: the vGPU types
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "hw/pci/pci.h"
#include "nvvgpu-emu.h"

/*
 * The types as TYPES returns them, except for the numbers of vGPUs.
 *
 * Ids: 10xx virtual workstation (Q series), 11xx virtual applications (A
 * series), 12xx virtual PC (B series), 13xx compute (C series), 14xx types with
 * the PCI ids of an existing display adapter.
 */
static const struct nvvgpu_emu_type emu_types[] = {
    {
        .id = const_le32(1000),
        .name = "NVIDIA EMU-0B",
        .vgpu_class = "B",
        .fb_bytes = const_le64(512 * MiB),
        .bar0_bytes = const_le64(64 * MiB),
        .heads = const_le32(1),
        .max_width = const_le32(1920),
        .max_height = const_le32(1200),
        .weight = const_le32(1),
    }, {
        .id = const_le32(1001),
        .name = "NVIDIA EMU-1Q",
        .vgpu_class = "Q",
        .fb_bytes = const_le64(1 * GiB),
        .bar0_bytes = const_le64(256 * MiB),
        .heads = const_le32(4),
        .max_width = const_le32(5120),
        .max_height = const_le32(2880),
        .weight = const_le32(2),
    }, {
        .id = const_le32(1002),
        .name = "NVIDIA EMU-2Q",
        .vgpu_class = "Q",
        .fb_bytes = const_le64(2 * GiB),
        .bar0_bytes = const_le64(256 * MiB),
        .heads = const_le32(4),
        .max_width = const_le32(7680),
        .max_height = const_le32(4320),
        .weight = const_le32(4),
    }, {
        .id = const_le32(1003),
        .name = "NVIDIA EMU-3Q",
        .vgpu_class = "Q",
        .fb_bytes = const_le64(3 * GiB),
        .bar0_bytes = const_le64(256 * MiB),
        .heads = const_le32(4),
        .max_width = const_le32(7680),
        .max_height = const_le32(4320),
        .weight = const_le32(6),
    }, {
        .id = const_le32(1004),
        .name = "NVIDIA EMU-4Q",
        .vgpu_class = "Q",
        .fb_bytes = const_le64(4 * GiB),
        .bar0_bytes = const_le64(256 * MiB),
        .heads = const_le32(4),
        .max_width = const_le32(7680),
        .max_height = const_le32(4320),
        .weight = const_le32(8),
    }, {
        .id = const_le32(1008),
        .name = "NVIDIA EMU-8Q",
        .vgpu_class = "Q",
        .fb_bytes = const_le64(8 * GiB),
        .bar0_bytes = const_le64(256 * MiB),
        .heads = const_le32(4),
        .max_width = const_le32(7680),
        .max_height = const_le32(4320),
        .weight = const_le32(16),
    }, {
        .id = const_le32(1101),
        .name = "NVIDIA EMU-1A",
        .vgpu_class = "A",
        .fb_bytes = const_le64(1 * GiB),
        .bar0_bytes = const_le64(128 * MiB),
        .heads = const_le32(1),
        .max_width = const_le32(1280),
        .max_height = const_le32(1024),
        .weight = const_le32(2),
    }, {
        .id = const_le32(1202),
        .name = "NVIDIA EMU-2B",
        .vgpu_class = "B",
        .fb_bytes = const_le64(2 * GiB),
        .bar0_bytes = const_le64(256 * MiB),
        .heads = const_le32(4),
        .max_width = const_le32(5120),
        .max_height = const_le32(2880),
        .weight = const_le32(3),
    }, {
        .id = const_le32(1304),
        .name = "NVIDIA EMU-4C",
        .vgpu_class = "C",
        .fb_bytes = const_le64(4 * GiB),
        .bar0_bytes = const_le64(256 * MiB),
        .heads = const_le32(0),
        .weight = const_le32(8),
    }, {
        /* PCI ids of QEMU's bochs-display, which Linux's bochs-drm drives */
        .id = const_le32(1401),
        .name = "NVIDIA EMU-1B",
        .vgpu_class = "B",
        .fb_bytes = const_le64(1 * GiB),
        .bar0_bytes = const_le64(64 * MiB),
        .heads = const_le32(1),
        .max_width = const_le32(3840),
        .max_height = const_le32(2160),
        .weight = const_le32(2),
        .vendor = const_le16(PCI_VENDOR_ID_QEMU),
        .device = const_le16(PCI_DEVICE_ID_QEMU_VGA),
        .subsystem_vendor = const_le16(PCI_SUBVENDOR_ID_REDHAT_QUMRANET),
        .subsystem_device = const_le16(PCI_SUBDEVICE_ID_QEMU),
        .class_code = const_le32(PCI_CLASS_DISPLAY_OTHER << 8),
    },
};

/*
 * Names and ids of an NVIDIA L40S.  Its VRAM of 48 GiB is not a power of two,
 * so the numbers of vGPUs are those of this device, not those of the card.
 */
#define L40S(number, gib, letter, nr_heads, width, height) {            \
        .id = const_le32(number),                                       \
        .name = "NVIDIA L40S-" #gib letter,                             \
        .vgpu_class = letter,                                           \
        .fb_bytes = const_le64(gib * GiB),                              \
        .bar0_bytes = const_le64(256 * MiB),                            \
        .heads = const_le32(nr_heads),                                  \
        .max_width = const_le32(width),                                 \
        .max_height = const_le32(height),                               \
        .weight = const_le32(2 * gib),                                  \
    }

static const struct nvvgpu_emu_type l40s_types[] = {
    L40S(1145, 1, "B", 1, 5120, 2880),
    L40S(1146, 2, "B", 4, 5120, 2880),
    L40S(1147, 1, "Q", 4, 5120, 2880),
    L40S(1148, 2, "Q", 4, 7680, 4320),
    L40S(1149, 3, "Q", 4, 7680, 4320),
    L40S(1150, 4, "Q", 4, 7680, 4320),
    L40S(1151, 6, "Q", 4, 7680, 4320),
    L40S(1152, 8, "Q", 4, 7680, 4320),
    L40S(1153, 12, "Q", 4, 7680, 4320),
    L40S(1154, 16, "Q", 4, 7680, 4320),
    L40S(1155, 24, "Q", 4, 7680, 4320),
    L40S(1156, 48, "Q", 4, 7680, 4320),
    L40S(1157, 1, "A", 1, 1280, 1024),
    L40S(1158, 2, "A", 1, 1280, 1024),
    L40S(1159, 3, "A", 1, 1280, 1024),
    L40S(1160, 4, "A", 1, 1280, 1024),
    L40S(1161, 6, "A", 1, 1280, 1024),
    L40S(1162, 8, "A", 1, 1280, 1024),
    L40S(1163, 12, "A", 1, 1280, 1024),
    L40S(1164, 16, "A", 1, 1280, 1024),
    L40S(1165, 24, "A", 1, 1280, 1024),
    L40S(1166, 48, "A", 1, 1280, 1024),
    L40S(2164, 3, "B", 4, 5120, 2880),
};

/* With the VRAM that the largest type needs */
static const struct {
    const char *name;
    const struct nvvgpu_emu_type *types;
    unsigned int num;
    uint64_t vram_min;
} catalogues[] = {
    { "emu", emu_types, ARRAY_SIZE(emu_types), 0 },
    { "nvidia-l40s", l40s_types, ARRAY_SIZE(l40s_types), 64 * GiB },
};

static void nvvgpu_type_init(NvvgpuType *type,
                             const struct nvvgpu_emu_type *raw)
{
    type->raw = *raw;
    type->id = le32_to_cpu(raw->id);
    type->fb_bytes = le64_to_cpu(raw->fb_bytes);
    type->bar0_bytes = le64_to_cpu(raw->bar0_bytes);
    type->heads = le32_to_cpu(raw->heads);
    type->max_width = le32_to_cpu(raw->max_width);
    type->max_height = le32_to_cpu(raw->max_height);
    type->weight = le32_to_cpu(raw->weight);
}

bool nvvgpu_types_init(NvvgpuState *s, Error **errp)
{
    const char *name = s->catalogue ?: catalogues[0].name;

    for (unsigned int i = 0; i < ARRAY_SIZE(catalogues); i++) {
        if (strcmp(catalogues[i].name, name)) {
            continue;
        }
        if (s->vram_size < catalogues[i].vram_min) {
            error_setg(errp, "types=%s requires vram=%" PRIu64 "G", name,
                       catalogues[i].vram_min / GiB);
            return false;
        }
        g_free(s->types);
        s->types = g_new(NvvgpuType, catalogues[i].num);
        s->num_types = 0;
        for (unsigned int k = 0; k < catalogues[i].num; k++) {
            const struct nvvgpu_emu_type *raw = &catalogues[i].types[k];

            if (le64_to_cpu(raw->fb_bytes) <= s->vram_size) {
                nvvgpu_type_init(&s->types[s->num_types++], raw);
            }
        }
        return true;
    }
    error_setg(errp, "types must be emu or nvidia-l40s");

    return false;
}

const NvvgpuType *nvvgpu_type_find(NvvgpuState *s, uint64_t id)
{
    for (unsigned int i = 0; i < s->num_types; i++) {
        if (s->types[i].id == id) {
            return &s->types[i];
        }
    }

    return NULL;
}
