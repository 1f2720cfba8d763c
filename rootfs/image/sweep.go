package image

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/rootfs"
)

// sweep takes away what nothing refers to: what killed processes have left, and
// what an image had alone that was removed. The lock is held exclusively; what is
// large goes with dead, which the caller ends without it. dead can be nil, and is
// there also beside an error.
func (s *Store) sweep() (dead *work, err error) {
	ix, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	layers, blobs := map[string]bool{}, map[string]bool{}
	stale := false
	var damaged []error
	for _, hex := range ix.digests() {
		if !s.whole(hex) {
			ix.drop(hex)
			stale = true
			continue
		}
		rec, err := rootfs.ReadImage(s.dir, "sha256:"+hex)
		m, merr := s.readManifest(hex)
		if err := errors.Join(err, merr); err != nil {
			damaged = append(damaged, err)
			continue
		}
		for _, id := range rec.Layers {
			layers[id] = true
		}
		blobs[hex], blobs[m.Config.Digest.Hex] = true, true
		for _, d := range m.Layers {
			blobs[d.Digest.Hex] = true
		}
	}
	bury := func(path string) error {
		if dead == nil {
			dead, _ = s.newWork()
		}
		if dead != nil && os.Rename(path, filepath.Join(dead.dir, filepath.Base(path))) == nil {
			return nil
		}
		return rootfs.RemoveAll(path) // as where there is no room for a directory
	}
	errs := []error{
		sweepDir(s.manifestsDir(), func(name string) bool {
			return ix.has(strings.TrimSuffix(name, ".json"))
		}, os.Remove),
		sweepDir(s.layoutDir(), func(name string) bool { return !strings.HasPrefix(name, tempPrefix) }, os.Remove),
		s.sweepWork(bury),
	}
	if len(damaged) == 0 { // or it is not known what is theirs
		errs = append(errs,
			sweepDir(s.layersDir(), func(name string) bool { return layers[name] }, bury),
			sweepDir(s.blobsDir(), func(name string) bool { return blobs[name] }, os.Remove))
	}
	// Last: on a full disk there is room for it now.
	if stale {
		errs = append(errs, s.writeIndex(ix))
	}
	if err := errors.Join(append(errs, damaged...)...); err != nil {
		return dead, fmt.Errorf("sweep image store: %w", err)
	}
	return dead, nil
}

// sweepDir removes from dir what is not to be kept.
func sweepDir(dir string, keep func(name string) bool, remove func(path string) error) error {
	entries, err := os.ReadDir(dir)
	errs := []error{err}
	for _, e := range entries {
		if !keep(e.Name()) {
			errs = append(errs, remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// sweepWork removes the work of processes that are gone. Work begins under the
// exclusive lock, which this has.
func (s *Store) sweepWork(bury func(path string) error) error {
	return sweepDir(s.workDir(), func(name string) bool {
		f, err := os.Open(filepath.Join(s.workDir(), name))
		if err != nil {
			return false
		}
		defer f.Close()
		return errors.Is(flock(f, unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
	}, bury)
}
