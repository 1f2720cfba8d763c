package netsetup

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// rulesVersion is that of the chains and sets; a table of another version is made
// again.
const rulesVersion = 1

// rulesMark is the comment of a network's element in the set of bridges: the
// rules that are there are this version's and this network's.
func rulesMark(n *Network) string {
	h := fnv.New32a()
	fmt.Fprint(h, n.Bridge, n.Internal, n.Isolated)
	for _, s := range n.Subnets {
		fmt.Fprint(h, s.Subnet)
	}
	return "network " + n.Name + rulesVersionMark() + hex.EncodeToString(h.Sum(nil))
}

func rulesVersionMark() string { return fmt.Sprintf(", rules %d.", rulesVersion) }

func networkElements(n *Network) elements {
	link := ifnameKey(n.Bridge)
	one := []nftables.SetElement{{Key: link}}
	list := elements{
		"bridges": {{Key: link, Comment: rulesMark(n)}},
		"same":    {{Key: append(ifnameKey(n.Bridge), link...)}},
	}
	if n.Internal {
		list["internal"] = one
	}
	if n.Isolated {
		list["isolated"] = one
	}
	for _, s := range n.Subnets {
		set := "subnets4"
		if s.Subnet.Addr().Is6() {
			set = "subnets6"
		}
		list[set] = append(list[set], nftables.SetElement{
			Key:    append(s.Subnet.Masked().Addr().AsSlice(), link...),
			KeyEnd: append(lastAddr(s.Subnet).AsSlice(), link...),
		})
	}
	return list
}

// lastAddr returns the last address of the prefix.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}

// addNetworkRules makes the network's rules, unless they are there. Made reports
// that there was no table, or an older podrt's, and that the rules of other
// networks and of pods are missing: reloadRules makes all. The caller holds the
// lock.
func addNetworkRules(n *Network) (made bool, err error) {
	err = withRules(func(conn *nftables.Conn) error {
		list, exists, err := readSet(conn, ruleSets()["bridges"])
		if err != nil {
			return err
		}
		stale := false
		for _, e := range list {
			if bytes.Equal(e.Key, ifnameKey(n.Bridge)) {
				if e.Comment == rulesMark(n) {
					return nil
				}
				stale = true
			}
			if !strings.Contains(e.Comment, rulesVersionMark()) {
				exists = false
			}
		}
		switch {
		case !exists || len(list) == 0:
			made = true
			err := makeTable(conn, n, false)
			if errors.Is(err, unix.EEXIST) {
				err = makeTable(conn, n, true)
			}
			return err
		case stale:
			old, err := findNetwork(conn, n.Bridge)
			if err != nil {
				return err
			}
			if err := inMessages(old, conn.SetDeleteElements); err != nil {
				return err
			}
		}
		if err := inMessages(networkElements(n), conn.SetAddElements); err != nil {
			return err
		}
		return conn.Flush()
	})
	if err != nil {
		return false, fmt.Errorf("rules of network %q: %w", n.Name, err)
	}
	return made, nil
}

// makeTable makes the table with one network's elements.
func makeTable(conn *nftables.Conn, n *Network, replace bool) error {
	if err := addSkeleton(conn, replace); err != nil {
		return err
	}
	if err := inMessages(networkElements(n), conn.SetAddElements); err != nil {
		return err
	}
	return conn.Flush()
}

// findNetwork returns all elements of the link.
func findNetwork(conn *nftables.Conn, bridge string) (elements, error) {
	return find(conn, func(set string, e nftables.SetElement) bool {
		return bytes.HasSuffix(e.Key, ifnameKey(bridge))
	}, setNames[:6]...)
}

// otherBridges returns the links that have rules, exist, and are not known.
func otherBridges(conn *nftables.Conn, known func(link string) bool) (others []string, err error) {
	list, _, err := readSet(conn, ruleSets()["bridges"])
	var links []string
	for _, e := range list {
		if name := unix.ByteSliceToString(e.Key); !known(name) {
			links = append(links, name)
		}
	}
	if err != nil || len(links) == 0 {
		return nil, err
	}
	c, err := openRtnl()
	if err != nil {
		return nil, err
	}
	defer c.close()
	for _, name := range links {
		if _, err := c.link(name); err == nil {
			others = append(others, name)
		} else if !errors.Is(err, errNoLink) {
			return nil, err
		}
	}
	return others, nil
}

// removeNetworkRules removes the network's rules, and those of the ports of a pod
// that is its last one, if it has one; all may be missing. With the last network the
// table goes, unless another state root has one. The caller holds the lock.
func removeNetworkRules(n *Network, last bool, pod published) error {
	// One connection: its end waits, some 10 ms, until what was removed is destroyed.
	err := withRules(func(conn *nftables.Conn) error {
		if last {
			others, err := otherBridges(conn, func(link string) bool { return link == n.Bridge })
			if err != nil {
				return err
			}
			last = len(others) == 0
		}
		if last {
			conn.DelTable(rulesTable())
			if err := conn.Flush(); !errors.Is(err, unix.ENOENT) {
				return err
			}
			return nil
		}
		if err := deleteElements(conn, pod.UID, pod.Ports); err != nil {
			return err
		}
		list, err := findNetwork(conn, n.Bridge)
		if err != nil {
			return err
		}
		if err := inMessages(list, conn.SetDeleteElements); err != nil {
			return err
		}
		return conn.Flush()
	})
	if err != nil {
		return fmt.Errorf("rules of network %q: %w", n.Name, err)
	}
	return flushPorts(pod.Ports)
}

// published is what a pod publishes.
type published struct {
	UID       string
	Network   *Network
	Addresses []netip.Addr
	Ports     []Port
}

// reloadRules makes the table anew, with what is given and nothing else, in one
// batch: at no time is a rule missing that was there. The caller holds the lock.
func reloadRules(networks []*Network, pods []published) error {
	err := withRules(func(conn *nftables.Conn) error {
		if err := addSkeleton(conn, true); err != nil {
			return err
		}
		for _, n := range networks {
			if err := inMessages(networkElements(n), conn.SetAddElements); err != nil {
				return err
			}
		}
		for _, p := range pods {
			list, err := portElements(p.UID, p.Network, p.Addresses, p.Ports)
			if err != nil {
				return err
			}
			if err := inMessages(list, conn.SetAddElements); err != nil {
				return err
			}
		}
		return conn.Flush()
	})
	if err != nil {
		return fmt.Errorf("reload rules: %w", err)
	}
	var ports []Port
	for _, p := range pods {
		ports = append(ports, p.Ports...)
	}
	return flushUntranslated(networks, ports)
}
