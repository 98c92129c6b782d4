// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-generic: claimed physical functions, and their removal.
 *
 * The VFs do not work without the driver of their PF.  While the types of a PF are
 * offered, a device link makes a platform device a consumer of the PF.  The driver
 * core therefore unbinds nvvgpu-generic from that device, and waits for the users
 * of the VFs, before it unbinds the driver of the PF.  It holds neither device_lock
 * of the PF nor a lock of the PCI bus meanwhile.
 */
#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>

#include "generic.h"

/* Total number of VFs; a PF that is suspended must be resumed to read it. */
static u16 generic_read_total_vfs(struct pci_dev *pf)
{
	int pos = pci_find_ext_capability(pf, PCI_EXT_CAP_ID_SRIOV);
	u16 total = 0;

	if (!pos || pm_runtime_resume_and_get(&pf->dev))
		return 0;
	pci_read_config_word(pf, pos + PCI_SRIOV_TOTAL_VF, &total);
	pm_runtime_put(&pf->dev);

	return PCI_POSSIBLE_ERROR(total) ? 0 : total;
}

/* Size of a BAR of the VFs, 0 if they do not have it */
static u64 generic_vf_bar_size(struct pci_dev *pf, unsigned int bar)
{
	u16 total = generic_read_total_vfs(pf);

	return total ? div_u64(pci_resource_len(pf, PCI_IOV_RESOURCES + bar),
			       total) : 0;
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

	return 0;
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

static void generic_unregister(struct generic_pf *pf)
{
	struct nvvgpu_backend *backend = pf->backend;

	/* Waits for the users of the VFs, and deletes all vGPUs. */
	nvvgpu_backend_unregister(backend);
	scoped_guard(mutex, &pf->lock)
		WRITE_ONCE(pf->backend, NULL);
	nvvgpu_backend_free(backend);
	kfree(pf->vgpus);
	pf->vgpus = NULL;
	pf->nr_vfs = 0;
}

static int generic_probe(struct platform_device *consumer)
{
	struct generic_pf *pf = *(struct generic_pf **)dev_get_platdata(&consumer->dev);

	if (device_link_add(&consumer->dev, &pf->pdev->dev,
			    DL_FLAG_AUTOREMOVE_CONSUMER))
		pf->err = generic_register(pf);
	else
		pf->err = -ENOMEM;

	/* The driver core would log another errno as an error. */
	return pf->err ? -ENODEV : 0;
}

static void generic_remove(struct platform_device *consumer)
{
	struct generic_pf *pf = *(struct generic_pf **)dev_get_platdata(&consumer->dev);

	if (READ_ONCE(pf->consumer))
		pci_info(pf->pdev, "driver is being unbound, deleting the vGPUs\n");
	WRITE_ONCE(pf->leaving, true);
	generic_unregister(pf);
}

static struct platform_driver generic_driver = {
	.probe = generic_probe,
	.remove = generic_remove,
	.driver = {
		.name = KBUILD_MODNAME,
		.probe_type = PROBE_FORCE_SYNCHRONOUS,
		.suppress_bind_attrs = true,
	},
};

/* Stop offering the types. */
static void generic_withdraw(struct generic_pf *pf)
{
	struct platform_device *consumer = pf->consumer;

	lockdep_assert_held(&pf->enable_lock);

	WRITE_ONCE(pf->consumer, NULL);
	platform_device_unregister(consumer);
}

static int generic_offer(struct generic_pf *pf)
{
	struct platform_device *consumer;

	lockdep_assert_held(&pf->enable_lock);
	device_lock_assert(&pf->pdev->dev);

	if (!pf->pdev->dev.driver)
		return generic_refuse(generic_pf_name(pf), -ENODEV,
				      "no driver is bound to it");
	/* The driver core drops device_lock while it unbinds consumers. */
	if (pf->pdev->dev.links.status != DL_DEV_DRIVER_BOUND)
		return -EBUSY;

	WRITE_ONCE(pf->leaving, false);
	pf->err = -EBUSY;
	consumer = platform_device_register_data(NULL, KBUILD_MODNAME,
						 PLATFORM_DEVID_AUTO, &pf,
						 sizeof(pf));
	if (IS_ERR(consumer))
		return PTR_ERR(consumer);
	WRITE_ONCE(pf->consumer, consumer);
	if (consumer->dev.driver)
		return 0;

	generic_withdraw(pf);

	return pf->err ?: -EBUSY;
}

/* Replace the reference to the PF of a directory. */
static void generic_pf_set_pdev(struct generic_pf *pf, struct pci_dev *pdev)
{
	lockdep_assert_held(&pf->enable_lock);

	guard(mutex)(&pf->lock);

	pci_dev_put(pf->pdev);
	pf->pdev = pdev;
}

static int generic_enable_locked(struct generic_pf *pf, struct pci_dev *pdev)
{
	lockdep_assert_held(&pf->enable_lock);

	if (READ_ONCE(pf->backend))
		return READ_ONCE(pf->leaving) ? -EBUSY : 0;

	/* An unbind of the PF's driver leaves the unbound platform device. */
	generic_withdraw(pf);
	if (pf->pdev != pdev)
		generic_pf_set_pdev(pf, pci_dev_get(pdev));

	return generic_offer(pf);
}

/**
 * generic_pf_enable() - offer the types of a PF to its VFs
 * @pf: the PF
 *
 * Return: 0, also if they are already offered; -EBUSY while they are being
 * withdrawn or if another back-end manages the PF; or another negative errno
 */
int generic_pf_enable(struct generic_pf *pf)
{
	struct pci_dev *pdev;
	int ret = -EBUSY;

	pdev = generic_find_pf(generic_pf_name(pf));
	if (IS_ERR(pdev))
		return PTR_ERR(pdev);

	/* Prevent the driver from being bound or unbound meanwhile. */
	device_lock(&pdev->dev);
	/* The holder of enable_lock may wait for users. */
	if (mutex_trylock(&pf->enable_lock)) {
		ret = generic_enable_locked(pf, pdev);
		mutex_unlock(&pf->enable_lock);
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

	generic_withdraw(pf);
}

/**
 * generic_pf_release() - release a PF
 * @pf: the PF
 */
void generic_pf_release(struct generic_pf *pf)
{
	guard(mutex)(&pf->enable_lock);

	generic_withdraw(pf);
	generic_pf_set_pdev(pf, NULL);
}

/**
 * generic_pf_total_vfs() - get the number of VFs that a PF can have
 * @pf: the PF
 *
 * Return: a number, 0 if the PF was removed
 */
unsigned int generic_pf_total_vfs(struct generic_pf *pf)
{
	guard(mutex)(&pf->lock);

	return device_is_registered(&pf->pdev->dev) ?
	       pci_sriov_get_totalvfs(pf->pdev) : 0;
}

/**
 * generic_pf_bar_size() - get the size of a BAR of the VFs of a PF
 * @pf: the PF
 * @bar: number of the BAR
 *
 * Return: bytes, 0 if the VFs do not have that BAR or the PF was removed
 */
u64 generic_pf_bar_size(struct generic_pf *pf, unsigned int bar)
{
	guard(mutex)(&pf->lock);

	return device_is_registered(&pf->pdev->dev) ?
	       generic_vf_bar_size(pf->pdev, bar) : 0;
}

/**
 * generic_pf_types_changed() - report that a PF offers other types
 * @pf: the PF
 */
void generic_pf_types_changed(struct generic_pf *pf)
{
	struct nvvgpu_backend *backend;

	/* Not enable_lock, whose holder may wait for the users of the VFs */
	guard(mutex)(&pf->lock);

	backend = READ_ONCE(pf->backend);
	if (backend)
		nvvgpu_backend_types_changed(backend);
}

/**
 * generic_driver_register() - register the platform driver
 *
 * Return: 0 or a negative errno
 */
int generic_driver_register(void)
{
	return platform_driver_register(&generic_driver);
}

/**
 * generic_driver_unregister() - undo generic_driver_register()
 */
void generic_driver_unregister(void)
{
	platform_driver_unregister(&generic_driver);
}
