package main

import (
	"encoding/json"

	"github.com/podrt/podrt/sandbox"
)

func stateCommand() *command {
	return &command{
		name:  "state",
		usage: "output the state of a container",
		args: `<container-id>

Where "<container-id>" is your name for the instance of the container.`,
		about: "The state command outputs current state information for the\ninstance of a container.",
		min:   1, max: 1,
		run: func(e *env, args []string) error {
			if args[0] == "" {
				return errEmptyID
			}
			state, err := sandbox.StateOf(e.root, args[0])
			if err != nil {
				return err
			}
			data, err := json.MarshalIndent(state, "", "  ")
			if err != nil {
				return err
			}
			_, err = e.stdout.Write(data)
			return err
		},
	}
}
