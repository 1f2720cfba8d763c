package sandbox

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/cgroups"
)

// pauses knows when a container is paused, alone or with its pod. Its clock stands
// still meanwhile.
type pauses struct {
	look func() bool // whether the container is paused now
	made time.Time

	mu      sync.Mutex
	since   time.Time     // of the pause that goes on; zero if none does
	before  time.Duration // of all before
	changes uint64
	changed chan struct{} // closed at the next change
}

func newPauses(look func() bool) *pauses {
	return &pauses{look: look, made: time.Now(), changed: make(chan struct{})}
}

// watchPauses follows a container's cgroup until done is closed: by inotify, or,
// where the system allows no more of it, by looking each second.
func watchPauses(leaf cgroups.Path, done <-chan struct{}) *pauses {
	w := newPauses(func() bool {
		frozen, err := leaf.Frozen()
		return err == nil && frozen
	})
	// The kernel says so of each change of what is in the file (cgroup-v2.rst).
	in, err := watchFile(filepath.Join(string(leaf), "cgroup.events"), unix.IN_MODIFY)
	go func() {
		var seen <-chan struct{}
		var look <-chan time.Time
		if err == nil {
			defer in.close()
			seen = in.seen
		} else {
			look = time.Tick(time.Second)
		}
		for {
			w.update()
			select {
			case <-seen:
			case <-look:
			case <-done:
				return
			}
		}
	}()
	return w
}

// update looks at the container.
func (w *pauses) update() {
	w.mu.Lock()
	defer w.mu.Unlock()
	frozen := w.look()
	if frozen == !w.since.IsZero() {
		return
	}
	if frozen {
		w.since = time.Now()
	} else {
		w.before += time.Since(w.since)
		w.since = time.Time{}
	}
	w.changes++
	close(w.changed)
	w.changed = make(chan struct{})
}

// count looks at the container and returns how often a pause has begun or ended.
func (w *pauses) count() uint64 {
	w.update()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changes
}

// now is how long the container has not been paused since w was made.
func (w *pauses) now() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nowLocked()
}

func (w *pauses) nowLocked() time.Duration {
	paused := w.before
	if !w.since.IsZero() {
		paused += time.Since(w.since)
	}
	return time.Since(w.made) - paused
}

// wait waits until at by that clock, and as long as the container is paused; false if
// ctx ends before.
func (w *pauses) wait(ctx context.Context, at time.Duration) bool {
	for {
		w.update()
		w.mu.Lock()
		frozen, left, changed := !w.since.IsZero(), at-w.nowLocked(), w.changed
		w.mu.Unlock()
		if ctx.Err() != nil {
			return false
		}
		if !frozen && left <= 0 {
			return true
		}
		if frozen {
			left = maxGrace * time.Second // until that changes
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}
