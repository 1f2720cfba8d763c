#!/usr/bin/env bash
# Runs the example pod integration/testdata/bundles/web with a busybox root, and a
# manifest of Kubernetes with an image of it: natively where the host has unified
# cgroup v2, in the VM otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."
podrt=$PWD/bin/podrt
bundle=$PWD/bin/demo/web

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "1. A pod bundle: pod.json, and an OCI bundle per container ($bundle)"
rm -rf bin/demo
mkdir -p bin/demo
cp -r integration/testdata/bundles/web "$bundle"
for c in "$bundle"/containers/*; do
	# All that is mounted on, too: in the VM the bundle may be read-only.
	mkdir -p "$c"/rootfs/{bin,data,dev,etc,proc,sys,tmp}
	touch "$c"/rootfs/etc/{hostname,hosts,resolv.conf}
	cp /bin/busybox "$c/rootfs/bin/"
	for applet in $("$c/rootfs/bin/busybox" --list); do
		[ "$applet" = busybox ] || ln -s busybox "$c/rootfs/bin/$applet"
	done
done
cat "$bundle/pod.json"

# A plain OCI bundle, for the last step.
tool=$PWD/bin/demo/tool
mkdir -p "$tool"
cp -r "$bundle/containers/client/rootfs" "$tool/rootfs"
"$podrt" spec -b "$tool"
sed -i -e 's/"terminal": true/"terminal": false/' -e 's/"sh"$/"sh", "-c", "hostname; ip addr show lo"/' "$tool/config.json"

# An image's layer, for the manifest.
tar -C "$bundle/containers/client/rootfs" -cf bin/demo/busybox.tar .

run=(bash -c)
if [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ]; then
	say "2. This host has no unified cgroup v2 on /sys/fs/cgroup: what follows runs in a VM"
	run=(bin/rung vm /bin/bash -c)
else
	say "2. This host has unified cgroup v2: what follows runs natively"
fi

"${run[@]}" "
set -euo pipefail
say() { printf '\n\033[1m%s\033[0m\n' \"\$*\"; }
say '3. podrt pod run: two containers talk over localhost and through the shared volume'
'$podrt' pod run '$bundle'
say '4. The same in the background, and a look at it from outside'
'$podrt' pod run -d '$bundle'
'$podrt' pod wait web
'$podrt' pod ls
'$podrt' pod rm web
say '5. A pod made by hand, with limits and no process; a plain OCI container joins it'
'$podrt' pod create --memory 64m --pids-limit 32 --hostname by-hand hand
'$podrt' run --pod hand --bundle '$tool' tool
'$podrt' pod stats hand
'$podrt' pod rm hand
say '6. An image, and a Pod of Kubernetes as it is written (integration/testdata/manifests/hello.yaml)'
'$podrt' image import '$PWD/bin/demo/busybox.tar' localhost/busybox:1
'$podrt' kube play --network none '$PWD/integration/testdata/manifests/hello.yaml'
'$podrt' image rm localhost/busybox:1
say 'Nothing is left:'
'$podrt' pod ls
"
