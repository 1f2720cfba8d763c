package integration

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// TestCrashNetwork kills the verbs that make and remove a pod's place in a
// network, and networks: removal by name takes back every address, port, rule and
// link, and the next pod can have them.
func TestCrashNetwork(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	a.makeRoots(t)
	hideCNI(t)
	dir := crashPod(t, a, "ended", ends)
	asked := []string{"--network", "n", "--ip", "10.99.1.9", "-p", "8080:80", "-p", "8053:7/udp", "--mac-address", "02:00:00:00:00:09", "p"}
	create := append([]string{"pod", "create", "--ingress-bandwidth", "10M"}, asked...)
	network := func(t *testing.T, a *arena) {
		a.ok(t, "network", "create", "--subnet", "10.99.1.0/28", "n")
	}
	made := func(t *testing.T, a *arena) {
		network(t, a)
		a.ok(t, create...)
	}
	neighbour := func(t *testing.T, a *arena) {
		made(t, a)
		a.ok(t, "pod", "create", "--network", "n", "-p", "8081:80", "q")
	}
	flushed := func(t *testing.T, a *arena) {
		made(t, a)
		runIn(t, "/proc/self/ns/net", "", "nft", "flush", "ruleset")
	}
	remove := func(t *testing.T, a *arena) {
		succeed(t, a, "pod", "rm", "-f", "p")
		// What it had is to be had again, while the network is still there.
		r := a.podrt(t, "network", "inspect", "n")
		if r.code == 0 {
			succeed(t, a, create...)
			succeed(t, a, "pod", "rm", "p")
		}
		succeed(t, a, "network", "prune")
		if r := a.podrt(t, "network", "ls", "-q"); r.code != 0 || r.stdout != "" {
			t.Errorf("networks are left: %v", r)
		}
	}
	removeBoth := func(t *testing.T, a *arena) {
		succeed(t, a, "pod", "rm", "-f", "q")
		remove(t, a)
	}
	removeDefault := func(t *testing.T, a *arena) {
		succeed(t, a, "pod", "rm", "-f", "p")
		succeed(t, a, "pod", "create", "--network", "bridge", "-p", "8080:80", "p")
		succeed(t, a, "pod", "rm", "p")
		succeed(t, a, "network", "prune")
	}
	for _, c := range []crash{
		{name: "create", prepare: network, args: create, remove: remove, vm: true},
		{name: "create, the default network", args: []string{"pod", "create", "--network", "bridge", "-p", "8080:80", "p"}, remove: removeDefault},
		{name: "create beside another", prepare: func(t *testing.T, a *arena) {
			network(t, a)
			a.ok(t, "pod", "create", "--network", "n", "q")
		}, args: create, remove: removeBoth},
		{name: "run", prepare: network, args: []string{"pod", "run", "--network", "n", "-p", "8080:80", dir}, remove: remove},
		{name: "rm", prepare: made, args: []string{"pod", "rm", "p"}, remove: remove, vm: true},
		{name: "rm beside another", prepare: neighbour, args: []string{"pod", "rm", "p"}, remove: removeBoth},
		{name: "reload", prepare: flushed, args: []string{"network", "reload"}, remove: remove},
		{name: "network create", args: []string{"network", "create", "n"}, remove: removeNetwork},
		{name: "network rm", prepare: network, args: []string{"network", "rm", "n"}, remove: removeNetwork},
		{name: "network prune", prepare: network, args: []string{"network", "prune"}, remove: removeNetwork},
	} {
		c.target, c.check, c.points = mainProcess, wantKilled, 4
		t.Run(c.name, func(t *testing.T) {
			c.run(t, a)
		})
	}
}

// removeNetwork makes and removes the network that was half made or half
// removed: the name is free or taken, never in between.
func removeNetwork(t *testing.T, a *arena) {
	t.Helper()
	if r := a.podrt(t, "network", "inspect", "n"); r.code != 0 {
		succeed(t, a, "network", "create", "n")
	}
	succeed(t, a, "pod", "create", "--network", "n", "p")
	succeed(t, a, "pod", "rm", "p")
	succeed(t, a, "network", "rm", "n")
}

// TestCrashCNI does the same to a network that CNI's plugins make.
func TestCrashCNI(t *testing.T) {
	natively(t)
	w := newCNIWorld(t)
	a := w.arena
	a.makeRoots(t)
	create := []string{"pod", "create", "--network", "bridged", "-p", "8080:80", "p"}
	remove := func(t *testing.T, a *arena) {
		succeed(t, a, "pod", "rm", "-f", "p")
		w.noPlace(t)
		// The plugin does not get over a bridge that it left half made.
		w.forgetPlugins(t)
		succeed(t, a, create...)
		succeed(t, a, "pod", "rm", "p")
		w.noPlace(t)
		w.forgetPlugins(t)
	}
	made := func(t *testing.T, a *arena) { a.ok(t, create...) }
	for _, c := range []crash{
		{name: "create", target: mainProcess, args: create, check: wantKilled, remove: remove},
		{name: "create, plugins", target: children, args: create, check: wantFailed, remove: remove},
		{name: "create, all", target: everything, args: create, check: wantKilled, remove: remove},
		{name: "rm", target: mainProcess, prepare: made, args: []string{"pod", "rm", "p"}, check: wantKilled, remove: remove},
		{name: "rm, plugins", target: children, prepare: made, args: []string{"pod", "rm", "p"}, remove: remove},
	} {
		c.points = 3
		t.Run(c.name, func(t *testing.T) {
			c.run(t, a)
		})
	}
}

// files lists the files below dir, not directories.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return found
}
