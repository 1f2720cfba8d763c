package netsetup

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// TestAnnounce: a pod that remembers another hardware address for those of a pod
// that comes learns the right one, by both families, before anybody sends anything.
func TestAnnounce(t *testing.T) {
	rung.Privileged(t)
	rung.NeedKernel(t, "6.8", "a bridge is told of a carrier when the link is asked for")
	s, _ := testNetworks(t, "a", "b")
	n, err := s.Default()
	if err != nil {
		t.Fatal(err)
	}
	one, _ := attach(t, s, &Attach{UID: "a", Names: []string{"one"}, Network: n})
	var ips []netip.Addr
	for _, sub := range n.Subnets {
		ips = append(ips, sub.Gateway.Next().Next().Next())
	}
	one.in(t, func() error {
		link, err := netlink.LinkByName(podLink)
		if err != nil {
			return err
		}
		for _, ip := range ips {
			err := netlink.NeighSet(&netlink.Neigh{
				LinkIndex: link.Attrs().Index, IP: ip.AsSlice(), State: netlink.NUD_STALE,
				HardwareAddr: net.HardwareAddr{0x02, 0, 0, 0, 0, 1},
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	updates, done := make(chan netlink.NeighUpdate, 64), make(chan struct{})
	defer close(done)
	if err := netlink.NeighSubscribeAt(netns.NsHandle(one.Fd()), updates, done); err != nil {
		t.Fatal(err)
	}
	_, j := attach(t, s, &Attach{UID: "b", Names: []string{"two"}, Network: n, IPs: ips})
	mac, err := net.ParseMAC(j.MAC)
	if err != nil {
		t.Fatal(err)
	}
	late := time.After(patience)
	for learned := map[netip.Addr]bool{}; len(learned) < len(ips); {
		select {
		case u := <-updates:
			if ip, _ := netip.AddrFromSlice(u.IP); u.Type == unix.RTM_NEWNEIGH && bytes.Equal(u.HardwareAddr, mac) {
				learned[ip.Unmap()] = true
			}
		case <-late:
			t.Fatalf("learned within %s: %v; want %v", patience, learned, ips)
		}
	}
}
