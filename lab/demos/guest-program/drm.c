// SPDX-License-Identifier: GPL-2.0
/*
 * The job of a Linux guest whose vGPU is driven by the kernel's own driver, bochs-drm
 *
 * Commands on the console, beside those of command.c:
 *
 *   text WORD          write lines of text to the virtual terminal
 *   sum-console        print a checksum of the framebuffer console's pixels
 *   mode WIDTH HEIGHT  set a mode through /dev/dri/card0
 *   draw FRAME         draw a frame into the hidden buffer, and flip
 *   move               draw one frame after another until the next line arrives
 *   describe FRAME     print every pixel of a frame
 *   reset              unbind the driver and reset the vGPU; "mode" binds it again
 *   quit               power off
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <drm/drm.h>
#include <drm/drm_mode.h>
#include <linux/fb.h>

#include "command.h"
#include "job.h"
#include "lib/backend.h"
#include "screen.h"

#define DRIVER		"/sys/bus/pci/drivers/bochs-drm"
#define CARD		"/dev/dri/card0"
#define TEXT_LINES	20
#define MAX_MODES	128

/* A dumb buffer, registered as a framebuffer */
struct buffer {
	__u32 handle;
	__u32 id;
	__u64 len;
	void *map;
};

static int card = -1;
static __u32 crtc;
static struct buffer buffers[2];
static char bdf[BDF_LEN];

/* Find the device that the driver is bound to. */
static int find_device(void)
{
	struct dirent *entry;
	DIR *dir = opendir(DRIVER);
	int ret = -ENODEV;

	if (!dir)
		return -errno;
	while (ret && (entry = readdir(dir))) {
		if (!strchr(entry->d_name, ':'))
			continue;
		snprintf(bdf, sizeof(bdf), "%.15s", entry->d_name);
		ret = 0;
	}
	closedir(dir);

	return ret;
}

static bool buffer_free(struct buffer *buffer)
{
	struct drm_mode_destroy_dumb dumb = { .handle = buffer->handle };

	if (buffer->map)
		munmap(buffer->map, buffer->len);
	if (buffer->id)
		ioctl(card, DRM_IOCTL_MODE_RMFB, &buffer->id);
	if (buffer->handle)
		ioctl(card, DRM_IOCTL_MODE_DESTROY_DUMB, &dumb);
	memset(buffer, 0, sizeof(*buffer));

	return false;
}

static bool buffer_new(struct buffer *buffer, unsigned int width,
		       unsigned int height, __u32 *pitch)
{
	struct drm_mode_create_dumb dumb = {
		.width = width,
		.height = height,
		.bpp = 32,
	};
	struct drm_mode_map_dumb where = {};
	struct drm_mode_fb_cmd fb = {
		.width = width,
		.height = height,
		.bpp = 32,
		.depth = 24,
	};
	void *map;

	if (ioctl(card, DRM_IOCTL_MODE_CREATE_DUMB, &dumb))
		return false;
	buffer->handle = dumb.handle;
	buffer->len = dumb.size;
	fb.pitch = dumb.pitch;
	fb.handle = dumb.handle;
	where.handle = dumb.handle;
	if (ioctl(card, DRM_IOCTL_MODE_ADDFB, &fb))
		return buffer_free(buffer);
	buffer->id = fb.fb_id;
	if (ioctl(card, DRM_IOCTL_MODE_MAP_DUMB, &where))
		return buffer_free(buffer);
	map = mmap(NULL, buffer->len, PROT_READ | PROT_WRITE, MAP_SHARED, card,
		   where.offset);
	if (map == MAP_FAILED)
		return buffer_free(buffer);
	buffer->map = map;
	memset(map, 0, buffer->len);
	*pitch = dumb.pitch;

	return true;
}

/* Find the CRTC and the connector; bochs-drm has one of each. */
static bool find_output(__u32 *connector)
{
	struct drm_mode_card_res res = {
		.crtc_id_ptr = (uintptr_t)&crtc,
		.connector_id_ptr = (uintptr_t)connector,
		.count_crtcs = 1,
		.count_connectors = 1,
	};

	return !ioctl(card, DRM_IOCTL_MODE_GETRESOURCES, &res) &&
	       res.count_crtcs == 1 && res.count_connectors == 1;
}

/* Set a mode that the connector lists. */
static bool set_mode(__u32 connector, unsigned int width, unsigned int height)
{
	static struct drm_mode_modeinfo modes[MAX_MODES];
	struct drm_mode_get_connector get = { .connector_id = connector };
	struct drm_mode_crtc set = {
		.set_connectors_ptr = (uintptr_t)&connector,
		.count_connectors = 1,
		.crtc_id = crtc,
		.fb_id = buffers[0].id,
		.mode_valid = 1,
	};
	unsigned int i;

	/* The first call probes the modes, and counts them. */
	if (ioctl(card, DRM_IOCTL_MODE_GETCONNECTOR, &get) ||
	    get.count_modes > MAX_MODES)
		return false;
	get.modes_ptr = (uintptr_t)modes;
	get.count_props = 0;
	get.count_encoders = 0;
	if (ioctl(card, DRM_IOCTL_MODE_GETCONNECTOR, &get))
		return false;
	for (i = 0; i < get.count_modes && i < MAX_MODES; i++) {
		if (modes[i].hdisplay != width || modes[i].vdisplay != height)
			continue;
		set.mode = modes[i];
		return !ioctl(card, DRM_IOCTL_MODE_SETCRTC, &set);
	}

	return false;
}

static bool open_card(void)
{
	if (card >= 0)
		return true;
	if (find_device() && put(DRIVER "/bind", bdf))
		return false;
	card = open(CARD, O_RDWR | O_CLOEXEC);

	return card >= 0;
}

/**
 * surface_set() - set a mode, with two dumb buffers
 * @surface: filled in
 * @width: pixels
 * @height: lines
 *
 * Return: false if there is no such mode.
 */
bool surface_set(struct surface *surface, unsigned int width,
		 unsigned int height)
{
	struct buffer old[2];
	__u32 connector, pitch = 0;
	bool ok;

	if (!open_card())
		return false;
	memcpy(old, buffers, sizeof(old));
	memset(buffers, 0, sizeof(buffers));
	ok = find_output(&connector) &&
	     buffer_new(&buffers[0], width, height, &pitch) &&
	     buffer_new(&buffers[1], width, height, &pitch) &&
	     set_mode(connector, width, height);
	buffer_free(&old[0]);
	buffer_free(&old[1]);

	surface->half[0] = buffers[0].map;
	surface->half[1] = buffers[1].map;
	surface->stride = pitch / sizeof(__u32);
	surface->height = height;

	return ok;
}

/**
 * surface_flip() - display the other buffer, and wait until it is displayed
 * @surface: the pictures
 * @half: the buffer to be displayed
 *
 * Return: false if the driver refuses.
 */
bool surface_flip(const struct surface *surface, unsigned int half)
{
	struct drm_mode_crtc_page_flip flip = {
		.crtc_id = crtc,
		.fb_id = buffers[half].id,
		.flags = DRM_MODE_PAGE_FLIP_EVENT,
	};
	struct drm_event_vblank event;

	if (ioctl(card, DRM_IOCTL_MODE_PAGE_FLIP, &flip))
		return false;

	return read(card, &event, sizeof(event)) == sizeof(event) &&
	       event.base.type == DRM_EVENT_FLIP_COMPLETE;
}

static bool run_text(char **arg)
{
	FILE *tty = fopen("/dev/tty1", "w");
	unsigned int i;

	if (!tty)
		return false;
	/* Hide the cursor, which blinks. */
	fputs("\033[?25l", tty);
	for (i = 0; i < TEXT_LINES; i++)
		fprintf(tty, "\033[3%um%2u %s: text of the Linux console\n",
			1 + i % 7, i, arg[0]);
	if (fclose(tty))
		return false;
	say("text result=ok lines=%u", TEXT_LINES);

	return true;
}

/* CRC-32 as of zlib, of the pixels as red, green and blue */
static __u32 sum_pixels(const __u32 *pixels, unsigned int width,
			unsigned int height, size_t stride)
{
	unsigned int x, y, bit;
	__u32 crc = ~0U;
	int shift;

	for (y = 0; y < height; y++)
		for (x = 0; x < width; x++)
			for (shift = 16; shift >= 0; shift -= 8) {
				crc ^= pixels[y * stride + x] >> shift & 0xff;
				for (bit = 0; bit < 8; bit++)
					crc = crc >> 1 ^
					      (crc & 1 ? 0xedb88320 : 0);
			}

	return ~crc;
}

static bool run_sum_console(char **arg)
{
	struct fb_var_screeninfo var;
	struct fb_fix_screeninfo fix;
	int fd = open("/dev/fb0", O_RDWR | O_CLOEXEC);
	bool ok = false;
	void *map;

	if (fd < 0)
		return false;
	if (ioctl(fd, FBIOGET_VSCREENINFO, &var) ||
	    ioctl(fd, FBIOGET_FSCREENINFO, &fix) || var.bits_per_pixel != 32)
		goto out_close;
	map = mmap(NULL, fix.smem_len, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		goto out_close;
	say("sum-console result=ok size=%ux%u crc32=%08x", var.xres, var.yres,
	    sum_pixels(map, var.xres, var.yres,
		       fix.line_length / sizeof(__u32)));
	munmap(map, fix.smem_len);
	ok = true;
out_close:
	close(fd);

	return ok;
}

static bool run_reset(char **arg)
{
	screen_forget();
	if (card >= 0) {
		buffer_free(&buffers[0]);
		buffer_free(&buffers[1]);
		close(card);
		card = -1;
	}
	if (find_device() || put(DRIVER "/unbind", bdf) ||
	    pci_write(bdf, "reset", "1"))
		return false;
	say("reset result=ok");

	return true;
}

static const struct command commands[] = {
	{ "text", 1, run_text },
	{ "sum-console", 0, run_sum_console },
	{ "mode", 2, screen_mode },
	{ "draw", 1, screen_draw },
	{ "move", 0, screen_move },
	{ "describe", 1, screen_describe },
	{ "reset", 0, run_reset },
	{ "log", 0, command_log },
	{ }
};

/* There is no timer. */
void job_tick(__u64 count)
{
}

/**
 * job_run() - run console commands until "quit"
 */
void job_run(void)
{
	char line[128];

	screen_init("drawn through /dev/dri of Linux");
	if (find_device())
		say("setup result=failed what=\"no driver is bound\"");
	else
		say("setup result=ok device=%s driver=bochs-drm", bdf);
	while (!command_read(line, sizeof(line)) && strcmp(line, "quit"))
		command_run(commands, line);
	say("RESULT ok");
}
