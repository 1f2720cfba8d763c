package sandbox

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseSignal(t *testing.T) {
	for in, want := range map[string]unix.Signal{
		"9": unix.SIGKILL, "term": unix.SIGTERM, "SIGTERM": unix.SIGTERM, "SigHup": unix.SIGHUP, "0": 0,
		"SIGRTMIN": 34, "RTMIN+3": 37, "SIGRTMAX-1": 63, "rtmax": 64,
	} {
		if got, err := ParseSignal(in); err != nil || got != want {
			t.Errorf("ParseSignal(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "SIG", "NOPE", "SIGRTMIN+31", "SIGRTMIN-1", "SIGRTMAX+1", "SIGRTMIN3", "SIGRTMIN+"} {
		if got, err := ParseSignal(in); err == nil {
			t.Errorf("ParseSignal(%q) = %d; want an error", in, got)
		}
	}
}
