package sandbox

import (
	"encoding/json"
	"testing"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/types"
)

// The JSON that programs parse, as runc's events prints it.
func TestStatsJSON(t *testing.T) {
	s := &cgroups.Stats{}
	s.CpuStats.CpuUsage = cgroups.CpuUsage{TotalUsage: 3, UsageInKernelmode: 1, UsageInUsermode: 2}
	s.CpuStats.ThrottlingData = cgroups.ThrottlingData{Periods: 4, ThrottledPeriods: 5, ThrottledTime: 6}
	s.MemoryStats = cgroups.MemoryStats{
		Cache: 7, Usage: cgroups.MemoryData{Usage: 8, MaxUsage: 9, Failcnt: 10, Limit: 11},
		SwapUsage: cgroups.MemoryData{Usage: 12}, Stats: map[string]uint64{"anon": 13},
	}
	s.PidsStats = cgroups.PidsStats{Current: 14, Limit: 15}
	s.BlkioStats.IoServiceBytesRecursive = []cgroups.BlkioStatEntry{{Major: 8, Minor: 1, Op: "Read", Value: 16}}
	s.HugetlbStats = map[string]cgroups.HugetlbStats{"2MB": {Usage: 17, MaxUsage: 18, Failcnt: 19}}
	from := &libcontainer.Stats{CgroupStats: s, Interfaces: []*types.NetworkInterface{{Name: "eth0", RxBytes: 20}}}
	got, err := json.Marshal(&Event{Type: "stats", ID: "c", Data: convertStats(from)})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"type":"stats","id":"c","data":{` +
		`"cpu":{"usage":{"total":3,"kernel":1,"user":2},"throttling":{"periods":4,"throttledPeriods":5,"throttledTime":6}},` +
		`"cpuset":{"cpu_exclusive":0,"mem_hardwall":0,"mem_exclusive":0,"memory_migrate":0,"memory_spread_page":0,"memory_spread_slab":0,"memory_pressure":0,"sched_load_balance":0,"sched_relax_domain_level":0},` +
		`"memory":{"cache":7,"usage":{"limit":11,"usage":8,"max":9,"failcnt":10},"swap":{"limit":0,"usage":12,"failcnt":0},"raw":{"anon":13}},` +
		`"pids":{"current":14,"limit":15},` +
		`"blkio":{"ioServiceBytesRecursive":[{"major":8,"minor":1,"op":"Read","value":16}]},` +
		`"hugetlb":{"2MB":{"usage":17,"max":18,"failcnt":19}},"intel_rdt":{},` +
		`"network_interfaces":[{"Name":"eth0","RxBytes":20,"RxPackets":0,"RxErrors":0,"RxDropped":0,"TxBytes":0,"TxPackets":0,"TxErrors":0,"TxDropped":0}]}}`
	if string(got) != want {
		t.Errorf("event = %s; want %s", got, want)
	}
}
