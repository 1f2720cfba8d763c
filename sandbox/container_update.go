package sandbox

import (
	"errors"
	"slices"

	lccgroups "github.com/opencontainers/cgroups"
	"github.com/opencontainers/runc/libcontainer/intelrdt"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// Update is a change of a container's limits. What is nil or empty stays as it
// is, but for the fields of Resources that say otherwise in update's help.
type Update struct {
	Resources     specs.LinuxResources
	L3CacheSchema string // Intel RDT/CAT
	MemBwSchema   string // Intel RDT/MBA
}

// Update changes the limits of a container that is not stopped. Rules for
// devices are left alone.
func (c *Container) Update(u *Update) error {
	if err := c.errNoCgroup("update"); err != nil {
		return err
	}
	config := c.lc.Config()
	// The container's own must stay as it is for the way back, should the
	// kernel refuse a value.
	cg, res := *config.Cgroups, *config.Cgroups.Resources
	cg.Resources = &res
	config.Cgroups = &cg

	updateMemory(&res, u.Resources.Memory)
	updateCPU(&res, u.Resources.CPU)
	updateBlockIO(&res, u.Resources.BlockIO)
	res.PidsLimit = nil
	if u.Resources.Pids != nil {
		res.PidsLimit = u.Resources.Pids.Limit
	}
	res.Unified = u.Resources.Unified
	// Others may have added devices to what the container was made with.
	res.SkipDevices = true
	if idleWithWeight(&res) {
		// There the way back is none, as with runc: the kernel takes no weight
		// for an idle cgroup, but idle it shall be.
		*c.lc.Config().Cgroups.Resources = res
	}

	if u.L3CacheSchema != "" && !intelrdt.IsCATEnabled() {
		return errors.New("Intel RDT/CAT: l3 cache schema is not enabled")
	}
	if u.MemBwSchema != "" && !intelrdt.IsMBAEnabled() {
		return errors.New("Intel RDT/MBA: memory bandwidth schema is not enabled")
	}
	if u.L3CacheSchema != "" || u.MemBwSchema != "" {
		if config.IntelRdt == nil {
			return errors.New("updating a non-existent Intel RDT configuration is not supported")
		}
		rdt := *config.IntelRdt
		if u.L3CacheSchema != "" {
			rdt.L3CacheSchema = u.L3CacheSchema
		}
		if u.MemBwSchema != "" {
			rdt.MemBwSchema = u.MemBwSchema
		}
		config.IntelRdt = &rdt
	}
	return c.lc.Set(config)
}

// idleWithWeight tells whether a cgroup is to be idle and to have a weight.
func idleWithWeight(res *lccgroups.Resources) bool {
	idle := res.CPUIdle != nil && *res.CPUIdle == 1 || res.Unified["cpu.idle"] == "1"
	return idle && (res.CpuWeight != 0 || res.Unified["cpu.weight"] != "")
}

func updateMemory(res *lccgroups.Resources, m *specs.LinuxMemory) {
	res.MemoryCheckBeforeUpdate = m != nil && m.CheckBeforeUpdate != nil && *m.CheckBeforeUpdate
	if m == nil {
		return
	}
	set(&res.Memory, m.Limit)
	set(&res.MemoryReservation, m.Reservation)
	set(&res.MemorySwap, m.Swap)
	if m.Limit != nil && *m.Limit == -1 && m.Swap == nil {
		// There is no limit of memory and swap together without one of memory.
		res.MemorySwap = 0
	}
}

func updateCPU(res *lccgroups.Resources, c *specs.LinuxCPU) {
	if c == nil {
		c = &specs.LinuxCPU{}
	}
	// Quota and period are written together: one that is not given keeps its
	// value; if none is given, both go.
	var (
		period uint64
		quota  int64
	)
	set(&period, c.Period)
	set(&quota, c.Quota)
	if period != 0 || quota == 0 {
		res.CpuPeriod = period
	}
	if quota != 0 || period == 0 {
		res.CpuQuota = quota
	}
	res.CpuBurst = c.Burst
	switch {
	case c.Shares != nil:
		res.CpuShares = *c.Shares
		res.CpuWeight = lccgroups.ConvertCPUSharesToCgroupV2Value(*c.Shares)
	case c.Idle != nil:
		// An idle cgroup takes no weight.
		res.CpuShares, res.CpuWeight = 0, 0
	}
	set(&res.CpuRtPeriod, c.RealtimePeriod)
	set(&res.CpuRtRuntime, c.RealtimeRuntime)
	res.CpusetCpus, res.CpusetMems = c.Cpus, c.Mems
	res.CPUIdle = c.Idle
}

func updateBlockIO(res *lccgroups.Resources, b *specs.LinuxBlockIO) {
	if b == nil {
		return
	}
	set(&res.BlkioWeight, b.Weight)
	set(&res.BlkioLeafWeight, b.LeafWeight)
	for _, d := range b.WeightDevice {
		res.BlkioWeightDevice = upsertWeight(res.BlkioWeightDevice, d)
	}
	for _, t := range []struct {
		to   *[]*lccgroups.ThrottleDevice
		from []specs.LinuxThrottleDevice
	}{
		{&res.BlkioThrottleReadBpsDevice, b.ThrottleReadBpsDevice},
		{&res.BlkioThrottleWriteBpsDevice, b.ThrottleWriteBpsDevice},
		{&res.BlkioThrottleReadIOPSDevice, b.ThrottleReadIOPSDevice},
		{&res.BlkioThrottleWriteIOPSDevice, b.ThrottleWriteIOPSDevice},
	} {
		for _, d := range t.from {
			*t.to = upsertThrottle(*t.to, d)
		}
	}
}

// upsertWeight changes the last entry of a device, or adds one.
func upsertWeight(all []*lccgroups.WeightDevice, d specs.LinuxWeightDevice) []*lccgroups.WeightDevice {
	w := lccgroups.NewWeightDevice(d.Major, d.Minor, 0, 0)
	all = slices.Clone(all)
	at := -1
	for i, o := range all {
		if o.Major == d.Major && o.Minor == d.Minor {
			at = i
			*w = *o
		}
	}
	set(&w.Weight, d.Weight)
	set(&w.LeafWeight, d.LeafWeight)
	if at < 0 {
		return append(all, w)
	}
	all[at] = w
	return all
}

func upsertThrottle(all []*lccgroups.ThrottleDevice, d specs.LinuxThrottleDevice) []*lccgroups.ThrottleDevice {
	t := lccgroups.NewThrottleDevice(d.Major, d.Minor, d.Rate)
	all = slices.Clone(all)
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Major == d.Major && all[i].Minor == d.Minor {
			all[i] = t
			return all
		}
	}
	return append(all, t)
}

// set copies a value that is given.
func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}
