package manifest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
)

// allCapabilities are those of Linux 5.9 and later (capabilities(7)).
var allCapabilities = []string{
	"CAP_AUDIT_CONTROL", "CAP_AUDIT_READ", "CAP_AUDIT_WRITE", "CAP_BLOCK_SUSPEND", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_IPC_LOCK", "CAP_IPC_OWNER",
	"CAP_KILL", "CAP_LEASE", "CAP_LINUX_IMMUTABLE", "CAP_MAC_ADMIN", "CAP_MAC_OVERRIDE", "CAP_MKNOD", "CAP_NET_ADMIN",
	"CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_RAW", "CAP_PERFMON", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP",
	"CAP_SETUID", "CAP_SYSLOG", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_CHROOT", "CAP_SYS_MODULE", "CAP_SYS_NICE",
	"CAP_SYS_PACCT", "CAP_SYS_PTRACE", "CAP_SYS_RAWIO", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_WAKE_ALARM",
}

// defaultCapabilities are docker's, which containerd and CRI-O have as well.
var defaultCapabilities = []string{
	"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
	"CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

// What is hidden in /proc and /sys and what is read-only, unless procMount is
// Unmasked (k8s.io/kubernetes/pkg/securitycontext).
var (
	maskedPaths = []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
		"/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
	}
	readonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// capability is the kernel's name of one, however it is written.
func capability(c corev1.Capability) string {
	name := strings.ToUpper(string(c))
	if strings.HasPrefix(name, "CAP_") {
		return name
	}
	return "CAP_" + name
}

// defaultMounts are containerd's. /dev/shm is the pod's.
func defaultMounts(privileged bool) []specs.Mount {
	mode := "ro"
	if privileged {
		mode = "rw"
	}
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", mode}},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "relatime", mode}},
	}
}

// user says who the container's process is: securityContext, or else the image.
func (c *compiler) user(at string, k *corev1.Container, image *Image, spec *specs.Spec) {
	pod, own := c.pod.Spec.SecurityContext, k.SecurityContext
	runAsUser, runAsGroup := first(own.RunAsUser, pod.RunAsUser), first(own.RunAsGroup, pod.RunAsGroup)
	name, from := image.Config.User, at+".image"
	if runAsUser != nil {
		name, from = strconv.FormatInt(*runAsUser, 10), at+".securityContext.runAsUser"
	}
	user, err := image.Lookup(name)
	if err != nil {
		c.addf(from, "%s: user %s of the image %s: %v", quote(k.Image), quote(name), image.Digest, err)
		return
	}
	if runAsGroup != nil {
		user.GID = uint32(*runAsGroup)
	}
	if on(first(own.RunAsNonRoot, pod.RunAsNonRoot)) && user.UID == 0 {
		c.addf(at+".securityContext.runAsNonRoot", "true: the user would be root: %s", whose(runAsUser != nil, name))
	}
	var groups []uint32
	if p := pod.SupplementalGroupsPolicy; p == nil || *p == corev1.SupplementalGroupsPolicyMerge {
		groups = user.Additional
	}
	for _, g := range pod.SupplementalGroups {
		groups = append(groups, uint32(g))
	}
	if g := pod.FSGroup; g != nil {
		groups = append(groups, uint32(*g))
	}
	// The user's own group among them (CVE-2022-2995): a program may change its gid.
	groups = append([]uint32{user.GID}, groups...)
	slices.Sort(groups)
	spec.Process.User = specs.User{UID: user.UID, GID: user.GID, AdditionalGids: slices.Compact(groups)}
}

func whose(runAsUser bool, name string) string {
	switch {
	case runAsUser:
		return "runAsUser is " + name
	case name == "":
		return "the image names none, and there is no runAsUser"
	}
	return "it is the image's " + quote(name)
}

// first is the first that is given.
func first[T any](of ...*T) *T {
	for _, p := range of {
		if p != nil {
			return p
		}
	}
	return nil
}

// security says what the container's processes may do.
func (c *compiler) security(at string, k *corev1.Container, spec *specs.Spec) {
	sc := k.SecurityContext
	privileged := on(sc.Privileged)
	caps := capabilities(sc.Capabilities, privileged)
	spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps}
	spec.Process.NoNewPrivileges = sc.AllowPrivilegeEscalation != nil && !*sc.AllowPrivilegeEscalation
	if p := first(sc.AppArmorProfile, c.pod.Spec.SecurityContext.AppArmorProfile); p != nil && p.Type == corev1.AppArmorProfileTypeLocalhost {
		spec.Process.ApparmorProfile = *p.LocalhostProfile
	}
	// All but what libcontainer allows every container.
	spec.Linux.Resources.Devices = []specs.LinuxDeviceCgroup{{Allow: privileged, Access: "rwm"}}
	if privileged {
		devices, err := c.host.Devices()
		if err != nil {
			c.addf(at+".securityContext.privileged", "true: devices of the host: %v", err)
		}
		spec.Linux.Devices = devices
		return
	}
	if p := sc.ProcMount; p == nil || *p == corev1.DefaultProcMount {
		spec.Linux.MaskedPaths, spec.Linux.ReadonlyPaths = maskedPaths, readonlyPaths
	}
	var err error
	if spec.Linux.Seccomp, err = c.seccomp(first(sc.SeccompProfile, c.pod.Spec.SecurityContext.SeccompProfile), spec); err != nil {
		c.addf(at+".securityContext.seccompProfile", "%v", err)
	}
}

// seccomp is the filter of a profile. Without one it is docker's: so podman has it,
// and a kubelet that is told seccompDefault.
func (c *compiler) seccomp(p *corev1.SeccompProfile, spec *specs.Spec) (*specs.LinuxSeccomp, error) {
	switch {
	case p == nil || p.Type == corev1.SeccompProfileTypeRuntimeDefault:
		return seccomp.GetDefaultProfile(spec)
	case p.Type == corev1.SeccompProfileTypeUnconfined:
		return nil, nil
	}
	text, err := c.host.SeccompProfile(*p.LocalhostProfile)
	if err != nil {
		return nil, fmt.Errorf("localhostProfile: %s: %w", quote(*p.LocalhostProfile), err)
	}
	filter, err := seccomp.LoadProfile(string(text), spec)
	if err != nil {
		return nil, fmt.Errorf("localhostProfile: %s: %w", quote(*p.LocalhostProfile), err)
	}
	return filter, nil
}

// capabilities are those that the container has, sorted. ALL comes before the names
// beside it: of drop ALL, add NET_ADMIN that one is left (containerd's
// WithCapabilities).
func capabilities(c *corev1.Capabilities, privileged bool) []string {
	if privileged {
		return allCapabilities
	}
	if c == nil {
		return defaultCapabilities
	}
	all := func(list []corev1.Capability) bool {
		return slices.ContainsFunc(list, func(c corev1.Capability) bool { return capability(c) == "CAP_ALL" })
	}
	have := slices.Clone(defaultCapabilities)
	if all(c.Add) {
		have = slices.Clone(allCapabilities)
	}
	if all(c.Drop) {
		have = []string{}
	}
	for _, add := range c.Add {
		if name := capability(add); name != "CAP_ALL" && !slices.Contains(have, name) {
			have = append(have, name)
		}
	}
	for _, drop := range c.Drop {
		have = slices.DeleteFunc(have, func(name string) bool { return name == capability(drop) })
	}
	slices.Sort(have)
	return have
}
