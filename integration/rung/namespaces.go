package rung

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// nsKinds are the names in /proc/PID/ns; children's namespaces count, too.
var nsKinds = [...]string{"cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children", "user", "uts"}

// listNamespaces lists each namespace that something visible keeps alive: a
// thread of a process, a descriptor, or a mount of nsfs in this mount
// namespace. The key is as readlink of /proc/PID/ns/KIND shows it:
// "net:[4026531840]".
func listNamespaces(v *view) (objects, error) {
	ps, err := v.processes()
	if err != nil {
		return nil, err
	}
	o := objects{}
	hold := func(ns, format string, args ...any) {
		if _, ok := o[ns]; !ok {
			o[ns] = ns + " held by " + fmt.Sprintf(format, args...)
		}
	}
	for _, p := range ps {
		if err := processNamespaces(p, hold); err != nil && !vanished(err) {
			return nil, err
		}
	}
	mounts, err := v.mountinfo()
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(mounts) {
		if f := strings.Fields(line); len(f) > 4 && isNamespace(f[3]) {
			hold(f[3], "the mount at %s", f[4])
		}
	}
	return o, nil
}

// isNamespace reports whether s is the name of an nsfs inode, "kind:[inode]".
func isNamespace(s string) bool {
	kind, ino, ok := strings.Cut(s, ":[")
	return ok && kind != "socket" && kind != "pipe" && kind != "anon_inode" &&
		!strings.HasPrefix(s, "/") && strings.HasSuffix(ino, "]")
}

func processNamespaces(p process, hold func(ns, format string, args ...any)) error {
	// A zombie's links cannot be read; it holds only its PID namespace.
	tids, err := numbers(fmt.Sprintf("/proc/%d/task", p.pid))
	if err != nil {
		return err
	}
	for _, tid := range tids {
		threadNamespaces(p, tid, hold)
	}
	fds, err := numbers(fmt.Sprintf("/proc/%d/fd", p.pid))
	if err != nil {
		return err
	}
	for _, fd := range fds {
		if ns, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", p.pid, fd)); err == nil && isNamespace(ns) {
			hold(ns, "fd %d of pid %d (%s)", fd, p.pid, p.comm)
		}
	}
	return nil
}

func threadNamespaces(p process, tid int, hold func(ns, format string, args ...any)) {
	dir, err := unix.Open(fmt.Sprintf("/proc/%d/task/%d/ns", p.pid, tid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return // an ended thread
	}
	defer unix.Close(dir)
	var buf [64]byte
	for _, kind := range nsKinds {
		n, err := unix.Readlinkat(dir, kind, buf[:])
		// It fails for an ended thread, or a kind that this kernel lacks.
		if err == nil {
			hold(string(buf[:n]), "pid %d (%s)", p.pid, p.comm)
		}
	}
}
