package cgroups

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/rung"
	"golang.org/x/sys/unix"
)

// mountHere mounts on path until the end of the test.
func mountHere(t *testing.T, source, path, fstype string, flags uintptr) {
	t.Helper()
	if err := unix.Mount(source, path, fstype, flags, ""); err != nil {
		t.Fatalf("mount %s on %s: %v", source, path, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(path, unix.UMOUNT_NOFOLLOW); err != nil {
			t.Errorf("unmount %s: %v", path, err)
		}
	})
}

// On a host without the unified hierarchy everything says so, and nothing is
// made.
func TestWithoutCgroup2(t *testing.T) {
	rung.Privileged(t)
	// By a bind, a hybrid host is imitated: another mount of cgroup2 without
	// options would take theirs from the one that is there.
	tree, err := os.Open(mountpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	mountHere(t, "tmpfs", mountpoint, "tmpfs", 0)
	unified := filepath.Join(mountpoint, "unified")
	if err := os.Mkdir(unified, 0o755); err != nil {
		t.Fatal(err)
	}
	mountHere(t, fmt.Sprintf("/proc/self/fd/%d", tree.Fd()), unified, "", unix.MS_BIND)
	p := Path(mountpoint).Leaf("podrt").Leaf("uid")
	want := "find cgroup2: /sys/fs/cgroup is a mount of tmpfs, cgroup2 is on /sys/fs/cgroup/unified; " +
		"podrt needs cgroup v2, the unified hierarchy, on /sys/fs/cgroup (with systemd: boot with systemd.unified_cgroup_hierarchy=1)"
	for name, err := range map[string]error{
		"Root":       second(Root()),
		"Check":      Check(nil),
		"Path.Check": p.Check(nil),
		"Resolve":    second(Resolve("/a")),
		"Create":     second(Create(p)),
	} {
		if err == nil || err.Error() != want || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v\nwant %s", name, err, want)
		}
	}
	// What is no cgroup is not touched, even if it looks like one.
	if err := os.MkdirAll(string(p), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cgroup.kill", "cgroup.freeze", "cgroup.procs", "cgroup.events"} {
		if err := os.WriteFile(filepath.Join(string(p), name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, err := range map[string]error{
		"Kill":       p.Kill(),
		"Freeze":     p.Freeze(t.Context()),
		"Remove":     p.Remove(t.Context()),
		"RemoveMade": RemoveMade([]Path{p}),
		"CreateLeaf": second(p.CreateLeaf("leaf")),
		"Apply":      p.Apply(resources(t, `{"pids":{"limit":5}}`)),
	} {
		if !matches(err, "/sys/fs/cgroup/podrt/uid is not on cgroup2") {
			t.Errorf("%s of what is no cgroup: %v; want it refused", name, err)
		}
	}
}

func TestReadOnly(t *testing.T) {
	rung.Privileged(t)
	mountHere(t, mountpoint, mountpoint, "", unix.MS_BIND)
	if err := unix.Mount("", mountpoint, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if err := Check(nil); !errors.Is(err, errors.ErrUnsupported) || !matches(err, "/sys/fs/cgroup is mounted read-only") {
		t.Errorf("Check: %v; want it to say read-only", err)
	}
	p := testParent(t)
	if _, err := Create(p); !errors.Is(err, unix.EROFS) {
		t.Errorf("Create: %v; want EROFS", err)
	}
}

func TestResolve(t *testing.T) {
	rung.Privileged(t)
	for _, tc := range []struct {
		parent string
		want   Path
		err    string
	}{
		{"", "/sys/fs/cgroup/podrt", ""},
		{"/", "/sys/fs/cgroup", ""},
		{"/a/b", "/sys/fs/cgroup/a/b", ""},
		{"/a//b/./c/", "/sys/fs/cgroup/a/b/c", ""},
		{"a/b", "/sys/fs/cgroup/a/b", ""}, // the test runs in the root
		{"../a", "", `cgroup parent "../a"`},
		{"/a/../../b", "", `cgroup parent "/a/../../b"`},
		{"/a/memory.max", "", "controller's file"},
	} {
		got, err := Resolve(tc.parent)
		if got != tc.want || !matches(err, tc.err) {
			t.Errorf("Resolve(%q) = %q, %v; want %q, %q", tc.parent, got, err, tc.want, tc.err)
		}
	}
	// Elsewhere, from the cgroup that holds one's own.
	p := testPod(t)
	if got, want := start(t, p, "resolve a/b").line(), fmt.Sprint(p.parent().Leaf("a").Leaf("b")); got != want {
		t.Errorf("Resolve in %s = %q; want %q", p, got, want)
	}
	if got, want := start(t, p, "resolve /a/b").line(), "/sys/fs/cgroup/a/b"; got != want {
		t.Errorf("Resolve in %s = %q; want %q", p, got, want)
	}
}

// Check tells before anything is made; it needs no cgroup of the pod.
func TestCheckOnThisHost(t *testing.T) {
	rung.Privileged(t)
	p := testParent(t).Leaf("pod")
	for _, tc := range []struct{ json, err string }{
		{`{}`, ""},
		{`{"unified":{"nonsense.max":"1"}}`, `resources.unified["nonsense.max"] needs the "nonsense" controller, which /sys/fs/cgroup does not offer`},
		{`{"memory":{"limit":-5}}`, "resources.memory.limit: -5 is negative"},
		{`{"hugepageLimits":[{"pageSize":"3MB","limit":5}]}`, `resources.hugepageLimits[0].pageSize: this host has no huge pages of "3MB"`},
	} {
		for name, err := range map[string]error{"Check": Check(resources(t, tc.json)), "Path.Check": p.Check(resources(t, tc.json))} {
			if !matches(err, tc.err) {
				t.Errorf("%s(%s) = %v; want %q", name, tc.json, err, tc.err)
			}
		}
	}
	if exists(p.parent()) {
		t.Error("Check made something")
	}
	offered, err := os.ReadFile(mountpoint + "/cgroup.controllers")
	if err != nil {
		t.Fatal(err)
	}
	for controller, json := range map[string]string{
		"memory": `{"memory":{"limit":1048576}}`, "pids": `{"pids":{"limit":5}}`, "cpu": `{"cpu":{"shares":5}}`, "io": `{"blockIO":{"weight":10}}`,
	} {
		want := ""
		if !slices.Contains(strings.Fields(string(offered)), controller) {
			want = fmt.Sprintf("needs the %q controller, which /sys/fs/cgroup does not offer", controller)
		}
		if err := Check(resources(t, json)); !matches(err, want) {
			t.Errorf("Check(%s) = %v; want %q", json, err, want)
		}
	}
}
