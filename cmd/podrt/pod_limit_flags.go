package main

import (
	"errors"
	"math"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// limitFlags are the limits of a pod as a whole, with podman's names.
type limitFlags struct {
	mem  specs.LinuxMemory
	cpu  specs.LinuxCPU
	pids *specs.LinuxPids
	live bool // the pod is there: no limit is a value, too, and zero, which changes nothing, is none
}

func (o *limitFlags) register(f *flags) {
	size, none, noCPUs := parseBytes, "", ""
	if o.live {
		size, none, noCPUs = ramOrUnlimited, ", -1 for no limit", ", 0 for no limit"
	}
	f.Func(o.changes(int64Ptr(&o.mem.Limit, size)), "memory, m", "memory that all containers together may use, a `SIZE` such as 512m"+none)
	f.Func(o.changes(int64Ptr(&o.mem.Reservation, parseBytes)), "memory-reservation", "`SIZE` of memory that is protected from reclaim")
	f.Func(o.changes(int64Ptr(&o.mem.Swap, ramOrUnlimited)), "memory-swap", "`SIZE` of memory and swap together, -1 for no limit")
	f.Func(o.cpus, "cpus", "`NUMBER` of CPUs that all containers together may use, such as 1.5"+noCPUs)
	f.Func(o.changes(uint64Ptr(&o.cpu.Shares)), "cpu-shares", "relative weight against other pods, 2 to 262144")
	f.String(&o.cpu.Cpus, "cpuset-cpus", "CPUs to run on, such as 0-2,7")
	f.String(&o.cpu.Mems, "cpuset-mems", "memory nodes to use")
	f.Func(o.pidsLimit, "pids-limit", "`NUMBER` of processes and threads of all containers together, -1 for no limit")
}

// changes refuses what changes nothing.
func (o *limitFlags) changes(parse func(string) error) func(string) error {
	return func(v string) error {
		if err := parse(v); err != nil {
			return err
		}
		if n, err := parseBytes(v); err == nil && n == 0 && o.live {
			return errors.New("must be above 0")
		}
		return nil
	}
}

// cpuPeriod is the kernel's default period of cpu.max, in microseconds.
const cpuPeriod = 100_000

func (o *limitFlags) cpus(v string) error {
	n, err := strconv.ParseFloat(v, 64)
	if err == nil && n == 0 && o.live {
		o.cpu.Quota, o.cpu.Period = new(int64(-1)), nil
		return nil
	}
	if err != nil || !(n > 0) || n > math.MaxInt32 {
		return errors.New("not a positive number")
	}
	quota, period := int64(math.Round(n*cpuPeriod)), uint64(cpuPeriod)
	o.cpu.Quota, o.cpu.Period = &quota, &period
	return nil
}

func (o *limitFlags) pidsLimit(v string) error {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return errors.New("not a number")
	}
	o.pids = &specs.LinuxPids{Limit: &n}
	return nil
}

// resources returns what the flags say, nil for none.
func (o *limitFlags) resources() *specs.LinuxResources {
	r := specs.LinuxResources{Pids: o.pids}
	if o.mem != (specs.LinuxMemory{}) {
		r.Memory = &o.mem
	}
	if o.cpu != (specs.LinuxCPU{}) {
		r.CPU = &o.cpu
	}
	if r.Memory == nil && r.CPU == nil && r.Pids == nil {
		return nil
	}
	return &r
}
