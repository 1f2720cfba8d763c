package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestTimerSlack: the timers of a container and of what is executed in it have
// the slack of who called podrt (prctl(2), by default 50 us), not the one that
// its init had for a while (nsenter/slack.c).
func TestTimerSlack(t *testing.T) {
	o := newOCI(t, "")
	read := []string{"cat", "/proc/self/timerslack_ns"}
	runtime.LockOSThread() // podrt inherits the thread's
	defer runtime.UnlockOSThread()
	was, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(was), 0, 0, 0) }()
	for _, slack := range []int{was, was + 20_000} {
		if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0); err != nil {
			t.Fatal(err)
		}
		o.configure(func(s *specs.Spec) { s.Process.Args = read })
		out := o.ok("run", "--bundle", o.bundle, "c1")
		o.configure(func(s *specs.Spec) { s.Process.Args = []string{"sleep", "1000"} })
		o.ok("run", "--bundle", o.bundle, "--detach", "c1")
		out += o.ok(slices.Concat([]string{"exec", "c1"}, read)...)
		o.ok("delete", "--force", "c1")
		want := strconv.Itoa(slack)
		if got := strings.Fields(out); !slices.Equal(got, []string{want, want}) {
			t.Errorf("timer slack of a container and of an exec in it, in ns: %q; the caller's is %s", got, want)
		}
	}
}

// TestTimerSlackOfInit: all threads of a container's init but the main one have
// more slack (nsenter/slack.c), which depends on how podrt is linked.
func TestTimerSlackOfInit(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	o.ok("create", "--bundle", o.bundle, "c1")
	defer o.ok("delete", "--force", "c1")
	pid := fmt.Sprint(o.state()["pid"])
	tasks, err := os.ReadDir("/proc/" + pid + "/task")
	if err != nil {
		t.Fatal(err)
	}
	if len(tasks) < 2 {
		t.Fatalf("the init has %d threads; want Go's", len(tasks))
	}
	for _, task := range tasks {
		slack, err := os.ReadFile(filepath.Join("/proc", task.Name(), "timerslack_ns"))
		if err != nil {
			t.Fatal(err)
		}
		more := strings.TrimSpace(string(slack)) == "10000000"
		if main := task.Name() == pid; more == main {
			t.Errorf("timer slack of thread %s of process %s, in ns: %s", task.Name(), pid, slack)
		}
	}
}
