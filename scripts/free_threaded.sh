#!/bin/bash
# Builds a free-threaded CPython from a Debian suite's source, since no suite has one: its path is printed, and the live tests find
# it where suite_python.sh keeps its own.
#
#   scripts/free_threaded.sh [SUITE] [PACKAGE]     default: trixie python3.13
#
# Needs root (the suite's folder, as suite_python.sh makes it) and what a CPython is built with. Exit status 77: it could not be had
# here, and why.
set -euo pipefail

top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
say() { printf 'free_threaded: %s\n' "$*" >&2; }
skip() {
	say "skipped: $*"
	exit 77
}

suite=${1:-trixie} package=${2:-python3.13}
store=${AWAITSCOPE_DEBIAN:-/var/tmp/awaitscope-debian}
mirror=${AWAITSCOPE_DEBIAN_MIRROR:-http://deb.debian.org/debian}
root=$store/$suite-python made=$store/free-threaded-$package

if [ ! -x "$made" ]; then
	"$top/scripts/suite_python.sh" "$suite" >&2
	work=$(mktemp -d "$root/tmp/source.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	list=/tmp/${work##*/}/source.list
	echo "deb-src $mirror $suite main" >"$root$list"
	apt=(chroot "$root" env -C "/tmp/${work##*/}" apt-get -q -o Acquire::Check-Valid-Until=false -o "Dir::Etc::SourceList=$list"
		-o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="/tmp/${work##*/}/lists")
	chmod 755 "$work" && mkdir "$work/lists"
	"${apt[@]}" update >&2 && "${apt[@]}" source --download-only "$package" >&2 || skip "no source of $package from $mirror"
	mkdir "$work/source"
	tar -xf "$work/${package}"_*.orig.tar.xz -C "$work/source" --strip-components=1
	say "building $package --disable-gil"
	(cd "$work/source" && ./configure -q --disable-gil --prefix="$store/free-threaded" OPT="-O1 -g0" && make -sj"$(nproc)" &&
		make -s install) >"$store/free-threaded.log" 2>&1 || skip "the build failed, see $store/free-threaded.log"
	ln -sf "$store/free-threaded/bin/${package}t" "$made"
fi
echo "$made"
