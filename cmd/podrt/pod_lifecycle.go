package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/podrt/podrt/sandbox"
)

func podStartCommand() *command {
	return &command{
		name:  "start",
		usage: "start the containers of pods",
		args: podsArgs + `

Containers that were created with "podrt create --pod" are started; those of the
pod's bundle are run again, in the background, its init containers first, if none
of them is running.`,
		min: 1, max: -1,
		starts: asItIs,
		run: func(e *env, args []string) error {
			ctx, stop := interruptible()
			defer stop()
			return e.eachPod(args, func(p *sandbox.Pod) error {
				n, err := p.StartCreated(ctx)
				if err != nil {
					return err
				}
				running, err := p.OwnRunning()
				if err != nil || running {
					return err
				}
				if len(p.Spec().Containers) > 0 {
					return e.startDetached(ctx, p)
				}
				if n == 0 {
					st, err := p.Status()
					if err != nil {
						return err
					}
					if st.Phase != sandbox.PhaseRunning {
						return fmt.Errorf("start pod %q: it has no container to start", p.Name())
					}
				}
				return nil
			})
		},
	}
}

func podStopCommand() *command {
	seconds := -1
	return &command{
		name:  "stop",
		usage: "stop the containers of pods",
		args: podsArgs + `

Each container gets its stop signal, SIGTERM if it names no other, once its preStop
has ended, sidecars when all others have ended, and is killed if it has not ended
when the grace period is over. The pods stay, and no container is started until
"podrt pod start". A pod behind an engine is for the engine to stop.`,
		flags: func(f *flags) {
			f.Func(func(s string) error { return parseSeconds(s, &seconds) }, "time, t", "grace period in `SECONDS`, instead of the pod's own; 0 kills at once")
		},
		min: 1, max: -1,
		starts: asItIs, // preStop
		run: func(e *env, args []string) error {
			var grace *time.Duration
			if seconds >= 0 {
				grace = new(time.Duration(seconds) * time.Second)
			}
			ctx, stop := interruptible()
			defer stop()
			return e.eachPod(args, func(p *sandbox.Pod) error { return p.Stop(ctx, grace) })
		},
	}
}

func podKillCommand() *command {
	sig := "KILL"
	return &command{
		name:  "kill",
		usage: "send a signal to the containers of pods",
		args: podsArgs + `

SIGKILL, the default, ends every process of the pod at once, and none is started
again by its restart policy; any other signal goes to the init of each running
container.`,
		flags: func(f *flags) { f.String(&sig, "signal, s", "name or number of the signal") },
		min:   1, max: -1,
		run: func(e *env, args []string) error {
			s, err := sandbox.ParseSignal(sig)
			if err != nil {
				return err
			}
			if s < 1 || s > 64 {
				return fmt.Errorf("unknown signal %q", sig)
			}
			return e.eachPod(args, func(p *sandbox.Pod) error { return killPod(p, s) })
		},
	}
}

func podPauseCommand() *command {
	return &command{
		name: "pause", usage: "freeze every process of pods",
		args: podsArgs, min: 1, max: -1,
		run: func(e *env, args []string) error {
			ctx, stop := interruptible()
			defer stop()
			return e.eachPod(args, func(p *sandbox.Pod) error { return p.Pause(ctx) })
		},
	}
}

func podResumeCommand() *command {
	return &command{
		name: "resume", usage: "let paused pods go on",
		args: podsArgs, min: 1, max: -1,
		run: func(e *env, args []string) error {
			ctx, stop := interruptible()
			defer stop()
			return e.eachPod(args, func(p *sandbox.Pod) error { return p.Resume(ctx) })
		},
	}
}

func podRmCommand() *command {
	var force bool
	return &command{
		name:  "rm",
		usage: "remove pods and all that is theirs",
		args: podsArgs + `

A prefix must be of a UID, with eight characters or more.
A pod with a container that runs or is started again by its restart policy, or
whose network another pod has joined, is only removed by force. Containers of the
pod are deleted, also those that were made with "podrt create --pod". A pod behind
an engine is for the engine to remove; while it has containers, only force does,
and deletes them. For removal it is named by the id of its sandbox, its UID in
Kubernetes, or NAMESPACE/NAME.`,
		flags: func(f *flags) {
			f.Bool(&force, "force, f", "kill what is running; a pod that does not exist is no error")
		},
		min: 1, max: -1,
		run: func(e *env, args []string) error {
			err := e.eachToRemove(args, force, func(p *sandbox.Pod) error { return removePod(p, force) })
			return errors.Join(err, e.store.Sweep())
		},
	}
}

func podWaitCommand() *command {
	var ready bool
	seconds := -1
	return &command{
		name:  "wait",
		usage: "wait until the containers of pods have ended, or are ready",
		args: podsArgs + `

Prints a line for each container: its name, its exit status ("-" where a caller
that made it alone knows), and how it ended.

With --ready it waits until all containers run and their probes say that they are
ready, and prints nothing. That a pod cannot become ready any more, because one of
its containers has ended for good, is an error.`,
		flags: func(f *flags) {
			f.Bool(&ready, "ready, r", "wait until the pods are ready")
			f.Func(func(s string) error { return parseSeconds(s, &seconds) }, "timeout", "fail after `SECONDS` (default no limit)")
		},
		min: 1, max: -1,
		run: func(e *env, args []string) error {
			ctx, stop := interruptible()
			defer stop()
			if seconds >= 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, time.Duration(seconds)*time.Second)
				defer cancel()
			}
			if ready {
				return e.eachPod(args, func(p *sandbox.Pod) error { return p.WaitReady(ctx) })
			}
			return e.eachPod(args, func(p *sandbox.Pod) error {
				containers, err := p.Wait(ctx)
				if err != nil {
					return fmt.Errorf("wait for pod %q: %w", p.Name(), err)
				}
				for _, c := range containers {
					status, how := "-", "-"
					if c.Exit != nil {
						status, how = fmt.Sprint(c.Exit.ExitCode), string(c.Exit.Cause)
					}
					if _, err := fmt.Fprintln(e.stdout, c.Name, status, how); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}
