package image

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/podrt/podrt/integration/rung"
)

// host is a registry on loopback.
type host struct {
	*httptest.Server
	name string // HOST:PORT
	// change, if not nil, sees each request before the registry, and tells whether it
	// has answered.
	change func(w http.ResponseWriter, r *http.Request) bool
	pulled func(r *http.Request) // each request for a blob
}

func newHost(t *testing.T, start func(http.Handler) *httptest.Server) *host {
	t.Helper()
	h := &host{}
	reg := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	h.Server = start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.change != nil && h.change(w, r) {
			return
		}
		if h.pulled != nil && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			h.pulled(r)
		}
		reg.ServeHTTP(w, r)
	}))
	h.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(h.Close)
	_, h.name, _ = strings.Cut(h.URL, "://")
	return h
}

// layer makes a layer, compressed with gzip.
func layer(t *testing.T, entries ...e) v1.Layer {
	t.Helper()
	data := makeTar(t, entries...)
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// layers makes an image of layers, lowest first.
func layers(t *testing.T, layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatal(err)
	}
	img, err = mutate.ConfigFile(img, configOf(t, img, "linux", "amd64"))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func configOf(t *testing.T, img v1.Image, os, arch string) *v1.ConfigFile {
	t.Helper()
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.OS, c.Architecture = os, arch
	return c
}

// push puts an image into a registry, and returns its name.
func (h *host) push(t *testing.T, repo string, what remote.Taggable) string {
	t.Helper()
	full := h.name + "/" + repo
	ref, err := name.ParseReference(full, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	transport := remote.WithTransport(h.Client().Transport)
	switch what := what.(type) {
	case v1.Image:
		err = remote.Write(ref, what, transport)
	case v1.ImageIndex:
		err = remote.WriteIndex(ref, what, transport)
	}
	if err != nil {
		t.Fatal(err)
	}
	return full
}

func digestOf(t *testing.T, img interface{ Digest() (v1.Hash, error) }) v1.Hash {
	t.Helper()
	h, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

var insecure = PullOptions{SkipTLSVerify: true}

// TestPull: by plain HTTP and by TLS, by tag and by digest; what is in the store is
// not fetched again.
func TestPull(t *testing.T) {
	rung.Privileged(t)
	for _, tt := range []struct {
		name  string
		start func(http.Handler) *httptest.Server
	}{{"http", httptest.NewServer}, {"tls", httptest.NewTLSServer}} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, tt.start)
			shared := layer(t, e{name: "shared", content: "1"})
			one := layers(t, shared, layer(t, e{name: "top", content: "one"}))
			ref := h.push(t, "a/one:v1", one)

			s := newStore(t)
			ctx := context.Background()
			_, err := s.Pull(ctx, ref, PullOptions{})
			wantError(t, "pull without --tls-verify=false", err, ref, map[string]string{"http": "only with --tls-verify=false", "tls": "certificate"}[tt.name])
			s.wantEmpty(t)

			img, err := s.Pull(ctx, ref, insecure)
			if err != nil {
				t.Fatal(err)
			}
			if img.Digest != digestOf(t, one) || len(img.Names) != 1 || img.Names[0] != ref {
				t.Errorf("pulled %s, %q; want %s, %q", img.Digest, img.Names, digestOf(t, one), ref)
			}
			root := s.mountImage(t, img)
			wantFile(t, root+"/top", "one")
			wantFile(t, root+"/shared", "1")

			h.pulled = func(r *http.Request) { t.Errorf("%s of what is in the store", r.URL.Path) }
			again, err := s.Pull(ctx, ref, insecure)
			if err != nil || again.Digest != img.Digest {
				t.Errorf("pulled again: %s, %v; want %s", again.Digest, err, img.Digest)
			}
			byDigest, err := s.Pull(ctx, h.name+"/a/one@"+img.Digest.String(), insecure)
			if err != nil || len(byDigest.Names) != 2 {
				t.Errorf("pulled by digest: %q, %v; want two names", byDigest.Names, err)
			}
			h.pulled = nil

			// The name moves on; the image stays, and the layer is the same.
			var fetched []string
			h.pulled = func(r *http.Request) { fetched = append(fetched, r.URL.Path) }
			second := layers(t, shared, layer(t, e{name: "top", content: "second"}, e{name: ".wh.shared"}))
			h.push(t, "a/one:v1", second)
			moved, err := s.Pull(ctx, ref, insecure)
			if err != nil || moved.Digest != digestOf(t, second) {
				t.Fatalf("pulled %s, %v; want %s", moved.Digest, err, digestOf(t, second))
			}
			if len(fetched) != 2 {
				t.Errorf("fetched %q; want the configuration and the one new layer", fetched)
			}
			root = s.mountImage(t, moved)
			wantFile(t, root+"/top", "second")
			wantGone(t, root+"/shared")
			if got, err := s.Resolve(ref); err != nil || got.Digest != moved.Digest {
				t.Errorf("%q is %s, %v; want %s", ref, got.Digest, err, moved.Digest)
			}
			if got := len(s.files(t, "layers")); got != 3 {
				t.Errorf("%d layers; want 3, one of them of both images", got)
			}
			s.wantValid(t)

			if err := s.Remove(ref, nobody); err != nil {
				t.Fatal(err)
			}
			if got := len(s.files(t, "layers")); got != 2 {
				t.Errorf("%d layers with one image removed; want 2", got)
			}
			wantFile(t, s.mountImage(t, img)+"/top", "one")
			if err := s.Remove(img.Digest.Hex[:8], nobody); err != nil {
				t.Fatal(err)
			}
			s.wantEmpty(t)
		})
	}
}

// TestPullLayers: each compression, the same layer twice, and Docker's media types.
func TestPullLayers(t *testing.T) {
	rung.Privileged(t)
	h := newHost(t, httptest.NewServer)
	data := func(content string) []byte {
		return makeTar(t, e{name: "f", content: content}, e{name: content, content: "x"})
	}
	again := layer(t, e{name: "f", content: "again"}, e{name: "again", content: "x"})
	for _, tt := range []struct {
		name   string
		layers []v1.Layer
		want   string
	}{
		{"plain", []v1.Layer{raw(t, data("plain"), data("plain"), types.OCIUncompressedLayer)}, "plain"},
		{"zstd", []v1.Layer{raw(t, data("zstd"), zst(t, data("zstd")), types.OCILayerZStd)}, "zstd"},
		{"docker", []v1.Layer{raw(t, data("docker"), gz(t, data("docker")), types.DockerLayer)}, "docker"},
		{"wrong type", []v1.Layer{raw(t, data("w"), gz(t, data("w")), types.OCIUncompressedLayer)}, "w"},
		{"two members", []v1.Layer{raw(t, data("m"), append(gz(t, data("m")[:700]), gz(t, data("m")[700:])...), types.OCILayer)}, "m"},
		{"126", numbered(t, 127), "126"}, // as many as Docker makes
		{"blobs/large/manifests", []v1.Layer{large(t)}, "large"},
		{"twice", []v1.Layer{again, layer(t, e{name: "f", content: "between"}, e{name: ".wh.again"}), again}, "again"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			img, err := s.Pull(context.Background(), h.push(t, "x/"+strings.ReplaceAll(tt.name, " ", "-"), layers(t, tt.layers...)), insecure)
			if err != nil {
				t.Fatal(err)
			}
			root := s.mountImage(t, img)
			wantFile(t, root+"/f", tt.want)
			wantFile(t, root+"/"+tt.want, "x")
			if len(tt.layers) == 127 {
				wantFile(t, root+"/0", "x")
			}
			s.wantValid(t, validate.Fast) // which takes every layer for gzip otherwise
		})
	}
}

// large is a layer of more bytes than a manifest can have.
func large(t *testing.T) v1.Layer {
	t.Helper()
	data := makeTar(t, e{name: "f", content: "large"}, e{name: "large", content: "x"}, e{name: "zeros", content: string(make([]byte, 2*maxManifest))})
	return raw(t, data, data, types.OCIUncompressedLayer)
}

// rawLayer is a layer as it is given, whatever is right.
type rawLayer struct {
	v1.Layer
	diffID v1.Hash
}

func (l rawLayer) DiffID() (v1.Hash, error) { return l.diffID, nil }

func raw(t *testing.T, plain, compressed []byte, mediaType types.MediaType) v1.Layer {
	t.Helper()
	h, _, err := v1.SHA256(bytes.NewReader(plain))
	if err != nil {
		t.Fatal(err)
	}
	return rawLayer{static.NewLayer(compressed, mediaType), h}
}

// TestPullPlatforms: of an index the image of the platform that is wanted.
func TestPullPlatforms(t *testing.T) {
	rung.Privileged(t)
	h := newHost(t, httptest.NewServer)
	var adds []mutate.IndexAddendum
	for _, p := range []v1.Platform{
		{OS: "windows", Architecture: "amd64"},
		{OS: "unknown", Architecture: "unknown"},
		{OS: "linux", Architecture: "amd64"},
		{OS: "linux", Architecture: "arm64", Variant: "v8"},
		{OS: "linux", Architecture: "arm", Variant: "v7"},
	} {
		img := layers(t, layer(t, e{name: "arch", content: p.String()}))
		img, err := mutate.ConfigFile(img, configOf(t, img, p.OS, p.Architecture))
		if err != nil {
			t.Fatal(err)
		}
		adds = append(adds, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &p}})
	}
	ref := h.push(t, "multi", mutate.AppendManifests(empty.Index, adds...))
	s := newStore(t)
	for _, tt := range []struct{ platform, want string }{
		{"linux/amd64", "linux/amd64"}, {"linux/arm64", "linux/arm64/v8"}, {"linux/arm/v7", "linux/arm/v7"},
	} {
		img, err := s.Pull(context.Background(), ref, PullOptions{Platform: tt.platform, SkipTLSVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		wantFile(t, s.mountImage(t, img)+"/arch", tt.want)
	}
	for _, tt := range []struct{ platform, want string }{
		{"linux/riscv64", "no child with platform linux/riscv64"},
		{"linux/arm/v6", "no child with platform linux/arm/v6"},
		{"windows/amd64", "must be linux/ARCH"},
		{"amd64", "must be linux/ARCH"},
		{"a/b/c/d", "platform"},
	} {
		_, err := s.Pull(context.Background(), ref, PullOptions{Platform: tt.platform, SkipTLSVerify: true})
		wantError(t, tt.platform, err, tt.want)
	}
	// Not in an index, only its configuration says what it is for.
	single := h.push(t, "single", layers(t, layer(t, e{name: "f"})))
	_, err := s.Pull(context.Background(), single, PullOptions{Platform: "linux/arm64", SkipTLSVerify: true})
	wantError(t, "single", err, "is for linux/amd64, not linux/arm64")
}

// TestPullAuth: credentials of a file, and what is said without.
func TestPullAuth(t *testing.T) {
	rung.Privileged(t)
	h := newHost(t, httptest.NewServer)
	ref := h.push(t, "secret", layers(t, layer(t, e{name: "f", content: "1"})))
	auth := base64.StdEncoding.EncodeToString([]byte("user:word"))
	h.change = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "Basic "+auth {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	file := filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(file, []byte(`{"auths": {"`+h.name+`": {"auth": "`+auth+`"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newStore(t)
	t.Setenv("HOME", t.TempDir())
	_, err := s.Pull(context.Background(), ref, insecure)
	wantError(t, "pull without credentials", err, "wants other credentials (--authfile)")
	if _, err := s.Pull(context.Background(), ref, PullOptions{SkipTLSVerify: true, AuthFile: file}); err != nil {
		t.Error(err)
	}
	_, err = s.Pull(context.Background(), ref, PullOptions{SkipTLSVerify: true, AuthFile: file + "x"})
	wantError(t, "pull without the file", err, file+"x", "no such file")
	if err := os.WriteFile(file, []byte(`{"auths": `), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = s.Pull(context.Background(), ref, PullOptions{SkipTLSVerify: true, AuthFile: file})
	wantError(t, "pull with half a file", err, file)
}
