// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpuctl top: counters of vGPUs and how fast they grow
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl.h"

/**
 * struct counter - one counter of one vGPU
 * @vf: address of its VF
 * @generation: generation of the vGPU
 * @name: name of the counter
 * @val: its value
 */
struct counter {
	char vf[BDF_LEN];
	__u64 generation;
	char name[NAME_LEN];
	__u64 val;
};

/**
 * struct sample - all counters at a time
 * @counters: the counters
 * @nr: number of entries
 * @when: time in seconds
 */
struct sample {
	struct counter *counters;
	unsigned int nr;
	double when;
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void sample_vf(struct sample *sample, const struct vf *vf)
{
	char buf[FILE_LEN], *line, *save = NULL;

	if (file_read(buf, sizeof(buf), PCI_DEVICES "/%s/nvvgpu/stats", vf->bdf) <= 0)
		return;
	for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct counter *counter;

		sample->counters = realloc(sample->counters, (sample->nr + 1) * sizeof(*counter));
		counter = &sample->counters[sample->nr];
		if (sscanf(line, "%63s %llu", counter->name, &counter->val) != 2)
			continue;
		snprintf(counter->vf, sizeof(counter->vf), "%s", vf->bdf);
		counter->generation = vf->generation;
		sample->nr++;
	}
}

static void sample_take(struct sample *sample, const struct host *host, const struct gpu *only)
{
	unsigned int i, j;

	sample->nr = 0;
	sample->when = now();
	for (i = 0; i < host->nr; i++)
		for (j = 0; j < host->gpus[i].nr_vfs; j++)
			if (!only || only == &host->gpus[i])
				sample_vf(sample, &host->gpus[i].vfs[j]);
}

/* A new vGPU of the same VF begins at 0, as does one that has been recovered. */
static double rate(const struct sample *old, const struct sample *new, unsigned int i)
{
	const struct counter *counter = &new->counters[i];
	unsigned int j;

	for (j = 0; j < old->nr; j++)
		if (!strcmp(old->counters[j].vf, counter->vf) &&
		    !strcmp(old->counters[j].name, counter->name) &&
		    old->counters[j].generation == counter->generation &&
		    old->counters[j].val <= counter->val)
			return (counter->val - old->counters[j].val) / (new->when - old->when);

	return 0;
}

static void show_table(struct host *host, const struct sample *old, const struct sample *new)
{
	static const char * const head[] = { "VF", "NAME", "VM", "COUNTER", "VALUE", "PER-SECOND" };
	struct table table;
	struct vf *vf;
	unsigned int i;

	if (opt.colour)
		fputs("\033[H\033[J", stdout);
	table_begin(&table, ARRAY_SIZE(head), head);
	for (i = 0; i < new->nr; i++) {
		const struct counter *counter = &new->counters[i];

		if (find_vf(host, counter->vf, &vf))
			continue;
		table_cell(&table, "%s", counter->vf);
		table_cell(&table, "%s", vf->name);
		table_cell(&table, "%s", vf->vm);
		table_cell(&table, "%s", counter->name);
		table_cell(&table, "%llu", counter->val);
		table_cell(&table, "%.0f", rate(old, new, i));
	}
	table_end(&table);
}

static void show_json(const struct sample *old, const struct sample *new)
{
	struct json_object *answer = json_answer("top"), *counters = json_object_new_array();
	unsigned int i;

	for (i = 0; i < new->nr; i++) {
		struct json_object *object = json_object_new_object();

		json_text(object, "vf", new->counters[i].vf);
		json_number(object, "generation", new->counters[i].generation);
		json_text(object, "counter", new->counters[i].name);
		json_number(object, "value", new->counters[i].val);
		json_add(object, "per_second", json_object_new_double(rate(old, new, i)));
		json_object_array_add(counters, object);
	}
	json_add(answer, "counters", counters);
	puts(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN));
	json_object_put(answer);
}

static void rest(void)
{
	const struct timespec ts = {
		.tv_sec = opt.interval,
		.tv_nsec = (opt.interval - (long)opt.interval) * 1e9,
	};

	nanosleep(&ts, NULL);
}

enum status cmd_top(int argc, char **argv)
{
	static struct sample samples[2];
	struct gpu *only = NULL;
	enum status status = need_root();
	struct host host;
	int n;

	for (n = 0; !status && (!n || !opt.count || n <= opt.count); n++) {
		const struct sample *old = &samples[!(n % 2)];
		struct sample *new = &samples[n % 2];

		if (n)
			rest();
		host_scan(&host);
		if (argc)
			status = need_gpu(&host, argv[0], &only);
		sample_take(new, &host, only);
		if (n && opt.json)
			show_json(old, new);
		else if (n)
			show_table(&host, old, new);
		host_free(&host);
		status = status ?: output_check();
	}

	return status;
}
