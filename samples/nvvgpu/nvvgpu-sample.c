// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-sample: a complete minimal back-end for nvvgpu-vfio-pci, as a starting
 * point for other back-ends; see Documentation/driver-api/nvvgpu-backend.rst.
 *
 * It is the driver of an SR-IOV physical function and offers the VFs as vGPUs of
 * two types.  A real driver would send commands to its firmware; this one only
 * keeps track of the framebuffer.  It binds to any SR-IOV device by
 * driver_override.
 */
#include <drm/drm_fourcc.h>
#include <linux/cleanup.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/nvvgpu_backend.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#define SAMPLE_FB_BYTES	SZ_4G

struct sample_gpu;

/**
 * struct sample_vgpu - the vGPU of one VF
 * @sample: the GPU
 * @type: type of the vGPU, NULL without a vGPU
 * @starts: number of starts
 * @edid: EDID of the monitor
 * @edid_len: bytes of @edid, 0 without a monitor
 */
struct sample_vgpu {
	struct sample_gpu *sample;
	const struct nvvgpu_type_info *type;
	u64 starts;
	u8 edid[NVVGPU_EDID_LEN];
	size_t edid_len;
};

/**
 * struct sample_gpu - one GPU
 * @pdev: the physical function
 * @backend: handle from the front-end
 * @lock: protects @free and sample_vgpu::type
 * @free: bytes of free framebuffer
 * @nr_vfs: entries of @vgpus
 * @vgpus: indexed by number of the VF
 */
struct sample_gpu {
	struct pci_dev *pdev;
	struct nvvgpu_backend *backend;
	struct mutex lock; /* see above */
	u64 free;
	unsigned int nr_vfs;
	struct sample_vgpu vgpus[] __counted_by(nr_vfs);
};

static const struct nvvgpu_type_info sample_types[] = {
	{
		.id = 1,
		.name = "Sample small",
		.class = NVVGPU_CLASS_COMPUTE,
		.fb_bytes = SZ_1G,
		.max_instances = SAMPLE_FB_BYTES / SZ_1G,
	}, {
		.id = 2,
		.name = "Sample large",
		.class = NVVGPU_CLASS_DESKTOP,
		.fb_bytes = SZ_4G,
		.heads = 1,
		.max_width = 640,
		.max_height = 480,
		.max_instances = SAMPLE_FB_BYTES / SZ_4G,
	},
};

static const struct nvvgpu_type_info *sample_type(u32 id)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sample_types); i++)
		if (sample_types[i].id == id)
			return &sample_types[i];

	return NULL;
}

/* The types */

static int sample_get_types(void *priv, u32 *ids, size_t capacity)
{
	unsigned int i;

	if (capacity < ARRAY_SIZE(sample_types))
		return -EOVERFLOW;
	for (i = 0; i < ARRAY_SIZE(sample_types); i++)
		ids[i] = sample_types[i].id;

	return ARRAY_SIZE(sample_types);
}

static int sample_get_type_info(void *priv, u32 id,
				struct nvvgpu_type_info *info)
{
	const struct nvvgpu_type_info *type = sample_type(id);

	if (!type)
		return -ENOENT;
	nvvgpu_type_info_set(info, type);

	return 0;
}

static int sample_get_available(void *priv, u32 id, u32 placement, char *reason,
				size_t len)
{
	const struct nvvgpu_type_info *type = sample_type(id);
	struct sample_gpu *sample = priv;
	unsigned int nr, vf, vfs, unused = 0;

	if (!type)
		return -ENOENT;

	guard(mutex)(&sample->lock);
	nr = div64_u64(sample->free, type->fb_bytes);
	vfs = min_t(unsigned int, pci_num_vf(sample->pdev), sample->nr_vfs);
	for (vf = 0; vf < vfs; vf++)
		unused += !sample->vgpus[vf].type;
	if (!nr)
		snprintf(reason, len, "%llu MiB of framebuffer are left",
			 sample->free / SZ_1M);
	else if (!unused)
		strscpy(reason, "all enabled VFs have vGPUs", len);

	return min(nr, unused);
}

/* The life of a vGPU: create, any number of start and stop, delete */

static int sample_create(void *priv, unsigned int vf, u32 id, u32 *placement,
			 void **handle)
{
	const struct nvvgpu_type_info *type = sample_type(id);
	struct sample_gpu *sample = priv;

	if (!type)
		return -ENOENT;
	if (vf >= sample->nr_vfs)
		return -ENODEV;
	/* A GPU with placements allocates the requested one here. */
	if (*placement == NVVGPU_PLACEMENT_ANY)
		*placement = vf;
	if (*placement != vf)
		return -EINVAL;

	guard(mutex)(&sample->lock);
	if (type->fb_bytes > sample->free)
		return -ENOSPC;
	sample->free -= type->fb_bytes;
	sample->vgpus[vf].sample = sample;
	sample->vgpus[vf].type = type;
	sample->vgpus[vf].starts = 0;
	/* The handle is passed to all other operations of this vGPU. */
	*handle = &sample->vgpus[vf];

	return 0;
}

static int sample_delete(void *handle)
{
	struct sample_vgpu *vgpu = handle;

	/* A GPU scrubs the framebuffer here, before it becomes free. */
	guard(mutex)(&vgpu->sample->lock);
	vgpu->sample->free += vgpu->type->fb_bytes;
	vgpu->type = NULL;

	return 0;
}

static int sample_start(void *handle, const struct nvvgpu_vm_context *ctx)
{
	struct sample_vgpu *vgpu = handle;

	pci_dbg(vgpu->sample->pdev, "%s starts for process %d, \"%s\"\n",
		vgpu->type->name, ctx->pid, ctx->params);
	WRITE_ONCE(vgpu->starts, vgpu->starts + 1);

	return 0;
}

static int sample_stop(void *handle)
{
	struct sample_vgpu *vgpu = handle;

	/* A GPU halts the engines of the VF and scrubs the data of the user here. */
	vgpu->edid_len = 0;

	return 0;
}

/* Optional: counters for nvvgpu/stats */
static int sample_get_stats(void *handle, struct nvvgpu_stat *stats,
			    size_t capacity)
{
	struct sample_vgpu *vgpu = handle;

	if (!capacity)
		return 0;
	stats[0].name = "starts";
	/* May be called at the same time as any other operation. */
	stats[0].value = READ_ONCE(vgpu->starts);

	return 1;
}

/* Optional: a display, whose picture is the first page of BAR 0 */

static int sample_get_plane(void *handle, struct nvvgpu_plane *plane)
{
	/* A GPU reads the mode that the guest has set here. */
	plane->drm_format = DRM_FORMAT_XRGB8888;
	plane->width = 64;
	plane->height = 16;
	plane->stride = 64 * 4;
	plane->bar = 0;
	plane->offset = 0;

	return 0;
}

static int sample_get_edid(void *handle, u8 *edid, size_t capacity)
{
	struct sample_vgpu *vgpu = handle;

	capacity = min(capacity, vgpu->edid_len);
	memcpy(edid, vgpu->edid, capacity);

	return capacity;
}

static int sample_set_edid(void *handle, const u8 *edid, size_t length)
{
	struct sample_vgpu *vgpu = handle;

	/* A GPU notifies the guest here. */
	memcpy(vgpu->edid, edid, length);
	vgpu->edid_len = length;

	return 0;
}

static const struct nvvgpu_backend_ops sample_ops = {
	.name = "sample",
	.owner = THIS_MODULE,
	.abi_major = NVVGPU_BACKEND_ABI_MAJOR,
	.abi_minor = NVVGPU_BACKEND_ABI_MINOR,
	.size = sizeof(struct nvvgpu_backend_ops),
	.get_types = sample_get_types,
	.get_type_info = sample_get_type_info,
	.get_available = sample_get_available,
	.create = sample_create,
	.delete = sample_delete,
	.start = sample_start,
	.stop = sample_stop,
	.get_stats = sample_get_stats,
	.get_plane = sample_get_plane,
	.get_edid = sample_get_edid,
	.set_edid = sample_set_edid,
};

static int sample_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	unsigned int nr_vfs = pci_sriov_get_totalvfs(pdev);
	struct sample_gpu *sample;

	sample = devm_kzalloc(&pdev->dev, struct_size(sample, vgpus, nr_vfs),
			      GFP_KERNEL);
	if (!sample)
		return -ENOMEM;
	sample->nr_vfs = nr_vfs;
	sample->pdev = pdev;
	sample->free = SAMPLE_FB_BYTES;
	mutex_init(&sample->lock);
	pci_set_drvdata(pdev, sample);

	/* The last step: operations may be called from here on. */
	return nvvgpu_backend_register(pdev, &sample_ops, sample,
				       &sample->backend);
}

static void sample_remove(struct pci_dev *pdev)
{
	struct sample_gpu *sample = pci_get_drvdata(pdev);

	/* The first step: deletes all vGPUs; no operation is called afterwards. */
	nvvgpu_backend_unregister(sample->backend);
	nvvgpu_backend_free(sample->backend);
	pci_disable_sriov(pdev);
}

static struct pci_driver sample_driver = {
	.name = "nvvgpu-sample",
	.probe = sample_probe,
	.remove = sample_remove,
	.sriov_configure = pci_sriov_configure_simple,
};
module_pci_driver(sample_driver);

MODULE_IMPORT_NS("NVVGPU");
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Sample back-end of nvvgpu");
