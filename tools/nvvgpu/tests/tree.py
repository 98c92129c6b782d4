# SPDX-License-Identifier: GPL-2.0-only
"""
tree - files as sysfs and others have them, for tests without a GPU.
"""

import os

PF = "0000:01:00.0"
TYPES = [(1000, "NVIDIA EMU-0B", "desktop", 512, 64), (1001, "NVIDIA EMU-1Q", "workstation", 1024, 32),
         (1304, "NVIDIA EMU-4C", "compute", 4096, 8)]


class Tree:
    """Files below a directory, to be given to nvvgpuctl --root"""

    def __init__(self, path):
        self.path = str(path)

    def __str__(self):
        return self.path

    def write(self, name, text):
        """Write a file, with its directories"""
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def read(self, name):
        """The content of a file"""
        with open(os.path.join(self.path, name), encoding="utf-8") as f:
            return f.read()

    def link(self, name, target):
        """Make a symbolic link, instead of one that is there"""
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.islink(path):
            os.unlink(path)
        os.symlink(target, path)

    def remove(self, name):
        """Remove a file or an empty directory"""
        path = os.path.join(self.path, name)
        if os.path.isdir(path) and not os.path.islink(path):
            os.rmdir(path)
        else:
            os.unlink(path)

    def device(self, bdf, **files):
        """Write files of a PCI device"""
        for name, text in files.items():
            self.write(f"sys/bus/pci/devices/{bdf}/{name}", f"{text}\n")

    def vf_file(self, bdf, name, text):
        """Write a file of a VF, relative to its directory"""
        self.write(f"sys/bus/pci/devices/{bdf}/{name}", text + "\n")

    def gpu(self, pf=PF, vfs=4, numa=0, driver="nvvgpu-emu"):
        """A GPU; its VFs have no driver"""
        self.device(pf, vendor="0x1234", device="0x4e56", **{"class": "0x030200"},
                    sriov_totalvfs=64, sriov_numvfs=vfs, sriov_offset=4, sriov_stride=1, numa_node=numa)
        self.link(f"sys/bus/pci/devices/{pf}/driver", f"../../drivers/{driver}")
        names = []
        for n in range(vfs):
            vf = f"{pf[:-4]}{(n + 4) // 8:02x}.{(n + 4) % 8}"
            names.append(vf)
            self.device(vf, vendor="0x1234", device="0x4e57", driver_override="(null)",
                        **{"class": "0x030200"})
            self.link(f"sys/bus/pci/devices/{vf}/physfn", f"../{pf}")
            self.link(f"sys/bus/pci/devices/{pf}/virtfn{n}", f"../{vf}")
            self.link(f"sys/bus/pci/devices/{vf}/iommu_group", f"../../../kernel/iommu_groups/{20 + n}")
        return names

    def bind(self, vf, available=True):
        """Bind a VF to the driver, with a back-end"""
        self.link(f"sys/bus/pci/devices/{vf}/driver", "../../drivers/nvvgpu-vfio-pci")
        for name, text in {"nvvgpu/state": "bound", "nvvgpu/backend": "emu 2.0",
                           "nvvgpu/capabilities": "create reset recover migration stats",
                           "nvvgpu/generation": "0", "nvvgpu/owner": "", "nvvgpu/last_error": "",
                           "nvvgpu/state_versions": "2-4", "nvvgpu/use": "use 0",
                           "nvvgpu/migrations": "saved 3\nsave-aborted 1\nsave-milliseconds 4071\n"
                                                "loaded 0\nload-aborted 0\nload-milliseconds 0",
                           "nvvgpu/events": "crashed 0\nfault 3\nfault-code 5\n"
                                            "late 7", "nvvgpu/delete": "",
                           "nvidia/current_vgpu_type": "0", "nvidia/vgpu_params": "", "nvidia/placement_id": "",
                           "vfio-dev/vfio0/dev": "511:0"}.items():
            self.vf_file(vf, name, text)
        pf = os.path.basename(os.readlink(f"{self.path}/sys/bus/pci/devices/{vf}/physfn"))
        for number, name, kind, size, most in TYPES:
            for file, text in {"name": name, "class": kind, "framebuffer": size << 20,
                               "bar0": 268435456, "heads": 4, "max_resolution": "5120x2880",
                               "max_instances": most, "weight": 1,
                               "available_instances": most if available else 0,
                               "reason": "" if available else "no room, sorry"}.items():
                self.vf_file(pf, f"nvvgpu/types/{number}/{file}", str(text))

    def vgpu(self, vf, number=1001, generation=7, state="created", owner="", placement=0):
        """Give a bound VF a vGPU"""
        self.vf_file(vf, "nvidia/current_vgpu_type", str(number))
        self.vf_file(vf, "nvidia/placement_id", str(placement))
        self.vf_file(vf, "nvvgpu/generation", str(generation))
        self.vf_file(vf, "nvvgpu/state", state)
        self.vf_file(vf, "nvvgpu/owner", owner)
        self.vf_file(vf, "nvvgpu/stats", "descriptors 5\nbytes 4096\nbusy_ns 12003000004")

    def serial(self, pf=PF):
        """Give a GPU the serial number 00112233aabbccdd"""
        config = bytearray(4096)
        config[0x06] = 0x10
        config[0x34] = 0x40
        config[0x40] = 0x10
        config[0x100:0x10c] = bytes.fromhex("03000100" "ddccbbaa" "33221100")
        with open(f"{self.path}/sys/bus/pci/devices/{pf}/config", "wb") as f:
            f.write(config)

    def host(self):
        """What doctor wants of a host"""
        self.write("sys/kernel/iommu_groups/20/type", "DMA-FQ\n")
        self.write("dev/iommu", "")
        self.write("dev/vfio/devices/vfio0", "")
        self.write("sys/class/vfio-dev/vfio0/dev", "511:0\n")
        self.write("sys/bus/pci/drivers/nvvgpu-vfio-pci/bind", "")
        self.write("sys/bus/pci/drivers_probe", "")
