package sandbox

import "slices"

// Role is what one of a pod's own containers is there for.
type Role string

// Roles of containers, as Kubernetes has them (Pod v1, spec.initContainers and
// spec.containers; sidecars are KEP-753).
const (
	RoleMain    Role = ""        // the pod's work; also a container that a caller added
	RoleInit    Role = "init"    // has to end with 0 before those behind it are made
	RoleSidecar Role = "sidecar" // started among the init containers, ended after the pod's work
)

// Restart policies, as Kubernetes has them (Pod v1, spec.restartPolicy).
const (
	RestartNever     = "Never"     // a container that has ended stays so
	RestartOnFailure = "OnFailure" // it is started again unless it exited with 0
	RestartAlways    = "Always"    // it is started again
)

// Own returns the pod's own containers in the order in which they start.
func (s *PodSpec) Own() []PodContainer {
	return slices.Concat(s.InitContainers, s.Containers)
}

// container returns one of the pod's own containers; nil if it has none of that name.
func (s *PodSpec) container(name string) *PodContainer {
	for _, list := range [][]PodContainer{s.InitContainers, s.Containers} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

// role is that of the container of that name.
func (s *PodSpec) role(name string) Role {
	i := slices.IndexFunc(s.InitContainers, func(c PodContainer) bool { return c.Name == name })
	switch {
	case i < 0:
		return RoleMain
	case s.InitContainers[i].RestartPolicy == RestartAlways:
		return RoleSidecar
	}
	return RoleInit
}

// restarts reports whether one of the pod's own containers that ended with that
// status is to be started again.
func (s *PodSpec) restarts(name string, status int) bool {
	switch s.policy(name) {
	case RestartAlways:
		return status != 0 || s.role(name) != RoleInit // which is done then
	case RestartOnFailure:
		return status != 0
	}
	return false
}

// policy is the restart policy of one of the pod's own containers; RestartNever for
// others, which are their callers' to start.
func (s *PodSpec) policy(name string) string {
	c := s.container(name)
	if c == nil {
		return RestartNever
	}
	return orDefault(c.RestartPolicy, s.RestartPolicy)
}

// restartsAny reports whether a container may be started again at all.
func (s *PodSpec) restartsAny() bool {
	again := func(c PodContainer) bool {
		policy := orDefault(c.RestartPolicy, s.RestartPolicy)
		return policy == RestartOnFailure || policy == RestartAlways
	}
	if len(s.Containers) == 0 {
		return again(PodContainer{}) // it says what it would do
	}
	return slices.ContainsFunc(s.InitContainers, again) || slices.ContainsFunc(s.Containers, again)
}

// startsLater reports whether the pod's monitor starts containers also when the
// start of the pod is over, or waits between two of them.
func (s *PodSpec) startsLater() bool { return len(s.InitContainers) > 0 || s.restartsAny() }
