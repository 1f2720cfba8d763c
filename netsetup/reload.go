package netsetup

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/google/nftables"
)

// Reload makes again what pods have of bridges and rules, where something else
// has taken it: `nft flush ruleset`, a firewall that was started anew, a bridge
// that was deleted. What a network whose definition cannot be read has stays as it is.
func (s *Networks) Reload() error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	used, broken, err := s.inUse()
	if err != nil || len(used) == 0 {
		return errors.Join(broken, err)
	}
	var others []string
	err = withRules(func(conn *nftables.Conn) (err error) {
		others, err = otherBridges(conn, func(link string) bool {
			return slices.ContainsFunc(used, func(u usedNetwork) bool { return u.Bridge == link })
		})
		return err
	})
	if err != nil {
		return err
	}
	if len(others) > 0 {
		err := fmt.Errorf("reload rules: bridges %q have rules and are of no network with pods here: of another state root?", others)
		return errors.Join(broken, err)
	}
	if err := s.reloadRules(used); err != nil {
		return errors.Join(broken, err)
	}
	err = s.withRtnl(func(c *rtnl) error {
		var errs []error
		for _, u := range used {
			errs = append(errs, s.reloadLinks(c, u))
		}
		return errors.Join(errs...)
	})
	return errors.Join(broken, err)
}

// usedNetwork is a network that pods are attached to.
type usedNetwork struct {
	*Network
	members []Member
}

// inUse returns the networks that have leases, and reads no definition but theirs:
// one that is broken is in the way of its own pods only.
func (s *Networks) inUse() (used []usedNetwork, broken, err error) {
	names, err := readNames(filepath.Join(s.Run, "leases"))
	if err != nil {
		return nil, nil, fmt.Errorf("list leases: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		members, err := s.Members(name)
		if err != nil {
			return nil, nil, err
		}
		if len(members) == 0 {
			continue
		}
		n, err := s.Get(name)
		if err != nil {
			broken = errors.Join(broken, err)
			continue
		}
		used = append(used, usedNetwork{n, members})
	}
	return used, broken, nil
}

// ensureRules makes the rules of a network, and those of all others with their
// pods' if none were there. The lock is held.
func (s *Networks) ensureRules(n *Network) error {
	made, err := addNetworkRules(n)
	if err != nil || !made {
		return err
	}
	used, _, err := s.inUse()
	if err != nil {
		return err
	}
	if len(used) == 0 || len(used) == 1 && len(used[0].members) == 1 {
		return nil // the pod that they are made for
	}
	return s.reloadRules(used)
}

func (s *Networks) reloadRules(used []usedNetwork) error {
	var networks []*Network
	var pods []published
	for _, u := range used {
		networks = append(networks, u.Network)
		for _, m := range u.members {
			ports, err := s.portsOf(m.UID)
			if err != nil {
				return err
			}
			if len(ports) > 0 {
				pods = append(pods, published{UID: m.UID, Network: u.Network, Addresses: m.Addrs, Ports: ports})
			}
		}
	}
	return reloadRules(networks, pods)
}

// reloadLinks makes bridge and ports of a network again.
func (s *Networks) reloadLinks(c *rtnl, u usedNetwork) error {
	if err := s.checkBridge(c, u.Network); err != nil {
		return err
	}
	index, err := s.ensureBridge(c, u.Network)
	if err != nil {
		return err
	}
	// It may be up, and have lost something.
	if err := s.configureBridge(c, u.Network, index); err != nil {
		return err
	}
	var errs []error
	for _, m := range u.members {
		name := hostLink(m.UID)
		link, err := c.link(name)
		switch {
		case errors.Is(err, errNoLink): // another podrt is just making it, or removing it
		case err != nil:
			errs = append(errs, err)
		case !isPods(link, m.UID):
			errs = append(errs, fmt.Errorf("link %s is not of pod %s: it is of kind %s, alias %q", name, m.UID, link.Type(), link.Attrs().Alias))
		default:
			errs = append(errs, (&veth{uid: m.UID, bridge: index, mtu: u.MTU}).raise(c))
		}
	}
	return errors.Join(errs...)
}
