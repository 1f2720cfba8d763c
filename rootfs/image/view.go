package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// view is what a container would see of the layers, without a mount. Symbolic
// links lead nowhere outside.
type view struct{ root merged }

// merged is one directory in all the layers that have it, topmost first.
type merged []*os.File

func (m merged) close() {
	for _, f := range m {
		_ = f.Close()
	}
}

// openView opens the layers in dirs, topmost first.
func openView(dirs []string) (*view, error) {
	v := &view{}
	for _, dir := range dirs {
		f, err := os.OpenFile(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if err != nil {
			v.close()
			return nil, err
		}
		v.root = append(v.root, f)
	}
	return v, nil
}

func (v *view) close() { v.root.close() }

// maxLinks is how many symbolic links one path can have (path_resolution(7)).
const maxLinks = 40

// open opens the regular file at an absolute path to be read.
func (v *view) open(path string) (*os.File, error) {
	f, err := v.walk(path)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "image:" + path, Err: err}
	}
	return f, nil
}

func (v *view) walk(path string) (*os.File, error) {
	stack := []merged{v.root} // the directories down to where we are
	up := func() {
		if n := len(stack) - 1; n > 0 {
			stack[n].close()
			stack = stack[:n]
		}
	}
	defer func() {
		for len(stack) > 1 {
			up()
		}
	}()
	rest := strings.Split(path, "/")
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			up()
			continue
		}
		dirs, file, st, err := stack[len(stack)-1].lookup(name)
		if err != nil {
			return nil, err
		}
		if dirs != nil {
			stack = append(stack, dirs)
			continue
		}
		if st.Mode&unix.S_IFMT == unix.S_IFLNK {
			if links++; links > maxLinks {
				return nil, unix.ELOOP
			}
			target, err := readlink(file, name)
			if err != nil {
				return nil, err
			}
			if strings.HasPrefix(target, "/") {
				for len(stack) > 1 {
					up()
				}
			}
			rest = slices.Concat(strings.Split(target, "/"), rest)
			continue
		}
		if len(rest) > 0 {
			return nil, unix.ENOTDIR
		}
		// Not when it is open: a FIFO would block, and to open a device can be all that
		// it takes, as it is for a watchdog.
		if st.Mode&unix.S_IFMT != unix.S_IFREG {
			return nil, fmt.Errorf("is no regular file: %w", unix.EINVAL)
		}
		fd, err := unix.Openat(int(file.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), name), nil
	}
	return nil, unix.EISDIR
}

// lookup finds a name: a directory in all layers that have it down to one that
// hides the others, or the directory of the layer that has a file of that name.
func (m merged) lookup(name string) (dirs merged, file *os.File, st unix.Stat_t, err error) {
	for _, layer := range m {
		err := unix.Fstatat(int(layer.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			dirs.close()
			return nil, nil, st, err
		}
		if isWhiteout(&st) {
			break
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			if dirs == nil {
				return nil, layer, st, nil
			}
			break
		}
		fd, err := unix.Openat(int(layer.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			dirs.close()
			return nil, nil, st, err
		}
		f := os.NewFile(uintptr(fd), name)
		dirs = append(dirs, f)
		if opaque(f) {
			break
		}
	}
	if dirs == nil {
		return nil, nil, st, fs.ErrNotExist
	}
	return dirs, nil, st, nil
}

// opaque tells whether a directory hides those of lower layers.
func opaque(f *os.File) bool {
	var b [1]byte
	n, err := unix.Fgetxattr(int(f.Fd()), opaqueXattr, b[:])
	return err == nil && n == 1 && b[0] == 'y'
}

func readlink(dir *os.File, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(dir.Fd()), name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}
