package sandbox

import (
	"errors"
	"os"
	"reflect"
	"testing"

	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestExitCode(t *testing.T) {
	for ws, want := range map[unix.WaitStatus]int{
		0: 0, 1 << 8: 1, 255 << 8: 255, 9: 137, 15: 143,
		11 | 0x80: 139, // with a core dump
	} {
		if got := ExitCode(ws); got != want {
			t.Errorf("ExitCode(%#x) = %d; want %d", int(ws), got, want)
		}
	}
}

func TestConvertProcess(t *testing.T) {
	lp, err := convertProcess(&specs.Process{
		Args: []string{"a"}, Env: []string{"B=c"}, Cwd: "/d", NoNewPrivileges: true,
		User:            specs.User{UID: 1, GID: 2, AdditionalGids: []uint32{3, 4}},
		ConsoleSize:     &specs.Box{Height: 5, Width: 6},
		Capabilities:    &specs.LinuxCapabilities{Bounding: []string{"CAP_KILL"}},
		Rlimits:         []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 7, Hard: 8}},
		ApparmorProfile: "e", SelinuxLabel: "f",
	})
	if err != nil {
		t.Fatal(err)
	}
	if lp.UID != 1 || lp.GID != 2 || !reflect.DeepEqual(lp.AdditionalGroups, []int{3, 4}) ||
		lp.ConsoleHeight != 5 || lp.ConsoleWidth != 6 || !*lp.NoNewPrivileges ||
		lp.Cwd != "/d" || lp.AppArmorProfile != "e" || lp.Label != "f" ||
		!reflect.DeepEqual(lp.Rlimits, []configs.Rlimit{{Type: unix.RLIMIT_NOFILE, Soft: 7, Hard: 8}}) ||
		!reflect.DeepEqual(lp.Capabilities.Bounding, []string{"CAP_KILL"}) {
		t.Errorf("convertProcess = %+v", lp)
	}
	_, err = convertProcess(&specs.Process{Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_NONE"}}})
	if err == nil || err.Error() != "wrong rlimit value: RLIMIT_NONE" {
		t.Errorf("convertProcess with an unknown limit: error %v", err)
	}
}

func TestProcessEnvIsAdded(t *testing.T) {
	env := append(make([]string, 0, 8), "A=1")
	p := Process{Spec: &specs.Process{Env: env}, Env: []string{"B=2"}}
	lp, err := p.prepare(true)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"A=1", "B=2"}; !reflect.DeepEqual(lp.Env, want) {
		t.Errorf("environment = %q; want %q", lp.Env, want)
	}
	if spare := env[:2][1]; spare != "" {
		t.Errorf("the spec's own environment got %q", spare)
	}
}

func TestProcessNotStarted(t *testing.T) {
	var p Process
	if pid := p.Pid(); pid != 0 {
		t.Errorf("Pid of a process that was not started = %d; want 0", pid)
	}
	if err := p.Signal(unix.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("Signal to a process that was not started: error %v", err)
	}
	if _, err := p.Wait(); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("Wait for a process that was not started: error %v", err)
	}
}
