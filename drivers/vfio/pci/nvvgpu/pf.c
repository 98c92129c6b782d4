// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VFs of a PF that have a VFIO device, and what concerns all of them.
 */
#include "nvvgpu.h"

/* Protects the PFs and their VFs.  No operation is called with it held. */
DEFINE_MUTEX(nvvgpu_pfs_mutex);

/**
 * nvvgpu_pf_add() - make a vGPU receive events
 * @pf: PF of the VF
 * @vgpu: the VF
 */
void nvvgpu_pf_add(struct nvvgpu_pf *pf, struct nvvgpu *vgpu)
{
	guard(mutex)(&nvvgpu_pfs_mutex);
	guard(spinlock_irq)(&pf->lock);
	list_add_tail(&vgpu->node, &pf->vgpus);
}

/**
 * nvvgpu_pf_del() - undo nvvgpu_pf_add()
 * @pf: PF of the VF
 * @vgpu: the VF
 */
void nvvgpu_pf_del(struct nvvgpu_pf *pf, struct nvvgpu *vgpu)
{
	guard(mutex)(&nvvgpu_pfs_mutex);
	guard(spinlock_irq)(&pf->lock);
	list_del(&vgpu->node);
}

/**
 * nvvgpu_pf_find() - find the VFIO device of a VF
 * @backend: back-end that manages the VF, nvvgpu_pf::lock of its PF held
 * @vf: number of the VF
 *
 * Return: the device, valid until the lock is released; NULL while there is none
 */
struct nvvgpu *nvvgpu_pf_find(struct nvvgpu_backend *backend, unsigned int vf)
{
	struct nvvgpu *vgpu;

	lockdep_assert_held(&backend->pf->lock);

	list_for_each_entry(vgpu, &backend->pf->vgpus, node)
		if (vgpu->vf == vf && vgpu->backend == backend)
			return vgpu;

	return NULL;
}

/**
 * nvvgpu_types_work() - wake processes that poll nvidia/creatable_vgpu_types
 * @work: nvvgpu_pf::types_work
 *
 * In a worker, so that a create or delete does not take longer with more VFs.
 */
void nvvgpu_types_work(struct work_struct *work)
{
	struct nvvgpu_pf *pf = container_of(to_delayed_work(work),
					    struct nvvgpu_pf, types_work);
	struct nvvgpu *vgpu;

	guard(mutex)(&nvvgpu_pfs_mutex);

	list_for_each_entry(vgpu, &pf->vgpus, node)
		nvvgpu_notify_creatable(vgpu);
}

/**
 * nvvgpu_notify_types() - announce that other types can be created on a PF
 * @pf: the PF
 *
 * Soon wakes processes that poll nvidia/creatable_vgpu_types of any of its VFs:
 * a vGPU takes room that no other VF can use.
 */
void nvvgpu_notify_types(struct nvvgpu_pf *pf)
{
	queue_delayed_work(system_dfl_wq, &pf->types_work, NVVGPU_TYPES_DELAY);
}

/**
 * nvvgpu_announce_types() - announce that the back-end offers other types
 * @pf: the PF
 */
void nvvgpu_announce_types(struct nvvgpu_pf *pf)
{
	struct nvvgpu *vgpu;

	guard(mutex)(&nvvgpu_pfs_mutex);

	list_for_each_entry(vgpu, &pf->vgpus, node) {
		nvvgpu_notify_creatable(vgpu);
		nvvgpu_notify_event(vgpu, NVVGPU_EVENT_NAME_TYPES);
	}
}
