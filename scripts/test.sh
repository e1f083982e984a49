#!/bin/bash
# Installs what the tests need, builds, and runs every test through ctest, whose summary is the last thing printed.
#
#   scripts/test.sh                 everything
#   scripts/test.sh CTEST-OPTION... a part of it: scripts/test.sh -L unit, scripts/test.sh -R corpus
set -euo pipefail

top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
say() { printf 'test: %s\n' "$*" >&2; }

"$top/scripts/deps.sh" test
for preset in test sanitize clang; do
	say "building $preset"
	"$top/scripts/build.sh" "$preset"
done

# One ctest over both builds that have tests: the sanitized one holds those that bring no code into another program.
all=$top/build-test/all
mkdir -p "$all"
printf 'subdirs("%s" "%s")\n' "$top/build-test" "$top/build-sanitize" >"$all/CTestTestfile.cmake"

# Live tests are one ctest a file; what was skipped inside one is listed above the summary.
AWAITSCOPE_SKIPS=$all/skips
: >"$AWAITSCOPE_SKIPS"
export AWAITSCOPE_SKIPS
ctest --test-dir "$all" -j2 --output-on-failure --no-tests=error "$@" 2>&1 |
	sed -u '/% tests passed/e [ ! -s "$AWAITSCOPE_SKIPS" ] || { echo "Skipped, and why:"; cat -n "$AWAITSCOPE_SKIPS"; }'
