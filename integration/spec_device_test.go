package integration

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// deviceRules are the rules of a container that may make device nodes.
func deviceRules(rules ...specs.LinuxDeviceCgroup) func(*specs.Spec) {
	return func(s *specs.Spec) {
		addCaps(s, "CAP_MKNOD", "CAP_SYSLOG") // the latter for kmsg
		s.Root.Readonly = false
		s.Linux.Resources = &specs.LinuxResources{Devices: append([]specs.LinuxDeviceCgroup{{Access: "rwm"}}, rules...)}
	}
}

// tryDevices makes a node of each device, c MAJOR MINOR, and prints what can be
// done with it: m that it can be made, r and w that it can be read and written.
func tryDevices(numbers ...string) string {
	var script strings.Builder
	for _, n := range numbers {
		script.WriteString("can=; if busybox mknod /tmp/node " + n + ` 2>/dev/null; then can=m$( (: < /tmp/node) 2>/dev/null && echo r)$( (: > /tmp/node) 2>/dev/null && echo w); fi
rm -f /tmp/node; echo ` + n + " $can\n")
	}
	return script.String()
}

// The filter of cgroup v2 is a BPF program; it needs no controller.
func TestSpecDeviceFilter(t *testing.T) {
	b := newSpecBench(t, false)
	allow := func(access string, major, minor int64) specs.LinuxDeviceCgroup {
		return specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: &major, Minor: &minor, Access: access}
	}
	deny := func(access string, major, minor int64) specs.LinuxDeviceCgroup {
		d := allow(access, major, minor)
		d.Allow = false
		return d
	}
	// 1 3: null, 10 229: fuse, 1 11: kmsg.
	b.run(t, []specRow{
		{name: "default", spec: deviceRules(), script: tryDevices("c 1 3", "c 10 229", "c 1 11", "b 7 0"), want: "c 1 3 mrw\nc 10 229 m\nc 1 11 m\nb 7 0 m"},
		{name: "one is let in", spec: deviceRules(allow("rw", 1, 11)), script: tryDevices("c 1 11", "c 10 229"), want: "c 1 11 mrw\nc 10 229 m"},
		{name: "to be read", spec: deviceRules(allow("r", 1, 11)), script: tryDevices("c 1 11"), want: "c 1 11 mr"},
		{name: "to be written", spec: deviceRules(allow("w", 1, 11)), script: tryDevices("c 1 11"), want: "c 1 11 mw"},
		{name: "all of a major number", spec: deviceRules(specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: new(int64(1)), Access: "rw"}), script: tryDevices("c 1 11", "c 10 229"), want: "c 1 11 mrw\nc 10 229 m"},
		{name: "but one", spec: deviceRules(specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: new(int64(1)), Access: "rw"}, deny("rw", 1, 11)), err: "...cannot punch hole in existing wildcard rule [{99 1 -1} rw])"},
		{name: "everything", spec: deviceRules(specs.LinuxDeviceCgroup{Allow: true, Access: "rwm"}), script: tryDevices("c 1 11", "c 10 229"), want: "c 1 11 mrw\nc 10 229 mrw"},
		{name: "nodes can be made of all", spec: deviceRules(deny("m", 1, 11)), script: tryDevices("c 1 11"), want: "c 1 11 m"},
		{name: "none of the default", spec: deviceRules(deny("rwm", 1, 3)), script: "echo x > /dev/null && echo yes", want: "yes"},
		{name: "without the capability", spec: func(s *specs.Spec) { s.Root.Readonly = false }, script: tryDevices("c 1 3"), want: "c 1 3"},
	})
}

// An update of something else leaves the filter as it is; one with rules does
// what runc's does: nothing.
func TestSpecDeviceUpdate(t *testing.T) {
	nativeOnly(t)
	w := newWorld(t)
	s := w.serve("", "c")
	deviceRules(specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: new(int64(1)), Minor: new(int64(11)), Access: "r"})(s)
	s.Process.Args = []string{"sleep", "1000"}
	w.ok(t, "run", "--detach", "--bundle", w.bundle(t, s), "c")
	look := func(when string) {
		t.Helper()
		r := w.ok(t, "exec", "c", "sh", "-c", tryDevices("c 1 11", "c 10 229"))
		if got, want := strings.TrimSpace(r.stdout), "c 1 11 mr\nc 10 229 m"; got != want {
			t.Errorf("%s: %q; want %q", when, got, want)
		}
	}
	look("before")
	for _, r := range []specs.LinuxResources{
		{},
		{Unified: map[string]string{}},
		{Devices: []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}},
	} {
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		file := w.dir + "/resources.json"
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		w.ok(t, "update", "--resources", file, "c")
		look("after update with " + string(data))
	}
	if err := os.Remove(w.dir + "/resources.json"); err != nil {
		t.Fatal(err)
	}
	w.ok(t, "pause", "c")
	w.ok(t, "resume", "c")
	look("after a pause")
	w.ok(t, "delete", "--force", "c")
}

// A device number given with a FIFO says nothing; runc refuses it.
func TestSpecDeviceFIFO(t *testing.T) {
	o := newOCI(t, "stat -c '%F %a' /dev/fifo")
	o.configure(func(s *specs.Spec) {
		s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/fifo", Type: "p", Major: 8, Minor: 66, FileMode: new(os.FileMode(0o640))}}
	})
	if got := o.ok("run", "--bundle", o.bundle, "c1"); got != "fifo 640\n" {
		t.Errorf("the container sees %q; want a FIFO", got)
	}
}
