package sandbox

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/netsetup"
	"github.com/podrt/podrt/nsenter"
)

// parseMemberConfig reads the config.json of a container of a pod bundle.
// Unknown fields are ignored, as the OCI runtime specification demands. What is
// refused: what is not readable as the specification has it, what a container
// cannot do without, and what the pod decides.
func parseMemberConfig(file string, data []byte, pod *PodSpec, c PodContainer) (*specs.Spec, error) {
	ps := problems{file: file}
	config := new(specs.Spec)
	if decodeJSON(&ps, data, maxConfigJSON, jsonOCI, config) {
		validateMemberConfig(&ps, config, pod)
		if c.Image != "" {
			validateImageRoot(&ps, config.Root)
		}
	}
	if err := ps.err(); err != nil {
		return nil, err
	}
	return config, nil
}

func validateMemberConfig(ps *problems, c *specs.Spec, pod *PodSpec) {
	switch major, ok := semverMajor(c.Version); {
	case c.Version == "":
		ps.addf("ociVersion", "required")
	case !ok:
		ps.addf("ociVersion", "%s: not a semantic version", quoteShort(c.Version))
	case major != specs.VersionMajor:
		ps.addf("ociVersion", "%s: not supported; this podrt implements %s", quoteShort(c.Version), specs.Version)
	}
	validateMemberProcess(ps, c.Process)
	switch {
	case c.Root == nil:
		ps.addf("root", "required")
	case c.Root.Path == "":
		ps.addf("root.path", "required")
	case !filepath.IsLocal(c.Root.Path): // as rootfs.Root
		ps.addf("root.path", "%s: must be a relative path that stays in the container's bundle", quoteShort(c.Root.Path))
	}
	if c.Hooks != nil {
		validateMemberHooks(ps, c.Hooks)
	}
	if c.Linux != nil {
		validateMemberLinux(ps, c.Linux, pod)
	}
}

// validateMemberHooks refuses paths that begin in a working directory: a pod's
// containers are made by one process, which is in none of their bundles.
func validateMemberHooks(ps *problems, h *specs.Hooks) {
	for _, list := range []struct {
		name  string
		hooks []specs.Hook
	}{
		{"prestart", h.Prestart}, //nolint:staticcheck // deprecated, and still written
		{"createRuntime", h.CreateRuntime},
		{"createContainer", h.CreateContainer},
		{"startContainer", h.StartContainer},
		{"poststart", h.Poststart},
		{"poststop", h.Poststop},
	} {
		for i, hook := range list.hooks {
			if !filepath.IsAbs(hook.Path) {
				ps.addf(indexPath("hooks."+list.name, i)+".path", "%s: must be an absolute path", quoteShort(hook.Path))
			}
		}
	}
}

func validateMemberProcess(ps *problems, p *specs.Process) {
	if p == nil {
		ps.addf("process", "required")
		return
	}
	if p.Terminal {
		ps.addf("process.terminal", "true: must be false: a pod's containers run side by side and have no terminal (podrt pod exec -t gives one)")
	}
	switch {
	case len(p.Args) == 0:
		ps.addf("process.args", "required: what to run")
	case p.Args[0] == "":
		ps.addf("process.args[0]", `"": must name what to run`)
	}
	switch {
	case p.Cwd == "":
		ps.addf("process.cwd", "required")
	case !filepath.IsAbs(p.Cwd):
		ps.addf("process.cwd", "%s: must be an absolute path", quoteShort(p.Cwd))
	}
}

// validateMemberLinux refuses what is the pod's to say. Namespaces of the pod's
// kinds may be listed, as generators of config.json do, but not with a path.
func validateMemberLinux(ps *problems, l *specs.Linux, pod *PodSpec) {
	for i, ns := range l.Namespaces {
		if ns.Path == "" {
			continue
		}
		if why := pod.decides(kindOf(ns.Type)); why != "" {
			ps.addf(indexPath("linux.namespaces", i)+".path", "%s: %s namespace: %s", quoteShort(ns.Path), shorten(string(ns.Type), maxShown), why)
		}
	}
	if l.CgroupsPath != "" {
		ps.addf("linux.cgroupsPath", "%s: must not be set: the container's cgroup is below its pod's (pod.json: cgroupParent)", quoteShort(l.CgroupsPath))
	}
	if pod.owns(nsenter.User) {
		if len(l.UIDMappings) > 0 {
			ps.addf("linux.uidMappings", "must not be set: the user namespace is the pod's (pod.json: userNamespace)")
		}
		if len(l.GIDMappings) > 0 {
			ps.addf("linux.gidMappings", "must not be set: the user namespace is the pod's (pod.json: userNamespace)")
		}
	}
	if len(l.NetDevices) > 0 {
		if why := pod.decides(nsenter.Net); why != "" {
			ps.addf("linux.netDevices", "must not be set: the devices would be all containers': network namespace: %s", why)
		}
	}
	if len(l.TimeOffsets) > 0 && pod.owns(nsenter.Time) {
		ps.addf("linux.timeOffsets", "must not be set: the time namespace is the pod's (pod.json: timeOffsets)")
	}
	if len(l.Sysctl) > 0 {
		ps.addf("linux.sysctl", "must not be set: sysctls are the pod's (pod.json: sysctls)")
	}
}

// kindOf is the kind that pod.json calls network "net".
func kindOf(t specs.LinuxNamespaceType) nsenter.Kind {
	if t == specs.NetworkNamespace {
		return nsenter.Net
	}
	return nsenter.Kind(t)
}

// decides says how the pod decides on the containers' namespaces of that kind;
// "" if it does not, and each container has its own.
func (s *PodSpec) decides(kind nsenter.Kind) string {
	switch {
	case slices.Contains(s.Host, string(kind)):
		return "the pod uses the host's (pod.json: host)"
	case !slices.Contains(s.Share, string(kind)):
		return ""
	case kind == nsenter.Net && s.Network.Mode != string(netsetup.None):
		return "the pod's network is " + strconv.Quote(s.Network.Mode) + " (pod.json: network.mode)"
	}
	return "the pod has one that its containers share (pod.json: share)"
}

// semverMajor returns the major number of a semantic version (semver.org, 2.0.0).
func semverMajor(v string) (int, bool) {
	core := v
	if i := strings.IndexAny(v, "-+"); i >= 0 {
		core = v[:i]
		if i == len(v)-1 {
			return 0, false
		}
	}
	parts := strings.Split(core, ".")
	if len(parts) != 3 {
		return 0, false
	}
	for _, p := range parts {
		if p == "" || len(p) > 9 || len(p) > 1 && p[0] == '0' || strings.Trim(p, "0123456789") != "" {
			return 0, false
		}
	}
	major, err := strconv.Atoi(parts[0])
	return major, err == nil
}
