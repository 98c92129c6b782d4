// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-generic: a back-end for the VFs of any SR-IOV device.
 *
 * The physical function stays with a driver that knows nothing of vGPUs, and
 * there is no firmware to talk to: a vGPU is a whole VF, of which a type may
 * hide or cut a BAR, limit the number and change the PCI ids.  What one user
 * leaves in a VF is removed by the function level reset between two of them,
 * and by nothing else.
 */
#include <linux/module.h>

#include "generic.h"

static int __init generic_init(void)
{
	int ret;

	ret = generic_notifier_register();
	if (ret)
		return ret;

	ret = generic_config_register();
	if (ret)
		generic_notifier_unregister();

	return ret;
}

/* Each claimed PF holds a reference, so there is none left. */
static void __exit generic_exit(void)
{
	generic_config_unregister();
	generic_notifier_unregister();
}

module_init(generic_init);
module_exit(generic_exit);

MODULE_IMPORT_NS("NVVGPU");
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("nvvgpu back-end for any SR-IOV device");
