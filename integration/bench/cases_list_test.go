package main

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCopyState(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "b7"), filepath.Join(dir, "b7-001")
	if err := os.Mkdir(from, 0o700); err != nil {
		t.Fatal(err)
	}
	files := map[string][2]string{
		"state.json": {`{"id":"b7","pid":7,"x":"b7"}`, `{"id":"b7-001","pid":7,"x":"b7"}`},
		"spaced":     {`{"id": "b7"}`, `{"id": "b7-001"}`},
	}
	for name, f := range files {
		if err := os.WriteFile(filepath.Join(from, name), []byte(f[0]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(from, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := copyState(from, to, "b7", "b7-001"); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(to)
	if err != nil || len(entries) != len(files) {
		t.Errorf("copied %v (%v); want the regular files", entries, err)
	}
	for name, f := range files {
		if b, err := os.ReadFile(filepath.Join(to, name)); err != nil || string(b) != f[1] {
			t.Errorf("%s = %q (%v); want %q", name, b, err, f[1])
		}
	}
}
