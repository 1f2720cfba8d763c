package rung

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// process is a line of /proc/PID/stat: see proc_pid_stat(5).
type process struct {
	pid, ppid int
	comm      string
	state     byte
	start     uint64 // clock ticks since boot
}

func parseStat(stat string) (p process, err error) {
	// The name may hold spaces and parentheses; nothing after it does.
	open, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	bad := fmt.Errorf("stat line %q: not as in proc_pid_stat(5)", stat)
	if open < 0 || end < open {
		return p, bad
	}
	// Field 3, the state, comes first.
	f := strings.Fields(stat[end+1:])
	if len(f) < 20 || len(f[0]) != 1 {
		return p, bad
	}
	var errs [3]error
	p.comm, p.state = stat[open+1:end], f[0][0]
	p.pid, errs[0] = strconv.Atoi(strings.TrimSpace(stat[:open]))
	p.ppid, errs[1] = strconv.Atoi(f[1])
	p.start, errs[2] = strconv.ParseUint(f[19], 10, 64)
	if errors.Join(errs[:]...) != nil {
		return p, bad
	}
	return p, nil
}

// processes returns all processes of /proc but kernel threads. None of these
// is seen from inside a PID namespace.
func processes() ([]process, error) {
	pids, err := numbers("/proc")
	if err != nil {
		return nil, err
	}
	kthreadd, err := readProcess(2)
	kernelThreads := err == nil && kthreadd.comm == "kthreadd" && kthreadd.ppid == 0
	var ps []process
	for _, pid := range pids {
		// A quick look first, for there are a hundred: a kernel thread is in
		// no process group. Neither is what PID 1 starts without setsid(2) in
		// the first PID namespace, but that is no test.
		if kernelThreads && pid > 1 {
			if group, err := unix.Getpgid(pid); err == nil && group == 0 {
				continue
			}
		}
		p, err := readProcess(pid)
		if vanished(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		ps = append(ps, p)
	}
	return ps, nil
}

func readProcess(pid int) (process, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, err
	}
	return parseStat(string(b))
}

// vanished reports whether err says that a process is gone.
func vanished(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH)
}

// numbers returns the names in dir that are numbers, sorted.
func numbers(dir string) ([]int, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var ns []int
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			ns = append(ns, n)
		}
	}
	slices.Sort(ns)
	return ns, nil
}

func listProcesses(v *view) (objects, error) {
	ps, err := v.processes()
	if err != nil {
		return nil, err
	}
	o := objects{}
	for _, p := range ps {
		cmdline, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.pid), "cmdline"))
		if err != nil && !vanished(err) {
			return nil, err
		}
		args := strings.TrimSpace(strings.ReplaceAll(string(cmdline), "\x00", " "))
		if len(args) > 200 {
			args = args[:200] + "…"
		}
		o[fmt.Sprintf("%d %d", p.pid, p.start)] = fmt.Sprintf("pid %d (%s) state %c, child of %d: %s", p.pid, p.comm, p.state, p.ppid, args)
	}
	return o, nil
}
