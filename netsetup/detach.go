package netsetup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"
)

// Detach takes all that Attach gives a pod. A pod that has nothing is none that
// fails: that costs one system call. What failed can be tried again, and the
// addresses are the pod's until all else is gone.
func (s *Networks) Detach(uid string) error {
	if !validPod(uid) {
		return fmt.Errorf("pod UID %q: want letters, digits, _ . or -", uid)
	}
	o, network, err := s.readPod(uid)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	gone := false
	if err == nil {
		gone, err = s.detachLast(o, network)
	}
	if err == nil && !gone {
		err = s.detachOne(o, network)
	}
	if err != nil {
		return fmt.Errorf("detach pod %s: %w", uid, err)
	}
	return nil
}

// detachOne detaches a pod that has others in its network.
func (s *Networks) detachOne(o owner, network string) error {
	// Links and rules take the kernel milliseconds each, most of it waiting, and
	// links are taken without the lock.
	links := make(chan error, 1)
	go func() {
		if o.boot != s.BootID {
			links <- nil
			return
		}
		links <- s.removeLinks(o.uid)
	}()
	err := s.unpublish(o.uid)
	if err := errors.Join(<-links, err); err != nil {
		return err // the address is not another's while something still leads to it
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return s.giveBack(o.uid, network)
}

// detachLast detaches a pod without others in its network, and takes what the
// network has of the kernel with what the pod has. Gone reports that it was one.
func (s *Networks) detachLast(o owner, network string) (gone bool, err error) {
	if o.boot != s.BootID {
		return false, nil
	}
	// Most pods are not, which is seen without the lock.
	if alone, err := s.alone(o.uid, network); err != nil || !alone {
		return false, err
	}
	unlock, err := s.lock()
	if err != nil {
		return false, err
	}
	defer unlock()
	if alone, err := s.alone(o.uid, network); err != nil || !alone {
		return false, err
	}
	foreign, err := s.removeKernel(s.known(network), o.uid)
	if err != nil || foreign {
		return false, err
	}
	if err := s.releasePorts(o.uid); err != nil {
		return false, err
	}
	if _, err := s.releaseLeases(network, o.uid); err != nil {
		return false, err
	}
	return true, s.forgetPod(o.uid)
}

// alone reports whether no other pod has a lease in the network.
func (s *Networks) alone(uid, network string) (bool, error) {
	for l, err := range s.eachLease(network) {
		if err != nil || l.uid != uid {
			return false, err
		}
	}
	return true, nil
}

// unpublish takes what a pod has of ports, if it has any. All pods' claims are in
// one directory: it is read once for a pod without.
func (s *Networks) unpublish(uid string) error {
	claims, err := s.claims()
	if err != nil || !slices.ContainsFunc(claims, func(c claim) bool { return c.uid == uid }) {
		return err
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return s.giveBackPorts(uid)
}

// giveBackPorts takes the rules of a pod's ports, and then its claims. The lock is
// held.
func (s *Networks) giveBackPorts(uid string) error {
	if err := s.removePortRules(uid); err != nil {
		return err
	}
	return s.releasePorts(uid)
}

// giveBack takes a pod's leases, and with the last one bridge and rules of the
// network. The lock is held, and the pod has neither links nor ports.
func (s *Networks) giveBack(uid, network string) error {
	others, err := s.releaseLeases(network, uid)
	if err != nil {
		return err
	}
	if !others {
		if _, err := s.removeKernel(s.known(network), ""); err != nil {
			return err
		}
	}
	return s.forgetPod(uid)
}

// forgetPod takes the link by which a pod that has nothing more is found.
func (s *Networks) forgetPod(uid string) error {
	if err := os.Remove(s.podLink(uid)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// known returns a network as far as its definition, which somebody may have removed
// or damaged, says what it is. The name is enough to find the bridge, and the bridge
// to find the rules.
func (s *Networks) known(network string) *Network {
	n, err := s.Get(network)
	if err != nil {
		return &Network{Name: network, Bridge: bridgeName(network, nil)}
	}
	return n
}

// removeKernel removes bridge and rules of a network that has no pod but one of that
// UID, whose links and port rules go with them; "" is none. The claims remain. Where
// the link of the bridge's name is another's, the rules are, too: nothing is done,
// and foreign reports it. The lock is held.
func (s *Networks) removeKernel(n *Network, uid string) (foreign bool, err error) {
	last, err := s.lastNetwork(n)
	if err != nil {
		return false, err
	}
	pod := published{UID: uid}
	var links []netlink.Link
	c, err := openRtnl()
	if err != nil {
		return false, err
	}
	defer c.close()
	if uid != "" {
		if pod.Ports, err = s.portsOf(uid); err != nil {
			return false, err
		}
		if links, err = c.podLinks(uid); err != nil {
			return false, err
		}
	}
	bridge, err := c.link(n.Bridge)
	switch {
	case errors.Is(err, errNoLink):
	case err != nil:
		return false, fmt.Errorf("network %q: %w", n.Name, err)
	case !s.isOurs(bridge, n):
		return true, nil
	default:
		links = append([]netlink.Link{bridge}, links...)
	}
	remove, err := c.lower(links...)
	if err != nil {
		return false, fmt.Errorf("network %q: %w", n.Name, err)
	}
	// As long as there is a bridge that is up its rules protect the host: from now on
	// it is not, until an Attach has made them again. The kernel takes its time for
	// links and rules, most of it waiting.
	gone := make(chan error, 1)
	go func() { gone <- remove() }()
	err = removeNetworkRules(n, last, pod)
	if goneErr := <-gone; goneErr != nil {
		err = errors.Join(fmt.Errorf("network %q: %w", n.Name, goneErr), err)
	}
	return false, err
}

// lastNetwork reports whether no network but n has leases.
func (s *Networks) lastNetwork(n *Network) (bool, error) {
	networks, err := readNames(filepath.Join(s.Run, "leases"))
	if err != nil {
		return false, fmt.Errorf("network %q: %w", n.Name, err)
	}
	for _, other := range networks {
		if other == n.Name {
			continue
		}
		names, err := readNames(s.leaseDir(other))
		if err != nil {
			return false, fmt.Errorf("network %q: %w", n.Name, err)
		}
		if slices.ContainsFunc(names, func(name string) bool { return name[0] != '.' }) {
			return false, nil
		}
	}
	return true, nil
}
