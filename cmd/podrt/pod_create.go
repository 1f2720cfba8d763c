package main

import (
	"context"
	"errors"
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
	var b podBundle
	return &command{
		name:  "run",
		usage: "make and run the pod of a bundle",
		args: `<bundle>

Where "<bundle>" is a directory with pod.json and an OCI bundle per container.

In the foreground each line of output stands behind its container's name, an
interrupt stops the pod with its grace period and a second one kills it; when
all containers have ended, and none is started again by its restart policy, the
sidecars are stopped and the pod is removed. The exit status is 0 if each but the
sidecars exited with 0, otherwise that of the first, in the order of pod.json, that
did not; 125 if the pod could not be run or its output not be written, 126 if a
container's command cannot be executed, 127 if it was not found.

With --detach it returns when the init containers have ended and all others run.
If one of them fails, the exit status is its own, and the pod stays.`,
		flags: func(f *flags) {
			f.Bool(&detach, "detach, d", "leave the pod running, with its output in the log directory; prints its UID")
			f.Bool(&keep, "keep", "do not remove the pod when its containers have ended")
			b.register(f)
		},
		min: 1, max: 1,
		starts: func(_ *env, err error) error { return &exitError{status: sandbox.CodeError, err: err} },
		run: func(e *env, args []string) error {
			b.dir = args[0]
			code, err := e.podRun(&b, detach, keep)
			if err != nil {
				return &exitError{status: code, err: err}
			}
			return exitStatus(code)
		},
	}
}

// podRun makes and runs a pod; the exit status is for the error, if there is
// one, or the containers'.
func (e *env) podRun(b *podBundle, detach, keep bool) (int, error) {
	ctx, stop := interruptible()
	defer stop()
	if detach {
		uid, code, err := e.runDetached(ctx, b)
		if err != nil {
			return code, err
		}
		if _, err := fmt.Fprintln(e.stdout, uid); err != nil {
			return sandbox.CodeError, fmt.Errorf("pod with UID %q runs: %w", uid, err)
		}
		return 0, nil
	}
	outlivePipes()
	p, err := e.makePod(ctx, b)
	if err != nil {
		return sandbox.CodeError, err
	}

	containers := p.Spec().Own()
	names := make([]string, len(containers))
	for i, c := range containers {
		names[i] = c.Name
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := newOutputMux(names, cancel)
	secondKills := onSecondInterrupt(ctx, func() { _ = killPod(p, unix.SIGKILL) })
	ready := e.newReadiness(p)
	exits, err := p.RunContainers(ctx, out.stdio, func() { ready.started(ctx) }, reportRestart)
	ready.end()
	secondKills()
	if err != nil {
		code := sandbox.StartCode(err)
		var over *sandbox.PodOverError
		if !keep || !errors.As(err, &over) { // it was stopped, and can be started
			err = joinRemoval(err, p)
		}
		return code, errors.Join(err, out.wait())
	}
	if !keep {
		var hooks *sandbox.PoststopError
		switch err := joinRemoval(nil, p); {
		case errors.As(err, &hooks): // the pod is gone, and has run
			e.log.warn(err)
		case err != nil:
			return sandbox.CodeError, err
		}
	}
	// After the pod is gone: whoever reads the output may take any time.
	err = out.wait()
	code := e.reportExits(exits)
	if err != nil && code == 0 {
		code = sandbox.CodeError
	}
	return code, err
}

// podBundle is a bundle to make a pod of, and what flags say against its pod.json.
type podBundle struct {
	dir, name, uid, network string

	publish []string
	ports   []sandbox.PodPort // of publish
}

func (b *podBundle) register(f *flags) {
	f.String(&b.name, "name", "instead of the name in pod.json")
	f.String(&b.uid, "uid", "instead of the UID in pod.json or a generated one")
	f.String(&b.network, "network", "instead of the one in pod.json: "+networkUsage)
	parse := publish(&b.ports)
	f.Func(func(v string) error { b.publish = append(b.publish, v); return parse(v) }, "publish, p", publishUsage+", in addition to those in pod.json")
}

// args are the flags of "pod monitor" for b.
func (b *podBundle) args() []string {
	args := []string{"--bundle", b.dir, "--name", b.name, "--uid", b.uid, "--network", b.network}
	for _, p := range b.publish {
		args = append(args, "--publish", p)
	}
	return args
}

// makePod makes the pod of a bundle, without its containers.
func (e *env) makePod(ctx context.Context, b *podBundle) (*sandbox.Pod, error) {
	bundle, err := sandbox.LoadPodBundle(b.dir)
	if err != nil {
		return nil, err
	}
	spec := bundle.Spec
	if b.name != "" {
		spec.Rename(b.name)
	}
	if b.uid != "" {
		spec.Metadata.UID = b.uid
	}
	spec.Publish(b.network, b.ports)
	return e.store.CreatePod(ctx, spec, bundle)
}
