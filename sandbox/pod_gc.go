package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/rootfs"
)

// CollectGarbage takes back all that is nobody's: what killed processes have left
// of pods that do not exist, and what pods of earlier boots of this host had on
// disk and in networks. It returns the directories with volumes and layers that it
// removed. What it does not get to is there for the next time.
func (s *Store) CollectGarbage(ctx context.Context) (removed []string, err error) {
	errs := []error{s.Sweep()}
	removed, err = s.dropEarlierBoots(ctx)
	errs = append(errs, err)
	nets, err := s.networks()
	if err != nil {
		return removed, errors.Join(append(errs, err)...)
	}
	if _, err := os.Lstat(nets.Run); err == nil { // else no pod of this boot had a network
		errs = append(errs, nets.Sweep())
	}
	return removed, errors.Join(append(errs, s.collectCNI(ctx))...)
}

// dropEarlierBoots removes the lasting directories and logs of pods that were made
// in an earlier boot and have no record any more: with the run root in memory a
// reboot takes the records along, with volumes and layers nobody's then.
func (s *Store) dropEarlierBoots(ctx context.Context) (removed []string, err error) {
	entries, err := os.ReadDir(s.podLibDirs())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // no pod was ever made
	}
	if err != nil {
		return nil, fmt.Errorf("collect garbage: %w", err)
	}
	lock, err := openFile(filepath.Join(s.libRoot(), "gc.lock"), unix.O_RDWR|unix.O_CREAT, 0o600)
	if err != nil {
		return nil, fmt.Errorf("collect garbage: %w", err)
	}
	defer lock.Close()
	if err := flock(lock, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("collect garbage: lock %q: another podrt is at it: %w", lock.Name(), err)
	}
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, e := range entries {
		if !e.IsDir() || ctx.Err() != nil {
			continue
		}
		dir := filepath.Join(s.podLibDirs(), e.Name())
		if !strings.HasPrefix(e.Name(), deadPrefix) {
			if dir, err = s.bury(e.Name(), boot); err != nil {
				errs = append(errs, fmt.Errorf("collect garbage: %w", err))
			}
			if dir == "" {
				continue
			}
		}
		if err := rootfs.RemoveAll(dir); err != nil {
			errs = append(errs, fmt.Errorf("collect garbage: %w", err))
			continue
		}
		removed = append(removed, filepath.Join(s.podLibDirs(), e.Name()))
	}
	return removed, errors.Join(append(errs, ctx.Err())...)
}

// abandoned tells whether a pod's lasting directory is of an earlier boot, and the
// pod has no record any more, in whatever run root it was made with.
func (s *Store) abandoned(uid, boot string) (bool, error) {
	o, err := readOwner(s.podLibDir(uid))
	if err != nil || o.BootID == "" || o.BootID == boot || o.RunRoot == "" {
		return false, nil // of no boot yet, or not podrt's
	}
	owner := Store{RunRoot: o.RunRoot}
	for _, record := range []string{owner.podDir(uid), s.podDir(uid)} {
		if _, err := os.Lstat(record); !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	return true, nil
}

// bury gives the lasting directory of a pod of an earlier boot a name that is no
// pod's, under which it may take its time to go, and returns that; none if it is
// not abandoned.
func (s *Store) bury(uid, boot string) (string, error) {
	names, err := s.lockNames()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err == nil {
		defer names.Close()
	}
	if abandoned, err := s.abandoned(uid, boot); err != nil || !abandoned {
		return "", err
	}
	dir := s.podLibDir(uid)
	if o, err := readOwner(dir); err == nil && o.RunRoot == s.runRoot() {
		if err := rootfs.RemoveAll(s.podLogDir(uid)); err != nil {
			return "", err
		}
	}
	dead := filepath.Join(s.podLibDirs(), deadPrefix+uid+"-"+newUID()[:8])
	if err := os.Rename(dir, dead); err != nil {
		return "", err
	}
	// Another store's pod of that UID, made anew this instant: not by this one, for
	// which the names are locked.
	if o, err := readOwner(dead); err == nil && o.BootID == boot {
		if err := unix.Renameat2(unix.AT_FDCWD, dead, unix.AT_FDCWD, dir, unix.RENAME_NOREPLACE); err != nil {
			return "", &os.LinkError{Op: "rename", Old: dead, New: dir, Err: err}
		}
		return "", nil
	}
	return dead, nil
}
