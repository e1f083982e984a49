#!/bin/sh
# From a fresh clone to a report: installs what is missing, builds, runs a notebook under awaitscope, shows what it did.
#
#   scripts/quickstart.sh [NOTEBOOK.ipynb]        default: tests/notebooks/tour.ipynb
set -eu

top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
say() { printf 'quickstart: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

case $# in
0) notebook=$top/tests/notebooks/tour.ipynb ;;
1) notebook=$1 ;;
*) fail "usage: scripts/quickstart.sh [NOTEBOOK.ipynb]" ;;
esac
case $notebook in
-*) fail "usage: scripts/quickstart.sh [NOTEBOOK.ipynb]" ;;
esac
[ -r "$notebook" ] || fail "cannot read $notebook"

"$top/scripts/deps.sh" || fail "the packages above are needed first"
"$top/scripts/build.sh" default || fail "the build failed; its output is above"

name=$(basename -- "$notebook" .ipynb)
trace=$top/build/$name.db
status=0
"$top/build/bin/awaitscope" run --force -o "$trace" "$notebook" || status=$?
[ -e "$trace" ] || fail "awaitscope wrote no trace (its exit status was $status)"

echo
"$top/build/bin/awaitscope" report "$trace"
cat <<END

The trace is $trace
    report again    '$top/build/bin/awaitscope' report '$trace'
    ask yourself    sqlite3 '$trace' 'SELECT * FROM cell_summary'
A notebook can record itself, too; in its first cell:
$("$top/build/bin/awaitscope" inside | sed 's/^/    /')
END
exit "$status"
