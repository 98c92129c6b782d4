// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes of one VF: its driver and its vGPU.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

#define SETTLE_TIMEOUT_MS	5000
#define RELEASE_TIMEOUT_MS	20000
#define POLL_MS			50

int vf_write(const struct vf *vf, const char *file, const char *text)
{
	return file_write(text, PCI_DEVICES "/%s/%s", vf->bdf, file);
}

/* Why the driver has refused the last action, in words; "" if it does not say */
void vf_error(const struct vf *vf, char *buf, size_t size)
{
	if (file_read(buf, size, PCI_DEVICES "/%s/nvvgpu/last_error", vf->bdf) <= 0)
		buf[0] = '\0';
}

/**
 * vf_why() - say why a change of a vGPU has failed
 * @vf: the VF
 * @err: return value of vf_create() or vf_delete(), or of a write to its parameters or name
 *
 * Return: a text, valid until the next call
 */
const char *vf_why(const struct vf *vf, int err)
{
	static char why[TEXT_LEN];

	if (err == -ECANCELED)
		return "its name cannot be saved";
	if (vf->refused) {
		vf_error(vf, why, sizeof(why));
		return why[0] ? why : strerror(-err);
	}
	switch (-err) {
	case EINVAL:
		return "the parameters are not valid";
	case E2BIG:
		return "the parameters are too long";
	case EOPNOTSUPP:
		return "this kernel does not support display=dmabuf";
	case EEXIST:
		return "the VF has a vGPU already";
	case ESTALE:
		return "the vGPU is gone";
	default:
		return strerror(-err);
	}
}

/**
 * vf_settle() - wait until no program binds or unbinds a VF
 * @vf: the VF
 *
 * The kernel holds the lock of a device while a driver releases it, which takes until its
 * user closes it. A process that waits for that lock cannot be killed, so a child waits, and
 * only for a limited time. It closes all files: our lock as well as pipes of our caller.
 * A write to power/control takes the lock of the device before it rejects an unknown word.
 *
 * Return: 0; -EBUSY if the VF is still being bound or unbound; or another negative errno
 */
int vf_settle(const struct vf *vf)
{
	struct pollfd child = { .events = POLLIN };
	bool ended;
	pid_t pid;

	if (vf->leaving)
		return -EBUSY;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		close_range(0, ~0U, 0);
		vf_write(vf, "power/control", "invalid");
		_exit(0);
	}
	child.fd = pidfd_open(pid, 0);
	if (child.fd < 0)
		return -errno;
	ended = poll(&child, 1, SETTLE_TIMEOUT_MS) > 0;
	close(child.fd);
	if (ended)
		waitpid(pid, NULL, 0);

	return ended ? 0 : -EBUSY;
}

/**
 * vf_bind() - bind a VF to the driver
 * @vf: bound to no driver
 *
 * Return: 0; -ENOENT if the driver is not loaded; -EBUSY if another program binds
 * or unbinds the VF; -EIO if the driver does not bind to the VF; -EAGAIN if it has, but
 * no back-end manages the VF
 */
int vf_bind(struct vf *vf)
{
	int ret;

	if (!file_exists("/sys/bus/pci/drivers/%s", front_end()))
		return -ENOENT;
	ret = vf_settle(vf);
	if (ret)
		return ret;
	vf_scan(vf);
	if (vf->driver[0] || vf->leaving)
		return -EBUSY;
	ret = vf_write(vf, "driver_override", front_end());
	if (!ret)
		ret = file_write(vf->bdf, "/sys/bus/pci/drivers_probe");
	vf_scan(vf);
	if (ret < 0)
		return ret;
	if (strcmp(vf->driver, front_end()))
		return vf->driver[0] ? -EBUSY : -EIO;

	return vf->managed ? 0 : -EAGAIN;
}

/* Why vf_bind() has failed */
const char *vf_bind_why(int err)
{
	switch (-err) {
	case ENOENT:
		return "the driver " FRONT_END " is not loaded";
	case EBUSY:
		return "another program binds or unbinds the VF";
	case EIO:
		return "the driver did not bind to the VF; see the kernel's log";
	case EAGAIN:
		return "no back-end manages the VF";
	default:
		return strerror(-err);
	}
}

/* Unbind a VF from the driver that it had when it was scanned; -EBUSY if it has another. */
int vf_unbind(struct vf *vf)
{
	int ret = file_write(vf->bdf, "/sys/bus/pci/drivers/%s/unbind", vf->driver);

	vf_scan(vf);

	return ret == -ENODEV ? -EBUSY : ret;
}

/* Remember the driver of a VF; -EBUSY if another program is changing it. */
int binding_save(struct binding *binding, const struct vf *vf)
{
	int ret = vf_settle(vf);

	if (ret)
		return ret;
	binding->vf = vf->number;
	snprintf(binding->driver, sizeof(binding->driver), "%s", vf->driver);
	binding->override[0] = '\0';
	file_read(binding->override, sizeof(binding->override),
		  PCI_DEVICES "/%s/driver_override", vf->bdf);
	if (!strcmp(binding->override, "(null)"))
		binding->override[0] = '\0';

	return 0;
}

/**
 * binding_restore() - give a VF the driver back that it had
 * @binding: driver that the VF had
 * @vf: the VF, which may have been bound to our driver or re-created since then
 *
 * Return: 0; -EBUSY if another program uses the VF, which is left alone then; or
 * another negative errno
 */
int binding_restore(const struct binding *binding, struct vf *vf)
{
	const char *override = binding->override;
	int ret = 0;

	vf_scan(vf);
	if (vf->driver[0] && !strcmp(vf->driver, binding->driver))
		return 0;
	if (vf->type || (vf->driver[0] && strcmp(vf->driver, front_end())) || vf_settle(vf))
		return -EBUSY;
	if (vf->driver[0])
		ret = vf_unbind(vf);
	if (!ret)
		ret = vf_write(vf, "driver_override", override[0] ? override : "\n");
	if (!ret && binding->driver[0])
		ret = file_write(vf->bdf, "/sys/bus/pci/drivers/%s/bind", binding->driver);
	vf_scan(vf);

	return ret;
}

static int vf_create_at(struct vf *vf, unsigned int type, int placement)
{
	char text[16];
	int ret;

	snprintf(text, sizeof(text), "%d", placement);
	ret = vf_write(vf, "nvidia/placement_id", text);
	if (ret)
		return ret;
	snprintf(text, sizeof(text), "%u", type);

	return vf_write(vf, "nvidia/current_vgpu_type", text);
}

static int vf_create_anywhere(struct vf *vf, unsigned int type)
{
	int placement = placement_pick(vf->gpu, type);

	/* Another program may have taken it meanwhile. */
	if (placement != PLACEMENT_ANY && !vf_create_at(vf, type, placement))
		return 0;

	return vf_create_at(vf, type, PLACEMENT_ANY);
}

/**
 * vf_delete() - delete a vGPU
 * @vf: VF as scanned; a vGPU that has been created since then is spared
 *
 * Return: 0; -ESTALE when that vGPU is gone; or another negative errno, for which
 * vf_why() has a text
 */
int vf_delete(struct vf *vf)
{
	struct vf gone = *vf;
	char text[24];
	int ret;

	snprintf(text, sizeof(text), "%llu", vf->generation);
	ret = vf_write(vf, "nvvgpu/delete", text);
	vf_scan(vf);
	/* The VF has been unbound or removed, and the vGPU with it. */
	if ((ret == -ENOENT || ret == -ENODEV) && !vf->generation)
		ret = -ESTALE;
	else
		vf->refused = ret;
	if (!ret || (ret == -ESTALE && !vf->generation))
		name_drop(&gone);

	return ret;
}

/* Nobody would find a vGPU without the name that it was to have. */
static int vf_name_or_delete(struct vf *vf, const char *name)
{
	int ret = name_save(vf, name);

	name_read(vf);
	if (!ret)
		return 0;
	error("%s: cannot save the name %s: %s", vf->bdf, name, strerror(-ret));
	ret = vf_delete(vf);
	if (ret)
		error("%s: cannot delete the vGPU that has no name: %s", vf->bdf,
		      vf_why(vf, ret));

	return -ECANCELED;
}

/* Restore the parameters and clear the placement, so that the next vGPU does not get them. */
static void vf_withdraw(const struct vf *vf, const char *params)
{
	vf_write(vf, "nvidia/vgpu_params", params[0] ? params : "\n");
	vf_write(vf, "nvidia/placement_id", "-1");
}

/**
 * vf_create() - create a vGPU
 * @vf: without a vGPU
 * @type: its type
 * @placement: or PLACEMENT_ANY for the one that leaves most room for larger types
 * @params: parameters for the back-end, NULL or "" for none
 * @name: or NULL
 *
 * Return: 0; -EEXIST if another program has created one; -ECANCELED if @name cannot be
 * saved, with a message; or another negative errno, for which vf_why() has a text
 */
int vf_create(struct vf *vf, unsigned int type, int placement,
	      const char *params, const char *name)
{
	char old_params[PARAMS_LEN];
	int ret;

	/* The driver would take the parameters, although it refuses to create the vGPU. */
	vf_scan(vf);
	if (vf->type)
		return -EEXIST;
	file_read(old_params, sizeof(old_params), PCI_DEVICES "/%s/nvidia/vgpu_params", vf->bdf);
	/* Those of an earlier vGPU of this VF would be taken otherwise. */
	ret = vf_write(vf, "nvidia/vgpu_params", params && *params ? params : "\n");
	if (ret)
		return ret;
	ret = placement == PLACEMENT_ANY ? vf_create_anywhere(vf, type) :
					   vf_create_at(vf, type, placement);
	vf_scan(vf);
	vf->refused = ret;
	if (!ret && name && *name)
		ret = vf_name_or_delete(vf, name);
	if (ret && !vf->type)
		vf_withdraw(vf, old_params);

	return ret;
}

/* Send SIGTERM to the process that has a VF open; -ESRCH if it has ended or closed the VF. */
static int owner_terminate(struct vf *vf)
{
	const pid_t pid = vf->pid;
	int fd, ret = 0;

	if (pid == 1)
		return -EBUSY;
	fd = pidfd_open(pid, 0);
	if (fd < 0)
		return -errno;
	/* Unless the process still has the VF open, its number may be a stranger's by now. */
	owner_read(vf);
	if (vf->pid != pid || strstr(vf->command, " (ended)"))
		ret = -ESRCH;
	else if (pidfd_send_signal(fd, SIGTERM, NULL, 0))
		ret = -errno;
	close(fd);

	return ret;
}

/**
 * vf_release() - have the process that uses a vGPU end
 * @vf: its device was open when it was scanned
 *
 * QEMU shuts down on this signal. A process that ignores it is left alone.
 *
 * Return: 0; -EBUSY if it does not let go; -ESTALE when that vGPU is gone. @vf has
 * been scanned again
 */
int vf_release(struct vf *vf)
{
	const struct timespec poll = { .tv_nsec = POLL_MS * 1000000 };
	const __u64 generation = vf->generation;
	int ret = -ESRCH, ms;

	for (ms = 0; ms < RELEASE_TIMEOUT_MS; ms += POLL_MS) {
		vf_scan(vf);
		if (vf->generation != generation)
			return -ESTALE;
		if (!vf->pid)
			return 0;
		if (ret == -ESRCH)
			ret = owner_terminate(vf);
		if (ret && ret != -ESRCH)
			return -EBUSY;
		if (ms == 1000)
			note("waiting for process %d (%s) to close %s", vf->pid, vf->command,
			     vf->bdf);
		nanosleep(&poll, NULL);
	}

	return -EBUSY;
}

/* The exit status for an errno of the kernel */
enum status status_of(int err)
{
	switch (-err) {
	case 0:
		return STATUS_OK;
	case EBUSY:
	case EEXIST:
	case EPERM:
		return STATUS_IN_USE;
	case ESTALE:
		return STATUS_STALE;
	case EACCES:
		return STATUS_PERMISSION;
	case ENODEV:
		return STATUS_NOT_FOUND;
	default:
		return STATUS_FAILED;
	}
}
