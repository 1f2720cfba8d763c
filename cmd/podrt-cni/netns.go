package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// netnsID says which network namespace is at a path, within one boot. The number of
// an inode is given again when its namespace is gone; the cookie is not, and is
// there since Linux 5.14 (0 before).
type netnsID struct {
	Dev    uint64 `json:"dev"`
	Ino    uint64 `json:"ino"`
	Cookie uint64 `json:"cookie"`
}

// identify looks at the network namespace at the path (namespaces(7)).
func identify(path string) (netnsID, error) {
	f, err := os.Open(path)
	if err != nil {
		return netnsID{}, err
	}
	defer f.Close()
	// NS_GET_NSTYPE is there since Linux 4.11 (ioctl_nsfs(2)).
	if kind, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		return netnsID{}, fmt.Errorf("%q is not a network namespace", path)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return netnsID{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	id := netnsID{Dev: st.Dev, Ino: st.Ino}
	err = inNetnsFile(f, func() error {
		// SO_NETNS_COOKIE is one of every socket, and a socket the namespace's.
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		defer unix.Close(fd)
		id.Cookie, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
		if errors.Is(err, unix.ENOPROTOOPT) {
			return nil
		}
		return os.NewSyscallError("getsockopt", err)
	})
	return id, err
}

// inNetns calls f in the network namespace at the path.
func inNetns(path string, f func() error) error {
	ns, err := os.Open(path)
	if err != nil {
		return err
	}
	defer ns.Close()
	return inNetnsFile(ns, f)
}

func inNetnsFile(ns *os.File, f func() error) error {
	done := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine.
		runtime.LockOSThread()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("join network namespace %q: %w", ns.Name(), err)
			return
		}
		done <- f()
	}()
	return <-done
}
