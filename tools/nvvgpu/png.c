// SPDX-License-Identifier: GPL-2.0-only
/*
 * PNG files of true colour, with zlib.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "ctl.h"

#define PNG_DEPTH	8
#define PNG_TRUECOLOR	2

static void put_number(unsigned char *to, __u32 val)
{
	val = htonl(val);
	memcpy(to, &val, sizeof(val));
}

/* Length, type, data, and the CRC of type and data */
static void put_chunk(FILE *file, const char *type, const void *data, __u32 len)
{
	unsigned char number[4];
	unsigned long crc;

	put_number(number, len);
	fwrite(number, 1, sizeof(number), file);
	fwrite(type, 1, 4, file);
	fwrite(data, 1, len, file);
	crc = crc32(crc32(0, (const void *)type, 4), data, len);
	put_number(number, crc);
	fwrite(number, 1, sizeof(number), file);
}

/**
 * png_write() - write a picture
 * @file: receives it
 * @width: pixels of a line
 * @height: lines
 * @lines: unfiltered lines, each of which is a 0 and three bytes for each
 *	pixel: red, green and blue
 *
 * Return: 0; -ENOMEM; -EIO if the file cannot be written
 */
int png_write(FILE *file, __u32 width, __u32 height, const unsigned char *lines)
{
	static const unsigned char magic[] = "\x89PNG\r\n\x1a\n";
	unsigned char head[13] = { [8] = PNG_DEPTH, [9] = PNG_TRUECOLOR };
	unsigned long bytes = (unsigned long)height * (1 + 3 * width);
	/* Incompressible data grows by less than 1 %. */
	unsigned long len = bytes + bytes / 100 + 1024;
	unsigned char *data = malloc(len);

	if (!data || compress(data, &len, lines, bytes) != Z_OK) {
		free(data);
		return -ENOMEM;
	}
	put_number(head, width);
	put_number(head + 4, height);
	fwrite(magic, 1, sizeof(magic) - 1, file);
	put_chunk(file, "IHDR", head, sizeof(head));
	put_chunk(file, "IDAT", data, len);
	put_chunk(file, "IEND", "", 0);
	free(data);

	return fflush(file) || ferror(file) ? -EIO : 0;
}
