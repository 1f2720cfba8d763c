package sandbox

import (
	"maps"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/cgroups"
)

// Fields of OCI resources that are zero are absent, but for idle, burst and the
// limit of pids, which are pointers for that.

// mergeResources returns old with what change gives. A limit of memory that goes
// takes that of memory and swap with it, as with update of containers; a file that
// unified gave before, and now another field, is the field's.
func mergeResources(old, change *specs.LinuxResources) *specs.LinuxResources {
	if files, err := cgroups.Files(change); err == nil && len(files) == 0 {
		return old
	}
	var merged specs.LinuxResources
	if old != nil {
		merged = *old
	}
	if c := change.Memory; c != nil {
		m := cloned(merged.Memory)
		override(&m.Limit, c.Limit)
		override(&m.Reservation, c.Reservation)
		if isGiven(c.Limit) && *c.Limit == -1 {
			m.Swap = nil
		}
		override(&m.Swap, c.Swap)
		merged.Memory = m
	}
	if c := change.CPU; c != nil {
		m := cloned(merged.CPU)
		if c.Idle != nil && *c.Idle == 1 {
			m.Shares = nil // an idle cgroup has no weight
		}
		override(&m.Shares, c.Shares)
		override(&m.Quota, c.Quota)
		override(&m.Period, c.Period)
		m.Burst, m.Idle = or(c.Burst, m.Burst), or(c.Idle, m.Idle)
		m.Cpus, m.Mems = orDefault(c.Cpus, m.Cpus), orDefault(c.Mems, m.Mems)
		merged.CPU = m
	}
	if c := change.Pids; c != nil && c.Limit != nil {
		merged.Pids = c
	}
	merged.HugepageLimits = slices.Clone(merged.HugepageLimits)
	for _, l := range change.HugepageLimits {
		merged.HugepageLimits = slices.DeleteFunc(merged.HugepageLimits, func(o specs.LinuxHugepageLimit) bool { return o.Pagesize == l.Pagesize })
		merged.HugepageLimits = append(merged.HugepageLimits, l)
	}
	fields := *change
	fields.Unified = nil
	merged.Unified = maps.Clone(merged.Unified)
	files, _ := cgroups.Files(&fields)
	for _, file := range files {
		delete(merged.Unified, file)
	}
	if merged.Unified == nil && len(change.Unified) > 0 {
		merged.Unified = make(map[string]string, len(change.Unified))
	}
	maps.Copy(merged.Unified, change.Unified)
	return &merged
}

// completeChange returns change with what goes by what it changes: the limits of
// memory, and of memory and swap, whose difference the kernel has; quota and
// period, which are one line.
func completeChange(change, merged *specs.LinuxResources) *specs.LinuxResources {
	set := *change
	if c := change.Memory; c != nil && (isGiven(c.Limit) || isGiven(c.Swap)) {
		m := *c
		m.Limit, m.Swap = merged.Memory.Limit, merged.Memory.Swap
		set.Memory = &m
	}
	if c := change.CPU; c != nil && (isGiven(c.Quota) || isGiven(c.Period)) {
		m := *c
		m.Quota, m.Period = merged.CPU.Quota, merged.CPU.Period
		set.CPU = &m
	}
	return &set
}

// cloned returns a copy of what p points to, or the zero value.
func cloned[T any](p *T) *T {
	if p == nil {
		return new(T)
	}
	return new(*p)
}

// isGiven reports whether a field that is absent when zero is there.
func isGiven[T comparable](p *T) bool {
	var zero T
	return p != nil && *p != zero
}

// override sets a field that is absent when zero, if it is given.
func override[T comparable](to **T, from *T) {
	if isGiven(from) {
		*to = from
	}
}

// or is p, or if that is nil q.
func or[T any](p, q *T) *T {
	if p != nil {
		return p
	}
	return q
}
