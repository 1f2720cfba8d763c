package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/podrt/podrt/integration/bench/count"
	"github.com/podrt/podrt/integration/bundle"
)

// cgroupRoot is where the rung mounts cgroup v2.
const cgroupRoot = "/sys/fs/cgroup"

// lab is where a run takes place.
type lab struct {
	root    string // of the repository
	dir     string // of this run, with state and bundles; on a tmpfs
	disk    string // for what has its place below /var: not on a tmpfs
	cgroup  string // below cgroupRoot, for all containers but podrt's pods'
	tools   []*tool
	missing []string // tools that are not there, and how to get them
	pause   time.Duration

	out *os.File // standard output and error of the commands
	ids int
}

func newLab(root string, o *options) (_ *lab, retErr error) {
	dir, err := os.MkdirTemp("/run", "podrt-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{root: root, dir: dir, cgroup: "/" + filepath.Base(dir), pause: o.pause}
	defer func() {
		if retErr != nil {
			retErr = errors.Join(retErr, l.close())
		}
	}()
	// The root of a user namespace would have to walk through; nobody else may.
	if err := os.Chmod(dir, 0o711); err != nil {
		return nil, err
	}
	if l.out, err = os.OpenFile(filepath.Join(dir, "output"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return nil, err
	}
	if err := os.Mkdir(cgroupRoot+l.cgroup, 0o755); err != nil {
		return nil, fmt.Errorf("%w; is cgroup v2 on %s?", err, cgroupRoot)
	}
	if err := bundle.Root(l.rootfs()); err != nil {
		return nil, err
	}
	if l.disk, err = os.MkdirTemp(filepath.Join(root, "bin/bench"), "disk-"); err != nil {
		return nil, err
	}
	// As the directories there are; the root of a user namespace walks through.
	if err := os.Chmod(l.disk, 0o711); err != nil {
		return nil, err
	}
	if l.tools, l.missing, err = findTools(root, dir, l.disk, o.with); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *lab) close() error {
	if l.out != nil {
		l.out.Close()
	}
	err := os.Remove(cgroupRoot + l.cgroup)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	// podrt's state root is a mount of its own.
	for _, t := range l.podrts() {
		_ = syscall.Unmount(filepath.Dir(t.root), syscall.MNT_DETACH)
	}
	if l.disk != "" {
		err = errors.Join(err, os.RemoveAll(l.disk))
	}
	return errors.Join(err, os.RemoveAll(l.dir))
}

// path is a path of the command line: from the repository's root.
func (l *lab) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(l.root, p)
}

// newID returns a name that no container or pod of this run had.
func (l *lab) newID() string {
	l.ids++
	return "b" + strconv.Itoa(l.ids)
}

// usage is what commands took.
type usage struct {
	wall   time.Duration
	cpu    time.Duration // of all that they set off, see cpuTime
	faults int64         // minor, of the commands and the children they waited for
}

func (u *usage) add(v usage) {
	u.wall += v.wall
	u.cpu += v.cpu
	u.faults += v.faults
}

// inTurn runs commands one after another.
func (l *lab) inTurn(cmds ...command) (usage, error) {
	var sum usage
	if err := l.out.Truncate(0); err != nil {
		return sum, err
	}
	for _, c := range cmds {
		u, err := l.together(c)
		if err != nil {
			return sum, err
		}
		sum.add(u)
	}
	return sum, nil
}

// atOnce runs commands side by side; they may take each other's time.
func (l *lab) atOnce(cmds ...command) (usage, error) {
	if err := l.out.Truncate(0); err != nil {
		return usage{}, err
	}
	return l.together(cmds...)
}

func (l *lab) together(cmds ...command) (u usage, _ error) {
	running := make([]*exec.Cmd, len(cmds))
	for i, c := range cmds {
		cmd := exec.Command(c.path, c.args...)
		cmd.Stdout, cmd.Stderr = l.out, l.out
		if c.env != nil {
			cmd.Env = append(os.Environ(), c.env...)
		}
		running[i] = cmd
	}
	cpu, err := cpuTime()
	if err != nil {
		return u, err
	}
	start := time.Now()
	for i, cmd := range running {
		if err = cmd.Start(); err != nil {
			running = running[:i]
			break
		}
	}
	for _, cmd := range running {
		if werr := cmd.Wait(); werr != nil {
			err = errors.Join(err, fmt.Errorf("%q: %w", cmd.Args, werr))
		}
	}
	u.wall = time.Since(start)
	now, cerr := cpuTime()
	err = errors.Join(err, cerr)
	u.cpu = now - cpu
	for _, cmd := range running {
		u.faults += count.Faults(cmd.ProcessState)
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, strings.TrimSpace(l.output()))
	}
	return u, err
}

// cpuTime is the time on processors, user and system, of all processes below
// the rung's root, but for this one. Unlike the wall clock it counts what a
// command leaves running, and hardly what others do. On a rung without a cgroup
// of its own it is that of the children that were waited for.
func cpuTime() (time.Duration, error) {
	var own, children syscall.Rusage
	if err := errors.Join(syscall.Getrusage(syscall.RUSAGE_SELF, &own), syscall.Getrusage(syscall.RUSAGE_CHILDREN, &children)); err != nil {
		return 0, os.NewSyscallError("getrusage", err)
	}
	// The root of all cgroups has no type, and the whole machine's time.
	if _, err := os.Lstat(cgroupRoot + "/cgroup.type"); err != nil {
		return cpuOf(children), nil
	}
	stat, err := os.ReadFile(cgroupRoot + "/cpu.stat")
	if err != nil {
		return 0, err
	}
	usage, _, _ := strings.Cut(strings.TrimPrefix(string(stat), "usage_usec "), "\n")
	us, err := strconv.ParseInt(usage, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read cpu.stat: %w", err)
	}
	return time.Duration(us)*time.Microsecond - cpuOf(own), nil
}

func cpuOf(ru syscall.Rusage) time.Duration {
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// output is what the last commands have written.
func (l *lab) output() string {
	b, err := io.ReadAll(io.NewSectionReader(l.out, 0, 1<<20))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// floorCommand has the floor do something.
func (l *lab) floorCommand(args ...string) command {
	return command{path: floorPath(l.root), args: args}
}

// floor runs the floor. The second usage is its work alone, by its own clock,
// without the process's start and end.
func (l *lab) floor(args ...string) (process, work usage, err error) {
	process, err = l.inTurn(l.floorCommand(args...))
	if err != nil {
		return process, work, err
	}
	out := strings.TrimSpace(l.output())
	ns, err := strconv.ParseInt(out, 10, 64)
	if err != nil {
		return process, work, fmt.Errorf("floor %q printed %q; want nanoseconds", args, out)
	}
	work.wall = time.Duration(ns)
	return process, work, nil
}
