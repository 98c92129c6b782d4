/*
 * QTest of nvvgpu-emu, the emulated SR-IOV GPU
 *
 * No guest runs: the test acts as the host driver and the guest drivers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/cutils.h"
#include "qemu/host-utils.h"
#include "qemu/units.h"
#include "qobject/qdict.h"
#include "tests/qtest/libqtest.h"
#include "hw/pci/pci_ids.h"
#include "standard-headers/linux/pci_regs.h"
#include "nvvgpu_emu.h"

/* Machine: a root port on bus 0, the GPU on bus 1 */
#define ECAM            0xb0000000ULL
#define PORT            PCI_ADDR(0, 1 << 3)
#define PF              PCI_ADDR(1, 0)
#define VF(n)           PCI_ADDR(1, 4 + (n))
#define PCI_ADDR(bus, devfn)    (ECAM + ((bus) << 20) + ((devfn) << 12))

#define PF_REGS         0xc0000000ULL
#define PF_MSIX         0xc0001000ULL
#define VF_REGS(n)      (0xc0100000ULL + (n) * NVVGPU_EMU_VF_REGS_SIZE)
#define VF_MSIX(n)      (0xc0200000ULL + (n) * 0x1000)
#define PF_VRAM         (64 * GiB)
#define VF_FB(n)        (128 * GiB + (n) * (uint64_t)NVVGPU_EMU_VF_FB_SIZE)

#define PORT_CAP_EXP    0x54
#define CAP_PM          0x40
#define CAP_EXP         0x60
#define CAP_MSIX        0xa0
#define CAP_SRIOV       0x160

/* RAM: 256 MiB */
#define RAM_SIZE        (256 * MiB)
#define CMD_RING        0x100000
#define MSG_RING        0x102000
#define RING_SIZE       16
#define BUF             0x110000
#define BUF_SIZE        0x10000
#define IRQ(vf, vec)    (0x130000 + (vf) * 0x100 + (vec) * 4)
#define IRQ_PF(vec)     (0x13f000 + (vec) * 4)
#define VF_RING(n)      (0x200000 + (n) * 0x10000)
#define VF_RING_SIZE    64
#define MEM             0x1000000

#define GRANULE         (512 * MiB)

typedef struct Gpu {
    QTestState *qts;
    uint32_t cmd_tail;
    uint32_t msg_head;
    uint32_t seq;
    struct nvvgpu_emu_msg event;    /* the last one */
    unsigned int events;
    uint32_t vf_tail[NVVGPU_EMU_MAX_VFS];
} Gpu;

/*
 * PCI
 */

static uint32_t cfg_readl(Gpu *g, uint64_t addr)
{
    return qtest_readl(g->qts, addr);
}

static uint16_t cfg_readw(Gpu *g, uint64_t addr)
{
    return qtest_readw(g->qts, addr);
}

static void cfg_writel(Gpu *g, uint64_t addr, uint32_t val)
{
    qtest_writel(g->qts, addr, val);
}

static void cfg_writew(Gpu *g, uint64_t addr, uint16_t val)
{
    qtest_writew(g->qts, addr, val);
}

/* The part of the PCI setup by firmware and kernel that the tests need */
static void setup_bridge(Gpu *g)
{
    qtest_outl(g->qts, 0xcf8, 0x80000060);
    qtest_outl(g->qts, 0xcfc, ECAM | 1);

    cfg_writew(g, PORT + PCI_BRIDGE_CONTROL, 0);
    cfg_writel(g, PORT + PCI_PRIMARY_BUS, 0x00010100);
    cfg_writew(g, PORT + PCI_MEMORY_BASE, 0xc000);
    cfg_writew(g, PORT + PCI_MEMORY_LIMIT, 0xcff0);
    cfg_writew(g, PORT + PCI_PREF_MEMORY_BASE, 0x0001);
    cfg_writew(g, PORT + PCI_PREF_MEMORY_LIMIT, 0xfff1);
    cfg_writel(g, PORT + PCI_PREF_BASE_UPPER32, (64 * GiB) >> 32);
    cfg_writel(g, PORT + PCI_PREF_LIMIT_UPPER32, (252 * GiB) >> 32);
    cfg_writew(g, PORT + PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void setup_msix(Gpu *g, uint64_t cfg, uint64_t table, uint64_t irq,
                       unsigned int vectors)
{
    for (unsigned int i = 0; i < vectors; i++) {
        qtest_writel(g->qts, table + i * 16, irq + i * 4);
        qtest_writel(g->qts, table + i * 16 + 4, 0);
        qtest_writel(g->qts, table + i * 16 + 8, 0x1000 + i);
        qtest_writel(g->qts, table + i * 16 + 12, 0);
        qtest_writel(g->qts, irq + i * 4, 0);
    }
    cfg_writew(g, cfg + CAP_MSIX + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
}

static void setup_pf(Gpu *g)
{
    cfg_writel(g, PF + PCI_BASE_ADDRESS_0, PF_REGS);
    cfg_writel(g, PF + PCI_BASE_ADDRESS_2, (uint32_t)PF_VRAM);
    cfg_writel(g, PF + PCI_BASE_ADDRESS_3, PF_VRAM >> 32);
    cfg_writel(g, PF + PCI_BASE_ADDRESS_4, PF_MSIX);
    cfg_writew(g, PF + PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    setup_msix(g, PF, PF_MSIX, IRQ_PF(0), NVVGPU_EMU_PF_VECTORS);
}

static void sriov_enable(Gpu *g, unsigned int vfs)
{
    cfg_writel(g, PF + CAP_SRIOV + PCI_SRIOV_BAR, (uint32_t)VF_FB(0));
    cfg_writel(g, PF + CAP_SRIOV + PCI_SRIOV_BAR + 4, VF_FB(0) >> 32);
    cfg_writel(g, PF + CAP_SRIOV + PCI_SRIOV_BAR + 8, VF_REGS(0));
    cfg_writel(g, PF + CAP_SRIOV + PCI_SRIOV_BAR + 16, VF_MSIX(0));
    cfg_writew(g, PF + CAP_SRIOV + PCI_SRIOV_NUM_VF, vfs);
    cfg_writew(g, PF + CAP_SRIOV + PCI_SRIOV_CTRL,
               PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE | PCI_SRIOV_CTRL_ARI);
}

static void sriov_disable(Gpu *g)
{
    cfg_writew(g, PF + CAP_SRIOV + PCI_SRIOV_CTRL, 0);
}

static void setup_vf(Gpu *g, unsigned int vf)
{
    cfg_writew(g, VF(vf) + PCI_COMMAND, PCI_COMMAND_MASTER);
    setup_msix(g, VF(vf), VF_MSIX(vf), IRQ(vf, 0), NVVGPU_EMU_VF_VECTORS);
}

static void flr(Gpu *g, uint64_t cfg)
{
    uint16_t ctl = cfg_readw(g, cfg + CAP_EXP + PCI_EXP_DEVCTL);

    cfg_writew(g, cfg + CAP_EXP + PCI_EXP_DEVCTL,
               ctl | PCI_EXP_DEVCTL_BCR_FLR);
}

/*
 * The firmware
 */

static uint32_t pf_readl(Gpu *g, uint32_t reg)
{
    return qtest_readl(g->qts, PF_REGS + reg);
}

static void pf_writel(Gpu *g, uint32_t reg, uint32_t val)
{
    qtest_writel(g->qts, PF_REGS + reg, val);
}

static uint32_t fw_status(Gpu *g)
{
    return pf_readl(g, NVVGPU_EMU_PF_REG_FW_STATUS);
}

static void step_ms(Gpu *g, unsigned int ms)
{
    for (unsigned int i = 0; i < ms * 10; i++) {
        qtest_clock_step(g->qts, 100 * 1000);
    }
}

static void fw_rings(Gpu *g)
{
    pf_writel(g, NVVGPU_EMU_PF_REG_CMD_BASE, CMD_RING);
    pf_writel(g, NVVGPU_EMU_PF_REG_CMD_BASE + 4, 0);
    pf_writel(g, NVVGPU_EMU_PF_REG_CMD_SIZE, RING_SIZE);
    pf_writel(g, NVVGPU_EMU_PF_REG_MSG_BASE, MSG_RING);
    pf_writel(g, NVVGPU_EMU_PF_REG_MSG_BASE + 4, 0);
    pf_writel(g, NVVGPU_EMU_PF_REG_MSG_SIZE, RING_SIZE);
}

static void fw_boot(Gpu *g)
{
    g->cmd_tail = 0;
    g->msg_head = 0;
    fw_rings(g);
    pf_writel(g, NVVGPU_EMU_PF_REG_FW_CTRL, NVVGPU_EMU_FW_CTRL_BOOT);
    g_assert_cmpuint(fw_status(g), ==, NVVGPU_EMU_FW_BOOTING);
    step_ms(g, 20);
    g_assert_cmpuint(fw_status(g), ==, NVVGPU_EMU_FW_READY);
}

static uint32_t fw_send_buf(Gpu *g, uint16_t opcode, uint16_t vf, uint64_t arg0,
                            uint64_t arg1, uint64_t arg2, uint64_t addr,
                            uint32_t len)
{
    struct nvvgpu_emu_cmd cmd = {
        .seq = cpu_to_le32(++g->seq),
        .opcode = cpu_to_le16(opcode),
        .vf = cpu_to_le16(vf),
        .addr = cpu_to_le64(addr),
        .len = cpu_to_le32(len),
        .arg = { cpu_to_le64(arg0), cpu_to_le64(arg1), cpu_to_le64(arg2) },
    };

    qtest_memwrite(g->qts, CMD_RING + g->cmd_tail % RING_SIZE * sizeof(cmd),
                   &cmd, sizeof(cmd));
    pf_writel(g, NVVGPU_EMU_PF_REG_CMD_TAIL, ++g->cmd_tail);
    return g->seq;
}

static uint32_t fw_send(Gpu *g, uint16_t opcode, uint16_t vf, uint64_t arg0,
                        uint64_t arg1, uint64_t arg2, uint32_t len)
{
    return fw_send_buf(g, opcode, vf, arg0, arg1, arg2, BUF, len);
}

/* Get the next message; wait up to @ms milliseconds for it */
static bool fw_recv(Gpu *g, struct nvvgpu_emu_msg *msg, unsigned int ms)
{
    for (unsigned int i = 0; i < ms * 10; i++) {
        if (pf_readl(g, NVVGPU_EMU_PF_REG_MSG_TAIL) != g->msg_head) {
            qtest_memread(g->qts, MSG_RING + g->msg_head % RING_SIZE *
                          sizeof(*msg), msg, sizeof(*msg));
            pf_writel(g, NVVGPU_EMU_PF_REG_MSG_HEAD, ++g->msg_head);
            return true;
        }
        qtest_clock_step(g->qts, 100 * 1000);
    }

    return false;
}

/* Get the response to @seq; count the events that precede it */
static bool fw_wait(Gpu *g, uint32_t seq, struct nvvgpu_emu_msg *msg)
{
    while (fw_recv(g, msg, 20)) {
        if (le32_to_cpu(msg->seq) == seq) {
            return true;
        }
        g_assert_cmpuint(le32_to_cpu(msg->seq), ==, 0);
        g->event = *msg;
        g->events++;
    }

    return false;
}

static struct nvvgpu_emu_msg fw_cmd(Gpu *g, uint16_t opcode, uint16_t vf,
                                    uint64_t arg0, uint64_t arg1,
                                    uint64_t arg2, uint32_t len)
{
    struct nvvgpu_emu_msg msg;
    uint32_t seq = fw_send(g, opcode, vf, arg0, arg1, arg2, len);

    g_assert_true(fw_wait(g, seq, &msg));
    g_assert_cmpuint(le16_to_cpu(msg.opcode), ==, opcode);
    g_assert_cmpuint(le16_to_cpu(msg.vf), ==, vf);
    return msg;
}

#define fw_expect(g, want, ...) do {                                    \
    struct nvvgpu_emu_msg m_ = fw_cmd(g, __VA_ARGS__);                  \
    g_assert_cmpuint(le32_to_cpu(m_.status), ==, NVVGPU_EMU_##want);    \
} while (0)

#define fw_ok(g, ...)   fw_expect(g, OK, __VA_ARGS__)

/* Consume all events and return their number */
static unsigned int fw_events(Gpu *g)
{
    struct nvvgpu_emu_msg msg;

    g->events = 0;
    while (fw_recv(g, &msg, 1)) {
        g_assert_cmpuint(le32_to_cpu(msg.seq), ==, 0);
        g->event = msg;
        g->events++;
    }

    return g->events;
}

static uint64_t fw_create(Gpu *g, unsigned int vf, uint32_t type)
{
    struct nvvgpu_emu_msg msg;

    msg = fw_cmd(g, NVVGPU_EMU_CMD_CREATE, vf, type, NVVGPU_EMU_PLACEMENT_ANY,
                 0, 0);
    g_assert_cmpuint(le32_to_cpu(msg.status), ==, NVVGPU_EMU_OK);
    g_assert_cmpuint(le64_to_cpu(msg.res[1]), ==,
                     le64_to_cpu(msg.res[0]) * GRANULE);
    return le64_to_cpu(msg.res[1]);
}

static struct nvvgpu_emu_stats fw_stats(Gpu *g, unsigned int vf)
{
    struct nvvgpu_emu_stats stats;

    fw_ok(g, NVVGPU_EMU_CMD_STATS, vf, 0, 0, 0, sizeof(stats));
    qtest_memread(g->qts, BUF, &stats, sizeof(stats));
    return stats;
}

static void set_faults(Gpu *g, const char *faults)
{
    qtest_qmp_assert_success(g->qts, "{ 'execute': 'qom-set', 'arguments': {"
                             " 'path': '/machine/peripheral/gpu',"
                             " 'property': 'fw-faults', 'value': %s } }",
                             faults);
}

static bool faults_refused(Gpu *g, const char *faults)
{
    QDict *rsp = qtest_qmp(g->qts, "{ 'execute': 'qom-set', 'arguments': {"
                           " 'path': '/machine/peripheral/gpu',"
                           " 'property': 'fw-faults', 'value': %s } }",
                           faults);
    bool refused = qdict_haskey(rsp, "error");

    qobject_unref(rsp);
    return refused;
}

/*
 * Engines
 */

static uint32_t vf_readl(Gpu *g, unsigned int vf, uint32_t reg)
{
    return qtest_readl(g->qts, VF_REGS(vf) + reg);
}

static void vf_writel(Gpu *g, unsigned int vf, uint32_t reg, uint32_t val)
{
    qtest_writel(g->qts, VF_REGS(vf) + reg, val);
}

static void vf_ring(Gpu *g, unsigned int vf)
{
    g->vf_tail[vf] = 0;
    vf_writel(g, vf, NVVGPU_EMU_VF_REG_RING_BASE, VF_RING(vf));
    vf_writel(g, vf, NVVGPU_EMU_VF_REG_RING_BASE + 4, 0);
    vf_writel(g, vf, NVVGPU_EMU_VF_REG_RING_SIZE, VF_RING_SIZE);
    vf_writel(g, vf, NVVGPU_EMU_VF_REG_ERROR_VECTOR, 7);
    vf_writel(g, vf, NVVGPU_EMU_VF_REG_CTRL, NVVGPU_EMU_VF_CTRL_RUN);
}

/* Create and start a vGPU, and run its engine */
static uint64_t vf_up(Gpu *g, unsigned int vf, uint32_t type)
{
    uint64_t offset = fw_create(g, vf, type);

    fw_ok(g, NVVGPU_EMU_CMD_START, vf, 0, 0, 0, 0);
    setup_vf(g, vf);
    vf_ring(g, vf);
    g_assert_cmphex(vf_readl(g, vf, NVVGPU_EMU_VF_REG_STATUS), ==,
                    NVVGPU_EMU_VF_STATUS_RUNNING);
    return offset;
}

static void vf_put(Gpu *g, unsigned int vf, const struct nvvgpu_emu_desc *d)
{
    struct nvvgpu_emu_desc raw = {
        .op = cpu_to_le32(d->op),
        .flags = cpu_to_le32(d->flags),
        .src = cpu_to_le64(d->src),
        .dst = cpu_to_le64(d->dst),
        .len = cpu_to_le64(d->len),
        .data = cpu_to_le64(d->data),
        .vector = cpu_to_le32(d->vector),
        .reserved[0] = cpu_to_le32(d->reserved[0]),
    };

    qtest_memwrite(g->qts, VF_RING(vf) + g->vf_tail[vf]++ % VF_RING_SIZE *
                   sizeof(raw), &raw, sizeof(raw));
}

static void vf_ring_bell(Gpu *g, unsigned int vf)
{
    vf_writel(g, vf, NVVGPU_EMU_VF_REG_DOORBELL, g->vf_tail[vf]);
}

static void vf_drain(Gpu *g, unsigned int vf)
{
    for (unsigned int i = 0; i < 10000; i++) {
        if (!(vf_readl(g, vf, NVVGPU_EMU_VF_REG_STATUS) &
              NVVGPU_EMU_VF_STATUS_BUSY)) {
            return;
        }
        qtest_clock_step(g->qts, 20 * 1000);
    }
    g_assert_not_reached();
}

static uint32_t vf_do(Gpu *g, unsigned int vf, struct nvvgpu_emu_desc d)
{
    vf_put(g, vf, &d);
    vf_ring_bell(g, vf);
    vf_drain(g, vf);
    return vf_readl(g, vf, NVVGPU_EMU_VF_REG_ERROR);
}

/* Submit a bad descriptor, check error and address, and reset the engine */
static void vf_refused(Gpu *g, unsigned int vf, struct nvvgpu_emu_desc d,
                       uint32_t error, uint64_t addr)
{
    uint32_t head = vf_readl(g, vf, NVVGPU_EMU_VF_REG_RING_HEAD);

    qtest_writel(g->qts, IRQ(vf, 7), 0);
    g_assert_cmpuint(vf_do(g, vf, d), ==, error);
    g_assert_cmphex(qtest_readq(g->qts, VF_REGS(vf) +
                                NVVGPU_EMU_VF_REG_FAULT_ADDR), ==, addr);
    g_assert_cmpuint(vf_readl(g, vf, NVVGPU_EMU_VF_REG_ERROR_INDEX), ==, head);
    g_assert_cmphex(vf_readl(g, vf, NVVGPU_EMU_VF_REG_STATUS), ==,
                    NVVGPU_EMU_VF_STATUS_ERROR);
    g_assert_cmphex(qtest_readl(g->qts, IRQ(vf, 7)), ==, 0x1007);

    g_assert_cmpuint(fw_events(g), ==, 1);
    g_assert_cmphex(le16_to_cpu(g->event.opcode), ==, NVVGPU_EMU_EVENT_FAULT);
    g_assert_cmpuint(le16_to_cpu(g->event.vf), ==, vf);
    g_assert_cmpuint(le64_to_cpu(g->event.res[0]), ==, error);
    g_assert_cmphex(le64_to_cpu(g->event.res[1]), ==, addr);
    g_assert_cmpuint(le64_to_cpu(g->event.res[2]), ==, 1);

    vf_writel(g, vf, NVVGPU_EMU_VF_REG_CTRL, NVVGPU_EMU_VF_CTRL_RESET);
    g_assert_cmphex(vf_readl(g, vf, NVVGPU_EMU_VF_REG_STATUS), ==, 0);
    vf_ring(g, vf);
}

static void fill_random(uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        buf[i] = g_test_rand_int();
    }
}

/*
 * Set up and tear down
 */

static Gpu *gpu_new_port(bool hotplug, const char *props)
{
    const char *firmware = getenv("NVVGPU_QEMU_DATA");
    Gpu *g = g_new0(Gpu, 1);

    g->qts = qtest_initf("%s%s -machine q35 -nodefaults -m 256M "
                         "-device pcie-root-port,id=rp,addr=1,chassis=1%s "
                         "-device nvvgpu-emu,id=gpu,bus=rp%s",
                         firmware ? "-L " : "", firmware ?: "",
                         hotplug ? "" : ",hotplug=off", props);
    setup_bridge(g);
    setup_pf(g);
    return g;
}

static Gpu *gpu_new(const char *props)
{
    return gpu_new_port(true, props);
}

static Gpu *gpu_up(const char *props, unsigned int vfs)
{
    Gpu *g = gpu_new(props);

    fw_boot(g);
    fw_ok(g, NVVGPU_EMU_CMD_HELLO, 0,
          NVVGPU_EMU_FW_MAJOR << 16 | NVVGPU_EMU_FW_MINOR, 0, 0, 0);
    sriov_enable(g, vfs);
    return g;
}

static void gpu_free(Gpu *g)
{
    qtest_quit(g->qts);
    g_free(g);
}

/*
 * The tests
 */

static void test_identity(void)
{
    Gpu *g = gpu_new("");
    uint32_t cap;

    g_assert_cmphex(cfg_readl(g, PF), ==, 0x4e561234);
    g_assert_cmphex(cfg_readl(g, PF + PCI_CLASS_REVISION), ==, 0x03020001);
    g_assert_cmphex(cfg_readl(g, PF + PCI_SUBSYSTEM_VENDOR_ID), ==,
                    0x11001af4);
    g_assert_true(cfg_readw(g, PF + PCI_STATUS) & PCI_STATUS_IMM_READY);
    g_assert_true(cfg_readl(g, PF + CAP_EXP + PCI_EXP_DEVCAP) &
                  PCI_EXP_DEVCAP_FLR);
    g_assert_cmpuint(cfg_readl(g, PF + 0x100) & 0xffff, ==,
                     PCI_EXT_CAP_ID_ERR);
    g_assert_cmpuint(cfg_readl(g, PF + 0x150) & 0xffff, ==,
                     PCI_EXT_CAP_ID_ARI);
    cap = cfg_readl(g, PF + CAP_SRIOV);
    g_assert_cmpuint(cap & 0xffff, ==, PCI_EXT_CAP_ID_SRIOV);
    g_assert_cmpuint(cfg_readw(g, PF + CAP_SRIOV + PCI_SRIOV_TOTAL_VF), ==,
                     64);
    g_assert_cmphex(cfg_readw(g, PF + CAP_SRIOV + PCI_SRIOV_VF_DID), ==,
                    0x4e57);
    g_assert_cmphex(pf_readl(g, NVVGPU_EMU_PF_REG_MAGIC), ==,
                    NVVGPU_EMU_PF_MAGIC);
    g_assert_cmpuint(pf_readl(g, NVVGPU_EMU_PF_REG_REVISION), ==,
                     NVVGPU_EMU_REVISION);
    g_assert_cmpuint(qtest_readq(g->qts, PF_REGS +
                                 NVVGPU_EMU_PF_REG_VRAM_SIZE), ==, 32 * GiB);
    gpu_free(g);

    g = gpu_new(",vendor-id=0x10de,device-id=0x2230,vf-device-id=0x2231,"
                "subsystem-vendor-id=0x10de,subsystem-id=0x1459,vfs=16,"
                "vram=8G");
    g_assert_cmphex(cfg_readl(g, PF), ==, 0x223010de);
    g_assert_cmphex(cfg_readl(g, PF + PCI_SUBSYSTEM_VENDOR_ID), ==,
                    0x145910de);
    g_assert_cmphex(cfg_readw(g, PF + CAP_SRIOV + PCI_SRIOV_VF_DID), ==,
                    0x2231);
    g_assert_cmpuint(cfg_readw(g, PF + CAP_SRIOV + PCI_SRIOV_TOTAL_VF), ==,
                     16);
    g_assert_cmpuint(qtest_readq(g->qts, PF_REGS +
                                 NVVGPU_EMU_PF_REG_VRAM_SIZE), ==, 8 * GiB);
    gpu_free(g);
}

static void test_sriov(void)
{
    Gpu *g = gpu_up("", 64);

    for (unsigned int i = 0; i < 64; i++) {
        g_assert_cmphex(cfg_readl(g, VF(i)), ==, 0xffffffff);
        g_assert_cmphex(cfg_readl(g, VF(i) + PCI_CLASS_REVISION), ==,
                        0x03020001);
        g_assert_cmphex(cfg_readl(g, VF(i) + PCI_SUBSYSTEM_VENDOR_ID), ==,
                        0x11001af4);
        g_assert_true(cfg_readl(g, VF(i) + CAP_EXP + PCI_EXP_DEVCAP) &
                      PCI_EXP_DEVCAP_FLR);
        g_assert_cmpuint(cfg_readw(g, VF(i) + CAP_MSIX + PCI_MSIX_FLAGS) &
                         PCI_MSIX_FLAGS_QSIZE, ==, NVVGPU_EMU_VF_VECTORS - 1);

        /* Without a vGPU, reads return all ones and writes are dropped */
        g_assert_cmphex(qtest_readq(g->qts, VF_FB(i)), ==, ~0ULL);
        g_assert_cmphex(qtest_readb(g->qts, VF_FB(i) +
                                    NVVGPU_EMU_VF_FB_SIZE - 1), ==, 0xff);
        g_assert_cmphex(vf_readl(g, i, NVVGPU_EMU_VF_REG_MAGIC), ==, ~0U);
        g_assert_cmphex(vf_readl(g, i, NVVGPU_EMU_VF_REG_EDID), ==, ~0U);
        vf_writel(g, i, NVVGPU_EMU_VF_REG_SCRATCH, 1);
        vf_writel(g, i, NVVGPU_EMU_VF_REG_CTRL, NVVGPU_EMU_VF_CTRL_RUN);
        vf_writel(g, i, NVVGPU_EMU_VF_REG_DOORBELL, 1);
        qtest_writeq(g->qts, VF_FB(i), 1);
    }
    g_assert_cmphex(qtest_readq(g->qts, PF_VRAM), ==, 0);

    /* Disable and enable SR-IOV, with and without a vGPU */
    fw_create(g, 3, 1001);
    g_assert_cmphex(vf_readl(g, 3, NVVGPU_EMU_VF_REG_MAGIC), ==,
                    NVVGPU_EMU_VF_MAGIC);
    sriov_disable(g);
    g_assert_cmphex(cfg_readl(g, VF(3) + PCI_CLASS_REVISION), ==, ~0U);
    g_assert_cmphex(vf_readl(g, 3, NVVGPU_EMU_VF_REG_MAGIC), !=,
                    NVVGPU_EMU_VF_MAGIC);
    sriov_enable(g, 4);
    g_assert_cmphex(cfg_readl(g, VF(4) + PCI_CLASS_REVISION), ==, ~0U);
    g_assert_cmphex(vf_readl(g, 3, NVVGPU_EMU_VF_REG_MAGIC), ==,
                    NVVGPU_EMU_VF_MAGIC);
    fw_ok(g, NVVGPU_EMU_CMD_DELETE, 3, 0, 0, 0, 0);
    g_assert_cmphex(vf_readl(g, 3, NVVGPU_EMU_VF_REG_MAGIC), ==, ~0U);

    /* NumVFs above TotalVFs enables no VF */
    sriov_disable(g);
    sriov_enable(g, 65);
    g_assert_cmphex(cfg_readl(g, VF(0) + PCI_CLASS_REVISION), ==, ~0U);
    gpu_free(g);
}

static void test_boot(void)
{
    static const struct {
        uint64_t base;
        uint32_t size;
    } bad[] = {
        { CMD_RING, 0 }, { CMD_RING, 1 }, { CMD_RING, 3 }, { CMD_RING, 8192 },
        { CMD_RING, 0x80000000 }, { CMD_RING, 0xffffffff },
        { CMD_RING + 32, 16 }, { 0xffffffffffffff80ULL, 16 },
    };
    Gpu *g = gpu_new("");
    struct nvvgpu_emu_msg msg;

    g_assert_cmpuint(fw_status(g), ==, NVVGPU_EMU_FW_OFF);
    for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
        fw_rings(g);
        qtest_writel(g->qts, IRQ_PF(1), 0);
        qtest_writeq(g->qts, PF_REGS + NVVGPU_EMU_PF_REG_CMD_BASE,
                     bad[i].base);
        pf_writel(g, NVVGPU_EMU_PF_REG_CMD_SIZE, bad[i].size);
        pf_writel(g, NVVGPU_EMU_PF_REG_FW_CTRL, NVVGPU_EMU_FW_CTRL_BOOT);
        g_assert_cmpuint(fw_status(g), ==, NVVGPU_EMU_FW_CRASHED);
        g_assert_cmphex(qtest_readl(g->qts, IRQ_PF(1)), ==, 0x1001);
        pf_writel(g, NVVGPU_EMU_PF_REG_FW_CTRL, NVVGPU_EMU_FW_CTRL_BOOT);
        g_assert_cmpuint(fw_status(g), ==, NVVGPU_EMU_FW_CRASHED);
        pf_writel(g, NVVGPU_EMU_PF_REG_FW_CTRL, NVVGPU_EMU_FW_CTRL_RESET);
        g_assert_cmpuint(fw_status(g), ==, NVVGPU_EMU_FW_OFF);
    }

    qtest_writel(g->qts, IRQ_PF(0), 0);
    fw_boot(g);
    /* Ring sizes are read-only after boot */
    pf_writel(g, NVVGPU_EMU_PF_REG_CMD_SIZE, 32);
    g_assert_cmpuint(pf_readl(g, NVVGPU_EMU_PF_REG_CMD_SIZE), ==, RING_SIZE);

    fw_expect(g, ERR_STATE, NVVGPU_EMU_CMD_INFO, 0, 0, 0, 0, 0);
    g_assert_cmphex(qtest_readl(g->qts, IRQ_PF(0)), ==, 0x1000);
    msg = fw_cmd(g, NVVGPU_EMU_CMD_HELLO, 0, 7 << 16, 0, 0, 0);
    g_assert_cmpuint(le32_to_cpu(msg.status), ==, NVVGPU_EMU_ERR_VERSION);
    g_assert_cmphex(le64_to_cpu(msg.res[0]), ==,
                    NVVGPU_EMU_FW_MAJOR << 16 | NVVGPU_EMU_FW_MINOR);
    fw_expect(g, ERR_STATE, NVVGPU_EMU_CMD_INFO, 0, 0, 0, 0, 0);
    fw_ok(g, NVVGPU_EMU_CMD_HELLO, 0, 0x10000, 0, 0, 0);

    msg = fw_cmd(g, NVVGPU_EMU_CMD_INFO, 0, 0, 0, 0, 0);
    g_assert_cmpuint(le32_to_cpu(msg.status), ==, NVVGPU_EMU_OK);
    g_assert_cmpuint(le64_to_cpu(msg.res[0]), ==, 32 * GiB);
    g_assert_cmpuint(le64_to_cpu(msg.res[1]), ==, GRANULE);
    g_assert_cmpuint(le64_to_cpu(msg.res[2]), ==, 64);
    g_assert_cmpuint(le64_to_cpu(msg.res[3]), ==, 64);
    g_assert_cmpuint(le64_to_cpu(msg.res[4]), >=, 6);

    fw_expect(g, ERR_UNSUPPORTED, 0, 0, 0, 0, 0, 0);
    fw_expect(g, ERR_UNSUPPORTED, NVVGPU_EMU_CMD_LAST + 1, 0, 0, 0, 0, 0);
    fw_expect(g, ERR_UNSUPPORTED, 0xffff, 0, 0, 0, 0, 0);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_DELETE, 64, 0, 0, 0, 0);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_DELETE, 0xffff, 0, 0, 0, 0);
    fw_expect(g, ERR_NOT_FOUND, NVVGPU_EMU_CMD_DELETE, 63, 0, 0, 0, 0);

    /* CMD_TAIL too far ahead crashes the firmware */
    pf_writel(g, NVVGPU_EMU_PF_REG_CMD_TAIL, g->cmd_tail + RING_SIZE + 1);
    step_ms(g, 1);
    g_assert_cmpuint(fw_status(g), ==, NVVGPU_EMU_FW_CRASHED);
    pf_writel(g, NVVGPU_EMU_PF_REG_FW_CTRL, NVVGPU_EMU_FW_CTRL_RESET);

    /* So does MSG_HEAD too far ahead, and an unreachable ring */
    fw_boot(g);
    pf_writel(g, NVVGPU_EMU_PF_REG_MSG_HEAD, 1);
    step_ms(g, 1);
    g_assert_cmpuint(fw_status(g), ==, NVVGPU_EMU_FW_CRASHED);
    pf_writel(g, NVVGPU_EMU_PF_REG_FW_CTRL, NVVGPU_EMU_FW_CTRL_RESET);

    qtest_writeq(g->qts, PF_REGS + NVVGPU_EMU_PF_REG_CMD_BASE, 1 * TiB);
    pf_writel(g, NVVGPU_EMU_PF_REG_FW_CTRL, NVVGPU_EMU_FW_CTRL_BOOT);
    step_ms(g, 10);
    pf_writel(g, NVVGPU_EMU_PF_REG_CMD_TAIL, 1);
    step_ms(g, 1);
    g_assert_cmpuint(fw_status(g), ==, NVVGPU_EMU_FW_CRASHED);
    gpu_free(g);
}

static void test_types(void)
{
    Gpu *g = gpu_up("", 64);
    struct nvvgpu_emu_type type;
    struct nvvgpu_emu_msg msg;
    unsigned int num;
    bool posing = false;

    /* TYPES fills the buffer with as many entries as fit */
    msg = fw_cmd(g, NVVGPU_EMU_CMD_TYPES, 0, 0, 0, 0, 2 * sizeof(type) + 1);
    g_assert_cmpuint(le32_to_cpu(msg.len), ==, 2 * sizeof(type));
    num = le64_to_cpu(msg.res[0]);
    msg = fw_cmd(g, NVVGPU_EMU_CMD_TYPES, 0, 0, 0, 0, BUF_SIZE);
    g_assert_cmpuint(le32_to_cpu(msg.len), ==, num * sizeof(type));

    for (unsigned int i = 0; i < num; i++) {
        uint64_t bar0;

        qtest_memread(g->qts, BUF + i * sizeof(type), &type, sizeof(type));
        bar0 = le64_to_cpu(type.bar0_bytes);
        g_assert_true(is_power_of_2(bar0));
        g_assert_cmpuint(bar0, <=, NVVGPU_EMU_VF_FB_SIZE);
        g_assert_cmpuint(bar0, <=, le64_to_cpu(type.fb_bytes));
        g_assert_cmpuint(le64_to_cpu(type.fb_bytes) % GRANULE, ==, 0);
        g_assert_cmpuint(type.available, ==, type.max_instances);
        g_assert_cmpuint(le32_to_cpu(type.max_instances), >, 0);
        g_assert_cmpuint(le32_to_cpu(type.weight), >, 0);
        g_assert_true(g_str_has_prefix((char *)type.name, "NVIDIA EMU-"));
        g_assert_null(strchr((char *)type.name, ':'));
        g_assert_true(g_str_has_suffix((char *)type.name,
                                       (char *)type.vgpu_class));
        posing |= le16_to_cpu(type.vendor) == 0x1234 &&
                  le16_to_cpu(type.device) == 0x1111;
    }
    g_assert_true(posing);

    msg = fw_cmd(g, NVVGPU_EMU_CMD_AVAILABLE, 0, 1000, 0, 0, 0);
    g_assert_cmpuint(le64_to_cpu(msg.res[0]), ==, 64);
    fw_expect(g, ERR_NOT_FOUND, NVVGPU_EMU_CMD_AVAILABLE, 0, 1, 0, 0, 0);
    fw_expect(g, ERR_NOT_FOUND, NVVGPU_EMU_CMD_AVAILABLE, 0,
              1000 | 1ULL << 32, 0, 0, 0);
    gpu_free(g);
}

/* The firmware offers no type whose framebuffer is larger than VRAM */
static void test_small(void)
{
    static const struct {
        const char *vram;
        unsigned int types;
    } sizes[] = {
        { ",vram=512M", 1 }, { ",vram=1G", 4 }, { ",vram=2G", 6 },
        { ",vram=4G", 9 }, { ",vram=8G", 10 },
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
        Gpu *g = gpu_up(sizes[i].vram, 1);
        struct nvvgpu_emu_type type;
        struct nvvgpu_emu_msg msg;

        msg = fw_cmd(g, NVVGPU_EMU_CMD_INFO, 0, 0, 0, 0, 0);
        g_assert_cmpuint(le64_to_cpu(msg.res[4]), ==, sizes[i].types);
        msg = fw_cmd(g, NVVGPU_EMU_CMD_TYPES, 0, 0, 0, 0, BUF_SIZE);
        g_assert_cmpuint(le64_to_cpu(msg.res[0]), ==, sizes[i].types);
        g_assert_cmpuint(le32_to_cpu(msg.len), ==,
                         sizes[i].types * sizeof(type));
        for (unsigned int k = 0; k < sizes[i].types; k++) {
            qtest_memread(g->qts, BUF + k * sizeof(type), &type, sizeof(type));
            g_assert_cmpuint(le32_to_cpu(type.max_instances), >, 0);
        }

        if (sizes[i].types < 10) {
            fw_expect(g, ERR_NOT_FOUND, NVVGPU_EMU_CMD_AVAILABLE, 0, 1008, 0,
                      0, 0);
            fw_expect(g, ERR_NOT_FOUND, NVVGPU_EMU_CMD_CREATE, 0, 1008, ~0ULL,
                      0, 0);
        }
        fw_create(g, 0, 1000);
        gpu_free(g);
    }
}

static void test_placement(void)
{
    static const struct {
        uint32_t id;
        unsigned int granules;
    } types[] = {
        { 1000, 1 }, { 1001, 2 }, { 1002, 4 }, { 1003, 6 }, { 1004, 8 },
        { 1008, 16 },
    };
    Gpu *g = gpu_up(",fw-delay-us=0", 64);
    unsigned int owner[64] = { 0 };
    unsigned int size[64] = { 0 };
    uint64_t at[64];
    struct nvvgpu_emu_msg msg;

    /* All vGPUs of one type */
    for (unsigned int i = 0; i < 64; i++) {
        fw_create(g, i, 1000);
    }
    msg = fw_cmd(g, NVVGPU_EMU_CMD_AVAILABLE, 0, 1000, 0, 0, 0);
    g_assert_cmpuint(le64_to_cpu(msg.res[0]), ==, 0);
    fw_expect(g, ERR_STATE, NVVGPU_EMU_CMD_CREATE, 5, 1000, ~0ULL, 0, 0);
    for (unsigned int i = 0; i < 64; i++) {
        fw_ok(g, NVVGPU_EMU_CMD_DELETE, i, 0, 0, 0, 0);
    }

    /* Requested placements */
    fw_expect(g, ERR_NOT_FOUND, NVVGPU_EMU_CMD_CREATE, 0, 7, ~0ULL, 0, 0);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_CREATE, 0, 1002, 2, 0, 0);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_CREATE, 0, 1002, 64, 0, 0);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_CREATE, 0, 1002, 1ULL << 32, 0,
              0);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_CREATE, 0, 1002, ~0ULL - 3, 0, 0);
    fw_ok(g, NVVGPU_EMU_CMD_CREATE, 0, 1002, 60, 0, 0);
    fw_expect(g, ERR_BUSY, NVVGPU_EMU_CMD_CREATE, 1, 1000, 63, 0, 0);
    fw_expect(g, ERR_BUSY, NVVGPU_EMU_CMD_CREATE, 1, 1008, 48, 0, 0);
    fw_ok(g, NVVGPU_EMU_CMD_CREATE, 1, 1000, 59, 0, 0);
    fw_ok(g, NVVGPU_EMU_CMD_DELETE, 0, 0, 0, 0, 0);
    fw_ok(g, NVVGPU_EMU_CMD_DELETE, 1, 0, 0, 0, 0);

    /* Mixed types: no overlap, and NO_SPACE only if no slot is free */
    for (unsigned int i = 0; i < 600; i++) {
        unsigned int vf = g_test_rand_int_range(0, 64);
        unsigned int t = g_test_rand_int_range(0, ARRAY_SIZE(types));

        if (size[vf]) {
            fw_ok(g, NVVGPU_EMU_CMD_DELETE, vf, 0, 0, 0, 0);
            memset(&owner[at[vf]], 0, size[vf] * sizeof(owner[0]));
            size[vf] = 0;
            continue;
        }

        msg = fw_cmd(g, NVVGPU_EMU_CMD_CREATE, vf, types[t].id, ~0ULL, 0, 0);
        if (le32_to_cpu(msg.status) == NVVGPU_EMU_ERR_NO_SPACE) {
            unsigned int align = pow2ceil(types[t].granules);

            for (unsigned int p = 0; p < 64; p += align) {
                unsigned int used = 0;

                for (unsigned int k = 0; k < types[t].granules; k++) {
                    used |= owner[p + k];
                }
                g_assert_cmpuint(used, !=, 0);
            }
            msg = fw_cmd(g, NVVGPU_EMU_CMD_AVAILABLE, 0, types[t].id, 0, 0, 0);
            g_assert_cmpuint(le64_to_cpu(msg.res[0]), ==, 0);
            continue;
        }

        g_assert_cmpuint(le32_to_cpu(msg.status), ==, NVVGPU_EMU_OK);
        at[vf] = le64_to_cpu(msg.res[0]);
        size[vf] = types[t].granules;
        g_assert_cmpuint(at[vf] + size[vf], <=, 64);
        for (unsigned int k = 0; k < size[vf]; k++) {
            g_assert_cmpuint(owner[at[vf] + k], ==, 0);
            owner[at[vf] + k] = vf + 1;
        }
    }
    gpu_free(g);
}

static void test_aperture(void)
{
    Gpu *g = gpu_up("", 4);
    uint64_t off;

    /* BAR0 shows an aperture of 64 MiB and nothing beyond it */
    fw_create(g, 1, 1001);
    off = fw_create(g, 0, 1000);
    qtest_writeq(g->qts, VF_FB(0), 0x1122334455667788ULL);
    qtest_writel(g->qts, VF_FB(0) + 64 * MiB - 4, 0xabcdef01);
    g_assert_cmphex(qtest_readq(g->qts, PF_VRAM + off), ==,
                    0x1122334455667788ULL);
    g_assert_cmphex(qtest_readl(g->qts, PF_VRAM + off + 64 * MiB - 4), ==,
                    0xabcdef01);
    g_assert_cmphex(qtest_readl(g->qts, VF_FB(0) + 64 * MiB), ==, ~0U);
    qtest_writel(g->qts, VF_FB(0) + 64 * MiB, 1);
    g_assert_cmphex(qtest_readl(g->qts, PF_VRAM + off + 64 * MiB), ==, 0);
    g_assert_cmphex(qtest_readl(g->qts, VF_FB(0) + NVVGPU_EMU_VF_FB_SIZE - 4),
                    ==, ~0U);

    /* A new vGPU reads zeroes, even after writes through the PF */
    fw_ok(g, NVVGPU_EMU_CMD_DELETE, 0, 0, 0, 0, 0);
    g_assert_cmphex(qtest_readl(g->qts, VF_FB(0)), ==, ~0U);
    g_assert_cmphex(qtest_readq(g->qts, PF_VRAM + off), ==, 0);
    qtest_writeq(g->qts, PF_VRAM + off + 4096, 1);
    g_assert_cmpuint(fw_create(g, 2, 1000), ==, off);
    g_assert_cmphex(qtest_readq(g->qts, VF_FB(2)), ==, 0);
    g_assert_cmphex(qtest_readq(g->qts, VF_FB(2) + 4096), ==, 0);

    /* SCRUB works on demand, but is refused while the vGPU is started */
    qtest_writeq(g->qts, VF_FB(2) + 8, 1);
    fw_ok(g, NVVGPU_EMU_CMD_START, 2, 0, 0, 0, 0);
    fw_expect(g, ERR_BUSY, NVVGPU_EMU_CMD_SCRUB, 2, 0, 0, 0, 0);
    g_assert_cmphex(qtest_readq(g->qts, VF_FB(2) + 8), ==, 1);
    fw_ok(g, NVVGPU_EMU_CMD_STOP, 2, 0, 0, 0, 0);
    g_assert_cmphex(qtest_readq(g->qts, VF_FB(2) + 8), ==, 1);
    fw_ok(g, NVVGPU_EMU_CMD_SCRUB, 2, 0, 0, 0, 0);
    g_assert_cmphex(qtest_readq(g->qts, VF_FB(2) + 8), ==, 0);
    gpu_free(g);
}

/* Scrubs proceed in steps, between which the device does other work */
static void test_scrub(void)
{
    Gpu *g = gpu_up(",fw-delay-us=0", 4);
    struct nvvgpu_emu_msg msg;
    uint64_t off, last;
    uint32_t seq;

    for (unsigned int i = 0; i < 3; i++) {
        off = fw_create(g, 0, 1008);
        last = PF_VRAM + off + 8 * GiB - 1;
        qtest_writeb(g->qts, PF_VRAM + off, 1);
        qtest_writeb(g->qts, last, 1);
        seq = fw_send(g, i ? NVVGPU_EMU_CMD_DELETE : NVVGPU_EMU_CMD_SCRUB, 0,
                      0, 0, 0, 0);
        qtest_clock_step(g->qts, 5 * 1000);
        g_assert_cmpuint(pf_readl(g, NVVGPU_EMU_PF_REG_MSG_TAIL), ==,
                         g->msg_head);
        g_assert_cmphex(vf_readl(g, 0, NVVGPU_EMU_VF_REG_MAGIC), ==,
                        i ? ~0U : NVVGPU_EMU_VF_MAGIC);
        g_assert_cmphex(qtest_readb(g->qts, PF_VRAM + off), ==, 0);
        g_assert_cmphex(qtest_readb(g->qts, last), ==, 1);
        if (i == 2) {
            break;
        }
        g_assert_true(fw_wait(g, seq, &msg));
        g_assert_cmpuint(le32_to_cpu(msg.status), ==, NVVGPU_EMU_OK);
        g_assert_cmphex(qtest_readb(g->qts, last), ==, 0);
        if (!i) {
            fw_ok(g, NVVGPU_EMU_CMD_DELETE, 0, 0, 0, 0, 0);
        }
        fw_expect(g, ERR_NOT_FOUND, NVVGPU_EMU_CMD_DELETE, 0, 0, 0, 0, 0);
    }

    /* A reset frees the placement of a vGPU that was being deleted */
    pf_writel(g, NVVGPU_EMU_PF_REG_FW_CTRL, NVVGPU_EMU_FW_CTRL_RESET);
    g_assert_cmphex(qtest_readb(g->qts, last), ==, 0);
    fw_boot(g);
    fw_ok(g, NVVGPU_EMU_CMD_HELLO, 0, 0x10000, 0, 0, 0);
    msg = fw_cmd(g, NVVGPU_EMU_CMD_AVAILABLE, 0, 1008, 0, 0, 0);
    g_assert_cmpuint(le64_to_cpu(msg.res[0]), ==, 4);

    /* A crash during CREATE leaves no vGPU */
    fw_send(g, NVVGPU_EMU_CMD_CREATE, 0, 1008, 16, 0, 0);
    qtest_clock_step(g->qts, 5 * 1000);
    set_faults(g, "now:crash");
    g_assert_cmphex(vf_readl(g, 0, NVVGPU_EMU_VF_REG_MAGIC), ==, ~0U);
    pf_writel(g, NVVGPU_EMU_PF_REG_FW_CTRL, NVVGPU_EMU_FW_CTRL_RESET);
    fw_boot(g);
    fw_ok(g, NVVGPU_EMU_CMD_HELLO, 0, 0x10000, 0, 0, 0);
    fw_ok(g, NVVGPU_EMU_CMD_CREATE, 1, 1008, 16, 0, 0);
    gpu_free(g);
}

/* Without discards, scrubs clear VRAM in smaller steps */
static void test_no_discard(void)
{
    Gpu *g = gpu_up(",vram=1G,fw-delay-us=0,discard=off", 1);
    uint64_t fb = PF_VRAM + fw_create(g, 0, 1000);
    uint64_t last = fb + 512 * MiB - 1;
    struct nvvgpu_emu_msg msg;
    uint32_t seq;

    qtest_writeb(g->qts, fb, 1);
    qtest_writeb(g->qts, last, 1);
    seq = fw_send(g, NVVGPU_EMU_CMD_SCRUB, 0, 0, 0, 0, 0);
    qtest_clock_step(g->qts, 20 * 1000);
    g_assert_cmphex(qtest_readb(g->qts, fb), ==, 0);
    g_assert_cmphex(qtest_readb(g->qts, last), ==, 1);
    g_assert_true(fw_wait(g, seq, &msg));
    g_assert_cmpuint(le32_to_cpu(msg.status), ==, NVVGPU_EMU_OK);
    g_assert_cmphex(qtest_readb(g->qts, last), ==, 0);

    /* A reset clears framebuffers, but does not read free VRAM */
    for (unsigned int i = 0; i < 2; i++) {
        uint64_t empty = fb + 512 * MiB;

        qtest_writeb(g->qts, last, 1);
        qtest_writeb(g->qts, empty, 1);
        if (i) {
            fw_send(g, NVVGPU_EMU_CMD_DELETE, 0, 0, 0, 0, 0);
            qtest_clock_step(g->qts, 20 * 1000);
            g_assert_cmphex(vf_readl(g, 0, NVVGPU_EMU_VF_REG_MAGIC), ==, ~0U);
        }
        pf_writel(g, NVVGPU_EMU_PF_REG_FW_CTRL, NVVGPU_EMU_FW_CTRL_RESET);
        g_assert_cmphex(qtest_readb(g->qts, last), ==, 0);
        g_assert_cmphex(qtest_readb(g->qts, empty), ==, 1);

        fw_boot(g);
        fw_ok(g, NVVGPU_EMU_CMD_HELLO, 0, 0x10000, 0, 0, 0);
        fw_ok(g, NVVGPU_EMU_CMD_CREATE, 0, 1000, 1, 0, 0);
        g_assert_cmphex(qtest_readb(g->qts, empty), ==, 0);
        fw_ok(g, NVVGPU_EMU_CMD_DELETE, 0, 0, 0, 0, 0);
        fw_create(g, 0, 1000);
    }
    gpu_free(g);
}

static void test_life(void)
{
    Gpu *g = gpu_up("", 4);
    static const char params[] = "frame_rate_limiter=0,a=b";
    struct nvvgpu_emu_stats stopped, stats;
    struct nvvgpu_emu_msg msg;
    uint32_t seq;

    fw_expect(g, ERR_NOT_FOUND, NVVGPU_EMU_CMD_START, 0, 0, 0, 0, 0);
    fw_create(g, 0, 1001);
    fw_expect(g, ERR_STATE, NVVGPU_EMU_CMD_STOP, 0, 0, 0, 0, 0);
    fw_expect(g, ERR_STATE, NVVGPU_EMU_CMD_SUSPEND, 0, 2, 0, 0, 0);

    /* RUN is ignored before START */
    vf_writel(g, 0, NVVGPU_EMU_VF_REG_RING_BASE, VF_RING(0));
    vf_writel(g, 0, NVVGPU_EMU_VF_REG_RING_SIZE, 2);
    vf_writel(g, 0, NVVGPU_EMU_VF_REG_CTRL, NVVGPU_EMU_VF_CTRL_RUN);
    g_assert_cmphex(vf_readl(g, 0, NVVGPU_EMU_VF_REG_CTRL), ==, 0);

    qtest_memwrite(g->qts, BUF, params, sizeof(params));
    fw_ok(g, NVVGPU_EMU_CMD_START, 0, 0, 0, 0, strlen(params));
    fw_expect(g, ERR_STATE, NVVGPU_EMU_CMD_START, 0, 0, 0, 0, 0);
    g_assert_cmpuint(vf_readl(g, 0, NVVGPU_EMU_VF_REG_TYPE), ==, 1001);
    g_assert_cmpuint(qtest_readq(g->qts, VF_REGS(0) +
                                 NVVGPU_EMU_VF_REG_FB_SIZE), ==, 1 * GiB);

    /* STOP clears registers, not VRAM */
    qtest_writel(g->qts, VF_FB(0), 0x12345678);
    setup_vf(g, 0);
    vf_ring(g, 0);
    for (unsigned int i = 0; i < NVVGPU_EMU_VF_SCRATCH_WORDS; i++) {
        vf_writel(g, 0, NVVGPU_EMU_VF_REG_SCRATCH + i * 4, i + 1);
        g_assert_cmpuint(vf_readl(g, 0, NVVGPU_EMU_VF_REG_SCRATCH + i * 4),
                         ==, i + 1);
    }
    vf_writel(g, 0, NVVGPU_EMU_VF_REG_GUEST, 1);
    g_assert_cmpuint(fw_events(g), ==, 1);
    g_assert_cmphex(le16_to_cpu(g->event.opcode), ==,
                    NVVGPU_EMU_EVENT_GUEST_UP);
    /* STOP returns the counters, and has no effect if it cannot */
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_STOP, 0, 0, 0, 0, 8);
    seq = fw_send_buf(g, NVVGPU_EMU_CMD_STOP, 0, 0, 0, 0, 1 * TiB,
                      sizeof(stopped));
    g_assert_true(fw_wait(g, seq, &msg));
    g_assert_cmpuint(le32_to_cpu(msg.status), ==, NVVGPU_EMU_ERR_DMA);
    g_assert_cmpuint(vf_readl(g, 0, NVVGPU_EMU_VF_REG_SCRATCH), ==, 1);
    g_assert_cmphex(vf_readl(g, 0, NVVGPU_EMU_VF_REG_STATUS), ==,
                    NVVGPU_EMU_VF_STATUS_RUNNING);
    fw_ok(g, NVVGPU_EMU_CMD_STOP, 0, 0, 0, 0, sizeof(stopped));
    qtest_memread(g->qts, BUF, &stopped, sizeof(stopped));
    stats = fw_stats(g, 0);
    g_assert_cmpmem(&stopped, sizeof(stopped), &stats, sizeof(stats));
    for (unsigned int i = NVVGPU_EMU_VF_REG_CTRL; i < 0x1100; i += 4) {
        g_assert_cmphex(vf_readl(g, 0, i), ==,
                        i == NVVGPU_EMU_VF_REG_ERROR_VECTOR ? ~0U : 0);
    }
    g_assert_cmphex(qtest_readl(g->qts, VF_FB(0)), ==, 0x12345678);

    /* Invalid parameter strings */
    memset(g->event.res, 0, sizeof(g->event.res));
    qtest_memwrite(g->qts, BUF, "a=\x01\x80", 4);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_START, 0, 0, 0, 0, 4);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_START, 0, 0, 0, 0, 4096);

    /* DELETE from any state */
    fw_ok(g, NVVGPU_EMU_CMD_START, 0, 0, 0, 0, 0);
    fw_ok(g, NVVGPU_EMU_CMD_SUSPEND, 0, NVVGPU_EMU_SUSPEND_ALL, 0, 0, 0);
    fw_ok(g, NVVGPU_EMU_CMD_DELETE, 0, 0, 0, 0, 0);
    fw_expect(g, ERR_NOT_FOUND, NVVGPU_EMU_CMD_DELETE, 0, 0, 0, 0, 0);
    fw_create(g, 0, 1001);
    g_assert_cmphex(qtest_readl(g->qts, VF_FB(0)), ==, 0);
    gpu_free(g);
}

static void test_engine(void)
{
    const size_t len = 3 * MiB + 12345;
    g_autofree uint8_t *a = g_malloc(len + 8);
    g_autofree uint8_t *b = g_malloc(len + 8);
    Gpu *g = gpu_up("", 4);
    struct nvvgpu_emu_stats stats;
    uint64_t off = vf_up(g, 0, 1002);

    /* Copy to, within and from VRAM, unaligned and in many slices */
    fill_random(a, len);
    qtest_bufwrite(g->qts, MEM + 3, a, len);
    vf_put(g, 0, &(struct nvvgpu_emu_desc) {
        .op = NVVGPU_EMU_OP_COPY, .flags = NVVGPU_EMU_DESC_DST_VRAM,
        .src = MEM + 3, .dst = 5, .len = len });
    vf_put(g, 0, &(struct nvvgpu_emu_desc) {
        .op = NVVGPU_EMU_OP_COPY,
        .flags = NVVGPU_EMU_DESC_SRC_VRAM | NVVGPU_EMU_DESC_DST_VRAM,
        .src = 5, .dst = 2 * GiB - len, .len = len });
    vf_put(g, 0, &(struct nvvgpu_emu_desc) {
        .op = NVVGPU_EMU_OP_COPY, .flags = NVVGPU_EMU_DESC_SRC_VRAM,
        .src = 2 * GiB - len, .dst = MEM + 16 * MiB + 1, .len = len });
    vf_put(g, 0, &(struct nvvgpu_emu_desc) {
        .op = NVVGPU_EMU_OP_COPY,
        .src = MEM + 16 * MiB + 1, .dst = MEM + 32 * MiB + 7, .len = len });
    vf_put(g, 0, &(struct nvvgpu_emu_desc) {
        .op = NVVGPU_EMU_OP_SEMAPHORE, .flags = NVVGPU_EMU_DESC_IRQ,
        .dst = MEM - 8, .data = 0x1234567890abcdefULL, .vector = 3 });
    vf_ring_bell(g, 0);
    g_assert_cmphex(vf_readl(g, 0, NVVGPU_EMU_VF_REG_STATUS), ==,
                    NVVGPU_EMU_VF_STATUS_RUNNING |
                    NVVGPU_EMU_VF_STATUS_BUSY);
    vf_drain(g, 0);
    g_assert_cmpuint(vf_readl(g, 0, NVVGPU_EMU_VF_REG_ERROR), ==, 0);
    g_assert_cmpuint(vf_readl(g, 0, NVVGPU_EMU_VF_REG_RING_HEAD), ==, 5);
    g_assert_cmpuint(vf_readl(g, 0, NVVGPU_EMU_VF_REG_RING_TAIL), ==, 5);
    g_assert_cmphex(qtest_readq(g->qts, MEM - 8), ==, 0x1234567890abcdefULL);
    g_assert_cmphex(qtest_readl(g->qts, IRQ(0, 3)), ==, 0x1003);
    g_assert_cmphex(qtest_readl(g->qts, IRQ(0, 7)), ==, 0);
    qtest_bufread(g->qts, MEM + 32 * MiB + 7, b, len);
    g_assert_cmpmem(a, len, b, len);
    qtest_bufread(g->qts, PF_VRAM + off + 2 * GiB - len, b, len);
    g_assert_cmpmem(a, len, b, len);

    stats = fw_stats(g, 0);
    g_assert_cmpuint(le64_to_cpu(stats.descriptors), ==, 5);
    g_assert_cmpuint(le64_to_cpu(stats.bytes), ==, 4 * len);
    g_assert_cmpuint(le64_to_cpu(stats.dma_read_bytes), ==, 2 * len);
    g_assert_cmpuint(le64_to_cpu(stats.dma_write_bytes), ==, 2 * len + 8);
    g_assert_cmpuint(le64_to_cpu(stats.interrupts), ==, 1);

    /* Overlapping copies run front to back, in memory and in VRAM */
    for (unsigned int i = 0; i < 16; i++) {
        static const unsigned int shift[] = { 1, 7, 4096, 65535, 65536, 65537,
                                              200000, 3 };
        bool vram = i & 1;
        unsigned int d = shift[i / 2];
        size_t n = 300000;
        uint64_t base = vram ? 64 * MiB : MEM;
        uint64_t cpu = vram ? PF_VRAM + off + base : base;

        fill_random(a, n + d);
        qtest_bufwrite(g->qts, cpu, a, n + d);
        g_assert_cmpuint(vf_do(g, 0, (struct nvvgpu_emu_desc) {
            .op = NVVGPU_EMU_OP_COPY, .flags = vram ? 3 : 0,
            .src = base, .dst = base + d, .len = n }), ==, 0);
        for (size_t k = 0; k < n; k++) {
            a[d + k] = a[k];
        }
        qtest_bufread(g->qts, cpu, b, n + d);
        g_assert_cmpmem(a, n + d, b, n + d);

        /* The destination below the source */
        g_assert_cmpuint(vf_do(g, 0, (struct nvvgpu_emu_desc) {
            .op = NVVGPU_EMU_OP_COPY, .flags = vram ? 3 : 0,
            .src = base + d, .dst = base, .len = n }), ==, 0);
        memmove(a, a + d, n);
        qtest_bufread(g->qts, cpu, b, n + d);
        g_assert_cmpmem(a, n + d, b, n + d);
    }

    /* Fill */
    for (unsigned int i = 1; i < 9; i++) {
        size_t n = i < 8 ? i : 2 * MiB + 3;

        memset(a, 0, n + 2);
        qtest_bufwrite(g->qts, MEM, a, n + 2);
        g_assert_cmpuint(vf_do(g, 0, (struct nvvgpu_emu_desc) {
            .op = NVVGPU_EMU_OP_FILL, .dst = MEM + 1, .len = n,
            .data = 0x44332211 }), ==, 0);
        for (size_t k = 0; k < n; k++) {
            a[k + 1] = 0x11 * (k % 4 + 1);
        }
        qtest_bufread(g->qts, MEM, b, n + 2);
        g_assert_cmpmem(a, n + 2, b, n + 2);
    }

    /* Wrap the ring many times with a masked interrupt */
    qtest_writel(g->qts, IRQ(0, 2), 0);
    qtest_writel(g->qts, VF_MSIX(0) + 2 * 16 + 12, 1);
    for (unsigned int i = 0; i < 300; i++) {
        g_assert_cmpuint(vf_do(g, 0, (struct nvvgpu_emu_desc) {
            .op = NVVGPU_EMU_OP_NOP, .flags = NVVGPU_EMU_DESC_IRQ,
            .dst = ~0ULL, .len = ~0ULL, .vector = 2 }), ==, 0);
    }
    g_assert_cmphex(qtest_readl(g->qts, IRQ(0, 2)), ==, 0);
    qtest_writel(g->qts, VF_MSIX(0) + 2 * 16 + 12, 0);
    g_assert_cmphex(qtest_readl(g->qts, IRQ(0, 2)), ==, 0x1002);

    /* DELETE clears pending interrupts */
    qtest_writel(g->qts, IRQ(0, 2), 0);
    qtest_writel(g->qts, VF_MSIX(0) + 2 * 16 + 12, 1);
    g_assert_cmpuint(vf_do(g, 0, (struct nvvgpu_emu_desc) {
        .op = NVVGPU_EMU_OP_NOP, .flags = NVVGPU_EMU_DESC_IRQ,
        .vector = 2 }), ==, 0);
    fw_ok(g, NVVGPU_EMU_CMD_STOP, 0, 0, 0, 0, 0);
    qtest_writel(g->qts, VF_MSIX(0) + 2 * 16 + 12, 0);
    g_assert_cmphex(qtest_readl(g->qts, IRQ(0, 2)), ==, 0);
    gpu_free(g);
}

static void test_refused(void)
{
    Gpu *g = gpu_up("", 4);
    const uint64_t fb = 1 * GiB;
    const uint64_t end = RAM_SIZE;
    g_autofree uint8_t *b = g_malloc(3 * MiB);
    uint64_t off = vf_up(g, 0, 1001);
    static const uint32_t sizes[] = { 0, 3, 100, 8192, 0x80000000, ~0U };

    fw_create(g, 1, 1000);

#define REFUSED(error, addr, ...) \
    vf_refused(g, 0, (struct nvvgpu_emu_desc) { __VA_ARGS__ }, \
               NVVGPU_EMU_VF_ERR_##error, addr)

    /* Invalid descriptors */
    REFUSED(DESC, 0, .op = 4);
    REFUSED(DESC, 0, .op = ~0U);
    REFUSED(DESC, 0, .op = NVVGPU_EMU_OP_NOP, .flags = 8);
    REFUSED(DESC, 0, .op = NVVGPU_EMU_OP_NOP, .reserved = { 1 });
    REFUSED(DESC, 0, .op = NVVGPU_EMU_OP_COPY, .src = MEM, .dst = MEM);
    REFUSED(DESC, 0, .op = NVVGPU_EMU_OP_FILL, .dst = MEM);
    REFUSED(DESC, 0, .op = NVVGPU_EMU_OP_SEMAPHORE, .dst = MEM + 4);
    REFUSED(DESC, 0, .op = NVVGPU_EMU_OP_COPY, .src = MEM, .dst = ~0ULL,
            .len = 2);
    REFUSED(DESC, 0, .op = NVVGPU_EMU_OP_COPY, .src = ~0ULL - 4, .dst = MEM,
            .len = ~0ULL);
    REFUSED(VECTOR, 0, .op = NVVGPU_EMU_OP_NOP,
            .flags = NVVGPU_EMU_DESC_IRQ, .vector = 8);
    REFUSED(VECTOR, 0, .op = NVVGPU_EMU_OP_NOP,
            .flags = NVVGPU_EMU_DESC_IRQ, .vector = ~0U);

    /* VRAM ranges outside of the framebuffer */
    REFUSED(VRAM, fb, .op = NVVGPU_EMU_OP_FILL, .flags = 2, .dst = fb,
            .len = 1);
    REFUSED(VRAM, fb, .op = NVVGPU_EMU_OP_FILL, .flags = 2, .dst = fb - 1,
            .len = 2, .data = 0xffff);
    g_assert_cmphex(qtest_readb(g->qts, PF_VRAM + off + fb - 1), ==, 0);
    REFUSED(VRAM, fb, .op = NVVGPU_EMU_OP_FILL, .flags = 2, .dst = 0,
            .len = ~0ULL);
    REFUSED(VRAM, ~0ULL - 15, .op = NVVGPU_EMU_OP_FILL, .flags = 2,
            .dst = ~0ULL - 15, .len = 32);
    REFUSED(VRAM, fb, .op = NVVGPU_EMU_OP_FILL, .flags = 2, .dst = 16,
            .len = ~0ULL - 14);
    REFUSED(VRAM, fb, .op = NVVGPU_EMU_OP_COPY, .flags = 1, .src = fb - 4,
            .dst = MEM, .len = 5);
    REFUSED(VRAM, 1ULL << 63, .op = NVVGPU_EMU_OP_COPY, .flags = 3,
            .src = 1ULL << 63, .dst = 0, .len = 5);
    REFUSED(VRAM, fb, .op = NVVGPU_EMU_OP_SEMAPHORE, .flags = 2, .dst = fb);
    REFUSED(VRAM, ~0ULL - 7, .op = NVVGPU_EMU_OP_SEMAPHORE, .flags = 2,
            .dst = ~0ULL - 7);

    /* Refused DMA: bytes before the refused one are moved, none after it */
    REFUSED(DMA_READ, end, .op = NVVGPU_EMU_OP_COPY, .flags = 2,
            .src = end - 100, .dst = 0, .len = 200);
    REFUSED(DMA_READ, end, .op = NVVGPU_EMU_OP_COPY, .flags = 2,
            .src = end - 1 * MiB - 3, .dst = 0, .len = 1ULL << 62 >> 34);
    REFUSED(DMA_WRITE, end, .op = NVVGPU_EMU_OP_FILL, .dst = end - 2 * MiB,
            .len = 1ULL << 62, .data = 0xdeadbeef);
    qtest_bufread(g->qts, end - 2 * MiB, b, 2 * MiB);
    g_assert_cmphex((uint32_t)ldl_le_p(b), ==, 0xdeadbeef);
    g_assert_cmphex((uint32_t)ldl_le_p(b + 2 * MiB - 4), ==, 0xdeadbeef);
    REFUSED(DMA_WRITE, 1 * TiB + 5, .op = NVVGPU_EMU_OP_COPY,
            .src = MEM, .dst = 1 * TiB + 5, .len = 10000);
    REFUSED(DMA_WRITE, 1 * TiB, .op = NVVGPU_EMU_OP_SEMAPHORE,
            .dst = 1 * TiB);
    g_assert_cmpuint(le64_to_cpu(fw_stats(g, 0).dma_faults), ==, 5);

    /* Without bus mastering, all DMA is refused */
    cfg_writew(g, VF(0) + PCI_COMMAND, 0);
    vf_put(g, 0, &(struct nvvgpu_emu_desc) { .op = NVVGPU_EMU_OP_NOP });
    vf_ring_bell(g, 0);
    vf_drain(g, 0);
    g_assert_cmpuint(vf_readl(g, 0, NVVGPU_EMU_VF_REG_ERROR), ==,
                     NVVGPU_EMU_VF_ERR_DMA_READ);
    g_assert_cmphex(vf_readl(g, 0, NVVGPU_EMU_VF_REG_FAULT_ADDR), ==,
                    VF_RING(0));
    cfg_writew(g, VF(0) + PCI_COMMAND, PCI_COMMAND_MASTER);
    fw_events(g);

    /* Invalid rings */
    for (unsigned int i = 0; i < ARRAY_SIZE(sizes) + 3; i++) {
        vf_writel(g, 0, NVVGPU_EMU_VF_REG_CTRL, NVVGPU_EMU_VF_CTRL_RESET);
        vf_writel(g, 0, NVVGPU_EMU_VF_REG_RING_BASE, VF_RING(0));
        vf_writel(g, 0, NVVGPU_EMU_VF_REG_RING_SIZE, 16);
        if (i < ARRAY_SIZE(sizes)) {
            vf_writel(g, 0, NVVGPU_EMU_VF_REG_RING_SIZE, sizes[i]);
        } else if (i == ARRAY_SIZE(sizes)) {
            vf_writel(g, 0, NVVGPU_EMU_VF_REG_RING_BASE, VF_RING(0) + 8);
        } else if (i == ARRAY_SIZE(sizes) + 1) {
            qtest_writeq(g->qts, VF_REGS(0) + NVVGPU_EMU_VF_REG_RING_BASE,
                         ~0ULL - 127);
        } else {
            vf_writel(g, 0, NVVGPU_EMU_VF_REG_DOORBELL, 17);
        }
        vf_writel(g, 0, NVVGPU_EMU_VF_REG_CTRL, NVVGPU_EMU_VF_CTRL_RUN);
        g_assert_cmpuint(vf_readl(g, 0, NVVGPU_EMU_VF_REG_ERROR), ==,
                         NVVGPU_EMU_VF_ERR_RING);
        g_assert_cmphex(vf_readl(g, 0, NVVGPU_EMU_VF_REG_CTRL), ==, 0);
        fw_events(g);
    }
    vf_writel(g, 0, NVVGPU_EMU_VF_REG_CTRL, NVVGPU_EMU_VF_CTRL_RESET);
    vf_ring(g, 0);
    vf_writel(g, 0, NVVGPU_EMU_VF_REG_RING_SIZE, 2);
    g_assert_cmpuint(vf_readl(g, 0, NVVGPU_EMU_VF_REG_RING_SIZE), ==,
                     VF_RING_SIZE);
    vf_writel(g, 0, NVVGPU_EMU_VF_REG_DOORBELL, VF_RING_SIZE + 1);
    g_assert_cmpuint(vf_readl(g, 0, NVVGPU_EMU_VF_REG_ERROR), ==,
                     NVVGPU_EMU_VF_ERR_RING);

    /* The other vGPU is not affected */
    g_assert_cmphex(qtest_readl(g->qts, VF_FB(1)), ==, 0);
    g_assert_cmpuint(le64_to_cpu(fw_stats(g, 1).errors), ==, 0);
#undef REFUSED
    gpu_free(g);
}

static void test_fair(void)
{
    Gpu *g = gpu_up("", 4);
    uint64_t light, heavy;

    vf_up(g, 0, 1000);
    vf_up(g, 1, 1008);
    for (unsigned int vf = 0; vf < 2; vf++) {
        vf_put(g, vf, &(struct nvvgpu_emu_desc) {
            .op = NVVGPU_EMU_OP_FILL, .flags = 2, .len = 512 * MiB });
        vf_ring_bell(g, vf);
    }
    for (unsigned int i = 0; i < 200; i++) {
        qtest_clock_step(g->qts, 20 * 1000);
    }
    light = le64_to_cpu(fw_stats(g, 0).bytes);
    heavy = le64_to_cpu(fw_stats(g, 1).bytes);
    g_assert_cmpuint(light, >, 0);
    g_assert_cmpuint(heavy, <, 512 * MiB);
    g_assert_cmpuint(heavy, >, light * 12);
    g_assert_cmpuint(heavy, <, light * 20);
    gpu_free(g);
}

static void test_reset(void)
{
    Gpu *g = gpu_up("", 4);
    uint64_t off = vf_up(g, 0, 1001);
    struct nvvgpu_emu_msg msg;

    vf_up(g, 1, 1000);
    /* FLR in the middle of a long fill */
    for (unsigned int round = 0; round < 2; round++) {
        setup_vf(g, 0);
        vf_ring(g, 0);
        vf_writel(g, 0, NVVGPU_EMU_VF_REG_SCRATCH, 77);
        vf_writel(g, 0, NVVGPU_EMU_VF_REG_GUEST, 1);
        vf_put(g, 0, &(struct nvvgpu_emu_desc) {
            .op = NVVGPU_EMU_OP_FILL, .flags = 2, .len = 1 * GiB,
            .data = ~0U });
        vf_ring_bell(g, 0);
        qtest_clock_step(g->qts, 20 * 1000);
        g_assert_true(vf_readl(g, 0, NVVGPU_EMU_VF_REG_STATUS) &
                      NVVGPU_EMU_VF_STATUS_BUSY);
        if (round) {
            fw_ok(g, NVVGPU_EMU_CMD_RESET, 0, 0, 0, 0, 0);
        } else {
            flr(g, VF(0));
            g_assert_cmphex(cfg_readw(g, VF(0) + PCI_COMMAND), ==, 0);
            g_assert_cmphex(cfg_readw(g, VF(0) + CAP_MSIX + PCI_MSIX_FLAGS) &
                            PCI_MSIX_FLAGS_ENABLE, ==, 0);
            g_assert_cmphex(qtest_readl(g->qts, VF_MSIX(0)), ==, 0);
        }
        g_assert_true(cfg_readw(g, VF(0) + PCI_STATUS) & PCI_STATUS_IMM_READY);
        for (unsigned int i = NVVGPU_EMU_VF_REG_CTRL; i < 0x1100; i += 4) {
            g_assert_cmphex(vf_readl(g, 0, i), ==,
                            i == NVVGPU_EMU_VF_REG_ERROR_VECTOR ? ~0U : 0);
        }
        step_ms(g, 1);
        g_assert_cmphex(qtest_readl(g->qts, PF_VRAM + off + 1 * GiB - 4), ==,
                        0);
        fw_events(g);
        g_assert_cmphex(le16_to_cpu(g->event.opcode), ==,
                        NVVGPU_EMU_EVENT_GUEST_DOWN);
    }
    g_assert_cmpuint(le64_to_cpu(fw_stats(g, 0).resets), ==, 2);
    /* The other vGPU keeps running, and this one is still started */
    g_assert_cmphex(vf_readl(g, 1, NVVGPU_EMU_VF_REG_STATUS), ==,
                    NVVGPU_EMU_VF_STATUS_RUNNING);
    setup_vf(g, 0);
    vf_ring(g, 0);
    g_assert_cmpuint(vf_do(g, 0, (struct nvvgpu_emu_desc) { 0 }), ==, 0);

    /* FW_CTRL_RESET with a descriptor and a command in flight */
    vf_put(g, 0, &(struct nvvgpu_emu_desc) {
        .op = NVVGPU_EMU_OP_FILL, .flags = 2, .len = 1 * GiB, .data = ~0U });
    vf_ring_bell(g, 0);
    qtest_clock_step(g->qts, 20 * 1000);
    fw_send(g, NVVGPU_EMU_CMD_INFO, 0, 0, 0, 0, 0);
    pf_writel(g, NVVGPU_EMU_PF_REG_FW_CTRL, NVVGPU_EMU_FW_CTRL_RESET);
    g_assert_cmpuint(fw_status(g), ==, NVVGPU_EMU_FW_OFF);
    g_assert_cmphex(vf_readl(g, 0, NVVGPU_EMU_VF_REG_MAGIC), ==, ~0U);
    g_assert_cmphex(qtest_readl(g->qts, PF_VRAM + off), ==, 0);
    step_ms(g, 2);
    g_assert_cmpuint(pf_readl(g, NVVGPU_EMU_PF_REG_MSG_TAIL), ==, 0);
    fw_boot(g);
    fw_ok(g, NVVGPU_EMU_CMD_HELLO, 0, 0x10000, 0, 0, 0);

    /* FLR of the PF deletes all vGPUs */
    vf_up(g, 2, 1001);
    vf_put(g, 2, &(struct nvvgpu_emu_desc) {
        .op = NVVGPU_EMU_OP_FILL, .flags = 2, .len = 1 * GiB, .data = ~0U });
    vf_ring_bell(g, 2);
    qtest_clock_step(g->qts, 20 * 1000);
    flr(g, PF);
    g_assert_cmphex(cfg_readl(g, VF(2) + PCI_CLASS_REVISION), ==, ~0U);
    g_assert_cmphex(cfg_readw(g, PF + CAP_SRIOV + PCI_SRIOV_CTRL), ==, 0);
    setup_pf(g);
    g_assert_cmpuint(fw_status(g), ==, NVVGPU_EMU_FW_OFF);
    g_assert_cmpuint(pf_readl(g, NVVGPU_EMU_PF_REG_CMD_SIZE), ==, 0);
    g_assert_cmphex(qtest_readl(g->qts, PF_VRAM), ==, 0);
    fw_boot(g);
    fw_ok(g, NVVGPU_EMU_CMD_HELLO, 0, 0x10000, 0, 0, 0);
    sriov_enable(g, 4);
    vf_up(g, 2, 1001);

    /* Reset of the bus, then of the machine */
    cfg_writew(g, PORT + PCI_BRIDGE_CONTROL, PCI_BRIDGE_CTL_BUS_RESET);
    cfg_writew(g, PORT + PCI_BRIDGE_CONTROL, 0);
    setup_pf(g);
    g_assert_cmpuint(fw_status(g), ==, NVVGPU_EMU_FW_OFF);
    fw_boot(g);
    fw_ok(g, NVVGPU_EMU_CMD_HELLO, 0, 0x10000, 0, 0, 0);
    sriov_enable(g, 4);
    vf_up(g, 2, 1001);
    qtest_system_reset(g->qts);
    setup_bridge(g);
    setup_pf(g);
    g_assert_cmpuint(fw_status(g), ==, NVVGPU_EMU_FW_OFF);
    fw_boot(g);
    msg = fw_cmd(g, NVVGPU_EMU_CMD_HELLO, 0, 0x10000, 0, 0, 0);
    g_assert_cmpuint(le32_to_cpu(msg.status), ==, NVVGPU_EMU_OK);
    gpu_free(g);
}

static void test_faults(void)
{
    static const char *const wrong[] = {
        "info", "info:1", "info:1:", "info:0:fail", "info:x:fail",
        "info:-1:fail", "nothing:1:fail", ":1:fail", "info::fail",
        "info:1:fail=0", "info:1:fail=", "info:1:fail=x", "info:1:late",
        "info:1:late=0", "info:1:late=99999999", "info:1:hang=1",
        "info:1:explode", "info:1:lie", "info:1:lie=16", "info:1:vcrash",
        "info:1:fail,", ",info:1:fail",
        "now:", "now:fail", "now:vcrash", "now:vcrash=64", "now:vcrash=0",
        "now:crash=1", "now:answer=1", "info:1:fail:2", "HELLO:1:fail",
        "info:1:hang x",
    };
    Gpu *g = gpu_up(",fw-faults=stats:1:fail=6", 4);
    struct nvvgpu_emu_msg msg;
    uint32_t first, second;

    for (unsigned int i = 0; i < ARRAY_SIZE(wrong); i++) {
        g_test_message("'%s'", wrong[i]);
        g_assert_true(faults_refused(g, wrong[i]));
    }

    /* The rule from the command line is still in place */
    fw_create(g, 0, 1000);
    fw_expect(g, ERR_STATE, NVVGPU_EMU_CMD_STATS, 0, 0, 0, 0, 64);
    fw_ok(g, NVVGPU_EMU_CMD_STATS, 0, 0, 0, 0, 64);

    /* The nth command, counted since the property was set */
    set_faults(g, "info:2:fail; create:1:fail=2");
    fw_ok(g, NVVGPU_EMU_CMD_INFO, 0, 0, 0, 0, 0);
    fw_expect(g, ERR_INTERNAL, NVVGPU_EMU_CMD_INFO, 0, 0, 0, 0, 0);
    fw_ok(g, NVVGPU_EMU_CMD_INFO, 0, 0, 0, 0, 0);
    fw_expect(g, ERR_NO_SPACE, NVVGPU_EMU_CMD_CREATE, 1, 1000, ~0ULL, 0, 0);
    g_assert_cmphex(vf_readl(g, 1, NVVGPU_EMU_VF_REG_MAGIC), ==, ~0U);
    fw_create(g, 1, 1000);
    set_faults(g, "any:*:fail=3");
    fw_expect(g, ERR_BUSY, NVVGPU_EMU_CMD_INFO, 0, 0, 0, 0, 0);
    fw_expect(g, ERR_BUSY, NVVGPU_EMU_CMD_DELETE, 1, 0, 0, 0, 0);
    set_faults(g, "");
    fw_ok(g, NVVGPU_EMU_CMD_DELETE, 1, 0, 0, 0, 0);

    /* lie: the command is done, but one word of its response is inverted */
    set_faults(g, "create:1:lie=4");
    first = fw_send(g, NVVGPU_EMU_CMD_CREATE, 1, 1000, 3, 0, 0);
    g_assert_true(fw_wait(g, first, &msg));
    g_assert_cmpuint(le32_to_cpu(msg.status), ==, NVVGPU_EMU_OK);
    g_assert_cmphex(le64_to_cpu(msg.res[0]), ==, 3 ^ 0xffffffffULL);
    fw_ok(g, NVVGPU_EMU_CMD_DELETE, 1, 0, 0, 0, 0);

    /* late: other commands overtake it; slow: they wait */
    set_faults(g, "info:1:late=30");
    first = fw_send(g, NVVGPU_EMU_CMD_INFO, 0, 0, 0, 0, 0);
    fw_ok(g, NVVGPU_EMU_CMD_AVAILABLE, 0, 1000, 0, 0, 0);
    g_assert_true(fw_recv(g, &msg, 50));
    g_assert_cmpuint(le32_to_cpu(msg.seq), ==, first);
    g_assert_cmpuint(le64_to_cpu(msg.res[0]), ==, 32 * GiB);
    set_faults(g, "info:1:late=3600000");
    first = fw_send(g, NVVGPU_EMU_CMD_INFO, 0, 0, 0, 0, 0);
    fw_ok(g, NVVGPU_EMU_CMD_AVAILABLE, 0, 1000, 0, 0, 0);
    set_faults(g, "now:answer");
    g_assert_true(fw_recv(g, &msg, 1));
    g_assert_cmpuint(le32_to_cpu(msg.seq), ==, first);
    set_faults(g, "types:1:slow=30");
    first = fw_send(g, NVVGPU_EMU_CMD_TYPES, 0, 0, 0, 0, 0);
    second = fw_send(g, NVVGPU_EMU_CMD_INFO, 0, 0, 0, 0, 0);
    g_assert_false(fw_recv(g, &msg, 25));
    g_assert_true(fw_recv(g, &msg, 25));
    g_assert_cmpuint(le32_to_cpu(msg.seq), ==, first);
    g_assert_true(fw_wait(g, second, &msg));

    /* hang: no response to this command; wedge: to none until a reset */
    set_faults(g, "create:1:hang,info:1:wedge");
    first = fw_send(g, NVVGPU_EMU_CMD_CREATE, 1, 1000, ~0ULL, 0, 0);
    fw_ok(g, NVVGPU_EMU_CMD_AVAILABLE, 0, 1000, 0, 0, 0);
    g_assert_false(fw_recv(g, &msg, 100));
    g_assert_cmphex(vf_readl(g, 1, NVVGPU_EMU_VF_REG_MAGIC), ==, ~0U);
    fw_send(g, NVVGPU_EMU_CMD_INFO, 0, 0, 0, 0, 0);
    fw_send(g, NVVGPU_EMU_CMD_AVAILABLE, 0, 1000, 0, 0, 0);
    g_assert_false(fw_recv(g, &msg, 100));
    g_assert_cmpuint(fw_status(g), ==, NVVGPU_EMU_FW_READY);
    pf_writel(g, NVVGPU_EMU_PF_REG_FW_CTRL, NVVGPU_EMU_FW_CTRL_RESET);
    fw_boot(g);
    fw_ok(g, NVVGPU_EMU_CMD_HELLO, 0, 0x10000, 0, 0, 0);

    /* vcrash: the engine halts until DELETE */
    vf_up(g, 0, 1000);
    vf_up(g, 1, 1000);
    set_faults(g, "suspend:1:vcrash");
    fw_expect(g, ERR_STATE, NVVGPU_EMU_CMD_SUSPEND, 0, 2, 0, 0, 0);
    fw_events(g);
    g_assert_cmphex(le16_to_cpu(g->event.opcode), ==,
                    NVVGPU_EMU_EVENT_CRASHED);
    g_assert_cmpuint(le16_to_cpu(g->event.vf), ==, 0);
    g_assert_cmpuint(le64_to_cpu(g->event.res[0]), ==,
                     NVVGPU_EMU_VF_ERR_CRASHED);
    g_assert_cmpuint(vf_readl(g, 0, NVVGPU_EMU_VF_REG_ERROR), ==,
                     NVVGPU_EMU_VF_ERR_CRASHED);
    g_assert_cmphex(qtest_readl(g->qts, IRQ(0, 7)), ==, 0x1007);
    vf_writel(g, 0, NVVGPU_EMU_VF_REG_CTRL, NVVGPU_EMU_VF_CTRL_RESET);
    g_assert_cmpuint(vf_readl(g, 0, NVVGPU_EMU_VF_REG_ERROR), ==,
                     NVVGPU_EMU_VF_ERR_CRASHED);
    flr(g, VF(0));
    g_assert_cmpuint(vf_readl(g, 0, NVVGPU_EMU_VF_REG_ERROR), ==,
                     NVVGPU_EMU_VF_ERR_CRASHED);
    fw_expect(g, ERR_STATE, NVVGPU_EMU_CMD_STOP, 0, 0, 0, 0, 0);
    fw_ok(g, NVVGPU_EMU_CMD_STATS, 0, 0, 0, 0, 64);
    g_assert_cmpuint(vf_do(g, 1, (struct nvvgpu_emu_desc) { 0 }), ==, 0);
    fw_ok(g, NVVGPU_EMU_CMD_DELETE, 0, 0, 0, 0, 0);
    vf_up(g, 0, 1000);
    set_faults(g, "now:vcrash=1");
    g_assert_cmpuint(vf_readl(g, 1, NVVGPU_EMU_VF_REG_ERROR), ==,
                     NVVGPU_EMU_VF_ERR_CRASHED);
    g_assert_cmpuint(vf_readl(g, 0, NVVGPU_EMU_VF_REG_ERROR), ==, 0);
    fw_events(g);

    /* crash: the firmware and all vGPUs crash */
    qtest_writel(g->qts, IRQ_PF(1), 0);
    set_faults(g, "now:crash");
    g_assert_cmpuint(fw_status(g), ==, NVVGPU_EMU_FW_CRASHED);
    g_assert_cmphex(qtest_readl(g->qts, IRQ_PF(1)), ==, 0x1001);
    g_assert_cmpuint(vf_readl(g, 0, NVVGPU_EMU_VF_REG_ERROR), ==,
                     NVVGPU_EMU_VF_ERR_CRASHED);
    fw_send(g, NVVGPU_EMU_CMD_INFO, 0, 0, 0, 0, 0);
    g_assert_false(fw_recv(g, &msg, 50));
    pf_writel(g, NVVGPU_EMU_PF_REG_FW_CTRL, NVVGPU_EMU_FW_CTRL_RESET);
    g_assert_cmphex(vf_readl(g, 0, NVVGPU_EMU_VF_REG_MAGIC), ==, ~0U);
    fw_boot(g);
    set_faults(g, "hello:1:crash");
    fw_send(g, NVVGPU_EMU_CMD_HELLO, 0, 0x10000, 0, 0, 0);
    g_assert_false(fw_recv(g, &msg, 50));
    g_assert_cmpuint(fw_status(g), ==, NVVGPU_EMU_FW_CRASHED);
    gpu_free(g);
}

/* A crash of a vGPU whose interrupt resets the PF drops the command */
static void test_crash_reset(void)
{
    Gpu *g = gpu_up(",fw-delay-us=0", 4);
    struct nvvgpu_emu_msg msg;

    vf_up(g, 0, 1000);
    qtest_writeq(g->qts, VF_MSIX(0) + 7 * 16, PF + CAP_EXP + PCI_EXP_DEVCTL);
    qtest_writel(g->qts, VF_MSIX(0) + 7 * 16 + 8, PCI_EXP_DEVCTL_BCR_FLR);
    set_faults(g, "stats:1:vcrash");
    fw_send(g, NVVGPU_EMU_CMD_STATS, 0, 0, 0, 0, NVVGPU_EMU_STATS_1_0);
    step_ms(g, 1);
    g_assert_cmphex(cfg_readw(g, PF + PCI_COMMAND), ==, 0);

    setup_pf(g);
    g_assert_cmpuint(fw_status(g), ==, NVVGPU_EMU_FW_OFF);
    fw_boot(g);
    g_assert_false(fw_recv(g, &msg, 1));
    fw_ok(g, NVVGPU_EMU_CMD_HELLO, 0, 0x10000, 0, 0, 0);
    fw_expect(g, ERR_NOT_FOUND, NVVGPU_EMU_CMD_STATS, 0, 0, 0, 0,
              NVVGPU_EMU_STATS_1_0);
    gpu_free(g);
}

static void test_messages(void)
{
    Gpu *g = gpu_up("", 4);
    struct nvvgpu_emu_msg msg;
    unsigned int answers = 0;
    uint64_t faults = 0;
    uint32_t seq = g->seq;

    vf_up(g, 0, 1000);
    seq = g->seq;

    /* More responses than the ring holds, without reading any */
    for (unsigned int i = 0; i < 3 * RING_SIZE; i++) {
        fw_send(g, NVVGPU_EMU_CMD_INFO, 0, 0, 0, 0, 0);
        step_ms(g, 1);
    }
    for (unsigned int i = 0; i < 100; i++) {
        vf_writel(g, 0, NVVGPU_EMU_VF_REG_CTRL, NVVGPU_EMU_VF_CTRL_RUN);
        vf_writel(g, 0, NVVGPU_EMU_VF_REG_DOORBELL, VF_RING_SIZE + 1);
        vf_writel(g, 0, NVVGPU_EMU_VF_REG_CTRL, NVVGPU_EMU_VF_CTRL_RESET);
        vf_ring(g, 0);
    }
    g_assert_cmpuint(pf_readl(g, NVVGPU_EMU_PF_REG_MSG_TAIL) - g->msg_head,
                     ==, RING_SIZE);

    while (fw_recv(g, &msg, 5)) {
        if (msg.seq) {
            g_assert_cmpuint(le32_to_cpu(msg.seq), ==, ++seq);
            g_assert_cmpuint(faults, ==, 0);
            answers++;
        } else {
            g_assert_cmphex(le16_to_cpu(msg.opcode), ==,
                            NVVGPU_EMU_EVENT_FAULT);
            faults += le64_to_cpu(msg.res[2]);
        }
    }
    g_assert_cmpuint(answers, ==, 3 * RING_SIZE);
    g_assert_cmpuint(faults, ==, 100);
    gpu_free(g);
}

static void test_migrate(void)
{
    const uint64_t len = 96 * MiB;
    Gpu *g = gpu_up("", 4);
    uint64_t from = vf_up(g, 0, 1001);
    uint64_t to = vf_up(g, 1, 1001);
    struct nvvgpu_emu_msg msg;
    g_autofree uint8_t *state = NULL;
    uint32_t size, piece;
    uint32_t word;

    /* One fill in flight and one queued */
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_SUSPEND, 0, 0, 0, 0, 0);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_SUSPEND, 0, 3, 0, 0, 0);
    vf_writel(g, 0, NVVGPU_EMU_VF_REG_SCRATCH, 0x5ca7c4);
    vf_put(g, 0, &(struct nvvgpu_emu_desc) {
        .op = NVVGPU_EMU_OP_FILL, .flags = 2, .len = len,
        .data = 0x04030201 });
    vf_put(g, 0, &(struct nvvgpu_emu_desc) {
        .op = NVVGPU_EMU_OP_SEMAPHORE, .flags = NVVGPU_EMU_DESC_IRQ,
        .dst = MEM, .data = 99, .vector = 1 });
    vf_ring_bell(g, 0);
    for (unsigned int i = 0; i < 5; i++) {
        qtest_clock_step(g->qts, 20 * 1000);
    }
    fw_ok(g, NVVGPU_EMU_CMD_SUSPEND, 0, NVVGPU_EMU_SUSPEND_P2P, 0, 0, 0);
    fw_expect(g, ERR_STATE, NVVGPU_EMU_CMD_SAVE, 0, NVVGPU_EMU_STATE_REGS, 0,
              0, BUF_SIZE);
    fw_ok(g, NVVGPU_EMU_CMD_SUSPEND, 0, NVVGPU_EMU_SUSPEND_ALL, 0, 0, 0);
    g_assert_true(vf_readl(g, 0, NVVGPU_EMU_VF_REG_STATUS) &
                  NVVGPU_EMU_VF_STATUS_BUSY);
    vf_writel(g, 0, NVVGPU_EMU_VF_REG_SCRATCH, 1);
    g_assert_cmphex(vf_readl(g, 0, NVVGPU_EMU_VF_REG_SCRATCH), ==, 0x5ca7c4);

    msg = fw_cmd(g, NVVGPU_EMU_CMD_STATE_SIZE, 0, 0, 0, 0, 0);
    size = le64_to_cpu(msg.res[0]);
    g_assert_cmpuint(le64_to_cpu(msg.res[1]), ==, 1 * GiB);
    state = g_malloc(size);
    for (uint32_t off = 0; off < size; off += piece) {
        msg = fw_cmd(g, NVVGPU_EMU_CMD_SAVE, 0, NVVGPU_EMU_STATE_REGS, off, 0,
                     40);
        piece = le32_to_cpu(msg.len);
        g_assert_cmpuint(piece, >, 0);
        qtest_memread(g->qts, BUF, state + off, piece);
    }

    /* A refused LOAD changes nothing */
    fw_expect(g, ERR_STATE, NVVGPU_EMU_CMD_LOAD, 1, NVVGPU_EMU_STATE_REGS, 0,
              0, size);
    fw_ok(g, NVVGPU_EMU_CMD_SUSPEND, 1, NVVGPU_EMU_SUSPEND_ALL, 0, 0, 0);
    for (uint32_t i = 0; i < size; i++) {
        state[i] ^= 1 << g_test_rand_int_range(0, 8);
        qtest_memwrite(g->qts, BUF, state, size);
        fw_expect(g, ERR_DATA, NVVGPU_EMU_CMD_LOAD, 1, NVVGPU_EMU_STATE_REGS,
                  0, 0, size);
        msg = fw_cmd(g, NVVGPU_EMU_CMD_SAVE, 0, NVVGPU_EMU_STATE_REGS, 0, 0,
                     BUF_SIZE);
        qtest_memread(g->qts, BUF, state, size);
    }
    qtest_memwrite(g->qts, BUF, state, size);
    fw_expect(g, ERR_DATA, NVVGPU_EMU_CMD_LOAD, 1, NVVGPU_EMU_STATE_REGS, 0,
              0, size + 1);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_LOAD, 1, NVVGPU_EMU_STATE_REGS,
              8, 0, 8);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_LOAD, 1, NVVGPU_EMU_STATE_REGS,
              0, 0, 0);
    fw_create(g, 2, 1000);
    fw_ok(g, NVVGPU_EMU_CMD_START, 2, 0, 0, 0, 0);
    fw_ok(g, NVVGPU_EMU_CMD_SUSPEND, 2, NVVGPU_EMU_SUSPEND_ALL, 0, 0, 0);
    qtest_memwrite(g->qts, BUF, state, size);
    fw_expect(g, ERR_DATA, NVVGPU_EMU_CMD_LOAD, 2, NVVGPU_EMU_STATE_REGS, 0,
              0, size);
    g_assert_cmphex(vf_readl(g, 1, NVVGPU_EMU_VF_REG_SCRATCH), ==, 0);

    /* Move VRAM in chunks; zero chunks without data */
    for (uint64_t off = 0; off < 1 * GiB; off += 32 * MiB) {
        g_autofree uint8_t *vram = NULL;

        if (off == 0 || off >= 128 * MiB) {
            msg = fw_cmd(g, NVVGPU_EMU_CMD_SAVE, 0, NVVGPU_EMU_STATE_VRAM, off,
                         0, 0);
            g_assert_cmpuint(le64_to_cpu(msg.res[0]), ==, 0);
            /* With an empty buffer, a run of zeroes is still reported */
            msg = fw_cmd(g, NVVGPU_EMU_CMD_SAVE, 0, NVVGPU_EMU_STATE_VRAM, off,
                         32 * MiB, 0);
            g_assert_cmpuint(le32_to_cpu(msg.status), ==, NVVGPU_EMU_OK);
            g_assert_cmpuint(le32_to_cpu(msg.len), ==, 0);
            g_assert_cmpuint(le64_to_cpu(msg.res[0]), ==, off ? 32 * MiB : 0);
        }
        if (off < 128 * MiB) {
            for (uint64_t k = 0; k < 32 * MiB; k += BUF_SIZE) {
                msg = fw_cmd(g, NVVGPU_EMU_CMD_SAVE, 0, NVVGPU_EMU_STATE_VRAM,
                             off + k, 0, BUF_SIZE);
                g_assert_cmpuint(le64_to_cpu(msg.res[0]), ==, BUF_SIZE);
                fw_ok(g, NVVGPU_EMU_CMD_LOAD, 1, NVVGPU_EMU_STATE_VRAM,
                      off + k, BUF_SIZE, le32_to_cpu(msg.len));
                if (!msg.len) {
                    break;
                }
            }
        }
    }
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_SAVE, 0, NVVGPU_EMU_STATE_VRAM,
              1 * GiB + 1, 0, 1);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_LOAD, 1, NVVGPU_EMU_STATE_VRAM,
              1 * GiB, 0, 1);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_LOAD, 1, NVVGPU_EMU_STATE_VRAM,
              16, ~0ULL, 0);

    /* A doorbell during SUSPEND_ALL is latched */
    qtest_memwrite(g->qts, BUF, state, size);
    fw_ok(g, NVVGPU_EMU_CMD_LOAD, 1, NVVGPU_EMU_STATE_REGS, 0, 0, 100);
    qtest_memwrite(g->qts, BUF, state + 100, size - 100);
    fw_ok(g, NVVGPU_EMU_CMD_LOAD, 1, NVVGPU_EMU_STATE_REGS, 100, 0,
          size - 100);
    g_assert_cmphex(vf_readl(g, 1, NVVGPU_EMU_VF_REG_SCRATCH), ==, 0x5ca7c4);
    g->vf_tail[0] = 2;
    vf_put(g, 0, &(struct nvvgpu_emu_desc) {
        .op = NVVGPU_EMU_OP_SEMAPHORE, .dst = MEM + 8, .data = 100 });
    vf_writel(g, 1, NVVGPU_EMU_VF_REG_DOORBELL, 3);
    g_assert_cmpuint(vf_readl(g, 1, NVVGPU_EMU_VF_REG_RING_TAIL), ==, 2);
    step_ms(g, 5);
    g_assert_cmpuint(qtest_readq(g->qts, MEM), ==, 0);
    fw_ok(g, NVVGPU_EMU_CMD_RESUME, 1, 0, 0, 0, 0);
    vf_drain(g, 1);
    g_assert_cmpuint(vf_readl(g, 1, NVVGPU_EMU_VF_REG_ERROR), ==, 0);
    g_assert_cmpuint(vf_readl(g, 1, NVVGPU_EMU_VF_REG_RING_HEAD), ==, 3);
    g_assert_cmpuint(qtest_readq(g->qts, MEM), ==, 99);
    g_assert_cmpuint(qtest_readq(g->qts, MEM + 8), ==, 100);
    g_assert_cmphex(qtest_readl(g->qts, IRQ(1, 1)), ==, 0x1001);
    for (uint64_t off = 0; off < len; off += 61 * 4096) {
        qtest_memread(g->qts, PF_VRAM + to + off, &word, 4);
        g_assert_cmphex(le32_to_cpu(word), ==, 0x04030201);
    }
    g_assert_cmphex(qtest_readl(g->qts, PF_VRAM + to + len), ==, 0);

    /* The source stays suspended until RESUME */
    g_assert_cmphex(qtest_readl(g->qts, PF_VRAM + from + len - 4), ==, 0);
    fw_ok(g, NVVGPU_EMU_CMD_RESUME, 0, 0, 0, 0, 0);
    vf_drain(g, 0);
    g_assert_cmphex(qtest_readl(g->qts, PF_VRAM + from + len - 4), ==,
                    0x04030201);
    gpu_free(g);
}

static void read_bits(Gpu *g, unsigned int vf, uint64_t what, uint64_t off,
                      uint64_t bytes, uint8_t *bits, size_t len)
{
    struct nvvgpu_emu_msg msg;

    msg = fw_cmd(g, NVVGPU_EMU_CMD_DIRTY_READ, vf, what, off, bytes, len);
    g_assert_cmpuint(le32_to_cpu(msg.status), ==, NVVGPU_EMU_OK);
    g_assert_cmpuint(le32_to_cpu(msg.len), ==, len);
    qtest_memread(g->qts, BUF, bits, len);
}

/* USED reports the pages that are not all zero */
static void test_used(void)
{
    const size_t len = 1 * GiB / NVVGPU_EMU_VRAM_PAGE / 8;
    g_autofree uint8_t *bits = g_malloc(len);
    Gpu *g = gpu_up("", 4);
    struct nvvgpu_emu_msg msg;

    fw_expect(g, ERR_NOT_FOUND, NVVGPU_EMU_CMD_USED, 0, 0, 0, 65536, 0);
    vf_up(g, 1, 1000);
    vf_up(g, 0, 1001);
    qtest_writeb(g->qts, VF_FB(1), 1);
    msg = fw_cmd(g, NVVGPU_EMU_CMD_USED, 0, 0, 0, 1 * GiB, 0);
    g_assert_cmpuint(le32_to_cpu(msg.status), ==, NVVGPU_EMU_OK);
    g_assert_cmpuint(le32_to_cpu(msg.len), ==, 0);
    g_assert_cmpuint(le64_to_cpu(msg.res[0]), ==, 0);

    qtest_writeb(g->qts, VF_FB(0) + 3 * 65536, 1);
    qtest_writeb(g->qts, VF_FB(0) + 21 * 65536 + 65535, 1);
    vf_do(g, 0, (struct nvvgpu_emu_desc) {
        .op = NVVGPU_EMU_OP_FILL, .flags = 2, .dst = 1 * GiB - 1, .len = 1,
        .data = 1 });
    msg = fw_cmd(g, NVVGPU_EMU_CMD_USED, 0, 0, 0, 1 * GiB, len);
    g_assert_cmpuint(le32_to_cpu(msg.status), ==, NVVGPU_EMU_OK);
    g_assert_cmpuint(le32_to_cpu(msg.len), ==, len);
    g_assert_cmpuint(le64_to_cpu(msg.res[0]), ==, 3);
    qtest_memread(g->qts, BUF, bits, len);
    for (size_t i = 0; i < len; i++) {
        g_assert_cmphex(bits[i], ==, i == 0 ? 0x08 : i == 2 ? 0x20 :
                        i == len - 1 ? 0x80 : 0);
    }

    /* A subrange, with a page that has been zeroed again */
    qtest_writeb(g->qts, VF_FB(0) + 3 * 65536, 0);
    msg = fw_cmd(g, NVVGPU_EMU_CMD_USED, 0, 0, 65536, 9 * 65536, 2);
    g_assert_cmpuint(le64_to_cpu(msg.res[0]), ==, 0);
    msg = fw_cmd(g, NVVGPU_EMU_CMD_USED, 0, 0, 16 * 65536, 6 * 65536, 1);
    g_assert_cmpuint(le64_to_cpu(msg.res[0]), ==, 1);
    qtest_memread(g->qts, BUF, bits, 1);
    g_assert_cmphex(bits[0], ==, 0x20);

    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_USED, 0, 0, 0, 0, 1);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_USED, 0, 0, 1, 65536, 1);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_USED, 0, 0, 0, 9 * 65536, 1);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_USED, 0, 0, 65536, 1 * GiB, 0);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_USED, 0, 0, 65536, ~0ULL, 0);
    gpu_free(g);
}

static void test_dirty(void)
{
    const size_t vram_len = 1 * GiB / NVVGPU_EMU_VRAM_PAGE / 8;
    g_autofree uint8_t *bits = g_malloc(vram_len);
    Gpu *g = gpu_up("", 4);
    struct nvvgpu_emu_range ranges[2];
    struct nvvgpu_emu_msg msg;
    uint64_t off;

    vf_up(g, 1, 1000);
    off = vf_up(g, 0, 1001);

    /* VRAM */
    fw_expect(g, ERR_STATE, NVVGPU_EMU_CMD_DIRTY_READ, 0, 0, 0, 65536, 1);
    fw_expect(g, ERR_STATE, NVVGPU_EMU_CMD_DIRTY_STOP, 0, 0, 0, 0, 0);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_DIRTY_START, 0, 2, 0, 0, 0);
    fw_ok(g, NVVGPU_EMU_CMD_DIRTY_START, 0, NVVGPU_EMU_DIRTY_VRAM, 0, 0, 0);
    fw_expect(g, ERR_STATE, NVVGPU_EMU_CMD_DIRTY_START, 0, 0, 0, 0, 0);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_DIRTY_READ, 0, 0, 1, 65536, 1);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_DIRTY_READ, 0, 0, 0, 0, 1);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_DIRTY_READ, 0, 0, 0,
              9 * 65536, 1);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_DIRTY_READ, 0, 0, 65536, 1 * GiB,
              BUF_SIZE);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_DIRTY_READ, 0, 0, 65536,
              ~0ULL - 65535, BUF_SIZE);
    read_bits(g, 0, NVVGPU_EMU_DIRTY_VRAM, 0, 1 * GiB, bits, vram_len);
    for (size_t i = 0; i < vram_len; i++) {
        g_assert_cmphex(bits[i], ==, 0xff);
    }
    read_bits(g, 0, NVVGPU_EMU_DIRTY_VRAM, 0, 1 * GiB, bits, vram_len);
    g_assert_true(buffer_is_zero(bits, vram_len));

    /* Writes by CPU (VF and PF), engine and LOAD; not of the other vGPU */
    qtest_writeb(g->qts, VF_FB(0) + 3 * 65536, 1);
    qtest_writeb(g->qts, PF_VRAM + off + 5 * 65536 + 65535, 1);
    qtest_writeb(g->qts, VF_FB(1), 1);
    vf_do(g, 0, (struct nvvgpu_emu_desc) {
        .op = NVVGPU_EMU_OP_FILL, .flags = 2, .dst = 8 * 65536 - 1, .len = 2 });
    vf_do(g, 0, (struct nvvgpu_emu_desc) {
        .op = NVVGPU_EMU_OP_FILL, .flags = 2, .dst = 1 * GiB - 1, .len = 1 });
    fw_ok(g, NVVGPU_EMU_CMD_LOAD, 0, NVVGPU_EMU_STATE_VRAM, 16 * 65536, 65536,
          0);
    /* Reading a small range first must not drop its neighbours' bits */
    read_bits(g, 0, NVVGPU_EMU_DIRTY_VRAM, 3 * 65536, 65536, bits, 1);
    g_assert_cmphex(bits[0], ==, 1);
    read_bits(g, 0, NVVGPU_EMU_DIRTY_VRAM, 0, 1 * GiB, bits, vram_len);
    g_assert_cmphex(bits[0], ==, 0xa0);
    g_assert_cmphex(bits[1], ==, 0x01);
    g_assert_cmphex(bits[2], ==, 0x01);
    g_assert_cmphex(bits[vram_len - 1], ==, 0x80);
    fw_ok(g, NVVGPU_EMU_CMD_DIRTY_STOP, 0, NVVGPU_EMU_DIRTY_VRAM, 0, 0, 0);

    /* DMA */
    ranges[0].iova = cpu_to_le64(MEM);
    ranges[0].length = cpu_to_le64(16 * MiB);
    ranges[1].iova = cpu_to_le64(MEM + 32 * MiB);
    ranges[1].length = cpu_to_le64(1 * MiB);
    qtest_memwrite(g->qts, BUF, ranges, sizeof(ranges));
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_DIRTY_START, 0,
              NVVGPU_EMU_DIRTY_DMA, 4096, 0, 0);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_DIRTY_START, 0,
              NVVGPU_EMU_DIRTY_DMA, 4096, 0, 24);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_DIRTY_START, 0,
              NVVGPU_EMU_DIRTY_DMA, 5000, 0, 32);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_DIRTY_START, 0,
              NVVGPU_EMU_DIRTY_DMA, 4096, 0,
              (NVVGPU_EMU_DIRTY_RANGES_MAX + 1) * 16);
    msg = fw_cmd(g, NVVGPU_EMU_CMD_DIRTY_START, 0, NVVGPU_EMU_DIRTY_DMA, 4096,
                 0, sizeof(ranges));
    g_assert_cmpuint(le64_to_cpu(msg.res[0]), ==, 4096);

    vf_do(g, 0, (struct nvvgpu_emu_desc) {
        .op = NVVGPU_EMU_OP_COPY, .flags = 1, .dst = MEM + 4095, .len = 2 });
    vf_do(g, 0, (struct nvvgpu_emu_desc) {
        .op = NVVGPU_EMU_OP_COPY, .flags = 2, .src = MEM + 16384, .len = 2 });
    vf_do(g, 0, (struct nvvgpu_emu_desc) {
        .op = NVVGPU_EMU_OP_SEMAPHORE, .dst = MEM + 32 * MiB + 3 * 4096 });
    vf_do(g, 0, (struct nvvgpu_emu_desc) {
        .op = NVVGPU_EMU_OP_FILL, .dst = MEM + 20 * MiB, .len = 4096 });
    vf_do(g, 1, (struct nvvgpu_emu_desc) {
        .op = NVVGPU_EMU_OP_FILL, .dst = MEM + 8 * 4096, .len = 4096 });
    g_assert_cmpuint(vf_readl(g, 0, NVVGPU_EMU_VF_REG_ERROR), ==, 0);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_DIRTY_READ, 0,
              NVVGPU_EMU_DIRTY_DMA, MEM + 1, 4096, 1);
    read_bits(g, 0, NVVGPU_EMU_DIRTY_DMA, MEM, 64 * MiB, bits, 2048);
    g_assert_cmphex(bits[0], ==, 0x03);
    g_assert_cmphex(bits[1], ==, 0);
    g_assert_cmphex(bits[20 * MiB / 4096 / 8], ==, 0);
    g_assert_cmphex(bits[32 * MiB / 4096 / 8], ==, 0x08);
    read_bits(g, 0, NVVGPU_EMU_DIRTY_DMA, MEM, 64 * MiB, bits, 2048);
    g_assert_true(buffer_is_zero(bits, 2048));
    fw_ok(g, NVVGPU_EMU_CMD_DIRTY_STOP, 0, NVVGPU_EMU_DIRTY_DMA, 0, 0, 0);

    /* The whole IOVA space: the page size grows */
    ranges[0].iova = 0;
    ranges[0].length = cpu_to_le64(1ULL << 48);
    qtest_memwrite(g->qts, BUF, ranges, sizeof(ranges[0]));
    msg = fw_cmd(g, NVVGPU_EMU_CMD_DIRTY_START, 0, NVVGPU_EMU_DIRTY_DMA, 4096,
                 0, sizeof(ranges[0]));
    g_assert_cmpuint(le32_to_cpu(msg.status), ==, NVVGPU_EMU_OK);
    g_assert_cmpuint(le64_to_cpu(msg.res[0]), >, 4096);
    gpu_free(g);
}

static void dispi(Gpu *g, unsigned int vf, unsigned int index, uint16_t val)
{
    qtest_writew(g->qts, VF_REGS(vf) + NVVGPU_EMU_VF_REG_DISPI + index * 2,
                 val);
}

static void test_display(void)
{
    Gpu *g = gpu_up("", 4);
    const size_t len = sizeof(struct nvvgpu_emu_plane) + NVVGPU_EMU_EDID_SIZE;
    struct nvvgpu_emu_plane plane;
    uint8_t edid[NVVGPU_EMU_EDID_SIZE];
    uint8_t mmio[NVVGPU_EMU_EDID_SIZE];
    uint8_t sum = 0;

    fw_create(g, 0, 1401);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_DISPLAY, 0, 0, 0, 0, len - 1);
    fw_ok(g, NVVGPU_EMU_CMD_DISPLAY, 0, 0, 0, 0, len);
    qtest_memread(g->qts, BUF, &plane, sizeof(plane));
    qtest_memread(g->qts, BUF + sizeof(plane), edid, sizeof(edid));
    g_assert_cmpuint(plane.enabled, ==, 0);
    for (unsigned int i = 0; i < 128; i++) {
        sum += edid[i];
    }
    g_assert_cmpuint(sum, ==, 0);
    for (unsigned int i = 0; i < sizeof(edid); i++) {
        mmio[i] = qtest_readb(g->qts, VF_REGS(0) + i);
    }
    g_assert_cmpmem(edid, sizeof(edid), mmio, sizeof(mmio));

    g_assert_cmphex(qtest_readw(g->qts, VF_REGS(0) + 0x500), ==, 0xb0c5);
    g_assert_cmpuint(qtest_readw(g->qts, VF_REGS(0) + 0x514), ==, 1024);
    g_assert_cmpuint(vf_readl(g, 0, NVVGPU_EMU_VF_REG_QEXT_SIZE), ==, 8);
    vf_writel(g, 0, NVVGPU_EMU_VF_REG_QEXT_ENDIAN, 0xbebebebe);
    g_assert_cmphex(vf_readl(g, 0, NVVGPU_EMU_VF_REG_QEXT_ENDIAN), ==,
                    0x1e1e1e1e);

    dispi(g, 0, 1, 1024);
    dispi(g, 0, 2, 768);
    dispi(g, 0, 3, 32);
    dispi(g, 0, 6, 1088);
    dispi(g, 0, 8, 16);
    dispi(g, 0, 9, 3);
    g_assert_cmpuint(fw_events(g), ==, 0);
    dispi(g, 0, 4, 0x41);
    g_assert_cmpuint(fw_events(g), ==, 1);
    g_assert_cmphex(le16_to_cpu(g->event.opcode), ==,
                    NVVGPU_EMU_EVENT_DISPLAY);
    fw_ok(g, NVVGPU_EMU_CMD_DISPLAY, 0, 0, 0, 0, len);
    qtest_memread(g->qts, BUF, &plane, sizeof(plane));
    g_assert_cmpuint(le32_to_cpu(plane.enabled), ==, 1);
    g_assert_cmpuint(le32_to_cpu(plane.width), ==, 1024);
    g_assert_cmpuint(le32_to_cpu(plane.height), ==, 768);
    g_assert_cmpuint(le32_to_cpu(plane.stride), ==, 1088 * 4);
    g_assert_cmpuint(le32_to_cpu(plane.bpp), ==, 32);
    g_assert_cmpuint(le64_to_cpu(plane.offset), ==, 1088 * 4 * 3 + 64);

    /* A page flip is not a mode change; a plane too large is disabled */
    dispi(g, 0, 9, 768);
    g_assert_cmpuint(fw_events(g), ==, 1);
    g_assert_cmphex(le16_to_cpu(g->event.opcode), ==, NVVGPU_EMU_EVENT_FLIP);
    dispi(g, 0, 9, 768);
    g_assert_cmpuint(fw_events(g), ==, 0);
    dispi(g, 0, 9, 65535);
    fw_ok(g, NVVGPU_EMU_CMD_DISPLAY, 0, 0, 0, 0, len);
    qtest_memread(g->qts, BUF, &plane, sizeof(plane));
    g_assert_cmpuint(le32_to_cpu(plane.enabled), ==, 0);
    dispi(g, 0, 9, 0);
    fw_events(g);
    flr(g, VF(0));
    g_assert_cmpuint(fw_events(g), ==, 1);
    g_assert_cmpuint(qtest_readw(g->qts, VF_REGS(0) + 0x502), ==, 0);

    /* A type without heads has no display */
    fw_create(g, 1, 1304);
    fw_expect(g, ERR_UNSUPPORTED, NVVGPU_EMU_CMD_DISPLAY, 1, 0, 0, 0, len);
    g_assert_cmphex(qtest_readw(g->qts, VF_REGS(1) + 0x500), ==, 0);
    fw_ok(g, NVVGPU_EMU_CMD_START, 1, 0, 0, 0, 0);
    fw_expect(g, ERR_UNSUPPORTED, NVVGPU_EMU_CMD_SET_EDID, 1, 0, 0, 0, 0);
    gpu_free(g);
}

/* Whether the guest sees this EDID, and zeroes behind it */
static bool sees_edid(Gpu *g, const uint8_t *edid, size_t len)
{
    for (unsigned int i = 0; i < NVVGPU_EMU_EDID_SIZE; i++) {
        if (qtest_readb(g->qts, VF_REGS(0) + i) != (i < len ? edid[i] : 0)) {
            return false;
        }
    }

    return true;
}

static void test_monitor(void)
{
    Gpu *g = gpu_up("", 4);
    uint8_t edid[NVVGPU_EMU_EDID_SIZE], first[NVVGPU_EMU_EDID_SIZE];

    fw_create(g, 0, 1401);
    for (unsigned int i = 0; i < sizeof(edid); i++) {
        edid[i] = i + 1;
        first[i] = qtest_readb(g->qts, VF_REGS(0) + i);
    }
    qtest_memwrite(g->qts, BUF, edid, sizeof(edid));
    fw_expect(g, ERR_STATE, NVVGPU_EMU_CMD_SET_EDID, 0, 0, 0, 0, 128);
    fw_ok(g, NVVGPU_EMU_CMD_START, 0, 0, 0, 0, 0);

    fw_ok(g, NVVGPU_EMU_CMD_SET_EDID, 0, 0, 0, 0, 256);
    g_assert_true(sees_edid(g, edid, 256));
    fw_ok(g, NVVGPU_EMU_CMD_SET_EDID, 0, 0, 0, 0, 128);
    g_assert_true(sees_edid(g, edid, 128));
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_SET_EDID, 0, 0, 0, 0, 127);
    fw_expect(g, ERR_INVALID, NVVGPU_EMU_CMD_SET_EDID, 0, 0, 0, 0, 384);
    g_assert_true(sees_edid(g, edid, 128));

    /* It stays over resets, and goes with the user */
    flr(g, VF(0));
    fw_ok(g, NVVGPU_EMU_CMD_RESET, 0, 0, 0, 0, 0);
    g_assert_true(sees_edid(g, edid, 128));
    fw_ok(g, NVVGPU_EMU_CMD_SET_EDID, 0, 0, 0, 0, 0);
    g_assert_true(sees_edid(g, edid, 0));
    fw_ok(g, NVVGPU_EMU_CMD_STOP, 0, 0, 0, 0, 0);
    fw_ok(g, NVVGPU_EMU_CMD_START, 0, 0, 0, 0, 0);
    g_assert_true(sees_edid(g, first, 256));
    gpu_free(g);
}

/* A DMA address that a hostile guest or host may choose */
static uint64_t hostile_addr(void)
{
    static const uint64_t bases[] = {
        0, MEM, RAM_SIZE - 64, CMD_RING, MSG_RING, PF_REGS, PF_MSIX,
        VF_REGS(0), VF_REGS(1), VF_MSIX(0), PF, VF(0), VF(1), PORT, PF_VRAM,
        VF_FB(0), VF_FB(1), 0xfee00000, 0xffffffff, ~0ULL - 63, 1 * TiB,
        PF + CAP_SRIOV, PF + CAP_EXP, VF(0) + CAP_EXP, VF(0) + CAP_MSIX,
    };

    return bases[g_test_rand_int_range(0, ARRAY_SIZE(bases))] +
           (g_test_rand_int_range(0, 4) ? 0 : g_test_rand_int() & 0xff8);
}

static void hostile_desc(Gpu *g, unsigned int vf)
{
    struct nvvgpu_emu_desc d = {
        .op = g_test_rand_int_range(0, 4),
        .flags = g_test_rand_int_range(0, 8),
        .src = hostile_addr(),
        .dst = hostile_addr(),
        .len = g_test_rand_int_range(0, 3) ?
               g_test_rand_int_range(1, 0x4000) : g_test_rand_int(),
        .data = g_test_rand_int(),
        .vector = g_test_rand_int_range(0, 9),
    };

    vf_put(g, vf, &d);
}

static void hostile_write(Gpu *g, uint64_t base, uint32_t size)
{
    uint64_t addr = base + g_test_rand_int_range(0, size);
    uint64_t val = g_test_rand_int_range(0, 3) ? g_test_rand_int_range(0, 40) :
                   ((uint64_t)g_test_rand_int() << 32 | g_test_rand_int());

    switch (g_test_rand_int_range(0, 6)) {
    case 0:
        qtest_writeb(g->qts, addr, val);
        break;
    case 1:
        qtest_writew(g->qts, addr & ~1ULL, val);
        break;
    case 2:
        qtest_writeq(g->qts, addr & ~7ULL, val);
        break;
    default:
        qtest_writel(g->qts, addr & ~3ULL, val);
        break;
    }
    qtest_readq(g->qts, addr & ~7ULL);
}

static void test_hostile(void)
{
    /* Without hotplug, or DMA could power off the slot and unplug the GPU */
    Gpu *g = gpu_new_port(false, ",fw-delay-us=0");

    sriov_enable(g, 4);
    for (unsigned int round = 0; round < (g_test_slow() ? 100 : 10); round++) {
        fw_rings(g);
        pf_writel(g, NVVGPU_EMU_PF_REG_FW_CTRL, NVVGPU_EMU_FW_CTRL_RESET);
        fw_rings(g);
        fw_boot(g);
        fw_ok(g, NVVGPU_EMU_CMD_HELLO, 0, 0x10000, 0, 0, 0);
        for (unsigned int vf = 0; vf < 2; vf++) {
            fw_create(g, vf, 1000 + vf);
            fw_ok(g, NVVGPU_EMU_CMD_START, vf, 0, 0, 0, 0);
            setup_vf(g, vf);
            /* Point the interrupts at random addresses too */
            for (unsigned int i = 0; i < NVVGPU_EMU_VF_VECTORS; i++) {
                uint64_t addr = hostile_addr();

                qtest_writeq(g->qts, VF_MSIX(vf) + i * 16, addr);
                qtest_writel(g->qts, VF_MSIX(vf) + i * 16 + 8,
                             g_test_rand_int_range(0, 4));
            }
            vf_ring(g, vf);
        }
        for (unsigned int i = 0; i < 30; i++) {
            unsigned int vf = g_test_rand_int_range(0, 2);

            hostile_desc(g, vf);
            vf_ring_bell(g, vf);
            if (!g_test_rand_int_range(0, 3)) {
                hostile_write(g, VF_REGS(vf), NVVGPU_EMU_VF_REGS_SIZE);
            }
            if (!g_test_rand_int_range(0, 3)) {
                hostile_write(g, VF_REGS(vf) + 0x1000, 0x80);
            }
            if (!g_test_rand_int_range(0, 10)) {
                hostile_write(g, PF_REGS, 0x80);
            }
            qtest_clock_step(g->qts, 50 * 1000);
            if (vf_readl(g, vf, NVVGPU_EMU_VF_REG_STATUS) &
                NVVGPU_EMU_VF_STATUS_ERROR) {
                vf_writel(g, vf, NVVGPU_EMU_VF_REG_CTRL,
                          NVVGPU_EMU_VF_CTRL_RESET);
                vf_ring(g, vf);
            }
        }
        /* Random commands with buffers at random addresses */
        for (unsigned int i = 0; i < 30; i++) {
            struct nvvgpu_emu_cmd cmd = {
                .seq = cpu_to_le32(i + 1),
                .opcode = cpu_to_le16(g_test_rand_int_range(1, 22)),
                .vf = cpu_to_le16(g_test_rand_int_range(0, 3)),
                .addr = cpu_to_le64(hostile_addr()),
                .len = cpu_to_le32(g_test_rand_int_range(0, 0x4000)),
            };

            for (unsigned int k = 0; k < ARRAY_SIZE(cmd.arg); k++) {
                cmd.arg[k] = cpu_to_le64(g_test_rand_int_range(0, 2) ?
                                         g_test_rand_int_range(0, 3) :
                                         hostile_addr());
            }
            qtest_memwrite(g->qts, CMD_RING + pf_readl(g,
                           NVVGPU_EMU_PF_REG_CMD_HEAD) % RING_SIZE *
                           sizeof(cmd), &cmd, sizeof(cmd));
            pf_writel(g, NVVGPU_EMU_PF_REG_CMD_TAIL,
                      pf_readl(g, NVVGPU_EMU_PF_REG_CMD_HEAD) + 1);
            step_ms(g, 1);
            pf_writel(g, NVVGPU_EMU_PF_REG_MSG_HEAD,
                      pf_readl(g, NVVGPU_EMU_PF_REG_MSG_TAIL));
        }

        /* Undo the effects of stray DMA on the machine */
        cfg_writew(g, PORT + PORT_CAP_EXP + PCI_EXP_SLTCTL, 0);
        setup_bridge(g);
        flr(g, PF);
        setup_pf(g);
        sriov_enable(g, 4);
        g_assert_cmphex(pf_readl(g, NVVGPU_EMU_PF_REG_MAGIC), ==,
                        NVVGPU_EMU_PF_MAGIC);
    }
    gpu_free(g);
}

static void test_unplug(void)
{
    Gpu *g = gpu_up("", 64);

    for (unsigned int i = 0; i < 8; i++) {
        vf_up(g, i, 1000);
        vf_put(g, i, &(struct nvvgpu_emu_desc) {
            .op = NVVGPU_EMU_OP_FILL, .flags = 2, .len = 512 * MiB,
            .data = ~0U });
        vf_ring_bell(g, i);
    }
    fw_send(g, NVVGPU_EMU_CMD_INFO, 0, 0, 0, 0, 0);
    qtest_clock_step(g->qts, 20 * 1000);
    qtest_qmp_device_del_send(g->qts, "gpu");
    /* No guest acknowledges the unplug; a machine reset completes it */
    qtest_system_reset_nowait(g->qts);
    qtest_qmp_eventwait(g->qts, "DEVICE_DELETED");
    qtest_clock_step(g->qts, 100 * 1000);
    gpu_free(g);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/nvvgpu-emu/identity", test_identity);
    qtest_add_func("/nvvgpu-emu/sriov", test_sriov);
    qtest_add_func("/nvvgpu-emu/boot", test_boot);
    qtest_add_func("/nvvgpu-emu/types", test_types);
    qtest_add_func("/nvvgpu-emu/small", test_small);
    qtest_add_func("/nvvgpu-emu/placement", test_placement);
    qtest_add_func("/nvvgpu-emu/aperture", test_aperture);
    qtest_add_func("/nvvgpu-emu/scrub", test_scrub);
    qtest_add_func("/nvvgpu-emu/no-discard", test_no_discard);
    qtest_add_func("/nvvgpu-emu/life", test_life);
    qtest_add_func("/nvvgpu-emu/engine", test_engine);
    qtest_add_func("/nvvgpu-emu/refused", test_refused);
    qtest_add_func("/nvvgpu-emu/fair", test_fair);
    qtest_add_func("/nvvgpu-emu/reset", test_reset);
    qtest_add_func("/nvvgpu-emu/faults", test_faults);
    qtest_add_func("/nvvgpu-emu/crash-reset", test_crash_reset);
    qtest_add_func("/nvvgpu-emu/messages", test_messages);
    qtest_add_func("/nvvgpu-emu/migrate", test_migrate);
    qtest_add_func("/nvvgpu-emu/used", test_used);
    qtest_add_func("/nvvgpu-emu/dirty", test_dirty);
    qtest_add_func("/nvvgpu-emu/display", test_display);
    qtest_add_func("/nvvgpu-emu/monitor", test_monitor);
    qtest_add_func("/nvvgpu-emu/hostile", test_hostile);
    qtest_add_func("/nvvgpu-emu/unplug", test_unplug);
    return g_test_run();
}
