package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/opencontainers/runc/libcontainer/exeseal"

	"github.com/podrt/podrt/netsetup"
	"github.com/podrt/podrt/nsenter"
	"github.com/podrt/podrt/rootfs"
)

// initLeaf is the cgroup leaf of the pod init. Container names cannot begin
// with an underscore.
const initLeaf = "_init"

// initOOMScoreAdj is what the sandbox process of every Kubernetes runtime has.
const initOOMScoreAdj = -998

// CreatePod makes a pod: cgroup, volumes, namespaces, pins, files; no
// container. What spec leaves out is filled in. The pod's bundle, if it has
// one, is recorded so that its containers can be launched; spec may be its own
// or differ in what is not about containers. On an error nothing of the pod is
// left.
func (s *Store) CreatePod(ctx context.Context, spec *PodSpec, bundle *PodBundle) (_ *Pod, retErr error) {
	defer func() {
		if retErr != nil && bundle != nil {
			retErr = errors.Join(retErr, s.dropUnused(bundle))
		}
	}()
	p, err := s.planPod(ctx, spec)
	if err != nil {
		return nil, err
	}
	if err := bundle.checkVolumes(p.rec.Spec); err != nil {
		return nil, err
	}
	if bundle != nil {
		if err := bundle.CheckRoots(); err != nil {
			return nil, err
		}
		if spec.usesImages() {
			images, err := s.holdImages(spec)
			if err != nil {
				return nil, err
			}
			defer images.Close()
		}
		p.rec.Bundle, p.bundle = bundle.Dir, bundle
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	lock, err := s.record(p)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := p.build(ctx, lock); err != nil {
		err = fmt.Errorf("create pod %q: %w", p.Name(), err)
		// Not ctx: what a cancelled creation made must go all the same.
		return nil, errors.Join(err, p.teardown(context.WithoutCancel(ctx), true))
	}
	return p, nil
}

// newUID returns a random UUID (RFC 9562, version 4).
func newUID() string {
	var b [16]byte
	// Not crypto/rand, whose self-tests would be paid at every container start.
	// 16 bytes come whole or not at all once the pool is ready (getrandom(2)).
	for {
		if n, err := unix.Getrandom(b[:], 0); n == len(b) && err == nil {
			break
		}
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// record publishes the pod's intent: its directory with lock and record
// appears under its UID in one rename, and its name points there. It returns
// the pod's lock, held.
func (s *Store) record(p *Pod) (_ *os.File, retErr error) {
	names, err := s.lockNames()
	if err != nil {
		return nil, err
	}
	defer names.Close()
	_ = s.sweep() // what it cannot remove is not in this pod's way, and Sweep tells

	link := s.nameLink(p.Name())
	if uid, err := os.Readlink(link); err == nil {
		return nil, fmt.Errorf("pod %q (%s): %w", p.Name(), uid, ErrPodExist)
	}
	if _, err := os.Lstat(p.dir); err == nil {
		return nil, fmt.Errorf("pod with UID %q: %w", p.UID(), fs.ErrExist)
	}
	// A word must not mean two pods.
	if _, err := os.Lstat(s.podDir(p.Name())); err == nil {
		return nil, fmt.Errorf("pod name %q: is the UID of another pod", p.Name())
	}
	if _, err := os.Lstat(s.nameLink(p.UID())); err == nil && p.UID() != p.Name() {
		return nil, fmt.Errorf("pod UID %q: is the name of another pod", p.UID())
	}
	if err := p.dropEarlierLibDir(); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(p.rec.Cgroup); err == nil {
		return nil, fmt.Errorf("create pod %q: cgroup %q exists already", p.Name(), p.rec.Cgroup)
	}

	tmp, lock, err := s.draft(p)
	if err != nil {
		return nil, err
	}
	defer func() {
		if retErr != nil {
			_ = os.RemoveAll(tmp)
			_ = os.RemoveAll(p.dir)
			_ = os.Remove(link)
			lock.Close()
		}
	}()
	if err := os.Symlink(p.UID(), link); err != nil {
		return nil, fmt.Errorf("write state: %w", err)
	}
	if err := os.Rename(tmp, p.dir); err != nil {
		return nil, fmt.Errorf("write state: %w", err)
	}
	return lock, nil
}

// draft makes the directory of a pod under a name that is none yet, with record
// and lock, held. The names are locked.
func (s *Store) draft(p *Pod) (_ string, _ *os.File, retErr error) {
	tmp, err := os.MkdirTemp(s.podsDir(), newPrefix)
	if err != nil {
		return "", nil, fmt.Errorf("write state: %w", err)
	}
	defer func() {
		if retErr != nil {
			_ = os.RemoveAll(tmp)
		}
	}()
	for _, dir := range []string{"ns", "containers"} {
		if err := os.Mkdir(filepath.Join(tmp, dir), 0o700); err != nil {
			return "", nil, fmt.Errorf("write state: %w", err)
		}
	}
	lock, err := os.OpenFile(filepath.Join(tmp, "lock"), os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return "", nil, fmt.Errorf("write state: %w", err)
	}
	defer func() {
		if retErr != nil {
			lock.Close()
		}
	}()
	if err := flock(lock, unix.LOCK_EX); err != nil {
		return "", nil, fmt.Errorf("lock pod %q: %w", p.Name(), err)
	}
	p.rec.Version = p.rec.version()
	return tmp, lock, writeJSON(filepath.Join(tmp, "pod.json"), &p.rec)
}

// build makes the pod's kernel objects; the record is on disk and the lock held.
func (p *Pod) build(ctx context.Context, lock *os.File) error {
	// The kernel's lock on all cgroups is often held for milliseconds, not least
	// by this process (nsenter/grace.c): what needs none goes on beside. Of what
	// others see nothing is made before the cgroup is there.
	cgroup := make(chan error, 1)
	go func() { cgroup <- p.makeCgroup(ctx) }()
	made := sync.OnceValue(func() error { return <-cgroup })
	err := p.buildBeside(made, lock)
	if cerr := made(); cerr != nil && !errors.Is(err, cerr) {
		err = errors.Join(err, cerr)
	}
	if err != nil {
		return err
	}
	if err := p.pinForeignNet(); err != nil {
		return err
	}
	if err := p.attach(ctx); err != nil {
		return err
	}
	if err := p.makeFiles(); err != nil { // they have the pod's addresses
		return err
	}
	// Only now: a cgroup that has controllers enabled for its children takes no
	// processes itself, and the sandbox process may have been one.
	if err := p.cgroup().Enable(); err != nil {
		return err
	}
	p.rec.Ready = true
	return p.save()
}

// buildBeside makes what can be made while the cgroup is; made waits for that.
func (p *Pod) buildBeside(made func() error, lock *os.File) error {
	if err := p.makeLibDir(); err != nil {
		return err
	}
	if err := p.makeVolumes(); err != nil {
		return err
	}
	return p.makeNamespaces(made, lock)
}

// makeNamespaces has the sandbox process make and pin what the pod shares. It is
// born in the pod's cgroup, for which made waits, where it leaves a process or a
// cgroup namespace there, runs as another user (who might stop it), or where
// there are limits: the kernel charges namespaces to who makes them. Else it
// keeps the pod's lock, so that a removal comes after its end in either way.
func (p *Pod) makeNamespaces(made func() error, lock *os.File) error {
	spec := p.rec.Spec
	cfg := nsenter.Config{
		PinDir:      p.nsDir(),
		Sysctls:     spec.Sysctls,
		OOMScoreAdj: initOOMScoreAdj,
	}
	if spec.UserNamespace != nil {
		cfg.Kinds = append(cfg.Kinds, nsenter.User)
		cfg.UIDMappings, cfg.GIDMappings = idMaps(spec.UserNamespace.UIDMappings), idMaps(spec.UserNamespace.GIDMappings)
	}
	for _, kind := range []nsenter.Kind{nsenter.Cgroup, nsenter.IPC, nsenter.UTS, nsenter.Net, nsenter.Time, nsenter.PID} {
		if !p.shares(kind) || p.usesHost(kind) || kind == nsenter.Net && !spec.ownNetwork() {
			continue
		}
		cfg.Kinds = append(cfg.Kinds, kind)
	}
	for clock, o := range spec.TimeOffsets {
		if cfg.TimeOffsets == nil {
			cfg.TimeOffsets = make(map[string]nsenter.TimeOffset, len(spec.TimeOffsets))
		}
		cfg.TimeOffsets[clock] = nsenter.TimeOffset{Secs: o.Secs, Nanosecs: o.Nanosecs}
	}
	if p.shares(nsenter.UTS) && !p.usesHost(nsenter.UTS) {
		cfg.Hostname, cfg.Domainname = spec.Hostname, spec.Domainname
	}
	if len(cfg.Kinds) > 0 {
		var err error
		inCgroup := []nsenter.Kind{nsenter.Cgroup, nsenter.PID, nsenter.User}
		if spec.Resources == nil && spec.CgroupParent == "" &&
			!slices.ContainsFunc(cfg.Kinds, func(k nsenter.Kind) bool { return slices.Contains(inCgroup, k) }) {
			cfg.Hold = lock
		} else {
			if err := made(); err != nil {
				return err
			}
			if cfg.Cgroup, err = p.cgroup().Open(); err != nil {
				return err
			}
			defer cfg.Cgroup.Close()
		}
		if p.shares(nsenter.PID) && !p.usesHost(nsenter.PID) {
			leaf, err := p.cgroup().CreateLeaf(initLeaf)
			if err != nil {
				return err
			}
			if cfg.InitCgroup, err = leaf.Open(); err != nil {
				return err
			}
			defer cfg.InitCgroup.Close()
			// The pod init is seen by the pod's containers as /proc/1/exe: a
			// sealed copy cannot be written or replaced through it (CVE-2019-5736).
			if cfg.Exe, err = exeseal.CloneSelfExe(p.filesDir()); err != nil {
				return fmt.Errorf("seal executable of the pod init: %w", err)
			}
			defer cfg.Exe.Close()
		}
		res, err := nsenter.Create(cfg)
		if err != nil && cfg.Cgroup != nil {
			err = p.explainMemory(err)
		}
		if err != nil {
			return err
		}
		if res.InitPidFD != nil {
			res.InitPidFD.Close()
		}
		p.rec.Pins, p.rec.InitPID, p.rec.InitStart = res.Pins, res.InitPID, res.InitStart
	}
	return nil
}

// explainMemory adds why a process that was started in the pod's cgroup may have
// ended otherwise than it says.
func (p *Pod) explainMemory(err error) error {
	events, _, merr := p.cgroup().MemoryEvents()
	if merr != nil || events.OOM == 0 && events.OOMKill == 0 {
		return err
	}
	return fmt.Errorf("%w: the pod's cgroup has run out of memory; its limit, or one above it, is too low", err)
}

// pinJoinedNet pins the target's network namespace once more as this pod's
// own, so that it stays what it is even if the target is removed by force.
// The target is locked meanwhile: its removal looks for pods that joined it
// under its exclusive lock and finds this one, whose record says so already.
func (p *Pod) pinJoinedNet() error {
	target, err := p.store.load(p.rec.JoinsNet)
	if err != nil {
		return fmt.Errorf("join network: %w", err)
	}
	lock, err := target.lock(context.Background(), unix.LOCK_SH)
	if err != nil {
		return fmt.Errorf("join network: %w", err)
	}
	defer lock.Close()
	if err := target.verify(); err != nil {
		return fmt.Errorf("join network: %w", err)
	}
	// Known before it is made: the target is not removed without force from now on.
	if err := target.addJoiner(p.UID()); err != nil {
		return err
	}
	theirs, _ := target.pin(nsenter.Net)
	pin, err := nsenter.PinPath(theirs.Path, filepath.Join(p.nsDir(), string(nsenter.Net)), nsenter.Net)
	if err != nil {
		return fmt.Errorf("join network of pod %q: %w", target.Name(), err)
	}
	p.rec.Pins = append(p.rec.Pins, pin)
	return nil
}

func idMaps(in []IDMapping) []nsenter.IDMap {
	out := make([]nsenter.IDMap, len(in))
	for i, m := range in {
		out[i] = nsenter.IDMap{ContainerID: m.ContainerID, HostID: m.HostID, Size: m.Size}
	}
	return out
}

// makeFiles writes the pod's hostname, hosts and resolv.conf, and mounts its
// /dev/shm.
func (p *Pod) makeFiles() error {
	if err := p.writeFiles(); err != nil {
		return err
	}
	if p.shares(nsenter.IPC) && !p.usesHost(nsenter.IPC) {
		return rootfs.MountShm(p.shmDir(), p.rec.Spec.ShmSize)
	}
	return nil
}

// writeFiles writes the pod's hostname, hosts and resolv.conf, in place where
// they exist, and has the other pods of its network know it.
func (p *Pod) writeFiles() error {
	files, err := p.files()
	if err != nil {
		return err
	}
	if err := netsetup.WriteFiles(p.filesDir(), files); err != nil {
		return err
	}
	return p.announce()
}
