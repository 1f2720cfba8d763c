package integration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/bundle"
	"github.com/podrt/podrt/integration/rung"
)

// netCounters are an interface's in pod stats.
type netCounters struct {
	RxBytes, TxBytes     uint64
	RxPackets, TxPackets uint64
}

// counters are those of eth0 of a pod.
func (w *netWorld) counters(t *testing.T, pod string) netCounters {
	t.Helper()
	var all []struct {
		Network []struct {
			Name     string
			Counters netCounters
		}
	}
	out := w.ok(t, "pod", "stats", "--format", "json", pod).stdout
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
		t.Fatalf("pod stats: %v: %s; want an array of one pod", err, out)
	}
	for _, l := range all[0].Network {
		if l.Name == "eth0" {
			return l.Counters
		}
	}
	t.Fatalf("pod stats: no eth0: %s", out)
	return netCounters{}
}

// TestNetworkStats: counters grow by what goes over the link.
func TestNetworkStats(t *testing.T) {
	natively(t)
	w := newNetWorld(t)
	p := w.pod(t, "p", "--network", "bridge")
	p.stay(t, "blast", ":5000")
	w.outside.stay(t, "blast", far4+":5000")
	const size = 1 << 20
	pull := func(t *testing.T, a *agent, addr string) {
		t.Helper()
		a.ask(t, "pull", addr, "0", strconv.Itoa(size))
	}
	before := w.counters(t, "p")
	pull(t, w.host.agent, p.addr(t, false, "5000"))
	sent := w.counters(t, "p")
	pull(t, p.agent, far4+":5000")
	received := w.counters(t, "p")
	if tx, rx := sent.TxBytes-before.TxBytes, sent.RxBytes-before.RxBytes; tx < size || rx > size/2 || sent.TxPackets <= before.TxPackets {
		t.Errorf("sent %d bytes, received %d, by pod stats; want at least %d sent: %+v after %+v", tx, rx, size, sent, before)
	}
	if rx := received.RxBytes - sent.RxBytes; rx < size || received.RxPackets <= sent.RxPackets {
		t.Errorf("received %d bytes by pod stats; want at least %d: %+v after %+v", rx, size, received, sent)
	}
	if table := w.ok(t, "pod", "stats", "p").stdout; !strings.Contains(table, "RECEIVED") || !strings.Contains(table, "MiB") {
		t.Errorf("pod stats: no columns of the network: %s", table)
	}
}

// TestNetworkInspect: what pod inspect and network inspect tell is what the
// kernel has.
func TestNetworkInspect(t *testing.T) {
	natively(t)
	w := newNetWorld(t)
	w.ok(t, "network", "create", "--subnet", "10.99.1.0/24", "--subnet", "fd00:99:1::/64", "--mtu", "1400", "n")
	p := w.bare(t, "p", "--network", "n", "--ip", "10.99.1.5", "--ip", "fd00:99:1::5", "-p", "8080:80", "-p", "7/udp")
	i := p.info.Interface
	if p.info.Mode != "n" || p.info.Driver != "bridge" || i == nil {
		t.Fatalf("network %+v; want mode n, driver bridge and an interface", p.info)
	}
	if got := fmt.Sprintf("%s %s %d %v %v", i.Network, i.Name, i.MTU, i.Addresses, i.Gateways); got != "n eth0 1400 [10.99.1.5/24 fd00:99:1::5/64] [10.99.1.1 fd00:99:1::1]" {
		t.Errorf("interface %s", got)
	}
	links := runIn(t, w.netns(p.uid), "", "ip", "-oneline", "link", "show", "eth0")
	if !strings.Contains(links, "mtu 1400") || !strings.Contains(links, i.MAC) {
		t.Errorf("eth0 is %s; want MTU 1400 and %s", links, i.MAC)
	}
	host := runIn(t, w.host.netns, "", "ip", "-oneline", "link", "show", i.HostLink)
	if bridge := w.inspectNetwork(t, "n").Bridge.Bridge; !strings.Contains(host, "master "+bridge) || !strings.Contains(host, "state UP") {
		t.Errorf("link %s of the host is %s; want it up, a port of %s", i.HostLink, host, bridge)
	}
	if got := i.Ports[0]; got.HostPort != 8080 || got.ContainerPort != 80 || got.Protocol != "tcp" {
		t.Errorf("port %+v; want 8080 for 80/tcp", got)
	}
	if got := i.Ports[1]; got.HostPort == 0 || got.ContainerPort != 7 || got.Protocol != "udp" {
		t.Errorf("port %+v; want one that was chosen, for 7/udp", got)
	}
	for what, words := range map[string][]string{
		string(jsonOf(p.info.Links)):  {"eth0", "10.99.1.5", "fd00:99:1::5", i.MAC, `"lo"`},
		string(jsonOf(p.info.Routes)): {"10.99.1.1", "fd00:99:1::1", "10.99.1.0/24"},
		fmt.Sprint(p.info.Rules):      {"8080", "10.99.1.5", "fd00:99:1::5", strconv.Itoa(i.Ports[1].HostPort)},
	} {
		for _, word := range words {
			if !strings.Contains(what, word) {
				t.Errorf("inspect: no %q in %s", word, what)
			}
		}
	}
	n := w.inspectNetwork(t, "n")
	if n.Driver != "bridge" || len(n.Pods) != 1 || n.Pods[0].UID != p.uid || n.Pods[0].Name != "p" || len(n.Pods[0].Addresses) != 2 {
		t.Errorf("network inspect: %+v; want driver bridge, and the pod with two addresses", n)
	}
	if table := w.ok(t, "network", "ls").stdout; !strings.Contains(table, "10.99.1.0/24,fd00:99:1::/64") {
		t.Errorf("network ls: %s; want its subnets", table)
	}
	// Addresses are there at once, without a wait for duplicates of them.
	if out := runIn(t, w.netns(p.uid), "", "ip", "-6", "address", "show", "dev", "eth0", "scope", "global"); strings.Contains(out, "tentative") {
		t.Errorf("addresses %s; want none tentative", out)
	}
	for _, family := range []string{"-4", "-6"} {
		if out := runIn(t, w.netns(p.uid), "", "ip", family, "route", "show", "default"); strings.Count(out, "default") != 1 {
			t.Errorf("default routes %q; want one", out)
		}
	}
	w.bare(t, "alone")
	w.fails(t, 1, []string{`"alone"`, `network.mode is "none"`}, "network", "check", "alone")
	w.ok(t, "network", "check", "p")
	runIn(t, w.netns(p.uid), "", "ip", "address", "del", "10.99.1.5/24", "dev", "eth0")
	w.fails(t, 1, []string{`"p"`, `"eth0"`, "10.99.1.5/24"}, "network", "check", "p")
	runIn(t, w.netns(p.uid), "", "ip", "link", "set", "eth0", "down")
	w.fails(t, 1, []string{`"p"`, `"eth0"`, "down"}, "network", "check", "p")
}

// TestNetworkVLAN: a network with a VLAN works as any other.
func TestNetworkVLAN(t *testing.T) {
	w := newNetWorld(t)
	w.ok(t, "network", "create", "--vlan", "42", "n")
	if r := w.podrt(t, "pod", "create", "--network", "n", "first"); r.code != 0 && rung.Current() == rung.Native {
		t.Skipf("no VLANs on bridges in this kernel: %v", r) // the VM has them
	}
	w.ok(t, "pod", "rm", "first")
	s := w.stage(t, w.pod(t, "a", "--network", "n", "-p", "8080:80"), w.pod(t, "b", "--network", "n"))
	s.run(t, []hop{
		{"a", "{b}:80", "b for {a}"},
		{"b", "{a6}:80", "a for {b6}"},
		{"host", "{a}:80", "a for {a-gw}"},
		{"outside", hostIP + ":8080", "a for " + outsideIP},
		{"a", hostIP + ":8080", "a for"},
	})
	bridge := w.inspectNetwork(t, "n").Bridge.Bridge
	if out := runIn(t, w.host.netns, "", "ip", "-details", "link", "show", bridge); !strings.Contains(out, "vlan_filtering 1") {
		t.Errorf("bridge %s; want it to filter VLANs", out)
	}
}

// TestNetworkUser: the network namespace of a pod with a user namespace is the
// pod's root's, and has its place all the same.
func TestNetworkUser(t *testing.T) {
	natively(t)
	w := newNetWorld(t)
	const first = 100000
	w.create(t, "p", "--network", "bridge", "-p", "8080:80", "--share", "net,ipc,uts,user",
		"--uidmap", fmt.Sprintf("0:%d:65536", first), "--gidmap", fmt.Sprintf("0:%d:65536", first))
	spec := w.serve("p", "c")
	dir := w.bundle(t, spec)
	if err := bundle.Chown(dir+"/rootfs", first, first); err != nil {
		t.Fatal(err)
	}
	w.ok(t, "run", "--detach", "--pod", "p", "--bundle", dir, "p-c")
	a := w.agent(t, "p", "c")
	a.greet(t, "p", ":80")
	a.want(t, a.namespaces(t)["user"], "ns-owner", "net")
	w.outside.greet(t, "far", far4+":80")
	b := w.pod(t, "b", "--network", "bridge")
	w.outside.reach(t, hostIP+":8080", "p for "+outsideIP)
	w.outside.reach(t, "["+hostIP6+"]:8080", "p for "+outsideIP6)
	a.reach(t, far4+":80", "far for "+hostIP)
	a.reach(t, b.addr(t, true, "80"), "b for")
	a.reach(t, hostIP+":8080", "p for")
	if got := addresses(t, w.netns(w.inspect(t, "p").UID)); len(got) != 2 || !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "eth0 10.87.") }) {
		t.Errorf("addresses %q; want one of each family on eth0", got)
	}
}
