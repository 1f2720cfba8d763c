package engines

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"

	"github.com/containerd/console"
	"golang.org/x/sys/unix"
)

// terminal is a command's terminal, as the one who types at it sees it.
type terminal struct {
	x   *try
	pty console.Console

	mu   sync.Mutex
	seen strings.Builder
	gone bool // no program has the terminal any more
}

// onTerminal runs a command on a terminal of 24 rows and 80 columns, and use at
// the other end of it. It returns the exit code and what was to be seen.
func (l *lab) onTerminal(x *try, args []string, use func(tty *terminal)) (code int, seen string) {
	pty, slave, err := console.NewPty()
	x.must(err)
	tty, err := os.OpenFile(slave, os.O_RDWR|unix.O_NOCTTY, 0)
	x.must(err)
	x.must(pty.Resize(console.WinSize{Height: 24, Width: 80}))
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = l.dir
	cmd.Env = append(append(os.Environ(), l.env...), "TERM=xterm")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	err = cmd.Start()
	_ = tty.Close()
	x.must(err)
	t := &terminal{x: x, pty: pty}
	read := make(chan struct{})
	go func() {
		defer close(read)
		t.read()
	}()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	// However use ends: Fatalf ends this goroutine.
	defer func() {
		_ = cmd.Process.Kill()
		<-ended
		<-read
		_ = pty.Close()
	}()
	use(t)
	x.eventually("the end of the command on the terminal; seen is "+t.screen(), func() bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	<-read
	return cmd.ProcessState.ExitCode(), t.screen()
}

func (t *terminal) read() {
	buf := make([]byte, 4096)
	for {
		n, err := t.pty.Read(buf)
		t.mu.Lock()
		t.seen.Write(buf[:n])
		if err != nil {
			t.gone = true
		}
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// screen is all that was to be seen so far.
func (t *terminal) screen() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen.String()
}

// await waits until what is to be seen.
func (t *terminal) await(what string) {
	t.x.eventually(what+" on the terminal", func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		return strings.Contains(t.seen.String(), what) || t.gone
	})
	if seen := t.screen(); !strings.Contains(seen, what) {
		t.x.Fatalf("the terminal showed %q and was left; want %q", seen, what)
	}
}

// enter types a line.
func (t *terminal) enter(line string) {
	if _, err := t.pty.Write([]byte(line + "\r")); err != nil && !errors.Is(err, unix.EIO) {
		t.x.Fatalf("type %q: %v", line, err)
	}
}
