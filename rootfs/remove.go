package rootfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	removeBatch = 1024 // names read from a directory at once
	maxErrors   = 10   // errors reported by one removal
)

// RemoveAll removes path and everything below it. It differs from
// [os.RemoveAll] in what hostile content can do to it: it never crosses a
// mount (what lies behind one is left alone, and reported as an error), and
// it needs few descriptors however deep the tree is. As there, symlinks are
// removed, not followed, and a path that does not exist is fine. path's parent
// is trusted. Nobody may write to the tree meanwhile, or removal may not end.
//
// Requires Linux 5.6.
func RemoveAll(path string) error {
	path = filepath.Clean(path)
	parent, err := openPath(filepath.Dir(path), unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: filepath.Dir(path), Err: err}
	}
	defer func() { _ = parent.Close() }()
	name := filepath.Base(path)
	if err := removeOne(parent, name); !errors.Is(err, unix.ENOTEMPTY) {
		return removeError(path, err)
	}
	top, err := openDir(parent, name)
	if err != nil {
		return removeError(path, err)
	}
	defer func() { _ = top.Close() }()
	r := remover{top: top}
	return errors.Join(r.run(path), removeError(path, removeOne(parent, name)))
}

// A remover empties top. Directories that are not empty are moved up into
// top, and emptied from there: a chain of a million directories is no deeper
// than two for us. A rename does not cross mounts either.
type remover struct {
	top   *os.File
	moved int // number of the next directory moved up
	done  int // entries removed or moved in this pass
	errs  []error
}

// run makes passes over top as long as there is progress: moved directories
// arrive behind the reader, and some file systems skip names when others are
// removed meanwhile.
func (r *remover) run(path string) error {
	for {
		r.done, r.errs = 0, nil
		r.each(r.top, path, func(name string) {
			sub := path + "/" + name
			err := removeOne(r.top, name)
			if errors.Is(err, unix.ENOTEMPTY) {
				err = r.drain(r.top, name, sub)
			}
			r.count(sub, err)
		})
		if r.done == 0 {
			return errors.Join(r.errs...)
		}
	}
}

// drain empties and removes name, a directory in parent.
func (r *remover) drain(parent *os.File, name, path string) error {
	dir, err := openDir(parent, name)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	r.each(dir, path, func(name string) {
		sub := path + "/" + name
		err := removeOne(dir, name)
		if errors.Is(err, unix.ENOTEMPTY) {
			err = r.moveUp(dir, name)
		}
		if errors.Is(err, unix.EXDEV) {
			// An overlay refuses to rename a directory of its lower layer,
			// and ext4 and xfs one of another quota project.
			err = r.drain(dir, name, sub)
		}
		r.count(sub, err)
	})
	return removeOne(parent, name)
}

// moveUp renames a directory into top, under a name that is free there.
func (r *remover) moveUp(dir *os.File, name string) error {
	for {
		free := ".podrt-removed-" + strconv.Itoa(r.moved)
		r.moved++
		err := retry(func() error {
			return unix.Renameat2(int(dir.Fd()), name, int(r.top.Fd()), free, unix.RENAME_NOREPLACE)
		})
		if !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
}

// each calls f with every name in dir.
func (r *remover) each(dir *os.File, path string, f func(name string)) {
	if _, err := dir.Seek(0, io.SeekStart); err != nil {
		r.count(path, err)
		return
	}
	for {
		names, err := dir.Readdirnames(removeBatch)
		for _, name := range names {
			f(name)
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			r.count(path, err)
			return
		}
	}
}

func (r *remover) count(path string, err error) {
	switch {
	case err == nil:
		r.done++
	case len(r.errs) < maxErrors:
		r.errs = append(r.errs, removeError(path, err))
	}
}

// removeOne removes a file, a symlink or an empty directory. The error is
// ENOTEMPTY for any other directory; a name that does not exist is fine.
func removeOne(dir *os.File, name string) error {
	err := retry(func() error { return unix.Unlinkat(int(dir.Fd()), name, 0) })
	if errors.Is(err, unix.EISDIR) {
		err = retry(func() error { return unix.Unlinkat(int(dir.Fd()), name, unix.AT_REMOVEDIR) })
	}
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.EEXIST): // POSIX allows it for ENOTEMPTY
		return unix.ENOTEMPTY
	}
	return err
}

// openDir opens the directory name in dir to be read: EXDEV when something is
// mounted on it. (Mount points refuse rmdir and rename before, with EBUSY.)
func openDir(dir *os.File, name string) (*os.File, error) {
	return openBeneath(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW,
		unix.RESOLVE_NO_XDEV|unix.RESOLVE_NO_SYMLINKS)
}

func removeError(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EBUSY):
		return fmt.Errorf("remove %q: something is mounted on it: %w", path, err)
	}
	return &os.PathError{Op: "remove", Path: path, Err: err}
}
