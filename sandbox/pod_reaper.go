package sandbox

import (
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
)

// reaper waits for adopted orphans, and not for the containers' inits and what else
// this process has started and waits for itself.
type reaper struct {
	own     sync.Map // pid of a child that has not been waited for
	mu      sync.Mutex
	held    int       // by how many
	once    sync.Once // for start
	signals chan os.Signal
	kicks   chan struct{}
	done    chan struct{}
}

func newReaper() *reaper {
	return &reaper{
		signals: make(chan os.Signal, 1),
		kicks:   make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
}

// start has it reap from now on. Before the first containers run there are no
// orphans, and a signal for each of libcontainer's children would cost their launch.
func (r *reaper) start() { r.once.Do(r.begin) }

func (r *reaper) begin() {
	signal.Notify(r.signals, unix.SIGCHLD)
	go func() {
		defer close(r.done)
		for {
			r.reap()
			select {
			case _, ok := <-r.signals:
				if !ok {
					return
				}
			case <-r.kicks:
			}
		}
	}()
}

// hold keeps the reaper from reaping until release is called, so that children can
// be started that are not its own. Any number of callers may hold it at once: none
// waits for another.
func (r *reaper) hold() (release func()) {
	r.mu.Lock()
	r.held++
	r.mu.Unlock()
	return func() {
		r.mu.Lock()
		r.held--
		r.mu.Unlock()
		r.kick()
	}
}

// add says that somebody waits for a child. The reaper is held.
func (r *reaper) add(pid int) { r.own.Store(pid, true) }

// release says that a child has been waited for: its pid may become an orphan's, and
// the dead children behind it can be seen.
func (r *reaper) release(pid int) {
	r.own.Delete(pid)
	r.kick()
}

func (r *reaper) kick() {
	select {
	case r.kicks <- struct{}{}:
	default:
	}
}

func (r *reaper) stop() {
	r.start()
	signal.Stop(r.signals)
	close(r.signals)
	<-r.done
	r.reap()
}

func (r *reaper) reap() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held > 0 {
		return
	}
	ReapOrphans(func(pid int) bool {
		_, own := r.own.Load(pid)
		return own
	})
}
