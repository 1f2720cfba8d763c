package netsetup

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/nftables"

	"github.com/podrt/podrt/integration/rung"
)

var updateGolden = flag.Bool("update", false, "write the golden files of the rules")

// rulesetJSON returns `nft -j list ruleset` without what differs between two
// equal ones: handles, versions and the order of elements.
func rulesetJSON(t *testing.T) string {
	t.Helper()
	var all struct {
		Nftables []map[string]any `json:"nftables"`
	}
	if err := json.Unmarshal([]byte(nft(t, "", "-j", "list", "ruleset")), &all); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	encode := json.NewEncoder(&b)
	encode.SetEscapeHTML(false)
	for _, object := range all.Nftables {
		if object["metainfo"] != nil {
			continue
		}
		for _, v := range object {
			fields := v.(map[string]any)
			delete(fields, "handle")
			if list, ok := fields["elem"].([]any); ok {
				slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			}
		}
		if err := encode.Encode(object); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// golden compares the ruleset with testdata/rules/NAME, one object a line.
func golden(t *testing.T, name string) {
	t.Helper()
	got := rulesetJSON(t)
	path := filepath.Join("testdata", "rules", name)
	if *updateGolden {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sameRules(t, "as in "+path, string(want))
}

// sameRules compares the ruleset with one of before, and tells what differs.
func sameRules(t *testing.T, what, want string) {
	t.Helper()
	got := rulesetJSON(t)
	if got == want {
		return
	}
	t.Errorf("rules are not %s:", what)
	for line := range strings.Lines(want) {
		if !strings.Contains(got, line) {
			t.Errorf("- %s", line)
		}
	}
	for line := range strings.Lines(got) {
		if !strings.Contains(want, line) {
			t.Errorf("+ %s", line)
		}
	}
}

// newRules returns a state without pods' links, for tests of rules alone. Pods
// live unless their UID begins with "dead".
func newRules(t *testing.T) *Networks {
	t.Helper()
	rung.Privileged(t)
	t.Cleanup(func() { nft(t, "", "flush", "ruleset") })
	return &Networks{Run: t.TempDir(), BootID: "boot", Live: func(uid string) bool { return !strings.HasPrefix(uid, "dead") }}
}

func parse(t *testing.T, specs string) []Port {
	t.Helper()
	var ports []Port
	for s := range strings.FieldsSeq(specs) {
		more, err := ParsePorts(s)
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, more...)
	}
	return ports
}

func mustAdd(t *testing.T, n *Network, wantMade bool) {
	t.Helper()
	made, err := addNetworkRules(n)
	if err != nil || made != wantMade {
		t.Fatalf("addNetworkRules(%s) = %t, %v; want %t", n.Name, made, err, wantMade)
	}
}

func mustPublish(t *testing.T, s *Networks, uid string, n *Network, ips []netip.Addr, specs string) []Port {
	t.Helper()
	ports, err := s.claimPorts(uid, parse(t, specs))
	if err == nil {
		err = addPortRules(uid, n, ips, ports)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ports
}

// foreign is what others have in nftables: it stays as it is, to the byte.
const foreign = `table inet filter {
	chain forward { type filter hook forward priority filter; policy accept; ct state invalid counter drop; }
}
table ip nat {
	map podrt { type inet_service : ipv4_addr . inet_service; elements = { 1 : 192.0.2.1 . 2 }; }
	chain PREROUTING { type nat hook prerouting priority dstnat; policy accept; dnat ip to tcp dport map @podrt; }
}
table ip podrt { comment "of another family"; set bridges { type ifname; elements = { "podrt-red" }; }; }
table bridge podrt { chain c { type filter hook forward priority 0; policy accept; }; }
`

func TestRules(t *testing.T) {
	s := newRules(t)
	nft(t, foreign, "-f", "-")
	others := nft(t, "", "-a", "list", "ruleset")
	red, cell := network("red", "10.87.0.0/24", "fd00:87::/64"), network("cell", "10.88.4.0/22")
	cell.Internal, cell.Isolated = true, false
	pod := addrs("10.87.0.2", "fd00:87::2")

	before := rulesetJSON(t)
	mustAdd(t, red, true)
	mustAdd(t, red, false)
	golden(t, "network.json")
	mustAdd(t, cell, false)
	golden(t, "networks.json")
	networks := rulesetJSON(t)
	mustPublish(t, s, "pod-1", red, pod, "8080:80 8080:80/udp 7000-7001:80-81/sctp 127.0.0.1:53:53/udp 0.0.0.0:1:1 [::]:2:2")
	golden(t, "ports.json")
	one := rulesetJSON(t)
	mustPublish(t, s, "pod-2", red, pod[:1], "8081:80")
	mustPublish(t, s, "pod-3", red, pod[1:], "8082:80 [::]:8083:80/udp")
	golden(t, "pods.json")

	// Each goes as it came, whatever the order, and twice.
	for range 2 {
		for _, uid := range []string{"pod-3", "pod-2"} {
			if err := s.removePortRules(uid); err != nil {
				t.Errorf("removePortRules(%s) = %v", uid, err)
			}
		}
	}
	sameRules(t, "as before pod-2 and pod-3", one)
	for range 2 {
		if err := s.removePortRules("pod-1"); err != nil {
			t.Errorf("removePortRules = %v", err)
		}
	}
	sameRules(t, "as before pods", networks)
	for range 2 {
		if err := removeNetworkRules(cell, false, published{}); err != nil {
			t.Errorf("removeNetworkRules = %v", err)
		}
	}
	golden(t, "network.json")
	for range 2 {
		if err := removeNetworkRules(red, true, published{}); err != nil {
			t.Errorf("removeNetworkRules = %v", err)
		}
	}
	sameRules(t, "as before networks", before)
	if got := nft(t, "", "-a", "list", "ruleset"); got != others {
		t.Errorf("tables of others:\n%s\nwant as before:\n%s", got, others)
	}
}

// TestRulesGone makes rules again that the admin has flushed, wholly or in part.
func TestRulesGone(t *testing.T) {
	s := newRules(t)
	red, blue := network("red", "10.87.0.0/24", "fd00:87::/64"), network("blue", "10.88.0.0/24")
	networks := []*Network{red, blue}
	pods := []published{
		{"pod-1", red, addrs("10.87.0.2", "fd00:87::2"), parse(t, "8080:80 127.0.0.1:53:53/udp")},
		{"pod-2", blue, addrs("10.88.0.2"), parse(t, "9090:80")},
	}
	mustAdd(t, red, true)
	mustAdd(t, blue, false)
	for _, p := range pods {
		if _, err := s.claimPorts(p.UID, p.Ports); err != nil {
			t.Fatal(err)
		}
		if err := addPortRules(p.UID, p.Network, p.Addresses, p.Ports); err != nil {
			t.Fatal(err)
		}
	}
	want := rulesetJSON(t)
	for _, harm := range []string{
		"flush ruleset",
		"flush table inet podrt",
		"delete chain inet podrt postrouting",
		"flush map inet podrt ports4",
		"add element inet podrt internal { podrt-red }",
		"flush ruleset; add table inet podrt; add set inet podrt bridges { type ipv4_addr; }",
	} {
		nft(t, harm, "-f", "-")
		if got := rulesetJSON(t); got == want {
			t.Errorf("%s: no harm done", harm)
		}
		if err := reloadRules(networks, pods); err != nil {
			t.Errorf("reload after %s: %v", harm, err)
		}
		sameRules(t, "as before "+harm, want)
	}

	// A new pod's network tells that the rest is missing.
	nft(t, "flush ruleset", "-f", "-")
	if err := s.removePortRules("pod-2"); err != nil {
		t.Errorf("removePortRules without a table: %v", err)
	}
	if err := removeNetworkRules(blue, false, published{}); err != nil {
		t.Errorf("removeNetworkRules without a table: %v", err)
	}
	if err := addPortRules("pod-1", red, pods[0].Addresses, pods[0].Ports); err == nil {
		t.Error("addPortRules without a table = nil; want an error")
	}
	mustAdd(t, blue, true)
	alone := rulesetJSON(t)
	for _, left := range []string{
		"flush set inet podrt bridges",
		"flush ruleset; add table inet podrt",
		"delete table inet podrt; add table inet podrt; add chain inet podrt publish; add rule inet podrt publish drop",
	} {
		nft(t, left, "-f", "-")
		mustAdd(t, blue, true)
		sameRules(t, "as of one network, after "+left, alone)
	}

	// So does the table of an older podrt.
	if err := reloadRules(networks, pods); err != nil {
		t.Fatal(err)
	}
	mustAdd(t, blue, false)
	nft(t, fmt.Sprintf("flush set inet podrt bridges; add element inet podrt bridges { podrt-blue comment %q }",
		strings.Replace(rulesMark(blue), "rules 1.", "rules 0.", 1)), "-f", "-")
	mustAdd(t, blue, true)
}

// TestRulesStale has rules of what was there before, as crashes leave them.
func TestRulesStale(t *testing.T) {
	s := newRules(t)
	red, blue := network("red", "10.87.0.0/24", "fd00:87::/64"), network("blue", "10.88.0.0/24")
	mustAdd(t, red, true)
	mustAdd(t, blue, false)
	want := rulesetJSON(t)

	// A network that was defined in another way, under the same name.
	other := network("red", "10.99.0.0/16")
	other.Internal, other.Isolated = true, false
	mustAdd(t, other, false)
	if got := rulesetJSON(t); strings.Contains(got, "10.87.0.0") || !strings.Contains(got, "10.99.0.0") {
		t.Errorf("rules of the network that took the place of another:\n%s", got)
	}
	mustAdd(t, red, false)
	sameRules(t, "as before", want)

	// A pod whose claims somebody has removed.
	mustPublish(t, s, "pod-1", red, addrs("10.87.0.2", "fd00:87::2"), "8080-8081:80-81")
	if err := os.RemoveAll(s.portsDir()); err != nil {
		t.Fatal(err)
	}
	mustPublish(t, s, "pod-2", red, addrs("10.87.0.3"), "8080:80")
	if got := rulesetJSON(t); !strings.Contains(got, `["10.87.0.3",80]`) || strings.Contains(got, `["10.87.0.2",80]`) {
		t.Errorf("rules of the pod that took the port of another:\n%s", got)
	}
}

// TestRulesMany publishes 4000 ports of two families: more than a message takes,
// and more than a socket's buffers do by default.
func TestRulesMany(t *testing.T) {
	s := newRules(t)
	red := network("red", "10.87.0.0/24", "fd00:87::/64")
	mustAdd(t, red, true)
	before := rulesetJSON(t)
	uid := strings.Repeat("u", 128)
	mustPublish(t, s, uid, red, addrs("10.87.0.2", "fd00:87::2"), "20000-21999:1-2000 20000-21999:1-2000/udp")
	count := func() map[string]int {
		n := map[string]int{}
		err := withRules(func(conn *nftables.Conn) error {
			list, err := find(conn, func(_ string, e nftables.SetElement) bool { return e.Comment == uid }, portSets...)
			for name := range list {
				n[name] = len(list[name])
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n["ports4"] != 4000 || n["ports6"] != 4000 {
		t.Errorf("elements: %v; want 4000 each in ports4 and ports6", n)
	}
	if err := s.removePortRules(uid); err != nil {
		t.Error(err)
	}
	sameRules(t, "as before", before)
}

func TestPortRulesRefused(t *testing.T) {
	cell, red := network("cell", "10.88.0.0/24"), network("red", "10.87.0.0/24")
	cell.Internal = true
	for _, tt := range []struct {
		n     *Network
		addrs []netip.Addr
		ports string
		want  string
	}{
		{cell, addrs("10.88.0.2"), "8080:80", `port "8080:80/tcp": network "cell" is internal: no port of it can be published`},
		{red, addrs("10.87.0.2"), "[2001:db8::1]:8080:80", `port "[2001:db8::1]:8080:80/tcp": the pod has no address of that family: [10.87.0.2]`},
		{red, addrs("fd00::2"), "0.0.0.0:8080:80", `port "0.0.0.0:8080:80/tcp": the pod has no address of that family: [fd00::2]`},
		{red, nil, "8080:80", "the pod has no address of that family: []"},
	} {
		err := addPortRules("pod", tt.n, tt.addrs, parse(t, tt.ports))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("addPortRules(%s) = %v; want error %q", tt.ports, err, tt.want)
		}
	}
}
