package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
	"github.com/podrt/podrt/netsetup"
)

// world is a host with CNI: a network namespace that the test's thread is in, and
// directories of the test.
type world struct {
	t *testing.T
	*netsetup.CNI
	confs, bin string
	leases     string // what host-local keeps
	plugin     string // Dir of the test's own plugin
}

// newWorld moves the test's goroutine to the host.
func newWorld(t *testing.T) *world {
	t.Helper()
	rung.Privileged(t)
	if _, err := os.Stat("/usr/lib/cni/bridge"); err != nil {
		t.Skip("Debian's containernetworking-plugins are not here: make deps installs them")
	}
	rung.Watch(t, "/var/lib/cni", "/run/cni")
	enterNetns(t)
	dir := t.TempDir()
	w := &world{t: t, confs: dir + "/net.d", bin: dir + "/bin", leases: dir + "/leases", plugin: dir + "/plugin"}
	for _, d := range []string{w.confs, w.bin, w.leases, w.plugin} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	link(t, w.bin, pluginName)
	w.CNI = &netsetup.CNI{
		Program: link(t, dir, programName), ConfDirs: []string{w.confs}, BinDirs: []string{w.bin, "/usr/lib/cni"},
		CacheDir: dir + "/cache", AddTimeout: 2 * time.Minute, DelTimeout: 2 * time.Minute, // the VM is slow
	}
	return w
}

// enterNetns moves the calling thread to a network namespace of its own, until the
// test ends.
func enterNetns(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(os.NewSyscallError("unshare", err))
	}
	t.Cleanup(func() {
		if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Fatal(os.NewSyscallError("setns", err))
		}
		home.Close()
		runtime.UnlockOSThread()
	})
	if err := raiseLo(); err != nil {
		t.Fatal(err)
	}
	// The plugin bridge gives its link an address of IPv6 that cannot be used until
	// nobody else is known to have it.
	mustWrite(t, "/proc/sys/net/ipv6/conf/default/accept_dad", "0")
}

func raiseLo() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// conf configures the network of that name: version, and its plugins as JSON in
// which LEASES and PLUGIN are the directories of the test.
func (w *world) conf(version, name string, plugins ...string) {
	w.t.Helper()
	text := fmt.Sprintf(`{"cniVersion":%q,"name":%q,"plugins":[%s]}`, version, name, strings.Join(plugins, ","))
	text = strings.NewReplacer("LEASES", w.leases, "PLUGIN", w.plugin).Replace(text)
	mustWrite(w.t, filepath.Join(w.confs, name+".conflist"), text)
}

// The plugins of most tests.
const (
	// without rules and names
	plainPlugin = `{"type":"bridge","bridge":"cni0",
		"ipam":{"type":"host-local","dataDir":"LEASES","ranges":[[{"subnet":"10.7.0.0/24"}],[{"subnet":"fd00:7::/64"}]]}}`
	bridge4Plugin = `{"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":true,"hairpinMode":true,"capabilities":{"ips":true,"mac":true},
		"ipam":{"type":"host-local","dataDir":"LEASES","ranges":[[{"subnet":"10.7.0.0/24"}]],
		"routes":[{"dst":"0.0.0.0/0"}]},"dns":{"nameservers":["10.7.0.1"],"domain":"pods.example","options":["ndots:1"]}}`
	bridgePlugin = `{"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":true,"hairpinMode":true,"capabilities":{"ips":true,"mac":true},
		"ipam":{"type":"host-local","dataDir":"LEASES","ranges":[[{"subnet":"10.7.0.0/24"}],[{"subnet":"fd00:7::/64"}]],
		"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}}`
	portmapPlugin = `{"type":"portmap","snat":true,"capabilities":{"portMappings":true}}`
	testPlugin    = `{"type":"podrt-plugin","dir":"PLUGIN","capabilities":{"portMappings":true,"dns":true}}`
)

// behave says what the test's plugin does with a command.
func (w *world) behave(command, behaviour string) {
	w.t.Helper()
	mustWrite(w.t, filepath.Join(w.plugin, command), behaviour)
}

// pod makes the network namespace of a pod. Its lo is up, as podrt has it: package
// net does not use IPv6 if it finds no ::1 when it first looks.
func (w *world) pod(uid, network string) netsetup.CNIAttach {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "net")
	mustWrite(w.t, path, "")
	w.inNetns("", func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return os.NewSyscallError("unshare", err)
		}
		if err := raiseLo(); err != nil {
			return err
		}
		return unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
	})
	w.t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
	return netsetup.CNIAttach{UID: uid, Name: "name-of-" + uid, Namespace: "default", Netns: path, Network: network}
}

// inNetns calls f in a network namespace, or, without one, on a thread that ends.
func (w *world) inNetns(path string, f func() error) {
	w.t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if path != "" {
			ns, err := os.Open(path)
			if err == nil {
				err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
				ns.Close()
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- f()
	}()
	if err := <-done; err != nil {
		w.t.Fatal(err)
	}
}

// serve answers TCP connections to a port of a pod with its UID.
func (w *world) serve(a netsetup.CNIAttach, port int) {
	w.t.Helper()
	var l net.Listener
	w.inNetns(a.Netns, func() (err error) {
		l, err = net.Listen("tcp", fmt.Sprintf(":%d", port))
		return err
	})
	w.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, a.UID)
			c.Close()
		}
	}()
}

// wantAnswer fails the test unless the pod answers at an address, asked from the
// host.
func (w *world) wantAnswer(a netsetup.CNIAttach, address string) {
	w.t.Helper()
	c, err := net.DialTimeout("tcp", address, 20*time.Second)
	if err != nil {
		w.t.Errorf("pod %q: %v", a.UID, err)
		return
	}
	defer c.Close()
	buf := make([]byte, 64)
	if n, err := c.Read(buf); err != nil || string(buf[:n]) != a.UID {
		w.t.Errorf("pod %q at %s answers %q, %v", a.UID, address, buf[:n], err)
	}
}

func (w *world) mustAdd(a netsetup.CNIAttach) (*netsetup.Interface, netsetup.DNS) {
	w.t.Helper()
	link, dns, err := w.Add(context.Background(), a)
	if err != nil {
		w.t.Fatal(err)
	}
	return link, dns
}

func (w *world) mustDel(uid string) {
	w.t.Helper()
	if err := w.Del(context.Background(), uid); err != nil {
		w.t.Error(err)
	}
}

// wantNothing fails the test if anything is left of pods: host-local's addresses,
// links, rules of iptables, and what the cache directory knows.
func (w *world) wantNothing() {
	w.t.Helper()
	w.wantNothingKnown()
	if got := w.leased(); len(got) > 0 {
		w.t.Errorf("the addresses %q are left", got)
	}
	links, err := netlink.LinkList()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, l := range links {
		if l.Type() == "veth" {
			w.t.Errorf("link %q is left", l.Attrs().Name)
		}
	}
	if rules := w.rules(); rules != "" {
		w.t.Errorf("rules are left:\n%s", rules)
	}
}

// leased returns the addresses that host-local has given.
func (w *world) leased() []string {
	w.t.Helper()
	var all []string
	for _, pattern := range []string{"/*/10.*", "/*/fd00*"} {
		found, err := filepath.Glob(w.leases + pattern)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}
