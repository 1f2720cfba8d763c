package netsetup

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// TestBridgeFlood has a pod send from more MAC addresses than the bridge may learn:
// it learns no more, and pods that come then reach each other.
func TestBridgeFlood(t *testing.T) {
	rung.Privileged(t)
	rung.NeedKernel(t, "6.7", "a bridge's addresses are limited")
	s, _ := testNetworks(t, "a", "b")
	n := create(t, s, smallNet())
	ns, i := attach(t, s, &Attach{UID: "a", Network: n})
	ns.in(t, func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		eth0, err := linkIndex(fd, podLink)
		if err != nil {
			return err
		}
		// To an address of the bridge's that it does not pass on (IEEE 802.1D, 7.12.6).
		frame := make([]byte, 60)
		copy(frame, []byte{0x01, 0x80, 0xc2, 0, 0, 0x0e, 0x02})
		for i := range uint32(maxLearned + 1000) {
			binary.BigEndian.PutUint32(frame[8:], i)
			err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: eth0})
			if err != nil {
				return err
			}
		}
		return nil
	})
	bridge, err := netlink.LinkByName(n.Bridge)
	if err != nil {
		t.Fatal(err)
	}
	known, err := dump(func() ([]netlink.Neigh, error) {
		return netlink.NeighListExecute(netlink.Ndmsg{Family: unix.AF_BRIDGE})
	})
	if err != nil {
		t.Fatal(err)
	}
	learned := 0
	for _, a := range known {
		if a.MasterIndex == bridge.Attrs().Index && a.State&unix.NUD_PERMANENT == 0 {
			learned++
		}
	}
	if learned < maxLearned/2 || learned > maxLearned {
		t.Errorf("the bridge knows %d addresses; want no more than %d of those that the pod sent from", learned, maxLearned)
	}
	other, j := attach(t, s, &Attach{UID: "b", Network: n})
	to := netip.AddrPortFrom(j.Addresses[0].Addr(), 80)
	other.echo(t, to)
	reach(t, ns, to, i.Addresses[0].Addr())
	reach(t, nil, to, n.Subnets[0].Gateway)
}
