// SPDX-License-Identifier: GPL-2.0
/*
 * The sample back-end, as a model for a test of one's own: the PF of an ordinary
 * SR-IOV device is given to it.
 */
#include <sys/mman.h>

#include <linux/pci_regs.h>

#include "nvvgpu_test.h"
#include "lib/backend.h"
#include "lib/display.h"

#define PF_DRIVER	"igb"
#define SAMPLE		"nvvgpu-sample"

#define TYPE_SMALL		1
#define TYPE_LARGE		2

FIXTURE(sample) {
	struct pf pf;
	const char *vf;
	const char *vf2;
	struct ioas ioas;
	struct vdev vdev;
};

FIXTURE_SETUP(sample)
{
	self->vdev.fd = -1;
	self->vdev.group = -1;
	ASSERT_EQ(0, mod_add("nvvgpu-sample", ""));
	ASSERT_EQ(0, pf_find_driver(&self->pf, PF_DRIVER));
	ASSERT_EQ(0, pf_set_vfs(&self->pf, 0));
	ASSERT_EQ(0, pci_bind(self->pf.bdf, SAMPLE));
	ASSERT_EQ(0, pf_prepare(&self->pf, SAMPLE, TEST_VFS));
	self->vf = self->pf.vf[0];
	self->vf2 = self->pf.vf[1];
	ASSERT_EQ(0, ioas_open(&self->ioas, IOMMU_IOMMUFD));
}

FIXTURE_TEARDOWN(sample)
{
	vdev_close(&self->vdev);
	ioas_close(&self->ioas);
	pf_set_vfs(&self->pf, 0);
	pci_unbind(self->pf.bdf);
	pci_write(self->pf.bdf, "driver_override", "\n");
	driver_bind(PF_DRIVER, self->pf.bdf);
	EXPECT_EQ(0, mod_del("nvvgpu-sample"));
}

TEST_F(sample, whole_life)
{
	EXPECT_STREQ("sample", vf_backend(self->vf, NULL));
	EXPECT_FILE(self->vf, "nvvgpu/capabilities", "create stats display\n");
	EXPECT_FILE(self->vf, "nvidia/creatable_vgpu_types",
		    "ID    : vGPU Name\n"
		    "1     : Sample small-1C\n"
		    "2     : Sample large-4B\n");
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_SMALL));
	EXPECT_FILE(self->vf, "nvvgpu/stats", "starts 0\n");
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	EXPECT_EQ(1, mod_refs("nvvgpu-sample"));
	EXPECT_EQ(0, vdev_reset(&self->vdev));
	vdev_close(&self->vdev);
	EXPECT_EQ(0, mod_refs("nvvgpu-sample"));
	EXPECT_FILE(self->vf, "nvvgpu/stats", "starts 1\n");
	ASSERT_EQ(0, vf_set_type(self->vf, 0));
	EXPECT_FILE(self->vf, "nvvgpu/state", "bound\n");
	/* The next vGPU does not have the counters of this one. */
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_SMALL));
	EXPECT_FILE(self->vf, "nvvgpu/stats", "starts 0\n");
}

TEST_F(sample, framebuffer_is_shared_out)
{
	struct vgpu_type types[4];

	ASSERT_EQ(2, vf_types(self->vf, types, 4));
	EXPECT_EQ(4, types[0].available);
	EXPECT_EQ(1, types[1].available);
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_SMALL));
	ASSERT_EQ(2, vf_types(self->vf, types, 4));
	EXPECT_EQ(3, types[0].available);
	EXPECT_EQ(0, types[1].available);
	EXPECT_STREQ("3072 MiB of framebuffer are left", types[1].reason);
	EXPECT_EQ(-EIO, vf_set_type(self->vf2, TYPE_LARGE));
	ASSERT_EQ(0, vf_set_type(self->vf, 0));
	EXPECT_EQ(0, vf_set_type(self->vf2, TYPE_LARGE));
}

TEST_F(sample, display_is_the_first_page_of_a_bar)
{
	struct vfio_device_gfx_plane_info info;
	struct vfio_region_gfx_edid edid;
	__u8 blob[EDID_BLOCK];
	void *shown;

	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_LARGE));
	ASSERT_EQ(0, vdev_open(&self->vdev, self->vf, &self->ioas));
	ASSERT_EQ(0, gfx_wait(&self->vdev, 64, &info));
	EXPECT_EQ(16, info.height);
	EXPECT_EQ(FORMAT_XRGB8888, info.drm_format);
	ASSERT_EQ(0, vdev_map_bar(&self->vdev, 0));
	ASSERT_EQ(0, gfx_map(&self->vdev, info.region_index, 0, info.size,
			     PROT_READ, &shown));
	EXPECT_EQ(*(__u32 *)self->vdev.bar[0], *(__u32 *)shown);
	munmap(shown, info.size);

	ASSERT_EQ(0, edid_info(&self->vdev, &edid));
	EXPECT_EQ(VFIO_DEVICE_GFX_LINK_STATE_DOWN, edid.link_state);
	edid_make(blob, 640, 480);
	EXPECT_EQ(0, edid_plug(&self->vdev, blob, sizeof(blob)));
	ASSERT_EQ(0, edid_info(&self->vdev, &edid));
	EXPECT_EQ(VFIO_DEVICE_GFX_LINK_STATE_UP, edid.link_state);
	EXPECT_EQ(EDID_BLOCK, edid.edid_size);
}

TEST_F(sample, placements_are_vfs)
{
	ASSERT_EQ(0, vf_set_type(self->vf2, TYPE_SMALL));
	EXPECT_FILE(self->vf2, "nvidia/placement_id", "1\n");
	ASSERT_EQ(0, pci_write(self->vf, "nvidia/placement_id", "1"));
	EXPECT_EQ(-EIO, vf_set_type(self->vf, TYPE_SMALL));
}

TEST_F(sample, unplugged_with_vgpus)
{
	ASSERT_EQ(0, vf_set_type(self->vf, TYPE_SMALL));
	ASSERT_EQ(0, vf_set_type(self->vf2, TYPE_SMALL));
	ASSERT_EQ(0, pci_write(self->pf.bdf, "remove", "1"));
	EXPECT_EQ(0, mod_refs("nvvgpu-sample"));
	ASSERT_EQ(0, put("/sys/bus/pci/rescan", "1"));
	EXPECT_TRUE(pci_exists(self->pf.bdf, "sriov_numvfs"));
}

int main(int argc, char **argv)
{
	return test_main(argc, argv, backend_missing("nvvgpu-sample", PF_DRIVER));
}
