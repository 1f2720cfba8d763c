package manifest

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// What an API server refuses, as far as something else than an error would come of
// it here (k8s.io/kubernetes/pkg/apis/core/validation). Defaults are set.

// maxPodName is the longest name of a pod in podrt.
const maxPodName = 63

func (p *problems) validate(pod *corev1.Pod) {
	switch errs := validation.IsDNS1123Subdomain(pod.Name); {
	case pod.Name == "":
		p.addf("metadata.name", "required")
	case len(pod.Name) > maxPodName:
		p.addf("metadata.name", "%s: must be at most %d bytes", quote(pod.Name), maxPodName)
	case len(errs) > 0:
		p.addf("metadata.name", "%s: %s", quote(pod.Name), errs[0])
	}
	if errs := validation.IsDNS1123Label(pod.Namespace); len(errs) > 0 {
		p.addf("metadata.namespace", "%s: %s", quote(pod.Namespace), errs[0])
	}
	for k, v := range pod.Labels {
		for _, err := range slices.Concat(validation.IsQualifiedName(k), validation.IsValidLabelValue(v)) {
			p.addf(key("metadata.labels", k), "%s: %s", quote(v), err)
		}
	}
	s := &pod.Spec
	if s.OS != nil && s.OS.Name != corev1.Linux {
		p.addf("spec.os.name", "%s: this is Linux", quote(string(s.OS.Name)))
	}
	if s.HostUsers != nil && !*s.HostUsers {
		p.addf("spec.hostUsers", "false: not supported: pod.json has userNamespace for it")
	}
	p.oneOf("spec.restartPolicy", string(s.RestartPolicy), "Always", "OnFailure", "Never")
	p.oneOf("spec.dnsPolicy", string(s.DNSPolicy), "ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
	if s.DNSPolicy == corev1.DNSNone && (s.DNSConfig == nil || len(s.DNSConfig.Nameservers) == 0) {
		p.addf("spec.dnsConfig.nameservers", `required with dnsPolicy "None"`)
	}
	if *s.TerminationGracePeriodSeconds < 0 {
		p.addf("spec.terminationGracePeriodSeconds", "%d: must not be negative", *s.TerminationGracePeriodSeconds)
	}
	if on(s.ShareProcessNamespace) && s.HostPID {
		p.addf("spec.shareProcessNamespace", "true: not together with hostPID")
	}
	for _, name := range []struct{ path, value string }{
		{"spec.hostname", s.Hostname}, {"spec.subdomain", s.Subdomain},
	} {
		if errs := validation.IsDNS1123Label(name.value); name.value != "" && len(errs) > 0 {
			p.addf(name.path, "%s: %s", quote(name.value), errs[0])
		}
	}
	p.validateHostnameOverride(s)
	p.validateVolumes(s)
	p.validateContainers(s)
	p.validatePodSecurity(s.SecurityContext)
}

func (p *problems) validateHostnameOverride(s *corev1.PodSpec) {
	if s.HostnameOverride == nil || *s.HostnameOverride == "" {
		return
	}
	const path = "spec.hostnameOverride"
	switch errs := validation.IsDNS1123Subdomain(*s.HostnameOverride); {
	case len(errs) > 0:
		p.addf(path, "%s: %s", quote(*s.HostnameOverride), errs[0])
	case on(s.SetHostnameAsFQDN):
		p.addf(path, "%q: not together with setHostnameAsFQDN", *s.HostnameOverride)
	case s.HostNetwork:
		p.addf(path, "%q: not together with hostNetwork", *s.HostnameOverride)
	}
}

// oneOf refuses a value that is no word of the list.
func (p *problems) oneOf(path, value string, words ...string) {
	switch {
	case slices.Contains(words, value):
	case len(words) == 1:
		p.addf(path, "%s: must be %s", quote(value), words[0])
	default:
		p.addf(path, "%s: must be one of %s", quote(value), strings.TrimPrefix(strings.Join(words, ", "), ", "))
	}
}

func (p *problems) validateVolumes(s *corev1.PodSpec) {
	seen := map[string]bool{}
	for i := range s.Volumes {
		v, at := &s.Volumes[i], index("spec.volumes", i)
		if errs := validation.IsDNS1123Label(v.Name); len(errs) > 0 {
			p.addf(at+".name", "%s: %s", quote(v.Name), errs[0])
		} else if seen[v.Name] {
			p.addf(at+".name", "%q: name of an earlier volume", v.Name)
		}
		seen[v.Name] = true
		if n := sources(&v.VolumeSource); n > 1 {
			p.addf(at, "must have one source, not %d", n)
		}
	}
}

func (p *problems) validateContainers(s *corev1.PodSpec) {
	if len(s.Containers) == 0 {
		p.addf("spec.containers", "required: at least one")
	}
	volumes := map[string]bool{}
	for _, v := range s.Volumes {
		volumes[v.Name] = true
	}
	seen := map[string]bool{}
	eachContainer(s, func(at string, c *corev1.Container, init bool) {
		if errs := validation.IsDNS1123Label(c.Name); len(errs) > 0 {
			p.addf(at+".name", "%s: %s", quote(c.Name), errs[0])
		} else if seen[c.Name] {
			p.addf(at+".name", "%q: name of an earlier container", c.Name)
		}
		seen[c.Name] = true
		if strings.TrimSpace(c.Image) == "" {
			p.addf(at+".image", "required")
		}
		p.oneOf(at+".imagePullPolicy", string(c.ImagePullPolicy), "Always", "IfNotPresent", "Never")
		if c.RestartPolicy != nil {
			p.oneOf(at+".restartPolicy", string(*c.RestartPolicy), "Always", "OnFailure", "Never")
		}
		for i, e := range c.Env {
			if errs := validation.IsRelaxedEnvVarName(e.Name); len(errs) > 0 {
				p.addf(index(at+".env", i)+".name", "%s: %s", quote(e.Name), errs[0])
			}
		}
		p.validateMounts(at+".volumeMounts", c.VolumeMounts, volumes)
		p.validateSecurity(at+".securityContext", c.SecurityContext)
	})
	p.validatePorts(s)
}

// eachContainer calls do with every container, in the order in which they start.
func eachContainer(s *corev1.PodSpec, do func(at string, c *corev1.Container, init bool)) {
	for i := range s.InitContainers {
		do(index("spec.initContainers", i), &s.InitContainers[i], true)
	}
	for i := range s.Containers {
		do(index("spec.containers", i), &s.Containers[i], false)
	}
}

func (p *problems) validateMounts(at string, mounts []corev1.VolumeMount, volumes map[string]bool) {
	seen := map[string]bool{}
	for i, m := range mounts {
		at := index(at, i)
		if !volumes[m.Name] {
			p.addf(at+".name", "%s: the pod has no such volume", quote(m.Name))
		}
		switch where := mountPath(m.MountPath); {
		case m.MountPath == "":
			p.addf(at+".mountPath", "required")
		case strings.Contains(m.MountPath, ":"):
			p.addf(at+".mountPath", `%s: must not contain ":"`, quote(m.MountPath))
		case strings.Contains(m.MountPath, "\x00"):
			p.addf(at+".mountPath", "%s: "+zeroByte, quote(m.MountPath))
		case where == "/":
			p.addf(at+".mountPath", `%s: a volume cannot be the root file system`, quote(m.MountPath))
		case seen[where]:
			p.addf(at+".mountPath", "%s: another volume of the container is mounted there", quote(m.MountPath))
		default:
			seen[where] = true
		}
		if m.SubPath != "" && m.SubPathExpr != "" {
			p.addf(at+".subPathExpr", "%s: not together with subPath", quote(m.SubPathExpr))
		}
		for _, sub := range []struct{ path, value string }{{".subPath", m.SubPath}, {".subPathExpr", m.SubPathExpr}} {
			if why := badRelative(sub.value); sub.value != "" && why != "" {
				p.addf(at+sub.path, "%s: %s", quote(sub.value), why)
			}
		}
		if m.MountPropagation != nil {
			p.oneOf(at+".mountPropagation", string(*m.MountPropagation), "None", "HostToContainer")
		}
		if r := m.RecursiveReadOnly; r != nil {
			p.oneOf(at+".recursiveReadOnly", string(*r), "Disabled", "IfPossible", "Enabled")
			if *r != corev1.RecursiveReadOnlyDisabled && (!m.ReadOnly || m.MountPropagation != nil && *m.MountPropagation != corev1.MountPropagationNone) {
				p.addf(at+".recursiveReadOnly", "%q: needs readOnly, and no mountPropagation", *r)
			}
		}
	}
}

// mountPath is the place of a mount: absolute, as the kubelet makes it, and clean.
func mountPath(s string) string { return path.Clean("/" + s) }

// badRelative says what is wrong with a path below something; "" if nothing is.
func badRelative(s string) string {
	switch {
	case s == "":
		return "required"
	case path.IsAbs(s):
		return "must be a relative path"
	case slices.Contains(strings.Split(s, "/"), ".."):
		return `must not contain ".."`
	case strings.Contains(s, "\x00"):
		return zeroByte
	}
	return ""
}

// zeroByte ends strings of the kernel.
const zeroByte = "must not contain a zero byte"

func (p *problems) validatePorts(s *corev1.PodSpec) {
	type hostPort struct {
		ip, protocol string
		port         int32
	}
	taken := map[hostPort]string{}
	eachContainer(s, func(at string, c *corev1.Container, init bool) {
		names := map[string]bool{}
		for i, port := range c.Ports {
			at := index(at+".ports", i)
			if errs := validation.IsValidPortNum(int(port.ContainerPort)); len(errs) > 0 {
				p.addf(at+".containerPort", "%d: %s", port.ContainerPort, errs[0])
			}
			p.oneOf(at+".protocol", string(port.Protocol), "TCP", "UDP", "SCTP")
			if port.Name != "" {
				if errs := validation.IsValidPortName(port.Name); len(errs) > 0 {
					p.addf(at+".name", "%s: %s", quote(port.Name), errs[0])
				} else if names[port.Name] {
					p.addf(at+".name", "%q: name of an earlier port", port.Name)
				}
				names[port.Name] = true
			}
			if _, err := netip.ParseAddr(port.HostIP); port.HostIP != "" && err != nil {
				p.addf(at+".hostIP", "%s: not an IP address", quote(port.HostIP))
			}
			if port.HostPort == 0 {
				continue
			}
			if errs := validation.IsValidPortNum(int(port.HostPort)); len(errs) > 0 {
				p.addf(at+".hostPort", "%d: %s", port.HostPort, errs[0])
			}
			if s.HostNetwork && port.HostPort != port.ContainerPort {
				p.addf(at+".hostPort", "%d: must be containerPort, %d, with hostNetwork", port.HostPort, port.ContainerPort)
			}
			if init && !sidecar(c) {
				continue // one after the other
			}
			h := hostPort{port.HostIP, string(port.Protocol), port.HostPort}
			if taken[h] != "" {
				p.addf(at+".hostPort", "%d: is that of %s", port.HostPort, taken[h])
			}
			taken[h] = at
		}
	})
}

// sidecar reports whether an init container is one.
func sidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

func (p *problems) validatePodSecurity(sc *corev1.PodSecurityContext) {
	const at = "spec.securityContext"
	p.validateUser(at, sc.RunAsUser, sc.RunAsGroup)
	p.validateID(at+".fsGroup", sc.FSGroup)
	for i := range sc.SupplementalGroups {
		p.validateID(index(at+".supplementalGroups", i), &sc.SupplementalGroups[i])
	}
	if sc.SupplementalGroupsPolicy != nil {
		p.oneOf(at+".supplementalGroupsPolicy", string(*sc.SupplementalGroupsPolicy), "Merge", "Strict")
	}
	p.validateProfiles(at, sc.SeccompProfile, sc.AppArmorProfile)
	seen := map[string]bool{}
	for i, c := range sc.Sysctls {
		if at := index(at+".sysctls", i); seen[c.Name] {
			p.addf(at+".name", "%s: set twice", quote(c.Name))
		}
		seen[c.Name] = true
	}
}

func (p *problems) validateSecurity(at string, sc *corev1.SecurityContext) {
	p.validateUser(at, sc.RunAsUser, sc.RunAsGroup)
	p.validateProfiles(at, sc.SeccompProfile, sc.AppArmorProfile)
	if sc.ProcMount != nil {
		p.oneOf(at+".procMount", string(*sc.ProcMount), "Default", "Unmasked")
	}
	if sc.AllowPrivilegeEscalation != nil && !*sc.AllowPrivilegeEscalation {
		switch {
		case on(sc.Privileged):
			p.addf(at+".allowPrivilegeEscalation", "false: not together with privileged")
		case sc.Capabilities != nil && slices.ContainsFunc(sc.Capabilities.Add, func(c corev1.Capability) bool { return capability(c) == "CAP_SYS_ADMIN" }):
			p.addf(at+".allowPrivilegeEscalation", "false: not together with the capability SYS_ADMIN")
		}
	}
	if sc.Capabilities == nil {
		return
	}
	for _, list := range []struct {
		at   string
		caps []corev1.Capability
	}{{".capabilities.add", sc.Capabilities.Add}, {".capabilities.drop", sc.Capabilities.Drop}} {
		for i, c := range list.caps {
			if name := capability(c); name != "CAP_ALL" && !slices.Contains(allCapabilities, name) {
				p.addf(index(at+list.at, i), "%s: no capability of Linux", quote(string(c)))
			}
		}
	}
}

func (p *problems) validateUser(at string, user, group *int64) {
	p.validateID(at+".runAsUser", user)
	p.validateID(at+".runAsGroup", group)
}

func (p *problems) validateID(at string, id *int64) {
	if id != nil && (*id < 0 || *id > 1<<31-1) {
		p.addf(at, "%d: must be 0 to %d", *id, 1<<31-1)
	}
}

func (p *problems) validateProfiles(at string, seccomp *corev1.SeccompProfile, apparmor *corev1.AppArmorProfile) {
	if seccomp != nil {
		at := at + ".seccompProfile"
		p.oneOf(at+".type", string(seccomp.Type), "RuntimeDefault", "Unconfined", "Localhost")
		p.localhost(at+".localhostProfile", seccomp.Type == corev1.SeccompProfileTypeLocalhost, seccomp.LocalhostProfile)
		if l := seccomp.LocalhostProfile; l != nil && *l != "" {
			if why := badRelative(*l); why != "" {
				p.addf(at+".localhostProfile", "%s: %s", quote(*l), why)
			}
		}
	}
	if apparmor != nil {
		at := at + ".appArmorProfile"
		if apparmor.Type == corev1.AppArmorProfileTypeRuntimeDefault {
			p.addf(at+".type", "%q: not supported: podrt brings no profile; use Localhost and one that the host has loaded", apparmor.Type)
			return
		}
		p.oneOf(at+".type", string(apparmor.Type), "Unconfined", "Localhost")
		p.localhost(at+".localhostProfile", apparmor.Type == corev1.AppArmorProfileTypeLocalhost, apparmor.LocalhostProfile)
	}
}

// localhost verifies that the name of a profile is there if and only if it is meant.
func (p *problems) localhost(at string, meant bool, name *string) {
	switch {
	case meant && (name == nil || strings.TrimSpace(*name) == ""):
		p.addf(at, `required with type "Localhost"`)
	case !meant && name != nil:
		p.addf(at, `%s: only with type "Localhost"`, quote(*name))
	}
}

func on(b *bool) bool { return b != nil && *b }
