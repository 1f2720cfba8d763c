package netsetup

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// machine is a network namespace; nil is that of the test.
type machine struct{ netns *os.File }

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{}
	err := thread(func() (err error) {
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			m.netns, err = os.Open("/proc/thread-self/ns/net")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.netns.Close() })
	m.must(t, func() error { return errors.Join(sysctl("ipv6/conf/default/accept_dad", "0"), up("lo")) })
	return m
}

// thread calls f on a thread that ends with it.
func thread(f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked
		result <- f()
	}()
	return <-result
}

// do calls f in the namespace.
func (m *machine) do(f func() error) error {
	if m == nil {
		return f()
	}
	return thread(func() error {
		if err := unix.Setns(int(m.netns.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		return f()
	})
}

func (m *machine) must(t *testing.T, f func() error) {
	t.Helper()
	if err := m.do(f); err != nil {
		t.Fatal(err)
	}
}

// sysctl sets net.NAME of the thread's namespace.
func sysctl(name, value string) error {
	return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0)
}

// setSysctl sets net.NAME for the time of the test.
func setSysctl(t *testing.T, name, value string) {
	t.Helper()
	old, err := os.ReadFile("/proc/sys/net/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := sysctl(name, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sysctl(name, strings.TrimSpace(string(old))); err != nil {
			t.Error(err)
		}
	})
}

// wire makes a veth pair: name here, eth0 with the addresses and default routes
// there.
func wire(t *testing.T, name string, m *machine, addrs []netip.Prefix, gateways ...netip.Addr) netlink.Link {
	t.Helper()
	here := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "eth0",
		PeerNamespace: netlink.NsFd(int(m.netns.Fd())),
	}
	if err := netlink.LinkAdd(here); err != nil {
		t.Fatalf("make link %s: %v", name, err)
	}
	t.Cleanup(func() {
		if err := netlink.LinkDel(here); err != nil {
			t.Errorf("remove link %s: %v", name, err)
		}
	})
	m.must(t, func() error { return up("eth0", addrs...) })
	if err := up(name); err != nil {
		t.Fatal(err)
	}
	m.must(t, func() error {
		eth0, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		for _, gw := range gateways {
			route := &netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: gw.AsSlice()}
			if err := netlink.RouteAdd(route); err != nil {
				return fmt.Errorf("route by %s: %w", gw, err)
			}
		}
		return nil
	})
	return here
}

// up gives the link its addresses and sets it up.
func up(name string, addrs ...netip.Prefix) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		addr := &netlink.Addr{IPNet: &net.IPNet{IP: a.Addr().AsSlice(), Mask: net.CIDRMask(a.Bits(), a.Addr().BitLen())}}
		if a.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("address %s: %w", a, err)
		}
	}
	return netlink.LinkSetUp(link)
}

func prefixes(list ...string) []netip.Prefix {
	var p []netip.Prefix
	for _, s := range list {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

func addrs(list ...string) []netip.Addr {
	var a []netip.Addr
	for _, s := range list {
		a = append(a, netip.MustParseAddr(s))
	}
	return a
}

// server counts who comes, whether an answer reaches them or not.
type server struct{ asked atomic.Int64 }

// serve answers each connection, and each datagram, with "NAME CLIENT-ADDRESS".
func (m *machine) serve(t *testing.T, name string, port int) *server {
	t.Helper()
	var s server
	var tcp net.Listener
	var udp net.PacketConn
	m.must(t, func() (err error) {
		if tcp, err = net.Listen("tcp", fmt.Sprintf(":%d", port)); err == nil {
			udp, err = net.ListenPacket("udp", fmt.Sprintf(":%d", port))
		}
		return err
	})
	var loops sync.WaitGroup
	t.Cleanup(func() {
		tcp.Close()
		udp.Close()
		loops.Wait()
	})
	answer := func(client string) []byte {
		s.asked.Add(1)
		ip := netip.MustParseAddrPort(client).Addr().Unmap()
		return []byte(name + " " + ip.String())
	}
	loops.Go(func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write(answer(c.RemoteAddr().String()))
			c.Close()
		}
	})
	loops.Go(func() {
		b := make([]byte, 1)
		for {
			_, from, err := udp.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = udp.WriteTo(answer(from.String()), from)
		}
	})
	return &s
}

// How long an answer may take, and how long none is waited for: a machine under
// load is slow, and a packet that is dropped is never answered.
const (
	answerTime  = 10 * time.Second
	silenceTime = 500 * time.Millisecond
)

// ask returns what a server says.
func (m *machine) ask(network, address string, limit time.Duration) (answer string, err error) {
	var c net.Conn
	err = m.do(func() (err error) {
		c, err = net.DialTimeout(network, address, limit)
		return err
	})
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		return "", err
	}
	if strings.HasPrefix(network, "udp") {
		b := make([]byte, 100)
		if _, err = c.Write([]byte("?")); err != nil {
			return "", err
		}
		n, err := c.Read(b)
		return string(b[:n]), err
	}
	b, err := io.ReadAll(c)
	return string(b), err
}

// reaches fails the test unless the server answers as wanted.
func (m *machine) reaches(t *testing.T, address, want string) {
	t.Helper()
	for _, network := range []string{"tcp", "udp"} {
		got, err := m.ask(network, address, answerTime)
		if got != want {
			t.Errorf("%s %s: %q, %v; want %q", network, address, got, err, want)
		}
	}
}

// unreached fails the test if a packet reaches the server by f.
func (s *server) unreached(t *testing.T, f func()) {
	t.Helper()
	before := s.asked.Load()
	f()
	if n := s.asked.Load() - before; n != 0 {
		t.Errorf("%d questions reached the server; want none", n)
	}
}

// refuses fails the test unless the answer is, at once, that nobody listens.
func (m *machine) refuses(t *testing.T, address string) {
	t.Helper()
	for _, network := range []string{"tcp", "udp"} {
		if got, err := m.ask(network, address, answerTime); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("%s %s: %q, %v; want %v", network, address, got, err, unix.ECONNREFUSED)
		}
	}
}

// shut fails the test if any of the servers answers.
func (m *machine) shut(t *testing.T, addresses ...string) {
	t.Helper()
	var all sync.WaitGroup
	for _, address := range addresses {
		for _, network := range []string{"tcp", "udp"} {
			all.Go(func() {
				if got, err := m.ask(network, address, silenceTime); err == nil {
					t.Errorf("%s %s: %q; want no answer", network, address, got)
				}
			})
		}
	}
	all.Wait()
}

// nft runs nft(8).
func nft(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command("nft", args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("nft %q: %v: %s", args, err, out)
	}
	return string(out)
}
