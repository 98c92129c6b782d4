// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpuctl watch: uevents of VFs, with libudev
 */
#include <errno.h>
#include <libudev.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl.h"

/* Seconds; poll() takes an int of milliseconds. */
#define MAX_WAIT	3600

static const char *property(struct udev_device *device, const char *key)
{
	return udev_device_get_property_value(device, key) ?: "";
}

/* Properties that only some events have, as text and in JSON */
static const struct {
	const char *key;
	const char *name;
	bool number;
} extras[] = {
	{ "NVVGPU_GENERATION", "generation", true },
	{ "NVVGPU_USE", "use", true },
	{ "NVVGPU_CODE", "code", true },
	{ "NVVGPU_ADDRESS", "address", false },
	{ "NVVGPU_MILLISECONDS", "milliseconds", true },
};

/* "descriptors=5 bytes=4096", in JSON an object */
static struct json_object *json_totals(const char *totals)
{
	struct json_object *object = json_object_new_object();
	char name[NAME_LEN];
	__u64 val;
	int used;

	for (; sscanf(totals, "%63[^= ]=%llu%n", name, &val, &used) == 2;
	     totals += used + strspn(totals + used, " "))
		json_number(object, name, val);

	return object;
}

static void print_text(struct udev_device *device, const char *now, const char *vf)
{
	const char *totals = property(device, "NVVGPU_TOTALS");
	unsigned int i;

	printf("%s %s %s type=%s count=%s", now, vf, property(device, "NVVGPU_EVENT"),
	       property(device, "NVVGPU_TYPE"), property(device, "NVVGPU_COUNT"));
	for (i = 0; i < ARRAY_SIZE(extras); i++) {
		const char *val = property(device, extras[i].key);

		if (val[0] && strcmp(val, "0"))
			printf(" %s=%s", extras[i].name, val);
	}
	printf("%s%s\n", totals[0] ? " " : "", totals);
}

static void print_event(struct udev_device *device, const char *now)
{
	const char *vf = udev_device_get_sysname(device);
	const char *totals = property(device, "NVVGPU_TOTALS");
	struct json_object *object;
	unsigned int i;

	if (!opt.json) {
		print_text(device, now, vf);
		return;
	}
	object = json_answer("watch");
	json_text(object, "time", now);
	json_text(object, "vf", vf);
	json_text(object, "event", property(device, "NVVGPU_EVENT"));
	json_number(object, "type", atoll(property(device, "NVVGPU_TYPE")));
	json_number(object, "count", atoll(property(device, "NVVGPU_COUNT")));
	for (i = 0; i < ARRAY_SIZE(extras); i++) {
		const char *val = property(device, extras[i].key);

		if (val[0] && extras[i].number)
			json_number(object, extras[i].name, atoll(val));
		else if (val[0])
			json_text(object, extras[i].name, val);
	}
	if (totals[0])
		json_add(object, "totals", json_totals(totals));
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
	json_object_put(object);
}

/* Return: whether the event was one of ours */
static bool take_event(struct udev_monitor *monitor, const char *vf)
{
	struct udev_device *device = udev_monitor_receive_device(monitor);
	time_t now = time(NULL);
	char text[32];
	bool ours;

	if (!device)
		return false;
	ours = property(device, "NVVGPU_EVENT")[0] &&
	       (!vf || !strcmp(vf, udev_device_get_sysname(device)));
	if (ours) {
		strftime(text, sizeof(text), "%FT%T%z", localtime(&now));
		print_event(device, text);
	}
	udev_device_unref(device);

	return ours;
}

/* Until --count events have come, --timeout is over or nobody reads the output */
static enum status watch(struct udev_monitor *monitor, const char *vf)
{
	const time_t end = time(NULL) + opt.timeout;
	struct pollfd pfd = {
		.fd = udev_monitor_get_fd(monitor),
		.events = POLLIN,
	};
	enum status status = STATUS_OK;
	int nr = 0;

	while (!status && (!opt.count || nr < opt.count)) {
		time_t left = opt.timeout < 0 ? MAX_WAIT : end - time(NULL);

		if (left <= 0)
			break;
		if (left > MAX_WAIT)
			left = MAX_WAIT;
		if (poll(&pfd, 1, left * 1000) > 0 && take_event(monitor, vf)) {
			status = output_check();
			nr++;
		}
	}

	return status;
}

/* The kernel's own events, so that it works without udevd, too */
enum status cmd_watch(int argc, char **argv)
{
	struct udev *udev = udev_new();
	struct udev_monitor *monitor = udev_monitor_new_from_netlink(udev, "kernel");
	enum status status;
	char vf[BDF_LEN];
	struct host host;
	struct vf *found;

	if (argc) {
		host_scan(&host);
		status = need_vf(&host, argv[0], &found);
		if (status)
			return status;
		snprintf(vf, sizeof(vf), "%s", found->bdf);
		host_free(&host);
	}
	if (!monitor || udev_monitor_filter_add_match_subsystem_devtype(monitor, "pci", NULL) ||
	    udev_monitor_enable_receiving(monitor)) {
		error("cannot receive uevents: %s", strerror(errno));
		return STATUS_FAILED;
	}
	note("watching; press Ctrl-C to end");
	status = watch(monitor, argc ? vf : NULL);
	udev_monitor_unref(monitor);
	udev_unref(udev);

	return status;
}
