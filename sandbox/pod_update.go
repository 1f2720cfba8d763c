package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/cgroups"
)

// podUpdate is a change of the pod's limits that is under way. It is recorded
// before anything of it is done, beside limits that are still the old ones; one
// write of the record replaces these and takes it away. Who finds it knows that
// the change was cut short, and what the cgroup held before: the next update puts
// that back, as does the next start of the pod's bundle; until then the cgroup may
// have some of the new limits. Recorded the other way, new limits first, those
// that the kernel refuses would be left to somebody who did not ask for them; and
// with no record nobody would know that it differs from the cgroup.
type podUpdate struct {
	Resources *specs.LinuxResources `json:"resources"` // all limits, as they were to be
	Before    []cgroups.Setting     `json:"before"`    // in the order in which they are written
}

// Update changes limits of the pod as a whole, in place; what change leaves out,
// or has zero where zero means absent, stays as it is. Memory, cpu, pids, huge
// pages and unified can be changed. All of it is checked before anything is done,
// and if the kernel refuses something then, what was done is undone. A limit of
// memory below what is in use is refused: the kernel would kill for it.
//
// A paused pod can be updated. An engine's pod is the engine's to update.
func (p *Pod) Update(ctx context.Context, change *specs.LinuxResources) error {
	if p.rec.Engine != nil {
		return fmt.Errorf("update pod %q: %w", p.Name(), p.engineOnly())
	}
	lock, err := p.lock(ctx, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := p.verify(); err != nil {
		return err
	}
	if err := p.update(ctx, change); err != nil {
		return fmt.Errorf("update pod %q: %w", p.Name(), err)
	}
	return nil
}

// settleUpdate undoes an update that was cut short. The pod's lock is held
// exclusively.
func (p *Pod) settleUpdate(ctx context.Context) error {
	if p.rec.Update == nil {
		return nil
	}
	if err := p.update(ctx, &specs.LinuxResources{}); err != nil {
		return fmt.Errorf("undo an update of pod %q that was cut short: %w", p.Name(), err)
	}
	return nil
}

// update changes the limits, from what they are without an update that was cut
// short.
func (p *Pod) update(ctx context.Context, change *specs.LinuxResources) error {
	plan, err := p.planUpdate(ctx, change)
	if err != nil {
		return err
	}
	rec := p.rec
	p.rec.Update = &podUpdate{Resources: plan.merged, Before: plan.before}
	if err := p.save(); err != nil {
		p.rec = rec
		return err
	}
	err = p.carryOut(ctx, plan)
	if err == nil {
		spec := *p.rec.Spec
		spec.Resources = plan.merged
		p.rec.Spec, p.rec.Update = &spec, nil
		if err = p.save(); err == nil {
			return nil
		}
	}
	// Not ctx: what a cancelled update did must be undone all the same.
	undone := p.undoUpdate(context.WithoutCancel(ctx), plan)
	p.rec = rec
	if undone == nil {
		p.rec.Update = nil
		undone = p.save()
	}
	return errors.Join(err, undone)
}

// updatePlan is what an update does to the pod's cgroup.
type updatePlan struct {
	put    []cgroups.Setting     // first, of an update that was cut short
	set    *specs.LinuxResources // then
	before []cgroups.Setting     // the way back
	merged *specs.LinuxResources // all limits of the pod, as they will be
	were   []*specs.LinuxResources
}

// planUpdate checks all that can be checked. Nothing is changed.
func (p *Pod) planUpdate(ctx context.Context, change *specs.LinuxResources) (*updatePlan, error) {
	old := p.rec.Spec.Resources
	plan := &updatePlan{merged: mergeResources(old, change), were: []*specs.LinuxResources{old}}
	plan.set = completeChange(change, plan.merged)
	for _, r := range []*specs.LinuxResources{plan.set, plan.merged} {
		spec, ps := *p.rec.Spec, problems{}
		spec.Resources = r
		spec.validateResources(&ps)
		if err := ps.err(); err != nil {
			return nil, err
		}
	}
	files, err := cgroups.Files(plan.set)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 && p.rec.Update == nil {
		return nil, errors.New("no limit is given")
	}
	cg := p.cgroup()
	if err := cg.Check(plan.set); err != nil {
		return nil, err
	}
	own, err := p.ownsCgroup(ctx)
	if err != nil {
		return nil, err
	}
	if !own {
		return nil, fmt.Errorf("systemd unit %q is not the pod's any more", p.rec.CgroupUnit)
	}
	now, err := cg.Settings(files)
	if err != nil {
		return nil, err
	}
	if left := p.rec.Update; left != nil {
		plan.put, plan.were = left.Before, append(plan.were, left.Resources)
	}
	plan.before = slices.Clone(plan.put)
	for _, s := range now {
		if !hasFile(plan.before, s.File) {
			plan.before = append(plan.before, s)
		}
	}
	return plan, plan.checkMemory(cg, files)
}

func hasFile(settings []cgroups.Setting, file string) bool {
	return slices.ContainsFunc(settings, func(s cgroups.Setting) bool { return s.File == file })
}

// checkMemory holds the limit of memory, if there is to be another, against what
// is in use.
func (plan *updatePlan) checkMemory(cg cgroups.Path, files []string) error {
	const file = "memory.max"
	if slices.Contains(files, file) {
		// The limit that it is to have need never have been put back.
		plan.put = slices.DeleteFunc(slices.Clone(plan.put), func(s cgroups.Setting) bool { return s.File == file })
		if limit := *plan.set.Memory.Limit; limit > 0 {
			return cg.CheckUsage(uint64(limit))
		}
		return nil
	}
	for _, s := range plan.put {
		if limit, err := strconv.ParseUint(s.Value, 10, 64); err == nil && s.File == file {
			return cg.CheckUsage(limit)
		}
	}
	return nil
}

// carryOut does what was planned.
func (p *Pod) carryOut(ctx context.Context, plan *updatePlan) error {
	cg := p.cgroup()
	if p.rec.CgroupUnit != "" {
		if err := p.cgroupUnit().Limit(ctx, plan.merged, plan.were...); err != nil {
			return err
		}
	}
	if err := cg.Restore(plan.put); err != nil {
		return err
	}
	return cg.Apply(plan.set)
}

// undoUpdate undoes what carryOut may have done.
func (p *Pod) undoUpdate(ctx context.Context, plan *updatePlan) error {
	var err error
	if p.rec.CgroupUnit != "" {
		old := plan.were[0]
		err = p.cgroupUnit().Limit(ctx, old, append(slices.Clone(plan.were[1:]), plan.merged)...)
	}
	return errors.Join(err, p.cgroup().Restore(plan.before))
}

// ParsePodLimits reads limits of a pod in the form of the OCI runtime
// specification, strictly as pod.json's are read; file is the name that errors
// bear, - for the standard input.
func ParsePodLimits(file string, in io.Reader) (*specs.LinuxResources, error) {
	if file == "-" {
		file = "standard input"
	}
	data, err := io.ReadAll(io.LimitReader(in, maxPodJSON+1))
	if err != nil {
		return nil, err
	}
	ps, r := problems{file: file}, new(specs.LinuxResources)
	decodeJSON(&ps, data, maxPodJSON, jsonStrict, r)
	if err := ps.err(); err != nil {
		return nil, err
	}
	return r, nil
}
