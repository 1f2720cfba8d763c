package netsetup

import (
	"fmt"
	"strings"
)

// Limits of a host name, in bytes: of the kernel's utsname (the terminating
// zero not counted, uname(2)) and of a DNS label (RFC 1035).
const (
	maxHostname = 64
	maxLabel    = 63
	maxName     = 253
)

// CheckHostname reports whether s can be a host name: labels of letters,
// digits, "-" and "_", separated by ".", of up to 64 bytes in all.
func CheckHostname(s string) error {
	if reason := badName(s, maxHostname); reason != "" {
		return fmt.Errorf("hostname %q %s", s, reason)
	}
	return nil
}

// CheckDomainname is CheckHostname for the domain name. It may be empty.
func CheckDomainname(s string) error {
	if reason := badName(s, maxHostname); s != "" && reason != "" {
		return fmt.Errorf("domainname %q %s", s, reason)
	}
	return nil
}

// Hostname makes a host name of a pod's name: "_" becomes "-", empty labels
// vanish, and the rest is cut off after 63 bytes, as Kubernetes does.
func Hostname(pod string) string {
	var labels []string
	for label := range strings.SplitSeq(strings.ReplaceAll(pod, "_", "-"), ".") {
		if label = strings.Trim(label, "-"); label != "" {
			labels = append(labels, label)
		}
	}
	s := strings.Join(labels, ".")
	if len(s) > maxLabel {
		s = strings.TrimRight(s[:maxLabel], "-.")
	}
	return s
}

// badName says what is wrong with a name in the DNS sense, "" if nothing is.
// Underscores are accepted: resolvers do, and names in use have them.
func badName(s string, limit int) string {
	if s == "" {
		return "is empty"
	}
	if len(s) > limit {
		return fmt.Sprintf("is longer than %d bytes", limit)
	}
	for label := range strings.SplitSeq(s, ".") {
		switch {
		case label == "":
			return "has an empty label"
		case len(label) > maxLabel:
			return fmt.Sprintf("has a label longer than %d bytes", maxLabel)
		case label[0] == '-' || label[len(label)-1] == '-':
			return `has a label that begins or ends with "-"`
		}
		for i := range len(label) {
			if c := label[i]; !isAlnum(c) && c != '-' && c != '_' {
				return fmt.Sprintf("contains %q", c)
			}
		}
	}
	return ""
}
