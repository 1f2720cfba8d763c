package cgroups

import (
	"fmt"
	"testing"
)

func TestParsePIDs(t *testing.T) {
	for _, tc := range []struct{ in, want, err string }{
		{"", "[]", ""},
		{"1\n", "[1]", ""},
		{"12\n3\n0\n0\n4194304\n", "[12 3 4194304]", ""}, // 0: of another pid namespace
		{"12\nx\n", "[]", "parse cgroup.procs"},
	} {
		got, err := parsePIDs([]byte(tc.in))
		if fmt.Sprint(got) != tc.want || !matches(err, tc.err) {
			t.Errorf("parsePIDs(%q) = %v, %v; want %s, %q", tc.in, got, err, tc.want, tc.err)
		}
	}
}

func TestParseEvents(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want events
		err  string
	}{
		{"populated 1\nfrozen 0\n", events{populated: true}, ""},
		{"populated 0\nfrozen 1\n", events{frozen: true}, ""},
		{"populated 1\n", events{populated: true}, ""}, // before Linux 5.2
		{"populated 1\nfrozen 1\nsomething_new 7\n", events{true, true}, ""},
		{"populated\n", events{}, "parse cgroup.events"},
		{"populated x\n", events{}, "parse cgroup.events"},
	} {
		got, err := parseEvents([]byte(tc.in))
		if got != tc.want || !matches(err, tc.err) {
			t.Errorf("parseEvents(%q) = %+v, %v; want %+v, %q", tc.in, got, err, tc.want, tc.err)
		}
	}
}

func TestParseMax(t *testing.T) {
	for _, tc := range []struct{ in, want, err string }{
		{"max\n", "none", ""},
		{"0\n", "0", ""},
		{"18446744073709551615\n", "18446744073709551615", ""},
		{"-4096\n", "0", ""}, // a sum over CPUs that is read halfway
		{"\n", "none", "invalid syntax"},
		{"many\n", "none", "invalid syntax"},
	} {
		v, err := parseMax([]byte(tc.in))
		got := "none"
		if v != nil {
			got = fmt.Sprint(*v)
		}
		if got != tc.want || !matches(err, tc.err) {
			t.Errorf("parseMax(%q) = %s, %v; want %s, %q", tc.in, got, err, tc.want, tc.err)
		}
	}
}

// A process calls itself what it likes: the state is after the last parenthesis.
func TestTaskState(t *testing.T) {
	for stat, want := range map[string]byte{
		"8 (cat) R 1 0 0 0 -1 4194304 34 0":      'R',
		"8 (a) S 1 (b)) D 1 0 0 0 -1 4194304 34": 'D',
		"8 (x\ny) T 1 0":                         'T',
		"8 (":                                    '?',
		"8 ()":                                   '?',
		"":                                       '?',
	} {
		if got := taskState(stat); got != want {
			t.Errorf("taskState(%q) = %c; want %c", stat, got, want)
		}
	}
}
