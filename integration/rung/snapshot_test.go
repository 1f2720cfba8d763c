package rung

import (
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	before := objects{"a": "A", "b": "B"}
	after := objects{"b": "changed words", "c": "C"}
	for _, c := range []struct {
		sec  section
		want string
	}{
		{section{name: "thing"}, "- thing A\n+ thing C\n"},
		{section{name: "thing", onlyMore: true}, "+ thing C\n"},
	} {
		var b strings.Builder
		diff(&b, c.sec, before, after)
		if b.String() != c.want {
			t.Errorf("diff(onlyMore %t) = %q; want %q", c.sec.onlyMore, b.String(), c.want)
		}
	}
}

func TestParseMounts(t *testing.T) {
	const in = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
24 22 0:4 net:[4026532177] /run/podrt/net rw shared:7 master:3 - nsfs nsfs rw
25 22 0:21 / /proc rw,nosuid - proc proc rw
26 22 0:30 / /a\040b rw - overlay overlay rw,lowerdir=/l,upperdir=/u
`
	got, err := parseMounts(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"/: / of ext4 /dev/vda (rw,relatime) [shared] rw",
		"/proc: / of proc proc (rw,nosuid) [] rw",
		"/proc: / of proc proc (rw,nosuid) [] rw #2",
		"/run/podrt/net: net:[4026532177] of nsfs nsfs (rw) [shared master] rw",
		`/a\040b: / of overlay overlay (rw) [] rw,lowerdir=/l,upperdir=/u`,
	} {
		if _, ok := got[want]; !ok {
			t.Errorf("parseMounts lacks %q; has %q", want, got)
		}
	}
	if len(got) != 5 {
		t.Errorf("parseMounts: %d mounts; want 5", len(got))
	}
	for _, bad := range []string{"1 2 3\n", "22 1 254:0 / / rw shared:1 ext4 /dev/vda rw\n"} {
		if _, err := parseMounts(bad); err == nil {
			t.Errorf("parseMounts(%q): no error", bad)
		}
	}
}

func TestParseStat(t *testing.T) {
	const tail = " 1 1 1 0 -1 4194560 2095 91 2 0 10 11 12 13 20 0 1 0 4711 23052288 2000 18446744073709551615"
	got, err := parseStat("42 (a) Z (b) S" + tail)
	if want := (process{pid: 42, ppid: 1, comm: "a) Z (b", state: 'S', start: 4711}); err != nil || got != want {
		t.Errorf("parseStat = %+v, %v; want %+v", got, err, want)
	}
	for _, bad := range []string{"", "42", "42 (a", "42 (a) S 1", "x (a) S" + tail} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("parseStat(%q): no error", bad)
		}
	}
}

func TestIsNamespace(t *testing.T) {
	for s, want := range map[string]bool{
		"net:[4026532177]":       true,
		"mnt:[4026532177]":       true,
		"socket:[1]":             false,
		"pipe:[1]":               false,
		"anon_inode:[eventpoll]": false,
		"/a:[1]":                 false,
		"/":                      false,
	} {
		if got := isNamespace(s); got != want {
			t.Errorf("isNamespace(%q) = %t; want %t", s, got, want)
		}
	}
}

func BenchmarkTake(b *testing.B) {
	if Current() == Unit {
		b.Skip("needs a rung")
	}
	for _, sec := range sections() {
		b.Run(sec.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := sec.list(new(view)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
