package integration

import "testing"

// ipcObjects are the ways of IPC that an IPC namespace separates, with how to
// say something by each, how to hear it, and what one hears where it was not
// said. POSIX shared memory is a file in the pod's /dev/shm.
var ipcObjects = []struct {
	name string
	say  func(text string) []string
	hear []string
	none string
}{
	{"SysV semaphore", func(text string) []string { return []string{"sem-set", "0x1234", text} }, []string{"sem-get", "0x1234"}, "ENOENT"},
	{"SysV shm", func(text string) []string { return []string{"sysv-shm-write", "77", text} }, []string{"sysv-shm-read", "77"}, "ENOENT"},
	{"POSIX shm", func(text string) []string { return []string{"shm-write", "x", text} }, []string{"shm-read", "x"}, "ENOENT"},
	{"POSIX queue", func(text string) []string { return []string{"mq-send", "q", text} }, []string{"mq-recv", "q"}, "ENOENT"},
}

// TestPodSharesIPC: what one container makes the others find.
func TestPodSharesIPC(t *testing.T) {
	w := newWorld(t)
	w.create(t, "p", "--shm-size", "64k")
	a, b := w.add(t, "p", "a"), w.add(t, "p", "b")
	for _, o := range ipcObjects {
		t.Run(o.name, func(t *testing.T) {
			b.refused(t, o.none, o.hear...)
			a.ask(t, o.say("42")...)
			b.want(t, "42", o.hear...)
		})
	}
	if a, b := a.namespaces(t)["ipc"], b.namespaces(t)["ipc"]; a != b {
		t.Errorf("IPC namespaces %s and %s; want one", a, b)
	}
	// A page of the 64 KiB holds what was written above.
	a.want(t, "61440 ENOSPC", "fill", "/dev/shm/full", "1000000")
	b.want(t, "0 ENOSPC", "fill", "/dev/shm/more", "1")
}

// TestPodIPCNotShared: without ipc in share each container has its own, and
// its own /dev/shm.
func TestPodIPCNotShared(t *testing.T) {
	w := newWorld(t)
	w.create(t, "p", "--share", "net,uts")
	a, b := w.add(t, "p", "a"), w.add(t, "p", "b")
	for _, o := range ipcObjects {
		a.ask(t, o.say("42")...)
		b.refused(t, o.none, o.hear...)
	}
	host := ownNamespace(t, "ipc")
	if a, b := a.namespaces(t)["ipc"], b.namespaces(t)["ipc"]; a == b || a == host || b == host {
		t.Errorf("IPC namespaces %s and %s, the host's %s; want three", a, b, host)
	}
}
