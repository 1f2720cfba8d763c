package manifest

import (
	"net/netip"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/sandbox"
)

// Host is what a bundle depends on of the host that it is compiled for.
type Host struct {
	Name   string       // of the node: spec.nodeName, unless the Pod has one
	IPs    []netip.Addr // the host's own, the first one is status.hostIP
	CPUs   int          // what resourceFieldRef says without a limit
	Memory int64        // bytes; of this a request's share is its oom_score_adj

	// DNS and HostDNS are what the host's resolv.conf says for Pods with a network of
	// their own, and on the host's: dnsConfig goes on top of it.
	DNS, HostDNS sandbox.PodDNS
	// Devices are all of the host, for privileged containers. It is called once.
	Devices func() ([]specs.LinuxDevice, error)
	// SeccompProfile reads a profile that a localhostProfile names.
	SeccompProfile func(name string) ([]byte, error)
}

// Images finds the image of a reference, pulled as the policy says: Always,
// IfNotPresent or Never. credentials are those of the Pod for registries, in the
// form of docker's config.json; nil if it has none.
type Images interface {
	Image(ref, pullPolicy string, credentials []byte) (Image, error)
}

// Image is an image of the store.
type Image struct {
	Digest string // sha256:HEX
	Config ImageConfig
	// Lookup finds a user, "USER", "UID", "USER:GROUP", in the image's passwd and
	// group.
	Lookup func(user string) (User, error)
}

// ImageConfig is what an image says of its containers (image-spec, config.md).
type ImageConfig struct {
	User       string
	Env        []string
	Entrypoint []string
	Cmd        []string
	WorkingDir string
	StopSignal string
}

// User is a user of an image.
type User struct {
	UID, GID   uint32
	Additional []uint32 // groups
}
