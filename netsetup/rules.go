package netsetup

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// rulesTable is the table "inet podrt" (nft(8)), the only one that is changed.
// Chains and rules are the same on every host; what differs is in sets, so that
// a change is a batch of elements, which the kernel applies whole or not at all:
//
//	bridges     links of the networks
//	internal    those without a way out
//	isolated    those that other networks, and the outside, reach by published ports only
//	same        each link twice: from a network to itself
//	subnets4/6  a subnet and its link: from a pod to its own network
//	ports4/6    protocol, host port -> the pod's address and port
//	hostips4/6  host address, protocol, host port -> the same; they come first
//
// Elements of the last four carry the UID of their pod.
func rulesTable() *nftables.Table {
	return &nftables.Table{Name: "podrt", Family: nftables.TableFamilyINet}
}

// ruleSets returns the sets and maps of the table, by name.
func ruleSets() map[string]*nftables.Set {
	ifname, proto, port := nftables.TypeIFName, nftables.TypeInetProto, nftables.TypeInetService
	ip4, ip6 := nftables.TypeIPAddr, nftables.TypeIP6Addr
	sets := map[string]*nftables.Set{}
	add := func(name string, data nftables.SetDatatype, key ...nftables.SetDatatype) *nftables.Set {
		s := &nftables.Set{
			Table: rulesTable(), Name: name,
			KeyType:  nftables.MustConcatSetType(key...),
			DataType: data, IsMap: data.Bytes > 0,
		}
		sets[name] = s
		return s
	}
	var none nftables.SetDatatype
	for _, name := range []string{"bridges", "internal", "isolated"} {
		add(name, none, ifname).KeyByteOrder = binaryutil.NativeEndian // else nft(8) shows ""
	}
	add("same", none, ifname, ifname)
	for name, ip := range map[string]nftables.SetDatatype{"subnets4": ip4, "subnets6": ip6} {
		s := add(name, none, ip, ifname)
		s.Interval, s.Concatenation = true, true
	}
	to4, to6 := nftables.MustConcatSetType(ip4, port), nftables.MustConcatSetType(ip6, port)
	add("ports4", to4, proto, port)
	add("ports6", to6, proto, port)
	add("hostips4", to4, ip4, proto, port)
	add("hostips6", to6, ip6, proto, port)
	return sets
}

// elements are elements by the name of their set.
type elements map[string][]nftables.SetElement

// elementsMax is how many elements go into one message: an attribute, and with it
// all elements of a message, holds 64 KiB (netlink(7)), and an element with a UID
// takes 300 bytes at most.
const elementsMax = 200

// rulesBufferMax bounds a batch in bytes, and its answers, which is what the
// kernel checks before it takes them; nothing of that size is allocated. Every
// port of every protocol fits.
const rulesBufferMax = 128 << 20

// openRules opens a connection for batches and dumps. It is to be closed by
// CloseLasting.
func openRules() (*nftables.Conn, error) {
	conn, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(c.SetWriteBuffer(rulesBufferMax), c.SetReadBuffer(rulesBufferMax))
	}))
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	return conn, nil
}

// withRules calls do with a connection.
func withRules(do func(*nftables.Conn) error) error {
	conn, err := openRules()
	if err != nil {
		return err
	}
	return errors.Join(do(conn), conn.CloseLasting())
}

// inMessages puts the addition or removal of elements into the batch.
func inMessages(list elements, one func(*nftables.Set, []nftables.SetElement) error) error {
	sets := ruleSets()
	for name, all := range list {
		for len(all) > 0 {
			n := min(len(all), elementsMax)
			if err := one(sets[name], all[:n]); err != nil {
				return fmt.Errorf("nftables set %s: %w", name, err)
			}
			all = all[n:]
		}
	}
	return nil
}

// readSet returns the elements of a set; none if it, or the table, is not there.
func readSet(conn *nftables.Conn, s *nftables.Set) (list []nftables.SetElement, exists bool, err error) {
	// Unlike the dump's, its error is one of errno(3).
	if _, err = conn.GetSetByName(s.Table, s.Name); err == nil {
		list, err = conn.GetSetElements(s)
	}
	if errors.Is(err, unix.ENOENT) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read nftables set %s: %w", s.Name, err)
	}
	return list, true, nil
}

// find returns the elements of the named sets that match.
func find(conn *nftables.Conn, match func(set string, e nftables.SetElement) bool, names ...string) (elements, error) {
	sets := ruleSets()
	found := elements{}
	for _, name := range names {
		list, _, err := readSet(conn, sets[name])
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			if match(name, e) {
				found[name] = append(found[name], e)
			}
		}
	}
	return found, nil
}

// Keys and values are the concatenated fields, each padded to four bytes.

func ifnameKey(name string) []byte {
	key := make([]byte, unix.IFNAMSIZ)
	copy(key, name)
	return key
}

func portKey(p Port) []byte {
	return []byte{protocolNumber(p.Protocol), 0, 0, 0, byte(p.HostPort >> 8), byte(p.HostPort), 0, 0}
}

func addrPortValue(ip netip.Addr, port uint16) []byte {
	return append(ip.AsSlice(), byte(port>>8), byte(port), 0, 0)
}

func protocolNumber(p Protocol) byte {
	switch p {
	case UDP:
		return unix.IPPROTO_UDP
	case SCTP:
		return unix.IPPROTO_SCTP
	}
	return unix.IPPROTO_TCP
}
