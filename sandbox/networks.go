package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/netsetup"
)

// Errors about networks that callers act on.
var (
	ErrNoNetwork     = netsetup.ErrNoNetwork
	ErrNetworkExists = netsetup.ErrNetworkExists
)

// networks are podrt's own networks.
func (s *Store) networks() (*netsetup.Networks, error) {
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	return &netsetup.Networks{
		Config: filepath.Join(s.libRoot(), "networks"),
		Run:    filepath.Join(s.runRoot(), "networks"),
		BootID: boot,
		Live:   s.live,
	}, nil
}

// Drivers of networks.
const (
	driverBridge = "bridge" // podrt's own
	driverCNI    = "cni"
)

// NetworkInfo is a network of this host and who is in it.
type NetworkInfo struct {
	Name   string               `json:"name"`
	Driver string               `json:"driver"` // bridge, or cni
	Bridge *netsetup.Network    `json:"bridge,omitempty"`
	CNI    *netsetup.CNINetwork `json:"cni,omitempty"`
	Pods   []NetworkPod         `json:"pods"`
	// NotReady is why the plugins of a CNI configuration can attach no pod; only of
	// InspectNetwork.
	NotReady string `json:"notReady,omitempty"`
	// BlockedBy are chains of other programs' firewalls that drop what they do
	// not know; only of InspectNetwork.
	BlockedBy []string `json:"blockedBy,omitempty"`
}

// NetworkPod is a pod of a network.
type NetworkPod struct {
	UID       string       `json:"uid"`
	Name      string       `json:"name"`
	Addresses []netip.Addr `json:"addresses"`
}

// SubnetList returns the subnets of a bridge network.
func (n *NetworkInfo) SubnetList() []string {
	var out []string
	if n.Bridge != nil {
		for _, s := range n.Bridge.Subnets {
			out = append(out, s.Subnet.String())
		}
	}
	return out
}

// CreateNetwork defines a bridge network.
func (s *Store) CreateNetwork(o NetworkOptions) (*netsetup.Network, error) {
	opts, err := o.parse()
	if err != nil {
		return nil, fmt.Errorf("network %q: %w", o.Name, err)
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	nets, err := s.networks()
	if err != nil {
		return nil, err
	}
	return nets.Create(opts)
}

// OwnNetworks returns podrt's networks that can be read, without who is in them.
func (s *Store) OwnNetworks() []*NetworkInfo {
	nets, err := s.networks()
	if err != nil {
		return nil
	}
	list, _ := nets.List()
	out := make([]*NetworkInfo, len(list))
	for i, n := range list {
		out[i] = bridgeInfo(n, nil)
	}
	return out
}

// ListNetworks returns podrt's networks, then those of CNI configurations that no
// network of podrt hides. What cannot be read comes back as an error beside the
// others.
func (s *Store) ListNetworks(ctx context.Context) ([]*NetworkInfo, error) {
	nets, err := s.networks()
	if err != nil {
		return nil, err
	}
	pods, podsErr := s.Pods()
	own, err := nets.List()
	out := []*NetworkInfo{}
	hidden := make(map[string]bool, len(own))
	for _, n := range own {
		out = append(out, bridgeInfo(n, pods))
		hidden[n.Name] = true
	}
	cni, cniErr := s.cni().List(ctx)
	for i := range cni {
		if !hidden[cni[i].Name] {
			out = append(out, cniInfo(&cni[i], pods))
		}
	}
	return out, errors.Join(podsErr, err, cniErr)
}

// InspectNetwork returns the network of that name.
func (s *Store) InspectNetwork(ctx context.Context, name string) (*NetworkInfo, error) {
	nets, err := s.networks()
	if err != nil {
		return nil, err
	}
	pods, podsErr := s.Pods()
	n, err := nets.Get(name)
	if err == nil {
		info := bridgeInfo(n, pods)
		var fwErr error
		info.BlockedBy, fwErr = netsetup.BlockedBy()
		return info, errors.Join(podsErr, fwErr)
	}
	if !errors.Is(err, ErrNoNetwork) {
		return nil, err
	}
	c, cniErr := s.cni().Find(ctx, name)
	switch {
	case errors.Is(cniErr, fs.ErrNotExist):
		return nil, err
	case cniErr != nil:
		return nil, fmt.Errorf("network %q: %w", name, cniErr)
	}
	info := cniInfo(c, pods)
	if err := s.cni().Status(ctx, name); err != nil {
		info.NotReady = err.Error()
	}
	return info, podsErr
}

func bridgeInfo(n *netsetup.Network, pods []*Pod) *NetworkInfo {
	return &NetworkInfo{Name: n.Name, Driver: driverBridge, Bridge: n, Pods: podsIn(pods, n.Name, false)}
}

func cniInfo(n *netsetup.CNINetwork, pods []*Pod) *NetworkInfo {
	return &NetworkInfo{Name: n.Name, Driver: driverCNI, CNI: n, Pods: podsIn(pods, n.Name, true)}
}

// podsIn lists the pods that have a place in a network.
func podsIn(pods []*Pod, network string, cni bool) []NetworkPod {
	out := []NetworkPod{}
	for _, p := range pods {
		if n := p.rec.Network; n == nil || n.CNI != cni || p.rec.Spec.Network.Mode != network {
			continue
		}
		np := NetworkPod{UID: p.UID(), Name: p.Name(), Addresses: []netip.Addr{}}
		if i := p.rec.Network.Interface; i != nil {
			for _, a := range i.Addresses {
				np.Addresses = append(np.Addresses, a.Addr())
			}
		}
		out = append(out, np)
	}
	return out
}

// RemoveNetwork removes a network that no pod is in.
func (s *Store) RemoveNetwork(name string) error {
	nets, err := s.networks()
	if err != nil {
		return err
	}
	if err := s.namePods(nets.Remove(name)); err != nil {
		return fmt.Errorf("remove network: %w", err)
	}
	return nil
}

// PruneNetworks removes podrt's networks that no pod is in, and what pods that
// are gone hold in those that stay. It returns the names of the former. The plugins
// of the CNI networks named give back all that is not podrt's (GC of CNI 1.1).
func (s *Store) PruneNetworks(ctx context.Context, cniGC ...string) ([]string, error) {
	nets, err := s.networks()
	if err != nil {
		return nil, err
	}
	all, err := nets.List()
	errs := []error{err, nets.Sweep(), s.collectCNI(ctx, cniGC...)}
	var names []string
	for _, n := range all {
		err := nets.Remove(n.Name)
		var used *netsetup.InUseError
		switch {
		case err == nil:
			names = append(names, n.Name)
		case !errors.As(err, &used):
			errs = append(errs, err)
		}
	}
	return names, errors.Join(errs...)
}

// ReloadNetworks puts back the rules that podrt's networks need, and writes the
// files of their pods anew: with the host's DNS servers of now.
func (s *Store) ReloadNetworks(ctx context.Context) error {
	nets, err := s.networks()
	if err != nil {
		return err
	}
	errs := []error{nets.Reload()}
	pods, err := s.Pods()
	errs = append(errs, err)
	// Who has joined a pod's network has copies of its files.
	for _, joined := range []bool{false, true} {
		for _, p := range pods {
			if joined == (p.rec.JoinsNet != "") && (joined || p.rec.Network != nil) {
				errs = append(errs, p.reloadFiles(ctx))
			}
		}
	}
	// Once for each network, not for each pod: it is about all pods of it.
	told := map[string]bool{}
	for _, p := range pods {
		if n := p.rec.Network; n != nil && n.Names && !told[p.rec.Spec.Network.Mode] {
			told[p.rec.Spec.Network.Mode] = true
			errs = append(errs, s.tellNames(nets, p.rec.Spec.Network.Mode, everybody))
		}
	}
	return errors.Join(errs...)
}

// reloadFiles writes the files of a pod anew, but for the names of other pods, if it
// is complete and still there.
func (p *Pod) reloadFiles(ctx context.Context) error {
	lock, err := p.lock(ctx, unix.LOCK_EX)
	if errors.Is(err, ErrPodNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	if !p.rec.Ready {
		return nil
	}
	files, err := p.files()
	if err == nil {
		err = netsetup.WriteFiles(p.filesDir(), files)
	}
	if err != nil {
		return fmt.Errorf("pod %q: %w", p.Name(), err)
	}
	return nil
}
