package integration

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/podrt/podrt/integration/rung"
)

// TestNetworkBadInput: what cannot be is refused by name, before anything is
// made.
func TestNetworkBadInput(t *testing.T) {
	natively(t)
	w := newNetWorld(t)
	w.ok(t, "network", "create", "--subnet", "10.99.1.0/24", "--subnet", "fd00:99:1::/64", "n")
	w.ok(t, "network", "create", "--internal", "inner")
	w.bare(t, "holder", "--network", "n", "-p", "8080:80", "-p", hostIP+":8081:81/udp")
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	busy := fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	u := listenUDP(t, hostIP2+":0")
	busyUDP := fmt.Sprint(u.LocalAddr().(*net.UDPAddr).Port)

	network := func(name string, args []string, words ...string) refusal {
		return refusal{name: name, args: append([]string{"network", "create"}, args...), code: 1, words: words}
	}
	pod := func(name string, args []string, words ...string) refusal {
		return refusal{name: name, args: append(append([]string{"pod", "create"}, args...), "q"), code: 1, words: words}
	}
	on := func(args ...string) []string { return append([]string{"--network", "n"}, args...) }
	self := fmt.Sprint(os.Getpid())
	w.refuse(t, []refusal{
		network("name taken", []string{"n"}, `"n"`, "exists"),
		network("name of a mode", []string{"host"}, `"host"`),
		network("name with a slash", []string{"../n"}, "../n"),
		network("empty name", []string{""}, `""`),
		network("long name", []string{strings.Repeat("n", 300)}, "nnn"),
		network("no subnet", []string{"--subnet", "10.99.9.0", "x"}, "10.99.9.0"),
		network("host bits", []string{"--subnet", "10.99.9.1/24", "x"}, "10.99.9.1/24"),
		network("too small", []string{"--subnet", "10.99.9.0/31", "x"}, "10.99.9.0/31"),
		network("loopback", []string{"--subnet", "127.1.0.0/24", "x"}, "127.1.0.0/24"),
		network("multicast", []string{"--subnet", "224.1.0.0/24", "x"}, "224.1.0.0/24"),
		network("link-local", []string{"--subnet", "fe80::/64", "x"}, "fe80::/64"),
		network("around link-local", []string{"--subnet", "169.0.0.0/8", "x"}, "169.0.0.0/8"),
		network("nobody's", []string{"--subnet", "0.1.0.0/16", "x"}, "0.1.0.0/16"),
		network("range of the gateway alone", []string{"--subnet", "10.99.9.0/24", "--ip-range", "10.99.9.1/32", "x"}, "10.99.9.1/32"),
		network("overlaps a network", []string{"--subnet", "10.99.0.0/16", "x"}, "10.99.0.0/16", `"n"`),
		network("overlaps the host", []string{"--subnet", "192.0.2.128/25", "x"}, "192.0.2.128/25", uplink),
		network("overlaps the host's IPv6", []string{"--subnet", "2001:db8:2::/96", "x"}, "2001:db8:2::/96", uplink),
		network("two of a family", []string{"--subnet", "10.99.8.0/24", "--subnet", "10.99.9.0/24", "x"}, "10.99.9.0/24"),
		network("gateway elsewhere", []string{"--subnet", "10.99.9.0/24", "--gateway", "10.99.8.1", "x"}, "10.99.8.1"),
		network("range elsewhere", []string{"--subnet", "10.99.9.0/24", "--ip-range", "10.99.8.0/28", "x"}, "10.99.8.0/28"),
		network("no family", []string{"--ipv4=false", "--ipv6=false", "x"}, "neither IPv4 nor IPv6"),
		network("a family that is not wanted", []string{"--ipv6=false", "--subnet", "fd00:9::/64", "x"}, "fd00:9::/64"),
		network("small MTU", []string{"--mtu", "67", "x"}, "67"),
		network("MTU below IPv6's", []string{"--mtu", "1279", "x"}, "1279", "1280"),
		network("large MTU", []string{"--mtu", "65536", "x"}, "65536"),
		network("VLAN", []string{"--vlan", "4095", "x"}, "4095"),
		{name: "rm unknown", args: []string{"network", "rm", "x"}, code: 1, words: []string{`"x"`, "no such network"}},
		{name: "inspect unknown", args: []string{"network", "inspect", "x"}, code: 1, words: []string{`"x"`, "no such network"}},
		{name: "rm in use", args: []string{"network", "rm", "n"}, code: 1, words: []string{`"n"`, `"holder"`}},

		pod("unknown network", []string{"--network", "x"}, `"x"`, "no such network"),
		{name: "pod's name taken", args: []string{"pod", "create", "--network", "n", "holder"}, code: 1, words: []string{`"holder"`, "exists"}},
		pod("port in none", []string{"--network", "none", "-p", "80:80"}, "network.ports", "needs a network"),
		pod("port in host", []string{"--network", "host", "-p", "80:80"}, "network.ports", "needs a network"),
		pod("address in none", []string{"--network", "none", "--ip", "10.99.1.9"}, "network.ips"),
		pod("net not shared", []string{"--network", "n", "--share", "ipc"}, "network.mode", "share"),
		pod("port of a pod", on("-p", "8080:80"), "8080", `"holder"`),
		pod("port of a pod, one address", on("-p", hostIP2+":8080:80"), "8080", `"holder"`),
		pod("port of a pod, all addresses", on("-p", "8081:81/udp"), "8081", `"holder"`),
		pod("port of a process", on("-p", busy+":80"), busy, self),
		pod("port of a process, localhost", on("-p", "127.0.0.1:"+busy+":80"), busy, self),
		pod("port of a process, UDP", on("-p", busyUDP+":7/udp"), busyUDP, self),
		pod("range with a taken port", on("-p", "8079-8082:70-73"), "8080", `"holder"`),
		pod("port twice", on("-p", "9000:80", "-p", "9000:81"), "9000"),
		pod("port twice, one address", on("-p", "9000:80", "-p", hostIP+":9000:81"), "9000"),
		pod("port 0", on("-p", "9000:0"), "9000:0"),
		pod("large port", on("-p", "65536:80"), "65536"),
		pod("no port", on("-p", "http"), "http"),
		pod("protocol", on("-p", "80:80/icmp"), "icmp"),
		pod("ranges of two lengths", on("-p", "9000-9002:80-81"), "9000-9002:80-81"),
		pod("range backwards", on("-p", "9002-9000:80-82"), "9002-9000"),
		pod("not an address", on("-p", "1.2.3:80:80"), "1.2.3"),
		pod("address that is not the host's", on("-p", "198.51.100.99:9000:80"), "198.51.100.99"),
		pod("IPv6 localhost", on("-p", "[::1]:9000:80"), "::1"),
		pod("port in an internal network", []string{"--network", "inner", "-p", "9000:80"}, `"inner"`, "internal"),
		pod("bad address", on("--ip", "10.99.1"), "network.ips", "10.99.1"),
		pod("two addresses of a family", on("--ip", "10.99.1.7", "--ip", "10.99.1.8"), "10.99.1.8"),
		pod("bad MAC", on("--mac-address", "02:00"), "network.mac", "02:00"),
		pod("multicast MAC", on("--mac-address", "01:00:00:00:00:01"), "network.mac", "unicast"),
		pod("rate", on("--ingress-bandwidth", "fast"), "fast"),
		pod("small rate", on("--egress-bandwidth", "999"), "999"),
		pod("annotation", on("--annotation", "kubernetes.io/ingress-bandwidth=much"), "kubernetes.io/ingress-bandwidth", "much"),
	})
}

// TestNetworkRemoveRaces: either the pod or the removal comes first; never is a
// pod in a network that is not there, and whichever fails leaves nothing.
func TestNetworkRemoveRaces(t *testing.T) {
	natively(t)
	w := newNetWorld(t)
	rounds := 20
	if rung.Current() == rung.VM {
		rounds = 3
	}
	w.ok(t, "network", "create", "--ipv6=false", "n")
	start := time.Now()
	w.ok(t, "pod", "create", "--network", "n", "-p", "8080:80", "p")
	took := time.Since(start)
	w.ok(t, "pod", "rm", "p")
	w.ok(t, "network", "rm", "n")
	var created, removed int
	for i := range rounds {
		w.ok(t, "network", "create", "--ipv6=false", "n")
		var create, remove *result
		var wg sync.WaitGroup
		wg.Go(func() { create = w.podrt(t, "pod", "create", "--network", "n", "-p", "8080:80", "p") })
		wg.Go(func() {
			time.Sleep(took * time.Duration(i) / time.Duration(rounds)) // at another point each time
			remove = w.podrt(t, "network", "rm", "n")
		})
		wg.Wait()
		networks := strings.Fields(w.ok(t, "network", "ls", "-q").stdout)
		switch {
		case create.code == 0 && remove.code != 0:
			created++
			if !strings.Contains(message(remove), `"n"`) || !slices.Contains(networks, "n") {
				t.Fatalf("round %d: networks %q; want the pod's, and a refusal that names it: %v", i, networks, remove)
			}
			if got := w.inspectNetwork(t, "n").pods(); !slices.Equal(got, []string{"p"}) {
				t.Errorf("round %d: pods %q in the network; want p", i, got)
			}
			w.ok(t, "pod", "rm", "p")
			w.ok(t, "network", "rm", "n")
		case create.code != 0 && remove.code == 0:
			removed++
			if !strings.Contains(message(create), `"n"`) || slices.Contains(networks, "n") {
				t.Fatalf("round %d: networks %q; want none, and a refusal that names it: %v", i, networks, create)
			}
		default:
			t.Fatalf("round %d: want one to succeed and one to fail: %v\n%v", i, create, remove)
		}
		if left := w.left(); len(left) > 0 {
			t.Fatalf("round %d: left %q", i, left)
		}
	}
	t.Logf("the pod came first in %d rounds, the removal in %d", created, removed)
}

// TestNetworkPrune removes what nobody uses, and nothing else.
func TestNetworkPrune(t *testing.T) {
	natively(t)
	w := newNetWorld(t)
	for _, name := range []string{"used", "unused1", "unused2"} {
		w.ok(t, "network", "create", "--label", "k=v", name)
	}
	a := w.pod(t, "a", "--network", "used", "-p", "8080:80")
	if got := strings.Fields(w.ok(t, "network", "prune").stdout); !slices.Equal(got, []string{"unused1", "unused2"}) {
		t.Errorf("pruned %q; want unused1 and unused2", got)
	}
	if got := strings.Fields(w.ok(t, "network", "ls", "-q").stdout); !slices.Equal(got, []string{"used"}) {
		t.Errorf("networks %q; want used", got)
	}
	w.outside.reach(t, hostIP+":8080", "a for "+outsideIP)
	if got := w.inspectNetwork(t, "used").pods(); !slices.Equal(got, []string{a.name}) {
		t.Errorf("pods %q; want a", got)
	}
}

// TestNetworkPruned: the default network is there for each pod, however often it is
// removed.
func TestNetworkPruned(t *testing.T) {
	natively(t)
	w := newNetWorld(t)
	stop := make(chan struct{})
	pruned := make(chan struct{})
	go func() {
		defer close(pruned)
		for {
			select {
			case <-stop:
				return
			default:
				w.podrt(t, "network", "prune")
			}
		}
	}()
	for range 30 {
		if r := w.podrt(t, "pod", "create", "--network", "bridge", "p"); r.code != 0 {
			t.Errorf("pod create while networks are pruned: %v", r)
			break
		}
		w.ok(t, "pod", "rm", "p")
	}
	close(stop)
	<-pruned
}
