/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What can be seen of a GPU and of those who use it, to be taken before and after
 * a test: what has changed was left behind.
 */
#ifndef _NVVGPU_SELFTEST_PICTURE_H
#define _NVVGPU_SELFTEST_PICTURE_H

#include "sysfs.h"

char *picture_take(const struct pf *pf);
const char *picture_change(const char *before, const char *after);

#endif /* _NVVGPU_SELFTEST_PICTURE_H */
