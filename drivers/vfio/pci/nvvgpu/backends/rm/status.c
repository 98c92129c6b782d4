// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-rm: the provider's status codes.
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
 * rm_errno() - what a status code is in Linux
 * @status: from the provider
 *
 * Return: 0 or a negative errno; -EIO for a code that is not known
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
 * rm_check() - turn a status code into an errno, and log it when it is an error
 * @pdev: the function it is about
 * @op: the provider's function, or what it was about
 * @status: from the provider
 *
 * Several codes are one errno, so the log knows more.
 *
 * Return: 0 or a negative errno
 */
int rm_check(struct pci_dev *pdev, const char *op, u32 status)
{
	if (status != NV_OK)
		dev_warn_ratelimited(&pdev->dev, "%s: NV_STATUS %#x (%s)\n", op,
				     status, rm_status_name(status));

	return rm_errno(status);
}
