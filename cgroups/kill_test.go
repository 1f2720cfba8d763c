package cgroups

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/podrt/podrt/integration/rung"
	"golang.org/x/sys/unix"
)

// populate starts a process in p, one in a leaf, and one two levels below it.
func populate(t *testing.T, p Path, job string) []*proc {
	t.Helper()
	procs := []*proc{start(t, p, job).ready()}
	for _, name := range []string{"leaf", "deeper"} {
		leaf, err := p.CreateLeaf(name)
		if err != nil {
			t.Fatal(err)
		}
		procs = append(procs, start(t, leaf, job).ready())
		p = leaf
	}
	return procs
}

func TestKillIsOfTheWholeTree(t *testing.T) {
	rung.Privileged(t)
	for _, how := range []string{"cgroup.kill", "one by one"} {
		for _, frozen := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, frozen %v", how, frozen), func(t *testing.T) {
				p := testPod(t)
				outside, err := p.parent().CreateLeaf("outside")
				if err != nil {
					t.Fatal(err)
				}
				defer outside.Remove(t.Context())
				neighbour := start(t, outside, "echo").ready()
				procs := populate(t, p, "idle")
				storm := start(t, p.Leaf("leaf"), "storm").ready()
				if frozen {
					if err := p.Freeze(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if how == "cgroup.kill" {
					rung.NeedKernel(t, "5.14", how)
					err = p.Kill()
				} else {
					d, oerr := p.open()
					if oerr != nil {
						t.Fatal(oerr)
					}
					defer d.close()
					err = d.killEach()
				}
				if err != nil {
					t.Fatal(err)
				}
				if err := p.WaitEmpty(t.Context()); err != nil {
					t.Fatal(err)
				}
				if populated, err := p.Populated(); err != nil || populated {
					t.Errorf("Populated after Kill and WaitEmpty = %v, %v; want false", populated, err)
				}
				for _, c := range append(procs, storm) {
					c.killed()
				}
				if !neighbour.answers(minute) {
					t.Error("Kill hit a process outside")
				}
				neighbour.wait()
			})
		}
	}
}

func TestKillGone(t *testing.T) {
	rung.Privileged(t)
	p := testParent(t).Leaf("none")
	if err := p.Kill(); err != nil {
		t.Errorf("Kill of nothing: %v; want nil", err)
	}
	if err := p.WaitEmpty(t.Context()); err != nil {
		t.Errorf("WaitEmpty of nothing: %v; want nil", err)
	}
}

func TestSignalIsOfTheWholeTree(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	procs := populate(t, p, "signal")
	outside, err := p.parent().CreateLeaf("outside")
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Remove(t.Context())
	neighbour := start(t, outside, "signal").ready()
	if err := p.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	for _, c := range procs {
		if got, want := c.line(), syscall.SIGUSR1.String(); got != want {
			t.Errorf("process %d got %q; want %q", c.pid(), got, want)
		}
	}
	// What it gets is the first signal that it was sent.
	if err := outside.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got, want := neighbour.line(), syscall.SIGTERM.String(); got != want {
		t.Errorf("the process outside got %q; want %q", got, want)
	}
	neighbour.wait()
	for _, sig := range []syscall.Signal{0, -1, 65} {
		if err := p.Signal(sig); !matches(err, "no signal") {
			t.Errorf("Signal(%d): %v; want it refused", sig, err)
		}
	}
	if err := p.Leaf("none").Signal(syscall.SIGTERM); !gone(err) {
		t.Errorf("Signal of nothing: %v; want fs.ErrNotExist", err)
	}
}

// More processes than there are pidfds open at a time.
func TestSignalMany(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	const n = pidfdBatch + 10
	sh := startSh(t, p, fmt.Sprintf("i=0; while [ $i -lt %d ]; do sleep 1000 & i=$((i+1)); done; echo ready; wait", n)).ready()
	pids, err := p.Procs()
	if err != nil || len(pids) != n+1 {
		t.Fatalf("Procs: %d, %v; want %d", len(pids), err, n+1)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.WaitEmpty(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ws := sh.wait(); !ws.Signaled() || ws.Signal() != syscall.SIGTERM {
		t.Errorf("the shell: %v; want it terminated", sh.cmd.ProcessState)
	}
}

// A pid that was listed and is not in the cgroup any more is not signalled,
// whoever has it by now.
func TestSignalLooksAgain(t *testing.T) {
	rung.Privileged(t)
	t.Run("process", func(t *testing.T) { testSignalLooksAgain(t, processes) })
	t.Run("thread", func(t *testing.T) {
		rung.NeedKernel(t, "6.9", "PIDFD_THREAD")
		testSignalLooksAgain(t, threads)
	})
}

func testSignalLooksAgain(t *testing.T, by tasks) {
	p := testPod(t)
	outside, err := p.parent().CreateLeaf("outside")
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Remove(t.Context())
	inside := start(t, p, "signal").ready()
	other := start(t, outside, "signal").ready()
	d, err := p.open()
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	var sent []int
	// As if other's pid had been read from the list, and reused since. 1 and
	// a pid that nobody has, likewise.
	err = d.signalBatch(by, []int{1, inside.pid(), other.pid(), 4194303}, syscall.SIGUSR1, func(pid int) { sent = append(sent, pid) })
	if err != nil || !slices.Equal(sent, []int{inside.pid()}) {
		t.Errorf("signalBatch sent to %v, %v; want only %d", sent, err, inside.pid())
	}
	if err := outside.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got, want := other.line(), syscall.SIGTERM.String(); got != want {
		t.Errorf("the process outside got %q; want %q", got, want)
	}
	other.wait()
}

// A container may make its own cgroups threaded; their processes are the
// domain's then.
func TestThreadedChildren(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	leaf, err := p.CreateLeaf("leaf")
	if err != nil {
		t.Fatal(err)
	}
	threaded, err := leaf.CreateLeaf("threaded")
	if err != nil {
		t.Fatal(err)
	}
	d, err := threaded.open()
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	if err := d.write("cgroup.type", "threaded"); err != nil {
		t.Fatal(err)
	}
	c := start(t, leaf, "signal").ready()
	if err := d.write("cgroup.threads", fmt.Sprint(c.pid())); err != nil {
		t.Fatal(err)
	}
	if _, err := d.read("cgroup.procs"); err == nil {
		t.Fatal("cgroup.procs of a threaded cgroup can be read; the test tests nothing")
	}
	if pids, err := p.Procs(); err != nil || !slices.Equal(pids, []int{c.pid()}) {
		t.Errorf("Procs = %v, %v; want %d", pids, err, c.pid())
	}
	if err := p.Freeze(t.Context()); err != nil {
		t.Error(err)
	}
	if err := p.Thaw(t.Context()); err != nil {
		t.Error(err)
	}
	if err := p.Signal(syscall.SIGUSR1); err != nil {
		t.Error(err)
	}
	if got, want := c.line(), syscall.SIGUSR1.String(); got != want {
		t.Errorf("the process got %q; want %q", got, want)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	c.killed()
	if err := p.Remove(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestProcsGone(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	if pids, err := p.Procs(); err != nil || len(pids) != 0 {
		t.Errorf("Procs of an empty cgroup = %v, %v; want none", pids, err)
	}
	for name, err := range map[string]error{
		"Procs":     second(p.Leaf("none").Procs()),
		"Populated": second(p.Leaf("none").Populated()),
		"Stats":     second(p.Leaf("none").Stats()),
		"OOMKills":  second(p.Leaf("none").OOMKills()),
		"Enable":    p.Leaf("none").Enable(),
	} {
		if !gone(err) {
			t.Errorf("%s of nothing: %v; want fs.ErrNotExist", name, err)
		}
	}
	// A directory that is held open while it is removed answers ENODEV.
	d, err := p.open()
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	fd, err := d.openat("cgroup.events", unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := p.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.readOpen(fd, "cgroup.events"); !gone(err) {
		t.Errorf("a file of a removed cgroup: %v; want it known as gone", err)
	} else if asGone(err); !strings.Contains(asGone(err).Error(), "no such file") {
		t.Errorf("asGone(%v) = %v; want ENOENT", err, asGone(err))
	}
	if _, err := d.procs(); !gone(err) {
		t.Errorf("procs of a removed cgroup: %v; want it known as gone", err)
	}
}

func TestNameProcs(t *testing.T) {
	pids := make([]int, maxNamed+2)
	for i := range pids {
		pids[i] = 4194305 + i // above pid_max
	}
	got := nameProcs(pids)
	if !strings.HasPrefix(got, `4194305 ("?"), 4194306 ("?"), `) || !strings.HasSuffix(got, " and 2 more") {
		t.Errorf("nameProcs = %q", got)
	}
}
