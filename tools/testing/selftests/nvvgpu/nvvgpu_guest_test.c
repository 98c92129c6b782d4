// SPDX-License-Identifier: GPL-2.0
/*
 * A virtual machine with VFs of igb and nvme under nvvgpu-generic, in which
 * Linux's own igbvf and nvme drivers send packets and do disk I/O.
 *
 * Needs QEMU: NVVGPU_QEMU and NVVGPU_QEMU_DATA name it and its firmware, and
 * NVVGPU_KERNEL a bzImage with initramfs support.  Where these drivers are modules,
 * NVVGPU_GUEST_MODULES lists the files to load, in their order.
 */
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include <arpa/inet.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <linux/nvme_ioctl.h>

#include "nvvgpu_test.h"
#include "lib/backend.h"
#include "guest_io.h"

/*
 * A guest in an emulated machine, in an emulated machine, takes long, and longer
 * beside other work: what counts is that its console goes on.
 */
#define GUEST_SILENT_S	600
#define GUEST_TIMEOUT_S	7200

#define WHOLE		1

/* The disk */

#define NVME_ADMIN_IDENTIFY	0x06
#define NVME_ADMIN_VIRT_MGMT	0x1c
#define NVME_ID_SECONDARY_LIST	0x15

#define VIRT_PRIMARY_ALLOC	0x1
#define VIRT_SECONDARY_ONLINE	0x9
#define VIRT_SECONDARY_ASSIGN	0x8
#define VIRT_QUEUES		0
#define VIRT_INTERRUPTS		1

static int nvme_admin(__u8 opcode, __u32 cdw10, __u32 cdw11, void *buf,
		      __u32 len)
{
	struct nvme_admin_cmd cmd = {
		.opcode = opcode,
		.addr = (__u64)(unsigned long)buf,
		.data_len = len,
		.cdw10 = cdw10,
		.cdw11 = cdw11,
	};
	int fd, ret;

	fd = open("/dev/nvme0", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = ioctl(fd, NVME_IOCTL_ADMIN_CMD, &cmd);
	close(fd);

	return ret < 0 ? -errno : ret;
}

static int nvme_virt(__u16 cntlid, unsigned int resource, unsigned int action,
		     unsigned int nr)
{
	return nvme_admin(NVME_ADMIN_VIRT_MGMT,
			  (__u32)cntlid << 16 | resource << 8 | action, nr,
			  NULL, 0);
}

/* Controller id of the first VF */
static int nvme_secondary(__u16 *cntlid)
{
	__u8 *list = aligned_alloc(PAGE, PAGE);
	int ret;

	if (!list)
		return -ENOMEM;
	ret = nvme_admin(NVME_ADMIN_IDENTIFY, NVME_ID_SECONDARY_LIST, 0, list,
			 PAGE);
	if (!ret && !list[0])
		ret = -ENODEV;
	/* Entries of 32 bytes from 32 on, which begin with the id */
	memcpy(cntlid, list + 32, sizeof(*cntlid));
	free(list);

	return ret;
}

/* The driver resets the controller in a work item, which a busy machine runs late. */
static int nvme_wait_live(void)
{
	char state[32];
	int tries;

	for (tries = 0; tries < 600; tries++) {
		if (get("/sys/class/nvme/nvme0/state", state, sizeof(state)) > 0 &&
		    !strcmp(state, "live\n"))
			return 0;
		usleep(100000);
	}

	return -ETIMEDOUT;
}

/* Assign queues and interrupts to the first VF, and enable it. */
static const char *nvme_prepare(struct pf *pf)
{
	__u16 cntlid;

	if (pf_find_driver(pf, "nvme"))
		return "no nvme PF";
	if (pf_set_vfs(pf, 0) ||
	    nvme_virt(0, VIRT_QUEUES, VIRT_PRIMARY_ALLOC, 0) ||
	    nvme_virt(0, VIRT_INTERRUPTS, VIRT_PRIMARY_ALLOC, 0))
		return "the nvme PF does not let go of its resources";
	/* They are free after a reset. */
	if (pci_write(pf->bdf, "reset", "1") || nvme_wait_live())
		return "the nvme PF cannot be reset";
	if (pf_prepare(pf, "nvme", 1))
		return "no VFs of nvme";
	if (nvme_secondary(&cntlid) ||
	    nvme_virt(cntlid, VIRT_QUEUES, VIRT_SECONDARY_ASSIGN, 2) ||
	    nvme_virt(cntlid, VIRT_INTERRUPTS, VIRT_SECONDARY_ASSIGN, 1) ||
	    nvme_virt(cntlid, VIRT_QUEUES, VIRT_SECONDARY_ONLINE, 0))
		return "the nvme VF cannot be switched on";

	return NULL;
}

/* The network */

static const char *net_prepare(struct pf *pf)
{
	char command[1024];

	if (pf_prepare(pf, "igb", 1))
		return "no VFs of igb";
	snprintf(command, sizeof(command),
		 "net=$(ls /sys/bus/pci/devices/%s/net) && ip link set $net vf 0 mac 52:54:00:77:00:02 && ip link set $net up && ip addr flush dev $net && ip addr add %s/24 dev $net",
		 pf->bdf, HOST_ADDR);

	return system(command) ? "the igb PF's interface cannot be set up" : NULL;
}

struct echo {
	pthread_t thread;
	int fd;
	atomic_bool over;
	atomic_uint packets;
	atomic_uint bad;
};

static int echo_open(struct echo *echo)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(ECHO_PORT),
	};

	inet_pton(AF_INET, HOST_ADDR, &addr.sin_addr);
	echo->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (echo->fd < 0 ||
	    bind(echo->fd, (struct sockaddr *)&addr, sizeof(addr)))
		return -errno;

	return 0;
}

/* Check what the guest sends, and send it back inverted. */
static void *echo_run(void *arg)
{
	struct echo *echo = arg;
	struct pollfd pfd = { .fd = echo->fd, .events = POLLIN };
	__u8 want[PACKET_LEN], buf[PACKET_LEN + 1];
	struct sockaddr_in from;
	__u32 expected = 0;
	socklen_t fromlen;
	ssize_t len;
	int i;

	while (!echo->over) {
		if (poll(&pfd, 1, 100) != 1)
			continue;
		fromlen = sizeof(from);
		len = recvfrom(echo->fd, buf, sizeof(buf), 0,
			       (struct sockaddr *)&from, &fromlen);
		io_fill(want, sizeof(want), expected);
		if (len == PACKET_LEN && !memcmp(buf, want, PACKET_LEN)) {
			expected++;
			echo->packets++;
		} else {
			/* The previous one again, if its response was lost */
			io_fill(want, sizeof(want), expected - 1);
			if (len != PACKET_LEN || memcmp(buf, want, PACKET_LEN)) {
				echo->bad++;
				continue;
			}
		}
		for (i = 0; i < PACKET_LEN; i++)
			buf[i] = ~buf[i];
		sendto(echo->fd, buf, PACKET_LEN, 0, (struct sockaddr *)&from,
		       fromlen);
	}

	return NULL;
}

/* The guest */

/* One file of a "newc" archive, or a directory without a @file */
static int archive_add(FILE *out, const char *name, unsigned int mode,
		       const char *file)
{
	static const char zero[4];
	size_t size = 0, namesize = strlen(name) + 1;
	char *data = NULL;
	struct stat st;
	FILE *in;

	if (file) {
		in = fopen(file, "r");
		if (!in || fstat(fileno(in), &st))
			return -errno;
		size = st.st_size;
		data = malloc(size);
		if (!data || fread(data, 1, size, in) != size)
			return -EIO;
		fclose(in);
	}
	fprintf(out, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x",
		1, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, namesize, 0);
	fwrite(name, 1, namesize, out);
	fwrite(zero, 1, -(110 + namesize) & 3, out);
	fwrite(data, 1, size, out);
	fwrite(zero, 1, -size & 3, out);
	free(data);

	return ferror(out) ? -EIO : 0;
}

/* The guest's program loads them as /modules/0, 1 and so on. */
static int archive_add_modules(FILE *out, const char *list)
{
	char *files, *file, *rest, name[32];
	unsigned int nr = 0;
	int ret;

	if (!list)
		return 0;
	files = strdup(list);
	if (!files)
		return -ENOMEM;
	ret = archive_add(out, "modules", S_IFDIR | 0755, NULL);
	for (rest = files; !ret && (file = strsep(&rest, " "));) {
		if (!*file)
			continue;
		snprintf(name, sizeof(name), "modules/%u", nr++);
		ret = archive_add(out, name, S_IFREG | 0644, file);
	}
	free(files);

	return ret;
}

static int initramfs_write(const char *path)
{
	char self[PATH_MAX], program[PATH_MAX + 16];
	ssize_t len;
	FILE *out;
	int ret;

	len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len < 0)
		return -errno;
	self[len] = '\0';
	snprintf(program, sizeof(program), "%s/guest_io", dirname(self));

	out = fopen(path, "w");
	if (!out)
		return -errno;
	ret = archive_add(out, "dev", S_IFDIR | 0755, NULL);
	if (!ret)
		ret = archive_add(out, "proc", S_IFDIR | 0755, NULL);
	if (!ret)
		ret = archive_add(out, "sys", S_IFDIR | 0755, NULL);
	if (!ret)
		ret = archive_add(out, "init", S_IFREG | 0755, program);
	if (!ret)
		ret = archive_add_modules(out, getenv("NVVGPU_GUEST_MODULES"));
	if (!ret)
		ret = archive_add(out, "TRAILER!!!", 0, NULL);
	if (fclose(out) && !ret)
		ret = -errno;

	return ret;
}

FIXTURE(guest) {
	struct pf igb;
	struct pf nvme;
	char initramfs[64];
	char console[64];
	char output[65536];
	struct echo echo;
	pid_t qemu;
};

FIXTURE_SETUP(guest)
{
	const char *why;
	struct pf *pfs[] = { &self->igb, &self->nvme };
	char path[128];
	unsigned int i;

	/* The guest has the host's kernel, and is emulated itself. */
	if (!access("/sys/kernel/debug/kmemleak", F_OK) &&
	    !getenv("NVVGPU_GUEST"))
		SKIP(return, "too slow with a debug kernel, unless NVVGPU_GUEST is set");
	why = net_prepare(&self->igb);
	ASSERT_EQ(NULL, why) TH_LOG("%s", why);
	why = nvme_prepare(&self->nvme);
	ASSERT_EQ(NULL, why) TH_LOG("%s", why);
	for (i = 0; i < ARRAY_SIZE(pfs); i++) {
		snprintf(path, sizeof(path), GENERIC_DIR "/%s", pfs[i]->bdf);
		ASSERT_EQ(0, mkdir(path, 0755));
		strcat(path, "/enable");
		ASSERT_EQ(0, put(path, "1"));
		ASSERT_EQ(0, vf_set_type(pfs[i]->vf[0], WHOLE));
	}
	snprintf(self->initramfs, sizeof(self->initramfs),
		 "/tmp/nvvgpu-guest-%d.cpio", getpid());
	snprintf(self->console, sizeof(self->console),
		 "/tmp/nvvgpu-guest-%d.console", getpid());
	ASSERT_EQ(0, initramfs_write(self->initramfs));
	ASSERT_EQ(0, echo_open(&self->echo));
	ASSERT_EQ(0, pthread_create(&self->echo.thread, NULL, echo_run,
				    &self->echo));
}

FIXTURE_TEARDOWN(guest)
{
	char path[128];

	if (!self->echo.thread)
		return;
	if (self->qemu > 0) {
		kill(self->qemu, SIGKILL);
		waitpid(self->qemu, NULL, 0);
	}
	self->echo.over = true;
	pthread_join(self->echo.thread, NULL);
	close(self->echo.fd);
	unlink(self->initramfs);
	unlink(self->console);
	snprintf(path, sizeof(path), GENERIC_DIR "/%s", self->igb.bdf);
	EXPECT_EQ(0, rmdir(path));
	snprintf(path, sizeof(path), GENERIC_DIR "/%s", self->nvme.bdf);
	EXPECT_EQ(0, rmdir(path));
	pf_set_vfs(&self->nvme, 0);
	EXPECT_EQ(0, mod_del("nvvgpu-generic"));
}

static pid_t guest_start(const char *initramfs, const char *console,
			 const char *net, const char *disk, __u32 seed)
{
	const char *data = getenv("NVVGPU_QEMU_DATA");
	char append[256], serial[96], host[2][96], log[96];
	pid_t pid = fork();
	int null, err;

	if (pid)
		return pid;

	snprintf(append, sizeof(append),
		 "console=ttyS0 loglevel=7 nokaslr no_timer_check tsc=reliable panic=-1 rcupdate.rcu_expedited=1 mitigations=off seed=%u",
		 seed);
	snprintf(serial, sizeof(serial), "file:%s", console);
	snprintf(host[0], sizeof(host[0]),
		 "vfio-pci,host=%s,iommufd=iommufd0", net);
	snprintf(host[1], sizeof(host[1]),
		 "vfio-pci,host=%s,iommufd=iommufd0", disk);
	/* It warns about each BAR, as one VF cannot access that of the other. */
	snprintf(log, sizeof(log), "%s.qemu", console);
	null = open("/dev/null", O_RDONLY);
	err = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	dup2(null, 0);
	dup2(err, 2);
	execl(getenv("NVVGPU_QEMU"), "qemu", "-L", data ?: "/usr/share/qemu",
	      "-machine", "q35,hpet=off,sata=off,smbus=off,usb=off,i8042=off,vmport=off",
	      "-accel", "tcg", "-cpu", "max,la57=off", "-m", "256M",
	      "-nodefaults", "-no-user-config", "-display", "none",
	      "-no-reboot", "-serial", serial,
	      "-kernel", getenv("NVVGPU_KERNEL"), "-initrd", initramfs,
	      "-append", append, "-object", "iommufd,id=iommufd0",
	      "-device", host[0], "-device", host[1], NULL);
	_exit(127);
}

/*
 * Wait for the guest to end, as long as its console shows progress.  Print a line
 * every minute, as the lab gives up on a test that prints nothing.
 */
static int guest_wait(pid_t qemu, const char *console, int *status)
{
	unsigned int silent = 0, seconds = 0;
	off_t seen = 0;
	struct stat st;
	pid_t pid;

	while (!(pid = waitpid(qemu, status, WNOHANG))) {
		sleep(1);
		if (!(++seconds % 60))
			printf("# the guest has run for %u s\n", seconds);
		if (!stat(console, &st) && st.st_size != seen) {
			seen = st.st_size;
			silent = 0;
		} else if (++silent == GUEST_SILENT_S) {
			return -ETIMEDOUT;
		}
	}

	return pid == qemu ? 0 : -errno;
}

/* Check the data that the guest has written from the host. */
static int disk_compare(__u32 seed)
{
	__u8 *want = aligned_alloc(PAGE, DISK_CHUNK);
	__u8 *got = aligned_alloc(PAGE, DISK_CHUNK);
	unsigned long at;
	int fd, ret = 0;

	fd = open("/dev/nvme0n1", O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0 || !want || !got)
		ret = -EIO;
	for (at = 0; !ret && at < DISK_BYTES; at += DISK_CHUNK) {
		io_fill(want, DISK_CHUNK, seed + at / DISK_CHUNK);
		if (pread(fd, got, DISK_CHUNK, at) != (ssize_t)DISK_CHUNK)
			ret = -EIO;
		else if (memcmp(got, want, DISK_CHUNK))
			ret = -EILSEQ;
	}
	close(fd);
	free(want);
	free(got);

	return ret;
}

TEST_F_TIMEOUT(guest, sends_packets_and_does_verified_disk_io, GUEST_TIMEOUT_S)
{
	__u32 seed = getpid();
	char want[64], log[96];
	int status;

	EXPECT_NE(0, disk_compare(seed));
	self->qemu = guest_start(self->initramfs, self->console,
				 self->igb.vf[0], self->nvme.vf[0], seed);
	ASSERT_LT(0, self->qemu);
	ASSERT_EQ(0, guest_wait(self->qemu, self->console, &status)) {
		get(self->console, self->output, sizeof(self->output));
		TH_LOG("%s", self->output);
	}
	self->qemu = 0;
	snprintf(log, sizeof(log), "%s.qemu", self->console);
	EXPECT_LE(0, get(log, self->output, sizeof(self->output)));
	unlink(log);
	EXPECT_EQ(0, status)
		TH_LOG("%s", self->output);
	EXPECT_LT(0, get(self->console, self->output, sizeof(self->output)));

	snprintf(want, sizeof(want), "GUEST disk wrote and read %lu bytes",
		 DISK_BYTES);
	EXPECT_NE(NULL, strstr(self->output, want))
		TH_LOG("%s", self->output);
	snprintf(want, sizeof(want), "GUEST net exchanged %d packets", PACKETS);
	EXPECT_NE(NULL, strstr(self->output, want))
		TH_LOG("%s", self->output);
	EXPECT_EQ(PACKETS, self->echo.packets);
	EXPECT_EQ(0, self->echo.bad);
	EXPECT_EQ(0, disk_compare(seed));
	EXPECT_FILE(self->igb.vf[0], "nvvgpu/state", "created\n");
	EXPECT_FILE(self->nvme.vf[0], "nvvgpu/state", "created\n");
}

static const char *guest_missing(void)
{
	if (!getenv("NVVGPU_QEMU") || !getenv("NVVGPU_KERNEL"))
		return "no NVVGPU_QEMU and NVVGPU_KERNEL";

	return backend_missing("nvvgpu-generic", "igb");
}

int main(int argc, char **argv)
{
	return test_main(argc, argv, guest_missing());
}
