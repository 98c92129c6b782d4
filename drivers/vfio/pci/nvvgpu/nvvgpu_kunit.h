/* SPDX-License-Identifier: GPL-2.0-only */
/* Declarations shared by the front-end's KUnit tests */
#ifndef NVVGPU_KUNIT_H
#define NVVGPU_KUNIT_H

#include <kunit/test.h>

#include "nvvgpu.h"

struct nvvgpu *nvvgpu_test_vgpu(struct kunit *test);
char __user *nvvgpu_test_user_page(struct kunit *test);

#endif /* NVVGPU_KUNIT_H */
