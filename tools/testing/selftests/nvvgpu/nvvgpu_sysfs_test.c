// SPDX-License-Identifier: GPL-2.0
/*
 * The nvidia/ directory that existing tools rely on, byte for byte, and our own
 * nvvgpu/ directory beside it.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>

#include <sys/prctl.h>

#include "nvvgpu_test.h"
#include "lib/backend.h"
#include "lib/wakeups.h"

#define HEADER	"ID    : vGPU Name\n"

FIXTURE(sysfs) {
	struct pf pf;
	const char *vf;
	const char *vf2;
	struct vgpu_type types[MAX_TYPES];
	int nr_types;
	const struct vgpu_type *small;
	char buf[16384];
};

FIXTURE_SETUP(sysfs)
{
	ASSERT_GPU(&self->pf, TEST_VFS);
	self->vf = self->pf.vf[0];
	self->vf2 = self->pf.vf[1];
	self->nr_types = vf_types(self->vf, self->types, MAX_TYPES);
	ASSERT_GT(self->nr_types, 0);
	self->small = type_smallest(self->types, self->nr_types);
}

FIXTURE_TEARDOWN(sysfs)
{
	pci_write(self->vf, "nvidia/vgpu_params", "\n");
	gpu_clean(&self->pf);
}

TEST_F(sysfs, directories_are_on_vfs_only)
{
	unsigned int i;

	for (i = 0; i < self->pf.nr_vfs; i++) {
		EXPECT_TRUE(pci_exists(self->pf.vf[i], "nvidia"));
		EXPECT_TRUE(pci_exists(self->pf.vf[i], "nvvgpu"));
		EXPECT_TRUE(pci_exists(self->pf.vf[i], "vfio-dev"));
	}
	EXPECT_FALSE(pci_exists(self->pf.bdf, "nvidia"));
	EXPECT_FALSE(pci_exists(self->pf.bdf, "nvvgpu/state"));
}

TEST_F(sysfs, directories_go_with_the_driver)
{
	ASSERT_EQ(0, pci_unbind(self->vf));
	EXPECT_FALSE(pci_exists(self->vf, "nvidia"));
	EXPECT_FALSE(pci_exists(self->vf, "nvvgpu"));
	EXPECT_TRUE(pci_exists(self->vf2, "nvidia"));
	ASSERT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
	EXPECT_TRUE(pci_exists(self->vf, "nvidia"));
}

/* Files in a directory of a VF */
static int nr_files(const char *vf, const char *dir)
{
	char path[128];
	struct dirent *entry;
	int nr = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", vf, dir);
	d = opendir(path);
	if (!d)
		return -errno;
	while ((entry = readdir(d)))
		nr += entry->d_type == DT_REG;
	closedir(d);

	return nr;
}

TEST_F(sysfs, files_and_modes)
{
	unsigned int i;

	EXPECT_EQ(NR_VF_FILES, nr_files(self->vf, "nvidia") +
			       nr_files(self->vf, "nvvgpu"));
	for (i = 0; i < NR_VF_FILES; i++) {
		EXPECT_EQ(vf_files[i].mode,
			  pci_mode(self->vf, vf_files[i].name))
			TH_LOG("%s", vf_files[i].name);
	}
}

TEST_F(sysfs, creatable_types_byte_for_byte)
{
	char want[8192] = HEADER;
	size_t len = strlen(want);
	int i;

	for (i = 0; i < self->nr_types; i++) {
		EXPECT_LT(0, self->types[i].available);
		len += snprintf(want + len, sizeof(want) - len, "%-5d : %s\n",
				self->types[i].id, self->types[i].name);
	}
	EXPECT_FILE(self->vf, "nvidia/creatable_vgpu_types", want);
}

TEST_F(sysfs, creatable_types_is_the_header_alone_with_a_vgpu)
{
	ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
	EXPECT_FILE(self->vf, "nvidia/creatable_vgpu_types", HEADER);
	EXPECT_LT(0, vf_creatable(self->vf2, 0));
}

/* The letter that ends the names of a class in nvidia/ */
static const char *class_letter(const char *class)
{
	static const struct {
		const char *class;
		const char *letter;
	} letters[] = {
		{ "workstation", "Q" }, { "compute", "C" },
		{ "desktop", "B" }, { "applications", "A" },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(letters); i++)
		if (!strcmp(class, letters[i].class))
			return letters[i].letter;

	return "?";
}

TEST_F(sysfs, type_names_suit_the_parsers)
{
	int i, j;

	for (i = 0; i < self->nr_types; i++) {
		const struct vgpu_type *t = &self->types[i];
		const char *p = strrchr(t->name, '-');
		char *end;

		EXPECT_LT(0, t->id);
		EXPECT_EQ(NULL, strchr(t->name, ':'));
		EXPECT_EQ(NULL, strstr(t->name, "  "));
		EXPECT_NE(' ', t->name[0]);
		EXPECT_NE(0, strncmp(t->name, "ID", 2));

		/* ... "-<GB><class letter>" */
		ASSERT_NE(NULL, p)
			TH_LOG("'%s'", t->name);
		EXPECT_TRUE(isdigit((unsigned char)p[1]));
		strtoul(p + 1, &end, 10);
		EXPECT_STREQ(class_letter(t->vgpu_class), end)
			TH_LOG("'%s'", t->name);

		for (j = 0; j < i; j++) {
			EXPECT_NE(self->types[j].id, t->id);
			EXPECT_STRNE(self->types[j].name, t->name);
		}
	}
}

TEST_F(sysfs, types_are_directories_with_one_value_a_file)
{
	static const struct {
		const char *name;
		int mode;
	} files[] = {
		{ "available_instances", 0400 }, { "bar0", 0444 },
		{ "class", 0444 }, { "framebuffer", 0444 }, { "heads", 0444 },
		{ "max_instances", 0444 }, { "max_resolution", 0444 },
		{ "name", 0444 }, { "placements", 0400 }, { "reason", 0400 },
		{ "weight", 0444 },
	};
	char file[64];
	unsigned int f;
	int i, len;

	for (i = 0; i < self->nr_types; i++) {
		snprintf(file, sizeof(file), "nvvgpu/types/%u",
			 self->types[i].id);
		EXPECT_EQ((int)ARRAY_SIZE(files), nr_files(self->vf, file));
		for (f = 0; f < ARRAY_SIZE(files); f++) {
			snprintf(file, sizeof(file), "nvvgpu/types/%u/%s",
				 self->types[i].id, files[f].name);
			EXPECT_EQ(files[f].mode, pci_mode(self->vf, file))
				TH_LOG("%s", file);
			len = pci_read(self->vf, file, self->buf,
				       sizeof(self->buf));
			ASSERT_LT(0, len);
			EXPECT_EQ('\n', self->buf[len - 1]);
			EXPECT_EQ(self->buf + len - 1, strchr(self->buf, '\n'));
			/* The directory of the PF is the same one. */
			EXPECT_FILE(self->pf.bdf, file, self->buf);
		}
		EXPECT_EQ(1, vf_creatable(self->vf, self->types[i].id));
	}
}

TEST_F(sysfs, types_are_shown_while_there_are_no_vfs)
{
	char file[64];
	int i;

	ASSERT_EQ(0, pf_set_vfs(&self->pf, 0));
	for (i = 0; i < self->nr_types; i++) {
		snprintf(file, sizeof(file), "nvvgpu/types/%u/name",
			 self->types[i].id);
		ASSERT_LT(0, pci_read(self->pf.bdf, file, self->buf,
				      sizeof(self->buf)));
		self->buf[strcspn(self->buf, "\n")] = '\0';
		EXPECT_STREQ(self->types[i].name, self->buf);
	}
	ASSERT_EQ(0, pf_set_vfs(&self->pf, TEST_VFS));
}

TEST_F(sysfs, types_keep_their_attributes_while_in_use)
{
	struct vgpu_type now[MAX_TYPES];
	int i;

	ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
	ASSERT_EQ(self->nr_types, vf_types(self->vf, now, MAX_TYPES));

	for (i = 0; i < self->nr_types; i++) {
		const struct vgpu_type *t = &self->types[i];

		EXPECT_EQ(t->id, now[i].id);
		EXPECT_STREQ(t->name, now[i].name);
		EXPECT_EQ(t->framebuffer, now[i].framebuffer);
		EXPECT_LT(0, t->framebuffer);
		EXPECT_LT(0, t->bar0);
		EXPECT_EQ(0, t->bar0 & (t->bar0 - 1));
		EXPECT_LT(0, t->max_instances);
		EXPECT_NE(NULL, strchr(t->max_resolution, 'x'));
		EXPECT_LT(0, type_number(t, "weight"));
		EXPECT_LE(now[i].available, t->available);
	}
}

TEST_F(sysfs, every_type_is_created_and_reads_back)
{
	char text[16];
	int i;

	EXPECT_FILE(self->vf, "nvidia/current_vgpu_type", "0\n");
	EXPECT_FILE(self->vf, "nvvgpu/state", "bound\n");

	for (i = 0; i < self->nr_types; i++) {
		snprintf(text, sizeof(text), "%u\n", self->types[i].id);
		EXPECT_EQ(0, pci_write(self->vf, "nvidia/current_vgpu_type",
				       text));
		EXPECT_FILE(self->vf, "nvidia/current_vgpu_type", text);
		EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");

		EXPECT_EQ(0, pci_write(self->vf, "nvidia/current_vgpu_type",
				       "0\n"));
		EXPECT_FILE(self->vf, "nvidia/current_vgpu_type", "0\n");
		EXPECT_FILE(self->vf, "nvvgpu/state", "bound\n");
	}
}

TEST_F(sysfs, newline_sign_and_zeroes_are_optional)
{
	static const char * const forms[] = { "%u", "%u\n", "+%u\n", "000%u\n" };
	char text[16];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		snprintf(text, sizeof(text), forms[i], self->small->id);
		EXPECT_EQ(0, pci_write(self->vf, "nvidia/current_vgpu_type",
				       text))
			TH_LOG("'%s'", text);
		EXPECT_EQ((int)self->small->id, vf_type(self->vf));
		snprintf(text, sizeof(text), forms[i], 0);
		EXPECT_EQ(0, pci_write(self->vf, "nvidia/current_vgpu_type",
				       text))
			TH_LOG("'%s'", text);
		EXPECT_EQ(0, vf_type(self->vf));
	}
}

TEST_F(sysfs, read_only_files_cannot_be_written)
{
	unsigned int i;

	for (i = 0; i < NR_VF_FILES; i++) {
		if (vf_files[i].mode & 0200)
			continue;
		EXPECT_EQ(-EACCES, pci_write(self->vf, vf_files[i].name, "1\n"))
			TH_LOG("%s", vf_files[i].name);
	}
}

TEST_F(sysfs, gpu_instances_are_not_chosen)
{
	const char *file = "nvidia/gpu_instance_id";

	EXPECT_EQ(-EOPNOTSUPP, pci_write(self->vf, file, "0\n"));
	ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
	EXPECT_FILE(self->vf, file, "0\n");
	EXPECT_EQ(-EOPNOTSUPP, pci_write(self->vf, file, "0\n"));
	EXPECT_EQ(-EOPNOTSUPP, pci_write(self->vf, file, "nonsense"));
	EXPECT_FILE(self->vf, file, "0\n");
}

TEST_F(sysfs, warm_update_is_not_supported)
{
	const char *file = "nvidia/warm_update";

	EXPECT_FILE(self->vf, file, "0\n");
	EXPECT_EQ(0, pci_write(self->vf, file, "0\n"));
	EXPECT_EQ(-EOPNOTSUPP, pci_write(self->vf, file, "1\n"));
	EXPECT_EQ(-EINVAL, pci_write(self->vf, file, "nonsense"));
	EXPECT_FILE(self->vf, file, "0\n");
}

TEST_F(sysfs, zero_without_a_vgpu_succeeds)
{
	EXPECT_EQ(0, vf_set_type(self->vf, 0));
	EXPECT_EQ(0, vf_set_type(self->vf, 0));
	EXPECT_FILE(self->vf, "nvidia/current_vgpu_type", "0\n");
}

TEST_F(sysfs, type_over_a_type_is_eperm)
{
	ASSERT_EQ(0, vf_set_type(self->vf, self->types[0].id));
	EXPECT_EQ(-EPERM, vf_set_type(self->vf, self->types[0].id));
	EXPECT_EQ(-EPERM, vf_set_type(self->vf,
				      self->types[self->nr_types - 1].id));
	EXPECT_EQ((int)self->types[0].id, vf_type(self->vf));
	EXPECT_LT(1, pci_read(self->vf, "nvvgpu/last_error", self->buf,
			      sizeof(self->buf)));
	ASSERT_EQ(0, vf_set_type(self->vf, 0));
	EXPECT_FILE(self->vf, "nvvgpu/last_error", "\n");
}

TEST_F(sysfs, unknown_type_is_eio)
{
	unsigned int unknown = 1;
	int i;

	for (i = 0; i < self->nr_types; i++)
		if (self->types[i].id == unknown) {
			unknown++;
			i = -1;
		}

	EXPECT_EQ(-EIO, vf_set_type(self->vf, unknown));
	EXPECT_EQ(-EIO, vf_set_type(self->vf, 4294967295U));
	EXPECT_FILE(self->vf, "nvidia/current_vgpu_type", "0\n");
	EXPECT_LT(1, pci_read(self->vf, "nvvgpu/last_error", self->buf,
			      sizeof(self->buf)));

	/* A success clears it. */
	EXPECT_EQ(0, vf_set_type(self->vf, self->small->id));
	EXPECT_FILE(self->vf, "nvvgpu/last_error", "\n");
}

TEST_F(sysfs, open_vgpu_is_eperm)
{
	struct ioas ioas;
	struct vdev vdev;

	ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
	ASSERT_EQ(0, ioas_open(&ioas, IOMMU_IOMMUFD));
	ASSERT_EQ(0, vdev_open(&vdev, self->vf, &ioas));

	EXPECT_EQ(-EPERM, vf_set_type(self->vf, 0));
	EXPECT_EQ(-EPERM, vf_set_type(self->vf, self->small->id));
	EXPECT_EQ((int)self->small->id, vf_type(self->vf));
	EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");

	vdev_close(&vdev);
	ioas_close(&ioas);
	EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");
	EXPECT_EQ(0, vf_set_type(self->vf, 0));
}

struct opening {
	struct vdev *vdev;
	const char *vf;
	struct ioas *ioas;
	int ret;
};

static void *open_elsewhere(void *data)
{
	struct opening *opening = data;

	pthread_setname_np(pthread_self(), "elsewhere");
	opening->ret = vdev_open(opening->vdev, opening->vf, opening->ioas);

	return NULL;
}

static __u64 vf_generation(const char *vf)
{
	char buf[32] = "";

	pci_read(vf, "nvvgpu/generation", buf, sizeof(buf));

	return strtoull(buf, NULL, 10);
}

static int vf_delete(const char *vf, __u64 generation)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%llu\n", generation);

	return pci_write(vf, "nvvgpu/delete", buf);
}

TEST_F(sysfs, generations_differ_for_each_vgpu)
{
	__u64 last = 0;
	int i;

	for (i = 0; i < 8; i++) {
		const char *vf = i % 2 ? self->vf : self->vf2;
		__u64 now;

		EXPECT_EQ(0, vf_generation(vf));
		ASSERT_EQ(0, vf_set_type(vf, self->small->id));
		now = vf_generation(vf);
		EXPECT_LT(last, now);
		EXPECT_GT(1ULL << 53, now);
		EXPECT_EQ(now, vf_generation(vf));
		ASSERT_EQ(0, vf_set_type(vf, 0));
		last = now;
	}
}

TEST_F(sysfs, delete_spares_a_vgpu_of_another_generation)
{
	__u64 stale, now;

	ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
	stale = vf_generation(self->vf);
	EXPECT_EQ(0, vf_delete(self->vf, stale));
	EXPECT_EQ(0, vf_type(self->vf));
	EXPECT_EQ(-ESTALE, vf_delete(self->vf, stale));

	ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
	now = vf_generation(self->vf);
	EXPECT_EQ(-ESTALE, vf_delete(self->vf, stale));
	EXPECT_EQ(self->small->id, vf_type(self->vf));
	EXPECT_EQ(now, vf_generation(self->vf));
	ASSERT_LT(0, pci_read(self->vf, "nvvgpu/last_error", self->buf,
			      sizeof(self->buf)));
	EXPECT_NE(NULL, strstr(self->buf, "cannot delete vGPU"));

	EXPECT_EQ(-EINVAL, vf_delete(self->vf, 0));
	EXPECT_EQ(-EINVAL, pci_write(self->vf, "nvvgpu/delete", "one\n"));
	EXPECT_EQ(0, vf_delete(self->vf, now));
	EXPECT_EQ(0, vf_type(self->vf));
}

TEST_F(sysfs, delete_of_an_open_vgpu_is_eperm)
{
	struct vdev vdev;
	struct ioas ioas;
	__u64 generation;

	ASSERT_EQ(0, ioas_open(&ioas, IOMMU_IOMMUFD));
	ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
	generation = vf_generation(self->vf);
	ASSERT_EQ(0, vdev_open(&vdev, self->vf, &ioas));
	EXPECT_EQ(-EPERM, vf_delete(self->vf, generation));
	vdev_close(&vdev);
	EXPECT_EQ(generation, vf_generation(self->vf));
	EXPECT_EQ(0, vf_delete(self->vf, generation));
	ioas_close(&ioas);
}

TEST_F(sysfs, owner_is_named_while_open)
{
	char want[64], comm[32] = "";
	struct opening opening;
	struct ioas ioas;
	struct vdev vdev;
	pthread_t thread;
	int fd;

	fd = open("/proc/self/comm", O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_LT(0, read(fd, comm, sizeof(comm) - 1));
	close(fd);
	snprintf(want, sizeof(want), "%d %s", getpid(), comm);

	EXPECT_FILE(self->vf, "nvvgpu/owner", "\n");
	ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
	EXPECT_FILE(self->vf, "nvvgpu/owner", "\n");

	ASSERT_EQ(0, ioas_open(&ioas, IOMMU_IOMMUFD));
	ASSERT_EQ(0, vdev_open(&vdev, self->vf, &ioas));
	EXPECT_FILE(self->vf, "nvvgpu/owner", want);
	vdev_close(&vdev);
	EXPECT_FILE(self->vf, "nvvgpu/owner", "\n");

	/* The owner is the process, whichever thread has opened the device. */
	opening = (struct opening){ &vdev, self->vf, &ioas, -1 };
	ASSERT_EQ(0, pthread_create(&thread, NULL, open_elsewhere, &opening));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, opening.ret);
	EXPECT_FILE(self->vf, "nvvgpu/owner", want);
	vdev_close(&vdev);
	ioas_close(&ioas);
}

TEST_F(sysfs, name_of_a_process_forges_no_owner)
{
	static const char * const names[][2] = {
		{ "q vm=\"prod\"", "q vm=?prod?" },
		{ "a\n1 b", "a?1 b" },
		{ "b\xc3\xa9\t\x7f", "b????" },
		{ "qemu (ended)", "qemu ?ended)" },
	};
	char comm[32] = "", want[64];
	struct ioas ioas;
	struct vdev vdev;
	unsigned int i;

	ASSERT_EQ(0, prctl(PR_GET_NAME, comm));
	ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
	ASSERT_EQ(0, ioas_open(&ioas, IOMMU_IOMMUFD));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		ASSERT_EQ(0, prctl(PR_SET_NAME, names[i][0]));
		EXPECT_EQ(0, vdev_open(&vdev, self->vf, &ioas));
		snprintf(want, sizeof(want), "%d %s\n", getpid(), names[i][1]);
		EXPECT_FILE(self->vf, "nvvgpu/owner", want);
		EXPECT_EQ(-EPERM, vf_set_type(self->vf, 0));
		snprintf(want, sizeof(want),
			 "cannot delete the vGPU: %s (%d) has it open",
			 names[i][1], getpid());
		EXPECT_LAST_ERROR(self->vf, EPERM, want);
		vdev_close(&vdev);
	}
	prctl(PR_SET_NAME, comm);
	ioas_close(&ioas);
}

/* As when QEMU is replaced: the open files have been passed to another process. */
TEST_F(sysfs, owner_that_has_ended_is_marked)
{
	char want[64], comm[32] = "";
	int fd, hold[2], status;
	pid_t opener;

	fd = open("/proc/self/comm", O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_LT(0, read(fd, comm, sizeof(comm) - 1));
	close(fd);
	comm[strcspn(comm, "\n")] = '\0';

	ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
	ASSERT_EQ(0, pipe(hold));
	opener = fork();
	ASSERT_LE(0, opener);
	if (!opener) {
		struct ioas ioas;
		struct vdev vdev;
		pid_t heir;
		char c;

		close(hold[1]);
		if (ioas_open(&ioas, IOMMU_IOMMUFD) ||
		    vdev_open(&vdev, self->vf, &ioas))
			_exit(1);
		heir = fork();
		if (!heir)
			_exit(read(hold[0], &c, 1) != 0);
		_exit(heir < 0);
	}
	close(hold[0]);
	ASSERT_EQ(opener, waitpid(opener, &status, 0));
	ASSERT_EQ(0, status);
	snprintf(want, sizeof(want), "%d %s (ended)\n", opener, comm);
	EXPECT_FILE(self->vf, "nvvgpu/owner", want);
	EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");
	close(hold[1]);
	EXPECT_STREQ("created", vf_wait_state(self->vf, "created"));
	EXPECT_FILE(self->vf, "nvvgpu/owner", "\n");
}

TEST_F(sysfs, backend_and_stats)
{
	char *line, *save = NULL;
	int n = 0;

	/* "name major.minor" with the version of the contract */
	ASSERT_EQ(8, pci_read(self->vf, "nvvgpu/backend", self->buf,
			      sizeof(self->buf)));
	EXPECT_EQ(0, strncmp(self->buf, "emu 2.", 6));
	EXPECT_TRUE(isdigit((unsigned char)self->buf[6]));
	EXPECT_EQ('\n', self->buf[7]);

	EXPECT_EQ(-ENXIO, pci_read(self->vf, "nvvgpu/stats", self->buf,
				   sizeof(self->buf)));
	ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
	ASSERT_LT(0, pci_read(self->vf, "nvvgpu/stats", self->buf,
			      sizeof(self->buf)));
	for (line = strtok_r(self->buf, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save), n++) {
		char *end, *space = strchr(line, ' ');

		/* "name value" */
		ASSERT_NE(NULL, space);
		EXPECT_EQ(space - line, strspn(line, "abcdefghijklmnopqrstuvwxyz_"));
		EXPECT_TRUE(isdigit((unsigned char)space[1]));
		strtoull(space + 1, &end, 10);
		EXPECT_STREQ("", end);
	}
	EXPECT_LT(0, n);
}

/* More VFs than the tests have by default, empty */
static int more_vfs(struct pf *pf, unsigned int nr)
{
	int ret;

	if (nr <= pf->nr_vfs)
		return 0;
	ret = pf_set_vfs(pf, nr);

	return ret ?: gpu_prepare(pf, nr) ? -EIO : 0;
}

TEST_F(sysfs, full_gpu_says_so_and_recovers)
{
	const struct vgpu_type *big = type_largest(self->types,
						   self->nr_types);
	struct vgpu_type now[MAX_TYPES];
	unsigned int i, n = big->max_instances;

	if (n + 1 > self->pf.total)
		SKIP(return, "%u VFs cannot hold %u of %s", self->pf.total,
		     n + 1, big->name);
	ASSERT_EQ(0, more_vfs(&self->pf, n + 1));

	for (i = 0; i < n; i++) {
		EXPECT_EQ(1, vf_creatable(self->pf.vf[n], big->id));
		ASSERT_EQ(0, vf_set_type(self->pf.vf[i], big->id));
	}

	/* No further vGPU can be created; the list, the attributes and the error say so. */
	EXPECT_EQ(0, vf_creatable(self->pf.vf[n], big->id));
	EXPECT_EQ(-EIO, vf_set_type(self->pf.vf[n], big->id));
	EXPECT_EQ(0, vf_type(self->pf.vf[n]));
	EXPECT_LT(1, pci_read(self->pf.vf[n], "nvvgpu/last_error", self->buf,
			      sizeof(self->buf)));
	ASSERT_EQ(self->nr_types, vf_types(self->pf.vf[n], now, MAX_TYPES));
	i = big - self->types;
	EXPECT_EQ(0, now[i].available);
	EXPECT_STRNE("", now[i].reason);

	/* After a delete there is room again. */
	ASSERT_EQ(0, vf_set_type(self->pf.vf[0], 0));
	EXPECT_EQ(1, vf_creatable(self->pf.vf[n], big->id));
	EXPECT_EQ(0, vf_set_type(self->pf.vf[n], big->id));
}

TEST_F(sysfs, mixed_sizes_use_and_release_framebuffer)
{
	struct vgpu_type now[MAX_TYPES];
	unsigned int i;
	int t, ret, diff = 0;

	/* As many different types as there are VFs, in both directions */
	for (i = 0; i < TEST_VFS && i < (unsigned int)self->nr_types; i++) {
		t = i & 1 ? self->nr_types - 1 - (int)i / 2 : (int)i / 2;
		if (!vf_creatable(self->pf.vf[i], self->types[t].id))
			continue;
		EXPECT_EQ(0, vf_set_type(self->pf.vf[i], self->types[t].id))
			TH_LOG("%s", self->types[t].name);
	}
	for (ret = 0, i = 0; i < TEST_VFS && !ret; i++)
		ret = vf_set_type(self->pf.vf[(i + 2) % TEST_VFS], 0);
	EXPECT_EQ(0, ret);

	ASSERT_EQ(self->nr_types, vf_types(self->vf, now, MAX_TYPES));
	for (t = 0; t < self->nr_types; t++)
		diff += self->types[t].available != now[t].available;
	EXPECT_EQ(0, diff);
}

TEST_F(sysfs, partly_used_placement_is_not_free)
{
	const struct vgpu_type *large = type_largest(self->types, self->nr_types);
	struct vgpu_type now[MAX_TYPES];
	int t = large - self->types;

	/* The first placement is free again, but not the adjacent one. */
	ASSERT_EQ(0, vf_set_type(self->pf.vf[0], self->small->id));
	ASSERT_EQ(0, vf_set_type(self->pf.vf[1], self->small->id));
	ASSERT_EQ(0, vf_set_type(self->pf.vf[0], 0));
	ASSERT_EQ(self->nr_types, vf_types(self->vf, now, MAX_TYPES));
	EXPECT_EQ(large->available - 1, now[t].available);

	ASSERT_EQ(0, vf_set_type(self->pf.vf[1], 0));
	ASSERT_EQ(self->nr_types, vf_types(self->vf, now, MAX_TYPES));
	EXPECT_EQ(large->available, now[t].available);
}

/* There is framebuffer left, but no VF. */
TEST_F(sysfs, no_more_is_available_than_vfs_are_free)
{
	struct vgpu_type now[MAX_TYPES];
	int t = self->small - self->types;
	unsigned int i;
	char why[64];

	ASSERT_EQ(self->nr_types, vf_types(self->vf, now, MAX_TYPES));
	EXPECT_EQ(self->pf.nr_vfs, now[t].available);
	for (i = 0; i < self->pf.nr_vfs; i++)
		ASSERT_EQ(0, vf_set_type(self->pf.vf[i], self->small->id));
	ASSERT_EQ(self->nr_types, vf_types(self->vf, now, MAX_TYPES));
	EXPECT_EQ(0, now[t].available);
	snprintf(why, sizeof(why), "all %u enabled VFs have vGPUs",
		 self->pf.nr_vfs);
	EXPECT_STREQ(why, now[t].reason);
}

TEST_F(sysfs, ids_are_enxio_without_a_vgpu)
{
	EXPECT_EQ(-ENXIO, pci_read(self->vf, "nvidia/placement_id", self->buf,
				   sizeof(self->buf)));
	EXPECT_EQ(-ENXIO, pci_read(self->vf, "nvidia/gpu_instance_id",
				   self->buf, sizeof(self->buf)));
	ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
	EXPECT_LT(1, pci_read(self->vf, "nvidia/placement_id", self->buf,
			      sizeof(self->buf)));
	EXPECT_TRUE(isdigit((unsigned char)self->buf[0]));
	EXPECT_EQ('\n', self->buf[strlen(self->buf) - 1]);
}

TEST_F(sysfs, requested_placement_is_used)
{
	char place[2][32];

	ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
	ASSERT_EQ(0, vf_set_type(self->vf2, self->small->id));
	ASSERT_LT(0, pci_read(self->vf, "nvidia/placement_id", place[0], 32));
	ASSERT_LT(0, pci_read(self->vf2, "nvidia/placement_id", place[1], 32));
	EXPECT_STRNE(place[0], place[1]);
	ASSERT_EQ(0, vf_set_type(self->vf, 0));
	ASSERT_EQ(0, vf_set_type(self->vf2, 0));

	/* The other way round */
	ASSERT_EQ(0, pci_write(self->vf, "nvidia/placement_id", place[1]));
	ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
	EXPECT_FILE(self->vf, "nvidia/placement_id", place[1]);

	/* A placement that is taken is refused, and the first free one is used next. */
	ASSERT_EQ(0, pci_write(self->vf2, "nvidia/placement_id", place[1]));
	EXPECT_FILE(self->vf2, "nvidia/placement_id", place[1]);
	EXPECT_EQ(-EIO, vf_set_type(self->vf2, self->small->id));
	EXPECT_EQ(0, vf_type(self->vf2));
	ASSERT_EQ(0, vf_set_type(self->vf2, self->small->id));
	EXPECT_FILE(self->vf2, "nvidia/placement_id", place[0]);

	/* The request applies to one vGPU; the next gets the first free placement. */
	ASSERT_EQ(0, vf_set_type(self->vf2, 0));
	ASSERT_EQ(0, vf_set_type(self->vf, 0));
	ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
	EXPECT_FILE(self->vf, "nvidia/placement_id", place[0]);
}

TEST_F(sysfs, requested_placement_is_respected_by_the_list)
{
	const struct vgpu_type *large = self->small;
	char text[16];
	int i;

	/* The second placement of the smallest type is none of the largest one. */
	for (i = 0; i < self->nr_types; i++)
		if (self->types[i].framebuffer > large->framebuffer)
			large = &self->types[i];
	ASSERT_NE(self->small, large);
	ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
	ASSERT_EQ(0, vf_set_type(self->vf2, self->small->id));
	ASSERT_LT(0, pci_read(self->vf2, "nvidia/placement_id", text,
			      sizeof(text)));
	ASSERT_EQ(0, vf_set_type(self->vf, 0));
	ASSERT_EQ(0, vf_set_type(self->vf2, 0));

	ASSERT_EQ(0, pci_write(self->vf, "nvidia/placement_id", text));
	EXPECT_EQ(1, vf_creatable(self->vf, self->small->id));
	EXPECT_EQ(0, vf_creatable(self->vf, large->id));
	/* It is a request of one VF. */
	EXPECT_EQ(1, vf_creatable(self->vf2, large->id));

	/* Another VF takes it. */
	ASSERT_EQ(0, pci_write(self->vf2, "nvidia/placement_id", text));
	ASSERT_EQ(0, vf_set_type(self->vf2, self->small->id));
	EXPECT_EQ(0, vf_creatable(self->vf, self->small->id));
	EXPECT_EQ(-EIO, vf_set_type(self->vf, self->small->id));

	/* The request has gone with the attempt. */
	EXPECT_EQ(1, vf_creatable(self->vf, self->small->id));
	ASSERT_EQ(0, pci_write(self->vf, "nvidia/placement_id", text));
	EXPECT_EQ(0, vf_creatable(self->vf, self->small->id));
	ASSERT_EQ(0, pci_write(self->vf, "nvidia/placement_id", "-1"));
	EXPECT_EQ(1, vf_creatable(self->vf, self->small->id));
}

/* Every listed placement can be had, and none beside the listed ones. */
TEST_F(sysfs, placements_of_a_type_are_listed)
{
	const struct vgpu_type *large = &self->types[0];
	char file[64], place[16], *list, *rest;
	unsigned long at, next = 0;
	unsigned int nr = 0;
	int i;

	for (i = 0; i < self->nr_types; i++)
		if (self->types[i].framebuffer > large->framebuffer)
			large = &self->types[i];
	snprintf(file, sizeof(file), "nvvgpu/types/%u/placements", large->id);
	ASSERT_LT(0, pci_read(self->vf, file, self->buf, sizeof(self->buf)));
	list = self->buf;
	while (*list != '\n') {
		at = strtoul(list, &rest, 10);
		for (; next <= at; next++) {
			snprintf(place, sizeof(place), "%lu\n", next);
			ASSERT_EQ(0, pci_write(self->vf, "nvidia/placement_id",
					       place));
			EXPECT_EQ(next == at ? 0 : -EIO,
				  vf_set_type(self->vf, large->id));
		}
		EXPECT_FILE(self->vf, "nvidia/placement_id", place);
		ASSERT_EQ(0, vf_set_type(self->vf, 0));
		list = rest;
		nr++;
	}
	EXPECT_EQ(large->max_instances, nr);
}

TEST_F(sysfs, placement_is_a_number)
{
	static const struct {
		const char *text;
		int err;
	} forms[] = {
		{ "0", 0 }, { "0\n", 0 }, { "+3\n", 0 }, { "007\n", 0 },
		{ "2147483647\n", 0 }, { "-1\n", 0 },
		{ "\n", -EINVAL }, { " 0\n", -EINVAL }, { "0 ", -EINVAL },
		{ "0\n\n", -EINVAL }, { "x\n", -EINVAL }, { "0x1\n", -EINVAL },
		{ "1.0\n", -EINVAL }, { "1,2\n", -EINVAL }, { "--1\n", -EINVAL },
		{ "-2\n", -EINVAL }, { "-2147483648\n", -EINVAL },
		{ "2147483648\n", -ERANGE }, { "4294967295\n", -ERANGE },
		{ "-2147483649\n", -ERANGE },
		{ "100000000000000000000000\n", -ERANGE },
	};
	const char *file = "nvidia/placement_id";
	char place[32];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		EXPECT_EQ(forms[i].err, pci_write(self->vf, file,
						  forms[i].text))
			TH_LOG("'%s'", forms[i].text);
		/* The last valid one is -1. */
		snprintf(place, sizeof(place), "%d\n", atoi(forms[i].text));
		if (forms[i].err || forms[i].text[0] == '-') {
			EXPECT_EQ(-ENXIO, pci_read(self->vf, file, self->buf,
						   sizeof(self->buf)));
		} else {
			EXPECT_FILE(self->vf, file, place);
		}
	}

	/* An invalid placement makes one create fail, but not the next. */
	ASSERT_EQ(0, pci_write(self->vf, file, "2147483647\n"));
	EXPECT_EQ(-EINVAL, pci_write(self->vf, file, "x\n"));
	EXPECT_EQ(-EIO, vf_set_type(self->vf, self->small->id));
	EXPECT_FILE(self->vf, "nvidia/current_vgpu_type", "0\n");
	EXPECT_EQ(-ENXIO, pci_read(self->vf, file, self->buf,
				   sizeof(self->buf)));
	ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));

	/* The placement of a vGPU cannot be changed. */
	ASSERT_LT(0, pci_read(self->vf, file, place, sizeof(place)));
	EXPECT_STREQ("0\n", place);
	EXPECT_EQ(-EPERM, pci_write(self->vf, file, "1\n"));
	EXPECT_EQ(-EPERM, pci_write(self->vf, file, place));
	EXPECT_EQ(-EINVAL, pci_write(self->vf, file, "x\n"));
	EXPECT_FILE(self->vf, file, place);
}

/* The emulated GPU hands VRAM out in granules of half a GiB, and names those. */
TEST_F(sysfs, fragmented_framebuffer_has_no_room_for_a_large_type)
{
	const __u64 granule = 512 * MIB;
	const struct vgpu_type *big = type_largest(self->types,
						   self->nr_types);
	const unsigned int per_big = big->framebuffer / granule;
	struct vgpu_type now[MAX_TYPES];
	unsigned int i, big_index = big - self->types;
	char place[16];

	if (big->max_instances + 1 > self->pf.total)
		SKIP(return, "%u VFs are too few", self->pf.total);
	ASSERT_EQ(0, more_vfs(&self->pf, big->max_instances + 1));
	/* A small vGPU in the middle of each placement of a large one */
	for (i = 0; i < big->max_instances; i++) {
		snprintf(place, sizeof(place), "%u\n",
			 i * per_big + per_big / 2);
		ASSERT_EQ(0, pci_write(self->pf.vf[i], "nvidia/placement_id",
				       place));
		ASSERT_EQ(0, vf_set_type(self->pf.vf[i], self->small->id));
		EXPECT_FILE(self->pf.vf[i], "nvidia/placement_id", place);
	}
	ASSERT_EQ(self->nr_types, vf_types(self->pf.vf[i], now, MAX_TYPES));
	EXPECT_EQ(0, now[big_index].available);
	EXPECT_STRNE("", now[big_index].reason);
	EXPECT_EQ(0, vf_creatable(self->pf.vf[i], big->id));
	EXPECT_EQ(-EIO, vf_set_type(self->pf.vf[i], big->id));
	ASSERT_EQ(0, vf_set_type(self->pf.vf[0], 0));
	EXPECT_EQ(1, vf_creatable(self->pf.vf[i], big->id));
	EXPECT_EQ(0, vf_set_type(self->pf.vf[i], big->id));
}

TEST_F(sysfs, params_keep_every_byte)
{
	const char *file = "nvidia/vgpu_params";

	EXPECT_FILE(self->vf, file, "\n");
	EXPECT_EQ(0, pci_write(self->vf, file, "one=1,two=2\n"));
	EXPECT_FILE(self->vf, file, "one=1,two=2\n");
	EXPECT_EQ(0, pci_write(self->vf, file, "three=3"));
	EXPECT_FILE(self->vf, file, "three=3\n");
	EXPECT_FILE(self->vf2, file, "\n");
	EXPECT_EQ(0, pci_write(self->vf, file, "\n"));
	EXPECT_FILE(self->vf, file, "\n");
}

/* As NVIDIA's guide writes them, and removes them */
TEST_F(sysfs, params_may_have_blanks_around_them)
{
	const char *file = "nvidia/vgpu_params";

	EXPECT_EQ(0, pci_write(self->vf, file,
			       " frame_rate_limiter=0,  disable_vnc=1 "));
	EXPECT_FILE(self->vf, file, "frame_rate_limiter=0,disable_vnc=1\n");
	EXPECT_EQ(0, pci_write(self->vf, file, " "));
	EXPECT_FILE(self->vf, file, "\n");
}

TEST_F(sysfs, params_outlive_a_vgpu_of_the_same_vf)
{
	const char *file = "nvidia/vgpu_params";

	ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
	EXPECT_EQ(0, pci_write(self->vf, file, "one=1\n"));
	EXPECT_FILE(self->vf, file, "one=1\n");
}

TEST_F(sysfs, params_reach_the_firmware_at_the_next_start)
{
	const char *file = "nvidia/vgpu_params";
	struct user user = {}, user2 = {};
	char reply[2048];

	if (!qmp_available())
		SKIP(return, "no monitor in NVVGPU_QMP to ask the firmware");

	ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
	ASSERT_EQ(0, vf_set_type(self->vf2, self->small->id));
	EXPECT_EQ(0, pci_write(self->vf, file, "one=1,two=2\n"));
	ASSERT_EQ(0, user_open(&user, self->vf, IOMMU_IOMMUFD));
	ASSERT_EQ(0, user_open(&user2, self->vf2, IOMMU_IOMMUFD));
	ASSERT_EQ(0, fw_params(reply, sizeof(reply)));
	EXPECT_NE(NULL, strstr(reply, "\"0 one=1,two=2; 1 \""))
		TH_LOG("%s", reply);

	/* The parameters of a running vGPU do not change. */
	EXPECT_EQ(0, pci_write(self->vf, file, "three=3"));
	ASSERT_EQ(0, fw_params(reply, sizeof(reply)));
	EXPECT_EQ(NULL, strstr(reply, "three=3"));

	/* They are those of the user, even if the vGPU is started again. */
	ASSERT_EQ(0, fw_faults("now:vcrash=0"));
	EXPECT_STREQ("error", vf_wait_state(self->vf, "error"));
	ASSERT_EQ(0, vdev_reset(&user.vdev));
	EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");
	ASSERT_EQ(0, fw_params(reply, sizeof(reply)));
	EXPECT_NE(NULL, strstr(reply, "\"0 one=1,two=2; 1 \""))
		TH_LOG("%s", reply);
	user_close(&user);
	ASSERT_EQ(0, user_open(&user, self->vf, IOMMU_IOMMUFD));
	ASSERT_EQ(0, fw_params(reply, sizeof(reply)));
	EXPECT_NE(NULL, strstr(reply, "\"0 three=3; 1 \""))
		TH_LOG("%s", reply);
	user_close(&user);
	user_close(&user2);
	ASSERT_EQ(0, fw_params(reply, sizeof(reply)));
	EXPECT_NE(NULL, strstr(reply, "\"\""))
		TH_LOG("%s", reply);
}

TEST_F(sysfs, params_are_keys_and_values)
{
	static const char * const good[] = {
		"a=1", "a=", "a=b=c", "a=,b=", "a=1,b=2,a=3", "x.y-z_0=%&/()",
	};
	static const char * const bad[] = {
		"a", "=", "=1", ",", "a=1,", ",a=1", "a=1,,b=2", "a=1,b",
		"a=1,=2", "a =1", "a= 1", "a=1 b=2", "a=1, ", "a=\t", "a=1\n\n",
		"a=1\nb=2", "a=\x7f", "a=\xc3\xa4", "\n\n",
	};
	const char *file = "nvidia/vgpu_params";
	char text[NVVGPU_PARAMS_LEN + 2], want[NVVGPU_PARAMS_LEN + 2];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		EXPECT_EQ(0, pci_write(self->vf, file, good[i]))
			TH_LOG("'%s'", good[i]);
		snprintf(want, sizeof(want), "%s\n", good[i]);
		EXPECT_FILE(self->vf, file, want);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, pci_write(self->vf, file, bad[i]))
			TH_LOG("'%s'", bad[i]);
	}
	EXPECT_EQ(-EINVAL, pci_write_len(self->vf, file, "a=\0", 3));
	EXPECT_FILE(self->vf, file, want);

	/* The maximum length, with and without a newline; one byte more is refused. */
	memset(text, 'a', sizeof(text));
	text[1] = '=';
	text[NVVGPU_PARAMS_LEN - 1] = '\n';
	text[NVVGPU_PARAMS_LEN] = '\0';
	EXPECT_EQ(0, pci_write_len(self->vf, file, text,
				   NVVGPU_PARAMS_LEN - 1));
	EXPECT_FILE(self->vf, file, text);
	EXPECT_EQ(0, pci_write(self->vf, file, text));
	EXPECT_FILE(self->vf, file, text);
	memset(want, 'b', sizeof(want));
	want[1] = '=';
	EXPECT_EQ(-E2BIG, pci_write_len(self->vf, file, want,
					NVVGPU_PARAMS_LEN));
	EXPECT_EQ(-E2BIG, pci_write_len(self->vf, file, want, sizeof(want)));
	EXPECT_FILE(self->vf, file, text);
	/* A vGPU with the longest parameters can be created. */
	EXPECT_EQ(0, vf_set_type(self->vf, self->small->id));
}

TEST_F(sysfs, unbinding_frees_the_framebuffer)
{
	struct vgpu_type now[MAX_TYPES];
	int i, diff = 0;

	ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
	ASSERT_EQ(0, pci_unbind(self->vf));
	ASSERT_EQ(self->nr_types, vf_types(self->vf2, now, MAX_TYPES));
	for (i = 0; i < self->nr_types; i++)
		diff += self->types[i].available != now[i].available;
	EXPECT_EQ(0, diff);
	ASSERT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
	EXPECT_EQ(0, vf_type(self->vf));
}

TEST_F(sysfs, one_of_many_writers_wins)
{
	const int writers = 8, rounds = 5;
	int i, round, status, won, lost;

	for (round = 0; round < rounds; round++) {
		for (i = 0; i < writers; i++) {
			pid_t pid = fork();

			ASSERT_LE(0, pid);
			if (!pid)
				_exit(-vf_set_type(self->vf, self->small->id));
		}
		for (won = 0, lost = 0, i = 0; i < writers; i++) {
			ASSERT_LT(0, wait(&status));
			ASSERT_TRUE(WIFEXITED(status));
			won += WEXITSTATUS(status) == 0;
			lost += WEXITSTATUS(status) == EPERM;
		}
		EXPECT_EQ(1, won);
		EXPECT_EQ(writers - 1, lost);
		EXPECT_EQ((int)self->small->id, vf_type(self->vf));
		ASSERT_EQ(0, vf_set_type(self->vf, 0));
	}
}

TEST_F(sysfs, writers_on_different_vfs_all_win)
{
	const int rounds = 5;
	int i, round, status;

	for (i = 0; i < TEST_VFS; i++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (pid)
			continue;
		for (round = 0; round < rounds; round++)
			if (vf_set_type(self->pf.vf[i], self->small->id) ||
			    vf_type(self->pf.vf[i]) != (int)self->small->id ||
			    vf_set_type(self->pf.vf[i], 0))
				_exit(1);
		_exit(0);
	}
	for (i = 0; i < TEST_VFS; i++) {
		ASSERT_LT(0, wait(&status));
		EXPECT_TRUE(WIFEXITED(status) && !WEXITSTATUS(status));
	}
}

/* Files of two VFs that are polled, and whether each has changed since */
static const char * const polled[] = {
	"nvidia/current_vgpu_type",
	"nvvgpu/state",
	"nvidia/creatable_vgpu_types",
};

#define NR_POLLED	ARRAY_SIZE(polled)

TEST_F(sysfs, pollers_are_woken_by_changes)
{
	struct ioas ioas;
	struct vdev vdev;
	int fd[NR_POLLED], other[NR_POLLED];
	unsigned int i, step;
	bool created;

	ASSERT_EQ(0, ioas_open(&ioas, IOMMU_IOMMUFD));
	for (i = 0; i < NR_POLLED; i++) {
		fd[i] = poll_open(self->vf, polled[i]);
		other[i] = poll_open(self->vf2, polled[i]);
		ASSERT_LE(0, fd[i]);
		ASSERT_LE(0, other[i]);
	}
	poll_settle(fd[2]);
	poll_settle(other[2]);
	for (step = 0; step < 4; step++) {
		switch (step) {
		case 0:
			ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
			break;
		case 1:
			ASSERT_EQ(0, vdev_open(&vdev, self->vf, &ioas));
			break;
		case 2:
			vdev_close(&vdev);
			break;
		case 3:
			ASSERT_EQ(0, vf_set_type(self->vf, 0));
			break;
		}
		/* Open and close do not change the types that can be created. */
		created = step == 0 || step == 3;
		for (i = 0; i < NR_POLLED; i++) {
			if (i == 2 && !created)
				continue;
			EXPECT_TRUE(poll_changed(fd[i], WAIT_MS))
				TH_LOG("%s, step %u", polled[i], step);
		}
		EXPECT_FALSE(poll_changed(other[0], 0));
		EXPECT_FALSE(poll_changed(other[1], 0));
		/* A vGPU reduces the types that other VFs can create. */
		EXPECT_EQ(created,
			  poll_changed(other[2], created ? WAIT_MS : 500))
			TH_LOG("the other VF's list, step %u", step);
		if (created) {
			poll_settle(fd[2]);
			poll_settle(other[2]);
		}
	}
	/* A refused write is not a change. */
	EXPECT_EQ(-EIO, vf_set_type(self->vf, ~0U));
	for (i = NR_POLLED; i--;) {
		EXPECT_FALSE(poll_changed(fd[i], i == 2 ? 500 : 0));
		close(fd[i]);
		close(other[i]);
	}
	ioas_close(&ioas);
}

TEST_F(sysfs, create_while_the_host_resets_the_vf_is_ebusy)
{
	unsigned int busy = 0;
	int i, ret, status;
	pid_t pid;

	/* On a busy host no create may be within a reset, which takes 0.1 s. */
	for (i = 0; !busy && i < 100; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(-pci_write(self->vf, "reset", "1"));
		do {
			ret = vf_set_type(self->vf, self->small->id);
			EXPECT_TRUE(!ret || ret == -EBUSY);
			busy += ret == -EBUSY;
			EXPECT_EQ(0, vf_set_type(self->vf, 0));
		} while (!waitpid(pid, &status, WNOHANG));
		EXPECT_EQ(0, status);
	}
	EXPECT_LT(0, busy);
	EXPECT_EQ(0, vgpu_life(self->vf, self->small));
}

/* All VFs are woken, so that a create must not wake them at once. */
TEST_F(sysfs, changes_in_quick_succession_wake_pollers_of_the_list_once)
{
	int fd = poll_open(self->vf2, "nvidia/creatable_vgpu_types");
	unsigned int changes = 0, woken = 0;
	__u64 begin = now_ms(), passed;

	ASSERT_LE(0, fd);
	/* A busy host needs longer for far more changes than wake-ups. */
	do {
		ASSERT_EQ(0, vf_set_type(self->vf, self->small->id));
		ASSERT_EQ(0, vf_set_type(self->vf, 0));
		changes += 2;
		woken += poll_changed(fd, 0);
		passed = now_ms() - begin;
	} while (changes < 40 ||
		 (changes < 3 * (passed / 100 + 2) && passed < 5000));
	woken += poll_changed(fd, WAIT_MS);
	EXPECT_LT(0, woken);
	EXPECT_GE((now_ms() - begin) / 100 + 2, woken);
	close(fd);
}

#define EXPECT_UEVENT(fd, what, id) do {				\
	struct uevent __u = {};						\
									\
	EXPECT_EQ(0, uevent_next(fd, self->vf, &__u, WAIT_MS));		\
	EXPECT_STREQ(what, __u.event);					\
	EXPECT_EQ(id, __u.type);					\
	EXPECT_EQ(1, __u.count);					\
} while (0)

TEST_F(sysfs, uevents_announce_each_change_once)
{
	const unsigned int id = self->small->id;
	struct uevent uevent;
	struct ioas ioas;
	struct vdev vdev;
	int fd;

	fd = uevent_open();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, vf_set_type(self->vf, id));
	EXPECT_UEVENT(fd, NVVGPU_EVENT_NAME_CREATED, id);
	/* What fails changes nothing. */
	EXPECT_EQ(-EPERM, vf_set_type(self->vf, id));
	ASSERT_EQ(0, ioas_open(&ioas, IOMMU_IOMMUFD));
	ASSERT_EQ(0, vdev_open(&vdev, self->vf, &ioas));
	EXPECT_UEVENT(fd, NVVGPU_EVENT_NAME_OPENED, id);
	EXPECT_EQ(-EPERM, vf_set_type(self->vf, 0));
	vdev_close(&vdev);
	ioas_close(&ioas);
	EXPECT_UEVENT(fd, NVVGPU_EVENT_NAME_CLOSED, id);
	ASSERT_EQ(0, vf_set_type(self->vf, 0));
	/* It says what was deleted. */
	EXPECT_UEVENT(fd, NVVGPU_EVENT_NAME_DELETED, id);
	EXPECT_EQ(0, vf_set_type(self->vf, 0));
	EXPECT_EQ(-EIO, vf_set_type(self->vf, ~0U));
	/* Longer than the front-end collects changes of the types */
	EXPECT_EQ(-ETIMEDOUT, uevent_next(fd, self->vf, &uevent, 300));
	close(fd);
}

/* Several processes create and delete on one VF. */
TEST_F(sysfs, creators_and_deleters_of_one_vf_leave_it_whole)
{
	struct vgpu_type now[MAX_TYPES];
	int i, t, round, status, diff = 0;

	for (i = 0; i < 4; i++) {
		const struct vgpu_type *type = &self->types[i % 2];
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (pid)
			continue;
		for (round = 0; round < 20; round++) {
			int ret = vf_set_type(self->vf, type->id);

			if (ret && ret != -EPERM)
				_exit(1);
			t = vf_type(self->vf);
			if (t && t != (int)self->types[0].id &&
			    t != (int)self->types[1].id)
				_exit(2);
			if (vf_set_type(self->vf, 0))
				_exit(3);
		}
		_exit(0);
	}
	for (i = 0; i < 4; i++) {
		ASSERT_LT(0, wait(&status));
		EXPECT_TRUE(WIFEXITED(status));
		EXPECT_EQ(0, WEXITSTATUS(status));
	}
	EXPECT_FILE(self->vf, "nvidia/current_vgpu_type", "0\n");
	EXPECT_FILE(self->vf, "nvvgpu/state", "bound\n");
	ASSERT_EQ(self->nr_types, vf_types(self->vf, now, MAX_TYPES));
	for (t = 0; t < self->nr_types; t++)
		diff += self->types[t].available != now[t].available;
	EXPECT_EQ(0, diff);
}

/*
 * What is not a type's number is refused, and changes nothing.
 */
FIXTURE(sysfs_refused) {
	struct pf pf;
	const char *vf;
	size_t len;
};

FIXTURE_VARIANT(sysfs_refused) {
	const char *text;
	size_t len;
	int err;
};

FIXTURE_VARIANT_ADD(sysfs_refused, bare_newline) {
	.text = "\n", .err = -EINVAL,
};

FIXTURE_VARIANT_ADD(sysfs_refused, two_newlines) {
	.text = "0\n\n", .err = -EINVAL,
};

FIXTURE_VARIANT_ADD(sysfs_refused, blank) {
	.text = " ", .err = -EINVAL,
};

FIXTURE_VARIANT_ADD(sysfs_refused, word) {
	.text = "NVIDIA EMU-1Q\n", .err = -EINVAL,
};

FIXTURE_VARIANT_ADD(sysfs_refused, negative) {
	.text = "-1\n", .err = -EINVAL,
};

FIXTURE_VARIANT_ADD(sysfs_refused, hexadecimal) {
	.text = "0x3e9\n", .err = -EINVAL,
};

FIXTURE_VARIANT_ADD(sysfs_refused, leading_blank) {
	.text = " 1\n", .err = -EINVAL,
};

FIXTURE_VARIANT_ADD(sysfs_refused, trailing_blank) {
	.text = "1\t\n", .err = -EINVAL,
};

FIXTURE_VARIANT_ADD(sysfs_refused, trailing_word) {
	.text = "1x\n", .err = -EINVAL,
};

FIXTURE_VARIANT_ADD(sysfs_refused, two_numbers) {
	.text = "1 2\n", .err = -EINVAL,
};

FIXTURE_VARIANT_ADD(sysfs_refused, list) {
	.text = "1,2\n", .err = -EINVAL,
};

FIXTURE_VARIANT_ADD(sysfs_refused, fraction) {
	.text = "1.0\n", .err = -EINVAL,
};

FIXTURE_VARIANT_ADD(sysfs_refused, nul) {
	.text = "", .len = 1, .err = -EINVAL,
};

FIXTURE_VARIANT_ADD(sysfs_refused, overflow_32) {
	.text = "4294967296\n", .err = -ERANGE,
};

FIXTURE_VARIANT_ADD(sysfs_refused, overflow_64) {
	.text = "18446744073709551616\n", .err = -ERANGE,
};

FIXTURE_VARIANT_ADD(sysfs_refused, overflow_more) {
	.text = "100000000000000000000000000000000\n", .err = -ERANGE,
};

FIXTURE_SETUP(sysfs_refused)
{
	ASSERT_GPU(&self->pf, TEST_VFS);
	self->vf = self->pf.vf[0];
	self->len = variant->len ?: strlen(variant->text);
}

FIXTURE_TEARDOWN(sysfs_refused)
{
	gpu_clean(&self->pf);
}

TEST_F(sysfs_refused, without_a_vgpu)
{
	EXPECT_EQ(variant->err, pci_write_len(self->vf,
					      "nvidia/current_vgpu_type",
					      variant->text, self->len));
	EXPECT_EQ(0, vf_type(self->vf));
}

TEST_F(sysfs_refused, with_a_vgpu)
{
	struct vgpu_type type;

	ASSERT_EQ(1, vf_types(self->vf, &type, 1));
	ASSERT_EQ(0, vf_set_type(self->vf, type.id));
	EXPECT_EQ(variant->err, pci_write_len(self->vf,
					      "nvidia/current_vgpu_type",
					      variant->text, self->len));
	EXPECT_EQ((int)type.id, vf_type(self->vf));
}

/* Firmware commands take most of the time of these calls. */
FIXTURE(commands) {
	struct pf pf;
	const char *vf;
	struct vgpu_type type;
	struct ioas ioas;
	struct vdev vdev;
	__u32 before, after;
};

FIXTURE_SETUP(commands)
{
	struct vgpu_type types[MAX_TYPES];
	int nr;

	ASSERT_GPU(&self->pf, 1);
	self->vf = self->pf.vf[0];
	nr = vf_types(self->vf, types, MAX_TYPES);
	ASSERT_GT(nr, 0);
	self->type = *type_smallest(types, nr);
	vdev_init(&self->vdev, self->vf, &self->ioas);
	ASSERT_EQ(0, ioas_open(&self->ioas, IOMMU_IOMMUFD));
}

FIXTURE_TEARDOWN(commands)
{
	vdev_close(&self->vdev);
	ioas_close(&self->ioas);
	gpu_clean(&self->pf);
}

#define EXPECT_COMMANDS(nr, call) do {					\
	ASSERT_EQ(0, gpu_commands(&self->pf, &self->before));		\
	ASSERT_EQ(0, call);						\
	ASSERT_EQ(0, gpu_commands(&self->pf, &self->after));		\
	EXPECT_EQ(nr, self->after - self->before);			\
} while (0)

TEST_F(commands, create_and_delete_send_one_command)
{
	EXPECT_COMMANDS(1, vf_set_type(self->vf, self->type.id));
	EXPECT_COMMANDS(1, vf_set_type(self->vf, 0));
}

TEST_F(commands, open_sends_one_command)
{
	ASSERT_EQ(0, vf_set_type(self->vf, self->type.id));
	EXPECT_COMMANDS(1, vdev_open(&self->vdev, self->vf, &self->ioas));
}

TEST_F(commands, reset_sends_one_command)
{
	ASSERT_EQ(0, vf_set_type(self->vf, self->type.id));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_COMMANDS(1, vdev_reset(&self->vdev));
}

TEST_F(commands, close_sends_two_commands)
{
	ASSERT_EQ(0, vf_set_type(self->vf, self->type.id));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_COMMANDS(2, (vdev_close(&self->vdev), 0));
}

TEST_F(commands, idle_vgpu_wakes_nobody)
{
	struct user user = {};
	int i, ret, nr = 1;

	ASSERT_EQ(0, vf_set_type(self->vf, self->type.id));
	ASSERT_EQ(0, user_open(&user, self->vf, IOMMU_IOMMUFD));
	ret = wakeups_begin();
	if (ret == -ENOENT)
		SKIP(user_close(&user); return, "the kernel cannot trace");
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, user_work(&user));
	EXPECT_LT(0, wakeups_end());

	/* The notifications of the above may still go out, but only once. */
	for (i = 0; nr && i < 5; i++) {
		EXPECT_EQ(0, wakeups_begin());
		EXPECT_COMMANDS(0, sleep(2));
		nr = wakeups_end();
	}
	EXPECT_EQ(0, nr);
	user_close(&user);
}

/* One command for all types, and none without a change */
TEST_F(commands, lists_of_types_send_one_command_after_a_change)
{
	struct vgpu_type types[MAX_TYPES];

	ASSERT_EQ(0, vf_set_type(self->vf, self->type.id));
	EXPECT_COMMANDS(1, vf_types(self->vf, types, MAX_TYPES) <= 0);
	ASSERT_EQ(0, vf_set_type(self->vf, 0));
	EXPECT_COMMANDS(1, !vf_creatable(self->vf, self->type.id));
	EXPECT_COMMANDS(0, !vf_creatable(self->vf, self->type.id));
	EXPECT_COMMANDS(0, vf_types(self->vf, types, MAX_TYPES) <= 0);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv, gpu_missing());
}
