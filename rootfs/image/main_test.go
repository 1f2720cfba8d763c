package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/rootfs"
)

// e is an entry of a tar: a file with content, unless h says otherwise.
type e struct {
	name    string
	content string
	h       tar.Header
}

func dir(name string, mode int64) e {
	return e{name: name, h: tar.Header{Typeflag: tar.TypeDir, Mode: mode}}
}

func symlink(name, to string) e {
	return e{name: name, h: tar.Header{Typeflag: tar.TypeSymlink, Linkname: to}}
}

func hardlink(name, to string) e {
	return e{name: name, h: tar.Header{Typeflag: tar.TypeLink, Linkname: to}}
}

// makeTar writes entries as they are, however hostile.
func makeTar(t *testing.T, entries ...e) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, entry := range entries {
		h := entry.h
		h.Name = entry.name
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(entry.content))
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatalf("%q: %v", entry.name, err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if _, err := w.Write([]byte(entry.content)); err != nil {
			t.Fatalf("%q: %v", entry.name, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gz(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zst(t *testing.T, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

// unpackTo unpacks a layer below a new directory and returns its root.
func unpackTo(t *testing.T, data []byte) (string, error) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "layer")
	return root, unpack(context.Background(), bytes.NewReader(data), root)
}

func mustUnpack(t *testing.T, entries ...e) string {
	t.Helper()
	root, err := unpackTo(t, makeTar(t, entries...))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func lstat(t *testing.T, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatalf("lstat %q: %v", path, err)
	}
	return st
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("content of %q = %q, %v; want %q", path, got, err, want)
	}
}

func wantGone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("lstat %q: %v; want it not to be there", path, err)
	}
}

// wantError checks that err exists and contains every part.
func wantError(t *testing.T, what string, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s succeeded; want an error with %q", what, parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: error %q lacks %q", what, err, part)
		}
	}
}

func xattr(t *testing.T, path, name string) string {
	t.Helper()
	buf := make([]byte, 256)
	n, err := unix.Lgetxattr(path, name, buf)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EOPNOTSUPP) {
		return ""
	}
	if err != nil {
		t.Fatalf("%q: xattr %q: %v", path, name, err)
	}
	return string(buf[:n])
}

// newStore opens a store in a new directory.
func newStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// files lists what is below the store, without directories that are always there.
func (s *Store) files(t *testing.T, sub string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.dir, sub))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// wantEmpty checks that a store has no image, and nothing left of one.
func (s *Store) wantEmpty(t *testing.T) {
	t.Helper()
	for _, sub := range []string{"layers", "manifests", "work", "layout/blobs/sha256"} {
		if names := s.files(t, sub); len(names) > 0 {
			t.Errorf("%s has %q; want nothing", sub, names)
		}
	}
	if images, err := s.List(); err != nil || len(images) > 0 {
		t.Errorf("images %v, %v; want none", images, err)
	}
}

// mountImage mounts an image, and returns its root.
func (s *Store) mountImage(t *testing.T, img Image) string {
	t.Helper()
	layers, err := rootfs.ImageLayers(s.dir, img.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	return mountLayers(t, layers)
}

// mountLayers mounts an overlay, of layers topmost first.
func mountLayers(t *testing.T, layers []string) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), "overlay")
	merged, err := rootfs.OverlayLayers(layers, nil, at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rootfs.RemoveOverlay(at); err != nil {
			t.Error(err)
		}
	})
	return merged
}

// nobody uses an image.
func nobody() (map[string][]string, error) { return nil, nil }

var someTime = time.Unix(1_234_567_890, 123_456_789)
