package integration

import (
	"os/exec"
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
	files := strings.Join(a.left(), "\n")
	before, err := rung.Take()
	if err != nil {
		t.Fatal(err)
	}
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
	if now := strings.Join(a.left(), "\n"); now != files {
		t.Errorf("files in the roots, before:\n%s\nafter:\n%s", files, now)
	}
	if left := before.Settle(settleLimit); left != "" {
		t.Errorf("changed (- gone, + left):\n%s", left)
	}
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
