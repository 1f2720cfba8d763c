package netsetup

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
)

// Pods of a network find each other by name through their hosts files, which are
// written anew when one comes or goes. A resolver would be a process for each
// network, one more thing to die, and what it answers would have to be kept
// current just so; every program reads hosts(5), nothing caches it, and it is
// there in pods that use a DNS server of their own.

// ownHostsFile is beside the hosts file: what that has without the names of
// others. No container sees it, so that what one writes to its hosts file is not
// read back.
const ownHostsFile = "hosts.own"

// WriteNames puts into the hosts file in dir, behind the pod's own lines, what
// the other members of its network are called; uid is the pod's own. The file is
// changed in place, as [WriteFiles] does it, which must have made it with
// Files.Names; without that, WriteNames does nothing. Calls for the same dir must
// not run at the same time.
func WriteNames(dir, uid string, members []Member) error {
	own, err := readFile(filepath.Join(dir, ownHostsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = writeFile(dir, HostsFile, own+formatMembers(own, uid, members))
	}
	if err != nil {
		return fmt.Errorf("write names of a network: %w", err)
	}
	return nil
}

// formatMembers returns the lines of all members but uid, in the order of their
// addresses. A name that the pod's own lines have is theirs alone: no neighbour
// takes over what the pod calls itself or was told.
func formatMembers(own, uid string, members []Member) string {
	type line struct {
		addr  netip.Addr
		names string
	}
	var lines []line
	taken := map[string]bool{}
	for name := range eachName(own) {
		taken[strings.ToLower(name)] = true
	}
	for _, m := range members {
		if m.UID == uid {
			continue
		}
		names := slices.DeleteFunc(slices.Clone(m.Names), func(name string) bool { return taken[strings.ToLower(name)] })
		if len(names) == 0 {
			continue
		}
		for _, a := range m.Addrs {
			lines = append(lines, line{a, strings.Join(names, "\t")})
		}
	}
	if len(lines) == 0 {
		return ""
	}
	slices.SortFunc(lines, func(a, b line) int { return a.addr.Compare(b.addr) })
	var s strings.Builder
	s.WriteString("\n# Pods of the same network; podrt writes this file anew when one comes or goes.\n")
	for _, l := range lines {
		fmt.Fprintf(&s, "%s\t%s\n", l.addr, l.names)
	}
	return s.String()
}
