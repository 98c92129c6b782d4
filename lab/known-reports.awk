# SPDX-License-Identifier: GPL-2.0
#
# known-reports.awk - copy a console but for the kernel's warnings about itself, which
# no driver causes and none can avoid.

# The PCI core of some kernels asserts a lock in pci_disable_sriov() that nobody can
# hold there: every SR-IOV driver trips it that is unbound with VFs enabled.
function of_the_kernel(report)
{
	return report ~ /WARNING: [^\n]*pci\/remove\.c:[^\n]* pci_stop_and_remove_bus_device\+/
}

# When memory runs out, the kernel's own way back fails in these places. Only
# nvvgpu_fail_nth_test lets it run out, and elsewhere they would be worth a report.
function of_no_memory(report)
{
	return report ~ /nvvgpu_fail_nth/ && \
	       (report ~ /WARNING: [^\n]*iommu\/iommu\.c:[^\n]* __iommu_release_dma_ownership\+/ ||
		report ~ /WARNING: [^\n]*proc\/generic\.c:[^\n]* remove_proc_entry\+/ ||
		report ~ /WARNING: [^\n]*vfio\/group\.c:[^\n]* vfio_group_release\+/)
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
	printf "%s", report
}
