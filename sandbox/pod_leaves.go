package sandbox

import (
	"fmt"
	"os"

	"github.com/podrt/podrt/netsetup"
	"github.com/podrt/podrt/nsenter"
	"github.com/podrt/podrt/rootfs"
)

// What follows hands parts of a PodSpec to the leaves, which know no pods.

func (s *PodSpec) volume(name string) *PodVolume {
	for i := range s.Volumes {
		if s.Volumes[i].Name == name {
			return &s.Volumes[i]
		}
	}
	return nil
}

func (v *PodVolume) volume() rootfs.Volume {
	out := rootfs.Volume{Name: v.Name}
	if e := v.EmptyDir; e != nil {
		out.EmptyDir = &rootfs.EmptyDir{Medium: e.Medium, SizeLimit: e.SizeLimit, GID: e.GID}
	}
	if h := v.HostPath; h != nil {
		out.HostPath = &rootfs.HostPath{Path: h.Path, Type: h.Type}
	}
	return out
}

func (p *Pod) files() (netsetup.Files, error) {
	spec := p.rec.Spec
	mode, err := netsetup.ParseMode(spec.Network.Mode)
	if err != nil {
		return netsetup.Files{}, err
	}
	f := netsetup.Files{
		Mode: mode, Hostname: spec.Hostname, Domainname: spec.Domainname,
		DNS: netsetup.DNS{Servers: spec.DNS.Servers, Searches: spec.DNS.Searches, Options: spec.DNS.Options},
	}
	p.rec.Network.describe(&f)
	for _, a := range spec.HostAliases {
		f.HostAliases = append(f.HostAliases, netsetup.HostAlias{IP: a.IP, Hostnames: a.Hostnames})
	}
	if p.usesHost(nsenter.UTS) {
		if f.Hostname, err = os.Hostname(); err != nil {
			return f, fmt.Errorf("read host name: %w", err)
		}
	}
	if p.rec.JoinsNet != "" {
		target, err := p.store.PodByUID(p.rec.JoinsNet)
		if err != nil {
			return f, fmt.Errorf("join network: %w", err)
		}
		f.PodDir = target.filesDir()
		target.rec.Network.describe(&f)
	}
	return f, nil
}

// describe adds to a pod's files what its place in a network means for them.
func (n *networkRecord) describe(f *netsetup.Files) {
	if n == nil || n.Interface == nil {
		return
	}
	for _, a := range n.Interface.Addresses {
		f.Addresses = append(f.Addresses, a.Addr())
	}
	f.Names = n.Names
	f.NetworkDNS = n.DNS
}
