// Package rootfs prepares what a container sees as files: its root directory,
// an overlay above it, the pod's volumes and its /dev/shm.
//
// # Model
//
// Everything made here lies in a directory that the caller names, and nothing
// else is remembered: each Remove function works from that directory alone,
// in any state that a SIGKILL can leave, any number of times. It tries every
// step and joins the errors.
//
//	runDir/NAME       a memory emptyDir (tmpfs), or the pin of a hostPath
//	libDir/NAME       a disk emptyDir (a plain directory)
//	dir/{upper,work,merged}   an overlay, of a bundle's root or of an image's layers
//
// A pin is a bind mount, made from the very descriptor that was checked, on
// an empty file or directory of ours. Callers hand out the pin's path, never
// the path that was checked: a container that swaps a component for a symlink
// in between (CVE-2017-1002101, CVE-2021-30465) changes nothing.
//
// Images are package image's, below, which other programs link; here is what a start
// of a container reads of them: images/manifests and images/layers.
//
// # What is trusted
//
// The directories named by the caller belong to root, and are reachable only
// through directories closed to others. The content of a bundle's root and of
// a volume is hostile at any time, also while we look at it: paths inside it
// are resolved by openat2(2) with RESOLVE_BENEATH (Linux 5.6), removal goes
// by descriptors, follows no symlink, and never crosses a mount, so that
// nothing of the host is deleted through a bind mount.
//
// A hostPath's path is the pod author's own, and is followed as Kubernetes
// follows it, symlinks included. A subPath lies inside a volume that
// containers write to: symlinks that lead out of the volume, or that are
// absolute, are refused. A volume's mount path inside a container is resolved
// in the container's root at its start, and cannot reach the host.
package rootfs
