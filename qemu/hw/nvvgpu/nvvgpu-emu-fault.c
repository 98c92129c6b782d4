/*
 * nvvgpu-emu: fault injection into the firmware
 *
 *   fault   := "" | rule { ("," | ";") rule }
 *   rule    := command ":" nth ":" action | "now:" now
 *   command := "hello" | "info" | ... | "any"
 *   nth     := number from 1, counted since the property was set | "*"
 *   action  := "fail" [ "=" status ] | "lie=" word | "late=" ms | "slow=" ms |
 *              "hang" | "wedge" | "crash" | "vcrash"
 *   now     := "crash" | "wedge" | "vcrash=" vf | "answer"
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/ctype.h"
#include "qemu/cutils.h"
#include "qapi/error.h"
#include "nvvgpu-emu.h"
#include "trace.h"

#define NVVGPU_FAULT_MS_MAX     (3600 * 1000)

typedef enum NvvgpuFaultArg {
    NVVGPU_FAULT_ARG_NEVER,
    NVVGPU_FAULT_ARG_MAY,
    NVVGPU_FAULT_ARG_MUST,
} NvvgpuFaultArg;

static const struct {
    const char *name;
    NvvgpuFaultAction action;
    NvvgpuFaultArg arg;
    uint64_t arg_min;
    uint64_t arg_max;
    uint64_t arg_default;
} nvvgpu_fault_actions[] = {
    { "fail", NVVGPU_FAULT_FAIL, NVVGPU_FAULT_ARG_MAY, 1, UINT32_MAX,
      NVVGPU_EMU_ERR_INTERNAL },
    { "lie", NVVGPU_FAULT_LIE, NVVGPU_FAULT_ARG_MUST, 0,
      sizeof(struct nvvgpu_emu_msg) / sizeof(uint32_t) - 1 },
    { "late", NVVGPU_FAULT_LATE, NVVGPU_FAULT_ARG_MUST, 1,
      NVVGPU_FAULT_MS_MAX },
    { "slow", NVVGPU_FAULT_SLOW, NVVGPU_FAULT_ARG_MUST, 1,
      NVVGPU_FAULT_MS_MAX },
    { "hang", NVVGPU_FAULT_HANG },
    { "wedge", NVVGPU_FAULT_WEDGE },
    { "crash", NVVGPU_FAULT_CRASH },
    { "vcrash", NVVGPU_FAULT_VCRASH },
};

/* Terminate @str at @separator; returns the rest, NULL without a separator */
static char *nvvgpu_fault_cut(char *str, char separator)
{
    char *end = strchr(str, separator);

    if (end) {
        *end++ = '\0';
    }

    return end;
}

static bool nvvgpu_fault_number(const char *str, uint64_t min, uint64_t max,
                                uint64_t *val)
{
    return qemu_isdigit(*str) && !qemu_strtou64(str, NULL, 0, val) &&
           *val >= min && *val <= max;
}

static bool nvvgpu_fault_parse_action(NvvgpuFault *f, char *action,
                                      Error **errp)
{
    char *arg = nvvgpu_fault_cut(action, '=');

    for (unsigned int i = 0; i < ARRAY_SIZE(nvvgpu_fault_actions); i++) {
        if (strcmp(action, nvvgpu_fault_actions[i].name)) {
            continue;
        }

        f->action = nvvgpu_fault_actions[i].action;
        f->arg = nvvgpu_fault_actions[i].arg_default;
        switch (nvvgpu_fault_actions[i].arg) {
        case NVVGPU_FAULT_ARG_NEVER:
            if (arg) {
                error_setg(errp, "fw-faults: %s: takes no value", action);
                return false;
            }
            return true;
        case NVVGPU_FAULT_ARG_MAY:
            if (!arg) {
                return true;
            }
            break;
        case NVVGPU_FAULT_ARG_MUST:
            break;
        }
        if (!arg || !nvvgpu_fault_number(arg, nvvgpu_fault_actions[i].arg_min,
                                         nvvgpu_fault_actions[i].arg_max,
                                         &f->arg)) {
            error_setg(errp, "fw-faults: %s: expected a number from %" PRIu64
                       " to %" PRIu64 ", not '%s'", action,
                       nvvgpu_fault_actions[i].arg_min,
                       nvvgpu_fault_actions[i].arg_max, arg ?: "");
            return false;
        }
        return true;
    }

    error_setg(errp, "fw-faults: unknown action '%s'", action);
    return false;
}

static bool nvvgpu_fault_parse_rule(NvvgpuFault *f, const char *rule,
                                    Error **errp)
{
    g_autofree char *name = g_strdup(rule);
    char *nth = nvvgpu_fault_cut(name, ':');
    char *action = nth ? nvvgpu_fault_cut(nth, ':') : NULL;

    memset(f, 0, sizeof(*f));
    if (!action) {
        error_setg(errp, "fw-faults: expected <command>:<nth>:<action>, "
                   "not '%s'", rule);
        return false;
    }

    if (strcmp(name, "any")) {
        f->opcode = nvvgpu_cmd_opcode(name);
        if (!f->opcode) {
            error_setg(errp, "fw-faults: unknown command '%s'", name);
            return false;
        }
    }
    if (strcmp(nth, "*") &&
        !nvvgpu_fault_number(nth, 1, UINT32_MAX, &f->nth)) {
        error_setg(errp, "fw-faults: expected '*' or a number from 1, "
                   "not '%s'", nth);
        return false;
    }
    if (!nvvgpu_fault_parse_action(f, action, errp)) {
        return false;
    }
    if (f->action == NVVGPU_FAULT_VCRASH && f->opcode &&
        !nvvgpu_cmd_has_vf(f->opcode)) {
        error_setg(errp, "fw-faults: vcrash: command '%s' does not address a "
                   "vGPU", name);
        return false;
    }

    return true;
}

static bool nvvgpu_fault_parse_now(NvvgpuState *s, NvvgpuFault *f,
                                   const char *what, Error **errp)
{
    const char *vf;

    memset(f, 0, sizeof(*f));
    if (s->fw.status != NVVGPU_EMU_FW_READY &&
        s->fw.status != NVVGPU_EMU_FW_BOOTING) {
        error_setg(errp, "fw-faults: now: the firmware is not running");
        return false;
    }

    if (!strcmp(what, "crash")) {
        f->action = NVVGPU_FAULT_CRASH;
    } else if (!strcmp(what, "wedge")) {
        f->action = NVVGPU_FAULT_WEDGE;
    } else if (!strcmp(what, "answer")) {
        f->action = NVVGPU_FAULT_LATE;
    } else if (strstart(what, "vcrash=", &vf)) {
        f->action = NVVGPU_FAULT_VCRASH;
        if (!nvvgpu_fault_number(vf, 0, s->num_vfs - 1, &f->arg)) {
            error_setg(errp, "fw-faults: invalid VF '%s'", vf);
            return false;
        }
        if (!nvvgpu_vgpu_exists(&s->vgpu[f->arg])) {
            error_setg(errp, "fw-faults: VF %s has no vGPU", vf);
            return false;
        }
    } else {
        error_setg(errp, "fw-faults: now: expected 'crash', 'wedge', "
                   "'vcrash=<vf>' or 'answer', not '%s'", what);
        return false;
    }

    return true;
}

static void nvvgpu_fault_do_now(NvvgpuState *s, const NvvgpuFault *f)
{
    trace_nvvgpu_fault_now(f->action, f->arg);
    switch (f->action) {
    case NVVGPU_FAULT_CRASH:
        nvvgpu_fw_crash(s, "injected fault");
        break;
    case NVVGPU_FAULT_WEDGE:
        nvvgpu_fw_wedge(s);
        break;
    case NVVGPU_FAULT_LATE:
        nvvgpu_fw_answer_now(s);
        break;
    case NVVGPU_FAULT_VCRASH:
        nvvgpu_vgpu_crash(&s->vgpu[f->arg], true);
        break;
    default:
        g_assert_not_reached();
    }
}

/* Replace the rules, unless any part of the string is invalid */
void nvvgpu_fault_set(NvvgpuState *s, const char *str, Error **errp)
{
    g_auto(GStrv) items = g_strsplit_set(str, ",;", -1);
    unsigned int num = g_strv_length(items);
    g_autofree NvvgpuFault *rules = g_new0(NvvgpuFault, num);
    g_autofree NvvgpuFault *now = g_new0(NvvgpuFault, num);
    g_autoptr(GString) kept = g_string_new("");
    unsigned int num_rules = 0;
    unsigned int num_now = 0;

    for (unsigned int i = 0; i < num && *str; i++) {
        const char *item = g_strstrip(items[i]);
        const char *what;

        if (strstart(item, "now:", &what)) {
            if (!nvvgpu_fault_parse_now(s, &now[num_now], what, errp)) {
                return;
            }
            num_now++;
            continue;
        }
        if (!nvvgpu_fault_parse_rule(&rules[num_rules], item, errp)) {
            return;
        }
        num_rules++;
        g_string_append_printf(kept, "%s%s", kept->len ? "," : "", item);
    }

    /* A string with only "now:" items keeps the current rules */
    if (num_rules || !num_now) {
        g_free(s->fw.faults);
        g_free(s->fw.fault_rules);
        s->fw.faults = g_strdup(kept->str);
        s->fw.fault_rules = g_steal_pointer(&rules);
        s->fw.num_fault_rules = num_rules;
    }
    for (unsigned int i = 0; i < num_now; i++) {
        nvvgpu_fault_do_now(s, &now[i]);
    }
}

NvvgpuFaultAction nvvgpu_fault_match(NvvgpuState *s, uint16_t opcode,
                                     uint64_t *arg)
{
    NvvgpuFaultAction action = NVVGPU_FAULT_NONE;

    /* Every matching rule counts the command; the first one due is applied */
    for (unsigned int i = 0; i < s->fw.num_fault_rules; i++) {
        NvvgpuFault *f = &s->fw.fault_rules[i];

        if (f->opcode && f->opcode != opcode) {
            continue;
        }
        f->count++;
        if (f->nth && f->count != f->nth) {
            continue;
        }
        if (action == NVVGPU_FAULT_NONE) {
            trace_nvvgpu_fault_match(opcode, f->count, f->action, f->arg);
            action = f->action;
            *arg = f->arg;
        }
    }

    return action;
}
