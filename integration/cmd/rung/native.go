package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/pid1"
	"github.com/podrt/podrt/integration/rung"
)

// nativeInitArg is the verb under which rung runs itself as PID 1.
const nativeInitArg = "native-init"

// native runs args in namespaces of their own, in a cgroup of their own, and
// returns their exit code. All their processes end with them, and with this
// process.
func native(args []string) (code int, err error) {
	if len(args) == 0 {
		return 0, errUsage
	}
	if uid := os.Geteuid(); uid != 0 {
		return 0, fmt.Errorf("effective uid %d; the native rung needs root", uid)
	}
	// What runs on it finds no descriptor but the three: tests look at what podrt
	// passes on of others.
	if err := unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return 0, fmt.Errorf("close_range: %w", err)
	}
	cg, err := newCgroup()
	if err != nil {
		return 0, fmt.Errorf("make the rung's cgroup: %w", err)
	}
	defer func() { err = errors.Join(err, cg.remove()) }()

	// The parent-death signal comes when the thread that starts PID 1 ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return pid1.Run("/proc/self/exe", append([]string{"rung", nativeInitArg}, args...), &os.ProcAttr{
		Env:   os.Environ(),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys: &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWPID,
			// After the clone: a cgroup namespace's root is where its maker is.
			Unshareflags: unix.CLONE_NEWCGROUP,
			UseCgroupFD:  true,
			CgroupFD:     int(cg.dir.Fd()),
			Pdeathsig:    unix.SIGKILL,
		},
	})
}

// nativeMounts is the world of the native rung on top of the host's root. /dev
// and everything else stay as they are, /tmp too: go test puts binaries there.
var nativeMounts = []pid1.Mount{
	{FSType: "proc", Target: "/proc", Flags: unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
	// sysfs shows the network namespace of its mounter.
	{FSType: "sysfs", Target: "/sys", Flags: unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
	{FSType: "cgroup2", Target: "/sys/fs/cgroup", Flags: unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
	{FSType: "tmpfs", Target: "/dev/shm", Flags: unix.MS_NOSUID | unix.MS_NODEV, Data: "mode=1777"},
	{FSType: "mqueue", Target: "/dev/mqueue", Flags: unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, Optional: true},
	{FSType: "tmpfs", Target: "/run", Flags: unix.MS_NOSUID | unix.MS_NODEV, Data: "mode=755"},
	{FSType: "tmpfs", Target: nativeTmp, Data: "mode=1777"},
	// podrt's defaults, so that a test that uses them leaves the host alone.
	{FSType: "tmpfs", Target: "/var/lib/podrt", Data: "mode=700"},
	{FSType: "tmpfs", Target: "/var/log/podrt", Data: "mode=700"},
	// Where engines and CNI's plugins keep what they know of networks, with no
	// setting that would change it.
	{FSType: "tmpfs", Target: "/var/lib/cni", Data: "mode=700"},
	// The same of dockerd's containerd, for plugins.
	{FSType: "tmpfs", Target: "/opt/containerd", Data: "mode=711"},
}

// nativeTmp is TMPDIR on the native rung: what a killed test leaves there goes
// with the rung.
const nativeTmp = "/run/tmp"

// nativeInit is PID 1 of the native rung.
func nativeInit(args []string) (code int, err error) {
	if pid := os.Getpid(); pid != 1 || len(args) == 0 {
		return 0, fmt.Errorf("%s as pid %d with %d arguments: rung native alone starts it", nativeInitArg, pid, len(args))
	}
	// Before anything else: from here on no mount reaches the host.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return 0, fmt.Errorf("make / private: %w", err)
	}
	// With all that is mounted below, the host's cgroup v1 trees among it.
	for _, target := range []string{"/sys", "/proc"} {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil && err != unix.EINVAL {
			return 0, fmt.Errorf("unmount %q: %w", target, err)
		}
	}
	if err := pid1.MountAll(nativeMounts); err != nil {
		return 0, err
	}
	if err := pid1.RaiseLoopback(); err != nil {
		return 0, err
	}
	if err := leaveCgroupRoot(); err != nil {
		return 0, err
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return 0, err
	}
	return pid1.Run(path, args, &os.ProcAttr{
		Env:   append(os.Environ(), rung.Env+"="+string(rung.Native), "TMPDIR="+nativeTmp),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
}
