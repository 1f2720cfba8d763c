package sandbox

import (
	"context"
	"errors"
	"time"
)

// probeAnswer is what came of asking once.
type probeAnswer struct {
	ok      bool
	message string // of a failure
	err     error  // why it could not be asked: counts for nothing
}

var errPausedMeanwhile = errors.New("it was paused meanwhile")

// tally counts a probe's answers as the kubelet does (pkg/kubelet/prober/worker.go):
// a threshold's worth of the same in a row decides.
type tally struct {
	successes, failures int64 // thresholds

	ok  bool  // the last answer
	run int64 // how many in a row were like it
}

// add counts an answer, and reports whether it decides.
func (t *tally) add(ok bool) bool {
	if ok != t.ok {
		t.ok, t.run = ok, 0
	}
	t.run++
	if ok {
		return t.run >= t.successes
	}
	return t.run >= t.failures
}

// probeWorker asks one container with one probe, until it has decided for good (a
// startup probe either way, a liveness probe by failing).
type probeWorker struct {
	kind   ProbeKind
	probe  *Probe
	pauses *pauses
	ask    func(context.Context) probeAnswer

	// tell is called for each answer that counts, with how often there was the same
	// in a row, and whether that decides.
	tell func(a probeAnswer, run int64, decides bool)
}

// run asks from the probe's initial delay on, by the clock of pauses. It reports
// whether the probe has succeeded in the end; false also when ctx has ended.
func (w *probeWorker) run(ctx context.Context) bool {
	t := tally{successes: w.probe.SuccessThreshold, failures: w.probe.FailureThreshold}
	period := time.Duration(w.probe.PeriodSeconds) * time.Second
	next := time.Duration(w.probe.InitialDelaySeconds) * time.Second
	for w.pauses.wait(ctx, next) {
		began := w.pauses.now()
		a := w.once(ctx)
		// One that takes longer than a period is followed by the next at once.
		next = max(began+period, w.pauses.now())
		if ctx.Err() != nil {
			return false
		}
		decides := a.err == nil && t.add(a.ok)
		w.tell(a, t.run, decides)
		if decides && w.kind != ProbeReadiness && (!a.ok || w.kind == ProbeStartup) {
			return a.ok
		}
	}
	return false
}

// once asks once. What fails while the container is paused for a part of the time has
// not been asked.
func (w *probeWorker) once(ctx context.Context) probeAnswer {
	timeout := time.Duration(w.probe.TimeoutSeconds) * time.Second
	before := w.pauses.count()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	a := w.ask(ctx)
	if !a.ok && a.err == nil && w.pauses.count() != before {
		a.err = errPausedMeanwhile
	}
	return a
}
