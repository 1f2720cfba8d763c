package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// mainEnv makes the test binary the rung command. It reaches PID 1 of the
// rung, which is the same binary.
const mainEnv = "PODRT_TEST_RUNG_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainEnv) != "" {
		main()
	}
	os.Exit(m.Run())
}

// The tests run a native rung inside the rung they are on, whose leak check
// then says whether the inner one left a mount, a cgroup, a process. In the VM
// / is shared, as it is where systemd runs.

func command(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", append([]string{"native"}, args...)...)
	cmd.Env = append(os.Environ(), mainEnv+"=1")
	return cmd
}

// output runs sh -c script on an inner rung and returns what it printed.
func output(t *testing.T, script string) string {
	t.Helper()
	cmd := command("sh", "-c", script)
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("rung native sh -c %q: %v", script, err)
	}
	return strings.TrimSpace(string(out))
}

func TestNativeExitCode(t *testing.T) {
	rung.Privileged(t)
	for _, c := range []struct {
		script string
		want   int
	}{
		{"exit 0", 0},
		{"exit 7", 7},
		{"kill -KILL $$", 128 + int(unix.SIGKILL)},
		{"setsid sleep 1000 & exit 3", 3},
	} {
		cmd := command("sh", "-c", c.script)
		err := cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != c.want {
			t.Errorf("rung native sh -c %q: exit code %d (%v); want %d", c.script, got, err, c.want)
		}
	}
}

func TestNativeNoCommand(t *testing.T) {
	rung.Privileged(t)
	cmd := command("/nowhere/x.test")
	out, _ := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != failed || !bytes.Contains(out, []byte("/nowhere/x.test")) {
		t.Errorf("rung native /nowhere/x.test: exit code %d, output %q; want %d and the name", got, out, failed)
	}
}

func TestNativeWorld(t *testing.T) {
	rung.Privileged(t)
	for _, kind := range []string{"mnt", "net", "uts", "ipc", "pid", "cgroup"} {
		outer, err := os.Readlink("/proc/self/ns/" + kind)
		if err != nil {
			t.Fatal(err)
		}
		if inner := output(t, "readlink /proc/self/ns/"+kind); inner == outer || !strings.HasPrefix(inner, kind+":[") {
			t.Errorf("%s namespace inside = %s; outside %s", kind, inner, outer)
		}
	}
	for _, c := range []struct{ script, want string }{
		{"echo $PODRT_RUNG", "native"},
		{"stat -f -c %T /sys/fs/cgroup", "cgroup2fs"},
		{"grep -c cgroup /proc/self/mounts", "1"},
		{"stat -f -c %T /run $TMPDIR /var/lib/podrt /dev/shm | sort -u", "tmpfs"},
		{"ls /sys/class/net", "lo"},
		{"cat /sys/class/net/lo/flags", "0x9"}, // up, loopback
		{"awk '{print $7}' /proc/self/mountinfo | sort -u", "-"},
		{"set -- /proc/[0-9]*; echo $#", "2"}, // PID 1 and sh
	} {
		if got := output(t, c.script); got != c.want {
			t.Errorf("%s: %q; want %q", c.script, got, c.want)
		}
	}
}

// TestNativeKeepsMountsInside mounts with shared propagation inside.
func TestNativeKeepsMountsInside(t *testing.T) {
	before, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	rung.Privileged(t)
	output(t, "mkdir /run/x && mount -t tmpfs x /run/x && mount --make-rshared / && mount -t tmpfs y /tmp")
	after, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Errorf("mounts outside:\n%s\nwere:\n%s", after, before)
	}
}

func TestNativeReapsOrphans(t *testing.T) {
	rung.Privileged(t)
	output(t, `pid=$(sh -c 'sleep 0.05 >/dev/null & echo $!')
		i=0
		while [ -e /proc/$pid ]; do
			i=$((i+1)); [ $i -lt 1000 ] || { cat /proc/$pid/stat >&2; exit 1; }
			sleep 0.01
		done`)
}

// started runs script on an inner rung until it has printed a line; the reader
// ends when every process of the rung has.
func started(t *testing.T, script string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := command("sh", "-c", script)
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(stdout)
	if line, err := r.ReadString('\n'); err != nil {
		t.Fatalf("rung native sh -c %q: %q, %v; want a line", script, line, err)
	}
	return cmd, r
}

func TestNativeForwardsSignals(t *testing.T) {
	rung.Privileged(t)
	cmd, _ := started(t, `trap 'exit 9' TERM; echo ready; sleep 1000 & wait`)
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 9 {
		t.Errorf("exit code after SIGTERM = %d; want 9", got)
	}
}

func TestNativeDiesWithItsParent(t *testing.T) {
	rung.Privileged(t)
	cmd, r := started(t, `mkdir /sys/fs/cgroup/x; echo ready; trap '' TERM INT HUP; setsid sleep 1000 & wait`)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("output after the kill: %q, %v; want none", rest, err)
	}
	_ = cmd.Wait()
	// What a killed rung leaves is its empty cgroup. The next one removes it;
	// the leak check looks.
	output(t, "true")
}
