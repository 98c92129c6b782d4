# SPDX-License-Identifier: GPL-2.0
#
# known-reports.awk - copy a console log without the kernel's known warnings, which the
# driver neither causes nor can avoid.

# The PCI core of some kernels asserts in pci_disable_sriov() a lock that its callers
# cannot hold, so unbinding any SR-IOV driver with VFs enabled triggers the warning.
function of_the_kernel(report)
{
	return report ~ /WARNING: [^\n]*pci\/remove\.c:[^\n]* pci_stop_and_remove_bus_device\+/
}

# The kernel's own error handling fails in these functions if an allocation fails. Ignore
# this only in nvvgpu_fail_nth_test, which injects such failures.
function of_no_memory(report)
{
	return report ~ /nvvgpu_fail_nth/ && \
	       (report ~ /WARNING: [^\n]*iommu\/iommu\.c:[^\n]* __iommu_release_dma_ownership\+/ ||
		report ~ /WARNING: [^\n]*proc\/generic\.c:[^\n]* remove_proc_entry\+/ ||
		report ~ /WARNING: [^\n]*vfio\/group\.c:[^\n]* vfio_group_release\+/)
}

# dma_buf_free_sgt() does not free the scatterlist (upstream/0009). Nothing else that is
# allocated for a dma-buf is ignored.
function of_a_scatterlist(leak)
{
	return leak ~ / sg_alloc_table\+[^\n]*\n[^\n]* dma_buf_phys_vec_to_sgt\+/
}
function end_leak()
{
	if (!of_a_scatterlist(leak))
		printf "%s", leak
	leak = ""
}

/kmemleak: unreferenced object/ {
	end_leak()
	leaking = 1
}
leaking && /kmemleak: / {
	leak = leak $0 "\n"
	next
}

/\[ cut here \]/ {
	printf "%s", report
	report = ""
	inside = 1
}
inside {
	report = report $0 "\n"
}
!inside
/\[ end trace [0-9a-f]+ \]/ {
	if (inside && !of_the_kernel(report) && !of_no_memory(report))
		printf "%s", report
	report = ""
	inside = 0
}
END {
	end_leak()
	printf "%s", report
}
