package integration

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// Tests named TestSystemd want systemd as PID 1: PODRT_VM=-systemd.

// systemctl runs systemctl and returns what it prints.
func systemctl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("systemctl", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("systemctl %q: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// unitProperties is what systemctl show has of a unit.
func unitProperties(t *testing.T, unit string) map[string]string {
	t.Helper()
	m := map[string]string{}
	for line := range strings.Lines(systemctl(t, "show", "--", unit)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if m[name] != "" {
			value = m[name] + "\n" + value // DeviceAllow has a line for each
		}
		m[name] = value
	}
	return m
}

// wantProperties compares properties of a unit.
func wantProperties(t *testing.T, unit string, want map[string]string) {
	t.Helper()
	got := unitProperties(t, unit)
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s: %s = %q; want %q", unit, name, got[name], value)
		}
	}
}

// wantNoUnit looks whether systemd has forgotten a unit.
func wantNoUnit(t *testing.T, unit string) {
	t.Helper()
	if got := unitProperties(t, unit); got["LoadState"] != "not-found" || got["ActiveState"] != "inactive" {
		t.Errorf("%s is %s, %s; want none", unit, got["LoadState"], got["ActiveState"])
	}
}

// stopSlices ends slices that systemd made for the test's units: they stay when
// they are empty.
func stopSlices(t *testing.T, slices ...string) {
	t.Cleanup(func() { systemctl(t, append([]string{"stop"}, slices...)...) })
}

// needSystemd is rung.NeedSystemd, with the tools that the tests use.
func needSystemd(t *testing.T) {
	t.Helper()
	rung.NeedSystemd(t)
	if _, err := exec.LookPath("systemctl"); err != nil {
		t.Fatal(err)
	}
}
