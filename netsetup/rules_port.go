package netsetup

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// portElements returns the elements that publish ports of the pod at its
// addresses, at most one of each family.
func portElements(uid string, n *Network, addrs []netip.Addr, ports []Port) (elements, error) {
	if n.Internal && len(ports) > 0 {
		return nil, fmt.Errorf("port %q: network %q is internal: no port of it can be published", ports[0], n.Name)
	}
	list := elements{}
	for _, p := range ports {
		found := false
		for set, key := range portKeys(p) {
			for _, ip := range addrs {
				if ip.Is4() != (set == "ports4" || set == "hostips4") {
					continue
				}
				found = true
				list[set] = append(list[set], nftables.SetElement{Key: key, Val: addrPortValue(ip, p.ContainerPort), Comment: uid})
			}
		}
		if !found {
			return nil, fmt.Errorf("port %q: the pod has no address of that family: %v", p, addrs)
		}
	}
	return list, nil
}

// portKeys returns the keys of a port by the set that they are in.
func portKeys(p Port) map[string][]byte {
	ip, key := p.HostIP, portKey(p)
	switch {
	case !ip.IsValid():
		return map[string][]byte{"ports4": key, "ports6": key}
	case ip == netip.IPv4Unspecified():
		return map[string][]byte{"ports4": key}
	case ip == netip.IPv6Unspecified():
		return map[string][]byte{"ports6": key}
	case ip.Is4():
		return map[string][]byte{"hostips4": append(ip.AsSlice(), key...)}
	}
	return map[string][]byte{"hostips6": append(ip.AsSlice(), key...)}
}

// addPortRules publishes claimed ports of the pod, all or none, in one batch. A port
// that a pod of another state root has, of whose claims nothing is known here, is a
// [PortTakenError]. The network's rules are there. The caller holds the lock.
func addPortRules(uid string, n *Network, addrs []netip.Addr, ports []Port) error {
	if len(ports) == 0 {
		return nil
	}
	list, err := portElements(uid, n, addrs, ports)
	if err != nil {
		return err
	}
	err = withRules(func(conn *nftables.Conn) error {
		if err := inMessages(list, conn.SetAddElements); err != nil {
			return err
		}
		err := conn.Flush()
		if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EEXIST) {
			return err
		}
		// Elements that no claim told of: somebody has removed the claims.
		old, err := findPorts(conn, uid, ports)
		if err != nil {
			return err
		}
		if err := othersPort(old, uid, ports); err != nil {
			return err
		}
		if err := inMessages(old, conn.SetDeleteElements); err != nil {
			return err
		}
		if err := inMessages(list, conn.SetAddElements); err != nil {
			return err
		}
		return conn.Flush()
	})
	if err != nil {
		return fmt.Errorf("publish ports of pod %s: %w", uid, err)
	}
	return flushPorts(ports)
}

// othersPort returns a [PortTakenError] if one of the elements that have the key of
// a port is of another pod that has its veth on this host.
func othersPort(found elements, uid string, ports []Port) error {
	c, err := openRtnl()
	if err != nil {
		return err
	}
	defer c.close()
	for _, p := range ports {
		for set, key := range portKeys(p) {
			i := slices.IndexFunc(found[set], func(e nftables.SetElement) bool { return bytes.Equal(e.Key, key) })
			if i < 0 {
				continue
			}
			other := found[set][i].Comment
			if other == uid || !validPod(other) {
				continue
			}
			links, err := c.podLinks(other)
			if err != nil {
				return err
			}
			if len(links) > 0 {
				return &PortTakenError{Port: p, UID: other}
			}
		}
	}
	return nil
}

// findPorts returns the elements that are the pod's, by their comment, or have
// the key of one of the ports.
func findPorts(conn *nftables.Conn, uid string, ports []Port) (elements, error) {
	type key struct{ set, key string }
	keys := map[key]bool{}
	for _, p := range ports {
		for set, k := range portKeys(p) {
			keys[key{set, string(k)}] = true
		}
	}
	return find(conn, func(set string, e nftables.SetElement) bool {
		return e.Comment == uid || keys[key{set, string(e.Key)}]
	}, portSets...)
}

// removePortRules removes the rules of all ports that the pod has claimed; those
// that are missing are no error. The claims remain. The caller holds the lock.
func (s *Networks) removePortRules(uid string) error {
	ports, err := s.portsOf(uid)
	if err != nil {
		return err
	}
	return removeElements(uid, ports)
}

// removeElements removes the elements of ports that the pod has claimed.
func removeElements(uid string, ports []Port) error {
	if len(ports) == 0 {
		return nil
	}
	err := withRules(func(conn *nftables.Conn) error { return deleteElements(conn, uid, ports) })
	if err != nil {
		return fmt.Errorf("remove rules of pod %s: %w", uid, err)
	}
	return flushPorts(ports)
}

func deleteElements(conn *nftables.Conn, uid string, ports []Port) error {
	// As a pod with both families has them; else they are looked for.
	list := elements{}
	for _, p := range ports {
		for set, key := range portKeys(p) {
			list[set] = append(list[set], nftables.SetElement{Key: key})
		}
	}
	if err := inMessages(list, conn.SetDeleteElements); err != nil {
		return err
	}
	err := conn.Flush()
	if !errors.Is(err, unix.ENOENT) {
		return err
	}
	if list, err = findPorts(conn, uid, ports); err != nil {
		return err
	}
	if err := inMessages(list, conn.SetDeleteElements); err != nil {
		return err
	}
	return conn.Flush()
}
