package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runc/libcontainer/utils"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/cgroups"

	// Without it libcontainer's cgroup manager has no device rules.
	_ "github.com/opencontainers/cgroups/devices"
)

// Container is one OCI container in libcontainer's state root. Its methods may
// be called from several goroutines; any number of containers may be created,
// started and waited for at once in one process.
type Container struct {
	root string
	lc   *libcontainer.Container

	limits *specs.LinuxResources // known to who created the container
	// restored by this process: libcontainer's object says "running" for good,
	// since its restoredState takes the transition to stopped without a change. A
	// removal loads the container anew.
	restored bool
	// env are variables that the pod has added to the bundle's, known to who found
	// the container by its pod.
	env []string
}

// ID returns the container's id.
func (c *Container) ID() string { return c.lc.ID() }

// Root returns the directory that holds the container's state directory.
func (c *Container) Root() string { return c.root }

// Bundle returns the absolute path of the bundle that the container was made
// from, without symbolic links.
func (c *Container) Bundle() string {
	bundle, _ := utils.SearchLabels(c.lc.Config().Labels, "bundle")
	return bundle
}

// Annotations returns the annotations of the container's spec.
func (c *Container) Annotations() map[string]string {
	_, annotations := utils.Annotations(c.lc.Config().Labels)
	return annotations
}

// LoadContainer returns the container with that id, or ErrNotExist; a container
// whose creation was cut short counts as not existing (see DeleteContainer).
func LoadContainer(root, id string) (*Container, error) {
	lc, err := load(root, id)
	if errors.Is(err, unix.ENODEV) || errors.Is(err, fs.ErrNotExist) {
		// Its cgroup, which is frozen for an instant to be killed, was removed while
		// libcontainer looked at it; that it is not there is no error.
		lc, err = load(root, id)
	}
	if err != nil {
		return nil, err
	}
	return &Container{root: root, lc: lc}, nil
}

// load is libcontainer.Load, which panics where state.json is JSON and no
// container's state: a list of all containers would end at that one.
func load(root, id string) (_ *libcontainer.Container, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s is not a container's state: %v", filepath.Join(root, id, "state.json"), r)
		}
	}()
	return libcontainer.Load(root, id)
}

// StartInit starts the container's init, which sets the container up and then
// waits for Start. On an error nothing of the container is left.
func (c *Container) StartInit(p *Process) error { return c.startInit(p, c.lc.Start) }

// RunInit is StartInit and Start in one. On an error nothing of the container
// is left.
func (c *Container) RunInit(p *Process) error {
	return c.startInit(p, func(lp *libcontainer.Process) error {
		if err := c.lc.Start(lp); err != nil {
			return err
		}
		if p.Ready != nil {
			if err := p.Ready(); err != nil {
				return err
			}
		}
		return c.lc.Exec()
	})
}

func (c *Container) startInit(p *Process, start func(*libcontainer.Process) error) error {
	lp, err := c.prepare(p, true)
	if err == nil {
		err = c.keepControllers(func() error { return start(lp) })
	}
	if err == nil {
		return nil
	}
	// The kernel only says that there is no such file; say what is missing.
	if why := cgroups.Check(c.limits); errors.Is(why, errors.ErrUnsupported) {
		err = fmt.Errorf("%w (%w)", err, why)
	}
	// RunInit can fail with the init alive, waiting at its fifo.
	if lp != nil {
		_ = lp.Signal(unix.SIGKILL)
		_, _ = p.Wait()
	}
	if derr := c.lc.Destroy(); derr != nil {
		if !gone(c.dir()) {
			return fmt.Errorf("%w; clean up: %w", err, derr)
		}
		logrus.Warn(derr) // its poststop hooks failed, which keeps nothing
	}
	return err
}

// Start lets the waiting init of a created container run the container's
// command.
func (c *Container) Start() error {
	if err := c.CheckStart(); err != nil {
		return err
	}
	return c.lc.Exec()
}

// CheckStart tells whether there is an init that waits for Start.
func (c *Container) CheckStart() error {
	status, err := c.Status()
	if err != nil {
		return err
	}
	switch status {
	case StatusCreated:
		return nil
	case StatusStopped:
		return &stateError{"cannot start a container that has stopped", ErrNotRunning}
	case StatusRunning:
		return &stateError{"cannot start an already running container", ErrRunning}
	default:
		return &stateError{fmt.Sprintf("cannot start a container in the %s state", status), ErrRunning}
	}
}

// CheckExec tells whether a process can be started in the container. In a
// paused one it could, but would not run.
func (c *Container) CheckExec(ignorePaused bool) error {
	status, err := c.Status()
	switch {
	case err != nil:
		return err
	case status == StatusStopped:
		return &stateError{"cannot exec in a stopped container", ErrNotRunning}
	case status == StatusPaused && !ignorePaused:
		return &stateError{"cannot exec in a paused container (use --ignore-paused to override)", ErrPaused}
	}
	return nil
}

// ExecSpec is the process of the container's bundle with another command.
func (c *Container) ExecSpec(args []string) (*specs.Process, error) {
	if len(args) == 0 {
		return nil, errors.New("exec args cannot be empty")
	}
	bundle := c.Bundle()
	if bundle == "" {
		return nil, errors.New("bundle not found in labels")
	}
	file, err := c.specFile()
	if err != nil {
		return nil, err
	}
	p, err := loadSpecProcess(bundle, file)
	if err != nil {
		return nil, err
	}
	p.Args = args
	addEnv(p, c.env)
	return p, nil
}

// StartExec starts one more process in the container. The process is in the
// container's cgroup, or in p.SubCgroups below it.
func (c *Container) StartExec(p *Process) error {
	OneProcessor() // it has no hooks
	return c.startExec(p)
}

// startExec is StartExec in a process that also makes containers, and has called
// OneProcessor for all of them.
func (c *Container) startExec(p *Process) error {
	lp, err := c.prepare(p, false)
	if err != nil {
		return err
	}
	return c.lc.Run(lp)
}

// Signal sends sig to the container's init. SIGKILL goes to all of the
// container's processes when its PID namespace is not its own, also when its
// init is gone. With all set, a container that is not running is no error.
func (c *Container) Signal(sig unix.Signal, all bool) error {
	var err error
	if c.hasCgroup() {
		err = c.lc.Signal(sig)
		if err == nil && sig == unix.SIGKILL && !c.ownsPIDs() {
			err = c.killEach() // libcontainer leaves it at cgroup.kill
		}
	} else {
		err = c.signalInit(sig)
	}
	if all && errors.Is(err, ErrNotRunning) {
		return nil
	}
	return err
}

// killEach sends SIGKILL to those of the container's processes that cgroup.kill
// does not reach.
func (c *Container) killEach() error {
	path := cgroups.Path(c.CgroupPath())
	if path == "" {
		return nil
	}
	err := ignoreNotExist(path.KillEach())
	if c.lc.Config().RootlessCgroups {
		return nil // as libcontainer does: it may not have access
	}
	return err
}

// Pause freezes the container's processes; ErrNotRunning if it has none.
func (c *Container) Pause() error {
	if err := c.errNoCgroup("pause"); err != nil {
		return err
	}
	err := c.lc.Pause()
	if !errors.Is(err, ErrNotRunning) {
		return err
	}
	// Of an init whose first thread has ended libcontainer says that, and that
	// it is paused once it is frozen: lc.Resume needs no more.
	if status, serr := c.Status(); serr != nil || status != StatusRunning {
		return errors.Join(err, serr)
	}
	ctx, cancel := context.WithTimeout(context.Background(), freezePatience)
	defer cancel()
	return cgroups.Path(c.CgroupPath()).Freeze(ctx)
}

// freezePatience is libcontainer's (opencontainers/cgroups, fs2, waitFrozen).
const freezePatience = 10 * time.Second

// Resume thaws the container's processes; ErrNotPaused if they are not frozen.
func (c *Container) Resume() error { return c.lc.Resume() }

// Pids lists the processes in the container's cgroup and below it, as seen
// from the caller's PID namespace; without a cgroup, those in the container's
// PID namespace.
func (c *Container) Pids() ([]int, error) {
	if !c.hasCgroup() {
		return c.namespacePids()
	}
	pids, err := c.lc.Processes()
	if errors.Is(err, unix.ENAMETOOLONG) { // as in Delete
		return cgroups.Path(c.CgroupPath()).Procs()
	}
	return pids, err
}

// InitPID returns the container's init and its start time, in clock ticks
// since boot (field 22 of proc_pid_stat(5)); zeros before it was started. The
// process may have ended since: compare the start time before acting on the pid.
func (c *Container) InitPID() (pid int, startTime uint64) {
	state, err := c.lc.State()
	if err != nil || state.InitProcessPid <= 0 {
		return 0, 0
	}
	return state.InitProcessPid, state.InitProcessStartTime
}

// CgroupPath returns the container's cgroup as an absolute path below the
// cgroup2 mount. The directory exists from StartInit to Delete. It is empty for
// a container without a cgroup.
func (c *Container) CgroupPath() string {
	if !c.hasCgroup() {
		return ""
	}
	state, err := c.lc.State()
	if err != nil {
		return ""
	}
	return state.CgroupPaths[""]
}

// HostRoot returns the host's ids of the container's root user and group.
func (c *Container) HostRoot() (uid, gid int, err error) {
	config := c.lc.Config()
	if uid, err = config.HostRootUID(); err != nil {
		return 0, 0, err
	}
	if gid, err = config.HostRootGID(); err != nil {
		return 0, 0, err
	}
	return uid, gid, nil
}

// ownsPIDs reports whether the end of the container's init ends all of its
// processes.
func (c *Container) ownsPIDs() bool {
	return c.lc.Config().Namespaces.IsPrivate(configs.NEWPID)
}
