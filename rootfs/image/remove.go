package image

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrInUse is an image that a pod is made of.
var ErrInUse = errors.New("image is in use")

// Users returns which pods use which images: names of pods by digest, sha256:HEX.
// It is called with the store locked.
type Users func() (map[string][]string, error)

// Remove takes a name from an image; with its last name, or by digest or by at least
// eight digits of it, the image goes, and what of it no other image has. The error
// is ErrInUse when a pod uses it.
func (s *Store) Remove(ref string, users Users) error {
	lock, err := s.lock(unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer lock.Close()
	ix, err := s.readIndex()
	if err != nil {
		return err
	}
	hex, full, err := s.find(ix, ref, minRemovalPrefix)
	if err != nil {
		return err
	}
	if full != "" && len(ix.names(hex)) > 1 {
		ix.untag(full)
		return s.writeIndex(ix)
	}
	used, err := users()
	if err != nil {
		return fmt.Errorf("remove image %q: %w", ref, err)
	}
	if pods := used["sha256:"+hex]; len(pods) > 0 {
		return fmt.Errorf("remove image %q (sha256:%s): %w by %s; remove what uses it first", ref, hex, ErrInUse, quoted(pods))
	}
	if err := s.drop(ix, hex); err != nil {
		return fmt.Errorf("remove image %q: %w", ref, err)
	}
	return s.sweep()
}

// drop takes an image out. The lock is held exclusively, and sweep is to follow.
func (s *Store) drop(ix *index, hex string) error {
	// First, so that from now on no pod is made of it.
	if err := os.Remove(s.manifestFile(hex)); err != nil {
		return err
	}
	ix.drop(hex)
	return s.writeIndex(ix)
}

// Prune removes the images that have no name and that no pod uses, and what killed
// processes have left. It returns what it removed; that also beside an error.
func (s *Store) Prune(users Users) ([]Image, error) {
	lock, err := s.lock(unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	ix, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	used, err := users()
	if err != nil {
		return nil, fmt.Errorf("prune images: %w", err)
	}
	var removed []Image
	for _, hex := range ix.digests() {
		if len(ix.names(hex)) > 0 || len(used["sha256:"+hex]) > 0 || !s.whole(hex) {
			continue
		}
		img, err := s.load(ix, hex)
		if err != nil {
			return removed, err
		}
		if err := s.drop(ix, hex); err != nil {
			return removed, fmt.Errorf("remove image %q: %w", img.Name(), err)
		}
		removed = append(removed, img)
	}
	return removed, s.sweep()
}

// quoted lists pods.
func quoted(pods []string) string {
	if len(pods) == 1 {
		return fmt.Sprintf("pod %q", pods[0])
	}
	return `pods "` + strings.Join(pods, `", "`) + `"`
}
