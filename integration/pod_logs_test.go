package integration

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPodLogs: what containers wrote in the background.
func TestPodLogs(t *testing.T) {
	w := newWorld(t)
	dir := w.scripts(t, nil, "a", "echo a1; echo a2 >&2; printf a3", "longer", "echo b1; echo b2")
	w.start(t, dir)
	w.ok(t, "pod", "wait", "p")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "a      | a1\na      | a2\na      | a3\nlonger | b1\nlonger | b2\n"},
		{[]string{"a"}, "a1\na2\na3"},
		{[]string{"longer", "a"}, "longer | b1\nlonger | b2\na      | a1\na      | a2\na      | a3\n"},
		{[]string{"--tail", "1"}, "a      | a3\nlonger | b2\n"},
		{[]string{"-n", "2", "a"}, "a2\na3"},
		{[]string{"--tail", "0", "a"}, ""},
		{[]string{"--tail=-1", "a"}, "a1\na2\na3"},
		{[]string{"--follow", "a"}, "a1\na2\na3"}, // nobody waits for more
	} {
		if got := w.ok(t, append([]string{"pod", "logs", "p"}, tt.args...)...).stdout; got != tt.want {
			t.Errorf("pod logs p %q: %q; want %q", tt.args, got, tt.want)
		}
	}
	got := sortedLines(w.ok(t, "pod", "logs", "-f", "p").stdout)
	if want := []string{"a      | a1", "a      | a2", "a      | a3", "longer | b1", "longer | b2"}; !slices.Equal(got, want) {
		t.Errorf("pod logs -f of all: %q; want %q", got, want)
	}
	w.ok(t, "pod", "start", "p")
	w.ok(t, "pod", "wait", "p")
	if got, want := w.ok(t, "pod", "logs", "p", "longer").stdout, "b1\nb2\nb1\nb2\n"; got != want {
		t.Errorf("after another run %q; want %q", got, want)
	}

	w.fails(t, 1, []string{`"c"`, `pod "p"`}, "pod", "logs", "p", "c")
	w.fails(t, 1, []string{`"a"`, "twice"}, "pod", "logs", "p", "a", "longer", "a")
	w.fails(t, 1, []string{`"q"`, "does not exist"}, "pod", "logs", "q")
	w.fails(t, 1, []string{"-2", "number of lines"}, "pod", "logs", "--tail=-2", "p")
	w.create(t, "empty")
	w.fails(t, 1, []string{`pod "empty"`, "no container"}, "pod", "logs", "empty")
	w.podrt(t, "pod", "run", "--keep", "--name", "fore", w.scripts(t, nil, "a", "echo out"))
	w.fails(t, 1, []string{`container "a"`, `pod "fore"`, "background"}, "pod", "logs", "fore")
}

// buffer is what a command has written so far.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// TestPodLogsFollow: what is written comes as it is written, until the pod has
// ended, is removed, or nobody reads it.
func TestPodLogsFollow(t *testing.T) {
	w := newWorld(t)
	follow := func(t *testing.T, args ...string) (*exec.Cmd, *buffer) {
		t.Helper()
		argv := w.argv(append([]string{"pod", "logs", "-f"}, args...)...)
		cmd := exec.Command(argv[0], argv[1:]...)
		out := &buffer{}
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		return cmd, out
	}
	sees := func(t *testing.T, out *buffer, want string) {
		t.Helper()
		eventually(t, "output "+want, func() bool { return strings.HasSuffix(out.String(), want) })
	}
	const waits = `echo begin; for n in 1 2 3; do until [ -e /dev/shm/$0$n ]; do sleep 0.02; done; echo $0$n; done`
	touch := func(t *testing.T, uid, name string) {
		t.Helper()
		write(t, filepath.Join(w.run, "pods", uid, "shm", name), "")
	}

	uid := w.start(t, w.scripts(t, nil, "a", "set -- a; "+strings.ReplaceAll(waits, "$0", "a"), "b", strings.ReplaceAll(waits, "$0", "b")))
	one, a := follow(t, "p", "a")
	all, both := follow(t, "p")
	sees(t, a, "begin\n")
	eventually(t, "both begin", func() bool { return strings.Count(both.String(), "begin\n") == 2 })
	touch(t, uid, "b1")
	sees(t, both, "b | b1\n")
	touch(t, uid, "a1")
	sees(t, a, "a1\n")
	sees(t, both, "a | a1\n")
	// As log rotation does that keeps the file.
	if err := os.Truncate(filepath.Join(w.log, uid, "a.log"), 0); err != nil {
		t.Fatal(err)
	}
	touch(t, uid, "a2")
	sees(t, a, "a1\na2\n")
	for _, name := range []string{"b2", "b3", "a3"} {
		touch(t, uid, name)
	}
	for _, cmd := range []*exec.Cmd{one, all} {
		if err := cmd.Wait(); err != nil {
			t.Errorf("pod logs -f of a pod that has ended: %v", err)
		}
	}
	if got := a.String(); got != "begin\na1\na2\na3\n" {
		t.Errorf("followed to the end: %q", got)
	}
	w.ok(t, "pod", "rm", "p")

	uid = w.start(t, w.scripts(t, restarting("Always", 1000), "a", "echo up; exec sleep 1000"))
	one, a = follow(t, "p", "a")
	sees(t, a, "up\n")
	w.ok(t, "kill", uid+".a", "KILL")
	sees(t, a, "up\nup\n") // its next run too
	w.ok(t, "pod", "rm", "-f", "p")
	if err := one.Wait(); err != nil {
		t.Errorf("pod logs -f of a pod that was removed: %v", err)
	}

	w.start(t, w.scripts(t, nil, "a", "while :; do echo y; done", "b", "while :; do echo y; done"))
	r, wr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	argv := w.argv("pod", "logs", "-f", "p")
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout = wr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wr.Close()
	if _, err := r.Read(make([]byte, 10)); err != nil {
		t.Error(err)
	}
	r.Close()
	_ = cmd.Wait() // returns
	if err := unix.Kill(cmd.Process.Pid, 0); err == nil {
		t.Error("pod logs -f goes on though nobody reads it")
	}
	w.ok(t, "pod", "rm", "-f", "p")
}
