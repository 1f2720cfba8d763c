package netsetup

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func links(t *testing.T, s *Networks) []string {
	t.Helper()
	entries, err := os.ReadDir(s.portsDir())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(s.portsDir(), e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e.Name()+" "+target)
	}
	return list
}

func (s *Networks) mustClaim(t *testing.T, uid, specs string) []Port {
	t.Helper()
	ports, err := s.claimPorts(uid, parse(t, specs))
	if err != nil {
		t.Fatalf("claimPorts(%s, %s): %v", uid, specs, err)
	}
	return ports
}

func TestClaim(t *testing.T) {
	s := newRules(t)
	s.mustClaim(t, "pod-1", "8080:80 127.0.0.1:53:5353/udp [::]:8081:80")
	want := []string{"tcp,8080,* boot/pod-1/80", "tcp,8081,:: boot/pod-1/80", "udp,53,127.0.0.1 boot/pod-1/5353"}
	if got := links(t, s); !slices.Equal(got, want) {
		t.Errorf("links: %q; want %q", got, want)
	}
	ports, err := s.portsOf("pod-1")
	slices.SortFunc(ports, func(a, b Port) int { return strings.Compare(a.String(), b.String()) })
	if got := fmt.Sprint(ports); err != nil || got != "[127.0.0.1:53:5353/udp 8080:80/tcp [::]:8081:80/tcp]" {
		t.Errorf("portsOf = %s, %v", got, err)
	}

	for _, tt := range []struct{ specs, want string }{
		{"8080:80", "host port 8080/tcp is taken by pod pod-1"},
		{"7070:70 8080:80", "host port 8080/tcp is taken by pod pod-1"},
		{"127.0.0.1:8080:80", "host 127.0.0.1:8080/tcp is taken by pod pod-1"},
		{"[::]:8080:80", "host [::]:8080/tcp is taken by pod pod-1"},
		{"53:53/udp", "host port 53/udp is taken by pod pod-1"},
		{"0.0.0.0:53:53/udp", "host 0.0.0.0:53/udp is taken by pod pod-1"},
	} {
		_, err := s.claimPorts("pod-2", parse(t, tt.specs))
		var taken *PortTakenError
		if err == nil || err.Error() != tt.want || !errors.As(err, &taken) || taken.UID != "pod-1" {
			t.Errorf("claimPorts(%s) = %v; want %q", tt.specs, err, tt.want)
		}
		if got := links(t, s); !slices.Equal(got, want) {
			t.Errorf("links after claimPorts(%s): %q; want %q", tt.specs, got, want)
		}
	}
	if _, err := s.claimPorts("pod-2", parse(t, "8082:80 8082:81")); err == nil || !strings.Contains(err.Error(), "is published by") {
		t.Errorf("claimPorts of one port twice = %v; want an error", err)
	}
	s.mustClaim(t, "pod-2", "8080:80/udp 53:53 127.0.0.2:53:53/udp 0.0.0.0:8081:80")

	// Another try of the same pod wants something else.
	s.mustClaim(t, "pod-1", "9090:90")
	if got := links(t, s); slices.Contains(got, want[0]) || !slices.Contains(got, "tcp,9090,* boot/pod-1/90") {
		t.Errorf("links after another try: %q", got)
	}
	for range 2 {
		if err := errors.Join(s.releasePorts("pod-1"), s.releasePorts("pod-2")); err != nil {
			t.Error(err)
		}
	}
	if got := links(t, s); got != nil {
		t.Errorf("links after release: %q; want none", got)
	}
	if got, err := s.claimPorts("pod-1", nil); got != nil || err != nil {
		t.Errorf("claimPorts of none = %v, %v", got, err)
	}
}

// TestClaimDead takes back what is of dead pods and other boots, with rules.
func TestClaimDead(t *testing.T) {
	s := newRules(t)
	red := network("red", "10.87.0.0/24")
	mustAdd(t, red, true)
	want := rulesetJSON(t)
	mustPublish(t, s, "dead-1", red, addrs("10.87.0.2"), "8080-8081:80-81")
	if err := os.Symlink("before/pod-1/80", filepath.Join(s.portsDir(), "tcp,8082,*")); err != nil {
		t.Fatal(err)
	}
	if ports, err := s.portsOf("pod-1"); ports != nil || err != nil {
		t.Errorf("portsOf a pod of another boot = %v, %v; want none", ports, err)
	}
	s.mustClaim(t, "pod-2", "8080:80 8082:80")
	if got := links(t, s); !slices.Equal(got, []string{"tcp,8080,* boot/pod-2/80", "tcp,8082,* boot/pod-2/80"}) {
		t.Errorf("links: %q; want those of pod-2", got)
	}
	sameRules(t, "without the dead pod", want)

	// A pod that was killed amid its claims, and one between claims and rules.
	if err := os.Symlink("boot/dead-2/80", filepath.Join(s.portsDir(), "tcp,9000,*")); err != nil {
		t.Fatal(err)
	}
	s.mustClaim(t, "pod-3", "9000-9001:80-81")
	if err := errors.Join(s.removePortRules("pod-3"), s.releasePorts("pod-3")); err != nil {
		t.Error(err)
	}

	if err := os.Symlink("boot", filepath.Join(s.portsDir(), "tcp,x")); err != nil {
		t.Fatal(err)
	}
	// Not a claim, nor in the way of one.
	if err := os.WriteFile(filepath.Join(s.portsDir(), "tcp,8080,*~"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if ports, err := s.portsOf("pod-2"); len(ports) != 2 || err != nil {
		t.Errorf("portsOf beside a strange link and a file = %v, %v; want both ports", ports, err)
	}
	if err := errors.Join(s.removePortRules("pod-2"), s.releasePorts("pod-2")); err != nil {
		t.Error(err)
	}
}

// TestClaimProcess asks for ports that processes have.
func TestClaimProcess(t *testing.T) {
	s := newRules(t)
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	// Any user's process can have a port, and any name.
	if err := os.WriteFile("/proc/self/comm", []byte("a\x1b[2J"), 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.WriteFile("/proc/self/comm", comm, 0) }()
	self := fmt.Sprintf(`process %d ("a\x1b[2J")`, os.Getpid())
	listen := func(network, address string) {
		t.Helper()
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	}
	listen("tcp4", "127.0.0.1:8080")
	listen("tcp6", "[::1]:8081")
	listen("tcp", ":8082")
	packets, err := net.ListenPacket("udp4", "127.0.0.1:8083")
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	for _, tt := range []struct{ spec, want string }{
		{"8080:80", "host port 8080/tcp is taken by " + self},
		{"0.0.0.0:8080:80", "host 0.0.0.0:8080/tcp is taken by " + self},
		{"127.0.0.1:8080:80", "host 127.0.0.1:8080/tcp is taken by " + self},
		{"[::]:8080:80", ""},
		{"8080:80/udp", ""},
		{"127.0.0.2:8080:80", ""},
		{"8081:80", "host port 8081/tcp is taken by " + self},
		{"0.0.0.0:8081:80", ""},
		{"0.0.0.0:8082:80", "host 0.0.0.0:8082/tcp is taken by " + self},
		{"[::]:8082:80", "host [::]:8082/tcp is taken by " + self},
		{"8083:80/udp", "host port 8083/udp is taken by " + self},
		{"8083:80", ""},
		{"192.0.2.77:80:80", `port "192.0.2.77:80:80/tcp": the host does not have the address 192.0.2.77`},
	} {
		_, err := s.claimPorts("pod", parse(t, tt.spec))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("claimPorts(%s) = %q; want %q", tt.spec, got, tt.want)
		}
	}

	// A socket that is bound, and does not listen.
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: 8084}); err != nil {
		t.Fatal(err)
	}
	var taken *PortTakenError
	if _, err := s.claimPorts("pod", parse(t, "8084:80")); !errors.As(err, &taken) || taken.UID != "" {
		t.Errorf("claimPorts of a port that is bound = %v; want a PortTakenError", err)
	}

	// Clients are at a port for a while; it is nobody's, unless the first rule that
	// needs conntrack would have what they are sent go to the pod.
	client, err := net.Dial("tcp", "127.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	datagrams, err := net.Dial("udp", "127.0.0.1:8083")
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	port := client.LocalAddr().(*net.TCPAddr).Port
	_, err = s.claimPorts("pod", parse(t, fmt.Sprintf("%d:80", port)))
	if want := fmt.Sprintf("host port %d/tcp is taken by %s", port, self); err == nil || err.Error() != want {
		t.Errorf("claimPorts of a client's port without conntrack = %v; want %q", err, want)
	}
	nft(t, "table inet other { chain out { type filter hook output priority filter; ct state new counter; }; }", "-f", "-")
	defer nft(t, "", "delete", "table", "inet", "other")
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	s.mustClaim(t, "pod", fmt.Sprintf("%d:80 %d:80/udp",
		client.LocalAddr().(*net.TCPAddr).Port, datagrams.LocalAddr().(*net.UDPAddr).Port))
}

func TestClaimRandom(t *testing.T) {
	s := newRules(t)
	first := s.mustClaim(t, "pod-1", "80 81/udp 127.0.0.1::80 1-500")
	second := s.mustClaim(t, "pod-2", "80 81/udp 1-500")
	seen := map[transport]bool{}
	for _, p := range slices.Concat(first, second) {
		if p.HostPort < 61000 {
			t.Errorf("chosen %q; want one from 61000, which the kernel does not choose", p)
		}
		if seen[p.transport()] {
			t.Errorf("chosen %q twice", p)
		}
		seen[p.transport()] = true
	}
	if len(first) != 503 || len(second) != 502 {
		t.Errorf("%d and %d ports; want 503 and 502", len(first), len(second))
	}
	chosen := map[uint16]bool{}
	for range 20 {
		chosen[s.mustClaim(t, "pod-3", "80")[0].HostPort] = true
	}
	if len(chosen) == 1 {
		t.Errorf("20 times chosen %v; want others, too", chosen)
	}

	// A host that gives all ports to sockets.
	setSysctl(t, "ipv4/ip_local_port_range", "1024	65535")
	s.mustClaim(t, "pod-3", "80")
	setSysctl(t, "ipv4/ip_local_port_range", "49000	65535")
	if p := s.mustClaim(t, "pod-4", "80"); p[0].HostPort >= 49000 {
		t.Errorf("chosen %q; want one below 49000", p[0])
	}
}

func TestChoosePorts(t *testing.T) {
	taken := map[transport][]claim{}
	for n := 1024; n <= 65535; n++ {
		if n != 1500 {
			p := Port{HostPort: uint16(n), ContainerPort: 80, Protocol: UDP}
			taken[p.transport()] = []claim{{Port: p, uid: "pod"}}
		}
	}
	got, err := choosePorts(parse(t, "80/udp 80/tcp"), taken)
	if err != nil || got[0].HostPort != 1500 {
		t.Errorf("choosePorts = %v, %v; want the one that is free, 1500", got, err)
	}
	if _, err := choosePorts(parse(t, "80/udp"), taken); err == nil || err.Error() != `port "0:80/udp": no host port is free` {
		t.Errorf("choosePorts = %v; want an error, for none is free", err)
	}
}
