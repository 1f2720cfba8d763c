package cgroups

import (
	"bytes"
	"fmt"
	"strconv"
)

// eachPair calls f for each line of a flat keyed file ("KEY VALUE\n").
func eachPair(b []byte, f func(key string, v uint64)) error {
	for line := range bytes.Lines(b) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		key, val, ok := bytes.Cut(line, []byte(" "))
		if !ok {
			return fmt.Errorf("line %q is not a key and a value", line)
		}
		v, err := parseUint(val)
		if err != nil {
			return fmt.Errorf("line %q: %w", line, err)
		}
		f(string(key), v)
	}
	return nil
}

// parseUint parses a number of the kernel's. Some that cannot be negative are
// shown so for an instant, since they are sums over CPUs; they are 0.
func parseUint(b []byte) (uint64, error) {
	v, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil {
		if n, nerr := strconv.ParseInt(string(b), 10, 64); nerr == nil && n < 0 {
			return 0, nil
		}
	}
	return v, err
}

// parseMax parses a single value file; nil is "max", no limit.
func parseMax(b []byte) (*uint64, error) {
	b = bytes.TrimSpace(b)
	if string(b) == "max" {
		return nil, nil
	}
	v, err := parseUint(b)
	if err != nil {
		return nil, err
	}
	return &v, nil
}
