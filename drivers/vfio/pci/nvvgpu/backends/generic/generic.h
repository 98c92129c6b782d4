/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nvvgpu-generic: a back-end for the VFs of any SR-IOV device, shared
 * declarations.
 */
#ifndef NVVGPU_GENERIC_H
#define NVVGPU_GENERIC_H

#include <linux/configfs.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/nvvgpu_backend.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/types.h>

/*
 * Lock order
 *
 *   configfs' locks, device_lock of the PF
 *     generic_pf::enable_lock
 *       device_lock of generic_pf::consumer
 *         device_lock of a VF, the front-end's lock of one VF
 *           generic_pf::lock
 *
 * While the users of the VFs are waited for, the locks of the consumer and of one
 * VF are held.  A disable also holds enable_lock, and an rmdir the locks of
 * configfs.
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
 * @info: description for the front-end; max_instances is 0 if there is no limit
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
 * @pdev: the PF; the reference is kept after the PF is removed.  Written under
 *	@enable_lock and @lock
 * @enable_lock: protects @consumer and @err
 * @consumer: NULL unless enabled; its driver offers the types while it is bound
 * @err: error of the last probe of @consumer
 * @leaving: the driver is being unbound from @consumer; read without a lock
 * @backend: NULL unless enabled; written under the lock of @consumer, and cleared
 *	under @lock, too
 * @lock: protects @types, @nr_types and the contents of @vgpus
 * @types: head of generic_type::node
 * @nr_types: entries in @types
 * @nr_vfs: entries in @vgpus; only changes while no operation can be called
 * @vgpus: indexed by number of the VF, allocated while enabled
 */
struct generic_pf {
	struct config_group group;
	struct config_group types_group;
	struct pci_dev *pdev;
	struct mutex enable_lock; /* see above */
	struct platform_device *consumer;
	int err;
	bool leaving;
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
int generic_pf_claim(struct generic_pf *pf);
void generic_pf_release(struct generic_pf *pf);
int generic_pf_enable(struct generic_pf *pf);
void generic_pf_disable(struct generic_pf *pf);
void generic_pf_types_changed(struct generic_pf *pf);
unsigned int generic_pf_total_vfs(struct generic_pf *pf);
u64 generic_pf_bar_size(struct generic_pf *pf, unsigned int bar);
int generic_driver_register(void);
void generic_driver_unregister(void);

/* ops.c: operations of the back-end */
extern const struct nvvgpu_backend_ops generic_ops;

#endif /* NVVGPU_GENERIC_H */
