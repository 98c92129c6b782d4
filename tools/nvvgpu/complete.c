// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpuctl complete: words for the completion of a shell
 */
#include <stdio.h>
#include <string.h>

#include "ctl.h"

static void complete_commands(void)
{
	const struct command *command;

	for (command = commands; command->name; command++)
		if (command->help)
			puts(command->name);
}

static void complete_types(const struct host *host)
{
	unsigned int i, j;

	for (i = 0; i < host->nr; i++)
		for (j = 0; j < host->gpus[i].nr_types; j++)
			puts(type_short(host->gpus[i].types[j].name));
}

static void complete_devices(const struct host *host, bool vfs)
{
	unsigned int i, j;

	for (i = 0; i < host->nr; i++) {
		if (!vfs) {
			puts(host->gpus[i].bdf);
			continue;
		}
		for (j = 0; j < host->gpus[i].nr_vfs; j++) {
			puts(host->gpus[i].vfs[j].bdf);
			if (host->gpus[i].vfs[j].name[0])
				puts(host->gpus[i].vfs[j].name);
		}
	}
}

static const struct command *command_of(const char *name)
{
	const struct command *command;

	for (command = commands; command->name; command++)
		if (!strcmp(command->name, name))
			return command;

	return NULL;
}

/* The words before the one to complete; the shell picks those that fit. */
enum status cmd_complete(int argc, char **argv)
{
	const struct command *command;
	struct host host;

	if (!argc) {
		complete_commands();
		return STATUS_OK;
	}
	command = command_of(argv[0]);
	if (!command)
		return STATUS_OK;
	puts(option_words(command));
	host_scan(&host);
	if (!strcmp(command->arguments, "TYPE"))
		complete_types(&host);
	else if (strstr(command->arguments, "GPU]") || !strcmp(argv[argc - 1], "--gpu"))
		complete_devices(&host, false);
	else if (strstr(command->arguments, "VF") || strstr(command->arguments, "VGPU"))
		complete_devices(&host, true);
	if (!strcmp(argv[argc - 1], "--vf"))
		complete_devices(&host, true);
	host_free(&host);

	return STATUS_OK;
}
