package netsetup

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// world is a host, which is the namespace of the test, with networks: two that
// are isolated, one that is not, and one that is internal and not isolated. A
// machine outside, behind the host's link out0, routes to them by the host.
//
//	outside 192.0.2.2 2001:db8::2 - 192.0.2.1 2001:db8::1 host
type world struct {
	*Networks
	outside                        *machine
	red, blue, free, cell          *Network
	one, two, far, outdoors, inner *pod // two in red, one in each of the others
}

type pod struct {
	*machine
	*server  // of port 80
	uid      string
	network  *Network
	addrs    []netip.Addr
	hostLink netlink.Link
}

func network(name string, subnets ...string) *Network {
	n := &Network{Version: 1, Name: name, Bridge: "podrt-" + name, Isolated: true}
	for _, s := range prefixes(subnets...) {
		n.Subnets = append(n.Subnets, Subnet{Subnet: s, Gateway: s.Addr().Next()})
	}
	return n
}

func newWorld(t *testing.T) *world {
	t.Helper()
	rung.Privileged(t)
	w := &world{
		Networks: &Networks{Run: t.TempDir(), BootID: "boot", Live: func(string) bool { return true }},
		red:      network("red", "10.87.0.0/24", "fd00:87::/64"),
		blue:     network("blue", "10.88.0.0/24", "fd00:88::/64"),
		free:     network("free", "10.90.0.0/24", "fd00:90::/64"),
		cell:     network("cell", "10.89.0.0/24", "fd00:89::/64"),
	}
	w.cell.Internal, w.cell.Isolated, w.free.Isolated = true, false, false
	setSysctl(t, "ipv4/ip_forward", "1")
	setSysctl(t, "ipv6/conf/all/forwarding", "1")
	setSysctl(t, "ipv6/conf/default/accept_dad", "0")
	w.outside = newMachine(t)
	wire(t, "out0", w.outside, prefixes("192.0.2.2/24", "2001:db8::2/64"), addrs("192.0.2.1", "2001:db8::1")...)
	if err := up("out0", prefixes("192.0.2.1/24", "2001:db8::1/64", "192.0.2.11/32")...); err != nil {
		t.Fatal(err)
	}
	if err := addSecond("out0", "2001:db8::11/64"); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*Network{w.red, w.blue, w.free, w.cell} {
		w.addBridge(t, n)
	}
	w.one, w.two = w.addPod(t, w.red, "one", 2), w.addPod(t, w.red, "two", 3)
	w.far, w.outdoors, w.inner = w.addPod(t, w.blue, "far", 2), w.addPod(t, w.free, "outdoors", 2), w.addPod(t, w.cell, "inner", 2)
	return w
}

// addSecond gives the link an address that it does not send from.
func addSecond(name, address string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	addr, err := netlink.ParseAddr(address)
	if err != nil {
		return err
	}
	addr.Flags, addr.ValidLft, addr.PreferedLft = unix.IFA_F_NODAD, 1<<20, 0
	return netlink.AddrAdd(link, addr)
}

// addBridge makes the network's bridge, and its rules.
func (w *world) addBridge(t *testing.T, n *Network) {
	t.Helper()
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: n.Bridge}}
	if err := netlink.LinkAdd(bridge); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netlink.LinkDel(bridge); err != nil {
			t.Error(err)
		}
	})
	var gateways []netip.Prefix
	for _, s := range n.Subnets {
		gateways = append(gateways, netip.PrefixFrom(s.Gateway, s.Subnet.Bits()))
	}
	if err := errors.Join(up(n.Bridge, gateways...), sysctl("ipv4/conf/"+n.Bridge+"/route_localnet", "1")); err != nil {
		t.Fatal(err)
	}
	if _, err := addNetworkRules(n); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := removeNetworkRules(n, true, published{}); err != nil {
			t.Error(err)
		}
	})
}

// addPod makes a pod that serves port 80 of tcp and udp.
func (w *world) addPod(t *testing.T, n *Network, uid string, host byte) *pod {
	t.Helper()
	p := &pod{machine: newMachine(t), uid: uid, network: n}
	var own []netip.Prefix
	var gateways []netip.Addr
	for _, s := range n.Subnets {
		b := s.Subnet.Addr().AsSlice()
		b[len(b)-1] = host
		ip, _ := netip.AddrFromSlice(b)
		p.addrs, own = append(p.addrs, ip), append(own, netip.PrefixFrom(ip, s.Subnet.Bits()))
		gateways = append(gateways, s.Gateway)
	}
	link := wire(t, "pv"+uid, p.machine, own, gateways...)
	bridge, err := netlink.LinkByName(n.Bridge)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(netlink.LinkSetMaster(link, bridge), netlink.LinkSetHairpin(link, true)); err != nil {
		t.Fatal(err)
	}
	p.hostLink, p.server = link, p.serve(t, uid, 80)
	return p
}

// publish claims the ports and makes their rules.
func (w *world) publish(t *testing.T, p *pod, specs ...string) []Port {
	t.Helper()
	var ports []Port
	for _, s := range specs {
		more, err := ParsePorts(s)
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, more...)
	}
	ports, err := w.claimPorts(p.uid, ports)
	if err == nil {
		err = addPortRules(p.uid, p.network, p.addrs, ports)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ports
}

func (w *world) unpublish(t *testing.T, p *pod) {
	t.Helper()
	if err := errors.Join(w.removePortRules(p.uid), w.releasePorts(p.uid)); err != nil {
		t.Fatal(err)
	}
}
