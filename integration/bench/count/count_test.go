package count

import (
	"errors"
	"maps"
	"os/exec"
	"testing"
)

const table = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ------------------
 71.30    0.018869         589        32         1 futex
  4.88    0.001291           4       269           openat2
  0.00    0.000000           0         1           exit_group
------ ----------- ----------- --------- --------- ----------------
100.00    0.026460          12       302         1 total
`

func TestParse(t *testing.T) {
	got, err := parse(table)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Calls{"futex": 32, "openat2": 269, "exit_group": 1}); !maps.Equal(got, want) {
		t.Errorf("parse = %v; want %v", got, want)
	}
	if got.Total() != 302 || got.Steady() != 270 {
		t.Errorf("Total = %d, Steady = %d; want 302, 270", got.Total(), got.Steady())
	}
	for _, bad := range []string{"", "100.00 0.1 12 x 1 total2\n"} {
		if got, err := parse(bad); err == nil {
			t.Errorf("parse(%q) = %v; want an error", bad, got)
		}
	}
}

func TestStrace(t *testing.T) {
	calls, err := Strace(exec.Command("/bin/sh", "-c", "/bin/true; /bin/true"))
	if errors.Is(err, ErrNoStrace) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if calls["execve"] != 3 {
		t.Errorf("%d execve; want 3, those of the children as well", calls["execve"])
	}
	if _, err := Strace(exec.Command("/bin/false")); err == nil {
		t.Error("Strace of a command that fails = nil; want an error")
	}
}

func TestFaults(t *testing.T) {
	cmd := exec.Command("/bin/true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if n := Faults(cmd.ProcessState); n < 10 || n > 10_000 {
		t.Errorf("Faults of /bin/true = %d; want some", n)
	}
}
