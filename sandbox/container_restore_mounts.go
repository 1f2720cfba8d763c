package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// restoreInOwnMounts calls do, which has libcontainer restore the container, so
// that what it mounts is in no other process's way: the root file system in the
// state directory, and what is bound into the container at its place in the
// root file system. In the host's mounts all of that would stay if podrt were
// killed, or if what the image has links to were found elsewhere at the end;
// whoever then removes the state or the root file system removes what is mounted
// there. A container without a mount namespace is restored into podrt's.
func (c *Container) restoreInOwnMounts(do func() error) error {
	config := c.lc.Config()
	if !config.Namespaces.Contains(configs.NEWNS) {
		return do()
	}
	hooksOutside(config.Hooks)
	return inOwnMounts(do)
}

// hooksOutside has the hooks that run while CRIU works run in the mount
// namespace of the process's other threads, which is theirs (config.md of the
// runtime specification, "POSIX-platform Hooks").
func hooksOutside(hooks configs.Hooks) {
	for _, name := range []configs.HookName{configs.Prestart, configs.CreateRuntime} {
		list := hooks[name]
		if len(list) == 0 {
			continue
		}
		hooks[name] = configs.HookList{configs.NewFunctionHook(func(s *specs.State) error {
			hooks[name] = list // of which the state is written next
			done := make(chan error)
			go func() { done <- hooks.Run(name, s) }() // not on this thread, which is locked
			return <-done
		})}
	}
}

// inOwnMounts calls do on a thread in a mount namespace of its own, which it
// shares with the programs that do starts. What is mounted on the host meanwhile
// appears there, and nothing the other way round.
func inOwnMounts(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked
		host, err := leaveMounts()
		if err != nil {
			done <- err
			return
		}
		err = do()
		err = errors.Join(err, os.NewSyscallError("setns", unix.Setns(int(host.Fd()), unix.CLONE_NEWNS)), host.Close())
		done <- err
		// The restored init is the thread's child, and may want a signal when its
		// parent, the thread, ends (PR_SET_PDEATHSIG(2const)).
		select {}
	}()
	return <-done
}

// leaveMounts moves the thread to a copy of its mount namespace, and returns the
// one it was in. CLONE_NEWNS alone takes the thread's working directory apart
// from the others', too (unshare(2)).
func leaveMounts() (_ *os.File, retErr error) {
	host, err := os.Open("/proc/thread-self/ns/mnt")
	if err != nil {
		return nil, err
	}
	defer func() {
		if retErr != nil {
			_ = host.Close()
		}
	}()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return nil, os.NewSyscallError("unshare", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return nil, fmt.Errorf("keep mounts of a restore from the host: %w", err)
	}
	return host, nil
}
