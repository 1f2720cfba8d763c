package integration

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
)

// netnsState is all that ip(8) tells of a network namespace, without counters.
func netnsState(t *testing.T, netns string) string {
	t.Helper()
	return runIn(t, netns, "", "ip", "-oneline", "address") + runIn(t, netns, "", "ip", "link") +
		runIn(t, netns, "", "ip", "route") + runIn(t, netns, "", "ip", "-6", "route")
}

// TestNetworkPath: a network namespace that somebody else has made is used as it
// is.
func TestNetworkPath(t *testing.T) {
	natively(t)
	w := newNetWorld(t)
	third := w.newHost(t, "third", unix.CLONE_NEWNET)
	third.ip(t, "link add mine type veth peer name yours", "link set mine addrgenmode none", "link set yours addrgenmode none",
		"addr add 198.51.100.1/24 dev mine", "link set mine up", "link set yours up")
	before := netnsState(t, third.netns)
	w.create(t, "p", "--network", "ns:"+third.netns)
	a := w.add(t, "p", "c")
	if got, want := a.namespaces(t)["net"], third.namespaces(t)["net"]; got != want {
		t.Errorf("network namespace %s; want %s", got, want)
	}
	a.greet(t, "p", "198.51.100.1:80")
	// lo is down there, and stays so; the far end of the veth is in the same place.
	a.refused(t, "ENETUNREACH", "dial", "127.0.0.1:80")
	if info := w.network(t, "p"); info.Mode != "ns:"+third.netns || info.Interface != nil {
		t.Errorf("inspect: network %+v; want the mode and no interface", info)
	}
	w.create(t, "joiner", "--network", "container:p")
	if got, want := w.add(t, "joiner", "c").namespaces(t)["net"], third.namespaces(t)["net"]; got != want {
		t.Errorf("network namespace of a pod that joined: %s; want %s", got, want)
	}
	w.ok(t, "pod", "rm", "-f", "joiner", "p")
	if after := netnsState(t, third.netns); after != before {
		t.Errorf("the namespace after the pod:\n%s\nwant it as before:\n%s", after, before)
	}
	third.ask(t, "ns") // is there still
	w.refuse(t, []refusal{
		{name: "no such path", args: []string{"pod", "create", "--network", "ns:/nonexistent", "q"}, code: 1, words: []string{"/nonexistent", "no such file"}},
		{name: "no namespace", args: []string{"pod", "create", "--network", "ns:/etc/passwd", "q"}, code: 1, words: []string{"/etc/passwd", "no network namespace"}},
		{name: "of another kind", args: []string{"pod", "create", "--network", "ns:/proc/self/ns/uts", "q"}, code: 1, words: []string{"/proc/self/ns/uts", "no network namespace"}},
		{name: "relative", args: []string{"pod", "create", "--network", "ns:netns", "q"}, code: 1, words: []string{"ns:netns"}},
		{name: "ports", args: []string{"pod", "create", "--network", "ns:" + third.netns, "-p", "80:80", "q"}, code: 1, words: []string{"network.ports", "needs a network"}},
	})
}

// TestNetworkJoined: a pod that joins another's network shares its address and
// its published ports, and outlives it.
func TestNetworkJoined(t *testing.T) {
	natively(t)
	w := newNetWorld(t)
	w.create(t, "p", "--network", "bridge", "-p", "8080:80")
	p := w.network(t, "p")
	w.create(t, "joiner", "--network", "container:p")
	a := w.add(t, "joiner", "c")
	a.greet(t, "joiner", ":80")
	w.outside.reach(t, hostIP+":8080", "joiner for "+outsideIP)
	w.host.reach(t, p.addr(t, false)+":80", "joiner for")
	w.create(t, "none", "--network", "none")
	if got := addresses(t, w.netns(w.inspect(t, "none").UID)); len(got) > 0 {
		t.Errorf("addresses %q of a pod without a network; want none", got)
	}

	// Its address goes with the pod whose it is.
	w.ok(t, "pod", "rm", "-f", "p")
	if got := addresses(t, w.netns(w.inspect(t, "joiner").UID)); len(got) > 0 {
		t.Errorf("addresses %q of a pod in the network of one that is gone; want none", got)
	}
	a.reach(t, "127.0.0.1:80", "joiner for 127.0.0.1")
	again := w.pod(t, "q", "--network", "bridge", "-p", "8080:80")
	again.reach(t, hostIP+":8080", "q for")
}

// TestNetworkInPodFile: pod.json says what the flags say.
func TestNetworkInPodFile(t *testing.T) {
	natively(t)
	w := newNetWorld(t)
	w.ok(t, "network", "create", "--subnet", "10.99.1.0/24", "--subnet", "fd00:99:1::/64", "n")
	dir := w.podOf(t, map[string]any{"network": object{
		"mode": "n", "ips": list{"10.99.1.9"}, "mac": "02:00:00:00:00:09",
		"ports": list{object{"hostPort": 8080, "containerPort": 80}, object{"hostIP": hostIP2, "hostPort": 8053, "containerPort": 7, "protocol": "udp"}},
	}}, bundle.Container{Name: "c"})
	w.ok(t, "pod", "run", "-d", "-p", "8081:80", dir)
	a := w.agent(t, "p", "c")
	a.greet(t, "p", ":80", "udp::7")
	info := w.network(t, "p")
	if got := info.addr(t, false); got != "10.99.1.9" || info.Interface.MAC != "02:00:00:00:00:09" {
		t.Errorf("interface %+v; want 10.99.1.9 and 02:00:00:00:00:09", info.Interface)
	}
	for _, addr := range []string{hostIP + ":8080", "[" + hostIP6 + "]:8080", hostIP + ":8081", "udp:" + hostIP2 + ":8053"} {
		w.outside.reach(t, addr, "p for")
	}
	w.outside.reach(t, "udp:"+hostIP+":8053", noAnswer)

	// It is the pod's as long as the pod is.
	w.ok(t, "pod", "stop", "-t", "0", "p")
	w.forget("p", "c")
	w.ok(t, "pod", "start", "p")
	a = w.agent(t, "p", "c")
	a.greet(t, "again", ":80")
	w.outside.reach(t, hostIP+":8080", "again for "+outsideIP)
	if again := w.network(t, "p"); again.addr(t, true) != info.addr(t, true) {
		t.Errorf("address %s; want %s still", again.addr(t, true), info.addr(t, true))
	}
}
