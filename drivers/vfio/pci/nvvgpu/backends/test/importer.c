// SPDX-License-Identifier: GPL-2.0-only
/*
 * An importer of dma-bufs without hardware, for the selftests.
 *
 * Files in /sys/kernel/debug/nvvgpu-importer:
 *
 *   attach   "FD BDF" attaches a PCI device to a dma-buf; "FD BDF plain" attaches
 *            it like an importer that pins the dma-buf; replaces the last attachment
 *   map      any line maps the dma-buf for the device
 *   detach   any line undoes both
 *   state    lines of "name value": attached, mapped, invalidated
 */
#include <linux/debugfs.h>
#include <linux/dma-buf.h>
#include <linux/dma-direction.h>
#include <linux/dma-resv.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

static DEFINE_MUTEX(importer_mutex);	/* protects everything but the next two */
static struct sg_table *importer_sgt;	/* reservation of the dma-buf */
static unsigned int importer_invalidated;	/* the same */
static struct dma_buf_attachment *importer_attachment;
static struct pci_dev *importer_pdev;
static struct dentry *importer_dir;

static void importer_unmap(struct dma_buf_attachment *attachment)
{
	dma_resv_assert_held(attachment->dmabuf->resv);

	if (importer_sgt)
		dma_buf_unmap_attachment(attachment, importer_sgt,
					 DMA_BIDIRECTIONAL);
	importer_sgt = NULL;
}

static void importer_invalidate(struct dma_buf_attachment *attachment)
{
	importer_invalidated++;
	importer_unmap(attachment);
}

static const struct dma_buf_attach_ops importer_ops = {
	.allow_peer2peer = true,
	.invalidate_mappings = importer_invalidate,
};

static void importer_detach(void)
{
	struct dma_buf *dmabuf;

	if (!importer_attachment)
		return;

	dmabuf = importer_attachment->dmabuf;
	dma_resv_lock(dmabuf->resv, NULL);
	importer_unmap(importer_attachment);
	importer_invalidated = 0;
	dma_resv_unlock(dmabuf->resv);
	dma_buf_detach(dmabuf, importer_attachment);
	dma_buf_put(dmabuf);
	pci_dev_put(importer_pdev);
	importer_attachment = NULL;
}

static int importer_attach(int fd, const char *bdf, bool plain)
{
	struct dma_buf_attachment *attachment;
	struct dma_buf *dmabuf;
	unsigned int domain, bus, slot, fn;
	struct pci_dev *pdev;

	if (sscanf(bdf, "%x:%x:%x.%x", &domain, &bus, &slot, &fn) != 4)
		return -EINVAL;
	pdev = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, fn));
	if (!pdev)
		return -ENODEV;
	dmabuf = dma_buf_get(fd);
	if (IS_ERR(dmabuf)) {
		pci_dev_put(pdev);
		return PTR_ERR(dmabuf);
	}

	if (plain)
		attachment = dma_buf_attach(dmabuf, &pdev->dev);
	else
		attachment = dma_buf_dynamic_attach(dmabuf, &pdev->dev,
						    &importer_ops, NULL);
	if (IS_ERR(attachment)) {
		dma_buf_put(dmabuf);
		pci_dev_put(pdev);
		return PTR_ERR(attachment);
	}
	importer_attachment = attachment;
	importer_pdev = pdev;

	return 0;
}

static ssize_t attach_write(struct file *file, const char __user *buf,
			    size_t count, loff_t *ppos)
{
	char line[64] = "", bdf[16], plain[8] = "";
	int fd, ret;

	if (count >= sizeof(line))
		return -E2BIG;
	if (copy_from_user(line, buf, count))
		return -EFAULT;
	if (sscanf(line, "%d %15s %7s", &fd, bdf, plain) < 2)
		return -EINVAL;

	guard(mutex)(&importer_mutex);

	importer_detach();
	ret = importer_attach(fd, bdf, !strcmp(plain, "plain"));

	return ret ?: count;
}

static ssize_t map_write(struct file *file, const char __user *buf,
			 size_t count, loff_t *ppos)
{
	struct dma_buf_attachment *attachment;
	struct sg_table *sgt;

	guard(mutex)(&importer_mutex);

	attachment = importer_attachment;
	if (!attachment)
		return -ENOENT;

	dma_resv_lock(attachment->dmabuf->resv, NULL);
	importer_unmap(attachment);
	sgt = dma_buf_map_attachment(attachment, DMA_BIDIRECTIONAL);
	if (!IS_ERR(sgt))
		importer_sgt = sgt;
	dma_resv_unlock(attachment->dmabuf->resv);

	return IS_ERR(sgt) ? PTR_ERR(sgt) : count;
}

static ssize_t detach_write(struct file *file, const char __user *buf,
			    size_t count, loff_t *ppos)
{
	guard(mutex)(&importer_mutex);

	importer_detach();

	return count;
}

static int state_show(struct seq_file *m, void *unused)
{
	unsigned int invalidated = 0;
	bool mapped = false;

	guard(mutex)(&importer_mutex);

	if (importer_attachment) {
		dma_resv_lock(importer_attachment->dmabuf->resv, NULL);
		mapped = importer_sgt;
		invalidated = importer_invalidated;
		dma_resv_unlock(importer_attachment->dmabuf->resv);
	}
	seq_printf(m, "attached %d\nmapped %d\ninvalidated %u\n",
		   !!importer_attachment, mapped, invalidated);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(state);

#define IMPORTER_FOPS(_name)					\
static const struct file_operations _name##_fops = {		\
	.owner = THIS_MODULE,					\
	.open = simple_open,					\
	.write = _name##_write,					\
}

IMPORTER_FOPS(attach);
IMPORTER_FOPS(map);
IMPORTER_FOPS(detach);

static int __init importer_init(void)
{
	importer_dir = debugfs_create_dir("nvvgpu-importer", NULL);
	debugfs_create_file("attach", 0200, importer_dir, NULL, &attach_fops);
	debugfs_create_file("map", 0200, importer_dir, NULL, &map_fops);
	debugfs_create_file("detach", 0200, importer_dir, NULL, &detach_fops);
	debugfs_create_file("state", 0400, importer_dir, NULL, &state_fops);

	return 0;
}

static void __exit importer_exit(void)
{
	debugfs_remove(importer_dir);

	guard(mutex)(&importer_mutex);
	importer_detach();
}

module_init(importer_init);
module_exit(importer_exit);

MODULE_IMPORT_NS("DMA_BUF");
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Importer of dma-bufs without hardware, for selftests");
