// SPDX-License-Identifier: GPL-2.0
/*
 * Access to a device through its PCI configuration space.
 *
 * Requires only vdev_read() and vdev_write(), which a guest without an
 * operating system provides as well.
 */
#include <errno.h>
#include <string.h>

#include <linux/pci_regs.h>

#include "vfio.h"

static int cfg_read(const struct vdev *vdev, unsigned int offset, void *buf,
		    size_t len)
{
	int ret;

	memset(buf, 0xff, len);
	ret = vdev_read(vdev, VFIO_PCI_CONFIG_REGION_INDEX, offset, buf, len);

	return ret;
}

static int cfg_write(const struct vdev *vdev, unsigned int offset,
		     const void *buf, size_t len)
{
	int ret;

	ret = vdev_write(vdev, VFIO_PCI_CONFIG_REGION_INDEX, offset, buf, len);
	if (ret < 0)
		return ret;

	return (size_t)ret == len ? 0 : -EIO;
}

__u8 vdev_cfg_read8(const struct vdev *vdev, unsigned int offset)
{
	__u8 val;

	cfg_read(vdev, offset, &val, sizeof(val));

	return val;
}

__u16 vdev_cfg_read16(const struct vdev *vdev, unsigned int offset)
{
	__u16 val;

	cfg_read(vdev, offset, &val, sizeof(val));

	return val;
}

__u32 vdev_cfg_read32(const struct vdev *vdev, unsigned int offset)
{
	__u32 val;

	cfg_read(vdev, offset, &val, sizeof(val));

	return val;
}

int vdev_cfg_write8(const struct vdev *vdev, unsigned int offset, __u8 val)
{
	return cfg_write(vdev, offset, &val, sizeof(val));
}

int vdev_cfg_write16(const struct vdev *vdev, unsigned int offset, __u16 val)
{
	return cfg_write(vdev, offset, &val, sizeof(val));
}

int vdev_cfg_write32(const struct vdev *vdev, unsigned int offset, __u32 val)
{
	return cfg_write(vdev, offset, &val, sizeof(val));
}

/**
 * vdev_find_cap() - find a capability in configuration space
 * @vdev: an open device
 * @id: PCI_CAP_ID_*
 *
 * Return: its offset, 0 if absent.
 */
unsigned int vdev_find_cap(const struct vdev *vdev, __u8 id)
{
	unsigned int pos, tries = 48;

	pos = vdev_cfg_read8(vdev, PCI_CAPABILITY_LIST) & ~3;
	while (pos && tries--) {
		if (vdev_cfg_read8(vdev, pos) == id)
			return pos;
		pos = vdev_cfg_read8(vdev, pos + PCI_CAP_LIST_NEXT) & ~3;
	}

	return 0;
}

/**
 * vdev_enable() - enable the BARs and DMA of a device
 * @vdev: an open device
 * @master: enable DMA, and thus interrupts
 *
 * Return: 0 or a negative errno.
 */
int vdev_enable(const struct vdev *vdev, bool master)
{
	__u16 cmd = vdev_cfg_read16(vdev, PCI_COMMAND);

	cmd |= PCI_COMMAND_MEMORY;
	if (master)
		cmd |= PCI_COMMAND_MASTER;
	else
		cmd &= ~PCI_COMMAND_MASTER;

	return vdev_cfg_write16(vdev, PCI_COMMAND, cmd);
}

/**
 * vdev_set_power() - change the power state like a guest
 * @vdev: an open device
 * @state: VDEV_D0 or VDEV_D3HOT
 *
 * Return: 0 or a negative errno; -ENODEV if the device has no power states.
 */
int vdev_set_power(const struct vdev *vdev, unsigned int state)
{
	unsigned int pm = vdev_find_cap(vdev, PCI_CAP_ID_PM);
	__u16 ctrl;

	if (!pm)
		return -ENODEV;
	ctrl = vdev_cfg_read16(vdev, pm + PCI_PM_CTRL);
	ctrl = (ctrl & ~PCI_PM_CTRL_STATE_MASK) | state;

	return vdev_cfg_write16(vdev, pm + PCI_PM_CTRL, ctrl);
}

/**
 * vdev_flr() - reset a device through its configuration space like a guest
 * @vdev: an open device
 *
 * Return: 0 or a negative errno; -ENODEV if it has no such reset.
 */
int vdev_flr(const struct vdev *vdev)
{
	unsigned int exp = vdev_find_cap(vdev, PCI_CAP_ID_EXP);
	__u16 ctl;

	if (!exp || !(vdev_cfg_read32(vdev, exp + PCI_EXP_DEVCAP) &
		      PCI_EXP_DEVCAP_FLR))
		return -ENODEV;
	ctl = vdev_cfg_read16(vdev, exp + PCI_EXP_DEVCTL);

	return vdev_cfg_write16(vdev, exp + PCI_EXP_DEVCTL,
				ctl | PCI_EXP_DEVCTL_BCR_FLR);
}
