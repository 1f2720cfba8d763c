package netsetup

import (
	"net/netip"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// TestForgetOld: what the kernel remembers of pods that are gone is forgotten
// before their addresses are used once more, and of those that live it is not.
func TestForgetOld(t *testing.T) {
	w := newWorld(t)
	n := w.red
	if err := os.MkdirAll(w.leaseDir(n.Name), 0o700); err != nil {
		t.Fatal(err)
	}
	w.outside.serve(t, "outside", 81)
	// Both pods of the network have connections; "two" is there, "one" is not.
	if err := os.Symlink(w.BootID+"/two/two", w.leaseDir(n.Name)+"/"+w.two.addrs[0].String()); err != nil {
		t.Fatal(err)
	}
	has := func(p *pod) bool {
		for _, f := range flows(t, unix.AF_INET) {
			if f.Forward.SrcIP.Equal(p.addrs[0].AsSlice()) {
				return true
			}
		}
		return false
	}
	for _, step := range []struct {
		what   string
		use    reuse
		addrs  []netip.Addr
		forget bool
	}{
		{"the round goes on", reuse{}, nil, false},
		{"the round begins", reuse{again: true}, nil, true},
		{"the round goes on once more", reuse{}, nil, false},
		{"out of turn", reuse{asked: true}, w.one.addrs, true},
		{"after one out of turn", reuse{}, nil, true},
		{"the next round begins", reuse{again: true}, nil, true},
		{"and goes on", reuse{}, nil, false},
	} {
		for _, p := range []*pod{w.one, w.two} {
			p.reaches(t, "192.0.2.2:81", "outside 192.0.2.1")
			if !has(p) {
				t.Fatalf("%s: no connection of pod %s", step.what, p.uid)
			}
		}
		if err := w.forgetOld(n, w.leaseDir(n.Name), step.addrs, step.use); err != nil {
			t.Fatal(err)
		}
		if has(w.one) == step.forget || !has(w.two) {
			t.Errorf("%s: connections of the pod that is gone: %t, of the other: %t; want %t and true", step.what, has(w.one), has(w.two), !step.forget)
		}
	}
}

// TestLeaseRounds: which leases begin a round, by what is forgotten then.
func TestLeaseRounds(t *testing.T) {
	s, _ := testNetworks(t, "a", "b", "c", "d", "e", "f")
	n, err := s.Create(NetworkOptions{Name: "n", NoIPv6: true, Subnets: []Subnet{{Subnet: netip.MustParsePrefix("203.0.113.0/29")}}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, step := range []struct{ uid, ip string }{{"a", ""}, {"b", ""}, {"c", "203.0.113.6"}, {"d", ""}, {"", "c"}, {"e", ""}, {"f", ""}} {
		if step.uid == "" {
			if _, err := s.releaseLeases(n.Name, step.ip); err != nil {
				t.Fatal(err)
			}
			continue
		}
		a := &Attach{UID: step.uid, Network: n}
		if step.ip != "" {
			a.IPs = []netip.Addr{netip.MustParseAddr(step.ip)}
		}
		addrs, err := s.lease(a, n)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, addrs[0].String())
	}
	// An address that was asked for does not move the round.
	want := []string{"203.0.113.2", "203.0.113.3", "203.0.113.6", "203.0.113.4", "203.0.113.5", "203.0.113.6"}
	if !slices.Equal(got, want) {
		t.Errorf("leases %q; want %q", got, want)
	}
}
