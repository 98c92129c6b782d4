/*
 * nvvgpu-emu: the firmware: rings, timing, events, crashes
 *
 * The firmware executes one command at a time, after a delay.  The response is
 * queued until the message ring has a free entry; responses precede events.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "hw/pci/msix.h"
#include "nvvgpu-emu.h"
#include "trace.h"

/* The firmware fetches no command while this many responses are queued */
#define NVVGPU_FW_WAITING_MAX   256

static int64_t nvvgpu_fw_now(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

static void nvvgpu_fw_notify(NvvgpuState *s, unsigned int vector)
{
    if (qdev_is_realized(DEVICE(s))) {
        msix_notify(PCI_DEVICE(s), vector);
    }
}

/*
 * Messages
 */

static bool nvvgpu_fw_is_up(NvvgpuState *s)
{
    return s->fw.status == NVVGPU_EMU_FW_READY;
}

/* Schedule a flush of queued messages to the message ring */
static void nvvgpu_fw_post(NvvgpuState *s)
{
    if (nvvgpu_fw_is_up(s) && s->fw.msg_timer) {
        timer_mod(s->fw.msg_timer, nvvgpu_fw_now() + 1);
    }
}

static void nvvgpu_fw_drop(NvvgpuMsgQueue *queue)
{
    NvvgpuMsg *msg;

    while ((msg = QSIMPLEQ_FIRST(queue))) {
        QSIMPLEQ_REMOVE_HEAD(queue, next);
        g_free(msg);
    }
}

/* Move delayed responses that are due to the output queue */
static void nvvgpu_fw_release_late(NvvgpuState *s)
{
    NvvgpuFw *fw = &s->fw;
    int64_t now = nvvgpu_fw_now();
    NvvgpuMsg *msg;

    while ((msg = QSIMPLEQ_FIRST(&fw->late)) && msg->due <= now) {
        QSIMPLEQ_REMOVE_HEAD(&fw->late, next);
        QSIMPLEQ_INSERT_TAIL(&fw->out, msg, next);
    }
    if (msg) {
        timer_mod(fw->msg_timer, msg->due);
    }
}

static void nvvgpu_fw_answer(NvvgpuState *s, uint64_t late_ms)
{
    NvvgpuFw *fw = &s->fw;
    NvvgpuMsg *msg = g_memdup2(&fw->msg, sizeof(fw->msg));
    NvvgpuMsg *prev = NULL;
    NvvgpuMsg *it;

    trace_nvvgpu_fw_answer(msg->seq, nvvgpu_cmd_name(msg->opcode) ?: "?",
                           msg->vf, msg->status, msg->len);
    fw->waiting++;
    if (!late_ms) {
        QSIMPLEQ_INSERT_TAIL(&fw->out, msg, next);
    } else {
        msg->due = nvvgpu_fw_now() + late_ms * SCALE_MS;
        QSIMPLEQ_FOREACH(it, &fw->late, next) {
            if (it->due > msg->due) {
                break;
            }
            prev = it;
        }
        if (prev) {
            QSIMPLEQ_INSERT_AFTER(&fw->late, prev, msg, next);
        } else {
            QSIMPLEQ_INSERT_HEAD(&fw->late, msg, next);
        }
    }
    nvvgpu_fw_post(s);
}

void nvvgpu_fw_answer_now(NvvgpuState *s)
{
    NvvgpuMsg *msg;

    QSIMPLEQ_FOREACH(msg, &s->fw.late, next) {
        msg->due = 0;
    }
    nvvgpu_fw_post(s);
}

void nvvgpu_fw_event(NvvgpuVgpu *v, unsigned int kind, uint16_t opcode,
                     uint64_t res0, uint64_t res1)
{
    NvvgpuPending *p = &v->pending[kind];

    if (!nvvgpu_fw_is_up(v->gpu)) {
        return;
    }

    /* A coalesced FAULT reports the first fault, other events the last one */
    if (!p->count || kind != NVVGPU_PENDING_FAULT) {
        p->opcode = opcode;
        p->res[0] = res0;
        p->res[1] = res1;
    }
    p->count++;
    nvvgpu_fw_post(v->gpu);
}

/* Dequeue the next pending event; VFs are served round robin */
static bool nvvgpu_fw_next_event(NvvgpuState *s, NvvgpuMsg *msg)
{
    for (unsigned int i = 0; i < s->num_vfs; i++) {
        unsigned int vf = (s->fw.next_event + i) % s->num_vfs;

        for (unsigned int k = 0; k < NVVGPU_PENDING_NUM; k++) {
            NvvgpuPending *p = &s->vgpu[vf].pending[k];

            if (p->count) {
                memset(msg, 0, sizeof(*msg));
                msg->opcode = p->opcode;
                msg->vf = vf;
                msg->res[0] = p->res[0];
                msg->res[1] = p->res[1];
                msg->res[2] = p->count;
                p->count = 0;
                s->fw.next_event = (vf + 1) % s->num_vfs;
                trace_nvvgpu_fw_event(msg->opcode, vf, msg->res[0],
                                      msg->res[1], msg->res[2]);
                return true;
            }
        }
    }

    return false;
}

static bool nvvgpu_fw_next_msg(NvvgpuState *s, NvvgpuMsg *msg)
{
    NvvgpuMsg *first = QSIMPLEQ_FIRST(&s->fw.out);

    if (!first) {
        return nvvgpu_fw_next_event(s, msg);
    }

    QSIMPLEQ_REMOVE_HEAD(&s->fw.out, next);
    s->fw.waiting--;
    *msg = *first;
    g_free(first);
    return true;
}

/* Returns false if the write made the firmware crash or reset */
static bool nvvgpu_fw_write_msg(NvvgpuState *s, const NvvgpuMsg *msg)
{
    NvvgpuFw *fw = &s->fw;
    uint32_t epoch = fw->epoch;
    struct nvvgpu_emu_msg raw = {
        .seq = cpu_to_le32(msg->seq),
        .opcode = cpu_to_le16(msg->opcode),
        .vf = cpu_to_le16(msg->vf),
        .status = cpu_to_le32(msg->status),
        .len = cpu_to_le32(msg->len),
    };
    uint64_t slot = fw->msg_tail & (fw->msg_size - 1);
    MemTxResult result;

    for (unsigned int i = 0; i < ARRAY_SIZE(raw.res); i++) {
        raw.res[i] = cpu_to_le64(msg->res[i]);
    }
    for (unsigned int i = 0; i < sizeof(raw) / sizeof(uint32_t); i++) {
        ((uint32_t *)&raw)[i] ^= msg->lies & (1U << i) ? ~0U : 0;
    }
    result = pci_dma_write(PCI_DEVICE(s), fw->msg_base + slot * sizeof(raw),
                           &raw, sizeof(raw));
    if (fw->epoch != epoch) {
        return false;
    }
    if (result != MEMTX_OK) {
        nvvgpu_fw_crash(s, "cannot write the message ring");
        return false;
    }
    fw->msg_tail++;

    return true;
}

static void nvvgpu_fw_kick(NvvgpuState *s);

/* Write queued messages until the message ring is full */
static void nvvgpu_fw_flush(NvvgpuState *s)
{
    NvvgpuFw *fw = &s->fw;
    bool posted = false;
    NvvgpuMsg msg;

    if (!nvvgpu_fw_is_up(s)) {
        return;
    }

    nvvgpu_fw_release_late(s);
    for (;;) {
        uint32_t used = fw->msg_tail - fw->msg_head;

        if (used > fw->msg_size) {
            nvvgpu_fw_crash(s, "MSG_HEAD is beyond MSG_TAIL");
            return;
        }
        if (used == fw->msg_size || !nvvgpu_fw_next_msg(s, &msg)) {
            break;
        }
        if (!nvvgpu_fw_write_msg(s, &msg)) {
            return;
        }
        posted = true;
    }

    nvvgpu_fw_kick(s);
    if (posted) {
        nvvgpu_fw_notify(s, NVVGPU_EMU_PF_VECTOR_MSG);
    }
}

/*
 * Commands
 */

uint32_t nvvgpu_fw_read(NvvgpuState *s, uint64_t off, void *buf, uint64_t len)
{
    uint32_t epoch = s->fw.epoch;

    if (pci_dma_read(PCI_DEVICE(s), s->fw.cmd.addr + off, buf, len) !=
        MEMTX_OK || s->fw.epoch != epoch) {
        return NVVGPU_EMU_ERR_DMA;
    }

    return NVVGPU_EMU_OK;
}

uint32_t nvvgpu_fw_write(NvvgpuState *s, uint64_t off, const void *buf,
                         uint64_t len)
{
    uint32_t epoch = s->fw.epoch;

    if (pci_dma_write(PCI_DEVICE(s), s->fw.cmd.addr + off, buf, len) !=
        MEMTX_OK || s->fw.epoch != epoch) {
        return NVVGPU_EMU_ERR_DMA;
    }

    return NVVGPU_EMU_OK;
}

/* Schedule the fetch of the next command, if any */
static void nvvgpu_fw_kick(NvvgpuState *s)
{
    NvvgpuFw *fw = &s->fw;

    if (nvvgpu_fw_is_up(s) && fw->phase == NVVGPU_FW_IDLE && !fw->wedged &&
        fw->cmd_head != fw->cmd_tail && fw->waiting < NVVGPU_FW_WAITING_MAX) {
        fw->phase = NVVGPU_FW_FETCH;
        timer_mod(fw->timer, nvvgpu_fw_now() + 1);
    }
}

static void nvvgpu_fw_fetch(NvvgpuState *s)
{
    NvvgpuFw *fw = &s->fw;
    NvvgpuCmd *cmd = &fw->cmd;
    uint32_t epoch = fw->epoch;
    struct nvvgpu_emu_cmd raw;
    uint64_t slot = fw->cmd_head & (fw->cmd_size - 1);
    int64_t delay;
    MemTxResult result;

    if (fw->cmd_tail - fw->cmd_head > fw->cmd_size) {
        nvvgpu_fw_crash(s, "CMD_TAIL is too far ahead");
        return;
    }
    result = pci_dma_read(PCI_DEVICE(s), fw->cmd_base + slot * sizeof(raw),
                          &raw, sizeof(raw));
    if (fw->epoch != epoch) {
        return;
    }
    if (result != MEMTX_OK) {
        nvvgpu_fw_crash(s, "cannot read the command ring");
        return;
    }
    fw->cmd_head++;

    cmd->seq = le32_to_cpu(raw.seq);
    cmd->opcode = le16_to_cpu(raw.opcode);
    cmd->vf = le16_to_cpu(raw.vf);
    cmd->addr = le64_to_cpu(raw.addr);
    cmd->len = le32_to_cpu(raw.len);
    cmd->flags = le32_to_cpu(raw.flags);
    for (unsigned int i = 0; i < ARRAY_SIZE(cmd->arg); i++) {
        cmd->arg[i] = le64_to_cpu(raw.arg[i]);
    }
    trace_nvvgpu_fw_cmd(cmd->seq, nvvgpu_cmd_name(cmd->opcode) ?: "?", cmd->vf,
                        cmd->arg[0], cmd->arg[1], cmd->addr, cmd->len);

    memset(&fw->msg, 0, sizeof(fw->msg));
    fw->msg.seq = cmd->seq;
    fw->msg.opcode = cmd->opcode;
    fw->msg.vf = cmd->vf;
    fw->done = 0;
    fw->fault = nvvgpu_fault_match(s, cmd->opcode, &fw->fault_arg);

    delay = (int64_t)s->fw_delay_us * SCALE_US;
    if (fw->fault == NVVGPU_FAULT_SLOW) {
        delay += fw->fault_arg * SCALE_MS;
    }
    fw->phase = NVVGPU_FW_EXEC;
    timer_mod(fw->timer, nvvgpu_fw_now() + MAX(delay, 1));
}

static void nvvgpu_fw_exec(NvvgpuState *s)
{
    NvvgpuFw *fw = &s->fw;
    uint32_t epoch = fw->epoch;
    uint64_t late = 0;

    switch (fw->fault) {
    case NVVGPU_FAULT_FAIL:
        fw->msg.status = fw->fault_arg;
        goto answer;
    case NVVGPU_FAULT_LIE:
        fw->msg.lies = 1U << fw->fault_arg;
        break;
    case NVVGPU_FAULT_HANG:
        goto next;
    case NVVGPU_FAULT_WEDGE:
        nvvgpu_fw_wedge(s);
        return;
    case NVVGPU_FAULT_CRASH:
        nvvgpu_fw_crash(s, "injected fault");
        return;
    case NVVGPU_FAULT_VCRASH:
        fw->fault = NVVGPU_FAULT_NONE;
        if (fw->cmd.vf < s->num_vfs) {
            nvvgpu_vgpu_crash(&s->vgpu[fw->cmd.vf], true);
        }
        /* Its interrupt may have reset the firmware */
        if (fw->epoch != epoch) {
            return;
        }
        break;
    case NVVGPU_FAULT_LATE:
        late = fw->fault_arg;
        break;
    default:
        break;
    }

    if (!nvvgpu_cmd_exec(s, &fw->cmd, &fw->msg)) {
        if (fw->epoch == epoch) {
            timer_mod(fw->timer, nvvgpu_fw_now() + SCALE_US);
        }
        return;
    }
    if (fw->epoch != epoch) {
        return;
    }

answer:
    nvvgpu_fw_answer(s, late);
next:
    fw->phase = NVVGPU_FW_IDLE;
    nvvgpu_fw_kick(s);
}

static void nvvgpu_fw_step(NvvgpuState *s)
{
    NvvgpuFw *fw = &s->fw;

    if (fw->status == NVVGPU_EMU_FW_BOOTING) {
        trace_nvvgpu_fw_status(NVVGPU_EMU_FW_READY, "booted");
        fw->status = NVVGPU_EMU_FW_READY;
        nvvgpu_fw_kick(s);
        nvvgpu_fw_notify(s, NVVGPU_EMU_PF_VECTOR_STATUS);
    } else if (fw->phase == NVVGPU_FW_FETCH) {
        nvvgpu_fw_fetch(s);
    } else if (fw->phase == NVVGPU_FW_EXEC) {
        nvvgpu_fw_exec(s);
    }
}

/*
 * Both timers run with the re-entrancy guard of the PF engaged, so that DMA to
 * the PF's registers is refused.
 */
static void nvvgpu_fw_guarded(NvvgpuState *s, void (*fn)(NvvgpuState *s))
{
    MemReentrancyGuard *guard = &DEVICE(s)->mem_reentrancy_guard;

    object_ref(OBJECT(s));
    guard->engaged_in_io = true;
    fn(s);
    guard->engaged_in_io = false;
    object_unref(OBJECT(s));
}

static void nvvgpu_fw_timer(void *opaque)
{
    nvvgpu_fw_guarded(opaque, nvvgpu_fw_step);
}

static void nvvgpu_fw_msg_timer(void *opaque)
{
    nvvgpu_fw_guarded(opaque, nvvgpu_fw_flush);
}

/*
 * Register accesses
 */

void nvvgpu_fw_doorbell(NvvgpuState *s, uint32_t tail)
{
    if (s->fw.status == NVVGPU_EMU_FW_BOOTING || nvvgpu_fw_is_up(s)) {
        s->fw.cmd_tail = tail;
        nvvgpu_fw_kick(s);
    }
}

void nvvgpu_fw_consumed(NvvgpuState *s, uint32_t head)
{
    if (s->fw.status == NVVGPU_EMU_FW_BOOTING || nvvgpu_fw_is_up(s)) {
        s->fw.msg_head = head;
        nvvgpu_fw_post(s);
    }
}

static bool nvvgpu_fw_ring_ok(uint64_t base, uint32_t size)
{
    uint64_t bytes = size * sizeof(struct nvvgpu_emu_cmd);

    QEMU_BUILD_BUG_ON(sizeof(struct nvvgpu_emu_cmd) !=
                      sizeof(struct nvvgpu_emu_msg));

    return is_power_of_2(size) && size >= 2 && size <= NVVGPU_EMU_RING_MAX &&
           !(base % sizeof(struct nvvgpu_emu_cmd)) &&
           bytes - 1 <= UINT64_MAX - base;
}

/* Drop all commands and messages; keep the ring configuration */
static void nvvgpu_fw_clear(NvvgpuState *s)
{
    NvvgpuFw *fw = &s->fw;

    fw->epoch++;
    if (fw->timer) {
        timer_del(fw->timer);
        timer_del(fw->msg_timer);
    }
    nvvgpu_fw_drop(&fw->out);
    nvvgpu_fw_drop(&fw->late);
    fw->waiting = 0;
    fw->phase = NVVGPU_FW_IDLE;
    fw->hello = false;
    fw->wedged = false;
    for (unsigned int i = 0; i < NVVGPU_EMU_MAX_VFS; i++) {
        memset(s->vgpu[i].pending, 0, sizeof(s->vgpu[i].pending));
    }
}

void nvvgpu_fw_boot(NvvgpuState *s)
{
    NvvgpuFw *fw = &s->fw;

    /* A vCPU's write can still arrive after the unplug */
    if (!fw->timer) {
        return;
    }
    if (fw->status != NVVGPU_EMU_FW_OFF) {
        qemu_log_mask(LOG_GUEST_ERROR,
                      "nvvgpu-emu: BOOT while the firmware is not OFF\n");
        return;
    }
    if (!nvvgpu_fw_ring_ok(fw->cmd_base, fw->cmd_size) ||
        !nvvgpu_fw_ring_ok(fw->msg_base, fw->msg_size)) {
        nvvgpu_fw_crash(s, "invalid ring base or size");
        return;
    }

    trace_nvvgpu_fw_status(NVVGPU_EMU_FW_BOOTING, "BOOT");
    fw->status = NVVGPU_EMU_FW_BOOTING;
    timer_mod(fw->timer, nvvgpu_fw_now() + 1 +
                         (int64_t)s->fw_boot_ms * SCALE_MS);
    nvvgpu_fw_notify(s, NVVGPU_EMU_PF_VECTOR_STATUS);
}

void nvvgpu_fw_reset(NvvgpuState *s, bool cold)
{
    NvvgpuFw *fw = &s->fw;
    uint32_t old = fw->status;

    trace_nvvgpu_fw_status(NVVGPU_EMU_FW_OFF, cold ? "reset" : "FW_CTRL");
    nvvgpu_fw_clear(s);
    fw->status = NVVGPU_EMU_FW_OFF;
    fw->cmd_head = fw->cmd_tail = 0;
    fw->msg_head = fw->msg_tail = 0;
    if (cold) {
        fw->cmd_base = fw->msg_base = 0;
        fw->cmd_size = fw->msg_size = 0;
    }

    for (unsigned int i = 0; i < NVVGPU_EMU_MAX_VFS; i++) {
        nvvgpu_vgpu_delete(&s->vgpu[i]);
    }
    nvvgpu_vram_reset(s);

    if (!cold && old != NVVGPU_EMU_FW_OFF) {
        nvvgpu_fw_notify(s, NVVGPU_EMU_PF_VECTOR_STATUS);
    }
}

void nvvgpu_fw_crash(NvvgpuState *s, const char *why)
{
    trace_nvvgpu_fw_status(NVVGPU_EMU_FW_CRASHED, why);
    nvvgpu_fw_clear(s);
    s->fw.status = NVVGPU_EMU_FW_CRASHED;
    for (unsigned int i = 0; i < s->num_vfs; i++) {
        nvvgpu_vgpu_crash(&s->vgpu[i], false);
    }
    nvvgpu_fw_notify(s, NVVGPU_EMU_PF_VECTOR_STATUS);
}

void nvvgpu_fw_wedge(NvvgpuState *s)
{
    trace_nvvgpu_fw_status(s->fw.status, "wedged");
    s->fw.wedged = true;
    s->fw.phase = NVVGPU_FW_IDLE;
    timer_del(s->fw.timer);
}

/*
 * Initialization
 */

void nvvgpu_fw_init(NvvgpuState *s)
{
    s->fw.timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, nvvgpu_fw_timer, s);
    s->fw.msg_timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, nvvgpu_fw_msg_timer, s);
}

void nvvgpu_fw_exit(NvvgpuState *s)
{
    nvvgpu_fw_clear(s);
    s->fw.status = NVVGPU_EMU_FW_OFF;
    g_clear_pointer(&s->fw.timer, timer_free);
    g_clear_pointer(&s->fw.msg_timer, timer_free);
}

void nvvgpu_fw_free(NvvgpuState *s)
{
    g_free(s->fw.faults);
    g_free(s->fw.fault_rules);
}
