package netsetup

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// String returns the port as [ParsePorts] reads it.
func (p Port) String() string {
	s := fmt.Sprintf("%d:%d/%s", p.HostPort, p.ContainerPort, p.Protocol)
	switch {
	case !p.HostIP.IsValid():
		return s
	case p.HostIP.Is6():
		return "[" + p.HostIP.String() + "]:" + s
	}
	return p.HostIP.String() + ":" + s
}

// ParsePorts reads
//
//	[HOSTIP:][HOSTPORT[-END]:]CONTAINERPORT[-END][/tcp|udp|sctp]
//
// with an IPv6 HOSTIP in brackets. Without a host port, or with 0, a free one
// is chosen; both ranges have the same length.
func ParsePorts(s string) ([]Port, error) {
	ports, err := parsePorts(s)
	if err != nil {
		return nil, fmt.Errorf("port %q: %w", s, err)
	}
	return ports, nil
}

func parsePorts(s string) ([]Port, error) {
	rest, protocol, given := strings.Cut(s, "/")
	if !given {
		protocol = string(TCP)
	}
	ip, rest, err := cutHostIP(rest)
	if err != nil {
		return nil, err
	}
	host, container, both := strings.Cut(rest, ":")
	if !both {
		host, container = "", rest
	}
	if strings.Contains(container, ":") {
		return nil, errors.New("want [HOSTIP:][HOSTPORT:]CONTAINERPORT[/PROTOCOL], an IPv6 address in brackets")
	}
	first, last, err := parseRange(container)
	if err != nil {
		return nil, fmt.Errorf("container port %w", err)
	}
	var hostFirst, hostLast uint16
	if host != "" && host != "0" {
		if hostFirst, hostLast, err = parseRange(host); err != nil {
			return nil, fmt.Errorf("host port %w", err)
		}
		if hostLast-hostFirst != last-first {
			return nil, fmt.Errorf("%d host ports (%s) for %d container ports (%s)",
				int(hostLast-hostFirst)+1, host, int(last-first)+1, container)
		}
	}
	ports := make([]Port, 0, int(last-first)+1)
	for i := range int(last-first) + 1 {
		p := Port{HostIP: ip, ContainerPort: first + uint16(i), Protocol: Protocol(protocol)}
		if hostFirst != 0 {
			p.HostPort = hostFirst + uint16(i)
		}
		if err := p.check(); err != nil {
			return nil, err
		}
		ports = append(ports, p)
	}
	return ports, nil
}

// cutHostIP takes the host's address, if there is one, off the front of s.
func cutHostIP(s string) (ip netip.Addr, rest string, err error) {
	literal, rest, found := strings.Cut(s, ":")
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if literal, rest, found = strings.Cut(inner, "]:"); !found {
			return ip, "", errors.New("want ]: after the IPv6 address")
		}
	} else if !found || !strings.Contains(literal, ".") {
		return ip, s, nil
	}
	ip, err = netip.ParseAddr(literal)
	if err != nil {
		return ip, "", fmt.Errorf("host address %q is not an IP address", literal)
	}
	return ip.Unmap(), rest, nil
}

// parseRange reads FIRST or FIRST-LAST, from 1 to 65535.
func parseRange(s string) (first, last uint16, err error) {
	from, to, isRange := strings.Cut(s, "-")
	if !isRange {
		to = from
	}
	a, errA := strconv.ParseUint(from, 10, 16)
	b, errB := strconv.ParseUint(to, 10, 16)
	if errA != nil || errB != nil || a == 0 || from[0] == '+' || to[0] == '+' {
		return 0, 0, fmt.Errorf("%q is not a number, or range of numbers, from 1 to 65535", s)
	}
	if b < a {
		return 0, 0, fmt.Errorf("range %q ends before it begins", s)
	}
	return uint16(a), uint16(b), nil
}

// check reports what is wrong with one port.
func (p Port) check() error {
	switch p.Protocol {
	case TCP, UDP, SCTP:
	default:
		return fmt.Errorf("protocol %q is not tcp, udp or sctp", p.Protocol)
	}
	if p.ContainerPort == 0 {
		return errors.New("container port 0: want 1 to 65535")
	}
	ip := p.HostIP
	switch {
	case !ip.IsValid():
		return nil
	case ip.Zone() != "":
		return fmt.Errorf("host address %s has a zone", ip)
	case ip.Is4In6():
		return fmt.Errorf("host address %s is an IPv4 address in IPv6's form: want %s", ip, ip.Unmap())
	case ip.IsMulticast():
		return fmt.Errorf("host address %s is a multicast address", ip)
	case ip == netip.IPv6Loopback():
		// rt6_need_strict and ip6_rcv_core: ::1 never passes another link than lo.
		return fmt.Errorf("host address %s: Linux does not forward what is sent to IPv6's loopback address: want 127.0.0.1, or another address of the host", ip)
	case ip.Is6() && ip.IsLinkLocalUnicast():
		return fmt.Errorf("host address %s: Linux does not forward what comes from a link-local address", ip)
	}
	return nil
}

// transport is what there is one of on a host address.
type transport struct {
	protocol Protocol
	port     uint16
}

func (p Port) transport() transport { return transport{p.Protocol, p.HostPort} }

// overlap reports whether an address of the host is both of a and b, of which
// the zero Addr is every address, and an unspecified one every of its family.
func overlap(a, b netip.Addr) bool {
	switch {
	case !a.IsValid() || !b.IsValid() || a == b:
		return true
	case a.Is4() != b.Is4():
		return false
	}
	return a.IsUnspecified() || b.IsUnspecified()
}

// CheckPorts reports what is wrong with the ports of one pod: a value, or a
// host port that is published twice.
func CheckPorts(ports []Port) error {
	seen := map[transport][]Port{}
	for _, p := range ports {
		if err := p.check(); err != nil {
			return fmt.Errorf("port %q: %w", p, err)
		}
		if p.HostPort == 0 {
			continue
		}
		for _, other := range seen[p.transport()] {
			if overlap(p.HostIP, other.HostIP) {
				return fmt.Errorf("port %q: the host port is published by %q already", p, other)
			}
		}
		seen[p.transport()] = append(seen[p.transport()], p)
	}
	return nil
}
