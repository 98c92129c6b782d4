/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the adapter and a Resource Manager (RM) that provides vGPUs tell each
 * other.
 *
 * The functions, their order of calls, their limits and the status codes are
 * those that are known of NVIDIA's drivers 460 to 595; the layout of the tables
 * is nvvgpu's own.  A provider is therefore compiled with this header, or comes
 * with a shim that is.  NVIDIA's driver has not been met: the only provider that
 * this was run with is the stand-in of the selftests.
 *
 * The provider exports nvvgpu_rm_get_ops() and nvvgpu_rm_set_ops().  They are
 * linked to, not looked up: symbol_get() finds GPL-only exports alone.
 */
#ifndef NVVGPU_RM_PROVIDER_H
#define NVVGPU_RM_PROVIDER_H

#include <linux/types.h>
#include <linux/wait.h>

struct pci_dev;

/* Compared byte for byte, so it changes with any change of this header. */
#define NVVGPU_RM_VERSION		"nvvgpu-rm 1"

/* Sizes of the buffers that an operation is given without their length */
#define NVVGPU_RM_VERSION_LEN		64
#define NVVGPU_RM_ID_LEN		16
#define NVVGPU_RM_NAME_LEN		64
#define NVVGPU_RM_DESCRIPTION_LEN	256
#define NVVGPU_RM_INSTANCES_LEN		8
#define NVVGPU_RM_VM_NAME_LEN		128
#define NVVGPU_RM_MAX_TYPES		64

#define NVVGPU_RM_MAX_BARS		4
#define NVVGPU_RM_MAX_AREAS		5

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

/* What the adapter leaves in vgpu_start's @status until there is one */
#define NVVGPU_RM_PENDING		0xffffffff

/**
 * enum nvvgpu_rm_state - what a vGPU is to its user
 * @NVVGPU_RM_UNUSED: created, nobody has it; nothing of a user may be left in it
 * @NVVGPU_RM_OPENED: its device is being opened
 * @NVVGPU_RM_IN_USE: it is started
 */
enum nvvgpu_rm_state {
	NVVGPU_RM_UNUSED,
	NVVGPU_RM_OPENED,
	NVVGPU_RM_IN_USE,
};

/**
 * struct nvvgpu_rm_ops - what the provider does, all in process context
 * @version: in: the adapter's version, out: the provider's if that differs
 * @vgpu_create: make a vGPU of @type on a VF.  @id names it from now on: the
 *	VF's PCI name as text.  @vf is its bus, device and function number
 * @vgpu_delete: remove it.  Afterwards the provider uses nothing that it was
 *	given for this vGPU: no cookie, no wait queue, no status
 * @vgpu_bar_info: how large a BAR is; *@size is that of the VF's own.  @cookie
 *	is for inject_interrupt
 * @vgpu_start: begin to start it for the VMM @pid.  Once that has ended, well
 *	or not, the provider sets @status and wakes @wait up.  It may write the
 *	VM's name into @vm_name, NVVGPU_RM_VM_NAME_LEN bytes, before it returns
 * @get_types: ids of the types that can be created on this VF now, at most
 *	NVVGPU_RM_MAX_TYPES
 * @get_name: of a type, into NVVGPU_RM_NAME_LEN bytes
 * @get_description: of a type, into NVVGPU_RM_DESCRIPTION_LEN bytes, such as
 *	"num_heads=4, frl_config=60, framebuffer=1024M,
 *	max_resolution=4096x2160, max_instance=8"
 * @get_instances: how many of a type can be created now, as decimal text into
 *	NVVGPU_RM_INSTANCES_LEN bytes
 * @get_sparse_mmap: the areas of BAR 0 that may be mapped, once the vGPU is
 *	started; the arrays stay the provider's
 * @update_request: a vGPU's state has changed.  @offsets and @sizes are
 *	NVVGPU_RM_MAX_AREAS areas, unused ones 0; @params is "key=value,..."
 */
struct nvvgpu_rm_ops {
	char version[NVVGPU_RM_VERSION_LEN];
	u32 (*vgpu_create)(struct pci_dev *pf, const u8 *id, u32 type, u32 vf,
			   u16 *vgpu_id, u32 *gpu_id, bool *is_driver_vm);
	u32 (*vgpu_delete)(const u8 *id, u16 vgpu_id);
	u32 (*vgpu_bar_info)(struct pci_dev *pf, const u8 *id, u64 *size,
			     u32 bar, void *cookie);
	u32 (*vgpu_start)(const u8 *id, wait_queue_head_t *wait, u32 *status,
			  u8 *vm_name, u32 pid);
	u32 (*get_types)(struct pci_dev *vf, u32 *ids, u32 *count);
	u32 (*get_name)(struct pci_dev *pf, u32 type, char *buf);
	u32 (*get_description)(struct pci_dev *pf, u32 type, char *buf);
	u32 (*get_instances)(struct pci_dev *pf, u32 type, char *buf);
	u32 (*get_sparse_mmap)(struct pci_dev *pf, const u8 *id, u64 **offsets,
			       u64 **sizes, u32 *count);
	void (*update_request)(const u8 *id, const u64 *offsets,
			       const u64 *sizes, u32 state, const char *params);
};

/**
 * struct nvvgpu_rm_callbacks - what the adapter does
 * @probe: a GPU is there, and has these types.  Not called for one GPU from two
 *	places at once; the adapter calls operations before it returns
 * @remove: it goes.  The adapter calls operations, among them vgpu_delete for
 *	every vGPU, and none for this GPU once it has returned; probe and remove
 *	may sleep
 * @inject_interrupt: a vGPU's software raises an interrupt, in any context but
 *	NMI, between the vgpu_bar_info that gave @cookie and vgpu_delete
 */
struct nvvgpu_rm_callbacks {
	u32 (*probe)(struct pci_dev *pf, u32 nr_types, const u32 *types);
	void (*remove)(struct pci_dev *pf);
	void (*inject_interrupt)(void *cookie);
};

/*
 * NV_OK fills the table in.  NV_ERR_GENERIC with another version in it says
 * that the two do not belong together.
 */
u32 nvvgpu_rm_get_ops(struct nvvgpu_rm_ops *ops);

/*
 * Probes the GPUs that are there.  NULL takes the callbacks back, and returns
 * when none of them runs any more; NVIDIA's interface does not have that, and
 * an adapter to a provider without it must never be unloaded.
 */
u32 nvvgpu_rm_set_ops(const struct nvvgpu_rm_callbacks *callbacks);

#endif /* NVVGPU_RM_PROVIDER_H */
