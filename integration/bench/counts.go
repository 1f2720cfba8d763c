package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/podrt/podrt/integration/bench/count"
)

// counted is how much of the kernel an operation takes.
type counted struct {
	Operation string `json:"operation"`
	Subject   string `json:"subject"`
	Calls     int    `json:"calls"`   // system calls of all processes
	Steady    int    `json:"steady"`  // without those of Go's scheduler, which vary
	Faults    int64  `json:"faults"`  // minor page faults, without a tracer
	Written   int64  `json:"written"` // bytes, of all processes, into files, pipes and sockets
	// Of the one process outside of the kernel; 0 where it is not counted.
	Instructions int64 `json:"instructions,omitempty"`
}

// counts counts some operations, each of which leaves no process behind.
// skipped says why there are none.
func (l *lab) counts() (list []counted, skipped string, retErr error) {
	if _, err := exec.LookPath("strace"); err != nil {
		return nil, count.ErrNoStrace.Error(), nil
	}
	dir, err := l.writeBundle("counts", l.spec("counts", "/bin/true"))
	if err != nil {
		return nil, "", err
	}
	ids, done, err := l.running("counted")
	defer func() { retErr = errors.Join(retErr, done()) }()
	if err != nil {
		return nil, "", err
	}
	add := func(operation, subject string, cmd func() command) error {
		// crun executes itself once more, from a memfd, which callgrind cannot do.
		c, err := l.count(cmd, subject != "crun" && (operation == "--version" || operation == "state"))
		c.Operation, c.Subject = operation, subject
		list = append(list, c)
		return err
	}
	for _, op := range []struct {
		name string
		args func(t *tool) []string
	}{
		{"--version", func(*tool) []string { return []string{"--version"} }},
		{"state", func(t *tool) []string { return []string{"state", ids[t.Name]} }},
		{"exec", func(t *tool) []string { return []string{"exec", ids[t.Name], "/bin/true"} }},
		{"run", func(*tool) []string { return []string{"run", "--bundle", dir, l.newID()} }},
	} {
		for _, t := range l.tools {
			if _, ok := ids[t.Name]; !ok {
				continue
			}
			if err := add(op.name, t.Name, func() command { return t.do(op.args(t)...) }); err != nil {
				return list, "", err
			}
		}
	}
	for _, t := range l.podrts() {
		for _, args := range [][]string{{"create"}, {"rm"}} {
			// Twice: once with a tracer, once without.
			pod := []string{"counted-a", "counted-b"}
			i := 0
			err := add("pod "+args[0], t.Name, func() command {
				i++
				return t.do("pod", args[0], pod[i-1])
			})
			if err != nil {
				return list, "", err
			}
		}
	}
	cgroup := filepath.Join(cgroupRoot, l.cgroup, "counts")
	err = add("run", floorProcess, func() command {
		return l.floorCommand("run", l.rootfs(), cgroup, "-", "0", "/bin/true")
	})
	return list, "", err
}

// count runs a command twice: with a tracer, and without; and if it is alone, which
// is no more than one process that changes nothing, once more for its instructions.
func (l *lab) count(cmd func() command, alone bool) (counted, error) {
	traced := func() *exec.Cmd {
		c := cmd()
		e := exec.Command(c.path, c.args...)
		e.Env = append(os.Environ(), c.env...)
		return e
	}
	calls, err := count.Strace(traced())
	if err != nil {
		return counted{}, err
	}
	u, err := l.inTurn(cmd())
	if err != nil {
		return counted{}, err
	}
	c := counted{Calls: calls.Total(), Steady: calls.Steady(), Faults: u.faults, Written: calls.Written}
	if alone {
		if c.Instructions, err = count.Instructions(traced()); errors.Is(err, count.ErrNoValgrind) {
			err = nil
		}
	}
	return c, err
}

// instructions is the number for a table.
func (c *counted) instructions() string {
	if c.Instructions == 0 {
		return ""
	}
	return strconv.FormatInt(c.Instructions, 10)
}
