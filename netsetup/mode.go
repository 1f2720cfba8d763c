package netsetup

import (
	"fmt"
	"path"
	"strings"
)

// A Kind is a way to have a network.
type Kind string

// The kinds of [Mode].
const (
	None      Kind = "none"      // an own network namespace with nothing but lo
	Host      Kind = "host"      // the host's network namespace
	Container Kind = "container" // another pod's network namespace
	Path      Kind = "ns"        // a network namespace that somebody else has made, and sets up
	Named     Kind = "network"   // an own network namespace with a place in a network
)

// modes is what a mode can be, for messages.
const modes = "none, host, container:POD, ns:PATH, bridge or the name of a network"

// Mode says whose network namespace a pod uses. The zero Mode is not valid.
type Mode struct {
	Kind    Kind
	Pod     string // the other pod, by name, UID or unique prefix; for Container only
	Path    string // of the namespace, absolute and clean; for Path only
	Network string // name of the network, [DefaultNetwork] among them; for Named only
}

// String returns the mode as [ParseMode] reads it.
func (m Mode) String() string {
	switch m.Kind {
	case Container:
		return string(m.Kind) + ":" + m.Pod
	case Path:
		return string(m.Kind) + ":" + m.Path
	case Named:
		return m.Network
	}
	return string(m.Kind)
}

// Own reports whether the pod has a network namespace made for it alone.
func (m Mode) Own() bool { return m.Kind == None || m.Kind == Named }

// ParseMode reads "none", "host", "container:POD", "ns:PATH" or the name of a
// network. The empty string is "none". Whether there is such a pod, namespace or
// network is not looked at.
func ParseMode(s string) (Mode, error) {
	kind, rest, hasRest := strings.Cut(s, ":")
	switch {
	case s == "":
		return Mode{Kind: None}, nil
	case (kind == string(None) || kind == string(Host)) && !hasRest:
		return Mode{Kind: Kind(kind)}, nil
	case kind == string(Container) && validPod(rest):
		return Mode{Kind: Container, Pod: rest}, nil
	case kind == string(Container):
		return Mode{}, fmt.Errorf("network.mode %q does not name a pod: want container:POD", s)
	case kind == string(Path) && path.IsAbs(rest) && path.Clean(rest) == rest && !strings.Contains(rest, "\x00"):
		return Mode{Kind: Path, Path: rest}, nil
	case kind == string(Path):
		return Mode{}, fmt.Errorf("network.mode %q is not a clean absolute path: want ns:PATH", s)
	case !hasRest && CheckNetworkName(s) == nil:
		return Mode{Kind: Named, Network: s}, nil
	}
	return Mode{}, fmt.Errorf("network.mode %q is not supported: use %s", s, modes)
}

// validPod reports whether s can be a pod's name, UID or a prefix of one.
func validPod(s string) bool { return validName(s, 128) }

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
