// SPDX-License-Identifier: GPL-2.0
/*
 * The screen of a guest: pictures in the framebuffer of its vGPU
 *
 * A frame is a function of its number and of the mode. The guest draws it into the half
 * of the framebuffer that is not displayed, flips, and can describe every frame pixel
 * by pixel on its console, so that a screendump can be compared with it.
 */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "job.h"
#include "lib/clock.h"
#include "screen.h"

#define MAX_WIDTH	1024
#define MAX_HEIGHT	1024

/* The number of the frame, in blocks of black and white at the top */
#define CODE_BITS	16
#define CODE_WIDTH	16
#define CODE_HEIGHT	8

/* Columns of a character, the lowest bit on top; one column and some rows are blank. */
#define FONT_COLUMNS	5
#define FONT_ROWS	7
#define FONT_SCALE	2
#define CELL_WIDTH	((FONT_COLUMNS + 1) * FONT_SCALE)
#define CELL_HEIGHT	((FONT_ROWS + 3) * FONT_SCALE)

#define MARGIN		16
#define RADIUS		24

static const __u8 font[][FONT_COLUMNS] = {
	['%'] = { 0x23, 0x13, 0x08, 0x64, 0x62 },
	['('] = { 0x00, 0x1c, 0x22, 0x41, 0x00 },
	[')'] = { 0x00, 0x41, 0x22, 0x1c, 0x00 },
	[','] = { 0x00, 0x80, 0x70, 0x30, 0x00 },
	['-'] = { 0x08, 0x08, 0x08, 0x08, 0x08 },
	['.'] = { 0x00, 0x00, 0x60, 0x60, 0x00 },
	['/'] = { 0x20, 0x10, 0x08, 0x04, 0x02 },
	['0'] = { 0x3e, 0x51, 0x49, 0x45, 0x3e },
	['1'] = { 0x00, 0x42, 0x7f, 0x40, 0x00 },
	['2'] = { 0x72, 0x49, 0x49, 0x49, 0x46 },
	['3'] = { 0x21, 0x41, 0x49, 0x4d, 0x33 },
	['4'] = { 0x18, 0x14, 0x12, 0x7f, 0x10 },
	['5'] = { 0x27, 0x45, 0x45, 0x45, 0x39 },
	['6'] = { 0x3c, 0x4a, 0x49, 0x49, 0x31 },
	['7'] = { 0x41, 0x21, 0x11, 0x09, 0x07 },
	['8'] = { 0x36, 0x49, 0x49, 0x49, 0x36 },
	['9'] = { 0x46, 0x49, 0x49, 0x29, 0x1e },
	[':'] = { 0x00, 0x00, 0x14, 0x00, 0x00 },
	['A'] = { 0x7c, 0x12, 0x11, 0x12, 0x7c },
	['B'] = { 0x7f, 0x49, 0x49, 0x49, 0x36 },
	['C'] = { 0x3e, 0x41, 0x41, 0x41, 0x22 },
	['D'] = { 0x7f, 0x41, 0x41, 0x41, 0x3e },
	['E'] = { 0x7f, 0x49, 0x49, 0x49, 0x41 },
	['F'] = { 0x7f, 0x09, 0x09, 0x09, 0x01 },
	['G'] = { 0x3e, 0x41, 0x41, 0x51, 0x73 },
	['H'] = { 0x7f, 0x08, 0x08, 0x08, 0x7f },
	['I'] = { 0x00, 0x41, 0x7f, 0x41, 0x00 },
	['J'] = { 0x20, 0x40, 0x41, 0x3f, 0x01 },
	['K'] = { 0x7f, 0x08, 0x14, 0x22, 0x41 },
	['L'] = { 0x7f, 0x40, 0x40, 0x40, 0x40 },
	['M'] = { 0x7f, 0x02, 0x1c, 0x02, 0x7f },
	['N'] = { 0x7f, 0x04, 0x08, 0x10, 0x7f },
	['O'] = { 0x3e, 0x41, 0x41, 0x41, 0x3e },
	['P'] = { 0x7f, 0x09, 0x09, 0x09, 0x06 },
	['Q'] = { 0x3e, 0x41, 0x51, 0x21, 0x5e },
	['R'] = { 0x7f, 0x09, 0x19, 0x29, 0x46 },
	['S'] = { 0x26, 0x49, 0x49, 0x49, 0x32 },
	['T'] = { 0x03, 0x01, 0x7f, 0x01, 0x03 },
	['U'] = { 0x3f, 0x40, 0x40, 0x40, 0x3f },
	['V'] = { 0x1f, 0x20, 0x40, 0x20, 0x1f },
	['W'] = { 0x3f, 0x40, 0x38, 0x40, 0x3f },
	['X'] = { 0x63, 0x14, 0x08, 0x14, 0x63 },
	['Y'] = { 0x03, 0x04, 0x78, 0x04, 0x03 },
	['Z'] = { 0x61, 0x59, 0x49, 0x4d, 0x43 },
	['a'] = { 0x20, 0x54, 0x54, 0x78, 0x40 },
	['b'] = { 0x7f, 0x28, 0x44, 0x44, 0x38 },
	['c'] = { 0x38, 0x44, 0x44, 0x44, 0x28 },
	['d'] = { 0x38, 0x44, 0x44, 0x28, 0x7f },
	['e'] = { 0x38, 0x54, 0x54, 0x54, 0x18 },
	['f'] = { 0x00, 0x08, 0x7e, 0x09, 0x02 },
	['g'] = { 0x18, 0xa4, 0xa4, 0x9c, 0x78 },
	['h'] = { 0x7f, 0x08, 0x04, 0x04, 0x78 },
	['i'] = { 0x00, 0x44, 0x7d, 0x40, 0x00 },
	['j'] = { 0x20, 0x40, 0x40, 0x3d, 0x00 },
	['k'] = { 0x7f, 0x10, 0x28, 0x44, 0x00 },
	['l'] = { 0x00, 0x41, 0x7f, 0x40, 0x00 },
	['m'] = { 0x7c, 0x04, 0x78, 0x04, 0x78 },
	['n'] = { 0x7c, 0x08, 0x04, 0x04, 0x78 },
	['o'] = { 0x38, 0x44, 0x44, 0x44, 0x38 },
	['p'] = { 0xfc, 0x18, 0x24, 0x24, 0x18 },
	['q'] = { 0x18, 0x24, 0x24, 0x18, 0xfc },
	['r'] = { 0x7c, 0x08, 0x04, 0x04, 0x08 },
	['s'] = { 0x48, 0x54, 0x54, 0x54, 0x24 },
	['t'] = { 0x04, 0x04, 0x3f, 0x44, 0x24 },
	['u'] = { 0x3c, 0x40, 0x40, 0x20, 0x7c },
	['v'] = { 0x1c, 0x20, 0x40, 0x20, 0x1c },
	['w'] = { 0x3c, 0x40, 0x30, 0x40, 0x3c },
	['x'] = { 0x44, 0x28, 0x10, 0x28, 0x44 },
	['y'] = { 0x4c, 0x90, 0x90, 0x90, 0x7c },
	['z'] = { 0x44, 0x64, 0x54, 0x4c, 0x44 },
};

/* Bars of 75 percent, as of a television test picture */
static const __u32 bars[] = {
	0xbfbfbf, 0xbfbf00, 0x00bfbf, 0x00bf00, 0xbf00bf, 0xbf0000, 0x0000bf,
	0x000000,
};

static const char *owner;
static struct surface surface;
static unsigned int width, height;
static unsigned int shown;

/**
 * screen_init() - set the text that names who draws
 * @text: the text
 */
void screen_init(const char *text)
{
	owner = text;
}

/**
 * screen_forget() - forget the mode, whose pictures are gone
 */
void screen_forget(void)
{
	width = 0;
}

/* Lay a line of text, whose uppermost line of pixels is @top, over a row. */
static void text_row(__u32 *row, unsigned int y, unsigned int top,
		     const char *text)
{
	unsigned int i, x = MARGIN, bit;

	if (y < top || y >= top + CELL_HEIGHT)
		return;
	bit = (y - top) / FONT_SCALE;
	for (; *text && x + CELL_WIDTH <= width; text++, x += CELL_WIDTH) {
		const unsigned char c = *text;

		if (c >= sizeof(font) / sizeof(*font))
			continue;
		for (i = 0; i < FONT_COLUMNS * FONT_SCALE; i++)
			if (font[c][i / FONT_SCALE] >> bit & 1)
				row[x + i] = 0xffffff;
	}
}

/* Where the ball is: it moves back and forth between two ends. */
static unsigned int swing(unsigned int at, unsigned int from, unsigned int to)
{
	const unsigned int way = to - from;

	at %= 2 * way;

	return at < way ? from + at : to - (at - way);
}

static void ball_row(__u32 *row, unsigned int y, unsigned int frame)
{
	const int cx = swing(frame * 12, RADIUS, width - RADIUS);
	const int cy = swing(frame * 7, height / 4 + RADIUS,
			     height * 5 / 8 - RADIUS);
	const int dy = y - cy;
	int dx;

	if (dy < -RADIUS || dy > RADIUS)
		return;
	for (dx = -RADIUS; dx < RADIUS; dx++)
		if (dx * dx + dy * dy < RADIUS * RADIUS)
			row[cx + dx] = 0xff8000;
}

static void draw_row(__u32 *row, unsigned int y, unsigned int frame)
{
	char text[64];
	unsigned int x;

	for (x = 0; x < width; x++) {
		if (y >= height / 4 && y < height * 5 / 8)
			row[x] = bars[x * 8 / width];
		else if (y >= height * 5 / 8 && y < height * 11 / 16)
			row[x] = x * 16 / width * 0x111111;
		else if (y >= height * 11 / 16 && y < height * 3 / 4)
			row[x] = (x / 8 + y / 8) % 2 ? 0xffffff : 0;
		else
			row[x] = 0x102040;
		if (y < CODE_HEIGHT && x < CODE_BITS * CODE_WIDTH)
			row[x] = frame >> (CODE_BITS - 1 - x / CODE_WIDTH) & 1 ?
				 0xffffff : 0;
	}
	ball_row(row, y, frame);

	text_row(row, y, 24, "nvvgpu: the screen of a vGPU");
	snprintf(text, sizeof(text), "%ux%u, frame %u", width, height, frame);
	text_row(row, y, 24 + CELL_HEIGHT, text);
	text_row(row, y, 24 + 2 * CELL_HEIGHT, owner);
	text_row(row, y, height * 3 / 4 + MARGIN, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
	text_row(row, y, height * 3 / 4 + MARGIN + CELL_HEIGHT,
		 "abcdefghijklmnopqrstuvwxyz 0123456789");
}

/**
 * screen_mode() - set a mode
 * @arg: width in pixels and height in lines
 *
 * Return: false if there is no such mode.
 */
bool screen_mode(char **arg)
{
	const unsigned int w = number(arg[0]), h = number(arg[1]);

	if (w < 640 || w > MAX_WIDTH || h < 400 || h > MAX_HEIGHT)
		return false;
	width = 0;
	if (!surface_set(&surface, w, h))
		return false;

	width = w;
	height = h;
	shown = 0;
	say("mode result=ok width=%u height=%u stride=%zu", w, h,
	    surface.stride * sizeof(__u32));

	return true;
}

static bool draw(unsigned int frame)
{
	const unsigned int half = !shown;
	unsigned int y;

	for (y = 0; y < height; y++)
		draw_row(surface.half[half] + y * surface.stride, y, frame);
	if (!surface_flip(&surface, half))
		return false;
	shown = half;

	return true;
}

/**
 * screen_draw() - draw a frame into the hidden half, and display it
 * @arg: number of the frame
 *
 * Return: false without a mode, or if the flip fails.
 */
bool screen_draw(char **arg)
{
	const unsigned int frame = number(arg[0]);

	if (!width || !draw(frame))
		return false;
	say("draw result=ok frame=%u half=%u", frame, shown);

	return true;
}

/**
 * screen_move() - draw frames until there is input on the console
 * @arg: unused
 *
 * Return: false without a mode, or if a flip fails.
 */
bool screen_move(char **arg)
{
	__u64 next = now_ms() + 1000;
	unsigned int frame = 0;

	if (!width)
		return false;
	say("move result=begun");
	while (!console_pending()) {
		if (!draw(++frame % (1 << CODE_BITS)))
			return false;
		if (now_ms() >= next) {
			say("move result=running frames=%u", frame);
			next = now_ms() + 1000;
		}
	}
	say("move result=ok frames=%u", frame);

	return true;
}

/* The rows of a frame that are equal, as runs: number of pixels and colour */
static void describe_rows(const __u32 *row, unsigned int rows)
{
	unsigned int x, run, len = 0;
	char text[224];

	say("rows count=%u", rows);
	for (x = 0; x < width; x += run) {
		for (run = 1; x + run < width && row[x + run] == row[x]; run++)
			;
		len += snprintf(text + len, sizeof(text) - len, " %u*%06x", run,
				row[x]);
		if (len > sizeof(text) - 16 || x + run == width) {
			say("runs%s", text);
			len = 0;
		}
	}
}

/**
 * screen_describe() - write every pixel of a frame to the console
 * @arg: number of the frame
 *
 * Return: false without a mode.
 */
bool screen_describe(char **arg)
{
	static __u32 row[2][MAX_WIDTH];
	const unsigned int frame = number(arg[0]);
	unsigned int y, rows = 0;

	if (!width)
		return false;
	say("picture frame=%u width=%u height=%u", frame, width, height);
	for (y = 0; y < height; y++, rows++) {
		draw_row(row[1], y, frame);
		if (rows && memcmp(row[0], row[1], width * sizeof(**row))) {
			describe_rows(row[0], rows);
			rows = 0;
		}
		memcpy(row[0], row[1], width * sizeof(**row));
	}
	describe_rows(row[0], rows);
	say("describe result=ok frame=%u", frame);

	return true;
}
