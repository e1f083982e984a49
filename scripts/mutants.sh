#!/bin/bash
# Takes the agent's remedies out one by one, in a copy of the tree, and shows that the test named for each then fails.
#
#   scripts/mutants.sh               all of tests/mutants/*.patch
#   scripts/mutants.sh NAME...       these
#
# A patch begins with two lines: "Hazard: ...", "Test: FILE::TEST" (every case of that test). Prints a table; exit status 1 if
# one was not noticed, no longer applies or does not build, or if a test fails with nothing taken out.
set -uo pipefail

top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/awaitscope-mutants-XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
tree=$scratch/tree build=$scratch/build bad=0
say() { printf 'mutants: %s\n' "$*" >&2; }

cd "$top" || exit 1
mkdir "$tree" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -Pt "$tree" 2>"$scratch/log"
[ -e "$tree/CMakeLists.txt" ] || { say "the tree could not be copied: $(cat "$scratch/log")"; exit 1; }

build() { # cmake again: a mutant may be of a CMakeLists.txt
	cmake -S "$tree" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DAWAITSCOPE_TESTS=OFF >"$scratch/log" 2>&1 &&
		ninja -C "$build" >"$scratch/log" 2>&1
}
# Status: 0 passed, 1 failed; anything else is neither.
passes() {
	(cd "$tree" && AWAITSCOPE=$build/bin/awaitscope AWAITSCOPE_BUILD=$build \
		timeout 600 /usr/bin/python3 -B -m pytest -q -x -p no:cacheprovider "$@" >"$scratch/log" 2>&1)
}
field() { sed -n "s/^$1: //p" "$2" | head -1; }

names=("$@")
[ $# -gt 0 ] || for patch in tests/mutants/*.patch; do names+=("$(basename "$patch" .patch)"); done

build || { say "the tree does not build"; cat "$scratch/log" >&2; exit 1; }
mapfile -t tests < <(for name in "${names[@]}"; do field Test "tests/mutants/$name.patch"; done | sort -u)
say "${#names[@]} mutants; first the ${#tests[@]} tests with nothing taken out"
passes "${tests[@]}" || { say "they do not pass as it is"; tail -30 "$scratch/log" >&2; exit 1; }

printf '%-28s %-10s %-62s %s\n' mutant outcome test hazard
for name in "${names[@]}"; do
	patch=$top/tests/mutants/$name.patch
	if ! patch -d "$tree" -p1 -s -F3 <"$patch" >"$scratch/log" 2>&1; then
		outcome='stale'
	elif ! build; then
		outcome='no build'
	else
		passes "$(field Test "$patch")"
		case $? in 0) outcome='SURVIVED' ;; 1) outcome='noticed' ;; *) outcome='no answer' ;; esac
	fi
	[ "$outcome" = noticed ] || { bad=1; tail -5 "$scratch/log" >&2; }
	printf '%-28s %-10s %-62s %s\n' "$name" "$outcome" "$(field Test "$patch" | sed 's,.*/,,')" "$(field Hazard "$patch")"
	# back to what it was, with new times, so that it is built again
	git ls-files -z --cached --others --exclude-standard -- probe collector | xargs -0 cp --parents -Pt "$tree"
done
exit $bad
