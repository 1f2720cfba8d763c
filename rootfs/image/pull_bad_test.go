package image

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/podrt/podrt/integration/rung"
)

// TestPullBad: a registry or an image that lies is refused, and leaves nothing.
func TestPullBad(t *testing.T) {
	rung.Privileged(t)
	good := makeTar(t, e{name: "f", content: "good"})
	other := makeTar(t, e{name: "f", content: "other"})
	img := func(layer v1.Layer) v1.Image { return layers(t, layer) }
	// serve answers requests for a path that has part with body.
	serve := func(part string, body []byte) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, part) {
				return false
			}
			_, _ = w.Write(body)
			return true
		}
	}
	plain := raw(t, good, good, types.OCIUncompressedLayer)
	blob := digestOf(t, plain).Hex
	manifest := func(change func(m map[string]any)) func(http.ResponseWriter, *http.Request) bool {
		data, err := img(plain).RawManifest()
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]any{}
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		if data, err = json.Marshal(m); err != nil {
			t.Fatal(err)
		}
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/manifests/") {
				return false
			}
			w.Header().Set("Content-Type", string(types.OCIManifestSchema1))
			_, _ = w.Write(data)
			return true
		}
	}
	config := func(m map[string]any) map[string]any { return m["config"].(map[string]any) }
	first := func(m map[string]any) map[string]any { return m["layers"].([]any)[0].(map[string]any) }
	for _, tt := range []struct {
		name   string
		image  v1.Image
		change func(http.ResponseWriter, *http.Request) bool
		want   string
	}{
		{"not there", img(plain), func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/manifests/") {
				http.NotFound(w, r)
				return true
			}
			return false
		}, "the registry does not have it"},
		{"another layer", img(plain), serve(blob, other), "got \"sha256:"},
		{"cut off layer", img(plain), serve(blob, good[:len(good)-512]), ""},
		{"longer layer", img(plain), serve(blob, append(good[:len(good):len(good)], 0)), ""},
		{"another DiffID", img(rawLayer{static.NewLayer(gz(t, good), types.OCILayer), digestOf(t, raw(t, other, other, types.OCIUncompressedLayer))}), nil, "has the DiffID sha256:"},
		{"no gzip", img(raw(t, good, append([]byte{0x1f, 0x8b}, good...), types.OCILayer)), nil, "gzip"},
		{"no tar", img(raw(t, []byte(strings.Repeat("nonsense", 200)), []byte(strings.Repeat("nonsense", 200)), types.OCIUncompressedLayer)), nil, "invalid tar header"},
		{"hostile tar", img(layer(t, e{name: "../x", content: "x"})), nil, `entry "../x": its name leads out of the layer`},
		{"no manifest", img(plain), serve("/manifests/", []byte("hello")), ""},
		{"long index", img(plain), func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/manifests/") {
				http.Redirect(w, r, "/elsewhere/blobs/x", http.StatusTemporaryRedirect)
				return true
			}
			w.Header().Set("Content-Type", string(types.OCIImageIndex))
			return serve("/elsewhere/", []byte(`{"schemaVersion":2,"manifests":[{}`+strings.Repeat(`,{}`, maxManifest/3)+`]}`))(w, r)
		}, "is larger than 4194304 bytes"},
		{"helm chart", img(plain), manifest(func(m map[string]any) { config(m)["mediaType"] = "application/vnd.cncf.helm.config.v1+json" }), "it is of no container image"},
		{"foreign layer", img(plain), manifest(func(m map[string]any) { first(m)["mediaType"] = string(types.DockerForeignLayer) }), "which no registry passes on"},
		{"path as digest", img(plain), manifest(func(m map[string]any) { first(m)["digest"] = "sha256:../../../etc/passwd" }), ""},
		{"sha512", img(plain), manifest(func(m map[string]any) { first(m)["digest"] = "sha512:" + strings.Repeat("a", 128) }), "is no SHA-256"},
		{"two sizes", layers(t, plain, plain), manifest(func(m map[string]any) {
			d := maps.Clone(first(m))
			d["size"] = 1 << 62
			m["layers"] = []any{first(m), d}
		}), "sizes " + fmt.Sprint(len(good)) + " and 4611686018427387904"},
		{"an index as manifest", img(plain), manifest(func(m map[string]any) { m["mediaType"] = types.OCIImageIndex }), "it is of no image"},
		{"negative size", img(plain), manifest(func(m map[string]any) { first(m)["size"] = -1 }), "size -1"},
		{"huge configuration", img(plain), manifest(func(m map[string]any) { config(m)["size"] = 1 << 40 }), "config.size 1099511627776"},
		{"layers that are not there", img(plain), manifest(func(m map[string]any) { m["layers"] = []any{} }), "rootfs.diff_ids has 1 entries; the manifest has 0 layers"},
		{"other system", must(mutate.ConfigFile(img(plain), configOf(t, img(plain), "windows", "amd64")))(t), nil, `os "windows": must be linux`},
		{"no layers", layers(t), nil, "image has 0 layers"},
		{"too many layers", layers(t, numbered(t, 201)...), nil, "image has 201 layers: must be 1 to 200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, httptest.NewServer)
			ref := h.push(t, "bad", tt.image)
			h.change = tt.change
			s := newStore(t)
			_, err := s.Pull(context.Background(), ref, insecure)
			wantError(t, "pull", err, tt.want, "pull image "+fmt.Sprintf("%q", ref+":latest"))
			s.wantEmpty(t)
		})
	}
	s := newStore(t)
	_, err := s.Pull(context.Background(), "UPPER", insecure)
	wantError(t, "bad name", err, `image name "UPPER"`)
	_, err = s.Pull(context.Background(), "127.0.0.1:1/x", insecure)
	wantError(t, "nobody there", err, "connection refused", `"127.0.0.1:1/x:latest"`)
	s.wantEmpty(t)
}

// TestPullKnownBlob: a manifest cannot have what the store holds already, of whatever
// size, be read as the configuration, nor say another size of it.
func TestPullKnownBlob(t *testing.T) {
	rung.Privileged(t)
	h := newHost(t, httptest.NewServer)
	good := makeTar(t, e{name: "f", content: "good"})
	img := layers(t, raw(t, good, good, types.OCIUncompressedLayer))
	ref := h.push(t, "good", img)
	s := newStore(t)
	if _, err := s.Pull(context.Background(), ref, insecure); err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(m *v1.Manifest){
		func(m *v1.Manifest) { m.Config.Digest = m.Layers[0].Digest; m.Layers = nil },
		func(m *v1.Manifest) { m.Layers[0].Size++ },
	} {
		bad := m.DeepCopy()
		change(bad)
		data, err := json.Marshal(bad)
		if err != nil {
			t.Fatal(err)
		}
		h.change = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/manifests/") {
				return false
			}
			w.Header().Set("Content-Type", string(types.OCIManifestSchema1))
			_, _ = w.Write(data)
			return true
		}
		_, err = s.Pull(context.Background(), h.name+"/bad", insecure)
		wantError(t, "pull", err, fmt.Sprintf("has %d bytes; its descriptor says", len(good)))
	}
}

func must(img v1.Image, err error) func(*testing.T) v1.Image {
	return func(t *testing.T) v1.Image {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
}

// numbered are n small layers that differ.
func numbered(t *testing.T, n int) []v1.Layer {
	t.Helper()
	all := make([]v1.Layer, n)
	for i := range all {
		data := makeTar(t, e{name: fmt.Sprint(i), content: "x"}, e{name: "f", content: fmt.Sprint(i)})
		all[i] = raw(t, data, data, types.OCIUncompressedLayer)
	}
	return all
}
