package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/podrt/podrt/sandbox"
)

func podPsCommand() *command {
	format := "table"
	return &command{
		name:  "ps",
		usage: "show the processes of a pod, as the host sees them",
		args:  podArgs,
		flags: func(f *flags) { f.String(&format, "format, f", formatUsage) },
		min:   1, max: 1,
		run: func(e *env, args []string) error {
			if format != "table" && format != "json" {
				return errFormat
			}
			return e.eachPod(args, func(p *sandbox.Pod) error {
				procs, err := p.Processes()
				if err != nil {
					return err
				}
				if format == "json" {
					return printJSON(e.stdout, procs)
				}
				w := newTable(e.stdout)
				fmt.Fprint(w, "CONTAINER\tPID\tPPID\tUID\tSTATE\tRSS\tCOMMAND\n")
				for _, x := range procs {
					name := x.Container
					if name == "" {
						name = "(pod init)"
					}
					fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%s\t%s\n", name, x.PID, x.PPID, x.UID, x.State, formatBytes(x.RSS), printable(x.Command))
				}
				return w.Flush()
			})
		},
	}
}

// printable is s, which a container has chosen, with a "?" in the place of what is
// no letter or sign: of what would be a command for a terminal, or a new line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

func podExecCommand() *command {
	var o execOptions
	return &command{
		name:  "exec",
		usage: "run one more process in a container of a pod",
		args: `<pod> <container> <command> [command options]

Where "<container>" is the container's name in the pod. Flags come before the
pod; a "--" before the command, as kubectl has it, is no part of it. The exit
status is the process's; 255 if podrt could not start it.`,
		flags: o.flags, inOrder: true, min: 2, max: -1,
		starts: execFailed,
		run: func(e *env, args []string) error {
			command := args[2:]
			if len(command) > 0 && command[0] == "--" {
				command = command[1:]
			}
			return o.run(e, command, func() (*sandbox.Container, error) {
				p, err := e.store.Pod(args[0])
				if err != nil {
					return nil, err
				}
				return p.Container(args[1])
			})
		},
	}
}
