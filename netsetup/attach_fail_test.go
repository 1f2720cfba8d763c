package netsetup

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/podrt/podrt/integration/rung"
)

// TestAttachFails has failures at each step leave nothing, which the rung looks
// at.
func TestAttachFails(t *testing.T) {
	rung.Privileged(t)
	s, _ := testNetworks(t, "a", "b", "c")
	n := create(t, s, NetworkOptions{Name: "n", Subnets: []Subnet{{Subnet: prefix("203.0.113.0/29")}, {Subnet: prefix("2001:db8::/64")}}})
	fail := func(want string, a Attach) error {
		t.Helper()
		a.UID, a.Network = "a", n
		_, err := s.Attach(t.Context(), &a)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Attach(%+v) = %v; want %q", a, err, want)
		}
		if got, err := s.Attached("a"); got != nil || err != nil {
			t.Errorf("Attached after a failure = %+v, %v", got, err)
		}
		noLink(t, hostLink("a"))
		return err
	}
	ns := newNetns(t)
	fail("no such file", Attach{Netns: "/nonexistent"})
	fail("is the host's", Attach{Netns: "/proc/self/ns/net"})
	fail("make veth", Attach{Netns: "/dev/null"})
	noLink(t, n.Bridge)

	_, i := attach(t, s, &Attach{UID: "b", Network: n})
	var taken *AddressTakenError
	if err := fail("", Attach{Netns: ns.path, IPs: []netip.Addr{i.Addresses[1].Addr()}}); !errors.As(err, &taken) || taken.UID != "b" {
		t.Errorf("a taken address: %v; want AddressTakenError of b", err)
	}
	// Another one's links.
	foreign := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: hostLink("c")}}
	if err := netlink.LinkAdd(foreign); err != nil {
		t.Fatal(err)
	}
	_, err := s.Attach(t.Context(), &Attach{UID: "c", Network: n, Netns: ns.path})
	if err == nil || !strings.Contains(err.Error(), "exists and is not of pod c: it is of kind bridge") {
		t.Errorf("Attach with a link of that name = %v", err)
	}
	if err := netlink.LinkDel(foreign); err != nil {
		t.Errorf("the link that is not podrt's: %v", err)
	}
	ns.in(t, func() error {
		return netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}})
	})
	fail("has a link eth0 already", Attach{Netns: ns.path})
	detach(t, s, "b")

	// The host has come into the network's addresses since it was defined.
	other := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "lan0"}}
	if err := netlink.LinkAdd(other); err != nil {
		t.Fatal(err)
	}
	if err := up("lan0", prefixes("203.0.113.66/25")...); err != nil {
		t.Error(err)
	}
	fail("subnet 203.0.113.0/29 overlaps 203.0.113.0/25, of the host's link lan0", Attach{Netns: newNetns(t).path})
	noLink(t, n.Bridge)
	if left := ruleset(t); left != "" {
		t.Errorf("rules are left:\n%s", left)
	}
	if err := netlink.LinkDel(other); err != nil {
		t.Error(err)
	}

	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: n.Bridge}}
	if err := netlink.LinkAdd(bridge); err != nil {
		t.Fatal(err)
	}
	fail("exists and is not its bridge", Attach{Netns: newNetns(t).path})
	if err := netlink.LinkDel(bridge); err != nil {
		t.Errorf("the bridge that is not podrt's: %v", err)
	}
	if err := s.Remove("n"); err != nil {
		t.Fatal(err)
	}
	fail("no such network", Attach{Netns: newNetns(t).path})
}
