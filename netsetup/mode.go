package netsetup

import (
	"fmt"
	"strings"
)

// A Kind is a way to have a network.
type Kind string

// The kinds of [Mode].
const (
	None      Kind = "none"      // an own network namespace with nothing but lo
	Host      Kind = "host"      // the host's network namespace
	Container Kind = "container" // another pod's network namespace
)

// Mode says whose network namespace a pod uses. The zero Mode is not valid.
type Mode struct {
	Kind Kind
	Pod  string // the other pod, by name, UID or unique prefix; for Container only
}

// String returns the mode as [ParseMode] reads it.
func (m Mode) String() string {
	if m.Kind == Container {
		return string(m.Kind) + ":" + m.Pod
	}
	return string(m.Kind)
}

// ParseMode reads "none", "host" or "container:POD". The empty string is
// "none".
func ParseMode(s string) (Mode, error) {
	kind, pod, hasPod := strings.Cut(s, ":")
	switch {
	case s == "":
		return Mode{Kind: None}, nil
	case (kind == string(None) || kind == string(Host)) && !hasPod:
		return Mode{Kind: Kind(kind)}, nil
	case kind == string(Container) && validPod(pod):
		return Mode{Kind: Container, Pod: pod}, nil
	case kind == string(Container):
		return Mode{}, fmt.Errorf("network.mode %q does not name a pod: want container:POD", s)
	}
	return Mode{}, fmt.Errorf("network.mode %q is not supported: use none, host or container:POD", s)
}

// validPod reports whether s can be a pod's name, UID or a prefix of one.
func validPod(s string) bool {
	if s == "" || len(s) > 128 || !isAlnum(s[0]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
