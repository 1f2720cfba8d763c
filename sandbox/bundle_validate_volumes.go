package sandbox

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// hostPathTypes are the words of hostPath.type beside "", as in Kubernetes.
const hostPathTypes = "Directory, DirectoryOrCreate, File, FileOrCreate, Socket, CharDevice, BlockDevice"

func (s *PodSpec) validateVolumes(ps *problems) {
	seen := make(map[string]bool, len(s.Volumes))
	for i, v := range s.Volumes {
		at := indexPath("volumes", i)
		if !isContainerName(v.Name) {
			ps.addf(at+".name", "%s: must match %s", quoteShort(v.Name), containerNameForm)
		} else if seen[v.Name] {
			ps.addf(at+".name", "%q: name of an earlier volume", v.Name)
		}
		seen[v.Name] = true
		switch {
		case v.EmptyDir == nil && v.HostPath == nil:
			ps.addf(at, "must have a source: emptyDir or hostPath")
		case v.EmptyDir != nil && v.HostPath != nil:
			ps.addf(at, "must have one source, not both emptyDir and hostPath")
		case v.EmptyDir != nil:
			v.EmptyDir.validate(ps, at+".emptyDir")
		default:
			v.HostPath.validate(ps, at+".hostPath")
		}
	}
}

func (e *PodEmptyDir) validate(ps *problems, at string) {
	if e.Medium != "" && e.Medium != "Memory" {
		ps.addf(at+".medium", `%s: must be "" or "Memory"`, quoteShort(e.Medium))
	}
	switch {
	case e.SizeLimit < 0:
		ps.addf(at+".sizeLimit", "%d: must not be negative", e.SizeLimit)
	case e.SizeLimit > 0 && e.Medium == "":
		ps.addf(at+".sizeLimit", `%d: needs medium "Memory"; on disk nothing would enforce it`, e.SizeLimit)
	}
}

func (h *PodHostPath) validate(ps *problems, at string) {
	validateAbsolute(ps, at+".path", h.Path)
	if h.Type != "" && !slices.Contains(strings.Split(hostPathTypes, ", "), h.Type) {
		ps.addf(at+".type", "%s: must be empty or one of %s", quoteShort(h.Type), hostPathTypes)
	}
}

// validateAbsolute refuses a path that is not absolute or not clean, the latter
// so that one place has one spelling.
func validateAbsolute(ps *problems, at, p string) bool {
	switch {
	case !path.IsAbs(p):
		ps.addf(at, "%s: must be an absolute path", quoteShort(p))
	case slices.Contains(strings.Split(p, "/"), ".."):
		ps.addf(at, `%s: must not contain ".."`, quoteShort(p))
	case !isClean(p):
		ps.addf(at, "%s: must be clean: %s", quoteShort(p), quoteShort(path.Clean(p)))
	default:
		return true
	}
	return false
}

func (s *PodSpec) validateContainers(ps *problems) {
	volumes := make(map[string]bool, len(s.Volumes))
	for _, v := range s.Volumes {
		volumes[v.Name] = true
	}
	validateMounts(ps, "volumeMounts", s.VolumeMounts, volumes)
	if len(s.InitContainers) > 0 && len(s.Containers) == 0 {
		ps.addf("initContainers", "containers has none that they would run before")
	}
	seen := make(map[string]bool, len(s.InitContainers)+len(s.Containers))
	for _, l := range []struct {
		at   string
		list []PodContainer
	}{{"initContainers", s.InitContainers}, {"containers", s.Containers}} {
		for i, c := range l.list {
			at := indexPath(l.at, i)
			if !isContainerName(c.Name) {
				ps.addf(at+".name", "%s: must match %s", quoteShort(c.Name), containerNameForm)
			} else if seen[c.Name] {
				ps.addf(at+".name", "%q: name of an earlier container", c.Name)
			}
			seen[c.Name] = true
			if c.RestartPolicy != "" {
				validatePolicy(ps, at+".restartPolicy", c.RestartPolicy)
			}
			c.validateImage(ps, at)
			validateMounts(ps, at+".volumeMounts", c.VolumeMounts, volumes)
			c.validateProbes(ps, at, l.at == "initContainers" && c.RestartPolicy != RestartAlways)
		}
	}
}

func validateMounts(ps *problems, at string, mounts []VolumeMount, volumes map[string]bool) {
	seen := make(map[string]bool, len(mounts))
	for i, m := range mounts {
		at := indexPath(at, i)
		if !volumes[m.Name] {
			ps.addf(at+".name", "%s: the pod has no such volume", quoteShort(m.Name))
		}
		if validateAbsolute(ps, at+".mountPath", m.MountPath) {
			switch {
			case m.MountPath == "/":
				ps.addf(at+".mountPath", `"/": a volume cannot be the root file system`)
			case seen[m.MountPath]:
				ps.addf(at+".mountPath", "%s: another volume of the container is mounted there", quoteShort(m.MountPath))
			}
			seen[m.MountPath] = true
		}
		switch {
		case m.SubPath == "":
		case path.IsAbs(m.SubPath):
			ps.addf(at+".subPath", "%s: must be a relative path", quoteShort(m.SubPath))
		case slices.Contains(strings.Split(m.SubPath, "/"), ".."):
			ps.addf(at+".subPath", `%s: must not contain ".."`, quoteShort(m.SubPath))
		case !isClean(m.SubPath) || !filepath.IsLocal(m.SubPath) || m.SubPath == ".":
			ps.addf(at+".subPath", "%s: must be a clean relative path", quoteShort(m.SubPath))
		}
	}
}
