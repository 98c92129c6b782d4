# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# suite.sh - run tests and count their results, for lab/check and lab/gates/coverage.
# Source it after lib.sh.

since=$SECONDS
tap=$(mktemp "$CACHE/log/suite.XXXXXX")
: >"$tap.failed"
aside_names=() aside_pids=() kept='' reused=0 more=0
trap 'kill_asides 2>/dev/null; rm -f "$tap" "$tap".*' EXIT

# title TEXT: print the title of a part of the run
title() {
	say ""
	say "== $1, after $(took "$since")"
}

# continue_earlier: use what passed in an earlier run on the same tree that was interrupted
# or in which other parts failed; keep what passes for a later run
continue_earlier() {
	kept=$CACHE/suite-$(cd "$TOP" && find . -name .git -prune -o -type f -print0 |
		LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-12)
	mkdir -p "$kept"
	prune suite 2
}

# output_of NAME: the file with the output of a part that has passed
output_of() { echo "$kept/${1//\//-}"; }

# passed_earlier NAME: whether a part passed in an earlier run
passed_earlier() { [[ -n $kept && -e $(output_of "$1") ]]; }

# earlier NAME: count the results of a part that passed earlier, if it did
earlier() {
	passed_earlier "$1" || return 1
	reused=$((reused + 1))
	say "passed on $(date -r "$(output_of "$1")" '+%-d %B at %H:%M'), not run again"
	tee -a "$tap" <"$(output_of "$1")" | shown
}

# account NAME STATUS: count the results in $tap.part, and keep the messages of each failed
# test. A command that fails without a failed test, for example because it could not start,
# or that has no results counts as a failed test.
account() {
	if (($2 == 0)); then
		grep -qE '^(not )?ok ' "$tap.part" || echo "not ok 1 \"$1\" has no results" | tee -a "$tap.part"
	elif (($2 >= 123)) || ! grep -q '^not ok ' "$tap.part"; then
		echo "not ok 1 \"$1\" ended with status $2" | tee -a "$tap.part"
	fi
	cat "$tap.part" >>"$tap"
	awk -v part="$1" '
		/^# .*:[0-9]+:/ { why = why "    " $0 "\n" }
		/^not ok / { printf "%s, in %s\n%s", $0, part, why }
		/^(not )?ok |^# +RUN / { why = "" }' "$tap.part" >>"$tap.failed"
	[[ -z $kept ]] || grep -q '^not ok ' "$tap.part" || {
		cp "$tap.part" "$kept/new"
		mv "$kept/new" "$(output_of "$1")"
	}
}

# results: copy test results; the duration of each test goes to $tap.times
results() {
	# mawk would read the pipe in blocks, and see all tests of a block at once.
	TIMES=$tap.times perl -ne '
		BEGIN { $| = 1 }
		next if /^# +SKIP +/;
		$begin = time if /^# +RUN /;
		if (/^(?:not )?ok / && $begin) {
			open my $f, ">>", $ENV{TIMES};
			print $f time - $begin, " ", $_;
			$begin = 0;
		}
		print'
}

# Tests that are skipped because they belong to a higher level
higher='^ok .*# SKIP .*(only with NVVGPU_TEST_ALL|kernel has no fault injection)'

# shown: leave out the results of tests that belong to a higher level, and the harness's
# advice about skipped tests
shown() { grep --line-buffered -vE "$higher|^# [0-9]+ skipped test\(s\) detected" || true; }

# more N: count tests of a higher level that this level does not list
more() { more=$((more + $1)); }

# part NAME COMMAND...: run a command that prints TAP, and count its results
part() {
	local rc=0
	title "$1"
	! earlier "$1" || return 0
	"${@:2}" | results | tee "$tap.part" | shown || rc=${PIPESTATUS[0]}
	account "$1" "$rc"
}

# restarting NAME FILE COMMAND...: run the command of a part, with its results in FILE, too.
# If its machine stalls, say so and start it once more.
restarting() {
	local rc try
	for try in 1 2; do
		rc=0
		"${@:3}" | results | tee "$2" || rc=${PIPESTATUS[0]}
		((rc == 123 && try == 1)) || return "$rc"
		say "$1: the machine stalled; starting it again"
	done
}

# in_machine NAME ARG...: run lab/vm with these arguments as a part
in_machine() {
	local rc=0
	title "$1"
	! earlier "$1" || return 0
	restarting "$1" "$tap.part" "$LAB/vm" "${@:2}" | shown || rc=${PIPESTATUS[0]}
	account "$1" "$rc"
}

# merged COMMAND...: run a command with its messages in its output
merged() { "$@" 2>&1; }

# aside NAME COMMAND...: like part, but in the background of the following parts, because
# they leave a CPU idle much of the time
aside() {
	local n=${#aside_names[@]}
	aside_names+=("$1") aside_pids+=('')
	! passed_earlier "$1" || return 0
	: >"$tap.aside.$n"
	# A process group of its own, so that all of it can be ended
	set -m
	restarting "$1" "$tap.aside.$n" merged "${@:2}" </dev/null >/dev/null &
	aside_pids[n]=$!
	set +m
}

# asides_end: wait for the background parts, show their output and count their results
asides_end() {
	local n rc
	for n in "${!aside_names[@]}"; do
		rc=0
		title "${aside_names[n]}, run in the background"
		! earlier "${aside_names[n]}" || continue
		tail -n +1 -f --pid="${aside_pids[n]}" "$tap.aside.$n" | shown
		wait "${aside_pids[n]}" || rc=$?
		aside_pids[n]=''
		mv "$tap.aside.$n" "$tap.part"
		account "${aside_names[n]}" "$rc"
	done
	aside_names=() aside_pids=()
}

# kill_asides: end the background parts, without their results. One that was killed has a
# status of its own, and one may have ended.
kill_asides() {
	local pid
	for pid in "${aside_pids[@]}"; do
		[[ -z $pid ]] || { kill -- "-$pid" && wait "$pid"; } || true
	done
}

# Reasons why a test may be skipped in one machine if it passed in another
elsewhere='# SKIP .*(kernel|iommufd serves as the container|NVVGPU_TEST_ALL)'

# skips: print the results of skipped tests, without those that had such a reason
skips() {
	sed -nE 's/^ok [0-9]+ ([^ ]+)$/\1/p' "$tap" | sort -u >"$tap.passed"
	{ grep -E '^ok .*# SKIP' "$tap" || true; } | while IFS= read -r line; do
		read -r _ _ name _ <<<"$line"
		[[ $line =~ $elsewhere ]] && grep -qxF "$name" "$tap.passed" || echo "$line"
	done
}

# The only test that may be skipped: a vGPU has MSI-X, but no MSI.
expected='# SKIP .*\bMSI\b'

# verdict [LEVEL]: print the totals; fail if a test failed or none passed, or if one was
# skipped for another reason than those above. LEVEL says where the tests of a higher level
# are run.
verdict() {
	local failed skipped passed unrun
	if [[ -e $tap.times ]]; then
		say ""
		say "the slowest tests, in seconds:"
		sort -rn "$tap.times" | awk '{ print $1, $2 == "ok" ? $4 : $5 }' |
			sed -n '1,20s/^/  /p' >&2
	fi
	say ""
	if [[ -n ${1-} ]]; then
		more "$(sed -nE "/$higher/s/^ok [0-9]+ ([^ ]+).*/\1/p" "$tap" | sort -u | wc -l)"
		say "$more more tests in $1"
		{ grep -vE "$higher" "$tap" || true; } >"$tap.level"
		mv "$tap.level" "$tap"
	fi
	cat "$tap.failed" >&2
	skips >"$tap.skips"
	unrun=$(grep -cvE "$expected" "$tap.skips" || true)
	skipped=$(($(wc -l <"$tap.skips") - unrun))
	((skipped == 0)) || grep -E "$expected" "$tap.skips" | sed 's/^ok [0-9]* /skipped: /' >&2
	((unrun == 0)) || grep -vE "$expected" "$tap.skips" | sed 's/^ok [0-9]* /skipped, but could have been run: /' >&2
	failed=$(($(grep -cE '^not ok ' "$tap" || true) + unrun))
	passed=$(grep -E '^ok ' "$tap" | grep -vc '# SKIP' || true)
	((passed > 0)) || { say "no test passed"; failed=$((failed + 1)); }
	((reused == 0)) || say "$reused parts had passed in an earlier run on the same tree"
	say "took $(took "$since")"
	echo "$passed passed, $failed failed$( ((skipped == 0)) || echo ", $skipped skipped")"
	((failed == 0)) || return
	[[ -z $kept ]] || rm -rf "$kept"
}
