package netsetup

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// legacyTables is how one family's legacy iptables, which has no netlink, is read
// (linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h).
type legacyTables struct {
	program string
	names   string // of the tables that are in use, proc_pid_net(5)
	family  int
	level   int
	target  int // where in an entry the offset of its target is
}

var legacy = [...]legacyTables{
	{"iptables-legacy", "ip_tables_names", unix.AF_INET, unix.SOL_IP, 88},
	{"ip6tables-legacy", "ip6_tables_names", unix.AF_INET6, unix.SOL_IPV6, 140},
}

// Of both headers. An answer about a table has its name, the hooks in use, where
// in the table each of five hooks begins and where its policy is, and the size of
// the table; one with its entries has name and size before them, padded.
const (
	soGetInfo       = 64
	soGetEntries    = 65
	tableNameLen    = 32
	policyOffset    = tableNameLen + 4 + 5*4 + unix.NF_INET_FORWARD*4
	tableSizeOffset = tableNameLen + 4 + 2*5*4 + 4
	infoLen         = tableSizeOffset + 4
	entriesOffset   = tableNameLen + 8
	targetHeaderLen = 32
	verdictDrop     = -1 // -NF_DROP - 1
)

// blockedByLegacy is BlockedBy for legacy iptables. It looks only where a filter
// table is: asking for one makes it.
func blockedByLegacy() ([]string, error) {
	var found []string
	var errs error
	for _, l := range legacy {
		names, err := readFile(netFile(l.names))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && !slices.Contains(strings.Fields(names), "filter") {
			continue
		}
		var drops bool
		if err == nil {
			drops, err = l.drops()
		}
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("%s' filter table: %w", l.program, err))
		}
		if drops {
			found = append(found, fmt.Sprintf("%s' chain FORWARD drops what no rule accepts; for pods: %s -I FORWARD -i %s+ -j ACCEPT; %s -I FORWARD -o %s+ -j ACCEPT",
				l.program, l.program, bridgePrefix, l.program, bridgePrefix))
		}
	}
	return found, errs
}

// drops reports whether the policy of FORWARD is DROP and no rule names a bridge.
func (l legacyTables) drops() (bool, error) {
	fd, err := unix.Socket(l.family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return false, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	info := make([]byte, infoLen)
	copy(info, "filter")
	if err := getsockopt(fd, l.level, soGetInfo, info); err != nil {
		return false, err
	}
	size := binary.NativeEndian.Uint32(info[tableSizeOffset:])
	table := make([]byte, entriesOffset+int(size))
	copy(table, "filter")
	binary.NativeEndian.PutUint32(table[tableNameLen:], size)
	// EAGAIN: it has changed meanwhile.
	if err := getsockopt(fd, l.level, soGetEntries, table); err != nil {
		return false, err
	}
	entries := table[entriesOffset:]
	policy := int(binary.NativeEndian.Uint32(info[policyOffset:]))
	if len(entries) < policy+l.target+2 {
		return false, fmt.Errorf("policy at %d of %d bytes", policy, len(entries))
	}
	target := policy + int(binary.NativeEndian.Uint16(entries[policy+l.target:]))
	if len(entries) < target+targetHeaderLen+4 {
		return false, fmt.Errorf("policy's target at %d of %d bytes", target, len(entries))
	}
	verdict := int32(binary.NativeEndian.Uint32(entries[target+targetHeaderLen:]))
	return verdict == verdictDrop && !bytes.Contains(entries, []byte(bridgePrefix)), nil
}

// getsockopt wraps getsockopt(2) for options that read b, too.
func getsockopt(fd, level, option int, b []byte) error {
	n := uint32(len(b))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)), 0)
	if errno != 0 {
		return os.NewSyscallError("getsockopt", errno)
	}
	return nil
}
