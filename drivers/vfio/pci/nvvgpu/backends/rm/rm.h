/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nvvgpu-rm: adapter to the Resource Manager (RM) of NVIDIA's vGPU host driver,
 * declarations shared by its files.
 */
#ifndef NVVGPU_RM_H
#define NVVGPU_RM_H

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/nvvgpu_backend.h>
#include <linux/pci.h>
#include <linux/ratelimit.h>
#include <linux/types.h>
#include <linux/wait.h>

#include "nvidia_vgpu_vfio.h"

/**
 * enum rm_call - calls of the RM that may fail
 * @RM_CREATE: vgpu_create
 * @RM_DELETE: vgpu_delete
 * @RM_BAR_INFO: vgpu_bar_info
 * @RM_START: vgpu_start
 * @RM_ANSWER: the answer to vgpu_start
 * @RM_GET_TYPES: get_types
 * @RM_GET_NAME: get_name
 * @RM_GET_DESCRIPTION: get_description
 * @RM_GET_INSTANCES: get_instances
 * @RM_GET_SPARSE_MMAP: get_sparse_mmap
 * @NR_RM_CALLS: number of calls, not one itself
 */
enum rm_call {
	RM_CREATE,
	RM_DELETE,
	RM_BAR_INFO,
	RM_START,
	RM_ANSWER,
	RM_GET_TYPES,
	RM_GET_NAME,
	RM_GET_DESCRIPTION,
	RM_GET_INSTANCES,
	RM_GET_SPARSE_MMAP,
	NR_RM_CALLS,
};

/**
 * struct rm_vgpu - a VF and its vGPU
 * @gpu: the GPU of the VF
 * @vf: number of the VF
 * @pdev: the VF, holds a reference; NULL without a vGPU
 * @made: the vGPU exists in the RM
 * @id: PCI name of the VF as text, which identifies the vGPU to the RM
 * @type: id of the vGPU's type
 * @vgpu_id: number that the RM has given it
 * @unanswered: the RM may yet answer a start that has timed out
 * @wait: woken by the RM when it has answered a start
 * @status: the answer, or NVIDIA_VGPU_PENDING
 * @vm_name: buffer for the name of the VM; the RM may write to it until the
 *	vGPU is deleted
 * @fb_bar_size: size of NVIDIA_VGPU_BAR_FB, known once started
 * @nr_areas: entries of @offsets and @sizes, known once started
 * @offsets: offsets of the areas of BAR 0 that may be mapped
 * @sizes: sizes of these areas
 * @starts: vgpu_start calls
 * @timeouts: starts that have timed out
 * @interrupts: interrupts that the RM has injected
 * @limits: limits of the messages about each call
 */
struct rm_vgpu {
	struct rm_gpu *gpu;
	unsigned int vf;
	struct pci_dev *pdev;
	bool made;
	u8 id[NVIDIA_VGPU_ID_LEN];
	u32 type;
	u16 vgpu_id;
	bool unanswered;
	wait_queue_head_t wait;
	s32 status;
	u8 *vm_name;
	u64 fb_bar_size;
	u32 nr_areas;
	u64 offsets[NVIDIA_VGPU_MAX_AREAS];
	u64 sizes[NVIDIA_VGPU_MAX_AREAS];
	u64 starts;
	u64 timeouts;
	atomic64_t interrupts;
	struct ratelimit_state limits[NR_RM_CALLS];
};

/**
 * struct rm_type - a vGPU type of a GPU
 * @asked: the RM has been asked for @info
 * @known: @info is complete
 * @info: attributes; only the id, or also the name, until @known
 */
struct rm_type {
	bool asked;
	bool known;
	struct nvvgpu_type_info info;
};

/**
 * struct rm_gpu - a GPU that the RM has reported
 * @node: entry in rm_gpus
 * @pf: PF of the GPU, holds a reference
 * @backend: handle of the front-end, NULL unless registered
 * @settled: completed once the registration has succeeded or failed
 * @going: the GPU is being removed; no start is waited for
 * @by_vf: the RM has reported VFs, whose types and instances are asked for
 * @limits: limits of the messages about each call that needs no vGPU
 * @types_mutex: protects rm_type::asked, known and the rest of info
 * @nr_types: entries of @types; only grows
 * @types: types that the RM has reported
 * @wait_key: lock class of rm_vgpu::wait; may outlive the module, as that does
 * @wait_name: name of @wait_key, likewise
 * @nr_vfs: entries of @vgpus
 * @vgpus: vGPUs, indexed by VF; the front-end serializes calls for one VF
 */
struct rm_gpu {
	struct list_head node;
	struct pci_dev *pf;
	struct nvvgpu_backend *backend;
	struct completion settled;
	bool going;
	bool by_vf;
	struct ratelimit_state limits[NR_RM_CALLS];
	struct mutex types_mutex; /* protects the contents of types */
	unsigned int nr_types;
	struct rm_type types[NVIDIA_VGPU_MAX_TYPES];
	struct lock_class_key wait_key;
	char wait_name[16];
	unsigned int nr_vfs;
	struct rm_vgpu vgpus[] __counted_by(nr_vfs);
};

/* Weak, so that the module can be built without the driver that has these */
extern typeof(nvidia_vgpu_vfio_get_ops) nvidia_vgpu_vfio_get_ops __weak;
extern typeof(nvidia_vgpu_vfio_set_ops) nvidia_vgpu_vfio_set_ops __weak;

/* main.c: handshake, and GPUs that come and go */
extern struct nvidia_vgpu_rm_ops rm_ops;

/* call.c: functions of the RM, with bounds on time and on what they write */
int rm_get_text(struct rm_gpu *gpu, struct pci_dev *pdev, enum rm_call call,
		u32 (*get)(struct pci_dev *pdev, u32 type, char *buf),
		u32 type, char *text, size_t len);
int rm_get_creatable(struct rm_gpu *gpu, struct pci_dev *vf, u32 *ids);
u8 *rm_vm_name_alloc(void);
int rm_start(struct rm_vgpu *vgpu, pid_t pid);
int rm_get_fb_bar(struct rm_vgpu *vgpu);
int rm_get_areas(struct rm_vgpu *vgpu);

/* types.c: vGPU types */
bool rm_types_add(struct rm_gpu *gpu, u32 nr, const u32 *ids);
struct rm_type *rm_type_find(struct rm_gpu *gpu, u32 id);
int rm_type_info(struct rm_gpu *gpu, u32 id, struct nvvgpu_type_info *info);

/* status.c: failures of the RM */
int rm_errno(u32 status);
void rm_limits_init(struct ratelimit_state *limits);
__printf(4, 5)
void rm_warn(struct ratelimit_state *limits, struct pci_dev *pdev,
	     enum rm_call call, const char *fmt, ...);
int rm_check(struct rm_gpu *gpu, struct pci_dev *pdev, enum rm_call call,
	     u32 status);
int rm_vgpu_check(struct rm_vgpu *vgpu, enum rm_call call, u32 status);

/* ops.c: the contract with the front-end */
extern const struct nvvgpu_backend_ops rm_backend_ops;
struct pci_dev *rm_unused_vf(struct rm_gpu *gpu);

#endif /* NVVGPU_RM_H */
