// SPDX-License-Identifier: GPL-2.0-only
/*
 * The copy engine of a vGPU of the emulated SR-IOV GPU.
 *
 * Documentation/gpu/nvvgpu-emu.rst describes the hardware.
 */
#include <stdint.h>
#include <unistd.h>

#include <linux/errno.h>
#include <linux/io.h>
#include <linux/nvvgpu_emu.h>
#include <linux/sizes.h>

#include <libvfio.h>

/* Device id of the type with the PCI ids of QEMU's bochs-display */
#define NVVGPU_BOCHS_DEVICE_ID	0x1111

/* One descriptor is one copy. */
#define NVVGPU_RING_SIZE	512
/*
 * A descriptor may have any length.  This limits the time of NVVGPU_RING_SIZE
 * descriptors, as the emulated engine is slow.
 */
#define NVVGPU_MAX_COPY		SZ_1M

#define NVVGPU_MSIX_VECTOR	0

struct nvvgpu_state {
	struct nvvgpu_emu_desc ring[NVVGPU_RING_SIZE];
	/* Free running, as the engine counts */
	u32 tail;
};

static struct nvvgpu_state *to_nvvgpu_state(struct vfio_pci_device *device)
{
	return device->driver.region.vaddr;
}

static void *nvvgpu_registers(struct vfio_pci_device *device)
{
	return device->bars[NVVGPU_EMU_VF_BAR_REGS].vaddr;
}

static int nvvgpu_probe(struct vfio_pci_device *device)
{
	void *registers = nvvgpu_registers(device);

	if (!vfio_pci_device_match(device, NVVGPU_EMU_VENDOR_ID,
				   NVVGPU_EMU_VF_DEVICE_ID) &&
	    !vfio_pci_device_match(device, NVVGPU_EMU_VENDOR_ID,
				   NVVGPU_BOCHS_DEVICE_ID))
		return -EINVAL;

	if (!registers || device->bars[NVVGPU_EMU_VF_BAR_REGS].info.size !=
			  NVVGPU_EMU_VF_REGS_SIZE)
		return -EINVAL;

	if (readl(registers + NVVGPU_EMU_VF_REG_MAGIC) != NVVGPU_EMU_VF_MAGIC)
		return -EINVAL;

	if (readl(registers + NVVGPU_EMU_VF_REG_REVISION) !=
	    NVVGPU_EMU_REVISION) {
		dev_err(device, "nvvgpu: Unsupported revision: %u\n",
			readl(registers + NVVGPU_EMU_VF_REG_REVISION));
		return -EINVAL;
	}

	return 0;
}

/* Abort all work and clear the engine's registers. */
static void nvvgpu_reset(struct vfio_pci_device *device)
{
	void *registers = nvvgpu_registers(device);

	writel(NVVGPU_EMU_VF_CTRL_RESET, registers + NVVGPU_EMU_VF_REG_CTRL);
	VFIO_ASSERT_EQ(readl(registers + NVVGPU_EMU_VF_REG_STATUS), 0);
}

static void nvvgpu_start(struct vfio_pci_device *device)
{
	struct nvvgpu_state *nvvgpu = to_nvvgpu_state(device);
	void *registers = nvvgpu_registers(device);
	iova_t ring = to_iova(device, nvvgpu->ring);

	nvvgpu_reset(device);
	nvvgpu->tail = 0;

	writel(ring, registers + NVVGPU_EMU_VF_REG_RING_BASE);
	writel(ring >> 32, registers + NVVGPU_EMU_VF_REG_RING_BASE + 4);
	writel(NVVGPU_RING_SIZE, registers + NVVGPU_EMU_VF_REG_RING_SIZE);
	writel(UINT32_MAX, registers + NVVGPU_EMU_VF_REG_ERROR_VECTOR);
	writel(NVVGPU_EMU_VF_CTRL_RUN, registers + NVVGPU_EMU_VF_REG_CTRL);

	VFIO_ASSERT_EQ(readl(registers + NVVGPU_EMU_VF_REG_STATUS),
		       NVVGPU_EMU_VF_STATUS_RUNNING);
}

static void nvvgpu_init(struct vfio_pci_device *device)
{
	VFIO_ASSERT_GE(device->driver.region.size, sizeof(struct nvvgpu_state));

	vfio_pci_cmd_set(device, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	nvvgpu_start(device);

	vfio_pci_msix_enable(device, NVVGPU_MSIX_VECTOR, 1);

	device->driver.msi = NVVGPU_MSIX_VECTOR;
	device->driver.max_memcpy_size = NVVGPU_MAX_COPY;
	device->driver.max_memcpy_count = NVVGPU_RING_SIZE;
}

static void nvvgpu_remove(struct vfio_pci_device *device)
{
	nvvgpu_reset(device);
	vfio_pci_msix_disable(device);
	vfio_pci_cmd_clear(device, PCI_COMMAND_MASTER);
}

static void nvvgpu_submit(struct vfio_pci_device *device,
			  const struct nvvgpu_emu_desc *desc, u64 count)
{
	struct nvvgpu_state *nvvgpu = to_nvvgpu_state(device);
	u64 i;

	for (i = 0; i < count; i++)
		nvvgpu->ring[nvvgpu->tail++ % NVVGPU_RING_SIZE] = *desc;

	writel(nvvgpu->tail,
	       nvvgpu_registers(device) + NVVGPU_EMU_VF_REG_DOORBELL);
}

static void nvvgpu_memcpy_start(struct vfio_pci_device *device, iova_t src,
				iova_t dst, u64 size, u64 count)
{
	struct nvvgpu_emu_desc desc = {
		.op = cpu_to_le32(NVVGPU_EMU_OP_COPY),
		.src = cpu_to_le64(src),
		.dst = cpu_to_le64(dst),
		.len = cpu_to_le64(size),
	};

	nvvgpu_submit(device, &desc, count);
}

static void nvvgpu_handle_error(struct vfio_pci_device *device)
{
	void *registers = nvvgpu_registers(device);
	u64 fault;

	fault = readl(registers + NVVGPU_EMU_VF_REG_FAULT_ADDR) |
		(u64)readl(registers + NVVGPU_EMU_VF_REG_FAULT_ADDR + 4) << 32;
	dev_err(device,
		"nvvgpu: Engine halted at descriptor %u: error %u, address 0x%lx\n",
		readl(registers + NVVGPU_EMU_VF_REG_ERROR_INDEX),
		readl(registers + NVVGPU_EMU_VF_REG_ERROR), fault);

	nvvgpu_start(device);
}

static int nvvgpu_memcpy_wait(struct vfio_pci_device *device)
{
	void *registers = nvvgpu_registers(device);
	u32 status;

	for (;;) {
		status = readl(registers + NVVGPU_EMU_VF_REG_STATUS);
		if (status & NVVGPU_EMU_VF_STATUS_ERROR) {
			nvvgpu_handle_error(device);
			return -EIO;
		}
		if (!(status & NVVGPU_EMU_VF_STATUS_BUSY))
			break;
		usleep(100);
	}

	VFIO_ASSERT_EQ(readl(registers + NVVGPU_EMU_VF_REG_RING_HEAD),
		       to_nvvgpu_state(device)->tail);

	return 0;
}

static void nvvgpu_send_msi(struct vfio_pci_device *device)
{
	struct nvvgpu_emu_desc desc = {
		.op = cpu_to_le32(NVVGPU_EMU_OP_NOP),
		.flags = cpu_to_le32(NVVGPU_EMU_DESC_IRQ),
		.vector = cpu_to_le32(NVVGPU_MSIX_VECTOR),
	};

	nvvgpu_submit(device, &desc, 1);
	VFIO_ASSERT_EQ(nvvgpu_memcpy_wait(device), 0);
}

const struct vfio_pci_driver_ops nvvgpu_ops = {
	.name = "nvvgpu",
	.probe = nvvgpu_probe,
	.init = nvvgpu_init,
	.remove = nvvgpu_remove,
	.memcpy_start = nvvgpu_memcpy_start,
	.memcpy_wait = nvvgpu_memcpy_wait,
	.send_msi = nvvgpu_send_msi,
};
