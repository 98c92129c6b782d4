// SPDX-License-Identifier: GPL-2.0
/*
 * The job of a guest with a vGPU, independent of its platform (job.h)
 *
 * The guest has no IOMMU of its own: it drives the vGPU with guest physical
 * addresses. The IOMMU of the host confines it.
 *
 * Commands are lines on the console. Every response is a line that begins with
 * "JOB ":
 *
 *   copy ROUNDS BYTES  fill VRAM, copy memory to VRAM and back, compare
 *   steady BYTES       repeat this until the next line arrives, display a frame
 *                      in each round, and check that a timer ticks
 *   scatter            fill a part of every 4 MiB of VRAM
 *   sum                compare VRAM with what "steady" wrote, and add up the rest
 *   mode WIDTH HEIGHT  set a mode of the display
 *   draw FRAME         draw a frame into the hidden half of the framebuffer, and flip
 *   move               draw one frame after another until the next line arrives
 *   describe FRAME     print every pixel of a frame
 *   peer BYTES         copy VRAM to the framebuffer of a second vGPU, and read
 *                      that by the CPU
 *   reset              reset the vGPU and restart its engine
 *   bad read|write     DMA outside of the guest's memory, which must be refused
 *   log                print the platform's log
 *   quit               release the vGPU and power off
 *
 * A command that takes longer than a second reports "JOB alive" each second, so
 * that a slow guest differs from one that hangs.
 */
#include <endian.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "job.h"
#include "lib/clock.h"
#include "lib/engine.h"
#include "screen.h"

#define RING		(PAGE / sizeof(struct nvvgpu_emu_desc))
#define BATCH		(RING / 2)
#define MAX_BYTES	(4UL << 20)
#define SLOTS		16

/* Limit of bytes per descriptor, so that a job needs several of them */
#define MAX_RUN		(4 * PAGE)

/* A job takes milliseconds, but a busy host may need much longer. */
#define JOB_TIMEOUT_MS	100000

#define ALIVE_MS	1000

/* Two frames, displayed alternately, follow the area of the jobs in VRAM. */
#define FRAME_WIDTH	64
#define FRAME_HEIGHT	64
#define FRAME_STRIDE	2048
#define FRAMES		(SLOTS * MAX_BYTES)

#define TICKS_LATE_MS	2000

/* Bytes at the end of each MAX_BYTES of VRAM that "scatter" fills */
#define SCATTERED	65536

/* Far above any guest's memory */
#define OUTSIDE		0x3f00000000ULL

/* Indices of the display registers */
#define DISPI_ID		0
#define   DISPI_ID_HEADS	0xb0c5
#define DISPI_XRES		1
#define DISPI_YRES		2
#define DISPI_BPP		3
#define DISPI_ENABLE		4
#define DISPI_VIRT_WIDTH	6
#define DISPI_X_OFFSET		8
#define DISPI_Y_OFFSET		9

/* Lines of the screen are that many pixels apart, so that each begins on a page. */
#define STRIDE		1024

static struct vdev vdev, peer;
static struct engine engine;
static struct area ring, buffer;
static unsigned int jobs;
static int failures;

/* Data that the rounds have written to VRAM */
static struct {
	size_t len;
	__u32 crc;
} slots[SLOTS];
static unsigned int frames;

/* State of the guest's timer, in time of the guest's clock */
static atomic_ullong ticks;
static atomic_uint tick_gap_ms;
static atomic_bool tick_backwards;
static __u64 ticks_since, last_tick;

/**
 * job_tick() - count expirations of the timer
 * @count: number of expirations since the previous call
 */
void job_tick(__u64 count)
{
	const __u64 now = now_ms();

	if (now < last_tick)
		tick_backwards = true;
	else if (now - last_tick > tick_gap_ms)
		tick_gap_ms = now - last_tick;
	last_tick = now;
	ticks += count;
}

static bool tick_late(void)
{
	const __u64 elapsed = now_ms() - ticks_since, seen = ticks * TICK_MS;

	return elapsed > seen + TICKS_LATE_MS;
}

/* Check that the timer still ticks and that the clock is monotonic. */
static const char *tick_check(void)
{
	unsigned int turns;

	/*
	 * Linux may not have run the timer's thread yet: after a migration, a
	 * VM gets little CPU time, while its clock advances.
	 */
	for (turns = 0; turns < 100 && tick_late(); turns++)
		usleep(TICK_MS * 2000);
	if (tick_late())
		return "timer";

	return tick_backwards ? "clock" : NULL;
}

static __u16 *dispi(unsigned int index)
{
	return (__u16 *)&engine.regs[NVVGPU_EMU_VF_REG_DISPI / 4] + index;
}

static __u16 dispi_read(unsigned int index)
{
	return le16toh(__atomic_load_n(dispi(index), __ATOMIC_RELAXED));
}

static void dispi_write(unsigned int index, __u16 val)
{
	__atomic_store_n(dispi(index), htole16(val), __ATOMIC_RELEASE);
}

static bool has_display(void)
{
	return dispi_read(DISPI_ID) == DISPI_ID_HEADS;
}

static int set_up(void)
{
	int ret;

	ret = vgpu_open(&vdev);
	if (ret == -ENODEV) {
		say("setup result=failed what=\"no vGPU here\"");
		return ret;
	}
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
	ticks_since = now_ms();
	last_tick = ticks_since;
	if (!ret)
		ret = ticks_start();
	if (ret) {
		say("setup result=failed what=\"error %d\"", -ret);
		return ret;
	}
	screen_init(GUEST_NAME);
	engine_write(&engine, NVVGPU_EMU_VF_REG_GUEST, 1);
	say("setup result=ok device=%s type=%u framebuffer=%llu", vdev.bdf,
	    engine_read(&engine, NVVGPU_EMU_VF_REG_TYPE),
	    engine_read64(&engine, NVVGPU_EMU_VF_REG_FB_SIZE));

	return 0;
}

/* Submit the batch and wait for its interrupt. */
static int flush(struct nvvgpu_emu_desc *batch, unsigned int *nr)
{
	if (!*nr)
		return 0;
	batch[*nr - 1].flags |= htole32(NVVGPU_EMU_DESC_IRQ);
	batch[*nr - 1].vector = htole32(ENGINE_VECTOR_DONE);
	/* Do not take a spurious interrupt of a migration for this job's. */
	engine.irqs += irq_wait(vdev.irq[ENGINE_VECTOR_DONE], 0);
	engine_submit(&engine, batch, *nr);
	*nr = 0;
	jobs++;
	if (said_before_ms() >= ALIVE_MS)
		say("alive");

	return engine_wait(&engine, JOB_TIMEOUT_MS);
}

/* Copy the buffer to VRAM or back, one descriptor per contiguous range. */
static int copy(bool to_vram, __u64 vram, size_t len)
{
	struct nvvgpu_emu_desc batch[BATCH];
	unsigned int nr = 0;
	size_t done = 0;
	int ret;

	while (done < len) {
		__u64 phys = buffer.phys[done / PAGE];
		size_t run = PAGE;

		while (run < MAX_RUN && done + run < len &&
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

/* Run one round; returns NULL or the name of the failed step. */
static const char *one_round(unsigned int round, size_t len, __u32 *crc)
{
	__u32 word = 0x01000193 * (round + 1), x = round + 1;
	__u32 *p = (__u32 *)buffer.mem;
	__u64 vram = (__u64)round % SLOTS * MAX_BYTES;
	struct nvvgpu_emu_desc fill;
	unsigned int one = 1;
	size_t i;

	/* Fill VRAM and compare */
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
	slots[round % SLOTS].len = len;
	slots[round % SLOTS].crc = *crc;

	return NULL;
}

static void display_on(unsigned int width, unsigned int height,
		       unsigned int stride)
{
	dispi_write(DISPI_ENABLE, 0);
	dispi_write(DISPI_XRES, width);
	dispi_write(DISPI_YRES, height);
	dispi_write(DISPI_BPP, 32);
	dispi_write(DISPI_VIRT_WIDTH, stride);
	dispi_write(DISPI_X_OFFSET, 0);
	dispi_write(DISPI_Y_OFFSET, 0);
	dispi_write(DISPI_ENABLE, 1);
}

/**
 * surface_set() - set a mode, with two pictures in the framebuffer
 * @surface: filled in
 * @width: pixels
 * @height: lines
 *
 * Return: false if there is no such mode.
 */
bool surface_set(struct surface *surface, unsigned int width,
		 unsigned int height)
{
	const size_t pixels = height * STRIDE;
	__u32 *fb = vdev.bar[NVVGPU_EMU_VF_BAR_FB];

	if (!has_display() || width > STRIDE ||
	    2 * pixels * sizeof(*fb) > vdev.bar_len[NVVGPU_EMU_VF_BAR_FB])
		return false;

	surface->half[0] = fb;
	surface->half[1] = fb + pixels;
	surface->stride = STRIDE;
	surface->height = height;
	memset(fb, 0, 2 * pixels * sizeof(*fb));
	display_on(width, height, STRIDE);

	return true;
}

/**
 * surface_flip() - display the other picture
 * @surface: the pictures
 * @half: the picture to be displayed
 *
 * Return: true.
 */
bool surface_flip(const struct surface *surface, unsigned int half)
{
	dispi_write(DISPI_Y_OFFSET, half * surface->height);

	return true;
}

/* Each line of each frame has a unique colour. */
static __u32 colour(unsigned int frame, unsigned int y)
{
	return (frame + 1) * FRAME_HEIGHT + y;
}

/* Draw the hidden frame, then display it. */
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
	dispi_write(DISPI_Y_OFFSET, line);
	frames = frame + 1;

	return NULL;
}

static bool is_frame(const __u8 *fb, unsigned int frame)
{
	unsigned int x, y;

	for (y = 0; y < FRAME_HEIGHT; y++) {
		const __u32 *line = (const __u32 *)(fb + y * FRAME_STRIDE);

		for (x = 0; x < FRAME_WIDTH; x++)
			if (le32toh(line[x]) != colour(frame, y))
				return false;
	}

	return true;
}

/* Check the displayed frame, located only through the display registers. */
static const char *look_at_frame(unsigned int frame)
{
	const size_t stride = dispi_read(DISPI_VIRT_WIDTH) * 4UL;
	const __u8 *fb = vdev.bar[NVVGPU_EMU_VF_BAR_FB];

	if (dispi_read(DISPI_ENABLE) != 1 ||
	    dispi_read(DISPI_XRES) != FRAME_WIDTH ||
	    dispi_read(DISPI_YRES) != FRAME_HEIGHT ||
	    dispi_read(DISPI_BPP) != 32 || stride != FRAME_STRIDE)
		return "display's mode";
	fb += dispi_read(DISPI_Y_OFFSET) * stride +
	      dispi_read(DISPI_X_OFFSET) * 4;

	return is_frame(fb, frame) ? NULL : "frame on the display";
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
	say("steady result=%s rounds=%u frames=%u jobs=%u interrupts=%u ticks=%llu gap=%u ms=%llu",
	    result, rounds, has_display() ? rounds : 0, jobs, engine.irqs,
	    ticks, tick_gap_ms, now_ms());
	tick_gap_ms = 0;
}

static void do_steady(size_t len)
{
	__u64 next = now_ms() + 1000;
	const bool display = has_display();
	const char *wrong = NULL;
	unsigned int rounds = 0;
	__u32 crc;

	engine.irqs = 0;
	jobs = 0;
	if (display)
		display_on(FRAME_WIDTH, FRAME_HEIGHT, FRAME_STRIDE / 4);
	say("steady result=begun bytes=%zu", len);
	while (!console_pending()) {
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

static void do_scatter(void)
{
	const __u64 size = engine_read64(&engine, NVVGPU_EMU_VF_REG_FB_SIZE);
	struct nvvgpu_emu_desc batch[BATCH];
	unsigned int nr = 0, i = 0;
	__u64 vram;

	for (vram = 0; vram < size; vram += MAX_BYTES) {
		batch[nr++] = engine_fill(NVVGPU_EMU_DESC_DST_VRAM,
					  vram + MAX_BYTES - SCATTERED,
					  SCATTERED, 0x9e3779b9 * ++i);
		if (nr == BATCH && flush(batch, &nr))
			break;
	}
	if (vram < size || flush(batch, &nr)) {
		complain("scatter", "fill");
		return;
	}
	say("scatter result=ok parts=%u bytes=%u", i, SCATTERED);
}

/* Check what the rounds wrote last to the buffer's part of VRAM, and clear it. */
static const char *check_slot(unsigned int slot)
{
	unsigned int i;

	if (slot < SLOTS) {
		if (crc32c(0, buffer.mem, slots[slot].len) != slots[slot].crc)
			return "CRC of a slot";
		memset(buffer.mem, 0, slots[slot].len);
	} else if (slot == FRAMES / MAX_BYTES) {
		for (i = frames; i && i + 2 > frames; i--)
			if (!is_frame(buffer.mem + (i - 1) % 2 * FRAME_HEIGHT *
				      FRAME_STRIDE, i - 1))
				return "frame";
		memset(buffer.mem, 0, 2 * FRAME_HEIGHT * FRAME_STRIDE);
	}

	return NULL;
}

static void do_sum(void)
{
	const __u64 size = engine_read64(&engine, NVVGPU_EMU_VF_REG_FB_SIZE);
	const __u64 since = now_ms();
	const char *wrong = NULL;
	__u64 vram, sum = 0, sums = 0;
	size_t i;

	for (vram = 0; vram < size && !wrong; vram += MAX_BYTES) {
		const __u64 *p = (const __u64 *)buffer.mem;

		if (copy(false, vram, MAX_BYTES)) {
			wrong = "copy from VRAM";
			break;
		}
		wrong = check_slot(vram / MAX_BYTES);
		for (i = 0; i < MAX_BYTES / sizeof(*p); i++) {
			sum += p[i];
			sums += sum;
		}
	}
	if (wrong) {
		complain("sum", wrong);
		return;
	}
	say("sum result=ok bytes=%llu sum=%016llx%016llx ms=%llu", size, sum,
	    sums, now_ms() - since);
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
	told = irq_wait(vdev.irq[ENGINE_VECTOR_ERROR], JOB_TIMEOUT_MS) > 0;
	say("bad result=%s addr=%#llx error=%s fault=%#llx interrupt=%s",
	    ret == -EIO && error.code == want && error.addr == OUTSIDE ?
	    "refused" : "failed", OUTSIDE, engine_error_name(error.code),
	    error.addr, told ? "yes" : "no");
	if (ret != -EIO || error.code != want || error.addr != OUTSIDE || !told)
		failures++;

	/* The engine must work again after a reset. */
	if (engine_start(&engine, (void *)ring.mem, ring.phys[0], RING)) {
		say("bad result=failed what=\"engine does not start again\"");
		failures++;
	}
}

static void do_peer(size_t len)
{
	struct nvvgpu_emu_desc desc;
	const char *wrong = NULL;
	__u32 crc, seen = 0;
	__u64 addr = 0;
	int ret;

	ret = peer_open(&peer, &vdev, &addr);
	if (ret) {
		say("peer result=failed what=\"error %d\"", -ret);
		failures++;
		return;
	}
	wrong = one_round(0, len, &crc);
	if (!wrong) {
		desc = engine_copy(NVVGPU_EMU_DESC_SRC_VRAM, addr, 0, len);
		if (engine_run(&engine, desc))
			wrong = "copy to the peer";
	}
	if (!wrong) {
		seen = crc32c(0, peer.bar[NVVGPU_EMU_VF_BAR_FB], len);
		if (seen != crc)
			wrong = "CRC of the peer's framebuffer";
	}
	if (wrong) {
		complain("peer", wrong);
		return;
	}
	say("peer result=ok device=%s addr=%#llx bytes=%zu crc32c=%08x",
	    peer.bdf, addr, len, seen);
}

static void do_reset(void)
{
	int ret;

	ret = vdev_reset(&vdev);

	if (!ret)
		ret = engine_start(&engine, (void *)ring.mem, ring.phys[0],
				   RING);
	if (ret) {
		say("reset result=failed what=\"error %d\"", -ret);
		failures++;
		return;
	}
	say("reset result=ok");
}

static bool is_size(size_t len)
{
	return len && len <= MAX_BYTES && !(len % PAGE);
}

static bool run_copy(char **arg)
{
	const size_t rounds = number(arg[0]), len = number(arg[1]);

	if (!rounds || !is_size(len))
		return false;
	do_copy(rounds, len);

	return true;
}

static bool run_steady(char **arg)
{
	const size_t len = number(arg[0]);

	if (!is_size(len))
		return false;
	do_steady(len);

	return true;
}

static bool run_scatter(char **arg)
{
	do_scatter();

	return true;
}

static bool run_sum(char **arg)
{
	do_sum();

	return true;
}

static bool run_bad(char **arg)
{
	const bool write = !strcmp(arg[0], "write");

	if (!write && strcmp(arg[0], "read"))
		return false;
	do_bad(write);

	return true;
}

static bool run_peer(char **arg)
{
	const size_t len = number(arg[0]);

	if (!is_size(len))
		return false;
	do_peer(len);

	return true;
}

static bool run_reset(char **arg)
{
	do_reset();

	return true;
}

static const struct command commands[] = {
	{ "copy", 2, run_copy },
	{ "steady", 1, run_steady },
	{ "scatter", 0, run_scatter },
	{ "sum", 0, run_sum },
	{ "bad", 1, run_bad },
	{ "mode", 2, screen_mode },
	{ "draw", 1, screen_draw },
	{ "move", 0, screen_move },
	{ "describe", 1, screen_describe },
	{ "peer", 1, run_peer },
	{ "reset", 0, run_reset },
	{ "log", 0, command_log },
	{ }
};

/**
 * job_run() - set up the vGPU, and run console commands until "quit"
 */
void job_run(void)
{
	char line[128];

	if (set_up())
		failures++;
	while (!command_read(line, sizeof(line)) && strcmp(line, "quit")) {
		if (failures && strcmp(line, "log"))
			say("result=failed what=\"not after a failure\"");
		else
			command_run(commands, line);
	}
	if (engine.regs)
		engine_write(&engine, NVVGPU_EMU_VF_REG_GUEST, 0);
	vdev_close(&vdev);
	say("RESULT %s", failures ? "failed" : "ok");
}
