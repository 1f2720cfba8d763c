package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/netsetup"
)

// rules returns the rules of pods that plugins have made with iptables: all but
// the chains that they share, which stay.
func (w *world) rules() string {
	w.t.Helper()
	var left []string
	for _, program := range []string{"iptables-save", "ip6tables-save"} {
		out, err := exec.Command(program).Output()
		if err != nil {
			w.t.Fatalf("%s: %v", program, err)
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "name-of-") || strings.Contains(line, "id: ") || strings.Contains(line, "CNI-DN-") {
				left = append(left, strings.TrimSpace(line))
			}
		}
	}
	return strings.Join(left, "\n")
}

func TestBridge(t *testing.T) {
	for _, version := range []string{"0.4.0", "1.0.0"} {
		t.Run(version, func(t *testing.T) {
			w := newWorld(t)
			w.conf(version, "br", bridge4Plugin, portmapPlugin)
			ctx := context.Background()
			if err := w.Status(ctx, "br"); err != nil {
				t.Error(err)
			}
			a := w.pod("u1", "br")
			a.IPs = []netip.Addr{netip.MustParseAddr("10.7.0.77")}
			a.MAC = "02:00:00:00:00:77"
			a.Ports = []netsetup.Port{{HostPort: 8080, ContainerPort: 80, Protocol: netsetup.TCP}}
			link, dns := w.mustAdd(a)
			if host, err := netlink.LinkByName(link.HostLink); err != nil || host.Type() != "veth" {
				t.Errorf("host link %q: %v, %v", link.HostLink, host, err)
			}
			link.HostLink = ""
			const want = `{Network:br Name:eth0 HostLink: MAC:02:00:00:00:00:77 MTU:1500 Addresses:[10.7.0.77/24] ` +
				`Gateways:[10.7.0.1] Ports:[8080:80/tcp]}`
			if got := fmt.Sprintf("%+v", *link); got != want {
				t.Errorf("interface\n%s\nwant\n%s", got, want)
			}
			if got, want := fmt.Sprint(dns), "{[10.7.0.1] [pods.example] [ndots:1]}"; got != want {
				t.Errorf("DNS %s; want %s", got, want)
			}
			w.serve(a, 80)
			w.wantAnswer(a, "10.7.0.77:80")
			w.wantAnswer(a, "10.7.0.1:8080")
			w.wantAnswer(a, "127.0.0.1:8080")
			if w.rules() == "" {
				t.Error("there are no rules of the pod: the test looks for the wrong ones")
			}

			// Up again is the same; another pod gets the next address.
			again, _ := w.mustAdd(a)
			again.HostLink = ""
			if got := fmt.Sprintf("%+v", *again); got != want {
				t.Errorf("added again: %s", got)
			}
			b := w.pod("u2", "br")
			if link, _ := w.mustAdd(b); link.Addresses[0] == netip.MustParsePrefix("10.7.0.77/24") {
				t.Errorf("second pod has %v", link.Addresses)
			}

			// Debian's portmap (1.1.1) cannot check ports: it looks for the rules of one
			// family among those of the other too.
			if err := w.Check(ctx, "u2"); err != nil {
				t.Error(err)
			}
			// What is gone is found missing.
			w.inNetns(b.Netns, func() error {
				eth0, err := netlink.LinkByName("eth0")
				if err != nil {
					return err
				}
				return netlink.RouteDel(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: net.IPv4(10, 7, 0, 1)})
			})
			wantError(t, w.Check(ctx, "u2"), `check CNI network "br" of pod "u2"`)
			w.mustDel("u1")
			w.mustDel("u2")
			w.wantNothing()
			w.mustDel("u1")
			if err := w.Check(ctx, "u1"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("Check of a pod that is gone: %v", err)
			}
		})
	}
}

func TestDualStack(t *testing.T) {
	w := newWorld(t)
	w.conf("1.0.0", "net", bridgePlugin, portmapPlugin)
	a := w.pod("u1", "net")
	a.Ports = []netsetup.Port{{HostPort: 8080, ContainerPort: 80, Protocol: netsetup.TCP}}
	link, _ := w.mustAdd(a)
	if got, want := fmt.Sprint(link.Addresses, link.Gateways), "[10.7.0.2/24 fd00:7::2/64] [10.7.0.1 fd00:7::1]"; got != want {
		t.Errorf("addresses and gateways %s; want %s", got, want)
	}
	w.serve(a, 80)
	w.wantAnswer(a, "[fd00:7::2]:80")
	w.wantAnswer(a, "[fd00:7::1]:8080")
	w.wantAnswer(a, "10.7.0.1:8080")
	w.mustDel("u1")
	w.wantNothing()
}

func TestOtherPlugins(t *testing.T) {
	const ipam = `"ipam":{"type":"host-local","dataDir":"LEASES","subnet":"10.8.0.0/24","routes":[{"dst":"0.0.0.0/0"}]}`
	for _, tt := range []struct{ name, plugin, want string }{
		{"ptp", `{"type":"ptp","mtu":1400,` + ipam + `}`, "eth0 1400 [10.8.0.2/24] [10.8.0.1]"},
		{"macvlan", `{"type":"macvlan","master":"under0",` + ipam + `}`, "eth0 1500 [10.8.0.2/24] [10.8.0.1]"},
		{"loopback", `{"type":"loopback"}`, "lo 65536 [127.0.0.1/8 ::1/128] []"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			under := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "under0"}, PeerName: "under1"}
			if tt.name == "macvlan" {
				if err := netlink.LinkAdd(under); err != nil {
					t.Fatal(err)
				}
			}
			w.conf("1.0.0", "net", tt.plugin)
			a := w.pod("u1", "net")
			link, dns, err := w.Add(context.Background(), a)
			if err != nil && strings.Contains(err.Error(), "operation not supported") {
				t.Skipf("the kernel lacks %s links: %v", tt.name, err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(link.Name, " ", link.MTU, " ", link.Addresses, " ", link.Gateways); got != tt.want {
				t.Errorf("interface %s; want %s", got, tt.want)
			}
			if len(dns.Servers)+len(dns.Searches)+len(dns.Options) > 0 {
				t.Errorf("DNS %v; want none", dns)
			}
			if tt.name == "ptp" {
				w.serve(a, 80)
				w.wantAnswer(a, "10.8.0.2:80")
			}
			if err := w.Check(context.Background(), "u1"); err != nil {
				t.Error(err)
			}
			w.mustDel("u1")
			if tt.name == "macvlan" {
				if err := netlink.LinkDel(under); err != nil {
					t.Error(err)
				}
			}
			w.wantNothing()
		})
	}
}

// What plugins are told.
func TestTold(t *testing.T) {
	w := newWorld(t)
	w.conf("1.0.0", "net", plainPlugin, testPlugin)
	a := w.pod("u1", "net")
	a.Ports = []netsetup.Port{{HostPort: 53, ContainerPort: 5353, Protocol: netsetup.UDP}}
	a.DNS = netsetup.DNS{Servers: []string{"9.9.9.9"}}
	w.mustAdd(a)
	w.mustDel("u1")
	told := calls(t, w.plugin, "ADD", "DEL")
	if len(told) != 2 || told[0].Command != "ADD" || told[1].Command != "DEL" {
		t.Fatalf("calls %+v; want ADD, DEL", told)
	}
	const runtimeConfig = `{"dns":{"servers":["9.9.9.9"]},"portMappings":[{"containerPort":5353,"hostPort":53,"protocol":"udp"}]}`
	for _, c := range told {
		if c.ContainerID != "u1" || c.Netns != a.Netns || c.IfName != "eth0" || c.Conf.Name != "net" || c.Conf.CNIVersion != "1.0.0" {
			t.Errorf("call %+v", c)
		}
		if want := "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=name-of-u1;K8S_POD_INFRA_CONTAINER_ID=u1;K8S_POD_UID=u1"; c.Args != want {
			t.Errorf("%s: CNI_ARGS %q; want %q", c.Command, c.Args, want)
		}
		if got := compact(t, c.Conf.RuntimeConfig); got != runtimeConfig {
			t.Errorf("%s: runtimeConfig %s; want %s", c.Command, got, runtimeConfig)
		}
		if !strings.Contains(string(c.Conf.PrevResult), "10.7.0.2/24") {
			t.Errorf("%s: prevResult %s", c.Command, c.Conf.PrevResult)
		}
	}
	w.wantNothing()
}

// What is wrong before anything is made.
func TestAddRefused(t *testing.T) {
	w := newWorld(t)
	w.conf("1.0.0", "bare", bridgePlugin)
	w.conf("1.0.0", "gone", bridgePlugin, `{"type":"no-such-plugin"}`)
	ports := []netsetup.Port{{HostPort: 8080, ContainerPort: 80, Protocol: netsetup.TCP}}
	for _, tt := range []struct {
		name   string
		change func(*netsetup.CNIAttach)
		want   string
	}{
		{"ports", func(a *netsetup.CNIAttach) { a.Ports = ports }, `CNI network "bare" cannot publish ports: none of its plugins declares the capability "portMappings"`},
		{"network", func(a *netsetup.CNIAttach) { a.Network = "none" }, `no network "none" is configured for CNI`},
		{"plugin", func(a *netsetup.CNIAttach) { a.Network = "gone" }, `there is no plugin "no-such-plugin" in`},
		{"namespace", func(a *netsetup.CNIAttach) { a.Netns = w.confs }, `is not a network namespace`},
		{"other namespace", func(a *netsetup.CNIAttach) { a.Netns = "/proc/self/ns/uts" }, `"/proc/self/ns/uts" is not a network namespace`},
		{"no namespace", func(a *netsetup.CNIAttach) { a.Netns = "/nowhere" }, `open /nowhere: no such file or directory`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := w.pod("u1", "bare")
			tt.change(&a)
			_, _, err := w.Add(context.Background(), a)
			wantError(t, err, tt.want)
			w.wantNothing()
			if left, err := os.ReadDir(w.CacheDir + "/pods"); len(left) > 0 {
				t.Errorf("something was recorded: %v, %v", left, err)
			}
		})
	}
	wantError(t, w.Status(context.Background(), "gone"), `there is no plugin "no-such-plugin" in`)
	w.conf("1.1.0", "newer", bridgePlugin)
	wantError(t, w.Status(context.Background(), "newer"), `CNI network "newer" is not ready`, `plugin bridge does not support config version "1.1.0"`)
	if _, _, err := w.Add(context.Background(), w.pod("u1", "newer")); err == nil {
		t.Error("Add with a version that the plugin does not know succeeded")
	}
	w.wantNothing()
}

// The network namespace is gone, as after a reboot, or another one is in its
// place: plugins give back what is not in it.
func TestReboot(t *testing.T) {
	for _, name := range []string{"gone", "file", "other"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.conf("1.0.0", "net", plainPlugin, testPlugin)
			a := w.pod("u1", "net")
			link, _ := w.mustAdd(a)
			if got := w.leased(); len(got) != 2 {
				t.Fatalf("leased are %q; want one address of each family", got)
			}
			if err := unix.Unmount(a.Netns, 0); err != nil {
				t.Fatal(err)
			}
			// The kernel takes the pair away late.
			if host, err := netlink.LinkByName(link.HostLink); err == nil {
				_ = netlink.LinkDel(host)
			}
			switch name {
			case "gone":
				if err := os.Remove(a.Netns); err != nil {
					t.Fatal(err)
				}
			case "other":
				other := w.pod("u2", "net")
				if err := unix.Mount(other.Netns, a.Netns, "", unix.MS_BIND, ""); err != nil {
					t.Fatal(err)
				}
			}
			wantError(t, w.Check(context.Background(), "u1"), `the network namespace "`+a.Netns+`" is not there, or is another one`)
			w.mustDel("u1")
			if told := calls(t, w.plugin, "DEL"); len(told) != 1 || told[0].Netns != "" {
				t.Errorf("DEL %+v; want one without a network namespace", told)
			}
			w.wantNothing()
		})
	}
}

// The configuration, and where plugins are, change while pods are attached.
func TestConfigurationGone(t *testing.T) {
	w := newWorld(t)
	w.conf("1.0.0", "net", bridge4Plugin, portmapPlugin, testPlugin)
	a := w.pod("u1", "net")
	a.Ports = []netsetup.Port{{HostPort: 8080, ContainerPort: 80, Protocol: netsetup.TCP}}
	w.mustAdd(a)
	if err := os.Remove(filepath.Join(w.confs, "net.conflist")); err != nil {
		t.Fatal(err)
	}
	w.BinDirs = []string{t.TempDir()}
	w.mustDel("u1")
	w.wantNothing()
}

// Networks with files that are broken.
func TestListFind(t *testing.T) {
	w := newWorld(t)
	w.conf("1.0.0", "b", bridgePlugin)
	w.conf("0.4.0", "a", bridgePlugin, portmapPlugin)
	mustWrite(t, filepath.Join(w.confs, "c.conf"), "{")
	networks, err := w.List(context.Background())
	wantError(t, err, `c.conf": unexpected end of JSON input`)
	names := make([]string, len(networks))
	for i, n := range networks {
		names[i] = n.Name + " " + n.Version
	}
	if !slices.Equal(names, []string{"a 0.4.0", "b 1.0.0"}) {
		t.Errorf("networks %q", names)
	}
	if n, err := w.Find(context.Background(), "a"); err != nil || !slices.Equal(n.Plugins, []string{"bridge", "portmap"}) {
		t.Errorf("Find = %+v, %v", n, err)
	}
	if _, err := w.Find(context.Background(), "c"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Find of what is not there: %v", err)
	}
	_, err = w.Find(context.Background(), "../a")
	wantError(t, err, `CNI network "../a": a name must match`)
}

// compact returns JSON with its keys sorted.
func compact(t *testing.T, text []byte) string {
	t.Helper()
	var value any
	err := json.Unmarshal(text, &value)
	if err == nil {
		text, err = json.Marshal(value)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
