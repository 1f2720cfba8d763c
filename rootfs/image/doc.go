// Package image keeps images: it pulls them from registries, loads them from
// archives, makes them of root file systems, and has their layers unpacked, each
// once, so that package rootfs can put them under an overlay.
//
// It links what speaks to registries, and is for programs that no container's
// start executes.
//
// # On disk
//
//	LIB/images/                  closed to the host's users: layers hold setuid programs
//	    lock                     flock: exclusive to add and remove, shared to use
//	    layout/                  an OCI image layout; its index.json names the images
//	    layers/DIFFID            an unpacked layer in overlayfs's form
//	    manifests/HEX.json       the layers of an image, lowest first
//	    work/ID/                 what one process is at, which holds its flock
//
// HEX is the SHA-256 of the manifest of one platform, DIFFID that of a layer's
// plain tar. What can be large is made in work, and renamed into place under the
// exclusive lock; so it goes, too, as no pod is created while that is held. An image is whole, and can be used, if it has its file in
// manifests: that comes last when it is added, but for its name, and goes first
// when it is removed. So a SIGKILL leaves at most what nothing refers to, which
// the next command that adds or removes takes away, and work whose lock nobody
// holds.
//
// # What is trusted
//
// A layer is hostile. It is unpacked by descriptors: what leads to an entry is
// resolved with openat2(2) and RESOLVE_IN_ROOT (Linux 5.6), as it would be in the
// container, and an entry itself is never followed. Attributes that overlayfs or
// the host's security modules read are left out.
package image
