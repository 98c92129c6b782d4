// SPDX-License-Identifier: GPL-2.0
/*
 * What migration costs.  All are ratios of what is measured here, in turn, in
 * one run; nothing is a verdict.  "make bench-migrate" runs it.
 *
 *   nvvgpu_migration_bench [MiB of framebuffer in use [rounds [FOLDER]]]
 *
 * With FOLDER, measures only the blackout and writes it there as tab-separated
 * values, as "make bench" does.
 */
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include <sys/mman.h>

#include "lib/fit.h"
#include "lib/migration.h"
#include "nvvgpu_test.h"

#define S(name)		VFIO_DEVICE_STATE_##name

/* What a user of VFIO's migration reads and writes at once: QEMU's own size */
#define STEP		MIB
/*
 * Data file and plain copy take turns of this size: the machine may be busy with
 * other things, and what runs ahead while the other has its turn is little of it.
 */
#define BLOCK		(8 * MIB)
#define ROUNDS_MAX	50
#define VALUES_MAX	(ROUNDS_MAX * 64)
/* Beside each other in a direct-mapped TLB, as the emulators have, not on top */
#define OFFSET		(37 * PAGE)

/**
 * struct series - one thing measured several times
 * @v: the values
 * @nr: number of entries
 */
struct series {
	double v[VALUES_MAX];
	unsigned int nr;
};

static struct pf pf;
static struct user a;
static struct vdev b;
static struct ioas to;
static size_t used = 64 * MIB;
static unsigned int rounds = 7;
static const char *folder;
static char *buf, *plain_buf;
static size_t have;

static void die(const char *what, int ret)
{
	if (ret)
		printf("Bail out! %s: %s\n", what, strerror(-ret));
	else
		printf("Bail out! %s\n", what);
	user_close(&a);
	vdev_close(&b);
	gpu_clean(&pf);
	exit(KSFT_FAIL);
}

#define DO(what) do {							\
	int __ret = (what);						\
									\
	if (__ret)							\
		die(#what, __ret);					\
} while (0)

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static size_t min(size_t x, size_t y)
{
	return x < y ? x : y;
}

static void add(struct series *s, double v)
{
	s->v[s->nr++] = v;
}

static int compare(const void *x, const void *y)
{
	double d = *(const double *)x - *(const double *)y;

	return d < 0 ? -1 : d > 0;
}

static double median(struct series *s)
{
	qsort(s->v, s->nr, sizeof(*s->v), compare);

	return s->v[s->nr / 2];
}

static void print(const char *name, struct series *s, const char *unit)
{
	double mid = median(s);

	printf("  %-44s %8.2f %-5s (%.2f to %.2f)\n", name, mid, unit, s->v[0],
	       s->v[s->nr - 1]);
}

/* Something other than zeroes in a piece of the framebuffer */
static void dirty(__u64 vram, size_t len)
{
	static __u32 value = 0x01010101;

	if (len)
		DO(engine_run(&a.engine, engine_fill(NVVGPU_EMU_DESC_DST_VRAM,
						     vram, len, ++value)));
}

/* Read what there is to the end of the buffer: 0 at the end, or -ENOMSG. */
static int save(int fd)
{
	ssize_t n;

	while ((n = read(fd, buf + have, STEP)) > 0)
		have += n;

	return n ? -errno : 0;
}

/* Give what the buffer has of a stream, from @begin to @end. */
static void load(int fd, size_t begin, size_t end)
{
	for (; begin < end; begin += STEP)
		if (write(fd, buf + begin, min(end - begin, STEP)) < 0)
			die("a stream is refused", -errno);
}

static int huge_file(const char *env, unsigned int flags)
{
	const char *path = getenv(env);
	int fd = path ? open(path, O_RDWR | O_CREAT | O_TRUNC, 0600) :
			memfd_create("bench", flags);
	char *p;

	if (fd < 0 || ftruncate(fd, BLOCK))
		die("a file in memory", -errno);
	p = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		die("too few huge pages", -errno);
	memset(p, 0x77, BLOCK);
	munmap(p, BLOCK);

	return fd;
}

/**
 * struct rates - a way through the data file, and a plain copy of the same bytes
 * @stream: MB/s of the data file
 * @plain: MB/s of the copy
 * @ratio: one by the other, of blocks that were copied one after the other
 */
struct rates {
	struct series stream;
	struct series plain;
	struct series ratio;
};

/* A block has taken so long: now the same from or to a file in memory. */
static void rate(struct rates *r, int fd, bool in, char *mem, double seconds)
{
	double plain = now();
	size_t at;
	ssize_t n;

	for (at = 0; at < BLOCK; at += STEP) {
		n = in ? pwrite(fd, mem + at, STEP, at) :
			 pread(fd, mem + at, STEP, at);
		if (n != STEP)
			die("a plain copy", n < 0 ? -errno : -EIO);
	}
	plain = now() - plain;

	add(&r->stream, BLOCK / seconds / 1e6);
	add(&r->plain, BLOCK / plain / 1e6);
	add(&r->ratio, plain / seconds);
}

static void save_round(struct rates *r, int file_fd)
{
	size_t begin = 0, turn = 0;
	ssize_t n = 1;
	double t;
	int fd;

	DO(mig_set(&a.vdev, S(STOP_COPY), &fd));
	have = 0;
	while (n > 0) {
		t = now();
		while (have - begin < BLOCK &&
		       (n = read(fd, buf + have, min(BLOCK - (have - begin),
						     STEP))) > 0)
			have += n;
		t = now() - t;
		if (n > 0) {
			/* To as much memory as the stream goes to */
			rate(r, file_fd, false,
			     plain_buf + turn++ % (used / BLOCK) * BLOCK, t);
			begin = have;
		}
	}
	if (n < 0)
		die("a stream ends", -errno);
	close(fd);
	DO(mig_set(&a.vdev, S(RUNNING), NULL));
}

static void load_round(struct rates *r, int file_fd)
{
	size_t at;
	double t;
	int fd;

	DO(mig_set(&b, S(RESUMING), &fd));
	for (at = 0; at + BLOCK <= have; at += BLOCK) {
		t = now();
		load(fd, at, at + BLOCK);
		t = now() - t;
		rate(r, file_fd, true, buf + at, t);
	}
	load(fd, at, have);
	DO(mig_set(&b, S(STOP), NULL));
	close(fd);
}

static void throughput(void)
{
	struct rates out = {}, in = {};
	int from = huge_file("NVVGPU_BENCH_READ", MFD_HUGETLB);
	int into = huge_file("NVVGPU_BENCH_WRITE", 0);
	unsigned int i;

	printf("\nThroughput of the data file, %zu MiB, against plain copies of the same bytes\n"
	       "(read and write of %lu KiB, in turns of %lu MiB; plain: a file in huge pages)\n",
	       used / MIB, STEP / 1024, BLOCK / MIB);
	dirty(0, used);
	for (i = 0; i < rounds; i++) {
		save_round(&out, from);
		load_round(&in, into);
	}
	print("copy_to_user", &out.plain, "MB/s");
	print("save", &out.stream, "MB/s");
	print("save / copy_to_user", &out.ratio, "");
	print("copy_from_user", &in.plain, "MB/s");
	print("load", &in.stream, "MB/s");
	print("load / copy_from_user", &in.ratio, "");
	close(from);
	close(into);
}

/* The pieces lie apart, so that none can be joined. */
static void scatter(unsigned int pieces, size_t len)
{
	unsigned int i;

	for (i = 0; i < pieces; i++)
		dirty(i * (used / pieces) / NVVGPU_EMU_VRAM_PAGE *
		      NVVGPU_EMU_VRAM_PAGE, len);
}

static void volumes(void)
{
	static const struct {
		unsigned int pieces;
		size_t len;
	} cases[] = {
		{ 1, NVVGPU_EMU_VRAM_PAGE }, { 100, NVVGPU_EMU_VRAM_PAGE },
		{ 16, MIB }, { 1, 32 * MIB },
	};
	size_t before;
	unsigned int i;
	int fd;

	printf("\nBytes sent against bytes of the framebuffer that were written\n");
	have = 0;
	DO(mig_set(&a.vdev, S(PRE_COPY), &fd));
	if (save(fd) != -ENOMSG)
		die("pre-copy does not end with ENOMSG", 0);
	printf("  %-44s %8.4f       (%zu of %zu bytes)\n",
	       "first round: all that is not zero", (double)have / used, have,
	       used);
	before = have;
	for (i = 0; i < rounds; i++)
		if (save(fd) != -ENOMSG)
			die("pre-copy does not end with ENOMSG", 0);
	printf("  %-44s %8zu bytes\n", "idle: rounds after the first, together",
	       have - before);

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t len = cases[i].pieces * cases[i].len;
		char name[64];

		if (len > used)
			continue;
		have = 0;
		scatter(cases[i].pieces, cases[i].len);
		if (save(fd) != -ENOMSG)
			die("pre-copy does not end with ENOMSG", 0);
		snprintf(name, sizeof(name), "%u times %zu KiB written",
			 cases[i].pieces, cases[i].len / 1024);
		printf("  %-44s %8.4f       (%zu of %zu bytes)\n", name,
		       (double)have / len, have, len);
	}

	have = 0;
	DO(mig_set(&a.vdev, S(STOP_COPY), NULL));
	DO(save(fd));
	printf("  %-44s %8zu bytes\n", "after the stop: registers and end", have);
	close(fd);
	DO(mig_set(&a.vdev, S(RUNNING), NULL));
}

/* From the moment the source is stopped until the destination runs */
static double blackout(size_t len)
{
	int from, into;
	double begin;
	size_t at;

	have = 0;
	DO(mig_set(&a.vdev, S(PRE_COPY), &from));
	DO(mig_set(&b, S(RESUMING), &into));
	if (save(from) != -ENOMSG)
		die("pre-copy does not end with ENOMSG", 0);
	load(into, 0, have);
	dirty(0, len);

	begin = now();
	DO(mig_set(&a.vdev, S(STOP_COPY), NULL));
	at = have;
	DO(save(from));
	load(into, at, have);
	DO(mig_set(&b, S(STOP), NULL));
	DO(mig_set(&b, S(RUNNING), NULL));
	begin = now() - begin;

	close(from);
	close(into);
	DO(mig_set(&b, S(STOP), NULL));
	DO(mig_set(&a.vdev, S(RUNNING), NULL));

	return begin * 1000;
}

#define PLOT	50

/* The line of the fit, for a plot */
static void blackouts_write(struct series *s, unsigned int nr,
			    const struct fit *fit)
{
	char path[512];
	unsigned int i;
	size_t mib;
	FILE *file;

	snprintf(path, sizeof(path), "%s/blackout.tsv", folder);
	file = fopen(path, "w");
	if (!file)
		die(path, -errno);
	fprintf(file, "MiB\tms\tfit\n");
	for (i = 0, mib = 0; i < nr; i++, mib = mib ? 2 * mib : 1)
		fprintf(file, "%zu\t%.4f\t%.4f\n", mib, median(&s[i]),
			fit_start(fit) + fit_slope(fit) * mib);
	if (fclose(file))
		die(path, -errno);
}

static void blackouts(void)
{
	struct series s[16] = {};
	unsigned int i, n, nr = 0;
	struct fit fit = {};
	double most = 0;
	size_t len;

	printf("\nBlackout in ms, from stop to run at the destination, by what is dirty then\n");
	for (n = 0; n < rounds; n++)
		for (len = 0, nr = 0; len <= used; len = len ? 2 * len : MIB)
			add(&s[nr++], blackout(len));
	for (i = 0; i < nr; i++)
		most = median(&s[i]) > most ? median(&s[i]) : most;
	for (i = 0, len = 0; i < nr; i++, len = len ? 2 * len : MIB) {
		printf("  %4zu MiB %8.1f (%.1f to %.1f) |%.*s\n", len / MIB,
		       median(&s[i]), s[i].v[0], s[i].v[s[i].nr - 1],
		       (int)(median(&s[i]) / most * PLOT),
		       "##################################################");
		fit_add(&fit, len / MIB, median(&s[i]));
	}
	printf("  fit: %.2f ms and %.3f ms per MiB\n", fit_start(&fit),
	       fit_slope(&fit));
	if (folder)
		blackouts_write(s, nr, &fit);
}

static bool stop;

/* The host asks for the log of the DMA, again and again. */
static void *read_log(void *unused)
{
	static __u64 bitmap[USER_LEN / PAGE / 64];

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		log_read(&a.vdev, USER_IOVA, USER_LEN, PAGE, bitmap);
		usleep(50000);
	}

	return NULL;
}

/* The host reads all there is to be sent, again and again. */
static void *read_stream(void *fd)
{
	static char sink[STEP];

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		if (read(*(int *)fd, sink, sizeof(sink)) >= 0)
			continue;
		if (errno != ENOMSG)
			break;
		usleep(50000);
	}

	return NULL;
}

/* The engine copies to the framebuffer and back: seconds */
static double engine_job(void)
{
	double begin = now();
	unsigned int i;

	for (i = 0; i < 16; i++) {
		DO(engine_run(&a.engine,
			      engine_copy(NVVGPU_EMU_DESC_DST_VRAM, i * MIB,
					  user_addr(&a, user_buf(&a, 0)), MIB)));
		DO(engine_run(&a.engine,
			      engine_copy(NVVGPU_EMU_DESC_SRC_VRAM,
					  user_addr(&a, user_buf(&a, MIB)),
					  i * MIB, MIB)));
	}

	return now() - begin;
}

/* The CPU writes to the framebuffer through the BAR: seconds */
static double cpu_job(void)
{
	__u64 *fb = a.vdev.bar[NVVGPU_EMU_VF_BAR_FB];
	double begin = now();
	size_t i;

	for (i = 0; i < 16 * MIB / sizeof(*fb); i++)
		__atomic_store_n(&fb[i], i | 1, __ATOMIC_RELAXED);

	return now() - begin;
}

static const struct {
	const char *name;
	double (*job)(void);
	bool dma, vram;
	void *(*reader)(void *fd);
} loggings[] = {
	{ "engine, DMA log on", engine_job, true, false, NULL },
	{ "engine, DMA log read every 50 ms", engine_job, true, false, read_log },
	{ "engine, pre-copy, nothing read", engine_job, false, true, NULL },
	{ "engine, pre-copy, read as it comes", engine_job, false, true, read_stream },
	{ "CPU, pre-copy, nothing read", cpu_job, false, true, NULL },
	{ "CPU, pre-copy, read as it comes", cpu_job, false, true, read_stream },
};

static double logged(unsigned int i)
{
	struct vfio_device_feature_dma_logging_range range = {
		.iova = USER_IOVA,
		.length = USER_LEN,
	};
	__u64 page_size = PAGE;
	pthread_t thread;
	double seconds;
	int fd = -1;

	if (loggings[i].dma)
		DO(log_start(&a.vdev, &range, 1, &page_size));
	if (loggings[i].vram) {
		DO(mig_set(&a.vdev, S(PRE_COPY), &fd));
		have = 0;
		if (save(fd) != -ENOMSG)
			die("pre-copy does not end with ENOMSG", 0);
	}
	stop = false;
	if (loggings[i].reader)
		DO(-pthread_create(&thread, NULL, loggings[i].reader, &fd));
	seconds = loggings[i].job();
	if (loggings[i].reader) {
		__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
	}
	if (loggings[i].vram) {
		DO(mig_set(&a.vdev, S(RUNNING), NULL));
		close(fd);
	}
	if (loggings[i].dma)
		DO(log_stop(&a.vdev));

	return seconds;
}

static void overhead(void)
{
	unsigned int i, n;

	printf("\nWork of a running vGPU per time while it is logged, against without\n");
	DO(vdev_map_bar(&a.vdev, NVVGPU_EMU_VF_BAR_FB));
	memset(user_buf(&a, 0), 0x3c, MIB);
	for (i = 0; i < ARRAY_SIZE(loggings); i++) {
		struct series s = {};

		loggings[i].job();
		for (n = 0; n < rounds; n++) {
			double without = loggings[i].job();

			add(&s, without / logged(i));
		}
		print(loggings[i].name, &s, "");
	}
}

int main(int argc, char **argv)
{
	struct vgpu_type types[MAX_TYPES];
	const struct vgpu_type *type;
	const char *why;
	size_t len;
	int nr;

	setlinebuf(stdout);
	if (argc > 1)
		used = strtoul(argv[1], NULL, 0) * MIB;
	if (argc > 2)
		rounds = strtoul(argv[2], NULL, 0);
	if (argc > 3)
		folder = argv[3];
	why = gpu_prepare(&pf, 2);
	if (why)
		ksft_exit_skip("%s\n", why);
	nr = vf_types(pf.vf[0], types, MAX_TYPES);
	if (nr <= 0)
		ksft_exit_skip("no types\n");
	type = type_smallest(types, nr);
	if (used < 16 * MIB || used > 512 * MIB || used > type->framebuffer || !rounds ||
	    rounds > ROUNDS_MAX)
		ksft_exit_fail_msg("16 to 512 MiB, 1 to %u rounds\n",
				   ROUNDS_MAX);

	/* Written once, so that no page of it comes into being in a measurement */
	len = 3 * used + BLOCK + OFFSET;
	buf = mmap(NULL, len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buf == MAP_FAILED)
		die("memory", -errno);
	memset(buf, 0x5a, len);
	plain_buf = buf + OFFSET;
	buf = plain_buf + used;

	DO(vf_set_type(pf.vf[0], type->id));
	DO(vf_set_type(pf.vf[1], type->id));
	DO(user_open(&a, pf.vf[0], IOMMU_IOMMUFD));
	DO(ioas_open(&to, IOMMU_IOMMUFD));
	DO(vdev_open(&b, pf.vf[1], &to));
	printf("Cost of migration: %s, %u rounds, medians (least to most)\n",
	       type->name, rounds);

	if (!folder) {
		throughput();
		volumes();
	}
	blackouts();
	if (!folder)
		overhead();

	user_close(&a);
	vdev_close(&b);
	gpu_clean(&pf);

	return KSFT_PASS;
}
