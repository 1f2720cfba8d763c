package main

import (
	"context"
	"time"
)

// deletePatience is how long delete waits for killed processes to end. Only
// one in uninterruptible sleep takes more than an instant.
const deletePatience = 10 * time.Second

func deleteCommand() *command {
	var force bool
	return &command{
		name:  "delete",
		usage: "delete any resources held by the container often used with detached container",
		args: `<container-id>

Where "<container-id>" is the name for the instance of the container.

EXAMPLE:
For example, if the container id is "ubuntu01" and podrt list currently shows the
status of "ubuntu01" as "stopped" the following will delete resources held for
"ubuntu01" removing "ubuntu01" from the podrt list of containers:

       # podrt delete ubuntu01`,
		min: 1, max: 1,
		flags: func(f *flags) {
			f.Bool(&force, "force, f", "Forcibly deletes the container if it is still running (uses SIGKILL)")
		},
		run: func(e *env, args []string) error {
			if args[0] == "" {
				return errEmptyID
			}
			return deleteContainer(e, args[0], force)
		},
	}
}

func deleteContainer(e *env, id string, force bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), deletePatience)
	defer cancel()
	return e.store.RemoveContainer(ctx, id, force)
}
