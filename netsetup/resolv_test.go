package netsetup

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestDNSCheck(t *testing.T) {
	many := make([]string, 33)
	for i := range many {
		many[i] = fmt.Sprintf("d%d.example", i)
	}
	long := strings.Repeat("l", 60) + "." + strings.Repeat("l", 60) + ".example"
	for _, tt := range []struct {
		d    DNS
		want string
	}{
		{DNS{}, ""},
		{DNS{Servers: []string{"1.1.1.1", "::1", "127.0.0.1"}, Searches: many[:32], Options: []string{"ndots:5", "edns0", "single-request-reopen"}}, ""},
		{DNS{Searches: []string{".", "a.b.", "_x.example"}}, ""},
		{DNS{Servers: []string{"1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"}}, "dns.servers has 4 entries: resolvers use 3 at most"},
		{DNS{Servers: []string{"1.1.1.1", "dns.example"}}, `dns.servers[1] "dns.example" is not an IP address`},
		{DNS{Servers: []string{"fe80::1%eth0"}}, `dns.servers[0] "fe80::1%eth0" is not an IP address`},
		{DNS{Servers: []string{"1.1.1.1\nsearch x"}}, `dns.servers[0] "1.1.1.1\nsearch x" is not an IP address`},
		{DNS{Searches: many}, "dns.searches has 33 entries: at most 32 are allowed"},
		{DNS{Searches: slices.Repeat([]string{long}, 17)}, "dns.searches is 2209 bytes long: at most 2048 are allowed"},
		{DNS{Searches: []string{""}}, `dns.searches[0] "" is empty`},
		{DNS{Searches: []string{"a b"}}, `dns.searches[0] "a b" contains ' '`},
		{DNS{Searches: []string{"a", ".."}}, `dns.searches[1] ".." has an empty label`},
		{DNS{Options: []string{""}}, `dns.options[0] "" is not NAME or NAME:VALUE`},
		{DNS{Options: []string{"ndots:"}}, `dns.options[0] "ndots:" is not NAME or NAME:VALUE`},
		{DNS{Options: []string{"a", "b c"}}, `dns.options[1] "b c" is not NAME or NAME:VALUE`},
		{DNS{Options: []string{"a\nb"}}, `dns.options[0] "a\nb" is not NAME or NAME:VALUE`},
		{DNS{Options: []string{"ü"}}, `dns.options[0] "ü" is not NAME or NAME:VALUE`},
	} {
		got := ""
		if err := tt.d.Check(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("Check(%+v) = %s; want %s", tt.d, got, tt.want)
		}
	}
}

func TestParseResolv(t *testing.T) {
	const text = "# comment\n; another\ndomain old\nnameserver 10.0.0.1 # inline\n\tnameserver\t::1\nnameserver\n" +
		"search a.example  b.example\noptions ndots:2 edns0\noptions rotate\nsortlist 1.2.3.0\nnonsense\nnameserver 9.9.9.9"
	want := DNS{
		Servers:  []string{"10.0.0.1", "::1", "9.9.9.9"},
		Searches: []string{"a.example", "b.example"},
		Options:  []string{"ndots:2", "edns0", "rotate"},
	}
	got := parseResolv(text)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("parseResolv = %+v; want %+v", got, want)
	}
	if again := parseResolv(got.format()); !reflect.DeepEqual(again, want) {
		t.Errorf("parseResolv(format) = %+v; want %+v", again, want)
	}
	if got := parseResolv(DNS{}.format()); !reflect.DeepEqual(got, DNS{}) {
		t.Errorf("parseResolv(format of nothing) = %+v; want nothing", got)
	}
}

func TestReachable(t *testing.T) {
	in := []string{"127.0.0.53", "10.0.0.1", "::1", "127.9.9.9", "::ffff:127.0.0.1", "fe80::1%eth0", "2001:db8::1", "junk"}
	want := []string{"10.0.0.1", "2001:db8::1"}
	if got := reachable(in); !slices.Equal(got, want) {
		t.Errorf("reachable(%q) = %q; want %q", in, got, want)
	}
	if in[1] != "10.0.0.1" {
		t.Errorf("reachable changed its argument to %q", in)
	}
}
