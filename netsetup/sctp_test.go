package netsetup

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// TestSCTP publishes a port of SCTP, and has a process take one.
func TestSCTP(t *testing.T) {
	rung.Privileged(t)
	if out, err := exec.Command("modprobe", "sctp").CombinedOutput(); err != nil {
		if rung.Current() == rung.VM {
			t.Fatalf("modprobe sctp: %v: %s", err, out)
		}
		t.Skip("no sctp")
	}
	w := newWorld(t)
	w.publish(t, w.one, "8080:80/sctp", "8080:81") // the same port of tcp
	listener := sctpSocket(t, w.one.machine)
	if err := errors.Join(unix.Bind(listener, &unix.SockaddrInet4{Port: 80}), unix.Listen(listener, 1)); err != nil {
		t.Fatal(err)
	}
	client := sctpSocket(t, w.outside)
	if err := unix.Connect(client, &unix.SockaddrInet4{Addr: [4]byte{192, 0, 2, 1}, Port: 8080}); err != nil {
		t.Fatalf("connect to the published port: %v", err)
	}
	server, from, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(server)
	if a, ok := from.(*unix.SockaddrInet4); !ok || a.Addr != [4]byte{192, 0, 2, 2} {
		t.Errorf("the pod sees a client from %v; want 192.0.2.2", from)
	}

	own := sctpSocket(t, nil)
	if err := errors.Join(unix.Bind(own, &unix.SockaddrInet4{Port: 9090}), unix.Listen(own, 1)); err != nil {
		t.Fatal(err)
	}
	var taken *PortTakenError
	if _, err := w.claimPorts("pod", parse(t, "9090:80/sctp")); !errors.As(err, &taken) || taken.PID != os.Getpid() {
		t.Errorf("claimPorts of a process's port = %v; want that process %d has it", err, os.Getpid())
	}
	if _, err := w.claimPorts("pod", parse(t, "9090:80")); err != nil {
		t.Errorf("claimPorts of the same port of tcp = %v", err)
	}
}

// sctpSocket returns a socket of the machine's that waits as long as an answer
// may take.
func sctpSocket(t *testing.T, m *machine) int {
	t.Helper()
	fd := -1
	m.must(t, func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
		return err
	})
	t.Cleanup(func() { unix.Close(fd) })
	limit := unix.NsecToTimeval(int64(answerTime))
	for _, option := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, option, &limit); err != nil {
			t.Fatal(err)
		}
	}
	return fd
}
