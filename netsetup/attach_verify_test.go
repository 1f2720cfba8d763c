package netsetup

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// TestVerify takes away what the host has of a pod's place in a network, piece by
// piece: each is missed, and Reload puts it back.
func TestVerify(t *testing.T) {
	rung.Privileged(t)
	s, _ := testNetworks(t, "a", "b")
	n := create(t, s, smallNet())
	_, i := attach(t, s, &Attach{UID: "a", Network: n, Ports: []Port{
		{HostPort: 8080, ContainerPort: 80, Protocol: TCP},
		{HostPort: 8081, ContainerPort: 80, Protocol: UDP},
	}})
	_, plain := attach(t, s, &Attach{UID: "b", Network: n})
	for _, tt := range []struct{ damage, want string }{
		{"nft flush ruleset", "chain protect"},
		{"nft flush chain inet podrt postrouting", "chain postrouting"},
		{"nft flush set inet podrt isolated", "set isolated"},
		{"ip link del " + n.Bridge, "bridge " + n.Bridge},
		{"ip addr flush dev " + n.Bridge, "no address " + n.Subnets[0].Gateway.String()},
		{"ip link set nomaster " + plain.HostLink + "; ip link set down " + i.HostLink, "is down, or no port of bridge"},
	} {
		if out, err := exec.Command("sh", "-c", tt.damage).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", tt.damage, err, out)
		}
		for uid, i := range map[string]*Interface{"a": i, "b": plain} {
			if err := s.Verify(uid, i); err == nil || !strings.Contains(err.Error(), tt.want) || !errors.Is(err, errReload) {
				t.Errorf("Verify(%s) after %q = %v; want %q, and what to do", uid, tt.damage, err, tt.want)
			}
		}
		if err := s.Reload(); err != nil {
			t.Errorf("Reload after %q: %v", tt.damage, err)
		}
		for uid, i := range map[string]*Interface{"a": i, "b": plain} {
			if err := s.Verify(uid, i); err != nil {
				t.Errorf("Verify(%s) after Reload after %q: %v", uid, tt.damage, err)
			}
		}
	}
	// One of several ports, and one that leads elsewhere.
	for _, damage := range []string{
		"delete element inet podrt ports4 { udp . 8081 }",
		`delete element inet podrt ports4 { udp . 8081 }; add element inet podrt ports4 { udp . 8081 comment "a" : 203.0.113.99 . 80 }`,
	} {
		nft(t, damage, "-f", "-")
		if err := s.Verify("a", i); err == nil || !strings.Contains(err.Error(), "set ports4 of nftables' table inet podrt lacks 1 of 2 elements") {
			t.Errorf("Verify after %q = %v; want it to miss the port", damage, err)
		}
		if err := s.Verify("b", plain); err != nil {
			t.Errorf("Verify of a pod without ports after %q: %v", damage, err)
		}
		if err := s.Reload(); err != nil {
			t.Error(err)
		}
	}
	// Without its link there is nothing to put back.
	if out, err := exec.Command("ip", "link", "del", plain.HostLink).CombinedOutput(); err != nil {
		t.Fatalf("ip: %v: %s", err, out)
	}
	if err := s.Verify("b", plain); err == nil || !strings.Contains(err.Error(), "link "+plain.HostLink+" of the host is gone") {
		t.Errorf("Verify without the veth = %v; want it to be missed", err)
	}
}
