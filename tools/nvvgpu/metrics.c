// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpuctl metrics: OpenMetrics for Prometheus
 *
 * The textfile collector of node_exporter reads an older format, which has no
 * types "info" and "stateset" and no "_total" apart from the name of a family.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

#define MAX_FAMILIES	64
#define NSEC_PER_SEC	1000000000ULL

/**
 * struct output - where metrics go
 * @file: receives them
 * @host: all GPUs
 */
struct output {
	FILE *file;
	struct host host;
};

/* "\" and quotes are escaped in the value of a label. */
static void label(FILE *file, const char *key, const char *val, const char *before)
{
	char text[TEXT_LEN], *c;

	snprintf(text, sizeof(text), "%s", val);
	text_clean(text);
	fprintf(file, "%s%s=\"", before, key);
	for (c = text; *c; c++) {
		if (*c == '"' || *c == '\\')
			fputc('\\', file);
		fputc(*c, file);
	}
	fputc('"', file);
}

static void family(FILE *file, const char *name, const char *type, const char *help)
{
	const char *suffix = "";

	if (opt.textfile) {
		if (!strcmp(type, "counter"))
			suffix = "_total";
		else if (!strcmp(type, "info"))
			suffix = "_info";
		if (strcmp(type, "counter"))
			type = "gauge";
	}
	fprintf(file, "# TYPE %s%s %s\n# HELP %s%s %s\n", name, suffix, type, name, suffix, help);
}

static void gpu_labels(FILE *file, const struct gpu *gpu)
{
	label(file, "pf", gpu->bdf, "{");
}

static void vgpu_labels(FILE *file, const struct vf *vf)
{
	const struct type *type = type_by_id(vf->gpu, vf->type);
	char id[16];

	snprintf(id, sizeof(id), "%u", vf->type);
	gpu_labels(file, vf->gpu);
	label(file, "vf", vf->bdf, ",");
	label(file, "type", type ? type_short(type->name) : id, ",");
	label(file, "name", vf->name, ",");
}

static void gpu_info(struct output *out)
{
	unsigned int i;

	family(out->file, "nvvgpu_gpu", "info", "A GPU with SR-IOV.");
	for (i = 0; i < out->host.nr; i++) {
		const struct gpu *gpu = &out->host.gpus[i];

		fputs("nvvgpu_gpu_info", out->file);
		gpu_labels(out->file, gpu);
		label(out->file, "model", gpu->model, ",");
		label(out->file, "driver", gpu->driver, ",");
		fputs("} 1\n", out->file);
	}
}

static __u64 gpu_vfs(const struct gpu *gpu)
{
	return gpu->nr_vfs;
}

static __u64 gpu_vfs_limit(const struct gpu *gpu)
{
	return gpu->total;
}

static __u64 gpu_vgpus(const struct gpu *gpu)
{
	unsigned int i, nr = 0;

	for (i = 0; i < gpu->nr_vfs; i++)
		nr += !!gpu->vfs[i].type;

	return nr;
}

static void gpu_gauges(struct output *out)
{
	static const struct {
		const char *name;
		const char *help;
		__u64 (*val)(const struct gpu *gpu);
	} gauges[] = {
		{ "nvvgpu_gpu_vfs", "VFs that are enabled.", gpu_vfs },
		{ "nvvgpu_gpu_vfs_limit", "VFs that can be enabled.", gpu_vfs_limit },
		{ "nvvgpu_gpu_vgpus", "vGPUs on the GPU.", gpu_vgpus },
		{ "nvvgpu_gpu_framebuffer_bytes", "Framebuffer for vGPUs.", gpu_framebuffer },
		{ "nvvgpu_gpu_framebuffer_used_bytes", "Framebuffer of the vGPUs.",
		  gpu_framebuffer_used },
	};
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(gauges); i++) {
		family(out->file, gauges[i].name, "gauge", gauges[i].help);
		for (j = 0; j < out->host.nr; j++) {
			fputs(gauges[i].name, out->file);
			gpu_labels(out->file, &out->host.gpus[j]);
			fprintf(out->file, "} %llu\n", gauges[i].val(&out->host.gpus[j]));
		}
	}
}

/* Call a function for each VF that has a vGPU. */
static void each_vgpu(struct output *out, void (*emit)(FILE *file, const struct vf *vf,
						       const char *arg), const char *arg)
{
	unsigned int i, j;

	for (i = 0; i < out->host.nr; i++)
		for (j = 0; j < out->host.gpus[i].nr_vfs; j++)
			if (out->host.gpus[i].vfs[j].type)
				emit(out->file, &out->host.gpus[i].vfs[j], arg);
}

/* The next line "name number" of a file; @line moves on. */
static bool next_pair(char **line, char *name, __u64 *val)
{
	while (**line) {
		const char *text = *line;
		int used = 0;

		*line += strcspn(*line, "\n");
		*line += strspn(*line, "\n");
		if (sscanf(text, "%63s %llu%n", name, val, &used) == 2 &&
		    (text[used] == '\n' || !text[used]))
			return true;
	}

	return false;
}

/* The number at a name in a file of a VF, 0 if there is none */
static __u64 number_of(const struct vf *vf, const char *path, const char *wanted)
{
	char buf[FILE_LEN], *line = buf, name[NAME_LEN];
	__u64 val;

	file_read(buf, sizeof(buf), PCI_DEVICES "/%s/nvvgpu/%s", vf->bdf, path);
	while (next_pair(&line, name, &val))
		if (!strcmp(name, wanted))
			return val;

	return 0;
}

static void vgpu_info(FILE *file, const struct vf *vf, const char *arg)
{
	char text[24];

	(void)arg;
	fputs("nvvgpu_vgpu_info", file);
	vgpu_labels(file, vf);
	snprintf(text, sizeof(text), "%u", vf->type);
	label(file, "type_id", text, ",");
	snprintf(text, sizeof(text), "%llu", vf->generation);
	label(file, "generation", text, ",");
	snprintf(text, sizeof(text), "%llu",
		 number_of(vf, "use", "open") ? number_of(vf, "use", "use") : 0);
	label(file, "use", text, ",");
	label(file, "backend", vf->backend, ",");
	label(file, "owner", vf->command, ",");
	label(file, "vm", vf->vm, ",");
	fputs("} 1\n", file);
}

static void vgpu_state(FILE *file, const struct vf *vf, const char *arg)
{
	static const char * const states[] = { "created", "open", "error" };
	unsigned int i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		fputs("nvvgpu_vgpu_state", file);
		vgpu_labels(file, vf);
		label(file, "nvvgpu_vgpu_state", states[i], ",");
		fprintf(file, "} %d\n", !strcmp(vf->state, states[i]));
	}
}

static void vgpu_framebuffer(FILE *file, const struct vf *vf, const char *arg)
{
	const struct type *type = type_by_id(vf->gpu, vf->type);

	(void)arg;
	if (!type)
		return;
	fputs("nvvgpu_vgpu_framebuffer_bytes", file);
	vgpu_labels(file, vf);
	fprintf(file, "} %llu\n", type->framebuffer);
}

/* The last code of an event is not a count. */
static bool is_count(const char *event)
{
	const char *dash = strrchr(event, '-');

	return !dash || strcmp(dash, "-code");
}

/* Prometheus counts time in seconds. */
static bool is_time(const char *stat)
{
	const char *end = strrchr(stat, '_');

	return end && !strcmp(end, "_ns");
}

static void stat_name(char *buf, const char *stat)
{
	snprintf(buf, NAME_LEN, "%.*s%s", (int)strlen(stat) - (is_time(stat) ? 3 : 0), stat,
		 is_time(stat) ? "_seconds" : "");
}

static void vgpu_stat(FILE *file, const struct vf *vf, const char *stat)
{
	char metric[NAME_LEN];
	char buf[FILE_LEN], *line = buf, name[NAME_LEN];
	__u64 val;

	file_read(buf, sizeof(buf), PCI_DEVICES "/%s/nvvgpu/stats", vf->bdf);
	while (next_pair(&line, name, &val))
		if (!strcmp(name, stat)) {
			stat_name(metric, stat);
			fprintf(file, "nvvgpu_vgpu_%s_total", metric);
			vgpu_labels(file, vf);
			if (is_time(stat))
				fprintf(file, "} %llu.%09llu\n", val / NSEC_PER_SEC,
					val % NSEC_PER_SEC);
			else
				fprintf(file, "} %llu\n", val);
		}
}

static void vgpu_events(FILE *file, const struct vf *vf, const char *arg)
{
	char buf[FILE_LEN], *line = buf, name[NAME_LEN];
	__u64 val;

	(void)arg;
	file_read(buf, sizeof(buf), PCI_DEVICES "/%s/nvvgpu/events", vf->bdf);
	while (next_pair(&line, name, &val)) {
		if (!is_count(name))
			continue;
		fputs("nvvgpu_vgpu_events_total", file);
		vgpu_labels(file, vf);
		label(file, "event", name, ",");
		fprintf(file, "} %llu\n", val);
	}
}

static void vgpu_migrations(FILE *file, const struct vf *vf, const char *arg)
{
	static const struct {
		const char *name;
		const char *direction;
		const char *result;
	} counts[] = {
		{ "saved", "save", "completed" }, { "save-aborted", "save", "aborted" },
		{ "loaded", "load", "completed" }, { "load-aborted", "load", "aborted" },
	};
	unsigned int i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		fputs("nvvgpu_vgpu_migrations_total", file);
		vgpu_labels(file, vf);
		label(file, "direction", counts[i].direction, ",");
		label(file, "result", counts[i].result, ",");
		fprintf(file, "} %llu\n", number_of(vf, "migrations", counts[i].name));
	}
}

static void vgpu_migration_time(FILE *file, const struct vf *vf, const char *arg)
{
	static const char * const directions[] = { "save", "load" };
	char name[NAME_LEN];
	unsigned int i;
	__u64 val;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(directions); i++) {
		snprintf(name, sizeof(name), "%s-milliseconds", directions[i]);
		val = number_of(vf, "migrations", name);
		fputs("nvvgpu_vgpu_migration_seconds_total", file);
		vgpu_labels(file, vf);
		label(file, "direction", directions[i], ",");
		fprintf(file, "} %llu.%03llu\n", val / 1000, val % 1000);
	}
}

/**
 * struct families - names of counters, each once
 * @names: the names
 * @nr: number of entries
 */
struct families {
	char names[MAX_FAMILIES][NAME_LEN];
	unsigned int nr;
};

static void families_add(struct families *families, const char *name)
{
	unsigned int i;

	for (i = 0; i < families->nr; i++)
		if (!strcmp(families->names[i], name))
			return;
	if (families->nr < MAX_FAMILIES)
		snprintf(families->names[families->nr++], NAME_LEN, "%s", name);
}

/* Back-ends have different counters. */
static void stat_names(struct output *out, struct families *families)
{
	char buf[FILE_LEN], *line, name[NAME_LEN];
	unsigned int i, j;
	__u64 val;

	families->nr = 0;
	for (i = 0; i < out->host.nr; i++)
		for (j = 0; j < out->host.gpus[i].nr_vfs; j++) {
			line = buf;
			file_read(buf, sizeof(buf), PCI_DEVICES "/%s/nvvgpu/stats",
				  out->host.gpus[i].vfs[j].bdf);
			while (next_pair(&line, name, &val))
				families_add(families, name);
		}
}

static void stats(struct output *out)
{
	char metric[NAME_LEN], name[TEXT_LEN];
	struct families families;
	unsigned int i;

	stat_names(out, &families);
	for (i = 0; i < families.nr; i++) {
		stat_name(metric, families.names[i]);
		snprintf(name, sizeof(name), "nvvgpu_vgpu_%s", metric);
		family(out->file, name, "counter",
		       "Counter of the back-end since the vGPU was created.");
		each_vgpu(out, vgpu_stat, families.names[i]);
	}
}

static void emit(struct output *out)
{
	host_scan(&out->host);
	gpu_info(out);
	gpu_gauges(out);
	family(out->file, "nvvgpu_vgpu", "info", "A vGPU and its user.");
	each_vgpu(out, vgpu_info, NULL);
	family(out->file, "nvvgpu_vgpu_state", "stateset", "State of the vGPU.");
	each_vgpu(out, vgpu_state, NULL);
	family(out->file, "nvvgpu_vgpu_framebuffer_bytes", "gauge", "Framebuffer of the vGPU.");
	each_vgpu(out, vgpu_framebuffer, NULL);
	stats(out);
	family(out->file, "nvvgpu_vgpu_events", "counter",
	       "Reports of the back-end about the VF.");
	each_vgpu(out, vgpu_events, NULL);
	family(out->file, "nvvgpu_vgpu_migrations", "counter",
	       "Migrations of the VF that have ended.");
	each_vgpu(out, vgpu_migrations, NULL);
	family(out->file, "nvvgpu_vgpu_migration_seconds", "counter",
	       "Duration of these migrations.");
	each_vgpu(out, vgpu_migration_time, NULL);
	if (!opt.textfile)
		fputs("# EOF\n", out->file);
	host_free(&out->host);
}

/* Skip the request, whose lines end with an empty one; all paths are the same. */
static void http_head(FILE *file)
{
	char line[FILE_LEN];

	while (fgets(line, sizeof(line), stdin) && strcmp(line, "\r\n") && strcmp(line, "\n"))
		;
	fputs("HTTP/1.0 200 OK\r\n"
	      "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"
	      "Connection: close\r\n\r\n", file);
}

static enum status write_file(const char *path, const char *text)
{
	int ret = file_save(path, text, 0644);

	if (ret)
		error("%s: %s", path, strerror(-ret));

	return ret ? STATUS_FAILED : STATUS_OK;
}

enum status cmd_metrics(int argc, char **argv)
{
	enum status status = STATUS_OK;
	struct output out;
	char *text = NULL;
	size_t len;

	(void)argc;
	(void)argv;
	if (opt.json || (opt.http && (opt.output || opt.textfile))) {
		error(opt.json ? "metrics have a format of their own; use nvvgpuctl list --json" :
		      "--http cannot be combined with other options");
		return STATUS_USAGE;
	}
	out.file = open_memstream(&text, &len);
	if (opt.http)
		http_head(out.file);
	emit(&out);
	fclose(out.file);
	if (opt.output)
		status = write_file(opt.output, text);
	else
		fwrite(text, 1, len, stdout);
	free(text);

	return status;
}
