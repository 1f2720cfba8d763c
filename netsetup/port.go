package netsetup

import "net/netip"

// Protocol is a transport with ports.
type Protocol string

// The protocols of a [Port].
const (
	TCP  Protocol = "tcp"
	UDP  Protocol = "udp"
	SCTP Protocol = "sctp"
)

// Port publishes a port of a pod on the host.
type Port struct {
	HostIP        netip.Addr `json:"hostIP,omitzero"` // zero: every address of the host, of the families that the pod has
	HostPort      uint16     `json:"hostPort"`        // 0: one that is free
	ContainerPort uint16     `json:"containerPort"`
	Protocol      Protocol   `json:"protocol"`
}
