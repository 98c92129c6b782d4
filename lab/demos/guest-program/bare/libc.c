// SPDX-License-Identifier: GPL-2.0
/*
 * A guest without an operating system: the C library functions that the job uses
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <linux/types.h>

void *memset(void *mem, int c, size_t len)
{
	const __u64 word = 0x0101010101010101ULL * (unsigned char)c;
	size_t words = len / 8, rest = len % 8;
	void *p = mem;

	asm volatile("rep stosq" : "+D" (p), "+c" (words) : "a" (word) : "memory");
	asm volatile("rep stosb" : "+D" (p), "+c" (rest) : "a" (word) : "memory");

	return mem;
}

void *memcpy(void *to, const void *from, size_t len)
{
	void *p = to;

	asm volatile("rep movsb" : "+D" (p), "+S" (from), "+c" (len) : : "memory");

	return to;
}

int memcmp(const void *a, const void *b, size_t len)
{
	const unsigned char *p = a, *q = b;

	for (; len; len--, p++, q++)
		if (*p != *q)
			return *p < *q ? -1 : 1;

	return 0;
}

size_t strlen(const char *s)
{
	size_t len = 0;

	while (s[len])
		len++;

	return len;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}

	return (unsigned char)*a - (unsigned char)*b;
}

/**
 * struct out - output of vsnprintf()
 * @buf: the buffer
 * @size: size of the buffer
 * @len: characters so far, including those that did not fit
 */
struct out {
	char *buf;
	size_t size;
	size_t len;
};

static void put(struct out *out, char c)
{
	if (out->len + 1 < out->size)
		out->buf[out->len] = c;
	out->len++;
}

static void put_number(struct out *out, unsigned long long val,
		       unsigned int base, unsigned int width)
{
	char digits[24];
	unsigned int nr = 0;

	do {
		digits[nr++] = "0123456789abcdef"[val % base];
		val /= base;
	} while (val);
	while (nr < width)
		digits[nr++] = '0';
	while (nr)
		put(out, digits[--nr]);
}

static bool is_modifier(char c)
{
	return c == '#' || c == 'l' || c == 'z' || (c >= '0' && c <= '9');
}

/* Supports only %s, %d, %u and %x, with "ll", "z", "#" and "0<width>". */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	struct out out = { .buf = buf, .size = size };
	unsigned long long val;
	unsigned int width;
	const char *s;
	bool wide;

	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(&out, *fmt);
			continue;
		}
		wide = false;
		width = 0;
		for (fmt++; is_modifier(*fmt); fmt++) {
			if (*fmt == '#') {
				put(&out, '0');
				put(&out, 'x');
			} else if (*fmt == 'l' || *fmt == 'z') {
				wide = true;
			} else {
				width = width * 10 + *fmt - '0';
			}
		}
		if (*fmt == 's') {
			for (s = va_arg(args, const char *); *s; s++)
				put(&out, *s);
			continue;
		}
		if (wide)
			val = va_arg(args, unsigned long long);
		else
			val = va_arg(args, unsigned int);
		if (*fmt == 'd' && (int)val < 0) {
			put(&out, '-');
			val = -(int)val;
		}
		put_number(&out, val, *fmt == 'x' ? 16 : 10, width);
	}
	if (size)
		buf[out.len < size ? out.len : size - 1] = '\0';

	return out.len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(buf, size, fmt, args);
	va_end(args);

	return len;
}
