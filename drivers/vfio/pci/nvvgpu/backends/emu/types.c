// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-emu: the types of the firmware, which are checked and not trusted.
 */
#include <kunit/visibility.h>
#include <linux/cleanup.h>
#include <linux/export.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "emu.h"

/* Upper bounds of plausible displays */
#define EMU_MAX_HEADS		16
#define EMU_MAX_PIXELS		65536
#define EMU_MAX_CLASS_CODE	0xffffff

static_assert(sizeof_field(struct nvvgpu_emu_type, name) == NVVGPU_NAME_LEN);

static enum nvvgpu_type_class emu_class(const u8 *letter)
{
	if (letter[0] && letter[1])
		return NVVGPU_NR_CLASSES;

	switch (letter[0]) {
	case 'Q':
		return NVVGPU_CLASS_WORKSTATION;
	case 'C':
		return NVVGPU_CLASS_COMPUTE;
	case 'B':
		return NVVGPU_CLASS_DESKTOP;
	case 'A':
		return NVVGPU_CLASS_APPLICATIONS;
	default:
		return NVVGPU_NR_CLASSES;
	}
}

/**
 * emu_type_parse() - check and translate one vGPU type
 * @raw: type from the firmware
 * @vram_bytes: size of VRAM
 * @granule: unit of VRAM allocation in bytes
 * @info: zeroed; receives the type if it is valid
 *
 * Return: NULL, or a description of the error.
 */
const char *emu_type_parse(const struct nvvgpu_emu_type *raw, u64 vram_bytes,
			   u64 granule, struct nvvgpu_type_info *info)
{
	u64 bar0_bytes = le64_to_cpu(raw->bar0_bytes);
	u64 total, rest;

	info->id = le32_to_cpu(raw->id);
	if (!info->id)
		return "id 0";

	info->class = emu_class(raw->vgpu_class);
	if (info->class == NVVGPU_NR_CLASSES)
		return "invalid class";

	if (!nvvgpu_type_name_valid(raw->name))
		return "invalid name";
	/* emu_types_load() compares all bytes. */
	strscpy_pad(info->name, raw->name);

	info->fb_bytes = le64_to_cpu(raw->fb_bytes);
	info->max_instances = le32_to_cpu(raw->max_instances);
	div64_u64_rem(info->fb_bytes, granule, &rest);
	if (!info->fb_bytes || rest || !info->max_instances ||
	    !IS_ALIGNED(info->fb_bytes, NVVGPU_EMU_VRAM_PAGE) ||
	    check_mul_overflow(info->fb_bytes, info->max_instances, &total) ||
	    total > vram_bytes)
		return "invalid framebuffer";
	if (info->fb_bytes > EMU_MAX_FB_BYTES)
		return "framebuffer too large";

	/* The aperture must not reach beyond the framebuffer. */
	if (!is_power_of_2(bar0_bytes) || bar0_bytes < PAGE_SIZE ||
	    bar0_bytes > NVVGPU_EMU_VF_FB_SIZE || bar0_bytes > info->fb_bytes)
		return "invalid aperture";
	info->bar_bytes[NVVGPU_EMU_VF_BAR_FB] = bar0_bytes;

	info->heads = le32_to_cpu(raw->heads);
	info->max_width = le32_to_cpu(raw->max_width);
	info->max_height = le32_to_cpu(raw->max_height);
	if (info->heads > EMU_MAX_HEADS || info->max_width > EMU_MAX_PIXELS ||
	    info->max_height > EMU_MAX_PIXELS)
		return "invalid display";

	info->class_code = le32_to_cpu(raw->class_code);
	if (info->class_code > EMU_MAX_CLASS_CODE)
		return "invalid PCI class";

	info->weight = le32_to_cpu(raw->weight);
	info->vendor = le16_to_cpu(raw->vendor);
	info->device = le16_to_cpu(raw->device);
	info->subsystem_vendor = le16_to_cpu(raw->subsystem_vendor);
	info->subsystem_device = le16_to_cpu(raw->subsystem_device);
	return NULL;
}
EXPORT_SYMBOL_IF_KUNIT(emu_type_parse);

/**
 * emu_type_find() - find a vGPU type
 * @emu: the GPU
 * @id: id of the type
 *
 * Return: the type, or NULL if there is none with this id.
 */
const struct nvvgpu_type_info *emu_type_find(struct emu_dev *emu, u32 id)
{
	unsigned int i;

	for (i = 0; i < emu->nr_types; i++)
		if (emu->types[i].id == id)
			return &emu->types[i];

	return NULL;
}

/* Read the types from the firmware, unchecked; freed by kfree(). */
static struct nvvgpu_emu_type *emu_types_fetch(struct emu_dev *emu,
					       unsigned int nr)
{
	struct nvvgpu_emu_type *raw __free(kfree) = NULL;
	struct emu_cmd cmd = { .opcode = NVVGPU_EMU_CMD_TYPES };
	int err;

	raw = kzalloc_objs(*raw, nr, GFP_KERNEL);
	if (!raw)
		return ERR_PTR(-ENOMEM);

	cmd.out = raw;
	cmd.out_len = nr * sizeof(*raw);
	err = emu_fw_cmd(emu, &cmd);
	if (err)
		return ERR_PTR(err);
	if (cmd.res[0] != nr || cmd.len != cmd.out_len) {
		dev_err(&emu->pdev->dev,
			"firmware has %u types, but returned %llu in %u bytes\n",
			nr, cmd.res[0], cmd.len);
		return ERR_PTR(-EPROTO);
	}

	return no_free_ptr(raw);
}

static struct nvvgpu_type_info *emu_types_read(struct emu_dev *emu,
					       unsigned int nr, u64 granule)
{
	struct device *dev = &emu->pdev->dev;
	struct nvvgpu_emu_type *raw __free(kfree) = NULL;
	struct nvvgpu_type_info *types __free(kfree) = NULL;
	const char *wrong;
	unsigned int i, j;

	types = kzalloc_objs(*types, nr, GFP_KERNEL);
	if (!types)
		return ERR_PTR(-ENOMEM);

	raw = emu_types_fetch(emu, nr);
	if (IS_ERR(raw))
		return ERR_CAST(raw);

	for (i = 0; i < nr; i++) {
		wrong = emu_type_parse(&raw[i], emu->vram_bytes, granule,
				       &types[i]);
		for (j = 0; j < i; j++)
			if (types[j].id == types[i].id)
				wrong = "id used twice";
		if (wrong) {
			dev_err(dev, "firmware has an invalid type %u: %s\n",
				types[i].id, wrong);
			return ERR_PTR(-EPROTO);
		}
	}

	return no_free_ptr(types);
}

/**
 * emu_types_available() - count the vGPUs of a type that the firmware can create
 * @emu: the GPU
 * @type: one of &emu_dev.types
 *
 * One command reads the counts of all types, which hold until a vGPU is created
 * or deleted.
 *
 * Return: the count; -EPROTO if the firmware reports an impossible one; -ENOMEM;
 * or as emu_fw_cmd().
 */
int emu_types_available(struct emu_dev *emu,
			const struct nvvgpu_type_info *type)
{
	struct nvvgpu_emu_type *raw __free(kfree) = NULL;
	unsigned int i, which = type - emu->types;
	u32 changes;

	scoped_guard(spinlock, &emu->lock) {
		changes = emu->room_changes;
		if (emu->room_read == changes)
			return emu->room[which];
	}

	raw = emu_types_fetch(emu, emu->nr_types);
	if (IS_ERR(raw))
		return PTR_ERR(raw);
	for (i = 0; i < emu->nr_types; i++)
		if (le32_to_cpu(raw[i].id) != emu->types[i].id ||
		    le32_to_cpu(raw[i].available) >
		    emu->types[i].max_instances)
			return -EPROTO;

	guard(spinlock)(&emu->lock);

	for (i = 0; i < emu->nr_types; i++)
		emu->room[i] = le32_to_cpu(raw[i].available);
	emu->room_read = changes;

	return emu->room[which];
}

/**
 * emu_types_load() - read the resources and types of the firmware
 * @emu: the GPU, its firmware is booting
 *
 * The values of the first boot must not change while the driver is bound, because
 * the front-end and its users rely on them.  If they differ after a reset, the
 * firmware is refused.
 *
 * Return: 0 or a negative errno.
 */
int emu_types_load(struct emu_dev *emu)
{
	struct nvvgpu_type_info *types __free(kfree) = NULL;
	struct emu_cmd cmd = { .opcode = NVVGPU_EMU_CMD_INFO };
	struct device *dev = &emu->pdev->dev;
	u64 vram_bytes, granule, granules, nr_vfs, nr_types, total;
	int err;

	err = emu_fw_cmd(emu, &cmd);
	if (err)
		return err;

	vram_bytes = cmd.res[0];
	granule = cmd.res[1];
	granules = cmd.res[2];
	nr_vfs = cmd.res[3];
	nr_types = cmd.res[4];
	/* A placement is an index of 32 bits. */
	if (vram_bytes != emu->vram_bytes || !granule || !granules ||
	    granules > INT_MAX ||
	    check_mul_overflow(granule, granules, &total) ||
	    total > vram_bytes || !nr_vfs || nr_vfs > NVVGPU_EMU_MAX_VFS ||
	    !nr_types || nr_types > NVVGPU_MAX_TYPES) {
		dev_err(dev,
			"invalid resources of the firmware: %#llx bytes of VRAM, %llu granules of %#llx, %llu VFs, %llu types\n",
			vram_bytes, granules, granule, nr_vfs, nr_types);
		return -EPROTO;
	}

	types = emu_types_read(emu, nr_types, granule);
	if (IS_ERR(types))
		return PTR_ERR(types);

	if (!emu->types) {
		emu->granule = granule;
		emu->granules = granules;
		emu->nr_vfs = nr_vfs;
		emu->nr_types = nr_types;
		emu->types = devm_kmemdup(dev, types, nr_types * sizeof(*types),
					  GFP_KERNEL);
		return emu->types ? 0 : -ENOMEM;
	}

	if (granule != emu->granule || granules != emu->granules ||
	    nr_vfs != emu->nr_vfs ||
	    nr_types != emu->nr_types ||
	    memcmp(types, emu->types, nr_types * sizeof(*types))) {
		dev_err(dev, "firmware types changed across reset; rebind the driver\n");
		return -EPROTO;
	}
	return 0;
}
