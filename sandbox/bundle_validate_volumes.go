package sandbox

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// hostPathTypes are the words of hostPath.type beside "", as in Kubernetes.
const hostPathTypes = "Directory, DirectoryOrCreate, File, FileOrCreate, Socket, CharDevice, BlockDevice"

// Words of volumeMounts[].mountPropagation, as in Kubernetes.
const (
	PropagationNone            = "None"
	PropagationHostToContainer = "HostToContainer"
)

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
		var sources []string
		if v.EmptyDir != nil {
			sources = append(sources, "emptyDir")
			v.EmptyDir.validate(ps, at+".emptyDir")
		}
		if v.HostPath != nil {
			sources = append(sources, "hostPath")
			v.HostPath.validate(ps, at+".hostPath")
		}
		if v.BundlePath != nil {
			sources = append(sources, "bundlePath")
			validateRelative(ps, at+".bundlePath.path", v.BundlePath.Path)
		}
		switch {
		case len(sources) == 0:
			ps.addf(at, "must have a source: emptyDir, hostPath or bundlePath")
		case len(sources) > 1:
			ps.addf(at, "must have one source, not %s", strings.Join(sources, " and "))
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
	volumes := make(map[string]*PodVolume, len(s.Volumes))
	for i := range s.Volumes {
		volumes[s.Volumes[i].Name] = &s.Volumes[i]
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
			c.validateAddressEnv(ps, at)
			validateMounts(ps, at+".volumeMounts", c.VolumeMounts, volumes)
			c.validateProbes(ps, at, l.at == "initContainers" && c.RestartPolicy != RestartAlways)
		}
	}
}

func validateMounts(ps *problems, at string, mounts []VolumeMount, volumes map[string]*PodVolume) {
	seen := make(map[string]bool, len(mounts))
	for i, m := range mounts {
		at := indexPath(at, i)
		if volumes[m.Name] == nil {
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
		if m.SubPath != "" {
			validateRelative(ps, at+".subPath", m.SubPath)
		}
		if m.RecursiveReadOnly && !m.ReadOnly {
			ps.addf(at+".recursiveReadOnly", "true: needs readOnly")
		}
		switch v := volumes[m.Name]; {
		case m.MountPropagation == "" || m.MountPropagation == PropagationNone:
		case m.MountPropagation != PropagationHostToContainer:
			ps.addf(at+".mountPropagation", "%s: must be None or HostToContainer", quoteShort(m.MountPropagation))
		case v != nil && v.HostPath == nil:
			ps.addf(at+".mountPropagation", "%q: the volume %q is no hostPath", m.MountPropagation, m.Name)
		}
	}
}

// validateRelative refuses a path that is not relative, not clean, or leads out of
// where it begins.
func validateRelative(ps *problems, at, p string) {
	switch {
	case path.IsAbs(p):
		ps.addf(at, "%s: must be a relative path", quoteShort(p))
	case slices.Contains(strings.Split(p, "/"), ".."):
		ps.addf(at, `%s: must not contain ".."`, quoteShort(p))
	case !isClean(p) || !filepath.IsLocal(p) || p == ".":
		ps.addf(at, "%s: must be a clean relative path", quoteShort(p))
	}
}
