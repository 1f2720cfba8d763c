package netsetup

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
)

// reuse says why an address may be one that another pod has had.
type reuse struct {
	again bool // the pool is gone through once more, or for the first time since it was made
	asked bool // somebody has asked for an address out of turn
}

// outOfTurn exists in a network's directory once an address was leased out of
// turn since the pool was last begun: it may come up once more in turn.
const outOfTurn = ".asked"

// forgetOld has the kernel forget the connections of pods that have had the
// addresses before. Leases go round the pool, so that this is needed once a round,
// for all addresses that nobody has. The lock is held.
func (s *Networks) forgetOld(n *Network, dir string, addrs []netip.Addr, use reuse) error {
	mark := filepath.Join(dir, outOfTurn)
	_, err := os.Lstat(mark)
	marked := err == nil
	switch {
	case use.asked:
		err = os.WriteFile(mark, nil, 0o600)
	case use.again && marked:
		err = os.Remove(mark)
	case use.again || marked:
		err = nil
	default:
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("network %q: %w", n.Name, err)
	}
	leases, err := s.leases(n.Name)
	if err != nil {
		return err
	}
	held := make(map[netip.Addr]bool, len(leases))
	for _, l := range leases {
		held[l.addr] = !slices.Contains(addrs, l.addr)
	}
	err = flushAddresses(func(a netip.Addr) bool {
		return !held[a] && slices.ContainsFunc(n.Subnets, func(s Subnet) bool { return s.Subnet.Contains(a) && a != s.Gateway })
	})
	if err != nil {
		return fmt.Errorf("network %q: %w", n.Name, err)
	}
	return nil
}
