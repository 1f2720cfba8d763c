package main

import (
	"github.com/podrt/podrt/sandbox"
)

// networkFlags are those of a pod's network, with podman's names where it has
// them.
func (o *podFlags) networkFlags(f *flags) {
	n := &o.s.Network
	f.String(&n.Mode, "network", networkUsage+" (default \"none\", or \"bridge\" with one of the flags that need a network)")
	f.Func(publish(&n.Ports), "publish, p", publishUsage)
	f.Strings(&n.IPs, "ip", "address in the network, of either family; can be repeated")
	f.String(&n.MAC, "mac-address", "hardware address of eth0")
	f.Func(bandwidth(n, func(b *sandbox.PodBandwidth) *uint64 { return &b.Ingress }), "ingress-bandwidth", "limit of what the pod receives, a `RATE` in bits per second such as 10M")
	f.Func(bandwidth(n, func(b *sandbox.PodBandwidth) *uint64 { return &b.Egress }), "egress-bandwidth", "limit of what the pod sends, a `RATE` in bits per second such as 10M")
}

const (
	networkUsage = "none (an own namespace with lo), host, container:POD, ns:PATH, bridge, or the name of a network"
	publishUsage = "publish ports on the host, as `[[IP:][HOSTPORT]:]PORT[/PROTOCOL]`; ports can be ranges, PROTOCOL is tcp, udp or sctp; can be repeated"
)

// publish collects [[IP:][HOSTPORT]:]PORT[/PROTOCOL].
func publish(ports *[]sandbox.PodPort) func(string) error {
	return func(v string) error {
		p, err := sandbox.ParsePorts(v)
		*ports = append(*ports, p...)
		return err
	}
}

// bandwidth reads a rate into one of the limits.
func bandwidth(n *sandbox.PodNetwork, limit func(*sandbox.PodBandwidth) *uint64) func(string) error {
	return func(v string) (err error) {
		if n.Bandwidth == nil {
			n.Bandwidth = &sandbox.PodBandwidth{}
		}
		*limit(n.Bandwidth), err = sandbox.ParseRate(v)
		return err
	}
}
