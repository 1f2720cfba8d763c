package main

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

// notifySocket passes a container's READY=1 on to the service manager that
// podrt runs under (sd_notify(3)): the container has a socket of its own, in
// /run/notify, and what comes through it is checked.
type notifySocket struct {
	host string // NOTIFY_SOCKET of this process
	dir  string // holds the container's socket
	conn *net.UnixConn
}

const notifySocketName = "notify.sock"

// newNotifySocket returns nil when nobody wants to be notified.
func newNotifySocket(stateDir string) *notifySocket {
	host := os.Getenv("NOTIFY_SOCKET")
	if host == "" {
		return nil
	}
	return &notifySocket{host: host, dir: filepath.Join(stateDir, "notify")}
}

// addTo gives the socket to the container.
func (n *notifySocket) addTo(spec *specs.Spec) {
	spec.Mounts = append(spec.Mounts, specs.Mount{
		Destination: "/run/notify",
		Source:      n.dir,
		Options:     []string{"bind", "nosuid", "noexec", "nodev", "ro"},
	})
	spec.Process.Env = append(spec.Process.Env, "NOTIFY_SOCKET=/run/notify/"+notifySocketName)
}

// prepare makes the directory that is mounted in the container and, if the
// container's command is about to run, the socket in it.
func (n *notifySocket) prepare(bind bool) error {
	if err := os.Mkdir(n.dir, 0o755); err != nil {
		return err
	}
	if !bind {
		return nil
	}
	return n.bind()
}

func (n *notifySocket) bind() error {
	dir, err := os.Open(n.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	// By descriptor: the path of a socket has 107 bytes at most (unix(7)).
	path := "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + notifySocketName
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	// Any user of the container may be the one that is ready.
	if err := os.Chmod(path, 0o777); err != nil {
		conn.Close()
		return err
	}
	n.conn = conn
	return nil
}

// forward waits until the container is ready, or its process initPID has ended,
// and tells the service manager so, with mainPID as the process to watch.
func (n *notifySocket) forward(mainPID, initPID int) error {
	if n.conn == nil {
		return nil
	}
	defer n.conn.Close()
	ended, err := unix.PidfdOpen(initPID, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) { // EINVAL: only its session is left, before Linux 6.9
		return nil
	}
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(ended)
	host, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.host, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer host.Close()
	ready, err := n.awaitReady(ended)
	if err != nil || ready == "" {
		return err
	}
	for _, message := range []string{ready, "MAINPID=" + strconv.Itoa(mainPID)} {
		if _, err := host.Write([]byte(message + "\n")); err != nil {
			return err
		}
	}
	return notifyBarrier(host)
}

// awaitReady returns the line that says READY, or "" when the process of the
// pidfd has ended before.
func (n *notifySocket) awaitReady(pidfd int) (line string, err error) {
	raw, err := n.conn.SyscallConn()
	if err != nil {
		return "", err
	}
	buf := make([]byte, 4096)
	cerr := raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(pidfd), Events: unix.POLLIN}}
		for {
			if _, err = unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
				return
			}
			if err == nil && fds[0].Revents != 0 {
				var size int
				if size, err = unix.Read(int(fd), buf); err != nil {
					return
				}
				if line = readyLine(string(buf[:size])); line != "" {
					return
				}
				continue
			}
			if err == nil && fds[1].Revents != 0 {
				return
			}
		}
	})
	if cerr != nil {
		return "", cerr
	}
	return line, err
}

// readyLine finds READY=… in a datagram, whose other lines are the
// container's own business.
func readyLine(datagram string) string {
	for line := range strings.SplitSeq(datagram, "\n") {
		if strings.HasPrefix(line, "READY=") {
			return line
		}
	}
	return ""
}

// notifyBarrier waits until the service manager has read what was sent, as
// what it does with the sender's pid depends on the sender being alive
// (sd_notify_barrier(3)): it closes the descriptor that comes with BARRIER=1.
func notifyBarrier(host *net.UnixConn) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	err = sendFile(host, "BARRIER=1", w)
	w.Close()
	if err != nil {
		return err
	}
	if err := r.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	n, err := r.Read(make([]byte, 1))
	switch {
	case n != 0:
		return errors.New("unexpected read from synchronization pipe")
	case errors.Is(err, os.ErrDeadlineExceeded):
		logrus.Warn("Timeout after waiting 30s for barrier. Ignored.")
		return nil
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}

// sendFile sends a message with a descriptor; WriteMsgUnix refuses to on a
// connected datagram socket.
func sendFile(conn *net.UnixConn, message string, f *os.File) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	werr := raw.Write(func(fd uintptr) bool {
		serr = unix.Sendmsg(int(fd), []byte(message), unix.UnixRights(int(f.Fd())), nil, 0)
		return !errors.Is(serr, unix.EAGAIN)
	})
	return errors.Join(werr, os.NewSyscallError("sendmsg", serr))
}
