package netsetup

import (
	"net/netip"
	"testing"
)

func TestCheckAliases(t *testing.T) {
	for _, tt := range []struct {
		aliases []HostAlias
		want    string
	}{
		{nil, ""},
		{[]HostAlias{{"1.2.3.4", []string{"a", "b.example"}}, {"::1", []string{"c"}}}, ""},
		{[]HostAlias{{"1.2.3", []string{"a"}}}, `hostAliases[0].ip "1.2.3" is not an IP address`},
		{[]HostAlias{{"1.2.3.4", []string{"a"}}, {"", []string{"a"}}}, `hostAliases[1].ip "" is not an IP address`},
		{[]HostAlias{{"fe80::1%lo", []string{"a"}}}, `hostAliases[0].ip "fe80::1%lo" is not an IP address`},
		{[]HostAlias{{"1.2.3.4", nil}}, "hostAliases[0].hostnames is empty"},
		{[]HostAlias{{"1.2.3.4", []string{"a", "b\n5.6.7.8 bank"}}}, `hostAliases[0].hostnames[1] "b\n5.6.7.8 bank" contains '\n'`},
	} {
		got := ""
		if err := checkAliases(tt.aliases); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("checkAliases(%v) = %s; want %s", tt.aliases, got, tt.want)
		}
	}
}

func TestFormatHosts(t *testing.T) {
	aliases := []HostAlias{{"1.2.3.4", []string{"a", "b.example"}}, {"::2", []string{"c"}}}
	addrs := []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2")}
	for _, tt := range []struct {
		base, host, domain string
		addrs              []netip.Addr
		aliases            []HostAlias
		want               string
	}{
		{"base\n", "web", "", nil, nil, "base\n"},
		{"no newline", "web", "", addrs[:1], nil, "no newline\n10.0.0.2\tweb\n"},
		{"", "web", "example.org", addrs, nil, "10.0.0.2\tweb.example.org\tweb\nfd00::2\tweb.example.org\tweb\n"},
		{"b\n", "web", "", nil, aliases, "b\n\n# Entries of hostAliases.\n1.2.3.4\ta\tb.example\n::2\tc\n"},
	} {
		if got := formatHosts(tt.base, tt.host, tt.domain, tt.addrs, tt.aliases); got != tt.want {
			t.Errorf("formatHosts(%q, %q, %q, %v, %v) = %q; want %q", tt.base, tt.host, tt.domain, tt.addrs, tt.aliases, got, tt.want)
		}
	}
}

func TestHasName(t *testing.T) {
	const text = "127.0.0.1\tlocalhost\n# 1.1.1.1 commented\n1.2.3.4 a.example a # tail\n"
	for name, want := range map[string]bool{
		"localhost": true, "LocalHost": true, "a": true, "A.example": true, "a.example": true,
		"commented": false, "tail": false, "1.2.3.4": false, "example": false,
	} {
		if got := hasName(text, name); got != want {
			t.Errorf("hasName(%q) = %v; want %v", name, got, want)
		}
	}
}
