// SPDX-License-Identifier: GPL-2.0
/*
 * A guest without an operating system: memory, interrupts and time
 *
 * Requires a local APIC, whose timer wakes the CPU, and an HPET, whose counter is
 * the clock. QEMU's machines "q35" and "pc" have both, with KVM and without.
 */
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "job.h"
#include "lib/clock.h"
#include "bare.h"

/* Page tables, all four levels of them */
#define PAGE_PRESENT		0x1ULL
#define PAGE_WRITE		0x2ULL
#define PAGE_UNCACHED		0x18ULL
#define PAGE_LARGE		0x80ULL
#define PAGE_ADDRESS		0x000ffffffffff000ULL
#define LARGE			(2ULL << 20)

/* Interrupt table */
#define CODE			0x08
#define GATE_INTERRUPT		0x8e

#define PIC_MASK_MASTER		0x21
#define PIC_MASK_SLAVE		0xa1

/* Local APIC, as 32-bit registers 16 bytes apart */
#define MSR_APIC_BASE		0x1b
#define APIC_EOI		(0x0b0 / 4)
#define APIC_SPURIOUS		(0x0f0 / 4)
#define   APIC_ENABLE		0x100
#define APIC_LVT_TIMER		(0x320 / 4)
#define APIC_TIMER_COUNT	(0x380 / 4)
#define APIC_TIMER_DIVIDE	(0x3e0 / 4)
#define   APIC_DIVIDE_1		0x0b

/* The timer counts nanoseconds in QEMU and in KVM. */
#define APIC_NS_PER_MS		1000000

/* HPET, as 32-bit registers */
#define HPET_BASE		0xfed00000
#define HPET_PERIOD_FS		(0x04 / 4)
#define   HPET_PERIOD_MAX	100000000
#define HPET_CONFIG		(0x10 / 4)
#define   HPET_ENABLE		0x1
#define HPET_COUNTER		(0xf0 / 4)

/* Reset ports of the chipset and of the keyboard controller */
#define RESET_CONTROL		0xcf9
#define   RESET_HARD		0x06
#define KEYBOARD_COMMAND	0x64
#define   KEYBOARD_RESET	0xfe

/**
 * struct gate - entry of the interrupt table
 * @offset_low: bits 0 to 15 of the handler's address
 * @selector: code segment
 * @stack: 0, to stay on the current stack
 * @type: GATE_INTERRUPT
 * @offset_mid: bits 16 to 31 of the handler's address
 * @offset_high: bits 32 to 63 of the handler's address
 * @reserved: 0
 */
struct gate {
	__u16 offset_low;
	__u16 selector;
	__u8 stack;
	__u8 type;
	__u16 offset_mid;
	__u32 offset_high;
	__u32 reserved;
};

static struct gate gates[NR_VECTORS];
static __u32 *apic, *hpet;
static atomic_uint irqs[NR_MSIX];
static atomic_bool ticking;
static __u64 next_tick_ms;
static char *free_memory = bss_end;

/**
 * cpu_alloc() - allocate memory permanently
 * @len: bytes
 *
 * Takes memory from the unused RAM behind the program.
 *
 * Return: zeroed, page-aligned memory.
 */
void *cpu_alloc(size_t len)
{
	char *mem = (char *)(((__u64)free_memory + PAGE - 1) & -PAGE);

	free_memory = mem + len;

	return memset(mem, 0, len);
}

/**
 * area_alloc() - allocate memory, whose physical addresses equal the virtual ones
 * @area: filled in
 * @len: bytes, a multiple of the page size
 *
 * Return: 0.
 */
int area_alloc(struct area *area, size_t len)
{
	size_t i;

	area->mem = cpu_alloc(len);
	area->phys = cpu_alloc(len / PAGE * sizeof(*area->phys));
	for (i = 0; i < len / PAGE; i++)
		area->phys[i] = (__u64)area->mem + i * PAGE;

	return 0;
}

static __u64 *next_level(__u64 *entry)
{
	if (!*entry)
		*entry = (__u64)cpu_alloc(PAGE) | PAGE_PRESENT | PAGE_WRITE;

	return (__u64 *)(*entry & PAGE_ADDRESS);
}

/**
 * cpu_map_io() - map memory of a device at its physical address
 * @phys: the address, above the first GiB
 * @len: bytes
 *
 * Return: the address.
 */
void *cpu_map_io(__u64 phys, __u64 len)
{
	__u64 addr, *map, *directory;

	for (addr = phys & -LARGE; addr < phys + len; addr += LARGE) {
		map = next_level(&page_root[addr >> 39 & 511]);
		directory = next_level(&map[addr >> 30 & 511]);
		directory[addr >> 21 & 511] = addr | PAGE_PRESENT | PAGE_WRITE |
					      PAGE_UNCACHED | PAGE_LARGE;
	}

	return (void *)phys;
}

/* End QEMU, which runs with -no-reboot. */
[[gnu::noreturn]] static void cpu_reset(void)
{
	out8(RESET_CONTROL, RESET_HARD);
	out8(KEYBOARD_COMMAND, KEYBOARD_RESET);
	for (;;)
		asm volatile("cli; hlt");
}

/* Sleep until the next interrupt, at the latest that of the timer. */
void cpu_idle(void)
{
	asm volatile("hlt" : : : "memory");
}

static __u64 hpet_counter(void)
{
	__u32 high, low;

	do {
		high = io_read(&hpet[HPET_COUNTER + 1]);
		low = io_read(&hpet[HPET_COUNTER]);
	} while (high != io_read(&hpet[HPET_COUNTER + 1]));

	return (__u64)high << 32 | low;
}

/**
 * clock_gettime() - get the time since power-on
 * @clock: CLOCK_MONOTONIC
 * @ts: filled in
 *
 * Return: 0.
 */
int clock_gettime(clockid_t clock, struct timespec *ts)
{
	const __u64 ns = hpet_counter() * (io_read(&hpet[HPET_PERIOD_FS]) / 1000) / 1000;

	ts->tv_sec = ns / 1000000000;
	ts->tv_nsec = ns % 1000000000;

	return 0;
}

/**
 * usleep() - sleep with interrupts enabled
 * @us: microseconds; rounded up to a tick of the timer
 *
 * Return: 0.
 */
int usleep(useconds_t us)
{
	const __u64 end = now_ms() + us / 1000;

	while (now_ms() <= end)
		cpu_idle();

	return 0;
}

/**
 * irq_wait_any() - wait for one of several vectors without clearing their counts
 * @irq: indices of MSI-X vectors
 * @nr: number of @irq
 * @timeout_ms: timeout, 0 to poll
 *
 * Return: true if one of them has been raised.
 */
bool irq_wait_any(const int *irq, unsigned int nr, int timeout_ms)
{
	const __u64 end = now_ms() + timeout_ms;
	unsigned int i;

	for (;;) {
		/* sti enables interrupts only after hlt, so none is missed. */
		asm volatile("cli" : : : "memory");
		for (i = 0; i < nr && !irqs[irq[i]]; i++)
			;
		if (i < nr || now_ms() >= end)
			break;
		asm volatile("sti; hlt" : : : "memory");
	}
	asm volatile("sti" : : : "memory");

	return i < nr;
}

/**
 * irq_wait() - wait for a vector and clear its count
 * @irq: index of an MSI-X vector
 * @timeout_ms: timeout, 0 to poll
 *
 * Return: the number of interrupts, 0 after a timeout.
 */
int irq_wait(int irq, int timeout_ms)
{
	if (!irq_wait_any(&irq, 1, timeout_ms))
		return 0;

	return atomic_exchange(&irqs[irq], 0);
}

/**
 * ticks_start() - call job_tick() from now on
 *
 * Return: 0.
 */
int ticks_start(void)
{
	ticking = true;

	return 0;
}

/* The timer is one-shot; arm it for the next multiple of the period. */
static void tick(void)
{
	const __u64 now = now_ms();
	__u64 count = 0;

	while (next_tick_ms <= now) {
		next_tick_ms += TICK_MS;
		count++;
	}
	io_write(&apic[APIC_TIMER_COUNT], (next_tick_ms - now) * APIC_NS_PER_MS);
	if (ticking && count)
		job_tick(count);
}

/* Called by the interrupt entries in boot.S with interrupts disabled */
void interrupt(const struct frame *frame)
{
	if (frame->vector < VECTOR_TIMER) {
		say("RESULT failed exception=%u error=%#llx ip=%#llx",
		    (unsigned int)frame->vector, frame->error, frame->ip);
		cpu_reset();
	}
	if (frame->vector == VECTOR_SPURIOUS)
		return;
	if (frame->vector == VECTOR_TIMER)
		tick();
	else if (frame->vector < VECTOR_MSIX + NR_MSIX)
		irqs[frame->vector - VECTOR_MSIX]++;
	io_write(&apic[APIC_EOI], 0);
}

static __u64 read_msr(__u32 msr)
{
	__u32 low, high;

	asm volatile("rdmsr" : "=a" (low), "=d" (high) : "c" (msr));

	return (__u64)high << 32 | low;
}

static void gates_init(void)
{
	/* The limit is next to the address, in 16 bits. */
	struct {
		__u16 reserved[3];
		__u16 limit;
		const void *base;
	} pointer = { .limit = sizeof(gates) - 1, .base = gates };
	unsigned int i;

	for (i = 0; i < NR_VECTORS; i++) {
		const __u64 entry = (__u64)vectors[i];

		gates[i] = (struct gate){
			.offset_low = entry,
			.selector = CODE,
			.type = GATE_INTERRUPT,
			.offset_mid = entry >> 16,
			.offset_high = entry >> 32,
		};
	}
	asm volatile("lidt %0" : : "m" (pointer.limit), "m" (pointer.base));
}

static void cpu_init(void)
{
	__u32 period;

	gates_init();

	hpet = cpu_map_io(HPET_BASE, PAGE);
	period = io_read(&hpet[HPET_PERIOD_FS]);
	if (!period || period > HPET_PERIOD_MAX) {
		say("setup result=failed what=\"no HPET\"");
		cpu_reset();
	}
	io_write(&hpet[HPET_CONFIG], HPET_ENABLE);

	/* Mask the interrupts that the firmware has routed through the PICs. */
	out8(PIC_MASK_MASTER, 0xff);
	out8(PIC_MASK_SLAVE, 0xff);

	apic = cpu_map_io(read_msr(MSR_APIC_BASE) & PAGE_ADDRESS, PAGE);
	io_write(&apic[APIC_SPURIOUS], APIC_ENABLE | VECTOR_SPURIOUS);
	io_write(&apic[APIC_LVT_TIMER], VECTOR_TIMER);
	io_write(&apic[APIC_TIMER_DIVIDE], APIC_DIVIDE_1);
	next_tick_ms = now_ms();
	tick();
	asm volatile("sti" : : : "memory");
}

int main(void)
{
	console_init();
	cpu_init();
	job_run();
	cpu_reset();
}
