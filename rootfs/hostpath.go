package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A HostPath is a file or directory of the host. As in Kubernetes, symlinks
// in Path are followed: the path is the pod author's, and the type is checked
// where it ends.
type HostPath struct {
	Path string // absolute, without ".."
	// Type says what Path must be:
	//
	//	""                 anything that exists
	//	Directory          a directory
	//	DirectoryOrCreate  a directory; made, mode 0755, with its parents
	//	File               a regular file
	//	FileOrCreate       a regular file; made, mode 0644, in an existing directory
	//	Socket             a UNIX socket
	//	CharDevice         a character device
	//	BlockDevice        a block device
	//
	// What was made belongs to the host: it stays when the volume goes.
	Type string
}

// sortOf returns the file type that a hostPath's type asks for, an S_IF*
// constant or 0 for any; ok is false for an unknown type.
func sortOf(hostPathType string) (mode uint32, ok bool) {
	switch hostPathType {
	case "":
		return 0, true
	case "Directory", "DirectoryOrCreate":
		return unix.S_IFDIR, true
	case "File", "FileOrCreate":
		return unix.S_IFREG, true
	case "Socket":
		return unix.S_IFSOCK, true
	case "CharDevice":
		return unix.S_IFCHR, true
	case "BlockDevice":
		return unix.S_IFBLK, true
	}
	return 0, false
}

func (h HostPath) check() error {
	switch {
	case h.Path == "":
		return errors.New("hostPath.path is empty")
	case !filepath.IsAbs(h.Path):
		return fmt.Errorf("hostPath.path %q is not absolute", h.Path)
	case slices.Contains(strings.Split(h.Path, "/"), ".."):
		return fmt.Errorf(`hostPath.path %q contains ".."`, h.Path)
	case strings.ContainsRune(h.Path, 0):
		return fmt.Errorf("hostPath.path %q contains a zero byte", h.Path)
	}
	if _, ok := sortOf(h.Type); !ok {
		return fmt.Errorf(`hostPath.type %q is none of "", Directory, DirectoryOrCreate, File, FileOrCreate, Socket, CharDevice, BlockDevice`, h.Type)
	}
	return nil
}

// pin checks the path and binds what it names on target.
func (h HostPath) pin(target string) error {
	f, err := h.open()
	if err != nil {
		return fmt.Errorf("hostPath %q: %w", h.Path, err)
	}
	defer func() { _ = f.Close() }()

	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("hostPath %q: fstat: %w", h.Path, err)
	}
	want, _ := sortOf(h.Type)
	if got := st.Mode & unix.S_IFMT; want != 0 && got != want {
		resolved := ""
		if end, err := pathOf(f); err == nil && end != filepath.Clean(h.Path) {
			resolved = fmt.Sprintf(" (resolved to %q)", end)
		}
		return fmt.Errorf("hostPath %q%s is a %s: type %s wants a %s", h.Path, resolved, sortName(got), h.Type, sortName(want))
	}
	if err := pin(f, h.Path, target); err != nil {
		return fmt.Errorf("hostPath %q: %w", h.Path, err)
	}
	return nil
}

// open returns an O_PATH descriptor of the path, which it makes if the type
// says so.
func (h HostPath) open() (*os.File, error) {
	f, err := openPath(h.Path, 0)
	if !errors.Is(err, unix.ENOENT) {
		return f, err
	}
	switch h.Type {
	case "DirectoryOrCreate":
		if err := os.MkdirAll(h.Path, 0o755); err != nil {
			return nil, err
		}
	case "FileOrCreate":
		c, err := os.OpenFile(h.Path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		if err == nil {
			_ = c.Close()
		}
	}
	return openPath(h.Path, 0)
}

func sortName(mode uint32) string {
	switch mode {
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFREG:
		return "regular file"
	case unix.S_IFSOCK:
		return "socket"
	case unix.S_IFCHR:
		return "character device"
	case unix.S_IFBLK:
		return "block device"
	case unix.S_IFIFO:
		return "FIFO"
	}
	return fmt.Sprintf("file of type %#o", mode)
}
