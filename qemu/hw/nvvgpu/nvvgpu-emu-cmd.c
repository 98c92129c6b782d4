/*
 * nvvgpu-emu: the firmware's commands
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "qemu/cutils.h"
#include "nvvgpu-emu.h"

/* Maximum number of bytes of VRAM read or written per step of a command */
#define NVVGPU_CMD_STEP         (1 * MiB)

#define NVVGPU_FW_VERSION       (NVVGPU_EMU_FW_MAJOR << 16 | \
                                 NVVGPU_EMU_FW_MINOR)

/* Returned by a handler that needs another call; never sent as a status */
#define NVVGPU_CMD_AGAIN        (~0U)

typedef uint32_t NvvgpuCmdFn(NvvgpuState *s, NvvgpuVgpu *v,
                             const NvvgpuCmd *cmd, NvvgpuMsg *msg);

/* Returns how many of @len bytes of VRAM to zero in one step */
static uint64_t nvvgpu_cmd_zero_step(NvvgpuState *s, uint64_t len)
{
    /* Without discards, each page is read and, if needed, cleared */
    return MIN(len, nvvgpu_vram_can_discard(s) ? NVVGPU_GRANULE :
                                                 NVVGPU_CMD_STEP);
}

/* Scrub the next part of a range of VRAM; returns true after the last one */
static bool nvvgpu_cmd_scrub_next(NvvgpuState *s, uint64_t offset, uint64_t len)
{
    uint64_t n = nvvgpu_cmd_zero_step(s, len - s->fw.done);

    nvvgpu_vram_scrub(s, offset + s->fw.done, n);
    s->fw.done += n;

    return s->fw.done == len;
}

/*
 * The GPU
 */

static uint32_t nvvgpu_cmd_hello(NvvgpuState *s, NvvgpuVgpu *v,
                                 const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    msg->res[0] = NVVGPU_FW_VERSION;
    if (cmd->arg[0] >> 16 != NVVGPU_EMU_FW_MAJOR) {
        return NVVGPU_EMU_ERR_VERSION;
    }
    s->fw.hello = true;

    return NVVGPU_EMU_OK;
}

static uint32_t nvvgpu_cmd_info(NvvgpuState *s, NvvgpuVgpu *v,
                                const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    msg->res[0] = s->vram_size;
    msg->res[1] = NVVGPU_GRANULE;
    msg->res[2] = s->num_granules;
    msg->res[3] = s->num_vfs;
    msg->res[4] = s->num_types;

    return NVVGPU_EMU_OK;
}

static uint32_t nvvgpu_cmd_types(NvvgpuState *s, NvvgpuVgpu *v,
                                 const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    struct nvvgpu_emu_type raw;
    uint32_t status = NVVGPU_EMU_OK;

    msg->res[0] = s->num_types;
    for (unsigned int i = 0; i < s->num_types && !status &&
         cmd->len - msg->len >= sizeof(raw); i++) {
        const NvvgpuType *type = &s->types[i];

        raw = type->raw;
        raw.max_instances = cpu_to_le32(nvvgpu_vram_instances(s, type));
        raw.available = cpu_to_le32(nvvgpu_vram_available(s, type));
        status = nvvgpu_fw_write(s, msg->len, &raw, sizeof(raw));
        msg->len += sizeof(raw);
    }

    return status;
}

static uint32_t nvvgpu_cmd_available(NvvgpuState *s, NvvgpuVgpu *v,
                                     const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    const NvvgpuType *type = nvvgpu_type_find(s, cmd->arg[0]);

    if (!type) {
        return NVVGPU_EMU_ERR_NOT_FOUND;
    }
    msg->res[0] = nvvgpu_vram_available(s, type);

    return NVVGPU_EMU_OK;
}

/*
 * Life cycle of a vGPU
 */

static uint32_t nvvgpu_cmd_create(NvvgpuState *s, NvvgpuVgpu *v,
                                  const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    const NvvgpuType *type = nvvgpu_type_find(s, cmd->arg[0]);
    unsigned int placement;
    uint32_t status;

    if (!type) {
        return NVVGPU_EMU_ERR_NOT_FOUND;
    }
    if (nvvgpu_vgpu_exists(v)) {
        return NVVGPU_EMU_ERR_STATE;
    }

    /* Each step finds the same placement, because only commands take one */
    status = nvvgpu_vram_find(s, type, cmd->arg[1], &placement);
    if (status) {
        return status;
    }
    /* Free VRAM may have been written through the PF's aperture */
    if (!nvvgpu_cmd_scrub_next(s, placement * NVVGPU_GRANULE, type->fb_bytes)) {
        return NVVGPU_CMD_AGAIN;
    }
    nvvgpu_vgpu_create(v, type, placement);
    msg->res[0] = v->placement;
    msg->res[1] = v->fb_offset;

    return NVVGPU_EMU_OK;
}

static uint32_t nvvgpu_cmd_delete(NvvgpuState *s, NvvgpuVgpu *v,
                                  const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    /* From the second step on, only the placement is left */
    if (!v->type) {
        return NVVGPU_EMU_ERR_NOT_FOUND;
    }
    nvvgpu_vgpu_delete(v);
    if (!nvvgpu_cmd_scrub_next(s, v->fb_offset, v->type->fb_bytes)) {
        return NVVGPU_CMD_AGAIN;
    }
    nvvgpu_vram_free(v);

    return NVVGPU_EMU_OK;
}

static uint32_t nvvgpu_cmd_start(NvvgpuState *s, NvvgpuVgpu *v,
                                 const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    g_autofree char *params = NULL;
    uint32_t status;

    if (v->state != NVVGPU_CREATED) {
        return NVVGPU_EMU_ERR_STATE;
    }
    if (cmd->len > NVVGPU_PARAMS_MAX) {
        return NVVGPU_EMU_ERR_INVALID;
    }

    params = g_malloc0(cmd->len + 1);
    status = nvvgpu_fw_read(s, 0, params, cmd->len);
    if (status) {
        return status;
    }
    for (const char *p = params; *p; p++) {
        if (*p < ' ' || *p > '~') {
            return NVVGPU_EMU_ERR_INVALID;
        }
    }
    nvvgpu_vgpu_start(v, g_steal_pointer(&params));

    return NVVGPU_EMU_OK;
}

static uint32_t nvvgpu_cmd_stats(NvvgpuState *s, NvvgpuVgpu *v,
                                 const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    struct nvvgpu_emu_stats raw = {
        .descriptors = cpu_to_le64(v->stats.descriptors),
        .bytes = cpu_to_le64(v->stats.bytes),
        .dma_read_bytes = cpu_to_le64(v->stats.dma_read_bytes),
        .dma_write_bytes = cpu_to_le64(v->stats.dma_write_bytes),
        .interrupts = cpu_to_le64(v->stats.interrupts),
        .errors = cpu_to_le64(v->stats.errors),
        .dma_faults = cpu_to_le64(v->stats.dma_faults),
        .resets = cpu_to_le64(v->stats.resets),
        .busy_ns = cpu_to_le64(v->stats.busy_ns),
    };

    if (cmd->len < NVVGPU_EMU_STATS_1_0) {
        return NVVGPU_EMU_ERR_INVALID;
    }
    /* The buffer of an older driver has no room for what was added later */
    msg->len = cmd->len < sizeof(raw) ? NVVGPU_EMU_STATS_1_0 : sizeof(raw);

    return nvvgpu_fw_write(s, 0, &raw, msg->len);
}

static uint32_t nvvgpu_cmd_stop(NvvgpuState *s, NvvgpuVgpu *v,
                                const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    uint32_t status;

    if (v->state != NVVGPU_STARTED) {
        return NVVGPU_EMU_ERR_STATE;
    }
    if (cmd->len) {
        status = nvvgpu_cmd_stats(s, v, cmd, msg);
        if (status) {
            return status;
        }
    }
    nvvgpu_vgpu_stop(v);

    return NVVGPU_EMU_OK;
}

static uint32_t nvvgpu_cmd_reset(NvvgpuState *s, NvvgpuVgpu *v,
                                 const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    nvvgpu_vgpu_reset(v);

    return NVVGPU_EMU_OK;
}

static uint32_t nvvgpu_cmd_scrub(NvvgpuState *s, NvvgpuVgpu *v,
                                 const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    if (v->state == NVVGPU_STARTED) {
        return NVVGPU_EMU_ERR_BUSY;
    }

    return nvvgpu_cmd_scrub_next(s, v->fb_offset, v->type->fb_bytes) ?
           NVVGPU_EMU_OK : NVVGPU_CMD_AGAIN;
}

/*
 * Migration
 */

static uint32_t nvvgpu_cmd_suspend(NvvgpuState *s, NvvgpuVgpu *v,
                                   const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    if (cmd->arg[0] != NVVGPU_EMU_SUSPEND_P2P &&
        cmd->arg[0] != NVVGPU_EMU_SUSPEND_ALL) {
        return NVVGPU_EMU_ERR_INVALID;
    }
    if (v->state != NVVGPU_STARTED) {
        return NVVGPU_EMU_ERR_STATE;
    }
    nvvgpu_vgpu_suspend(v, cmd->arg[0]);

    return NVVGPU_EMU_OK;
}

static uint32_t nvvgpu_cmd_resume(NvvgpuState *s, NvvgpuVgpu *v,
                                  const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    if (v->state != NVVGPU_STARTED) {
        return NVVGPU_EMU_ERR_STATE;
    }
    nvvgpu_vgpu_resume(v);

    return NVVGPU_EMU_OK;
}

static uint32_t nvvgpu_cmd_state_size(NvvgpuState *s, NvvgpuVgpu *v,
                                      const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    msg->res[0] = nvvgpu_state_size();
    msg->res[1] = v->type->fb_bytes;

    return NVVGPU_EMU_OK;
}

static uint32_t nvvgpu_cmd_save_regs(NvvgpuState *s, NvvgpuVgpu *v,
                                     const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    uint64_t size = nvvgpu_state_size();
    uint64_t off = cmd->arg[1];
    uint64_t len;

    if (v->state != NVVGPU_STARTED ||
        v->suspended != NVVGPU_EMU_SUSPEND_ALL) {
        return NVVGPU_EMU_ERR_STATE;
    }
    if (off > size) {
        return NVVGPU_EMU_ERR_INVALID;
    }

    len = MIN(size - off, cmd->len);
    nvvgpu_state_save(v, s->fw_buf);
    msg->len = len;

    return nvvgpu_fw_write(s, 0, s->fw_buf + off, len);
}

/*
 * Save one run of VRAM pages that are either all zero or all non-zero.  A
 * non-zero run is written to the buffer; of a zero run only the length is
 * reported in res[0], and msg->len stays 0.
 */
static uint32_t nvvgpu_cmd_save_vram(NvvgpuState *s, NvvgpuVgpu *v,
                                     const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    uint64_t off = cmd->arg[1];
    uint64_t left = NVVGPU_CMD_STEP;
    uint64_t limit, n;
    uint32_t status;
    bool zero;

    if (off > v->type->fb_bytes) {
        return NVVGPU_EMU_ERR_INVALID;
    }

    for (;;) {
        limit = msg->len ? cmd->len : MAX(cmd->arg[2], cmd->len);
        limit = MIN(limit, v->type->fb_bytes - off);
        if (s->fw.done >= limit) {
            return NVVGPU_EMU_OK;
        }
        if (!left) {
            return NVVGPU_CMD_AGAIN;
        }

        n = MIN(limit - s->fw.done, NVVGPU_EMU_VRAM_PAGE);
        zero = buffer_is_zero(nvvgpu_vram_at(v, off + s->fw.done), n);
        if (s->fw.done && zero == !!msg->len) {
            return NVVGPU_EMU_OK;
        }
        if (!zero) {
            n = MIN(n, cmd->len - s->fw.done);
            if (!n) {
                return NVVGPU_EMU_OK;
            }
            status = nvvgpu_fw_write(s, s->fw.done,
                                     nvvgpu_vram_at(v, off + s->fw.done), n);
            if (status) {
                return status;
            }
            msg->len += n;
        }
        s->fw.done += n;
        msg->res[0] = s->fw.done;
        left -= MIN(left, n);
    }
}

static uint32_t nvvgpu_cmd_save(NvvgpuState *s, NvvgpuVgpu *v,
                                const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    switch (cmd->arg[0]) {
    case NVVGPU_EMU_STATE_REGS:
        return nvvgpu_cmd_save_regs(s, v, cmd, msg);
    case NVVGPU_EMU_STATE_VRAM:
        return nvvgpu_cmd_save_vram(s, v, cmd, msg);
    default:
        return NVVGPU_EMU_ERR_INVALID;
    }
}

static uint32_t nvvgpu_cmd_load_regs(NvvgpuState *s, NvvgpuVgpu *v,
                                     const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    uint32_t status;

    if (v->state != NVVGPU_STARTED ||
        v->suspended != NVVGPU_EMU_SUSPEND_ALL) {
        return NVVGPU_EMU_ERR_STATE;
    }
    if (!cmd->len || cmd->arg[1] > nvvgpu_state_size()) {
        return NVVGPU_EMU_ERR_INVALID;
    }
    if (cmd->len > nvvgpu_state_size() - cmd->arg[1]) {
        return NVVGPU_EMU_ERR_DATA;
    }

    status = nvvgpu_fw_read(s, 0, s->fw_buf, cmd->len);
    if (status) {
        return status;
    }

    return nvvgpu_state_load(v, cmd->arg[1], s->fw_buf, cmd->len);
}

/* Zero a range of VRAM; whole pages are returned to the host */
static void nvvgpu_cmd_zero_vram(NvvgpuVgpu *v, uint64_t off, uint64_t len)
{
    uint64_t first = QEMU_ALIGN_UP(off, NVVGPU_EMU_VRAM_PAGE);
    uint64_t last = QEMU_ALIGN_DOWN(off + len, NVVGPU_EMU_VRAM_PAGE);

    if (first < last) {
        memset(nvvgpu_vram_at(v, off), 0, first - off);
        memset(nvvgpu_vram_at(v, last), 0, off + len - last);
        nvvgpu_vram_scrub(v->gpu, v->fb_offset + first, last - first);
    } else {
        memset(nvvgpu_vram_at(v, off), 0, len);
    }
    nvvgpu_vram_written(v, off, len);
}

static uint32_t nvvgpu_cmd_load_vram(NvvgpuState *s, NvvgpuVgpu *v,
                                     const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    uint64_t len = cmd->len ? cmd->len : cmd->arg[2];
    uint64_t off = cmd->arg[1];
    uint64_t n;
    uint32_t status;

    if (!len || !nvvgpu_vram_check(v, off, len)) {
        return NVVGPU_EMU_ERR_INVALID;
    }

    off += s->fw.done;
    n = len - s->fw.done;
    if (cmd->len) {
        n = MIN(n, NVVGPU_CMD_STEP);
        status = nvvgpu_fw_read(s, s->fw.done, nvvgpu_vram_at(v, off), n);
        nvvgpu_vram_written(v, off, n);
        if (status) {
            return status;
        }
    } else {
        n = nvvgpu_cmd_zero_step(s, n);
        nvvgpu_cmd_zero_vram(v, off, n);
    }
    s->fw.done += n;

    return s->fw.done < len ? NVVGPU_CMD_AGAIN : NVVGPU_EMU_OK;
}

static uint32_t nvvgpu_cmd_load(NvvgpuState *s, NvvgpuVgpu *v,
                                const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    switch (cmd->arg[0]) {
    case NVVGPU_EMU_STATE_REGS:
        return nvvgpu_cmd_load_regs(s, v, cmd, msg);
    case NVVGPU_EMU_STATE_VRAM:
        return nvvgpu_cmd_load_vram(s, v, cmd, msg);
    default:
        return NVVGPU_EMU_ERR_INVALID;
    }
}

/*
 * Dirty logs
 */

static uint32_t nvvgpu_cmd_dirty_start(NvvgpuState *s, NvvgpuVgpu *v,
                                       const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    struct nvvgpu_emu_range ranges[NVVGPU_EMU_DIRTY_RANGES_MAX];
    uint32_t status;

    switch (cmd->arg[0]) {
    case NVVGPU_EMU_DIRTY_VRAM:
        if (v->vram_log.on) {
            return NVVGPU_EMU_ERR_STATE;
        }
        nvvgpu_vram_log_start(v);
        return NVVGPU_EMU_OK;
    case NVVGPU_EMU_DIRTY_DMA:
        if (v->dma_log.on) {
            return NVVGPU_EMU_ERR_STATE;
        }
        if (cmd->len > sizeof(ranges) || cmd->len % sizeof(ranges[0])) {
            return NVVGPU_EMU_ERR_INVALID;
        }
        status = nvvgpu_fw_read(s, 0, ranges, cmd->len);
        if (status) {
            return status;
        }
        status = nvvgpu_dma_log_start(v, ranges, cmd->len / sizeof(ranges[0]),
                                      cmd->arg[1]);
        if (!status) {
            msg->res[0] = BIT_ULL(v->dma_log.shift);
        }
        return status;
    default:
        return NVVGPU_EMU_ERR_INVALID;
    }
}

static uint32_t nvvgpu_cmd_dirty_stop(NvvgpuState *s, NvvgpuVgpu *v,
                                      const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    switch (cmd->arg[0]) {
    case NVVGPU_EMU_DIRTY_VRAM:
        if (!v->vram_log.on) {
            return NVVGPU_EMU_ERR_STATE;
        }
        nvvgpu_vram_log_stop(v);
        return NVVGPU_EMU_OK;
    case NVVGPU_EMU_DIRTY_DMA:
        if (!v->dma_log.on) {
            return NVVGPU_EMU_ERR_STATE;
        }
        nvvgpu_dma_log_stop(v);
        return NVVGPU_EMU_OK;
    default:
        return NVVGPU_EMU_ERR_INVALID;
    }
}

/* Read up to NVVGPU_SLICE bytes of the bitmap, starting at byte fw.done */
static uint32_t nvvgpu_cmd_dirty_slice(NvvgpuState *s, NvvgpuVgpu *v,
                                       const NvvgpuCmd *cmd, NvvgpuMsg *msg,
                                       unsigned int shift)
{
    bool vram = cmd->arg[0] == NVVGPU_EMU_DIRTY_VRAM;
    uint64_t first = cmd->arg[1] >> shift;
    uint64_t pages = ((cmd->arg[1] + cmd->arg[2] - 1) >> shift) - first + 1;
    uint64_t bytes = DIV_ROUND_UP(pages, 8);
    uint64_t n = MIN(bytes - s->fw.done, NVVGPU_SLICE);
    uint32_t epoch = s->fw.epoch;
    uint32_t status;

    if (cmd->len < bytes) {
        return NVVGPU_EMU_ERR_INVALID;
    }

    first += s->fw.done * 8;
    pages = MIN(pages - s->fw.done * 8, n * 8);
    if (vram) {
        msg->res[0] += nvvgpu_vram_log_read(v, first, pages, s->fw_buf);
        /* A vCPU may have reset the firmware, which drops the command. */
        if (s->fw.epoch != epoch) {
            return NVVGPU_EMU_ERR_INTERNAL;
        }
    } else {
        msg->res[0] += nvvgpu_dma_log_read(v, first, pages, s->fw_buf);
    }

    status = nvvgpu_fw_write(s, s->fw.done, s->fw_buf, n);
    if (status) {
        /* The host did not receive these bits, so mark them dirty again */
        if (vram && v->vram_log.on) {
            bitmap_set(v->vram_log.bitmap, first, pages);
        } else if (!vram) {
            nvvgpu_dma_log_mark(v, first << shift, pages << shift);
        }
        return status;
    }
    s->fw.done += n;
    msg->len = s->fw.done;

    return s->fw.done < bytes ? NVVGPU_CMD_AGAIN : NVVGPU_EMU_OK;
}

static uint32_t nvvgpu_cmd_dirty_read(NvvgpuState *s, NvvgpuVgpu *v,
                                      const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    uint64_t off = cmd->arg[1];
    uint64_t len = cmd->arg[2];

    switch (cmd->arg[0]) {
    case NVVGPU_EMU_DIRTY_VRAM:
        if (!v->vram_log.on) {
            return NVVGPU_EMU_ERR_STATE;
        }
        if (!len || off % NVVGPU_EMU_VRAM_PAGE ||
            !nvvgpu_vram_check(v, off, len)) {
            return NVVGPU_EMU_ERR_INVALID;
        }
        return nvvgpu_cmd_dirty_slice(s, v, cmd, msg,
                                      ctz32(NVVGPU_EMU_VRAM_PAGE));
    case NVVGPU_EMU_DIRTY_DMA:
        if (!v->dma_log.on) {
            return NVVGPU_EMU_ERR_STATE;
        }
        if (!len || off % BIT_ULL(v->dma_log.shift) ||
            len - 1 > UINT64_MAX - off) {
            return NVVGPU_EMU_ERR_INVALID;
        }
        return nvvgpu_cmd_dirty_slice(s, v, cmd, msg, v->dma_log.shift);
    default:
        return NVVGPU_EMU_ERR_INVALID;
    }
}

/*
 * Information about a vGPU
 */

static uint32_t nvvgpu_cmd_used(NvvgpuState *s, NvvgpuVgpu *v,
                                const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    const uint64_t step = NVVGPU_CMD_STEP / NVVGPU_EMU_VRAM_PAGE / 8;
    uint64_t off = cmd->arg[1];
    uint64_t pages = DIV_ROUND_UP(cmd->arg[2], NVVGPU_EMU_VRAM_PAGE);
    uint64_t bytes = DIV_ROUND_UP(pages, 8);
    uint64_t first = s->fw.done * 8;
    uint64_t n;
    uint32_t status;

    if (!pages || off % NVVGPU_EMU_VRAM_PAGE ||
        !nvvgpu_vram_check(v, off, cmd->arg[2]) ||
        (cmd->len && cmd->len < bytes)) {
        return NVVGPU_EMU_ERR_INVALID;
    }

    n = MIN(bytes - s->fw.done, step);
    memset(s->fw_buf, 0, n);
    for (uint64_t i = 0; i < n * 8 && first + i < pages; i++) {
        uint64_t at = off + (first + i) * NVVGPU_EMU_VRAM_PAGE;

        if (!buffer_is_zero(nvvgpu_vram_at(v, at), NVVGPU_EMU_VRAM_PAGE)) {
            s->fw_buf[i / 8] |= 1 << (i % 8);
            msg->res[0]++;
        }
    }
    if (cmd->len) {
        status = nvvgpu_fw_write(s, s->fw.done, s->fw_buf, n);
        if (status) {
            return status;
        }
        msg->len += n;
    }
    s->fw.done += n;

    return s->fw.done < bytes ? NVVGPU_CMD_AGAIN : NVVGPU_EMU_OK;
}

static uint32_t nvvgpu_cmd_display(NvvgpuState *s, NvvgpuVgpu *v,
                                   const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    struct nvvgpu_emu_plane raw = {
        .enabled = cpu_to_le32(v->plane.enabled),
        .width = cpu_to_le32(v->plane.width),
        .height = cpu_to_le32(v->plane.height),
        .stride = cpu_to_le32(v->plane.stride),
        .bpp = cpu_to_le32(v->plane.bpp),
        .offset = cpu_to_le64(v->plane.offset),
    };
    uint32_t status;

    if (!v->type->heads) {
        return NVVGPU_EMU_ERR_UNSUPPORTED;
    }
    if (cmd->len < sizeof(raw) + sizeof(v->edid)) {
        return NVVGPU_EMU_ERR_INVALID;
    }
    msg->len = sizeof(raw) + sizeof(v->edid);

    status = nvvgpu_fw_write(s, 0, &raw, sizeof(raw));
    if (status) {
        return status;
    }

    return nvvgpu_fw_write(s, sizeof(raw), v->edid, sizeof(v->edid));
}

static uint32_t nvvgpu_cmd_set_edid(NvvgpuState *s, NvvgpuVgpu *v,
                                    const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    uint8_t edid[NVVGPU_EMU_EDID_SIZE] = {};
    uint32_t status;

    if (!v->type->heads) {
        return NVVGPU_EMU_ERR_UNSUPPORTED;
    }
    if (v->state != NVVGPU_STARTED) {
        return NVVGPU_EMU_ERR_STATE;
    }
    if (cmd->len > sizeof(edid) || cmd->len % 128) {
        return NVVGPU_EMU_ERR_INVALID;
    }
    status = nvvgpu_fw_read(s, 0, edid, cmd->len);
    if (!status) {
        memcpy(v->edid, edid, sizeof(edid));
    }

    return status;
}

/*
 * Dispatch
 */

#define NVVGPU_CMD_VF       0x1     /* addresses a VF */
#define NVVGPU_CMD_VGPU     0x2     /* the VF must have a vGPU */
#define NVVGPU_CMD_CRASHED  0x4     /* the vGPU may have crashed */

static const struct {
    const char *name;
    NvvgpuCmdFn *fn;
    unsigned int flags;
} nvvgpu_cmds[] = {
#define CMD(opcode, name, flags) \
    [NVVGPU_EMU_CMD_##opcode] = { #name, nvvgpu_cmd_##name, flags }
#define VGPU    (NVVGPU_CMD_VF | NVVGPU_CMD_VGPU)
    CMD(HELLO, hello, 0),
    CMD(INFO, info, 0),
    CMD(TYPES, types, 0),
    CMD(AVAILABLE, available, 0),
    CMD(CREATE, create, NVVGPU_CMD_VF),
    CMD(DELETE, delete, NVVGPU_CMD_VF),
    CMD(START, start, VGPU),
    CMD(STOP, stop, VGPU),
    CMD(RESET, reset, VGPU),
    CMD(SUSPEND, suspend, VGPU),
    CMD(RESUME, resume, VGPU),
    CMD(STATE_SIZE, state_size, VGPU),
    CMD(SAVE, save, VGPU),
    CMD(LOAD, load, VGPU),
    CMD(DIRTY_START, dirty_start, VGPU),
    CMD(DIRTY_STOP, dirty_stop, VGPU | NVVGPU_CMD_CRASHED),
    CMD(DIRTY_READ, dirty_read, VGPU),
    CMD(SCRUB, scrub, VGPU),
    CMD(STATS, stats, VGPU | NVVGPU_CMD_CRASHED),
    CMD(DISPLAY, display, VGPU),
    CMD(USED, used, VGPU),
    CMD(SET_EDID, set_edid, VGPU),
#undef VGPU
#undef CMD
};

QEMU_BUILD_BUG_ON(ARRAY_SIZE(nvvgpu_cmds) != NVVGPU_EMU_CMD_LAST + 1);

const char *nvvgpu_cmd_name(uint16_t opcode)
{
    return opcode < ARRAY_SIZE(nvvgpu_cmds) ? nvvgpu_cmds[opcode].name : NULL;
}

uint16_t nvvgpu_cmd_opcode(const char *dashed)
{
    g_autofree char *name = g_strdelimit(g_strdup(dashed), "-", '_');

    for (unsigned int i = 0; i < ARRAY_SIZE(nvvgpu_cmds); i++) {
        if (nvvgpu_cmds[i].name && !strcmp(nvvgpu_cmds[i].name, name)) {
            return i;
        }
    }

    return 0;
}

bool nvvgpu_cmd_has_vf(uint16_t opcode)
{
    return opcode < ARRAY_SIZE(nvvgpu_cmds) &&
           nvvgpu_cmds[opcode].flags & NVVGPU_CMD_VF;
}

static uint32_t nvvgpu_cmd_run(NvvgpuState *s, const NvvgpuCmd *cmd,
                               NvvgpuMsg *msg)
{
    NvvgpuVgpu *v = NULL;
    unsigned int flags;

    if (!nvvgpu_cmd_name(cmd->opcode)) {
        return NVVGPU_EMU_ERR_UNSUPPORTED;
    }
    if (!cmd->seq || cmd->flags ||
        (cmd->len && cmd->len - 1 > UINT64_MAX - cmd->addr)) {
        return NVVGPU_EMU_ERR_INVALID;
    }
    if (!s->fw.hello && cmd->opcode != NVVGPU_EMU_CMD_HELLO) {
        return NVVGPU_EMU_ERR_STATE;
    }

    flags = nvvgpu_cmds[cmd->opcode].flags;
    if (flags & NVVGPU_CMD_VF) {
        if (cmd->vf >= s->num_vfs) {
            return NVVGPU_EMU_ERR_INVALID;
        }
        v = &s->vgpu[cmd->vf];
        if (flags & NVVGPU_CMD_VGPU) {
            if (!nvvgpu_vgpu_exists(v)) {
                return NVVGPU_EMU_ERR_NOT_FOUND;
            }
            if (v->state == NVVGPU_CRASHED && !(flags & NVVGPU_CMD_CRASHED)) {
                return NVVGPU_EMU_ERR_STATE;
            }
        }
    }

    return nvvgpu_cmds[cmd->opcode].fn(s, v, cmd, msg);
}

bool nvvgpu_cmd_exec(NvvgpuState *s, const NvvgpuCmd *cmd, NvvgpuMsg *msg)
{
    uint32_t status = nvvgpu_cmd_run(s, cmd, msg);

    if (status == NVVGPU_CMD_AGAIN) {
        return false;
    }

    msg->status = status;
    if (status) {
        msg->len = 0;
    }
    return true;
}
