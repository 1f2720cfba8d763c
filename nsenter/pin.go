package nsenter

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A pin is not what was recorded.
var (
	// ErrPinLost: no namespace is mounted there any more.
	ErrPinLost = errors.New("the namespace is gone")
	// ErrPinReplaced: another namespace is.
	ErrPinReplaced = errors.New("it is another namespace")
)

// Pin is a namespace that a mount keeps alive. Device and inode together name
// it, until the next boot.
type Pin struct {
	Kind Kind   `json:"kind"`
	Path string `json:"path"` // the pin file
	Dev  uint64 `json:"dev"`
	Ino  uint64 `json:"ino"`
}

// Verify checks that the pin still is what it was. The error wraps ErrPinLost
// or ErrPinReplaced.
func (p Pin) Verify() error {
	f, err := p.Open()
	if err != nil {
		return err
	}
	return f.Close()
}

// Open verifies the pin and returns the namespace itself, for setns(2) or
// /proc/self/fd/N: between a Verify and a use of the path it could change.
func (p Pin) Open() (*os.File, error) {
	f, dev, ino, err := openNamespace(p.Path, p.Kind, unix.O_NOFOLLOW)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, errNoNamespace):
		return nil, fmt.Errorf("verify %s pin %q: %w", p.Kind, p.Path, ErrPinLost)
	case errors.Is(err, errOtherKind):
		return nil, fmt.Errorf("verify %s pin %q: %w", p.Kind, p.Path, ErrPinReplaced)
	case err != nil:
		return nil, fmt.Errorf("verify %s pin: %w", p.Kind, err)
	}
	if dev != p.Dev || ino != p.Ino {
		f.Close()
		return nil, fmt.Errorf("verify %s pin %q: %w: want inode %d, got %d", p.Kind, p.Path, ErrPinReplaced, p.Ino, ino)
	}
	return f, nil
}

// PinPath pins an existing namespace, given by a path like /proc/PID/ns/net or
// another pin, at the new file dst. An error leaves no dst behind.
func PinPath(src, dst string, kind Kind) (_ Pin, retErr error) {
	if kind.flag() == 0 {
		return Pin{}, fmt.Errorf("pin %q: unknown kind of namespace %q", src, kind)
	}
	f, dev, ino, err := openNamespace(src, kind, 0)
	if err != nil {
		return Pin{}, fmt.Errorf("pin %s namespace: %w", kind, err)
	}
	defer f.Close()
	dir, err := os.OpenFile(filepath.Dir(dst), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return Pin{}, newError("open pin directory", filepath.Dir(dst), err)
	}
	defer dir.Close()
	if err := makePinFile(dir, filepath.Base(dst)); err != nil {
		return Pin{}, err
	}
	defer func() {
		if retErr != nil {
			if err := unpinFile(dst); err != nil {
				retErr = errors.Join(retErr, err)
			}
		}
	}()
	tree, err := unix.OpenTree(int(f.Fd()), "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return Pin{}, newError("open namespace", src, err)
	}
	defer unix.Close(tree)
	if err := unix.MoveMount(tree, "", int(dir.Fd()), filepath.Base(dst), unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return Pin{}, newError("pin namespace", dst, err)
	}
	return Pin{Kind: kind, Path: dst, Dev: dev, Ino: ino}, nil
}

// Unpin unmounts and removes all pins in a directory, and leaves other files.
// The namespaces end with their last process. It is idempotent, tries all, and
// takes what a Create or Unpin that was killed at any point has left; a
// directory that does not exist has no pins.
func Unpin(dir string) error {
	all := kinds()
	return unpin(dir, all[:])
}

func unpin(dir string, names []Kind) error {
	var errs []error
	for _, k := range names {
		errs = append(errs, unpinFile(filepath.Join(dir, string(k))))
	}
	return errors.Join(errs...)
}

func unpinFile(path string) error {
	// Mounts may be stacked: until there is none (EINVAL). MNT_DETACH, because a
	// process may have the file open; it loses its name, not its namespace.
	for {
		err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err == unix.EINVAL || err == unix.ENOENT || err == unix.ENOTDIR {
			break
		}
		if err != nil {
			return newError("unmount pin", path, err)
		}
	}
	err := unix.Unlink(path)
	if err != nil && err != unix.ENOENT && err != unix.ENOTDIR {
		return newError("remove pin", path, err)
	}
	return nil
}

// makePinFiles makes an empty file for each kind, to be mounted over. It
// returns those it made, also with an error.
func makePinFiles(dir *os.File, names []Kind) (made []Kind, err error) {
	for _, k := range names {
		if err := makePinFile(dir, string(k)); err != nil {
			return made, err
		}
		made = append(made, k)
	}
	return made, nil
}

// makePinFile refuses what is there already, of whatever type: a pin that
// nobody removed is somebody's.
func makePinFile(dir *os.File, name string) error {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return newError("make pin", filepath.Join(dir.Name(), name), err)
	}
	return unix.Close(fd)
}

var (
	errNoNamespace = errors.New("not a namespace")
	errOtherKind   = errors.New("a namespace of another kind")
)

// openNamespace opens a namespace file and says which namespace it is. flags
// may add O_NOFOLLOW. ioctl_ns(2) NS_GET_NSTYPE, Linux 4.11.
func openNamespace(path string, kind Kind, flags int) (_ *os.File, dev, ino uint64, retErr error) {
	// By O_PATH first: to open just any file could block, or do something.
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return nil, 0, 0, &os.PathError{Op: "open", Path: path, Err: err}
	}
	at := os.NewFile(uintptr(fd), path)
	defer at.Close()
	var fs unix.Statfs_t
	var st unix.Stat_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return nil, 0, 0, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, 0, 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if fs.Type != unix.NSFS_MAGIC {
		return nil, 0, 0, &os.PathError{Op: "open", Path: path, Err: errNoNamespace}
	}
	ns, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, 0, 0, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(ns), path)
	flag, err := unix.IoctlRetInt(ns, unix.NS_GET_NSTYPE)
	if err == nil && uint32(flag) != kind.flag() {
		err = errOtherKind
	}
	if err != nil {
		f.Close()
		return nil, 0, 0, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return f, st.Dev, st.Ino, nil
}
