/*
 * nvvgpu-emu: an SR-IOV GPU whose firmware manages vGPUs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Internal header of the device model.  The programming interface is in
 * nvvgpu_emu.h, its manual is Documentation/gpu/nvvgpu-emu.rst.
 *
 *   nvvgpu-emu.c          the physical function
 *   nvvgpu-emu-vf.c       the virtual functions and their registers
 *   nvvgpu-emu-fw.c       the firmware: rings, timing, events, crashes
 *   nvvgpu-emu-cmd.c      the firmware's commands
 *   nvvgpu-emu-fault.c    fault injection into the firmware
 *   nvvgpu-emu-vgpu.c     the life cycle of a vGPU
 *   nvvgpu-emu-vram.c     framebuffer slots, scrubbing, VRAM dirty log
 *   nvvgpu-emu-engine.c   descriptors, DMA, scheduling
 *   nvvgpu-emu-dirty.c    DMA dirty log
 *   nvvgpu-emu-state.c    the register state that migrates
 *   nvvgpu-emu-display.c  dispi registers and EDID
 *   nvvgpu-emu-types.c    the vGPU types
 *
 * Everything runs under the big QEMU lock.  Register handlers only change
 * state and arm timers; the timer callbacks do all DMA.  DMA can hit the
 * registers or the config space of any device, including this one.  A callback
 * therefore checks after each access whether the epoch of its object has
 * changed, and raises interrupts last.
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

/* Framebuffers are allocated in granules; a placement id is a granule index */
#define NVVGPU_GRANULE          (512 * MiB)
#define NVVGPU_VRAM_MAX         (256 * GiB)
#define NVVGPU_GRANULES_MAX     (NVVGPU_VRAM_MAX / NVVGPU_GRANULE)

/* Maximum number of bytes of a descriptor processed at a time */
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
    struct nvvgpu_emu_type raw; /* without the numbers of vGPUs */

    /* The attributes that the device uses, in host byte order */
    uint32_t id;
    uint64_t fb_bytes;
    uint64_t bar0_bytes;
    uint32_t heads;
    uint32_t max_width;
    uint32_t max_height;
    uint32_t weight;
};

bool nvvgpu_types_init(NvvgpuState *s, Error **errp);
const NvvgpuType *nvvgpu_type_find(NvvgpuState *s, uint64_t id);

/* struct nvvgpu_emu_desc in host byte order */
typedef struct NvvgpuDesc {
    uint32_t op;
    uint32_t flags;
    uint64_t src;
    uint64_t dst;
    uint64_t len;
    uint64_t data;
    uint32_t vector;
} NvvgpuDesc;

/* The registers of the engine page, and the descriptor in flight */
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

    bool busy;              /* desc is in flight */
    NvvgpuDesc desc;
    uint64_t done;          /* bytes of desc already moved */

    uint32_t irqs;          /* vectors to raise on RESUME */
    uint32_t raised;        /* vectors raised since the last engine reset */
    bool latched;           /* the doorbell was rung during SUSPEND_ALL */
    uint32_t latched_tail;
} NvvgpuEngine;

/* One range of the DMA log */
typedef struct NvvgpuDmaRange {
    uint64_t first;         /* page number */
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
    unsigned long *bitmap;  /* one bit per NVVGPU_EMU_VRAM_PAGE */
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
    uint64_t busy_ns;
} NvvgpuStats;

/* Kinds of events, in the order in which they enter the message ring */
enum {
    NVVGPU_PENDING_CRASHED,
    NVVGPU_PENDING_FAULT,
    NVVGPU_PENDING_GUEST,
    NVVGPU_PENDING_DISPLAY,
    NVVGPU_PENDING_FLIP,
    NVVGPU_PENDING_NUM,
};

typedef struct NvvgpuPending {
    uint16_t opcode;
    uint64_t count;         /* number of coalesced events, 0: none pending */
    uint64_t res[2];
} NvvgpuPending;

/* One per VF, valid while the VF has a vGPU */
struct NvvgpuVgpu {
    NvvgpuState *gpu;
    unsigned int index;     /* VF number */
    uint32_t epoch;         /* incremented by every reset */

    NvvgpuVgpuState state;
    uint32_t suspended;     /* 0 or NVVGPU_EMU_SUSPEND_* */
    const NvvgpuType *type; /* set while the VF has a placement */
    unsigned int placement;
    uint64_t fb_offset;
    char *params;

    NvvgpuEngine engine;
    int64_t deficit;        /* bytes left in this scheduling turn */

    uint16_t dispi[VBE_DISPI_INDEX_NB];
    struct nvvgpu_emu_plane plane;
    uint8_t edid[NVVGPU_EMU_EDID_SIZE];

    NvvgpuStats stats;
    NvvgpuVramLog vram_log;
    NvvgpuDmaLog dma_log;
    GByteArray *load;       /* register state received so far */

    NvvgpuPending pending[NVVGPU_PENDING_NUM];
};

/* struct nvvgpu_emu_cmd and struct nvvgpu_emu_msg in host byte order */
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
    uint32_t lies;          /* bitmap of 32-bit words to invert in the ring */
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
    uint16_t opcode;        /* 0: any command */
    uint64_t nth;           /* 0: every time */
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
    uint32_t epoch;         /* incremented by every reset and crash */
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
    NvvgpuCmd cmd;          /* the command in flight */
    NvvgpuMsg msg;          /* its response under construction */
    uint64_t done;          /* bytes done of a command that runs in steps */
    NvvgpuFaultAction fault;
    uint64_t fault_arg;

    QEMUTimer *timer;       /* boots the firmware and executes commands */
    QEMUTimer *msg_timer;   /* fills the message ring */
    NvvgpuMsgQueue out;     /* responses waiting for a free ring entry */
    NvvgpuMsgQueue late;    /* responses delayed by a fault, by due time */
    unsigned int waiting;   /* number of responses in both queues */
    unsigned int next_event;

    char *faults;           /* value of the fw-faults property */
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
    bool discard;           /* false after a discard has failed */
    char *catalogue;

    NvvgpuType *types;      /* those that fit into VRAM */
    unsigned int num_types;

    unsigned int num_granules;
    uint8_t granule_owner[NVVGPU_GRANULES_MAX];     /* VF + 1, 0: free */

    NvvgpuFw fw;
    NvvgpuVgpu vgpu[NVVGPU_EMU_MAX_VFS];

    QEMUTimer *engine_timer;
    unsigned int engine_next;
    uint8_t *bounce;        /* NVVGPU_SLICE bytes */
    uint8_t *fw_buf;        /* NVVGPU_SLICE bytes for the firmware */
};

struct NvvgpuVf {
    PCIDevice parent_obj;

    NvvgpuState *gpu;
    unsigned int index;
    MemoryRegion bar0;      /* reads as all ones */
    MemoryRegion fb;        /* the aperture, overlays the start of bar0 */
    MemoryRegion regs;
    MemoryRegion msix;
};

/* nvvgpu-emu.c */

/* Valid even while SR-IOV is disabled; returns NULL only during unplug */
NvvgpuVf *nvvgpu_get_vf(NvvgpuState *s, unsigned int index);

/* nvvgpu-emu-vf.c */

/* Map or unmap the framebuffer in BAR0 to match the state of the vGPU */
void nvvgpu_vf_update(NvvgpuVgpu *v);
/* Returns true if the VF is enabled and in D0 */
bool nvvgpu_vf_is_on(NvvgpuVgpu *v);
/* Clear the pending bits of all vectors */
void nvvgpu_vf_clear_irqs(NvvgpuVgpu *v);
/* Raise an interrupt.  This can re-enter the device, so call it last. */
void nvvgpu_vf_notify(NvvgpuVgpu *v, uint32_t vector);

/* nvvgpu-emu-vgpu.c */

static inline bool nvvgpu_vgpu_exists(NvvgpuVgpu *v)
{
    return v->state != NVVGPU_NONE;
}

void nvvgpu_vgpu_create(NvvgpuVgpu *v, const NvvgpuType *type,
                        unsigned int placement);
/* Remove the vGPU from the VF; it keeps its placement and its framebuffer */
void nvvgpu_vgpu_delete(NvvgpuVgpu *v);
void nvvgpu_vgpu_start(NvvgpuVgpu *v, char *params);
void nvvgpu_vgpu_stop(NvvgpuVgpu *v);
/* Handle an FLR of the VF or the RESET command */
void nvvgpu_vgpu_reset(NvvgpuVgpu *v);
void nvvgpu_vgpu_suspend(NvvgpuVgpu *v, uint32_t level);
void nvvgpu_vgpu_resume(NvvgpuVgpu *v);
/* Halt the vGPU until it is deleted; with @event, notify the host */
void nvvgpu_vgpu_crash(NvvgpuVgpu *v, bool event);
/* Set the GUEST register; ignores values other than 0 and 1 */
void nvvgpu_vgpu_set_guest(NvvgpuVgpu *v, uint32_t guest);

/* nvvgpu-emu-vram.c */

uint64_t nvvgpu_vram_available(NvvgpuState *s, const NvvgpuType *type);
uint64_t nvvgpu_vram_instances(NvvgpuState *s, const NvvgpuType *type);
/* Find a free placement; returns a response status */
uint32_t nvvgpu_vram_find(NvvgpuState *s, const NvvgpuType *type,
                          uint64_t placement, unsigned int *found);
void nvvgpu_vram_take(NvvgpuVgpu *v, const NvvgpuType *type,
                      unsigned int placement);
/* Free the placement, if the VF has one */
void nvvgpu_vram_free(NvvgpuVgpu *v);
/* Returns false if scrubs read all pages and clear those that are not zero */
bool nvvgpu_vram_can_discard(NvvgpuState *s);
void nvvgpu_vram_scrub(NvvgpuState *s, uint64_t offset, uint64_t len);
/* Scrub all framebuffers and free all placements */
void nvvgpu_vram_reset(NvvgpuState *s);

/* Returns true if @len bytes at @off lie within the vGPU's framebuffer */
bool nvvgpu_vram_check(NvvgpuVgpu *v, uint64_t off, uint64_t len);
uint8_t *nvvgpu_vram_at(NvvgpuVgpu *v, uint64_t off);
/* Mark VRAM dirty; call it after each write through nvvgpu_vram_at() */
void nvvgpu_vram_written(NvvgpuVgpu *v, uint64_t off, uint64_t len);

void nvvgpu_vram_log_start(NvvgpuVgpu *v);
void nvvgpu_vram_log_stop(NvvgpuVgpu *v);
/*
 * Read and clear the dirty bits of @pages pages from @first.  Bit 0 of byte 0
 * of @bits is page @first.  Returns the number of dirty pages.
 */
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
/* Abort and clear the engine page; a crashed vGPU keeps its error */
void nvvgpu_engine_reset(NvvgpuVgpu *v);
void nvvgpu_engine_halt(NvvgpuVgpu *v, uint32_t error, uint64_t addr);
void nvvgpu_engine_set_run(NvvgpuVgpu *v, bool run);
void nvvgpu_engine_doorbell(NvvgpuVgpu *v, uint32_t tail);
/* Arm the engine timer if any VF has work */
void nvvgpu_engine_kick(NvvgpuState *s);
bool nvvgpu_engine_ring_ok(const NvvgpuEngine *e);
uint32_t nvvgpu_engine_check(const NvvgpuDesc *d);

/* nvvgpu-emu-display.c */

void nvvgpu_display_init(NvvgpuVgpu *v);
void nvvgpu_display_reset(NvvgpuVgpu *v);
void nvvgpu_display_default_edid(NvvgpuVgpu *v);
/* Recompute the plane after a change of dispi[] */
void nvvgpu_display_update(NvvgpuVgpu *v);
uint64_t nvvgpu_display_read(NvvgpuVgpu *v, hwaddr addr, unsigned int size);
void nvvgpu_display_write(NvvgpuVgpu *v, hwaddr addr, uint64_t val,
                          unsigned int size);

/* nvvgpu-emu-state.c */

size_t nvvgpu_state_size(void);
/* @buf must hold nvvgpu_state_size() bytes */
void nvvgpu_state_save(NvvgpuVgpu *v, uint8_t *buf);
/* Load the next chunk of register state; returns a response status */
uint32_t nvvgpu_state_load(NvvgpuVgpu *v, uint64_t offset, const uint8_t *buf,
                           size_t len);
void nvvgpu_state_load_abort(NvvgpuVgpu *v);

/* nvvgpu-emu-fw.c */

void nvvgpu_fw_init(NvvgpuState *s);
void nvvgpu_fw_exit(NvvgpuState *s);
void nvvgpu_fw_free(NvvgpuState *s);
/* Reset to OFF; with @cold, also clear the ring bases and sizes */
void nvvgpu_fw_reset(NvvgpuState *s, bool cold);
void nvvgpu_fw_boot(NvvgpuState *s);
void nvvgpu_fw_crash(NvvgpuState *s, const char *why);
void nvvgpu_fw_wedge(NvvgpuState *s);
/* Send all delayed responses */
void nvvgpu_fw_answer_now(NvvgpuState *s);
void nvvgpu_fw_doorbell(NvvgpuState *s, uint32_t tail);
void nvvgpu_fw_consumed(NvvgpuState *s, uint32_t head);
void nvvgpu_fw_event(NvvgpuVgpu *v, unsigned int kind, uint16_t opcode,
                     uint64_t res0, uint64_t res1);
/* Access the command's buffer; returns NVVGPU_EMU_OK or NVVGPU_EMU_ERR_DMA */
uint32_t nvvgpu_fw_read(NvvgpuState *s, uint64_t off, void *buf, uint64_t len);
uint32_t nvvgpu_fw_write(NvvgpuState *s, uint64_t off, const void *buf,
                         uint64_t len);

/* nvvgpu-emu-cmd.c */

/* Returns false if the command needs another call to continue */
bool nvvgpu_cmd_exec(NvvgpuState *s, const NvvgpuCmd *cmd, NvvgpuMsg *msg);
/* Returns NULL for an unknown opcode */
const char *nvvgpu_cmd_name(uint16_t opcode);
/* Returns 0 for an unknown name; @dashed may have "-" for "_" */
uint16_t nvvgpu_cmd_opcode(const char *dashed);
bool nvvgpu_cmd_has_vf(uint16_t opcode);

/* nvvgpu-emu-fault.c */

void nvvgpu_fault_set(NvvgpuState *s, const char *str, Error **errp);
/* Returns the fault to inject into this command, with its argument in @arg */
NvvgpuFaultAction nvvgpu_fault_match(NvvgpuState *s, uint16_t opcode,
                                     uint64_t *arg);

#endif /* HW_NVVGPU_EMU_H */
