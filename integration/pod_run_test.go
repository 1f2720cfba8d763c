package integration

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
)

// scripts is a pod bundle of shell scripts: name, text, name, text…
func (w *world) scripts(t *testing.T, members bundle.Pod, nameAndText ...string) string {
	t.Helper()
	var all []bundle.Container
	for pair := range slices.Chunk(nameAndText, 2) {
		all = append(all, bundle.Container{Name: pair[0], Spec: bundle.Spec("sh", "-c", pair[1])})
	}
	return w.podOf(t, members, all...)
}

// TestPodRun: output behind the containers' names, the status of the first
// that failed, and nothing left.
func TestPodRun(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name    string
		scripts []string
		code    int
		stdout  []string // sorted
		stderr  []string // sorted
	}{
		{
			"success",
			[]string{"a", "echo one; echo two >&2", "longer", "printf 'no end'"},
			0,
			[]string{"a      | one", "longer | no end"},
			[]string{"a      | two"},
		},
		{
			"first failure in the order of pod.json",
			[]string{"a", "exit 0", "b", "while [ ! -e /dev/shm/c ]; do sleep 0.01; done; exit 7", "c", "echo > /dev/shm/c; exit 8"},
			7,
			nil,
			[]string{`container "b" exited with status 7`, `container "c" exited with status 8`},
		},
		{
			"signal",
			// Of a child: the shell is PID 1, whom its own signals do not touch.
			[]string{"a", "sh -c 'kill -SEGV $$'; exit $?"},
			139,
			nil,
			[]string{"a | Segmentation fault", `container "a" exited with status 139`},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.podrt(t, "pod", "run", w.scripts(t, nil, c.scripts...))
			if r.code != c.code {
				t.Errorf("exit code %d; want %d: %v", r.code, c.code, r)
			}
			if got := sortedLines(r.stdout); !slices.Equal(got, c.stdout) {
				t.Errorf("stdout %q; want %q", got, c.stdout)
			}
			if got := sortedLines(r.stderr); !slices.Equal(got, c.stderr) {
				t.Errorf("stderr %q; want %q", got, c.stderr)
			}
			if left := w.left(); len(left) > 0 {
				t.Errorf("after the pod there is %q", left)
			}
		})
	}

	t.Run("keep", func(t *testing.T) {
		w.fails(t, 3, []string{`container "a" exited with status 3`}, "pod", "run", "--keep", "--name", "kept", "--uid", "uid-1", w.scripts(t, nil, "a", "exit 3"))
		info := w.inspect(t, "kept")
		if info.UID != "uid-1" || info.Phase != "Failed" {
			t.Errorf("inspect: UID %s, phase %s; want uid-1, Failed", info.UID, info.Phase)
		}
		info.container(t, "a").wantExit(t, 3, "exit", "")
	})
}

func sortedLines(s string) []string {
	if s == "" {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	slices.Sort(lines)
	return lines
}

// TestPodRunCannot: a container that cannot be run takes the others with it; the
// message names it and what is wrong.
func TestPodRunCannot(t *testing.T) {
	w := newWorld(t)
	good := func() bundle.Container { return bundle.Container{Name: "good", Spec: bundle.Spec("sleep", "1000")} }
	bad := func(args ...string) bundle.Container {
		return bundle.Container{Name: "bad", Spec: bundle.Spec(args...)}
	}
	for _, c := range []struct {
		name  string
		flags []string
		bad   bundle.Container
		code  int
		words []string
	}{
		{"not found", nil, bad("nonesuch"), 127, []string{`"bad"`, `"nonesuch"`, "executable file not found in $PATH"}},
		{"no such file", []string{"--detach"}, bad("/bin/nonesuch"), 127, []string{`"bad"`, `"/bin/nonesuch"`, "no such file or directory"}},
		{"not executable", []string{"--detach"}, bad("/etc/passwd"), 126, []string{`"bad"`, `"/etc/passwd"`, "permission denied"}},
		{"a directory", nil, bad("/etc"), 126, []string{`"bad"`, `"/etc"`, "is a directory"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.fails(t, c.code, c.words, append(append([]string{"pod", "run"}, c.flags...), w.podOf(t, nil, good(), c.bad))...)
			if left := w.left(); len(left) > 0 {
				t.Errorf("after the pod there is %q", left)
			}
		})
	}
	t.Run("no rootfs", func(t *testing.T) {
		dir := w.podOf(t, nil, good(), bad("true"))
		if err := os.RemoveAll(filepath.Join(dir, "containers/bad/rootfs")); err != nil {
			t.Fatal(err)
		}
		w.fails(t, 125, []string{`containers/bad" does not exist`, `"rootfs"`}, "pod", "run", dir)
	})
	w.fails(t, 125, []string{"/nonesuch", "no such file or directory"}, "pod", "run", "/nonesuch")
}

// foreground is a pod run in the foreground, as a person has it.
type foreground struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func (w *world) foreground(t *testing.T, dir string) *foreground {
	t.Helper()
	argv := w.argv("pod", "run", dir)
	f := &foreground{cmd: exec.Command(argv[0], argv[1:]...)}
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	f.cmd.Stderr = t.Output()
	f.lines = bufio.NewScanner(out)
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Whatever becomes of the test, its process ends.
	limit := time.AfterFunc(commandLimit, func() { _ = f.cmd.Process.Kill() })
	t.Cleanup(func() { limit.Stop() })
	return f
}

// await reads until each of the lines has come.
func (f *foreground) await(t *testing.T, want ...string) {
	t.Helper()
	for len(want) > 0 && f.lines.Scan() {
		want = slices.DeleteFunc(want, func(line string) bool { return line == f.lines.Text() })
	}
	if len(want) > 0 {
		t.Fatalf("output ended; want %q", want)
	}
}

// end reads the rest and returns the exit code and how long it took.
func (f *foreground) end(t *testing.T) (code int, took time.Duration) {
	t.Helper()
	began := time.Now()
	for f.lines.Scan() {
	}
	_ = f.cmd.Wait()
	return f.cmd.ProcessState.ExitCode(), time.Since(began)
}

// TestPodRunInterrupt: an interrupt is a stop with grace, the second one ends
// it at once. An interrupt of a terminal goes to podrt alone: its containers
// are in sessions of their own.
func TestPodRunInterrupt(t *testing.T) {
	w := newWorld(t)
	t.Run("stop", func(t *testing.T) {
		f := w.foreground(t, w.podOf(t, nil,
			bundle.Container{Name: "a", Spec: bundle.Spec("/probe", "trap")}, bundle.Container{Name: "b", Spec: bundle.Spec("/probe", "trap")}))
		f.await(t, "a | ready", "b | ready")
		if err := f.cmd.Process.Signal(unix.SIGINT); err != nil {
			t.Fatal(err)
		}
		f.await(t, "a | SIGTERM", "b | SIGTERM")
		if code, _ := f.end(t); code != 0 {
			t.Errorf("exit code %d; want 0: both ended by themselves", code)
		}
		if left := w.left(); len(left) > 0 {
			t.Errorf("after the pod there is %q", left)
		}
	})
	t.Run("grace", func(t *testing.T) {
		f := w.foreground(t, w.podOf(t, bundle.Pod{"terminationGracePeriodSeconds": 1}, bundle.Container{Name: "a", Spec: bundle.Spec("/probe", "ignore-term")}))
		f.await(t, "a | ready")
		if err := f.cmd.Process.Signal(unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code, took := f.end(t); code != 137 || took < time.Second {
			t.Errorf("exit code %d after %v; want 137 after the second of grace", code, took)
		}
	})
	t.Run("twice", func(t *testing.T) {
		f := w.foreground(t, w.podOf(t, bundle.Pod{"terminationGracePeriodSeconds": 600},
			bundle.Container{Name: "a", Spec: bundle.Spec("/probe", "ignore-term")}, bundle.Container{Name: "b", Spec: bundle.Spec("/probe", "trap")}))
		f.await(t, "a | ready", "b | ready")
		if err := f.cmd.Process.Signal(unix.SIGINT); err != nil {
			t.Fatal(err)
		}
		f.await(t, "b | SIGTERM") // the first one has been taken
		if err := f.cmd.Process.Signal(unix.SIGINT); err != nil {
			t.Fatal(err)
		}
		if code, _ := f.end(t); code != 137 {
			t.Errorf("exit code %d; want 137", code)
		}
		if left := w.left(); len(left) > 0 {
			t.Errorf("after the pod there is %q", left)
		}
	})
}
