package image

import (
	"archive/tar"
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/podrt/podrt/integration/rung"
)

// dockerArchive is what `docker save` writes of images, by tag.
func dockerArchive(t *testing.T, images map[string]v1.Image) []byte {
	t.Helper()
	tagged := map[name.Tag]v1.Image{}
	for tag, img := range images {
		parsed, err := name.NewTag(tag)
		if err != nil {
			t.Fatal(err)
		}
		tagged[parsed] = img
	}
	var b bytes.Buffer
	if err := tarball.MultiWrite(tagged, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// layoutOf writes an OCI image layout of an image, with annotations, and returns its
// directory.
func layoutOf(t *testing.T, img v1.Image, annotations map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.AppendImage(img, layout.WithAnnotations(annotations)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// tarOf packs a directory.
func tarOf(t *testing.T, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func writeTo(t *testing.T, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "archive")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLoad(t *testing.T) {
	rung.Privileged(t)
	img := layers(t, layer(t, e{name: "lower", content: "1"}, e{name: "f", content: "old"}), layer(t, e{name: "f", content: "new"}))
	docker := dockerArchive(t, map[string]v1.Image{"localhost:1/one:a": img, "two:b": img})
	whole := layoutOf(t, img, map[string]string{refName: "localhost/x:y"})
	for _, tt := range []struct {
		name  string
		file  string
		stdin []byte
		as    string
		names string
		same  bool // the digest stays
	}{
		{name: "docker save", file: writeTo(t, docker), names: "docker.io/library/two:b localhost:1/one:a"},
		{name: "docker save, gzip, standard input", stdin: gz(t, docker), names: "docker.io/library/two:b localhost:1/one:a"},
		{name: "layout", file: whole, names: "localhost/x:y", same: true},
		{name: "layout in a tar", stdin: tarOf(t, whole), names: "localhost/x:y", same: true},
		{name: "layout in a tar, zstd", file: writeTo(t, zst(t, tarOf(t, whole))), names: "localhost/x:y", same: true},
		{name: "another name", file: whole, as: "new", names: "docker.io/library/new:latest", same: true},
		{name: "docker's annotations", file: layoutOf(t, img, map[string]string{refName: "latest", containerdName: "docker.io/library/d:latest"}), names: "docker.io/library/d:latest", same: true},
		{name: "a tag alone", file: layoutOf(t, img, map[string]string{refName: "latest"}), names: "", same: true},
		{name: "nested index", file: nested(t, img), names: "localhost/n:1", same: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			got, err := s.Load(context.Background(), tt.file, bytes.NewReader(tt.stdin), tt.as)
			if err != nil {
				t.Fatal(err)
			}
			all, err := s.List()
			if err != nil || len(all) != 1 || strings.Join(all[0].Names, " ") != tt.names {
				t.Fatalf("loaded %v, there are %v, %v; want one with the names %q", got, all, err, tt.names)
			}
			if tt.same && all[0].Digest != digestOf(t, img) {
				t.Errorf("digest %s; want %s", all[0].Digest, digestOf(t, img))
			}
			want, err := img.ConfigName()
			if err != nil {
				t.Fatal(err)
			}
			if m, err := s.readManifest(all[0].Digest.Hex); err != nil || m.Config.Digest != want {
				t.Errorf("its configuration is %v, %v; want %s: what Docker calls the image's id", m.Config.Digest, err, want)
			}
			root := s.mountImage(t, all[0])
			wantFile(t, root+"/f", "new")
			wantFile(t, root+"/lower", "1")
			if names := s.files(t, "work"); len(names) > 0 {
				t.Errorf("work has %q; want nothing", names)
			}
			// Once more makes no difference.
			if _, err := s.Load(context.Background(), tt.file, bytes.NewReader(tt.stdin), tt.as); err != nil {
				t.Error(err)
			}
			if err := s.Remove(all[0].Digest.String(), nobody); err != nil {
				t.Error(err)
			}
			s.wantEmpty(t)
		})
	}
}

// TestLoadBad: archives that are none, or lie, or lead out of themselves.
func TestLoadBad(t *testing.T) {
	rung.Privileged(t)
	img := layers(t, layer(t, e{name: "f", content: "1"}))
	outside := writeTo(t, []byte("secret"))
	manifest := func(config string, layers ...string) e {
		return e{name: "manifest.json", content: `[{"Config":"` + config + `","RepoTags":["x:y"],"Layers":["` + strings.Join(layers, `","`) + `"]}]`}
	}
	config := e{name: "config.json", content: `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["sha256:` + strings.Repeat("a", 64) + `"]}}`}
	good := e{name: "layer.tar", content: string(makeTar(t, e{name: "f"}))}
	damaged := layoutOf(t, img, map[string]string{refName: "localhost/x:y"})
	manifestBlob := filepath.Join(damaged, blobPath(digestOf(t, img)))
	if err := os.WriteFile(manifestBlob, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	linked := layoutOf(t, img, map[string]string{refName: "localhost/x:y"})
	for _, h := range []v1.Hash{digestOf(t, img)} {
		path := filepath.Join(linked, blobPath(h))
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(outside, path); err != nil {
			t.Fatal(err)
		}
	}
	two := dockerArchive(t, map[string]v1.Image{"a:1": img, "b:1": layers(t, layer(t, e{name: "f", content: "2"}))})
	for _, tt := range []struct {
		name string
		file string
		data []byte
		as   string
		want string
	}{
		{name: "not there", file: "/not/there", want: "no such file or directory"},
		{name: "empty directory", file: t.TempDir(), want: "has neither an index.json"},
		{name: "no tar", data: bytes.Repeat([]byte("nonsense"), 100), want: "invalid tar header"},
		{name: "nothing", data: nil, want: "has neither an index.json"},
		{name: "half a gzip", data: gz(t, two)[:50], want: "unexpected EOF"},
		{name: "name up", data: makeTar(t, e{name: "../../x", content: "x"}), want: `entry "../../x": its name leads out of the archive`},
		{name: "hard link", data: makeTar(t, hardlink("index.json", outside)), want: "no archive of images has"},
		{name: "device", data: makeTar(t, e{name: "index.json", h: tar.Header{Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 5}}), want: "no archive of images has"},
		{name: "through a link", data: makeTar(t, symlink("d", filepath.Dir(outside)), e{name: "d/archive", content: "x"}), want: `entry "d/archive"`},
		{name: "config by a link", data: makeTar(t, symlink("config.json", outside), manifest("config.json", "layer.tar"), good), want: "config.json"},
		{name: "layer by a link", data: makeTar(t, config, symlink("layer.tar", outside), manifest("config.json", "layer.tar")), want: "path escapes from parent"},
		{name: "layer outside", data: makeTar(t, config, manifest("config.json", "../../../../.."+outside)), want: "path escapes from parent"},
		{name: "layer that is a directory", data: makeTar(t, config, manifest("config.json", "d"), e{name: "d/x"}), want: "not a regular file"},
		{name: "another layer", data: makeTar(t, config, good, manifest("config.json", "layer.tar")), want: "has the DiffID sha256:"},
		{name: "no such layer", data: makeTar(t, config, manifest("config.json", "layer.tar")), want: "no such file or directory"},
		{name: "bad tag", data: makeTar(t, config, good, e{name: "manifest.json", content: `[{"Config":"config.json","RepoTags":["X"],"Layers":["layer.tar"]}]`}), want: `image name "X"`},
		{name: "no images", data: makeTar(t, e{name: "manifest.json", content: `[]`}), want: "names no image"},
		{name: "no JSON", data: makeTar(t, e{name: "index.json", content: `{`}), want: "index.json"},
		{name: "no manifests", data: makeTar(t, e{name: "index.json", content: `{"schemaVersion":2,"manifests":[]}`}), want: "names no image of this platform"},
		{name: "manifest that is not there", data: makeTar(t, e{name: "index.json", content: `{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":2,"digest":"sha256:` + strings.Repeat("a", 64) + `"}]}`}), want: "no such file or directory"},
		{name: "another manifest", file: damaged, want: "has the digest sha256:"},
		{name: "manifest by a link", file: linked, want: "path escapes from parent"},
		{name: "one name for two", data: two, as: "c", want: "has 2 images"},
		{name: "bad name", data: two, as: "UPPER", want: `image name "UPPER"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			images, err := s.Load(context.Background(), tt.file, bytes.NewReader(tt.data), tt.as)
			wantError(t, "load", err, tt.want)
			if len(images) > 0 {
				t.Errorf("loaded %v; want nothing", images)
			}
			s.wantEmpty(t)
			wantFile(t, outside, "secret")
		})
	}
}

func TestImport(t *testing.T) {
	rung.Privileged(t)
	plain := makeTar(t, dir("./", 0o755), e{name: "./bin/sh", content: "#!"}, e{name: "./etc/passwd", content: "me:x:7:8::/me:/bin/sh\n"})
	for _, tt := range []struct {
		name string
		data []byte
	}{{"plain", plain}, {"gzip", gz(t, plain)}, {"zstd", zst(t, plain)}} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			img, err := s.Import(context.Background(), bytes.NewReader(tt.data), "mine", []string{"USER me", `CMD ["sh"]`})
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Resolve("mine")
			if err != nil || got.Digest != img.Digest || got.Config.Config.User != "me" || got.Config.Config.Cmd[0] != "sh" || got.Config.Created.IsZero() {
				t.Errorf("Resolve(mine) = %+v, %v; want what was imported", got, err)
			}
			wantFile(t, s.mountImage(t, img)+"/bin/sh", "#!")
			uid, gid, _, home, err := s.Lookup(img, img.Config.Config.User)
			if err != nil || uid != 7 || gid != 8 || home != "/me" {
				t.Errorf("Lookup(me) = %d, %d, %q, %v; want 7, 8, /me", uid, gid, home, err)
			}
			if err := s.Remove("mine", nobody); err != nil {
				t.Error(err)
			}
			s.wantEmpty(t)
		})
	}
	s := newStore(t)
	for _, tt := range []struct{ what, ref, change, want string }{
		{"bad name", "UPPER", "", `image name "UPPER"`},
		{"bad change", "x", "RUN true", `change "RUN true": is none of`},
		{"no tar", "x", "", "invalid tar header"},
	} {
		var changes []string
		if tt.change != "" {
			changes = []string{tt.change}
		}
		_, err := s.Import(context.Background(), strings.NewReader(strings.Repeat("nonsense", 100)), tt.ref, changes)
		wantError(t, tt.what, err, tt.want)
	}
	for name, data := range map[string][]byte{"xz": []byte("\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F"), "bzip2": []byte("BZh91AY&SY\x12\x34")} {
		_, err := s.Import(context.Background(), bytes.NewReader(data), "x", nil)
		wantError(t, name, err, "is compressed by "+name)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := s.Import(ctx, bytes.NewReader(plain), "x", nil)
	wantError(t, "interrupted", err, context.Canceled.Error())
	s.wantEmpty(t)
}

// TestSweep: what a killed process has left goes with the next command, and what
// another is at stays.
func TestSweep(t *testing.T) {
	rung.Privileged(t)
	s := newStore(t)
	img := s.importFile(t, "localhost/a", "a")
	w, err := s.begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.blob("x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	hex := strings.Repeat("0", 64)
	for _, path := range []string{
		s.layerDir(hex) + "/etc", s.workDir() + "/123/layers/x", s.workDir() + "/.x",
	} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{
		s.blobFile(hex), s.manifestFile(hex), s.manifestsDir() + "/" + tempPrefix + "1", s.layoutDir() + "/" + tempPrefix + "2", s.workDir() + "/file",
	} {
		if err := os.WriteFile(path, []byte(`{"layers":["`+hex+`"]}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if removed, err := s.Prune(nobody); err != nil || len(removed) > 0 {
		t.Errorf("Prune() = %v, %v; want no image", removed, err)
	}
	if _, err := os.Stat(w.blob("x")); err != nil {
		t.Errorf("of work that goes on: %v", err)
	}
	var left []string
	_ = fs.WalkDir(os.DirFS(s.dir), ".", func(path string, d fs.DirEntry, err error) error {
		if strings.Contains(path, hex) || strings.Contains(path, tempPrefix) || strings.HasPrefix(path, "work/") && !strings.HasPrefix(path, "work/"+filepath.Base(w.dir)) {
			left = append(left, path)
		}
		return nil
	})
	if len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
	// Killed before it was whole: it is in the index, and not among the manifests.
	if err := os.Remove(s.manifestFile(img.Digest.Hex)); err != nil {
		t.Fatal(err)
	}
	if all, err := s.List(); err != nil || len(all) > 0 {
		t.Errorf("List() = %v, %v; want nothing whole", all, err)
	}
	if _, err := s.Prune(nobody); err != nil {
		t.Error(err)
	}
	s.wantEmpty(t)
	s.wantValid(t)
}
