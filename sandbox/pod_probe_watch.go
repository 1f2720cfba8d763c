package sandbox

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// watch is what the pod's monitor does for a container while its init lives: it
// runs postStart, and then the probes, and stops the container when one of them says
// so.
type watch struct {
	s      *supervisor
	m      *member
	spec   *PodContainer
	up     func() // called when the container has started, by its startup probe
	pauses *pauses
	dialer *dialer

	life context.Context // until the init has ended
	die  context.CancelFunc
	ctx  context.Context // until then, or until the pod is stopped
	quit context.CancelFunc
	wg   sync.WaitGroup

	mu     sync.Mutex
	record probesRecord
}

// blame is why a container was stopped by the monitor.
type blame struct {
	cause  ExitCause
	reason string
}

// attend begins to watch a container that has been started; nil if there is nothing
// to do for it. up is called once it has started, perhaps at once.
func (s *supervisor) attend(ctx context.Context, m *member, up func()) *watch {
	spec := s.p.rec.Spec.container(m.rec.Name)
	if spec == nil || !spec.watched() {
		up()
		return nil
	}
	w := &watch{s: s, m: m, spec: spec, up: up}
	w.life, w.die = context.WithCancel(context.WithoutCancel(ctx))
	w.ctx, w.quit = endsWith(ctx, s.watchStop())
	context.AfterFunc(w.life, w.quit)
	w.record.PID, w.record.Start = m.c.InitPID()
	for _, p := range spec.probes() {
		*w.record.of(p.kind) = &ProbeStatus{Success: p.kind == ProbeLiveness, ChangedAt: time.Now().UTC()}
	}
	w.save()
	w.pauses = s.pauses.add(w.life, s.p.cgroup().Leaf(m.rec.Name))
	w.dialer = s.p.newDialer(w.record.PID, w.record.Start, s.reaped)
	w.wg.Go(w.run)
	return w
}

// ended waits for the end of the container's init, and for that of all that the
// watch does. The init can be waited for then, and its PID become another's.
func (w *watch) ended() {
	if w == nil {
		return
	}
	for {
		err := unix.Waitid(unix.P_PID, w.m.proc.Pid(), nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	w.die()
	w.wg.Wait()
}

func (w *watch) run() {
	if l := w.spec.Lifecycle; l != nil && l.PostStart != nil {
		if err := w.postStart(l.PostStart); err != nil {
			w.stop(CausePostStart, "postStart failed: "+err.Error(), nil)
			return
		}
	}
	if p := w.spec.StartupProbe; p != nil && !w.probe(ProbeStartup, p) {
		return
	}
	if w.ctx.Err() != nil {
		return
	}
	w.change(func(r *probesRecord) { r.Started, r.Ready = true, w.spec.ReadinessProbe == nil })
	w.up()
	for _, p := range w.spec.probes() {
		if p.kind != ProbeStartup {
			w.wg.Go(func() { w.probe(p.kind, p.probe) })
		}
	}
}

// probe runs one probe, and does what it decides.
func (w *watch) probe(kind ProbeKind, p *Probe) bool {
	last := ""
	worker := probeWorker{kind: kind, probe: p, pauses: w.pauses, ask: w.asker(kind, p)}
	worker.tell = func(a probeAnswer, run int64, decides bool) {
		if last = a.message; a.err != nil {
			last = "it could not be asked: " + a.err.Error()
		}
		w.change(func(r *probesRecord) { r.tell(kind, a, last, min(run, p.FailureThreshold), decides) })
	}
	if worker.run(w.ctx) {
		return true
	}
	if w.ctx.Err() == nil {
		w.stop(CauseProbe, string(kind)+"Probe failed: "+last, p.TerminationGracePeriodSeconds)
	}
	return false
}

// asker is how a probe asks once.
func (w *watch) asker(kind ProbeKind, p *Probe) func(context.Context) probeAnswer {
	if p.Exec == nil {
		r := w.dialer.request(p)
		return func(ctx context.Context) probeAnswer { return w.dialer.ask(ctx, r) }
	}
	var e *execution
	return func(ctx context.Context) probeAnswer {
		if e == nil {
			var err error
			if e, err = w.s.p.newExecution(w.m.rec, w.m.proc.Spec, p.Exec.Command, "_"+string(kind), w.s.reaped); err != nil {
				return probeAnswer{err: err}
			}
		}
		return e.run(ctx)
	}
}

// stop stops the container as the pod would be: preStop, its stop signal, and SIGKILL
// when the grace period, the pod's if none is given, is over.
func (w *watch) stop(cause ExitCause, reason string, grace *int64) {
	if w.ctx.Err() != nil || exiting(w.record.PID) {
		return // the pod is being stopped, or the container has ended by itself
	}
	limit := w.s.p.grace()
	if grace != nil {
		limit = time.Duration(*grace) * time.Second
	}
	w.m.blame.Store(&blame{cause, reason})
	w.change(func(r *probesRecord) { r.Asked = true })
	p := w.s.p
	if err := p.stopContainer(w.life, w.m.rec, limit, &w.s.asked); err != nil && w.life.Err() == nil {
		_ = p.cgroup().Leaf(w.m.rec.Name).Kill()
	}
}

// change changes the record, and writes it if there is anything new in it. That is of
// the init which lives: the one of its successor is another's.
func (w *watch) change(do func(*probesRecord)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.record
	do(&w.record)
	w.record.Ready = w.record.Ready && w.m.blame.Load() == nil // whatever is asked while it is stopped
	if w.life.Err() == nil && w.record != before {
		w.save()
	}
}

// saveRetry is how long after it could not be written the record is written again,
// which a container that has nothing new to say waits for to be ready.
const saveRetry = time.Second

// save writes the record. w is locked, or nobody's yet.
func (w *watch) save() {
	if w.s.p.saveProbes(w.m.rec.Name, &w.record) == nil {
		return
	}
	time.AfterFunc(saveRetry, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.life.Err() == nil {
			w.save()
		}
	})
}
