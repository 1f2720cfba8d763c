package image

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// dockerImage is an image in the manifest.json of `docker save`.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// dockerSources are the images of what `docker save` has written. It keeps no
// manifests: they are made here, of the configuration and the layers as they are.
func dockerSources(ctx context.Context, w *work, root *os.Root) ([]found, error) {
	data, err := readIn(root, "manifest.json")
	if err != nil {
		return nil, err
	}
	var list []dockerImage
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	if len(list) == 0 {
		return nil, errors.New("manifest.json: names no image")
	}
	var all []found
	for _, d := range list {
		src, err := d.source(ctx, w, root)
		if err != nil {
			return nil, err
		}
		f := found{source: src}
		for _, tag := range d.RepoTags {
			full, err := Normalize(tag)
			if err != nil {
				return nil, fmt.Errorf("manifest.json: %w", err)
			}
			f.names = append(f.names, full)
		}
		all = append(all, f)
	}
	return all, nil
}

func (d *dockerImage) source(ctx context.Context, w *work, root *os.Root) (*source, error) {
	config, err := readIn(root, d.Config)
	if err != nil {
		return nil, err
	}
	var layers []v1.Descriptor
	for _, name := range d.Layers {
		desc, err := w.spoolLayer(ctx, root, name)
		if err != nil {
			return nil, fmt.Errorf("layer %q: %w", shorten(name), err)
		}
		layers = append(layers, desc)
	}
	return w.source(config, layers)
}

// spoolLayer makes a blob of a file that is a layer.
func (w *work) spoolLayer(ctx context.Context, root *os.Root, name string) (v1.Descriptor, error) {
	f, err := openIn(root, name)
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer f.Close()
	return w.layerBlob(ctx, f)
}

// layerBlob makes a blob of a layer, which may be compressed.
func (w *work) layerBlob(ctx context.Context, r io.Reader) (v1.Descriptor, error) {
	b := bufio.NewReader(r)
	head, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return v1.Descriptor{}, err
	}
	mediaType := map[string]types.MediaType{
		uncompressed: types.OCIUncompressedLayer, gzipped: types.OCILayer, zstandard: types.OCILayerZStd,
	}[compression(head)]
	h, size, err := w.spool(ctx, b, nil)
	return v1.Descriptor{MediaType: mediaType, Digest: h, Size: size}, err
}

// source makes the manifest of an image of which w has the layers.
func (w *work) source(config []byte, layers []v1.Descriptor) (*source, error) {
	h, err := w.put(config)
	if err != nil {
		return nil, err
	}
	if layers == nil {
		layers = []v1.Descriptor{}
	}
	raw, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config: v1.Descriptor{MediaType: types.OCIConfigJSON, Digest: h, Size: int64(len(config))},
		Layers: layers,
	})
	if err != nil {
		return nil, err
	}
	return parseSource(raw, func(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
		// commit has moved it into the store, and another has removed it since.
		return nil, fmt.Errorf("blob %s: %w", d.Digest, errIncomplete)
	})
}
