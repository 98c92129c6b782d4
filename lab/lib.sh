# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# lib.sh - functions shared by the lab's scripts: messages, the cache and its locks,
# progress, and one-line errors.

set -euo pipefail

# watch_run PID...: wait until one of the processes ends. Then end all processes that have
# this NVVGPU_RUN in their environment: TERM lets them remove their files, KILL ends those
# that have not ended after five seconds.
watch_run() {
	local pid stat nap pids signal=TERM run=$NVVGPU_RUN i
	unset NVVGPU_RUN # for grep
	exec {nap}<> <(:)
	while :; do
		for pid; do
			# The state follows the name, which may have blanks.
			read -r stat <"/proc/$pid/stat" && [[ ${stat##*) } != Z* ]] || break 2
		done
		read -rt 1 -u "$nap" || true
	done
	for ((i = 0; i < 100; i++)); do
		mapfile -t pids < <(grep -lzsxF "NVVGPU_RUN=$run" /proc/[0-9]*/environ | grep -o '[0-9]*')
		((${#pids[@]})) || break
		((i < 25)) || signal=KILL
		((i > 0 && i < 25)) || kill -"$signal" "${pids[@]}" || true
		read -rt 0.2 -u "$nap" || true
	done
}

# The first script of a run leaves no process behind, however it ends: it starts
# watch_run() in a process group of its own. A run that make has started also ends with
# make, which may have started the script through a shell. Start the script again, so that
# its own forks have NVVGPU_RUN in their environment, too.
if [[ -z ${NVVGPU_RUN-} ]]; then
	export NVVGPU_RUN=$$-$EPOCHSECONDS
	watched=($$ ${MAKELEVEL:+$PPID})
	[[ -z ${MAKELEVEL-} || $(</proc/$PPID/comm) == *make ]] ||
		watched+=("$(awk '/^PPid:/ { print $2 }' "/proc/$PPID/status")")
	set -m
	watch_run "${watched[@]}" </dev/null >/dev/null 2>&1 &
	set +m
	exec "$BASH" "$0" "$@"
fi

LAB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
TOP=$(dirname "$LAB")
CACHE=${NVVGPU_CACHE:-${XDG_CACHE_HOME:-${HOME-}/.cache}/nvvgpu}
JOBS=${NVVGPU_JOBS:-$(nproc)}
# The PATH of some users lacks chroot and other tools.
PATH=$PATH:/usr/sbin:/sbin
export LAB TOP CACHE JOBS PATH

# The Debian release of the root
# shellcheck disable=SC2034
SUITE=trixie

say()  { printf '%s\n' "$*" >&2; }
warn() { say "lab: warning: $*"; }
die()  { say "lab: error: $*"; exit 1; }

# step TEXT: print a message, after "[2/5] " if lab/setup runs the steps
step() { say "${NVVGPU_STEP:+[$NVVGPU_STEP] }$*"; }

# took SECONDS_AT_START: the time since then, human-readable
took() {
	local s=$((SECONDS - $1))
	if ((s < 90)); then echo "$s s"; else echo "$((s / 60)) min $((s % 60)) s"; fi
}

# calibrate: set NVVGPU_SPEED, in percent of the machine that the estimates were made on,
# which runs 900,000 iterations of this loop per second. Other load is included on
# purpose, because it also slows down the set-up.
calibrate() {
	local begin=${EPOCHREALTIME/./} now i turns=0
	[[ -z ${NVVGPU_SPEED-} ]] || return 0
	while now=${EPOCHREALTIME/./}; ((now - begin < 1500000)); do
		for ((i = 0; i < 1000; i++)); do :; done
		turns=$((turns + 1000))
	done
	NVVGPU_SPEED=$((turns * 1000000 / (now - begin) / 9000 + 1))
	export NVVGPU_SPEED
}

# about SECONDS: estimate a duration on this machine from that on the reference machine
about() {
	calibrate
	local s=$(($1 * 100 / NVVGPU_SPEED))
	if ((s < 90)); then echo "about $((s < 5 ? 5 : s)) s"; else echo "about $(((s + 30) / 60)) min"; fi
}

# need_tools TOOL...: die naming every tool that is missing
need_tools() {
	local t missing=()
	for t; do command -v "$t" >/dev/null || missing+=("$t"); done
	[[ ${#missing[@]} -eq 0 ]] ||
		die "missing on this host: ${missing[*]}; install them and run this again"
}

# cache_init: make the cache and resolve its path
cache_init() {
	[[ -n ${NVVGPU_CACHE-}${XDG_CACHE_HOME-}${HOME-} ]] ||
		die "no folder for the cache; set NVVGPU_CACHE or HOME"
	mkdir -p "$CACHE"/{lock,log,run} 2>/dev/null &&
		[[ -w $CACHE && -w $CACHE/lock && -w $CACHE/log && -w $CACHE/run ]] ||
		die "cannot write to $CACHE; set NVVGPU_CACHE to a writable folder"
	CACHE=$(cd "$CACHE" && pwd -P)
	[[ $CACHE != *[:[:space:]]* ]] ||
		die "the cache's path has a blank or a colon, which make does not support: $CACHE; set NVVGPU_CACHE"
	[[ $TOP != *[:[:space:]]* ]] ||
		die "the project's path has a blank or a colon, which make does not support: $TOP; move it"
	export NVVGPU_CACHE=$CACHE
}

# work_folder NAME: create a folder for temporary files in the cache and print its path. If a
# killed run leaves it, lab/vm removes it later.
work_folder() {
	local folder
	folder=$(mktemp -d "$CACHE/run/$1.XXXXXX")
	echo $$ >"$folder/pid"
	echo "$folder"
}

# need_space GIB WHAT: die unless the cache's file system has that much free space
need_space() {
	local free
	free=$(df -Pk "$CACHE" | awk 'NR == 2 { print int($4 / 1048576) }')
	((free >= $1)) ||
		die "$2 needs about $1 GiB in $CACHE, $free GiB are free; make room or set NVVGPU_CACHE to another disk"
}

# cache_full: succeed if the cache's file system has less than 1 MiB of free space
cache_full() { (($(df -Pk "$CACHE" | awk 'NR == 2 { print $4 }') < 1024)); }

# hash_of FILE...: a short hash of base names and contents; of "=text", a hash of the
# text itself
hash_of() {
	local f
	for f; do
		if [[ $f == =* ]]; then
			printf '%s\n' "$f"
		elif [[ -e $f ]]; then
			printf '%s ' "${f##*/}"
			sha256sum <"$f"
		fi
	done | sha256sum | cut -c1-12
}

# test_programs DIR: list the kselftests in DIR, sorted
test_programs() {
	find "$1" -maxdepth 1 -type f -perm -u+x -name '*_test' | LC_ALL=C sort
}

# module_files KERNEL NAME...: list the files of modules of a lab kernel, each after its
# dependencies; modules that are built in are left out
module_files() {
	local m dep tree
	tree=$(echo "$1"/modules/lib/modules/*)
	for m in "${@:2}"; do
		dep=$(grep -E "(^|/)$m\.ko(\.xz)?:" "$tree/modules.dep" 2>/dev/null) || continue
		# shellcheck disable=SC2086 # a list
		printf '%s\n' ${dep#*:} | tac
		echo "${dep%%:*}"
	done | awk 'NF && !seen[$0]++' | sed "s,^,$tree/,"
}

# lock NAME [-s]: hold the named lock until this script ends; with -s, a shared lock.
# Children that outlive the script must not inherit it, so run_logged closes fd 9 for
# them.
lock() {
	exec 9>"$CACHE/lock/$1"
	if ! flock -n ${2:+"$2"} 9; then
		say "waiting for another run that builds $1"
		flock ${2:+"$2"} 9
	fi
}

# kvm_works QEMU BZIMAGE: succeed if the kernel boots with KVM in a QEMU of
# lab/build/device. The result is cached until the host reboots, except after a time-out,
# which may be due to load.
kvm_works() {
	local seen log rc=0
	grep -qwE 'vmx|svm' /proc/cpuinfo && [[ -e /dev/kvm ]] || return 1
	if [[ ! -w /dev/kvm ]]; then
		warn "using QEMU's TCG, because /dev/kvm is not writable; add this user to the group $(stat -c %G /dev/kvm)"
		return 1
	fi
	seen=$CACHE/kvm-$(cat /proc/sys/kernel/random/boot_id)
	if [[ ! -e $seen ]]; then
		rm -f "$CACHE"/kvm-*
		log=$(timeout -k 1 20 "$1/run" -M q35 -accel kvm -cpu host -m 256M -nodefaults \
			-display none -no-reboot -serial stdio -kernel "$2" \
			-append 'console=ttyS0 panic=-1' </dev/null 2>&1) || rc=$?
		if [[ $log == *"Kernel panic - not syncing: VFS"* ]]; then
			echo yes >"$seen"
		elif ((rc == 124 || rc == 137)); then
			warn "KVM does not boot a kernel within 20 s; using QEMU's TCG this time"
			return 1
		else
			warn "using QEMU's TCG until the next boot, because KVM does not boot a kernel: ${log##*$'\n'}"
			echo no >"$seen"
		fi
	fi
	[[ $(<"$seen") == yes ]]
}

# prune KIND KEEP: remove all but the newest KEEP of $CACHE/KIND-<hash>, but none younger
# than a day. unshare removes the files of a root that belong to mapped ids.
prune() {
	local d n=0
	while read -r d; do
		n=$((n + 1))
		((n > $2)) || continue
		[[ -n $(find "$d" -maxdepth 0 -mmin +1440) ]] || continue
		rm -rf "$d" 2>/dev/null || unshare --map-root-user --map-auto rm -rf "$d" || true
	done < <(find "$CACHE" -maxdepth 1 -type d -regextype posix-extended \
		-regex ".*/$1-[0-9a-f]{12}(\.tmp)?" -printf '%T@ %p\n' | sort -rn | cut -d' ' -f2-)
}

# kernel_with_driver FOLDER: write a kernel for lab/vm to a folder: Debian's 6.12, with the
# project's modules among its own
kernel_with_driver() {
	local kernel release
	kernel=$("$LAB/build/kernel" 6.12 stock)
	release=$(ls "$kernel/modules/lib/modules")
	ln -s "$kernel/bzImage" "$1/bzImage"
	cp -r "$kernel/modules" "$1/"
	cp "$("$LAB/build/modules" 6.12 stock)"/*.ko "$1/modules/lib/modules/$release/updates/"
	"$LAB/build/enter" depmod -b "$1/modules" "$release"
}

# explain LOG: die with one line if the cause of a failure is known, or with the tail of
# the log
explain() {
	# The log may be incomplete if the disk is full.
	if cache_full; then
		die "the disk of $CACHE is full; make room or set NVVGPU_CACHE to another disk (log: $1)"
	elif grep -q 'No space left on device' "$1"; then
		die "the disk of $CACHE or that of ${TMPDIR:-/tmp} was full; make room, or set NVVGPU_CACHE or TMPDIR to another disk (log: $1)"
	elif grep -qE 'NO_PUBKEY|unable to find keyring' "$1"; then
		die "the mirror's signature cannot be checked; install a newer debian-archive-keyring (log: $1)"
	elif grep -q '404 *Not Found' "$1"; then
		die "the Debian mirror lacks a file that its index lists, $(grep -oE '[^/]+\.(deb|dsc|xz) +404' "$1" | sed -n '1{s/ .*//;s/%2b/+/g;s/%7e/~/g;p}'): wait until it is up to date, or set NVVGPU_MIRROR to another (log: $1)"
	elif grep -qE 'Could not (resolve|connect)|Temporary failure resolving|Failed to fetch|Connection (failed|timed out|refused)|Unable to connect|Network is unreachable' "$1"; then
		die "the Debian mirror cannot be reached: $(grep -oE '(https?|ftp)://[^/ ]+' "$1" | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }'); check the network or set NVVGPU_MIRROR (log: $1)"
	elif grep -qE '^unshare: ' "$1"; then
		die "this host does not let users create namespaces: $(grep -m 1 '^unshare: ' "$1"); see the manual page subuid(5), and kernel.apparmor_restrict_unprivileged_userns (log: $1)"
	elif grep -q 'is not signed' "$1"; then
		die "the mirror does not have all suites, or their signature cannot be checked; set NVVGPU_MIRROR to another (log: $1)"
	fi
	tail -n 25 "$1" >&2
	die "failed; see the log: $1"
}

# The beginning of a script that fetches packages in the root: update the package lists,
# and set $apt to options. The root is read-only, so keep the lists in the cache.
# shellcheck disable=SC2016,SC2034
update_lists='
	lists=$NVVGPU_CACHE/apt/root
	mkdir -p $lists/lists/partial $lists/archives/partial
	apt="-q -o Dir::State::Lists=$lists/lists -o Dir::Cache=$lists -o Debug::NoLocking=1 -o APT::Sandbox::User="
	(flock 8; apt-get $apt update) 8>$lists/lock
'

# run_logged LOG PROBE COMMAND...: run COMMAND with its output in LOG. Show the output of
# PROBE, a shell command, as progress: in place on a terminal, every 20 seconds
# otherwise. Returns the status of COMMAND.
run_logged() {
	local log=$1 probe=$2 pid rc=0 since=$SECONDS last=$SECONDS tty=0 text
	shift 2
	mkdir -p "$(dirname "$log")"
	[[ -t 2 ]] && tty=1
	# Use a process group, so that all children can be killed.
	set -m
	"$@" >"$log" 2>&1 </dev/null 9>&- &
	pid=$!
	set +m
	# shellcheck disable=SC2064
	trap "kill -- -$pid 2>/dev/null || true; wait $pid 2>/dev/null || true; exit 130" INT TERM HUP
	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		((SECONDS > last + (tty ? 0 : 19))) || continue
		last=$SECONDS
		text=$(eval "$probe" 2>/dev/null) || text=
		if ((tty)); then
			printf '\r\033[K      %s, %s' "$text" "$(took "$since")" >&2
		else
			say "      $text, $(took "$since")"
		fi
	done
	((tty)) && printf '\r\033[K' >&2
	wait "$pid" || rc=$?
	trap - INT TERM HUP
	return $rc
}
