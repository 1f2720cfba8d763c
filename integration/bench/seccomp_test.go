package main

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestSeccompProfile(t *testing.T) {
	p, err := seccompProfile()
	if err != nil {
		t.Fatal(err)
	}
	allowed := p.Syscalls[0].Names
	// moby's profile allows 360 to 420, by version and capabilities.
	if len(allowed) < 330 || len(allowed) > 450 {
		t.Errorf("%d system calls are allowed; want as many as in usual profiles", len(allowed))
	}
	for _, name := range []string{"read", "execve", "openat2", "chown32", "futex_waitv"} {
		if !slices.Contains(allowed, name) {
			t.Errorf("%q is not allowed", name)
		}
	}
	for _, name := range append(slices.Clone(denied), conditional...) {
		if slices.Contains(allowed, name) {
			t.Errorf("%q is allowed", name)
		}
	}
	if !slices.IsSorted(denied) {
		t.Errorf("the list of denied system calls is not sorted: %q", denied)
	}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back specs.LinuxSeccomp
	if err := json.Unmarshal(b, &back); err != nil || len(back.Syscalls) != len(p.Syscalls) {
		t.Errorf("the profile does not come back from JSON: %v", err)
	}
}
