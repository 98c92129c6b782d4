// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-generic: claimed physical functions, and their removal.
 */
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/math64.h>
#include <linux/notifier.h>
#include <linux/slab.h>

#include "generic.h"

static LIST_HEAD(generic_pfs);
/* protects generic_pfs and pdev of its entries */
DEFINE_MUTEX(generic_mutex);

/**
 * generic_vf_bar_size() - get the size of a BAR of the VFs
 * @pf: the PF
 * @bar: number of the BAR
 *
 * Return: bytes, 0 if the VFs do not have that BAR
 */
u64 generic_vf_bar_size(struct pci_dev *pf, unsigned int bar)
{
	int pos = pci_find_ext_capability(pf, PCI_EXT_CAP_ID_SRIOV);
	u16 total = 0;

	pci_read_config_word(pf, pos + PCI_SRIOV_TOTAL_VF, &total);
	if (!total || PCI_POSSIBLE_ERROR(total))
		return 0;

	return div_u64(pci_resource_len(pf, PCI_IOV_RESOURCES + bar), total);
}

/* Find a PF by its PCI name, and take a reference. */
static struct pci_dev *generic_find_pf(const char *name)
{
	unsigned int domain, bus, slot, func;
	struct pci_dev *pdev;

	if (sscanf(name, "%x:%x:%x.%x", &domain, &bus, &slot, &func) != 4 ||
	    bus > 0xff || slot > 0x1f || func > 7)
		return ERR_PTR(generic_refuse(name, -EINVAL,
					      "is not a PCI name such as 0000:01:00.0"));

	pdev = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, func));
	if (!pdev)
		return ERR_PTR(generic_refuse(name, -ENODEV, "no such device"));
	if (strcmp(name, pci_name(pdev))) {
		generic_refuse(name, -EINVAL, "is spelt %s", pci_name(pdev));
		pci_dev_put(pdev);
		return ERR_PTR(-EINVAL);
	}
	if (!pdev->is_physfn) {
		pci_dev_put(pdev);
		return ERR_PTR(generic_refuse(name, -EOPNOTSUPP,
					      "is not an SR-IOV physical function"));
	}

	return pdev;
}

/**
 * generic_pf_claim() - claim a PF
 * @pf: zeroed except for its name
 *
 * Undone by generic_pf_release().
 *
 * Return: 0 or a negative errno
 */
int generic_pf_claim(struct generic_pf *pf)
{
	struct pci_dev *pdev;

	pdev = generic_find_pf(generic_pf_name(pf));
	if (IS_ERR(pdev))
		return PTR_ERR(pdev);

	mutex_init(&pf->enable_lock);
	mutex_init(&pf->lock);
	INIT_LIST_HEAD(&pf->types);
	pf->pdev = pdev;

	guard(mutex)(&generic_mutex);
	list_add_tail(&pf->node, &generic_pfs);

	return 0;
}

static void generic_unregister(struct generic_pf *pf)
{
	struct nvvgpu_backend *backend = pf->backend;

	lockdep_assert_held(&pf->enable_lock);

	if (!backend)
		return;

	/* Waits for the users of the VFs, and deletes all vGPUs. */
	nvvgpu_backend_unregister(backend);
	scoped_guard(mutex, &pf->lock)
		WRITE_ONCE(pf->backend, NULL);
	nvvgpu_backend_free(backend);
	kfree(pf->vgpus);
	pf->vgpus = NULL;
	pf->nr_vfs = 0;
}

/**
 * generic_pf_release() - release a PF
 * @pf: the PF
 */
void generic_pf_release(struct generic_pf *pf)
{
	guard(mutex)(&pf->enable_lock);

	generic_unregister(pf);

	guard(mutex)(&generic_mutex);

	list_del(&pf->node);
	pci_dev_put(pf->pdev);
	pf->pdev = NULL;
}

/* The device in the slot may have been replaced since a type was configured. */
static int generic_check_types(struct generic_pf *pf)
{
	struct generic_type *type;
	unsigned int bar;

	guard(mutex)(&pf->lock);

	list_for_each_entry(type, &pf->types, node) {
		for (bar = 0; bar < NVVGPU_MAX_BARS; bar++) {
			u64 size = generic_vf_bar_size(pf->pdev, bar);

			if (type->offered &&
			    (type->info.bar_bytes[bar] > size ||
			     (type->hidden & BIT(bar) && !size)))
				return generic_refuse(generic_pf_name(pf), -EINVAL,
						      "type %u: BAR %u of the VFs is %llu bytes",
						      type->info.id, bar, size);
		}
	}

	return 0;
}

static int generic_register(struct generic_pf *pf)
{
	int ret;

	lockdep_assert_held(&pf->enable_lock);

	/* The VFs do not work without the driver of the PF. */
	if (!pf->pdev->dev.driver)
		return generic_refuse(generic_pf_name(pf), -ENODEV,
				      "no driver is bound to it");

	ret = generic_check_types(pf);
	if (ret)
		return ret;

	pf->nr_vfs = pci_sriov_get_totalvfs(pf->pdev);
	pf->vgpus = kzalloc_objs(*pf->vgpus, pf->nr_vfs, GFP_KERNEL);
	if (!pf->vgpus)
		return -ENOMEM;

	/* A refusal is logged by the front-end. */
	ret = nvvgpu_backend_register(pf->pdev, &generic_ops, pf, &pf->backend);
	if (ret) {
		kfree(pf->vgpus);
		pf->vgpus = NULL;
	}

	return ret;
}

/* Replace the reference to the PF of a directory. */
static void generic_pf_set_pdev(struct generic_pf *pf, struct pci_dev *pdev)
{
	lockdep_assert_held(&pf->enable_lock);

	guard(mutex)(&generic_mutex);

	pci_dev_put(pf->pdev);
	pf->pdev = pdev;
}

/**
 * generic_pf_enable() - offer the types of a PF to its VFs
 * @pf: the PF
 *
 * Return: 0, also if they are already offered, or a negative errno
 */
int generic_pf_enable(struct generic_pf *pf)
{
	struct pci_dev *pdev;
	int ret = 0;

	pdev = generic_find_pf(generic_pf_name(pf));
	if (IS_ERR(pdev))
		return PTR_ERR(pdev);

	/* Prevent the driver from being bound or unbound meanwhile. */
	device_lock(&pdev->dev);
	scoped_guard(mutex, &pf->enable_lock) {
		if (pf->pdev != pdev)
			generic_pf_set_pdev(pf, pci_dev_get(pdev));
		if (!pf->backend)
			ret = generic_register(pf);
	}
	device_unlock(&pdev->dev);
	pci_dev_put(pdev);

	return ret;
}

/**
 * generic_pf_disable() - withdraw the types of a PF
 * @pf: the PF
 *
 * Asks the users of the VFs to close them, waits, and deletes the vGPUs.
 */
void generic_pf_disable(struct generic_pf *pf)
{
	guard(mutex)(&pf->enable_lock);

	generic_unregister(pf);
}

/**
 * generic_pf_types_changed() - report that a PF offers other types
 * @pf: the PF
 */
void generic_pf_types_changed(struct generic_pf *pf)
{
	struct nvvgpu_backend *backend;

	/* Not enable_lock, with which the users of the VFs may be waited for */
	guard(mutex)(&pf->lock);

	backend = READ_ONCE(pf->backend);
	if (backend)
		nvvgpu_backend_types_changed(backend);
}

/* Find the directory of a PF, and take a reference. */
static struct generic_pf *generic_pf_get(const struct device *dev)
{
	struct generic_pf *pf;

	guard(mutex)(&generic_mutex);

	list_for_each_entry(pf, &generic_pfs, node)
		if (pf->pdev && &pf->pdev->dev == dev) {
			config_group_get(&pf->group);
			return pf;
		}

	return NULL;
}

/*
 * Called with device_lock of the PF when its driver is being unbound.  Without
 * this driver the VFs do not work, and most drivers remove them.
 */
static int generic_notify(struct notifier_block *nb, unsigned long action,
			  void *data)
{
	struct device *dev = data;
	struct generic_pf *pf;

	if (!to_pci_dev(dev)->is_physfn ||
	    (action != BUS_NOTIFY_UNBIND_DRIVER &&
	     action != BUS_NOTIFY_REMOVED_DEVICE))
		return NOTIFY_DONE;

	pf = generic_pf_get(dev);
	if (!pf)
		return NOTIFY_DONE;

	scoped_guard(mutex, &pf->enable_lock) {
		if (pf->backend)
			dev_info(dev, "driver is being unbound, deleting the vGPUs\n");
		generic_unregister(pf);
		if (action == BUS_NOTIFY_REMOVED_DEVICE)
			generic_pf_set_pdev(pf, NULL);
	}
	config_group_put(&pf->group);

	return NOTIFY_OK;
}

static struct notifier_block generic_notifier = {
	.notifier_call = generic_notify,
};

/**
 * generic_notifier_register() - watch for PFs that are removed
 *
 * Return: 0 or a negative errno
 */
int generic_notifier_register(void)
{
	return bus_register_notifier(&pci_bus_type, &generic_notifier);
}

/**
 * generic_notifier_unregister() - undo generic_notifier_register()
 */
void generic_notifier_unregister(void)
{
	bus_unregister_notifier(&pci_bus_type, &generic_notifier);
}
