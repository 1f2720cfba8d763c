package netsetup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// networkVersion is that of the definitions that this package writes.
const networkVersion = 1

// Limits of what a network may be.
const (
	minMTU  = 68   // IPv4's (RFC 791); the kernel's ETH_MIN_MTU
	minMTU6 = 1280 // IPv6's (RFC 8200); below it the kernel takes IPv6 from the link
	maxMTU  = 65535
	maxVLAN = 4094
)

// networkNameMax is the length of a network's name, in bytes.
const networkNameMax = 63

// CheckNetworkName reports what keeps s from being the name of a network:
// [a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}, and in no letter case a word that means
// something else in a pod's network.mode.
func CheckNetworkName(s string) error {
	if !validName(s, networkNameMax) {
		return fmt.Errorf("network name %q: must match [a-zA-Z0-9][a-zA-Z0-9_.-]{0,%d}", s, networkNameMax-1)
	}
	for _, word := range []string{"none", "host", "container", "ns", "default", "private"} {
		if strings.EqualFold(s, word) {
			return fmt.Errorf("network name %q: means something else as the network of a pod", s)
		}
	}
	return nil
}

// validName reports whether s is of 1 to limit letters, digits, "_", "." and
// "-", and begins with a letter or digit.
func validName(s string, limit int) bool {
	if s == "" || len(s) > limit || !isAlnum(s[0]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

// parseNetwork reads a definition. An unknown field is an error that names it.
func parseNetwork(b []byte) (*Network, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	n := new(Network)
	if err := dec.Decode(n); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the definition")
	}
	if n.Version != networkVersion {
		return nil, fmt.Errorf("version %d is not supported: want %d", n.Version, networkVersion)
	}
	return n, n.check()
}

// check reports what is wrong with n by itself.
func (n *Network) check() error {
	if err := CheckNetworkName(n.Name); err != nil {
		return err
	}
	if err := checkLinkName(n.Bridge); err != nil {
		return fmt.Errorf("network %q: bridge %w", n.Name, err)
	}
	if len(n.Subnets) == 0 {
		return fmt.Errorf("network %q: no subnet", n.Name)
	}
	six := false
	for i, s := range n.Subnets {
		if err := s.check(); err != nil {
			return fmt.Errorf("network %q: %w", n.Name, err)
		}
		six = six || s.Subnet.Addr().Is6()
		if i > 0 && s.Subnet.Addr().Is4() == n.Subnets[0].Subnet.Addr().Is4() || i > 1 {
			return fmt.Errorf("network %q: subnets %s and %s are of one family: want at most one of each", n.Name, n.Subnets[0].Subnet, s.Subnet)
		}
	}
	switch {
	case n.MTU == 0:
	case n.MTU < minMTU || n.MTU > maxMTU:
		return fmt.Errorf("network %q: MTU %d: want %d to %d", n.Name, n.MTU, minMTU, maxMTU)
	case six && n.MTU < minMTU6:
		return fmt.Errorf("network %q: MTU %d: IPv6 wants at least %d", n.Name, n.MTU, minMTU6)
	}
	if n.VLAN < 0 || n.VLAN > maxVLAN {
		return fmt.Errorf("network %q: VLAN %d: want 1 to %d", n.Name, n.VLAN, maxVLAN)
	}
	return nil
}

func (s Subnet) check() error {
	p := s.Subnet
	switch {
	case !p.IsValid():
		return errors.New("subnet: none is given")
	case p != p.Masked():
		return fmt.Errorf("subnet %s has host bits set: want %s", p, p.Masked())
	case p.Addr().Is4In6():
		return fmt.Errorf("subnet %s is IPv4 written as IPv6", p)
	case p.Addr().Is4() && (p.Bits() < 8 || p.Bits() > 30):
		return fmt.Errorf("subnet %s: want a prefix of 8 to 30 bits", p)
	case p.Addr().Is6() && (p.Bits() < 16 || p.Bits() > 126):
		return fmt.Errorf("subnet %s: want a prefix of 16 to 126 bits", p)
	case slices.ContainsFunc(specialPrefixes(), p.Overlaps):
		return fmt.Errorf("subnet %s cannot be a network's: want unicast addresses, not of loopback or a link", p)
	}
	if reason := s.unusable(s.Gateway); reason != "" {
		return fmt.Errorf("gateway %s %s", s.Gateway, reason)
	}
	r := s.Range
	switch {
	case r == netip.Prefix{}:
	case !r.IsValid() || r != r.Masked():
		return fmt.Errorf("range %s has host bits set: want %s", r, r.Masked())
	case !p.Contains(r.Addr()) || r.Bits() < p.Bits():
		return fmt.Errorf("range %s is not in the subnet %s", r, p)
	case r.IsSingleIP() && (r.Addr() == s.Gateway || s.unusable(r.Addr()) != ""):
		return fmt.Errorf("range %s has no address for a pod", r)
	}
	return nil
}

// specialPrefixes are those that mean something else everywhere (RFC 6890).
func specialPrefixes() []netip.Prefix {
	v4 := func(a, b byte, bits int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{a, b}), bits)
	}
	v6 := func(a, b byte, bits int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom16([16]byte{a, b}), bits)
	}
	return []netip.Prefix{
		v4(0, 0, 8), v4(127, 0, 8), v4(169, 254, 16), v4(224, 0, 3),
		v6(0, 0, 8), v6(0xfe, 0x80, 10), v6(0xff, 0, 8), // of the first, also ::1 and addresses that hold IPv4
	}
}

// unusable says why no host of the subnet can have addr, "" if one can.
func (s Subnet) unusable(addr netip.Addr) string {
	switch {
	case !addr.IsValid():
		return "is no address"
	case addr.Zone() != "" || !s.Subnet.Contains(addr):
		return "is not in the subnet " + s.Subnet.String()
	case addr == s.Subnet.Addr() && addr.Is4():
		return "is the network's own in " + s.Subnet.String()
	case addr == s.Subnet.Addr():
		return "is that of any router in " + s.Subnet.String() // RFC 4291, 2.6.1
	case addr == lastAddr(s.Subnet) && addr.Is4():
		return "is the broadcast address of " + s.Subnet.String()
	}
	return ""
}

// pool is the addresses that may be leased unasked.
func (s Subnet) pool() netip.Prefix {
	if s.Range.IsValid() {
		return s.Range
	}
	return s.Subnet
}

// checkLinkName reports whether s can name a link (dev_valid_name, Linux).
func checkLinkName(s string) error {
	if s == "" || len(s) > 15 || s == "." || s == ".." {
		return fmt.Errorf("%q cannot name a link: want 1 to 15 bytes", s)
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '/' || c == ':' || c >= 0x7f || c == '%' {
			return fmt.Errorf("%q cannot name a link: it contains %q", s, c)
		}
	}
	return nil
}
