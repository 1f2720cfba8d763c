package sandbox

import "github.com/opencontainers/runtime-spec/specs-go"

// PodVersion is the version of the pod.json format that this package reads and
// writes. Before 1.0.0 a file of any other version is refused.
const PodVersion = "0.1.0"

// Defaults of pod.json.
const (
	DefaultShmSize        = 64 << 20 // bytes, as docker, podman and Kubernetes' runtimes have
	DefaultGracePeriod    = 10       // seconds
	DefaultRestartInitial = 10       // seconds, as the kubelet's
	DefaultRestartMax     = 300      // seconds, as the kubelet's
)

// PodSpec is pod.json: what a pod is, independent of the host that runs it.
// pod.schema.json says the same to other programs; a test compares the two.
//
// A field whose JSON tag has neither omitempty nor omitzero is required.
type PodSpec struct {
	// PodVersion is the version of the format, PodVersion.
	PodVersion string `json:"podVersion"`
	// Metadata names the pod.
	Metadata PodMetadata `json:"metadata"`

	// Hostname is the host name in the pod's UTS namespace: labels of letters,
	// digits, "-" and "_" of at most 63 bytes, joined by ".", at most 64 bytes in
	// all (uname(2)). Default: the pod's name with what a host name cannot hold
	// replaced. Not allowed when Host has "uts".
	Hostname string `json:"hostname,omitempty"`
	// Domainname is the NIS domain name in the pod's UTS namespace
	// (setdomainname(2)), at most 64 bytes. Default: the kernel's, "(none)".
	// Not allowed when Host has "uts".
	Domainname string `json:"domainname,omitempty"`

	// Share lists the namespaces that the pod's containers share: "net", "ipc",
	// "uts", "pid", "cgroup", "time", "user". Default: net, ipc and uts, without
	// those in Host, and user when there is a UserNamespace. An empty list shares
	// none: every container has its own.
	Share []string `json:"share,omitzero"`
	// Host lists the namespaces of the host that the containers use instead of
	// one of their own: "ipc", "pid", "uts". The network's is network.mode.
	Host []string `json:"host,omitempty"`
	// UserNamespace gives the pod a user namespace, owner of its others.
	UserNamespace *UserNamespace `json:"userNamespace,omitempty"`
	// TimeOffsets shifts clocks in the pod's time namespace (Linux 5.6,
	// time_namespaces(7)), by clock: "monotonic", "boottime". Needs "time" in
	// Share.
	TimeOffsets map[string]TimeOffset `json:"timeOffsets,omitempty"`
	// Sysctls are kernel parameters of the pod's namespaces, by dotted name:
	// net.*, kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.*.
	Sysctls map[string]string `json:"sysctls,omitempty"`

	// Network says which network the pod has.
	Network PodNetwork `json:"network,omitzero"`
	// DNS is what resolv.conf in the containers says.
	DNS PodDNS `json:"dns,omitzero"`
	// HostAliases are further lines of /etc/hosts in the containers.
	HostAliases []HostAlias `json:"hostAliases,omitempty"`

	// Resources are limits of the pod as a whole, in the form of the OCI runtime
	// specification (config-linux.md, "Control groups").
	Resources *specs.LinuxResources `json:"resources,omitempty"`
	// CgroupParent is the cgroup below which the pod's own is made, in the
	// unified hierarchy. It is never removed. Default: podrt's. With systemd as
	// the maker of cgroups it is the name of a slice; default: system.slice.
	CgroupParent string `json:"cgroupParent,omitempty"`
	// ShmSize is the size of the pod's /dev/shm in bytes, above 0.
	// Default: DefaultShmSize.
	ShmSize int64 `json:"shmSize,omitzero"`

	// Volumes are directories and files that containers mount by name; they live
	// as long as the pod.
	Volumes []PodVolume `json:"volumes,omitempty"`
	// VolumeMounts are volumes that every container of the pod sees, also those
	// that are added to it by hand; a container's own go on top of them.
	VolumeMounts []VolumeMount `json:"volumeMounts,omitempty"`

	// RestartPolicy says whether a container that has ended is started again, as
	// long as the pod is not stopped: RestartAlways, RestartOnFailure (unless it
	// exited with 0), RestartNever. Default: RestartNever.
	RestartPolicy string `json:"restartPolicy,omitempty"`
	// RestartBackOff is how long it waits before. Not where no container is ever
	// started again.
	RestartBackOff *RestartBackOff `json:"restartBackOff,omitempty"`
	// TerminationGracePeriodSeconds is the time between SIGTERM and SIGKILL when
	// the pod is stopped, in seconds; 0 kills at once. Default:
	// DefaultGracePeriod. Never nil once defaults are set.
	TerminationGracePeriodSeconds *int64 `json:"terminationGracePeriodSeconds,omitempty"`

	// InitContainers run before Containers, in this order: each is made when the one
	// before has ended with 0, and if one does not, and is not started again, the pod
	// has failed. One whose RestartPolicy is RestartAlways is a sidecar: it is not
	// waited for, and runs until Containers have ended, or are stopped, and those
	// behind it here. Not without Containers.
	InitContainers []PodContainer `json:"initContainers,omitempty"`
	// Containers are the pod's own containers, in the order in which they start.
	// May be empty: a pod that others add containers to.
	Containers []PodContainer `json:"containers,omitzero"`
}

// RestartBackOff spaces the restarts of a container out: the first comes at once, the
// second after InitialSeconds, each further one after twice the time, but never more
// than MaxSeconds. A container that has run for twice MaxSeconds begins anew.
type RestartBackOff struct {
	// InitialSeconds is above 0. Default: DefaultRestartInitial.
	InitialSeconds int64 `json:"initialSeconds,omitzero"`
	// MaxSeconds is InitialSeconds or more. Default: DefaultRestartMax, or
	// InitialSeconds if that is more.
	MaxSeconds int64 `json:"maxSeconds,omitzero"`
}

// PodMetadata names a pod.
type PodMetadata struct {
	// Name is unique among the live pods of a store:
	// [a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}.
	Name string `json:"name"`
	// UID is never used again for another pod: [a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}.
	// Default: a random UUID, chosen when the pod is made (so that one bundle
	// can be run again and again).
	UID string `json:"uid,omitempty"`
	// Labels select pods. Keys: 1 to 317 bytes of printable ASCII without space
	// and "=".
	Labels map[string]string `json:"labels,omitempty"`
	// Annotations are for programs; podrt reads Kubernetes' bandwidth
	// (PodNetwork.Bandwidth) and no other. Keys as in Labels.
	Annotations map[string]string `json:"annotations,omitempty"`
}

// UserNamespace maps the IDs in a pod's user namespace to the host's
// (user_namespaces(7)). Both maps must map ID 0: the namespace is set up as its
// root.
type UserNamespace struct {
	// UIDMappings map user IDs, up to 340 ranges (Linux 4.15).
	UIDMappings []IDMapping `json:"uidMappings"`
	// GIDMappings map group IDs, up to 340 ranges.
	GIDMappings []IDMapping `json:"gidMappings"`
}

// IDMapping maps a range of IDs.
type IDMapping struct {
	// ContainerID is the first ID inside the namespace.
	ContainerID uint32 `json:"containerID"`
	// HostID is the first ID on the host.
	HostID uint32 `json:"hostID"`
	// Size is how many IDs follow each other, above 0.
	Size uint32 `json:"size"`
}

// TimeOffset is added to a clock.
type TimeOffset struct {
	// Secs is the offset in seconds, may be negative. Default: 0.
	Secs int64 `json:"secs,omitempty"`
	// Nanosecs is added to Secs, 0 to 999999999. Default: 0.
	Nanosecs uint32 `json:"nanosecs,omitempty"`
}

// PodNetwork says which network namespace the pod's containers share, and what
// is in it.
type PodNetwork struct {
	// Mode is "none" (the pod's own, with nothing but lo), "host",
	// "container:POD" (that of another pod, by name or UID), "ns:PATH" (an
	// existing one, which podrt uses and neither sets up nor removes), or the
	// name of a network: "bridge", one made by podrt network create, or one of a
	// CNI configuration. Default: "bridge" where any of the fields below is
	// given, or bandwidth by Kubernetes' annotations; else "none".
	Mode string `json:"mode,omitempty"`
	// IPs are addresses that the pod is to have, at most one of a family, of the
	// network's subnets. Others are leased. Only with a network.
	IPs []string `json:"ips,omitempty"`
	// MAC is the hardware address that eth0 is to have, six bytes, unicast. Only
	// with a network.
	MAC string `json:"mac,omitempty"`
	// Ports are published on the host. Only with a network.
	Ports []PodPort `json:"ports,omitempty"`
	// Bandwidth limits eth0. Default: Kubernetes' annotations
	// kubernetes.io/ingress-bandwidth and egress-bandwidth. Only with a network.
	Bandwidth *PodBandwidth `json:"bandwidth,omitempty"`
}

// PodPort is a port of the pod that is reached through the host.
type PodPort struct {
	// HostIP is the address of the host to publish it on. Default: all, of the
	// families that the pod has addresses of.
	HostIP string `json:"hostIP,omitempty"`
	// HostPort is the port there. Default: one that is free, chosen when the pod
	// is made.
	HostPort uint16 `json:"hostPort,omitempty"`
	// ContainerPort is the port in the pod, 1 to 65535.
	ContainerPort uint16 `json:"containerPort"`
	// Protocol is "tcp", "udp" or "sctp". Default: "tcp".
	Protocol string `json:"protocol,omitempty"`
}

// PodBandwidth is in bits per second, 1000 to 1e15; 0 is no
// limit.
type PodBandwidth struct {
	// Ingress is towards the pod.
	Ingress uint64 `json:"ingress,omitempty"`
	// Egress is from the pod.
	Egress uint64 `json:"egress,omitempty"`
}

// PodDNS is the content of resolv.conf (resolv.conf(5)). Default: the host's.
type PodDNS struct {
	// Servers are IP addresses of name servers.
	Servers []string `json:"servers,omitempty"`
	// Searches are domains to look names up in.
	Searches []string `json:"searches,omitempty"`
	// Options are such as "ndots:5".
	Options []string `json:"options,omitempty"`
}

// HostAlias is one line of /etc/hosts (hosts(5)).
type HostAlias struct {
	// IP is the address.
	IP string `json:"ip"`
	// Hostnames are its names, at least one.
	Hostnames []string `json:"hostnames"`
}

// PodVolume is a volume: a name and exactly one source.
type PodVolume struct {
	// Name is what containers' volumeMounts refer to, unique in the pod:
	// [a-zA-Z0-9][a-zA-Z0-9_-]{0,62}.
	Name string `json:"name"`
	// EmptyDir is a directory, empty at first, that dies with the pod.
	EmptyDir *PodEmptyDir `json:"emptyDir,omitempty"`
	// HostPath is something of the host, which outlives the pod.
	HostPath *PodHostPath `json:"hostPath,omitempty"`
	// BundlePath is something of the pod's bundle, which no container changes.
	BundlePath *PodBundlePath `json:"bundlePath,omitempty"`
}

// PodEmptyDir is the source of a volume of the pod's own.
type PodEmptyDir struct {
	// Medium is "" (podrt's lasting directory on disk) or "Memory" (one tmpfs).
	Medium string `json:"medium,omitempty"`
	// SizeLimit is the size in bytes that the volume may grow to; 0 is no limit
	// of its own. Only with medium "Memory": on disk nothing would enforce it.
	// Default: 0.
	SizeLimit int64 `json:"sizeLimit,omitempty"`
	// GID is the group, with the host's number, that the directory belongs to and
	// what is made in it as well (S_ISGID, inode(7)). Default: 0.
	GID uint32 `json:"gid,omitempty"`
}

// PodHostPath is a path of the host as a volume.
type PodHostPath struct {
	// Path is absolute and clean.
	Path string `json:"path"`
	// Type is what must be there, with Kubernetes' words: "" (anything),
	// "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
	// "CharDevice", "BlockDevice".
	Type string `json:"type,omitempty"`
}

// PodBundlePath is a path of the pod's bundle as a volume. It is always mounted
// read-only.
type PodBundlePath struct {
	// Path is of an existing file or directory: relative to the bundle, clean,
	// without "..". Symbolic links in it may only lead to another place within.
	Path string `json:"path"`
}

// PodContainer is one of the pod's own containers: what its OCI bundle, the
// directory containers/NAME, does not say.
type PodContainer struct {
	// Name is unique in the pod, among InitContainers and Containers, and names the
	// container's bundle: [a-zA-Z0-9][a-zA-Z0-9_-]{0,62}.
	Name string `json:"name"`
	// RestartPolicy is the container's own. Default: the pod's, where RestartAlways
	// means RestartOnFailure for an init container.
	RestartPolicy string `json:"restartPolicy,omitempty"`
	// Overlay puts the root file system under an overlay, so that the bundle
	// stays unchanged. Default: false. Not together with Image.
	Overlay bool `json:"overlay,omitempty"`
	// Image is the digest of an image in the store of the library root (`podrt
	// image`), sha256: and 64 hexadecimal digits. The root file system is an overlay
	// of its layers then; config.json's root.path has to be "rootfs", and nothing need
	// be there. Default: the root file system is in the bundle.
	Image string `json:"image,omitempty"`
	// AddressEnv are variables of the container's environment, by name, that hold what
	// is only known when the pod has been made: "podIP", its first address, or
	// "podIPs", all of them with "," between. They come on top of config.json's, and
	// are empty without a network.
	AddressEnv map[string]string `json:"addressEnv,omitempty"`
	// VolumeMounts are the pod's volumes that the container sees.
	VolumeMounts []VolumeMount `json:"volumeMounts,omitempty"`
	// LivenessProbe, when it fails, has the container stopped, and started again
	// unless its restart policy is RestartNever. This and what follows is not for
	// an init container that is waited for.
	LivenessProbe *Probe `json:"livenessProbe,omitempty"`
	// ReadinessProbe says whether the container is ready. Default: it is when it
	// runs, its startupProbe has succeeded and its postStart ended.
	ReadinessProbe *Probe `json:"readinessProbe,omitempty"`
	// StartupProbe holds the two others back, and, of a sidecar, what is behind it,
	// until it has succeeded once. When it fails that is as of the livenessProbe.
	StartupProbe *Probe `json:"startupProbe,omitempty"`
	// Lifecycle is what is done at the container's start and before its end.
	Lifecycle *Lifecycle `json:"lifecycle,omitempty"`
}

// VolumeMount puts a volume of the pod into a container.
type VolumeMount struct {
	// Name is that of the volume.
	Name string `json:"name"`
	// MountPath is where in the container: absolute, clean, not "/", once per
	// container.
	MountPath string `json:"mountPath"`
	// SubPath is what of the volume to mount: relative, clean, without "..".
	// Default: all of it.
	SubPath string `json:"subPath,omitempty"`
	// ReadOnly mounts it read-only. Default: false.
	ReadOnly bool `json:"readOnly,omitempty"`
	// RecursiveReadOnly is ReadOnly, which it needs, for all that is mounted below
	// as well (mount_setattr(2), Linux 5.12). Default: false.
	RecursiveReadOnly bool `json:"recursiveReadOnly,omitempty"`
	// MountPropagation is "None", or "HostToContainer" for a hostPath: what the
	// host mounts below later is seen in the container. Default: "None".
	MountPropagation string `json:"mountPropagation,omitempty"`
}
