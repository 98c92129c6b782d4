// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpuctl create and delete
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"

/* Of two GPUs, the one to take: near the NUMA node, then less used */
static bool gpu_better(const struct gpu *a, const struct gpu *b)
{
	bool near_a = a->numa == opt.numa, near_b = b->numa == opt.numa;
	double total_a = gpu_framebuffer(a), total_b = gpu_framebuffer(b);

	if (opt.numa >= 0 && near_a != near_b)
		return near_a;

	return gpu_framebuffer_used(a) * total_b < gpu_framebuffer_used(b) * total_a;
}

static struct vf *gpu_free_vf(struct gpu *gpu)
{
	unsigned int i;

	for (i = 0; i < gpu->nr_vfs; i++)
		if (gpu->vfs[i].managed && !strcmp(gpu->vfs[i].state, "bound"))
			return &gpu->vfs[i];

	return NULL;
}

/* Say why no VF is free after VFs without a driver have been tried. */
static void why_no_vf(const struct gpu *gpu, char *why, size_t size)
{
	unsigned int i;

	for (i = 0; i < gpu->nr_vfs; i++) {
		const char *bdf = gpu->vfs[i].bdf;

		if (gpu->vfs[i].driver[0] || gpu->vfs[i].leaving)
			continue;
		snprintf(why, size, "%s cannot be bound; see nvvgpuctl explain %s", bdf, bdf);
		return;
	}
	if (gpu->nr_vfs)
		snprintf(why, size, "%s: no VF is free", gpu->bdf);
	else
		snprintf(why, size, "%s: no VFs are enabled; see nvvgpuctl doctor", gpu->bdf);
}

/* Whether a vGPU can be created on a GPU; a higher value is closer to it */
enum suits {
	SUITS_UNKNOWN,
	SUITS_NO_TYPE,
	SUITS_NO_ROOM,
	SUITS,
};

/* Say why a GPU cannot be taken. */
static enum suits gpu_suits(struct gpu *gpu, const char *text, char *why, size_t size)
{
	const struct type *type = type_find(gpu, text);

	if (!gpu->nr_types) {
		snprintf(why, size, "%s: no back-end manages any of its VFs; see nvvgpuctl doctor",
			 gpu->bdf);
		return SUITS_UNKNOWN;
	}
	if (!type) {
		snprintf(why, size, "%s: %s", gpu->bdf, type_missing(gpu, text));
		return SUITS_NO_TYPE;
	}
	if (!gpu_free_vf(gpu)) {
		why_no_vf(gpu, why, size);
		return SUITS_NO_ROOM;
	}
	if (!type->available) {
		snprintf(why, size, "%s: %s", gpu->bdf, type->reason);
		return SUITS_NO_ROOM;
	}

	return SUITS;
}

/* Pick a VF of the best GPU. If no GPU suits, @why is about the one that comes closest. */
static struct vf *pick_vf(struct host *host, struct gpu *only, const char *type,
			  char *why, size_t size)
{
	enum suits suits, most = SUITS_UNKNOWN;
	struct gpu *best = NULL;
	char text[size];
	unsigned int i;

	snprintf(why, size, "no GPU with SR-IOV");
	for (i = 0; i < host->nr; i++) {
		struct gpu *gpu = &host->gpus[i];

		if (only && gpu != only)
			continue;
		suits = gpu_suits(gpu, type, text, size);
		if (suits == SUITS && (!best || gpu_better(gpu, best)))
			best = gpu;
		if (suits < SUITS && suits >= most) {
			snprintf(why, size, "%s", text);
			most = suits;
		}
	}

	return best ? gpu_free_vf(best) : NULL;
}

/* Bind a VF without a driver if its PF has a back-end; @old undoes it. */
static struct vf *gpu_bind_vf(struct gpu *gpu, struct binding *old)
{
	unsigned int i;
	int ret;

	for (i = 0; i < gpu->nr_vfs; i++) {
		struct vf *vf = &gpu->vfs[i];

		if (vf->driver[0] || vf->leaving)
			continue;
		if (binding_save(old, vf))
			continue;
		ret = vf_bind(vf);
		if (ret == -EBUSY)
			continue;
		if (ret) {
			binding_restore(old, vf);
			return NULL;
		}
		types_read(gpu);
		return vf;
	}

	return NULL;
}

static enum status fail_create(const struct vf *vf, const char *type, int err)
{
	error("%s: cannot create %s: %s", vf->bdf, type, vf_why(vf, err));

	return status_of(err);
}

static void say_created(const struct vf *vf)
{
	struct json_object *answer;

	if (!opt.json) {
		printf("%s\n", vf->bdf);
		return;
	}
	answer = json_answer("create");
	json_add(answer, "vf", json_vf(vf));
	print_json(answer);
}

static enum status create_on(struct vf *vf, const char *text)
{
	const struct type *type = type_find(vf->gpu, text);
	int ret;

	if (!type) {
		error("%s: %s; see nvvgpuctl types %s", vf->gpu->bdf,
		      type_missing(vf->gpu, text), vf->gpu->bdf);
		return STATUS_NOT_FOUND;
	}
	if (vf->type) {
		error("%s has a vGPU already", vf->bdf);
		return STATUS_IN_USE;
	}
	ret = vf_create(vf, type->id, opt.placement, opt.params, opt.name);
	if (ret)
		return fail_create(vf, text, ret);
	say_created(vf);

	return STATUS_OK;
}

/* Bind a VF that has no driver, and unbind it again after a failure. */
static enum status create_on_unbound(struct vf *vf, const char *text)
{
	enum status status;
	struct binding old;
	int ret;

	ret = binding_save(&old, vf) ?: vf_bind(vf);
	if (ret) {
		error("%s: %s", vf->bdf, vf_bind_why(ret));
		status = status_of(ret);
	} else {
		types_read(vf->gpu);
		status = create_on(vf, text);
	}
	/* Another program may have bound it. */
	if (status && ret != -EBUSY)
		binding_restore(&old, vf);

	return status;
}

/* The VF that the user has named */
static enum status create_vf(struct host *host, const char *text)
{
	enum status status;
	struct vf *vf;

	status = need_vf(host, opt.vf, &vf);
	if (status)
		return status;
	if (!vf->driver[0])
		return create_on_unbound(vf, text);
	if (strcmp(vf->driver, front_end())) {
		error("%s: bound to %s", vf->bdf, vf->driver);
		return STATUS_IN_USE;
	}
	if (!vf->managed) {
		error("%s: no back-end manages it; see nvvgpuctl explain %s", vf->bdf, vf->bdf);
		return STATUS_FAILED;
	}

	return create_on(vf, text);
}

/* Whether a GPU has a type, or there are GPUs but the types of none are known */
static bool type_possible(const struct host *host, const struct gpu *only, const char *type)
{
	bool known = false;
	unsigned int i;

	for (i = 0; i < host->nr; i++) {
		const struct gpu *gpu = &host->gpus[i];

		if (only && gpu != only)
			continue;
		if (type_find(gpu, type))
			return true;
		known = known || gpu->nr_types;
	}

	return host->nr && !known;
}

/* Create a vGPU on the VF that has been chosen, or say why there is none. */
static enum status create_picked(const struct host *host, const struct gpu *only, struct vf *vf,
				 const char *text, const char *why)
{
	if (vf)
		return create_on(vf, text);
	error("cannot create %s: %s", text, why);

	return type_possible(host, only, text) ? STATUS_FAILED : STATUS_NOT_FOUND;
}

/* Bind one VF of each GPU that has no free one, and create a vGPU on the best of them. */
static enum status create_on_any_unbound(struct host *host, struct gpu *only, const char *text)
{
	struct vf *bound[host->nr ?: 1], *vf;
	struct binding old[host->nr ?: 1];
	char why[TEXT_LEN * 2];
	enum status status;
	unsigned int i;

	for (i = 0; i < host->nr; i++) {
		struct gpu *gpu = &host->gpus[i];
		bool wanted = (!only || gpu == only) && !gpu_free_vf(gpu);

		bound[i] = wanted ? gpu_bind_vf(gpu, &old[i]) : NULL;
	}
	vf = pick_vf(host, only, text, why, sizeof(why));
	status = create_picked(host, only, vf, text, why);
	for (i = 0; i < host->nr; i++)
		if (bound[i] && (bound[i] != vf || status))
			binding_restore(&old[i], bound[i]);

	return status;
}

static enum status create_anywhere(struct host *host, const char *text)
{
	struct gpu *only = NULL;
	enum status status = STATUS_OK;
	char why[TEXT_LEN * 2];
	struct vf *vf;

	if (opt.gpu)
		status = need_gpu(host, opt.gpu, &only);
	if (status)
		return status;
	vf = pick_vf(host, only, text, why, sizeof(why));

	return vf ? create_on(vf, text) : create_on_any_unbound(host, only, text);
}

static enum status check_name(struct host *host)
{
	enum status status = name_check(opt.name);
	struct vf *vf;

	if (!opt.name || status)
		return status;
	if (!find_vf(host, opt.name, &vf)) {
		error("%s has a vGPU named %s", vf->bdf, opt.name);
		return STATUS_IN_USE;
	}

	return STATUS_OK;
}

enum status cmd_create(int argc, char **argv)
{
	enum status status = need_root();
	sigset_t signals;
	struct host host;

	(void)argc;
	status = status ?: lock_take();
	if (status)
		return status;
	/* A vGPU that is created gets its name, and its VF is printed. */
	signals_block(&signals);
	host_scan(&host);
	status = check_name(&host);
	if (!status)
		status = opt.vf ? create_vf(&host, argv[0]) :
				  create_anywhere(&host, argv[0]);
	host_free(&host);

	return status;
}

static enum status fail_stale(const struct vf *vf, __u64 expected)
{
	if (vf->generation)
		error("%s: vGPU %llu is gone; it now has vGPU %llu",
		      vf->bdf, expected, vf->generation);
	else
		error("%s: vGPU %llu is gone", vf->bdf, expected);

	return STATUS_STALE;
}

/* Have the user of an open vGPU end, if that is wanted. */
static enum status close_vf(struct vf *vf)
{
	const __u64 generation = vf->generation;
	int ret;

	if (strcmp(vf->state, "open") && !vf->pid)
		return STATUS_OK;
	if (!opt.force) {
		error("%s: %s has it open", vf->bdf, owner_text(vf));
		return STATUS_IN_USE;
	}
	ret = vf_release(vf);
	if (ret == -ESTALE)
		return fail_stale(vf, generation);
	if (ret) {
		error("%s: %s has not closed it", vf->bdf, owner_text(vf));
		return STATUS_IN_USE;
	}

	return STATUS_OK;
}

static enum status delete_one(struct host *host, const char *text)
{
	enum status status;
	__u64 generation;
	struct vf *vf;
	int ret;

	status = need_vf(host, text, &vf);
	if (status)
		return status;
	if (opt.expect && vf->generation != opt.expect)
		return fail_stale(vf, opt.expect);
	if (!vf->type) {
		error("%s has no vGPU", vf->bdf);
		return STATUS_NOT_FOUND;
	}
	status = close_vf(vf);
	if (status)
		return status;
	generation = vf->generation;
	ret = vf_delete(vf);
	if (!ret)
		return STATUS_OK;
	if (ret == -ESTALE)
		return fail_stale(vf, generation);
	error("%s: %s", vf->bdf, vf_why(vf, ret));

	return status_of(ret);
}

enum status cmd_delete(int argc, char **argv)
{
	enum status status = need_root(), one;
	struct host host;
	int i;

	if (status)
		return status;
	if (opt.expect && argc > 1) {
		error("--expect is for one vGPU");
		return STATUS_USAGE;
	}
	status = lock_take();
	if (status)
		return status;
	host_scan(&host);
	for (i = 0; i < argc; i++) {
		one = delete_one(&host, argv[i]);
		status = status ?: one;
	}
	host_free(&host);

	return status;
}
