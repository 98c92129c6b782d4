/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The results of QEMU's configure on x86-64 Linux that are used by the headers
 * included by the device.
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
