package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// refName is the annotation that names an image in an index
// (https://github.com/opencontainers/image-spec/blob/main/annotations.md).
const refName = "org.opencontainers.image.ref.name"

// index is the layout's index.json: a descriptor for each name of an image, or one
// without a name.
type index struct{ v1.IndexManifest }

// readIndex reads index.json; an empty one where there is none. The lock is held.
func (s *Store) readIndex() (*index, error) {
	ix := &index{v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}}
	file := filepath.Join(s.layoutDir(), "index.json")
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return ix, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read image index: %w", err)
	}
	m, err := v1.ParseIndexManifest(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read image index %q: %w", file, err)
	}
	ix.IndexManifest = *m
	return ix, nil
}

// writeIndex replaces index.json. The lock is held exclusively.
func (s *Store) writeIndex(ix *index) error {
	if ix.Manifests == nil {
		ix.Manifests = []v1.Descriptor{}
	}
	data, err := json.MarshalIndent(ix.IndexManifest, "", "  ")
	if err == nil {
		err = writeFile(filepath.Join(s.layoutDir(), "index.json"), data)
	}
	if err != nil {
		return fmt.Errorf("write image index: %w", err)
	}
	return nil
}

// digests returns the digests of all images, each once, in hexadecimal.
func (ix *index) digests() []string {
	var all []string
	for _, d := range ix.Manifests {
		if !slices.Contains(all, d.Digest.Hex) {
			all = append(all, d.Digest.Hex)
		}
	}
	return all
}

// named returns the digest of the image with that full name; empty if none has it.
func (ix *index) named(full string) string {
	for _, d := range ix.Manifests {
		if d.Annotations[refName] == full {
			return d.Digest.Hex
		}
	}
	return ""
}

// names returns the names of an image, sorted.
func (ix *index) names(hex string) []string {
	var names []string
	for _, d := range ix.Manifests {
		if n := d.Annotations[refName]; d.Digest.Hex == hex && n != "" {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// add puts an image in, under a name if full is not empty. An image that had the
// name stays, without it.
func (ix *index) add(desc v1.Descriptor, full string) {
	if full != "" {
		ix.untag(full)
		// Instead of the one without a name.
		ix.Manifests = slices.DeleteFunc(ix.Manifests, func(d v1.Descriptor) bool {
			return d.Digest == desc.Digest && d.Annotations[refName] == ""
		})
		desc.Annotations = map[string]string{refName: full}
	} else if slices.Contains(ix.digests(), desc.Digest.Hex) {
		return
	}
	ix.Manifests = append(ix.Manifests, desc)
}

// untag takes a name from the image that has it, which stays.
func (ix *index) untag(full string) {
	i := slices.IndexFunc(ix.Manifests, func(d v1.Descriptor) bool { return d.Annotations[refName] == full })
	if i < 0 {
		return
	}
	if len(ix.names(ix.Manifests[i].Digest.Hex)) > 1 {
		ix.Manifests = slices.Delete(ix.Manifests, i, i+1)
		return
	}
	ix.Manifests[i].Annotations = nil
}

// drop takes an image out, with all of its names.
func (ix *index) drop(hex string) {
	ix.Manifests = slices.DeleteFunc(ix.Manifests, func(d v1.Descriptor) bool { return d.Digest.Hex == hex })
}

// readManifest reads an image's manifest from the layout.
func (s *Store) readManifest(hex string) (*v1.Manifest, error) {
	data, err := os.ReadFile(s.blobFile(hex))
	if err != nil {
		return nil, fmt.Errorf("image sha256:%s: %w", hex, err)
	}
	m, err := v1.ParseManifest(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("image sha256:%s: manifest: %w", hex, err)
	}
	return m, nil
}

// has tells whether an image is in the index.
func (ix *index) has(hex string) bool {
	return slices.ContainsFunc(ix.Manifests, func(d v1.Descriptor) bool { return d.Digest.Hex == hex })
}
