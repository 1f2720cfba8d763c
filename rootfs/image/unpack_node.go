package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/rootfs"
)

// node makes what an entry is, without its attributes, in the place of what an
// earlier entry has made of that name. Only a directory stays.
func (u *unpacker) node(parent *os.File, base string, h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeDir {
		return u.mkdir(parent, base)
	}
	if h.Typeflag == tar.TypeLink {
		return u.link(parent, base, h.Linkname)
	}
	if err := u.clear(parent, base); err != nil {
		return err
	}
	fd := int(parent.Fd())
	var err error
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		return writeContent(parent, base, content, h.Size)
	case tar.TypeSymlink:
		if h.Linkname == "" {
			return errors.New("symbolic link: leads nowhere")
		}
		err = unix.Symlinkat(h.Linkname, fd, base)
	case tar.TypeFifo:
		err = unix.Mknodat(fd, base, unix.S_IFIFO|0o600, 0)
	case tar.TypeChar, tar.TypeBlock:
		return device(fd, base, h)
	default:
		return fmt.Errorf("entries of type %q are not known", h.Typeflag)
	}
	if err != nil {
		return &os.PathError{Op: "make", Path: base, Err: err}
	}
	return nil
}

// mkdir makes a directory, if there is none. One that takes the place of a whiteout
// hides what lower layers have there.
func (u *unpacker) mkdir(parent *os.File, base string) error {
	var st unix.Stat_t
	err := unix.Fstatat(int(parent.Fd()), base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return nil
	}
	hides := err == nil && isWhiteout(&st)
	if err == nil {
		if err := u.clear(parent, base); err != nil {
			return err
		}
	}
	if err := unix.Mkdirat(int(parent.Fd()), base, 0o700); err != nil {
		return &os.PathError{Op: "mkdir", Path: base, Err: err}
	}
	if err := unix.Fchmodat(int(parent.Fd()), base, 0o755, 0); err != nil {
		return &os.PathError{Op: "chmod", Path: base, Err: err}
	}
	if hides {
		return setOpaque(parent, base)
	}
	return nil
}

// clear removes what an earlier entry has made.
func (u *unpacker) clear(parent *os.File, base string) error {
	err := unix.Unlinkat(int(parent.Fd()), base, 0)
	switch {
	case err == nil, errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.EISDIR):
		return rootfs.RemoveAll(procPath(parent, base))
	}
	return &os.PathError{Op: "remove", Path: base, Err: err}
}

// link makes a hard link to what an earlier entry has made.
func (u *unpacker) link(parent *os.File, base, target string) error {
	name, err := local(target)
	if err != nil {
		return fmt.Errorf("hard link to %q: leads out of the layer", shorten(target))
	}
	dir, last := path.Split(name)
	if last == "." {
		return errors.New("hard link to the root")
	}
	from, err := u.open(path.Clean(dir))
	if err != nil {
		return fmt.Errorf("hard link to %q: %w", shorten(target), err)
	}
	defer from.Close()
	var st, to unix.Stat_t
	if err := unix.Fstatat(int(from.Fd()), last, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("hard link to %q: %w", shorten(target), err)
	}
	if isWhiteout(&st) {
		return fmt.Errorf("hard link to %q: %w", shorten(target), unix.ENOENT)
	}
	if err := unix.Fstatat(int(parent.Fd()), base, &to, unix.AT_SYMLINK_NOFOLLOW); err == nil && to.Ino == st.Ino {
		return nil // to itself
	}
	if err := u.clear(parent, base); err != nil {
		return err
	}
	// Without AT_SYMLINK_FOLLOW: to a symbolic link, it is one more name of that.
	if err := unix.Linkat(int(from.Fd()), last, int(parent.Fd()), base, 0); err != nil {
		return fmt.Errorf("hard link to %q: %w", shorten(target), err)
	}
	return nil
}

// device makes a device. The layers' directory is closed to the host's users; what
// a container may open, its cgroup says.
func device(parent int, base string, h *tar.Header) error {
	const maxMajor, maxMinor = 1<<12 - 1, 1<<20 - 1 // linux/kdev_t.h
	if h.Devmajor < 0 || h.Devmajor > maxMajor || h.Devminor < 0 || h.Devminor > maxMinor {
		return fmt.Errorf("device %d:%d: numbers are 0:0 to %d:%d", h.Devmajor, h.Devminor, maxMajor, maxMinor)
	}
	mode := uint32(unix.S_IFCHR)
	switch {
	case h.Typeflag == tar.TypeBlock:
		mode = unix.S_IFBLK
	case h.Devmajor == 0 && h.Devminor == 0:
		return errors.New("character device 0:0: would be a whiteout")
	}
	dev := unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))
	if err := unix.Mknodat(parent, base, mode|0o600, int(dev)); err != nil {
		return &os.PathError{Op: "mknod", Path: base, Err: err}
	}
	return nil
}

// block is how many zeros at a time become a hole in a file, in bytes.
const block = 64 << 10

// writeContent writes a file. What is zero becomes a hole: a sparse file in a tar is
// read as the zeros that it stands for.
func writeContent(parent *os.File, base string, content io.Reader, size int64) (retErr error) {
	fd, err := unix.Openat(int(parent.Fd()), base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "open", Path: base, Err: err}
	}
	f := os.NewFile(uintptr(fd), base)
	defer func() { retErr = errors.Join(retErr, f.Close()) }()
	buf := make([]byte, min(block, size))
	for at := int64(0); at < size; {
		n, err := io.ReadFull(content, buf[:min(block, size-at)])
		if err != nil {
			return fmt.Errorf("content: %w", err)
		}
		if !isZero(buf[:n]) {
			if _, err := f.WriteAt(buf[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
	}
	return f.Truncate(size)
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// procPath is a path of what is in an open directory, "." for itself, for calls that
// take no descriptor.
func procPath(dir *os.File, base string) string {
	return "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + base
}
