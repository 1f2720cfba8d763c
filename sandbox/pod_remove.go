package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/nsenter"
	"github.com/podrt/podrt/rootfs"
)

// Remove removes the pod and all that it owns. Without force, a pod with a
// live container (ErrPodRunning), or whose network another pod has joined, is
// refused. Remove is idempotent: what a killed process left half made or half
// removed goes as well. A *PoststopError says that all is gone.
//
// An engine's pod is removed while it has containers by force only; they are
// killed and deleted, and what the engine made besides stays.
func (p *Pod) Remove(ctx context.Context, force bool) error {
	if p.rec.Engine != nil {
		return p.removeEngine(ctx, force)
	}
	if force {
		// Without it, on a file system that is full, this waits for the monitor, who
		// waits for the lock, and goes on then.
		_ = p.forbidRestarts()
		// Before the lock: whoever holds it may be waiting for one of these.
		owned, err := p.ownsCgroup(ctx)
		if err == nil && owned {
			err = ignoreNotExist(p.cgroup().Kill())
		}
		if err != nil {
			return fmt.Errorf("remove pod %q: %w", p.Name(), err)
		}
	}
	lock, err := p.lock(ctx, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer lock.Close()
	if force {
		if p.rec.Spec.startsLater() {
			_ = p.forbidRestarts() // anew: a start that had the lock until now has allowed them
		}
	} else {
		if p.supervised() {
			return fmt.Errorf("remove pod %q: its containers run, or will be started (restartPolicy %q, %d init containers): %w; stop the pod first or use force",
				p.Name(), p.rec.Spec.RestartPolicy, len(p.rec.Spec.InitContainers), ErrPodRunning)
		}
		recs, err := p.containers()
		if err != nil {
			return err
		}
		for _, rec := range recs {
			c, err := p.containerStatus(rec)
			if err != nil {
				return err
			}
			if c.alive() {
				return fmt.Errorf("remove pod %q: container %q is %s: %w; stop the pod first or use force", p.Name(), c.Name, c.Status, ErrPodRunning)
			}
		}
		joined, err := p.joinedBy()
		if err != nil {
			return err
		}
		if len(joined) > 0 {
			return fmt.Errorf("remove pod %q: pod %q has joined its network; remove that one first or use force", p.Name(), joined[0])
		}
	}
	return p.teardown(ctx, force)
}

// joinedBy names the pods that use this pod's network namespace.
func (p *Pod) joinedBy() ([]string, error) {
	joiners, err := p.joiners()
	var names []string
	for _, uid := range joiners {
		other, err := p.store.load(uid)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case other.rec.JoinsNet == p.UID():
			names = append(names, other.Name())
		}
	}
	return names, err
}

// teardown is creation backwards, by id alone. Every step is tried; the pod's
// record goes last and only when all else is gone, so that what could not be
// removed stays known.
func (p *Pod) teardown(ctx context.Context, force bool) error {
	var errs []error
	try := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}

	cg := p.cgroup()
	owned, err := p.ownsCgroup(ctx)
	try(err)
	switch {
	case !owned:
	case force:
		try(ignoreNotExist(cg.Kill()))
	default:
		try(ignoreNotExist(cg.Leaf(initLeaf).Kill()))
	}
	recs, err := p.containers()
	try(err)
	ending := p.beginEnd(recs, owned && force)
	release := func() {
		try(rootfs.UnmountShm(p.shmDir()))
		try(p.detach(ctx))
		try(p.leaveJoined())
		try(nsenter.Unpin(p.nsDir()))
	}
	// While the processes end, unless hooks may still use them, or a volume have
	// them below it: a directory that is mounted upon there is busy here.
	early := ending.silent() && len(p.rec.Spec.Volumes) == 0
	if early {
		release()
	}
	if owned && force && !ending.silent() {
		// The monitor waits for their inits, which Kill may not have reached.
		try(ignoreNotExist(cg.KillEach()))
	}
	// Before the containers' directories go: the monitor records their end there.
	if err := p.awaitMonitor(); !force {
		try(err) // by force, a stopped monitor does not keep the pod
	}
	try(ending.finish(ctx))
	switch {
	case !owned:
	case force:
		try(ignoreNotExist(cg.WaitKilled(ctx)))
	default:
		try(ignoreNotExist(cg.WaitEmpty(ctx)))
	}

	for i := range p.rec.Spec.Volumes { // a creation that was killed may not have
		try(p.hideState(&p.rec.Spec.Volumes[i]))
	}
	try(rootfs.RemoveVolumes(p.volumesDir(), p.libVolumesDir()))
	if !early {
		release()
	}
	if owned {
		try(p.removeCgroup(ctx))
	}
	if len(errs) > 0 {
		for _, err := range ending.hooks {
			try(errors.New(err.Error())) // no *PoststopError: something is left
		}
		return fmt.Errorf("remove pod %q: %w", p.Name(), errors.Join(errs...))
	}

	for _, dir := range []string{p.libDir(), p.logDir()} {
		if err := rootfs.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove pod %q: %w", p.Name(), err)
		}
	}
	if err := p.forget(); err != nil {
		return err
	}
	if len(ending.hooks) > 0 {
		return fmt.Errorf("remove pod %q: %w", p.Name(), errors.Join(ending.hooks...))
	}
	return nil
}

// forget drops the pod's name and directory: a rename takes the record away in
// one step, the sweep of a later creation would finish what is cut short here.
func (p *Pod) forget() error {
	names, err := p.store.lockNames()
	if err != nil {
		return err
	}
	defer names.Close()
	if p.OwnsBundle() {
		if err := p.store.removeBundle(p.UID()); err != nil {
			return fmt.Errorf("remove pod %q: %w", p.Name(), err)
		}
	}
	// The directory first: a name that leads nowhere is dropped by whoever wants
	// it next, but a pod without its name would share that with another.
	dead := filepath.Join(p.store.podsDir(), ".dead-"+p.UID())
	if err := os.Rename(p.dir, dead); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove pod %q: %w", p.Name(), err)
	}
	link := p.store.nameLink(p.Name())
	if uid, err := os.Readlink(link); err == nil && uid == p.UID() {
		if err := os.Remove(link); err != nil {
			return fmt.Errorf("remove pod %q: %w", p.Name(), err)
		}
	}
	if err := os.RemoveAll(dead); err != nil {
		return fmt.Errorf("remove pod %q: %w", p.Name(), err)
	}
	return nil
}

// deleteContainer removes a container, whatever it does, and what the pod has of
// it. A *PoststopError says that all is gone.
func (p *Pod) deleteContainer(ctx context.Context, rec containerRecord) error {
	hooks := p.clearContainer(ctx, rec)
	if hooks != nil && !isPoststop(hooks) {
		return hooks
	}
	if err := p.dropRecord(rec.Name); err != nil {
		return err
	}
	return hooks
}

// clearContainer is deleteContainer, but for the pod's record of the container.
// Another's container that has the id is let alone.
func (p *Pod) clearContainer(ctx context.Context, rec containerRecord) error {
	c, err := LoadContainer(rec.Root, rec.ID)
	owner, _ := podOf(rec.Root, rec.ID, c, err)
	foreign := owner != p.UID() && (owner != "" || err == nil)
	var hooks error
	if !foreign {
		if err := deleteLoaded(ctx, rec.Root, rec.ID, c, err, true); err != nil {
			hooks = fmt.Errorf("delete container %q: %w", rec.Name, err)
			if !isPoststop(err) {
				return hooks
			}
		}
	}
	if err := p.dropMounts(rec.Name); err != nil {
		return err
	}
	return hooks
}

// dropMounts removes the root overlay and the subPath pins of a container that is
// gone.
func (p *Pod) dropMounts(name string) error {
	if err := errors.Join(rootfs.RemoveOverlay(p.overlayDir(name)), rootfs.RemoveSubpaths(p.subpathsDir(name))); err != nil {
		return fmt.Errorf("remove mounts of container %q: %w", name, err)
	}
	return nil
}

// dropContainer removes what the pod has of a container that is gone; last its
// record.
func (p *Pod) dropContainer(name string) error {
	if err := p.dropMounts(name); err != nil {
		return err
	}
	return p.dropRecord(name)
}

// dropRecord removes the pod's record of a container of which nothing is left.
func (p *Pod) dropRecord(name string) error {
	if err := removeKnown(p.containerDir(name), "container.json", "exit.json"); err != nil {
		return fmt.Errorf("remove record of container %q: %w", name, err)
	}
	return nil
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
