package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// checkPrivilege tells, before anything is made, whether this process may make
// a pod below the cgroup parent. The root of a user namespace may, where it has
// what the pod is made of.
func checkPrivilege(parent string) error {
	if uid := unix.Geteuid(); uid != 0 {
		return fmt.Errorf("must be root (effective uid is %d), or root of a user namespace with a mount namespace and a cgroup of its own", uid)
	}
	if !RunningInUserNS() {
		return nil
	}
	if err := ownsMountNamespace(); err != nil {
		return err
	}
	if first := missing(parent); len(first) > 0 {
		parent = filepath.Dir(first[0])
	}
	if err := unix.Faccessat(unix.AT_FDCWD, parent, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("make a cgroup below %q: %w; a user namespace needs a cgroup that was delegated to its root, named as the pod's parent", parent, err)
	}
	return nil
}

// ownsMountNamespace reports whether this process's user namespace, or one below
// it, owns the mount namespace (ioctl_ns(2), NS_GET_USERNS, Linux 4.9): the
// kernel does not show a namespace that is above.
func ownsMountNamespace() error {
	f, err := os.Open("/proc/self/ns/mnt")
	if err != nil {
		return fmt.Errorf("find owner of the mount namespace: %w", err)
	}
	defer f.Close()
	owner, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_USERNS)
	if errors.Is(err, unix.EPERM) {
		return errors.New("root of a user namespace needs a mount namespace of its own, as unshare(1) makes with --mount")
	}
	if err != nil {
		return fmt.Errorf("find owner of the mount namespace: ioctl NS_GET_USERNS: %w", err)
	}
	return unix.Close(owner)
}
