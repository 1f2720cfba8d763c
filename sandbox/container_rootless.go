package sandbox

import (
	"os"

	"github.com/moby/sys/userns"
	"github.com/opencontainers/cgroups/systemd"
)

// rootlessCgroups decides whether missing permissions on cgroups are to be
// ignored: when that was asked for, or when the process is not root of the
// initial user namespace.
func (cfg *ContainerConfig) rootlessCgroups() bool {
	if cfg.Rootless != nil {
		return *cfg.Rootless
	}
	if os.Geteuid() != 0 {
		return true
	}
	if !userns.RunningInUserNS() {
		return false
	}
	if cfg.Cgroups != SystemdManager {
		return true
	}
	// A systemd that runs as root of this user namespace gives us what it has.
	// If it does not answer, take it for one.
	owner, err := systemd.DetectUID()
	return err == nil && owner != 0
}

// RunningInUserNS reports whether this process is in another user namespace
// than the initial one.
func RunningInUserNS() bool { return userns.RunningInUserNS() }
