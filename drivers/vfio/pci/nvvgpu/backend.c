// SPDX-License-Identifier: GPL-2.0-only
/*
 * The registry of back-ends, and of the VFs that they manage.
 */
#include <kunit/visibility.h>
#include <linux/ctype.h>
#include <linux/device.h>
#include <linux/export.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "nvvgpu.h"

/* Changes within this time wake the readers of creatable_vgpu_types once. */
#define NVVGPU_TYPES_DELAY	(HZ / 10)

static LIST_HEAD(nvvgpu_pfs);
/* protects nvvgpu_pfs and what is in it; held for short updates only */
static DEFINE_MUTEX(nvvgpu_pfs_mutex);

/**
 * struct nvvgpu_vf - a VF that is bound to the front-end
 * @node: entry in nvvgpu_pf::vfs
 * @pf: its PF, holds a reference
 * @pdev: the VF
 * @backend: that manages the VF or is about to, NULL when none does
 * @vgpu: its VFIO device while @backend manages it; protected by device_lock
 * @settings: for the next vGPU
 */
struct nvvgpu_vf {
	struct list_head node;
	struct nvvgpu_pf *pf;
	struct pci_dev *pdev;
	struct nvvgpu_backend *backend;
	struct nvvgpu *vgpu;
	struct nvvgpu_settings settings;
};

/* Walks all VFs, which would make each create and delete depend on their number. */
static void nvvgpu_types_work(struct work_struct *work)
{
	struct nvvgpu_pf *pf = container_of(to_delayed_work(work),
					    struct nvvgpu_pf, types_work);
	struct nvvgpu *vgpu;

	guard(mutex)(&nvvgpu_pfs_mutex);

	list_for_each_entry(vgpu, &pf->vgpus, node)
		sysfs_notify(&nvvgpu_dev(vgpu)->kobj, "nvidia",
			     "creatable_vgpu_types");
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
	list_add(&pf->node, &nvvgpu_pfs);

	return pf;
}

static void nvvgpu_pf_release(struct kref *kref)
{
	struct nvvgpu_pf *pf = container_of(kref, struct nvvgpu_pf, kref);

	list_del(&pf->node);
	mutex_unlock(&nvvgpu_pfs_mutex);

	cancel_delayed_work_sync(&pf->types_work);
	pci_dev_put(pf->pdev);
	kfree(pf);
}

/* Takes nvvgpu_pfs_mutex, which the work that is cancelled needs, too. */
static void nvvgpu_pf_put(struct nvvgpu_pf *pf)
{
	if (pf)
		kref_put_mutex(&pf->kref, nvvgpu_pf_release, &nvvgpu_pfs_mutex);
}

/**
 * nvvgpu_pf_add() - let events reach a vGPU
 * @pf: its PF
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
 * @pf: its PF
 * @vgpu: the VF
 */
void nvvgpu_pf_del(struct nvvgpu_pf *pf, struct nvvgpu *vgpu)
{
	guard(mutex)(&nvvgpu_pfs_mutex);
	guard(spinlock_irq)(&pf->lock);
	list_del(&vgpu->node);
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

/* Have a VF managed by its PF's back-end, if there is one that takes it. */
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

	vgpu = nvvgpu_register(vf->pdev, vf->pf, backend, &vf->settings);
	if (IS_ERR(vgpu))
		return PTR_ERR(vgpu);
	vf->vgpu = vgpu;

	return 0;
}

/* Waits for the user of the VF. */
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
 * nvvgpu_vf_add() - take on a VF that is being bound
 * @pdev: the VF, its device_lock held
 *
 * Its VFIO device exists while a back-end manages its PF.
 *
 * Return: 0, undone by nvvgpu_vf_remove(), or a negative errno
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
 * nvvgpu_vf_remove() - let go of a VF that is being unbound
 * @pdev: the VF, its device_lock held
 *
 * Asks the user of its VFIO device to close it, and waits.
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
	kfree(vf);
}

static bool nvvgpu_vf_in_use(struct nvvgpu_vf *vf)
{
	struct nvvgpu *vgpu;

	lockdep_assert_held(&nvvgpu_pfs_mutex);

	list_for_each_entry(vgpu, &vf->pf->vgpus, node)
		if (vgpu->core.pdev == vf->pdev)
			return READ_ONCE(vgpu->state) == NVVGPU_OPEN;

	return false;
}

/*
 * A VF of the PF that @backend manages, or with NULL that nobody manages yet.
 * Those that are open come last: the others must not wait for their users.
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
 * Ask all users to close their devices.  VFIO asks those of one VF after the
 * other, and the last would hear of it when the others have gone.
 */
static void nvvgpu_pf_request(struct nvvgpu_pf *pf)
{
	struct nvvgpu *vgpu;

	guard(mutex)(&nvvgpu_pfs_mutex);

	list_for_each_entry(vgpu, &pf->vgpus, node)
		if (READ_ONCE(vgpu->opened))
			vfio_pci_core_request(&vgpu->core.vdev, 0);
}

/* Let a back-end manage all VFs of its PF, or none any more. */
static void nvvgpu_pf_visit(struct nvvgpu_backend *backend, bool enter)
{
	struct nvvgpu_pf *pf = backend->pf;
	struct nvvgpu_vf *vf;
	struct pci_dev *pdev;

	while ((pdev = nvvgpu_pf_next(pf, enter ? NULL : backend))) {
		device_lock(&pdev->dev);
		/* It may have been unbound meanwhile. */
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

/* All of a group or none of it */
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

/* How much of the table each minor of the contract has */
static const size_t nvvgpu_ops_size[] = {
	[0] = sizeof(struct nvvgpu_backend_ops),
};

static_assert(ARRAY_SIZE(nvvgpu_ops_size) == NVVGPU_BACKEND_ABI_MINOR + 1);

/* Log lines and nvvgpu/backend show it as one word. */
static bool nvvgpu_word(const char *name)
{
	size_t i;

	if (!name || !name[0])
		return false;
	for (i = 0; name[i]; i++)
		if (i == NVVGPU_NAME_LEN - 1 || !isascii(name[i]) ||
		    !isgraph(name[i]))
			return false;

	return true;
}

static const char *nvvgpu_ops_flaw(const struct nvvgpu_backend_ops *ops)
{
	if (!ops->get_types || !ops->get_type_info || !ops->get_available)
		return "a catalogue operation is missing";
	if (!ops->create || !ops->delete || !ops->start || !ops->stop)
		return "a life cycle operation is missing";
	if (!nvvgpu_whole(ops->reset_prepare, ops->reset_done))
		return "reset_prepare and reset_done come together";
	if (!nvvgpu_whole(ops->bar_read, ops->bar_write))
		return "bar_read and bar_write come together";
	if (ops->bar_read && !ops->get_bar_info)
		return "bar_read is of no use without get_bar_info";
	if (!nvvgpu_whole(ops->suspend, ops->resume, ops->state_size,
			  ops->save_begin, ops->save, ops->save_end,
			  ops->load_begin, ops->load, ops->load_end))
		return "the migration operations come together";
	if (ops->mig_flags && !ops->suspend)
		return "migration flags are of no use without migration";
	if (!ops->precopy_estimate != !(ops->mig_flags & NVVGPU_MIG_PRE_COPY))
		return "NVVGPU_MIG_PRE_COPY and precopy_estimate come together";
	if (ops->state_version_min > ops->state_version)
		return "state_version_min is greater than state_version";
	if (ops->save_ahead && !ops->suspend)
		return "save_ahead is of no use without migration";
	if (!nvvgpu_whole(ops->dma_log_start, ops->dma_log_stop,
			  ops->dma_log_read))
		return "the DMA log operations come together";

	return NULL;
}

/* Check a back-end's table as a whole, and take what of it both sides know. */
VISIBLE_IF_KUNIT
int nvvgpu_take_ops(struct pci_dev *pf, struct nvvgpu_backend *backend,
		    const struct nvvgpu_backend_ops *ops)
{
	const char *flaw = NULL;
	size_t size;

	if (!nvvgpu_word(ops->name)) {
		dev_err(&pf->dev, "back-end refused: its name is not a word\n");
		return -EINVAL;
	}
	if (ops->abi_major != NVVGPU_BACKEND_ABI_MAJOR) {
		dev_err(&pf->dev,
			"back-end %s refused: it speaks contract %u.%u, nvvgpu-vfio-pci speaks %u.%u\n",
			ops->name, ops->abi_major, ops->abi_minor,
			NVVGPU_BACKEND_ABI_MAJOR, NVVGPU_BACKEND_ABI_MINOR);
		return -EPROTONOSUPPORT;
	}

	size = nvvgpu_ops_size[min(ops->abi_minor, NVVGPU_BACKEND_ABI_MINOR)];
	if (ops->size < size) {
		flaw = "its table is too short";
	} else if (!pf->is_physfn) {
		flaw = "this is no SR-IOV physical function";
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

/* Become the one back-end of the PF. */
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
		dev_err(&pdev->dev, "back-end %s refused: %s manages this PF\n",
			backend->table.name, pf->backend->table.name);
		return -EBUSY;
	}
	/* A VF that is bound now calls operations at once. */
	*handle = backend;
	pf->backend = backend;

	return 0;
}

/**
 * nvvgpu_backend_free() - free the handle of a back-end
 * @backend: not registered any more, or NULL
 *
 * Until then events may be reported, so that users whom
 * nvvgpu_backend_unregister() waits for hear of a crash.
 *
 * Context: process context, may sleep.
 */
void nvvgpu_backend_free(struct nvvgpu_backend *backend)
{
	if (!backend)
		return;

	nvvgpu_pf_put(backend->pf);
	kfree(backend->stale);
	kfree(backend);
}
EXPORT_SYMBOL_NS_GPL(nvvgpu_backend_free, "NVVGPU");

DEFINE_FREE(nvvgpu_backend, struct nvvgpu_backend *, nvvgpu_backend_free(_T))

/**
 * nvvgpu_backend_register() - offer the vGPUs of one physical function
 * @pf: the PF, bound to the caller's driver or otherwise kept by the caller
 *	until nvvgpu_backend_unregister()
 * @ops: constant table, must stay as long
 * @priv: given back to the operations that are not about a vGPU
 * @handle: set to a handle for nvvgpu_backend_unregister() and
 *	nvvgpu_backend_event() before any operation is called; NULL on failure
 *
 * VFs of @pf may be bound to the front-end before or after; each has a VFIO
 * device from then on.
 *
 * Context: process context, may sleep; takes device_lock of the VFs.
 *
 * Return: 0; -EPROTONOSUPPORT when the contract's major differs; -EINVAL when
 * the table is not sound; -EBUSY when @pf has a back-end; -ENOMEM
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
	backend->stale = kzalloc_objs(*backend->stale,
				      pci_sriov_get_totalvfs(pf), GFP_KERNEL);
	if (!backend->stale)
		return -ENOMEM;

	ret = nvvgpu_backend_claim(backend, pf, handle);
	if (ret)
		return ret;
	nvvgpu_pf_visit(no_free_ptr(backend), true);

	return 0;
}
EXPORT_SYMBOL_NS_GPL(nvvgpu_backend_register, "NVVGPU");

/* A last attempt: the back-end goes, and with it the record. */
static int nvvgpu_backend_delete_stale(struct nvvgpu_backend *backend)
{
	struct pci_dev *pdev = backend->pf->pdev;
	unsigned int vf, total = pci_sriov_get_totalvfs(pdev);
	int ret, left = 0;

	for (vf = 0; vf < total; vf++) {
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
 * nvvgpu_backend_unregister() - withdraw a back-end
 * @backend: from nvvgpu_backend_register()
 *
 * The VFIO devices of the VFs go.  Their users are asked to close them, as when
 * the VFs are unbound, and this waits until they have.  vGPUs are deleted.
 * Afterwards no operation is called; @backend stays until nvvgpu_backend_free().
 *
 * Context: process context, may sleep; takes device_lock of the VFs.
 *
 * Return: how many vGPUs could not be deleted, each of which is in the log
 */
int nvvgpu_backend_unregister(struct nvvgpu_backend *backend)
{
	int left;

	scoped_guard(mutex, &nvvgpu_pfs_mutex)
		backend->leaving = true;

	nvvgpu_pf_request(backend->pf);
	nvvgpu_pf_visit(backend, false);
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
 * Return: the VF, to be put by pci_dev_put(), or NULL when there is none
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
 * nvvgpu_backend_event() - report that something has happened to a VF
 * @backend: from nvvgpu_backend_register()
 * @vf: number of the VF
 * @info: what has happened
 *
 * Events reach user space in the order in which they are reported, up to a tenth
 * of a second later; a crash, and what waits before it, at once.  One that is
 * reported again before user space was told of it is told once, in the place and
 * with the code and address of the last report; an event for a VF without a vGPU
 * is dropped.  Counters tell of both.
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
	if (WARN_ON_ONCE(known.event >= NVVGPU_NR_EVENTS))
		return;

	spin_lock_irqsave(&backend->pf->lock, flags);
	list_for_each_entry(vgpu, &backend->pf->vgpus, node)
		if (vgpu->vf == vf && vgpu->backend == backend)
			nvvgpu_event_add(vgpu, &known);
	spin_unlock_irqrestore(&backend->pf->lock, flags);
}
EXPORT_SYMBOL_NS_GPL(nvvgpu_backend_event, "NVVGPU");
