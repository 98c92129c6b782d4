/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The screen of a guest: pictures in the framebuffer of its vGPU
 */
#ifndef _NVVGPU_GUEST_SCREEN_H
#define _NVVGPU_GUEST_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

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

/* In job.c */
__u16 dispi_read(unsigned int index);
void dispi_write(unsigned int index, __u16 val);

void screen_init(__u32 *framebuffer, size_t len, const char *owner);
bool screen_mode(unsigned int width, unsigned int height);
bool screen_draw(unsigned int frame);
bool screen_move(void);
bool screen_describe(unsigned int frame);

#endif /* _NVVGPU_GUEST_SCREEN_H */
