// SPDX-License-Identifier: GPL-2.0-only
/*
 * The registry of back-ends, and the gate through which they come and go.
 */
#include <kunit/visibility.h>
#include <linux/ctype.h>
#include <linux/export.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "nvvgpu.h"

static LIST_HEAD(nvvgpu_pfs);
/* protects nvvgpu_pfs */
static DEFINE_MUTEX(nvvgpu_pfs_mutex);

static struct nvvgpu_pf *nvvgpu_pf_get(struct pci_dev *pdev)
{
	struct nvvgpu_pf *pf;

	guard(mutex)(&nvvgpu_pfs_mutex);

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
	init_rwsem(&pf->gate);
	spin_lock_init(&pf->lock);
	INIT_LIST_HEAD(&pf->vgpus);
	list_add(&pf->node, &nvvgpu_pfs);

	return pf;
}

static void nvvgpu_pf_release(struct kref *kref)
{
	struct nvvgpu_pf *pf = container_of(kref, struct nvvgpu_pf, kref);

	lockdep_assert_held(&nvvgpu_pfs_mutex);

	list_del(&pf->node);
	pci_dev_put(pf->pdev);
	kfree(pf);
}

static void nvvgpu_pf_put(struct nvvgpu_pf *pf)
{
	guard(mutex)(&nvvgpu_pfs_mutex);

	kref_put(&pf->kref, nvvgpu_pf_release);
}

/**
 * nvvgpu_backend_attach_vf() - let a VF's vGPU be managed by its PF's back-end
 * @vgpu: the VF
 *
 * The back-end may be there already, come later and go at any time.
 *
 * Return: 0 or -ENOMEM.  Undone by nvvgpu_backend_detach_vf().
 */
int nvvgpu_backend_attach_vf(struct nvvgpu *vgpu)
{
	struct pci_dev *pdev = vgpu->core.pdev;
	struct nvvgpu_pf *pf;

	pf = nvvgpu_pf_get(pci_physfn(pdev));
	if (!pf)
		return -ENOMEM;

	vgpu->pf = pf;
	vgpu->vf = pci_iov_vf_id(pdev);

	guard(rwsem_write)(&pf->gate);
	spin_lock_irq(&pf->lock);
	list_add_tail(&vgpu->node, &pf->vgpus);
	spin_unlock_irq(&pf->lock);

	return 0;
}

/**
 * nvvgpu_backend_detach_vf() - a VF leaves, and its vGPU with it
 * @vgpu: the VF; its VFIO device is closed and unregistered
 */
void nvvgpu_backend_detach_vf(struct nvvgpu *vgpu)
{
	struct nvvgpu_pf *pf = vgpu->pf;

	/* A failure has been logged; the VF goes all the same. */
	scoped_guard(nvvgpu, vgpu)
		nvvgpu_delete(vgpu);

	scoped_guard(rwsem_write, &pf->gate) {
		spin_lock_irq(&pf->lock);
		list_del(&vgpu->node);
		spin_unlock_irq(&pf->lock);
	}
	cancel_delayed_work_sync(&vgpu->event_work);
}

/**
 * nvvgpu_backend_put_pf() - let go of what nvvgpu_backend_attach_vf() has taken
 * @vgpu: the VF, whose last user has gone
 */
void nvvgpu_backend_put_pf(struct nvvgpu *vgpu)
{
	if (vgpu->pf)
		nvvgpu_pf_put(vgpu->pf);
}

/**
 * nvvgpu_backend_types() - the ids of the types that a back-end has
 * @backend: the back-end, its PF's gate is held
 * @ids: room for NVVGPU_MAX_TYPES ids
 *
 * Return: their number or a negative errno
 */
int nvvgpu_backend_types(struct nvvgpu_backend *backend, u32 *ids)
{
	int nr;

	lockdep_assert_held(&backend->pf->gate);

	nr = backend->ops->get_types(backend->priv, ids, NVVGPU_MAX_TYPES);

	return nr > NVVGPU_MAX_TYPES ? -EOVERFLOW : nr;
}

/*
 * Tools split the lines that show a name at the first colon and at single
 * spaces, and take "-<GB><class>" from its end.
 */
VISIBLE_IF_KUNIT
bool nvvgpu_name_valid(const char *name)
{
	size_t i, len = strnlen(name, NVVGPU_NAME_LEN);

	if (!len || len == NVVGPU_NAME_LEN || name[0] == ' ' ||
	    name[len - 1] == ' ')
		return false;

	for (i = 0; i < len; i++) {
		/* To isprint() the upper half of Latin-1 is, too. */
		if (!isascii(name[i]) || !isprint(name[i]) ||
		    strchr(":\"", name[i]))
			return false;
		if (name[i] == ' ' && name[i + 1] == ' ')
			return false;
	}

	return true;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_name_valid);

/**
 * nvvgpu_backend_type_info() - what a type offers, checked
 * @backend: the back-end, its PF's gate is held
 * @type: id of the type
 * @info: filled in
 *
 * Return: 0; -ENOENT for an unknown type; -EPROTO when the back-end's answer
 * breaks the contract; else the back-end's
 */
int nvvgpu_backend_type_info(struct nvvgpu_backend *backend, u32 type,
			     struct nvvgpu_type_info *info)
{
	int ret;

	lockdep_assert_held(&backend->pf->gate);

	if (!type)
		return -ENOENT;

	memset(info, 0, sizeof(*info));
	ret = backend->ops->get_type_info(backend->priv, type, info);
	if (ret)
		return ret;

	if (info->id != type || type > INT_MAX ||
	    !nvvgpu_name_valid(info->name) || !isupper(info->vgpu_class)) {
		dev_err_ratelimited(&backend->pf->pdev->dev,
				    "back-end %s: type %u is malformed\n",
				    backend->ops->name, type);
		return -EPROTO;
	}

	return 0;
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
	[0] = offsetofend(struct nvvgpu_backend_ops, get_stats),
	[1] = offsetofend(struct nvvgpu_backend_ops, get_placement),
	[2] = offsetofend(struct nvvgpu_backend_ops, state_version),
	[3] = offsetofend(struct nvvgpu_backend_ops, save_ahead),
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
	if (ops->precopy_estimate && !ops->suspend)
		return "precopy_estimate is of no use without migration";
	if (ops->save_ahead && !ops->suspend)
		return "save_ahead is of no use without migration";
	if (!nvvgpu_whole(ops->dma_log_start, ops->dma_log_stop,
			  ops->dma_log_read))
		return "the DMA log operations come together";
	if (!nvvgpu_whole(ops->get_plane, ops->get_edid))
		return "get_plane and get_edid come together";

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

/* A back-end has come or gone: what the VFs can be has changed. */
static void nvvgpu_backend_announce(struct nvvgpu_pf *pf)
{
	struct nvvgpu *vgpu;

	lockdep_assert_held_write(&pf->gate);

	list_for_each_entry(vgpu, &pf->vgpus, node)
		nvvgpu_sysfs_changed(vgpu, NVVGPU_EVENT_NAME_BACKEND);
}

/**
 * nvvgpu_backend_register() - offer the vGPUs of one physical function
 * @pf: the PF, bound to the caller's driver or otherwise kept by the caller
 *	until nvvgpu_backend_unregister()
 * @ops: constant table, must stay as long
 * @priv: given back as the first argument of every operation
 *
 * Operations may be called before this returns.  VFs of @pf may be bound to
 * the front-end before or after.
 *
 * Context: process context, may sleep.
 *
 * Return: a handle for nvvgpu_backend_unregister() and nvvgpu_backend_event();
 * ERR_PTR(-EPROTONOSUPPORT) when the contract's major differs, -EINVAL when
 * the table is not sound, -EBUSY when @pf has a back-end, -ENOMEM.
 */
struct nvvgpu_backend *
nvvgpu_backend_register(struct pci_dev *pf,
			const struct nvvgpu_backend_ops *ops, void *priv)
{
	struct nvvgpu_backend *backend __free(kfree) = NULL;
	int ret;

	backend = kzalloc_obj(*backend, GFP_KERNEL);
	if (!backend)
		return ERR_PTR(-ENOMEM);

	ret = nvvgpu_take_ops(pf, backend, ops);
	if (ret)
		return ERR_PTR(ret);

	backend->priv = priv;
	backend->pf = nvvgpu_pf_get(pf);
	if (!backend->pf)
		return ERR_PTR(-ENOMEM);

	scoped_guard(rwsem_write, &backend->pf->gate) {
		if (backend->pf->backend) {
			dev_err(&pf->dev,
				"back-end %s refused: %s manages this PF\n",
				ops->name, backend->pf->backend->ops->name);
			ret = -EBUSY;
			break;
		}
		backend->pf->backend = backend;
		nvvgpu_backend_announce(backend->pf);
	}
	if (ret) {
		nvvgpu_pf_put(backend->pf);
		return ERR_PTR(ret);
	}

	return no_free_ptr(backend);
}
EXPORT_SYMBOL_GPL(nvvgpu_backend_register);

/**
 * nvvgpu_backend_unregister() - withdraw a back-end
 * @backend: from nvvgpu_backend_register()
 *
 * Waits for operations in work.  vGPUs that exist are stopped and deleted, by
 * the operations' last calls; those that are open are in error from then on.
 * Afterwards no operation is called and @backend is gone.
 *
 * Context: process context, may sleep; not from an operation.
 */
void nvvgpu_backend_unregister(struct nvvgpu_backend *backend)
{
	struct nvvgpu_pf *pf = backend->pf;
	struct nvvgpu *vgpu;

	scoped_guard(rwsem_write, &pf->gate) {
		pf->backend = NULL;
		list_for_each_entry(vgpu, &pf->vgpus, node)
			nvvgpu_drop_backend(vgpu);
		nvvgpu_backend_announce(pf);
	}
	nvvgpu_pf_put(pf);
	kfree(backend);
}
EXPORT_SYMBOL_GPL(nvvgpu_backend_unregister);

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
EXPORT_SYMBOL_GPL(nvvgpu_backend_get_vf);

/**
 * nvvgpu_backend_event() - report that something has happened to a VF
 * @backend: from nvvgpu_backend_register()
 * @vf: number of the VF
 * @event: what has happened
 *
 * Events reach user space in the order in which they are reported, up to a tenth
 * of a second later; a crash, and what waits before it, at once.  One that is
 * reported again before user space was told of it is told once, in the place of
 * the last report; an event for a VF without a vGPU is dropped.  Counters tell of
 * both.
 *
 * Context: any but NMI, also from within an operation.
 */
void nvvgpu_backend_event(struct nvvgpu_backend *backend, unsigned int vf,
			  enum nvvgpu_event event)
{
	struct nvvgpu *vgpu;
	unsigned long flags;

	if (WARN_ON_ONCE(event >= NVVGPU_NR_EVENTS))
		return;

	spin_lock_irqsave(&backend->pf->lock, flags);
	list_for_each_entry(vgpu, &backend->pf->vgpus, node)
		if (vgpu->vf == vf)
			nvvgpu_event_add(vgpu, event);
	spin_unlock_irqrestore(&backend->pf->lock, flags);
}
EXPORT_SYMBOL_GPL(nvvgpu_backend_event);
