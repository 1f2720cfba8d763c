package main

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/sandbox"
)

func podCreateCommand() *command {
	var o podFlags
	return &command{
		name:  "create",
		usage: "make a pod without containers",
		args: `<name>

Where "<name>" is the pod's name, unique among live pods. Its UID is printed.
The pod has no process unless it shares its PID namespace. Containers are put
into it with "podrt create --pod" and "podrt run --pod".`,
		flags: o.register, min: 1, max: 1,
		starts: asItIs,
		run: func(e *env, args []string) error {
			ctx, stop := interruptible()
			defer stop()
			p, err := e.store.CreatePod(ctx, o.spec(args[0]), nil)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(e.stdout, p.UID())
			return err
		},
	}
}

func podRunCommand() *command {
	var detach, keep bool
	var uid, name string
	return &command{
		name:  "run",
		usage: "make and run the pod of a bundle",
		args: `<bundle>

Where "<bundle>" is a directory with pod.json and an OCI bundle per container.

In the foreground each line of output stands behind its container's name, an
interrupt stops the pod with its grace period and a second one kills it; when
all containers have ended, the pod is removed. The exit status is 0 if each
exited with 0, otherwise that of the first, in the order of pod.json, that did
not; 125 if the pod could not be run, 126 if a container's command cannot be
executed, 127 if it was not found.`,
		flags: func(f *flags) {
			f.Bool(&detach, "detach, d", "leave the pod running, with its output in the log directory; prints its UID")
			f.Bool(&keep, "keep", "do not remove the pod when its containers have ended")
			f.String(&name, "name", "instead of the name in pod.json")
			f.String(&uid, "uid", "instead of the UID in pod.json or a generated one")
		},
		min: 1, max: 1,
		starts: func(_ *env, err error) error { return &exitError{status: sandbox.CodeError, err: err} },
		run: func(e *env, args []string) error {
			code, err := e.podRun(args[0], name, uid, detach, keep)
			if err != nil {
				return &exitError{status: code, err: err}
			}
			return exitStatus(code)
		},
	}
}

// podRun makes and runs a pod; the exit status is for the error, if there is
// one, or the containers'.
func (e *env) podRun(dir, name, uid string, detach, keep bool) (int, error) {
	ctx, stop := interruptible()
	defer stop()
	if detach {
		uid, code, err := e.runDetached(ctx, dir, name, uid)
		if err != nil {
			return code, err
		}
		_, err = fmt.Fprintln(e.stdout, uid)
		return 0, err
	}
	p, err := e.makePod(ctx, dir, name, uid)
	if err != nil {
		return sandbox.CodeError, err
	}

	containers := p.Spec().Containers
	names := make([]string, len(containers))
	for i, c := range containers {
		names[i] = c.Name
	}
	out := newOutputMux(names)
	secondKills := onSecondInterrupt(ctx, func() { _ = killPod(p, unix.SIGKILL) })
	exits, err := p.RunContainers(ctx, out.stdio, func() {})
	secondKills()
	if err != nil {
		code := sandbox.StartCode(err)
		err = joinRemoval(err, p)
		out.wait()
		return code, err
	}
	if !keep {
		if err := joinRemoval(nil, p); err != nil {
			return sandbox.CodeError, err
		}
	}
	// After the pod is gone: whoever reads the output may take any time.
	out.wait()
	return e.reportExits(exits), nil
}

// makePod makes the pod of a bundle, without its containers.
func (e *env) makePod(ctx context.Context, dir, name, uid string) (*sandbox.Pod, error) {
	bundle, err := sandbox.LoadPodBundle(dir)
	if err != nil {
		return nil, err
	}
	spec := bundle.Spec
	if name != "" {
		spec.Rename(name)
	}
	if uid != "" {
		spec.Metadata.UID = uid
	}
	return e.store.CreatePod(ctx, spec, bundle)
}
