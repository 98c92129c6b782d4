// SPDX-License-Identifier: GPL-2.0-only
/*
 * The process that has a vGPU open, and the name of its VM.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

/* "-name guest=one,debug-threads=on", as libvirt has it, or "-name one" */
static void vm_name(const char *val, char *buf, size_t size)
{
	const char *guest = strstr(val, "guest=");

	if (guest && (guest == val || guest[-1] == ','))
		val = guest + strlen("guest=");
	snprintf(buf, size, "%.*s", (int)strcspn(val, ","), val);
}

static void vm_read(struct vf *vf)
{
	char buf[FILE_LEN], *arg;
	int len;

	len = file_read(buf, sizeof(buf), "/proc/%d/cmdline", vf->pid);
	if (len <= 0)
		return;
	for (arg = buf; arg < buf + len; arg += strlen(arg) + 1) {
		if (strcmp(arg, "-name") && strcmp(arg, "--name"))
			continue;
		arg += strlen(arg) + 1;
		if (arg < buf + len)
			vm_name(arg, vf->vm, sizeof(vf->vm));
		return;
	}
}

/* Cut off ' vm="name"', which a back-end that knows the name adds. */
static void vm_cut(char *owner, struct vf *vf)
{
	char *vm = strstr(owner, " vm=\"");

	if (!vm)
		return;
	*vm = '\0';
	vm += strlen(" vm=\"");
	snprintf(vf->vm, sizeof(vf->vm), "%.*s", (int)strcspn(vm, "\""), vm);
}

/* The process that uses a VF, for a sentence; valid until the next call */
const char *owner_text(const struct vf *vf)
{
	static char text[TEXT_LEN * 2];

	if (!vf->pid)
		return "its user";
	snprintf(text, sizeof(text), "%s (%d)%s%s", vf->command, vf->pid,
		 vf->vm[0] ? ", VM " : "", vf->vm);

	return text;
}

/* Only root can read the owner. */
void owner_read(struct vf *vf)
{
	char buf[TEXT_LEN], *end;

	vf->pid = 0;
	vf->command[0] = '\0';
	vf->vm[0] = '\0';
	if (file_read(buf, sizeof(buf), PCI_DEVICES "/%s/nvvgpu/owner",
		      vf->bdf) <= 0)
		return;
	vm_cut(buf, vf);
	vf->pid = strtol(buf, &end, 10);
	snprintf(vf->command, sizeof(vf->command), "%.*s", NAME_LEN - 1,
		 *end == ' ' ? end + 1 : end);
	/* The number of a process that has ended may be somebody else's by now. */
	if (!vf->vm[0] && !strstr(vf->command, " (ended)"))
		vm_read(vf);
	text_clean(vf->command);
	text_clean(vf->vm);
}
