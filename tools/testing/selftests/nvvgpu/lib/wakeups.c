// SPDX-License-Identifier: GPL-2.0
/*
 * Count the activity of an idle driver: work items, timers and
 * interrupts, as the kernel traces them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "wakeups.h"

/* A separate instance, to keep other traces unchanged */
#define TRACE	"/sys/kernel/tracing/instances/nvvgpu_wakeups"

static const char * const events[] = {
	TRACE "/events/workqueue/workqueue_execute_start/enable",
	TRACE "/events/timer/timer_expire_entry/enable",
	TRACE "/events/irq/irq_handler_entry/enable",
};

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);

	return ret;
}

/**
 * wakeups_begin() - start to count
 *
 * Return: 0, undone by wakeups_end(); -ENOENT if the kernel cannot trace; or
 * another negative errno.
 */
int wakeups_begin(void)
{
	unsigned int i;
	int ret = 0;

	if (mkdir(TRACE, 0700) && errno != EEXIST)
		return -errno;
	for (i = 0; !ret && i < sizeof(events) / sizeof(*events); i++)
		ret = write_file(events[i], "1");
	if (ret)
		rmdir(TRACE);

	return ret;
}

/**
 * wakeups_end() - stop to count
 *
 * Return: number of times that the project's modules ran, and of interrupts of VFIO
 * devices; or a negative errno.
 */
int wakeups_end(void)
{
	char line[512];
	int count = 0;
	FILE *trace;
	int ret;

	ret = write_file(TRACE "/tracing_on", "0");
	trace = ret ? NULL : fopen(TRACE "/trace", "r");
	if (!ret && !trace)
		ret = -errno;
	while (trace && fgets(line, sizeof(line), trace)) {
		/* Before the CPU in brackets is the name of the running program. */
		const char *event = line[0] == '#' ? NULL : strchr(line, ']');

		if (event &&
		    (strstr(event, "nvvgpu") || strstr(event, "name=vfio")))
			count++;
	}
	if (trace)
		fclose(trace);
	rmdir(TRACE);

	return ret ?: count;
}
