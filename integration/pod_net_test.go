package integration

import (
	"fmt"
	"net"
	"os"
	"testing"
)

// TestPodSharesNetwork: one IP and port space, one localhost.
func TestPodSharesNetwork(t *testing.T) {
	w := newWorld(t)
	w.create(t, "p")
	a, b := w.add(t, "p", "a"), w.add(t, "p", "b")

	// The second pair is of addresses that loopback answers without being told.
	for _, addr := range []string{"127.0.0.1:80", "127.9.9.9:8080", "[::1]:8080", "udp:127.0.0.1:53", "@abstract"} {
		t.Run(addr, func(t *testing.T) {
			b.refused(t, "ECONNREFUSED", "dial", addr)
			if got, want := a.stay(t, "listen", addr, "from a"), "ready "+plain(addr); got != want {
				t.Errorf("listen %s: %q; want %q", addr, got, want)
			}
			b.want(t, "from a", "dial", addr)
			b.stayRefused(t, "EADDRINUSE", "listen", addr, "from b")
		})
	}
	if a, b := a.namespaces(t)["net"], b.namespaces(t)["net"]; a != b {
		t.Errorf("network namespaces %s and %s; want one", a, b)
	}
}

// plain is the address without probe's name of the network.
func plain(addr string) string {
	if len(addr) > 4 && addr[:4] == "udp:" {
		return addr[4:]
	}
	return addr
}

// TestPodNetworkNotShared: without net in share each container is alone.
func TestPodNetworkNotShared(t *testing.T) {
	w := newWorld(t)
	w.create(t, "p", "--share", "ipc,uts")
	a, b := w.add(t, "p", "a"), w.add(t, "p", "b")
	a.stay(t, "listen", "127.0.0.1:80", "from a")
	b.refused(t, "ECONNREFUSED", "dial", "127.0.0.1:80")
	b.stay(t, "listen", "127.0.0.1:80", "from b")
	b.want(t, "from b", "dial", "127.0.0.1:80")
	host := ownNamespace(t, "net")
	if a, b := a.namespaces(t)["net"], b.namespaces(t)["net"]; a == b || a == host || b == host {
		t.Errorf("network namespaces %s and %s, the host's %s; want three", a, b, host)
	}
}

// TestPodNetworkHost: the network of the host, nothing else of it.
func TestPodNetworkHost(t *testing.T) {
	w := newWorld(t)
	w.create(t, "p", "--network", "host")
	a := w.add(t, "p", "a")
	got := a.namespaces(t)
	if host := ownNamespace(t, "net"); got["net"] != host {
		t.Errorf("network namespace %s; want the host's, %s", got["net"], host)
	}
	for _, kind := range []string{"ipc", "uts", "pid", "mnt", "cgroup"} {
		if host := ownNamespace(t, kind); got[kind] == host {
			t.Errorf("%s namespace is the host's", kind)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a.stayRefused(t, "EADDRINUSE", "listen", l.Addr().String(), "from a")
	if info := w.inspect(t, "p"); info.Network.Mode != "host" || info.namespace("net") != 0 {
		t.Errorf("inspect: network %+v, namespaces %+v; want mode host and no net", info.Network, info.Namespaces)
	}
}

// TestPodNetworkOfPod: a pod in the network of another, which stays even if that
// one goes.
func TestPodNetworkOfPod(t *testing.T) {
	w := newWorld(t)
	w.fails(t, 1, []string{"target", "does not exist"}, "pod", "create", "--network", "container:target", "joiner")
	target := w.create(t, "target")
	w.create(t, "joiner", "--network", "container:target")
	a, b := w.add(t, "target", "a"), w.add(t, "joiner", "b")

	theirs, ours := a.namespaces(t), b.namespaces(t)
	if theirs["net"] != ours["net"] {
		t.Errorf("network namespaces %s and %s; want one", theirs["net"], ours["net"])
	}
	for _, kind := range []string{"ipc", "uts", "pid"} {
		if theirs[kind] == ours[kind] {
			t.Errorf("%s namespace %s of both pods; want two", kind, ours[kind])
		}
	}
	a.stay(t, "listen", "127.0.0.1:80", "from a")
	b.want(t, "from a", "dial", "127.0.0.1:80")
	info := w.inspect(t, "joiner")
	if got := fmt.Sprintf("net:[%d]", info.namespace("net")); got != ours["net"] || info.Network.Mode != "container:target" || info.Network.PodUID != target {
		t.Errorf("inspect: network %+v, net %s; want container:target, pod %s, net %s", info.Network, got, target, ours["net"])
	}

	w.ok(t, "pod", "stop", "-t", "0", "target")
	w.fails(t, 1, []string{`"target"`, `"joiner"`, "joined"}, "pod", "rm", "target")
	w.ok(t, "pod", "rm", "-f", "target")
	b.stay(t, "listen", "127.0.0.1:80", "from b")
	if got := w.add(t, "joiner", "c"); got.namespaces(t)["net"] != ours["net"] {
		t.Errorf("network namespace of a container that joined later: %s; want %s", got.namespaces(t)["net"], ours["net"])
	} else {
		got.want(t, "from b", "dial", "127.0.0.1:80")
	}
}

// ownNamespace is the test's own namespace, the host's for the pods.
func ownNamespace(t *testing.T, kind string) string {
	t.Helper()
	name, err := os.Readlink("/proc/self/ns/" + kind)
	if err != nil {
		t.Fatal(err)
	}
	return name
}
