/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fault injection in the firmware of the emulated GPU, through the monitor of the
 * machine that the tests run in.
 */
#ifndef _NVVGPU_SELFTEST_QMP_H
#define _NVVGPU_SELFTEST_QMP_H

#include <stdbool.h>
#include <stddef.h>

bool qmp_available(void);
int qmp_execute(const char *command, const char *arguments, char *reply,
		size_t size);
int fw_faults(const char *rules);
int fw_params(char *reply, size_t size);
int fw_delay(unsigned int *us);

#endif /* _NVVGPU_SELFTEST_QMP_H */
