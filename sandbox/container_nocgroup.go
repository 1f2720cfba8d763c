package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	lccgroups "github.com/opencontainers/cgroups"
	"github.com/opencontainers/runc/libcontainer/configs"
	"golang.org/x/sys/unix"
)

// noCgroupName stands for no cgroup in libcontainer's configuration, which must
// name one. There can be none of this name: the kernel refuses a newline
// (cgroup_mkdir, EINVAL). libcontainer tries to make it, and takes a failure in
// a container that may lack permissions, and wants no limit, for no cgroup.
const noCgroupName = "\n"

// withoutCgroup has libcontainer make no cgroup. The spec's path, limits and
// device rules are then without effect, as with crun.
func withoutCgroup(config *configs.Config) {
	config.RootlessCgroups = true
	config.Cgroups = &lccgroups.Cgroup{Name: noCgroupName, Parent: "/", Rootless: true, Resources: &lccgroups.Resources{}}
}

// errNoCgroup is for what takes a cgroup; the words are crun's.
func (c *Container) errNoCgroup(verb string) error {
	if c.hasCgroup() {
		return nil
	}
	return fmt.Errorf("cannot %s the container without a cgroup", verb)
}

func (c *Container) hasCgroup() bool {
	cg := c.lc.Config().Cgroups
	return cg == nil || cg.Name != noCgroupName
}

// signalInit sends sig to the container's init by its pidfd; ErrNotRunning when
// there is none.
func (c *Container) signalInit(sig unix.Signal) error {
	init, err := c.openInit()
	if err != nil {
		return err
	}
	if init == nil {
		return ErrNotRunning
	}
	defer init.Close()
	if err := unix.PidfdSendSignal(int(init.Fd()), sig, nil, 0); errors.Is(err, unix.ESRCH) {
		return ErrNotRunning
	} else if err != nil {
		return fmt.Errorf("unable to signal init: %w", err)
	}
	return nil
}

// namespacePids lists the processes in the PID namespace of the container's
// init, and only the init where that namespace is not the container's own.
func (c *Container) namespacePids() ([]int, error) {
	init, err := c.openInit()
	if err != nil || init == nil {
		return nil, err
	}
	defer init.Close()
	pid, _ := c.InitPID()
	if !c.ownsPIDs() {
		return []int{pid}, nil
	}
	own, err := os.Stat("/proc/" + strconv.Itoa(pid) + "/ns/pid")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// What has ended meanwhile, or is another user's, is none of the container's.
		if ns, err := os.Stat("/proc/" + e.Name() + "/ns/pid"); err == nil && os.SameFile(ns, own) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
