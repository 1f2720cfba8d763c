package sandbox

import (
	"bytes"
	"errors"
	"strings"
	"time"
	"unsafe"

	"github.com/opencontainers/runc/libcontainer/utils"
	"github.com/tidwall/gjson"
	"golang.org/x/sys/unix"
)

// stateFileMax is larger than any state.json that is not mostly a seccomp
// profile of thousands of rules.
const stateFileMax = 256 << 10

// stateFile is what state and list want of libcontainer's state.json, most of
// which is the container's whole configuration.
type stateFile struct {
	id, version, rootfs string
	labels              []string
	pid                 int
	start               uint64 // clock ticks since boot
	created             time.Time
	cgroup              string // absolute path of the directory
}

// readState describes a container from its files alone: an engine asks often,
// and libcontainer.Load decodes every mount, rule and default of the
// configuration first. Where anything is out of the ordinary (a file that it
// cannot read, a frozen cgroup) it reports false: that is libcontainer's to tell.
//
// The buffer is for the files' contents.
func readState(root, id string, buf []byte) (*ContainerState, bool) {
	if id == "" || id == "." || id == ".." || strings.Contains(id, "/") {
		return nil, false
	}
	dir := root + "/" + id
	b, err := readSmall(dir+"/state.json", buf)
	if err != nil {
		return nil, false
	}
	f, ok := parseStateFile(b)
	if !ok || f.id != id {
		return nil, false
	}
	s := &ContainerState{
		Version: f.version, ID: id, InitProcessPid: f.pid, Rootfs: f.rootfs, Created: f.created,
	}
	s.Bundle, s.Annotations = utils.Annotations(f.labels)
	if s.Status, ok = f.status(dir, s.Annotations[AnnotationPod] != "", buf); !ok {
		return nil, false
	}
	if s.Status == StatusStopped {
		s.InitProcessPid = 0
	}
	return s, true
}

// status is Container.Status where the container is not paused.
func (f *stateFile) status(dir string, member bool, buf []byte) (_ Status, ok bool) {
	b, err := readSmall(f.cgroup+"/cgroup.freeze", buf)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV): // it went with its processes
	case err != nil || string(b) != "0\n":
		return "", false
	case member:
		// Its pod may be frozen.
		if b, err = readSmall(f.cgroup+"/cgroup.events", buf); err != nil || bytes.Contains(b, []byte("frozen 1")) {
			return "", false
		}
	}
	if start, err := processStartIn(f.pid, buf); err != nil || start != f.start {
		return StatusStopped, true
	}
	if unix.Access(dir+"/exec.fifo", unix.F_OK) == nil {
		return StatusCreated, true
	}
	return StatusRunning, true
}

// parseStateFile takes what it needs out of a state.json, and reports false
// where any of it is missing. It keeps nothing of json.
func parseStateFile(json []byte) (f stateFile, ok bool) {
	const all = 1<<8 - 1
	found := 0
	set := func(bit int, isType bool) {
		if isType {
			found |= 1 << bit
		}
	}
	gjson.Parse(unsafe.String(unsafe.SliceData(json), len(json))).ForEach(func(k, v gjson.Result) bool {
		switch k.Str {
		case "id":
			f.id = strings.Clone(v.Str)
			set(0, v.Type == gjson.String)
		case "init_process_pid":
			f.pid = int(v.Int())
			set(1, v.Type == gjson.Number)
		case "init_process_start":
			f.start = v.Uint()
			set(2, v.Type == gjson.Number)
		case "created":
			set(3, f.created.UnmarshalJSON([]byte(v.Raw)) == nil)
		case "config":
			v.ForEach(func(k, v gjson.Result) bool {
				switch k.Str {
				case "rootfs":
					f.rootfs = strings.Clone(v.Str)
					set(4, v.Type == gjson.String)
				case "version":
					f.version = strings.Clone(v.Str)
					set(5, v.Type == gjson.String)
				case "labels":
					for _, l := range v.Array() {
						f.labels = append(f.labels, strings.Clone(l.Str))
					}
					set(6, v.IsArray())
				}
				return true
			})
		case "cgroup_paths":
			v.ForEach(func(k, v gjson.Result) bool {
				if k.Str == "" { // the unified hierarchy
					f.cgroup = strings.Clone(v.Str)
				}
				return true
			})
			set(7, f.cgroup != "")
		}
		return found != all
	})
	return f, found == all
}
