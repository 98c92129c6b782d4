// SPDX-License-Identifier: GPL-2.0
/*
 * What runs in a guest that has been given a vGPU: the first and only process.
 *
 * The guest has no IOMMU of its own, so the vGPU is driven by vfio-pci without
 * one, with the guest's physical addresses. What confines it is the IOMMU of the
 * host.
 *
 * Commands come from the console, a line each, and every answer is a line that
 * begins with "JOB ":
 *
 *   copy ROUNDS BYTES  fill VRAM, copy memory to VRAM and back, compare
 *   steady BYTES       the same, while the display shows a frame for each round and a
 *                      timer ticks, until the next line comes
 *   reset              reset the vGPU, and start its engine again
 *   bad read|write     DMA outside of the guest's memory, which is to be refused
 *   log                show the guest's kernel log
 *   quit               let go of the vGPU and end
 */
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/timerfd.h>

#include "lib/engine.h"
#include "lib/sysfs.h"

#define PAGE		4096UL
#define RING		(PAGE / sizeof(struct nvvgpu_emu_desc))
#define BATCH		(RING / 2)
#define MAX_BYTES	(4UL << 20)
#define SLOTS		16

/* Two frames, which are shown in turn, lie in VRAM behind what the jobs use. */
#define FRAME_WIDTH	64
#define FRAME_HEIGHT	64
#define FRAME_STRIDE	2048
#define FRAMES		(SLOTS * MAX_BYTES)

/* Indices of the display's registers */
#define DISPI_ID		0
#define   DISPI_ID_HEADS	0xb0c5
#define DISPI_XRES		1
#define DISPI_YRES		2
#define DISPI_BPP		3
#define DISPI_ENABLE		4
#define DISPI_VIRT_WIDTH	6
#define DISPI_X_OFFSET		8
#define DISPI_Y_OFFSET		9

#define TICK_MS		50
#define TICKS_LATE_MS	2000

/* Far above any guest's memory */
#define OUTSIDE		0x3f00000000ULL

/**
 * struct area - locked memory and where its pages are
 * @mem: the memory
 * @phys: guest physical address of each page
 */
struct area {
	__u8 *mem;
	__u64 *phys;
};

static struct ioas ioas;
static struct vdev vdev;
static struct engine engine;
static struct area ring, buffer;
static unsigned int jobs;
static int failures;

/* What the guest's timer has done, by the guest's clock */
static atomic_ullong ticks;
static atomic_uint tick_gap_ms;
static atomic_bool tick_backwards;
static __u64 ticks_since;

static void say(const char *fmt, ...)
{
	va_list args;

	printf("JOB ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static __u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

/* Memory that stays where it is, from the kernel's list of this process' pages. */
static int area_alloc(struct area *area, size_t len)
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

static void *tick(void *arg)
{
	const int fd = *(int *)arg;
	__u64 last = ticks_since, count;

	while (read(fd, &count, sizeof(count)) == sizeof(count)) {
		const __u64 now = now_ms();

		if (now < last)
			tick_backwards = true;
		else if (now - last > tick_gap_ms)
			tick_gap_ms = now - last;
		last = now;
		ticks += count;
	}

	return NULL;
}

static int tick_start(void)
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
	ticks_since = now_ms();
	if (timerfd_settime(fd, 0, &every, NULL))
		return -errno;

	return -pthread_create(&thread, NULL, tick, &fd);
}

static bool tick_late(void)
{
	const __u64 elapsed = now_ms() - ticks_since, seen = ticks * TICK_MS;

	return elapsed > seen + TICKS_LATE_MS;
}

/* Its interrupts still come, and its clock goes on from where it was. */
static const char *tick_check(void)
{
	unsigned int turns;

	/*
	 * The other thread may not have had its turn yet: this VM's CPU is given
	 * little time after a move, while its clock goes on.
	 */
	for (turns = 0; turns < 100 && tick_late(); turns++)
		usleep(TICK_MS * 2000);
	if (tick_late())
		return "timer";

	return tick_backwards ? "clock" : NULL;
}

static volatile __u16 *dispi(unsigned int index)
{
	return (__u16 *)&engine.regs[NVVGPU_EMU_VF_REG_DISPI / 4] + index;
}

static bool has_display(void)
{
	return le16toh(*dispi(DISPI_ID)) == DISPI_ID_HEADS;
}

/* Find the vGPU among the guest's PCI devices. */
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

static int set_up(void)
{
	char bdf[BDF_LEN];
	int ret;

	ret = find(bdf);
	if (ret) {
		say("setup result=failed what=\"no vGPU here\"");
		return ret;
	}
	/* vfio.enable_unsafe_noiommu_mode=1 is on the kernel's command line. */
	ret = pci_bind(bdf, "vfio-pci");
	if (!ret)
		ret = ioas_open(&ioas, IOMMU_NONE);
	if (!ret)
		ret = vdev_open(&vdev, bdf, &ioas);
	if (!ret)
		ret = engine_init(&engine, &vdev);
	if (!ret)
		ret = vdev_map_bar(&vdev, NVVGPU_EMU_VF_BAR_FB);
	if (!ret)
		ret = vdev_msix_enable(&vdev, ENGINE_VECTORS);
	if (!ret)
		ret = area_alloc(&ring, PAGE);
	if (!ret)
		ret = area_alloc(&buffer, MAX_BYTES);
	if (!ret)
		ret = engine_start(&engine, (void *)ring.mem, ring.phys[0],
				   RING);
	if (!ret)
		ret = tick_start();
	if (ret) {
		say("setup result=failed what=\"%s\"", strerror(-ret));
		return ret;
	}
	engine_write(&engine, NVVGPU_EMU_VF_REG_GUEST, 1);
	say("setup result=ok device=%s type=%u framebuffer=%llu", bdf,
	    engine_read(&engine, NVVGPU_EMU_VF_REG_TYPE),
	    engine_read64(&engine, NVVGPU_EMU_VF_REG_FB_SIZE));

	return 0;
}

/* Submit what has been collected and wait for its interrupt. */
static int flush(struct nvvgpu_emu_desc *batch, unsigned int *nr)
{
	if (!*nr)
		return 0;
	batch[*nr - 1].flags |= htole32(NVVGPU_EMU_DESC_IRQ);
	batch[*nr - 1].vector = htole32(ENGINE_VECTOR_DONE);
	/* One that came twice in a move is not to pass for this job's. */
	engine.irqs += irq_wait(vdev.irq[ENGINE_VECTOR_DONE], 0);
	engine_submit(&engine, batch, *nr);
	*nr = 0;
	jobs++;

	return engine_wait(&engine, ENGINE_TIMEOUT_MS);
}

/* Copy the buffer to VRAM or back, a descriptor for each piece of memory. */
static int copy(bool to_vram, __u64 vram, size_t len)
{
	struct nvvgpu_emu_desc batch[BATCH];
	unsigned int nr = 0;
	size_t done = 0;
	int ret;

	while (done < len) {
		__u64 phys = buffer.phys[done / PAGE];
		size_t run = PAGE;

		while (done + run < len &&
		       buffer.phys[(done + run) / PAGE] == phys + run)
			run += PAGE;
		if (run > len - done)
			run = len - done;

		batch[nr++] = to_vram ?
			engine_copy(NVVGPU_EMU_DESC_DST_VRAM, vram + done, phys,
				    run) :
			engine_copy(NVVGPU_EMU_DESC_SRC_VRAM, phys, vram + done,
				    run);
		done += run;
		if (nr == BATCH) {
			ret = flush(batch, &nr);
			if (ret)
				return ret;
		}
	}

	return flush(batch, &nr);
}

/* One turn: returns NULL or what went wrong. */
static const char *one_round(unsigned int round, size_t len, __u32 *crc)
{
	__u32 word = 0x01000193 * (round + 1), x = round + 1;
	__u32 *p = (__u32 *)buffer.mem;
	__u64 vram = (__u64)round % SLOTS * MAX_BYTES;
	struct nvvgpu_emu_desc fill;
	unsigned int one = 1;
	size_t i;

	/* Fill VRAM and look at it. */
	fill = engine_fill(NVVGPU_EMU_DESC_DST_VRAM, vram, len, word);
	if (flush(&fill, &one))
		return "fill";
	memset(p, 0, len);
	if (copy(false, vram, len))
		return "copy of the fill";
	for (i = 0; i < len / sizeof(*p); i++)
		if (le32toh(p[i]) != word)
			return "filled bytes";

	/* Memory to VRAM and back */
	for (i = 0; i < len / sizeof(*p); i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		p[i] = x;
	}
	*crc = crc32c(0, p, len);
	if (copy(true, vram, len))
		return "copy to VRAM";
	memset(p, 0, len);
	if (copy(false, vram, len))
		return "copy from VRAM";
	if (crc32c(0, p, len) != *crc)
		return "CRC";

	return NULL;
}

static void display_on(void)
{
	*dispi(DISPI_ENABLE) = 0;
	*dispi(DISPI_XRES) = htole16(FRAME_WIDTH);
	*dispi(DISPI_YRES) = htole16(FRAME_HEIGHT);
	*dispi(DISPI_BPP) = htole16(32);
	*dispi(DISPI_VIRT_WIDTH) = htole16(FRAME_STRIDE / 4);
	*dispi(DISPI_X_OFFSET) = 0;
	*dispi(DISPI_ENABLE) = htole16(1);
}

/* Every line of every frame has a colour of its own. */
static __u32 colour(unsigned int frame, unsigned int y)
{
	return (frame + 1) * FRAME_HEIGHT + y;
}

/* Draw a frame where it cannot be seen yet, then show it. */
static const char *show_frame(unsigned int frame)
{
	const unsigned int line = FRAMES / FRAME_STRIDE +
				  frame % 2 * FRAME_HEIGHT;
	struct nvvgpu_emu_desc batch[BATCH];
	unsigned int y, nr = 0;

	for (y = 0; y < FRAME_HEIGHT; y++) {
		batch[nr++] = engine_fill(NVVGPU_EMU_DESC_DST_VRAM,
					  (line + y) * FRAME_STRIDE,
					  FRAME_WIDTH * 4, colour(frame, y));
		if ((nr == BATCH || y == FRAME_HEIGHT - 1) &&
		    flush(batch, &nr))
			return "drawing of a frame";
	}
	*dispi(DISPI_Y_OFFSET) = htole16(line);

	return NULL;
}

/* Look at what the display scans out, going by its registers alone. */
static const char *look_at_frame(unsigned int frame)
{
	const size_t stride = le16toh(*dispi(DISPI_VIRT_WIDTH)) * 4UL;
	const __u8 *fb = vdev.bar[NVVGPU_EMU_VF_BAR_FB];
	unsigned int x, y;

	if (le16toh(*dispi(DISPI_ENABLE)) != 1 ||
	    le16toh(*dispi(DISPI_XRES)) != FRAME_WIDTH ||
	    le16toh(*dispi(DISPI_YRES)) != FRAME_HEIGHT ||
	    le16toh(*dispi(DISPI_BPP)) != 32 || stride != FRAME_STRIDE)
		return "display's mode";
	fb += le16toh(*dispi(DISPI_Y_OFFSET)) * stride +
	      le16toh(*dispi(DISPI_X_OFFSET)) * 4;
	for (y = 0; y < FRAME_HEIGHT; y++) {
		const __u32 *line = (const __u32 *)(fb + y * stride);

		for (x = 0; x < FRAME_WIDTH; x++)
			if (le32toh(line[x]) != colour(frame, y))
				return "frame on the display";
	}

	return NULL;
}

static void complain(const char *command, const char *wrong)
{
	struct engine_error error;

	engine_error(&engine, &error);
	say("%s result=failed what=\"%s\" error=%s fault=%#llx", command, wrong,
	    engine_error_name(error.code), error.addr);
	failures++;
}

static void do_copy(unsigned int rounds, size_t len)
{
	const __u64 since = now_ms();
	const char *wrong = NULL;
	unsigned int i;
	__u32 crc = 0;

	engine.irqs = 0;
	jobs = 0;
	for (i = 0; i < rounds && !wrong; i++)
		wrong = one_round(i, len, &crc);
	if (wrong) {
		complain("copy", wrong);
		return;
	}
	say("copy result=ok rounds=%u bytes=%zu crc32c=%08x interrupts=%u ms=%llu",
	    rounds, len, crc, engine.irqs, now_ms() - since);
}

static void say_steady(const char *result, unsigned int rounds)
{
	say("steady result=%s rounds=%u frames=%u jobs=%u interrupts=%u ticks=%llu gap=%u",
	    result, rounds, has_display() ? rounds : 0, jobs, engine.irqs,
	    ticks, tick_gap_ms);
	tick_gap_ms = 0;
}

static void do_steady(size_t len)
{
	struct pollfd pfd = { .fd = STDIN_FILENO, .events = POLLIN };
	__u64 next = now_ms() + 1000;
	const bool display = has_display();
	const char *wrong = NULL;
	unsigned int rounds = 0;
	__u32 crc;

	engine.irqs = 0;
	jobs = 0;
	if (display)
		display_on();
	say("steady result=begun bytes=%zu", len);
	while (!poll(&pfd, 1, 0)) {
		if (display)
			wrong = show_frame(rounds);
		if (!wrong)
			wrong = one_round(rounds, len, &crc);
		if (!wrong && display)
			wrong = look_at_frame(rounds);
		if (!wrong)
			wrong = tick_check();
		if (wrong) {
			complain("steady", wrong);
			return;
		}
		rounds++;
		if (now_ms() >= next) {
			say_steady("running", rounds);
			next = now_ms() + 1000;
		}
	}
	say_steady("ok", rounds);
}

static void do_bad(bool write)
{
	const __u32 want = write ? NVVGPU_EMU_VF_ERR_DMA_WRITE :
				   NVVGPU_EMU_VF_ERR_DMA_READ;
	struct nvvgpu_emu_desc desc;
	struct engine_error error;
	bool told;
	int ret;

	desc = write ? engine_copy(NVVGPU_EMU_DESC_SRC_VRAM, OUTSIDE, 0, 64) :
		       engine_copy(NVVGPU_EMU_DESC_DST_VRAM, 0, OUTSIDE, 64);
	irq_wait(vdev.irq[ENGINE_VECTOR_ERROR], 0);
	ret = engine_run(&engine, desc);
	engine_error(&engine, &error);
	told = irq_wait(vdev.irq[ENGINE_VECTOR_ERROR], 5000) > 0;
	say("bad result=%s addr=%#llx error=%s fault=%#llx interrupt=%s",
	    ret == -EIO && error.code == want && error.addr == OUTSIDE ?
	    "refused" : "failed", OUTSIDE, engine_error_name(error.code),
	    error.addr, told ? "yes" : "no");
	if (ret != -EIO || error.code != want || error.addr != OUTSIDE || !told)
		failures++;

	/* The engine goes on once it has been reset. */
	if (engine_start(&engine, (void *)ring.mem, ring.phys[0], RING)) {
		say("bad result=failed what=\"engine does not start again\"");
		failures++;
	}
}

static void do_reset(void)
{
	int ret = vdev_reset(&vdev);

	if (!ret)
		ret = engine_start(&engine, (void *)ring.mem, ring.phys[0],
				   RING);
	if (ret) {
		say("reset result=failed what=\"%s\"", strerror(-ret));
		failures++;
		return;
	}
	say("reset result=ok");
}

static void do_log(void)
{
	static char log[1 << 18];
	int len = klogctl(3 /* SYSLOG_ACTION_READ_ALL */, log, sizeof(log));

	if (len > 0)
		fwrite(log, 1, len, stdout);
	say("log bytes=%d", len);
}

/* Read a line without buffering, so that poll() sees what is left. */
static int next_line(char *line, size_t size)
{
	size_t len = 0;
	char c;

	while (read(STDIN_FILENO, &c, 1) == 1) {
		if (c == '\n' || c == '\r') {
			if (!len)
				continue;
			line[len] = '\0';
			return 0;
		}
		if (len < size - 1)
			line[len++] = c;
	}

	return -EPIPE;
}

static void tear_down(void)
{
	if (engine.regs)
		engine_write(&engine, NVVGPU_EMU_VF_REG_GUEST, 0);
	vdev_close(&vdev);
	ioas_close(&ioas);
}

static void power_off(void)
{
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
	sync();
	/* Without ACPI it is a reset that ends QEMU, which has -no-reboot. */
	reboot(RB_AUTOBOOT);
}

int main(void)
{
	struct termios raw;
	char line[128], word[16];
	unsigned int rounds;
	size_t len;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	/* The console echoes nothing and has no control characters. */
	if (!tcgetattr(STDIN_FILENO, &raw)) {
		cfmakeraw(&raw);
		raw.c_oflag |= OPOST | ONLCR;
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}

	vdev_init(&vdev, "", &ioas);
	if (set_up())
		failures++;
	while (!next_line(line, sizeof(line))) {
		if (!strcmp(line, "quit"))
			break;
		if (!strcmp(line, "log"))
			do_log();
		else if (failures)
			say("result=failed what=\"not after a failure\"");
		else if (sscanf(line, "copy %u %zu", &rounds, &len) == 2 &&
			 len && len <= MAX_BYTES && !(len % PAGE))
			do_copy(rounds, len);
		else if (sscanf(line, "steady %zu", &len) == 1 &&
			 len && len <= MAX_BYTES && !(len % PAGE))
			do_steady(len);
		else if (!strcmp(line, "reset"))
			do_reset();
		else if (sscanf(line, "bad %15s", word) == 1)
			do_bad(!strcmp(word, "write"));
		else
			say("result=failed what=\"unknown command\"");
	}
	tear_down();
	say("RESULT %s", failures ? "failed" : "ok");
	power_off();

	return 1;
}
