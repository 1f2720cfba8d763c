package sandbox

import (
	"cmp"
	"math"
	"slices"

	"github.com/podrt/podrt/nsenter"
)

// maxIDMappings is what the kernel takes per map (Linux 4.15,
// user_namespaces(7)).
const maxIDMappings = 340

func (s *PodSpec) validateUserNamespace(ps *problems) {
	if s.UserNamespace == nil {
		return
	}
	if !s.owns(nsenter.User) {
		ps.addf("userNamespace", `needs "user" in share`)
	}
	validateIDMappings(ps, "userNamespace.uidMappings", s.UserNamespace.UIDMappings)
	validateIDMappings(ps, "userNamespace.gidMappings", s.UserNamespace.GIDMappings)
}

func validateIDMappings(ps *problems, at string, maps []IDMapping) {
	switch n := len(maps); {
	case n == 0:
		ps.addf(at, "must have an entry")
		return
	case n > maxIDMappings:
		ps.addf(at, "%d entries: must be at most %d", n, maxIDMappings)
		return
	}
	root := false
	for i, m := range maps {
		at := indexPath(at, i)
		root = root || m.ContainerID == 0
		switch {
		case m.Size == 0:
			ps.addf(at+".size", "0: must be greater than 0")
		// The last ID, (uid_t)-1, means "none" and is not mapped.
		case uint64(m.ContainerID)+uint64(m.Size) > math.MaxUint32:
			ps.addf(at+".containerID", "%d: range of %d IDs ends beyond %d", m.ContainerID, m.Size, uint32(math.MaxUint32-1))
		case uint64(m.HostID)+uint64(m.Size) > math.MaxUint32:
			ps.addf(at+".hostID", "%d: range of %d IDs ends beyond %d", m.HostID, m.Size, uint32(math.MaxUint32-1))
		}
	}
	if !root {
		ps.addf(at, "containerID 0 must be mapped: the pod's namespaces are set up by its root")
		return
	}
	validateOverlap(ps, at, "containerID", maps, func(m IDMapping) uint32 { return m.ContainerID })
	validateOverlap(ps, at, "hostID", maps, func(m IDMapping) uint32 { return m.HostID })
}

// validateOverlap refuses IDs that are in two ranges.
func validateOverlap(ps *problems, at, field string, maps []IDMapping, first func(IDMapping) uint32) {
	order := make([]int, len(maps))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(first(maps[a]), first(maps[b])) })
	for k := 1; k < len(order); k++ {
		i, j := order[k-1], order[k]
		if uint64(first(maps[i]))+uint64(maps[i].Size) > uint64(first(maps[j])) {
			ps.addf(indexPath(at, max(i, j))+"."+field, "%d: range overlaps that of entry %d", first(maps[max(i, j)]), min(i, j))
		}
	}
}
