// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files below --root: those of sysfs and procfs, and our own.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"

[[gnu::format(printf, 2, 0)]]
static void path_vmake(char *path, const char *fmt, va_list args)
{
	int len = snprintf(path, PATH_LEN, "%s", opt.root);

	if (len < PATH_LEN)
		vsnprintf(path + len, PATH_LEN - len, fmt, args);
}

/* A path below --root, at most PATH_LEN bytes */
void path_make(char *path, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	path_vmake(path, fmt, args);
	va_end(args);
}

/* Read a small file, without the blanks and newlines at its end */
int file_read(char *buf, size_t size, const char *fmt, ...)
{
	char path[PATH_LEN];
	ssize_t len = 0, ret;
	va_list args;
	int fd;

	va_start(args, fmt);
	path_vmake(path, fmt, args);
	va_end(args);

	buf[0] = '\0';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	do {
		ret = read(fd, buf + len, size - 1 - len);
		if (ret > 0)
			len += ret;
	} while (ret > 0 && (size_t)len < size - 1);
	ret = ret < 0 ? -errno : 0;
	close(fd);
	while (len && isspace((unsigned char)buf[len - 1]))
		len--;
	buf[len] = '\0';

	return ret ?: len;
}

/* Write a file that exists, by one call */
int file_write(const char *text, const char *fmt, ...)
{
	char path[PATH_LEN];
	va_list args;
	int fd, ret;

	va_start(args, fmt);
	path_vmake(path, fmt, args);
	va_end(args);

	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);

	return ret;
}

/* The last part of the target of a symbolic link */
int file_link(char *buf, size_t size, const char *fmt, ...)
{
	char path[PATH_LEN], target[PATH_LEN];
	const char *slash;
	va_list args;
	ssize_t len;

	va_start(args, fmt);
	path_vmake(path, fmt, args);
	va_end(args);

	buf[0] = '\0';
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return -errno;
	target[len] = '\0';
	slash = strrchr(target, '/');
	snprintf(buf, size, "%s", slash ? slash + 1 : target);

	return strlen(buf);
}

bool file_exists(const char *fmt, ...)
{
	char path[PATH_LEN];
	va_list args;

	va_start(args, fmt);
	path_vmake(path, fmt, args);
	va_end(args);

	return !access(path, F_OK);
}

/* Whether this user can open a device for reading and writing */
bool file_usable(const char *fmt, ...)
{
	char path[PATH_LEN];
	va_list args;

	va_start(args, fmt);
	path_vmake(path, fmt, args);
	va_end(args);

	return !access(path, R_OK | W_OK);
}

/* The number in a file, or @otherwise */
long long file_number(long long otherwise, const char *fmt, ...)
{
	char path[PATH_LEN], buf[64];
	const char *root = opt.root;
	long long val;
	va_list args;
	char *end;
	int ret;

	va_start(args, fmt);
	path_vmake(path, fmt, args);
	va_end(args);

	/* The path has the root already. */
	opt.root = "";
	ret = file_read(buf, sizeof(buf), "%s", path);
	opt.root = root;
	if (ret <= 0)
		return otherwise;
	val = strtoll(buf, &end, 0);

	return *end ? otherwise : val;
}

static void make_parents(char *path)
{
	char *slash;

	for (slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
}

/* The mode of a file, or @otherwise if there is none */
mode_t file_mode(const char *path, mode_t otherwise)
{
	struct stat st;

	return stat(path, &st) ? otherwise : st.st_mode & 07777;
}

/* A short write has no errno; the next one fails with the cause. */
static int write_all(int fd, const char *text)
{
	size_t left = strlen(text);
	ssize_t len;

	for (; left; text += len, left -= len) {
		len = write(fd, text, left);
		if (len < 0)
			return -errno;
	}

	return 0;
}

/* Replace a file of ours, so that no reader sees a part of it, but not a device or a link */
int file_save(const char *path, const char *text, mode_t mode)
{
	char new[PATH_LEN + 8], whole[PATH_LEN];
	struct stat st;
	int fd, ret;

	if (!lstat(path, &st) && !S_ISREG(st.st_mode))
		return -EEXIST;
	snprintf(whole, sizeof(whole), "%s", path);
	make_parents(whole);
	snprintf(new, sizeof(new), "%s.XXXXXX", path);
	fd = mkostemp(new, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write_all(fd, text);
	if (!ret && (fchmod(fd, mode) || fsync(fd) || rename(new, path)))
		ret = -errno;
	close(fd);
	if (ret)
		unlink(new);

	return ret;
}

/* Block the signals that ask to end, except those that are ignored, as under nohup. */
void signals_block(sigset_t *signals)
{
	static const int all[] = { SIGHUP, SIGINT, SIGTERM };
	struct sigaction old;
	unsigned int i;

	sigemptyset(signals);
	for (i = 0; i < 3; i++)
		if (!sigaction(all[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaddset(signals, all[i]);
	sigprocmask(SIG_BLOCK, signals, NULL);
}

/* Take the lock that serializes changes, until this process ends. A failure has a message. */
enum status lock_take(void)
{
	char path[PATH_LEN];
	int fd;

	path_make(path, RUN_DIR "/lock");
	make_parents(path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB))
		return STATUS_OK;
	if (fd >= 0 && errno == EWOULDBLOCK) {
		note("waiting for another nvvgpuctl");
		if (!flock(fd, LOCK_EX))
			return STATUS_OK;
	}
	error("cannot lock %s: %s", path, strerror(errno));

	return STATUS_FAILED;
}

/* The name of the PCI driver, which is a parameter of the module */
const char *front_end(void)
{
	static char name[NAME_LEN];
	char path[PATH_LEN];
	struct dirent *entry;
	DIR *dir;

	if (name[0])
		return name;
	snprintf(name, sizeof(name), "%s", FRONT_END);
	path_make(path, "/sys/module/nvvgpu_vfio_pci/drivers");
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, "pci:", strlen("pci:")))
			snprintf(name, sizeof(name), "%.*s", NAME_LEN - 1,
				 entry->d_name + strlen("pci:"));
	if (dir)
		closedir(dir);

	return name;
}
