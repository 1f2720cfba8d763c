package sandbox

import (
	lccgroups "github.com/opencontainers/cgroups"
	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/intelrdt"
	"github.com/opencontainers/runc/types"
)

// ContainerStats is what a container uses, in the shape of `runc events`.
// Times are in nanoseconds, sizes in bytes.
type ContainerStats = types.Stats

// Stats reads what the container has used up to now. What the kernel does not
// count, for want of a controller, is zero.
func (c *Container) Stats() (*ContainerStats, error) {
	s, err := c.lc.Stats()
	if err != nil {
		return nil, err
	}
	return convertStats(s), nil
}

// convertStats gives libcontainer's counters the names that callers know.
func convertStats(from *libcontainer.Stats) *ContainerStats {
	to := &ContainerStats{
		Hugetlb:           map[string]types.Hugetlb{},
		NetworkInterfaces: from.Interfaces,
	}
	if cg := from.CgroupStats; cg != nil {
		to.Pids = types.Pids{Current: cg.PidsStats.Current, Limit: cg.PidsStats.Limit}
		to.CPU = cpuStats(&cg.CpuStats)
		to.CPUSet = types.CPUSet(cg.CPUSetStats)
		to.Memory = memoryStats(&cg.MemoryStats)
		to.Blkio = blockIOStats(&cg.BlkioStats)
		for size, h := range cg.HugetlbStats {
			to.Hugetlb[size] = types.Hugetlb{Usage: h.Usage, Max: h.MaxUsage, Failcnt: h.Failcnt}
		}
	}
	if rdt := from.IntelRdtStats; rdt != nil {
		to.IntelRdt = rdtStats(rdt)
	}
	return to
}

func cpuStats(s *lccgroups.CpuStats) types.Cpu {
	u, t := &s.CpuUsage, &s.ThrottlingData
	return types.Cpu{
		Usage: types.CpuUsage{
			Total: u.TotalUsage, Kernel: u.UsageInKernelmode, User: u.UsageInUsermode,
			Percpu: u.PercpuUsage, PercpuKernel: u.PercpuUsageInKernelmode, PercpuUser: u.PercpuUsageInUsermode,
		},
		Throttling: types.Throttling{Periods: t.Periods, ThrottledPeriods: t.ThrottledPeriods, ThrottledTime: t.ThrottledTime},
		PSI:        s.PSI,
	}
}

func memoryStats(s *lccgroups.MemoryStats) types.Memory {
	entry := func(d lccgroups.MemoryData) types.MemoryEntry {
		return types.MemoryEntry{Limit: d.Limit, Usage: d.Usage, Max: d.MaxUsage, Failcnt: d.Failcnt}
	}
	return types.Memory{
		Cache: s.Cache, Usage: entry(s.Usage), Swap: entry(s.SwapUsage),
		Kernel: entry(s.KernelUsage), KernelTCP: entry(s.KernelTCPUsage),
		Raw: s.Stats, PSI: s.PSI,
	}
}

func blockIOStats(s *lccgroups.BlkioStats) types.Blkio {
	entries := func(all []lccgroups.BlkioStatEntry) []types.BlkioEntry {
		var out []types.BlkioEntry
		for _, e := range all {
			out = append(out, types.BlkioEntry(e))
		}
		return out
	}
	return types.Blkio{
		IoServiceBytesRecursive: entries(s.IoServiceBytesRecursive),
		IoServicedRecursive:     entries(s.IoServicedRecursive),
		IoQueuedRecursive:       entries(s.IoQueuedRecursive),
		IoServiceTimeRecursive:  entries(s.IoServiceTimeRecursive),
		IoWaitTimeRecursive:     entries(s.IoWaitTimeRecursive),
		IoMergedRecursive:       entries(s.IoMergedRecursive),
		IoTimeRecursive:         entries(s.IoTimeRecursive),
		SectorsRecursive:        entries(s.SectorsRecursive),
		PSI:                     s.PSI,
	}
}

// rdtStats leaves out what this machine's resctrl does not have.
func rdtStats(s *intelrdt.Stats) types.IntelRdt {
	to := types.IntelRdt{Schemata: s.Schemata}
	if intelrdt.IsCATEnabled() {
		if s.L3CacheInfo != nil {
			info := types.L3CacheInfo(*s.L3CacheInfo)
			to.L3CacheInfo = &info
		}
		to.L3CacheSchemaRoot, to.L3CacheSchema = s.L3CacheSchemaRoot, s.L3CacheSchema
	}
	if intelrdt.IsMBAEnabled() {
		if s.MemBwInfo != nil {
			info := types.MemBwInfo(*s.MemBwInfo)
			to.MemBwInfo = &info
		}
		to.MemBwSchemaRoot, to.MemBwSchema = s.MemBwSchemaRoot, s.MemBwSchema
	}
	if intelrdt.IsMBMEnabled() {
		to.MBMStats = s.MBMStats
	}
	if intelrdt.IsCMTEnabled() {
		to.CMTStats = s.CMTStats
	}
	return to
}
