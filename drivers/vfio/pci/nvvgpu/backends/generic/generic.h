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
 *     generic_mutex
 *       device_lock of a VF, the front-end's lock of one VF
 *         generic_pf::lock
 */

struct generic_pf;

/**
 * struct generic_type - a type as an administrator has described it
 * @group: its directory
 * @pf: whose VFs have it, valid as long as the directory is there
 * @node: entry in generic_pf::types while the directory is there
 * @offered: may be chosen, and is not changed while it may
 * @hidden: bits of the BARs that a user does not see
 * @instances: vGPUs of this type; each holds a reference to @group
 * @info: for the front-end
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
 * struct generic_vgpu - a vGPU, that is: a VF with a type
 * @pf: its PF
 * @type: NULL while there is none
 * @pdev: the VF, holds a reference
 */
struct generic_vgpu {
	struct generic_pf *pf;
	struct generic_type *type;
	struct pci_dev *pdev;
};

/**
 * struct generic_pf - a physical function as an administrator has claimed it
 * @group: its directory, by the PF's name
 * @types_group: the directory "types" in it
 * @node: entry in generic_pfs
 * @pdev: holds a reference; NULL once the PF has gone.  Under generic_mutex
 * @backend: NULL while not enabled.  Under generic_mutex
 * @lock: protects what follows
 * @types: head of generic_type::node
 * @nr_types: how many
 * @nr_vfs: entries in @vgpus
 * @vgpus: by number of the VF, there while enabled
 */
struct generic_pf {
	struct config_group group;
	struct config_group types_group;
	struct list_head node;
	struct pci_dev *pdev;
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

/* config.c: the administrator's side */
int generic_config_register(void);
void generic_config_unregister(void);
__printf(3, 4)
int generic_refuse(const char *who, int err, const char *fmt, ...);

/* pf.c: physical functions come and go */
extern struct mutex generic_mutex;

int generic_pf_claim(struct generic_pf *pf);
void generic_pf_release(struct generic_pf *pf);
int generic_pf_enable(struct generic_pf *pf);
void generic_pf_disable(struct generic_pf *pf);
u64 generic_vf_bar_size(struct pci_dev *pf, unsigned int bar);
int generic_notifier_register(void);
void generic_notifier_unregister(void);

/* ops.c: the front-end's side */
extern const struct nvvgpu_backend_ops generic_ops;

#endif /* NVVGPU_GENERIC_H */
