package sandbox

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// sidecars are those of a pod that have been started.
type sidecars struct {
	s      *supervisor
	ctx    context.Context
	cancel context.CancelFunc // from then on none is started again
	recs   []containerRecord  // in the order in which they were started
	up     chan struct{}      // closed when the last one has started, or ended for good
	wg     sync.WaitGroup
	mu     sync.Mutex
	errs   []error
}

func newSidecars(ctx context.Context, s *supervisor) *sidecars {
	ctx, cancel := context.WithCancel(ctx)
	return &sidecars{s: s, ctx: ctx, cancel: cancel}
}

// add has a sidecar supervised.
func (c *sidecars) add(m *member) {
	c.recs = append(c.recs, m.rec)
	c.up = make(chan struct{})
	up := sync.OnceFunc(func() { close(c.up) })
	c.wg.Go(func() {
		defer up()
		_, err := c.s.supervise(c.ctx, m, up)
		c.fail(err)
	})
}

// await waits until the last one that was added has started: its postStart has ended
// and its startup probe succeeded, perhaps after a restart. Nor is there anything to
// wait for once the pod is stopped.
func (c *sidecars) await(ctx context.Context) {
	select {
	case <-c.up:
	case <-c.s.watchStop():
	case <-ctx.Done():
	}
}

func (c *sidecars) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs = append(c.errs, err)
}

// end stops the sidecars, the last one first. Whoever stops the pod at the time does
// that, as long as they are at it; a paused pod has to go on before.
func (c *sidecars) end(ctx context.Context) error {
	c.cancel()
	ended := make(chan struct{})
	go func() {
		c.wg.Wait()
		close(ended)
	}()
	if len(c.recs) > 0 {
		if !c.s.wait(ctx, time.Now()) { // it is being stopped
			c.awaitStop(ctx, ended)
		}
		p := c.s.p
		_, recs := p.sidecarsLast(c.recs)
		ctx, until := context.WithoutCancel(ctx), time.Now().Add(p.grace())
		p.beginPreStops(ctx, recs, until, &c.s.asked)
		if err := p.stopInTurn(ctx, recs, until, &c.s.asked); err != nil {
			c.fail(err)
			for _, rec := range recs { // they are waited for
				c.fail(ignoreNotExist(p.cgroup().Leaf(rec.Name).Kill()))
			}
		}
	}
	<-ended
	return errors.Join(c.errs...)
}

// awaitStop returns when nobody stops the pod any more, or all sidecars have ended.
func (c *sidecars) awaitStop(ctx context.Context, ended <-chan struct{}) {
	if ctx.Err() != nil {
		return // this process does, and asks nobody twice
	}
	f, err := openFile(c.s.p.stopFile(), unix.O_RDWR, 0)
	if err != nil {
		return
	}
	defer f.Close()
	ctx, cancel := endsWith(ctx, ended)
	defer cancel()
	_ = flockWithin(ctx, f, unix.LOCK_EX)
}
