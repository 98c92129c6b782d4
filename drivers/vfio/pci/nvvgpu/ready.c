// SPDX-License-Identifier: GPL-2.0-only
/*
 * vGPUs of a PF driver that provisions its VFs by its own means.
 *
 * Such a back-end has no operations to create and delete vGPUs.  It reports a
 * vGPU when the VF is ready, whether or not the VF is bound to the front-end,
 * and withdraws it before the VF becomes something else.
 */
#include <linux/device.h>
#include <linux/export.h>
#include <linux/pci.h>

#include "nvvgpu.h"

/* The VF's device, with a reference, or NULL while there is none. */
static struct nvvgpu *nvvgpu_ready_find(struct nvvgpu_backend *backend,
					unsigned int vf)
{
	struct nvvgpu *vgpu = nvvgpu_pf_find(backend, vf);

	if (vgpu)
		get_device(&vgpu->core.vdev.device);

	return vgpu;
}

/*
 * Take the vGPU that the PF driver has provisioned.  Set the type and the handle of
 * the VF, and whether the vGPU is in error.  Return false if the VF is not ready.
 */
static bool nvvgpu_ready_take(struct nvvgpu *vgpu, bool *crashed)
{
	struct nvvgpu_ready *ready;

	guard(spinlock_irq)(&vgpu->pf->lock);

	ready = &vgpu->backend->ready[vgpu->vf];
	if (!ready->handle)
		return false;
	vgpu->type = ready->info;
	vgpu->handle = ready->handle;
	*crashed = ready->crashed;
	ready->crashed = false;
	ready->adopted = true;

	return true;
}

/* Keep a vGPU, and whether it is in error, for the next time the VF is bound. */
static void nvvgpu_ready_return(struct nvvgpu *vgpu, bool crashed)
{
	struct nvvgpu_ready *ready;

	guard(spinlock_irq)(&vgpu->pf->lock);

	ready = &vgpu->backend->ready[vgpu->vf];
	ready->adopted = false;
	/* A crash may just have been reported. */
	ready->crashed = crashed ||
			 vgpu->events.waiting[NVVGPU_EVENT_CRASHED];
}

static int nvvgpu_do_adopt(struct nvvgpu *vgpu)
{
	u32 placement = 0;
	int ret;

	ret = nvvgpu_alloc_memory(vgpu);
	if (!ret && nvvgpu_can(vgpu->backend) & NVVGPU_CAN_PLACEMENT)
		ret = nvvgpu_op_get_placement(vgpu, &placement);
	WRITE_ONCE(vgpu->placement, placement);
	if (!ret)
		ret = nvvgpu_region_shape(vgpu);
	if (ret) {
		nvvgpu_free_memory(vgpu);
		nvvgpu_fail(vgpu, ret,
			    "cannot adopt the provisioned vGPU of type %u",
			    vgpu->type.id);
		vgpu->type.id = 0;
	}

	return ret;
}

/**
 * nvvgpu_adopt() - take the vGPU that the PF driver has provisioned
 * @vgpu: the VF, locked
 *
 * During a reset, this is left to its end: the vGPU would miss reset_prepare.
 *
 * Return: 0, also if there is none; or the error of the back-end
 */
int nvvgpu_adopt(struct nvvgpu *vgpu)
{
	bool crashed;
	int ret;

	lockdep_assert_held(&vgpu->state_mutex);

	if (vgpu->retired || vgpu->resets || vgpu->state != NVVGPU_BOUND ||
	    nvvgpu_can(vgpu->backend) & NVVGPU_CAN_CREATE)
		return 0;

	nvvgpu_events_drop(vgpu);
	if (!nvvgpu_ready_take(vgpu, &crashed))
		return 0;
	ret = nvvgpu_do_adopt(vgpu);
	if (ret) {
		nvvgpu_ready_return(vgpu, crashed);
		return ret;
	}

	nvvgpu_set_created(vgpu, false);
	if (crashed) {
		nvvgpu_set_state(vgpu, NVVGPU_ERROR, NVVGPU_EVENT_NAME_CRASHED);
		nvvgpu_report_crash(vgpu, -EIO, "the vGPU has crashed");
	}

	return 0;
}

/**
 * nvvgpu_disown() - forget the vGPU that the PF driver has provisioned
 * @vgpu: the VF, locked; its device is closed
 */
void nvvgpu_disown(struct nvvgpu *vgpu)
{
	lockdep_assert_held(&vgpu->state_mutex);

	if (vgpu->state == NVVGPU_BOUND)
		return;

	nvvgpu_end_reset(vgpu);
	scoped_guard(mutex, &vgpu->query_mutex) {
		vgpu->queryable = false;
		nvvgpu_forget_stats(vgpu);
	}
	/* The next user of the VF must not get a vGPU that may still run. */
	nvvgpu_ready_return(vgpu, vgpu->state == NVVGPU_ERROR);
	nvvgpu_set_state(vgpu, NVVGPU_BOUND, NVVGPU_EVENT_NAME_DELETED);
}

static bool nvvgpu_ready_valid(struct nvvgpu_backend *backend, unsigned int vf)
{
	return backend->ready && vf < backend->total_vfs;
}

/**
 * nvvgpu_ready_crashed() - note the crash of a vGPU whose VF is not bound
 * @backend: the back-end, nvvgpu_pf::lock of its PF held
 * @vf: number of the VF
 */
void nvvgpu_ready_crashed(struct nvvgpu_backend *backend, unsigned int vf)
{
	lockdep_assert_held(&backend->pf->lock);

	if (nvvgpu_ready_valid(backend, vf) && !backend->ready[vf].adopted)
		backend->ready[vf].crashed = true;
}

static void nvvgpu_ready_clear(struct nvvgpu_backend *backend, unsigned int vf)
{
	guard(spinlock_irq)(&backend->pf->lock);

	backend->ready[vf].handle = NULL;
}

/*
 * Forget the vGPU of a VF that has no device but @retired.  Return any other device,
 * with a reference: it may have adopted the vGPU.
 */
static struct nvvgpu *nvvgpu_ready_forget(struct nvvgpu_backend *backend,
					  unsigned int vf,
					  const struct nvvgpu *retired)
{
	struct nvvgpu *vgpu;

	guard(spinlock_irq)(&backend->pf->lock);

	vgpu = nvvgpu_ready_find(backend, vf);
	if (vgpu && vgpu != retired)
		return vgpu;
	if (vgpu)
		put_device(&vgpu->core.vdev.device);
	backend->ready[vf].handle = NULL;

	return NULL;
}

/* Return -ESTALE if the device is being unregistered. */
static int nvvgpu_ready_leave(struct nvvgpu *vgpu)
{
	guard(nvvgpu)(vgpu);

	if (vgpu->retired)
		return -ESTALE;
	if (vgpu->opened)
		return -EBUSY;
	/* Clear it first, so that the VF cannot adopt it again. */
	nvvgpu_ready_clear(vgpu->backend, vgpu->vf);
	nvvgpu_disown(vgpu);

	return 0;
}

/**
 * nvvgpu_backend_ready() - report that a VF has a vGPU
 * @backend: handle from nvvgpu_backend_register(), of a table without @create
 * @vf: number of the VF
 * @info: description of the vGPU
 * @handle: handle for the operations of the vGPU, not NULL
 *
 * The VF is in the state "created" from now on, or as soon as it is bound to the
 * front-end or a reset in progress is over.  Calls for one VF must be serialized.
 *
 * If the vGPU is in error when the VF is unbound, or a crash is reported while the
 * VF is not bound, the vGPU is in error when the VF is bound again, until a reset
 * recovers it.
 *
 * Context: process context, may sleep; calls operations.  Not from within an
 * operation, and without a lock that an operation takes.
 *
 * Return: 0, undone by nvvgpu_backend_unready(); -EINVAL if an argument is
 * invalid or the table has @create; -EPROTO if a BAR's shape is invalid; -EBUSY
 * if the VF has a vGPU; -ENOMEM; or the error of @get_placement or @get_bar_info
 */
int nvvgpu_backend_ready(struct nvvgpu_backend *backend, unsigned int vf,
			 const struct nvvgpu_type_info *info, void *handle)
{
	struct nvvgpu_type_info known = {};
	struct nvvgpu *vgpu;
	int ret = 0;

	memcpy(&known, info, min_t(size_t, info->argsz, sizeof(known)));
	known.argsz = sizeof(known);
	if (!handle || !nvvgpu_ready_valid(backend, vf) ||
	    !nvvgpu_type_valid(&known))
		return -EINVAL;

	scoped_guard(spinlock_irq, &backend->pf->lock) {
		if (backend->ready[vf].handle)
			return -EBUSY;
		backend->ready[vf] = (struct nvvgpu_ready){
			.handle = handle,
			.info = known,
		};
		vgpu = nvvgpu_ready_find(backend, vf);
	}
	if (!vgpu)
		return 0;

	/* Under one lock, so that nvvgpu_register() cannot adopt in between. */
	scoped_guard(nvvgpu, vgpu) {
		ret = nvvgpu_adopt(vgpu);
		if (ret)
			nvvgpu_ready_clear(backend, vf);
	}
	put_device(&vgpu->core.vdev.device);

	return ret;
}
EXPORT_SYMBOL_NS_GPL(nvvgpu_backend_ready, "NVVGPU");

/**
 * nvvgpu_backend_unready() - withdraw the vGPU of a VF
 * @backend: handle from nvvgpu_backend_register()
 * @vf: number of the VF
 *
 * No operation is called for the vGPU afterwards.
 *
 * Context: process context, may sleep; calls @reset_done.  Not from within an
 * operation, and without a lock that an operation takes.
 *
 * Return: 0, also if the VF has no vGPU; -EBUSY while its device is open; -EINVAL
 * if an argument is invalid
 */
int nvvgpu_backend_unready(struct nvvgpu_backend *backend, unsigned int vf)
{
	struct nvvgpu *vgpu, *retired = NULL;
	int ret;

	if (!nvvgpu_ready_valid(backend, vf))
		return -EINVAL;

	/* The VF may be unbound and bound meanwhile. */
	do {
		vgpu = nvvgpu_ready_forget(backend, vf, retired);
		if (retired)
			put_device(&retired->core.vdev.device);
		if (!vgpu)
			return 0;
		ret = nvvgpu_ready_leave(vgpu);
		retired = vgpu;
	} while (ret == -ESTALE);
	put_device(&vgpu->core.vdev.device);

	return ret;
}
EXPORT_SYMBOL_NS_GPL(nvvgpu_backend_unready, "NVVGPU");
