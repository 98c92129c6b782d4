/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device is written for QEMU 11.1.  This is what QEMU 10.0 has elsewhere or
 * declares differently.
 */
#ifndef NVVGPU_QEMU_COMPAT_H
#define NVVGPU_QEMU_COMPAT_H

#if QEMU_VERSION_MAJOR > 10
#include "hw/core/qdev-properties.h"
#include "system/ramblock.h"
typedef const void ClassData;
#else
#include "hw/qdev-properties.h"
#include "exec/cpu-common.h"
typedef void ClassData;
#endif

#endif
