package integration

import (
	"fmt"
	"strings"
	"testing"
)

// TestPodsAreIsolated: two pods have nothing in common, whatever their
// containers share with their own pod's.
func TestPodsAreIsolated(t *testing.T) {
	w := newWorld(t)
	for _, pod := range []string{"one", "two"} {
		w.create(t, pod, "--share", "net,ipc,uts,pid,cgroup", "--volume", "data:/data", "--volume", "fast:/fast:memory,size=64k")
	}
	a, b := w.add(t, "one", "a"), w.add(t, "two", "b")

	t.Run("namespaces", func(t *testing.T) {
		as, bs := a.namespaces(t), b.namespaces(t)
		for _, kind := range []string{"net", "ipc", "uts", "pid", "mnt", "cgroup"} {
			if host := ownNamespace(t, kind); as[kind] == bs[kind] || as[kind] == host || bs[kind] == host {
				t.Errorf("%s namespaces %s and %s, the host's %s; want three", kind, as[kind], bs[kind], host)
			}
		}
	})
	t.Run("net", func(t *testing.T) {
		for _, addr := range []string{"127.0.0.1:80", "udp:127.0.0.1:53", "@abstract"} {
			a.stay(t, "listen", addr, "from one")
			b.refused(t, "ECONNREFUSED", "dial", addr)
			b.stay(t, "listen", addr, "from two")
			a.want(t, "from one", "dial", addr)
			b.want(t, "from two", "dial", addr)
		}
	})
	t.Run("ipc", func(t *testing.T) {
		for _, o := range ipcObjects {
			a.ask(t, o.say("42")...)
			b.refused(t, o.none, o.hear...)
			b.ask(t, o.say("7")...)
			a.want(t, "42", o.hear...)
		}
	})
	t.Run("uts", func(t *testing.T) {
		a.want(t, "one (none)", "hostname")
		b.want(t, "two (none)", "hostname")
	})
	t.Run("pid", func(t *testing.T) {
		a.ask(t, "orphan")
		if got := a.processes(t); len(got) != 3 {
			t.Errorf("processes of one: %v; want init, probe and its orphan", got)
		}
		if got := b.processes(t); len(got) != 2 {
			t.Errorf("processes of two: %v; want init and probe", got)
		}
	})
	t.Run("volumes", func(t *testing.T) {
		for _, dir := range []string{"/data", "/fast", "/dev/shm"} {
			a.ask(t, "write", dir+"/mine", "one")
			b.refused(t, "ENOENT", "read", dir+"/mine")
		}
	})
	t.Run("cgroup", func(t *testing.T) {
		one, two := w.inspect(t, "one"), w.inspect(t, "two")
		if one.Cgroup == two.Cgroup {
			t.Fatalf("cgroup %q of both", one.Cgroup)
		}
		kept := len(procs(t, two.Cgroup))
		w.ok(t, "pod", "pause", "one")
		b.want(t, "two (none)", "hostname")
		w.ok(t, "pod", "kill", "one")
		a.awaitEnd(t)
		if got := procs(t, two.Cgroup); len(got) != kept || kept != 2 {
			t.Errorf("processes of two: %d, and %d after the end of one; want 2", kept, len(got))
		}
		b.want(t, "two (none)", "hostname")
	})
}

// TestPodPinsOutliveContainers: the namespaces are the pod's, not its
// containers'; what is in them waits for the next one.
func TestPodPinsOutliveContainers(t *testing.T) {
	w := newWorld(t)
	w.create(t, "p")
	a := w.add(t, "p", "a")
	before := a.namespaces(t)
	a.ask(t, "sem-set", "5", "42")
	a.ask(t, "shm-write", "x", "kept")
	a.ask(t, "mq-send", "q", "kept")
	w.ok(t, "delete", "--force", "p-a")
	a.awaitEnd(t)

	info := w.inspect(t, "p")
	if info.Phase != "Created" || len(info.Containers) != 0 || len(procs(t, info.Cgroup)) != 0 {
		t.Errorf("inspect without containers: phase %s, %+v, processes %d; want Created and none", info.Phase, info.Containers, procs(t, info.Cgroup))
	}
	for _, ns := range info.Namespaces {
		if got := fmt.Sprintf("%s:[%d]", ns.Kind, ns.Inode); got != before[ns.Kind] || ns.Error != "" {
			t.Errorf("pin %s: %s %s; want %s", ns.Path, got, ns.Error, before[ns.Kind])
		}
	}
	if len(info.Namespaces) != 3 {
		t.Errorf("namespaces %+v; want net, ipc and uts", info.Namespaces)
	}
	b := w.add(t, "p", "b")
	for _, kind := range []string{"net", "ipc", "uts"} {
		if got := b.namespaces(t)[kind]; got != before[kind] {
			t.Errorf("%s namespace of the next container: %s; want %s", kind, got, before[kind])
		}
	}
	b.want(t, "42", "sem-get", "5")
	b.want(t, "kept", "shm-read", "x")
	b.want(t, "kept", "mq-recv", "q")
}

// TestPodNameAgain: a new pod of an old name has a new UID and nothing of the
// old one.
func TestPodNameAgain(t *testing.T) {
	w := newWorld(t)
	flags := []string{"--volume", "data:/data", "--hostname", "first", "--sysctl", "net.core.somaxconn=99", "--label", "old=1"}
	first := w.create(t, "p", flags...)
	a := w.add(t, "p", "a")
	a.ask(t, "sem-set", "5", "42")
	for _, dir := range []string{"/data", "/dev/shm"} {
		a.ask(t, "write", dir+"/x", "old")
	}
	w.fails(t, 1, []string{`pod "p"`, first, "exists"}, "pod", "create", "p")
	w.fails(t, 1, []string{first, "exist"}, "pod", "create", "--uid", first, "other")
	w.fails(t, 1, []string{`container "p-a"`, "running", "stop the pod first or use force"}, "pod", "rm", "p")
	w.ok(t, "pod", "rm", "-f", "p")
	w.fails(t, 1, []string{`pod "p"`, "does not exist"}, "pod", "inspect", "p")
	w.fails(t, 1, []string{first, "does not exist"}, "pod", "inspect", first)
	w.forget("p", "a")

	second := w.create(t, "p", "--volume", "data:/data")
	if first == second {
		t.Errorf("UID %s again", first)
	}
	b := w.add(t, "p", "a")
	b.refused(t, "ENOENT", "sem-get", "5")
	b.refused(t, "ENOENT", "read", "/data/x")
	b.refused(t, "ENOENT", "read", "/dev/shm/x")
	b.want(t, "p (none)", "hostname")
	if got := b.ask(t, "read", "/proc/sys/net/core/somaxconn"); got == "99" {
		t.Error("the old pod's sysctl is set")
	}
	if out := w.ok(t, "pod", "inspect", "p").stdout; strings.Contains(out, first) || strings.Contains(out, `"old"`) {
		t.Errorf("inspect has something of the old pod: %s", out)
	}
}

// TestPodByPrefix: a pod is named by its name, its UID, or a prefix that fits no
// other.
func TestPodByPrefix(t *testing.T) {
	w := newWorld(t)
	for name, uid := range map[string]string{"web": "aa11", "web-2": "aa22", "db": "web-uid"} {
		if got := w.create(t, name, "--uid", uid); got != uid {
			t.Errorf("create --uid %s: %s", uid, got)
		}
	}
	for ref, want := range map[string]string{
		"web": "web", "web-2": "web-2", "aa11": "web", "aa2": "web-2", "d": "db", "web-u": "db", "web-uid": "db",
	} {
		if got := w.inspect(t, ref).Name; got != want {
			t.Errorf("inspect %s: pod %s; want %s", ref, got, want)
		}
	}
	for ref, words := range map[string][]string{
		"aa":  {`"aa"`, "fits 2 pods", "aa11", "aa22"},
		"we":  {`"we"`, "fits 3 pods"},
		"x":   {`"x"`, "does not exist"},
		"":    {"must not be empty"},
		"../": {"does not exist"},
		".":   {"does not exist"},
	} {
		w.fails(t, 1, words, "pod", "inspect", ref)
	}
	// Nobody is removed on a guess: not by a prefix of a name, nor by a short
	// one of a UID.
	w.create(t, "long", "--uid", "0123456789")
	w.create(t, "long-2", "--uid", "01234567-8")
	w.ok(t, "pod", "rm", "-f", "x", "we", "d", "aa", "aa1", "0123456")
	w.fails(t, 1, []string{`"01234567"`, "fits 2 pods"}, "pod", "rm", "-f", "01234567")
	w.ok(t, "pod", "rm", "-f", "012345678", "long-2", "aa11")
	if out := strings.Fields(w.ok(t, "pod", "ls", "-q").stdout); len(out) != 2 {
		t.Errorf("pod ls -q after the removals: %q; want two", out)
	}
}
