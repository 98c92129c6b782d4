// SPDX-License-Identifier: GPL-2.0-only
/*
 * GPUs, their VFs and vGPUs, as sysfs shows them.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

#define CLASS_DISPLAY	0x03

/* Read the properties of a VF that can change. */
void vf_scan(struct vf *vf)
{
	const char *bdf = vf->bdf;

	vf->refused = false;
	file_link(vf->driver, sizeof(vf->driver), PCI_DEVICES "/%s/driver", bdf);
	vf->managed = file_exists(PCI_DEVICES "/%s/nvvgpu/state", bdf);
	/* The kernel removes the link before the driver. */
	vf->leaving = vf->managed && !vf->driver[0];
	file_read(vf->state, sizeof(vf->state), PCI_DEVICES "/%s/nvvgpu/state", bdf);
	file_read(vf->backend, sizeof(vf->backend), PCI_DEVICES "/%s/nvvgpu/backend", bdf);
	vf->type = file_number(0, PCI_DEVICES "/%s/nvidia/current_vgpu_type", bdf);
	vf->generation = file_number(0, PCI_DEVICES "/%s/nvvgpu/generation", bdf);
	vf->placement = file_number(PLACEMENT_ANY, PCI_DEVICES "/%s/nvidia/placement_id", bdf);
	name_read(vf);
	owner_read(vf);
}

/* The file of a bound VF that QEMU opens, which may be missing; @path has PATH_LEN bytes */
bool vf_node(const struct vf *vf, char *path)
{
	struct dirent *entry;
	char dir[PATH_LEN];
	bool found = false;
	DIR *handle;

	path_make(dir, PCI_DEVICES "/%s/vfio-dev", vf->bdf);
	handle = opendir(dir);
	if (!handle)
		return false;
	while (!found && (entry = readdir(handle))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, PATH_LEN, "/dev/vfio/devices/%s", entry->d_name);
		found = true;
	}
	closedir(handle);

	return found;
}

/*
 * While the removal of a VF waits until the VF is closed, its links virtfn<N> and physfn
 * are gone, and sriov_numvfs cannot be read.
 */
static bool vf_exists(const struct vf *vf)
{
	char pf[BDF_LEN];

	if (file_link(pf, sizeof(pf), PCI_DEVICES "/%s/physfn", vf->bdf) > 0)
		return !strcmp(pf, vf->gpu->bdf);

	return file_exists(PCI_DEVICES "/%s/nvvgpu/state", vf->bdf);
}

static void vfs_scan(struct gpu *gpu)
{
	struct pci_vfs vfs;
	unsigned int i;

	free(gpu->vfs);
	gpu->nr_vfs = 0;
	gpu->vfs = calloc(gpu->total ?: 1, sizeof(*gpu->vfs));
	if (pci_vfs(gpu->bdf, &vfs))
		return;
	for (i = 0; i < gpu->total; i++) {
		struct vf *vf = &gpu->vfs[gpu->nr_vfs];

		vf->gpu = gpu;
		vf->number = i;
		pci_vf_address(&vfs, i, vf->bdf);
		/* All have the same address if the stride is 0, which one VF may have. */
		if ((i && !vfs.stride) || !vf_exists(vf))
			continue;
		vf_scan(vf);
		gpu->nr_vfs++;
	}
}

/* The VF with this number, or NULL */
struct vf *gpu_vf(const struct gpu *gpu, unsigned int number)
{
	unsigned int i;

	for (i = 0; i < gpu->nr_vfs; i++)
		if (gpu->vfs[i].number == number)
			return &gpu->vfs[i];

	return NULL;
}

/* Read everything about a GPU again. */
void gpu_scan(struct gpu *gpu)
{
	file_link(gpu->driver, sizeof(gpu->driver), PCI_DEVICES "/%s/driver", gpu->bdf);
	gpu->numa = file_number(-1, PCI_DEVICES "/%s/numa_node", gpu->bdf);
	gpu->total = file_number(0, PCI_DEVICES "/%s/sriov_totalvfs", gpu->bdf);
	if (!gpu->model[0])
		pci_model(gpu->bdf, gpu->model, sizeof(gpu->model));
	vfs_scan(gpu);
	types_read(gpu);
}

static bool any_vf_is_ours(const char *pf)
{
	unsigned int i, nr = file_number(0, PCI_DEVICES "/%s/sriov_totalvfs", pf);
	char bdf[BDF_LEN], driver[NAME_LEN];
	struct pci_vfs vfs;

	if (pci_vfs(pf, &vfs))
		return false;
	for (i = 0; i < nr; i++) {
		pci_vf_address(&vfs, i, bdf);
		file_link(driver, sizeof(driver), PCI_DEVICES "/%s/driver", bdf);
		if (!strcmp(driver, front_end()) ||
		    file_exists(PCI_DEVICES "/%s/nvvgpu/state", bdf))
			return true;
	}

	return false;
}

/* A display adapter with SR-IOV, or a device whose VFs are bound to the driver */
static bool is_gpu(const char *bdf)
{
	if (file_number(0, PCI_DEVICES "/%s/sriov_totalvfs", bdf) <= 0)
		return false;

	return file_number(0, PCI_DEVICES "/%s/class", bdf) >> 16 == CLASS_DISPLAY ||
	       any_vf_is_ours(bdf) ||
	       file_exists(GENERIC_DIR "/%s", bdf);
}

/* GPUs move when another one is added, so their VFs get new pointers. */
static void host_relink(struct host *host)
{
	unsigned int i, j;

	for (i = 0; i < host->nr; i++)
		for (j = 0; j < host->gpus[i].nr_vfs; j++)
			host->gpus[i].vfs[j].gpu = &host->gpus[i];
}

/**
 * gpu_add() - add a device to the list of GPUs
 * @host: the list
 * @bdf: address of a physical function with SR-IOV
 *
 * Return: whether there is such a function
 */
bool gpu_add(struct host *host, const char *bdf)
{
	struct gpu *gpu;

	if (host_gpu(host, bdf))
		return true;
	if (!file_exists(PCI_DEVICES "/%s/sriov_totalvfs", bdf))
		return false;
	host->gpus = realloc(host->gpus, (host->nr + 1) * sizeof(*host->gpus));
	gpu = &host->gpus[host->nr++];
	memset(gpu, 0, sizeof(*gpu));
	snprintf(gpu->bdf, sizeof(gpu->bdf), "%.*s", BDF_LEN - 1, bdf);
	gpu_scan(gpu);
	host_relink(host);

	return true;
}

void host_scan(struct host *host)
{
	char path[PATH_LEN];
	struct dirent **entries;
	int i, nr;

	memset(host, 0, sizeof(*host));
	path_make(path, PCI_DEVICES);
	nr = scandir(path, &entries, NULL, alphasort);
	for (i = 0; i < nr; i++) {
		if (entries[i]->d_name[0] != '.' && is_gpu(entries[i]->d_name))
			gpu_add(host, entries[i]->d_name);
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
}

void host_free(struct host *host)
{
	unsigned int i;

	for (i = 0; i < host->nr; i++) {
		free(host->gpus[i].vfs);
		free(host->gpus[i].types);
	}
	free(host->gpus);
	memset(host, 0, sizeof(*host));
}

struct gpu *host_gpu(struct host *host, const char *bdf)
{
	unsigned int i;

	for (i = 0; i < host->nr; i++)
		if (!strcmp(host->gpus[i].bdf, bdf))
			return &host->gpus[i];

	return NULL;
}

/**
 * find_gpu() - find a GPU by an argument of the user
 * @host: all GPUs
 * @text: its PCI address
 * @gpu: receives the GPU
 *
 * Return: 0; -EINVAL if @text is not an address; -ENODEV without such a GPU
 */
int find_gpu(struct host *host, const char *text, struct gpu **gpu)
{
	char bdf[BDF_LEN];

	if (pci_parse(text, bdf))
		return -EINVAL;
	if (!gpu_add(host, bdf))
		return -ENODEV;
	*gpu = host_gpu(host, bdf);

	return 0;
}

static int find_vf_by_number(struct host *host, const char *text, struct vf **vf)
{
	const char *slash = strchr(text, '/');
	char pf[BDF_LEN];
	struct gpu *gpu;
	long long nr;
	int ret;

	if (slash - text >= BDF_LEN)
		return -EINVAL;
	snprintf(pf, sizeof(pf), "%.*s", (int)(slash - text), text);
	if (!parse_number(slash + 1, 0, INT32_MAX, &nr))
		return -EINVAL;
	ret = find_gpu(host, pf, &gpu);
	if (ret)
		return ret;
	*vf = gpu_vf(gpu, nr);

	return *vf ? 0 : -ENODEV;
}

static bool has_address(const struct vf *vf, const char *bdf)
{
	return !strcmp(vf->bdf, bdf);
}

static bool has_name(const struct vf *vf, const char *name)
{
	return !strcmp(vf->name, name);
}

static int find_vf_that(struct host *host, bool (*has)(const struct vf *vf, const char *text),
			const char *text, struct vf **vf)
{
	unsigned int i, j;

	for (i = 0; i < host->nr; i++)
		for (j = 0; j < host->gpus[i].nr_vfs; j++)
			if (has(&host->gpus[i].vfs[j], text)) {
				*vf = &host->gpus[i].vfs[j];
				return 0;
			}

	return -ENODEV;
}

static int find_vf_by_address(struct host *host, const char *bdf, struct vf **vf)
{
	char pf[BDF_LEN];

	if (file_link(pf, sizeof(pf), PCI_DEVICES "/%s/physfn", bdf) > 0)
		gpu_add(host, pf);

	return find_vf_that(host, has_address, bdf, vf);
}

/**
 * find_vf() - find a VF by an argument of the user
 * @host: all GPUs
 * @text: PCI address, address of the PF and "/" and number, or name of a vGPU
 * @vf: receives the VF
 *
 * Return: 0; -EINVAL if @text is none of these; -ENODEV without such a VF
 */
int find_vf(struct host *host, const char *text, struct vf **vf)
{
	char bdf[BDF_LEN];

	if (strchr(text, '/'))
		return find_vf_by_number(host, text, vf);
	if (!pci_parse(text, bdf))
		return find_vf_by_address(host, bdf, vf);
	if (name_valid(text))
		return find_vf_that(host, has_name, text, vf);

	return -EINVAL;
}

/* As find_gpu(), with a message on failure */
enum status need_gpu(struct host *host, const char *text, struct gpu **gpu)
{
	int ret = find_gpu(host, text, gpu);

	if (ret)
		error("%s: %s", text, ret == -EINVAL ? "not a PCI address" :
		      "no such physical function with SR-IOV");

	return ret == -EINVAL ? STATUS_USAGE : status_of(ret);
}

/* As find_vf(), with a message on failure */
enum status need_vf(struct host *host, const char *text, struct vf **vf)
{
	char bdf[BDF_LEN];

	if (!find_vf(host, text, vf))
		return STATUS_OK;
	if (!pci_parse(text, bdf) && host_gpu(host, bdf))
		error("%s is a GPU; name one of its VFs, for example %s/0", text, text);
	else
		error("%s: no such VF or vGPU", text);

	return STATUS_NOT_FOUND;
}

/* Advice for a GPU without a back-end; valid until the next call */
const char *backend_advice(const struct gpu *gpu)
{
	static char advice[TEXT_LEN];

	if (file_exists(GENERIC_DIR "/%s", gpu->bdf))
		snprintf(advice, sizeof(advice), "enable it: echo 1 > " GENERIC_DIR "/%s/enable",
			 gpu->bdf);
	else if (file_exists(GENERIC_DIR))
		snprintf(advice, sizeof(advice),
			 "define its types for nvvgpu-generic: mkdir " GENERIC_DIR "/%s", gpu->bdf);
	else
		snprintf(advice, sizeof(advice),
			 "load the back-end for driver %s: nvvgpu-rm for NVIDIA's, nvvgpu-generic for others",
			 gpu->driver[0] ? gpu->driver : "none");

	return advice;
}

/* Calculate from the type whose instances use most of it; 0 if unknown. */
__u64 gpu_framebuffer(const struct gpu *gpu)
{
	__u64 bytes = 0;
	unsigned int i;

	for (i = 0; i < gpu->nr_types; i++) {
		const struct type *type = &gpu->types[i];

		if (type->framebuffer * type->max_instances > bytes)
			bytes = type->framebuffer * type->max_instances;
	}

	return bytes;
}

__u64 gpu_framebuffer_used(const struct gpu *gpu)
{
	__u64 bytes = 0;
	unsigned int i;

	for (i = 0; i < gpu->nr_vfs; i++) {
		const struct type *type = type_by_id(gpu, gpu->vfs[i].type);

		if (type)
			bytes += type->framebuffer;
	}

	return bytes;
}
