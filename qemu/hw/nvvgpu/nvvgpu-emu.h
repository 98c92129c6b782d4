/*
 * nvvgpu-emu: an SR-IOV GPU whose firmware hands out vGPUs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the parts of the device model share.  The programming interface is in
 * nvvgpu_emu.h, its manual is Documentation/gpu/nvvgpu-emu.rst.
 *
 *   nvvgpu-emu.c          the physical function
 *   nvvgpu-emu-vf.c       the virtual functions and their registers
 *   nvvgpu-emu-fw.c       the firmware: rings, timing, events, crashes
 *   nvvgpu-emu-cmd.c      the firmware's commands
 *   nvvgpu-emu-fault.c    faults that the firmware is told to have
 *   nvvgpu-emu-vgpu.c     the life of a vGPU
 *   nvvgpu-emu-vram.c     framebuffer slots, scrubbing, dirty pages
 *   nvvgpu-emu-engine.c   descriptors, DMA, scheduling
 *   nvvgpu-emu-dirty.c    log of the engines' DMA
 *   nvvgpu-emu-state.c    the register state that migrates
 *   nvvgpu-emu-display.c  dispi registers and EDID
 *   nvvgpu-emu-types.c    the vGPU types
 *
 * Everything runs under the big lock.  Registers' handlers only change state
 * and set timers; all DMA is done from the timers' callbacks.  DMA may end up
 * in any device's registers, in those of this one and in its config space
 * too, so after each access a callback looks whether the epoch of what it
 * works on has changed, and interrupts are raised after all else.
 */
#ifndef HW_NVVGPU_EMU_H
#define HW_NVVGPU_EMU_H

#include "hw/pci/pci_device.h"
#include "hw/display/bochs-vbe.h"
#include "qemu/queue.h"
#include "qemu/timer.h"
#include "qemu/units.h"
#include "qom/object.h"
#include "nvvgpu_emu.h"

#define TYPE_NVVGPU_EMU     "nvvgpu-emu"
#define TYPE_NVVGPU_EMU_VF  "nvvgpu-emu-vf"

OBJECT_DECLARE_SIMPLE_TYPE(NvvgpuState, NVVGPU_EMU)
OBJECT_DECLARE_SIMPLE_TYPE(NvvgpuVf, NVVGPU_EMU_VF)

/* What framebuffers are made of; a placement id is an index of granules */
#define NVVGPU_GRANULE          (512 * MiB)
#define NVVGPU_VRAM_MAX         (256 * GiB)
#define NVVGPU_GRANULES_MAX     (NVVGPU_VRAM_MAX / NVVGPU_GRANULE)

/* The longest piece of a descriptor that is done in one go */
#define NVVGPU_SLICE            (64 * KiB)

#define NVVGPU_PARAMS_MAX       1024
#define NVVGPU_VF_RING_MAX      NVVGPU_EMU_RING_MAX

#define NVVGPU_PF_CAP_SRIOV     0x160
#define NVVGPU_CAP_PM           0x40
#define NVVGPU_CAP_EXP          0x60
#define NVVGPU_CAP_MSIX         0xa0
#define NVVGPU_CAP_AER          0x100
#define NVVGPU_CAP_ARI          0x150
#define NVVGPU_MSIX_PBA         0x800
#define NVVGPU_MSIX_SIZE        0x1000
#define NVVGPU_VF_OFFSET        4
#define NVVGPU_VF_STRIDE        1

typedef struct NvvgpuType NvvgpuType;
typedef struct NvvgpuVgpu NvvgpuVgpu;
typedef struct NvvgpuFault NvvgpuFault;

/* nvvgpu-emu-types.c */

struct NvvgpuType {
    uint32_t id;
    const char *name;
    const char *vgpu_class;
    uint64_t fb_bytes;
    uint64_t bar0_bytes;
    uint32_t heads;
    uint32_t max_width;
    uint32_t max_height;
    uint32_t weight;
    uint16_t vendor;
    uint16_t device;
    uint16_t subsystem_vendor;
    uint16_t subsystem_device;
    uint32_t class_code;
};

extern const NvvgpuType nvvgpu_types[];
extern const unsigned int nvvgpu_num_types;

const NvvgpuType *nvvgpu_type_find(uint64_t id);

/* A descriptor in the host's byte order */
typedef struct NvvgpuDesc {
    uint32_t op;
    uint32_t flags;
    uint64_t src;
    uint64_t dst;
    uint64_t len;
    uint64_t data;
    uint32_t vector;
} NvvgpuDesc;

/* The engine's page of registers and what is in work */
typedef struct NvvgpuEngine {
    bool run;
    uint32_t error;
    uint32_t error_index;
    uint64_t fault_addr;
    uint64_t ring_base;
    uint32_t ring_size;
    uint32_t head;
    uint32_t tail;
    uint32_t error_vector;
    uint32_t guest;
    uint32_t scratch[NVVGPU_EMU_VF_SCRATCH_WORDS];

    bool busy;              /* desc is in work */
    NvvgpuDesc desc;
    uint64_t done;          /* bytes of it */

    uint32_t irqs;          /* vectors to be raised on RESUME */
    uint32_t raised;        /* vectors raised since it was reset */
    bool latched;           /* a doorbell came during SUSPEND_ALL */
    uint32_t latched_tail;
} NvvgpuEngine;

/* One range of the DMA log */
typedef struct NvvgpuDmaRange {
    uint64_t first;         /* page */
    uint64_t pages;
    unsigned long *bitmap;
} NvvgpuDmaRange;

typedef struct NvvgpuDmaLog {
    bool on;
    unsigned int shift;
    unsigned int num;
    NvvgpuDmaRange range[NVVGPU_EMU_DIRTY_RANGES_MAX];
} NvvgpuDmaLog;

typedef struct NvvgpuVramLog {
    bool on;
    unsigned long *bitmap;  /* a bit per NVVGPU_EMU_VRAM_PAGE */
} NvvgpuVramLog;

typedef enum NvvgpuVgpuState {
    NVVGPU_NONE,
    NVVGPU_CREATED,
    NVVGPU_STARTED,
    NVVGPU_CRASHED,
} NvvgpuVgpuState;

typedef struct NvvgpuStats {
    uint64_t descriptors;
    uint64_t bytes;
    uint64_t dma_read_bytes;
    uint64_t dma_write_bytes;
    uint64_t interrupts;
    uint64_t errors;
    uint64_t dma_faults;
    uint64_t resets;
} NvvgpuStats;

/* Kinds of events that can wait for room in the message ring, in order */
enum {
    NVVGPU_PENDING_CRASHED,
    NVVGPU_PENDING_FAULT,
    NVVGPU_PENDING_GUEST,
    NVVGPU_PENDING_DISPLAY,
    NVVGPU_PENDING_NUM,
};

typedef struct NvvgpuPending {
    uint16_t opcode;
    uint64_t count;         /* 0: none; more than one: these were merged */
    uint64_t res[2];
} NvvgpuPending;

/* One for each VF, used while a vGPU is on it */
struct NvvgpuVgpu {
    NvvgpuState *gpu;
    unsigned int index;     /* of the VF */
    uint32_t epoch;         /* changes with every reset */

    NvvgpuVgpuState state;
    uint32_t suspended;     /* 0 or NVVGPU_EMU_SUSPEND_* */
    const NvvgpuType *type;
    unsigned int placement;
    uint64_t fb_offset;
    char *params;

    NvvgpuEngine engine;
    int64_t deficit;        /* bytes that it may still move in this turn */

    uint16_t dispi[VBE_DISPI_INDEX_NB];
    struct nvvgpu_emu_plane plane;
    uint8_t edid[NVVGPU_EMU_EDID_SIZE];

    NvvgpuStats stats;
    NvvgpuVramLog vram_log;
    NvvgpuDmaLog dma_log;
    GByteArray *load;       /* register state as far as it has come */

    NvvgpuPending pending[NVVGPU_PENDING_NUM];
};

/* A command and a message in the host's byte order */
typedef struct NvvgpuCmd {
    uint32_t seq;
    uint16_t opcode;
    uint16_t vf;
    uint64_t addr;
    uint32_t len;
    uint32_t flags;
    uint64_t arg[5];
} NvvgpuCmd;

typedef struct NvvgpuMsg {
    QSIMPLEQ_ENTRY(NvvgpuMsg) next;
    int64_t due;
    uint32_t seq;
    uint16_t opcode;
    uint16_t vf;
    uint32_t status;
    uint32_t len;
    uint64_t res[6];
    uint32_t lies;          /* words to be inverted on the wire, a bit each */
} NvvgpuMsg;

typedef QSIMPLEQ_HEAD(NvvgpuMsgQueue, NvvgpuMsg) NvvgpuMsgQueue;

typedef enum NvvgpuFaultAction {
    NVVGPU_FAULT_NONE,
    NVVGPU_FAULT_FAIL,
    NVVGPU_FAULT_LIE,
    NVVGPU_FAULT_LATE,
    NVVGPU_FAULT_SLOW,
    NVVGPU_FAULT_HANG,
    NVVGPU_FAULT_WEDGE,
    NVVGPU_FAULT_CRASH,
    NVVGPU_FAULT_VCRASH,
} NvvgpuFaultAction;

struct NvvgpuFault {
    uint16_t opcode;        /* 0: any */
    uint64_t nth;           /* 0: every */
    uint64_t count;
    NvvgpuFaultAction action;
    uint64_t arg;
};

typedef enum NvvgpuFwPhase {
    NVVGPU_FW_IDLE,
    NVVGPU_FW_FETCH,
    NVVGPU_FW_EXEC,
} NvvgpuFwPhase;

typedef struct NvvgpuFw {
    uint32_t status;
    uint32_t epoch;         /* changes with every reset and crash */
    uint64_t cmd_base;
    uint64_t msg_base;
    uint32_t cmd_size;
    uint32_t cmd_head;
    uint32_t cmd_tail;
    uint32_t msg_size;
    uint32_t msg_head;
    uint32_t msg_tail;

    bool hello;
    bool wedged;
    NvvgpuFwPhase phase;
    NvvgpuCmd cmd;          /* in work */
    NvvgpuMsg msg;          /* its answer in the making */
    uint64_t done;          /* bytes, of a command done in slices */
    NvvgpuFaultAction fault;
    uint64_t fault_arg;

    QEMUTimer *timer;       /* boots and steps through a command */
    QEMUTimer *msg_timer;   /* fills the message ring */
    NvvgpuMsgQueue out;     /* answers that wait for room */
    NvvgpuMsgQueue late;    /* answers held back, by the time they are due */
    unsigned int waiting;   /* answers in both */
    unsigned int next_event;

    char *faults;           /* as set */
    NvvgpuFault *fault_rules;
    unsigned int num_fault_rules;
} NvvgpuFw;

struct NvvgpuState {
    PCIDevice parent_obj;

    MemoryRegion regs;
    MemoryRegion vram;
    MemoryRegion msix;
    uint8_t *vram_ptr;

    /* properties */
    uint64_t vram_size;
    uint16_t num_vfs;
    uint16_t vendor_id;
    uint16_t device_id;
    uint16_t vf_device_id;
    uint16_t subsystem_vendor_id;
    uint16_t subsystem_id;
    uint32_t fw_delay_us;
    uint32_t fw_boot_ms;

    unsigned int num_granules;
    uint8_t granule_owner[NVVGPU_GRANULES_MAX];     /* VF + 1, 0: free */

    NvvgpuFw fw;
    NvvgpuVgpu vgpu[NVVGPU_EMU_MAX_VFS];

    QEMUTimer *engine_timer;
    unsigned int engine_next;
    uint8_t *bounce;        /* NVVGPU_SLICE bytes */
    uint8_t *fw_buf;        /* as many, for the firmware */
};

struct NvvgpuVf {
    PCIDevice parent_obj;

    NvvgpuState *gpu;
    unsigned int index;
    MemoryRegion bar0;      /* all ones */
    MemoryRegion fb;        /* and the aperture on top of it */
    MemoryRegion regs;
    MemoryRegion msix;
};

/* nvvgpu-emu.c */

/* The VF's device, also while SR-IOV is off; NULL only during unplug */
NvvgpuVf *nvvgpu_get_vf(NvvgpuState *s, unsigned int index);

/* nvvgpu-emu-vf.c */

/* Make the VF's BARs follow its vGPU's state */
void nvvgpu_vf_update(NvvgpuVgpu *v);
/* May the VF's engine run as far as PCI is concerned? */
bool nvvgpu_vf_is_on(NvvgpuVgpu *v);
/* Forget interrupts that the mask has held back */
void nvvgpu_vf_clear_irqs(NvvgpuVgpu *v);
/* Raise an interrupt.  May re-enter: do it last. */
void nvvgpu_vf_notify(NvvgpuVgpu *v, uint32_t vector);

/* nvvgpu-emu-vgpu.c */

static inline bool nvvgpu_vgpu_exists(NvvgpuVgpu *v)
{
    return v->state != NVVGPU_NONE;
}

uint32_t nvvgpu_vgpu_create(NvvgpuVgpu *v, const NvvgpuType *type,
                            uint64_t placement);
void nvvgpu_vgpu_delete(NvvgpuVgpu *v);
void nvvgpu_vgpu_start(NvvgpuVgpu *v, char *params);
void nvvgpu_vgpu_stop(NvvgpuVgpu *v);
/* What a function level reset does, from whatever side */
void nvvgpu_vgpu_reset(NvvgpuVgpu *v);
void nvvgpu_vgpu_suspend(NvvgpuVgpu *v, uint32_t level);
void nvvgpu_vgpu_resume(NvvgpuVgpu *v);
/* Halt it for good.  With @event, tell the host. */
void nvvgpu_vgpu_crash(NvvgpuVgpu *v, bool event);
/* Take note of GUEST, which has to be 0 or 1 */
void nvvgpu_vgpu_set_guest(NvvgpuVgpu *v, uint32_t guest);

/* nvvgpu-emu-vram.c */

uint64_t nvvgpu_vram_available(NvvgpuState *s, const NvvgpuType *type);
uint64_t nvvgpu_vram_instances(NvvgpuState *s, const NvvgpuType *type);
uint32_t nvvgpu_vram_alloc(NvvgpuVgpu *v, uint64_t placement);
void nvvgpu_vram_free(NvvgpuVgpu *v);
void nvvgpu_vram_scrub(NvvgpuState *s, uint64_t offset, uint64_t len);

/* Does a piece of len bytes at off lie in the vGPU's framebuffer? */
bool nvvgpu_vram_check(NvvgpuVgpu *v, uint64_t off, uint64_t len);
uint8_t *nvvgpu_vram_at(NvvgpuVgpu *v, uint64_t off);
/* Call it after each write through nvvgpu_vram_at() */
void nvvgpu_vram_written(NvvgpuVgpu *v, uint64_t off, uint64_t len);

void nvvgpu_vram_log_start(NvvgpuVgpu *v);
void nvvgpu_vram_log_stop(NvvgpuVgpu *v);
/* Returns the number of dirty pages; pages from first are put into bits */
uint64_t nvvgpu_vram_log_read(NvvgpuVgpu *v, uint64_t first, uint64_t pages,
                              uint8_t *bits);

/* nvvgpu-emu-dirty.c */

uint32_t nvvgpu_dma_log_start(NvvgpuVgpu *v,
                              const struct nvvgpu_emu_range *ranges,
                              unsigned int num, uint64_t page_size);
void nvvgpu_dma_log_stop(NvvgpuVgpu *v);
void nvvgpu_dma_log_mark(NvvgpuVgpu *v, uint64_t addr, uint64_t len);
uint64_t nvvgpu_dma_log_read(NvvgpuVgpu *v, uint64_t first, uint64_t pages,
                             uint8_t *bits);

/* nvvgpu-emu-engine.c */

void nvvgpu_engine_init(NvvgpuState *s);
void nvvgpu_engine_exit(NvvgpuState *s);
/* Abort and clear the engine's page, all but an error that has to stay */
void nvvgpu_engine_reset(NvvgpuVgpu *v);
void nvvgpu_engine_halt(NvvgpuVgpu *v, uint32_t error, uint64_t addr);
void nvvgpu_engine_set_run(NvvgpuVgpu *v, bool run);
void nvvgpu_engine_doorbell(NvvgpuVgpu *v, uint32_t tail);
/* See whether there is work to do now */
void nvvgpu_engine_kick(NvvgpuState *s);
bool nvvgpu_engine_ring_ok(const NvvgpuEngine *e);
uint32_t nvvgpu_engine_check(const NvvgpuDesc *d);

/* nvvgpu-emu-display.c */

void nvvgpu_display_init(NvvgpuVgpu *v);
void nvvgpu_display_reset(NvvgpuVgpu *v);
/* Work out the plane anew after dispi[] has changed */
void nvvgpu_display_update(NvvgpuVgpu *v);
uint64_t nvvgpu_display_read(NvvgpuVgpu *v, hwaddr addr, unsigned int size);
void nvvgpu_display_write(NvvgpuVgpu *v, hwaddr addr, uint64_t val,
                          unsigned int size);

/* nvvgpu-emu-state.c */

size_t nvvgpu_state_size(void);
/* buf has room for nvvgpu_state_size() bytes */
void nvvgpu_state_save(NvvgpuVgpu *v, uint8_t *buf);
/* Take the next piece.  Returns NVVGPU_EMU_OK or why it was refused. */
uint32_t nvvgpu_state_load(NvvgpuVgpu *v, uint64_t offset, const uint8_t *buf,
                           size_t len);
void nvvgpu_state_load_abort(NvvgpuVgpu *v);

/* nvvgpu-emu-fw.c */

void nvvgpu_fw_init(NvvgpuState *s);
void nvvgpu_fw_exit(NvvgpuState *s);
void nvvgpu_fw_free(NvvgpuState *s);
/* To OFF, as FW_CTRL_RESET does; a cold reset clears the rings' bases too */
void nvvgpu_fw_reset(NvvgpuState *s, bool cold);
void nvvgpu_fw_boot(NvvgpuState *s);
void nvvgpu_fw_crash(NvvgpuState *s, const char *why);
void nvvgpu_fw_wedge(NvvgpuState *s);
void nvvgpu_fw_doorbell(NvvgpuState *s, uint32_t tail);
void nvvgpu_fw_consumed(NvvgpuState *s, uint32_t head);
void nvvgpu_fw_event(NvvgpuVgpu *v, unsigned int kind, uint16_t opcode,
                     uint64_t res0, uint64_t res1);
/* To and from the command's buffer; NVVGPU_EMU_OK or ERR_DMA */
uint32_t nvvgpu_fw_read(NvvgpuState *s, uint64_t off, void *buf, uint64_t len);
uint32_t nvvgpu_fw_write(NvvgpuState *s, uint64_t off, const void *buf,
                         uint64_t len);

/* nvvgpu-emu-cmd.c */

/* Returns false when it wants to be called again for the next slice */
bool nvvgpu_cmd_exec(NvvgpuState *s, const NvvgpuCmd *cmd, NvvgpuMsg *msg);
/* NULL: no such opcode */
const char *nvvgpu_cmd_name(uint16_t opcode);
/* 0: no such name */
uint16_t nvvgpu_cmd_opcode(const char *name);
bool nvvgpu_cmd_has_vf(uint16_t opcode);

/* nvvgpu-emu-fault.c */

void nvvgpu_fault_set(NvvgpuState *s, const char *str, Error **errp);
/* What shall happen to this command? */
NvvgpuFaultAction nvvgpu_fault_match(NvvgpuState *s, uint16_t opcode,
                                     uint64_t *arg);

#endif /* HW_NVVGPU_EMU_H */
