// SPDX-License-Identifier: GPL-2.0
/*
 * Measure the cost of VFIO calls on a vGPU, compared with plain vfio-pci on the same
 * VF, and of the life of vGPUs.  Fails if a figure exceeds its bound; "make bench"
 * runs it.
 *
 *   nvvgpu_bench [FOLDER [ROUNDS]]
 *
 * FOLDER receives the results as tab-separated values.
 */
#include <glob.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "nvvgpu_test.h"
#include "lib/backend.h"
#include "lib/fit.h"
#include "lib/wakeups.h"

#define ROUNDS_MAX	50
/* Calls that take long are repeated less often. */
#define FEW		4
#define MANY		200
/* How much of a BAR is copied at once */
#define BAR_LEN		(256 * 1024UL)
#define DMA_LEN		MIB

enum driver { PLAIN, NVVGPU, NR_DRIVERS };

static const char * const drivers[NR_DRIVERS] = {
	[PLAIN] = "vfio-pci",
	[NVVGPU] = FRONT_END_DRIVER,
};

/**
 * struct span - the shortest and the longest of several measurements
 * @min: shortest, in us
 * @max: longest, in us
 * @nr: number of measurements
 */
struct span {
	double min;
	double max;
	unsigned int nr;
};

static struct pf pf;
static const char *vf;
static struct vgpu_type type;
static unsigned int rounds = 5;
static const char *folder;
/* Times repeat, so that they can be compared with a bound. */
static bool exact;
/* The VF has a started vGPU also when it is bound to vfio-pci. */
static bool live;

/* The device being measured */
static struct user user;
static struct vdev *const vdev = &user.vdev;
static off_t config_pos, bar_pos;
static int fd = -1;

static void die(const char *what, int ret)
{
	printf("Bail out! %s: %s\n", what, strerror(-ret));
	user_close(&user);
	if (qmp_available())
		fw_faults("");
	exit(KSFT_FAIL);
}

#define DO(what) do {							\
	int __ret = (what);						\
									\
	if (__ret < 0)							\
		die(#what, __ret);					\
} while (0)

static double clock_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);

	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

static double now_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

static void add(struct span *s, double us)
{
	if (!s->nr || us < s->min)
		s->min = us;
	if (us > s->max)
		s->max = us;
	s->nr++;
}

/* Open a table among the results, or NULL if they are only printed. */
static FILE *tsv_open(const char *name, const char *columns)
{
	char path[512];
	FILE *file;

	if (!folder)
		return NULL;
	snprintf(path, sizeof(path), "%s/%s.tsv", folder, name);
	file = fopen(path, "w");
	if (!file)
		die(path, -errno);
	fprintf(file, "%s\n", columns);

	return file;
}

static void tsv_close(FILE *file)
{
	if (file && fclose(file))
		die("write the results", -errno);
}

#define GATES_MAX	64

static struct gate {
	char name[64];
	double value;
	double bound;
} gates[GATES_MAX];

static unsigned int nr_gates;

/* Note a figure that must not exceed @bound. */
static void gate(double value, double bound, const char *fmt, ...)
{
	struct gate *g = &gates[nr_gates];
	va_list args;

	if (nr_gates++ == GATES_MAX)
		die("too many bounds", -E2BIG);
	va_start(args, fmt);
	vsnprintf(g->name, sizeof(g->name), fmt, args);
	va_end(args);
	g->value = value;
	g->bound = bound;
}

/* Return the number of figures that exceed their bounds. */
static unsigned int gates_print(void)
{
	unsigned int failed = 0;
	const struct gate *g;

	printf("\nBounds%s\n", exact ? "" : ", without those of times");
	for (g = gates; g < gates + nr_gates; g++) {
		bool ok = g->value <= g->bound;

		printf("%s - %s: %.3f, at most %.2f\n", ok ? "ok" : "not ok",
		       g->name, g->value, g->bound);
		failed += !ok;
	}

	return failed;
}

static void bind_to(const char *bdf, enum driver driver)
{
	DO(pci_bind(bdf, drivers[driver]));
	/* Both drivers allow runtime PM; leaving D3hot takes 10 ms or more. */
	DO(pci_write(bdf, "power/control", "on"));
}

/* The firmware does not create a vGPU on top of another; the next attempt deletes that. */
static int vgpu_create(void)
{
	int ret = vf_set_type(vf, type.id);

	return ret == -EBADFD ? vf_set_type(vf, type.id) : ret;
}

static int vgpu_delete(void)
{
	return vf_set_type(vf, 0);
}

/* Calls: prepare and undo are not measured. */

static int device_open(void)
{
	return vdev_open(vdev, vf, &user.own);
}

static int device_close(void)
{
	vdev_close(vdev);

	return 0;
}

static int cdev_open(void)
{
	fd = vdev_cdev_open(vf);

	return fd;
}

static int cdev_close(void)
{
	return close(fd);
}

static int device_bind(void)
{
	vdev_init(vdev, vf, &user.own);

	return vdev_bind(vdev);
}

static int device_attach(void)
{
	return vdev_attach(vdev, user.own.id);
}

static int wait_idle(void)
{
	char buf[32];

	DO(pci_write(vf, "power/control", "auto"));
	do {
		usleep(1000);
		DO(pci_read(vf, "power/runtime_status", buf, sizeof(buf)));
	} while (strcmp(buf, "suspended\n"));

	return 0;
}

static int idle_close(void)
{
	vdev_close(vdev);

	return pci_write(vf, "power/control", "on");
}

static int device_reset(void)
{
	return vdev_reset(vdev);
}

static int device_info(void)
{
	struct vfio_device_info info;

	return vdev_info(vdev, &info);
}

static int region_info(void)
{
	struct vfio_region_info info;

	return vdev_region_info(vdev, NVVGPU_EMU_VF_BAR_REGS, &info);
}

static int irq_info(void)
{
	struct vfio_irq_info info;

	return vdev_irq_info(vdev, VFIO_PCI_MSIX_IRQ_INDEX, &info);
}

static int read4(off_t pos)
{
	__u32 val;

	return pread(vdev->fd, &val, sizeof(val), pos) == sizeof(val) ?
	       0 : -EIO;
}

static int write4(off_t pos)
{
	__u32 val = 0;

	return pwrite(vdev->fd, &val, sizeof(val), pos) == sizeof(val) ?
	       0 : -EIO;
}

static int config_read_header(void)
{
	return read4(config_pos);
}

static int config_read_beyond(void)
{
	return read4(config_pos + 0x40);
}

static int config_write_header(void)
{
	return write4(config_pos + 0x10);
}

static int config_write_beyond(void)
{
	return write4(config_pos + 0x40);
}

static int bar_read4(void)
{
	return read4(bar_pos + NVVGPU_EMU_VF_REG_MAGIC);
}

static int bar_write4(void)
{
	return write4(bar_pos + NVVGPU_EMU_VF_REG_ERROR_VECTOR);
}

static int bar_mmap(void)
{
	__u32 *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			vdev->fd, bar_pos);

	if (p == MAP_FAILED)
		return -errno;
	__atomic_load_n(p, __ATOMIC_RELAXED);

	return munmap(p, PAGE);
}

static int irqs_set(void)
{
	int ret = vdev_msix_enable(vdev, ENGINE_VECTORS);

	return ret ?: vdev_msix_disable(vdev);
}

static int dma_map_page(void)
{
	int ret = ioas_map(&user.own, user.mem, USER_IOVA + USER_LEN, PAGE,
			   PROT_READ | PROT_WRITE);

	return ret ?: ioas_unmap(&user.own, USER_IOVA + USER_LEN, PAGE);
}

static int dma_map_many(void)
{
	int ret = ioas_map(&user.own, user.mem, USER_IOVA + USER_LEN, MIB,
			   PROT_READ | PROT_WRITE);

	return ret ?: ioas_unmap(&user.own, USER_IOVA + USER_LEN, MIB);
}

/* The data path */

static int bar_copy_to(void)
{
	memcpy(vdev->bar[NVVGPU_EMU_VF_BAR_FB], user_buf(&user, 0), BAR_LEN);

	return 0;
}

static int bar_copy_from(void)
{
	memcpy(user_buf(&user, 0), vdev->bar[NVVGPU_EMU_VF_BAR_FB], BAR_LEN);

	return 0;
}

static int doorbell(void)
{
	return engine_run(&user.engine,
			  engine_semaphore(0, user_addr(&user,
							user_buf(&user, 0)), 1));
}

static int dma_copy(void)
{
	return engine_run(&user.engine,
			  engine_copy(NVVGPU_EMU_DESC_DST_VRAM, 0,
				      user_addr(&user, user_buf(&user, 0)),
				      DMA_LEN));
}

/**
 * struct call - a call to be measured
 * @name: name, as printed
 * @times: repetitions in one round
 * @call: the call
 * @prepare: done before each call, or NULL
 * @undo: done after each call, or NULL
 * @bound: the ratio to vfio-pci must not exceed it, 0 for no bound
 */
struct call {
	const char *name;
	unsigned int times;
	int (*call)(void);
	int (*prepare)(void);
	int (*undo)(void);
	double bound;
};

#define DATA_PATH	1.02
#define SMALL_CALL	1.05
/* Builds on the call of vfio-pci */
#define LAYERED_CALL	1.10
/* Keeps a copy of what is written */
#define COPYING_CALL	1.20
/* Adds the files in sysfs */
#define BIND		1.35

/* The device is closed. */
static const struct call closed_calls[] = {
	{ "open the character device", FEW, cdev_open, NULL, cdev_close,
	  SMALL_CALL },
	{ "open and bind_iommufd", FEW, device_bind, NULL, device_close, 0 },
	{ "attach", FEW, device_attach, device_bind, device_close, SMALL_CALL },
	{ "open, bind_iommufd and attach", FEW, device_open, NULL, device_close,
	  0 },
	{ "the same after idle (D3hot)", FEW, device_open, wait_idle,
	  idle_close, 0 },
	{ "close", FEW, device_close, device_open, NULL, 0 },
};

/* The device is open. */
static const struct call open_calls[] = {
	{ "reset", FEW, device_reset, NULL, NULL, 0 },
	{ "device info", MANY, device_info, NULL, NULL, SMALL_CALL },
	{ "region info", MANY, region_info, NULL, NULL, LAYERED_CALL },
	{ "irq info", MANY, irq_info, NULL, NULL, SMALL_CALL },
	{ "config read, 4 bytes at 0x00", MANY, config_read_header, NULL, NULL,
	  SMALL_CALL },
	{ "config read, 4 bytes at 0x40", MANY, config_read_beyond, NULL, NULL,
	  SMALL_CALL },
	{ "config write, 4 bytes at 0x10", MANY, config_write_header, NULL,
	  NULL, COPYING_CALL },
	{ "config write, 4 bytes at 0x40", MANY, config_write_beyond, NULL,
	  NULL, SMALL_CALL },
	{ "BAR read(), 4 bytes", MANY, bar_read4, NULL, NULL, SMALL_CALL },
	{ "BAR write(), 4 bytes", MANY, bar_write4, NULL, NULL, SMALL_CALL },
	{ "BAR mmap, first touch, munmap", MANY, bar_mmap, NULL, NULL,
	  SMALL_CALL },
	{ "set and clear 2 MSI-X interrupts", FEW, irqs_set, NULL, NULL,
	  SMALL_CALL },
	{ "map and unmap 4 KiB for DMA", MANY, dma_map_page, NULL, NULL,
	  SMALL_CALL },
	{ "map and unmap 1 MiB for DMA", FEW, dma_map_many, NULL, NULL,
	  SMALL_CALL },
};

/* The engine runs, which takes a vGPU. */
static const struct call data_calls[] = {
	{ "BAR write through mmap, 256 KiB", FEW, bar_copy_to, NULL, NULL,
	  DATA_PATH },
	{ "BAR read through mmap, 256 KiB", FEW, bar_copy_from, NULL, NULL,
	  DATA_PATH },
	{ "doorbell to eventfd", MANY, doorbell, NULL, NULL, DATA_PATH },
	{ "DMA copy, 1 MiB to VRAM", FEW, dma_copy, NULL, NULL, DATA_PATH },
};

#define NR_CALLS (2 + ARRAY_SIZE(closed_calls) + ARRAY_SIZE(open_calls) + \
		  ARRAY_SIZE(data_calls))

/**
 * struct row - a line of the table of calls
 * @name: name of the call
 * @bound: see struct call
 * @span: duration with each driver
 */
struct row {
	const char *name;
	double bound;
	struct span span[NR_DRIVERS];
};

static struct row rows[NR_CALLS];

/* Measure a call once, in us. */
static double once(const struct call *c)
{
	double us;

	if (c->prepare)
		DO(c->prepare());
	us = now_us();
	DO(c->call());
	us = now_us() - us;
	if (c->undo)
		DO(c->undo());

	return us;
}

/* Measure a call; short ones together, so that the clock does not count. */
static double measure(const struct call *c)
{
	double us = 0;
	unsigned int i;

	once(c);
	if (c->prepare || c->undo) {
		for (i = 0; i < c->times; i++)
			us += once(c);
	} else {
		us = now_us();
		for (i = 0; i < c->times; i++)
			DO(c->call());
		us = now_us() - us;
	}

	return us / c->times;
}

static struct row *measure_all(struct row *row, enum driver driver,
			       const struct call *calls, unsigned int nr)
{
	for (; nr; nr--, calls++, row++) {
		row->name = calls->name;
		row->bound = calls->bound;
		add(&row->span[driver], measure(calls));
	}

	return row;
}

static void region_positions(void)
{
	struct vfio_region_info info;

	DO(vdev_region_info(vdev, VFIO_PCI_CONFIG_REGION_INDEX, &info));
	config_pos = info.offset;
	DO(vdev_region_info(vdev, NVVGPU_EMU_VF_BAR_REGS, &info));
	bar_pos = info.offset;
}

/*
 * Leave a started vGPU on the VF for vfio-pci.  The firmware refuses to stop and to
 * delete it as if it were not there, which the driver takes for success.
 */
static void vgpu_leave(void)
{
	char rules[96];

	bind_to(vf, NVVGPU);
	DO(vgpu_create());
	DO(ioas_open(&user.own, IOMMU_IOMMUFD));
	DO(device_open());
	snprintf(rules, sizeof(rules),
		 "stop:*:fail=%u,scrub:*:fail=%u,delete:*:fail=%u",
		 NVVGPU_EMU_ERR_NOT_FOUND, NVVGPU_EMU_ERR_NOT_FOUND,
		 NVVGPU_EMU_ERR_NOT_FOUND);
	DO(fw_faults(rules));
	device_close();
	ioas_close(&user.own);
	DO(vgpu_delete());
	DO(fw_faults(""));
}

/* Measure every call once with one driver. */
static void calls_round(enum driver driver)
{
	struct row *row = rows;
	double us;

	if (driver == PLAIN && live)
		vgpu_leave();
	DO(pci_unbind(vf));
	us = now_us();
	DO(pci_bind(vf, drivers[driver]));
	us = now_us() - us;
	row->name = "bind the driver";
	row->bound = BIND;
	add(&row++->span[driver], us);
	DO(pci_write(vf, "power/control", "on"));

	if (driver == NVVGPU)
		DO(vgpu_create());

	DO(ioas_open(&user.own, IOMMU_IOMMUFD));
	row = measure_all(row, driver, closed_calls, ARRAY_SIZE(closed_calls));
	DO(device_open());
	DO(vdev_enable(vdev, true));
	region_positions();
	row = measure_all(row, driver, open_calls, ARRAY_SIZE(open_calls));
	device_close();
	ioas_close(&user.own);

	if (driver == NVVGPU || live) {
		DO(user_open(&user, vf, IOMMU_IOMMUFD));
		DO(vdev_map_bar(vdev, NVVGPU_EMU_VF_BAR_FB));
		measure_all(row, driver, data_calls, ARRAY_SIZE(data_calls));
		vdev_close(vdev);
		ioas_close(&user.own);
	}
	if (driver == NVVGPU)
		DO(vgpu_delete());
	row += ARRAY_SIZE(data_calls);

	us = now_us();
	DO(pci_unbind(vf));
	us = now_us() - us;
	row->name = "unbind the driver";
	row->bound = BIND;
	add(&row->span[driver], us);
}

static double spread(const struct span *s)
{
	return 100 * (s->max - s->min) / s->min;
}

static void calls_print(void)
{
	FILE *file = tsv_open("calls",
			      "call\tplain min\tplain max\tnvvgpu min\tnvvgpu max\tratio");
	const struct row *row;

	printf("\nCalls in us: least of %u rounds, and how much more the most was\n"
	       "  %-34s %20s %20s %7s\n", rounds, "call", "vfio-pci", "nvvgpu",
	       "ratio");
	for (row = rows; row < rows + NR_CALLS; row++) {
		const struct span *p = &row->span[PLAIN];
		const struct span *n = &row->span[NVVGPU];

		if (!p->nr) {
			printf("  %-34s %20s %11.2f +%5.1f %% %7s\n", row->name,
			       "-", n->min, spread(n), "-");
			if (file)
				fprintf(file, "%s\t\t\t%.3f\t%.3f\t\n",
					row->name, n->min, n->max);
			continue;
		}
		printf("  %-34s %11.2f +%5.1f %% %11.2f +%5.1f %% %7.3f\n",
		       row->name, p->min, spread(p), n->min, spread(n),
		       n->min / p->min);
		if (file)
			fprintf(file, "%s\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\n",
				row->name, p->min, p->max, n->min, n->max,
				n->min / p->min);
		if (exact && row->bound)
			gate(n->min / p->min, row->bound, "ratio of %s",
			     row->name);
	}
	if (!live)
		printf("  -: a VF has no framebuffer and no engine without a vGPU\n");
	tsv_close(file);
}

/* The life of a vGPU: firmware commands, time and CPU time */

/* @commands and @cpu, in us, are the most that a call may take. */
static const struct {
	const char *name;
	int (*call)(void);
	unsigned int commands;
	double cpu;
} life_calls[] = {
	{ "create", vgpu_create, 1, 90 },
	{ "open, bind_iommufd and attach", device_open, 1, 200 },
	{ "reset", device_reset, 1, 30 },
	{ "close", device_close, 2, 120 },
	{ "delete", vgpu_delete, 1, 90 },
};

static void life(void)
{
	struct span wall[ARRAY_SIZE(life_calls)] = {};
	struct span cpu[ARRAY_SIZE(life_calls)] = {};
	__u32 commands[ARRAY_SIZE(life_calls)];
	unsigned int i, n, delay = 0;
	FILE *file;

	if (qmp_available())
		DO(fw_delay(&delay));
	bind_to(vf, NVVGPU);
	DO(ioas_open(&user.own, IOMMU_IOMMUFD));
	for (n = 0; n < rounds; n++) {
		for (i = 0; i < ARRAY_SIZE(life_calls); i++) {
			double us, busy;
			__u32 begin = 0, end = 0;

			DO(gpu_commands(&pf, &begin));
			busy = clock_us(CLOCK_PROCESS_CPUTIME_ID);
			us = now_us();
			DO(life_calls[i].call());
			add(&wall[i], now_us() - us);
			add(&cpu[i], clock_us(CLOCK_PROCESS_CPUTIME_ID) - busy);
			DO(gpu_commands(&pf, &end));
			commands[i] = end - begin;
		}
	}
	ioas_close(&user.own);

	file = tsv_open("life", "call\tcommands\ttime\tfirmware\trest\tcpu");
	printf("\nLife of a vGPU in us: commands, of %u us of the firmware each; the rest of\n"
	       "the time; and the CPU time of the caller\n"
	       "  %-34s %8s %10s %10s %10s %10s\n", delay, "call", "commands",
	       "time", "firmware", "rest", "CPU");
	for (i = 0; i < ARRAY_SIZE(life_calls); i++) {
		unsigned int firmware = commands[i] * delay;

		printf("  %-34s %8u %10.1f %10u %10.1f %10.1f\n",
		       life_calls[i].name, commands[i], wall[i].min, firmware,
		       wall[i].min - firmware, cpu[i].min);
		if (file)
			fprintf(file, "%s\t%u\t%.3f\t%u\t%.3f\t%.3f\n",
				life_calls[i].name, commands[i], wall[i].min,
				firmware, wall[i].min - firmware, cpu[i].min);
		gate(commands[i], life_calls[i].commands,
		     "firmware commands of %s", life_calls[i].name);
		if (exact)
			gate(cpu[i].min, life_calls[i].cpu, "CPU time of %s",
			     life_calls[i].name);
	}
	tsv_close(file);
}

/* A reset while processes without privileges read all files of the VF */

#define READERS	4

static void read_files(void)
{
	static char buf[65536];
	unsigned int i;

	if (child_drop_privileges())
		_exit(1);
	for (i = 0;; i++)
		pci_read(vf, vf_files[i % NR_VF_FILES].name, buf, sizeof(buf));
}

static void read_nothing(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		getppid();
}

/* us of a reset, while READERS processes do something. */
static double reset_beside(void (*something)(void))
{
	pid_t pid[READERS];
	unsigned int i;
	double us;

	for (i = 0; i < READERS; i++) {
		pid[i] = fork();
		if (!pid[i])
			something();
	}
	us = now_us();
	for (i = 0; i < 4 * rounds; i++)
		DO(device_reset());
	us = now_us() - us;
	for (i = 0; i < READERS; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}

	return us / (4 * rounds);
}

/* On one CPU, other processes alone make a reset slower. */
static void read_vgpu(void)
{
	double busy, read;

	DO(vgpu_create());
	DO(user_open(&user, vf, IOMMU_IOMMUFD));
	busy = reset_beside(read_nothing);
	read = reset_beside(read_files);
	printf("\nA reset in us, beside %u processes of nobody\n"
	       "  %-34s %10.1f\n  %-34s %10.1f\n", READERS,
	       "that are busy", busy, "that read all files of the VF", read);
	if (exact)
		gate(read / busy, 1.2, "ratio of a reset beside readers");
	vdev_close(vdev);
	ioas_close(&user.own);
	DO(vgpu_delete());
}

/* What an open vGPU does that nobody uses */

#define IDLE_S	5

static void idle_vgpu(void)
{
	__u32 begin = 0, end = 0;
	int ret, wakeups;

	DO(vgpu_create());
	DO(user_open(&user, vf, IOMMU_IOMMUFD));
	DO(user_work(&user));
	/* Let the last notifications go out. */
	sleep(1);
	ret = wakeups_begin();
	/* The lab's kernels can. */
	if (ret == -ENOENT && !exact) {
		printf("\nWake-ups of an idle vGPU: the kernel cannot trace them\n");
	} else {
		DO(ret);
		DO(gpu_commands(&pf, &begin));
		sleep(IDLE_S);
		DO(gpu_commands(&pf, &end));
		wakeups = wakeups_end();
		DO(wakeups);
		printf("\nAn open vGPU that is idle, in %u s\n"
		       "  %-34s %8d\n  %-34s %8u\n", IDLE_S,
		       "work items, timers and interrupts", wakeups,
		       "firmware commands", end - begin);
		gate(wakeups, 0, "wake-ups of an idle vGPU");
		gate(end - begin, 0, "firmware commands of an idle vGPU");
	}
	vdev_close(vdev);
	ioas_close(&user.own);
	DO(vgpu_delete());
}

/* Many VFs */

#define VFS_MAX	64

static struct vdev devices[VFS_MAX];

/* Do something to each VF, as @i: us per VF. */
#define FOR_EACH(what) ({						\
	double __us = now_us();						\
									\
	for (i = 0; i < pf.nr_vfs; i++)					\
		DO(what);						\
	(now_us() - __us) / pf.nr_vfs;					\
})

static int device_close_nr(unsigned int i)
{
	vdev_close(&devices[i]);

	return 0;
}

static const char * const vfs_columns[] = {
	"plain bind", "plain open", "plain close", "plain unbind",
	"bind", "create", "open", "close", "delete", "unbind",
};

#define VFS_COLUMNS	ARRAY_SIZE(vfs_columns)
#define VFS_PLAIN	4
#define SLOPE		1.1

/* Do everything to @nr VFs: us per VF. */
static void vfs_round(unsigned int nr, double *us)
{
	struct ioas *ioas = &user.own;
	unsigned int i;

	DO(pf_set_vfs(&pf, nr));
	FOR_EACH(pci_unbind(pf.vf[i]));
	DO(ioas_open(ioas, IOMMU_IOMMUFD));

	*us++ = FOR_EACH(pci_bind(pf.vf[i], drivers[PLAIN]));
	FOR_EACH(pci_write(pf.vf[i], "power/control", "on"));
	*us++ = FOR_EACH(vdev_open(&devices[i], pf.vf[i], ioas));
	*us++ = FOR_EACH(device_close_nr(i));
	*us++ = FOR_EACH(pci_unbind(pf.vf[i]));

	*us++ = FOR_EACH(pci_bind(pf.vf[i], drivers[NVVGPU]));
	FOR_EACH(pci_write(pf.vf[i], "power/control", "on"));
	*us++ = FOR_EACH(vf_set_type(pf.vf[i], type.id));
	*us++ = FOR_EACH(vdev_open(&devices[i], pf.vf[i], ioas));
	*us++ = FOR_EACH(device_close_nr(i));
	*us++ = FOR_EACH(vf_set_type(pf.vf[i], 0));
	*us++ = FOR_EACH(pci_unbind(pf.vf[i]));
	ioas_close(ioas);
}

static void many_vfs(void)
{
	struct fit fits[VFS_COLUMNS] = {};
	double us[VFS_COLUMNS];
	unsigned int nr, i;
	FILE *file;

	file = tsv_open("vfs",
			"VFs\tplain bind\tplain open\tplain close\tplain unbind\t"
			"bind\tcreate\topen\tclose\tdelete\tunbind");
	printf("\nTime in us per VF, by the number of VFs, all of them in the same state\n"
	       "         %-31s  %s\n"
	       "  VFs    %7s %7s %7s %7s  %7s %7s %7s %7s %7s %7s\n",
	       "vfio-pci", "nvvgpu", "bind", "open", "close", "unbind", "bind",
	       "create", "open", "close", "delete", "unbind");
	for (nr = 1; nr <= VFS_MAX && nr <= pf.total; nr *= 2) {
		vfs_round(nr, us);
		printf("  %-5u", nr);
		if (file)
			fprintf(file, "%u", nr);
		for (i = 0; i < VFS_COLUMNS; i++) {
			printf("%s %7.0f", i == VFS_PLAIN ? " " : "", us[i]);
			if (file)
				fprintf(file, "\t%.3f", us[i]);
			fit_add(&fits[i], log2(nr), log2(us[i] * nr));
		}
		printf("\n");
		if (file)
			fprintf(file, "\n");
	}
	tsv_close(file);

	/* Of the time for all VFs: 1 is linear, 2 is quadratic. */
	printf("  slope");
	for (i = 0; i < VFS_COLUMNS; i++) {
		printf("%s %7.3f", i == VFS_PLAIN ? " " : "",
		       fit_slope(&fits[i]));
		if (exact && i >= VFS_PLAIN)
			gate(fit_slope(&fits[i]), SLOPE,
			     "slope of %s by the number of VFs", vfs_columns[i]);
	}
	printf("\n");
}

/* Give the free objects of all caches back, so that they do not count. */
static void slabs_shrink(void)
{
	glob_t caches;
	size_t i;

	if (glob("/sys/kernel/slab/*/shrink", GLOB_NOSORT, NULL, &caches))
		die("/sys/kernel/slab", -errno);
	for (i = 0; i < caches.gl_pathc; i++) {
		FILE *file = fopen(caches.gl_pathv[i], "w");

		if (!file)
			die(caches.gl_pathv[i], -errno);
		fputs("1", file);
		fclose(file);
	}
	globfree(&caches);
}

/* Bytes of kernel memory in objects, and of per-CPU memory */
static double kernel_memory(void)
{
	double sum = 0, objects, size;
	char line[256];
	long kb;
	FILE *file;

	slabs_shrink();
	file = fopen("/proc/slabinfo", "r");
	if (!file)
		die("/proc/slabinfo", -errno);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%*s %lf %*u %lf", &objects, &size) == 2)
			sum += objects * size;
	fclose(file);

	file = fopen("/proc/meminfo", "r");
	if (!file)
		die("/proc/meminfo", -errno);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Percpu: %ld", &kb) == 1)
			sum += kb * 1024.0;
	fclose(file);

	return sum;
}

static void memory_row(FILE *file, const char *state, double before)
{
	double kib = (kernel_memory() - before) / pf.nr_vfs / 1024;

	printf("  %-34s %8.1f\n", state, kib);
	if (file)
		fprintf(file, "%s\t%.1f\n", state, kib);
}

static void memory_per_vf(void)
{
	FILE *file = tsv_open("memory", "state\tKiB");
	struct ioas *ioas = &user.own;
	double before;
	unsigned int i;

	DO(pf_set_vfs(&pf, pf.total < VFS_MAX ? pf.total : VFS_MAX));
	FOR_EACH(pci_unbind(pf.vf[i]));
	DO(ioas_open(ioas, IOMMU_IOMMUFD));
	printf("\nKernel memory (objects and per-CPU) in KiB per VF, of %u VFs\n",
	       pf.nr_vfs);

	before = kernel_memory();
	FOR_EACH(pci_bind(pf.vf[i], drivers[PLAIN]));
	memory_row(file, "bound to vfio-pci", before);
	FOR_EACH(pci_unbind(pf.vf[i]));

	before = kernel_memory();
	FOR_EACH(pci_bind(pf.vf[i], drivers[NVVGPU]));
	memory_row(file, "bound to nvvgpu-vfio-pci", before);
	FOR_EACH(vf_set_type(pf.vf[i], type.id));
	memory_row(file, "with a vGPU", before);
	FOR_EACH(vdev_open(&devices[i], pf.vf[i], ioas));
	memory_row(file, "with an open vGPU", before);

	FOR_EACH(device_close_nr(i));
	FOR_EACH(vf_set_type(pf.vf[i], 0));
	FOR_EACH(pci_unbind(pf.vf[i]));
	ioas_close(ioas);
	tsv_close(file);
}

int main(int argc, char **argv)
{
	const char *clock = getenv("NVVGPU_CLOCK");
	struct vgpu_type types[MAX_TYPES];
	const char *why;
	unsigned int i;
	int nr;

	setlinebuf(stdout);
	if (argc > 1)
		folder = argv[1];
	if (argc > 2)
		rounds = strtoul(argv[2], NULL, 0);
	if (!rounds || rounds > ROUNDS_MAX)
		ksft_exit_fail_msg("1 to %u rounds\n", ROUNDS_MAX);
	exact = clock && !strcmp(clock, "instructions");
	live = qmp_available();
	why = gpu_prepare(&pf, 1);
	if (why)
		ksft_exit_skip("%s\n", why);
	vf = pf.vf[0];
	nr = vf_types(vf, types, MAX_TYPES);
	if (nr <= 0)
		ksft_exit_skip("no types\n");
	type = *type_smallest(types, nr);
	user.mem = mmap(NULL, USER_LEN, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (user.mem == MAP_FAILED)
		die("memory", -errno);

	for (i = 0; i < rounds; i++) {
		calls_round(PLAIN);
		calls_round(NVVGPU);
	}
	calls_print();
	life();
	read_vgpu();
	idle_vgpu();
	many_vfs();
	memory_per_vf();

	return gates_print() ? KSFT_FAIL : KSFT_PASS;
}
