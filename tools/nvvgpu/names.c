// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names that administrators give to vGPUs.  A name goes with the vGPU's number
 * (nvvgpu/generation), so that nobody else's vGPU can inherit it.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

/* It must not look like an address, an option or a path. */
bool name_valid(const char *name)
{
	const char *p;

	if (!isalpha((unsigned char)name[0]) || strlen(name) >= NAME_LEN)
		return false;
	for (p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("-_.", *p))
			return false;

	return true;
}

/* A name that the user has given, or NULL */
enum status name_check(const char *name)
{
	if (!name || name_valid(name))
		return STATUS_OK;
	error("%s: a name begins with a letter and has letters, digits and -_. only", name);

	return STATUS_USAGE;
}

void name_read(struct vf *vf)
{
	char buf[TEXT_LEN], name[NAME_LEN];
	__u64 generation;

	vf->name[0] = '\0';
	if (!vf->generation ||
	    file_read(buf, sizeof(buf), RUN_DIR "/names/%s", vf->bdf) <= 0)
		return;
	if (sscanf(buf, "%llu %63s", &generation, name) == 2 &&
	    generation == vf->generation)
		strcpy(vf->name, name);
}

int name_save(const struct vf *vf, const char *name)
{
	char path[PATH_LEN], buf[TEXT_LEN];

	path_make(path, RUN_DIR "/names/%s", vf->bdf);
	snprintf(buf, sizeof(buf), "%llu %s\n", vf->generation, name);

	return file_save(path, buf, 0644);
}

void name_drop(const struct vf *vf)
{
	char path[PATH_LEN];

	path_make(path, RUN_DIR "/names/%s", vf->bdf);
	unlink(path);
}
