#!/bin/bash
# Tries a clean clone on a bare Debian in a folder: quickstart.sh twice, then test.sh, as a user with sudo.
#
#   scripts/debian.sh SUITE [TEST-OPTION...]      SUITE: trixie (Debian 13), bookworm (Debian 12)
#
# The user's clone lies in a path with a space, the python3 first on PATH has no packages, and the current folder is another.
# AWAITSCOPE_DEBIAN names the folder that keeps the bare system and the packages downloaded for it (default: below
# /var/tmp). Exit status 77: it could not be tried here, and why.
set -euo pipefail

top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
say() { printf 'debian: %s\n' "$*" >&2; }
skip() {
	say "skipped: $*"
	[ -z "${AWAITSCOPE_SKIPS-}" ] || printf 'debian %s: %s\n' "$suite" "$*" >>"$AWAITSCOPE_SKIPS"
	exit 77
}

suite=${1:?usage: scripts/debian.sh SUITE [TEST-OPTION...]}
shift
store=${AWAITSCOPE_DEBIAN:-/var/tmp/awaitscope-debian}
mirror=${AWAITSCOPE_DEBIAN_MIRROR:-http://deb.debian.org/debian}

[ "$(id -u)" = 0 ] || skip "debootstrap needs root"
command -v debootstrap >/dev/null || skip "debootstrap is not installed"
[ -e "$top/.git" ] || skip "$top is not a git clone"
# Mounts and processes made below end with their namespace, however this script ends.
unshare --mount --pid --fork true 2>/dev/null || skip "no mount and pid namespaces here (a container without CAP_SYS_ADMIN)"

# One try at a time; what a killed one left behind goes first.
mkdir -p "$store"
exec 9>"$store/lock"
flock 9
rm -rf --one-file-system "$store"/.try.*

bare=$store/$suite
if [ ! -d "$bare" ]; then
	say "making a bare $suite in $bare"
	half=$(mktemp -d "$store/.$suite.XXXXXX")
	if ! debootstrap --variant=minbase "$suite" "$half" "$mirror" >"$half.log" 2>&1; then
		tail -n 3 "$half.log" >&2
		rm -rf --one-file-system "$half" "$half.log"
		skip "debootstrap could not make a $suite from $mirror"
	fi
	chmod 755 "$half"
	mv "$half" "$bare"
	rm -f "$half.log"
fi
mkdir -p "$store/$suite-packages/partial"

root=$(mktemp -d "$store/.try.XXXXXX")
trap 'rm -rf --one-file-system "$root"' EXIT
cp -a "$bare/." "$root"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
# Debian's images for containers throw packages away after installation; here the next try wants them.
echo 'APT::Keep-Downloaded-Packages "true";' >"$root/etc/apt/apt.conf.d/99keep"
git clone -q --no-hardlinks "$top" "$root/clone"
[ -z "$(git -C "$top" status --porcelain)" ] || say "trying what is committed; there are changes that are not"

cat >"$root/try.sh" <<'TRY'
set -euo pipefail
say() { printf 'debian: %s\n' "$*" >&2; }
timed() { # timed LIMIT NAME COMMAND...: fails where it takes longer than LIMIT seconds
	local limit=$1 name=$2 began=$SECONDS
	shift 2
	runuser -u author -- env -i "${env[@]}" "$@"
	say "$name took $((SECONDS - began)) s (limit $limit)"
	[ $((SECONDS - began)) -le "$limit" ]
}

export DEBIAN_FRONTEND=noninteractive
apt-get -q update >/dev/null
apt-get -q install -y --no-install-recommends sudo >/dev/null 2>&1
useradd --create-home --shell /bin/sh author
echo 'author ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/author
mkdir /home/author/shims
printf '#!/bin/sh\nexec /usr/bin/python3 -I -S "$@"\n' >/home/author/shims/python3
chmod 755 /home/author/shims/python3
mv /clone '/home/author/a clone'
chown -R author: /home/author
env=(HOME=/home/author USER=author LANG=C.UTF-8 PATH=/home/author/shims:/usr/local/bin:/usr/bin:/bin)

cd /
clone='/home/author/a clone'
timed 900 "the first deps.sh, with downloads," "$clone/scripts/deps.sh"
timed 300 "the first quickstart.sh" "$clone/scripts/quickstart.sh"
timed 30 "the second quickstart.sh" "$clone/scripts/quickstart.sh"
timed 1500 test.sh "$clone/scripts/test.sh" "$@" -LE debian13
TRY

say "trying $(git -C "$top" log -1 --format=%h) on a bare $suite"
unshare --mount --propagation private --pid --fork --kill-child bash -euc '
	root=$1 packages=$2
	shift 2
	mount -t proc proc "$root/proc"
	mount -t sysfs -o ro sysfs "$root/sys"
	mount -t tmpfs -o nosuid,nodev tmpfs "$root/dev/shm"
	mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
	mount --bind "$packages" "$root/var/cache/apt/archives"
	exec chroot "$root" bash /try.sh "$@"
' debian "$root" "$store/$suite-packages" "$@"
