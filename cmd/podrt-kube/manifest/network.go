package manifest

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/podrt/podrt/sandbox"
)

// clusterDomain is what follows the namespace in the name of a pod with a subdomain:
// the kubelet's default.
const clusterDomain = "cluster.local"

// network says which network the pod has, what it is called there, and where it
// looks names up.
func (c *compiler) network() {
	s, out := &c.pod.Spec, c.out.Spec
	out.Network.Mode = "bridge"
	if s.HostNetwork {
		out.Network.Mode = "host"
	} else {
		c.ports()
		c.hostname()
	}
	c.dns()
	for _, a := range s.HostAliases {
		out.HostAliases = append(out.HostAliases, sandbox.HostAlias{IP: a.IP, Hostnames: a.Hostnames})
	}
}

// ports publishes those with a hostPort. An init container often has those of the
// container that it prepares.
func (c *compiler) ports() {
	eachContainer(&c.pod.Spec, func(_ string, k *corev1.Container, init bool) {
		if init && !sidecar(k) {
			return // the kubelet publishes those of what stays
		}
		for _, p := range k.Ports {
			if p.HostPort == 0 {
				continue
			}
			c.out.Spec.Network.Ports = append(c.out.Spec.Network.Ports, sandbox.PodPort{
				HostIP: p.HostIP, HostPort: uint16(p.HostPort), ContainerPort: uint16(p.ContainerPort),
				Protocol: strings.ToLower(string(p.Protocol)),
			})
		}
	})
}

// hostname is the kubelet's GeneratePodHostNameAndDomain: the name that the pod has
// for itself, and the domain with which /etc/hosts has it as well.
func (c *compiler) hostname() {
	s, out := &c.pod.Spec, c.out.Spec
	if o := s.HostnameOverride; o != nil && *o != "" {
		out.Hostname = *o
		return
	}
	name := s.Hostname
	if name == "" {
		name = strings.TrimRight(c.pod.Name[:min(len(c.pod.Name), 63)], "-.")
	}
	domain := ""
	if s.Subdomain != "" {
		domain = s.Subdomain + "." + c.pod.Namespace + ".svc." + clusterDomain
	}
	switch fqdn := name + "." + domain; {
	case domain == "" || !on(s.SetHostnameAsFQDN):
		out.Hostname, out.Domainname = name, domain
	case len(fqdn) > 64:
		c.addf("spec.setHostnameAsFQDN", "true: %q is longer than a host name's 64 bytes", fqdn)
	default:
		out.Hostname = fqdn
	}
}

// dns is the kubelet's GetPodDNS without a cluster's DNS. A list that is left out
// is the host's.
func (c *compiler) dns() {
	s, out := &c.pod.Spec, &c.out.Spec.DNS
	config := s.DNSConfig
	if config == nil {
		config = &corev1.PodDNSConfig{}
	}
	base := c.host.DNS
	if s.HostNetwork {
		base = c.host.HostDNS
	}
	none := s.DNSPolicy == corev1.DNSNone
	if none {
		// So that the host's lists do not come in place of empty ones: no search,
		// and what is the default anyway (resolv.conf(5)).
		base = sandbox.PodDNS{}
		out.Searches, out.Options = []string{"."}, []string{"ndots:1"}
	}
	if len(config.Nameservers) > 0 {
		out.Servers = merge(base.Servers, config.Nameservers)
	}
	if len(config.Searches) > 0 {
		out.Searches = merge(base.Searches, config.Searches)
	}
	if len(config.Options) > 0 {
		out.Options = mergeOptions(base.Options, config.Options)
	}
	// As the kubelet cuts them off, but said.
	if n := len(out.Servers); n > 3 {
		c.addf("spec.dnsConfig.nameservers", "%d with the host's: resolvers use 3 at most", n)
	}
}

// merge appends what is not there.
func merge(base, more []string) []string {
	out := slices.Clone(base)
	for _, s := range more {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// mergeOptions has later values of an option replace earlier ones.
func mergeOptions(base []string, more []corev1.PodDNSConfigOption) []string {
	out := slices.Clone(base)
	for _, o := range more {
		name := o.Name
		out = slices.DeleteFunc(out, func(s string) bool {
			have, _, _ := strings.Cut(s, ":")
			return have == name
		})
		if o.Value != nil && *o.Value != "" {
			name += ":" + *o.Value
		}
		out = append(out, name)
	}
	return out
}
