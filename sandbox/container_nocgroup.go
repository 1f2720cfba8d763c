package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	lccgroups "github.com/opencontainers/cgroups"
	"github.com/opencontainers/runc/libcontainer/configs"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/cgroups"
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

// keepControllers calls do, which starts the container. Where that has no
// cgroup, libcontainer still enables all controllers below the root cgroup
// before it finds that it can make none there: they are disabled again. That is
// best effort: not while someone else has made a cgroup there, which may be what
// they are for, and the kernel refuses where a cgroup has enabled them further
// down (cgroups(7), "cgroup.subtree_control").
func (c *Container) keepControllers(do func() error) error {
	root, err := cgroups.Root()
	if c.hasCgroup() || err != nil {
		return do()
	}
	file := filepath.Join(string(root), "cgroup.subtree_control")
	before, err := os.ReadFile(file)
	if err != nil {
		return do()
	}
	children := cgroupNames(root)
	err = do()
	after, rerr := os.ReadFile(file)
	if rerr != nil {
		return err
	}
	was := strings.Fields(string(before))
	for _, controller := range strings.Fields(string(after)) {
		if !slices.Contains(was, controller) && slices.Equal(cgroupNames(root), children) {
			_ = os.WriteFile(file, []byte("-"+controller), 0)
		}
	}
	return err
}

// cgroupNames lists the cgroups right below dir, sorted.
func cgroupNames(dir cgroups.Path) []string {
	entries, _ := os.ReadDir(string(dir))
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
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
