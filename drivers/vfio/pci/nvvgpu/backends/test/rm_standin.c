// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-rm-standin: stands in for a Resource Manager in the selftests.
 *
 * Its GPU is any SR-IOV PF that it is told of, which it does not touch.  It does
 * what it is told to through debugfs, in nvvgpu-rm-standin/:
 *
 *   pf		PCI name of the GPU that is there, "none" takes it away
 *   fail	"<function> <status>" makes a function fail, "none" ends that
 *   overrun	name of a function that writes more than it may, or "none"
 *   start_delay_ms  time until a start is answered; 4294967295 is never
 *   start_status    the answer
 *   answer	write: answer all starts that wait, now
 *   interrupt	write: raise one on the vGPU with this number, in order of creation
 *   nr_areas	how many areas of BAR 0 may be mapped
 *   bad_types	offer types that are not sound as well
 *   calls	how often each function has been called
 *   last	what the last update_request said
 */
#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/export.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "../rm/rm_provider.h"

#define STANDIN_FB_MIB	4096
#define STANDIN_NEVER	U32_MAX

static char *version = NVVGPU_RM_VERSION;
module_param(version, charp, 0444);
MODULE_PARM_DESC(version, "what the adapter must be");

static const struct standin_type {
	u32 id;
	u32 fb_mib;
	const char *name;
	bool bad;
} standin_types[] = {
	{ 256, 1024, "GRID ST-1Q" },
	{ 257, 2048, "GRID ST-2Q" },
	{ 258, 4096, "GRID ST-4C" },
	{ 300, 1024, "GRID: colon-1Q", true },
	{ 301, 1024, "", true },
	{ 302, 1024, "GRID", true },
	{ 303, 1024, "GRID  two-1Q", true },
	{ 0, 1024, "GRID zero-1Q", true },
};

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
 * struct standin_vgpu - a vGPU that is nothing
 * @node: entry in standin_vgpus
 * @id: as given by the adapter
 * @vgpu_id: number
 * @vf: bus, device and function of the VF
 * @type: of it
 * @cookie: for inject_interrupt, NULL until there is one
 * @wait: of a start that is not answered
 * @status: likewise
 * @answer: answers it
 */
struct standin_vgpu {
	struct list_head node;
	char id[NVVGPU_RM_ID_LEN];
	u16 vgpu_id;
	u32 vf;
	const struct standin_type *type;
	void *cookie;
	wait_queue_head_t *wait;
	u32 *status;
	struct delayed_work answer;
};

/* protects standin_adapter, standin_pf and is held around its callbacks */
static DEFINE_MUTEX(standin_callbacks_mutex);
static struct nvvgpu_rm_callbacks standin_adapter;
static struct pci_dev *standin_pf;

/* protects all that follows; taken inside the adapter's calls */
static DEFINE_MUTEX(standin_mutex);
static LIST_HEAD(standin_vgpus);
static u16 standin_next_id = 1;
static u64 standin_calls[NR_OPS];
static int standin_fail_op = -1;
static u32 standin_fail_status;
static int standin_overrun = -1;
static char standin_last[192];

static u32 standin_start_delay_ms;
static u32 standin_start_status;
static u32 standin_nr_areas;
static bool standin_bad_types;
static struct dentry *standin_dir;

static u64 standin_offsets[] = { 0x0000, 0x2000, 0, 0, 0, 0, 0, 0 };
static u64 standin_sizes[] = { 0x1000, 0x1000, 0, 0, 0, 0, 0, 0 };

/* Every function begins with this: counted, and failing when told to. */
static u32 standin_enter(enum standin_op op)
{
	lockdep_assert_held(&standin_mutex);

	standin_calls[op]++;

	return standin_fail_op == op ? standin_fail_status : NV_OK;
}

/* What is written to a buffer that the adapter did not say the length of */
static void standin_put(enum standin_op op, char *buf, size_t len,
			const char *text)
{
	if (standin_overrun == op)
		memset(buf, 'x', len + 1);
	else
		strscpy(buf, text, len);
}

static const struct standin_type *standin_type(u32 id)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(standin_types); i++)
		if (standin_types[i].id == id)
			return &standin_types[i];

	return NULL;
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

static u32 standin_instances(const struct standin_type *type)
{
	struct standin_vgpu *vgpu;
	u32 free = STANDIN_FB_MIB;

	lockdep_assert_held(&standin_mutex);

	list_for_each_entry(vgpu, &standin_vgpus, node)
		free -= vgpu->type->fb_mib;

	return free / type->fb_mib;
}

static void standin_answer(struct work_struct *work)
{
	struct standin_vgpu *vgpu = container_of(to_delayed_work(work),
						 struct standin_vgpu, answer);

	guard(mutex)(&standin_mutex);

	if (!vgpu->wait)
		return;
	WRITE_ONCE(*vgpu->status, standin_start_status);
	wake_up(vgpu->wait);
	vgpu->wait = NULL;
}

static u32 standin_vgpu_create(struct pci_dev *pf, const u8 *id, u32 type,
			       u32 vf, u16 *vgpu_id, u32 *gpu_id,
			       bool *is_driver_vm)
{
	const struct standin_type *found = standin_type(type);
	struct standin_vgpu *vgpu;
	u32 status;

	guard(mutex)(&standin_mutex);

	status = standin_enter(OP_CREATE);
	if (status)
		return status;
	if (!found || standin_find(id))
		return NV_ERR_INVALID_OPERATION;
	if (!standin_instances(found))
		return NV_ERR_INSUFFICIENT_RESOURCES;

	vgpu = kzalloc_obj(*vgpu, GFP_KERNEL);
	if (!vgpu)
		return NV_ERR_NO_MEMORY;
	memcpy(vgpu->id, id, sizeof(vgpu->id));
	vgpu->vgpu_id = standin_next_id++;
	vgpu->vf = vf;
	vgpu->type = found;
	INIT_DELAYED_WORK(&vgpu->answer, standin_answer);
	list_add_tail(&vgpu->node, &standin_vgpus);
	*vgpu_id = vgpu->vgpu_id;
	*gpu_id = pci_dev_id(pf);
	*is_driver_vm = false;

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
	vgpu->cookie = cookie;

	return NV_OK;
}

static u32 standin_vgpu_start(const u8 *id, wait_queue_head_t *wait,
			      u32 *status_out, u8 *vm_name, u32 pid)
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

	standin_put(OP_START, vm_name, NVVGPU_RM_VM_NAME_LEN, "stand-in's VM");
	vgpu->wait = wait;
	vgpu->status = status_out;
	if (standin_start_delay_ms != STANDIN_NEVER)
		schedule_delayed_work(&vgpu->answer,
				      msecs_to_jiffies(standin_start_delay_ms));

	return NV_OK;
}

static u32 standin_get_types(struct pci_dev *vf, u32 *ids, u32 *count)
{
	u32 status, nr = 0;
	size_t i;

	guard(mutex)(&standin_mutex);

	status = standin_enter(OP_GET_TYPES);
	if (status)
		return status;
	for (i = 0; i < ARRAY_SIZE(standin_types); i++)
		if (standin_instances(&standin_types[i]))
			ids[nr++] = standin_types[i].id;
	*count = nr;
	if (standin_overrun == OP_GET_TYPES)
		ids[NVVGPU_RM_MAX_TYPES] = 1;

	return NV_OK;
}

static u32 standin_get_name(struct pci_dev *pf, u32 type, char *buf)
{
	u32 status;

	guard(mutex)(&standin_mutex);

	status = standin_enter(OP_GET_NAME);
	if (status)
		return status;
	standin_put(OP_GET_NAME, buf, NVVGPU_RM_NAME_LEN,
		    standin_type(type)->name);

	return NV_OK;
}

static u32 standin_get_description(struct pci_dev *pf, u32 type, char *buf)
{
	const struct standin_type *found = standin_type(type);
	char text[NVVGPU_RM_DESCRIPTION_LEN];
	u32 status;

	guard(mutex)(&standin_mutex);

	status = standin_enter(OP_GET_DESCRIPTION);
	if (status)
		return status;
	snprintf(text, sizeof(text),
		 "num_heads=4, frl_config=60, framebuffer=%uM, max_resolution=4096x2160, max_instance=%u",
		 found->fb_mib, STANDIN_FB_MIB / found->fb_mib);
	standin_put(OP_GET_DESCRIPTION, buf, NVVGPU_RM_DESCRIPTION_LEN, text);

	return NV_OK;
}

static u32 standin_get_instances(struct pci_dev *pf, u32 type, char *buf)
{
	char text[NVVGPU_RM_INSTANCES_LEN];
	u32 status;

	guard(mutex)(&standin_mutex);

	status = standin_enter(OP_GET_INSTANCES);
	if (status)
		return status;
	snprintf(text, sizeof(text), "%u\n",
		 standin_instances(standin_type(type)));
	standin_put(OP_GET_INSTANCES, buf, NVVGPU_RM_INSTANCES_LEN, text);

	return NV_OK;
}

static u32 standin_get_sparse_mmap(struct pci_dev *pf, const u8 *id,
				   u64 **offsets, u64 **sizes, u32 *count)
{
	u32 status;

	guard(mutex)(&standin_mutex);

	status = standin_enter(OP_GET_SPARSE_MMAP);
	if (status)
		return status;
	*offsets = standin_offsets;
	*sizes = standin_sizes;
	*count = standin_nr_areas;

	return NV_OK;
}

static void standin_update_request(const u8 *id, const u64 *offsets,
				   const u64 *sizes, u32 state,
				   const char *params)
{
	static const char * const states[] = {
		[NVVGPU_RM_UNUSED] = "unused",
		[NVVGPU_RM_OPENED] = "opened",
		[NVVGPU_RM_IN_USE] = "in use",
	};
	u64 mapped = 0;
	int i;

	guard(mutex)(&standin_mutex);

	standin_enter(OP_UPDATE_REQUEST);
	for (i = 0; i < NVVGPU_RM_MAX_AREAS; i++)
		mapped += sizes[i];
	snprintf(standin_last, sizeof(standin_last), "%s %s %llu \"%s\"\n", id,
		 state < ARRAY_SIZE(states) ? states[state] : "?", mapped,
		 params);
}

static const struct nvvgpu_rm_ops standin_table = {
	.vgpu_create = standin_vgpu_create,
	.vgpu_delete = standin_vgpu_delete,
	.vgpu_bar_info = standin_vgpu_bar_info,
	.vgpu_start = standin_vgpu_start,
	.get_types = standin_get_types,
	.get_name = standin_get_name,
	.get_description = standin_get_description,
	.get_instances = standin_get_instances,
	.get_sparse_mmap = standin_get_sparse_mmap,
	.update_request = standin_update_request,
};

/**
 * nvvgpu_rm_get_ops() - give the adapter the provider's functions
 * @ops: with the adapter's version; filled in
 *
 * Return: NV_OK, or NV_ERR_GENERIC with the provider's version in @ops
 */
u32 nvvgpu_rm_get_ops(struct nvvgpu_rm_ops *ops)
{
	if (strncmp(ops->version, version, sizeof(ops->version))) {
		strscpy(ops->version, version);
		return NV_ERR_GENERIC;
	}
	*ops = standin_table;
	strscpy(ops->version, version);

	return NV_OK;
}
EXPORT_SYMBOL(nvvgpu_rm_get_ops);

static u32 standin_probe(void)
{
	u32 ids[ARRAY_SIZE(standin_types)];
	u32 nr = 0;
	size_t i;

	lockdep_assert_held(&standin_callbacks_mutex);

	if (!standin_pf || !standin_adapter.probe)
		return NV_OK;

	for (i = 0; i < ARRAY_SIZE(standin_types); i++)
		if (standin_bad_types || !standin_types[i].bad)
			ids[nr++] = standin_types[i].id;

	return standin_adapter.probe(standin_pf, nr, ids);
}

/**
 * nvvgpu_rm_set_ops() - take the adapter's functions
 * @callbacks: the adapter's, or NULL
 *
 * Return: NV_OK
 */
u32 nvvgpu_rm_set_ops(const struct nvvgpu_rm_callbacks *callbacks)
{
	guard(mutex)(&standin_callbacks_mutex);

	if (callbacks)
		standin_adapter = *callbacks;
	else
		memset(&standin_adapter, 0, sizeof(standin_adapter));
	standin_probe();

	return NV_OK;
}
EXPORT_SYMBOL(nvvgpu_rm_set_ops);

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

static struct pci_dev *standin_find_pf(const char *name)
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
		pdev = standin_find_pf(word);
		if (!pdev)
			return -ENODEV;
	}

	guard(mutex)(&standin_callbacks_mutex);

	if (standin_pf) {
		if (standin_adapter.remove)
			standin_adapter.remove(standin_pf);
		pci_dev_put(standin_pf);
	}
	standin_pf = pdev;
	ret = standin_probe() == NV_OK ? 0 : -EIO;

	return ret ?: count;
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
		op = standin_op_number(name);
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
	u32 vf;
	int ret;

	ret = kstrtou32_from_user(buf, count, 10, &vf);
	if (ret)
		return ret;

	/* Neither the vGPU nor the adapter goes meanwhile. */
	guard(mutex)(&standin_callbacks_mutex);
	guard(mutex)(&standin_mutex);

	if (!standin_adapter.inject_interrupt)
		return -ENODEV;
	list_for_each_entry(vgpu, &standin_vgpus, node) {
		if (vgpu->cookie && !vf--) {
			standin_adapter.inject_interrupt(vgpu->cookie);
			return count;
		}
	}

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
STANDIN_WRITE_FOPS(fail);
STANDIN_WRITE_FOPS(overrun);
STANDIN_WRITE_FOPS(answer);
STANDIN_WRITE_FOPS(interrupt);

static int __init standin_init(void)
{
	struct dentry *dir = debugfs_create_dir("nvvgpu-rm-standin", NULL);

	standin_dir = dir;
	debugfs_create_file("pf", 0200, dir, NULL, &pf_fops);
	debugfs_create_file("fail", 0200, dir, NULL, &fail_fops);
	debugfs_create_file("overrun", 0200, dir, NULL, &overrun_fops);
	debugfs_create_file("answer", 0200, dir, NULL, &answer_fops);
	debugfs_create_file("interrupt", 0200, dir, NULL, &interrupt_fops);
	debugfs_create_file("calls", 0400, dir, NULL, &calls_fops);
	debugfs_create_file("last", 0400, dir, NULL, &last_fops);
	debugfs_create_u32("start_delay_ms", 0600, dir,
			   &standin_start_delay_ms);
	debugfs_create_x32("start_status", 0600, dir, &standin_start_status);
	debugfs_create_u32("nr_areas", 0600, dir, &standin_nr_areas);
	debugfs_create_bool("bad_types", 0600, dir, &standin_bad_types);

	return 0;
}

/*
 * The adapter depends on this module, so it has gone, and its vGPUs with it: but
 * for those that it was told were not there.
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
MODULE_DESCRIPTION("Stand-in for a Resource Manager, for nvvgpu's selftests");
