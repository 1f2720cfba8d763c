package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/cgroups"
)

// Status is what a container is doing, as in the runtime specification and
// with "paused" added.
type Status string

// The states of a container that exists.
const (
	StatusCreated Status = "created" // init waits to be started
	StatusRunning Status = "running"
	StatusPaused  Status = "paused"
	StatusStopped Status = "stopped"
)

// ContainerState is what `state` and `list` print of a container: the OCI
// state and runc's additions, field by field in runc's order.
type ContainerState struct {
	Version        string            `json:"ociVersion"`
	ID             string            `json:"id"`
	InitProcessPid int               `json:"pid"` // 0 when stopped
	Status         Status            `json:"status"`
	Bundle         string            `json:"bundle"`
	Rootfs         string            `json:"rootfs"`
	Created        time.Time         `json:"created"` // UTC
	Annotations    map[string]string `json:"annotations,omitempty"`
	Owner          string            `json:"owner"` // of the state directory; only filled in by ListContainers
}

// Status derives what the container is doing from the freezer, its init and
// its fifo.
func (c *Container) Status() (Status, error) {
	s, err := c.lc.Status()
	if err != nil {
		// What an init has left in its cgroup is frozen to be killed, and the cgroup
		// is removed then. libcontainer takes the container for paused, which it
		// cannot be having stopped, or for unreadable.
		pid, start := c.InitPID()
		if now, perr := processStart(pid); perr != nil || now != start {
			return StatusStopped, nil
		}
		return "", err
	}
	status := Status(s.String())
	if status == StatusStopped {
		// libcontainer takes an init for one that has ended when its first thread has.
		pid, start := c.InitPID()
		if now, err := processStart(pid); err == nil && now == start {
			status = StatusRunning
		}
	}
	if status == StatusRunning && c.Annotations()[AnnotationPod] != "" {
		// libcontainer looks at what was asked of the container's own cgroup, and
		// not at its pod's.
		if frozen, err := cgroups.Path(c.CgroupPath()).Frozen(); err == nil && frozen {
			status = StatusPaused
		}
	}
	return status, nil
}

// StateOf describes the container with that id as it is now, or fails as
// LoadContainer does.
func StateOf(root, id string) (*ContainerState, error) {
	if s, ok := readState(root, id, make([]byte, stateFileMax)); ok {
		return s, nil
	}
	c, err := LoadContainer(root, id)
	if err != nil {
		return nil, err
	}
	return c.State()
}

// State describes the container as it is now.
func (c *Container) State() (*ContainerState, error) {
	status, err := c.Status()
	if err != nil {
		return nil, err
	}
	state, err := c.lc.State()
	if err != nil {
		return nil, err
	}
	s := &ContainerState{
		Version:        state.Config.Version,
		ID:             state.ID,
		InitProcessPid: state.InitProcessPid,
		Status:         status,
		Bundle:         c.Bundle(),
		Rootfs:         state.Config.Rootfs,
		Created:        state.Created,
		Annotations:    c.Annotations(),
	}
	if status == StatusStopped {
		s.InitProcessPid = 0
	}
	return s, nil
}

// ListContainers describes the containers below root, by id. Those that cannot
// be read come back as errors beside the others. The error is about root
// itself, and wraps fs.ErrNotExist when there is no such directory.
func ListContainers(root string) ([]ContainerState, []error, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, nil, err
	}
	listed := make([]listedContainer, len(entries))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(entries)) {
		wg.Go(func() {
			buf := make([]byte, stateFileMax)
			for i := next.Add(1) - 1; i < int64(len(entries)); i = next.Add(1) - 1 {
				if entries[i].IsDir() {
					listed[i] = listContainer(root, entries[i], buf)
				}
			}
		})
	}
	wg.Wait()
	var (
		states []ContainerState
		errs   []error
		owners = map[uint32]string{}
	)
	for i, l := range listed {
		switch {
		case l.state != nil:
			if _, ok := owners[l.uid]; !ok {
				owners[l.uid] = userName(l.uid)
			}
			l.state.Owner = owners[l.uid]
			states = append(states, *l.state)
		case l.err == nil: // no directory
		case gone(filepath.Join(root, entries[i].Name())): // deleted meanwhile
		default:
			errs = append(errs, l.err)
		}
	}
	return states, errs, nil
}

type listedContainer struct {
	state *ContainerState
	uid   uint32 // of the state directory
	err   error
}

func listContainer(root string, e os.DirEntry, buf []byte) (l listedContainer) {
	var st unix.Stat_t
	if err := unix.Lstat(root+"/"+e.Name(), &st); err != nil {
		l.err = fmt.Errorf("load container %s: %w", e.Name(), &os.PathError{Op: "lstat", Path: root + "/" + e.Name(), Err: err})
		return l
	}
	l.uid = st.Uid
	var ok bool
	if l.state, ok = readState(root, e.Name(), buf); ok {
		return l
	}
	c, err := LoadContainer(root, e.Name())
	if err != nil {
		l.err = fmt.Errorf("load container %s: %w", e.Name(), err)
		return l
	}
	if l.state, err = c.State(); err != nil {
		l.err = fmt.Errorf("status for %s: %w", e.Name(), err)
	}
	return l
}

// userName names a user, or gives "#UID" when /etc/passwd does not know it.
func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "#" + id
}

func gone(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}
