// SPDX-License-Identifier: GPL-2.0
/*
 * The first and only process of a guest with VFs of a network card and of a disk,
 * whose drivers are those of Linux.
 *
 * It sends packets and performs disk I/O, checks the data, and prints the results
 * on the console, in lines that begin with "GUEST ".
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <termios.h>

#include "guest_io.h"
#include "lib/guest_modules.h"

static void say(const char *fmt, ...)
{
	va_list args;

	printf("GUEST ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static void set_addr(struct ifreq *ifr, const char *text)
{
	struct sockaddr_in *addr = (struct sockaddr_in *)&ifr->ifr_addr;

	memset(addr, 0, sizeof(*addr));
	addr->sin_family = AF_INET;
	inet_pton(AF_INET, text, &addr->sin_addr);
}

/* Bring the first network card up, once its driver is bound and has a link. */
static int net_up(int fd)
{
	struct ifreq ifr = { .ifr_name = "eth0" };
	int tries;

	for (tries = 0; ioctl(fd, SIOCGIFFLAGS, &ifr); tries++) {
		if (tries == 600)
			return -ENODEV;
		usleep(100000);
	}
	set_addr(&ifr, GUEST_ADDR);
	if (ioctl(fd, SIOCSIFADDR, &ifr))
		return -errno;
	set_addr(&ifr, NETMASK);
	if (ioctl(fd, SIOCSIFNETMASK, &ifr))
		return -errno;
	if (ioctl(fd, SIOCGIFFLAGS, &ifr))
		return -errno;
	ifr.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr))
		return -errno;
	for (tries = 0; !(ifr.ifr_flags & IFF_RUNNING); tries++) {
		if (tries == 300)
			return -ENOLINK;
		usleep(100000);
		if (ioctl(fd, SIOCGIFFLAGS, &ifr))
			return -errno;
	}

	return 0;
}

/* Send one packet until it is answered, and compare the answer. */
static int net_packet(int fd, __u32 seed, unsigned int *lost)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	__u8 sent[PACKET_LEN], got[PACKET_LEN];
	int tries, i;

	io_fill(sent, sizeof(sent), seed);
	for (tries = 0; tries < 10; tries++) {
		if (send(fd, sent, sizeof(sent), 0) != sizeof(sent))
			return -errno;
		while (poll(&pfd, 1, 2000) == 1) {
			if (recv(fd, got, sizeof(got), 0) != sizeof(got))
				return -EIO;
			for (i = 0; i < PACKET_LEN; i++)
				if (got[i] != (__u8)~sent[i])
					break;
			if (i == PACKET_LEN)
				return 0;
			/* Else it may be a late answer to an earlier one. */
		}
		(*lost)++;
	}

	return -ETIMEDOUT;
}

static int net_run(unsigned int *lost)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(ECHO_PORT),
	};
	int fd, ret;
	__u32 i;

	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0)
		return -errno;
	ret = net_up(fd);
	if (ret)
		return ret;
	inet_pton(AF_INET, HOST_ADDR, &addr.sin_addr);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return -errno;
	for (i = 0; i < PACKETS; i++) {
		ret = net_packet(fd, i, lost);
		if (ret)
			return ret;
	}
	close(fd);

	return 0;
}

static int disk_run(__u32 seed)
{
	/* Direct I/O requires aligned memory. */
	__u8 *wrote = aligned_alloc(4096, DISK_CHUNK);
	__u8 *got = aligned_alloc(4096, DISK_CHUNK);
	unsigned long at;
	int fd, tries;

	if (!wrote || !got)
		return -ENOMEM;
	for (tries = 0; ; tries++) {
		fd = open("/dev/nvme0n1", O_RDWR | O_DIRECT);
		if (fd >= 0)
			break;
		if (tries == 600)
			return -errno;
		usleep(100000);
	}
	for (at = 0; at < DISK_BYTES; at += DISK_CHUNK) {
		io_fill(wrote, DISK_CHUNK, seed + at / DISK_CHUNK);
		if (pwrite(fd, wrote, DISK_CHUNK, at) != (ssize_t)DISK_CHUNK)
			return errno ? -errno : -EIO;
	}
	if (fsync(fd))
		return -errno;
	for (at = 0; at < DISK_BYTES; at += DISK_CHUNK) {
		io_fill(wrote, DISK_CHUNK, seed + at / DISK_CHUNK);
		if (pread(fd, got, DISK_CHUNK, at) != (ssize_t)DISK_CHUNK)
			return errno ? -errno : -EIO;
		if (memcmp(got, wrote, DISK_CHUNK))
			return -EILSEQ;
	}
	close(fd);
	free(wrote);
	free(got);

	return 0;
}

int main(void)
{
	const char *seed;
	unsigned int lost = 0;
	int fd, ret;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	fd = open("/dev/ttyS0", O_RDWR);
	if (fd >= 0) {
		dup2(fd, 0);
		dup2(fd, 1);
		dup2(fd, 2);
	}

	/* Keep the messages of the kernel from mixing with these lines. */
	klogctl(8 /* SYSLOG_ACTION_CONSOLE_LEVEL */, NULL, 1);

	/* The kernel passes unknown parameters of its command line to init. */
	seed = getenv("seed") ?: "1";
	say("up, seed %s", seed);
	ret = guest_modules_load();
	if (ret)
		say("module failed: %s", strerror(-ret));
	ret = disk_run(atoi(seed));
	if (ret)
		say("disk failed: %s", strerror(-ret));
	else
		say("disk wrote and read %lu bytes", DISK_BYTES);
	ret = net_run(&lost);
	if (ret)
		say("net failed: %s, %u lost", strerror(-ret), lost);
	else
		say("net exchanged %d packets, %u lost", PACKETS, lost);
	say("end");
	tcdrain(1);
	sync();
	reboot(RB_POWER_OFF);

	return 0;
}
