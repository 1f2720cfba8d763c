package integration

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/vishvananda/netlink"
)

// Devices of the host that move into a container, with their addresses; they
// end with its network namespace, or go back if they are of hardware.
func TestSpecNetDevices(t *testing.T) {
	b := newSpecBench(t, false)
	devices := func(d map[string]specs.LinuxNetDevice) func(*specs.Spec) {
		return func(s *specs.Spec) { s.Linux.NetDevices = d }
	}
	// The end that stays goes some time after the one in the container.
	remove := func() {
		for _, name := range []string{"podrt-t0", "podrt-t1"} {
			if link, err := netlink.LinkByName(name); err == nil {
				_ = netlink.LinkDel(link)
			}
		}
	}
	// A pair, of which one end moves.
	pair := func(t *testing.T) {
		t.Helper()
		remove()
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = "podrt-t0", 1400
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "podrt-t1"}
		if err := netlink.LinkAdd(veth); err != nil {
			t.Fatal(err)
		}
		addr, err := netlink.ParseAddr("10.9.8.7/24")
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.AddrAdd(veth, addr); err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetUp(veth); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(remove)
	const look = "ip -o link | cut -d' ' -f2 | cut -d@ -f1 | tr '\\n' ' '; ip -o -4 addr | grep -v ' lo ' | tr -s ' ' | cut -d' ' -f2,4; ip link | grep -o 'mtu 1400'"
	b.run(t, []specRow{
		{name: "moved", before: pair, spec: devices(map[string]specs.LinuxNetDevice{"podrt-t0": {}}), script: look, want: "lo: podrt-t0 podrt-t0 10.9.8.7/24\nmtu 1400"},
		{name: "renamed", before: pair, spec: devices(map[string]specs.LinuxNetDevice{"podrt-t0": {Name: "eth9"}}), script: look, want: "lo: eth9 eth9 10.9.8.7/24\nmtu 1400"},
		{name: "none there", spec: devices(map[string]specs.LinuxNetDevice{"podrt-none": {}}), err: "...podrt-none"},
		{name: "a name that is taken", before: pair, spec: devices(map[string]specs.LinuxNetDevice{"podrt-t0": {Name: "lo"}}), err: "...file exists"},
		{name: "a bad name", spec: devices(map[string]specs.LinuxNetDevice{"podrt-t0": {Name: "a/b"}}), err: `invalid network device name "a/b"`},
		{name: "a bad device", spec: devices(map[string]specs.LinuxNetDevice{"..": {}}), err: `invalid network device name ".."`},
		{name: "into the host's network", spec: func(s *specs.Spec) {
			devices(map[string]specs.LinuxNetDevice{"podrt-t0": {}})(s)
			withoutNamespace(s, specs.NetworkNamespace)
		}, err: "unable to move network devices without a NET namespace"},
	})
}
