package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/sandbox"
)

func updateCommand() *command {
	var o updateOptions
	return &command{
		name:  "update",
		usage: "update container resource constraints",
		args:  "<container-id>",
		min:   1, max: 1,
		flags: o.flags,
		run: func(e *env, args []string) error {
			c, err := e.container(args[0])
			if err != nil {
				return err
			}
			u, err := o.update()
			if err != nil {
				return err
			}
			if o.file == "" && o.kernelMemory+o.kernelMemoryTCP != "" {
				e.log.warn(errors.New("Kernel memory settings are ignored and will be removed")) // runc's words
			}
			return c.Update(u)
		},
	}
}

// updateOptions are the values of the flags as given: empty is no change.
type updateOptions struct {
	file                                             string
	blkioWeight, pidsLimit                           int
	pidsLimitDef                                     *flagDef
	cpuPeriod, cpuQuota, cpuBurst, cpuShare, cpuIdle string
	cpuRTPeriod, cpuRTRuntime, cpus, mems            string
	memory, memoryReservation, memorySwap            string
	kernelMemory, kernelMemoryTCP                    string
	l3Cache, memBw                                   string
}

const updateFileUsage = `path to the file containing the resources to update or '-' to read from the standard input

The accepted format is as follow (unchanged values can be omitted):

{
  "memory": {
    "limit": 0,
    "reservation": 0,
    "swap": 0,
    "checkBeforeUpdate": true
  },
  "cpu": {
    "shares": 0,
    "quota": 0,
    "burst": 0,
    "period": 0,
    "realtimeRuntime": 0,
    "realtimePeriod": 0,
    "cpus": "",
    "mems": "",
    "idle": 0
  },
  "blockIO": {
    "weight": 0
  }
}

Note: if data is to be read from a file or the standard input, all
other options are ignored.
`

func (o *updateOptions) flags(f *flags) {
	f.String(&o.file, "resources, r", updateFileUsage)
	f.Int(&o.blkioWeight, "blkio-weight", "Specifies per cgroup weight, range is from 10 to 1000")
	f.String(&o.cpuPeriod, "cpu-period", "CPU CFS period to be used for hardcapping (in usecs). 0 to use system default")
	f.String(&o.cpuQuota, "cpu-quota", "CPU CFS hardcap limit (in usecs). Allowed cpu time in a given period")
	f.String(&o.cpuBurst, "cpu-burst", "CPU CFS hardcap burst limit (in usecs). Allowed accumulated cpu time additionally for burst a given period")
	f.String(&o.cpuShare, "cpu-share", "CPU shares (relative weight vs. other containers)")
	f.String(&o.cpuRTPeriod, "cpu-rt-period", "CPU realtime period to be used for hardcapping (in usecs). 0 to use system default")
	f.String(&o.cpuRTRuntime, "cpu-rt-runtime", "CPU realtime hardcap limit (in usecs). Allowed cpu time in a given period")
	f.String(&o.cpus, "cpuset-cpus", "CPU(s) to use")
	f.String(&o.mems, "cpuset-mems", "Memory node(s) to use")
	f.String(&o.kernelMemory, "kernel-memory", "(obsoleted; do not use)").hide()
	f.String(&o.kernelMemoryTCP, "kernel-memory-tcp", "(obsoleted; do not use)").hide()
	f.String(&o.memory, "memory", "Memory limit (in bytes)")
	f.String(&o.cpuIdle, "cpu-idle", "set cgroup SCHED_IDLE or not, 0: default behavior, 1: SCHED_IDLE")
	f.String(&o.memoryReservation, "memory-reservation", "Memory reservation or soft_limit (in bytes)")
	f.String(&o.memorySwap, "memory-swap", "Total memory usage (memory + swap); set '-1' to enable unlimited swap")
	o.pidsLimitDef = f.Int(&o.pidsLimit, "pids-limit", "Maximum number of pids allowed in the container")
	f.String(&o.l3Cache, "l3-cache-schema", "The string of Intel RDT/CAT L3 cache schema")
	f.String(&o.memBw, "mem-bw-schema", "The string of Intel RDT/MBA memory bandwidth schema")
}

// update is what the flags ask for.
func (o *updateOptions) update() (*sandbox.Update, error) {
	u := &sandbox.Update{L3CacheSchema: o.l3Cache, MemBwSchema: o.memBw}
	var err error
	if o.file != "" {
		err = readResources(o.file, &u.Resources)
	} else {
		err = o.resources(&u.Resources)
	}
	return u, err
}

func readResources(path string, r *specs.LinuxResources) error {
	in, err := openInput(path)
	if err != nil {
		return err
	}
	defer in.Close()
	return sandbox.LoadResources(in, r)
}

// openInput opens a file, or for "-" the standard input.
func openInput(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	return os.Open(path)
}

func (o *updateOptions) resources(r *specs.LinuxResources) error {
	r.CPU = &specs.LinuxCPU{Cpus: o.cpus, Mems: o.mems}
	r.Memory = &specs.LinuxMemory{}
	if o.blkioWeight != 0 {
		weight := uint16(o.blkioWeight)
		r.BlockIO = &specs.LinuxBlockIO{Weight: &weight}
	}
	if o.pidsLimitDef.isSet() {
		limit := int64(o.pidsLimit)
		r.Pids = &specs.LinuxPids{Limit: &limit}
	}
	for _, v := range []struct {
		flag, value string
		to          **uint64
	}{
		{"cpu-burst", o.cpuBurst, &r.CPU.Burst},
		{"cpu-period", o.cpuPeriod, &r.CPU.Period},
		{"cpu-rt-period", o.cpuRTPeriod, &r.CPU.RealtimePeriod},
		{"cpu-share", o.cpuShare, &r.CPU.Shares},
	} {
		if err := given(v.flag, v.value, v.to, func(s string) (uint64, error) { return strconv.ParseUint(s, 10, 64) }); err != nil {
			return err
		}
	}
	var ignored *int64 // the kernel has no such limits any more
	number := func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }
	for _, v := range []struct {
		flag, value string
		to          **int64
		parse       func(string) (int64, error)
	}{
		{"cpu-idle", o.cpuIdle, &r.CPU.Idle, number},
		{"cpu-quota", o.cpuQuota, &r.CPU.Quota, number},
		{"cpu-rt-runtime", o.cpuRTRuntime, &r.CPU.RealtimeRuntime, number},
		{"memory", o.memory, &r.Memory.Limit, parseLimit},
		{"memory-swap", o.memorySwap, &r.Memory.Swap, parseLimit},
		{"kernel-memory", o.kernelMemory, &ignored, parseLimit},
		{"kernel-memory-tcp", o.kernelMemoryTCP, &ignored, parseLimit},
		{"memory-reservation", o.memoryReservation, &r.Memory.Reservation, parseLimit},
	} {
		if err := given(v.flag, v.value, v.to, v.parse); err != nil {
			return err
		}
	}
	return nil
}

// given sets to, if the flag has a value.
func given[T any](flag, value string, to **T, parse func(string) (T, error)) error {
	if value == "" {
		return nil
	}
	v, err := parse(value)
	if err != nil {
		return fmt.Errorf("invalid value for %s: %w", flag, err)
	}
	*to = &v
	return nil
}

// parseLimit takes a number of bytes, or -1 for none.
func parseLimit(s string) (int64, error) {
	if s == "-1" {
		return -1, nil
	}
	return parseBytes(s)
}
