/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Time, for what has to come soon, or late.
 */
#ifndef _NVVGPU_SELFTEST_CLOCK_H
#define _NVVGPU_SELFTEST_CLOCK_H

#include <time.h>

#include <linux/types.h>

/* How long to wait for what has to come; only a test that fails waits so long. */
#define WAIT_MS	100000

/**
 * now_ms() - read a monotonic clock
 *
 * Return: milliseconds.
 */
static inline __u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

#endif /* _NVVGPU_SELFTEST_CLOCK_H */
