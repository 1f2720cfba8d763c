package cgroups

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Kill sends SIGKILL to every process in p and below, also to frozen ones and
// to those that are being forked (cgroup.kill, Linux 5.14; one by one on an
// older kernel). It does not wait for their end: WaitEmpty does. A cgroup that
// does not exist is no error.
func (p Path) Kill() error {
	d, err := p.open()
	if gone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("kill cgroup: %w", err)
	}
	defer d.close()
	err = d.write("cgroup.kill", "1")
	if gone(err) {
		// An older kernel, or a cgroup that was removed this instant: the loop
		// has nothing to do then.
		err = d.killEach()
	}
	if err != nil && !gone(err) {
		return fmt.Errorf("kill cgroup: %w", err)
	}
	return nil
}

// killEach does what cgroup.kill does, process by process.
func (d *dir) killEach() error {
	// Frozen processes do not fork. Those that are not frozen yet may; what
	// they fork is found by the next round. It need not be waited for, and on a
	// kernel without freezer it has to work, too.
	if d.write("cgroup.freeze", "1") == nil {
		defer func() { _ = d.write("cgroup.freeze", "0") }()
	}
	// A round that finds no process but those that have their SIGKILL already is
	// the last one: fork(2) fails with a fatal signal pending.
	killed := map[int]bool{}
	for {
		fresh := false
		err := d.signal(unix.SIGKILL, func(pid int) {
			fresh = fresh || !killed[pid]
			killed[pid] = true
		})
		if err != nil || !fresh {
			return err
		}
	}
}

// Signal sends sig to every process in p and below; a frozen one acts on it
// when it is thawed. A process that is forked meanwhile may be missed: its
// parent is not. Pids are
// never taken on trust: the signal goes through a pidfd (Linux 5.3) whose
// process was seen in the cgroup after the pidfd was opened, so that no other
// process that got a reused pid is hit.
func (p Path) Signal(sig syscall.Signal) error {
	if sig < 1 || sig > 64 {
		return fmt.Errorf("signal cgroup %q: no signal %d", string(p), int(sig))
	}
	d, err := p.open()
	if err != nil {
		return fmt.Errorf("signal cgroup: %w", err)
	}
	defer d.close()
	if err := d.signal(sig, nil); err != nil {
		return fmt.Errorf("send %s to cgroup %q: %w", unix.SignalName(sig), string(p), asGone(err))
	}
	return nil
}

// signal sends sig to the processes of d and below, and calls sent for each.
// It goes on after an error and returns the first.
func (d *dir) signal(sig syscall.Signal, sent func(pid int)) error {
	var first error
	err := d.walk(func(c *dir) error {
		err := c.signalOwn(sig, sent)
		if gone(err) && c != d {
			err = nil
		}
		if first == nil {
			first = err
		}
		return nil
	}, nil)
	if first != nil {
		return first
	}
	return err
}

// pidfdBatch is how many pidfds are open at a time.
const pidfdBatch = 128

// signalOwn sends sig to the processes of d alone.
func (d *dir) signalOwn(sig syscall.Signal, sent func(pid int)) error {
	pids, err := d.ownProcs()
	if err != nil {
		return err
	}
	var first error
	for batch := range slices.Chunk(pids, pidfdBatch) {
		if err := d.signalBatch(batch, sig, sent); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (d *dir) signalBatch(pids []int, sig syscall.Signal, sent func(pid int)) error {
	fds := make(map[int]int, len(pids))
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		switch {
		case err == nil:
			fds[pid] = fd
		case errors.Is(err, unix.ESRCH): // it is gone
		case errors.Is(err, unix.EINVAL): // its pid is gone, and some thread's by now
		default:
			return fmt.Errorf("open pidfd of process %d: %w", pid, err)
		}
	}
	// Between the listing and pidfd_open a process may have died, and its pid
	// been given to another one. A pid that is listed now, with the pidfd open,
	// is the pidfd's: as long as its process lives the pid is not given away,
	// and when it does not, sending fails with ESRCH.
	now, err := d.ownProcs()
	if err != nil {
		return err
	}
	var first error
	for _, pid := range now {
		fd, ok := fds[pid]
		if !ok {
			continue
		}
		err := unix.PidfdSendSignal(fd, sig, nil, 0)
		switch {
		case err == nil:
			if sent != nil {
				sent(pid)
			}
		case !errors.Is(err, unix.ESRCH) && first == nil:
			first = fmt.Errorf("signal process %d (%q): %w", pid, comm(pid), err)
		}
	}
	return first
}
