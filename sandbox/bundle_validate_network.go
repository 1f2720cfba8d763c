package sandbox

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/podrt/podrt/netsetup"
	"github.com/podrt/podrt/nsenter"
)

func (s *PodSpec) validateNetwork(ps *problems) {
	mode, err := netsetup.ParseMode(s.Network.Mode)
	switch {
	case err != nil:
		ps.addf("network.mode", "%s", strings.TrimPrefix(err.Error(), "network.mode "))
	case mode.Kind != netsetup.None && !s.owns(nsenter.Net):
		ps.addf("network.mode", `%q: needs "net" in share`, s.Network.Mode)
	}
	s.validateAttachment(ps, err != nil || mode.Kind == netsetup.Named)
	// Each list and alias by itself: a check stops at what it finds first.
	d := s.DNS
	for _, dns := range []netsetup.DNS{{Servers: d.Servers}, {Searches: d.Searches}, {Options: d.Options}} {
		if err := dns.Check(); err != nil {
			at, problem, _ := strings.Cut(err.Error(), " ")
			ps.addf(at, "%s", problem)
		}
	}
	for i, a := range s.HostAliases {
		f := netsetup.Files{
			Mode: netsetup.Mode{Kind: netsetup.None}, Hostname: "pod",
			HostAliases: []netsetup.HostAlias{{IP: a.IP, Hostnames: a.Hostnames}},
		}
		if err := f.Check(); err != nil {
			at, problem, _ := strings.Cut(err.Error(), " ")
			ps.addf(strings.Replace(at, "[0]", fmt.Sprintf("[%d]", i), 1), "%s", problem)
		}
	}
}

// validateAttachment checks what a pod asks of its network. named is false where
// the mode has none.
func (s *PodSpec) validateAttachment(ps *problems, named bool) {
	n := &s.Network
	for _, f := range []struct {
		path  string
		given bool
	}{
		{"network.ips", len(n.IPs) > 0},
		{"network.mac", n.MAC != ""},
		{"network.ports", len(n.Ports) > 0},
		{"network.bandwidth", n.Bandwidth != nil},
	} {
		if f.given && !named {
			ps.addf(f.path, "needs a network; network.mode is %s", quoteShort(n.Mode))
		}
	}
	families := map[bool]bool{}
	for i, ip := range n.IPs {
		a, err := netip.ParseAddr(ip)
		switch {
		case err != nil || a.Zone() != "" || a.Is4In6():
			ps.addf(indexPath("network.ips", i), "%s: not an IP address", quoteShort(ip))
		case families[a.Is4()]:
			ps.addf(indexPath("network.ips", i), "%q: second address of its family", ip)
		default:
			families[a.Is4()] = true
		}
	}
	if mac, err := net.ParseMAC(n.MAC); n.MAC != "" && (err != nil || len(mac) != 6) {
		ps.addf("network.mac", "%s: not a MAC address of six bytes", quoteShort(n.MAC))
	} else if n.MAC != "" && (mac[0]&1 != 0 || mac.String() == "00:00:00:00:00:00") {
		ps.addf("network.mac", "%q: must be unicast", n.MAC)
	}
	s.validatePorts(ps)
	if b := n.Bandwidth; b != nil {
		validateRate(ps, "network.bandwidth.ingress", b.Ingress)
		validateRate(ps, "network.bandwidth.egress", b.Egress)
	} else if _, err := s.bandwidth(); err != nil {
		at, problem, _ := strings.Cut(err.Error(), ": ")
		ps.addf(memberPath("metadata.annotations", at), "%s", problem)
	}
}

func (s *PodSpec) validatePorts(ps *problems) {
	bad := false
	ports := make([]netsetup.Port, len(s.Network.Ports))
	for i, p := range s.Network.Ports {
		at := indexPath("network.ports", i)
		if p.ContainerPort == 0 {
			ps.addf(at+".containerPort", "0: must be 1 to 65535")
			bad = true
		}
		var err error
		if ports[i], err = p.port(); err != nil {
			field, problem, _ := strings.Cut(err.Error(), ": ")
			ps.addf(at+"."+field, "%s", problem)
			bad = true
		}
	}
	if bad {
		return
	}
	if err := netsetup.CheckPorts(ports); err != nil {
		ps.addf("network.ports", "%v", err)
	}
}

// port is p with its values parsed; an error begins with the field.
func (p *PodPort) port() (netsetup.Port, error) {
	out := netsetup.Port{HostPort: p.HostPort, ContainerPort: p.ContainerPort, Protocol: netsetup.Protocol(p.Protocol)}
	switch out.Protocol {
	case "":
		out.Protocol = netsetup.TCP
	case netsetup.TCP, netsetup.UDP, netsetup.SCTP:
	default:
		return out, fmt.Errorf("protocol: %s: must be tcp, udp or sctp", quoteShort(p.Protocol))
	}
	if p.HostIP != "" {
		a, err := netip.ParseAddr(p.HostIP)
		if err != nil || a.Zone() != "" || a.Is4In6() {
			return out, fmt.Errorf("hostIP: %s: not an IP address", quoteShort(p.HostIP))
		}
		out.HostIP = a
	}
	return out, nil
}

func validateRate(ps *problems, at string, bits uint64) {
	if err := netsetup.CheckRate(bits); err != nil {
		ps.addf(at, "%d: %v", bits, err)
	}
}

// bandwidth is what limits eth0, by the field or by Kubernetes' annotations; an
// error begins with the annotation.
func (s *PodSpec) bandwidth() (b netsetup.Bandwidth, err error) {
	if n := s.Network.Bandwidth; n != nil {
		return netsetup.Bandwidth{Ingress: n.Ingress, Egress: n.Egress}, nil
	}
	for _, a := range []struct {
		key string
		to  *uint64
	}{{netsetup.AnnotationIngress, &b.Ingress}, {netsetup.AnnotationEgress, &b.Egress}} {
		if v := s.Metadata.Annotations[a.key]; v != "" {
			if *a.to, err = netsetup.ParseRate(v); err != nil {
				return b, fmt.Errorf("%s: %s: %w", a.key, quoteShort(v), err)
			}
		}
	}
	return b, nil
}
