package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

// ErrNotExist is an image that the store does not have.
var ErrNotExist = errors.New("no such image")

// Image is an image of one platform that is whole in the store.
type Image struct {
	// Digest is the manifest's, and what pod.json has for "image".
	Digest v1.Hash
	// Names are full references, sorted; none of an image whose name another has got.
	Names  []string
	Config v1.ConfigFile
	// Size is that of the manifest, the configuration and the layers as they were
	// fetched, in bytes; layers may be other images' as well.
	Size int64
}

// Name is a name for people: the first, or else the digest.
func (i *Image) Name() string {
	if len(i.Names) > 0 {
		return i.Names[0]
	}
	return i.Digest.String()
}

// How much of a digest says which image is meant, in digits: fewer are too easily
// the beginning of another's.
const (
	minPrefix        = 4
	minRemovalPrefix = 8
	noPrefix         = hexLen + 1
)

// Resolve finds an image by reference, by digest (sha256:HEX), or by a unique prefix
// of the digest's hexadecimal digits, at least four, in this order. The error is
// ErrNotExist when there is none.
func (s *Store) Resolve(ref string) (Image, error) { return s.resolve(ref, minPrefix) }

// Named is Resolve without prefixes: for a reference of a manifest, which must not
// come to mean an image whose digest happens to begin so.
func (s *Store) Named(ref string) (Image, error) { return s.resolve(ref, noPrefix) }

func (s *Store) resolve(ref string, prefix int) (Image, error) {
	lock, err := s.lock(unix.LOCK_SH)
	if err != nil {
		return Image{}, err
	}
	defer lock.Close()
	ix, err := s.readIndex()
	if err != nil {
		return Image{}, err
	}
	hex, _, err := s.find(ix, ref, prefix)
	if err != nil {
		return Image{}, err
	}
	return s.load(ix, hex)
}

// find returns the digest of the image that ref means, in hexadecimal, and the full
// name if ref is one. The lock is held.
func (s *Store) find(ix *index, ref string, prefix int) (hex, full string, err error) {
	var whole []string
	for _, h := range ix.digests() {
		if s.whole(h) {
			whole = append(whole, h)
		}
	}
	if hex, ok := strings.CutPrefix(ref, "sha256:"); ok && len(hex) == hexLen {
		if slices.Contains(whole, hex) {
			return hex, "", nil
		}
		return "", "", fmt.Errorf("image %q: %w", ref, ErrNotExist)
	}
	r, badName := parseReference(ref)
	if badName == nil {
		if hex := ix.named(r.String()); slices.Contains(whole, hex) {
			return hex, r.String(), nil
		}
		// Of whatever repository: a digest is that of the content.
		if hex := strings.TrimPrefix(r.digest, "sha256:"); slices.Contains(whole, hex) {
			return hex, "", nil
		}
	}
	var fit []string
	if isHex(ref) && len(ref) >= prefix {
		for _, h := range whole {
			if strings.HasPrefix(h, ref) {
				fit = append(fit, h)
			}
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], "", nil
	case len(fit) > 1:
		return "", "", fmt.Errorf("image %q: prefix fits %d images: sha256:%s", ref, len(fit), strings.Join(fit, ", sha256:"))
	case badName != nil:
		return "", "", badName
	}
	return "", "", fmt.Errorf("image %q: %w", r.String(), ErrNotExist)
}

// List returns all images, in the order in which they were added.
func (s *Store) List() ([]Image, error) {
	lock, err := s.lock(unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	ix, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	var images []Image
	var errs []error
	for _, hex := range ix.digests() {
		if !s.whole(hex) {
			continue
		}
		img, err := s.load(ix, hex)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		images = append(images, img)
	}
	return images, errors.Join(errs...)
}

// whole tells whether an image is whole.
func (s *Store) whole(hex string) bool {
	_, err := os.Lstat(s.manifestFile(hex))
	return err == nil
}

// load reads an image. The lock is held.
func (s *Store) load(ix *index, hex string) (Image, error) {
	img := Image{Digest: v1.Hash{Algorithm: "sha256", Hex: hex}, Names: ix.names(hex)}
	m, err := s.readManifest(hex)
	if err != nil {
		return Image{}, err
	}
	for _, d := range append(slices.Clone(m.Layers), m.Config) {
		img.Size += d.Size
	}
	data, err := os.ReadFile(s.blobFile(m.Config.Digest.Hex))
	if err != nil {
		return Image{}, fmt.Errorf("image sha256:%s: %w", hex, err)
	}
	if err := json.Unmarshal(data, &img.Config); err != nil {
		return Image{}, fmt.Errorf("image sha256:%s: configuration: %w", hex, err)
	}
	return img, nil
}

// hexLen is the length of a SHA-256 in hexadecimal.
const hexLen = 64

func isHex(s string) bool { return s != "" && strings.Trim(s, "0123456789abcdef") == "" }
