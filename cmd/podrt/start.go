package main

import "path/filepath"

func startCommand() *command {
	return &command{
		name:  "start",
		usage: "executes the user defined process in a created container",
		args:  argsContainerID,
		about: "The start command executes the user defined process in a created container.",
		min:   1, max: 1,
		run: func(e *env, args []string) error {
			c, err := e.container(args[0])
			if err != nil {
				return err
			}
			if err := c.CheckStart(); err != nil {
				return err
			}
			notify := newNotifySocket(filepath.Join(e.root, c.ID()))
			if notify != nil {
				if err := notify.bind(); err != nil {
					return err
				}
			}
			if err := c.Start(); err != nil {
				return err
			}
			if notify == nil {
				return nil
			}
			pid, _ := c.InitPID()
			return notify.forward(pid, pid)
		},
	}
}
