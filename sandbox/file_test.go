package sandbox

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestReadFile(t *testing.T) {
	for _, size := range []int{0, 1, 511, 512, 4096, 1 << 20} {
		want := bytes.Repeat([]byte("x"), size)
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, want, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("readFile of %d bytes = %d bytes, %v", size, len(got), err)
		}
	}
	if _, err := readFile(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("readFile of a missing file: error %v; want %v", err, fs.ErrNotExist)
	}
	// A file of /proc is longer than it says.
	if got, err := readFile("/proc/self/status"); err != nil || len(got) < 100 {
		t.Errorf("readFile of a file in /proc = %d bytes, %v", len(got), err)
	}
}

func TestRemoveKnown(t *testing.T) {
	for _, names := range [][]string{nil, {"a"}, {"a", "b"}, {"a", "other"}, {"sub/other"}} {
		dir := filepath.Join(t.TempDir(), "d")
		for _, name := range names {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := removeKnown(dir, "a", "b"); err != nil {
			t.Errorf("removeKnown with %q: %v", names, err)
		}
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("removeKnown with %q left it: %v", names, err)
		}
	}
}
