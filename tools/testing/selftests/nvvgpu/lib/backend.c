// SPDX-License-Identifier: GPL-2.0
/*
 * Control of back-ends: modules, debugfs and configfs files, uevents, and
 * the PFs of other drivers.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/netlink.h>
#include <linux/nvvgpu.h>

#include "backend.h"
#include "clock.h"
#include "engine.h"

/* User and group of no file */
#define NOBODY	65534

/**
 * put() - write formatted text to a file, in one write
 * @path: path of the file
 * @fmt: the text
 *
 * Return: 0 or a negative errno.
 */
int put(const char *path, const char *fmt, ...)
{
	char text[2048];
	va_list args;
	int fd, len, ret = 0;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, len) < 0)
		ret = -errno;
	close(fd);

	return ret;
}

/**
 * child_begin() - fork a child that keeps no VFIO device open
 *
 * Return: 0 in the child, which has to _exit(); the child, for child_status(),
 * in the parent; or a negative errno.
 */
pid_t child_begin(void)
{
	pid_t pid = fork();

	if (!pid)
		syscall(SYS_close_range, 3, ~0U, 0);

	return pid < 0 ? -errno : pid;
}

/**
 * child_drop_privileges() - become a user without privileges, in a child
 *
 * Clears the signal of PR_SET_PDEATHSIG, and sets it to SIGKILL.
 *
 * Return: 0 or a negative errno.
 */
int child_drop_privileges(void)
{
	if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY) ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL))
		return -errno;

	return 0;
}

/**
 * put_begin() - write to a file from a child process
 * @path: path of the file
 * @text: text to write
 *
 * Return: the child, for child_status(), or a negative errno.
 */
pid_t put_begin(const char *path, const char *text)
{
	pid_t pid = child_begin();

	if (!pid)
		_exit(-put(path, "%s", text));

	return pid;
}

/**
 * pci_unbind_begin() - unbind a device from a child process
 * @bdf: PCI name
 *
 * Return: the child, for child_status(), or a negative errno.
 */
pid_t pci_unbind_begin(const char *bdf)
{
	pid_t pid = child_begin();

	if (!pid)
		_exit(-pci_unbind(bdf));

	return pid;
}

/**
 * child_status() - wait for a child process
 * @pid: the child
 *
 * Return: its exit status, or -1 when it was killed.
 */
int child_status(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;

	return WEXITSTATUS(status);
}

/**
 * child_ends_soon() - wait for a child process that may be stuck
 * @pid: the child, which cannot be killed if it waits for device_lock
 *
 * Return: whether it has ended with status 0.
 */
bool child_ends_soon(pid_t pid)
{
	__u64 end = now_ms() + WAIT_MS;
	int status = -1;

	while (!waitpid(pid, &status, WNOHANG) && now_ms() < end)
		usleep(1000);

	return !status;
}

/**
 * get() - read a file
 * @path: path of the file
 * @buf: receives the content, always terminated
 * @size: size of the buffer
 *
 * Return: the length or a negative errno.
 */
int get(const char *path, char *buf, size_t size)
{
	ssize_t len = 0, n;
	int fd;

	buf[0] = '\0';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((size_t)len < size - 1) {
		n = read(fd, buf + len, size - 1 - len);
		if (n < 0) {
			len = -errno;
			break;
		}
		if (!n)
			break;
		len += n;
	}
	close(fd);
	if (len >= 0)
		buf[len] = '\0';

	return len;
}

/**
 * get_value() - read the number of a line that begins with a word
 * @path: path of a file with lines "word number"
 * @key: the word
 *
 * Return: the number or a negative errno.
 */
long long get_value(const char *path, const char *key)
{
	char buf[4096], *line, *save = NULL;
	size_t len = strlen(key);
	int ret;

	ret = get(path, buf, sizeof(buf));
	if (ret < 0)
		return ret;
	for (line = strtok_r(buf, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (!strncmp(line, key, len) && line[len] == ' ')
			return strtoll(line + len + 1, NULL, 0);

	return -ENOENT;
}

/* The kernel's own spelling has underscores. */
static void mod_path(char *path, size_t size, const char *prefix,
		     const char *name, const char *suffix)
{
	char *p = path + strlen(prefix);

	snprintf(path, size, "%s%s%s", prefix, name, suffix);
	for (; *p; p++)
		if (*p == '-')
			*p = '_';
}

static int mod_modprobe(const char *name, const char *params)
{
	char command[512];

	snprintf(command, sizeof(command), "modprobe %s %s 2>/dev/null", name,
		 params);

	return system(command) ? -ENOENT : 0;
}

/**
 * mod_add() - load a module
 * @name: file name without .ko; from the folder NVVGPU_MODULES, or modprobe's if
 *        this is unset or empty
 * @params: its parameters, "" for none
 *
 * Return: 0, also if it is already loaded, or a negative errno.
 */
int mod_add(const char *name, const char *params)
{
	const char *dir = getenv("NVVGPU_MODULES");
	char path[PATH_MAX];
	int fd, ret = 0;

	if (mod_refs(name) >= 0)
		return 0;
	if (!dir || !*dir)
		return mod_modprobe(name, params);

	snprintf(path, sizeof(path), "%s/%s.ko", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, params, 0))
		ret = -errno;
	close(fd);

	return ret;
}

/**
 * mod_del() - unload a module
 * @name: name, as for mod_add()
 *
 * Return: 0, also if it is not loaded, or a negative errno; -EWOULDBLOCK
 * while it is in use.
 */
int mod_del(const char *name)
{
	char path[64];

	if (mod_refs(name) < 0)
		return 0;
	mod_path(path, sizeof(path), "", name, "");

	return syscall(SYS_delete_module, path, O_NONBLOCK) ? -errno : 0;
}

/**
 * mod_del_users() - unload all modules that use a module
 * @name: name, as for mod_add()
 *
 * Return: 0 or a negative errno.
 */
int mod_del_users(const char *name)
{
	char path[PATH_MAX];
	struct dirent *entry;
	int ret = 0;
	DIR *dir;

	mod_path(path, sizeof(path), "/sys/module/", name, "/holders");
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (!ret && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			ret = mod_del_users(entry->d_name) ?:
			      mod_del(entry->d_name);
	closedir(dir);

	return ret;
}

/**
 * mod_refs() - count the references to a module
 * @name: name, as for mod_add()
 *
 * Return: their number, or a negative errno if it is not loaded.
 */
int mod_refs(const char *name)
{
	char path[PATH_MAX], buf[16];
	int ret;

	mod_path(path, sizeof(path), "/sys/module/", name, "/refcnt");
	ret = get(path, buf, sizeof(buf));

	return ret < 0 ? ret : atoi(buf);
}

/**
 * pf_find_driver() - find the first SR-IOV PF that a driver is bound to
 * @pf: filled in
 * @driver: name
 *
 * Return: 0 or a negative errno; -ENODEV if there is none.
 */
int pf_find_driver(struct pf *pf, const char *driver)
{
	struct dirent **entries;
	char now[64];
	int nr, i, ret = -ENODEV;

	memset(pf, 0, sizeof(*pf));
	nr = scandir("/sys/bus/pci/devices", &entries, NULL, alphasort);
	if (nr < 0)
		return -errno;
	for (i = 0; i < nr; i++) {
		const char *name = entries[i]->d_name;

		if (ret && name[0] != '.' &&
		    pci_exists(name, "sriov_totalvfs") &&
		    !pci_driver(name, now, sizeof(now)) &&
		    !strcmp(now, driver)) {
			snprintf(pf->bdf, sizeof(pf->bdf), "%.15s", name);
			ret = pf_scan(pf);
		}
		free(entries[i]);
	}
	free(entries);

	return ret;
}

/**
 * pf_prepare() - enable VFs of any PF and bind them to the front-end
 * @pf: filled in
 * @driver: driver of the PF
 * @nr: number of VFs
 *
 * VFs that are already bound are rebound, to discard the state of earlier tests.
 *
 * Return: 0 or a negative errno.
 */
int pf_prepare(struct pf *pf, const char *driver, unsigned int nr)
{
	unsigned int i;
	int ret;

	ret = pf_find_driver(pf, driver);
	/* Keep the VFs' own driver from binding. */
	if (!ret)
		ret = pci_write(pf->bdf, "sriov_drivers_autoprobe", "0");
	if (!ret && pf->nr_vfs != nr)
		ret = pf_set_vfs(pf, nr);
	for (i = 0; !ret && i < pf->nr_vfs; i++)
		ret = pci_unbind(pf->vf[i]);
	for (i = 0; !ret && i < pf->nr_vfs; i++)
		ret = pci_bind(pf->vf[i], FRONT_END_DRIVER);

	return ret;
}

/**
 * kernel_exports_bars() - check whether the kernel has dma-bufs of VFIO devices
 *
 * Return: true if it has.
 */
bool kernel_exports_bars(void)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	char line[256];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, " vfio_pci_core_get_dmabuf_phys");
	if (f)
		fclose(f);

	return found;
}

/**
 * backend_missing() - check whether a back-end can be tested
 * @module: module of the back-end, which is loaded
 * @driver: driver of the PF to be used
 *
 * Return: NULL, or what is missing.
 */
const char *backend_missing(const char *module, const char *driver)
{
	static char why[80];
	struct pf pf;

	if (mod_add(module, ""))
		snprintf(why, sizeof(why), "no module %s", module);
	else if (pf_find_driver(&pf, driver))
		snprintf(why, sizeof(why), "no SR-IOV PF bound to %s", driver);

	return why[0] ? why : NULL;
}

/* Write to a file of a claim. */
static int generic_put(const char *dir, const char *file, const char *val)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, file);

	return put(path, "%s", val);
}

/**
 * generic_claim() - claim a PF for the generic back-end
 * @pf: PCI name of the PF
 * @dir: receives the claim's directory, GENERIC_DIR_LEN bytes
 *
 * Return: 0 or a negative errno.
 */
int generic_claim(const char *pf, char *dir)
{
	snprintf(dir, GENERIC_DIR_LEN, GENERIC_DIR "/%s", pf);

	return mkdir(dir, 0755) ? -errno : 0;
}

/**
 * generic_drop() - undo generic_claim(), including all types
 * @dir: directory of the claim, which may not exist
 */
void generic_drop(const char *dir)
{
	int id;

	for (id = 2; id <= NVVGPU_MAX_TYPES; id++)
		generic_type_del(dir, id);
	rmdir(dir);
}

/**
 * generic_enable() - offer the types of a claim, or withdraw them
 * @dir: directory of the claim
 * @val: "1" or "0"
 *
 * Return: 0 or a negative errno.
 */
int generic_enable(const char *dir, const char *val)
{
	return generic_put(dir, "enable", val);
}

/**
 * generic_enabled() - check whether a claim offers its types
 * @dir: directory of the claim
 *
 * Return: true if so.
 */
bool generic_enabled(const char *dir)
{
	char path[256], buf[16];

	snprintf(path, sizeof(path), "%s/enable", dir);

	return get(path, buf, sizeof(buf)) == 2 && buf[0] == '1';
}

/**
 * generic_type_add() - create a type, which is not offered yet
 * @dir: directory of the claim
 * @id: id of the type
 *
 * Return: 0 or a negative errno.
 */
int generic_type_add(const char *dir, int id)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/types/%d", dir, id);

	return mkdir(path, 0755) ? -errno : 0;
}

/**
 * generic_type_del() - undo generic_type_add()
 * @dir: directory of the claim
 * @id: id of the type
 *
 * Return: 0 or a negative errno.
 */
int generic_type_del(const char *dir, int id)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/types/%d", dir, id);

	return rmdir(path) ? -errno : 0;
}

/**
 * generic_type_put() - set an attribute of a type
 * @dir: directory of the claim
 * @id: id of the type
 * @attr: its file
 * @val: value to write
 *
 * Return: 0 or a negative errno.
 */
int generic_type_put(const char *dir, int id, const char *attr, const char *val)
{
	char file[64];

	snprintf(file, sizeof(file), "types/%d/%s", id, attr);

	return generic_put(dir, file, val);
}

/**
 * mock_add() - register the mock back-end
 * @pf: PCI name of the PF
 * @table: name of one of its tables
 *
 * Return: 0 or the error of the front-end.
 */
int mock_add(const char *pf, const char *table)
{
	return put(MOCK_DIR "/register", "%s %s", pf, table);
}

/**
 * mock_del() - unregister the mock back-end
 * @pf: PCI name of the PF
 *
 * Return: 0 or a negative errno; -ENOENT if it is not registered.
 */
int mock_del(const char *pf)
{
	return put(MOCK_DIR "/unregister", "%s", pf);
}

/**
 * mock_calls() - count the calls of an operation of the mock back-end
 * @op: its name, or "violations"
 *
 * Return: the number or a negative errno.
 */
long long mock_calls(const char *op)
{
	return get_value(MOCK_DIR "/calls", op);
}

/**
 * uevent_open() - listen to uevents from now on
 *
 * Return: a file descriptor or a negative errno.
 */
int uevent_open(void)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int size = 1 << 20;
	int fd;

	fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC,
		    NETLINK_KOBJECT_UEVENT);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		close(fd);
		return -errno;
	}

	return fd;
}

/* The value of KEY= in a uevent, "" if absent */
static const char *uevent_value(const char *buf, size_t len, const char *key)
{
	size_t keylen = strlen(key);
	const char *p;

	for (p = buf; p < buf + len; p += strlen(p) + 1)
		if (!strncmp(p, key, keylen) && p[keylen] == '=')
			return p + keylen + 1;

	return "";
}

/* The number at KEY= in a uevent, -1 if absent */
static long long uevent_number(const char *buf, size_t len, const char *key)
{
	const char *value = uevent_value(buf, len, key);

	return value[0] ? strtoll(value, NULL, 0) : -1;
}

static bool uevent_parse(const char *buf, size_t len, struct uevent *uevent)
{
	snprintf(uevent->event, sizeof(uevent->event), "%s",
		 uevent_value(buf, len, NVVGPU_UEVENT_EVENT));
	uevent->type = atoi(uevent_value(buf, len, NVVGPU_UEVENT_TYPE));
	uevent->count = strtoull(uevent_value(buf, len, NVVGPU_UEVENT_COUNT), NULL,
				 10);
	uevent->code = uevent_number(buf, len, NVVGPU_UEVENT_CODE);
	uevent->address = uevent_number(buf, len, NVVGPU_UEVENT_ADDRESS);
	uevent->generation = uevent_number(buf, len, NVVGPU_UEVENT_GENERATION);
	uevent->use = uevent_number(buf, len, NVVGPU_UEVENT_USE);
	uevent->milliseconds = uevent_number(buf, len,
					     NVVGPU_UEVENT_MILLISECONDS);
	snprintf(uevent->totals, sizeof(uevent->totals), "%s",
		 uevent_value(buf, len, NVVGPU_UEVENT_TOTALS));

	return uevent->event[0];
}

/**
 * uevent_next() - read the next uevent of the front-end for a VF
 * @fd: file descriptor from uevent_open()
 * @vf: PCI name
 * @uevent: filled in
 * @timeout_ms: time-out
 *
 * Return: 0 or a negative errno; -ETIMEDOUT if there is none.
 */
int uevent_next(int fd, const char *vf, struct uevent *uevent, int timeout_ms)
{
	__u64 end = now_ms() + timeout_ms;
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char buf[8192];
	ssize_t len;

	for (;;) {
		__u64 now = now_ms();

		if (poll(&pfd, 1, now < end ? end - now : 0) != 1)
			return -ETIMEDOUT;
		len = recv(fd, buf, sizeof(buf) - 1, 0);
		if (len <= 0)
			return len ? -errno : -EIO;
		buf[len] = '\0';
		/* "change@/devices/.../<vf>", then KEY=value, NUL separated */
		if (!strncmp(buf, "change@", 7) && strstr(buf, vf) &&
		    uevent_parse(buf, len, uevent))
			return 0;
	}
}

/**
 * uevent_wait() - wait for a uevent of the front-end for a VF
 * @fd: file descriptor from uevent_open()
 * @vf: PCI name
 * @event: NVVGPU_EVENT
 * @timeout_ms: time-out
 *
 * Return: 0 or a negative errno; -ETIMEDOUT without the uevent.
 */
int uevent_wait(int fd, const char *vf, const char *event, int timeout_ms)
{
	__u64 end = now_ms() + timeout_ms;
	struct uevent uevent;
	int ret;

	do {
		__u64 now = now_ms();

		ret = uevent_next(fd, vf, &uevent, now < end ? end - now : 0);
	} while (!ret && strcmp(uevent.event, event));

	return ret;
}

/**
 * kmsg_open() - open the kernel's log at its end
 *
 * Return: a file descriptor or a negative errno
 */
int kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	lseek(fd, 0, SEEK_END);

	return fd;
}

/**
 * kmsg_count() - count the messages with these words since the last call
 * @kmsg: file descriptor from kmsg_open()
 * @words: a part of a message
 *
 * Return: how many
 */
int kmsg_count(int kmsg, const char *words)
{
	char line[4096];
	ssize_t len;
	int nr = 0;

	/* EPIPE: the kernel has dropped messages before they were read. */
	while ((len = read(kmsg, line, sizeof(line) - 1)) > 0 ||
	       (len < 0 && errno == EPIPE)) {
		line[len < 0 ? 0 : len] = '\0';
		nr += !!strstr(line, words);
	}

	return nr;
}

/**
 * vf_logged() - look for a message of a VF since the last call
 * @kmsg: file descriptor from kmsg_open()
 * @vf: PCI name of the VF
 * @text: beginning of the message
 *
 * Return: true if there is one.
 */
bool vf_logged(int kmsg, const char *vf, const char *text)
{
	char words[256];

	snprintf(words, sizeof(words), "%s: %s", vf, text);

	return kmsg_count(kmsg, words) > 0;
}

/**
 * last_error_is() - compare nvvgpu/last_error with what a test expects
 * @last: its content
 * @err: positive errno
 * @text: the text before the errno
 *
 * Return: true if they are equal, with the name or the number of the errno, which
 * depends on CONFIG_SYMBOLIC_ERRNAME.
 */
bool last_error_is(const char *last, int err, const char *text)
{
	char name[256], number[256];

	snprintf(name, sizeof(name), "%s: -%s\n", text, strerrorname_np(err));
	snprintf(number, sizeof(number), "%s: -%d\n", text, err);

	return !strcmp(last, name) || !strcmp(last, number);
}
