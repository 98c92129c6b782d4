// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-rm-standin: stands in for the Resource Manager (RM) in NVIDIA's vGPU
 * host driver in the selftests.
 *
 * It exports the same functions as nvidia.ko and expects the calls in the order
 * in which NVIDIA's own VFIO module makes them.  Its GPU is any SR-IOV PF, which
 * it does not touch.  Unlike nvidia.ko, it takes a lock around callbacks, so
 * that set_ops(NULL) waits for them.
 *
 * The tests control it through debugfs, in nvvgpu-rm-standin/:
 *
 *   pf		bind the GPU with this PCI name, "none" unbinds it
 *   probe	report this VF of the GPU, as if it were bound to nvidia.ko
 *   remove	report that this VF is unbound
 *   reports	what is reported when the GPU is bound: 0 the PF, 1 the PF and
 *		then each VF, 2 only each VF
 *   fail	"<function> <status>" lets a function fail, "all <status>" lets all
 *		of them fail, "none" ends that
 *   overrun	function that writes more than it may, or "none"
 *   start_delay_ms  time until a start is answered; 4294967295 is never
 *   start_status    the answer
 *   vm_name	name of the VM that goes with the answer; "none" writes nothing
 *   answer	write: answer all pending starts now
 *   interrupt	write: inject an interrupt into the vGPU with this number
 *   hold_name	while this is 1, one call of get_name does not return
 *   held_names	number of calls that do not return
 *   bar1_size	size of BAR 1
 *   nr_areas	number of areas of BAR 0 that may be mapped
 *   nr_types	number of types
 *   bad_types	also report types with invalid names
 *   calls	number of calls of each function
 *   last	arguments of the last update_request
 *   violations	number of calls out of order or with invalid arguments
 */
#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/export.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "../rm/nvidia_vgpu_vfio.h"

#define STANDIN_FB_MIB	4096
#define STANDIN_NEVER	U32_MAX

static char *version = "535.0.0";
module_param(version, charp, 0444);
MODULE_PARM_DESC(version, "version of the driver that this stands in for");

/* A driver that a test of nvvgpu-rm must refuse */
static bool gaps;
module_param(gaps, bool, 0444);
MODULE_PARM_DESC(gaps, "leave a function out of the table");

static const struct standin_type {
	u32 id;
	u32 fb_mib;
	const char *name;
	bool bad;
} standin_types[] = {
	{ 256, 1024, "GRID ST-1Q" },
	{ 257, 2048, "GRID ST-2Q" },
	{ 258, 4096, "NVIDIA ST-1-4CME" },
	{ 300, 1024, "GRID: colon-1Q", true },
	{ 301, 1024, "", true },
	{ 302, 1024, "GRID \"two\"-1Q", true },
	{ 303, 1024, "GRID  two-1Q", true },
	{ 0, 1024, "GRID zero-1Q", true },
};

#define STANDIN_NAMED_TYPES	3
#define STANDIN_FIRST_UNNAMED	1000

enum standin_op {
	OP_CREATE,
	OP_DELETE,
	OP_BAR_INFO,
	OP_START,
	OP_GET_TYPES,
	OP_GET_NAME,
	OP_GET_DESCRIPTION,
	OP_GET_INSTANCES,
	OP_GET_SPARSE_MMAP,
	OP_UPDATE_REQUEST,
	NR_OPS,
	OP_ALL = NR_OPS,
};

static const char * const standin_ops[NR_OPS] = {
	[OP_CREATE] = "vgpu_create",
	[OP_DELETE] = "vgpu_delete",
	[OP_BAR_INFO] = "vgpu_bar_info",
	[OP_START] = "vgpu_start",
	[OP_GET_TYPES] = "get_types",
	[OP_GET_NAME] = "get_name",
	[OP_GET_DESCRIPTION] = "get_description",
	[OP_GET_INSTANCES] = "get_instances",
	[OP_GET_SPARSE_MMAP] = "get_sparse_mmap",
	[OP_UPDATE_REQUEST] = "update_request",
};

/**
 * struct standin_vgpu - a vGPU without a function
 * @node: entry in standin_vgpus
 * @id: id that the caller passed
 * @vgpu_id: number
 * @type: id of its type
 * @fb_mib: framebuffer of its type
 * @opened: its device is being opened or is open
 * @started: the last start was successful
 * @cookie: cookie for inject_interrupt, NULL until there is one
 * @wait: wait queue of a pending start
 * @status: receives the answer
 * @vm_name: receives the name of the VM
 * @answer: answers a pending start
 */
struct standin_vgpu {
	struct list_head node;
	char id[NVIDIA_VGPU_ID_LEN];
	u16 vgpu_id;
	u32 type;
	u32 fb_mib;
	bool opened;
	bool started;
	void *cookie;
	wait_queue_head_t *wait;
	s32 *status;
	u8 *vm_name;
	struct delayed_work answer;
};

/* protects standin_callbacks and standin_pf, and is held around callbacks */
static DEFINE_MUTEX(standin_callbacks_mutex);
static struct nvidia_vgpu_callbacks *standin_callbacks;
static struct pci_dev *standin_pf;

/* protects all that follows; taken in the functions of the table */
static DEFINE_MUTEX(standin_mutex);
static LIST_HEAD(standin_vgpus);
static u16 standin_next_id = 1;
static u64 standin_calls[NR_OPS];
static u64 standin_violations;
static int standin_fail_op = -1;
static u32 standin_fail_status;
static int standin_overrun = -1;
static char standin_last[NVIDIA_VGPU_PARAMS_LEN + 64];

static char standin_vm_name[NVIDIA_VGPU_VM_NAME_LEN] = "stand-in's VM";

static u32 standin_reports;
static u32 standin_start_delay_ms;
static u32 standin_start_status;
static u64 standin_bar1_size = SZ_256M;
static u32 standin_nr_areas;
static u32 standin_nr_types = STANDIN_NAMED_TYPES;
static bool standin_bad_types;
static u32 standin_hold_name;
static atomic_t standin_held_names;
static struct dentry *standin_dir;

static u64 standin_offsets[] = { 0x0000, 0x2000, 0, 0, 0, 0, 0, 0 };
static u64 standin_sizes[] = { 0x1000, 0x1000, 0, 0, 0, 0, 0, 0 };

/* Called first by every function: count the call and inject a failure. */
static u32 standin_enter(enum standin_op op)
{
	lockdep_assert_held(&standin_mutex);

	standin_calls[op]++;

	return standin_fail_op == op || standin_fail_op == OP_ALL ?
	       standin_fail_status : NV_OK;
}

static u32 standin_violation(enum standin_op op, const char *what)
{
	lockdep_assert_held(&standin_mutex);

	standin_violations++;
	pr_info(KBUILD_MODNAME ": %s: %s\n", standin_ops[op], what);

	return NV_ERR_INVALID_STATE;
}

/* Write to a buffer whose length the caller has not passed. */
static void standin_put(enum standin_op op, char *buf, size_t len,
			const char *text)
{
	if (standin_overrun == op)
		memset(buf, 'x', len + 1);
	else
		strscpy(buf, text, len);
}

static bool standin_type(u32 id, struct standin_type *type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(standin_types); i++) {
		if (standin_types[i].id != id)
			continue;
		*type = standin_types[i];
		return true;
	}
	*type = (struct standin_type){ .id = id, .fb_mib = 1024 };

	return id >= STANDIN_FIRST_UNNAMED &&
	       id < STANDIN_FIRST_UNNAMED + NVIDIA_VGPU_MAX_TYPES;
}

/* Report at most one type more than the caller has room for. */
static u32 standin_type_ids(u32 *ids)
{
	u32 i, nr = 0;

	for (i = 0; i < min(standin_nr_types, NVIDIA_VGPU_MAX_TYPES + 1); i++)
		ids[nr++] = i < STANDIN_NAMED_TYPES ? standin_types[i].id :
			    STANDIN_FIRST_UNNAMED + i;

	return nr;
}

static struct standin_vgpu *standin_find(const u8 *id)
{
	struct standin_vgpu *vgpu;

	lockdep_assert_held(&standin_mutex);

	list_for_each_entry(vgpu, &standin_vgpus, node)
		if (!strncmp(vgpu->id, id, sizeof(vgpu->id)))
			return vgpu;

	return NULL;
}

static u32 standin_instances(u32 id)
{
	u32 free = STANDIN_FB_MIB;
	struct standin_vgpu *vgpu;
	struct standin_type type;

	lockdep_assert_held(&standin_mutex);

	standin_type(id, &type);
	list_for_each_entry(vgpu, &standin_vgpus, node)
		free -= vgpu->fb_mib;

	return free / type.fb_mib;
}

static void standin_answer(struct work_struct *work)
{
	struct standin_vgpu *vgpu = container_of(to_delayed_work(work),
						 struct standin_vgpu, answer);

	guard(mutex)(&standin_mutex);

	if (!vgpu->wait)
		return;
	if (standin_vm_name[0])
		standin_put(OP_START, vgpu->vm_name, NVIDIA_VGPU_VM_NAME_LEN,
			    standin_vm_name);
	vgpu->started = vgpu->opened && !standin_start_status;
	WRITE_ONCE(*vgpu->status, standin_start_status);
	wake_up_interruptible(vgpu->wait);
	vgpu->wait = NULL;
}

/* The id is the PCI name of the VF at @bdf. */
static bool standin_id_valid(const u8 *id, u32 bdf)
{
	unsigned int domain, bus, slot, func;

	return strnlen(id, NVIDIA_VGPU_ID_LEN) < NVIDIA_VGPU_ID_LEN &&
	       sscanf(id, "%x:%x:%x.%x", &domain, &bus, &slot, &func) == 4 &&
	       bdf == (domain << 16 | PCI_DEVID(bus, PCI_DEVFN(slot, func)));
}

static u32 standin_vgpu_create(struct pci_dev *pf, const u8 *id, u32 type,
			       u16 *vgpu_id, u32 *gpu_id, u32 bdf,
			       u8 *is_driver_vm)
{
	struct standin_type found;
	struct standin_vgpu *vgpu;
	u32 status;

	guard(mutex)(&standin_mutex);

	status = standin_enter(OP_CREATE);
	if (status)
		return status;
	if (pf != READ_ONCE(standin_pf) || !standin_id_valid(id, bdf))
		return standin_violation(OP_CREATE, "invalid PF, id or BDF");
	if (!standin_type(type, &found) || standin_find(id))
		return NV_ERR_INVALID_OPERATION;
	if (!standin_instances(type))
		return NV_ERR_INSUFFICIENT_RESOURCES;

	vgpu = kzalloc_obj(*vgpu, GFP_KERNEL);
	if (!vgpu)
		return NV_ERR_NO_MEMORY;
	memcpy(vgpu->id, id, sizeof(vgpu->id));
	vgpu->vgpu_id = standin_next_id++;
	vgpu->type = type;
	vgpu->fb_mib = found.fb_mib;
	INIT_DELAYED_WORK(&vgpu->answer, standin_answer);
	list_add_tail(&vgpu->node, &standin_vgpus);
	*vgpu_id = vgpu->vgpu_id;
	*gpu_id = pci_dev_id(pf);
	*is_driver_vm = 0;

	return NV_OK;
}

static u32 standin_vgpu_delete(const u8 *id, u16 vgpu_id)
{
	struct standin_vgpu *vgpu;
	u32 status;

	scoped_guard(mutex, &standin_mutex) {
		status = standin_enter(OP_DELETE);
		if (status)
			return status;
		vgpu = standin_find(id);
		if (!vgpu || vgpu->vgpu_id != vgpu_id)
			return NV_ERR_OBJECT_NOT_FOUND;
		if (vgpu->opened)
			standin_violation(OP_DELETE, "the vGPU is open");
		list_del(&vgpu->node);
		vgpu->wait = NULL;
	}
	cancel_delayed_work_sync(&vgpu->answer);
	kfree(vgpu);

	return NV_OK;
}

static u32 standin_vgpu_bar_info(struct pci_dev *pf, const u8 *id, u64 *size,
				 u32 bar, void *cookie)
{
	struct standin_vgpu *vgpu;
	u32 status;

	guard(mutex)(&standin_mutex);

	status = standin_enter(OP_BAR_INFO);
	if (status)
		return status;
	vgpu = standin_find(id);
	if (!vgpu)
		return NV_ERR_OBJECT_NOT_FOUND;
	if (pf != READ_ONCE(standin_pf) || !vgpu->started || bar != 1)
		return standin_violation(OP_BAR_INFO, "invalid PF, BAR or not started");
	vgpu->cookie = cookie;
	*size = standin_bar1_size;

	return NV_OK;
}

static u32 standin_vgpu_start(const u8 *id, void *wait, s32 *status_out,
			      u8 *vm_name, u32 pid)
{
	struct standin_vgpu *vgpu;
	u32 status;

	guard(mutex)(&standin_mutex);

	status = standin_enter(OP_START);
	if (status)
		return status;
	vgpu = standin_find(id);
	if (!vgpu)
		return NV_ERR_OBJECT_NOT_FOUND;
	if (!vgpu->opened || vgpu->wait || !pid ||
	    *status_out != NVIDIA_VGPU_PENDING)
		return standin_violation(OP_START, "not opened or already pending");

	vgpu->wait = wait;
	vgpu->status = status_out;
	vgpu->vm_name = vm_name;
	if (standin_start_delay_ms != STANDIN_NEVER)
		schedule_delayed_work(&vgpu->answer,
				      msecs_to_jiffies(standin_start_delay_ms));

	return NV_OK;
}

static u32 standin_get_types(struct pci_dev *vf, u32 *ids, u32 *count)
{
	u32 all[NVIDIA_VGPU_MAX_TYPES + 1];
	u32 status, nr, i;

	guard(mutex)(&standin_mutex);

	status = standin_enter(OP_GET_TYPES);
	if (status)
		return status;
	if (!vf->is_virtfn)
		return NV_ERR_NOT_SUPPORTED;

	nr = standin_type_ids(all);
	*count = 0;
	for (i = 0; i < nr; i++)
		if (standin_instances(all[i]))
			ids[(*count)++] = all[i];
	if (standin_overrun == OP_GET_TYPES)
		ids[NVIDIA_VGPU_MAX_TYPES] = 1;

	return NV_OK;
}

static void standin_hold(void)
{
	if (!READ_ONCE(standin_hold_name) ||
	    atomic_cmpxchg(&standin_held_names, 0, 1))
		return;

	while (READ_ONCE(standin_hold_name))
		msleep(20);
	atomic_set(&standin_held_names, 0);
}

/* Texts of types end in a newline, as they are meant for files in sysfs. */
static u32 standin_get_name(struct pci_dev *pdev, u32 type, char *buf)
{
	char text[NVIDIA_VGPU_NAME_LEN];
	struct standin_type found;
	u32 status;

	standin_hold();

	guard(mutex)(&standin_mutex);

	status = standin_enter(OP_GET_NAME);
	if (status)
		return status;
	if (!standin_type(type, &found))
		return NV_ERR_OBJECT_NOT_FOUND;
	if (found.name)
		snprintf(text, sizeof(text), "%s\n", found.name);
	else
		snprintf(text, sizeof(text), "GRID ST%u-1Q\n", type);
	standin_put(OP_GET_NAME, buf, NVIDIA_VGPU_NAME_LEN, text);

	return NV_OK;
}

static u32 standin_get_description(struct pci_dev *pdev, u32 type, char *buf)
{
	char text[NVIDIA_VGPU_DESCRIPTION_LEN];
	struct standin_type found;
	u32 status;

	guard(mutex)(&standin_mutex);

	status = standin_enter(OP_GET_DESCRIPTION);
	if (status)
		return status;
	standin_type(type, &found);
	snprintf(text, sizeof(text),
		 "num_heads=4, frl_config=60, framebuffer=%uM, max_resolution=4096x2160, max_instance=%u\n",
		 found.fb_mib, STANDIN_FB_MIB / found.fb_mib);
	standin_put(OP_GET_DESCRIPTION, buf, NVIDIA_VGPU_DESCRIPTION_LEN, text);

	return NV_OK;
}

static u32 standin_get_instances(struct pci_dev *pdev, u32 type, char *buf)
{
	char text[NVIDIA_VGPU_INSTANCES_LEN];
	u32 status;

	guard(mutex)(&standin_mutex);

	status = standin_enter(OP_GET_INSTANCES);
	if (status)
		return status;
	/* An SR-IOV VF has room for one. */
	snprintf(text, sizeof(text), "%u\n",
		 pdev->is_virtfn ? min(standin_instances(type), 1) :
				   standin_instances(type));
	standin_put(OP_GET_INSTANCES, buf, NVIDIA_VGPU_INSTANCES_LEN, text);

	return NV_OK;
}

static u32 standin_get_sparse_mmap(struct pci_dev *pf, const u8 *id,
				   u64 **offsets, u64 **sizes, u32 *count)
{
	struct standin_vgpu *vgpu;
	u32 status;

	guard(mutex)(&standin_mutex);

	status = standin_enter(OP_GET_SPARSE_MMAP);
	if (status)
		return status;
	vgpu = standin_find(id);
	if (!vgpu)
		return NV_ERR_OBJECT_NOT_FOUND;
	if (pf != READ_ONCE(standin_pf) || !vgpu->started)
		return standin_violation(OP_GET_SPARSE_MMAP, "invalid PF or not started");
	*offsets = standin_offsets;
	*sizes = standin_sizes;
	*count = standin_nr_areas;

	return NV_OK;
}

static void standin_update_request(const u8 *id, u64 *offsets, u64 *sizes,
				   u32 state, const char *params)
{
	static const char * const states[] = {
		[NVIDIA_VGPU_UNUSED] = "unused",
		[NVIDIA_VGPU_OPENED] = "opened",
		[NVIDIA_VGPU_IN_USE] = "in use",
	};
	bool opening = state == NVIDIA_VGPU_OPENED;
	struct standin_vgpu *vgpu;

	guard(mutex)(&standin_mutex);

	standin_enter(OP_UPDATE_REQUEST);
	vgpu = standin_find(id);
	if (!vgpu || state >= ARRAY_SIZE(states) || offsets || sizes ||
	    !!params != opening) {
		standin_violation(OP_UPDATE_REQUEST, "invalid arguments");
		return;
	}
	vgpu->opened = state != NVIDIA_VGPU_UNUSED;
	if (!vgpu->opened)
		vgpu->started = false;
	snprintf(standin_last, sizeof(standin_last), "%s %s \"%s\"\n", id,
		 states[state], params ?: "");
}

static const struct nvidia_vgpu_rm_ops standin_table = {
	.vgpu_create = standin_vgpu_create,
	.vgpu_delete = standin_vgpu_delete,
	.vgpu_bar_info = standin_vgpu_bar_info,
	.vgpu_start = standin_vgpu_start,
	.get_description = standin_get_description,
	.get_instances = standin_get_instances,
	.get_name = standin_get_name,
	.get_types = standin_get_types,
	.get_sparse_mmap = standin_get_sparse_mmap,
	.update_request = standin_update_request,
};

/**
 * nvidia_vgpu_vfio_get_ops() - get the functions of the RM
 * @ops: table with the caller's version; filled in
 *
 * Return: NV_OK, or NV_ERR_GENERIC with the version of the RM in @ops
 */
u32 nvidia_vgpu_vfio_get_ops(struct nvidia_vgpu_rm_ops *ops)
{
	const char *asked = ops->version_string;

	if (strcmp(asked, version)) {
		ops->version_string = version;
		return NV_ERR_GENERIC;
	}
	*ops = standin_table;
	ops->version_string = asked;
	if (gaps)
		ops->vgpu_start = NULL;

	return NV_OK;
}
EXPORT_SYMBOL(nvidia_vgpu_vfio_get_ops);

/**
 * nvidia_vgpu_vfio_set_ops() - set the functions that the RM calls
 * @callbacks: the functions, or NULL
 *
 * Does not report the GPU if that is bound already.
 *
 * Return: NV_OK
 */
u32 nvidia_vgpu_vfio_set_ops(struct nvidia_vgpu_callbacks *callbacks)
{
	guard(mutex)(&standin_callbacks_mutex);

	standin_callbacks = callbacks;

	return NV_OK;
}
EXPORT_SYMBOL(nvidia_vgpu_vfio_set_ops);

static u32 standin_probe(struct pci_dev *pdev)
{
	u32 ids[NVIDIA_VGPU_MAX_TYPES + ARRAY_SIZE(standin_types)];
	size_t i;
	u32 nr;

	lockdep_assert_held(&standin_callbacks_mutex);

	if (!standin_callbacks)
		return NV_OK;

	nr = standin_type_ids(ids);
	for (i = 0; standin_bad_types && i < ARRAY_SIZE(standin_types); i++)
		if (standin_types[i].bad)
			ids[nr++] = standin_types[i].id;

	return nr ? standin_callbacks->probe(pdev, nr, ids) : NV_OK;
}

static void standin_remove(struct pci_dev *pdev)
{
	lockdep_assert_held(&standin_callbacks_mutex);

	if (standin_callbacks)
		standin_callbacks->remove(pdev);
}

/* Call a function for each VF of the GPU. */
static u32 standin_each_vf(u32 (*call)(struct pci_dev *vf))
{
	struct pci_dev *pdev = NULL;
	u32 status = NV_OK;

	lockdep_assert_held(&standin_callbacks_mutex);

	for_each_pci_dev(pdev)
		if (pdev->is_virtfn && pci_physfn(pdev) == standin_pf)
			status = call(pdev) ?: status;

	return status;
}

static u32 standin_bind(void)
{
	u32 status = NV_OK;

	if (standin_reports < 2)
		status = standin_probe(standin_pf);
	if (standin_reports && status == NV_OK)
		status = standin_each_vf(standin_probe);

	return status;
}

static u32 standin_remove_vf(struct pci_dev *vf)
{
	standin_remove(vf);

	return NV_OK;
}

static void standin_unbind(void)
{
	if (standin_reports)
		standin_each_vf(standin_remove_vf);
	standin_remove(standin_pf);
}

/* One word or line from user space, without the newline */
static int standin_word(const char __user *buf, size_t count, char *word,
			size_t len)
{
	if (count >= len)
		return -E2BIG;
	if (copy_from_user(word, buf, count))
		return -EFAULT;
	word[count] = '\0';
	strim(word);

	return 0;
}

static int standin_op_number(const char *name)
{
	return match_string(standin_ops, NR_OPS, name);
}

static struct pci_dev *standin_find_device(const char *name)
{
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev)
		if (!strcmp(pci_name(pdev), name))
			return pdev;

	return NULL;
}

static ssize_t pf_write(struct file *file, const char __user *buf,
			size_t count, loff_t *ppos)
{
	struct pci_dev *pdev = NULL;
	char word[32];
	int ret;

	ret = standin_word(buf, count, word, sizeof(word));
	if (ret)
		return ret;
	if (strcmp(word, "none")) {
		pdev = standin_find_device(word);
		if (!pdev)
			return -ENODEV;
	}

	guard(mutex)(&standin_callbacks_mutex);

	if (standin_pf) {
		standin_unbind();
		pci_dev_put(standin_pf);
	}
	WRITE_ONCE(standin_pf, pdev);
	if (pdev && standin_bind() != NV_OK)
		return -EIO;

	return count;
}

static ssize_t standin_vf_write(const char __user *buf, size_t count,
				u32 (*call)(struct pci_dev *vf))
{
	char word[32];
	int ret;

	ret = standin_word(buf, count, word, sizeof(word));
	if (ret)
		return ret;

	struct pci_dev *pdev __free(pci_dev_put) = standin_find_device(word);
	if (!pdev)
		return -ENODEV;

	guard(mutex)(&standin_callbacks_mutex);

	return call(pdev) == NV_OK ? count : -EIO;
}

static ssize_t probe_write(struct file *file, const char __user *buf,
			   size_t count, loff_t *ppos)
{
	return standin_vf_write(buf, count, standin_probe);
}

static ssize_t remove_write(struct file *file, const char __user *buf,
			    size_t count, loff_t *ppos)
{
	return standin_vf_write(buf, count, standin_remove_vf);
}

static ssize_t fail_write(struct file *file, const char __user *buf,
			  size_t count, loff_t *ppos)
{
	char word[64], name[32];
	u32 status = 0;
	int ret, op;

	ret = standin_word(buf, count, word, sizeof(word));
	if (ret)
		return ret;
	op = -1;
	if (strcmp(word, "none")) {
		if (sscanf(word, "%31s %i", name, &status) != 2)
			return -EINVAL;
		op = strcmp(name, "all") ? standin_op_number(name) : OP_ALL;
		if (op < 0)
			return op;
	}

	guard(mutex)(&standin_mutex);
	standin_fail_op = op;
	standin_fail_status = status;

	return count;
}

static ssize_t overrun_write(struct file *file, const char __user *buf,
			     size_t count, loff_t *ppos)
{
	char word[32];
	int ret, op = -1;

	ret = standin_word(buf, count, word, sizeof(word));
	if (ret)
		return ret;
	if (strcmp(word, "none")) {
		op = standin_op_number(word);
		if (op < 0)
			return op;
	}

	guard(mutex)(&standin_mutex);
	standin_overrun = op;

	return count;
}

static ssize_t vm_name_write(struct file *file, const char __user *buf,
			     size_t count, loff_t *ppos)
{
	char name[NVIDIA_VGPU_VM_NAME_LEN];
	int ret;

	ret = standin_word(buf, count, name, sizeof(name));
	if (ret)
		return ret;

	guard(mutex)(&standin_mutex);
	strscpy(standin_vm_name, strcmp(name, "none") ? name : "");

	return count;
}

static ssize_t answer_write(struct file *file, const char __user *buf,
			    size_t count, loff_t *ppos)
{
	struct standin_vgpu *vgpu;

	guard(mutex)(&standin_mutex);
	list_for_each_entry(vgpu, &standin_vgpus, node)
		mod_delayed_work(system_dfl_wq, &vgpu->answer, 0);

	return count;
}

static ssize_t interrupt_write(struct file *file, const char __user *buf,
			       size_t count, loff_t *ppos)
{
	struct standin_vgpu *vgpu;
	int ret;
	u32 vf;

	ret = kstrtou32_from_user(buf, count, 10, &vf);
	if (ret)
		return ret;

	/* Neither the vGPU nor the callback goes away meanwhile. */
	guard(mutex)(&standin_callbacks_mutex);
	guard(mutex)(&standin_mutex);

	if (!standin_callbacks)
		return -ENODEV;
	list_for_each_entry(vgpu, &standin_vgpus, node)
		if (vgpu->cookie && !vf--)
			return standin_callbacks->inject_interrupt(vgpu->cookie) ?
			       -EIO : count;

	return -ENOENT;
}

static int calls_show(struct seq_file *m, void *unused)
{
	int op;

	guard(mutex)(&standin_mutex);
	for (op = 0; op < NR_OPS; op++)
		seq_printf(m, "%s %llu\n", standin_ops[op], standin_calls[op]);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(calls);

static int last_show(struct seq_file *m, void *unused)
{
	guard(mutex)(&standin_mutex);
	seq_puts(m, standin_last);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(last);

#define STANDIN_WRITE_FOPS(_name)				\
static const struct file_operations _name##_fops = {		\
	.owner = THIS_MODULE,					\
	.open = simple_open,					\
	.write = _name##_write,					\
}

STANDIN_WRITE_FOPS(pf);
STANDIN_WRITE_FOPS(probe);
STANDIN_WRITE_FOPS(remove);
STANDIN_WRITE_FOPS(fail);
STANDIN_WRITE_FOPS(overrun);
STANDIN_WRITE_FOPS(vm_name);
STANDIN_WRITE_FOPS(answer);
STANDIN_WRITE_FOPS(interrupt);

static int __init standin_init(void)
{
	struct dentry *dir = debugfs_create_dir("nvvgpu-rm-standin", NULL);

	standin_dir = dir;
	debugfs_create_file("pf", 0200, dir, NULL, &pf_fops);
	debugfs_create_file("probe", 0200, dir, NULL, &probe_fops);
	debugfs_create_file("remove", 0200, dir, NULL, &remove_fops);
	debugfs_create_file("fail", 0200, dir, NULL, &fail_fops);
	debugfs_create_file("overrun", 0200, dir, NULL, &overrun_fops);
	debugfs_create_file("vm_name", 0200, dir, NULL, &vm_name_fops);
	debugfs_create_file("answer", 0200, dir, NULL, &answer_fops);
	debugfs_create_file("interrupt", 0200, dir, NULL, &interrupt_fops);
	debugfs_create_file("calls", 0400, dir, NULL, &calls_fops);
	debugfs_create_file("last", 0400, dir, NULL, &last_fops);
	debugfs_create_u32("start_delay_ms", 0600, dir,
			   &standin_start_delay_ms);
	debugfs_create_x32("start_status", 0600, dir, &standin_start_status);
	debugfs_create_u64("bar1_size", 0600, dir, &standin_bar1_size);
	debugfs_create_u32("nr_areas", 0600, dir, &standin_nr_areas);
	debugfs_create_u32("nr_types", 0600, dir, &standin_nr_types);
	debugfs_create_u32("hold_name", 0600, dir, &standin_hold_name);
	debugfs_create_atomic_t("held_names", 0400, dir, &standin_held_names);
	debugfs_create_u32("reports", 0600, dir, &standin_reports);
	debugfs_create_u64("violations", 0400, dir, &standin_violations);
	debugfs_create_bool("bad_types", 0600, dir, &standin_bad_types);

	return 0;
}

/*
 * nvvgpu-rm depends on this module, so it has been unloaded.  vGPUs are left only
 * if a test has made their deletion fail.
 */
static void __exit standin_exit(void)
{
	struct standin_vgpu *vgpu, *next;

	debugfs_remove(standin_dir);
	pci_dev_put(standin_pf);
	list_for_each_entry_safe(vgpu, next, &standin_vgpus, node) {
		cancel_delayed_work_sync(&vgpu->answer);
		kfree(vgpu);
	}
}

module_init(standin_init);
module_exit(standin_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Stand-in for NVIDIA's vGPU host driver, for nvvgpu's selftests");
