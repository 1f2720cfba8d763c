package netsetup

import (
	"strings"
	"testing"
)

func TestCheckHostname(t *testing.T) {
	x63 := strings.Repeat("x", 63)
	for s, want := range map[string]string{
		"web":      "",
		"Web-1":    "",
		"a_b":      "",
		"a.b.c":    "",
		"1":        "",
		x63:        "",
		"":         `hostname "" is empty`,
		"a..b":     `hostname "a..b" has an empty label`,
		"a.":       `hostname "a." has an empty label`,
		"-a":       `hostname "-a" has a label that begins or ends with "-"`,
		"a.b-.c":   `hostname "a.b-.c" has a label that begins or ends with "-"`,
		"a b":      `hostname "a b" contains ' '`,
		"a\nb":     `hostname "a\nb" contains '\n'`,
		x63 + "xx": `hostname "` + x63 + `xx" is longer than 64 bytes`,
		x63 + "x":  `hostname "` + x63 + `x" has a label longer than 63 bytes`,
	} {
		got := ""
		if err := CheckHostname(s); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("CheckHostname(%q) = %s; want %s", s, got, want)
		}
	}
	if err := CheckDomainname(""); err != nil {
		t.Errorf("CheckDomainname of none: %v", err)
	}
	if err := CheckDomainname("a/b"); err == nil || err.Error() != `domainname "a/b" contains '/'` {
		t.Errorf(`CheckDomainname("a/b") = %v; want an error that names '/'`, err)
	}
}

func TestHostname(t *testing.T) {
	for _, tt := range []struct{ pod, want string }{
		{"web", "web"},
		{"my_pod", "my-pod"},
		{"a.b", "a.b"},
		{"a..b.", "a.b"},
		{"a-.-b-", "a.b"},
		{"web_", "web"},
		{strings.Repeat("x", 70), strings.Repeat("x", 63)},
		{strings.Repeat("x", 61) + "..yy", strings.Repeat("x", 61) + ".y"},
		{strings.Repeat("x", 62) + ".y", strings.Repeat("x", 62)},
	} {
		got := Hostname(tt.pod)
		if got != tt.want {
			t.Errorf("Hostname(%q) = %q; want %q", tt.pod, got, tt.want)
		}
		if err := CheckHostname(got); err != nil {
			t.Errorf("Hostname(%q): %v", tt.pod, err)
		}
	}
}
