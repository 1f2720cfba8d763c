package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// TestFull: what does not fit leaves nothing behind, and images can be removed from a
// disk that is full.
func TestFull(t *testing.T) {
	rung.Privileged(t)
	for _, tt := range []struct {
		name, options string
		fill          func(dir string, n int) error
	}{
		{"blocks", "size=2m", func(dir string, n int) error {
			f, err := os.OpenFile(filepath.Join(dir, "fill"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
			if err != nil {
				return err
			}
			_, err = f.Write(make([]byte, 4096))
			return errors.Join(err, f.Close())
		}},
		{"inodes", "nr_inodes=400", func(dir string, n int) error {
			return os.WriteFile(filepath.Join(dir, fmt.Sprint(n)), nil, 0o600)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := unix.Mount("full", dir, "tmpfs", 0, tt.options); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := unix.Unmount(dir, 0); err != nil {
					t.Error(err)
				}
			}()
			s, err := Open(dir + "/lib")
			if err != nil {
				t.Fatal(err)
			}
			const n = 30 // whose index is larger than what is free once a record is gone
			for i := range n {
				s.importFile(t, fmt.Sprintf("localhost/%d", i), fmt.Sprint(i))
			}
			err = nil
			for i := 0; err == nil; i++ {
				err = tt.fill(dir, i)
			}
			if !errors.Is(err, unix.ENOSPC) {
				t.Fatal(err)
			}
			before := fmt.Sprint(s.files(t, "layers"), s.files(t, "layout/blobs/sha256"), s.files(t, "layout"), s.files(t, "work"))
			_, err = s.Import(context.Background(), bytes.NewReader(makeTar(t, e{name: "f", content: strings.Repeat("x", 100_000)})), "localhost/x", nil)
			if !errors.Is(err, unix.ENOSPC) {
				t.Errorf("import: %v; want %v", err, unix.ENOSPC)
			}
			if after := fmt.Sprint(s.files(t, "layers"), s.files(t, "layout/blobs/sha256"), s.files(t, "layout"), s.files(t, "work")); after != before {
				t.Errorf("after an import that failed there is %s; want %s", after, before)
			}
			for i := range n {
				if err := s.Remove(fmt.Sprintf("localhost/%d", i), nobody); err != nil {
					t.Errorf("remove image %d: %v", i, err)
				}
			}
			s.wantEmpty(t)
		})
	}
}

// TestSweepMoves: what is large is only moved under the lock, which pods wait for.
func TestSweepMoves(t *testing.T) {
	rung.Privileged(t)
	s := newStore(t)
	img := s.importFile(t, "localhost/a", "a")
	layer := s.files(t, "layers")[0]
	lock, err := s.lock(unix.LOCK_EX)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(s.manifestFile(img.Digest.Hex)); err != nil {
		t.Fatal(err)
	}
	dead, err := s.sweep()
	if err != nil || len(s.files(t, "layers")) != 0 {
		t.Errorf("sweep: %v, with layers %q left", err, s.files(t, "layers"))
	}
	if err := lock.Close(); err != nil {
		t.Error(err)
	}
	wantFile(t, dead.dir+"/"+layer+"/f", "a")
	s.importFile(t, "localhost/b", "b") // does not take it from under whoever ends it
	wantFile(t, dead.dir+"/"+layer+"/f", "a")
	if err := dead.end(); err != nil {
		t.Error(err)
	}
	if left := s.files(t, "work"); len(left) > 0 {
		t.Errorf("work has %q; want nothing", left)
	}
}
