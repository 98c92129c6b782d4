/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Entry from QEMU's direct boot to C in long mode, and interrupt entries
 */
#include "bare.h"

#define CODE		0x08
#define CR0_WP_PG	0x80010000
#define CR4_PAE		0x20
#define MSR_EFER	0xc0000080
#define EFER_LME	0x100
#define PRESENT_WRITE	0x3
#define LARGE_PAGE	0x80

/*
 * Note of type 18, XEN_ELFNOTE_PHYS32_ENTRY, by which QEMU's -kernel detects a
 * kernel with PVH, Xen's boot protocol for hardware virtual machines.
 */
	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 8, 18
	.asciz "Xen"
	.quad start

/* Entry in 32-bit protected mode: flat segments, paging and interrupts off */
	.text
	.code32
	.globl start
start:
	cld
	movl $bss_start, %edi
	movl $bss_end, %ecx
	subl %edi, %ecx
	xorl %eax, %eax
	rep stosb
	movl $stack_end, %esp

	/* Map the first GiB, which has the RAM, with pages of 2 MiB. */
	movl $page_map + PRESENT_WRITE, page_root
	movl $page_directory + PRESENT_WRITE, page_map
	movl $page_directory, %edi
	movl $PRESENT_WRITE + LARGE_PAGE, %eax
1:	movl %eax, (%edi)
	addl $8, %edi
	addl $0x200000, %eax
	cmpl $0x40000000, %eax
	jb 1b

	movl $page_root, %eax
	movl %eax, %cr3
	movl %cr4, %eax
	orl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $MSR_EFER, %ecx
	rdmsr
	orl $EFER_LME, %eax
	wrmsr
	movl %cr0, %eax
	orl $CR0_WP_PG, %eax
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $CODE, $long_mode

	.code64
long_mode:
	xorl %eax, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %fs
	movl %eax, %gs
	movl %eax, %ss
	call main
	ud2

	.section .rodata
	.balign 8
gdt:
	.quad 0
	.quad 0x00209a0000000000	/* 64-bit code, ring 0 */
gdt_pointer:
	.word . - gdt - 1
	.long gdt

/*
 * One entry of 16 bytes for each vector. Some exceptions push an error code; push 0
 * for the others.
 */
#define ERROR_CODES	(1 << 8 | 0x1f << 10 | 1 << 17 | 1 << 21 | 3 << 29)

	.text
	.balign 16
	.globl vectors
vectors:
	.set n, 0
	.rept NR_VECTORS
	.balign 16
	.if n >= 32 || !(ERROR_CODES >> n & 1)
	pushq $0
	.endif
	pushq $n
	jmp enter
	.set n, n + 1
	.endr

/* Call interrupt() with a struct frame, whose first member is the vector. */
enter:
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	cld
	leaq 72(%rsp), %rdi
	call interrupt
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rdx
	popq %rcx
	popq %rax
	addq $16, %rsp
	iretq

	.bss
	.balign 4096
	.globl page_root
page_root:
	.skip 4096
page_map:
	.skip 4096
page_directory:
	.skip 4096
	.skip 65536
stack_end:

	.section .note.GNU-stack, "", @progbits
