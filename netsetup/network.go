package netsetup

import (
	"net/netip"
	"time"
)

// DefaultNetwork is the network of pods that ask for one and name none. It is
// made when it is first used.
const DefaultNetwork = "bridge"

// Network is a bridge of this host that pods are attached to: what
// Networks.Config/NAME.json says. It has at least one subnet and at most one of
// each family.
type Network struct {
	Version  int               `json:"version"`
	Name     string            `json:"name"`
	Bridge   string            `json:"bridge"` // name of the link, at most 15 bytes; made with the first pod, removed with the last
	Subnets  []Subnet          `json:"subnets"`
	MTU      int               `json:"mtu,omitempty"`      // bytes; 0 is the kernel's default
	VLAN     int               `json:"vlan,omitempty"`     // 802.1Q id of all ports, 1 to 4094; 0 is none
	Internal bool              `json:"internal,omitempty"` // no way out of the host, no published ports
	Isolated bool              `json:"isolated"`           // others, in networks of podrt's and outside, reach pods by published ports only, and pods other networks
	NoNames  bool              `json:"noNames,omitempty"`  // pods do not find each other by name
	Labels   map[string]string `json:"labels,omitempty"`
	Created  time.Time         `json:"created"`
}

// Subnet is the addresses that a network has of one family.
type Subnet struct {
	Subnet  netip.Prefix `json:"subnet"`
	Gateway netip.Addr   `json:"gateway"`        // the bridge's own address
	Range   netip.Prefix `json:"range,omitzero"` // what is leased to pods that ask for no address; all of Subnet if zero
}

// Networks are the bridge networks of one host, as directories hold them:
//
//	Config/NAME.json          definitions, which outlive a boot
//	Run/sysctls.json          what podrt has changed below /proc/sys/net, and the values before
//	Run/lock                  flock, held exclusively by whoever changes what follows
//	Run/pods/UID              a symbolic link to BOOT/NETWORK: that the pod may have any of what follows
//	Run/leases/NETWORK/ADDR   a symbolic link to BOOT/UID/NAME,NAME: an address and whose it is
//	Run/ports/PROTO,PORT,IP   a symbolic link to BOOT/UID/CONTAINERPORT: a published port ("*" for every address of the host)
//
// A link is made whole or not at all, and exists once (symlink(2)). One of
// another boot, or of a pod that exists no more, is nobody's and is taken back
// by the next lease or claim.
type Networks struct {
	Config string
	Run    string
	BootID string
	// Live reports whether the pod of that UID exists, complete or not. It is
	// called with the lock held, and takes no lock that comes before.
	Live func(uid string) bool
}

// Attach says how a pod gets its place in a network.
type Attach struct {
	UID       string
	Names     []string // by which others of the network find it
	Network   *Network
	Netns     string       // path of the pod's pinned network namespace
	IPs       []netip.Addr // wanted, at most one per family of the network; others are leased
	MAC       string       // wanted; else it is derived from the address
	Ports     []Port       // to publish; host port 0 is chosen
	Bandwidth Bandwidth
}

// Bandwidth limits a pod's interface, in bits per second; 0 is no limit.
type Bandwidth struct {
	Ingress uint64 `json:"ingress,omitempty"` // towards the pod
	Egress  uint64 `json:"egress,omitempty"`  // from the pod
}

// Interface is a pod's place in a network, as it was made.
type Interface struct {
	Network   string         `json:"network"`
	Name      string         `json:"name"`               // in the pod: eth0
	HostLink  string         `json:"hostLink,omitempty"` // the veth's end on the host
	MAC       string         `json:"mac"`
	MTU       int            `json:"mtu"`
	Addresses []netip.Prefix `json:"addresses"`
	Gateways  []netip.Addr   `json:"gateways,omitempty"`
	Ports     []Port         `json:"ports,omitempty"` // with the host ports that were chosen
}
