package netsetup

import (
	"fmt"
	"iter"
	"net/netip"
	"strings"
)

// A HostAlias adds a line to the hosts file.
type HostAlias struct {
	IP        string
	Hostnames []string // at least one
}

// checkAliases reports what is wrong with aliases, by field.
func checkAliases(aliases []HostAlias) error {
	for i, a := range aliases {
		if addr, err := netip.ParseAddr(a.IP); err != nil || addr.Zone() != "" {
			return fmt.Errorf("hostAliases[%d].ip %q is not an IP address", i, a.IP)
		}
		if len(a.Hostnames) == 0 {
			return fmt.Errorf("hostAliases[%d].hostnames is empty", i)
		}
		for j, name := range a.Hostnames {
			if reason := badName(name, maxName); reason != "" {
				return fmt.Errorf("hostAliases[%d].hostnames[%d] %q %s", i, j, name, reason)
			}
		}
	}
	return nil
}

// localHosts is the hosts file of a namespace before it has names.
const localHosts = "127.0.0.1\tlocalhost\n" +
	"::1\tlocalhost ip6-localhost ip6-loopback\n" +
	"ff02::1\tip6-allnodes\n" +
	"ff02::2\tip6-allrouters\n"

// hasName reports whether a hosts file maps name, in whichever letter case: to
// resolvers it is one name (RFC 4343).
func hasName(text, name string) bool {
	for mapped := range eachName(text) {
		if strings.EqualFold(mapped, name) {
			return true
		}
	}
	return false
}

// eachName reads the names that a hosts file maps.
func eachName(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.Lines(text) {
			line, _, _ = strings.Cut(line, "#")
			words := strings.Fields(line)
			for _, name := range words[min(1, len(words)):] {
				if !yield(name) {
					return
				}
			}
		}
	}
}

// formatHosts returns the file: base, then the pod's own name at each of addresses
// (none: at no address), then the aliases in their order.
func formatHosts(base, hostname, domainname string, addresses []netip.Addr, aliases []HostAlias) string {
	var s strings.Builder
	s.WriteString(base)
	if base != "" && !strings.HasSuffix(base, "\n") {
		s.WriteByte('\n')
	}
	names := hostname
	if domainname != "" {
		names = hostname + "." + domainname + "\t" + hostname
	}
	for _, a := range addresses {
		fmt.Fprintf(&s, "%s\t%s\n", a, names)
	}
	if len(aliases) > 0 {
		s.WriteString("\n# Entries of hostAliases.\n")
	}
	for _, a := range aliases {
		fmt.Fprintf(&s, "%s\t%s\n", a.IP, strings.Join(a.Hostnames, "\t"))
	}
	return s.String()
}
