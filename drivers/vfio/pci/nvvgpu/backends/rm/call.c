// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-rm: functions of the RM, with bounds on what they write and on how
 * long they take.
 *
 * Several of them get a buffer without its length.  Each such buffer is a page
 * that is filled with a pattern after the length that the RM is known to
 * respect, so that an overrun is detected.
 */
#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "rm.h"

#define RM_UNTOUCHED	0x5a

static unsigned int start_timeout_ms = 25000;
module_param(start_timeout_ms, uint, 0644);
MODULE_PARM_DESC(start_timeout_ms,
		 "milliseconds to wait for the RM to start a vGPU (default 25000)");

static void *rm_buffer_alloc(size_t len)
{
	u8 *buf = kzalloc(PAGE_SIZE, GFP_KERNEL);

	if (buf)
		memset(buf + len, RM_UNTOUCHED, PAGE_SIZE - len);

	return buf;
}

static int rm_buffer_check(struct ratelimit_state *limits, struct pci_dev *pdev,
			   enum rm_call call, const u8 *buf, size_t len)
{
	if (!memchr_inv(buf + len, RM_UNTOUCHED, PAGE_SIZE - len))
		return 0;

	rm_warn(limits, pdev, call, "wrote more than %zu bytes", len);
	return -EOVERFLOW;
}

/**
 * rm_get_text() - call get_name, get_description or get_instances
 * @gpu: the GPU
 * @pdev: its PF or one of its VFs
 * @call: the function
 * @get: its address
 * @type: id of the type
 * @text: receives the text, without the newline at its end
 * @len: size of @text, and what the function may write
 *
 * Return: 0; -EOVERFLOW if the text is longer; -ENOMEM; or the error of the RM
 */
int rm_get_text(struct rm_gpu *gpu, struct pci_dev *pdev, enum rm_call call,
		u32 (*get)(struct pci_dev *pdev, u32 type, char *buf),
		u32 type, char *text, size_t len)
{
	char *buf __free(kfree) = rm_buffer_alloc(len);
	int ret;

	if (!buf)
		return -ENOMEM;

	ret = rm_check(gpu, pdev, call, get(pdev, type, buf));
	if (ret)
		return ret;
	ret = rm_buffer_check(gpu->limits, pdev, call, buf, len);
	if (ret)
		return ret;
	/* If the buffer is full, the text is not terminated. */
	if (strnlen(buf, len) == len)
		return -EOVERFLOW;
	strscpy(text, strim(buf), len);

	return 0;
}

/**
 * rm_get_creatable() - call get_types
 * @gpu: the GPU
 * @vf: the VF
 * @ids: receives at most NVIDIA_VGPU_MAX_TYPES ids
 *
 * Return: the number of types that can be created on the VF; -EOVERFLOW if the
 * RM reports too many; -ENOMEM; or the error of the RM
 */
int rm_get_creatable(struct rm_gpu *gpu, struct pci_dev *vf, u32 *ids)
{
	size_t len = NVIDIA_VGPU_MAX_TYPES * sizeof(*ids);
	u32 count = 0;
	int ret;

	u32 *buf __free(kfree) = rm_buffer_alloc(len);
	if (!buf)
		return -ENOMEM;

	ret = rm_check(gpu, vf, RM_GET_TYPES, rm_ops.get_types(vf, buf, &count));
	if (ret)
		return ret;
	ret = rm_buffer_check(gpu->limits, vf, RM_GET_TYPES, (u8 *)buf, len);
	if (ret)
		return ret;
	if (count > NVIDIA_VGPU_MAX_TYPES)
		return -EOVERFLOW;
	memcpy(ids, buf, count * sizeof(*ids));

	return count;
}

/**
 * rm_vm_name_alloc() - allocate rm_vgpu::vm_name
 *
 * Return: the buffer, to be freed by kfree(), or NULL
 */
u8 *rm_vm_name_alloc(void)
{
	return rm_buffer_alloc(NVIDIA_VGPU_VM_NAME_LEN);
}

/**
 * struct rm_waiter - wait for the answer to a start
 * @entry: entry in rm_vgpu::wait
 * @woken: completed by each wake-up
 *
 * The RM wakes only interruptible waiters.  After a start that was given up, the
 * vGPU must be deleted and created again, so only a fatal signal interrupts this.
 */
struct rm_waiter {
	wait_queue_entry_t entry;
	struct completion woken;
};

static int rm_waiter_wake(wait_queue_entry_t *entry, unsigned int mode,
			  int flags, void *key)
{
	complete(&container_of(entry, struct rm_waiter, entry)->woken);

	return 1;
}

static bool rm_answered(struct rm_vgpu *vgpu)
{
	/* Pairs with the RM, which writes the name of the VM before the status. */
	return smp_load_acquire(&vgpu->status) != NVIDIA_VGPU_PENDING;
}

/* Wait for the answer to a start.  Return the time left or -ERESTARTSYS. */
static long rm_wait(struct rm_vgpu *vgpu, struct rm_waiter *waiter)
{
	long left = msecs_to_jiffies(READ_ONCE(start_timeout_ms));

	while (!rm_answered(vgpu) && !READ_ONCE(vgpu->gpu->going) && left > 0)
		left = wait_for_completion_killable_timeout(&waiter->woken,
							    left);

	return left;
}

static int rm_wait_answer(struct rm_vgpu *vgpu, struct rm_waiter *waiter)
{
	long left = rm_wait(vgpu, waiter);

	if (rm_answered(vgpu)) {
		vgpu->unanswered = false;
		return rm_vgpu_check(vgpu, RM_ANSWER, vgpu->status);
	}
	if (left < 0)
		return -EINTR;
	if (left > 0)
		return -ENODEV;

	WRITE_ONCE(vgpu->timeouts, vgpu->timeouts + 1);
	if (__ratelimit(&vgpu->limits[RM_ANSWER]))
		pci_warn(vgpu->pdev,
			 "the RM has not started the vGPU within %u ms\n",
			 READ_ONCE(start_timeout_ms));

	return -ETIMEDOUT;
}

/**
 * rm_start() - call vgpu_start and wait for the answer
 * @vgpu: the vGPU
 * @pid: process that opens its device
 *
 * Sets rm_vgpu::unanswered if the RM may still answer.
 *
 * Return: 0; -ETIMEDOUT; -EINTR if the process is killed; -ENODEV if the GPU is
 * removed meanwhile; -EOVERFLOW if the name of the VM is too long; or the error
 * of the RM
 */
int rm_start(struct rm_vgpu *vgpu, pid_t pid)
{
	struct rm_waiter waiter;
	u32 status;
	int ret;

	init_completion(&waiter.woken);
	init_waitqueue_func_entry(&waiter.entry, rm_waiter_wake);
	add_wait_queue(&vgpu->wait, &waiter.entry);

	/* The RM may leave the name of an earlier VM there. */
	memset(vgpu->vm_name, 0, NVIDIA_VGPU_VM_NAME_LEN);
	WRITE_ONCE(vgpu->starts, vgpu->starts + 1);
	WRITE_ONCE(vgpu->status, NVIDIA_VGPU_PENDING);
	status = rm_ops.vgpu_start(vgpu->id, &vgpu->wait, &vgpu->status,
				   vgpu->vm_name, pid);
	ret = rm_vgpu_check(vgpu, RM_START, status);
	if (!ret) {
		vgpu->unanswered = true;
		ret = rm_wait_answer(vgpu, &waiter);
	}
	remove_wait_queue(&vgpu->wait, &waiter.entry);

	return ret ?: rm_buffer_check(vgpu->limits, vgpu->pdev, RM_START,
				      vgpu->vm_name, NVIDIA_VGPU_VM_NAME_LEN);
}

/**
 * rm_get_fb_bar() - call vgpu_bar_info for the BAR that depends on the type
 * @vgpu: the vGPU, started
 *
 * Gives the RM the cookie for inject_interrupt, too.
 *
 * Return: 0 with rm_vgpu::fb_bar_size set; -EIO if the RM reports no size; or
 * the error of the RM
 */
int rm_get_fb_bar(struct rm_vgpu *vgpu)
{
	u64 size = 0;
	u32 status;
	int ret;

	status = rm_ops.vgpu_bar_info(vgpu->gpu->pf, vgpu->id, &size,
				      NVIDIA_VGPU_BAR_FB, vgpu);
	ret = rm_vgpu_check(vgpu, RM_BAR_INFO, status);
	if (ret)
		return ret;
	if (!size) {
		rm_warn(vgpu->limits, vgpu->pdev, RM_BAR_INFO,
			"reported no size for BAR %u", NVIDIA_VGPU_BAR_FB);
		return -EIO;
	}
	vgpu->fb_bar_size = size;

	return 0;
}

/**
 * rm_get_areas() - call get_sparse_mmap
 * @vgpu: the vGPU, started
 *
 * Return: 0 with the areas in @vgpu; -EOVERFLOW if there are too many; or the
 * error of the RM
 */
int rm_get_areas(struct rm_vgpu *vgpu)
{
	u64 *offsets = NULL, *sizes = NULL;
	u32 count = 0;
	int ret;

	ret = rm_vgpu_check(vgpu, RM_GET_SPARSE_MMAP,
			    rm_ops.get_sparse_mmap(vgpu->gpu->pf, vgpu->id,
						   &offsets, &sizes, &count));
	if (ret)
		return ret;
	if (count > NVIDIA_VGPU_MAX_AREAS || (count && (!offsets || !sizes))) {
		rm_warn(vgpu->limits, vgpu->pdev, RM_GET_SPARSE_MMAP,
			"reported %u areas of at most %u", count,
			NVIDIA_VGPU_MAX_AREAS);
		return -EOVERFLOW;
	}
	vgpu->nr_areas = count;
	while (count--) {
		vgpu->offsets[count] = offsets[count];
		vgpu->sizes[count] = sizes[count];
	}

	return 0;
}
