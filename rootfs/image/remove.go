package image

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
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
	dead, err := s.remove(ref, users)
	_ = lock.Close()
	return errors.Join(err, dead.end())
}

// remove is Remove with the lock held, but for the work dead, which is to be ended
// without it.
func (s *Store) remove(ref string, users Users) (dead *work, err error) {
	ix, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	hex, full, err := s.find(ix, ref, minRemovalPrefix)
	if err != nil {
		return nil, err
	}
	if names := ix.names(hex); full == "" && elsewhere(ref, names) {
		return nil, fmt.Errorf("image %q: %w: what has the digest is %s", ref, ErrNotExist, strings.Join(names, ", "))
	}
	if full != "" && len(ix.names(hex)) > 1 {
		ix.untag(full)
		return nil, s.writeIndex(ix)
	}
	used, err := users()
	if err != nil {
		return nil, fmt.Errorf("remove image %q: %w", ref, err)
	}
	if pods := used["sha256:"+hex]; len(pods) > 0 {
		return nil, fmt.Errorf("remove image %q (sha256:%s): %w by %s; remove what uses it first", ref, hex, ErrInUse, quoted(pods))
	}
	// From now on no pod is made of it, and all else is for the sweep.
	if err := os.Remove(s.manifestFile(hex)); err != nil {
		return nil, fmt.Errorf("remove image %q: %w", ref, err)
	}
	return s.sweep()
}

// elsewhere tells whether ref is REPOSITORY@DIGEST, and names are all of other
// repositories: the digest is that of the content, which may have come from there too,
// but it is not what is to be removed.
func elsewhere(ref string, names []string) bool {
	r, err := parseReference(ref)
	return err == nil && r.digest != "" && len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool {
		n, err := parseReference(name)
		return err == nil && n.domain == r.domain && n.path == r.path
	})
}

// Prune removes the images that have no name and that no pod uses, and what killed
// processes have left. It returns what it removed; that also beside an error.
func (s *Store) Prune(users Users) ([]Image, error) {
	lock, err := s.lock(unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	removed, dead, err := s.prune(users)
	_ = lock.Close()
	return removed, errors.Join(err, dead.end())
}

// prune is to Prune as remove is to Remove.
func (s *Store) prune(users Users) (removed []Image, dead *work, err error) {
	ix, err := s.readIndex()
	if err != nil {
		return nil, nil, err
	}
	used, err := users()
	if err != nil {
		return nil, nil, fmt.Errorf("prune images: %w", err)
	}
	for _, hex := range ix.digests() {
		if len(ix.names(hex)) > 0 || len(used["sha256:"+hex]) > 0 || !s.whole(hex) {
			continue
		}
		img, err := s.load(ix, hex)
		if err != nil { // damaged: the more it has to go
			img = Image{Digest: v1.Hash{Algorithm: "sha256", Hex: hex}}
		}
		if err := os.Remove(s.manifestFile(hex)); err != nil {
			return removed, nil, fmt.Errorf("remove image %q: %w", img.Name(), err)
		}
		removed = append(removed, img)
	}
	dead, err = s.sweep()
	return removed, dead, err
}

// quoted lists pods.
func quoted(pods []string) string {
	if len(pods) == 1 {
		return fmt.Sprintf("pod %q", pods[0])
	}
	return `pods "` + strings.Join(pods, `", "`) + `"`
}
