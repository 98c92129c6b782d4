// SPDX-License-Identifier: GPL-2.0
/*
 * The platform of a guest's job on Linux, where it is the only process
 *
 * The guest has no IOMMU, so it uses the no-IOMMU mode of vfio-pci, which must be
 * enabled.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/timerfd.h>

#include <linux/nvvgpu_emu.h>

#include "job.h"
#include "lib/backend.h"
#include "lib/guest_modules.h"

/**
 * area_alloc() - allocate locked memory
 * @area: filled in
 * @len: bytes, a multiple of the page size
 *
 * The physical addresses are read from /proc/self/pagemap.
 *
 * Return: 0 or a negative errno.
 */
int area_alloc(struct area *area, size_t len)
{
	size_t i, nr = len / PAGE;
	__u64 entry;
	int fd;

	area->phys = calloc(nr, sizeof(*area->phys));
	area->mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_LOCKED,
			 -1, 0);
	if (!area->phys || area->mem == MAP_FAILED)
		return -ENOMEM;

	fd = open("/proc/self/pagemap", O_RDONLY);
	if (fd < 0)
		return -errno;
	for (i = 0; i < nr; i++) {
		uintptr_t page = (uintptr_t)area->mem / PAGE + i;

		if (pread(fd, &entry, sizeof(entry), page * sizeof(entry)) !=
		    sizeof(entry) || !(entry >> 63))
			return -EFAULT;
		area->phys[i] = (entry & ((1ULL << 55) - 1)) * PAGE;
	}
	close(fd);

	return 0;
}

static int find(char *bdf)
{
	struct dirent *entry;
	DIR *dir;
	int ret = -ENODEV;

	dir = opendir("/sys/bus/pci/devices");
	if (!dir)
		return -errno;
	while (ret && (entry = readdir(dir))) {
		__u64 vendor, device;

		if (pci_read_u64(entry->d_name, "vendor", &vendor) ||
		    pci_read_u64(entry->d_name, "device", &device) ||
		    vendor != NVVGPU_EMU_VENDOR_ID ||
		    device != NVVGPU_EMU_VF_DEVICE_ID)
			continue;
		snprintf(bdf, BDF_LEN, "%.15s", entry->d_name);
		ret = 0;
	}
	closedir(dir);

	return ret;
}

/**
 * vgpu_open() - find the vGPU and open it
 * @vdev: filled in
 *
 * Return: 0, -ENODEV if there is no vGPU, or another negative errno.
 */
int vgpu_open(struct vdev *vdev)
{
	static struct ioas ioas;
	char bdf[BDF_LEN];
	int ret;

	vdev_init(vdev, "", &ioas);
	ret = find(bdf);
	if (!ret)
		ret = pci_bind(bdf, "vfio-pci");
	if (!ret)
		ret = ioas_open(&ioas, IOMMU_NONE);
	if (!ret)
		ret = vdev_open(vdev, bdf, &ioas);

	return ret;
}

/* VFIO does not tell where a BAR is. */
int peer_open(struct vdev *peer, const struct vdev *vdev, __u64 *phys)
{
	return -EOPNOTSUPP;
}

static void *tick(void *arg)
{
	const int fd = *(int *)arg;
	__u64 count;

	while (read(fd, &count, sizeof(count)) == sizeof(count))
		job_tick(count);

	return NULL;
}

/**
 * ticks_start() - start the thread of the timer
 *
 * Return: 0 or a negative errno.
 */
int ticks_start(void)
{
	static const struct itimerspec every = {
		.it_interval.tv_nsec = TICK_MS * 1000000,
		.it_value.tv_nsec = TICK_MS * 1000000,
	};
	static pthread_t thread;
	static int fd;

	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (timerfd_settime(fd, 0, &every, NULL))
		return -errno;

	return -pthread_create(&thread, NULL, tick, &fd);
}

/**
 * console_write() - write text to the console
 * @text: the text
 * @len: bytes
 */
void console_write(const char *text, size_t len)
{
	fwrite(text, 1, len, stdout);
	fflush(stdout);
}

/**
 * console_read() - wait for a character from the console
 *
 * Return: the character, -EPIPE at the end of the input.
 */
int console_read(void)
{
	unsigned char c;

	return read(STDIN_FILENO, &c, 1) == 1 ? c : -EPIPE;
}

/**
 * console_pending() - check for input on the console
 *
 * Return: true if console_read() would not wait.
 */
bool console_pending(void)
{
	struct pollfd pfd = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&pfd, 1, 0) > 0;
}

/**
 * log_write() - write the kernel log to the console
 *
 * Return: the length of the log.
 */
size_t log_write(void)
{
	static char log[1 << 18];
	int len = klogctl(3 /* SYSLOG_ACTION_READ_ALL */, log, sizeof(log));

	if (len <= 0)
		return 0;
	console_write(log, len);

	return len;
}

int main(void)
{
	struct termios raw;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	/* Keep kernel messages out of the job's output. */
	klogctl(8 /* SYSLOG_ACTION_CONSOLE_LEVEL */, NULL, 1);
	if (!guest_modules_load())
		put("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "1");

	/* The console echoes nothing and has no control characters. */
	if (!tcgetattr(STDIN_FILENO, &raw)) {
		cfmakeraw(&raw);
		raw.c_oflag |= OPOST | ONLCR;
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}

	job_run();

	tcdrain(STDOUT_FILENO);
	sync();
	/* Without ACPI, end QEMU, which runs with -no-reboot, by a reset. */
	reboot(RB_AUTOBOOT);

	return 1;
}
