// SPDX-License-Identifier: GPL-2.0-only
/*
 * The results of the checks of doctor, explain, status and migrate-check.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl.h"

struct json_object *findings_new(void)
{
	return json_object_new_array();
}

/**
 * finding() - add a finding
 * @findings: array of findings
 * @good: the check has passed
 * @id: word for programs, part of the interface
 * @advice: advice for a check that has failed, or NULL
 * @fmt: text of the finding
 */
void finding(struct json_object *findings, bool good, const char *id,
	     const char *advice, const char *fmt, ...)
{
	struct json_object *object = json_object_new_object();
	va_list args;
	char *text;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		abort();
	va_end(args);
	json_text(object, "id", id);
	json_flag(object, "good", good);
	json_text(object, "text", text);
	json_text(object, "advice", good ? NULL : advice);
	json_object_array_add(findings, object);
	free(text);
}

static bool is_good(struct json_object *findings, size_t i)
{
	struct json_object *object = json_object_array_get_idx(findings, i);

	return json_object_get_boolean(json_object_object_get(object, "good"));
}

static const char *text_of(struct json_object *findings, size_t i, const char *key)
{
	struct json_object *object = json_object_array_get_idx(findings, i);

	return json_object_get_string(json_object_object_get(object, key));
}

static void print_finding(struct json_object *findings, size_t i)
{
	const char *advice = text_of(findings, i, "advice");
	bool good = is_good(findings, i);

	if (good && opt.quiet)
		return;
	printf("%s  %s\n", good ? paint("32", "ok ") : paint("31", "BAD"),
	       text_of(findings, i, "text"));
	if (advice)
		printf("     -> %s\n", advice);
}

/* Print the findings, and free them. */
enum status findings_end(const char *command, struct json_object *findings)
{
	size_t i, nr = json_object_array_length(findings);
	struct json_object *answer;
	bool good = true;

	for (i = 0; i < nr; i++)
		good = is_good(findings, i) && good;
	if (opt.json) {
		answer = json_answer(command);
		json_flag(answer, "good", good);
		json_add(answer, "findings", findings);
		print_json(answer);
	} else {
		for (i = 0; i < nr; i++)
			print_finding(findings, i);
		json_object_put(findings);
	}

	return good ? STATUS_OK : STATUS_DIFFERS;
}
