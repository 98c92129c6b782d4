// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpuctl migrate-check: print the properties of a vGPU that matter to migration,
 * or compare them with those of a vGPU on another host
 *
 * The driver compares the same when a stream arrives.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/nvvgpu.h>

#include "config.h"

static bool can(const struct vf *vf, const char *word)
{
	char buf[TEXT_LEN], *p, *save = NULL;

	file_read(buf, sizeof(buf), PCI_DEVICES "/%s/nvvgpu/capabilities", vf->bdf);
	for (p = strtok_r(buf, " ", &save); p; p = strtok_r(NULL, " ", &save))
		if (!strcmp(p, word))
			return true;

	return false;
}

/* The versions of the state that can be loaded; 0 if it cannot migrate */
static void read_versions(const struct vf *vf, unsigned int *oldest, unsigned int *newest)
{
	char buf[NAME_LEN];

	file_read(buf, sizeof(buf), PCI_DEVICES "/%s/nvvgpu/state_versions", vf->bdf);
	if (sscanf(buf, "%u-%u", oldest, newest) != 2) {
		*oldest = 0;
		*newest = 0;
	}
}

static struct json_object *describe(const struct vf *vf)
{
	const struct type *type = type_by_id(vf->gpu, vf->type);
	struct json_object *object = json_answer("migrate-check");
	struct json_object *bars = json_object_new_array();
	unsigned int i, oldest, newest;
	char backend[NAME_LEN];

	read_versions(vf, &oldest, &newest);
	snprintf(backend, sizeof(backend), "%.*s", (int)strcspn(vf->backend, " "), vf->backend);
	json_text(object, "vf", vf->bdf);
	json_text(object, "state", vf->state);
	json_text(object, "backend", backend);
	json_flag(object, "migration", can(vf, "migration"));
	json_flag(object, "pre_copy", can(vf, "pre-copy"));
	json_flag(object, "dma_log", can(vf, "dma-log"));
	json_number(object, "format_major", NVVGPU_MIG_MAJOR);
	json_number(object, "state_version_min", oldest);
	json_number(object, "state_version", newest);
	json_number(object, "type", vf->type);
	json_number(object, "framebuffer", type ? type->framebuffer : 0);
	for (i = 0; i < MAX_BARS; i++)
		json_object_array_add(bars, json_object_new_int64(type ? type->bar[i] : 0));
	json_add(object, "bars", bars);

	return object;
}

/* Compare a property that must be the same on both sides. */
static void compare(struct json_object *findings, struct json_object *here,
		    struct json_object *there, const char *key, const char *what,
		    const char *advice)
{
	struct json_object *a = json_object_object_get(here, key);
	struct json_object *b = json_object_object_get(there, key);
	bool same = json_object_equal(a, b);
	const char *text = json_object_to_json_string(a);

	if (same)
		finding(findings, true, key, NULL, "%s: %s on both sides", what, text);
	else
		finding(findings, false, key, advice, "%s: %s here, %s there", what, text,
			json_object_to_json_string(b));
}

static void check_able(struct json_object *findings, struct json_object *side, const char *where)
{
	bool able = json_object_get_boolean(json_object_object_get(side, "migration"));

	finding(findings, able, "migration", "use a back-end that can migrate",
		"the back-end %s %s migrate", where, able ? "can" : "cannot");
}

static int number_of(struct json_object *side, const char *key)
{
	return json_object_get_int(json_object_object_get(side, key));
}

/* The version that is saved there must be loadable here. */
static void check_versions(struct json_object *findings, struct json_object *here,
			   struct json_object *there)
{
	int oldest = number_of(here, "state_version_min");
	int newest = number_of(here, "state_version");
	int saved = number_of(there, "state_version");
	bool good = saved >= oldest && saved <= newest;

	finding(findings, good, "state_version", "update the back-end of the older side",
		"state version: the source saves %d, this host loads %d to %d", saved, oldest,
		newest);
}

static void check_target(struct json_object *findings, const struct vf *vf)
{
	bool good = !strcmp(vf->state, "created");

	finding(findings, good, "state",
		"use a vGPU that is not open, or create one: nvvgpuctl create",
		"%s is %s", vf->bdf, vf->state);
}

static enum status compare_all(const struct vf *vf, const char *file)
{
	struct json_object *here, *there = config_load(file), *findings;

	if (!json_object_is_type(there, json_type_object) ||
	    !json_object_object_get(there, "format_major")) {
		error("%s: not a description by nvvgpuctl migrate-check --json", file);
		json_object_put(there);
		return STATUS_INVALID;
	}
	here = describe(vf);
	findings = findings_new();
	check_able(findings, here, "here");
	check_able(findings, there, "there");
	check_target(findings, vf);
	check_versions(findings, here, there);
	compare(findings, here, there, "backend", "back-end", "both need the same back-end");
	compare(findings, here, there, "format_major", "format of the stream",
		"update the older driver");
	compare(findings, here, there, "type", "type", "create a vGPU of the same type");
	compare(findings, here, there, "framebuffer", "framebuffer", "the types differ in size");
	compare(findings, here, there, "bars", "BARs", "the types differ in their BARs");
	json_object_put(here);
	json_object_put(there);

	return findings_end("migrate-check", findings);
}

static void print_description(const struct vf *vf)
{
	struct json_object *object = describe(vf);

	if (opt.json) {
		print_json(object);
		return;
	}
	json_object_object_foreach(object, key, val)
		printf("%-13s %s\n", key, json_object_get_string(val));
	json_object_put(object);
}

enum status cmd_migrate_check(int argc, char **argv)
{
	enum status status = need_root();
	struct host host;
	struct vf *vf;

	if (status)
		return status;
	host_scan(&host);
	status = need_vf(&host, argv[0], &vf);
	if (!status && !vf->type) {
		error("%s has no vGPU", vf->bdf);
		status = STATUS_NOT_FOUND;
	} else if (!status && argc > 1) {
		status = compare_all(vf, argv[1]);
	} else if (!status) {
		print_description(vf);
	}
	host_free(&host);

	return status;
}
