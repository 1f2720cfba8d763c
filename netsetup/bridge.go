package netsetup

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// defaultBridge is the link of the default network.
const defaultBridge = "podrt0"

// bridgeName returns a name for the link of a new network, which no other
// network has.
func bridgeName(network string, others []*Network) string {
	if network == DefaultNetwork {
		return defaultBridge
	}
	for salt := ""; ; salt += "/" {
		name := fmt.Sprintf("podrt-%08x", uint32(hash(network+salt)))
		if !slices.ContainsFunc(others, func(n *Network) bool { return n.Bridge == name }) {
			return name
		}
	}
}

// hash is FNV-1a of 64 bits: enough to tell names apart, and nothing that costs
// at start.
func hash(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}

// bridgeMAC returns the address of a network's bridge, by which it is known for
// this network's, and for one of these Networks: others of the same host, below
// another directory, know nothing of its leases. It is given when the link is made,
// and thus not changed by its ports.
func (s *Networks) bridgeMAC(network string) net.HardwareAddr {
	h := hash("podrt network " + network + " of " + s.Run)
	return net.HardwareAddr{0x02, byte(h >> 32), byte(h >> 24), byte(h >> 16), byte(h >> 8), byte(h)}
}

// isOurs reports whether link is the bridge of n.
func (s *Networks) isOurs(link netlink.Link, n *Network) bool {
	return link.Type() == "bridge" && slices.Equal(link.Attrs().HardwareAddr, s.bridgeMAC(n.Name))
}

// checkBridge refuses a network whose link is another's.
func (s *Networks) checkBridge(c *rtnl, n *Network) error {
	link, err := c.link(n.Bridge)
	switch {
	case errors.Is(err, errNoLink):
		return nil
	case err != nil:
		return fmt.Errorf("network %q: %w", n.Name, err)
	case !s.isOurs(link, n):
		return fmt.Errorf("network %q: link %s exists and is not its bridge: it is of kind %s with address %s, alias %q; if it is podrt's, the network is one of another state root",
			n.Name, n.Bridge, link.Type(), link.Attrs().HardwareAddr, link.Attrs().Alias)
	}
	return nil
}

// ensureBridge returns the index of the network's bridge, which it makes or
// completes: one that is up is complete. The lock is held, what is there of that
// name is ours (checkBridge), and the rules that protect the host from what may
// enter here are there.
func (s *Networks) ensureBridge(c *rtnl, n *Network) (index int, err error) {
	link, err := c.link(n.Bridge)
	if errors.Is(err, errNoLink) {
		if err := n.checkClear(); err != nil {
			return 0, err
		}
		err = c.do(request{fmt.Sprintf("network %q: make bridge %s", n.Name, n.Bridge), s.newBridge(n)})
		if errors.Is(err, unix.EOPNOTSUPP) && n.VLAN != 0 {
			err = fmt.Errorf("%w: the kernel has no bridges, or they do not filter VLANs", err)
		}
		if err != nil {
			return 0, err
		}
		link, err = c.link(n.Bridge)
	}
	if err != nil {
		return 0, fmt.Errorf("network %q: %w", n.Name, err)
	}
	index = link.Attrs().Index
	if link.Attrs().Flags&net.FlagUp != 0 {
		return index, nil
	}
	return index, s.configureBridge(c, n, index)
}

// Of if_link.h: how many MAC addresses a bridge learns from what passes (Linux 6.7;
// older ones learn all that come, and miss it). It has 1023 ports at most, and what
// a pod sends can come from any address: without a limit, one pod fills the kernel's
// memory. What is sent to others than those that are known goes to all ports.
const (
	iflaBrFdbMaxLearned = 49
	maxLearned          = 8192
)

func (s *Networks) newBridge(n *Network) *nl.NetlinkRequest {
	r := newLink(n.Bridge, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	r.AddData(nl.NewRtAttr(unix.IFLA_ADDRESS, s.bridgeMAC(n.Name)))
	if n.MTU != 0 {
		r.AddData(nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(n.MTU))))
	}
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("bridge"))
	data := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
	data.AddRtAttr(iflaBrFdbMaxLearned, nl.Uint32Attr(maxLearned))
	if n.VLAN != 0 {
		// Ports and the bridge itself get the default VLAN when they come to be.
		data.AddRtAttr(nl.IFLA_BR_VLAN_FILTERING, nl.Uint8Attr(1))
		data.AddRtAttr(nl.IFLA_BR_VLAN_DEFAULT_PVID, nl.Uint16Attr(uint16(n.VLAN)))
	}
	r.AddData(info)
	return r
}

// configureBridge gives the bridge all it is to have, and raises it last. The host
// forwards by then.
func (s *Networks) configureBridge(c *rtnl, n *Network, index int) error {
	six := slices.ContainsFunc(n.Subnets, func(s Subnet) bool { return s.Subnet.Addr().Is6() })
	if six && !hasIPv6() {
		return fmt.Errorf("network %q has IPv6 addresses, and this host has no IPv6", n.Name)
	}
	if err := s.ensureForwarding(n); err != nil {
		return err
	}
	conf := "conf/" + n.Bridge + "/"
	var sysctls []setting
	if linkHasIPv6(n.MTU) {
		// Advertisements of pods are nothing to the host. Without a subnet, it is
		// not to be reached by its link-local address either.
		sysctls = append(sysctls, setting{"ipv6/" + conf + "accept_ra", "0"})
		if six {
			sysctls = append(sysctls, setting{"ipv6/" + conf + "accept_dad", "0"}, setting{"ipv6/" + conf + "disable_ipv6", "0"})
		} else {
			sysctls = append(sysctls, setting{"ipv6/" + conf + "disable_ipv6", "1"})
		}
	}
	if !n.Internal && n.Subnets[0].Subnet.Addr().Is4() {
		// Published ports on 127.0.0.1: what comes from there may leave here.
		sysctls = append(sysctls, setting{"ipv4/" + conf + "route_localnet", "1"})
		// As ip_forward has it for all links there are when it is set; for those that
		// come, somebody may have unset it.
		if v, err := readSysctl("ipv4/" + conf + "forwarding"); err == nil && v == "0" {
			sysctls = append(sysctls, setting{"ipv4/" + conf + "forwarding", "1"})
		}
	}
	for _, v := range sysctls {
		if err := writeSysctl(v.name, v.value); err != nil {
			return fmt.Errorf("network %q: %w", n.Name, err)
		}
	}
	var requests []request
	for _, sub := range n.Subnets {
		p := netip.PrefixFrom(sub.Gateway, sub.Subnet.Bits())
		requests = append(requests, request{fmt.Sprintf("network %q: add %s to %s", n.Name, p, n.Bridge), newAddr(index, p)})
	}
	alias := newLink(n.Bridge, 0)
	alias.AddData(nl.NewRtAttr(unix.IFLA_IFALIAS, []byte("podrt network "+n.Name)))
	requests = append(requests, request{fmt.Sprintf("network %q: name %s", n.Name, n.Bridge), alias})
	if err := c.do(requests...); err != nil {
		return err
	}
	return c.do(request{fmt.Sprintf("network %q: raise %s", n.Name, n.Bridge), linkUp(index)})
}

// setting is a file below /proc/sys/net, and what is to be in it.
type setting struct{ name, value string }

// newLink makes or changes, without flags, the link of that name.
func newLink(name string, flags int) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(unix.RTM_NEWLINK, flags)
	r.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	r.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	return r
}

func linkUp(index int) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(unix.RTM_NEWLINK, 0)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index, msg.Flags, msg.Change = int32(index), unix.IFF_UP, unix.IFF_UP
	r.AddData(msg)
	return r
}

// newAddr adds an address to a link; one that is there stays. It can be used at
// once: for IPv6 it is not asked whether another one has it.
func newAddr(index int, p netip.Prefix) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
	msg := nl.NewIfAddrmsg(unix.AF_INET)
	if p.Addr().Is6() {
		msg.Family = unix.AF_INET6
		msg.IfAddrmsg.Flags = unix.IFA_F_NODAD
	}
	msg.Index, msg.Prefixlen = uint32(index), uint8(p.Bits())
	r.AddData(msg)
	r.AddData(nl.NewRtAttr(unix.IFA_LOCAL, p.Addr().AsSlice()))
	r.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, p.Addr().AsSlice()))
	if p.Addr().Is4() {
		r.AddData(nl.NewRtAttr(unix.IFA_BROADCAST, lastAddr(p.Masked()).AsSlice()))
	}
	return r
}
