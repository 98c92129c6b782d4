# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# suite.sh - what lab/check and lab/coverage share: run the tests, count their results.
# Sourced after lib.sh.

since=$SECONDS
tap=$(mktemp "$CACHE/log/suite.XXXXXX")
aside=() aside_pid=''
trap '[[ -z $aside_pid ]] || { kill "$aside_pid" && wait "$aside_pid"; } 2>/dev/null; rm -f "$tap" "$tap".*' EXIT

# title TEXT: of a part of the run
title() {
	say ""
	say "== $1, after $(took "$since")"
}

# account NAME STATUS: count the results in $tap.part. A command that failed without a
# failed test, as when it could not begin, is a failure of its own.
account() {
	(($2 == 0)) || { (($2 < 124)) && grep -q '^not ok ' "$tap.part"; } ||
		echo "not ok 1 \"$1\" ended with status $2" | tee -a "$tap.part"
	cat "$tap.part" >>"$tap"
}

# results: pass the results of tests on. One that is skipped because it belongs to a
# higher level is noted in $tap.more instead, and how long a test took in $tap.times.
results() {
	awk -v more="$tap.more" -v times="$tap.times" '
		/^# +SKIP +/ { next }
		/^ok .*# SKIP .*(only with NVVGPU_TEST_ALL|kernel has no fault injection)/ {
			print >>more
			next
		}
		/^# +RUN / { begin = systime() }
		/^(not )?ok / && begin {
			print systime() - begin, $0 >>times
			begin = 0
		}
		{ print; fflush() }'
}

# more N: tests that a higher level has, and this one does not even list
more() { printf 'x\n%.0s' $(seq "$1") >>"$tap.more"; }

# part NAME COMMAND...: its output is shown and counted
part() {
	title "$1"
	local rc=0
	"${@:2}" | results | tee "$tap.part" || rc=${PIPESTATUS[0]}
	account "$1" "$rc"
}

# in_machine NAME ARG...: lab/vm with these arguments, as a part. A stall of the
# emulator is not a result: the machine is started once more, and says so.
in_machine() {
	local rc=0 try
	title "$1"
	for try in 1 2; do
		rc=0
		"$LAB/vm" "${@:2}" | results | tee "$tap.part" || rc=${PIPESTATUS[0]}
		((rc == 124 && try == 1)) || break
		say "the machine has stalled; once more"
	done
	account "$1" "$rc"
}

# aside NAME ARG...: as in_machine, beside the parts that follow, because the tests leave
# a processor idle much of the time. There is one at a time.
aside() {
	aside=("$@")
	{
		"$LAB/vm" "${@:2}" 2>&1 | results
		exit "${PIPESTATUS[0]}"
	} >"$tap.aside" &
	aside_pid=$!
}

# aside_ends: wait for it; its output is shown and counted
aside_ends() {
	local rc=0
	title "${aside[0]}, begun beside the others"
	tail -n +1 -f --pid="$aside_pid" "$tap.aside"
	wait "$aside_pid" || rc=$?
	aside_pid=''
	if ((rc == 124)); then
		say "the machine has stalled; once more"
		in_machine "${aside[@]}"
	else
		mv "$tap.aside" "$tap.part"
		account "${aside[0]}" "$rc"
	fi
}

# verdict [LEVEL]: the sums; fails if a test has, or none has passed. LEVEL runs the
# tests that this one has left out.
verdict() {
	local failed skipped passed
	if [[ -e $tap.times ]]; then
		say ""
		say "the slowest tests, in seconds:"
		sort -rn "$tap.times" | awk '{ print $1, $2 == "ok" ? $4 : $5 }' |
			sed -n '1,20s/^/  /p' >&2
	fi
	say ""
	[[ -z ${1-} || ! -e $tap.more ]] || say "$(wc -l <"$tap.more") more tests in $1"
	grep -E '^not ok ' "$tap" >&2 || true
	failed=$(grep -cE '^not ok ' "$tap" || true)
	skipped=$(grep -cE '^ok .*# SKIP' "$tap" || true)
	passed=$(grep -E '^ok ' "$tap" | grep -vc '# SKIP' || true)
	((passed > 0)) || { say "no test has passed"; failed=$((failed + 1)); }
	say "took $(took "$since")"
	echo "$passed passed, $failed failed$( ((skipped == 0)) || echo ", $skipped skipped")"
	((failed == 0))
}
