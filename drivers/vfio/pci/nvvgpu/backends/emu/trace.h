/* SPDX-License-Identifier: GPL-2.0-only */
/* The messages between nvvgpu-emu and the firmware of the GPU */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM nvvgpu_emu

#if !defined(NVVGPU_EMU_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define NVVGPU_EMU_TRACE_H

#include <linux/device.h>
#include <linux/tracepoint.h>

#include "emu.h"

TRACE_EVENT(nvvgpu_emu_cmd,
	    TP_PROTO(struct device *dev, u32 seq, u16 opcode, u16 vf, u64 arg0,
		     u32 len),
	    TP_ARGS(dev, seq, opcode, vf, arg0, len),
	    TP_STRUCT__entry(__string(dev, dev_name(dev))
			     __string(name, emu_fw_name(opcode))
			     __field(u32, seq)
			     __field(u16, vf)
			     __field(u64, arg0)
			     __field(u32, len)),
	    TP_fast_assign(__assign_str(dev);
			   __assign_str(name);
			   __entry->seq = seq;
			   __entry->vf = vf;
			   __entry->arg0 = arg0;
			   __entry->len = len;),
	    TP_printk("%s seq %#x %s vf %u arg %#llx len %u", __get_str(dev),
		      __entry->seq, __get_str(name), __entry->vf,
		      __entry->arg0, __entry->len)
);

DECLARE_EVENT_CLASS(nvvgpu_emu_answer,
		    TP_PROTO(struct device *dev, u32 seq, u16 opcode, u16 vf,
			     u32 status, u64 res0, u32 len),
		    TP_ARGS(dev, seq, opcode, vf, status, res0, len),
		    TP_STRUCT__entry(__string(dev, dev_name(dev))
				     __string(name, emu_fw_name(opcode))
				     __field(u32, seq)
				     __field(u16, vf)
				     __field(u32, status)
				     __field(u64, res0)
				     __field(u32, len)),
		    TP_fast_assign(__assign_str(dev);
				   __assign_str(name);
				   __entry->seq = seq;
				   __entry->vf = vf;
				   __entry->status = status;
				   __entry->res0 = res0;
				   __entry->len = len;),
		    TP_printk("%s seq %#x %s vf %u status %u res %#llx len %u",
			      __get_str(dev), __entry->seq,
			      __get_str(name), __entry->vf,
			      __entry->status, __entry->res0, __entry->len)
);

DEFINE_EVENT(nvvgpu_emu_answer, nvvgpu_emu_response,
	     TP_PROTO(struct device *dev, u32 seq, u16 opcode, u16 vf,
		      u32 status, u64 res0, u32 len),
	     TP_ARGS(dev, seq, opcode, vf, status, res0, len)
);

/* A response to a command that has timed out */
DEFINE_EVENT(nvvgpu_emu_answer, nvvgpu_emu_late_response,
	     TP_PROTO(struct device *dev, u32 seq, u16 opcode, u16 vf,
		      u32 status, u64 res0, u32 len),
	     TP_ARGS(dev, seq, opcode, vf, status, res0, len)
);

DEFINE_EVENT(nvvgpu_emu_answer, nvvgpu_emu_event,
	     TP_PROTO(struct device *dev, u32 seq, u16 opcode, u16 vf,
		      u32 status, u64 res0, u32 len),
	     TP_ARGS(dev, seq, opcode, vf, status, res0, len)
);

#endif /* NVVGPU_EMU_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
