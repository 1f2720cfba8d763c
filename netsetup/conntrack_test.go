package netsetup

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// asker is a socket that asks again and again from one port.
type asker struct{ net.Conn }

func newAsker(t *testing.T, m *machine, to string) asker {
	t.Helper()
	var a asker
	m.must(t, func() (err error) {
		a.Conn, err = net.Dial("udp", to)
		return err
	})
	t.Cleanup(func() { a.Close() })
	return a
}

func (a asker) ask() (string, error) {
	if err := a.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return "", err
	}
	if _, err := a.Write([]byte("?")); err != nil {
		return "", err
	}
	b := make([]byte, 100)
	n, err := a.Read(b)
	return string(b[:n]), err
}

// TestConntrack has clients that send from one port on and on, for which the
// kernel asks no rule again.
func TestConntrack(t *testing.T) {
	w := newWorld(t)
	v4, v6 := newAsker(t, w.outside, "192.0.2.1:5353"), newAsker(t, w.outside, "[2001:db8::1]:5353")
	both := []struct {
		asker
		client string
	}{{v4, "192.0.2.2"}, {v6, "2001:db8::2"}}
	for _, a := range both {
		if got, err := a.ask(); !errors.Is(err, unix.ECONNREFUSED) {
			t.Fatalf("before anybody is there: %q, %v; want %v", got, err, unix.ECONNREFUSED)
		}
	}
	w.publish(t, w.one, "5353:80/udp")
	for _, a := range both {
		if got, err := a.ask(); got != "one "+a.client {
			t.Errorf("once it is published: %q, %v; want an answer", got, err)
		}
	}

	// The pod goes, and somebody who has nothing published gets its addresses:
	// the same, here.
	neighbour := newAsker(t, w.two.machine, "10.88.0.1:5354")
	w.publish(t, w.far, "5354:80/udp")
	if got, err := neighbour.ask(); got != "far 10.87.0.3" {
		t.Fatalf("another pod: %q, %v", got, err)
	}
	w.unpublish(t, w.one)
	for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
		for _, f := range flows(t, family) {
			for _, ip := range w.one.addrs {
				if f.Forward.Protocol == unix.IPPROTO_UDP && (f.Forward.SrcIP.Equal(ip.AsSlice()) || f.Reverse.SrcIP.Equal(ip.AsSlice())) {
					t.Errorf("connection of a port that was published: %s", f)
				}
			}
		}
	}
	if list := flows(t, unix.AF_INET); len(list) == 0 {
		t.Error("no connections left; want the other pod's")
	}
	w.one.unreached(t, func() {
		for _, a := range both {
			if got, err := a.ask(); !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("once the pod is gone: %q, %v; want %v", got, err, unix.ECONNREFUSED)
			}
		}
	})
	if got, err := neighbour.ask(); got != "far 10.87.0.3" {
		t.Errorf("another pod afterwards: %q, %v", got, err)
	}
	flush := func(addrs ...netip.Addr) {
		t.Helper()
		if err := flushAddresses(func(a netip.Addr) bool { return slices.Contains(addrs, a) }); err != nil {
			t.Errorf("flushAddresses = %v", err)
		}
	}
	// Whatever else there is on the machine comes and goes.
	others := func() (n int) {
		for _, f := range flows(t, unix.AF_INET) {
			if f.Forward.Protocol == unix.IPPROTO_UDP && f.Forward.DstPort == 5354 {
				n++
			}
		}
		return n
	}
	flush(netip.MustParseAddr("10.87.0.200"))
	if n := others(); n == 0 {
		t.Error("no connections of the other pod after those of nobody were flushed")
	}
	flush(w.far.addrs...)
	if n := others(); n != 0 {
		t.Errorf("%d connections of the other pod after they were flushed; want none", n)
	}
}

// TestConntrackReload has datagrams flow while podrt's rules are away, and somebody
// else's keep conntrack going: once the rules are back, they are translated.
func TestConntrackReload(t *testing.T) {
	w := newWorld(t)
	w.outside.serve(t, "outside", 81)
	ports := w.publish(t, w.one, "5353:80/udp")
	flushRuleset(t)
	const other = "table inet other { chain post { type nat hook postrouting priority srcnat; oifname nowhere masquerade; }; }"
	nft(t, other, "-f", "-")
	t.Cleanup(func() { nft(t, "", "delete", "table", "inet", "other") })
	type flow struct {
		asker
		before, after string
	}
	all := []flow{
		{newAsker(t, w.one.machine, "192.0.2.2:81"), "outside 10.87.0.2", "outside 192.0.2.1"},
		{newAsker(t, w.one.machine, "[2001:db8::2]:81"), "outside fd00:87::2", "outside 2001:db8::1"},
		{newAsker(t, w.outside, "192.0.2.1:5353"), "", "one 192.0.2.2"},
		{newAsker(t, w.outside, "[2001:db8::1]:5353"), "", "one 2001:db8::2"},
		{newAsker(t, w.two.machine, "10.87.0.2:80"), "one 10.87.0.3", "one 10.87.0.3"},
	}
	for _, f := range all {
		if got, err := f.ask(); got != f.before {
			t.Errorf("%s without rules: %q, %v; want %q", f.RemoteAddr(), got, err, f.before)
		}
	}
	err := reloadRules([]*Network{w.red}, []published{{UID: "one", Network: w.red, Addresses: w.one.addrs, Ports: ports}})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if got, err := f.ask(); got != f.after {
			t.Errorf("%s with rules: %q, %v; want %q", f.RemoteAddr(), got, err, f.after)
		}
	}
	w.unpublish(t, w.one)
}

func flows(t *testing.T, family netlink.InetFamily) []*netlink.ConntrackFlow {
	t.Helper()
	list, err := netlink.ConntrackTableList(netlink.ConntrackTable, family)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestInvalid has a pod send what is of no connection: conntrack would translate
// nothing of it, so that outside would see the pod's address.
func TestInvalid(t *testing.T) {
	w := newWorld(t)
	w.outside.serve(t, "outside", 81)
	var seen net.PacketConn
	w.outside.must(t, func() (err error) {
		seen, err = net.ListenPacket("ip4:tcp", "192.0.2.2")
		return err
	})
	t.Cleanup(func() { seen.Close() })
	w.one.must(t, func() error {
		c, err := net.Dial("ip4:tcp", "192.0.2.2")
		if err != nil {
			return err
		}
		defer c.Close()
		// From port 1 to 81, of no checksum, a reset.
		_, err = c.Write([]byte{1: 1, 3: 81, 12: 5 << 4, 13: 1 << 2, 19: 0})
		return err
	})
	w.one.reaches(t, "192.0.2.2:81", "outside 192.0.2.1")
	if err := seen.SetDeadline(time.Now().Add(answerTime)); err != nil {
		t.Fatal(err)
	}
	// What came first is the first of the connection.
	b := make([]byte, 100)
	_, from, err := seen.ReadFrom(b)
	if err != nil || from.String() != "192.0.2.1" {
		t.Errorf("outside sees a packet from %v, %v; want one from 192.0.2.1", from, err)
	}
}
