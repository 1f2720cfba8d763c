package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/podrt/podrt/sandbox"
)

func pauseCommand() *command {
	return &command{
		name:  "pause",
		usage: "pause suspends all processes inside the container",
		args: `<container-id>

Where "<container-id>" is the name for the instance of the container to be
paused.`,
		about: `The pause command suspends all processes in the instance of the container.

Use podrt list to identify instances of containers and their current status.`,
		min: 1, max: 1,
		run: func(e *env, args []string) error { return e.freezing("pause", args[0], (*sandbox.Container).Pause) },
	}
}

func resumeCommand() *command {
	return &command{
		name:  "resume",
		usage: "resumes all processes that have been previously paused",
		args: `<container-id>

Where "<container-id>" is the name for the instance of the container to be
resumed.`,
		about: `The resume command resumes all processes in the instance of the container.

Use podrt list to identify instances of containers and their current status.`,
		min: 1, max: 1,
		run: func(e *env, args []string) error { return e.freezing("resume", args[0], (*sandbox.Container).Resume) },
	}
}

func (e *env) freezing(verb, id string, do func(*sandbox.Container) error) error {
	c, err := e.container(id)
	if err != nil {
		return err
	}
	err = do(c)
	if errors.Is(err, fs.ErrPermission) {
		e.log.warn(fmt.Errorf("%s %s failure might be caused by lack of full access to cgroups", e.prog, verb))
	}
	return err
}
