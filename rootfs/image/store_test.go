package image

import (
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/podrt/podrt/integration/rung"
	"github.com/podrt/podrt/rootfs"
)

// wantValid has others read the layout: each image is what its digests say.
func (s *Store) wantValid(t *testing.T, how ...validate.Option) {
	t.Helper()
	p, err := layout.FromPath(s.layoutDir())
	if err != nil {
		t.Fatal(err)
	}
	ix, err := p.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(ix, how...); err != nil {
		t.Error(err)
	}
}

func TestOpen(t *testing.T) {
	_, err := Open("lib")
	wantError(t, "relative root", err, `library root "lib" is not an absolute path`)
	s := newStore(t)
	s.wantEmpty(t)
	s.wantValid(t)
	for range 2 {
		if st, err := os.Stat(s.dir); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("mode of the store: %v, %v; want it closed to others", st.Mode(), err)
		}
		if err := os.Chmod(s.dir, 0o755); err != nil { // as somebody else may make it
			t.Fatal(err)
		}
		if s, err = Open(filepath.Dir(s.dir)); err != nil {
			t.Fatal(err)
		}
	}
	for _, ref := range []string{"busybox", "sha256:" + strings.Repeat("a", 64), "abcd"} {
		if _, err := s.Resolve(ref); !errors.Is(err, ErrNotExist) {
			t.Errorf("Resolve(%q): %v; want ErrNotExist", ref, err)
		}
	}
	if err := s.Remove("busybox", nobody); !errors.Is(err, ErrNotExist) {
		t.Errorf("Remove of nothing: %v; want ErrNotExist", err)
	}
}

// importFile makes an image with one file of that content.
func (s *Store) importFile(t *testing.T, ref, content string) Image {
	t.Helper()
	img, err := s.Import(context.Background(), strings.NewReader(string(makeTar(t, e{name: "f", content: content}))), ref, nil)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestResolve(t *testing.T) {
	rung.Privileged(t)
	s := newStore(t)
	img := s.importFile(t, "localhost/a", "a")
	other := s.importFile(t, "beef", "b")
	for _, ref := range []string{"localhost/a", "localhost/a:latest", img.Digest.String(), img.Digest.Hex, img.Digest.Hex[:4]} {
		if got, err := s.Resolve(ref); err != nil || got.Digest != img.Digest {
			t.Errorf("Resolve(%q) = %s, %v; want %s", ref, got.Digest, err, img.Digest)
		}
	}
	if got, err := s.Named("docker.io/library/beef"); err != nil || got.Digest != other.Digest {
		t.Errorf("Named(beef) = %s, %v; want %s", got.Digest, err, other.Digest)
	}
	if got, err := s.Named("somewhere/else@" + img.Digest.String()); err != nil || got.Digest != img.Digest {
		t.Errorf("Named(somewhere/else@%s) = %s, %v; want that one", img.Digest, got.Digest, err)
	}
	if got, err := s.Named(img.Digest.Hex[:12]); !errors.Is(err, ErrNotExist) {
		t.Errorf("Named(%s) = %s, %v; want ErrNotExist: it is a prefix", img.Digest.Hex[:12], got.Digest, err)
	}
	if got, err := s.Resolve("beef"); err != nil || got.Digest != other.Digest || got.Names[0] != "docker.io/library/beef:latest" {
		t.Errorf("Resolve(beef) = %s %q, %v; want %s: a name comes before a prefix", got.Digest, got.Names, err, other.Digest)
	}
	for ref, want := range map[string]string{img.Digest.Hex[:3]: "no such image", "localhost/b": `image "localhost/b:latest": no such image`, "": "image name"} {
		_, err := s.Resolve(ref)
		wantError(t, "Resolve "+ref, err, want)
	}
	// Seven digits are too few to remove it by.
	wantError(t, "Remove", s.Remove(img.Digest.Hex[:7], nobody), "no such image")
	all, err := s.List()
	if err != nil || len(all) != 2 || all[0].Digest != img.Digest || all[0].Size == 0 {
		t.Errorf("List() = %v, %v; want two, with their sizes", all, err)
	}
}

func TestRemove(t *testing.T) {
	rung.Privileged(t)
	s := newStore(t)
	img := s.importFile(t, "localhost/a", "a")
	used := func() (map[string][]string, error) {
		return map[string][]string{img.Digest.String(): {"web", "db"}}, nil
	}
	err := s.Remove("localhost/a", used)
	if !errors.Is(err, ErrInUse) {
		t.Errorf("Remove of an image in use: %v; want ErrInUse", err)
	}
	wantError(t, "Remove", err, `image is in use by pods "web", "db"`, img.Digest.String(), "localhost/a")
	unknown := errors.New("cannot tell")
	if err := s.Remove("localhost/a", func() (map[string][]string, error) { return nil, unknown }); !errors.Is(err, unknown) {
		t.Errorf("Remove where it is not known who uses it: %v; want %v", err, unknown)
	}

	err = s.Remove("localhost/other@"+img.Digest.String(), nobody)
	wantError(t, "Remove by the digest, of another repository", err, "no such image: what has the digest is localhost/a:latest")

	// Its name goes to another image: it stays, without one, until nobody uses it.
	other := s.importFile(t, "localhost/a", "b")
	if got, err := s.Resolve(img.Digest.String()); err != nil || len(got.Names) != 0 || got.Name() != img.Digest.String() {
		t.Errorf("the image before has the names %q, %v; want none", got.Names, err)
	}
	if removed, err := s.Prune(used); err != nil || len(removed) != 0 {
		t.Errorf("Prune() = %v, %v; want nothing: it is in use", removed, err)
	}
	wantFile(t, s.mountImage(t, img)+"/f", "a")
	if removed, err := s.Prune(nobody); err != nil || len(removed) != 1 || removed[0].Digest != img.Digest {
		t.Errorf("Prune() = %v, %v; want %s", removed, err, img.Digest)
	}
	if removed, err := s.Prune(nobody); err != nil || len(removed) != 0 {
		t.Errorf("Prune() again = %v, %v; want nothing", removed, err)
	}
	again := s.importFile(t, "localhost/again", "c")
	if err := s.Remove("localhost/again@"+again.Digest.String(), nobody); err != nil {
		t.Errorf("Remove by the digest, of its repository: %v", err)
	}
	wantFile(t, s.mountImage(t, other)+"/f", "b")
	if err := s.Remove("localhost/a", used); err != nil {
		t.Error(err)
	}
	s.wantEmpty(t)
}

// TestDamaged: an image that lacks something is an error that names it, can be
// removed, and is whole again once it is got again.
func TestDamaged(t *testing.T) {
	rung.Privileged(t)
	h := newHost(t, httptest.NewServer)
	ref := h.push(t, "a", layers(t, layer(t, e{name: "f", content: "a"})))
	s := newStore(t)
	pull := func() Image {
		t.Helper()
		img, err := s.Pull(context.Background(), ref, insecure)
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	img := pull()
	dirs, err := rootfs.ImageLayers(s.dir, img.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dirs[0]); err != nil {
		t.Fatal(err)
	}
	_, err = rootfs.ImageLayers(s.dir, img.Digest.String())
	wantError(t, "a missing layer", err, img.Digest.String(), "is damaged")
	pull()
	wantFile(t, s.mountImage(t, img)+"/f", "a")

	if err := os.Remove(s.blobFile(img.Digest.Hex)); err != nil {
		t.Fatal(err)
	}
	_, err = s.Resolve(ref)
	wantError(t, "a missing manifest", err, img.Digest.String())
	if err := s.Remove(ref, nobody); err != nil {
		t.Error(err)
	}
	s.wantEmpty(t)
}

// TestPullConcurrent: pulls of one image, of others that share layers, and removals
// do not disturb each other.
func TestPullConcurrent(t *testing.T) {
	rung.Privileged(t)
	h := newHost(t, httptest.NewServer)
	shared := layer(t, e{name: "shared", content: "1"})
	refs := []string{
		h.push(t, "one", layers(t, shared, layer(t, e{name: "f", content: "one"}))),
		h.push(t, "two", layers(t, shared, layer(t, e{name: "f", content: "two"}))),
	}
	s := newStore(t)
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			ref := refs[i%2]
			if i%3 == 2 {
				if err := s.Remove(ref, nobody); err != nil && !errors.Is(err, ErrNotExist) {
					t.Errorf("remove: %v", err)
				}
				return
			}
			if _, err := s.Pull(context.Background(), ref, insecure); err != nil {
				t.Errorf("pull: %v", err)
			}
		})
	}
	wg.Wait()
	for i, want := range []string{"one", "two"} {
		img, err := s.Pull(context.Background(), refs[i], insecure)
		if err != nil {
			t.Fatal(err)
		}
		root := s.mountImage(t, img)
		wantFile(t, root+"/f", want)
		wantFile(t, root+"/shared", "1")
	}
	if got := len(s.files(t, "layers")); got != 3 {
		t.Errorf("%d layers; want 3", got)
	}
	s.wantValid(t)
}

// TestPruneDamaged: an image without a name goes also where it cannot be read, and
// another that cannot be has all stay that may be its own.
func TestPruneDamaged(t *testing.T) {
	rung.Privileged(t)
	s := newStore(t)
	nameless := s.importFile(t, "localhost/a", "a")
	gone := s.importFile(t, "localhost/a", "b")
	named := s.importFile(t, "localhost/c", "c")
	if err := os.Remove(s.blobFile(nameless.Digest.Hex)); err != nil {
		t.Fatal(err)
	}
	if removed, err := s.Prune(nobody); err != nil || len(removed) != 1 || removed[0].Digest != nameless.Digest {
		t.Errorf("Prune() = %v, %v; want %s", removed, err, nameless.Digest)
	}
	if err := os.Remove(s.blobFile(named.Digest.Hex)); err != nil {
		t.Fatal(err)
	}
	wantError(t, "Remove beside a damaged image", s.Remove("localhost/a", nobody), named.Digest.String())
	if _, err := s.Resolve(gone.Digest.String()); !errors.Is(err, ErrNotExist) {
		t.Errorf("Resolve of what was removed: %v; want ErrNotExist", err)
	}
	if err := s.Remove("localhost/c", nobody); err != nil {
		t.Error(err)
	}
	s.wantEmpty(t)
}
