/*
 * nvvgpu-emu: the virtual functions and their registers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "qapi/error.h"
#include "hw/core/cpu.h"
#include "hw/pci/msix.h"
#include "hw/pci/pcie.h"
#include "hw/pci/pcie_sriov.h"
#include "migration/vmstate.h"
#include "nvvgpu-emu.h"
#include "qemu-compat.h"
#include "trace.h"

#define NVVGPU_VF_PAGE      0x1000

static NvvgpuVgpu *nvvgpu_vf_vgpu(NvvgpuVf *vf)
{
    return &vf->gpu->vgpu[vf->index];
}

static void nvvgpu_vf_map(CPUState *cpu, run_on_cpu_data data)
{
    NvvgpuVgpu *v = data.host_ptr;
    NvvgpuVf *vf = nvvgpu_get_vf(v->gpu, v->index);

    if (vf) {
        memory_region_transaction_begin();
        if (nvvgpu_vgpu_exists(v)) {
            memory_region_set_alias_offset(&vf->fb, v->fb_offset);
            memory_region_set_size(&vf->fb, v->type->bar0_bytes);
            memory_region_set_enabled(&vf->fb, true);
        } else {
            memory_region_set_enabled(&vf->fb, false);
        }
        memory_region_transaction_commit();
    }
    object_unref(OBJECT(v->gpu));
}

void nvvgpu_vf_update(NvvgpuVgpu *v)
{
    object_ref(OBJECT(v->gpu));
    if (nvvgpu_map_on_vcpu()) {
        async_run_on_cpu(first_cpu, nvvgpu_vf_map, RUN_ON_CPU_HOST_PTR(v));
    } else {
        nvvgpu_vf_map(NULL, RUN_ON_CPU_HOST_PTR(v));
    }
}

bool nvvgpu_vf_is_on(NvvgpuVgpu *v)
{
    NvvgpuVf *vf = nvvgpu_get_vf(v->gpu, v->index);
    uint16_t pm;

    if (!vf || !vf->parent_obj.enabled) {
        return false;
    }

    pm = pci_get_word(vf->parent_obj.config + NVVGPU_CAP_PM + PCI_PM_CTRL);
    return !(pm & PCI_PM_CTRL_STATE_MASK);
}

void nvvgpu_vf_clear_irqs(NvvgpuVgpu *v)
{
    NvvgpuVf *vf = nvvgpu_get_vf(v->gpu, v->index);

    for (unsigned int i = 0; vf && i < NVVGPU_EMU_VF_VECTORS; i++) {
        msix_clr_pending(PCI_DEVICE(vf), i);
    }
}

void nvvgpu_vf_notify(NvvgpuVgpu *v, uint32_t vector)
{
    NvvgpuVf *vf = nvvgpu_get_vf(v->gpu, v->index);

    if (vf && vector < NVVGPU_EMU_VF_VECTORS) {
        trace_nvvgpu_vf_notify(v->index, vector);
        v->stats.interrupts++;
        v->engine.raised |= BIT(vector);
        msix_notify(PCI_DEVICE(vf), vector);
    }
}

/*
 * Engine page and doorbell
 */

static uint32_t nvvgpu_vf_status(NvvgpuVgpu *v)
{
    NvvgpuEngine *e = &v->engine;
    uint32_t status = 0;

    if (e->run || e->busy) {
        status |= NVVGPU_EMU_VF_STATUS_RUNNING;
    }
    if (e->busy || (e->run && e->head != e->tail)) {
        status |= NVVGPU_EMU_VF_STATUS_BUSY;
    }
    if (e->error) {
        status |= NVVGPU_EMU_VF_STATUS_ERROR;
    }

    return status;
}

static uint32_t nvvgpu_vf_engine_read(NvvgpuVgpu *v, hwaddr addr)
{
    NvvgpuEngine *e = &v->engine;

    switch (addr) {
    case NVVGPU_EMU_VF_REG_MAGIC:
        return NVVGPU_EMU_VF_MAGIC;
    case NVVGPU_EMU_VF_REG_REVISION:
        return NVVGPU_EMU_REVISION;
    case NVVGPU_EMU_VF_REG_TYPE:
        return v->type->id;
    case NVVGPU_EMU_VF_REG_VECTORS:
        return NVVGPU_EMU_VF_VECTORS;
    case NVVGPU_EMU_VF_REG_FB_SIZE:
        return v->type->fb_bytes;
    case NVVGPU_EMU_VF_REG_FB_SIZE + 4:
        return v->type->fb_bytes >> 32;
    case NVVGPU_EMU_VF_REG_CTRL:
        return e->run ? NVVGPU_EMU_VF_CTRL_RUN : 0;
    case NVVGPU_EMU_VF_REG_STATUS:
        return nvvgpu_vf_status(v);
    case NVVGPU_EMU_VF_REG_ERROR:
        return e->error;
    case NVVGPU_EMU_VF_REG_ERROR_INDEX:
        return e->error_index;
    case NVVGPU_EMU_VF_REG_FAULT_ADDR:
        return e->fault_addr;
    case NVVGPU_EMU_VF_REG_FAULT_ADDR + 4:
        return e->fault_addr >> 32;
    case NVVGPU_EMU_VF_REG_RING_BASE:
        return e->ring_base;
    case NVVGPU_EMU_VF_REG_RING_BASE + 4:
        return e->ring_base >> 32;
    case NVVGPU_EMU_VF_REG_RING_SIZE:
        return e->ring_size;
    case NVVGPU_EMU_VF_REG_RING_HEAD:
        return e->head;
    case NVVGPU_EMU_VF_REG_RING_TAIL:
        return e->tail;
    case NVVGPU_EMU_VF_REG_ERROR_VECTOR:
        return e->error_vector;
    case NVVGPU_EMU_VF_REG_GUEST:
        return e->guest;
    case NVVGPU_EMU_VF_REG_SCRATCH ...
         NVVGPU_EMU_VF_REG_SCRATCH + NVVGPU_EMU_VF_SCRATCH_WORDS * 4 - 1:
        return e->scratch[(addr - NVVGPU_EMU_VF_REG_SCRATCH) / 4];
    default:
        return 0;
    }
}

static void nvvgpu_vf_set_ring(NvvgpuVgpu *v, hwaddr addr, uint32_t val)
{
    NvvgpuEngine *e = &v->engine;

    if (e->run || e->busy) {
        qemu_log_mask(LOG_GUEST_ERROR, "nvvgpu-emu: VF %u: write to ring "
                      "register 0x%" HWADDR_PRIx " while the engine runs\n",
                      v->index, addr);
        return;
    }

    switch (addr) {
    case NVVGPU_EMU_VF_REG_RING_BASE:
        e->ring_base = deposit64(e->ring_base, 0, 32, val);
        break;
    case NVVGPU_EMU_VF_REG_RING_BASE + 4:
        e->ring_base = deposit64(e->ring_base, 32, 32, val);
        break;
    case NVVGPU_EMU_VF_REG_RING_SIZE:
        e->ring_size = val;
        break;
    }
}

static void nvvgpu_vf_engine_write(NvvgpuVgpu *v, hwaddr addr, uint32_t val)
{
    NvvgpuEngine *e = &v->engine;

    switch (addr) {
    case NVVGPU_EMU_VF_REG_CTRL:
        if (val & NVVGPU_EMU_VF_CTRL_RESET) {
            nvvgpu_engine_reset(v);
        } else {
            nvvgpu_engine_set_run(v, val & NVVGPU_EMU_VF_CTRL_RUN);
        }
        break;
    case NVVGPU_EMU_VF_REG_RING_BASE:
    case NVVGPU_EMU_VF_REG_RING_BASE + 4:
    case NVVGPU_EMU_VF_REG_RING_SIZE:
        nvvgpu_vf_set_ring(v, addr, val);
        break;
    case NVVGPU_EMU_VF_REG_ERROR_VECTOR:
        e->error_vector = val;
        break;
    case NVVGPU_EMU_VF_REG_GUEST:
        nvvgpu_vgpu_set_guest(v, val);
        break;
    case NVVGPU_EMU_VF_REG_SCRATCH ...
         NVVGPU_EMU_VF_REG_SCRATCH + NVVGPU_EMU_VF_SCRATCH_WORDS * 4 - 1:
        e->scratch[(addr - NVVGPU_EMU_VF_REG_SCRATCH) / 4] = val;
        break;
    case NVVGPU_EMU_VF_REG_DOORBELL:
        nvvgpu_engine_doorbell(v, val);
        break;
    default:
        qemu_log_mask(LOG_GUEST_ERROR, "nvvgpu-emu: VF %u: write of 0x%x to "
                      "unknown or read-only register 0x%" HWADDR_PRIx "\n",
                      v->index, val, addr);
        break;
    }
}

static uint64_t nvvgpu_vf_read(void *opaque, hwaddr addr, unsigned int size)
{
    NvvgpuVgpu *v = nvvgpu_vf_vgpu(opaque);
    uint64_t val;

    if (!nvvgpu_vgpu_exists(v)) {
        val = ~0ULL;
    } else if (addr < NVVGPU_VF_PAGE) {
        val = nvvgpu_display_read(v, addr, size);
    } else {
        val = extract32(nvvgpu_vf_engine_read(v, addr & ~3ULL),
                        (addr & 3) * 8, size * 8);
    }

    trace_nvvgpu_vf_read(v->index, addr, val, size);
    return val;
}

static void nvvgpu_vf_write(void *opaque, hwaddr addr, uint64_t val,
                            unsigned int size)
{
    NvvgpuVgpu *v = nvvgpu_vf_vgpu(opaque);

    trace_nvvgpu_vf_write(v->index, addr, val, size);
    if (!nvvgpu_vgpu_exists(v)) {
        return;
    }
    /* The state must not change while suspended; the doorbell is latched */
    if (v->suspended == NVVGPU_EMU_SUSPEND_ALL &&
        addr != NVVGPU_EMU_VF_REG_DOORBELL) {
        qemu_log_mask(LOG_GUEST_ERROR, "nvvgpu-emu: VF %u: write to register "
                      "0x%" HWADDR_PRIx " while suspended\n", v->index, addr);
        return;
    }

    if (addr < NVVGPU_VF_PAGE) {
        nvvgpu_display_write(v, addr, val, size);
    } else if (size == 4) {
        nvvgpu_vf_engine_write(v, addr, val);
    } else {
        qemu_log_mask(LOG_GUEST_ERROR, "nvvgpu-emu: VF %u: invalid %u-byte "
                      "write to register 0x%" HWADDR_PRIx "\n", v->index, size,
                      addr);
    }
}

static const MemoryRegionOps nvvgpu_vf_ops = {
    .read = nvvgpu_vf_read,
    .write = nvvgpu_vf_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 1,
        .max_access_size = 8,
    },
    .impl = {
        .min_access_size = 1,
        .max_access_size = 4,
    },
};

/*
 * BAR0 without a vGPU or beyond the aperture
 */

static uint64_t nvvgpu_vf_void_read(void *opaque, hwaddr addr,
                                    unsigned int size)
{
    return ~0ULL;
}

static void nvvgpu_vf_void_write(void *opaque, hwaddr addr, uint64_t val,
                                 unsigned int size)
{
}

static const MemoryRegionOps nvvgpu_vf_void_ops = {
    .read = nvvgpu_vf_void_read,
    .write = nvvgpu_vf_void_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 1,
        .max_access_size = 8,
        .unaligned = true,
    },
    .impl = {
        .min_access_size = 1,
        .max_access_size = 8,
        .unaligned = true,
    },
};

/*
 * PCI
 */

/*
 * Memory Space Enable of a VF reads as zero; the PF's SR-IOV capability
 * controls memory decoding instead.  QEMU's PCI core does test the bit in the
 * VF's config space, so keep it set there and hide it from reads.
 */
static uint32_t nvvgpu_vf_config_read(PCIDevice *dev, uint32_t addr, int len)
{
    uint32_t val = pci_default_read_config(dev, addr, len);

    return addr == PCI_COMMAND ? val & ~PCI_COMMAND_MEMORY : val;
}

static void nvvgpu_vf_config_write(PCIDevice *dev, uint32_t addr, uint32_t val,
                                   int len)
{
    pci_default_write_config(dev, addr, val, len);
    pcie_cap_flr_write_config(dev, addr, val, len);
    pcie_aer_write_config(dev, addr, val, len);
    nvvgpu_engine_kick(NVVGPU_EMU_VF(dev)->gpu);
}

static void nvvgpu_vf_reset_hold(Object *obj, ResetType type)
{
    NvvgpuVf *vf = NVVGPU_EMU_VF(obj);

    /* A machine reset also resets VFs whose realize has not run */
    if (vf->gpu) {
        nvvgpu_vgpu_reset(nvvgpu_vf_vgpu(vf));
    }
}

static void nvvgpu_vf_realize(PCIDevice *dev, Error **errp)
{
    NvvgpuVf *vf = NVVGPU_EMU_VF(dev);
    Object *obj = OBJECT(vf);
    NvvgpuState *s = NVVGPU_EMU(pcie_sriov_get_pf(dev));

    vf->gpu = s;
    vf->index = pcie_sriov_vf_number(dev);

    pci_set_word(dev->config + PCI_SUBSYSTEM_VENDOR_ID,
                 s->subsystem_vendor_id);
    pci_set_word(dev->config + PCI_SUBSYSTEM_ID, s->subsystem_id);
    pci_set_word(dev->config + PCI_STATUS,
                 pci_get_word(dev->config + PCI_STATUS) |
                 PCI_STATUS_IMM_READY);
    dev->config_read = nvvgpu_vf_config_read;
    dev->config_write = nvvgpu_vf_config_write;

    memory_region_init_io(&vf->bar0, obj, &nvvgpu_vf_void_ops, vf,
                          "nvvgpu-emu-vf-bar0", NVVGPU_EMU_VF_FB_SIZE);
    memory_region_init_alias(&vf->fb, obj, "nvvgpu-emu-vf-fb", &s->vram, 0,
                             NVVGPU_EMU_VF_FB_SIZE);
    memory_region_set_enabled(&vf->fb, false);
    memory_region_add_subregion(&vf->bar0, 0, &vf->fb);
    memory_region_init_io(&vf->regs, obj, &nvvgpu_vf_ops, vf,
                          "nvvgpu-emu-vf-regs", NVVGPU_EMU_VF_REGS_SIZE);
    memory_region_init(&vf->msix, obj, "nvvgpu-emu-vf-msix", NVVGPU_MSIX_SIZE);

    pci_register_bar(dev, NVVGPU_EMU_VF_BAR_FB,
                     PCI_BASE_ADDRESS_MEM_TYPE_64 |
                     PCI_BASE_ADDRESS_MEM_PREFETCH, &vf->bar0);
    pci_register_bar(dev, NVVGPU_EMU_VF_BAR_REGS,
                     PCI_BASE_ADDRESS_SPACE_MEMORY, &vf->regs);
    pci_register_bar(dev, NVVGPU_EMU_VF_BAR_MSIX,
                     PCI_BASE_ADDRESS_SPACE_MEMORY, &vf->msix);
    /* See nvvgpu_vf_config_read() */
    pci_set_word(dev->config + PCI_COMMAND, PCI_COMMAND_MEMORY);
    pci_set_word(dev->wmask + PCI_COMMAND,
                 pci_get_word(dev->wmask + PCI_COMMAND) &
                 ~(PCI_COMMAND_MEMORY | PCI_COMMAND_IO));

    if (msix_init(dev, NVVGPU_EMU_VF_VECTORS, &vf->msix,
                  NVVGPU_EMU_VF_BAR_MSIX, 0, &vf->msix, NVVGPU_EMU_VF_BAR_MSIX,
                  NVVGPU_MSIX_PBA, NVVGPU_CAP_MSIX, errp)) {
        goto err_fb;
    }
    for (unsigned int i = 0; i < NVVGPU_EMU_VF_VECTORS; i++) {
        msix_vector_use(dev, i);
    }

    if (pci_pm_init(dev, NVVGPU_CAP_PM, errp) < 0) {
        goto err_msix;
    }
    pci_set_word(dev->config + NVVGPU_CAP_PM + PCI_PM_PMC, 3);
    pci_set_word(dev->config + NVVGPU_CAP_PM + PCI_PM_CTRL,
                 PCI_PM_CTRL_NO_SOFT_RESET);
    pci_set_word(dev->wmask + NVVGPU_CAP_PM + PCI_PM_CTRL,
                 PCI_PM_CTRL_STATE_MASK);

    if (pcie_endpoint_cap_init(dev, NVVGPU_CAP_EXP) < 0) {
        error_setg(errp, "cannot add the PCI Express capability");
        goto err_msix;
    }
    pcie_cap_flr_init(dev);
    if (pcie_aer_init(dev, PCI_ERR_VER, NVVGPU_CAP_AER, PCI_ERR_SIZEOF,
                      errp) < 0) {
        goto err_cap;
    }
    pcie_ari_init(dev, NVVGPU_CAP_ARI);
    return;

err_cap:
    pcie_cap_exit(dev);
err_msix:
    msix_unuse_all_vectors(dev);
    msix_uninit(dev, &vf->msix, &vf->msix);
err_fb:
    memory_region_del_subregion(&vf->bar0, &vf->fb);
}

static void nvvgpu_vf_exit(PCIDevice *dev)
{
    NvvgpuVf *vf = NVVGPU_EMU_VF(dev);

    /* As a subregion, fb holds a reference to the VF */
    memory_region_del_subregion(&vf->bar0, &vf->fb);
    pcie_aer_exit(dev);
    pcie_cap_exit(dev);
    msix_unuse_all_vectors(dev);
    msix_uninit(dev, &vf->msix, &vf->msix);
}

static const VMStateDescription nvvgpu_vf_vmstate = {
    .name = TYPE_NVVGPU_EMU_VF,
    .unmigratable = 1,
};

static void nvvgpu_vf_class_init(ObjectClass *class, ClassData *data)
{
    DeviceClass *dc = DEVICE_CLASS(class);
    ResettableClass *rc = RESETTABLE_CLASS(class);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(class);

    pc->realize = nvvgpu_vf_realize;
    pc->exit = nvvgpu_vf_exit;
    pc->vendor_id = NVVGPU_EMU_VENDOR_ID;
    pc->device_id = NVVGPU_EMU_VF_DEVICE_ID;
    pc->revision = NVVGPU_EMU_REVISION;
    pc->class_id = PCI_CLASS_DISPLAY_3D;

    rc->phases.hold = nvvgpu_vf_reset_hold;

    dc->desc = "Virtual function of nvvgpu-emu";
    dc->vmsd = &nvvgpu_vf_vmstate;
    dc->user_creatable = false;
    set_bit(DEVICE_CATEGORY_DISPLAY, dc->categories);
}

static const TypeInfo nvvgpu_vf_info = {
    .name = TYPE_NVVGPU_EMU_VF,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(NvvgpuVf),
    .class_init = nvvgpu_vf_class_init,
    .interfaces = (InterfaceInfo[]) {
        { INTERFACE_PCIE_DEVICE },
        { }
    },
};

static void nvvgpu_vf_register_types(void)
{
    type_register_static(&nvvgpu_vf_info);
}

type_init(nvvgpu_vf_register_types)
