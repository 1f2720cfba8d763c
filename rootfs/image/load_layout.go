package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// containerdName is the annotation with an image's full name of what docker and
// containerd write, where refName has the tag alone.
const containerdName = "io.containerd.image.name"

// layoutSources are the images of this host's platform in an OCI image layout.
func layoutSources(ctx context.Context, root *os.Root) ([]found, error) {
	data, err := readIn(root, "index.json")
	if err != nil {
		return nil, err
	}
	ix, err := v1.ParseIndexManifest(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	open := func(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
		return openIn(root, blobPath(d.Digest))
	}
	platform, err := parsePlatform("")
	if err != nil {
		return nil, err
	}
	var all []found
	at := map[string]int{}
	l := layoutReader{ctx, root, platform, map[v1.Hash]bool{}}
	for _, d := range ix.Manifests {
		desc, raw, err := l.manifest(d, 0)
		if err != nil {
			return nil, err
		}
		if raw == nil {
			continue
		}
		i, ok := at[desc.Digest.Hex]
		if !ok {
			src, err := parseSource(raw, open)
			if err != nil {
				return nil, fmt.Errorf("image %s: %w", desc.Digest, err)
			}
			i = len(all)
			at[desc.Digest.Hex] = i
			all = append(all, found{source: src})
		}
		if name := layoutName(d); name != "" {
			all[i].names = append(all[i].names, name)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("index.json: names no image of this platform")
	}
	return all, nil
}

// maxNesting bounds indexes in indexes.
const maxNesting = 4

// layoutReader looks for the images of a platform in a layout.
type layoutReader struct {
	ctx      context.Context
	root     *os.Root
	platform v1.Platform
	// without are indexes that have been looked into, and have none: else a few that
	// name each other many times would take forever.
	without map[v1.Hash]bool
}

// manifest reads the manifest that a descriptor leads to, through indexes; nil if
// that is none of an image of the platform.
func (l *layoutReader) manifest(d v1.Descriptor, depth int) (v1.Descriptor, []byte, error) {
	switch {
	case l.ctx.Err() != nil:
		return d, nil, l.ctx.Err()
	case !d.MediaType.IsImage() && !d.MediaType.IsIndex(), depth == maxNesting, l.without[d.Digest]:
		return d, nil, nil
	case d.MediaType.IsImage() && d.Platform != nil && !d.Platform.Satisfies(l.platform):
		return d, nil, nil
	}
	raw, err := readBlob(l.root, d.Digest)
	if err != nil || d.MediaType.IsImage() {
		return d, raw, err
	}
	ix, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return d, nil, fmt.Errorf("index %s: %w", d.Digest, err)
	}
	for _, child := range ix.Manifests {
		// Docker leaves blobs of other platforms out.
		if !isIn(l.root, blobPath(child.Digest)) {
			continue
		}
		if desc, raw, err := l.manifest(child, depth+1); err != nil || raw != nil {
			return desc, raw, err
		}
	}
	l.without[d.Digest] = true
	return d, nil, nil
}

// layoutName is the full name that a descriptor gives an image; empty if it gives
// none but a tag.
func layoutName(d v1.Descriptor) string {
	for _, n := range []string{d.Annotations[containerdName], d.Annotations[refName]} {
		if !strings.ContainsAny(n, ":/") {
			continue
		}
		if full, err := Normalize(n); err == nil {
			return full
		}
	}
	return ""
}

func blobPath(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }

// readBlob reads and verifies a manifest.
func readBlob(root *os.Root, h v1.Hash) ([]byte, error) {
	data, err := readIn(root, blobPath(h))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(data); h.Algorithm != "sha256" || hex.EncodeToString(sum[:]) != h.Hex {
		return nil, fmt.Errorf("blob %s: has the digest sha256:%x", h, sum)
	}
	return data, nil
}
