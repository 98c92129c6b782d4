/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nvvgpu-generic: a back-end for the VFs of any SR-IOV device, what its files
 * share.
 */
#ifndef NVVGPU_GENERIC_H
#define NVVGPU_GENERIC_H

#include <linux/configfs.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/nvvgpu_backend.h>
#include <linux/pci.h>
#include <linux/types.h>

/*
 * Lock order
 *
 *   configfs' locks, device_lock of the PF
 *     generic_pf::enable_lock
 *       generic_mutex
 *       device_lock of a VF, the front-end's lock of one VF
 *         generic_pf::lock
 *
 * Only enable_lock is held while the users of the VFs are waited for.
 */

struct generic_pf;

/**
 * struct generic_type - a type configured by the administrator
 * @group: directory of the type
 * @pf: PF of the type, valid as long as the directory exists
 * @node: entry in generic_pf::types as long as the directory exists
 * @offered: vGPUs of the type can be created; it must not change meanwhile
 * @hidden: bit mask of hidden BARs
 * @instances: number of vGPUs of this type; each holds a reference to @group
 * @info: description for the front-end
 */
struct generic_type {
	struct config_group group;
	struct generic_pf *pf;
	struct list_head node;
	bool offered;
	u8 hidden;
	unsigned int instances;
	struct nvvgpu_type_info info;
};

/**
 * struct generic_vgpu - a VF and its vGPU
 * @pf: PF of the VF
 * @type: type of the vGPU, NULL without a vGPU
 * @pdev: the VF, holds a reference
 */
struct generic_vgpu {
	struct generic_pf *pf;
	struct generic_type *type;
	struct pci_dev *pdev;
};

/**
 * struct generic_pf - a physical function claimed by the administrator
 * @group: directory with the name of the PF
 * @types_group: directory "types" in @group
 * @node: entry in generic_pfs
 * @pdev: the PF, holds a reference; NULL once it was removed.  Written under
 *	@enable_lock and generic_mutex
 * @enable_lock: serializes enabling and disabling
 * @backend: NULL unless enabled; written under @enable_lock, and cleared under
 *	@lock, too
 * @lock: protects everything below
 * @types: head of generic_type::node
 * @nr_types: entries in @types
 * @nr_vfs: entries in @vgpus
 * @vgpus: indexed by number of the VF, allocated while enabled
 */
struct generic_pf {
	struct config_group group;
	struct config_group types_group;
	struct list_head node;
	struct pci_dev *pdev;
	struct mutex enable_lock; /* see above */
	struct nvvgpu_backend *backend;
	struct mutex lock; /* see above */
	struct list_head types;
	unsigned int nr_types;
	unsigned int nr_vfs;
	struct generic_vgpu *vgpus;
};

static inline const char *generic_pf_name(struct generic_pf *pf)
{
	return config_item_name(&pf->group.cg_item);
}

/* config.c: configfs */
int generic_config_register(void);
void generic_config_unregister(void);
__printf(3, 4)
int generic_refuse(const char *who, int err, const char *fmt, ...);

/* pf.c: physical functions */
extern struct mutex generic_mutex;

int generic_pf_claim(struct generic_pf *pf);
void generic_pf_release(struct generic_pf *pf);
int generic_pf_enable(struct generic_pf *pf);
void generic_pf_disable(struct generic_pf *pf);
void generic_pf_types_changed(struct generic_pf *pf);
u64 generic_vf_bar_size(struct pci_dev *pf, unsigned int bar);
int generic_notifier_register(void);
void generic_notifier_unregister(void);

/* ops.c: operations of the back-end */
extern const struct nvvgpu_backend_ops generic_ops;

#endif /* NVVGPU_GENERIC_H */
