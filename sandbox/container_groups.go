package sandbox

import (
	"slices"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
)

// AnnotationKeepGroups with another value than 0 leaves the container's
// processes the supplementary groups of the caller in place of those that the
// spec adds. podman writes it for --group-add keep-groups: what only a group of
// the user's may read can be read in a rootless container then, where that
// group is not mapped and nobody could add it.
const AnnotationKeepGroups = "run.oci.keep_original_groups"

func keepsGroups(annotations map[string]string) bool {
	v, ok := annotations[AnnotationKeepGroups]
	return ok && v != "0"
}

// canKeepGroups reports whether libcontainer can do all of a configuration with
// the mark of keepGroups: it cannot prepare mounts from outside of the container.
// With such mounts the annotation is without effect, as it is with runc.
func canKeepGroups(mounts []*configs.Mount) bool {
	return !slices.ContainsFunc(mounts, (*configs.Mount).IsIDMapped)
}

// keepGroups has libcontainer leave out setgroups(2), as it does in containers
// that are not made by root. The container's configuration has been checked by
// now: one with the mark could not be without a user namespace, which a caller
// that has its own does not ask for.
func keepGroups(config *configs.Config) { config.RootlessEUID = true }

// prepare is p.prepare for a process of this container.
func (c *Container) prepare(p *Process, init bool) (*libcontainer.Process, error) {
	lp, err := p.prepare(init)
	if err == nil && keepsGroups(c.Annotations()) && canKeepGroups(c.lc.Config().Mounts) {
		lp.AdditionalGroups = nil // libcontainer refuses what it cannot set
	}
	return lp, err
}
