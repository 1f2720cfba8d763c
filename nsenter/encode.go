package nsenter

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Descriptors of the sandbox process, as start.go hands them over.
const (
	configFD     = 3
	reportFD     = 4
	pinDirFD     = 5
	initCgroupFD = 6
	exeFD        = 7
	holdFD       = 8
)

// encode writes the config in the format of sandbox.h.
func (c *Config) encode(settings []setting) ([]byte, error) {
	b := make([]byte, configHeaderSize, 512)
	b = appendNumber(b, recordFlags, c.flags())
	b = appendNumber(b, recordPinDir, pinDirFD)
	if c.InitCgroup != nil {
		b = appendNumber(b, recordInitCgroup, initCgroupFD)
	}
	if c.has(PID) {
		b = appendNumber(b, recordOOMScore, uint32(int32(c.OOMScoreAdj)))
	}
	if c.Hostname != "" {
		b = appendStrings(b, recordHostname, c.Hostname)
	}
	if c.Domainname != "" {
		b = appendStrings(b, recordDomainname, c.Domainname)
	}
	if c.has(User) {
		b = appendStrings(b, recordUIDMap, idMapText(c.UIDMappings))
		b = appendStrings(b, recordGIDMap, idMapText(c.GIDMappings))
	}
	if len(c.TimeOffsets) > 0 {
		b = appendStrings(b, recordTimeOffsets, timeOffsetsText(c.TimeOffsets))
	}
	for _, s := range settings {
		b = appendStrings(b, recordSysctl, s.path, s.value, s.name)
	}
	if len(b) > configMax {
		return nil, fmt.Errorf("config of %d bytes, at most %d", len(b), configMax)
	}
	binary.NativeEndian.PutUint32(b, configMagic)
	binary.NativeEndian.PutUint32(b[4:], uint32(len(b)))
	binary.NativeEndian.PutUint32(b[8:], reportFD)
	return b, nil
}

func appendHeader(b []byte, kind uint32, size int) []byte {
	if size > math.MaxInt32 {
		size = math.MaxInt32 // and the whole is refused
	}
	b = binary.NativeEndian.AppendUint32(b, kind)
	return binary.NativeEndian.AppendUint32(b, uint32(size))
}

func appendNumber(b []byte, kind, n uint32) []byte {
	return binary.NativeEndian.AppendUint32(appendHeader(b, kind, 4), n)
}

// appendStrings appends one record. validate has seen to it that no string has
// a NUL byte; if one had, the reader would refuse the record.
func appendStrings(b []byte, kind uint32, strs ...string) []byte {
	size := 0
	for _, s := range strs {
		size += len(s) + 1
	}
	b = appendHeader(b, kind, size)
	for _, s := range strs {
		b = append(append(b, s...), 0)
	}
	return b
}

// idMapText is what is written to uid_map: one write, user_namespaces(7).
func idMapText(m []IDMap) string {
	var b strings.Builder
	for _, e := range m {
		fmt.Fprintf(&b, "%d %d %d\n", e.ContainerID, e.HostID, e.Size)
	}
	return b.String()
}

// timeOffsetsText is what is written to timens_offsets, time_namespaces(7).
func timeOffsetsText(m map[string]TimeOffset) string {
	var b strings.Builder
	for _, clock := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s %d %d\n", clock, m[clock].Secs, m[clock].Nanosecs)
	}
	return b.String()
}
