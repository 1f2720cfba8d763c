// Package integration holds what needs a real kernel: the end-to-end tests of
// podrt, and the harness that gives them one.
//
//	rung/      for tests: on which rung they run, and the leak check
//	cmd/rung/  runs a test binary on a rung
//	vm/        the VM: QEMU and Debian's kernel
//	guest/     PID 1 in it
//	pid1/      what the first processes of both rungs share
//	bundle/    makes bundles for tests
//	probe/     looks around inside their containers
//
// go test ./integration runs its tests in the VM, or on the native rung with
// PODRT_RUNG_WANT=native: see README.md.
package integration
