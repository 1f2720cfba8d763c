package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/netsetup"
	"github.com/podrt/podrt/nsenter"
)

// imageFile is beside CRIU's files in the checkpoint of a pod's container. The
// checkpoint holds the container's own state only; its network, shared memory
// and files are the pod's, as they are when it is restored.
const imageFile = "podrt.json"

type imageRecord struct {
	Version   int    `json:"version"`
	Pod       string `json:"pod"` // UID
	PodName   string `json:"podName"`
	Container string `json:"container"` // id
}

const imageVersion = 1

// Checkpoint is Container.Checkpoint for a container that may be in a pod of
// the store. What of a pod CRIU cannot restore is refused, before anything is
// made: an error that wraps errors.ErrUnsupported.
func (s *Store) Checkpoint(c *Container, o *CheckpointOptions) error {
	p, err := s.handMadePodOf(c)
	if err != nil {
		return err
	}
	if p == nil {
		return c.checkpointOutsidePods(o)
	}
	lock, err := p.lock(context.Background(), unix.LOCK_SH)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := p.checkCheckpoint(c, o); err != nil {
		return fmt.Errorf("checkpoint container %q: %w", c.ID(), err)
	}
	if err := prepareImages(o); err != nil {
		return err
	}
	if o.PreDump {
		_, err := c.dump(o)
		return errors.Join(err, p.unlockNetwork())
	}
	// Before the container ends: its images are never without.
	mark := filepath.Join(o.ImagesDirectory, imageFile)
	if err := writeJSON(mark, &imageRecord{
		Version: imageVersion, Pod: p.UID(), PodName: p.Name(), Container: c.ID(),
	}); err != nil {
		return err
	}
	made, err := c.dump(o)
	err = errors.Join(err, p.unlockNetwork())
	if !made {
		return errors.Join(err, os.Remove(mark))
	}
	return errors.Join(err, p.dropSharedIPC(o.ImagesDirectory))
}

// checkpointOutsidePods is Checkpoint in a directory that may have held the
// images of a pod's container.
func (c *Container) checkpointOutsidePods(o *CheckpointOptions) error {
	if err := prepareImages(o); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(o.ImagesDirectory, imageFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err := c.dump(o)
	return err
}

// checkImage tells whether the container, which was just created, may be
// restored from the images in dir: those of a pod's container in that same pod,
// others outside of pods. An engine answers for its pods itself.
func (s *Store) checkImage(c *Container, dir string) error {
	var image imageRecord
	err := readJSON(filepath.Join(dir, imageFile), &image)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && image.Version != imageVersion {
		return fmt.Errorf("read %q: version %d; this podrt knows %d", filepath.Join(dir, imageFile), image.Version, imageVersion)
	}
	p, err := s.handMadePodOf(c)
	switch {
	case err != nil:
		return err
	case p == nil && image.Pod != "":
		return fmt.Errorf("restore container %q: checkpoint %q is of container %q in pod %q (%s); restore it into that pod, with --pod", c.ID(), dir, image.Container, image.PodName, image.Pod)
	case p != nil && image.Pod == "":
		return fmt.Errorf("restore container %q: checkpoint %q is of a container without a pod, not of one in pod %q", c.ID(), dir, p.Name())
	case p != nil && image.Pod != p.UID():
		return fmt.Errorf("restore container %q: checkpoint %q is of container %q in another pod, %q (%s)", c.ID(), dir, image.Container, image.PodName, image.Pod)
	}
	return nil
}

// Restore is Container.Restore for a container that may be in a pod of the
// store.
func (s *Store) Restore(c *Container, p *Process, o *CheckpointOptions) error {
	if err := s.checkImage(c, o.ImagesDirectory); err != nil {
		return err
	}
	pod, err := s.handMadePodOf(c)
	if err != nil {
		return err
	}
	if pod == nil {
		return c.Restore(p, o)
	}
	// Again, for a checkpoint that was cut short.
	if err := pod.dropSharedIPC(o.ImagesDirectory); err != nil {
		return err
	}
	return pod.keepNames(func() error { return errors.Join(c.Restore(p, o), pod.unlockNetwork()) })
}

// handMadePodOf returns the pod that the container is in; nil if it is in none,
// or in an engine's, which podrt only watches, and which may be gone before its
// containers.
func (s *Store) handMadePodOf(c *Container) (*Pod, error) {
	uid := c.Annotations()[AnnotationPod]
	if uid == "" {
		return nil, nil
	}
	p, err := s.PodByUID(uid)
	if errors.Is(err, ErrPodNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if p.rec.Engine != nil {
		return nil, nil
	}
	return p, nil
}

// checkCheckpoint tells whether a container of the pod can be checkpointed and
// restored; the pod's lock is held. CRIU (3.17) joins every other namespace by
// its path. A user namespace it joins too early to join the others.
func (p *Pod) checkCheckpoint(c *Container, o *CheckpointOptions) error {
	if err := p.verifyThawed(); err != nil {
		return err
	}
	for _, kind := range []nsenter.Kind{nsenter.User, nsenter.Cgroup} {
		if _, ok := p.pin(kind); ok {
			return fmt.Errorf("pod %q shares its %s namespace, which CRIU cannot join: %w", p.Name(), kind, errors.ErrUnsupported)
		}
	}
	if _, ok := p.pin(nsenter.Net); ok && o.TcpEstablished {
		return fmt.Errorf("connections of pod %q are kept only while its network is shut, for its other containers too: %w", p.Name(), errors.ErrUnsupported)
	}
	if rec := p.rec.Spec.container(c.Annotations()[AnnotationContainer]); rec != nil && !o.LeaveRunning && !o.PreDump {
		// Its end would be one to the pod's monitor, and its place the monitor's to fill.
		return fmt.Errorf("it belongs to the bundle of pod %q, which podrt runs: only with --leave-running", p.Name())
	}
	if _, ok := p.pin(nsenter.IPC); ok {
		return checkSharedMemory(c)
	}
	return nil
}

// unlockNetwork opens the pod's network, which CRIU shuts for all of the pod,
// and after a checkpoint leaves so.
func (p *Pod) unlockNetwork() error {
	pin, ok := p.pin(nsenter.Net)
	if !ok {
		return nil
	}
	return netsetup.Unlock(pin.Path)
}

// checkSharedMemory: CRIU attaches only such segments of System V shared memory
// (sysvipc(7)) as it has made itself. A segment of the pod is there already.
func checkSharedMemory(c *Container) error {
	pids, err := c.Pids()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ESRCH) {
			return err
		}
		if bytes.Contains(maps, []byte("/SYSV")) { // proc_pid_maps(5): "/SYSV" and the key
			return fmt.Errorf("process %d has attached System V shared memory, which is the pod's and which CRIU would make anew: %w", pid, errors.ErrUnsupported)
		}
	}
	return nil
}

// dropSharedIPC removes what CRIU has saved of the pod's IPC namespace. It would
// make all of it anew in the namespace that it joins: fail where an object still
// exists, and bring back what other containers have removed.
func (p *Pod) dropSharedIPC(dir string) error {
	if _, ok := p.pin(nsenter.IPC); !ok {
		return nil
	}
	for _, kind := range []string{"shm", "msg", "sem"} {
		images, err := fs.Glob(os.DirFS(dir), "ipcns-"+kind+"-*.img") // dir is no pattern
		if err != nil {
			return err
		}
		for _, image := range images {
			if err := os.Remove(filepath.Join(dir, image)); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepNames calls do and puts the pod's host name and domain name back, which
// CRIU sets to what they were at the checkpoint.
func (p *Pod) keepNames(do func() error) error {
	pin, ok := p.pin(nsenter.UTS)
	if !ok {
		return do()
	}
	var before unix.Utsname
	if err := inUTSNamespace(pin.Path, func() error { return unix.Uname(&before) }); err != nil {
		return fmt.Errorf("read names of pod %q: %w", p.Name(), err)
	}
	err := do()
	nerr := inUTSNamespace(pin.Path, func() error {
		if err := unix.Sethostname(untilZero(before.Nodename[:])); err != nil {
			return err
		}
		return unix.Setdomainname(untilZero(before.Domainname[:]))
	})
	if nerr != nil {
		nerr = fmt.Errorf("set names of pod %q: %w", p.Name(), nerr)
	}
	return errors.Join(err, nerr)
}

func untilZero(b []byte) []byte {
	before, _, _ := bytes.Cut(b, []byte{0})
	return before
}

// inUTSNamespace calls do on a thread in the namespace. The thread ends with it
// (setns(2)).
func inUTSNamespace(path string, do func() error) error {
	ns, err := os.Open(path)
	if err != nil {
		return err
	}
	defer ns.Close()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWUTS); err != nil {
			done <- os.NewSyscallError("setns", err)
			return
		}
		done <- do()
	}()
	return <-done
}
