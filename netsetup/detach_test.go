package netsetup

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// noState fails the test if something is left of the network's pods in files.
func noState(t *testing.T, s *Networks, n *Network) {
	t.Helper()
	for _, dir := range []string{"pods", "ports", "leases/" + n.Name} {
		names, err := readNames(s.Run + "/" + dir)
		if names = slices.DeleteFunc(names, func(name string) bool { return name == ".last" }); err != nil || len(names) > 0 {
			t.Errorf("%s has %q, %v", dir, names, err)
		}
	}
}

// detachStep is what a Detach of a network's last pod does, up to a point.
type detachStep struct {
	name string
	do   func(c *rtnl, s *Networks, a *Attach) error
}

// TestDetachKilled begins with what a Detach of a network's last pod leaves that
// is killed, step by step, in either order of what it does side by side. The pod
// can be detached, attached again, and swept when it is no more; another pod finds
// a network that is whole.
func TestDetachKilled(t *testing.T) {
	rung.Privileged(t)
	lower := func(c *rtnl, n *Network, uid string) (func() error, error) {
		links, err := c.podLinks(uid)
		if err != nil {
			return nil, err
		}
		bridge, err := c.link(n.Bridge)
		if err != nil {
			return nil, err
		}
		return c.lower(append([]netlink.Link{bridge}, links...)...)
	}
	bridge := detachStep{"bridge down", func(c *rtnl, _ *Networks, a *Attach) error {
		link, err := c.link(a.Network.Bridge)
		if err == nil {
			_, err = c.lower(link)
		}
		return err
	}}
	links := detachStep{"links down", func(c *rtnl, _ *Networks, a *Attach) error {
		_, err := lower(c, a.Network, a.UID)
		return err
	}}
	rules := detachStep{"rules gone", func(_ *rtnl, s *Networks, a *Attach) error {
		return removeNetworkRules(a.Network, true, published{UID: a.UID, Ports: a.Ports})
	}}
	gone := detachStep{"links gone", func(c *rtnl, _ *Networks, a *Attach) error {
		remove, err := lower(c, a.Network, a.UID)
		if err != nil {
			return err
		}
		return remove()
	}}
	claims := detachStep{"claims gone", func(_ *rtnl, s *Networks, a *Attach) error { return s.releasePorts(a.UID) }}
	leases := detachStep{"leases gone", func(_ *rtnl, s *Networks, a *Attach) error {
		_, err := s.releaseLeases(a.Network.Name, a.UID)
		return err
	}}
	for _, steps := range [][]detachStep{
		{bridge}, {bridge, links}, {links, rules}, {links, gone}, {links, rules, gone}, {links, gone, rules, claims}, {links, rules, gone, claims, leases},
	} {
		name := steps[len(steps)-1].name
		if len(steps) > 1 {
			name += " after " + steps[len(steps)-2].name
		}
		for _, how := range []string{"Detach", "Sweep", "Attach", "Attach another"} {
			t.Run(name+"/"+how, func(t *testing.T) {
				s, live := testNetworks(t, "a", "b")
				n := create(t, s, smallNet())
				a := &Attach{UID: "a", Network: n, Ports: []Port{{HostPort: 8080, ContainerPort: 80, Protocol: TCP}}}
				ns, _ := attach(t, s, a)
				whole := ruleset(t)
				c, err := openRtnl()
				if err != nil {
					t.Fatal(err)
				}
				defer c.close()
				for _, step := range steps {
					if err := step.do(c, s, a); err != nil {
						t.Fatalf("%s: %v", step.name, err)
					}
				}
				var i *Interface
				switch how {
				case "Detach":
					detach(t, s, "a")
				case "Sweep":
					*live = nil
					if err := s.Sweep(); err != nil {
						t.Error(err)
					}
				case "Attach":
					if i, err = s.Attach(t.Context(), a); err != nil {
						t.Fatal(err)
					}
				case "Attach another":
					ns, i = attach(t, s, &Attach{UID: "b", Network: n, Ports: []Port{{HostPort: 8081, ContainerPort: 80, Protocol: TCP}}})
					detach(t, s, "a")
				}
				if i != nil {
					to := netip.AddrPortFrom(i.Addresses[0].Addr(), 80)
					defer ns.echo(t, to)()
					reach(t, nil, to, n.Subnets[0].Gateway)
					if got := ruleset(t); strings.Count(got, "\n") != strings.Count(whole, "\n") || how == "Attach another" && strings.Contains(got, "8080") {
						t.Errorf("rules:\n%s\nwant as of the pod before:\n%s", got, whole)
					}
					return
				}
				noLink(t, hostLink("a"))
				noLink(t, n.Bridge)
				if rules := ruleset(t); rules != "" {
					t.Errorf("rules are left:\n%s", rules)
				}
				noState(t, s, n)
			})
		}
	}
}

// TestDetachLastRace has one pod of a network come while its only other one goes,
// in turn: whichever is first, who comes has all of a network, and the rest goes
// with the last one.
func TestDetachLastRace(t *testing.T) {
	rung.Privileged(t)
	rounds := 40
	if rung.Current() == rung.VM {
		rounds = 10
	}
	s, _ := testNetworks(t, "a", "b", "other")
	n := create(t, s, smallNet())
	o := create(t, s, NetworkOptions{Name: "o"})
	attach(t, s, &Attach{UID: "other", Network: o, Ports: []Port{{HostPort: 9090, ContainerPort: 80, Protocol: UDP}}})
	others := ruleset(t)
	_, i := attach(t, s, &Attach{UID: "a", Network: n, Ports: []Port{{HostPort: 8000, ContainerPort: 80, Protocol: TCP}}})
	wholeLines := strings.Count(ruleset(t), "\n")
	last, next := "a", "b"
	kept := 0
	for round := range rounds {
		before, err := netlink.LinkByName(n.Bridge)
		if err != nil {
			t.Fatal(err)
		}
		a := &Attach{UID: next, Network: n, Ports: []Port{{HostPort: uint16(8001 + round), ContainerPort: 80, Protocol: TCP}}}
		ns := newNetns(t)
		a.Netns = ns.path
		old := i.Addresses[0]
		var wg sync.WaitGroup
		comes := func() {
			own := *s
			var err error
			if i, err = own.Attach(t.Context(), a); err != nil {
				t.Error(err)
			}
		}
		goes := func() {
			own := *s
			if err := own.Detach(last); err != nil {
				t.Error(err)
			}
		}
		// Who is started first is mostly first.
		if round%2 == 0 {
			comes, goes = goes, comes
		}
		wg.Go(comes)
		wg.Go(goes)
		wg.Wait()
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
		if after, err := netlink.LinkByName(n.Bridge); err == nil && after.Attrs().Index == before.Attrs().Index {
			kept++
			if i.Addresses[0] == old {
				t.Errorf("round %d: both pods had %s at one time", round, old)
			}
		}
		to := netip.AddrPortFrom(i.Addresses[0].Addr(), 80)
		stop := ns.echo(t, to)
		reach(t, nil, to, n.Subnets[0].Gateway)
		stop()
		got := ruleset(t)
		if strings.Count(got, "\n") != wholeLines || !strings.Contains(got, fmt.Sprint(8001+round)) || strings.Contains(got, fmt.Sprint(8000+round)) {
			t.Fatalf("round %d: rules:\n%s", round, got)
		}
		noLink(t, hostLink(last))
		last, next = next, last
	}
	t.Logf("the bridge outlived the pod in %d of %d rounds", kept, rounds)
	detach(t, s, last)
	noLink(t, n.Bridge)
	if got := ruleset(t); sorted(got) != sorted(others) {
		t.Errorf("rules of the other network:\n%s\nwant\n%s", got, others)
	}
	detach(t, s, "other")
	noState(t, s, n)
}

// TestDetachLastForeign has links of others at the bridge, in groups, and in the
// bridge's place: they stay.
func TestDetachLastForeign(t *testing.T) {
	rung.Privileged(t)
	s, _ := testNetworks(t, "a")
	n := create(t, s, smallNet())
	pod := &Attach{UID: "a", Network: n, Ports: []Port{{HostPort: 8080, ContainerPort: 80, Protocol: TCP}}}
	attach(t, s, pod)
	bridge, err := netlink.LinkByName(n.Bridge)
	if err != nil {
		t.Fatal(err)
	}
	port := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "foreign", Group: 7, MasterIndex: bridge.Attrs().Index}, PeerName: "foreign1"}
	if err := netlink.LinkAdd(port); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netlink.LinkDel(port); err != nil {
			t.Error(err)
		}
	})
	detach(t, s, "a")
	noLink(t, n.Bridge)
	if l, err := netlink.LinkByName(port.Name); err != nil || l.Attrs().MasterIndex != 0 || l.Attrs().Group != 7 {
		t.Errorf("the link of somebody else: %+v, %v", l, err)
	}

	attach(t, s, pod)
	before := ruleset(t)
	if bridge, err = netlink.LinkByName(n.Bridge); err == nil {
		err = netlink.LinkDel(bridge)
	}
	if err != nil {
		t.Fatal(err)
	}
	foreign := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: n.Bridge}}
	if err := netlink.LinkAdd(foreign); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(foreign); err != nil {
		t.Fatal(err)
	}
	detach(t, s, "a")
	noLink(t, hostLink("a"))
	noState(t, s, n)
	if after := ruleset(t); strings.Count(after, n.Bridge) != strings.Count(before, n.Bridge) || strings.Contains(after, "8080") {
		t.Errorf("rules with another's bridge in place of the network's:\n%s\nwant those of the network, and no port's:\n%s", after, before)
	}
	if l, err := netlink.LinkByName(n.Bridge); err != nil || l.Attrs().Flags&unix.IFF_UP == 0 {
		t.Errorf("the bridge of somebody else: %+v, %v", l, err)
	}
	if err := netlink.LinkDel(foreign); err != nil {
		t.Error(err)
	}
	if err := s.Sweep(); err != nil {
		t.Error(err)
	}
	if rules := ruleset(t); rules != "" {
		t.Errorf("rules are left:\n%s", rules)
	}
}

// TestDetachRefused has the kernel refuse what a Detach of a network's last pod asks
// for: the pod keeps what it has, and a Detach that may takes it.
func TestDetachRefused(t *testing.T) {
	rung.Privileged(t)
	s, _ := testNetworks(t, "a")
	n := create(t, s, smallNet())
	_, i := attach(t, s, &Attach{UID: "a", Network: n, Ports: []Port{{HostPort: 8080, ContainerPort: 80, Protocol: TCP}}})
	rules := ruleset(t)
	had, err := s.Attached("a")
	if err != nil {
		t.Fatal(err)
	}
	err = thread(func() error {
		// Of this thread alone (capset(2)).
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var caps [2]unix.CapUserData
		if err := unix.Capget(&head, &caps[0]); err != nil {
			t.Error(err)
		}
		caps[0].Effective &^= 1 << unix.CAP_NET_ADMIN
		if err := unix.Capset(&head, &caps[0]); err != nil {
			t.Error(err)
		}
		return s.Detach("a")
	})
	if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "take down link "+n.Bridge) {
		t.Errorf("Detach without CAP_NET_ADMIN = %v; want EPERM for %s", err, n.Bridge)
	}
	if got, err := s.Attached("a"); err != nil || !reflect.DeepEqual(got, had) {
		t.Errorf("Attached = %+v, %v; want %+v", got, err, had)
	}
	if got := ruleset(t); got != rules {
		t.Errorf("rules:\n%s\nwant\n%s", got, rules)
	}
	if _, err := netlink.LinkByName(i.HostLink); err != nil {
		t.Error(err)
	}
	detach(t, s, "a")
	noLink(t, n.Bridge)
	noState(t, s, n)
}

// TestLower has a bridge that is down pass nothing on, neither between ports nor from
// the host, and be whole again for whoever comes next.
func TestLower(t *testing.T) {
	rung.Privileged(t)
	s, _ := testNetworks(t, "a", "b")
	n := create(t, s, smallNet())
	one, i := attach(t, s, &Attach{UID: "a", Network: n})
	two, j := attach(t, s, &Attach{UID: "b", Network: n})
	to := netip.AddrPortFrom(i.Addresses[0].Addr(), 80)
	one.echo(t, to)
	reach(t, two, to, j.Addresses[0].Addr())
	c, err := openRtnl()
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	bridge, err := c.link(n.Bridge)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.lower(bridge); err != nil {
		t.Fatal(err)
	}
	ask := func() error {
		_, err := dial(to, silenceTime)
		return err
	}
	if err := visit(two.File, ask); err == nil {
		t.Error("a pod reaches another one through a bridge that is down")
	}
	if err := ask(); err == nil {
		t.Error("the host reaches a pod through a bridge that is down")
	}
	// As it was, for the next pod.
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	reach(t, two, to, j.Addresses[0].Addr())
	reach(t, nil, to, n.Subnets[0].Gateway)
}
