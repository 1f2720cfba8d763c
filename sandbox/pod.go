package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"github.com/podrt/podrt/cgroups"
	"github.com/podrt/podrt/nsenter"
)

// Errors that callers act on.
var (
	ErrPodNotExist = errors.New("pod does not exist")
	ErrPodExist    = errors.New("pod with that name exists")
	ErrPodRunning  = errors.New("pod is running")
	ErrPodLost     = errors.New("pod was made before the last boot and its namespaces are gone; remove it with: podrt pod rm")
)

// Pod is one pod of a Store. Its methods may be called from several processes;
// what they change is guarded by the pod's lock on disk.
type Pod struct {
	store *Store
	dir   string // RUN/pods/UID
	rec   podRecord

	bundle *PodBundle // as its maker read it, until its containers are launched
}

// Name returns the pod's name, unique among live pods.
func (p *Pod) Name() string { return p.rec.Name }

// UID returns the pod's UID, never used again for another pod.
func (p *Pod) UID() string { return p.rec.UID }

// Spec returns the pod's specification with all defaults filled in.
func (p *Pod) Spec() *PodSpec { return p.rec.Spec }

func (p *Pod) nsDir() string                { return filepath.Join(p.dir, "ns") }
func (p *Pod) filesDir() string             { return filepath.Join(p.libDir(), "files") }
func (p *Pod) shmDir() string               { return filepath.Join(p.dir, "shm") }
func (p *Pod) volumesDir() string           { return filepath.Join(p.dir, "volumes") }
func (p *Pod) containersDir() string        { return filepath.Join(p.dir, "containers") }
func (p *Pod) containerDir(n string) string { return filepath.Join(p.containersDir(), n) }
func (p *Pod) libDir() string               { return p.store.podLibDir(p.UID()) }
func (p *Pod) logDir() string               { return p.store.podLogDir(p.UID()) }
func (p *Pod) cgroup() cgroups.Path         { return cgroups.Path(p.rec.Cgroup) }

// containerID is the libcontainer id of one of the pod's own containers.
// Container names hold no dot, so that the last one always separates the two.
func (p *Pod) containerID(name string) string { return p.UID() + "." + name }

func (p *Pod) shares(kind nsenter.Kind) bool {
	for _, k := range p.rec.Spec.Share {
		if k == string(kind) {
			return true
		}
	}
	return false
}

func (p *Pod) usesHost(kind nsenter.Kind) bool {
	if kind == nsenter.Net {
		return p.rec.Spec.Network.Mode == "host"
	}
	for _, k := range p.rec.Spec.Host {
		if k == string(kind) {
			return true
		}
	}
	return false
}

// pin returns the pod's pin of that kind.
func (p *Pod) pin(kind nsenter.Kind) (nsenter.Pin, bool) {
	for _, pin := range p.rec.Pins {
		if pin.Kind == kind {
			return pin, true
		}
	}
	return nsenter.Pin{}, false
}

var errPodPaused = errors.New("is paused; resume it first")

// verifyThawed is verify for what waits for a process of the pod: in a frozen
// pod that would be for ever, so that it is errPodPaused.
func (p *Pod) verifyThawed() error {
	if err := p.verify(); err != nil {
		return err
	}
	frozen, err := p.cgroup().Frozen()
	if err != nil {
		return fmt.Errorf("pod %q: %w", p.Name(), err)
	}
	if frozen {
		return fmt.Errorf("pod %q %w", p.Name(), errPodPaused)
	}
	return nil
}

// verify checks that containers can be made in the pod: it is complete, of
// this boot, each pin is still the namespace that was recorded, and the pod
// init of a shared PID namespace is alive.
func (p *Pod) verify() error {
	boot, err := bootID()
	if err != nil {
		return err
	}
	if p.rec.BootID != boot {
		return fmt.Errorf("pod %q: %w", p.Name(), ErrPodLost)
	}
	if !p.rec.Ready {
		return fmt.Errorf("pod %q: its creation did not complete; remove it with: podrt pod rm", p.Name())
	}
	for _, pin := range p.rec.Pins {
		if err := pin.Verify(); err != nil {
			return fmt.Errorf("pod %q: %w", p.Name(), err)
		}
	}
	if p.rec.InitPID != 0 && !p.initAlive() {
		return fmt.Errorf("pod %q: its init (pid %d) is gone and with it the PID namespace; remove the pod and make it again", p.Name(), p.rec.InitPID)
	}
	return nil
}

// loadContainer loads a container that the pod has a record of. One that says
// it is another's, or nobody's, does not exist for the pod: its id was used
// again after a crash, or was taken before the pod could have it.
func (p *Pod) loadContainer(rec containerRecord) (*Container, error) {
	c, err := LoadContainer(rec.Root, rec.ID)
	if err != nil {
		return nil, err
	}
	if c.Annotations()[AnnotationPod] != p.UID() {
		return nil, ErrNotExist
	}
	return c, nil
}

// containers loads the records of the pod's containers: its own in the order
// of pod.json, then those that callers added, by name.
func (p *Pod) containers() ([]containerRecord, error) {
	entries, err := os.ReadDir(p.containersDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list containers of pod %q: %w", p.Name(), err)
	}
	var recs []containerRecord
	var errs []error
	for _, e := range entries {
		var rec containerRecord
		err := readJSON(filepath.Join(p.containerDir(e.Name()), "container.json"), &rec)
		switch {
		case err == nil:
			recs = append(recs, rec)
		case !errors.Is(err, fs.ErrNotExist): // being made, or left by a crash before its record
			errs = append(errs, err)
		}
	}
	own := p.rec.Spec.Own()
	order := make(map[string]int, len(own))
	for i, c := range own {
		order[c.Name] = i
	}
	rank := func(r containerRecord) int {
		if i, ok := order[r.Name]; ok && r.Own {
			return i
		}
		return len(order)
	}
	sort.SliceStable(recs, func(i, j int) bool {
		if a, b := rank(recs[i]), rank(recs[j]); a != b {
			return a < b
		}
		return recs[i].Name < recs[j].Name
	})
	return recs, errors.Join(errs...)
}
