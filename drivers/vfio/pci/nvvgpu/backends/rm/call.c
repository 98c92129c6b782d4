// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-rm: the provider's functions, with a bound to what they write and to
 * how long they take.
 *
 * Several of them take a buffer without its length.  Each gets a page, of which
 * it should leave all but the beginning alone; whether it has is tested.
 */
#include <linux/cleanup.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "rm.h"

#define RM_UNTOUCHED	0x5a

static unsigned int start_timeout_ms = 25000;
module_param(start_timeout_ms, uint, 0644);
MODULE_PARM_DESC(start_timeout_ms,
		 "How long to wait for the provider to start a vGPU (25000)");

static void *rm_buffer_alloc(size_t len)
{
	u8 *buf = kzalloc(PAGE_SIZE, GFP_KERNEL);

	if (buf)
		memset(buf + len, RM_UNTOUCHED, PAGE_SIZE - len);

	return buf;
}

static int rm_buffer_check(struct pci_dev *pdev, const char *op, const u8 *buf,
			   size_t len)
{
	if (!memchr_inv(buf + len, RM_UNTOUCHED, PAGE_SIZE - len))
		return 0;

	dev_warn_ratelimited(&pdev->dev,
			     "%s: the provider has written more than %zu bytes\n",
			     op, len);
	return -EOVERFLOW;
}

/**
 * rm_get_text() - get_name, get_description or get_instances
 * @pf: the GPU
 * @op: name of the function
 * @get: the function
 * @type: id of the type
 * @text: receives the text
 * @len: room in @text, and what the function may write
 *
 * Return: 0 or a negative errno; -EOVERFLOW when there was more
 */
int rm_get_text(struct pci_dev *pf, const char *op,
		u32 (*get)(struct pci_dev *pf, u32 type, char *buf), u32 type,
		char *text, size_t len)
{
	char *buf __free(kfree) = rm_buffer_alloc(len);
	int ret;

	if (!buf)
		return -ENOMEM;

	ret = rm_check(pf, op, get(pf, type, buf));
	if (ret)
		return ret;
	ret = rm_buffer_check(pf, op, buf, len);
	if (ret)
		return ret;

	/* One that fills the buffer leaves no room for the end of a string. */
	return strscpy(text, buf, len) < 0 ? -EOVERFLOW : 0;
}

/**
 * rm_get_creatable() - get_types
 * @vf: the VF
 * @ids: room for NVVGPU_RM_MAX_TYPES ids
 *
 * Return: how many types can be created on the VF, or a negative errno
 */
int rm_get_creatable(struct pci_dev *vf, u32 *ids)
{
	size_t len = NVVGPU_RM_MAX_TYPES * sizeof(*ids);
	u32 count = 0;
	int ret;

	u32 *buf __free(kfree) = rm_buffer_alloc(len);
	if (!buf)
		return -ENOMEM;

	ret = rm_check(vf, "get_types", rm_ops.get_types(vf, buf, &count));
	if (ret)
		return ret;
	ret = rm_buffer_check(vf, "get_types", (u8 *)buf, len);
	if (ret)
		return ret;
	if (count > NVVGPU_RM_MAX_TYPES)
		return -EOVERFLOW;
	memcpy(ids, buf, count * sizeof(*ids));

	return count;
}

static bool rm_answered(struct rm_vgpu *vgpu)
{
	return READ_ONCE(vgpu->status) != NVVGPU_RM_PENDING;
}

/**
 * rm_start() - vgpu_start, and the wait for its end
 * @vgpu: the vGPU
 * @pid: of the VMM
 *
 * When the provider has been asked but has not answered, @vgpu->unanswered
 * says so: the answer may come until the vGPU is deleted.
 *
 * Return: 0; -ETIMEDOUT; -EINTR when the process is killed; -ENODEV when the
 * provider takes the GPU back meanwhile; else what the provider says
 */
int rm_start(struct rm_vgpu *vgpu, pid_t pid)
{
	char *name __free(kfree) = rm_buffer_alloc(NVVGPU_RM_VM_NAME_LEN);
	struct rm_gpu *gpu = vgpu->gpu;
	long left;
	int ret;

	if (!name)
		return -ENOMEM;

	vgpu->starts++;
	WRITE_ONCE(vgpu->status, NVVGPU_RM_PENDING);
	ret = rm_check(vgpu->pdev, "vgpu_start",
		       rm_ops.vgpu_start(vgpu->id, &vgpu->wait, &vgpu->status,
					 name, pid));
	if (ret)
		return ret;
	vgpu->unanswered = true;
	ret = rm_buffer_check(vgpu->pdev, "vgpu_start", name,
			      NVVGPU_RM_VM_NAME_LEN);
	if (ret)
		return ret;

	left = wait_event_killable_timeout(vgpu->wait,
					   rm_answered(vgpu) ||
					   READ_ONCE(gpu->going),
					   msecs_to_jiffies(READ_ONCE(start_timeout_ms)));
	if (rm_answered(vgpu)) {
		vgpu->unanswered = false;
		return rm_check(vgpu->pdev, "end of vgpu_start", vgpu->status);
	}
	if (left < 0)
		return -EINTR;
	if (left > 0)
		return -ENODEV;

	vgpu->timeouts++;

	return -ETIMEDOUT;
}

/**
 * rm_get_areas() - get_sparse_mmap
 * @vgpu: the vGPU, started
 *
 * Return: 0 with the areas in @vgpu, or a negative errno
 */
int rm_get_areas(struct rm_vgpu *vgpu)
{
	u64 *offsets = NULL, *sizes = NULL;
	u32 count = 0;
	int ret;

	ret = rm_check(vgpu->pdev, "get_sparse_mmap",
		       rm_ops.get_sparse_mmap(vgpu->gpu->pf, vgpu->id, &offsets,
					      &sizes, &count));
	if (ret)
		return ret;
	if (count > NVVGPU_RM_MAX_AREAS || (count && (!offsets || !sizes))) {
		pci_warn(vgpu->pdev,
			 "get_sparse_mmap: %u areas, there can be %u\n", count,
			 NVVGPU_RM_MAX_AREAS);
		return -EOVERFLOW;
	}
	vgpu->nr_areas = count;
	while (count--) {
		vgpu->offsets[count] = offsets[count];
		vgpu->sizes[count] = sizes[count];
	}

	return 0;
}
