/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-2-Clause) */
/*
 * The programming interface of the emulated SR-IOV GPU "nvvgpu-emu".
 *
 * One file describes the hardware to everybody who touches it: the device
 * model in QEMU, the PF driver (nvvgpu-emu.ko), guest programs and selftests.
 * Documentation/gpu/nvvgpu-emu.rst is the reference manual that goes with it.
 *
 * All registers and all structures in memory are little endian.  Registers
 * are 32 bits wide and must be accessed naturally aligned; a 64-bit register
 * is two 32-bit ones, low half first, and may be read with one 64-bit access.
 */
#ifndef _UAPI_LINUX_NVVGPU_EMU_H
#define _UAPI_LINUX_NVVGPU_EMU_H

#include <linux/types.h>

/*
 * PCI
 *
 * The ids can be overridden when the device is created, so that it can pose
 * as another vendor's card; NVVGPU_EMU_PF_MAGIC is what tells it for certain.
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
#define NVVGPU_EMU_VF_FB_SIZE		0x10000000	/* the widest aperture, 256 MiB */
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
#define   NVVGPU_EMU_FW_CTRL_BOOT	1	/* start the firmware, rings must be set */
#define   NVVGPU_EMU_FW_CTRL_RESET	2	/* delete every vGPU, scrub VRAM, go to OFF */
#define NVVGPU_EMU_PF_REG_FW_STATUS	0x024	/* RO */
#define   NVVGPU_EMU_FW_OFF		0
#define   NVVGPU_EMU_FW_BOOTING		1
#define   NVVGPU_EMU_FW_READY		2
#define   NVVGPU_EMU_FW_CRASHED		3	/* only FW_CTRL_RESET or FLR leaves it */

/*
 * Two rings in host memory carry struct nvvgpu_emu_cmd to the firmware and
 * struct nvvgpu_emu_msg (responses and events) back.  The size is in entries
 * and a power of two from 2 to NVVGPU_EMU_RING_MAX.  Head and tail are free
 * running; an entry's slot is its index modulo the size.  The ring is empty
 * when head equals tail.  Bases and sizes can be written only while OFF.
 */
#define NVVGPU_EMU_RING_MAX		4096
#define NVVGPU_EMU_PF_REG_CMD_BASE	0x040	/* RW, 64 bit, 64 byte aligned */
#define NVVGPU_EMU_PF_REG_CMD_SIZE	0x048	/* RW */
#define NVVGPU_EMU_PF_REG_CMD_TAIL	0x04c	/* RW, the host's doorbell */
#define NVVGPU_EMU_PF_REG_CMD_HEAD	0x050	/* RO */
#define NVVGPU_EMU_PF_REG_MSG_BASE	0x060	/* RW, 64 bit, 64 byte aligned */
#define NVVGPU_EMU_PF_REG_MSG_SIZE	0x068	/* RW */
#define NVVGPU_EMU_PF_REG_MSG_TAIL	0x06c	/* RO */
#define NVVGPU_EMU_PF_REG_MSG_HEAD	0x070	/* RW, what the host has consumed */

/* MSI-X vectors of the physical function */
#define NVVGPU_EMU_PF_VECTOR_MSG	0	/* the message ring has grown */
#define NVVGPU_EMU_PF_VECTOR_STATUS	1	/* FW_STATUS has changed */
#define NVVGPU_EMU_PF_VECTORS		2

/*
 * Firmware commands
 */
#define NVVGPU_EMU_FW_MAJOR		1
#define NVVGPU_EMU_FW_MINOR		1

/**
 * struct nvvgpu_emu_cmd - a command to the firmware
 * @seq: chosen by the host, not 0; the response repeats it
 * @opcode: NVVGPU_EMU_CMD_*
 * @vf: the virtual function, counted from 0, where the command is about one
 * @addr: DMA address of the command's buffer, where it has one
 * @len: length of that buffer in bytes
 * @flags: must be 0
 * @arg: see each command
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
 * struct nvvgpu_emu_msg - a response or an event from the firmware
 * @seq: that of the command, 0 for an event
 * @opcode: that of the command, or NVVGPU_EMU_EVENT_*
 * @vf: the virtual function it is about
 * @status: NVVGPU_EMU_OK or what went wrong
 * @len: bytes written to the command's buffer
 * @res: see each command and event
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
#define NVVGPU_EMU_ERR_INVALID		1	/* an argument makes no sense */
#define NVVGPU_EMU_ERR_NO_SPACE		2	/* VRAM or instances are used up */
#define NVVGPU_EMU_ERR_BUSY		3	/* placement taken, vGPU running */
#define NVVGPU_EMU_ERR_NOT_FOUND	4	/* no such type, or no vGPU on this VF */
#define NVVGPU_EMU_ERR_UNSUPPORTED	5	/* unknown command */
#define NVVGPU_EMU_ERR_STATE		6	/* not in this state of the vGPU */
#define NVVGPU_EMU_ERR_VERSION		7	/* res[0] is the firmware's major.minor */
#define NVVGPU_EMU_ERR_DMA		8	/* the command's buffer was not reachable */
#define NVVGPU_EMU_ERR_INTERNAL		9	/* the firmware gave up */
#define NVVGPU_EMU_ERR_DATA		10	/* LOAD was given something that is no state */

/* HELLO: arg[0] = major << 16 | minor; first command after boot; res[0] as arg[0] */
#define NVVGPU_EMU_CMD_HELLO		1
/* INFO: res[0] = VRAM bytes, [1] = granule bytes, [2] = granules, [3] = VFs, [4] = types */
#define NVVGPU_EMU_CMD_INFO		2
/* TYPES: fills the buffer with struct nvvgpu_emu_type; res[0] = number of types */
#define NVVGPU_EMU_CMD_TYPES		3
/* AVAILABLE: arg[0] = type id; res[0] = instances that could be created now */
#define NVVGPU_EMU_CMD_AVAILABLE	4
/* CREATE: arg[0] = type id, [1] = placement or ANY; res[0] = placement, [1] = VRAM offset */
#define NVVGPU_EMU_CMD_CREATE		5
#define   NVVGPU_EMU_PLACEMENT_ANY	(~0ULL)
/* DELETE: the framebuffer is scrubbed before the answer; the VF goes dead; also from STARTED */
#define NVVGPU_EMU_CMD_DELETE		6
/* START: engines may run from now on; buffer, may be empty = the vGPU's parameter string */
#define NVVGPU_EMU_CMD_START		7
/* STOP: engines are aborted and their registers cleared; VRAM stays until SCRUB or DELETE */
#define NVVGPU_EMU_CMD_STOP		8
/* RESET: as a function level reset: engines aborted, registers cleared, state kept STARTED */
#define NVVGPU_EMU_CMD_RESET		9
/* SUSPEND: arg[0] = level; answered once the level is reached; RESUME goes back to running */
#define NVVGPU_EMU_CMD_SUSPEND		10
#define   NVVGPU_EMU_SUSPEND_P2P	1	/* outgoing DMA has drained, no new begins */
#define   NVVGPU_EMU_SUSPEND_ALL	2	/* and nothing changes inside any more */
#define NVVGPU_EMU_CMD_RESUME		11
/*
 * STATE_SIZE: res[0] = bytes of the register state, [1] = bytes of VRAM
 * SAVE: arg[0] = what, [1] = offset, buffer = destination; len = bytes written.  VRAM:
 *       res[0] = bytes covered.  A piece ends where pages of zeroes and others meet; of
 *       zeroes nothing is written, and arg[2] bytes may be covered if that is more than
 *       the buffer has
 * LOAD: arg[0] = what, [1] = offset, buffer = source; an empty buffer with arg[2] = bytes
 *       zeroes that piece of VRAM.  Registers take effect with the piece that ends them.
 * SAVE and LOAD of registers need SUSPEND_ALL; of VRAM, any state with a vGPU.
 */
#define NVVGPU_EMU_CMD_STATE_SIZE	12
#define NVVGPU_EMU_CMD_SAVE		13
#define NVVGPU_EMU_CMD_LOAD		14
#define   NVVGPU_EMU_STATE_REGS		0
#define   NVVGPU_EMU_STATE_VRAM		1
/*
 * Dirty logs, arg[0] = what:
 * DIRTY_START: VRAM: everything counts as dirty at first.  DMA: buffer = an array of
 *       struct nvvgpu_emu_range, arg[1] = wanted page size; res[0] = page size used.
 * DIRTY_READ: arg[1] = offset or IOVA, arg[2] = bytes; buffer receives one bit per page of
 *       VRAM (NVVGPU_EMU_VRAM_PAGE) or of the chosen size, bit 0 of byte 0 first; what was
 *       read is clean from then on.
 */
#define NVVGPU_EMU_CMD_DIRTY_START	15
#define NVVGPU_EMU_CMD_DIRTY_STOP	16
#define NVVGPU_EMU_CMD_DIRTY_READ	17
#define   NVVGPU_EMU_DIRTY_VRAM		0
#define   NVVGPU_EMU_DIRTY_DMA		1
#define   NVVGPU_EMU_VRAM_PAGE		0x10000
#define   NVVGPU_EMU_DIRTY_RANGES_MAX	256
/* SCRUB: the vGPU's framebuffer reads as zero from the answer on; not while STARTED */
#define NVVGPU_EMU_CMD_SCRUB		18
/* STATS: buffer receives struct nvvgpu_emu_stats */
#define NVVGPU_EMU_CMD_STATS		19
/* DISPLAY: buffer receives struct nvvgpu_emu_plane and then the EDID block */
#define NVVGPU_EMU_CMD_DISPLAY		20
#define   NVVGPU_EMU_EDID_SIZE		256
/*
 * USED, since 1.1: arg[1] = offset, [2] = bytes of VRAM; res[0] = pages of it that are not
 *       all zeroes.  Buffer, may be empty, receives one bit per page of
 *       NVVGPU_EMU_VRAM_PAGE that is set for those, bit 0 of byte 0 first.
 */
#define NVVGPU_EMU_CMD_USED		21
#define NVVGPU_EMU_CMD_LAST		21

/* Events */
#define NVVGPU_EMU_EVENT_CRASHED	0x100	/* this vGPU is lost until it is deleted */
#define NVVGPU_EMU_EVENT_FAULT		0x101	/* res[0] = error code, [1] = address */
#define NVVGPU_EMU_EVENT_GUEST_UP	0x102	/* the guest's driver has said so */
#define NVVGPU_EMU_EVENT_GUEST_DOWN	0x103
#define NVVGPU_EMU_EVENT_DISPLAY	0x104	/* the display's mode has changed */

/**
 * struct nvvgpu_emu_type - what the firmware tells about a vGPU type
 * @id: what CREATE takes
 * @max_instances: the most that fit on an empty GPU
 * @fb_bytes: framebuffer, a multiple of INFO's granule
 * @bar0_bytes: aperture of BAR0, a power of two up to NVVGPU_EMU_VF_FB_SIZE
 * @heads: displays
 * @max_width: of a display, in pixels
 * @max_height: of a display, in pixels
 * @weight: share of the engines' time against other vGPUs
 * @vendor: PCI ids that the guest shall see, 0 for those of the VF
 * @device: as above
 * @subsystem_vendor: as above
 * @subsystem_device: as above
 * @class_code: 24 bit PCI class that the guest shall see, 0 for that of the VF
 * @available: instances that could be created now
 * @name: for people, NUL terminated
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
 * struct nvvgpu_emu_range - a piece of IOVA space to be logged
 * @iova: where it begins
 * @length: bytes
 */
struct nvvgpu_emu_range {
	__le64 iova;
	__le64 length;
};

/**
 * struct nvvgpu_emu_stats - counters of one vGPU since it was created
 * @descriptors: completed
 * @bytes: moved by copies and fills
 * @dma_read_bytes: read from system memory
 * @dma_write_bytes: written to system memory
 * @interrupts: raised
 * @errors: how often the engine halted on an error
 * @dma_faults: of those, the ones that the IOMMU or bus mastering refused
 * @resets: function level and firmware resets
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
};

/**
 * struct nvvgpu_emu_plane - what a display scans out
 * @enabled: 1 when the guest has switched the display on
 * @width: visible pixels
 * @height: visible lines
 * @stride: bytes from line to line
 * @bpp: bits per pixel
 * @reserved: 0
 * @offset: of the first pixel in the framebuffer
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
 * Registers of a virtual function, BAR2.  Until a vGPU is created on the VF
 * every read of BAR0 and BAR2 returns all ones and every write is dropped.
 *
 * The first page is laid out as QEMU's bochs-display, so that Linux's
 * bochs-drm drives a vGPU whose type has the PCI ids 1234:1111.
 */
#define NVVGPU_EMU_VF_REG_EDID		0x0000	/* RO, NVVGPU_EMU_EDID_SIZE bytes */
#define NVVGPU_EMU_VF_REG_DISPI		0x0500	/* RW, 16 bit registers, VBE dispi index * 2 */
#define NVVGPU_EMU_VF_REG_QEXT_SIZE	0x0600	/* RO, bytes of this block */
#define NVVGPU_EMU_VF_REG_QEXT_ENDIAN	0x0604	/* RW, reads 0x1e1e1e1e: little endian */

/* The engine's page */
#define NVVGPU_EMU_VF_REG_MAGIC		0x1000	/* RO */
#define   NVVGPU_EMU_VF_MAGIC		0x5556564e	/* "NVVU" */
#define NVVGPU_EMU_VF_REG_REVISION	0x1004	/* RO, NVVGPU_EMU_REVISION */
#define NVVGPU_EMU_VF_REG_TYPE		0x1008	/* RO, id of the vGPU's type */
#define NVVGPU_EMU_VF_REG_VECTORS	0x100c	/* RO, NVVGPU_EMU_VF_VECTORS */
#define NVVGPU_EMU_VF_REG_FB_SIZE	0x1010	/* RO, 64 bit, bytes */
#define NVVGPU_EMU_VF_REG_CTRL		0x1018	/* RW */
#define   NVVGPU_EMU_VF_CTRL_RUN	0x1	/* take descriptors */
#define   NVVGPU_EMU_VF_CTRL_RESET	0x2	/* WO: abort, clear the engine's page, stop */
#define NVVGPU_EMU_VF_REG_STATUS	0x101c	/* RO */
#define   NVVGPU_EMU_VF_STATUS_RUNNING	0x1
#define   NVVGPU_EMU_VF_STATUS_BUSY	0x2	/* a descriptor is in work or waits */
#define   NVVGPU_EMU_VF_STATUS_ERROR	0x4	/* halted, see ERROR; CTRL_RESET leaves it */
#define NVVGPU_EMU_VF_REG_ERROR		0x1020	/* RO */
#define   NVVGPU_EMU_VF_ERR_NONE	0
#define   NVVGPU_EMU_VF_ERR_RING	1	/* bad size, alignment or tail */
#define   NVVGPU_EMU_VF_ERR_DESC	2	/* unknown op or flag, bad length */
#define   NVVGPU_EMU_VF_ERR_VRAM	3	/* outside the framebuffer */
#define   NVVGPU_EMU_VF_ERR_DMA_READ	4	/* system memory refused a read */
#define   NVVGPU_EMU_VF_ERR_DMA_WRITE	5	/* system memory refused a write */
#define   NVVGPU_EMU_VF_ERR_VECTOR	6	/* no such interrupt vector */
#define   NVVGPU_EMU_VF_ERR_CRASHED	7	/* the firmware or this vGPU has crashed */
#define NVVGPU_EMU_VF_REG_ERROR_INDEX	0x1024	/* RO, index of the failed descriptor */
#define NVVGPU_EMU_VF_REG_FAULT_ADDR	0x1028	/* RO, 64 bit, first address refused */
#define NVVGPU_EMU_VF_REG_RING_BASE	0x1030	/* RW while not running, 64 bit, 64 byte aligned */
#define NVVGPU_EMU_VF_REG_RING_SIZE	0x1038	/* RW while not running, entries, power of two */
#define NVVGPU_EMU_VF_REG_RING_HEAD	0x103c	/* RO, free running: descriptors done */
#define NVVGPU_EMU_VF_REG_RING_TAIL	0x1040	/* RO, as last written to the doorbell */
#define NVVGPU_EMU_VF_REG_ERROR_VECTOR	0x1044	/* RW, raised on error; ~0: none */
#define NVVGPU_EMU_VF_REG_GUEST		0x1048	/* RW, the guest's driver writes 1 (up), 0 (down) */
#define NVVGPU_EMU_VF_REG_SCRATCH	0x1050	/* RW, four words without a meaning */
#define   NVVGPU_EMU_VF_SCRATCH_WORDS	4

/* The doorbell's page: the new, free running tail of the ring */
#define NVVGPU_EMU_VF_REG_DOORBELL	0x2000	/* WO */

#define NVVGPU_EMU_VF_VECTORS		8

/**
 * struct nvvgpu_emu_desc - one piece of work for a VF's engine
 * @op: NVVGPU_EMU_OP_*
 * @flags: NVVGPU_EMU_DESC_*
 * @src: where to copy from: VRAM offset or DMA address
 * @dst: where to copy, fill or release to: VRAM offset or DMA address
 * @len: bytes to copy or fill; any alignment, not 0
 * @data: FILL: 32-bit pattern, low byte first; SEMAPHORE: 64-bit value to be stored
 * @vector: MSI-X vector to raise when done, with DESC_IRQ
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
#define NVVGPU_EMU_OP_COPY		1	/* overlapping ranges are copied front to back */
#define NVVGPU_EMU_OP_FILL		2
#define NVVGPU_EMU_OP_SEMAPHORE		3	/* 8 byte aligned store to @dst */

#define NVVGPU_EMU_DESC_SRC_VRAM	0x1	/* else system memory */
#define NVVGPU_EMU_DESC_DST_VRAM	0x2	/* else system memory */
#define NVVGPU_EMU_DESC_IRQ		0x4	/* raise @vector when done */

#endif /* _UAPI_LINUX_NVVGPU_EMU_H */
