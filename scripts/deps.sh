#!/bin/sh
# The one list of Debian packages awaitscope needs, and what installs those that are missing.
#
#   scripts/deps.sh          to build and run awaitscope
#   scripts/deps.sh test     and to test it
#   scripts/deps.sh package  and to make a Debian package of it
#   scripts/deps.sh list     print the packages that would be asked for; install nothing
#
# Nothing is downloaded where everything is there. Debian 12 and 13, where all of these names are the same
# but one: CPython's own tests are packaged by version.
set -eu

# Compilers, the build system, the libraries awaitscope is built from, Python's headers; then what runs a notebook.
run='gcc g++ libc6-dev cmake ninja-build pkgconf libsqlite3-dev libjansson-dev libncurses-dev libtomlplusplus-dev libjs-dygraphs
	libelf-dev libdw-dev libzmq3-dev libssl-dev libbpf-dev clang bpftool python3-dev
	python3-ipykernel python3-nbclient'

# The second compiler with its sanitizers, the unit test library, the runners of live tests, and what their notebooks and commands use.
test='libclang-rt-dev binutils libcmocka-dev sqlite3 git patch
	python3-pytest python3-aiohttp python3-uvloop python3-nest-asyncio python3-greenlet python3-requests musl-tools
	jupyter-core jupyter-client jupyter-nbconvert debootstrap'
package='dpkg-dev file'
case $(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2>/dev/null) in
bookworm) test="$test libpython3.11-testsuite" ;;
trixie) test="$test libpython3.13-testsuite" ;;
esac

say() { printf 'deps: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

case ${1-} in
'') packages=$run ;;
test | list) packages="$run $test $package" ;;
package) packages="$run $package" ;;
*) fail "usage: scripts/deps.sh [test|package|list]" ;;
esac
if [ "${1-}" = list ]; then
	# shellcheck disable=SC2086 # a list of words
	printf '%s\n' $packages
	exit
fi

command -v dpkg-query >/dev/null || fail "this is not Debian; install what it calls: $packages"

installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p')
missing=
for package in $packages; do
	printf '%s\n' "$installed" | grep -qxF "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
	as_root=
	say "installing with apt:$missing"
elif command -v sudo >/dev/null; then
	as_root='sudo'
	say "installing with apt, through sudo:$missing"
else
	fail "needs root for: apt-get install$missing
deps: there is no sudo here; run that line as root, then this again"
fi

apt() {
	# No questions, and a busy dpkg is waited for.
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" >&2
}

# An index that cannot be renewed may still serve: say so and let the installation decide.
apt update || say "apt-get update failed; trying with the package index that is here"
# shellcheck disable=SC2086 # a list of words
apt install -y --no-install-recommends $missing || fail "apt could not install:$missing (its reason is above)"
