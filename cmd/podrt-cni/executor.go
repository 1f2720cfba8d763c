package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
	cniversion "github.com/containernetworking/cni/pkg/version"
)

// executor executes plugins for libcni. It is what makes sure that they end.
type executor struct {
	cniversion.PluginDecoder
	uid string // of the pod for which plugins are executed, if it is for one
}

var _ invoke.Exec = (*executor)(nil)

// FindInPath implements [invoke.Exec].
func (*executor) FindInPath(plugin string, paths []string) (string, error) {
	return invoke.FindInPath(plugin, paths)
}

const (
	maxOutput = 1 << 20 // bytes of a result
	maxStderr = 4 << 10 // bytes of a message

	// pipeDelay is how long the output of a plugin that has ended is waited
	// for, which what it has left running may hold open.
	pipeDelay = time.Second

	// killDelay is how long what was killed may take to end.
	killDelay = 5 * time.Second
)

// ExecPlugin executes a plugin. It ends with ctx and with this process, and its
// process group with it.
func (e *executor) ExecPlugin(ctx context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	stdout, stderr := &limited{max: maxOutput}, &limited{max: maxStderr, lossy: true}
	cmd := exec.CommandContext(ctx, path)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = environ, bytes.NewReader(stdin), stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = pipeDelay
	start := time.Now()
	// PR_SET_PDEATHSIG is about the thread that forks (prctl(2)).
	runtime.LockOSThread()
	err := cmd.Run()
	runtime.UnlockOSThread()
	switch {
	case stdout.over != nil:
		return nil, stdout.over
	case err == nil, errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil:
		return stdout.text, nil
	case ctx.Err() != nil && cmd.Process != nil:
		err = fmt.Errorf("killed after %s: %w", time.Since(start).Round(time.Millisecond), ctx.Err())
		return nil, errors.Join(err, e.killLeftovers(ctx))
	case ctx.Err() != nil:
		return nil, fmt.Errorf("not executed: %w", ctx.Err())
	}
	return nil, pluginError(err, stdout.text, stderr.text)
}

// killLeftovers kills what has left the process group of a plugin that was killed.
func (e *executor) killLeftovers(ctx context.Context) error {
	if e.uid == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killDelay)
	defer cancel()
	return killLeftovers(ctx, e.uid)
}

// pluginError is what a plugin says of its failure: by the specification, an error
// in JSON on its standard output.
func pluginError(err error, stdout, stderr []byte) error {
	said := types.Error{}
	if json.Unmarshal(stdout, &said) == nil && (said.Msg != "" || said.Code != 0) {
		return &said
	}
	text := strings.TrimSpace(string(append(stdout[:min(len(stdout), maxStderr)], stderr...)))
	if text == "" {
		return fmt.Errorf("it says nothing: %w", err)
	}
	return fmt.Errorf("%w: %q", err, text)
}

// limited holds the first bytes that are written to it.
type limited struct {
	text  []byte
	max   int
	lossy bool // more is dropped, not refused
	over  error
}

func (l *limited) Write(b []byte) (int, error) {
	room := l.max - len(l.text)
	if len(b) > room && !l.lossy {
		l.over = fmt.Errorf("more than %d bytes of output", l.max)
		return 0, l.over
	}
	l.text = append(l.text, b[:min(len(b), room)]...)
	return len(b), nil
}
