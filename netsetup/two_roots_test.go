package netsetup

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// TestTwoRoots has the networks of two state roots on one host: who comes second
// to a bridge is refused, and takes nothing of the first one's with it.
func TestTwoRoots(t *testing.T) {
	rung.Privileged(t)
	first, _ := testNetworks(t, "a")
	second, _ := testNetworks(t, "a", "b")
	n, err := first.Default()
	if err != nil {
		t.Fatal(err)
	}
	one, _ := attach(t, first, &Attach{UID: "a", Network: n, Ports: []Port{{HostPort: 8080, ContainerPort: 80, Protocol: TCP}}})
	before := ruleset(t)

	same, err := second.Default()
	if err != nil {
		t.Fatal(err)
	}
	_, err = second.Attach(t.Context(), &Attach{UID: "b", Network: same, Netns: newNetns(t).path})
	if err == nil || !strings.Contains(err.Error(), "link podrt0 exists and is not its bridge") {
		t.Errorf("Attach to the other root's bridge = %v; want it to be refused", err)
	}
	// Nor by way of a network that only the second one has, nor its ports: what the
	// first one has claimed is not known there.
	other := create(t, second, NetworkOptions{Name: "other"})
	if sub := other.Subnets[0].Subnet; sub.Overlaps(n.Subnets[0].Subnet) {
		t.Errorf("the second one has chosen %s; want it clear of the first one's %s", sub, n.Subnets[0].Subnet)
	}
	for _, port := range []Port{
		{HostPort: 8080, ContainerPort: 80, Protocol: TCP},
		{HostIP: netip.IPv4Unspecified(), HostPort: 8080, ContainerPort: 80, Protocol: TCP},
	} {
		var taken *PortTakenError
		_, err = second.Attach(t.Context(), &Attach{UID: "b", Network: other, Netns: newNetns(t).path, Ports: []Port{port}})
		if !errors.As(err, &taken) || taken.UID != "a" || taken.Port != port {
			t.Errorf("Attach with the other root's port = %v; want it to be taken by pod a", err)
		}
	}
	two, _ := attach(t, second, &Attach{UID: "b", Network: other})
	if err := second.Reload(); err == nil || !strings.Contains(err.Error(), "podrt0") {
		t.Errorf("Reload beside the other root's rules = %v; want it to name podrt0", err)
	}
	detach(t, second, "b")
	two.close()
	if err := second.Sweep(); err != nil {
		t.Error(err)
	}
	for _, name := range []string{other.Name, same.Name} {
		if err := second.Remove(name); err != nil {
			t.Error(err)
		}
	}
	if after := ruleset(t); sorted(after) != sorted(before) {
		t.Errorf("the first root's rules are\n%s\nwant\n%s", after, before)
	}
	if in, err := Look(one.path); err != nil || len(in.Routes) == 0 {
		t.Errorf("the first root's pod: %+v, %v", in, err)
	}
	detach(t, first, "a")
	if rules := ruleset(t); rules != "" {
		t.Errorf("rules are left:\n%s", rules)
	}
	if err := first.Remove(n.Name); err != nil {
		t.Error(err)
	}
}

// TestTwoRootsShare has two state roots share their definitions: one does not remove
// what the other one's pods are in.
func TestTwoRootsShare(t *testing.T) {
	rung.Privileged(t)
	first, _ := testNetworks(t, "a")
	second, _ := testNetworks(t)
	second.Config = first.Config
	n := create(t, first, smallNet())
	attach(t, first, &Attach{UID: "a", Network: n})
	before := ruleset(t)
	var used *InUseError
	err := second.Remove(n.Name)
	if !errors.As(err, &used) || !strings.Contains(err.Error(), "another state root: link "+n.Bridge) {
		t.Errorf("Remove of a network that another root's pod is in = %v; want InUseError", err)
	}
	if err := first.Reload(); err != nil {
		t.Error(err)
	}
	if after := ruleset(t); sorted(after) != sorted(before) {
		t.Errorf("the first root's rules are\n%s\nwant\n%s", after, before)
	}
	detach(t, first, "a")
	if err := second.Remove(n.Name); err != nil {
		t.Error(err)
	}
}
