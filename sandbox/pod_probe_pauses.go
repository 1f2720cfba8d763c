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

// pauseWatch follows the cgroups of a monitor's containers, by one inotify for all of
// them: a user has few of those (fs.inotify.max_user_instances). Where the system
// allows no more, it looks each second.
type pauseWatch struct {
	done <-chan struct{} // until then

	mu   sync.Mutex
	in   *inotify
	all  map[*pauses]struct{}
	once sync.Once
}

// add follows a container's cgroup until life has ended.
func (f *pauseWatch) add(life context.Context, leaf cgroups.Path) *pauses {
	p := newPauses(func() bool {
		frozen, err := leaf.Frozen()
		return err == nil && frozen
	})
	// The kernel says so of each change of what is in the file (cgroup-v2.rst). The
	// watch goes with the cgroup.
	path := filepath.Join(string(leaf), "cgroup.events")
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	if f.in == nil {
		f.in, err = watchFile(path, unix.IN_MODIFY)
	} else {
		err = f.in.add(path, unix.IN_MODIFY)
	}
	if f.all == nil {
		f.all = map[*pauses]struct{}{}
	}
	f.all[p] = struct{}{}
	context.AfterFunc(life, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.all, p)
	})
	if f.in == nil || err != nil {
		go p.poll(life)
		return p
	}
	f.once.Do(func() { go f.follow(f.in) })
	return p
}

func (f *pauseWatch) follow(in *inotify) {
	defer in.close()
	for {
		select {
		case <-in.seen:
		case <-f.done:
			return
		}
		f.mu.Lock()
		for p := range f.all {
			p.update()
		}
		f.mu.Unlock()
	}
}

// poll looks each second.
func (w *pauses) poll(life context.Context) {
	for tick := time.Tick(time.Second); ; w.update() {
		select {
		case <-tick:
		case <-life.Done():
			return
		}
	}
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
