package engines

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
	"github.com/podrt/podrt/integration/rung"
)

// lab is where an engine runs: a directory for all of its state, and a runtime.
type lab struct {
	// dir is on a tmpfs, and short: podman takes at most 50 characters for its
	// runroot, and a unix socket's path has at most 107.
	dir     string
	runtime ociRuntime
	// env is for all commands, after the test's own environment.
	env []string
	// runtimeOptions are more lines for the last table of containerd.toml, that
	// of the runtime's options.
	runtimeOptions string
}

// newLab makes the directory, and removes it when the engine's tests end, after
// what setUp cleans up. Then nothing may be mounted below it.
func newLab(x *try, r ociRuntime) *lab {
	dir, err := os.MkdirTemp("", "e")
	x.must(err)
	l := &lab{dir: dir, runtime: r}
	x.Cleanup(func(t *testing.T) {
		l.settle(t)
		left, err := mountsBelow(dir)
		if err != nil || len(left) > 0 {
			t.Errorf("mounts below %s at the end: %q, %v; want none", dir, left, err)
		}
		for _, m := range slices.Backward(left) {
			_ = unix.Unmount(m, unix.MNT_DETACH)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	// Users of other namespaces walk through.
	x.must(os.Chmod(dir, 0o711))
	// No configuration of root's own reaches the engines.
	l.env = []string{"HOME=" + dir, "XDG_RUNTIME_DIR="}
	return l
}

// settle waits for the end of the processes that name the lab in their command
// line: a container's monitor cleans up when its container is removed.
func (l *lab) settle(t *testing.T) {
	var left []string
	faults := attempt(t, func(x *try) {
		x.eventually("the end of the processes of "+l.dir, func() bool {
			files, err := filepath.Glob("/proc/[0-9]*/cmdline")
			x.must(err)
			left = nil
			for _, f := range files {
				if b, err := os.ReadFile(f); err == nil && bytes.Contains(b, []byte(l.dir)) {
					left = append(left, string(bytes.ReplaceAll(b, []byte{0}, []byte{' '})))
				}
			}
			return len(left) == 0
		})
	})
	if len(faults) > 0 {
		t.Errorf("%s: %q", faults, left)
	}
}

// mountsBelow lists the mount points below dir, in the order of their making.
func mountsBelow(dir string) ([]string, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var points []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			points = append(points, f[4])
		}
	}
	return points, nil
}

// path is a path below the lab's directory.
func (l *lab) path(elem ...string) string {
	return filepath.Join(append([]string{l.dir}, elem...)...)
}

// write makes the file name in the lab and returns its path.
func (l *lab) write(x *try, name, text string) string {
	path := l.path(name)
	x.must(os.MkdirAll(filepath.Dir(path), 0o755))
	x.must(os.WriteFile(path, []byte(text), 0o644))
	return path
}

// imagePath is what the images made of [imageTar] need as their environment.
const imagePath = "PATH=/bin"

// imageTar is the root of an image: busybox and the probe, see
// [bundle.Root]. Engines import it.
var imageTar = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "image")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := bundle.Root(dir); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := errors.Join(w.AddFS(os.DirFS(dir)), w.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
})

// command is a program to run in a lab.
type command struct {
	args  []string
	stdin []byte // none: /dev/null
	env   []string
}

// result is how a command ended.
type result struct {
	args        []string
	out, stderr string // without space at their ends
	code        int    // -1: by a signal
}

func (r result) String() string {
	return fmt.Sprintf("%q: exit code %d\nstdout: %s\nstderr: %s", r.args, r.code, r.out, r.stderr)
}

// commandLimit is how long a command may take: it ends those that hang.
func commandLimit() time.Duration {
	if rung.Current() == rung.VM {
		return 4 * time.Minute
	}
	return time.Minute
}

// try runs a command, whose exit code may be anything. If it takes too long it
// is killed, with its children, and that ends the operation.
func (l *lab) try(x *try, c command) result {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit())
	defer cancel()
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Dir = l.dir
	cmd.Env = append(append(os.Environ(), l.env...), c.env...)
	if c.stdin != nil {
		cmd.Stdin = bytes.NewReader(c.stdin)
	}
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	// What an engine leaves in the background may hold the pipes.
	cmd.WaitDelay = 5 * time.Second
	start := time.Now()
	err := cmd.Run()
	r := result{args: c.args, out: strings.TrimSpace(out.String()), stderr: strings.TrimSpace(stderr.String()), code: -1}
	if cmd.ProcessState != nil {
		r.code = cmd.ProcessState.ExitCode()
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		x.Fatalf("killed after %s: %s", commandLimit(), r)
	case err != nil && !errors.As(err, &exit):
		x.Fatalf("%v: %s", err, r)
	}
	x.Logf("%.2fs %q: %d", time.Since(start).Seconds(), c.args, r.code)
	return r
}

// do runs a command that must succeed, and returns what it prints.
func (l *lab) do(x *try, args ...string) string {
	r := l.try(x, command{args: args})
	if r.code != 0 {
		x.Fatalf("%s", r)
	}
	return r.out
}

// atEnd runs a command when the operation is over; the test fails if it fails.
func (l *lab) atEnd(x *try, args ...string) {
	x.Cleanup(func(t *testing.T) {
		for _, fault := range attempt(t, func(x *try) { l.do(x, args...) }) {
			t.Errorf("clean up: %s", fault)
		}
	})
}
