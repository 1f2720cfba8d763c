package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"github.com/podrt/podrt/cgroups"
	"github.com/podrt/podrt/netsetup"
)

// Container finds one of the pod's containers by name, for verbs that act on
// containers.
func (p *Pod) Container(name string) (*Container, error) {
	if p.rec.Engine != nil {
		return p.engineContainer(name)
	}
	recs, err := p.containers()
	if err != nil {
		return nil, err
	}
	for _, rec := range recs {
		if rec.Name == name {
			c, err := p.loadContainer(rec)
			if err == nil && rec.Own {
				c.env, err = p.addressEnv(p.rec.Spec.container(name))
			}
			return c, err
		}
	}
	return nil, fmt.Errorf("container %q of pod %q: %w", name, p.Name(), ErrNotExist)
}

// OwnRunning reports whether the containers of the pod's bundle run, with a
// monitor, or will be started again by it. While they run still that are stopped
// and were to be started again, that is an error, also if the stop was cut short.
func (p *Pod) OwnRunning() (bool, error) {
	stopped := p.rec.Spec.startsLater() && !p.restartable()
	if p.supervised() && !stopped {
		return true, nil
	}
	st, err := p.Status()
	if err != nil {
		return false, err
	}
	running := st.Monitored && slices.ContainsFunc(st.Containers, func(c ContainerStatus) bool { return !c.External && c.alive() })
	if running && stopped {
		return false, p.errStopping()
	}
	return running, nil
}

// Stats are the resources that a pod uses, as a whole and per container.
type Stats struct {
	UID        string                  `json:"uid"`
	Name       string                  `json:"name"`
	Pod        *CgroupStats            `json:"pod"`
	Containers map[string]*CgroupStats `json:"containers"` // by name
	// Network are the interfaces of the pod's network namespace but lo.
	Network []Link `json:"network,omitempty"`
}

// Link is a network interface.
type Link = netsetup.Link

// CgroupStats is what the processes of one cgroup use.
type CgroupStats = cgroups.Stats

// Stats reads the pod's cgroup and those of its live containers.
func (p *Pod) Stats() (*Stats, error) {
	st, err := p.Status()
	if err != nil {
		return nil, err
	}
	if st.Phase == PhaseDead {
		return nil, fmt.Errorf("read stats of pod %q: %s", p.Name(), st.Reason)
	}
	s := &Stats{UID: p.UID(), Name: p.Name(), Containers: make(map[string]*CgroupStats, len(st.Containers))}
	for _, c := range st.Containers {
		if !c.alive() {
			continue
		}
		cs, err := cgroups.Path(c.Cgroup).Stats()
		if errors.Is(err, fs.ErrNotExist) {
			continue // ended meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("read stats of container %q: %w", c.Name, err)
		}
		s.Containers[c.Name] = cs
	}
	if p.rec.Engine != nil {
		err = p.engineStats(s)
	} else {
		s.Pod, err = p.cgroup().Stats()
	}
	if err != nil {
		return nil, fmt.Errorf("read stats of pod %q: %w", p.Name(), err)
	}
	err = p.visitNet(func(path string) error {
		links, err := netsetup.LookLinks(path)
		s.Network = slices.DeleteFunc(links, func(l netsetup.Link) bool { return l.Name == "lo" })
		return err
	})
	return s, err
}

// ProcessInfo is one process of a pod, seen from the host.
type ProcessInfo struct {
	Container string `json:"container"` // empty for the pod init
	PID       int    `json:"pid"`
	PPID      int    `json:"ppid"`
	UID       int    `json:"uid"`     // real user id in the host's user namespace
	State     string `json:"state"`   // as in proc_pid_stat(5): R, S, D, Z, T...
	RSS       uint64 `json:"rss"`     // bytes
	Command   string `json:"command"` // its first maxCommand bytes
}

// Processes lists the pod's processes, container by container.
func (p *Pod) Processes() ([]ProcessInfo, error) {
	st, err := p.Status()
	if err != nil {
		return nil, err
	}
	out := []ProcessInfo{}
	add := func(container string, cg cgroups.Path) error {
		pids, err := cg.Procs()
		if err != nil {
			return ignoreNotExist(err)
		}
		for _, pid := range pids {
			info, err := readProcess(pid)
			if err != nil {
				continue // ended meanwhile
			}
			info.Container = container
			out = append(out, info)
		}
		return nil
	}
	if st.Init != nil {
		if err := add("", p.cgroup().Leaf(initLeaf)); err != nil {
			return nil, err
		}
	}
	for _, c := range st.Containers {
		if c.Cgroup == "" {
			continue
		}
		if err := add(c.Name, cgroups.Path(c.Cgroup)); err != nil {
			return nil, fmt.Errorf("list processes of container %q: %w", c.Name, err)
		}
	}
	return out, nil
}

// readProcess reads proc_pid_status(5) and proc_pid_cmdline(5).
func readProcess(pid int) (ProcessInfo, error) {
	info := ProcessInfo{PID: pid}
	dir := "/proc/" + strconv.Itoa(pid)
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return info, err
	}
	var name string
	for line := range bytes.Lines(status) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		f := bytes.Fields(value)
		if len(f) == 0 {
			continue
		}
		switch string(key) {
		case "Name":
			name = string(f[0])
		case "State":
			info.State = string(f[0])
		case "PPid":
			info.PPID, _ = strconv.Atoi(string(f[0]))
		case "Uid":
			info.UID, _ = strconv.Atoi(string(f[0]))
		case "VmRSS":
			kb, _ := strconv.ParseUint(string(f[0]), 10, 64)
			info.RSS = kb * 1024
		}
	}
	cmdline, err := readCommand(dir + "/cmdline")
	if err != nil {
		return info, err
	}
	info.Command = string(bytes.ReplaceAll(bytes.TrimRight(cmdline, "\x00"), []byte{0}, []byte{' '}))
	if info.Command == "" {
		info.Command = "[" + name + "]"
	}
	return info, nil
}

// maxCommand is how many bytes of a command line are read.
const maxCommand = 4096

// readCommand reads the beginning of proc_pid_cmdline(5). Where that ends is for
// the process to say (PR_SET_MM_MAP, prctl(2)): behind any amount of memory.
func readCommand(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxCommand))
}
