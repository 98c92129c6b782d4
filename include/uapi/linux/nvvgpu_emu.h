/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-2-Clause) */
/*
 * Programming interface of the emulated SR-IOV GPU "nvvgpu-emu"
 *
 * The QEMU device model, the PF driver (nvvgpu-emu.ko), guest programs and
 * selftests share this header.  Documentation/gpu/nvvgpu-emu.rst is the
 * reference manual.
 *
 * All registers and all structures in memory are little endian.  Registers
 * are 32 bits wide and require naturally aligned accesses.  A 64-bit register
 * is two 32-bit registers, low half first, and allows a single 64-bit read.
 */
#ifndef _UAPI_LINUX_NVVGPU_EMU_H
#define _UAPI_LINUX_NVVGPU_EMU_H

#include <linux/types.h>

/*
 * PCI
 *
 * Device properties can override the ids, for example with those of an
 * existing GPU.  Check NVVGPU_EMU_PF_MAGIC to identify the device.
 */
#define NVVGPU_EMU_VENDOR_ID		0x1234
#define NVVGPU_EMU_PF_DEVICE_ID		0x4e56
#define NVVGPU_EMU_VF_DEVICE_ID		0x4e57

#define NVVGPU_EMU_MAX_VFS		64

/* BARs of the physical function */
#define NVVGPU_EMU_PF_BAR_REGS		0	/* 32 bit, registers below */
#define NVVGPU_EMU_PF_BAR_VRAM		2	/* 64 bit prefetchable, all of VRAM */
#define NVVGPU_EMU_PF_BAR_MSIX		4	/* 32 bit, MSI-X table and PBA */
#define NVVGPU_EMU_PF_REGS_SIZE		0x1000

/* BARs of a virtual function */
#define NVVGPU_EMU_VF_BAR_FB		0	/* 64 bit prefetchable, framebuffer aperture */
#define NVVGPU_EMU_VF_BAR_REGS		2	/* 32 bit, display, engine and doorbell pages */
#define NVVGPU_EMU_VF_BAR_MSIX		4	/* 32 bit, MSI-X table and PBA */
#define NVVGPU_EMU_VF_FB_SIZE		0x10000000	/* largest aperture, 256 MiB */
#define NVVGPU_EMU_VF_REGS_SIZE		0x4000

/*
 * Registers of the physical function, BAR0
 */
#define NVVGPU_EMU_PF_REG_MAGIC		0x000	/* RO */
#define   NVVGPU_EMU_PF_MAGIC		0x4d45564e	/* "NVEM" */
#define NVVGPU_EMU_PF_REG_REVISION	0x004	/* RO */
#define   NVVGPU_EMU_REVISION		1
#define NVVGPU_EMU_PF_REG_VRAM_SIZE	0x010	/* RO, 64 bit, bytes */
#define NVVGPU_EMU_PF_REG_FW_CTRL	0x020	/* WO */
#define   NVVGPU_EMU_FW_CTRL_BOOT	1	/* boot the firmware; set up the rings first */
#define   NVVGPU_EMU_FW_CTRL_RESET	2	/* delete every vGPU, scrub its VRAM, go to OFF */
#define NVVGPU_EMU_PF_REG_FW_STATUS	0x024	/* RO */
#define   NVVGPU_EMU_FW_OFF		0
#define   NVVGPU_EMU_FW_BOOTING		1
#define   NVVGPU_EMU_FW_READY		2
#define   NVVGPU_EMU_FW_CRASHED		3	/* until FW_CTRL_RESET or FLR */

/*
 * Two rings in host memory carry struct nvvgpu_emu_cmd to the firmware and
 * struct nvvgpu_emu_msg (responses and events) to the host.  The size of a ring
 * is its number of entries, a power of two from 2 to NVVGPU_EMU_RING_MAX.  Head
 * and tail are free-running; the slot of an entry is its index modulo the size.
 * The ring is empty when head equals tail.  Bases and sizes are writable only
 * while the firmware is OFF.
 */
#define NVVGPU_EMU_RING_MAX		4096
#define NVVGPU_EMU_PF_REG_CMD_BASE	0x040	/* RW, 64 bit, 64 byte aligned */
#define NVVGPU_EMU_PF_REG_CMD_SIZE	0x048	/* RW */
#define NVVGPU_EMU_PF_REG_CMD_TAIL	0x04c	/* RW, doorbell of the host */
#define NVVGPU_EMU_PF_REG_CMD_HEAD	0x050	/* RO */
#define NVVGPU_EMU_PF_REG_MSG_BASE	0x060	/* RW, 64 bit, 64 byte aligned */
#define NVVGPU_EMU_PF_REG_MSG_SIZE	0x068	/* RW */
#define NVVGPU_EMU_PF_REG_MSG_TAIL	0x06c	/* RO */
#define NVVGPU_EMU_PF_REG_MSG_HEAD	0x070	/* RW, messages consumed by the host */

/* MSI-X vectors of the physical function */
#define NVVGPU_EMU_PF_VECTOR_MSG	0	/* MSG_TAIL has advanced */
#define NVVGPU_EMU_PF_VECTOR_STATUS	1	/* FW_STATUS has changed */
#define NVVGPU_EMU_PF_VECTORS		2

/*
 * Firmware commands
 */
#define NVVGPU_EMU_FW_MAJOR		1
#define NVVGPU_EMU_FW_MINOR		2

/**
 * struct nvvgpu_emu_cmd - command to the firmware
 * @seq: nonzero number chosen by the host, returned in the response
 * @opcode: NVVGPU_EMU_CMD_*
 * @vf: index of the virtual function from 0, if the command addresses one
 * @addr: DMA address of the buffer, if the command has one
 * @len: length of the buffer in bytes
 * @flags: must be 0
 * @arg: arguments, see the definition of each command
 */
struct nvvgpu_emu_cmd {
	__le32 seq;
	__le16 opcode;
	__le16 vf;
	__le64 addr;
	__le32 len;
	__le32 flags;
	__le64 arg[5];
};

/**
 * struct nvvgpu_emu_msg - response or event from the firmware
 * @seq: @seq of the command, 0 for an event
 * @opcode: @opcode of the command, or NVVGPU_EMU_EVENT_*
 * @vf: @vf of the command, or the virtual function that caused the event
 * @status: NVVGPU_EMU_OK or NVVGPU_EMU_ERR_*
 * @len: bytes written to the command's buffer
 * @res: results, see the definition of each command and event
 */
struct nvvgpu_emu_msg {
	__le32 seq;
	__le16 opcode;
	__le16 vf;
	__le32 status;
	__le32 len;
	__le64 res[6];
};

/* Status of a response */
#define NVVGPU_EMU_OK			0
#define NVVGPU_EMU_ERR_INVALID		1	/* invalid argument */
#define NVVGPU_EMU_ERR_NO_SPACE		2	/* not enough VRAM or memory */
#define NVVGPU_EMU_ERR_BUSY		3	/* placement taken, or vGPU running */
#define NVVGPU_EMU_ERR_NOT_FOUND	4	/* unknown type, or no vGPU on this VF */
#define NVVGPU_EMU_ERR_UNSUPPORTED	5	/* unknown command */
#define NVVGPU_EMU_ERR_STATE		6	/* invalid in the current state */
#define NVVGPU_EMU_ERR_VERSION		7	/* res[0] is the firmware's version */
#define NVVGPU_EMU_ERR_DMA		8	/* DMA to or from the buffer failed */
#define NVVGPU_EMU_ERR_INTERNAL		9	/* internal error of the firmware */
#define NVVGPU_EMU_ERR_DATA		10	/* LOAD: invalid register state */

/* HELLO: first command after boot; arg[0] = host's major << 16 | minor, res[0] = firmware's */
#define NVVGPU_EMU_CMD_HELLO		1
/* INFO: res[0] = VRAM bytes, [1] = granule bytes, [2] = granules, [3] = VFs, [4] = types */
#define NVVGPU_EMU_CMD_INFO		2
/* TYPES: fills the buffer with struct nvvgpu_emu_type; res[0] = number of types */
#define NVVGPU_EMU_CMD_TYPES		3
/* AVAILABLE: arg[0] = type id; res[0] = number of instances that can be created now */
#define NVVGPU_EMU_CMD_AVAILABLE	4
/* CREATE: arg[0] = type id, [1] = placement or ANY; res[0] = placement, [1] = VRAM offset */
#define NVVGPU_EMU_CMD_CREATE		5
#define   NVVGPU_EMU_PLACEMENT_ANY	(~0ULL)
/* DELETE: abort the engine, disable the BARs, scrub the framebuffer; also from STARTED */
#define NVVGPU_EMU_CMD_DELETE		6
/* START: allow the engine to run; buffer = parameter string of the vGPU, may be empty */
#define NVVGPU_EMU_CMD_START		7
/*
 * STOP: abort the engine and clear its registers; VRAM is kept until SCRUB or DELETE.
 *       Since 1.2, a buffer that is not empty receives the counters, as with STATS.
 */
#define NVVGPU_EMU_CMD_STOP		8
/* RESET: as a function level reset: abort the engine, clear its registers, stay STARTED */
#define NVVGPU_EMU_CMD_RESET		9
/* SUSPEND: arg[0] = level, reached when the response arrives; RESUME: leave either level */
#define NVVGPU_EMU_CMD_SUSPEND		10
#define   NVVGPU_EMU_SUSPEND_P2P	1	/* DMA has drained and does not restart */
#define   NVVGPU_EMU_SUSPEND_ALL	2	/* also, the register state is frozen */
#define NVVGPU_EMU_CMD_RESUME		11
/*
 * STATE_SIZE: res[0] = bytes of register state, [1] = bytes of VRAM
 * SAVE: arg[0] = NVVGPU_EMU_STATE_*, [1] = offset, buffer = destination; len = bytes
 *       written.  VRAM: res[0] = bytes covered, a run of pages that are either all zero
 *       or all non-zero.  For a zero run nothing is written, and it may cover up to
 *       arg[2] bytes even if the buffer is smaller.  If the buffer is empty and the
 *       first page is not zero, res[0] is 0.
 * LOAD: arg[0] = NVVGPU_EMU_STATE_*, [1] = offset, buffer = source.  VRAM: with an empty
 *       buffer, arg[2] bytes are zeroed.  Registers take effect with the last chunk.
 * SAVE and LOAD of registers require SUSPEND_ALL; of VRAM, a vGPU that has not crashed.
 */
#define NVVGPU_EMU_CMD_STATE_SIZE	12
#define NVVGPU_EMU_CMD_SAVE		13
#define NVVGPU_EMU_CMD_LOAD		14
#define   NVVGPU_EMU_STATE_REGS		0
#define   NVVGPU_EMU_STATE_VRAM		1
/*
 * Dirty logs, arg[0] = NVVGPU_EMU_DIRTY_*:
 * DIRTY_START: VRAM: all pages start out dirty.  DMA: buffer = array of struct
 *       nvvgpu_emu_range, arg[1] = requested page size; res[0] = page size used.
 * DIRTY_READ: read and clear; arg[1] = offset or IOVA, arg[2] = bytes.  The buffer receives
 *       one bit per page of NVVGPU_EMU_VRAM_PAGE (VRAM) or of the page size used (DMA), bit
 *       0 of byte 0 first; res[0] = number of set bits.
 */
#define NVVGPU_EMU_CMD_DIRTY_START	15
#define NVVGPU_EMU_CMD_DIRTY_STOP	16
#define NVVGPU_EMU_CMD_DIRTY_READ	17
#define   NVVGPU_EMU_DIRTY_VRAM		0
#define   NVVGPU_EMU_DIRTY_DMA		1
#define   NVVGPU_EMU_VRAM_PAGE		0x10000
#define   NVVGPU_EMU_DIRTY_RANGES_MAX	256
/* SCRUB: zero the framebuffer; invalid while STARTED */
#define NVVGPU_EMU_CMD_SCRUB		18
/* STATS: buffer receives struct nvvgpu_emu_stats, or its first NVVGPU_EMU_STATS_1_0 bytes */
#define NVVGPU_EMU_CMD_STATS		19
#define   NVVGPU_EMU_STATS_1_0		64
/* DISPLAY: buffer receives struct nvvgpu_emu_plane, followed by the EDID block */
#define NVVGPU_EMU_CMD_DISPLAY		20
#define   NVVGPU_EMU_EDID_SIZE		256
/*
 * USED, since 1.1: arg[1] = offset, [2] = bytes of VRAM; res[0] = number of pages of
 *       NVVGPU_EMU_VRAM_PAGE that are not all zero.  The buffer may be empty; otherwise it
 *       receives one bit per page, set for those pages, bit 0 of byte 0 first.
 */
#define NVVGPU_EMU_CMD_USED		21
/*
 * SET_EDID, since 1.2: buffer = EDID block of the monitor on the first display, a
 *       multiple of 128 bytes up to EDID_SIZE; the rest of the EDID window reads as
 *       zero.  An empty buffer unplugs the monitor.  START restores the type's own.
 */
#define NVVGPU_EMU_CMD_SET_EDID		22
#define NVVGPU_EMU_CMD_LAST		22

/* Events */
#define NVVGPU_EMU_EVENT_CRASHED	0x100	/* res[0] = error code; DELETE the vGPU */
#define NVVGPU_EMU_EVENT_FAULT		0x101	/* res[0] = error code, [1] = address */
#define NVVGPU_EMU_EVENT_GUEST_UP	0x102	/* GUEST has changed to 1 */
#define NVVGPU_EMU_EVENT_GUEST_DOWN	0x103	/* GUEST has changed to 0 */
#define NVVGPU_EMU_EVENT_DISPLAY	0x104	/* the display mode has changed */
#define NVVGPU_EMU_EVENT_FLIP		0x105	/* since 1.2: only the plane's offset has */

/**
 * struct nvvgpu_emu_type - properties of a vGPU type
 * @id: type id, an argument of CREATE
 * @max_instances: maximum number of instances on an otherwise empty GPU
 * @fb_bytes: size of the framebuffer, a multiple of the granule size
 * @bar0_bytes: size of the BAR0 aperture, a power of two up to NVVGPU_EMU_VF_FB_SIZE
 * @heads: number of displays
 * @max_width: maximum width of a display in pixels
 * @max_height: maximum height of a display in pixels
 * @weight: relative share of engine time
 * @vendor: PCI vendor id to present to the guest, 0: that of the VF
 * @device: PCI device id to present to the guest, 0: that of the VF
 * @subsystem_vendor: PCI subsystem vendor id to present to the guest, 0: that of the VF
 * @subsystem_device: PCI subsystem id to present to the guest, 0: that of the VF
 * @class_code: 24-bit PCI class to present to the guest, 0: that of the VF
 * @available: number of instances that can be created now
 * @name: human-readable name, NUL terminated
 * @vgpu_class: "Q", "C", "B" or "A", NUL terminated
 */
struct nvvgpu_emu_type {
	__le32 id;
	__le32 max_instances;
	__le64 fb_bytes;
	__le64 bar0_bytes;
	__le32 heads;
	__le32 max_width;
	__le32 max_height;
	__le32 weight;
	__le16 vendor;
	__le16 device;
	__le16 subsystem_vendor;
	__le16 subsystem_device;
	__le32 class_code;
	__le32 available;
	__u8 name[64];
	__u8 vgpu_class[8];
};

/**
 * struct nvvgpu_emu_range - IOVA range for the DMA log
 * @iova: start of the range
 * @length: size of the range in bytes
 */
struct nvvgpu_emu_range {
	__le64 iova;
	__le64 length;
};

/**
 * struct nvvgpu_emu_stats - counters of a vGPU since its creation
 * @descriptors: completed descriptors
 * @bytes: bytes moved by copies and fills
 * @dma_read_bytes: bytes read from system memory
 * @dma_write_bytes: bytes written to system memory
 * @interrupts: interrupts raised
 * @errors: engine halts, except crashes
 * @dma_faults: engine halts because of refused DMA, included in @errors
 * @resets: function level resets and RESET commands
 * @busy_ns: nanoseconds that the engine has worked for this vGPU; since 1.2, and only if
 *	the buffer has room for it
 */
struct nvvgpu_emu_stats {
	__le64 descriptors;
	__le64 bytes;
	__le64 dma_read_bytes;
	__le64 dma_write_bytes;
	__le64 interrupts;
	__le64 errors;
	__le64 dma_faults;
	__le64 resets;
	__le64 busy_ns;
};

/**
 * struct nvvgpu_emu_plane - scanout buffer of a display
 * @enabled: 1 if the guest has enabled a valid mode, 0: all fields are 0
 * @width: visible width in pixels
 * @height: visible height in lines
 * @stride: bytes per line
 * @bpp: bits per pixel
 * @reserved: 0
 * @offset: offset of the first pixel in the framebuffer
 */
struct nvvgpu_emu_plane {
	__le32 enabled;
	__le32 width;
	__le32 height;
	__le32 stride;
	__le32 bpp;
	__le32 reserved;
	__le64 offset;
};

/*
 * Registers of a virtual function, BAR2.  While the VF has no vGPU, reads of
 * BAR0 and BAR2 return all ones and writes are dropped.
 *
 * The first page has the layout of QEMU's bochs-display, so that Linux's
 * bochs-drm can drive a vGPU with the PCI ids 1234:1111.
 */
#define NVVGPU_EMU_VF_REG_EDID		0x0000	/* RO, NVVGPU_EMU_EDID_SIZE bytes */
#define NVVGPU_EMU_VF_REG_DISPI		0x0500	/* RW, 16 bit registers, VBE dispi index * 2 */
#define NVVGPU_EMU_VF_REG_QEXT_SIZE	0x0600	/* RO, size of the QEXT block in bytes */
#define NVVGPU_EMU_VF_REG_QEXT_ENDIAN	0x0604	/* RW, reads 0x1e1e1e1e: little endian */

/* Engine page */
#define NVVGPU_EMU_VF_REG_MAGIC		0x1000	/* RO */
#define   NVVGPU_EMU_VF_MAGIC		0x5556564e	/* "NVVU" */
#define NVVGPU_EMU_VF_REG_REVISION	0x1004	/* RO, NVVGPU_EMU_REVISION */
#define NVVGPU_EMU_VF_REG_TYPE		0x1008	/* RO, id of the vGPU's type */
#define NVVGPU_EMU_VF_REG_VECTORS	0x100c	/* RO, NVVGPU_EMU_VF_VECTORS */
#define NVVGPU_EMU_VF_REG_FB_SIZE	0x1010	/* RO, 64 bit, bytes */
#define NVVGPU_EMU_VF_REG_CTRL		0x1018	/* RW */
#define   NVVGPU_EMU_VF_CTRL_RUN	0x1	/* process descriptors */
#define   NVVGPU_EMU_VF_CTRL_RESET	0x2	/* WO: abort and clear the engine page */
#define NVVGPU_EMU_VF_REG_STATUS	0x101c	/* RO */
#define   NVVGPU_EMU_VF_STATUS_RUNNING	0x1
#define   NVVGPU_EMU_VF_STATUS_BUSY	0x2	/* a descriptor is in flight or pending */
#define   NVVGPU_EMU_VF_STATUS_ERROR	0x4	/* halted until CTRL_RESET, see ERROR */
#define NVVGPU_EMU_VF_REG_ERROR		0x1020	/* RO */
#define   NVVGPU_EMU_VF_ERR_NONE	0
#define   NVVGPU_EMU_VF_ERR_RING	1	/* invalid size, alignment or tail */
#define   NVVGPU_EMU_VF_ERR_DESC	2	/* invalid op, flag, length or address */
#define   NVVGPU_EMU_VF_ERR_VRAM	3	/* VRAM access beyond the framebuffer */
#define   NVVGPU_EMU_VF_ERR_DMA_READ	4	/* DMA read refused */
#define   NVVGPU_EMU_VF_ERR_DMA_WRITE	5	/* DMA write refused */
#define   NVVGPU_EMU_VF_ERR_VECTOR	6	/* invalid interrupt vector */
#define   NVVGPU_EMU_VF_ERR_CRASHED	7	/* the firmware or this vGPU has crashed */
#define NVVGPU_EMU_VF_REG_ERROR_INDEX	0x1024	/* RO, index of the failed descriptor */
#define NVVGPU_EMU_VF_REG_FAULT_ADDR	0x1028	/* RO, 64 bit, first refused address */
#define NVVGPU_EMU_VF_REG_RING_BASE	0x1030	/* RW while not running, 64 bit, 64 byte aligned */
#define NVVGPU_EMU_VF_REG_RING_SIZE	0x1038	/* RW while not running, entries, power of two */
#define NVVGPU_EMU_VF_REG_RING_HEAD	0x103c	/* RO, free-running count of descriptors done */
#define NVVGPU_EMU_VF_REG_RING_TAIL	0x1040	/* RO, last value written to DOORBELL */
#define NVVGPU_EMU_VF_REG_ERROR_VECTOR	0x1044	/* RW, vector raised on error; ~0: none */
#define NVVGPU_EMU_VF_REG_GUEST		0x1048	/* RW, state of the guest driver: 1 up, 0 down */
#define NVVGPU_EMU_VF_REG_SCRATCH	0x1050	/* RW, four words without a function */
#define   NVVGPU_EMU_VF_SCRATCH_WORDS	4

/* Doorbell page: write the new free-running tail of the ring */
#define NVVGPU_EMU_VF_REG_DOORBELL	0x2000	/* WO */

#define NVVGPU_EMU_VF_VECTORS		8

/**
 * struct nvvgpu_emu_desc - descriptor of a VF's engine
 * @op: NVVGPU_EMU_OP_*
 * @flags: NVVGPU_EMU_DESC_*
 * @src: source of a copy, a VRAM offset or DMA address
 * @dst: destination, a VRAM offset or DMA address
 * @len: bytes to copy or fill, any alignment, not 0
 * @data: FILL: 32-bit pattern, low byte first; SEMAPHORE: 64-bit value to store
 * @vector: MSI-X vector to raise on completion, with DESC_IRQ
 * @reserved: must be 0
 */
struct nvvgpu_emu_desc {
	__le32 op;
	__le32 flags;
	__le64 src;
	__le64 dst;
	__le64 len;
	__le64 data;
	__le32 vector;
	__le32 reserved[5];
};

#define NVVGPU_EMU_OP_NOP		0
#define NVVGPU_EMU_OP_COPY		1	/* copies front to back, even if ranges overlap */
#define NVVGPU_EMU_OP_FILL		2
#define NVVGPU_EMU_OP_SEMAPHORE		3	/* 8-byte aligned store to @dst */

#define NVVGPU_EMU_DESC_SRC_VRAM	0x1	/* @src is a VRAM offset */
#define NVVGPU_EMU_DESC_DST_VRAM	0x2	/* @dst is a VRAM offset */
#define NVVGPU_EMU_DESC_IRQ		0x4	/* raise @vector on completion */

#endif /* _UAPI_LINUX_NVVGPU_EMU_H */
