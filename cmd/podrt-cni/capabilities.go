package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/containernetworking/cni/libcni"

	"github.com/podrt/podrt/netsetup"
)

// burst is how many bits may pass at once before a limit of bandwidth holds: as
// Kubernetes' runtimes have it, the most that the plugin takes.
const burst = 1<<31 - 1

// The values of capabilities, as https://www.cni.dev/docs/conventions has them.
type (
	portMapping struct {
		HostPort      uint16 `json:"hostPort"`
		ContainerPort uint16 `json:"containerPort"`
		Protocol      string `json:"protocol"`
		HostIP        string `json:"hostIP,omitempty"`
	}
	bandwidth struct {
		IngressRate  uint64 `json:"ingressRate,omitempty"` // bits per second
		IngressBurst uint64 `json:"ingressBurst,omitempty"`
		EgressRate   uint64 `json:"egressRate,omitempty"`
		EgressBurst  uint64 `json:"egressBurst,omitempty"`
	}
	dns struct {
		Servers  []string `json:"servers,omitempty"`
		Searches []string `json:"searches,omitempty"`
		Options  []string `json:"options,omitempty"`
	}
)

// capabilities returns what at least one plugin of the list declares, sorted.
func capabilities(list *libcni.NetworkConfigList) []string {
	all := []string{}
	for _, p := range list.Plugins {
		for name, has := range p.Network.Capabilities {
			if has {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// capabilityArgs returns what plugins are told that declare the capability. What
// none declares is an error, but for "dns": a pod's resolv.conf is podrt's.
func capabilityArgs(list *libcni.NetworkConfigList, a netsetup.CNIAttach) (map[string]any, error) {
	args := map[string]any{}
	if len(a.Ports) > 0 {
		args["portMappings"] = portMappings(a.Ports)
	}
	if b := a.Bandwidth; b != (netsetup.Bandwidth{}) {
		value := bandwidth{IngressRate: b.Ingress, EgressRate: b.Egress}
		if b.Ingress > 0 {
			value.IngressBurst = burst
		}
		if b.Egress > 0 {
			value.EgressBurst = burst
		}
		args["bandwidth"] = value
	}
	if len(a.IPs) > 0 {
		args["ips"] = a.IPs
	}
	if a.MAC != "" {
		args["mac"] = a.MAC
	}
	declared := capabilities(list)
	var errs []error
	for _, wish := range []struct{ capability, what string }{
		{"portMappings", "publish ports"},
		{"bandwidth", "limit bandwidth"},
		{"ips", "give a wanted IP address"},
		{"mac", "give a wanted MAC address"},
	} {
		if args[wish.capability] != nil && !slices.Contains(declared, wish.capability) {
			errs = append(errs, fmt.Errorf("CNI network %q cannot %s: none of its plugins declares the capability %q: %w",
				list.Name, wish.what, wish.capability, errors.ErrUnsupported))
		}
	}
	if d := a.DNS; len(d.Servers)+len(d.Searches)+len(d.Options) > 0 {
		args["dns"] = dns{Servers: d.Servers, Searches: d.Searches, Options: d.Options}
	}
	return args, errors.Join(errs...)
}

func portMappings(ports []netsetup.Port) []portMapping {
	mappings := make([]portMapping, len(ports))
	for i, p := range ports {
		mappings[i] = portMapping{HostPort: p.HostPort, ContainerPort: p.ContainerPort, Protocol: string(p.Protocol)}
		if p.HostIP.IsValid() {
			mappings[i].HostIP = p.HostIP.String()
		}
	}
	return mappings
}

// cniArgs are CNI_ARGS, as Kubernetes' runtimes have them.
func cniArgs(a netsetup.CNIAttach) [][2]string {
	return [][2]string{
		{"IgnoreUnknown", "1"},
		{"K8S_POD_NAMESPACE", a.Namespace},
		{"K8S_POD_NAME", a.Name},
		{"K8S_POD_INFRA_CONTAINER_ID", a.UID},
		{"K8S_POD_UID", a.UID},
	}
}
