// SPDX-License-Identifier: GPL-2.0
/*
 * nvvgpu-generic: VFs of ordinary SR-IOV devices as vGPUs, whose types an
 * administrator describes in configfs.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <linux/pci_regs.h>

#include "nvvgpu_test.h"
#include "lib/backend.h"

#define PF_DRIVER	"igb"
#define OTHER_DRIVER	"nvme"

/* The default type */
#define WHOLE		GENERIC_WHOLE

FIXTURE(generic) {
	struct pf pf;
	const char *bdf;
	const char *vf;
	const char *vf2;
	char dir[GENERIC_DIR_LEN];
	struct ioas ioas;
	struct vdev vdev;
	char buf[8192];
};

FIXTURE_SETUP(generic)
{
	self->vdev.fd = -1;
	self->vdev.group = -1;
	ASSERT_EQ(0, mod_add("nvvgpu-generic", ""));
	ASSERT_EQ(0, pf_prepare(&self->pf, PF_DRIVER, TEST_VFS));
	self->bdf = self->pf.bdf;
	self->vf = self->pf.vf[0];
	self->vf2 = self->pf.vf[1];
	ASSERT_EQ(0, generic_claim(self->bdf, self->dir));
	ASSERT_EQ(0, ioas_open(&self->ioas, IOMMU_IOMMUFD));
}

FIXTURE_TEARDOWN(generic)
{
	vdev_close(&self->vdev);
	ioas_close(&self->ioas);
	generic_drop(self->dir);
	EXPECT_EQ(0, mod_del("nvvgpu-generic"));
}

#define EXPECT_ATTR(_id, _attr, _text) do {				\
	const char *__text = (_text);					\
	char __path[256];						\
									\
	snprintf(__path, sizeof(__path), "%s/types/%d/%s", self->dir,	\
		 _id, _attr);						\
	EXPECT_LE(0, get(__path, self->buf, sizeof(self->buf)));	\
	EXPECT_STREQ(__text, self->buf)					\
		TH_LOG("%s", __path);					\
} while (0)

/* Claims */

TEST_F(generic, invalid_claims_are_refused)
{
	char path[128];

	errno = 0;
	EXPECT_EQ(-1, mkdir(GENERIC_DIR "/nonsense", 0755));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, mkdir(GENERIC_DIR "/0000:00:1f.9", 0755));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, mkdir(GENERIC_DIR "/0000:fe:1f.7", 0755));
	EXPECT_EQ(ENODEV, errno);
	/* Neither the host bridge nor a VF has VFs. */
	EXPECT_EQ(-1, mkdir(GENERIC_DIR "/0000:00:00.0", 0755));
	EXPECT_EQ(EOPNOTSUPP, errno);
	snprintf(path, sizeof(path), GENERIC_DIR "/%s", self->vf);
	EXPECT_EQ(-1, mkdir(path, 0755));
	EXPECT_EQ(EOPNOTSUPP, errno);
	/* The same PF with another spelling, and again with its own */
	snprintf(path, sizeof(path), GENERIC_DIR "/%s", self->bdf + 3);
	EXPECT_EQ(-1, mkdir(path, 0755));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, mkdir(self->dir, 0755));
	EXPECT_EQ(EEXIST, errno);
}

TEST_F(generic, claim_keeps_the_module_loaded)
{
	EXPECT_EQ(-EWOULDBLOCK, mod_del("nvvgpu-generic"));
	ASSERT_EQ(0, rmdir(self->dir));
	EXPECT_EQ(0, mod_del("nvvgpu-generic"));
	ASSERT_EQ(0, mod_add("nvvgpu-generic", ""));
}

TEST_F(generic, nothing_is_offered_until_enabled)
{
	EXPECT_FALSE(generic_enabled(self->dir));
	EXPECT_UNMANAGED(self->vf);
	EXPECT_EQ(-EINVAL, generic_enable(self->dir, "perhaps"));
	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	EXPECT_TRUE(generic_enabled(self->dir));
	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	EXPECT_STREQ("generic", vf_backend(self->vf, NULL));
	EXPECT_FILE(self->vf, "nvidia/creatable_vgpu_types",
		    "ID    : vGPU Name\n1     : SR-IOV VF1-0C\n");
	ASSERT_EQ(0, generic_enable(self->dir, "0"));
	EXPECT_FALSE(generic_enabled(self->dir));
	EXPECT_UNMANAGED(self->vf);
}

/* Types */

TEST_F(generic, whole_vf_is_as_under_vfio_pci)
{
	struct vfio_region_info info, plain[VFIO_PCI_NUM_REGIONS];
	__u32 config[16], plain_config[16];
	unsigned int i;

	/* The same VF, first with plain vfio-pci */
	ASSERT_EQ(0, pci_bind(self->vf, "vfio-pci"));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	for (i = 0; i < VFIO_PCI_NUM_REGIONS; i++)
		vdev_region_info(&self->vdev, i, &plain[i]);
	EXPECT_EQ(64, vdev_read(&self->vdev, VFIO_PCI_CONFIG_REGION_INDEX, 0,
				plain_config, 64));
	vdev_close(&self->vdev);

	ASSERT_EQ(0, pci_bind(self->vf, FRONT_END_DRIVER));
	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	ASSERT_EQ(0, vf_set_type(self->vf, WHOLE));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	for (i = 0; i < VFIO_PCI_NUM_REGIONS; i++) {
		vdev_region_info(&self->vdev, i, &info);
		EXPECT_EQ(plain[i].size, info.size);
		EXPECT_EQ(plain[i].flags, info.flags);
	}
	EXPECT_EQ(64, vdev_read(&self->vdev, VFIO_PCI_CONFIG_REGION_INDEX, 0,
				config, 64));
	EXPECT_EQ(0, memcmp(config, plain_config, 64));
	EXPECT_EQ(0, vdev_map_bar(&self->vdev, 0));
	EXPECT_EQ(0, vdev_reset(&self->vdev));
}

static const struct {
	const char *attr;
	const char *val;
	int err;
} values[] = {
	{ "name", "Lab-4Q", 0 },
	{ "name", "Lab NIC\n", 0 },
	{ "name", "colon: a", -EINVAL },
	{ "name", "two  spaces", -EINVAL },
	{ "name", " space", -EINVAL },
	{ "name", "quote\"", -EINVAL },
	{ "name", "two\nlines", -EINVAL },
	{ "name", "\n", -EINVAL },
	{ "name", "0123456789012345678901234567890123456789012345678901234567890-4Q",
	  -E2BIG },
	{ "bar0", "8192", 0 },
	{ "bar0", "8K", 0 },
	{ "bar0", "4k\n", 0 },
	{ "bar0", "whole", 0 },
	{ "bar0", "hidden\n", 0 },
	{ "bar0", "16K", 0 },
	{ "bar0", "12K", -EINVAL },
	{ "bar0", "2K", -EINVAL },
	{ "bar0", "0", -EINVAL },
	{ "bar0", "32K", -ERANGE },
	{ "bar0", "-4096", -EINVAL },
	{ "bar0", "4096 4096", -EINVAL },
	{ "bar0", "4096x", -EINVAL },
	{ "bar0", "\n", -EINVAL },
	{ "bar0", "half", -EINVAL },
	{ "bar2", "4096", -ENXIO },
	{ "bar2", "hidden", -ENXIO },
	{ "bar2", "whole", 0 },
	{ "max_instances", "1", 0 },
	{ "max_instances", "0", -ERANGE },
	{ "max_instances", "60000", -ERANGE },
	{ "max_instances", "-1", -EINVAL },
	{ "max_instances", "many", -EINVAL },
	{ "vendor", "0x1234", 0 },
	{ "vendor", "0", 0 },
	{ "vendor", "0xffff", -ERANGE },
	{ "vendor", "0x12345", -ERANGE },
	{ "vendor", "any", -EINVAL },
	{ "device", "0x10000", -ERANGE },
	{ "subsystem_vendor", "x", -EINVAL },
	{ "subsystem_device", "65536", -ERANGE },
	{ "class_code", "0x030000", 0 },
	{ "class_code", "0x1000000", -ERANGE },
	{ "class_code", "display", -EINVAL },
	{ "enable", "2", -EINVAL },
	{ "class", "workstation", 0 },
	{ "class", "desktop\n", 0 },
	{ "class", "Q", -EINVAL },
	{ "class", "\n", -EINVAL },
	{ "instances", "0", -EACCES },
};

TEST_F(generic, values_are_checked_when_written)
{
	unsigned int i;
	int ret;

	ASSERT_EQ(0, generic_type_add(self->dir, 2));
	for (i = 0; i < ARRAY_SIZE(values); i++) {
		ret = generic_type_put(self->dir, 2, values[i].attr, values[i].val);
		EXPECT_EQ(values[i].err, ret)
			TH_LOG("%s = \"%s\"", values[i].attr, values[i].val);
	}
	EXPECT_ATTR(2, "name", "Lab NIC\n");
	EXPECT_ATTR(2, "class", "desktop\n");
	EXPECT_ATTR(2, "bar0", "whole\n");
	EXPECT_ATTR(2, "max_instances", "1\n");
	EXPECT_ATTR(2, "vendor", "0x0000\n");
	EXPECT_ATTR(2, "class_code", "0x030000\n");
}

TEST_F(generic, ids_of_types_are_numbers)
{
	char path[256];
	unsigned int i;
	static const char * const names[] = {
		"0", "01", "x", "1x", "-1", "2147483648", "99999999999", "1.5",
	};

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/types/%s", self->dir, names[i]);
		EXPECT_EQ(-1, mkdir(path, 0755)) TH_LOG("%s", names[i]);
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(-EEXIST, generic_type_add(self->dir, 1));
	EXPECT_EQ(-EPERM, generic_type_del(self->dir, 1));
	snprintf(path, sizeof(path), "%s/types/2147483647", self->dir);
	EXPECT_EQ(0, mkdir(path, 0755));
	EXPECT_EQ(0, rmdir(path));
}

TEST_F(generic, type_is_offered_when_enabled)
{
	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	ASSERT_EQ(0, generic_type_add(self->dir, 2));
	EXPECT_EQ(0, vf_creatable(self->vf, 2));
	ASSERT_EQ(0, generic_type_put(self->dir, 2, "name", "Lab NIC-0C"));

	/* Invalid ids are refused. */
	ASSERT_EQ(0, generic_type_put(self->dir, 2, "device", "0x10ca"));
	EXPECT_EQ(-EINVAL, generic_type_put(self->dir, 2, "enable", "1"));
	ASSERT_EQ(0, generic_type_put(self->dir, 2, "vendor", "0x8086"));
	ASSERT_EQ(0, generic_type_put(self->dir, 2, "subsystem_device", "1"));
	EXPECT_EQ(-EINVAL, generic_type_put(self->dir, 2, "enable", "1"));
	ASSERT_EQ(0, generic_type_put(self->dir, 2, "subsystem_device", "0"));
	ASSERT_EQ(0, generic_type_put(self->dir, 2, "enable", "1"));
	EXPECT_EQ(1, vf_creatable(self->vf, 2));

	/* Names must differ. */
	ASSERT_EQ(0, generic_type_add(self->dir, 3));
	ASSERT_EQ(0, generic_type_put(self->dir, 3, "name", "Lab NIC-0C"));
	EXPECT_EQ(-EEXIST, generic_type_put(self->dir, 3, "enable", "1"));

	/* A type that is offered cannot be changed. */
	EXPECT_EQ(-EBUSY, generic_type_put(self->dir, 2, "name", "Other NIC-0C"));
	EXPECT_EQ(-EBUSY, generic_type_put(self->dir, 2, "bar0", "4096"));
	EXPECT_EQ(-EBUSY, generic_type_put(self->dir, 2, "vendor", "1"));
	EXPECT_EQ(-EBUSY, generic_type_put(self->dir, 2, "class_code", "1"));
	EXPECT_EQ(-EBUSY, generic_type_put(self->dir, 2, "max_instances", "1"));

	ASSERT_EQ(0, generic_type_put(self->dir, 2, "enable", "0"));
	EXPECT_EQ(0, vf_creatable(self->vf, 2));
	EXPECT_EQ(-EIO, vf_set_type(self->vf, 2));
	ASSERT_EQ(0, generic_type_put(self->dir, 1, "enable", "0"));
	EXPECT_EQ(0, vf_creatable(self->vf, 0));
}

/* The maximum number of types exceeds the size of a sysfs file. */
TEST_F(generic, types_beyond_a_page_are_omitted_in_words)
{
	static struct vgpu_type types[MAX_TYPES];
	unsigned int id, named, nr, want;
	char name[NVVGPU_NAME_LEN], text[32];
	char *line, *end;
	int len;

	for (id = 2; id <= NVVGPU_MAX_TYPES; id++) {
		ASSERT_EQ(0, generic_type_add(self->dir, id));
		len = snprintf(name, sizeof(name), "Type %u ", id);
		memset(name + len, 'x', sizeof(name) - 4 - len);
		memcpy(name + sizeof(name) - 4, "-0C", 4);
		ASSERT_EQ(0, generic_type_put(self->dir, id, "name", name));
		ASSERT_EQ(0, generic_type_put(self->dir, id, "enable", "1"));
	}
	EXPECT_EQ(-ENOSPC, generic_type_add(self->dir, id));
	ASSERT_EQ(0, generic_type_put(self->dir, 1, "enable", "0"));
	ASSERT_EQ(0, generic_enable(self->dir, "1"));

	ASSERT_LT(0, pci_read(self->vf, "nvidia/creatable_vgpu_types",
			      self->buf, sizeof(self->buf)));
	line = strchr(self->buf, '\n') + 1;
	for (nr = 0; *line; nr++) {
		end = strchr(line, '\n');
		ASSERT_NE(NULL, end) TH_LOG("cut off: %s", line);
		*end = '\0';
		ASSERT_TRUE(sscanf(line, "%u : Type %u %n", &id, &named,
				   &len) == 2);
		EXPECT_EQ(nr + 2, id);
		EXPECT_EQ(id, named);
		EXPECT_NE(NULL, strstr(line + len, "xx-0C"));
		line = end + 1;
	}
	/* The next line would not have fitted. */
	EXPECT_LT(4096 - 200, line - self->buf);
	EXPECT_GT(NVVGPU_MAX_TYPES - 1, nr);

	/* It says how many there are beyond, and all are in nvvgpu/types. */
	want = NVVGPU_MAX_TYPES - 1 - nr;
	snprintf(text, sizeof(text), "omits %u types", want);
	ASSERT_LT(0, pci_read(self->vf, "nvvgpu/last_error", self->buf,
			      sizeof(self->buf)));
	EXPECT_NE(NULL, strstr(self->buf, text)) TH_LOG("%s", self->buf);
	ASSERT_EQ(NVVGPU_MAX_TYPES - 1, vf_types(self->vf, types, MAX_TYPES));
	for (nr = 0; nr < NVVGPU_MAX_TYPES - 1; nr++) {
		EXPECT_EQ(nr + 2, types[nr].id);
		EXPECT_EQ(sizeof(name) - 1, strlen(types[nr].name));
		EXPECT_LT(0, types[nr].available);
	}
	EXPECT_EQ(0, vf_set_type(self->vf, NVVGPU_MAX_TYPES));
}

/* Each change is announced, and only once it can be read. */
TEST_F(generic, changes_of_the_types_are_announced)
{
	struct pollfd pfd = { .events = POLLPRI };
	bool offered;
	char path[128];
	int i, fd;

	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	ASSERT_EQ(0, generic_type_add(self->dir, 2));
	fd = uevent_open();
	ASSERT_LE(0, fd);
	snprintf(path, sizeof(path),
		 "/sys/bus/pci/devices/%s/nvidia/creatable_vgpu_types",
		 self->vf);
	pfd.fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, pfd.fd);
	ASSERT_LT(0, read(pfd.fd, self->buf, sizeof(self->buf)));

	for (i = 1; i <= 20; i++) {
		offered = i % 2;
		ASSERT_EQ(0, generic_type_put(self->dir, 2, "enable",
					      offered ? "1" : "0"));
		ASSERT_EQ(0, uevent_wait(fd, self->vf, NVVGPU_EVENT_NAME_TYPES,
					 WAIT_MS))
			TH_LOG("change %d", i);
		EXPECT_EQ(offered, pci_exists(self->vf, "nvvgpu/types/2"));
		EXPECT_EQ(offered, vf_creatable(self->vf, 2));
		ASSERT_EQ(1, poll(&pfd, 1, WAIT_MS)) TH_LOG("change %d", i);
		EXPECT_NE(0, pfd.revents & POLLPRI);
		lseek(pfd.fd, 0, SEEK_SET);
		ASSERT_LT(0, read(pfd.fd, self->buf, sizeof(self->buf)));
	}

	/* Also one that is removed with its directory in configfs */
	ASSERT_EQ(0, generic_type_put(self->dir, 2, "enable", "1"));
	EXPECT_EQ(0, uevent_wait(fd, self->vf, NVVGPU_EVENT_NAME_TYPES,
				 WAIT_MS));
	ASSERT_EQ(0, generic_type_del(self->dir, 2));
	EXPECT_EQ(0, uevent_wait(fd, self->vf, NVVGPU_EVENT_NAME_TYPES,
				 WAIT_MS));
	EXPECT_FALSE(pci_exists(self->vf, "nvvgpu/types/2"));
	close(pfd.fd);
	close(fd);
}

TEST_F(generic, withdrawn_type_stays_with_its_vgpus)
{
	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	ASSERT_EQ(0, generic_type_add(self->dir, 2));
	ASSERT_EQ(0, generic_type_put(self->dir, 2, "bar0", "8192"));
	ASSERT_EQ(0, generic_type_put(self->dir, 2, "enable", "1"));
	ASSERT_EQ(0, vf_set_type(self->vf, 2));
	EXPECT_ATTR(2, "instances", "1\n");
	ASSERT_EQ(0, generic_type_put(self->dir, 2, "enable", "0"));
	EXPECT_EQ(-EBUSY, generic_type_put(self->dir, 2, "bar0", "4096"));

	/* Even after its directory was removed */
	ASSERT_EQ(0, generic_type_del(self->dir, 2));
	EXPECT_EQ(2, vf_type(self->vf));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_EQ(0, vdev_reset(&self->vdev));
	vdev_close(&self->vdev);
	EXPECT_EQ(0, vf_set_type(self->vf, 0));
	EXPECT_EQ(-EIO, vf_set_type(self->vf, 2));
}

TEST_F(generic, bars_are_hidden_and_cut)
{
	struct vfio_region_info info;
	__u32 val;

	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	ASSERT_EQ(0, generic_type_add(self->dir, 2));
	ASSERT_EQ(0, generic_type_put(self->dir, 2, "bar0", "8K"));
	ASSERT_EQ(0, generic_type_put(self->dir, 2, "enable", "1"));
	ASSERT_EQ(0, generic_type_add(self->dir, 3));
	ASSERT_EQ(0, generic_type_put(self->dir, 3, "bar0", "hidden"));
	ASSERT_EQ(0, generic_type_put(self->dir, 3, "enable", "1"));
	ASSERT_EQ(0, generic_type_add(self->dir, 4));
	ASSERT_EQ(0, generic_type_put(self->dir, 4, "bar3", "hidden"));
	ASSERT_EQ(0, generic_type_put(self->dir, 4, "enable", "1"));

	ASSERT_EQ(0, vf_set_type(self->vf, 2));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	ASSERT_EQ(0, vdev_region_info(&self->vdev, 0, &info));
	EXPECT_EQ(8192, info.size);
	EXPECT_EQ(0, vdev_map_bar(&self->vdev, 0));
	EXPECT_EQ(8192, self->vdev.bar_len[0]);
	EXPECT_EQ(-EINVAL, vdev_read(&self->vdev, 0, 8192, &val, 4));
	vdev_close(&self->vdev);
	ASSERT_EQ(0, vf_set_type(self->vf, 0));

	ASSERT_EQ(0, vf_set_type(self->vf, 3));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	ASSERT_EQ(0, vdev_region_info(&self->vdev, 0, &info));
	EXPECT_EQ(0, info.size);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(0, vdev_cfg_read32(&self->vdev, PCI_BASE_ADDRESS_0));
	EXPECT_EQ(-EINVAL, vdev_read(&self->vdev, 0, 0, &val, 4));
	EXPECT_EQ(-EINVAL, vdev_write(&self->vdev, 0, 0, &val, 4));
	EXPECT_EQ(-EINVAL, vdev_try_mmap(&self->vdev, 0, 0, PAGE));
	vdev_close(&self->vdev);
	ASSERT_EQ(0, vf_set_type(self->vf, 0));

	/* The BAR with the MSI-X table must be whole. */
	EXPECT_EQ(-EOPNOTSUPP, vf_set_type(self->vf, 4));
}

TEST_F(generic, guest_sees_the_ids_of_the_type)
{
	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	ASSERT_EQ(0, generic_type_add(self->dir, 2));
	ASSERT_EQ(0, generic_type_put(self->dir, 2, "vendor", "0x1234"));
	ASSERT_EQ(0, generic_type_put(self->dir, 2, "device", "0x5678"));
	ASSERT_EQ(0, generic_type_put(self->dir, 2, "subsystem_vendor", "0xabcd"));
	ASSERT_EQ(0, generic_type_put(self->dir, 2, "subsystem_device", "0xef01"));
	ASSERT_EQ(0, generic_type_put(self->dir, 2, "class_code", "0x030201"));
	ASSERT_EQ(0, generic_type_put(self->dir, 2, "enable", "1"));
	ASSERT_EQ(0, vf_set_type(self->vf, 2));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_EQ(0x56781234, vdev_cfg_read32(&self->vdev, PCI_VENDOR_ID));
	EXPECT_EQ(0xef01abcd,
		  vdev_cfg_read32(&self->vdev, PCI_SUBSYSTEM_VENDOR_ID));
	EXPECT_EQ(0x030201,
		  vdev_cfg_read32(&self->vdev, PCI_CLASS_REVISION) >> 8);
}

/* The state cannot be saved, so migration is not offered. */
TEST_F(generic, migration_is_absent_and_says_so)
{
	static const __u32 features[] = {
		VFIO_DEVICE_FEATURE_MIGRATION,
		VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
		VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
		VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
		VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
	};
	static const __u32 actions[] = {
		VFIO_DEVICE_FEATURE_PROBE,
		VFIO_DEVICE_FEATURE_GET,
		VFIO_DEVICE_FEATURE_SET,
		VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET,
		VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET,
	};
	unsigned int i, j;

	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	EXPECT_FILE(self->vf, "nvvgpu/capabilities", "create recover bar-shape\n");
	ASSERT_EQ(0, vf_set_type(self->vf, WHOLE));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	for (i = 0; i < ARRAY_SIZE(features); i++) {
		for (j = 0; j < ARRAY_SIZE(actions); j++) {
			char data[VDEV_FEATURE_MAX] = {};

			EXPECT_EQ(-ENOTTY, vdev_feature(&self->vdev,
							features[i] | actions[j],
							data, sizeof(data)))
				TH_LOG("feature %u, action %#x", features[i],
				       actions[j]);
		}
	}
}

TEST_F(generic, instances_are_limited)
{
	struct vgpu_type types[4];

	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	ASSERT_EQ(0, generic_type_add(self->dir, 2));
	ASSERT_EQ(0, generic_type_put(self->dir, 2, "max_instances", "2"));
	ASSERT_EQ(0, generic_type_put(self->dir, 2, "enable", "1"));
	while (vf_types(self->vf, types, 4) < 2)
		usleep(1000);
	EXPECT_EQ(TEST_VFS, types[0].available);
	EXPECT_EQ(2, types[1].available);
	ASSERT_EQ(0, vf_set_type(self->pf.vf[0], 2));
	ASSERT_EQ(0, vf_set_type(self->pf.vf[1], 2));
	EXPECT_EQ(0, vf_creatable(self->pf.vf[2], 2));
	EXPECT_EQ(1, vf_creatable(self->pf.vf[2], 1));
	EXPECT_EQ(-EIO, vf_set_type(self->pf.vf[2], 2));
	EXPECT_LAST_ERROR(self->pf.vf[2], EIO,
			  "cannot create type 2: limited to 2 by max_instances");
	ASSERT_EQ(2, vf_types(self->vf, types, 4));
	EXPECT_EQ(TEST_VFS - 2, types[0].available);
	EXPECT_STREQ("limited to 2 by max_instances", types[1].reason);
	ASSERT_EQ(0, vf_set_type(self->pf.vf[0], 0));
	EXPECT_EQ(0, vf_set_type(self->pf.vf[2], 2));
}

TEST_F(generic, vf_is_its_own_placement)
{
	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	ASSERT_EQ(0, vf_set_type(self->vf2, WHOLE));
	EXPECT_FILE(self->vf2, "nvidia/placement_id", "1\n");
	ASSERT_EQ(0, pci_write(self->vf, "nvidia/placement_id", "3"));
	EXPECT_EQ(-EIO, vf_set_type(self->vf, WHOLE));
	ASSERT_EQ(0, pci_write(self->vf, "nvidia/placement_id", "0"));
	EXPECT_EQ(0, vf_set_type(self->vf, WHOLE));
}

/* Removal of PFs and VFs */

TEST_F(generic, disabling_waits_for_the_user)
{
	int req = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	char path[GENERIC_DIR_LEN + 8];
	pid_t pid;

	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	ASSERT_EQ(0, vf_set_type(self->vf, WHOLE));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	ASSERT_EQ(0, vdev_set_irq(&self->vdev, VFIO_PCI_REQ_IRQ_INDEX, req));
	snprintf(path, sizeof(path), "%s/enable", self->dir);
	pid = put_begin(path, "0");
	ASSERT_LT(0, pid);
	EXPECT_LE(1, irq_wait(req, WAIT_MS));
	EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");
	vdev_close(&self->vdev);
	EXPECT_EQ(0, child_status(pid));
	EXPECT_UNMANAGED(self->vf);
	EXPECT_ATTR(WHOLE, "instances", "0\n");

	/* Now the claim can be removed, and the module unloaded. */
	ASSERT_EQ(0, rmdir(self->dir));
	EXPECT_EQ(0, mod_del("nvvgpu-generic"));
	ASSERT_EQ(0, mod_add("nvvgpu-generic", ""));
	ASSERT_EQ(0, mkdir(self->dir, 0755));
	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	EXPECT_EQ(0, vf_set_type(self->vf, WHOLE));
	close(req);
}

TEST_F(generic, dropping_the_claim_with_vgpus)
{
	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	ASSERT_EQ(0, vf_set_type(self->vf, WHOLE));
	ASSERT_EQ(0, vf_set_type(self->vf2, WHOLE));
	ASSERT_EQ(0, rmdir(self->dir));
	EXPECT_UNMANAGED(self->vf);
	EXPECT_UNMANAGED(self->vf2);
}

TEST_F(generic, vfs_are_removed_with_vgpus)
{
	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	ASSERT_EQ(0, vf_set_type(self->vf, WHOLE));
	ASSERT_EQ(0, vf_set_type(self->vf2, WHOLE));
	EXPECT_ATTR(WHOLE, "instances", "2\n");
	ASSERT_EQ(0, pf_set_vfs(&self->pf, 0));
	EXPECT_ATTR(WHOLE, "instances", "0\n");
	EXPECT_TRUE(generic_enabled(self->dir));
	ASSERT_EQ(0, pf_prepare(&self->pf, PF_DRIVER, TEST_VFS));
	EXPECT_EQ(0, vf_set_type(self->vf, WHOLE));
}

/* vfio-pci watches the whole PCI bus while a PF is bound to it. */
static int bind_pf_to_vfio_pci_and_back(const char *bdf)
{
	return pci_bind(bdf, "vfio-pci") ?: pci_bind(bdf, PF_DRIVER) ?:
	       pci_write(bdf, "driver_override", "\n");
}

/* nvme keeps its VFs; igb would remove them. */
TEST_F(generic, driver_of_the_pf_leaves_and_returns)
{
	struct pf nvme;
	char dir[GENERIC_DIR_LEN];
	pid_t pid, other;

	ASSERT_EQ(0, pf_prepare(&nvme, OTHER_DRIVER, 2));
	ASSERT_EQ(0, generic_claim(nvme.bdf, dir));
	ASSERT_EQ(0, generic_enable(dir, "1"));
	ASSERT_EQ(0, vf_set_type(nvme.vf[0], WHOLE));
	ASSERT_EQ(0, vf_set_type(nvme.vf[1], WHOLE));
	ASSERT_EQ(0, vdev_open(&self->vdev, nvme.vf[1], &self->ioas));
	pid = pci_unbind_begin(nvme.bdf);
	ASSERT_LE(0, pid);
	while (pci_exists(nvme.vf[0], "nvvgpu"))
		usleep(10000);
	EXPECT_FILE(nvme.vf[1], "nvvgpu/state", "open\n");
	EXPECT_EQ(-EBUSY, generic_enable(dir, "1"));
	/* The wait for the user does not delay other devices. */
	other = fork();
	ASSERT_LE(0, other);
	if (!other)
		_exit(-bind_pf_to_vfio_pci_and_back(self->bdf));
	EXPECT_TRUE(child_ends_soon(other));
	vdev_close(&self->vdev);
	EXPECT_EQ(0, child_status(pid));
	EXPECT_FALSE(generic_enabled(dir));
	EXPECT_UNMANAGED(nvme.vf[0]);
	EXPECT_UNMANAGED(nvme.vf[1]);
	EXPECT_EQ(-ENODEV, generic_enable(dir, "1"));

	/* It is not enabled automatically. */
	ASSERT_EQ(0, driver_bind(OTHER_DRIVER, nvme.bdf));
	EXPECT_FALSE(generic_enabled(dir));
	ASSERT_EQ(0, generic_enable(dir, "1"));
	EXPECT_EQ(0, vf_set_type(nvme.vf[0], WHOLE));
	EXPECT_EQ(0, rmdir(dir));
}

TEST_F(generic, pf_is_unplugged_and_plugged_in)
{
	char bdf[BDF_LEN];

	snprintf(bdf, sizeof(bdf), "%s", self->bdf);
	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	ASSERT_EQ(0, vf_set_type(self->vf, WHOLE));
	ASSERT_EQ(0, pci_write(bdf, "remove", "1"));
	EXPECT_FALSE(generic_enabled(self->dir));
	EXPECT_EQ(-ENODEV, generic_enable(self->dir, "1"));
	/* There is nothing to compare a size with. */
	ASSERT_EQ(0, generic_type_add(self->dir, 2));
	EXPECT_EQ(-ENXIO, generic_type_put(self->dir, 2, "bar0", "8K"));
	EXPECT_EQ(-ERANGE, generic_type_put(self->dir, 2, "max_instances", "1"));

	ASSERT_EQ(0, put("/sys/bus/pci/rescan", "1"));
	ASSERT_EQ(0, pf_prepare(&self->pf, PF_DRIVER, TEST_VFS));
	ASSERT_STREQ(bdf, self->bdf);
	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	EXPECT_EQ(0, vf_set_type(self->vf, WHOLE));
	/* By default, max_instances follows the PF that is there now. */
	EXPECT_EQ(0, generic_type_put(self->dir, 2, "enable", "1"));
	EXPECT_EQ(0, vf_set_type(self->vf2, 2));
}

/**
 * struct closer - a user that closes its device when it is asked to
 * @vdev: the device
 * @req: eventfd of VFIO_PCI_REQ_IRQ_INDEX
 * @asked: number of requests, or 0 if there was none in time
 */
struct closer {
	struct vdev *vdev;
	int req;
	int asked;
};

static void *close_if_asked(void *arg)
{
	struct closer *closer = arg;

	closer->asked = irq_wait(closer->req, WAIT_MS);
	vdev_close(closer->vdev);

	return NULL;
}

TEST_F(generic, pf_is_unplugged_with_the_device_open)
{
	struct closer closer = {
		.vdev = &self->vdev,
		.req = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};
	pthread_t thread;

	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	ASSERT_EQ(0, vf_set_type(self->vf, WHOLE));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	ASSERT_EQ(0, vdev_set_irq(&self->vdev, VFIO_PCI_REQ_IRQ_INDEX,
				  closer.req));
	ASSERT_EQ(0, pthread_create(&thread, NULL, close_if_asked, &closer));
	ASSERT_EQ(0, pci_write(self->bdf, "remove", "1"));
	pthread_join(thread, NULL);
	EXPECT_LE(1, closer.asked);
	EXPECT_FALSE(generic_enabled(self->dir));
	ASSERT_EQ(0, put("/sys/bus/pci/rescan", "1"));
	ASSERT_EQ(0, pf_prepare(&self->pf, PF_DRIVER, TEST_VFS));
	close(closer.req);
}

static void *disable_it(void *dir)
{
	generic_enable(dir, "0");

	return NULL;
}

TEST_F(generic, waiting_for_a_user_does_not_delay_other_devices)
{
	int req = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	char dir[GENERIC_DIR_LEN], path[GENERIC_DIR_LEN + 16];
	struct pf nvme;
	pthread_t thread;
	pid_t pid;

	ASSERT_EQ(0, pf_prepare(&nvme, OTHER_DRIVER, 2));
	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	ASSERT_EQ(0, vf_set_type(self->vf, WHOLE));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	ASSERT_EQ(0, vdev_set_irq(&self->vdev, VFIO_PCI_REQ_IRQ_INDEX, req));
	ASSERT_EQ(0, pthread_create(&thread, NULL, disable_it, self->dir));
	ASSERT_LT(0, irq_wait(req, WAIT_MS));

	/* The first device waits for this test. */
	EXPECT_TRUE(generic_enabled(self->dir));
	EXPECT_EQ(-EBUSY, generic_enable(self->dir, "1"));
	EXPECT_EQ(0, generic_claim(nvme.bdf, dir));
	EXPECT_EQ(0, generic_enable(dir, "1"));
	EXPECT_EQ(0, vf_set_type(nvme.vf[0], WHOLE));
	EXPECT_EQ(0, vf_set_type(nvme.vf[0], 0));
	EXPECT_EQ(0, generic_enable(dir, "0"));
	EXPECT_EQ(0, rmdir(dir));

	/* Even its own types can be changed: configfs has one lock for all. */
	snprintf(path, sizeof(path), "%s/types/9", self->dir);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		vdev_close(&self->vdev);
		_exit(mkdir(path, 0755) || rmdir(path));
	}
	EXPECT_TRUE(child_ends_soon(pid));
	EXPECT_TRUE(generic_enabled(self->dir));
	vdev_close(&self->vdev);
	pthread_join(thread, NULL);
	EXPECT_FALSE(generic_enabled(self->dir));
	close(req);
}

/* nvme as well as igb, and with the other back-ends */

TEST_F(generic, two_devices_of_different_kinds)
{
	struct pf nvme;
	struct vdev vdev;
	char dir[GENERIC_DIR_LEN];

	ASSERT_EQ(0, pf_prepare(&nvme, OTHER_DRIVER, 2));
	ASSERT_EQ(0, generic_claim(nvme.bdf, dir));
	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	ASSERT_EQ(0, generic_enable(dir, "1"));
	ASSERT_EQ(0, vf_set_type(self->vf, WHOLE));
	ASSERT_EQ(0, vf_set_type(nvme.vf[0], WHOLE));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	ASSERT_EQ(0, vdev_open(&vdev, nvme.vf[0], &self->ioas));
	EXPECT_EQ(0x0108, vdev_cfg_read32(&vdev, PCI_CLASS_REVISION) >> 16);
	EXPECT_EQ(0x0200, vdev_cfg_read32(&self->vdev, PCI_CLASS_REVISION) >> 16);
	vdev_close(&vdev);
	EXPECT_EQ(0, rmdir(dir));
	EXPECT_FILE(self->vf, "nvvgpu/state", "open\n");
}

TEST_F(generic, all_backends_at_once)
{
	struct user user = {};
	struct pf gpu, nvme;
	struct vdev vdev;
	struct vgpu_type types[MAX_TYPES];
	int nr;

	ASSERT_GPU(&gpu, TEST_VFS);
	nr = vf_types(gpu.vf[0], types, MAX_TYPES);
	ASSERT_LT(0, nr);
	ASSERT_EQ(0, vf_set_type(gpu.vf[0], type_smallest(types, nr)->id));
	ASSERT_EQ(0, user_open(&user, gpu.vf[0], IOMMU_IOMMUFD));

	ASSERT_EQ(0, generic_enable(self->dir, "1"));
	ASSERT_EQ(0, vf_set_type(self->vf, WHOLE));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));

	ASSERT_EQ(0, mod_add("nvvgpu-rm-standin", ""));
	ASSERT_EQ(0, mod_add("nvvgpu-rm", "pinned=N"));
	ASSERT_EQ(0, pf_prepare(&nvme, OTHER_DRIVER, 2));
	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "%s", nvme.bdf));
	ASSERT_EQ(0, vf_set_type(nvme.vf[0], 256));
	ASSERT_EQ(0, vdev_open(&vdev, nvme.vf[0], &self->ioas));

	EXPECT_STREQ("emu", vf_backend(gpu.vf[0], NULL));
	EXPECT_STREQ("generic", vf_backend(self->vf, NULL));
	EXPECT_STREQ("rm", vf_backend(nvme.vf[0], NULL));
	EXPECT_EQ(1, mod_refs("nvvgpu-rm"));
	/* A fourth back-end finds no free PF. */
	ASSERT_EQ(0, mod_add("nvvgpu-mock", ""));
	EXPECT_EQ(-EBUSY, mock_add(gpu.bdf, "sound"));
	EXPECT_EQ(-EBUSY, mock_add(self->bdf, "sound"));
	EXPECT_EQ(-EBUSY, mock_add(nvme.bdf, "sound"));
	EXPECT_EQ(0, mod_del("nvvgpu-mock"));

	/* Two back-ends unregister, the third remains. */
	vdev_close(&vdev);
	vdev_close(&self->vdev);
	ASSERT_EQ(0, put(STANDIN_DIR "/pf", "none"));
	ASSERT_EQ(0, generic_enable(self->dir, "0"));
	EXPECT_EQ(0, engine_run(&user.engine,
				engine_copy(NVVGPU_EMU_DESC_DST_VRAM, 0,
					    user_addr(&user, user_buf(&user, 0)),
					    MIB)));
	EXPECT_UNMANAGED(nvme.vf[0]);
	EXPECT_UNMANAGED(self->vf);
	EXPECT_FILE(gpu.vf[0], "nvvgpu/state", "open\n");
	user_close(&user);
	gpu_clean(&gpu);
	EXPECT_EQ(0, mod_del("nvvgpu-rm"));
	EXPECT_EQ(0, mod_del("nvvgpu-rm-standin"));
}

/* All at once */

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
	char buf[4096];

	if (ioas_open(&ioas, IOMMU_IOMMUFD))
		return NULL;
	while (!*load->over) {
		vf_set_type(load->vf, 1 + *load->opened % 2);
		if (!vdev_open(&vdev, load->vf, &ioas)) {
			++*load->opened;
			vdev_reset(&vdev);
			vdev_close(&vdev);
		}
		pci_read(load->vf, "nvvgpu/types/1/available_instances", buf,
			 sizeof(buf));
		vf_set_type(load->vf, 0);
	}
	ioas_close(&ioas);

	return NULL;
}

TEST_F(generic, types_and_claims_change_under_load)
{
	struct load load[TEST_VFS] = {};
	atomic_bool over = false;
	atomic_uint opened = 0;
	unsigned int i;
	int round = 0;
	time_t end;

	for (i = 0; i < TEST_VFS; i++) {
		load[i].vf = self->pf.vf[i];
		load[i].over = &over;
		load[i].opened = &opened;
		ASSERT_EQ(0, pthread_create(&load[i].thread, NULL, load_vf,
					    &load[i]));
	}
	for (end = time(NULL) + 7; time(NULL) < end || !opened; round++) {
		EXPECT_EQ(0, generic_enable(self->dir, "1"));
		EXPECT_EQ(0, generic_type_add(self->dir, 2));
		generic_type_put(self->dir, 2, "bar0", "8K");
		EXPECT_EQ(0, generic_type_put(self->dir, 2, "enable", "1"));
		usleep(round % 5 * 80000);
		EXPECT_EQ(0, generic_type_del(self->dir, 2));
		usleep(20000);
		EXPECT_EQ(0, generic_enable(self->dir, round % 2 ? "0" : "1"));
		if (round % 4 == 3) {
			EXPECT_EQ(0, rmdir(self->dir));
			EXPECT_EQ(0, mkdir(self->dir, 0755));
		}
	}
	over = true;
	for (i = 0; i < TEST_VFS; i++)
		pthread_join(load[i].thread, NULL);
	TH_LOG("%d rounds, opened %u times", round, opened);
}

int main(int argc, char **argv)
{
	return test_main(argc, argv, backend_missing("nvvgpu-generic", PF_DRIVER));
}
