package main

import (
	"errors"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/sandbox"
)

func podUpdateCommand() *command {
	var file string
	o := limitFlags{live: true}
	return &command{
		name:  "update",
		usage: "change limits of pods",
		args: podsArgs + `

The limits are those of a pod as a whole, as "podrt pod create" gives them. What
is not given stays as it is; nothing is restarted, and a pod that is started again
has them still. A limit that cannot be had changes none of them. Memory below what
is in use is refused. A limit of memory and swap stays when that of memory is
changed, and goes when that goes, unless it is given, too. A pod behind an engine
is for the engine to change.

"--resources" takes limits in the form of "resources" in pod.json, such as

{"memory": {"limit": 536870912}, "unified": {"memory.high": "max"}}

of memory, cpu, pids, hugepageLimits and unified. It excludes the other flags.`,
		flags: func(f *flags) {
			f.String(&file, "resources, r", "`FILE` with the limits as JSON, or - for the standard input")
			o.register(f)
		},
		min: 1, max: -1,
		run: func(e *env, args []string) error {
			change := o.resources()
			switch {
			case file != "" && change != nil:
				return &usageError{errors.New("--resources excludes flags of single limits")}
			case file != "":
				var err error
				if change, err = readPodLimits(file); err != nil {
					return err
				}
			case change == nil:
				return &usageError{errors.New("no limit is given")}
			}
			ctx, stop := interruptible()
			defer stop()
			return e.eachPod(args, func(p *sandbox.Pod) error { return p.Update(ctx, change) })
		},
	}
}

func readPodLimits(path string) (*specs.LinuxResources, error) {
	in, err := openInput(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return sandbox.ParsePodLimits(path, in)
}
