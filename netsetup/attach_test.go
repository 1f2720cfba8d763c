package netsetup

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/podrt/podrt/integration/rung"
)

// attach attaches a pod of a new namespace; it is detached when the test ends.
func attach(t *testing.T, s *Networks, a *Attach) (*testNetns, *Interface) {
	t.Helper()
	ns := newNetns(t)
	a.Netns = ns.path
	t.Cleanup(func() { detach(t, s, a.UID) })
	i, err := s.Attach(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return ns, i
}

func detach(t *testing.T, s *Networks, uid string) {
	t.Helper()
	if err := s.Detach(uid); err != nil {
		t.Error(err)
	}
}

func create(t *testing.T, s *Networks, o NetworkOptions) *Network {
	t.Helper()
	n, err := s.Create(o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// reach has the host, or ns, connect to an address; the other end sees from.
func reach(t *testing.T, ns *testNetns, to netip.AddrPort, from netip.Addr) {
	t.Helper()
	reachWithin(t, ns, to, from, patience)
}

func reachWithin(t *testing.T, ns *testNetns, to netip.AddrPort, from netip.Addr, limit time.Duration) {
	t.Helper()
	var got netip.Addr
	f := func() (err error) {
		got, err = dial(to, limit)
		return err
	}
	var err error
	if ns == nil {
		err = f()
	} else {
		err = visit(ns.File, f)
	}
	if err != nil || got != from {
		t.Errorf("connect to %s: from %v, %v; want from %s", to, got, err, from)
	}
}

func noLink(t *testing.T, name string) {
	t.Helper()
	if _, err := netlink.LinkByName(name); err == nil {
		t.Errorf("link %s is there", name)
	}
}

// TestAttach has two pods and the host reach each other by both families, each
// at the first packet: before Linux 6.8 the bridge may take longer to know that
// a port is up.
func TestAttach(t *testing.T) {
	rung.Privileged(t)
	rung.NeedKernel(t, "6.8", "a bridge is told of a carrier when the link is asked for")
	s, _ := testNetworks(t, "a", "b")
	n, err := s.Default()
	if err != nil {
		t.Fatal(err)
	}
	one, i := attach(t, s, &Attach{UID: "a", Names: []string{"one"}, Network: n})
	two, j := attach(t, s, &Attach{UID: "b", Names: []string{"two"}, Network: n})
	if len(i.Addresses) != 2 || i.Name != "eth0" || i.Network != "bridge" || i.MTU != 1500 || i.MAC != podMAC([]netip.Addr{i.Addresses[0].Addr()}).String() {
		t.Errorf("interface %+v", i)
	}
	var gateways []netip.Addr
	for k, p := range i.Addresses {
		gateways = append(gateways, n.Subnets[k].Gateway)
		to := netip.AddrPortFrom(p.Addr(), 80)
		one.echo(t, to)
		reachWithin(t, two, to, j.Addresses[k].Addr(), firstTry)
		reachWithin(t, nil, to, n.Subnets[k].Gateway, firstTry)
		// In the other direction, with what is remembered of the neighbour.
		back := netip.AddrPortFrom(j.Addresses[k].Addr(), 80)
		two.echo(t, back)
		reachWithin(t, one, back, p.Addr(), firstTry)
	}
	if !reflect.DeepEqual(i.Gateways, gateways) {
		t.Errorf("gateways %v; want %v", i.Gateways, gateways)
	}
	checkInside(t, one, i)
	got, err := s.Attached("a")
	want := &Attachment{Network: "bridge", Names: []string{"one"}, HostLink: i.HostLink, Addresses: []netip.Addr{i.Addresses[0].Addr(), i.Addresses[1].Addr()}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Attached = %+v, %v; want %+v", got, err, want)
	}
	var used *InUseError
	if err := s.Remove("bridge"); !errors.As(err, &used) || !slices.Equal(used.UIDs, []string{"a", "b"}) {
		t.Errorf("Remove of a network in use = %v; want InUseError of a and b", err)
	}
	detach(t, s, "a")
	noLink(t, i.HostLink)
	if in, err := Look(one.path); err != nil || len(in.Links) != 1 {
		t.Errorf("after Detach the pod has links %+v, %v; want lo", in, err)
	}
	if got, err := s.Attached("a"); got != nil || err != nil {
		t.Errorf("Attached after Detach = %+v, %v; want nil", got, err)
	}
	detach(t, s, "a")
	if _, err := netlink.LinkByName("podrt0"); err != nil {
		t.Errorf("the bridge of a pod: %v", err)
	}
	detach(t, s, "b")
	noLink(t, "podrt0")
	if err := s.Remove("bridge"); err != nil {
		t.Error(err)
	}
	if err := s.Remove("bridge"); !errors.Is(err, ErrNoNetwork) {
		t.Errorf("Remove again = %v; want ErrNoNetwork", err)
	}
}

// checkInside compares what is in a pod's namespace with its interface.
func checkInside(t *testing.T, ns *testNetns, i *Interface) {
	t.Helper()
	in, err := Look(ns.path)
	if err != nil {
		t.Fatal(err)
	}
	if len(in.Links) != 2 || in.Links[0].Name != "lo" {
		t.Fatalf("links %+v; want lo and eth0", in.Links)
	}
	eth := in.Links[1]
	if eth.Name != "eth0" || eth.Kind != "veth" || eth.MAC != i.MAC || eth.MTU != i.MTU || !eth.Up {
		t.Errorf("link %+v; want %+v", eth, i)
	}
	for _, p := range i.Addresses {
		if !slices.Contains(eth.Addresses, p) {
			t.Errorf("addresses %v; want %s", eth.Addresses, p)
		}
	}
	if c := eth.Counters; c.RxPackets == 0 || c.TxPackets == 0 || c.RxBytes == 0 || c.TxBytes == 0 || c.RxErrors+c.TxErrors+c.TxDropped != 0 {
		t.Errorf("counters %+v", c)
	}
	links, err := LookLinks(ns.path)
	if err != nil || len(links) != 2 || links[1].MAC != i.MAC {
		t.Errorf("LookLinks = %+v, %v", links, err)
	}
	for _, gw := range i.Gateways {
		if !slices.ContainsFunc(in.Routes, func(r Route) bool { return r.Gateway == gw && r.Destination.Bits() == 0 && r.Link == "eth0" }) {
			t.Errorf("routes %+v; want a default one by %s", in.Routes, gw)
		}
	}
	if len(i.Gateways) == 0 && slices.ContainsFunc(in.Routes, func(r Route) bool { return r.Destination.Bits() == 0 }) {
		t.Errorf("routes %+v; want no default one", in.Routes)
	}
	if i.MTU < minMTU6 {
		return
	}
	ns.in(t, func() error {
		addrs, err := netlink.AddrList(nil, netlink.FAMILY_V6)
		for _, a := range addrs {
			if a.Flags&(syscall.IFA_F_TENTATIVE|syscall.IFA_F_DADFAILED) != 0 && !a.IP.IsLinkLocalUnicast() {
				t.Errorf("address %s is tentative", a.IPNet)
			}
		}
		for name, want := range map[string]string{"accept_ra": "0", "accept_dad": "0", "ndisc_notify": "1"} {
			if got, err := readSysctl("ipv6/conf/eth0/" + name); err != nil || got != want {
				t.Errorf("eth0 %s = %q, %v; want %s", name, got, err, want)
			}
		}
		return err
	})
}

// TestAttachKinds makes networks of each kind, with what is asked of a pod.
func TestAttachKinds(t *testing.T) {
	rung.Privileged(t)
	for _, test := range []struct {
		name string
		o    NetworkOptions
		a    Attach
		want Interface
	}{
		{
			"IPv4 with MTU and MAC",
			NetworkOptions{Name: "four", Subnets: []Subnet{{Subnet: prefix("203.0.113.0/24")}}, NoIPv6: true, MTU: 1000},
			Attach{MAC: "02:00:00:00:00:09"},
			Interface{MAC: "02:00:00:00:00:09", MTU: 1000, Addresses: []netip.Prefix{prefix("203.0.113.2/24")}, Gateways: []netip.Addr{addr("203.0.113.1")}},
		},
		{
			"IPv6 alone, from a range",
			NetworkOptions{Name: "six", Subnets: []Subnet{{Subnet: prefix("2001:db8::/64"), Range: prefix("2001:db8::ff00/120")}}, NoIPv4: true},
			Attach{},
			Interface{MAC: podMAC([]netip.Addr{addr("2001:db8::ff00")}).String(), MTU: 1500, Addresses: []netip.Prefix{prefix("2001:db8::ff00/64")}, Gateways: []netip.Addr{addr("2001:db8::1")}},
		},
		{
			"addresses on request",
			NetworkOptions{Name: "static", Subnets: []Subnet{{Subnet: prefix("203.0.113.0/24"), Gateway: addr("203.0.113.254")}, {Subnet: prefix("2001:db8::/64")}}},
			Attach{IPs: []netip.Addr{addr("2001:db8::77"), addr("203.0.113.77")}},
			Interface{MAC: "0a:58:cb:00:71:4d", MTU: 1500, Addresses: []netip.Prefix{prefix("203.0.113.77/24"), prefix("2001:db8::77/64")}, Gateways: []netip.Addr{addr("203.0.113.254"), addr("2001:db8::1")}},
		},
		{
			"internal",
			NetworkOptions{Name: "internal", Internal: true, Subnets: []Subnet{{Subnet: prefix("203.0.113.0/24")}, {Subnet: prefix("2001:db8::/64")}}},
			Attach{},
			Interface{MAC: "0a:58:cb:00:71:02", MTU: 1500, Addresses: []netip.Prefix{prefix("203.0.113.2/24"), prefix("2001:db8::2/64")}},
		},
		{
			"VLAN",
			NetworkOptions{Name: "vlan", VLAN: 42, Subnets: []Subnet{{Subnet: prefix("203.0.113.0/24")}, {Subnet: prefix("2001:db8::/64")}}},
			Attach{},
			Interface{MAC: "0a:58:cb:00:71:02", MTU: 1500, Addresses: []netip.Prefix{prefix("203.0.113.2/24"), prefix("2001:db8::2/64")}, Gateways: []netip.Addr{addr("203.0.113.1"), addr("2001:db8::1")}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _ := testNetworks(t, "a", "b")
			n := create(t, s, test.o)
			test.a.UID, test.a.Network = "a", n
			if n.VLAN != 0 {
				needVLANs(t)
			}
			ns, i := attach(t, s, &test.a)
			test.want.Network, test.want.Name, test.want.HostLink = n.Name, "eth0", hostLink("a")
			if !reflect.DeepEqual(*i, test.want) {
				t.Errorf("interface %+v; want %+v", *i, test.want)
			}
			other, j := attach(t, s, &Attach{UID: "b", Network: n})
			for k, p := range i.Addresses {
				to := netip.AddrPortFrom(p.Addr(), 80)
				ns.echo(t, to)
				reach(t, other, to, j.Addresses[k].Addr())
				if !n.Internal {
					reach(t, nil, to, n.Subnets[k].Gateway)
				}
			}
			checkInside(t, ns, i)
			checkBridge(t, n)
		})
	}
}

// needVLANs skips the test natively where bridges do not filter VLANs.
func needVLANs(t *testing.T) {
	t.Helper()
	on := true
	b := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "vlans"}, VlanFiltering: &on}
	err := netlink.LinkAdd(b)
	if errors.Is(err, syscall.EOPNOTSUPP) && rung.Current() == rung.Native {
		t.Skip("bridges of this kernel do not filter VLANs: bin/rung vm has one")
	}
	if err == nil {
		err = netlink.LinkDel(b)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// checkBridge looks at what the kernel shows of the bridge of a network that has
// pods.
func checkBridge(t *testing.T, n *Network) {
	t.Helper()
	link, err := netlink.LinkByName(n.Bridge)
	if err != nil {
		t.Fatal(err)
	}
	b := link.(*netlink.Bridge)
	if b.Alias != "podrt network "+n.Name || n.MTU != 0 && b.MTU != n.MTU || *b.VlanFiltering != (n.VLAN != 0) {
		t.Errorf("bridge %+v", b)
	}
	four, six := false, false
	for _, s := range n.Subnets {
		four, six = four || s.Subnet.Addr().Is4(), six || s.Subnet.Addr().Is6()
	}
	for name, want := range map[string]bool{
		"ipv4/conf/" + n.Bridge + "/route_localnet": four && !n.Internal,
		"ipv6/conf/" + n.Bridge + "/disable_ipv6":   !six,
		"ipv6/conf/" + n.Bridge + "/accept_ra":      false,
	} {
		if strings.HasPrefix(name, "ipv6") && !linkHasIPv6(n.MTU) {
			continue
		}
		if got, err := readSysctl(name); err != nil || (got == "1") != want {
			t.Errorf("%s = %q, %v; want %t", name, got, err, want)
		}
	}
	vlans, err := netlink.BridgeVlanList()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{n.Bridge, hostLink("a"), hostLink("b")} {
		l, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if list := vlans[int32(l.Attrs().Index)]; n.VLAN != 0 && (len(list) != 1 || int(list[0].Vid) != n.VLAN || !list[0].PortVID() || !list[0].EngressUntag()) {
			t.Errorf("VLANs of %s: %v; want %d alone, untagged", name, list, n.VLAN)
		}
		if addrs, err := netlink.AddrList(l, netlink.FAMILY_ALL); name != n.Bridge && (err != nil || len(addrs) != 0) {
			t.Errorf("the host's end %s has addresses %v, %v; want none", name, addrs, err)
		}
	}
}

// TestAttachUserNamespace attaches a pod whose namespace is owned by a user
// namespace.
func TestAttachUserNamespace(t *testing.T) {
	rung.Privileged(t)
	s, _ := testNetworks(t, "a")
	n, err := s.Default()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cat") // as long as it can read
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: 100000, Size: 65536}},
		GidMappings: []syscall.SysProcIDMap{{HostID: 100000, Size: 65536}},
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	path := fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid)
	t.Cleanup(func() { detach(t, s, "a") })
	i, err := s.Attach(t.Context(), &Attach{UID: "a", Network: n, Netns: path})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	ns := &testNetns{File: f, path: path}
	defer f.Close()
	for k, p := range i.Addresses {
		to := netip.AddrPortFrom(p.Addr(), 80)
		stop := ns.echo(t, to)
		reach(t, nil, to, n.Subnets[k].Gateway)
		stop()
	}
	checkInside(t, ns, i)
}
