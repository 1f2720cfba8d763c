package cgroups

// Sum adds up what several cgroups use: for those that have nothing above them
// which is theirs alone. Limits, peaks and pressure cannot be added and are
// left out.
func Sum(all []*Stats) *Stats {
	var sum Stats
	devices := make(map[[2]uint32]int)
	for _, s := range all {
		sum.CPU.add(&s.CPU)
		if m := s.Memory; m != nil {
			if sum.Memory == nil {
				sum.Memory = &MemoryStats{}
			}
			sum.Memory.add(m)
		}
		if s.Pids != nil {
			if sum.Pids == nil {
				sum.Pids = &PidsStats{}
			}
			sum.Pids.Current += s.Pids.Current
		}
		if s.IO == nil {
			continue
		}
		if sum.IO == nil {
			sum.IO = &IOStats{Devices: []IODevice{}}
		}
		for _, d := range s.IO.Devices {
			key := [2]uint32{d.Major, d.Minor}
			i, ok := devices[key]
			if !ok {
				i = len(sum.IO.Devices)
				devices[key] = i
				sum.IO.Devices = append(sum.IO.Devices, IODevice{Major: d.Major, Minor: d.Minor})
			}
			sum.IO.Devices[i].add(d)
		}
	}
	return &sum
}

func (c *CPUStats) add(o *CPUStats) {
	c.UsageUsec += o.UsageUsec
	c.UserUsec += o.UserUsec
	c.SystemUsec += o.SystemUsec
	c.Periods += o.Periods
	c.Throttled += o.Throttled
	c.ThrottledUsec += o.ThrottledUsec
	c.Bursts += o.Bursts
	c.BurstUsec += o.BurstUsec
}

func (m *MemoryStats) add(o *MemoryStats) {
	m.Usage += o.Usage
	m.WorkingSet += o.WorkingSet
	if o.SwapUsage != nil {
		if m.SwapUsage == nil {
			m.SwapUsage = new(uint64)
		}
		*m.SwapUsage += *o.SwapUsage
	}
	m.Anon += o.Anon
	m.File += o.File
	m.Shmem += o.Shmem
	m.Kernel += o.Kernel
	m.Slab += o.Slab
	m.Sock += o.Sock
	m.ActiveAnon += o.ActiveAnon
	m.InactiveAnon += o.InactiveAnon
	m.ActiveFile += o.ActiveFile
	m.InactiveFile += o.InactiveFile
	m.Unevictable += o.Unevictable
	m.PageFaults += o.PageFaults
	m.MajorFaults += o.MajorFaults
	m.Events.add(&o.Events)
}

func (d *IODevice) add(o IODevice) {
	d.ReadBytes += o.ReadBytes
	d.WriteBytes += o.WriteBytes
	d.Reads += o.Reads
	d.Writes += o.Writes
	d.DiscardBytes += o.DiscardBytes
	d.DiscardWrites += o.DiscardWrites
}

func (e *MemoryEvents) add(o *MemoryEvents) {
	e.Low += o.Low
	e.High += o.High
	e.Max += o.Max
	e.OOM += o.OOM
	e.OOMKill += o.OOMKill
	e.OOMGroupKill += o.OOMGroupKill
}
