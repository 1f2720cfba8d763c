package netsetup

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// podLink is the name of a pod's interface in its namespace.
const podLink = "eth0"

// defaultMTU is the kernel's for veth and bridges, in bytes.
const defaultMTU = 1500

// Of if_link.h and ipv6.h (Linux 3.17): whether a link makes itself addresses.
const (
	iflaInet6AddrGenMode = 8
	addrGenModeNone      = 1
)

// hostLink returns the name of the host's end of a pod's veth.
func hostLink(uid string) string { return fmt.Sprintf("pv%012x", hash(uid)>>16) }

// veth is a pair of links: one is a port of a bridge, the other a pod's.
type veth struct {
	uid      string
	bridge   int // index
	mtu      int // bytes; 0 is the kernel's default
	mac      net.HardwareAddr
	addrs    []netip.Prefix
	gateways []netip.Addr // default routes
}

// alias tells a pod's links from those of others.
func (v *veth) alias() string { return "podrt pod " + v.uid }

// create makes both ends, the pod's directly in its network namespace. One that
// a killed podrt has left is replaced.
func (v *veth) create(c *rtnl, ns *os.File) error {
	name := hostLink(v.uid)
	err := c.do(request{"make veth " + name, v.newVeth(ns)})
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	link, linkErr := c.link(name)
	switch {
	case errors.Is(linkErr, errNoLink):
		return fmt.Errorf("network namespace %q has a link %s already: %w", ns.Name(), podLink, err)
	case linkErr != nil:
		return linkErr
	case !isPods(link, v.uid):
		return fmt.Errorf("link %s exists and is not of pod %s: it is of kind %s, alias %q", name, v.uid, link.Type(), link.Attrs().Alias)
	}
	if err := c.remove(link); err != nil {
		return err
	}
	return c.do(request{"make veth " + name, v.newVeth(ns)})
}

// isPods reports whether a link that has a name for a pod is that pod's: its
// alias comes in a second step.
func isPods(link netlink.Link, uid string) bool {
	a := link.Attrs().Alias
	return (link.Type() == "veth" || link.Type() == "ifb") && (a == "" || a == (&veth{uid: uid}).alias())
}

func (v *veth) newVeth(ns *os.File) *nl.NetlinkRequest {
	r := newLink(hostLink(v.uid), unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("veth"))
	data := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
	peer := data.AddRtAttr(nl.VETH_INFO_PEER, nil)
	nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC)
	peer.AddRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(podLink))
	peer.AddRtAttr(unix.IFLA_ADDRESS, v.mac)
	peer.AddRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(ns.Fd())))
	attrs := []*nl.RtAttr{
		// Else there is a queue, with its objects in sysfs, for each CPU that
		// might ever be (Linux 5.14).
		nl.NewRtAttr(unix.IFLA_NUM_TX_QUEUES, nl.Uint32Attr(1)),
		nl.NewRtAttr(unix.IFLA_NUM_RX_QUEUES, nl.Uint32Attr(1)),
	}
	if v.mtu != 0 {
		attrs = append(attrs, nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(v.mtu))))
	}
	for _, a := range attrs {
		peer.AddChild(a)
		r.AddData(a)
	}
	r.AddData(info)
	return r
}

// raise makes the host's end, which exists, a port that is up. Hairpin: what a
// pod sends to one of its own published ports comes back to it. The port itself
// is no address of the host's.
func (v *veth) raise(c *rtnl) error {
	name := hostLink(v.uid)
	r := newLink(name, 0)
	r.AddData(nl.NewRtAttr(unix.IFLA_IFALIAS, []byte(v.alias())))
	r.AddData(nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(v.bridge))))
	if linkHasIPv6(v.mtu) {
		spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
		spec.AddRtAttr(unix.AF_INET6, nil).AddRtAttr(iflaInet6AddrGenMode, nl.Uint8Attr(addrGenModeNone))
		r.AddData(spec)
	}
	slave := newLink(name, 0)
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_SLAVE_KIND, nl.NonZeroTerminated("bridge"))
	info.AddRtAttr(nl.IFLA_INFO_SLAVE_DATA, nil).AddRtAttr(nl.IFLA_BRPORT_MODE, nl.Uint8Attr(1))
	slave.AddData(info)
	up := newLink(name, 0)
	msg := up.Data[0].(*nl.IfInfomsg)
	msg.Flags, msg.Change = unix.IFF_UP, unix.IFF_UP
	return c.do(request{"configure " + name, r}, request{"set hairpin mode of " + name, slave}, request{"raise " + name, up})
}

// configure gives the pod's end what it is to have. It is called on a thread in
// the pod's network namespace, and c acts on the host's.
func (v *veth) configure(c *rtnl) error {
	in, err := openRtnl()
	if err != nil {
		return err
	}
	defer in.close()
	index, err := linkIndex(in.fd, podLink)
	if err != nil {
		return err
	}
	if err := v.sysctls(); err != nil {
		return err
	}
	requests := []request{{"raise " + podLink, linkUp(index)}}
	for _, p := range v.addrs {
		requests = append(requests, request{fmt.Sprintf("add %s to %s", p, podLink), newAddr(index, p)})
	}
	for _, g := range v.gateways {
		requests = append(requests, request{fmt.Sprintf("add default route by %s", g), defaultRoute(index, g)})
	}
	wait, err := in.awaitIPv6(v.addrs)
	if err != nil {
		return err
	}
	if err := in.do(requests...); err != nil {
		return err
	}
	// The carrier has come, and the bridge lets nothing pass before it knows. It
	// would be told by a worker, at some time; asking for the link tells it now.
	if _, err := c.link(hostLink(v.uid)); err != nil {
		return err
	}
	// The same address once more is a change that is announced to neighbours,
	// who may remember another pod's by arp_notify and ndisc_notify.
	same := nl.NewNetlinkRequest(unix.RTM_SETLINK, 0)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	same.AddData(msg)
	same.AddData(nl.NewRtAttr(unix.IFLA_ADDRESS, v.mac))
	if err := in.do(request{"announce " + podLink, same}); err != nil {
		return err
	}
	return wait()
}

// sysctls sets those of the pod's end: routers are not found by advertisements,
// which any pod could send, and addresses need not be asked for.
func (v *veth) sysctls() error {
	all := []setting{{"ipv4/conf/" + podLink + "/arp_notify", "1"}}
	if linkHasIPv6(v.mtu) {
		conf := "ipv6/conf/" + podLink + "/"
		all = append(all, setting{conf + "accept_ra", "0"}, setting{conf + "accept_dad", "0"}, setting{conf + "ndisc_notify", "1"})
		for _, p := range v.addrs {
			if d, err := readSysctl(conf + "disable_ipv6"); p.Addr().Is6() && err == nil && d != "0" {
				all = append(all, setting{conf + "disable_ipv6", "0"})
			}
		}
	}
	for _, s := range all {
		if err := writeSysctl(s.name, s.value); err != nil {
			return err
		}
	}
	return nil
}

// linkIndex returns the index of a link in the namespace of the socket fd
// (SIOCGIFINDEX, netdevice(7)).
func linkIndex(fd int, name string) (int, error) {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return 0, fmt.Errorf("find link %q: %w", name, err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req); err != nil {
		return 0, fmt.Errorf("find link %q: %w", name, err)
	}
	return int(req.Uint32()), nil
}

func defaultRoute(index int, gateway netip.Addr) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
	msg := nl.NewRtMsg()
	msg.Family = unix.AF_INET
	if gateway.Is6() {
		msg.Family = unix.AF_INET6
	}
	r.AddData(msg)
	r.AddData(nl.NewRtAttr(unix.RTA_GATEWAY, gateway.AsSlice()))
	r.AddData(nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(index))))
	return r
}

// podMAC returns the address of a pod's interface that asks for none: made of
// its IPv4 address, so that neighbours' memories of it stay right when another
// pod gets it, or of a hash of its IPv6 address.
func podMAC(addrs []netip.Addr) net.HardwareAddr {
	mac := net.HardwareAddr{0x0a, 0x58, 0, 0, 0, 0}
	for _, a := range addrs {
		if a.Is4() {
			b := a.As4()
			copy(mac[2:], b[:])
			return mac
		}
	}
	for _, a := range addrs {
		h := uint32(hash(a.String()))
		mac[2], mac[3], mac[4], mac[5] = byte(h>>24), byte(h>>16), byte(h>>8), byte(h)
	}
	return mac
}

// parseMAC reads the address of an Ethernet interface.
func parseMAC(s string) (net.HardwareAddr, error) {
	mac, err := net.ParseMAC(s)
	if err != nil || len(mac) != 6 {
		return nil, fmt.Errorf("MAC address %q: want six bytes as 0a:58:0a:57:00:02", s)
	}
	if mac[0]&1 != 0 || strings.Trim(mac.String(), "0:") == "" {
		return nil, fmt.Errorf("MAC address %q is not one interface's", s)
	}
	return mac, nil
}
