// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "fail_nth.h"

/**
 * nth_open() - have the kernel let allocations of this thread fail
 *
 * Return: a file for nth_write() and nth_end(), which is to be closed; or a
 * negative errno, as from a kernel without fault injection.
 */
int nth_open(void)
{
	static const char * const fails[] = {
		"failslab", "fail_page_alloc", "fail_usercopy",
	};
	char path[128];
	unsigned int i;
	int fd;

	if (put("/sys/kernel/debug/failslab/ignore-gfp-wait", "N"))
		return -EOPNOTSUPP;
	put("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	for (i = 0; i < sizeof(fails) / sizeof(fails[0]); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/verbose",
			 fails[i]);
		put(path, "0");
	}
	fd = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/**
 * nth_write() - let one allocation fail
 * @fd: from nth_open()
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
 * nth_end() - nothing fails any more
 * @fd: from nth_open()
 *
 * Return: whether one has failed, or there was nothing left to fail
 */
bool nth_end(int fd)
{
	char text[16] = "";
	bool hit;
	int ret;

	/* Even this may be what fails, or was about to. */
	hit = pread(fd, text, sizeof(text) - 1, 0) > 0 && !atoi(text);
	do {
		ret = nth_write(fd, 0);
	} while (ret == -EFAULT || ret == -ENOMEM);

	return hit;
}
