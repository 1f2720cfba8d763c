package sandbox

import "fmt"

// CgroupManager is who makes cgroups. The zero value is CgroupfsManager.
type CgroupManager string

// The managers, by crun's names for them.
const (
	CgroupfsManager CgroupManager = "cgroupfs" // this process
	SystemdManager  CgroupManager = "systemd"  // systemd, by D-Bus
	// NoManager makes none: a container stays in its creator's cgroup, and has no
	// limits, no device rules, no pause and no statistics of its own.
	NoManager CgroupManager = "disabled"
)

// ParseCgroupManager returns the manager of that name; "" is the default.
func ParseCgroupManager(name string) (CgroupManager, error) {
	switch m := CgroupManager(name); m {
	case "":
		return CgroupfsManager, nil
	case CgroupfsManager, SystemdManager, NoManager:
		return m, nil
	}
	return "", fmt.Errorf("%q: must be %q, %q or %q", name, CgroupfsManager, SystemdManager, NoManager)
}
