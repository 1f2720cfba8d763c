package sandbox

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/cgroups"
)

const (
	// maxProbeOutput is how much of what a command prints is kept; the rest is read
	// and dropped.
	maxProbeOutput = 1024

	// probeKillGrace is how long what a probe has started is waited for when it was
	// killed. Only what is in an uninterruptible sleep takes longer.
	probeKillGrace = time.Second
)

// errProbeHangs is a command that was killed, and is there all the same.
var errProbeHangs = errors.New("the command before was killed and has not ended")

// execution is one command in a container, again and again. A probe's has a cgroup
// of its own below the container's: whatever the command leaves, however it has
// detached itself, is in there, and nothing else is.
type execution struct {
	c      *Container // for this alone: libcontainer's start of a process holds its lock
	spec   *specs.Process
	leaf   cgroups.Path // the container's
	group  string       // name of the cgroup below it; "" for the container's own
	reaped *reaper      // of this process, nil if it has none

	// Of the last command: closed when it runs, or could not be started, and when it
	// has ended.
	proc          *Process
	started, last chan struct{}
}

// newExecution is for the container as it runs now, whose init the caller keeps from
// being waited for as long as commands are started.
func (p *Pod) newExecution(rec containerRecord, process *specs.Process, command []string, group string, reaped *reaper) (*execution, error) {
	c, err := p.loadContainer(rec)
	if err != nil {
		return nil, err
	}
	if process == nil {
		if process, err = c.ExecSpec(command); err != nil {
			return nil, err
		}
	}
	spec := *process
	spec.Args, spec.Terminal = command, false
	return &execution{c: c, spec: &spec, leaf: cgroups.Path(c.CgroupPath()), group: group, reaped: reaped}, nil
}

// run executes the command once. Its exit with another status than 0 is a failure,
// as is its not being executed, and its time being over. If it has a cgroup, nothing
// of it is left then.
func (e *execution) run(ctx context.Context) probeAnswer {
	if e.last != nil && !e.ended() && !e.kill() {
		return probeAnswer{message: errProbeHangs.Error()}
	}
	p := &Process{Spec: e.spec}
	if e.group != "" {
		if err := e.makeGroup(); err != nil {
			return failure(err)
		}
		p.SubCgroups = map[string]string{"": e.group}
	}
	out, in, err := e.pipe()
	if err != nil {
		return probeAnswer{err: err}
	}
	p.Stdout, p.Stderr = in, in
	var status unix.WaitStatus
	last, started := make(chan struct{}), make(chan struct{})
	e.proc, e.last, e.started = p, last, started
	go func() {
		defer close(last)
		status, err = e.execute(p, in, started)
	}()
	text := readSome(out)
	defer out.Close() // and so ends readSome
	select {
	case <-last:
	case <-ctx.Done():
	}
	if !e.ended() {
		if e.group != "" {
			e.kill()
			return probeAnswer{message: "timed out"}
		}
		// It goes on, but does not join any more what may be another container by then.
		select {
		case <-started:
		case <-time.After(probeKillGrace):
		}
		return probeAnswer{message: "timed out"}
	}
	swept := e.sweep()
	switch {
	case err != nil:
		return failure(err)
	case swept != nil:
		return failure(swept)
	case !status.Signaled() && status.ExitStatus() == 0:
		return probeAnswer{ok: true}
	}
	how := "exit status " + strconv.Itoa(status.ExitStatus())
	if status.Signaled() {
		how = "ended by " + unix.SignalName(status.Signal())
	}
	select {
	case b := <-text:
		if b = strings.TrimSpace(b); b != "" {
			how += ": " + printable(b)
		}
	case <-time.After(probeKillGrace): // somebody else holds the pipe
	}
	return probeAnswer{message: how}
}

// failure is that of a command which could not be executed; but not what this process
// has no descriptors for, which no restart of the container would help.
func failure(err error) probeAnswer {
	if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
		return probeAnswer{err: err}
	}
	return probeAnswer{message: printable(err.Error())}
}

func (e *execution) ended() bool {
	select {
	case <-e.last:
		return true
	default:
		return false
	}
}

// kill ends the last command, which has a cgroup, and reports whether it has ended.
// One that has taken itself to another cgroup of the container's is killed alone. One
// that is about to be started, on a machine with much to do, may come when nobody
// waits for it any more: the next call finds it.
func (e *execution) kill() bool {
	patience := time.After(probeKillGrace)
	for started := e.started; ; {
		_ = e.sweep() // what it leaves, makeGroup finds
		select {
		case <-e.last:
			return true
		case <-started:
			_ = e.proc.Signal(unix.SIGKILL)
			started = nil
		case <-patience:
			return false
		}
	}
}

// execute starts the command, closes started, and waits for its end. in is this
// process's copy of the pipe that it writes to.
func (e *execution) execute(p *Process, in *os.File, started chan<- struct{}) (unix.WaitStatus, error) {
	// libcontainer's own children, and the command before it is known, are not for
	// the reaper.
	release := func() {}
	if e.reaped != nil {
		release = e.reaped.hold()
	}
	err := e.c.startExec(p)
	in.Close()
	pid := p.Pid()
	if err == nil && e.reaped != nil {
		e.reaped.add(pid)
	}
	release()
	close(started)
	if err != nil {
		return 0, err
	}
	status, err := p.Wait()
	if e.reaped != nil {
		e.reaped.release(pid)
	}
	return status, err
}

// makeGroup makes the command's cgroup. It stays for the next one, as long as the
// container's, unless something in it had to be killed. What is in it already is
// nobody's.
func (e *execution) makeGroup() error {
	_, err := e.leaf.CreateLeaf(e.group)
	if errors.Is(err, fs.ErrExist) {
		if err = e.sweep(); err == nil {
			_, err = e.leaf.CreateLeaf(e.group)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// sweep kills what is in the command's cgroup. A command without one ends with the
// container.
//
// The cgroup goes as well then: a process that is born into one (clone3(2),
// CLONE_INTO_CGROUP) is killed at birth if cgroup.kill was ever used there, and not
// where its parent is (cgroup_css_set_fork compares their kill_seq; seen on Linux 6.1,
// 6.12 and 6.18).
func (e *execution) sweep() error {
	if e.group == "" {
		return nil
	}
	group := e.leaf.Leaf(e.group)
	if busy, err := group.Populated(); err != nil || !busy {
		return ignoreNotExist(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeKillGrace)
	defer cancel()
	if err := errors.Join(group.Kill(), group.WaitKilled(ctx)); err != nil {
		return err
	}
	return group.Remove(ctx)
}

// pipe is for what the command prints, owned by the container's root, as Container.Pipe
// has it.
func (e *execution) pipe() (out, in *os.File, err error) {
	uid, gid, err := e.c.HostRoot()
	if err != nil {
		return nil, nil, err
	}
	if out, in, err = os.Pipe(); err != nil {
		return nil, nil, err
	}
	if err := chownFile(in, uid, gid); err != nil {
		closeFiles([]*os.File{out, in})
		return nil, nil, err
	}
	return out, in, nil
}

// readSome reads until the end, and gives the beginning of it.
func readSome(r io.Reader) <-chan string {
	text := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(io.LimitReader(r, maxProbeOutput))
		if len(b) == maxProbeOutput {
			_, _ = io.Copy(io.Discard, r)
		}
		text <- string(b)
	}()
	return text
}

// printable is a message from a container as it may stand in a record, and on a
// terminal.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case b.Len() >= maxProbeOutput:
			return b.String() + "…"
		case r == '\n' || r == '\t':
			b.WriteByte(' ')
		case r == utf8.RuneError || !unicode.IsPrint(r):
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
