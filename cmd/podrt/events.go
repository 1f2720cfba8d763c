package main

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/podrt/podrt/sandbox"
)

func eventsCommand() *command {
	var (
		interval = 5 * time.Second
		stats    bool
	)
	return &command{
		name:  "events",
		usage: "display container events such as OOM notifications, cpu, memory, and IO usage statistics",
		args: `<container-id>

Where "<container-id>" is the name for the instance of the container.`,
		about: "The events command displays information about the container. By default the\ninformation is displayed once every 5 seconds.",
		min:   1, max: 1,
		flags: func(f *flags) {
			f.Duration(&interval, "interval", "set the stats collection interval")
			f.Bool(&stats, "stats", "display the container's stats then exit")
		},
		run: func(e *env, args []string) error {
			c, err := e.container(args[0])
			if err != nil {
				return err
			}
			if interval <= 0 {
				return &usageError{errors.New("duration interval must be greater than 0")}
			}
			if err := c.CheckEvents(); err != nil {
				return err
			}
			enc := json.NewEncoder(e.stdout)
			emit := func(event *sandbox.Event) error { return enc.Encode(event) }
			if !stats {
				return c.Watch(interval, emit, e.log.warn)
			}
			event, err := c.StatsEvent()
			if err != nil {
				return err
			}
			return emit(event)
		},
	}
}
