/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The screen of a guest: pictures in the framebuffer of its vGPU
 */
#ifndef _NVVGPU_GUEST_SCREEN_H
#define _NVVGPU_GUEST_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

/**
 * struct surface - the pictures of a mode
 * @half: two of them, which are displayed alternately
 * @stride: pixels from one line to the next
 * @height: lines
 */
struct surface {
	__u32 *half[2];
	size_t stride;
	unsigned int height;
};

/* In job.c and drm.c; surface_set() displays the first picture, which is black. */
bool surface_set(struct surface *surface, unsigned int width,
		 unsigned int height);
bool surface_flip(const struct surface *surface, unsigned int half);

void screen_init(const char *text);
void screen_forget(void);

/* Commands on the console, see command.h */
bool screen_mode(char **arg);
bool screen_draw(char **arg);
bool screen_move(char **arg);
bool screen_describe(char **arg);

#endif /* _NVVGPU_GUEST_SCREEN_H */
