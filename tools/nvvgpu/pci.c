// SPDX-License-Identifier: GPL-2.0-only
/*
 * PCI addresses, names and serial numbers, with libpci.
 */
#include <errno.h>
#include <pci/pci.h>
#include <stdio.h>
#include <string.h>
#include <dirent.h>

#include "ctl.h"

static struct pci_access *access_open(void)
{
	static char sysfs[PATH_LEN];
	struct pci_access *access = pci_alloc();

	path_make(sysfs, "/sys/bus/pci");
	pci_set_param(access, "sysfs.path", sysfs);
	access->method = PCI_ACCESS_SYS_BUS_PCI;
	pci_init(access);

	return access;
}

/**
 * pci_parse() - bring a PCI address into the form that sysfs has
 * @text: address, with or without the domain
 * @bdf: BDF_LEN bytes
 *
 * Return: 0 or -EINVAL
 */
int pci_parse(const char *text, char *bdf)
{
	struct pci_filter filter;
	char copy[BDF_LEN];

	if (strlen(text) >= sizeof(copy) || !strchr(text, ':') || !strchr(text, '.'))
		return -EINVAL;
	strcpy(copy, text);
	pci_filter_init(NULL, &filter);
	if (pci_filter_parse_slot(&filter, copy) || filter.bus < 0 ||
	    filter.slot < 0 || filter.func < 0)
		return -EINVAL;
	snprintf(bdf, BDF_LEN, "%04x:%02x:%02x.%x",
		 filter.domain < 0 ? 0 : filter.domain, filter.bus & 0xff,
		 filter.slot & 0x1f, filter.func & 7);

	return 0;
}

/**
 * pci_vfs() - find out where the VFs of a PF are
 * @pf: address of the PF
 * @vfs: filled in
 *
 * Return: 0 or -ENODEV
 */
int pci_vfs(const char *pf, struct pci_vfs *vfs)
{
	int offset = file_number(0, PCI_DEVICES "/%s/sriov_offset", pf);
	unsigned int bus, slot, function;

	if (offset <= 0 || sscanf(pf, "%x:%x:%x.%x", &vfs->domain, &bus, &slot, &function) != 4)
		return -ENODEV;
	vfs->first = (bus << 8 | slot << 3 | function) + offset;
	vfs->stride = file_number(0, PCI_DEVICES "/%s/sriov_stride", pf);

	return 0;
}

/* The address of a VF, which need not exist; @bdf has BDF_LEN bytes */
void pci_vf_address(const struct pci_vfs *vfs, unsigned int number, char *bdf)
{
	unsigned int id = vfs->first + number * vfs->stride;

	snprintf(bdf, BDF_LEN, "%04x:%02x:%02x.%x", vfs->domain, id >> 8 & 0xff,
		 id >> 3 & 0x1f, id & 7);
}

/* The device's name in the list of PCI ids */
void pci_model(const char *bdf, char *buf, size_t size)
{
	int vendor = file_number(0, PCI_DEVICES "/%s/vendor", bdf);
	int device = file_number(0, PCI_DEVICES "/%s/device", bdf);
	struct pci_access *access = access_open();

	pci_lookup_name(access, buf, size,
			PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE, vendor, device);
	pci_cleanup(access);
}

static int serial_of(struct pci_dev *dev, char *buf, size_t size)
{
	struct pci_cap *cap;

	pci_fill_info(dev, PCI_FILL_EXT_CAPS);
	cap = pci_find_cap(dev, PCI_EXT_CAP_ID_DSN, PCI_CAP_EXTENDED);
	if (!cap)
		return -ENOENT;
	snprintf(buf, size, "%08x%08x", pci_read_long(dev, cap->addr + 8),
		 pci_read_long(dev, cap->addr + 4));

	return 0;
}

/**
 * pci_serial() - read the PCI Express serial number of a device
 * @bdf: its address
 * @buf: receives 16 hexadecimal digits
 * @size: size of @buf
 *
 * Return: 0; -ENOENT if it has none or the caller may not read it
 */
int pci_serial(const char *bdf, char *buf, size_t size)
{
	struct pci_access *access;
	unsigned int domain, bus, slot, func;
	struct pci_dev *dev;
	int ret = -ENOENT;

	if (sscanf(bdf, "%x:%x:%x.%x", &domain, &bus, &slot, &func) != 4 ||
	    !file_exists(PCI_DEVICES "/%s/config", bdf))
		return -ENOENT;
	access = access_open();
	dev = pci_get_dev(access, domain, bus, slot, func);
	if (dev) {
		ret = serial_of(dev, buf, size);
		pci_free_dev(dev);
	}
	pci_cleanup(access);

	return ret;
}

/* The address of function 0 in a slot, which sysfs shows without a function */
int pci_slot(const char *slot, char *bdf)
{
	char address[BDF_LEN - 2];
	int ret;

	if (strchr(slot, '/'))
		return -EINVAL;
	ret = file_read(address, sizeof(address), "/sys/bus/pci/slots/%s/address",
			slot);
	if (ret < 0)
		return ret;
	snprintf(bdf, BDF_LEN, "%s.0", address);

	return 0;
}
