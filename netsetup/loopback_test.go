package netsetup

import (
	"net"
	"testing"

	"github.com/vishvananda/netlink"
)

// testLoopback sends to the host's 127.0.0.1 over a wire, which the bridges'
// route_localnet lets in: from pods to a server of the host's, and from outside
// and pods to a port that is published on 127.0.0.1 only. It ends what else the
// machines can do.
func testLoopback(t *testing.T, w *world) {
	var host *machine
	server := host.serve(t, "host", 82)
	host.reaches(t, "127.0.0.1:82", "host 127.0.0.1")
	w.one.reaches(t, "10.87.0.1:82", "host 10.87.0.2")
	for _, from := range []struct {
		*pod
		gateway string
	}{{w.one, "10.87.0.1"}, {w.far, "10.88.0.1"}, {&pod{machine: w.outside}, "192.0.2.1"}} {
		from.must(t, func() error { return routeLoopback(from.gateway) })
		server.unreached(t, func() {
			w.two.unreached(t, func() { from.shut(t, "127.0.0.1:82", "127.0.0.1:7070", "127.0.0.1:8080") })
		})
		if from.machine == w.outside {
			continue // the kernel's own affair: out0 has no route_localnet
		}
		before := server.asked.Load()
		from.pretend(t, "127.0.0.9", from.gateway+":82")
		// What was sent before has come when this has.
		from.reaches(t, from.gateway+":82", "host "+from.addrs[0].String())
		if n := server.asked.Load() - before; n != 2 {
			t.Errorf("%d questions reached the host; want 2, and none from 127.0.0.9", n)
		}
	}
}

// routeLoopback has the thread's namespace send what is for 127.0.0.0/8 to the
// gateway.
func routeLoopback(gateway string) error {
	if err := sysctl("ipv4/conf/eth0/route_localnet", "1"); err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	own, err := netlink.ParseAddr("127.0.0.1/8")
	if err != nil {
		return err
	}
	if err := netlink.AddrDel(lo, own); err != nil {
		return err
	}
	eth0, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	all := &net.IPNet{IP: own.IP.Mask(own.Mask), Mask: own.Mask}
	return netlink.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Dst: all, Gw: net.ParseIP(gateway)})
}

// pretend sends a datagram from the source.
func (m *machine) pretend(t *testing.T, source, to string) {
	t.Helper()
	m.must(t, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		own, err := netlink.ParseAddr(source + "/32")
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(lo, own); err != nil {
			return err
		}
		d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(source)}, Timeout: answerTime}
		c, err := d.Dial("udp", to)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("?"))
		return err
	})
}
