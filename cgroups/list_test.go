package cgroups

import (
	"fmt"
	"testing"
)

func TestParseList(t *testing.T) {
	for _, tc := range []struct{ in, want, err string }{
		{"0", "[0]", ""},
		{"0-3", "[0 1 2 3]", ""},
		{"8,0-2,1", "[0 1 2 8]", ""},
		{"0-7:2/4", "[0 1 4 5]", ""},
		{"5-5", "[5]", ""},
		{"", "[]", `"" is not a number`},
		{"0,", "[]", `"" is not a number`},
		{"a", "[]", `"a" is not a number`},
		{"+1", "[]", `"+1" is not a number`},
		{"-1", "[]", `"" is not a number`},
		{"0 1", "[]", `"0 1" is not a number`},
		{"0\n", "[]", `"0\n" is not a number`},
		{"3-0", "[]", `range "3-0" goes backwards`},
		{"0-", "[]", `"" is not a number`},
		{"0:1/2", "[]", "FIRST-LAST:USED/GROUP"},
		{"0-3:0/2", "[]", "FIRST-LAST:USED/GROUP"},
		{"0-3:3/2", "[]", "FIRST-LAST:USED/GROUP"},
		{"0-3:1", "[]", "FIRST-LAST:USED/GROUP"},
		{"0-99999999", "[]", "99999999 is too large"},
		{"0-60000,0-60000,0-60000,0-60000", "[]", "too long"},
		{"99999999999999999999", "[]", "is not a number"},
	} {
		got, err := parseList(tc.in)
		if fmt.Sprint(got) != tc.want || !matches(err, tc.err) {
			t.Errorf("parseList(%q) = %v, %v; want %s, %q", tc.in, got, err, tc.want, tc.err)
		}
	}
}

func TestMissingFrom(t *testing.T) {
	for _, tc := range []struct {
		want, have []int
		n          int
		missing    bool
	}{
		{nil, nil, 0, false},
		{[]int{0, 1}, []int{0, 1, 2}, 0, false},
		{[]int{1, 7}, []int{0, 1}, 7, true},
		{[]int{0}, nil, 0, true},
	} {
		if n, missing := missingFrom(tc.want, tc.have); n != tc.n || missing != tc.missing {
			t.Errorf("missingFrom(%v, %v) = %d, %v; want %d, %v", tc.want, tc.have, n, missing, tc.n, tc.missing)
		}
	}
}
