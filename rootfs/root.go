package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Root returns the directory that root, the root path of an OCI bundle's
// configuration, names inside the bundle. The result is absolute and free of
// symlinks, as libcontainer wants it. root must be relative and must not leave
// the bundle, neither by "..", nor by a symlink (an absolute symlink counts as
// one that leaves): a pod bundle is complete in itself, and the same on any
// host. Requires Linux 5.6.
func Root(bundle, root string) (string, error) {
	switch {
	case root == "":
		return "", fmt.Errorf("root path of bundle %q is empty", bundle)
	case filepath.IsAbs(root):
		return "", fmt.Errorf("root path %q of bundle %q is absolute: it must be inside the bundle", root, bundle)
	case !filepath.IsLocal(root):
		return "", fmt.Errorf("root path %q of bundle %q leads out of the bundle", root, bundle)
	}
	b, err := openPath(bundle, unix.O_DIRECTORY)
	if err != nil {
		return "", fmt.Errorf("open bundle %q: %w", bundle, err)
	}
	defer func() { _ = b.Close() }()

	r, err := openBeneath(b, root, unix.O_PATH|unix.O_DIRECTORY, 0)
	if errors.Is(err, unix.EXDEV) {
		return "", fmt.Errorf("root path %q of bundle %q is a symlink out of the bundle%s", root, bundle, leadsTo(bundle, root))
	}
	if err != nil {
		return "", rootError(bundle, root, err)
	}
	defer func() { _ = r.Close() }()
	dir, err := pathOf(r)
	if err != nil {
		return "", rootError(bundle, root, err)
	}
	return dir, nil
}

// OCIRoot is Root for a plain OCI container, whose caller owns the bundle and
// may keep its root elsewhere: an absolute path, and a relative one with "..",
// are taken as they are (symlinks are followed). A relative path without ".."
// is inside the bundle, and must not be a symlink out of it.
func OCIRoot(bundle, root string) (string, error) {
	if root == "" || filepath.IsLocal(root) {
		return Root(bundle, root)
	}
	path := root
	if !filepath.IsAbs(path) {
		path = bundle + "/" + root // not Join: a ".." after a symlink is the kernel's to resolve
	}
	r, err := openPath(path, unix.O_DIRECTORY)
	if err != nil {
		return "", rootError(bundle, root, err)
	}
	defer func() { _ = r.Close() }()
	dir, err := pathOf(r)
	if err != nil {
		return "", rootError(bundle, root, err)
	}
	return dir, nil
}

func rootError(bundle, root string, err error) error {
	switch {
	case errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("root path %q of bundle %q: %w", root, bundle, err)
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("root path %q of bundle %q does not exist: %w", root, bundle, err)
	}
	return fmt.Errorf("open root path %q of bundle %q: %w", root, bundle, err)
}

// leadsTo says where a path ends on the host, for an error message only.
func leadsTo(bundle, path string) string {
	end, err := filepath.EvalSymlinks(filepath.Join(bundle, path))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (to %q)", end)
}

// pathOf returns the absolute path of an open file, free of symlinks. It
// fails when the path no longer leads to the file.
func pathOf(f *os.File) (string, error) {
	path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(f.Fd())))
	if err != nil {
		return "", err
	}
	// The kernel appends " (deleted)" to a removed file's path, and gives a
	// relative one for a file outside of our root.
	var want, got unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &want); err != nil {
		return "", &os.PathError{Op: "fstat", Path: path, Err: err}
	}
	if err := unix.Lstat(path, &got); err != nil {
		return "", &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	if want.Dev != got.Dev || want.Ino != got.Ino {
		return "", &os.PathError{Op: "resolve", Path: path, Err: unix.ESTALE}
	}
	return path, nil
}
