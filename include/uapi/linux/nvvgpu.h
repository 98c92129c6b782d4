/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * User-space interface of nvvgpu-vfio-pci, in addition to VFIO's own interface
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
#define NVVGPU_VM_NAME_LEN		128	/* of the name of a VM */
#define NVVGPU_PARAMS_LEN		1024	/* of vgpu_params */
#define NVVGPU_MAX_TYPES		128	/* of one GPU */
#define NVVGPU_MAX_BARS			6

/*
 * Device-specific regions
 *
 * A vGPU has the regions of a PCI device, as reported by
 * VFIO_DEVICE_GET_REGION_INFO.  A vGPU with a display has two more, of
 * VFIO_REGION_TYPE_GFX: VFIO_REGION_SUBTYPE_GFX_EDID, and the plane, whose index
 * VFIO_DEVICE_QUERY_GFX_PLANE returns.  One whose display is offered as dma-bufs
 * has only the first.
 */
#define NVVGPU_REGION_SUBTYPE_GFX_PLANE	0

/*
 * Event records
 *
 * A change of a VF or of its vGPU is a uevent of the VF's PCI device with
 * ACTION=change and these variables.
 */
#define NVVGPU_UEVENT_EVENT		"NVVGPU_EVENT"	/* one of the words below */
#define NVVGPU_UEVENT_TYPE		"NVVGPU_TYPE"	/* decimal id, 0 for none */
#define NVVGPU_UEVENT_GENERATION	"NVVGPU_GENERATION" /* decimal, 0 for none */
#define NVVGPU_UEVENT_COUNT		"NVVGPU_COUNT"	/* reports merged into this uevent */
/* While the device is open, and when it is closed: */
#define NVVGPU_UEVENT_USE		"NVVGPU_USE"	/* decimal number of the use */
/* Of a use that has ended, of a migration: */
#define NVVGPU_UEVENT_MILLISECONDS	"NVVGPU_MILLISECONDS" /* decimal */
/* Of a use that has ended, if the back-end has counters: */
#define NVVGPU_UEVENT_TOTALS		"NVVGPU_TOTALS"	/* name=value name=value */
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
/* The state of the vGPU has been saved, or loaded, completely. */
#define NVVGPU_EVENT_NAME_SAVED		"saved"
#define NVVGPU_EVENT_NAME_LOADED	"loaded"
/* A back-end has begun or ceased to manage the VF. */
#define NVVGPU_EVENT_NAME_BACKEND	"backend"
/* The types that can be created have changed, other than by a create or delete. */
#define NVVGPU_EVENT_NAME_TYPES		"types"
/* Reported by the back-end; nvvgpu/events counts them. */
#define NVVGPU_EVENT_NAME_FAULT		"fault"
#define NVVGPU_EVENT_NAME_GUEST_UP	"guest-up"
#define NVVGPU_EVENT_NAME_GUEST_DOWN	"guest-down"
#define NVVGPU_EVENT_NAME_DISPLAY	"display"
#define NVVGPU_EVENT_NAME_PLACEMENT	"placement"

/*
 * The migration stream
 *
 * The data_fd of VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE transfers one struct
 * nvvgpu_mig_header, then records, the last of which is NVVGPU_MIG_END.  All
 * values are little endian.  No data follows the end.
 *
 * The stream has no checksums: its transport or storage must keep it intact,
 * like the rest of the state of a VM.
 *
 * A receiver refuses a stream at the first invalid byte, and only passes complete
 * records to the device:
 *
 *   -EINVAL		bad magic; mismatched vGPU type, size or back-end;
 *			invalid record; data after the end
 *   -EPROTONOSUPPORT	another major version of the format, or a state version of
 *			the back-end that is too new or too old
 *   -EOPNOTSUPP	a mandatory record of an unknown type
 *   -EBADMSG		a record is missing or out of order
 *   -EMSGSIZE		a record is longer than allowed
 *
 * and VFIO_DEVICE_STATE_STOP fails with -ENODATA if the end is missing.
 */
#define NVVGPU_MIG_MAGIC		"NVVGPUMS"
#define NVVGPU_MIG_MAGIC_LEN		8

/*
 * A new minor version only adds optional records.  A change that older receivers
 * must not ignore requires a mandatory record or a new major version.
 */
#define NVVGPU_MIG_MAJOR		2
#define NVVGPU_MIG_MINOR		0

/**
 * struct nvvgpu_mig_header - header of a stream
 * @magic: NVVGPU_MIG_MAGIC, without a NUL
 * @major: NVVGPU_MIG_MAJOR of the format
 * @minor: NVVGPU_MIG_MINOR of the format
 * @type: id of the vGPU's type
 * @backend: name of the back-end, padded with NULs
 * @fb_bytes: size of the framebuffer
 * @bar_bytes: sizes of the BARs as the user sees them
 * @backend_version: state version of the back-end
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

/* Flag in the type of a record: a receiver that does not know the type skips it. */
#define NVVGPU_MIG_OPTIONAL		0x80000000

#define NVVGPU_MIG_STATE		1	/* struct nvvgpu_mig_state and data */
#define NVVGPU_MIG_END			2	/* the stream is whole; no payload */

/* Maximum bytes that follow a struct nvvgpu_mig_state */
#define NVVGPU_MIG_DATA_MAX		0x40000

/**
 * struct nvvgpu_mig_record - head of a record
 * @type: NVVGPU_MIG_*
 * @length: bytes of payload that follow, at most NVVGPU_MIG_LENGTH_MAX
 * @number: sequence number of the record, from 0
 */
struct nvvgpu_mig_record {
	__le32 type;
	__le32 length;
	__le64 number;
};

/**
 * struct nvvgpu_mig_state - a chunk of the state of a vGPU
 * @kind: part of the state, defined by the back-end
 * @flags: defined by the back-end
 * @offset: offset of the chunk in this part
 * @span: bytes of this part that the chunk covers; where it exceeds the data that
 *	follows, the rest is zeroes
 */
struct nvvgpu_mig_state {
	__le32 kind;
	__le32 flags;
	__le64 offset;
	__le64 span;
};

/* Maximum bytes that follow a struct nvvgpu_mig_record */
#define NVVGPU_MIG_LENGTH_MAX	(sizeof(struct nvvgpu_mig_state) + \
				 NVVGPU_MIG_DATA_MAX)

#endif /* _UAPI_LINUX_NVVGPU_H */
