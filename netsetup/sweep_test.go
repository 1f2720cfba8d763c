package netsetup

import (
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/podrt/podrt/integration/rung"
)

// smallNet has room for two pods.
func smallNet() NetworkOptions {
	return NetworkOptions{Name: "n", Subnets: []Subnet{{Subnet: prefix("203.0.113.0/29"), Range: prefix("203.0.113.4/31")}, {Subnet: prefix("2001:db8::/64")}}}
}

// ruleset is what the kernel has of podrt's rules.
func ruleset(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("nft", "list", "ruleset").CombinedOutput()
	if err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
	return string(out)
}

// TestSweepDeadPod has a pod vanish without Detach, as it does where its record
// is deleted by hand: what it had is taken back when the address is wanted, and
// by Sweep.
func TestSweepDeadPod(t *testing.T) {
	rung.Privileged(t)
	s, live := testNetworks(t, "a", "b", "c")
	n := create(t, s, smallNet())
	ports := []Port{{HostPort: 8080, ContainerPort: 80, Protocol: TCP}}
	attach(t, s, &Attach{UID: "a", Network: n, Ports: ports})
	_, b := attach(t, s, &Attach{UID: "b", Network: n})
	if !strings.Contains(ruleset(t), "8080") {
		t.Error("the port is in no rule")
	}
	*live = []string{"b", "c"}
	ns, c := attach(t, s, &Attach{UID: "c", Network: n, Ports: ports})
	if c.Addresses[0] != prefix("203.0.113.4/29") {
		t.Errorf("addresses %v; want the dead pod's", c.Addresses)
	}
	noLink(t, hostLink("a"))
	if got, err := s.Attached("a"); got != nil || err != nil {
		t.Errorf("Attached(a) = %+v, %v; want nil", got, err)
	}
	to := netip.AddrPortFrom(c.Addresses[0].Addr(), 80)
	ns.echo(t, to)
	reach(t, nil, to, n.Subnets[0].Gateway)

	*live = []string{"b"}
	if err := s.Sweep(); err != nil {
		t.Error(err)
	}
	noLink(t, hostLink("c"))
	if strings.Contains(ruleset(t), "8080") {
		t.Error("the port of a dead pod is in a rule")
	}
	if m, err := s.leases("n"); err != nil || len(m) != 2 || m[0].uid != "b" {
		t.Errorf("leases %v, %v; want those of b", m, err)
	}
	*live = nil
	if err := s.Sweep(); err != nil {
		t.Error(err)
	}
	noLink(t, b.HostLink)
	noLink(t, n.Bridge)
	if rules := ruleset(t); rules != "" {
		t.Errorf("rules after the last pod:\n%s", rules)
	}
}

// TestReboot has the boot id change, and all that the kernel had gone.
func TestReboot(t *testing.T) {
	rung.Privileged(t)
	s, _ := testNetworks(t, "a", "b", "c", "d")
	n := create(t, s, smallNet())
	ports := []Port{{HostPort: 8080, ContainerPort: 80, Protocol: TCP}}
	for _, uid := range []string{"a", "b"} {
		p := ports
		if uid == "b" {
			p = nil
		}
		attach(t, s, &Attach{UID: uid, Network: n, Ports: p})
	}
	for _, name := range []string{hostLink("a"), hostLink("b"), n.Bridge} {
		l, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkDel(l)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	flushRuleset(t)
	s.BootID = "another"
	// Both addresses and the port are free again.
	attach(t, s, &Attach{UID: "c", Network: n, Ports: ports})
	_, d := attach(t, s, &Attach{UID: "d", Network: n})
	detach(t, s, "a") // by gc
	if m, err := s.Members("n"); err != nil || len(m) != 2 {
		t.Errorf("Members = %v, %v; want c and d", m, err)
	}
	if _, err := netlink.LinkByName(d.HostLink); err != nil {
		t.Error(err)
	}
	if !strings.Contains(ruleset(t), "8080") {
		t.Error("the port is in no rule")
	}
}

// TestKilled begins with what an Attach leaves that is killed, step by step; an
// Attach, a Detach and a Sweep each get on from there.
func TestKilled(t *testing.T) {
	rung.Privileged(t)
	// Each step does what Attach does, up to a point.
	steps := []struct {
		name string
		do   func(t *testing.T, s *Networks, c *rtnl, a *Attach)
	}{
		{"pod known", func(t *testing.T, s *Networks, _ *rtnl, a *Attach) {
			if err := os.MkdirAll(s.Run+"/pods", 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(s.BootID+"/"+a.Network.Name, s.podLink(a.UID)); err != nil {
				t.Fatal(err)
			}
		}},
		{"leases", func(t *testing.T, s *Networks, _ *rtnl, a *Attach) {
			if _, err := s.lease(a, a.Network); err != nil {
				t.Fatal(err)
			}
		}},
		{"claims", func(t *testing.T, s *Networks, _ *rtnl, a *Attach) {
			if _, err := s.claimPorts(a.UID, a.Ports); err != nil {
				t.Fatal(err)
			}
		}},
		{"rules", func(t *testing.T, s *Networks, _ *rtnl, a *Attach) {
			if err := s.ensureRules(a.Network); err != nil {
				t.Fatal(err)
			}
		}},
		{"bridge, not configured", func(t *testing.T, s *Networks, c *rtnl, a *Attach) {
			if err := c.do(request{"bridge", s.newBridge(a.Network)}); err != nil {
				t.Fatal(err)
			}
		}},
		{"bridge", func(t *testing.T, s *Networks, c *rtnl, a *Attach) {
			if _, err := s.ensureBridge(c, a.Network); err != nil {
				t.Fatal(err)
			}
		}},
		{"port rules", func(t *testing.T, s *Networks, _ *rtnl, a *Attach) {
			got, err := s.Attached(a.UID)
			if err == nil {
				err = addPortRules(a.UID, a.Network, got.Addresses, got.Ports)
			}
			if err != nil {
				t.Fatal(err)
			}
		}},
		{"veth, not configured", func(t *testing.T, _ *Networks, c *rtnl, a *Attach) {
			ns, err := os.Open(a.Netns)
			if err != nil {
				t.Fatal(err)
			}
			defer ns.Close()
			v := &veth{uid: a.UID, mac: podMAC([]netip.Addr{addr("203.0.113.4")})}
			if err := v.create(c, ns); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for i := range steps {
		for how, get := range map[string]func(s *Networks, live *[]string, a *Attach) error{
			"Attach": func(s *Networks, _ *[]string, a *Attach) error {
				_, err := s.Attach(t.Context(), a)
				return err
			},
			"Detach": func(s *Networks, _ *[]string, a *Attach) error { return s.Detach(a.UID) },
			"Sweep": func(s *Networks, live *[]string, _ *Attach) error {
				*live = nil
				return s.Sweep()
			},
		} {
			t.Run(steps[i].name+"/"+how, func(t *testing.T) {
				s, live := testNetworks(t, "a")
				n := create(t, s, smallNet())
				ns := newNetns(t)
				a := &Attach{UID: "a", Names: []string{"h"}, Network: n, Netns: ns.path, Ports: []Port{{HostPort: 8080, ContainerPort: 80, Protocol: TCP}}}
				t.Cleanup(func() { detach(t, s, "a") })
				c, err := openRtnl()
				if err != nil {
					t.Fatal(err)
				}
				defer c.close()
				for _, step := range steps[:i+1] {
					step.do(t, s, c, a)
				}
				if err := get(s, live, a); err != nil {
					t.Fatal(err)
				}
				if how == "Attach" {
					got, err := s.Attached("a")
					if err != nil || len(got.Addresses) != 2 || !slices.Equal(got.Ports, a.Ports) {
						t.Errorf("Attached = %+v, %v", got, err)
					}
					to := netip.AddrPortFrom(got.Addresses[0], 80)
					defer ns.echo(t, to)()
					reach(t, nil, to, n.Subnets[0].Gateway)
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

// TestReload takes away what podrt has made, and has it made again.
func TestReload(t *testing.T) {
	rung.Privileged(t)
	s, _ := testNetworks(t, "a", "b", "c")
	n := create(t, s, smallNet())
	o := create(t, s, NetworkOptions{Name: "o"})
	if err := s.Reload(); err != nil {
		t.Errorf("Reload without pods: %v", err)
	}
	ns, i := attach(t, s, &Attach{UID: "a", Network: n, Ports: []Port{{HostPort: 8080, ContainerPort: 80, Protocol: TCP}}})
	other, j := attach(t, s, &Attach{UID: "b", Network: n})
	_, k := attach(t, s, &Attach{UID: "c", Network: o, Ports: []Port{{HostPort: 8081, ContainerPort: 80, Protocol: UDP}}})
	before := ruleset(t)
	flushRuleset(t)
	link, err := netlink.LinkByName(n.Bridge)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		if after := ruleset(t); sorted(after) != sorted(before) {
			t.Errorf("rules after Reload:\n%s\nwant\n%s", after, before)
		}
	}
	to := netip.AddrPortFrom(i.Addresses[0].Addr(), 80)
	ns.echo(t, to)
	reach(t, nil, to, n.Subnets[0].Gateway)
	reach(t, other, to, j.Addresses[0].Addr())
	for _, l := range []string{i.HostLink, j.HostLink, k.HostLink} {
		if port, err := netlink.LinkByName(l); err != nil || port.Attrs().MasterIndex == 0 {
			t.Errorf("%s is no port: %+v, %v", l, port, err)
		}
	}
	// The next pod finds rules flushed, and makes everybody's.
	flushRuleset(t)
	detach(t, s, "b")
	attach(t, s, &Attach{UID: "b", Network: n})
	if after := ruleset(t); sorted(after) != sorted(before) {
		t.Errorf("rules after Attach:\n%s\nwant\n%s", after, before)
	}
}

// TestReloadDamaged has a definition that cannot be read keep no other network from
// its rules.
func TestReloadDamaged(t *testing.T) {
	rung.Privileged(t)
	s, _ := testNetworks(t, "a", "b", "c")
	bad, good := create(t, s, smallNet()), create(t, s, NetworkOptions{Name: "good"})
	attach(t, s, &Attach{UID: "a", Network: bad})
	attach(t, s, &Attach{UID: "b", Network: good, Ports: []Port{{HostPort: 8080, ContainerPort: 80, Protocol: TCP}}})
	whole := ruleset(t)
	published, err := s.Rules("b")
	if err != nil || len(published) == 0 {
		t.Fatalf("Rules = %q, %v; want some", published, err)
	}
	text, err := os.ReadFile(s.definition(bad.Name))
	if err == nil {
		err = os.WriteFile(s.definition(bad.Name), []byte("{"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	reload := func() {
		t.Helper()
		if err := s.Reload(); err == nil || !strings.Contains(err.Error(), s.definition(bad.Name)) {
			t.Errorf("Reload = %v; want an error of %q", err, s.definition(bad.Name))
		}
	}
	reload()
	if after := ruleset(t); sorted(after) != sorted(whole) {
		t.Errorf("rules that were whole, after Reload:\n%s\nwant\n%s", after, whole)
	}
	back := func(what string) {
		t.Helper()
		if rules, err := s.Rules("b"); err != nil || !slices.Equal(rules, published) {
			t.Errorf("%s: rules %q, %v; want %q", what, rules, err, published)
		}
	}
	flushRuleset(t)
	reload()
	back("Reload")
	flushRuleset(t)
	attach(t, s, &Attach{UID: "c", Network: good})
	back("Attach")
	if err := os.WriteFile(s.definition(bad.Name), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil {
		t.Error(err)
	}
	if after := ruleset(t); sorted(after) != sorted(whole) {
		t.Errorf("rules once the definition is back:\n%s\nwant\n%s", after, whole)
	}
}

// sorted is a ruleset without the order of its lines, which for elements of sets
// is none.
func sorted(rules string) string {
	lines := strings.FieldsFunc(rules, func(r rune) bool { return r == '\n' || r == ',' })
	for i := range lines {
		lines[i] = strings.Trim(strings.TrimPrefix(strings.TrimSpace(lines[i]), "elements = "), "{} \t")
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestForwarding sets what is needed, once, and records what was there.
func TestForwarding(t *testing.T) {
	rung.Privileged(t)
	s, _ := testNetworks(t, "a", "b")
	names := []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv6/conf/default/accept_ra"}
	read := func() (values []string) {
		for _, name := range names {
			v, err := readSysctl(name)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, v)
		}
		return values
	}
	before := read()
	t.Cleanup(func() {
		for i, name := range names {
			if err := writeSysctl(name, before[i]); err != nil {
				t.Error(err)
			}
		}
	})
	for i, v := range []string{"0", "0", "1"} {
		if err := writeSysctl(names[i], v); err != nil {
			t.Fatal(err)
		}
	}
	internal := create(t, s, NetworkOptions{Name: "internal", Internal: true})
	attach(t, s, &Attach{UID: "a", Network: internal})
	if got := read(); !slices.Equal(got, []string{"0", "0", "1"}) {
		t.Errorf("%q = %q with an internal network; want no change", names, got)
	}
	n := create(t, s, NetworkOptions{Name: "n"})
	for range 2 {
		attach(t, s, &Attach{UID: "b", Network: n})
		if got := read(); !slices.Equal(got, []string{"1", "1", "2"}) {
			t.Errorf("%q = %q; want 1, 1, 2", names, got)
		}
		b, err := os.ReadFile(s.Run + "/" + sysctlFile)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"ipv4/ip_forward": "0"`, `"ipv6/conf/all/forwarding": "0"`, `"ipv6/conf/default/accept_ra": "1"`} {
			if !strings.Contains(string(b), want) {
				t.Errorf("%s is %s; want %s", sysctlFile, b, want)
			}
		}
		detach(t, s, "b")
	}
}

// TestForwardingOfBridge has a host that forwards, but not what comes in by new links:
// net.ipv4.conf.default.forwarding is set apart from ip_forward.
func TestForwardingOfBridge(t *testing.T) {
	rung.Privileged(t)
	setSysctl(t, "ipv4/conf/default/forwarding", "0")
	setSysctl(t, "ipv4/ip_forward", "1")
	if err := sysctl("ipv4/conf/default/forwarding", "0"); err != nil {
		t.Fatal(err)
	}
	s, _ := testNetworks(t, "a", "b")
	n := create(t, s, smallNet())
	attach(t, s, &Attach{UID: "a", Network: n})
	internal := create(t, s, NetworkOptions{Name: "internal", Internal: true})
	attach(t, s, &Attach{UID: "b", Network: internal})
	for link, want := range map[string]string{n.Bridge: "1", internal.Bridge: "0"} {
		if v, err := readSysctl("ipv4/conf/" + link + "/forwarding"); v != want || err != nil {
			t.Errorf("forwarding of %s is %q, %v; want %s", link, v, err, want)
		}
	}
	if v, err := readSysctl("ipv4/conf/default/forwarding"); v != "0" || err != nil {
		t.Errorf("forwarding of new links is %q, %v; want 0 as before", v, err)
	}
}

// flushRuleset takes all rules, as firewalls do when they start.
func flushRuleset(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("nft", "flush", "ruleset").CombinedOutput(); err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
}
