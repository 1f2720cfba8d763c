package main

import (
	"maps"
	"reflect"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestSetUser(t *testing.T) {
	for _, tt := range []struct {
		in       string
		uid, gid uint32
		err      string
	}{
		{"5", 5, 7, ""},
		{"5:6", 5, 6, ""},
		{"0:0", 0, 0, ""},
		{"x", 0, 0, `bad uid: strconv.Atoi: parsing "x": invalid syntax`},
		{"5:", 0, 0, `bad gid: strconv.Atoi: parsing "": invalid syntax`},
		{"5:x", 0, 0, `bad gid: strconv.Atoi: parsing "x": invalid syntax`},
	} {
		u := specs.User{UID: 9, GID: 7}
		err := setUser(&u, tt.in)
		if tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("setUser(%q): error %v; want %s", tt.in, err, tt.err)
			}
			continue
		}
		if err != nil || u.UID != tt.uid || u.GID != tt.gid {
			t.Errorf("setUser(%q) = %d:%d, %v; want %d:%d", tt.in, u.UID, u.GID, err, tt.uid, tt.gid)
		}
	}
}

func TestParseSubCgroups(t *testing.T) {
	for _, tt := range []struct {
		in   []string
		want map[string]string
		err  string
	}{
		{nil, nil, ""},
		{[]string{"sub"}, map[string]string{"": "sub"}, ""},
		{[]string{"cpu:a", "memory,pids:b"}, map[string]string{"cpu": "a", "memory": "b", "pids": "b"}, ""},
		{[]string{"a", "b"}, nil, "invalid --cgroup argument: a (missing <controller>: prefix)"},
		{[]string{":a"}, nil, "invalid --cgroup argument: :a (empty <controller> prefix)"},
		{[]string{"cpu:a", "cpu:b"}, nil, "invalid --cgroup argument(s): controller cpu specified multiple times"},
	} {
		got, err := parseSubCgroups(tt.in)
		if tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("parseSubCgroups(%q): error %v; want %s", tt.in, err, tt.err)
			}
			continue
		}
		if err != nil || !maps.Equal(got, tt.want) {
			t.Errorf("parseSubCgroups(%q) = %v, %v; want %v", tt.in, got, err, tt.want)
		}
	}
}

func TestAddCapabilities(t *testing.T) {
	p := &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: []string{"A"}}}
	addCapabilities(p, []string{"B"})
	want := &specs.LinuxCapabilities{Bounding: []string{"A", "B"}, Effective: []string{"B"}, Permitted: []string{"B"}}
	if !reflect.DeepEqual(p.Capabilities, want) {
		t.Errorf("capabilities = %+v; want %+v", p.Capabilities, want)
	}
	p.Capabilities.Inheritable = []string{"A"}
	addCapabilities(p, []string{"C"})
	if got := p.Capabilities.Ambient; !reflect.DeepEqual(got, []string{"C"}) {
		t.Errorf("ambient capabilities = %q; want C, as there are inheritable ones", got)
	}
	none := &specs.Process{}
	addCapabilities(none, nil)
	if none.Capabilities != nil {
		t.Errorf("capabilities = %+v; want none", none.Capabilities)
	}
}
