/*
 * nvvgpu-emu: the register state that migrates
 *
 * The complete state of a vGPU except its framebuffer, its MSI-X table (which
 * the VMM restores), the dirty logs and the statistics.  The format is private
 * to the firmware and opaque to the host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/crc32c.h"
#include "hw/pci/msix.h"
#include "nvvgpu-emu.h"
#include "trace.h"

#define NVVGPU_STATE_MAGIC      0x5356564e      /* "NVVS" */
#define NVVGPU_STATE_VERSION    1

#define NVVGPU_STATE_RUN        0x1
#define NVVGPU_STATE_BUSY       0x2
#define NVVGPU_STATE_FLAGS      0x3

typedef struct QEMU_PACKED NvvgpuStateHead {
    uint32_t magic;
    uint16_t version;
    uint16_t reserved;
    uint32_t len;           /* of the blob, including this header */
    uint32_t crc;           /* CRC32C of everything after this field */
    uint32_t type;
} NvvgpuStateHead;

typedef struct QEMU_PACKED NvvgpuStateBlob {
    NvvgpuStateHead head;
    uint32_t flags;
    uint32_t error;
    uint32_t error_index;
    uint32_t ring_size;
    uint64_t fault_addr;
    uint64_t ring_base;
    uint32_t ring_head;
    uint32_t ring_tail;
    uint32_t error_vector;
    uint32_t guest;
    uint32_t scratch[NVVGPU_EMU_VF_SCRATCH_WORDS];
    uint32_t irqs;
    uint32_t desc_op;
    uint32_t desc_flags;
    uint32_t desc_vector;
    uint64_t desc_src;
    uint64_t desc_dst;
    uint64_t desc_len;
    uint64_t desc_data;
    uint64_t desc_done;
    uint16_t dispi[VBE_DISPI_INDEX_NB];
    uint16_t reserved[2];
} NvvgpuStateBlob;

size_t nvvgpu_state_size(void)
{
    return sizeof(NvvgpuStateBlob);
}

static uint32_t nvvgpu_state_crc(const NvvgpuStateBlob *b)
{
    size_t skip = offsetof(NvvgpuStateBlob, head.type);

    return crc32c(0xffffffff, (const uint8_t *)b + skip, sizeof(*b) - skip);
}

/*
 * Vectors to raise on the destination: the masked pending ones, and all that
 * have been raised since the last reset.  The VMM may have stopped the guest
 * before delivering the last interrupt of each.
 */
static uint32_t nvvgpu_state_irqs(NvvgpuVgpu *v)
{
    NvvgpuVf *vf = nvvgpu_get_vf(v->gpu, v->index);

    return v->engine.irqs | v->engine.raised |
           (vf ? vf->parent_obj.msix_pba[0] : 0);
}

void nvvgpu_state_save(NvvgpuVgpu *v, uint8_t *buf)
{
    const NvvgpuEngine *e = &v->engine;
    NvvgpuStateBlob b = {
        .head.magic = cpu_to_le32(NVVGPU_STATE_MAGIC),
        .head.version = cpu_to_le16(NVVGPU_STATE_VERSION),
        .head.len = cpu_to_le32(sizeof(b)),
        .head.type = cpu_to_le32(v->type->id),
        .flags = cpu_to_le32((e->run ? NVVGPU_STATE_RUN : 0) |
                             (e->busy ? NVVGPU_STATE_BUSY : 0)),
        .error = cpu_to_le32(e->error),
        .error_index = cpu_to_le32(e->error_index),
        .ring_size = cpu_to_le32(e->ring_size),
        .fault_addr = cpu_to_le64(e->fault_addr),
        .ring_base = cpu_to_le64(e->ring_base),
        .ring_head = cpu_to_le32(e->head),
        .ring_tail = cpu_to_le32(e->tail),
        .error_vector = cpu_to_le32(e->error_vector),
        .guest = cpu_to_le32(e->guest),
        .irqs = cpu_to_le32(nvvgpu_state_irqs(v)),
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(b.scratch); i++) {
        b.scratch[i] = cpu_to_le32(e->scratch[i]);
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(b.dispi); i++) {
        b.dispi[i] = cpu_to_le16(v->dispi[i]);
    }
    if (e->busy) {
        b.desc_op = cpu_to_le32(e->desc.op);
        b.desc_flags = cpu_to_le32(e->desc.flags);
        b.desc_vector = cpu_to_le32(e->desc.vector);
        b.desc_src = cpu_to_le64(e->desc.src);
        b.desc_dst = cpu_to_le64(e->desc.dst);
        b.desc_len = cpu_to_le64(e->desc.len);
        b.desc_data = cpu_to_le64(e->desc.data);
        b.desc_done = cpu_to_le64(e->done);
    }
    b.head.crc = cpu_to_le32(nvvgpu_state_crc(&b));
    memcpy(buf, &b, sizeof(b));
}

static bool nvvgpu_state_head_ok(NvvgpuVgpu *v, const NvvgpuStateHead *h)
{
    return le32_to_cpu(h->magic) == NVVGPU_STATE_MAGIC &&
           le16_to_cpu(h->version) == NVVGPU_STATE_VERSION &&
           !h->reserved &&
           le32_to_cpu(h->len) == sizeof(NvvgpuStateBlob) &&
           le32_to_cpu(h->type) == v->type->id;
}

static bool nvvgpu_state_piece_ok(NvvgpuVgpu *v, const NvvgpuDesc *d)
{
    if (d->op == NVVGPU_EMU_OP_COPY && d->flags & NVVGPU_EMU_DESC_SRC_VRAM &&
        !nvvgpu_vram_check(v, d->src, d->len)) {
        return false;
    }
    if ((d->op == NVVGPU_EMU_OP_COPY || d->op == NVVGPU_EMU_OP_FILL) &&
        d->flags & NVVGPU_EMU_DESC_DST_VRAM &&
        !nvvgpu_vram_check(v, d->dst, d->len)) {
        return false;
    }

    return true;
}

/* Check that an engine can reach this state */
static bool nvvgpu_state_engine_ok(NvvgpuVgpu *v, const NvvgpuEngine *e)
{
    if (e->error >= NVVGPU_EMU_VF_ERR_CRASHED || e->guest > 1 ||
        e->irqs >= BIT(NVVGPU_EMU_VF_VECTORS)) {
        return false;
    }
    if (e->error && (e->run || e->busy)) {
        return false;
    }
    if ((e->run || e->busy) && !nvvgpu_engine_ring_ok(e)) {
        return false;
    }
    if (!e->busy) {
        return true;
    }

    /* Only copies and fills can be in flight between two slices */
    return (e->desc.op == NVVGPU_EMU_OP_COPY ||
            e->desc.op == NVVGPU_EMU_OP_FILL) &&
           !nvvgpu_engine_check(&e->desc) &&
           nvvgpu_state_piece_ok(v, &e->desc) &&
           e->done < e->desc.len && !(e->done % NVVGPU_SLICE);
}

static uint32_t nvvgpu_state_apply(NvvgpuVgpu *v, const NvvgpuStateBlob *b)
{
    NvvgpuEngine e = {
        .run = le32_to_cpu(b->flags) & NVVGPU_STATE_RUN,
        .busy = le32_to_cpu(b->flags) & NVVGPU_STATE_BUSY,
        .error = le32_to_cpu(b->error),
        .error_index = le32_to_cpu(b->error_index),
        .ring_size = le32_to_cpu(b->ring_size),
        .fault_addr = le64_to_cpu(b->fault_addr),
        .ring_base = le64_to_cpu(b->ring_base),
        .head = le32_to_cpu(b->ring_head),
        .tail = le32_to_cpu(b->ring_tail),
        .error_vector = le32_to_cpu(b->error_vector),
        .guest = le32_to_cpu(b->guest),
        .irqs = le32_to_cpu(b->irqs),
        .desc.op = le32_to_cpu(b->desc_op),
        .desc.flags = le32_to_cpu(b->desc_flags),
        .desc.vector = le32_to_cpu(b->desc_vector),
        .desc.src = le64_to_cpu(b->desc_src),
        .desc.dst = le64_to_cpu(b->desc_dst),
        .desc.len = le64_to_cpu(b->desc_len),
        .desc.data = le64_to_cpu(b->desc_data),
        .done = le64_to_cpu(b->desc_done),
        .latched = v->engine.latched,
        .latched_tail = v->engine.latched_tail,
    };
    uint32_t guest = e.guest;
    bool heads = v->type->heads;

    for (unsigned int i = 0; i < ARRAY_SIZE(b->dispi); i++) {
        if (b->dispi[i] && (!heads || i == VBE_DISPI_INDEX_ID)) {
            return NVVGPU_EMU_ERR_DATA;
        }
    }
    if (le32_to_cpu(b->head.crc) != nvvgpu_state_crc(b) ||
        le32_to_cpu(b->flags) & ~NVVGPU_STATE_FLAGS ||
        b->reserved[0] || b->reserved[1] ||
        !nvvgpu_state_engine_ok(v, &e)) {
        return NVVGPU_EMU_ERR_DATA;
    }

    for (unsigned int i = 0; i < ARRAY_SIZE(b->scratch); i++) {
        e.scratch[i] = le32_to_cpu(b->scratch[i]);
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(b->dispi); i++) {
        v->dispi[i] = le16_to_cpu(b->dispi[i]);
    }
    e.guest = v->engine.guest;
    v->epoch++;
    v->deficit = 0;
    v->engine = e;
    nvvgpu_vgpu_set_guest(v, guest);
    nvvgpu_display_update(v);

    return NVVGPU_EMU_OK;
}

void nvvgpu_state_load_abort(NvvgpuVgpu *v)
{
    if (v->load) {
        g_byte_array_unref(v->load);
        v->load = NULL;
    }
}

uint32_t nvvgpu_state_load(NvvgpuVgpu *v, uint64_t offset, const uint8_t *buf,
                           size_t len)
{
    uint32_t status = NVVGPU_EMU_OK;

    /* Chunks must arrive in order; offset 0 restarts the load */
    if (!offset) {
        nvvgpu_state_load_abort(v);
        v->load = g_byte_array_new();
    }
    if (!v->load || offset != v->load->len) {
        return NVVGPU_EMU_ERR_INVALID;
    }

    if (len > sizeof(NvvgpuStateBlob) - offset) {
        status = NVVGPU_EMU_ERR_DATA;
    } else {
        g_byte_array_append(v->load, buf, len);
        if (v->load->len >= sizeof(NvvgpuStateHead) &&
            !nvvgpu_state_head_ok(v, (NvvgpuStateHead *)v->load->data)) {
            status = NVVGPU_EMU_ERR_DATA;
        } else if (v->load->len == sizeof(NvvgpuStateBlob)) {
            status = nvvgpu_state_apply(v, (NvvgpuStateBlob *)v->load->data);
        }
    }
    trace_nvvgpu_state_load(v->index, offset, len, status);
    if (status || (v->load && v->load->len == sizeof(NvvgpuStateBlob))) {
        nvvgpu_state_load_abort(v);
    }

    return status;
}
