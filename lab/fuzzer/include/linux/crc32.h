/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FUZZER_LINUX_CRC32_H
#define FUZZER_LINUX_CRC32_H

#include <linux/types.h>

/* In the fuzzer */
u32 crc32c(u32 crc, const void *buf, size_t len);

#endif /* FUZZER_LINUX_CRC32_H */
