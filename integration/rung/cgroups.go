package rung

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// cgroupMount is where the rungs, as all distributions, mount cgroup2.
const cgroupMount = "/sys/fs/cgroup"

// cgroupRoot returns the mount point of the unified cgroup tree.
func cgroupRoot() (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(cgroupMount, &st); err != nil {
		return "", &os.PathError{Op: "statfs", Path: cgroupMount, Err: err}
	}
	if st.Type != unix.CGROUP2_SUPER_MAGIC {
		return "", fmt.Errorf("%s: file system type %#x; want cgroup2 (%#x)", cgroupMount, st.Type, unix.CGROUP2_SUPER_MAGIC)
	}
	return cgroupMount, nil
}

func listCgroups(*view) (objects, error) {
	root, err := cgroupRoot()
	if err != nil {
		return nil, err
	}
	return listDirs(root)
}

// listDirs lists the directories below root; those that vanish meanwhile are
// left out.
func listDirs(root string) (objects, error) {
	o := objects{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENODEV):
			// ENODEV: a cgroup removed between open and read.
			return nil
		case err != nil:
			return err
		case d.IsDir() && path != root:
			o[path] = path
		}
		return nil
	})
	return o, err
}
