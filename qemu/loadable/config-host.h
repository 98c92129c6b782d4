/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What QEMU's configure would find on Linux on x86-64, as far as the headers
 * that the device includes ask for it.
 */
#define CONFIG_ATOMIC64
#define CONFIG_INT128
#define CONFIG_INT128_TYPE
#define CONFIG_IOVEC
#define CONFIG_LINUX 1
#define CONFIG_MEMBARRIER
#define CONFIG_MODULES
#define CONFIG_PLUGIN
#define CONFIG_POSIX
#define CONFIG_SYSMACROS
#define CONFIG_TCG 1
#define HAVE_STRCHRNUL
#define HAVE_SYSTEM_FUNCTION
#define HOST_X86_64 1
