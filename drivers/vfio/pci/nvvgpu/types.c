// SPDX-License-Identifier: GPL-2.0-only
/*
 * The directory nvvgpu/types/ of a PF: one directory for each type that the
 * back-end offers, with one value in each file.
 */
#include <kunit/visibility.h>
#include <linux/export.h>
#include <linux/kobject.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "nvvgpu.h"

/**
 * struct nvvgpu_type - the directory of a type
 * @kobj: the directory
 * @node: entry in nvvgpu_pf::types, or in the answer of the back-end
 * @backend: back-end that offers the type, valid while the directory exists
 * @info: attributes, constant while the directory exists
 * @error: error of get_type_info or 0; if set, only @info.id is valid
 * @seen: used by nvvgpu_types_update()
 * @query_limit: limits the readers of files that call the back-end
 * @leaving: these readers no longer wait
 */
struct nvvgpu_type {
	struct kobject kobj;
	struct list_head node;
	struct nvvgpu_backend *backend;
	struct nvvgpu_type_info info;
	int error;
	bool seen;
	struct ratelimit_state query_limit;
	bool leaving;
};

static struct nvvgpu_type *nvvgpu_to_type(struct kobject *kobj)
{
	return container_of(kobj, struct nvvgpu_type, kobj);
}

#define NVVGPU_TYPE_ATTR(_name, _fmt, ...)				\
static ssize_t _name##_show(struct kobject *kobj,			\
			    struct kobj_attribute *attr, char *buf)	\
{									\
	const struct nvvgpu_type_info *info = &nvvgpu_to_type(kobj)->info; \
									\
	return sysfs_emit(buf, _fmt "\n", __VA_ARGS__);			\
}									\
static struct kobj_attribute nvvgpu_type_##_name = __ATTR_RO(_name)

NVVGPU_TYPE_ATTR(name, "%s", info->name);
NVVGPU_TYPE_ATTR(class, "%s", nvvgpu_class_names[info->class]);
NVVGPU_TYPE_ATTR(framebuffer, "%llu", info->fb_bytes);
NVVGPU_TYPE_ATTR(bar0, "%llu", info->bar_bytes[0]);
NVVGPU_TYPE_ATTR(bar1, "%llu", info->bar_bytes[1]);
NVVGPU_TYPE_ATTR(bar2, "%llu", info->bar_bytes[2]);
NVVGPU_TYPE_ATTR(bar3, "%llu", info->bar_bytes[3]);
NVVGPU_TYPE_ATTR(bar4, "%llu", info->bar_bytes[4]);
NVVGPU_TYPE_ATTR(bar5, "%llu", info->bar_bytes[5]);
NVVGPU_TYPE_ATTR(heads, "%u", info->heads);
NVVGPU_TYPE_ATTR(max_resolution, "%ux%u", info->max_width, info->max_height);
NVVGPU_TYPE_ATTR(max_instances, "%u", info->max_instances);
NVVGPU_TYPE_ATTR(weight, "%u", info->weight);

static int nvvgpu_type_available(struct nvvgpu_type *type, char *reason)
{
	return nvvgpu_query_wait(&type->query_limit, &type->leaving) ?:
	       nvvgpu_op_get_available(type->backend, type->info.id,
				       NVVGPU_PLACEMENT_ANY, reason);
}

static ssize_t available_instances_show(struct kobject *kobj,
					struct kobj_attribute *attr, char *buf)
{
	struct nvvgpu_type *type = nvvgpu_to_type(kobj);
	char reason[NVVGPU_REASON_LEN];
	int nr;

	nr = nvvgpu_type_available(type, reason);

	return nr < 0 ? nr : sysfs_emit(buf, "%d\n", nr);
}

static struct kobj_attribute nvvgpu_type_available_instances =
	__ATTR_RO_MODE(available_instances, 0400);

static ssize_t reason_show(struct kobject *kobj, struct kobj_attribute *attr,
			   char *buf)
{
	struct nvvgpu_type *type = nvvgpu_to_type(kobj);
	char reason[NVVGPU_REASON_LEN];
	int nr;

	nr = nvvgpu_type_available(type, reason);

	return nr < 0 ? nr : sysfs_emit(buf, "%s\n", nr ? "" : reason);
}

static struct kobj_attribute nvvgpu_type_reason = __ATTR_RO_MODE(reason, 0400);

static ssize_t placements_show(struct kobject *kobj,
			       struct kobj_attribute *attr, char *buf)
{
	u32 *placements __free(kfree) = NULL;
	struct nvvgpu_type *type = nvvgpu_to_type(kobj);
	char text[12];
	int nr, i, len = 0;

	placements = kzalloc_objs(*placements, NVVGPU_MAX_PLACEMENTS,
				  GFP_KERNEL);
	if (!placements)
		return -ENOMEM;

	nr = nvvgpu_query_wait(&type->query_limit, &type->leaving) ?:
	     nvvgpu_op_get_placements(type->backend, type->info.id, placements);
	if (nr < 0)
		return nr;

	for (i = 0; i < nr; i++) {
		/* Leave room for the end of a list that exceeds a page. */
		if (len + snprintf(text, sizeof(text), "%u", placements[i]) >
		    PAGE_SIZE - sizeof(" ...\n"))
			return len + sysfs_emit_at(buf, len, "...\n");
		len += sysfs_emit_at(buf, len, "%s%c", text,
				     i == nr - 1 ? '\n' : ' ');
	}

	return len;
}

static struct kobj_attribute nvvgpu_type_placements =
	__ATTR_RO_MODE(placements, 0400);

static struct attribute *nvvgpu_type_attrs[] = {
	&nvvgpu_type_available_instances.attr,
	&nvvgpu_type_class.attr,
	&nvvgpu_type_framebuffer.attr,
	&nvvgpu_type_heads.attr,
	&nvvgpu_type_max_instances.attr,
	&nvvgpu_type_max_resolution.attr,
	&nvvgpu_type_name.attr,
	&nvvgpu_type_reason.attr,
	&nvvgpu_type_weight.attr,
	NULL,
};

static const struct attribute_group nvvgpu_type_group = {
	.attrs = nvvgpu_type_attrs,
};

static struct attribute *nvvgpu_type_bar_attrs[] = {
	&nvvgpu_type_bar0.attr,
	&nvvgpu_type_bar1.attr,
	&nvvgpu_type_bar2.attr,
	&nvvgpu_type_bar3.attr,
	&nvvgpu_type_bar4.attr,
	&nvvgpu_type_bar5.attr,
	NULL,
};

static_assert(ARRAY_SIZE(nvvgpu_type_bar_attrs) == NVVGPU_MAX_BARS + 1);

/* A BAR without a file has the size of the VF's own. */
static umode_t nvvgpu_type_bar_visible(struct kobject *kobj,
				       struct attribute *attr, int n)
{
	return nvvgpu_to_type(kobj)->info.bar_bytes[n] ? attr->mode : 0;
}

static const struct attribute_group nvvgpu_type_bar_group = {
	.attrs = nvvgpu_type_bar_attrs,
	.is_visible = nvvgpu_type_bar_visible,
};

static struct attribute *nvvgpu_type_placement_attrs[] = {
	&nvvgpu_type_placements.attr,
	NULL,
};

static umode_t nvvgpu_type_placement_visible(struct kobject *kobj,
					     struct attribute *attr, int n)
{
	return nvvgpu_can(nvvgpu_to_type(kobj)->backend) &
	       NVVGPU_CAN_LIST_PLACES ? attr->mode : 0;
}

static const struct attribute_group nvvgpu_type_placement_group = {
	.attrs = nvvgpu_type_placement_attrs,
	.is_visible = nvvgpu_type_placement_visible,
};

static const struct attribute_group *nvvgpu_type_groups[] = {
	&nvvgpu_type_group,
	&nvvgpu_type_bar_group,
	&nvvgpu_type_placement_group,
	NULL,
};

static void nvvgpu_type_release(struct kobject *kobj)
{
	kfree(nvvgpu_to_type(kobj));
}

static const struct kobj_type nvvgpu_type_ktype = {
	.sysfs_ops = &kobj_sysfs_ops,
	.release = nvvgpu_type_release,
	.default_groups = nvvgpu_type_groups,
};

/* Waits for the readers of its files. */
static void nvvgpu_type_del(struct nvvgpu_type *type)
{
	list_del(&type->node);
	WRITE_ONCE(type->leaving, true);
	kobject_del(&type->kobj);
	kobject_put(&type->kobj);
}

/* Create the directory of a type, and move the type to nvvgpu_pf::types. */
static int nvvgpu_type_add(struct nvvgpu_pf *pf, struct nvvgpu_type *type)
{
	int ret;

	list_move_tail(&type->node, &pf->types);
	type->seen = true;

	ret = kobject_init_and_add(&type->kobj, &nvvgpu_type_ktype,
				   pf->types_dir, "%u", type->info.id);
	if (ret) {
		list_del(&type->node);
		kobject_put(&type->kobj);
	}

	return ret;
}

static struct nvvgpu_type *nvvgpu_type_find(struct nvvgpu_pf *pf, u32 id)
{
	struct nvvgpu_type *type;

	list_for_each_entry(type, &pf->types, node)
		if (type->info.id == id)
			return type;

	return NULL;
}

/* A back-end may leave anything between the members and after the name. */
VISIBLE_IF_KUNIT
bool nvvgpu_type_same(const struct nvvgpu_type_info *a,
		      const struct nvvgpu_type_info *b)
{
	return a->id == b->id && !strcmp(a->name, b->name) &&
	       a->class == b->class && a->fb_bytes == b->fb_bytes &&
	       !memcmp(a->bar_bytes, b->bar_bytes, sizeof(a->bar_bytes)) &&
	       a->heads == b->heads && a->max_width == b->max_width &&
	       a->max_height == b->max_height &&
	       a->max_instances == b->max_instances &&
	       a->weight == b->weight && a->vendor == b->vendor &&
	       a->device == b->device &&
	       a->subsystem_vendor == b->subsystem_vendor &&
	       a->subsystem_device == b->subsystem_device &&
	       a->class_code == b->class_code;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_type_same);

/* Return whether the directory of the type has changed. */
static bool nvvgpu_type_update(struct nvvgpu_pf *pf, struct nvvgpu_type *type)
{
	struct nvvgpu_type *shown = nvvgpu_type_find(pf, type->info.id);
	u32 id = type->info.id;
	int ret = type->error;

	/* The type may have been withdrawn meanwhile. */
	if (ret == -ENOENT)
		return false;
	/* Keep the directory: the error of the back-end may be temporary. */
	if (shown && (ret || nvvgpu_type_same(&shown->info, &type->info))) {
		shown->seen = true;
		return false;
	}
	if (shown)
		nvvgpu_type_del(shown);
	if (!ret)
		ret = nvvgpu_type_add(pf, type);
	if (ret)
		pci_err(pf->pdev, "cannot show type %u in sysfs: %pe\n", id,
			ERR_PTR(ret));

	return !ret;
}

/*
 * Bring the directories up to date.  Types that get a directory move from @answer
 * to nvvgpu_pf::types.  Return whether any directory has changed.
 */
static bool nvvgpu_types_update(struct nvvgpu_pf *pf, struct list_head *answer)
{
	struct nvvgpu_type *type, *next;
	bool changed = false;

	lockdep_assert_held(&pf->types_mutex);

	list_for_each_entry(type, &pf->types, node)
		type->seen = false;
	list_for_each_entry_safe(type, next, answer, node)
		changed |= nvvgpu_type_update(pf, type);
	list_for_each_entry_safe(type, next, &pf->types, node) {
		if (type->seen)
			continue;
		nvvgpu_type_del(type);
		changed = true;
	}

	return changed;
}

static int nvvgpu_types_ask(struct nvvgpu_backend *backend,
			    struct list_head *answer)
{
	u32 *ids __free(kfree) = NULL;
	struct nvvgpu_type *type;
	int nr, i;

	ids = kzalloc_objs(*ids, NVVGPU_MAX_TYPES, GFP_KERNEL);
	nr = ids ? nvvgpu_op_get_types(backend, ids) : -ENOMEM;

	for (i = 0; i < nr; i++) {
		type = kzalloc_obj(*type, GFP_KERNEL);
		if (!type)
			return -ENOMEM;
		list_add_tail(&type->node, answer);
		type->backend = backend;
		nvvgpu_query_limit_init(&type->query_limit);
		type->error = nvvgpu_op_get_type_info(backend, ids[i],
						      &type->info);
		type->info.id = ids[i];
	}

	return min(nr, 0);
}

/* Whether an answer describes all types, and there are any */
static bool nvvgpu_types_complete(const struct list_head *answer)
{
	const struct nvvgpu_type *type;

	list_for_each_entry(type, answer, node)
		if (type->error && type->error != -ENOENT)
			return false;

	return !list_empty(answer);
}

/*
 * Ask the back-end for its types, and bring the directories up to date.  Return
 * whether any has changed since the first answer.
 *
 * The back-end is asked without types_mutex: a VF that is bound must not wait
 * until the firmware answers for another.
 */
static bool nvvgpu_types_refresh(struct nvvgpu_backend *backend)
{
	struct nvvgpu_pf *pf = backend->pf;
	struct nvvgpu_type *type, *next;
	bool changed = false, known, stale;
	LIST_HEAD(answer);
	u64 request;
	int ret;

	if (!(nvvgpu_can(backend) & NVVGPU_CAN_CREATE))
		return false;

	scoped_guard(mutex, &pf->dir_mutex)
		request = ++pf->types_asked;
	ret = nvvgpu_types_ask(backend, &answer);
	known = !ret && nvvgpu_types_complete(&answer);
	scoped_guard(mutex, &pf->types_mutex) {
		/* The answer to a later request may have been applied. */
		stale = request < pf->types_answered;
		if (!ret && !stale) {
			changed = nvvgpu_types_update(pf, &answer) &&
				  pf->types_answered;
			pf->types_answered = request;
			scoped_guard(mutex, &pf->dir_mutex)
				pf->types_known = known;
		}
	}
	if (ret && !stale)
		pci_err(pf->pdev, "cannot list the types in sysfs: %pe\n",
			ERR_PTR(ret));
	list_for_each_entry_safe(type, next, &answer, node)
		kfree(type);

	return changed;
}

static int nvvgpu_types_make_dir(struct nvvgpu_pf *pf)
{
	lockdep_assert_held(&pf->dir_mutex);

	if (!pf->dir)
		pf->dir = kobject_create_and_add("nvvgpu", &pf->pdev->dev.kobj);
	if (pf->dir && !pf->types_dir)
		pf->types_dir = kobject_create_and_add("types", pf->dir);

	return pf->types_dir ? 0 : -ENOMEM;
}

static void nvvgpu_catalogue_queue(struct nvvgpu_pf *pf)
{
	/* get_types may report a change, which calls get_types. */
	queue_delayed_work(system_dfl_wq, &pf->catalogue_work,
			   NVVGPU_TYPES_DELAY);
}

/**
 * nvvgpu_types_show() - show the types of a back-end in sysfs
 * @backend: the back-end
 *
 * Asks the back-end unless it has described all its types before: it has to
 * report changes.  Undone by nvvgpu_types_hide().  A failure is logged: vGPUs
 * can be created without the directories.
 */
void nvvgpu_types_show(struct nvvgpu_backend *backend)
{
	struct nvvgpu_pf *pf = backend->pf;
	bool known;
	int ret;

	scoped_guard(mutex, &pf->dir_mutex) {
		ret = nvvgpu_types_make_dir(pf);
		if (ret) {
			pci_err(pf->pdev,
				"cannot list the types in sysfs: %pe\n",
				ERR_PTR(ret));
			return;
		}
		pf->shown = backend;
		known = pf->types_known;
	}

	if (!known && nvvgpu_types_refresh(backend))
		nvvgpu_catalogue_queue(pf);
}

/**
 * nvvgpu_types_hide() - remove the types of a back-end from sysfs
 * @backend: the back-end
 *
 * Waits for operations that readers of the files or the worker have called.
 */
void nvvgpu_types_hide(struct nvvgpu_backend *backend)
{
	struct nvvgpu_pf *pf = backend->pf;
	struct nvvgpu_type *type, *next;

	scoped_guard(mutex, &pf->dir_mutex)
		pf->shown = NULL;
	cancel_delayed_work_sync(&pf->catalogue_work);

	guard(mutex)(&pf->types_mutex);

	list_for_each_entry_safe(type, next, &pf->types, node)
		nvvgpu_type_del(type);
	pf->types_answered = 0;

	guard(mutex)(&pf->dir_mutex);

	pf->types_known = false;
	kobject_put(pf->types_dir);
	pf->types_dir = NULL;
	kobject_put(pf->dir);
	pf->dir = NULL;
}

/**
 * nvvgpu_types_link() - link nvvgpu/types of a VF to that of its PF
 * @vgpu: the VF
 *
 * Removed together with nvvgpu/.  A failure is logged: vGPUs can be created
 * without the directories.
 */
void nvvgpu_types_link(struct nvvgpu *vgpu)
{
	struct nvvgpu_pf *pf = vgpu->pf;
	int ret;

	guard(mutex)(&pf->dir_mutex);

	if (!pf->types_dir)
		return;

	ret = sysfs_add_link_to_group(&nvvgpu_dev(vgpu)->kobj, "nvvgpu",
				      pf->types_dir, "types");
	if (ret)
		dev_err(nvvgpu_dev(vgpu), "cannot list the types in sysfs: %pe\n",
			ERR_PTR(ret));
}

/**
 * nvvgpu_catalogue_work() - announce that a back-end has changed its types
 * @work: nvvgpu_pf::catalogue_work
 *
 * Readers that have been woken see the new types.
 */
void nvvgpu_catalogue_work(struct work_struct *work)
{
	struct nvvgpu_pf *pf = container_of(to_delayed_work(work),
					    struct nvvgpu_pf, catalogue_work);
	struct nvvgpu_backend *backend;

	/* nvvgpu_types_hide() waits for this worker. */
	scoped_guard(mutex, &pf->dir_mutex)
		backend = pf->shown;
	if (!backend)
		return;

	nvvgpu_types_refresh(backend);
	nvvgpu_announce_types(pf);
}

/**
 * nvvgpu_backend_types_changed() - report a change of the types
 * @backend: handle from nvvgpu_backend_register()
 *
 * Call this when the types or their attributes have changed, or when the number
 * of vGPUs that can be created has changed for a reason other than a create or
 * delete of this back-end: for instance, the firmware has crashed.  A worker of
 * the front-end then calls @get_types and @get_type_info, updates nvvgpu/types,
 * and notifies user space for every VF.
 *
 * Changes within a tenth of a second are announced once.
 *
 * Context: any but NMI, also from within an operation.
 */
void nvvgpu_backend_types_changed(struct nvvgpu_backend *backend)
{
	nvvgpu_catalogue_queue(backend->pf);
}
EXPORT_SYMBOL_NS_GPL(nvvgpu_backend_types_changed, "NVVGPU");
