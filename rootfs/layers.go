package rootfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ImageRecord is manifests/HEX.json of an image store: the layers of the image whose
// manifest has that SHA-256. Package image, below, writes it.
type ImageRecord struct {
	// Layers are DiffIDs in hexadecimal, each once, lowest first.
	Layers []string `json:"layers"`
}

// ReadImage reads the record of an image, by its digest, sha256:HEX, from the image
// store in the directory images. fs.ErrNotExist when the store does not have it.
func ReadImage(images, digest string) (ImageRecord, error) {
	var rec ImageRecord
	hex, ok := strings.CutPrefix(digest, "sha256:")
	if !ok || !isSHA256(hex) {
		return rec, fmt.Errorf("image %q: is no digest", digest)
	}
	file := filepath.Join(images, "manifests", hex+".json")
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return rec, fmt.Errorf("image %q is not in the store %q: %w", digest, images, fs.ErrNotExist)
	}
	if err != nil {
		return rec, fmt.Errorf("image %q: %w", digest, err)
	}
	if err := json.Unmarshal(data, &rec); err != nil {
		return rec, fmt.Errorf("image %q: read %q: %w", digest, file, err)
	}
	for _, id := range rec.Layers {
		if !isSHA256(id) { // it becomes part of a path
			return rec, fmt.Errorf("image %q: read %q: layer %q is no SHA-256", digest, file, id)
		}
	}
	if n := len(rec.Layers); n == 0 || n > MaxLayers {
		return rec, fmt.Errorf("image %q: has %d layers: must be 1 to %d", digest, n, MaxLayers)
	}
	return rec, nil
}

// ImageLayers returns the directories of an image's unpacked layers, topmost first,
// all of which are there, down to one that hides those below.
func ImageLayers(images, digest string) ([]string, error) {
	rec, err := ReadImage(images, digest)
	if err != nil {
		return nil, err
	}
	dirs, hidden := make([]string, 0, len(rec.Layers)), false
	for _, id := range slices.Backward(rec.Layers) {
		dir := filepath.Join(images, "layers", id)
		var st unix.Stat_t
		if err := unix.Lstat(dir, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			return nil, fmt.Errorf("image %q is damaged: layer %q: %w", digest, dir, unix.ENOTDIR)
		} else if err != nil {
			return nil, fmt.Errorf("image %q is damaged: layer %q: %w", digest, dir, err)
		}
		if !hidden {
			dirs = append(dirs, dir)
		}
		// overlayfs looks for this mark in what is in a layer, and not at its root.
		var mark [1]byte
		if n, err := unix.Lgetxattr(dir, "trusted.overlay.opaque", mark[:]); err == nil && n == 1 && mark[0] == 'y' {
			hidden = true
		}
	}
	return dirs, nil
}

// isSHA256 tells whether s is one in hexadecimal, in lower case.
func isSHA256(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
