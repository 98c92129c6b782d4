# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# helpers.sh - helpers of the demonstrations, sourced in the machine: checks, and guests
# that drive a vGPU.

set -u
LAB=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
: "${NVVGPU_QEMU:?run this in the machine}" "${NVVGPU_QEMU_DATA:?}"
: "${NVVGPU_GUEST_IMAGE:?set it to the path that lab/build/guest-program prints}"

pci=/sys/bus/pci
names=(one two three four five)

# Memory of a guest in MiB
memory=128

# The QEMU that the guests run in
qemu=("$NVVGPU_QEMU" -L "$NVVGPU_QEMU_DATA")

# The guest to boot: a program without an operating system, or Linux with the machine's
# own kernel
# shellcheck disable=SC2034 # guest is used by the sourcing script
case ${NVVGPU_GUEST_IMAGE##*/} in
kernel)
	guest="no operating system"
	# qboot starts it in half the time that SeaBIOS takes. It leaves the BARs to the guest,
	# and bridges alone.
	boot=(-bios qboot.rom -kernel "$NVVGPU_GUEST_IMAGE")
	;;
initramfs)
	guest=Linux
	# Skip initcalls, which are slow in nested emulation. earlyprintk shows the progress
	# of the boot.
	skip=pty_init,cmos_init,i8042_init,atkbd_init,psmouse_init,serport_init,inet6_init
	skip+=,sit_init,blake2s_mod_init,acpi_button_driver_init,acpi_processor_driver_init
	skip+=,vga_arb_device_init,nvme_core_init,nvme_init,msr_init,cacheinfo_sysfs_init
	skip+=,perf_event_sysfs_init,drm_core_init,param_sysfs_builtin_init,init_p9
	cmdline="console=ttyS0 earlyprintk=ttyS0 nokaslr no_timer_check tsc=reliable panic=-1"
	cmdline+=" reboot=p vfio.enable_unsafe_noiommu_mode=1 initcall_blacklist=$skip"
	boot=(-kernel "${NVVGPU_KERNEL:?}" -initrd "$NVVGPU_GUEST_IMAGE" -append "$cmdline")
	;;
*)
	echo "helpers.sh: NVVGPU_GUEST_IMAGE is not a path printed by lab/build/guest-program: $NVVGPU_GUEST_IMAGE" >&2
	exit 1
	;;
esac

# No wait has a fixed length, because a guest may get little CPU time on a busy host. A
# wait fails if the guest has stalled. A working guest prints a line per second of its
# own clock. Without lines, CPU time used by its QEMU counts as progress, up to a limit.
# Only seconds in which this script polls are counted, not those in which it did not run.
silent_s=120 busy_s=600
# A wait also fails after this many other lines, or passes over memory.
# shellcheck disable=SC2034
lines_max=2000 passes_max=200

work=$(mktemp -d)
started=$EPOCHREALTIME
vfs=() pids=() ins=() outs=() parts=() line=''
signs=() used=() looked=() silent=() busy=()
failed=0 verified=0
summary=()

elapsed_ms() { echo $(((${EPOCHREALTIME/./} - ${started/./}) / 1000)); }
elapsed() {
	local us=$((${EPOCHREALTIME/./} - ${started/./}))
	printf '%3d.%d' $((us / 1000000)) $((us / 100000 % 10))
}
say() { printf '[%s s] %s\n' "$(elapsed)" "$*"; }
title() { printf '\n[%s s] -- %s\n' "$(elapsed)" "$*"; }

# check WHAT EXPECTED SEEN: compare and count
check() {
	if [[ $2 == "$3" ]]; then
		verified=$((verified + 1))
		return 0
	fi
	failed=$((failed + 1))
	say "FAILED: $1: expected \"$2\", saw \"$3\""
	return 1
}
# result NAME FAILURES-BEFORE TEXT: add a TAP line to the summary
result() {
	summary+=("$(printf '%-6s  %-28s %s' "$( ((failed == $2)) && echo ok || echo not ok)" "$1" "$3")")
}

# attr VF FILE: print a sysfs file of a PCI device; put VF FILE VALUE: write it
attr() { cat "$pci/devices/$1/$2" 2>/dev/null; }
put() { echo "$3" >"$pci/devices/$1/$2"; }
# value KEY: print the value of a key in $line, key=value or key="value"
value() {
	local rest=${line#*" $1="}
	[[ $rest != "$line" ]] || return 0
	if [[ $rest == \"* ]]; then
		rest=${rest#\"}
		printf '%s' "${rest%%\"*}"
	else
		printf '%s' "${rest%% *}"
	fi
}
# stat_of VF NAME: print a counter of the vGPU
stat_of() { attr "$1" nvvgpu/stats | awk -v n="$2" '$1 == n { print $2 }'; }
# driver_of VF: print the driver that the VF is bound to
driver_of() {
	local link
	link=$(readlink "$pci/devices/$1/driver") && printf '%s' "${link##*/}"
}

# types_of VF: print the ids of the types of its GPU
types_of() { ls -v "$pci/devices/$1/nvvgpu/types"; }
# free_of VF: print the number of available instances of each type
free_of() {
	local id
	for id in $(types_of "$1"); do
		printf '%s:%s ' "$id" "$(attr "$1" "nvvgpu/types/$id/available_instances")"
	done
}

# next_line GUEST: set $text to the next complete line of its console, if any. Read from a
# file, because a read with a timeout may lose a part of a line.
next_line() {
	local rc=0
	IFS= read -r text <&"${outs[$1]}" || rc=1
	text=${parts[$1]-}${text%$'\r'}
	parts[$1]=''
	((rc == 0)) || parts[$1]=$text
	return $rc
}
# drain GUEST: skip all lines of its console so far
drain() {
	local text
	while next_line "$1"; do :; done
}
# nap: sleep shortly without starting a process
exec {nap}<> <(:)
nap() { ! read -rt 0.2 -u "$nap"; }

# watch GUEST: reset the stall detection before a wait
watch() { signs[$1]='' used[$1]='' looked[$1]=$SECONDS silent[$1]=0 busy[$1]=0; }

# stalled GUEST SIGN: succeed if the guest has made no progress for too long. A change of
# SIGN, any text that the caller observes, is progress.
stalled() {
	local i=$1 stat now=''
	((SECONDS > looked[i])) || return 1
	looked[i]=$SECONDS
	# User and system time of the process, if it still exists
	read -ra stat 2>/dev/null <"/proc/${pids[i]}/stat" && now=${stat[13]}+${stat[14]}
	[[ $2 == "${signs[i]}" ]] || silent[i]=0 busy[i]=0
	[[ $now == "${used[i]}" ]] || silent[i]=0
	signs[i]=$2 used[i]=$now
	((++silent[i] > silent_s || ++busy[i] > busy_s))
}

# await GUEST WORD: read the guest's console up to the line "JOB WORD ..."
await() {
	local n=0 ended=0 text why="got $lines_max other lines"
	line=''
	watch "$1"
	while ((n < lines_max)); do
		if next_line "$1"; then
			n=$((n + 1))
			if [[ $text == *"JOB $2 "* ]]; then
				# A reset may have cut off the line before it.
				line=" ${text##*JOB }"
				return 0
			fi
		elif ((ended)); then
			why="its QEMU exited"
			break
		elif stalled "$1" $n; then
			why="no line for ${busy[$1]} s, no CPU time used for ${silent[$1]} s"
			break
		else
			# Read all lines that QEMU wrote before it exited.
			kill -0 "${pids[$1]}" 2>/dev/null || ended=1
			nap
		fi
	done
	failed=$((failed + 1))
	say "FAILED: VM ${names[$1]}: expected the line \"JOB $2\", but $why; last lines of its console and of QEMU:"
	tail -n 8 "$work/${names[$1]}.console" "$work/${names[$1]}.qemu" 2>/dev/null | sed 's/^/        /'
	return 1
}
tell() { printf '%s\n' "$2" >&"${ins[$1]}"; }

# worked GUEST: check that its steady job is running, after $moves migrations; sets $rounds
moves=0
worked() {
	local _
	drain "$1"
	# The first line may have been printed long ago.
	for _ in 1 2; do
		await "$1" steady || return
		check "VM ${names[$1]}: its job" running "$(value result)" ||
			{ say "VM ${names[$1]}: $line"; return 1; }
	done
	rounds=$(value rounds)
	twice=$(($(value interrupts) - $(value jobs)))
	check "VM ${names[$1]}: one interrupt per job, and at most one spurious per migration" yes \
		"$( ((twice >= 0 && twice <= moves)) && echo yes || echo "$twice spurious in $moves migrations")"
	check "VM ${names[$1]}: its clock is not ahead of the host's" yes "$( (($(value ms) <= $(elapsed_ms))) && echo yes)"
	say "VM ${names[$1]}: $rounds rounds and frames on its display, $(value interrupts) interrupts of $(value jobs) jobs, $(value ticks) timer ticks, at most $(value gap) ms apart"
}

# start_guest GUEST QEMU-ARG...: start a guest with its VF from ${vfs[]}, as $options say
start_guest() {
	local i=$1 pipe=$work/${names[$1]} in out
	shift
	mkfifo "$pipe.in" "$pipe.qmp.in" "$pipe.qmp.out"
	: >"$pipe.console"
	exec {in}<>"$pipe.in" {out}<"$pipe.console"
	ins[i]=$in outs[i]=$out parts[i]=''
	"${qemu[@]}" -name "${names[i]}" \
		-machine q35 -accel tcg,thread=single -cpu max,la57=off -m "${memory}M" \
		-nodefaults -no-user-config -display none -no-reboot \
		-chardev "file,id=console,path=$pipe.console,append=on,input-path=$pipe.in" \
		-serial chardev:console \
		"${boot[@]}" \
		-object iommufd,id=iommufd0 \
		-device "vfio-pci,host=${vfs[i]},iommufd=iommufd0${options-}" \
		-chardev "pipe,id=qmp,path=$pipe.qmp" -mon chardev=qmp,mode=control "$@" \
		>"$pipe.qemu" 2>&1 </dev/null &
	pids[i]=$!
}

# monitor GUEST COMMAND [JSON-ARGUMENTS]: send a QMP command to its QEMU
monitor() { NVVGPU_QMP=$work/${names[$1]}.qmp "$LAB/machine/qmp" "${@:2}"; }

# ended GUEST: wait for its QEMU to exit; returns its exit status
ended() {
	local i=$1 status=0
	watch "$i"
	while kill -0 "${pids[i]}"; do
		! stalled "$i" '' || kill -KILL "${pids[i]}"
		nap
	done
	wait "${pids[i]}" || status=$?
	unset "pids[i]"
	return $status
} 2>/dev/null
# end_guest GUEST: wait for its QEMU to exit, and check the exit status
end_guest() {
	ended "$1"
	check "VM ${names[$1]}: QEMU's exit status" 0 $?
}

# shellcheck disable=SC2317 # called by the trap
cleanup() {
	((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT

# finish: print the summary and the hint in $next, if any, and exit
finish() {
	printf '\n'
	printf '%s\n' "${summary[@]}"
	printf '\n'
	say "$verified checks passed, $failed failed"
	[[ -z ${next-} ]] || printf '\n%s\n' "$next"
	exit $((failed > 0))
}
