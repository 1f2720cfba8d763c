package cgroups

import (
	"strings"
	"testing"
)

func TestValidateName(t *testing.T) {
	for name, ok := range map[string]bool{
		"web": true, "_init": true, "a.b": true, "crio-1.scope": true, "0": true, "…": true,
		"io.example.web": true, "cpu.worker": true, "memory": true, "hugetlb.x": true, "...": true,
		strings.Repeat("n", 255): true,

		"": false, ".": false, "..": false, "a/b": false, "/": false, "a\nb": false, "a\x00": false,
		"cgroup.procs": false, "cgroup.": false, "cgroup.mine": false,
		"memory.max": false, "cpu.stat": false, "pids.events": false, "io.pressure": false,
		"cpuset.cpus.partition": false, "memory.swap.max": false, "irq.pressure": false,
		"hugetlb.2MB.max": false, "hugetlb.1GB.rsvd.current": false,
		strings.Repeat("n", 256): false,
	} {
		if err := ValidateName(name); (err == nil) != ok {
			t.Errorf("ValidateName(%q) = %v; want ok %v", name, err, ok)
		}
		leaf := Path("/sys/fs/cgroup/podrt/u").Leaf(name)
		want := Path("")
		if ok {
			want = Path("/sys/fs/cgroup/podrt/u/" + name)
		}
		if leaf != want {
			t.Errorf("Leaf(%q) = %q; want %q", name, leaf, want)
		}
	}
}

func TestPathValid(t *testing.T) {
	for p, ok := range map[Path]bool{
		"/sys/fs/cgroup/podrt":     true,
		"/sys/fs/cgroup/podrt/uid": true,
		// The root: to kill it is to kill the host.
		"/sys/fs/cgroup":           false,
		"/sys/fs/cgroup/":          false,
		"":                         false,
		"podrt":                    false,
		"/":                        false,
		"/sys/fs/cgroup/..":        false,
		"/sys/fs/cgroup/a/../../b": false,
		"/sys/fs/cgroup/a/..":      false,
		"/sys/fs/cgroup/a/":        false,
		"/sys/fs/cgroup/a\nb":      false,
		"/sys/fs/cgroups/a":        false,
		"/tmp/a":                   false,
	} {
		if err := p.valid(); (err == nil) != ok {
			t.Errorf("valid(%q) = %v; want ok %v", p, err, ok)
		}
	}
}

// No method may act on a path that is no cgroup below the root.
func TestInvalidPathIsRefused(t *testing.T) {
	for _, p := range []Path{"", "/sys/fs/cgroup", "/tmp", "/sys/fs/cgroup/a/../.."} {
		for name, err := range map[string]error{
			"Kill":       p.Kill(),
			"Signal":     p.Signal(15),
			"Freeze":     p.Freeze(t.Context()),
			"Thaw":       p.Thaw(t.Context()),
			"Remove":     p.Remove(t.Context()),
			"RemoveMade": RemoveMade([]Path{p}),
			"WaitEmpty":  p.WaitEmpty(t.Context()),
			"Enable":     p.Enable(),
			"Apply":      p.Apply(resources(t, `{"pids":{"limit":5}}`)),
			"Open":       second(p.Open()),
			"Procs":      second(p.Procs()),
			"Stats":      second(p.Stats()),
			"OOMKills":   second(p.OOMKills()),
			"Populated":  second(p.Populated()),
			"CreateLeaf": second(p.CreateLeaf("leaf")),
		} {
			if err == nil || !strings.Contains(err.Error(), "not a clean path below /sys/fs/cgroup") {
				t.Errorf("%s of %q: %v; want it refused", name, p, err)
			}
		}
	}
}

func TestValidateParent(t *testing.T) {
	for parent, ok := range map[string]bool{
		"/": true, "/a/b": true, "a/b": true, "a": true, "/a//b/": true, "./a": true,
		"machine.slice/x.slice": true,
		"..":                    false, "/a/../b": false, "../a": false, "/a/b/..": false,
		"a\nb": false, "/a/cgroup.procs": false, "/memory.max": false,
	} {
		if err := validateParent(parent); (err == nil) != ok {
			t.Errorf("validateParent(%q) = %v; want ok %v", parent, err, ok)
		}
	}
}

func TestParseOwnCgroup(t *testing.T) {
	hybrid := "9:name=systemd:/\n8:pids:/x\n4:memory:/process_api/7b5e\n0::/user.slice/user-0.slice/session-1.scope\n"
	for _, tc := range []struct{ table, want, err string }{
		{"0::/\n", "/", ""},
		{"0::/init.scope\n", "/init.scope", ""},
		{hybrid, "/user.slice/user-0.slice/session-1.scope", ""},
		{"0::/odd:name\n", "/odd:name", ""},
		{"0::/gone (deleted)\n", "", "was removed"},
		{"0::/..\n", "", "outside of the cgroup namespace"},
		{"0::/../../other\n", "", "outside of the cgroup namespace"},
		{"8:pids:/x\n", "", "no line of the unified hierarchy"},
		{"", "", "no line of the unified hierarchy"},
	} {
		got, err := parseOwnCgroup(tc.table)
		if got != tc.want || !matches(err, tc.err) {
			t.Errorf("parseOwnCgroup(%q) = %q, %v; want %q, %q", tc.table, got, err, tc.want, tc.err)
		}
	}
}
