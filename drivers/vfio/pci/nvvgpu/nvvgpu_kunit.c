// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the parts of the front-end that need no device.
 */
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>

#include "nvvgpu_kunit.h"

#define TEST_BAR_SIZE	SZ_64K
#define TEST_MSIX_CAP	0x80
#define TEST_MSIX_BAR	4

/* The VF's MSI-X table is in TEST_MSIX_BAR. */
static int test_config_read(struct pci_bus *bus, unsigned int devfn, int where,
			    int size, u32 *val)
{
	*val = where == TEST_MSIX_CAP + PCI_MSIX_TABLE ? TEST_MSIX_BAR : 0;

	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops test_pci_ops = { .read = test_config_read };

static int test_bar_read(void *handle, unsigned int bar,
			 u64 offset, void *buf, size_t len)
{
	return 0;
}

static int test_bar_write(void *handle, unsigned int bar,
			  u64 offset, const void *buf, size_t len)
{
	return 0;
}

static void test_event_work(struct work_struct *work)
{
}

/* A VF with three BARs, and a back-end that can trap accesses */
struct nvvgpu *nvvgpu_test_vgpu(struct kunit *test)
{
	struct pci_dev *pdev;
	struct pci_bus *bus;
	struct nvvgpu *vgpu;

	vgpu = kunit_kzalloc(test, sizeof(*vgpu), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vgpu);
	vgpu->bars = kunit_kcalloc(test, NVVGPU_MAX_BARS, sizeof(*vgpu->bars),
				   GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vgpu->bars);
	vgpu->pf = kunit_kzalloc(test, sizeof(*vgpu->pf), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vgpu->pf);
	vgpu->backend = kunit_kzalloc(test, sizeof(*vgpu->backend), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vgpu->backend);
	pdev = kunit_kzalloc(test, sizeof(*pdev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pdev);
	bus = kunit_kzalloc(test, sizeof(*bus), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bus);

	bus->ops = &test_pci_ops;
	pdev->bus = bus;
	pdev->dev.init_name = "nvvgpu-kunit";
	pdev->resource[0] = DEFINE_RES_MEM(SZ_1G, TEST_BAR_SIZE);
	pdev->resource[0].flags |= IORESOURCE_MEM_64 | IORESOURCE_PREFETCH |
				   PCI_BASE_ADDRESS_MEM_TYPE_64 |
				   PCI_BASE_ADDRESS_MEM_PREFETCH;
	pdev->resource[2] = DEFINE_RES_MEM(SZ_2G, SZ_16K);
	pdev->resource[TEST_MSIX_BAR] = DEFINE_RES_MEM(SZ_2G + SZ_64K,
						       TEST_BAR_SIZE);

	vgpu->core.pdev = pdev;
	vgpu->backend->ops = &vgpu->backend->table;
	spin_lock_init(&vgpu->pf->lock);
	INIT_DELAYED_WORK(&vgpu->event_work, test_event_work);

	return vgpu;
}

static void areas_within_the_bar(struct kunit *test)
{
	struct nvvgpu_range good[] = { { 0, SZ_4K }, { SZ_8K, SZ_8K } };

	KUNIT_EXPECT_TRUE(test, nvvgpu_areas_valid(NULL, 0, SZ_16K, SZ_4K));
	KUNIT_EXPECT_TRUE(test, nvvgpu_areas_valid(good, 2, SZ_16K, SZ_4K));
	KUNIT_EXPECT_FALSE(test, nvvgpu_areas_valid(good, 2, SZ_8K, SZ_4K));
	KUNIT_EXPECT_FALSE(test, nvvgpu_areas_valid(good, 2, SZ_16K, SZ_8K));
	KUNIT_EXPECT_FALSE(test, nvvgpu_areas_valid(good, NVVGPU_MAX_AREAS + 1,
						    SZ_16K, SZ_4K));
}

static void areas_malformed(struct kunit *test)
{
	static const struct nvvgpu_range bad[] = {
		{ 0, 0 },			/* empty */
		{ 8, SZ_4K },			/* offset not aligned */
		{ 0, SZ_4K + 8 },		/* length not aligned */
		{ SZ_16K, SZ_4K },		/* behind the end */
		{ SZ_8K, SZ_16K },		/* over the end */
		{ -(u64)SZ_4K, SZ_8K },		/* wraps to 4 KiB */
		{ SZ_4K, -(u64)SZ_4K },		/* wraps to 0 */
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_FALSE_MSG(test, nvvgpu_areas_valid(&bad[i], 1,
								SZ_16K, SZ_4K),
				       "area %u", i);
}

static void areas_overlap(struct kunit *test)
{
	struct nvvgpu_range areas[] = { { SZ_4K, SZ_4K }, { SZ_16K, SZ_4K } };

	KUNIT_EXPECT_FALSE(test, nvvgpu_overlaps(areas, 0, 0, SZ_64K));
	KUNIT_EXPECT_FALSE(test, nvvgpu_overlaps(areas, 2, 0, SZ_4K));
	KUNIT_EXPECT_TRUE(test, nvvgpu_overlaps(areas, 2, 0, SZ_4K + 1));
	KUNIT_EXPECT_TRUE(test, nvvgpu_overlaps(areas, 2, SZ_8K - 1, 1));
	KUNIT_EXPECT_FALSE(test, nvvgpu_overlaps(areas, 2, SZ_8K, SZ_8K));
	KUNIT_EXPECT_TRUE(test, nvvgpu_overlaps(areas, 2, SZ_8K, SZ_8K + 1));
	KUNIT_EXPECT_TRUE(test, nvvgpu_overlaps(areas, 2, SZ_16K + 8, 8));
	KUNIT_EXPECT_TRUE(test, nvvgpu_overlaps(areas, 2, 0, SZ_64K));
}

static void bar_mappable(struct kunit *test)
{
	struct nvvgpu_bar_info info = { .size = SZ_64K };

	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_mappable(&info, 0, SZ_4K));

	info.flags = NVVGPU_BAR_MMAP;
	KUNIT_EXPECT_TRUE(test, nvvgpu_bar_mappable(&info, 0, SZ_64K));
	KUNIT_EXPECT_TRUE(test, nvvgpu_bar_mappable(&info, SZ_32K, SZ_32K));
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_mappable(&info, SZ_32K,
						     SZ_32K + SZ_4K));
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_mappable(&info, SZ_128K, SZ_4K));
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_mappable(&info, -(u64)SZ_4K,
						     SZ_8K));

	info.nr_sparse = 2;
	info.sparse[0] = (struct nvvgpu_range) { 0, SZ_8K };
	info.sparse[1] = (struct nvvgpu_range) { SZ_32K, SZ_8K };
	KUNIT_EXPECT_TRUE(test, nvvgpu_bar_mappable(&info, 0, SZ_8K));
	KUNIT_EXPECT_TRUE(test, nvvgpu_bar_mappable(&info, SZ_32K + SZ_4K,
						    SZ_4K));
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_mappable(&info, SZ_4K, SZ_8K));
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_mappable(&info, SZ_16K, SZ_4K));
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_mappable(&info, 0, SZ_64K));

	/* A hidden BAR has no mappable page; a BAR smaller than a page has one. */
	info = (struct nvvgpu_bar_info) { .flags = NVVGPU_BAR_MMAP };
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_mappable(&info, 0, SZ_4K));
	info.size = SZ_1K;
	KUNIT_EXPECT_TRUE(test, nvvgpu_bar_mappable(&info, 0, PAGE_SIZE));
}

static void bar_same_kind(struct kunit *test)
{
	struct nvvgpu_bar_info info = {
		.size = SZ_64K,
		.nr_trapped = 2,
		/* not in their order */
		.trapped = { { SZ_16K, 8 }, { SZ_4K, 16 } },
	};
	bool trapped;

	KUNIT_EXPECT_EQ(test, nvvgpu_same_kind(&info, 0, SZ_64K, &trapped),
			SZ_4K);
	KUNIT_EXPECT_FALSE(test, trapped);
	KUNIT_EXPECT_EQ(test, nvvgpu_same_kind(&info, SZ_4K, SZ_64K, &trapped),
			16);
	KUNIT_EXPECT_TRUE(test, trapped);
	KUNIT_EXPECT_EQ(test, nvvgpu_same_kind(&info, SZ_4K + 12, 2, &trapped),
			2);
	KUNIT_EXPECT_TRUE(test, trapped);
	KUNIT_EXPECT_EQ(test, nvvgpu_same_kind(&info, SZ_4K + 16, SZ_64K,
					       &trapped),
			SZ_16K - SZ_4K - 16);
	KUNIT_EXPECT_FALSE(test, trapped);
	KUNIT_EXPECT_EQ(test, nvvgpu_same_kind(&info, SZ_16K + 8, SZ_4K,
					       &trapped),
			SZ_4K);
	KUNIT_EXPECT_FALSE(test, trapped);
}

#define TEST_BAR_ALL	(NVVGPU_BAR_READ | NVVGPU_BAR_WRITE | NVVGPU_BAR_MMAP)

static const struct nvvgpu_bar_info test_bar = {
	.size = TEST_BAR_SIZE,
	.flags = TEST_BAR_ALL,
};

static void bar_shapes(struct kunit *test)
{
	struct nvvgpu *vgpu = nvvgpu_test_vgpu(test);
	struct nvvgpu_bar_info info = test_bar;

	KUNIT_EXPECT_TRUE(test, nvvgpu_bar_valid(vgpu, 0, &info, TEST_BAR_ALL));
	info.size = PAGE_SIZE;
	KUNIT_EXPECT_TRUE(test, nvvgpu_bar_valid(vgpu, 0, &info, TEST_BAR_ALL));
	info.size = 0;
	KUNIT_EXPECT_TRUE(test, nvvgpu_bar_valid(vgpu, 0, &info, TEST_BAR_ALL));

	info.size = PAGE_SIZE / 2;
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_valid(vgpu, 0, &info, TEST_BAR_ALL));
	info.size = 3 * PAGE_SIZE;
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_valid(vgpu, 0, &info, TEST_BAR_ALL));
	info.size = 2 * TEST_BAR_SIZE;
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_valid(vgpu, 0, &info, TEST_BAR_ALL));

	info = test_bar;
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_valid(vgpu, 0, &info,
						  NVVGPU_BAR_READ));
	info.flags |= 0x8;
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_valid(vgpu, 0, &info, TEST_BAR_ALL));

	info.flags = NVVGPU_BAR_READ;
	KUNIT_EXPECT_TRUE(test, nvvgpu_bar_valid(vgpu, 0, &info, TEST_BAR_ALL));
	info.flags = NVVGPU_BAR_READ | NVVGPU_BAR_MMAP;
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_valid(vgpu, 0, &info, TEST_BAR_ALL));
	info.flags = NVVGPU_BAR_WRITE | NVVGPU_BAR_MMAP;
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_valid(vgpu, 0, &info, TEST_BAR_ALL));
}

static void bar_with_the_msix_table(struct kunit *test)
{
	struct nvvgpu *vgpu = nvvgpu_test_vgpu(test);
	struct nvvgpu_bar_info info = test_bar;

	vgpu->core.pdev->msix_cap = TEST_MSIX_CAP;
	KUNIT_EXPECT_TRUE(test, nvvgpu_bar_valid(vgpu, TEST_MSIX_BAR, &info,
						 TEST_BAR_ALL));
	info.size = SZ_32K;
	KUNIT_EXPECT_TRUE(test, nvvgpu_bar_valid(vgpu, 0, &info, TEST_BAR_ALL));
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_valid(vgpu, TEST_MSIX_BAR, &info,
						  TEST_BAR_ALL));
}

static void bar_trapped(struct kunit *test)
{
	struct nvvgpu *vgpu = nvvgpu_test_vgpu(test);
	struct nvvgpu_bar_info info = test_bar;

	info.nr_trapped = 1;
	info.trapped[0] = (struct nvvgpu_range) { SZ_8K, 8 };
	info.nr_sparse = 1;
	info.sparse[0] = (struct nvvgpu_range) { 0, SZ_8K };

	/* The back-end has no operation for trapped accesses. */
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_valid(vgpu, 0, &info, TEST_BAR_ALL));
	vgpu->backend->table.bar_read = test_bar_read;
	vgpu->backend->table.bar_write = test_bar_write;
	KUNIT_EXPECT_TRUE(test, nvvgpu_bar_valid(vgpu, 0, &info, TEST_BAR_ALL));

	/* Mapped where it is trapped */
	info.sparse[0].length = SZ_16K;
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_valid(vgpu, 0, &info, TEST_BAR_ALL));
	info.nr_sparse = 0;
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_valid(vgpu, 0, &info, TEST_BAR_ALL));
	info.flags &= ~NVVGPU_BAR_MMAP;
	KUNIT_EXPECT_TRUE(test, nvvgpu_bar_valid(vgpu, 0, &info, TEST_BAR_ALL));

	/* Less than the largest access */
	info.trapped[0].length = 4;
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_valid(vgpu, 0, &info, TEST_BAR_ALL));
}

static void bar_equal_ignores_what_is_unused(struct kunit *test)
{
	struct nvvgpu_bar_info *a, *b;

	a = kunit_kzalloc(test, sizeof(*a), GFP_KERNEL);
	b = kunit_kmalloc(test, sizeof(*b), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, a);
	KUNIT_ASSERT_NOT_NULL(test, b);
	*a = test_bar;
	a->nr_trapped = 1;
	a->trapped[0] = (struct nvvgpu_range) { SZ_8K, 8 };
	/* Padding and unused areas differ. */
	memset(b, 0xa5, sizeof(*b));
	b->size = a->size;
	b->flags = a->flags;
	b->nr_sparse = 0;
	b->nr_trapped = 1;
	b->trapped[0] = a->trapped[0];
	KUNIT_EXPECT_TRUE(test, nvvgpu_bar_equal(a, b));

	b->trapped[0].length = 16;
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_equal(a, b));
	b->trapped[0] = a->trapped[0];
	b->nr_trapped = 0;
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_equal(a, b));
	b->nr_trapped = 1;
	b->flags ^= NVVGPU_BAR_MMAP;
	KUNIT_EXPECT_FALSE(test, nvvgpu_bar_equal(a, b));
}

static struct kunit_case region_cases[] = {
	KUNIT_CASE(areas_within_the_bar),
	KUNIT_CASE(areas_malformed),
	KUNIT_CASE(areas_overlap),
	KUNIT_CASE(bar_mappable),
	KUNIT_CASE(bar_same_kind),
	KUNIT_CASE(bar_shapes),
	KUNIT_CASE(bar_with_the_msix_table),
	KUNIT_CASE(bar_trapped),
	KUNIT_CASE(bar_equal_ignores_what_is_unused),
	{ }
};

static struct kunit_suite region_suite = {
	.name = "nvvgpu-region",
	.test_cases = region_cases,
};

/* A page of user memory, filled with 0xff, which the overlays change */
char __user *nvvgpu_test_user_page(struct kunit *test)
{
	unsigned long addr;
	void *ones;

	ones = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ones);
	memset(ones, 0xff, PAGE_SIZE);
	addr = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_LT(test, addr, TASK_SIZE);
	KUNIT_ASSERT_EQ(test, copy_to_user((void __user *)addr, ones, PAGE_SIZE),
			0);

	return (char __user *)addr;
}

static u32 test_peek(struct kunit *test, const char __user *buf, size_t len)
{
	__le32 val = 0;

	KUNIT_ASSERT_EQ(test, copy_from_user(&val, buf, len), 0);

	return le32_to_cpu(val);
}

static void config_ids(struct kunit *test)
{
	struct nvvgpu_type_info type = {
		.vendor = 0x1234,
		.device = 0x1111,
		.subsystem_vendor = 0x1af4,
		.subsystem_device = 0x1100,
		.class_code = 0x038000,
	};
	char __user *buf = nvvgpu_test_user_page(test);

	KUNIT_ASSERT_EQ(test, nvvgpu_config_overlay_ids(&type, buf, 0,
							PCI_STD_HEADER_SIZEOF),
			0);
	KUNIT_EXPECT_EQ(test, test_peek(test, buf, 4), 0x11111234);
	KUNIT_EXPECT_EQ(test, test_peek(test, buf + PCI_COMMAND, 4), 0xffffffff);
	KUNIT_EXPECT_EQ(test, test_peek(test, buf + PCI_REVISION_ID, 4),
			0x038000ff);
	KUNIT_EXPECT_EQ(test, test_peek(test, buf + PCI_SUBSYSTEM_VENDOR_ID, 4),
			0x11001af4);
}

static void config_ids_kept(struct kunit *test)
{
	static const struct nvvgpu_type_info type;
	char __user *buf = nvvgpu_test_user_page(test);
	unsigned int i;

	KUNIT_ASSERT_EQ(test, nvvgpu_config_overlay_ids(&type, buf, 0,
							PCI_STD_HEADER_SIZEOF),
			0);
	for (i = 0; i < PCI_STD_HEADER_SIZEOF; i += 4)
		KUNIT_EXPECT_EQ(test, test_peek(test, buf + i, 4), 0xffffffff);
}

/* A read may begin and end anywhere. */
static void config_ids_cut(struct kunit *test)
{
	static const struct nvvgpu_type_info type = {
		.vendor = 0x1234,
		.device = 0x1111,
		.class_code = 0x038000,
	};
	char __user *buf = nvvgpu_test_user_page(test);

	KUNIT_ASSERT_EQ(test, nvvgpu_config_overlay_ids(&type, buf, 1, 2), 0);
	KUNIT_EXPECT_EQ(test, test_peek(test, buf, 4), 0xffff1112);

	KUNIT_ASSERT_EQ(test, nvvgpu_config_overlay_ids(&type, buf,
							PCI_CLASS_DEVICE + 1,
							1),
			0);
	KUNIT_EXPECT_EQ(test, test_peek(test, buf, 4), 0xffff1103);
}

static void config_bar(struct kunit *test)
{
	struct nvvgpu *vgpu = nvvgpu_test_vgpu(test);
	char __user *buf = nvvgpu_test_user_page(test);
	char __user *reg = buf + PCI_BASE_ADDRESS_0;

	vgpu->bars[0].info.size = SZ_16K;
	vgpu->bars[0].shaped = true;

	/* As firmware asks for the size: it writes ones */
	vgpu->bars[0].reg = cpu_to_le64(U64_MAX);
	KUNIT_ASSERT_EQ(test, nvvgpu_config_overlay_bar(vgpu, 0, buf, 0,
							PCI_STD_HEADER_SIZEOF),
			0);
	KUNIT_EXPECT_EQ(test, test_peek(test, reg, 4), 0xffffc00c);
	KUNIT_EXPECT_EQ(test, test_peek(test, reg + 4, 4), 0xffffffff);

	vgpu->bars[0].reg = cpu_to_le64(0x123456789abcdef0);
	KUNIT_ASSERT_EQ(test, nvvgpu_config_overlay_bar(vgpu, 0, buf, 0,
							PCI_STD_HEADER_SIZEOF),
			0);
	KUNIT_EXPECT_EQ(test, test_peek(test, reg, 4), 0x9abcc00c);
	KUNIT_EXPECT_EQ(test, test_peek(test, reg + 4, 4), 0x12345678);
	/* The next register is unchanged. */
	KUNIT_EXPECT_EQ(test, test_peek(test, reg + 8, 4), 0xffffffff);
}

static void config_bar_hidden(struct kunit *test)
{
	struct nvvgpu *vgpu = nvvgpu_test_vgpu(test);
	char __user *buf = nvvgpu_test_user_page(test);

	vgpu->bars[2].shaped = true;
	vgpu->bars[2].reg = cpu_to_le64(U64_MAX);
	KUNIT_ASSERT_EQ(test, nvvgpu_config_overlay_bar(vgpu, 2, buf, 0,
							PCI_STD_HEADER_SIZEOF),
			0);
	KUNIT_EXPECT_EQ(test, test_peek(test, buf + PCI_BASE_ADDRESS_2, 4), 0);
	KUNIT_EXPECT_EQ(test, test_peek(test, buf + PCI_BASE_ADDRESS_3, 4),
			0xffffffff);
}

static struct kunit_case config_cases[] = {
	KUNIT_CASE(config_ids),
	KUNIT_CASE(config_ids_kept),
	KUNIT_CASE(config_ids_cut),
	KUNIT_CASE(config_bar),
	KUNIT_CASE(config_bar_hidden),
	{ }
};

static struct kunit_suite config_suite = {
	.name = "nvvgpu-config",
	.test_cases = config_cases,
};

static void params_good(struct kunit *test)
{
	static const char * const good[] = {
		"", "a=1", "a=", "a=1,b=2", "a=,b=", "a=b=c", "a==",
		"frame_rate_limiter=0, disable_vnc=1", " a=1",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(good); i++)
		KUNIT_EXPECT_TRUE_MSG(test, nvvgpu_params_valid(good[i],
								strlen(good[i])),
				      "\"%s\"", good[i]);
}

static void params_bad(struct kunit *test)
{
	static const char * const bad[] = {
		"a", "=", "=1", ",", "a=1,", ",a=1", "a=1,,b=2", "a=1,b",
		"a,b=2", "a=1,=2", "a= 1", "a =1", "a=1 ,b=2", "a=1 b=2",
		"a=1, ", "a=1, ,b=2", "a=1,\tb=2", "a=\t", "a=1\nb=2",
		"a=\x7f", "a=\xc4",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_FALSE_MSG(test, nvvgpu_params_valid(bad[i],
								 strlen(bad[i])),
				       "\"%s\"", bad[i]);

	KUNIT_EXPECT_FALSE(test, nvvgpu_params_valid("a=\0b", 4));
}

static struct kunit_case params_cases[] = {
	KUNIT_CASE(params_good),
	KUNIT_CASE(params_bad),
	{ }
};

static struct kunit_suite params_suite = {
	.name = "nvvgpu-params",
	.test_cases = params_cases,
};

static void test_report_info(struct nvvgpu *vgpu,
			     const struct nvvgpu_event_info *info)
{
	spin_lock_irq(&vgpu->pf->lock);
	nvvgpu_event_add(vgpu, info);
	spin_unlock_irq(&vgpu->pf->lock);
}

static void test_report(struct nvvgpu *vgpu, enum nvvgpu_event event)
{
	struct nvvgpu_event_info info = { .event = event };

	test_report_info(vgpu, &info);
}

static void expect_event(struct kunit *test, struct nvvgpu *vgpu,
			 enum nvvgpu_event wanted, u64 times)
{
	struct nvvgpu_event_info info;
	u64 count;

	KUNIT_ASSERT_TRUE(test, nvvgpu_event_next(vgpu, &info, &count));
	KUNIT_EXPECT_EQ(test, info.event, wanted);
	KUNIT_EXPECT_EQ(test, count, times);
}

static void expect_no_event(struct kunit *test, struct nvvgpu *vgpu)
{
	struct nvvgpu_event_info info;
	u64 count;

	KUNIT_EXPECT_FALSE(test, nvvgpu_event_next(vgpu, &info, &count));
}

static void events_keep_their_order(struct kunit *test)
{
	struct nvvgpu *vgpu = nvvgpu_test_vgpu(test);
	unsigned int i;

	vgpu->state = NVVGPU_OPEN;
	for (i = NVVGPU_NR_EVENTS; i--;)
		test_report(vgpu, i);
	for (i = NVVGPU_NR_EVENTS; i--;)
		expect_event(test, vgpu, i, 1);
	expect_no_event(test, vgpu);
	KUNIT_EXPECT_EQ(test, vgpu->events.coalesced, 0);
	flush_delayed_work(&vgpu->event_work);
}

static void events_repeated(struct kunit *test)
{
	struct nvvgpu *vgpu = nvvgpu_test_vgpu(test);

	vgpu->state = NVVGPU_OPEN;
	test_report(vgpu, NVVGPU_EVENT_GUEST_UP);
	test_report(vgpu, NVVGPU_EVENT_GUEST_DOWN);
	test_report(vgpu, NVVGPU_EVENT_FAULT);
	test_report(vgpu, NVVGPU_EVENT_GUEST_UP);
	KUNIT_EXPECT_EQ(test, vgpu->events.coalesced, 1);

	expect_event(test, vgpu, NVVGPU_EVENT_GUEST_DOWN, 1);
	expect_event(test, vgpu, NVVGPU_EVENT_FAULT, 1);
	expect_event(test, vgpu, NVVGPU_EVENT_GUEST_UP, 2);
	expect_no_event(test, vgpu);

	test_report(vgpu, NVVGPU_EVENT_GUEST_UP);
	expect_event(test, vgpu, NVVGPU_EVENT_GUEST_UP, 1);
	KUNIT_EXPECT_EQ(test, vgpu->events.total[NVVGPU_EVENT_GUEST_UP], 3);
	flush_delayed_work(&vgpu->event_work);
}

static void events_flood(struct kunit *test)
{
	struct nvvgpu *vgpu = nvvgpu_test_vgpu(test);
	unsigned int i;

	vgpu->state = NVVGPU_OPEN;
	for (i = 0; i < 1000 * NVVGPU_NR_EVENTS; i++)
		test_report(vgpu, i % NVVGPU_NR_EVENTS);
	KUNIT_EXPECT_EQ(test, vgpu->events.nr, NVVGPU_NR_EVENTS);
	KUNIT_EXPECT_EQ(test, vgpu->events.coalesced, 999 * NVVGPU_NR_EVENTS);
	for (i = 0; i < NVVGPU_NR_EVENTS; i++)
		expect_event(test, vgpu, i, 1000);
	expect_no_event(test, vgpu);
	flush_delayed_work(&vgpu->event_work);
}

/* Of reports that are merged the last one is passed on. */
static void events_payload(struct kunit *test)
{
	struct nvvgpu_event_info info = {
		.event = NVVGPU_EVENT_FAULT,
		.flags = NVVGPU_EVENT_HAS_CODE | NVVGPU_EVENT_HAS_ADDRESS,
		.code = 4,
		.address = SZ_1G,
	};
	struct nvvgpu *vgpu = nvvgpu_test_vgpu(test);
	u64 count;

	vgpu->state = NVVGPU_OPEN;
	test_report(vgpu, NVVGPU_EVENT_FAULT);
	test_report(vgpu, NVVGPU_EVENT_CRASHED);
	test_report_info(vgpu, &info);

	expect_event(test, vgpu, NVVGPU_EVENT_CRASHED, 1);
	memset(&info, 0, sizeof(info));
	KUNIT_ASSERT_TRUE(test, nvvgpu_event_next(vgpu, &info, &count));
	KUNIT_EXPECT_EQ(test, count, 2);
	KUNIT_EXPECT_EQ(test, info.event, NVVGPU_EVENT_FAULT);
	KUNIT_EXPECT_EQ(test, info.code, 4);
	KUNIT_EXPECT_EQ(test, info.address, SZ_1G);
	flush_delayed_work(&vgpu->event_work);
}

static void events_dropped(struct kunit *test)
{
	struct nvvgpu *vgpu = nvvgpu_test_vgpu(test);

	vgpu->state = NVVGPU_OPEN;
	test_report(vgpu, NVVGPU_EVENT_FAULT);
	test_report(vgpu, NVVGPU_EVENT_FAULT);
	test_report(vgpu, NVVGPU_EVENT_CRASHED);
	KUNIT_EXPECT_TRUE(test, nvvgpu_event_pending(vgpu, NVVGPU_EVENT_CRASHED));
	nvvgpu_events_drop(vgpu);
	KUNIT_EXPECT_FALSE(test,
			   nvvgpu_event_pending(vgpu, NVVGPU_EVENT_CRASHED));
	expect_no_event(test, vgpu);
	KUNIT_EXPECT_EQ(test, vgpu->events.dropped, 3);

	/* The VF has no vGPU: the event is returned, but counted as dropped. */
	vgpu->state = NVVGPU_BOUND;
	test_report(vgpu, NVVGPU_EVENT_FAULT);
	expect_event(test, vgpu, NVVGPU_EVENT_FAULT, 1);
	KUNIT_EXPECT_EQ(test, vgpu->events.dropped, 4);
	flush_delayed_work(&vgpu->event_work);
}

static struct kunit_case events_cases[] = {
	KUNIT_CASE(events_keep_their_order),
	KUNIT_CASE(events_repeated),
	KUNIT_CASE(events_flood),
	KUNIT_CASE(events_payload),
	KUNIT_CASE(events_dropped),
	{ }
};

static struct kunit_suite events_suite = {
	.name = "nvvgpu-events",
	.test_cases = events_cases,
};

/* Until the last of two resets has ended, a crashed vGPU is not recovered. */
static void resets_overlap(struct kunit *test)
{
	struct nvvgpu *vgpu = nvvgpu_test_vgpu(test);

	mutex_init(&vgpu->state_mutex);
	mutex_init(&vgpu->dmabufs.scanouts_lock);
	INIT_LIST_HEAD(&vgpu->dmabufs.scanouts);
	vgpu->resets = 3;

	vgpu->state = NVVGPU_OPEN;
	KUNIT_EXPECT_EQ(test, nvvgpu_reset_end(vgpu), 0);
	test_report(vgpu, NVVGPU_EVENT_CRASHED);
	KUNIT_EXPECT_EQ(test, nvvgpu_reset_end(vgpu), -EAGAIN);
	flush_delayed_work(&vgpu->event_work);

	nvvgpu_events_drop(vgpu);
	vgpu->state = NVVGPU_ERROR;
	vgpu->resets = 2;
	KUNIT_EXPECT_EQ(test, nvvgpu_reset_end(vgpu), -EAGAIN);
	KUNIT_EXPECT_EQ(test, vgpu->resets, 1);
}

static struct kunit_case resets_cases[] = {
	KUNIT_CASE(resets_overlap),
	{ }
};

static struct kunit_suite resets_suite = {
	.name = "nvvgpu-resets",
	.test_cases = resets_cases,
};

/* Stands for any operation, as none is called. */
static void test_op(void)
{
}

#define TEST_OP ((void *)test_op)

static const struct nvvgpu_backend_ops test_ops = {
	.name = "kunit",
	.abi_major = NVVGPU_BACKEND_ABI_MAJOR,
	.abi_minor = NVVGPU_BACKEND_ABI_MINOR,
	.size = sizeof(struct nvvgpu_backend_ops),
	.get_types = TEST_OP,
	.get_type_info = TEST_OP,
	.get_available = TEST_OP,
	.create = TEST_OP,
	.delete = TEST_OP,
	.start = TEST_OP,
	.stop = TEST_OP,
};

static int test_take(struct kunit *test, const struct nvvgpu_backend_ops *ops,
		     struct nvvgpu_backend *backend)
{
	struct pci_dev *pf = nvvgpu_test_vgpu(test)->core.pdev;

	memset(backend, 0, sizeof(*backend));
	pf->is_physfn = 1;

	return nvvgpu_take_ops(pf, backend, ops);
}

static void ops_minimal(struct kunit *test)
{
	struct nvvgpu_backend backend;

	KUNIT_ASSERT_EQ(test, test_take(test, &test_ops, &backend), 0);
	KUNIT_EXPECT_PTR_EQ(test, backend.ops, &backend.table);
	KUNIT_EXPECT_EQ(test, memcmp(backend.ops, &test_ops, sizeof(test_ops)),
			0);
}

static void ops_no_pf(struct kunit *test)
{
	struct pci_dev *pf = nvvgpu_test_vgpu(test)->core.pdev;
	struct nvvgpu_backend backend = {};

	KUNIT_EXPECT_EQ(test, nvvgpu_take_ops(pf, &backend, &test_ops), -EINVAL);
}

static void ops_names(struct kunit *test)
{
	static const char * const bad[] = {
		NULL, "", "two words", "tab\t", "new\nline", "\xc4",
		"0123456789012345678901234567890123456789012345678901234567890123456789",
	};
	struct nvvgpu_backend_ops ops = test_ops;
	struct nvvgpu_backend backend;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ops.name = bad[i];
		KUNIT_EXPECT_EQ_MSG(test, test_take(test, &ops, &backend),
				    -EINVAL, "name %u", i);
	}
}

static void ops_versions(struct kunit *test)
{
	struct nvvgpu_backend_ops ops = test_ops;
	struct nvvgpu_backend backend;

	ops.abi_major++;
	KUNIT_EXPECT_EQ(test, test_take(test, &ops, &backend), -EPROTONOSUPPORT);

	/* A newer minor: what is known of it is taken. */
	ops = test_ops;
	ops.abi_minor++;
	ops.size += sizeof(void *);
	KUNIT_EXPECT_EQ(test, test_take(test, &ops, &backend), 0);

	/* An older major */
	ops = test_ops;
	ops.abi_major--;
	KUNIT_EXPECT_EQ(test, test_take(test, &ops, &backend), -EPROTONOSUPPORT);

	ops = test_ops;
	ops.size--;
	KUNIT_EXPECT_EQ(test, test_take(test, &ops, &backend), -EINVAL);
	ops = test_ops;
	ops.size = 0;
	KUNIT_EXPECT_EQ(test, test_take(test, &ops, &backend), -EINVAL);
}

struct test_op {
	size_t offset;
	const char *name;
};

#define TEST_OP_AT(op) { offsetof(struct nvvgpu_backend_ops, op), #op }

/* Check a table in which one operation differs from test_ops. */
static int test_take_with(struct kunit *test, const struct test_op *which,
			  void (*op)(void))
{
	struct nvvgpu_backend_ops ops = test_ops;
	struct nvvgpu_backend backend;

	memcpy((void *)&ops + which->offset, &op, sizeof(op));

	return test_take(test, &ops, &backend);
}

static void ops_needed(struct kunit *test)
{
	static const struct test_op needed[] = {
		TEST_OP_AT(get_types), TEST_OP_AT(get_type_info),
		TEST_OP_AT(get_available), TEST_OP_AT(create),
		TEST_OP_AT(delete), TEST_OP_AT(start), TEST_OP_AT(stop),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(needed); i++)
		KUNIT_EXPECT_EQ_MSG(test, test_take_with(test, &needed[i], NULL),
				    -EINVAL, "without %s", needed[i].name);
}

/* A PF driver that provisions its VFs by its own means */
static void ops_without_provisioning(struct kunit *test)
{
	struct nvvgpu_backend_ops ops = test_ops;
	struct nvvgpu_backend backend;

	ops.get_types = NULL;
	ops.get_type_info = NULL;
	ops.get_available = NULL;
	ops.create = NULL;
	ops.delete = NULL;
	KUNIT_EXPECT_EQ(test, test_take(test, &ops, &backend), 0);
	ops.get_placements = TEST_OP;
	KUNIT_EXPECT_EQ(test, test_take(test, &ops, &backend), -EINVAL);
}

static void ops_not_alone(struct kunit *test)
{
	static const struct test_op grouped[] = {
		TEST_OP_AT(reset_prepare), TEST_OP_AT(reset_done),
		TEST_OP_AT(bar_read), TEST_OP_AT(bar_write),
		TEST_OP_AT(suspend), TEST_OP_AT(resume),
		TEST_OP_AT(state_size), TEST_OP_AT(save_begin),
		TEST_OP_AT(save), TEST_OP_AT(save_end),
		TEST_OP_AT(load_begin), TEST_OP_AT(load),
		TEST_OP_AT(load_end), TEST_OP_AT(precopy_estimate),
		TEST_OP_AT(dma_log_start), TEST_OP_AT(dma_log_stop),
		TEST_OP_AT(dma_log_read), TEST_OP_AT(save_ahead),
		TEST_OP_AT(get_plane), TEST_OP_AT(get_edid),
		TEST_OP_AT(set_edid),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(grouped); i++)
		KUNIT_EXPECT_EQ_MSG(test,
				    test_take_with(test, &grouped[i], test_op),
				    -EINVAL, "%s alone", grouped[i].name);
}

/* The flags and versions of the migration group must match its operations. */
static void ops_migration(struct kunit *test)
{
	struct nvvgpu_backend_ops ops = test_ops, good;
	struct nvvgpu_backend backend;

	ops.mig_flags = NVVGPU_MIG_P2P;
	KUNIT_EXPECT_EQ(test, test_take(test, &ops, &backend), -EINVAL);

	ops.suspend = TEST_OP;
	ops.resume = TEST_OP;
	ops.state_size = TEST_OP;
	ops.save_begin = TEST_OP;
	ops.save = TEST_OP;
	ops.save_end = TEST_OP;
	ops.load_begin = TEST_OP;
	ops.load = TEST_OP;
	ops.load_end = TEST_OP;
	ops.state_version = 3;
	ops.state_version_min = 3;
	KUNIT_EXPECT_EQ(test, test_take(test, &ops, &backend), 0);

	good = ops;
	ops.state_version_min = 4;
	KUNIT_EXPECT_EQ(test, test_take(test, &ops, &backend), -EINVAL);

	ops = good;
	ops.mig_flags |= NVVGPU_MIG_PRE_COPY;
	KUNIT_EXPECT_EQ(test, test_take(test, &ops, &backend), -EINVAL);
	ops.precopy_estimate = TEST_OP;
	KUNIT_EXPECT_EQ(test, test_take(test, &ops, &backend), 0);
	ops.mig_flags &= ~NVVGPU_MIG_PRE_COPY;
	KUNIT_EXPECT_EQ(test, test_take(test, &ops, &backend), -EINVAL);

	ops = good;
	ops.mig_flags |= NVVGPU_MIG_REINIT;
	KUNIT_EXPECT_EQ(test, test_take(test, &ops, &backend), -EINVAL);
	ops.mig_flags |= NVVGPU_MIG_PRE_COPY;
	ops.precopy_estimate = TEST_OP;
	KUNIT_EXPECT_EQ(test, test_take(test, &ops, &backend), 0);
}

static void ops_type_names(struct kunit *test)
{
	static const char * const good[] = {
		"Q", "NVIDIA EMU-2Q", "a b c", "GRID T4-16Q (100%)",
	};
	static const char * const bad[] = {
		"", " ", " A", "A ", "A  B", "A:B", "A\"B", "A\tB", "A\nB",
		"\xc4",
	};
	char name[NVVGPU_NAME_LEN];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		strscpy_pad(name, good[i]);
		KUNIT_EXPECT_TRUE_MSG(test, nvvgpu_type_name_valid(name), "\"%s\"",
				      name);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		strscpy_pad(name, bad[i]);
		KUNIT_EXPECT_FALSE_MSG(test, nvvgpu_type_name_valid(name), "\"%s\"",
				       name);
	}
	memset(name, 'x', sizeof(name));
	KUNIT_EXPECT_FALSE(test, nvvgpu_type_name_valid(name));
	name[NVVGPU_NAME_LEN - 1] = '\0';
	KUNIT_EXPECT_TRUE(test, nvvgpu_type_name_valid(name));
}

static void types_named_as_nvidia_does(struct kunit *test)
{
	static const struct {
		const char *name;
		u64 fb_bytes;
		enum nvvgpu_type_class class;
		const char *nvidia;
	} names[] = {
		{ "NVIDIA EMU-2Q", SZ_1G, NVVGPU_CLASS_COMPUTE, "NVIDIA EMU-2Q" },
		{ "NVIDIA A100-1-5CME", 0, NVVGPU_CLASS_ANY,
		  "NVIDIA A100-1-5CME" },
		{ "Q", SZ_2G, NVVGPU_CLASS_WORKSTATION, "Q-2Q" },
		{ "Half", SZ_512M, NVVGPU_CLASS_DESKTOP, "Half-0B" },
		{ "A-B", 16ULL * SZ_1G, NVVGPU_CLASS_APPLICATIONS, "A-B-16A" },
		{ "A-2", SZ_1G, NVVGPU_CLASS_COMPUTE, "A-2-1C" },
		{ "A-2Q x", SZ_1G, NVVGPU_CLASS_ANY, "A-2Q x-1C" },
		{ "A-", 0, NVVGPU_CLASS_ANY, "A--0C" },
	};
	char name[NVVGPU_NVIDIA_NAME_LEN];
	struct nvvgpu_type_info info = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		strscpy_pad(info.name, names[i].name);
		info.fb_bytes = names[i].fb_bytes;
		info.class = names[i].class;
		nvvgpu_nvidia_name(&info, name);
		KUNIT_EXPECT_STREQ(test, name, names[i].nvidia);
	}

	memset(info.name, 'x', sizeof(info.name) - 1);
	info.fb_bytes = U64_MAX;
	nvvgpu_nvidia_name(&info, name);
	KUNIT_EXPECT_STREQ(test, name + NVVGPU_NAME_LEN - 1, "-17179869183C");
}

/* Bytes of struct nvvgpu_type_info that are not attributes */
static bool test_type_ignores(size_t byte)
{
	const size_t argsz = offsetof(struct nvvgpu_type_info, argsz);
	const size_t hole = offsetofend(struct nvvgpu_type_info, class);

	return (byte >= argsz && byte < argsz + sizeof(u32)) ||
	       (byte >= hole &&
		byte < offsetof(struct nvvgpu_type_info, fb_bytes));
}

/* An attribute that is missing from the comparison, or a new hole, fails. */
static void types_differ_in_any_byte(struct kunit *test)
{
	struct nvvgpu_type_info a = {}, b;
	size_t i;

	memset(a.name, 'x', sizeof(a.name) - 1);
	for (i = 0; i < sizeof(a); i++) {
		/* A name without its NUL is refused before it is compared. */
		if (i == offsetofend(struct nvvgpu_type_info, name) - 1)
			continue;
		memcpy(&b, &a, sizeof(b));
		((u8 *)&b)[i] ^= 1;
		KUNIT_EXPECT_EQ_MSG(test, nvvgpu_type_same(&a, &b),
				    test_type_ignores(i), "byte %zu", i);
	}

	/* The rest of the buffer after a name */
	a.name[1] = '\0';
	memcpy(&b, &a, sizeof(b));
	b.name[2] = 'y';
	KUNIT_EXPECT_TRUE(test, nvvgpu_type_same(&a, &b));
}

static struct kunit_case ops_cases[] = {
	KUNIT_CASE(ops_minimal),
	KUNIT_CASE(ops_no_pf),
	KUNIT_CASE(ops_names),
	KUNIT_CASE(ops_versions),
	KUNIT_CASE(ops_needed),
	KUNIT_CASE(ops_without_provisioning),
	KUNIT_CASE(ops_not_alone),
	KUNIT_CASE(ops_migration),
	KUNIT_CASE(ops_type_names),
	KUNIT_CASE(types_named_as_nvidia_does),
	KUNIT_CASE(types_differ_in_any_byte),
	{ }
};

static struct kunit_suite ops_suite = {
	.name = "nvvgpu-ops",
	.test_cases = ops_cases,
};

kunit_test_suites(&region_suite, &config_suite, &params_suite, &events_suite,
		  &resets_suite, &ops_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit tests for nvvgpu-vfio-pci");
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_IMPORT_NS("NVVGPU");
