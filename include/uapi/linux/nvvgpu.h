/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What user space may rely on of nvvgpu-vfio-pci, beside VFIO's own interface
 * and Documentation/ABI/testing/sysfs-bus-pci-nvvgpu.
 */
#ifndef _UAPI_LINUX_NVVGPU_H
#define _UAPI_LINUX_NVVGPU_H

#include <linux/types.h>

/*
 * Limits
 *
 * Lengths count the NUL.
 */
#define NVVGPU_NAME_LEN			64	/* of a type or a back-end */
#define NVVGPU_PARAMS_LEN		1024	/* of what vgpu_params holds */
#define NVVGPU_MAX_TYPES		128	/* of one GPU */
#define NVVGPU_MAX_BARS			6

/*
 * Device-specific regions
 *
 * There are none: a vGPU has the regions of a PCI device, in the shape that
 * VFIO_DEVICE_GET_REGION_INFO tells, and no VFIO_REGION_TYPE of its own.
 */

/*
 * Event records
 *
 * A change of a VF or of its vGPU is a uevent of the VF's PCI device with
 * ACTION=change and these variables.
 */
#define NVVGPU_UEVENT_EVENT		"NVVGPU_EVENT"	/* one of the words below */
#define NVVGPU_UEVENT_TYPE		"NVVGPU_TYPE"	/* decimal id, 0 for none */
#define NVVGPU_UEVENT_COUNT		"NVVGPU_COUNT"	/* how often since the last */
/* Of the last report, if the back-end knows them: */
#define NVVGPU_UEVENT_CODE		"NVVGPU_CODE"	/* decimal, of the hardware */
#define NVVGPU_UEVENT_ADDRESS		"NVVGPU_ADDRESS" /* hexadecimal, with 0x */

/* The VF's state, as nvvgpu/state shows it, has changed. */
#define NVVGPU_EVENT_NAME_CREATED	"created"
#define NVVGPU_EVENT_NAME_DELETED	"deleted"
#define NVVGPU_EVENT_NAME_OPENED	"opened"
#define NVVGPU_EVENT_NAME_CLOSED	"closed"
#define NVVGPU_EVENT_NAME_CRASHED	"crashed"
#define NVVGPU_EVENT_NAME_RESET		"reset"
/* A back-end has come or gone. */
#define NVVGPU_EVENT_NAME_BACKEND	"backend"
/* Reported by the back-end; nvvgpu/events counts them. */
#define NVVGPU_EVENT_NAME_FAULT		"fault"
#define NVVGPU_EVENT_NAME_GUEST_UP	"guest-up"
#define NVVGPU_EVENT_NAME_GUEST_DOWN	"guest-down"
#define NVVGPU_EVENT_NAME_DISPLAY	"display"
#define NVVGPU_EVENT_NAME_PLACEMENT	"placement"

/*
 * The migration stream
 *
 * What the data_fd of VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE gives and takes: one
 * struct nvvgpu_mig_header, then records, the last of them NVVGPU_MIG_END.
 * Everything is little endian.  Nothing follows the end.
 *
 * The stream has no checksums: whatever transports or stores it must keep it
 * intact, like the rest of a VM's state.
 *
 * A receiver refuses a stream at the first byte that shows that it cannot be
 * loaded, and gives complete records only to the device:
 *
 *   -EINVAL		bad magic; another vGPU type, size or back-end; an
 *			invalid record; data after the end
 *   -EPROTONOSUPPORT	another major of the format, or a state version of the
 *			back-end that is too new or too old
 *   -EOPNOTSUPP	a mandatory record of an unknown type
 *   -EBADMSG		a record is missing or out of order
 *   -EMSGSIZE		a record is longer than allowed
 *
 * and VFIO_DEVICE_STATE_STOP is refused with -ENODATA when the end is missing.
 */
#define NVVGPU_MIG_MAGIC		"NVVGPUMS"
#define NVVGPU_MIG_MAGIC_LEN		8

/*
 * A newer minor only adds optional records.  A change that an older receiver
 * must not overlook is a mandatory record or a newer major.
 */
#define NVVGPU_MIG_MAJOR		2
#define NVVGPU_MIG_MINOR		0

/**
 * struct nvvgpu_mig_header - the beginning of a stream
 * @magic: NVVGPU_MIG_MAGIC, without a NUL
 * @major: NVVGPU_MIG_MAJOR of the format
 * @minor: NVVGPU_MIG_MINOR of the format
 * @type: id of the vGPU's type
 * @backend: name of the back-end, padded with NULs
 * @fb_bytes: framebuffer
 * @bar_bytes: sizes of the BARs as the user sees them
 * @backend_version: of the state that the back-end has given
 * @reserved: must be 0
 */
struct nvvgpu_mig_header {
	__u8 magic[NVVGPU_MIG_MAGIC_LEN];
	__le16 major;
	__le16 minor;
	__le32 type;
	__u8 backend[NVVGPU_NAME_LEN];
	__le64 fb_bytes;
	__le64 bar_bytes[NVVGPU_MAX_BARS];
	__le32 backend_version;
	__le32 reserved;
};

/* In a record's type: a receiver that does not know it goes on without it. */
#define NVVGPU_MIG_OPTIONAL		0x80000000

#define NVVGPU_MIG_STATE		1	/* struct nvvgpu_mig_state and data */
#define NVVGPU_MIG_END			2	/* the stream is whole; no payload */

/* The most that may follow a struct nvvgpu_mig_state */
#define NVVGPU_MIG_DATA_MAX		0x40000

/**
 * struct nvvgpu_mig_record - the head of a record
 * @type: NVVGPU_MIG_*
 * @length: bytes of payload that follow, at most NVVGPU_MIG_LENGTH_MAX
 * @number: of the record in the stream, from 0
 */
struct nvvgpu_mig_record {
	__le32 type;
	__le32 length;
	__le64 number;
};

/**
 * struct nvvgpu_mig_state - a piece of the vGPU's state
 * @kind: which part of the state, known to the back-end
 * @flags: known to the back-end
 * @offset: of the piece in this part
 * @span: bytes of the part that the piece stands for; not less than the data
 *	that follows, and more where it is short for a run of zeroes
 */
struct nvvgpu_mig_state {
	__le32 kind;
	__le32 flags;
	__le64 offset;
	__le64 span;
};

/* The most that may follow a struct nvvgpu_mig_record */
#define NVVGPU_MIG_LENGTH_MAX	(sizeof(struct nvvgpu_mig_state) + \
				 NVVGPU_MIG_DATA_MAX)

#endif /* _UAPI_LINUX_NVVGPU_H */
