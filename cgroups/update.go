package cgroups

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Setting is what a file of a cgroup holds.
type Setting struct {
	File  string `json:"file"`
	Value string `json:"value"`
}

// Files lists the files that [Path.Apply] writes for r, in its order; some of
// them need not exist.
//
// Limits per device, which are lines of a file that holds those of all devices,
// are an error: by what such a file held before it cannot be put back. So is
// memory.max in unified, whose value has many forms, and which memory.limit is.
func Files(r *specs.LinuxResources) ([]string, error) {
	var files []string
	add := func(set bool, names ...string) {
		for _, name := range names {
			if set && !slices.Contains(files, name) {
				files = append(files, name)
			}
		}
	}
	add(r.Pids != nil && r.Pids.Limit != nil, "pids.max")
	if m := r.Memory; m != nil {
		limit := value(m.Limit)
		add(value(m.Swap) != 0 || limit == -1, "memory.swap.max")
		add(limit != 0, "memory.max")
		add(value(m.Reservation) != 0, "memory.low")
	}
	if c := r.CPU; c != nil {
		add(c.Idle != nil, "cpu.idle")
		add(c.Idle != nil || value(c.Shares) != 0, "cpu.weight") // who leaves idleness has the default
		add(c.Burst != nil, "cpu.max.burst")
		add(value(c.Quota) != 0 || value(c.Period) != 0, "cpu.max")
		add(c.Cpus != "", "cpuset.cpus")
		add(c.Mems != "", "cpuset.mems")
	}
	for _, l := range r.HugepageLimits {
		add(true, "hugetlb."+l.Pagesize+".max", "hugetlb."+l.Pagesize+".rsvd.max")
	}
	var v problems
	const fixed = "cannot be changed while the cgroup is there"
	if r.BlockIO != nil {
		v.add("blockIO", fixed)
	}
	if len(r.Rdma) > 0 {
		v.add("rdma", fixed)
	}
	for _, name := range sortedKeys(r.Unified) {
		controller, _, _ := strings.Cut(name, ".")
		switch {
		case name == "memory.max":
			v.add(fmt.Sprintf("unified[%q]", name), "is resources.memory.limit")
		case slices.Contains([]string{"io", "rdma", "misc", "dmem"}, controller):
			v.add(fmt.Sprintf("unified[%q]", name), fixed)
		}
		add(true, name)
	}
	return files, errors.Join(v...)
}

// Settings returns what those of the files hold that exist.
func (p Path) Settings(files []string) ([]Setting, error) {
	d, err := p.open()
	if err != nil {
		return nil, fmt.Errorf("read limits: %w", err)
	}
	defer d.close()
	settings := make([]Setting, 0, len(files))
	for _, file := range files {
		line, err := d.readLine(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // Apply tells, if it matters
		}
		if err != nil {
			return nil, fmt.Errorf("read limits: %w", asGone(err))
		}
		settings = append(settings, Setting{file, line})
	}
	return settings, nil
}

// Restore has the files hold again what [Path.Settings] returned, the last
// first. It tries all.
func (p Path) Restore(settings []Setting) error {
	d, err := p.open()
	if err != nil {
		return fmt.Errorf("put limits back: %w", err)
	}
	defer d.close()
	left := slices.Clone(settings)
	slices.Reverse(left)
	for {
		// Some are refused while others are not back: a quota below the burst, a
		// weight while the cgroup is idle.
		errs, refused := []error(nil), []Setting(nil)
		for _, s := range left {
			if err := d.restore(s); err != nil {
				errs, refused = append(errs, err), append(refused, s)
			}
		}
		if len(refused) == 0 {
			return nil
		}
		if len(refused) == len(left) {
			return fmt.Errorf("put limits of cgroup %q back: %w", string(p), errors.Join(errs...))
		}
		left = refused
	}
}

// restore writes a setting unless it is there already.
func (d *dir) restore(s Setting) error {
	line, err := d.readLine(s.File)
	if err != nil || line == s.Value {
		return asGone(err)
	}
	value := s.Value
	if value == "" {
		value = "\n" // a write of nothing is none
	}
	return d.write(s.File, value)
}

// CheckUsage tells whether the memory that p uses, in bytes, is within a limit
// that it is to have: the kernel takes one below that, and kills.
func (p Path) CheckUsage(limit uint64) error {
	d, err := p.open()
	if err != nil {
		return fmt.Errorf("read memory usage: %w", err)
	}
	defer d.close()
	line, err := d.readLine("memory.current")
	if err != nil {
		return fmt.Errorf("read memory usage: %w", asGone(err))
	}
	usage, err := strconv.ParseUint(line, 10, 64)
	if err != nil {
		return fmt.Errorf("parse memory.current %q: %w", line, err)
	}
	if usage > limit {
		return fmt.Errorf("resources.memory.limit: %d is less than what is in use, %d bytes", limit, usage)
	}
	return nil
}
