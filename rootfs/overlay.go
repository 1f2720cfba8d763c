package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	return newOverlay(dir, func(o overlay) error {
		if err := o.own(&st); err != nil {
			return err
		}
		return o.mount([]string{lower})
	})
}

// overlay is the directory of an overlay, with upper, work and merged in it.
type overlay string

func (o overlay) upper() string  { return string(o) + "/upper" }
func (o overlay) work() string   { return string(o) + "/work" }
func (o overlay) merged() string { return string(o) + "/merged" }

// newOverlay makes dir, and has fill mount something on dir/merged.
func newOverlay(dir string, fill func(overlay) error) (merged string, retErr error) {
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
	o := overlay(dir)
	for _, d := range []string{o.upper(), o.work(), o.merged()} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return "", err
		}
	}
	if err := fill(o); err != nil {
		return "", err
	}
	return o.merged(), nil
}

// own gives the root of the mount, which has upper's, the owner and mode of the
// topmost lower directory.
func (o overlay) own(lower *unix.Stat_t) error {
	if err := os.Chown(o.upper(), int(lower.Uid), int(lower.Gid)); err != nil {
		return err
	}
	if err := unix.Chmod(o.upper(), lower.Mode&0o7777); err != nil {
		return &os.PathError{Op: "chmod", Path: o.upper(), Err: err}
	}
	return nil
}

// mount mounts the overlay of lowers, topmost first.
func (o overlay) mount(lowers []string) error {
	data := overlayOptions(lowers, o.upper(), o.work())
	if len(data) > maxOptions() {
		// Give descriptors instead, at the price of a mount table that does not tell
		// the paths.
		paths := append(slices.Clone(lowers), o.upper(), o.work())
		for i, path := range paths {
			f, err := openPath(path, unix.O_DIRECTORY)
			if err != nil {
				return &os.PathError{Op: "open", Path: path, Err: err}
			}
			defer func() { _ = f.Close() }()
			paths[i] = "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
		}
		n := len(lowers)
		data = overlayOptions(paths[:n], paths[n], paths[n+1])
		if len(data) > maxOptions() {
			return fmt.Errorf("%d lower directories: their names take %d bytes; mount(2) takes %d", n, len(data), maxOptions())
		}
	}
	return mountOverlay(o.merged(), data, o.upper())
}

// maxOptions is how long an overlay's options can be: mount(2) takes one page.
func maxOptions() int { return os.Getpagesize() - len(",volatile\x00") }

// mountOverlay mounts an overlay, volatile where the kernel can.
func mountOverlay(target, data, upper string) error {
	err := mount("overlay", target, "overlay", 0, data+",volatile")
	if errors.Is(err, unix.EINVAL) {
		err = mount("overlay", target, "overlay", 0, data)
	}
	if err != nil {
		return explainOverlay(err, upper)
	}
	return nil
}

// RemoveOverlay unmounts the overlay that Overlay made or began to make in
// dir, and removes dir with all that was written to it.
func RemoveOverlay(dir string) error {
	return errors.Join(unmount(dir+"/merged"), RemoveAll(dir))
}

// overlayOptions returns the mount options, in which "\", "," and ":" (it
// separates the lower layers) are escaped.
func overlayOptions(lowers []string, upper, work string) string {
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
	var lower strings.Builder
	for i, l := range lowers {
		if i > 0 {
			lower.WriteByte(':')
		}
		lower.WriteString(escape(l))
	}
	return "lowerdir=" + lower.String() + ",upperdir=" + escape(upper) + ",workdir=" + escape(work)
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
