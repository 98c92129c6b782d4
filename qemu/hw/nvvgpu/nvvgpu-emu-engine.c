/*
 * nvvgpu-emu: descriptors, DMA, scheduling
 *
 * One timer serves the engines of all VFs.  Each time it fires, it moves at
 * most NVVGPU_ROUND bytes, in slices.  Deficit round robin schedules the VFs:
 * in each turn a vGPU may move its type's weight times NVVGPU_QUANTUM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "hw/pci/pci_device.h"
#include "nvvgpu-emu.h"
#include "trace.h"

#define NVVGPU_ROUND            (1 * MiB)
#define NVVGPU_QUANTUM          (64 * KiB)

/* Fixed cost of a descriptor in bytes, added to its length */
#define NVVGPU_DESC_COST        1024

/* Delay from a doorbell to the first descriptor, and between two rounds */
#define NVVGPU_ENGINE_DELAY_NS  1000
#define NVVGPU_ENGINE_PERIOD_NS 10000

/* Smallest unit in which an IOMMU refuses accesses */
#define NVVGPU_DMA_PAGE         (4 * KiB)

#define NVVGPU_DESC_FLAGS       (NVVGPU_EMU_DESC_SRC_VRAM | \
                                 NVVGPU_EMU_DESC_DST_VRAM | \
                                 NVVGPU_EMU_DESC_IRQ)

/*
 * DMA
 */

/* Returns the number of bytes before the first one that was refused */
static uint64_t nvvgpu_dma(NvvgpuVgpu *v, NvvgpuVf *vf, dma_addr_t addr,
                           void *buf, uint64_t len, DMADirection dir)
{
    uint32_t epoch = v->epoch;
    uint64_t done = 0;

    while (done < len) {
        uint64_t room = NVVGPU_DMA_PAGE - (addr + done) % NVVGPU_DMA_PAGE;
        uint64_t n = MIN(len - done, room);

        if (pci_dma_rw(PCI_DEVICE(vf), addr + done, buf + done, n, dir,
                       MEMTXATTRS_UNSPECIFIED) != MEMTX_OK) {
            break;
        }
        done += n;
        if (v->epoch != epoch) {
            break;
        }
    }

    if (dir == DMA_DIRECTION_FROM_DEVICE) {
        v->stats.dma_write_bytes += done;
        nvvgpu_dma_log_mark(v, addr, done);
    } else {
        v->stats.dma_read_bytes += done;
    }

    return done;
}

/*
 * State
 */

bool nvvgpu_engine_ring_ok(const NvvgpuEngine *e)
{
    uint64_t bytes = (uint64_t)e->ring_size * sizeof(struct nvvgpu_emu_desc);
    uint32_t pending = e->tail - e->head;

    return is_power_of_2(e->ring_size) &&
           e->ring_size <= NVVGPU_VF_RING_MAX &&
           !(e->ring_base % sizeof(struct nvvgpu_emu_desc)) &&
           bytes - 1 <= UINT64_MAX - e->ring_base &&
           pending >= e->busy && pending <= e->ring_size;
}

void nvvgpu_engine_reset(NvvgpuVgpu *v)
{
    v->epoch++;
    v->deficit = 0;
    nvvgpu_vgpu_set_guest(v, 0);
    memset(&v->engine, 0, sizeof(v->engine));
    v->engine.error_vector = ~0U;
    if (v->state == NVVGPU_CRASHED) {
        v->engine.error = NVVGPU_EMU_VF_ERR_CRASHED;
    }
}

void nvvgpu_engine_halt(NvvgpuVgpu *v, uint32_t error, uint64_t addr)
{
    NvvgpuEngine *e = &v->engine;

    trace_nvvgpu_engine_halt(v->index, error, e->head, addr);
    v->epoch++;
    v->deficit = 0;
    e->run = false;
    e->busy = false;
    e->error = error;
    e->error_index = e->head;
    e->fault_addr = addr;

    if (error != NVVGPU_EMU_VF_ERR_CRASHED) {
        v->stats.errors++;
        if (error == NVVGPU_EMU_VF_ERR_DMA_READ ||
            error == NVVGPU_EMU_VF_ERR_DMA_WRITE) {
            v->stats.dma_faults++;
        }
        nvvgpu_fw_event(v, NVVGPU_PENDING_FAULT, NVVGPU_EMU_EVENT_FAULT, error,
                        addr);
    }
    nvvgpu_vf_notify(v, e->error_vector);
}

static bool nvvgpu_engine_runnable(NvvgpuVgpu *v)
{
    NvvgpuEngine *e = &v->engine;

    return v->state == NVVGPU_STARTED && !v->suspended && !e->error &&
           (e->busy || (e->run && e->head != e->tail)) && nvvgpu_vf_is_on(v);
}

void nvvgpu_engine_kick(NvvgpuState *s)
{
    if (!s->engine_timer || timer_pending(s->engine_timer)) {
        return;
    }

    for (unsigned int i = 0; i < s->num_vfs; i++) {
        if (nvvgpu_engine_runnable(&s->vgpu[i])) {
            timer_mod(s->engine_timer,
                      qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) +
                      NVVGPU_ENGINE_DELAY_NS);
            return;
        }
    }
}

void nvvgpu_engine_set_run(NvvgpuVgpu *v, bool run)
{
    NvvgpuEngine *e = &v->engine;

    if (!run || e->run) {
        e->run = run;
        return;
    }
    if (v->state != NVVGPU_STARTED || e->error) {
        qemu_log_mask(LOG_GUEST_ERROR, "nvvgpu-emu: VF %u: RUN while %s\n",
                      v->index, e->error ? "halted" : "not started");
        return;
    }
    if (!nvvgpu_engine_ring_ok(e)) {
        nvvgpu_engine_halt(v, NVVGPU_EMU_VF_ERR_RING, 0);
        return;
    }

    e->run = true;
    nvvgpu_engine_kick(v->gpu);
}

void nvvgpu_engine_doorbell(NvvgpuVgpu *v, uint32_t tail)
{
    NvvgpuEngine *e = &v->engine;

    if (e->error) {
        return;
    }
    if (v->suspended == NVVGPU_EMU_SUSPEND_ALL) {
        e->latched = true;
        e->latched_tail = tail;
        return;
    }

    e->tail = tail;
    if (e->run || e->busy) {
        if (!nvvgpu_engine_ring_ok(e)) {
            nvvgpu_engine_halt(v, NVVGPU_EMU_VF_ERR_RING, 0);
            return;
        }
        nvvgpu_engine_kick(v->gpu);
    }
}

/*
 * Descriptors
 */

/* Check a descriptor, except for its VRAM ranges */
uint32_t nvvgpu_engine_check(const NvvgpuDesc *d)
{
    if (d->op > NVVGPU_EMU_OP_SEMAPHORE || d->flags & ~NVVGPU_DESC_FLAGS) {
        return NVVGPU_EMU_VF_ERR_DESC;
    }
    if (d->flags & NVVGPU_EMU_DESC_IRQ && d->vector >= NVVGPU_EMU_VF_VECTORS) {
        return NVVGPU_EMU_VF_ERR_VECTOR;
    }

    switch (d->op) {
    case NVVGPU_EMU_OP_COPY:
        if (!(d->flags & NVVGPU_EMU_DESC_SRC_VRAM) &&
            d->len - 1 > UINT64_MAX - d->src) {
            return NVVGPU_EMU_VF_ERR_DESC;
        }
        /* fall through */
    case NVVGPU_EMU_OP_FILL:
        if (!d->len) {
            return NVVGPU_EMU_VF_ERR_DESC;
        }
        if (!(d->flags & NVVGPU_EMU_DESC_DST_VRAM) &&
            d->len - 1 > UINT64_MAX - d->dst) {
            return NVVGPU_EMU_VF_ERR_DESC;
        }
        break;
    case NVVGPU_EMU_OP_SEMAPHORE:
        if (d->dst % sizeof(uint64_t)) {
            return NVVGPU_EMU_VF_ERR_DESC;
        }
        break;
    }

    return NVVGPU_EMU_VF_ERR_NONE;
}

static uint64_t nvvgpu_desc_len(const NvvgpuDesc *d)
{
    switch (d->op) {
    case NVVGPU_EMU_OP_COPY:
    case NVVGPU_EMU_OP_FILL:
        return d->len;
    case NVVGPU_EMU_OP_SEMAPHORE:
        return sizeof(uint64_t);
    default:
        return 0;
    }
}

/* Halts the engine and returns false if the range exceeds the framebuffer */
static bool nvvgpu_engine_check_vram(NvvgpuVgpu *v, uint64_t off, uint64_t len)
{
    if (nvvgpu_vram_check(v, off, len)) {
        return true;
    }

    nvvgpu_engine_halt(v, NVVGPU_EMU_VF_ERR_VRAM,
                       MAX(off, v->type->fb_bytes));
    return false;
}

/* Fetch the next descriptor; returns false if the engine halted or was reset */
static bool nvvgpu_engine_fetch(NvvgpuVgpu *v, NvvgpuVf *vf)
{
    NvvgpuEngine *e = &v->engine;
    NvvgpuDesc *d = &e->desc;
    struct nvvgpu_emu_desc raw;
    uint32_t epoch = v->epoch;
    uint32_t error;
    uint64_t addr;
    uint64_t done;
    uint64_t read = v->stats.dma_read_bytes;

    addr = e->ring_base + (e->head & (e->ring_size - 1)) * sizeof(raw);
    done = nvvgpu_dma(v, vf, addr, &raw, sizeof(raw), DMA_DIRECTION_TO_DEVICE);
    if (v->epoch != epoch) {
        return false;
    }
    /* The statistics do not count the fetch of descriptors */
    v->stats.dma_read_bytes = read;
    if (done < sizeof(raw)) {
        nvvgpu_engine_halt(v, NVVGPU_EMU_VF_ERR_DMA_READ, addr + done);
        return false;
    }

    d->op = le32_to_cpu(raw.op);
    d->flags = le32_to_cpu(raw.flags);
    d->src = le64_to_cpu(raw.src);
    d->dst = le64_to_cpu(raw.dst);
    d->len = le64_to_cpu(raw.len);
    d->data = le64_to_cpu(raw.data);
    d->vector = le32_to_cpu(raw.vector);
    trace_nvvgpu_engine_desc(v->index, e->head, d->op, d->flags, d->src,
                             d->dst, d->len);

    error = nvvgpu_engine_check(d);
    for (unsigned int i = 0; i < ARRAY_SIZE(raw.reserved); i++) {
        error = raw.reserved[i] ? NVVGPU_EMU_VF_ERR_DESC : error;
    }
    if (error) {
        nvvgpu_engine_halt(v, error, 0);
        return false;
    }
    if (d->op == NVVGPU_EMU_OP_COPY && d->flags & NVVGPU_EMU_DESC_SRC_VRAM &&
        !nvvgpu_engine_check_vram(v, d->src, d->len)) {
        return false;
    }
    if (d->op != NVVGPU_EMU_OP_NOP && d->flags & NVVGPU_EMU_DESC_DST_VRAM &&
        !nvvgpu_engine_check_vram(v, d->dst, nvvgpu_desc_len(d))) {
        return false;
    }

    e->busy = true;
    e->done = 0;
    return true;
}

/* Write @buf to the destination at e->done; returns the bytes written */
static uint64_t nvvgpu_engine_store(NvvgpuVgpu *v, NvvgpuVf *vf,
                                    const void *buf, uint64_t len)
{
    NvvgpuEngine *e = &v->engine;
    uint64_t dst = e->desc.dst + e->done;

    if (!len) {
        return 0;
    }
    if (e->desc.flags & NVVGPU_EMU_DESC_DST_VRAM) {
        memcpy(nvvgpu_vram_at(v, dst), buf, len);
        nvvgpu_vram_written(v, dst, len);
        return len;
    }

    return nvvgpu_dma(v, vf, dst, (void *)buf, len,
                      DMA_DIRECTION_FROM_DEVICE);
}

/* Fill @buf up to @len bytes with repetitions of its first @period bytes */
static void nvvgpu_repeat(uint8_t *buf, uint64_t period, uint64_t len)
{
    for (uint64_t have = period; have < len; have *= 2) {
        memcpy(buf + have, buf, MIN(have, len - have));
    }
}

/*
 * Read @len bytes of a copy's source at e->done; returns the bytes read.
 *
 * If the destination starts within the source, a front-to-back copy reads back
 * its own output, so the bytes between the two addresses repeat.
 */
static uint64_t nvvgpu_engine_load(NvvgpuVgpu *v, NvvgpuVf *vf, uint8_t *buf,
                                   uint64_t len)
{
    NvvgpuEngine *e = &v->engine;
    const NvvgpuDesc *d = &e->desc;
    bool src_vram = d->flags & NVVGPU_EMU_DESC_SRC_VRAM;
    bool dst_vram = d->flags & NVVGPU_EMU_DESC_DST_VRAM;
    uint64_t n = len;

    if (src_vram == dst_vram && d->dst > d->src && d->dst - d->src < len) {
        n = d->dst - d->src;
    }

    if (src_vram) {
        memcpy(buf, nvvgpu_vram_at(v, d->src + e->done), n);
    } else {
        uint64_t done = nvvgpu_dma(v, vf, d->src + e->done, buf, n,
                                   DMA_DIRECTION_TO_DEVICE);

        if (done < n) {
            return done;
        }
    }
    nvvgpu_repeat(buf, n, len);

    return len;
}

/* Retire the descriptor in flight */
static void nvvgpu_engine_complete(NvvgpuVgpu *v)
{
    NvvgpuEngine *e = &v->engine;

    e->busy = false;
    e->head++;
    v->stats.descriptors++;
    if (e->desc.flags & NVVGPU_EMU_DESC_IRQ) {
        nvvgpu_vf_notify(v, e->desc.vector);
    }
}

/* Process one slice; returns its cost */
static uint64_t nvvgpu_engine_slice(NvvgpuVgpu *v, NvvgpuVf *vf)
{
    NvvgpuEngine *e = &v->engine;
    uint8_t *buf = v->gpu->bounce;
    uint32_t epoch = v->epoch;
    uint64_t cost = 0;
    uint64_t len, loaded, stored;

    if (!e->busy) {
        cost += NVVGPU_DESC_COST;
        if (!nvvgpu_engine_fetch(v, vf)) {
            return cost;
        }
    }

    len = MIN(nvvgpu_desc_len(&e->desc) - e->done, NVVGPU_SLICE);
    cost += len;
    switch (e->desc.op) {
    case NVVGPU_EMU_OP_COPY:
        loaded = nvvgpu_engine_load(v, vf, buf, len);
        break;
    case NVVGPU_EMU_OP_FILL:
        /* The slice size is a multiple of the pattern's */
        loaded = len;
        stl_le_p(buf, e->desc.data);
        nvvgpu_repeat(buf, sizeof(uint32_t), len);
        break;
    case NVVGPU_EMU_OP_SEMAPHORE:
        loaded = len;
        stq_le_p(buf, e->desc.data);
        break;
    default:
        loaded = 0;
        break;
    }
    if (v->epoch != epoch) {
        return cost;
    }

    stored = nvvgpu_engine_store(v, vf, buf, loaded);
    if (v->epoch != epoch) {
        return cost;
    }

    if (e->desc.op != NVVGPU_EMU_OP_SEMAPHORE) {
        v->stats.bytes += stored;
    }
    if (stored < loaded) {
        nvvgpu_engine_halt(v, NVVGPU_EMU_VF_ERR_DMA_WRITE,
                           e->desc.dst + e->done + stored);
    } else if (loaded < len) {
        nvvgpu_engine_halt(v, NVVGPU_EMU_VF_ERR_DMA_READ,
                           e->desc.src + e->done + loaded);
    } else {
        e->done += len;
        if (e->done == nvvgpu_desc_len(&e->desc)) {
            nvvgpu_engine_complete(v);
        }
    }

    return cost;
}

/*
 * Process one slice with the re-entrancy guard of the VF engaged, so that DMA
 * to the registers of the VF is refused.  nvvgpu_engine_fire() does the same
 * for the PF.
 */
static uint64_t nvvgpu_engine_step(NvvgpuVgpu *v)
{
    NvvgpuVf *vf = nvvgpu_get_vf(v->gpu, v->index);
    MemReentrancyGuard *guard = &DEVICE(vf)->mem_reentrancy_guard;
    int64_t since = get_clock();
    uint64_t cost;

    object_ref(OBJECT(vf));
    guard->engaged_in_io = true;
    cost = nvvgpu_engine_slice(v, vf);
    v->stats.busy_ns += get_clock() - since;
    guard->engaged_in_io = false;
    object_unref(OBJECT(vf));

    return cost;
}

/*
 * Scheduling
 */

/* Select the next runnable vGPU; start a new turn if its last one is used up */
static NvvgpuVgpu *nvvgpu_engine_pick(NvvgpuState *s)
{
    for (unsigned int i = 0; i < s->num_vfs; i++) {
        NvvgpuVgpu *v = &s->vgpu[(s->engine_next + i) % s->num_vfs];

        if (nvvgpu_engine_runnable(v)) {
            s->engine_next = v->index;
            if (v->deficit <= 0) {
                v->deficit += (int64_t)v->type->weight * NVVGPU_QUANTUM;
            }
            return v;
        }
        v->deficit = 0;
    }

    return NULL;
}

static void nvvgpu_engine_round(NvvgpuState *s)
{
    int64_t budget = NVVGPU_ROUND;
    NvvgpuVgpu *v;

    while (budget > 0 && (v = nvvgpu_engine_pick(s))) {
        while (budget > 0 && v->deficit > 0 && nvvgpu_engine_runnable(v)) {
            uint64_t cost = nvvgpu_engine_step(v);

            v->deficit -= cost;
            budget -= cost;
        }
        if (v->deficit <= 0 || !nvvgpu_engine_runnable(v)) {
            s->engine_next = (v->index + 1) % s->num_vfs;
        }
    }

    if (budget <= 0 && s->engine_timer) {
        timer_mod(s->engine_timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) +
                                   NVVGPU_ENGINE_PERIOD_NS);
    }
}

static void nvvgpu_engine_fire(void *opaque)
{
    NvvgpuState *s = opaque;
    MemReentrancyGuard *guard = &DEVICE(s)->mem_reentrancy_guard;

    object_ref(OBJECT(s));
    guard->engaged_in_io = true;
    nvvgpu_engine_round(s);
    guard->engaged_in_io = false;
    object_unref(OBJECT(s));
}

void nvvgpu_engine_init(NvvgpuState *s)
{
    s->engine_timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, nvvgpu_engine_fire, s);
}

void nvvgpu_engine_exit(NvvgpuState *s)
{
    g_clear_pointer(&s->engine_timer, timer_free);
}
