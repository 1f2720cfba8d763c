package cgroups

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// mountpoint is where the unified hierarchy has to be. It is no choice of ours:
// libcontainer knows no other place.
const mountpoint = "/sys/fs/cgroup"

// defaultParent is the cgroup below which pods without --cgroup-parent live.
const defaultParent = "podrt"

// Root returns the mountpoint of the unified hierarchy, /sys/fs/cgroup.
//
// On a host with cgroup v1, or with v1 and v2 side by side, the error tells
// what is mounted there instead and what is needed; it is
// errors.ErrUnsupported.
func Root() (Path, error) {
	var st unix.Statfs_t
	err := ignoringEINTR(func() error { return unix.Statfs(mountpoint, &st) })
	if err == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
		return mountpoint, nil
	}
	// The table is read for the message alone: without it the message is
	// poorer, and just as true.
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	return "", unsupportedf("find cgroup2: %s; podrt needs cgroup v2, the unified hierarchy, on %s "+
		"(with systemd: boot with systemd.unified_cgroup_hierarchy=1)", describeMounts(string(mounts)), mountpoint)
}

// describeMounts says what a mount table (proc_pid_mountinfo(5)) has on
// mountpoint and of cgroups elsewhere.
func describeMounts(table string) string {
	top := ""        // file system type of the uppermost mount on mountpoint
	var v1 []string  // controllers of cgroup v1
	var at2 []string // where else cgroup2 is
	for line := range strings.Lines(table) {
		// 41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
		left, right, ok := strings.Cut(line, " - ")
		fields, fsFields := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 5 || len(fsFields) < 3 {
			continue
		}
		at, fstype, options := fields[4], fsFields[0], fsFields[2]
		if at == mountpoint {
			top = fstype
		}
		switch fstype {
		case "cgroup":
			for o := range strings.SplitSeq(options, ",") {
				if o != "rw" && o != "ro" && !strings.Contains(o, "=") && o != "xattr" && !slices.Contains(v1, o) {
					v1 = append(v1, o)
				}
			}
		case "cgroup2":
			if at != mountpoint {
				at2 = append(at2, at)
			}
		}
	}
	var b strings.Builder
	b.WriteString(mountpoint)
	if top == "" {
		b.WriteString(" is not a mount")
	} else {
		fmt.Fprintf(&b, " is a mount of %s", top)
	}
	if len(v1) > 0 {
		slices.Sort(v1)
		fmt.Fprintf(&b, ", cgroup v1 is in use for %s", strings.Join(v1, ", "))
	}
	if len(at2) > 0 {
		fmt.Fprintf(&b, ", cgroup2 is on %s", strings.Join(at2, ", "))
	}
	return b.String()
}

// unsupported is a message that is errors.ErrUnsupported, without its words.
type unsupported string

func unsupportedf(format string, args ...any) error {
	return unsupported(fmt.Sprintf(format, args...))
}

func (u unsupported) Error() string { return string(u) }
func (u unsupported) Unwrap() error { return errors.ErrUnsupported }
