package contract

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/containerd/console"
	"golang.org/x/sys/unix"
)

// terminal runs a command on a terminal of its own, types on it, and returns
// what was seen there.
func (s *session) terminal(cmd *exec.Cmd, rows, columns uint16, typed string) string {
	s.Helper()
	pty, slave, err := console.NewPty()
	s.must(err)
	defer pty.Close()
	tty, err := os.OpenFile(slave, os.O_RDWR|unix.O_NOCTTY, 0)
	s.must(err)
	defer tty.Close()
	s.must(pty.Resize(console.WinSize{Height: rows, Width: columns}))
	before, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	s.must(err)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	s.must(cmd.Start())
	out := bufio.NewReader(pty)
	var seen strings.Builder
	for !strings.HasSuffix(seen.String(), "ready\r\n") {
		line, err := out.ReadString('\n')
		if seen.WriteString(line); err != nil {
			s.Fatalf("the terminal shows %q, %v; want ready", seen.String(), err)
		}
	}
	_, err = pty.Write([]byte(typed))
	s.must(err)
	read := make(chan struct{})
	go func() {
		defer close(read)
		b, _ := io.ReadAll(out)
		seen.Write(b)
	}()
	_ = cmd.Wait()
	after, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	s.must(err)
	if *after != *before {
		s.Errorf("settings of the terminal are %+v; want them back as %+v", *after, *before)
	}
	tty.Close() // ends the reading
	<-read
	return fmt.Sprintf("exit code %d, %q", cmd.ProcessState.ExitCode(), seen.String())
}

// notify sends a datagram to a container's socket, by a path short enough.
func (s *session) notify(socket, message string) {
	s.Helper()
	dir, err := os.Open(filepath.Dir(socket))
	s.must(err)
	defer dir.Close()
	conn, err := net.Dial("unixgram", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(socket)))
	s.must(err)
	defer conn.Close()
	_, err = conn.Write([]byte(message))
	s.must(err)
}

// expectNotify takes messages as systemd does, and lets a barrier go.
func (l *listener) expectNotify(want ...string) {
	l.s.Helper()
	for _, w := range want {
		buf, oob := make([]byte, 4096), make([]byte, 1024)
		n, oobn, _, _, err := unix.Recvmsg(int(l.file.Fd()), buf, oob, unix.MSG_CMSG_CLOEXEC)
		l.s.must(err)
		if got := string(buf[:n]); got != w {
			l.s.Errorf("the service manager is told %q; want %q", got, w)
		}
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		l.s.must(err)
		for i := range messages {
			fds, err := unix.ParseUnixRights(&messages[i])
			l.s.must(err)
			for _, fd := range fds {
				unix.Close(fd)
			}
		}
	}
}
