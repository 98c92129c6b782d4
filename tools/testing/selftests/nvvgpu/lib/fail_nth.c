// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include "backend.h"
#include "fail_nth.h"

/**
 * nth_open() - prepare failures of allocations of this thread
 *
 * Return: a file for nth_write() and nth_end(), which is to be closed; or a
 * negative errno, as from a kernel without fault injection.
 */
int nth_open(void)
{
	static const char * const fails[] = {
		"failslab", "fail_page_alloc", "fail_usercopy", NULL
	};
	const char * const *fail;
	char path[128];
	int fd;

	if (put("/sys/kernel/debug/failslab/ignore-gfp-wait", "N"))
		return -EOPNOTSUPP;
	put("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	for (fail = fails; *fail; fail++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/verbose",
			 *fail);
		put(path, "0");
	}
	fd = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/**
 * nth_write() - make one allocation fail
 * @fd: file descriptor from nth_open()
 * @nth: the first from now on is 1; 0 for none
 *
 * Return: 0 or a negative errno.
 */
int nth_write(int fd, unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	return pwrite(fd, text, len, 0) == len ? 0 : -errno;
}

/**
 * nth_end() - end the failures
 * @fd: file descriptor from nth_open()
 *
 * Return: true if the allocation has failed, false if there were fewer
 */
bool nth_end(int fd)
{
	char text[16] = "";
	bool hit;
	int ret;

	/* This read may be the call that fails. */
	hit = pread(fd, text, sizeof(text) - 1, 0) > 0 && !atoi(text);
	do {
		ret = nth_write(fd, 0);
	} while (ret == -EFAULT || ret == -ENOMEM);

	return hit;
}

static int set_knob(const char *knob, int val)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/failslab/%s", knob);

	return put(path, "%d", val);
}

/**
 * cache_fail() - make all allocations of this thread from a slab cache fail
 * @cache: its name
 *
 * Return: a file for cache_end() or a negative errno.
 */
int cache_fail(const char *cache)
{
	char path[128];
	int fd, ret;

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/failslab", cache);
	ret = put(path, "1") ?: set_knob("cache-filter", 1) ?:
	      set_knob("task-filter", 1) ?: set_knob("times", -1) ?:
	      set_knob("probability", 100);
	if (ret)
		return ret;
	/* A page fault of the program may need an allocation that fails. */
	if (mlockall(MCL_CURRENT))
		return -errno;
	fd = open("/proc/self/make-it-fail", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : pwrite(fd, "1", 1, 0) == 1 ? fd : -errno;
}

/**
 * cache_end() - end the failures
 * @fd: file descriptor from cache_fail()
 *
 * Return: 0 or a negative errno.
 */
int cache_end(int fd)
{
	if (pwrite(fd, "0", 1, 0) != 1)
		return -errno;
	close(fd);
	munlockall();

	/* Reset the filters last: they protect other processes. */
	return set_knob("probability", 0) ?: set_knob("times", 1) ?:
	       set_knob("task-filter", 0) ?: set_knob("cache-filter", 0);
}
