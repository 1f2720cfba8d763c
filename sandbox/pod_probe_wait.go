package sandbox

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// WaitReady returns when the pod is ready, or cannot become so any more: it has
// ended, or one of its containers has for good. When ctx ends before, the error says
// what is missing.
func (p *Pod) WaitReady(ctx context.Context) error {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		q, err := p.reload()
		if err != nil {
			return err
		}
		st, err := q.Status()
		if err != nil {
			return err
		}
		if st.Ready {
			return nil
		}
		if err := st.neverReady(); err != nil {
			return fmt.Errorf("pod %q does not become ready: %w", p.Name(), err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("pod %q is not ready: %s: %w", p.Name(), st.missing(), ctx.Err())
		}
	}
}

// neverReady says why a pod that is not ready stays so until it is started anew; nil
// if it need not.
func (st *PodStatus) neverReady() error {
	switch st.Phase {
	case PhaseStopped:
		if st.Monitored {
			return nil // who is about to record how its containers have ended
		}
		fallthrough
	case PhaseSucceeded, PhaseFailed, PhaseDead:
		return fmt.Errorf("its phase is %s", st.Phase)
	case PhaseRunning:
	default:
		return nil
	}
	for i := range st.Containers {
		c := &st.Containers[i]
		if c.External || c.Role == RoleInit {
			continue
		}
		if c.Exit != nil && c.Exit.RestartAt == nil {
			return fmt.Errorf("container %q has ended with status %d", c.Name, c.Exit.ExitCode)
		}
		if c.Probes != nil && !st.Monitored {
			return errors.New("the process that asked its probes has gone")
		}
	}
	return nil
}

// missing says what keeps the pod from being ready.
func (st *PodStatus) missing() string {
	for i := range st.Containers {
		c := &st.Containers[i]
		if c.Ready || c.Role == RoleInit && c.Exit != nil {
			continue
		}
		why := c.Status
		if c.Probes != nil && c.alive() {
			for _, p := range []struct {
				kind ProbeKind
				said *ProbeStatus
			}{{ProbeStartup, c.Probes.Startup}, {ProbeReadiness, c.Probes.Readiness}} {
				if p.said != nil && !p.said.Success {
					why = fmt.Sprintf("%s, and its %sProbe has not succeeded", why, p.kind)
					if p.said.Message != "" {
						why += ": " + p.said.Message
					}
					break
				}
			}
		}
		return fmt.Sprintf("container %q is %s", c.Name, why)
	}
	return fmt.Sprintf("its phase is %s", st.Phase)
}
