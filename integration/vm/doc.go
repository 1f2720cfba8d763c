// Package vm boots a VM that has all a privileged test can ask for, and runs a
// command of the host in it.
//
// QEMU emulates (KVM is not needed); its kernel is Debian's. Both come from
// Debian packages that are downloaded and unpacked into a cache directory,
// never installed: see [Fetch]. The VM's root is the host's, read-only through
// 9p, below an overlay whose upper layer is memory: a test binary runs under
// the path it has on the host, and what it writes is gone with the VM, unless
// it writes to a share. PID 1 is the static Go program in ../guest.
//
// The cache directory is $XDG_CACHE_HOME/podrt, or /var/cache/podrt. In it
//
//	vm/SET-N.lock     held while the set is fetched
//	vm/SET-N/         one set of parts, as [Parts] describes it
//	vm/guest/         PID 1
//
// where SET is "backports" (QEMU 10, Linux 6.12) or "stable" (QEMU 7.2, Linux
// 6.1) and N the format of the directory.
package vm
