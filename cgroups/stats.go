package cgroups

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Stats is what a cgroup and those below it use and have used. A controller
// that the cgroup does not have is a nil pointer. Sizes are bytes; times, as
// their names say, are microseconds; a nil limit is no limit.
type Stats struct {
	CPU      CPUStats      `json:"cpu"`
	Memory   *MemoryStats  `json:"memory,omitempty"`
	Pids     *PidsStats    `json:"pids,omitempty"`
	IO       *IOStats      `json:"io,omitempty"`
	Pressure PressureStats `json:"pressure"`
}

// CPUStats is cpu.stat. Times of use are counted without the cpu controller,
// too; what is about cpu.max is zero then.
type CPUStats struct {
	UsageUsec     uint64 `json:"usageUsec"` // user and system time
	UserUsec      uint64 `json:"userUsec"`
	SystemUsec    uint64 `json:"systemUsec"`
	Periods       uint64 `json:"periods"`       // of cpu.max that have passed with something to run
	Throttled     uint64 `json:"throttled"`     // periods in which the quota did not last
	ThrottledUsec uint64 `json:"throttledUsec"` // time spent waiting for the next period, over all CPUs
	Bursts        uint64 `json:"bursts"`        // periods that used saved-up quota; Linux 5.14
	BurstUsec     uint64 `json:"burstUsec"`
}

// MemoryStats is the memory controller's.
type MemoryStats struct {
	Usage uint64  `json:"usage"`          // memory.current, page cache included
	Peak  *uint64 `json:"peak,omitempty"` // highest usage since the cgroup was made; Linux 5.19
	Limit *uint64 `json:"limit"`          // memory.max
	// WorkingSet is the usage without the page cache that was not touched of
	// late: what cannot simply be taken away.
	WorkingSet uint64 `json:"workingSet"`

	SwapUsage *uint64 `json:"swapUsage,omitempty"` // memory.swap.current; nil on a kernel without swap
	SwapLimit *uint64 `json:"swapLimit,omitempty"` // memory.swap.max

	// From memory.stat.
	Anon         uint64 `json:"anon"`
	File         uint64 `json:"file"` // page cache, with tmpfs and shared memory
	Shmem        uint64 `json:"shmem"`
	Kernel       uint64 `json:"kernel"` // Linux 5.18
	Slab         uint64 `json:"slab"`
	Sock         uint64 `json:"sock"`
	ActiveAnon   uint64 `json:"activeAnon"`
	InactiveAnon uint64 `json:"inactiveAnon"`
	ActiveFile   uint64 `json:"activeFile"`
	InactiveFile uint64 `json:"inactiveFile"`
	Unevictable  uint64 `json:"unevictable"`
	PageFaults   uint64 `json:"pageFaults"`
	MajorFaults  uint64 `json:"majorFaults"`

	Events      MemoryEvents  `json:"events"`
	EventsLocal *MemoryEvents `json:"eventsLocal,omitempty"` // Linux 5.2
}

// PidsStats counts tasks, that is, threads.
type PidsStats struct {
	Current uint64  `json:"current"`
	Peak    *uint64 `json:"peak,omitempty"` // Linux 6.1
	Limit   *uint64 `json:"limit"`
}

// IOStats is io.stat.
type IOStats struct {
	Devices []IODevice `json:"devices"` // those that were used, by number
}

// IODevice is what went to and from one block device.
type IODevice struct {
	Major         uint32 `json:"major"`
	Minor         uint32 `json:"minor"`
	ReadBytes     uint64 `json:"readBytes"`
	WriteBytes    uint64 `json:"writeBytes"`
	Reads         uint64 `json:"reads"`
	Writes        uint64 `json:"writes"`
	DiscardBytes  uint64 `json:"discardBytes"`
	DiscardWrites uint64 `json:"discards"`
}

// Stats reads the cgroup's statistics, each file once.
func (p Path) Stats() (*Stats, error) {
	d, err := p.open()
	if err != nil {
		return nil, fmt.Errorf("read cgroup stats: %w", err)
	}
	defer d.close()
	s, err := d.stats()
	if err != nil {
		return nil, fmt.Errorf("read cgroup stats: %w", asGone(err))
	}
	return s, nil
}

func (d *dir) stats() (*Stats, error) {
	var s Stats
	var err error
	// cpu.stat is in every cgroup (Linux 4.15): where it is missing, so is the
	// cgroup.
	if err := d.parse("cpu.stat", s.CPU.parse); err != nil {
		return nil, err
	}
	if s.Memory, err = optional(d.memoryStats()); err != nil {
		return nil, err
	}
	if s.Pids, err = optional(d.pidsStats()); err != nil {
		return nil, err
	}
	if s.IO, err = optional(d.ioStats()); err != nil {
		return nil, err
	}
	if s.Pressure, err = d.allPressure(); err != nil {
		return nil, err
	}
	return &s, nil
}

// optional makes a controller that is not there a nil without an error.
func optional[T any](v *T, err error) (*T, error) {
	if gone(err) {
		return nil, nil
	}
	return v, err
}

// parse reads a file and hands its content to f.
func (d *dir) parse(name string, f func([]byte) error) error {
	b, err := d.read(name)
	if err != nil {
		return err
	}
	if err := f(b); err != nil {
		return fmt.Errorf("parse %s/%s: %w", d.path, name, err)
	}
	return nil
}

// number reads a single value file; nil is "max".
func (d *dir) number(name string) (v *uint64, err error) {
	err = d.parse(name, func(b []byte) (err error) {
		v, err = parseMax(b)
		return err
	})
	return v, err
}

func (c *CPUStats) parse(b []byte) error {
	return eachPair(b, func(key string, v uint64) {
		switch key {
		case "usage_usec":
			c.UsageUsec = v
		case "user_usec":
			c.UserUsec = v
		case "system_usec":
			c.SystemUsec = v
		case "nr_periods":
			c.Periods = v
		case "nr_throttled":
			c.Throttled = v
		case "throttled_usec":
			c.ThrottledUsec = v
		case "nr_bursts":
			c.Bursts = v
		case "burst_usec":
			c.BurstUsec = v
		}
	})
}

func (d *dir) memoryStats() (*MemoryStats, error) {
	var m MemoryStats
	usage, err := d.number("memory.current")
	if err != nil {
		return nil, err
	}
	m.Usage = value(usage)
	if m.Limit, err = d.number("memory.max"); err != nil {
		return nil, err
	}
	if m.Peak, err = optional(d.number("memory.peak")); err != nil {
		return nil, err
	}
	if m.SwapUsage, err = optional(d.number("memory.swap.current")); err != nil {
		return nil, err
	}
	if m.SwapLimit, err = optional(d.number("memory.swap.max")); err != nil {
		return nil, err
	}
	if err := d.parse("memory.stat", m.parse); err != nil {
		return nil, err
	}
	m.WorkingSet = m.Usage - min(m.Usage, m.InactiveFile)
	if err := d.parse("memory.events", m.Events.parse); err != nil {
		return nil, err
	}
	var local MemoryEvents
	err = d.parse("memory.events.local", local.parse)
	m.EventsLocal, err = optional(&local, err)
	return &m, err
}

func (m *MemoryStats) parse(b []byte) error {
	return eachPair(b, func(key string, v uint64) {
		switch key {
		case "anon":
			m.Anon = v
		case "file":
			m.File = v
		case "shmem":
			m.Shmem = v
		case "kernel":
			m.Kernel = v
		case "slab":
			m.Slab = v
		case "sock":
			m.Sock = v
		case "active_anon":
			m.ActiveAnon = v
		case "inactive_anon":
			m.InactiveAnon = v
		case "active_file":
			m.ActiveFile = v
		case "inactive_file":
			m.InactiveFile = v
		case "unevictable":
			m.Unevictable = v
		case "pgfault":
			m.PageFaults = v
		case "pgmajfault":
			m.MajorFaults = v
		}
	})
}

func (d *dir) pidsStats() (*PidsStats, error) {
	var s PidsStats
	current, err := d.number("pids.current")
	if err != nil {
		return nil, err
	}
	s.Current = value(current)
	if s.Limit, err = d.number("pids.max"); err != nil {
		return nil, err
	}
	s.Peak, err = optional(d.number("pids.peak"))
	return &s, err
}

func (d *dir) ioStats() (*IOStats, error) {
	var s IOStats
	err := d.parse("io.stat", func(b []byte) (err error) {
		s.Devices, err = parseIOStat(b)
		return err
	})
	return &s, err
}

// parseIOStat parses an io.stat, a nested keyed file:
//
//	8:0 rbytes=90430464 wbytes=299008000 rios=8950 wios=1252 dbytes=50331648 dios=3021
//
// A device that the cgroup has not used has its number and nothing else; it is
// left out. Some kernels begin a line with several numbers.
func parseIOStat(b []byte) ([]IODevice, error) {
	devices := []IODevice{}
	for line := range bytes.Lines(b) {
		var d IODevice
		used := false
		for _, field := range strings.Fields(string(line)) {
			key, val, ok := strings.Cut(field, "=")
			if !ok {
				major, minor, ok := strings.Cut(field, ":")
				ma, err1 := strconv.ParseUint(major, 10, 32)
				mi, err2 := strconv.ParseUint(minor, 10, 32)
				if !ok || err1 != nil || err2 != nil {
					// "(unknown)", for a device that is gone
					continue
				}
				d.Major, d.Minor = uint32(ma), uint32(mi)
				continue
			}
			var to *uint64
			switch key {
			case "rbytes":
				to = &d.ReadBytes
			case "wbytes":
				to = &d.WriteBytes
			case "rios":
				to = &d.Reads
			case "wios":
				to = &d.Writes
			case "dbytes":
				to = &d.DiscardBytes
			case "dios":
				to = &d.DiscardWrites
			default: // cost.*, use_delay …
				continue
			}
			v, err := parseUint([]byte(val))
			if err != nil {
				return nil, fmt.Errorf("line %q: %w", line, err)
			}
			*to, used = v, true
		}
		if used {
			devices = append(devices, d)
		}
	}
	slices.SortFunc(devices, func(a, b IODevice) int {
		if a.Major != b.Major {
			return int(int64(a.Major) - int64(b.Major))
		}
		return int(int64(a.Minor) - int64(b.Minor))
	})
	return devices, nil
}
