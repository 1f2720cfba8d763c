package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/cgroups"
	"github.com/podrt/podrt/nsenter"
)

// What is done to an engine's pod is done to its containers, each through its
// own cgroup: the cgroup above them is the engine's, and can hold more than
// they: the processes that watch them (conmon, in kubelet's pod cgroup), or all
// other pods, where the engine was told of no cgroup of the pod's own.

// engineOnly is the error for what would take the pod out of its engine's hands.
func (p *Pod) engineOnly() error {
	e := p.rec.Engine
	return fmt.Errorf("pod %q is a pod of %s (sandbox %s), and for %s to change", p.Name(), e.Engine, p.UID(), e.Engine)
}

// alive returns the containers that run or wait to, with their cgroups.
func (p *Pod) alive() ([]ContainerStatus, error) {
	st, err := p.Status()
	if err != nil {
		return nil, err
	}
	var alive []ContainerStatus
	for _, c := range st.Containers {
		if c.alive() {
			alive = append(alive, c)
		}
	}
	return alive, nil
}

// eachAlive acts on the cgroups of all live containers at once.
func (p *Pod) eachAlive(verb string, act func(cgroups.Path) error) error {
	alive, err := p.alive()
	if err != nil {
		return err
	}
	if len(alive) == 0 {
		return fmt.Errorf("%s pod %q: no container is running: %w", verb, p.Name(), ErrNotRunning)
	}
	errs := make([]error, len(alive))
	var wg sync.WaitGroup
	for i, c := range alive {
		wg.Go(func() {
			err := act(cgroups.Path(c.Cgroup))
			if errors.Is(err, fs.ErrNotExist) {
				pidfd, gone := openProcess(c.PID, c.start)
				if gone != nil {
					return // one that has ended meanwhile is as good as done
				}
				pidfd.Close()
				err = errors.New("it has no cgroup of its own")
			}
			if err != nil {
				errs[i] = fmt.Errorf("container %q: %w", c.Name, err)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s pod %q: %w", verb, p.Name(), err)
	}
	return nil
}

// pauseEngine freezes the containers, all or none.
func (p *Pod) pauseEngine(ctx context.Context) error {
	var mu sync.Mutex
	var frozen []cgroups.Path // by this call: others the engine has paused
	err := p.eachAlive("pause", func(cg cgroups.Path) error {
		before, err := cg.Frozen()
		if err == nil {
			err = cg.Freeze(ctx)
		}
		if err == nil && !before {
			mu.Lock()
			frozen = append(frozen, cg)
			mu.Unlock()
		}
		return err
	})
	if err != nil {
		for _, cg := range frozen {
			err = errors.Join(err, ignoreNotExist(cg.Thaw(context.WithoutCancel(ctx))))
		}
	}
	return err
}

func (p *Pod) resumeEngine(ctx context.Context) error {
	return p.eachAlive("resume", func(cg cgroups.Path) error { return cg.Thaw(ctx) })
}

// killEngine sends SIGKILL to every process of the containers and waits for
// their end.
func (p *Pod) killEngine(ctx context.Context) error {
	alive, err := p.alive()
	if err != nil {
		return err
	}
	var waits []func() error
	var errs []error
	for _, c := range alive {
		init, err := openProcess(c.PID, c.start)
		if err == nil {
			defer init.Close()
			// It may have no cgroup of its own.
			err = unix.PidfdSendSignal(int(init.Fd()), unix.SIGKILL, nil, 0)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("signal process %d: %w", c.PID, err))
		}
		errs = append(errs, ignoreNotExist(cgroups.Path(c.Cgroup).Kill()))
		if init != nil {
			waits = append(waits, func() error { return waitProcess(ctx, init) })
		}
		waits = append(waits, func() error {
			err := ignoreNotExist(cgroups.Path(c.Cgroup).WaitKilled(ctx))
			// An empty cgroup that is frozen makes the container a paused one, which
			// its engine could not delete.
			return errors.Join(err, ignoreNotExist(cgroups.Path(c.Cgroup).Thaw(ctx)))
		})
	}
	for _, wait := range waits {
		errs = append(errs, wait())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("kill pod %q: %w", p.Name(), err)
	}
	return nil
}

// removeEngine removes an engine's pod by hand. Without force it only removes
// what the engine has left: a record without containers.
func (p *Pod) removeEngine(ctx context.Context, force bool) error {
	recs, err := p.containers()
	if err != nil && !force {
		return err
	}
	var hooks []error
	for _, rec := range recs {
		c, err := LoadContainer(rec.Root, rec.ID)
		_, known := podOf(rec.Root, rec.ID, c, err)
		if !force && known {
			return fmt.Errorf("remove pod %q: container %q exists: %w; use force to kill and delete it", p.Name(), rec.ID, p.engineOnly())
		}
		dir, err := os.Open(p.containerDir(rec.Name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted meanwhile
		}
		if err != nil {
			return fmt.Errorf("remove pod %q: %w", p.Name(), err)
		}
		defer dir.Close()
		if flock(dir, unix.LOCK_EX|unix.LOCK_NB) != nil && !force {
			return fmt.Errorf("remove pod %q: container %q is being created; use force to remove it all the same", p.Name(), rec.ID)
		}
		err = p.deleteContainer(ctx, rec)
		switch {
		case isPoststop(err):
			hooks = append(hooks, err)
		case err != nil:
			return fmt.Errorf("remove pod %q: %w", p.Name(), err)
		}
	}
	if err := p.drop(ctx); err != nil {
		return err
	}
	if len(hooks) > 0 {
		return fmt.Errorf("remove pod %q: %w", p.Name(), errors.Join(hooks...))
	}
	return nil
}

// enginePhase is the phase of an engine's pod that is complete and has its pins.
func (p *Pod) enginePhase(cs []ContainerStatus) (Phase, string) {
	alive, paused, started := 0, 0, 0
	for i := range cs {
		c := &cs[i]
		switch {
		case c.ID == p.UID() && c.Status == statusCreating:
			return PhaseDead, "its sandbox container was deleted, and not by podrt; remove it with: podrt pod rm"
		case c.Status == string(StatusPaused):
			paused++
			fallthrough
		case c.alive():
			alive++
		}
		if c.Status != statusCreating && c.Status != string(StatusCreated) {
			started++
		}
	}
	switch {
	case alive > 0 && alive == paused:
		return PhasePaused, ""
	case started == 0:
		return PhaseCreated, ""
	case alive > 0:
		return PhaseRunning, ""
	}
	return PhaseStopped, ""
}

// label is what a container is called in its pod.
func (r *containerRecord) label() string {
	if r.Label != "" {
		return r.Label
	}
	return r.Name
}

// labelContainers names the containers of an engine's pod as the engine does.
// Of several with one name, as restarts leave them, the live one has it, and
// the others their ids.
func labelContainers(cs []ContainerStatus, recs []containerRecord) {
	holder := make(map[string]int, len(cs))
	for i := range cs {
		label := recs[i].label()
		if at, taken := holder[label]; !taken || cs[i].alive() && !cs[at].alive() {
			holder[label] = i
		}
	}
	for label, i := range holder {
		cs[i].Name = label
	}
}

// engineContainer finds a container by its engine's name or its id.
func (p *Pod) engineContainer(name string) (*Container, error) {
	st, err := p.Status()
	if err != nil {
		return nil, err
	}
	for _, c := range st.Containers {
		if c.Name == name || c.ID == name {
			return p.engineMember(c.ID)
		}
	}
	return nil, fmt.Errorf("container %q of pod %q: %w", name, p.Name(), ErrNotExist)
}

// engineMember loads the container of that id, if it is the pod's still.
func (p *Pod) engineMember(id string) (*Container, error) {
	recs, err := p.containers()
	for _, rec := range recs {
		if rec.ID == id {
			return p.loadContainer(rec)
		}
	}
	return nil, errors.Join(err, ErrNotExist)
}

// engineStats are those of the pod's cgroup, where it has one of its own, and
// the sum of its containers' otherwise.
func (p *Pod) engineStats(s *Stats) error {
	if p.rec.Engine.CgroupOwn {
		var err error
		if s.Pod, err = p.cgroup().Stats(); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	all := make([]*CgroupStats, 0, len(s.Containers))
	for _, c := range s.Containers {
		all = append(all, c)
	}
	s.Pod = cgroups.Sum(all)
	return nil
}

// engineFits reports whether ref names the pod in its engine's words.
func (p *Pod) engineFits(ref string) bool {
	e := p.rec.Engine
	return e != nil && ref != "" && (ref == p.Name() || ref == e.Name || ref == e.UID)
}

// engineFitsRemoval is engineFits for removal: what says which namespace.
func (p *Pod) engineFitsRemoval(ref string) bool {
	e := p.rec.Engine
	return e != nil && ref != "" && (ref == e.UID || e.Namespace != "" && e.Name != "" && ref == e.Namespace+"/"+e.Name)
}

// EngineStatus is what the engine of a pod says of it.
type EngineStatus struct {
	Engine    string `json:"engine"`    // containerd, cri-o, podman, docker
	SandboxID string `json:"sandboxID"` // of its sandbox container, and the pod's UID here
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	UID       string `json:"uid,omitempty"` // Kubernetes'
	Attempt   uint32 `json:"attempt,omitempty"`
	Root      string `json:"root"` // state root of its containers
	// Given are the namespaces that the engine made, by path.
	Given map[nsenter.Kind]string `json:"given,omitempty"`
	// PodCgroup says that the pod's cgroup, which is the engine's, holds no
	// other pod.
	PodCgroup bool `json:"podCgroup"`
	// Sandbox is the init of the sandbox container.
	Sandbox InitStatus `json:"sandbox"`
}

func (p *Pod) engineStatus() *EngineStatus {
	e := p.rec.Engine
	if e == nil {
		return nil
	}
	return &EngineStatus{
		Engine: e.Engine, SandboxID: p.UID(), Namespace: e.Namespace, Name: e.Name, UID: e.UID, Attempt: e.Attempt,
		Root: e.Root, Given: e.Given, PodCgroup: e.CgroupOwn, Sandbox: InitStatus{PID: e.InitPID, Alive: e.initAlive()},
	}
}

// latest chooses among pods of one engine's name: the one whose sandbox runs,
// if that is one. The others are what earlier attempts have left.
func latest(pods []*Pod) []*Pod {
	var running []*Pod
	for _, p := range pods {
		if p.rec.Engine.initAlive() {
			running = append(running, p)
		}
	}
	if len(running) == 1 {
		return running
	}
	return pods
}
