package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// density is how many pods stand at once when memory is measured.
const density = 100

// The facts that targets are about.
const (
	factProcesses    = "idle pod: processes"
	factUserMemory   = "idle pod: memory of processes"
	factKernelMemory = "idle pod: kernel memory"
	factInitPrivate  = "pod init: private memory"
)

// memory measures what pods take that do nothing.
func (l *lab) memory(rounds int) ([]fact, error) {
	t := l.tool("podrt")
	idle, err := l.idlePods(t, min(rounds, 3))
	if err != nil {
		return nil, err
	}
	private, tables, err := l.podInit(t)
	if err != nil {
		return nil, err
	}
	return append(idle,
		fact{factInitPrivate, private, "kB", "smaps_rollup: Private_Clean and Private_Dirty"},
		fact{"pod init: page tables", tables, "kB", "status: VmPTE"},
	), nil
}

// idlePods makes many pods and divides the difference. The kernel's counters
// are the whole machine's: take the numbers on one that does nothing else.
func (l *lab) idlePods(t *tool, rounds int) (_ []fact, retErr error) {
	var up, down, kernel, reclaimable, state []float64
	processes, userMemory := 0, 0
	for range rounds {
		before, err := settledMemory()
		if err != nil {
			return nil, err
		}
		var names []string
		remove := func() error {
			var errs []error
			for _, name := range names {
				u, err := l.inTurn(t.do("pod", "rm", "-f", name))
				down = append(down, ms(u.wall))
				errs = append(errs, err)
			}
			names = nil
			return errors.Join(errs...)
		}
		for i := range density {
			name := "idle" + strconv.Itoa(i)
			names = append(names, name)
			u, err := l.inTurn(t.do("pod", "create", name))
			if err != nil {
				return nil, errors.Join(err, remove())
			}
			up = append(up, ms(u.wall))
		}
		after, err := settledMemory()
		if err != nil {
			return nil, errors.Join(err, remove())
		}
		each := func(keys ...string) (sum float64) {
			for _, k := range keys {
				sum += float64(after[k]-before[k]) / density
			}
			return sum
		}
		kernel = append(kernel, each("SUnreclaim", "KernelStack", "PageTables", "Percpu"))
		reclaimable = append(reclaimable, each("SReclaimable"))
		state = append(state, each("Shmem"))
		n, rss, err := podProcesses(filepath.Join(cgroupRoot, "podrt"))
		if err := errors.Join(err, remove()); err != nil {
			return nil, err
		}
		processes, userMemory = max(processes, n), max(userMemory, rss)
	}
	per := fmt.Sprintf("of %d pods, median of %d rounds", density, rounds)
	return []fact{
		{factProcesses, float64(processes), "", per},
		{factUserMemory, float64(userMemory), "kB", "resident"},
		{factKernelMemory, spreadOf(kernel).Median, "kB", "SUnreclaim, KernelStack, PageTables, Percpu; " + per},
		{"idle pod: reclaimable kernel memory", spreadOf(reclaimable).Median, "kB", "dentries and inodes"},
		{"idle pod: state on the tmpfs", spreadOf(state).Median, "kB", "Shmem"},
		{"pod create at density: median", spreadOf(up).Median, "ms", fmt.Sprintf("with up to %d others", density)},
		{"pod rm at density: median", spreadOf(down).Median, "ms", ""},
	}, nil
}

// settledMemory reads the counters when the kernel has freed the namespaces of
// earlier pods, which it does in the background, up to seconds later: when what
// they are made of has stopped to shrink.
func settledMemory() (map[string]int, error) {
	last, err := meminfo()
	if err != nil {
		return nil, err
	}
	for range 20 {
		time.Sleep(500 * time.Millisecond)
		now, err := meminfo()
		if err != nil {
			return nil, err
		}
		if now["SUnreclaim"]+now["Percpu"] >= last["SUnreclaim"]+last["Percpu"]-64 {
			return now, nil
		}
		last = now
	}
	return last, nil
}

// podProcesses counts the processes below a cgroup, and their resident memory
// in kB.
func podProcesses(dir string) (n, rss int, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "cgroup.procs" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, pid := range strings.Fields(string(b)) {
			kb, err := statusKB("/proc/"+pid+"/status", "VmRSS")
			if err != nil {
				return err
			}
			n++
			rss += kb
		}
		return nil
	})
	return n, rss, err
}

// podInit measures the init of a pod that shares its PID namespace, in kB.
func (l *lab) podInit(t *tool) (private, tables float64, retErr error) {
	if _, err := l.inTurn(t.do("pod", "create", "--share", "net,ipc,uts,pid", "init")); err != nil {
		return 0, 0, err
	}
	defer func() {
		_, err := l.inTurn(t.do("pod", "rm", "-f", "init"))
		retErr = errors.Join(retErr, err)
	}()
	if _, err := l.inTurn(t.do("pod", "inspect", "init")); err != nil {
		return 0, 0, err
	}
	var info []struct{ Init struct{ PID int } }
	if err := json.Unmarshal([]byte(l.output()), &info); err != nil {
		return 0, 0, fmt.Errorf("pod inspect: %w", err)
	}
	if len(info) != 1 || info[0].Init.PID == 0 {
		return 0, 0, fmt.Errorf("pod inspect names no init: %s", l.output())
	}
	proc := "/proc/" + strconv.Itoa(info[0].Init.PID)
	for _, key := range []string{"Private_Clean", "Private_Dirty"} {
		kb, err := statusKB(proc+"/smaps_rollup", key)
		if err != nil {
			return 0, 0, err
		}
		private += float64(kb)
	}
	kb, err := statusKB(proc+"/status", "VmPTE")
	return private, float64(kb), err
}

// statusKB reads a line such as "VmRSS:   12 kB"; a process without memory,
// which is ending, has none.
func statusKB(path, key string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if value, ok := strings.CutPrefix(s.Text(), key+":"); ok {
			return strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		}
	}
	return 0, s.Err()
}
