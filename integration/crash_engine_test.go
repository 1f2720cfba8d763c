package integration

import (
	"maps"
	"path/filepath"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// TestCrashEngine kills what makes and removes an engine's pod: `delete -f` of
// the containers removes all of it, and so does `pod rm -f`.
func TestCrashEngine(t *testing.T) {
	rung.Privileged(t)
	if brief() {
		t.Skip("natively")
	}
	a := newArena(t)
	a.makeRoots(t)
	const id = "sandbox-1"
	annotations := map[string]string{
		"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": id,
		"io.kubernetes.cri.sandbox-name": "p", "io.kubernetes.cri.sandbox-namespace": "default",
	}
	annotated := func(name, script, kind string) string {
		dir := filepath.Join(a.dir, name)
		spec := shell(t, dir, script)
		spec.Annotations = maps.Clone(annotations)
		spec.Annotations["io.kubernetes.cri.container-type"] = kind
		writeJSON(t, filepath.Join(dir, "config.json"), spec)
		return dir
	}
	sandbox, ending, member := annotated("sandbox", stays, "sandbox"), annotated("ending", ends, "sandbox"), annotated("member", stays, "container")
	create := []string{"create", "-b", sandbox, id}
	created := func(t *testing.T, a *arena) { a.ok(t, create...) }
	both := func(t *testing.T, a *arena) {
		created(t, a)
		a.ok(t, "create", "-b", member, "c")
	}
	remove := func(ids ...string) func(*testing.T, *arena) {
		return func(t *testing.T, a *arena) {
			for _, id := range ids {
				succeed(t, a, "delete", "-f", id)
			}
		}
	}
	sandboxOnly, memberFirst, memberLast := remove(id), remove("c", id), remove(id, "c")
	// The engine's containers are the engine's to delete: those that the pod
	// knows go with it, and what is no member is plain.
	byHand := func(t *testing.T, a *arena) {
		succeed(t, a, "pod", "rm", "-f", id)
		succeed(t, a, "delete", "-f", id)
	}
	again := func(t *testing.T, a *arena) {
		sandboxOnly(t, a)
		succeed(t, a, create...)
		succeed(t, a, "pod", "inspect", "default/p")
		sandboxOnly(t, a)
	}

	for _, c := range []crash{
		{name: "create", target: mainProcess, args: create, check: wantKilled, remove: sandboxOnly},
		{name: "create, init", target: children, args: create, check: wantFailed, remove: sandboxOnly},
		{name: "create, again", target: mainProcess, args: create, check: wantKilled, remove: again},
		{name: "create, by hand", target: mainProcess, args: create, check: wantKilled, remove: byHand},
		{name: "run", target: mainProcess, args: []string{"run", "-b", ending, id}, check: wantKilled, remove: sandboxOnly},
		{name: "delete", target: mainProcess, prepare: created, args: []string{"delete", id}, check: wantKilled, remove: sandboxOnly},
		{name: "delete forced", target: mainProcess, prepare: created, args: []string{"delete", "-f", id}, check: wantKilled, remove: again},
		{name: "pod rm", target: mainProcess, prepare: both, args: []string{"pod", "rm", "-f", id}, check: wantKilled, remove: memberFirst},
		{name: "member create", target: mainProcess, prepare: created, args: []string{"create", "-b", member, "c"}, check: wantKilled, remove: memberFirst},
		{name: "member create, init", target: children, prepare: created, args: []string{"create", "-b", member, "c"}, check: wantFailed, remove: memberLast},
		{name: "member delete", target: mainProcess, prepare: both, args: []string{"delete", "-f", "c"}, check: wantKilled, remove: memberLast},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, a) })
	}
}
