package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Store is the set of images of a library root. It holds no state of its own, and
// may be used by several processes and goroutines at once.
type Store struct {
	dir string // LIB/images, absolute
}

// Open returns the store of a library root, which is an absolute path, and makes
// it if there is none.
func Open(libRoot string) (*Store, error) {
	if !filepath.IsAbs(libRoot) {
		return nil, fmt.Errorf("open image store: library root %q is not an absolute path", libRoot)
	}
	s := &Store{dir: filepath.Join(libRoot, "images")}
	if err := s.make(libRoot); err != nil {
		return nil, fmt.Errorf("open image store: %w", err)
	}
	return s, nil
}

func (s *Store) layersDir() string             { return filepath.Join(s.dir, "layers") }
func (s *Store) layerDir(diffID string) string { return filepath.Join(s.dir, "layers", diffID) }
func (s *Store) manifestsDir() string          { return filepath.Join(s.dir, "manifests") }
func (s *Store) manifestFile(hex string) string {
	return filepath.Join(s.dir, "manifests", hex+".json")
}
func (s *Store) workDir() string            { return filepath.Join(s.dir, "work") }
func (s *Store) layoutDir() string          { return filepath.Join(s.dir, "layout") }
func (s *Store) blobsDir() string           { return filepath.Join(s.dir, "layout", "blobs", "sha256") }
func (s *Store) blobFile(hex string) string { return filepath.Join(s.blobsDir(), hex) }

// make makes the directories, in any state that a SIGKILL can have left them.
func (s *Store) make(libRoot string) error {
	if err := os.MkdirAll(libRoot, 0o711); err != nil {
		return err
	}
	for _, dir := range []string{s.dir, s.layersDir(), s.manifestsDir(), s.workDir(), s.blobsDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	// Also one that was made, or restored, by another: see doc.go.
	if st, err := os.Stat(s.dir); err != nil || st.Mode().Perm()&0o077 != 0 {
		if err := errors.Join(err, os.Chmod(s.dir, 0o700)); err != nil {
			return err
		}
	}
	// https://github.com/opencontainers/image-spec/blob/main/image-layout.md has it the
	// same for all.
	file := filepath.Join(s.layoutDir(), "oci-layout")
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lock, err := s.lock(unix.LOCK_EX) // or the sweep takes what is half written
	if err != nil {
		return err
	}
	defer lock.Close()
	ix, err := s.readIndex() // that of another process, by now
	if err == nil {
		err = s.writeIndex(ix)
	}
	if err != nil {
		return err
	}
	return writeFile(file, []byte(`{"imageLayoutVersion": "1.0.0"}`))
}

// lock takes the store's lock, unix.LOCK_SH or LOCK_EX; the caller closes the file.
// Nothing large is done under it, so it is waited for.
func (s *Store) lock(how int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = flock(f, how)
	}
	if err != nil {
		_ = f.Close() // or nil
		return nil, fmt.Errorf("lock image store: %w", err)
	}
	return f, nil
}

// flock is flock(2), repeated when a signal interrupts it.
func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// writeFile replaces a file by temporary file and rename: a reader sees the old or
// the new one.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), tempPrefix)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if serr := f.Sync(); err == nil {
		err = serr
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// tempPrefix begins the names of files that writeFile has not finished.
const tempPrefix = ".new-"
