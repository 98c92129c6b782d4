/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VF to be tested with a vGPU of a certain kind: of each class of the emulated
 * GPU's types, and of a type that the generic back-end makes of another device.
 */
#ifndef _NVVGPU_SUBJECT_H
#define _NVVGPU_SUBJECT_H

#include <linux/pci_regs.h>

#include "nvvgpu_test.h"
#include "lib/backend.h"

/* A type with the PCI ids of QEMU's bochs-display */
#define BOCHS_TYPE	"NVIDIA EMU-1B"

/* The card of the generic back-end in the lab, and a type with a smaller BAR */
#define GENERIC_PF	"igb"
#define GENERIC_CUT	2

/**
 * enum subject_kind - kinds of vGPUs
 * @SUBJECT_Q: the smallest type of the emulated GPU's class Q
 * @SUBJECT_C: of class C
 * @SUBJECT_B: of class B
 * @SUBJECT_A: of class A
 * @SUBJECT_BOCHS: the type with the ids of another vendor
 * @SUBJECT_WHOLE: a whole VF of another device
 * @SUBJECT_CUT: such a VF with a smaller BAR and other ids
 */
enum subject_kind {
	SUBJECT_Q,
	SUBJECT_C,
	SUBJECT_B,
	SUBJECT_A,
	SUBJECT_BOCHS,
	SUBJECT_WHOLE,
	SUBJECT_CUT,
};

/**
 * struct subject - a VF, and the expected properties of its vGPU
 * @pf: the GPU
 * @vf: PCI name of the VF
 * @vf2: PCI name of another VF
 * @dir: configfs directory, with the generic back-end
 * @emulated: it is the emulated GPU
 * @type: type of the vGPU
 * @ids: PCI_VENDOR_ID of the vGPU, 32 bits
 * @subsystem: PCI_SUBSYSTEM_VENDOR_ID, 32 bits
 * @class: 24 bits
 * @bar: the first BAR that has more than the MSI-X table
 * @bar_size: bytes
 */
struct subject {
	struct pf pf;
	const char *vf;
	const char *vf2;
	char dir[GENERIC_DIR_LEN];
	bool emulated;
	struct vgpu_type type;
	__u32 ids;
	__u32 subsystem;
	__u32 class;
	unsigned int bar;
	__u64 bar_size;
};

static inline int subject_pick_type(struct subject *s, enum subject_kind kind)
{
	static const char * const classes[] = {
		[SUBJECT_Q] = "workstation",
		[SUBJECT_C] = "compute",
		[SUBJECT_B] = "desktop",
		[SUBJECT_A] = "applications",
	};
	struct vgpu_type types[MAX_TYPES];
	int i, nr;

	nr = vf_types(s->vf, types, MAX_TYPES);
	if (nr < 0)
		return nr;
	for (i = 0; i < nr; i++) {
		bool bochs = !strcmp(types[i].name, BOCHS_TYPE);

		if (kind == SUBJECT_BOCHS ? !bochs :
		    bochs || strcmp(types[i].vgpu_class, classes[kind]))
			continue;
		if (!s->type.id ||
		    types[i].framebuffer < s->type.framebuffer)
			s->type = types[i];
	}

	return s->type.id ? 0 : -EOPNOTSUPP;
}

static inline int subject_claim(struct subject *s, bool cut)
{
	static const char * const attrs[][2] = {
		{ "bar0", "8K" },
		{ "vendor", "0x1234" },
		{ "device", "0x5678" },
		{ "subsystem_vendor", "0xabcd" },
		{ "subsystem_device", "0xef01" },
		{ "class_code", "0x030201" },
		{ "enable", "1" },
	};
	unsigned int i;
	int ret;

	if (mod_add("nvvgpu-generic", "") ||
	    pf_find_driver(&s->pf, GENERIC_PF))
		return -EOPNOTSUPP;
	ret = pf_prepare(&s->pf, GENERIC_PF, TEST_VFS);
	if (!ret)
		ret = generic_claim(s->pf.bdf, s->dir);
	if (!ret)
		ret = generic_enable(s->dir, "1");
	if (!ret)
		ret = generic_type_add(s->dir, GENERIC_CUT);
	for (i = 0; i < ARRAY_SIZE(attrs) && !ret; i++)
		ret = generic_type_put(s->dir, GENERIC_CUT, attrs[i][0],
				       attrs[i][1]);
	s->type.id = cut ? GENERIC_CUT : GENERIC_WHOLE;

	return ret;
}

static inline int subject_read_ids(struct subject *s)
{
	__u64 vendor, device, sub_vendor, sub_device, class;
	int ret;

	ret = pci_read_u64(s->vf, "vendor", &vendor) ?:
	      pci_read_u64(s->vf, "device", &device) ?:
	      pci_read_u64(s->vf, "subsystem_vendor", &sub_vendor) ?:
	      pci_read_u64(s->vf, "subsystem_device", &sub_device) ?:
	      pci_read_u64(s->vf, "class", &class);
	if (ret)
		return ret;
	s->ids = device << 16 | vendor;
	s->subsystem = sub_device << 16 | sub_vendor;
	s->class = class;

	return 0;
}

/**
 * subject_prepare() - find a VF and a type, without creating the vGPU
 * @s: zeroed
 * @kind: kind of the vGPU
 * @ioas: IOAS to open
 * @mode: kind of @ioas
 *
 * Return: 0 or a negative errno; -EOPNOTSUPP, with everything undone, if this
 * machine has no such vGPU or address space.
 */
static inline int subject_prepare(struct subject *s, enum subject_kind kind,
				  struct ioas *ioas, enum iommu_mode mode)
{
	int ret;

	ret = ioas_open(ioas, mode);
	if (ret)
		return ret;
	s->emulated = kind <= SUBJECT_BOCHS;
	if (!s->emulated)
		ret = subject_claim(s, kind == SUBJECT_CUT);
	else if (gpu_prepare(&s->pf, TEST_VFS))
		ret = -ENODEV;
	s->vf = s->pf.vf[0];
	s->vf2 = s->pf.vf[1];
	if (!ret && s->emulated)
		ret = subject_pick_type(s, kind);
	if (ret == -EOPNOTSUPP) {
		mod_del("nvvgpu-generic");
		ioas_close(ioas);
	}
	if (!ret)
		ret = subject_read_ids(s);
	if (ret)
		return ret;

	if (kind == SUBJECT_BOCHS) {
		s->ids = 0x11111234;
		s->subsystem = 0x11001af4;
		s->class = 0x038000;
	} else if (kind == SUBJECT_CUT) {
		s->ids = 0x56781234;
		s->subsystem = 0xef01abcd;
		s->class = 0x030201;
	}

	s->bar = s->emulated ? NVVGPU_EMU_VF_BAR_FB : 0;
	s->bar_size = kind == SUBJECT_WHOLE ? 16384 :
		      kind == SUBJECT_CUT ? 8192 : s->type.bar0;

	return 0;
}

/**
 * subject_drop() - undo subject_prepare()
 * @s: zeroed, or completely or partly prepared; its device is closed
 */
static inline void subject_drop(struct subject *s)
{
	gpu_clean(&s->pf);
	if (s->dir[0]) {
		generic_drop(s->dir);
		mod_del("nvvgpu-generic");
	}
}

#endif /* _NVVGPU_SUBJECT_H */
