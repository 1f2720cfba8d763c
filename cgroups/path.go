package cgroups

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Path is the absolute path of a cgroup below the mount of the unified
// hierarchy, such as /sys/fs/cgroup/podrt/UID.
type Path string

// valid tells whether p is, by its letters, a cgroup below the root. The root
// itself is refused: to kill or freeze it is to kill or freeze the host.
func (p Path) valid() error {
	if !strings.HasPrefix(string(p), mountpoint+"/") || path.Clean(string(p)) != string(p) || strings.ContainsAny(string(p), "\n\x00") {
		return fmt.Errorf("cgroup %q: not a clean path below %s", string(p), mountpoint)
	}
	return nil
}

// parent returns the cgroup that holds p.
func (p Path) parent() Path { return Path(path.Dir(string(p))) }

// open opens p after verifying that it is a cgroup below the root.
func (p Path) open() (*dir, error) {
	if err := p.valid(); err != nil {
		return nil, err
	}
	d, err := openDir(string(p))
	if err != nil {
		return nil, err
	}
	if err := d.onCgroup2(); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// Open returns a descriptor of p for CLONE_INTO_CGROUP (clone3(2), Linux 5.7):
// O_PATH, O_DIRECTORY and O_CLOEXEC. The caller closes it.
func (p Path) Open() (*os.File, error) {
	d, err := p.open()
	if err != nil {
		return nil, fmt.Errorf("open cgroup: %w", err)
	}
	return os.NewFile(uintptr(d.fd), d.path), nil
}

// Leaf returns the cgroup name directly below p. Where name is none
// ([ValidateName]), it returns the empty Path, which every method refuses.
func (p Path) Leaf(name string) Path {
	if ValidateName(name) != nil {
		return ""
	}
	return Path(path.Join(string(p), name))
}

// CreateLeaf makes the cgroup name directly below p. One that is there already
// is an error that is fs.ErrExist: it may hold processes of somebody else.
func (p Path) CreateLeaf(name string) (Path, error) {
	if err := ValidateName(name); err != nil {
		return "", fmt.Errorf("create cgroup: %w", err)
	}
	d, err := p.open()
	if err != nil {
		return "", fmt.Errorf("create cgroup: %w", err)
	}
	defer d.close()
	err = ignoringEINTR(func() error { return unix.Mkdirat(d.fd, name, 0o755) })
	if err != nil {
		return "", &fs.PathError{Op: "create cgroup", Path: d.path + "/" + name, Err: mkdirCause(err)}
	}
	return p.Leaf(name), nil
}

// ValidateName tells whether name can be that of a cgroup: one path element of
// at most 255 bytes without newline that is not, and never becomes, the name of
// a file that the kernel puts into the parent.
func ValidateName(name string) error {
	switch {
	case name == "":
		return errors.New("cgroup name is empty")
	case name == "." || name == "..":
		return fmt.Errorf("cgroup name %q is a directory reference", name)
	case strings.ContainsAny(name, "/\n\x00"):
		return fmt.Errorf("cgroup name %q contains a slash, a newline or a zero byte", name)
	case len(name) > unix.NAME_MAX:
		return fmt.Errorf("cgroup name %q is longer than %d bytes", name, unix.NAME_MAX)
	case strings.HasPrefix(name, "cgroup."):
		return fmt.Errorf("cgroup name %q: names that begin with %q are the kernel's", name, "cgroup.")
	case isControllerFile(name):
		return fmt.Errorf("cgroup name %q is the name of a controller's file", name)
	}
	return nil
}

// isControllerFile tells whether a controller has a file called name
// (Documentation/admin-guide/cgroup-v2.rst and the kernel's cftype tables, up
// to Linux 6.18). A directory of that name would be in the file's way when the
// controller is enabled. A mere prefix is no reason to refuse: io.example.web
// is an honest container id.
func isControllerFile(name string) bool {
	controller, file, ok := strings.Cut(name, ".")
	if !ok {
		return false
	}
	var files string
	switch controller {
	case "cpu":
		files = "stat stat.local weight weight.nice max max.burst idle pressure uclamp.min uclamp.max rt_runtime_us rt_period_us"
	case "cpuset":
		files = "cpus mems cpus.effective mems.effective cpus.exclusive cpus.exclusive.effective cpus.isolated cpus.partition cpus.subpartitions"
	case "memory":
		files = "current min low high max peak events events.local stat numa_stat oom.group reclaim pressure " +
			"swap.current swap.high swap.max swap.peak swap.events zswap.current zswap.max zswap.writeback"
	case "io":
		files = "stat max weight latency pressure cost.qos cost.model bfq.weight prio.class"
	case "pids":
		files = "current max peak events events.local forks"
	case "rdma":
		files = "current max"
	case "misc":
		files = "capacity current max peak events events.local"
	case "dmem":
		files = "capacity current min low max"
	case "irq":
		files = "pressure"
	case "hugetlb":
		// hugetlb.2MB.max: one set for each page size.
		size, _, _ := strings.Cut(file, ".")
		return size != file && parsePageSize(size)
	case "debug":
		return true
	}
	for f := range strings.SplitSeq(files, " ") {
		if f == file {
			return true
		}
	}
	return false
}

// Resolve turns what a user gives as --cgroup-parent into a cgroup:
//
//   - "" is the default parent, /podrt;
//   - "/a/b" is that cgroup, "/" the root of the hierarchy;
//   - "a/b" is taken from where podrt itself runs: from the cgroup that holds
//     podrt's own. Not from its own, which has a process in it and therefore
//     cannot give controllers to children; runc resolves a relative cgroupsPath
//     in the same way. In the root, both are the root.
//
// Elements ".." are refused: they would lead out of what the caller meant to
// delegate. Nothing is made and nothing needs to exist.
func Resolve(parent string) (Path, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	if parent == "" {
		return root.Leaf(defaultParent), nil
	}
	if err := validateParent(parent); err != nil {
		return "", err
	}
	if parent[0] == '/' {
		return Path(path.Join(string(root), parent)), nil
	}
	table, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", fmt.Errorf("find own cgroup: %w", err)
	}
	own, err := parseOwnCgroup(string(table))
	if err != nil {
		return "", fmt.Errorf("find own cgroup: %w", err)
	}
	return Path(path.Join(string(root), path.Dir(own), parent)), nil
}

func validateParent(parent string) error {
	for name := range strings.SplitSeq(parent, "/") {
		if name == "" || name == "." {
			continue
		}
		if err := ValidateName(name); err != nil {
			return fmt.Errorf("cgroup parent %q: %w", parent, err)
		}
	}
	return nil
}

// parseOwnCgroup returns the path of the unified hierarchy in a
// /proc/PID/cgroup, cgroups(7). It is relative to the reader's cgroup
// namespace.
func parseOwnCgroup(table string) (string, error) {
	for line := range strings.Lines(table) {
		own, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::")
		switch {
		case !ok:
			continue
		case strings.HasSuffix(own, " (deleted)"):
			return "", fmt.Errorf("cgroup %q was removed", strings.TrimSuffix(own, " (deleted)"))
		case own == "/.." || strings.HasPrefix(own, "/../"):
			return "", fmt.Errorf("cgroup %q is outside of the cgroup namespace", own)
		case !strings.HasPrefix(own, "/"):
			return "", fmt.Errorf("cgroup %q is not absolute", own)
		}
		return own, nil
	}
	return "", unsupportedf("/proc/self/cgroup has no line of the unified hierarchy (0::)")
}
