# SPDX-License-Identifier: GPL-2.0-only
#
# For people; the kernel's build reads Kbuild.

KDIR ?= /lib/modules/$(shell uname -r)/build
export KDIR

help:
	@echo 'make demo      show it: two vGPUs in two VMs on an emulated SR-IOV GPU'
	@echo 'make demo-migrate   show it: a VM and its vGPU move to another VF, another GPU, through a file'
	@echo 'make bench-migrate  what migration costs, as ratios of one run'
	@echo 'make check     gates and tests, on Debian'"'"'s kernels: 6.12 and the newest'
	@echo 'make check-debug    the same and what needs debug kernels: leaks, KUnit, fault injection'
	@echo 'make check-all      the same and all that takes longer'
	@echo 'make check-mutants  show that the tests can fail: they catch planted defects'
	@echo 'make coverage  which lines the tests run, and why they do not run the others'
	@echo 'make fuzz      ten million runs of the fuzzer on the migration stream: RUNS=<number>'
	@echo 'make lint      only the static gates of make check'
	@echo 'make check-upstream  the newest kernel'"'"'s own VFIO selftests on vGPUs'
	@echo 'make qemu-tree build QEMU from source with the emulated GPU in its tree'
	@echo 'make docs      build the documentation as HTML'
	@echo 'make shell     a shell in the emulated machine'
	@echo 'make modules   build the driver for the running kernel, or KDIR=<kernel build>'
	@echo 'make intree    put the driver into a Linux tree: TREE=<linux>'
	@echo 'make patches   write it as a patch series for that tree: TREE=<linux> [OUT=patches]'
	@echo 'make deb       build Debian packages: the driver for DKMS, and the selftests'
	@echo 'make modules_install, make clean    likewise'

demo:
	@lab/setup modules:6.12:stock device:10.0
	@lab/vm --env NVVGPU_GUEST_IMAGE=$$(lab/guest/build $(GUEST)) -- lab/demo

gpu2 := pcie-root-port,id=port-gpu2,addr=13.0,chassis=4,slot=4,pref64-reserve=64G

demo-migrate:
	@lab/setup modules:6.12:stock device:10.0
	@lab/vm --env NVVGPU_GUEST_IMAGE=$$(lab/guest/build $(GUEST)) \
		--device $(gpu2) --device nvvgpu-emu,id=gpu2,bus=port-gpu2 -- lab/demo-migrate

bench-migrate:
	@lab/setup modules:6.12:stock device:10.0
	@lab/vm -- lab/bench-migrate "$$(lab/selftests)"

check:
	@lab/check

check-debug:
	@lab/check --debug

check-all:
	@lab/check --all

qemu-tree:
	@lab/setup qemu-tree

check-mutants:
	@lab/mutants

coverage:
	@lab/coverage

fuzz:
	@lab/fuzz --runs '$(or $(RUNS),10000000)'

lint:
	@lab/lint

check-upstream:
	@lab/check-upstream

docs:
	@lab/docs

shell:
	@lab/vm

intree:
	@scripts/intree '$(TREE)'

patches:
	@scripts/intree --patches '$(or $(OUT),patches)' '$(TREE)'

deb:
	@lab/deb

modules modules_install clean:
	$(MAKE) -C $(KDIR) M=$(CURDIR) $@

.PHONY: help demo demo-migrate bench-migrate check check-debug check-all check-mutants check-upstream coverage fuzz lint docs qemu-tree shell intree patches deb modules modules_install clean
