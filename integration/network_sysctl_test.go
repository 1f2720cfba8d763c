package integration

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestNetworkSysctls: the host forwards when a network needs it, no sooner, and
// what was there before is on record.
func TestNetworkSysctls(t *testing.T) {
	natively(t)
	w := newNetWorld(t)
	const (
		v4 = "ipv4/ip_forward"
		v6 = "ipv6/conf/all/forwarding"
		ra = "ipv6/conf/" + uplink + "/accept_ra"
	)
	path := func(name string) string { return filepath.Join("/proc/sys/net", name) }
	for _, name := range []string{v4, v6, "ipv6/conf/default/accept_ra"} {
		before := readFile(t, path(name))
		t.Cleanup(func() { write(t, path(name), before) })
	}
	write(t, path(v4), "0")
	write(t, path(v6), "0")
	write(t, path(ra), "1")
	want := func(step string, values map[string]string) {
		t.Helper()
		for name, value := range values {
			if got := strings.TrimSpace(readFile(t, path(name))); got != value {
				t.Errorf("%s: %s is %s; want %s", step, name, got, value)
			}
		}
	}
	w.ok(t, "network", "create", "--internal", "inner")
	w.ok(t, "network", "create", "--ipv6=false", "four")
	w.bare(t, "a", "--network", "inner")
	want("a pod of an internal network", map[string]string{v4: "0", v6: "0", ra: "1"})
	w.bare(t, "b", "--network", "four")
	want("a pod with IPv4", map[string]string{v4: "1", v6: "0", ra: "1"})
	w.bare(t, "c", "--network", "bridge")
	want("a pod with both", map[string]string{v4: "1", v6: "1", ra: "2"}) // a router takes no advertisements else
	record := readFile(t, filepath.Join(w.run, "networks/sysctls.json"))
	for _, word := range []string{v4 + `": "0"`, v6 + `": "0"`, ra + `": "1"`} {
		if !strings.Contains(record, word) {
			t.Errorf("record %s; want %s in it", record, word)
		}
	}
	w.ok(t, "pod", "rm", "a", "b", "c")
	want("no pod", map[string]string{v4: "1", v6: "1", ra: "2"}) // somebody may rely on it
}
