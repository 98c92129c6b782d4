// SPDX-License-Identifier: GPL-2.0-only
/*
 * What administrators and tools see of a VF: the directory nvidia/, byte for
 * byte as NVIDIA's host driver has it, and nvvgpu/ with what that lacks.
 */
#include <kunit/visibility.h>
#include <linux/ctype.h>
#include <linux/export.h>
#include <linux/kobject.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "nvvgpu.h"

static struct nvvgpu *nvvgpu_from_dev(struct device *dev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(dev);

	return container_of(core, struct nvvgpu, core);
}

/**
 * nvvgpu_sysfs_event() - pass on what a back-end has reported about a VF
 * @vgpu: the VF
 * @event: what, for the uevent
 * @count: how often since it was passed on last
 *
 * udev sees ACTION=change with NVVGPU_EVENT, NVVGPU_TYPE and NVVGPU_COUNT, and
 * those who poll nvvgpu/events are woken.
 */
void nvvgpu_sysfs_event(struct nvvgpu *vgpu, const char *event, u64 count)
{
	char event_env[32], type_env[32], count_env[40];
	char *env[4] = { event_env, type_env, count_env, NULL };
	struct kobject *kobj = &nvvgpu_dev(vgpu)->kobj;

	snprintf(event_env, sizeof(event_env), NVVGPU_UEVENT_EVENT "=%s",
		 event);
	snprintf(type_env, sizeof(type_env), NVVGPU_UEVENT_TYPE "=%u",
		 vgpu->type.id);
	snprintf(count_env, sizeof(count_env), NVVGPU_UEVENT_COUNT "=%llu",
		 count);
	kobject_uevent_env(kobj, KOBJ_CHANGE, env);
	sysfs_notify(kobj, "nvvgpu", "events");
}

/**
 * nvvgpu_sysfs_changed() - announce that a VF or its vGPU has changed
 * @vgpu: the VF
 * @event: what has happened, for the uevent
 *
 * As nvvgpu_sysfs_event(), and those who poll the other files are woken, too,
 * and those who poll creatable_vgpu_types of any VF of the PF.
 */
void nvvgpu_sysfs_changed(struct nvvgpu *vgpu, const char *event)
{
	struct kobject *kobj = &nvvgpu_dev(vgpu)->kobj;
	struct nvvgpu *other;

	lockdep_assert_held(&vgpu->pf->gate);

	nvvgpu_sysfs_event(vgpu, event, 1);
	sysfs_notify(kobj, "nvidia", "current_vgpu_type");
	sysfs_notify(kobj, "nvvgpu", "state");
	/* What one VF takes is not there any more for the others. */
	list_for_each_entry(other, &vgpu->pf->vgpus, node)
		sysfs_notify(&nvvgpu_dev(other)->kobj, "nvidia",
			     "creatable_vgpu_types");
}

typedef int (*nvvgpu_emit_type_fn)(struct nvvgpu_backend *backend, char *buf,
				   int len, const struct nvvgpu_type_info *info);

/*
 * A sysfs file is one page: what does not fit is left out by whole lines, as
 * no reader could make sense of a part of one.
 */
static int nvvgpu_emit_types(struct nvvgpu_backend *backend, char *buf, int len,
			     nvvgpu_emit_type_fn emit)
{
	u32 *ids __free(kfree) = NULL;
	struct nvvgpu_type_info info;
	int nr, i;

	ids = kzalloc_objs(*ids, NVVGPU_MAX_TYPES, GFP_KERNEL);
	if (!ids)
		return -ENOMEM;

	nr = nvvgpu_backend_types(backend, ids);
	if (nr < 0)
		return nr;

	for (i = 0; i < nr; i++) {
		int ret = nvvgpu_backend_type_info(backend, ids[i], &info);

		if (!ret)
			ret = emit(backend, buf, len, &info);
		/* The type may have been withdrawn meanwhile. */
		if (ret == -ENOENT)
			continue;
		if (ret < 0)
			return ret;
		if (len + ret >= PAGE_SIZE - 1)
			break;
		len += ret;
	}

	return len;
}

static int nvvgpu_emit_creatable(struct nvvgpu_backend *backend, char *buf,
				 int len, const struct nvvgpu_type_info *info)
{
	char reason[NVVGPU_REASON_LEN] = "";
	int nr;

	nr = backend->ops->get_available(backend->priv, info->id, reason,
					 sizeof(reason));
	if (nr <= 0)
		return nr;

	return sysfs_emit_at(buf, len, "%-5d : %s\n", info->id, info->name);
}

static ssize_t creatable_vgpu_types_show(struct device *dev,
					 struct device_attribute *attr,
					 char *buf)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);
	int len = sysfs_emit(buf, "ID    : vGPU Name\n");

	guard(nvvgpu)(vgpu);

	if (vgpu->state != NVVGPU_BOUND || !vgpu->pf->backend)
		return len;

	return nvvgpu_emit_types(vgpu->pf->backend, buf, len,
				 nvvgpu_emit_creatable);
}
static DEVICE_ATTR_RO(creatable_vgpu_types);

static ssize_t current_vgpu_type_show(struct device *dev,
				      struct device_attribute *attr, char *buf)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);

	guard(nvvgpu)(vgpu);

	return sysfs_emit(buf, "%d\n", vgpu->type.id);
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

	guard(nvvgpu)(vgpu);

	if (!vgpu->type.id)
		return -ENXIO;

	return sysfs_emit(buf, "%d\n", vgpu->placement);
}

/* For the next vGPU; -1 takes the wish back */
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
				   "cannot place: the VF has a vGPU of type %u",
				   vgpu->type.id);
	vgpu->wanted_placement = placement < 0 ? NVVGPU_PLACEMENT_ANY :
						 placement;

	return count;
}
static DEVICE_ATTR_RW(placement_id);

static ssize_t gpu_instance_id_show(struct device *dev,
				    struct device_attribute *attr, char *buf)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);

	guard(nvvgpu)(vgpu);

	if (!vgpu->type.id)
		return -ENXIO;

	return sysfs_emit(buf, "%d\n", 0);
}

/* The contract with back-ends knows no GPU instances to choose from. */
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

	guard(nvvgpu)(vgpu);

	return sysfs_emit(buf, "%s\n", vgpu->params);
}

/* key=value, separated by commas; a key is not empty, a value may be */
VISIBLE_IF_KUNIT
bool nvvgpu_params_valid(const char *params, size_t len)
{
	size_t i, key = 0;
	bool in_value = false;

	for (i = 0; i < len; i++) {
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

static ssize_t vgpu_params_store(struct device *dev,
				 struct device_attribute *attr,
				 const char *buf, size_t count)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);
	size_t len = count;

	if (len && buf[len - 1] == '\n')
		len--;
	if (len >= sizeof(vgpu->params))
		return -E2BIG;
	if (!nvvgpu_params_valid(buf, len))
		return -EINVAL;

	guard(nvvgpu)(vgpu);

	memcpy(vgpu->params, buf, len);
	vgpu->params[len] = '\0';

	return count;
}
static DEVICE_ATTR_RW(vgpu_params);

static struct attribute *nvidia_attrs[] = {
	&dev_attr_creatable_vgpu_types.attr,
	&dev_attr_current_vgpu_type.attr,
	&dev_attr_gpu_instance_id.attr,
	&dev_attr_placement_id.attr,
	&dev_attr_vgpu_params.attr,
	NULL,
};

static const struct attribute_group nvidia_group = {
	.name = "nvidia",
	.attrs = nvidia_attrs,
};

static int nvvgpu_emit_supported(struct nvvgpu_backend *backend, char *buf,
				 int len, const struct nvvgpu_type_info *info)
{
	char reason[NVVGPU_REASON_LEN] = "";
	int start = len;
	unsigned int i;
	int nr;

	nr = backend->ops->get_available(backend->priv, info->id, reason,
					 sizeof(reason));
	if (nr < 0)
		return nr;

	len += sysfs_emit_at(buf, len,
			     "id=%u name=\"%s\" class=%c framebuffer=%llu",
			     info->id, info->name, info->vgpu_class,
			     info->fb_bytes);
	for (i = 0; i < NVVGPU_MAX_BARS; i++)
		if (info->bar_bytes[i])
			len += sysfs_emit_at(buf, len, " bar%u=%llu", i,
					     info->bar_bytes[i]);
	len += sysfs_emit_at(buf, len,
			     " heads=%u max_resolution=%ux%u max_instances=%u weight=%u available=%d",
			     info->heads, info->max_width, info->max_height,
			     info->max_instances, info->weight, nr);
	if (!nr)
		len += sysfs_emit_at(buf, len, " reason=\"%s\"", reason);
	len += sysfs_emit_at(buf, len, "\n");

	return len - start;
}

static ssize_t supported_types_show(struct device *dev,
				    struct device_attribute *attr, char *buf)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);

	guard(nvvgpu)(vgpu);

	if (!vgpu->pf->backend)
		return 0;

	return nvvgpu_emit_types(vgpu->pf->backend, buf, 0,
				 nvvgpu_emit_supported);
}
static DEVICE_ATTR_RO(supported_types);

static ssize_t state_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);

	guard(nvvgpu)(vgpu);

	return sysfs_emit(buf, "%s\n", nvvgpu_state_name(vgpu->state));
}
static DEVICE_ATTR_RO(state);

static ssize_t owner_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);

	guard(nvvgpu)(vgpu);

	if (!vgpu->opened)
		return sysfs_emit(buf, "\n");

	return sysfs_emit(buf, "%d %s\n", vgpu->owner, vgpu->owner_comm);
}
static DEVICE_ATTR_RO(owner);

static ssize_t last_error_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);

	guard(nvvgpu)(vgpu);

	return sysfs_emit(buf, "%s\n", vgpu->last_error);
}
static DEVICE_ATTR_RO(last_error);

static ssize_t backend_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);
	const struct nvvgpu_backend_ops *ops;

	guard(nvvgpu)(vgpu);

	if (!vgpu->pf->backend)
		return sysfs_emit(buf, "none\n");
	ops = vgpu->pf->backend->ops;

	return sysfs_emit(buf, "%s %u.%u\n", ops->name, ops->abi_major,
			  ops->abi_minor);
}
static DEVICE_ATTR_RO(backend);

static ssize_t stats_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);
	struct nvvgpu_stat *stats __free(kfree) = NULL;
	int nr, i, len = 0;

	stats = kzalloc_objs(*stats, NVVGPU_MAX_STATS, GFP_KERNEL);
	if (!stats)
		return -ENOMEM;

	guard(nvvgpu)(vgpu);

	if (!vgpu->backend || !vgpu->backend->ops->get_stats)
		return -ENXIO;

	nr = vgpu->backend->ops->get_stats(vgpu->backend->priv, vgpu->vf, stats,
					   NVVGPU_MAX_STATS);
	if (nr < 0)
		return nr;

	for (i = 0; i < min(nr, NVVGPU_MAX_STATS); i++)
		len += sysfs_emit_at(buf, len, "%s %llu\n", stats[i].name,
				     stats[i].value);

	return len;
}
static DEVICE_ATTR_RO(stats);

/* Does not wait for the vGPU: the counters tell of what it has not handled. */
static ssize_t events_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	return nvvgpu_events_emit(nvvgpu_from_dev(dev), buf);
}
static DEVICE_ATTR_RO(events);

static ssize_t capabilities_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	struct nvvgpu *vgpu = nvvgpu_from_dev(dev);
	const struct nvvgpu_backend_ops *ops;

	guard(nvvgpu)(vgpu);

	if (!vgpu->pf->backend)
		return sysfs_emit(buf, "\n");
	ops = vgpu->pf->backend->ops;

	return sysfs_emit(buf, "create%s%s%s%s%s%s%s%s%s\n",
			  ops->reset_prepare ? " reset" : "",
			  ops->get_bar_info ? " bar-shape" : "",
			  ops->bar_read ? " bar-trap" : "",
			  ops->suspend ? " migration" : "",
			  ops->precopy_estimate ? " pre-copy" : "",
			  ops->dma_log_start ? " dma-log" : "",
			  ops->get_plane ? " display" : "",
			  ops->get_stats ? " stats" : "",
			  ops->get_placement ? " placement" : "");
}
static DEVICE_ATTR_RO(capabilities);

static struct attribute *nvvgpu_attrs[] = {
	&dev_attr_backend.attr,
	&dev_attr_capabilities.attr,
	&dev_attr_events.attr,
	&dev_attr_last_error.attr,
	&dev_attr_owner.attr,
	&dev_attr_state.attr,
	&dev_attr_stats.attr,
	&dev_attr_supported_types.attr,
	NULL,
};

static const struct attribute_group nvvgpu_group = {
	.name = "nvvgpu",
	.attrs = nvvgpu_attrs,
};

/* The driver core adds these after the probe, when vfio-dev/ is there. */
const struct attribute_group *nvvgpu_groups[] = {
	&nvidia_group,
	&nvvgpu_group,
	NULL,
};
