/*
 * nvvgpu-emu: the life cycle of a vGPU
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "nvvgpu-emu.h"
#include "trace.h"

void nvvgpu_vgpu_create(NvvgpuVgpu *v, const NvvgpuType *type,
                        unsigned int placement)
{
    nvvgpu_vram_take(v, type, placement);
    v->epoch++;
    v->suspended = 0;
    v->deficit = 0;
    memset(&v->engine, 0, sizeof(v->engine));
    memset(&v->stats, 0, sizeof(v->stats));
    memset(v->pending, 0, sizeof(v->pending));
    v->engine.error_vector = ~0U;
    nvvgpu_display_init(v);
    v->state = NVVGPU_CREATED;
    nvvgpu_vf_update(v);

    trace_nvvgpu_vgpu_create(v->index, type->id, v->placement);
}

void nvvgpu_vgpu_delete(NvvgpuVgpu *v)
{
    if (!nvvgpu_vgpu_exists(v)) {
        return;
    }

    trace_nvvgpu_vgpu_delete(v->index);
    v->epoch++;
    v->state = NVVGPU_NONE;
    v->suspended = 0;
    nvvgpu_vf_update(v);
    nvvgpu_vf_clear_irqs(v);

    nvvgpu_dma_log_stop(v);
    nvvgpu_vram_log_stop(v);
    nvvgpu_state_load_abort(v);

    /* Do not leak state to the next vGPU on this VF */
    memset(&v->engine, 0, sizeof(v->engine));
    memset(v->dispi, 0, sizeof(v->dispi));
    memset(&v->plane, 0, sizeof(v->plane));
    memset(v->pending, 0, sizeof(v->pending));
    g_clear_pointer(&v->params, g_free);
}

void nvvgpu_vgpu_start(NvvgpuVgpu *v, char *params)
{
    trace_nvvgpu_vgpu_start(v->index, params ?: "");
    g_free(v->params);
    v->params = params;
    v->state = NVVGPU_STARTED;
    v->suspended = 0;
    nvvgpu_display_default_edid(v);
}

void nvvgpu_vgpu_stop(NvvgpuVgpu *v)
{
    trace_nvvgpu_vgpu_stop(v->index);
    v->state = NVVGPU_CREATED;
    v->suspended = 0;
    g_clear_pointer(&v->params, g_free);
    nvvgpu_state_load_abort(v);
    nvvgpu_vf_clear_irqs(v);
    nvvgpu_display_reset(v);
    nvvgpu_engine_reset(v);
}

void nvvgpu_vgpu_reset(NvvgpuVgpu *v)
{
    if (!nvvgpu_vgpu_exists(v)) {
        return;
    }

    trace_nvvgpu_vgpu_reset(v->index);
    v->stats.resets++;
    v->suspended = 0;
    nvvgpu_state_load_abort(v);
    nvvgpu_vf_clear_irqs(v);
    nvvgpu_display_reset(v);
    nvvgpu_engine_reset(v);
}

void nvvgpu_vgpu_suspend(NvvgpuVgpu *v, uint32_t level)
{
    /* Slices do not overlap commands, so no DMA is in flight here */
    trace_nvvgpu_vgpu_suspend(v->index, level);
    if (level != NVVGPU_EMU_SUSPEND_ALL && v->engine.latched) {
        v->suspended = level;
        v->engine.latched = false;
        nvvgpu_engine_doorbell(v, v->engine.latched_tail);
        return;
    }
    v->suspended = level;
}

void nvvgpu_vgpu_resume(NvvgpuVgpu *v)
{
    uint32_t irqs = v->engine.irqs;
    uint32_t epoch = v->epoch;

    trace_nvvgpu_vgpu_resume(v->index);
    v->suspended = 0;
    v->engine.irqs = 0;
    nvvgpu_state_load_abort(v);
    for (uint32_t i = 0; i < NVVGPU_EMU_VF_VECTORS; i++) {
        if ((irqs & BIT(i)) && v->epoch == epoch) {
            nvvgpu_vf_notify(v, i);
        }
    }
    if (v->engine.latched) {
        v->engine.latched = false;
        nvvgpu_engine_doorbell(v, v->engine.latched_tail);
    }
    nvvgpu_engine_kick(v->gpu);
}

void nvvgpu_vgpu_crash(NvvgpuVgpu *v, bool event)
{
    if (!nvvgpu_vgpu_exists(v) || v->state == NVVGPU_CRASHED) {
        return;
    }

    trace_nvvgpu_vgpu_crash(v->index);
    v->state = NVVGPU_CRASHED;
    v->suspended = 0;
    if (event) {
        nvvgpu_fw_event(v, NVVGPU_PENDING_CRASHED, NVVGPU_EMU_EVENT_CRASHED,
                        NVVGPU_EMU_VF_ERR_CRASHED, 0);
    }
    nvvgpu_engine_halt(v, NVVGPU_EMU_VF_ERR_CRASHED, 0);
}

void nvvgpu_vgpu_set_guest(NvvgpuVgpu *v, uint32_t guest)
{
    if (guest > 1) {
        qemu_log_mask(LOG_GUEST_ERROR,
                      "nvvgpu-emu: VF %u: invalid GUEST value 0x%x\n",
                      v->index, guest);
        return;
    }
    if (v->engine.guest == guest) {
        return;
    }

    v->engine.guest = guest;
    nvvgpu_fw_event(v, NVVGPU_PENDING_GUEST,
                    guest ? NVVGPU_EMU_EVENT_GUEST_UP :
                            NVVGPU_EMU_EVENT_GUEST_DOWN, 0, 0);
}
