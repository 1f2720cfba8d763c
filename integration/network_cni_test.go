package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Where CNI's configurations, and what host-local keeps, are.
const (
	cniConfDir = "/etc/cni/net.d"
	cniDataDir = "/var/lib/cni"
)

// conflists are configurations as administrators write them for Debian's
// containernetworking-plugins.
var conflists = map[string]string{
	"10-bridged.conflist": `{
		"cniVersion": "1.0.0", "name": "bridged", "plugins": [
			{"type": "bridge", "bridge": "cni-test0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
			 "ipam": {"type": "host-local", "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
			          "ranges": [[{"subnet": "10.85.0.0/24"}], [{"subnet": "fd00:85::/64"}]]}},
			{"type": "portmap", "capabilities": {"portMappings": true}},
			{"type": "loopback"}]}`,
	"20-direct.conflist": `{
		"cniVersion": "0.4.0", "name": "direct", "plugins": [
			{"type": "ptp", "ipMasq": true, "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.86.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
			{"type": "bandwidth", "capabilities": {"bandwidth": true}}]}`,
	"30-macvlan.conf": `{
		"cniVersion": "0.3.1", "name": "mac", "type": "macvlan", "master": "` + uplink + `", "mode": "bridge",
		"ipam": {"type": "host-local", "subnet": "192.0.2.0/24", "rangeStart": "192.0.2.100", "rangeEnd": "192.0.2.110", "gateway": "192.0.2.2", "routes": [{"dst": "0.0.0.0/0"}]}}`,
	"40-broken.conflist": `{
		"cniVersion": "1.0.0", "name": "broken", "plugins": [
			{"type": "bridge", "bridge": "cni-test1", "isGateway": true, "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.84.0.0/24"}]]}},
			{"type": "no-such-plugin"}]}`,
}

// newCNIWorld is a world with the configurations in their usual place.
func newCNIWorld(t *testing.T) *netWorld {
	t.Helper()
	for _, path := range []string{"/usr/lib/cni/bridge", cniConfDir} {
		if _, err := os.Stat(path); err != nil {
			t.Skipf("%v: apt-get install containernetworking-plugins", err)
		}
	}
	w := newNetWorld(t)
	for name, text := range conflists {
		write(t, filepath.Join(w.conf, name), text)
	}
	t.Cleanup(func() {
		w.removeAll(t)
		w.noPlace(t)
		w.noRules(t)
		w.forgetPlugins(t)
		for name := range conflists {
			removeAll(t, filepath.Join(w.conf, name)) // podrt has no networks but its own then
		}
	})
	return w
}

// noPlace looks whether the plugins have taken back what they gave.
func (w *netWorld) noPlace(t *testing.T) {
	t.Helper()
	for _, path := range files(t, cniDataDir) {
		if name := filepath.Base(path); name != "lock" && !strings.HasPrefix(name, "last_reserved_ip") {
			t.Errorf("%s is left: %s", path, readFile(t, path))
		}
	}
	if left := files(t, filepath.Join(w.lib, "cni")); len(left) > 1 || len(left) == 1 && filepath.Base(left[0]) != "lock" {
		t.Errorf("files %q are left", left)
	}
}

// noRules looks whether iptables has rules of pods.
func (w *netWorld) noRules(t *testing.T) {
	t.Helper()
	for _, family := range []string{"iptables", "ip6tables"} {
		for line := range strings.Lines(runIn(t, w.host.netns, "", family+"-save")) {
			// Chains of a pod have a hash in their name; those that portmap makes for all do not.
			if strings.HasPrefix(line, "-A CNI-") && !strings.HasPrefix(line, "-A CNI-HOSTPORT-") {
				t.Errorf("%s: rule of a pod is left: %s", family, line)
			}
		}
	}
}

// forgetPlugins removes what the plugins leave for good: bridges, and tables of
// iptables.
func (w *netWorld) forgetPlugins(t *testing.T) {
	t.Helper()
	for _, bridge := range []string{"cni-test0", "cni-test1"} {
		if _, err := os.Stat("/sys/class/net/" + bridge); err == nil {
			w.host.ip(t, "link del "+bridge)
		}
	}
	for _, table := range []string{"ip nat", "ip6 nat", "ip filter", "ip6 filter"} {
		runIn(t, w.host.netns, "add table "+table+"\ndelete table "+table+"\n", "nft", "-f", "-")
	}
}

// TestNetworkCNI: networks that plugins make, from the configuration alone.
func TestNetworkCNI(t *testing.T) {
	w := newCNIWorld(t)
	w.outside.greet(t, "far", far4+":80", "["+far6+"]:80")

	t.Run("bridge", func(t *testing.T) {
		a := w.pod(t, "a", "--network", "bridged", "-p", "8080:80", "-p", "8053:7/udp", "-p", hostIP2+":8081:80")
		s := w.stage(t, a, w.pod(t, "b", "--network", "bridged"))
		s.run(t, []hop{
			{"a", "{b}:80", "b for {a}"},
			{"a", "{b6}:80", "b for {a6}"},
			{"host", "{a}:80", "a for"},
			{"a", far4 + ":80", "far for " + hostIP},
			{"a", "[" + far6 + "]:80", "far for " + hostIP6},
			{"outside", hostIP + ":8080", "a for " + outsideIP},
			{"outside", "[" + hostIP6 + "]:8080", "a for " + outsideIP6},
			{"outside", "udp:" + hostIP + ":8053", "a for " + outsideIP},
			{"outside", hostIP2 + ":8081", "a for " + outsideIP},
			{"outside", hostIP + ":8081", noAnswer},
			{"host", "127.0.0.1:8080", "a for"},
			{"b", hostIP + ":8080", "a for"},
			{"a", hostIP + ":8080", "a for"},
		})
		if a.info.Driver != "cni" || a.info.Interface.Network != "bridged" || a.info.Interface.Name != "eth0" || len(a.info.Links) == 0 {
			t.Errorf("inspect: network %+v; want driver cni, eth0 in bridged", a.info)
		}
		if c := w.counters(t, "a"); c.RxBytes == 0 {
			t.Errorf("counters %+v; want some", c)
		}
		if n := w.inspectNetwork(t, "bridged"); n.Driver != "cni" || len(n.Pods) != 2 {
			t.Errorf("network inspect: %+v; want driver cni and two pods", n)
		}
		w.refuse(t, []refusal{
			{name: "rm", args: []string{"network", "rm", "bridged"}, code: 1, words: []string{`"bridged"`}},
			{name: "address", args: []string{"pod", "create", "--network", "bridged", "--ip", "10.85.0.9", "q"}, code: 1, words: []string{"bridged", "ips"}},
			{name: "bandwidth", args: []string{"pod", "create", "--network", "bridged", "--ingress-bandwidth", "1M", "q"}, code: 1, words: []string{"bridged", "bandwidth"}},
		})
		w.ok(t, "pod", "rm", "-f", "a")
		w.forget("a", "c")
		s.run(t, []hop{{"outside", hostIP + ":8080", noAnswer}, {"b", far4 + ":80", "far for " + hostIP}})
		// It publishes nothing: CHECK of Debian's portmap fails for whom does.
		w.ok(t, "network", "check", "b")
		w.ok(t, "pod", "rm", "-f", "b")
		w.forget("b", "c")
		w.noPlace(t)
	})
	t.Run("ptp", func(t *testing.T) {
		natively(t)
		s := w.stage(t, w.pod(t, "a", "--network", "direct", "--ingress-bandwidth", "100M"), w.pod(t, "b", "--network", "direct"))
		s.run(t, []hop{
			{"a", "{b}:80", "b for"},
			{"host", "{a}:80", "a for"},
			{"a", far4 + ":80", "far for " + hostIP},
		})
		if n := w.inspectNetwork(t, "direct"); n.Driver != "cni" || len(n.Pods) != 2 || n.NotReady != "" {
			t.Errorf("network inspect: %+v; want driver cni, two pods, and that it is ready", n)
		}
		w.ok(t, "pod", "rm", "-f", "a", "b")
		w.forget("a", "c")
		w.forget("b", "c")
		w.noPlace(t)
	})
	t.Run("macvlan", func(t *testing.T) {
		natively(t)
		s := w.stage(t, w.pod(t, "a", "--network", "mac"), w.pod(t, "b", "--network", "mac"))
		s.run(t, []hop{
			{"a", "{b}:80", "b for {a}"},
			{"outside", "{a}:80", "a for " + outsideIP},
			{"a", far4 + ":80", "far for {a}"}, // no host in between
		})
		w.fails(t, 1, []string{`"a"`, `"mac"`, `"0.3.1" does not support the CHECK command`}, "network", "check", "a")
		w.ok(t, "pod", "rm", "-f", "a", "b")
		w.forget("a", "c")
		w.forget("b", "c")
		w.noPlace(t)
	})
	t.Run("a plugin is missing", func(t *testing.T) {
		w.fails(t, 1, []string{"broken", "no-such-plugin"}, "pod", "create", "--network", "broken", "q")
		w.fails(t, 1, []string{"nothing-of-that-name"}, "network", "prune", "--cni-gc", "nothing-of-that-name")
		if n := w.inspectNetwork(t, "broken"); !strings.Contains(n.NotReady, "no-such-plugin") {
			t.Errorf("network inspect: %+v; want it not to be ready for want of no-such-plugin", n)
		}
		w.noPlace(t)
	})
	t.Run("configuration gone", func(t *testing.T) {
		natively(t)
		w.bare(t, "a", "--network", "bridged", "-p", "8080:80")
		path := filepath.Join(w.conf, "10-bridged.conflist")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		w.ok(t, "pod", "rm", "a")
		w.noPlace(t)
		w.fails(t, 1, []string{`"bridged"`}, "pod", "create", "--network", "bridged", "q")
		if err := os.WriteFile(path, []byte(conflists["10-bridged.conflist"]), 0o644); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("namespace gone", func(t *testing.T) {
		natively(t)
		p := w.bare(t, "a", "--network", "bridged", "-p", "8080:80")
		unmount(t, w.netns(p.uid))
		w.ok(t, "pod", "rm", "-f", "a")
		w.noPlace(t)
		w.outside.reach(t, hostIP+":8080", noAnswer)
		// The bridge plugin looks in the namespace for what it masquerades.
		w.forgetPlugins(t)
	})
}

// TestNetworkCNIReboot: host-local keeps addresses on disk, and has them back
// when a pod of before the reboot is removed or the next one made.
func TestNetworkCNIReboot(t *testing.T) {
	natively(t)
	for _, keep := range []bool{true, false} {
		t.Run(fmt.Sprintf("run root kept %t", keep), func(t *testing.T) {
			w := newCNIWorld(t)
			small := strings.Replace(conflists["10-bridged.conflist"], "10.85.0.0/24", "10.85.0.0/30", 1) // one address
			if err := os.WriteFile(filepath.Join(w.conf, "10-bridged.conflist"), []byte(small), 0o644); err != nil {
				t.Fatal(err)
			}
			old := w.bare(t, "old", "--network", "bridged", "-p", "8080:80")
			saved := t.TempDir()
			copyTree(t, cniDataDir, saved)
			w.reboot(t, keep, "old")
			for _, path := range files(t, saved) { // as the disk has it
				rel, err := filepath.Rel(saved, path)
				if err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(cniDataDir, rel), readFile(t, path))
			}
			if keep {
				w.ok(t, "pod", "rm", "old")
			}
			fresh := w.pod(t, "fresh", "--network", "bridged", "-p", "8080:80")
			if a, b := fresh.info.addr(t, false), old.info.addr(t, false); a != b {
				t.Errorf("address %s; want %s, the only one", a, b)
			}
			w.outside.reach(t, hostIP+":8080", "fresh for "+outsideIP)
		})
	}
}

// TestCNIOtherRoot: pods of another --pod-root are not taken for pods that are gone.
func TestCNIOtherRoot(t *testing.T) {
	natively(t)
	w := newCNIWorld(t)
	mine := w.bare(t, "mine", "--network", "bridged")
	other := &arena{dir: w.dir, run: filepath.Join(t.TempDir(), "run"), lib: w.lib, log: w.log}
	t.Cleanup(func() { other.unmountRun(t) })
	other.ok(t, "pod", "create", "--network", "bridged", "theirs")
	other.ok(t, "network", "prune")
	if got := addresses(t, w.netns(mine.uid)); len(got) != 2 {
		t.Errorf("the pod has addresses %q; want one of each family still", got)
	}
	w.ok(t, "network", "prune")
	other.ok(t, "pod", "rm", "theirs")
	w.ok(t, "pod", "rm", "mine")
}
