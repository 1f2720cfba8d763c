package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

func psCommand() *command {
	format := "table"
	return &command{
		name:    "ps",
		usage:   "ps displays the processes running inside a container",
		args:    "<container-id> [ps options]",
		inOrder: true,
		min:     1, max: -1,
		flags: func(f *flags) {
			f.String(&format, "format, f", formatUsage)
		},
		run: func(e *env, args []string) error {
			c, err := e.container(args[0])
			if err != nil {
				return err
			}
			pids, err := c.Pids()
			if err != nil {
				return err
			}
			switch format {
			case "table":
				return psTable(e.stdout, pids, args[1:])
			case "json":
				return json.NewEncoder(e.stdout).Encode(pids)
			}
			return errFormat
		},
	}
}

// psTable prints what ps(1) has on the processes.
func psTable(w io.Writer, pids []int, args []string) error {
	if len(args) == 0 {
		args = []string{"-ef"}
	}
	out, err := exec.Command("ps", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	lines, err := psSelect(string(out), pids)
	if err != nil {
		return err
	}
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
	return nil
}

// psSelect keeps the title and the lines of those processes.
func psSelect(table string, pids []int) ([]string, error) {
	lines := strings.Split(table, "\n")
	column := slices.Index(strings.Fields(lines[0]), "PID")
	if column < 0 {
		return nil, errors.New("couldn't find PID field in ps output")
	}
	kept := lines[:1:1]
	for _, line := range lines[1:] {
		fields := strings.Fields(line)
		if len(fields) <= column {
			continue
		}
		pid, err := strconv.Atoi(fields[column])
		if err != nil {
			return nil, fmt.Errorf("unable to parse pid: %w", err)
		}
		if slices.Contains(pids, pid) {
			kept = append(kept, line)
		}
	}
	return kept, nil
}
