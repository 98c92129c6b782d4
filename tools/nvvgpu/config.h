/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The files in /etc/nvvgpu.d, and the actions that they require.
 */
#ifndef NVVGPUCTL_CONFIG_H
#define NVVGPUCTL_CONFIG_H

#include "ctl.h"

/**
 * struct entry - a vGPU as it is defined
 * @vf: number of its VF
 * @type: id or name
 * @placement: or PLACEMENT_ANY
 * @params: parameters for the back-end, "" for none
 * @name: or ""
 * @manual: the vGPU is not created at boot
 */
struct entry {
	unsigned int vf;
	char type[NAME_LEN];
	int placement;
	char params[PARAMS_LEN];
	char name[NAME_LEN];
	bool manual;
};

/**
 * struct config - one file
 * @path: path of the file
 * @pf: address of the GPU, "" if it is not there
 * @wanted: the GPU as the file names it
 * @vfs: number of VFs, -1 for any
 * @bind_all: bind all VFs, not only those with a vGPU
 * @entries: the vGPUs
 * @nr: number of entries
 */
struct config {
	char path[PATH_LEN];
	char pf[BDF_LEN];
	char wanted[NAME_LEN];
	int vfs;
	bool bind_all;
	struct entry *entries;
	unsigned int nr;
};

/**
 * struct configs - all files, in the order of their names
 * @list: the files
 * @nr: number of entries
 * @invalid: there are others, which are not valid
 * @denied: there are others, which this user must not read
 */
struct configs {
	struct config *list;
	unsigned int nr;
	bool invalid;
	bool denied;
};

struct json_object *config_load(const char *path);
enum status configs_read(struct configs *configs, const char *path);
bool configs_check(const char *path, struct json_object *object);
void configs_free(struct configs *configs);

/* Kinds of actions, in the order in which they are done */
enum action_kind {
	ACTION_VFS,
	ACTION_BIND,
	ACTION_CLOSE,
	ACTION_DELETE,
	ACTION_CREATE,
	ACTION_PARAMS,
	ACTION_NAME,
};

/**
 * struct action - a step from the present to the defined state
 * @kind: kind of action
 * @config: file that wants it
 * @entry: vGPU that wants it, or NULL
 * @vf: number of the VF, or of VFs with ACTION_VFS
 * @size: framebuffer of the type, to create large ones first
 * @conflict: why it cannot be done, or ""
 * @status: exit status that goes with @conflict
 * @result: "planned", "done", "failed", "skipped" or "rolled-back"
 * @old: the VF before the action, for the roll-back
 * @old_params: parameters of that VF
 * @old_vfs: number of VFs before the action
 * @old_autoprobe: whether the kernel probed drivers for new VFs before the action
 * @bindings: bindings of the VFs that the action may unbind, before it
 * @nr_bindings: entries in @bindings
 */
struct action {
	enum action_kind kind;
	const struct config *config;
	const struct entry *entry;
	unsigned int vf;
	__u64 size;
	char conflict[TEXT_LEN];
	enum status status;
	const char *result;
	struct vf old;
	char old_params[PARAMS_LEN];
	unsigned int old_vfs;
	bool old_autoprobe;
	struct binding *bindings;
	unsigned int nr_bindings;
};

/**
 * struct plan - all actions
 * @actions: the actions
 * @nr: number of entries
 */
struct plan {
	struct action *actions;
	unsigned int nr;
};

const struct vf *first_used(const struct gpu *gpu);
void plan_make(struct plan *plan, struct host *host, const struct configs *configs);
void plan_free(struct plan *plan);
enum status plan_conflict(const struct plan *plan);
const char *action_text(const struct action *action);
void action_print(const struct action *action);
void plan_print(const char *command, const struct plan *plan);

enum status plan_run(struct plan *plan, struct host *host);

#endif /* NVVGPUCTL_CONFIG_H */
