// SPDX-License-Identifier: GPL-2.0
/*
 * Fault injection in the firmware of the emulated GPU, through the monitor of the
 * machine that the tests run in.
 *
 * NVVGPU_QMP names a port of the machine that speaks QMP: one JSON object a
 * line in each direction.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/file.h>

#include "qmp.h"

/* Lock of the port, which lab/machine/qmp takes as well */
#define QMP_LOCK	"/run/nvvgpu-qmp.lock"
#define QMP_TIMEOUT_S	120
#define QMP_LINE	65536

/**
 * qmp_available() - check whether the machine has a monitor
 *
 * Return: true if so.
 */
bool qmp_available(void)
{
	const char *path = getenv("NVVGPU_QMP");

	return path && *path && !access(path, R_OK | W_OK);
}

static int write_all(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0)
			return -errno;
		text += n;
		len -= n;
	}

	return 0;
}

/* Read one line, without its end, with a time-out. */
static int read_line(int fd, char *line, size_t size, time_t end)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	size_t len = 0;
	char c;

	while (len < size - 1) {
		time_t now = time(NULL);
		ssize_t n;

		if (now >= end || !poll(&pfd, 1, (end - now) * 1000))
			return -ETIMEDOUT;
		n = read(fd, &c, 1);
		if (n < 0)
			return -errno;
		if (!n)
			return -EPIPE;
		if (c == '\n')
			break;
		if (c != '\r')
			line[len++] = c;
	}
	line[len] = '\0';

	return len;
}

/* Send one command and read the line of its response to @line. */
static int exchange(int fd, const char *command, const char *arguments,
		    char *line, size_t size)
{
	static unsigned int serial;
	time_t end = time(NULL) + QMP_TIMEOUT_S;
	char id[48];
	int ret;

	snprintf(id, sizeof(id), "nvvgpu-%d-%u", getpid(), serial++);
	ret = snprintf(line, size,
		       "{\"execute\": \"%s\", \"arguments\": %s, \"id\": \"%s\"}\n",
		       command, arguments ?: "{}", id);
	if ((size_t)ret >= size)
		return -E2BIG;
	ret = write_all(fd, line);
	if (ret)
		return ret;

	/* Skip greetings, events and responses to other clients. */
	do {
		ret = read_line(fd, line, size, end);
	} while (ret >= 0 && !strstr(line, id));

	return ret < 0 ? ret : 0;
}

/**
 * qmp_execute() - run a command of the machine's monitor
 * @command: name
 * @arguments: a JSON object, or NULL
 * @reply: receives the whole response, may be NULL
 * @size: size of @reply
 *
 * Return: 0, -EREMOTEIO if the monitor refuses, or another negative errno.
 */
int qmp_execute(const char *command, const char *arguments, char *reply,
		size_t size)
{
	const char *path = getenv("NVVGPU_QMP");
	int fd, lock, ret;
	char *line;

	if (!path)
		return -ENOENT;
	line = malloc(QMP_LINE);
	if (!line)
		return -ENOMEM;
	lock = open(QMP_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock < 0 || flock(lock, LOCK_EX)) {
		ret = -errno;
		goto out_free;
	}
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		ret = -errno;
		goto out_free;
	}

	/* This fails if the capabilities have already been negotiated. */
	ret = exchange(fd, "qmp_capabilities", NULL, line, QMP_LINE);
	if (!ret)
		ret = exchange(fd, command, arguments, line, QMP_LINE);
	if (!ret && reply)
		snprintf(reply, size, "%s", line);
	if (!ret && !strstr(line, "\"return\""))
		ret = -EREMOTEIO;
	close(fd);
out_free:
	if (lock >= 0)
		close(lock);
	free(line);

	return ret;
}

/* Find the emulated GPU among the children of @parent. */
static int find_gpu(const char *parent, char *path, size_t size)
{
	char arguments[96], *reply, *type, *name, *end;
	int ret;

	reply = malloc(QMP_LINE);
	if (!reply)
		return -ENOMEM;
	snprintf(arguments, sizeof(arguments), "{\"path\": \"%s\"}", parent);
	ret = qmp_execute("qom-list", arguments, reply, QMP_LINE);
	if (ret)
		goto out_free;

	ret = -ENODEV;
	type = strstr(reply, "child<nvvgpu-emu>");
	if (!type)
		goto out_free;
	/* The name is in the same object, before or after the type. */
	end = strchr(type, '}');
	if (end)
		*end = '\0';
	while (type > reply && *type != '{')
		type--;
	name = strstr(type, "\"name\": \"");
	if (!name)
		goto out_free;
	name += strlen("\"name\": \"");
	end = strchr(name, '"');
	if (!end)
		goto out_free;
	snprintf(path, size, "%s/%.*s", parent, (int)(end - name), name);
	ret = 0;
out_free:
	free(reply);

	return ret;
}

static int gpu_path(char *path, size_t size)
{
	int ret = find_gpu("/machine/peripheral", path, size);

	return ret == -ENODEV ?
	       find_gpu("/machine/peripheral-anon", path, size) : ret;
}

/**
 * fw_faults() - set the faults that the firmware of the emulated GPU injects
 * @rules: "<command>:<nth>:<action>,...", "" for none
 *
 * Return: 0 or a negative errno; -EREMOTEIO if the device refuses the rules.
 */
int fw_faults(const char *rules)
{
	char path[128], arguments[512];
	int ret;

	ret = gpu_path(path, sizeof(path));
	if (ret)
		return ret;

	ret = snprintf(arguments, sizeof(arguments),
		       "{\"path\": \"%s\", \"property\": \"fw-faults\", \"value\": \"%s\"}",
		       path, rules);
	if ((size_t)ret >= sizeof(arguments))
		return -E2BIG;

	return qmp_execute("qom-set", arguments, NULL, 0);
}

static int gpu_property(const char *property, char *reply, size_t size)
{
	char path[128], arguments[192];
	int ret;

	ret = gpu_path(path, sizeof(path));
	if (ret)
		return ret;
	snprintf(arguments, sizeof(arguments),
		 "{\"path\": \"%s\", \"property\": \"%s\"}", path, property);

	return qmp_execute("qom-get", arguments, reply, size);
}

/**
 * fw_params() - get the parameters of the last start of each vGPU
 * @reply: receives the response, which contains "<vf> <params>; ..."
 * @size: size of @reply
 *
 * Return: 0 or a negative errno.
 */
int fw_params(char *reply, size_t size)
{
	return gpu_property("vgpu-params", reply, size);
}

/**
 * fw_delay() - get the delay of the firmware before each command
 * @us: filled in
 *
 * Return: 0 or a negative errno.
 */
int fw_delay(unsigned int *us)
{
	char reply[256];
	const char *value;
	int ret;

	ret = gpu_property("fw-delay-us", reply, sizeof(reply));
	if (ret)
		return ret;
	value = strstr(reply, "\"return\": ");

	return value && sscanf(value, "\"return\": %u", us) == 1 ? 0 : -EPROTO;
}
