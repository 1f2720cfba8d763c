package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Load puts the images of an archive into the store: a directory that is an OCI
// image layout, or a tar, which may be compressed, of such a one, or one that
// `docker save` has written. file is its path, empty to read r. They get the names
// that the archive says, or the one image that there is gets name.
func (s *Store) Load(ctx context.Context, file string, r io.Reader, name string) (_ []Image, retErr error) {
	from := file
	if from == "" {
		from = "standard input"
	}
	if name != "" {
		full, err := Normalize(name)
		if err != nil {
			return nil, err
		}
		name = full
	}
	defer func() {
		if retErr != nil {
			retErr = fmt.Errorf("load %s: %w", from, retErr)
		}
	}()
	w, err := s.begin()
	if err != nil {
		return nil, err
	}
	defer func() { retErr = errors.Join(retErr, w.end()) }()
	dir := file
	if st, err := os.Stat(file); file == "" || err == nil && !st.IsDir() {
		if file != "" {
			f, err := os.Open(file)
			if err != nil {
				return nil, err
			}
			defer f.Close()
			r = f
		}
		if dir, err = w.temp(); err != nil {
			return nil, err
		}
		if err := spread(ctx, r, dir); err != nil {
			return nil, err
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	found, err := s.sources(ctx, w, root)
	if err != nil {
		return nil, err
	}
	if name != "" && len(found) != 1 {
		return nil, fmt.Errorf("has %d images: only one can be given the name %q", len(found), name)
	}
	var images []Image
	for _, f := range found {
		names := f.names
		if name != "" {
			names = []string{name}
		}
		if len(names) == 0 {
			names = []string{""}
		}
		var img Image
		for _, n := range names {
			if img, err = s.add(ctx, w, f.source, n); err != nil {
				return images, err
			}
		}
		images = append(images, img)
	}
	return images, nil
}

// found is an image of an archive.
type found struct {
	*source
	names []string // full ones
}

// sources finds the images in a directory.
func (s *Store) sources(ctx context.Context, w *work, root *os.Root) ([]found, error) {
	switch {
	case isIn(root, "index.json"): // also what docker save writes since its version 25
		return layoutSources(ctx, root)
	case isIn(root, "manifest.json"):
		return dockerSources(ctx, w, root)
	}
	return nil, errors.New("has neither an index.json, as an OCI image layout has, nor a manifest.json, as `docker save` writes")
}
