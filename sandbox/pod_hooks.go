package sandbox

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// hookGrace is how long a pod's hooks may take, all of them, once the pod is stopped.
// The pod's grace period is not for them: they undo what was done outside of its
// containers. It is less than monitorGrace, and than lockPatience: who removes a pod
// waits for its lock, which is held meanwhile.
const hookGrace = 5 * time.Second

// boundHooks has the hooks end in that time which this process runs for the pod's
// containers until end is called, once ctx or stop says that nobody wants them any
// more. libcontainer ends none before its own timeout, if it has one. Hooks that run
// inside of a container end with its cgroup.
func (p *Pod) boundHooks(ctx context.Context, stop <-chan struct{}) (end func()) {
	since := bootTicks()
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-stop:
		case <-ctx.Done():
		case <-done:
			return
		}
		for wait := hookGrace; ; wait = 20 * time.Millisecond { // what a killed one leaves is this process's next
			select {
			case <-time.After(wait):
				p.killHooks(since)
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// killHooks kills this process's children that were started since then, in clock
// ticks since boot, and are not in the pod's cgroup: hooks, and, as it is a subreaper,
// what they have left.
func (p *Pod) killHooks(since uint64) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	self := strconv.Itoa(os.Getpid())
	found := map[int]uint64{}
	buf := make([]byte, 1024)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := readSmall("/proc/"+e.Name()+"/stat", buf)
		if err != nil {
			continue
		}
		// proc_pid_stat(5): the parent, field 4, is the second behind the name.
		fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		if len(fields) < 2 || string(fields[1]) != self {
			continue
		}
		if start, err := processStartIn(pid, buf); err == nil && start >= since {
			found[pid] = start
		}
	}
	if len(found) == 0 {
		return
	}
	// Behind the look at /proc: those below it are born in it.
	inside, err := p.cgroup().Procs()
	if ignoreNotExist(err) != nil {
		return
	}
	for pid, start := range found {
		if !slices.Contains(inside, pid) {
			_ = signalProcess(pid, start, unix.SIGKILL)
		}
	}
}

// tick is the unit of times in /proc: USER_HZ is 100 on all that Go runs on.
const tick = 10 * time.Millisecond

// bootTicks is the time since boot, as processStart has it.
func bootTicks() uint64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) // fails for an unknown clock alone; Linux 2.6.39
	return uint64(time.Duration(ts.Nano()) / tick)
}

// hasHooks reports whether a container has hooks that run outside of it.
func hasHooks(containers []BundleContainer) bool {
	return slices.ContainsFunc(containers, func(c BundleContainer) bool { return c.Config.Hooks != nil })
}
