package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// CheckSubpath reports whether sub can be the path of a file inside a volume:
// relative, not empty, and without "..", as in Kubernetes.
func CheckSubpath(sub string) error {
	switch {
	case sub == "":
		return errors.New("subPath is empty")
	case filepath.IsAbs(sub):
		return fmt.Errorf("subPath %q is absolute", sub)
	case slices.Contains(strings.Split(sub, "/"), ".."):
		return fmt.Errorf(`subPath %q contains ".."`, sub)
	case strings.ContainsRune(sub, 0):
		return fmt.Errorf("subPath %q contains a zero byte", sub)
	}
	return nil
}

// Subpath pins sub, a path inside the volume at source, on target: whatever a
// container does to the volume later, target is what was found inside it now.
// target must not exist; its parent directory is made, mode 0700.
//
// Symlinks are followed as long as they are relative and stay in the volume.
// Directories that do not exist are made, with the mode of the volume's own
// directory. Requires Linux 5.6.
func Subpath(source, sub, target string) error {
	if err := CheckSubpath(sub); err != nil {
		return err
	}
	fail := func(err error) error {
		return fmt.Errorf("subPath %q of volume directory %q: %w", sub, source, err)
	}
	volume, err := openPath(source, unix.O_DIRECTORY)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = volume.Close() }()
	f, err := openBeneath(volume, sub, unix.O_PATH, 0)
	if errors.Is(err, unix.ENOENT) {
		f, err = makeBeneath(volume, sub)
	}
	if errors.Is(err, unix.EXDEV) {
		return fail(fmt.Errorf("a symlink leads out of the volume: %w", err))
	}
	if err != nil {
		return fail(err)
	}
	defer func() { _ = f.Close() }()

	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return fail(err)
	}
	if err := pin(f, source+"/"+sub, target); err != nil {
		return fail(err)
	}
	return nil
}

// RemoveSubpaths removes every pin in dir, and dir. Nothing in the volumes is
// touched, directories that Subpath made included.
func RemoveSubpaths(dir string) error {
	if err := unpinAll(dir); err != nil {
		return fmt.Errorf("remove subPaths: %w", err)
	}
	return nil
}

// makeBeneath makes the directories of path that do not exist in volume, and
// returns an O_PATH descriptor of the last one. Each is made in, and opened
// from, the descriptor of its parent.
func makeBeneath(volume *os.File, path string) (*os.File, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(volume.Fd()), &st); err != nil {
		return nil, err
	}
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	dir := volume
	for i, part := range parts {
		// The whole path again, not the part below dir: a symlink to a
		// directory of the volume that is not below dir is fine.
		next, err := openBeneath(volume, strings.Join(parts[:i+1], "/"), unix.O_PATH|unix.O_DIRECTORY, 0)
		if errors.Is(err, unix.ENOENT) {
			next, err = mkdirBeneath(dir, part, st.Mode&(0o777|unix.S_ISGID|unix.S_ISVTX))
		}
		if dir != volume {
			_ = dir.Close()
		}
		if err != nil {
			return nil, err
		}
		dir = next
	}
	if dir == volume { // path is ".", which exists
		return nil, unix.ENOENT
	}
	return dir, nil
}

// mkdirBeneath makes the directory name in dir and opens it. A symlink that
// leads nowhere, and one that was put there meanwhile, are errors.
func mkdirBeneath(dir *os.File, name string, mode uint32) (*os.File, error) {
	err := mkdirat(dir, name, mode)
	made := err == nil
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("make directory %q: %w", name, err)
	}
	f, err := openBeneath(dir, name, unix.O_RDONLY|unix.O_DIRECTORY, unix.RESOLVE_NO_XDEV|unix.RESOLVE_NO_SYMLINKS)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%q is a symlink that leads nowhere: %w", name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open directory %q: %w", name, err)
	}
	if made && mode&unix.S_ISGID != 0 {
		if err := addSetGID(f); err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("chmod made directory %q: %w", name, err)
		}
	}
	return f, nil
}

// mkdirat makes a directory with exactly that mode, but for S_ISGID, which the
// kernel takes from dir. It is not left to a chmod(2) of what is found there
// afterwards: by then that can be another directory of the volume, which is closed
// to whoever has put it there.
func mkdirat(dir *os.File, name string, mode uint32) error {
	done := make(chan error)
	go func() {
		// The umask is one for all threads that do not have their own (CLONE_FS,
		// unshare(2)). Never unlocked: the thread ends with it.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			done <- os.NewSyscallError("unshare", err)
			return
		}
		unix.Umask(0)
		done <- retry(func() error { return unix.Mkdirat(int(dir.Fd()), name, mode) })
	}()
	return <-done
}

// addSetGID adds S_ISGID to the mode of a directory, whatever that is.
func addSetGID(f *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Mode&unix.S_ISGID != 0 {
		return err
	}
	return unix.Fchmod(int(f.Fd()), st.Mode&0o7777|unix.S_ISGID)
}
