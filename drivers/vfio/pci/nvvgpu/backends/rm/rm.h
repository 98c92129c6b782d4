/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nvvgpu-rm: adapter to a Resource Manager, what its files share.
 */
#ifndef NVVGPU_RM_H
#define NVVGPU_RM_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/nvvgpu_backend.h>
#include <linux/pci.h>
#include <linux/types.h>
#include <linux/wait.h>

#include "rm_provider.h"

/**
 * struct rm_vgpu - one VF, and the vGPU on it
 * @gpu: it is of
 * @vf: number of the VF
 * @pdev: the VF, holds a reference; NULL while there is no vGPU
 * @made: the provider has it
 * @id: by which the provider knows the vGPU
 * @type: of the vGPU
 * @vgpu_id: the provider's number for it
 * @gpu_id: the provider's number for the GPU it is on
 * @is_driver_vm: as the provider says
 * @unanswered: the provider may yet answer a start that was given up
 * @wait: for the answer to a start
 * @status: the answer, or NVVGPU_RM_PENDING
 * @nr_areas: entries of @offsets and @sizes that count, known once started
 * @offsets: of the areas of BAR 0 that may be mapped
 * @sizes: likewise
 * @starts: vgpu_start calls
 * @timeouts: those that were given up
 * @interrupts: that the provider has injected
 */
struct rm_vgpu {
	struct rm_gpu *gpu;
	unsigned int vf;
	struct pci_dev *pdev;
	bool made;
	u8 id[NVVGPU_RM_ID_LEN];
	u32 type;
	u16 vgpu_id;
	u32 gpu_id;
	bool is_driver_vm;
	bool unanswered;
	wait_queue_head_t wait;
	u32 status;
	u32 nr_areas;
	u64 offsets[NVVGPU_RM_MAX_AREAS];
	u64 sizes[NVVGPU_RM_MAX_AREAS];
	u64 starts;
	u64 timeouts;
	atomic64_t interrupts;
};

/**
 * struct rm_gpu - a GPU that the provider has reported
 * @node: entry in rm_gpus
 * @pf: holds a reference
 * @backend: the front-end's handle
 * @going: the provider has taken the GPU back; starts are not waited for
 * @nr_types: entries of @types
 * @types: what the provider offers, fixed
 * @nr_vfs: entries of @vgpus
 * @vgpus: by number of the VF; the front-end serializes calls for one
 */
struct rm_gpu {
	struct list_head node;
	struct pci_dev *pf;
	struct nvvgpu_backend *backend;
	bool going;
	unsigned int nr_types;
	struct nvvgpu_type_info *types;
	unsigned int nr_vfs;
	struct rm_vgpu vgpus[] __counted_by(nr_vfs);
};

/* main.c: the handshake, and GPUs that come and go */
extern struct nvvgpu_rm_ops rm_ops;

/* call.c: the provider's functions, with a bound to what they write */
int rm_get_text(struct pci_dev *pf, const char *op,
		u32 (*get)(struct pci_dev *pf, u32 type, char *buf), u32 type,
		char *text, size_t len);
int rm_get_creatable(struct pci_dev *vf, u32 *ids);
int rm_start(struct rm_vgpu *vgpu, pid_t pid);
int rm_get_areas(struct rm_vgpu *vgpu);

/* types.c: what the provider's types offer */
int rm_types_load(struct rm_gpu *gpu, u32 nr, const u32 *ids);
const struct nvvgpu_type_info *rm_type_find(struct rm_gpu *gpu, u32 id);

/* status.c */
int rm_errno(u32 status);
int rm_check(struct pci_dev *pdev, const char *op, u32 status);

/* ops.c: the contract with the front-end */
extern const struct nvvgpu_backend_ops rm_backend_ops;

#endif /* NVVGPU_RM_H */
