package netsetup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// TestStrays has files that podrt has not made, or that are broken, be in nobody's
// way but that of the network they define.
func TestStrays(t *testing.T) {
	rung.Privileged(t)
	s, _ := testNetworks(t, "a", "b", "c")
	n := create(t, s, NetworkOptions{Name: "n", Subnets: []Subnet{{Subnet: prefix("203.0.113.0/29")}, {Subnet: prefix("2001:db8::/64")}}})
	attach(t, s, &Attach{UID: "a", Network: n, Ports: []Port{{HostPort: 8080, ContainerPort: 80, Protocol: TCP}}})
	next := n.Subnets[0].Gateway.Next().Next().String()
	if err := errors.Join(
		os.WriteFile(filepath.Join(s.portsDir(), ".tcp,8080,*.swp"), nil, 0o600),
		os.Symlink("x", filepath.Join(s.portsDir(), "tcp,x")),
		os.WriteFile(filepath.Join(s.leaseDir(n.Name), next), nil, 0o600),
		os.Symlink("x", filepath.Join(s.leaseDir(n.Name), "2001:db8::77")),
		os.WriteFile(s.definition("broken"), []byte("{"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	_, i := attach(t, s, &Attach{UID: "b", Network: n, Ports: []Port{{ContainerPort: 80, Protocol: UDP}}})
	if got := i.Addresses[0].Addr().String(); got != next {
		t.Errorf("the address is %s; want %s, which nobody has", got, next)
	}
	flushRuleset(t)
	if err := s.Reload(); err != nil {
		t.Errorf("Reload: %v", err)
	}
	flushRuleset(t)
	attach(t, s, &Attach{UID: "c", Network: n}) // makes all rules
	for _, uid := range []string{"a", "b", "c"} {
		detach(t, s, uid)
	}
	noLink(t, n.Bridge)
	if err := s.Remove(n.Name); err != nil {
		t.Error(err)
	}
}

// TestDefinitionLost has a pod go, and its network's bridge with it, whatever has
// become of the definition.
func TestDefinitionLost(t *testing.T) {
	rung.Privileged(t)
	for what, lose := range map[string]func(path string) error{
		"removed": os.Remove,
		"damaged": func(path string) error { return os.WriteFile(path, []byte("{"), 0o600) },
	} {
		t.Run(what, func(t *testing.T) {
			s, _ := testNetworks(t, "a")
			n := create(t, s, NetworkOptions{Name: "n", Subnets: []Subnet{{Subnet: prefix("203.0.113.0/29")}}, NoIPv6: true})
			attach(t, s, &Attach{UID: "a", Network: n, Ports: []Port{{HostPort: 8080, ContainerPort: 80, Protocol: TCP}}})
			if err := lose(s.definition("n")); err != nil {
				t.Fatal(err)
			}
			detach(t, s, "a")
			noLink(t, n.Bridge)
			if left := ruleset(t); strings.Contains(left, "podrt") {
				t.Errorf("rules are left:\n%s", left)
			}
		})
	}
}
