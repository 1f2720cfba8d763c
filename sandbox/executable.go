package sandbox

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/runc/libcontainer/exeseal"
	"golang.org/x/sys/unix"
)

// selfExe is the program that this process executes, wherever it is now
// (proc_pid_exe(5)).
const selfExe = "/proc/self/exe"

// SealedExecutable returns a sealed copy of this process's program, for it to
// execute before it starts containers; nil if there is no need for one.
//
// For a container's init libcontainer takes the program out of an overlay of the
// directory that it is in. That shows what is below a mount: where the program
// is bind-mounted alone onto a file, or another mount covers its directory, the
// init would be another file. A process whose program is a sealed copy starts
// that copy.
func SealedExecutable() (*os.File, error) {
	if !isHidden() {
		return nil, nil
	}
	exe, err := os.Open(selfExe)
	if err != nil {
		return nil, err
	}
	defer exe.Close()
	if exeseal.IsCloned(exe) {
		return nil, nil
	}
	// In memory or not at all: a file in a directory for temporary ones has a
	// name, "/tmp/#1 (deleted)", that anyone there can give to another file.
	f, seal, err := exeseal.Memfd(filepath.Base(selfExe))
	if err != nil {
		return nil, fmt.Errorf("seal %s, over which something is mounted: %w", selfExe, err)
	}
	if _, err = io.Copy(f, exe); err == nil {
		err = seal(&f)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("seal %s, over which something is mounted: %w", selfExe, err)
	}
	return f, nil
}

// isHidden reports whether the directory that this process's program has by
// name holds another file of that name below what is mounted there. A file that
// was deleted, or never had a name, is no such case: there is nothing to be
// taken for it. STATX_MNT_ID and STATX_ATTR_MOUNT_ROOT are there since Linux 5.8
// (statx(2)); without them nothing is known to be hidden.
func isHidden() bool {
	name, err := os.Readlink(selfExe)
	if err != nil {
		return false
	}
	const mask = unix.STATX_INO | unix.STATX_MNT_ID
	var self, named unix.Statx_t
	if unix.Statx(unix.AT_FDCWD, selfExe, 0, mask, &self) != nil || unix.Statx(unix.AT_FDCWD, name, unix.AT_SYMLINK_NOFOLLOW, mask, &named) != nil {
		return false
	}
	return self.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 ||
		self.Mnt_id != named.Mnt_id || self.Ino != named.Ino
}
