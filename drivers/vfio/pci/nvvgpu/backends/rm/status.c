// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-rm: failures of the RM, and its status codes.
 */
#include <linux/errno.h>
#include <linux/pci.h>
#include <linux/ratelimit.h>
#include <linux/stdarg.h>

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

static const char * const rm_call_names[NR_RM_CALLS] = {
	[RM_CREATE] = "vgpu_create",
	[RM_DELETE] = "vgpu_delete",
	[RM_BAR_INFO] = "vgpu_bar_info",
	[RM_START] = "vgpu_start",
	[RM_ANSWER] = "start of the vGPU",
	[RM_GET_TYPES] = "get_types",
	[RM_GET_NAME] = "get_name",
	[RM_GET_DESCRIPTION] = "get_description",
	[RM_GET_INSTANCES] = "get_instances",
	[RM_GET_SPARSE_MMAP] = "get_sparse_mmap",
};

/**
 * rm_limits_init() - initialize the limits of the messages of a PF or VF
 * @limits: NR_RM_CALLS entries
 */
void rm_limits_init(struct ratelimit_state *limits)
{
	unsigned int call;

	for (call = 0; call < NR_RM_CALLS; call++)
		ratelimit_state_init(&limits[call], DEFAULT_RATELIMIT_INTERVAL,
				     DEFAULT_RATELIMIT_BURST);
}

/**
 * rm_errno() - convert a status code to an errno
 * @status: status code from the RM
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

/**
 * rm_warn() - log a failure of the RM, unless that call floods the log
 * @limits: limits of the PF or VF; messages about one VF do not hide others
 * @pdev: the PF or VF that the call was about
 * @call: the call
 * @fmt: the rest of the message, without a newline
 */
void rm_warn(struct ratelimit_state *limits, struct pci_dev *pdev,
	     enum rm_call call, const char *fmt, ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	if (!__ratelimit(&limits[call]))
		return;

	va_start(args, fmt);
	vaf.va = &args;
	pci_warn(pdev, "%s %pV\n", rm_call_names[call], &vaf);
	va_end(args);
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

static int rm_report(struct rm_gpu *gpu, struct ratelimit_state *limits,
		     struct pci_dev *pdev, enum rm_call call, u32 status)
{
	if (status != NV_OK)
		rm_warn(limits, pdev, call, "failed: NV_STATUS %#x (%s)",
			status, rm_status_name(status));
	if (status == NV_ERR_GPU_IS_LOST)
		rm_gpu_lost(gpu);

	return rm_errno(status);
}

/**
 * rm_check() - convert a status code to an errno and log an error
 * @gpu: the GPU; if the RM has lost it, its vGPUs have crashed
 * @pdev: the PF or VF that the call was about
 * @call: the call, which needs no vGPU
 * @status: status code from the RM
 *
 * Different codes become the same errno, so the log has the code.
 *
 * Return: 0 or a negative errno
 */
int rm_check(struct rm_gpu *gpu, struct pci_dev *pdev, enum rm_call call,
	     u32 status)
{
	return rm_report(gpu, gpu->limits, pdev, call, status);
}

/**
 * rm_vgpu_check() - likewise, for a call about a vGPU
 * @vgpu: the vGPU
 * @call: the call
 * @status: status code from the RM
 *
 * Return: 0 or a negative errno
 */
int rm_vgpu_check(struct rm_vgpu *vgpu, enum rm_call call, u32 status)
{
	return rm_report(vgpu->gpu, vgpu->limits, vgpu->pdev, call, status);
}
