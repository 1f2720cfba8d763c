package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/podrt/podrt/sandbox"
)

// The functions below read and print the values of the pod verbs. An error is
// printed behind the flag and its value by package flag.

// keyValue collects KEY=VALUE.
func keyValue(m *map[string]string) func(string) error {
	return func(v string) error {
		key, value, ok := strings.Cut(v, "=")
		if !ok || key == "" {
			return errors.New("want KEY=VALUE")
		}
		if _, dup := (*m)[key]; dup {
			return fmt.Errorf("%q is given twice", key)
		}
		if *m == nil {
			*m = make(map[string]string)
		}
		(*m)[key] = value
		return nil
	}
}

// bytesFlag reads a size such as 64m: k, m, g are powers of 1024.
func bytesFlag(p *int64) func(string) error {
	return func(v string) error {
		n, err := parseBytes(v)
		if err != nil {
			return errors.New("not a size such as 64m")
		}
		if n <= 0 {
			return errors.New("must be above 0")
		}
		*p = n
		return nil
	}
}

func int64Ptr(p **int64, parse func(string) (int64, error)) func(string) error {
	return func(v string) error {
		n, err := parse(v)
		if err != nil {
			return errors.New("not a size such as 64m")
		}
		*p = &n
		return nil
	}
}

func ramOrUnlimited(v string) (int64, error) {
	if v == "-1" {
		return -1, nil
	}
	return parseBytes(v)
}

func uint64Ptr(p **uint64) func(string) error {
	return func(v string) error {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			return errors.New("not a number from 0 on")
		}
		*p = &n
		return nil
	}
}

// idMap reads CONTAINER:HOST:SIZE.
func idMap(maps *[]sandbox.IDMapping) func(string) error {
	return func(v string) error {
		parts := strings.Split(v, ":")
		if len(parts) != 3 {
			return errors.New("want CONTAINER:HOST:SIZE")
		}
		var n [3]uint32
		for i, part := range parts {
			x, err := strconv.ParseUint(part, 10, 32)
			if err != nil {
				return fmt.Errorf("%q is not an id or a number of ids", part)
			}
			n[i] = uint32(x)
		}
		*maps = append(*maps, sandbox.IDMapping{ContainerID: n[0], HostID: n[1], Size: n[2]})
		return nil
	}
}

func parseSeconds(v string, p *int) error {
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		return errors.New("not a number of seconds from 0 on")
	}
	*p = int(n)
	return nil
}

// statsLine is a row of pod stats; "-" stands for a controller that the cgroup
// does not have.
func statsLine(pod, container string, s *sandbox.CgroupStats) string {
	memory, limit, pids, read, written := "-", "-", "-", "-", "-"
	if m := s.Memory; m != nil {
		memory, limit = formatBytes(m.Usage), "none"
		if m.Limit != nil {
			limit = formatBytes(*m.Limit)
		}
	}
	if s.Pids != nil {
		pids = strconv.FormatUint(s.Pids.Current, 10)
		if s.Pids.Limit != nil {
			pids += "/" + strconv.FormatUint(*s.Pids.Limit, 10)
		}
	}
	if s.IO != nil {
		var r, w uint64
		for _, d := range s.IO.Devices {
			r, w = r+d.ReadBytes, w+d.WriteBytes
		}
		read, written = formatBytes(r), formatBytes(w)
	}
	if container == "" {
		container = "(all)"
	}
	cpu := fmt.Sprintf("%d.%03ds", s.CPU.UsageUsec/1_000_000, s.CPU.UsageUsec/1000%1000)
	return strings.Join([]string{pod, container, cpu, memory, limit, pids, read, written}, "\t")
}

// trafficColumns end a row of pod stats: what the pod's interfaces have received
// and sent. "-" stands for none, as containers have.
func trafficColumns(links []sandbox.Link) string {
	if len(links) == 0 {
		return "\t-\t-"
	}
	var rx, tx uint64
	for _, l := range links {
		rx, tx = rx+l.Counters.RxBytes, tx+l.Counters.TxBytes
	}
	return "\t" + formatBytes(rx) + "\t" + formatBytes(tx)
}
