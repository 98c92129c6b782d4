# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# suite.sh - run tests and count their results, for lab/check and lab/gates/coverage.
# Source it after lib.sh.

since=$SECONDS
tap=$(mktemp "$CACHE/log/suite.XXXXXX")
aside=() aside_pid='' kept=''
trap '[[ -z $aside_pid ]] || { kill -- "-$aside_pid" && wait "$aside_pid"; } 2>/dev/null; rm -f "$tap" "$tap".*' EXIT

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
	say "passed at $(date -r "$(output_of "$1")" +%H:%M), not run again"
	tee -a "$tap" <"$(output_of "$1")"
}

# account NAME STATUS: count the results in $tap.part, and keep what each failed test has
# said of its failure. A command that fails without a failed test, for example because it
# could not start, counts as a failed test.
account() {
	(($2 == 0)) || { (($2 < 124)) && grep -q '^not ok ' "$tap.part"; } ||
		echo "not ok 1 \"$1\" ended with status $2" | tee -a "$tap.part"
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

# results: copy test results. Tests that are skipped because they belong to a higher level
# go to $tap.more instead; the duration of each test goes to $tap.times.
results() {
	# mawk would read the pipe in blocks, and see all tests of a block at once.
	MORE=$tap.more TIMES=$tap.times perl -ne '
		BEGIN { $| = 1 }
		next if /^# +SKIP +/;
		if (/^ok .*# SKIP .*(only with NVVGPU_TEST_ALL|kernel has no fault injection)/) {
			open my $f, ">>", $ENV{MORE};
			print $f $_;
			next;
		}
		$begin = time if /^# +RUN /;
		if (/^(?:not )?ok / && $begin) {
			open my $f, ">>", $ENV{TIMES};
			print $f time - $begin, " ", $_;
			$begin = 0;
		}
		print'
}

# more N: count tests of a higher level that this level does not list
more() { (($1 <= 0)) || printf 'x\n%.0s' $(seq "$1") >>"$tap.more"; }

# part NAME COMMAND...: run a command that prints TAP, and count its results
part() {
	local rc=0
	title "$1"
	! earlier "$1" || return 0
	"${@:2}" | results | tee "$tap.part" || rc=${PIPESTATUS[0]}
	account "$1" "$rc"
}

# in_machine NAME ARG...: run lab/vm with these arguments as a part. If the machine
# stalls, say so and start it once more.
in_machine() {
	local rc=0 try
	title "$1"
	! earlier "$1" || return 0
	for try in 1 2; do
		rc=0
		"$LAB/vm" "${@:2}" | results | tee "$tap.part" || rc=${PIPESTATUS[0]}
		((rc == 124 && try == 1)) || break
		say "the machine stalled; starting it again"
	done
	account "$1" "$rc"
}

# aside NAME COMMAND...: like part, but in the background of the following parts, because
# they leave a CPU idle much of the time. There can be only one.
aside() {
	aside=("$@")
	! passed_earlier "$1" || return 0
	# A process group of its own, so that all of it can be ended
	set -m
	{
		"${@:2}" 2>&1 | results
		exit "${PIPESTATUS[0]}"
	} >"$tap.aside" </dev/null &
	aside_pid=$!
	set +m
}

# aside_ends: wait for the background part, show its output and count its results
aside_ends() {
	local rc=0
	title "${aside[0]}, run in the background"
	! earlier "${aside[0]}" || return 0
	tail -n +1 -f --pid="$aside_pid" "$tap.aside"
	wait "$aside_pid" || rc=$?
	aside_pid=''
	if ((rc == 124)); then
		say "the machine stalled; starting it again"
		part "${aside[@]}"
	else
		mv "$tap.aside" "$tap.part"
		account "${aside[0]}" "$rc"
	fi
}

# skips: print the results of skipped tests; leave out a test that was skipped because the
# kernel lacks something, if it has passed on another kernel
skips() {
	sed -nE 's/^ok [0-9]+ ([^ ]+)$/\1/p' "$tap" | sort -u >"$tap.passed"
	{ grep -E '^ok .*# SKIP' "$tap" || true; } | while IFS= read -r line; do
		read -r _ _ name _ <<<"$line"
		[[ $line == *"# SKIP "*kernel* ]] && grep -qxF "$name" "$tap.passed" || echo "$line"
	done
}

# verdict [LEVEL]: print the totals; fail if a test failed or none passed. LEVEL names the
# command that runs the tests left out.
verdict() {
	local failed skipped passed elsewhere
	if [[ -e $tap.times ]]; then
		say ""
		say "the slowest tests, in seconds:"
		sort -rn "$tap.times" | awk '{ print $1, $2 == "ok" ? $4 : $5 }' |
			sed -n '1,20s/^/  /p' >&2
	fi
	say ""
	[[ -z ${1-} || ! -e $tap.more ]] || say "$(wc -l <"$tap.more") more tests in $1"
	cat "$tap.failed" >&2
	failed=$(grep -cE '^not ok ' "$tap" || true)
	skips >"$tap.skips"
	skipped=$(wc -l <"$tap.skips")
	elsewhere=$(($(grep -cE '^ok .*# SKIP' "$tap" || true) - skipped))
	((elsewhere == 0)) || say "$elsewhere tests need another of the kernels, and passed on it"
	((skipped == 0)) || sed 's/^ok [0-9]* /skipped: /' "$tap.skips" >&2
	passed=$(grep -E '^ok ' "$tap" | grep -vc '# SKIP' || true)
	((passed > 0)) || { say "no test passed"; failed=$((failed + 1)); }
	say "took $(took "$since")"
	echo "$passed passed, $failed failed$( ((skipped == 0)) || echo ", $skipped skipped")"
	((failed == 0)) || return
	[[ -z $kept ]] || rm -rf "$kept"
}
