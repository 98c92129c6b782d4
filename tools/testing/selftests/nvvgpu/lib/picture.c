// SPDX-License-Identifier: GPL-2.0
/*
 * Snapshots of the state of a GPU and of its users, to find leaks.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "picture.h"

static unsigned int count_entries(const char *path)
{
	struct dirent *entry;
	unsigned int nr = 0;
	DIR *dir;

	dir = opendir(path);
	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		nr += entry->d_name[0] != '.';
	closedir(dir);

	return nr;
}

static unsigned int count_interrupts(const char *word)
{
	unsigned int nr = 0;
	char line[4096];
	FILE *file;

	file = fopen("/proc/interrupts", "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		nr += !!strstr(line, word);
	fclose(file);

	return nr;
}

/* Print the content of a file, or the errno of the read. */
static void show(FILE *out, const char *bdf, const char *file)
{
	char buf[8192];
	int ret = pci_read(bdf, file, buf, sizeof(buf));

	if (ret < 0)
		fprintf(out, "%s %s: errno %d\n", bdf, file, -ret);
	else
		fprintf(out, "%s %s: %s%s", bdf, file, buf,
			ret && buf[ret - 1] == '\n' ? "" : "\n");
}

static void show_driver(FILE *out, const char *bdf)
{
	char driver[64] = "none";

	pci_driver(bdf, driver, sizeof(driver));
	fprintf(out, "%s driver: %s\n", bdf, driver);
}

static void show_types(FILE *out, const char *vf)
{
	struct vgpu_type *types = calloc(MAX_TYPES, sizeof(*types));
	int i, nr = types ? vf_types(vf, types, MAX_TYPES) : -ENOMEM;

	if (nr < 0)
		fprintf(out, "%s types: errno %d\n", vf, -nr);
	for (i = 0; i < nr; i++)
		fprintf(out, "%s type %u \"%s\": %u available, \"%s\"\n", vf,
			types[i].id, types[i].name, types[i].available,
			types[i].reason);
	free(types);
}

/**
 * picture_take() - take a snapshot of the state of a GPU
 * @pf: PF from pf_find()
 *
 * It has vGPUs, free types, and users of modules, devices, interrupts and files.
 *
 * Return: the text, to be given to free(), or NULL.
 */
char *picture_take(const struct pf *pf)
{
	static const char * const of_vf[] = {
		"nvidia/current_vgpu_type",
		"nvidia/placement_id",
		"nvidia/vgpu_params",
		"nvvgpu/backend",
		"nvvgpu/owner",
		"nvvgpu/state",
		NULL,
	};
	static const char * const folders[] = {
		"/dev/vfio",
		"/dev/vfio/devices",
		"/sys/class/vfio-dev",
		"/sys/kernel/debug/vfio",
		"/sys/kernel/iommu_groups",
		NULL,
	};
	unsigned int i, n;
	char *text = NULL;
	size_t size;
	FILE *out;

	/* Files of this process first, before there is one more */
	n = count_entries("/proc/self/fd");
	out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	fprintf(out, "own files: %u\n", n);

	show_driver(out, pf->bdf);
	show(out, pf->bdf, "sriov_numvfs");
	for (i = 0; i < pf->nr_vfs; i++) {
		show_driver(out, pf->vf[i]);
		for (n = 0; of_vf[n]; n++)
			show(out, pf->vf[i], of_vf[n]);
	}
	if (pf->nr_vfs) {
		show(out, pf->vf[0], "nvidia/creatable_vgpu_types");
		show_types(out, pf->vf[0]);
	}

	for (i = 0; folders[i]; i++)
		fprintf(out, "%s: %u entries\n", folders[i],
			count_entries(folders[i]));
	fprintf(out, "interrupts of vfio: %u\n", count_interrupts("vfio"));
	fprintf(out, "references to nvvgpu-vfio-pci: %d, nvvgpu-emu: %d\n",
		mod_refs("nvvgpu-vfio-pci"), mod_refs("nvvgpu-emu"));
	fclose(out);

	return text;
}

static size_t line_length(const char *text)
{
	return strcspn(text, "\n");
}

/**
 * picture_change() - find a leak
 * @before: picture from picture_take()
 * @after: likewise
 *
 * Return: NULL, or the first line that differs.
 */
const char *picture_change(const char *before, const char *after)
{
	static char change[1024];
	size_t was, is;

	if (!before || !after)
		return "no picture";
	for (;;) {
		was = line_length(before);
		is = line_length(after);
		if (was != is || memcmp(before, after, was))
			break;
		if (!before[was] && !after[is])
			return NULL;
		before += was + !!before[was];
		after += is + !!after[is];
	}
	snprintf(change, sizeof(change), "was \"%.*s\", is \"%.*s\"", (int)was,
		 before, (int)is, after);

	return change;
}
