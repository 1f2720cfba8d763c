package netsetup

import (
	"net/netip"
	"strings"
	"testing"
)

func TestCheckNetworkName(t *testing.T) {
	for _, name := range []string{"bridge", "a", "0", "my_net.1-x", strings.Repeat("n", 63)} {
		if err := CheckNetworkName(name); err != nil {
			t.Errorf("CheckNetworkName(%q) = %v; want none", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", ".x", "-x", "_x", "a/b", "a b", "a\n", "ns:x", "host", "none", "container", "ns", "ä", strings.Repeat("n", 64)} {
		if err := CheckNetworkName(name); err == nil || !strings.Contains(err.Error(), "network name") {
			t.Errorf("CheckNetworkName(%q) = %v; want an error that says so", name, err)
		}
	}
}

func TestParseNetwork(t *testing.T) {
	const good = `"version":1,"name":"n","bridge":"podrt-1","isolated":true,"created":"2026-01-02T03:04:05Z"`
	const subnets = `,"subnets":[{"subnet":"10.1.0.0/24","gateway":"10.1.0.1"}]`
	for _, test := range []struct{ name, json, err string }{
		{"good", `{` + good + subnets + `}`, ""},
		{"both families", `{` + good + `,"subnets":[{"subnet":"10.1.0.0/24","gateway":"10.1.0.9","range":"10.1.0.128/25"},{"subnet":"fd00::/64","gateway":"fd00::1"}],"mtu":1280,"vlan":4094}`, ""},
		{"unknown field", `{` + good + subnets + `,"mtuu":1}`, `unknown field "mtuu"`},
		{"two", `{` + good + subnets + `}{}`, "something follows"},
		{"not JSON", `x`, "invalid character"},
		{"version", `{"version":2}`, "version 2 is not supported"},
		{"no version", `{}`, "version 0 is not supported"},
		{"name", `{` + strings.Replace(good, `"n"`, `"../n"`, 1) + subnets + `}`, `network name "../n"`},
		{"bridge", `{` + strings.Replace(good, `"podrt-1"`, `"a/b"`, 1) + subnets + `}`, `"a/b" cannot name a link`},
		{"long bridge", `{` + strings.Replace(good, `"podrt-1"`, `"podrt-1234567890"`, 1) + subnets + `}`, "1 to 15 bytes"},
		{"no subnet", `{` + good + `}`, "no subnet"},
		{"two of one family", `{` + good + `,"subnets":[{"subnet":"10.1.0.0/24","gateway":"10.1.0.1"},{"subnet":"10.2.0.0/24","gateway":"10.2.0.1"}]}`, "of one family"},
		{"three", `{` + good + `,"subnets":[{"subnet":"10.1.0.0/24","gateway":"10.1.0.1"},{"subnet":"fd00::/64","gateway":"fd00::1"},{"subnet":"fd01::/64","gateway":"fd01::1"}]}`, "of one family"},
		{"MTU 67", `{` + good + subnets + `,"mtu":67}`, "MTU 67: want 68 to 65535"},
		{"MTU 65536", `{` + good + subnets + `,"mtu":65536}`, "MTU 65536"},
		{"MTU -1", `{` + good + subnets + `,"mtu":-1}`, "MTU -1"},
		{"MTU of IPv6", `{` + good + `,"subnets":[{"subnet":"fd00::/64","gateway":"fd00::1"}],"mtu":1279}`, "MTU 1279: IPv6 wants at least 1280"},
		{"VLAN", `{` + good + subnets + `,"vlan":4095}`, "VLAN 4095: want 1 to 4094"},
		{"VLAN -1", `{` + good + subnets + `,"vlan":-1}`, "VLAN -1"},
	} {
		n, err := parseNetwork([]byte(test.json))
		switch {
		case test.err == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.err == "" && n.Name != "n":
			t.Errorf("%s: %+v", test.name, n)
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("%s: error %v; want %q", test.name, err, test.err)
		}
	}
}

func TestSubnetCheck(t *testing.T) {
	for _, test := range []struct{ subnet, gateway, pool, err string }{
		{"10.1.0.0/24", "10.1.0.1", "", ""},
		{"10.1.0.0/30", "10.1.0.2", "", ""},
		{"10.0.0.0/8", "10.255.255.254", "10.1.0.0/16", ""},
		{"fd00::/64", "fd00::1", "fd00::100/120", ""},
		{"2001:db8::/126", "2001:db8::3", "", ""},
		{"10.1.0.1/24", "10.1.0.1", "", "host bits set: want 10.1.0.0/24"},
		{"10.1.0.0/31", "10.1.0.1", "", "8 to 30 bits"},
		{"10.0.0.0/7", "10.0.0.1", "", "8 to 30 bits"},
		{"fd00::/127", "fd00::1", "", "16 to 126 bits"},
		{"fd00::/15", "fd00::1", "", "16 to 126 bits"},
		{"::ffff:10.1.0.0/120", "::ffff:10.1.0.1", "", "written as IPv6"},
		{"127.0.0.0/8", "127.0.0.1", "", "cannot be a network's"},
		{"224.0.0.0/8", "224.0.0.1", "", "cannot be a network's"},
		{"240.0.0.0/8", "240.0.0.1", "", "cannot be a network's"},
		{"0.0.0.0/8", "0.0.0.1", "", "cannot be a network's"},
		{"169.254.0.0/16", "169.254.0.1", "", "cannot be a network's"},
		{"fe80::/64", "fe80::1", "", "cannot be a network's"},
		{"ff00::/16", "ff00::1", "", "cannot be a network's"},
		{"10.1.0.0/24", "10.1.1.1", "", "gateway 10.1.1.1 is not in the subnet"},
		{"10.1.0.0/24", "10.1.0.0", "", "gateway 10.1.0.0 is the network's own"},
		{"10.1.0.0/24", "10.1.0.255", "", "gateway 10.1.0.255 is the broadcast address"},
		{"fd00::/64", "fd00::", "", "gateway fd00:: is that of any router"},
		{"fd00::/64", "10.1.0.1", "", "is not in the subnet"},
		{"10.1.0.0/24", "", "", "is no address"},
		{"10.1.0.0/24", "10.1.0.1", "10.1.0.0/23", "range 10.1.0.0/23 is not in the subnet"},
		{"10.1.0.0/24", "10.1.0.1", "10.1.1.0/25", "is not in the subnet"},
		{"10.1.0.0/24", "10.1.0.1", "10.1.0.1/25", "range 10.1.0.1/25 has host bits set: want 10.1.0.0/25"},
		{"10.1.0.0/24", "10.1.0.1", "fd00::/64", "is not in the subnet"},
	} {
		s := Subnet{Subnet: netip.MustParsePrefix(test.subnet)}
		if test.gateway != "" {
			s.Gateway = netip.MustParseAddr(test.gateway)
		}
		if test.pool != "" {
			s.Range = netip.MustParsePrefix(test.pool)
		}
		err := s.check()
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%+v: %v; want %q", s, err, test.err)
		}
	}
}

func TestClashes(t *testing.T) {
	for _, test := range []struct {
		used string
		far  bool
		p    string
		want bool
	}{
		{"10.1.0.0/24", false, "10.1.0.0/24", true},
		{"10.0.0.0/8", false, "10.1.0.0/24", true},
		{"10.0.0.0/8", true, "10.1.0.0/24", false}, // the narrower one wins in routing
		{"10.1.0.0/24", true, "10.1.0.0/24", true},
		{"10.1.0.0/24", true, "10.0.0.0/8", true},
		{"10.2.0.0/24", false, "10.1.0.0/24", false},
		{"fd00::/8", false, "10.1.0.0/24", false},
	} {
		u := usedPrefix{Prefix: netip.MustParsePrefix(test.used), far: test.far}
		if got := u.clashes(netip.MustParsePrefix(test.p)); got != test.want {
			t.Errorf("%s far=%t clashes(%s) = %t; want %t", test.used, test.far, test.p, got, test.want)
		}
	}
}
