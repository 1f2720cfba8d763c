package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"text/tabwriter"
	"time"

	"github.com/podrt/podrt/sandbox"
)

const formatUsage = "select one of: table or json"

var errFormat = errors.New("invalid format option")

func listCommand() *command {
	var (
		format = "table"
		quiet  bool
	)
	return &command{
		name:  "list",
		usage: "lists containers started by podrt with the given root",
		args: `

Where the given root is specified via the global option "--root"
(default: "/run/podrt/containers").

EXAMPLE 1:
To list containers created via the default "--root":
       # podrt list

EXAMPLE 2:
To list containers created using a non-default value for "--root":
       # podrt --root value list`,
		flags: func(f *flags) {
			f.String(&format, "format, f", formatUsage)
			f.Bool(&quiet, "quiet, q", "display only container IDs")
		},
		run: func(e *env, _ []string) error {
			states, broken, err := sandbox.ListContainers(e.root)
			// Nothing was ever created below the default root; a root that the
			// caller chose should be there.
			if err != nil && (e.rootSet || !errors.Is(err, fs.ErrNotExist)) {
				return err
			}
			out := bufio.NewWriter(e.stdout)
			for _, err := range broken {
				fmt.Fprintln(os.Stderr, err)
			}
			switch {
			case quiet:
				for _, s := range states {
					fmt.Fprintln(out, s.ID)
				}
			case format == "table":
				listTable(out, states)
			case format == "json":
				if err := json.NewEncoder(out).Encode(states); err != nil {
					return err
				}
			default:
				return errFormat
			}
			return out.Flush()
		},
	}
}

func listTable(out io.Writer, states []sandbox.ContainerState) {
	w := tabwriter.NewWriter(out, 12, 1, 3, ' ', 0)
	fmt.Fprint(w, "ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER\n")
	for _, s := range states {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n",
			s.ID, s.InitProcessPid, s.Status, s.Bundle, s.Created.Format(time.RFC3339Nano), s.Owner)
	}
	_ = w.Flush() // out keeps its error
}
