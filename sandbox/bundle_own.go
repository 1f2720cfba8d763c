package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/rootfs"
)

// A front end that compiles something into a bundle for one pod keeps it in
// RUN/bundles/UID, in memory, as it may hold secrets. It goes with the pod; what a
// killed front end has left, with the next sweep.

func (s *Store) bundlesDir() string { return filepath.Join(s.runRoot(), "bundles") }

// OwnBundle is the directory of the bundle that was made for the pod with that UID
// alone, by [Store.MakeOwnBundle].
func (s *Store) OwnBundle(uid string) string { return filepath.Join(s.bundlesDir(), uid) }

// OwnsBundle reports whether the pod's bundle was made for it alone.
func (p *Pod) OwnsBundle() bool { return p.rec.Bundle == p.store.OwnBundle(p.UID()) }

// saysMore reports whether the pod has what was first needed for such bundles.
func (s *PodSpec) saysMore() bool {
	mount := func(m VolumeMount) bool { return m.RecursiveReadOnly || m.propagation() != "rprivate" }
	container := func(c PodContainer) bool {
		return len(c.AddressEnv) > 0 || slices.ContainsFunc(c.VolumeMounts, mount)
	}
	return slices.ContainsFunc(s.Volumes, func(v PodVolume) bool { return v.BundlePath != nil }) ||
		slices.ContainsFunc(s.VolumeMounts, mount) || slices.ContainsFunc(s.Own(), container)
}

// makerFile in an own bundle says who makes it.
const makerFile = "maker.json"

// bundleMaker is the process that makes an own bundle and then its pod, or executes
// what does.
type bundleMaker struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot
}

// MakeOwnBundle makes the empty directory of a bundle for the pod that is to have
// that UID, and none has yet. It stays while this process lives, be it as another
// program (execve(2)), and then as long as the pod. The run root has to be in
// memory: what is in the bundle must not get onto a disk.
func (s *Store) MakeOwnBundle(uid string) (_ string, retErr error) {
	if !isPodUID(uid) {
		return "", fmt.Errorf("pod UID %q: must match %s", uid, podUIDForm)
	}
	if err := s.prepare(); err != nil {
		return "", err
	}
	if err := inMemory(s.runRoot()); err != nil {
		return "", err
	}
	names, err := s.lockNames()
	if err != nil {
		return "", err
	}
	defer names.Close()
	_ = s.sweep() // what it cannot remove is not in the way, and Sweep tells
	for _, taken := range []string{s.podDir(uid), s.OwnBundle(uid)} {
		if _, err := os.Lstat(taken); err == nil {
			return "", fmt.Errorf("pod with UID %q: %w", uid, fs.ErrExist)
		}
	}
	maker := bundleMaker{PID: os.Getpid()}
	if maker.Start, err = processStart(maker.PID); err != nil {
		return "", err
	}
	if err := os.Mkdir(s.bundlesDir(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make bundle: %w", err)
	}
	tmp, err := os.MkdirTemp(s.bundlesDir(), newPrefix)
	if err != nil {
		return "", fmt.Errorf("make bundle: %w", err)
	}
	defer func() {
		if retErr != nil {
			_ = os.RemoveAll(tmp)
		}
	}()
	if err := writeJSON(filepath.Join(tmp, makerFile), &maker); err != nil {
		return "", err
	}
	if err := os.Rename(tmp, s.OwnBundle(uid)); err != nil {
		return "", fmt.Errorf("make bundle: %w", err)
	}
	return s.OwnBundle(uid), nil
}

// inMemory verifies that dir is in a file system without a disk (statfs(2)).
func inMemory(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if st.Type != unix.TMPFS_MAGIC && st.Type != unix.RAMFS_MAGIC {
		return fmt.Errorf("state root %q: must be on a tmpfs: bundles with secrets are kept there", dir)
	}
	return nil
}

// dropUnused removes a bundle that is a pod's own, of which its creation has failed.
func (s *Store) dropUnused(b *PodBundle) error {
	if uid := filepath.Base(b.Dir); b.Dir == s.OwnBundle(uid) {
		return s.DropOwnBundle(uid)
	}
	return nil
}

// DropOwnBundle removes the bundle of a pod that was not made.
func (s *Store) DropOwnBundle(uid string) error {
	names, err := s.lockNames()
	if err != nil {
		return err
	}
	defer names.Close()
	if _, err := os.Lstat(s.podDir(uid)); err == nil {
		return nil // it was made, and has it
	}
	return s.removeBundle(uid)
}

// removeBundle removes an own bundle. The names are locked.
func (s *Store) removeBundle(uid string) error {
	if err := rootfs.RemoveAll(s.OwnBundle(uid)); err != nil {
		return fmt.Errorf("remove bundle: %w", err)
	}
	_ = unix.Rmdir(s.bundlesDir()) // with the last one
	return nil
}

// sweepBundles removes the bundles of pods that are not there and that nobody is
// about to make. The names are locked.
func (s *Store) sweepBundles() error {
	entries, err := os.ReadDir(s.bundlesDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), newPrefix) {
			if _, err := os.Lstat(s.podDir(e.Name())); err == nil || s.beingMade(e.Name()) {
				continue
			}
		}
		errs = append(errs, s.removeBundle(e.Name()))
	}
	if len(entries) == 0 {
		_ = unix.Rmdir(s.bundlesDir()) // of one who was killed before the first
	}
	return errors.Join(errs...)
}

// beingMade reports whether the maker of an own bundle lives.
func (s *Store) beingMade(uid string) bool {
	var maker bundleMaker
	if err := readJSON(filepath.Join(s.OwnBundle(uid), makerFile), &maker); err != nil {
		return false
	}
	start, err := processStart(maker.PID)
	return err == nil && start == maker.Start
}
