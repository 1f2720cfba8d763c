package netsetup

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// AddressTakenError is that of an address that was asked for and is another
// pod's.
type AddressTakenError struct {
	Network string
	Addr    netip.Addr
	UID     string // of the pod that has it
}

func (e *AddressTakenError) Error() string {
	return fmt.Sprintf("network %q: address %s is taken by pod %s", e.Network, e.Addr, e.UID)
}

// FullError is that of a subnet without a free address.
type FullError struct {
	Network string
	Pool    netip.Prefix
	Leased  int // addresses that pods have
}

func (e *FullError) Error() string {
	return fmt.Sprintf("network %q: no address of %s is free: pods have %d", e.Network, e.Pool, e.Leased)
}

// Member is a pod of a network.
type Member struct {
	UID   string
	Names []string     // by which others find it; the first one is reported for its address
	Addrs []netip.Addr // IPv4 first
}

// Members returns the pods of a network, ordered by address. It takes no lock:
// pods come and go.
func (s *Networks) Members(network string) ([]Member, error) {
	leases, err := s.leases(network)
	if err != nil {
		return nil, err
	}
	var members []Member
	place := map[string]int{}
	for _, l := range leases {
		i, known := place[l.uid]
		if !known {
			if s.stale(l.owner) {
				continue
			}
			i = len(members)
			place[l.uid] = i
			members = append(members, Member{UID: l.uid, Names: l.names})
		}
		members[i].Addrs = append(members[i].Addrs, l.addr)
	}
	return members, nil
}

// WithMembers calls f with the pods of a network while none comes or goes: so that
// the last one to write their names knows all of them.
func (s *Networks) WithMembers(network string, f func([]Member) error) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	members, err := s.Members(network)
	if err != nil {
		return err
	}
	return f(members)
}

// owner is what the link of a lease, a claim or a pod points to.
type owner struct{ boot, uid string }

type lease struct {
	addr netip.Addr
	owner
	names []string
}

// stale reports whether what the owner has is nobody's.
func (s *Networks) stale(o owner) bool { return o.boot != s.BootID || !s.Live(o.uid) }

func (s *Networks) leaseDir(network string) string { return filepath.Join(s.Run, "leases", network) }

// leases returns all leases of a network, stale ones too, ordered by address,
// which is IPv4 first.
func (s *Networks) leases(network string) ([]lease, error) {
	var all []lease
	for l, err := range s.eachLease(network) {
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b lease) int { return a.addr.Compare(b.addr) })
	return all, nil
}

// eachLease reads the leases of a network, in no order, one by one; an error is the
// last.
func (s *Networks) eachLease(network string) iter.Seq2[lease, error] {
	return func(yield func(lease, error) bool) {
		dir := s.leaseDir(network)
		names, err := readNames(dir)
		if err != nil {
			yield(lease{}, fmt.Errorf("network %q: list leases: %w", network, err))
			return
		}
		for _, name := range names {
			addr, err := netip.ParseAddr(name)
			if err != nil {
				continue // .last
			}
			l, err := readLease(dir, addr)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNoLease) {
				continue // given back meanwhile, or nobody's
			}
			if err != nil {
				yield(lease{}, fmt.Errorf("network %q: %w", network, err))
				return
			}
			if !yield(l, nil) {
				return
			}
		}
	}
}

// errNoLease is that of something that is in a lease's place and says of no pod
// that it has the address.
var errNoLease = errors.New("want a link to BOOT/UID/NAMES")

func readLease(dir string, addr netip.Addr) (lease, error) {
	path := filepath.Join(dir, addr.String())
	target, err := os.Readlink(path)
	if errors.Is(err, unix.EINVAL) {
		return lease{}, fmt.Errorf("lease %q: %w", path, errNoLease)
	}
	if err != nil {
		return lease{}, err
	}
	boot, rest, _ := strings.Cut(target, "/")
	uid, names, ok := strings.Cut(rest, "/")
	if !ok {
		return lease{}, fmt.Errorf("lease %q points to %q: %w", path, target, errNoLease)
	}
	return lease{addr: addr, owner: owner{boot, uid}, names: strings.FieldsFunc(names, func(r rune) bool { return r == ',' })}, nil
}

// readNames returns the names in a directory, none if it does not exist.
func readNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// lease takes an address of each subnet for a pod: those that are asked for, or
// the next ones after what was leased last. The lock is held.
func (s *Networks) lease(a *Attach, n *Network) ([]netip.Addr, error) {
	dir := s.leaseDir(n.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("network %q: %w", n.Name, err)
	}
	target := s.BootID + "/" + a.UID + "/" + strings.Join(a.Names, ",")
	last := readLast(dir)
	var addrs, next []netip.Addr
	var use reuse
	for _, sub := range n.Subnets {
		i := slices.IndexFunc(a.IPs, sub.Subnet.Contains)
		before, known := lastIn(sub, last)
		var addr netip.Addr
		var err error
		if i >= 0 {
			use.asked = true
			addr = a.IPs[i]
			var holder string
			if holder, err = s.take(dir, addr, target); err == nil && holder != "" {
				err = &AddressTakenError{Network: n.Name, Addr: addr, UID: holder}
			}
		} else {
			addr, err = s.takeNext(dir, n, sub, startOf(sub, n.Subnets[0], addrs, last), target)
			use.again = use.again || !known || !before.Less(addr)
			before, known = addr, true
		}
		if err != nil {
			return addrs, err
		}
		addrs = append(addrs, addr)
		if known {
			next = append(next, before)
		}
	}
	if err := s.forgetOld(n, dir, addrs, use); err != nil {
		return addrs, err
	}
	// Only a hint: what it says when it is cut off by a kill does no harm.
	var text strings.Builder
	for _, addr := range next {
		fmt.Fprintln(&text, addr)
	}
	return addrs, os.WriteFile(filepath.Join(dir, ".last"), []byte(text.String()), 0o600)
}

// startOf returns the address from which on a free one is looked for. A pod of
// two families has the same host part in both where it can, so that the MAC
// address, which is made of the IPv4 address, stays that of both for neighbours
// that remember.
func startOf(sub, first Subnet, addrs, last []netip.Addr) netip.Addr {
	pool := sub.pool()
	if len(addrs) == 1 && first.Subnet.Addr().Is4() {
		host := addrs[0].As4()
		for i, b := range first.Subnet.Addr().As4() {
			host[i] -= b // the subnet has no host bits: no borrow
		}
		same := sub.Subnet.Addr().As16()
		for i := range host {
			same[12+i] |= host[i]
		}
		if a := netip.AddrFrom16(same); pool.Contains(a) && sub.unusable(a) == "" {
			return a
		}
	}
	if a, ok := lastIn(sub, last); ok {
		return a.Next()
	}
	return pool.Addr()
}

// lastIn returns the address that was leased last from the subnet's pool.
func lastIn(sub Subnet, last []netip.Addr) (netip.Addr, bool) {
	pool := sub.pool()
	i := slices.IndexFunc(last, pool.Contains)
	if i < 0 {
		return netip.Addr{}, false
	}
	return last[i], true
}

func readLast(dir string) []netip.Addr {
	b, _ := os.ReadFile(filepath.Join(dir, ".last"))
	var last []netip.Addr
	for line := range strings.Lines(string(b)) {
		if a, err := netip.ParseAddr(strings.TrimSpace(line)); err == nil {
			last = append(last, a)
		}
	}
	return last
}

// takeNext leases the first free address from start on, round the pool once.
func (s *Networks) takeNext(dir string, n *Network, sub Subnet, start netip.Addr, target string) (netip.Addr, error) {
	pool := sub.pool()
	if !pool.Contains(start) {
		start = pool.Addr()
	}
	held := 0
	for addr := start; ; {
		if addr != sub.Gateway && sub.unusable(addr) == "" {
			holder, err := s.take(dir, addr, target)
			if err != nil {
				return netip.Addr{}, fmt.Errorf("network %q: %w", n.Name, err)
			}
			if holder == "" {
				return addr, nil
			}
			held++
		}
		if addr = addr.Next(); !pool.Contains(addr) {
			addr = pool.Addr()
		}
		if addr == start {
			return netip.Addr{}, &FullError{Network: n.Name, Pool: pool, Leased: held}
		}
	}
}

// take makes a lease, or says which pod has the address. A stale lease is taken
// back, with all else that is left of that pod.
func (s *Networks) take(dir string, addr netip.Addr, target string) (holder string, err error) {
	path := filepath.Join(dir, addr.String())
	for {
		err := os.Symlink(target, path)
		if !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		l, err := readLease(dir, addr)
		switch {
		case errors.Is(err, errNoLease):
		case err != nil:
			return "", err
		case !s.stale(l.owner):
			return l.uid, nil
		default:
			if err := s.takeBack(l.owner); err != nil {
				return "", fmt.Errorf("take back what is left of pod %s: %w", l.uid, err)
			}
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
}

// releaseLeases gives back the addresses of a pod in a network, and reports whether
// there are other leases. The lock is held.
func (s *Networks) releaseLeases(network, uid string) (others bool, err error) {
	leases, err := s.leases(network)
	var errs []error
	for _, l := range leases {
		if l.uid != uid {
			others = true
			continue
		}
		err := os.Remove(filepath.Join(s.leaseDir(network), l.addr.String()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("network %q: release: %w", network, err))
		}
	}
	return others || err != nil, errors.Join(append(errs, err)...)
}
