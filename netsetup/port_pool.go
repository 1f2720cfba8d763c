package netsetup

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// portPool hands out the host ports that may be chosen for a pod: first the
// dynamic ones (RFC 6335) that the kernel does not give to sockets by itself
// (net.ipv4.ip_local_port_range, by default 32768 to 60999), then others that it
// does not give, then all. It may hand out one twice.
type portPool struct {
	ranges []portRange
	random int // where in each to begin, so that a port is not another pod's at once
	offset int
}

type portRange struct{ first, last int }

func newPortPool() (*portPool, error) {
	const path = "/proc/sys/net/ipv4/ip_local_port_range"
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	from, to, _ := strings.Cut(strings.TrimSpace(string(text)), "\t")
	low, high, err := parseRange(from + "-" + to)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var random [2]byte
	if _, err := unix.Getrandom(random[:], 0); err != nil {
		return nil, os.NewSyscallError("getrandom", err)
	}
	const first, dynamic, last = 1024, 49152, 65535
	below, above := int(low)-1, int(high)+1
	return &portPool{random: int(binary.NativeEndian.Uint16(random[:])), ranges: []portRange{
		{max(dynamic, above), last},
		{dynamic, below},
		{max(first, above), last},
		{first, below},
		{first, last},
	}}, nil
}

// next returns false when there is none left.
func (p *portPool) next() (uint16, bool) {
	for len(p.ranges) > 0 {
		r := p.ranges[0]
		if n := r.last - r.first + 1; p.offset < n {
			port := r.first + (p.random+p.offset)%n
			p.offset++
			return uint16(port), true
		}
		p.ranges, p.offset = p.ranges[1:], 0
	}
	return 0, false
}
