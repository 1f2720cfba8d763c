package cgroups

import "fmt"

// MemoryEvents is memory.events, or memory.events.local: how often something
// happened since the cgroup was made.
type MemoryEvents struct {
	Low          uint64 `json:"low"`          // memory below memory.low was reclaimed nevertheless
	High         uint64 `json:"high"`         // usage was above memory.high, tasks were throttled
	Max          uint64 `json:"max"`          // usage was about to go above memory.max
	OOM          uint64 `json:"oom"`          // memory.max was reached and nothing could be reclaimed
	OOMKill      uint64 `json:"oomKill"`      // processes killed by any OOM killer, the host's too
	OOMGroupKill uint64 `json:"oomGroupKill"` // times that memory.oom.group killed all; Linux 5.17
}

func (e *MemoryEvents) parse(b []byte) error {
	return eachPair(b, func(key string, v uint64) {
		switch key {
		case "low":
			e.Low = v
		case "high":
			e.High = v
		case "max":
			e.Max = v
		case "oom":
			e.OOM = v
		case "oom_kill":
			e.OOMKill = v
		case "oom_group_kill":
			e.OOMGroupKill = v
		}
	})
}

// MemoryEvents reads memory.events, which counts for p and all below it, and
// memory.events.local, which counts for p alone (Linux 5.2).
//
// The two together tell whose limit a process died of: the kill counts in the
// cgroup that the process was in, OOM in the one whose memory.max was reached.
// A container's leaf that has an OOMKill and no OOM of its own, in a pod whose
// local OOM has grown, was killed for the pod's limit; with neither, for lack
// of memory on the host.
//
// Without the memory controller both are zero: nothing is counted.
func (p Path) MemoryEvents() (tree, local MemoryEvents, err error) {
	d, err := p.open()
	if err != nil {
		return tree, local, fmt.Errorf("read memory events: %w", err)
	}
	defer d.close()
	if err = d.parse("memory.events", tree.parse); err == nil {
		err = d.parse("memory.events.local", local.parse)
	}
	if gone(err) {
		// No such file, or no such cgroup?
		if _, e := d.events(); e == nil {
			return tree, local, nil
		}
		err = asGone(err)
	}
	if err != nil {
		return tree, local, fmt.Errorf("read memory events: %w", err)
	}
	return tree, local, nil
}

// OOMKills returns how many processes in p and below the OOM killer has killed
// since p was made, whatever for: this cgroup's limit, one above, the host. 0
// without the memory controller.
func (p Path) OOMKills() (uint64, error) {
	tree, _, err := p.MemoryEvents()
	return tree.OOMKill, err
}
