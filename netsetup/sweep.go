package netsetup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Sweep takes back all that is nobody's: what pods of another boot, or that
// exist no more, had, and bridges without pods that a killed podrt has left.
func (s *Networks) Sweep() error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	pods, err := readNames(filepath.Join(s.Run, "pods"))
	errs := []error{err}
	for _, uid := range pods {
		o, _, err := s.readPod(uid)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && s.stale(o) {
			err = s.takeBack(o)
		}
		errs = append(errs, err)
	}
	networks, err := s.List()
	errs = append(errs, err)
	for _, n := range networks {
		errs = append(errs, s.sweep(n.Name))
		leases, err := s.leases(n.Name)
		if err == nil && len(leases) == 0 {
			_, err = s.removeKernel(n, "")
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// sweep takes back the stale leases of a network. The lock is held.
func (s *Networks) sweep(network string) error {
	leases, err := s.leases(network)
	errs := []error{err}
	for _, l := range leases {
		if !s.stale(l.owner) {
			continue
		}
		err := s.takeBack(l.owner)
		if err == nil {
			err = os.Remove(filepath.Join(s.leaseDir(network), l.addr.String()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// takeBack takes all that a pod has that is no more, but for a lease that is not
// in its network. The lock is held. What is of another boot is names only.
func (s *Networks) takeBack(o owner) error {
	known, network, err := s.readPod(o.uid)
	if errors.Is(err, fs.ErrNotExist) || err == nil && known.boot != o.boot {
		return nil
	}
	if err != nil {
		return err
	}
	if o.boot == s.BootID {
		if err := s.removeLinks(o.uid); err != nil {
			return err
		}
	}
	if err := s.giveBackPorts(o.uid); err != nil {
		return err
	}
	return s.giveBack(o.uid, network)
}
