package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// attributes gives what an entry has made its owner, mode, extended attributes and
// time. name is its path, of a directory.
func (u *unpacker) attributes(parent *os.File, base, name string, h *tar.Header) error {
	fd := int(parent.Fd())
	if err := unix.Fchownat(fd, base, h.Uid, h.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "chown", Path: name, Err: err}
	}
	// After chown(2), which drops setuid, and capabilities. A link has no mode.
	if h.Typeflag != tar.TypeSymlink {
		if err := unix.Fchmodat(fd, base, uint32(h.Mode&0o7777), 0); err != nil {
			return &os.PathError{Op: "chmod", Path: name, Err: err}
		}
	}
	if err := setXattrs(parent, base, h); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeDir {
		if _, ok := u.times[name]; !ok {
			if u.room -= len(name); u.room < 0 {
				return fmt.Errorf("has directories whose paths take more than %d bytes", maxDirNames)
			}
		}
		u.times[name] = h.ModTime
		return nil
	}
	return setTime(parent, base, h.ModTime)
}

const (
	paxXattr   = "SCHILY.xattr."
	capability = "security.capability"
)

// setXattrs sets security.capability, and user.*, where a file can have it. All
// other extended attributes would be read by overlayfs (trusted.overlay.*) or by
// the host's security modules, and do not belong into an image.
func setXattrs(parent *os.File, base string, h *tar.Header) error {
	for _, key := range slices.Sorted(maps.Keys(h.PAXRecords)) {
		name, ok := strings.CutPrefix(key, paxXattr)
		file := h.Typeflag != tar.TypeDir && h.Typeflag != tar.TypeSymlink && h.Typeflag != tar.TypeFifo &&
			h.Typeflag != tar.TypeChar && h.Typeflag != tar.TypeBlock
		user := strings.HasPrefix(name, "user.") && (file || h.Typeflag == tar.TypeDir)
		if !ok || !user && (name != capability || !file) {
			continue
		}
		err := unix.Lsetxattr(procPath(parent, base), name, []byte(h.PAXRecords[key]), 0)
		if user && errors.Is(err, unix.EOPNOTSUPP) {
			continue // the file system has none
		}
		if err != nil {
			return fmt.Errorf("extended attribute %q: %w", shorten(name), err)
		}
	}
	return nil
}

// setTime sets the time of modification of base in parent, or of parent itself.
func setTime(parent *os.File, base string, t time.Time) error {
	// A time before 1970 is no time that an archive has.
	ts := unix.Timespec{Sec: max(0, t.Unix())}
	if t.Unix() >= 0 {
		ts.Nsec = int64(t.Nanosecond())
	}
	flags := unix.AT_SYMLINK_NOFOLLOW
	if base == "" {
		flags = unix.AT_EMPTY_PATH // Linux 5.8
	}
	if err := unix.UtimesNanoAt(int(parent.Fd()), base, []unix.Timespec{ts, ts}, flags); err != nil {
		return &os.PathError{Op: "utimensat", Path: parent.Name() + "/" + base, Err: err}
	}
	return nil
}
