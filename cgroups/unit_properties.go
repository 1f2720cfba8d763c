package cgroups

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	gdbus "github.com/godbus/dbus/v5"
	oci "github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/systemd"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func property(name string, value any) dbus.Property {
	return dbus.Property{Name: name, Value: gdbus.MakeVariant(value)}
}

// execCommand is a command as D-Bus has it: a(sasb), the last of which says
// that its failure is none.
type execCommand struct {
	Path   string
	Args   []string
	Ignore bool
}

// properties returns what makes a service a pod's cgroup: org.freedesktop.systemd1(5).
func (u Unit) properties(p Path, description string, grace time.Duration) []dbus.Property {
	slice := path.Base(string(p.parent()))
	if p.parent() == mountpoint {
		slice = "-.slice"
	}
	return append([]dbus.Property{
		property("Description", description),
		property("Slice", slice),
		property("Type", "oneshot"),
		property("RemainAfterExit", true),
		// A service must have a command; where there is none of that name, that is
		// as good.
		property("ExecStart", []execCommand{{"/bin/true", []string{"true"}, true}}),
		property("StandardOutput", "null"),
		property("Delegate", true),
		// Nothing but the end of the system ends it: a container that is killed for
		// want of memory is none of systemd's business.
		property("OOMPolicy", "continue"),
		// Between SIGTERM and SIGKILL, when systemd ends it. A pod's init ends by
		// the second only, so this is how long that takes; 0 would be for ever.
		property("TimeoutStopUSec", uint64(max(grace, time.Millisecond).Microseconds())),
		property("DefaultDependencies", false),
		property("Conflicts", []string{"shutdown.target"}),
		property("Before", []string{"shutdown.target"}),
		property("CollectMode", "inactive-or-failed"),
	}, accounting()...)
}

// accounting enables the controllers whether there are limits or not.
func accounting() []dbus.Property {
	return []dbus.Property{
		property("CPUAccounting", true),
		property("MemoryAccounting", true),
		property("IOAccounting", true),
		property("TasksAccounting", true),
	}
}

// unitLimits are the limits of r that systemd has a property for. It must know
// them: at each daemon-reload it sets the files that it knows anew.
func unitLimits(r *specs.LinuxResources) ([]dbus.Property, error) {
	if r == nil {
		// Its default is a share of the machine's, which the kernel's is not.
		return []dbus.Property{property("TasksMax", uint64(math.MaxUint64))}, nil
	}
	set := convert(r)
	var props []dbus.Property
	add := func(name string, value any) { props = append(props, property(name, value)) }
	if set.Memory != 0 {
		add("MemoryMax", uint64(set.Memory)) // -1, no limit, is the largest number
	}
	if set.MemoryReservation != 0 {
		add("MemoryLow", uint64(set.MemoryReservation))
	}
	swap, err := oci.ConvertMemorySwapToCgroupV2Value(set.MemorySwap, set.Memory)
	if err != nil {
		return nil, err
	}
	if swap != 0 || set.MemorySwap != 0 { // 0 is none, if swap was mentioned
		add("MemorySwapMax", uint64(swap))
	}
	if set.CpuWeight != 0 {
		add("CPUWeight", set.CpuWeight)
	}
	addCPUMax(add, set.CpuQuota, set.CpuPeriod)
	tasks := uint64(math.MaxUint64)
	if set.PidsLimit != nil && *set.PidsLimit >= 0 {
		tasks = uint64(max(*set.PidsLimit, 1)) // systemd refuses 0
	}
	add("TasksMax", tasks)
	for name, list := range map[string]string{"AllowedCPUs": set.CpusetCpus, "AllowedMemoryNodes": set.CpusetMems} {
		if list == "" {
			continue
		}
		bits, err := systemd.RangeToBits(list)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", name, list, err)
		}
		add(name, bits)
	}
	for _, file := range sortedKeys(r.Unified) {
		addUnified(add, file, r.Unified[file])
	}
	return props, nil
}

// unitDefault is the value of a property of unitLimits in a unit that was not
// given it. The largest number is none.
func unitDefault(name string) any {
	switch name {
	case "MemoryLow", "MemoryMin":
		return uint64(0)
	case "AllowedCPUs", "AllowedMemoryNodes":
		return []byte{}
	}
	return uint64(math.MaxUint64)
}

// unitChange are the properties that make a unit with the limits from one with
// the limits to.
func unitChange(to *specs.LinuxResources, from ...*specs.LinuxResources) ([]dbus.Property, error) {
	props, err := unitLimits(to)
	if err != nil {
		return nil, err
	}
	for _, r := range from {
		had, err := unitLimits(r)
		if err != nil {
			return nil, err
		}
		for _, h := range had {
			if !slices.ContainsFunc(props, func(p dbus.Property) bool { return p.Name == h.Name }) {
				props = append(props, property(h.Name, unitDefault(h.Name)))
			}
		}
	}
	return props, nil
}

// cpuQuotaStep is what systemd rounds CPUQuotaPerSecUSec to when it writes the
// unit down: one percent of a CPU, in µs per s.
const cpuQuotaStep = 10_000

// defaultCPUPeriod is the kernel's, in µs.
const defaultCPUPeriod = 100_000

func addCPUMax(add func(string, any), quota int64, period uint64) {
	if period != 0 {
		add("CPUQuotaPeriodUSec", period)
	} else {
		period = defaultCPUPeriod
	}
	if quota < 0 {
		add("CPUQuotaPerSecUSec", uint64(math.MaxUint64))
	}
	if quota > 0 {
		perSecond := uint64(math.Ceil(float64(quota) * 1e6 / float64(period)))
		add("CPUQuotaPerSecUSec", (perSecond+cpuQuotaStep-1)/cpuQuotaStep*cpuQuotaStep)
	}
}

// unifiedProperties are the properties with the value of a file of the cgroup;
// "max" is the largest number.
var unifiedProperties = [...]struct{ file, name string }{
	{"cpu.weight", "CPUWeight"},
	{"memory.high", "MemoryHigh"},
	{"memory.low", "MemoryLow"},
	{"memory.max", "MemoryMax"},
	{"memory.min", "MemoryMin"},
	{"memory.swap.max", "MemorySwapMax"},
	{"pids.max", "TasksMax"},
}

// addUnified adds the property of a file, if it has one that takes the value:
// the kernel takes more forms, such as "1G", and is the one that says what is
// wrong.
func addUnified(add func(string, any), file, value string) {
	value = strings.TrimSpace(value)
	if file == "cpu.max" {
		if quota, period, err := parseCPUMax(value); err == nil {
			addCPUMax(add, quota, period)
		}
		return
	}
	for _, u := range unifiedProperties {
		if u.file != file {
			continue
		}
		if value == "max" {
			add(u.name, uint64(math.MaxUint64))
		} else if n, err := strconv.ParseUint(value, 10, 64); err == nil {
			add(u.name, n)
		}
	}
}
