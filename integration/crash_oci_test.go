package integration

import (
	"path/filepath"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// TestCrashContainer kills the OCI verbs: `delete -f` removes what is left.
func TestCrashContainer(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	bundle := filepath.Join(a.dir, "staying")
	shell(t, bundle, stays)
	ending := filepath.Join(a.dir, "ending")
	shell(t, ending, ends)
	remove := func(t *testing.T, a *arena) { succeed(t, a, "delete", "-f", "c") }
	created := func(t *testing.T, a *arena) { a.ok(t, "create", "-b", bundle, "c") }
	running := func(t *testing.T, a *arena) { a.ok(t, "run", "-d", "-b", bundle, "c") }

	for _, c := range []crash{
		{name: "create", target: mainProcess, args: []string{"create", "-b", bundle, "c"}, check: wantKilled, vm: true},
		{name: "create, init", target: children, args: []string{"create", "-b", bundle, "c"}, check: wantFailed},
		{name: "start", target: mainProcess, prepare: created, args: []string{"start", "c"}, check: wantKilled},
		{name: "run", target: mainProcess, args: []string{"run", "-b", ending, "c"}, check: wantKilled},
		{name: "run, init", target: children, args: []string{"run", "-b", ending, "c"}, check: wantEnded},
		{name: "exec", target: mainProcess, prepare: running, args: []string{"exec", "c", "/bin/busybox", "true"}, check: wantKilled},
		{name: "exec, process", target: children, prepare: running, args: []string{"exec", "c", "/bin/busybox", "true"}, check: wantEnded},
		{name: "pause", target: mainProcess, prepare: running, args: []string{"pause", "c"}, check: wantKilled},
		{name: "delete", target: mainProcess, prepare: created, args: []string{"delete", "c"}, check: wantKilled},
		{name: "delete forced", target: mainProcess, prepare: running, args: []string{"delete", "-f", "c"}, check: wantKilled, vm: true},
	} {
		c.remove = remove
		t.Run(c.name, func(t *testing.T) {
			c.run(t, a)
		})
	}
}

// TestCrashMember kills the creation of a container in a pod. The pod goes with
// all that is in it; or the container alone, and the pod is as before.
func TestCrashMember(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	bundle := filepath.Join(a.dir, "staying")
	shell(t, bundle, stays)
	a.makeRoots(t)
	pod := func(t *testing.T, a *arena) {
		a.ok(t, "pod", "create", "--share", "net,ipc,uts,pid", "--volume", "disk:/d", "p")
	}
	created := func(t *testing.T, a *arena) {
		pod(t, a)
		a.ok(t, "create", "--pod", "p", "-b", bundle, "c")
	}
	one := func(t *testing.T, a *arena) {
		succeed(t, a, "delete", "-f", "c")
		succeed(t, a, "create", "--pod", "p", "-b", bundle, "c")
		succeed(t, a, "delete", "-f", "c")
		succeed(t, a, "pod", "rm", "p")
	}
	create := []string{"create", "--pod", "p", "-b", bundle, "c"}

	for _, c := range []crash{
		{name: "create", target: mainProcess, prepare: pod, args: create, check: wantKilled, vm: true},
		{name: "create, init", target: children, prepare: pod, args: create, check: wantFailed},
		{name: "create, delete", target: mainProcess, prepare: pod, args: create, check: wantKilled, remove: one},
		{name: "create, init, delete", target: children, prepare: pod, args: create, check: wantFailed, remove: one},
		{name: "start", target: mainProcess, prepare: created, args: []string{"start", "c"}, check: wantKilled},
		{name: "pod start", target: mainProcess, prepare: created, args: []string{"pod", "start", "p"}, check: wantKilled},
		{name: "delete", target: mainProcess, prepare: created, args: []string{"delete", "-f", "c"}, check: wantKilled},
		{name: "delete, again", target: mainProcess, prepare: created, args: []string{"delete", "-f", "c"}, check: wantKilled, remove: one},
		{name: "pod rm", target: mainProcess, prepare: created, args: []string{"pod", "rm", "-f", "p"}, check: wantKilled},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, a)
		})
	}
}
