// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpuctl - show and manage vGPUs
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

struct options opt = {
	.root = "",
	.placement = PLACEMENT_ANY,
	.numa = -1,
	.vfs = -1,
	.timeout = -1,
	.interval = 1,
};

const struct command commands[] = {
	{ "list", cmd_list, "", 0, 1, "[GPU]", "show GPUs, VFs and vGPUs" },
	{ "types", cmd_types, "", 0, 1, "[GPU]", "show the types of vGPUs that can be created" },
	{ "create", cmd_create, "gvNpPU", 1, 1, "TYPE", "create a vGPU" },
	{ "delete", cmd_delete, "ef", 1, 64, "VGPU...", "delete vGPUs" },
	{ "define", cmd_define, "tNpPmV", 1, 1, "VF", "define a vGPU to create at boot" },
	{ "undefine", cmd_undefine, "", 1, 1, "VF", "remove a definition" },
	{ "apply", cmd_apply, "nafkg", 0, 1, "[FILE|DIR]", "create the vGPUs that are defined" },
	{ "diff", cmd_diff, "ag", 0, 1, "[FILE|DIR]", "show the actions of apply" },
	{ "status", cmd_status, "g", 0, 1, "[FILE|DIR]", "compare vGPUs with their definitions" },
	{ "explain", cmd_explain, "", 1, 1, "VF", "find out why a VF is not usable" },
	{ "doctor", cmd_doctor, "", 0, 0, "", "check the prerequisites of vGPUs" },
	{ "watch", cmd_watch, "cT", 0, 1, "[VF]", "show events of vGPUs" },
	{ "top", cmd_top, "ci", 0, 1, "[GPU]", "show counters and rates" },
	{ "metrics", cmd_metrics, "oxh", 0, 0, "", "print metrics for Prometheus" },
	{ "screenshot", cmd_screenshot, "", 2, 2, "VF FILE",
	  "save the picture on a vGPU's display" },
	{ "migrate-check", cmd_migrate_check, "", 1, 2, "VF [FILE]",
	  "describe a vGPU, or compare it with a description" },
	{ "complete", cmd_complete, "", 0, 64, "[WORD...]", NULL },
	{ 0 },
};

static const struct option long_options[] = {
	{ "root", required_argument, NULL, 'R' },
	{ "json", no_argument, NULL, 'j' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, '?' },
	{ "version", no_argument, NULL, 'Z' },
	{ "all", no_argument, NULL, 'a' },
	{ "count", required_argument, NULL, 'c' },
	{ "dry-run", no_argument, NULL, 'n' },
	{ "expect", required_argument, NULL, 'e' },
	{ "force", no_argument, NULL, 'f' },
	{ "gpu", required_argument, NULL, 'g' },
	{ "http", no_argument, NULL, 'h' },
	{ "interval", required_argument, NULL, 'i' },
	{ "keep-going", no_argument, NULL, 'k' },
	{ "manual", no_argument, NULL, 'm' },
	{ "name", required_argument, NULL, 'N' },
	{ "numa", required_argument, NULL, 'U' },
	{ "output", required_argument, NULL, 'o' },
	{ "params", required_argument, NULL, 'P' },
	{ "placement", required_argument, NULL, 'p' },
	{ "textfile", no_argument, NULL, 'x' },
	{ "timeout", required_argument, NULL, 'T' },
	{ "type", required_argument, NULL, 't' },
	{ "vf", required_argument, NULL, 'v' },
	{ "vfs", required_argument, NULL, 'V' },
	{ 0 },
};

/* Options of every command */
#define COMMON	"Rjq?Z"

static bool accepts(const struct command *command, int letter)
{
	return strchr(COMMON, letter) ||
	       (command && strchr(command->options, letter));
}

/* The options of a command, for the completion of a shell */
const char *option_words(const struct command *command)
{
	static char buf[TEXT_LEN * 2];
	const struct option *option;

	buf[0] = '\0';
	for (option = long_options; option->name; option++)
		if (accepts(command, option->val)) {
			strcat(buf, "--");
			strcat(buf, option->name);
			strcat(buf, " ");
		}

	return buf;
}

static void print_usage(FILE *file)
{
	const struct command *command;

	fputs("usage: nvvgpuctl COMMAND [OPTION...] [ARGUMENT...]\n\n", file);
	for (command = commands; command->name; command++)
		if (command->help)
			fprintf(file, "  %-14s %-12s %s\n", command->name,
				command->arguments, command->help);
	fputs("\nCommands have --help, --json and --quiet; see nvvgpuctl(8).\n", file);
}

static void print_usage_of(const struct command *command, FILE *file)
{
	const struct option *option;

	fprintf(file, "usage: nvvgpuctl %s [OPTION...] %s\n%s\n\noptions:",
		command->name, command->arguments, command->help ?: "");
	for (option = long_options; option->name; option++)
		if (accepts(command, option->val))
			fprintf(file, " --%s%s", option->name,
				option->has_arg ? "=..." : "");
	fputc('\n', file);
}

static const struct command *command_find(const char *name)
{
	const struct command *command;

	for (command = commands; command->name; command++)
		if (!strcmp(command->name, name))
			return command;

	return NULL;
}

/* Parse a whole decimal number between @min and @max. */
bool parse_number(const char *text, long long min, long long max, long long *val)
{
	char *end;

	errno = 0;
	*val = strtoll(text, &end, 10);

	return isdigit((unsigned char)*text) && !*end && !errno && *val >= min && *val <= max;
}

static bool number_option(int letter, const char *text)
{
	long long val;
	char *end;

	switch (letter) {
	case 'e':
		if (!parse_number(text, 1, INT64_MAX, &val))
			return false;
		opt.expect = val;
		return true;
	case 'i':
		opt.interval = strtod(text, &end);
		return *text && !*end && opt.interval >= 0.1 && opt.interval <= INT32_MAX;
	}
	if (!parse_number(text, 0, INT32_MAX, &val))
		return false;
	if (letter == 'c')
		opt.count = val;
	else if (letter == 'p')
		opt.placement = val;
	else if (letter == 'T')
		opt.timeout = val;
	else if (letter == 'U')
		opt.numa = val;
	else
		opt.vfs = val;

	return true;
}

static void text_option(int letter, const char *text)
{
	if (letter == 'R')
		opt.root = text;
	else if (letter == 'g')
		opt.gpu = text;
	else if (letter == 'N')
		opt.name = text;
	else if (letter == 'o')
		opt.output = text;
	else if (letter == 'P')
		opt.params = text;
	else if (letter == 't')
		opt.type = text;
	else
		opt.vf = text;
}

static void flag_option(int letter)
{
	switch (letter) {
	case 'j':
		opt.json = true;
		break;
	case 'q':
		opt.quiet = true;
		break;
	case 'a':
		opt.all = true;
		break;
	case 'n':
		opt.dry_run = true;
		break;
	case 'f':
		opt.force = true;
		break;
	case 'h':
		opt.http = true;
		break;
	case 'k':
		opt.keep_going = true;
		break;
	case 'm':
		opt.manual = true;
		break;
	case 'x':
		opt.textfile = true;
		break;
	}
}

static bool option_take(int letter)
{
	if (!optarg) {
		flag_option(letter);
		return true;
	}
	if (strchr("ceipTUV", letter))
		return number_option(letter, optarg);
	text_option(letter, optarg);

	return true;
}

/* Return: STATUS_OK to go on, or an exit status; @help if there is --help */
static enum status parse(int argc, char **argv, const struct command *command,
			 bool *help)
{
	int letter, index;

	*help = false;
	opterr = 0;
	while ((letter = getopt_long(argc, argv, ":jq", long_options, &index)) >= 0) {
		const char *word = argv[optind - 1];

		if (letter == '?' && !optopt && !strcmp(word, "--help")) {
			*help = true;
			return STATUS_OK;
		}
		if (letter == 'Z') {
			puts("nvvgpuctl " VERSION);
			exit(output_check());
		}
		if (letter == '?' || letter == ':') {
			error("%s: %s", word, letter == ':' ? "needs a value" : "unknown option");
			return STATUS_USAGE;
		}
		if (!accepts(command, letter)) {
			error("--%s: not an option of %s", long_options[index].name, command->name);
			return STATUS_USAGE;
		}
		if (!option_take(letter)) {
			error("%s: not a number in range", word);
			return STATUS_USAGE;
		}
	}

	return STATUS_OK;
}

static enum status run(const struct command *command, int argc, char **argv)
{
	enum status status;
	bool help;

	status = parse(argc, argv, command, &help);
	if (status)
		return status;
	if (help) {
		print_usage_of(command, stdout);
		return STATUS_OK;
	}
	argc -= optind;
	argv += optind;
	if (argc < command->min || argc > command->max) {
		error("%s: too %s arguments", command->name, argc > command->max ? "many" : "few");
		print_usage_of(command, stderr);
		return STATUS_USAGE;
	}
	opt.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");

	return command->run(argc, argv);
}

/* A file that is opened must not become the standard output that was closed. */
static void occupy_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static enum status start(int argc, char **argv)
{
	const struct command *command;
	const char *name = argc > 1 ? argv[1] : NULL;

	if (!name) {
		print_usage(stderr);
		return STATUS_USAGE;
	}
	if (!strcmp(name, "--help") || !strcmp(name, "help")) {
		print_usage(stdout);
		return STATUS_OK;
	}
	if (!strcmp(name, "--version")) {
		puts("nvvgpuctl " VERSION);
		return STATUS_OK;
	}
	command = command_find(name);
	if (!command) {
		error("%s: no such command; see nvvgpuctl --help", name);
		return STATUS_USAGE;
	}
	/* The words that a shell completes may look like options. */
	if (command->run == cmd_complete)
		return cmd_complete(argc - 2, argv + 2);

	return run(command, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	enum status status;

	occupy_standard_files();
	/* A reader that has seen enough must not end apply between two actions. */
	signal(SIGPIPE, SIG_IGN);
	/* For text_clean() */
	setlocale(LC_CTYPE, "C.UTF-8");
	opt.root = getenv("NVVGPU_ROOT") ?: "";
	status = start(argc, argv);

	return output_check() ?: status;
}
