package main

import (
	"runtime"
	"testing"
)

// Processors do no more at once than each alone, but for what the clock of a
// virtual one hides; and something.
func TestParallel(t *testing.T) {
	if got, most := parallel(), 2*float64(runtime.NumCPU()); got < 0.3 || got > most {
		t.Errorf("parallel = %.2f; want 0.3 to %.0f", got, most)
	}
}
