package sandbox

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runc/libcontainer/utils"
	"github.com/tidwall/gjson"
	"golang.org/x/sys/unix"
)

// ending is the containers of a pod that is removed. Those that are nothing but
// processes and a cgroup below the pod's are ended with that, all at once, by
// their files alone; libcontainer, which decodes each one's whole configuration
// and mounts a procfs to look at its init, deletes the others one by one.
type ending struct {
	p     *Pod
	plain []containerRecord
	inits []int // pidfds of those whose init lives
	rest  []containerRecord
	hooks []error // of poststop hooks of rest
}

// beginEnd looks at the containers. killed says that every process in the pod's
// cgroup was sent SIGKILL.
func (p *Pod) beginEnd(recs []containerRecord, killed bool) *ending {
	e := &ending{p: p}
	buf := make([]byte, stateFileMax)
	for _, rec := range recs {
		init, ok := p.plainInit(rec, buf)
		if !killed || !ok {
			if init >= 0 {
				_ = unix.Close(init)
			}
			e.rest = append(e.rest, rec)
			continue
		}
		e.plain = append(e.plain, rec)
		if init >= 0 {
			// Once more, in case that it was moved out of the pod's cgroup.
			_ = unix.PidfdSendSignal(init, unix.SIGKILL, nil, 0)
			e.inits = append(e.inits, init)
		}
	}
	return e
}

// silent reports whether nothing is run when the containers are deleted. Hooks
// may still use what the pod has.
func (e *ending) silent() bool { return len(e.rest) == 0 }

// plainInit opens a pidfd of the init of one of the pod's containers, -1 where it
// has ended; ok is false for a container that is more than a cgroup below the pod's,
// or not the pod's.
func (p *Pod) plainInit(rec containerRecord, buf []byte) (init int, ok bool) {
	b, err := readSmall(filepath.Join(rec.Root, rec.ID, "state.json"), buf)
	if err != nil {
		return -1, false
	}
	f, ok := parseStateFile(b)
	if !ok || f.id != rec.ID || !strings.HasPrefix(f.cgroup, string(p.cgroup())+"/") {
		return -1, false
	}
	// Anything else that libcontainer would have to remove, or to run.
	for _, more := range gjson.GetManyBytes(b, "config.Hooks", "config.intel_rdt", "intel_rdt_path", "config.cgroups.systemd") {
		if more.Exists() && more.String() != "" && more.Type != gjson.False && more.Type != gjson.Null {
			return -1, false
		}
	}
	if _, annotations := utils.Annotations(f.labels); annotations[AnnotationPod] != p.UID() {
		return -1, false
	}
	init, err = openProcessFD(f.pid, f.start)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return -1, false
	}
	return init, true
}

// finish waits for the containers' ends and deletes them. The cgroups of those
// that are plain are left to go with the pod's.
func (e *ending) finish(ctx context.Context) error {
	err := waitProcesses(ctx, e.inits...)
	for _, init := range e.inits {
		_ = unix.Close(init)
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, rec := range e.plain {
		err := removeStateDir(filepath.Join(rec.Root, rec.ID))
		if err == nil {
			err = e.p.dropContainer(rec.Name)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("delete container %q: %w", rec.Name, err))
		}
	}
	for _, rec := range e.rest {
		err := e.p.deleteContainer(ctx, rec)
		if isPoststop(err) {
			e.hooks = append(e.hooks, err)
			continue
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
