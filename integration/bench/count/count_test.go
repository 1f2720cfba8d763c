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
	if calls.Calls["execve"] != 3 {
		t.Errorf("%d execve; want 3, those of the children as well", calls.Calls["execve"])
	}
	calls, err = Strace(exec.Command("/bin/sh", "-c", "echo 12345; (echo 789) | cat"))
	if err != nil {
		t.Fatal(err)
	}
	if calls.Written != 6+4+4 {
		t.Errorf("%d bytes written; want 14, what goes through a pipe twice", calls.Written)
	}
	if _, err := Strace(exec.Command("/bin/false")); err == nil {
		t.Error("Strace of a command that fails = nil; want an error")
	}
}

func TestWritten(t *testing.T) {
	const calls = `12 execve("/bin/true", [""...], 0x7ffe /* 20 vars */) = 0
12 write(1, ""..., 6)                   = 6
12 write(4, ""..., 100) = -1 EAGAIN (Resource temporarily unavailable)
13 pwrite64(3, ""..., 20, 0 <unfinished ...>
12 writev(5, [{iov_base=""..., iov_len=30}], 1) = 30
13 <... pwrite64 resumed>)              = 20
13 read(7, ""..., 512)                  = 400
13 <... read resumed>""..., 512)        = 400
14 write(1, ""..., 5)                   = ?
`
	if got := written(calls); got != 56 {
		t.Errorf("written = %d; want 56", got)
	}
}

func TestInstructions(t *testing.T) {
	one, err := Instructions(exec.Command("/bin/true"))
	if errors.Is(err, ErrNoValgrind) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	again, err := Instructions(exec.Command("/bin/true"))
	if err != nil || one < 1000 || again > one+one/20 || one > again+again/20 {
		t.Errorf("%d and %d instructions of /bin/true, %v; want the same", one, again, err)
	}
	if _, err := Instructions(exec.Command("/bin/false")); err == nil {
		t.Error("Instructions of a command that fails = nil; want an error")
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
