/* SPDX-License-Identifier: GPL-2.0-only */
/* All that is said between nvvgpu-emu and the GPU's firmware. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM nvvgpu_emu

#if !defined(NVVGPU_EMU_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define NVVGPU_EMU_TRACE_H

#include <linux/device.h>
#include <linux/tracepoint.h>

#include <uapi/linux/nvvgpu_emu.h>

#define emu_show_opcode(opcode)					\
	__print_symbolic(opcode,				\
		{ NVVGPU_EMU_CMD_HELLO, "HELLO" },		\
		{ NVVGPU_EMU_CMD_INFO, "INFO" },		\
		{ NVVGPU_EMU_CMD_TYPES, "TYPES" },		\
		{ NVVGPU_EMU_CMD_AVAILABLE, "AVAILABLE" },	\
		{ NVVGPU_EMU_CMD_CREATE, "CREATE" },		\
		{ NVVGPU_EMU_CMD_DELETE, "DELETE" },		\
		{ NVVGPU_EMU_CMD_START, "START" },		\
		{ NVVGPU_EMU_CMD_STOP, "STOP" },		\
		{ NVVGPU_EMU_CMD_RESET, "RESET" },		\
		{ NVVGPU_EMU_CMD_SUSPEND, "SUSPEND" },		\
		{ NVVGPU_EMU_CMD_RESUME, "RESUME" },		\
		{ NVVGPU_EMU_CMD_STATE_SIZE, "STATE_SIZE" },	\
		{ NVVGPU_EMU_CMD_SAVE, "SAVE" },		\
		{ NVVGPU_EMU_CMD_LOAD, "LOAD" },		\
		{ NVVGPU_EMU_CMD_DIRTY_START, "DIRTY_START" },	\
		{ NVVGPU_EMU_CMD_DIRTY_STOP, "DIRTY_STOP" },	\
		{ NVVGPU_EMU_CMD_DIRTY_READ, "DIRTY_READ" },	\
		{ NVVGPU_EMU_CMD_SCRUB, "SCRUB" },		\
		{ NVVGPU_EMU_CMD_STATS, "STATS" },		\
		{ NVVGPU_EMU_CMD_DISPLAY, "DISPLAY" },		\
		{ NVVGPU_EMU_CMD_USED, "USED" },		\
		{ NVVGPU_EMU_EVENT_CRASHED, "CRASHED" },	\
		{ NVVGPU_EMU_EVENT_FAULT, "FAULT" },		\
		{ NVVGPU_EMU_EVENT_GUEST_UP, "GUEST_UP" },	\
		{ NVVGPU_EMU_EVENT_GUEST_DOWN, "GUEST_DOWN" },	\
		{ NVVGPU_EMU_EVENT_DISPLAY, "DISPLAY" })

TRACE_EVENT(nvvgpu_emu_cmd,
	    TP_PROTO(struct device *dev, u32 seq, u16 opcode, u16 vf, u64 arg0,
		     u32 len),
	    TP_ARGS(dev, seq, opcode, vf, arg0, len),
	    TP_STRUCT__entry(__string(dev, dev_name(dev))
			     __field(u32, seq)
			     __field(u16, opcode)
			     __field(u16, vf)
			     __field(u64, arg0)
			     __field(u32, len)),
	    TP_fast_assign(__assign_str(dev);
			   __entry->seq = seq;
			   __entry->opcode = opcode;
			   __entry->vf = vf;
			   __entry->arg0 = arg0;
			   __entry->len = len;),
	    TP_printk("%s seq %#x %s vf %u arg %#llx len %u", __get_str(dev),
		      __entry->seq, emu_show_opcode(__entry->opcode),
		      __entry->vf, __entry->arg0, __entry->len)
);

DECLARE_EVENT_CLASS(nvvgpu_emu_answer,
		    TP_PROTO(struct device *dev, u32 seq, u16 opcode, u16 vf,
			     u32 status, u64 res0, u32 len),
		    TP_ARGS(dev, seq, opcode, vf, status, res0, len),
		    TP_STRUCT__entry(__string(dev, dev_name(dev))
				     __field(u32, seq)
				     __field(u16, opcode)
				     __field(u16, vf)
				     __field(u32, status)
				     __field(u64, res0)
				     __field(u32, len)),
		    TP_fast_assign(__assign_str(dev);
				   __entry->seq = seq;
				   __entry->opcode = opcode;
				   __entry->vf = vf;
				   __entry->status = status;
				   __entry->res0 = res0;
				   __entry->len = len;),
		    TP_printk("%s seq %#x %s vf %u status %u res %#llx len %u",
			      __get_str(dev), __entry->seq,
			      emu_show_opcode(__entry->opcode), __entry->vf,
			      __entry->status, __entry->res0, __entry->len)
);

DEFINE_EVENT(nvvgpu_emu_answer, nvvgpu_emu_response,
	     TP_PROTO(struct device *dev, u32 seq, u16 opcode, u16 vf,
		      u32 status, u64 res0, u32 len),
	     TP_ARGS(dev, seq, opcode, vf, status, res0, len)
);

/* An answer to a command that nobody waits for any more */
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
