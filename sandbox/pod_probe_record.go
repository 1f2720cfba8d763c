package sandbox

import (
	"os"
	"path/filepath"
	"time"
)

// ProbesStatus is what the probes of a container have said since it was started.
type ProbesStatus struct {
	// Started says that postStart has ended and the startup probe has succeeded.
	Started   bool         `json:"started"`
	Startup   *ProbeStatus `json:"startup,omitempty"`
	Liveness  *ProbeStatus `json:"liveness,omitempty"`
	Readiness *ProbeStatus `json:"readiness,omitempty"`
}

// ProbeStatus is what one probe has said.
type ProbeStatus struct {
	Success   bool      `json:"success"`            // what holds, by the thresholds
	Failures  int64     `json:"failures,omitempty"` // in a row, the last answers
	Message   string    `json:"message,omitempty"`  // of the last answer, if that was no success
	ChangedAt time.Time `json:"changedAt"`          // when any of that changed last
}

// probesRecord is RUN/pods/UID/containers/NAME/probes.json, written by the pod's
// monitor. It is about one init, and worth nothing when the monitor has gone.
type probesRecord struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // of the init, as processStart has it
	Ready bool   `json:"ready"`
	// Asked says that the monitor stops it: it has asked it to end, or does so when
	// its preStop has ended.
	Asked bool `json:"asked,omitempty"`
	ProbesStatus
}

// of is where the record has a probe.
func (r *probesRecord) of(kind ProbeKind) **ProbeStatus {
	switch kind {
	case ProbeStartup:
		return &r.Startup
	case ProbeLiveness:
		return &r.Liveness
	}
	return &r.Readiness
}

// tell notes an answer: what it says, how often in a row there was such a one, and
// whether that decides.
func (r *probesRecord) tell(kind ProbeKind, a probeAnswer, message string, run int64, decides bool) {
	before := **r.of(kind)
	now := before
	now.Message = message
	if a.err == nil {
		now.Failures = run
		if a.ok {
			now.Failures = 0
		}
		if decides {
			now.Success = a.ok
		}
	}
	if now == before {
		return
	}
	now.ChangedAt = time.Now().UTC()
	*r.of(kind) = &now
	if kind == ProbeReadiness {
		r.Ready = now.Success
	}
}

func (p *Pod) probesFile(name string) string {
	return filepath.Join(p.containerDir(name), "probes.json")
}

// saveProbes writes a record. Where there is no room for it, none is left: a
// container is not ready then.
func (p *Pod) saveProbes(name string, r *probesRecord) error {
	path := p.probesFile(name)
	err := writeJSON(path, r)
	if err != nil {
		_ = os.Remove(path)
	}
	return err
}

// probesOf reads the record of a container that runs, nil if there is none of its
// init.
func (p *Pod) probesOf(c *ContainerStatus) *probesRecord {
	var r probesRecord
	if err := readJSON(p.probesFile(c.Name), &r); err != nil || c.PID == 0 || r.PID != c.PID || r.Start != c.start {
		return nil
	}
	return &r
}

// askedByMonitor reports whether the monitor, which is another process and there, stops
// a container because its probe, or its postStart, has failed.
func (p *Pod) askedByMonitor(name string, pid int, start uint64) bool {
	if c := p.rec.Spec.container(name); c == nil || !c.watched() {
		return false
	}
	var r probesRecord
	err := readJSON(p.probesFile(name), &r)
	return err == nil && r.PID == pid && r.Start == start && r.Asked && p.monitored()
}

// fillReady derives which containers are ready, and whether the pod is: when all of
// its containers are, and the init containers have succeeded. A container that is
// paused, or whose pod is being stopped, is not; nor is one that has probes when
// nobody asks any more.
func (p *Pod) fillReady(st *PodStatus) {
	_, err := os.Lstat(p.stopFile())
	stopping := err == nil
	ready, some := st.Phase == PhaseRunning, false
	for i := range st.Containers {
		c := &st.Containers[i]
		if c.Role == RoleInit && !c.External {
			ready = ready && c.Exit != nil && c.Exit.ExitCode == 0
			continue
		}
		c.Ready = c.Status == string(StatusRunning) && !stopping
		if pc := st.Spec.container(c.Name); pc != nil && !c.External && pc.watched() {
			r := p.probesOf(c)
			c.Ready = c.Ready && st.Monitored && r != nil && r.Ready
			if r != nil && st.Monitored {
				c.Probes = &r.ProbesStatus
			} else if c.alive() {
				c.Probes = &ProbesStatus{}
			}
		}
		ready, some = ready && c.Ready, true
	}
	st.Ready = ready && some
}
