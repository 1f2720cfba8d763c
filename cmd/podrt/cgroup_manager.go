package main

import (
	"fmt"

	"github.com/podrt/podrt/sandbox"
)

// parseCgroupManager takes the values of --cgroup-manager and --systemd-cgroup,
// which must not say different things.
func parseCgroupManager(name string, systemd bool) (sandbox.CgroupManager, error) {
	if systemd && name == "" {
		return sandbox.SystemdManager, nil
	}
	m, err := sandbox.ParseCgroupManager(name)
	if err != nil {
		return "", fmt.Errorf("--cgroup-manager %w", err)
	}
	if systemd && m != sandbox.SystemdManager {
		return "", fmt.Errorf("--cgroup-manager %q and --systemd-cgroup contradict each other", name)
	}
	return m, nil
}
