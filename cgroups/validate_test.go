package cgroups

import (
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	for _, tc := range []struct{ json, err string }{
		{`{}`, ""},
		{`{"devices":[{"allow":false,"access":"rwm"}]}`, ""},

		{`{"memory":{"limit":1048576,"reservation":4096,"swap":2097152}}`, ""},
		{`{"memory":{"limit":-1,"swap":-1,"reservation":-1}}`, ""},
		{`{"memory":{"limit":1048576,"swap":1048576}}`, ""},
		{`{"memory":{"limit":0,"swap":-1,"kernel":0,"useHierarchy":true,"disableOOMKiller":false}}`, ""},
		{`{"memory":{"limit":-2}}`, "resources.memory.limit: -2 is negative (-1 is unlimited)"},
		{`{"memory":{"reservation":-7}}`, "resources.memory.reservation: -7 is negative (-1 is unlimited)"},
		{`{"memory":{"limit":100,"swap":-7}}`, "resources.memory.swap: -7 is negative (-1 is unlimited)"},
		{`{"memory":{"swap":100}}`, "resources.memory.swap: 100 with memory.limit 0: unable to set swap limit without memory limit"},
		{`{"memory":{"limit":200,"swap":100}}`, "resources.memory.swap: 100 with memory.limit 200: memory+swap limit should be >= memory limit"},
		{`{"memory":{"kernel":100}}`, "resources.memory.kernel: cgroup v2 has no kernel memory limit"},
		{`{"memory":{"kernelTCP":100}}`, "resources.memory.kernelTCP: cgroup v2 has no kernel memory limit for TCP"},
		{`{"memory":{"swappiness":60}}`, "resources.memory.swappiness: cgroup v2 has no swappiness"},
		{`{"memory":{"disableOOMKiller":true}}`, "resources.memory.disableOOMKiller: cgroup v2 cannot disable the OOM killer"},
		{`{"memory":{"useHierarchy":false}}`, "resources.memory.useHierarchy: cgroup v2 is always hierarchical"},

		{`{"cpu":{"shares":1024,"quota":50000,"period":100000,"burst":50000,"cpus":"0-1","mems":"0"}}`, ""},
		{`{"cpu":{"quota":-1,"burst":5}}`, ""},
		{`{"cpu":{"idle":0,"shares":2}}`, ""},
		{`{"cpu":{"idle":1}}`, ""},
		{`{"cpu":{"quota":-2}}`, "resources.cpu.quota: -2 is negative (-1 is unlimited)"},
		{`{"cpu":{"quota":999}}`, "resources.cpu.quota: 999 is less than 1000 µs"},
		{`{"cpu":{"period":999}}`, "resources.cpu.period: 999 is not within 1000 to 1000000 µs"},
		{`{"cpu":{"period":1000001}}`, "resources.cpu.period: 1000001 is not within 1000 to 1000000 µs"},
		{`{"cpu":{"quota":5000,"burst":5001}}`, "resources.cpu.burst: 5001 is more than the quota, 5000 µs"},
		{`{"cpu":{"idle":2}}`, "resources.cpu.idle: 2 is neither 0 nor 1"},
		{`{"cpu":{"idle":1,"shares":2}}`, "resources.cpu.idle: 1 excludes cpu.shares: an idle cgroup has no weight"},
		{`{"cpu":{"realtimeRuntime":1}}`, "resources.cpu.realtimeRuntime: cgroup v2 has no real-time scheduling limits"},
		{`{"cpu":{"realtimePeriod":1}}`, "resources.cpu.realtimeRuntime: cgroup v2 has no real-time scheduling limits"},
		{`{"cpu":{"cpus":"1-0"}}`, `resources.cpu.cpus: "1-0": range "1-0" goes backwards`},
		{`{"cpu":{"mems":"x"}}`, `resources.cpu.mems: "x": "x" is not a number`},

		{`{"pids":{"limit":-1}}`, ""},
		{`{"pids":{"limit":0}}`, ""},
		{`{"pids":{"limit":-2}}`, "resources.pids.limit: -2 is negative (-1 is unlimited)"},

		{`{"blockIO":{"weight":0}}`, ""},
		{`{"blockIO":{"weight":10,"weightDevice":[{"major":8,"minor":0,"weight":1000}],"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1}]}}`, ""},
		{`{"blockIO":{"weight":9}}`, "resources.blockIO.weight: 9 is not within 10 to 1000"},
		{`{"blockIO":{"weight":1001}}`, "resources.blockIO.weight: 1001 is not within 10 to 1000"},
		{`{"blockIO":{"leafWeight":10}}`, "resources.blockIO.leafWeight: cgroup v2 has no leaf weight"},
		{`{"blockIO":{"weightDevice":[{"major":8,"minor":0}]}}`, "resources.blockIO.weightDevice[0].weight: 0 is not within 10 to 1000"},
		{`{"blockIO":{"weightDevice":[{"major":8,"minor":0,"weight":10,"leafWeight":10}]}}`, "resources.blockIO.weightDevice[0].leafWeight: cgroup v2 has no leaf weight"},
		{`{"blockIO":{"weightDevice":[{"major":-8,"minor":0,"weight":10}]}}`, "resources.blockIO.weightDevice[0]: -8:0 is not a device number"},
		{`{"blockIO":{"throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":5},{"major":8,"minor":16}]}}`, "resources.blockIO.throttleWriteIOPSDevice[1].rate: 0 is no rate"},

		{`{"hugepageLimits":[{"pageSize":"2MB","limit":0},{"pageSize":"1GB","limit":5}]}`, ""},
		{`{"hugepageLimits":[{"pageSize":"2M","limit":5}]}`, `resources.hugepageLimits[0].pageSize: "2M" is not a size such as 64KB, 2MB or 1GB`},
		{`{"hugepageLimits":[{"pageSize":"02MB","limit":5}]}`, `resources.hugepageLimits[0].pageSize: "02MB" is not a size such as 64KB, 2MB or 1GB`},
		{`{"hugepageLimits":[{"pageSize":"MB","limit":5}]}`, `resources.hugepageLimits[0].pageSize: "MB" is not a size such as 64KB, 2MB or 1GB`},
		{`{"hugepageLimits":[{"pageSize":"2MB","limit":5},{"pageSize":"2MB","limit":6}]}`, `resources.hugepageLimits[1].pageSize: "2MB" is there twice`},

		{`{"rdma":{"mlx5_1":{"hcaHandles":3}}}`, ""},
		{`{"rdma":{"mlx5_1":{}}}`, `resources.rdma["mlx5_1"]: has neither hcaHandles nor hcaObjects`},
		{`{"rdma":{"a b":{"hcaObjects":3}}}`, `resources.rdma["a b"]: is not the name of a device`},

		{`{"unified":{"memory.high":"1048576","memory.oom.group":"1","cgroup.max.depth":"3","cgroup.max.descendants":"100","io.max":"8:0 rbps=5\n8:16 rbps=5"}}`, ""},
		{`{"unified":{"":"1"}}`, `resources.unified[""]: is not of the form CONTROLLER.FILE`},
		{`{"unified":{"memory":"1"}}`, `resources.unified["memory"]: is not of the form CONTROLLER.FILE`},
		{`{"unified":{".max":"1"}}`, `resources.unified[".max"]: is not of the form CONTROLLER.FILE`},
		{`{"unified":{"..":"1"}}`, `resources.unified[".."]: is not of the form CONTROLLER.FILE`},
		{`{"unified":{"memory.":"1"}}`, `resources.unified["memory."]: is not of the form CONTROLLER.FILE`},
		{`{"unified":{"../memory.max":"1"}}`, `resources.unified["../memory.max"]: is not a file name`},
		{`{"unified":{"leaf/memory.max":"1"}}`, `resources.unified["leaf/memory.max"]: is not a file name`},
		{`{"unified":{"cgroup.procs":"1"}}`, `resources.unified["cgroup.procs"]: is no resource, but a file that the cgroup is run by`},
		{`{"unified":{"cgroup.kill":"1"}}`, `resources.unified["cgroup.kill"]: is no resource, but a file that the cgroup is run by`},
		{`{"unified":{"cgroup.type":"threaded"}}`, `resources.unified["cgroup.type"]: is no resource, but a file that the cgroup is run by`},
		{`{"unified":{"cgroup.subtree_control":"+cpu"}}`, `resources.unified["cgroup.subtree_control"]: is no resource, but a file that the cgroup is run by`},
		{`{"unified":{"memory.max":""}}`, `resources.unified["memory.max"]: "" is not a value`},

		{`{"network":{}}`, ""},
		{`{"network":{"classID":0}}`, ""},
		{`{"network":{"classID":1048577}}`, "resources.network.classID: cgroup v2 has no network classes"},
		{`{"network":{"priorities":[{"name":"eth0","priority":1}]}}`, "resources.network.priorities: cgroup v2 has no network priorities"},

		// All that is wrong is said, in the order of the fields.
		{
			`{"memory":{"limit":-5},"pids":{"limit":-5},"cpu":{"idle":7}}`,
			"resources.memory.limit: -5 is negative (-1 is unlimited)\nresources.cpu.idle: 7 is neither 0 nor 1\nresources.pids.limit: -5 is negative (-1 is unlimited)",
		},
	} {
		err := Validate(resources(t, tc.json))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tc.err {
			t.Errorf("Validate(%s) = %q; want %q", tc.json, got, tc.err)
		}
	}
	if err := Validate(nil); err != nil {
		t.Errorf("Validate(nil) = %v; want nil", err)
	}
}

func TestValidateListsEveryCoreFile(t *testing.T) {
	// The files of Linux 6.18 in a cgroup below the root.
	for _, name := range strings.Fields("cgroup.controllers cgroup.events cgroup.freeze cgroup.kill cgroup.pressure " +
		"cgroup.procs cgroup.stat cgroup.stat.local cgroup.subtree_control cgroup.threads cgroup.type") {
		err := Validate(resources(t, `{"unified":{"`+name+`":"1"}}`))
		if !matches(err, "no resource") {
			t.Errorf("Validate(unified %s) = %v; want it refused", name, err)
		}
	}
}
