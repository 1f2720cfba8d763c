package sandbox

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/podrt/podrt/netsetup"
	"github.com/podrt/podrt/nsenter"
)

// Phase is where a pod is in its life. It is derived, never stored.
type Phase string

// Phases of a pod.
const (
	PhaseCreating  Phase = "Creating"  // being made, or its maker was killed
	PhaseCreated   Phase = "Created"   // ready; no container has run yet
	PhaseRunning   Phase = "Running"   // a container is alive, or will be started again
	PhasePaused    Phase = "Paused"    // frozen as a whole
	PhaseSucceeded Phase = "Succeeded" // all containers ended with 0
	PhaseFailed    Phase = "Failed"    // all containers ended, one of them not with 0
	PhaseStopped   Phase = "Stopped"   // all containers ended; how is not known to podrt
	PhaseDead      Phase = "Dead"      // a namespace is lost: after a reboot, a removed pin, a killed pod init
)

// PodStatus is all there is to know about a pod at one moment.
type PodStatus struct {
	UID         string            `json:"uid"`
	Name        string            `json:"name"`
	Phase       Phase             `json:"phase"`
	Ready       bool              `json:"ready"`            // all of its containers are
	Reason      string            `json:"reason,omitempty"` // for phases Creating and Dead
	Created     time.Time         `json:"created"`
	Bundle      string            `json:"bundle,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Hostname    string            `json:"hostname"`
	Namespaces  []NamespaceStatus `json:"namespaces"`
	Cgroup      string            `json:"cgroup"` // directory of the pod's cgroup
	Network     NetworkStatus     `json:"network"`
	Init        *InitStatus       `json:"init,omitempty"` // of a shared PID namespace
	Monitored   bool              `json:"monitored"`      // a process waits for its containers
	Containers  []ContainerStatus `json:"containers"`
	Engine      *EngineStatus     `json:"engine,omitempty"` // whose pod it is, if not podrt's
	Spec        *PodSpec          `json:"spec"`
}

// NamespaceStatus is one namespace that the pod's containers share.
type NamespaceStatus struct {
	Kind  nsenter.Kind `json:"kind"`
	Path  string       `json:"path"`
	Dev   uint64       `json:"dev"`
	Inode uint64       `json:"inode"`
	Error string       `json:"error,omitempty"` // why the pin is no longer that namespace
}

// NetworkStatus is how the pod is attached.
type NetworkStatus struct {
	Mode   string `json:"mode"`
	PodUID string `json:"podUID,omitempty"` // of the pod whose network is joined
	Driver string `json:"driver,omitempty"` // of a network: bridge, or cni
	// Interface is the pod's place in a network, as it was made.
	Interface *netsetup.Interface `json:"interface,omitempty"`
	// What the namespace holds now, and the rules that lead to it; only of
	// [Pod.Inspect].
	Links  []netsetup.Link  `json:"links,omitempty"`
	Routes []netsetup.Route `json:"routes,omitempty"`
	Rules  []string         `json:"rules,omitempty"`
}

// InitStatus is the pod init.
type InitStatus struct {
	PID   int  `json:"pid"`
	Alive bool `json:"alive"`
}

// ContainerStatus is one container of a pod.
type ContainerStatus struct {
	Name     string `json:"name"`
	ID       string `json:"id"`
	Role     Role   `json:"role,omitempty"` // init, sidecar
	Status   string `json:"status"`         // waiting, creating, created, running, paused, stopped
	PID      int    `json:"pid,omitempty"`
	Bundle   string `json:"bundle"`
	Cgroup   string `json:"cgroup,omitempty"`
	External bool   `json:"external,omitempty"` // made by a caller with --pod, who alone knows how it ends
	// Exit is how it ended; nil while it lives and where nobody recorded it.
	Exit *ExitRecord `json:"exit,omitempty"`
	// Restarts is how often it was started again since the pod was started, by the
	// pod's restart policy, and LastExit how it ended the last time.
	Restarts int         `json:"restarts"`
	LastExit *ExitRecord `json:"lastExit,omitempty"`

	// Ready says that it runs, has started, and its readiness probe, if it has one,
	// succeeds.
	Ready bool `json:"ready"`
	// Probes are nil where there are none, and no postStart.
	Probes *ProbesStatus `json:"probes,omitempty"`

	start uint64 // of PID, to tell it from a later process
}

// Statuses beside libcontainer's.
const (
	statusWaiting  = "waiting"  // of a container that is made when an init container has ended
	statusCreating = "creating" // of one that has a record and no state
)

func (c *ContainerStatus) alive() bool {
	return c.Status == "created" || c.Status == "running" || c.Status == "paused"
}

// Status looks at the pod as it is now.
func (p *Pod) Status() (*PodStatus, error) {
	spec := p.rec.Spec
	st := &PodStatus{
		UID: p.UID(), Name: p.Name(), Created: p.rec.Created, Bundle: p.rec.Bundle,
		Labels: spec.Metadata.Labels, Annotations: spec.Metadata.Annotations,
		Hostname: spec.Hostname, Cgroup: p.rec.Cgroup,
		Network:    p.networkStatus(),
		Monitored:  p.monitored(),
		Namespaces: []NamespaceStatus{}, Containers: []ContainerStatus{}, Spec: spec,
		Engine: p.engineStatus(),
	}
	for _, pin := range p.rec.Pins {
		ns := NamespaceStatus{Kind: pin.Kind, Path: pin.Path, Dev: pin.Dev, Inode: pin.Ino}
		if err := pin.Verify(); err != nil {
			ns.Error = err.Error()
		}
		st.Namespaces = append(st.Namespaces, ns)
	}
	if p.rec.InitPID != 0 {
		st.Init = &InitStatus{PID: p.rec.InitPID, Alive: p.initAlive()}
	}
	recs, err := p.containers()
	if err != nil {
		return nil, err
	}
	for _, rec := range recs {
		cs, err := p.containerStatus(rec)
		if err != nil {
			return nil, err
		}
		st.Containers = append(st.Containers, *cs)
	}
	if p.rec.Engine != nil {
		labelContainers(st.Containers, recs)
	}
	if len(spec.InitContainers) > 0 && len(recs) > 0 {
		st.Containers = p.withWaiting(st.Containers)
	}
	st.Phase, st.Reason, err = p.phase(st.Containers)
	p.fillReady(st)
	return st, err
}

// withWaiting adds those of the pod's own containers that have not been made yet.
func (p *Pod) withWaiting(all []ContainerStatus) []ContainerStatus {
	for i, c := range p.rec.Spec.Own() {
		if i < len(all) && all[i].Name == c.Name && !all[i].External {
			continue
		}
		all = slices.Insert(all, i, ContainerStatus{
			Name: c.Name, ID: p.containerID(c.Name), Role: p.rec.Spec.role(c.Name), Status: statusWaiting,
			Bundle: filepath.Join(p.rec.Bundle, "containers", c.Name), Cgroup: string(p.cgroup().Leaf(c.Name)),
		})
	}
	return all
}

func (p *Pod) initAlive() bool {
	start, err := processStart(p.rec.InitPID)
	return err == nil && start == p.rec.InitStart && !exiting(p.rec.InitPID)
}

// exiting reports whether a process is in exit(2), or gone. The init of a PID
// namespace stays there, no zombie yet, until every process of the namespace
// has been reaped (pid_namespaces(7)); those of the containers by parents who
// may take their time.
func exiting(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	// proc_pid_stat(5): flags, field 9, is the seventh behind the name.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 7 {
		return true
	}
	flags, err := strconv.ParseUint(string(fields[6]), 10, 64)
	const pfExiting = 0x4 // PF_EXITING of include/linux/sched.h
	return err != nil || flags&pfExiting != 0
}

func (p *Pod) phase(cs []ContainerStatus) (Phase, string, error) {
	if !p.rec.Ready {
		return PhaseCreating, "its creation did not complete", nil
	}
	if err := p.verify(); err != nil {
		return PhaseDead, err.Error(), nil
	}
	if p.rec.Engine != nil {
		phase, reason := p.enginePhase(cs)
		return phase, reason, nil
	}
	frozen, err := p.cgroup().Frozen()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", err
	}
	if frozen {
		return PhasePaused, "", nil
	}
	if p.supervised() {
		return PhaseRunning, "", nil
	}
	started, unknown, failed, pending := false, false, false, false
	for i := range cs {
		c := &cs[i]
		switch c.Status {
		case "running", "paused":
			return PhaseRunning, "", nil
		case string(StatusCreated), statusCreating:
			pending = pending || !c.External && c.Role == RoleMain
		case statusWaiting: // for what has failed, or for a monitor that was killed
			unknown = true
		default:
			started = true
			if c.Role == RoleSidecar {
				continue // which had to end
			}
			unknown = unknown || c.Exit == nil
			failed = failed || c.Exit != nil && c.Exit.ExitCode != 0
		}
	}
	switch {
	case !started:
		return PhaseCreated, "", nil
	case pending && p.monitored(): // which is about to start it
		return PhaseRunning, "", nil
	case failed:
		return PhaseFailed, "", nil
	case unknown || pending:
		return PhaseStopped, "", nil
	}
	return PhaseSucceeded, "", nil
}

// containerStatus derives a container's status from libcontainer's state.
func (p *Pod) containerStatus(rec containerRecord) (*ContainerStatus, error) {
	cs := &ContainerStatus{Name: rec.Name, ID: rec.ID, Bundle: rec.Bundle, External: !rec.Own, Status: "stopped", Restarts: rec.Restarts, LastExit: rec.LastExit}
	if rec.Own {
		cs.Role, cs.Cgroup = p.rec.Spec.role(rec.Name), string(p.cgroup().Leaf(rec.Name))
	}
	c, err := p.loadContainer(rec)
	switch {
	case errors.Is(err, ErrNotExist):
		cs.Status = statusCreating
	case err != nil:
		return nil, err
	default:
		status, err := c.Status()
		if err != nil {
			return nil, err
		}
		cs.Status = string(status)
		cs.Cgroup = c.CgroupPath()
		if cs.alive() {
			cs.PID, cs.start = c.InitPID()
			// A frozen cgroup outlives its processes.
			if now, err := processStart(cs.PID); err != nil || now != cs.start {
				cs.Status, cs.PID, cs.start = string(StatusStopped), 0, 0
			}
		}
	}
	if cs.alive() {
		return cs, nil
	}
	var exit ExitRecord
	err = readJSON(filepath.Join(p.containerDir(rec.Name), "exit.json"), &exit)
	switch {
	case err == nil:
		cs.Exit, cs.Status = &exit, "stopped"
		if exit.RestartAt != nil && !p.monitored() {
			exit.RestartAt = nil // who would have started it was killed
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return cs, nil
}
