// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpu-generic: configuration through configfs.
 *
 *   nvvgpu-generic/<PF>/enable		1 while the types are offered
 *   nvvgpu-generic/<PF>/types/<id>/	a type; type 1 always exists
 *
 * Values are checked when they are written.  A value that is refused returns an
 * errno and logs the reason.  The files are described in
 * Documentation/ABI/testing/configfs-nvvgpu-generic.
 */
#include <linux/cleanup.h>
#include <linux/ctype.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "generic.h"

/* The default type: a whole VF */
#define GENERIC_WHOLE_VF	"1"

/**
 * generic_refuse() - log why an action was refused
 * @who: the PF
 * @err: a negative errno
 * @fmt: reason, without a newline
 *
 * Return: @err
 */
int generic_refuse(const char *who, int err, const char *fmt, ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	va_start(args, fmt);
	vaf.va = &args;
	pr_warn(KBUILD_MODNAME ": %s: %pV\n", who, &vaf);
	va_end(args);

	return err;
}

static struct generic_type *to_type(struct config_item *item)
{
	return container_of(to_config_group(item), struct generic_type, group);
}

static struct generic_pf *to_pf(struct config_item *item)
{
	return container_of(to_config_group(item), struct generic_pf, group);
}

#define type_refuse(type, err, fmt, ...)				\
	generic_refuse(generic_pf_name((type)->pf), err, "type %u: " fmt,	\
		       (type)->info.id, ##__VA_ARGS__)

/* A type that is offered must not change, as users may have seen it. */
static int type_check_idle(struct generic_type *type)
{
	lockdep_assert_held(&type->pf->lock);

	if (type->offered)
		return type_refuse(type, -EBUSY,
				   "is offered, write 0 to its enable first");
	if (type->instances)
		return type_refuse(type, -EBUSY, "has %u vGPUs",
				   type->instances);

	return 0;
}

static ssize_t type_enable_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%d\n", to_type(item)->offered);
}

static bool type_name_taken(struct generic_type *type)
{
	struct generic_type *other;

	list_for_each_entry(other, &type->pf->types, node)
		if (other != type && other->offered &&
		    !strcmp(other->info.name, type->info.name))
			return true;

	return false;
}

static int type_offer(struct generic_type *type, bool offered)
{
	guard(mutex)(&type->pf->lock);

	if (offered && type->info.device && !type->info.vendor)
		return type_refuse(type, -EINVAL, "device id requires a vendor id");
	if (offered && type->info.subsystem_device &&
	    !type->info.subsystem_vendor)
		return type_refuse(type, -EINVAL,
				   "subsystem device id requires a subsystem vendor id");
	if (offered && type_name_taken(type))
		return type_refuse(type, -EEXIST,
				   "an offered type is already named \"%s\"",
				   type->info.name);
	type->offered = offered;

	return 0;
}

static ssize_t type_enable_store(struct config_item *item, const char *page,
				 size_t count)
{
	struct generic_type *type = to_type(item);
	bool offered;
	int ret;

	ret = kstrtobool(page, &offered);
	if (ret)
		return type_refuse(type, ret, "enable takes 0 or 1");

	ret = type_offer(type, offered);
	if (ret)
		return ret;
	generic_pf_types_changed(type->pf);

	return count;
}

static ssize_t type_name_show(struct config_item *item, char *page)
{
	struct generic_type *type = to_type(item);

	guard(mutex)(&type->pf->lock);

	return sysfs_emit(page, "%s\n", type->info.name);
}

static ssize_t type_name_store(struct config_item *item, const char *page,
			       size_t count)
{
	struct generic_type *type = to_type(item);
	char name[NVVGPU_NAME_LEN] = {};
	size_t len = count;
	int ret;

	if (len && page[len - 1] == '\n')
		len--;
	if (len >= sizeof(type->info.name))
		return type_refuse(type, -E2BIG, "name is longer than %zu",
				   sizeof(type->info.name) - 1);
	memcpy(name, page, len);
	if (strlen(name) != len || !nvvgpu_type_name_valid(name))
		return type_refuse(type, -EINVAL,
				   "name must be ASCII words separated by single spaces, without colons or double quotes");

	guard(mutex)(&type->pf->lock);

	ret = type_check_idle(type);
	if (ret)
		return ret;
	memcpy(type->info.name, name, sizeof(name));

	return count;
}

static ssize_t type_class_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%s\n",
			  nvvgpu_class_names[to_type(item)->info.class]);
}

static ssize_t type_class_store(struct config_item *item, const char *page,
				size_t count)
{
	struct generic_type *type = to_type(item);
	int class, ret;

	class = sysfs_match_string(nvvgpu_class_names, page);
	if (class < 0)
		return type_refuse(type, class, "unknown class");

	guard(mutex)(&type->pf->lock);

	ret = type_check_idle(type);
	if (ret)
		return ret;
	type->info.class = class;

	return count;
}

static ssize_t type_instances_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%u\n", to_type(item)->instances);
}

static ssize_t type_max_instances_show(struct config_item *item, char *page)
{
	struct generic_type *type = to_type(item);

	return sysfs_emit(page, "%u\n", type->info.max_instances ?:
			  generic_pf_total_vfs(type->pf));
}

static ssize_t type_max_instances_store(struct config_item *item,
					const char *page, size_t count)
{
	struct generic_type *type = to_type(item);
	u32 total = generic_pf_total_vfs(type->pf);
	u32 val;
	int ret;

	ret = kstrtou32(page, 10, &val);
	if (ret || !val || val > total)
		return type_refuse(type, ret ?: -ERANGE,
				   "max_instances takes 1 to %u", total);

	guard(mutex)(&type->pf->lock);

	ret = type_check_idle(type);
	if (ret)
		return ret;
	type->info.max_instances = val;

	return count;
}

static ssize_t type_show_bar(struct config_item *item, char *page,
			     unsigned int bar)
{
	struct generic_type *type = to_type(item);

	guard(mutex)(&type->pf->lock);

	if (type->hidden & BIT(bar))
		return sysfs_emit(page, "hidden\n");
	if (!type->info.bar_bytes[bar])
		return sysfs_emit(page, "whole\n");

	return sysfs_emit(page, "%llu\n", type->info.bar_bytes[bar]);
}

/* "whole", "hidden", or bytes with an optional K, M or G */
static int parse_bar(const char *page, bool *hidden, u64 *bytes)
{
	const char *text = skip_spaces(page);
	char *end;

	*hidden = sysfs_streq(text, "hidden");
	*bytes = 0;
	if (*hidden || sysfs_streq(text, "whole"))
		return 0;
	if (!isdigit(text[0]))
		return -EINVAL;

	*bytes = memparse(text, &end);
	if (end == text || *skip_spaces(end) || !*bytes)
		return -EINVAL;

	return 0;
}

static ssize_t type_store_bar(struct config_item *item, const char *page,
			      size_t count, unsigned int bar)
{
	struct generic_type *type = to_type(item);
	u64 bytes, whole = generic_pf_bar_size(type->pf, bar);
	bool hidden;
	int ret;

	ret = parse_bar(page, &hidden, &bytes);
	if (ret)
		return type_refuse(type, ret,
				   "bar%u must be \"whole\", \"hidden\" or a size", bar);
	if (!whole && (hidden || bytes))
		return type_refuse(type, -ENXIO, "the VFs have no BAR %u", bar);
	if (bytes > whole)
		return type_refuse(type, -ERANGE, "bar%u must be at most %llu", bar,
				   whole);
	if (bytes && (!is_power_of_2(bytes) || bytes < PAGE_SIZE) &&
	    bytes != whole)
		return type_refuse(type, -EINVAL,
				   "bar%u must be a power of two of at least %lu", bar,
				   PAGE_SIZE);

	guard(mutex)(&type->pf->lock);

	ret = type_check_idle(type);
	if (ret)
		return ret;
	type->hidden &= ~BIT(bar);
	if (hidden)
		type->hidden |= BIT(bar);
	type->info.bar_bytes[bar] = bytes == whole ? 0 : bytes;

	return count;
}

static ssize_t type_store_id(struct generic_type *type, const char *page,
			     size_t count, const char *name, u16 *id)
{
	u16 val;
	int ret;

	/* A read from an absent function returns all ones. */
	ret = kstrtou16(page, 0, &val);
	if (ret || val == U16_MAX)
		return type_refuse(type, ret ?: -ERANGE,
				   "%s must be 0 to 0xfffe", name);

	guard(mutex)(&type->pf->lock);

	ret = type_check_idle(type);
	if (ret)
		return ret;
	*id = val;

	return count;
}

static ssize_t type_class_code_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "0x%06x\n", to_type(item)->info.class_code);
}

static ssize_t type_class_code_store(struct config_item *item,
				     const char *page, size_t count)
{
	struct generic_type *type = to_type(item);
	u32 val;
	int ret;

	ret = kstrtou32(page, 0, &val);
	if (ret || val > 0xffffff)
		return type_refuse(type, ret ?: -ERANGE,
				   "class_code must be 0 to 0xffffff");

	guard(mutex)(&type->pf->lock);

	ret = type_check_idle(type);
	if (ret)
		return ret;
	type->info.class_code = val;

	return count;
}

#define TYPE_BAR_SHOW(_bar)						\
static ssize_t type_bar##_bar##_show(struct config_item *item, char *page) \
{									\
	return type_show_bar(item, page, _bar);				\
}

#define TYPE_BAR_STORE(_bar)						\
static ssize_t type_bar##_bar##_store(struct config_item *item,		\
				      const char *page, size_t count)	\
{									\
	return type_store_bar(item, page, count, _bar);			\
}

#define TYPE_ID_SHOW(_name)						\
static ssize_t type_##_name##_show(struct config_item *item, char *page) \
{									\
	return sysfs_emit(page, "0x%04x\n", to_type(item)->info._name);	\
}

#define TYPE_ID_STORE(_name)						\
static ssize_t type_##_name##_store(struct config_item *item,		\
				    const char *page, size_t count)	\
{									\
	struct generic_type *type = to_type(item);			\
									\
	return type_store_id(type, page, count, #_name,			\
			     &type->info._name);			\
}

TYPE_BAR_SHOW(0)
TYPE_BAR_STORE(0)
CONFIGFS_ATTR(type_, bar0);

TYPE_BAR_SHOW(1)
TYPE_BAR_STORE(1)
CONFIGFS_ATTR(type_, bar1);

TYPE_BAR_SHOW(2)
TYPE_BAR_STORE(2)
CONFIGFS_ATTR(type_, bar2);

TYPE_BAR_SHOW(3)
TYPE_BAR_STORE(3)
CONFIGFS_ATTR(type_, bar3);

TYPE_BAR_SHOW(4)
TYPE_BAR_STORE(4)
CONFIGFS_ATTR(type_, bar4);

TYPE_BAR_SHOW(5)
TYPE_BAR_STORE(5)
CONFIGFS_ATTR(type_, bar5);

TYPE_ID_SHOW(vendor)
TYPE_ID_STORE(vendor)
CONFIGFS_ATTR(type_, vendor);
TYPE_ID_SHOW(device)
TYPE_ID_STORE(device)
CONFIGFS_ATTR(type_, device);
TYPE_ID_SHOW(subsystem_vendor)
TYPE_ID_STORE(subsystem_vendor)
CONFIGFS_ATTR(type_, subsystem_vendor);
TYPE_ID_SHOW(subsystem_device)
TYPE_ID_STORE(subsystem_device)
CONFIGFS_ATTR(type_, subsystem_device);
CONFIGFS_ATTR(type_, class_code);
CONFIGFS_ATTR(type_, enable);
CONFIGFS_ATTR(type_, max_instances);
CONFIGFS_ATTR(type_, name);
CONFIGFS_ATTR(type_, class);
CONFIGFS_ATTR_RO(type_, instances);

static struct configfs_attribute *type_attrs[] = {
	&type_attr_bar0,
	&type_attr_bar1,
	&type_attr_bar2,
	&type_attr_bar3,
	&type_attr_bar4,
	&type_attr_bar5,
	&type_attr_class,
	&type_attr_class_code,
	&type_attr_device,
	&type_attr_enable,
	&type_attr_instances,
	&type_attr_max_instances,
	&type_attr_name,
	&type_attr_subsystem_device,
	&type_attr_subsystem_vendor,
	&type_attr_vendor,
	NULL,
};

/* vGPUs hold a reference, so they keep a removed type until they are deleted. */
static void type_release(struct config_item *item)
{
	kfree(to_type(item));
}

static struct configfs_item_operations type_item_ops = {
	.release = type_release,
};

static const struct config_item_type type_item_type = {
	.ct_item_ops = &type_item_ops,
	.ct_attrs = type_attrs,
	.ct_owner = THIS_MODULE,
};

static struct generic_type *type_add(struct generic_pf *pf, const char *name,
				     u32 id, bool offered)
{
	struct generic_type *type;

	type = kzalloc_obj(*type, GFP_KERNEL);
	if (!type)
		return ERR_PTR(-ENOMEM);

	config_group_init_type_name(&type->group, name, &type_item_type);
	type->pf = pf;
	type->offered = offered;
	type->info.id = id;
	snprintf(type->info.name, sizeof(type->info.name), "SR-IOV VF%u", id);

	scoped_guard(mutex, &pf->lock) {
		if (pf->nr_types < NVVGPU_MAX_TYPES) {
			list_add_tail(&type->node, &pf->types);
			pf->nr_types++;
			return type;
		}
	}
	config_item_put(&type->group.cg_item);

	return ERR_PTR(generic_refuse(generic_pf_name(pf), -ENOSPC,
				      "has %u types already", NVVGPU_MAX_TYPES));
}

static void type_remove(struct generic_type *type)
{
	struct generic_pf *pf = type->pf;

	scoped_guard(mutex, &pf->lock) {
		type->offered = false;
		list_del(&type->node);
		pf->nr_types--;
	}
	generic_pf_types_changed(pf);
}

static struct config_group *types_make_group(struct config_group *group,
					     const char *name)
{
	struct generic_pf *pf = container_of(group, struct generic_pf,
					     types_group);
	struct generic_type *type;
	char spelt[12];
	u32 id;

	if (kstrtou32(name, 10, &id) || !id || id > INT_MAX ||
	    snprintf(spelt, sizeof(spelt), "%u", id) != strlen(name))
		return ERR_PTR(generic_refuse(generic_pf_name(pf), -EINVAL,
					      "types/%s is not a number from 1 to %d",
					      name, INT_MAX));

	type = type_add(pf, name, id, false);

	return IS_ERR(type) ? ERR_CAST(type) : &type->group;
}

static void types_drop_item(struct config_group *group,
			    struct config_item *item)
{
	type_remove(to_type(item));
	config_item_put(item);
}

static struct configfs_group_operations types_group_ops = {
	.make_group = types_make_group,
	.drop_item = types_drop_item,
};

static const struct config_item_type types_item_type = {
	.ct_group_ops = &types_group_ops,
	.ct_owner = THIS_MODULE,
};

static ssize_t pf_enable_show(struct config_item *item, char *page)
{
	struct generic_pf *pf = to_pf(item);

	return sysfs_emit(page, "%d\n", !!READ_ONCE(pf->backend));
}

static ssize_t pf_enable_store(struct config_item *item, const char *page,
			       size_t count)
{
	struct generic_pf *pf = to_pf(item);
	bool enable;
	int ret;

	ret = kstrtobool(page, &enable);
	if (ret)
		return generic_refuse(generic_pf_name(pf), ret,
				      "enable takes 0 or 1");

	if (enable)
		ret = generic_pf_enable(pf);
	else
		generic_pf_disable(pf);

	return ret ?: count;
}
CONFIGFS_ATTR(pf_, enable);

static struct configfs_attribute *pf_attrs[] = {
	&pf_attr_enable,
	NULL,
};

static void pf_release(struct config_item *item)
{
	kfree(to_pf(item));
}

static struct configfs_item_operations pf_item_ops = {
	.release = pf_release,
};

static const struct config_item_type pf_item_type = {
	.ct_item_ops = &pf_item_ops,
	.ct_attrs = pf_attrs,
	.ct_owner = THIS_MODULE,
};

static struct config_group *generic_make_group(struct config_group *group,
					       const char *name)
{
	struct generic_type *whole;
	struct generic_pf *pf;
	int ret;

	pf = kzalloc_obj(*pf, GFP_KERNEL);
	if (!pf)
		return ERR_PTR(-ENOMEM);

	config_group_init_type_name(&pf->group, name, &pf_item_type);
	config_group_init_type_name(&pf->types_group, "types",
				    &types_item_type);
	ret = generic_pf_claim(pf);
	if (ret)
		goto out_put;

	whole = type_add(pf, GENERIC_WHOLE_VF, 1, true);
	if (IS_ERR(whole)) {
		ret = PTR_ERR(whole);
		goto out_release;
	}

	configfs_add_default_group(&whole->group, &pf->types_group);
	configfs_add_default_group(&pf->types_group, &pf->group);

	return &pf->group;

out_release:
	generic_pf_release(pf);
out_put:
	config_item_put(&pf->group.cg_item);
	return ERR_PTR(ret);
}

/* configfs calls this only once the directories in types/ have been removed. */
static void generic_drop_item(struct config_group *group,
			      struct config_item *item)
{
	struct generic_pf *pf = to_pf(item);
	struct generic_type *type, *next;

	generic_pf_release(pf);
	list_for_each_entry_safe(type, next, &pf->types, node)
		type_remove(type);
	configfs_remove_default_groups(&pf->types_group);
	configfs_remove_default_groups(&pf->group);
	config_item_put(item);
}

static struct configfs_group_operations generic_group_ops = {
	.make_group = generic_make_group,
	.drop_item = generic_drop_item,
};

static const struct config_item_type generic_item_type = {
	.ct_group_ops = &generic_group_ops,
	.ct_owner = THIS_MODULE,
};

static struct configfs_subsystem generic_subsys = {
	.su_group = {
		.cg_item = {
			.ci_namebuf = "nvvgpu-generic",
			.ci_type = &generic_item_type,
		},
	},
	.su_mutex = __MUTEX_INITIALIZER(generic_subsys.su_mutex),
};

/**
 * generic_config_register() - create the directory in configfs
 *
 * Return: 0 or a negative errno
 */
int generic_config_register(void)
{
	config_group_init(&generic_subsys.su_group);

	return configfs_register_subsystem(&generic_subsys);
}

/**
 * generic_config_unregister() - undo generic_config_register()
 */
void generic_config_unregister(void)
{
	configfs_unregister_subsystem(&generic_subsys);
}
