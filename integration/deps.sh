#!/usr/bin/env bash
# Installs what a bare Debian 12 lacks to build and test podrt, and fetches the
# parts of the test VM into the cache. Says what it does; does nothing, quickly,
# where all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

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
	criu            # checkpoint and restore, in the VM
	ca-certificates # Go's module proxy
)

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
	apt-get update -q
	apt-get install -q -y --no-install-recommends "${missing[@]}"
else
	echo "deps: all Debian packages are installed"
fi

go version >/dev/null || {
	echo "deps: Go is missing: https://go.dev/dl, the version in go.mod or newer" >&2
	exit 1
}

echo "deps: the VM's parts, unpacked in the cache, not installed"
CGO_ENABLED=0 go run ./integration/cmd/rung fetch
