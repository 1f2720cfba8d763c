package integration

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// refusal is a podrt command that must fail: with this exit code, with all of
// these words in its message, and with nothing changed.
type refusal struct {
	name   string
	args   []string
	code   int
	words  []string
	before func(t *testing.T)  // what makes it bad
	change func(cmd *exec.Cmd) // how it is run
}

// refuse runs each in a subtest.
func (a *arena) refuse(t *testing.T, refusals []refusal) {
	t.Helper()
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			if r.before != nil {
				r.before(t)
			}
			a.refuseOne(t, &r)
		})
	}
}

func (a *arena) refuseOne(t *testing.T, want *refusal) {
	t.Helper()
	unchanged := a.remember(t)
	r := a.command(t, a.argv(want.args...), want.change)
	if r.code != want.code {
		t.Errorf("exit code %d; want %d: %v", r.code, want.code, r)
	}
	msg := messages(r)
	for _, w := range want.words {
		if !strings.Contains(msg, w) {
			t.Errorf("message %q; want %q in it", msg, w)
		}
	}
	unchanged()
}

// remember returns a function that fails the test if the roots, or what the
// kernel has, are not as they are now.
func (a *arena) remember(t *testing.T) (unchanged func()) {
	t.Helper()
	awaitIdle(t)
	files := strings.Join(a.left(), "\n")
	before, err := rung.Take()
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if now := strings.Join(a.left(), "\n"); now != files {
			t.Errorf("files in the roots, before:\n%s\nafter:\n%s", files, now)
		}
		if left := before.Settle(settleLimit); left != "" {
			t.Errorf("changed (- gone, + left):\n%s", left)
		}
	}
}

// awaitIdle returns when nothing is on its way out: no dead process waits for
// PID 1, and no monitor has done its work but not ended yet.
func awaitIdle(t *testing.T) {
	t.Helper()
	eventually(t, "nothing is on its way out", func() bool {
		dirs, _ := filepath.Glob("/proc/[0-9]*")
		for _, dir := range dirs {
			if exiting(dir) || idleMonitor(dir) {
				return false
			}
		}
		return true
	})
}

// exiting reports whether a process has begun to end, or has ended and not been
// waited for (PF_EXITING in the flags of proc_pid_stat(5)).
func exiting(dir string) bool {
	const pfExiting = 0x4
	stat, _ := os.ReadFile(dir + "/stat")
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(f) < 7 {
		return false
	}
	flags, err := strconv.ParseUint(f[6], 10, 64)
	return err == nil && flags&pfExiting != 0
}

// idleMonitor reports whether a process is a pod's monitor without children.
func idleMonitor(dir string) bool {
	args, _ := os.ReadFile(dir + "/cmdline")
	if !strings.Contains(string(args), "\x00pod\x00monitor\x00") {
		return false
	}
	kids, err := filepath.Glob(dir + "/task/*/children")
	for _, path := range kids {
		if b, err := os.ReadFile(path); err != nil || len(b) > 0 {
			return false
		}
	}
	return err == nil
}

// messages are the lines of standard error, without the quotes of log lines.
func messages(r *result) string {
	var b strings.Builder
	for line := range strings.Lines(r.stderr) {
		_, quoted, _ := strings.Cut(line, "msg=")
		if quoted, err := strconv.QuotedPrefix(quoted); err == nil {
			if msg, err := strconv.Unquote(quoted); err == nil {
				line = msg + "\n"
			}
		}
		b.WriteString(line)
	}
	return b.String()
}

// makeRoots makes the roots, and the run root's mount, which stay.
func (a *arena) makeRoots(t *testing.T) {
	t.Helper()
	a.ok(t, "pod", "create", "first")
	a.ok(t, "pod", "rm", "first")
}
