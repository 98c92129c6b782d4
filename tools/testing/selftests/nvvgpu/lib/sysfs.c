// SPDX-License-Identifier: GPL-2.0
/*
 * The sysfs files of an SR-IOV GPU and its vGPUs.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/syscall.h>

#include "clock.h"
#include "sysfs.h"

#define PCI_DEVICES	"/sys/bus/pci/devices"
#define PCI_DRIVERS	"/sys/bus/pci/drivers"

/* Files that send firmware commands or show data of a tenant are for root only. */
const struct vf_file vf_files[NR_VF_FILES] = {
	{ "nvidia/creatable_vgpu_types", 0400 },
	{ "nvidia/current_vgpu_type", 0644 },
	{ "nvidia/gpu_instance_id", 0644 },
	{ "nvidia/placement_id", 0644 },
	{ "nvidia/vgpu_params", 0600 },
	{ "nvidia/warm_update", 0644 },
	{ "nvvgpu/backend", 0444 },
	{ "nvvgpu/capabilities", 0444 },
	{ "nvvgpu/delete", 0200 },
	{ "nvvgpu/events", 0444 },
	{ "nvvgpu/generation", 0444 },
	{ "nvvgpu/last_error", 0400 },
	{ "nvvgpu/migrations", 0444 },
	{ "nvvgpu/owner", 0400 },
	{ "nvvgpu/state", 0444 },
	{ "nvvgpu/state_versions", 0444 },
	{ "nvvgpu/stats", 0400 },
	{ "nvvgpu/use", 0400 },
};

static int file_read(const char *path, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n = 0;
	int fd, err = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	while (len < size - 1) {
		n = read(fd, buf + len, size - 1 - len);
		if (n <= 0)
			break;
		len += n;
	}
	if (n < 0)
		err = -errno;
	buf[len] = '\0';
	close(fd);

	return err ?: (int)len;
}

static int file_write(const char *path, const void *data, size_t len)
{
	ssize_t n;
	int fd, ret = 0;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	n = write(fd, data, len);
	if (n < 0)
		ret = -errno;
	else if ((size_t)n != len)
		ret = -EIO;
	close(fd);

	return ret;
}

static void pci_path(char *path, const char *bdf, const char *file)
{
	snprintf(path, PATH_MAX, PCI_DEVICES "/%s/%s", bdf, file);
}

/**
 * pci_read() - read a file of a device
 * @bdf: PCI name
 * @file: file in the device's directory
 * @buf: receives the content, always terminated
 * @size: size of the buffer
 *
 * Return: the length or a negative errno.
 */
int pci_read(const char *bdf, const char *file, char *buf, size_t size)
{
	char path[PATH_MAX];

	pci_path(path, bdf, file);
	buf[0] = '\0';

	return file_read(path, buf, size);
}

/**
 * pci_write_len() - write any bytes to a file of a device, in one write
 * @bdf: PCI name
 * @file: file in the device's directory
 * @data: the data
 * @len: number of bytes
 *
 * Return: 0 or a negative errno; -EIO also for a short write.
 */
int pci_write_len(const char *bdf, const char *file, const void *data,
		  size_t len)
{
	char path[PATH_MAX];

	pci_path(path, bdf, file);

	return file_write(path, data, len);
}

/**
 * pci_write() - write text to a file of a device, in one write
 * @bdf: PCI name
 * @file: file in the device's directory
 * @text: no newline is added
 *
 * Return: 0 or a negative errno.
 */
int pci_write(const char *bdf, const char *file, const char *text)
{
	return pci_write_len(bdf, file, text, strlen(text));
}

/**
 * pci_read_u64() - read a number from a file of a device
 * @bdf: PCI name
 * @file: file in the device's directory
 * @val: the number
 *
 * Return: 0 or a negative errno.
 */
int pci_read_u64(const char *bdf, const char *file, __u64 *val)
{
	char buf[64], *end;
	int ret;

	ret = pci_read(bdf, file, buf, sizeof(buf));
	if (ret < 0)
		return ret;
	*val = strtoull(buf, &end, 0);

	return end == buf ? -EINVAL : 0;
}

/**
 * pci_mode() - get the permission bits of a file of a device
 * @bdf: PCI name
 * @file: file in the device's directory
 *
 * Return: the bits or a negative errno.
 */
int pci_mode(const char *bdf, const char *file)
{
	char path[PATH_MAX];
	struct stat st;

	pci_path(path, bdf, file);
	if (stat(path, &st))
		return -errno;

	return st.st_mode & 07777;
}

/**
 * pci_exists() - check whether a device has a file
 * @bdf: PCI name
 * @file: file in the device's directory
 *
 * Return: true if so.
 */
bool pci_exists(const char *bdf, const char *file)
{
	char path[PATH_MAX];

	pci_path(path, bdf, file);

	return !access(path, F_OK);
}

static int pci_link(const char *bdf, const char *file, char *buf, size_t size)
{
	char path[PATH_MAX], link[PATH_MAX];
	ssize_t len;

	pci_path(path, bdf, file);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		return -errno;
	link[len] = '\0';
	snprintf(buf, size, "%s", basename(link));

	return 0;
}

/**
 * pci_driver() - get the name of the driver of a device
 * @bdf: PCI name
 * @buf: destination
 * @size: size of the buffer
 *
 * Return: 0 or a negative errno; -ENOENT if there is none.
 */
int pci_driver(const char *bdf, char *buf, size_t size)
{
	return pci_link(bdf, "driver", buf, size);
}

/**
 * pci_unbind() - unbind a device from its driver
 * @bdf: PCI name
 *
 * Return: 0, also if it has none, or a negative errno.
 */
int pci_unbind(const char *bdf)
{
	int ret = pci_write(bdf, "driver/unbind", bdf);

	/*
	 * -ENODEV: it is not bound. A driver that probes asynchronously, like
	 * nvme, is linked to each new VF until the PCI core refuses the probe
	 * because of sriov_drivers_autoprobe.
	 */
	return ret == -ENOENT || ret == -ENODEV ? 0 : ret;
}

/**
 * pci_bind() - bind a device to a driver by driver_override
 * @bdf: PCI name
 * @driver: name
 *
 * Return: 0, also if it is already bound, or a negative errno.
 */
int pci_bind(const char *bdf, const char *driver)
{
	char now[64];
	int ret, tries;

	/*
	 * While a driver that probes asynchronously is linked, see pci_unbind(),
	 * drivers_probe does nothing.
	 */
	for (tries = 0; tries < 50; tries++) {
		ret = pci_driver(bdf, now, sizeof(now));
		if (!ret && !strcmp(now, driver))
			return 0;
		if (tries)
			usleep(10000);
		if (!ret)
			ret = pci_unbind(bdf);
		else if (ret == -ENOENT)
			ret = 0;
		if (!ret)
			ret = pci_write(bdf, "driver_override", driver);
		if (!ret)
			ret = file_write("/sys/bus/pci/drivers_probe", bdf,
					 strlen(bdf));
		if (ret)
			return ret;
	}
	ret = pci_driver(bdf, now, sizeof(now));
	if (ret)
		return ret == -ENOENT ? -ENODEV : ret;

	return strcmp(now, driver) ? -EBUSY : 0;
}

static int driver_file(const char *driver, const char *file, const char *bdf)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), PCI_DRIVERS "/%s/%s", driver, file);

	return file_write(path, bdf, strlen(bdf));
}

/**
 * driver_bind() - bind a device to a driver that knows its ids
 * @driver: name
 * @bdf: PCI name
 *
 * Return: 0 or a negative errno.
 */
int driver_bind(const char *driver, const char *bdf)
{
	return driver_file(driver, "bind", bdf);
}

/**
 * driver_unbind() - unbind a driver from a device
 * @driver: name
 * @bdf: PCI name
 *
 * Return: 0 or a negative errno; -ENODEV if it is bound to another driver.
 */
int driver_unbind(const char *driver, const char *bdf)
{
	return driver_file(driver, "unbind", bdf);
}

/**
 * module_param_set() - write a parameter of a loaded module
 * @module: name, with underscores
 * @param: name
 * @val: text
 *
 * Return: 0 or a negative errno.
 */
int module_param_set(const char *module, const char *param, const char *val)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", module,
		 param);

	return file_write(path, val, strlen(val));
}

/**
 * pf_scan() - update the list of VFs of a PF
 * @pf: PF from pf_find()
 *
 * Return: 0 or a negative errno.
 */
int pf_scan(struct pf *pf)
{
	char name[32];
	unsigned int i;
	__u64 val;
	int ret;

	ret = pci_read_u64(pf->bdf, "sriov_totalvfs", &val);
	if (ret)
		return ret;
	pf->total = val;

	for (i = 0; i < MAX_VFS; i++) {
		snprintf(name, sizeof(name), "virtfn%u", i);
		if (pci_link(pf->bdf, name, pf->vf[i], BDF_LEN))
			break;
	}
	pf->nr_vfs = i;

	return 0;
}

/**
 * pf_find() - find the GPU to test
 * @pf: filled in
 *
 * It is the one in NVVGPU_PF, or the first one that the emulated GPU's
 * driver is bound to.
 *
 * Return: 0 or a negative errno; -ENODEV if there is none.
 */
int pf_find(struct pf *pf)
{
	const char *env = getenv("NVVGPU_PF");
	struct dirent *entry;
	DIR *dir;

	memset(pf, 0, sizeof(*pf));
	if (env && *env) {
		snprintf(pf->bdf, sizeof(pf->bdf), "%s", env);
		return pf_scan(pf);
	}

	dir = opendir(PCI_DEVICES);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		char driver[64];

		/* The driver core does not normalize the name. */
		if (pf->bdf[0] ||
		    pci_driver(entry->d_name, driver, sizeof(driver)) ||
		    (strcmp(driver, "nvvgpu-emu") &&
		     strcmp(driver, "nvvgpu_emu")))
			continue;
		snprintf(pf->bdf, sizeof(pf->bdf), "%.15s", entry->d_name);
	}
	closedir(dir);

	return pf->bdf[0] ? pf_scan(pf) : -ENODEV;
}

/**
 * pf_set_vfs() - set the number of VFs of a PF
 * @pf: PF from pf_find()
 * @nr: 0 disables SR-IOV
 *
 * Return: 0 or a negative errno.
 */
int pf_set_vfs(struct pf *pf, unsigned int nr)
{
	char text[16];
	int ret;

	ret = pf_scan(pf);
	if (ret)
		return ret;
	if (pf->nr_vfs == nr)
		return 0;
	if (pf->nr_vfs && nr) {
		ret = pci_write(pf->bdf, "sriov_numvfs", "0");
		if (ret)
			return ret;
	}
	snprintf(text, sizeof(text), "%u", nr);
	ret = pci_write(pf->bdf, "sriov_numvfs", text);

	return ret ?: pf_scan(pf);
}

/* Read a file of a type, without the newline at its end. */
static int type_read(const char *vf, unsigned int id, const char *name,
		     char *buf, size_t size)
{
	char file[64];
	int len;

	snprintf(file, sizeof(file), "nvvgpu/types/%u/%s", id, name);
	len = pci_read(vf, file, buf, size);
	if (len > 0 && buf[len - 1] == '\n')
		buf[len - 1] = '\0';

	return len;
}

/**
 * type_number() - read an attribute of a type
 * @type: the type
 * @name: name of the file
 *
 * Return: the number, 0 if there is no such file.
 */
__u64 type_number(const struct vgpu_type *type, const char *name)
{
	char buf[32];

	if (type_read(type->vf, type->id, name, buf, sizeof(buf)) < 0)
		return 0;

	return strtoull(buf, NULL, 0);
}

static int type_fill(struct vgpu_type *type, const char *vf, unsigned int id)
{
	int ret;

	memset(type, 0, sizeof(*type));
	type->id = id;
	snprintf(type->vf, sizeof(type->vf), "%s", vf);
	ret = type_read(vf, id, "name", type->name, sizeof(type->name));
	if (ret < 0)
		return ret;
	ret = type_read(vf, id, "class", type->vgpu_class,
			sizeof(type->vgpu_class));
	if (ret < 0)
		return ret;
	ret = type_read(vf, id, "max_resolution", type->max_resolution,
			sizeof(type->max_resolution));
	if (ret < 0)
		return ret;
	ret = type_read(vf, id, "reason", type->reason, sizeof(type->reason));
	if (ret < 0)
		return ret;
	type->framebuffer = type_number(type, "framebuffer");
	type->bar0 = type_number(type, "bar0");
	type->heads = type_number(type, "heads");
	type->max_instances = type_number(type, "max_instances");
	type->available = type_number(type, "available_instances");

	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	const unsigned int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/**
 * vf_types() - read nvvgpu/types
 * @vf: PCI name
 * @types: filled in, sorted by id
 * @capacity: entries in @types
 *
 * Return: number of types or a negative errno.
 */
int vf_types(const char *vf, struct vgpu_type *types, unsigned int capacity)
{
	unsigned int ids[MAX_TYPES], i, nr = 0;
	struct dirent *entry;
	char path[PATH_MAX];
	int ret;
	DIR *dir;

	pci_path(path, vf, "nvvgpu/types");
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && nr < MAX_TYPES)
			ids[nr++] = strtoul(entry->d_name, NULL, 10);
	closedir(dir);
	qsort(ids, nr, sizeof(*ids), compare_ids);
	if (nr > capacity)
		nr = capacity;

	for (i = 0; i < nr; i++) {
		ret = type_fill(&types[i], vf, ids[i]);
		if (ret)
			return ret;
	}

	return nr;
}

/**
 * vf_set_type() - write nvidia/current_vgpu_type
 * @vf: PCI name
 * @id: id of the type, 0 deletes
 *
 * Return: 0 or a negative errno.
 */
int vf_set_type(const char *vf, unsigned int id)
{
	char text[16];

	snprintf(text, sizeof(text), "%u\n", id);

	return pci_write(vf, "nvidia/current_vgpu_type", text);
}

/**
 * vf_type() - read nvidia/current_vgpu_type
 * @vf: PCI name
 *
 * Return: the id, 0 for none, or a negative errno.
 */
int vf_type(const char *vf)
{
	__u64 val;
	int ret = pci_read_u64(vf, "nvidia/current_vgpu_type", &val);

	return ret ?: (int)val;
}

/**
 * vf_creatable() - count the lines of a type in nvidia/creatable_vgpu_types
 * @vf: PCI name
 * @id: id of the type, 0 counts all
 *
 * Return: the number of lines, or a negative errno.
 */
int vf_creatable(const char *vf, unsigned int id)
{
	char buf[8192], *line, *save = NULL;
	int ret, n = 0;

	ret = pci_read(vf, "nvidia/creatable_vgpu_types", buf, sizeof(buf));
	if (ret < 0)
		return ret;
	for (line = strtok_r(buf, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (!strncmp(line, "ID", 2))
			continue;
		if (!id || strtoul(line, NULL, 10) == id)
			n++;
	}

	return n;
}

/**
 * vf_state() - read nvvgpu/state without its newline
 * @vf: PCI name
 * @buf: destination
 * @size: size of the buffer
 *
 * Return: the length or a negative errno.
 */
int vf_state(const char *vf, char *buf, size_t size)
{
	int ret = pci_read(vf, "nvvgpu/state", buf, size);

	if (ret > 0 && buf[ret - 1] == '\n')
		buf[--ret] = '\0';

	return ret;
}

/**
 * vf_backend() - read nvvgpu/backend
 * @vf: PCI name
 * @minor: set to the minor version of the contract, unless NULL
 *
 * Return: the name of the back-end, or why there is none.
 */
const char *vf_backend(const char *vf, unsigned int *minor)
{
	static char name[NVVGPU_NAME_LEN];
	unsigned int version[2];
	char buf[128], end;

	if (pci_read(vf, "nvvgpu/backend", buf, sizeof(buf)) < 0)
		return "unreadable";
	if (sscanf(buf, "%63s %u.%u%c", name, &version[0], &version[1],
		   &end) != 4 || end != '\n')
		return "malformed";
	if (minor)
		*minor = version[1];

	return name;
}

/**
 * vf_wait_state() - wait for a state that an event of the GPU causes
 * @vf: PCI name
 * @want: the state
 *
 * Return: @want, or the state after WAIT_MS.
 */
const char *vf_wait_state(const char *vf, const char *want)
{
	__u64 end = now_ms() + WAIT_MS;
	static char state[32];

	for (;;) {
		if (vf_state(vf, state, sizeof(state)) < 0)
			return "unreadable";
		if (!strcmp(state, want) || now_ms() > end)
			return state;
		usleep(50000);
	}
}

/**
 * poll_open() - open a file of a device to poll it
 * @vf: PCI name
 * @file: path below the device's directory
 *
 * Return: a file descriptor or -1.
 */
int poll_open(const char *vf, const char *file)
{
	char path[PATH_MAX], buf[4096];
	int fd;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", vf, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!read(fd, buf, sizeof(buf));

	return fd;
}

/**
 * poll_changed() - wait until a file is reported to have changed
 * @fd: file descriptor from poll_open()
 * @timeout_ms: time-out in milliseconds
 *
 * Return: true if it has changed since the last call.
 */
bool poll_changed(int fd, int timeout_ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLPRI };
	char buf[4096];
	bool changed;

	changed = poll(&pfd, 1, timeout_ms) == 1 && (pfd.revents & POLLPRI);
	lseek(fd, 0, SEEK_SET);
	(void)!read(fd, buf, sizeof(buf));

	return changed;
}

/**
 * poll_settle() - wait until all changes of a list of types have been reported
 * @fd: file descriptor from poll_open()
 *
 * Reports are delayed by up to 0.1 s.
 */
void poll_settle(int fd)
{
	while (poll_changed(fd, 500))
		;
}
