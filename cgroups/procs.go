package cgroups

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Procs returns the pids of the processes in p and below, sorted, as seen from
// the caller's pid namespace. Processes that have no pid there are left out, as
// are zombies. It is a snapshot: a process may fork, or leave, at any time.
func (p Path) Procs() ([]int, error) {
	d, err := p.open()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer d.close()
	pids, err := d.procs()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", asGone(err))
	}
	return pids, nil
}

// procs lists the processes of d and below.
func (d *dir) procs() ([]int, error) {
	var pids []int
	err := d.walk(func(c *dir) error {
		own, err := c.ownProcs()
		pids = append(pids, own...)
		if c != d && gone(err) {
			err = nil
		}
		return err
	}, nil)
	slices.Sort(pids)
	// A process that moved while the tree was walked is listed twice.
	return slices.Compact(pids), err
}

// ownProcs lists the processes of d alone.
func (d *dir) ownProcs() ([]int, error) { return d.list("cgroup.procs") }

// list reads cgroup.procs or cgroup.threads.
func (d *dir) list(file string) ([]int, error) {
	b, err := d.read(file)
	if errors.Is(err, unix.EOPNOTSUPP) {
		// A threaded cgroup holds threads; the processes that they belong to
		// are listed by its domain, which is above it and within the pod.
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parsePIDs(b)
}

// parsePIDs parses what list reads. A process without a pid in the reader's
// namespace is listed as 0; there is nothing that can be done with it.
func parsePIDs(b []byte) ([]int, error) {
	var pids []int
	for line := range bytes.Lines(b) {
		pid, err := strconv.Atoi(string(bytes.TrimSuffix(line, []byte("\n"))))
		if err != nil {
			return nil, fmt.Errorf("parse cgroup.procs or cgroup.threads: %w", err)
		}
		if pid != 0 {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// maxNamed is how many processes a message names.
const maxNamed = 8

// nameProcs says which processes pids are, for a message.
func nameProcs(pids []int) string {
	var b strings.Builder
	for i, pid := range pids {
		if i == maxNamed {
			fmt.Fprintf(&b, " and %d more", len(pids)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d (%q)", pid, comm(pid))
	}
	return b.String()
}

// comm returns the name that a process gives itself; %q it.
func comm(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	if err != nil {
		return "?"
	}
	return strings.TrimSuffix(string(b), "\n")
}
