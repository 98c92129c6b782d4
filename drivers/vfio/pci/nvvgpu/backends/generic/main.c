// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-generic: a back-end for the VFs of any SR-IOV device.
 *
 * The physical function remains bound to its own driver, which need not support
 * vGPUs, and there is no firmware interface.  A vGPU is a whole VF.  A type may
 * hide a BAR, limit its size, limit the number of vGPUs, and change the PCI ids.
 * Only the function level reset between two users clears the data of the first.
 */
#include <linux/module.h>

#include "generic.h"

static int __init generic_init(void)
{
	int ret;

	ret = generic_driver_register();
	if (ret)
		return ret;

	ret = generic_config_register();
	if (ret)
		generic_driver_unregister();

	return ret;
}

/* Each claimed PF pins the module, so no PF is claimed here. */
static void __exit generic_exit(void)
{
	generic_config_unregister();
	generic_driver_unregister();
}

module_init(generic_init);
module_exit(generic_exit);

MODULE_IMPORT_NS("NVVGPU");
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("nvvgpu back-end for any SR-IOV device");
