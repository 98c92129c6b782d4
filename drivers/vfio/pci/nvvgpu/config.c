// SPDX-License-Identifier: GPL-2.0-only
/*
 * Config space of a vGPU: that of vfio-pci-core, overlaid by the PCI ids of the
 * type and by the registers of BARs whose size the type changes.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/pci.h>
#include <linux/uaccess.h>
#include <linux/vfio_pci_core.h>

#include "nvvgpu.h"

/* Type bits of a BAR register */
static u32 nvvgpu_bar_type(struct pci_dev *pdev, unsigned int bar)
{
	return pci_resource_flags(pdev, bar) &
	       (PCI_BASE_ADDRESS_MEM_TYPE_MASK | PCI_BASE_ADDRESS_MEM_PREFETCH);
}

static size_t nvvgpu_bar_width(struct pci_dev *pdev, unsigned int bar)
{
	return pci_resource_flags(pdev, bar) & IORESOURCE_MEM_64 ?
	       sizeof(u64) : sizeof(u32);
}

/* Check for the common case of no overlap without a call to another module. */
static bool nvvgpu_config_touches(loff_t pos, size_t count, unsigned int reg,
				  size_t size)
{
	return pos < reg + size && pos + count > reg;
}

static bool nvvgpu_config_touches_bars(loff_t pos, size_t count)
{
	return nvvgpu_config_touches(pos, count, PCI_BASE_ADDRESS_0,
				     PCI_STD_NUM_BARS * sizeof(u32));
}

/* Replace the part of @buf that overlaps register @reg by @val. */
static int nvvgpu_config_overlay(char __user *buf, loff_t pos, size_t count,
				 unsigned int reg, const void *val, size_t size)
{
	size_t len, from;
	loff_t to;

	if (!nvvgpu_config_touches(pos, count, reg, size) ||
	    !vfio_pci_core_range_intersect_range(pos, count, reg, size, &to,
						 &len, &from))
		return 0;

	return copy_to_user(buf + to, val + from, len) ? -EFAULT : 0;
}

static int nvvgpu_config_overlay_id(char __user *buf, loff_t pos, size_t count,
				    unsigned int reg, u16 id)
{
	__le16 val = cpu_to_le16(id);

	return nvvgpu_config_overlay(buf, pos, count, reg, &val, sizeof(val));
}

VISIBLE_IF_KUNIT
int nvvgpu_config_overlay_ids(const struct nvvgpu_type_info *type,
			      char __user *buf, loff_t pos, size_t count)
{
	int ret = 0;

	if (type->vendor) {
		ret = nvvgpu_config_overlay_id(buf, pos, count, PCI_VENDOR_ID,
					       type->vendor) ?:
		      nvvgpu_config_overlay_id(buf, pos, count, PCI_DEVICE_ID,
					       type->device);
		if (ret)
			return ret;
	}
	if (type->subsystem_vendor) {
		ret = nvvgpu_config_overlay_id(buf, pos, count,
					       PCI_SUBSYSTEM_VENDOR_ID,
					       type->subsystem_vendor) ?:
		      nvvgpu_config_overlay_id(buf, pos, count,
					       PCI_SUBSYSTEM_ID,
					       type->subsystem_device);
		if (ret)
			return ret;
	}
	if (type->class_code) {
		__le32 class = cpu_to_le32(type->class_code);

		ret = nvvgpu_config_overlay(buf, pos, count, PCI_CLASS_PROG,
					    &class, 3);
	}

	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_config_overlay_ids);

VISIBLE_IF_KUNIT
int nvvgpu_config_overlay_bar(struct nvvgpu *vgpu, unsigned int bar,
			      char __user *buf, loff_t pos, size_t count)
{
	struct pci_dev *pdev = vgpu->core.pdev;
	u64 size = vgpu->bars[bar].info.size;
	__le64 val = 0;

	if (size)
		val = cpu_to_le64((le64_to_cpu(vgpu->bars[bar].reg) &
				   ~(size - 1)) | nvvgpu_bar_type(pdev, bar));

	return nvvgpu_config_overlay(buf, pos, count,
				     PCI_BASE_ADDRESS_0 + bar * sizeof(u32),
				     &val, nvvgpu_bar_width(pdev, bar));
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_config_overlay_bar);

/* Not inlined, as most reads can do without its stack frame */
static noinline int nvvgpu_config_overlay_header(struct nvvgpu *vgpu,
						 char __user *buf, loff_t pos,
						 size_t count)
{
	unsigned int bar;
	int ret;

	ret = nvvgpu_config_overlay_ids(&vgpu->type, buf, pos, count);
	for (bar = 0; !ret && bar < NVVGPU_MAX_BARS; bar++)
		if (vgpu->bars[bar].shaped)
			ret = nvvgpu_config_overlay_bar(vgpu, bar, buf, pos,
							count);

	return ret;
}

/* Most reads are elsewhere, or of ids that are the VF's own. */
static bool nvvgpu_config_differs(struct nvvgpu *vgpu, loff_t pos, size_t count)
{
	const struct nvvgpu_type_info *type = &vgpu->type;

	return nvvgpu_config_touches_bars(pos, count) || type->vendor ||
	       type->subsystem_vendor || type->class_code;
}

ssize_t nvvgpu_config_read(struct nvvgpu *vgpu, char __user *buf, size_t count,
			   loff_t *ppos)
{
	loff_t pos = *ppos & VFIO_PCI_OFFSET_MASK;
	ssize_t done;

	done = vfio_pci_core_read(&vgpu->core.vdev, buf, count, ppos);
	if (done <= 0 || pos >= PCI_STD_HEADER_SIZEOF ||
	    !nvvgpu_config_differs(vgpu, pos, done))
		return done;

	return nvvgpu_config_overlay_header(vgpu, buf, pos, done) ?: done;
}

/*
 * Check whether a write starts a function level reset, whose bit is in the high
 * byte of the register.  vfio-pci-core copies @buf again; if the user changes it
 * meanwhile, the callbacks of the PCI core still handle the reset.
 */
static bool nvvgpu_config_flr(struct nvvgpu *vgpu, const char __user *buf,
			      loff_t pos, size_t count)
{
	loff_t reg = vgpu->core.pdev->pcie_cap + PCI_EXP_DEVCTL + 1;
	u8 val;

	if (!nvvgpu_config_touches(pos, count, reg, sizeof(val)) ||
	    get_user(val, (u8 __user *)buf + (reg - pos)))
		return false;

	return val & (PCI_EXP_DEVCTL_BCR_FLR >> BITS_PER_BYTE);
}

/* Check whether a write may put the VF to sleep. */
static bool nvvgpu_config_sleep(struct nvvgpu *vgpu, loff_t pos, size_t count)
{
	unsigned int pm = vgpu->core.pdev->pm_cap;

	return pm && nvvgpu_config_touches(pos, count, pm + PCI_PM_CTRL,
					   sizeof(u16));
}

/*
 * Remember what the user has written to the register of a BAR: vfio-pci-core
 * keeps only the bits above the size of the VF's BAR, and the vGPU's may be
 * smaller.  For at most 8 bytes, get_user() is quicker than copy_from_user().
 */
static int nvvgpu_config_write_bar(struct nvvgpu *vgpu, unsigned int bar,
				   const char __user *buf, loff_t pos,
				   size_t count)
{
	unsigned int reg = PCI_BASE_ADDRESS_0 + bar * sizeof(u32);
	loff_t end = min_t(loff_t, pos + count,
			   reg + nvvgpu_bar_width(vgpu->core.pdev, bar));
	u8 *val = (u8 *)&vgpu->bars[bar].reg;
	loff_t at;

	for (at = max_t(loff_t, pos, reg); at < end; at++)
		if (get_user(val[at - reg], (u8 __user *)buf + (at - pos)))
			return -EFAULT;

	return 0;
}

/* Skip the BARs whose registers the write cannot touch. */
static int nvvgpu_config_write_bars(struct nvvgpu *vgpu, const char __user *buf,
				    loff_t pos, size_t count)
{
	unsigned int bar, end;
	int ret = 0;

	bar = max_t(loff_t, pos - PCI_BASE_ADDRESS_0, 0) / sizeof(u32);
	end = min_t(loff_t, DIV_ROUND_UP(pos + count - PCI_BASE_ADDRESS_0,
					 sizeof(u32)), NVVGPU_MAX_BARS);
	/* The write may be to the high half of a 64-bit BAR. */
	if (bar)
		bar--;
	for (; !ret && bar < end; bar++)
		if (vgpu->bars[bar].shaped)
			ret = nvvgpu_config_write_bar(vgpu, bar, buf, pos,
						      count);

	return ret;
}

ssize_t nvvgpu_config_write(struct nvvgpu *vgpu, const char __user *buf,
			    size_t count, loff_t *ppos)
{
	loff_t pos = *ppos & VFIO_PCI_OFFSET_MASK;
	ssize_t done;
	int ret;

	if (nvvgpu_config_flr(vgpu, buf, pos, count)) {
		nvvgpu_reset_begin(vgpu);
		done = vfio_pci_core_write(&vgpu->core.vdev, buf, count, ppos);
		nvvgpu_dmabuf_update(vgpu);
		nvvgpu_reset_end(vgpu);
	} else if (nvvgpu_config_sleep(vgpu, pos, count)) {
		nvvgpu_scanouts_hold(vgpu);
		done = vfio_pci_core_write(&vgpu->core.vdev, buf, count, ppos);
		nvvgpu_scanouts_unhold(vgpu);
	} else {
		done = vfio_pci_core_write(&vgpu->core.vdev, buf, count, ppos);
	}
	nvvgpu_dmabuf_update(vgpu);
	if (done <= 0 || !nvvgpu_config_touches_bars(pos, done))
		return done;

	ret = nvvgpu_config_write_bars(vgpu, buf, pos, done);

	return ret ?: done;
}
