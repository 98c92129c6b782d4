/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device is written for QEMU 11.1.  This adapts it to QEMU 10.0.
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

/*
 * With TCG, QEMU 10.0 looks up the region of an access in the newest memory
 * map, but the index in the vCPU's TLB may refer to the previous map; see
 * iotlb_to_section().  While another thread changes the map, a vCPU's access
 * can reach the wrong device.  So change the map in the vCPUs' thread, of which
 * there is one with thread=single.  With thread=multi, vCPUs run during the
 * change, and can see the response to CREATE or DELETE before the map changes.
 */
#if QEMU_VERSION_MAJOR > 10
#define nvvgpu_map_on_vcpu() false
#define nvvgpu_map_races() false
#else
#include "hw/core/cpu.h"
#include "system/tcg.h"
#define nvvgpu_map_on_vcpu() (tcg_enabled() && !current_cpu)
#define nvvgpu_map_races() (tcg_enabled() && qemu_tcg_mttcg_enabled())
#endif

#endif
