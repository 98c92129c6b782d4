// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-rm: the status codes of the RM.
 */
#include <linux/errno.h>
#include <linux/pci.h>

#include "rm.h"

#define RM_STATUS(_status, _errno)	{ NV_ERR_##_status, -(_errno), #_status }

static const struct {
	u32 status;
	int err;
	const char *name;
} rm_statuses[] = {
	RM_STATUS(BUSY_RETRY, EBUSY),
	RM_STATUS(GPU_IS_LOST, ENODEV),
	RM_STATUS(INSUFFICIENT_RESOURCES, ENOSPC),
	RM_STATUS(INVALID_ARGUMENT, EINVAL),
	RM_STATUS(INVALID_OPERATION, EIO),
	RM_STATUS(INVALID_STATE, EIO),
	RM_STATUS(NO_MEMORY, ENOMEM),
	RM_STATUS(NOT_SUPPORTED, EOPNOTSUPP),
	RM_STATUS(OBJECT_NOT_FOUND, ENODEV),
	RM_STATUS(TIMEOUT, ETIMEDOUT),
	RM_STATUS(TIMEOUT_RETRY, ETIMEDOUT),
	RM_STATUS(GENERIC, EIO),
};

/**
 * rm_errno() - convert a status code to an errno
 * @status: from the RM
 *
 * Return: 0 or a negative errno; -EIO for an unknown code
 */
int rm_errno(u32 status)
{
	size_t i;

	if (status == NV_OK)
		return 0;
	for (i = 0; i < ARRAY_SIZE(rm_statuses); i++)
		if (rm_statuses[i].status == status)
			return rm_statuses[i].err;

	return -EIO;
}

static const char *rm_status_name(u32 status)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rm_statuses); i++)
		if (rm_statuses[i].status == status)
			return rm_statuses[i].name;

	return "unknown";
}

/* The interface has no callback for this. */
static void rm_gpu_lost(struct rm_gpu *gpu)
{
	const struct nvvgpu_event_info info = {
		.argsz = sizeof(info),
		.event = NVVGPU_EVENT_CRASHED,
		.flags = NVVGPU_EVENT_HAS_CODE,
		.code = NV_ERR_GPU_IS_LOST,
	};
	unsigned int vf;

	for (vf = 0; vf < gpu->nr_vfs; vf++)
		if (READ_ONCE(gpu->vgpus[vf].made))
			nvvgpu_backend_event(gpu->backend, vf, &info);
}

/**
 * rm_check() - convert a status code to an errno and log an error
 * @gpu: the GPU; if the RM has lost it, its vGPUs have crashed
 * @pdev: the PF or VF that the call was about
 * @op: the function of the RM
 * @status: from the RM
 *
 * Different codes become the same errno, so the log has the code.
 *
 * Return: 0 or a negative errno
 */
int rm_check(struct rm_gpu *gpu, struct pci_dev *pdev, const char *op,
	     u32 status)
{
	if (status != NV_OK)
		dev_warn_ratelimited(&pdev->dev,
				     "%s failed: NV_STATUS %#x (%s)\n", op,
				     status, rm_status_name(status));
	if (status == NV_ERR_GPU_IS_LOST)
		rm_gpu_lost(gpu);

	return rm_errno(status);
}
