package cgroups

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// moved moves a process to another cgroup. What has ended of it stays.
func (c *proc) moved(to Path) *proc {
	c.t.Helper()
	if err := os.WriteFile(string(to)+"/cgroup.procs", fmt.Append(nil, c.pid()), 0); err != nil {
		c.t.Fatal(err)
	}
	return c
}

// leaves makes cgroups below each other.
func leaves(t *testing.T, p Path, names ...string) []Path {
	t.Helper()
	var made []Path
	for _, name := range names {
		leaf, err := p.CreateLeaf(name)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, leaf)
		p = leaf
	}
	return made
}

func writeFile(t *testing.T, p Path, file, data string) {
	t.Helper()
	if err := os.WriteFile(string(p)+"/"+file, []byte(data), 0); err != nil {
		t.Fatal(err)
	}
}

// A process whose first thread has ended is no less to be killed.
func TestKillLeaderless(t *testing.T) {
	rung.Privileged(t)
	within := func(wait func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(t.Context(), minute)
		defer cancel()
		return wait(ctx)
	}
	for name, kill := range map[string]func(Path) error{
		"WaitKilled": func(p Path) error {
			if err := p.Kill(); err != nil {
				return err
			}
			return within(p.WaitKilled)
		},
		"KillEach": func(p Path) error {
			if err := p.KillEach(); err != nil {
				return err
			}
			return within(p.WaitEmpty)
		},
		"by process": func(p Path) error {
			d, err := p.open()
			if err != nil {
				return err
			}
			defer d.close()
			if err := d.killBy(processes); err != nil {
				return err
			}
			return within(p.WaitEmpty)
		},
	} {
		for where, prepare := range map[string]func(*testing.T, Path) []*proc{
			"in a leaf": func(t *testing.T, p Path) []*proc {
				return []*proc{start(t, leaves(t, p, "leaf")[0], "leaderless idle").ready()}
			},
			"below a leaf": func(t *testing.T, p Path) []*proc {
				return []*proc{start(t, leaves(t, p, "leaf", "deeper")[1], "leaderless idle").ready()}
			},
			"frozen": func(t *testing.T, p Path) []*proc {
				c := start(t, leaves(t, p, "leaf")[0], "leaderless idle").ready()
				if err := p.Freeze(t.Context()); err != nil {
					t.Fatal(err)
				}
				return []*proc{c}
			},
			"moved since": func(t *testing.T, p Path) []*proc {
				made := leaves(t, p, "leaf", "deeper")
				c := start(t, made[0], "leaderless idle").ready().moved(made[1])
				if b, _ := os.ReadFile(string(made[1]) + "/cgroup.procs"); len(b) > 0 {
					t.Errorf("cgroup.procs of where it was moved: %q; the test tests nothing", b)
				}
				return []*proc{c}
			},
			"threaded": func(t *testing.T, p Path) []*proc {
				made := leaves(t, p, "leaf", "threaded", "deeper")
				writeFile(t, made[1], "cgroup.type", "threaded")
				writeFile(t, made[2], "cgroup.type", "threaded")
				c := start(t, made[0], "leaderless idle").ready()
				b, err := os.ReadFile(string(made[0]) + "/cgroup.threads")
				if err != nil {
					t.Fatal(err)
				}
				tids := strings.Fields(string(b))
				for i, tid := range tids {
					writeFile(t, made[1+i%2], "cgroup.threads", tid)
				}
				return []*proc{c}
			},
			"with children": func(t *testing.T, p Path) []*proc {
				return []*proc{start(t, leaves(t, p, "leaf")[0], "leaderless storm").ready()}
			},
			"one after the other": func(t *testing.T, p Path) []*proc {
				leaf := leaves(t, p, "leaf")[0]
				for range 4 {
					start(t, leaf, "leaderless relay").ready()
				}
				if populated, err := leaf.Populated(); err != nil || !populated {
					t.Errorf("Populated = %v, %v; want true, or the test tests nothing", populated, err)
				}
				return nil // those have ended, or will
			},
		} {
			if where == "moved since" && name == "by process" {
				continue // it is not listed
			}
			t.Run(name+", "+where, func(t *testing.T) {
				if where == "moved since" {
					rung.NeedKernel(t, "6.9", "PIDFD_THREAD")
				}
				p := testPod(t)
				outside, err := p.parent().CreateLeaf("outside")
				if err != nil {
					t.Fatal(err)
				}
				defer outside.Remove(t.Context())
				neighbour := start(t, outside, "leaderless echo").ready()
				procs := prepare(t, p)
				before, err := p.Frozen()
				if err != nil {
					t.Fatal(err)
				}
				if err := kill(p); err != nil {
					t.Fatal(err)
				}
				if populated, err := p.Populated(); err != nil || populated {
					t.Errorf("Populated = %v, %v; want false", populated, err)
				}
				if after, err := p.Frozen(); err != nil || after != before {
					t.Errorf("Frozen = %v, %v; want %v as before", after, err, before)
				}
				for _, c := range procs {
					c.killed()
				}
				if !neighbour.answers(minute) {
					t.Error("a process outside was hit")
				}
				neighbour.wait()
			})
		}
	}
}

// What was moved elsewhere after its first thread had ended is still listed
// where it was.
func TestKillLeavesLeaderlessElsewhere(t *testing.T) {
	rung.Privileged(t)
	rung.NeedKernel(t, "6.9", "PIDFD_THREAD")
	p := testPod(t)
	outside, err := p.parent().CreateLeaf("outside")
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Remove(t.Context())
	left := start(t, p, "leaderless echo").ready().moved(outside)
	c := start(t, p, "leaderless idle").ready()
	if pids, err := p.Procs(); err != nil || !slices.Contains(pids, left.pid()) {
		t.Errorf("Procs = %v, %v; want %d among them, or the test tests nothing", pids, err, left.pid())
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := p.WaitKilled(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.killed()
	if !left.answers(minute) {
		t.Error("what is elsewhere was hit")
	}
	left.wait()
}

// A threaded cgroup has no cgroup.kill.
func TestKillThreaded(t *testing.T) {
	rung.Privileged(t)
	rung.NeedKernel(t, "6.9", "PIDFD_THREAD")
	made := leaves(t, testPod(t), "leaf", "threaded")
	writeFile(t, made[1], "cgroup.type", "threaded")
	c := start(t, made[0], "idle").ready()
	writeFile(t, made[1], "cgroup.threads", fmt.Sprint(c.pid()))
	if err := made[1].Kill(); err != nil {
		t.Fatal(err)
	}
	if err := made[1].WaitKilled(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.killed()
}

// Only WaitKilled kills while it waits.
func TestWaitEmptyKillsNothing(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	for _, none := range []Path{p, p.Leaf("none")} {
		if err := none.WaitKilled(t.Context()); err != nil {
			t.Errorf("WaitKilled without processes: %v; want nil", err)
		}
	}
	c := start(t, p, "leaderless echo").ready()
	ctx, cancel := context.WithTimeout(t.Context(), 5*killPause)
	defer cancel()
	if err := p.WaitEmpty(ctx); !matches(err, fmt.Sprintf("context deadline exceeded: processes %d (", c.pid())) {
		t.Errorf("WaitEmpty: %v; want it to name the process", err)
	}
	if !c.answers(minute) {
		t.Error("WaitEmpty killed")
	}
	c.wait()
}
