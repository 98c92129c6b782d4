// SPDX-License-Identifier: GPL-2.0
/*
 * The commands that a guest reads from its console, and the lines that it responds with
 *
 * Commands are lines of words. Every response is a line that begins with "JOB ".
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "job.h"
#include "lib/clock.h"

static __u64 said_ms;

/**
 * say() - write a line of the protocol to the console
 * @fmt: format as of printf(), without the newline
 */
void say(const char *fmt, ...)
{
	char line[256] = "JOB ";
	size_t len;
	va_list args;

	va_start(args, fmt);
	vsnprintf(line + 4, sizeof(line) - 5, fmt, args);
	va_end(args);
	len = strlen(line);
	line[len++] = '\n';
	console_write(line, len);
	said_ms = now_ms();
}

/**
 * said_before_ms() - tell the time since the last call of say()
 *
 * Return: milliseconds.
 */
__u64 said_before_ms(void)
{
	return now_ms() - said_ms;
}

/**
 * command_read() - read the next line that is not empty
 * @line: filled in
 * @size: size of @line
 *
 * Reads without buffering, so that console_pending() sees the rest.
 *
 * Return: 0, or -EPIPE at the end of the input.
 */
int command_read(char *line, size_t size)
{
	size_t len = 0;
	int c;

	for (;;) {
		c = console_read();
		if (c < 0)
			return c;
		if (c == '\n' || c == '\r') {
			if (!len)
				continue;
			line[len] = '\0';
			return 0;
		}
		if (len < size - 1)
			line[len++] = c;
	}
}

/* Split a line into words, and return their number. */
static unsigned int split(char *line, char **word, unsigned int max)
{
	unsigned int nr = 0;

	for (;;) {
		while (*line == ' ')
			*line++ = '\0';
		if (!*line || nr == max)
			return nr;
		word[nr++] = line;
		while (*line && *line != ' ')
			line++;
	}
}

/**
 * command_run() - run a command
 * @commands: table of the commands
 * @line: the command and its arguments, changed
 */
void command_run(const struct command *commands, char *line)
{
	char *word[4];
	unsigned int nr = split(line, word, 4);

	for (; commands->name; commands++) {
		if (!nr || strcmp(word[0], commands->name))
			continue;
		if (nr == commands->args + 1 && commands->run(word + 1))
			return;
	}
	say("result=failed what=\"unknown command\"");
}

/**
 * command_log() - print the platform's log
 * @arg: unused
 *
 * Return: true.
 */
bool command_log(char **arg)
{
	say("log bytes=%zu", log_write());

	return true;
}

/**
 * number() - parse a decimal number
 * @word: its digits
 *
 * Return: the number; 0, which no command accepts, if there is something else.
 */
size_t number(const char *word)
{
	size_t val = 0;

	for (; *word >= '0' && *word <= '9'; word++)
		val = val * 10 + *word - '0';

	return *word ? 0 : val;
}
