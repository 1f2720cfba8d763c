package cgroups

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

const everything = `{
	"memory":{"limit":1048576,"reservation":4096,"swap":2097152},
	"cpu":{"shares":1024,"quota":50000,"period":100000,"burst":1000,"cpus":"0","mems":"0"},
	"pids":{"limit":10},
	"blockIO":{"weight":100,"weightDevice":[{"major":8,"minor":0,"weight":100}],
		"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1}],"throttleWriteBpsDevice":[{"major":8,"minor":0,"rate":1}],
		"throttleReadIOPSDevice":[{"major":8,"minor":0,"rate":1}],"throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":1}]},
	"hugepageLimits":[{"pageSize":"2MB","limit":0}],
	"rdma":{"mlx5_1":{"hcaHandles":3}},
	"unified":{"memory.high":"1","misc.max":"res_a 1","cgroup.max.depth":"5"}}`

func TestNeeds(t *testing.T) {
	var got []string
	for _, n := range needs(resources(t, everything)) {
		got = append(got, n.controller+" "+strings.TrimPrefix(n.field, "resources."))
	}
	want := []string{
		"memory memory.limit", "memory memory.reservation", "memory memory.swap",
		"cpu cpu.shares", "cpu cpu.quota", "cpu cpu.period", "cpu cpu.burst", "cpuset cpu.cpus", "cpuset cpu.mems",
		"pids pids.limit",
		"io blockIO.weight", "io blockIO.weightDevice", "io blockIO.throttleReadBpsDevice", "io blockIO.throttleWriteBpsDevice",
		"io blockIO.throttleReadIOPSDevice", "io blockIO.throttleWriteIOPSDevice",
		"hugetlb hugepageLimits", "rdma rdma",
		`memory unified["memory.high"]`, `misc unified["misc.max"]`,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("needs = %q\nwant    %q", got, want)
	}
	for _, nothing := range []string{
		`{}`, `{"memory":{"limit":0},"cpu":{"quota":0,"shares":0,"period":0},"pids":{},"blockIO":{"weight":0}}`,
		`{"devices":[{"allow":false,"access":"rwm"}]}`, `{"unified":{"cgroup.max.depth":"5"}}`,
	} {
		if n := needs(resources(t, nothing)); len(n) > 0 {
			t.Errorf("needs(%s) = %v; want nothing", nothing, n)
		}
	}
	if n := needs(nil); len(n) > 0 {
		t.Errorf("needs(nil) = %v; want nothing", n)
	}
}

func TestMissing(t *testing.T) {
	for _, tc := range []struct{ has, json, want string }{
		{"cpuset cpu io memory hugetlb pids rdma misc\n", everything, ""},
		{"\n", `{}`, ""},
		{"cpu pids\n", `{"memory":{"limit":1}}`, `resources.memory.limit needs the "memory" controller, which DIR does not offer`},
		{
			"\n", `{"memory":{"limit":1},"unified":{"memory.high":"1"},"pids":{"limit":3}}`,
			`resources.memory.limit, resources.unified["memory.high"] need the "memory" controller, which DIR does not offer` + "\n" +
				`resources.pids.limit needs the "pids" controller, which DIR does not offer`,
		},
		{"cpu\n", `{"cpu":{"cpus":"0","shares":5}}`, `resources.cpu.cpus needs the "cpuset" controller, which DIR does not offer`},
		{"cpu\n", `{"unified":{"foo.bar":"5"}}`, `resources.unified["foo.bar"] needs the "foo" controller, which DIR does not offer`},
	} {
		d := fake(t, map[string]string{"cgroup.controllers": tc.has})
		errs, err := d.missing(resources(t, tc.json))
		if err != nil {
			t.Fatal(err)
		}
		joined := errors.Join(errs...)
		got := ""
		if joined != nil {
			got = strings.ReplaceAll(joined.Error(), d.path, "DIR")
			if !errors.Is(joined, errors.ErrUnsupported) {
				t.Errorf("missing(%s) with %q is not errors.ErrUnsupported", tc.json, tc.has)
			}
		}
		if got != tc.want {
			t.Errorf("missing(%s) with %q = %q; want %q", tc.json, tc.has, got, tc.want)
		}
	}
}

func TestBlocks(t *testing.T) {
	r := resources(t, `{"memory":{"limit":1},"pids":{"limit":1}}`)
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"root", map[string]string{"cgroup.subtree_control": "\n", "cgroup.procs": "1\n"}, ""},
		{"empty", map[string]string{"cgroup.type": "domain\n", "cgroup.subtree_control": "\n", "cgroup.procs": ""}, ""},
		{"enabled", map[string]string{"cgroup.type": "domain\n", "cgroup.subtree_control": "memory pids\n", "cgroup.procs": ""}, ""},
		{
			"processes",
			map[string]string{"cgroup.type": "domain\n", "cgroup.subtree_control": "pids\n", "cgroup.procs": "4194305\n"},
			`resources.memory.limit needs the "memory" controller, which cgroup "DIR" cannot pass on: it has processes of its own: 4194305 ("?")`,
		},
		{
			"threaded",
			map[string]string{"cgroup.type": "domain threaded\n", "cgroup.subtree_control": "pids\n", "cgroup.procs": "1\n"},
			`resources.memory.limit needs the "memory" controller, which cgroup "DIR" cannot pass on: it is of type "domain threaded"`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := fake(t, tc.files)
			got := ""
			if err := errors.Join(d.blocks(needs(r))...); err != nil {
				got = strings.ReplaceAll(err.Error(), d.path, "DIR")
			}
			if got != tc.want {
				t.Errorf("blocks = %q; want %q", got, tc.want)
			}
		})
	}
}

func TestOffersCPUs(t *testing.T) {
	d := fake(t, map[string]string{"cpuset.cpus.effective": "0-1,4\n", "cpuset.mems.effective": "0\n"})
	for _, tc := range []struct{ json, want string }{
		{`{"cpu":{"cpus":"0-1"}}`, ""},
		{`{"cpu":{"cpus":"4","mems":"0"}}`, ""},
		{`{"cpu":{"cpus":"0-2"}}`, `resources.cpu.cpus: "0-2": there is no CPU 2, but 0-1,4`},
		{`{"cpu":{"mems":"1"}}`, `resources.cpu.mems: "1": there is no memory node 1, but 0`},
		{`{"cpu":{}}`, ""},
		{`{}`, ""},
	} {
		err := errors.Join(d.offersCPUs(resources(t, tc.json).CPU)...)
		if !matches(err, tc.want) {
			t.Errorf("offersCPUs(%s) = %v; want %q", tc.json, err, tc.want)
		}
	}
}
