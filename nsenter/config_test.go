package nsenter

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"
)

func TestConfigValidate(t *testing.T) {
	ids := []IDMap{{0, 100000, 65536}}
	for _, c := range []struct {
		what string
		cfg  Config
		err  string
	}{
		{"good", Config{Kinds: []Kind{Net}, PinDir: "/x"}, ""},
		{"good user", Config{Kinds: []Kind{Net, User}, PinDir: "/x", UIDMappings: ids, GIDMappings: ids}, ""},
		{"nothing", Config{PinDir: "/x"}, "no namespaces"},
		{"unknown", Config{Kinds: []Kind{"mnt"}, PinDir: "/x"}, `unknown kind of namespace "mnt"`},
		{"twice", Config{Kinds: []Kind{Net, UTS, Net}, PinDir: "/x"}, `namespace "net" is given twice`},
		{"relative", Config{Kinds: []Kind{Net}, PinDir: "x"}, `pin directory "x" is not absolute`},
		{"hostname", Config{Kinds: []Kind{Net}, PinDir: "/x", Hostname: "h"}, `hostname "h" without a UTS namespace`},
		{"domainname", Config{Kinds: []Kind{Net}, PinDir: "/x", Domainname: "d"}, `domainname "d" without a UTS namespace`},
		{"64 bytes", Config{Kinds: []Kind{UTS}, PinDir: "/x", Hostname: strings.Repeat("h", 64)}, ""},
		{"65 bytes", Config{Kinds: []Kind{UTS}, PinDir: "/x", Hostname: strings.Repeat("h", 65)}, "longer than 64 bytes"},
		{"NUL", Config{Kinds: []Kind{UTS}, PinDir: "/x", Hostname: "a\x00b"}, "NUL byte"},
		{"maps", Config{Kinds: []Kind{Net}, PinDir: "/x", UIDMappings: ids}, "id mappings without a user namespace"},
		{"no uids", Config{Kinds: []Kind{User}, PinDir: "/x", GIDMappings: ids}, "uid mapping does not map uid 0"},
		{"no gids", Config{Kinds: []Kind{User}, PinDir: "/x", UIDMappings: ids}, "gid mapping does not map gid 0"},
		{"no root", Config{Kinds: []Kind{User}, PinDir: "/x", UIDMappings: []IDMap{{1, 1, 1}}, GIDMappings: ids}, "does not map uid 0"},
		{"empty map", Config{Kinds: []Kind{User}, PinDir: "/x", UIDMappings: []IDMap{{0, 1, 0}}, GIDMappings: ids}, "empty or too large"},
		{"overflow", Config{Kinds: []Kind{User}, PinDir: "/x", UIDMappings: []IDMap{{0, 1 << 31, 1 << 31}}, GIDMappings: ids}, "empty or too large"},
		{"many lines", Config{Kinds: []Kind{User}, PinDir: "/x", UIDMappings: make([]IDMap, 341), GIDMappings: ids}, "341 lines, at most 340"},
		{"offset", Config{Kinds: []Kind{Net}, PinDir: "/x", TimeOffsets: map[string]TimeOffset{"boottime": {}}}, "without a time namespace"},
		{"clock", Config{Kinds: []Kind{Time}, PinDir: "/x", TimeOffsets: map[string]TimeOffset{"realtime": {}}}, `unknown clock "realtime"`},
		{"nanoseconds", Config{Kinds: []Kind{Time}, PinDir: "/x", TimeOffsets: map[string]TimeOffset{"boottime": {0, 1e9}}}, "must be below 1e9"},
		{"init cgroup", Config{Kinds: []Kind{Net}, PinDir: "/x", InitCgroup: os.Stdin}, "without a PID namespace"},
		{"oom", Config{Kinds: []Kind{PID}, PinDir: "/x", OOMScoreAdj: 1001}, "not between"},
	} {
		if err := c.cfg.validate(); !matches(err, c.err) {
			t.Errorf("%s: validate() = %v; want %q", c.what, err, c.err)
		}
	}
	// Create stops at what validate finds, before it touches anything.
	if _, err := Create(Config{PinDir: "/x"}); !matches(err, "no namespaces") {
		t.Errorf("Create(no kinds) = %v; want an error", err)
	}
	if _, err := Create(Config{Kinds: []Kind{UTS}, PinDir: "/x", Sysctls: map[string]string{"net.x": "1"}}); !matches(err, "network namespace") {
		t.Errorf("Create(net sysctl without net) = %v; want an error", err)
	}
}

func TestConfigSettingsGroups(t *testing.T) {
	cfg := mapped(Config{Kinds: []Kind{Net}})
	cfg.GIDMappings = []IDMap{{0, 200000, 10}, {10, 5, 10}}
	for value, want := range map[string]string{"0 9": "200000 200009", "10\t19": "5 14"} {
		cfg.Sysctls = map[string]string{"net.ipv4.ping_group_range": value}
		got, err := cfg.settings()
		if err != nil || got[0].value != want {
			t.Errorf("settings(%q) = %v, %v; want %q", value, got, err, want)
		}
	}
	for value, want := range map[string]string{"0 20": "group 20 is not mapped", "a b": "not a range"} {
		cfg.Sysctls = map[string]string{"net.ipv4.ping_group_range": value}
		if got, err := cfg.settings(); !matches(err, want) {
			t.Errorf("settings(%q) = %v, %v; want %q", value, got, err, want)
		}
	}
	// Without a user namespace groups are the host's already.
	plain := Config{Kinds: []Kind{Net}, Sysctls: map[string]string{"net.ipv4.ping_group_range": "0 20"}}
	if got, err := plain.settings(); err != nil || got[0].value != "0 20" {
		t.Errorf("settings() = %v, %v; want it unchanged", got, err)
	}
}

func TestEncode(t *testing.T) {
	cfg := mapped(Config{
		Kinds:       []Kind{UTS, Time, PID},
		Hostname:    "pod",
		TimeOffsets: map[string]TimeOffset{"monotonic": {-5, 7}, "boottime": {86400, 0}},
		InitCgroup:  os.Stdin,
		OOMScoreAdj: -998,
	})
	got, err := cfg.encode([]setting{{"net.a", "net/a", "1"}})
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	number := func(n ...uint32) {
		for _, n := range n {
			want = binary.NativeEndian.AppendUint32(want, n)
		}
	}
	text := func(kind uint32, s string) {
		number(kind, uint32(len(s)))
		want = append(want, s...)
	}
	number(configMagic, uint32(len(got)), reportFD)
	number(recordFlags, 4, cfg.flags(), recordPinDir, 4, pinDirFD, recordInitCgroup, 4, initCgroupFD)
	number(recordOOMScore, 4, 0xfffffc1a)
	text(recordHostname, "pod\x00")
	text(recordUIDMap, "0 100000 65536\n\x00")
	text(recordGIDMap, "0 200000 65536\n\x00")
	text(recordTimeOffsets, "boottime 86400 0\nmonotonic -5 7\n\x00")
	text(recordSysctl, "net/a\x001\x00net.a\x00")
	if !bytes.Equal(got, want) {
		t.Errorf("encode() =\n%q; want\n%q", got, want)
	}
	if _, err := cfg.encode([]setting{{"n", "p", strings.Repeat("x", configMax)}}); !matches(err, "at most") {
		t.Errorf("encode() of too much = %v; want an error", err)
	}
}
