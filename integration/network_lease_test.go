package integration

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// bare makes a pod without containers, and without a volume for agents.
func (w *netWorld) bare(t *testing.T, name string, flags ...string) *netPod {
	t.Helper()
	args := append([]string{"pod", "create"}, flags...)
	p := &netPod{uid: strings.TrimSpace(w.ok(t, append(args, name)...).stdout), name: name}
	p.info = w.network(t, name)
	return p
}

// TestNetworkLease: an address is one pod's, until it is given back.
func TestNetworkLease(t *testing.T) {
	natively(t)
	w := newNetWorld(t)
	rm := func(t *testing.T, pods ...string) {
		t.Helper()
		w.ok(t, append([]string{"pod", "rm"}, pods...)...)
	}

	t.Run("one after another", func(t *testing.T) {
		first := w.bare(t, "p", "--network", "bridge")
		got := addresses(t, w.netns(first.uid))
		var want []string
		for _, a := range first.info.Interface.Addresses {
			want = append(want, "eth0 "+a.String())
		}
		if !slices.Equal(got, want) || len(want) != 2 {
			t.Errorf("addresses %q; want those that inspect tells, one of each family: %q", got, want)
		}
		rm(t, "p")
		again := w.bare(t, "p", "--network", "bridge")
		for _, six := range []bool{false, true} {
			if again.info.addr(t, six) == first.info.addr(t, six) {
				t.Errorf("address %s of a pod that has just gone is used again", again.info.addr(t, six))
			}
		}
		if again.uid == first.uid {
			t.Errorf("UID %s of a pod that has just gone is used again", again.uid)
		}
		rm(t, "p")
	})

	w.ok(t, "network", "create", "--subnet", "10.99.1.0/24", "--subnet", "fd00:99:1::/64", "wide")
	t.Run("asked for", func(t *testing.T) {
		p := w.bare(t, "p", "--network", "wide", "--ip", "10.99.1.77", "--ip", "fd00:99:1::77", "--mac-address", "02:00:00:00:00:77")
		if got, want := addresses(t, w.netns(p.uid)), []string{"eth0 10.99.1.77/24", "eth0 fd00:99:1::77/64"}; !slices.Equal(got, want) {
			t.Errorf("addresses %q; want %q", got, want)
		}
		if got := runIn(t, w.netns(p.uid), "", "ip", "link", "show", "eth0"); !strings.Contains(got, "02:00:00:00:00:77") || p.info.Interface.MAC != "02:00:00:00:00:77" {
			t.Errorf("MAC address %q of %s; want 02:00:00:00:00:77", p.info.Interface.MAC, got)
		}
		taken := func(name, ip string) refusal {
			return refusal{name: name, args: []string{"pod", "create", "--network", "wide", "--ip", ip, "q"}, code: 1, words: []string{`"p"`, ip}}
		}
		w.refuse(t, []refusal{
			taken("taken", "10.99.1.77"), taken("taken6", "fd00:99:1::77"),
			{name: "gateway", args: []string{"pod", "create", "--network", "wide", "--ip", "10.99.1.1", "q"}, code: 1, words: []string{"10.99.1.1", "gateway"}},
			{name: "network", args: []string{"pod", "create", "--network", "wide", "--ip", "10.99.1.0", "q"}, code: 1, words: []string{"10.99.1.0"}},
			{name: "broadcast", args: []string{"pod", "create", "--network", "wide", "--ip", "10.99.1.255", "q"}, code: 1, words: []string{"10.99.1.255", "broadcast"}},
			{name: "outside", args: []string{"pod", "create", "--network", "wide", "--ip", "10.99.2.1", "q"}, code: 1, words: []string{`"wide"`, "10.99.2.1"}},
			{name: "no such family", args: []string{"pod", "create", "--network", "four", "--ip", "fd00::1", "q"}, code: 1, words: []string{"fd00::1"}, before: func(t *testing.T) {
				w.ok(t, "network", "create", "--ipv6=false", "four")
			}},
		})
		rm(t, "p")
		w.bare(t, "q", "--network", "wide", "--ip", "10.99.1.77", "--ip", "fd00:99:1::77")
		rm(t, "q")
	})

	t.Run("from a range", func(t *testing.T) {
		w.ok(t, "network", "create", "--subnet", "10.99.2.0/24", "--ip-range", "10.99.2.128/30", "--ipv6=false", "ranged")
		within := netip.MustParsePrefix("10.99.2.128/30")
		for _, name := range []string{"p", "q"} {
			p := w.bare(t, name, "--network", "ranged")
			if a := p.info.Interface.Addresses[0].Addr(); !within.Contains(a) {
				t.Errorf("address %s; want one in %s", a, within)
			}
		}
		w.bare(t, "static", "--network", "ranged", "--ip", "10.99.2.9") // may be anywhere in the subnet
		rm(t, "p", "q", "static")
	})

	for _, tt := range []struct {
		subnet string
		pods   []string
	}{
		{"10.99.3.0/30", []string{"p1"}},
		{"10.99.3.0/29", []string{"p1", "p2", "p3", "p4", "p5"}},
		{"fd00:99:3::/126", []string{"p1", "p2"}},
	} {
		t.Run("full "+strings.ReplaceAll(tt.subnet, "/", "-"), func(t *testing.T) {
			family := "--ipv6=false"
			if strings.Contains(tt.subnet, ":") {
				family = "--ipv4=false"
			}
			w.ok(t, "network", "create", "--subnet", tt.subnet, family, "small")
			used := make(map[netip.Prefix]string)
			for _, name := range tt.pods {
				a := w.bare(t, name, "--network", "small").info.Interface.Addresses
				if other := used[a[0]]; len(a) != 1 || other != "" {
					t.Errorf("pod %q: addresses %v; pod %q has it", name, a, other)
				}
				used[a[0]] = name
			}
			w.refuse(t, []refusal{{name: "one more", args: []string{"pod", "create", "--network", "small", "q"}, code: 1, words: []string{`"small"`, tt.subnet}}})
			freed := w.network(t, "p1").Interface.Addresses[0]
			rm(t, "p1")
			if a := w.bare(t, "q", "--network", "small").info.Interface.Addresses[0]; a != freed {
				t.Errorf("address %s; want %s, the only one that is free", a, freed)
			}
			rm(t, append(tt.pods[1:len(tt.pods):len(tt.pods)], "q")...)
			w.ok(t, "network", "rm", "small")
		})
	}
}
