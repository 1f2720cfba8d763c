package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// MountShm mounts a pod's /dev/shm on dir, which it makes (as well as its
// parents) and which must not exist: a tmpfs of size bytes, rounded up to
// pages, mode 1777, nosuid, nodev and noexec.
func MountShm(dir string, size int64) (retErr error) {
	if size <= 0 {
		return fmt.Errorf("make shm %q: size %d is not positive", dir, size)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return fmt.Errorf("make shm: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("make shm: %w", err)
	}
	if err := mountTmpfs("shm", dir, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=1777", size, false); err != nil {
		return errors.Join(fmt.Errorf("make shm: %w", err), unpin(dir))
	}
	return nil
}

// UnmountShm unmounts and removes what MountShm made or began to make.
func UnmountShm(dir string) error {
	if err := unpin(dir); err != nil {
		return fmt.Errorf("remove shm: %w", err)
	}
	return nil
}

// mountTmpfs mounts a tmpfs called name in the mount table. size is in bytes;
// the kernel rounds it up to pages, and takes half of the memory for 0. noswap
// keeps its content in memory where the kernel can (Linux 6.4).
func mountTmpfs(name, target string, flags uintptr, data string, size int64, noswap bool) error {
	if size > 0 {
		data += ",size=" + strconv.FormatInt(size, 10)
	}
	if noswap {
		err := mount(name, target, "tmpfs", flags, data+",noswap")
		if !errors.Is(err, unix.EINVAL) {
			return err
		}
	}
	return mount(name, target, "tmpfs", flags, data)
}
