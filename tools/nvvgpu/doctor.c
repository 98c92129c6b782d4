// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvvgpuctl doctor: every prerequisite, in the order in which one needs another
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"

#define LIBVIRT_HOOK	"/etc/libvirt/hooks/qemu.d/nvvgpu"

static unsigned int entries_in(const char *dir)
{
	unsigned int nr = 0;
	struct dirent *entry;
	char path[PATH_LEN];
	DIR *handle;

	path_make(path, "%s", dir);
	handle = opendir(path);
	if (!handle)
		return 0;
	while ((entry = readdir(handle)))
		nr += entry->d_name[0] != '.';
	closedir(handle);

	return nr;
}

static void check_iommu(struct json_object *findings)
{
	bool good = entries_in("/sys/kernel/iommu_groups");

	finding(findings, good, "iommu",
		"enable VT-d or AMD-Vi in the firmware's set-up, and on Intel add intel_iommu=on to the kernel's command line",
		good ? "the IOMMU is on" : "the IOMMU is off");
}

static void check_iommufd(struct json_object *findings)
{
	bool usable = file_usable("/dev/iommu");

	if (!file_exists("/dev/iommu"))
		finding(findings, false, "iommufd",
			"modprobe iommufd; if there is no such module, the kernel lacks CONFIG_IOMMUFD: install nvvgpu-dkms",
			"iommufd: /dev/iommu is missing");
	else
		finding(findings, usable, "iommufd",
			"run QEMU through libvirt or as root, or let this user open it with a udev rule: KERNEL==\"iommu\", GROUP=\"kvm\", MODE=\"0660\"",
			"iommufd: /dev/iommu %s",
			usable ? "exists" : "cannot be opened by this user");
}

static void check_vfio(struct json_object *findings)
{
	bool good = file_exists("/sys/class/vfio-dev");

	finding(findings, good, "vfio",
		"modprobe vfio; if the class vfio-dev does not appear, the kernel lacks CONFIG_VFIO_DEVICE_CDEV: install nvvgpu-dkms",
		good ? "VFIO has character devices" : "VFIO has no character devices");
}

static void check_driver(struct json_object *findings)
{
	bool good = file_exists("/sys/bus/pci/drivers/%s", front_end());

	finding(findings, good, "driver", "modprobe nvvgpu-vfio-pci",
		good ? "driver %s is loaded" : "driver %s is not loaded", front_end());
}

static void check_pf_driver(struct json_object *findings, const struct gpu *gpu)
{
	finding(findings, gpu->driver[0], "pf-driver",
		"load the GPU's own driver; for the emulated GPU: modprobe nvvgpu-emu",
		"GPU %s (%s) has %s%s", gpu->bdf, gpu->model,
		gpu->driver[0] ? "the driver " : "no driver", gpu->driver);
}

static void check_vfs(struct json_object *findings, const struct gpu *gpu)
{
	char advice[TEXT_LEN];

	snprintf(advice, sizeof(advice),
		 "set \"vfs\" in " CONFIG_DIR ", or: echo NUMBER > " PCI_DEVICES "/%s/sriov_numvfs",
		 gpu->bdf);
	finding(findings, gpu->nr_vfs, "vfs", advice,
		"GPU %s has %u of %u VFs enabled", gpu->bdf, gpu->nr_vfs, gpu->total);
}

static void check_binding(struct json_object *findings, const struct gpu *gpu)
{
	unsigned int i, bound = 0;

	for (i = 0; i < gpu->nr_vfs; i++)
		bound += !strcmp(gpu->vfs[i].driver, front_end());
	if (gpu->nr_vfs)
		finding(findings, bound, "binding",
			"run nvvgpuctl explain for one of the VFs to see why",
			"GPU %s: %u of %u VFs bound to %s", gpu->bdf, bound, gpu->nr_vfs,
			front_end());
}

static void check_removal(struct json_object *findings, const struct gpu *gpu)
{
	unsigned int i;

	for (i = 0; i < gpu->nr_vfs; i++)
		if (gpu->vfs[i].leaving)
			finding(findings, false, "removal", "shut down the VM that uses it",
				"GPU %s: VF %s is being unbound or removed, which waits for %s",
				gpu->bdf, gpu->vfs[i].bdf, owner_text(&gpu->vfs[i]));
}

static void check_nodes(struct json_object *findings, const struct gpu *gpu)
{
	unsigned int i, nr = 0, usable = 0;
	char node[PATH_LEN];

	for (i = 0; i < gpu->nr_vfs; i++) {
		if (!vf_node(&gpu->vfs[i], node))
			continue;
		nr++;
		usable += file_usable("%s", node);
	}
	if (nr)
		finding(findings, usable == nr, "nodes",
			"check that udev is running; nvvgpuctl explain VF names the device file",
			"GPU %s: this user can open %u of %u VFs in /dev/vfio/devices",
			gpu->bdf, usable, nr);
}

static void check_backend(struct json_object *findings, const struct gpu *gpu)
{
	unsigned int i;

	for (i = 0; i < gpu->nr_vfs; i++)
		if (!strcmp(gpu->vfs[i].driver, front_end()))
			break;
	if (i == gpu->nr_vfs)
		return;
	finding(findings, gpu->vfs[i].managed, "backend",
		backend_advice(gpu), "GPU %s is managed by %s%s", gpu->bdf,
		gpu->vfs[i].managed ? "the back-end " : "no back-end", gpu->vfs[i].backend);
}

static void check_gpus(struct json_object *findings, const struct host *host)
{
	unsigned int i;

	if (!host->nr)
		finding(findings, false, "gpu",
			"look for the GPU in lspci, and for SR-IOV in the firmware's set-up",
			"no GPU with SR-IOV");
	for (i = 0; i < host->nr; i++) {
		check_pf_driver(findings, &host->gpus[i]);
		check_vfs(findings, &host->gpus[i]);
		check_binding(findings, &host->gpus[i]);
		check_removal(findings, &host->gpus[i]);
		check_nodes(findings, &host->gpus[i]);
		check_backend(findings, &host->gpus[i]);
	}
}

/* A VM's memory is locked; root is not limited. */
static void check_memlock(struct json_object *findings)
{
	struct rlimit limit;

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (!geteuid() || limit.rlim_cur == RLIM_INFINITY)
		finding(findings, true, "memlock", NULL, "this user may lock memory without limit");
	else
		finding(findings, false, "memlock",
			"raise the limit to the VM's memory plus 1 GiB: LimitMEMLOCK= of its unit, or /etc/security/limits.conf",
			"this user may lock %llu KiB; a VM with more memory fails with ENOMEM",
			(__u64)limit.rlim_cur >> 10);
}

static long long memory_line(const char *key)
{
	char buf[FILE_LEN];
	const char *line;

	if (file_read(buf, sizeof(buf), "/proc/meminfo") <= 0)
		return 0;
	line = strstr(buf, key);

	return line ? strtoll(line + strlen(key), NULL, 10) : 0;
}

static void check_hugepages(struct json_object *findings)
{
	const long long total = memory_line("HugePages_Total:");
	const long long left = memory_line("HugePages_Free:");

	if (total)
		finding(findings, left, "hugepages",
			"shut a VM down, or raise vm.nr_hugepages",
			"%lld of %lld huge pages are free", left, total);
}

/* If this list is set, libvirt lets QEMU open only the devices in it. */
static void check_libvirt(struct json_object *findings)
{
	char buf[65536], *line, *save = NULL;
	bool in_list = false, has_iommu = false, set = false;

	if (file_read(buf, sizeof(buf), "/etc/libvirt/qemu.conf") < 0)
		return;
	for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (line[strspn(line, " \t")] == '#')
			continue;
		if (strstr(line, "cgroup_device_acl"))
			set = true;
		if (strstr(line, "cgroup_device_acl"))
			in_list = true;
		if (in_list && strstr(line, "\"/dev/iommu\""))
			has_iommu = true;
		if (strchr(line, ']'))
			in_list = false;
	}
	finding(findings, !set || has_iommu, "libvirt",
		"add \"/dev/iommu\" to cgroup_device_acl in /etc/libvirt/qemu.conf",
		!set || has_iommu ? "libvirt lets QEMU open /dev/iommu" :
		"libvirt does not let QEMU open /dev/iommu");
}

/* libvirt skips a hook that it cannot execute, and the domains then have no vGPU. */
static void check_libvirt_hook(struct json_object *findings)
{
	char path[PATH_LEN], apparmor[FILE_LEN];
	struct stat stat;
	bool good;

	path_make(path, LIBVIRT_HOOK);
	if (lstat(path, &stat))
		return;
	good = !access(path, X_OK);
	/* In Debian's profile, libvirtd executes hooks in /etc/libvirt/hooks only. */
	if (S_ISLNK(stat.st_mode) &&
	    file_read(apparmor, sizeof(apparmor), "/sys/module/apparmor/parameters/enabled") > 0 &&
	    apparmor[0] == 'Y')
		good = false;
	finding(findings, good, "libvirt-hook",
		"install /usr/share/nvvgpu/libvirt/qemu-hook " LIBVIRT_HOOK
		", as a copy because of AppArmor, and restart libvirtd",
		good ? "libvirt can execute its hook " LIBVIRT_HOOK :
		       "libvirt cannot execute its hook " LIBVIRT_HOOK);
}

enum status cmd_doctor(int argc, char **argv)
{
	struct json_object *findings = findings_new();
	struct host host;

	(void)argc;
	(void)argv;
	host_scan(&host);
	check_iommu(findings);
	check_iommufd(findings);
	check_vfio(findings);
	check_driver(findings);
	check_gpus(findings, &host);
	check_memlock(findings);
	check_hugepages(findings);
	check_libvirt(findings);
	check_libvirt_hook(findings);
	host_free(&host);

	return findings_end("doctor", findings);
}
