package netsetup

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// usedPrefix is addresses that somebody else has.
type usedPrefix struct {
	netip.Prefix
	whose string
	far   bool // a route through a gateway: a narrower network may lie in it
}

func (u usedPrefix) String() string { return u.Prefix.String() + ", " + u.whose }

// clashes reports whether a network that was asked for cannot have p. What is
// chosen for it keeps clear of everything.
func (u usedPrefix) clashes(p netip.Prefix) bool {
	return u.Overlaps(p) && (!u.far || u.Bits() >= p.Bits())
}

// usedPrefixes returns what the networks, and the links and routes of the host,
// have.
func (s *Networks) usedPrefixes(networks []*Network) ([]usedPrefix, error) {
	var used []usedPrefix
	ours := map[int]bool{}
	for _, n := range networks {
		for _, sub := range n.Subnets {
			used = append(used, usedPrefix{Prefix: sub.Subnet, whose: fmt.Sprintf("of network %q", n.Name)})
		}
		// Another state root's bridge can have the same name.
		if l, err := net.InterfaceByName(n.Bridge); err == nil && slices.Equal(l.HardwareAddr, s.bridgeMAC(n.Name)) {
			ours[l.Index] = true
		}
	}
	addrs, err := usedByLinks(ours)
	if err != nil {
		return nil, err
	}
	used = append(used, addrs...)
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := dump(func() ([]netlink.Route, error) { return netlink.RouteList(nil, family) })
		if err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
			return nil, fmt.Errorf("list routes of the host: %w", err)
		}
		for _, r := range routes {
			p, ok := prefixOf(r.Dst)
			if !ok || p.Bits() == 0 || ours[r.LinkIndex] || p.Addr().IsLinkLocalUnicast() || p.Addr().IsMulticast() {
				continue
			}
			used = append(used, usedPrefix{Prefix: p.Masked(), whose: "a route of the host", far: r.Gw != nil || len(r.MultiPath) > 0})
		}
	}
	return used, nil
}

// usedByLinks returns what the links of the host have, but those of these indexes.
func usedByLinks(ours map[int]bool) (used []usedPrefix, err error) {
	addrs, err := dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list addresses of the host: %w", err)
	}
	for _, a := range addrs {
		if p, ok := prefixOf(a.IPNet); ok && !ours[a.LinkIndex] && !p.Addr().IsLinkLocalUnicast() {
			used = append(used, usedPrefix{Prefix: p.Masked(), whose: "of the host's link " + linkName(a.LinkIndex)})
		}
	}
	return used, nil
}

// checkClear refuses a network without a bridge where the host is in its subnets by
// another link by now, which a bridge would cut it off from.
func (n *Network) checkClear() error {
	used, err := usedByLinks(nil)
	if err != nil {
		return fmt.Errorf("network %q: %w", n.Name, err)
	}
	for _, s := range n.Subnets {
		for _, u := range used {
			if u.Overlaps(s.Subnet) {
				return fmt.Errorf("network %q: subnet %s overlaps %s", n.Name, s.Subnet, u)
			}
		}
	}
	return nil
}

// dumps is how often a dump is read again that the kernel calls interrupted:
// its table changed meanwhile.
const dumps = 10

func dump[T any](read func() ([]T, error)) (list []T, err error) {
	for range dumps {
		if list, err = read(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return list, err
}

func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	a, ok := netip.AddrFromSlice(n.IP)
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), ones), ok
}

func linkName(index int) string {
	if l, err := net.InterfaceByIndex(index); err == nil {
		return l.Name
	}
	return fmt.Sprint(index)
}

// usesIPv6 reports whether new links of the host get IPv6 addresses.
func usesIPv6() bool {
	v, err := readSysctl("ipv6/conf/default/disable_ipv6")
	return err == nil && v == "0"
}
