/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The binary interface between the Resource Manager (RM) in nvidia.ko and the
 * VFIO side of NVIDIA's vGPU host drivers 525 to 580.
 *
 * These declarations are nvvgpu's own.  If NVIDIA's header is on the machine,
 * layout.c compares the two when the driver is built.
 *
 * The RM has no functions to unregister and takes no lock around callbacks.
 */
#ifndef NVIDIA_VGPU_VFIO_H
#define NVIDIA_VGPU_VFIO_H

#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/types.h>

struct pci_dev;

/* The drivers that have this interface, by the first number of their version */
#define NVIDIA_VGPU_FIRST		525
#define NVIDIA_VGPU_LAST		580

/* Sizes of the buffers that the RM is given without their length */
#define NVIDIA_VGPU_ID_LEN		16
#define NVIDIA_VGPU_NAME_LEN		64
#define NVIDIA_VGPU_DESCRIPTION_LEN	256
#define NVIDIA_VGPU_INSTANCES_LEN	8
#define NVIDIA_VGPU_VM_NAME_LEN		128
#define NVIDIA_VGPU_PARAMS_LEN		1024

/* 64 in these drivers, 128 in newer ones */
#define NVIDIA_VGPU_MAX_TYPES		128
#define NVIDIA_VGPU_MAX_AREAS		5

/* The BAR whose size depends on the type; the others are those of the VF. */
#define NVIDIA_VGPU_BAR_FB		1

/* Status codes, of which there are more; all are errors but NV_OK */
#define NV_OK				0x00000000
#define NV_ERR_BUSY_RETRY		0x00000003
#define NV_ERR_GPU_IS_LOST		0x0000000f
#define NV_ERR_INSUFFICIENT_RESOURCES	0x0000001a
#define NV_ERR_INVALID_ARGUMENT		0x0000001f
#define NV_ERR_INVALID_OPERATION	0x00000038
#define NV_ERR_INVALID_STATE		0x00000040
#define NV_ERR_NO_MEMORY		0x00000051
#define NV_ERR_NOT_SUPPORTED		0x00000056
#define NV_ERR_OBJECT_NOT_FOUND		0x00000057
#define NV_ERR_TIMEOUT			0x00000065
#define NV_ERR_TIMEOUT_RETRY		0x00000066
#define NV_ERR_GENERIC			0x0000ffff

/* The status of a start until the RM sets it */
#define NVIDIA_VGPU_PENDING		(-1)

/**
 * enum nvidia_vgpu_state - use of a vGPU
 * @NVIDIA_VGPU_UNUSED: created; nobody has its device open
 * @NVIDIA_VGPU_OPENED: its device is being opened
 * @NVIDIA_VGPU_IN_USE: started
 */
enum nvidia_vgpu_state {
	NVIDIA_VGPU_UNUSED = 0,
	NVIDIA_VGPU_OPENED = 1,
	NVIDIA_VGPU_IN_USE = 2,
};

/**
 * struct nvidia_vgpu_rm_ops - functions of the RM, called in process context
 * @version_string: set by the caller to its own version, which must be that of
 *	the RM
 * @vgpu_create: create a vGPU of a type.  The id, a UUID or a PCI name as text,
 *	identifies it in later calls.  @bdf is the VF's domain << 16 | bus << 8
 *	| devfn.  The last argument is one byte
 * @vgpu_delete: delete a vGPU
 * @vgpu_bar_info: get the size of a BAR; the cookie is for inject_interrupt
 * @vgpu_start: start a vGPU for the process that opens it.  The RM later sets
 *	the status, which is NVIDIA_VGPU_PENDING before, and calls
 *	wake_up_interruptible() for the wait queue
 * @get_description: describe a type, "num_heads=4, frl_config=60,
 *	framebuffer=1024M, max_resolution=4096x2160, max_instance=8\n"
 * @get_instances: count the vGPUs of a type that can be created, "8\n"
 * @get_name: get the name of a type, "NVIDIA A40-1Q\n"
 * @get_types: list the types that can be created on a VF
 * @get_sparse_mmap: get the areas of BAR 0 that may be mapped; the arrays
 *	belong to the RM
 * @update_request: report the use of a vGPU.  The parameters are given with
 *	NVIDIA_VGPU_OPENED and begin with "vgpu_type_id=<id>"
 */
struct nvidia_vgpu_rm_ops {
	const char *version_string;
	u32 (*vgpu_create)(struct pci_dev *pf, const u8 *id, u32 type,
			   u16 *vgpu_id, u32 *gpu_id, u32 bdf,
			   u8 *is_driver_vm);
	u32 (*vgpu_delete)(const u8 *id, u16 vgpu_id);
	u32 (*vgpu_bar_info)(struct pci_dev *pf, const u8 *id, u64 *size,
			     u32 bar, void *cookie);
	u32 (*vgpu_start)(const u8 *id, void *wait, s32 *status, u8 *vm_name,
			  u32 pid);
	u32 (*get_description)(struct pci_dev *pdev, u32 type, char *buf);
	u32 (*get_instances)(struct pci_dev *pdev, u32 type, char *buf);
	u32 (*get_name)(struct pci_dev *pdev, u32 type, char *buf);
	u32 (*get_types)(struct pci_dev *vf, u32 *ids, u32 *count);
	u32 (*get_sparse_mmap)(struct pci_dev *pf, const u8 *id, u64 **offsets,
			       u64 **sizes, u32 *count);
	void (*update_request)(const u8 *id, u64 *offsets, u64 *sizes,
			       u32 state, const char *params);
};

/**
 * struct nvidia_vgpu_callbacks - functions that the RM calls
 * @probe: a GPU or one of its VFs has been bound to nvidia.ko, or a VF of a GPU
 *	that was bound again is still bound
 * @remove: a VF or a GPU is being unbound; VFs come before their GPU
 * @inject_interrupt: raise an interrupt of a vGPU, in any context but NMI
 */
struct nvidia_vgpu_callbacks {
	u32 (*probe)(struct pci_dev *pdev, u32 nr_types, u32 *types);
	void (*remove)(struct pci_dev *pdev);
	u32 (*inject_interrupt)(void *cookie);
};

#define NVIDIA_VGPU_ASSERT(_struct, _member, _index)			\
	static_assert(offsetof(struct _struct, _member) ==		\
		      (_index) * sizeof(void *))

NVIDIA_VGPU_ASSERT(nvidia_vgpu_rm_ops, version_string, 0);
NVIDIA_VGPU_ASSERT(nvidia_vgpu_rm_ops, vgpu_create, 1);
NVIDIA_VGPU_ASSERT(nvidia_vgpu_rm_ops, vgpu_delete, 2);
NVIDIA_VGPU_ASSERT(nvidia_vgpu_rm_ops, vgpu_bar_info, 3);
NVIDIA_VGPU_ASSERT(nvidia_vgpu_rm_ops, vgpu_start, 4);
NVIDIA_VGPU_ASSERT(nvidia_vgpu_rm_ops, get_description, 5);
NVIDIA_VGPU_ASSERT(nvidia_vgpu_rm_ops, get_instances, 6);
NVIDIA_VGPU_ASSERT(nvidia_vgpu_rm_ops, get_name, 7);
NVIDIA_VGPU_ASSERT(nvidia_vgpu_rm_ops, get_types, 8);
NVIDIA_VGPU_ASSERT(nvidia_vgpu_rm_ops, get_sparse_mmap, 9);
NVIDIA_VGPU_ASSERT(nvidia_vgpu_rm_ops, update_request, 10);
static_assert(sizeof(struct nvidia_vgpu_rm_ops) == 11 * sizeof(void *));

NVIDIA_VGPU_ASSERT(nvidia_vgpu_callbacks, probe, 0);
NVIDIA_VGPU_ASSERT(nvidia_vgpu_callbacks, remove, 1);
NVIDIA_VGPU_ASSERT(nvidia_vgpu_callbacks, inject_interrupt, 2);
static_assert(sizeof(struct nvidia_vgpu_callbacks) == 3 * sizeof(void *));

/*
 * NV_OK fills in the table.  NV_ERR_GENERIC means that the versions differ, and
 * version_string is that of the RM.
 */
u32 nvidia_vgpu_vfio_get_ops(struct nvidia_vgpu_rm_ops *ops);

/* The RM keeps the pointer.  NULL stops callbacks, but does not wait for any. */
u32 nvidia_vgpu_vfio_set_ops(struct nvidia_vgpu_callbacks *callbacks);

#endif /* NVIDIA_VGPU_VFIO_H */
