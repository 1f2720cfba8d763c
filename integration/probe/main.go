// Command probe looks at the world from inside a test's container, and acts in
// it: one static program of many verbs that every test root holds as /probe.
//
//	probe VERB ARGS…
//
// A verb that stays until it is killed prints a line once it is ready, so that
// nobody has to sleep to wait for it. A verb that fails exits with 1 and names
// the errno. The verb serve takes further verbs from a socket: one process that
// a test can ask many things, at no fork and exec each.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"
)

// verb is what probe can do: how many arguments it wants, and the doing.
type verb struct {
	args int // exact number; -1: any
	run  func(out io.Writer, args []string) error
}

// verbs is made by a call: a map in a variable would refer to serve, which
// refers to the map.
func verbs() map[string]verb {
	return map[string]verb{
		// ipc.go
		"sem-set":        {2, semSet},
		"sem-get":        {1, semGet},
		"sysv-shm-write": {2, sysvShmWrite},
		"sysv-shm-read":  {1, sysvShmRead},
		"shm-write":      {2, shmWrite},
		"shm-read":       {1, shmRead},
		"sysv-shm-hold":  {1, sysvShmHold},
		"mq-send":        {2, mqSend},
		"mq-recv":        {1, mqRecv},
		// net.go
		"listen": {2, listen},
		"dial":   {1, dial},
		"notify": {1, notify},
		"report": {1, report},
		// reach.go, inject.go
		"greet":   {2, greet},
		"reach":   {2, reach},
		"blast":   {1, blast},
		"pull":    {3, pull},
		"lookup":  {1, lookup},
		"resolve": {1, resolve},
		"inject":  {5, inject},
		// memory.go, process.go
		"eat-memory": {1, eatMemory},
		"fork":       {1, forkMany},
		"unfork":     {0, unfork},
		"orphan":     {0, orphan},
		"leaderless": {0, leaderless},
		"sleep":      {0, sleep},
		"spin":       {0, spin},
		"pids":       {0, pids},
		"ptrace":     {1, ptrace},
		// look.go
		"ns":       {0, ns},
		"ns-owner": {1, nsOwner},
		"caps":     {0, caps},
		"fds":      {0, fds},
		"hostname": {0, hostname},
		"clock":    {1, clock},
		// file.go
		"write":      {2, write},
		"read":       {1, read},
		"fill":       {2, fill},
		"open-write": {1, openWrite},
		// schedule.go
		"sched":     {0, sched},
		"ioprio":    {0, ioprio},
		"mempolicy": {0, mempolicy},
		"status":    {-1, status},
		"syscall":   {-1, syscallOnce},
		// signal.go
		"exit":        {1, exit},
		"kill":        {2, kill},
		"signal-self": {1, signalSelf},
		"trap":        {0, trap},
		"ignore-term": {0, ignoreTerm},

		"serve": {2, serve},
	}
}

func main() {
	// The runtime ends where it cannot make a thread, as in a full pids cgroup.
	// Without a collector, and with one thread at a time for the verbs, it wants
	// none.
	debug.SetGCPercent(-1)
	runtime.GOMAXPROCS(1)
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", describe(err))
		os.Exit(1)
	}
}

func run(out io.Writer, args []string) error {
	if len(args) == 0 {
		return errors.New("want a verb")
	}
	v, ok := verbs()[args[0]]
	if !ok {
		return fmt.Errorf("unknown verb %q", args[0])
	}
	if args = args[1:]; v.args >= 0 && len(args) != v.args {
		return fmt.Errorf("%d arguments; want %d", len(args), v.args)
	}
	return v.run(out, args)
}

// describe names the errno behind err, "EADDRINUSE", where there is one.
func describe(err error) string {
	var errno unix.Errno
	if errors.As(err, &errno) {
		if name := unix.ErrnoName(errno); name != "" {
			return name
		}
	}
	return err.Error()
}

// number reads an argument that is a number, 0x… too.
func number(s string) (int, error) {
	n, err := strconv.ParseInt(s, 0, 64)
	return int(n), err
}

// forever never returns. It waits for a pipe: a system call that blocks would
// take a thread, and a wait for nothing is a deadlock to the runtime.
func forever() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	_, err = r.Read(make([]byte, 1))
	runtime.KeepAlive(w)
	return err
}
