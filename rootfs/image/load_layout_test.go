package image

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/podrt/podrt/integration/rung"
)

// nested is a layout with an index in its index, of which only one platform's image
// is there.
func nested(t *testing.T, img v1.Image) string {
	t.Helper()
	other := layers(t, layer(t, e{name: "f", content: "other"}))
	ix := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: other, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}}},
		mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	dir := t.TempDir()
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.AppendIndex(ix, layout.WithAnnotations(map[string]string{refName: "localhost/n:1"})); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, blobPath(digestOf(t, other)))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestLoadPlatforms: of images that index.json has side by side, those of other
// platforms are left out, as what goes with them and is no image.
func TestLoadPlatforms(t *testing.T) {
	rung.Privileged(t)
	dir := t.TempDir()
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	for _, platform := range []string{"linux/amd64", "linux/s390x", "unknown/unknown"} {
		system, arch, _ := strings.Cut(platform, "/")
		img := layers(t, layer(t, e{name: "f", content: platform}))
		if img, err = mutate.ConfigFile(img, configOf(t, img, system, arch)); err != nil {
			t.Fatal(err)
		}
		if err := p.AppendImage(img, layout.WithPlatform(v1.Platform{OS: system, Architecture: arch}),
			layout.WithAnnotations(map[string]string{refName: "localhost/x:y"})); err != nil {
			t.Fatal(err)
		}
	}
	s := newStore(t)
	images, err := s.Load(context.Background(), dir, nil, "")
	if err != nil || len(images) != 1 || images[0].Config.Architecture != "amd64" || len(images[0].Names) != 1 {
		t.Errorf("Load() = %v, %v; want one of amd64", images, err)
	}
}

// TestLoadNestedOften: indexes that name each other many times take no time.
func TestLoadNestedOften(t *testing.T) {
	dir := t.TempDir()
	blobs := filepath.Join(dir, "blobs/sha256")
	if err := os.MkdirAll(blobs, 0o700); err != nil {
		t.Fatal(err)
	}
	index := []byte(`{"schemaVersion":2,"manifests":[]}`)
	for range maxNesting {
		h, n, err := v1.SHA256(bytes.NewReader(index))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(blobs, h.Hex), index, 0o600); err != nil {
			t.Fatal(err)
		}
		child := fmt.Sprintf(`,{"mediaType":"application/vnd.oci.image.index.v1+json","size":%d,"digest":"%s"}`, n, h)
		index = []byte(`{"schemaVersion":2,"manifests":[` + strings.Repeat(child, 1000)[1:] + `]}`)
	}
	if err := os.WriteFile(filepath.Join(dir, "index.json"), index, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := newStore(t).Load(context.Background(), dir, nil, "")
	wantError(t, "load", err, "names no image of this platform")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = newStore(t).Load(ctx, dir, nil, "")
	wantError(t, "load that is interrupted", err, context.Canceled.Error())
}
