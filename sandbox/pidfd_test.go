package sandbox

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A name that looks like what is behind it in /proc/PID/stat.
func TestProcessStart(t *testing.T) {
	odd := filepath.Join(t.TempDir(), "a) Z 1 (b")
	if err := os.Symlink("/bin/sleep", odd); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(odd, "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	start, err := processStart(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "stat"))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndex(string(stat), ")")+1:]))
	if want := fields[22-3]; strconv.FormatUint(start, 10) != want {
		t.Errorf("processStart = %d; want %s", start, want)
	}
	if f, err := openProcess(cmd.Process.Pid, start+1); !errors.Is(err, unix.ESRCH) {
		t.Errorf("openProcess with another start time = %v, %v; want %v", f, err, unix.ESRCH)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	fd, err := openProcessFD(cmd.Process.Pid, start)
	if err == nil {
		err = waitProcesses(t.Context(), fd)
		_ = unix.Close(fd)
	}
	if err != nil && !errors.Is(err, unix.ESRCH) {
		t.Fatal(err)
	}
	// A zombie now.
	if _, err := processStart(cmd.Process.Pid); !errors.Is(err, unix.ESRCH) {
		t.Errorf("processStart of a zombie: error %v; want %v", err, unix.ESRCH)
	}
	_ = cmd.Wait()
	if _, err := processStart(cmd.Process.Pid); err == nil {
		t.Error("processStart of a process that was reaped: no error")
	}
}
