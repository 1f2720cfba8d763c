package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/nsenter"
)

// Formats of the files under RUN/pods; a record of another version is refused
// rather than guessed at. What knows the first only must not remove pods of
// engines or of systemd: it would take their cgroups for podrt's. What knows the
// second only would leave a pod's place in a network; who the third, would stop
// a pod whose monitor then starts it again; who the fourth, does not know of
// init containers, and what restarts at all; who the fifth, would stop containers
// without their preStop, and drop that and the probes from the record; who the sixth,
// would look for a container's root in its bundle that is an image; and who the
// seventh, would leave a bundle that is the pod's own, and start a container again
// with less than its mounts and variables say.
const (
	recordVersion         = 1
	recordVersionOwners   = 2
	recordVersionNetworks = 3
	recordVersionRestarts = 4
	recordVersionRoles    = 5
	recordVersionProbes   = 6
	recordVersionImages   = 7
	recordVersionBundles  = 8
	recordVersionLast     = recordVersionBundles
)

// version is the format that the record needs.
func (r *podRecord) version() int {
	own := func(c PodContainer) bool { return c.RestartPolicy != "" }
	switch {
	case r.Bundle != "" && filepath.Base(r.Bundle) == r.UID || r.Spec.saysMore():
		return recordVersionBundles
	case r.Spec.usesImages():
		return recordVersionImages
	case r.Spec.lives():
		return recordVersionProbes
	case len(r.Spec.InitContainers) > 0 || slices.ContainsFunc(r.Spec.Containers, own):
		return recordVersionRoles
	case r.Spec.restartsAny():
		return recordVersionRestarts
	case r.Network != nil:
		return recordVersionNetworks
	case r.Engine != nil || r.CgroupUnit != "":
		return recordVersionOwners
	}
	return recordVersion
}

// podRecord is RUN/pods/UID/pod.json: facts and owned resources, no status.
type podRecord struct {
	Version int       `json:"version"`
	UID     string    `json:"uid"`
	Name    string    `json:"name"`
	BootID  string    `json:"bootID"` // kernel.random.boot_id when made; pins of another boot are gone
	Created time.Time `json:"created"`
	Bundle  string    `json:"bundle,omitempty"` // absolute path, empty for a pod made by hand
	Spec    *PodSpec  `json:"spec"`             // complete, defaults filled in

	// Owned resources, known before they are made.
	Cgroup        string         `json:"cgroup"`               // path below the unified mountpoint's root, absolute in the host
	CgroupParents []string       `json:"cgroupParents"`        // ancestors that were missing: ours to remove when empty
	CgroupUnit    string         `json:"cgroupUnit,omitempty"` // systemd's unit that the cgroup is, if systemd made it
	ContainerRoot string         `json:"containerRoot"`        // libcontainer's root of the pod's own containers
	JoinsNet      string         `json:"joinsNet,omitempty"`   // UID of the pod whose network namespace this one uses
	Network       *networkRecord `json:"network,omitempty"`    // its place in a network, if it has one

	// Facts of what was made; Ready is set with the last of them.
	Ready     bool          `json:"ready"`
	Pins      []nsenter.Pin `json:"pins,omitempty"`
	InitPID   int           `json:"initPID,omitempty"`   // pod init of a shared PID namespace
	InitStart uint64        `json:"initStart,omitempty"` // its start time, field 22 of /proc/PID/stat, clock ticks since boot

	Update *podUpdate `json:"update,omitempty"` // of its limits, if one is under way or was cut short

	Engine *enginePod `json:"engine,omitempty"` // of a pod behind an engine
}

// containerRecord is RUN/pods/UID/containers/NAME/container.json: written
// before the container is made.
type containerRecord struct {
	Name   string `json:"name"`
	ID     string `json:"id"`              // libcontainer id
	Root   string `json:"root"`            // libcontainer's state root that holds it
	Bundle string `json:"bundle"`          // absolute
	Own    bool   `json:"own"`             // from the pod's bundle; otherwise made by a caller
	Label  string `json:"label,omitempty"` // an engine's name of it, not unique: Name is the id then

	// By the pod's restart policy: how many containers there were before in this
	// one's place since the pod was started, and how the last of them ended.
	Restarts int         `json:"restarts,omitempty"`
	LastExit *ExitRecord `json:"lastExit,omitempty"`
}

// ExitRecord is RUN/pods/UID/containers/NAME/exit.json, written by the parent
// of the container's init once it has ended.
type ExitRecord struct {
	ExitCode int       `json:"exitCode"`         // 0-255; 128+N for signal N
	Signal   string    `json:"signal,omitempty"` // such as SIGKILL
	Cause    ExitCause `json:"cause"`
	// Reason is what failed, for causes probe and postStart.
	Reason string `json:"reason,omitempty"`
	// OOMScope says whose memory limit was hit, for cause oom: container, pod, or host.
	OOMScope   string    `json:"oomScope,omitempty"`
	FinishedAt time.Time `json:"finishedAt"`
	// RestartAt is when the monitor starts the container again; nil if it does not.
	RestartAt *time.Time `json:"restartAt,omitempty"`
	// RestartError is why it could not when it tried last.
	RestartError string `json:"restartError,omitempty"`
}

// ExitCause is how a container's init ended.
type ExitCause string

// Causes of a container's end.
const (
	CauseExit   ExitCause = "exit"   // it exited by itself
	CauseSignal ExitCause = "signal" // a signal ended it
	CauseOOM    ExitCause = "oom"    // the kernel's OOM killer ended it

	// The pod's monitor stopped it, as Signal and ExitCode say.
	CauseProbe     ExitCause = "probe"     // its liveness or startup probe had failed
	CausePostStart ExitCause = "postStart" // its postStart had failed
)

// bootID returns the kernel's boot id (random(4), /proc/sys/kernel/random).
func bootID() (string, error) {
	b, err := readSmall("/proc/sys/kernel/random/boot_id", make([]byte, 64))
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// writeJSON replaces path by v's JSON, by temporary file and rename: a reader
// sees the old or the new file, a full file system leaves the old one.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", filepath.Base(path), err)
	}
	// The name is this process's and this instant's; O_EXCL has the last word.
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"-"+strconv.Itoa(os.Getpid())+"-"+strconv.FormatInt(time.Now().UnixNano(), 36))
	f, err := openFile(tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

func readJSON(path string, v any) error {
	b, err := readFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("read %q: %w", path, err)
	}
	return nil
}

// load reads the record of the pod with that UID; fs.ErrNotExist when there is
// no such pod.
func (s *Store) load(uid string) (*Pod, error) {
	p := &Pod{store: s, dir: s.podDir(uid)}
	if err := readJSON(filepath.Join(p.dir, "pod.json"), &p.rec); err != nil {
		return nil, fmt.Errorf("load pod %q: %w", uid, err)
	}
	if v := p.rec.Version; v < recordVersion || v > recordVersionLast {
		return nil, fmt.Errorf("load pod %q: record version %d; this podrt knows %d to %d", uid, v, recordVersion, recordVersionLast)
	}
	if p.rec.UID != uid || p.rec.Spec == nil {
		return nil, fmt.Errorf("load pod %q: record is of pod %q", uid, p.rec.UID)
	}
	return p, nil
}

func (p *Pod) save() error { return writeJSON(filepath.Join(p.dir, "pod.json"), &p.rec) }

// Removed reports whether the pod has been removed since it was loaded. It waits
// for a removal that goes on, which has already taken apart what the pod is.
func (p *Pod) Removed(ctx context.Context) bool {
	lock, err := p.lock(ctx, unix.LOCK_SH)
	if err == nil {
		_ = lock.Close()
	}
	return errors.Is(err, ErrPodNotExist)
}

// lockPatience bounds the wait for another podrt to finish with a pod, where the
// caller's context does not: a hook of a container can take any time.
const lockPatience = 30 * time.Second

// lock takes the pod's lock (unix.LOCK_SH or LOCK_EX) and reads its record
// anew. The caller closes the file. ErrPodNotExist when the pod was removed
// while this process waited.
func (p *Pod) lock(ctx context.Context, how int) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	f, err := openFile(filepath.Join(p.dir, "lock"), unix.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("pod %q: %w", p.Name(), ErrPodNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("lock pod %q: %w", p.Name(), err)
	}
	if err := flockWithin(ctx, f, how); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock pod %q: %w", p.Name(), err)
	}
	fresh, err := p.store.load(p.UID())
	if err == nil && (!sameFile(f, filepath.Join(p.dir, "lock")) || !fresh.rec.Created.Equal(p.rec.Created)) {
		err = fs.ErrNotExist // a new pod took the UID
	}
	if err != nil {
		f.Close()
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("pod %q: %w", p.Name(), ErrPodNotExist)
		}
		return nil, err
	}
	p.rec = fresh.rec
	return f, nil
}

func sameFile(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(path)
	return err == nil && os.SameFile(a, b)
}
