package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/integration/rung"
)

// ociRuntime is podrt, called as engines call an OCI runtime, with a state root
// and a bundle of the test's own.
type ociRuntime struct {
	t      *testing.T
	bin    string
	root   string
	bundle string
	log    string
	env    []string
	global []string // further flags before the verb
}

// ociResult is what one call came to.
type ociResult struct {
	stdout, stderr string
	code           int
	log            string // what the call added to the log
}

// newOCI makes a bundle that runs the shell script in a root file system with
// nothing but busybox. The test ends as a failure if anything is left in the
// state root.
func newOCI(t *testing.T, script string) *ociRuntime {
	t.Helper()
	rung.Privileged(t)
	bin := os.Getenv(binEnv)
	if bin == "" {
		t.Fatalf("%s is empty", binEnv)
	}
	dir := t.TempDir()
	o := &ociRuntime{t: t, bin: bin, root: filepath.Join(dir, "state"), bundle: filepath.Join(dir, "bundle"), log: filepath.Join(dir, "log.json")}
	busyboxRoot(t, filepath.Join(o.bundle, "rootfs"))
	o.ok("spec", "--bundle", o.bundle)
	o.configure(func(s *specs.Spec) {
		s.Process.Terminal = false
		s.Process.Args = []string{"sh", "-c", script}
	})
	t.Cleanup(func() {
		entries, err := os.ReadDir(o.root)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		for _, e := range entries {
			t.Errorf("state of container %q is left", e.Name())
			_ = o.command("delete", "--force", e.Name()).Run()
		}
		if err != nil {
			t.Error(err)
		}
	})
	return o
}

// busyboxRoot makes a root file system of a static busybox and its applets.
func busyboxRoot(t *testing.T, root string) {
	t.Helper()
	bin := filepath.Join(root, "bin")
	for _, dir := range []string{bin, filepath.Join(root, "etc"), filepath.Join(root, "tmp")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "busybox"), busybox, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, applet := range []string{"cat", "echo", "env", "false", "id", "kill", "ls", "ps", "pwd", "readlink", "sed", "seq", "sh", "sleep", "stty", "test", "true", "tty", "yes"} {
		if err := os.Symlink("busybox", filepath.Join(bin, applet)); err != nil {
			t.Fatal(err)
		}
	}
}

// configure changes config.json.
func (o *ociRuntime) configure(change func(*specs.Spec)) {
	o.t.Helper()
	path := filepath.Join(o.bundle, "config.json")
	b, err := os.ReadFile(path)
	if err != nil {
		o.t.Fatal(err)
	}
	var s specs.Spec
	if err := json.Unmarshal(b, &s); err != nil {
		o.t.Fatal(err)
	}
	change(&s)
	if b, err = json.Marshal(&s); err != nil {
		o.t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		o.t.Fatal(err)
	}
}

// reachable lets other users than root walk to the bundle.
func (o *ociRuntime) reachable() {
	o.t.Helper()
	for dir := o.bundle; dir != "/"; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			o.t.Fatal(err)
		}
		if info.Mode().Perm()&0o001 == 0 {
			if err := os.Chmod(dir, info.Mode().Perm()|0o011); err != nil {
				o.t.Fatal(err)
			}
		}
	}
}

func withoutNamespace(s *specs.Spec, typ specs.LinuxNamespaceType) {
	var kept []specs.LinuxNamespace
	for _, ns := range s.Linux.Namespaces {
		if ns.Type != typ {
			kept = append(kept, ns)
		}
	}
	s.Linux.Namespaces = kept
}

func (o *ociRuntime) command(args ...string) *exec.Cmd {
	args = append(slices.Clone(o.global), args...)
	cmd := exec.Command(o.bin, append([]string{"--root", o.root, "--log", o.log, "--log-format", "json"}, args...)...)
	cmd.Dir = o.bundle
	cmd.Env = append(os.Environ(), o.env...)
	return cmd
}

// call runs one command to its end. Output goes to files: a detached container
// keeps them open.
func (o *ociRuntime) call(args ...string) ociResult {
	o.t.Helper()
	return o.finish(o.command(args...))
}

func (o *ociRuntime) finish(cmd *exec.Cmd) ociResult {
	o.t.Helper()
	before, _ := os.ReadFile(o.log)
	dir := o.t.TempDir()
	files := [2]*os.File{}
	for i, name := range []string{"stdout", "stderr"} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			o.t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	cmd.Stdout, cmd.Stderr = files[0], files[1]
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		o.t.Fatalf("%q: %v", cmd.Args, err)
	}
	r := ociResult{code: cmd.ProcessState.ExitCode()}
	for i, to := range []*string{&r.stdout, &r.stderr} {
		b, err := os.ReadFile(files[i].Name())
		if err != nil {
			o.t.Fatal(err)
		}
		*to = string(b)
	}
	after, _ := os.ReadFile(o.log)
	r.log = string(bytes.TrimPrefix(after, before))
	return r
}

// ok runs a command that must succeed and says nothing but its output.
func (o *ociRuntime) ok(args ...string) string {
	o.t.Helper()
	r := o.call(args...)
	if r.code != 0 || r.stderr != "" || r.log != "" {
		o.t.Fatalf("podrt %q: exit code %d, standard error %q, log %q; want 0 and nothing", args, r.code, r.stderr, r.log)
	}
	return r.stdout
}

// fails runs a command that must fail with the message: in the log as the one
// line, and on standard error.
func (o *ociRuntime) fails(code int, message string, args ...string) {
	o.t.Helper()
	r := o.call(args...)
	if r.code != code {
		o.t.Errorf("podrt %q: exit code %d; want %d", args, r.code, code)
	}
	var line struct{ Level, Msg, Time string }
	if err := json.Unmarshal([]byte(r.log), &line); err != nil {
		o.t.Errorf("podrt %q: log %q is not one JSON object: %v", args, r.log, err)
	}
	if line.Level != "error" || line.Msg != message {
		o.t.Errorf("podrt %q: log says %s: %s; want error: %s", args, line.Level, line.Msg, message)
	}
	if _, err := time.Parse(time.RFC3339, line.Time); err != nil {
		o.t.Errorf("podrt %q: %v", args, err)
	}
	if r.stderr != message+"\n" {
		o.t.Errorf("podrt %q: standard error %q; want %q", args, r.stderr, message+"\n")
	}
}

// state is what podrt says of the container c1.
func (o *ociRuntime) state() map[string]any {
	o.t.Helper()
	var s map[string]any
	if err := json.Unmarshal([]byte(o.ok("state", "c1")), &s); err != nil {
		o.t.Fatal(err)
	}
	return s
}

// eventually looks until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	// CRIU in a VM that shares its CPU with another takes more than ten seconds.
	for deadline := time.Now().Add(time.Minute); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// awaitStatus waits until the container c1 has that status.
func (o *ociRuntime) awaitStatus(status string) {
	o.t.Helper()
	eventually(o.t, "c1 "+status, func() bool { return o.state()["status"] == status })
}

func (o *ociRuntime) readFile(name string) string {
	o.t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		o.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}
