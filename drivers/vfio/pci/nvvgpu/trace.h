/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM nvvgpu

#if !defined(NVVGPU_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define NVVGPU_TRACE_H

#include <linux/pci.h>
#include <linux/tracepoint.h>

#include "nvvgpu.h"

TRACE_EVENT(nvvgpu_state,
	    TP_PROTO(struct nvvgpu *vgpu, enum nvvgpu_state new_state),
	    TP_ARGS(vgpu, new_state),
	    TP_STRUCT__entry(__string(vf, dev_name(nvvgpu_dev(vgpu)))
			     __string(from, nvvgpu_state_name(vgpu->state))
			     __string(to, nvvgpu_state_name(new_state))
			     __field(u32, type)),
	    TP_fast_assign(__assign_str(vf);
			   __assign_str(from);
			   __assign_str(to);
			   __entry->type = vgpu->type.id;),
	    TP_printk("%s type %u: %s -> %s", __get_str(vf), __entry->type,
		      __get_str(from), __get_str(to))
);

TRACE_EVENT(nvvgpu_op,
	    TP_PROTO(struct nvvgpu *vgpu, const char *op, int ret),
	    TP_ARGS(vgpu, op, ret),
	    TP_STRUCT__entry(__string(vf, dev_name(nvvgpu_dev(vgpu)))
			     __string(op, op)
			     __field(int, ret)),
	    TP_fast_assign(__assign_str(vf);
			   __assign_str(op);
			   __entry->ret = ret;),
	    TP_printk("%s %s: %d", __get_str(vf), __get_str(op), __entry->ret)
);

TRACE_EVENT(nvvgpu_pf_op,
	    TP_PROTO(struct nvvgpu_pf *pf, const char *op, int ret),
	    TP_ARGS(pf, op, ret),
	    TP_STRUCT__entry(__string(pf, pci_name(pf->pdev))
			     __string(op, op)
			     __field(int, ret)),
	    TP_fast_assign(__assign_str(pf);
			   __assign_str(op);
			   __entry->ret = ret;),
	    TP_printk("%s %s: %d", __get_str(pf), __get_str(op), __entry->ret)
);

TRACE_EVENT(nvvgpu_event,
	    TP_PROTO(struct nvvgpu *vgpu, const char *event,
		     const struct nvvgpu_event_info *info),
	    TP_ARGS(vgpu, event, info),
	    TP_STRUCT__entry(__string(vf, dev_name(nvvgpu_dev(vgpu)))
			     __string(event, event)
			     __field(u32, code)
			     __field(u64, address)),
	    TP_fast_assign(__assign_str(vf);
			   __assign_str(event);
			   __entry->code = info->code;
			   __entry->address = info->address;),
	    TP_printk("%s %s code %u address %#llx", __get_str(vf),
		      __get_str(event), __entry->code, __entry->address)
);

#endif /* NVVGPU_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
