package integration

import (
	"path/filepath"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// TestSystemdCrash kills what has systemd make a cgroup: removal, without the
// flag, takes the unit with it.
func TestSystemdCrash(t *testing.T) {
	needSystemd(t)
	rung.Privileged(t)
	a := newArena(t)
	bundle := filepath.Join(a.dir, "staying")
	shell(t, bundle, stays)
	a.makeRoots(t)
	t.Setenv(sweepEnv, "3")
	for _, c := range []crash{
		{
			name: "create", args: []string{"--systemd-cgroup", "create", "-b", bundle, "c"},
			remove: func(t *testing.T, a *arena) {
				succeed(t, a, "delete", "-f", "c")
				wantNoUnit(t, "runc-c.scope")
			},
		},
		{
			name: "pod create", args: []string{"--systemd-cgroup", "pod", "create", "--uid", "u1", "--memory", "96m", "p"},
			remove: func(t *testing.T, a *arena) {
				succeed(t, a, "pod", "rm", "-f", "p")
				wantNoUnit(t, "podrt-u1.service")
			},
		},
	} {
		c.target, c.check, c.vm = mainProcess, wantKilled, true
		t.Run(c.name, func(t *testing.T) { c.run(t, a) })
	}
}
