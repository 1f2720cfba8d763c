package netsetup

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestParsePorts(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, tt := range []struct {
		in   string
		want []Port
		err  string
	}{
		{in: "80", want: []Port{{ContainerPort: 80, Protocol: TCP}}},
		{in: ":80", want: []Port{{ContainerPort: 80, Protocol: TCP}}},
		{in: "0:80", want: []Port{{ContainerPort: 80, Protocol: TCP}}},
		{in: "8080:80", want: []Port{{HostPort: 8080, ContainerPort: 80, Protocol: TCP}}},
		{in: "65535:65535/udp", want: []Port{{HostPort: 65535, ContainerPort: 65535, Protocol: UDP}}},
		{in: "8080:80/sctp", want: []Port{{HostPort: 8080, ContainerPort: 80, Protocol: SCTP}}},
		{in: "192.0.2.1:80", want: []Port{{HostIP: v4, ContainerPort: 80, Protocol: TCP}}},
		{in: "192.0.2.1::80", want: []Port{{HostIP: v4, ContainerPort: 80, Protocol: TCP}}},
		{in: "192.0.2.1:8080:80", want: []Port{{HostIP: v4, HostPort: 8080, ContainerPort: 80, Protocol: TCP}}},
		{in: "[2001:db8::1]:8080:80", want: []Port{{HostIP: v6, HostPort: 8080, ContainerPort: 80, Protocol: TCP}}},
		{in: "[::ffff:192.0.2.1]:8080:80", want: []Port{{HostIP: v4, HostPort: 8080, ContainerPort: 80, Protocol: TCP}}},
		{in: "[::]::80", want: []Port{{HostIP: netip.IPv6Unspecified(), ContainerPort: 80, Protocol: TCP}}},
		{in: "8000-8001:80-81/udp", want: []Port{{HostPort: 8000, ContainerPort: 80, Protocol: UDP}, {HostPort: 8001, ContainerPort: 81, Protocol: UDP}}},
		{in: "80-81", want: []Port{{ContainerPort: 80, Protocol: TCP}, {ContainerPort: 81, Protocol: TCP}}},
		{in: "8000-8000:80", want: []Port{{HostPort: 8000, ContainerPort: 80, Protocol: TCP}}},

		{in: "", err: `port "": container port "" is not a number, or range of numbers, from 1 to 65535`},
		{in: "0", err: `container port "0" is not a number`},
		{in: "8080:0", err: `container port "0" is not`},
		{in: "65536", err: `container port "65536" is not`},
		{in: "-80", err: `container port "-80" is not`},
		{in: "+80", err: `container port "+80" is not`},
		{in: "80-", err: `container port "80-" is not`},
		{in: "http", err: `container port "http" is not`},
		{in: "localhost:80:80", err: "want [HOSTIP:][HOSTPORT:]CONTAINERPORT[/PROTOCOL]"},
		{in: "x:80", err: `host port "x" is not a number`},
		{in: "81-80", err: `container port range "81-80" ends before it begins`},
		{in: "8000-8002:80-81", err: "3 host ports (8000-8002) for 2 container ports (80-81)"},
		{in: "8000-8001:80", err: "2 host ports (8000-8001) for 1 container ports (80)"},
		{in: "80/icmp", err: `port "80/icmp": protocol "icmp" is not tcp, udp or sctp`},
		{in: "80/", err: `protocol "" is not`},
		{in: "80/TCP", err: `protocol "TCP" is not`},
		{in: "1.2.3:80:80", err: `host address "1.2.3" is not an IP address`},
		{in: "[::1:80:80", err: "want ]: after the IPv6 address"},
		{in: "[x]:80:80", err: `host address "x" is not an IP address`},
		{in: "::1:80:80", err: "an IPv6 address in brackets"},
		{in: "[::1]:80:80", err: "host address ::1: Linux does not forward"},
		{in: "[fe80::1]:80:80", err: "host address fe80::1: Linux does not forward"},
		{in: "[fe80::1%eth0]:80:80", err: "host address fe80::1%eth0 has a zone"},
		{in: "224.0.0.1:80:80", err: "host address 224.0.0.1 is a multicast address"},
	} {
		got, err := ParsePorts(tt.in)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("ParsePorts(%q) = %v, %v; want error %q", tt.in, got, err, tt.err)
			}
			continue
		}
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("ParsePorts(%q) = %v, %v; want %v", tt.in, got, err, tt.want)
		}
		for _, p := range got {
			if again, err := ParsePorts(p.String()); err != nil || !slices.Equal(again, []Port{p}) {
				t.Errorf("ParsePorts(%q) = %v, %v; want %v again", p, again, err, p)
			}
		}
	}
}

func TestParsePortsAll(t *testing.T) {
	got, err := ParsePorts("1-65535:1-65535/udp")
	if err != nil || len(got) != 65535 || got[65534] != (Port{HostPort: 65535, ContainerPort: 65535, Protocol: UDP}) {
		t.Errorf("ParsePorts of all ports: %d ports, %v; want 65535", len(got), err)
	}
	if err := CheckPorts(got); err != nil {
		t.Error(err)
	}
}

func TestCheckPorts(t *testing.T) {
	for _, tt := range []struct {
		in   string // of ParsePorts, each
		want string
	}{
		{"80:80 80:80/udp 80:80/sctp 81:80", ""},
		{"80 80 80", ""}, // host ports are chosen
		{"192.0.2.1:80:80 192.0.2.2:80:80 [2001:db8::1]:80:80", ""},
		{"0.0.0.0:80:80 [::]:80:80", ""},
		{"0.0.0.0:80:80 [2001:db8::1]:80:80", ""},
		{"80:80 80:81", `port "80:81/tcp": the host port is published by "80:80/tcp" already`},
		{"79-81:79-81 80:8080", `port "80:8080/tcp": the host port is published by "80:80/tcp" already`},
		{"80:80 192.0.2.1:80:80", `port "192.0.2.1:80:80/tcp": the host port is published by "80:80/tcp" already`},
		{"[2001:db8::1]:80:80 80:80", `port "80:80/tcp": the host port is published by "[2001:db8::1]:80:80/tcp" already`},
		{"0.0.0.0:80:80 192.0.2.1:80:80", `by "0.0.0.0:80:80/tcp" already`},
		{"[::]:80:80 [2001:db8::1]:80:80", `by "[::]:80:80/tcp" already`},
		{"192.0.2.1:80:80 192.0.2.1:80:81", `by "192.0.2.1:80:80/tcp" already`},
	} {
		var ports []Port
		for word := range strings.FieldsSeq(tt.in) {
			more, err := ParsePorts(word)
			if err != nil {
				t.Fatal(err)
			}
			ports = append(ports, more...)
		}
		got := ""
		if err := CheckPorts(ports); err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("CheckPorts(%s) = %q; want %q", tt.in, got, tt.want)
		}
	}
	for _, tt := range []struct {
		p    Port
		want string
	}{
		{Port{Protocol: TCP}, `port "0:0/tcp": container port 0: want 1 to 65535`},
		{Port{ContainerPort: 80}, `protocol "" is not tcp, udp or sctp`},
		{Port{HostIP: netip.MustParseAddr("::ffff:192.0.2.1"), ContainerPort: 80, Protocol: TCP}, "want 192.0.2.1"},
	} {
		if err := CheckPorts([]Port{tt.p}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("CheckPorts(%+v) = %v; want error %q", tt.p, err, tt.want)
		}
	}
}
