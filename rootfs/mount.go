package rootfs

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// maxStack bounds how many mounts on one mount point unmount takes down. We
// put one there; anything near this number is not our doing.
const maxStack = 64

// MountError reports a mount operation that the kernel refused.
type MountError struct {
	Op     string // the system call: "mount", "umount2", "open_tree", "move_mount" or "mount_setattr"
	Source string
	Target string
	FSType string
	Flags  uintptr // MS_*, MNT_*, OPEN_TREE_* or MOVE_MOUNT_*, as Op takes them
	Data   string
	Err    error // usually a syscall.Errno
}

// Error says what was attempted, and why it failed.
func (e *MountError) Error() string {
	var s strings.Builder
	s.WriteString(e.Op)
	if e.Source != "" {
		fmt.Fprintf(&s, " %q", e.Source)
	}
	if e.Target != "" {
		if e.Source != "" {
			s.WriteString(" on")
		}
		fmt.Fprintf(&s, " %q", e.Target)
	}
	var details []string
	if e.FSType != "" {
		details = append(details, "type "+e.FSType)
	}
	if e.Flags != 0 {
		details = append(details, fmt.Sprintf("flags %#x", e.Flags))
	}
	if e.Data != "" {
		details = append(details, fmt.Sprintf("options %q", e.Data))
	}
	if len(details) > 0 {
		fmt.Fprintf(&s, " (%s)", strings.Join(details, ", "))
	}
	fmt.Fprintf(&s, ": %v", e.Err)
	return s.String()
}

// Unwrap returns the kernel's reason.
func (e *MountError) Unwrap() error { return e.Err }

// mount wraps mount(2).
func mount(source, target, fstype string, flags uintptr, data string) error {
	if err := retry(func() error { return unix.Mount(source, target, fstype, flags, data) }); err != nil {
		return &MountError{Op: "mount", Source: source, Target: target, FSType: fstype, Flags: flags, Data: data, Err: err}
	}
	return nil
}

// unmount detaches every mount on target, and all that is mounted below. A
// target that is missing or is no mount point is fine. target's last
// component is not followed when it is a symlink.
func unmount(target string) error {
	for range maxStack {
		if isSymlink(target) {
			return nil
		}
		// A tree bound from a shared mount may still be its peer, when a
		// SIGKILL came before bind made it a slave. Detaching it would then
		// unmount the submounts of the original, too.
		const private = unix.MS_REC | unix.MS_PRIVATE
		switch err := mount("", target, "", private, ""); {
		case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINVAL): // missing, or no mount point
			return nil
		case err != nil:
			return err
		}
		// A busy mount is detached as well: its last user ends it. Waiting
		// for that would leave the mount to whoever holds it.
		const flags = unix.MNT_DETACH | unix.UMOUNT_NOFOLLOW
		if err := retry(func() error { return unix.Unmount(target, flags) }); err != nil {
			return &MountError{Op: "umount2", Target: target, Flags: flags, Err: err}
		}
	}
	return &MountError{Op: "umount2", Target: target, Err: fmt.Errorf("more than %d mounts are stacked there", maxStack)}
}

// isSymlink reports whether path itself is a symlink. It asks the kernel for
// what it knows already: a dead network file system must not stop removal.
func isSymlink(path string) bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT|unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE, &st)
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK
}

// bind mounts the file or directory behind f, with all that is mounted below,
// on target, which must exist and be of the same sort. source is the name of
// f in errors. Mounts that appear below the original later appear in the new
// tree as well; nothing goes the other way. Requires Linux 5.2.
func bind(f *os.File, source, target string) error {
	const clone = unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH | unix.AT_RECURSIVE
	fd := int(f.Fd())
	tree, err := unix.OpenTree(fd, "", clone)
	if err != nil {
		return &MountError{Op: "open_tree", Source: source, Flags: clone, Err: err}
	}
	defer func() { _ = unix.Close(tree) }()

	// Without MOVE_MOUNT_T_SYMLINKS a symlink at target is not followed.
	const move = unix.MOVE_MOUNT_F_EMPTY_PATH
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, target, move); err != nil {
		return &MountError{Op: "move_mount", Source: source, Target: target, Flags: move, Err: err}
	}
	if err := mount("", target, "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return errors.Join(err, unmount(target))
	}
	return nil
}

// pin binds f on target, which it makes: an empty directory, or an empty file
// when f is none. target must not exist.
func pin(f *os.File, source, target string) (retErr error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return &os.PathError{Op: "fstat", Path: source, Err: err}
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		if err := os.Mkdir(target, 0o700); err != nil {
			return err
		}
	} else {
		t, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_ = t.Close()
	}
	defer func() {
		if retErr != nil {
			retErr = errors.Join(retErr, unpin(target))
		}
	}()
	return bind(f, source, target)
}

// unpin unmounts what is on target, and removes target. It removes an empty
// directory or a file only: if anything were still mounted there, nothing
// behind the mount could be deleted.
func unpin(target string) error {
	if err := unmount(target); err != nil {
		return err
	}
	err := retry(func() error { return unix.Rmdir(target) })
	if errors.Is(err, unix.ENOTDIR) {
		err = retry(func() error { return unix.Unlink(target) })
	}
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return &os.PathError{Op: "remove mount point", Path: target, Err: err}
	}
	return nil
}

// unpinAll unpins everything in dir, and removes dir.
func unpinAll(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		errs = append(errs, unpin(dir+"/"+e.Name()))
	}
	return errors.Join(append(errs, unpin(dir))...)
}

// retry calls f until it is not interrupted by a signal.
func retry(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
