package contract

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// listener is a unix socket of a caller.
type listener struct {
	s    *session
	path string
	file *os.File
}

// listen makes a socket that is not in a path too long for one (unix(7)).
func (s *session) listen(network string) *listener {
	s.Helper()
	dir, err := os.MkdirTemp("/tmp", "contract")
	s.must(err)
	s.Cleanup(func() { os.RemoveAll(dir) })
	typ := unix.SOCK_STREAM
	if network == "unixgram" {
		typ = unix.SOCK_DGRAM
	}
	path := filepath.Join(dir, "s")
	fd, err := unix.Socket(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC, 0)
	s.must(err)
	f := os.NewFile(uintptr(fd), path)
	s.Cleanup(func() { f.Close() })
	s.must(unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
	if typ == unix.SOCK_STREAM {
		s.must(unix.Listen(fd, 4))
	}
	return &listener{s, path, f}
}

// receiveFile takes the connection that is there, and from it one message with
// one descriptor, as conmon does.
func (l *listener) receiveFile() (message string, f *os.File) {
	l.s.Helper()
	fd, _, err := unix.Accept4(int(l.file.Fd()), unix.SOCK_CLOEXEC)
	l.s.must(err)
	defer unix.Close(fd)
	buf, oob := make([]byte, 4096), make([]byte, 1024)
	n, oobn, _, _, err := unix.Recvmsg(fd, buf, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil || n == 0 {
		l.s.Fatalf("recvmsg: %d bytes, %v; want one and more", n, err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		l.s.Fatalf("%d control messages, %v; want 1", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		l.s.Fatalf("%d descriptors, %v; want 1", len(fds), err)
	}
	if n, err := unix.Read(fd, make([]byte, 1)); n != 0 || err != nil {
		l.s.Errorf("after the message come %d bytes, %v; want the end", n, err)
	}
	return string(buf[:n]), os.NewFile(uintptr(fds[0]), "received")
}

// noMore fails if another connection is there.
func (l *listener) noMore() {
	l.s.Helper()
	flags, err := unix.FcntlInt(l.file.Fd(), unix.F_GETFL, 0)
	l.s.must(err)
	_, err = unix.FcntlInt(l.file.Fd(), unix.F_SETFL, flags|unix.O_NONBLOCK)
	l.s.must(err)
	if fd, _, err := unix.Accept4(int(l.file.Fd()), unix.SOCK_CLOEXEC); !errors.Is(err, unix.EAGAIN) {
		unix.Close(fd)
		l.s.Errorf("a second connection: %v; want none", err)
	}
	_, err = unix.FcntlInt(l.file.Fd(), unix.F_SETFL, flags)
	l.s.must(err)
}

// readLine reads what a process wrote on a terminal.
func (s *session) readLine(f *os.File) string {
	s.Helper()
	line, err := bufio.NewReader(f).ReadString('\n')
	s.must(err)
	return strings.TrimSpace(line)
}
