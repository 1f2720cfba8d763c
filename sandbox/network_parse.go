package sandbox

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/podrt/podrt/netsetup"
)

// ParsePorts reads [[IP:][HOSTPORT]:]PORT[/PROTOCOL], where ports may be ranges
// FIRST-LAST of the same length, an IPv6 address stands in brackets, and PROTOCOL
// is tcp, the default, udp or sctp.
func ParsePorts(s string) ([]PodPort, error) {
	ports, err := netsetup.ParsePorts(s)
	if err != nil {
		return nil, err
	}
	out := make([]PodPort, len(ports))
	for i, p := range ports {
		out[i] = PodPort{HostPort: p.HostPort, ContainerPort: p.ContainerPort, Protocol: string(p.Protocol)}
		if p.HostIP.IsValid() {
			out[i].HostIP = p.HostIP.String()
		}
	}
	return out, nil
}

// ParseRate reads a bandwidth in bits per second, such as 10M.
func ParseRate(s string) (uint64, error) { return netsetup.ParseRate(s) }

// NetworkOptions are the properties of a network to be made, as a person gives
// them.
type NetworkOptions struct {
	Name     string
	Subnets  []string // prefixes, at most one of a family
	Gateways []string // addresses, each in one of Subnets; default: its first
	Ranges   []string // prefixes, each in one of Subnets: what is leased
	IPv4     bool     // have a subnet of that family
	IPv6     bool     // likewise, where the host has IPv6
	MTU      int      // bytes; 0 is the kernel's default
	VLAN     int      // 802.1Q id; 0 is none
	Internal bool     // no way out of the host, no published ports
	Isolated bool     // no traffic from or to other networks of podrt's
	NoNames  bool     // pods do not find each other by name
	Labels   map[string]string
}

// parse is o with its values parsed.
func (o *NetworkOptions) parse() (netsetup.NetworkOptions, error) {
	out := netsetup.NetworkOptions{
		Name: o.Name, NoIPv4: !o.IPv4, NoIPv6: !o.IPv6, MTU: o.MTU, VLAN: o.VLAN,
		Internal: o.Internal, Open: !o.Isolated, NoNames: o.NoNames, Labels: o.Labels,
	}
	if !o.IPv4 && !o.IPv6 {
		return out, errors.New("neither IPv4 nor IPv6: a network has a subnet of one at least")
	}
	for _, s := range o.Subnets {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return out, fmt.Errorf("subnet %q: not an address with the length of a prefix, such as 10.1.0.0/24", s)
		}
		out.Subnets = append(out.Subnets, netsetup.Subnet{Subnet: p})
	}
	for _, s := range o.Gateways {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return out, fmt.Errorf("gateway %q: not an IP address", s)
		}
		i := slices.IndexFunc(out.Subnets, func(n netsetup.Subnet) bool { return n.Subnet.Contains(a) })
		if i < 0 || out.Subnets[i].Gateway.IsValid() {
			return out, fmt.Errorf("gateway %q: in none of the subnets, or the second in one", s)
		}
		out.Subnets[i].Gateway = a
	}
	for _, s := range o.Ranges {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return out, fmt.Errorf("range %q: not an address with the length of a prefix, such as 10.1.0.128/25", s)
		}
		i := slices.IndexFunc(out.Subnets, func(n netsetup.Subnet) bool { return n.Subnet.Contains(p.Addr()) })
		if i < 0 || out.Subnets[i].Range.IsValid() {
			return out, fmt.Errorf("range %q: in none of the subnets, or the second in one", s)
		}
		out.Subnets[i].Range = p
	}
	return out, nil
}
