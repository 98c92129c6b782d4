// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpuctl define and undefine: entries in /etc/nvvgpu.d
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

/* A vGPU that is defined may not be there now. */
static bool find_defined(const char *name, char *pf, unsigned int *number)
{
	struct configs configs;
	bool found = false;
	unsigned int i, j;

	if (!name_valid(name) || configs_read(&configs, NULL))
		return false;
	for (i = 0; i < configs.nr; i++)
		for (j = 0; j < configs.list[i].nr; j++)
			if (!strcmp(configs.list[i].entries[j].name, name)) {
				snprintf(pf, BDF_LEN, "%s", configs.list[i].pf);
				*number = configs.list[i].entries[j].vf;
				found = pf[0];
			}
	configs_free(&configs);

	return found;
}

/*
 * "PF/3" also names a VF that is not enabled yet. A vGPU and the definition of another VF may
 * have the same name; with @defined, the definition is meant.
 */
static enum status parse_target(const char *text, bool defined, char *pf, unsigned int *number)
{
	const char *slash = strchr(text, '/');
	enum status status = STATUS_OK;
	char address[BDF_LEN];
	long long val;
	struct host host;
	struct vf *vf;

	if (slash) {
		snprintf(address, sizeof(address), "%.*s", (int)(slash - text), text);
		if (!pci_parse(address, pf) &&
		    parse_number(slash + 1, 0, UINT16_MAX, &val)) {
			*number = val;
			return STATUS_OK;
		}
	}
	if (defined && find_defined(text, pf, number))
		return STATUS_OK;
	host_scan(&host);
	if (!find_vf(&host, text, &vf)) {
		snprintf(pf, BDF_LEN, "%s", vf->gpu->bdf);
		*number = vf->number;
	} else if (defined || !find_defined(text, pf, number)) {
		status = need_vf(&host, text, &vf);
	}
	host_free(&host);

	return status;
}

/* The GPU may be missing now. */
static bool names_gpu(const struct config *config, const char *pf)
{
	char address[BDF_LEN];

	return !strcmp(config->pf, pf) ||
	       (!pci_parse(config->wanted, address) && !strcmp(address, pf));
}

/* Find the file that names a GPU; a second one for the same GPU would not be valid. */
static enum status find_file(const char *pf, char *path)
{
	struct configs configs;
	enum status status;
	bool found = false;
	unsigned int i;

	path_make(path, CONFIG_DIR "/%s.json", pf);
	status = configs_read(&configs, NULL);
	for (i = 0; i < configs.nr && !found; i++) {
		found = names_gpu(&configs.list[i], pf);
		if (found)
			snprintf(path, PATH_LEN, "%s", configs.list[i].path);
	}
	if (configs.invalid) {
		status = STATUS_INVALID;
	} else if (!found && !access(path, F_OK)) {
		error("%s: names another GPU", path);
		status = STATUS_INVALID;
	}
	configs_free(&configs);

	return status;
}

/* The content of a file, a new object if there is none, or NULL if it cannot be read */
static struct json_object *load(const char *pf, const char *path)
{
	struct json_object *object;

	if (!access(path, F_OK))
		return config_load(path);
	object = json_object_new_object();
	json_text(object, "address", pf);

	return object;
}

/* An array of the entries for all VFs but one */
static struct json_object *others(struct json_object *object, unsigned int number,
				  bool *found)
{
	struct json_object *old = json_object_object_get(object, "vgpus");
	struct json_object *new = json_object_new_array();
	size_t i;

	*found = false;
	for (i = 0; old && i < json_object_array_length(old); i++) {
		struct json_object *entry = json_object_array_get_idx(old, i);
		struct json_object *vf = json_object_object_get(entry, "vf");

		if (json_object_get_int(vf) == (int)number)
			*found = true;
		else
			json_object_array_add(new, json_object_get(entry));
	}

	return new;
}

/* Only a file that apply takes, with all others, replaces the one that is there. */
static enum status save(const char *path, struct json_object *object)
{
	const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
							  JSON_C_TO_STRING_SPACED |
							  JSON_C_TO_STRING_NOSLASHESCAPE);
	char *target;
	int ret;

	if (!configs_check(path, object))
		return STATUS_INVALID;
	/* A symbolic link stays; the file that it names is replaced. */
	target = realpath(path, NULL);
	/* The parameters may have a secret, and only root can read those of the VF. */
	ret = file_save(target ?: path, text, file_mode(path, 0600));
	free(target);
	if (!ret)
		return STATUS_OK;
	error("%s: %s", path, strerror(-ret));

	return STATUS_FAILED;
}

static struct json_object *entry_from_options(unsigned int number)
{
	struct json_object *entry = json_object_new_object();

	json_number(entry, "vf", number);
	json_text(entry, "type", opt.type);
	if (opt.placement != PLACEMENT_ANY)
		json_number(entry, "placement", opt.placement);
	if (opt.params)
		json_text(entry, "params", opt.params);
	if (opt.name)
		json_text(entry, "name", opt.name);
	if (opt.manual)
		json_text(entry, "start", "manual");

	return entry;
}

/* Without --type, define the present vGPU of the VF. */
static enum status take_present(const char *pf, unsigned int number)
{
	static char type[NAME_LEN], name[NAME_LEN], params[PARAMS_LEN];
	const struct type *known;
	enum status status = STATUS_NOT_FOUND;
	struct host host;
	struct gpu *gpu;
	struct vf *vf;

	host_scan(&host);
	vf = find_gpu(&host, pf, &gpu) ? NULL : gpu_vf(gpu, number);
	if (!vf || !vf->type) {
		error("%s/%u has no vGPU; name a type with --type", pf, number);
	} else {
		known = type_by_id(gpu, vf->type);
		if (known && type_find(gpu, type_short(known->name)))
			snprintf(type, sizeof(type), "%s", type_short(known->name));
		else
			snprintf(type, sizeof(type), "%u", vf->type);
		opt.type = type;
		opt.placement = opt.placement == PLACEMENT_ANY ? vf->placement : opt.placement;
		snprintf(name, sizeof(name), "%s", vf->name);
		opt.name = opt.name ?: name[0] ? name : NULL;
		file_read(params, sizeof(params), PCI_DEVICES "/%s/nvidia/vgpu_params", vf->bdf);
		opt.params = opt.params ?: params[0] ? params : NULL;
		status = STATUS_OK;
	}
	host_free(&host);

	return status;
}

static unsigned int vfs_enabled(const char *pf)
{
	struct host host = { 0 };
	unsigned int nr = 0;

	if (gpu_add(&host, pf))
		nr = host.gpus[0].nr_vfs;
	host_free(&host);

	return nr;
}

/**
 * struct edit - a change of a file with definitions
 * @pf: GPU of the file
 * @number: number of the VF
 * @path: path of the file
 * @object: content of the file
 * @entries: those of all other VFs
 * @found: there is an entry for the VF
 * @fresh: there is no file yet
 */
struct edit {
	char pf[BDF_LEN];
	unsigned int number;
	char path[PATH_LEN];
	struct json_object *object;
	struct json_object *entries;
	bool found;
	bool fresh;
};

/*
 * A new file also defines the number of VFs, so that they are there after a reboot. A file
 * that leaves it open on purpose, or has another number, keeps it.
 */
static enum status define_vfs(const struct edit *edit)
{
	struct json_object *vfs = json_object_object_get(edit->object, "vfs");
	unsigned int nr;

	if (opt.vfs >= 0) {
		json_number(edit->object, "vfs", opt.vfs);
	} else if (edit->fresh) {
		nr = vfs_enabled(edit->pf);
		json_number(edit->object, "vfs", nr > edit->number ? nr : edit->number + 1);
	} else if (vfs && json_object_get_int(vfs) <= (int)edit->number) {
		error("%s: \"vfs\" is %d, change it with --vfs", edit->path,
		      json_object_get_int(vfs));
		return STATUS_INVALID;
	}

	return STATUS_OK;
}

/* Read the file of a VF, and take out its entry; edit_end() puts it back. */
static enum status edit_begin(struct edit *edit)
{
	enum status status = lock_take();

	if (!status)
		status = find_file(edit->pf, edit->path);
	if (status)
		return status;
	edit->fresh = access(edit->path, F_OK);
	edit->object = load(edit->pf, edit->path);
	if (!edit->object)
		return STATUS_INVALID;
	edit->entries = others(edit->object, edit->number, &edit->found);

	return STATUS_OK;
}

/* Save the file, unless there is an error. */
static enum status edit_end(struct edit *edit, enum status status)
{
	json_add(edit->object, "vgpus", edit->entries);
	if (!status)
		status = save(edit->path, edit->object);
	json_object_put(edit->object);

	return status;
}

enum status cmd_define(int argc, char **argv)
{
	enum status status = need_root();
	struct edit edit;

	(void)argc;
	if (!status)
		status = name_check(opt.name);
	if (!status)
		status = parse_target(argv[0], false, edit.pf, &edit.number);
	if (!status && !opt.type)
		status = take_present(edit.pf, edit.number);
	if (!status)
		status = edit_begin(&edit);
	if (status)
		return status;
	json_object_array_add(edit.entries, entry_from_options(edit.number));
	status = edit_end(&edit, define_vfs(&edit));
	if (!status)
		note("%s/%u is defined in %s", edit.pf, edit.number, edit.path);

	return status;
}

enum status cmd_undefine(int argc, char **argv)
{
	enum status status = need_root();
	struct edit edit;

	(void)argc;
	if (!status)
		status = parse_target(argv[0], true, edit.pf, &edit.number);
	if (!status)
		status = edit_begin(&edit);
	if (status)
		return status;
	if (edit.found)
		return edit_end(&edit, STATUS_OK);
	error("%s/%u is not defined in %s", edit.pf, edit.number, edit.path);
	json_object_put(edit.entries);
	json_object_put(edit.object);

	return STATUS_NOT_FOUND;
}
