/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Allocations that fail on purpose, one at a time.
 */
#ifndef _NVVGPU_SELFTEST_FAIL_NTH_H
#define _NVVGPU_SELFTEST_FAIL_NTH_H

#include <stdbool.h>

int nth_open(void);
int nth_write(int fd, unsigned int nth);
bool nth_end(int fd);
int cache_fail(const char *cache);
int cache_end(int fd);

#endif /* _NVVGPU_SELFTEST_FAIL_NTH_H */
