package cgroups

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Kill sends SIGKILL to every process in p and below, also to frozen ones and
// to those that are being forked (cgroup.kill, Linux 5.14; one by one on an
// older kernel). It does not wait for their end: WaitKilled does. A cgroup that
// does not exist is no error.
//
// A process whose first thread has ended (pthread_exit(3)) while others run on
// is not reached: cgroup.kill sends the signal to that one thread, where it is
// lost (__cgroup_kill, send_sig; so up to Linux 6.18 at least). To know of one
// takes a look at all that are in p. KillEach does that, and WaitKilled when
// there is reason to.
func (p Path) Kill() error {
	return p.kill(func(d *dir) error {
		err := d.write("cgroup.kill", "1")
		if gone(err) || errors.Is(err, unix.EOPNOTSUPP) {
			// An older kernel, or a cgroup that was removed this instant: the loop
			// has nothing to do then. Or one that is threaded.
			err = d.killEach()
		}
		return err
	})
}

// KillEach does what Kill does, process by process, and passes over none. It
// takes several system calls for each thread.
func (p Path) KillEach() error { return p.kill((*dir).killEach) }

func (p Path) kill(how func(*dir) error) error {
	d, err := p.open()
	if gone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("kill cgroup: %w", err)
	}
	defer d.close()
	if err := how(d); err != nil && !gone(err) {
		return fmt.Errorf("kill cgroup: %w", err)
	}
	return nil
}

// killPause is how long WaitKilled leaves those alone that Kill has killed. Only
// processes that use a lot of memory take that long to end.
const killPause = 10 * time.Millisecond

// WaitKilled waits as WaitEmpty does, for the end of what Kill has killed, and
// kills what that has not reached.
func (p Path) WaitKilled(ctx context.Context) error {
	pause := killPause
	next := time.Now().Add(pause)
	return p.waitEmpty(ctx, func(d *dir) error {
		if time.Now().Before(next) {
			return nil
		}
		err := d.killEach()
		pause = min(2*pause, lastLook)
		next = time.Now().Add(pause)
		return err
	})
}

// killEach does what cgroup.kill does, process by process.
func (d *dir) killEach() error {
	if fd, err := unix.PidfdOpen(os.Getpid(), threads.open); err == nil {
		_ = unix.Close(fd)
		return d.killBy(threads)
	}
	return d.killBy(processes)
}

func (d *dir) killBy(by tasks) error {
	// Frozen processes do not fork. Those that are not frozen yet may; what
	// they fork is found by the next round. It need not be waited for, and on a
	// kernel without freezer it has to work, too.
	if b, err := d.read("cgroup.freeze"); err == nil && string(b) != "1\n" && d.write("cgroup.freeze", "1") == nil {
		defer func() { _ = d.write("cgroup.freeze", "0") }()
	}
	// A round that finds nothing but what has its SIGKILL already is the last
	// one: fork(2) fails with a fatal signal pending.
	killed := map[int]bool{}
	for {
		fresh := false
		err := d.signal(by, unix.SIGKILL, func(pid int) {
			fresh = fresh || !killed[pid]
			killed[pid] = true
		})
		if err != nil || !fresh {
			return err
		}
	}
}

// tasks is a way to find, and to signal, the processes of a cgroup.
type tasks struct {
	file string // of the cgroup: it lists their ids
	open int    // flags of pidfd_open(2) for these
	send int    // and of pidfd_send_signal(2)
}

var (
	// The kernel lists a process where its first thread is, or was when it ended:
	// the other ones may have been moved elsewhere since.
	processes = tasks{file: "cgroup.procs"}
	// Living threads, each for the whole of its process, which gets the signal
	// once for each of them. PIDFD_THREAD, which is O_EXCL, is of Linux 6.9.
	threads = tasks{file: "cgroup.threads", open: unix.O_EXCL, send: unix.PIDFD_SIGNAL_THREAD_GROUP}
)

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
	if err := d.signal(processes, sig, nil); err != nil {
		return fmt.Errorf("send %s to cgroup %q: %w", unix.SignalName(sig), string(p), asGone(err))
	}
	return nil
}

// signal sends sig to the processes of d and below, and calls sent for each id
// that these were found by. It goes on after an error and returns the first.
func (d *dir) signal(by tasks, sig syscall.Signal, sent func(pid int)) error {
	var first error
	err := d.walk(func(c *dir) error {
		err := c.signalOwn(by, sig, sent)
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
func (d *dir) signalOwn(by tasks, sig syscall.Signal, sent func(pid int)) error {
	pids, err := d.list(by.file)
	if err != nil {
		return err
	}
	var first error
	for batch := range slices.Chunk(pids, pidfdBatch) {
		if err := d.signalBatch(by, batch, sig, sent); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (d *dir) signalBatch(by tasks, pids []int, sig syscall.Signal, sent func(pid int)) error {
	fds := make(map[int]int, len(pids))
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, by.open)
		switch {
		case err == nil:
			fds[pid] = fd
		case errors.Is(err, unix.ESRCH): // it is gone
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT): // its pid is gone, and perhaps some thread's by now
		default:
			return fmt.Errorf("open pidfd of process %d: %w", pid, err)
		}
	}
	// Between the listing and pidfd_open a process may have died, and its pid
	// been given to another one. A pid that is listed now, with the pidfd open,
	// is the pidfd's: as long as its process lives the pid is not given away,
	// and when it does not, sending fails with ESRCH. So it is with threads.
	now, err := d.list(by.file)
	if err != nil {
		return err
	}
	var first error
	for _, pid := range now {
		fd, ok := fds[pid]
		if !ok {
			continue
		}
		err := unix.PidfdSendSignal(fd, sig, nil, by.send)
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
