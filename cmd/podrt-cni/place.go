package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/podrt/podrt/netsetup"
)

// newPlace returns where a pod is by what the plugins answered to ADD. The MTU, which
// answers have since 1.1, and the MAC address, which they may leave out, are the
// interface's.
func newPlace(i *intent, answered types.Result) (place, error) {
	result, err := current.NewResultFromResult(answered)
	if err != nil {
		return place{}, err
	}
	if len(result.Interfaces) == 0 && len(result.IPs) == 0 {
		return place{}, errors.New("the plugins succeeded, and named neither an interface nor an address")
	}
	p := place{link: &netsetup.Interface{Network: i.Attach.Network, Name: ifName, Ports: i.Attach.Ports}}
	index := podInterface(result.Interfaces)
	if index >= 0 {
		p.link.Name = result.Interfaces[index].Name
		// The other end of a pair is what plugins name before it.
		if index > 0 && result.Interfaces[index-1] != nil && result.Interfaces[index-1].Sandbox == "" {
			p.link.HostLink = result.Interfaces[index-1].Name
		}
	}
	if p.link.Addresses, err = addresses(result, index); err != nil {
		return place{}, err
	}
	p.link.Gateways = gateways(result)
	if p.dns, err = nameServers(result.DNS); err != nil {
		return place{}, err
	}
	var made *net.Interface
	err = inNetns(i.Attach.Netns, func() error {
		made, err = net.InterfaceByName(p.link.Name)
		return err
	})
	if err != nil {
		return place{}, fmt.Errorf("the plugins succeeded, and made no interface: %w", err)
	}
	p.link.MAC, p.link.MTU = made.HardwareAddr.String(), made.MTU
	return p, nil
}

// podInterface returns the index of the pod's interface, -1 if plugins tell none:
// eth0, or the only sort that there is.
func podInterface(all []*current.Interface) int {
	inPod := func(l *current.Interface) bool { return l != nil && l.Sandbox != "" }
	if n := slices.IndexFunc(all, func(l *current.Interface) bool { return inPod(l) && l.Name == ifName }); n >= 0 {
		return n
	}
	return slices.IndexFunc(all, inPod)
}

// addresses returns those of the interface with that index, and of none.
func addresses(result *current.Result, index int) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, ip := range result.IPs {
		if ip == nil || ip.Interface != nil && *ip.Interface != index {
			continue
		}
		prefix, err := netip.ParsePrefix(ip.Address.String())
		if err != nil {
			return nil, fmt.Errorf("address %q in the result of the plugins: %w", ip.Address.String(), err)
		}
		all = append(all, prefix)
	}
	return all, nil
}

// gateways returns those of the default routes: their own, or that of the address
// of their family.
func gateways(result *current.Result) []netip.Addr {
	var all []netip.Addr
	for _, r := range result.Routes {
		if r == nil {
			continue
		}
		if ones, _ := r.Dst.Mask.Size(); ones != 0 {
			continue
		}
		via := r.GW
		is4 := r.Dst.IP.To4() != nil
		for _, ip := range result.IPs {
			if ip != nil && via == nil && is4 == (ip.Address.IP.To4() != nil) {
				via = ip.Gateway
			}
		}
		if gateway, ok := netip.AddrFromSlice(via); ok && !slices.Contains(all, gateway.Unmap()) {
			all = append(all, gateway.Unmap())
		}
	}
	return all
}

// maxServers is how many servers resolvers use.
const maxServers = 3

func nameServers(said types.DNS) (netsetup.DNS, error) {
	d := netsetup.DNS{Servers: said.Nameservers, Searches: said.Search, Options: said.Options}
	d.Servers = d.Servers[:min(len(d.Servers), maxServers)]
	if len(d.Searches) == 0 && said.Domain != "" {
		d.Searches = []string{said.Domain}
	}
	if err := d.Check(); err != nil {
		return netsetup.DNS{}, fmt.Errorf("result of the plugins: %w", err)
	}
	return d, nil
}
