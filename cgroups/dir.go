package cgroups

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// dir is an open cgroup directory. All files of one operation are reached
// through it, so that they belong to one and the same cgroup even when the path
// comes to name another one meanwhile.
//
// Files are opened by plain system calls: an os.File would be registered with
// the runtime's poller (cgroup files can be polled), which is two more system
// calls for each.
type dir struct {
	fd   int    // O_PATH
	path string // for messages
	buf  []byte // what the last read returned
}

func openDir(path string) (*dir, error) {
	fd, err := ignoringEINTRInt(func() (int, error) {
		return unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &dir{fd: fd, path: path}, nil
}

func (d *dir) close() { _ = unix.Close(d.fd) }

// onCgroup2 verifies that d is on the unified hierarchy.
func (d *dir) onCgroup2() error {
	var st unix.Statfs_t
	if err := ignoringEINTR(func() error { return unix.Fstatfs(d.fd, &st) }); err != nil {
		return &fs.PathError{Op: "statfs", Path: d.path, Err: err}
	}
	if st.Type != unix.CGROUP2_SUPER_MAGIC {
		return unsupportedf("%s is not on cgroup2", d.path)
	}
	return nil
}

// child opens the directory name below d, or the one above for "..". It does
// not go through symlinks nor into what somebody mounted there.
func (d *dir) child(name string) (*dir, error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := ignoringEINTRInt(func() (int, error) {
		return unix.Openat2(d.fd, name, &unix.OpenHow{
			Flags:   flags,
			Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
		})
	})
	if errors.Is(err, unix.ENOSYS) { // openat2: Linux 5.6
		fd, err = ignoringEINTRInt(func() (int, error) { return unix.Openat(d.fd, name, flags, 0) })
	}
	full := path.Join(d.path, name)
	if errors.Is(err, unix.EXDEV) {
		err = fmt.Errorf("something is mounted on it: %w", err)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: full, Err: err}
	}
	return &dir{fd: fd, path: full}, nil
}

// children returns the names of the directories in d.
func (d *dir) children() ([]string, error) {
	// A cgroup's link count is 2 and one for each child (kernfs). Most have
	// none, and need no listing.
	var st unix.Stat_t
	if err := ignoringEINTR(func() error { return unix.Fstat(d.fd, &st) }); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: d.path, Err: err}
	}
	if st.Nlink == 2 {
		return nil, nil
	}
	fd, err := d.openat(".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), d.path)
	defer f.Close()
	entries, err := f.ReadDir(-1)
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// openat opens a file of the cgroup. It never makes one.
func (d *dir) openat(name string, flags int) (int, error) {
	fd, err := ignoringEINTRInt(func() (int, error) {
		return unix.Openat(d.fd, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: d.path + "/" + name, Err: err}
	}
	return fd, nil
}

// read returns the content of a file of the cgroup; it is overwritten by the
// next read of d.
func (d *dir) read(name string) ([]byte, error) {
	fd, err := d.openat(name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return d.readOpen(fd, name)
}

// readOpen reads an open file from its beginning, which has the kernel make its
// content anew.
func (d *dir) readOpen(fd int, name string) ([]byte, error) {
	if d.buf == nil {
		d.buf = make([]byte, 0, 8192)
	}
	d.buf = d.buf[:0]
	for {
		if len(d.buf) == cap(d.buf) {
			d.buf = append(d.buf, 0)[:len(d.buf)]
		}
		n, err := ignoringEINTRInt(func() (int, error) {
			return unix.Pread(fd, d.buf[len(d.buf):cap(d.buf)], int64(len(d.buf)))
		})
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: d.path + "/" + name, Err: err}
		}
		if n == 0 {
			return d.buf, nil
		}
		d.buf = d.buf[:len(d.buf)+n]
	}
}

// write writes data to a file of the cgroup in one call, as the kernel wants
// it: each write is a command of its own.
func (d *dir) write(name, data string) error {
	fd, err := d.openat(name, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = ignoringEINTRInt(func() (int, error) { return unix.Write(fd, []byte(data)) })
	if err != nil {
		return &fs.PathError{Op: "write " + strconv.Quote(data) + " to", Path: d.path + "/" + name, Err: err}
	}
	return nil
}

// gone tells whether err says that the cgroup, or the file, does not exist.
// ENODEV is what an open file of a removed cgroup answers.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV)
}

// asGone makes ENODEV what it means to a caller: fs.ErrNotExist.
func asGone(err error) error {
	var pe *fs.PathError
	if errors.Is(err, unix.ENODEV) && errors.As(err, &pe) {
		return &fs.PathError{Op: pe.Op, Path: pe.Path, Err: unix.ENOENT}
	}
	return err
}

// ignoringEINTR repeats f while a signal interrupts it: Go's runtime sends
// signals to its own threads all the time.
func ignoringEINTR(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func ignoringEINTRInt(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
