package netsetup

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/podrt/podrt/integration/rung"
)

// TestTraffic proves each way by packets: as the bridge is by default, and where
// it hands them to netfilter (br_netfilter), as container engines have it.
func TestTraffic(t *testing.T) {
	t.Run("routed", func(t *testing.T) {
		w := newWorld(t)
		for _, name := range []string{"bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables"} {
			// A kernel that has br_netfilter built in has it on.
			if _, err := readSysctl(name); err == nil {
				setSysctl(t, name, "0")
			}
		}
		testTraffic(t, w)
	})
	t.Run("br_netfilter", func(t *testing.T) {
		rung.Privileged(t)
		if err := exec.Command("modprobe", "br_netfilter").Run(); err != nil {
			if _, err := os.Stat("/proc/sys/net/bridge"); errors.Is(err, fs.ErrNotExist) {
				t.Skip("no br_netfilter")
			}
		}
		w := newWorld(t)
		setSysctl(t, "bridge/bridge-nf-call-iptables", "1")
		setSysctl(t, "bridge/bridge-nf-call-ip6tables", "1")
		testTraffic(t, w)
	})
}

func testTraffic(t *testing.T, w *world) {
	w.publish(t, w.one, "8080:80", "8080:80/udp")
	w.publish(t, w.far, "9090:80", "9090:80/udp")
	w.publish(t, w.two, "127.0.0.1:7070:80", "127.0.0.1:7070:80/udp",
		"192.0.2.11:6060:80", "192.0.2.11:6060:80/udp", "[2001:db8::11]:6060:80", "[2001:db8::11]:6060:80/udp")
	var host *machine

	t.Run("outside to a published port", func(t *testing.T) {
		w.outside.reaches(t, "192.0.2.1:8080", "one 192.0.2.2")
		w.outside.reaches(t, "[2001:db8::1]:8080", "one 2001:db8::2")
		w.outside.refuses(t, "192.0.2.1:80")
		w.outside.refuses(t, "192.0.2.1:8081")
		w.outside.refuses(t, linkLocal(t, "out0")+":8080")
	})
	t.Run("the host by its addresses", func(t *testing.T) {
		host.reaches(t, "192.0.2.1:8080", "one 192.0.2.1")
		host.reaches(t, "[2001:db8::1]:8080", "one 2001:db8::1")
		host.reaches(t, "10.87.0.1:8080", "one 10.87.0.1")
		host.reaches(t, "10.87.0.2:80", "one 10.87.0.1")
		host.reaches(t, "[fd00:87::2]:80", "one fd00:87::1")
	})
	t.Run("the host by 127.0.0.1", func(t *testing.T) {
		host.reaches(t, "127.0.0.1:8080", "one 10.87.0.1")
		host.reaches(t, "127.8.8.8:8080", "one 10.87.0.1")
		host.reaches(t, "127.0.0.1:7070", "two 10.87.0.1")
		host.refuses(t, "[::1]:8080")
	})
	t.Run("pod to pod", func(t *testing.T) {
		w.one.reaches(t, "10.87.0.3:80", "two 10.87.0.2")
		w.one.reaches(t, "[fd00:87::3]:80", "two fd00:87::2")
	})
	t.Run("pod to a neighbour by the host", func(t *testing.T) {
		for _, address := range []string{"192.0.2.1:8080", "10.87.0.1:8080", "10.88.0.1:8080"} {
			w.two.reaches(t, address, "one 10.87.0.1")
		}
		w.two.reaches(t, "[2001:db8::1]:8080", "one fd00:87::1")
		w.two.reaches(t, "[fd00:87::1]:8080", "one fd00:87::1")
	})
	t.Run("pod to itself by the host", func(t *testing.T) {
		w.one.reaches(t, "192.0.2.1:8080", "one 10.87.0.1")
		w.one.reaches(t, "[2001:db8::1]:8080", "one fd00:87::1")
	})
	t.Run("pod to another network's published port", func(t *testing.T) {
		w.one.reaches(t, "192.0.2.1:9090", "far 10.87.0.2")
		w.one.reaches(t, "[2001:db8::1]:9090", "far fd00:87::2")
		w.far.reaches(t, "192.0.2.1:8080", "one 10.88.0.2")
	})
	t.Run("one address of the host", func(t *testing.T) {
		w.outside.reaches(t, "192.0.2.11:6060", "two 192.0.2.2")
		w.outside.reaches(t, "[2001:db8::11]:6060", "two 2001:db8::2")
		host.reaches(t, "192.0.2.11:6060", "two 192.0.2.11")
		for _, address := range []string{"192.0.2.1:6060", "[2001:db8::1]:6060", "192.0.2.1:7070"} {
			w.outside.refuses(t, address)
		}
		host.refuses(t, "127.0.0.1:6060")
	})
	t.Run("out", func(t *testing.T) {
		outside := w.outside.serve(t, "outside", 81)
		w.one.reaches(t, "192.0.2.2:81", "outside 192.0.2.1")
		w.one.reaches(t, "[2001:db8::2]:81", "outside 2001:db8::1")
		w.far.reaches(t, "192.0.2.2:81", "outside 192.0.2.1")
		outside.unreached(t, func() { w.inner.shut(t, "192.0.2.2:81", "[2001:db8::2]:81") })
		host.reaches(t, "192.0.2.2:81", "outside 192.0.2.1")
	})
	t.Run("isolation", func(t *testing.T) {
		w.one.unreached(t, func() {
			for _, m := range []*machine{w.far.machine, w.outdoors.machine, w.inner.machine, w.outside} {
				m.shut(t, "10.87.0.2:80", "[fd00:87::2]:80")
			}
		})
		for _, p := range []*pod{w.far, w.outdoors} {
			p.unreached(t, func() { w.one.shut(t, p.addrs[0].String()+":80", "["+p.addrs[1].String()+"]:80") })
		}
	})
	t.Run("no isolation", func(t *testing.T) {
		w.outside.reaches(t, "10.90.0.2:80", "outdoors 192.0.2.2")
		w.outside.reaches(t, "[fd00:90::2]:80", "outdoors 2001:db8::2")
	})
	t.Run("internal", func(t *testing.T) {
		w.inner.unreached(t, func() {
			for _, m := range []*machine{w.one.machine, w.outdoors.machine, w.outside} {
				m.shut(t, "10.89.0.2:80", "[fd00:89::2]:80")
			}
		})
		w.one.unreached(t, func() { w.inner.shut(t, "192.0.2.1:8080", "[2001:db8::1]:8080") })
		w.outdoors.unreached(t, func() { w.inner.shut(t, "10.90.0.2:80", "[fd00:90::2]:80") })
		host.reaches(t, "10.89.0.2:80", "inner 10.89.0.1")
		host.reaches(t, "[fd00:89::2]:80", "inner fd00:89::1")
	})
	t.Run("127.0.0.0/8 of the host", func(t *testing.T) { testLoopback(t, w) })
}

// TestTrafficOneFamily publishes ports of pods that have one family.
func TestTrafficOneFamily(t *testing.T) {
	w := newWorld(t)
	old, young := network("old", "10.91.0.0/24"), network("young", "fd00:92::/64")
	w.addBridge(t, old)
	w.addBridge(t, young)
	four, six := w.addPod(t, old, "four", 2), w.addPod(t, young, "six", 2)
	w.publish(t, four, "4000:80", "4000:80/udp")
	w.publish(t, six, "6000:80", "6000:80/udp")
	w.outside.reaches(t, "192.0.2.1:4000", "four 192.0.2.2")
	w.outside.refuses(t, "[2001:db8::1]:4000")
	w.outside.reaches(t, "[2001:db8::1]:6000", "six 2001:db8::2")
	w.outside.refuses(t, "192.0.2.1:6000")
	six.reaches(t, "[2001:db8::1]:6000", "six fd00:92::1")
	w.unpublish(t, four)
	w.outside.refuses(t, "192.0.2.1:4000")
	w.outside.reaches(t, "[2001:db8::1]:6000", "six 2001:db8::2")
	w.unpublish(t, six)
	w.outside.refuses(t, "[2001:db8::1]:6000")
}

// linkLocal returns the link's IPv6 link-local address, for a neighbour on eth0.
func linkLocal(t *testing.T, name string) string {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	list, err := netlink.AddrList(link, netlink.FAMILY_V6)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if a.IP.IsLinkLocalUnicast() {
			return "[" + a.IP.String() + "%eth0]"
		}
	}
	t.Fatalf("link %s has no link-local address: %v", name, list)
	return ""
}
