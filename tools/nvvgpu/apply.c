// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpuctl apply, diff and status: run a plan and roll it back
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"

static struct gpu *gpu_of(struct host *host, const struct action *action)
{
	return host_gpu(host, action->config->pf);
}

static struct vf *vf_of(struct host *host, const struct action *action)
{
	return gpu_vf(gpu_of(host, action), action->vf);
}

/* VFs that appear must not get the kernel's own drivers. */
static int set_vfs(struct gpu *gpu, unsigned int nr)
{
	unsigned int i;
	char text[16];
	int ret = 0;

	gpu_scan(gpu);
	if (first_used(gpu))
		return -EBUSY;
	for (i = 0; i < gpu->nr_vfs; i++)
		if (vf_settle(&gpu->vfs[i]))
			return -EBUSY;
	file_write("0", PCI_DEVICES "/%s/sriov_drivers_autoprobe", gpu->bdf);
	if (gpu->nr_vfs)
		ret = file_write("0", PCI_DEVICES "/%s/sriov_numvfs", gpu->bdf);
	snprintf(text, sizeof(text), "%u", nr);
	if (!ret && nr)
		ret = file_write(text, PCI_DEVICES "/%s/sriov_numvfs", gpu->bdf);
	gpu_scan(gpu);

	return ret;
}

static int do_bind(struct vf *vf)
{
	int ret = 0;

	if (vf->driver[0])
		ret = vf_unbind(vf);
	if (!ret)
		ret = vf_bind(vf);
	if (!vf->gpu->nr_types)
		types_read(vf->gpu);

	return ret;
}

static int do_create(struct vf *vf, const struct entry *entry)
{
	const struct type *type = type_find(vf->gpu, entry->type);

	if (!type)
		return -ENODATA;

	return vf_create(vf, type->id, entry->placement, entry->params, entry->name);
}

static int set_params(const struct vf *vf, const char *params)
{
	return vf_write(vf, "nvidia/vgpu_params", params[0] ? params : "\n");
}

static int set_name(struct vf *vf, const char *name)
{
	int ret = 0;

	if (name[0])
		ret = name_save(vf, name);
	else
		name_drop(vf);
	name_read(vf);

	return ret;
}

static int bindings_save(struct action *action, const struct vf *vfs, unsigned int nr)
{
	int ret = 0;

	action->bindings = calloc(nr, sizeof(*action->bindings));
	for (action->nr_bindings = 0; action->nr_bindings < nr; action->nr_bindings++) {
		ret = binding_save(&action->bindings[action->nr_bindings],
				   &vfs[action->nr_bindings]);
		if (ret)
			break;
	}

	return ret;
}

static int bindings_restore(const struct action *action, const struct gpu *gpu)
{
	int ret = 0, one;
	unsigned int i;

	for (i = 0; i < action->nr_bindings; i++) {
		struct vf *vf = gpu_vf(gpu, action->bindings[i].vf);

		one = vf ? binding_restore(&action->bindings[i], vf) : -ENODEV;
		ret = ret ?: one;
	}

	return ret;
}

static int vfs_restore(const struct action *action, struct gpu *gpu)
{
	int ret = 0;

	if (gpu->nr_vfs != action->old_vfs)
		ret = set_vfs(gpu, action->old_vfs) ?: bindings_restore(action, gpu);
	if (action->old_autoprobe)
		file_write("1", PCI_DEVICES "/%s/sriov_drivers_autoprobe", gpu->bdf);

	return ret;
}

/* Save the present state for a roll-back. */
static int action_save(struct action *action, const struct gpu *gpu, const struct vf *vf)
{
	action->old_vfs = gpu->nr_vfs;
	action->old_autoprobe = file_number(0, PCI_DEVICES "/%s/sriov_drivers_autoprobe",
					    gpu->bdf) == 1;
	if (action->kind == ACTION_VFS)
		return bindings_save(action, gpu->vfs, gpu->nr_vfs);
	if (!vf)
		return -ENODEV;
	action->old = *vf;
	file_read(action->old_params, sizeof(action->old_params),
		  PCI_DEVICES "/%s/nvidia/vgpu_params", vf->bdf);

	return action->kind == ACTION_BIND ? bindings_save(action, vf, 1) : 0;
}

static int action_do(struct action *action, struct host *host)
{
	struct gpu *gpu = gpu_of(host, action);
	struct vf *vf = action->kind == ACTION_VFS ? NULL : vf_of(host, action);
	int ret = action_save(action, gpu, vf);

	if (ret)
		return ret;
	switch (action->kind) {
	case ACTION_VFS:
		return set_vfs(gpu, action->vf);
	case ACTION_BIND:
		return do_bind(vf);
	case ACTION_CLOSE:
		return vf_release(vf);
	case ACTION_DELETE:
		return vf_delete(vf);
	case ACTION_CREATE:
		return do_create(vf, action->entry);
	case ACTION_PARAMS:
		return set_params(vf, action->entry->params);
	default:
		return set_name(vf, action->entry->name);
	}
}

/* A process that was terminated cannot be restored. */
static int action_undo(struct action *action, struct host *host)
{
	const struct vf *old = &action->old;
	struct gpu *gpu = gpu_of(host, action);
	struct vf *vf = vf_of(host, action);
	int ret;

	if (action->kind == ACTION_VFS)
		return vfs_restore(action, gpu);
	if (!vf)
		return -ENODEV;
	switch (action->kind) {
	case ACTION_BIND:
		return bindings_restore(action, gpu);
	case ACTION_DELETE:
		ret = vf_create(vf, old->type, old->placement, action->old_params, NULL);
		return ret ?: set_name(vf, old->name);
	case ACTION_CREATE:
		ret = vf_delete(vf);
		return ret || vf->type ? ret : set_params(vf, action->old_params);
	case ACTION_PARAMS:
		return set_params(vf, action->old_params);
	case ACTION_NAME:
		return set_name(vf, old->name);
	default:
		return 0;
	}
}

static const char *why_failed(const struct action *action, struct host *host, int err)
{
	const struct vf *vf = action->kind == ACTION_VFS ? NULL : vf_of(host, action);

	if (action->kind == ACTION_VFS && err == -EBUSY)
		return "VFs are in use";
	if (action->kind == ACTION_BIND)
		return vf_bind_why(err);
	if (action->kind == ACTION_CREATE && err == -ENODATA)
		return "the GPU has no such type";
	if (action->kind == ACTION_CLOSE && err == -ESTALE)
		return "the vGPU is gone";
	if (action->kind == ACTION_CLOSE)
		return "the process does not exit";
	if (action->kind == ACTION_NAME)
		return strerror(-err);

	return vf ? vf_why(vf, err) : strerror(-err);
}

/* Undo the steps of an action that has failed, but not what another program has bound. */
static void action_abort(struct action *action, struct host *host, int err)
{
	if (action->kind == ACTION_VFS)
		vfs_restore(action, gpu_of(host, action));
	else if (action->kind == ACTION_BIND && err != -EBUSY)
		bindings_restore(action, gpu_of(host, action));
}

static void set_result(struct action *action, const char *result)
{
	action->result = result;
	if (!opt.json && !opt.quiet)
		action_print(action);
}

static const char *why_not_undone(const struct action *action, struct host *host, int err)
{
	const struct vf *vf = action->kind == ACTION_VFS ? NULL : vf_of(host, action);

	if (action->kind <= ACTION_BIND && err == -EBUSY)
		return "another program uses the VF";
	if (action->kind <= ACTION_BIND || action->kind == ACTION_NAME)
		return strerror(-err);

	return vf ? vf_why(vf, err) : strerror(-err);
}

static void roll_back(struct plan *plan, unsigned int nr, struct host *host)
{
	while (nr--) {
		struct action *action = &plan->actions[nr];
		int ret = action_undo(action, host);

		if (ret)
			error("cannot undo: %s: %s", action_text(action),
			      why_not_undone(action, host, ret));
		else
			set_result(action, "rolled-back");
	}
}

/* Keep a vGPU if the create of its replacement has already failed. */
static bool is_futile(const struct plan *plan, const struct action *action)
{
	unsigned int i;

	if (action->kind != ACTION_CLOSE && action->kind != ACTION_DELETE)
		return false;
	for (i = 0; i < plan->nr; i++)
		if (plan->actions[i].kind == ACTION_CREATE && plan->actions[i].status &&
		    plan->actions[i].entry == action->entry)
			return true;

	return false;
}

/* Without its VFs or its driver, nothing can be done on a VF. */
static bool depends_on(const struct action *action, const struct action *failed)
{
	return action->config == failed->config &&
	       (failed->kind == ACTION_VFS || failed->vf == action->vf);
}

static void skip_dependants(struct plan *plan, unsigned int failed)
{
	unsigned int i;

	for (i = failed + 1; i < plan->nr; i++)
		if (!opt.keep_going || depends_on(&plan->actions[i], &plan->actions[failed]))
			set_result(&plan->actions[i], "skipped");
}

static bool is_interrupted(const sigset_t *signals)
{
	sigset_t pending;

	sigpending(&pending);
	sigandset(&pending, &pending, signals);

	return !sigisemptyset(&pending);
}

/**
 * plan_run() - carry a plan out
 * @plan: without conflicts, unless there is --keep-going
 * @host: host, scanned when the plan was made
 *
 * A signal that asks to end makes the next action fail.
 *
 * Return: STATUS_OK, or that of the first action that failed; all others are
 * undone then, unless there is --keep-going.
 */
enum status plan_run(struct plan *plan, struct host *host)
{
	enum status status = STATUS_OK;
	sigset_t signals;
	unsigned int i;

	/* They must not stop a plan within an action, nor before its result has been saved. */
	signals_block(&signals);
	for (i = 0; i < plan->nr; i++) {
		struct action *action = &plan->actions[i];
		int ret;

		if (!strcmp(action->result, "skipped"))
			continue;
		if (is_futile(plan, action)) {
			set_result(action, "skipped");
			continue;
		}
		if (!action->status && is_interrupted(&signals)) {
			strcpy(action->conflict, "interrupted by a signal");
			action->status = STATUS_FAILED;
		}
		ret = action->status ? 0 : action_do(action, host);
		if (!ret && !action->status) {
			set_result(action, "done");
			continue;
		}
		if (ret) {
			snprintf(action->conflict, sizeof(action->conflict), "%s",
				 why_failed(action, host, ret));
			action->status = status_of(ret);
		}
		error("%s", action_text(action));
		set_result(action, "failed");
		status = status ?: action->status;
		skip_dependants(plan, i);
		if (opt.keep_going)
			continue;
		if (ret)
			action_abort(action, host, ret);
		roll_back(plan, i, host);
		break;
	}

	return status;
}

/* Keep the result for nvvgpuctl status. */
static void save_result(const struct config *config, const struct plan *plan)
{
	struct json_object *object = json_object_new_object();
	struct json_object *errors = json_object_new_array();
	char path[PATH_LEN];
	unsigned int i;

	for (i = 0; i < plan->nr; i++)
		if (plan->actions[i].config == config && plan->actions[i].conflict[0])
			json_object_array_add(errors, json_object_new_string
					      (action_text(&plan->actions[i])));
	json_number(object, "time", time(NULL));
	json_text(object, "file", config->path);
	json_add(object, "errors", errors);
	path_make(path, RUN_DIR "/status/%s.json", config->pf);
	if (config->pf[0])
		file_save(path, json_object_to_json_string(object), 0644);
	json_object_put(object);
}

static void report_conflicts(struct plan *plan)
{
	unsigned int i;

	for (i = 0; i < plan->nr; i++) {
		if (plan->actions[i].status)
			error("%s", action_text(&plan->actions[i]));
		else
			plan->actions[i].result = "skipped";
	}
}

static enum status apply_plan(struct plan *plan, struct host *host)
{
	enum status status = plan_conflict(plan);

	if (!opt.dry_run && (!status || opt.keep_going))
		return plan_run(plan, host);
	if (!opt.keep_going && status)
		report_conflicts(plan);
	if (!opt.json && !opt.quiet)
		plan_print("apply", plan);

	return status;
}

enum status cmd_apply(int argc, char **argv)
{
	enum status status = opt.dry_run ? STATUS_OK : need_root();
	struct configs configs;
	struct host host;
	struct plan plan;
	unsigned int i;

	if (!status && !opt.dry_run)
		status = lock_take();
	if (status)
		return status;
	status = configs_read(&configs, argc ? argv[0] : NULL);
	if (status)
		return status;
	if (configs.invalid && !opt.keep_going) {
		configs_free(&configs);
		return STATUS_INVALID;
	}
	host_scan(&host);
	plan_make(&plan, &host, &configs);
	status = apply_plan(&plan, &host);
	for (i = 0; i < configs.nr && !opt.dry_run; i++)
		save_result(&configs.list[i], &plan);
	if (opt.json)
		plan_print("apply", &plan);
	if (!status && configs.invalid)
		status = STATUS_INVALID;
	plan_free(&plan);
	host_free(&host);
	configs_free(&configs);

	return status;
}

enum status cmd_diff(int argc, char **argv)
{
	struct configs configs;
	enum status status;
	struct host host;
	struct plan plan;

	status = configs_read(&configs, argc ? argv[0] : NULL);
	if (status)
		return status;
	host_scan(&host);
	plan_make(&plan, &host, &configs);
	plan_print("diff", &plan);
	status = plan.nr ? STATUS_DIFFERS : STATUS_OK;
	if (configs.invalid)
		status = STATUS_INVALID;
	plan_free(&plan);
	host_free(&host);
	configs_free(&configs);

	return status;
}

static bool entry_differs(const struct plan *plan, const struct entry *entry,
			  struct json_object *findings)
{
	bool differs = false;
	unsigned int i;

	for (i = 0; i < plan->nr; i++)
		if (plan->actions[i].entry == entry) {
			finding(findings, false, "vgpu", "nvvgpuctl apply",
				"%s", action_text(&plan->actions[i]));
			differs = true;
		}

	return differs;
}

static void status_config(struct json_object *findings, const struct config *config,
			  const struct plan *plan)
{
	unsigned int i;

	for (i = 0; i < plan->nr; i++)
		if (plan->actions[i].config == config && !plan->actions[i].entry)
			finding(findings, false, "gpu", "nvvgpuctl apply", "%s",
				action_text(&plan->actions[i]));
	if (!config->pf[0])
		return;
	for (i = 0; i < config->nr; i++) {
		const struct entry *entry = &config->entries[i];

		if (entry_differs(plan, entry, findings))
			continue;
		finding(findings, true, "vgpu", NULL, "%s/%u: %s%s%s %s",
			config->pf, entry->vf, entry->type,
			entry->name[0] ? " " : "", entry->name,
			entry->manual ? "is defined as manual" : "exists");
	}
}

/* The errors of the last apply, if it has not been repeated with success */
static void status_last(struct json_object *findings, const struct config *config)
{
	struct json_object *object, *errors;
	char path[PATH_LEN];
	size_t i;

	path_make(path, RUN_DIR "/status/%s.json", config->pf);
	object = config->pf[0] ? json_object_from_file(path) : NULL;
	errors = object ? json_object_object_get(object, "errors") : NULL;
	for (i = 0; errors && i < json_object_array_length(errors); i++)
		finding(findings, false, "last-apply",
			"see journalctl -u 'nvvgpu@*', and repeat nvvgpuctl apply",
			"last apply: %s",
			json_object_get_string(json_object_array_get_idx(errors, i)));
	json_object_put(object);
}

enum status cmd_status(int argc, char **argv)
{
	struct json_object *findings;
	struct configs configs;
	enum status status;
	struct host host;
	struct plan plan;
	unsigned int i;

	status = configs_read(&configs, argc ? argv[0] : NULL);
	if (status)
		return status;
	findings = findings_new();
	host_scan(&host);
	plan_make(&plan, &host, &configs);
	for (i = 0; i < configs.nr; i++) {
		status_config(findings, &configs.list[i], &plan);
		status_last(findings, &configs.list[i]);
	}
	if (configs.invalid)
		finding(findings, false, "file", "see the error above",
			"an invalid file was ignored");
	plan_free(&plan);
	host_free(&host);
	configs_free(&configs);

	return findings_end("status", findings);
}
