package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroupPrefix and the pid of a rung name its directory at the top of the
// host's cgroup2 tree. Inside the rung it is the root.
const cgroupPrefix = "podrt-rung-"

// cgroup is the directory of one run. Whoever holds the lock on dir is alive;
// the kernel drops it with the process.
type cgroup struct {
	tree *os.File // top of the host's tree
	name string
	dir  *os.File
}

// newCgroup makes this process's cgroup and removes those that killed rungs
// left.
func newCgroup() (_ *cgroup, retErr error) {
	tree, err := openCgroupTree()
	if err != nil {
		return nil, err
	}
	defer func() {
		if retErr != nil {
			tree.Close()
		}
	}()
	if err := sweepCgroups(tree); err != nil {
		return nil, err
	}
	c := &cgroup{tree: tree, name: cgroupPrefix + strconv.Itoa(os.Getpid())}
	for {
		if err := unix.Mkdirat(int(tree.Fd()), c.name, 0o755); err != nil && err != unix.EEXIST {
			return nil, &os.PathError{Op: "mkdir cgroup", Path: c.name, Err: err}
		}
		dir, err := lockCgroup(tree, c.name, 0)
		if errors.Is(err, fs.ErrNotExist) {
			// Another rung's sweep was faster than the lock.
			continue
		}
		if err != nil {
			return nil, err
		}
		c.dir = dir
		return c, nil
	}
}

// openCgroupTree opens the top of the cgroup2 tree where the host mounts it.
//
// Only a host that mounts it nowhere gets a mount of ours, without a place
// (fsopen(2), Linux 5.2): a further mount from the first cgroup namespace sets
// the options of all of them anew, and would take nsdelegate away.
func openCgroupTree() (*os.File, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	if target := cgroup2Mount(string(mounts)); target != "" {
		return os.Open(target)
	}
	fsfd, err := unix.Fsopen("cgroup2", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("fsopen cgroup2", err)
	}
	defer unix.Close(fsfd)
	if err := unix.FsconfigCreate(fsfd); err != nil {
		return nil, os.NewSyscallError("fsconfig cgroup2", err)
	}
	fd, err := unix.Fsmount(fsfd, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fsmount cgroup2", err)
	}
	return os.NewFile(uintptr(fd), "cgroup2"), nil
}

// cgroup2Mount returns where the whole cgroup2 tree is mounted according to
// the lines of proc_pid_mountinfo(5), or "".
func cgroup2Mount(mountinfo string) string {
	for line := range strings.Lines(mountinfo) {
		mount, fs, ok := strings.Cut(line, " - ")
		f := strings.Fields(mount)
		if ok && len(f) > 4 && strings.HasPrefix(fs, "cgroup2 ") && f[3] == "/" {
			return f[4]
		}
	}
	return ""
}

// lockCgroup opens the directory name and locks it; how is 0 or LOCK_NB. The
// error is fs.ErrNotExist when the directory is gone, also if it went between
// the open and the lock.
func lockCgroup(tree *os.File, name string, how int) (_ *os.File, retErr error) {
	open := func() (int, error) {
		return unix.Openat(int(tree.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	}
	fd, err := open()
	if err != nil {
		return nil, &os.PathError{Op: "open cgroup", Path: name, Err: err}
	}
	dir := os.NewFile(uintptr(fd), name)
	defer func() {
		if retErr != nil {
			dir.Close()
		}
	}()
	if err := unix.Flock(fd, unix.LOCK_EX|how); err != nil {
		return nil, &os.PathError{Op: "lock cgroup", Path: name, Err: err}
	}
	again, err := open()
	if err != nil {
		return nil, &os.PathError{Op: "open cgroup", Path: name, Err: err}
	}
	defer unix.Close(again)
	var locked, now unix.Stat_t
	if err := errors.Join(unix.Fstat(fd, &locked), unix.Fstat(again, &now)); err != nil {
		return nil, &os.PathError{Op: "stat cgroup", Path: name, Err: err}
	}
	if locked.Ino != now.Ino {
		return nil, &os.PathError{Op: "lock cgroup", Path: name, Err: fs.ErrNotExist}
	}
	return dir, nil
}

// sweepCgroups removes the directories whose rung was killed.
func sweepCgroups(tree *os.File) error {
	names, err := subdirs(int(tree.Fd()))
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, cgroupPrefix) {
			continue
		}
		dir, err := lockCgroup(tree, name, unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
			continue // alive, or gone by now
		}
		if err != nil {
			return err
		}
		dead := cgroup{tree: tree, name: name, dir: dir}
		err = dead.destroy()
		dir.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// remove ends what still runs in the cgroup and removes it.
func (c *cgroup) remove() error {
	return errors.Join(c.destroy(), c.dir.Close(), c.tree.Close())
}

// removeTime bounds how long a killed process may take to leave its cgroup.
const removeTime = 10 * time.Second

func (c *cgroup) destroy() error {
	// cgroup.kill is as new as Linux 5.14; PID 1's end has killed all anyway.
	if err := writeAt(c.dir, "cgroup.kill", "1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	deadline := time.Now().Add(removeTime)
	for {
		err := removeTree(int(c.tree.Fd()), c.name)
		// A process that is dying counts until it is reaped; no event says
		// that the directory itself has become removable.
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// removeTree removes the cgroup name below the directory at with all its
// children; it is no error if it is gone.
func removeTree(at int, name string) error {
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open cgroup", Path: name, Err: err}
	}
	defer unix.Close(fd)
	children, err := subdirs(fd)
	if err != nil {
		return err
	}
	for _, child := range children {
		if err := removeTree(fd, child); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := unix.Unlinkat(at, name, unix.AT_REMOVEDIR); err != nil && err != unix.ENOENT {
		return &os.PathError{Op: "rmdir cgroup", Path: name, Err: err}
	}
	return nil
}

// subdirs lists the directories in the directory fd.
func subdirs(fd int) ([]string, error) {
	// A descriptor of its own: reading moves the offset.
	own, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open cgroup", Path: ".", Err: err}
	}
	dir := os.NewFile(uintptr(own), ".")
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func writeAt(dir *os.File, name, text string) error {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir.Name() + "/" + name, Err: err}
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

// leaveCgroupRoot moves PID 1 into a child of the rung's root cgroup where the
// root has controllers to give: unlike the real root it may not both hold
// processes and give controllers on (cgroups(7), "no internal processes").
func leaveCgroupRoot() error {
	const root = "/sys/fs/cgroup"
	b, err := os.ReadFile(root + "/cgroup.controllers")
	if err != nil {
		return err
	}
	if len(strings.TrimSpace(string(b))) == 0 {
		return nil
	}
	if err := os.Mkdir(root+"/rung", 0o755); err != nil {
		return err
	}
	return os.WriteFile(root+"/rung/cgroup.procs", []byte("0"), 0)
}
