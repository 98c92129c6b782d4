// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpuctl explain: find out why a VF is not usable
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <unistd.h>

#include "ctl.h"

#define KLOG_READ_ALL	3
#define KLOG_SIZE	10
#define LOG_LINES	3

static void explain_pf(struct json_object *findings, const struct gpu *gpu)
{
	if (gpu->driver[0])
		finding(findings, true, "pf-driver", NULL, "PF %s has the driver %s",
			gpu->bdf, gpu->driver);
	else
		finding(findings, false, "pf-driver",
			"load the driver of the GPU; for the emulated GPU: modprobe nvvgpu-emu",
			"PF %s has no driver", gpu->bdf);
}

static void explain_iommu(struct json_object *findings, const struct vf *vf)
{
	char group[NAME_LEN];

	if (file_link(group, sizeof(group), PCI_DEVICES "/%s/iommu_group", vf->bdf) > 0)
		finding(findings, true, "iommu-group", NULL, "IOMMU group %s", group);
	else
		finding(findings, false, "iommu-group",
			"enable the IOMMU in the firmware and on the kernel's command line (intel_iommu=on)",
			"no IOMMU group: the IOMMU is off");
}

/* Return: whether the VF is bound to the driver */
static bool explain_driver(struct json_object *findings, const struct vf *vf)
{
	char advice[TEXT_LEN];

	if (!strcmp(vf->driver, front_end())) {
		finding(findings, true, "driver", NULL, "bound to %s", front_end());
		return true;
	}
	snprintf(advice, sizeof(advice),
		 "write %s to driver_override and the address to /sys/bus/pci/drivers_probe, or use nvvgpuctl define and apply",
		 front_end());
	if (!file_exists("/sys/bus/pci/drivers/%s", front_end()))
		finding(findings, false, "driver", "modprobe nvvgpu-vfio-pci",
			"the driver " FRONT_END " is not loaded");
	else if (vf->driver[0])
		finding(findings, false, "driver",
			"unbind it; nvvgpuctl define and apply then bind the VF",
			"bound to %s", vf->driver);
	else
		finding(findings, false, "driver", advice, "not bound to a driver");

	return false;
}

static bool explain_backend(struct json_object *findings, const struct vf *vf)
{
	if (vf->managed)
		finding(findings, true, "backend", NULL, "managed by the back-end %s",
			vf->backend);
	else
		finding(findings, false, "backend",
			backend_advice(vf->gpu), "no back-end manages PF %s",
			vf->gpu->bdf);

	return vf->managed;
}

/* When nothing can be created, say why, with the words for the smallest type. */
static void explain_room(struct json_object *findings, const struct vf *vf)
{
	const struct type *smallest = NULL;
	const struct gpu *gpu = vf->gpu;
	unsigned int i;

	for (i = 0; i < gpu->nr_types; i++) {
		if (gpu->types[i].available > 0) {
			finding(findings, true, "room", NULL, "no vGPU; one can be created");
			return;
		}
		if (!smallest || gpu->types[i].framebuffer < smallest->framebuffer)
			smallest = &gpu->types[i];
	}
	if (smallest && !smallest->available)
		finding(findings, false, "room",
			"delete a vGPU, or choose another GPU",
			"no type can be created: %s: %s", smallest->name, smallest->reason);
	else if (!geteuid() || opt.root[0])
		finding(findings, false, "room",
			"see the kernel's log; a reset of the PF restarts its firmware",
			"the back-end offers no types, or its firmware does not respond");
}

static void explain_removal(struct json_object *findings)
{
	finding(findings, false, "removal", "shut down the VM that uses it",
		"the VF is being unbound or removed, which waits until it is closed");
}

static void explain_state(struct json_object *findings, const struct vf *vf)
{
	if (!strcmp(vf->state, "error"))
		finding(findings, false, "state",
			"restart the VM, which resets the vGPU, or delete it: nvvgpuctl delete",
			"the vGPU has crashed");
	else if (vf->pid)
		finding(findings, true, "state", NULL, "in use by %s", owner_text(vf));
	else if (vf->type)
		finding(findings, true, "state", NULL, "vGPU of type %u, %s", vf->type, vf->state);
	else
		explain_room(findings, vf);
}

static void explain_last_error(struct json_object *findings, const struct vf *vf)
{
	char text[TEXT_LEN];

	bool usable = !strcmp(vf->state, "created") || !strcmp(vf->state, "open");

	vf_error(vf, text, sizeof(text));
	if (text[0])
		finding(findings, usable, "last-error",
			"look for the message in \"When something goes wrong\" of the administrator's guide",
			"the last action failed: %s", text);
}

/* QEMU opens this file. */
static void explain_node(struct json_object *findings, const struct vf *vf)
{
	char node[PATH_LEN];

	if (!vf_node(vf, node))
		return;
	if (!file_exists("%s", node))
		finding(findings, false, "node",
			"check that udev runs, and that the kernel has CONFIG_VFIO_DEVICE_CDEV",
			"%s is missing", node);
	else if (!file_usable("%s", node))
		finding(findings, false, "node",
			"run QEMU through libvirt or as root, or let this user open it with a udev rule",
			"%s cannot be opened by this user", node);
	else
		finding(findings, true, "node", NULL, "its VFIO device is %s", node);
}

/* The last lines of the kernel's log about the VF, if there is something wrong */
static void explain_log(struct json_object *findings, const struct vf *vf)
{
	char *log, *line, *save = NULL, *last[LOG_LINES] = { 0 };
	int size = klogctl(KLOG_SIZE, NULL, 0);
	int i, len;

	if (opt.root[0] || size <= 0)
		return;
	log = malloc(size + 1);
	len = klogctl(KLOG_READ_ALL, log, size);
	log[len > 0 ? len : 0] = '\0';
	for (line = strtok_r(log, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!strstr(line, vf->bdf) || !strstr(line, front_end()))
			continue;
		memmove(last, last + 1, sizeof(last) - sizeof(last[0]));
		last[LOG_LINES - 1] = line;
	}
	for (i = 0; i < LOG_LINES; i++)
		if (last[i])
			finding(findings, true, "log", NULL, "log: %s", last[i]);
	free(log);
}

enum status cmd_explain(int argc, char **argv)
{
	struct json_object *findings;
	enum status status;
	struct host host;
	struct vf *vf;

	(void)argc;
	host_scan(&host);
	status = need_vf(&host, argv[0], &vf);
	if (status)
		return status;
	findings = findings_new();
	explain_pf(findings, vf->gpu);
	explain_iommu(findings, vf);
	if (vf->leaving) {
		explain_removal(findings);
		explain_state(findings, vf);
	} else if (explain_driver(findings, vf) && explain_backend(findings, vf)) {
		explain_node(findings, vf);
		explain_state(findings, vf);
		explain_last_error(findings, vf);
	}
	explain_log(findings, vf);
	host_free(&host);

	return findings_end("explain", findings);
}
