package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxArchiveEntries is more than an archive of images has: a few for each layer.
const maxArchiveEntries = 100_000

// spread writes the files of an archive of images, a tar that may be compressed,
// below dir, which is empty. Hard links and what is no file are refused; symbolic
// links, by which docker save says that layers are the same, lead nowhere outside.
func spread(ctx context.Context, r io.Reader, dir string) error {
	plain, err := decompress(&interruptible{ctx, r})
	if err != nil {
		return err
	}
	defer plain.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	tr := tar.NewReader(&bounded{r: plain, most: maxLayer})
	for n := 0; ; n++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("archive: %w", err)
		}
		if n == maxArchiveEntries {
			return fmt.Errorf("archive has more than %d entries", maxArchiveEntries)
		}
		if err := spreadEntry(root, h, tr); err != nil {
			return fmt.Errorf("archive: entry %q: %w", shorten(h.Name), err)
		}
	}
}

func spreadEntry(root *os.Root, h *tar.Header, content io.Reader) error {
	name, err := local(h.Name)
	if err != nil {
		return errors.New("its name leads out of the archive")
	}
	switch h.Typeflag {
	case tar.TypeDir, tar.TypeXGlobalHeader:
		return nil // made when something is in it
	case tar.TypeReg, tar.TypeSymlink:
	default:
		return fmt.Errorf("is of type %q, which no archive of images has", h.Typeflag)
	}
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeSymlink {
		return root.Symlink(h.Linkname, name)
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

// openIn opens a regular file in a directory that others may have written.
func openIn(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(filepath.FromSlash(name), os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = &os.PathError{Op: "read", Path: name, Err: errors.New("not a regular file")}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// readIn reads a small file of such a directory.
func readIn(root *os.Root, name string) ([]byte, error) {
	f, err := openIn(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(data) > maxConfig {
		err = fmt.Errorf("%q has more than %d bytes", name, maxConfig)
	}
	return data, err
}

func isIn(root *os.Root, name string) bool {
	_, err := root.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}
