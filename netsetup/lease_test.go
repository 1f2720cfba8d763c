package netsetup

import (
	"errors"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// leased is what lease returns for a pod of UID uid, without an interface.
func leased(s *Networks, n *Network, uid string, ips ...netip.Addr) ([]netip.Addr, error) {
	return s.lease(&Attach{UID: uid, Names: []string{uid + "-host"}, IPs: ips}, n)
}

func testNetwork(subnets ...string) *Network {
	n := &Network{Version: 1, Name: "n", Bridge: "podrt-1"}
	for _, p := range subnets {
		n.Subnets = append(n.Subnets, Subnet{Subnet: prefix(p), Gateway: prefix(p).Addr().Next()})
	}
	return n
}

func TestLeaseRoundRobin(t *testing.T) {
	s, _ := testNetworks(t, "a", "b", "c")
	n := testNetwork("192.0.2.0/29", "2001:db8::/64")
	want := func(uid string, wanted ...string) {
		t.Helper()
		got, err := leased(s, n, uid)
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range wanted {
			if got[i] != addr(w) {
				t.Errorf("pod %s: leases %v; want %v", uid, got, wanted)
			}
		}
	}
	release := func(uid string, wantOthers bool) {
		t.Helper()
		for range 2 {
			if others, err := s.releaseLeases("n", uid); err != nil || others != wantOthers {
				t.Errorf("releaseLeases(%s) = %t, %v; want %t", uid, others, err, wantOthers)
			}
		}
	}
	want("a", "192.0.2.2", "2001:db8::2") // not the network's own, nor the gateway
	want("b", "192.0.2.3", "2001:db8::3")
	release("a", true)
	want("c", "192.0.2.4", "2001:db8::4") // not what has just been given back
	release("c", true)
	want("c", "192.0.2.5", "2001:db8::5")
	release("c", true)
	want("c", "192.0.2.6", "2001:db8::6")
	want("a", "192.0.2.2", "2001:db8::2") // not the broadcast address
	release("a", true)
	release("b", true)
	release("c", false)
	want("a", "192.0.2.3", "2001:db8::3")
	// The hint can be anything.
	if err := os.WriteFile(s.leaseDir("n")+"/.last", []byte("192.0.2.\x00\nfe80::1\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want("b", "192.0.2.2", "2001:db8::2")
}

func TestLeaseFull(t *testing.T) {
	s, _ := testNetworks(t, "a", "b")
	n := testNetwork("192.0.2.0/24")
	n.Subnets[0].Range = prefix("192.0.2.254/31")
	if got, err := leased(s, n, "a"); err != nil || got[0] != addr("192.0.2.254") {
		t.Fatal(got, err)
	}
	_, err := leased(s, n, "b")
	var full *FullError
	if !errors.As(err, &full) || full.Leased != 1 || full.Pool != n.Subnets[0].Range || full.Network != "n" {
		t.Errorf("lease of a full range = %v; want FullError of 1", err)
	}
	// Outside the range, on request.
	if got, err := leased(s, n, "b", addr("192.0.2.7")); err != nil || got[0] != addr("192.0.2.7") {
		t.Error(got, err)
	}
}

func TestLeaseStatic(t *testing.T) {
	s, _ := testNetworks(t, "a", "b")
	n := testNetwork("192.0.2.0/24", "2001:db8::/64")
	if got, err := leased(s, n, "a", addr("2001:db8::5")); err != nil || got[0] != addr("192.0.2.2") || got[1] != addr("2001:db8::5") {
		t.Error(got, err)
	}
	_, err := leased(s, n, "b", addr("2001:db8::5"))
	var taken *AddressTakenError
	if !errors.As(err, &taken) || taken.UID != "a" || taken.Addr != addr("2001:db8::5") {
		t.Errorf("lease of a taken address = %v; want AddressTakenError of pod a", err)
	}
}

func TestLeaseOfOtherBoot(t *testing.T) {
	s, _ := testNetworks(t, "a", "b")
	n := testNetwork("192.0.2.0/30")
	if _, err := leased(s, n, "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := leased(s, n, "b"); err == nil {
		t.Fatal("two leases of one address")
	}
	s.BootID = "other"
	if members, err := s.Members("n"); err != nil || len(members) != 0 {
		t.Errorf("Members after a reboot = %v, %v; want none", members, err)
	}
	if got, err := leased(s, n, "b"); err != nil || got[0] != addr("192.0.2.2") {
		t.Errorf("lease after a reboot = %v, %v", got, err)
	}
	if l, err := s.leases("n"); err != nil || len(l) != 1 || l[0].uid != "b" {
		t.Errorf("leases %v, %v; want b's", l, err)
	}
}

func TestMembers(t *testing.T) {
	s, live := testNetworks(t, "a", "b", "c")
	n := testNetwork("192.0.2.0/24", "2001:db8::/64")
	if m, err := s.Members("n"); err != nil || len(m) != 0 {
		t.Errorf("Members of a network without any = %v, %v", m, err)
	}
	for _, uid := range []string{"a", "b", "c"} {
		if _, err := leased(s, n, uid); err != nil {
			t.Fatal(err)
		}
	}
	*live = []string{"a", "c"}
	got, err := s.Members("n")
	want := []Member{
		{"a", []string{"a-host"}, []netip.Addr{addr("192.0.2.2"), addr("2001:db8::2")}},
		{"c", []string{"c-host"}, []netip.Addr{addr("192.0.2.4"), addr("2001:db8::4")}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Members = %v, %v; want %v", got, err, want)
	}
	if err := os.Symlink("nonsense", s.leaseDir("n")+"/192.0.2.9"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Members("n"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Members beside a damaged lease = %v, %v; want %v", got, err, want)
	}
}

func TestPodMAC(t *testing.T) {
	for _, test := range []struct {
		addrs []netip.Addr
		want  string
	}{
		{[]netip.Addr{addr("10.87.0.2")}, "0a:58:0a:57:00:02"},
		{[]netip.Addr{addr("2001:db8::2"), addr("10.87.0.2")}, "0a:58:0a:57:00:02"},
	} {
		if got := podMAC(test.addrs).String(); got != test.want {
			t.Errorf("podMAC(%v) = %s; want %s", test.addrs, got, test.want)
		}
	}
	one, two := podMAC([]netip.Addr{addr("2001:db8::2")}), podMAC([]netip.Addr{addr("2001:db8::3")})
	if one[0] != 0x0a || slices.Equal(one, two) {
		t.Errorf("podMAC of two addresses = %s, %s; want different ones", one, two)
	}
}

func TestAttachCheck(t *testing.T) {
	n := testNetwork("192.0.2.0/24", "2001:db8::/64")
	for _, test := range []struct {
		err string
		a   Attach
	}{
		{"", Attach{UID: "a", Network: n}},
		{"", Attach{UID: "a", Network: n, MAC: "02:00:00:00:00:01", Names: []string{"h"}, IPs: []netip.Addr{addr("2001:db8::2"), addr("192.0.2.9")}}},
		{"no network", Attach{UID: "a"}},
		{`pod UID "a/b"`, Attach{UID: "a/b", Network: n}},
		{`pod UID ""`, Attach{Network: n}},
		{`hostname "a/b"`, Attach{UID: "a", Network: n, Names: []string{"a/b"}}},
		{`MAC address "x"`, Attach{UID: "a", Network: n, MAC: "x"}},
		{"want six bytes", Attach{UID: "a", Network: n, MAC: "02:00:00:00:00:00:00:01"}},
		{"is not one interface's", Attach{UID: "a", Network: n, MAC: "ff:ff:ff:ff:ff:ff"}},
		{"is not one interface's", Attach{UID: "a", Network: n, MAC: "00:00:00:00:00:00"}},
		{"address 192.0.3.1 is in none of its subnets", Attach{UID: "a", Network: n, IPs: []netip.Addr{addr("192.0.3.1")}}},
		{"address 192.0.2.1 is the gateway", Attach{UID: "a", Network: n, IPs: []netip.Addr{addr("192.0.2.1")}}},
		{"address 192.0.2.0 is the network's own", Attach{UID: "a", Network: n, IPs: []netip.Addr{addr("192.0.2.0")}}},
		{"address 192.0.2.255 is the broadcast address", Attach{UID: "a", Network: n, IPs: []netip.Addr{addr("192.0.2.255")}}},
		{"are of one subnet", Attach{UID: "a", Network: n, IPs: []netip.Addr{addr("192.0.2.2"), addr("192.0.2.3")}}},
		{"in none of its subnets", Attach{UID: "a", Network: n, IPs: []netip.Addr{{}}}},
		{"ingress bandwidth 10 bit/s", Attach{UID: "a", Network: n, Bandwidth: Bandwidth{Ingress: 10}}},
		{"egress bandwidth 1000000000000001 bit/s", Attach{UID: "a", Network: n, Bandwidth: Bandwidth{Egress: 1e15 + 1}}},
		{"egress bandwidth 4000 bit/s: want 4196 to", Attach{UID: "a", Network: &Network{Name: "j", MTU: 65535}, Bandwidth: Bandwidth{Egress: 4000}}},
		{"internal: it publishes no ports", Attach{UID: "a", Network: &Network{Name: "i", Internal: true}, Ports: []Port{{}}}},
	} {
		_, err := test.a.check()
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%+v: %v; want %q", test.a, err, test.err)
		}
	}
}
