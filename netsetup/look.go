package netsetup

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Inside is what a network namespace has.
type Inside struct {
	Links  []Link  `json:"links"`
	Routes []Route `json:"routes"` // of the main table
}

// Link is an interface in a network namespace.
type Link struct {
	Name      string         `json:"name"`
	Kind      string         `json:"kind"` // "veth", "device" for one without a kind, as lo
	MAC       string         `json:"mac,omitempty"`
	MTU       int            `json:"mtu"` // bytes
	Up        bool           `json:"up"`
	Addresses []netip.Prefix `json:"addresses"`
	Counters  Counters       `json:"counters"`
}

// Counters are those of an interface since it was made, as its owner sees them.
type Counters struct {
	RxBytes   uint64 `json:"rxBytes"`
	RxPackets uint64 `json:"rxPackets"`
	RxErrors  uint64 `json:"rxErrors"`
	RxDropped uint64 `json:"rxDropped"`
	TxBytes   uint64 `json:"txBytes"`
	TxPackets uint64 `json:"txPackets"`
	TxErrors  uint64 `json:"txErrors"`
	TxDropped uint64 `json:"txDropped"`
}

// Route is a way out of a network namespace.
type Route struct {
	Destination netip.Prefix `json:"destination"`
	Gateway     netip.Addr   `json:"gateway,omitzero"` // zero: on the link
	Link        string       `json:"link,omitempty"`
}

// Look returns what is in the network namespace of a path.
func Look(path string) (*Inside, error) {
	ns, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	defer ns.Close()
	in := new(Inside)
	if err := visit(ns, func() error { return in.read() }); err != nil {
		return nil, fmt.Errorf("look into network namespace %q: %w", path, err)
	}
	return in, nil
}

// LookLinks is Look for the links' counters alone: no addresses, no routes.
func LookLinks(path string) ([]Link, error) {
	ns, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	defer ns.Close()
	in := new(Inside)
	err = visit(ns, func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer h.Close()
		_, err = in.readLinks(h)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look into network namespace %q: %w", path, err)
	}
	return in.Links, nil
}

func (in *Inside) read() error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	byIndex, err := in.readLinks(h)
	if err != nil {
		return err
	}
	addrs, err := lastDump(func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		if i, known := byIndex[a.LinkIndex]; known {
			if p, ok := prefixOf(a.IPNet); ok {
				in.Links[i].Addresses = append(in.Links[i].Addresses, p)
			}
		}
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := lastDump(func() ([]netlink.Route, error) { return h.RouteList(nil, family) })
		if err != nil && (family == netlink.FAMILY_V4 || hasIPv6()) {
			return fmt.Errorf("list routes: %w", err)
		}
		for _, r := range routes {
			in.Routes = append(in.Routes, in.route(r, family, byIndex))
		}
	}
	return nil
}

// lastDump is dump for what a container can change as fast as it is read: the last
// answer counts, consistent or not.
func lastDump[T any](read func() ([]T, error)) ([]T, error) {
	list, err := dump(read)
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		err = nil
	}
	return list, err
}

// readLinks reads the links, and returns their places by index.
func (in *Inside) readLinks(h *netlink.Handle) (map[int]int, error) {
	links, err := lastDump(h.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	byIndex := map[int]int{}
	for _, l := range links {
		a := l.Attrs()
		byIndex[a.Index] = len(in.Links)
		link := Link{
			Name: a.Name, Kind: l.Type(), MAC: a.HardwareAddr.String(), MTU: a.MTU,
			Up: a.Flags&net.FlagUp != 0, Addresses: []netip.Prefix{},
		}
		if s := a.Statistics; s != nil {
			link.Counters = Counters{
				RxBytes: s.RxBytes, RxPackets: s.RxPackets, RxErrors: s.RxErrors, RxDropped: s.RxDropped,
				TxBytes: s.TxBytes, TxPackets: s.TxPackets, TxErrors: s.TxErrors, TxDropped: s.TxDropped,
			}
		}
		in.Links = append(in.Links, link)
	}
	return byIndex, nil
}

func (in *Inside) route(r netlink.Route, family int, byIndex map[int]int) Route {
	var route Route
	if p, ok := prefixOf(r.Dst); ok {
		route.Destination = p
	} else if family == netlink.FAMILY_V4 {
		route.Destination = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	} else {
		route.Destination = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	if gw, ok := netip.AddrFromSlice(r.Gw); ok {
		route.Gateway = gw.Unmap()
	}
	if i, known := byIndex[r.LinkIndex]; known {
		route.Link = in.Links[i].Name
	}
	return route
}
