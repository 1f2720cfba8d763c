package netsetup

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// Rules returns what of podrt's nftables table is the pod's, as the kernel has it
// now: elements in the form of nft(8), each behind the name of its map, ordered.
func (s *Networks) Rules(uid string) ([]string, error) {
	ports, err := s.portsOf(uid)
	if err != nil || len(ports) == 0 {
		return nil, err
	}
	var out []string
	err = withRules(func(conn *nftables.Conn) error {
		found, err := find(conn, func(_ string, e nftables.SetElement) bool { return e.Comment == uid }, portSets...)
		for set, list := range found {
			for _, e := range list {
				out = append(out, set+" "+formatElement(set, e))
			}
		}
		return err
	})
	slices.Sort(out)
	return out, err
}

// formatElement shows an element of one of the portSets.
func formatElement(set string, e nftables.SetElement) string {
	size := 4
	if strings.HasSuffix(set, "6") {
		size = 16
	}
	key, host := e.Key, ""
	if strings.HasPrefix(set, "hostips") {
		host = formatAddr(key, size) + " . "
		key = key[min(size, len(key)):]
	}
	if len(key) < 8 || len(e.Val) < size+2 {
		return fmt.Sprintf("%x : %x", e.Key, e.Val)
	}
	protocol := TCP
	switch key[0] {
	case unix.IPPROTO_UDP:
		protocol = UDP
	case unix.IPPROTO_SCTP:
		protocol = SCTP
	}
	return fmt.Sprintf("%s%s . %d : %s . %d", host, protocol, binary.BigEndian.Uint16(key[4:]),
		formatAddr(e.Val, size), binary.BigEndian.Uint16(e.Val[size:]))
}

// formatAddr shows the address that b begins with.
func formatAddr(b []byte, size int) string {
	a, ok := netip.AddrFromSlice(b[:min(size, len(b))])
	if !ok {
		return fmt.Sprintf("%x", b)
	}
	return a.String()
}
