package netsetup

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Limits of resolv.conf(5), as Kubernetes checks them: glibc uses the first
// three servers and ignores the rest; old resolvers take 2048 bytes of search
// domains (separators included).
const (
	maxServers     = 3
	maxSearches    = 32
	maxSearchBytes = 2048
)

// DNS is what resolv.conf(5) holds. An empty list is not given.
type DNS struct {
	Servers  []string // IP addresses, at most three
	Searches []string // domains, at most 32; "." for the root alone
	Options  []string // NAME or NAME:VALUE
}

// Check reports what is wrong with d, by field.
func (d DNS) Check() error {
	if n := len(d.Servers); n > maxServers {
		return fmt.Errorf("dns.servers has %d entries: resolvers use %d at most", n, maxServers)
	}
	for i, s := range d.Servers {
		// A zone names a link, and links are the namespace's.
		if a, err := netip.ParseAddr(s); err != nil || a.Zone() != "" {
			return fmt.Errorf("dns.servers[%d] %q is not an IP address", i, s)
		}
	}
	if n := len(d.Searches); n > maxSearches {
		return fmt.Errorf("dns.searches has %d entries: at most %d are allowed", n, maxSearches)
	}
	if n := len(strings.Join(d.Searches, " ")); n > maxSearchBytes {
		return fmt.Errorf("dns.searches is %d bytes long: at most %d are allowed", n, maxSearchBytes)
	}
	for i, s := range d.Searches {
		if s == "." {
			continue
		}
		if reason := badName(strings.TrimSuffix(s, "."), maxName); reason != "" {
			return fmt.Errorf("dns.searches[%d] %q %s", i, s, reason)
		}
	}
	for i, s := range d.Options {
		name, value, hasValue := strings.Cut(s, ":")
		if name == "" || hasValue && value == "" || strings.IndexFunc(s, notOption) >= 0 {
			return fmt.Errorf("dns.options[%d] %q is not NAME or NAME:VALUE", i, s)
		}
	}
	return nil
}

// notOption reports whether r cannot be in a resolver option. Options are
// words such as ndots:2, edns0, single-request-reopen, no-tld-query.
func notOption(r rune) bool {
	return r > 0x7f || !isAlnum(byte(r)) && !strings.ContainsRune("-_.:", r)
}

// parseResolv reads a resolv.conf(5). Unknown lines and words are left out;
// as in resolvers, the last "search" or "domain" line counts.
func parseResolv(text string) DNS {
	var d DNS
	for line := range strings.Lines(text) {
		if i := strings.IndexAny(line, "#;"); i >= 0 {
			line = line[:i]
		}
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "nameserver":
			d.Servers = append(d.Servers, words[1])
		case "search", "domain":
			d.Searches = words[1:]
		case "options":
			d.Options = append(d.Options, words[1:]...)
		}
	}
	return d
}

// reachable returns the servers of a host's resolv.conf that can mean the
// same in another network namespace: no loopback addresses, and none with a
// zone, which names a link of the host.
func reachable(servers []string) []string {
	return slices.DeleteFunc(slices.Clone(servers), func(s string) bool {
		a, err := netip.ParseAddr(s)
		return err != nil || a.Unmap().IsLoopback() || a.Zone() != ""
	})
}

// stubOnly reports whether systemd-resolved's stub is the only server: its
// real ones are then in another file.
func stubOnly(servers []string) bool {
	return len(servers) > 0 && !slices.ContainsFunc(servers, func(s string) bool {
		return s != "127.0.0.53" && s != "127.0.0.54"
	})
}

// or returns d with each list that is not given taken from e.
func (d DNS) or(e DNS) DNS {
	if len(d.Servers) == 0 {
		d.Servers = e.Servers
	}
	if len(d.Searches) == 0 {
		d.Searches = e.Searches
	}
	if len(d.Options) == 0 {
		d.Options = e.Options
	}
	return d
}

// format returns the file. Without servers it says so: resolvers then
// ask 127.0.0.1.
func (d DNS) format() string {
	var s strings.Builder
	s.WriteString("# Written by podrt.\n")
	if len(d.Searches) > 0 {
		fmt.Fprintf(&s, "search %s\n", strings.Join(d.Searches, " "))
	}
	for _, server := range d.Servers {
		fmt.Fprintf(&s, "nameserver %s\n", server)
	}
	if len(d.Servers) == 0 {
		s.WriteString("# No server is given, or can be reached from this network.\n")
	}
	if len(d.Options) > 0 {
		fmt.Fprintf(&s, "options %s\n", strings.Join(d.Options, " "))
	}
	return s.String()
}
