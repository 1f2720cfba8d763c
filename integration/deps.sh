#!/usr/bin/env bash
# Installs what a bare Debian 12 lacks to build and test podrt, and fetches the
# parts of the test VM into the cache. Says what it does; does nothing, quickly,
# where all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

# What the build, the example and podrt's own tests use.
packages=(
	gcc             # nsenter's C constructor
	libc6-dev       # with static libraries: bin/podrt is static
	libseccomp-dev  # seccomp filters
	pkg-config      # finds it
	busybox-static  # root file systems of test and example containers
	kmod            # depmod for the VM's modules, modprobe in the VM
	xz-utils zstd   # unpack kernels and modules
	e2fsprogs       # the VM's scratch disk
	util-linux      # mount, unshare, setsid in tests
	iproute2        # ip in tests
	procps          # ps: podrt ps calls it
	strace          # counts system calls
	valgrind        # counts instructions
	criu            # checkpoint and restore, in the VM
	ca-certificates # Go's module proxy
)
# The engines that the tests put podrt under, and what runc's own suite calls.
engines=(
	podman conmon crun                # podman, its monitor, a peer
	buildah                           #
	containerd runc                   # ctr and the CRI plugin; Debian's runc beside podrt
	docker.io                         # dockerd
	containernetworking-plugins       # CNI, for podman and the CRI plugin
	iptables nftables                 # they and dockerd call them
	systemd systemd-sysv dbus         # PID 1 of a VM
	uidmap                            # newuidmap, for rootless containers
	bats jq curl gawk udev sshfs fuse3 bsdutils # runc's suite
	bash-completion zsh fish man-db   # check the completions and man pages
)
[ "${1:-test}" = demo ] || packages+=("${engines[@]}")

missing=()
for p in "${packages[@]}"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
done
if [ ${#missing[@]} -gt 0 ]; then
	if [ "$(id -u)" != 0 ]; then
		echo "deps: these Debian packages are missing, and installing them needs root: ${missing[*]}" >&2
		exit 1
	fi
	echo "deps: installing the Debian packages ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	# The tests start what they need in namespaces of their own: no daemon of
	# these packages may start on this host, nor change its network.
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		trap 'rm -f $policy' EXIT
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
	fi
	apt-get update -q
	# No removal: Docker's own packages, or another init, would make way for these.
	apt-get install -q -y --no-remove --no-install-recommends "${missing[@]}"
	# Nor at its next boot.
	off() {
		case " ${missing[*]} " in *" $1 "*) systemctl disable -q "${@:2}" || true ;; esac
	}
	off docker.io docker.service docker.socket
	off containerd containerd.service
	off podman podman.socket podman.service podman-restart.service podman-auto-update.service podman-auto-update.timer
else
	echo "deps: all Debian packages are installed"
fi

go version >/dev/null || {
	echo "deps: Go is missing: https://go.dev/dl, the version in go.mod or newer" >&2
	exit 1
}

echo "deps: the VM's parts, unpacked in the cache, not installed"
CGO_ENABLED=0 go run ./integration/cmd/rung fetch
