package integration

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

// TestPodUserNamespaceStopped: while a pod's namespaces are made, a process runs as
// the root of its user namespace. Whoever is that user on the host, such as
// another pod's container, can stop it. What creates the pod waits then; once it
// is killed, the pod can be removed all the same.
func TestPodUserNamespaceStopped(t *testing.T) {
	w := newWorld(t)
	const user = "100000"
	argv := w.argv("pod", "create", "--uidmap", "0:"+user+":65536", "--gidmap", "0:"+user+":65536", "p")
	for range 100 { // it is there for a millisecond
		cmd := exec.Command(argv[0], argv[1:]...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		stopped := stopMember(t, user, ended)
		if stopped == 0 {
			w.ok(t, "pod", "rm", "p")
			continue
		}
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		<-ended
		w.ok(t, "pod", "rm", "-f", "p") // within commandLimit
		if err := unix.Kill(stopped, 0); !errors.Is(err, unix.ESRCH) {
			t.Errorf("process %d, stopped: %v; want none", stopped, err)
		}
		return
	}
	t.Fatal("the process was never met")
}

// stopMember stops the first process of that user that it sees in a pod's cgroup,
// and returns its pid, 0 once the creation has ended.
func stopMember(t *testing.T, user string, ended <-chan error) int {
	t.Helper()
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("pod create: %v", err)
			}
			return 0
		default:
		}
		lists, err := filepath.Glob("/sys/fs/cgroup/podrt/*/cgroup.procs")
		if err != nil {
			t.Fatal(err)
		}
		for _, list := range lists {
			procs, err := os.ReadFile(list)
			if err != nil {
				continue
			}
			for _, word := range strings.Fields(string(procs)) {
				status, err := os.ReadFile("/proc/" + word + "/status")
				if err != nil || !strings.Contains(string(status), "\nUid:\t"+user+"\t") {
					continue
				}
				pid, err := strconv.Atoi(word)
				if err != nil {
					t.Fatal(err)
				}
				if err := unix.Kill(pid, unix.SIGSTOP); err == nil && isStopped(pid) {
					return pid
				}
			}
		}
	}
}

// isStopped reports whether a process is there and stopped, as it is once it has
// taken the signal.
func isStopped(pid int) bool {
	for {
		status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
		if err != nil || strings.Contains(string(status), "\nState:\tZ") || strings.Contains(string(status), "\nState:\tX") {
			return false
		}
		if strings.Contains(string(status), "\nState:\tT") {
			return true
		}
	}
}
