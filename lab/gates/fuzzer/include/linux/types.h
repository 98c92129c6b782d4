/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FUZZER_LINUX_TYPES_H
#define FUZZER_LINUX_TYPES_H

#include_next <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

#define U32_MAX	UINT32_MAX
#define U64_MAX	UINT64_MAX

#endif /* FUZZER_LINUX_TYPES_H */
