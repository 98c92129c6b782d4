/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For the first process of a guest whose kernel has drivers as modules: its initramfs
 * has them as /modules/0, 1 and so on.
 */
#ifndef GUEST_MODULES_H
#define GUEST_MODULES_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <sys/syscall.h>

/* Return: 0, or the errno of the first module that was not loaded. */
static inline int guest_modules_load(void)
{
	unsigned int nr;
	char path[32];
	int fd, ret;

	for (nr = 0;; nr++) {
		snprintf(path, sizeof(path), "/modules/%u", nr);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			return 0;
		ret = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
		close(fd);
		if (ret)
			return ret;
	}
}

#endif /* GUEST_MODULES_H */
