package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of a layer.
const (
	maxEntries = 10_000_000
	// maxFile is the largest file, in bytes, holes included: their zeros are read.
	maxFile = maxLayer
	// maxDirNames is what the paths of directories can take together, in bytes: they
	// are kept until the end.
	maxDirNames = 256 << 20
)

// unpack makes dir, which must not exist, and unpacks the plain tar of a layer
// there, on its own, as Docker does: a directory that leads to an entry and has none
// of its own is root's, with mode 0755. What of lower layers is deleted is a
// whiteout as overlayfs has it.
func unpack(ctx context.Context, r io.Reader, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	// Not subject to the umask.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	root, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	u := &unpacker{root: root, times: map[string]time.Time{}, room: maxDirNames}
	tr := tar.NewReader(r)
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if n == maxEntries {
			return fmt.Errorf("has more than %d entries", maxEntries)
		}
		// Also within an entry: of holes nothing is read.
		if err := u.entry(h, &interruptible{ctx, tr}); err != nil {
			return fmt.Errorf("entry %q: %w", shorten(h.Name), err)
		}
	}
	return u.setTimes()
}

// shorten makes a name fit for an error.
func shorten(name string) string {
	const most = 200
	if len(name) > most {
		return name[:most] + "…"
	}
	return name
}

// unpacker unpacks one layer into root.
type unpacker struct {
	root *os.File
	// times are those of directories, by path, to be set when nothing is put into
	// them any more.
	times map[string]time.Time
	room  int // how many bytes more times may have of paths
}

// entry unpacks one entry.
func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil // a comment
	}
	name, err := local(h.Name)
	if err != nil {
		return err
	}
	if err := check(h); err != nil {
		return err
	}
	if name == "." {
		if h.Typeflag != tar.TypeDir {
			return errors.New("is the root, and no directory")
		}
		return u.attributes(u.root, ".", name, h)
	}
	dir, base := path.Split(name)
	parent, err := u.parent(strings.TrimSuffix(dir, "/"))
	if err != nil {
		return err
	}
	defer parent.Close()
	if strings.HasPrefix(base, whiteoutPrefix) {
		return u.whiteout(parent, base)
	}
	if err := u.node(parent, base, h, content); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeLink {
		return nil // its attributes are those of the file
	}
	return u.attributes(parent, base, name, h)
}

// local returns an entry's name as a clean path below the root. A slash at its
// beginning counts for nothing.
func local(name string) (string, error) {
	clean := path.Clean(strings.TrimLeft(name, "/"))
	if !filepath.IsLocal(clean) || strings.ContainsRune(clean, 0) {
		return "", errors.New("its name leads out of the layer")
	}
	return clean, nil
}

// check refuses values that the kernel would refuse, or take for something else.
func check(h *tar.Header) error {
	// The last id means "none" (chown(2)).
	if h.Uid < 0 || h.Gid < 0 || int64(h.Uid) >= math.MaxUint32 || int64(h.Gid) >= math.MaxUint32 {
		return fmt.Errorf("owner %d:%d: ids are 0 to %d", h.Uid, h.Gid, uint32(math.MaxUint32-1))
	}
	if h.Size > maxFile {
		return fmt.Errorf("has %d bytes: at most %d are unpacked", h.Size, int64(maxFile))
	}
	return nil
}

// parent opens the directory that an entry is in, and makes it where it is missing.
// Symbolic links lead where they would in the container, and not out of the layer.
func (u *unpacker) parent(dir string) (*os.File, error) {
	if dir == "" {
		dir = "."
	}
	f, err := u.open(dir)
	if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) || dir == "." {
		return f, err
	}
	above, base := path.Split(dir)
	p, err := u.parent(strings.TrimSuffix(above, "/"))
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if err := u.mkdir(p, base); err != nil {
		return nil, err
	}
	return u.open(dir)
}

// open opens a directory in the layer.
func (u *unpacker) open(dir string) (*os.File, error) {
	fd, err := openInRoot(u.root, dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open directory", Path: shorten(dir), Err: err}
	}
	return os.NewFile(uintptr(fd), dir), nil
}

// openInRoot is open(2) of a path that is resolved as if root were / (openat2(2),
// Linux 5.6). Nobody else writes there.
func openInRoot(root *os.File, path string, flags int, mode uint64) (int, error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Mode:    mode,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	}
	for {
		fd, err := unix.Openat2(int(root.Fd()), path, &how)
		// EAGAIN: something was renamed anywhere while the path had "..".
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			return fd, err
		}
	}
}

// setTimes sets the directories' times of modification.
func (u *unpacker) setTimes() error {
	for name, t := range u.times {
		fd, err := openInRoot(u.root, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			continue // a later entry took its place
		}
		if err != nil {
			return &os.PathError{Op: "open", Path: name, Err: err}
		}
		f := os.NewFile(uintptr(fd), name)
		err = setTime(f, "", t)
		_ = f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
