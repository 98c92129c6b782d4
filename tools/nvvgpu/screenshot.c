// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpuctl screenshot: the picture on the first display of a vGPU.
 *
 * A VFIO device is open once.  So this takes a copy of the file of the process that
 * has it open, usually QEMU, and reads the region that shows the plane.
 */
#include <dirent.h>
#include <drm/drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

#define GROUP_DEVICE	"anon_inode:[vfio-device]"
#define PLANE_PRIMARY	1
#define LOOKS		200
#define NSEC_PER_MSEC	1000000L

/* The character device of a VF, "" if there is none */
static void device_of(const struct vf *vf, char *buf, size_t size)
{
	struct dirent *entry;
	char path[PATH_LEN];
	DIR *dir;

	buf[0] = '\0';
	path_make(path, PCI_DEVICES "/%s/vfio-dev", vf->bdf);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			snprintf(buf, size, "/dev/vfio/devices/%.40s", entry->d_name);
	if (dir)
		closedir(dir);
}

/*
 * The number of the file in the owner, -ENOENT if there is none.  Devices that were
 * opened by their groups all look alike: -EMLINK if there are several.
 */
static int find_file(const struct vf *vf)
{
	char device[NAME_LEN], path[PATH_LEN], target[PATH_LEN];
	int found = -ENOENT, group = -ENOENT;
	struct dirent *entry;
	ssize_t len;
	DIR *dir;

	device_of(vf, device, sizeof(device));
	snprintf(path, sizeof(path), "/proc/%d/fd", vf->pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		if (len < 0)
			continue;
		target[len] = '\0';
		if (!strcmp(target, device))
			found = atoi(entry->d_name);
		else if (!strcmp(target, GROUP_DEVICE))
			group = group == -ENOENT ? atoi(entry->d_name) : -EMLINK;
	}
	if (dir)
		closedir(dir);

	return found >= 0 ? found : group;
}

/* A copy of the file that the owner has */
static int take_file(const struct vf *vf)
{
	int number = find_file(vf), process, file;

	if (number < 0)
		return number;
	process = syscall(SYS_pidfd_open, vf->pid, 0);
	if (process < 0)
		return -errno;
	file = syscall(SYS_pidfd_getfd, process, number, 0);
	if (file < 0)
		file = -errno;
	close(process);

	return file;
}

static int query(int file, struct vfio_device_gfx_plane_info *plane)
{
	memset(plane, 0, sizeof(*plane));
	plane->argsz = sizeof(*plane);
	plane->flags = VFIO_GFX_PLANE_TYPE_REGION;
	plane->drm_plane_type = PLANE_PRIMARY;

	return ioctl(file, VFIO_DEVICE_QUERY_GFX_PLANE, plane) ? -errno : 0;
}

/* The driver asks the back-end for the plane only after the first query. */
static int look(int file, struct vfio_device_gfx_plane_info *plane)
{
	const struct timespec pause = { .tv_nsec = 10 * NSEC_PER_MSEC };
	int i, ret;

	for (i = 0; i < LOOKS; i++) {
		ret = query(file, plane);
		if (ret || plane->width)
			return ret;
		nanosleep(&pause, NULL);
	}

	return -ENODATA;
}

static int read_plane(int file, const struct vfio_device_gfx_plane_info *plane,
		      unsigned char *data)
{
	struct vfio_region_info region = {
		.argsz = sizeof(region),
		.index = plane->region_index,
	};
	size_t done = 0, bytes = (size_t)plane->stride * plane->height;
	ssize_t len;

	if (ioctl(file, VFIO_DEVICE_GET_REGION_INFO, &region))
		return -errno;
	for (; done < bytes; done += len) {
		len = pread(file, data + done, bytes - done, region.offset + done);
		if (len <= 0)
			return len ? -errno : -EIO;
	}

	return 0;
}

/* How a pixel of a format becomes red, green and blue */
static const struct {
	__u32 format;
	unsigned int bytes;
	unsigned int shift[3];
	unsigned int bits[3];
} formats[] = {
	{ DRM_FORMAT_XRGB8888, 4, { 16, 8, 0 }, { 8, 8, 8 } },
	{ DRM_FORMAT_ARGB8888, 4, { 16, 8, 0 }, { 8, 8, 8 } },
	{ DRM_FORMAT_XBGR8888, 4, { 0, 8, 16 }, { 8, 8, 8 } },
	{ DRM_FORMAT_ABGR8888, 4, { 0, 8, 16 }, { 8, 8, 8 } },
	{ DRM_FORMAT_RGB888, 3, { 16, 8, 0 }, { 8, 8, 8 } },
	{ DRM_FORMAT_RGB565, 2, { 11, 5, 0 }, { 5, 6, 5 } },
};

/* Lines for png_write(), or NULL if the format is unknown */
static unsigned char *convert(const struct vfio_device_gfx_plane_info *plane,
			      const unsigned char *data)
{
	unsigned char *lines, *to;
	unsigned int f, x, y, i;
	__u32 pixel, val, most;

	for (f = 0; f < ARRAY_SIZE(formats) && formats[f].format != plane->drm_format; f++)
		;
	if (f == ARRAY_SIZE(formats))
		return NULL;
	lines = malloc((size_t)plane->height * (1 + 3 * (size_t)plane->width));
	to = lines;
	for (y = 0; lines && y < plane->height; y++) {
		*to++ = 0;
		for (x = 0; x < plane->width; x++) {
			pixel = 0;
			memcpy(&pixel, data + (size_t)y * plane->stride + x * formats[f].bytes,
			       formats[f].bytes);
			for (i = 0; i < 3; i++) {
				most = (1 << formats[f].bits[i]) - 1;
				val = pixel >> formats[f].shift[i] & most;
				*to++ = val * 255 / most;
			}
		}
	}

	return lines;
}

/* Read the picture; again if the guest has flipped or set another mode meanwhile. */
static int shoot(int file, struct vfio_device_gfx_plane_info *plane, unsigned char **lines)
{
	struct vfio_device_gfx_plane_info now;
	unsigned char *data;
	int ret, i;

	for (i = 0; i < LOOKS; i++) {
		ret = look(file, plane);
		if (ret)
			return ret;
		data = malloc((size_t)plane->stride * plane->height);
		if (!data)
			return -ENOMEM;
		ret = read_plane(file, plane, data) ?: query(file, &now);
		*lines = ret ? NULL : convert(plane, data);
		free(data);
		if (ret)
			return ret;
		if (!*lines)
			return -EPROTO;
		if (!memcmp(plane, &now, sizeof(now)))
			return 0;
		free(*lines);
	}

	return -EAGAIN;
}

static const char *why(int err)
{
	switch (err) {
	case -ENOENT:
		return "its owner has passed the device to another process";
	case -EMLINK:
		return "its owner has opened several devices by their groups; use iommufd";
	case -ENOTTY:
		return "it has no display, or \"display=off\" in its parameters";
	case -ENODATA:
		return "its display is off";
	case -EPROTO:
		return "the format of its pixels is unknown";
	case -EAGAIN:
		return "the picture changes too fast";
	default:
		return strerror(-err);
	}
}

static enum status save(const char *path, const struct vfio_device_gfx_plane_info *plane,
			const unsigned char *lines)
{
	FILE *file = fopen(path, "wbe");
	struct stat st;
	int ret;

	if (!file) {
		error("%s: %s", path, strerror(errno));
		return STATUS_FAILED;
	}
	ret = png_write(file, plane->width, plane->height, lines);
	if (fclose(file) || ret) {
		error("cannot write %s", path);
		/* The path may be that of a device. */
		if (!lstat(path, &st) && S_ISREG(st.st_mode))
			unlink(path);
		return STATUS_FAILED;
	}
	note("%s: %ux%u", path, plane->width, plane->height);

	return STATUS_OK;
}

static enum status screenshot(struct vf *vf, const char *name, const char *path)
{
	struct vfio_device_gfx_plane_info plane;
	unsigned char *lines = NULL;
	enum status status;
	int file, ret;

	if (!vf->pid) {
		error("%s: no process has it open, so there is no picture", name);
		return STATUS_FAILED;
	}
	file = take_file(vf);
	ret = file < 0 ? file : shoot(file, &plane, &lines);
	if (file >= 0)
		close(file);
	if (ret) {
		error("%s: %s", name, why(ret));
		return STATUS_FAILED;
	}
	status = save(path, &plane, lines);
	free(lines);

	return status;
}

enum status cmd_screenshot(int argc, char **argv)
{
	enum status status = need_root();
	struct host host;
	struct vf *vf;

	(void)argc;
	if (status)
		return status;
	host_scan(&host);
	status = need_vf(&host, argv[0], &vf);
	if (!status)
		status = screenshot(vf, argv[0], argv[1]);
	host_free(&host);

	return status;
}
