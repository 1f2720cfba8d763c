package netsetup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Attachment is what a pod has of a network, as Networks.Run says.
type Attachment struct {
	Network   string
	Names     []string
	Addresses []netip.Addr // IPv4 first; none if it was killed before
	Ports     []Port
	HostLink  string // its name; the link itself is not looked for
}

// Attach gives a pod its interface in a network, all of it or, with an error,
// nothing. The pod exists already by Networks.Live, and nobody else attaches or
// detaches it meanwhile. What an Attach that was killed has left is replaced.
//
// An address or port that another pod has is an [AddressTakenError] or a
// [PortTakenError], a subnet without addresses a [FullError].
func (s *Networks) Attach(ctx context.Context, a *Attach) (_ *Interface, retErr error) {
	mac, err := a.check()
	if err != nil {
		return nil, err
	}
	ns, err := os.Open(a.Netns)
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	defer ns.Close()
	if own, err := isOwnNetns(ns); err != nil || own {
		return nil, errors.Join(err, fmt.Errorf("network namespace %q is the host's or cannot be told from it", a.Netns))
	}
	// What is made is known to be the pod's before it is made.
	if err := s.Detach(a.UID); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	defer func() {
		if retErr != nil {
			retErr = errors.Join(retErr, s.Detach(a.UID))
		}
	}()
	c, err := openRtnl()
	if err != nil {
		return nil, err
	}
	defer c.close()
	p, err := s.reserve(c, a)
	if err != nil {
		return nil, err
	}
	if mac == nil {
		mac = podMAC(p.addrs)
	}
	v := &veth{uid: a.UID, bridge: p.bridge, mtu: p.network.MTU, mac: mac}
	i := &Interface{
		Network: p.network.Name, Name: podLink, HostLink: hostLink(a.UID),
		MAC: mac.String(), MTU: cmp.Or(p.network.MTU, defaultMTU), Ports: p.ports,
	}
	for k, addr := range p.addrs {
		sub := p.network.Subnets[k]
		v.addrs = append(v.addrs, netip.PrefixFrom(addr, sub.Subnet.Bits()))
		if !p.network.Internal {
			v.gateways = append(v.gateways, sub.Gateway)
		}
	}
	i.Addresses, i.Gateways = v.addrs, v.gateways
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := v.make(c, ns, a.Bandwidth); err != nil {
		return nil, fmt.Errorf("network %q: %w", p.network.Name, err)
	}
	return i, nil
}

// Check reports what is wrong with what is asked for, before anything is made.
func (a *Attach) Check() error {
	_, err := a.check()
	return err
}

// check reports what is wrong with a by itself, and returns the MAC address that
// it asks for.
func (a *Attach) check() (mac net.HardwareAddr, err error) {
	if a.Network == nil {
		return nil, errors.New("no network is given")
	}
	if !validPod(a.UID) {
		return nil, fmt.Errorf("pod UID %q: want letters, digits, _ . or -", a.UID)
	}
	for _, name := range a.Names {
		if err := CheckHostname(name); err != nil {
			return nil, err
		}
	}
	if a.MAC != "" {
		if mac, err = parseMAC(a.MAC); err != nil {
			return nil, err
		}
	}
	if len(a.Ports) > 0 && a.Network.Internal {
		return nil, fmt.Errorf("network %q is internal: it publishes no ports", a.Network.Name)
	}
	if err := a.Network.checkIPs(a.IPs); err != nil {
		return nil, err
	}
	return mac, a.Bandwidth.check(a.Network.MTU)
}

// checkIPs reports whether a pod of the network may ask for these addresses.
func (n *Network) checkIPs(ips []netip.Addr) error {
	for i, ip := range ips {
		k := slices.IndexFunc(n.Subnets, func(s Subnet) bool { return s.Subnet.Contains(ip) })
		if k < 0 {
			return fmt.Errorf("network %q: address %s is in none of its subnets", n.Name, ip)
		}
		s := n.Subnets[k]
		if ip == s.Gateway {
			return fmt.Errorf("network %q: address %s is the gateway", n.Name, ip)
		}
		if reason := s.unusable(ip); reason != "" {
			return fmt.Errorf("network %q: address %s %s", n.Name, ip, reason)
		}
		if j := slices.IndexFunc(ips[:i], s.Subnet.Contains); j >= 0 {
			return fmt.Errorf("network %q: addresses %s and %s are of one subnet: a pod has one", n.Name, ips[j], ip)
		}
	}
	return nil
}

// place is what the lock guards of an attachment.
type place struct {
	network *Network // as it is now
	bridge  int      // index
	addrs   []netip.Addr
	ports   []Port
}

// reserve takes addresses and ports for a pod, and makes what the network needs
// of bridge and rules.
func (s *Networks) reserve(c *rtnl, a *Attach) (*place, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	// It may have been removed, and made anew, since the caller looked.
	n, err := s.Get(a.Network.Name)
	if err != nil {
		return nil, err
	}
	if !n.Created.Equal(a.Network.Created) || !slices.Equal(n.Subnets, a.Network.Subnets) {
		return nil, fmt.Errorf("%w: network %q is another one now", ErrNoNetwork, n.Name)
	}
	if err := s.checkBridge(c, n); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(s.Run, "pods"), 0o700); err != nil {
		return nil, fmt.Errorf("network %q: %w", n.Name, err)
	}
	if err := os.Symlink(s.BootID+"/"+n.Name, s.podLink(a.UID)); err != nil {
		return nil, fmt.Errorf("network %q: %w", n.Name, err)
	}
	p := &place{network: n}
	if p.addrs, err = s.lease(a, n); err != nil {
		return nil, err
	}
	if len(a.Ports) > 0 {
		if p.ports, err = s.claimPorts(a.UID, a.Ports); err != nil {
			return nil, err
		}
	}
	if err := s.ensureRules(n); err != nil {
		return nil, err
	}
	if p.bridge, err = s.ensureBridge(c, n); err != nil {
		return nil, err
	}
	if len(p.ports) > 0 {
		err := addPortRules(a.UID, n, p.addrs, p.ports)
		var taken *PortTakenError
		if errors.As(err, &taken) {
			// Whoever gives back a claim removes the rules of the port.
			err = errors.Join(err, s.releasePorts(a.UID))
		}
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

// make makes the veth, configured and up.
func (v *veth) make(c *rtnl, ns *os.File, b Bandwidth) error {
	if err := v.create(c, ns); err != nil {
		return err
	}
	if err := b.limit(c, v.uid, v.mtu); err != nil {
		return err
	}
	if err := v.raise(c); err != nil {
		return err
	}
	return visit(ns, func() error { return v.configure(c) })
}

// Attached returns what a pod has, nil if it has nothing. It takes no lock.
func (s *Networks) Attached(uid string) (*Attachment, error) {
	_, network, err := s.readPod(uid)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a := &Attachment{Network: network, HostLink: hostLink(uid)}
	leases, err := s.leases(network)
	if err != nil {
		return nil, err
	}
	for _, l := range leases {
		if l.uid == uid {
			a.Addresses = append(a.Addresses, l.addr)
			a.Names = l.names
		}
	}
	a.Ports, err = s.portsOf(uid)
	return a, err
}

// podLink is the link that exists as long as a pod may have anything.
func (s *Networks) podLink(uid string) string { return filepath.Join(s.Run, "pods", uid) }

func (s *Networks) readPod(uid string) (o owner, network string, err error) {
	target, err := os.Readlink(s.podLink(uid))
	if err != nil {
		return owner{}, "", err
	}
	boot, network, _ := strings.Cut(target, "/")
	if err := CheckNetworkName(network); err != nil {
		return owner{}, "", fmt.Errorf("%q points to %q: want BOOT/NETWORK: %w", s.podLink(uid), target, err)
	}
	return owner{boot: boot, uid: uid}, network, nil
}

func (s *Networks) withRtnl(f func(c *rtnl) error) error {
	c, err := openRtnl()
	if err != nil {
		return err
	}
	defer c.close()
	return f(c)
}

// isOwnNetns reports whether ns is the network namespace of this process.
func isOwnNetns(ns *os.File) (bool, error) {
	var own, other unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &own); err != nil {
		return false, &os.PathError{Op: "stat", Path: "/proc/self/ns/net", Err: err}
	}
	if err := unix.Fstat(int(ns.Fd()), &other); err != nil {
		return false, &os.PathError{Op: "stat", Path: ns.Name(), Err: err}
	}
	return own.Dev == other.Dev && own.Ino == other.Ino, nil
}
