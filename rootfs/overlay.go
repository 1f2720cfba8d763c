package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Overlay mounts an overlay of lower on dir/merged and returns that path.
// What a container writes there goes to dir/upper: lower stays unchanged. dir
// is made, mode 0700, and must not exist, so that nothing that was written by
// another container can appear; neither may lower change while mounted.
//
// The mount has no nodev, nosuid or noexec: a container sees the same root
// with an overlay as without, and devices are the device cgroup's matter.
// Upper layers end with their container, so the mount is volatile where the
// kernel can (Linux 5.10): otherwise each unmount writes the whole file system
// of dir to disk first.
func Overlay(lower, dir string) (merged string, retErr error) {
	defer func() {
		if retErr != nil {
			retErr = fmt.Errorf("overlay root directory %q: %w", lower, retErr)
		}
	}()
	l, err := openPath(lower, unix.O_DIRECTORY)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: lower, Err: err}
	}
	defer func() { _ = l.Close() }()
	var st unix.Stat_t
	if err := unix.Fstat(int(l.Fd()), &st); err != nil {
		return "", &os.PathError{Op: "fstat", Path: lower, Err: err}
	}

	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	defer func() {
		if retErr != nil {
			retErr = errors.Join(retErr, RemoveOverlay(dir))
		}
	}()
	upper, work, merged := dir+"/upper", dir+"/work", dir+"/merged"
	for _, d := range []string{upper, work, merged} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return "", err
		}
	}
	// The root of the mount has upper's owner and mode, not lower's.
	if err := os.Chown(upper, int(st.Uid), int(st.Gid)); err != nil {
		return "", err
	}
	if err := unix.Chmod(upper, st.Mode&0o7777); err != nil {
		return "", &os.PathError{Op: "chmod", Path: upper, Err: err}
	}

	data := overlayOptions(lower, upper, work)
	if len(data) > os.Getpagesize()-len(",volatile\x00") {
		// mount(2) takes one page of options. Give descriptors instead, at
		// the price of a mount table that does not tell the paths.
		var fds [3]string
		for i, path := range []string{lower, upper, work} {
			f, err := openPath(path, unix.O_DIRECTORY)
			if err != nil {
				return "", &os.PathError{Op: "open", Path: path, Err: err}
			}
			defer func() { _ = f.Close() }()
			fds[i] = "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
		}
		data = overlayOptions(fds[0], fds[1], fds[2])
	}
	err = mount("overlay", merged, "overlay", 0, data+",volatile")
	if errors.Is(err, unix.EINVAL) {
		err = mount("overlay", merged, "overlay", 0, data)
	}
	if err != nil {
		return "", explainOverlay(err, upper)
	}
	return merged, nil
}

// RemoveOverlay unmounts the overlay that Overlay made or began to make in
// dir, and removes dir with all that was written to it.
func RemoveOverlay(dir string) error {
	return errors.Join(unmount(dir+"/merged"), RemoveAll(dir))
}

// overlayOptions returns the mount options, in which "\", "," and ":" (it
// separates the lower layers) are escaped.
func overlayOptions(lower, upper, work string) string {
	escape := func(path string) string {
		var s strings.Builder
		for i := range len(path) {
			if c := path[i]; c == '\\' || c == ',' || c == ':' {
				s.WriteByte('\\')
			}
			s.WriteByte(path[i])
		}
		return s.String()
	}
	return "lowerdir=" + escape(lower) + ",upperdir=" + escape(upper) + ",workdir=" + escape(work)
}

// explainOverlay adds the usual reason why the kernel's answer is EINVAL.
func explainOverlay(err error, upper string) error {
	var st unix.Statfs_t
	if !errors.Is(err, unix.EINVAL) || unix.Statfs(upper, &st) != nil {
		return err
	}
	if st.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return fmt.Errorf("%w: the upper directory %q is itself on an overlay, which is not supported", err, upper)
	}
	return fmt.Errorf("%w: the file system of the upper directory %q (type %#x) may be unable to hold one", err, upper, st.Type)
}
