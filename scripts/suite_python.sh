#!/bin/bash
# Makes a Debian suite in a folder, and beside it a program that runs the suite's Python here: its paths are printed, for
# AWAITSCOPE_PYTHONS of the live tests.
#
#   scripts/suite_python.sh SUITE [PACKAGE...]     SUITE: sid, trixie; PACKAGE: pypy3, python3.15, ... beside python3
#
# AWAITSCOPE_DEBIAN names the folder that keeps it all (default: below /var/tmp). The programs need root, for a mount namespace:
# in it the suite's root sees /proc, /dev, /tmp, the current folder, and the folders of the agent and of the arguments that are
# files. The pid stays the same. Exit status 77: it could not be had here, and why.
set -euo pipefail

say() { printf 'suite_python: %s\n' "$*" >&2; }
skip() {
	say "skipped: $*"
	exit 77
}

suite=${1:?usage: scripts/suite_python.sh SUITE [PACKAGE...]}
shift
store=${AWAITSCOPE_DEBIAN:-/var/tmp/awaitscope-debian}
mirror=${AWAITSCOPE_DEBIAN_MIRROR:-http://deb.debian.org/debian}
root=$store/$suite-python

[ "$(id -u)" = 0 ] || skip "debootstrap needs root"
unshare --mount true 2>/dev/null || skip "no mount namespaces here"
mkdir -p "$store"
exec 9>"$root.lock"
flock 9

if [ ! -d "$root" ]; then
	command -v debootstrap >/dev/null || skip "debootstrap is not installed"
	say "making a $suite in $root"
	half=$(mktemp -d "$store/.$suite.XXXXXX")
	if ! debootstrap --variant=minbase "$suite" "$half" "$mirror" >"$half.log" 2>&1; then
		tail -n 3 "$half.log" >&2
		rm -rf --one-file-system "$half" "$half.log"
		skip "debootstrap could not make a $suite from $mirror"
	fi
	chmod 755 "$half"
	mv "$half" "$root"
	rm -f "$half.log"
fi
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
# A mirror that stands still is as good for this as a fresh one.
apt=(chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Check-Valid-Until=false)
wanted=(python3 python3-venv python3-uvloop python3-greenlet python3-nest-asyncio "$@")
if ! chroot "$root" dpkg -s "${wanted[@]}" >/dev/null 2>&1; then
	"${apt[@]}" update >&2 || skip "no package lists from $mirror"
	for package in "${wanted[@]}"; do
		"${apt[@]}" install -y --no-install-recommends "$package" >/dev/null 2>&1 || say "$suite has no $package that can be installed"
	done
fi

for python in "$root"/usr/bin/python3 "$root"/usr/bin/python3.[0-9]* "$root"/usr/bin/pypy3; do
	case $python in
	*[0-9]-config | *'*'*) continue ;;
	esac
	[ -x "$python" ] || continue
	name=${python##*/}
	[ "$name" = python3 ] || [ "$(readlink -f "$root/usr/bin/python3")" != "$(readlink -f "$python")" ] || continue
	program=$store/$suite-$name
	cat >"$program.new" <<PROGRAM
#!/bin/sh
# Runs /usr/bin/$name of $root. Made by suite_python.sh.
exec unshare --mount --propagation private sh -c '
	root=\$1 folder=\$PWD
	shift
	show() { mkdir -p "\$root\$1" && mount --bind "\$1" "\$root\$1"; }
	mount --rbind /proc "\$root/proc"
	mount --rbind /dev "\$root/dev"
	mount --bind /tmp "\$root/tmp"
	case \$folder in /tmp | /tmp/*) ;; *) show "\$folder" ;; esac
	for file in "\${AWAITSCOPE_AGENT-}" "\$@"; do
		case \$file in
		/tmp/* | /usr/* | /proc/* | /dev/*) ;;
		/*) [ ! -f "\$file" ] || show "\${file%/*}" ;;
		esac
	done
	exec chroot "\$root" env -C "\$folder" /usr/bin/$name "\$@"
' sh '$root' "\$@"
PROGRAM
	chmod 755 "$program.new"
	mv "$program.new" "$program"
	echo "$program"
done
