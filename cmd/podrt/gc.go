package main

import (
	"context"
	"fmt"
)

func gcCommand() *command {
	return &command{
		name:  "gc",
		usage: "take back what killed processes and earlier boots have left of pods",
		about: `Directories with volumes and layers of pods from before the last boot are
removed, with the pods' logs, and printed. Addresses, ports, rules and what CNI's
plugins hold for pods that are gone are given back. A pod that "podrt pod ls" shows,
and networks, stay. The library root must be this host's alone.`,
		run: func(e *env, _ []string) error {
			// An interrupt ends it at once: the next one goes on.
			removed, err := e.store.CollectGarbage(context.Background())
			for _, dir := range removed {
				fmt.Fprintln(e.stdout, dir)
			}
			return err
		},
	}
}
