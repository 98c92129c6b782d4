# SPDX-License-Identifier: GPL-2.0-only
#
# Targets for developers. The kernel's build system reads Kbuild instead.

KDIR ?= /lib/modules/$(shell uname -r)/build
export KDIR

help:
	@echo 'make demo           run two VMs with vGPUs of an emulated SR-IOV GPU'
	@echo 'make demo-migrate   migrate a VM with its vGPU to another VF, to another GPU and through a file: [MULTIFD=<channels>]'
	@echo 'make demo-display   compare the screen of a vGPU with what its guest draws: [GUEST=linux] [QEMU=backports] [OUT=<folder>] [VNC=<address>:<port>]'
	@echo 'make demo-libvirt   migrate a VM with its vGPU between two hosts of libvirt: [LIBVIRT=backports] [PART=many-migrations|isolation|failing-hosts|orchestrators]'
	@echo 'make demo-p2p       copy between two vGPUs of one VM, on the newest kernel and QEMU'
	@echo 'make bench          measure VFIO calls on a vGPU against vfio-pci, and check bounds: [OUT=<folder>]'
	@echo 'make bench-migrate  measure the cost of migration, as ratios within one run'
	@echo 'make check          run lint and the tests on Debian'"'"'s kernels: 6.12 and the newest'
	@echo 'make check-debug    also run the tests on debug kernels: leaks, KUnit, fault injection'
	@echo 'make check-all      also run the long tests'
	@echo 'make check-mutants  plant defects one at a time and check that the tests catch them'
	@echo 'make coverage       list the lines that the tests run, with a reason for each one missed'
	@echo 'make fuzz           fuzz the parser of the migration stream: [RUNS=<number>]'
	@echo 'make lint           run only the static checks of make check'
	@echo 'make check-upstream run the newest kernel'"'"'s VFIO selftests on vGPUs'
	@echo 'make qemu-tree      build QEMU from source with the emulated GPU in its tree'
	@echo 'make tools          build nvvgpuctl and print its path'
	@echo 'make docs           build the documentation as HTML'
	@echo 'make shell          open a shell in the emulated machine'
	@echo 'make modules        build the driver for the running kernel: [KDIR=<kernel build>]'
	@echo 'make intree         add the driver to a Linux source tree: TREE=<linux>'
	@echo 'make patches        write the driver as a patch series: TREE=<linux> [OUT=patches]'
	@echo 'make deb            build Debian packages: the driver for DKMS, its tools, the selftests, and nvvgpu-nvidia-compat'
	@echo 'make modules_install, make clean    as for any external module'

demo:
	@lab/setup modules:6.12:stock device:10.0
	@image=$$(lab/build/guest-program $(GUEST)) && \
		lab/vm --env NVVGPU_GUEST_IMAGE=$$image -- lab/demos/two-vms

gpu2 := pcie-root-port,id=port-gpu2,addr=13.0,chassis=4,slot=4,pref64-reserve=64G

demo-migrate:
	@lab/setup modules:$(if $(MULTIFD),latest,6.12):stock device:10.0
	@image=$$(lab/build/guest-program $(GUEST)) && \
		lab/vm $(if $(MULTIFD),--kernel latest --guest-qemu --env MULTIFD=$(MULTIFD)) \
		--env NVVGPU_GUEST_IMAGE=$$image \
		--device $(gpu2) --device nvvgpu-emu,id=gpu2,bus=port-gpu2 -- lab/demos/migration

demo-libvirt:
	@lab/demos/libvirt $(or $(LIBVIRT),stable) $(PART)

demo-display:
	@GUEST=$(GUEST) QEMU=$(QEMU) VNC=$(VNC) lab/demos/display $(if $(OUT),'$(OUT)')

demo-p2p:
	@lab/setup modules:latest:stock device:10.0
	@image=$$(lab/build/guest-program) && \
		lab/vm --kernel latest --guest-qemu --env NVVGPU_GUEST_IMAGE=$$image -- lab/demos/peer-to-peer

bench:
	@lab/bench $(if $(OUT),'$(OUT)')

bench-migrate:
	@lab/setup modules:6.12:stock device:10.0
	@tests=$$(lab/build/selftests) && lab/vm -- lab/machine/bench-migrate "$$tests"

check:
	@lab/check

check-debug:
	@lab/check --debug

check-all:
	@lab/check --all

qemu-tree:
	@lab/setup qemu-tree

check-mutants:
	@lab/gates/mutants

coverage:
	@lab/gates/coverage

fuzz:
	@lab/gates/fuzz --runs '$(or $(RUNS),10000000)'

lint:
	@lab/gates/lint

check-upstream:
	@lab/gates/upstream-selftests

tools:
	@dir=$$(lab/build/nvvgpuctl) && echo "$$dir/nvvgpuctl"

docs:
	@lab/build/html

shell:
	@lab/vm

intree:
	@scripts/intree '$(TREE)'

patches:
	@scripts/intree --patches '$(or $(OUT),patches)' '$(TREE)'

deb:
	@lab/build/deb

modules modules_install clean:
	$(MAKE) -C $(KDIR) M=$(CURDIR) $@

.PHONY: help demo demo-display demo-libvirt demo-migrate demo-p2p bench bench-migrate check check-debug check-all check-mutants check-upstream coverage fuzz lint tools docs qemu-tree shell intree patches deb modules modules_install clean
