package sandbox

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// The pin of a hostPath volume such as "/" or "/run" is a copy of all that is
// mounted there, in this mount namespace: other pods' namespace pins, volumes
// and overlays among it. Those would live as long as this pod, and their own
// pods could not be removed: a directory that something of the same mount
// namespace is mounted on cannot be (rmdir(2), EBUSY). So the copies of what
// podrt mounts go again at once.

// hideState takes podrt's own mounts out of the pin of a hostPath volume. Where
// there is no pin there is nothing to do.
func (p *Pod) hideState(v *PodVolume) error {
	if v.HostPath == nil {
		return nil
	}
	// As the pin followed it. If somebody changes a symbolic link at this very
	// moment, what is hidden is a matter of order, not of safety.
	source, err := filepath.EvalSymlinks(v.HostPath.Path)
	if err != nil {
		return nil // gone since, and with it all mounts
	}
	for _, root := range []string{p.store.runRoot(), p.store.libRoot()} {
		if err := hideMounts(v.volume().Source(p.volumesDir(), p.libVolumesDir()), source, root); err != nil {
			return fmt.Errorf("hide podrt's state from volume %q: %w", v.Name, err)
		}
	}
	return nil
}

// hideMounts detaches from pin, which is a copy of the tree at source, each
// mount that is a copy of one at or below hidden.
func hideMounts(pin, source, hidden string) error {
	above := pin // all of it, if the source is podrt's itself
	if !within(source, hidden) {
		if !within(hidden, source) {
			return nil
		}
		above = filepath.Join(pin, strings.TrimPrefix(hidden, source))
	}
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		return m.Mountpoint == pin || !within(m.Mountpoint, above), false
	})
	if err != nil || len(mounts) == 0 {
		return err
	}
	// Until the pin is a slave, which a SIGKILL can prevent, it is a peer of
	// its original, and an unmount below it would be one there as well.
	if err := unix.Mount("", pin, "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make %q a slave: %w", pin, err)
	}
	for _, m := range mounts {
		// The uppermost takes those below with it: they are no mounts any more.
		err := unix.Unmount(m.Mountpoint, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("unmount %q: %w", m.Mountpoint, err)
		}
	}
	return nil
}

// within reports whether path is dir or below it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
