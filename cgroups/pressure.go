package cgroups

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// PressureStats is the pressure on each resource. The kernel keeps it with and
// without the controllers; nil is a kernel without PSI.
type PressureStats struct {
	CPU    *Pressure `json:"cpu,omitempty"`
	Memory *Pressure `json:"memory,omitempty"`
	IO     *Pressure `json:"io,omitempty"`
}

// Pressure is how much time tasks have lost waiting for a resource, PSI
// (Documentation/accounting/psi.rst, Linux 4.20).
type Pressure struct {
	Some Stall  `json:"some"`           // at least one task waited
	Full *Stall `json:"full,omitempty"` // all tasks waited at the same time; for the CPU Linux 5.13
}

// Stall is a share of wall-clock time in percent, over the last 10, 60 and 300
// seconds, and the time lost in total, in microseconds.
type Stall struct {
	Avg10     float64 `json:"avg10"`
	Avg60     float64 `json:"avg60"`
	Avg300    float64 `json:"avg300"`
	TotalUsec uint64  `json:"totalUsec"`
}

func (d *dir) allPressure() (s PressureStats, err error) {
	if s.CPU, err = d.pressure("cpu.pressure"); err != nil {
		return s, err
	}
	if s.Memory, err = d.pressure("memory.pressure"); err != nil {
		return s, err
	}
	s.IO, err = d.pressure("io.pressure")
	return s, err
}

// pressure reads a pressure file. It is nil where there is none: a kernel
// without PSI, one booted with psi=0, or PSI turned off for the cgroup.
func (d *dir) pressure(name string) (p *Pressure, err error) {
	err = d.parse(name, func(b []byte) (err error) {
		p, err = parsePressure(b)
		return err
	})
	if gone(err) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	}
	return p, err
}

// parsePressure parses
//
//	some avg10=0.00 avg60=0.00 avg300=0.00 total=0
//	full avg10=0.00 avg60=0.00 avg300=0.00 total=0
func parsePressure(b []byte) (*Pressure, error) {
	var p Pressure
	for line := range bytes.Lines(b) {
		kind, rest, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		var to *Stall
		switch kind {
		case "some":
			to = &p.Some
		case "full":
			p.Full = new(Stall)
			to = p.Full
		default:
			continue
		}
		for _, field := range strings.Fields(rest) {
			key, val, _ := strings.Cut(field, "=")
			var err error
			switch key {
			case "avg10":
				to.Avg10, err = strconv.ParseFloat(val, 64)
			case "avg60":
				to.Avg60, err = strconv.ParseFloat(val, 64)
			case "avg300":
				to.Avg300, err = strconv.ParseFloat(val, 64)
			case "total":
				to.TotalUsec, err = strconv.ParseUint(val, 10, 64)
			}
			if err != nil {
				return nil, fmt.Errorf("line %q: %w", line, err)
			}
		}
	}
	return &p, nil
}
