package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/cgroups"
	"github.com/podrt/podrt/integration/bundle"
	"github.com/podrt/podrt/integration/rung"
)

// TestGracePeriod: what will move a process into a cgroup has the kernel wait
// for that from the start (nsenter/grace.c), by a write to its own cgroup that
// changes nothing; what will not does not.
func TestGracePeriod(t *testing.T) {
	rung.Privileged(t)
	w := &world{arena: newArena(t)}
	t.Cleanup(func() { w.removeAll(t) })
	sleep := w.bundle(t, bundle.Spec("/bin/sleep", "86400"))
	short := bundle.Spec("/bin/true")
	short.Linux.CgroupsPath = "/grace-true"
	exits := w.bundle(t, short)
	pod := w.newDir()
	if err := bundle.WritePod(pod, bundle.NewPod("p", nil), bundle.Container{Name: "c", Spec: bundle.Spec("/bin/sleep", "86400")}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   string
		writes bool
	}{
		{"create --bundle " + sleep + " grace", true},
		{"state grace", false},
		{"start grace", false},
		{"exec grace /bin/true", false}, // born there
		{"exec grace /bin/echo run", false},
		{"delete --force grace", false},
		{"run --bundle " + exits + " grace", true},
		{"--debug --log /dev/null run --bundle " + exits + " grace", true},
		{"run --help", false},
		{"pod create empty", false},
		{"pod rm empty", false},
		{"network create grace", false},
		{"network rm grace", false},
		{"pod run --detach " + pod, true},
		{"pod stop --time 0 p", false},
		{"pod start p", true},
		{"pod rm --force p", false},
	} {
		t.Run(c.args, func(t *testing.T) {
			written := watchOwnCgroup(t)
			w.ok(t, strings.Fields(c.args)...)
			if got := written(); got != c.writes {
				t.Errorf("podrt wrote to its own cgroup: %v; want %v", got, c.writes)
			}
		})
	}
}

// watchOwnCgroup tells, once called, whether something was written meanwhile to
// the cgroup.threads of this process's cgroup, without an error.
func watchOwnCgroup(t *testing.T) (written func() bool) {
	t.Helper()
	table, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	_, own, ok := strings.Cut("\n"+string(table), "\n0::")
	if !ok {
		t.Fatalf("/proc/self/cgroup has no cgroup of version 2: %q", table)
	}
	own, _, _ = strings.Cut(own, "\n")
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if _, err := unix.InotifyAddWatch(fd, filepath.Join("/sys/fs/cgroup", own, "cgroup.threads"), unix.IN_MODIFY); err != nil {
		t.Fatal(err)
	}
	return func() bool {
		n, _ := unix.Read(fd, make([]byte, 4096))
		return n > 0
	}
}

// TestGraceClosedStreams: a descriptor that the caller had closed is /dev/null in
// the container, and never the file that is written to. Which it is takes a race,
// so that nothing may be written at all.
func TestGraceClosedStreams(t *testing.T) {
	rung.Privileged(t)
	w := &world{arena: newArena(t)}
	t.Cleanup(func() { w.removeAll(t) })
	dir := w.bundle(t, bundle.Spec("/bin/sleep", "86400"))
	for fd, op := range []string{"<&-", ">&-", "2>&-"} {
		written := watchOwnCgroup(t)
		argv := append([]string{"/bin/sh", "-c", `exec "$@" ` + op, "sh"}, w.argv("run", "--detach", "--bundle", dir, "closed")...)
		if r := w.command(t, argv, nil); r.code != 0 {
			t.Fatalf("exit code %d: %v", r.code, r)
		}
		if written() {
			t.Errorf("with %s podrt wrote to its own cgroup", op)
		}
		var state specs.State
		if err := json.Unmarshal([]byte(w.ok(t, "state", "closed").stdout), &state); err != nil {
			t.Fatal(err)
		}
		got, err := os.Readlink("/proc/" + strconv.Itoa(state.Pid) + "/fd/" + strconv.Itoa(fd))
		w.ok(t, "delete", "--force", "closed")
		if err != nil || got != os.DevNull {
			t.Fatalf("descriptor %d, closed by the caller, is %q in the container, %v; want %s", fd, got, err, os.DevNull)
		}
	}
}

// TestGraceOutside: in a cgroup outside of the root of its cgroup namespace a
// process has a path that begins with "..". No file that is no cgroup's is opened.
func TestGraceOutside(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	victim, err := os.MkdirTemp("/tmp", "podrt-grace-") //nolint:usetesting // a path of two names
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(t, victim) })
	file := filepath.Join(victim, "cgroup.threads")
	write(t, file, "precious")
	const root = "/sys/fs/cgroup"
	inside, outside := root+"/grace-a/b/c", root+victim
	for _, dir := range []string{inside, outside} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, dir := range []cgroups.Path{root + "/grace-a", root + "/tmp"} {
			if err := dir.Remove(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	// The test moves it: within its namespace it may not be allowed to.
	script := `echo $$ >"$0/cgroup.procs" && exec unshare --cgroup /bin/sh -c 'echo $$; read -r _; cat /proc/self/cgroup >&2; exec "$0" "$@"' "$@"`
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, inside}, a.argv("run", "--bundle", "/nope", "x")...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid, err := bufio.NewReader(stdout).ReadString('\n')
	if err == nil {
		err = os.WriteFile(outside+"/cgroup.procs", []byte(pid), 0)
	}
	_, werr := io.WriteString(stdin, "\n")
	_ = cmd.Wait()
	if err := errors.Join(err, werr); err != nil {
		t.Fatal(err, stderr.String())
	}
	if got := stderr.String(); !strings.Contains(got, "0::/../../../tmp/") || !strings.Contains(got, "/nope") {
		t.Fatalf("podrt was not in a cgroup outside of the root: %s", got)
	}
	if got := readFile(t, file); got != "precious" {
		t.Errorf("the file %s holds %q", file, got)
	}
}
