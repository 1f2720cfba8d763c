package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"github.com/opencontainers/runc/libcontainer/configs"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/cgroups"
)

// cgroup2Options are those of the whole hierarchy: a mount of cgroup2 in the
// initial cgroup namespace sets them all, also where it is already mounted
// (Documentation/admin-guide/cgroup-v2.rst, "Mounting").
var cgroup2Options = []string{
	"nsdelegate", "favordynmods", "memory_localevents", "memory_recursiveprot",
	"memory_hugetlb_accounting", "pids_localevents",
}

// cgroup2OptionsFile is in a container's state directory while CRIU works on it:
// the options as they were before. Should podrt be killed meanwhile, they are put
// back when the container is deleted, or by the next checkpoint of one.
const cgroup2OptionsFile = "cgroup2-options.json"

// keepCgroup2Options calls do and puts the host's cgroup2 options back that it
// has taken away. CRIU mounts cgroup2 with none, to look at it and as a container's
// /sys/fs/cgroup, which turns them off everywhere: without nsdelegate,
// containers could write to files that are their runtime's. While another of the
// root's containers is saved or restored, its file knows them.
func (c *Container) keepCgroup2Options(do func() error) error {
	root, err := cgroups.Root()
	if err != nil {
		return err
	}
	file := filepath.Join(c.dir(), cgroup2OptionsFile)
	var before []string
	err = c.lockRoot(func() (err error) {
		if before, err = readCgroup2Options(); err != nil {
			return err
		}
		for _, option := range savedCgroup2Options(c.root) {
			if !slices.Contains(before, option) {
				before = append(before, option)
			}
		}
		return writeJSON(file, before)
	})
	if err != nil {
		return err
	}
	err = do()
	rerr := c.lockRoot(func() error {
		if err := resetCgroup2Options(root, before); err != nil {
			return err
		}
		return ignoreNotExist(os.Remove(file))
	})
	if err != nil {
		return err // the first error is the one to act on
	}
	return rerr
}

// lockRoot calls do while no other process does so with the container's root.
func (c *Container) lockRoot(do func() error) error {
	dir, err := os.Open(c.root)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := flock(dir, unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %q: %w", c.root, err)
	}
	return do()
}

// savedCgroup2Options are those that CRIU may have taken away just now.
func savedCgroup2Options(containerRoot string) []string {
	entries, _ := os.ReadDir(containerRoot)
	var all []string
	for _, e := range entries {
		var options []string
		_ = readJSON(filepath.Join(containerRoot, e.Name(), cgroup2OptionsFile), &options)
		all = append(all, options...)
	}
	return all
}

// criuRoot is where, in a container's state directory, libcontainer binds the
// root file system for CRIU while it restores.
const criuRoot = "criu-root"

// finishCriu puts the options back that a podrt could not which was killed while
// CRIU worked, and unmounts the root file system in the state directory, into
// which the directory's removal would go on. It is best effort: a container is
// to be deleted all the same.
func finishCriu(dir string) {
	var want []string
	if readJSON(filepath.Join(dir, cgroup2OptionsFile), &want) != nil {
		return
	}
	_ = unix.Unmount(filepath.Join(dir, criuRoot), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if root, err := cgroups.Root(); err == nil {
		_ = resetCgroup2Options(root, want)
	}
}

// keepMountedCgroup2Options does the same for a container that may be in the
// host's cgroup namespace: its own mount of cgroup2 asks for what is set.
// runc's asks for nothing.
func keepMountedCgroup2Options(config *configs.Config) error {
	if config.Namespaces.IsPrivate(configs.NEWCGROUP) {
		return nil // where the options are without effect
	}
	for _, m := range config.Mounts {
		if m.Device != "cgroup" || m.Data != "" {
			continue
		}
		options, err := readCgroup2Options()
		if err != nil {
			return err
		}
		m.Data = strings.Join(options, ",")
	}
	return nil
}

func readCgroup2Options() ([]string, error) {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup2"))
	if err != nil {
		return nil, fmt.Errorf("read options of cgroup2: %w", err)
	}
	var options []string
	if len(mounts) > 0 { // all mounts show the same
		for o := range strings.SplitSeq(mounts[0].VFSOptions, ",") {
			if slices.Contains(cgroup2Options, o) {
				options = append(options, o)
			}
		}
	}
	return options, nil
}

// resetCgroup2Options reconfigures the file system, and no mount of it
// (fspick(2), since Linux 5.2), unless it has the options. It takes none away.
func resetCgroup2Options(root cgroups.Path, want []string) error {
	have, err := readCgroup2Options()
	if err != nil {
		return err
	}
	missing := slices.DeleteFunc(slices.Clone(want), func(o string) bool { return slices.Contains(have, o) })
	if len(missing) == 0 {
		return nil
	}
	want = append(have, missing...)
	fd, err := unix.Fspick(unix.AT_FDCWD, string(root), unix.FSPICK_CLOEXEC)
	if err != nil {
		return &os.PathError{Op: "fspick", Path: string(root), Err: err}
	}
	defer unix.Close(fd)
	for _, o := range want {
		if err := unix.FsconfigSetFlag(fd, o); err != nil {
			return fmt.Errorf("set option %q of %q: %w", o, root, err)
		}
	}
	if err := unix.FsconfigReconfigure(fd); err != nil {
		return fmt.Errorf("set options %q of %q: %w", want, root, err)
	}
	return nil
}
