package integration

import (
	"strings"
	"testing"
)

// foreignRules is another program's firewall, which lets nothing through that it
// does not know.
const foreignRules = `
table inet guard {
	set known { type ipv4_addr; elements = { 192.0.2.77 } }
	chain forward {
		type filter hook forward priority filter; policy drop;
		ip saddr @known accept
	}
}
table ip nat {
	chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept; ip saddr 192.0.2.78 counter masquerade; }
}
`

// TestNetworkFirewall: a firewall that drops what podrt forwards is reported,
// and neither it nor any other table is touched.
func TestNetworkFirewall(t *testing.T) {
	natively(t)
	w := newNetWorld(t)
	w.pod(t, "a", "--network", "bridge", "-p", "8080:80")
	if by := w.inspectNetwork(t, "bridge").BlockedBy; len(by) > 0 {
		t.Errorf("blockedBy %q; want nothing", by)
	}
	w.outside.reach(t, hostIP+":8080", "a for "+outsideIP)

	runIn(t, w.host.netns, foreignRules, "nft", "-f", "-")
	t.Cleanup(func() {
		runIn(t, w.host.netns, "delete table inet guard\ndelete table ip nat\n", "nft", "-f", "-")
	})
	before := foreignTables(t, w)
	if by := strings.Join(w.inspectNetwork(t, "bridge").BlockedBy, " "); !strings.Contains(by, "guard") || !strings.Contains(by, "forward") {
		t.Errorf("blockedBy %q; want the chain forward of the table guard", by)
	}
	w.outside.reach(t, hostIP+":8080", noAnswer)

	// What the report says that it takes.
	bridge := w.inspectNetwork(t, "bridge").Bridge.Bridge
	runIn(t, w.host.netns, "add rule inet guard forward iifname "+bridge+" accept\nadd rule inet guard forward oifname "+bridge+" accept\n", "nft", "-f", "-")
	w.outside.reach(t, hostIP+":8080", "a for "+outsideIP)
	runIn(t, w.host.netns, "flush chain inet guard forward\nadd rule inet guard forward ip saddr @known accept\n", "nft", "-f", "-")

	w.pod(t, "b", "--network", "bridge", "-p", "8081:80")
	w.ok(t, "network", "create", "other")
	w.ok(t, "network", "reload")
	w.ok(t, "pod", "rm", "-f", "a", "b")
	w.ok(t, "network", "rm", "other", "bridge")
	if after := foreignTables(t, w); after != before {
		t.Errorf("other tables after all of it:\n%s\nwant them as before:\n%s", after, before)
	}
	if all := runIn(t, w.host.netns, "", "nft", "list", "tables"); strings.Contains(all, "podrt") {
		t.Errorf("tables %q; want none of podrt's", all)
	}
}

// foreignTables is what nft(8) says of the tables that are not podrt's, to the
// byte: without handles, which grow as rules are added.
func foreignTables(t *testing.T, w *netWorld) string {
	t.Helper()
	return runIn(t, w.host.netns, "", "nft", "list", "table", "inet", "guard") + runIn(t, w.host.netns, "", "nft", "list", "table", "ip", "nat")
}
