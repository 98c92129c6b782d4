// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-rm: compare nvidia_vgpu_vfio.h with NVIDIA's own header.
 *
 * Built only where the source of NVIDIA's vGPU host driver is installed.
 */
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/pci.h>
#include <linux/stddef.h>

/* Both headers declare these, with types of different names. */
#define nvidia_vgpu_vfio_get_ops	nvidia_header_get_ops
#define nvidia_vgpu_vfio_set_ops	nvidia_header_set_ops
#include <nv-vgpu-vfio-interface.h>
#undef nvidia_vgpu_vfio_get_ops
#undef nvidia_vgpu_vfio_set_ops

#include "nvidia_vgpu_vfio.h"

#define DIFFERS ": the driver does not have the interface of versions 525 to 580, which nvvgpu-rm uses"
#define PLACE_OF(_name) _name " has a different offset" DIFFERS
#define TYPE_OF(_name) _name " has a different type" DIFFERS

#define RM_PLACE(_member)	offsetof(rm_vgpu_vfio_ops_t, _member)
#define RM_TYPE(_member)	typeof_member(rm_vgpu_vfio_ops_t, _member)
#define OUR_RM_PLACE(_member)	offsetof(struct nvidia_vgpu_rm_ops, _member)
#define OUR_RM_TYPE(_member)	typeof_member(struct nvidia_vgpu_rm_ops, _member)

static_assert(sizeof(rm_vgpu_vfio_ops_t) == sizeof(struct nvidia_vgpu_rm_ops),
	      "the table of the RM has another size" DIFFERS);

static_assert(RM_PLACE(version_string) == OUR_RM_PLACE(version_string),
	      PLACE_OF("version_string"));
static_assert(__same_type(RM_TYPE(version_string), OUR_RM_TYPE(version_string)),
	      TYPE_OF("version_string"));

static_assert(RM_PLACE(vgpu_create) == OUR_RM_PLACE(vgpu_create),
	      PLACE_OF("vgpu_create"));
static_assert(__same_type(RM_TYPE(vgpu_create), OUR_RM_TYPE(vgpu_create)),
	      TYPE_OF("vgpu_create"));

static_assert(RM_PLACE(vgpu_delete) == OUR_RM_PLACE(vgpu_delete),
	      PLACE_OF("vgpu_delete"));
static_assert(__same_type(RM_TYPE(vgpu_delete), OUR_RM_TYPE(vgpu_delete)),
	      TYPE_OF("vgpu_delete"));

static_assert(RM_PLACE(vgpu_bar_info) == OUR_RM_PLACE(vgpu_bar_info),
	      PLACE_OF("vgpu_bar_info"));
static_assert(__same_type(RM_TYPE(vgpu_bar_info), OUR_RM_TYPE(vgpu_bar_info)),
	      TYPE_OF("vgpu_bar_info"));

static_assert(RM_PLACE(vgpu_start) == OUR_RM_PLACE(vgpu_start),
	      PLACE_OF("vgpu_start"));
static_assert(__same_type(RM_TYPE(vgpu_start), OUR_RM_TYPE(vgpu_start)),
	      TYPE_OF("vgpu_start"));

static_assert(RM_PLACE(get_description) == OUR_RM_PLACE(get_description),
	      PLACE_OF("get_description"));
static_assert(__same_type(RM_TYPE(get_description), OUR_RM_TYPE(get_description)),
	      TYPE_OF("get_description"));

static_assert(RM_PLACE(get_instances) == OUR_RM_PLACE(get_instances),
	      PLACE_OF("get_instances"));
static_assert(__same_type(RM_TYPE(get_instances), OUR_RM_TYPE(get_instances)),
	      TYPE_OF("get_instances"));

static_assert(RM_PLACE(get_name) == OUR_RM_PLACE(get_name),
	      PLACE_OF("get_name"));
static_assert(__same_type(RM_TYPE(get_name), OUR_RM_TYPE(get_name)),
	      TYPE_OF("get_name"));

static_assert(RM_PLACE(get_types) == OUR_RM_PLACE(get_types),
	      PLACE_OF("get_types"));
static_assert(__same_type(RM_TYPE(get_types), OUR_RM_TYPE(get_types)),
	      TYPE_OF("get_types"));

static_assert(RM_PLACE(get_sparse_mmap) == OUR_RM_PLACE(get_sparse_mmap),
	      PLACE_OF("get_sparse_mmap"));
static_assert(__same_type(RM_TYPE(get_sparse_mmap), OUR_RM_TYPE(get_sparse_mmap)),
	      TYPE_OF("get_sparse_mmap"));

static_assert(RM_PLACE(update_request) == OUR_RM_PLACE(update_request),
	      PLACE_OF("update_request"));
static_assert(__same_type(RM_TYPE(update_request), OUR_RM_TYPE(update_request)),
	      TYPE_OF("update_request"));

#define CALLBACK_PLACE(_member)	offsetof(vgpu_vfio_ops_t, _member)
#define CALLBACK_TYPE(_member)	typeof_member(vgpu_vfio_ops_t, _member)
#define OUR_PLACE(_member)	offsetof(struct nvidia_vgpu_callbacks, _member)
#define OUR_TYPE(_member)	typeof_member(struct nvidia_vgpu_callbacks, _member)

static_assert(sizeof(vgpu_vfio_ops_t) == sizeof(struct nvidia_vgpu_callbacks),
	      "the table of callbacks has another size" DIFFERS);

static_assert(CALLBACK_PLACE(probe) == OUR_PLACE(probe),
	      PLACE_OF("probe"));
static_assert(__same_type(CALLBACK_TYPE(probe), OUR_TYPE(probe)),
	      TYPE_OF("probe"));

static_assert(CALLBACK_PLACE(remove) == OUR_PLACE(remove),
	      PLACE_OF("remove"));
static_assert(__same_type(CALLBACK_TYPE(remove), OUR_TYPE(remove)),
	      TYPE_OF("remove"));

static_assert(CALLBACK_PLACE(inject_interrupt) == OUR_PLACE(inject_interrupt),
	      PLACE_OF("inject_interrupt"));
static_assert(__same_type(CALLBACK_TYPE(inject_interrupt), OUR_TYPE(inject_interrupt)),
	      TYPE_OF("inject_interrupt"));
