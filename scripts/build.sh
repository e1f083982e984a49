#!/bin/sh
# Configures and builds one preset of CMakePresets.json, quietly unless something goes wrong.
#
#   scripts/build.sh default|test|sanitize|clang
set -eu

top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
preset=${1:?usage: scripts/build.sh PRESET}
case $preset in
default) folder=$top/build ;;
*) folder=$top/build-$preset ;;
esac

# A folder configured by other means, or copied along with its clone, cannot be built on.
fresh=
cache=$folder/CMakeCache.txt
if [ -e "$cache" ]; then
	grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$top" "$cache" && grep -qxF "CMAKE_GENERATOR:INTERNAL=Ninja" "$cache" ||
		fresh=--fresh
fi

mkdir -p "$folder"
log=$folder/build.log
cd "$top"
if ! { cmake --preset "$preset" $fresh && cmake --build --preset "$preset" -- -k 0; } >"$log" 2>&1; then
	sed -n '/^FAILED:\|CMake Error/,$p' "$log" | grep -v '^\[' >&2
	printf 'build: all of it is in %s\n' "$log" >&2
	exit 1
fi
# A warning of a quiet build should be seen all the same.
grep -E 'warning:|CMake Warning' "$log" >&2 || true
