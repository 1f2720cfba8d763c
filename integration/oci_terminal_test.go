package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/console"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// terminal runs podrt on a terminal of its own and returns what is seen there.
func terminal(t *testing.T, cmd *exec.Cmd, size console.WinSize, during func(pty console.Console, await func(string))) (seen string, err error) {
	t.Helper()
	pty, slave, err := console.NewPty()
	if err != nil {
		t.Fatal(err)
	}
	defer pty.Close()
	tty, err := os.OpenFile(slave, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	if err := pty.Resize(size); err != nil {
		t.Fatal(err)
	}
	before, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var out transcript
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&out, pty)
	}()
	if during != nil {
		during(pty, func(what string) {
			t.Helper()
			eventually(t, fmt.Sprintf("%q on the terminal", what), func() bool { return strings.Contains(out.String(), what) })
		})
	}
	werr := cmd.Wait()
	after, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if *after != *before {
		t.Errorf("settings of the terminal are %+v; want them back as %+v", *after, *before)
	}
	tty.Close() // ends the reading
	<-read
	return out.String(), werr
}

// transcript is what was seen on a terminal so far.
type transcript struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

func TestOCITerminal(t *testing.T) {
	o := newOCI(t, "tty; stty size; exit 5")
	o.configure(func(s *specs.Spec) { s.Process.Terminal = true })
	seen, err := terminal(t, o.command("run", "c1"), console.WinSize{Height: 33, Width: 77}, nil)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 5 || seen != "/dev/pts/0\r\n33 77\r\n" {
		t.Errorf("run on a terminal: %v, %q; want exit code 5, the name and the size", err, seen)
	}

	// All output, also of one that leaves a process behind on the terminal.
	o.configure(func(s *specs.Spec) {
		s.Process.Args[2] = "sleep 1000 & seq 5000"
		withoutNamespace(s, specs.PIDNamespace)
	})
	seen, err = terminal(t, o.command("run", "c1"), console.WinSize{Height: 33, Width: 77}, nil)
	if err != nil || strings.Count(seen, "\r\n") != 5000 || !strings.HasSuffix(seen, "\r\n5000\r\n") {
		t.Errorf("run on a terminal: %v, %d lines; want 5000", err, strings.Count(seen, "\n"))
	}
}

func TestOCITerminalInput(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	o.ok("run", "-d", "c1")
	// The terminal inside follows the one outside; ^D ends the input.
	script := `echo ready; read a; echo "got $a"; until test "$(stty size)" = "10 20"; do sleep 0.01; done; echo resized; cat`
	seen, err := terminal(t, o.command("exec", "-t", "c1", "sh", "-c", script), console.WinSize{Height: 5, Width: 6}, func(pty console.Console, await func(string)) {
		write := func(s string) {
			if _, err := pty.Write([]byte(s)); err != nil {
				t.Error(err)
			}
		}
		await("ready\r\n")
		write("hello\r")
		await("got hello\r\n")
		if err := pty.Resize(console.WinSize{Height: 10, Width: 20}); err != nil {
			t.Error(err)
		}
		await("resized\r\n")
		write("\x04")
	})
	if want := "ready\r\nhello\r\ngot hello\r\nresized\r\n"; err != nil || seen != want {
		t.Errorf("exec on a terminal: %v, %q; want %q", err, seen, want)
	}
	o.ok("delete", "-f", "c1")
}
