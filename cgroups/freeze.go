package cgroups

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Freeze stops every process in p and below, at once and without a signal that
// they could notice, and returns when the kernel has confirmed it
// (cgroup.freeze and cgroup.events; Linux 5.2). Processes that come later are
// frozen as they come. A frozen process can be killed.
//
// A process that sleeps in the kernel without minding signals (state D: a dead
// NFS or FUSE server) cannot be frozen. When ctx ends before all are, Freeze
// thaws p again and returns the cause of ctx with the processes in question. It is
// an error when another thaws p before.
func (p Path) Freeze(ctx context.Context) error {
	d, err := p.open()
	if err != nil {
		return fmt.Errorf("freeze cgroup: %w", err)
	}
	defer d.close()
	if err := d.setFreeze("1"); err != nil {
		return fmt.Errorf("freeze cgroup: %w", err)
	}
	thawed := false
	err = d.await(ctx, func(e events) bool {
		thawed = !e.frozen && d.told("0")
		return e.frozen || thawed
	})
	switch {
	case thawed:
		return fmt.Errorf("freeze cgroup %q: another thawed it meanwhile", string(p))
	case err == nil:
		return nil
	}
	awake := d.unfrozen()
	if terr := d.write("cgroup.freeze", "0"); terr != nil && !gone(terr) {
		awake += "; and it could not be thawed again: " + terr.Error()
	}
	return fmt.Errorf("freeze cgroup %q: %w%s", string(p), asGone(err), awake)
}

// Thaw lets the processes in p and below run again, and returns when the kernel
// has confirmed it. Where a cgroup above p is frozen they cannot: that is an
// error that names it. So is it when another freezes p before.
func (p Path) Thaw(ctx context.Context) error {
	d, err := p.open()
	if err != nil {
		return fmt.Errorf("thaw cgroup: %w", err)
	}
	defer d.close()
	if err := d.setFreeze("0"); err != nil {
		return fmt.Errorf("thaw cgroup: %w", err)
	}
	e, err := d.events()
	if err != nil {
		return fmt.Errorf("thaw cgroup: %w", asGone(err))
	}
	if !e.frozen {
		return nil
	}
	if above := p.frozenAbove(); above != "" {
		return fmt.Errorf("thaw cgroup %q: cgroup %q above it is frozen", string(p), string(above))
	}
	frozen := false
	err = d.await(ctx, func(e events) bool {
		frozen = e.frozen && d.told("1")
		return !e.frozen || frozen
	})
	switch {
	case err != nil:
		return fmt.Errorf("thaw cgroup %q: %w", string(p), asGone(err))
	case frozen:
		return fmt.Errorf("thaw cgroup %q: another froze it meanwhile", string(p))
	}
	return nil
}

// told reports whether that was written to cgroup.freeze last.
func (d *dir) told(what string) bool {
	b, err := d.read("cgroup.freeze")
	return err == nil && strings.TrimSpace(string(b)) == what
}

// setFreeze writes cgroup.freeze, every cgroup below the root has one.
func (d *dir) setFreeze(to string) error {
	err := d.write("cgroup.freeze", to)
	if gone(err) {
		if _, e := d.events(); e == nil {
			return unsupportedf("%s has no cgroup.freeze: Linux 5.2 is needed", d.path)
		}
	}
	return asGone(err)
}

// frozenAbove returns the cgroup above p that was told to freeze, if any.
func (p Path) frozenAbove() Path {
	for a := p.parent(); a.valid() == nil; a = a.parent() {
		d, err := a.open()
		if err != nil {
			continue
		}
		frozen := d.told("1")
		d.close()
		if frozen {
			return a
		}
	}
	return ""
}

// unfrozen says for a message which processes in d and below are not frozen,
// each by one of its threads that is not. The kernel does not tell; the state
// and the function that a thread sleeps in do. It is an observation, nothing
// depends on it.
func (d *dir) unfrozen() string {
	var awake []string
	_ = d.walk(func(c *dir) error {
		if e, err := c.events(); err != nil || e.frozen {
			return nil
		}
		pids, err := c.ownProcs()
		if err != nil {
			return nil
		}
		for _, pid := range pids {
			if s := awakeThread(pid); s != "" {
				awake = append(awake, s)
			}
		}
		return nil
	}, nil)
	if len(awake) == 0 {
		return ""
	}
	if more := len(awake) - maxNamed; more > 0 {
		awake = append(awake[:maxNamed], fmt.Sprintf("and %d more", more))
	}
	return ": not frozen: " + strings.Join(awake, ", ")
}

// awakeThread describes the first thread of a process that is not frozen.
func awakeThread(pid int) string {
	tasks := "/proc/" + strconv.Itoa(pid) + "/task/"
	entries, err := os.ReadDir(tasks)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		stat, err := os.ReadFile(tasks + e.Name() + "/stat")
		if err != nil {
			continue
		}
		wchan, _ := os.ReadFile(tasks + e.Name() + "/wchan")
		if state := taskState(string(stat)); !looksFrozen(state, string(wchan)) {
			where := ""
			if len(wchan) > 0 && string(wchan) != "0" {
				where = " in " + string(wchan)
			}
			return fmt.Sprintf("%d (%q, state %c%s)", pid, comm(pid), state, where)
		}
	}
	return ""
}

// taskState returns the state in a /proc/PID/stat, proc_pid_stat(5). The name
// before it may hold anything, parentheses and newlines too; what follows its
// last parenthesis may not.
func taskState(stat string) byte {
	if i := strings.LastIndexByte(stat, ')'); i >= 0 && len(stat) > i+2 {
		return stat[i+2]
	}
	return '?'
}

// looksFrozen tells whether a thread in that state, sleeping in that kernel
// function, counts as frozen.
func looksFrozen(state byte, wchan string) bool {
	switch state {
	case 'T', 't', 'Z', 'X', 'x': // stopped, traced, dead
		return true
	}
	switch wchan {
	case "do_freezer_trap", "get_signal": // the latter where the former is inlined
		return true
	case "wait_for_vfork_done", "kernel_clone": // a vfork(2)'s parent is frozen where it waits
		return true
	}
	return false
}
