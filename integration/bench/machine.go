package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// machine is where the numbers are from.
type machine struct {
	CPU         string    `json:"cpu"`
	Cores       int       `json:"cores"`
	Parallel    []float64 `json:"parallel"` // what they do at once, see parallel; before each case and at the end
	Virtual     bool      `json:"virtual"`  // a hypervisor shows itself
	MemoryMiB   int       `json:"memoryMiB"`
	Kernel      string    `json:"kernel"`
	HZ          int       `json:"hz"`
	Rung        string    `json:"rung"`
	Controllers string    `json:"controllers"` // of cgroup v2
	Go          string    `json:"go"`
	Commit      string    `json:"commit"` // of this tree, "+" when changed since
	Pause       string    `json:"pause"`  // before each measurement
	Tools       []*tool   `json:"tools"`
	Missing     string    `json:"missing,omitempty"`
	LoadStart   string    `json:"loadStart"` // averages over 1, 5 and 15 minutes
	LoadEnd     string    `json:"loadEnd"`
}

func describe(l *lab) *machine {
	m := &machine{
		CPU: "unknown CPU", Cores: runtime.NumCPU(), Kernel: "unknown kernel", HZ: hz(),
		Rung: string(rung.Current()), Go: runtime.Version(), Commit: commit(l.root), Pause: l.pause.String(),
		Tools: l.tools, Missing: strings.Join(l.missing, "; "), LoadStart: loadAverage(),
	}
	if m.Rung == "" {
		m.Rung = "none"
	}
	for line := range strings.Lines(readString("/proc/cpuinfo")) {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "model name":
			m.CPU = strings.TrimSpace(value)
		case "flags":
			m.Virtual = strings.Contains(value+" ", " hypervisor ")
		}
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel, _, _ = strings.Cut(string(u.Release[:]), "\x00")
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.MemoryMiB = int(info.Totalram * uint64(info.Unit) >> 20)
	}
	m.Controllers = readString(cgroupRoot + "/cgroup.controllers")
	if m.Controllers == "" {
		m.Controllers = "none"
	}
	return m
}

// String is the head of the results.
func (m *machine) String() string {
	var b strings.Builder
	virtual := ""
	if m.Virtual {
		virtual = ", virtual"
	}
	if len(m.Parallel) > 0 {
		virtual += fmt.Sprintf(", at once %.1f to %.1f times one", slices.Min(m.Parallel), slices.Max(m.Parallel))
	}
	fmt.Fprintf(&b, "%s, %d cores%s, %d MiB; Linux %s, HZ %d\n", m.CPU, m.Cores, virtual, m.MemoryMiB, m.Kernel, m.HZ)
	fmt.Fprintf(&b, "rung: %s; cgroup v2 controllers: %s; load %s; pause %s\n", m.Rung, m.Controllers, m.LoadStart, m.Pause)
	fmt.Fprintf(&b, "%s; commit %s", m.Go, m.Commit)
	for _, t := range m.Tools {
		fmt.Fprintf(&b, "; %s %s", t.Name, t.Version)
		if t.Note != "" {
			fmt.Fprintf(&b, " (%s)", t.Note)
		}
	}
	if m.Missing != "" {
		fmt.Fprintf(&b, "\nmissing: %s", m.Missing)
	}
	return b.String() + "\n"
}

// hz is the kernel's tick: the resolution of the coarse clocks
// (clock_getres(2)).
func hz() int {
	var ts unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &ts); err != nil || ts.Nsec == 0 {
		return 0
	}
	return int(int64(time.Second) / ts.Nsec)
}

func loadAverage() string {
	fields := strings.Fields(readString("/proc/loadavg"))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

// commit describes the tree; empty where git does not know.
func commit(root string) string {
	out, err := exec.Command("git", "-C", root, "describe", "--always", "--dirty=+", "--abbrev=12", "--match=").Output()
	if err != nil {
		return "unknown"
	}
	return string(bytes.TrimSpace(out))
}

func readString(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// meminfo reads /proc/meminfo, in kB.
func meminfo() (map[string]int, error) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return nil, err
	}
	m := map[string]int{}
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		if m[key], err = strconv.Atoi(fields[0]); err != nil {
			return nil, fmt.Errorf("/proc/meminfo: %q: %w", line, err)
		}
	}
	return m, nil
}
