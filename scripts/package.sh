#!/bin/sh
# Makes a Debian package for the release this runs on, and says where it is: build/awaitscope_VERSION_ARCHITECTURE.deb.
set -eu

top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
say() { printf 'package: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

"$top/scripts/deps.sh" package || fail "the packages above are needed first"
"$top/scripts/build.sh" default || fail "the build failed; its output is above"
log=$top/build/package.log
(cd "$top/build" && cpack) >"$log" 2>&1 || { cat "$log" >&2; fail "cpack failed; its output is above"; }
package=$(sed -n 's/^CPack: - package: \(.*\) generated\.$/\1/p' "$log")
[ -f "$package" ] || { cat "$log" >&2; fail "cpack made no package; its output is above"; }
printf '%s\n' "$package"
say "install it with: sudo apt install $package"
