package integration

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// Addresses of the hosts around the pods. What the host has no other route to is
// outside's to deliver: far4 and far6 are the internet.
const (
	hostIP, hostIP2, outsideIP    = "192.0.2.1", "192.0.2.3", "192.0.2.2"
	hostIP6, hostIP6b, outsideIP6 = "2001:db8:2::1", "2001:db8:2::3", "2001:db8:2::2"
	far4, far6                    = "203.0.113.9", "2001:db8:9::9"

	uplink = "up0" // the host's link to outside
)

// netWorld is a world with another host around it. The test's own network
// namespace is the host of the pods.
type netWorld struct {
	*world
	host    *netHost
	outside *netHost
	conf    string // directory of CNI's configurations
}

// netHost is a network namespace that is a host, with an agent.
type netHost struct {
	*agent
	netns string // path
}

// newNetWorld begins a test with the two hosts. At its end the pods and the
// networks are removed, and nothing of them may be left.
func newNetWorld(t *testing.T) *netWorld {
	t.Helper()
	w := &netWorld{world: newWorld(t)}
	w.conf = hideCNI(t)
	t.Cleanup(func() {
		w.removeAll(t)
		w.noNetwork(t)
	})
	w.host = w.newHost(t, "host", 0)
	w.outside = w.newHost(t, "outside", unix.CLONE_NEWNET)
	w.host.ip(t,
		"link add "+uplink+" type veth peer name eth0 netns "+w.outside.netns,
		"addr add "+hostIP+"/24 dev "+uplink,
		"addr add "+hostIP2+"/24 dev "+uplink,
		"addr add "+hostIP6+"/64 dev "+uplink+" nodad",
		"addr add "+hostIP6b+"/64 dev "+uplink+" nodad preferred_lft 0", // not a source
		"link set "+uplink+" up",
		"route add default via "+outsideIP,
		"route add default via "+outsideIP6+" dev "+uplink,
	)
	t.Cleanup(func() { w.host.ip(t, "link del "+uplink) })
	w.outside.ip(t,
		"link set lo up",
		"addr add "+outsideIP+"/24 dev eth0",
		"addr add "+outsideIP6+"/64 dev eth0 nodad",
		"addr add "+far4+"/32 dev lo",
		"addr add "+far6+"/128 dev lo nodad",
		"link set eth0 up",
		"route add default via "+hostIP,
		"route add default via "+hostIP6+" dev eth0",
	)
	return w
}

// natively skips the test in the VM, where its pods take a minute and do what they
// do natively, unless all is asked for.
func natively(t *testing.T) {
	t.Helper()
	if brief() {
		t.Skipf("natively; here with %s=all", sweepEnv)
	}
}

// hideCNI puts an empty directory in the place of CNI's configurations of the
// host, and returns it.
func hideCNI(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := os.Stat(cniConfDir); err == nil {
		mustMount(t, dir, cniConfDir, "", unix.MS_BIND, "")
	}
	return dir
}

// noNetwork removes the networks, and looks whether the kernel has forgotten
// them: links, rules and addresses are the leak check's.
func (w *netWorld) noNetwork(t *testing.T) {
	t.Helper()
	w.ok(t, "network", "prune")
	if left := strings.TrimSpace(w.ok(t, "network", "ls", "-q").stdout); left != "" {
		t.Errorf("networks %q are left", left)
	}
}

// newHost starts an agent, in a network namespace of its own or in the test's.
func (w *netWorld) newHost(t *testing.T, name string, flags uintptr) *netHost {
	t.Helper()
	cmd := exec.Command(os.Getenv(probeEnv), "serve", w.ctl+"/socket", "host/"+name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &netHost{w.agent(t, "host", name), fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid)}
}

// ip has ip(8) do all of it in the host.
func (h *netHost) ip(t *testing.T, lines ...string) {
	t.Helper()
	runIn(t, h.netns, strings.Join(lines, "\n"), "ip", "-batch", "-")
}

// runIn runs a program in a network namespace and returns what it prints.
func runIn(t *testing.T, netns, stdin string, argv ...string) string {
	t.Helper()
	cmd := exec.Command("nsenter", append([]string{"--net=" + netns}, argv...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q in %s: %v: %s\n%s", argv, netns, err, out, stdin)
	}
	return string(out)
}

// reachLimit is how long, in milliseconds, an answer may take, and how long one
// is waited for that must not come.
func reachLimit(wanted bool) string {
	switch {
	case wanted:
		return "10000"
	case rung.Current() == rung.VM:
		return "1000"
	}
	return "250"
}

// noAnswer is a row's want where nobody may answer, refuse or not.
const noAnswer = ""

// reach has the agent ask a server. Want is what it answers, "NAME for PEER", or
// "NAME for" if any peer will do.
func (a *agent) reach(t *testing.T, addr, want string) {
	t.Helper()
	args := []string{"reach", addr, reachLimit(want != noAnswer)}
	a.send(t, false, args)
	r := a.receive(t)
	switch {
	case want == noAnswer && r.Error == "":
		t.Errorf("%s: %s answers %q; want none", a.name, addr, r.Out)
	case want == noAnswer:
	case r.Error != "":
		t.Errorf("%s: %s: %s; want %q", a.name, addr, r.Error, want)
	case r.Out != want && (!strings.HasSuffix(want, " for") || !strings.HasPrefix(r.Out, want+" ")):
		t.Errorf("%s: %s answers %q; want %q", a.name, addr, r.Out, want)
	}
}

// greet has the agent answer at each of the addresses, by its text.
func (a *agent) greet(t *testing.T, text string, addrs ...string) {
	t.Helper()
	for _, addr := range addrs {
		a.stay(t, "greet", addr, text)
	}
}

// pod makes a pod with one container, which answers at TCP port 80 and UDP port
// 7 of all its addresses by the pod's name.
func (w *netWorld) pod(t *testing.T, name string, flags ...string) *netPod {
	t.Helper()
	p := &netPod{uid: w.create(t, name, flags...), name: name}
	// What it may write to in /etc are the pod's files.
	p.agent = w.add(t, name, "c", func(s *specs.Spec) { s.Root.Readonly = false })
	p.greet(t, name, ":80", "udp::7")
	p.info = w.network(t, name)
	return p
}

// netPod is a pod with an address in a network.
type netPod struct {
	*agent
	uid, name string
	info      netInfo
}

// addr is the pod's address of a family, with the port: "10.87.0.2:80".
func (p *netPod) addr(t *testing.T, six bool, port string) string {
	t.Helper()
	return p.info.addr(t, six) + ":" + port
}

// netInfo is what tests read of the network in pod inspect.
type netInfo struct {
	Mode, PodUID, Driver string

	Interface *struct {
		Network, Name, HostLink, MAC string

		MTU       int
		Addresses []netip.Prefix
		Gateways  []netip.Addr
		Ports     []struct {
			HostIP                  string
			HostPort, ContainerPort int
			Protocol                string
		}
	}
	Links  []map[string]any
	Routes []map[string]any
	Rules  []string
}

// addr is the address of a family, IPv6 in brackets.
func (n *netInfo) addr(t *testing.T, six bool) string {
	t.Helper()
	if n.Interface != nil {
		for _, p := range n.Interface.Addresses {
			if p.Addr().Is6() == six {
				return bracket(p.Addr())
			}
		}
	}
	t.Fatalf("network %+v: no address with IPv6 %t", n, six)
	return ""
}

// gateway is that of a family, IPv6 in brackets.
func (n *netInfo) gateway(t *testing.T, six bool) string {
	t.Helper()
	for _, g := range n.Interface.Gateways {
		if g.Is6() == six {
			return bracket(g)
		}
	}
	t.Fatalf("network %+v: no gateway with IPv6 %t", n.Interface, six)
	return ""
}

func bracket(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// hostPort is the host's port for a port of the pod.
func (n *netInfo) hostPort(t *testing.T, port int, protocol string) int {
	t.Helper()
	for _, p := range n.Interface.Ports {
		if p.ContainerPort == port && p.Protocol == protocol {
			return p.HostPort
		}
	}
	t.Fatalf("ports %+v: none for %d/%s", n.Interface.Ports, port, protocol)
	return 0
}

// network is what pod inspect says of a pod's network.
func (w *netWorld) network(t *testing.T, pod string) netInfo {
	t.Helper()
	info, ok := w.tryNetwork(t, pod)
	if !ok {
		t.FailNow()
	}
	return info
}

// tryNetwork is network for a goroutine that is not the test's.
func (w *netWorld) tryNetwork(t *testing.T, pod string) (netInfo, bool) {
	t.Helper()
	var all []struct{ Network netInfo }
	r := w.podrt(t, "pod", "inspect", pod)
	if err := json.Unmarshal([]byte(r.stdout), &all); err != nil || r.code != 0 || len(all) != 1 {
		t.Errorf("exit code %d, %v; want an array of one pod: %v", r.code, err, r)
		return netInfo{}, false
	}
	return all[0].Network, true
}

// networkInfo is what tests read of network inspect.
type networkInfo struct {
	Name, Driver string

	Bridge *struct {
		Bridge  string
		Subnets []struct {
			Subnet  netip.Prefix
			Gateway netip.Addr
		}
	}
	Pods []struct {
		UID, Name string
		Addresses []netip.Addr
	}
	BlockedBy []string
	NotReady  string
}

func (w *netWorld) inspectNetwork(t *testing.T, name string) *networkInfo {
	t.Helper()
	var all []networkInfo
	out := w.ok(t, "network", "inspect", name).stdout
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
		t.Fatalf("network inspect %s: %v: %s; want an array of one network", name, err, out)
	}
	return &all[0]
}

// pods are the names of the network's pods, sorted.
func (n *networkInfo) pods() []string {
	var names []string
	for _, p := range n.Pods {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return names
}

// addresses are what ip(8) shows in a network namespace, but for lo's and
// link-local ones: "eth0 10.87.0.2/24".
func addresses(t *testing.T, netns string) []string {
	t.Helper()
	var links []struct {
		Name  string `json:"ifname"`
		Addrs []struct {
			Local string
			Len   int `json:"prefixlen"`
			Scope string
		} `json:"addr_info"`
	}
	out := runIn(t, netns, "", "ip", "-json", "address")
	if err := json.Unmarshal([]byte(out), &links); err != nil {
		t.Fatalf("ip -json address: %v: %s", err, out)
	}
	var found []string
	for _, l := range links {
		for _, a := range l.Addrs {
			if l.Name != "lo" && a.Scope != "link" {
				found = append(found, fmt.Sprintf("%s %s/%d", l.Name, a.Local, a.Len))
			}
		}
	}
	return found
}

// netns is the pin of a pod's network namespace.
func (w *netWorld) netns(uid string) string { return w.run + "/pods/" + uid + "/ns/net" }
