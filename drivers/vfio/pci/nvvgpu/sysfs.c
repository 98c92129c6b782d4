// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sysfs files of a VF: the directory nvidia/, with the names and formats of
 * NVIDIA's host driver, and the directory nvvgpu/ with further files.
 */
#include <kunit/visibility.h>
#include <linux/ctype.h>
#include <linux/export.h>
#include <linux/pci.h>
#include <linux/pid.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "nvvgpu.h"

static struct nvvgpu *nvvgpu_from_dev(struct device *dev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(dev);

	return container_of(core, struct nvvgpu, core);
}

/* Return true if a name ends in a dash, digits and capitals, as NVIDIA's do. */
static bool nvvgpu_name_has_size(const char *name)
{
	const char *end = strrchr(name, '-');

	if (!end || !isdigit(*++end))
		return false;
	while (isdigit(*end))
		end++;
	if (!isupper(*end))
		return false;
	while (isupper(*end))
		end++;

	return !*end;
}

/**
 * nvvgpu_nvidia_name() - name a type as NVIDIA's driver would
 * @info: the type
 * @buf: NVVGPU_NVIDIA_NAME_LEN bytes, filled in
 *
 * Tools take the size of the framebuffer and the class from the end of a name.
 * Append them if the back-end's name lacks them.
 */
VISIBLE_IF_KUNIT
void nvvgpu_nvidia_name(const struct nvvgpu_type_info *info, char *buf)
{
	static const char letters[] = {
		[NVVGPU_CLASS_ANY] = 'C',
		[NVVGPU_CLASS_COMPUTE] = 'C',
		[NVVGPU_CLASS_WORKSTATION] = 'Q',
		[NVVGPU_CLASS_DESKTOP] = 'B',
		[NVVGPU_CLASS_APPLICATIONS] = 'A',
	};

	if (nvvgpu_name_has_size(info->name))
		strscpy(buf, info->name, NVVGPU_NVIDIA_NAME_LEN);
	else
		snprintf(buf, NVVGPU_NVIDIA_NAME_LEN, "%s-%llu%c", info->name,
			 info->fb_bytes / SZ_1G, letters[info->class]);
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_nvidia_name);

/* Warn once in the log, not at each read. */
static void nvvgpu_types_left_out(struct nvvgpu *vgpu, unsigned int nr)
{
	if (xchg(&vgpu->types_left_out, nr) != nr && nr)
		nvvgpu_warn(vgpu, "creatable_vgpu_types omits %u types that do not fit, see nvvgpu/types",
			    nr);
}

/* Add the line of a type unless it is not creatable.  Return its length. */
static int nvvgpu_emit_creatable(struct nvvgpu *vgpu, char *buf, int len,
				 u32 id)
{
	u32 placement = READ_ONCE(vgpu->settings->placement);
	struct nvvgpu_backend *backend = vgpu->backend;
	char name[NVVGPU_NVIDIA_NAME_LEN];
	char reason[NVVGPU_REASON_LEN];
	struct nvvgpu_type_info info;
	int ret;

	ret = nvvgpu_op_get_type_info(backend, id, &info);
	if (!ret)
		ret = nvvgpu_op_get_available(backend, id, placement, reason);
	/* The type may have been withdrawn meanwhile. */
	if (ret == -ENOENT)
		return 0;
	if (ret <= 0)
		return ret;
	nvvgpu_nvidia_name(&info, name);

	return sysfs_emit_at(buf, len, "%-5d : %s\n", id, name);
}

/*
 * A sysfs file has at most one page.  Leave out whole lines that do not fit, as
 * readers could not parse a truncated one.
 */
static int nvvgpu_emit_types(struct nvvgpu *vgpu, char *buf, int len)
{
	u32 *ids __free(kfree) = NULL;
	unsigned int left_out = 0;
	int nr, i, ret;

	if (!(nvvgpu_can(vgpu->backend) & NVVGPU_CAN_CREATE))
		return len;

	ids = kzalloc_objs(*ids, NVVGPU_MAX_TYPES, GFP_KERNEL);
	if (!ids)
		return -ENOMEM;

	nr = nvvgpu_op_get_types(vgpu->backend, ids);
	if (nr < 0)
		return nr;

	for (i = 0; i < nr; i++) {
		/* Each type may take as long as a firmware command. */
		if (READ_ONCE(vgpu->leaving))
			return -ENODEV;
		if (fatal_signal_pending(current))
			return -EINTR;
		ret = nvvgpu_emit_creatable(vgpu, buf, len, ids[i]);
		if (ret < 0)
			return ret;
		if (ret && len + ret >= PAGE_SIZE - 1)
			left_out++;
		else
			len += ret;
	}
	nvvgpu_types_left_out(vgpu, left_out);

	/* Bytes of an omitted line lie beyond @len. */
	return len;
}

static ssize_t creatable_vgpu_types_show(struct device *dev,
					 struct device_attribute *attr,
					 char *buf)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);
	int len = sysfs_emit(buf, "ID    : vGPU Name\n");

	if (READ_ONCE(vgpu->state) != NVVGPU_BOUND)
		return len;

	return nvvgpu_query_wait(&vgpu->types_limit, &vgpu->leaving) ?:
	       nvvgpu_emit_types(vgpu, buf, len);
}
static DEVICE_ATTR_ADMIN_RO(creatable_vgpu_types);

static ssize_t current_vgpu_type_show(struct device *dev,
				      struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  READ_ONCE(nvvgpu_from_dev(dev)->type.id));
}

static ssize_t current_vgpu_type_store(struct device *dev,
				       struct device_attribute *attr,
				       const char *buf, size_t count)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);
	u32 type;
	int ret;

	ret = kstrtou32(buf, 10, &type);
	if (ret)
		return ret;

	guard(nvvgpu)(vgpu);

	ret = type ? nvvgpu_create(vgpu, type) : nvvgpu_delete(vgpu);

	return ret ?: count;
}
static DEVICE_ATTR_RW(current_vgpu_type);

static ssize_t placement_id_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);
	u32 placement = READ_ONCE(vgpu->type.id) ?
			READ_ONCE(vgpu->placement) :
			READ_ONCE(vgpu->settings->placement);

	if (placement == NVVGPU_PLACEMENT_ANY)
		return -ENXIO;

	return sysfs_emit(buf, "%d\n", placement);
}

/* Sets the placement of the next vGPU; -1 lets the back-end choose. */
static ssize_t placement_id_store(struct device *dev,
				  struct device_attribute *attr,
				  const char *buf, size_t count)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);
	int placement;
	int ret;

	ret = kstrtoint(buf, 10, &placement);
	if (ret)
		return ret;
	if (placement < -1)
		return -EINVAL;

	guard(nvvgpu)(vgpu);

	if (vgpu->type.id)
		return nvvgpu_fail(vgpu, -EPERM,
				   "cannot set the placement: the VF has a vGPU of type %u",
				   vgpu->type.id);
	WRITE_ONCE(vgpu->settings->placement,
		   placement < 0 ? NVVGPU_PLACEMENT_ANY : placement);

	return count;
}
static DEVICE_ATTR_RW(placement_id);

static ssize_t gpu_instance_id_show(struct device *dev,
				    struct device_attribute *attr, char *buf)
{
	if (!READ_ONCE(nvvgpu_from_dev(dev)->type.id))
		return -ENXIO;

	return sysfs_emit(buf, "%d\n", 0);
}

/* The contract with back-ends has no GPU instances. */
static ssize_t gpu_instance_id_store(struct device *dev,
				     struct device_attribute *attr,
				     const char *buf, size_t count)
{
	return -EOPNOTSUPP;
}
static DEVICE_ATTR_RW(gpu_instance_id);

static ssize_t vgpu_params_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);

	guard(spinlock)(&vgpu->text_lock);

	return sysfs_emit(buf, "%s\n", vgpu->settings->params ?: "");
}

/*
 * key=value, separated by commas and, as in NVIDIA's guide, blanks; a value may
 * be empty, a key must not
 */
VISIBLE_IF_KUNIT
bool nvvgpu_params_valid(const char *params, size_t len)
{
	size_t i, key = 0;
	bool in_value = false;

	for (i = 0; i < len; i++) {
		if (params[i] == ' ' && i == key) {
			key++;
			continue;
		}
		if (!isascii(params[i]) || !isgraph(params[i]))
			return false;
		if (params[i] == ',') {
			if (!in_value)
				return false;
			in_value = false;
			key = i + 1;
		} else if (params[i] == '=' && !in_value) {
			if (i == key)
				return false;
			in_value = true;
		}
	}

	return !len || in_value;
}
EXPORT_SYMBOL_IF_KUNIT(nvvgpu_params_valid);

/* Copy valid parameters without the blanks between them. */
static void nvvgpu_params_copy(char *to, const char *from, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (from[i] != ' ')
			*to++ = from[i];
	*to = '\0';
}

static ssize_t vgpu_params_store(struct device *dev,
				 struct device_attribute *attr,
				 const char *buf, size_t count)
{
	char *params __free(kfree) = NULL;
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);
	size_t len = count;
	enum nvvgpu_display_mode mode;
	int ret;

	if (len && buf[len - 1] == '\n')
		len--;
	while (len && buf[len - 1] == ' ')
		len--;
	if (len >= NVVGPU_PARAMS_LEN)
		return -E2BIG;
	if (!nvvgpu_params_valid(buf, len))
		return -EINVAL;

	params = kmalloc(len + 1, GFP_KERNEL);
	if (!params)
		return -ENOMEM;
	nvvgpu_params_copy(params, buf, len);
	ret = nvvgpu_display_param(params, &mode);
	if (ret)
		return ret;

	guard(spinlock)(&vgpu->text_lock);

	/* The previous parameters are freed without the lock. */
	swap(vgpu->settings->params, params);

	return count;
}
static DEVICE_ATTR_ADMIN_RW(vgpu_params);

/* NVIDIA's drivers show 0; what another value does is not documented. */
static ssize_t warm_update_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "0\n");
}

static ssize_t warm_update_store(struct device *dev,
				 struct device_attribute *attr, const char *buf,
				 size_t count)
{
	u32 val;
	int ret;

	ret = kstrtou32(buf, 10, &val);
	if (ret)
		return ret;

	return val ? -EOPNOTSUPP : count;
}
static DEVICE_ATTR_RW(warm_update);

static struct attribute *nvidia_attrs[] = {
	&dev_attr_creatable_vgpu_types.attr,
	&dev_attr_current_vgpu_type.attr,
	&dev_attr_gpu_instance_id.attr,
	&dev_attr_placement_id.attr,
	&dev_attr_vgpu_params.attr,
	&dev_attr_warm_update.attr,
	NULL,
};

static const struct attribute_group nvidia_group = {
	.name = "nvidia",
	.attrs = nvidia_attrs,
};

static ssize_t state_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);

	return sysfs_emit(buf, "%s\n",
			  nvvgpu_state_name(READ_ONCE(vgpu->state)));
}
static DEVICE_ATTR_RO(state);

static ssize_t owner_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);
	bool ended;
	int len;

	guard(spinlock)(&vgpu->text_lock);

	if (!vgpu->owner)
		return sysfs_emit(buf, "\n");

	/* The process may have ended after passing the file to another one. */
	scoped_guard(rcu)
		ended = !pid_task(vgpu->owner, PIDTYPE_TGID);

	len = sysfs_emit(buf, "%d %s%s", pid_nr(vgpu->owner),
			 vgpu->owner_comm, ended ? " (ended)" : "");
	if (vgpu->owner_vm[0])
		len += sysfs_emit_at(buf, len, " vm=\"%s\"", vgpu->owner_vm);

	return len + sysfs_emit_at(buf, len, "\n");
}
static DEVICE_ATTR_ADMIN_RO(owner);

static ssize_t last_error_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);

	guard(spinlock)(&vgpu->text_lock);

	return sysfs_emit(buf, "%s\n", vgpu->last_error);
}
static DEVICE_ATTR_ADMIN_RO(last_error);

static ssize_t backend_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);
	const struct nvvgpu_backend_ops *table = &vgpu->backend->table;

	return sysfs_emit(buf, "%s %u.%u\n", table->name, table->abi_major,
			  table->abi_minor);
}
static DEVICE_ATTR_RO(backend);

/* Versions that can be loaded; the last is the one that is saved. */
static ssize_t state_versions_show(struct device *dev,
				   struct device_attribute *attr, char *buf)
{
	struct nvvgpu_backend *backend = nvvgpu_from_dev(dev)->backend;

	if (!(nvvgpu_can(backend) & NVVGPU_CAN_MIGRATE))
		return -ENXIO;

	return sysfs_emit(buf, "%u-%u\n", backend->table.state_version_min,
			  backend->table.state_version);
}
static DEVICE_ATTR_RO(state_versions);

/* Read the counters from the back-end, unless the rate limit is exceeded. */
static int nvvgpu_update_stats(struct nvvgpu *vgpu)
{
	struct nvvgpu_stat stats[NVVGPU_MAX_STATS];
	int nr;

	lockdep_assert_held(&vgpu->query_mutex);

	if (!vgpu->queryable ||
	    !(nvvgpu_can(vgpu->backend) & NVVGPU_CAN_STATS))
		return -ENXIO;
	if (vgpu->queried && !__ratelimit(&vgpu->query_limit))
		return min(vgpu->nr_stats, 0);

	nr = nvvgpu_op_get_stats(vgpu, stats);
	if (nr > 0)
		memcpy(vgpu->stats, stats, nr * sizeof(*stats));
	vgpu->nr_stats = nr;
	vgpu->queried = true;

	return min(nr, 0);
}

static ssize_t stats_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);
	int i, ret, len = 0;

	if (mutex_lock_interruptible(&vgpu->query_mutex))
		return -ERESTARTSYS;

	ret = nvvgpu_update_stats(vgpu);
	for (i = 0; !ret && i < vgpu->nr_stats; i++)
		len += sysfs_emit_at(buf, len, "%s %llu\n", vgpu->stats[i].name,
				     vgpu->stats[i].value);
	nvvgpu_use_catch_up(vgpu);
	mutex_unlock(&vgpu->query_mutex);

	return ret ?: len;
}
static DEVICE_ATTR_ADMIN_RO(stats);

/* The counters of a back-end may be absent, or the vGPU may be gone. */
static ssize_t use_show(struct device *dev, struct device_attribute *attr,
			char *buf)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);
	int ret;

	if (mutex_lock_interruptible(&vgpu->query_mutex))
		return -ERESTARTSYS;

	nvvgpu_update_stats(vgpu);
	nvvgpu_use_catch_up(vgpu);
	ret = nvvgpu_use_emit(vgpu, buf);
	mutex_unlock(&vgpu->query_mutex);

	return ret;
}
static DEVICE_ATTR_ADMIN_RO(use);

static ssize_t migrations_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);
	struct nvvgpu_migrations migrations;

	scoped_guard(spinlock, &vgpu->text_lock)
		migrations = vgpu->migrations;

	return sysfs_emit(buf,
			  "saved %llu\nsave-aborted %llu\n"
			  "save-milliseconds %llu\n"
			  "loaded %llu\nload-aborted %llu\n"
			  "load-milliseconds %llu\n",
			  migrations.saved, migrations.save_aborted,
			  migrations.save_ms, migrations.loaded,
			  migrations.load_aborted, migrations.load_ms);
}
static DEVICE_ATTR_RO(migrations);

static ssize_t generation_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  READ_ONCE(nvvgpu_from_dev(dev)->generation));
}
static DEVICE_ATTR_RO(generation);

static ssize_t delete_store(struct device *dev, struct device_attribute *attr,
			    const char *buf, size_t count)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);
	u64 generation;
	int ret;

	ret = kstrtou64(buf, 10, &generation);
	if (ret)
		return ret;
	if (!generation)
		return -EINVAL;

	guard(nvvgpu)(vgpu);

	return nvvgpu_delete_generation(vgpu, generation) ?: count;
}
static DEVICE_ATTR_WO(delete);

/* Takes no lock of the vGPU: the counters include events not handled yet. */
static ssize_t events_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	return nvvgpu_events_emit(nvvgpu_from_dev(dev), buf);
}
static DEVICE_ATTR_RO(events);

static ssize_t capabilities_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	static const struct {
		u32 can;
		const char *word;
	} words[] = {
		{ NVVGPU_CAN_CREATE, "create" },
		{ NVVGPU_CAN_RESET, "reset" },
		{ NVVGPU_CAN_RECOVER, "recover" },
		{ NVVGPU_CAN_SHAPE, "bar-shape" },
		{ NVVGPU_CAN_TRAP, "bar-trap" },
		{ NVVGPU_CAN_MIGRATE, "migration" },
		{ NVVGPU_CAN_P2P, "p2p" },
		{ NVVGPU_CAN_PRECOPY, "pre-copy" },
		{ NVVGPU_CAN_LOG_DMA, "dma-log" },
		{ NVVGPU_CAN_STATS, "stats" },
		{ NVVGPU_CAN_PLACEMENT, "placement" },
		{ NVVGPU_CAN_DISPLAY, "display" },
	};
	u32 can = nvvgpu_can(nvvgpu_from_dev(dev)->backend);
	int i, len = 0;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (can & words[i].can)
			len += sysfs_emit_at(buf, len, "%s%s", len ? " " : "",
					     words[i].word);
	len += sysfs_emit_at(buf, len, "\n");

	return len;
}
static DEVICE_ATTR_RO(capabilities);

static struct attribute *nvvgpu_attrs[] = {
	&dev_attr_backend.attr,
	&dev_attr_capabilities.attr,
	&dev_attr_delete.attr,
	&dev_attr_events.attr,
	&dev_attr_generation.attr,
	&dev_attr_last_error.attr,
	&dev_attr_migrations.attr,
	&dev_attr_owner.attr,
	&dev_attr_state.attr,
	&dev_attr_state_versions.attr,
	&dev_attr_stats.attr,
	&dev_attr_use.attr,
	NULL,
};

static const struct attribute_group nvvgpu_group = {
	.name = "nvvgpu",
	.attrs = nvvgpu_attrs,
};

/* Created after vfio-dev/, and present while a back-end manages the VF */
const struct attribute_group *nvvgpu_groups[] = {
	&nvidia_group,
	&nvvgpu_group,
	NULL,
};
