package cgroups

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"testing"
)

// As Linux 6.18 writes them.
var (
	cpuFiles = map[string]string{
		"cpu.stat": "usage_usec 43021\nuser_usec 20000\nsystem_usec 23021\nnice_usec 0\ncore_sched.force_idle_usec 0\n" +
			"nr_periods 12\nnr_throttled 3\nthrottled_usec 45000\nnr_bursts 2\nburst_usec 700\n",
		"cpu.pressure": "some avg10=1.53 avg60=0.87 avg300=0.12 total=8112345\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=7000\n",
	}
	memoryFiles = map[string]string{
		"memory.current":      "52428800\n",
		"memory.max":          "104857600\n",
		"memory.peak":         "62428800\n",
		"memory.swap.current": "4096\n",
		"memory.swap.max":     "max\n",
		"memory.stat": "anon 31457280\nfile 20971520\nkernel 1000000\nkernel_stack 49152\npagetables 131072\nsec_pagetables 0\n" +
			"percpu 17280\nsock 8192\nvmalloc 0\nshmem 4194304\nzswap 0\nzswapped 0\nfile_mapped 0\nfile_dirty 0\nfile_writeback 0\n" +
			"swapcached 0\nanon_thp 0\nfile_thp 0\nshmem_thp 0\ninactive_anon 1048576\nactive_anon 30408704\ninactive_file 12582912\n" +
			"active_file 4194304\nunevictable 16384\nslab_reclaimable 100000\nslab_unreclaimable 200000\nslab 300000\n" +
			"workingset_refault_anon 0\npgfault 1234\npgmajfault 5\n",
		"memory.events":       "low 0\nhigh 3\nmax 20\noom 2\noom_kill 4\noom_group_kill 1\nsock_throttled 0\n",
		"memory.events.local": "low 0\nhigh 0\nmax 10\noom 1\noom_kill 0\noom_group_kill 0\n",
		"memory.pressure":     "some avg10=0.00 avg60=0.00 avg300=0.00 total=99\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=98\n",
	}
	pidsFiles = map[string]string{"pids.current": "3\n", "pids.peak": "7\n", "pids.max": "max\n"}
	ioFiles   = map[string]string{
		"io.stat": "259:0 rbytes=90430464 wbytes=299008000 rios=8950 wios=1252 dbytes=50331648 dios=3021\n" +
			"7:1\n8:16 8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6 cost.usage=17\n(unknown)\n",
		"io.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
	}
)

const (
	cpuJSON    = `"cpu":{"usageUsec":43021,"userUsec":20000,"systemUsec":23021,"periods":12,"throttled":3,"throttledUsec":45000,"bursts":2,"burstUsec":700}`
	memoryJSON = `"memory":{"usage":52428800,"peak":62428800,"limit":104857600,"workingSet":39845888,"swapUsage":4096,` +
		`"anon":31457280,"file":20971520,"shmem":4194304,"kernel":1000000,"slab":300000,"sock":8192,` +
		`"activeAnon":30408704,"inactiveAnon":1048576,"activeFile":4194304,"inactiveFile":12582912,"unevictable":16384,"pageFaults":1234,"majorFaults":5,` +
		`"events":{"low":0,"high":3,"max":20,"oom":2,"oomKill":4,"oomGroupKill":1},"eventsLocal":{"low":0,"high":0,"max":10,"oom":1,"oomKill":0,"oomGroupKill":0}}`
	pidsJSON = `"pids":{"current":3,"peak":7,"limit":null}`
	ioJSON   = `"io":{"devices":[{"major":8,"minor":0,"readBytes":1,"writeBytes":2,"reads":3,"writes":4,"discardBytes":5,"discards":6},` +
		`{"major":259,"minor":0,"readBytes":90430464,"writeBytes":299008000,"reads":8950,"writes":1252,"discardBytes":50331648,"discards":3021}]}`
	pressureJSON = `"cpu":{"some":{"avg10":1.53,"avg60":0.87,"avg300":0.12,"totalUsec":8112345},"full":{"avg10":0.5,"avg60":0,"avg300":0,"totalUsec":7000}}`
)

func TestStatsJSON(t *testing.T) {
	all := map[string]string{}
	for _, files := range []map[string]string{cpuFiles, memoryFiles, pidsFiles, ioFiles} {
		maps.Copy(all, files)
	}
	// A kernel without swap, PSI, and all that came late.
	old := maps.Clone(memoryFiles)
	for _, name := range []string{"memory.peak", "memory.swap.current", "memory.swap.max", "memory.pressure", "memory.events.local"} {
		delete(old, name)
	}
	old["cpu.stat"] = "usage_usec 5\nuser_usec 3\nsystem_usec 2\n"
	old["memory.max"] = "max\n"
	old["memory.current"] = "4096\n" // less than inactive_file: they are not read at the same time
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"all", all, "{" + cpuJSON + "," + memoryJSON + "," + pidsJSON + "," + ioJSON + `,"pressure":{` + pressureJSON +
			`,"memory":{"some":{"avg10":0,"avg60":0,"avg300":0,"totalUsec":99},"full":{"avg10":0,"avg60":0,"avg300":0,"totalUsec":98}}` +
			`,"io":{"some":{"avg10":0,"avg60":0,"avg300":0,"totalUsec":0},"full":{"avg10":0,"avg60":0,"avg300":0,"totalUsec":0}}}}`},
		{"no controllers", cpuFiles, "{" + cpuJSON + `,"pressure":{` + pressureJSON + `}}`},
		{
			"old", old,
			`{"cpu":{"usageUsec":5,"userUsec":3,"systemUsec":2,"periods":0,"throttled":0,"throttledUsec":0,"bursts":0,"burstUsec":0},` +
				`"memory":{"usage":4096,"limit":null,"workingSet":0,"anon":31457280,"file":20971520,"shmem":4194304,"kernel":1000000,"slab":300000,"sock":8192,` +
				`"activeAnon":30408704,"inactiveAnon":1048576,"activeFile":4194304,"inactiveFile":12582912,"unevictable":16384,"pageFaults":1234,"majorFaults":5,` +
				`"events":{"low":0,"high":3,"max":20,"oom":2,"oomKill":4,"oomGroupKill":1}},"pressure":{}}`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := fake(t, tc.files).stats()
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tc.want {
				t.Errorf("stats\n got %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestStatsErrors(t *testing.T) {
	if _, err := fake(t, nil).stats(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stats of no cgroup: %v; want fs.ErrNotExist", err)
	}
	for name, content := range map[string]string{
		"cpu.stat":     "usage_usec\n",
		"cpu.pressure": "some avg10=x avg60=0.00 avg300=0.00 total=0\n",
		"memory.stat":  "anon lots\n",
		"memory.max":   "much\n",
		"pids.current": "few\n",
		"io.stat":      "8:0 rbytes=x\n",
	} {
		all := map[string]string{}
		for _, files := range []map[string]string{cpuFiles, memoryFiles, pidsFiles, ioFiles, {name: content}} {
			maps.Copy(all, files)
		}
		d := fake(t, all)
		if _, err := d.stats(); !matches(err, "parse "+d.path+"/"+name) {
			t.Errorf("stats with %s %q: %v; want it named", name, content, err)
		}
	}
}

func TestMemoryEventsParse(t *testing.T) {
	var e MemoryEvents
	if err := e.parse([]byte("low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n")); err != nil {
		t.Fatal(err)
	}
	if want := (MemoryEvents{1, 2, 3, 4, 5, 6}); e != want {
		t.Errorf("parse = %+v; want %+v", e, want)
	}
}
