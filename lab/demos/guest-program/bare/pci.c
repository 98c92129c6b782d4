// SPDX-License-Identifier: GPL-2.0
/*
 * A guest without an operating system: the PCI bus and its vGPU
 *
 * The vdev_*() functions implement the part of the selftests' library (lib/vfio.h)
 * that the job uses. Here the "fd" of a device is its address on the bus.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/nvvgpu_emu.h>
#include <linux/pci.h>
#include <linux/pci_regs.h>

#include "job.h"
#include "bare.h"

#define CONFIG_ADDRESS		0xcf8
#define   CONFIG_ENABLE		0x80000000
#define CONFIG_DATA		0xcfc

#define BOCHS_DEVICE_ID		0x1111

#define DEVFNS			256
#define FLR_MS			100

/*
 * Addresses for BARs that have none, for example after hotplug. The firmware assigns
 * addresses from the other end of the hole below 4 GiB.
 */
#define FREE_ADDRESSES		0xc0000000

/* Entries of an MSI-X table, as 32-bit words */
#define MSIX_WORDS		(PCI_MSIX_ENTRY_SIZE / 4)

static __u64 bar_addr[VDEV_NR_BARS];
static __u32 *msix_table;

int vdev_read(const struct vdev *vdev, unsigned int region, __u64 offset,
	      void *buf, size_t len)
{
	const __u16 port = CONFIG_DATA + offset % 4;

	out32(CONFIG_ADDRESS, CONFIG_ENABLE | vdev->fd << 8 | (offset & 0xfc));
	if (len == 1)
		*(__u8 *)buf = in8(port);
	else if (len == 2)
		*(__u16 *)buf = in16(port);
	else
		*(__u32 *)buf = in32(port);

	return len;
}

int vdev_write(const struct vdev *vdev, unsigned int region, __u64 offset,
	       const void *buf, size_t len)
{
	const __u16 port = CONFIG_DATA + offset % 4;

	out32(CONFIG_ADDRESS, CONFIG_ENABLE | vdev->fd << 8 | (offset & 0xfc));
	if (len == 1)
		out8(port, *(__u8 *)buf);
	else if (len == 2)
		out16(port, *(__u16 *)buf);
	else
		out32(port, *(__u32 *)buf);

	return len;
}

/* A type of vGPU poses as QEMU's display adapter, which the guest does not have. */
static bool is_vgpu(const struct vdev *vdev)
{
	const __u16 device = vdev_cfg_read16(vdev, PCI_DEVICE_ID);

	return vdev_cfg_read16(vdev, PCI_VENDOR_ID) == NVVGPU_EMU_VENDOR_ID &&
	       (device == NVVGPU_EMU_VF_DEVICE_ID || device == BOCHS_DEVICE_ID);
}

/*
 * Search for a vGPU other than the given one on a bus and behind its bridges. Probing all
 * functions is safe, because QEMU does not alias missing ones.
 */
static bool find(struct vdev *vdev, unsigned int bus, const struct vdev *other)
{
	unsigned int devfn, behind;

	for (devfn = 0; devfn < DEVFNS; devfn++) {
		vdev->fd = bus << 8 | devfn;
		if (other && other->fd == vdev->fd)
			continue;
		if (is_vgpu(vdev))
			return true;
		if ((vdev_cfg_read8(vdev, PCI_HEADER_TYPE) &
		     PCI_HEADER_TYPE_MASK) != PCI_HEADER_TYPE_BRIDGE)
			continue;
		behind = vdev_cfg_read8(vdev, PCI_SECONDARY_BUS);
		if (behind > bus && find(vdev, behind, other))
			return true;
	}

	return false;
}

static void bar_write(const struct vdev *vdev, unsigned int bar, __u64 addr)
{
	const unsigned int reg = PCI_BASE_ADDRESS_0 + bar * 4;
	const __u32 kind = vdev_cfg_read32(vdev, reg);

	vdev_cfg_write32(vdev, reg, addr);
	if (kind & PCI_BASE_ADDRESS_MEM_TYPE_64)
		vdev_cfg_write32(vdev, reg + 4, addr >> 32);
}

static __u64 bar_read(const struct vdev *vdev, unsigned int bar)
{
	const unsigned int reg = PCI_BASE_ADDRESS_0 + bar * 4;
	__u64 addr = vdev_cfg_read32(vdev, reg);

	if (addr & PCI_BASE_ADDRESS_MEM_TYPE_64)
		addr |= (__u64)vdev_cfg_read32(vdev, reg + 4) << 32;

	return addr & ~15ULL;
}

/* Determine the address and size of a BAR; assign an address if it has none. */
static __u64 bar_init(struct vdev *vdev, unsigned int bar)
{
	static __u64 free_addr = FREE_ADDRESSES;
	__u64 addr = bar_read(vdev, bar), size;

	/* Only the address bits that the device decodes are writable. */
	bar_write(vdev, bar, ~0ULL);
	size = bar_read(vdev, bar);
	/* A 32-bit BAR has no upper half. */
	size = -(size > ~0U ? size : size | ~0ULL << 32);
	if (!addr) {
		addr = (free_addr + size - 1) & -size;
		free_addr = addr + size;
	}
	bar_write(vdev, bar, addr);
	vdev->bar_len[bar] = size;

	return addr;
}

static int locate(struct vdev *vdev, const struct vdev *other)
{
	if (!find(vdev, 0, other))
		return -ENODEV;
	snprintf(vdev->bdf, sizeof(vdev->bdf), "0000:%02x:%02x.%u",
		 vdev->fd >> 8, PCI_SLOT(vdev->fd), PCI_FUNC(vdev->fd));

	return 0;
}

/**
 * vgpu_open() - find the vGPU and set up its BARs
 * @vdev: filled in
 *
 * Return: 0, -ENODEV if there is no vGPU.
 */
int vgpu_open(struct vdev *vdev)
{
	static const unsigned int bars[] = {
		NVVGPU_EMU_VF_BAR_FB,
		NVVGPU_EMU_VF_BAR_REGS,
		NVVGPU_EMU_VF_BAR_MSIX,
	};
	unsigned int i;

	if (locate(vdev, NULL))
		return -ENODEV;

	/* Disable decoding while the BARs are sized. */
	vdev_cfg_write16(vdev, PCI_COMMAND, 0);
	for (i = 0; i < sizeof(bars) / sizeof(*bars); i++)
		bar_addr[bars[i]] = bar_init(vdev, bars[i]);

	return 0;
}

/**
 * peer_open() - find a second vGPU and map its framebuffer
 * @peer: filled in
 * @vdev: the first vGPU
 * @phys: set to the address of the framebuffer
 *
 * Return: 0, -ENODEV if there is no second vGPU.
 */
int peer_open(struct vdev *peer, const struct vdev *vdev, __u64 *phys)
{
	if (locate(peer, vdev))
		return -ENODEV;

	vdev_cfg_write16(peer, PCI_COMMAND, 0);
	*phys = bar_init(peer, NVVGPU_EMU_VF_BAR_FB);
	vdev_cfg_write16(peer, PCI_COMMAND, PCI_COMMAND_MEMORY);
	peer->bar[NVVGPU_EMU_VF_BAR_FB] =
		cpu_map_io(*phys, peer->bar_len[NVVGPU_EMU_VF_BAR_FB]);

	return 0;
}

static int msix_enable(const struct vdev *vdev, bool enable)
{
	const unsigned int cap = vdev_find_cap(vdev, PCI_CAP_ID_MSIX);

	if (!cap)
		return -ENODEV;

	return vdev_cfg_write16(vdev, cap + PCI_MSIX_FLAGS,
				enable ? PCI_MSIX_FLAGS_ENABLE : 0);
}

/* Disable interrupts and DMA of the device. */
void vdev_close(struct vdev *vdev)
{
	if (!vdev->bdf[0])
		return;
	msix_enable(vdev, false);
	vdev_cfg_write16(vdev, PCI_COMMAND, 0);
}

int vdev_map_bar(struct vdev *vdev, unsigned int bar)
{
	vdev->bar[bar] = cpu_map_io(bar_addr[bar], vdev->bar_len[bar]);

	return 0;
}

/* Route each vector of the device to a vector of the CPU. */
static void msix_write(const struct vdev *vdev)
{
	__u32 *entry = msix_table;
	unsigned int i;

	for (i = 0; i < vdev->nr_irqs; i++, entry += MSIX_WORDS) {
		io_write(&entry[PCI_MSIX_ENTRY_LOWER_ADDR / 4], MSI_ADDRESS);
		io_write(&entry[PCI_MSIX_ENTRY_UPPER_ADDR / 4], 0);
		io_write(&entry[PCI_MSIX_ENTRY_DATA / 4], VECTOR_MSIX + i);
		io_write(&entry[PCI_MSIX_ENTRY_VECTOR_CTRL / 4], 0);
	}
}

int vdev_msix_enable(struct vdev *vdev, unsigned int nr)
{
	const unsigned int cap = vdev_find_cap(vdev, PCI_CAP_ID_MSIX);
	unsigned int i;
	__u32 table;
	int ret;

	if (!cap)
		return -ENODEV;
	if (nr > NR_MSIX)
		return -EINVAL;

	table = vdev_cfg_read32(vdev, cap + PCI_MSIX_TABLE);
	ret = vdev_map_bar(vdev, table & PCI_MSIX_TABLE_BIR);
	if (ret)
		return ret;
	msix_table = vdev->bar[table & PCI_MSIX_TABLE_BIR] +
		     (table & PCI_MSIX_TABLE_OFFSET);
	vdev->nr_irqs = nr;
	for (i = 0; i < nr; i++)
		vdev->irq[i] = i;
	msix_write(vdev);

	return msix_enable(vdev, true);
}

/*
 * A function level reset clears the configuration of the device, so set it up again
 * afterwards.
 */
int vdev_reset(const struct vdev *vdev)
{
	const __u16 command = vdev_cfg_read16(vdev, PCI_COMMAND);
	unsigned int bar;
	int ret;

	vdev_cfg_write16(vdev, PCI_COMMAND, PCI_COMMAND_INTX_DISABLE);
	msix_enable(vdev, false);
	ret = vdev_flr(vdev);
	if (ret)
		return ret;
	usleep(FLR_MS * 1000);

	for (bar = 0; bar < VDEV_NR_BARS; bar++)
		if (bar_addr[bar])
			bar_write(vdev, bar, bar_addr[bar]);
	vdev_cfg_write16(vdev, PCI_COMMAND, command);
	msix_write(vdev);

	return msix_enable(vdev, true);
}

/**
 * log_write() - write the configuration of the vGPU to the console
 *
 * Return: the length of the text.
 */
size_t log_write(void)
{
	size_t len = 0;
	char line[80];
	unsigned int bar;

	for (bar = 0; bar < VDEV_NR_BARS; bar++) {
		if (!bar_addr[bar])
			continue;
		snprintf(line, sizeof(line), "BAR %u at %#llx\n", bar,
			 bar_addr[bar]);
		console_write(line, strlen(line));
		len += strlen(line);
	}

	return len;
}
