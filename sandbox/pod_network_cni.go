package sandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/podrt/podrt/netsetup"
)

func (s *Store) cni() *netsetup.CNI {
	return &netsetup.CNI{CacheDir: filepath.Join(s.libRoot(), "cni")}
}

// live reports whether the pod of that UID exists, be it half made or half
// removed.
func (s *Store) live(uid string) bool {
	_, err := os.Lstat(s.podDir(uid))
	return err == nil
}

// collectCNI takes pods out of their networks of CNI that exist no more. There may
// be some of another RunRoot beside the same LibRoot: they have their namespace.
// Plugins of the networks named collect garbage, too.
func (s *Store) collectCNI(ctx context.Context, networks ...string) error {
	cni := s.cni()
	return cni.GC(ctx, func(uid string) bool { return s.live(uid) || cni.HasNetns(uid) }, networks...)
}

// attachCNI is attach by the plugins of a CNI configuration.
func (p *Pod) attachCNI(ctx context.Context, a *netsetup.Attach) error {
	// What pods hold that a reboot has ended may be just what is needed now.
	gcErr := p.store.collectCNI(ctx)
	d := p.rec.Spec.DNS
	iface, dns, err := p.store.cni().Add(ctx, netsetup.CNIAttach{
		UID: p.UID(), Name: p.Name(), Namespace: p.rec.Spec.Metadata.Labels[namespaceLabel],
		Netns: a.Netns, Network: p.rec.Spec.Network.Mode,
		IPs: a.IPs, MAC: a.MAC, Ports: a.Ports, Bandwidth: a.Bandwidth,
		DNS: netsetup.DNS{Servers: d.Servers, Searches: d.Searches, Options: d.Options},
	})
	if err != nil {
		return errors.Join(err, gcErr)
	}
	p.rec.Network.Interface, p.rec.Network.DNS = iface, dns
	return nil
}

// namespaceLabel is the label by which Kubernetes' runtimes know the namespace of
// a pod (k8s.io/kubelet/pkg/types, KubernetesPodNamespaceLabel).
const namespaceLabel = "io.kubernetes.pod.namespace"
