package main

import (
	"runtime"
	"sync"
	"time"
)

// parallel is what all processors do at once, in times of what one does alone:
// their number on a machine that has them for itself. Virtual ones are often two
// threads of one core, or wait for a neighbour's: what is done side by side then
// takes longer, and what is done one by one does not.
func parallel() float64 {
	const rounds = 5
	all := make([]float64, rounds)
	for i := range all {
		one := spin(1)
		all[i] = spin(runtime.NumCPU()) / one
	}
	return spreadOf(all).Median
}

// spin is how many steps n threads make in 20 ms, together.
func spin(n int) (steps float64) {
	end := time.Now().Add(20 * time.Millisecond)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			own, x := 0, uint32(1)
			for time.Now().Before(end) {
				for range 10_000 {
					x ^= x << 13
					x ^= x >> 17
					x ^= x << 5
				}
				own++
			}
			mu.Lock()
			defer mu.Unlock()
			steps += float64(own)
			if x == 0 { // never, which the compiler does not know
				steps = 0
			}
		})
	}
	wg.Wait()
	return steps
}
