// SPDX-License-Identifier: GPL-2.0-only
/*
 * The registry of back-ends and of the VFs that they manage.
 */
#include <kunit/visibility.h>
#include <linux/device.h>
#include <linux/export.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "nvvgpu.h"

/* protected by nvvgpu_pfs_mutex */
static LIST_HEAD(nvvgpu_pfs);

/**
 * struct nvvgpu_vf - a VF that is bound to the front-end
 * @node: entry in nvvgpu_pf::vfs
 * @pf: PF of the VF, holds a reference
 * @pdev: the VF
 * @backend: back-end that manages the VF or is about to, else NULL
 * @vgpu: VFIO device of the VF, NULL while no back-end manages it; protected by
 *	device_lock
 * @settings: settings for the next vGPU
 */
struct nvvgpu_vf {
	struct list_head node;
	struct nvvgpu_pf *pf;
	struct pci_dev *pdev;
	struct nvvgpu_backend *backend;
	struct nvvgpu *vgpu;
	struct nvvgpu_settings settings;
};

static struct nvvgpu_pf *nvvgpu_pf_get(struct pci_dev *pdev)
{
	struct nvvgpu_pf *pf;

	lockdep_assert_held(&nvvgpu_pfs_mutex);

	list_for_each_entry(pf, &nvvgpu_pfs, node) {
		if (pf->pdev == pdev) {
			kref_get(&pf->kref);
			return pf;
		}
	}

	pf = kzalloc_obj(*pf, GFP_KERNEL);
	if (!pf)
		return NULL;
	kref_init(&pf->kref);
	pf->pdev = pci_dev_get(pdev);
	spin_lock_init(&pf->lock);
	INIT_LIST_HEAD(&pf->vfs);
	INIT_LIST_HEAD(&pf->vgpus);
	INIT_DELAYED_WORK(&pf->types_work, nvvgpu_types_work);
	INIT_DELAYED_WORK(&pf->catalogue_work, nvvgpu_catalogue_work);
	mutex_init(&pf->types_mutex);
	INIT_LIST_HEAD(&pf->types);
	mutex_init(&pf->dir_mutex);
	list_add(&pf->node, &nvvgpu_pfs);

	return pf;
}

static void nvvgpu_pf_release(struct kref *kref)
{
	struct nvvgpu_pf *pf = container_of(kref, struct nvvgpu_pf, kref);

	list_del(&pf->node);
	mutex_unlock(&nvvgpu_pfs_mutex);

	cancel_delayed_work_sync(&pf->types_work);
	cancel_delayed_work_sync(&pf->catalogue_work);
	mutex_destroy(&pf->dir_mutex);
	mutex_destroy(&pf->types_mutex);
	pci_dev_put(pf->pdev);
	kfree(pf);
}

/* Takes nvvgpu_pfs_mutex, which the work that is cancelled needs, too. */
static void nvvgpu_pf_put(struct nvvgpu_pf *pf)
{
	if (pf)
		kref_put_mutex(&pf->kref, nvvgpu_pf_release, &nvvgpu_pfs_mutex);
}

static struct nvvgpu_vf *nvvgpu_vf_find(struct nvvgpu_pf *pf,
					struct pci_dev *pdev)
{
	struct nvvgpu_vf *vf;

	lockdep_assert_held(&nvvgpu_pfs_mutex);

	list_for_each_entry(vf, &pf->vfs, node)
		if (vf->pdev == pdev)
			return vf;

	return NULL;
}

/* Register the VFIO device of a VF if its PF has a back-end. */
static int nvvgpu_vf_enter(struct nvvgpu_vf *vf)
{
	struct nvvgpu_backend *backend;
	struct nvvgpu *vgpu;

	device_lock_assert(&vf->pdev->dev);

	scoped_guard(mutex, &nvvgpu_pfs_mutex) {
		backend = vf->pf->backend;
		if (vf->backend || !backend || backend->leaving)
			return 0;
		vf->backend = backend;
	}

	/* Some back-ends know their types only once there is a VF. */
	nvvgpu_types_show(backend);
	vgpu = nvvgpu_register(vf->pdev, vf->pf, backend, &vf->settings);
	if (IS_ERR(vgpu))
		return PTR_ERR(vgpu);
	vf->vgpu = vgpu;

	return 0;
}

/* Unregister the VFIO device of a VF, which waits until its user closes it. */
static void nvvgpu_vf_leave(struct nvvgpu_vf *vf)
{
	device_lock_assert(&vf->pdev->dev);

	if (vf->vgpu)
		nvvgpu_unregister(vf->vgpu);
	vf->vgpu = NULL;

	guard(mutex)(&nvvgpu_pfs_mutex);
	vf->backend = NULL;
}

/**
 * nvvgpu_vf_add() - add a VF that is being bound
 * @pdev: the VF, its device_lock held
 *
 * The VF has a VFIO device as long as its PF has a back-end.  Undone by
 * nvvgpu_vf_remove().
 *
 * Return: 0 or a negative errno
 */
int nvvgpu_vf_add(struct pci_dev *pdev)
{
	struct nvvgpu_vf *vf;
	int ret;

	vf = kzalloc_obj(*vf, GFP_KERNEL);
	if (!vf)
		return -ENOMEM;
	vf->pdev = pdev;
	vf->settings.placement = NVVGPU_PLACEMENT_ANY;

	scoped_guard(mutex, &nvvgpu_pfs_mutex) {
		vf->pf = nvvgpu_pf_get(pci_physfn(pdev));
		if (vf->pf)
			list_add_tail(&vf->node, &vf->pf->vfs);
	}
	if (!vf->pf) {
		kfree(vf);
		return -ENOMEM;
	}

	ret = nvvgpu_vf_enter(vf);
	if (ret)
		nvvgpu_vf_remove(pdev);

	return ret;
}

/**
 * nvvgpu_vf_remove() - remove a VF that is being unbound
 * @pdev: the VF, its device_lock held
 *
 * Asks the user of the VFIO device to close it, and waits.
 */
void nvvgpu_vf_remove(struct pci_dev *pdev)
{
	struct nvvgpu_vf *vf = NULL;
	struct nvvgpu_pf *pf;

	scoped_guard(mutex, &nvvgpu_pfs_mutex) {
		list_for_each_entry(pf, &nvvgpu_pfs, node)
			if (pf->pdev == pci_physfn(pdev))
				vf = nvvgpu_vf_find(pf, pdev);
	}

	nvvgpu_vf_leave(vf);

	scoped_guard(mutex, &nvvgpu_pfs_mutex)
		list_del(&vf->node);
	nvvgpu_pf_put(vf->pf);
	kfree(vf->settings.params);
	kfree(vf);
}

static bool nvvgpu_vf_in_use(struct nvvgpu_vf *vf)
{
	struct nvvgpu *vgpu;

	lockdep_assert_held(&nvvgpu_pfs_mutex);

	list_for_each_entry(vgpu, &vf->pf->vgpus, node)
		if (vgpu->core.pdev == vf->pdev)
			return READ_ONCE(vgpu->opened);

	return false;
}

/*
 * Find a VF of the PF that @backend manages, or that has no back-end if @backend
 * is NULL.  VFs whose device is open come last, so that the others need not wait
 * for the users of those.
 */
static struct pci_dev *nvvgpu_pf_next(struct nvvgpu_pf *pf,
				      struct nvvgpu_backend *backend)
{
	struct nvvgpu_vf *vf, *next = NULL;

	guard(mutex)(&nvvgpu_pfs_mutex);

	list_for_each_entry(vf, &pf->vfs, node) {
		if (vf->backend != backend)
			continue;
		if (!nvvgpu_vf_in_use(vf))
			return pci_dev_get(vf->pdev);
		if (!next)
			next = vf;
	}

	return next ? pci_dev_get(next->pdev) : NULL;
}

/*
 * Ask all users to close their devices.  VFIO asks the user of a VF only when
 * that VF is unregistered, after those before it have been closed.
 */
static void nvvgpu_pf_request(struct nvvgpu_pf *pf)
{
	struct nvvgpu *vgpu;

	guard(mutex)(&nvvgpu_pfs_mutex);

	list_for_each_entry(vgpu, &pf->vgpus, node)
		if (READ_ONCE(vgpu->opened))
			vfio_pci_core_request(&vgpu->core.vdev, 0);
}

/* Add all VFs of the PF to a back-end, or remove them from it. */
static void nvvgpu_pf_visit(struct nvvgpu_backend *backend, bool enter)
{
	struct nvvgpu_pf *pf = backend->pf;
	struct nvvgpu_vf *vf;
	struct pci_dev *pdev;

	while ((pdev = nvvgpu_pf_next(pf, enter ? NULL : backend))) {
		device_lock(&pdev->dev);
		/* The VF may have been unbound meanwhile. */
		scoped_guard(mutex, &nvvgpu_pfs_mutex)
			vf = nvvgpu_vf_find(pf, pdev);
		if (vf && !enter)
			nvvgpu_vf_leave(vf);
		else if (vf && nvvgpu_vf_enter(vf))
			dev_err(&pdev->dev,
				"cannot register with VFIO for back-end %s\n",
				backend->table.name);
		device_unlock(&pdev->dev);
		pci_dev_put(pdev);
	}
}

/* Check that a group of operations is complete or absent. */
static bool nvvgpu_group_whole(const void * const *ops, size_t nr)
{
	size_t i;

	for (i = 1; i < nr; i++)
		if (!ops[i] != !ops[0])
			return false;

	return true;
}

#define nvvgpu_whole(...) ({						\
	const void * const __ops[] = { __VA_ARGS__ };			\
									\
	nvvgpu_group_whole(__ops, ARRAY_SIZE(__ops));			\
})

/* Size of the table in each minor version of the contract */
static const size_t nvvgpu_ops_size[] = {
	[0] = sizeof(struct nvvgpu_backend_ops),
};

static_assert(ARRAY_SIZE(nvvgpu_ops_size) == NVVGPU_BACKEND_ABI_MINOR + 1);

static const char *nvvgpu_ops_flaw(const struct nvvgpu_backend_ops *ops)
{
	if (!nvvgpu_whole(ops->get_types, ops->get_type_info,
			  ops->get_available, ops->create, ops->delete))
		return "a provisioning operation is missing";
	if (ops->get_placements && !ops->create)
		return "get_placements requires the provisioning operations";
	if (!ops->start || !ops->stop)
		return "a life cycle operation is missing";
	if (!nvvgpu_whole(ops->reset_prepare, ops->reset_done))
		return "reset_prepare and reset_done require each other";
	if (!nvvgpu_whole(ops->bar_read, ops->bar_write))
		return "bar_read and bar_write require each other";
	if (ops->bar_read && !ops->get_bar_info)
		return "bar_read requires get_bar_info";
	if (!nvvgpu_whole(ops->suspend, ops->resume, ops->state_size,
			  ops->save_begin, ops->save, ops->save_end,
			  ops->load_begin, ops->load, ops->load_end))
		return "a migration operation is missing";
	if (ops->mig_flags && !ops->suspend)
		return "migration flags require the migration operations";
	if (!ops->precopy_estimate != !(ops->mig_flags & NVVGPU_MIG_PRE_COPY))
		return "NVVGPU_MIG_PRE_COPY and precopy_estimate require each other";
	if (ops->mig_flags & NVVGPU_MIG_REINIT && !ops->precopy_estimate)
		return "NVVGPU_MIG_REINIT requires NVVGPU_MIG_PRE_COPY";
	if (ops->state_version_min > ops->state_version)
		return "state_version_min is greater than state_version";
	if (ops->save_ahead && !ops->suspend)
		return "save_ahead requires the migration operations";
	if (!nvvgpu_whole(ops->dma_log_start, ops->dma_log_stop,
			  ops->dma_log_read))
		return "a DMA log operation is missing";
	if (!nvvgpu_whole(ops->get_plane, ops->get_edid, ops->set_edid))
		return "a display operation is missing";

	return NULL;
}

/* Check the whole table of a back-end, and copy the part that both sides know. */
VISIBLE_IF_KUNIT
int nvvgpu_take_ops(struct pci_dev *pf, struct nvvgpu_backend *backend,
		    const struct nvvgpu_backend_ops *ops)
{
	const char *flaw = NULL;
	size_t size;

	if (!nvvgpu_word_valid(ops->name)) {
		dev_err(&pf->dev, "back-end refused: invalid name\n");
		return -EINVAL;
	}
	if (ops->abi_major != NVVGPU_BACKEND_ABI_MAJOR) {
		dev_err(&pf->dev,
			"back-end %s refused: contract %u.%u, but nvvgpu-vfio-pci has %u.%u\n",
			ops->name, ops->abi_major, ops->abi_minor,
			NVVGPU_BACKEND_ABI_MAJOR, NVVGPU_BACKEND_ABI_MINOR);
		return -EPROTONOSUPPORT;
	}

	size = nvvgpu_ops_size[min(ops->abi_minor, NVVGPU_BACKEND_ABI_MINOR)];
	if (ops->size < size) {
		flaw = "the table is too short";
	} else if (!pf->is_physfn) {
		flaw = "not an SR-IOV physical function";
	} else {
		memcpy(&backend->table, ops, size);
		flaw = nvvgpu_ops_flaw(&backend->table);
	}
	if (flaw) {
		dev_err(&pf->dev, "back-end %s refused: %s\n", ops->name, flaw);
		return -EINVAL;
	}
	backend->ops = &backend->table;

	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_take_ops);

/* Make this back-end the only one of the PF. */
static int nvvgpu_backend_claim(struct nvvgpu_backend *backend,
				struct pci_dev *pdev,
				struct nvvgpu_backend **handle)
{
	struct nvvgpu_pf *pf;

	guard(mutex)(&nvvgpu_pfs_mutex);

	/* Put by nvvgpu_backend_free(), also after a failure */
	pf = nvvgpu_pf_get(pdev);
	if (!pf)
		return -ENOMEM;
	backend->pf = pf;
	if (pf->backend) {
		dev_err(&pdev->dev, "back-end %s refused: PF is managed by %s\n",
			backend->table.name, pf->backend->table.name);
		return -EBUSY;
	}
	/*
	 * A VF that is being bound may call operations immediately, and the
	 * back-end may use the handle without a lock.
	 */
	smp_store_release(handle, backend);
	pf->backend = backend;

	return 0;
}

/**
 * nvvgpu_backend_free() - free the handle of a back-end
 * @backend: back-end that has been unregistered, or NULL
 *
 * The back-end may report events until it calls this.  So a user that
 * nvvgpu_backend_unregister() waits for is still notified of a crash.
 *
 * Context: process context, may sleep.
 */
void nvvgpu_backend_free(struct nvvgpu_backend *backend)
{
	if (!backend)
		return;

	nvvgpu_pf_put(backend->pf);
	kfree(backend->stale);
	kfree(backend->ready);
	kfree(backend);
}
EXPORT_SYMBOL_NS_GPL(nvvgpu_backend_free, "NVVGPU");

DEFINE_FREE(nvvgpu_backend, struct nvvgpu_backend *, nvvgpu_backend_free(_T))

/**
 * nvvgpu_backend_register() - register a back-end for a physical function
 * @pf: the PF; must remain until nvvgpu_backend_unregister() has returned, for
 *	instance because the caller is its driver
 * @ops: constant table of operations, must remain as long as @pf
 * @priv: pointer passed to the operations that have no handle of a vGPU
 * @handle: set to a handle for nvvgpu_backend_unregister() and
 *	nvvgpu_backend_event() before any operation is called; NULL on failure
 *
 * VFs of @pf may be bound to the front-end earlier or later.  Each has a VFIO
 * device as long as it is bound and the back-end is registered.
 *
 * Context: process context, may sleep; takes device_lock of the VFs.
 *
 * Return: 0; -EPROTONOSUPPORT if the major version of the contract differs;
 * -EINVAL if the table is invalid; -EBUSY if @pf has a back-end; -ENOMEM
 */
int nvvgpu_backend_register(struct pci_dev *pf,
			    const struct nvvgpu_backend_ops *ops, void *priv,
			    struct nvvgpu_backend **handle)
{
	struct nvvgpu_backend *backend __free(nvvgpu_backend) = NULL;
	int ret;

	*handle = NULL;
	backend = kzalloc_obj(*backend, GFP_KERNEL);
	if (!backend)
		return -ENOMEM;

	ret = nvvgpu_take_ops(pf, backend, ops);
	if (ret)
		return ret;

	backend->priv = priv;
	ratelimit_state_init(&backend->complaint_limit,
			     DEFAULT_RATELIMIT_INTERVAL,
			     DEFAULT_RATELIMIT_BURST);
	backend->total_vfs = pci_sriov_get_totalvfs(pf);
	backend->stale = kzalloc_objs(*backend->stale, backend->total_vfs,
				      GFP_KERNEL);
	if (!backend->stale)
		return -ENOMEM;
	if (!(nvvgpu_can(backend) & NVVGPU_CAN_CREATE)) {
		backend->ready = kzalloc_objs(*backend->ready,
					      backend->total_vfs, GFP_KERNEL);
		if (!backend->ready)
			return -ENOMEM;
	}

	ret = nvvgpu_backend_claim(backend, pf, handle);
	if (ret)
		return ret;
	nvvgpu_types_show(backend);
	nvvgpu_pf_visit(no_free_ptr(backend), true);

	return 0;
}
EXPORT_SYMBOL_NS_GPL(nvvgpu_backend_register, "NVVGPU");

/* The last attempt, because the record goes with the back-end. */
static int nvvgpu_backend_delete_stale(struct nvvgpu_backend *backend)
{
	struct pci_dev *pdev = backend->pf->pdev;
	unsigned int vf;
	int ret, left = 0;

	for (vf = 0; vf < backend->total_vfs; vf++) {
		if (!backend->stale[vf])
			continue;
		ret = nvvgpu_op_delete_stale(backend, backend->stale[vf]);
		if (!ret)
			continue;
		dev_err(&pdev->dev,
			"back-end %s: cannot delete the vGPU of VF %u: %pe\n",
			backend->table.name, vf, ERR_PTR(ret));
		left++;
	}

	return left;
}

/**
 * nvvgpu_backend_unregister() - unregister a back-end
 * @backend: handle from nvvgpu_backend_register()
 *
 * Unregisters the VFIO devices of all VFs.  As when a VF is unbound, this asks
 * their users to close them, and waits.  Then it deletes all vGPUs.  Must not be
 * called before nvvgpu_backend_register() has returned.  No operation is called
 * afterwards; @backend remains valid until nvvgpu_backend_free().
 *
 * Context: process context, may sleep; takes device_lock of the VFs.
 *
 * Return: number of vGPUs that could not be deleted; the log names each
 */
int nvvgpu_backend_unregister(struct nvvgpu_backend *backend)
{
	int left;

	scoped_guard(mutex, &nvvgpu_pfs_mutex)
		backend->leaving = true;

	nvvgpu_pf_request(backend->pf);
	nvvgpu_pf_visit(backend, false);
	nvvgpu_types_hide(backend);
	left = nvvgpu_backend_delete_stale(backend);

	scoped_guard(mutex, &nvvgpu_pfs_mutex)
		backend->pf->backend = NULL;

	return left;
}
EXPORT_SYMBOL_NS_GPL(nvvgpu_backend_unregister, "NVVGPU");

/**
 * nvvgpu_backend_get_vf() - find a VF by its number
 * @pf: the PF
 * @vf: number of the VF
 *
 * Context: process context.
 *
 * Return: the VF, to be released by pci_dev_put(), or NULL if there is none
 */
struct pci_dev *nvvgpu_backend_get_vf(struct pci_dev *pf, unsigned int vf)
{
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev)
		if (pdev->is_virtfn && pci_physfn(pdev) == pf &&
		    pci_iov_vf_id(pdev) == vf)
			return pdev;

	return NULL;
}
EXPORT_SYMBOL_NS_GPL(nvvgpu_backend_get_vf, "NVVGPU");

/**
 * nvvgpu_backend_event() - report an event of a VF
 * @backend: handle from nvvgpu_backend_register()
 * @vf: number of the VF
 * @info: the event
 *
 * User space receives events in the order of their reports, at most a tenth of a
 * second later.  A crash, and all events before it, are delivered immediately.
 * An event that is reported again while it is pending is delivered once, at the
 * position and with the code and address of the last report.  An event for a VF
 * without a vGPU is dropped.  An event names a VF, so do not report one of a vGPU
 * once its delete has returned.  nvvgpu/events counts coalesced and dropped reports.
 *
 * Context: any but NMI, also from within an operation.
 */
void nvvgpu_backend_event(struct nvvgpu_backend *backend, unsigned int vf,
			  const struct nvvgpu_event_info *info)
{
	struct nvvgpu_event_info known = {};
	struct nvvgpu *vgpu;
	unsigned long flags;

	memcpy(&known, info, min_t(size_t, info->argsz, sizeof(known)));
	if (WARN_ON_ONCE(info->argsz < offsetofend(typeof(known), event) ||
			 known.event >= NVVGPU_NR_EVENTS))
		return;

	spin_lock_irqsave(&backend->pf->lock, flags);
	if (known.event == NVVGPU_EVENT_CRASHED)
		nvvgpu_ready_crashed(backend, vf);
	vgpu = nvvgpu_pf_find(backend, vf);
	if (vgpu && known.event == NVVGPU_EVENT_DISPLAY)
		nvvgpu_display_update(vgpu);
	if (vgpu)
		nvvgpu_event_add(vgpu, &known);
	spin_unlock_irqrestore(&backend->pf->lock, flags);
}
EXPORT_SYMBOL_NS_GPL(nvvgpu_backend_event, "NVVGPU");

/**
 * nvvgpu_backend_flip() - report that a display has moved to another location
 * @backend: handle from nvvgpu_backend_register()
 * @vf: number of the VF
 *
 * To be called when get_plane returns another plane in the same mode; a new mode
 * has an event of its own.  The guest may control the rate: reports that come
 * faster than a viewer can show them are merged.  User space is not notified.
 *
 * Context: any but NMI, also from within an operation.
 */
void nvvgpu_backend_flip(struct nvvgpu_backend *backend, unsigned int vf)
{
	struct nvvgpu *vgpu;
	unsigned long flags;

	spin_lock_irqsave(&backend->pf->lock, flags);
	vgpu = nvvgpu_pf_find(backend, vf);
	if (vgpu)
		nvvgpu_display_update(vgpu);
	spin_unlock_irqrestore(&backend->pf->lock, flags);
}
EXPORT_SYMBOL_NS_GPL(nvvgpu_backend_flip, "NVVGPU");
