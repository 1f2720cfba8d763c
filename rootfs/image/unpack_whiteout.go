package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Names that stand for deletions
// (https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts).
const (
	whiteoutPrefix = ".wh."
	opaqueMark     = ".wh..wh..opq" // of all that lower layers have in the directory
	metaPrefix     = ".wh..wh."     // aufs's own notes
)

// whiteout makes what an entry whose name is a mark stands for. It is about lower
// layers only: what this one has of that name, before or after, stays.
func (u *unpacker) whiteout(parent *os.File, base string) error {
	if base == opaqueMark {
		return hide(parent, ".")
	}
	if strings.HasPrefix(base, metaPrefix) {
		return nil
	}
	name := strings.TrimPrefix(base, whiteoutPrefix)
	if name == "" || name == "." || name == ".." {
		return fmt.Errorf("whiteout of %q", name)
	}
	var st unix.Stat_t
	err := unix.Fstatat(int(parent.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return hide(parent, name)
	case err == nil, opaque(parent):
		return nil
	case !errors.Is(err, unix.ENOENT):
		return &os.PathError{Op: "stat", Path: name, Err: err}
	}
	// https://docs.kernel.org/filesystems/overlayfs.html, "whiteouts and opaque directories".
	if err := unix.Mknodat(int(parent.Fd()), name, unix.S_IFCHR, 0); err != nil {
		return &os.PathError{Op: "mknod", Path: name, Err: err}
	}
	return nil
}

// hide makes a directory opaque, and takes the whiteouts out of it: they are for
// nothing then, and where no other layer has the directory, overlayfs lists them to
// the container, which can neither open nor remove them.
func hide(parent *os.File, name string) error {
	fd, err := unix.Openat(int(parent.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open directory", Path: name, Err: err}
	}
	dir := os.NewFile(uintptr(fd), name)
	defer dir.Close()
	if opaque(dir) {
		return nil // and has none
	}
	var marks []string
	for {
		entries, err := dir.ReadDir(1024)
		for _, entry := range entries {
			var st unix.Stat_t
			if entry.Type()&fs.ModeCharDevice == 0 {
				continue
			}
			if err := unix.Fstatat(fd, entry.Name(), &st, unix.AT_SYMLINK_NOFOLLOW); err == nil && isWhiteout(&st) {
				marks = append(marks, entry.Name())
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	for _, mark := range marks {
		if err := unix.Unlinkat(fd, mark, 0); err != nil {
			return &os.PathError{Op: "remove", Path: mark, Err: err}
		}
	}
	return setOpaque(dir, ".")
}

func isWhiteout(st *unix.Stat_t) bool {
	return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0
}

const opaqueXattr = "trusted.overlay.opaque"

// setOpaque has a directory hide what lower layers have of it.
func setOpaque(parent *os.File, name string) error {
	if err := unix.Lsetxattr(procPath(parent, name), opaqueXattr, []byte("y"), 0); err != nil {
		return fmt.Errorf("extended attribute %q: %w", opaqueXattr, err)
	}
	return nil
}
