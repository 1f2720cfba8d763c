package netsetup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Errors of [Networks]; they are matched by errors.Is.
var (
	ErrNoNetwork     = errors.New("no such network")
	ErrNetworkExists = errors.New("network exists")
)

// InUseError is that of a network that pods are attached to.
type InUseError struct {
	Network string
	UIDs    []string // of the pods; none if they are another state root's
	Bridge  string   // the link that tells of those
}

func (e *InUseError) Error() string {
	if len(e.UIDs) == 0 {
		return fmt.Sprintf("network %q is in use by pods of another state root: link %s has its addresses", e.Network, e.Bridge)
	}
	return fmt.Sprintf("network %q is in use by pods %q", e.Network, e.UIDs)
}

// NetworkOptions is what is asked of a new network.
type NetworkOptions struct {
	Name string
	// Subnets are at most one per family; a gateway that is not given is the
	// first address. A family without one gets a free one: a /24 of
	// 10.87.0.0/16, and a random /64 of fd00::/8 (RFC 4193) where the host has
	// IPv6.
	Subnets  []Subnet
	NoIPv4   bool
	NoIPv6   bool
	MTU      int
	VLAN     int
	Internal bool
	Open     bool // traffic from and to other networks of podrt's passes: not Isolated
	NoNames  bool
	Labels   map[string]string
}

// Create makes a network's definition. The kernel sees nothing of it before the
// first pod. It fails with [ErrNetworkExists] if there is one of that name, and
// for subnets that overlap those of other networks, the host's addresses, or
// its routes but wider ones through a gateway.
func (s *Networks) Create(o NetworkOptions) (*Network, error) {
	if err := CheckNetworkName(o.Name); err != nil {
		return nil, err
	}
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	return s.create(o)
}

// Default returns the network of pods that name none, which is made if it does
// not exist.
func (s *Networks) Default() (*Network, error) {
	n, err := s.Get(DefaultNetwork)
	if !errors.Is(err, ErrNoNetwork) {
		return n, err
	}
	n, err = s.Create(NetworkOptions{Name: DefaultNetwork})
	if errors.Is(err, ErrNetworkExists) {
		return s.Get(DefaultNetwork) // made by another one meanwhile
	}
	return n, err
}

// create is Create with the lock held.
func (s *Networks) create(o NetworkOptions) (*Network, error) {
	if _, err := os.Lstat(s.definition(o.Name)); err == nil {
		return nil, fmt.Errorf("network %q: %w", o.Name, ErrNetworkExists)
	}
	others, err := s.List()
	if err != nil {
		return nil, err // what is not known cannot be kept clear of
	}
	n := &Network{
		Version: networkVersion, Name: o.Name, Bridge: bridgeName(o.Name, others),
		MTU: o.MTU, VLAN: o.VLAN, Internal: o.Internal, Isolated: !o.Open, NoNames: o.NoNames,
		Labels: o.Labels, Created: time.Now().UTC().Truncate(time.Second),
	}
	if n.Subnets, err = s.chooseSubnets(o, others); err != nil {
		return nil, fmt.Errorf("network %q: %w", o.Name, err)
	}
	if err := n.check(); err != nil {
		return nil, err
	}
	return n, s.write(n)
}

// Get returns the network of that name; [ErrNoNetwork] if there is none.
func (s *Networks) Get(name string) (*Network, error) {
	if err := CheckNetworkName(name); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(s.definition(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("network %q: %w", name, ErrNoNetwork)
	}
	if err != nil {
		return nil, fmt.Errorf("network %q: %w", name, err)
	}
	n, err := parseNetwork(b)
	if err == nil && n.Name != name {
		err = fmt.Errorf("it defines network %q", n.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("network definition %q: %w", s.definition(name), err)
	}
	return n, nil
}

// List returns all networks, ordered by name, and what is wrong with those that
// cannot be read.
func (s *Networks) List() ([]*Network, error) {
	entries, err := os.ReadDir(s.Config)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	var all []*Network
	var errs []error
	for _, e := range entries {
		name, is := strings.CutSuffix(e.Name(), ".json")
		if !is || name == "" || name[0] == '.' {
			continue
		}
		n, err := s.Get(name)
		switch {
		case errors.Is(err, ErrNoNetwork): // removed meanwhile
		case err != nil:
			errs = append(errs, err)
		default:
			all = append(all, n)
		}
	}
	return all, errors.Join(errs...)
}

// Remove removes a network; [InUseError] while pods have addresses in it,
// [ErrNoNetwork] if there is none.
func (s *Networks) Remove(name string) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	n, err := s.Get(name)
	if err != nil {
		return err
	}
	if err := s.sweep(name); err != nil {
		return err
	}
	leases, err := s.leases(name)
	if err != nil {
		return err
	}
	if len(leases) > 0 {
		used := &InUseError{Network: name}
		for _, l := range leases {
			if !slices.Contains(used.UIDs, l.uid) {
				used.UIDs = append(used.UIDs, l.uid)
			}
		}
		return used
	}
	// A killed podrt may have left them.
	foreign, err := s.removeKernel(n, "")
	if err != nil {
		return err
	}
	// Others below another Run may share the definitions.
	if foreign && verifyAddrs(n) == nil {
		return &InUseError{Network: name, Bridge: n.Bridge}
	}
	if err := os.RemoveAll(s.leaseDir(name)); err != nil {
		return fmt.Errorf("network %q: %w", name, err)
	}
	if err := os.Remove(s.definition(name)); err != nil {
		return fmt.Errorf("network %q: %w", name, err)
	}
	return nil
}

func (s *Networks) definition(name string) string { return filepath.Join(s.Config, name+".json") }

// write makes the definition whole, and lasting, or not at all. The lock is held.
func (s *Networks) write(n *Network) error {
	b, err := json.MarshalIndent(n, "", "  ")
	if err != nil {
		return fmt.Errorf("network %q: %w", n.Name, err)
	}
	if err := os.MkdirAll(s.Config, 0o755); err != nil {
		return fmt.Errorf("network %q: %w", n.Name, err)
	}
	if err := replaceFile(s.definition(n.Name), append(b, '\n')); err != nil {
		return fmt.Errorf("network %q: %w", n.Name, err)
	}
	return nil
}

// replaceFile writes path by way of a temporary file, which the next call
// overwrites if this one is killed.
func replaceFile(path string, b []byte) (retErr error) {
	tmp := filepath.Join(filepath.Dir(path), ".tmp")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		if retErr != nil {
			os.Remove(tmp)
		}
	}()
	if _, err := f.Write(b); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// lockPatience bounds the wait for another podrt, which may be stopped; tests are
// less patient.
var lockPatience = time.Minute

// lock takes the lock of all that pods have of networks (flock(2)).
func (s *Networks) lock() (unlock func(), err error) {
	if err := os.MkdirAll(s.Run, 0o700); err != nil {
		return nil, fmt.Errorf("lock networks: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(s.Run, "lock"), os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock networks: %w", err)
	}
	if err := awaitLock(context.Background(), f, lockPatience); err != nil {
		return nil, fmt.Errorf("lock networks: %w", err)
	}
	return func() { f.Close() }, nil
}

// chooseSubnets returns the subnets of a new network, IPv4 first.
func (s *Networks) chooseSubnets(o NetworkOptions, others []*Network) ([]Subnet, error) {
	used, err := s.usedPrefixes(others)
	if err != nil {
		return nil, err
	}
	var four, six *Subnet
	for _, sub := range o.Subnets {
		if !sub.Subnet.IsValid() {
			return nil, errors.New("subnet: none is given")
		}
		if !sub.Gateway.IsValid() {
			sub.Gateway = sub.Subnet.Masked().Addr().Next()
		}
		if err := sub.check(); err != nil {
			return nil, err
		}
		for _, u := range used {
			if u.clashes(sub.Subnet) {
				return nil, fmt.Errorf("subnet %s overlaps %s", sub.Subnet, u)
			}
		}
		family, no := &four, o.NoIPv4
		if sub.Subnet.Addr().Is6() {
			family, no = &six, o.NoIPv6
		}
		if no {
			return nil, fmt.Errorf("subnet %s is of a family that is to be left out", sub.Subnet)
		}
		if *family != nil {
			return nil, fmt.Errorf("subnets %s and %s are of one family: want at most one of each", (*family).Subnet, sub.Subnet)
		}
		*family = &sub
	}
	var subnets []Subnet
	if four == nil && !o.NoIPv4 {
		if four, err = freeIPv4(used); err != nil {
			return nil, err
		}
	}
	if six == nil && !o.NoIPv6 && usesIPv6() {
		six = freeIPv6(used)
	}
	for _, f := range []*Subnet{four, six} {
		if f != nil {
			subnets = append(subnets, *f)
		}
	}
	if len(subnets) == 0 && o.NoIPv4 && !o.NoIPv6 {
		return nil, errors.New("this host has no IPv6")
	}
	return subnets, nil
}

// freeIPv4 returns the first /24 of 10.87.0.0/16 that is not used.
func freeIPv4(used []usedPrefix) (*Subnet, error) {
	for i := range 256 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 87, byte(i), 0}), 24)
		if !slices.ContainsFunc(used, func(u usedPrefix) bool { return u.Overlaps(p) }) {
			return &Subnet{Subnet: p, Gateway: p.Addr().Next()}, nil
		}
	}
	return nil, errors.New("no /24 of 10.87.0.0/16 is free of other networks and routes of the host: give a subnet")
}

// freeIPv6 returns a /64 with a random global ID (RFC 4193, 3.2).
func freeIPv6(used []usedPrefix) *Subnet {
	for {
		a := [16]byte{0: 0xfd}
		// 5 bytes come whole or not at all once the pool is ready (getrandom(2)).
		if n, err := unix.Getrandom(a[1:6], 0); n != 5 || err != nil {
			continue
		}
		p := netip.PrefixFrom(netip.AddrFrom16(a), 64)
		if !slices.ContainsFunc(used, func(u usedPrefix) bool { return u.Overlaps(p) }) {
			return &Subnet{Subnet: p, Gateway: p.Addr().Next()}
		}
	}
}
