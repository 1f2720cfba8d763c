package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/sandbox"
)

func execCommand() *command {
	var o execOptions
	return &command{
		name:  "exec",
		usage: "execute new process inside the container",
		args: `<container-id> <command> [command options]  || -p process.json <container-id>

Where "<container-id>" is the name for the instance of the container and
"<command>" is the command to be executed in the container.
"<command>" can't be empty unless a "-p" flag provided.

EXAMPLE:
For example, if the container is configured to run the linux ps command the
following will output a list of processes running in the container:

       # podrt exec <container-id> ps`,
		inOrder: true,
		min:     1, max: -1,
		flags:  o.flags,
		starts: execFailed,
		run: func(e *env, args []string) error {
			return o.run(e, args[1:], func() (*sandbox.Container, error) { return e.container(args[0]) })
		},
	}
}

type execOptions struct {
	io           ioOptions
	cwd          string
	env          []string
	tty          bool
	user         string
	gids         []int64
	process      string
	detach       bool
	label        string
	apparmor     string
	noNewPrivs   bool
	caps         []string
	cgroups      []string
	ignorePaused bool

	noNewPrivsDef *flagDef
}

func (o *execOptions) flags(f *flags) {
	o.io.flags(f, "exec process")
	f.String(&o.cwd, "cwd", "current working directory in the container")
	f.Strings(&o.env, "env, e", "set environment variables")
	f.Bool(&o.tty, "tty, t", "allocate a pseudo-TTY")
	f.String(&o.user, "user, u", "UID (format: <uid>[:<gid>])")
	f.Func(o.addGID, "additional-gids, g", "additional gids")
	f.String(&o.process, "process, p", "path to the process.json")
	f.Bool(&o.detach, "detach, d", "detach from the container's process")
	f.String(&o.label, "process-label", "set the asm process label for the process commonly used with selinux")
	f.String(&o.apparmor, "apparmor", "set the apparmor profile for the process")
	o.noNewPrivsDef = f.Bool(&o.noNewPrivs, "no-new-privs", "set the no new privileges value for the process")
	f.Strings(&o.caps, "cap, c", "add a capability to the bounding set for the process")
	f.Strings(&o.cgroups, "cgroup", "run the process in an (existing) sub-cgroup(s). Format is [<controller>:]<cgroup>.")
	f.Bool(&o.ignorePaused, "ignore-paused", "allow exec in a paused container")
}

func (o *execOptions) addGID(s string) error {
	gid, err := strconv.ParseInt(s, 10, 64)
	o.gids = append(o.gids, gid)
	return err
}

// run runs a process in the container that find returns. Its status is
// podrt's; 255 where it could not be run.
func (o *execOptions) run(e *env, args []string, find func() (*sandbox.Container, error)) error {
	c, err := find()
	status := -1
	if err == nil {
		status, err = o.exec(e, c, args)
	}
	if err != nil {
		return execFailed(e, err)
	}
	return exitStatus(status)
}

func execFailed(_ *env, err error) error {
	return &exitError{status: 255, err: fmt.Errorf("exec failed: %w", err)}
}

// exec runs a process in the container and returns its status, 0 if detached.
func (o *execOptions) exec(e *env, c *sandbox.Container, args []string) (int, error) {
	if err := c.CheckExec(o.ignorePaused); err != nil {
		return -1, err
	}
	p, err := o.spec(c, args)
	if err != nil {
		return -1, err
	}
	subCgroups, err := parseSubCgroups(o.cgroups)
	if err != nil {
		return -1, err
	}
	r := &runner{
		env: e, container: c, process: p, io: o.io, detach: o.detach,
		start: func(c *sandbox.Container, p *sandbox.Process) error {
			p.SubCgroups = subCgroups
			return c.StartExec(p)
		},
	}
	if err := r.checkTerminal(); err != nil {
		return -1, err
	}
	return r.run()
}

// spec is the process from a file, or the container's own with what the flags
// change.
func (o *execOptions) spec(c *sandbox.Container, args []string) (*specs.Process, error) {
	if o.process != "" {
		return sandbox.LoadProcess(o.process)
	}
	p, err := c.ExecSpec(args)
	if err != nil {
		return nil, err
	}
	if err := o.io.enter(c.Bundle()); err != nil {
		return nil, err
	}
	if o.cwd != "" {
		p.Cwd = o.cwd
	}
	if o.apparmor != "" {
		p.ApparmorProfile = o.apparmor
	}
	if o.label != "" {
		p.SelinuxLabel = o.label
	}
	if o.noNewPrivsDef.isSet() {
		p.NoNewPrivileges = o.noNewPrivs
	}
	p.Terminal = o.tty
	p.Env = append(p.Env, o.env...)
	if o.user != "" {
		if err := setUser(&p.User, o.user); err != nil {
			return nil, err
		}
	}
	for _, gid := range o.gids {
		if gid < 0 {
			return nil, fmt.Errorf("additional-gids must be a positive number %d", gid)
		}
		p.User.AdditionalGids = append(p.User.AdditionalGids, uint32(gid))
	}
	addCapabilities(p, o.caps)
	return p, sandbox.ValidateProcess(p)
}

func setUser(u *specs.User, s string) error {
	uids, gids, hasGID := strings.Cut(s, ":")
	if hasGID {
		gid, err := strconv.Atoi(gids)
		if err != nil {
			return fmt.Errorf("bad gid: %w", err)
		}
		u.GID = uint32(gid)
	}
	uid, err := strconv.Atoi(uids)
	if err != nil {
		return fmt.Errorf("bad uid: %w", err)
	}
	u.UID = uint32(uid)
	return nil
}

// addCapabilities adds to the sets of the process. Ambient ones need
// inheritable ones (capabilities(7)), which are the spec's to give.
func addCapabilities(p *specs.Process, caps []string) {
	if len(caps) == 0 {
		return
	}
	if p.Capabilities == nil {
		p.Capabilities = &specs.LinuxCapabilities{}
	}
	c := p.Capabilities
	c.Bounding = append(c.Bounding, caps...)
	c.Effective = append(c.Effective, caps...)
	c.Permitted = append(c.Permitted, caps...)
	if c.Inheritable != nil {
		c.Ambient = append(c.Ambient, caps...)
	}
}

// parseSubCgroups takes one path below the container's cgroup, or
// "controller[,controller]:path" for each hierarchy of cgroup v1.
func parseSubCgroups(args []string) (map[string]string, error) {
	if len(args) == 0 {
		return nil, nil
	}
	paths := make(map[string]string, len(args))
	for _, arg := range args {
		controllers, path, ok := strings.Cut(arg, ":")
		if !ok {
			if len(args) != 1 {
				return nil, fmt.Errorf("invalid --cgroup argument: %s (missing <controller>: prefix)", arg)
			}
			paths[""] = arg
			continue
		}
		for controller := range strings.SplitSeq(controllers, ",") {
			if controller == "" {
				return nil, fmt.Errorf("invalid --cgroup argument: %s (empty <controller> prefix)", arg)
			}
			if _, ok := paths[controller]; ok {
				return nil, fmt.Errorf("invalid --cgroup argument(s): controller %s specified multiple times", controller)
			}
			paths[controller] = path
		}
	}
	return paths, nil
}
