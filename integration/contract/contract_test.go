package contract

import (
	"slices"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// row is one thing that a caller depends on.
type row struct {
	name string
	says string // the sentence of the source that asks for it
	need string // a controller, in the VM
	do   func(*session)
}

// callers are all rows, by who depends on them.
func callers() map[string][]row {
	return map[string][]row{
		"containerd": containerdRows,
		"conmon":     conmonRows,
		"conmon-rs":  conmonRsRows,
		"podman":     podmanRows,
		"CRI-O":      crioRows,
		"Docker":     dockerRows,
		"BuildKit":   buildkitRows,
		"by hand":    slices.Concat(usageRows, logRows, runRows, hookRows, execRows, stateRows),
	}
}

// TestContract does the steps of every row with podrt, with podrt called as
// runc, and with runc, and compares what came of each. Natively the rows are
// those that need no controllers, in the VM those that do.
func TestContract(t *testing.T) {
	rung.Privileged(t)
	w := newWorld(t)
	for caller, rows := range callers() {
		t.Run(caller, func(t *testing.T) {
			t.Parallel()
			for _, r := range rows {
				if (r.need != "") != (rung.Current() == rung.VM) {
					continue
				}
				t.Run(r.name, func(t *testing.T) {
					t.Parallel()
					w.compare(t, r)
				})
			}
		})
	}
}

// nativeOnly skips in the VM what is the same there, and takes longer.
func nativeOnly(t *testing.T) {
	t.Helper()
	if rung.Current() == rung.VM {
		t.Skip("native only")
	}
}

func (w *world) compare(t *testing.T, r row) {
	records, skipped := make([]string, len(w.sides)), make([]bool, len(w.sides))
	for i, s := range w.sides {
		x := w.session(t, s, 'a'+byte(i))
		r.do(x)
		records[i] = x.record.String()
		skipped[i] = x.skipped
	}
	runc := len(w.sides) - 1
	for i, s := range w.sides[:runc] {
		if records[i] != records[runc] && !skipped[i] {
			t.Errorf("%s differs from runc; %s:\n%s", s.name, r.says, difference(records[i], records[runc]))
		}
	}
}
