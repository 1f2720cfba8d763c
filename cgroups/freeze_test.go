package cgroups

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/podrt/podrt/integration/rung"
	"golang.org/x/sys/unix"
)

// answers tells whether a helper that does "echo" answers within d.
func (c *proc) answers(d time.Duration) bool {
	c.t.Helper()
	if _, err := c.stdin.Write([]byte("x")); err != nil {
		c.t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() {
		_, err := c.stdout.ReadByte()
		got <- err
	}()
	select {
	case err := <-got:
		if err != nil {
			c.t.Fatal(err)
		}
		return true
	case <-time.After(d):
		c.late = got
		return false
	}
}

func TestFreezeStopsAndThawResumes(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	var procs []*proc
	for _, name := range []string{"one", "two"} {
		leaf, err := p.CreateLeaf(name)
		if err != nil {
			t.Fatal(err)
		}
		procs = append(procs, start(t, leaf, "echo").ready())
	}
	for _, c := range procs {
		if !c.answers(time.Minute) {
			t.Fatal("the helper does not answer")
		}
	}
	for range 3 { // the second time, the kernel holds its notification back
		if err := p.Freeze(t.Context()); err != nil {
			t.Fatal(err)
		}
		if frozen, err := p.Frozen(); err != nil || !frozen {
			t.Errorf("Frozen after Freeze = %v, %v; want true", frozen, err)
		}
		if frozen, err := p.Leaf("one").Frozen(); err != nil || !frozen {
			t.Errorf("Frozen of a leaf = %v, %v; want true", frozen, err)
		}
		if err := p.Freeze(t.Context()); err != nil {
			t.Errorf("Freeze twice: %v", err)
		}
		for _, c := range procs {
			if c.answers(20 * time.Millisecond) {
				t.Error("a frozen process answered")
			}
		}
		if err := p.Thaw(t.Context()); err != nil {
			t.Fatal(err)
		}
		if frozen, err := p.Frozen(); err != nil || frozen {
			t.Errorf("Frozen after Thaw = %v, %v; want false", frozen, err)
		}
		if err := p.Thaw(t.Context()); err != nil {
			t.Errorf("Thaw twice: %v", err)
		}
		for _, c := range procs {
			if err := <-c.late; err != nil {
				t.Errorf("a thawed process does not answer: %v", err)
			}
		}
	}
}

// Processes that fork all the time are frozen, too: none comes or goes then.
func TestFreezeStorm(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	storm := start(t, p, "storm").ready()
	for range 10 {
		if err := p.Freeze(t.Context()); err != nil {
			t.Fatal(err)
		}
		before, err := p.Procs()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond) // the time it would have to go on
		after, err := p.Procs()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(before, after) {
			t.Errorf("processes of a frozen cgroup: %v, then %v; want the same", before, after)
		}
		if err := p.Thaw(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	storm.killed()
}

func TestFreezeEmpty(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	if err := p.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	if frozen, err := p.Frozen(); err != nil || !frozen {
		t.Errorf("Frozen = %v, %v; want true", frozen, err)
	}
	if err := p.Thaw(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, p, "idle").ready()
}

func TestThawBelowFrozen(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	leaf, err := p.CreateLeaf("leaf")
	if err != nil {
		t.Fatal(err)
	}
	start(t, leaf, "idle").ready()
	if err := p.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := leaf.Thaw(t.Context()); !matches(err, fmt.Sprintf("cgroup %q above it is frozen", string(p))) {
		t.Errorf("Thaw below a frozen cgroup: %v; want that one named", err)
	}
	if err := p.Thaw(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFreezeGone(t *testing.T) {
	rung.Privileged(t)
	p := testParent(t).Leaf("none")
	for name, err := range map[string]error{"Freeze": p.Freeze(t.Context()), "Thaw": p.Thaw(t.Context()), "Frozen": second(p.Frozen())} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s of nothing: %v; want fs.ErrNotExist", name, err)
		}
	}
}

// A process in an uninterruptible sleep cannot be frozen.
func TestFreezeTimesOut(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	stuck := startStuck(t, p)
	other := start(t, p, "echo").ready()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := p.Freeze(ctx)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Freeze of a stuck process: %v; want DeadlineExceeded", err)
	}
	if want := fmt.Sprintf(`: not frozen: %d ("stat", state D`, stuck.pid()); !matches(err, want) {
		t.Errorf("Freeze = %v; want it to say %q", err, want)
	}
	if matches(err, fmt.Sprintf(" %d (", other.pid())) {
		t.Errorf("Freeze = %v; it names process %d, which was frozen", err, other.pid())
	}
	if frozen, err := p.Frozen(); err != nil || frozen {
		t.Errorf("Frozen after a Freeze that timed out = %v, %v; want false", frozen, err)
	}
	if b, err := os.ReadFile(string(p) + "/cgroup.freeze"); err != nil || string(b) != "0\n" {
		t.Errorf("cgroup.freeze after a Freeze that timed out = %q, %v; want 0", b, err)
	}
	if !other.answers(time.Minute) {
		t.Error("the pod was not thawed again")
	}
}

func TestFreezeCancelled(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	startStuck(t, p)
	why := errors.New("the user said so")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(10*time.Millisecond, func() { cancel(why) })
	if err := p.Freeze(ctx); !errors.Is(err, why) {
		t.Errorf("Freeze = %v; want the cause of its context", err)
	}
	// It ends with its context also when it comes too late.
	if err := p.Freeze(ctx); !errors.Is(err, why) {
		t.Errorf("Freeze = %v; want the cause of its context", err)
	}
}

// Who freezes a cgroup that another thaws meanwhile waits for nothing any more.
func TestFreezeThawedMeanwhile(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	startStuck(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	frozen := make(chan error, 1)
	go func() { frozen <- p.Freeze(ctx) }()
	for told := ""; told != "1\n" && ctx.Err() == nil; {
		b, err := os.ReadFile(string(p) + "/cgroup.freeze")
		if err != nil {
			t.Fatal(err)
		}
		told = string(b)
	}
	if err := p.Thaw(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-frozen; !matches(err, "another thawed it") {
		t.Errorf("Freeze of what is thawed again = %v; want it to say so", err)
	}
}

// needModule loads a kernel module where its device is missing. Natively, where
// that is not ours to do, the test is skipped then.
func needModule(t *testing.T, name, device string) {
	t.Helper()
	if _, err := os.Stat(device); err == nil {
		return
	}
	if rung.Current() != rung.VM {
		t.Skipf("no %s here", device)
	}
	if out, err := exec.Command("modprobe", name).CombinedOutput(); err != nil {
		t.Fatalf("modprobe %s: %v: %s", name, err, out)
	}
}

// startStuck starts a process in p that hangs in the kernel, in a FUSE file
// system whose server (the test) got its request and never answers.
func startStuck(t *testing.T, p Path) *proc {
	t.Helper()
	needModule(t, "fuse", "/dev/fuse")
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	opts := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)
	if err := unix.Mount("podrt-test", dir, "fuse", 0, opts); err != nil {
		unix.Close(fd)
		t.Fatalf("mount fuse: %v", err)
	}
	asked := make(chan struct{})
	served := make(chan struct{})
	go func() {
		defer close(served)
		serveNothing(fd, asked)
	}()
	c := startSh(t, p, "exec stat "+dir+"/x >/dev/null 2>&1")
	t.Cleanup(func() {
		// Aborts the connection: whoever waits gets ENOTCONN, the server ENODEV.
		if err := unix.Unmount(dir, unix.MNT_FORCE|unix.MNT_DETACH); err != nil {
			t.Errorf("unmount fuse: %v", err)
		}
		<-served
		unix.Close(fd)
	})
	<-asked
	return c
}

// serveNothing is a FUSE server that answers the first request, INIT, and takes
// note of the next.
func serveNothing(fd int, asked chan<- struct{}) {
	const fuseInit, fuseInterrupt = 26, 36
	buf := make([]byte, 1<<17)
	told := false
	for {
		n, err := unix.Read(fd, buf)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil || n < 40 {
			return // ENODEV: unmounted
		}
		opcode := le32(buf[4:])
		switch {
		case opcode == fuseInit:
			// struct fuse_out_header, struct fuse_init_out of protocol 7.23.
			out := make([]byte, 16+64)
			put32(out[0:], uint32(len(out)))
			copy(out[8:16], buf[8:16]) // unique
			put32(out[16:], 7)
			put32(out[20:], 31)
			put32(out[36:], 1<<16) // max_write
			_, _ = unix.Write(fd, out)
		case opcode == fuseInterrupt:
		case !told:
			told = true
			close(asked)
		}
	}
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func put32(b []byte, v uint32) {
	b[0], b[1], b[2], b[3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
}
