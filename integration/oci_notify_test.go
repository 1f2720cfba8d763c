package integration

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// serviceManager stands for systemd at the other end of NOTIFY_SOCKET.
type serviceManager struct {
	t    *testing.T
	conn *net.UnixConn
	env  string // what who is to tell it something has in its environment
}

func newServiceManager(t *testing.T) *serviceManager {
	t.Helper()
	path, f := listenUnix(t, "unixgram")
	conn, err := net.FilePacketConn(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(commandLimit)); err != nil {
		t.Fatal(err)
	}
	return &serviceManager{t, conn.(*net.UnixConn), "NOTIFY_SOCKET=" + path}
}

// next takes a message; a barrier is let go.
func (m *serviceManager) next() string {
	m.t.Helper()
	buf, oob := make([]byte, 100), make([]byte, 100)
	n, oobn, _, _, err := m.conn.ReadMsgUnix(buf, oob)
	if err != nil {
		m.t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		m.t.Fatal(err)
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			m.t.Fatal(err)
		}
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
	return string(buf[:n])
}

// fd is for calls that do not wait.
func (m *serviceManager) fd() (fd int) {
	m.t.Helper()
	raw, err := m.conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(n uintptr) { fd = int(n) })
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return fd
}

func (m *serviceManager) expect(want ...string) {
	m.t.Helper()
	for _, w := range want {
		if got := m.next(); got != w {
			m.t.Errorf("the service manager is told %q; want %q", got, w)
		}
	}
}

func TestOCINotify(t *testing.T) {
	o := newOCI(t, "")
	// busybox has nothing that sends a datagram: the test does it, where the
	// container has its socket.
	o.configure(func(s *specs.Spec) {
		s.Process.Args = []string{"sh", "-c", `test "$NOTIFY_SOCKET" = /run/notify/notify.sock && test -S $NOTIFY_SOCKET && sleep 1000`}
	})
	m := newServiceManager(t)
	o.env = append(o.env, m.env)
	say := func(id, message string) {
		t.Helper()
		dir, err := os.Open(filepath.Join(o.root, id, "notify"))
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		path := fmt.Sprintf("/proc/self/fd/%d/notify.sock", dir.Fd())
		conn, err := net.Dial("unixgram", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte(message)); err != nil {
			t.Fatal(err)
		}
	}
	began := func(id string) bool {
		_, err := os.Stat(filepath.Join(o.root, id, "notify", "notify.sock"))
		return err == nil
	}

	// Create and start: start ends when the container is ready.
	o.ok("create", "c1")
	cmd := o.command("start", "c1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "socket of c1", func() bool { return began("c1") })
	say("c1", "STATUS=not yet")
	say("c1", "STATUS=now\nREADY=1\nWATCHDOG=1")
	m.expect("READY=1\n", fmt.Sprintf("MAINPID=%v\n", o.state()["pid"]), "BARRIER=1")
	if err := cmd.Wait(); err != nil {
		t.Errorf("start: %v", err)
	}
	o.ok("delete", "-f", "c1")

	// In the foreground podrt is the process to watch.
	cmd = o.command("run", "c2")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "socket of c2", func() bool { return began("c2") })
	say("c2", "READY=1")
	m.expect("READY=1\n", fmt.Sprintf("MAINPID=%d\n", cmd.Process.Pid), "BARRIER=1")
	eventually(t, "c2 running", func() bool {
		return exec.Command(o.bin, "--root", o.root, "kill", "c2", "9").Run() == nil
	})
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 137 {
		t.Errorf("run ended with %v; want exit code 137", err)
	}

	// One that ends without a word ends the wait.
	o.configure(func(s *specs.Spec) { s.Process.Args[2] = "exit 0" })
	o.ok("create", "c3")
	o.ok("start", "c3")
	o.ok("delete", "-f", "c3")
	if r := o.call("run", "c3"); r.code != 0 || r.stderr != "" {
		t.Errorf("run = %+v", r)
	}
}

// A service manager that has gone is no reason to say anything; only start has
// nothing else to do.
func TestOCINotifyGone(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	o.env = append(o.env, "NOTIFY_SOCKET=/nonexistent")
	o.ok("create", "c1")
	o.fails(1, "dial unixgram /nonexistent: connect: no such file or directory", "start", "c1")
	o.ok("delete", "-f", "c1")
	o.global = []string{"--log-format", "text"} // in JSON it would be left out anyway
	o.ok("run", "-d", "c1")
	o.ok("delete", "-f", "c1")
	o.configure(func(s *specs.Spec) { s.Process.Args[2] = "sleep 0.1; exit 7" })
	if r := o.call("run", "c1"); r.code != 7 || r.stderr != "" || r.log != "" {
		t.Errorf("run = %+v; want exit code 7 and nothing said", r)
	}
}
