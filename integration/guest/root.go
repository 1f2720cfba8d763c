package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/pid1"
	"github.com/podrt/podrt/integration/vm/job"
)

const (
	noExec = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	noDev  = unix.MS_NOSUID | unix.MS_NODEV

	// 9p over virtio. With cache=loose the guest trusts what it has read; only
	// for the read-only root, whose files nobody changes meanwhile.
	p9       = "trans=virtio,version=9p2000.L,msize=512000"
	p9Cached = p9 + ",cache=loose"
)

// kernelMounts are those that loading modules wants.
var kernelMounts = []pid1.Mount{
	{FSType: "proc", Target: "/proc", Flags: noExec},
	{FSType: "sysfs", Target: "/sys", Flags: noExec},
	{FSType: "devtmpfs", Target: "/dev", Flags: unix.MS_NOSUID, Data: "mode=755"},
}

// Places in the initramfs.
const (
	hostDir    = "/host" // the host's root, read-only
	memoryDir  = "/memory"
	newRootDir = "/root"
)

// rootMounts make the new root.
var rootMounts = []pid1.Mount{
	{FSType: "9p", Source: job.RootTag, Target: hostDir, Flags: unix.MS_RDONLY, Data: p9Cached},
	{FSType: "tmpfs", Target: memoryDir, Data: "mode=755"},
}

// loadModules loads those of the initramfs in the order of its list.
func loadModules() error {
	list, err := os.ReadFile(job.ModuleList)
	if err != nil {
		return err
	}
	for path := range strings.FieldsSeq(string(list)) {
		if err := loadModule(path); err != nil {
			return fmt.Errorf("load module %q: %w", path, err)
		}
	}
	return nil
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), "", 0)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return os.NewSyscallError("finit_module", err)
}

// enterRoot makes the host's root, below a layer of memory, this process's
// root.
//
// Before: rootfs (/), /proc, /sys, /dev.
// After: overlay (/), /proc, /sys, /dev, /run, /run/podrt-vm, the file systems
// that hide parts of the host, and what of these the job wants kept.
func enterRoot() (*job.Job, error) {
	if err := pid1.MountAll(rootMounts); err != nil {
		return nil, err
	}
	for _, dir := range []string{"upper", "work"} {
		if err := os.Mkdir(filepath.Join(memoryDir, dir), 0o755); err != nil {
			return nil, err
		}
	}
	overlay := pid1.Mount{
		FSType: "overlay", Target: newRootDir,
		Data: "lowerdir=" + hostDir + ",upperdir=" + memoryDir + "/upper,workdir=" + memoryDir + "/work",
	}
	if err := pid1.MountAll([]pid1.Mount{overlay}); err != nil {
		return nil, err
	}
	for _, m := range kernelMounts {
		if err := unix.Mount(m.Target, newRootDir+m.Target, "", unix.MS_MOVE, ""); err != nil {
			return nil, fmt.Errorf("move %q: %w", m.Target, err)
		}
	}
	if err := pid1.MountAll(below(newRootDir, ownMounts)); err != nil {
		return nil, err
	}
	j, err := readJob(newRootDir + job.Dir)
	if err != nil {
		return nil, err
	}
	if err := showHost(j); err != nil {
		return nil, err
	}
	// The overlay and the binds hold these.
	for _, dir := range []string{hostDir, memoryDir} {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			return nil, fmt.Errorf("unmount %q: %w", dir, err)
		}
	}
	if err := unix.Chdir(newRootDir); err != nil {
		return nil, fmt.Errorf("chdir %q: %w", newRootDir, err)
	}
	// rootfs cannot be left by pivot_root(2).
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return nil, fmt.Errorf("move the new root to /: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return nil, os.NewSyscallError("chroot", err)
	}
	return j, unix.Chdir("/")
}

// below returns table with its targets below dir.
func below(dir string, table []pid1.Mount) []pid1.Mount {
	moved := make([]pid1.Mount, len(table))
	for i, m := range table {
		m.Target = dir + m.Target
		moved[i] = m
	}
	return moved
}

// showHost puts the job's parts of the host where they are on the host:
// the shares, what to keep where a mount of the guest hides it, and the
// modules.
func showHost(j *job.Job) error {
	for _, s := range j.Shares {
		share := pid1.Mount{FSType: "9p", Source: s.Tag, Target: newRootDir + s.Path, Data: p9}
		if err := pid1.MountAll([]pid1.Mount{share}); err != nil {
			return err
		}
	}
	for _, path := range j.Keep {
		if _, err := os.Lstat(newRootDir + path); !errors.Is(err, fs.ErrNotExist) {
			continue // nothing hides it
		}
		if err := bind(hostDir+path, newRootDir+path); err != nil {
			return err
		}
	}
	return bind(hostDir+j.Modules, newRootDir+"/lib/modules/"+filepath.Base(j.Modules))
}

func bind(source, target string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	dir := target
	if !info.IsDir() {
		dir = filepath.Dir(target)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if !info.IsDir() {
		if err := os.WriteFile(target, nil, 0o600); err != nil {
			return err
		}
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %q on %q: %w", source, target, err)
	}
	return nil
}
