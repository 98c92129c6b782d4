// SPDX-License-Identifier: GPL-2.0-only
/*
 * The actions that lead from the present to the defined state.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

static const char * const kind_names[] = {
	[ACTION_VFS] = "set-vfs",
	[ACTION_BIND] = "bind",
	[ACTION_CLOSE] = "close",
	[ACTION_DELETE] = "delete",
	[ACTION_CREATE] = "create",
	[ACTION_PARAMS] = "set-params",
	[ACTION_NAME] = "set-name",
};

static struct action *plan_add(struct plan *plan, enum action_kind kind,
			       const struct config *config,
			       const struct entry *entry, unsigned int vf)
{
	struct action *action;

	plan->actions = realloc(plan->actions, (plan->nr + 1) * sizeof(*action));
	action = &plan->actions[plan->nr++];
	memset(action, 0, sizeof(*action));
	action->kind = kind;
	action->config = config;
	action->entry = entry;
	action->vf = vf;
	action->result = "planned";

	return action;
}

[[gnu::format(printf, 3, 4)]]
static void conflict(struct action *action, enum status status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(action->conflict, sizeof(action->conflict), fmt, args);
	va_end(args);
	action->status = status;
}

/* A VF that somebody may use: with a vGPU, or bound to another driver */
const struct vf *first_used(const struct gpu *gpu)
{
	unsigned int i;

	for (i = 0; i < gpu->nr_vfs; i++) {
		const struct vf *vf = &gpu->vfs[i];

		if (vf->type || (vf->driver[0] && strcmp(vf->driver, front_end())))
			return vf;
	}

	return NULL;
}

/* Return: the number of VFs that there will be */
static unsigned int plan_vfs(struct plan *plan, const struct config *config,
			     const struct gpu *gpu)
{
	const struct vf *used = first_used(gpu);
	struct action *action;

	if (config->vfs < 0 || (unsigned int)config->vfs == gpu->nr_vfs)
		return gpu->nr_vfs;
	action = plan_add(plan, ACTION_VFS, config, NULL, config->vfs);
	if ((unsigned int)config->vfs > gpu->total)
		conflict(action, STATUS_INVALID, "the GPU has at most %u VFs", gpu->total);
	else if (!gpu->driver[0])
		conflict(action, STATUS_FAILED, "the GPU has no driver; see nvvgpuctl doctor");
	else if (used)
		conflict(action, STATUS_IN_USE,
			 "cannot change the number of VFs: %s is in use", used->bdf);

	return config->vfs;
}

static void plan_bind(struct plan *plan, const struct config *config,
		      const struct entry *entry, const struct vf *vf,
		      unsigned int number)
{
	struct action *action = plan_add(plan, ACTION_BIND, config, entry, number);

	if (vf && vf->leaving)
		conflict(action, STATUS_IN_USE, "being unbound or removed");
	else if (vf && vf->driver[0] && !opt.force)
		conflict(action, STATUS_IN_USE, "bound to %s", vf->driver);
}

static void plan_create(struct plan *plan, const struct config *config,
			const struct entry *entry, const struct gpu *gpu)
{
	const struct type *type = type_find(gpu, entry->type);
	struct action *action;

	action = plan_add(plan, ACTION_CREATE, config, entry, entry->vf);
	if (type)
		action->size = type->framebuffer;
	else if (gpu->nr_types)
		conflict(action, STATUS_NOT_FOUND, "the GPU has %s",
			 type_missing(gpu, entry->type));
}

/* An open vGPU is left alone unless there is --force. */
static void plan_replace(struct plan *plan, const struct config *config,
			 const struct entry *entry, const struct gpu *gpu,
			 const struct vf *vf)
{
	struct action *action;

	if (vf->pid || !strcmp(vf->state, "open")) {
		action = plan_add(plan, ACTION_CLOSE, config, entry, vf->number);
		if (!opt.force)
			conflict(action, STATUS_IN_USE, "%s has it open", owner_text(vf));
	}
	plan_add(plan, ACTION_DELETE, config, entry, vf->number);
	plan_create(plan, config, entry, gpu);
}

static bool vgpu_fits(const struct gpu *gpu, const struct vf *vf,
		      const struct entry *entry)
{
	const struct type *type = type_find(gpu, entry->type);

	return type && type->id == vf->type && strcmp(vf->state, "error") &&
	       (entry->placement == PLACEMENT_ANY || entry->placement == vf->placement);
}

/* The kernel stores parameters without the blanks around them. */
static void params_strip(char *params)
{
	char *to = params;
	const char *from;

	for (from = params; *from; from++)
		if (*from != ' ' || (to != params && to[-1] != ','))
			*to++ = *from;
	while (to != params && isspace((unsigned char)to[-1]))
		to--;
	*to = '\0';
}

/* Parameters that this user cannot read count as those that are wanted. */
static bool params_differ(const struct vf *vf, const struct entry *entry)
{
	char params[PARAMS_LEN], wanted[PARAMS_LEN];
	static bool noted;
	int ret;

	ret = file_read(params, sizeof(params), PCI_DEVICES "/%s/nvidia/vgpu_params", vf->bdf);
	if (ret == -EACCES) {
		if (!noted)
			note("parameters are not compared: only root can read them");
		noted = true;
		return false;
	}
	strcpy(wanted, entry->params);
	params_strip(wanted);

	return strcmp(params, wanted);
}

static void plan_details(struct plan *plan, const struct config *config,
			 const struct entry *entry, const struct vf *vf)
{
	struct action *action;

	if (params_differ(vf, entry)) {
		action = plan_add(plan, ACTION_PARAMS, config, entry, vf->number);
		if (vf->pid && !opt.force)
			conflict(action, STATUS_IN_USE, "%s has it open", owner_text(vf));
	}
	if (entry->name[0] && strcmp(vf->name, entry->name))
		plan_add(plan, ACTION_NAME, config, entry, vf->number);
}

static void plan_entry(struct plan *plan, const struct config *config,
		       const struct entry *entry, const struct gpu *gpu, bool fresh)
{
	const struct vf *vf = fresh ? NULL : gpu_vf(gpu, entry->vf);

	if (!vf || strcmp(vf->driver, front_end())) {
		plan_bind(plan, config, entry, vf, entry->vf);
		plan_create(plan, config, entry, gpu);
	} else if (!vf->managed) {
		conflict(plan_add(plan, ACTION_CREATE, config, entry, entry->vf),
			 STATUS_FAILED, "no back-end manages the VF");
	} else if (!vf->type) {
		plan_create(plan, config, entry, gpu);
	} else if (vgpu_fits(gpu, vf, entry)) {
		plan_details(plan, config, entry, vf);
	} else {
		plan_replace(plan, config, entry, gpu, vf);
	}
}

static bool has_entry(const struct config *config, unsigned int vf)
{
	unsigned int i;

	for (i = 0; i < config->nr; i++)
		if (config->entries[i].vf == vf && (opt.all || !config->entries[i].manual))
			return true;

	return false;
}

static void plan_bind_others(struct plan *plan, const struct config *config,
			     const struct gpu *gpu, unsigned int nr, bool fresh)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		const struct vf *vf = fresh ? NULL : gpu_vf(gpu, i);

		if (!has_entry(config, i) && (!vf || strcmp(vf->driver, front_end())))
			plan_bind(plan, config, NULL, vf, i);
	}
}

static void plan_config(struct plan *plan, struct host *host, struct config *config)
{
	unsigned int i, nr;
	struct gpu *gpu;
	bool fresh;

	/* It may have been removed after its file was read. */
	if (!gpu_add(host, config->pf))
		config->pf[0] = '\0';
	if (!config->pf[0]) {
		conflict(plan_add(plan, ACTION_VFS, config, NULL, config->vfs),
			 STATUS_NOT_FOUND, "there is no such GPU");
		return;
	}
	gpu = host_gpu(host, config->pf);
	nr = plan_vfs(plan, config, gpu);
	fresh = nr != gpu->nr_vfs;
	if (config->bind_all)
		plan_bind_others(plan, config, gpu, nr, fresh);
	for (i = 0; i < config->nr; i++) {
		const struct entry *entry = &config->entries[i];

		if (entry->manual && !opt.all)
			continue;
		if (entry->vf >= nr)
			conflict(plan_add(plan, ACTION_CREATE, config, entry, entry->vf),
				 STATUS_NOT_FOUND, "only %u VFs are enabled", nr);
		else
			plan_entry(plan, config, entry, gpu, fresh);
	}
}

static bool is_about(const struct action *action, const struct vf *vf)
{
	return !strcmp(action->config->pf, vf->gpu->bdf) && action->vf == vf->number;
}

/* Refuse a name that another vGPU keeps. */
static void check_name(const struct plan *plan, struct host *host, struct action *action)
{
	struct vf *vf;
	unsigned int i;

	if (!action->entry || !action->entry->name[0] ||
	    (action->kind != ACTION_CREATE && action->kind != ACTION_NAME) ||
	    find_vf(host, action->entry->name, &vf) || is_about(action, vf))
		return;
	for (i = 0; i < plan->nr; i++)
		if ((plan->actions[i].kind == ACTION_DELETE ||
		     plan->actions[i].kind == ACTION_NAME) && is_about(&plan->actions[i], vf))
			return;
	conflict(action, STATUS_IN_USE, "%s has that name", vf->bdf);
}

/*
 * Room is made before it is taken, and large vGPUs are created before small ones,
 * wanted placements before all, so that framebuffer is not fragmented.
 */
static int action_compare(const void *a, const void *b)
{
	const struct action *x = a, *y = b;
	bool placed_x, placed_y;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->kind == ACTION_CREATE) {
		placed_x = x->entry->placement != PLACEMENT_ANY;
		placed_y = y->entry->placement != PLACEMENT_ANY;
		if (placed_x != placed_y)
			return placed_x ? -1 : 1;
		if (x->size != y->size)
			return x->size > y->size ? -1 : 1;
	}
	if (x->config != y->config)
		return x->config < y->config ? -1 : 1;

	return x->vf < y->vf ? -1 : x->vf > y->vf;
}

void plan_make(struct plan *plan, struct host *host, const struct configs *configs)
{
	unsigned int i;

	memset(plan, 0, sizeof(*plan));
	for (i = 0; i < configs->nr; i++)
		plan_config(plan, host, &configs->list[i]);
	for (i = 0; i < plan->nr; i++)
		check_name(plan, host, &plan->actions[i]);
	if (plan->nr)
		qsort(plan->actions, plan->nr, sizeof(*plan->actions), action_compare);
}

void plan_free(struct plan *plan)
{
	unsigned int i;

	for (i = 0; i < plan->nr; i++)
		free(plan->actions[i].bindings);
	free(plan->actions);
	memset(plan, 0, sizeof(*plan));
}

/* The exit status of the first conflict, or STATUS_OK */
enum status plan_conflict(const struct plan *plan)
{
	unsigned int i;

	for (i = 0; i < plan->nr; i++)
		if (plan->actions[i].status)
			return plan->actions[i].status;

	return STATUS_OK;
}

/* One line about an action, without its parameters; valid until the next call */
const char *action_text(const struct action *action)
{
	static char buf[TEXT_LEN * 8];
	const struct entry *entry = action->entry;
	const char *pf = action->config->pf[0] ? action->config->pf : action->config->wanted;
	int len;

	if (action->kind == ACTION_VFS && !action->config->pf[0])
		len = snprintf(buf, sizeof(buf), "%s: configure", pf);
	else if (action->kind == ACTION_VFS)
		len = snprintf(buf, sizeof(buf), "%s: enable %u VFs", pf, action->vf);
	else
		len = snprintf(buf, sizeof(buf), "%s/%u: %s", pf, action->vf,
			       kind_names[action->kind]);
	if (action->kind == ACTION_CREATE)
		len += snprintf(buf + len, sizeof(buf) - len, " %s%s%s", entry->type,
				entry->name[0] ? " " : "", entry->name);
	if (action->kind == ACTION_CREATE && entry->placement != PLACEMENT_ANY)
		len += snprintf(buf + len, sizeof(buf) - len, " at placement %d",
				entry->placement);
	if (action->kind == ACTION_NAME)
		len += snprintf(buf + len, sizeof(buf) - len, " %s", entry->name);
	if (action->conflict[0])
		snprintf(buf + len, sizeof(buf) - len, ": %s", action->conflict);

	return buf;
}

static struct json_object *json_action(const struct action *action)
{
	struct json_object *object = json_object_new_object();

	json_text(object, "action", kind_names[action->kind]);
	json_text(object, "pf", action->config->pf);
	json_add(object, "vf", action->kind == ACTION_VFS ? NULL :
		 json_object_new_int64(action->vf));
	json_text(object, "file", action->config->path);
	json_text(object, "text", action_text(action));
	json_text(object, "conflict", action->conflict);
	json_text(object, "result", action->result);

	return object;
}

/* A line for people, at once: many actions take a while. Lost output stops no action. */
void action_print(const struct action *action)
{
	bool conflict = action->conflict[0] && !strcmp(action->result, "planned");

	printf("%-11s  %s\n", conflict ? "conflict" : action->result, action_text(action));
	output_check();
}

void plan_print(const char *command, const struct plan *plan)
{
	struct json_object *answer, *actions;
	unsigned int i;

	if (!opt.json) {
		for (i = 0; i < plan->nr; i++)
			action_print(&plan->actions[i]);
		return;
	}
	actions = json_object_new_array();
	for (i = 0; i < plan->nr; i++)
		json_object_array_add(actions, json_action(&plan->actions[i]));
	answer = json_answer(command);
	json_add(answer, "actions", actions);
	print_json(answer);
}
