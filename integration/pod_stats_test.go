package integration

import (
	"encoding/json"
	"testing"
)

// podStats is what the tests read of pod stats.
type podStats struct {
	UID, Name  string
	Pod        statsLine
	Containers map[string]statsLine
}

type statsLine struct {
	CPU    struct{ UsageUsec uint64 }
	Memory *struct {
		Usage uint64
		Limit *uint64
	}
	Pids *struct {
		Current uint64
		Limit   *uint64
	}
}

// stats are those of the pod "p".
func (w *world) stats(t *testing.T) podStats { return w.statsOf(t, "p") }

func (w *world) statsOf(t *testing.T, pod string) podStats {
	t.Helper()
	var all []podStats
	out := w.ok(t, "pod", "stats", "--format", "json", pod).stdout
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
		t.Fatalf("pod stats: %v: %s; want an array of one pod", err, out)
	}
	return all[0]
}
