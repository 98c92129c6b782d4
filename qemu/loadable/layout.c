// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The device is loaded into an unmodified QEMU.  Refuse a QEMU whose structures
 * differ from the headers that the device was compiled with.
 */
#include "qemu/osdep.h"
#include "qemu/module.h"
#include "qemu/units.h"
#include "hw/pci/pci_device.h"
#include "qemu-compat.h"

#define TYPE_LAYOUT_PROBE "nvvgpu-emu-layout-probe"

/* A PCI device type without fields of its own has the size of PCIDevice. */
static void probe_class_init(ObjectClass *klass, ClassData *data)
{
    DEVICE_CLASS(klass)->user_creatable = false;
}

static const TypeInfo probe_info = {
    .name = TYPE_LAYOUT_PROBE,
    .parent = TYPE_PCI_DEVICE,
    .class_init = probe_class_init,
    .interfaces = (InterfaceInfo[]) {
        { INTERFACE_PCIE_DEVICE },
        { }
    },
};

static void probe_register(void)
{
    type_register_static(&probe_info);
}

type_init(probe_register)

/* QEMU zeroes exactly the instance size before it initializes an object. */
static size_t instance_size(const char *type)
{
    const size_t room = 256 * KiB;
    g_autofree uint8_t *buf = g_malloc(room);
    size_t size = room;

    memset(buf, 0xff, room);
    object_initialize(buf, room, type);
    while (size && buf[size - 1] == 0xff) {
        size--;
    }
    object_unref(OBJECT(buf));

    return size;
}

static void check_size(const char *type, size_t expected)
{
    const size_t size = instance_size(type);

    if (size != expected) {
        /* error_report() needs the monitor, which is not initialized yet. */
        fprintf(stderr, "nvvgpu-emu: %s has %zu bytes in this QEMU, but %zu "
                "in the headers the device was built with; rebuild the "
                "device for this QEMU\n", type, size, expected);
        exit(EXIT_FAILURE);
    }
}

static void check_layout(void)
{
    check_size(TYPE_LAYOUT_PROBE, sizeof(PCIDevice));
    check_size(TYPE_MEMORY_REGION, sizeof(MemoryRegion));
}

/* QEMU calls migration_init() functions right after it registers its types. */
migration_init(check_layout)
