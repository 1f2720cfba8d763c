package main

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// unpack reads the names, and the content of the regular files, of an image.
func unpack(t *testing.T, path string) map[string][]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	files := map[string][]byte{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(h.Name, "/")
		if _, twice := files[name]; twice || strings.HasPrefix(name, "/") {
			t.Errorf("%s: %q is there twice, or absolute", path, name)
		}
		if files[name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBusyboxImage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "busybox.tar")
	if err := busyboxImage(path); err != nil {
		t.Fatal(err)
	}
	files := unpack(t, path)
	for _, name := range []string{"bin/sh", "bin/mount", "etc/passwd", "tmp", "usr/bin/env"} {
		if _, ok := files[name]; !ok {
			t.Errorf("no %q in the image", name)
		}
	}
	for _, name := range []string{"proc", "sys"} {
		if _, ok := files[name]; ok {
			t.Errorf("%q is in the image; want it left to the runtime", name)
		}
	}
}

// TestDebianImage: what the suite calls is there, and every program and library
// finds its libraries.
func TestDebianImage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "debian.tar")
	if err := debianImage(path); err != nil {
		t.Fatal(err)
	}
	files := unpack(t, path)
	for _, name := range []string{"bash", "chrt", "findmnt", "grep", "ionice", "sh", "sleep", "stat", "touch"} {
		if _, ok := files["usr/bin/"+name]; !ok {
			t.Errorf("no %q in the image", name)
		}
	}
	for _, name := range []string{"usr/sbin/ldconfig", "etc/passwd", "etc/group"} {
		if len(files[name]) == 0 {
			t.Errorf("no %q in the image", name)
		}
	}
	libraries := map[string]bool{}
	for name := range files {
		libraries[filepath.Base(name)] = true
	}
	for name, data := range files {
		if !bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
			continue
		}
		f, err := elf.NewFile(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		needed, err := f.ImportedLibraries()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, lib := range needed {
			if !libraries[lib] {
				t.Errorf("%q needs %q, which is not in the image", name, lib)
			}
		}
	}
}
