package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/integration/bundle"
)

// rich has a container use much of what a spec can say, in one, and the words
// that its script then prints.
func rich(s *specs.Spec, src string) (script, want string) {
	ids := []specs.LinuxIDMapping{{ContainerID: 1000, HostID: 5000, Size: 1}, {ContainerID: 2000, HostID: 6000, Size: 1}}
	denying(specs.LinuxSyscall{Names: []string{"getppid"}, Action: specs.ActErrno})(s)
	p, l := s.Process, s.Linux
	p.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 100, Hard: 200}}
	p.OOMScoreAdj = new(345)
	p.User = specs.User{Umask: new(uint32(0o27)), AdditionalGids: []uint32{3, 5}}
	p.Scheduler = &specs.Scheduler{Policy: specs.SchedBatch, Nice: 7}
	p.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 3}
	p.Capabilities = &specs.LinuxCapabilities{Bounding: []string{"CAP_NET_RAW"}, Permitted: []string{"CAP_NET_RAW"}}
	p.Cwd = "/tmp"
	l.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0"}
	l.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32}
	l.Namespaces = append(l.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
	l.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 1000}}
	l.MaskedPaths = []string{"/proc/version"}
	l.Devices = []specs.LinuxDevice{{Path: "/dev/x", Type: "c", Major: 1, Minor: 7, FileMode: new(os.FileMode(0o640))}}
	l.RootfsPropagation = "shared"
	s.Mounts = append(s.Mounts,
		specs.Mount{Destination: "/etc", Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup"}},
		specs.Mount{Destination: "/mapped", Source: src, Options: []string{"rbind", "ridmap"}, UIDMappings: ids, GIDMappings: ids},
		specs.Mount{Destination: "/recursive", Source: src, Options: []string{"rbind", "rro", "rnoexec"}},
	)
	script = `/probe syscall 110
ulimit -n
cat /proc/self/oom_score_adj
umask
id -G
/probe sched
/probe ioprio
/probe mempolicy
/probe status CapPrm CapBnd
pwd
uname -m
awk '{ print $1, $2 }' /proc/self/timens_offsets
wc -c < /proc/version
stat -c '%a %t:%T' /dev/x
` + propagated("/") + `
ls /etc/passwd
stat -c %u:%g /mapped/file /mapped/sub/file
awk '$5 ~ "^/recursive" { print $5, $6 }' /proc/self/mountinfo
grep ^0: /proc/self/cgroup
/probe hostname`
	want = `EPERM
100
345
0027
0 3 5
3 0 7 0
2 3
bind:0
0000000000002000
0000000000002000
/tmp
i686
monotonic 0
boottime 1000
0
640 1:7
shared
/etc/passwd
5000:6000
5000:6000
/recursive ro,noexec,relatime
/recursive/sub ro,noexec,relatime
0::/
p (none)`
	return script, want
}

// The containers of a pod can be configured as any other, whether they come in
// its bundle or one by one.
func TestSpecPod(t *testing.T) {
	nativeOnly(t)
	w := newWorld(t)
	src := sourceTree(t, w.dir)
	specOf := func() (*specs.Spec, string) {
		s := bundle.Spec("sh", "-c", "")
		script, want := rich(s, src)
		s.Process.Args[2] = script
		s.Root.Readonly = false // for the mount points
		return s, want
	}
	s, want := specOf()
	r := w.ok(t, "pod", "run", w.podOf(t, nil, bundle.Container{Name: "c", Spec: s}))
	if got := strings.TrimSpace(strings.ReplaceAll("\n"+r.stdout, "\nc | ", "\n")); got != want {
		t.Errorf("a container of the pod's bundle sees\n%s\nwant\n%s", got, want)
	}
	w.create(t, "p")
	s, want = specOf()
	r = w.ok(t, "run", "--pod", "p", "--bundle", w.bundle(t, s), "d")
	if got := strings.TrimSpace(r.stdout); got != want {
		t.Errorf("a container in the pod sees\n%s\nwant\n%s", got, want)
	}
}

// What would change the pod for its other containers is refused, before
// anything is made.
func TestSpecPodRefuses(t *testing.T) {
	nativeOnly(t)
	w := newWorld(t)
	w.create(t, "p", "--share", "net,ipc,uts,time")
	w.create(t, "u", "--share", "net,user", "--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536")
	for name, tt := range map[string]struct {
		change func(*specs.Spec)
		words  []string
	}{
		"network devices": {func(s *specs.Spec) { s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"lo": {}} }, []string{"linux.netDevices", "not the container's own"}},
		"sysctl":          {func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.core.somaxconn": "5"} }, []string{"linux.sysctl", "net.core.somaxconn"}},
		"time offsets":    {func(s *specs.Spec) { s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 1}} }, []string{"linux.timeOffsets", "time namespace"}},
		"groups of the caller, in a user namespace": {func(s *specs.Spec) {
			s.Annotations = map[string]string{"run.oci.keep_original_groups": "1"}
		}, []string{"run.oci.keep_original_groups", "user namespace"}},
		"mappings of ids, in a user namespace": {func(s *specs.Spec) {
			s.Linux.UIDMappings = []specs.LinuxIDMapping{{Size: 1}}
		}, []string{"linux.uidMappings", "user namespace"}},
		"another network": {func(s *specs.Spec) { setNamespacePath(s, specs.NetworkNamespace, "/proc/self/ns/net") }, []string{"network", "contradicts"}},
	} {
		t.Run(name, func(t *testing.T) {
			pod := "p"
			if strings.Contains(name, "user namespace") {
				pod = "u"
			}
			dir := w.bundle(t, w.serve(pod, "c", tt.change))
			w.fails(t, 1, tt.words, "create", "--pod", pod, "--bundle", dir, "c")
			if _, err := os.Stat(filepath.Join(w.run, "containers", "c")); err == nil {
				t.Error("the container was made")
			}
		})
	}
}
