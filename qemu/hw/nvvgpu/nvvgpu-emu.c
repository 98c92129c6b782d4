/*
 * nvvgpu-emu: the physical function
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/log.h"
#include "qapi/error.h"
#include "hw/pci/msix.h"
#include "hw/pci/pcie.h"
#include "hw/pci/pcie_sriov.h"
#include "migration/vmstate.h"
#include "nvvgpu-emu.h"
#include "qemu-compat.h"
#include "trace.h"

NvvgpuVf *nvvgpu_get_vf(NvvgpuState *s, unsigned int index)
{
    PCIDevice **vfs = s->parent_obj.exp.sriov_pf.vf;

    return vfs && index < s->num_vfs ? NVVGPU_EMU_VF(vfs[index]) : NULL;
}

/*
 * Registers
 */

static uint32_t nvvgpu_pf_reg_read(NvvgpuState *s, hwaddr addr)
{
    NvvgpuFw *fw = &s->fw;

    switch (addr) {
    case NVVGPU_EMU_PF_REG_MAGIC:
        return NVVGPU_EMU_PF_MAGIC;
    case NVVGPU_EMU_PF_REG_REVISION:
        return NVVGPU_EMU_REVISION;
    case NVVGPU_EMU_PF_REG_VRAM_SIZE:
        return s->vram_size;
    case NVVGPU_EMU_PF_REG_VRAM_SIZE + 4:
        return s->vram_size >> 32;
    case NVVGPU_EMU_PF_REG_FW_STATUS:
        return fw->status;
    case NVVGPU_EMU_PF_REG_CMD_BASE:
        return fw->cmd_base;
    case NVVGPU_EMU_PF_REG_CMD_BASE + 4:
        return fw->cmd_base >> 32;
    case NVVGPU_EMU_PF_REG_CMD_SIZE:
        return fw->cmd_size;
    case NVVGPU_EMU_PF_REG_CMD_TAIL:
        return fw->cmd_tail;
    case NVVGPU_EMU_PF_REG_CMD_HEAD:
        return fw->cmd_head;
    case NVVGPU_EMU_PF_REG_MSG_BASE:
        return fw->msg_base;
    case NVVGPU_EMU_PF_REG_MSG_BASE + 4:
        return fw->msg_base >> 32;
    case NVVGPU_EMU_PF_REG_MSG_SIZE:
        return fw->msg_size;
    case NVVGPU_EMU_PF_REG_MSG_TAIL:
        return fw->msg_tail;
    case NVVGPU_EMU_PF_REG_MSG_HEAD:
        return fw->msg_head;
    default:
        return 0;
    }
}

static void nvvgpu_pf_set_ring(NvvgpuState *s, hwaddr addr, uint32_t val)
{
    NvvgpuFw *fw = &s->fw;

    if (fw->status != NVVGPU_EMU_FW_OFF) {
        qemu_log_mask(LOG_GUEST_ERROR,
                      "nvvgpu-emu: write to ring register 0x%" HWADDR_PRIx
                      " while the firmware is not OFF\n", addr);
        return;
    }

    switch (addr) {
    case NVVGPU_EMU_PF_REG_CMD_BASE:
        fw->cmd_base = deposit64(fw->cmd_base, 0, 32, val);
        break;
    case NVVGPU_EMU_PF_REG_CMD_BASE + 4:
        fw->cmd_base = deposit64(fw->cmd_base, 32, 32, val);
        break;
    case NVVGPU_EMU_PF_REG_CMD_SIZE:
        fw->cmd_size = val;
        break;
    case NVVGPU_EMU_PF_REG_MSG_BASE:
        fw->msg_base = deposit64(fw->msg_base, 0, 32, val);
        break;
    case NVVGPU_EMU_PF_REG_MSG_BASE + 4:
        fw->msg_base = deposit64(fw->msg_base, 32, 32, val);
        break;
    case NVVGPU_EMU_PF_REG_MSG_SIZE:
        fw->msg_size = val;
        break;
    }
}

static void nvvgpu_pf_reg_write(NvvgpuState *s, hwaddr addr, uint32_t val)
{
    switch (addr) {
    case NVVGPU_EMU_PF_REG_FW_CTRL:
        if (val == NVVGPU_EMU_FW_CTRL_BOOT) {
            nvvgpu_fw_boot(s);
        } else if (val == NVVGPU_EMU_FW_CTRL_RESET) {
            nvvgpu_fw_reset(s, false);
        } else {
            qemu_log_mask(LOG_GUEST_ERROR,
                          "nvvgpu-emu: invalid FW_CTRL value 0x%x\n", val);
        }
        break;
    case NVVGPU_EMU_PF_REG_CMD_BASE:
    case NVVGPU_EMU_PF_REG_CMD_BASE + 4:
    case NVVGPU_EMU_PF_REG_CMD_SIZE:
    case NVVGPU_EMU_PF_REG_MSG_BASE:
    case NVVGPU_EMU_PF_REG_MSG_BASE + 4:
    case NVVGPU_EMU_PF_REG_MSG_SIZE:
        nvvgpu_pf_set_ring(s, addr, val);
        break;
    case NVVGPU_EMU_PF_REG_CMD_TAIL:
        nvvgpu_fw_doorbell(s, val);
        break;
    case NVVGPU_EMU_PF_REG_MSG_HEAD:
        nvvgpu_fw_consumed(s, val);
        break;
    default:
        qemu_log_mask(LOG_GUEST_ERROR, "nvvgpu-emu: write of 0x%x to unknown "
                      "or read-only register 0x%" HWADDR_PRIx "\n", val, addr);
        break;
    }
}

static uint64_t nvvgpu_pf_read(void *opaque, hwaddr addr, unsigned int size)
{
    uint32_t val = nvvgpu_pf_reg_read(opaque, addr & ~3ULL);

    return extract32(val, (addr & 3) * 8, size * 8);
}

static void nvvgpu_pf_write(void *opaque, hwaddr addr, uint64_t val,
                            unsigned int size)
{
    trace_nvvgpu_pf_write(addr, val, size);
    if (size != 4) {
        qemu_log_mask(LOG_GUEST_ERROR,
                      "nvvgpu-emu: invalid %u-byte write to register 0x%"
                      HWADDR_PRIx "\n", size, addr);
        return;
    }

    nvvgpu_pf_reg_write(opaque, addr, val);
}

static const MemoryRegionOps nvvgpu_pf_ops = {
    .read = nvvgpu_pf_read,
    .write = nvvgpu_pf_write,
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
 * PCI
 */

static void nvvgpu_pf_config_write(PCIDevice *dev, uint32_t addr, uint32_t val,
                                   int len)
{
    NvvgpuState *s = NVVGPU_EMU(dev);

    pci_default_write_config(dev, addr, val, len);
    pcie_cap_flr_write_config(dev, addr, val, len);
    pcie_aer_write_config(dev, addr, val, len);
    nvvgpu_engine_kick(s);
}

static void nvvgpu_pf_reset_hold(Object *obj, ResetType type)
{
    pcie_cap_deverr_reset(PCI_DEVICE(obj));
    nvvgpu_fw_reset(NVVGPU_EMU(obj), true);
}

static bool nvvgpu_pf_check(NvvgpuState *s, Error **errp)
{
    if (!is_power_of_2(s->vram_size) || s->vram_size < NVVGPU_GRANULE ||
        s->vram_size > NVVGPU_VRAM_MAX) {
        error_setg(errp, "vram must be a power of two between 512M and 256G");
        return false;
    }
    if (s->num_vfs < 1 || s->num_vfs > NVVGPU_EMU_MAX_VFS) {
        error_setg(errp, "vfs must be between 1 and %d", NVVGPU_EMU_MAX_VFS);
        return false;
    }
    if (s->fw_boot_ms > 3600 * 1000 || s->fw_delay_us > 3600 * 1000 * 1000U) {
        error_setg(errp, "fw-boot-ms and fw-delay-us must not exceed one hour");
        return false;
    }

    return nvvgpu_types_init(s, errp);
}

static bool nvvgpu_pf_init_caps(NvvgpuState *s, Error **errp)
{
    PCIDevice *dev = PCI_DEVICE(s);
    const uint8_t prefetch = PCI_BASE_ADDRESS_MEM_TYPE_64 |
                             PCI_BASE_ADDRESS_MEM_PREFETCH;

    if (pci_pm_init(dev, NVVGPU_CAP_PM, errp) < 0) {
        return false;
    }
    pci_set_word(dev->config + NVVGPU_CAP_PM + PCI_PM_PMC, 3);
    pci_set_word(dev->config + NVVGPU_CAP_PM + PCI_PM_CTRL,
                 PCI_PM_CTRL_NO_SOFT_RESET);
    pci_set_word(dev->wmask + NVVGPU_CAP_PM + PCI_PM_CTRL,
                 PCI_PM_CTRL_STATE_MASK);

    if (pcie_endpoint_cap_init(dev, NVVGPU_CAP_EXP) < 0) {
        error_setg(errp, "cannot add the PCI Express capability");
        return false;
    }
    pcie_cap_flr_init(dev);
    pcie_cap_deverr_init(dev);
    if (pcie_aer_init(dev, PCI_ERR_VER, NVVGPU_CAP_AER, PCI_ERR_SIZEOF,
                      errp) < 0) {
        return false;
    }
    pcie_ari_init(dev, NVVGPU_CAP_ARI);

    if (!pcie_sriov_pf_init(dev, NVVGPU_PF_CAP_SRIOV, TYPE_NVVGPU_EMU_VF,
                            s->vf_device_id, s->num_vfs, s->num_vfs,
                            NVVGPU_VF_OFFSET, NVVGPU_VF_STRIDE, errp)) {
        return false;
    }
    pcie_sriov_pf_init_vf_bar(dev, NVVGPU_EMU_VF_BAR_FB, prefetch,
                              NVVGPU_EMU_VF_FB_SIZE);
    pcie_sriov_pf_init_vf_bar(dev, NVVGPU_EMU_VF_BAR_REGS,
                              PCI_BASE_ADDRESS_SPACE_MEMORY,
                              NVVGPU_EMU_VF_REGS_SIZE);
    pcie_sriov_pf_init_vf_bar(dev, NVVGPU_EMU_VF_BAR_MSIX,
                              PCI_BASE_ADDRESS_SPACE_MEMORY, NVVGPU_MSIX_SIZE);

    return true;
}

static void nvvgpu_pf_realize(PCIDevice *dev, Error **errp)
{
    NvvgpuState *s = NVVGPU_EMU(dev);
    Object *obj = OBJECT(s);

    if (!nvvgpu_pf_check(s, errp)) {
        return;
    }
    if (nvvgpu_map_races()) {
        warn_report("nvvgpu-emu: BAR0 of VFs is unreliable with this QEMU and "
                    "multi-threaded TCG; use -accel tcg,thread=single");
    }

    pci_config_set_vendor_id(dev->config, s->vendor_id);
    pci_config_set_device_id(dev->config, s->device_id);
    pci_set_word(dev->config + PCI_SUBSYSTEM_VENDOR_ID,
                 s->subsystem_vendor_id);
    pci_set_word(dev->config + PCI_SUBSYSTEM_ID, s->subsystem_id);
    /* Resets complete before the write that triggers them returns */
    pci_set_word(dev->config + PCI_STATUS,
                 pci_get_word(dev->config + PCI_STATUS) |
                 PCI_STATUS_IMM_READY);
    dev->config_write = nvvgpu_pf_config_write;

    s->num_granules = s->vram_size / NVVGPU_GRANULE;
    for (unsigned int i = 0; i < NVVGPU_EMU_MAX_VFS; i++) {
        s->vgpu[i].gpu = s;
        s->vgpu[i].index = i;
    }

    /* Most of VRAM is never touched, so do not reserve host memory for it */
    if (!memory_region_init_ram_flags_nomigrate(&s->vram, obj,
                                                "nvvgpu-emu-vram",
                                                s->vram_size, RAM_NORESERVE,
                                                errp)) {
        return;
    }
    s->vram_ptr = memory_region_get_ram_ptr(&s->vram);
    memory_region_init_io(&s->regs, obj, &nvvgpu_pf_ops, s, "nvvgpu-emu-regs",
                          NVVGPU_EMU_PF_REGS_SIZE);
    memory_region_init(&s->msix, obj, "nvvgpu-emu-msix", NVVGPU_MSIX_SIZE);

    pci_register_bar(dev, NVVGPU_EMU_PF_BAR_REGS,
                     PCI_BASE_ADDRESS_SPACE_MEMORY, &s->regs);
    pci_register_bar(dev, NVVGPU_EMU_PF_BAR_VRAM,
                     PCI_BASE_ADDRESS_MEM_TYPE_64 |
                     PCI_BASE_ADDRESS_MEM_PREFETCH, &s->vram);
    pci_register_bar(dev, NVVGPU_EMU_PF_BAR_MSIX,
                     PCI_BASE_ADDRESS_SPACE_MEMORY, &s->msix);
    if (msix_init(dev, NVVGPU_EMU_PF_VECTORS, &s->msix, NVVGPU_EMU_PF_BAR_MSIX,
                  0, &s->msix, NVVGPU_EMU_PF_BAR_MSIX, NVVGPU_MSIX_PBA,
                  NVVGPU_CAP_MSIX, errp)) {
        return;
    }
    for (unsigned int i = 0; i < NVVGPU_EMU_PF_VECTORS; i++) {
        msix_vector_use(dev, i);
    }

    nvvgpu_fw_init(s);
    nvvgpu_engine_init(s);

    if (!nvvgpu_pf_init_caps(s, errp)) {
        nvvgpu_engine_exit(s);
        nvvgpu_fw_exit(s);
        pcie_aer_exit(dev);
        pcie_cap_exit(dev);
        msix_unuse_all_vectors(dev);
        msix_uninit(dev, &s->msix, &s->msix);
    }
}

static void nvvgpu_pf_exit(PCIDevice *dev)
{
    NvvgpuState *s = NVVGPU_EMU(dev);

    nvvgpu_fw_reset(s, true);
    nvvgpu_engine_exit(s);
    nvvgpu_fw_exit(s);
    pcie_sriov_pf_exit(dev);
    pcie_aer_exit(dev);
    pcie_cap_exit(dev);
    msix_unuse_all_vectors(dev);
    msix_uninit(dev, &s->msix, &s->msix);
}

/*
 * Object
 */

static char *nvvgpu_get_faults(Object *obj, Error **errp)
{
    NvvgpuState *s = NVVGPU_EMU(obj);

    return g_strdup(s->fw.faults ?: "");
}

static void nvvgpu_set_faults(Object *obj, const char *str, Error **errp)
{
    nvvgpu_fault_set(NVVGPU_EMU(obj), str, errp);
}

static char *nvvgpu_get_params(Object *obj, Error **errp)
{
    NvvgpuState *s = NVVGPU_EMU(obj);
    GString *text = g_string_new(NULL);

    for (unsigned int i = 0; i < ARRAY_SIZE(s->vgpu); i++) {
        if (s->vgpu[i].params) {
            g_string_append_printf(text, "%s%u %s", text->len ? "; " : "", i,
                                   s->vgpu[i].params);
        }
    }

    return g_string_free(text, FALSE);
}

static void nvvgpu_instance_init(Object *obj)
{
    NvvgpuState *s = NVVGPU_EMU(obj);

    QSIMPLEQ_INIT(&s->fw.out);
    QSIMPLEQ_INIT(&s->fw.late);
    s->bounce = g_malloc(NVVGPU_SLICE);
    s->fw_buf = g_malloc(NVVGPU_SLICE);
}

static void nvvgpu_instance_finalize(Object *obj)
{
    NvvgpuState *s = NVVGPU_EMU(obj);

    nvvgpu_fw_free(s);
    g_free(s->types);
    g_free(s->bounce);
    g_free(s->fw_buf);
}

static const Property nvvgpu_properties[] = {
    DEFINE_PROP_SIZE("vram", NvvgpuState, vram_size, 32 * GiB),
    DEFINE_PROP_UINT16("vfs", NvvgpuState, num_vfs, NVVGPU_EMU_MAX_VFS),
    DEFINE_PROP_UINT16("vendor-id", NvvgpuState, vendor_id,
                       NVVGPU_EMU_VENDOR_ID),
    DEFINE_PROP_UINT16("device-id", NvvgpuState, device_id,
                       NVVGPU_EMU_PF_DEVICE_ID),
    DEFINE_PROP_UINT16("vf-device-id", NvvgpuState, vf_device_id,
                       NVVGPU_EMU_VF_DEVICE_ID),
    DEFINE_PROP_UINT16("subsystem-vendor-id", NvvgpuState,
                       subsystem_vendor_id, PCI_SUBVENDOR_ID_REDHAT_QUMRANET),
    DEFINE_PROP_UINT16("subsystem-id", NvvgpuState, subsystem_id,
                       PCI_SUBDEVICE_ID_QEMU),
    DEFINE_PROP_UINT32("fw-delay-us", NvvgpuState, fw_delay_us, 200),
    DEFINE_PROP_UINT32("fw-boot-ms", NvvgpuState, fw_boot_ms, 5),
    DEFINE_PROP_BOOL("discard", NvvgpuState, discard, true),
    DEFINE_PROP_STRING("types", NvvgpuState, catalogue),
};

static const VMStateDescription nvvgpu_vmstate = {
    .name = TYPE_NVVGPU_EMU,
    .unmigratable = 1,
};

static void nvvgpu_class_init(ObjectClass *class, ClassData *data)
{
    DeviceClass *dc = DEVICE_CLASS(class);
    ResettableClass *rc = RESETTABLE_CLASS(class);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(class);

    pc->realize = nvvgpu_pf_realize;
    pc->exit = nvvgpu_pf_exit;
    pc->vendor_id = NVVGPU_EMU_VENDOR_ID;
    pc->device_id = NVVGPU_EMU_PF_DEVICE_ID;
    pc->revision = NVVGPU_EMU_REVISION;
    pc->class_id = PCI_CLASS_DISPLAY_3D;

    rc->phases.hold = nvvgpu_pf_reset_hold;

    dc->desc = "SR-IOV GPU with vGPUs";
    dc->vmsd = &nvvgpu_vmstate;
    device_class_set_props(dc, nvvgpu_properties);
    set_bit(DEVICE_CATEGORY_DISPLAY, dc->categories);

    object_class_property_add_str(class, "fw-faults", nvvgpu_get_faults,
                                  nvvgpu_set_faults);
    object_class_property_set_description(class, "fw-faults",
        "injected firmware faults: <command>:<nth>:<action>,... or "
        "now:<action>");
    object_class_property_add_str(class, "vgpu-params", nvvgpu_get_params,
                                  NULL);
    object_class_property_set_description(class, "vgpu-params",
        "parameters of the running vGPUs: <vf> <params>; ...");
}

static const TypeInfo nvvgpu_info = {
    .name = TYPE_NVVGPU_EMU,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(NvvgpuState),
    .instance_init = nvvgpu_instance_init,
    .instance_finalize = nvvgpu_instance_finalize,
    .class_init = nvvgpu_class_init,
    .interfaces = (InterfaceInfo[]) {
        { INTERFACE_PCIE_DEVICE },
        { }
    },
};

static void nvvgpu_register_types(void)
{
    type_register_static(&nvvgpu_info);
}

type_init(nvvgpu_register_types)
