// SPDX-License-Identifier: GPL-2.0
/*
 * nvvgpu-rm: the adapter to the resource manager in NVIDIA's vGPU host driver,
 * with a stand-in that fails, delays its answers and is removed on request.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "nvvgpu_test.h"
#include "lib/backend.h"

#define PF_DRIVER	"igb"

#define TYPE_1Q		256
#define TYPE_2Q		257
#define TYPE_4C		258

#define NEVER		"4294967295"

#define RM_PARAMS	"/sys/module/nvvgpu_rm/parameters"
#define TIMEOUT_PARAM	RM_PARAMS "/start_timeout_ms"
#define VERSION		"535.0.0"

/* The stand-in takes a lock around callbacks, so unloading is safe. */
static int rm_del(void)
{
	put(RM_PARAMS "/pinned", "N");

	return mod_del("nvvgpu-rm");
}

FIXTURE(rm) {
	struct pf pf;
	const char *bdf;
	const char *vf;
	const char *vf2;
	struct ioas ioas;
	struct vdev vdev;
	char buf[8192];
};

static long long standin_value(const char *file)
{
	char path[128], buf[64];

	snprintf(path, sizeof(path), STANDIN_DIR "/%s", file);
	if (get(path, buf, sizeof(buf)) < 0)
		return -1;

	return strtoll(buf, NULL, 0);
}

FIXTURE_SETUP(rm)
{
	self->vdev.fd = -1;
	self->vdev.group = -1;
	ASSERT_EQ(0, mod_add("nvvgpu-rm-standin", ""));
	ASSERT_EQ(0, mod_add("nvvgpu-rm", ""));
	ASSERT_EQ(0, pf_prepare(&self->pf, PF_DRIVER, TEST_VFS));
	self->bdf = self->pf.bdf;
	self->vf = self->pf.vf[0];
	self->vf2 = self->pf.vf[1];
	ASSERT_EQ(0, ioas_open(&self->ioas, IOMMU_IOMMUFD));
	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "%s", self->bdf));
}

FIXTURE_TEARDOWN(rm)
{
	put(STANDIN_DIR "/fail", "none");
	vdev_close(&self->vdev);
	ioas_close(&self->ioas);
	EXPECT_EQ(0, standin_value("violations"));
	EXPECT_EQ(0, rm_del());
	EXPECT_EQ(0, mod_del("nvvgpu-rm-standin"));
}

#define ASSERT_OPEN() \
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas))

static long long nr_calls(const char *op)
{
	return get_value(STANDIN_DIR "/calls", op);
}

static long long stat(const char *vf, const char *key)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/nvvgpu/stats",
		 vf);

	return get_value(path, key);
}

/* The handshake */

TEST_F(rm, version_is_that_of_the_loaded_driver)
{
	EXPECT_LE(0, get(RM_PARAMS "/version", self->buf, 64));
	EXPECT_STREQ(VERSION "\n", self->buf);
}

/* Load the module with a driver of this version. */
static int add_with_driver(const char *driver, const char *param)
{
	char text[64];
	int ret;

	ret = mod_del("nvvgpu-rm-standin");
	if (ret)
		return ret;
	snprintf(text, sizeof(text), "version=%s", driver);
	ret = mod_add("nvvgpu-rm-standin", text);
	if (ret)
		return ret;

	return mod_add("nvvgpu-rm", param);
}

TEST_F(rm, versions_must_be_equal)
{
	static const char * const others[] = {
		"550.54.1", "550.54.100", "550.54", "535.0.0",
	};
	int kmsg = kmsg_open();
	unsigned int i;

	ASSERT_LE(0, kmsg);
	ASSERT_EQ(0, rm_del());
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		char param[64], words[160];

		snprintf(param, sizeof(param), "version=%s", others[i]);
		EXPECT_EQ(-EPROTONOSUPPORT, add_with_driver("550.54.10", param));
		snprintf(words, sizeof(words),
			 "nvidia.ko is version \"550.54.10\", the parameter version is \"%s\"",
			 others[i]);
		EXPECT_LT(0, kmsg_count(kmsg, words))
			TH_LOG("%s", words);
	}
	EXPECT_EQ(0, add_with_driver("550.54.10", "version=550.54.10"));
	close(kmsg);
}

TEST_F(rm, only_known_interfaces_are_accepted)
{
	static const char * const known[] = { "525.60.13", "580.95.05" };
	static const char * const unknown[] = {
		"460.73.01", "515.105.01", "524.9", "581.1", "595.10", "5350",
		"rm",
	};
	int kmsg = kmsg_open();
	unsigned int i;

	ASSERT_LE(0, kmsg);
	for (i = 0; i < ARRAY_SIZE(known); i++) {
		ASSERT_EQ(0, rm_del());
		EXPECT_EQ(0, add_with_driver(known[i], ""))
			TH_LOG("%s", known[i]);
	}
	ASSERT_EQ(0, rm_del());
	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		char param[64], words[160];

		snprintf(words, sizeof(words),
			 "unsupported nvidia.ko version \"%s\": only 525 to 580 are supported",
			 unknown[i]);
		EXPECT_EQ(-EPROTONOSUPPORT, add_with_driver(unknown[i], ""));
		EXPECT_LT(0, kmsg_count(kmsg, words))
			TH_LOG("%s", words);
		/* The parameter does not override that. */
		snprintf(param, sizeof(param), "version=%s", unknown[i]);
		EXPECT_EQ(-EPROTONOSUPPORT, add_with_driver(unknown[i], param));
	}
	EXPECT_EQ(0, add_with_driver(VERSION, ""));
	close(kmsg);
}

TEST_F(rm, incomplete_table_is_refused)
{
	int kmsg = kmsg_open();

	ASSERT_LE(0, kmsg);
	ASSERT_EQ(0, rm_del());
	ASSERT_EQ(0, mod_del("nvvgpu-rm-standin"));
	ASSERT_EQ(0, mod_add("nvvgpu-rm-standin", "gaps=1"));
	EXPECT_EQ(-EINVAL, mod_add("nvvgpu-rm", ""));
	EXPECT_LT(0, kmsg_count(kmsg, "get_ops returned an incomplete table"));
	EXPECT_EQ(0, add_with_driver(VERSION, ""));
	close(kmsg);
}

TEST_F(rm, module_needs_a_driver)
{
	int kmsg = kmsg_open();

	ASSERT_LE(0, kmsg);
	ASSERT_EQ(0, rm_del());
	ASSERT_EQ(0, mod_del("nvvgpu-rm-standin"));
	EXPECT_EQ(-ENODEV, mod_add("nvvgpu-rm", ""));
	EXPECT_LT(0, kmsg_count(kmsg, "no vGPU host driver"));
	ASSERT_EQ(0, mod_add("nvvgpu-rm-standin", ""));
	EXPECT_EQ(0, mod_add("nvvgpu-rm", ""));
	close(kmsg);
}

TEST_F(rm, module_pins_itself)
{
	int kmsg = kmsg_open();

	ASSERT_LE(0, kmsg);
	ASSERT_EQ(0, rm_del());
	ASSERT_EQ(0, mod_add("nvvgpu-rm", ""));
	EXPECT_LT(0, kmsg_count(kmsg,
				"cannot be unloaded: nvidia.ko does not wait for"));
	EXPECT_EQ(1, mod_refs("nvvgpu-rm"));
	EXPECT_EQ(-EWOULDBLOCK, mod_del("nvvgpu-rm"));
	ASSERT_EQ(0, put(RM_PARAMS "/pinned", "N"));
	EXPECT_LT(0, kmsg_count(kmsg, "unloading allowed; safe only while"));
	EXPECT_EQ(0, mod_refs("nvvgpu-rm"));
	ASSERT_EQ(0, put(RM_PARAMS "/pinned", "N"));
	EXPECT_EQ(0, mod_refs("nvvgpu-rm"));
	ASSERT_EQ(0, put(RM_PARAMS "/pinned", "Y"));
	EXPECT_EQ(-EWOULDBLOCK, mod_del("nvvgpu-rm"));
	EXPECT_EQ(0, rm_del());
	ASSERT_EQ(0, mod_add("nvvgpu-rm", "pinned=N"));
	EXPECT_EQ(0, mod_refs("nvvgpu-rm"));
	close(kmsg);
}

TEST_F(rm, driver_cannot_be_unloaded_before_the_module)
{
	EXPECT_EQ(1, mod_refs("nvvgpu-rm-standin"));
	EXPECT_EQ(-EWOULDBLOCK, mod_del("nvvgpu-rm-standin"));
}

TEST_F(rm, gpu_is_managed_while_it_is_bound_to_the_driver)
{
	int kmsg = kmsg_open();

	ASSERT_LE(0, kmsg);
	EXPECT_STREQ("rm", vf_backend(self->vf, NULL));
	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "none"));
	EXPECT_UNMANAGED(self->vf);
	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "%s", self->bdf));
	EXPECT_STREQ("rm", vf_backend(self->vf, NULL));

	/* set_ops does not report a GPU that has been bound before. */
	ASSERT_EQ(0, rm_del());
	EXPECT_UNMANAGED(self->vf);
	ASSERT_EQ(0, mod_add("nvvgpu-rm", ""));
	EXPECT_UNMANAGED(self->vf);
	ASSERT_EQ(0, put(STANDIN_DIR "/probe", "%s", self->bdf));
	EXPECT_STREQ("rm", vf_backend(self->vf, NULL));

	/* The root complex has no SR-IOV. */
	EXPECT_EQ(-EIO, put(STANDIN_DIR "/probe", "0000:00:00.0"));
	EXPECT_LT(0, kmsg_count(kmsg, "ignoring GPU without SR-IOV"));
	close(kmsg);
}

TEST_F(rm, what_the_interface_lacks_is_absent)
{
	EXPECT_FILE(self->vf, "nvvgpu/capabilities", "create bar-shape stats\n");
}

TEST_F(rm, vfs_are_reported_after_their_gpu)
{
	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "none"));
	ASSERT_EQ(0, put(STANDIN_DIR "/reports", "1"));
	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "%s", self->bdf));
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_OPEN();

	/* A VF comes and goes, and brings types that the GPU did not have. */
	ASSERT_EQ(0, put(STANDIN_DIR "/remove", "%s", self->vf2));
	ASSERT_EQ(0, put(STANDIN_DIR "/nr_types", "5"));
	ASSERT_EQ(0, put(STANDIN_DIR "/probe", "%s", self->vf2));
	EXPECT_EQ(4, vf_creatable(self->vf2, 0));
	EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");
	vdev_close(&self->vdev);
	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "none"));
	EXPECT_UNMANAGED(self->vf);
	EXPECT_EQ(1, nr_calls("vgpu_delete"));
}

/* A worker asks for the types that a VF has brought. */
TEST_F(rm, slow_name_of_a_type_delays_no_other_caller)
{
	__u64 end = now_ms() + WAIT_MS;
	struct vgpu_type types[8];
	char held[16] = "";
	pid_t pid;

	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "none"));
	ASSERT_EQ(0, put(STANDIN_DIR "/reports", "1"));
	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "%s", self->bdf));
	ASSERT_EQ(0, put(STANDIN_DIR "/hold_name", "1"));
	ASSERT_EQ(0, put(STANDIN_DIR "/remove", "%s", self->vf2));
	ASSERT_EQ(0, put(STANDIN_DIR "/nr_types", "5"));
	ASSERT_EQ(0, put(STANDIN_DIR "/probe", "%s", self->vf2));
	while (strcmp(held, "1\n") && now_ms() < end) {
		ASSERT_LT(0, get(STANDIN_DIR "/held_names", held, sizeof(held)));
		usleep(10000);
	}
	ASSERT_STREQ("1\n", held);

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(vf_creatable(self->vf, 0) != 5 ||
		      vf_set_type(self->vf, TYPE_1Q));
	EXPECT_TRUE(child_ends_soon(pid));
	ASSERT_EQ(0, put(STANDIN_DIR "/hold_name", "0"));
	while (vf_types(self->vf2, types, 8) != 5 && now_ms() < end)
		usleep(10000);
	EXPECT_EQ(5, vf_types(self->vf2, types, 8));
}

/* As with a GPU whose PF has no types of its own */
TEST_F(rm, gpu_is_known_by_its_vfs_alone)
{
	struct vgpu_type types[8];

	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "none"));
	ASSERT_EQ(0, put(STANDIN_DIR "/reports", "2"));
	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "%s", self->bdf));
	ASSERT_EQ(3, vf_types(self->vf, types, 8));
	EXPECT_STREQ("GRID ST-1Q", types[0].name);
	EXPECT_EQ(1, types[0].available);
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_OPEN();
	EXPECT_EQ(0, vf_creatable(self->vf2, TYPE_4C));
	EXPECT_EQ(1, vf_creatable(self->vf2, TYPE_2Q));
	vdev_close(&self->vdev);

	/* VFs are unbound from the driver to be bound to the front-end. */
	ASSERT_EQ(0, put(STANDIN_DIR "/remove", "%s", self->vf));
	EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");
	ASSERT_EQ(0, put(STANDIN_DIR "/remove", "%s", self->bdf));
	EXPECT_UNMANAGED(self->vf);
}

/* Types */

TEST_F(rm, types_are_read_from_their_descriptions)
{
	struct vgpu_type types[8];

	EXPECT_FILE(self->vf, "nvidia/creatable_vgpu_types",
		    "ID    : vGPU Name\n"
		    "256   : GRID ST-1Q\n"
		    "257   : GRID ST-2Q\n"
		    "258   : NVIDIA ST-1-4CME\n");
	ASSERT_EQ(3, vf_types(self->vf, types, 8));
	EXPECT_STREQ("workstation", types[0].vgpu_class);
	EXPECT_EQ(1024 * MIB, types[0].framebuffer);
	EXPECT_EQ(4, types[0].heads);
	EXPECT_STREQ("4096x2160", types[0].max_resolution);
	EXPECT_EQ(4, types[0].max_instances);
	EXPECT_EQ(4, types[0].available);
	EXPECT_STREQ("compute", types[2].vgpu_class);
	EXPECT_EQ(1, types[2].available);
}

TEST_F(rm, every_generation_has_its_number_of_types)
{
	static const int nr_types[] = { 0, 1, 64, 65, 128 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(nr_types); i++) {
		ASSERT_EQ(0, put(STANDIN_DIR "/pf", "none"));
		ASSERT_EQ(0, put(STANDIN_DIR "/nr_types", "%d", nr_types[i]));
		ASSERT_EQ(0, put(STANDIN_DIR "/pf", "%s", self->bdf));
		if (!nr_types[i]) {
			EXPECT_UNMANAGED(self->vf);
			continue;
		}
		EXPECT_EQ(nr_types[i], vf_creatable(self->vf, 0));
	}
	EXPECT_EQ(0, vf_set_type(self->vf, 1127));
	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "none"));
	ASSERT_EQ(0, put(STANDIN_DIR "/nr_types", "129"));
	EXPECT_EQ(-EIO, put(STANDIN_DIR "/pf", "%s", self->bdf));
	EXPECT_UNMANAGED(self->vf);
}

TEST_F(rm, invalid_types_are_omitted)
{
	struct vgpu_type types[8];

	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "none"));
	ASSERT_EQ(0, put(STANDIN_DIR "/bad_types", "1"));
	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "%s", self->bdf));
	EXPECT_EQ(3, vf_types(self->vf, types, 8));
	EXPECT_EQ(-EIO, vf_set_type(self->vf, 300));
	EXPECT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
}

TEST_F(rm, full_gpu_says_so)
{
	struct vgpu_type types[8];

	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_4C));
	EXPECT_EQ(0, vf_creatable(self->vf2, 0));
	ASSERT_EQ(3, vf_types(self->vf2, types, 8));
	EXPECT_STREQ("the resource manager has no instance left",
		     types[0].reason);
	EXPECT_EQ(-EIO, vf_set_type(self->vf2, TYPE_1Q));
	EXPECT_LAST_ERROR(self->vf2, EIO,
			  "cannot create type 256: the resource manager has no instance left");
	ASSERT_EQ(0, vf_set_type(self->vf, 0));
	EXPECT_EQ(0, vf_set_type(self->vf2, TYPE_1Q));
}

/* The life of a vGPU in the functions of the RM */

/* Opens the first VF in a process of its own. */
static pid_t open_in_child(const char *vf)
{
	struct ioas ioas;
	struct vdev vdev;
	pid_t pid = fork();

	if (pid)
		return pid;
	if (ioas_open(&ioas, IOMMU_IOMMUFD))
		_exit(1);
	_exit(-vdev_open(&vdev, vf, &ioas));
}

/* Parameters of the last update_request */
#define EXPECT_LAST(_fmt, ...) do {					\
	char __want[NVVGPU_PARAMS_LEN + 64];				\
									\
	snprintf(__want, sizeof(__want), "%s " _fmt "\n", self->vf,	\
		 ##__VA_ARGS__);						\
	EXPECT_LE(0, get(STANDIN_DIR "/last", self->buf,		\
			 sizeof(self->buf)));				\
	EXPECT_STREQ(__want, self->buf);				\
} while (0)

TEST_F(rm, every_function_is_called_in_its_place)
{
	pid_t pid;

	ASSERT_EQ(0, pci_write(self->vf, "nvidia/vgpu_params", "frl=0,x=1"));
	/* The types are read once, when the GPU comes. */
	EXPECT_EQ(3, nr_calls("get_name"));
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	EXPECT_EQ(3, nr_calls("get_name"));
	EXPECT_EQ(3, nr_calls("get_description"));
	EXPECT_EQ(1, nr_calls("get_types"));
	EXPECT_EQ(1, nr_calls("vgpu_create"));
	EXPECT_EQ(0, nr_calls("vgpu_bar_info"));
	EXPECT_EQ(0, nr_calls("vgpu_start"));
	EXPECT_EQ(0, nr_calls("get_sparse_mmap"));
	EXPECT_LAST("unused \"\"");

	ASSERT_EQ(0, put(STANDIN_DIR "/nr_areas", "2"));
	ASSERT_EQ(0, put(STANDIN_DIR "/start_delay_ms", NEVER));
	pid = open_in_child(self->vf);
	ASSERT_LE(0, pid);
	while (!nr_calls("vgpu_start"))
		usleep(10000);
	EXPECT_LAST("opened \"vgpu_type_id=256,frl=0,x=1\"");
	ASSERT_EQ(0, put(STANDIN_DIR "/answer", "1"));
	EXPECT_EQ(0, child_status(pid));
	ASSERT_EQ(0, put(STANDIN_DIR "/start_delay_ms", "0"));

	ASSERT_OPEN();
	EXPECT_EQ(2, nr_calls("vgpu_start"));
	EXPECT_EQ(2, nr_calls("vgpu_bar_info"));
	EXPECT_EQ(2, nr_calls("get_sparse_mmap"));
	EXPECT_LAST("in use \"\"");
	EXPECT_EQ(6, nr_calls("update_request"));

	vdev_close(&self->vdev);
	EXPECT_LAST("unused \"\"");
	EXPECT_EQ(0, nr_calls("vgpu_delete"));
	ASSERT_EQ(0, vf_set_type(self->vf, 0));
	EXPECT_EQ(1, nr_calls("vgpu_delete"));
	EXPECT_LE(1, vf_creatable(self->vf, 0));
	EXPECT_LE(1, nr_calls("get_instances"));
	ASSERT_EQ(0, pci_write(self->vf, "nvidia/vgpu_params", "\n"));
}

TEST_F(rm, parameters_must_fit)
{
	size_t max = 1023 - strlen("vgpu_type_id=256,");

	memset(self->buf, 'x', sizeof(self->buf));
	self->buf[1] = '=';
	self->buf[max + 1] = '\0';
	ASSERT_EQ(0, pci_write(self->vf, "nvidia/vgpu_params", self->buf));
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	EXPECT_EQ(-E2BIG, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_EQ(0, nr_calls("vgpu_start"));
	self->buf[max] = '\0';
	ASSERT_EQ(0, pci_write(self->vf, "nvidia/vgpu_params", self->buf));
	ASSERT_OPEN();
	ASSERT_EQ(0, pci_write(self->vf, "nvidia/vgpu_params", "\n"));
}

/* The sparse areas of a region */
static int sparse_areas(const struct vdev *vdev, unsigned int index,
			struct vfio_region_sparse_mmap_area *areas)
{
	union {
		struct vfio_region_info info;
		char room[1024];
	} u = { .info = { .argsz = sizeof(u), .index = index } };
	struct vfio_region_info_cap_sparse_mmap *sparse;
	__u32 at;

	if (ioctl(vdev->fd, VFIO_DEVICE_GET_REGION_INFO, &u))
		return -errno;
	if (!(u.info.flags & VFIO_REGION_INFO_FLAG_CAPS))
		return 0;
	for (at = u.info.cap_offset; at; at = sparse->header.next) {
		sparse = (void *)(u.room + at);
		if (sparse->header.id != VFIO_REGION_INFO_CAP_SPARSE_MMAP)
			continue;
		memcpy(areas, sparse->areas,
		       sparse->nr_areas * sizeof(*areas));
		return sparse->nr_areas;
	}

	return 0;
}

TEST_F(rm, sparse_areas_are_known_once_started)
{
	struct vfio_region_sparse_mmap_area areas[16];
	struct vfio_region_info info;
	void *map;

	ASSERT_EQ(0, put(STANDIN_DIR "/nr_areas", "2"));
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_OPEN();
	ASSERT_EQ(2, sparse_areas(&self->vdev, 0, areas));
	EXPECT_EQ(0, areas[0].offset);
	EXPECT_EQ(4096, areas[0].size);
	EXPECT_EQ(8192, areas[1].offset);
	EXPECT_EQ(4096, areas[1].size);
	ASSERT_EQ(0, vdev_region_info(&self->vdev, 0, &info));
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, self->vdev.fd,
		   info.offset + 8192);
	EXPECT_NE(MAP_FAILED, map);
	munmap(map, 4096);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, self->vdev.fd,
		   info.offset + 4096);
	EXPECT_EQ(MAP_FAILED, map);
	vdev_close(&self->vdev);

	/* More than there can be: the array may be shorter */
	ASSERT_EQ(0, put(STANDIN_DIR "/nr_areas", "6"));
	EXPECT_EQ(-EOVERFLOW, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");
	vdev_close(&self->vdev);

	/* Without an area, nothing may be mapped. */
	ASSERT_EQ(0, put(STANDIN_DIR "/nr_areas", "0"));
	ASSERT_OPEN();
	EXPECT_EQ(0, sparse_areas(&self->vdev, 0, areas));
	ASSERT_EQ(0, vdev_region_info(&self->vdev, 0, &info));
	EXPECT_EQ(0, info.flags & VFIO_REGION_INFO_FLAG_MMAP);
	EXPECT_NE(0, vdev_try_mmap(&self->vdev, 0, 0, 4096));
	/* The other BARs are those of the VF. */
	EXPECT_EQ(0, vdev_try_mmap(&self->vdev, 3, 0, 4096));
}

#define EXPECT_OWNER(_vm) do {						\
	char __want[256];						\
									\
	snprintf(__want, sizeof(__want), "%d nvvgpu_rm_test%s\n",	\
		 getpid(), _vm);					\
	EXPECT_FILE(self->vf, "nvvgpu/owner", __want);			\
} while (0)

TEST_F(rm, owner_is_shown_with_the_name_of_its_vm)
{
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_OPEN();
	EXPECT_OWNER(" vm=\"stand-in's VM\"");
	vdev_close(&self->vdev);
	EXPECT_FILE(self->vf, "nvvgpu/owner", "\n");
	ASSERT_EQ(0, put(STANDIN_DIR "/vm_name", "a\"b\nc\xc3\xa4 d"));
	ASSERT_OPEN();
	EXPECT_OWNER(" vm=\"a?b?c?? d\"");
	vdev_close(&self->vdev);

	/* The RM need not know a name. */
	ASSERT_EQ(0, put(STANDIN_DIR "/vm_name", "none"));
	ASSERT_OPEN();
	EXPECT_OWNER("");
}

TEST_F(rm, framebuffer_bar_must_have_a_size)
{
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_EQ(0, put(STANDIN_DIR "/bar1_size", "0"));
	EXPECT_EQ(-EIO, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");
	ASSERT_EQ(0, put(STANDIN_DIR "/bar1_size", "4096"));
	ASSERT_OPEN();
}

/* VFs raise their own; the RM is told that it cannot inject any. */
TEST_F(rm, injected_interrupts_are_refused_and_counted)
{
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	EXPECT_EQ(-ENOENT, put(STANDIN_DIR "/interrupt", "0"));
	ASSERT_OPEN();
	EXPECT_EQ(-EIO, put(STANDIN_DIR "/interrupt", "0"));
	EXPECT_EQ(-EIO, put(STANDIN_DIR "/interrupt", "0"));
	EXPECT_EQ(2, stat(self->vf, "interrupts"));
	EXPECT_EQ(-ENOENT, put(STANDIN_DIR "/interrupt", "1"));
}

TEST_F(rm, counters_begin_with_the_vgpu)
{
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_OPEN();
	EXPECT_EQ(-EIO, put(STANDIN_DIR "/interrupt", "0"));
	EXPECT_EQ(1, stat(self->vf, "interrupts"));
	EXPECT_EQ(1, stat(self->vf, "starts"));
	vdev_close(&self->vdev);
	ASSERT_EQ(0, vf_set_type(self->vf, 0));
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	EXPECT_EQ(0, stat(self->vf, "interrupts"));
	EXPECT_EQ(0, stat(self->vf, "starts"));
}

/* Status codes */

static const struct {
	unsigned int status;
	int err;
} statuses[] = {
	{ 0x03, -EBUSY },		/* BUSY_RETRY */
	{ 0x0f, -ENODEV },		/* GPU_IS_LOST */
	{ 0x1a, -ENOSPC },		/* INSUFFICIENT_RESOURCES */
	{ 0x1f, -EINVAL },		/* INVALID_ARGUMENT */
	{ 0x38, -EIO },			/* INVALID_OPERATION */
	{ 0x40, -EIO },			/* INVALID_STATE */
	{ 0x51, -ENOMEM },		/* NO_MEMORY */
	{ 0x56, -EOPNOTSUPP },		/* NOT_SUPPORTED */
	{ 0x57, -ENODEV },		/* OBJECT_NOT_FOUND */
	{ 0x65, -ETIMEDOUT },		/* TIMEOUT */
	{ 0x66, -ETIMEDOUT },		/* TIMEOUT_RETRY */
	{ 0xffff, -EIO },		/* GENERIC */
	{ 0x1234, -EIO },		/* not known */
	{ 0xfffffffe, -EIO },
};

#define GPU_IS_LOST	0x0f

/* A GPU that is lost takes its vGPUs with it; make another one. */
static int recreate_lost(const char *vf)
{
	if (strcmp(vf_wait_state(vf, "error"), "error"))
		return -ETIMEDOUT;

	return vf_set_type(vf, 0) ?: vf_set_type(vf, TYPE_1Q);
}

TEST_F(rm, status_codes_of_a_start)
{
	unsigned int i;

	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	for (i = 0; i < ARRAY_SIZE(statuses); i++) {
		/* Of the call, and of what it began */
		ASSERT_EQ(0, put(STANDIN_DIR "/fail", "vgpu_start %#x",
				 statuses[i].status));
		EXPECT_EQ(statuses[i].err,
			  vdev_open(&self->vdev, self->vf, &self->ioas))
			TH_LOG("call: %#x", statuses[i].status);
		ASSERT_EQ(0, put(STANDIN_DIR "/fail", "none"));
		EXPECT_LAST("unused \"\"");
		if (statuses[i].status == GPU_IS_LOST)
			ASSERT_EQ(0, recreate_lost(self->vf));
		ASSERT_EQ(0, put(STANDIN_DIR "/start_status", "%#x",
				 statuses[i].status));
		EXPECT_EQ(statuses[i].err,
			  vdev_open(&self->vdev, self->vf, &self->ioas))
			TH_LOG("answer: %#x", statuses[i].status);
		EXPECT_LAST("unused \"\"");
		ASSERT_EQ(0, put(STANDIN_DIR "/start_status", "0"));
		if (statuses[i].status == GPU_IS_LOST)
			ASSERT_EQ(0, recreate_lost(self->vf));
	}
	EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");
	ASSERT_OPEN();
}

TEST_F(rm, status_codes_of_a_delete)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(statuses); i++) {
		ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
		ASSERT_EQ(0, put(STANDIN_DIR "/fail", "vgpu_delete %#x",
				 statuses[i].status));
		/* A vGPU that the RM does not have is as good as deleted. */
		if (statuses[i].status == 0x57) {
			EXPECT_EQ(0, vf_set_type(self->vf, 0));
			ASSERT_EQ(0, put(STANDIN_DIR "/fail", "none"));
			/* The stand-in has it all the same. */
			EXPECT_EQ(-EIO, vf_set_type(self->vf, TYPE_1Q));
			ASSERT_EQ(0, rm_del());
			ASSERT_EQ(0, mod_del("nvvgpu-rm-standin"));
			ASSERT_EQ(0, mod_add("nvvgpu-rm-standin", ""));
			ASSERT_EQ(0, mod_add("nvvgpu-rm", ""));
			ASSERT_EQ(0, put(STANDIN_DIR "/pf", "%s", self->bdf));
			continue;
		}
		EXPECT_EQ(statuses[i].err, vf_set_type(self->vf, 0))
			TH_LOG("%#x", statuses[i].status);
		EXPECT_FILE(self->vf, "nvvgpu/state", "error\n");
		ASSERT_EQ(0, put(STANDIN_DIR "/fail", "none"));
		EXPECT_EQ(0, vf_set_type(self->vf, 0));
	}
}

TEST_F(rm, status_codes_of_a_create)
{
	unsigned int i;
	int want;

	for (i = 0; i < ARRAY_SIZE(statuses); i++) {
		ASSERT_EQ(0, put(STANDIN_DIR "/fail", "vgpu_create %#x",
				 statuses[i].status));
		/* What the front-end makes of these is in its own contract. */
		want = statuses[i].err;
		if (want == -EBUSY || want == -ENOSPC || want == -EINVAL)
			want = -EIO;
		EXPECT_EQ(want, vf_set_type(self->vf, TYPE_1Q))
			TH_LOG("%#x", statuses[i].status);
		EXPECT_FILE(self->vf, "nvvgpu/state", "bound\n");
	}
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "none"));
	EXPECT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
}

TEST_F(rm, every_other_function_may_fail)
{
	/* BUSY_RETRY, but not about a placement */
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "get_types 0x03"));
	EXPECT_EQ(-EIO, vf_set_type(self->vf, TYPE_1Q));
	EXPECT_LAST_ERROR(self->vf, EIO,
			  "cannot create type 256: the back-end failed");
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "get_types 0x51"));
	EXPECT_EQ(-ENOMEM, vf_set_type(self->vf, TYPE_1Q));
	EXPECT_EQ(-ENOMEM, pci_read(self->vf, "nvidia/creatable_vgpu_types",
				    self->buf, sizeof(self->buf)));
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "get_instances 0x51"));
	EXPECT_EQ(-ENOMEM, pci_read(self->vf, "nvidia/creatable_vgpu_types",
				    self->buf, sizeof(self->buf)));
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "vgpu_bar_info 0x56"));
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	EXPECT_EQ(-EOPNOTSUPP, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_LAST("unused \"\"");
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "get_sparse_mmap 0x65"));
	EXPECT_EQ(-ETIMEDOUT, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_LAST("unused \"\"");
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "none"));
	ASSERT_OPEN();
	vdev_close(&self->vdev);
}

/* NVIDIA's driver lists a type by its name, and leaves it out without one. */
TEST_F(rm, type_needs_a_name_but_no_description)
{
	struct vgpu_type types[8];

	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "none"));
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "get_name 0x57"));
	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "%s", self->bdf));
	EXPECT_EQ(0, vf_creatable(self->vf, 0));
	EXPECT_EQ(0, vf_types(self->vf, types, 8));
	EXPECT_EQ(-EIO, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "get_description 0x57"));
	EXPECT_EQ(3, vf_creatable(self->vf, 0));
	while (vf_types(self->vf, types, 8) < 3)
		usleep(1000);
	EXPECT_STREQ("GRID ST-1Q", types[0].name);
	EXPECT_EQ(0, types[0].framebuffer);
	/* The description is not given up. */
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "none"));
	EXPECT_EQ(3, vf_creatable(self->vf, 0));
	while (vf_types(self->vf, types, 8) < 3 || !types[0].framebuffer)
		usleep(1000);
	EXPECT_EQ(1024 * MIB, types[0].framebuffer);
}

TEST_F(rm, rm_that_has_lost_the_gpu_crashes_its_vgpus)
{
	int err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_EQ(0, vf_set_type(self->vf2, TYPE_1Q));
	ASSERT_OPEN();
	ASSERT_EQ(0, vdev_set_irq(&self->vdev, VFIO_PCI_ERR_IRQ_INDEX, err));
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "all 0xf"));
	EXPECT_EQ(-ENODEV, pci_read(self->pf.vf[2], "nvidia/creatable_vgpu_types",
				    self->buf, sizeof(self->buf)));
	EXPECT_EQ(1, irq_wait(err, WAIT_MS));
	EXPECT_STREQ("error", vf_wait_state(self->vf, "error"));
	EXPECT_STREQ("error", vf_wait_state(self->vf2, "error"));
	vdev_close(&self->vdev);
	EXPECT_EQ(-ENODEV, vf_set_type(self->vf, 0));
	EXPECT_EQ(-ENODEV, vf_set_type(self->vf2, 0));

	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "none"));
	EXPECT_EQ(0, vf_set_type(self->vf, 0));
	EXPECT_EQ(0, vf_set_type(self->vf2, 0));
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_OPEN();
	close(err);
}

TEST_F(rm, gpu_goes_away_with_an_rm_that_refuses_everything)
{
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_OPEN();
	vdev_close(&self->vdev);
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "all 0xffff"));
	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "none"));
	EXPECT_UNMANAGED(self->vf);
	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "%s", self->bdf));
	EXPECT_EQ(-EIO, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "none"));
}

/* Buffers whose length the RM does not know */

TEST_F(rm, overruns_of_names_are_caught)
{
	struct vgpu_type types[8];
	int kmsg = kmsg_open();

	/* The types are read when the GPU comes. */
	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "none"));
	ASSERT_EQ(0, put(STANDIN_DIR "/overrun", "get_name"));
	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "%s", self->bdf));
	EXPECT_LT(0, kmsg_count(kmsg, "get_name wrote more than 64 bytes"));
	EXPECT_EQ(0, vf_types(self->vf, types, 8));
	EXPECT_EQ(0, vf_creatable(self->vf, 0));
	ASSERT_EQ(0, put(STANDIN_DIR "/overrun", "none"));
	close(kmsg);
}

TEST_F(rm, overruns_of_descriptions_are_caught)
{
	struct vgpu_type types[8];
	int kmsg = kmsg_open();

	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "none"));
	ASSERT_EQ(0, put(STANDIN_DIR "/overrun", "get_description"));
	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "%s", self->bdf));
	EXPECT_LT(0, kmsg_count(kmsg, "get_description wrote more than 256 bytes"));
	EXPECT_EQ(3, vf_types(self->vf, types, 8));
	EXPECT_EQ(0, types[0].framebuffer);
	ASSERT_EQ(0, put(STANDIN_DIR "/overrun", "none"));
	close(kmsg);
}

TEST_F(rm, overruns_are_caught)
{
	int kmsg = kmsg_open();

	ASSERT_EQ(0, put(STANDIN_DIR "/overrun", "get_types"));
	EXPECT_EQ(-EOVERFLOW, vf_set_type(self->vf, TYPE_1Q));
	EXPECT_LT(0, kmsg_count(kmsg, "get_types wrote more than 512 bytes"));
	ASSERT_EQ(0, put(STANDIN_DIR "/overrun", "get_instances"));
	EXPECT_EQ(-EOVERFLOW, pci_read(self->vf, "nvidia/creatable_vgpu_types",
				       self->buf, sizeof(self->buf)));
	EXPECT_LT(0, kmsg_count(kmsg, "get_instances wrote more than 8 bytes"));
	ASSERT_EQ(0, put(STANDIN_DIR "/overrun", "vgpu_start"));
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	EXPECT_EQ(-EOVERFLOW, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_LT(0, kmsg_count(kmsg, "vgpu_start wrote more than 128 bytes"));
	ASSERT_EQ(0, put(STANDIN_DIR "/overrun", "none"));
	/* A vGPU whose buffer has been overrun needs another one. */
	EXPECT_EQ(0, vf_set_type(self->vf, 0));
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_OPEN();
	close(kmsg);
}

/* The number of messages is limited, but for each function on its own. */
TEST_F(rm, messages_about_one_function_do_not_hide_others)
{
	int kmsg = kmsg_open();
	unsigned int i;

	/* Calls that need no vGPU */
	ASSERT_EQ(0, put(STANDIN_DIR "/overrun", "get_types"));
	for (i = 0; i < 30; i++)
		EXPECT_EQ(-EOVERFLOW, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_EQ(0, put(STANDIN_DIR "/overrun", "none"));
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "get_instances 0x40"));
	EXPECT_EQ(-EIO, pci_read(self->vf,
				 "nvvgpu/types/256/available_instances",
				 self->buf, sizeof(self->buf)));
	EXPECT_LT(0, kmsg_count(kmsg, "get_instances failed"));

	/* Calls about a vGPU */
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "vgpu_create 0x40"));
	for (i = 0; i < 30; i++)
		EXPECT_EQ(-EIO, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "none"));
	ASSERT_EQ(0, put(STANDIN_DIR "/overrun", "vgpu_start"));
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	EXPECT_EQ(-EOVERFLOW, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_LT(0, kmsg_count(kmsg, "vgpu_start wrote more"));
	ASSERT_EQ(0, put(STANDIN_DIR "/overrun", "none"));
	close(kmsg);
}

TEST_F(rm, messages_about_one_vf_do_not_hide_those_about_another)
{
	int kmsg = kmsg_open();
	char words[128];
	unsigned int i;

	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "vgpu_create 0x40"));
	for (i = 0; i < 30; i++)
		EXPECT_EQ(-EIO, vf_set_type(self->vf, TYPE_1Q));
	EXPECT_EQ(-EIO, vf_set_type(self->vf2, TYPE_1Q));
	snprintf(words, sizeof(words), "%s: vgpu_create failed", self->vf2);
	EXPECT_EQ(1, kmsg_count(kmsg, words));
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "none"));
	close(kmsg);
}

/* Starts that take their time */

TEST_F(rm, slow_start_is_waited_for)
{
	__u64 since;

	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_EQ(0, put(STANDIN_DIR "/start_delay_ms", "3000"));
	since = now_ms();
	ASSERT_OPEN();
	/* Its answer ends the wait, not the timeout of 25 s. */
	EXPECT_GT(20000, now_ms() - since);
	EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");
	EXPECT_EQ(0, stat(self->vf, "start_timeouts"));
}

static void ignore(int sig)
{
}

TEST_F(rm, slow_start_is_not_interrupted_by_signals)
{
	struct itimerval timer = { { 0, 50000 }, { 0, 50000 } };

	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_EQ(0, put(STANDIN_DIR "/start_delay_ms", "2000"));
	ASSERT_NE(SIG_ERR, signal(SIGALRM, ignore));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &timer, NULL));
	EXPECT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	memset(&timer, 0, sizeof(timer));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &timer, NULL));
	EXPECT_EQ(1, nr_calls("vgpu_start"));
}

/*
 * These statuses would mean a taken or invalid placement, but the RM has no
 * placements.
 */
TEST_F(rm, refused_create_is_not_blamed_on_a_placement)
{
	static const char * const fails[] = {
		"vgpu_create 0x3",	/* NV_ERR_BUSY_RETRY */
		"vgpu_create 0x1f",	/* NV_ERR_INVALID_ARGUMENT */
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fails); i++) {
		ASSERT_EQ(0, put(STANDIN_DIR "/fail", "%s", fails[i]));
		EXPECT_EQ(-EIO, vf_set_type(self->vf, TYPE_1Q));
		ASSERT_LT(0, pci_read(self->vf, "nvvgpu/last_error", self->buf,
				      sizeof(self->buf)));
		EXPECT_EQ(NULL, strstr(self->buf, "placement"))
			TH_LOG("%s", self->buf);
	}
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "none"));
	EXPECT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
}

TEST_F(rm, endless_start_times_out)
{
	EXPECT_LE(0, get(TIMEOUT_PARAM, self->buf, 64));
	EXPECT_STREQ("25000\n", self->buf);
	ASSERT_EQ(0, put(TIMEOUT_PARAM, "500"));
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_EQ(0, put(STANDIN_DIR "/start_delay_ms", NEVER));
	EXPECT_EQ(-ETIMEDOUT, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_EQ(1, stat(self->vf, "start_timeouts"));
	EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");
	EXPECT_EQ(1, mod_refs("nvvgpu-rm"));

	/* Its answer comes late, and is not taken for that of the next one. */
	ASSERT_EQ(0, put(STANDIN_DIR "/answer", "1"));
	usleep(200000);
	EXPECT_EQ(-ETIMEDOUT, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_EQ(2, nr_calls("vgpu_create"));
	EXPECT_EQ(1, nr_calls("vgpu_delete"));
	ASSERT_EQ(0, put(STANDIN_DIR "/start_delay_ms", "0"));
	ASSERT_EQ(0, put(TIMEOUT_PARAM, "25000"));
	ASSERT_OPEN();
	EXPECT_EQ(3, nr_calls("vgpu_create"));

	/* One that was answered is not created again. */
	vdev_close(&self->vdev);
	ASSERT_OPEN();
	EXPECT_EQ(3, nr_calls("vgpu_create"));
}

TEST_F(rm, vgpu_that_cannot_be_recreated_is_still_deleted)
{
	ASSERT_EQ(0, put(TIMEOUT_PARAM, "500"));
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_EQ(0, put(STANDIN_DIR "/start_delay_ms", NEVER));
	EXPECT_EQ(-ETIMEDOUT, vdev_open(&self->vdev, self->vf, &self->ioas));
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "vgpu_create 0x51"));
	EXPECT_EQ(-ENOMEM, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_EQ(-ENOMEM, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_EQ(1, nr_calls("vgpu_delete"));
	EXPECT_EQ(0, vf_set_type(self->vf, 0));
	EXPECT_EQ(1, nr_calls("vgpu_delete"));
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "none"));
	ASSERT_EQ(0, put(STANDIN_DIR "/start_delay_ms", "0"));
	ASSERT_EQ(0, put(TIMEOUT_PARAM, "25000"));
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_OPEN();
}

TEST_F(rm, process_is_killed_during_a_slow_start)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_EQ(0, put(STANDIN_DIR "/start_delay_ms", NEVER));
	pid = open_in_child(self->vf);
	ASSERT_LE(0, pid);
	while (!nr_calls("vgpu_start"))
		usleep(10000);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_FILE(self->vf, "nvvgpu/state", "created\n");
	ASSERT_EQ(0, put(STANDIN_DIR "/start_delay_ms", "0"));
	ASSERT_OPEN();
}

TEST_F(rm, gpu_goes_away_during_a_slow_start)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_EQ(0, put(STANDIN_DIR "/start_delay_ms", NEVER));
	pid = open_in_child(self->vf);
	ASSERT_LE(0, pid);
	while (!nr_calls("vgpu_start"))
		usleep(10000);

	/* The open does not take 25 seconds. */
	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "none"));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(ENODEV, WEXITSTATUS(status));
	EXPECT_UNMANAGED(self->vf);
	EXPECT_EQ(1, nr_calls("vgpu_delete"));
}

/* A GPU that comes and goes */

TEST_F(rm, gpu_that_goes_away_waits_for_the_user)
{
	int req = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pid_t pid;

	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_EQ(0, vf_set_type(self->vf2, TYPE_2Q));
	ASSERT_OPEN();
	ASSERT_EQ(0, vdev_set_irq(&self->vdev, VFIO_PCI_REQ_IRQ_INDEX, req));
	pid = put_begin(STANDIN_DIR "/pf", "none");
	ASSERT_LT(0, pid);
	EXPECT_LE(1, irq_wait(req, WAIT_MS));
	EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");
	vdev_close(&self->vdev);
	EXPECT_EQ(0, child_status(pid));
	EXPECT_EQ(2, nr_calls("vgpu_delete"));
	EXPECT_UNMANAGED(self->vf);
	EXPECT_UNMANAGED(self->vf2);
	EXPECT_EQ(1, mod_refs("nvvgpu-rm"));

	/* It comes back. */
	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "%s", self->bdf));
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_OPEN();
	close(req);
}

/* The RM may still answer the start of a vGPU that it has not deleted. */
TEST_F(rm, memory_of_a_vgpu_is_kept_when_it_cannot_be_deleted)
{
	int kmsg = kmsg_open();

	ASSERT_EQ(0, put(TIMEOUT_PARAM, "200"));
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_EQ(0, put(STANDIN_DIR "/start_delay_ms", NEVER));
	EXPECT_EQ(-ETIMEDOUT, vdev_open(&self->vdev, self->vf, &self->ioas));
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "vgpu_delete 0x40"));
	EXPECT_EQ(-EIO, vf_set_type(self->vf, 0));
	EXPECT_FILE(self->vf, "nvvgpu/state", "error\n");
	ASSERT_EQ(0, rm_del());
	EXPECT_LT(0, kmsg_count(kmsg, "failed to delete the vGPU of VF 0, keeping its memory"));
	ASSERT_EQ(0, put(STANDIN_DIR "/answer", "1"));
	usleep(200000);
	ASSERT_EQ(0, put(STANDIN_DIR "/fail", "none"));
	ASSERT_EQ(0, put(STANDIN_DIR "/start_delay_ms", "0"));
	ASSERT_EQ(0, mod_del("nvvgpu-rm-standin"));
	ASSERT_EQ(0, mod_add("nvvgpu-rm-standin", ""));
	ASSERT_EQ(0, mod_add("nvvgpu-rm", ""));
	close(kmsg);
}

TEST_F(rm, module_is_unloaded_with_vgpus)
{
	ASSERT_EQ(0, put(RM_PARAMS "/pinned", "N"));
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_1Q));
	ASSERT_OPEN();
	EXPECT_EQ(1, mod_refs("nvvgpu-rm"));
	EXPECT_EQ(-EWOULDBLOCK, mod_del("nvvgpu-rm"));
	vdev_close(&self->vdev);
	EXPECT_EQ(0, mod_del("nvvgpu-rm"));
	EXPECT_EQ(1, nr_calls("vgpu_delete"));
	EXPECT_UNMANAGED(self->vf);
	ASSERT_EQ(0, mod_add("nvvgpu-rm", ""));
}

struct load {
	pthread_t thread;
	const char *vf;
	atomic_bool *over;
	atomic_uint *opened;
};

static void *load_vf(void *arg)
{
	struct load *load = arg;
	struct ioas ioas;
	struct vdev vdev;
	char buf[256];

	if (ioas_open(&ioas, IOMMU_IOMMUFD))
		return NULL;
	while (!*load->over) {
		vf_set_type(load->vf, TYPE_1Q);
		if (!vdev_open(&vdev, load->vf, &ioas)) {
			++*load->opened;
			vdev_reset(&vdev);
			pci_read(load->vf, "nvvgpu/stats", buf, sizeof(buf));
			vdev_close(&vdev);
		}
		vf_set_type(load->vf, 0);
	}
	ioas_close(&ioas);

	return NULL;
}

TEST_F(rm, gpu_comes_and_goes_under_load)
{
	struct load load[TEST_VFS] = {};
	atomic_bool over = false;
	atomic_uint opened = 0;
	unsigned int i;
	int round = 0;
	time_t end;

	ASSERT_EQ(0, put(TIMEOUT_PARAM, "100"));
	for (i = 0; i < TEST_VFS; i++) {
		load[i].vf = self->pf.vf[i];
		load[i].over = &over;
		load[i].opened = &opened;
		ASSERT_EQ(0, pthread_create(&load[i].thread, NULL, load_vf,
					    &load[i]));
	}
	for (end = time(NULL) + 7; time(NULL) < end || !opened; round++) {
		put(STANDIN_DIR "/start_delay_ms", "%d", round % 4 * 50);
		ASSERT_EQ(0, put(STANDIN_DIR "/pf", "%s", self->bdf));
		for (i = 0; i < 8; i++) {
			put(STANDIN_DIR "/interrupt", "%u", i % TEST_VFS);
			usleep(round % 5 * 15000);
		}
		ASSERT_EQ(0, put(STANDIN_DIR "/pf", "none"));
		put(STANDIN_DIR "/answer", "1");
	}
	over = true;
	for (i = 0; i < TEST_VFS; i++)
		pthread_join(load[i].thread, NULL);
	TH_LOG("%d rounds, opened %u times", round, opened);
	EXPECT_EQ(1, mod_refs("nvvgpu-rm"));
	EXPECT_LE(nr_calls("vgpu_delete"), nr_calls("vgpu_create"));
}

int main(int argc, char **argv)
{
	return test_main(argc, argv, backend_missing("nvvgpu-rm-standin", PF_DRIVER));
}
