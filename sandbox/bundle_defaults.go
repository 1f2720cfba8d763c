package sandbox

import (
	"slices"

	"github.com/podrt/podrt/netsetup"
	"github.com/podrt/podrt/nsenter"
)

// NewPodSpec returns a complete spec of a pod of that name, without containers.
func NewPodSpec(name string) *PodSpec {
	s := &PodSpec{PodVersion: PodVersion, Metadata: PodMetadata{Name: name}}
	s.setDefaults()
	return s
}

// Rename gives the pod another name, and the host name that comes with it unless
// the pod has one of its own.
func (s *PodSpec) Rename(name string) {
	if s.Hostname == netsetup.Hostname(s.Metadata.Name) {
		s.Hostname = ""
	}
	s.Metadata.Name = name
	s.setDefaults()
}

// Publish has the pod publish further ports, in another network if mode is not
// empty. Where the pod has none and mode is empty, it gets the default network.
func (s *PodSpec) Publish(mode string, ports []PodPort) {
	s.Network.Ports = append(s.Network.Ports, ports...)
	if mode != "" {
		s.Network.Mode = mode
	} else if s.Network.Mode == string(netsetup.None) && len(ports) > 0 {
		s.Network.Mode = ""
	}
	s.setDefaults()
}

// setDefaults fills in what may be left out, but for the UID, which is chosen
// when the pod is made. What it has filled in is valid input again and means
// the same, so that a stored spec is complete and stays as it is.
func (s *PodSpec) setDefaults() {
	// Share depends on Host, Hostname on both.
	if s.Share == nil {
		s.Share = []string{}
		for _, kind := range []nsenter.Kind{nsenter.Net, nsenter.IPC, nsenter.UTS} {
			if !slices.Contains(s.Host, string(kind)) {
				s.Share = append(s.Share, string(kind))
			}
		}
	}
	if user := string(nsenter.User); s.UserNamespace != nil && !slices.Contains(s.Share, user) {
		s.Share = append(s.Share, user)
	}
	if s.Hostname == "" && isPodName(s.Metadata.Name) && !slices.Contains(s.Host, string(nsenter.UTS)) {
		s.Hostname = netsetup.Hostname(s.Metadata.Name)
	}
	if s.Network.Mode == "" {
		s.Network.Mode = string(netsetup.None)
		if s.asksForNetwork() {
			s.Network.Mode = netsetup.DefaultNetwork
		}
	}
	if s.ShmSize == 0 {
		s.ShmSize = DefaultShmSize
	}
	if s.RestartPolicy == "" {
		s.RestartPolicy = RestartNever
	}
	if s.restartsAny() {
		if s.RestartBackOff == nil {
			s.RestartBackOff = &RestartBackOff{}
		}
		s.RestartBackOff.setDefaults()
	}
	if s.TerminationGracePeriodSeconds == nil {
		s.TerminationGracePeriodSeconds = new(int64(DefaultGracePeriod))
	}
	if s.Containers == nil {
		s.Containers = []PodContainer{}
	}
	for _, list := range [][]PodContainer{s.InitContainers, s.Containers} {
		for i := range list {
			list[i].setDefaults()
		}
	}
}

func (b *RestartBackOff) setDefaults() {
	if b.InitialSeconds == 0 {
		b.InitialSeconds = DefaultRestartInitial
	}
	if b.MaxSeconds == 0 {
		b.MaxSeconds = max(b.InitialSeconds, DefaultRestartMax)
	}
}

// asksForNetwork reports whether the pod wants something that only a network has.
func (s *PodSpec) asksForNetwork() bool {
	n := &s.Network
	b, err := s.bandwidth()
	return len(n.IPs) > 0 || n.MAC != "" || len(n.Ports) > 0 || n.Bandwidth != nil || err == nil && b != netsetup.Bandwidth{}
}
