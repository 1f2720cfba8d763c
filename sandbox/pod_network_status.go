package sandbox

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/podrt/podrt/netsetup"
	"github.com/podrt/podrt/nsenter"
)

// networkStatus is what the record says of the pod's network.
func (p *Pod) networkStatus() NetworkStatus {
	st := NetworkStatus{Mode: p.rec.Spec.Network.Mode, PodUID: p.rec.JoinsNet}
	if n := p.rec.Network; n != nil {
		st.Driver, st.Interface = driverBridge, n.Interface
		if n.CNI {
			st.Driver = driverCNI
		}
	}
	return st
}

// Inspect is Status with what is in the pod's network namespace, and the rules
// that lead to it.
func (p *Pod) Inspect() (*PodStatus, error) {
	st, err := p.Status()
	if err != nil || st.Phase == PhaseCreating || st.Phase == PhaseDead {
		return st, err
	}
	look, err := p.lookAtNetwork()
	if err != nil {
		return st, err
	}
	st.Network.Links, st.Network.Routes = look.Links, look.Routes
	if n := p.rec.Network; n != nil && !n.CNI {
		nets, err := p.store.networks()
		if err != nil {
			return st, err
		}
		st.Network.Rules, err = nets.Rules(p.UID())
		if err != nil {
			return st, fmt.Errorf("read network rules of pod %q: %w", p.Name(), err)
		}
	}
	return st, nil
}

// CheckNetwork verifies that the pod is attached to its network as it was made to
// be: by CNI's CHECK, or that eth0 has its addresses and routes, and the host its
// part of both network and pod. A pod without a network is not.
func (p *Pod) CheckNetwork(ctx context.Context) error {
	n := p.rec.Network
	if n == nil {
		return fmt.Errorf("pod %q is in no network: its network.mode is %q", p.Name(), p.rec.Spec.Network.Mode)
	}
	if err := p.verify(); err != nil {
		return err
	}
	if n.CNI {
		if err := p.store.cni().Check(ctx, p.UID()); err != nil {
			return fmt.Errorf("pod %q: %w", p.Name(), err)
		}
		return nil
	}
	in, err := p.lookAtNetwork()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(in.Links, func(l netsetup.Link) bool { return l.Name == n.Interface.Name })
	if i < 0 || !in.Links[i].Up {
		return fmt.Errorf("pod %q: link %q is missing or down", p.Name(), n.Interface.Name)
	}
	for _, a := range n.Interface.Addresses {
		if !slices.Contains(in.Links[i].Addresses, a) {
			return fmt.Errorf("pod %q: link %q has no address %s any more", p.Name(), n.Interface.Name, a)
		}
	}
	for _, g := range n.Interface.Gateways {
		if !slices.ContainsFunc(in.Routes, func(r netsetup.Route) bool { return r.Destination.Bits() == 0 && r.Gateway == g }) {
			return fmt.Errorf("pod %q: no default route by %s any more", p.Name(), g)
		}
	}
	nets, err := p.store.networks()
	if err != nil {
		return err
	}
	if err := nets.Verify(p.UID(), n.Interface); err != nil {
		return fmt.Errorf("pod %q: %w", p.Name(), err)
	}
	return nil
}

// lookAtNetwork reads the links and routes of the pod's network namespace; of a
// pod without one, nothing.
func (p *Pod) lookAtNetwork() (*netsetup.Inside, error) {
	in := &netsetup.Inside{}
	return in, p.visitNet(func(path string) (err error) {
		in, err = netsetup.Look(path)
		return err
	})
}

// visitNet calls look with a path of the pod's network namespace, which is
// verified to be what was pinned.
func (p *Pod) visitNet(look func(path string) error) error {
	pin, ok := p.pin(nsenter.Net)
	if !ok {
		return nil
	}
	ns, err := pin.Open()
	if err != nil {
		return fmt.Errorf("pod %q: %w", p.Name(), err)
	}
	defer ns.Close()
	if err := look("/proc/self/fd/" + strconv.Itoa(int(ns.Fd()))); err != nil {
		return fmt.Errorf("look at network of pod %q: %w", p.Name(), err)
	}
	return nil
}
