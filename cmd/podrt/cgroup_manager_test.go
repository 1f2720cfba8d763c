package main

import (
	"testing"

	"github.com/podrt/podrt/sandbox"
)

func TestParseCgroupManager(t *testing.T) {
	for _, tt := range []struct {
		name    string
		systemd bool
		want    sandbox.CgroupManager
		err     string
	}{
		{"", false, "cgroupfs", ""},
		{"", true, "systemd", ""},
		{"cgroupfs", false, "cgroupfs", ""},
		{"systemd", false, "systemd", ""},
		{"systemd", true, "systemd", ""},
		{"disabled", false, "disabled", ""},
		{"cgroupfs", true, "", `--cgroup-manager "cgroupfs" and --systemd-cgroup contradict each other`},
		{"disabled", true, "", `--cgroup-manager "disabled" and --systemd-cgroup contradict each other`},
		{"Systemd", false, "", `--cgroup-manager "Systemd": must be "cgroupfs", "systemd" or "disabled"`},
	} {
		got, err := parseCgroupManager(tt.name, tt.systemd)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
			t.Errorf("parseCgroupManager(%q, %v) = %q, %v; want %q, %s", tt.name, tt.systemd, got, err, tt.want, tt.err)
		}
	}
}
