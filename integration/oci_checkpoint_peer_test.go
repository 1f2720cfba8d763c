package integration

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containerd/console"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// saveWithBoth has podrt and the runc of its libcontainer save and restore a
// container that runs the script. What works with one has to with the other.
func saveWithBoth(t *testing.T, script string, do func(t *testing.T, o *ociRuntime)) {
	for _, r := range []struct{ name, env string }{{"podrt", binEnv}, {"runc", peerEnv}} {
		t.Run(r.name, func(t *testing.T) {
			o := newSaved(t, script)
			if o.bin = os.Getenv(r.env); r.env == peerEnv {
				keepOptions(t)
			}
			do(t, o)
		})
	}
}

// keepOptions puts those of the cgroup2 hierarchy back at the test's end, which
// CRIU changes and runc leaves changed.
func keepOptions(t *testing.T) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if _, fs, ok := strings.Cut(strings.TrimSpace(line), " - cgroup2 "); ok {
			options := fs[strings.LastIndexByte(fs, ' ')+1:]
			t.Cleanup(func() {
				if out, err := exec.Command("mount", "-o", "remount,"+options, "/sys/fs/cgroup").CombinedOutput(); err != nil {
					t.Errorf("remount cgroup2: %v: %s", err, out)
				}
			})
			return
		}
	}
}

// saveFails is a checkpoint that CRIU refuses; the container goes on.
func (o *ociRuntime) saveFails(args ...string) {
	o.t.Helper()
	r := o.call(append(args, "c1")...)
	if r.code != 1 || !strings.Contains(r.stderr, "criu failed: type DUMP") {
		o.t.Errorf("%q = %+v; want exit code 1 and CRIU's failure", args, r)
	}
	if s := o.state(); s["status"] != "running" {
		o.t.Errorf("after a checkpoint that failed: %v; want it to run", s)
	}
}

// consoleSocket receives terminals.
type consoleSocket struct {
	t    *testing.T
	path string
	l    *net.UnixListener
}

func newConsoleSocket(t *testing.T) *consoleSocket {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "console") //nolint:usetesting // a path that is short enough (unix(7))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &consoleSocket{t, path, l}
}

// take returns the terminal's master that was sent, with what is seen on it.
func (c *consoleSocket) take() (*os.File, *transcript) {
	c.t.Helper()
	if err := c.l.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		c.t.Fatal(err)
	}
	conn, err := c.l.AcceptUnix()
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	buf, oob := make([]byte, 4096), make([]byte, 100)
	_, oobn, _, _, err := conn.ReadMsgUnix(buf, oob)
	if err != nil {
		c.t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		c.t.Fatalf("%d control messages, %v; want 1", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		c.t.Fatalf("%d descriptors, %v; want 1", len(fds), err)
	}
	master := os.NewFile(uintptr(fds[0]), "master")
	c.t.Cleanup(func() { master.Close() })
	return master, watch(master)
}

// watch collects what comes out of a terminal.
func watch(master io.Reader) *transcript {
	var seen transcript
	go func() { _, _ = io.Copy(&seen, master) }()
	return &seen
}

// talk types a line that the container's loop answers.
func talk(t *testing.T, master io.Writer, seen *transcript, line string) {
	t.Helper()
	if _, err := io.WriteString(master, line+"\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, fmt.Sprintf("the answer to %q", line), func() bool { return strings.Contains(seen.String(), "got "+line) })
}

const answering = `while read line; do echo "got $line"; done`

// A container's own terminal: the master goes to the console socket again.
func TestOCIRestoreConsoleSocket(t *testing.T) {
	saveWithBoth(t, answering, func(t *testing.T, o *ociRuntime) {
		o.configure(func(s *specs.Spec) { s.Process.Terminal = true })
		socket := newConsoleSocket(t)
		o.ok("run", "-d", "--console-socket", socket.path, "c1")
		master, seen := socket.take()
		talk(t, master, seen, "one")
		for _, line := range []string{"two", "three"} {
			o.criu("checkpoint", "c1")
			o.criu("restore", "-d", "--console-socket", socket.path, "c1")
			master, seen = socket.take()
			talk(t, master, seen, line)
		}
		o.ok("delete", "--force", "c1")
	})
}

// The same with the runtime staying on a terminal of its caller's, as a shell's
// job and not.
func TestOCIRestoreTerminal(t *testing.T) {
	saveWithBoth(t, answering, func(t *testing.T, o *ociRuntime) {
		o.configure(func(s *specs.Spec) { s.Process.Terminal = true })
		socket := newConsoleSocket(t)
		for i, job := range [][]string{nil, {"--shell-job"}} {
			o.ok("run", "-d", "--console-socket", socket.path, "c1")
			master, seen := socket.take()
			talk(t, master, seen, "one")
			o.criu(append(append([]string{"checkpoint"}, job...), "c1")...)
			pidFile := filepath.Join(t.TempDir(), "pid")
			cmd := o.command(append(append([]string{"restore", "--pid-file", pidFile}, job...), "c1")...)
			out, err := terminal(t, cmd, console.WinSize{Height: 33, Width: 77}, func(pty console.Console, await func(string)) {
				eventually(t, "the end of the restore", func() bool { _, err := os.Stat(pidFile); return err == nil })
				for _, typed := range []string{"two\r", "\x04"} {
					if _, err := pty.Write([]byte(typed)); err != nil {
						t.Error(err)
					}
					await("got two")
				}
			})
			if o.bin == os.Getenv(peerEnv) {
				// CRIU and runc set the terminal at the same time.
				out = strings.ReplaceAll(out, "\r\r", "\r")
			}
			if want := "two\r\ngot two\r\n"; err != nil || out != want {
				t.Errorf("restore %d on a terminal: %v, %q; want it to end with the input, and %q", i, err, out, want)
			}
		}
	})
}

// On the terminal of whoever has started the runtime, which is not the
// container's: nothing that CRIU could restore there.
func TestOCICheckpointForeignTerminal(t *testing.T) {
	saveWithBoth(t, answering, func(t *testing.T, o *ociRuntime) {
		pty, slave, err := console.NewPty()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { pty.Close() })
		tty, err := os.OpenFile(slave, os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer tty.Close()
		cmd := o.command("run", "-d", "c1")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
		seen := watch(pty)
		if err := cmd.Run(); err != nil {
			t.Fatalf("run: %v: %s", err, seen)
		}
		talk(t, pty, seen, "one")
		o.saveFails("checkpoint")
		o.saveFails("checkpoint", "--shell-job")
		talk(t, pty, seen, "two")
		o.ok("delete", "--force", "c1")
	})
}

// A connection to a socket outside of the container.
func TestOCIExternalUnixSocket(t *testing.T) {
	saveWithBoth(t, "", func(t *testing.T, o *ociRuntime) {
		dir, err := os.MkdirTemp("/tmp", "log") //nolint:usetesting // as above
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		next := func() int {
			t.Helper()
			if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 100)
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			i, err := strconv.Atoi(string(buf[:n]))
			if err != nil {
				t.Fatal(err)
			}
			return i
		}
		o.configure(func(s *specs.Spec) {
			s.Process.Args = []string{"/probe", "report", filepath.Join(dir, "s")}
			s.Process.Env = append(s.Process.Env, "GODEBUG=containermaxprocs=0") // it would keep cpu.max open
			withoutNamespace(s, specs.NetworkNamespace)                          // CRIU finds peers in the container's own only
			// CRIU connects to the name that the peer has given its socket.
			for dst, src := range map[string]string{dir: dir, "/probe": os.Getenv(probeEnv)} {
				s.Mounts = append(s.Mounts, specs.Mount{Destination: dst, Source: src, Options: []string{"bind"}})
			}
		})
		start := o.command("run", "-d", "c1") // with /dev/null as streams
		if err := start.Run(); err != nil {
			t.Fatal(err)
		}
		next()
		o.saveFails("checkpoint")
		next()
		o.criu("checkpoint", "--ext-unix-sk", "c1")
		last := 0
		if err := conn.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		for buf := make([]byte, 100); ; {
			n, err := conn.Read(buf)
			if err != nil {
				break
			}
			last, _ = strconv.Atoi(string(buf[:n]))
		}
		o.criu("restore", "-d", "--ext-unix-sk", "c1")
		if n := next(); n <= last {
			t.Errorf("after the restore comes %d; want it to go on from %d", n, last)
		}
		o.ok("delete", "--force", "c1")
	})
}

// Pages that are sent when the restored container wants them: CRIU stays at both
// ends until all are.
func TestOCILazyPages(t *testing.T) {
	saveWithBoth(t, `exec </dev/null >/dev/null 2>&1; `+counting, func(t *testing.T, o *ociRuntime) {
		o.ok("run", "-d", "c1")
		eventually(t, "the count begins", func() bool { return o.counted() > 2 })
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		images := filepath.Join(t.TempDir(), "images")
		const port = "27277"
		save := o.command("checkpoint", "--lazy-pages", "--page-server", "127.0.0.1:"+port, "--status-fd", "3",
			"--manage-cgroups-mode=ignore", "--image-path", images, "c1")
		save.ExtraFiles = []*os.File{w}
		started := func(cmd *exec.Cmd) (end func()) {
			t.Helper()
			out, err := os.Create(filepath.Join(t.TempDir(), "output"))
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stdout, cmd.Stderr = out, out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			return func() {
				t.Helper()
				defer out.Close()
				if err := cmd.Wait(); err != nil {
					t.Errorf("%q: %v: %s", cmd.Args, err, o.readFile(out.Name()))
				}
			}
		}
		saved := started(save)
		w.Close()
		if b, err := io.ReadAll(r); err != nil || string(b) != "\x00" {
			saved()
			t.Fatalf("--status-fd gets %q, %v; want a zero", b, err)
		}
		at := o.counted()
		served := started(exec.Command("criu", "lazy-pages", "--page-server", "--address", "127.0.0.1", "--port", port, "-D", images))
		o.criu("restore", "-d", "--lazy-pages", "--manage-cgroups-mode=ignore", "--image-path", images, "c2")
		saved()
		served()
		eventually(t, "the count goes on", func() bool { return o.counted() > at })
		o.fails(1, "container does not exist", "state", "c1")
		o.ok("delete", "--force", "c2")
	})
}
