package nsenter

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Config says what Create makes.
type Config struct {
	// Exe is the executable to run, for as long as a pod init lives: this
	// program, sealed so that no container can write to it. Nil is
	// /proc/self/exe, for callers without containers.
	Exe *os.File

	Kinds  []Kind // namespaces to make and to pin, each once, in any order
	PinDir string // absolute path of an existing directory, for the pin files

	Hostname   string // needs UTS; at most 64 bytes; empty: as inherited
	Domainname string // likewise: the NIS domain name of setdomainname(2)

	Sysctls map[string]string // see ValidateSysctls

	UIDMappings []IDMap // of the user namespace; must map its 0
	GIDMappings []IDMap

	TimeOffsets map[string]TimeOffset // by clock: "monotonic", "boottime"

	// Cgroup is the pod's cgroup (a directory of cgroup2). The sandbox process
	// is started in it (CLONE_INTO_CGROUP, Linux 5.7), so that a cgroup
	// namespace has its root there, and has left it when Create returns. Nil:
	// the caller's.
	Cgroup *os.File

	// InitCgroup is the cgroup of the pod init: a leaf, where the pod's own
	// cgroup has controllers to enable. Nil: that of the sandbox process.
	InitCgroup *os.File

	// Hold is kept open by the sandbox process and its member of a user namespace,
	// and not by the pod init. With a lock on it (flock(2)), nobody gets that lock
	// before they have ended, also when their parent is killed. Nil: none.
	Hold *os.File

	// OOMScoreAdj is the pod init's, -1000 to 1000. Lowering it needs
	// CAP_SYS_RESOURCE in the initial user namespace; without it stays.
	OOMScoreAdj int
}

// IDMap is a line of uid_map or gid_map (user_namespaces(7)).
type IDMap struct {
	ContainerID uint32 `json:"containerID"`
	HostID      uint32 `json:"hostID"`
	Size        uint32 `json:"size"`
}

// TimeOffset is added to a clock in a time namespace (time_namespaces(7)).
type TimeOffset struct {
	Secs     int64  `json:"secs"`
	Nanosecs uint32 `json:"nanosecs"` // below 1e9
}

// The kernel's limits.
const (
	nameMax  = 64  // bytes, of host and domain name (uts_namespaces(7))
	idMapMax = 340 // lines (user_namespaces(7))
)

// has tells whether a namespace of that kind is to be made.
func (c *Config) has(k Kind) bool { return c.flags()&k.flag() != 0 }

func (c *Config) flags() uint32 {
	var flags uint32
	for _, k := range c.Kinds {
		flags |= k.flag()
	}
	return flags
}

// validate finds what is wrong with the config itself, before anything is made.
func (c *Config) validate() error {
	if len(c.Kinds) == 0 {
		return errors.New("no namespaces to make")
	}
	var seen uint32
	for _, k := range c.Kinds {
		switch flag := k.flag(); {
		case flag == 0:
			return fmt.Errorf("unknown kind of namespace %q", k)
		case seen&flag != 0:
			return fmt.Errorf("namespace %q is given twice", k)
		default:
			seen |= flag
		}
	}
	if !filepath.IsAbs(c.PinDir) {
		return fmt.Errorf("pin directory %q is not absolute", c.PinDir)
	}
	if err := c.validateName("hostname", c.Hostname); err != nil {
		return err
	}
	if err := c.validateName("domainname", c.Domainname); err != nil {
		return err
	}
	if err := c.validateIDMaps(); err != nil {
		return err
	}
	if len(c.TimeOffsets) > 0 && !c.has(Time) {
		return errors.New("time offsets without a time namespace")
	}
	for clock, offset := range c.TimeOffsets {
		if clock != "monotonic" && clock != "boottime" {
			return fmt.Errorf("time offset of unknown clock %q", clock)
		}
		if offset.Nanosecs >= 1e9 {
			return fmt.Errorf("time offset of %q: %d nanoseconds, must be below 1e9", clock, offset.Nanosecs)
		}
	}
	if c.InitCgroup != nil && !c.has(PID) {
		return errors.New("a cgroup for the pod init without a PID namespace")
	}
	if c.OOMScoreAdj < -1000 || c.OOMScoreAdj > 1000 {
		return fmt.Errorf("OOM score adjustment %d is not between -1000 and 1000", c.OOMScoreAdj)
	}
	return nil
}

func (c *Config) validateName(what, name string) error {
	switch {
	case name == "":
		return nil
	case !c.has(UTS):
		return fmt.Errorf("%s %q without a UTS namespace", what, name)
	case len(name) > nameMax:
		return fmt.Errorf("%s %q is longer than %d bytes", what, name, nameMax)
	case strings.ContainsRune(name, 0):
		return fmt.Errorf("%s %q has a NUL byte", what, name)
	}
	return nil
}

func (c *Config) validateIDMaps() error {
	if !c.has(User) {
		if len(c.UIDMappings) > 0 || len(c.GIDMappings) > 0 {
			return errors.New("id mappings without a user namespace")
		}
		return nil
	}
	if err := validateIDMap("uid", c.UIDMappings); err != nil {
		return err
	}
	return validateIDMap("gid", c.GIDMappings)
}

func validateIDMap(what string, m []IDMap) error {
	if len(m) > idMapMax {
		return fmt.Errorf("%s mapping has %d lines, at most %d", what, len(m), idMapMax)
	}
	for _, e := range m {
		if e.Size == 0 || e.ContainerID > math.MaxUint32-e.Size || e.HostID > math.MaxUint32-e.Size {
			return fmt.Errorf("%s mapping %d:%d:%d is empty or too large", what, e.ContainerID, e.HostID, e.Size)
		}
	}
	if _, ok := hostID(m, 0); !ok {
		return fmt.Errorf("%s mapping does not map %s 0 of the user namespace", what, what)
	}
	return nil
}

// hostID translates an id of the user namespace.
func hostID(m []IDMap, id uint32) (uint32, bool) {
	for _, e := range m {
		if id >= e.ContainerID && id-e.ContainerID < e.Size {
			return e.HostID + (id - e.ContainerID), true
		}
	}
	return 0, false
}

// settings returns the sysctls as the sandbox process writes them.
func (c *Config) settings() ([]setting, error) {
	settings, err := sysctls(c.Sysctls, !c.has(Net), !c.has(IPC))
	if err != nil || !c.has(User) {
		return settings, err
	}
	for i := range settings {
		if s := &settings[i]; s.path == "net/ipv4/ping_group_range" {
			s.value, err = c.hostGroups(s.value)
			if err != nil {
				return nil, fmt.Errorf("sysctl %q: %w", s.name, err)
			}
		}
	}
	return settings, nil
}

// hostGroups translates a range of groups of the pod. The sandbox process
// writes settings from outside the user namespace, where groups are the host's.
func (c *Config) hostGroups(value string) (string, error) {
	fields := strings.Fields(value)
	for i, f := range fields {
		id, err := strconv.ParseUint(f, 0, 32)
		if err != nil {
			return "", fmt.Errorf("value %q is not a range of group ids", value)
		}
		host, ok := hostID(c.GIDMappings, uint32(id))
		if !ok {
			return "", fmt.Errorf("group %d is not mapped in the pod's user namespace", id)
		}
		fields[i] = strconv.FormatUint(uint64(host), 10)
	}
	return strings.Join(fields, " "), nil
}
