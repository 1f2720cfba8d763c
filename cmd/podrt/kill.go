package main

import (
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/sandbox"
)

func killCommand() *command {
	var all bool
	return &command{
		name:  "kill",
		usage: "kill sends the specified signal (default: SIGTERM) to the container's init process",
		args: `<container-id> [signal]

Where "<container-id>" is the name for the instance of the container and
"[signal]" is the signal to be sent to the init process.

EXAMPLE:
For example, if the container id is "ubuntu01" the following will send a "KILL"
signal to the init process of the "ubuntu01" container:

       # podrt kill ubuntu01 KILL`,
		min: 1, max: 2,
		flags: func(f *flags) {
			f.Bool(&all, "all, a", "(obsoleted, do not use)").hide()
		},
		run: func(e *env, args []string) error {
			sig := unix.SIGTERM
			var unknown error
			if len(args) > 1 && args[1] != "" {
				sig, unknown = sandbox.ParseSignal(args[1])
			}
			if unknown == nil && sandbox.SignalInit(e.root, args[0], sig) {
				return nil
			}
			c, err := e.container(args[0])
			if err != nil {
				return err
			}
			if unknown != nil {
				return unknown
			}
			return c.Signal(sig, all)
		},
	}
}
