// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpuctl list and types
 */
#include <stdio.h>
#include <string.h>

#include "ctl.h"

static struct json_object *json_owner(const struct vf *vf)
{
	struct json_object *owner;

	if (!vf->pid)
		return NULL;
	owner = json_object_new_object();
	json_number(owner, "pid", vf->pid);
	/* Never null, also if the process has an empty name */
	json_add(owner, "command", json_object_new_string(vf->command));
	json_text(owner, "vm", vf->vm);

	return owner;
}

static struct json_object *json_vgpu(const struct vf *vf)
{
	const struct type *type = type_by_id(vf->gpu, vf->type);
	struct json_object *vgpu;

	if (!vf->type)
		return NULL;
	vgpu = json_object_new_object();
	json_number(vgpu, "type", vf->type);
	json_text(vgpu, "type_name", type ? type->name : NULL);
	json_text(vgpu, "name", vf->name);
	json_number(vgpu, "generation", vf->generation);
	json_number(vgpu, "placement", vf->placement);
	json_number(vgpu, "framebuffer", type ? type->framebuffer : 0);
	json_add(vgpu, "owner", json_owner(vf));

	return vgpu;
}

struct json_object *json_vf(const struct vf *vf)
{
	struct json_object *object = json_object_new_object();
	char group[NAME_LEN];

	file_link(group, sizeof(group), PCI_DEVICES "/%s/iommu_group", vf->bdf);
	json_text(object, "vf", vf->bdf);
	json_text(object, "pf", vf->gpu->bdf);
	json_number(object, "number", vf->number);
	json_text(object, "driver", vf->driver);
	json_text(object, "iommu_group", group);
	json_text(object, "backend", vf->backend);
	json_text(object, "state", vf->state);
	json_add(object, "vgpu", json_vgpu(vf));

	return object;
}

static struct json_object *json_gpu(const struct gpu *gpu)
{
	struct json_object *object = json_object_new_object();
	struct json_object *vfs = json_object_new_array();
	__u64 total = gpu_framebuffer(gpu), used = gpu_framebuffer_used(gpu);
	unsigned int i;

	json_text(object, "pf", gpu->bdf);
	json_text(object, "model", gpu->model);
	json_text(object, "driver", gpu->driver);
	json_number(object, "numa_node", gpu->numa);
	json_number(object, "vfs_total", gpu->total);
	json_number(object, "vfs_enabled", gpu->nr_vfs);
	json_number(object, "framebuffer", total);
	json_number(object, "framebuffer_used", used);
	json_number(object, "framebuffer_free", total - used);
	for (i = 0; i < gpu->nr_vfs; i++)
		json_object_array_add(vfs, json_vf(&gpu->vfs[i]));
	json_add(object, "vfs", vfs);

	return object;
}

static void print_gpu(const struct gpu *gpu)
{
	__u64 total = gpu_framebuffer(gpu), used = gpu_framebuffer_used(gpu);

	printf("%s  %s, driver %s", paint("1", gpu->bdf), gpu->model,
	       gpu->driver[0] ? gpu->driver : "none");
	if (gpu->numa >= 0)
		printf(", NUMA node %d", gpu->numa);
	printf(", %u of %u VFs", gpu->nr_vfs, gpu->total);
	if (total)
		printf(", framebuffer %s used, %s free", size_text(used),
		       size_text(total - used));
	putchar('\n');
}

static const char *owner_cell(const struct vf *vf)
{
	static char buf[TEXT_LEN * 2];

	buf[0] = '\0';
	if (vf->pid)
		snprintf(buf, sizeof(buf), "%d %s%s%s", vf->pid, vf->command,
			 vf->vm[0] ? " VM " : "", vf->vm);

	return buf;
}

static void print_vfs(const struct gpu *gpu)
{
	static const char * const head[] = {
		"VF", "NR", "STATE", "TYPE", "FRAMEBUFFER", "NAME", "GENERATION", "OWNER",
	};
	struct table table;
	unsigned int i;

	table_begin(&table, ARRAY_SIZE(head), head);
	for (i = 0; i < gpu->nr_vfs; i++) {
		const struct vf *vf = &gpu->vfs[i];
		const struct type *type = type_by_id(gpu, vf->type);

		table_cell(&table, "%s", vf->bdf);
		table_cell(&table, "%u", vf->number);
		table_cell(&table, "%s", vf->managed ? vf->state :
			   vf->driver[0] ? vf->driver : "unbound");
		if (type)
			table_cell(&table, "%s", type_short(type->name));
		else
			table_cell(&table, vf->type ? "%u" : "", vf->type);
		table_cell(&table, "%s", type ? size_text(type->framebuffer) : "");
		table_cell(&table, "%s", vf->name);
		table_cell(&table, vf->generation ? "%llu" : "", vf->generation);
		table_cell(&table, "%s", owner_cell(vf));
	}
	table_end(&table);
}

static bool any_has_types(const struct host *host)
{
	unsigned int i;

	for (i = 0; i < host->nr; i++)
		if (host->gpus[i].nr_types)
			return true;

	return false;
}

/* Show every GPU, or the one that the user has named, and end JSON's answer. */
static enum status show_gpus(const char *command, const char *text,
			     enum status (*show)(const struct gpu *gpu, bool typeless,
						 struct json_object *gpus))
{
	struct json_object *gpus = json_object_new_array(), *answer;
	enum status status = STATUS_OK;
	struct gpu *only = NULL;
	struct host host;
	bool typeless;
	unsigned int i;

	host_scan(&host);
	typeless = !text && any_has_types(&host);
	if (text)
		status = need_gpu(&host, text, &only);
	for (i = 0; i < host.nr && !status; i++)
		if (!only || &host.gpus[i] == only)
			status = show(&host.gpus[i], typeless, gpus);
	if (!host.nr && !status && !opt.json)
		note("no GPU with SR-IOV; nvvgpuctl doctor looks for the cause");
	host_free(&host);
	if (!opt.json || status) {
		json_object_put(gpus);
		return status;
	}
	answer = json_answer(command);
	json_add(answer, "gpus", gpus);
	print_json(answer);

	return STATUS_OK;
}

static enum status show_gpu(const struct gpu *gpu, bool typeless, struct json_object *gpus)
{
	(void)typeless;
	if (opt.json) {
		json_object_array_add(gpus, json_gpu(gpu));
		return STATUS_OK;
	}
	print_gpu(gpu);
	if (gpu->nr_vfs)
		print_vfs(gpu);

	return STATUS_OK;
}

enum status cmd_list(int argc, char **argv)
{
	return show_gpus("list", argc ? argv[0] : NULL, show_gpu);
}

static struct json_object *json_vgpu_type(const struct type *type)
{
	struct json_object *object = json_object_new_object();

	json_number(object, "id", type->id);
	json_text(object, "name", type->name);
	json_text(object, "class", type->vgpu_class);
	json_number(object, "framebuffer", type->framebuffer);
	json_number(object, "heads", type->heads);
	json_text(object, "max_resolution", type->resolution);
	json_number(object, "max_instances", type->max_instances);
	json_number(object, "weight", type->weight);
	if (type->available == AVAILABLE_UNKNOWN)
		json_add(object, "available", NULL);
	else
		json_number(object, "available", type->available);
	json_text(object, "reason", type->reason);

	return object;
}

static struct json_object *json_types(const struct gpu *gpu)
{
	struct json_object *object = json_object_new_object();
	struct json_object *types = json_object_new_array();
	unsigned int i;

	for (i = 0; i < gpu->nr_types; i++)
		json_object_array_add(types, json_vgpu_type(&gpu->types[i]));
	json_text(object, "pf", gpu->bdf);
	json_add(object, "types", types);

	return object;
}

static void print_types(const struct gpu *gpu)
{
	static const char * const head[] = {
		"ID", "NAME", "FRAMEBUFFER", "HEADS", "RESOLUTION", "MAX", "FREE", "REASON",
	};
	struct table table;
	unsigned int i;

	table_begin(&table, ARRAY_SIZE(head), head);
	for (i = 0; i < gpu->nr_types; i++) {
		const struct type *type = &gpu->types[i];

		table_cell(&table, "%u", type->id);
		table_cell(&table, "%s", type->name);
		table_cell(&table, "%s", size_text(type->framebuffer));
		table_cell(&table, "%u", type->heads);
		table_cell(&table, "%s", type->resolution);
		table_cell(&table, "%u", type->max_instances);
		table_cell(&table, type->available == AVAILABLE_UNKNOWN ? "?" : "%d",
			   type->available);
		table_cell(&table, "%s", type->reason);
	}
	printf("%s  %s\n", paint("1", gpu->bdf), gpu->model);
	table_end(&table);
}

/* Why there are no types */
static enum status types_missing(const struct gpu *gpu)
{
	unsigned int i;

	for (i = 0; i < gpu->nr_vfs; i++)
		if (gpu->vfs[i].managed) {
			error("%s: the back-end offers no types; see nvvgpuctl explain %s",
			      gpu->bdf, gpu->vfs[i].bdf);
			return STATUS_FAILED;
		}
	error("%s: no VF is bound to %s and managed by a back-end; see nvvgpuctl doctor",
	      gpu->bdf, front_end());

	return STATUS_NOT_FOUND;
}

/* @typeless: skip a GPU without types instead of failing */
static enum status show_types(const struct gpu *gpu, bool typeless, struct json_object *gpus)
{
	if (!gpu->nr_types)
		return typeless ? STATUS_OK : types_missing(gpu);
	if (opt.json)
		json_object_array_add(gpus, json_types(gpu));
	else
		print_types(gpu);

	return STATUS_OK;
}

enum status cmd_types(int argc, char **argv)
{
	return show_gpus("types", argc ? argv[0] : NULL, show_types);
}
