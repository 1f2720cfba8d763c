package main

import (
	"fmt"

	"github.com/podrt/podrt/sandbox"
)

func runCommand() *command {
	var (
		o      = initOptions{runs: true}
		detach bool
	)
	return &command{
		name:  "run",
		usage: "create and run a container",
		args:  argsContainerID,
		about: "The run command creates an instance of a container for a bundle.\n" + aboutBundle,
		min:   1, max: 1,
		flags: func(f *flags) {
			o.flags(f)
			f.Bool(&detach, "detach, d", "detach from the container's process")
			f.Bool(&o.keep, "keep", "do not delete the container after it exits")
			f.Bool(&o.noSubreaper, "no-subreaper", "disable the use of the subreaper used to reap reparented processes")
		},
		starts: runFailed,
		run: func(e *env, args []string) error {
			status, err := o.start(e, args[0], (*sandbox.Container).RunInit, detach)
			if err != nil {
				return runFailed(e, err)
			}
			return exitStatus(status)
		},
	}
}

func runFailed(e *env, err error) error { return fmt.Errorf("%s run failed: %w", e.prog, err) }
