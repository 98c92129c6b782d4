/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counting what the driver does without being asked.
 */
#ifndef _NVVGPU_SELFTEST_WAKEUPS_H
#define _NVVGPU_SELFTEST_WAKEUPS_H

int wakeups_begin(void);
int wakeups_end(void);

#endif /* _NVVGPU_SELFTEST_WAKEUPS_H */
