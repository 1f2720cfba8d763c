// Package rung holds what privileged tests share: on which rung they run, what
// they may ask of it, and the check that they leave nothing behind.
//
// There are three rungs. On the unit rung (plain go test) privileged tests
// skip. On the native rung ("rung native", PODRT_RUNG=native) they run as root
// in private namespaces of this host with a pure cgroup2 mount; controllers
// that the host gives to cgroup v1 are missing there. On the VM rung ("rung
// vm", PODRT_RUNG=vm) they run on Debian's kernel with everything podrt can
// ask for, so that nothing may be missing.
//
//	func TestX(t *testing.T) {
//		rung.Privileged(t)
//		rung.NeedController(t, "memory")
//		…
//	}
package rung
