package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/pid1"
	"github.com/podrt/podrt/integration/vm/job"
)

// ownMounts are the guest's, in the place of the host's. /run/podrt is not
// among them: podrt mounts that.
var ownMounts = []pid1.Mount{
	{FSType: "tmpfs", Target: "/run", Flags: noDev, Data: "mode=755"},
	{FSType: "9p", Source: job.JobTag, Target: job.Dir, Data: p9},
	{FSType: "tmpfs", Target: "/tmp", Flags: noDev, Data: "mode=1777"},
	{FSType: "tmpfs", Target: "/var/tmp", Flags: noDev, Data: "mode=1777"},
	{FSType: "devpts", Target: "/dev/pts", Flags: unix.MS_NOSUID | unix.MS_NOEXEC, Data: "gid=5,mode=620,ptmxmode=666"},
	{FSType: "tmpfs", Target: "/dev/shm", Flags: noDev, Data: "mode=1777"},
	{FSType: "mqueue", Target: "/dev/mqueue", Flags: noExec},
	{FSType: "cgroup2", Target: cgroupDir, Flags: noExec, Data: "nsdelegate,memory_recursiveprot"},
	{FSType: "securityfs", Target: "/sys/kernel/security", Flags: noExec, Optional: true},
	{FSType: "bpf", Target: "/sys/fs/bpf", Flags: noExec, Data: "mode=700", Optional: true},
	{FSType: "tracefs", Target: "/sys/kernel/tracing", Flags: noExec, Optional: true},
	{FSType: "debugfs", Target: "/sys/kernel/debug", Flags: noExec, Optional: true},
	// An overlay's upper layer cannot lie on the overlay that / is.
	{FSType: "tmpfs", Target: stateDir, Data: "mode=700"},
	{FSType: "tmpfs", Target: "/var/log/podrt", Data: "mode=700"},
	{FSType: "tmpfs", Target: "/var/lib/containers", Data: "mode=700"},
	{FSType: "tmpfs", Target: "/var/lib/containerd", Data: "mode=700"},
	{FSType: "tmpfs", Target: "/var/lib/cni", Data: "mode=700"},
}

const (
	cgroupDir = "/sys/fs/cgroup"
	stateDir  = "/var/lib/podrt"
	diskPath  = "/dev/vda"
	hostname  = "podrt-vm"
)

// devLinks are what udev would make.
var devLinks = map[string]string{
	"/dev/fd":     "/proc/self/fd",
	"/dev/stdin":  "/proc/self/fd/0",
	"/dev/stdout": "/proc/self/fd/1",
	"/dev/stderr": "/proc/self/fd/2",
}

// setUp finishes the world in the new root.
func setUp(j *job.Job) error {
	for link, target := range devLinks {
		if err := os.Symlink(target, link); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	if j.Disk {
		if err := mountDisk(); err != nil {
			return err
		}
	}
	// As systemd leaves it; after all mounts, which are then shared, too.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share /: %w", err)
	}
	if !j.Systemd { // it gives them itself, to those who ask it
		if err := giveControllers(); err != nil {
			return err
		}
	}
	// No tunnel devices in a namespace because a module was loaded.
	if err := os.WriteFile("/proc/sys/net/core/fb_tunnels_only_for_init_net", []byte("2"), 0); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return os.NewSyscallError("sethostname", err)
	}
	files := unix.Rlimit{Cur: 1024, Max: 1 << 20}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return os.NewSyscallError("setrlimit RLIMIT_NOFILE", err)
	}
	return pid1.RaiseLoopback()
}

// giveControllers enables every controller for the root's children, and makes
// one child: some programs look for a controller's files below the root.
func giveControllers() error {
	b, err := os.ReadFile(cgroupDir + "/cgroup.controllers")
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(b)) {
		if err := os.WriteFile(cgroupDir+"/cgroup.subtree_control", []byte("+"+name), 0); err != nil {
			return fmt.Errorf("enable controller %q: %w", name, err)
		}
	}
	return os.Mkdir(cgroupDir+"/system", 0o755)
}

// mountDisk mounts the scratch disk. Nothing but this wants its drivers, so
// they are not in the initramfs.
func mountDisk() error {
	if out, err := exec.Command("/sbin/modprobe", "-a", "virtio_blk", "ext4").CombinedOutput(); err != nil {
		return fmt.Errorf("modprobe: %w: %s", err, out)
	}
	return pid1.MountAll([]pid1.Mount{{FSType: "ext4", Source: diskPath, Target: stateDir, Data: "discard"}})
}
