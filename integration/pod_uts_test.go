package integration

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
)

// TestPodSharesHostname: one host name, as asked for, in the kernel and in
// /etc; the host keeps its own.
func TestPodSharesHostname(t *testing.T) {
	w := newWorld(t)
	before := uname(t)
	w.create(t, "p", "--hostname", "web-1.example.org", "--domainname", "nis.example", "--add-host", "db:10.1.2.3")
	admin := func(s *specs.Spec) {
		addCaps(s, "CAP_SYS_ADMIN")
		s.Linux.ReadonlyPaths = nil
	}
	a, b := w.add(t, "p", "a", admin), w.add(t, "p", "b")
	for _, agent := range []*agent{a, b} {
		agent.want(t, "web-1.example.org nis.example", "hostname")
		agent.want(t, "web-1.example.org", "read", "/etc/hostname")
		for _, want := range []string{"127.0.0.1", "web-1.example.org", "10.1.2.3", "db"} {
			if hosts := agent.ask(t, "read", "/etc/hosts"); !strings.Contains(hosts, want) {
				t.Errorf("/etc/hosts has no %q: %s", want, hosts)
			}
		}
	}
	a.ask(t, "write", "/proc/sys/kernel/hostname", "renamed")
	b.want(t, "renamed nis.example", "hostname")
	if after := uname(t); after != before {
		t.Errorf("the host's name %q; want %q", after, before)
	}
}

func uname(t *testing.T) string {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	return unix.ByteSliceToString(u.Nodename[:]) + " " + unix.ByteSliceToString(u.Domainname[:])
}

// TestPodHostnameDefault: the pod's name, or what of it a host name can hold;
// each container's own where the pod shares none.
func TestPodHostnameDefault(t *testing.T) {
	w := newWorld(t)
	w.create(t, "front_end.v1")
	w.create(t, "alone", "--share", "net")
	a := w.add(t, "front_end.v1", "a")
	if got, want := strings.Fields(a.ask(t, "hostname"))[0], w.inspect(t, "front_end.v1").Hostname; got != want || got == "" {
		t.Errorf("host name %q; inspect says %q", got, want)
	}
	named := func(name string) func(*specs.Spec) { return func(s *specs.Spec) { s.Hostname = name } }
	x, y := w.add(t, "alone", "x", named("one")), w.add(t, "alone", "y", named("two"))
	for agent, want := range map[*agent]string{x: "one", y: "two"} {
		if got := strings.Fields(agent.ask(t, "hostname"))[0]; got != want {
			t.Errorf("host name of %s = %q; want %q", agent.name, got, want)
		}
	}
}

// TestPodSysctls: in the pod's namespaces and nowhere else, and not for a
// container to change.
func TestPodSysctls(t *testing.T) {
	w := newWorld(t)
	sysctls := map[string]string{"net/core/somaxconn": "1017", "net/ipv4/ip_forward": "1", "kernel/shmmax": "1048576", "kernel/sem": "100\t2000\t30\t40", "fs/mqueue/msg_max": "7"}
	var flags []string
	before := make(map[string]string)
	for name, value := range sysctls {
		flags = append(flags, "--sysctl", strings.ReplaceAll(name, "/", ".")+"="+strings.ReplaceAll(value, "\t", " "))
		before[name] = readSysctl(t, name)
	}
	w.create(t, "p", flags...)
	a, b := w.add(t, "p", "a"), w.add(t, "p", "b")
	for name, want := range sysctls {
		a.want(t, want, "read", "/proc/sys/"+name)
		b.want(t, want, "read", "/proc/sys/"+name)
		b.refused(t, "EROFS", "open-write", "/proc/sys/"+name)
		if got := readSysctl(t, name); got != before[name] {
			t.Errorf("the host's %s = %q; want %q as before", name, got, before[name])
		}
	}
	for name, words := range map[string][]string{
		"kernel.panic=1":           {"kernel.panic", "does not belong to a namespace"},
		"net.ipv4.nonesuch=1":      {"net.ipv4.nonesuch", "no such file"},
		"net.core.somaxconn=many":  {"net.core.somaxconn", "invalid argument"},
		"fs.mqueue/../../pwned=no": {"fs.mqueue/../../pwned"},
	} {
		w.fails(t, 1, words, "pod", "create", "--sysctl", name, "bad")
	}
}

func readSysctl(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("/proc/sys/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// TestPodTime: the clocks of the pod's time namespace are shifted, the host's
// are not.
func TestPodTime(t *testing.T) {
	w := newWorld(t)
	const shift = 1_000_000
	dir := w.podOf(t, bundle.Pod{
		"share":       list{"net", "ipc", "uts", "time"},
		"timeOffsets": object{"boottime": object{"secs": shift}, "monotonic": object{"secs": 2 * shift}},
	}, bundle.Container{Name: "a"}, bundle.Container{Name: "b"})
	w.start(t, dir)
	for _, name := range []string{"a", "b"} {
		for clock, c := range map[string]struct {
			id    int32
			shift int
		}{"boottime": {unix.CLOCK_BOOTTIME, shift}, "monotonic": {unix.CLOCK_MONOTONIC, 2 * shift}} {
			var ts unix.Timespec
			if err := unix.ClockGettime(c.id, &ts); err != nil {
				t.Fatal(err)
			}
			inside, err := strconv.Atoi(w.agent(t, "p", name).ask(t, "clock", clock))
			if err != nil {
				t.Fatal(err)
			}
			if ahead := inside - int(ts.Sec); ahead < c.shift || ahead > c.shift+60 {
				t.Errorf("%s of %s is %d s ahead of the host's; want %d", clock, name, ahead, c.shift)
			}
		}
	}
}

// TestPodUsesHost: the host's namespaces instead of the pod's, as asked.
func TestPodUsesHost(t *testing.T) {
	w := newWorld(t)
	w.create(t, "p", "--host", "ipc", "--host", "pid", "--host", "uts")
	a := w.add(t, "p", "a")
	got := a.namespaces(t)
	for _, kind := range []string{"ipc", "pid", "uts"} {
		if host := ownNamespace(t, kind); got[kind] != host {
			t.Errorf("%s namespace %s; want the host's, %s", kind, got[kind], host)
		}
	}
	for _, kind := range []string{"net", "mnt", "cgroup"} {
		if host := ownNamespace(t, kind); got[kind] == host {
			t.Errorf("%s namespace is the host's", kind)
		}
	}
	a.want(t, uname(t), "hostname")
	if got := a.processes(t)[os.Getpid()]; got.pid == 0 {
		t.Error("the test's own process is not among those in sight")
	}
	// An orphan of the container belongs to whoever reaps on the host; with the
	// container it ends all the same.
	orphan, err := strconv.Atoi(a.ask(t, "orphan"))
	if err != nil {
		t.Fatal(err)
	}
	w.ok(t, "pod", "rm", "-f", "p")
	eventually(t, "orphan ended", func() bool { return unix.Kill(orphan, 0) == unix.ESRCH })
}
