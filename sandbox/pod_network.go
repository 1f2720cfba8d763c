package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/netsetup"
	"github.com/podrt/podrt/nsenter"
)

// networkRecord is a pod's place in a network: that it has one is known before
// it is made.
type networkRecord struct {
	CNI       bool                `json:"cni,omitempty"`       // made by the plugins of a CNI configuration; else by podrt
	Names     bool                `json:"names,omitempty"`     // pods of the network find each other by name
	Interface *netsetup.Interface `json:"interface,omitempty"` // as it was made
	DNS       netsetup.DNS        `json:"dns,omitzero"`        // that the plugins report
}

// planNetwork checks what the pod says of its network against this host. Nothing
// is made yet.
func (p *Pod) planNetwork(ctx context.Context) error {
	spec := p.rec.Spec
	mode, err := netsetup.ParseMode(spec.Network.Mode)
	if err != nil {
		return err
	}
	switch mode.Kind {
	case netsetup.Container:
		return p.planJoin(mode.Pod)
	case netsetup.Path:
		return checkNetns(mode.Path)
	case netsetup.Named:
		return p.planAttach(ctx, mode.Network)
	}
	return nil
}

// planJoin finds the pod whose network is joined.
func (p *Pod) planJoin(ref string) error {
	target, err := p.store.Pod(ref)
	if err != nil {
		return fmt.Errorf("join network of pod %q: %w", ref, err)
	}
	if err := target.verify(); err != nil {
		return fmt.Errorf("join network: %w", err)
	}
	if target.rec.Engine != nil {
		return fmt.Errorf("join network of pod %q: %w", target.Name(), target.engineOnly())
	}
	if _, ok := target.pin(nsenter.Net); !ok {
		return fmt.Errorf("join network of pod %q: it uses the host's network and has none of its own", ref)
	}
	p.rec.JoinsNet = target.UID()
	return nil
}

// checkNetns refuses a path that no network namespace is at.
func checkNetns(path string) error {
	fd, err := ignoreEINTR(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0) })
	if err != nil {
		return fmt.Errorf("join network namespace %q: %w", path, err)
	}
	defer unix.Close(fd)
	// ioctl_nsfs(2), Linux 4.11.
	kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE)
	if err != nil || kind != unix.CLONE_NEWNET {
		return fmt.Errorf("join network namespace %q: it is no network namespace", path)
	}
	return nil
}

// planAttach finds the network that the pod is to have a place in: one of
// podrt's, else one of a CNI configuration.
func (p *Pod) planAttach(ctx context.Context, name string) error {
	p.rec.Network = &networkRecord{}
	a, err := p.attachment()
	if err != nil {
		return err
	}
	nets, err := p.store.networks()
	if err != nil {
		return err
	}
	a.Network, err = nets.Get(name)
	switch {
	case err == nil:
		return a.Check()
	case !errors.Is(err, ErrNoNetwork):
		return err
	case name == netsetup.DefaultNetwork:
		return nil // made when it is needed
	}
	_, cniErr := p.store.cni().Find(ctx, name)
	switch {
	case errors.Is(cniErr, fs.ErrNotExist):
		return fmt.Errorf("%w, and no CNI configuration has that name", err)
	case cniErr != nil:
		return cniErr
	}
	p.rec.Network.CNI = true
	return nil
}

// attachment is what the pod wants of its network.
func (p *Pod) attachment() (*netsetup.Attach, error) {
	n := &p.rec.Spec.Network
	a := &netsetup.Attach{UID: p.UID(), Names: p.networkNames(), Netns: filepath.Join(p.nsDir(), string(nsenter.Net))}
	for _, ip := range n.IPs {
		addr, err := netip.ParseAddr(ip)
		if err != nil {
			return nil, fmt.Errorf("network.ips: %w", err)
		}
		a.IPs = append(a.IPs, addr)
	}
	if n.MAC != "" {
		mac, err := net.ParseMAC(n.MAC)
		if err != nil {
			return nil, fmt.Errorf("network.mac: %w", err)
		}
		a.MAC = mac.String()
	}
	for i := range n.Ports {
		port, err := n.Ports[i].port()
		if err != nil {
			return nil, fmt.Errorf("network.ports[%d].%w", i, err)
		}
		a.Ports = append(a.Ports, port)
	}
	var err error
	a.Bandwidth, err = p.rec.Spec.bandwidth()
	return a, err
}

// networkNames are the names by which other pods of the network find this one.
func (p *Pod) networkNames() []string {
	names := []string{netsetup.Hostname(p.Name())}
	if h := p.rec.Spec.Hostname; h != "" && h != names[0] {
		names = append(names, h)
	}
	return names
}

// attach gives the pod's network namespace its place in the network.
func (p *Pod) attach(ctx context.Context) error {
	if p.rec.Network == nil {
		return nil
	}
	pin, ok := p.pin(nsenter.Net)
	if !ok {
		return errors.New("attach to network: the pod has no network namespace")
	}
	if err := pin.Verify(); err != nil {
		return fmt.Errorf("attach to network: %w", err)
	}
	a, err := p.attachment()
	if err != nil {
		return err
	}
	if p.rec.Network.CNI {
		return p.attachCNI(ctx, a)
	}
	nets, err := p.store.networks()
	if err != nil {
		return err
	}
	return p.store.namePods(p.attachBridge(ctx, nets, a))
}

// attachBridge is attach to a network of podrt's. The default one is made as often
// as somebody removes it meanwhile, up to attachTries.
func (p *Pod) attachBridge(ctx context.Context, nets *netsetup.Networks, a *netsetup.Attach) (err error) {
	const attachTries = 10
	name := p.rec.Spec.Network.Mode
	for range attachTries {
		if name == netsetup.DefaultNetwork {
			a.Network, err = nets.Default()
		} else {
			a.Network, err = nets.Get(name)
		}
		if err == nil {
			p.rec.Network.Names = !a.Network.NoNames
			p.rec.Network.Interface, err = nets.Attach(ctx, a)
		}
		if name != netsetup.DefaultNetwork || !errors.Is(err, ErrNoNetwork) {
			break
		}
	}
	return err
}

// namePods has an error of netsetup's, which knows UIDs, name the pods too.
func (s *Store) namePods(err error) error {
	var (
		address *netsetup.AddressTakenError
		port    *netsetup.PortTakenError
		used    *netsetup.InUseError
		uids    []string
	)
	switch {
	case errors.As(err, &address):
		uids = []string{address.UID}
	case errors.As(err, &port) && port.UID != "":
		uids = []string{port.UID}
	case errors.As(err, &used):
		uids = used.UIDs
	}
	var names []string
	for _, uid := range uids {
		if p, loadErr := s.PodByUID(uid); loadErr == nil {
			names = append(names, strconv.Quote(p.Name()))
		}
	}
	if len(names) == 0 {
		return err
	}
	return fmt.Errorf("%w (pod %s)", err, strings.Join(names, ", "))
}

// detach gives up the pod's place in its network; it knows no more than the UID
// of what a killed podrt has made of it.
func (p *Pod) detach(ctx context.Context) error {
	n := p.rec.Network
	if n == nil {
		return nil
	}
	if n.CNI {
		return p.store.cni().Del(ctx, p.UID())
	}
	nets, err := p.store.networks()
	if err != nil {
		return err
	}
	if err := nets.Detach(p.UID()); err != nil {
		return err
	}
	// Of a creation that was killed it is not on record whether it told them.
	if n.Interface != nil && !n.Names {
		return nil
	}
	return p.store.tellNames(nets, p.rec.Spec.Network.Mode, "")
}

// pinForeignNet makes a network namespace that somebody else has made, another
// pod or whoever gave its path, this pod's too.
func (p *Pod) pinForeignNet() error {
	if p.rec.JoinsNet != "" {
		return p.pinJoinedNet()
	}
	mode, err := netsetup.ParseMode(p.rec.Spec.Network.Mode)
	if err != nil || mode.Kind != netsetup.Path {
		return err
	}
	pin, err := nsenter.PinPath(mode.Path, filepath.Join(p.nsDir(), string(nsenter.Net)), nsenter.Net)
	if err != nil {
		return fmt.Errorf("join network namespace %q: %w", mode.Path, err)
	}
	p.rec.Pins = append(p.rec.Pins, pin)
	return nil
}
