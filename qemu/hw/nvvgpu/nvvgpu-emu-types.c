/*
 * nvvgpu-emu: the vGPU types
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci.h"
#include "nvvgpu-emu.h"

/*
 * Ids: 10xx virtual workstation (Q series), 11xx virtual applications (A
 * series), 12xx virtual PC (B series), 13xx compute (C series), 14xx types with
 * the PCI ids of an existing display adapter.
 */
const NvvgpuType nvvgpu_types[] = {
    {
        .id = 1000,
        .name = "NVIDIA EMU-0B",
        .vgpu_class = "B",
        .fb_bytes = 512 * MiB,
        .bar0_bytes = 64 * MiB,
        .heads = 1,
        .max_width = 1920,
        .max_height = 1200,
        .weight = 1,
    }, {
        .id = 1001,
        .name = "NVIDIA EMU-1Q",
        .vgpu_class = "Q",
        .fb_bytes = 1 * GiB,
        .bar0_bytes = 256 * MiB,
        .heads = 4,
        .max_width = 5120,
        .max_height = 2880,
        .weight = 2,
    }, {
        .id = 1002,
        .name = "NVIDIA EMU-2Q",
        .vgpu_class = "Q",
        .fb_bytes = 2 * GiB,
        .bar0_bytes = 256 * MiB,
        .heads = 4,
        .max_width = 7680,
        .max_height = 4320,
        .weight = 4,
    }, {
        .id = 1003,
        .name = "NVIDIA EMU-3Q",
        .vgpu_class = "Q",
        .fb_bytes = 3 * GiB,
        .bar0_bytes = 256 * MiB,
        .heads = 4,
        .max_width = 7680,
        .max_height = 4320,
        .weight = 6,
    }, {
        .id = 1004,
        .name = "NVIDIA EMU-4Q",
        .vgpu_class = "Q",
        .fb_bytes = 4 * GiB,
        .bar0_bytes = 256 * MiB,
        .heads = 4,
        .max_width = 7680,
        .max_height = 4320,
        .weight = 8,
    }, {
        .id = 1008,
        .name = "NVIDIA EMU-8Q",
        .vgpu_class = "Q",
        .fb_bytes = 8 * GiB,
        .bar0_bytes = 256 * MiB,
        .heads = 4,
        .max_width = 7680,
        .max_height = 4320,
        .weight = 16,
    }, {
        .id = 1101,
        .name = "NVIDIA EMU-1A",
        .vgpu_class = "A",
        .fb_bytes = 1 * GiB,
        .bar0_bytes = 128 * MiB,
        .heads = 1,
        .max_width = 1280,
        .max_height = 1024,
        .weight = 2,
    }, {
        .id = 1202,
        .name = "NVIDIA EMU-2B",
        .vgpu_class = "B",
        .fb_bytes = 2 * GiB,
        .bar0_bytes = 256 * MiB,
        .heads = 4,
        .max_width = 5120,
        .max_height = 2880,
        .weight = 3,
    }, {
        .id = 1304,
        .name = "NVIDIA EMU-4C",
        .vgpu_class = "C",
        .fb_bytes = 4 * GiB,
        .bar0_bytes = 256 * MiB,
        .heads = 0,
        .weight = 8,
    }, {
        /* PCI ids of QEMU's bochs-display, which Linux's bochs-drm drives */
        .id = 1401,
        .name = "NVIDIA EMU-1B",
        .vgpu_class = "B",
        .fb_bytes = 1 * GiB,
        .bar0_bytes = 64 * MiB,
        .heads = 1,
        .max_width = 3840,
        .max_height = 2160,
        .weight = 2,
        .vendor = PCI_VENDOR_ID_QEMU,
        .device = PCI_DEVICE_ID_QEMU_VGA,
        .subsystem_vendor = PCI_SUBVENDOR_ID_REDHAT_QUMRANET,
        .subsystem_device = PCI_SUBDEVICE_ID_QEMU,
        .class_code = PCI_CLASS_DISPLAY_OTHER << 8,
    },
};

const unsigned int nvvgpu_num_types = ARRAY_SIZE(nvvgpu_types);

const NvvgpuType *nvvgpu_type_find(uint64_t id)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(nvvgpu_types); i++) {
        if (nvvgpu_types[i].id == id) {
            return &nvvgpu_types[i];
        }
    }

    return NULL;
}
