# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# libvirt-helpers.sh - helpers of the demonstrations with two hosts of libvirt, sourced on one
# of them: commands on both hosts, and a domain with a vGPU.

. "$(dirname "${BASH_SOURCE[0]}")/helpers.sh"
# shellcheck disable=SC2034 # used by helpers.sh
names=(desk) silent_s=600
bytes=65536 type=${type:-EMU-1Q} screen=${screen-}
uuid=6b8d7a10-0000-4000-8000-000000000001
# The name of the domain's vGPU, here the one that the hook gives it
vgpu_name=${vgpu_name:-libvirt-$uuid-0}
console=/var/log/libvirt/qemu/desk.console
serial=/var/lib/libvirt/qemu/desk.serial
declare -A addresses=([one]=10.0.0.1 [two]=10.0.0.2)
self=$(hostname)
here=$self

# on HOST COMMAND...: run a command on a host
on() {
	local host=$1
	shift
	# shellcheck disable=SC2029 # the words are expanded here
	if [[ $host == "$self" ]]; then "$@"; else ssh "$host" "${*@Q}"; fi
}

# follow HOST: use the console of the domain, which runs on this host now. tell() needs a
# connection that stays open, because QEMU drops the data of a closed one. Read the output
# from the log, because the connection has nothing of the time before it. But QEMU may log
# characters twice while the connection is full, so also keep what the connection has.
# shellcheck disable=SC2034 # ins, outs and parts are used by helpers.sh
follow() {
	local pid in out
	here=$1
	pid=$(on "$here" cat /run/libvirt/qemu/desk.pid)
	if [[ -n ${pids[0]-} ]]; then
		kill "${pids[0]}" 2>/dev/null
		in=${ins[0]} out=${outs[0]}
		exec {in}>&- {out}<&-
	fi
	rm -f "$work"/desk.{in,console}
	mkfifo "$work/desk.in"
	: >"$work/desk.console"
	exec {in}<>"$work/desk.in" {out}<"$work/desk.console"
	ins[0]=$in outs[0]=$out parts[0]=''
	on "$here" socat STDIO "UNIX-CONNECT:$serial" <"$work/desk.in" >"$work/desk.serial" {in}>&- &
	on "$here" tail -n +1 -f "--pid=$pid" "$console" >"$work/desk.console" </dev/null {in}>&- &
	pids[0]=$!
}

# attempt COMMAND...: run a command; sets $out and $rc
attempt() {
	rc=0
	out=$("$@" 2>&1) || rc=$?
}

# job_begins COMMAND...: run a command that migrates or saves the domain in the background
job_begins() {
	"$@" >"$work/job" 2>&1 </dev/null &
	job=$!
}
# job_reaches COMMAND...: wait until a command succeeds; fail if the job ends before. What it
# transfers is progress.
job_reaches() {
	watch 0
	until "$@"; do
		kill -0 "$job" 2>/dev/null &&
			! stalled 0 "$(on "$here" virsh domjobinfo desk 2>/dev/null | grep '^Data processed')" || return
		nap
	done
}
# job_ends: wait until the job has ended; sets $out and $rc. Abort the job if it passes over
# the memory again and again.
job_ends() {
	local passes
	while kill -0 "$job" 2>/dev/null; do
		nap
		((SECONDS % 20 == 0)) || continue
		passes=$(on "$here" virsh domjobinfo desk 2>/dev/null | awk '/^Iteration/ { print $2 }')
		((${passes:-0} < passes_max)) || on "$here" virsh domjobabort desk
	done
	rc=0
	wait "$job" || rc=$?
	out=$(grep -v '^$' "$work/job")
}
job() {
	job_begins "$@"
	job_ends
}

# vgpu HOST KEY: print the vf, number, state or type_name of the domain's vGPU
vgpu() {
	on "$1" nvvgpuctl list --json | jq -r --arg name "$vgpu_name" --arg key "$2" \
		'.gpus[].vfs[] | select(.vgpu.name == $name) | .[$key] // .vgpu[$key]'
}
# given_back HOST: check that the host has no vGPU of the domain, among the VFs that it has
given_back() {
	check "vGPU of the domain on host $1" "none" "$(on "$1" nvvgpuctl list --json | jq -r --arg name "$vgpu_name" \
		'[.gpus[].vfs[]] | if length == 0 then "no VFs"
		 else map(select(.vgpu.name == $name).vf) | first // "none" end')"
}

# show_host HOST: show its VFs
show_host() {
	on "$1" nvvgpuctl list --json | jq -r '.gpus[].vfs[] | [.vf, .state // "unbound", .vgpu.type_name // empty,
		(.vgpu.owner // empty | "VM " + .vm + " in QEMU \(.pid)")] | join(", ")' | sed "s/^/        host $1: /"
}

# write_domain MANAGED ATTRIBUTES: print the XML of the domain; the attributes are those of
# its <driver>. With $screen, its vGPU is its screen.
write_domain() {
	cat <<-END
	<domain type='qemu'>
	  <name>desk</name>
	  <uuid>$uuid</uuid>
	  <metadata>
	    <nvvgpu:vgpus xmlns:nvvgpu='urn:nvvgpu:1'>
	      <nvvgpu:vgpu alias='ua-vgpu' type='$type'/>
	    </nvvgpu:vgpus>
	  </metadata>
	  <memory unit='MiB'>128</memory>
	  <vcpu>1</vcpu>
	  <os>
	    <type arch='x86_64' machine='q35'>hvm</type>
	    <kernel>/var/lib/libvirt/images/guest</kernel>
	  </os>
	  <features><acpi/><apic/></features>
	  <cpu mode='custom' match='exact' check='none'><model>qemu64</model></cpu>
	  <devices>
	    <emulator>/usr/bin/qemu-system-x86_64</emulator>
	    <controller type='usb' model='none'/>
	    <memballoon model='none'/>
	    <serial type='unix'>
	      <source mode='bind' path='$serial'/>
	      <log file='$console' append='off'/>
	    </serial>
	    ${screen:+<graphics type='vnc'/><video><model type='none'/></video>}
	    <hostdev mode='subsystem' type='pci' managed='$1'${screen:+ display='on'}>
	      <driver name='vfio'$2/>
	      <source>
	        <address domain='0x0000' bus='0x01' slot='0x00' function='0x4'/>
	      </source>
	      <alias name='ua-vgpu'/>
	    </hostdev>
	  </devices>
	</domain>
	END
}

# define MANAGED: define the domain on host one
define() {
	local driver=''
	[[ $1 == no ]] || driver=" model='nvvgpu-vfio-pci'"
	[[ ${NVVGPU_LIBVIRT-} != *backports ]] || driver+=" iommufd='yes'"
	write_domain "$1" "$driver" | on one tee /root/desk.xml >/dev/null
	attempt on one virsh define /root/desk.xml
	check "virsh define" 0 $rc || { say "$out"; finish; }
}

# started WHAT: check that this has started the domain on host one, and start a job in it
started() {
	check "$1" 0 $rc || { say "$out"; on one tail -n 3 /var/log/libvirt/qemu/desk.log; finish; }
	moves=0
	follow one
	await 0 setup || finish
	check "desk: its driver is up" ok "$(value result)" || { say "desk: $line"; finish; }
	say "desk is up on $(vgpu one vf), $type, type $(value type)"
	tell 0 "steady $bytes"
	await 0 steady && worked 0
}
# begin: start the domain on host one, and a job in it
begin() {
	attempt on one virsh start desk
	started "virsh start"
}

# leave_for HOST OPTION...: begin a live migration
leave_for() {
	job_begins on "$here" virsh migrate --live --persistent --undefinesource "${@:2}" desk \
		"qemu+ssh://$1/system" --migrateuri "tcp://${addresses[$1]}:49152"
}
# move_to HOST OPTION...: live migration; sets $out and $rc
move_to() {
	on "$here" virsh migrate-setmaxdowntime desk 5000 >/dev/null
	leave_for "$@"
	job_ends
}
# arrives HOST OPTION...: migrate the domain, and check that its job goes on there
arrives() {
	move_to "$@"
	check "virsh migrate" 0 $rc || { say "$out"; on "$1" tail -n 5 /var/log/libvirt/qemu/desk.log; finish; }
	moves=$((moves + 1))
	follow "$1"
	worked 0 || finish
}
# refused: show the end of the message in $out, without the environment of the hook
refused() { printf '%s\n' "$out" | sed '/^$/d; s/(LC_ALL=[^)]*)/(hook)/' | tail -n 2 | cut -c1-300 | sed 's/^/        /'; }
