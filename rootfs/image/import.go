package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Import makes an image with that name of a root file system, a tar that may be
// compressed, read from r. Changes are instructions of a Dockerfile: CMD,
// ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR.
func (s *Store) Import(ctx context.Context, r io.Reader, ref string, changes []string) (_ Image, retErr error) {
	full, err := Normalize(ref)
	if err != nil {
		return Image{}, err
	}
	now := v1.Time{Time: time.Now().UTC()}
	c := v1.ConfigFile{
		OS: "linux", Architecture: runtime.GOARCH, Created: now,
		History: []v1.History{{Created: now, Comment: "podrt image import"}},
	}
	for _, instruction := range changes {
		if err := change(&c.Config, instruction); err != nil {
			return Image{}, fmt.Errorf("change %q: %w", instruction, err)
		}
	}
	defer func() {
		if retErr != nil {
			retErr = fmt.Errorf("import image %q: %w", full, retErr)
		}
	}()
	w, err := s.begin()
	if err != nil {
		return Image{}, err
	}
	defer func() { retErr = errors.Join(retErr, w.end()) }()
	layer, err := w.layerBlob(ctx, r)
	if err != nil {
		return Image{}, err
	}
	f, err := os.Open(w.blob(layer.Digest.Hex))
	if err != nil {
		return Image{}, err
	}
	defer f.Close()
	diffID, err := w.unpack(ctx, f, "")
	if err != nil {
		return Image{}, err
	}
	c.RootFS = v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{{Algorithm: "sha256", Hex: diffID}}}
	config, err := json.Marshal(c)
	if err != nil {
		return Image{}, err
	}
	src, err := w.source(config, []v1.Descriptor{layer})
	if err != nil {
		return Image{}, err
	}
	return s.add(ctx, w, src, full)
}
