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
// what an image had alone that was removed. The lock is held exclusively.
func (s *Store) sweep() error {
	ix, err := s.readIndex()
	if err != nil {
		return err
	}
	stale := false
	for _, hex := range ix.digests() {
		if !s.whole(hex) {
			ix.drop(hex)
			stale = true
		}
	}
	if stale {
		if err := s.writeIndex(ix); err != nil {
			return err
		}
	}
	layers, blobs := map[string]bool{}, map[string]bool{}
	for _, hex := range ix.digests() {
		rec, err := rootfs.ReadImage(s.dir, "sha256:"+hex)
		if err != nil {
			return err
		}
		for _, id := range rec.Layers {
			layers[id] = true
		}
		m, err := s.readManifest(hex)
		if err != nil {
			return err
		}
		blobs[hex], blobs[m.Config.Digest.Hex] = true, true
		for _, d := range m.Layers {
			blobs[d.Digest.Hex] = true
		}
	}
	err = errors.Join(
		sweepDir(s.manifestsDir(), func(name string) bool {
			return ix.has(strings.TrimSuffix(name, ".json"))
		}, os.Remove),
		sweepDir(s.layersDir(), func(name string) bool { return layers[name] }, rootfs.RemoveAll),
		sweepDir(s.blobsDir(), func(name string) bool { return blobs[name] }, os.Remove),
		sweepDir(s.layoutDir(), func(name string) bool { return !strings.HasPrefix(name, tempPrefix) }, os.Remove),
		s.sweepWork(),
	)
	if err != nil {
		return fmt.Errorf("sweep image store: %w", err)
	}
	return nil
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
func (s *Store) sweepWork() error {
	return sweepDir(s.workDir(), func(name string) bool {
		f, err := os.Open(filepath.Join(s.workDir(), name))
		if err != nil {
			return false
		}
		defer f.Close()
		return errors.Is(flock(f, unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
	}, rootfs.RemoveAll)
}
