package netsetup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// sysctlFile holds what podrt has changed below /proc/sys/net: by name, the
// value before. It is not put back: whoever found it changed may rely on it.
const sysctlFile = "sysctls.json"

// ensureForwarding has the host forward what pods of the network send and are
// sent. IPv4 does so for packets that come in by a link that forwards, and the
// way back may lead through any; IPv6 for the whole host or not at all
// (ip-sysctl, Linux). The lock is held.
func (s *Networks) ensureForwarding(n *Network) error {
	if n.Internal {
		return nil
	}
	for _, sub := range n.Subnets {
		var err error
		if sub.Subnet.Addr().Is4() {
			err = s.change("ipv4/ip_forward", "0", "1")
		} else {
			err = s.forwardIPv6()
		}
		if err != nil {
			return fmt.Errorf("network %q: %w", n.Name, err)
		}
	}
	return nil
}

// forwardIPv6 turns forwarding on, after those links that get their addresses
// and routes by advertisements have been told to go on so: a router ignores them
// unless accept_ra is 2.
func (s *Networks) forwardIPv6() error {
	const all = "ipv6/conf/all/forwarding"
	if v, err := readSysctl(all); err != nil || v == "1" {
		return err
	}
	links, err := readNames("/proc/sys/net/ipv6/conf")
	if err != nil {
		return err
	}
	for _, link := range append(links, "default") {
		if link == "all" || link == "lo" {
			continue
		}
		// A link may be gone.
		err := s.change("ipv6/conf/"+link+"/accept_ra", "1", "2")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return s.change(all, "0", "1")
}

// change writes a sysctl that has one value so that it has another, and records
// the old one before.
func (s *Networks) change(name, from, to string) error {
	v, err := readSysctl(name)
	if err != nil || v != from {
		return err
	}
	path := filepath.Join(s.Run, sysctlFile)
	old := map[string]string{}
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &old)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read %q: %w", path, err)
	}
	if _, known := old[name]; !known {
		old[name] = v
		if b, err = json.MarshalIndent(old, "", "  "); err != nil {
			return err
		}
		if err := replaceFile(path, append(b, '\n')); err != nil {
			return err
		}
	}
	return writeSysctl(name, to)
}
