package sandbox

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Real-time signals as glibc numbers them, which keeps the first two of the
// kernel's to itself (signal(7)).
const (
	sigRTMin unix.Signal = 34
	sigRTMax unix.Signal = 64
)

// ParseSignal reads a signal as runc does: a number, TERM or SIGTERM, in upper
// or lower case (signal(7)); and SIGRTMIN+N and SIGRTMAX-N, which images of
// systemd have for a stop signal.
func ParseSignal(s string) (unix.Signal, error) {
	if n, err := strconv.Atoi(s); err == nil {
		return unix.Signal(n), nil
	}
	name := strings.ToUpper(s)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if sig, ok := parseRealTime(name); ok {
		return sig, nil
	}
	sig := unix.SignalNum(name)
	if sig == 0 {
		return 0, fmt.Errorf("unknown signal %q", s)
	}
	return sig, nil
}

func parseRealTime(name string) (unix.Signal, bool) {
	base, sign := sigRTMin, 1
	offset, ok := strings.CutPrefix(name, "SIGRTMIN")
	if !ok {
		base, sign = sigRTMax, -1
		if offset, ok = strings.CutPrefix(name, "SIGRTMAX"); !ok {
			return 0, false
		}
	}
	n := 0
	if offset != "" {
		// The sign is part of the number, and must be there.
		var err error
		if n, err = strconv.Atoi(offset); err != nil || n*sign < 0 || offset[0] != '+' && offset[0] != '-' {
			return 0, false
		}
	}
	sig := base + unix.Signal(n)
	return sig, sig >= sigRTMin && sig <= sigRTMax
}
