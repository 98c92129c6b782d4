// SPDX-License-Identifier: GPL-2.0-only
/*
 * Output: messages, tables and JSON.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "ctl.h"

/* Fail, with one message, if output has been lost. */
enum status output_check(void)
{
	static bool lost;
	int err = 0;

	if (lost)
		return STATUS_FAILED;
	if (fflush(stdout))
		err = errno;
	else if (ferror(stdout))
		err = EIO;
	if (!err)
		return STATUS_OK;
	lost = true;
	error("cannot write the output: %s", strerror(err));

	return STATUS_FAILED;
}

void error(const char *fmt, ...)
{
	va_list args;

	output_check();
	va_start(args, fmt);
	fputs("nvvgpuctl: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
}

/* A message that is not the answer, which --quiet leaves out */
void note(const char *fmt, ...)
{
	va_list args;

	if (opt.quiet)
		return;
	output_check();
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
}

/* A tree of another --root needs no privileges. */
enum status need_root(void)
{
	if (!geteuid() || opt.root[0])
		return STATUS_OK;
	error("must be run as root");

	return STATUS_PERMISSION;
}

/*
 * Replace each byte that is not part of a printable character. The name of a process is
 * chosen by the user that starts it, and must not write to the terminal of root, nor make
 * JSON or metrics invalid.
 */
void text_clean(char *text)
{
	mbstate_t state;
	wchar_t c;
	int len;

	while (*text) {
		memset(&state, 0, sizeof(state));
		len = mbrtowc(&c, text, strlen(text), &state);
		if (len <= 0 || !iswprint(c)) {
			*text = '?';
			len = 1;
		}
		text += len;
	}
}

/* A text with a colour on a terminal, valid until the next call */
const char *paint(const char *colour, const char *text)
{
	static char buf[TEXT_LEN];

	if (!opt.colour)
		return text;
	snprintf(buf, sizeof(buf), "\033[%sm%s\033[0m", colour, text);

	return buf;
}

/* A size for people; up to four of them are valid at a time */
const char *size_text(__u64 bytes)
{
	static char bufs[4][24];
	static unsigned int next;
	char *buf = bufs[next++ % ARRAY_SIZE(bufs)];

	if (bytes >> 30 && !(bytes & ((1 << 30) - 1)))
		snprintf(buf, sizeof(bufs[0]), "%llu GiB", bytes >> 30);
	else
		snprintf(buf, sizeof(bufs[0]), "%llu MiB", bytes >> 20);

	return buf;
}

/* Print an object, and free it. */
void print_json(struct json_object *object)
{
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_SPACED |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

void json_add(struct json_object *object, const char *key,
	      struct json_object *val)
{
	json_object_object_add(object, key, val);
}

/* NULL and "" become null. */
void json_text(struct json_object *object, const char *key, const char *text)
{
	json_add(object, key, text && *text ? json_object_new_string(text) : NULL);
}

void json_number(struct json_object *object, const char *key, int64_t val)
{
	json_add(object, key, json_object_new_int64(val));
}

void json_flag(struct json_object *object, const char *key, bool val)
{
	json_add(object, key, json_object_new_boolean(val));
}

/* The object that every answer with --json is */
struct json_object *json_answer(const char *command)
{
	struct json_object *object = json_object_new_object();

	json_number(object, "schema", 1);
	json_text(object, "command", command);

	return object;
}

void table_begin(struct table *table, unsigned int nr, const char * const *head)
{
	unsigned int i;

	memset(table, 0, sizeof(*table));
	table->nr_columns = nr;
	for (i = 0; i < nr; i++)
		table_cell(table, "%s", head[i]);
}

/* An empty cell is shown as "-". */
void table_cell(struct table *table, const char *fmt, ...)
{
	va_list args;
	char *cell;

	va_start(args, fmt);
	if (vasprintf(&cell, fmt, args) < 0)
		abort();
	va_end(args);
	table->cells = realloc(table->cells,
			       (table->nr_cells + 1) * sizeof(*table->cells));
	table->cells[table->nr_cells++] = cell;
}

static size_t column_width(const struct table *table, unsigned int column)
{
	unsigned int i;
	size_t width = 1;

	for (i = column; i < table->nr_cells; i += table->nr_columns)
		if (strlen(table->cells[i]) > width)
			width = strlen(table->cells[i]);

	return width;
}

static const char *cell_colour(const char *cell)
{
	if (!strcmp(cell, "error"))
		return "31";
	if (!strcmp(cell, "open"))
		return "32";

	return NULL;
}

static void table_print(const struct table *table, unsigned int i, size_t width)
{
	const char *cell = table->cells[i][0] ? table->cells[i] : "-";
	const char *colour = i < table->nr_columns ? "1" : cell_colour(cell);
	bool last = i % table->nr_columns == table->nr_columns - 1;
	int pad = last ? 0 : width - strlen(cell) + 2;

	printf("%s%*s%s", colour ? paint(colour, cell) : cell, pad, "",
	       last ? "\n" : "");
}

/* Print a table, and free it. */
void table_end(struct table *table)
{
	size_t width[table->nr_columns];
	unsigned int i;

	for (i = 0; i < table->nr_columns; i++)
		width[i] = column_width(table, i);
	for (i = 0; i < table->nr_cells; i++)
		table_print(table, i, width[i % table->nr_columns]);
	for (i = 0; i < table->nr_cells; i++)
		free(table->cells[i]);
	free(table->cells);
}
