package sandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fakeProbe answers as a script says, one letter each time: "." with success, "x"
// without, "!" not being asked, "t" not at all. It is silent behind its end.
type fakeProbe struct {
	script string
	began  time.Time
	asked  []string // seconds since began
	end    context.CancelFunc
}

func (f *fakeProbe) ask(ctx context.Context) probeAnswer {
	f.asked = append(f.asked, fmt.Sprint(time.Since(f.began).Seconds()))
	if f.script == "" {
		f.end()
		return probeAnswer{}
	}
	how := f.script[0]
	f.script = f.script[1:]
	switch how {
	case '.':
		return probeAnswer{ok: true}
	case '!':
		return probeAnswer{err: errors.New("cannot")}
	case 't':
		<-ctx.Done()
		return probeAnswer{message: "timed out"}
	}
	return probeAnswer{message: "no"}
}

// TestProbeWorker: when it asks, and what it makes of the answers: "+" and "-" where
// they decide.
func TestProbeWorker(t *testing.T) {
	for _, tt := range []struct {
		name   string
		kind   ProbeKind
		probe  Probe
		script string
		asked  string // seconds
		told   string // for each answer
		ok     bool   // at the end
	}{
		{"defaults", ProbeLiveness, Probe{}, "..x.xx", "0 10 20 30 40 50 60", "++n+nn", false},
		{"liveness fails once", ProbeLiveness, Probe{}, ".xxx...", "0 10 20 30", "+nn-", false},
		{"a success between", ProbeLiveness, Probe{}, "xx.xx.xxx", "0 10 20 30 40 50 60 70 80", "nn+nn+nn-", false},
		{"at once", ProbeLiveness, Probe{FailureThreshold: 1, InitialDelaySeconds: 7}, "x", "7", "-", false},
		{"startup succeeds", ProbeStartup, Probe{PeriodSeconds: 1}, "xx.xxx", "0 1 2", "nn+", true},
		{"startup fails", ProbeStartup, Probe{PeriodSeconds: 1, FailureThreshold: 2}, "xx.", "0 1", "n-", false},
		{"readiness goes on", ProbeReadiness, Probe{PeriodSeconds: 2, SuccessThreshold: 2, FailureThreshold: 2}, "..x.xx..x", "0 2 4 6 8 10 12 14 16 18", "n+nnn-n+n", false},
		{"what cannot be asked counts for nothing", ProbeLiveness, Probe{FailureThreshold: 2}, "x!!x", "0 10 20 30", "n  -", false},
		{"timeouts", ProbeLiveness, Probe{PeriodSeconds: 3, TimeoutSeconds: 2}, "t.ttt", "0 3 6 9 12", "n+nn-", false},
		{"longer than a period", ProbeLiveness, Probe{PeriodSeconds: 1, TimeoutSeconds: 5}, "t.ttt", "0 5 6 11 16", "n+nn-", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				f := &fakeProbe{script: tt.script, began: time.Now(), end: cancel}
				tt.probe.setDefaults()
				told := ""
				w := probeWorker{kind: tt.kind, probe: &tt.probe, pauses: newPauses(func() bool { return false }), ask: f.ask}
				w.tell = func(a probeAnswer, _ int64, decides bool) {
					switch {
					case a.err != nil:
						told += " "
					case !decides:
						told += "n"
					case a.ok:
						told += "+"
					default:
						told += "-"
					}
				}
				ok := w.run(ctx)
				if got := strings.Join(f.asked, " "); got != tt.asked || told != tt.told || ok != tt.ok {
					t.Errorf("asked at %s, told %q, %t; want %s, %q, %t", got, told, ok, tt.asked, tt.told, tt.ok)
				}
				cancel()
			})
		})
	}
}

// TestProbePaused: a paused container is not asked, what is under way then counts for
// nothing if it fails, and time stands still.
func TestProbePaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var paused atomic.Bool
		p := newPauses(paused.Load)
		pause := func(to bool) {
			paused.Store(to)
			p.update()
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f := &fakeProbe{script: ".tx.", began: time.Now(), end: cancel}
		probe := Probe{InitialDelaySeconds: 5, PeriodSeconds: 10, TimeoutSeconds: 4}
		probe.setDefaults()
		w := probeWorker{kind: ProbeLiveness, probe: &probe, pauses: p, ask: f.ask}
		var told []string
		w.tell = func(a probeAnswer, run int64, _ bool) { told = append(told, fmt.Sprint(a.ok, run, a.err)) }
		done := make(chan bool)
		go func() { done <- w.run(ctx) }()
		at := func(seconds int) { time.Sleep(time.Until(f.began.Add(time.Duration(seconds)*time.Second + 1))) }

		at(3)
		pause(true)
		at(103)
		pause(false) // 2 seconds are left: 105
		at(105)
		pause(true) // 10 seconds less nothing: 1115
		at(1105)
		pause(false)
		at(1116) // it is under way
		pause(true)
		at(1117)
		pause(false)
		at(1200)
		<-done
		if want := []string{"105", "1115", "1126", "1136", "1146"}; !slices.Equal(roundSeconds(f.asked), want) {
			t.Errorf("asked at %q; want %q", f.asked, want)
		}
		want := []string{"true 1 <nil>", "false 1 it was paused meanwhile", "false 1 <nil>", "true 1 <nil>"}
		if !slices.Equal(told, want) {
			t.Errorf("told %q; want %q", told, want)
		}
	})
}

func roundSeconds(all []string) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i], _, _ = strings.Cut(s, ".")
	}
	return out
}

// TestProbesRecord: what inspect shows of a probe.
func TestProbesRecord(t *testing.T) {
	r := probesRecord{ProbesStatus: ProbesStatus{Readiness: &ProbeStatus{}}}
	for _, tt := range []struct {
		name    string
		a       probeAnswer
		message string
		run     int64
		decides bool
		want    ProbeStatus
		changed bool
	}{
		{"below the threshold", probeAnswer{ok: true}, "", 1, false, ProbeStatus{}, false},
		{"success", probeAnswer{ok: true}, "", 2, true, ProbeStatus{Success: true}, true},
		{"once more", probeAnswer{ok: true}, "", 3, true, ProbeStatus{Success: true}, false},
		{"failure", probeAnswer{}, "exit status 1", 1, false, ProbeStatus{Success: true, Failures: 1, Message: "exit status 1"}, true},
		{"not asked", probeAnswer{err: errors.New("x")}, "it could not be asked: x", 1, false, ProbeStatus{Success: true, Failures: 1, Message: "it could not be asked: x"}, true},
		{"failures", probeAnswer{}, "exit status 1", 2, true, ProbeStatus{Failures: 2, Message: "exit status 1"}, true},
	} {
		before := r
		r.tell(ProbeReadiness, tt.a, tt.message, tt.run, tt.decides)
		got := *r.Readiness
		got.ChangedAt = time.Time{}
		if got != tt.want || r.Ready != tt.want.Success || (r != before) != tt.changed {
			t.Errorf("%s: %+v, ready %t, changed %t; want %+v, %t", tt.name, got, r.Ready, r != before, tt.want, tt.changed)
		}
	}
}
