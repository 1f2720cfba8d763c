package netsetup

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// errReload is what an error of Verify ends with.
var errReload = errors.New("podrt network reload puts it back")

// Verify reports what the host lacks of the interface that a pod was given: its
// end of the veth as a port of the bridge, the bridge with its addresses, and the
// rules of the network and of the pod's ports. It takes no lock.
func (s *Networks) Verify(uid string, i *Interface) error {
	n, err := s.Get(i.Network)
	if err != nil {
		return err
	}
	if err := s.withRtnl(func(c *rtnl) error { return s.verifyLinks(c, n, uid) }); err != nil {
		return err
	}
	if err := verifyAddrs(n); err != nil {
		return err
	}
	want := networkElements(n)
	if len(i.Ports) > 0 {
		var addrs []netip.Addr
		for _, p := range i.Addresses {
			addrs = append(addrs, p.Addr())
		}
		ports, err := portElements(uid, n, addrs, i.Ports)
		if err != nil {
			return err
		}
		for set, list := range ports {
			want[set] = append(want[set], list...)
		}
	}
	return withRules(func(conn *nftables.Conn) error {
		if err := verifyChains(conn); err != nil {
			return err
		}
		return verifyElements(conn, want)
	})
}

// verifyLinks looks at the host's end of the veth and at the bridge.
func (s *Networks) verifyLinks(c *rtnl, n *Network, uid string) error {
	bridge, err := c.link(n.Bridge)
	switch {
	case errors.Is(err, errNoLink):
		return fmt.Errorf("bridge %s of network %q is gone: %w", n.Bridge, n.Name, errReload)
	case err != nil:
		return err
	case !s.isOurs(bridge, n):
		return fmt.Errorf("link %s is not the bridge of network %q", n.Bridge, n.Name)
	case bridge.Attrs().Flags&net.FlagUp == 0:
		return fmt.Errorf("bridge %s of network %q is down: %w", n.Bridge, n.Name, errReload)
	}
	port, err := c.link(hostLink(uid))
	switch {
	case errors.Is(err, errNoLink):
		return fmt.Errorf("link %s of the host is gone", hostLink(uid))
	case err != nil:
		return err
	case !isPods(port, uid):
		return fmt.Errorf("link %s is not the pod's", hostLink(uid))
	case port.Attrs().MasterIndex != bridge.Attrs().Index || port.Attrs().Flags&net.FlagUp == 0:
		return fmt.Errorf("link %s of the host is down, or no port of bridge %s: %w", hostLink(uid), n.Bridge, errReload)
	}
	return nil
}

// verifyAddrs looks whether the host is the network's gateway.
func verifyAddrs(n *Network) error {
	addrs, err := dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return fmt.Errorf("list addresses of the host: %w", err)
	}
	for _, sub := range n.Subnets {
		want := netip.PrefixFrom(sub.Gateway, sub.Subnet.Bits())
		if !slices.ContainsFunc(addrs, func(a netlink.Addr) bool {
			p, ok := prefixOf(a.IPNet)
			return ok && p == want && linkName(a.LinkIndex) == n.Bridge
		}) {
			return fmt.Errorf("bridge %s of network %q has no address %s any more: %w", n.Bridge, n.Name, want, errReload)
		}
	}
	return nil
}

// verifyChains looks whether each chain has as many rules as it is to have.
func verifyChains(conn *nftables.Conn) error {
	for _, c := range ruleChains() {
		c.chain.Table = rulesTable()
		rules, err := conn.GetRules(c.chain.Table, &c.chain)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("read nftables chain %s: %w", c.chain.Name, err)
		}
		if len(rules) != len(c.rules) {
			return fmt.Errorf("chain %s of nftables' table inet podrt has %d rules; want %d: %w", c.chain.Name, len(rules), len(c.rules), errReload)
		}
	}
	return nil
}

// verifyElements looks whether the sets have the elements.
func verifyElements(conn *nftables.Conn, want elements) error {
	sets := ruleSets()
	for _, name := range setNames {
		if len(want[name]) == 0 {
			continue
		}
		list, _, err := readSet(conn, sets[name])
		if err != nil {
			return err
		}
		missing := 0
		for _, w := range want[name] {
			if !slices.ContainsFunc(list, func(e nftables.SetElement) bool {
				return bytes.Equal(e.Key, w.Key) && bytes.Equal(e.Val, w.Val) && e.Comment == w.Comment
			}) {
				missing++
			}
		}
		if missing > 0 {
			return fmt.Errorf("set %s of nftables' table inet podrt lacks %d of %d elements: %w", name, missing, len(want[name]), errReload)
		}
	}
	return nil
}
