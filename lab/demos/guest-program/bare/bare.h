/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest without an operating system: internal header
 *
 * It runs on one CPU in long mode and ring 0, with an identity mapping.
 */
#ifndef _NVVGPU_GUEST_BARE_H
#define _NVVGPU_GUEST_BARE_H

/* Vectors of the interrupt table; the first 32 are the CPU's exceptions. */
#define VECTOR_TIMER		32
#define VECTOR_MSIX		33
#define NR_MSIX			8
#define VECTOR_SPURIOUS		63
#define NR_VECTORS		64

#ifndef __ASSEMBLER__

#include <stddef.h>

#include <linux/types.h>

/* Target of interrupt messages: the local APIC of the only CPU */
#define MSI_ADDRESS		0xfee00000

static inline void out8(__u16 port, __u8 val)
{
	asm volatile("outb %0, %1" : : "a" (val), "d" (port));
}

static inline void out16(__u16 port, __u16 val)
{
	asm volatile("outw %0, %1" : : "a" (val), "d" (port));
}

static inline void out32(__u16 port, __u32 val)
{
	asm volatile("outl %0, %1" : : "a" (val), "d" (port));
}

static inline __u8 in8(__u16 port)
{
	__u8 val;

	asm volatile("inb %1, %0" : "=a" (val) : "d" (port));

	return val;
}

static inline __u16 in16(__u16 port)
{
	__u16 val;

	asm volatile("inw %1, %0" : "=a" (val) : "d" (port));

	return val;
}

static inline __u32 in32(__u16 port)
{
	__u32 val;

	asm volatile("inl %1, %0" : "=a" (val) : "d" (port));

	return val;
}

/* Accessors of memory-mapped registers; writes are ordered. */
static inline __u32 io_read(const __u32 *reg)
{
	return __atomic_load_n(reg, __ATOMIC_RELAXED);
}

static inline void io_write(__u32 *reg, __u32 val)
{
	__atomic_store_n(reg, val, __ATOMIC_RELEASE);
}

/* boot.S and bare.lds */
extern __u64 page_root[];
extern const char vectors[NR_VECTORS][16];
extern char bss_end[];

/**
 * struct frame - stack frame of an interrupt
 * @vector: the vector
 * @error: error code of the exception, or 0
 * @ip: address of the interrupted instruction
 */
struct frame {
	__u64 vector;
	__u64 error;
	__u64 ip;
};

/* cpu.c */
int main(void);
void interrupt(const struct frame *frame);
void cpu_idle(void);
void *cpu_map_io(__u64 phys, __u64 len);
void *cpu_alloc(size_t len);

/* console.c */
void console_init(void);

#endif /* __ASSEMBLER__ */
#endif /* _NVVGPU_GUEST_BARE_H */
