package netsetup

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWriteNames(t *testing.T) {
	addr := netip.MustParseAddr
	members := []Member{
		{UID: "b", Names: []string{"db", "db.example"}, Addrs: []netip.Addr{addr("10.87.0.9"), addr("fd00::9")}},
		{UID: "a", Names: []string{"web"}, Addrs: []netip.Addr{addr("10.87.0.2")}},
		{UID: "c", Names: []string{"cache"}, Addrs: []netip.Addr{addr("10.87.0.3")}},
		{UID: "d", Addrs: []netip.Addr{addr("10.87.0.4")}},
		{UID: "e", Names: []string{"web", "bank"}, Addrs: []netip.Addr{addr("10.87.0.5")}},
		{UID: "f", Names: []string{"Web", "LOCALHOST", "tls"}, Addrs: []netip.Addr{addr("10.87.0.6")}},
	}
	dir := t.TempDir()
	if err := WriteNames(dir, "a", members); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, HostsFile)); err == nil {
		t.Error("a hosts file is there without WriteFiles")
	}
	f := Files{Mode: Mode{Kind: Named, Network: "n"}, Hostname: "web", Addresses: []netip.Addr{addr("10.87.0.2")}, Names: true, HostAliases: []HostAlias{{"1.2.3.4", []string{"bank"}}}}
	if err := WriteFiles(dir, f); err != nil {
		t.Fatal(err)
	}
	own := ownHosts + "10.87.0.2\tweb\n\n# Entries of hostAliases.\n1.2.3.4\tbank\n" // and nobody else's
	const others = "\n# Pods of the same network; podrt writes this file anew when one comes or goes.\n" +
		"10.87.0.3\tcache\n10.87.0.6\ttls\n10.87.0.9\tdb\tdb.example\nfd00::9\tdb\tdb.example\n"
	hosts := filepath.Join(dir, HostsFile)
	before, err := os.Stat(hosts)
	if err != nil {
		t.Fatal(err)
	}
	// As a container might.
	if err := os.WriteFile(hosts, []byte("6.6.6.6\tbank\n"), 0); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		members []Member
		want    string
	}{{members, own + others}, {members[1:2], own}, {nil, own}, {members, own + others}} {
		if err := WriteNames(dir, "a", step.members); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(hosts); err != nil || string(got) != step.want {
			t.Errorf("hosts = %q, %v; want %q", got, err, step.want)
		}
	}
	// Others' names do not go while the pod's own are written anew.
	f.HostAliases[0].IP = "1.2.3.5"
	if err := WriteFiles(dir, f); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(hosts); err != nil || string(got) != own+others {
		t.Errorf("hosts after WriteFiles = %q, %v; want %q", got, err, own+others)
	}
	if err := WriteNames(dir, "a", members); err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(own, "1.2.3.4", "1.2.3.5", 1) + others
	if got, err := os.ReadFile(hosts); err != nil || string(got) != want {
		t.Errorf("hosts after WriteNames = %q, %v; want %q", got, err, want)
	}
	if after, err := os.Stat(hosts); err != nil || !os.SameFile(before, after) {
		t.Errorf("the hosts file is another: %v", err)
	}
}
