package netsetup

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// testNetns is a network namespace like a pod's: lo is up, and nothing else is
// there. It lasts as long as the test, or until it is closed.
type testNetns struct {
	*os.File
	path  string
	close func()
}

func newNetns(t *testing.T) *testNetns {
	t.Helper()
	type made struct {
		f   *os.File
		err error
	}
	ch := make(chan made)
	go func() {
		runtime.LockOSThread() // and never unlocked
		err := unix.Unshare(unix.CLONE_NEWNET)
		var f *os.File
		if err == nil {
			f, err = os.Open("/proc/thread-self/ns/net")
		}
		if err == nil {
			err = raiseLo()
		}
		ch <- made{f, err}
	}()
	m := <-ch
	if m.err != nil {
		t.Fatal(m.err)
	}
	ns := &testNetns{File: m.f, path: fmt.Sprintf("/proc/self/fd/%d", m.f.Fd()), close: func() { m.f.Close() }}
	t.Cleanup(ns.close)
	return ns
}

func raiseLo() error {
	c, err := openRtnl()
	if err != nil {
		return err
	}
	defer c.close()
	return c.do(request{"raise lo", linkUp(1)})
}

// in calls f in the namespace.
func (ns *testNetns) in(t *testing.T, f func() error) {
	t.Helper()
	if err := visit(ns.File, f); err != nil {
		t.Fatal(err)
	}
}

// echo serves TCP connections to addr in the namespace, until the test ends or
// stop is called: what comes is sent back, after the caller's address and a line
// end.
func (ns *testNetns) echo(t *testing.T, addr netip.AddrPort) (stop func()) {
	t.Helper()
	var l net.Listener
	ns.in(t, func() (err error) {
		l, err = net.Listen("tcp", addr.String())
		return err
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(conn, conn.RemoteAddr())
			// Not conn itself: splice(2) would leave a pipe in Go's pool.
			_, _ = io.Copy(struct{ io.Writer }{conn}, struct{ io.Reader }{conn})
			conn.Close()
		}
	}()
	stop = func() { l.Close(); <-done }
	t.Cleanup(stop)
	return stop
}

// Limits of a connection's making. The kernel asks a second time for a neighbour
// that has not answered, or for a connection, after a second.
const (
	firstTry = 900 * time.Millisecond
	patience = 20 * time.Second
)

// dial connects from the namespace of the calling thread, and returns the address
// that the other end sees.
func dial(to netip.AddrPort, limit time.Duration) (netip.Addr, error) {
	conn, err := net.DialTimeout("tcp", to.String(), limit)
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return netip.Addr{}, err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return netip.Addr{}, err
	}
	b, err := io.ReadAll(conn)
	if err != nil {
		return netip.Addr{}, err
	}
	if len(b) == 0 {
		return netip.Addr{}, errors.New("nothing received")
	}
	from, err := netip.ParseAddrPort(string(b[:len(b)-1]))
	return from.Addr(), err
}

// testBoot is the boot id of the tests.
const testBoot = "5d2f8f0c-0000-4000-8000-000000000001"

// testNetworks returns networks in a directory of their own, and the UIDs of
// pods that live, which the test changes.
func testNetworks(t *testing.T, live ...string) (*Networks, *[]string) {
	t.Helper()
	dir := t.TempDir()
	return &Networks{
		Config: dir + "/config", Run: dir + "/run", BootID: testBoot,
		Live: func(uid string) bool { return slices.Contains(live, uid) },
	}, &live
}
