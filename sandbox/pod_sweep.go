package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Prefixes of directories below RUN/pods that are no pods: one that is being
// made, under the names lock, and one whose pod is removed.
const (
	newPrefix  = ".new-"
	deadPrefix = ".dead-"
)

// Sweep removes what killed processes left of pods that do not exist yet, or no
// more: no kernel object belongs to it, and no name finds it.
func (s *Store) Sweep() error {
	names, err := s.lockNames()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no pod was ever made
	}
	if err != nil {
		return err
	}
	defer names.Close()
	return s.sweep()
}

// sweep is Sweep with the names lock held, under which a pod appears and goes:
// its directory by a rename, its name before or after that.
func (s *Store) sweep() error {
	var errs []error
	entries, err := os.ReadDir(s.podsDir())
	errs = append(errs, err)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), newPrefix) || strings.HasPrefix(e.Name(), deadPrefix) {
			errs = append(errs, os.RemoveAll(filepath.Join(s.podsDir(), e.Name())))
		}
	}
	entries, err = os.ReadDir(s.namesDir())
	errs = append(errs, err)
	for _, e := range entries {
		link := s.nameLink(e.Name())
		uid, err := os.Readlink(link)
		if err != nil {
			continue // the lock
		}
		if _, err := os.Lstat(s.podDir(uid)); errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, os.Remove(link))
		}
	}
	errs = append(errs, s.sweepBundles())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("sweep state: %w", err)
	}
	return nil
}
