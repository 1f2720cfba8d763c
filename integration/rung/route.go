package rung

import (
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// listRoutes lists the routes of all tables, but for those that the kernel makes
// for addresses, and those that a router announces.
func listRoutes(*view) (objects, error) {
	o := objects{}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := dump(func() ([]netlink.Route, error) {
			return netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		})
		if err != nil {
			return nil, err
		}
		for _, r := range routes {
			if r.Protocol != unix.RTPROT_KERNEL && r.Protocol != unix.RTPROT_RA {
				o.add(fmt.Sprintf("%s via %s on %s, table %d", r.Dst, r.Gw, linkName(r.LinkIndex), r.Table))
			}
		}
	}
	return o, nil
}

// listNeighbours lists the neighbours that the kernel has been told, not those
// that it has found: ip-neighbour(8), permanent.
func listNeighbours(*view) (objects, error) {
	neighbours, err := dump(func() ([]netlink.Neigh, error) { return netlink.NeighList(0, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, err
	}
	o := objects{}
	for _, n := range neighbours {
		if n.State&netlink.NUD_PERMANENT != 0 {
			o.add(fmt.Sprintf("%s at %s on %s", n.IP, n.HardwareAddr, linkName(n.LinkIndex)))
		}
	}
	return o, nil
}

// listQdiscs lists the queueing disciplines of all links: tc(8).
func listQdiscs(*view) (objects, error) {
	qdiscs, err := dump(func() ([]netlink.Qdisc, error) { return netlink.QdiscList(nil) })
	if err != nil {
		return nil, err
	}
	o := objects{}
	for _, q := range qdiscs {
		a := q.Attrs()
		o.add(fmt.Sprintf("%s on %s, parent %s", q.Type(), linkName(a.LinkIndex), netlink.HandleStr(a.Parent)))
	}
	return o, nil
}

// linkName is the name of a link of this network namespace.
func linkName(index int) string {
	if l, err := net.InterfaceByIndex(index); err == nil {
		return l.Name
	}
	return fmt.Sprintf("link %d", index)
}
