package image

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/podrt/podrt/integration/rung"
)

// withFiles adds an image of layers, lowest first.
func (s *Store) withFiles(t *testing.T, tars ...[]byte) Image {
	t.Helper()
	w, err := s.begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.end(); err != nil {
			t.Error(err)
		}
	}()
	config := `{"os":"linux","rootfs":{"type":"layers","diff_ids":[`
	var descs []v1.Descriptor
	for i, data := range tars {
		d, err := w.layerBlob(context.Background(), bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		descs = append(descs, d)
		if i > 0 {
			config += ","
		}
		config += `"` + d.Digest.String() + `"`
	}
	src, err := w.source([]byte(config+"]}}"), descs)
	if err != nil {
		t.Fatal(err)
	}
	img, err := s.add(context.Background(), w, src, "")
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestLookup(t *testing.T) {
	rung.Privileged(t)
	s := newStore(t)
	const passwd = "root:x:0:0:root:/root:/bin/sh\nme:x:7:8:::/bin/sh\nold:x:5:5::/old:\n"
	const group = "root:x:0:\nmine:x:8:\nwheel:x:10:root,me\nusers:x:100:me\n"
	lower := makeTar(t, e{name: "etc/passwd", content: "me:x:70:80::/lower:\n"}, e{name: "etc/group", content: group})
	img := s.withFiles(t, lower, makeTar(t, e{name: "etc/passwd", content: passwd}))
	for _, tt := range []struct{ spec, want string }{
		{"", "0 0 [10] /root"},
		{"root", "0 0 [10] /root"},
		{"me", "7 8 [10 100] "},
		{"7", "7 8 [10 100] "},
		{"me:users", "7 100 [] "},
		{"me:99", "7 99 [] "},
		{"1234", "1234 0 [] /"},
		{"1234:5678", "1234 5678 [] /"},
		{"0:mine", "0 8 [] /root"},
	} {
		uid, gid, more, home, err := s.Lookup(img, tt.spec)
		if got := fmt.Sprint(uid, " ", gid, " ", more, " ", home); err != nil || got != tt.want {
			t.Errorf("Lookup(%q) = %q, %v; want %q", tt.spec, got, err, tt.want)
		}
	}
	for _, tt := range []struct{ spec, want string }{
		{"nobody", "unable to find user nobody"},
		{"me:none", "unable to find group none"},
		{"-1", "-1"},
		{"4294967296", "4294967296"},
		{"me:-1", "-1"},
	} {
		_, _, _, _, err := s.Lookup(img, tt.spec)
		wantError(t, tt.spec, err, img.Digest.String(), fmt.Sprintf("user %q", tt.spec))
	}

	// Deleted, opaque, by links, and not at all.
	for _, tt := range []struct {
		name   string
		layers [][]byte
		want   string // home of user 7; "/" if the file is not there
	}{
		{"no files", [][]byte{makeTar(t, e{name: "app"})}, "/"},
		{"whiteout", [][]byte{lower, makeTar(t, e{name: "etc/passwd", content: "a:x:7:8::/a:\n"}), makeTar(t, e{name: "etc/.wh.passwd"})}, "/"},
		{"whiteout of the directory", [][]byte{lower, makeTar(t, e{name: ".wh.etc"})}, "/"},
		{"opaque", [][]byte{makeTar(t, e{name: "etc/passwd", content: "a:x:7:8::/a:\n"}), makeTar(t, dir("etc", 0o755), e{name: "etc/.wh..wh..opq"})}, "/"},
		{"opaque root", [][]byte{makeTar(t, e{name: "etc/passwd", content: "a:x:7:8::/a:\n"}), makeTar(t, e{name: ".wh..wh..opq"}, e{name: "x"})}, "/"},
		{"in a lower layer", [][]byte{makeTar(t, e{name: "etc/passwd", content: "a:x:7:8::/a:\n"}), makeTar(t, dir("etc", 0o700))}, "/a"},
		{"a file instead of the directory", [][]byte{lower, makeTar(t, e{name: "etc"})}, "/"},
		{"absolute link", [][]byte{makeTar(t, symlink("etc/passwd", "/usr/lib/passwd")), makeTar(t, e{name: "usr/lib/passwd", content: "a:x:7:8::/a:\n"})}, "/a"},
		{"relative link", [][]byte{makeTar(t, symlink("etc/passwd", "../usr/./lib//passwd"), symlink("usr", "/real")), makeTar(t, e{name: "real/lib/passwd", content: "a:x:7:8::/a:\n"})}, "/a"},
		{"link up and out", [][]byte{makeTar(t, symlink("etc/passwd", "../../../../../../../etc/real"), e{name: "etc/real", content: "a:x:7:8::/a:\n"})}, "/a"},
		{"dangling link", [][]byte{makeTar(t, symlink("etc/passwd", "/nowhere"))}, "/"},
	} {
		img := s.withFiles(t, tt.layers...)
		uid, _, _, home, err := s.Lookup(img, "7")
		if err != nil || uid != 7 || home != tt.want {
			t.Errorf("%s: Lookup(7) = %d, home %q, %v; want home %q", tt.name, uid, home, err, tt.want)
		}
	}
	for _, tt := range []struct {
		name  string
		layer []byte
		want  string
	}{
		{"link to itself", makeTar(t, symlink("etc/passwd", "passwd")), "too many levels of symbolic links"},
		{"directory", makeTar(t, dir("etc/passwd", 0o755)), "is a directory"},
		{"FIFO", makeTar(t, e{name: "etc/passwd", h: tar.Header{Typeflag: tar.TypeFifo}}), "is no regular file"},
		{"device", makeTar(t, e{name: "etc/passwd", h: tar.Header{Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 5}}), "is no regular file"},
		// Without a driver: ENXIO would tell that it was opened.
		{"device that is opened", makeTar(t, e{name: "etc/passwd", h: tar.Header{Typeflag: tar.TypeChar, Devmajor: 4000, Devminor: 1}}), "is no regular file"},
		{"id below 0", makeTar(t, e{name: "etc/passwd", content: "me:x:-7:0::/:\n"}), "id -7"},
		{"group below 0", makeTar(t, e{name: "etc/passwd", content: "me:x:7:-8::/:\n"}), "id -8"},
	} {
		_, _, _, _, err := s.Lookup(s.withFiles(t, tt.layer), "me")
		wantError(t, tt.name, err, tt.want)
	}
}
