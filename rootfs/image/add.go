package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/rootfs"
)

// source is an image outside of the store.
type source struct {
	raw      []byte // the manifest as it is
	manifest *v1.Manifest
	// open returns a blob of the manifest, which need not be what it should.
	open func(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error)
}

// Bounds of what an image can ask for; what is larger has no place in a real one.
const (
	maxManifest = 4 << 20 // bytes, as registries have
	maxConfig   = 4 << 20 // bytes, as podman has; decoded it can be forty times that
)

// parseSource reads a manifest.
func parseSource(raw []byte, open func(context.Context, v1.Descriptor) (io.ReadCloser, error)) (*source, error) {
	if len(raw) > maxManifest {
		return nil, fmt.Errorf("manifest has %d bytes: at most %d are read", len(raw), maxManifest)
	}
	m := new(v1.Manifest)
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	src := &source{raw: raw, manifest: m, open: open}
	return src, src.check()
}

// check refuses a manifest that is not one of a container's image.
func (src *source) check() error {
	m := src.manifest
	if m.MediaType != "" && !m.MediaType.IsImage() { // it goes into the store's index
		return fmt.Errorf("manifest: mediaType %q: it is of no image", m.MediaType)
	}
	if !m.Config.MediaType.IsConfig() {
		return fmt.Errorf("manifest: config.mediaType %q: it is of no container image", m.Config.MediaType)
	}
	sizes := map[v1.Hash]int64{}
	for _, d := range append(slices.Clone(m.Layers), m.Config) {
		size, ok := sizes[d.Digest]
		sizes[d.Digest] = d.Size
		switch {
		case ok && size != d.Size: // each is fetched once
			return fmt.Errorf("manifest: blob %s: sizes %d and %d", d.Digest, size, d.Size)
		case d.Digest.Algorithm != "sha256" || len(d.Digest.Hex) != hexLen || !isHex(d.Digest.Hex):
			return fmt.Errorf("manifest: digest %q is no SHA-256", d.Digest)
		case d.Size < 0:
			return fmt.Errorf("manifest: blob %s: size %d", d.Digest, d.Size)
		case !d.MediaType.IsDistributable():
			return fmt.Errorf("manifest: layer %s is of the type %q, which no registry passes on", d.Digest, d.MediaType)
		}
	}
	if m.Config.Size > maxConfig {
		return fmt.Errorf("manifest: config.size %d: at most %d bytes are read", m.Config.Size, maxConfig)
	}
	return nil
}

// diffIDs reads the configuration, a verified blob, and returns the DiffIDs of the
// layers, in hexadecimal, one for each in the manifest.
func (src *source) diffIDs(config []byte) ([]string, error) {
	var c v1.ConfigFile
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if c.OS != "linux" && c.OS != "" {
		return nil, fmt.Errorf("configuration: os %q: must be linux", c.OS)
	}
	ids := c.RootFS.DiffIDs
	if len(ids) != len(src.manifest.Layers) {
		return nil, fmt.Errorf("configuration: rootfs.diff_ids has %d entries; the manifest has %d layers", len(ids), len(src.manifest.Layers))
	}
	hexes := make([]string, len(ids))
	for i, id := range ids {
		if id.Algorithm != "sha256" || len(id.Hex) != hexLen || !isHex(id.Hex) {
			return nil, fmt.Errorf("configuration: rootfs.diff_ids[%d] %q is no SHA-256", i, id)
		}
		hexes[i] = id.Hex
	}
	if n := len(stack(hexes)); n == 0 || n > rootfs.MaxLayers {
		return nil, fmt.Errorf("image has %d layers: must be 1 to %d to be mounted", n, rootfs.MaxLayers)
	}
	return hexes, nil
}

// stack leaves each layer once, where it is topmost: all that one further down
// has is hidden by it, and an overlay takes none twice.
func stack(diffIDs []string) []string {
	kept := []string{}
	for i, id := range diffIDs {
		if !slices.Contains(diffIDs[i+1:], id) {
			kept = append(kept, id)
		}
	}
	return kept
}

// maxAtOnce is how many layers are unpacked at once, each of which may take a few
// times maxWindow of memory.
const maxAtOnce = 6

// maxAttempts bounds how often what others remove meanwhile is fetched again.
const maxAttempts = 10

// add puts an image into the store, under its full name if that is not empty. What
// the store or w has is not fetched.
func (s *Store) add(ctx context.Context, w *work, src *source, full string) (Image, error) {
	digest, err := w.put(src.raw)
	if err != nil {
		return Image{}, err
	}
	for range maxAttempts {
		if err := s.fetch(ctx, w, src); err != nil {
			return Image{}, err
		}
		// Without power, layers must not be half there that their image says are whole.
		// Now, as with the lock pods would wait for the disk.
		if !s.whole(digest.Hex) {
			if err := syncfs(w.dir); err != nil {
				return Image{}, err
			}
		}
		img, err := s.commit(ctx, w, src, digest, full)
		if !errors.Is(err, errIncomplete) {
			return img, err
		}
	}
	return Image{}, fmt.Errorf("%w, %d times", errIncomplete, maxAttempts)
}

// errIncomplete is an image whose parts in the store were removed while others were
// fetched.
var errIncomplete = errors.New("another podrt has removed parts of the image meanwhile")

// fetch has every blob and layer of an image be in the store or in w.
func (s *Store) fetch(ctx context.Context, w *work, src *source) error {
	if err := s.fetchBlob(ctx, w, src, src.manifest.Config); err != nil {
		return err
	}
	diffIDs, err := s.readDiffIDs(w, src)
	if err != nil {
		return err
	}
	// One layer may wait for the network while another is unpacked.
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(min(maxAtOnce, runtime.GOMAXPROCS(0)+1))
	seen := map[string]bool{}
	for i, d := range src.manifest.Layers {
		if seen[d.Digest.Hex+diffIDs[i]] {
			continue
		}
		seen[d.Digest.Hex+diffIDs[i]] = true
		g.Go(func() error {
			if err := s.fetchLayer(ctx, w, src, d, diffIDs[i]); err != nil {
				return fmt.Errorf("layer %s: %w", d.Digest, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// readDiffIDs is diffIDs of the configuration that was fetched.
func (s *Store) readDiffIDs(w *work, src *source) ([]string, error) {
	f, err := s.openBlob(w, src.manifest.Config.Digest.Hex)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errIncomplete
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	config, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	return src.diffIDs(config)
}

// fetchBlob fetches a blob that neither the store nor w has. One that is there has to
// be of its size too, which bounds what is read of it.
func (s *Store) fetchBlob(ctx context.Context, w *work, src *source, d v1.Descriptor) error {
	for _, file := range []string{w.blob(d.Digest.Hex), s.blobFile(d.Digest.Hex)} {
		if st, err := os.Lstat(file); err == nil && st.Size() != d.Size {
			return fmt.Errorf("blob %s: has %d bytes; its descriptor says %d", d.Digest, st.Size(), d.Size)
		} else if err == nil {
			return nil
		}
	}
	r, err := src.open(ctx, d)
	if err != nil {
		return err
	}
	defer r.Close()
	if _, _, err := w.spool(ctx, r, &d); err != nil {
		return fmt.Errorf("blob %s: %w", d.Digest, err)
	}
	return nil
}

// fetchLayer fetches a layer and unpacks it. That the blob is of this DiffID is
// verified also where another image has the layer already.
func (s *Store) fetchLayer(ctx context.Context, w *work, src *source, d v1.Descriptor, diffID string) error {
	if err := s.fetchBlob(ctx, w, src, d); err != nil {
		return err
	}
	unpacked := exists(w.layer(diffID)) || exists(s.layerDir(diffID))
	if unpacked && s.verified(d.Digest.Hex, diffID) {
		return nil
	}
	f, err := s.openBlob(w, d.Digest.Hex)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed by now: commit tells, and it is fetched again
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if !unpacked {
		_, err = w.unpack(ctx, f, diffID)
		return err
	}
	got, err := readLayer(ctx, f, func(io.Reader) error { return nil })
	if err == nil && got != diffID {
		err = fmt.Errorf("has the DiffID sha256:%s; the image's configuration says sha256:%s", got, diffID)
	}
	return err
}

// verified tells whether an image of the store has a blob as the layer diffID.
func (s *Store) verified(blob, diffID string) bool {
	lock, err := s.lock(unix.LOCK_SH)
	if err != nil {
		return false
	}
	defer lock.Close()
	ix, err := s.readIndex()
	if err != nil {
		return false
	}
	for _, hex := range ix.digests() {
		if !s.whole(hex) {
			continue
		}
		m, err := s.readManifest(hex)
		if err != nil {
			continue
		}
		i := slices.IndexFunc(m.Layers, func(d v1.Descriptor) bool { return d.Digest.Hex == blob })
		if i < 0 {
			continue
		}
		if img, err := s.load(ix, hex); err == nil && img.Config.RootFS.DiffIDs[i].Hex == diffID {
			return true
		}
	}
	return false
}

// openBlob opens a blob in w, or else in the store.
func (s *Store) openBlob(w *work, hex string) (*os.File, error) {
	f, err := os.Open(w.blob(hex))
	if errors.Is(err, fs.ErrNotExist) {
		f, err = os.Open(s.blobFile(hex))
	}
	return f, err
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// commit puts into place what was fetched, and names the image. The error is
// errIncomplete when others have removed what the store had before.
func (s *Store) commit(ctx context.Context, w *work, src *source, digest v1.Hash, full string) (Image, error) {
	lock, err := s.lock(unix.LOCK_EX)
	if err != nil {
		return Image{}, err
	}
	defer lock.Close()
	diffIDs, err := s.readDiffIDs(w, src)
	if err != nil {
		return Image{}, err
	}
	layers := stack(diffIDs)
	blobs := []string{digest.Hex, src.manifest.Config.Digest.Hex}
	for _, d := range src.manifest.Layers {
		blobs = append(blobs, d.Digest.Hex)
	}
	for _, move := range []struct {
		names    []string
		from, to func(string) string
	}{{layers, w.layer, s.layerDir}, {blobs, w.blob, s.blobFile}} {
		for _, name := range move.names {
			if exists(move.to(name)) {
				continue
			}
			err := os.Rename(move.from(name), move.to(name))
			if errors.Is(err, fs.ErrNotExist) {
				return Image{}, errIncomplete
			}
			if err != nil {
				return Image{}, err
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return Image{}, err
	}
	return s.publish(src, digest, layers, full)
}

// publish has an image be whole, whose parts are all in place. The lock is held
// exclusively.
func (s *Store) publish(src *source, digest v1.Hash, layers []string, full string) (Image, error) {
	ix, err := s.readIndex()
	if err != nil {
		return Image{}, err
	}
	desc := v1.Descriptor{MediaType: src.mediaType(), Digest: digest, Size: int64(len(src.raw))}
	if !s.whole(digest.Hex) {
		// In the index first, so that whatever is whole is known; the name comes
		// last, so that nobody finds it at an image that is not.
		ix.add(desc, "")
		if err := s.writeIndex(ix); err != nil {
			return Image{}, err
		}
		data, err := json.Marshal(rootfs.ImageRecord{Layers: layers})
		if err != nil {
			return Image{}, err
		}
		if err := writeFile(s.manifestFile(digest.Hex), data); err != nil {
			return Image{}, err
		}
	}
	if full != "" && ix.named(full) != digest.Hex {
		ix.add(desc, full)
		if err := s.writeIndex(ix); err != nil {
			return Image{}, err
		}
	}
	return s.load(ix, digest.Hex)
}

// mediaType is that of the manifest, which may leave it to others to say.
func (src *source) mediaType() types.MediaType {
	switch {
	case src.manifest.MediaType != "":
		return src.manifest.MediaType
	case strings.Contains(string(src.manifest.Config.MediaType), types.DockerVendorPrefix):
		return types.DockerManifestSchema2
	}
	return types.OCIManifestSchema1
}

// syncfs writes a file system to disk (syncfs(2)).
func syncfs(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return &os.PathError{Op: "syncfs", Path: path, Err: err}
	}
	return nil
}
