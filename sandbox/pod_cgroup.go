package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/podrt/podrt/cgroups"
)

// planCgroup settles where the pod's cgroup will be and checks whether it can
// have the pod's limits. Nothing is made.
func (p *Pod) planCgroup() error {
	spec := p.rec.Spec
	switch p.store.Cgroups {
	case NoManager:
		return fmt.Errorf("create pod %q: a pod needs a cgroup: cgroup manager %q", p.Name(), NoManager)
	case SystemdManager:
		unit, path, err := cgroups.UnitFor(spec.CgroupParent, p.UID())
		if err != nil {
			return err
		}
		p.rec.Cgroup, p.rec.CgroupUnit = string(path), string(unit)
	default:
		parent, err := cgroups.Resolve(orDefault(spec.CgroupParent, "/podrt"))
		if err != nil {
			return err
		}
		p.rec.Cgroup, p.rec.CgroupParents = string(parent.Leaf(p.UID())), missing(string(parent))
	}
	if err := checkPrivilege(filepath.Dir(p.rec.Cgroup)); err != nil {
		return fmt.Errorf("create pod %q: %w", p.Name(), err)
	}
	return p.cgroup().Check(spec.Resources)
}

// makeCgroup makes what planCgroup planned, with the pod's limits.
func (p *Pod) makeCgroup(ctx context.Context) error {
	cg, limits := p.cgroup(), p.rec.Spec.Resources
	if p.rec.CgroupUnit != "" {
		if err := p.cgroupUnit().Start(ctx, cg, p.unitDescription(), p.grace(), limits); err != nil {
			return err
		}
	}
	// systemd does not know all controllers.
	if _, err := cgroups.Create(cg); err != nil {
		return err
	}
	if limits == nil {
		return nil
	}
	return cg.Apply(limits)
}

func (p *Pod) cgroupUnit() cgroups.Unit { return cgroups.Unit(p.rec.CgroupUnit) }

// unitDescription tells the pod's unit from that of another pod with its UID, in
// another store or made later.
func (p *Pod) unitDescription() string {
	return fmt.Sprintf("podrt pod %s of %s, made %s", p.Name(), p.store.runRoot(), p.rec.Created.UTC().Format(time.RFC3339Nano))
}

// ownsCgroup reports whether what is at the cgroup's path is the pod's to kill
// and remove. The name of a systemd unit can have been another pod's when this
// one was made, or since.
func (p *Pod) ownsCgroup(ctx context.Context) (bool, error) {
	if p.rec.CgroupUnit == "" {
		return true, nil
	}
	// A transient unit does not outlive the kernel, nor systemd as PID 1.
	if boot, err := bootID(); err == nil && boot != p.rec.BootID {
		return false, nil
	}
	return p.cgroupUnit().Is(ctx, p.unitDescription())
}

// removeCgroup removes the pod's cgroup and what was made for it. No process is
// in it any more.
func (p *Pod) removeCgroup(ctx context.Context) error {
	if p.rec.CgroupUnit == "" {
		return errors.Join(ignoreNotExist(p.cgroup().Remove(ctx)), p.removeCgroupParents())
	}
	err := p.cgroupUnit().Stop(ctx)
	return errors.Join(err, ignoreNotExist(p.cgroup().Remove(ctx)))
}

// removeCgroupParents removes the ancestors that this pod's creation made, and
// /podrt, which is podrt's by name, when no other pod is below them.
func (p *Pod) removeCgroupParents() error {
	made := make([]cgroups.Path, 0, len(p.rec.CgroupParents)+1)
	for _, dir := range p.rec.CgroupParents {
		made = append(made, cgroups.Path(dir))
	}
	if p.rec.Spec.CgroupParent == "" && len(made) == 0 {
		made = append(made, cgroups.Path(filepath.Dir(p.rec.Cgroup)))
	}
	return cgroups.RemoveMade(made)
}

// missing lists dir and its ancestors that do not exist, top first.
func missing(dir string) []string {
	var out []string
	for ; dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); err == nil {
			break
		}
		out = append([]string{dir}, out...)
	}
	return out
}
