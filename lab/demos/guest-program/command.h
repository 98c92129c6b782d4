/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The commands that a guest reads from its console, and the lines that it responds with
 */
#ifndef _NVVGPU_GUEST_COMMAND_H
#define _NVVGPU_GUEST_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

/**
 * struct command - console command
 * @name: first word, NULL at the end of a table
 * @args: number of arguments
 * @run: run the command; returns false if an argument is invalid
 */
struct command {
	const char *name;
	unsigned int args;
	bool (*run)(char **arg);
};

[[gnu::format(printf, 1, 2)]] void say(const char *fmt, ...);
__u64 said_before_ms(void);
int command_read(char *line, size_t size);
void command_run(const struct command *commands, char *line);
bool command_log(char **arg);
size_t number(const char *word);

#endif /* _NVVGPU_GUEST_COMMAND_H */
