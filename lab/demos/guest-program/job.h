/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The job of a guest, and its interface to the platform: process 1 of Linux
 * (linux.c), or no operating system (bare/). drm.c is another job, for Linux only.
 *
 * The job accesses the device through the selftests' library, lib/vfio.h. On
 * bare hardware, bare/pci.c implements the part of it that the job uses.
 */
#ifndef _NVVGPU_GUEST_JOB_H
#define _NVVGPU_GUEST_JOB_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

#include "lib/vfio.h"

#define PAGE		4096UL

/* Period of the job's timer */
#define TICK_MS		50

/**
 * struct area - memory for DMA, which does not move
 * @mem: virtually contiguous memory
 * @phys: guest physical address of each page
 */
struct area {
	__u8 *mem;
	__u64 *phys;
};

/* Name of the guest in the picture */
#if __STDC_HOSTED__
#define GUEST_NAME	"drawn by a program on Linux"
#else
#define GUEST_NAME	"drawn by a guest without an operating system"
#endif

/* The job */
void job_run(void);
void job_tick(__u64 count);

/* The platform; errors are negative errno values */
int area_alloc(struct area *area, size_t len);
int vgpu_open(struct vdev *vdev);
/*
 * Map the framebuffer of a second vGPU, and get its guest physical address; -ENODEV
 * without one.
 */
int peer_open(struct vdev *peer, const struct vdev *vdev, __u64 *phys);
/* Call job_tick() every TICK_MS, from a thread or an interrupt. */
int ticks_start(void);
void console_write(const char *text, size_t len);
/* Returns a character, or -EPIPE at the end of the input. */
int console_read(void);
bool console_pending(void);
/* Write the platform's log to the console, and return its length. */
size_t log_write(void);

#endif /* _NVVGPU_GUEST_JOB_H */
