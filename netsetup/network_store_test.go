package netsetup

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

// docNet is a subnet that no host has (RFC 5737).
func docNet() []Subnet { return []Subnet{{Subnet: prefix("203.0.113.0/24")}} }

func TestCreate(t *testing.T) {
	s, _ := testNetworks(t)
	if all, err := s.List(); err != nil || len(all) != 0 {
		t.Errorf("List() before the first = %v, %v; want none", all, err)
	}
	made, err := s.Create(NetworkOptions{
		Name: "n", Subnets: []Subnet{{Subnet: prefix("203.0.113.0/24"), Range: prefix("203.0.113.128/25")}, {Subnet: prefix("2001:db8::/64"), Gateway: addr("2001:db8::ff")}},
		MTU: 1400, VLAN: 7, Internal: true, Open: true, NoNames: true, Labels: map[string]string{"a": "b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Network{
		Version: 1, Name: "n", Bridge: made.Bridge, Created: made.Created,
		Subnets: []Subnet{
			{Subnet: prefix("203.0.113.0/24"), Gateway: addr("203.0.113.1"), Range: prefix("203.0.113.128/25")},
			{Subnet: prefix("2001:db8::/64"), Gateway: addr("2001:db8::ff")},
		},
		MTU: 1400, VLAN: 7, Internal: true, NoNames: true, Labels: map[string]string{"a": "b"},
	}
	got, err := s.Get("n")
	if err != nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("Get = %+v, %v; want %+v", got, err, want)
	}
	if !strings.HasPrefix(got.Bridge, "podrt-") || len(got.Bridge) != 14 {
		t.Errorf("bridge %q; want podrt- and 8 digits", got.Bridge)
	}
	if _, err := s.Create(NetworkOptions{Name: "n"}); !errors.Is(err, ErrNetworkExists) {
		t.Errorf("Create again = %v; want ErrNetworkExists", err)
	}
	_, err = s.Create(NetworkOptions{Name: "m", Subnets: []Subnet{{Subnet: prefix("203.0.113.128/25")}}})
	if err == nil || !strings.Contains(err.Error(), `subnet 203.0.113.128/25 overlaps 203.0.113.0/24, of network "n"`) {
		t.Errorf("Create of an overlapping one = %v", err)
	}
	if _, err := s.Get("m"); !errors.Is(err, ErrNoNetwork) {
		t.Errorf("Get of a network that could not be made = %v; want ErrNoNetwork", err)
	}
	left, err := filepath.Glob(s.Config + "/*")
	if hidden, _ := filepath.Glob(s.Config + "/.*"); err != nil || len(left) != 1 || len(hidden) != 0 {
		t.Errorf("files %q, %q; want n.json alone", left, hidden)
	}
}

func TestCreateChooses(t *testing.T) {
	s, _ := testNetworks(t)
	var seen []netip.Prefix
	for _, o := range []NetworkOptions{{Name: "a"}, {Name: "b", NoIPv6: true}, {Name: "c", Subnets: docNet()}} {
		n, err := s.Create(o)
		if err != nil {
			t.Fatal(err)
		}
		if !n.Isolated || n.Internal || n.Version != 1 {
			t.Errorf("%+v: want it isolated, not internal", n)
		}
		four := n.Subnets[0].Subnet
		if o.Subnets == nil && (four.Bits() != 24 || !prefix("10.87.0.0/16").Contains(four.Addr())) {
			t.Errorf("subnet %s; want a /24 of 10.87.0.0/16", four)
		}
		if six := usesIPv6() && !o.NoIPv6; six != (len(n.Subnets) == 2) {
			t.Errorf("network %q has subnets %v; want IPv6: %t", o.Name, n.Subnets, six)
		} else if six {
			p := n.Subnets[1].Subnet
			if p.Bits() != 64 || !prefix("fd00::/8").Contains(p.Addr()) || n.Subnets[1].Gateway != p.Addr().Next() {
				t.Errorf("subnet %v; want a /64 of fd00::/8", n.Subnets[1])
			}
		}
		for _, sub := range n.Subnets {
			for _, p := range seen {
				if p.Overlaps(sub.Subnet) {
					t.Errorf("subnets %s and %s overlap", p, sub.Subnet)
				}
			}
			seen = append(seen, sub.Subnet)
		}
	}
	n, err := s.Default()
	if err != nil || n.Bridge != "podrt0" || n.Name != DefaultNetwork {
		t.Errorf("Default() = %+v, %v; want podrt0", n, err)
	}
	again, err := s.Default()
	if err != nil || !reflect.DeepEqual(again, n) {
		t.Errorf("Default() = %+v, %v; want what it was: %+v", again, err, n)
	}
}

func TestCreateErrors(t *testing.T) {
	s, _ := testNetworks(t)
	for _, test := range []struct {
		err string
		o   NetworkOptions
	}{
		{`network name "a/b"`, NetworkOptions{Name: "a/b"}},
		{"MTU 10", NetworkOptions{Name: "n", MTU: 10}},
		{"VLAN 5000", NetworkOptions{Name: "n", VLAN: 5000}},
		{"no subnet", NetworkOptions{Name: "n", NoIPv4: true, NoIPv6: true}},
		{"none is given", NetworkOptions{Name: "n", Subnets: []Subnet{{}}}},
		{"host bits set", NetworkOptions{Name: "n", Subnets: []Subnet{{Subnet: prefix("203.0.113.1/24")}}}},
		{"is to be left out", NetworkOptions{Name: "n", Subnets: docNet(), NoIPv4: true}},
		{"of one family", NetworkOptions{Name: "n", Subnets: append(docNet(), Subnet{Subnet: prefix("198.51.100.0/24")})}},
		{"gateway 10.0.0.1 is not in the subnet", NetworkOptions{Name: "n", Subnets: []Subnet{{Subnet: prefix("203.0.113.0/24"), Gateway: addr("10.0.0.1")}}}},
	} {
		if _, err := s.Create(test.o); err == nil || !strings.Contains(err.Error(), test.err) {
			t.Errorf("Create(%+v) = %v; want %q", test.o, err, test.err)
		}
	}
	if all, err := s.List(); err != nil || len(all) != 0 {
		t.Errorf("List() = %v, %v; want none", all, err)
	}
}

func TestListDamaged(t *testing.T) {
	s, _ := testNetworks(t)
	if _, err := s.Create(NetworkOptions{Name: "good"}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(s.Config + "/good.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"bad.json": "{", "other.json": string(b), ".tmp": "{", "README": "x"} {
		if err := os.WriteFile(filepath.Join(s.Config, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.List()
	if len(all) != 1 || all[0].Name != "good" {
		t.Errorf("List() = %v; want the good one", all)
	}
	if err == nil || !strings.Contains(err.Error(), "bad.json") || !strings.Contains(err.Error(), `other.json": it defines network "good"`) || strings.Contains(err.Error(), "README") {
		t.Errorf("List() = %v; want an error for bad.json and other.json", err)
	}
	// What they have is not known.
	if _, err := s.Create(NetworkOptions{Name: "new"}); err == nil {
		t.Error("Create beside a damaged definition: no error")
	}
}

func TestBridgeName(t *testing.T) {
	if got := bridgeName("bridge", nil); got != "podrt0" {
		t.Errorf("bridgeName(bridge) = %q", got)
	}
	one := bridgeName("x", nil)
	if two := bridgeName("x", []*Network{{Bridge: one}}); two == one || !strings.HasPrefix(two, "podrt-") {
		t.Errorf("bridgeName(x) = %q, with that one taken %q", one, two)
	}
}

// TestLockPatience: a podrt that is stopped does not stop all others for good.
func TestLockPatience(t *testing.T) {
	s, _ := testNetworks(t, "a")
	lockPatience = 10 * time.Millisecond
	t.Cleanup(func() { lockPatience = time.Minute })
	unlock, err := s.lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.lock(); err == nil || !strings.Contains(err.Error(), s.Run+`/lock" for 10ms`) {
		t.Errorf("lock of what is locked = %v; want an error that names it", err)
	}
	unlock()
	lockPatience = time.Minute
	for range 2 { // the wait that was given up keeps nothing
		unlock, err := s.lock()
		if err != nil {
			t.Fatal(err)
		}
		unlock()
	}
}
