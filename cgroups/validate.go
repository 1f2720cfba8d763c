package cgroups

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	oci "github.com/opencontainers/cgroups"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// Ranges of the kernel, and of the OCI runtime specification.
const (
	minPeriod = 1_000     // µs, of cpu.max
	maxPeriod = 1_000_000 // µs
	minQuota  = 1_000     // µs
	minWeight = 10        // of blockIO
	maxWeight = 1_000
)

// Validate checks the values of r, on their own: the same on every host. All
// that is wrong is reported, by the name of the field in the OCI configuration
// and the value. What cgroup v2 has no notion of (kernel memory, swappiness,
// real-time scheduling, network classes) is refused, not ignored. Device rules
// are not looked at.
func Validate(r *specs.LinuxResources) error {
	if r == nil {
		return nil
	}
	var v problems
	v.memory(r.Memory)
	v.cpu(r.CPU)
	if r.Pids != nil && r.Pids.Limit != nil && *r.Pids.Limit < -1 {
		v.add("pids.limit", "%d is negative (-1 is unlimited)", *r.Pids.Limit)
	}
	v.blockIO(r.BlockIO)
	v.hugepages(r.HugepageLimits)
	v.rdma(r.Rdma)
	v.unified(r.Unified)
	if n := r.Network; n != nil {
		if n.ClassID != nil && *n.ClassID != 0 {
			v.add("network.classID", "cgroup v2 has no network classes")
		}
		if len(n.Priorities) > 0 {
			v.add("network.priorities", "cgroup v2 has no network priorities")
		}
	}
	return errors.Join(v...)
}

// problems collects what is wrong with resources.
type problems []error

func (v *problems) add(field, format string, args ...any) {
	*v = append(*v, fmt.Errorf("resources."+field+": "+format, args...))
}

func (v *problems) memory(m *specs.LinuxMemory) {
	if m == nil {
		return
	}
	before := len(*v)
	limit, swap := value(m.Limit), value(m.Swap)
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"memory.limit", limit},
		{"memory.reservation", value(m.Reservation)},
		{"memory.swap", swap},
	} {
		if f.value < -1 {
			v.add(f.name, "%d is negative (-1 is unlimited)", f.value)
		}
	}
	if len(*v) == before {
		// As runc does: swap is memory and swap together in the configuration,
		// and swap alone in the kernel.
		if _, err := oci.ConvertMemorySwapToCgroupV2Value(swap, limit); err != nil {
			v.add("memory.swap", "%d with memory.limit %d: %w", swap, limit, err)
		}
	}
	//nolint:staticcheck // Deprecated fields are checked because they are.
	if value(m.Kernel) > 0 {
		v.add("memory.kernel", "cgroup v2 has no kernel memory limit")
	}
	if value(m.KernelTCP) > 0 {
		v.add("memory.kernelTCP", "cgroup v2 has no kernel memory limit for TCP")
	}
	if m.Swappiness != nil {
		v.add("memory.swappiness", "cgroup v2 has no swappiness")
	}
	if m.DisableOOMKiller != nil && *m.DisableOOMKiller {
		v.add("memory.disableOOMKiller", "cgroup v2 cannot disable the OOM killer")
	}
	if m.UseHierarchy != nil && !*m.UseHierarchy {
		v.add("memory.useHierarchy", "cgroup v2 is always hierarchical")
	}
}

func (v *problems) cpu(c *specs.LinuxCPU) {
	if c == nil {
		return
	}
	quota, period := value(c.Quota), value(c.Period)
	switch {
	case quota < -1:
		v.add("cpu.quota", "%d is negative (-1 is unlimited)", quota)
	case quota > 0 && quota < minQuota:
		v.add("cpu.quota", "%d is less than %d µs", quota, minQuota)
	}
	if period != 0 && (period < minPeriod || period > maxPeriod) {
		v.add("cpu.period", "%d is not within %d to %d µs", period, minPeriod, maxPeriod)
	}
	if c.Burst != nil && quota > 0 && *c.Burst > uint64(quota) {
		v.add("cpu.burst", "%d is more than the quota, %d µs", *c.Burst, quota)
	}
	if c.Idle != nil {
		switch {
		case *c.Idle != 0 && *c.Idle != 1:
			v.add("cpu.idle", "%d is neither 0 nor 1", *c.Idle)
		case *c.Idle == 1 && value(c.Shares) != 0:
			v.add("cpu.idle", "1 excludes cpu.shares: an idle cgroup has no weight")
		}
	}
	if value(c.RealtimeRuntime) != 0 || value(c.RealtimePeriod) != 0 {
		v.add("cpu.realtimeRuntime", "cgroup v2 has no real-time scheduling limits")
	}
	v.list("cpu.cpus", c.Cpus)
	v.list("cpu.mems", c.Mems)
}

func (v *problems) list(field, s string) {
	if s == "" {
		return
	}
	if _, err := parseList(s); err != nil {
		v.add(field, "%q: %w", s, err)
	}
}

func (v *problems) blockIO(b *specs.LinuxBlockIO) {
	if b == nil {
		return
	}
	if w := value(b.Weight); w != 0 && (w < minWeight || w > maxWeight) {
		v.add("blockIO.weight", "%d is not within %d to %d", w, minWeight, maxWeight)
	}
	if value(b.LeafWeight) != 0 {
		v.add("blockIO.leafWeight", "cgroup v2 has no leaf weight")
	}
	for i, d := range b.WeightDevice {
		field := fmt.Sprintf("blockIO.weightDevice[%d]", i)
		v.device(field, d.LinuxBlockIODevice)
		if w := value(d.Weight); w < minWeight || w > maxWeight {
			v.add(field+".weight", "%d is not within %d to %d", w, minWeight, maxWeight)
		}
		if value(d.LeafWeight) != 0 {
			v.add(field+".leafWeight", "cgroup v2 has no leaf weight")
		}
	}
	for _, f := range throttles(b) {
		for i, d := range f.devices {
			field := fmt.Sprintf("blockIO.%s[%d]", f.name, i)
			v.device(field, d.LinuxBlockIODevice)
			if d.Rate == 0 {
				v.add(field+".rate", "0 is no rate")
			}
		}
	}
}

func (v *problems) device(field string, d specs.LinuxBlockIODevice) {
	if d.Major < 0 || d.Minor < 0 {
		v.add(field, "%d:%d is not a device number", d.Major, d.Minor)
	}
}

// throttles lists the fields of b that io.max is made of.
func throttles(b *specs.LinuxBlockIO) []throttle {
	return []throttle{
		{"throttleReadBpsDevice", b.ThrottleReadBpsDevice},
		{"throttleWriteBpsDevice", b.ThrottleWriteBpsDevice},
		{"throttleReadIOPSDevice", b.ThrottleReadIOPSDevice},
		{"throttleWriteIOPSDevice", b.ThrottleWriteIOPSDevice},
	}
}

type throttle struct {
	name    string
	devices []specs.LinuxThrottleDevice
}

func (v *problems) hugepages(limits []specs.LinuxHugepageLimit) {
	var seen []string
	for i, l := range limits {
		field := fmt.Sprintf("hugepageLimits[%d].pageSize", i)
		switch {
		case !parsePageSize(l.Pagesize):
			v.add(field, "%q is not a size such as 64KB, 2MB or 1GB", l.Pagesize)
		case slices.Contains(seen, l.Pagesize):
			v.add(field, "%q is there twice", l.Pagesize)
		}
		seen = append(seen, l.Pagesize)
	}
}

// parsePageSize tells whether s is a page size as the kernel writes it in the
// names of its hugetlb files: a number without leading zeros, then KB, MB or GB.
func parsePageSize(s string) bool {
	if len(s) < 3 || !strings.Contains("KB MB GB", s[len(s)-2:]) {
		return false
	}
	digits := s[:len(s)-2]
	return digits[0] != '0' && strings.Trim(digits, "0123456789") == ""
}

func (v *problems) rdma(devices map[string]specs.LinuxRdma) {
	for _, name := range sortedKeys(devices) {
		field := fmt.Sprintf("rdma[%q]", name)
		if name == "" || strings.ContainsAny(name, " \t\n\x00/") {
			v.add(field, "is not the name of a device")
		}
		if d := devices[name]; d.HcaHandles == nil && d.HcaObjects == nil {
			v.add(field, "has neither hcaHandles nor hcaObjects")
		}
	}
}

func (v *problems) unified(files map[string]string) {
	for _, name := range sortedKeys(files) {
		field := fmt.Sprintf("unified[%q]", name)
		controller, file, _ := strings.Cut(name, ".")
		switch {
		case strings.ContainsAny(name, "/\n\x00"):
			v.add(field, "is not a file name")
		case controller == "" || file == "":
			v.add(field, "is not of the form CONTROLLER.FILE")
		case controller == "cgroup" && name != "cgroup.max.depth" && name != "cgroup.max.descendants":
			// cgroup.procs, cgroup.kill, cgroup.freeze, cgroup.type,
			// cgroup.subtree_control …: podrt's own tools, none is a resource.
			v.add(field, "is no resource, but a file that the cgroup is run by")
		}
		if files[name] == "" || strings.Contains(files[name], "\x00") {
			v.add(field, "%q is not a value", files[name])
		}
	}
}

// value returns what p points to, or zero: in the OCI configuration zero and
// absent mean the same for everything but idle, burst and the pids limit.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// sortedKeys makes the order of messages and writes the same each time.
func sortedKeys[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
