package sandbox

import (
	"fmt"

	lccgroups "github.com/opencontainers/cgroups"
	"github.com/opencontainers/runc/libcontainer/configs"
)

// noCgroup is the name of a cgroup that cannot be: cgroup_mkdir in the kernel
// answers EINVAL to a name with a newline, which would garble /proc/PID/cgroup.
const noCgroup = "no\ncgroup"

// withoutCgroup leaves the container's processes in the cgroup of whoever makes
// it, without limits or device rules.
//
// libcontainer knows that of rootless containers alone: if the cgroup cannot be
// made, and neither its path was asked for nor any limit, it goes on without.
func withoutCgroup(config *configs.Config, pod string) error {
	if pod != "" {
		return fmt.Errorf("container without a cgroup in pod %q: it would not be in the pod's cgroup", pod)
	}
	config.RootlessCgroups = true
	config.Cgroups = &lccgroups.Cgroup{
		Parent: "/", Name: noCgroup, Rootless: true,
		Resources: &lccgroups.Resources{},
	}
	return nil
}
