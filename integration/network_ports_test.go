package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// TestNetworkPorts: a published port is where it is said to be, for everybody.
func TestNetworkPorts(t *testing.T) {
	w := newNetWorld(t)
	w.ok(t, "network", "create", "other")
	w.ok(t, "network", "create", "--ipv6=false", "four")
	a := w.pod(t, "a", "--network", "bridge", "-p", "8080:80", "-p", "8053:7/udp", "-p", hostIP2+":8081:80", "-p", "["+hostIP6b+"]:8082:80",
		"-p", "127.0.0.1:8083:80", "-p", "9000-9001:80-81", "-p", "80", "-p", "7/udp")
	s := w.stage(t, a, w.pod(t, "b", "--network", "bridge"), w.pod(t, "c", "--network", "other"), w.pod(t, "d", "--network", "four", "-p", "8090:80"))
	a.greet(t, "a81", ":81")
	var tcp, udp int
	for _, p := range a.info.Interface.Ports {
		switch {
		case p.ContainerPort == 80 && p.HostPort > 9001:
			tcp = p.HostPort
		case p.ContainerPort == 7 && p.HostPort > 9001:
			udp = p.HostPort
		}
	}
	if tcp == 0 || udp == 0 {
		t.Fatalf("ports %+v; want those that were chosen, too", a.info.Interface.Ports)
	}

	s.run(t, []hop{
		{"outside", hostIP + ":8080", "a for " + outsideIP},
		{"outside", "[" + hostIP6 + "]:8080", "a for " + outsideIP6},
		{"outside", "udp:" + hostIP + ":8053", "a for " + outsideIP},
		{"outside", "udp:[" + hostIP6 + "]:8053", "a for " + outsideIP6},
		{"outside", hostIP2 + ":8080", "a for " + outsideIP},
		{"outside", hostIP + ":9000", "a for " + outsideIP},
		{"outside", hostIP + ":9001", "a81 for " + outsideIP},
		{"outside", fmt.Sprintf("%s:%d", hostIP, tcp), "a for " + outsideIP},
		{"outside", fmt.Sprintf("udp:%s:%d", hostIP, udp), "a for " + outsideIP},
		{"outside", hostIP + ":8090", "d for " + outsideIP},

		// One address of the host only.
		{"outside", hostIP2 + ":8081", "a for " + outsideIP},
		{"outside", hostIP + ":8081", noAnswer},
		{"outside", "[" + hostIP6b + "]:8082", "a for " + outsideIP6},
		{"outside", "[" + hostIP6 + "]:8082", noAnswer},
		{"outside", hostIP + ":8083", noAnswer},
		{"host", "127.0.0.1:8083", "a for"},
		{"host", "127.0.0.1:8081", noAnswer},
		{"b", hostIP + ":8083", noAnswer},

		// Not what is not published, nor the other protocol.
		{"outside", hostIP + ":80", noAnswer},
		{"outside", "udp:" + hostIP + ":8080", noAnswer},
		{"outside", hostIP + ":8053", noAnswer},
		{"outside", "[" + hostIP6 + "]:8090", noAnswer},

		// The host, by its addresses and by localhost.
		{"host", hostIP + ":8080", "a for"},
		{"host", "[" + hostIP6 + "]:8080", "a for"},
		{"host", "{a-gw}:8080", "a for"},
		{"host", "127.0.0.1:8080", "a for"},
		{"host", "localhost:8080", "a for"},
		{"host", "127.9.9.9:8080", "a for"},
		{"host", "udp:127.0.0.1:8053", "a for"},
		{"host", "127.0.0.1:8090", "d for"},

		// Other pods, by the host's addresses, and the pod itself.
		{"b", hostIP + ":8080", "a for"},
		{"b", "[" + hostIP6 + "]:8080", "a for"},
		{"b", "udp:" + hostIP + ":8053", "a for"},
		{"b", "{b-gw}:8080", "a for"},
		{"c", hostIP + ":8080", "a for"},
		{"c", "[" + hostIP6 + "]:8080", "a for"},
		{"a", hostIP + ":8080", "a for"},
		{"a", "[" + hostIP6 + "]:8080", "a for"},
		{"a", "udp:" + hostIP + ":8053", "a for"},
		{"a", "udp:[" + hostIP6 + "]:8053", "a for"},
		{"a", "{a-gw}:8080", "a for"},
		{"a", "127.0.0.1:8080", noAnswer}, // its own localhost
	})

	t.Run("udp sticks to nobody", func(t *testing.T) {
		// The same client and port before, between and after: what conntrack
		// remembers of the old pod must not keep the client from the new one.
		c, err := net.Dial("udp", hostIP+":8054")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, name := range []string{"first", "second"} {
			w.pod(t, name, "--network", "bridge", "-p", "8054:7/udp")
			if got := exchange(t, c); !strings.HasPrefix(got, name+" for") {
				t.Errorf("%s answers; want %q", got, name)
			}
			w.ok(t, "pod", "rm", "-f", name)
			w.forget(name, "c")
			_, _ = c.Write([]byte("?")) // refused, and an entry for nobody
		}
	})
	t.Run("gone", func(t *testing.T) {
		w.ok(t, "pod", "rm", "-f", "a")
		w.forget("a", "c")
		s.run(t, []hop{
			{"outside", hostIP + ":8080", noAnswer},
			{"outside", "udp:" + hostIP + ":8053", noAnswer},
			{"host", "127.0.0.1:8080", noAnswer},
			{"b", hostIP + ":8080", noAnswer},
			{"outside", hostIP + ":8090", "d for " + outsideIP},
		})
	})
}

// TestNetworkBridgeFilter: pods of one network meet by the host's addresses
// whether the kernel has bridged packets pass by the rules for routed ones or not
// (br_netfilter), which other programs turn on.
func TestNetworkBridgeFilter(t *testing.T) {
	if rung.Current() == rung.VM {
		if out, err := exec.Command("modprobe", "br_netfilter").CombinedOutput(); err != nil {
			t.Fatalf("modprobe br_netfilter: %v: %s", err, out)
		}
	}
	const dir = "/proc/sys/net/bridge/"
	if _, err := os.Stat(dir); err != nil {
		t.Skip(err)
	}
	w := newNetWorld(t)
	w.ok(t, "network", "create", "other")
	s := w.stage(t, w.pod(t, "a", "--network", "bridge", "-p", "8080:80", "-p", "8053:7/udp"), w.pod(t, "b", "--network", "bridge"),
		w.pod(t, "c", "--network", "other"))
	for _, value := range []string{"0", "1"} {
		t.Run("call "+value, func(t *testing.T) {
			for _, name := range []string{"bridge-nf-call-iptables", "bridge-nf-call-ip6tables"} {
				before := readFile(t, dir+name)
				t.Cleanup(func() { write(t, dir+name, before) })
				write(t, dir+name, value)
			}
			s.run(t, []hop{
				{"a", hostIP + ":8080", "a for"},
				{"a", "[" + hostIP6 + "]:8080", "a for"},
				{"a", "udp:" + hostIP + ":8053", "a for"},
				{"b", hostIP + ":8080", "a for"},
				{"b", "[" + hostIP6 + "]:8080", "a for"},
				{"b", "udp:[" + hostIP6 + "]:8053", "a for"},
				{"b", "{b-gw}:8080", "a for"},
				{"a", "{b}:80", "b for {a}"},
				{"a", "{b6}:80", "b for {a6}"},
				{"c", hostIP + ":8080", "a for"},
				{"c", "{a}:80", noAnswer},
				{"outside", hostIP + ":8080", "a for " + outsideIP},
				{"host", "127.0.0.1:8080", "a for"},
			})
		})
	}
}

// exchange asks over a connected UDP socket until somebody answers.
func exchange(t *testing.T, c net.Conn) string {
	t.Helper()
	reply := make([]byte, 1500)
	deadline := time.Now().Add(agentLimit)
	for {
		_, _ = c.Write([]byte("?"))
		if err := c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(reply)
		if err == nil {
			return string(reply[:n])
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: nobody answers: %v", c.RemoteAddr(), err)
		}
	}
}

// TestNetworkLoopback: that localhost is published to must not open the host's
// localhost to its neighbours, nor to its pods (CVE-2020-8558).
func TestNetworkLoopback(t *testing.T) {
	w := newNetWorld(t)
	w.create(t, "a", "--network", "bridge", "-p", "8080:80")
	a := w.add(t, "a", "c", func(s *specs.Spec) { addCaps(s, "CAP_NET_RAW") })
	info := w.network(t, "a")
	pod, gateway := info.addr(t, false), info.gateway(t, false)
	bridge := w.inspectNetwork(t, "bridge").Bridge.Bridge

	guarded := listenUDP(t, "127.0.0.1:0")
	guardedAny := listenUDP(t, "0.0.0.0:0") // but asked for as 127.0.0.1
	open := listenUDP(t, "0.0.0.0:0")
	port := func(c *net.UDPConn) string { return strconv.Itoa(c.LocalAddr().(*net.UDPAddr).Port) }
	// crosses sends to the host's localhost from a link of a neighbour, then to an
	// address that is for all, and tells whether the former has arrived.
	crosses := func(t *testing.T, from *agent, link, mac, src, dst string) bool {
		t.Helper()
		for _, c := range []*net.UDPConn{guarded, guardedAny} {
			from.ask(t, "inject", link, mac, src+":4000", "127.0.0.1:"+port(c), "bad")
		}
		from.ask(t, "inject", link, mac, src+":4000", dst+":"+port(open), "good")
		if got, ok := receive(t, open, agentLimit); !ok || got != "good" {
			t.Fatalf("%q, %t from an address that is open; want what was sent", got, ok)
		}
		_, one := receive(t, guarded, time.Millisecond)
		_, two := receive(t, guardedAny, time.Millisecond)
		return one || two
	}
	fromPod := func(t *testing.T) bool {
		return crosses(t, a, "eth0", linkMAC(t, bridge), pod, gateway)
	}
	if fromPod(t) {
		t.Error("a pod reaches the host's localhost")
	}
	if crosses(t, w.outside.agent, "eth0", linkMAC(t, uplink), outsideIP, hostIP) {
		t.Error("a neighbour reaches the host's localhost")
	}
	if got := strings.TrimSpace(readFile(t, "/proc/sys/net/ipv4/conf/"+uplink+"/route_localnet")); got != "0" {
		t.Errorf("route_localnet of %s is %s; want 0", uplink, got)
	}
	w.host.reach(t, "127.0.0.1:8080", noAnswer) // nobody listens in the pod: refused, and not by a timeout
	a.greet(t, "a", ":80")
	w.host.reach(t, "127.0.0.1:8080", "a for "+gateway)

	// The rules are what protects, and they come back.
	runIn(t, w.host.netns, "", "nft", "flush", "ruleset")
	if !fromPod(t) {
		t.Error("without rules, a pod does not reach the host's localhost: this test looks at nothing")
	}
	w.fails(t, 1, []string{`"a"`, "chain protect", "has 0 rules", "reload"}, "network", "check", "a")
	w.ok(t, "network", "reload")
	w.ok(t, "network", "check", "a")
	if fromPod(t) {
		t.Error("after nft flush ruleset and network reload, a pod reaches the host's localhost")
	}
	w.host.reach(t, "127.0.0.1:8080", "a for "+gateway)
	w.outside.reach(t, hostIP+":8080", "a for "+outsideIP)
}

func listenUDP(t *testing.T, addr string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenPacket("udp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.UDPConn)
}

// receive reads a datagram that is there within the limit.
func receive(t *testing.T, c *net.UDPConn, limit time.Duration) (string, bool) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, _, err := c.ReadFrom(b)
	return string(b[:n]), err == nil
}

func linkMAC(t *testing.T, name string) string {
	t.Helper()
	l, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l.HardwareAddr.String()
}

// TestNetworkSCTP publishes a port of SCTP, where the kernel has it.
func TestNetworkSCTP(t *testing.T) {
	natively(t)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	hasSCTP := err == nil
	if hasSCTP {
		_ = unix.Close(fd)
	}
	w := newNetWorld(t)
	w.create(t, "a", "--network", "bridge", "-p", "8080:80/sctp", "-p", "8080:80/tcp")
	info := w.network(t, "a")
	if got := info.hostPort(t, 80, "sctp"); got != 8080 {
		t.Errorf("host port of 80/sctp: %d; want 8080", got)
	}
	if rules := runIn(t, w.host.netns, "", "nft", "list", "table", "inet", "podrt"); !strings.Contains(rules, "sctp") {
		t.Errorf("rules without sctp:\n%s", rules)
	}
	if !hasSCTP {
		t.Logf("no SCTP in this kernel: %v", err)
	}
}
